/* Small m' and heads are rows, which any thread may read; large ones are files. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/store/sealed.h"
#include "store.h"

/* What can be read under this name; data NULL: nothing. */
static struct bytes read_sealed(const uint8_t hash[32])
{
	int fd = store_sealed_open(st, hash);

	if (fd < 0) {
		ck_assert_int_eq(errno, ENOENT);
		return bytes_of(NULL, 0);
	}
	uint8_t *octets = mem_array(ctx, uint8_t, SEALED_SMALL + 1);
	ssize_t n = files_read(fd, octets, SEALED_SMALL + 1);

	close(fd);
	ck_assert_int_ge(n, 0);
	return bytes_of(octets, (size_t)n);
}

static void assert_sealed(const uint8_t hash[32], const char *text)
{
	struct bytes got = read_sealed(hash);

	if (!text)
		ck_assert_ptr_null(got.data);
	else
		ck_assert(got.data && got.len == strlen(text) && memcmp(got.data, text, got.len) == 0);
}

/* A letter with a small m' and a head. */
static struct letter add_letter(const char *m, const char *head)
{
	struct content c = unit_content(PLACE_SPOOL, m);
	struct letter l = { .content = c.id, .sealed = true, .has_head = true };

	store_letter_add(st, &l, NULL, 0);
	digest_of(bytes_str(m), l.hash);
	digest_of(bytes_str(head), l.head_hash);
	store_sealed_add(st, l.hash, bytes_str(m));
	store_sealed_add(st, l.head_hash, bytes_str(head));
	store_letter_save(st, &l);
	return l;
}

START_TEST(row)
{
	struct letter l = add_letter("sealed", "head");

	assert_sealed(l.hash, NULL);	/* not committed: nobody may have it yet */
	store_turn(st);
	assert_sealed(l.hash, "sealed");
	assert_sealed(l.head_hash, "head");
	ck_assert(!unit_there(PLACE_OUTBOX, l.hash));
	unit_reopen();
	assert_sealed(l.hash, "sealed");
	store_letter_drop_files(st, &l);
	store_turn(st);
	assert_sealed(l.hash, NULL);
	assert_sealed(l.head_hash, NULL);
}
END_TEST

START_TEST(file)
{
	uint8_t hash[32];

	unit_file(PLACE_OUTBOX, "a large one", hash);
	assert_sealed(hash, "a large one");
}
END_TEST

START_TEST(largest)
{
	char *text = mem_array(ctx, char, SEALED_SMALL + 1);
	uint8_t hash[32] = { 7 };

	memset(text, 'x', SEALED_SMALL);
	text[SEALED_SMALL] = '\0';
	store_sealed_add(st, hash, bytes_str(text));
	store_turn(st);
	assert_sealed(hash, text);
}
END_TEST

START_TEST(forgotten)
{
	struct letter l = add_letter("sealed", "head"), other = add_letter("another", "and its head");

	l.done = true;
	store_letter_save(st, &l);
	store_turn(st);
	store_letter_forget(st, INT64_MAX);
	store_turn(st);
	assert_sealed(l.hash, NULL);
	assert_sealed(other.hash, "another");
}
END_TEST

/* The copy that somebody has is his. */
START_TEST(open_copy)
{
	struct letter l = add_letter("sealed", "head");
	char text[8] = "";

	store_turn(st);
	int fd = store_sealed_open(st, l.hash);
	store_letter_drop_files(st, &l);
	store_turn(st);
	ck_assert_int_eq(files_read(fd, text, sizeof(text) - 1), 6);
	ck_assert_str_eq(text, "sealed");
	close(fd);
}
END_TEST

/* Written and written anew, and read meanwhile; each is one letter, again and again. */
enum { ROWS = 8, ROUNDS = 400, LEN = SEALED_SMALL };

static const uint8_t rows[ROWS][32] = { { 1 }, { 2 }, { 3 }, { 4 }, { 5 }, { 6 }, { 7 }, { 8 } };
static atomic_bool over;
static atomic_uint n_read, n_wrong;

static bool is_whole(int fd)
{
	char text[LEN + 1];
	ssize_t n = fd < 0 ? -1 : files_read(fd, text, sizeof(text));

	for (ssize_t i = 1; i < n; i++)
		if (text[i] != text[0])
			return false;
	return n == LEN;
}

static void *read_on(void *arg)
{
	(void)arg;
	while (!over) {
		int fd = store_sealed_open(st, rows[n_read % ROWS]);

		if (!is_whole(fd))
			n_wrong++;
		if (fd >= 0)
			close(fd);
		n_read++;
	}
	return NULL;
}

static void write_all(char letter)
{
	char text[LEN];

	memset(text, letter, LEN);
	for (unsigned i = 0; i < ROWS; i++)
		store_sealed_add(st, rows[i], bytes_of(text, LEN));
	store_turn(st);
}

static bool is_wal_empty(void)
{
	struct stat wal;

	return stat(mem_printf(ctx, "%s/state.db-wal", unit_dir), &wal) == 0 && wal.st_size == 0;
}

/* The loop writes, and copies and truncates the WAL again and again: neither is in the other's way. */
START_TEST(beside_the_loop)
{
	pthread_t threads[2];
	unsigned n_empty = 0;

	write_all('a');
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		write_all((char)('a' + i % 26));
		n_empty += is_wal_empty();
	}
	over = true;
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(n_read, ROUNDS);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_gt(n_empty, 0);
	printf("%u reads beside %u commits, after %u of which the WAL was empty\n", n_read, ROUNDS, n_empty);
}
END_TEST

START_TEST(undone)
{
	struct letter l = add_letter("sealed", "head");

	store_content_add(st, &(struct content){ .place = PLACE_INBOX });	/* has no file: nothing of it can be committed */
	store_turn(st);
	ck_assert_uint_eq(log_take_warnings(), 1);
	assert_sealed(l.hash, NULL);
	l = add_letter("sealed", "head");
	store_turn(st);
	assert_sealed(l.hash, "sealed");
}
END_TEST

STORE_SUITE("store_sealed") {
	UNIT(row);
	UNIT(file);
	UNIT(largest);
	UNIT(forgotten);
	UNIT(open_copy);
	UNIT(undone);
	UNIT(beside_the_loop);
} UNIT_END
