noinst_LIBRARIES += src/lib/pgp/libpgp.a
src_lib_pgp_libpgp_a_CFLAGS = $(AM_CFLAGS) $(GPGME_CFLAGS)
src_lib_pgp_libpgp_a_SOURCES = \
	src/lib/pgp/flow.c \
	src/lib/pgp/home.c \
	src/lib/pgp/key.c \
	src/lib/pgp/open.c \
	src/lib/pgp/pgp.h \
	src/lib/pgp/sign.c \
	src/lib/pgp/work.c \
	src/lib/pgp/work.h
