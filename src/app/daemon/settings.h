#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H
/*
 * p2pmta.conf(5) as plain values, checked: whoever holds a struct
 * settings needs to check nothing again. The option table in settings.c is the only place
 * that knows keys, defaults and bounds; p2pmta.conf(5) and conf/p2pmta.conf
 * are held against it by tests/check-options.
 *
 * Beside the configuration file (in its folder, `dir`) lie what `p2pmta-ctl
 * init` makes: password, tls.crt, tls.key. In the state folder lies our own
 * fingerprint. Loaded on any thread, read only afterwards.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "way/smtp/smtp.h"

/* NULL-terminated, n without the NULL. */
struct settings_list {
	const char **list;
	size_t n;
};

enum settings_unknown { UNKNOWN_REQUEST, UNKNOWN_ACCEPT, UNKNOWN_REFUSE };

struct settings_group {
	const char *name;		/* normal form */
	const char *master;		/* address; "" none given */
	const char *key;		/* 40 upper-case hex; "" when left out */
	struct settings_list members;
	int64_t sync_ms;
};

struct scram_secret;

struct settings {
	const char *file, *dir;		/* p2pmta.conf and its folder, absolute */
	const char *address;		/* normal form */
	const char *state;		/* absolute */
	struct {
		struct settings_list listen;
		enum tls_mode tls;
		uint64_t max_size;
		size_t max_recipients;
	} smtp;
	struct {
		struct settings_list listen;
		enum tls_mode tls;
		bool bulk_pull;
	} imap;
	struct {
		struct settings_list listen, url;	/* urls without a slash at the end */
		int64_t validity_s;
		uint64_t quota, replica_quota;
		uint64_t replica_rate;		/* octets a second; 0: no bound */
	} outbox;
	struct {
		unsigned port;
		struct settings_list bootstrap;
		uint32_t network;
		bool discovery;
		int64_t poll_ms;
	} dht;
	struct settings_group *groups;
	size_t n_groups;
	struct {
		enum settings_unknown unknown;
		unsigned stamp;
		uint64_t prefetch;
		bool rescue;
	} policy;
	struct { int64_t lifetime_s, warn_after_s; } queue;
	struct { const char *socket; } control;		/* absolute, never "" */
	struct { enum log_level level; const char *to; } log;

	/* Not keys: where things are. */
	const char *password;		/* DIR/password */
	const char *tls_cert, *tls_key;	/* DIR/tls.crt, DIR/tls.key */
	const char *keys;		/* STATE/keys: the GNUPGHOME */
	const char *own_fpr;		/* STATE/fingerprint */
};

/* NULL with err: "FILE:LINE: what is wrong; what would be right". Below ctx. */
struct settings *settings_load(const void *ctx, const char *file, struct err *);
/* The same from text; name stands for FILE. Relative paths are below the folder of name. */
struct settings *settings_parse(const void *ctx, const char *name, const char *text, struct err *);

/* P2PMTA_CONF of the environment, ~/.local/share/p2pmta/p2pmta.conf if it is there, else SYSCONFDIR/p2pmta/p2pmta.conf; below ctx. */
char *settings_default_file(const void *ctx);

/* Is this the user's password? About 5 ms for a wrong one; a right one is remembered. Loop thread. */
bool settings_check_password(const struct settings *, const char *password);
/* What SCRAM needs to know of it; false when there is no password (yet). */
bool settings_get_secret(const struct settings *, struct scram_secret *out);
/* Store its keys, durably. */
enum outcome settings_put_password(const char *file, const char *password, struct err *);

/* Our fingerprint, from own_fpr; REJECT when there is none yet. */
enum outcome settings_get_fpr(const struct settings *, char out[41], struct err *);
enum outcome settings_put_fpr(const char *file, const char *fpr, struct err *);

/* Every key with its default, one a line, "smtp.max_size = 1G": for p2pmta --defaults and check-options. */
void settings_print_defaults(FILE *);

#endif
