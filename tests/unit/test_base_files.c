/* Files are there as a whole or not at all, private, and leave nothing behind when the disk says no. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "unit/unit.h"

static void *ctx;
static char *home;
static struct err e;

static char *in_home(const char *name)
{
	return mem_printf(ctx, "%s/%s", home, name);
}

static void set_up(void)
{
	char template[] = "/tmp/p2pmta-files.XXXXXX";

	ctx = mem_ctx(NULL);
	home = mem_strdup(ctx, mkdtemp(template));
	e.text[0] = '\0';
}

static void tear_down(void)
{
	char *command = mem_printf(ctx, "rm -rf '%s'", home);

	ck_assert_int_eq(system(command), 0);
	talloc_free(ctx);
}

static int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int)(st.st_mode & 0777) : -1;
}

static int count_in(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

START_TEST(mkdir_makes_parents)
{
	ck_assert_int_eq(files_mkdir(in_home("a//b/c/"), &e), OK);
	ck_assert_int_eq(mode_of(in_home("a")), 0700);
	ck_assert_int_eq(mode_of(in_home("a/b/c")), 0700);
	ck_assert_int_eq(files_mkdir(in_home("a/b/c"), &e), OK);
	ck_assert_int_eq(files_mkdir("/", &e), OK);
	ck_assert_int_eq(chdir(home), 0);
	ck_assert_int_eq(files_mkdir("r/s", &e), OK);
	ck_assert_int_eq(mode_of(in_home("r/s")), 0700);
	ck_assert_int_eq(files_put(in_home("file"), bytes_str("x"), &e), OK);
	ck_assert_int_eq(files_mkdir(in_home("file"), &e), RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "Not a directory"));
	ck_assert_int_eq(files_mkdir(in_home("file/below"), &e), RETRY);
}
END_TEST

START_TEST(tmp_becomes_a_file)
{
	char *tmp, *other, *path = in_home("ab/file");
	int fd = files_tmp(ctx, home, &tmp, &e), fd2 = files_tmp(ctx, home, &other, &e);
	struct bytes got;

	ck_assert_int_ge(fd, 0);
	ck_assert_str_ne(tmp, other);
	ck_assert_int_eq(mode_of(tmp), 0600);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(files_write(fd, "hello", 5), 0);
	ck_assert_int_eq(files_keep(fd, tmp, path, &e), OK);
	ck_assert_int_eq(access(tmp, F_OK), -1);
	ck_assert_int_eq(mode_of(path), 0600);
	ck_assert_int_eq(mode_of(in_home("ab")), 0700);
	ck_assert_int_eq(files_get(ctx, path, 5, &got, &e), OK);
	ck_assert(bytes_equal(got, bytes_str("hello")));
	ck_assert_int_eq(got.data[5], 0);
	close(fd);
	close(fd2);
	ck_assert_int_eq(files_tmp(ctx, in_home("none"), &tmp, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "No such file"));
}
END_TEST

START_TEST(keep_fails_and_says_why)
{
	char *tmp;
	int fd = files_tmp(ctx, home, &tmp, &e);

	ck_assert_int_eq(files_put(in_home("file"), bytes_str("x"), &e), OK);
	ck_assert_int_eq(files_keep(fd, tmp, in_home("file/x"), &e), RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "Not a directory"));
	ck_assert_int_eq(access(tmp, F_OK), 0);
	files_drop(tmp);
	ck_assert_int_eq(files_keep(fd, tmp, in_home("there"), &e), RETRY);
	ck_assert_int_eq(access(in_home("there"), F_OK), -1);
	close(fd);
	ck_assert_int_eq(files_keep(fd, tmp, in_home("there"), &e), RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "sync"));
}
END_TEST

START_TEST(sweep_takes_only_tmp)
{
	char *tmp;

	close(files_tmp(ctx, home, &tmp, &e));
	close(files_tmp(ctx, home, &tmp, &e));
	ck_assert_int_eq(files_put(in_home("keep.tmp"), bytes_str("x"), &e), OK);
	ck_assert_int_eq(files_put(in_home("sub/tmp.abc"), bytes_str("x"), &e), OK);
	ck_assert_int_eq(count_in(home), 4);
	files_sweep_tmp(home);
	ck_assert_int_eq(count_in(home), 2);
	ck_assert_int_eq(count_in(in_home("sub")), 1);
	files_sweep_tmp(in_home("none"));
}
END_TEST

START_TEST(put_replaces_as_a_whole)
{
	struct bytes got;

	ck_assert_int_eq(files_put(in_home("f"), bytes_str("one"), &e), OK);
	ck_assert_int_eq(files_put(in_home("f"), bytes_str("second"), &e), OK);
	ck_assert_int_eq(files_get(ctx, in_home("f"), 100, &got, &e), OK);
	ck_assert(bytes_equal(got, bytes_str("second")));
	ck_assert_int_eq(files_put(in_home("f"), bytes_of(NULL, 0), &e), OK);
	ck_assert_int_eq(files_get(ctx, in_home("f"), 0, &got, &e), OK);
	ck_assert_uint_eq(got.len, 0);
	ck_assert_int_eq(count_in(home), 1);
}
END_TEST

/* A disk that takes no more: the old file stays, the new one leaves nothing. */
START_TEST(put_on_a_full_disk)
{
	const struct rlimit little = { 10, RLIM_INFINITY };
	struct bytes got;

	ck_assert_int_eq(files_put(in_home("f"), bytes_str("old"), &e), OK);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
	enum outcome res = files_put(in_home("f"), bytes_str("more than ten octets"), &e);

	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	ck_assert_int_eq(res, RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "File too large"));
	ck_assert_int_eq(files_get(ctx, in_home("f"), 100, &got, &e), OK);
	ck_assert(bytes_equal(got, bytes_str("old")));
	ck_assert_int_eq(count_in(home), 1);

	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(files_write(fd, "x", 1), -1);
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}
END_TEST

START_TEST(get_refuses)
{
	struct bytes got;

	ck_assert_int_eq(files_get(ctx, in_home("none"), 10, &got, &e), REJECT);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(files_put(in_home("f"), bytes_str("0123456789"), &e), OK);
	ck_assert_int_eq(files_get(ctx, in_home("f"), 9, &got, &e), REJECT);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(files_get(ctx, home, 9, &got, &e), RETRY);
	ck_assert_ptr_nonnull(strstr(e.text, "Is a directory"));
	files_drop(in_home("f"));
	files_drop(in_home("f"));
	ck_assert_int_eq(count_in(home), 0);
}
END_TEST

START_TEST(read_until_the_end)
{
	char block[10];
	int pipes[2];

	ck_assert_int_eq(files_put(in_home("f"), bytes_str("0123456789"), &e), OK);
	int fd = open(in_home("f"), O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(files_read(fd, block, 4), 4);
	ck_assert_int_eq(files_read(fd, block, 10), 6);
	ck_assert_mem_eq(block, "456789", 6);
	ck_assert_int_eq(files_read(fd, block, 10), 0);
	ck_assert_int_eq(files_pread(fd, block, 10, 7), 3);
	ck_assert_mem_eq(block, "789", 3);
	ck_assert_int_eq(files_pread(fd, block, 10, 100), 0);
	close(fd);
	ck_assert_int_eq(files_read(fd, block, 10), -1);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(files_write(pipes[1], "abc", 3), 0);
	close(pipes[1]);
	ck_assert_int_eq(files_read(pipes[0], block, 10), 3);
	ck_assert_int_eq(files_pread(pipes[0], block, 10, 0), -1);
	close(pipes[0]);
}
END_TEST

START_TEST(in_memory)
{
	char text[8] = "";
	int fd = files_in_memory(bytes_str("hello"));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(files_read(fd, text, sizeof(text) - 1), 5);
	ck_assert_str_eq(text, "hello");
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}
END_TEST

START_TEST(fanout_by_the_first_octet)
{
	uint8_t digest[DIGEST_LEN] = { 0xab, 0xcd };

	ck_assert_str_eq(files_fanout(ctx, "/spool", digest),
	    "/spool/ab/abcd000000000000000000000000000000000000000000000000000000000000");
}
END_TEST

UNIT_SUITE("base_files")
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(mkdir_makes_parents);
	UNIT(tmp_becomes_a_file);
	UNIT(keep_fails_and_says_why);
	UNIT(sweep_takes_only_tmp);
	UNIT(put_replaces_as_a_whole);
	UNIT(put_on_a_full_disk);
	UNIT(get_refuses);
	UNIT(read_until_the_end);
	UNIT(in_memory);
	UNIT(fanout_by_the_first_octet);
UNIT_END
