noinst_LIBRARIES += src/lib/pgp/libpgp.a
src_lib_pgp_libpgp_a_CFLAGS = $(AM_CFLAGS) $(GPGME_CFLAGS)
src_lib_pgp_libpgp_a_SOURCES = \
	src/lib/pgp/pgp.h
