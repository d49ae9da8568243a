#ifndef GROUP_STATE_H
#define GROUP_STATE_H
/*
 * The station's own state, shared by its files:
 *	group.c    life, p2pmta.conf, who is a member: what others ask
 *	find.c     looking for a list: DHT, URLs, judging what comes
 *	list.c     a list: taken from others, signed by ourselves, published
 *	change.c   p2pmta-ctl group create, add, remove, leave
 *	join.c     invites, and the two sides of a join
 *	network.c  which DHT network, after a join
 *	holders.c  the groups of senders
 *	show.c     p2pmta-ctl group show
 */
#include <uthash.h>

#include "way/group/group.h"
#include "way/group/judge.h"

enum {
	FIND_URLS = 4,			/* asked side by side */
	FIND_URLS_MAX = 16,		/* in one look */
	JUDGED = 64,			/* lists remembered as judged, so that gpg sees each once */
	FOREIGN_MAX = 256,		/* groups of senders kept */
	INVITES_MAX = 32,		/* open at a time */
	JOIN_LIFE_S = 86400,
	JOINS_MAX = 8,			/* requests read at a time */
};

struct entry;

/* One GET of a list. */
struct asking {
	struct entry *entry;
	struct http_transfer *transfer;	/* NULL: free */
};

struct kept_member {
	char address[LIMIT_ADDRESS + 1], fpr[FPR_LEN];
	char *urls;
	bool usable;			/* no other key is pinned */
};

/* A group in RAM: what is under way for it, and what others ask of it most. */
struct entry {
	char name[LIMIT_ADDRESS + 1];
	struct groups *groups;
	bool ours;			/* we are in it, or want to be: followed all the time */
	UT_hash_handle hh;

	/* find.c */
	struct dht_listen *listen;	/* ours only */
	struct dht_get *get;
	struct asking askings[FIND_URLS];
	char *urls;			/* of the look */
	const char *next_url;
	unsigned n_urls;
	struct bytes values[JUDGE_MAX];	/* to be judged */
	size_t n_values;
	uint8_t judged[JUDGED][32];
	unsigned n_judged;
	bool judging, looking;
	bool missed;			/* more came than are judged at a time */
	char waits[JUDGE_MAX][LIMIT_ADDRESS + 1];	/* masters whose keys are looked for */
	size_t n_waits;
	struct bytes held[JUDGE_MAX];	/* lists that wait for them */
	size_t n_held;
	bool waited;			/* in this look: no second time */
	int64_t look_at_ms;		/* the next look, monotonic */
	unsigned n_looks;		/* while we wait to be let in */

	/* list.c */
	struct dht_put *put;
	struct bytes put_octets;
	bool signing;
	struct kept_member *members;
	size_t n_members;
	bool counts;			/* a list that holds, and we are in it */
	bool expired;
	bool changed;			/* hooks.changed is to come */
	size_t resolve_from;
	unsigned n_resolves;
	int64_t resolve_at_ms;		/* members without a URL are looked for again, monotonic */

	/* join.c */
	struct invite *invite;		/* we asked, and wait */
	struct bytes ask;		/* the value that asks; empty: being made */
	struct dht_put *ask_put;
	struct http_transfer *ask_post;
	int64_t ask_at_ms;
	unsigned n_asks;
	bool asking_made;		/* is being made on a worker */

	/* holders.c */
	char sender[LIMIT_ADDRESS + 1], sender_fpr[FPR_LEN];
	int64_t looked_ms;		/* the last look's end, monotonic; 0 never */
};

struct groups {
	struct groups_parts parts;
	struct groups_settings settings;
	struct groups_hooks hooks;
	void *conf_ctx;			/* of settings.conf */
	struct entry *entries;
	struct timer *soon;
	bool wanted;			/* soon is set for the next turn */
	bool seeded;			/* p2pmta.conf has been taken over */
	char own[LIMIT_ADDRESS + 1];	/* groups_own(); "" none */
	bool moved;			/* hooks.moved is to come */
	uint8_t joins[JOINS_MAX][32];	/* secrets of requests that are being read: each comes by several ways */
	unsigned n_joins;
};

/* group.c */
struct entry *entry_find(const struct groups *, const char *name);
struct entry *entry_get(struct groups *, const char *name);
void entry_drop(struct entry *);
/* Who is a member, from rows and contacts; tells when that has changed. */
void entry_refresh(struct entry *);
/* Work through what is due, in a turn of its own. */
void groups_soon(struct groups *);
struct group_row *row_get(struct groups *, const void *ctx, const char *name);
/* Nothing is known of this group but that it is ours to be in; a new row below ctx. */
struct group_row *row_new(const void *ctx, const char *name, enum group_role);
void tell_user(struct groups *, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* find.c */
/* Look everywhere now: DHT, and these URLs, one per line. */
void find_look(struct entry *, const char *urls);
/* Somebody shows a signed list. */
void find_hear(struct entry *, struct bytes message);
void find_resolved(struct groups *, const char *address);
/* Is a look, or the judging of what it brought, under way? */
bool find_is_busy(const struct entry *);
void find_start(struct entry *);	/* listen */
void find_stop(struct entry *);
/* Each tick does what is due and says in how many milliseconds it wants the next one. */
int64_t find_tick(struct entry *, int64_t now_ms);

/* list.c */
void list_take(struct entry *, const struct group *, struct bytes octets);
/* The member rows of our group have changed: a new serial, then a new list. */
void list_renew(struct groups *, struct group_row *);
int64_t list_tick(struct entry *, int64_t now_ms);	/* sign, warn, look after members' URLs */
void list_publish(struct entry *);	/* what the row has; also takes it back */
void list_stop(struct entry *);
void list_resolved(struct groups *, const char *address);
/* He is no member of this group any more: what only that list vouched for is a first use. */
void list_unvouch(struct groups *, const char *address);
bool list_is_expired(const struct group_row *);

/* change.c */
/* We are not in it any more; takes over what the caller has changed in row. */
void change_out(struct groups *, struct group_row *);
/* The name of our group that is meant, below ctx; NULL with err. */
const char *change_own_name(struct groups *, const void *ctx, const char *name, struct err *);
/* Into our group; a member with this key already is fine. */
enum outcome change_add(struct groups *, struct group_row *, const char *address, const char *fpr, struct err *);

/* join.c */
void join_load(struct groups *);	/* joins that were under way */
int64_t join_tick(struct entry *, int64_t now_ms);
void join_stop(struct entry *);
/* In the list, or given up: true when there was one. */
bool join_end(struct entry *);

/* network.c */
/* An invite is from another network: keep that. False: it would part us from a group that we are in. */
bool network_take(struct groups *, const struct invite *, struct err *);
/* No group is left that needs it: the configured one counts again. */
void network_settle(struct groups *);
void network_tick(struct groups *);
/* Where a node that knows nobody may start: our own first; fills at most max, below ctx. */
size_t network_bootstrap(struct groups *, const void *ctx, const char **out, size_t max);
uint32_t network_number(struct groups *);

/* holders.c */
void holders_found(struct entry *);	/* a look for a foreign group has ended */
void holders_resolved(struct groups *, const char *address);

#endif
