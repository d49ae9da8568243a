noinst_LIBRARIES += src/lib/http/libhttp.a
EXTRA_DIST += src/lib/http/README
src_lib_http_libhttp_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS)
src_lib_http_libhttp_a_SOURCES = \
	src/lib/http/address.c \
	src/lib/http/address.h \
	src/lib/http/answer.c \
	src/lib/http/client.c \
	src/lib/http/client.h \
	src/lib/http/content_digest.c \
	src/lib/http/content_digest.h \
	src/lib/http/internal.h \
	src/lib/http/put.c \
	src/lib/http/range.c \
	src/lib/http/range.h \
	src/lib/http/server.c \
	src/lib/http/server.h \
	src/lib/http/server_internal.h \
	src/lib/http/transfer.c \
	src/lib/http/upload.c \
	src/lib/http/upload.h

check_PROGRAMS += tests/unit/test_http_put
tests_unit_test_http_put_SOURCES = tests/unit/test_http_put.c tests/unit/http_dial.h tests/unit/unit.h
tests_unit_test_http_put_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_put_LDADD = $(LIB_HTTP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_http_server
tests_unit_test_http_server_SOURCES = tests/unit/test_http_server.c tests/unit/http_dial.h tests/unit/unit.h
tests_unit_test_http_server_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_server_LDADD = $(LIB_HTTP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_http_pure
tests_unit_test_http_pure_SOURCES = tests/unit/test_http_pure.c tests/unit/unit.h
tests_unit_test_http_pure_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_pure_LDADD = $(LIB_HTTP) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c
tests_fuzz_fuzz_http_LDADD = $(FUZZ_MAIN) $(LIB_HTTP)

check_PROGRAMS += tests/unit/test_http_client
tests_unit_test_http_client_SOURCES = tests/unit/test_http_client.c tests/unit/http_script.h tests/unit/unit.h
tests_unit_test_http_client_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_client_LDADD = $(LIB_HTTP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_http_ends
tests_unit_test_http_ends_SOURCES = tests/unit/test_http_ends.c tests/unit/http_script.h tests/unit/turns.h tests/unit/unit.h
tests_unit_test_http_ends_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_ends_LDADD = $(LIB_HTTP) $(CHECK_LIBS)
