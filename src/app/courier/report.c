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
#include "lib/base/log.h"
#include "lib/mime/dsn.h"
#include "lib/mime/header.h"

/* A recipient whose report is being filed: the row may come up again meanwhile (a failed commit). */
struct reporting {
	uint64_t rcpt;
	UT_hash_handle hh;
};

static struct reporting *reporting_find(struct courier *c, uint64_t rcpt)
{
	struct reporting *r;

	HASH_FIND(hh, c->reportings, &rcpt, sizeof(rcpt), r);
	return r;
}

static void reporting_end(struct courier *c, struct reporting *r)
{
	HASH_DELETE(hh, c->reportings, r);
	talloc_free(r);
}

void report_stop(struct courier *c)
{
	struct reporting *r, *next;

	HASH_ITER(hh, c->reportings, r, next)
		reporting_end(c, r);
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

static struct bytes compose(struct courier *c, struct rcpt *r, const struct dsn_rcpt *about)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	struct dsn dsn = {
		.to = c->settings.address, .message_id = l->message_id, .subject = l->subject,
		.header = original_header(c, r, l), .submitted_s = l->submitted_ms / 1000, .now_s = clock_now_s(),
		.rcpts = about, .n_rcpts = 1,
	};

	return dsn_compose(r, &dsn);
}

static void on_failure_filed(void *arg, uint64_t id, bool ok)
{
	struct courier *c = arg;
	void *ctx = talloc_new(NULL);
	struct rcpt *r = c->agenda != NULL ? store_rcpt_find(c->parts.store, ctx, id) : NULL;

	if (reporting_find(c, id) != NULL)
		reporting_end(c, reporting_find(c, id));
	if (r == NULL || r->done) {
		/* A receipt came meanwhile. */
	} else if (ok) {
		sent_finish(c, r);
	} else {
		rcpt_again(c, r, r->reason, 5, 600);
	}
	talloc_free(ctx);
}

void report_failure(struct courier *c, struct rcpt *r)
{
	bool expired = r->state == RCPT_EXPIRED;
	struct dsn_rcpt about = {
		.address = r->address,
		.action = expired ? DSN_EXPIRED : DSN_FAILED,
		.status = expired ? "5.4.7" : "5.1.1",
		.reason = r->reason[0] ? r->reason : "it could not be delivered",
		.next = "It is not tried again. The message was withdrawn from this recipient.",
	};

	struct reporting *reporting = reporting_find(c, r->id);

	if (reporting != NULL)
		return;
	reporting = talloc_zero(NULL, struct reporting);
	reporting->rcpt = r->id;
	HASH_ADD(hh, c->reportings, rcpt, sizeof(reporting->rcpt), reporting);
	deliver_own(c->parts.deliver, compose(c, r, &about), r->id, on_failure_filed, c);
}

static void on_delay_filed(void *arg, uint64_t id, bool ok)
{
	(void)arg;
	if (!ok)
		log_warn("rcpt=%llu the report of a delay was not filed", (unsigned long long)id);
}

void report_delay(struct courier *c, struct rcpt *r)
{
	struct letter *l = store_letter_find(c->parts.store, r, r->letter);
	int64_t until_s = l->submitted_ms / 1000 + c->settings.lifetime_s;
	char until[40];

	if (r->warned || clock_now_ms() < l->submitted_ms + c->settings.warn_after_s * 1000)
		return;
	clock_print_rfc5322(until_s, until, sizeof(until));
	struct dsn_rcpt about = {
		.address = r->address, .action = DSN_DELAYED, .status = "4.4.1", .reason = r->reason,
		.next = talloc_asprintf(r, "It is tried again until %s.", until),
	};

	r->warned = true;
	store_rcpt_save(c->parts.store, r);
	deliver_own(c->parts.deliver, compose(c, r, &about), r->id, on_delay_filed, c);
}

static void on_conflict_filed(void *arg, uint64_t id, bool ok)
{
	(void)arg;
	(void)id;
	if (!ok)
		log_err("a key conflict could not be reported");
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
