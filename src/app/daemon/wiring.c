/*
 * Start: state, then what has threads, then stations from the inside out, the
 * doors for clients last. Stop: doors first, then a commit, then workers, and
 * the stations in reverse; nothing is called after its owner has gone.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <talloc.h>

#include "app/control/commands.h"
#include "app/courier/courier.h"
#include "app/daemon/parts.h"
#include "app/daemon/wiring.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/addr.h"
#include "lib/mail/urls.h"
#include "lib/store/letter.h"
#include "lib/store/contact.h"
#include "lib/store/notice.h"
#include "lib/store/sealed.h"
#include "lib/store/sync.h"
#include "way/imap/imap.h"
#include "way/outbox/outbox.h"
#include "way/replica/replicas.h"
#include "way/seal/seal.h"

/* After this orderly is over: rows survive, files without a row are swept. */
enum { STOP_S = 4, AGAIN_MS = 20 };


/* Mail clients. */

static bool is_user(const struct daemon *d, const char *user)
{
	char address[LIMIT_ADDRESS + 1];
	const char *own = d->settings->address;
	bool whole = addr_parse(user, address) == 0 && strcmp(address, own) == 0;
	bool local = strlen(user) == strcspn(own, "@") && strncasecmp(user, own, strlen(user)) == 0;

	return whole || local;
}

static bool on_login(void *arg, const char *user, const char *password)
{
	struct daemon *d = arg;

	return settings_check_password(d->settings, password) && is_user(d, user);
}

static bool on_secret(void *arg, const char *user, struct scram_secret *out)
{
	struct daemon *d = arg;

	return settings_get_secret(d->settings, out) && is_user(d, user);
}

_Static_assert(SMTP_NOTIFY_SUCCESS == (int)RCPT_TELL_SUCCESS && SMTP_NOTIFY_FAILURE == (int)RCPT_TELL_FAILURE
    && SMTP_NOTIFY_DELAY == (int)RCPT_TELL_DELAY && SMTP_NOTIFY_ASKED == (int)RCPT_TELL_ASKED, "the same bits");

static void on_submit(void *arg, const struct smtp_submission *s, uint64_t ticket)
{
	struct daemon *d = arg;
	struct courier_submission sub = {
		.octets = s->octets, .digest = s->digest, .size = s->size, .sender = s->sender, .message_id = s->message_id,
		.subject = s->subject, .recipients = s->recipients, .n_recipients = s->n_recipients,
		.tell = s->notify, .orcpt = s->orcpt, .ret_full = s->ret == SMTP_RET_FULL, .envid = s->envid,
	};

	d->outbox_bytes += s->size;
	courier_submit(d->courier, &sub, ticket);
}

/* Counting looks at every open letter: not for each that comes. */
static bool on_has_room(void *arg, uint64_t size)
{
	enum { RECOUNT_MS = 2000 };
	struct daemon *d = arg;
	int64_t now = clock_mono_ms();

	if (d->outbox_counted_ms == 0 || now - d->outbox_counted_ms > RECOUNT_MS) {
		struct letter_counts n = store_letter_count(d->store);

		d->outbox_bytes = n.outbox_bytes + n.spool_bytes;
		d->outbox_counted_ms = now;
	}
	return d->outbox_bytes < d->settings->outbox.quota && size <= d->settings->outbox.quota - d->outbox_bytes;
}

static void on_submitted(void *arg, uint64_t ticket, enum outcome res, const char *text)
{
	struct daemon *d = arg;

	if (d->smtp != NULL)
		smtp_submit_done(d->smtp, ticket, res, text);
}

static void on_pull(void *arg, uint64_t content, uint64_t ticket)
{
	courier_pull(((struct daemon *)arg)->courier, content, ticket);
}

static void on_pull_forget(void *arg, uint64_t ticket)
{
	courier_pull_forget(((struct daemon *)arg)->courier, ticket);
}

static void on_pulled(void *arg, uint64_t ticket, enum outcome res, const char *text)
{
	struct daemon *d = arg;

	if ((ticket & COMMANDS_TICKET) && d->commands != NULL)
		commands_pull_done(d->commands, ticket, res, text);
	else if (!(ticket & COMMANDS_TICKET) && d->imap != NULL)
		imap_pull_done(d->imap, ticket, res, text);
}

static enum outcome on_withdraw(void *arg, uint64_t message, struct err *e)
{
	return courier_withdraw(((struct daemon *)arg)->courier, message, e);
}

/* Peers. */

static void on_posted(void *arg, struct bytes value)
{
	notify_take(((struct daemon *)arg)->notify, value);
}

static void on_served(void *arg, uint64_t rcpt)
{
	courier_on_served(((struct daemon *)arg)->courier, rcpt);
}

static void on_published(void *arg, struct bytes descriptor, struct bytes pubkey)
{
	struct daemon *d = arg;

	offers_page_set(d->offers, PAGE_DESCRIPTOR, "", descriptor);
	offers_page_set(d->offers, PAGE_PUBKEY, "", pubkey);
	offers_page_set(d->offers, PAGE_PUBKEY, d->settings->address, pubkey);
}

static void on_resolved(void *arg, const char *address, enum outcome res, const char *reason)
{
	struct daemon *d = arg;

	courier_on_resolved(d->courier, address, res, reason);
	groups_on_resolved(d->groups, address, res);
	if (d->replicas != NULL && res == OK && groups_is_fellow(d->groups, address))
		replicas_on_members(d->replicas);
}

static void on_conflict(void *arg, const char *address, const char *fpr, const char *rival)
{
	courier_on_conflict(((struct daemon *)arg)->courier, address, fpr, rival);
}

/* Groups. */

static bool on_is_friend(void *arg, const char *address)
{
	struct daemon *d = arg;

	return d->groups != NULL && groups_is_fellow(d->groups, address);
}

static void on_group_changed(void *arg, const char *group)
{
	struct daemon *d = arg;

	log_info("group=%s own=%s", group, groups_own(d->groups) != NULL ? groups_own(d->groups) : "-");
	resolve_set_group(d->resolve, groups_own(d->groups));
	courier_set_group(d->courier, groups_own(d->groups));
	if (d->replicas != NULL)
		replicas_on_members(d->replicas);
	if (d->commands != NULL)
		commands_group_changed(d->commands, group);
}

static void on_group_published(void *arg, const char *group, struct bytes descriptor)
{
	offers_page_set(((struct daemon *)arg)->offers, PAGE_GROUP, group, descriptor);
}

static void on_group_holders(void *arg, const char *sender, const char *group)
{
	courier_on_holders(((struct daemon *)arg)->courier, sender, group);
}

static void on_group_resolve(void *arg, const char *address, bool fresh)
{
	resolve_ask(((struct daemon *)arg)->resolve, address, fresh);
}

static bool on_group_vouch(void *arg, const char *address, const char *fpr)
{
	return resolve_vouch(((struct daemon *)arg)->resolve, address, fpr);
}

static void on_group_tell(void *arg, const char *subject, const char *text)
{
	courier_tell(((struct daemon *)arg)->courier, subject, text);
}

static void on_group_moved(void *arg)
{
	timer_set(((struct daemon *)arg)->moving, 0);
}

/* Where peers are met: what p2pmta.conf says, or what a join brought (way/group/network.c). Lists are below ctx. */
static struct dht_settings dht_settings(struct daemon *d, const void *ctx)
{
	const struct settings *s = d->settings;
	struct network_row *joined = groups_network(d->store, ctx, s->dht.network);
	const char **nodes = talloc_zero_array(ctx, const char *, s->dht.bootstrap.n + GROUPS_NODES_MAX + 1);
	struct dht_settings dht = {
		.port = s->dht.port, .bootstrap = nodes, .network = s->dht.network, .discovery = s->dht.discovery,
		.id_path = talloc_asprintf(nodes, "%s/node", s->state),
	};

	if (joined == NULL || joined->number == dht.network)
		for (size_t i = 0; i < s->dht.bootstrap.n; i++)
			nodes[dht.n_bootstrap++] = s->dht.bootstrap.list[i];
	if (joined == NULL)
		return dht;
	dht.network = joined->number;
	for (const char *rest = joined->bootstrap; rest[0] != '\0' && dht.n_bootstrap < s->dht.bootstrap.n + GROUPS_NODES_MAX;
	    rest = urls_rest(rest))
		nodes[dht.n_bootstrap++] = talloc_strndup(nodes, rest, strcspn(rest, "\n"));
	return dht;
}

static void on_moving(void *arg)
{
	struct daemon *d = arg;
	void *ctx = talloc_new(NULL);
	struct dht_settings dht = dht_settings(d, ctx);
	struct err e = { "" };

	if (dht_move(d->dht, &dht, &e)) {
		log_info("dht=moved network=%u", (unsigned)dht.network);
	} else {
		/* The rows say where to go: a new start gets there. */
		log_err("dht=gone why=\"%s\"", e.text);
		loop_stop(d->loop);
	}
	talloc_free(ctx);
}

/* What way/fetch needs of way/seal; worker threads. */

static enum outcome body_work(const void *ctx, struct pgp *pgp, const struct fetch_sealed *sealed, const char *dir,
    const struct fetch_order *o, struct mime **out, struct err *e)
{
	struct unseal_order order = {
		.pgp = pgp, .sealed_fd = sealed->fd, .whole = &sealed->whole, .dir = dir, .key = o->key, .fpr = o->fpr,
		.digest = o->digest, .size = o->size,
	};

	return unseal_work(ctx, &order, out, e);
}

static enum outcome head_work(const void *ctx, struct pgp *pgp, struct bytes sealed, const struct fetch_order *o,
    struct head **out, struct err *e)
{
	return unseal_head_work(ctx, pgp, sealed, o->key, o->fpr, out, e);
}

/* Signals and turns of the loop. */

/* What a commit left to do (a long list of files, a disk that was full) goes on in a turn of its own. */
static void on_turn(void *arg)
{
	struct daemon *d = arg;

	store_turn(d->store);
	if (store_waits(d->store) && !timer_is_set(d->again))
		timer_set(d->again, AGAIN_MS);
}

static void on_again(void *arg)
{
	(void)arg;
}

static void on_term(void *arg)
{
	loop_stop(((struct daemon *)arg)->loop);
}

/* Half of the time systemd gives us: a loop that hangs does not get here, and is restarted. */
static void on_watchdog(void *arg)
{
	struct daemon *d = arg;
	uint64_t us;

	sd_notify(0, "WATCHDOG=1");
	if (sd_watchdog_enabled(0, &us) > 0)
		timer_set(d->watchdog, (int64_t)(us / 2000));
}

static void courier_settings(const struct daemon *d, const struct settings *s, struct courier_settings *out)
{
	*out = (struct courier_settings){
		.address = s->address,
		.urls = s->outbox.url.list,
		.n_urls = s->outbox.url.n < LIMIT_URLS ? s->outbox.url.n : LIMIT_URLS,
		.own_url = d->own_url,
		.validity_s = s->outbox.validity_s,
		.lifetime_s = s->queue.lifetime_s,
		.warn_after_s = s->queue.warn_after_s,
		.die_after = getenv("P2PMTA_DIE_AFTER"),
	};
}

/* The group sections as way/group wants them, below ctx. */
static struct groups_conf *groups_conf(const void *ctx, const struct settings *s)
{
	struct groups_conf *conf = talloc_zero_array(ctx, struct groups_conf, s->n_groups + 1);

	for (size_t i = 0; i < s->n_groups; i++)
		conf[i] = (struct groups_conf){
			.name = s->groups[i].name, .master = s->groups[i].master, .key = s->groups[i].key,
			.members = s->groups[i].members.list, .n_members = s->groups[i].members.n,
		};
	return conf;
}

static void set_groups(struct daemon *d, const struct settings *s)
{
	void *ctx = talloc_new(NULL);

	groups_set(d->groups, groups_conf(ctx, s), s->n_groups);
	talloc_free(ctx);
}

/* Keys that are read anew while it runs; what else changed needs a restart. */
static enum outcome on_reload(void *arg, struct err *e)
{
	struct daemon *d = arg;
	struct settings *s = settings_load(d, d->settings->file, e);
	struct courier_settings courier;

	if (s == NULL)
		return REJECT;
	if (strcmp(s->address, d->settings->address) != 0 || strcmp(s->state, d->settings->state) != 0) {
		err_set(e, "address and state cannot change while the daemon runs");
		talloc_free(s);
		return REJECT;
	}
	if (d->tls != NULL && tls_reload(d->tls, d->settings->tls_cert, d->settings->tls_key, e) != OK) {
		talloc_free(s);
		return REJECT;
	}
	if (log_open(s->log.to, s->log.level) < 0)
		log_warn("log.to = %s cannot be opened; logging goes on as before", s->log.to);
	courier_settings(d, s, &courier);
	courier_set(d->courier, &courier);
	set_groups(d, s);
	err_set(e, "queue, group, outbox.validity, log and the TLS certificate are taken over; other keys need a restart");
	log_info("configuration=reloaded file=%s", s->file);
	talloc_free(s);
	return OK;
}

static void on_hup(void *arg)
{
	struct err e;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_ms() * 1000);
	if (on_reload(arg, &e) != OK)
		log_err("configuration=kept why=\"%s\"", e.text);
	sd_notify(0, "READY=1");
}

static void on_stop(void *arg)
{
	on_term(arg);
}

/* The parts, from the inside out. Each returns false with err. */

/* Keys that came with what was not believed are in the cache, and go here, before anything runs that may need one. */
static enum outcome sweep_keys(struct daemon *d, struct err *e)
{
	void *ctx = talloc_new(NULL);
	size_t n, n_signers, n_keep = 0;
	struct contact **all = store_contact_all(d->store, ctx, &n);
	const char **signers = store_notice_signers(d->store, ctx, &n_signers);
	const char **keep = talloc_array(ctx, const char *, n + n_signers + 1);

	for (size_t i = 0; i < n; i++)
		if (all[i]->fpr[0] != '\0')
			keep[n_keep++] = all[i]->fpr;
	for (size_t i = 0; i < n_signers; i++)
		keep[n_keep++] = signers[i];
	enum outcome res = pgp_keep_only_work(d->pgp, keep, n_keep, e);

	talloc_free(ctx);
	return res;
}

/* In a build folder it lies beside us. */
static struct clerks *start_clerks(struct err *e)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("p2pmta-clerk"));

	while (n > 0 && path[n - 1] != '/')
		n--;
	strcpy(path + (n > 0 ? n : 0), "p2pmta-clerk");
	return clerks_start(access(path, X_OK) == 0 ? path : PKGLIBEXECDIR "/p2pmta-clerk", e);
}

static bool start_state(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;

	if (settings_get_fpr(s, d->fpr, e) != OK)
		return false;
	d->clerks = start_clerks(e);
	if (d->clerks == NULL)
		return false;
	d->store = store_open(s->state, e);
	if (d->store == NULL)
		return false;
	d->pgp = pgp_new(s->keys, d->fpr, e);
	if (d->pgp == NULL)
		return false;
	pgp_take_clerks(d->pgp, d->clerks);
	d->clerks = NULL;
	return sweep_keys(d, e) == OK;
}

static void sync_in_pool(void *arg)
{
	struct daemon *d = arg;

	sync_work(d->sync);
}

static void on_synced(void *arg)
{
	struct daemon *d = arg;

	store_synced(d->store);
}

/* The pool ends: the store sees to it, see daemon_free(). */
static void drop_sync(void *arg)
{
	(void)arg;
}

static void start_sync(void *arg, struct sync *sync)
{
	static const struct pool_job job = { sync_in_pool, on_synced, drop_sync };
	struct daemon *d = arg;

	d->sync = sync;
	pool_submit(d->syncer, POOL_SOON, &job, d);
}

static bool start_syncer(struct daemon *d, struct err *e)
{
	d->syncer = pool_new(d->loop, 1, e);
	if (d->syncer == NULL)
		return false;
	store_sync_by(d->store, start_sync, d);
	return true;
}

static bool start_network(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;
	struct http_client_settings http = {
		.own_urls = s->outbox.url.list, .n_own_urls = s->outbox.url.n, .user_agent = "p2pMTA/" PACKAGE_VERSION,
	};

	d->loop = loop_new(e);
	if (d->loop == NULL)
		return false;
	d->again = timer_new(d->loop, on_again, d);
	loop_on_turn(d->loop, on_turn, d);
	d->pool = pool_new(d->loop, 0, e);
	if (d->pool == NULL || !start_syncer(d, e))
		return false;
	d->http = http_client_new(d->loop, &http, e);
	if (d->http == NULL)
		return false;
	void *ctx = talloc_new(NULL);
	struct dht_settings dht = dht_settings(d, ctx);

	d->moving = timer_new(d->loop, on_moving, d);
	d->dht = dht_new(d->loop, &dht, e);
	talloc_free(ctx);
	return d->dht != NULL;
}

/* The URL by which we reach our own outbox: its first address, loopback for a wildcard. */
static char *own_url(struct daemon *d)
{
	const char *listen = d->settings->outbox.listen.list[0];
	int len = (int)(strrchr(listen, ':') - listen);
	bool any = strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;

	return talloc_asprintf(d, "http://%.*s:%u", any ? 9 : len, any ? "127.0.0.1" : listen, outbox_port(d->outbox));
}

static int open_sealed_http(void *arg, const uint8_t hash[32])
{
	const struct daemon *d = arg;

	return store_sealed_open(d->store, hash);
}

static bool start_outbox(struct daemon *d, struct err *e)
{
	struct outbox_settings outbox = {
		.listen = d->settings->outbox.listen.list, .n_listen = d->settings->outbox.listen.n,
		.replicas = store_dir(d->store, PLACE_REPLICA),
	};
	struct outbox_hooks hooks = { .notice = on_posted, .receipt = on_posted, .served = on_served, .arg = d };

	fellows_fill_outbox(&hooks);

	d->offers = offers_new(&(struct offers_source){ open_sealed_http, d });
	d->members = members_new(store_dir(d->store, PLACE_OUTBOX), store_dir(d->store, PLACE_REPLICA));
	d->outbox = outbox_start(d->loop, d->offers, d->members, &outbox, &hooks, e);
	if (d->outbox == NULL)
		return false;
	d->own_url = own_url(d);
	return true;
}

static void start_groups(struct daemon *d)
{
	const struct settings *s = d->settings;
	void *ctx = talloc_new(NULL);
	struct groups_parts parts = { d->loop, d->pool, d->store, d->pgp, d->dht, d->http };
	struct groups_settings settings = {
		.address = s->address, .urls = s->outbox.url.list, .n_urls = s->outbox.url.n, .network = s->dht.network,
		.bootstrap = s->dht.bootstrap.list, .n_bootstrap = s->dht.bootstrap.n, .conf = groups_conf(ctx, s), .n_conf = s->n_groups,
	};
	struct groups_hooks hooks = {
		.changed = on_group_changed, .published = on_group_published, .holders = on_group_holders, .resolve = on_group_resolve,
		.vouch = on_group_vouch, .tell = on_group_tell, .moved = on_group_moved, .arg = d,
	};

	d->groups = groups_start(&parts, &settings, &hooks);
	resolve_set_group(d->resolve, groups_own(d->groups));
	courier_set_group(d->courier, groups_own(d->groups));
	talloc_free(ctx);
}

static bool start_stations(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;
	struct resolve_parts resolve = { d->loop, d->pool, d->store, d->pgp, d->dht, d->http };
	struct resolve_settings descriptor = {
		.address = s->address, .urls = s->outbox.url.list, .n_urls = s->outbox.url.n < LIMIT_URLS ? s->outbox.url.n : LIMIT_URLS,
	};
	struct resolve_hooks resolve_hooks = {
		.resolved = on_resolved, .published = on_published, .conflict = on_conflict, .is_friend = on_is_friend, .arg = d,
	};
	struct notify_parts notify = { d->loop, d->pool, d->store, d->pgp, d->dht, d->http };
	struct notify_settings hearing = { .address = s->address, .poll_ms = s->dht.poll_ms };
	struct notify_hooks notify_hooks = {
		.made = courier_on_made, .sent = courier_on_sent, .proven = courier_on_proven, .heard = courier_on_heard,
		.recalled = courier_on_recalled, .receipt = courier_on_receipt, .join = courier_on_join, .arg = d->courier,
	};
	struct fetch_parts fetch = {
		d->loop, d->pool, d->pgp, d->http, store_dir(d->store, PLACE_INBOX), FETCH_HEDGE_MS, body_work, head_work,
	};
	struct fetch_hooks fetch_hooks = {
		.got_body = courier_on_body, .got_head = courier_on_head, .unwanted = courier_on_unwanted, .arg = d->courier,
	};

	d->resolve = resolve_start(&resolve, &descriptor, &resolve_hooks);
	d->notify = notify_start(&notify, &hearing, &notify_hooks);
	d->deliver = deliver_start(d->pool, d->store);
	start_groups(d);
	d->fetch = fetch_start(&fetch, &fetch_hooks, e);
	return d->fetch != NULL;
}

static bool start_courier(struct daemon *d, struct err *e)
{
	struct courier_settings settings;
	struct courier_hooks hooks = { .submitted = on_submitted, .pulled = on_pulled, .arg = d };

	fellows_fill_courier(&hooks);

	courier_settings(d, d->settings, &settings);
	d->courier = courier_new(&settings, &hooks);
	if (!start_stations(d, e))
		return false;
	struct courier_parts parts = {
		d->loop, d->pool, d->store, d->pgp, d->resolve, d->offers, d->notify, d->fetch, d->deliver,
		d->groups,
	};

	courier_start(d->courier, &parts);
	fellows_start(d);
	return true;
}

static bool start_tls(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;

	if (s->smtp.tls == TLS_OFF && s->imap.tls == TLS_OFF)
		return true;
	d->tls = tls_new(s->tls_cert, s->tls_key, e);
	return d->tls != NULL;
}

static bool start_smtp(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;
	struct smtp_settings smtp = {
		.listen = s->smtp.listen.list, .n_listen = s->smtp.listen.n, .tls_mode = s->smtp.tls, .tls = d->tls,
		.max_size = s->smtp.max_size, .max_recipients = s->smtp.max_recipients, .address = s->address,
		.spool = store_dir(d->store, PLACE_SPOOL), .penalty = &d->penalty,
	};
	struct smtp_hooks hooks = { .login = on_login, .secret = on_secret, .has_room = on_has_room, .submit = on_submit, .arg = d };

	d->smtp = smtp_start(d->loop, d->pool, &smtp, &hooks, e);
	return d->smtp != NULL;
}

static bool start_imap(struct daemon *d, struct err *e)
{
	const struct settings *s = d->settings;
	struct imap_settings imap = {
		.listen = s->imap.listen.list, .n_listen = s->imap.listen.n, .tls_mode = (int)s->imap.tls, .tls = d->tls,
		.bulk_pull = s->imap.bulk_pull, .outbox_quota = s->outbox.quota, .address = s->address, .penalty = &d->penalty,
	};
	struct imap_hooks hooks = {
		.login = on_login, .secret = on_secret, .pull = on_pull, .pull_forget = on_pull_forget, .withdraw = on_withdraw, .arg = d,
	};

	d->imap = imap_start(d->loop, d->pool, d->store, &imap, &hooks, e);
	return d->imap != NULL;
}

static bool start_control(struct daemon *d, struct err *e)
{
	struct commands_parts parts = {
		.loop = d->loop, .store = d->store, .courier = d->courier, .dht = d->dht, .groups = d->groups, .replicas = d->replicas, .address = d->settings->address,
		.fpr = d->fpr, .reload = on_reload, .stop = on_stop, .arg = d,
	};

	d->commands = commands_start(&parts, d->settings->control.socket, e);
	return d->commands != NULL;
}

struct daemon *daemon_new(const struct settings *settings, struct err *e)
{
	struct daemon *d = talloc_zero(NULL, struct daemon);

	d->settings = settings;
	bool good = start_state(d, e) && start_network(d, e) && start_outbox(d, e) && start_tls(d, e) &&
	    start_courier(d, e) && start_smtp(d, e) && start_imap(d, e) && start_control(d, e);

	if (!good) {
		daemon_free(&d);
		return NULL;
	}
	loop_on_signal(d->loop, SIGTERM, on_term, d);
	loop_on_signal(d->loop, SIGINT, on_term, d);
	loop_on_signal(d->loop, SIGHUP, on_hup, d);
	d->watchdog = timer_new(d->loop, on_watchdog, d);
	loop_watch_turns(d->loop);
	return d;
}

void daemon_run(struct daemon *d)
{
	on_watchdog(d);
	sd_notify(0, "READY=1");
	log_info("p2pmta=%s address=%s key=%s smtp=%u imap=%u outbox=%u dht=%u", PACKAGE_VERSION, d->settings->address,
	    d->fpr, smtp_port(d->smtp), imap_port(d->imap), outbox_port(d->outbox), dht_port(d->dht));
	loop_run(d->loop);
}

static void on_stop_too_long(int signo)
{
	(void)signo;
	_exit(0);
}

static void stop_doors(struct daemon *d)
{
	commands_stop(&d->commands);
	smtp_stop(&d->smtp);
	imap_stop(&d->imap);
	outbox_stop(&d->outbox);
}

static void stop_stations(struct daemon *d)
{
	if (d->courier != NULL)
		courier_stop(d->courier);
	replicas_stop(&d->replicas);
	groups_stop(&d->groups);
	notify_stop(&d->notify);
	resolve_stop(&d->resolve);
	fetch_stop(&d->fetch);
	deliver_stop(&d->deliver);
	courier_free(&d->courier);
	dht_free(&d->dht);
	http_client_free(&d->http);
	offers_free(&d->offers);
	members_free(&d->members);
}

void daemon_free(struct daemon **dp)
{
	struct daemon *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	sd_notify(0, "STOPPING=1");
	stop_doors(d);
	signal(SIGALRM, on_stop_too_long);
	alarm(STOP_S);
	pool_free(&d->syncer);
	if (d->store != NULL) {
		store_sync_by(d->store, NULL, NULL);
		store_turn(d->store);
	}
	pool_free(&d->pool);
	stop_stations(d);
	store_close(&d->store);
	timer_free(&d->watchdog);
	timer_free(&d->again);
	timer_free(&d->moving);
	tls_free(&d->tls);
	loop_free(&d->loop);
	pgp_free(&d->pgp);
	clerks_free(&d->clerks);
	alarm(0);
	talloc_free(d);
}
