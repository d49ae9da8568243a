noinst_LIBRARIES += src/lib/mail/libmail.a
src_lib_mail_libmail_a_CFLAGS = $(AM_CFLAGS) $(UNISTRING_CFLAGS)
src_lib_mail_libmail_a_SOURCES = \
	src/lib/mail/addr.h \
	src/lib/mail/ns.h \
	src/lib/mail/packets.h \
	src/lib/mail/peer.h \
	src/lib/mail/record.h \
	src/lib/mail/value.h
