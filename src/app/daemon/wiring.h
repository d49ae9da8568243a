#ifndef DAEMON_WIRING_H
#define DAEMON_WIRING_H
/*
 * All stations, tied together: who calls whom, in which order they start and
 * stop. Stations do not see each other; their hooks are filled here.
 */
#include "app/daemon/settings.h"

struct daemon;

/* Opens the state and starts everything but the loop. NULL with err. settings outlive it. */
struct daemon *daemon_new(const struct settings *, struct err *);
/* Turns until SIGTERM, SIGINT or `p2pmta-ctl stop`. */
void daemon_run(struct daemon *);
/* Orderly: sessions are told, running work ends, the state is committed. */
void daemon_free(struct daemon **);

#endif
