#ifndef TESTS_UNIT_STORE_H
#define TESTS_UNIT_STORE_H
/* A state folder that is gone after the test, and message files for it. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/store/contact.h"
#include "lib/store/letter.h"
#include "lib/store/mailbox.h"
#include "lib/store/notice.h"
#include "unit.h"

static char unit_dir[64];
static struct store *st;
static void *ctx;

static int unit_remove(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb, (void)type, (void)f;
	return remove(path);
}

static inline void unit_open(void)
{
	struct err e = { "" };

	st = store_open(unit_dir, &e);
	ck_assert_msg(st != NULL, "%s", e.text);
}

static inline void unit_setup(void)
{
	strcpy(unit_dir, "/tmp/p2pst.XXXXXX");
	ck_assert(mkdtemp(unit_dir) != NULL);
	ctx = mem_ctx(NULL);
	unit_open();
}

static inline void unit_teardown(void)
{
	store_close(&st);
	talloc_free(ctx);
	nftw(unit_dir, unit_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void unit_reopen(void)
{
	store_close(&st);
	unit_open();
}

/* A durable file with text in a place; its digest. */
static inline void unit_file(enum place place, const char *text, uint8_t digest[32])
{
	struct err e;
	char *tmp;
	int fd = files_tmp(ctx, store_dir(st, place), &tmp, &e);

	ck_assert_int_ge(fd, 0);
	digest_of(bytes_str(text), digest);
	ck_assert_int_eq(files_write(fd, text, strlen(text)), 0);
	ck_assert_int_eq(files_keep(fd, tmp, store_path(st, ctx, place, digest), &e), OK);
	close(fd);
}

static inline bool unit_there(enum place place, const uint8_t digest[32])
{
	return access(store_path(st, ctx, place, digest), F_OK) == 0;
}

/* A content with its file. */
static inline struct content unit_content(enum place place, const char *text)
{
	struct content c = { .size = strlen(text), .place = place, .envelope = "(env)", .body = "(b)",
		.bodystructure = "(bs)", .parts = "1", .skeleton = bytes_str("Subject: x\r\n\r\n") };

	if (place != PLACE_NONE)
		unit_file(place, text, c.digest);
	else
		digest_of(bytes_str(text), c.digest);
	store_content_add(st, &c);
	return c;
}

/* Like UNIT_SUITE, with a state folder for each test. */
#define STORE_SUITE(name) UNIT_SUITE(name) tcase_add_checked_fixture(unit_case, unit_setup, unit_teardown);

#endif
