#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * One line = one event: `letter=12 state=sealed ms=41`, id first. Any thread.
 * Never bodies, subjects, passwords or keys. Text from other peers or clients
 * goes through log_escape(). A line is cut at 1 KiB.
 */
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERR,		/* a person must act */
	LOG_LEVEL_WARN,		/* odd but handled */
	LOG_LEVEL_INFO,		/* one per session and per state change */
	LOG_LEVEL_DEBUG,	/* for us */
};

/* to: "stderr", "syslog" or a file name, appended to and made 0600. 0 or -1 with errno. */
int log_open(const char *to, enum log_level);
void log_close(void);

/* "err", "warn", "info", "debug" to the level; -1 if it is none of them. */
int log_level_parse(const char *);

void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* src with control characters, quotes and invalid UTF-8 as \xNN, cut to fit; returns dst. */
const char *log_escape(char *dst, size_t size, const char *src, size_t len);

/*
 * Protocol traces, switched at run time (p2pmta-ctl trace). The caller masks
 * secrets before it calls. dir: '<' from outside, '>' to outside.
 */
enum trace { TRACE_SMTP = 1, TRACE_IMAP = 2, TRACE_HTTP = 4, TRACE_DHT = 8 };
void trace_set(unsigned mask);
unsigned trace_get(void);
void trace_line(enum trace, unsigned long id, char dir, const char *data, size_t len);

/* Tests: counts of err and warn lines since the last call. */
unsigned log_take_warnings(void);

#endif
