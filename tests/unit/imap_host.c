/*
 * The IMAP server alone on a store folder, for clients of other people's
 * making and for tests/imap_*.py. User "user", password "pass".
 *
 *	imap_host DIR [--bulk-pull] [--starttls|--tls] [--progress] [--auth-delay] [--from-afar]
 *
 * --from-afar: it listens on all addresses
 * --progress: INPROGRESS comes every 50 ms; --auth-delay: failed logins wait in units of 100 ms
 *
 * says "port N" and then takes commands, a line each, answered with "ok ..."
 * or "no ...":
 *	deliver MAILBOX FILE	a message that is here
 *	remote MAILBOX FILE	one whose body is not here; its pull brings FILE
 *	pull MODE MS		what a pull does from now on: ok, retry, reject, never
 *	withdraw MODE		what the Outbox answers: ok, reject
 *	pulls			how many pulls, how many forgotten
 *	longest			turn of the loop since last asked, in ms
 *	wait PULLS FORGOTTEN	answers when there were so many
 *	expunge MAILBOX UID	as by somebody else
 *	keyword MAILBOX UID NAME	set by somebody else
 *	refuse on|off		rows of messages, as on a full disk
 *	commit on|off		what is written is committed, or is kept waiting
 *	sync on|off|one		what was committed gets on disk, is kept waiting, or only the one that waits gets there
 *	turns N			answers after so many turns of the loop
 *	files			"no" when a file in inbox/ has no row
 *	quit
 */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/mime/mime.h"
#include "lib/store/sync.h"
#include "way/imap/imap.h"

enum { MAX_REMOTE = 256 };

struct remote {
	uint64_t content;
	char *file;
};

struct wish {
	struct wish *next;
	uint64_t content, ticket;
	struct timer *timer;
	struct host *host;
};

struct host {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	const char *dir;
	struct imap *imap;
	struct remote remotes[MAX_REMOTE];
	size_t n_remotes;
	struct wish *wishes;
	char pull_mode[16], withdraw_mode[16];
	int pull_ms;
	unsigned pulls, forgotten;
	bool is_waited_for;
	unsigned wait_pulls, wait_forgotten;
	bool keeps_back;		/* no commits */
	bool keeps_syncs;
	struct sync *sync;		/* that waits */
	struct timer *do_sync;
	unsigned turns;			/* to go, then the answer */
	struct timer *next_turn;
	char line[4096];
	size_t len;
};

/* In place of libc's: turns are measured here, and not the disk. A kill takes nothing that was written. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static bool login(void *arg, const char *user, const char *password)
{
	(void)arg;
	return strcmp(user, "user") == 0 && strcmp(password, "pass") == 0;
}

static bool secret(void *arg, const char *user, struct scram_secret *out)
{
	(void)arg;
	*out = (struct scram_secret){ .rounds = 4096, .salt_len = 4, .salt = "salt" };
	scram_secret_make(out, "pass");
	return strcmp(user, "user") == 0;
}

/* ---- messages ---- */

/* The file's octets as content; kept in inbox/ when here. */
static uint64_t add_content(struct host *h, const char *file, bool here, struct err *e)
{
	void *ctx = mem_ctx(NULL);
	struct content c = { .place = here ? PLACE_INBOX : PLACE_NONE };
	struct bytes all;

	if (files_get(ctx, file, MIB(250), &all, e) != OK)
		goto out;
	struct mime_scan *scan = mime_scan_new(ctx);

	mime_scan_feed(scan, all);
	struct mime *m = mime_scan_take(&scan, ctx);

	digest_of(all, c.digest);
	c.size = all.len;
	c.envelope = mime_envelope(ctx, m);
	c.body = mime_body(ctx, m);
	c.bodystructure = mime_bodystructure(ctx, m);
	c.skeleton = mime_skeleton(m);
	c.parts = mime_parts_text(m);
	if (here && files_put(store_path(h->store, ctx, PLACE_INBOX, c.digest), all, e) != OK)
		goto out;
	store_content_add(h->store, &c);
out:
	talloc_free(ctx);
	return c.id;
}

static void bring(struct host *h, uint64_t id)
{
	struct err e;
	struct bytes all;
	void *ctx = mem_ctx(NULL);

	for (size_t i = 0; i < h->n_remotes; i++) {
		struct content *c = store_content_find(h->store, ctx, id);

		if (h->remotes[i].content != id || !c || c->place != PLACE_NONE)
			continue;
		if (files_get(ctx, h->remotes[i].file, MIB(250), &all, &e) != OK ||
		    files_put(store_path(h->store, ctx, PLACE_INBOX, c->digest), all, &e) != OK) {
			fprintf(stderr, "%s\n", e.text);
			exit(1);
		}
		store_content_set_place(h->store, id, PLACE_INBOX);
		store_content_set_keywords(h->store, id, 0, store_keyword(h->store, "$Remote"));
	}
	talloc_free(ctx);
}

/* ---- hooks ---- */

static void answer_wait(struct host *h)
{
	if (!h->is_waited_for || h->pulls < h->wait_pulls || h->forgotten < h->wait_forgotten)
		return;
	h->is_waited_for = false;
	printf("ok\n");
	fflush(stdout);
}

static void drop_wish(struct host *h, struct wish *w)
{
	for (struct wish **p = &h->wishes; *p; p = &(*p)->next) {
		if (*p != w)
			continue;
		*p = w->next;
		break;
	}
	timer_free(&w->timer);
	free(w);
}

static void grant(void *arg)
{
	struct wish *w = (struct wish *)arg;
	struct host *h = w->host;
	uint64_t ticket = w->ticket;

	if (strcmp(h->pull_mode, "ok") == 0)
		bring(h, w->content);
	drop_wish(h, w);
	imap_pull_done(h->imap, ticket, strcmp(h->pull_mode, "ok") == 0 ? OK :
	    strcmp(h->pull_mode, "retry") == 0 ? RETRY : REJECT, "alice@home is away since 10:00");
}

static void pull(void *arg, uint64_t content, uint64_t ticket)
{
	struct host *h = (struct host *)arg;
	struct wish *w = (struct wish *)calloc(1, sizeof(*w));

	h->pulls++;
	w->content = content;
	w->ticket = ticket;
	w->host = h;
	w->next = h->wishes;
	h->wishes = w;
	w->timer = timer_new(h->loop, grant, w);
	if (strcmp(h->pull_mode, "never") != 0)
		timer_set(w->timer, h->pull_ms);
	answer_wait(h);
}

static void pull_forget(void *arg, uint64_t ticket)
{
	struct host *h = (struct host *)arg;

	h->forgotten++;
	answer_wait(h);
	for (struct wish *w = h->wishes; w; w = w->next) {
		if (w->ticket == ticket) {
			drop_wish(h, w);
			return;
		}
	}
}

static enum outcome withdraw(void *arg, uint64_t message, struct err *e)
{
	struct host *h = (struct host *)arg;

	(void)message;
	if (strcmp(h->withdraw_mode, "ok") == 0)
		return OK;
	err_set(e, "bob@home has it already");
	return REJECT;
}

/* ---- commands ---- */

static const char *file_message(struct host *h, char **word, bool here)
{
	static struct err e;
	struct mailbox *box = word[1] ? store_mailbox_find(h->store, word[1]) : NULL;

	if (!box || !word[2])
		return "no mailbox or file";
	uint64_t id = add_content(h, word[2], here, &e);

	if (id == 0)
		return e.text;
	if (!here && h->n_remotes < MAX_REMOTE) {
		h->remotes[h->n_remotes].content = id;
		h->remotes[h->n_remotes++].file = strdup(word[2]);
	}
	store_message_add(h->store, store_mailbox_find(h->store, word[1]), id, 0,
	    here ? 0 : store_keyword(h->store, "$Remote"), clock_now_ms());
	return NULL;
}

static const char *change(struct host *h, char **word)
{
	struct mailbox *box = word[1] ? store_mailbox_find(h->store, word[1]) : NULL;
	uint32_t uid = word[2] ? (uint32_t)strtoul(word[2], NULL, 10) : 0;
	const struct message *m = box ? store_message_find(box, uid) : NULL;

	if (!m)
		return "no such message";
	if (strcmp(word[0], "expunge") == 0)
		store_message_expunge(h->store, box, uid);
	else if (word[3])
		store_message_set_flags(h->store, box, uid, m->flags, m->keywords | store_keyword(h->store, word[3]));
	return NULL;
}

/* The number that a statement over state.db gives; -1: none. */
static int64_t run_sql(struct host *h, const char *sql)
{
	char path[4096];
	sqlite3 *db;
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	snprintf(path, sizeof(path), "%s/state.db", h->dir);
	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
		fprintf(stderr, "imap_host: %s: %s\n", sql, sqlite3_errmsg(db));
	else if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static void refuse(struct host *h, bool on)
{
	run_sql(h, on ? "CREATE TRIGGER refuse BEFORE INSERT ON message BEGIN SELECT raise(ABORT, 'no room'); END" :
	    "DROP TRIGGER refuse");
}

static void finish_sync(void *arg)
{
	struct host *h = (struct host *)arg;
	struct sync *sync = h->sync;

	h->sync = NULL;
	if (sync) {
		sync_work(sync);
		store_synced(h->store);
	}
}

static void start_sync(void *arg, struct sync *sync)
{
	struct host *h = (struct host *)arg;

	h->sync = sync;
	if (!h->keeps_syncs)
		timer_set(h->do_sync, 0);
}

static const char *check_files(struct host *h)
{
	char sql[256], pattern[4096];
	const char *error = NULL;
	glob_t found;

	while (store_waits(h->store) || h->sync) {
		finish_sync(h);
		store_turn(h->store);
	}
	snprintf(pattern, sizeof(pattern), "%s/inbox/*/*", h->dir);
	if (glob(pattern, 0, NULL, &found) != 0)
		return NULL;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		snprintf(sql, sizeof(sql), "SELECT count(*) FROM content WHERE place = %d AND lower(hex(digest)) = '%s'", PLACE_INBOX,
		    strrchr(found.gl_pathv[i], '/') + 1);
		if (run_sql(h, sql) < 1)
			error = "a file has no row";
	}
	globfree(&found);
	return error;
}

static void command(struct host *h, char *line)
{
	char *word[5] = { NULL }, *save = NULL;
	const char *error = NULL;

	for (unsigned i = 0; i < 4; i++)
		word[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
	if (!word[0])
		return;
	if (strcmp(word[0], "deliver") == 0 || strcmp(word[0], "remote") == 0) {
		error = file_message(h, word, word[0][0] == 'd');
	} else if (strcmp(word[0], "pull") == 0 && word[2]) {
		snprintf(h->pull_mode, sizeof(h->pull_mode), "%s", word[1]);
		h->pull_ms = atoi(word[2]);
	} else if (strcmp(word[0], "withdraw") == 0 && word[1]) {
		snprintf(h->withdraw_mode, sizeof(h->withdraw_mode), "%s", word[1]);
	} else if (strcmp(word[0], "expunge") == 0 || strcmp(word[0], "keyword") == 0) {
		error = change(h, word);
	} else if (strcmp(word[0], "pulls") == 0) {
		printf("ok %u %u\n", h->pulls, h->forgotten);
		fflush(stdout);
		return;
	} else if (strcmp(word[0], "longest") == 0) {
		printf("ok %lld\n", (long long)loop_take_longest_ms(h->loop));
		fflush(stdout);
		return;
	} else if (strcmp(word[0], "wait") == 0 && word[2]) {
		h->is_waited_for = true;
		h->wait_pulls = (unsigned)atoi(word[1]);
		h->wait_forgotten = (unsigned)atoi(word[2]);
		answer_wait(h);
		return;
	} else if (strcmp(word[0], "turns") == 0 && word[1]) {
		h->turns = (unsigned)atoi(word[1]);
		timer_set(h->next_turn, 0);
		return;
	} else if (strcmp(word[0], "commit") == 0 && word[1]) {
		h->keeps_back = strcmp(word[1], "off") == 0;
	} else if (strcmp(word[0], "sync") == 0 && word[1]) {
		h->keeps_syncs = strcmp(word[1], "on") != 0;
		if (strcmp(word[1], "off") != 0)
			finish_sync(h);
	} else if (strcmp(word[0], "refuse") == 0 && word[1]) {
		refuse(h, strcmp(word[1], "on") == 0);
	} else if (strcmp(word[0], "files") == 0) {
		error = check_files(h);
	} else if (strcmp(word[0], "quit") == 0) {
		loop_stop(h->loop);
	} else {
		error = "unknown command";
	}
	printf(error ? "no %s\n" : "ok\n", error);
	fflush(stdout);
}

static void on_input(void *arg, int fd, unsigned events)
{
	struct host *h = (struct host *)arg;
	ssize_t n = read(fd, h->line + h->len, sizeof(h->line) - 1 - h->len);

	(void)events;
	if (n <= 0) {
		loop_stop(h->loop);
		return;
	}
	h->len += (size_t)n;
	char *end;

	while ((end = (char *)memchr(h->line, '\n', h->len))) {
		*end = '\0';
		command(h, h->line);
		size_t used = (size_t)(end - h->line) + 1;

		memmove(h->line, end + 1, h->len - used);
		h->len -= used;
	}
}

static void on_turn(void *arg)
{
	struct host *h = (struct host *)arg;

	if (!h->keeps_back)
		store_turn(h->store);
	if (h->turns > 0 && --h->turns == 0) {
		printf("ok\n");
		fflush(stdout);
	} else if (h->turns > 0) {
		timer_set(h->next_turn, 0);
	}
}

static void on_next_turn(void *arg)
{
	(void)arg;
}

static void on_signal(void *arg)
{
	loop_stop(((struct host *)arg)->loop);
}

static bool has(int argc, char **argv, const char *option)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], option) == 0)
			return true;
	return false;
}

static struct tls *make_tls(const char *dir, struct err *e)
{
	char cert[512], key[512];

	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	return tls_make_self_signed("localhost", cert, key, e) == OK ? tls_new(cert, key, e) : NULL;
}

int main(int argc, char **argv)
{
	struct host h = { .pull_mode = "ok", .withdraw_mode = "ok" };
	struct err e;
	const char *const listen[] = { has(argc, argv, "--from-afar") ? "0.0.0.0:0" : "127.0.0.1:0" };
	struct imap_settings settings = {
		.listen = listen, .n_listen = 1, .address = "user@home", .outbox_quota = MIB(100), .bulk_pull = has(argc, argv, "--bulk-pull"),
		.auth_delay_ms = has(argc, argv, "--auth-delay") ? 100 : 0, .progress_ms = has(argc, argv, "--progress") ? 50 : 0,
		.tls_mode = has(argc, argv, "--starttls") ? 1 : has(argc, argv, "--tls") ? 2 : 0,
	};
	const struct imap_hooks hooks = {
		.login = login, .secret = secret, .pull = pull, .pull_forget = pull_forget, .withdraw = withdraw, .arg = &h,
	};

	if (argc < 2)
		return 2;
	h.dir = argv[1];
	log_open("stderr", getenv("IMAP_HOST_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	if (getenv("IMAP_HOST_DEBUG"))
		trace_set(TRACE_IMAP);
	h.loop = loop_new(&e);
	h.pool = h.loop ? pool_new(h.loop, 2, &e) : NULL;
	h.store = h.pool ? store_open(argv[1], &e) : NULL;
	if (h.store && settings.tls_mode != 0 && !(settings.tls = make_tls(argv[1], &e)))
		fprintf(stderr, "imap_host: %s\n", e.text);
	h.imap = h.store ? imap_start(h.loop, h.pool, h.store, &settings, &hooks, &e) : NULL;
	if (!h.imap) {
		fprintf(stderr, "imap_host: %s\n", e.text);
		return 1;
	}
	struct watch *input = watch_new(h.loop, 0, on_input, &h);

	watch_set(input, WATCH_READ);
	h.next_turn = timer_new(h.loop, on_next_turn, &h);
	h.do_sync = timer_new(h.loop, finish_sync, &h);
	store_sync_by(h.store, start_sync, &h);
	loop_on_turn(h.loop, on_turn, &h);
	loop_on_signal(h.loop, SIGTERM, on_signal, &h);
	printf("port %u\n", imap_port(h.imap));
	fflush(stdout);
	loop_run(h.loop);
	if (getenv("IMAP_HOST_DEBUG"))
		fprintf(stderr, "longest turn %lld ms\n", (long long)loop_take_longest_ms(h.loop));
	watch_free(&input);
	timer_free(&h.next_turn);
	timer_free(&h.do_sync);
	imap_stop(&h.imap);
	pool_free(&h.pool);
	store_sync_by(h.store, NULL, NULL);
	store_close(&h.store);
	tls_free(&settings.tls);
	while (h.wishes)
		drop_wish(&h, h.wishes);
	for (size_t i = 0; i < h.n_remotes; i++)
		free(h.remotes[i].file);
	loop_free(&h.loop);
	return 0;
}
