/*
 * THE option table of p2pmta.conf, and how its rows become struct settings.
 * libConfuse reads the file; every value reaches us as text in a callback
 * while libConfuse still knows the line, is checked against its row there,
 * and stored afterwards. Three things about libConfuse 3.3: it miscounts lines
 * behind comments (we blank them first); it lets a section pass that is still
 * open at the end of the file (we append a key that only the top level knows);
 * and its error hook takes no argument (hence `reading`).
 */
#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/daemon/settings.h"
#include "app/daemon/settings_value.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/mail/addr.h"

enum { LIMIT_FILE = 256 * 1024, LIMIT_GROUPS = 64, MAX_KEYS = 16, DAY = 86400, MAX_SOCKET = 107 };

#define GIB ((uint64_t)1 << 30)
static const char end_mark[] = "end_of_configuration";

enum kind { ADDRESS, GROUP_MASTER, FPR, PATH, SOCKET, LOG_TO, LISTENS, HOSTPORTS, URLS, ADDRESSES, WORD, BOOL, NUMBER, SIZE, SECONDS,
	MILLISECONDS };

#define AT(field) offsetof(struct settings, field)
#define IN_GROUP(field) offsetof(struct settings_group, field)
static const char size_words[] = "a number and K, M or G, such as \"1G\"";
static const char duration_words[] = "a number and s, m, h or d, such as \"30d\"";

/* fallback is written as in the file; NULL: must be given. want: what would be right, for people. */
static const struct option {
	const char *section, *key;
	enum kind kind;
	const char *fallback, *want;
	size_t at;
	uint64_t min, max;		/* numbers, sizes, seconds */
} options[] = {
	{ "", "address", ADDRESS, NULL, "name@group, such as \"alice@home\"", AT(address), 0, 0 },
	{ "", "state", PATH, "\"/var/spool/p2pmta\"", "a folder", AT(state), 0, 0 },
	{ "smtp", "listen", LISTENS, "{\"127.0.0.1:1025\", \"[::1]:1025\"}", "HOST:PORT or unix:PATH", AT(smtp.listen), 0, 0 },
	{ "smtp", "tls", WORD, "\"starttls\"", "off starttls always", AT(smtp.tls), 0, 0 },
	{ "smtp", "max_size", SIZE, "\"1G\"", size_words, AT(smtp.max_size), 1024, 4 * GIB },
	{ "smtp", "max_recipients", NUMBER, "1000", "a number", AT(smtp.max_recipients), 1, 100000 },
	{ "imap", "listen", LISTENS, "{\"127.0.0.1:1143\", \"[::1]:1143\"}", "HOST:PORT or unix:PATH", AT(imap.listen), 0, 0 },
	{ "imap", "tls", WORD, "\"starttls\"", "off starttls always", AT(imap.tls), 0, 0 },
	{ "imap", "bulk", WORD, "\"here\"", "here pull", AT(imap.bulk_pull), 0, 0 },
	{ "outbox", "listen", LISTENS, "{\"0.0.0.0:4180\"}", "HOST:PORT", AT(outbox.listen), 0, 0 },
	{ "outbox", "url", URLS, "{}", "a base URL, such as \"http://198.51.100.7:4180\"", AT(outbox.url), 0, 0 },
	{ "outbox", "validity", SECONDS, "\"30d\"", duration_words, AT(outbox.validity_s), 60, 31 * DAY },
	{ "outbox", "quota", SIZE, "\"20G\"", size_words, AT(outbox.quota), 1 << 20, 1024 * 1024 * GIB },
	{ "outbox", "replica_quota", SIZE, "\"20G\"", size_words, AT(outbox.replica_quota), 0, 1024 * 1024 * GIB },
	{ "outbox", "replica_rate", SIZE, "0", size_words, AT(outbox.replica_rate), 0, 1024 * 1024 * GIB },
	{ "dht", "port", NUMBER, "4222", "a port", AT(dht.port), 0, 65535 },
	{ "dht", "bootstrap", HOSTPORTS, "{}", "HOST:PORT", AT(dht.bootstrap), 0, 0 },
	{ "dht", "network", NUMBER, "2718281", "a number", AT(dht.network), 0, UINT32_MAX },
	{ "dht", "discovery", BOOL, "true", "true or false", AT(dht.discovery), 0, 0 },
	{ "dht", "poll", MILLISECONDS, "\"60s\"", duration_words, AT(dht.poll_ms), 1, DAY },
	{ "group", "master", GROUP_MASTER, "\"\"", "the master's address, such as \"alice@home\"", IN_GROUP(master), 0, 0 },
	{ "group", "key", FPR, "\"\"", "the master's fingerprint, 40 hex digits", IN_GROUP(key), 0, 0 },
	{ "group", "members", ADDRESSES, "{}", "addresses, such as {\"alice@home\", \"bob@home\"}", IN_GROUP(members), 0, 0 },
	{ "group", "sync", MILLISECONDS, "\"60s\"", duration_words, IN_GROUP(sync_ms), 1, DAY },
	{ "policy", "unknown", WORD, "\"request\"", "request accept refuse", AT(policy.unknown), 0, 0 },
	{ "policy", "stamp", NUMBER, "18", "a number of bits", AT(policy.stamp), 0, 32 },
	{ "policy", "prefetch", SIZE, "0", size_words, AT(policy.prefetch), 0, 4 * GIB },
	{ "policy", "rescue", BOOL, "true", "true or false", AT(policy.rescue), 0, 0 },
	{ "queue", "lifetime", SECONDS, "\"5d\"", duration_words, AT(queue.lifetime_s), 1, 60 * DAY },
	{ "queue", "warn_after", SECONDS, "\"4h\"", duration_words, AT(queue.warn_after_s), 1, 60 * DAY },
	{ "control", "socket", SOCKET, "\"\"", "a path of at most 107 octets", AT(control.socket), 0, 0 },
	{ "log", "level", WORD, "\"info\"", "err warn info debug", AT(log.level), 0, 0 },
	{ "log", "to", LOG_TO, "\"stderr\"", "stderr, syslog or a file", AT(log.to), 0, 0 },
};
enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

/* What libConfuse's callbacks report to; one file is read at a time and thread. */
static _Thread_local struct { const char *name; struct err *err; bool failed; } reading;

static bool is_list(enum kind kind)
{
	return kind == LISTENS || kind == HOSTPORTS || kind == URLS || kind == ADDRESSES;
}

static const struct option *option_find(const char *section, const char *key)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (!strcmp(options[i].section, section) && !strcmp(options[i].key, key))
			return &options[i];
	return NULL;
}

static const char *section_of(const cfg_t *cfg)
{
	return strcmp(cfg->name, "root") ? cfg->name : "";
}

/* The first error is the one that counts. */
__attribute__((format(printf, 2, 3)))
static void report(int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (reading.failed)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	err_set(reading.err, "%s:%d: %s", reading.name, line, text);
	reading.failed = true;
}

/* "listen, tls" for a key that is not one of them. */
static void print_keys(const char *section, char *out, size_t size)
{
	size_t n = 0;

	*out = '\0';
	for (int i = 0; i < N_OPTIONS; i++)
		if (!strcmp(options[i].section, section) && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", options[i].key);
	if (!*section && n < size)
		snprintf(out + n, size - n, ", smtp {}, imap {}, outbox {}, dht {}, group NAME {}, policy {}, queue {}, control {}, log {}");
}

__attribute__((format(printf, 2, 0)))
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200], keys[200];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, end_mark)) {
		report(cfg->line - 1, "%s { is not closed; a } is missing", section_of(cfg));
		return;
	}
	if (strstr(text, "no such option")) {
		print_keys(section_of(cfg), keys, sizeof(keys));
		report(cfg->line, "%s; known here: %s", text, keys);
		return;
	}
	report(cfg->line, "%s; p2pmta.conf(5) shows how it is written", text);
}

static bool is_in_range(const struct option *o, const char *value, int (*parse)(const char *, uint64_t *))
{
	uint64_t n;

	return parse(value, &n) == 0 && n >= o->min && n <= o->max;
}

static bool is_good(const struct option *o, const char *value)
{
	char address[LIMIT_ADDRESS + 1];
	bool yes;

	switch (o->kind) {
	case GROUP_MASTER:
		if (!*value)
			return true;
		/* fall through */
	case ADDRESS:
	case ADDRESSES:
		return addr_parse(value, address) == 0;
	case FPR:
		return !*value || value_is_fpr(value);
	case PATH:
	case LOG_TO:
		return *value && strlen(value) < PATH_MAX / 2;
	case SOCKET:
		return strlen(value) <= MAX_SOCKET;
	case LISTENS:
		return value_is_hostport(value, true) || (!strncmp(value, "unix:/", 6) && strlen(value) <= 5 + MAX_SOCKET);
	case HOSTPORTS:
		return value_is_hostport(value, false);
	case URLS:
		return value_is_url(value);
	case WORD:
		return value_word(value, o->want) >= 0;
	case BOOL:
		return value_bool(value, &yes) == 0;
	case NUMBER:
		return is_in_range(o, value, value_number);
	case SIZE:
		return is_in_range(o, value, value_size);
	case SECONDS:
	case MILLISECONDS:
		return is_in_range(o, value, value_duration);
	}
	return false;
}

/* "64K" rather than 65536. */
static void print_bound(const struct option *o, uint64_t n, char *out, size_t size)
{
	static const struct { enum kind kind; uint64_t scale; char unit; } units[] = {
		{ SIZE, GIB, 'G' }, { SIZE, 1 << 20, 'M' }, { SIZE, 1 << 10, 'K' },
		{ SECONDS, DAY, 'd' }, { SECONDS, 3600, 'h' }, { SECONDS, 60, 'm' }, { SECONDS, 1, 's' },
	};
	enum kind kind = o->kind == MILLISECONDS ? SECONDS : o->kind;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].kind == kind && n && n % units[i].scale == 0) {
			snprintf(out, size, "%llu%c", (unsigned long long)(n / units[i].scale), units[i].unit);
			return;
		}
	snprintf(out, size, "%llu", (unsigned long long)n);
}

static void report_value(const cfg_t *cfg, const struct option *o, const char *value)
{
	char low[32], high[32];
	const char *dot = *o->section ? "." : "";

	if (o->kind == WORD) {
		report(cfg->line, "%s%s%s = \"%.60s\": must be one of: %s", o->section, dot, o->key, value, o->want);
	} else if (o->max) {
		print_bound(o, o->min, low, sizeof(low));
		print_bound(o, o->max, high, sizeof(high));
		report(cfg->line, "%s%s%s = \"%.60s\": must be %s, from %s to %s", o->section, dot, o->key, value, o->want, low, high);
	} else {
		report(cfg->line, "%s%s%s = \"%.60s\": must be %s", o->section, dot, o->key, value, o->want);
	}
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct option *o = option_find(section_of(cfg), opt->name);

	assert(o);
	if (!is_good(o, value)) {
		report_value(cfg, o, value);
		return -1;
	}
	*(const char **)result = value;
	return 0;
}

/* libConfuse's tables from ours; cfg_init() copies them. */
static cfg_t *reader_new(void)
{
	static const char *const sections[] = { "smtp", "imap", "outbox", "dht", "group", "policy", "queue", "control", "log" };
	enum { N = sizeof(sections) / sizeof(sections[0]) };
	cfg_opt_t tables[N + 1][MAX_KEYS], end = CFG_END();
	size_t n[N + 1] = { 0 };
	char *tmp = mem_ctx(NULL);

	for (int i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];
		size_t t = 0;
		while (t < N && strcmp(sections[t], o->section))
			t++;
		char *fallback = is_list(o->kind) ? mem_strdup(tmp, o->fallback) : NULL;
		cfg_opt_t list = CFG_STR_LIST_CB(o->key, fallback, CFGF_NONE, on_value);
		cfg_opt_t one = CFG_STR_CB(o->key, NULL, CFGF_NODEFAULT, on_value);
		assert(n[t] < MAX_KEYS - 1);
		tables[t][n[t]++] = is_list(o->kind) ? list : one;
	}
	for (size_t t = 0; t < N; t++) {
		bool many = !strcmp(sections[t], "group");
		cfg_opt_t section = CFG_SEC(sections[t], tables[t], many ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE);
		tables[t][n[t]] = end;
		assert(n[N] < MAX_KEYS - 2);
		tables[N][n[N]++] = section;
	}
	cfg_opt_t mark = CFG_STR(end_mark, NULL, CFGF_NODEFAULT);
	tables[N][n[N]++] = mark;
	tables[N][n[N]] = end;
	cfg_t *cfg = cfg_init(tables[N], CFGF_NONE);
	cfg_set_error_function(cfg, on_error);
	talloc_free(tmp);
	return cfg;
}

static char *path_below(const void *ctx, const struct settings *s, const char *path)
{
	return *path == '/' ? mem_strdup(ctx, path) : mem_printf(ctx, "%s/%s", s->dir, path);
}

static struct settings_list list_of(const struct settings *s, const struct option *o, cfg_opt_t *opt)
{
	unsigned n = cfg_opt_size(opt);
	struct settings_list l = { mem_zero_array(s, const char *, n + 1), n };

	for (unsigned i = 0; i < n; i++) {
		const char *value = cfg_opt_getnstr(opt, i);
		if (o->kind == ADDRESSES) {
			char *address = mem_array(l.list, char, LIMIT_ADDRESS + 1);
			addr_parse(value, address);
			l.list[i] = address;
		} else {
			size_t len = strlen(value);
			while (o->kind == URLS && len && value[len - 1] == '/')
				len--;
			l.list[i] = mem_strndup(l.list, value, len);
		}
	}
	return l;
}

static const char *text_of(const struct settings *s, const struct option *o, const char *value)
{
	char address[LIMIT_ADDRESS + 1];

	switch ((int)o->kind) {
	case ADDRESS:
	case GROUP_MASTER:
		return *value && addr_parse(value, address) == 0 ? mem_strdup(s, address) : "";
	case PATH:
		return path_below(s, s, value);
	case LOG_TO:
		return value_word(value, "stderr syslog") < 0 ? path_below(s, s, value) : mem_strdup(s, value);
	case SOCKET:
		return *value ? path_below(s, s, value) : mem_printf(s, "%s/control", s->state);
	default:
		return mem_strdup(s, value);
	}
}

/* Fields differ in width; rows of one kind may, too. */
static void put_number(void *field, const struct option *o, uint64_t n)
{
	if (o->at == AT(dht.port) || o->at == AT(policy.stamp))
		*(unsigned *)field = (unsigned)n;
	else if (o->at == AT(dht.network))
		*(uint32_t *)field = (uint32_t)n;
	else
		*(size_t *)field = n;
}

static void put_word(void *field, const struct option *o, int word)
{
	if (!strcmp(o->key, "bulk"))
		*(bool *)field = word == 1;
	else if (!strcmp(o->key, "tls"))
		*(enum tls_mode *)field = (enum tls_mode)word;
	else if (!strcmp(o->key, "unknown"))
		*(enum settings_unknown *)field = (enum settings_unknown)word;
	else
		*(enum log_level *)field = (enum log_level)word;
}

/* The value of a row into its field; it was checked before. */
static void store(const struct settings *s, void *base, const struct option *o, cfg_opt_t *opt)
{
	void *field = (char *)base + o->at;
	char *fallback = mem_strdup(NULL, o->fallback ? o->fallback : "");
	const char *value = fallback;
	uint64_t n = 0;

	if (value[0] == '"') {
		value++;
		fallback[strlen(fallback) - 1] = '\0';
	}
	if (!is_list(o->kind) && cfg_opt_size(opt))
		value = cfg_opt_getstr(opt);
	switch (o->kind) {
	case LISTENS:
	case HOSTPORTS:
	case URLS:
	case ADDRESSES:
		*(struct settings_list *)field = list_of(s, o, opt);
		break;
	case WORD:
		put_word(field, o, value_word(value, o->want));
		break;
	case BOOL:
		value_bool(value, field);
		break;
	case NUMBER:
		value_number(value, &n);
		put_number(field, o, n);
		break;
	case SIZE:
		value_size(value, field);
		break;
	case SECONDS:
	case MILLISECONDS:
		value_duration(value, &n);
		*(int64_t *)field = (int64_t)(o->kind == SECONDS ? n : n * 1000);
		break;
	case ADDRESS:
	case GROUP_MASTER:
	case FPR:
	case PATH:
	case SOCKET:
	case LOG_TO:
		*(const char **)field = text_of(s, o, value);
		break;
	}
	talloc_free(fallback);
}

static void store_section(const struct settings *s, void *base, cfg_t *cfg, const char *section)
{
	for (int i = 0; i < N_OPTIONS; i++)
		if (!strcmp(options[i].section, section))
			store(s, base, &options[i], cfg_getopt(cfg, options[i].key));
}

static void store_group(const struct settings *s, struct settings_group *g, cfg_t *cfg)
{
	g->name = mem_strdup(s, cfg_title(cfg));
	store_section(s, g, cfg, "group");
	if (!addr_is_group(g->name))
		report(cfg->line, "group %.60s: not a group name; letters, digits, hyphens and dots", g->name);
	else if (!*g->master)
		report(cfg->line, "group %s: master is missing; it must be %s", g->name, option_find("group", "master")->want);
	else if (!*g->key && strcmp(g->master, s->address))
		report(cfg->line, "group %s: key is missing; only the master itself may leave it out", g->name);
}

static void store_all(struct settings *s, cfg_t *cfg)
{
	store_section(s, s, cfg, "");
	for (int i = 0; i < N_OPTIONS; i++) {
		const char *section = options[i].section;
		if (*section && strcmp(section, "group"))
			store(s, s, &options[i], cfg_getopt(cfg_getsec(cfg, section), options[i].key));
	}
	s->n_groups = cfg_size(cfg, "group");
	s->groups = mem_zero_array(s, struct settings_group, s->n_groups + 1);
	for (size_t i = 0; i < s->n_groups && i < LIMIT_GROUPS; i++)
		store_group(s, &s->groups[i], cfg_getnsec(cfg, "group", (unsigned)i));
	s->password = mem_printf(s, "%s/password", s->dir);
	s->tls_cert = mem_printf(s, "%s/tls.crt", s->dir);
	s->tls_key = mem_printf(s, "%s/tls.key", s->dir);
	s->keys = mem_printf(s, "%s/keys", s->state);
	s->own_fpr = mem_printf(s, "%s/fingerprint", s->state);
}

/* What no single value shows. */
static void check_all(const struct settings *s, const cfg_t *cfg)
{
	int line = cfg->line - 2;	/* the mark's line and its end come after the last one */

	if (line < 1)
		line = 1;
	if (!*s->address)
		report(line, "address is missing; it must be %s", option_find("", "address")->want);
	if (s->n_groups > LIMIT_GROUPS)
		report(line, "more than %d groups", LIMIT_GROUPS);
	if (strlen(s->control.socket) > MAX_SOCKET)
		report(line, "control.socket = \"%.200s\": must be a path of at most %d octets; set it, or a shorter state",
		    s->control.socket, MAX_SOCKET);
	if (s->outbox.listen.n == 0)
		report(line, "outbox.listen is empty; it must name an address to listen on, such as %s",
		    option_find("outbox", "listen")->fallback);
	if (s->queue.warn_after_s > s->queue.lifetime_s)
		report(line, "queue.warn_after: must not be longer than queue.lifetime");
}

struct settings *settings_parse(const void *ctx, const char *name, const char *text, struct err *e)
{
	struct settings *s = mem_zero(ctx, struct settings);
	const char *slash = strrchr(name, '/');
	size_t len = strlen(text);
	char *marked = mem_printf(NULL, "%s%s%s = 1\n", text, len && text[len - 1] == '\n' ? "" : "\n", end_mark);
	cfg_t *cfg = reader_new();

	s->file = mem_strdup(s, name);
	s->dir = slash ? mem_strndup(s, name, (size_t)(slash - name)) : ".";
	reading.name = name;
	reading.err = e;
	reading.failed = false;
	int open_line = value_blank_comments(marked);
	if (open_line)
		report(open_line, "a comment is not closed; */ is missing");
	else if (cfg_parse_buf(cfg, marked) != CFG_SUCCESS)
		report(cfg->line, "cannot be read; p2pmta.conf(5) shows how it is written");
	if (!reading.failed) {
		store_all(s, cfg);
		check_all(s, cfg);
	}
	cfg_free(cfg);
	talloc_free(marked);
	if (reading.failed)
		talloc_free(s), s = NULL;
	return s;
}

struct settings *settings_load(const void *ctx, const char *file, struct err *e)
{
	char *tmp = mem_ctx(NULL), *real = realpath(file, NULL);
	struct settings *s = NULL;
	struct bytes text;

	if (!real) {
		err_sys(e, "%s", file);
	} else if (files_get(tmp, real, LIMIT_FILE, &text, e) == OK) {
		if (memchr(text.data, 0, text.len))
			err_set(e, "%s:1: a NUL in it; it must be text", real);
		else
			s = settings_parse(ctx, real, (const char *)text.data, e);
	}
	free(real);
	talloc_free(tmp);
	return s;
}

char *settings_default_file(const void *ctx)
{
	const char *given = getenv("P2PMTA_CONF"), *home = getenv("HOME");

	if (given && *given)
		return mem_strdup(ctx, given);
	if (home && *home) {
		char *own = mem_printf(ctx, "%s/.local/share/p2pmta/p2pmta.conf", home);
		if (access(own, F_OK) == 0)
			return own;
		talloc_free(own);
	}
	return mem_strdup(ctx, SYSCONFDIR "/p2pmta/p2pmta.conf");
}

void settings_print_defaults(FILE *out)
{
	for (int i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];
		fprintf(out, "%s%s%s%s%s\n", o->section, *o->section ? "." : "", o->key, o->fallback ? " = " : "",
		    o->fallback ? o->fallback : "");
	}
}
