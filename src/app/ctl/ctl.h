#ifndef CTL_CTL_H
#define CTL_CTL_H
/*
 * Inside of p2pmta-ctl: one command a run, exit statuses as in p2pmta-ctl(1).
 * Results go to standard output, reasons to standard error.
 */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "app/daemon/settings.h"
#include "lib/base/err.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_SILENT = 3 };

struct ctl {
	const char *file;	/* p2pmta.conf */
	bool json;
};

/* Prints "p2pmta-ctl: ..." and returns status. */
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Ask the daemon and print its answer: as it is (--json), or through show. Takes args. The exit status. */
int ctl_ask(const struct ctl *, const char *command, json_t *args, int64_t wait_ms, void (*show)(const json_t *));
/* An answer takes at most so long, as a rule. */
enum { CTL_WAIT_MS = 90 * 1000 };
/* "--word" out of argv[1]..., before a "--": was it there? */
bool ctl_take_word(int *n, char **argv, const char *word);
/* The same with what stands behind it; NULL: it is not there. An option without a value is left in argv. */
const char *ctl_take_value(int *n, char **argv, const char *word);
/* Words to a fingerprint: blanks and case do not matter. The caller's; NULL with err. */
json_t *ctl_fingerprint(int n, char **argv, struct err *);

/* ask.c: a request to the daemon at socket. Its whole answer, the caller's; NULL with err when it does not answer. Takes args. */
json_t *ask(const char *socket, const char *command, json_t *args, int64_t wait_ms, struct err *);

/* show.c: a result for people, fitting the terminal. */
void show_status(const json_t *);
void show_queue(const json_t *);
void show_letter(const json_t *);
void show_cancel(const json_t *);
void show_contacts(const json_t *);
void show_contact(const json_t *);
void show_pull(const json_t *);
void show_note(const json_t *);
const char *show_text(const json_t *object, const char *key);	/* "" when absent */
const char *show_octets(long long n, char out[32]);	/* "1.5 MiB" */

/* line.c: what a line of the terminal holds; 0: there is none, lines are whole. */
unsigned line_width(void);
unsigned line_columns(const char *);
/* To standard output with a line end, folded to the terminal; what does not fit goes on behind so many blanks. */
void line_print(unsigned hang, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Below ctx: with blanks up to so many columns; cut to so many, with "...". */
char *line_pad(const void *ctx, const char *, unsigned columns);
char *line_cut(const void *ctx, const char *, unsigned columns);

/* qr.c: text as a QR code for the terminal; false: it does not fit there. */
bool qr_print(const char *text);

/* init.c, password.c, group.c, doctor.c: argv[0] is the command. */
int init_run(struct ctl *, int argc, char **argv);
int password_run(struct ctl *, int argc, char **argv);
int group_run(struct ctl *, int argc, char **argv);
int doctor_run(struct ctl *, int argc, char **argv);
/* A new random password, below ctx. */
char *password_new(const void *ctx);
/* The first line of standard input, below ctx; NULL with err. */
char *password_read(const void *ctx, struct err *);

extern const char init_help[], password_help[], group_help[], doctor_help[];

#endif
