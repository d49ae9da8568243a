/*
 * What state.db says of flags, as a mailbox is loaded: the UIDs of a journal's record ('J', octets of flags, then these) and a page
 * ('P', its number, then its octets). Whatever it is, messages stay what they are, only flags, keywords and mod-sequences follow,
 * the last upwards; what the check finds good is read to its end, and to read it twice makes no difference.
 */
#include <stdlib.h>

#include "lib/store/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N = 200, HEAD = 6 };

/* At the beginning and the end of some pages, and of all UIDs. */
static uint32_t uid_of(size_t i)
{
	return i < 100 ? (uint32_t)i + 1 : i < 150 ? 4096 - 25 + (uint32_t)(i - 100) * 2 : UINT32_MAX - (uint32_t)(N - 1 - i);
}

static void fill(struct message *all)
{
	for (size_t i = 0; i < N; i++)
		all[i] = (struct message){ .id = i + 1, .content = i, .size = i, .uid = uid_of(i), .modseq = i % 7 + 1, .flags = i % 32,
			.keywords = i };
}

/* Did only what may change? */
static void compare(const struct message *before, const struct message *after)
{
	for (size_t i = 0; i < N; i++) {
		struct message m = after[i];

		if (m.modseq < before[i].modseq || m.flags & ~(uint32_t)FLAGS_STORED)
			abort();
		m.modseq = before[i].modseq;
		m.flags = before[i].flags;
		m.keywords = before[i].keywords;
		if (memcmp(&m, &before[i], sizeof(m)) != 0)
			abort();
	}
}

static bool take(struct mailbox *box, const uint8_t *data, struct bytes rest)
{
	const struct flag_change what = { .clear = data[2], .set = data[3], .clear_keywords = data[4], .set_keywords = data[5] };
	uint64_t n;
	bool good;

	if (data[0] == 'P') {
		uint32_t page = data[1] == 255 ? UINT32_MAX >> 12 : data[1] % 4;

		good = fold_take(box, page, rest);
		if (good != fold_check(page, rest))
			abort();
		return good;
	}
	good = journal_take(box, data[1], &what, rest, &n);
	/* More than all, when it names one again: each run begins where the last one ended. */
	if (n > N + rest.len || (data[1] > 0 && good != journal_check(rest)))
		abort();
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message before[N], once[N], twice[N];

	if (size < HEAD)
		return 0;
	/* Of its own: what is read beyond its end is found. */
	uint8_t *rest = mem_dup(NULL, data + HEAD, size - HEAD);
	struct mailbox box = { .messages = once, .n_messages = N };

	fill(before);
	memcpy(once, before, sizeof(once));
	bool good = take(&box, data, bytes_of(rest, size - HEAD));

	compare(before, once);
	memcpy(twice, once, sizeof(twice));
	box.messages = twice;
	if (take(&box, data, bytes_of(rest, size - HEAD)) != good || memcmp(once, twice, sizeof(once)) != 0)
		abort();
	talloc_free(rest);
	return 0;
}
