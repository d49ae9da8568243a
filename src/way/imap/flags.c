/*
 * Some keywords are the daemon's word, not the client's: whether the body is
 * here, who vouches for the sender, how far a letter has come. A client that
 * replaces all flags (STORE FLAGS) must neither wipe nor fake them.
 */
#include <string.h>
#include <strings.h>

#include "way/imap/flags.h"

static const struct {
	const char *name;
	uint32_t flag;
} system_flags[] = {
	{ "Answered", FLAG_ANSWERED }, { "Flagged", FLAG_FLAGGED }, { "Deleted", FLAG_DELETED },
	{ "Seen", FLAG_SEEN }, { "Draft", FLAG_DRAFT }, { "Recent", FLAG_RECENT },
};

static const char *const our_keywords[] = {
	"$Remote", "$Verified", "$Group", "$FirstUse", "$Expired",
	"$Accepted", "$Sealed", "$Resolved", "$Offered", "$Notified", "$Delivered", "$Declined",
	"$Cancelled", "$Failed",
};

enum { N_SYSTEM = sizeof(system_flags) / sizeof(system_flags[0]), N_OURS = sizeof(our_keywords) / sizeof(our_keywords[0]) };

uint32_t imap_flags_system(const char *name)
{
	for (size_t i = 0; i < N_SYSTEM; i++)
		if (strcasecmp(name, system_flags[i].name) == 0)
			return system_flags[i].flag;
	return 0;
}

uint64_t imap_flags_find(struct store *st, const char *name)
{
	for (unsigned i = 0; i < LIMIT_KEYWORDS; i++) {
		const char *known = store_keyword_name(st, i);

		if (known && strcasecmp(known, name) == 0)
			return UINT64_C(1) << i;
	}
	return 0;
}

uint64_t imap_flags_known(struct store *st)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < LIMIT_KEYWORDS; i++)
		if (store_keyword_name(st, i))
			all |= UINT64_C(1) << i;
	return all;
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < N_OURS; i++)
		if (strcasecmp(name, our_keywords[i]) == 0)
			return true;
	return false;
}

uint64_t imap_flags_ours(struct store *st)
{
	uint64_t ours = 0;

	for (size_t i = 0; i < N_OURS; i++)
		ours |= imap_flags_find(st, our_keywords[i]);
	return ours;
}

enum imap_flags_result imap_flags_parse(struct store *st, const struct imap_arg *args, size_t n, struct imap_flags *out)
{
	*out = (struct imap_flags){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (args[i].kind != IMAP_ATOM)
			return IMAP_FLAGS_BAD;
		const char *name = args[i].text;

		if (name[0] == '\\') {
			uint32_t flag = imap_flags_system(name + 1);

			if (flag == 0 || flag == FLAG_RECENT)
				return IMAP_FLAGS_BAD;
			out->flags |= flag;
		} else if (strpbrk(name, "\\%*]")) {
			return IMAP_FLAGS_BAD;
		} else if (!is_ours(name)) {
			uint64_t bit = imap_flags_find(st, name);

			if (bit == 0)
				bit = store_keyword(st, name);
			if (bit == 0)
				return IMAP_FLAGS_FULL;
			out->keywords |= bit;
		}
	}
	return IMAP_FLAGS_OK;
}

void imap_flags_print(struct buf *out, struct store *st, uint32_t flags, uint64_t keywords)
{
	const char *space = "";

	buf_add(out, "(", 1);
	for (size_t i = 0; i < N_SYSTEM; i++) {
		if (!(flags & system_flags[i].flag))
			continue;
		buf_adds(out, space);
		buf_add(out, "\\", 1);
		buf_adds(out, system_flags[i].name);
		space = " ";
	}
	for (unsigned i = 0; keywords >> i; i++) {
		const char *name = keywords >> i & 1 ? store_keyword_name(st, i) : NULL;

		if (name) {
			buf_adds(out, space);
			buf_adds(out, name);
			space = " ";
		}
		if (i == 63)
			break;
	}
	buf_add(out, ")", 1);
}
