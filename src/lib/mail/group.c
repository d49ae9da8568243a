/*
 * A group binds addresses to keys, so two readers must never find two things
 * in one list: members stand in order, and no address has two keys. Whether
 * the signer is the pinned master, and the list the newest, is the caller's
 * question.
 */
#include "lib/mail/group.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/mail/addr.h"

enum { FPR_DIGITS = 40 };

static const char *const no_must[] = { NULL };

int group_named_parse(const char *text, struct group_named *out)
{
	char address[LIMIT_ADDRESS + 1];
	const char *space = strchr(text, ' ');
	size_t len = space != NULL ? (size_t)(space - text) : 0;

	if (len == 0 || len > LIMIT_ADDRESS || strlen(space + 1) != FPR_DIGITS ||
	    strspn(space + 1, "0123456789ABCDEF") != FPR_DIGITS)
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	if (addr_parse(address, out->address) < 0 || strcmp(address, out->address) != 0)
		return -1;
	memcpy(out->fpr, space + 1, FPR_DIGITS + 1);
	return 0;
}

static int bad(struct err *e, const char *name, const char *why)
{
	err_set(e, "record: %s %s", name, why);
	return -1;
}

static int parse_master(struct group *g, const struct record *r, struct err *e)
{
	const char *text;

	if (record_need(record_get_text(r, "Master", &text, e), "Master", e) < 0)
		return -1;
	if (group_named_parse(text, &g->master) < 0)
		return bad(e, "Master", "is no address and fingerprint");
	return 0;
}

static int parse_list(struct group *g, const struct record *r, const char *name, struct group_named **out, size_t *n_out,
    struct err *e)
{
	const char *texts[LIMIT_GROUP_MEMBERS];
	int n = record_get_all(r, name, texts, LIMIT_GROUP_MEMBERS, e);

	if (n < 0)
		return -1;
	*out = mem_zero_array(g, struct group_named, n);
	for (int i = 0; i < n; i++)
		if (group_named_parse(texts[i], &(*out)[i]) < 0)
			return bad(e, name, "is no address and fingerprint");
	*n_out = (size_t)n;
	return 0;
}

static int check_lists(const struct group *g, struct err *e)
{
	for (size_t i = 1; i < g->n_members; i++)
		if (strcmp(g->members[i - 1].address, g->members[i].address) >= 0)
			return bad(e, "Member", "is out of order or repeated");

	const struct group_named *master = group_find(g, g->master.address);
	if (master == NULL || strcmp(master->fpr, g->master.fpr) != 0)
		return bad(e, "Master", "is no member");
	for (size_t i = 0; i < g->n_successors; i++) {
		const struct group_named *s = &g->successors[i], *member = group_find(g, s->address);

		if (member != NULL && strcmp(member->fpr, s->fpr) != 0)
			return bad(e, "Successor", "has another fingerprint as a member");
		for (size_t k = 0; k < i; k++)
			if (strcmp(g->successors[k].address, s->address) == 0)
				return bad(e, "Successor", "is repeated");
	}
	return 0;
}

static int parse_fields(struct group *g, const struct record *r, struct err *e)
{
	if (record_need(record_get_group(r, g, &g->name, e), "Group", e) < 0 || parse_master(g, r, e) < 0 ||
	    parse_list(g, r, "Successor", &g->successors, &g->n_successors, e) < 0 ||
	    record_need(record_get_time(r, "Issued", &g->issued_s, e), "Issued", e) < 0 ||
	    record_need(record_get_time(r, "Expires", &g->expires_s, e), "Expires", e) < 0 ||
	    record_need(record_get_number(r, "Serial", INT64_MAX, &g->serial, e), "Serial", e) < 0 ||
	    parse_list(g, r, "Member", &g->members, &g->n_members, e) < 0)
		return -1;
	if (g->expires_s <= g->issued_s)
		return bad(e, "Expires", "is before Issued");
	return check_lists(g, e);
}

struct group *group_parse(const void *ctx, struct bytes in, struct err *e)
{
	struct group *g = mem_zero(ctx, struct group);
	size_t used;
	struct record *r = record_parse(g, in, 0, &used, e);

	if (!r)
		goto fail;
	if (strcmp(r->type, "group") != 0 || record_find_must(r, no_must) || used != in.len) {
		err_set(e, "record: no group descriptor that we can read");
		goto fail;
	}
	if (parse_fields(g, r, e) < 0)
		goto fail;
	talloc_free(r);
	return g;
fail:
	talloc_free(g);
	return NULL;
}

static int by_address(const void *a, const void *b)
{
	const struct group_named *x = a, *y = b;

	return strcmp(x->address, y->address);
}

static void print_named(struct buf *b, const char *name, const struct group_named *n)
{
	buf_addf(b, "%s: %s %s\r\n", name, n->address, n->fpr);
}

void group_print(struct buf *b, const struct group *g)
{
	struct group_named *members = mem_dup(b, g->members, g->n_members * sizeof(*members));

	if (g->n_members > 0)
		qsort(members, g->n_members, sizeof(*members), by_address);
	record_print_start(b, "group");
	record_print_text(b, "Group", g->name);
	print_named(b, "Master", &g->master);
	for (size_t i = 0; i < g->n_successors; i++)
		print_named(b, "Successor", &g->successors[i]);
	record_print_time(b, "Issued", g->issued_s);
	record_print_time(b, "Expires", g->expires_s);
	record_print_number(b, "Serial", g->serial);
	for (size_t i = 0; i < g->n_members; i++)
		print_named(b, "Member", &members[i]);
	record_print_body(b, bytes_of(NULL, 0));
	talloc_free(members);
}

const struct group_named *group_find(const struct group *g, const char *address)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (strcmp(g->members[i].address, address) == 0)
			return &g->members[i];
	return NULL;
}
