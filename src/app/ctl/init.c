/*
 * Making a peer: folder, state folder, key, certificate, password, and last
 * of all p2pmta.conf, which is what makes the folder a peer. Until it is
 * there init may run again and keeps what an interrupted run made; once it is
 * there nothing is touched any more. What was asked for is written as a
 * configuration and read back through the daemon's own settings first, so
 * that init never makes what the daemon refuses.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/ctl/ctl.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"
#include "lib/mail/addr.h"
#include "lib/pgp/pgp.h"

enum { MAX_LIST = 32, MAX_CONF = 64 * 1024, MAX_KEY = 64 * 1024, MAX_PORT = 65535 };

const char init_help[] =
    "usage: p2pmta-ctl [--json] init ADDRESS [OPTION]...\n\n"
    "Makes a peer: a folder with p2pmta.conf, state folder, PGP key, TLS certificate and\n"
    "password. Needs no daemon, and never overwrites.\n\n"
    "  --dir DIR                 default ~/.local/share/p2pmta\n"
    "  --smtp PORT               mail client submits here, on loopback (1025)\n"
    "  --imap PORT               mail client reads here, on loopback (1143)\n"
    "  --outbox [HOST:]PORT      other peers pull here (0.0.0.0:4180)\n"
    "  --url URL                 how others reach the outbox; may be given again\n"
    "  --dht PORT                UDP port of the DHT node (4222)\n"
    "  --bootstrap HOST:PORT     a DHT node to start from; may be given again\n"
    "  --network N               number of the DHT network (random)\n"
    "  --group-master FPR@ADDRESS  be in the group of this master\n"
    "  --import-key FILE         use this secret key, which has no passphrase\n"
    "  --password-stdin          take the password from standard input\n";

struct list {
	const char *at[MAX_LIST];
	size_t n;
};

struct plan {
	void *ctx;
	char address[LIMIT_ADDRESS + 1];
	const char *dir, *config;
	unsigned smtp, imap, dht;
	const char *outbox_host;
	unsigned outbox_port;
	struct list urls, bootstraps;
	uint32_t network;
	const char *import_key, *master_fpr, *master;
	bool password_stdin;
	const char *password;		/* in the clear */
	char fpr[FPR_LEN];
	struct settings *settings;	/* what the configuration means */
};

static int parse_port(const char *text, const char *option, unsigned *out, struct err *e)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > MAX_PORT) {
		err_set(e, "%s %.60s: not a port, 0 to %d", option, text, MAX_PORT);
		return -1;
	}
	*out = (unsigned)n;
	return 0;
}

/* [HOST:]PORT */
static int parse_outbox(struct plan *p, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');

	if (colon)
		p->outbox_host = mem_strndup(p->ctx, text, (size_t)(colon - text));
	return parse_port(colon ? colon + 1 : text, "--outbox", &p->outbox_port, e);
}

/* FPR@ADDRESS, where ADDRESS has an @ of its own. */
static int parse_master(struct plan *p, const char *text, struct err *e)
{
	const char *at = strchr(text, '@');
	char address[LIMIT_ADDRESS + 1];

	if (!at || addr_parse(at + 1, address) < 0 || at - text != FPR_LEN - 1) {
		err_set(e, "--group-master %.120s: not FPR@ADDRESS, such as 0123...CDEF@alice@home", text);
		return -1;
	}
	p->master_fpr = mem_strndup(p->ctx, text, FPR_LEN - 1);
	p->master = mem_strdup(p->ctx, address);
	return 0;
}

static int parse_network(struct plan *p, const char *text, struct err *e)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > UINT32_MAX) {
		err_set(e, "--network %.60s: not a number, 0 to %u", text, UINT32_MAX);
		return -1;
	}
	p->network = (uint32_t)n;
	return 0;
}

static int list_add(struct list *l, const char *text, struct err *e)
{
	if (l->n == MAX_LIST) {
		err_set(e, "more than %d", MAX_LIST);
		return -1;
	}
	l->at[l->n++] = text;
	return 0;
}

static int parse_option(struct plan *p, int option, const char *value, struct err *e)
{
	switch (option) {
	case 'd':
		p->dir = value;
		return 0;
	case 's':
		return parse_port(value, "--smtp", &p->smtp, e);
	case 'i':
		return parse_port(value, "--imap", &p->imap, e);
	case 'o':
		return parse_outbox(p, value, e);
	case 't':
		return parse_port(value, "--dht", &p->dht, e);
	case 'b':
		return list_add(&p->bootstraps, value, e);
	case 'n':
		return parse_network(p, value, e);
	case 'u':
		return list_add(&p->urls, value, e);
	case 'p':
		p->password_stdin = true;
		return 0;
	case 'k':
		p->import_key = value;
		return 0;
	case 'g':
		return parse_master(p, value, e);
	case ':':
		err_set(e, "%.60s wants a value; init --help shows which", value);
		return -1;
	default:
		err_set(e, "%.60s: no such option; init --help shows what there is", value);
		return -1;
	}
}

static int parse(struct plan *p, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' }, { "smtp", required_argument, NULL, 's' },
		{ "imap", required_argument, NULL, 'i' }, { "outbox", required_argument, NULL, 'o' },
		{ "dht", required_argument, NULL, 't' }, { "bootstrap", required_argument, NULL, 'b' },
		{ "network", required_argument, NULL, 'n' }, { "url", required_argument, NULL, 'u' },
		{ "password-stdin", no_argument, NULL, 'p' }, { "import-key", required_argument, NULL, 'k' },
		{ "group-master", required_argument, NULL, 'g' }, { 0 },
	};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1)
		if (parse_option(p, option, option == ':' || option == '?' ? argv[optind - 1] : optarg, e) < 0)
			return -1;
	if (optind != argc - 1) {
		err_set(e, "init takes one ADDRESS, such as alice@home");
		return -1;
	}
	if (addr_parse(argv[optind], p->address) < 0) {
		err_set(e, "%.80s: not an address; it must be name@group, such as alice@home", argv[optind]);
		return -1;
	}
	return 0;
}

static bool is_any(const char *host)
{
	return !strcmp(host, "0.0.0.0") || !strcmp(host, "[::]") || !strcmp(host, "::");
}

/* The address this machine has towards others: of a socket that would send there. NULL: none. */
static const char *primary_address(const void *ctx)
{
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_port = htons(9) }, here;
	socklen_t len = sizeof(here);
	char text[INET_ADDRSTRLEN] = "";
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "198.51.100.1", &far.sin_addr);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&far, sizeof(far)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&here, &len) == 0)
		inet_ntop(AF_INET, &here.sin_addr, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return *text ? mem_strdup(ctx, text) : NULL;
}

static bool has_ipv6_loopback(void)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static void guess_url(struct plan *p)
{
	const char *host = is_any(p->outbox_host) ? primary_address(p->ctx) : p->outbox_host;

	if (!p->urls.n && host)
		p->urls.at[p->urls.n++] = mem_printf(p->ctx, "http://%s:%u", host, p->outbox_port);
}

/* A quoted text as libConfuse reads it back. */
static void add_text(struct buf *b, const char *s)
{
	buf_adds(b, "\"");
	for (; *s; s++) {
		if (strchr("\"\\$", *s))
			buf_adds(b, "\\");
		buf_add(b, s, 1);
	}
	buf_adds(b, "\"");
}

static void add_list(struct buf *b, const char *key, const struct list *l)
{
	buf_addf(b, "\t%s = {", key);
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(b, i ? ", " : "");
		add_text(b, l->at[i]);
	}
	buf_adds(b, "}\n");
}

static void add_listen(struct buf *b, const char *section, unsigned port)
{
	buf_addf(b, "%s {\n\tlisten = {\"127.0.0.1:%u\"", section, port);
	if (has_ipv6_loopback())
		buf_addf(b, ", \"[::1]:%u\"", port);
	buf_adds(b, "}\n}\n\n");
}

static struct buf *compose(const struct plan *p)
{
	struct buf *b = buf_new(p->ctx, MAX_CONF);

	buf_adds(b, "# One p2pMTA peer, made by p2pmta-ctl init. Every key and its default: p2pmta.conf(5).\n\naddress = ");
	add_text(b, p->address);
	buf_adds(b, "\nstate = ");
	add_text(b, mem_printf(p->ctx, "%s/state", p->dir));
	buf_adds(b, "\n\n# The mail client submits and reads here.\n");
	add_listen(b, "smtp", p->smtp);
	add_listen(b, "imap", p->imap);
	buf_addf(b, "# Other peers pull here; url is how they get here.\noutbox {\n\tlisten = {\"%s:%u\"}\n", p->outbox_host, p->outbox_port);
	add_list(b, "url", &p->urls);
	buf_addf(b, "}\n\n# Peers meet only within one network.\ndht {\n\tport = %u\n\tnetwork = %u\n", p->dht, (unsigned)p->network);
	add_list(b, "bootstrap", &p->bootstraps);
	buf_adds(b, "}\n");
	if (p->master) {
		buf_addf(b, "\ngroup %s {\n\tmaster = ", addr_group(p->master));
		add_text(b, p->master);
		buf_adds(b, "\n\tkey = ");
		add_text(b, p->master_fpr);
		buf_adds(b, "\n}\n");
	}
	return b;
}

/* DIR absolute and without links, made if need be; refused when a peer lives there. */
static enum outcome settle_dir(struct plan *p, struct err *e)
{
	const char *home = getenv("HOME");

	if (!p->dir && (!home || !*home)) {
		err_set(e, "HOME is not set; say --dir DIR");
		return REJECT;
	}
	if (!p->dir)
		p->dir = mem_printf(p->ctx, "%s/.local/share/p2pmta", home);
	if (files_mkdir(p->dir, e) != OK)
		return REJECT;
	char *real = realpath(p->dir, NULL);
	if (!real) {
		err_sys(e, "%s", p->dir);
		return REJECT;
	}
	p->dir = mem_strdup(p->ctx, real);
	free(real);
	p->config = mem_printf(p->ctx, "%s/p2pmta.conf", p->dir);
	if (access(p->config, F_OK) == 0) {
		err_set(e, "%s is there already; nothing was changed", p->config);
		return REJECT;
	}
	return OK;
}

static enum outcome make_key(struct plan *p, struct pgp *pgp, struct err *e)
{
	struct bytes key;

	if (!p->import_key)
		return pgp_make_key_work(pgp, p->address, p->fpr, e);
	enum outcome res = files_get(p->ctx, p->import_key, MAX_KEY, &key, e);
	return res == OK ? pgp_import_secret_work(pgp, key, p->fpr, e) : res;
}

/* The key of an interrupted run, or a new one; either way durable and named in the state folder. */
static enum outcome settle_key(struct plan *p, struct err *e)
{
	if (settings_get_fpr(p->settings, p->fpr, e) == OK) {
		if (!p->import_key)
			return OK;
		err_set(e, "%s names a key of an earlier run; remove %s to import another", p->settings->own_fpr, p->settings->state);
		return REJECT;
	}
	struct pgp *pgp = pgp_new(p->settings->keys, NULL, e);
	if (!pgp)
		return REJECT;
	enum outcome res = make_key(p, pgp, e);
	pgp_free(&pgp);
	return res == OK ? settings_put_fpr(p->settings->own_fpr, p->fpr, e) : res;
}

static enum outcome settle_certificate(struct plan *p, struct err *e)
{
	char host[256] = "";

	if (access(p->settings->tls_cert, F_OK) == 0 && access(p->settings->tls_key, F_OK) == 0)
		return OK;
	gethostname(host, sizeof(host) - 1);
	return tls_make_self_signed(host, p->settings->tls_cert, p->settings->tls_key, e);
}

/* In the order of the file's first comment. */
static enum outcome make(struct plan *p, struct err *e)
{
	enum outcome res = settle_dir(p, e);

	if (res != OK)
		return res;
	struct buf *conf = compose(p);
	if (conf->overflow) {
		err_set(e, "too many options");
		return REJECT;
	}
	p->settings = settings_parse(p->ctx, p->config, conf->data, e);
	if (!p->settings)
		return REJECT;
	p->password = p->password_stdin ? password_read(p->ctx, e) : password_new(p->ctx);
	if (!p->password)
		return REJECT;
	res = files_mkdir(p->settings->state, e);
	if (res == OK)
		res = settle_key(p, e);
	if (res == OK)
		res = settle_certificate(p, e);
	if (res == OK)
		res = settings_put_password(p->settings->password, p->password, e);
	if (res == OK)
		res = files_put(p->config, buf_bytes(conf), e);
	return res;
}

static void print_json(const struct plan *p)
{
	json_t *urls = json_array();

	for (size_t i = 0; i < p->urls.n; i++)
		json_array_append_new(urls, json_string(p->urls.at[i]));
	json_t *r = mem_check(json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:s?,s:o,s:I}", "address", p->address, "fingerprint", p->fpr,
	    "dir", p->dir, "config", p->config, "smtp", p->smtp, "imap", p->imap, "password", p->password_stdin ? NULL : p->password,
	    "url", urls, "network", (json_int_t)p->network));
	json_dumpf(r, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(r);
}

static void print_text(const struct plan *p)
{
	printf("%s is ready in %s\n\n", p->address, p->dir);
	printf("  start it     p2pmta -c %s\n", p->config);
	printf("  fingerprint  %s\n", p->fpr);
	for (size_t i = 0; i < p->urls.n; i++)
		printf("  reachable at %s\n", p->urls.at[i]);
	if (!p->urls.n)
		printf("  reachable at no URL yet: set outbox.url in p2pmta.conf\n");
	printf("\nIn the mail client:\n\n");
	printf("  IMAP         127.0.0.1, port %u, STARTTLS\n", p->imap);
	printf("  SMTP         127.0.0.1, port %u, STARTTLS\n", p->smtp);
	printf("  user         %s\n", p->address);
	if (!p->password_stdin)
		printf("  password     %s   (shown only now; p2pmta-ctl password makes another)\n", p->password);
}

int init_run(struct ctl *c, int argc, char **argv)
{
	struct plan p = { .ctx = mem_ctx(NULL), .smtp = 1025, .imap = 1143, .dht = 4222, .outbox_host = "0.0.0.0", .outbox_port = 4180,
	    .network = (uint32_t)(random_u64() % UINT32_MAX) + 1 };
	int status = EXIT_DONE;
	struct err e;

	if (parse(&p, argc, argv, &e) < 0) {
		status = ctl_fail(EXIT_USAGE, "%s", e.text);
	} else {
		guess_url(&p);
		if (make(&p, &e) != OK)
			status = ctl_fail(EXIT_REFUSED, "%s", e.text);
		else
			c->json ? print_json(&p) : print_text(&p);
	}
	talloc_free(p.ctx);
	return status;
}
