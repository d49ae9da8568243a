/* Two sorted lists are walked side by side; an election compares distances octet by octet. */
#include <string.h>

#include "lib/base/digest.h"
#include "way/replica/elect.h"

static void distance(const uint8_t hash[32], const char *address, uint8_t out[32])
{
	digest_of(bytes_str(address), out);
	for (int i = 0; i < 32; i++)
		out[i] ^= hash[i];
}

bool elect_is_in(const uint8_t hash[32], const char *self, const char *const *up, size_t n_up)
{
	uint8_t own[32], other[32];
	unsigned nearer = 0;

	distance(hash, self, own);
	for (size_t i = 0; i < n_up && nearer < ELECTED; i++) {
		distance(hash, up[i], other);
		nearer += memcmp(other, own, sizeof(own)) < 0;
	}
	return nearer < ELECTED;
}

static bool is_changed(const struct msglist_item *item, const struct replica *row)
{
	return !row->listed || row->expires_s != item->expires_s || row->sealed_size != item->sealed_size ||
	    memcmp(row->notices_hash, item->notices_hash, 32) != 0;
}

/* Items of one h: kept, withdrawn, or both. */
static void each_of(const struct msglist_item *items, size_t n, const struct replica *row,
    void (*fn)(void *arg, const struct diff *), void *arg)
{
	struct diff d = { .item = items, .row = row };
	bool kept = !items[0].withdrawn;

	if (kept && (row == NULL || is_changed(items, row))) {
		d.kind = row == NULL ? DIFF_NEW : DIFF_CHANGED;
		fn(arg, &d);
	}
	for (size_t i = kept; i < n; i++) {
		d.kind = DIFF_RECALLED;
		d.item = &items[i];
		fn(arg, &d);
	}
	if (!kept && row != NULL && row->listed)
		fn(arg, &(struct diff){ .kind = DIFF_GONE, .row = row });
}

void diff_each(const struct msglist *list, struct replica *const *rows, size_t n_rows,
    void (*fn)(void *arg, const struct diff *), void *arg)
{
	size_t at = 0;

	for (size_t i = 0; i < n_rows || at < list->n_items;) {
		const struct msglist_item *item = &list->items[at];
		int order = i == n_rows ? 1 : at == list->n_items ? -1 : memcmp(rows[i]->hash, item->hash, 32);
		size_t n = 1;

		if (order < 0) {
			if (rows[i]->listed)
				fn(arg, &(struct diff){ .kind = DIFF_GONE, .row = rows[i] });
			i++;
			continue;
		}
		while (at + n < list->n_items && memcmp(item[n].hash, item->hash, 32) == 0)
			n++;
		each_of(item, n, order == 0 ? rows[i] : NULL, fn, arg);
		at += n;
		i += order == 0;
	}
}
