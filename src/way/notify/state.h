#ifndef NOTIFY_STATE_H
#define NOTIFY_STATE_H
/* The station's own state, shared by its files: notify.c (life, making), send.c (out), hear.c (in). */
#include <uthash.h>

#include "way/notify/notify.h"

struct sending;
struct hearing;

struct notify {
	struct notify_parts parts;
	struct notify_settings settings;
	struct notify_hooks hooks;
	struct sending *sendings;	/* send.c */
	struct hearing *hearing;	/* hear.c */
};

void send_stop(struct notify *);
void hear_start(struct notify *);
void hear_stop(struct notify *);

#endif
