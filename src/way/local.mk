# The stations without a foreign library of their own.
noinst_LIBRARIES += src/way/libway.a
src_way_libway_a_SOURCES = \
	src/way/deliver/deliver.c \
	src/way/deliver/deliver.h \
	src/way/fetch/feed.c \
	src/way/fetch/feed.h \
	src/way/fetch/fetch.c \
	src/way/fetch/fetch.h \
	src/way/fetch/opening.c \
	src/way/fetch/opening.h \
	src/way/fetch/pieces.c \
	src/way/fetch/pieces.h \
	src/way/fetch/pull.h \
	src/way/fetch/race.c \
	src/way/fetch/sources.c \
	src/way/fetch/sources.h \
	src/way/fetch/swarm.c \
	src/way/group/change.c \
	src/way/group/find.c \
	src/way/group/group.c \
	src/way/group/group.h \
	src/way/group/holders.c \
	src/way/group/join.c \
	src/way/group/judge.c \
	src/way/group/judge.h \
	src/way/group/list.c \
	src/way/group/network.c \
	src/way/group/show.c \
	src/way/group/state.h \
	src/way/notify/hear.c \
	src/way/notify/make.c \
	src/way/notify/make.h \
	src/way/notify/notify.c \
	src/way/notify/notify.h \
	src/way/notify/read.c \
	src/way/notify/read.h \
	src/way/notify/send.c \
	src/way/notify/state.h \
	src/way/outbox/fellow.c \
	src/way/outbox/members.c \
	src/way/outbox/members.h \
	src/way/outbox/offers.c \
	src/way/outbox/offers.h \
	src/way/outbox/outbox.c \
	src/way/outbox/outbox.h \
	src/way/outbox/put.c \
	src/way/outbox/state.h \
	src/way/replica/apply.c \
	src/way/replica/asked.c \
	src/way/replica/bring.c \
	src/way/replica/confirm.c \
	src/way/replica/elect.c \
	src/way/replica/elect.h \
	src/way/replica/held.c \
	src/way/replica/held.h \
	src/way/replica/ours.c \
	src/way/replica/ours.h \
	src/way/replica/pull.c \
	src/way/replica/push.c \
	src/way/replica/put.c \
	src/way/replica/replicas.c \
	src/way/replica/replicas.h \
	src/way/replica/stand.c \
	src/way/replica/state.h \
	src/way/replica/sync.c \
	src/way/replica/tell.c \
	src/way/resolve/check.c \
	src/way/resolve/check.h \
	src/way/resolve/own.c \
	src/way/resolve/own.h \
	src/way/resolve/resolve.c \
	src/way/resolve/resolve.h \
	src/way/seal/seal.c \
	src/way/seal/seal.h

check_PROGRAMS += tests/unit/test_judge
tests_unit_test_judge_SOURCES = tests/unit/test_judge.c tests/unit/unit.h
tests_unit_test_judge_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_judge_LDADD = src/way/libway.a $(LIB_PGP) $(LIB_MAIL) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_judge
tests_fuzz_fuzz_judge_SOURCES = tests/fuzz/fuzz_judge.c
tests_fuzz_fuzz_judge_LDADD = $(FUZZ_MAIN) src/way/libway.a $(LIB_PGP) $(LIB_MAIL)

check_PROGRAMS += tests/unit/test_fetch
tests_unit_test_fetch_SOURCES = tests/unit/test_fetch.c tests/unit/holders.h tests/unit/turns.h tests/unit/unit.h
tests_unit_test_fetch_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_fetch_LDADD = src/way/libway.a $(LIB_HTTP) $(LIB_MIME) $(LIB_MAIL) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_fetch_pure
tests_unit_test_fetch_pure_SOURCES = tests/unit/test_fetch_pure.c tests/unit/unit.h
tests_unit_test_fetch_pure_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_fetch_pure_LDADD = src/way/libway.a $(LIB_BASE) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/test_members tests/unit/test_offers tests/unit/test_replica_pure tests/unit/test_replica_sync
check_PROGRAMS += tests/unit/test_seal
tests_unit_test_seal_SOURCES = tests/unit/test_seal.c tests/unit/unit.h
tests_unit_test_seal_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_seal_LDADD = src/way/libway.a $(LIB_ALL) $(CHECK_LIBS)
tests_unit_test_offers_SOURCES = tests/unit/test_offers.c tests/unit/unit.h
tests_unit_test_offers_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_offers_LDADD = src/way/libway.a $(LIB_STORE) $(LIB_MAIL) $(CHECK_LIBS)
tests_unit_test_replica_sync_SOURCES = tests/unit/test_replica_sync.c tests/unit/store.h tests/unit/unit.h
tests_unit_test_replica_sync_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_replica_sync_LDADD = src/way/libway.a $(LIB_STORE) $(LIB_MAIL) $(CHECK_LIBS)
tests_unit_test_members_SOURCES = tests/unit/test_members.c tests/unit/unit.h
tests_unit_test_members_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_members_LDADD = src/way/libway.a $(LIB_STORE) $(LIB_MAIL) $(CHECK_LIBS)
tests_unit_test_replica_pure_SOURCES = tests/unit/test_replica_pure.c tests/unit/unit.h
tests_unit_test_replica_pure_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_replica_pure_LDADD = src/way/libway.a $(LIB_MAIL) $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_held
tests_fuzz_fuzz_held_SOURCES = tests/fuzz/fuzz_held.c
tests_fuzz_fuzz_held_LDADD = $(FUZZ_MAIN) src/way/libway.a $(LIB_MAIL)
