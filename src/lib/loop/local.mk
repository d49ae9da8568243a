noinst_LIBRARIES += src/lib/loop/libloop.a
EXTRA_DIST += src/lib/loop/README
src_lib_loop_libloop_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(ZLIB_CFLAGS) $(SYSTEMD_CFLAGS)
src_lib_loop_libloop_a_SOURCES = \
	src/lib/loop/conn.c \
	src/lib/loop/conn.h \
	src/lib/loop/deflate.c \
	src/lib/loop/door.c \
	src/lib/loop/door.h \
	src/lib/loop/listener.c \
	src/lib/loop/loop.c \
	src/lib/loop/loop.h \
	src/lib/loop/pool.c \
	src/lib/loop/pool.h \
	src/lib/loop/private.h \
	src/lib/loop/sock.c \
	src/lib/loop/tls.c \
	src/lib/loop/watchdog.c

check_PROGRAMS += tests/unit/test_loop_turn
tests_unit_test_loop_turn_SOURCES = tests/unit/test_loop_turn.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_loop_turn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_loop_turn_LDADD = $(LIB_LOOP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_loop_threads
tests_unit_test_loop_threads_SOURCES = tests/unit/test_loop_threads.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_loop_threads_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_loop_threads_LDADD = $(LIB_LOOP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_loop_conn
tests_unit_test_loop_conn_SOURCES = tests/unit/test_loop_conn.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_loop_conn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_loop_conn_LDADD = $(LIB_LOOP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_loop_tls
tests_unit_test_loop_tls_SOURCES = tests/unit/test_loop_tls.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_loop_tls_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
tests_unit_test_loop_tls_LDADD = $(LIB_LOOP) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_loop_listener
tests_unit_test_loop_listener_SOURCES = tests/unit/test_loop_listener.c tests/unit/turns.h tests/unit/unit.h
tests_unit_test_loop_listener_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_loop_listener_LDADD = $(LIB_LOOP) $(CHECK_LIBS)
