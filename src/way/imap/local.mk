noinst_LIBRARIES += src/way/imap/libimap.a
src_way_imap_libimap_a_SOURCES = \
	src/way/imap/body.c src/way/imap/body.h \
	src/way/imap/cmd_append.c \
	src/way/imap/cmd_auth.c \
	src/way/imap/cmd_box.c \
	src/way/imap/cmd_copy.c \
	src/way/imap/cmd_fetch.c \
	src/way/imap/cmd_list.c \
	src/way/imap/cmd_search.c \
	src/way/imap/cmd_store.c \
	src/way/imap/date.c src/way/imap/date.h \
	src/way/imap/expunge.h \
	src/way/imap/fetchatt.c src/way/imap/fetchatt.h \
	src/way/imap/flags.c src/way/imap/flags.h \
	src/way/imap/imap.h \
	src/way/imap/name.c src/way/imap/name.h \
	src/way/imap/parser.c src/way/imap/parser.h \
	src/way/imap/search.c src/way/imap/search.h \
	src/way/imap/seqset.c src/way/imap/seqset.h \
	src/way/imap/server.c \
	src/way/imap/session.c src/way/imap/session.h \
	src/way/imap/tell.c \
	src/way/imap/text.c src/way/imap/text.h \
	src/way/imap/verbs.c \
	src/way/imap/view.c src/way/imap/view.h
EXTRA_DIST += src/way/imap/README

LIB_IMAP = src/way/imap/libimap.a $(LIB_STORE) $(LIB_MIME) $(LIB_LOOP) $(LIB_BASE)

# The server alone, for clients of other people's making.
noinst_PROGRAMS += tests/unit/imap_host
tests_unit_imap_host_SOURCES = tests/unit/imap_host.c
tests_unit_imap_host_LDADD = $(LIB_IMAP)
