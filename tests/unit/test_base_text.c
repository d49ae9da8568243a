/* Octets, buffers, errors and the log: what texts become on their way out. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "unit/unit.h"

START_TEST(bytes_compare_and_copy)
{
	void *ctx = mem_ctx(NULL);
	struct bytes copy = bytes_dup(ctx, bytes_of("a\0b", 3));

	ck_assert(bytes_equal(copy, bytes_of("a\0b", 3)));
	ck_assert(!bytes_equal(copy, bytes_of("a\0c", 3)));
	ck_assert(!bytes_equal(copy, bytes_str("a")));
	ck_assert_int_eq(copy.data[3], 0);
	ck_assert(bytes_equal(bytes_dup(ctx, bytes_of(NULL, 0)), bytes_str("")));
	talloc_free(ctx);
}
END_TEST

START_TEST(buf_takes_whole_or_nothing)
{
	struct buf *b = buf_new(NULL, 10);

	ck_assert(buf_adds(b, "12345"));
	ck_assert(!buf_addf(b, "%s", "678901"));
	ck_assert(b->overflow);
	ck_assert_str_eq(b->data, "12345");
	ck_assert(buf_addf(b, "%d", 67890));
	ck_assert_str_eq(b->data, "1234567890");
	ck_assert(!buf_add(b, "x", 1));
	ck_assert(buf_add(b, "", 0));
	ck_assert_uint_eq(b->len, 10);
	buf_clear(b);
	ck_assert(!b->overflow);
	ck_assert_str_eq(b->data, "");
	talloc_free(b);
}
END_TEST

START_TEST(buf_grows_to_its_ceiling)
{
	enum { MAX = 100001 };
	struct buf *b = buf_new(NULL, MAX);

	for (int i = 0; i < MAX; i++)
		ck_assert(buf_add(b, "x", 1));
	ck_assert(!buf_add(b, "x", 1));
	ck_assert_uint_eq(strlen(b->data), MAX);
	ck_assert_uint_eq(b->size, MAX + 1);
	talloc_free(b);
}
END_TEST

START_TEST(mem_copies)
{
	void *ctx = mem_ctx(NULL);

	ck_assert_mem_eq(mem_dup(ctx, "abc", 3), "abc", 3);
	ck_assert_ptr_nonnull(mem_dup(ctx, NULL, 0));
	ck_assert_str_eq(mem_strndup(ctx, "abcdef", 3), "abc");
	ck_assert_str_eq(mem_printf(ctx, "%d-%s", 7, "x"), "7-x");
	int *n = mem_zero_array(ctx, int, 3);
	n = mem_resize(ctx, n, int, 100);
	ck_assert_int_eq(n[0] + n[1] + n[2], 0);
	talloc_free(ctx);
}
END_TEST

START_TEST(mem_check_aborts)
{
	mem_check(NULL);
}
END_TEST

START_TEST(err_texts)
{
	struct err e;

	err_set(&e, "line %d\nnext", 1);
	ck_assert_str_eq(e.text, "line 1 next");
	err_wrap(&e, "file %s", "x");
	ck_assert_str_eq(e.text, "file x: line 1 next");
	err_set(&e, "again: %s", e.text);
	ck_assert_str_eq(e.text, "again: file x: line 1 next");
	errno = ENOENT;
	err_sys(&e, "open %s", "y");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(e.text, "open y: No such file or directory");
	err_set(NULL, "nobody asks");
	err_sys(NULL, "nobody asks");
	err_wrap(NULL, "nobody asks");
}
END_TEST

/* 511 octets fit; what is cut ends with a whole character. */
static const struct { const char *name; int ascii; const char *last; size_t want; } cut_cases[] = {
	{ "just fits", 509, "\xc3\xa4", 511 },
	{ "half of two", 510, "\xc3\xa4", 510 },
	{ "two of three", 509, "\xe2\x82\xac", 509 },
	{ "three of four", 508, "\xf0\x9f\x98\x80", 508 },
	{ "ASCII", 600, "", 511 },
};

START_TEST(err_cuts_between_characters)
{
	char text[700];
	struct err e;

	memset(text, 'x', sizeof(text));
	strcpy(text + cut_cases[_i].ascii, cut_cases[_i].last);
	err_set(&e, "%s", text);
	ck_assert_msg(strlen(e.text) == cut_cases[_i].want, "case '%s': %zu", cut_cases[_i].name, strlen(e.text));
}
END_TEST

static const struct { const char *name, *in; size_t len, size; const char *want; } escape_cases[] = {
	{ "plain", "abc def", 7, 100, "abc def" },
	{ "empty", "", 0, 100, "" },
	{ "line ends", "a\r\nb", 4, 100, "a\\x0D\\x0Ab" },
	{ "NUL", "a\0b", 3, 100, "a\\x00b" },
	{ "quotes", "\"'\\", 3, 100, "\\x22\\x27\\x5C" },
	{ "DEL", "\x7f", 1, 100, "\\x7F" },
	{ "UTF-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, 100, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "C1 control", "\xc2\x85", 2, 100, "\\xC2\\x85" },
	{ "lone continuation", "\x80", 1, 100, "\\x80" },
	{ "long form", "\xc0\xaf", 2, 100, "\\xC0\\xAF" },
	{ "long form of three", "\xe0\x80\x80", 3, 100, "\\xE0\\x80\\x80" },
	{ "surrogate", "\xed\xa0\x80", 3, 100, "\\xED\\xA0\\x80" },
	{ "over U+10FFFF", "\xf4\x90\x80\x80", 4, 100, "\\xF4\\x90\\x80\\x80" },
	{ "cut in the input", "a\xe2\x82", 3, 100, "a\\xE2\\x82" },
	{ "cut to fit", "abcdef", 6, 4, "abc" },
	{ "no half character", "ab\xc3\xa4", 4, 4, "ab" },
	{ "no half escape", "a\n", 2, 5, "a" },
	{ "an escape that fits", "a\n", 2, 6, "a\\x0A" },
	{ "room for the NUL only", "a", 1, 1, "" },
};

START_TEST(log_escape_table)
{
	char out[100];

	ck_assert_str_eq(log_escape(out, escape_cases[_i].size, escape_cases[_i].in, escape_cases[_i].len),
	    escape_cases[_i].want);
}
END_TEST

/* The log as a file of this test's; what it holds is below ctx. */
static const char log_path[] = "test_base_text.tmp.log";

static const char *take_log(void *ctx)
{
	struct bytes b;

	log_close();
	ck_assert_int_eq(files_get(ctx, log_path, 100000, &b, NULL), OK);
	return (const char *)b.data;
}

START_TEST(log_levels_and_lines)
{
	void *ctx = mem_ctx(NULL);
	char longer[2000];
	struct stat st;

	files_drop(log_path);
	ck_assert_int_eq(log_open(log_path, LOG_LEVEL_WARN), 0);
	log_info("not this");
	log_warn("one\ntwo");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	log_err("%s", longer);
	ck_assert_uint_eq(log_take_warnings(), 2);
	ck_assert_uint_eq(log_take_warnings(), 0);
	ck_assert_int_eq(stat(log_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);

	const char *text = take_log(ctx), *second = strchr(text, '\n') + 1;

	ck_assert_ptr_null(strstr(text, "not this"));
	ck_assert_str_eq(mem_strndup(ctx, text + 20, (size_t)(second - text) - 20), " warn one?two\n");
	ck_assert_uint_le(strlen(second), 1024 + 26);
	ck_assert_ptr_eq(strchr(second, '\n'), second + strlen(second) - 1);
	files_drop(log_path);
	talloc_free(ctx);
}
END_TEST

START_TEST(log_traces_when_asked)
{
	void *ctx = mem_ctx(NULL);

	files_drop(log_path);
	ck_assert_int_eq(log_open(log_path, LOG_LEVEL_ERR), 0);
	trace_line(TRACE_SMTP, 1, '<', "before", 6);
	trace_set(TRACE_SMTP | TRACE_DHT);
	ck_assert_uint_eq(trace_get(), TRACE_SMTP | TRACE_DHT);
	trace_line(TRACE_IMAP, 2, '<', "other", 5);
	trace_line(TRACE_SMTP, 3, '>', "250-a\r\n250 b\x01\r\n", 15);
	trace_set(0);

	const char *text = take_log(ctx);

	ck_assert_ptr_null(strstr(text, "before"));
	ck_assert_ptr_null(strstr(text, "other"));
	ck_assert_ptr_nonnull(strstr(text, "trace=smtp id=3 > 250-a\n"));
	ck_assert_ptr_nonnull(strstr(text, "trace=smtp id=3 > 250 b\\x01\n"));
	files_drop(log_path);
	talloc_free(ctx);
}
END_TEST

START_TEST(log_open_fails)
{
	ck_assert_int_eq(log_open("/nowhere/at/all", LOG_LEVEL_INFO), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_parse("err"), LOG_LEVEL_ERR);
	ck_assert_int_eq(log_level_parse("Debug"), -1);
}
END_TEST

UNIT_SUITE("base_text")
	UNIT(bytes_compare_and_copy);
	UNIT(buf_takes_whole_or_nothing);
	UNIT(buf_grows_to_its_ceiling);
	UNIT(mem_copies);
	tcase_add_test_raise_signal(unit_case, mem_check_aborts, SIGABRT);
	UNIT(err_texts);
	UNIT_LOOP(err_cuts_between_characters, cut_cases);
	UNIT_LOOP(log_escape_table, escape_cases);
	UNIT(log_levels_and_lines);
	UNIT(log_traces_when_asked);
	UNIT(log_open_fails);
UNIT_END
