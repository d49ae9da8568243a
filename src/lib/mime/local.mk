noinst_LIBRARIES += src/lib/mime/libmime.a
src_lib_mime_libmime_a_CFLAGS = $(AM_CFLAGS) $(ETPAN_CFLAGS)
src_lib_mime_libmime_a_SOURCES = \
	src/lib/mime/address.c \
	src/lib/mime/decode.c \
	src/lib/mime/dsn.c \
	src/lib/mime/dsn.h \
	src/lib/mime/field.c \
	src/lib/mime/field.h \
	src/lib/mime/header.c \
	src/lib/mime/header.h \
	src/lib/mime/imap.c \
	src/lib/mime/mime.c \
	src/lib/mime/mime.h \
	src/lib/mime/scan.c \
	src/lib/mime/tree.h
EXTRA_DIST += src/lib/mime/README

check_PROGRAMS += tests/unit/test_mime
tests_unit_test_mime_SOURCES = tests/unit/test_mime.c tests/unit/unit.h
tests_unit_test_mime_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_mime_LDADD = $(LIB_MIME) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_header
tests_unit_test_header_SOURCES = tests/unit/test_header.c tests/unit/unit.h
tests_unit_test_header_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_header_LDADD = $(LIB_MIME) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_dsn
tests_unit_test_dsn_SOURCES = tests/unit/test_dsn.c tests/unit/unit.h
tests_unit_test_dsn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_dsn_LDADD = $(LIB_MIME) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_mime tests/fuzz/fuzz_header
tests_fuzz_fuzz_mime_SOURCES = tests/fuzz/fuzz_mime.c
tests_fuzz_fuzz_mime_LDADD = $(FUZZ_MAIN) $(LIB_MIME)
tests_fuzz_fuzz_header_SOURCES = tests/fuzz/fuzz_header.c
tests_fuzz_fuzz_header_LDADD = $(FUZZ_MAIN) $(LIB_MIME)
