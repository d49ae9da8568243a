#ifndef CONTROL_COMMANDS_H
#define CONTROL_COMMANDS_H
/*
 * What the daemon answers p2pmta-ctl (p2pmta-ctl(1)): the hooks of the control
 * socket over store and courier. Field names are the contract with scripts.
 * Loop thread.
 */
#include "app/control/control.h"
#include "app/courier/courier.h"
#include "lib/dht/dht.h"
#include "way/group/group.h"
#include "way/replica/replicas.h"

struct commands_parts {
	struct loop *loop;
	struct store *store;
	struct courier *courier;
	struct dht *dht;
	struct groups *groups;
	struct replicas *replicas;
	const char *address, *fpr;
	/* A new configuration is taken; OK, or REJECT with what is wrong, or what needs a restart. */
	enum outcome (*reload)(void *arg, struct err *);
	void (*stop)(void *arg);
	void *arg;
};

struct commands;

struct commands *commands_start(const struct commands_parts *, const char *socket, struct err *);
void commands_stop(struct commands **);

/* Tickets of pulls that commands asked for have this bit; an IMAP session's never. */
#define COMMANDS_TICKET ((uint64_t)1 << 63)
void commands_pull_done(struct commands *, uint64_t ticket, enum outcome, const char *text);

/* Something of this group has changed: who waits for his join may hear it. */
void commands_group_changed(struct commands *, const char *group);

#endif
