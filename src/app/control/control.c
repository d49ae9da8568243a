/*
 * The control socket's server. An asker has one request under way at a time:
 * while the daemon works on it nothing more is read from him, so answers need
 * no label and a flood of requests stays in his own buffer. Requests have
 * never-reused ids; whoever answers later does not learn, and need not care,
 * whether the asker is still there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "app/control/control.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"

enum { MAX_ASKERS = 32, IDLE_MS = 60 * 1000, LAST_MS = 1000 };

struct asker {
	struct control *control;
	struct conn *conn;
	uint64_t request;		/* under way; 0: none */
	bool has_items;			/* of its answer, and there are some already */
	LIST_ENTRY(asker) link;
};

struct control {
	struct listener *listener;
	struct loop *loop;
	struct control_hooks hooks;
	uint64_t last_request;
	unsigned n_askers;
	LIST_HEAD(asker_list, asker) askers;
	/* control_answer_last() */
	struct asker *last;
	struct timer *last_timer;
	void (*sent)(void *arg);
	void *sent_arg;
};

/* The last answer is out, or nobody is there to read it. */
static void last_is_out(struct control *c)
{
	void (*sent)(void *) = c->sent;

	c->last = NULL;
	c->sent = NULL;
	timer_clear(c->last_timer);
	if (sent)
		sent(c->sent_arg);
}

static void on_last_timer(void *arg)
{
	last_is_out(arg);
}

static void asker_free(struct asker *s)
{
	struct control *c = s->control;

	LIST_REMOVE(s, link);
	c->n_askers--;
	conn_free(&s->conn);
	if (c->last == s)
		last_is_out(c);
	talloc_free(s);
}

static struct asker *asker_find(struct control *c, uint64_t request)
{
	struct asker *s;

	LIST_FOREACH(s, &c->askers, link)
		if (s->request == request)
			return s;
	return NULL;
}

static void write_text(struct asker *s, const char *text)
{
	conn_write(s->conn, text, strlen(text));
}

/* Takes it. */
static void write_json(struct asker *s, json_t *v)
{
	char *text = mem_check(json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY));

	write_text(s, text);
	free(text);
	json_decref(v);
}

static void end_reply(struct asker *s)
{
	write_text(s, "\n");
	s->request = 0;
	s->has_items = false;
	conn_set_idle(s->conn, IDLE_MS);
	conn_resume(s->conn);
}

static void reply(struct asker *s, json_t *answer)
{
	write_json(s, answer);
	end_reply(s);
}

static json_t *refusal(enum control_code code, const char *text)
{
	return mem_check(json_pack("{s:{s:s,s:o}}", "error", "code", control_code_name(code), "text", control_text(text)));
}

static void run(struct asker *s, const char *line, size_t len)
{
	struct control *c = s->control;
	enum control_command command;
	struct err e;
	json_t *args = control_request_parse(line, len, &command, &e);

	s->request = ++c->last_request;
	conn_set_idle(s->conn, 0);
	if (!args)
		control_refuse(c, s->request, CONTROL_USAGE, e.text);
	else if (!c->hooks.run[command])
		control_refuse(c, s->request, CONTROL_REFUSED, "this daemon does not do that");
	else
		c->hooks.run[command](c->hooks.arg, s->request, args);
	json_decref(args);
}

static size_t on_data(void *arg, const char *data, size_t len)
{
	struct asker *s = arg;
	const char *end = memchr(data, '\n', len);

	if (!end)
		return 0;
	/* Before run(): its answer resumes. */
	conn_pause(s->conn);
	size_t used = (size_t)(end - data) + 1;
	run(s, data, used - 1);
	return used;
}

static void on_drain(void *arg)
{
	struct asker *s = arg;

	if (s->control->last == s)
		last_is_out(s->control);
}

static void on_close(void *arg, const char *why)
{
	(void)why;
	asker_free(arg);
}

static void on_accept(void *arg, int fd)
{
	static const struct conn_settings settings = { .max_input = LIMIT_CONTROL_LINE, .low = 0, .idle_ms = IDLE_MS };
	static const struct conn_hooks hooks = { on_data, on_drain, on_close };
	struct control *c = arg;
	struct asker *s = mem_zero(NULL, struct asker);

	s->control = c;
	LIST_INSERT_HEAD(&c->askers, s, link);
	c->n_askers++;
	s->conn = conn_new(c->loop, fd, &settings, &hooks, s);
	if (c->n_askers > MAX_ASKERS)
		asker_free(s);
}

struct control *control_start(struct loop *loop, const char *socket, const struct control_hooks *hooks, struct err *e)
{
	struct control *c = mem_zero(NULL, struct control);
	char *address = mem_printf(c, "unix:%s", socket);

	c->loop = loop;
	c->hooks = *hooks;
	LIST_INIT(&c->askers);
	c->last_timer = timer_new(loop, on_last_timer, c);
	c->listener = listener_new(loop, address, on_accept, c, e);
	if (!c->listener)
		control_stop(&c);
	return c;
}

void control_stop(struct control **cp)
{
	struct control *c = *cp;
	struct asker *s, *next;

	if (!c)
		return;
	*cp = NULL;
	c->last = NULL;
	c->sent = NULL;
	for (s = LIST_FIRST(&c->askers); s; s = next) {
		next = LIST_NEXT(s, link);
		asker_free(s);
	}
	listener_free(&c->listener);
	timer_free(&c->last_timer);
	talloc_free(c);
}

void control_answer(struct control *c, uint64_t request, json_t *result)
{
	struct asker *s = asker_find(c, request);

	mem_check(result);
	if (s)
		reply(s, mem_check(json_pack("{s:o}", "result", result)));
	else
		json_decref(result);
}

bool control_answer_item(struct control *c, uint64_t request, json_t *item)
{
	struct asker *s = asker_find(c, request);

	if (!s) {
		json_decref(item);
		return false;
	}
	if (!s->has_items)
		write_text(s, "{\"result\":[");
	else if (item)
		write_text(s, ",");
	s->has_items = true;
	if (item) {
		write_json(s, item);
	} else {
		write_text(s, "]}");
		end_reply(s);
	}
	return true;
}

void control_answer_last(struct control *c, uint64_t request, json_t *result, void (*sent)(void *arg), void *arg)
{
	struct asker *s = asker_find(c, request);

	if (c->sent) {		/* somebody was first; one end is enough */
		control_answer(c, request, result);
		return;
	}
	c->sent = sent;
	c->sent_arg = arg;
	c->last = s;
	timer_set(c->last_timer, s ? LAST_MS : 0);
	control_answer(c, request, result);
}

void control_refuse(struct control *c, uint64_t request, enum control_code code, const char *text)
{
	struct asker *s = asker_find(c, request);

	if (s)
		reply(s, refusal(code, text));
}

json_t *control_text(const char *text)
{
	json_t *v = json_string(text ? text : "");

	if (v)
		return v;
	char *copy = mem_strdup(NULL, text);
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	v = mem_check(json_string(copy));
	talloc_free(copy);
	return v;
}
