noinst_LIBRARIES += src/lib/dht/libdht.a
EXTRA_DIST += src/lib/dht/README tests/tsan.supp
src_lib_dht_libdht_a_CFLAGS = $(AM_CFLAGS) $(OPENDHT_CFLAGS)
src_lib_dht_libdht_a_SOURCES = \
	src/lib/dht/dht.c \
	src/lib/dht/dht.h \
	src/lib/dht/hook.c \
	src/lib/dht/internal.h \
	src/lib/dht/node_id.c \
	src/lib/dht/nodes.c \
	src/lib/dht/ops.c

check_PROGRAMS += tests/unit/test_dht
tests_unit_test_dht_SOURCES = tests/unit/test_dht.c tests/unit/unit.h
tests_unit_test_dht_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_dht_LDADD = $(LIB_DHT) $(CHECK_LIBS)
