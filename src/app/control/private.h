#ifndef CONTROL_PRIVATE_H
#define CONTROL_PRIVATE_H
/* What the files behind commands.h share. */
#include <sys/queue.h>

#include "app/control/commands.h"

struct join_wait;
struct later;
struct queue;

struct commands {
	struct commands_parts parts;
	struct control *control;
	int64_t started_ms;
	LIST_HEAD(, join_wait) joins;	/* groups.c: who waits to be let in */
	LIST_HEAD(, later) laters;	/* commands.c: answers that wait */
	LIST_HEAD(, queue) queues;	/* queue.c: answers that are being written */
};

/* The answer, once what was written so far is on disk; takes result. */
void answer_when_durable(struct commands *, uint64_t request, json_t *result);

/* queue.c */
void run_queue(void *commands, uint64_t request, const json_t *args);
void queues_stop(struct commands *);

/* groups.c */
void run_group_show(void *commands, uint64_t request, const json_t *args);
void run_group_create(void *commands, uint64_t request, const json_t *args);
void run_group_add(void *commands, uint64_t request, const json_t *args);
void run_group_remove(void *commands, uint64_t request, const json_t *args);
void run_group_invite(void *commands, uint64_t request, const json_t *args);
void run_group_join(void *commands, uint64_t request, const json_t *args);
void run_group_leave(void *commands, uint64_t request, const json_t *args);
void group_joins_stop(struct commands *);

#endif
