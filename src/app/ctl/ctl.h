#ifndef CTL_CTL_H
#define CTL_CTL_H
/*
 * Inside of p2pmta-ctl: one command a run, exit statuses as in p2pmta-ctl(1).
 * Results go to standard output, reasons to standard error.
 */
#include <stdbool.h>

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

/* ask.c: a request to the daemon at socket. Its whole answer, the caller's; NULL with err when it does not answer. Takes args. */
json_t *ask(const char *socket, const char *command, json_t *args, struct err *);

/* show.c: a result for people, fitting the terminal. */
void show_status(const json_t *);
void show_queue(const json_t *);
void show_letter(const json_t *);
void show_cancel(const json_t *);
void show_contacts(const json_t *);
void show_contact(const json_t *);
void show_pull(const json_t *);
void show_note(const json_t *);

/* line.c: what a line of the terminal holds; 0: there is none, lines are whole. */
unsigned line_width(void);
unsigned line_columns(const char *);
/* To standard output with a line end, folded to the terminal; what does not fit goes on behind so many blanks. */
void line_print(unsigned hang, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Below ctx: with blanks up to so many columns; cut to so many, with "...". */
char *line_pad(const void *ctx, const char *, unsigned columns);
char *line_cut(const void *ctx, const char *, unsigned columns);

/* init.c, password.c: argv[0] is the command. */
int init_run(struct ctl *, int argc, char **argv);
int password_run(struct ctl *, int argc, char **argv);
/* A new random password, below ctx. */
char *password_new(const void *ctx);
/* The first line of standard input, below ctx; NULL with err. */
char *password_read(const void *ctx, struct err *);

extern const char init_help[], password_help[];

#endif
