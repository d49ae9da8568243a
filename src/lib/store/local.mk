noinst_LIBRARIES += src/lib/store/libstore.a
src_lib_store_libstore_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
src_lib_store_libstore_a_SOURCES = \
	src/lib/store/contact.h \
	src/lib/store/content.h \
	src/lib/store/letter.h \
	src/lib/store/mailbox.h \
	src/lib/store/notice.h \
	src/lib/store/store.h
