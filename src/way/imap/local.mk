noinst_LIBRARIES += src/way/imap/libimap.a
src_way_imap_libimap_a_SOURCES = \
	src/way/imap/imap.h
