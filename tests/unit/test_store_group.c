/* Groups, members, invites, joins and the network that a join brought. */
#include "lib/store/group.h"
#include "store.h"

static struct group_row some_group(const char *name, enum group_role role)
{
	return (struct group_row){ .name = name, .role = role, .master = "alice@home", .fpr = "AAAA", .serial = 7, .signed_serial = 6,
		.descriptor = bytes_str("octets"), .issued_s = 1, .expires_s = 2, .looked_s = 3 };
}

START_TEST(group_columns)
{
	struct group_row g = some_group("home", GROUP_MEMBER);

	g.left = g.from_conf = g.warned = true;
	store_group_save(st, &g);
	unit_reopen();
	struct group_row *r = store_group_find(st, ctx, "home");
	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(r->role, GROUP_MEMBER);
	ck_assert(r->left && r->from_conf && r->warned);
	ck_assert_str_eq(r->master, "alice@home");
	ck_assert_str_eq(r->fpr, "AAAA");
	ck_assert(r->serial == 7 && r->signed_serial == 6 && r->issued_s == 1 && r->expires_s == 2 && r->looked_s == 3);
	ck_assert(bytes_equal(r->descriptor, bytes_str("octets")));
	r->serial = 8;
	r->left = false;
	r->descriptor = bytes_of(NULL, 0);
	store_group_save(st, r);
	r = store_group_find(st, ctx, "home");
	ck_assert(r->serial == 8 && !r->left && r->descriptor.len == 0);
	ck_assert_ptr_null(store_group_find(st, ctx, "work"));
}
END_TEST

START_TEST(groups_by_name)
{
	static const char *const names[] = { "c", "a", "b" };
	size_t n;

	store_group_all(st, ctx, &n);
	ck_assert_uint_eq(n, 0);
	for (int i = 0; i < 3; i++) {
		struct group_row g = some_group(names[i], GROUP_FOREIGN);

		g.looked_s = 10 + i;
		store_group_save(st, &g);
	}
	struct group_row **all = store_group_all(st, ctx, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(all[0]->name, "a");
	ck_assert_str_eq(all[2]->name, "c");
}
END_TEST

START_TEST(foreign_groups_are_forgotten)
{
	struct group_row g = some_group("home", GROUP_MASTER);
	size_t n;

	g.looked_s = 0;
	store_group_save(st, &g);
	for (int i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "g%d", i);
		g = some_group(name, GROUP_FOREIGN);
		g.looked_s = i;
		store_group_save(st, &g);
		struct member_row m = { name, "bob@home", "BBBB", false, false };
		store_member_save(st, &m);
	}
	store_group_forget_foreign(st, 2);
	unit_reopen();
	struct group_row **all = store_group_all(st, ctx, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(all[0]->name, "g3");
	ck_assert_str_eq(all[1]->name, "g4");
	ck_assert_str_eq(all[2]->name, "home");
	store_member_all(st, ctx, "g0", &n);
	ck_assert_uint_eq(n, 0);
	store_member_all(st, ctx, "g4", &n);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(members)
{
	static const struct member_row rows[] = {
		{ "home", "carol@home", "CCCC", false, false },
		{ "home", "bob@home", "", true, true },
		{ "work", "bob@home", "BBBB", false, false },
	};
	size_t n;

	for (int i = 0; i < N_ROWS(rows); i++)
		store_member_save(st, &rows[i]);
	unit_reopen();
	struct member_row **all = store_member_all(st, ctx, "home", &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(all[0]->address, "bob@home");
	ck_assert(all[0]->removed && all[0]->from_conf);
	ck_assert_str_eq(all[1]->fpr, "CCCC");
	all[0]->fpr = "DDDD";
	all[0]->removed = false;
	store_member_save(st, all[0]);
	struct member_row *m = store_member_find(st, ctx, "home", "bob@home");
	ck_assert(m != NULL && strcmp(m->fpr, "DDDD") == 0 && !m->removed);
	store_member_drop(st, "home", "bob@home");
	ck_assert_ptr_null(store_member_find(st, ctx, "home", "bob@home"));
	ck_assert_ptr_nonnull(store_member_find(st, ctx, "work", "bob@home"));
	store_member_drop_all(st, "home");
	store_member_all(st, ctx, "home", &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(invites)
{
	struct invite_row i = { .group = "home", .expires_s = 100, .used_by = "" }, j = i, late = i;
	size_t n;

	memset(i.secret, 1, 32);
	memset(j.secret, 2, 32);
	memset(late.secret, 3, 32);
	late.expires_s = 50;
	store_invite_add(st, &i);
	store_invite_add(st, &j);
	store_invite_add(st, &late);
	unit_reopen();
	store_invite_open(st, ctx, 40, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert(!store_invite_use(st, late.secret, "bob@home", 50));
	ck_assert(store_invite_use(st, i.secret, "bob@home", 50));
	ck_assert(!store_invite_use(st, i.secret, "bob@home", 50));	/* once */
	unit_reopen();
	ck_assert(!store_invite_use(st, i.secret, "carol@home", 50));
	struct invite_row **open = store_invite_open(st, ctx, 50, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_mem_eq(open[0]->secret, j.secret, 32);
	ck_assert_str_eq(open[0]->group, "home");
	ck_assert_int_eq(open[0]->expires_s, 100);
	store_invite_forget(st, 101);
	store_invite_open(st, ctx, 0, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(joining_and_network)
{
	struct joining_row j = { "home", "p2pmta1.abc", { NULL, 0 }, 9 };
	struct network_row w = { 5, 6, "a:1\nb:2" };
	size_t n;

	ck_assert_ptr_null(store_network_find(st, ctx));
	store_joining_save(st, &j);
	store_network_save(st, &w);
	unit_reopen();
	struct joining_row **all = store_joining_all(st, ctx, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(all[0]->invite, "p2pmta1.abc");
	ck_assert(all[0]->value.len == 0 && all[0]->expires_s == 9);
	all[0]->value = bytes_str("ask");
	store_joining_save(st, all[0]);
	all = store_joining_all(st, ctx, &n);
	ck_assert(n == 1 && bytes_equal(all[0]->value, bytes_str("ask")));
	struct network_row *r = store_network_find(st, ctx);
	ck_assert(r != NULL && r->number == 5 && r->instead_of == 6 && strcmp(r->bootstrap, "a:1\nb:2") == 0);
	store_network_save(st, NULL);
	ck_assert_ptr_null(store_network_find(st, ctx));
	store_group_drop(st, "home");
	store_joining_all(st, ctx, &n);
	ck_assert_uint_eq(n, 0);
}
END_TEST

STORE_SUITE("store_group")
{
	UNIT(group_columns);
	UNIT(groups_by_name);
	UNIT(foreign_groups_are_forgotten);
	UNIT(members);
	UNIT(invites);
	UNIT(joining_and_network);
}
UNIT_END
