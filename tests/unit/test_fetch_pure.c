/*
 * Whom to ask for what: the parts of way/fetch that touch nothing. The tables
 * are little plays: a word for each thing that happens, and what is to be asked next.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "tests/unit/unit.h"
#include "way/fetch/pieces.h"

static struct fetch_source source(const char *url, const char *who)
{
	return (struct fetch_source){ .url = url, .who = who };
}

/*
 * Four sources A to D; C and D are two URLs of one peer, B is shunned. Words: X the transfer with X begins, xf it
 * ends with a fault, xs it is spent, xh it helped.
 */
static const struct {
	const char *name, *events;
	char next, beside;		/* '-' nobody */
	const char *usable;
} source_rows[] = {
	{ "at first", "", 'A', 'A', "AC" },
	{ "one is asked", "A", 'C', 'C', "AC" },
	{ "a fault", "A af", 'C', 'C', "C" },
	{ "two URLs of one peer", "C cs", 'A', 'A', "AD" },
	{ "the shunned one when the good ones are spent", "as cs ds", 'B', '-', "B" },
	{ "but not beside others", "A cs ds", '-', '-', "A" },
	{ "who was left once has another chance", "as cs ds bf", 'B', '-', "B" },
	{ "the first of those", "af bs cf df", 'A', '-', "AC" },
	{ "left twice is enough", "as cs ds bf bf", '-', '-', "" },
	{ "unless it helps", "as cs ds bf bf bh", 'B', '-', "B" },
	{ "or what was wrong was not its fault", "as cs ds bf bf !", 'B', '-', "B" },
	{ "all are spent", "as bs cs ds", '-', '-', "" },
};

START_TEST(sources)
{
	struct sources *s = mem_zero(NULL, struct sources);
	char usable[8] = "", events[80], *save;
	size_t next, beside;

	for (size_t i = 0; i < 4; i++) {
		static const char *const urls[] = { "http://a", "http://b", "http://c", "http://d" };
		static const char *const who[] = { "a@x", "b@x", "c@x", "c@x" };
		struct fetch_source one = source(urls[i], who[i]);

		sources_add(s, &one, i == 1);
		sources_add(s, &one, false);
	}
	ck_assert_uint_eq(s->n, 4);
	snprintf(events, sizeof(events), "%s", source_rows[_i].events);
	for (char *w = strtok_r(events, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		size_t i = (size_t)((w[0] | 32) - 'a');

		if (w[0] == '!')
			sources_forgive(s);
		else if (w[1] == '\0')
			s->list[i].n_busy++;
		else if (w[1] == 'h')
			sources_help(s, i);
		else if (w[1] == 'f')
			s->list[i].n_busy = 0, sources_fault(s, i, "a fault");
		else
			s->list[i].n_busy = 0, sources_spend(s, i, "spent");
	}
	next = sources_next(s, false);
	beside = sources_next(s, true);
	ck_assert_msg(next == (source_rows[_i].next == '-' ? SOURCES_NONE : (size_t)(source_rows[_i].next - 'A')), "case '%s': %zu",
	    source_rows[_i].name, next);
	ck_assert_msg(beside == (source_rows[_i].beside == '-' ? SOURCES_NONE : (size_t)(source_rows[_i].beside - 'A')), "case '%s': %zu",
	    source_rows[_i].name, beside);
	for (size_t i = 0; i < 4; i++)
		if (sources_is_usable(s, i))
			usable[strlen(usable)] = (char)('A' + i);
	ck_assert_msg(strcmp(usable, source_rows[_i].usable) == 0, "case '%s': %s", source_rows[_i].name, usable);
	talloc_free(s);
}
END_TEST

START_TEST(sources_silent)
{
	struct sources *s = mem_zero(NULL, struct sources);
	struct fetch_source one = source("http://a", "a@x"), two = source("http://b", "a@x");

	sources_add(s, &one, false);
	sources_add(s, &two, false);
	ck_assert(!sources_is_usable(s, 1));
	s->list[0].silent = true;
	ck_assert(sources_is_usable(s, 1));
	talloc_free(s);
}
END_TEST

START_TEST(sources_bounded)
{
	struct sources *s = mem_zero(NULL, struct sources);

	for (int i = 0; i < 2 * MAX_SOURCES; i++) {
		struct fetch_source one = source(mem_printf(s, "http://%d", i), NULL);

		sources_add(s, &one, false);
	}
	ck_assert_uint_eq(s->n, MAX_SOURCES);
	ck_assert_str_eq(s->list[MAX_SOURCES - 1].who, "http://63");
	talloc_free(s);
}
END_TEST

START_TEST(sources_texts)
{
	struct sources *s = mem_zero(NULL, struct sources);
	struct fetch_source list[] = { source("http://a1", "a@x"), source("http://a2", "a@x"), source("http://b", "b@x") };
	struct err e = { "nothing" };

	list[2].holder = true;
	for (size_t i = 0; i < 3; i++)
		sources_add(s, &list[i], false);
	sources_say(s, &e);
	ck_assert_str_eq(e.text, "nothing");
	sources_fault(s, 0, "it lied");
	sources_spend(s, 1, "is away");
	sources_say(s, &e);
	ck_assert_str_eq(e.text, "is away");
	sources_spend(s, 2, "has it not");
	sources_say(s, &e);
	ck_assert_str_eq(e.text, "a@x: is away; b@x: has it not");
	ck_assert_str_eq(sources_credit(s, s), "");
	sources_help(s, 0);
	sources_help(s, 1);
	sources_help(s, 2);
	ck_assert_str_eq(sources_credit(s, s), "a@x 2 b@x");
	talloc_free(s);
}
END_TEST

START_TEST(shunned)
{
	void *ctx = mem_ctx(NULL);
	struct shunned *s = shunned_new(ctx);

	shunned_add(s, "http://a", 1000);
	ck_assert(shunned_has(s, "http://a", 1000 + SHUN_MS - 1));
	ck_assert(!shunned_has(s, "http://a", 1000 + SHUN_MS));
	ck_assert(!shunned_has(s, "http://b", 1000));
	shunned_add(s, "http://a", 2000);
	ck_assert(shunned_has(s, "http://a", 1000 + SHUN_MS));
	for (int i = 0; i < MAX_SHUNNED; i++)
		shunned_add(s, mem_printf(ctx, "http://%d", i), 3000);
	ck_assert(!shunned_has(s, "http://a", 3000));
	ck_assert(shunned_has(s, "http://0", 3000));
	talloc_free(ctx);
}
END_TEST

/*
 * Pieces of 1 MiB; time goes on by 100 ms before each word. A word is a source, A to D, and what happens: "A3" it is to
 * ask for piece 3 next, and does; "A-" it has nothing to ask for; "a3" it delivers piece 3; "a3+" a quarter of it; "a3x" it
 * fails; "." a second passes; "u" the first one is used.
 */
static const struct {
	const char *name;
	unsigned n;
	const char *events;
} piece_rows[] = {
	{ "one for each, and two when it delivers", 9, "A0 A- B1 a0+ A2 A- b1+ B3 B- a0 A4 b1 B5" },
	{ "no more than there are", 3, "A0 a0+ A1 B2 b2+ B-" },
	{ "a failed one goes to the next", 8, "A0 B1 a0x b1+ B0 A2" },
	{ "a silent one is asked of another, once", 2, "A0 a0+ A1 . B0 b0+ B1 B-" },
	{ "not of the same", 2, "A0 a0+ . A1 A-" },
	{ "not one that delivers", 1, "A0 . a0+ B-" },
	{ "when the second is silent, too, of a third", 1, "A0 . B0 C- . C0 D- . D0" },
	{ "a slow one is asked of a faster", 3, "A0 B1 b1 B2 b2 a0+ B0 b0" },
	{ "not one about as fast", 2, "A0 B1 a0+ a0+ a0+ b1 B-" },
	{ "one that was cut is slow", 2, "A0 B1 . . b1 a0+ B0 b0 A-" },
	{ "within the window", 60, "A0 a0+ A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11 A12 a12 A13 a13"
	    " A14 a14 A15 a15 A16 a16 A17 a17 A18 a18 A19 a19 A20 a20 A21 a21 A22 a22 A23 a23 A- B0 B- b0 u A24 u B25" },
};

static unsigned ask_of(const struct pieces *p, size_t who, unsigned piece)
{
	unsigned i = 0;

	while (i < PIECES_ASKS && !(p->asks[i].used && p->asks[i].source == who && p->asks[i].piece == piece))
		i++;
	ck_assert_uint_lt(i, PIECES_ASKS);
	return i;
}

static void asks(struct pieces *p, const char *name, const char *w, int64_t now)
{
	size_t who = (size_t)(w[0] - 'A');
	unsigned want = w[1] == '-' ? PIECES_NONE : (unsigned)atoi(w + 1), got = pieces_next(p, who, now);

	ck_assert_msg(got == want, "case '%s': %s got %u", name, w, got);
	if (got != PIECES_NONE)
		pieces_ask(p, got, who, now);
}

static void delivers(struct pieces *p, const char *w, int64_t now)
{
	char *end;
	unsigned piece = (unsigned)strtoul(w + 1, &end, 10), ask = ask_of(p, (size_t)(w[0] - 'a'), piece);

	if (*end == 'x') {
		pieces_end(p, ask, now);
	} else if (*end == '+') {
		pieces_came(p, ask, MIB(1) / 4, now);
	} else {
		pieces_came(p, ask, pieces_len(p, piece) - p->asks[ask].octets, now);
		pieces_got(p, ask, now);
		/* What its rivals do with it is cut. */
		for (unsigned i = 0; i < PIECES_ASKS; i++)
			if (p->asks[i].used && p->asks[i].piece == piece)
				pieces_end(p, i, now);
	}
}

START_TEST(pieces)
{
	struct pieces *p = mem_zero(NULL, struct pieces);
	char events[500], *save;
	int64_t now = 5000;

	pieces_init(p, piece_rows[_i].n * (uint64_t)MIB(1) - 1000, MIB(1), 1000);
	ck_assert_uint_eq(p->n, piece_rows[_i].n);
	ck_assert_uint_eq(pieces_len(p, p->n - 1), MIB(1) - 1000);
	snprintf(events, sizeof(events), "%s", piece_rows[_i].events);
	for (char *w = strtok_r(events, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		now += w[0] == '.' ? 1000 : 100;
		if (w[0] == 'u')
			pieces_used(p);
		else if (w[0] >= 'a')
			delivers(p, w, now);
		else if (w[0] >= 'A')
			asks(p, piece_rows[_i].name, w, now);
	}
	talloc_free(p);
}
END_TEST

UNIT_SUITE("fetch_pure")
{
	UNIT_LOOP(sources, source_rows);
	UNIT(sources_silent);
	UNIT(sources_bounded);
	UNIT(sources_texts);
	UNIT(shunned);
	UNIT_LOOP(pieces, piece_rows);
}
UNIT_END
