#ifndef GROUP_GROUP_H
#define GROUP_GROUP_H
/*
 * Groups (p2pmta-protocol(7), section 8): who may keep messages for whom. A
 * master says who is in his group (group/1), signed; this station makes and
 * publishes the lists of our own groups, follows those of the groups that we
 * are in, looks up those of senders when it is asked to, and takes people in
 * by invite. A list counts only when the pinned master signed it, and only
 * when it is newer than the last one. Loop thread; gpg runs on workers.
 *
 * Rows are in state.db (lib/store/group.h); what a function here has changed
 * is durable when the caller's store_when_durable() says so, and a new list
 * leaves this peer after that.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/base/limits.h"
#include "lib/dht/dht.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/loop/pool.h"
#include "lib/pgp/pgp.h"
#include "lib/store/group.h"

/* Borrowed; outlive the station. */
struct groups_parts {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct pgp *pgp;
	struct dht *dht;
	struct http_client *http;
};

/* A group section of p2pmta.conf. */
struct groups_conf {
	const char *name, *master;
	const char *key;		/* the master's fingerprint; "" it is ourselves */
	const char *const *members;	/* counts when the master is ourselves */
	size_t n_members;
};

/* Copied. */
struct groups_settings {
	const char *address;
	const char *const *urls;	/* base URLs of our outbox */
	size_t n_urls;
	uint32_t network;		/* as configured; a join may have brought another one */
	const char *const *bootstrap;
	size_t n_bootstrap;
	const struct groups_conf *conf;
	size_t n_conf;
};

struct groups_hooks {
	/*
	 * Members of a group of ours came, went, or are found elsewhere; we are in or out of it; its list has expired. Ask
	 * groups_members() and groups_own() anew. Comes in a turn of its own.
	 */
	void (*changed)(void *arg, const char *group);
	/* The newest list of a group of ours, as it is to be served; empty: none any more. */
	void (*published)(void *arg, const char *group, struct bytes descriptor);
	/* More holders of this sender's messages, of the group he names, are known: groups_holders() again. */
	void (*holders)(void *arg, const char *sender, const char *group);
	/* Find this address's key and URLs; ends with groups_on_resolved(), never from inside. */
	void (*resolve)(void *arg, const char *address, bool fresh);
	/* The list says that this is the address's key: pin it. False: another one is pinned; the user is told. */
	bool (*vouch)(void *arg, const char *address, const char *fpr);
	/* A message for the user. */
	void (*tell)(void *arg, const char *subject, const char *text);
	/* A join brought another DHT network; its row is written (store_network_find). Move there. */
	void (*moved)(void *arg);
	void *arg;
};

struct groups;

struct groups *groups_start(const struct groups_parts *, const struct groups_settings *, const struct groups_hooks *);
void groups_stop(struct groups **);
/* p2pmta.conf was read anew. */
void groups_set(struct groups *, const struct groups_conf *, size_t n);

/* Hooks of others. A key that the user has chosen or forgotten is told as resolved, too. */
void groups_on_resolved(struct groups *, const char *address, enum outcome);
/* An ns value of kind 2 (somebody wants to join), unchecked. */
void groups_on_join(struct groups *, struct bytes value);

/* For stations that work with fellow members. */

/* The groups in which we count at this moment: a list that holds, which names us with our key. By name; below ctx. */
const char **groups_names(struct groups *, const void *ctx, size_t *n_out);
/*
 * The one of these that our descriptor and our notices name, so that receivers find our holders: the one our address is
 * in, else the first by name. NULL: none. Borrowed until hooks.changed.
 */
const char *groups_own(const struct groups *);

struct groups_member {
	const char *address;
	const char *fpr;		/* by the master's list, and no other one is pinned */
	const char *urls;		/* of his outbox, one per line; "" cannot be reached, or not known (yet) */
	bool is_self, is_master;
};
/* Of a group in which we count, ourselves included, by address; below ctx. None for another group. */
struct groups_member *groups_members(struct groups *, const void *ctx, const char *group, size_t *n_out);
/* Is he in one of our groups, and not we ourselves? Then private addresses may be used (section 7). */
bool groups_is_fellow(const struct groups *, const char *address);

/* The receiver's side. */

struct groups_sender {
	const char *address;
	const char *fpr;		/* pinned */
	const char *urls;		/* his, one per line; "" none */
	const char *group;		/* that he names */
};
struct groups_holder {
	const char *address;
	const char *urls;		/* of his outbox, one per line; never "" */
	bool is_fellow;			/* of ours: private addresses may be used */
};
/*
 * Others who may hold this sender's messages, as far as it is known now: members of his group, without him and without
 * ourselves; below ctx. look: this is no stranger's doing, so the network may be asked for more; what comes of it is told
 * by hooks.holders(sender). *more_out (may be NULL): that is under way. Asking again meanwhile does nothing, nor soon after.
 */
struct groups_holder *groups_holders(struct groups *, const void *ctx, const struct groups_sender *, bool look, size_t *n_out,
    bool *more_out);

enum { GROUPS_NODES_MAX = LIMIT_URLS };	/* bootstrap nodes that a join brings */
/* The DHT network that a join brought, below ctx; NULL: the configured one counts. Needs no station. */
struct network_row *groups_network(struct store *, const void *ctx, uint32_t configured);

/* p2pmta-ctl group. What REJECT says is for people. name NULL: the only one whose master we are, or that of our address. */

enum outcome groups_create(struct groups *, const char *name, struct err *);
enum outcome groups_add(struct groups *, const char *name, const char *address, const char *fpr, struct err *);
enum outcome groups_remove(struct groups *, const char *name, const char *address, struct err *);
enum outcome groups_leave(struct groups *, const char *name, struct err *);
/* A text for one who is to join, good once, for 24 hours; below ctx. NULL with err. */
char *groups_invite(struct groups *, const void *ctx, const char *name, const char **group_out, int64_t *expires_out, struct err *);
/* Ask to be taken in. OK: the request is written, goes out until it is granted or expires, and hooks.changed tells. */
enum outcome groups_join(struct groups *, const void *ctx, const char *invite, const char **group_out, struct err *);

/* How it is with a group, for people: what is not as it should be goes on by itself. */
enum groups_state {
	GROUPS_MASTER,		/* ours; the list is published */
	GROUPS_SIGNING,		/* ours; a new list is on its way */
	GROUPS_MEMBER,		/* we are in the list */
	GROUPS_JOINING,		/* asked, not in the list yet */
	GROUPS_WAITING,		/* no list yet, or we are not in it */
	GROUPS_EXPIRED,		/* the list is too old; its master has to be back */
	GROUPS_CONFLICT,	/* another key than the pinned one is in sight for its master's address */
};
const char *groups_state_name(enum groups_state);

struct groups_shown {
	const char *name;
	enum groups_state state;
	const char *master, *fpr;
	uint64_t serial;
	int64_t issued_s, expires_s;	/* of the list; 0 none */
	const char *reason;		/* what is waited for, or what to do; "" nothing */
	struct groups_shown_member {
		const char *address, *fpr;	/* fpr "": looked for */
		bool is_self, is_master, conflict;
		int64_t last_seen_s;
		bool reachable;		/* we know a URL */
	} *members;
	size_t n_members, n_invites;	/* open ones */
};
/* Groups that we are in or wait for; below ctx. */
struct groups_shown *groups_show(struct groups *, const void *ctx, size_t *n_out);
/* Is this the state of a group that we asked to join; GROUPS_MEMBER when that is granted. */
bool groups_is_in(const struct groups *, const char *name);

#endif
