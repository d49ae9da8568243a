noinst_LIBRARIES += src/lib/mime/libmime.a
src_lib_mime_libmime_a_CFLAGS = $(AM_CFLAGS) $(ETPAN_CFLAGS)
src_lib_mime_libmime_a_SOURCES = \
	src/lib/mime/dsn.h \
	src/lib/mime/header.h \
	src/lib/mime/mime.h
