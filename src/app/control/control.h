#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H
/*
 * The control socket: p2pmta-ctl asks here (p2pmta-ctl(1)). One JSON object a
 * line each way over a unix socket of mode 0600:
 *
 *	{"command": "cancel", "args": {"id": 12}}
 *	{"result": ...}  or  {"error": {"code": "not-found", "text": "..."}}
 *
 * The table in control.c says which commands there are and which arguments
 * each takes; a hook is called with arguments that fit its row. Whoever
 * starts the server fills the hooks, and answers each request once, from
 * inside the hook or later. Loop thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/err.h"
#include "lib/base/limits.h"
#include "lib/loop/loop.h"

enum control_command {
	CONTROL_STATUS,		/* - */
	CONTROL_QUEUE,		/* - */
	CONTROL_SHOW,		/* id: positive integer */
	CONTROL_CANCEL,		/* id: positive integer, addresses: array of normal addresses, may be absent (all) */
	CONTROL_CONTACTS,	/* - */
	CONTROL_PULL,		/* uid: positive integer (of INBOX); absent: all */
	CONTROL_VERIFY,		/* address; fpr: 40 upper-case hex, may be absent (the pinned one) */
	CONTROL_FORGET,		/* address */
	CONTROL_GROUP_SHOW,	/* group: name, may be absent (all) */
	CONTROL_GROUP_CREATE,	/* group */
	CONTROL_GROUP_ADD,	/* address, fpr; group: may be absent (the only one whose master we are) */
	CONTROL_GROUP_REMOVE,	/* address; group: as before */
	CONTROL_GROUP_INVITE,	/* group: as before */
	CONTROL_GROUP_JOIN,	/* token: text; wait: seconds until an answer is given in any case, 0 and absent: at once */
	CONTROL_GROUP_LEAVE,	/* group */
	CONTROL_TRACE,		/* what: array of "smtp", "imap", "http", "dht"; on: boolean */
	CONTROL_RELOAD,		/* - */
	CONTROL_STOP,		/* - */
	N_CONTROL,
};

/* "status", ...; and back, -1 for none of them. */
const char *control_command_name(enum control_command);
int control_command_parse(const char *);

/* Why not. p2pmta-ctl exits 2 on usage and 1 on the others. */
enum control_code {
	CONTROL_REFUSED,	/* "refused" */
	CONTROL_NOT_FOUND,	/* "not-found" */
	CONTROL_USAGE,		/* "usage" */
};
const char *control_code_name(enum control_code);

struct control_hooks {
	/*
	 * request is never used again. args is borrowed for the call and holds
	 * what the row of the command says. A NULL hook refuses its command.
	 */
	void (*run[N_CONTROL])(void *arg, uint64_t request, const json_t *args);
	void *arg;
};

struct control;

/* A socket that nobody answers on is replaced. NULL with err. */
struct control *control_start(struct loop *, const char *socket, const struct control_hooks *, struct err *);
void control_stop(struct control **);

/* Result of a request; takes it. Dropped when the asker has gone. */
void control_answer(struct control *, uint64_t request, json_t *);
/*
 * A long result, an array, item by item: takes it; NULL: that was all, and the request is answered. Each is written
 * at once. False: the asker has gone, and nothing more need be said.
 */
bool control_answer_item(struct control *, uint64_t request, json_t *);
/* A result, then sent(arg) once: when it is out, the asker has gone, or a second has passed. For `stop`. */
void control_answer_last(struct control *, uint64_t request, json_t *, void (*sent)(void *arg), void *arg);
/* No result: text is one sentence for people. */
void control_refuse(struct control *, uint64_t request, enum control_code, const char *text);
/* Text of unknown origin as a JSON string: what is not UTF-8 becomes '?'. NULL becomes "". */
json_t *control_text(const char *);

/*
 * One request line (without its line end) to command and args, checked
 * against the table. Pure. The object is the caller's; NULL with err.
 */
json_t *control_request_parse(const char *line, size_t len, enum control_command *command_out, struct err *);

#endif
