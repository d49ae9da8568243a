noinst_LIBRARIES += src/way/imap/libimap.a
src_way_imap_libimap_a_SOURCES = \
	src/way/imap/binary.c src/way/imap/binary.h \
	src/way/imap/body.c src/way/imap/body.h \
	src/way/imap/cmd_append.c \
	src/way/imap/cmd_auth.c \
	src/way/imap/cmd_box.c \
	src/way/imap/cmd_copy.c \
	src/way/imap/cmd_fetch.c \
	src/way/imap/cmd_list.c \
	src/way/imap/cmd_quota.c \
	src/way/imap/cmd_search.c \
	src/way/imap/cmd_select.c \
	src/way/imap/cmd_sort.c \
	src/way/imap/cmd_store.c \
	src/way/imap/date.c src/way/imap/date.h \
	src/way/imap/expunge.h \
	src/way/imap/fetchatt.c src/way/imap/fetchatt.h \
	src/way/imap/flags.c src/way/imap/flags.h \
	src/way/imap/found.h \
	src/way/imap/imap.h \
	src/way/imap/name.c src/way/imap/name.h \
	src/way/imap/parser.c src/way/imap/parser.h \
	src/way/imap/pulls.c \
	src/way/imap/search.c src/way/imap/search.h \
	src/way/imap/seqset.c src/way/imap/seqset.h \
	src/way/imap/server.c \
	src/way/imap/session.c src/way/imap/session.h \
	src/way/imap/subject.c src/way/imap/subject.h \
	src/way/imap/tell.c \
	src/way/imap/text.c src/way/imap/text.h \
	src/way/imap/thread.c src/way/imap/thread.h \
	src/way/imap/transfer.c src/way/imap/transfer.h \
	src/way/imap/vanished.c src/way/imap/vanished.h \
	src/way/imap/verbs.c \
	src/way/imap/view.c src/way/imap/view.h
EXTRA_DIST += src/way/imap/README tests/scenes/imap-durable.scene tests/scenes/imap-qresync.scene tests/scenes/imap-quota.scene tests/scenes/imap-rfc.scene tests/scenes/imap-special.scene tests/scenes/imap-utf8.scene \
	tests/scenes/imap-append.scene tests/scenes/imap-binary.scene tests/scenes/imap-idle.scene tests/scenes/imap-lazy.scene tests/scenes/imap-rev2.scene tests/scenes/imap-subscriptions.scene

LIB_IMAP = src/way/imap/libimap.a $(LIB_STORE) $(LIB_MIME) $(LIB_MAIL) $(LIB_LOOP) $(LIB_BASE)

# The server alone, for clients of other people's making.
noinst_PROGRAMS += tests/unit/imap_host
tests_unit_imap_host_SOURCES = tests/unit/imap_host.c
tests_unit_imap_host_LDADD = $(LIB_IMAP)
dist_check_SCRIPTS += tests/imap-clients tests/imap-compress tests/imap-hostile tests/imap-killed tests/imap-pulls tests/imap-resync tests/imap-syncs
EXTRA_DIST += tests/imap_host.py

IMAP_TESTS = tests/unit/test_imap_parser tests/unit/test_imap_words
check_PROGRAMS += $(IMAP_TESTS)
tests_unit_test_imap_parser_SOURCES = tests/unit/test_imap_parser.c tests/unit/unit.h
tests_unit_test_imap_parser_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_imap_parser_LDADD = $(LIB_IMAP) $(CHECK_LIBS)
tests_unit_test_imap_words_SOURCES = tests/unit/test_imap_words.c tests/unit/unit.h
tests_unit_test_imap_words_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_imap_words_LDADD = $(LIB_IMAP) $(CHECK_LIBS)
check_PROGRAMS += tests/unit/test_imap_session
tests_unit_test_imap_session_SOURCES = tests/unit/test_imap_session.c tests/unit/imap_scenes.h tests/unit/unit.h
tests_unit_test_imap_session_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_imap_session_LDADD = $(LIB_BASE) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_imap_parser tests/fuzz/fuzz_imap_session tests/fuzz/fuzz_imap_text
tests_fuzz_fuzz_imap_parser_SOURCES = tests/fuzz/fuzz_imap_parser.c
tests_fuzz_fuzz_imap_parser_LDADD = $(FUZZ_MAIN) $(LIB_IMAP)
tests_fuzz_fuzz_imap_session_SOURCES = tests/fuzz/fuzz_imap_session.c
tests_fuzz_fuzz_imap_session_LDADD = $(FUZZ_MAIN) $(LIB_IMAP)
tests_fuzz_fuzz_imap_text_SOURCES = tests/fuzz/fuzz_imap_text.c
tests_fuzz_fuzz_imap_text_LDADD = $(FUZZ_MAIN) $(LIB_IMAP)
