/*
 * How a row changes: to another state, or to another try later. A change is
 * written, logged for `show`, and put on the agenda, in this order and always
 * all three.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <talloc.h>

#include "app/courier/state.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"

enum { AGAIN_FIRST_S = 1, AGAIN_MAX_S = 300, SOON_MS = 100 };

static void on_step_durable(void *arg, bool durable)
{
	char *step = arg;

	if (durable) {
		log_info("died on purpose after step=%s", step);
		kill(getpid(), SIGKILL);
	}
	talloc_free(step);
}

void courier_step(struct courier *c, const char *step)
{
	if (c->settings.die_after != NULL && strcmp(c->settings.die_after, step) == 0)
		store_when_durable(c->parts.store, on_step_durable, talloc_strdup(NULL, step));
}

int64_t courier_pause_ms(unsigned n, int64_t first_s, int64_t max_s)
{
	int64_t ms = first_s * 1000;

	while (n-- > 1 && ms < max_s * 1000)
		ms *= 2;
	if (ms > max_s * 1000)
		ms = max_s * 1000;
	return ms - ms / 20 + (int64_t)(random_u64() % (uint64_t)(ms / 10 + 1));
}

const char *courier_failure_status(bool in_time, bool sealed)
{
	return !in_time ? "5.4.7" : sealed ? "5.1.0" : "5.6.0";
}

void rcpt_move(struct courier *c, struct rcpt *r, enum rcpt_state state, const char *reason)
{
	char *text = talloc_asprintf(r, "%s%s%s", rcpt_state_name(state), reason[0] ? ": " : "", reason);

	r->state = state;
	r->since_ms = r->due_ms = clock_now_ms();
	r->tries = 0;
	r->reason = reason;
	store_rcpt_save(c->parts.store, r);
	store_rcpt_log(c->parts.store, r->id, text);
	log_info("letter=%llu rcpt=%llu state=%s", (unsigned long long)r->letter, (unsigned long long)r->id,
	    rcpt_state_name(state));
	agenda_set(c->agenda, AGENDA_RCPT, r->id, r->due_ms);
	if (r->posting != 0)
		c->hooks.changed(c->hooks.arg, r->letter);
	courier_step(c, rcpt_state_name(state));
}

void rcpt_again(struct courier *c, struct rcpt *r, const char *reason, int64_t first_s, int64_t max_s)
{
	if (reason[0] != '\0' && strcmp(r->reason, reason) != 0)
		store_rcpt_log(c->parts.store, r->id, reason);
	r->reason = reason;
	r->due_ms = clock_now_ms() + courier_pause_ms(++r->tries, first_s, max_s);
	store_rcpt_save(c->parts.store, r);
	agenda_set(c->agenda, AGENDA_RCPT, r->id, r->due_ms);
}

int64_t courier_lifetime_end_ms(const struct courier *c, const struct letter *l)
{
	return l->submitted_ms + c->settings.lifetime_s * 1000;
}

static bool is_over_age(const struct courier *c, const struct rcpt *r)
{
	return clock_now_ms() >= courier_lifetime_end_ms(c, store_letter_find(c->parts.store, r, r->letter));
}

void rcpt_failed(struct courier *c, struct rcpt *r, enum outcome res, const char *reason)
{
	if (res == REJECT || is_over_age(c, r)) {
		rcpt_move(c, r, RCPT_FAILED, reason);
		return;
	}
	rcpt_again(c, r, reason, AGAIN_FIRST_S, AGAIN_MAX_S);
	report_delay(c, r);
}

void rcpt_soon(struct courier *c, const struct rcpt *r)
{
	agenda_set(c->agenda, AGENDA_RCPT, r->id, clock_now_ms() + SOON_MS);
}

void notice_move(struct courier *c, struct notice *n, enum notice_state state, const char *reason)
{
	n->state = state;
	n->due_ms = clock_now_ms();
	n->tries = 0;
	n->reason = reason;
	store_notice_save(c->parts.store, n);
	if (state != NOTICE_FILED)
		pulls_forget_refresh(c, n->id);
	log_info("notice=%llu state=%s", (unsigned long long)n->id, notice_state_name(state));
	agenda_set(c->agenda, AGENDA_NOTICE, n->id, n->due_ms);
	courier_step(c, notice_state_name(state));
}

void notice_again(struct courier *c, struct notice *n, const char *reason, int64_t first_s, int64_t max_s)
{
	n->reason = reason;
	n->due_ms = clock_now_ms() + courier_pause_ms(++n->tries, first_s, max_s);
	store_notice_save(c->parts.store, n);
	agenda_set(c->agenda, AGENDA_NOTICE, n->id, n->due_ms);
}
