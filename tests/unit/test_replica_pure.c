/* Who stands in, what a new list changes, what a member says he holds. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "way/replica/elect.h"
#include "way/replica/held.h"

static const char *const all[] = { "ann@home", "bob@home", "carl@home", "dora@home", "eve@home" };
enum { N = sizeof(all) / sizeof(all[0]) };

/* How many of those in `up` (bits) elect themselves, each seeing the others. */
static unsigned elected(const uint8_t hash[32], unsigned up, unsigned *who_out)
{
	unsigned n = 0;

	*who_out = 0;
	for (unsigned i = 0; i < N; i++) {
		const char *others[N];
		size_t n_others = 0;

		if (!(up & 1u << i))
			continue;
		for (unsigned k = 0; k < N; k++)
			if (k != i && (up & 1u << k))
				others[n_others++] = all[k];
		if (elect_is_in(hash, all[i], others, n_others)) {
			n++;
			*who_out |= 1u << i;
		}
	}
	return n;
}

/* Whoever is up: two of them, or all that there are; and who is elected stays when another one leaves. */
START_TEST(election)
{
	for (unsigned h = 0; h < 50; h++) {
		uint8_t hash[32];
		unsigned before, who;

		digest_of(bytes_of(&h, sizeof(h)), hash);
		ck_assert_uint_eq(elected(hash, (1u << N) - 1, &before), ELECTED);
		for (unsigned up = 1; up < 1u << N; up++) {
			unsigned n_up = (unsigned)__builtin_popcount(up);

			ck_assert_uint_eq(elected(hash, up, &who), n_up < ELECTED ? n_up : ELECTED);
			ck_assert_uint_eq(who & before & up, before & up);
		}
	}
}
END_TEST

START_TEST(election_spreads)
{
	unsigned times[N] = { 0 };

	for (unsigned h = 0; h < 500; h++) {
		uint8_t hash[32];
		unsigned who;

		digest_of(bytes_of(&h, sizeof(h)), hash);
		elected(hash, (1u << N) - 1, &who);
		for (unsigned i = 0; i < N; i++)
			times[i] += who >> i & 1;
	}
	for (unsigned i = 0; i < N; i++)
		ck_assert_msg(times[i] > 50, "%s is elected %u times of 500", all[i], times[i]);
}
END_TEST

/* Lists as texts: "a" listed, "a'" with other notices, "-a" withdrawn; rows the same, "(a)" not listed any more. */
static const struct { const char *name, *rows, *list, *want; } diffs[] = {
	{ "nothing", "", "", "" },
	{ "first list", "", "a b", "new a, new b" },
	{ "the same", "a b", "a b", "" },
	{ "one more", "a c", "a b c", "new b" },
	{ "one more in front", "b", "a b", "new a" },
	{ "one more behind", "a", "a b", "new b" },
	{ "one less", "a b c", "a c", "gone b" },
	{ "all gone", "a b c", "", "gone a, gone b, gone c" },
	{ "other notices", "a b", "a' b", "changed a" },
	{ "withdrawn whole", "a b", "-a b", "recalled a, gone a" },
	{ "withdrawn in part", "a b", "a' -a b", "changed a, recalled a" },
	{ "withdrawn, told again", "(a) b", "-a b", "recalled a" },
	{ "withdrawn, never seen", "b", "-a b", "recalled a" },
	{ "gone stays gone", "(a)", "", "" },
	{ "it is back", "(a)", "a", "changed a" },
	{ "everything at once", "a b c d", "-a b' c e", "recalled a, gone a, changed b, gone d, new e" },
};

struct told { char text[256]; };

static void on_diff(void *arg, const struct diff *d)
{
	static const char *const names[] = {
		[DIFF_NEW] = "new", [DIFF_CHANGED] = "changed", [DIFF_GONE] = "gone", [DIFF_RECALLED] = "recalled",
	};
	struct told *t = arg;
	size_t len = strlen(t->text);

	snprintf(t->text + len, sizeof(t->text) - len, "%s%s %c", len > 0 ? ", " : "", names[d->kind],
	    d->item ? d->item->hash[0] : d->row->hash[0]);
}

START_TEST(diff_table)
{
	struct msglist list = { .n_items = 0 };
	struct msglist_item items[16];
	struct replica rows[16], *ptrs[16];
	struct told told = { "" };
	size_t n_rows = 0;

	memset(items, 0, sizeof(items));
	memset(rows, 0, sizeof(rows));
	for (const char *c = diffs[_i].rows; *c; c++) {
		if (*c == ')' && n_rows)
			rows[n_rows - 1].listed = false;
		if (*c < 'a' || *c > 'z')
			continue;
		rows[n_rows].hash[0] = (uint8_t)*c;
		rows[n_rows].listed = true;
		ptrs[n_rows] = &rows[n_rows];
		n_rows++;
	}
	list.items = items;
	for (const char *c = diffs[_i].list; *c; c++) {
		if (*c == '\'')
			items[list.n_items - 1].notices_hash[0] = 1;
		if (*c < 'a' || *c > 'z')
			continue;
		items[list.n_items].hash[0] = (uint8_t)*c;
		items[list.n_items].withdrawn = c > diffs[_i].list && c[-1] == '-';
		list.n_items++;
	}
	diff_each(&list, ptrs, n_rows, on_diff, &told);
	ck_assert_msg(strcmp(told.text, diffs[_i].want) == 0, "case '%s': %s", diffs[_i].name, told.text);
}
END_TEST

#define H1 "1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "2222222222222222222222222222222222222222222222222222222222222222"

static const struct { const char *name, *text; int want; uint64_t serial; size_t n_hashes, n_proofs, n_served; } helds[] = {
	{ "nothing", "serial 0\n", 0, 0, 0, 0, 0 },
	{ "a serial", "serial 1795705573415\n", 0, 1795705573415, 0, 0, 0 },
	{ "all kinds", "serial 7\n" H2 "\n+ " H1 "\n! " H1 " " H2 "\n" H1 "\n", 0, 7, 2, 1, 1 },
	{ "a later version's line", "serial 7\n? something\n" H1 "\n", 0, 7, 1, 0, 0 },
	{ "empty", "", -1, 0, 0, 0, 0 },
	{ "no serial", H1 "\n", -1, 0, 0, 0, 0 },
	{ "serial without a number", "serial \n", -1, 0, 0, 0, 0 },
	{ "serial with a sign", "serial -1\n", -1, 0, 0, 0, 0 },
	{ "serial with more", "serial 1 2\n", -1, 0, 0, 0, 0 },
	{ "serial too large", "serial 99999999999999999999\n", -1, 0, 0, 0, 0 },
	{ "serial without an end", "serial 1", -1, 0, 0, 0, 0 },
	{ "a line without an end", "serial 1\n" H1, -1, 0, 0, 0, 0 },
	{ "no hex", "serial 1\nx111111111111111111111111111111111111111111111111111111111111111\n", -1, 0, 0, 0, 0 },
	{ "no hex in a proof", "serial 1\n+ x111111111111111111111111111111111111111111111111111111111111111\n", -1, 0, 0, 0, 0 },
	{ "empty lines", "serial 1\n\n\n\n\n\n\n", -1, 0, 0, 0, 0 },
};

START_TEST(held_table)
{
	void *ctx = mem_ctx(NULL);
	struct held_text h;
	int res = held_parse(ctx, bytes_str(helds[_i].text), &h);

	ck_assert_msg(res == helds[_i].want, "case '%s'", helds[_i].name);
	if (res == 0) {
		ck_assert_uint_eq(h.serial, helds[_i].serial);
		ck_assert_uint_eq(h.n_hashes, helds[_i].n_hashes);
		ck_assert_uint_eq(h.n_proofs, helds[_i].n_proofs);
		ck_assert_uint_eq(h.n_served, helds[_i].n_served);
	}
	talloc_free(ctx);
}
END_TEST

START_TEST(held_search)
{
	void *ctx = mem_ctx(NULL);
	struct held_text h;
	uint8_t one[32], three[32];

	memset(one, 0x11, 32);
	memset(three, 0x33, 32);
	ck_assert_int_eq(held_parse(ctx, bytes_str("serial 1\n" H2 "\n" H1 "\n! " H1 " " H2 "\n"), &h), 0);
	ck_assert(held_has(&h, one) && !held_has(&h, three));
	ck_assert(h.served[0][0][5] == 0x11 && h.served[0][1][5] == 0x22);
	talloc_free(ctx);
}
END_TEST

UNIT_SUITE("replica_pure")
{
	UNIT(election);
	UNIT(election_spreads);
	UNIT_LOOP(diff_table, diffs);
	UNIT_LOOP(held_table, helds);
	UNIT(held_search);
}
UNIT_END
