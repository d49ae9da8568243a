#ifndef TESTS_SMTP_HOST_H
#define TESTS_SMTP_HOST_H
/*
 * The SMTP server of the session's tests, on the real loop, pool and disk, and
 * its client over a socket pair; the hooks are ours. A dialogue is a list of
 * steps: "C text" is sent with CRLF, "R octets" as it stands, "S prefix" waits
 * for an answer's last line, "E" for the end of the connection, "P password"
 * answers a SCRAM challenge. Longer ones, and those that say what is hostile
 * about them, are in tests/scenes/smtp-*.scene (see its README).
 */
#include <check.h>

#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "way/smtp/session.h"

/* "\0alice\0secret", "alice", "secret", "alice@home", "wrong" */
#define PLAIN "AGFsaWNlAHNlY3JldA=="
#define USER "YWxpY2U="
#define PASSWORD "c2VjcmV0"
#define ADDRESS "YWxpY2VAaG9tZQ=="
#define WRONG "d3Jvbmc="
#define SCRAM "biwsbj1hbGljZSxyPWFiYw=="	/* n,,n=alice,r=abc */

#define LOGIN "S 220 home ESMTP", "C EHLO x", "S 250 ", "C AUTH PLAIN " PLAIN, "S 235 2.7.0"
#define ENVELOPE "C MAIL FROM:<alice@home>", "S 250 2.1.0", "C RCPT TO:<bob@home>", "S 250 2.1.5"

#define PLAY(name, ...) play(name, (const char *const[]){ __VA_ARGS__, NULL })
#define MAIL ENVELOPE, "C DATA", "S 354 ", "R From: alice@home\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

enum answer { ANSWER_NOW, ANSWER_LATER, ANSWER_NEVER };

extern struct peer {
	void *ctx;
	struct loop *loop;
	struct pool *pool;
	struct smtp *smtp;
	char dir[32];

	/* The hooks. */
	enum answer answer;
	enum outcome outcome;
	struct timer *later;
	uint64_t ticket;
	bool has_quota;
	uint64_t room;		/* of the outbox, with has_quota */
	unsigned n_submitted;
	uint8_t digest[DIGEST_LEN];
	uint64_t size;
	struct bytes octets;	/* data NULL: in the spool */
	char *sender, *message_id, *subject, *recipients, *envid;
	enum smtp_ret ret;

	/* The client. */
	int fd;
	struct watch *watch;
	const char *const *step;
	const char *scene;
	struct buf *out;
	size_t sent;
	char in[16384], last[1024];
	size_t n_in;
	bool is_over;
} p;

/* For smtp_start(), 0: the usual. */
extern struct patience { int64_t idle_ms, login_ms, line_ms, data_ms; } p_patience;

/* The server; host_setup() listens nowhere. */
void host_start(const char *const *listen, size_t n_listen);
void host_setup(void);
void host_teardown(void);

/* The client. */
void host_call(void);
void host_call_port(void);
int host_dial(void);
void host_hang_up(void);
/* Calls when nobody has; returns when the steps are done, or the connection is. */
void play(const char *name, const char *const *steps);
/* "R before xxx... after". */
char *repeat(const char *before, size_t n, const char *after);

/* Turn until there are so many sessions and no job, or were more than n_ever in all; one turn. */
void wait_until(size_t n, size_t n_ever);
void wait_for_sessions(size_t n);
void turn(void);

/* What was submitted last, read back from the spool. */
char *spooled(void);
unsigned count_files(const char *path, bool drop);

/* Dialogues of tests/scenes; load them before the suite runs. */
enum { SCENE_MAX = 200 };
extern struct scene_file { const char *name; const char **steps; size_t n; } scene_files[SCENE_MAX];
extern int n_scene_files;
void scenes_load(void);
/* "U text" is what "R text" is before its escapes are resolved, "X N text" the same N times. */
void scene_send(struct buf *out, const char *step);

#endif
