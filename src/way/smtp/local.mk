noinst_LIBRARIES += src/way/smtp/libsmtp.a
src_way_smtp_libsmtp_a_SOURCES = \
	src/way/smtp/smtp.h
