pkglibexec_PROGRAMS += p2pmta-clerk
EXTRA_DIST += src/app/clerk/README
p2pmta_clerk_SOURCES = src/app/clerk/main.c
p2pmta_clerk_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed
p2pmta_clerk_LDADD = $(LIB_PGP)
EXTRA_tests_unit_test_pgp_DEPENDENCIES = p2pmta-clerk$(EXEEXT)
EXTRA_tests_unit_test_clerk_DEPENDENCIES = p2pmta-clerk$(EXEEXT)
