#ifndef DHT_DHT_H
#define DHT_DHT_H
/*
 * The DHT as the paper uses it: put, get, listen, renew (p2pmta-protocol(7), section
 * 4). A hint, never an authority. Loop thread; OpenDHT's own threads copy
 * octets and post them through the door. Values from others are bounded
 * (LIMIT_DHT_VALUE) and dropped when the door is full: poll again.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/err.h"
#include "lib/loop/loop.h"

struct dht;

enum { DHT_HASH_LEN = 20 };

/* Where in the DHT a key lies: OpenDHT's infohash. Pure; any thread. */
void dht_key_hash(const char *key, uint8_t out[DHT_HASH_LEN]);

struct dht_settings {
	unsigned port;			/* 0: any */
	const char *const *bootstrap;	/* "HOST:PORT" or "[V6]:PORT" */
	size_t n_bootstrap;
	uint32_t network;
	bool discovery;			/* find nodes in the LAN */
	/* The file that keeps the node's id; made when it is missing or damaged. NULL: another id each time. */
	const char *id_path;
};

/* Early in the life of the process: OpenDHT uses select(), so its sockets must be among the first 1,024 descriptors. */
struct dht *dht_new(struct loop *, const struct dht_settings *, struct err *);
/*
 * Stops all puts, listens and gets (their handles are gone with it, nothing is called any more). Waits up to 2 s
 * for puts that were sent and that nobody has stored yet. Not from a callback of this folder.
 */
void dht_free(struct dht **);

/*
 * Into another network, on the same node: what is put and listened to goes along, gets end without more. Waits for
 * OpenDHT's threads. False with err: there is no network any more, the process has to end. Not from a callback of this folder.
 */
bool dht_move(struct dht *, const struct dht_settings *, struct err *);

unsigned dht_port(const struct dht *);
/*
 * Bootstrap nodes that answered a ping lately; asks them again in the background every minute, every few seconds
 * until one answers. At least 1 when the node is ready.
 */
unsigned dht_nodes(const struct dht *);
/* Has the node anybody to talk to (a node answered or came to us)? */
bool dht_is_ready(const struct dht *);

/*
 * A permanent put: exactly these octets stay in the DHT, renewed by OpenDHT,
 * until dht_put_free(); after that storage nodes forget within ten minutes.
 * It is sent at once, or in its turn when 250 were in the last second.
 * done (may be NULL) tells whether somebody stored it, never from inside this
 * call; after a false it comes again when somebody has. What nobody stored is
 * put again by itself when a node comes. At most LIMIT_DHT_VALUE - 512 octets.
 * Own listens and gets hear it at once, also without any other node.
 */
struct dht_put;
struct dht_put *dht_put_new(struct dht *, const char *key, struct bytes value, void (*done)(void *arg, bool ok), void *arg);
/* The same, under a key of which only the hash is known. */
struct dht_put *dht_put_at_new(struct dht *, const uint8_t hash[DHT_HASH_LEN], struct bytes value,
    void (*done)(void *arg, bool ok), void *arg);
void dht_put_free(struct dht_put **);
/* Put the octets again (somebody cannot find them), in their turn. Listeners that know them hear nothing. */
void dht_put_again(struct dht_put *);

/*
 * Each value under key, as it appears; the same octets may come more than once. value is borrowed. heard is never
 * called from inside dht_listen_new(). Two listens of one key cost twice: the caller shares.
 */
struct dht_listen;
struct dht_listen *dht_listen_new(struct dht *, const char *key, void (*heard)(void *arg, struct bytes value), void *arg);
void dht_listen_free(struct dht_listen **);

/* One look: heard for each value (bounded: 256 values), then done once. Gives up after timeout_ms. */
struct dht_get;
struct dht_get *dht_get_new(struct dht *, const char *key, int64_t timeout_ms,
    void (*heard)(void *arg, struct bytes value), void (*done)(void *arg), void *arg);
/* Before done(): nothing is called any more. done() ends it by itself and frees it afterwards. */
void dht_get_free(struct dht_get **);

#endif
