/*
 * Five fixed layouts behind a magic of five octets. Values come from anybody,
 * in numbers: what is not ours is told by the first octets, without memory.
 */
#include "lib/mail/value.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

enum {
	MAGIC_LEN = 5,
	NS_HEAD = MAGIC_LEN + 1 + 4 + VALUE_TOKEN_LEN,
	DAY_AHEAD = 1,
	DAY_BEHIND = 31,
};

static const struct layout {
	char magic[MAGIC_LEN + 1];
	size_t head;		/* octets before the message; the whole value for proofs */
	size_t max;
} layouts[] = {
	[VALUE_NS] = { "p2ns\x01", NS_HEAD, LIMIT_NS_VALUE },
	[VALUE_NR] = { "p2nr\x01", VALUE_PROOF_LEN, VALUE_PROOF_LEN },
	[VALUE_RECALL] = { "p2rc\x01", VALUE_PROOF_LEN, VALUE_PROOF_LEN },
	[VALUE_PEER] = { "p2pd\x01", MAGIC_LEN, LIMIT_DESCRIPTOR },
	[VALUE_GROUP] = { "p2gd\x01", MAGIC_LEN, LIMIT_DHT_VALUE },
};

static bool is_proof(enum value_kind kind)
{
	return kind == VALUE_NR || kind == VALUE_RECALL;
}

static const struct layout *find_layout(struct bytes in, enum value_kind *kind_out)
{
	if (in.len < MAGIC_LEN)
		return NULL;
	for (enum value_kind k = VALUE_NS; k <= VALUE_GROUP; k++) {
		if (memcmp(in.data, layouts[k].magic, MAGIC_LEN) == 0) {
			*kind_out = k;
			return &layouts[k];
		}
	}
	return NULL;
}

int value_parse(struct bytes in, struct value *out)
{
	struct value v = { 0 };
	const struct layout *l = find_layout(in, &v.kind);
	const uint8_t *p = in.data;

	/* Proofs are exact, the others have at least one octet of message. */
	if (!l || in.len > l->max || in.len < l->head + !is_proof(v.kind))
		return -1;
	if (is_proof(v.kind))
		memcpy(v.proof, p + MAGIC_LEN, sizeof(v.proof));
	else
		v.message = bytes_of(p + l->head, in.len - l->head);
	if (v.kind == VALUE_NS) {
		v.ns_kind = p[MAGIC_LEN];
		v.day = (uint32_t)p[6] << 24 | (uint32_t)p[7] << 16 | (uint32_t)p[8] << 8 | p[9];
		memcpy(v.token, p + 10, sizeof(v.token));
		if (v.ns_kind > NS_JOIN)
			return -1;
	}
	*out = v;
	return 0;
}

struct bytes value_print(const void *ctx, const struct value *v)
{
	const struct layout *l = &layouts[v->kind];
	size_t len = l->head + (is_proof(v->kind) ? 0 : v->message.len);
	uint8_t *p = mem_zero_array(ctx, uint8_t, len);

	memcpy(p, l->magic, MAGIC_LEN);
	if (v->kind == VALUE_NS) {
		p[MAGIC_LEN] = v->ns_kind;
		for (int i = 0; i < 4; i++)
			p[6 + i] = (uint8_t)(v->day >> (24 - 8 * i));
		memcpy(p + 10, v->token, sizeof(v->token));
	}
	if (is_proof(v->kind))
		memcpy(p + MAGIC_LEN, v->proof, sizeof(v->proof));
	else if (v->message.len > 0)
		memcpy(p + l->head, v->message.data, v->message.len);
	return bytes_of(p, len);
}

struct bytes value_print_proof(const void *ctx, enum value_kind kind, const uint8_t proof[32])
{
	struct value v = { .kind = kind };

	assert(is_proof(kind));
	memcpy(v.proof, proof, sizeof(v.proof));
	return value_print(ctx, &v);
}

bool value_day_good(uint32_t day, int64_t now_s)
{
	int64_t today = now_s / 86400;

	return day <= today + DAY_AHEAD && day + DAY_BEHIND >= today;
}

void value_key(enum value_key key, const char *name, char out[LIMIT_ADDRESS + 16])
{
	static const char *const words[] = {
		[KEY_PEER] = "peer", [KEY_GROUP] = "group", [KEY_NS] = "ns", [KEY_NR] = "nr",
	};
	int len = snprintf(out, LIMIT_ADDRESS + 16, "p2pmta:%s:%s", words[key], name);

	assert(len > 0 && len < LIMIT_ADDRESS + 16);
	(void)len;
}
