#ifndef DAEMON_PARTS_H
#define DAEMON_PARTS_H
/* The parts of the daemon, shared by wiring.c and fellows.c, which ties way/replica to the others. Loop thread. */
#include "app/control/commands.h"
#include "app/courier/courier.h"
#include "app/daemon/settings.h"
#include "lib/base/penalty.h"
#include "lib/pgp/pgp.h"
#include "way/group/group.h"
#include "way/imap/imap.h"
#include "way/outbox/outbox.h"
#include "way/replica/replicas.h"

struct daemon {
	uint64_t outbox_bytes;		/* in it and coming into it, about: on_has_room() */
	int64_t outbox_counted_ms;
	const struct settings *settings;
	char fpr[FPR_LEN];
	char *own_url;
	struct store *store;
	struct pgp *pgp;
	struct clerks *clerks;		/* until pgp has taken them over */
	struct loop *loop;
	struct pool *pool;
	struct sync *sync;		/* that is under way */
	struct pool *syncer;		/* where the store waits for the disk: behind no other work */
	struct dht *dht;
	struct http_client *http;
	struct offers *offers;
	struct members *members;
	struct outbox *outbox;
	struct courier *courier;
	struct resolve *resolve;
	struct notify *notify;
	struct fetch *fetch;
	struct replicas *replicas;
	struct deliver *deliver;
	struct groups *groups;
	struct tls *tls;
	struct smtp *smtp;
	struct imap *imap;
	struct penalty penalty;		/* of failed logins, at every door */
	struct commands *commands;
	struct timer *watchdog, *again;
	struct timer *moving;		/* into another DHT network, in a turn of its own */
};

/* The hooks that concern fellow members; arg is the daemon. */
void fellows_fill_outbox(struct outbox_hooks *);
void fellows_fill_courier(struct courier_hooks *);
/* After courier and groups. */
void fellows_start(struct daemon *);

#endif
