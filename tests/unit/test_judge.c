/* What a group list that somebody shows is worth. */
#include <string.h>

#include "lib/base/mem.h"
#include "unit.h"
#include "way/group/judge.h"

#define ALICE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define BOB "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define EVE "EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE"

enum { NOW = 2000000000, DAY = 86400 };

/* The list: home, of alice, with bob; issued 10 days ago. */
static const struct {
	const char *name;
	const char *signer;
	struct judge_facts f;
	const char *list_name, *list_master, *list_fpr;
	int64_t serial_s, expires_s;	/* from now */
	enum judge_verdict want;
} cases[] = {
	{ "pinned", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, 0, 80 * DAY, JUDGE_GOOD },
	{ "first use", ALICE, { "home", "", "", 0, NOW, "", "" }, "home", "alice@home", ALICE, 0, 80 * DAY, JUDGE_GOOD },
	{ "first use, with the sender", ALICE, { "home", "", "", 0, NOW, "bob@home", BOB }, "home", "alice@home", ALICE, 0, 80 * DAY,
	  JUDGE_GOOD },
	{ "first use, sender's key is another", ALICE, { "home", "", "", 0, NOW, "bob@home", EVE }, "home", "alice@home", ALICE, 0,
	  80 * DAY, JUDGE_WITHOUT_SENDER },
	{ "first use, without the sender", ALICE, { "home", "", "", 0, NOW, "eve@home", EVE }, "home", "alice@home", ALICE, 0, 80 * DAY,
	  JUDGE_WITHOUT_SENDER },
	{ "another group", ALICE, { "work", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, 0, 80 * DAY,
	  JUDGE_OTHER_GROUP },
	{ "signed by a member", BOB, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, 0, 80 * DAY,
	  JUDGE_FORGED },
	{ "signed by a stranger as himself", EVE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "eve@home", EVE, 0, 80 * DAY,
	  JUDGE_OTHER_MASTER },
	{ "the master's address with another key", EVE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", EVE, 0,
	  80 * DAY, JUDGE_OTHER_MASTER },
	{ "the master's key with another address", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@work", ALICE, 0,
	  80 * DAY, JUDGE_OTHER_MASTER },
	{ "an hour ahead", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, 3600, 80 * DAY, JUDGE_GOOD },
	{ "two days ahead", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, 2 * DAY, 80 * DAY,
	  JUDGE_FUTURE },
	{ "old, but members go on", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, -100 * DAY,
	  -29 * DAY, JUDGE_GOOD },
	{ "too old", ALICE, { "home", "alice@home", ALICE, 1, NOW, "", "" }, "home", "alice@home", ALICE, -130 * DAY, -31 * DAY,
	  JUDGE_EXPIRED },
	{ "the same again", ALICE, { "home", "alice@home", ALICE, (uint64_t)NOW * 1000, NOW, "", "" }, "home", "alice@home", ALICE, 0,
	  80 * DAY, JUDGE_ROLLBACK },
	{ "an older one", ALICE, { "home", "alice@home", ALICE, (uint64_t)NOW * 1000, NOW, "", "" }, "home", "alice@home", ALICE, -1,
	  80 * DAY, JUDGE_ROLLBACK },
	{ "newer by a millisecond", ALICE, { "home", "alice@home", ALICE, (uint64_t)NOW * 1000 - 1, NOW, "", "" }, "home", "alice@home",
	  ALICE, 0, 80 * DAY, JUDGE_GOOD },
};

START_TEST(judge_table)
{
	struct group_named members[3] = { { "alice@home", ALICE }, { "bob@home", BOB } };
	struct group g = { .name = cases[_i].list_name, .members = members, .n_members = 3, .issued_s = NOW - 10 * DAY,
		.expires_s = NOW + cases[_i].expires_s, .serial = (uint64_t)(NOW + cases[_i].serial_s) * 1000 };

	strcpy(g.master.address, cases[_i].list_master);
	strcpy(g.master.fpr, cases[_i].list_fpr);
	members[2] = g.master;
	enum judge_verdict v = judge(&cases[_i].f, &g, cases[_i].signer);

	ck_assert_msg(v == cases[_i].want, "case '%s': %s", cases[_i].name, judge_name(v));
}
END_TEST

UNIT_SUITE("judge")
{
	UNIT_LOOP(judge_table, cases);
}
UNIT_END
