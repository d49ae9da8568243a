noinst_LIBRARIES += src/lib/dht/libdht.a
src_lib_dht_libdht_a_CFLAGS = $(AM_CFLAGS) $(OPENDHT_CFLAGS)
src_lib_dht_libdht_a_SOURCES = \
	src/lib/dht/dht.h
