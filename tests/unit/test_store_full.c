/* A full disk, a real one: a small tmpfs. Without the right to mount one this is skipped. */
#include <sys/mount.h>

#include "lib/store/replica.h"
#include "store.h"

static unsigned heard_true, heard_false, undone;
static char *filler;

static void hear(void *arg, bool durable)
{
	(void)arg;
	if (durable)
		heard_true++;
	else
		heard_false++;
}

static void count_undone(void *arg)
{
	(void)arg;
	undone++;
}

static void fill(void)
{
	static char block[4096];
	int fd = open(filler, O_CREAT | O_WRONLY | O_APPEND, 0600);

	ck_assert_int_ge(fd, 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* A message of some size, until the disk has no more room. */
static void add_one(uint64_t *content)
{
	static char envelope[8192];

	memset(envelope, 'e', sizeof(envelope) - 1);
	struct content c = { .place = PLACE_NONE, .envelope = envelope, .size = 1 };
	store_content_add(st, &c);
	store_message_add(st, store_mailbox_find(st, "INBOX"), c.id, 0, 0, 0);
	store_when_durable(st, hear, NULL);
	*content = c.id;
}

START_TEST(full_disk)
{
	uint64_t content, kept;

	store_watch(st, &(struct store_watcher){ .undone = count_undone, .arg = st });
	add_one(&kept);
	store_turn(st);
	ck_assert_uint_eq(heard_true, 1);
	fill();
	unsigned turns = 0;
	for (; undone == 0 && turns < 1000; turns++) {
		add_one(&content);
		store_turn(st);
	}
	ck_assert_uint_eq(undone, 1);
	ck_assert_uint_eq(heard_false, 1);
	ck_assert_uint_eq(log_take_warnings(), 1);
	struct mailbox *inbox = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(inbox->n_messages, heard_true);
	ck_assert_ptr_null(store_content_find(st, ctx, content));

	/* Still full: heard again, logged no more; what is there can be read. */
	add_one(&content);
	store_turn(st);
	ck_assert_uint_eq(heard_false, 2);
	ck_assert_uint_eq(log_take_warnings(), 0);
	ck_assert_ptr_nonnull(store_content_find(st, ctx, kept));

	/* Room again: it goes on where it was; of the UIDs that were undone nobody has heard. */
	ck_assert_int_eq(unlink(filler), 0);
	uint32_t next = inbox->uidnext;
	ck_assert_uint_eq(next, heard_true + 1);
	add_one(&content);
	store_turn(st);
	ck_assert_uint_eq(heard_false, 2);
	unit_reopen();
	inbox = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(inbox->n_messages, heard_true);
	ck_assert_uint_eq(inbox->messages[inbox->n_messages - 1].uid, next);
	ck_assert_ptr_nonnull(store_content_find(st, ctx, content));
}
END_TEST

static struct content spooled(const char *text)
{
	struct content c = { .place = PLACE_SPOOL, .size = strlen(text) };

	unit_file(PLACE_SPOOL, text, c.digest);
	store_content_add(st, &c);
	store_place_new(st, PLACE_SPOOL, c.digest);
	return c;
}

/* A file whose rows were undone goes while the disk is still full; one that has a row, too, stays. */
START_TEST(full_disk_keeps_no_file)
{
	uint64_t content;
	struct content kept = spooled("kept");

	store_turn(st);
	struct content lost = spooled("lost"), again = spooled("kept");
	fill();
	for (int i = 0; i < 600; i++)
		add_one(&content);
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	ck_assert_ptr_null(store_content_find(st, ctx, lost.id));
	ck_assert_ptr_null(store_content_find(st, ctx, again.id));
	ck_assert(store_waits(st));
	store_turn(st);
	ck_assert(!unit_there(PLACE_SPOOL, lost.digest));
	ck_assert(unit_there(PLACE_SPOOL, kept.digest));
	ck_assert_int_eq(unlink(filler), 0);
	/* What came to be is not touched by what fails later. */
	fill();
	for (int i = 0; i < 600; i++)
		add_one(&content);
	store_turn(st);
	store_turn(st);
	log_take_warnings();
	ck_assert(unit_there(PLACE_SPOOL, kept.digest));
	ck_assert_int_eq(unlink(filler), 0);
}
END_TEST

/* A transaction too large for the cache spills to disk while it is written: SQLite may end it by itself. */
START_TEST(full_in_the_middle)
{
	uint64_t content;
	uint64_t before = store_mailbox_find(st, "INBOX")->id;

	fill();
	for (int i = 0; i < 600; i++)
		add_one(&content);
	store_turn(st);
	ck_assert_uint_eq(heard_true, 0);
	ck_assert_uint_eq(heard_false, 600);
	ck_assert_uint_eq(log_take_warnings(), 1);
	struct mailbox *inbox = store_mailbox_get(st, before);
	ck_assert_uint_eq(inbox->n_messages, 0);
	ck_assert_int_eq(unlink(filler), 0);
	store_meta_set(st, "x", 1);
	unit_reopen();
	ck_assert_int_eq(store_meta_get(st, "x", 0), 1);
	ck_assert_uint_eq(store_mailbox_find(st, "INBOX")->n_messages, 0);
}
END_TEST

/* Lists of other members do not fit any more: the last ones stay, with their rows. */
START_TEST(full_of_replicas)
{
	static uint8_t list[65536];
	struct replica_owner o = { .address = "ann@home" };
	unsigned turns = 0;

	store_watch(st, &(struct store_watcher){ .undone = count_undone, .arg = st });
	fill();
	for (; undone == 0 && turns < 1000; turns++) {
		struct replica r = { .owner = "ann@home", .listed = true };

		r.hash[0] = (uint8_t)turns;
		r.hash[1] = (uint8_t)(turns >> 8);
		list[0] = (uint8_t)turns;
		o.serial = turns + 1;
		store_replica_save(st, &r);
		store_replica_list_set(st, "ann@home", bytes_of(list, sizeof(list)));
		store_replica_owner_save(st, &o);
		store_when_durable(st, hear, NULL);
		store_turn(st);
	}
	ck_assert_uint_eq(undone, 1);
	ck_assert_uint_eq(log_take_warnings(), 1);
	size_t n;
	struct replica_owner *g = store_replica_owner_find(st, ctx, "ann@home");
	store_replica_all(st, ctx, "ann@home", &n);
	ck_assert_uint_eq(n, heard_true);
	ck_assert_uint_eq(g ? g->serial : 0, heard_true);
	ck_assert(!g || store_replica_list(st, ctx, "ann@home").data[0] == (uint8_t)(heard_true - 1));
}
END_TEST

START_TEST(full_at_start)
{
	struct err e = { "" };

	store_close(&st);
	fill();
	st = store_open(unit_dir, &e);
	ck_assert_msg(st != NULL || e.text[0] != '\0', "no reason given");
	store_close(&st);
	ck_assert_int_eq(unlink(filler), 0);
	log_take_warnings();
	unit_open();
}
END_TEST

static char mount_dir[] = "/tmp/p2pfull.XXXXXX";

static void full_setup(void)
{
	snprintf(unit_dir, sizeof(unit_dir), "%s/state", mount_dir);
	ctx = mem_ctx(NULL);
	filler = mem_printf(ctx, "%s/filler", mount_dir);
	unit_open();
}

static void full_teardown(void)
{
	unlink(filler);
	unit_teardown();
}

static int run(void)
{
	Suite *suite = suite_create("store_full");
	TCase *tcase = tcase_create("store_full");

	tcase_add_checked_fixture(tcase, unit_quiet, unit_no_warnings);
	tcase_add_checked_fixture(tcase, full_setup, full_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, full_disk);
	tcase_add_test(tcase, full_disk_keeps_no_file);
	tcase_add_test(tcase, full_in_the_middle);
	tcase_add_test(tcase, full_of_replicas);
	tcase_add_test(tcase, full_at_start);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(void)
{
	int status = 77;

	if (!mkdtemp(mount_dir))
		return EXIT_FAILURE;
	if (mount("none", mount_dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=700") == 0) {
		status = run();
		umount2(mount_dir, MNT_DETACH);
	}
	rmdir(mount_dir);
	return status;
}
