noinst_LIBRARIES += src/lib/loop/libloop.a
src_lib_loop_libloop_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(SYSTEMD_CFLAGS)
src_lib_loop_libloop_a_SOURCES = \
	src/lib/loop/conn.h \
	src/lib/loop/door.h \
	src/lib/loop/loop.h \
	src/lib/loop/pool.h
