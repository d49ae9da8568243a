/*
 * The receiving side: noticed -> filed -> here or declined -> done. A message
 * is filed only when its skeleton is here; its body comes when somebody opens
 * it, or before it would be lost; the receipt is repeated until its sender
 * proves that he heard it.
 */
#include <string.h>

#include <talloc.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/addr.h"
#include "lib/mail/urls.h"
#include "lib/mail/value.h"
#include "lib/mime/header.h"
#include "lib/store/replica.h"

enum {
	SOURCES_MAX = 64,
	HEAD_FIRST_S = 5, HEAD_MAX_S = 1800,
	FETCH_FIRST_S = 30, FETCH_MAX_S = 3600,
	RECEIPT_FIRST_S = 1, RECEIPT_MAX_S = 3600,
	/* With the look for new addresses between the two: less than the 60 s after which a client is told. */
	PATIENCE_MS = 30000, PATIENCE_AFTER_MS = 15000,
	TOLERATED_S = 86400,
	RECEIPT_LIFE_S = 2 * 86400,	/* after Expires (p2pmta-protocol(7), section 4, step 6) */
};

/* The sender's URLs: those of the notice, then those of his descriptor. */
static const char *urls_of(struct courier *c, const void *ctx, const struct notice *n)
{
	struct contact *from = store_contact_find(c->parts.store, ctx, n->from);

	if (strcmp(n->from, c->settings.address) == 0)
		return c->settings.own_url;
	if (from == NULL || from->urls[0] == '\0' || strcmp(from->urls, n->urls) == 0)
		return n->urls;
	/* The descriptor is the younger of the two when the peer has moved. */
	return talloc_asprintf(ctx, "%s%s%s", from->urls, n->urls[0] ? "\n" : "", n->urls);
}

/*
 * May the network be asked because of this message: is it no stranger's, or did the user open it? What has a head
 * cannot be filed without it, and its sender did not give it: he was asked already.
 */
static bool may_look(struct courier *c, const struct notice *n, const struct contact *from)
{
	bool headless = n->state == NOTICE_NOTICED && n->tries > 0;

	return headless || n->wanted || pulls_are_waiting(c, n->id) || n->state == NOTICE_HERE ||
	    (from != NULL && (from->accepted || from->trust == TRUST_GROUP || from->trust == TRUST_VERIFIED));
}

/* Fellow members of the sender, who may hold what he sent, and hear the receipt for him. */
static struct groups_holder *holders_of(struct courier *c, const void *ctx, const struct notice *n, size_t *n_out, bool *more_out)
{
	struct contact *from = store_contact_find(c->parts.store, ctx, n->from);
	struct groups_sender sender = { .address = n->from, .fpr = n->fpr, .urls = urls_of(c, ctx, n), .group = n->group };

	*n_out = 0;
	*more_out = false;
	if (strcmp(n->from, c->settings.address) == 0)
		return NULL;
	if (sender.group[0] == '\0' && from != NULL)
		sender.group = from->group;
	return groups_holders(c->parts.groups, ctx, &sender, may_look(c, n, from), n_out, more_out);
}

static void add_source(struct fetch_source *list, size_t *n, const struct fetch_source *like, const char *urls)
{
	for (char *url; *n < SOURCES_MAX && (url = urls_first(list, urls, "")) != NULL; urls = urls_rest(urls)) {
		list[*n] = *like;
		list[(*n)++].url = url;
	}
}

static void add_holders(struct fetch_source *list, size_t *n, const struct groups_holder *holders, size_t n_holders)
{
	for (size_t i = 0; i < n_holders; i++) {
		struct fetch_source like = { .who = holders[i].address, .friend_address = holders[i].is_fellow, .holder = true };

		add_source(list, n, &like, holders[i].urls);
	}
}

/* What a fellow member sent to us, among others, may be here as his replica: our own outbox gives it like any. */
static void add_ourselves(struct courier *c, struct fetch_order *o, struct fetch_source *list, const struct notice *n)
{
	struct replica *row = store_replica_find(c->parts.store, list, n->from, n->hash);
	struct fetch_source like = { .who = c->settings.address, .friend_address = true, .holder = true };

	if (row != NULL && row->body)
		add_source(list, &o->n_sources, &like, c->settings.own_url);
}

/* All who may have it, as way/fetch wants to know them: ourselves, then the sender. */
static void fill_sources(struct courier *c, struct fetch_order *o, const struct notice *n)
{
	struct fetch_source *list = talloc_zero_array(o, struct fetch_source, SOURCES_MAX);
	struct fetch_source sender = {
		.who = talloc_strdup(list, n->from),
		.friend_address = strcmp(n->from, c->settings.address) == 0 || groups_is_fellow(c->parts.groups, n->from),
	};
	size_t n_holders;
	struct groups_holder *holders = holders_of(c, list, n, &n_holders, &o->more);

	add_ourselves(c, o, list, n);
	add_source(list, &o->n_sources, &sender, urls_of(c, list, n));
	add_holders(list, &o->n_sources, holders, n_holders);
	o->sources = list;
}

struct fetch_order *in_order(struct courier *c, const void *ctx, const struct notice *n)
{
	struct fetch_order *o = talloc_zero(ctx, struct fetch_order);

	o->id = n->id;
	o->sender = talloc_strdup(o, n->from);
	o->fpr = n->fpr;
	fill_sources(c, o, n);
	memcpy(o->hash, n->hash, 32);
	memcpy(o->digest, n->digest, 32);
	memcpy(o->key, n->key, 32);
	proof_make(PROOF_GET, n->secret, n->hash, o->t_get);
	proof_make(PROOF_RECALL, n->secret, n->hash, o->t_recall);
	o->sealed_size = n->sealed_size;
	o->size = n->size;
	o->patience_ms = pulls_is_refreshed(c, n->id) ? PATIENCE_AFTER_MS : PATIENCE_MS;
	memcpy(o->head_hash, n->head_hash, 32);
	o->head_size = n->has_head ? n->head_size : 0;
	return o;
}

static const char *trust_keyword(struct courier *c, const void *ctx, const char *address)
{
	struct contact *from = store_contact_find(c->parts.store, ctx, address);

	if (from != NULL && from->trust == TRUST_VERIFIED)
		return "$Verified";
	if (from != NULL && from->trust == TRUST_GROUP)
		return "$Group";
	return "$FirstUse";
}

/* Header From is one mailbox, and it is the signer's address (section 6). */
static bool is_from_signer(const struct notice *n, const struct mime *mime)
{
	void *ctx = talloc_new(NULL);
	size_t n_parts, n_mailboxes = 0;
	struct bytes header = mime_header(mime, mime_parts(mime, &n_parts));
	char *value = header_get(ctx, header, "From");
	char *mailbox = value != NULL ? header_mailbox(ctx, value, &n_mailboxes) : NULL;
	char address[LIMIT_ADDRESS + 1];
	bool same = mailbox != NULL && n_mailboxes == 1 && addr_parse_base(mailbox, address) == 0 &&
	    strcmp(address, n->from) == 0;

	talloc_free(ctx);
	return same;
}

struct structure {
	const struct mime *mime;
	const char *envelope, *body, *bodystructure;
};

static void file(struct courier *c, struct notice *n, const struct structure *s, enum place place)
{
	struct deliver_item item = {
		.digest = n->digest, .size = n->size, .place = place, .mime = s->mime, .envelope = s->envelope,
		.body = s->body, .bodystructure = s->bodystructure, .internal_ms = clock_now_ms(),
		.keywords = { trust_keyword(c, n, n->from) },
	};

	if (place != PLACE_NONE)
		store_place_new(c->parts.store, place, n->digest);
	deliver_file(c->parts.deliver, store_mailbox_standard(c->parts.store, BOX_INBOX), &item, &n->content);
}

static void spoil(struct courier *c, struct notice *n, const char *reason)
{
	log_warn("notice=%llu state=spoilt from=%s why=\"%s\"", (unsigned long long)n->id, n->from, reason);
	n->done = true;
	notice_move(c, n, NOTICE_SPOILT, reason);
}

/* The skeleton is here: the message appears. */
static void file_skeleton(struct courier *c, struct notice *n, const struct structure *s)
{
	if (!is_from_signer(n, s->mime)) {
		spoil(c, n, "its From is not the address that signed it");
		return;
	}
	file(c, n, s, PLACE_NONE);
	notice_move(c, n, NOTICE_FILED, "");
}

static struct notice *notice_from(const void *ctx, const struct ns *ns, const char *fpr)
{
	struct notice *n = talloc_zero(ctx, struct notice);

	memcpy(n->from, ns->from, sizeof(n->from));
	n->fpr = fpr;
	memcpy(n->hash, ns->hash, 32);
	memcpy(n->digest, ns->digest, 32);
	memcpy(n->key, ns->key, 32);
	memcpy(n->secret, ns->secret, 32);
	n->sealed_size = ns->sealed_size;
	n->size = ns->size;
	n->issued_s = ns->issued_s;
	n->expires_s = ns->expires_s;
	n->heard_ms = n->due_ms = clock_now_ms();
	n->urls = urls_print(n, ns->urls, ns->n_urls);
	n->group = ns->group != NULL ? ns->group : "";
	n->has_head = ns->has_head;
	memcpy(n->head_hash, ns->head_hash, 32);
	n->head_size = ns->head_size;
	n->reason = "";
	return n;
}

/* We have it already: tell its sender once more how it stands. */
static void answer_again(struct courier *c, struct notice *n)
{
	if (n->state != NOTICE_HERE && n->state != NOTICE_DECLINED)
		return;
	n->done = false;
	n->tries = 0;
	store_notice_save(c->parts.store, n);
	agenda_set(c->agenda, AGENDA_NOTICE, n->id, clock_now_ms());
}

static void take_notice(struct courier *c, const void *ctx, const struct notify_item *item, const char *fpr)
{
	struct notice *n = store_notice_of(c->parts.store, ctx, item->ns->hash, item->ns->from);
	struct structure s = { item->mime, item->envelope, item->body, item->bodystructure };

	if (n != NULL) {
		answer_again(c, n);
		return;
	}
	n = notice_from(ctx, item->ns, fpr);
	store_notice_add(c->parts.store, n);
	log_info("notice=%llu state=noticed from=%s size=%llu", (unsigned long long)n->id, n->from,
	    (unsigned long long)n->size);
	courier_step(c, "noticed");
	if (item->mime != NULL)
		file_skeleton(c, n, &s);
	else
		agenda_set(c->agenda, AGENDA_NOTICE, n->id, n->due_ms);
}

bool courier_on_heard(void *courier, const struct notify_heard *heard)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	const char *from = heard->items[0].ns->from;
	bool good = c->agenda != NULL && resolve_pin(c->parts.resolve, from, heard->fpr);

	for (size_t i = 0; good && i < heard->n; i++)
		take_notice(c, ctx, &heard->items[i], heard->fpr);
	talloc_free(ctx);
	return good;
}

/* Clocks differ: Expires is tolerated for a day (p2pmta-protocol(7), Records); its sender is exact. */
static bool is_expired(const struct notice *n)
{
	return clock_now_s() >= n->expires_s + TOLERATED_S;
}

static void lapse(struct courier *c, struct notice *n)
{
	if (n->content != 0)
		store_content_set_keywords(c->parts.store, n->content, store_keyword(c->parts.store, "$Expired"), 0);
	n->done = true;
	notice_move(c, n, NOTICE_LAPSED, "it was not pulled before its sender let it go");
}

/* noticed: the head object brings the skeleton; without one the whole message is pulled first. */
void in_head(struct courier *c, struct notice *n)
{
	if (is_expired(n))
		lapse(c, n);
	else if (n->wanted)
		fetch_body(c->parts.fetch, in_order(c, n, n));
	else
		fetch_head(c->parts.fetch, in_order(c, n, n));
}

static void expunge_all(struct courier *c, const void *ctx, uint64_t content)
{
	size_t n;
	uint64_t *ids = store_message_of_content(c->parts.store, ctx, content, &n);

	for (size_t i = 0; i < n; i++) {
		struct mailbox *box;
		uint32_t uid;

		if (store_message_locate(c->parts.store, ids[i], &box, &uid))
			store_message_expunge(c->parts.store, box, uid);
	}
}

/* Its sender took it back, and proved that it is he: the entry goes. */
static void recall(struct courier *c, struct notice *n)
{
	uint64_t content = n->content;

	fetch_forget(c->parts.fetch, n->id);
	agenda_drop(c->agenda, AGENDA_NOTICE, n->id);
	n->content = 0;
	n->done = true;
	notice_move(c, n, NOTICE_RECALLED, "its sender took it back");
	pulls_answer(c, n->id, REJECT, "The sender has taken this message back.");
	if (content != 0) {
		expunge_all(c, n, content);
		store_content_sweep(c->parts.store, content);
	}
}

void courier_on_recalled(void *courier, const uint8_t proof[32])
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct notice *n = c->agenda != NULL ? store_notice_of_recall(c->parts.store, ctx, proof) : NULL;

	if (n != NULL && (n->state == NOTICE_NOTICED || n->state == NOTICE_FILED))
		recall(c, n);
	talloc_free(ctx);
}

void courier_on_head(void *courier, const struct fetch_result *result)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct notice *n = c->agenda != NULL ? store_notice_find(c->parts.store, ctx, result->id) : NULL;
	struct structure s = { result->mime, result->envelope, result->body, result->bodystructure };

	if (n == NULL || n->state != NOTICE_NOTICED) {
		/* It went its way meanwhile. */
	} else if (result->recalled) {
		recall(c, n);
	} else if (result->res == OK && result->mime != NULL) {
		file_skeleton(c, n, &s);
	} else if (result->res == OK) {
		n->wanted = true;
		notice_again(c, n, "", 0, 0);
	} else if (result->res == REJECT) {
		spoil(c, n, result->reason);
	} else if (result->heard || !pulls_refresh(c, n)) {
		pulls_forget_refresh(c, n->id);
		notice_again(c, n, result->reason, HEAD_FIRST_S, HEAD_MAX_S);
	}
	talloc_free(ctx);
}

/* When its life is three quarters over it is pulled unasked, so that a holiday loses nothing. */
static int64_t rescue_s(const struct notice *n)
{
	return n->issued_s + (n->expires_s - n->issued_s) * 3 / 4;
}

void in_fetch(struct courier *c, struct notice *n)
{
	int64_t rescue = rescue_s(n);

	if (is_expired(n) && !pulls_are_waiting(c, n->id)) {
		lapse(c, n);
	} else if (n->wanted || clock_now_s() >= rescue || pulls_are_waiting(c, n->id)) {
		fetch_body(c->parts.fetch, in_order(c, n, n));
	} else {
		n->due_ms = rescue * 1000;
		agenda_set(c->agenda, AGENDA_NOTICE, n->id, n->due_ms);
	}
}

/* Is what was pulled what was filed? Then ENVELOPE, BODYSTRUCTURE and all else stay true. */
static bool is_as_filed(struct courier *c, const struct notice *n, const struct fetch_result *result)
{
	struct content *filed = store_content_find(c->parts.store, n, n->content);

	return filed != NULL && bytes_equal(filed->skeleton, mime_skeleton(result->mime)) &&
	    strcmp(filed->parts, mime_parts_text(result->mime)) == 0;
}

static void keep_body(struct courier *c, struct notice *n)
{
	uint64_t remote = store_keyword(c->parts.store, "$Remote") | store_keyword(c->parts.store, "$Expired");

	n->done = false;
	store_place_new(c->parts.store, PLACE_INBOX, n->digest);
	store_content_set_place(c->parts.store, n->content, PLACE_INBOX);
	store_content_set_keywords(c->parts.store, n->content, 0, remote);
	notice_move(c, n, NOTICE_HERE, "");
	pulls_answer(c, n->id, OK, "");
}

/* The sender announced another structure than he sent: never edited, but filed anew. */
static void file_anew(struct courier *c, struct notice *n, const struct structure *s)
{
	uint64_t old = n->content;

	log_warn("notice=%llu from=%s why=\"its structure was announced wrongly\"", (unsigned long long)n->id, n->from);
	n->content = 0;
	n->done = false;
	file(c, n, s, PLACE_INBOX);
	notice_move(c, n, NOTICE_HERE, "");
	expunge_all(c, n, old);
	store_content_sweep(c->parts.store, old);
	pulls_answer(c, n->id, REJECT, "This message was announced wrongly by its sender and has been filed anew.");
}

/* What was pulled cannot be shown to anybody: the entry goes, and what the station filed. */
static void refuse_body(struct courier *c, struct notice *n, const char *reason)
{
	uint64_t content = n->content;

	pulls_answer(c, n->id, REJECT, talloc_asprintf(n, "This message is not what its sender announced: %s.", reason));
	n->content = 0;
	spoil(c, n, reason);
	if (content != 0) {
		expunge_all(c, n, content);
		store_content_sweep(c->parts.store, content);
	}
	store_place_sweep(c->parts.store, PLACE_INBOX, n->digest);
}

static void take_body(struct courier *c, struct notice *n, const struct fetch_result *result)
{
	struct structure s = { result->mime, result->envelope, result->body, result->bodystructure };

	if (!is_from_signer(n, result->mime)) {
		refuse_body(c, n, "its From is not the address that signed it");
	} else if (n->state == NOTICE_NOTICED) {
		file(c, n, &s, PLACE_INBOX);
		notice_move(c, n, NOTICE_HERE, "");
	} else if (is_as_filed(c, n, result)) {
		keep_body(c, n);
	} else {
		file_anew(c, n, &s);
	}
}

static char *who_is_away(struct courier *c, const struct notice *n, const char *reason)
{
	struct contact *from = store_contact_find(c->parts.store, n, n->from);
	char since[CLOCK_TEXT];

	if (from == NULL || from->last_seen_s == 0)
		return talloc_asprintf(n, "%s is away (%s). It is tried again in the background.", n->from, reason);
	clock_print(from->last_seen_s, since);
	return talloc_asprintf(n, "%s is away, last seen %s (%s). It is tried again in the background.", n->from, since,
	    reason);
}

static void body_failed(struct courier *c, struct notice *n, const struct fetch_result *result)
{
	if (result->recalled) {
		recall(c, n);
	} else if (result->res == REJECT) {
		pulls_answer(c, n->id, REJECT, talloc_asprintf(n, "This message is not what its sender announced: %s.",
		    result->reason));
		spoil(c, n, result->reason);
	} else if (is_expired(n)) {
		pulls_answer(c, n->id, REJECT, "This message was not collected in time; its sender has let it go.");
		lapse(c, n);
	} else if (result->heard || !pulls_refresh(c, n)) {
		pulls_answer(c, n->id, RETRY, who_is_away(c, n, result->reason));
		notice_again(c, n, result->reason, FETCH_FIRST_S, FETCH_MAX_S);
	}
}

static void note_seen(struct courier *c, const struct notice *n)
{
	struct contact *from = store_contact_find(c->parts.store, n, n->from);

	if (from == NULL)
		return;
	from->last_seen_s = clock_now_s();
	store_contact_save(c->parts.store, from);
}

void courier_on_body(void *courier, const struct fetch_result *result)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct notice *n = c->agenda != NULL ? store_notice_find(c->parts.store, ctx, result->id) : NULL;

	if (n == NULL || (n->state != NOTICE_NOTICED && n->state != NOTICE_FILED && n->state != NOTICE_LAPSED)) {
		if (n != NULL && n->state != NOTICE_HERE && result->res == OK)
			store_place_sweep(c->parts.store, PLACE_INBOX, n->digest);
	} else {
		if (result->heard)
			note_seen(c, n);
		if (result->res == OK)
			take_body(c, n, result);
		else
			body_failed(c, n, result);
	}
	talloc_free(ctx);
}

/* A receipt that nobody has confirmed goes to who is known now. */
static void receipts_again(struct courier *c, const void *ctx, const char *sender)
{
	size_t n;
	struct notice **rows = store_notice_due(c->parts.store, ctx, NOTICE_HERE, INT64_MAX, SIZE_MAX, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i]->from, sender) == 0)
			agenda_set(c->agenda, AGENDA_NOTICE, rows[i]->id, clock_now_ms());
}

/* More is known of who may have this sender's messages. */
void courier_on_holders(void *courier, const char *sender, const char *group)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct contact *from = store_contact_find(c->parts.store, ctx, sender);
	struct fetch_source *list = talloc_zero_array(ctx, struct fetch_source, SOURCES_MAX);
	size_t n = 0, n_holders;

	if (c->agenda != NULL && from != NULL) {
		struct groups_sender s = { .address = sender, .fpr = from->fpr, .urls = from->urls, .group = group };
		struct groups_holder *holders = groups_holders(c->parts.groups, ctx, &s, false, &n_holders, NULL);

		add_holders(list, &n, holders, n_holders);
		fetch_add_sources(c->parts.fetch, sender, list, n);
		receipts_again(c, ctx, sender);
	}
	talloc_free(ctx);
}

void courier_on_join(void *courier, struct bytes value)
{
	struct courier *c = courier;

	if (c->agenda != NULL)
		groups_on_join(c->parts.groups, value);
}

void courier_on_unwanted(void *courier, const uint8_t digest[32])
{
	struct courier *c = courier;

	if (c->agenda != NULL)
		store_place_sweep(c->parts.store, PLACE_INBOX, digest);
}

/* The sender's, else those of who may stand in for him: notify_send() asks one after the other until one answers. */
static const char *receipt_urls(struct courier *c, const struct notice *n)
{
	char *urls = talloc_strdup(n, urls_of(c, n, n));
	size_t n_holders;
	bool more;
	struct groups_holder *h = holders_of(c, n, n, &n_holders, &more);

	for (size_t i = 0; i < n_holders; i++)
		urls = talloc_asprintf_append(urls, "%s%s", urls[0] != '\0' ? "\n" : "", h[i].urls);
	return urls;
}

/* here, declined: the receipt goes out until it is proven, or out of time. */
void in_receipt(struct courier *c, struct notice *n)
{
	struct notify_message m = {
		.address = n->from, .urls = receipt_urls(c, n), .friend_address = groups_is_fellow(c->parts.groups, n->from),
	};
	uint8_t proof[32];

	if (clock_now_s() >= n->expires_s + RECEIPT_LIFE_S) {
		notify_end(c->parts.notify, NOTIFY_RECEIPT, n->id);
		n->done = true;
		store_notice_save(c->parts.store, n);
		return;
	}
	proof_make(n->state == NOTICE_HERE ? PROOF_GOT : PROOF_DECLINED, n->secret, n->hash, proof);
	m.value = value_print_proof(n, VALUE_NR, proof);
	notify_send(c->parts.notify, NOTIFY_RECEIPT, n->id, &m);
	notice_again(c, n, "", RECEIPT_FIRST_S, RECEIPT_MAX_S);
}

void courier_on_proven(void *courier, uint64_t id)
{
	struct courier *c = courier;
	void *ctx = talloc_new(NULL);
	struct notice *n = c->agenda != NULL ? store_notice_find(c->parts.store, ctx, id) : NULL;

	if (n != NULL && !n->done) {
		n->done = true;
		store_notice_save(c->parts.store, n);
		agenda_drop(c->agenda, AGENDA_NOTICE, id);
		log_info("notice=%llu state=done", (unsigned long long)id);
		courier_step(c, "receipt");
		notify_end(c->parts.notify, NOTIFY_RECEIPT, id);
	}
	talloc_free(ctx);
}

/* The user expunged the last sight of a message: what was not pulled is declined. */
void in_expunged(struct courier *c, const struct message *was)
{
	void *ctx = talloc_new(NULL);
	struct notice *n = store_notice_of_content(c->parts.store, ctx, was->content);

	if (n != NULL) {
		n->content = 0;
		if (n->state == NOTICE_FILED || n->state == NOTICE_LAPSED)
			fetch_forget(c->parts.fetch, n->id);
		if (n->state == NOTICE_FILED) {
			notice_move(c, n, NOTICE_DECLINED, "");
		} else {
			store_notice_save(c->parts.store, n);
		}
		pulls_answer(c, n->id, REJECT, "This message was deleted meanwhile.");
	}
	talloc_free(ctx);
}
