noinst_LIBRARIES += src/lib/store/libstore.a
src_lib_store_libstore_a_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
src_lib_store_libstore_a_SOURCES = \
	src/lib/store/check.c \
	src/lib/store/check.h \
	src/lib/store/contact.c \
	src/lib/store/contact.h \
	src/lib/store/content.c \
	src/lib/store/content.h \
	src/lib/store/db.c \
	src/lib/store/expunged.c \
	src/lib/store/fold.c \
	src/lib/store/group.c \
	src/lib/store/group.h \
	src/lib/store/ids.c \
	src/lib/store/journal.c \
	src/lib/store/keyword.c \
	src/lib/store/letter.c \
	src/lib/store/letter.h \
	src/lib/store/mailbox.c \
	src/lib/store/mailbox.h \
	src/lib/store/message.c \
	src/lib/store/name.c \
	src/lib/store/notice.c \
	src/lib/store/notice.h \
	src/lib/store/own.c \
	src/lib/store/place.c \
	src/lib/store/priv.h \
	src/lib/store/rcpt.c \
	src/lib/store/replica.c \
	src/lib/store/replica.h \
	src/lib/store/schema.c \
	src/lib/store/sealed.c \
	src/lib/store/sealed.h \
	src/lib/store/space.c \
	src/lib/store/store.c \
	src/lib/store/store.h \
	src/lib/store/subscription.c \
	src/lib/store/sync.c \
	src/lib/store/sync.h \
	src/lib/store/uids.c \
	src/lib/store/watch.c
EXTRA_DIST += src/lib/store/README

STORE_TESTS = \
	tests/unit/test_store_check \
	tests/unit/test_store_expunged \
	tests/unit/test_store_full \
	tests/unit/test_store_journal \
	tests/unit/test_store_group \
	tests/unit/test_store_letter \
	tests/unit/test_store_mailbox \
	tests/unit/test_store_notice \
	tests/unit/test_store_replica \
	tests/unit/test_store_sealed \
	tests/unit/test_store_sync \
	tests/unit/test_store_turn
check_PROGRAMS += $(STORE_TESTS)
tests_unit_test_store_check_SOURCES = tests/unit/test_store_check.c tests/unit/store_back.h \
	tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_check_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_check_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_expunged_SOURCES = tests/unit/test_store_expunged.c tests/unit/store_back.h \
	tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_expunged_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_expunged_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_full_SOURCES = tests/unit/test_store_full.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_full_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_full_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_journal_SOURCES = tests/unit/test_store_journal.c tests/unit/store_back.h \
	tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_journal_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_journal_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_group_SOURCES = tests/unit/test_store_group.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_group_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_group_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_letter_SOURCES = tests/unit/test_store_letter.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_letter_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_letter_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_mailbox_SOURCES = tests/unit/test_store_mailbox.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_mailbox_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_mailbox_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_notice_SOURCES = tests/unit/test_store_notice.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_notice_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_notice_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_replica_SOURCES = tests/unit/test_store_replica.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_replica_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_replica_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_sealed_SOURCES = tests/unit/test_store_sealed.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_sealed_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_sealed_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_sync_SOURCES = tests/unit/test_store_sync.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_sync_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(SQLITE_CFLAGS)
tests_unit_test_store_sync_LDADD = $(LIB_STORE) $(CHECK_LIBS)
tests_unit_test_store_turn_SOURCES = tests/unit/test_store_turn.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_store_turn_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_store_turn_LDADD = $(LIB_STORE) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_flags tests/fuzz/fuzz_mailbox
tests_fuzz_fuzz_flags_SOURCES = tests/fuzz/fuzz_flags.c
tests_fuzz_fuzz_flags_LDADD = $(FUZZ_MAIN) $(LIB_STORE)
tests_fuzz_fuzz_mailbox_SOURCES = tests/fuzz/fuzz_mailbox.c
tests_fuzz_fuzz_mailbox_LDADD = $(FUZZ_MAIN) $(LIB_STORE)
