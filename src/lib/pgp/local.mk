noinst_LIBRARIES += src/lib/pgp/libpgp.a
src_lib_pgp_libpgp_a_CFLAGS = $(AM_CFLAGS) $(GPGME_CFLAGS)
src_lib_pgp_libpgp_a_SOURCES = \
	src/lib/pgp/clerk.c \
	src/lib/pgp/clerk.h \
	src/lib/pgp/direct.c \
	src/lib/pgp/flow.c \
	src/lib/pgp/home.c \
	src/lib/pgp/key.c \
	src/lib/pgp/look.c \
	src/lib/pgp/open.c \
	src/lib/pgp/pgp.h \
	src/lib/pgp/ring.c \
	src/lib/pgp/sign.c \
	src/lib/pgp/work.c \
	src/lib/pgp/work.h
EXTRA_DIST += src/lib/pgp/README

check_PROGRAMS += tests/unit/test_pgp_ring
tests_unit_test_pgp_ring_SOURCES = tests/unit/test_pgp_ring.c tests/unit/unit.h
tests_unit_test_pgp_ring_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_pgp_ring_LDADD = $(LIB_PGP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_pgp
tests_unit_test_pgp_SOURCES = tests/unit/test_pgp.c tests/unit/unit.h
tests_unit_test_pgp_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_pgp_LDADD = $(LIB_PGP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_clerk
tests_unit_test_clerk_SOURCES = tests/unit/test_clerk.c tests/unit/unit.h
tests_unit_test_clerk_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_clerk_LDADD = $(LIB_PGP) $(CHECK_LIBS)
