/*
 * What the daemon tells its user: DSNs (RFC 3464) for what was delayed or
 * given up, and a letter when somebody shows another key. A report and the
 * row that says it was made are one transaction: neither twice, nor never.
 */
#include <string.h>

#include <talloc.h>
#include <uthash.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/mime/dsn.h"
#include "lib/mime/header.h"

/* Failures and receipts of one letter within this make one report. */
enum { GATHER_MS = 2000, WHOLE_MAX = 1024 * 1024 };

/* A report about a letter that is being filed: one at a time, and its rows may come up again meanwhile. */
struct reporting {
	uint64_t letter;
	enum dsn_action action;
	uint64_t *rcpts;
	size_t n;
	UT_hash_handle hh;
};

static struct reporting *reporting_find(struct courier *c, uint64_t letter)
{
	struct reporting *r;

	HASH_FIND(hh, c->reportings, &letter, sizeof(letter), r);
	return r;
}

void report_stop(struct courier *c)
{
	struct reporting *r, *next;

	HASH_ITER(hh, c->reportings, r, next) {
		HASH_DELETE(hh, c->reportings, r);
		talloc_free(r);
	}
}

static struct bytes original_header(struct courier *c, const void *ctx, const struct letter *l)
{
	struct content *content = l->content != 0 ? store_content_find(c->parts.store, ctx, l->content) : NULL;
	struct mime *mime;
	struct err e;
	size_t n;

	if (content == NULL || content->parts == NULL)
		return (struct bytes){ NULL, 0 };
	mime = mime_from_skeleton(ctx, content->skeleton, content->parts, content->size, &e);
	return mime != NULL ? mime_header(mime, mime_parts(mime, &n)) : (struct bytes){ NULL, 0 };
}

/* RET=FULL, of what is not too large to be carried about in one piece. */
static struct bytes whole_original(struct courier *c, const void *ctx, const struct letter *l)
{
	struct bytes whole = store_content_octets(c->parts.store, ctx, l->content);
	struct err e;

	if (whole.data == NULL && l->size <= WHOLE_MAX) {
		char *path = store_content_path(c->parts.store, ctx, l->content);
		if (path == NULL || files_get(ctx, path, WHOLE_MAX, &whole, &e) != OK)
			whole.data = NULL;
	}
	return whole;
}

/* Until when it is tried: a notification that is made already has an end of its own, too. */
static int64_t tries_end_ms(const struct courier *c, const struct rcpt *r, const struct letter *l)
{
	int64_t end = courier_lifetime_end_ms(c, l), expires = r->expires_s * 1000;

	return r->posting != 0 && expires < end ? expires : end;
}

static struct dsn_rcpt describe(struct courier *c, const struct rcpt *r, const struct letter *l, enum dsn_action action)
{
	struct dsn_rcpt about = { .address = r->address, .action = action, .reason = r->reason, .original = r->orcpt };
	char until[40];

	switch (action) {
	case DSN_FAILED:
		if (r->state == RCPT_DECLINED) {
			about.status = "5.7.1";
			about.reason = "the recipient deleted it unread";
			about.next = "There is nothing left to do.";
			break;
		}
		about.status = courier_failure_status(r->since_ms < tries_end_ms(c, r, l), l->sealed);
		about.next = "It is not tried again. The message was withdrawn from this recipient.";
		break;
	case DSN_EXPIRED:
		about.status = "5.4.7";
		about.next = "It is not tried again. The message was withdrawn from this recipient.";
		break;
	case DSN_DELAYED:
		about.retry_until_s = tries_end_ms(c, r, l) / 1000;
		clock_print_rfc5322(about.retry_until_s, until, sizeof(until));
		about.status = "4.4.1";
		about.next = talloc_asprintf(r, "It is tried again until %s.", until);
		break;
	case DSN_DELIVERED:
		about.status = "2.0.0";
		about.reason = "The whole message is in the recipient's mailbox; his peer has confirmed that.";
		about.next = "There is nothing left to do.";
		break;
	}
	if (about.reason[0] == '\0')
		about.reason = action == DSN_DELAYED ? "it has not been delivered yet" : "it could not be delivered";
	return about;
}

/*
 * Deleted unread: a failure (RFC 3464 section 2.3.3: it could not be delivered to the recipient), but
 * whoever asked for no reports is not told what the recipient did with his mail.
 */
static bool is_declined(const struct rcpt *r)
{
	return r->state == RCPT_DECLINED && (r->tell & RCPT_TELL_ASKED);
}

/* Which of a letter's recipients belong into this report? */
static bool is_meant(const struct rcpt *r, enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED:
	case DSN_EXPIRED:
		return !r->done && (r->state == RCPT_FAILED || r->state == RCPT_EXPIRED || is_declined(r)) &&
		    (r->tell & RCPT_TELL_FAILURE);
	case DSN_DELAYED:
		return !r->done && !r->warned && r->tries > 0 && r->state < RCPT_NOTIFIED && (r->tell & RCPT_TELL_DELAY);
	case DSN_DELIVERED:
		return r->state == RCPT_DELIVERED && (r->tell & RCPT_TELL_SUCCESS);
	}
	return false;
}

static void conclude(struct courier *c, struct rcpt *r, enum dsn_action action, bool ok)
{
	/* He went on meanwhile, or a receipt came; that a delay was told stays true. */
	if (!is_meant(r, action) && !(ok && action == DSN_DELAYED))
		return;
	if (!ok) {
		if (action != DSN_DELAYED && !r->done)
			rcpt_again(c, r, r->reason, 5, 600);
		return;
	}
	switch (action) {
	case DSN_FAILED:
	case DSN_EXPIRED:
		if (r->state == RCPT_DECLINED)
			sent_end_offer(c, r, store_letter_find(c->parts.store, r, r->letter));
		r->done = true;
		store_rcpt_save(c->parts.store, r);
		break;
	case DSN_DELAYED:
		r->warned = true;
		store_rcpt_save(c->parts.store, r);
		break;
	case DSN_DELIVERED:
		r->tell &= ~(unsigned)RCPT_TELL_SUCCESS;
		store_rcpt_save(c->parts.store, r);
		if (!r->done)
			sent_withdraw(c, r);
		break;
	}
}

/* In the transaction that files the report. */
static void on_filed(void *arg, uint64_t letter, bool ok)
{
	struct courier *c = arg;
	struct reporting *reporting = reporting_find(c, letter);

	if (reporting == NULL)
		return;
	HASH_DELETE(hh, c->reportings, reporting);
	if (!ok)
		log_warn("letter=%llu a report was not filed", (unsigned long long)letter);
	for (size_t i = 0; i < reporting->n && c->agenda != NULL; i++) {
		struct rcpt *r = store_rcpt_find(c->parts.store, reporting, reporting->rcpts[i]);
		if (r != NULL)
			conclude(c, r, reporting->action, ok);
	}
	if (c->agenda != NULL)
		sent_close(c, letter);
	talloc_free(reporting);
}

static enum dsn_action action_of(const struct rcpt *r, enum dsn_action action)
{
	if (action != DSN_FAILED)
		return action;
	return r->state == RCPT_EXPIRED ? DSN_EXPIRED : DSN_FAILED;
}

static void file_report(struct courier *c, const struct letter *l, struct rcpt **rcpts, size_t n, enum dsn_action action)
{
	struct reporting *reporting = talloc_zero(NULL, struct reporting);
	struct dsn_rcpt *about = talloc_zero_array(reporting, struct dsn_rcpt, n);

	reporting->letter = l->id;
	reporting->action = action;
	reporting->rcpts = talloc_array(reporting, uint64_t, n);
	for (size_t i = 0; i < n; i++) {
		if (!is_meant(rcpts[i], action))
			continue;
		about[reporting->n] = describe(c, rcpts[i], l, action_of(rcpts[i], action));
		reporting->rcpts[reporting->n++] = rcpts[i]->id;
	}
	struct dsn dsn = {
		.to = c->settings.address, .message_id = l->message_id, .subject = l->subject,
		.header = original_header(c, reporting, l), .submitted_s = l->submitted_ms / 1000, .now_s = clock_now_s(),
		.envid = l->envid, .rcpts = about, .n_rcpts = reporting->n,
	};

	if (l->ret_full && action == DSN_FAILED)
		dsn.whole = whole_original(c, reporting, l);
	HASH_ADD(hh, c->reportings, letter, sizeof(reporting->letter), reporting);
	deliver_own(c->parts.deliver, dsn_compose(reporting, &dsn), l->id, on_filed, c);
}

/* The same may be about to be said of others: worth a moment. */
static bool is_early(struct courier *c, const struct rcpt *r)
{
	return clock_now_ms() < r->since_ms + GATHER_MS && store_rcpt_any_open_else(c->parts.store, r->letter, r->state);
}

static void report(struct courier *c, struct rcpt *r, enum dsn_action action)
{
	size_t n;

	if (reporting_find(c, r->letter) != NULL || (action != DSN_DELAYED && is_early(c, r))) {
		/* A delay comes up again with its next try. */
		if (action != DSN_DELAYED)
			agenda_set(c->agenda, AGENDA_RCPT, r->id, clock_now_ms() + GATHER_MS);
		return;
	}
	struct rcpt **rcpts = store_rcpt_of_letter(c->parts.store, r, r->letter, &n);

	file_report(c, store_letter_find(c->parts.store, r, r->letter), rcpts, n, action);
}

void report_failure(struct courier *c, struct rcpt *r)
{
	if (r->tell & RCPT_TELL_FAILURE)
		report(c, r, DSN_FAILED);
	else
		sent_finish(c, r);
}

void report_delay(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);

	if (is_meant(r, DSN_DELAYED) && clock_now_ms() >= l->submitted_ms + c->settings.warn_after_s * 1000)
		report(c, r, DSN_DELAYED);
}

bool report_receipt(struct courier *c, struct rcpt *r)
{
	enum dsn_action action = r->state == RCPT_DECLINED ? DSN_FAILED : DSN_DELIVERED;

	if (!is_meant(r, action))
		return false;
	report(c, r, action);
	return true;
}

static void on_conflict_filed(void *arg, uint64_t id, bool ok)
{
	(void)arg;
	(void)id;
	if (!ok)
		log_err("a key conflict could not be reported");
}

static void on_told(void *arg, uint64_t id, bool ok)
{
	(void)arg;
	(void)id;
	if (!ok)
		log_err("a message for the user could not be filed");
}

void courier_tell(struct courier *c, const char *subject, const char *text)
{
	void *ctx = talloc_new(NULL);

	if (c->agenda != NULL)
		deliver_own(c->parts.deliver, notice_compose(ctx, c->settings.address, subject, text, clock_now_s()), 0, on_told, c);
	talloc_free(ctx);
}

void report_conflict(struct courier *c, const char *address, const char *fpr, const char *rival)
{
	void *ctx = talloc_new(NULL);
	char *subject = talloc_asprintf(ctx, "Another key for %s", address);
	char *text = talloc_asprintf(ctx,
	    "Somebody shows another key for %s than the one this peer knows.\r\n"
	    "\r\n"
	    "known:    %s\r\n"
	    "shown:    %s\r\n"
	    "\r\n"
	    "Either %s has a new key, or somebody pretends to be %s. What is signed\r\n"
	    "by the shown key is held back and not used. Ask %s by another way, such\r\n"
	    "as the telephone, which of the two is right. Then type\r\n"
	    "\r\n"
	    "    p2pmta-ctl verify %s FINGERPRINT\r\n", address, fpr[0] ? fpr : "(none yet)", rival, address, address,
	    address, address);

	deliver_own(c->parts.deliver, notice_compose(ctx, c->settings.address, subject, text, clock_now_s()), 0,
	    on_conflict_filed, c);
	talloc_free(ctx);
}
