noinst_LIBRARIES += src/lib/mail/libmail.a
src_lib_mail_libmail_a_CFLAGS = $(AM_CFLAGS) $(UNISTRING_CFLAGS)
src_lib_mail_libmail_a_SOURCES = \
	src/lib/mail/addr.c \
	src/lib/mail/addr.h \
	src/lib/mail/head.c \
	src/lib/mail/ns.c \
	src/lib/mail/ns.h \
	src/lib/mail/packets.c \
	src/lib/mail/packets.h \
	src/lib/mail/parts.c \
	src/lib/mail/parts.h \
	src/lib/mail/peer.c \
	src/lib/mail/peer.h \
	src/lib/mail/proof.c \
	src/lib/mail/record.c \
	src/lib/mail/record.h \
	src/lib/mail/record_get.c \
	src/lib/mail/record_print.c \
	src/lib/mail/value.c \
	src/lib/mail/value.h
EXTRA_DIST += src/lib/mail/README
