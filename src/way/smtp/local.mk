noinst_LIBRARIES += src/way/smtp/libsmtp.a
src_way_smtp_libsmtp_a_SOURCES = \
	src/way/smtp/auth.c \
	src/way/smtp/command.c \
	src/way/smtp/data.c \
	src/way/smtp/data.h \
	src/way/smtp/path.c \
	src/way/smtp/session.c \
	src/way/smtp/session.h \
	src/way/smtp/smtp.c \
	src/way/smtp/smtp.h \
	src/way/smtp/submit.c
EXTRA_DIST += src/way/smtp/README
