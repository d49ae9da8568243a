noinst_LIBRARIES += src/lib/http/libhttp.a
src_lib_http_libhttp_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS)
src_lib_http_libhttp_a_SOURCES = \
	src/lib/http/client.h \
	src/lib/http/server.h
