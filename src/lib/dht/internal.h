#ifndef DHT_INTERNAL_H
#define DHT_INTERNAL_H
/*
 * What dht.c, hook.c, ops.c and nodes.c share. Loop thread, except for the
 * fields of a hook that say otherwise.
 *
 * A hook is what OpenDHT gets as user_data. It belongs to the loop, is made
 * there and freed there; OpenDHT's thread only reads it and counts what it
 * sent. It goes when three things are true: OpenDHT has said that it is over,
 * every post that it sent has arrived, and nothing of ours is on its way to it.
 * What OpenDHT never says good-bye to (a cancelled put, a stopped runner) goes
 * with the runner.
 */
#include <opendht/opendht_c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "lib/dht/dht.h"
#include "lib/loop/door.h"

struct hook;

/* What the owner of a hook wants to know; all on the loop. */
struct hook_type {
	void (*on_value)(void *owner, struct bytes);	/* NULL: values are not expected */
	void (*on_over)(void *owner, bool ok);		/* nothing comes after it */
	unsigned max_values;				/* 0: no end */
	bool counted;					/* dht_free() waits for these a while */
};

struct hook {
	const struct hook_type *type;
	struct dht *dht;
	void *owner;			/* NULL: gone, nobody listens any more */
	LIST_ENTRY(hook) entry;
	unsigned n_seen;		/* posts that arrived */
	unsigned n_total;		/* posts that were sent, known when over */
	unsigned n_echoes;		/* our own values on their way */
	bool over, ok;
	bool busy;			/* a callback of the owner runs */

	/* OpenDHT's thread */
	unsigned n_sent, n_values;
	atomic_bool deaf;		/* written by the loop: spare the copies */
};

/* The id in this file, or a new one that is in it from now on (node_id.c). */
dht_infohash node_id(const char *path);

struct dht_nodes;

/* A node of OpenDHT drops what exceeds 1,024 requests a second from one address; a put of a new key asks it four times. */
enum { PUTS_MAX = 250, PUTS_MS = 1000 };

struct dht {
	struct loop *loop;
	dht_runner *runner;
	struct door *values;		/* what strangers say: bounded */
	struct door *own;		/* ends of our own operations: as many as we began */
	struct dht_nodes *nodes;
	LIST_HEAD(hook_list, hook) hooks;
	TAILQ_HEAD(put_queue, dht_put) puts;	/* oldest first */
	struct put_queue fresh, repeats;	/* those that wait for their turn: never more than PUTS_MAX in PUTS_MS */
	struct timer *turn;
	int64_t put_ms[PUTS_MAX];	/* when the last ones were sent; a ring */
	size_t n_sent;
	LIST_HEAD(listen_list, dht_listen) listens;
	LIST_HEAD(get_list, dht_get) gets;
	atomic_size_t octets;		/* waiting in the door of values */

	pthread_mutex_t lock;		/* for n_putting */
	pthread_cond_t put_ended;
	unsigned n_putting;		/* counted hooks that are not over */
};

/* hook.c */
struct hook *hook_new(struct dht *, const struct hook_type *, void *owner);
/* The owner goes; the hook follows when it can. Clears the pointer. */
void hook_leave(struct hook **);
/* One of our own values to the owner, next turn. */
void hook_echo(struct hook *, struct bytes);
bool hook_on_value_dht(const dht_value *, void *hook);
bool hook_on_listen_dht(const dht_value *, bool expired, void *hook);
void hook_on_done_dht(bool ok, void *hook);
void hook_on_shutdown_dht(void *hook);

/* ops.c */
void ops_init(struct dht *);
void ops_put_again(struct dht *);	/* what nobody stored yet */
bool ops_putting(const struct dht *);	/* is a put under way that somebody wants? */
/* The runner is another one, and all hooks are gone: begin anew. !alive: there is none. */
void ops_moved(struct dht *, bool alive);
void ops_free_all(struct dht *);	/* after the runner is gone */

/* nodes.c */
struct dht_nodes *nodes_new(struct dht *, const struct dht_settings *, struct err *);
void nodes_free(struct dht_nodes **);
void nodes_answered(struct dht_nodes *);	/* somebody did something for us */
void nodes_silent(struct dht_nodes *);		/* nobody did: look around now */
unsigned nodes_count(const struct dht_nodes *);
bool nodes_ready(const struct dht_nodes *);

#endif
