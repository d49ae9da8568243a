EXTRA_DIST += tests/unit/unit.h tests/layers tests/sizes tests/fuzz/README tests/fuzz/corpus tests/fuzz/run \
	tests/variant tests/lint tests/cppcheck.suppress tests/fuzz/header.dict tests/fuzz/imap_parser.dict tests/fuzz/imap_session.dict \
	tests/fuzz/imap_text.dict tests/fuzz/mime.dict tests/fuzz/smtp_data.dict tests/fuzz/smtp_session.dict

check_LIBRARIES += tests/fuzz/libreplay.a
tests_fuzz_libreplay_a_SOURCES = tests/fuzz/replay.c

dist_check_SCRIPTS += tests/check-layers tests/check-sizes tests/check-options tests/check-checks

# What whole daemons are tested with.
EXTRA_DIST += tests/peers/README tests/peers/run tests/peers/peers.py tests/peers/wire.py tests/peers/imap_wire.py tests/peers/imap_model.py tests/peers/scene.py tests/peers/hosts.py tests/peers/relay.py \
	tests/peers/test_absent.py tests/peers/test_away.py tests/peers/test_cancel.py tests/peers/test_clients.py tests/peers/test_crash.py tests/peers/test_crowd.py \
	tests/peers/test_ctl.py tests/peers/test_demo.py tests/peers/test_disk.py tests/peers/test_dsn.py tests/peers/test_expiry.py tests/peers/test_flood.py tests/peers/test_forged.py tests/peers/test_group.py tests/peers/test_hosts.py tests/peers/test_init.py tests/peers/test_matrix.py tests/peers/test_mail.py tests/peers/test_open.py tests/peers/test_outbox.py tests/peers/test_queue.py tests/peers/test_rate.py tests/peers/test_replica.py tests/peers/test_return.py \
	tests/peers/test_secret.py tests/peers/test_stream.py tests/peers/test_submit.py tests/peers/test_thunderbird.py tests/peers/marionette.py tests/peers/test_to_absent.py tests/peers/test_two_groups.py
noinst_PROGRAMS += tests/peers/dht-values
tests_peers_dht_values_SOURCES = tests/peers/dht-values.c
tests_peers_dht_values_LDADD = $(LIB_DHT)

noinst_PROGRAMS += tests/peers/slow-disk.so
tests_peers_slow_disk_so_SOURCES = tests/peers/slow-disk.c
tests_peers_slow_disk_so_CFLAGS = -fPIC -D_GNU_SOURCE
tests_peers_slow_disk_so_LDFLAGS = -shared
tests_peers_slow_disk_so_LDADD = -ldl

EXTRA_DIST += tests/bench/README tests/bench/run tests/bench/groups

EXTRA_DIST += tests/scenes/README tests/scenes/smtp-auth.scene tests/scenes/smtp-bdat.scene tests/scenes/smtp-dsn.scene \
	tests/scenes/smtp-lines.scene tests/scenes/smtp-smuggling.scene

# The slow ones. Each variant is built in a folder of its own below this one.
.PHONY: lint check-peers check-asan check-tsan check-fuzz run-fuzz bench

lint:
	$(srcdir)/tests/lint .

check-peers: all
	BUILD_DIR=$(abs_builddir) $(srcdir)/tests/peers/run

bench: all
	BUILD_DIR=$(abs_builddir) $(srcdir)/tests/bench/run

check-asan:
	SANITIZER=1 SLOW=4 $(srcdir)/tests/variant build-asan "--enable-sanitizer=address,undefined CFLAGS='-O1 -g'" check check-peers

check-tsan:
	TSAN_OPTIONS="suppressions=$(abs_srcdir)/tests/tsan.supp $$TSAN_OPTIONS" SANITIZER=1 SLOW=5 $(srcdir)/tests/variant build-tsan "--enable-sanitizer=thread CFLAGS='-O1 -g'" check check-peers

check-fuzz:
	$(srcdir)/tests/variant build-fuzz "--enable-fuzz --enable-sanitizer=address,undefined CC=clang CFLAGS='-O1 -g'" run-fuzz

# In a folder configured with --enable-fuzz.
run-fuzz: $(FUZZ_TARGETS)
	$(srcdir)/tests/fuzz/run $(FUZZ_TARGETS:%=./%)

clean-local:
	rm -rf build-asan build-tsan build-fuzz
