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
	src/lib/base/hex.c \
	src/lib/base/hostport.c \
	src/lib/base/hostport.h \
	src/lib/base/limits.h \
	src/lib/base/log.c \
	src/lib/base/log.h \
	src/lib/base/mem.c \
	src/lib/base/mem.h \
	src/lib/base/penalty.c \
	src/lib/base/penalty.h \
	src/lib/base/scram.c \
	src/lib/base/scram.h

check_PROGRAMS += tests/unit/test_base_text
tests_unit_test_base_text_SOURCES = tests/unit/test_base_text.c tests/unit/unit.h
tests_unit_test_base_text_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_base_text_LDADD = $(LIB_BASE) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_base_clock
tests_unit_test_base_clock_SOURCES = tests/unit/test_base_clock.c tests/unit/unit.h
tests_unit_test_base_clock_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_base_clock_LDADD = $(LIB_BASE) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_base_digest
tests_unit_test_base_digest_SOURCES = tests/unit/test_base_digest.c tests/unit/unit.h
tests_unit_test_base_digest_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_base_digest_LDADD = $(LIB_BASE) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_base_files
tests_unit_test_base_files_SOURCES = tests/unit/test_base_files.c tests/unit/unit.h
tests_unit_test_base_files_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_base_files_LDADD = $(LIB_BASE) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_base
tests_fuzz_fuzz_base_SOURCES = tests/fuzz/fuzz_base.c
tests_fuzz_fuzz_base_LDADD = $(FUZZ_MAIN) $(LIB_BASE)

check_PROGRAMS += tests/unit/test_hostport
tests_unit_test_hostport_SOURCES = tests/unit/test_hostport.c tests/unit/unit.h
tests_unit_test_hostport_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_hostport_LDADD = $(LIB_BASE) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_scram
tests_unit_test_scram_SOURCES = tests/unit/test_scram.c tests/unit/unit.h
tests_unit_test_scram_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_scram_LDADD = $(LIB_BASE) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_scram
tests_fuzz_fuzz_scram_SOURCES = tests/fuzz/fuzz_scram.c
tests_fuzz_fuzz_scram_LDADD = $(FUZZ_MAIN) $(LIB_BASE)
