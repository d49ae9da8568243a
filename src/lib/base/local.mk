noinst_LIBRARIES += src/lib/base/libbase.a
src_lib_base_libbase_a_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
src_lib_base_libbase_a_SOURCES = \
	src/lib/base/bytes.h \
	src/lib/base/clock.h \
	src/lib/base/digest.h \
	src/lib/base/err.h \
	src/lib/base/files.h \
	src/lib/base/limits.h \
	src/lib/base/log.h
