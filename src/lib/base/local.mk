noinst_LIBRARIES += src/lib/base/libbase.a
EXTRA_DIST += src/lib/base/README
src_lib_base_libbase_a_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
src_lib_base_libbase_a_SOURCES = \
	src/lib/base/bytes.c \
	src/lib/base/bytes.h \
	src/lib/base/clock.c \
	src/lib/base/clock.h \
	src/lib/base/digest.c \
	src/lib/base/digest.h \
	src/lib/base/err.c \
	src/lib/base/err.h \
	src/lib/base/files.c \
	src/lib/base/files.h \
	src/lib/base/hostport.c \
	src/lib/base/hostport.h \
	src/lib/base/limits.h \
	src/lib/base/log.c \
	src/lib/base/log.h \
	src/lib/base/mem.c \
	src/lib/base/mem.h
