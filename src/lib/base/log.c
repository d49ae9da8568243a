/*
 * Every line leaves in one write(), so lines of several threads never mix, and
 * is clean text whatever was formatted into it: a peer cannot forge a second
 * line. Below systemd the priority goes in front ("<4>"), elsewhere the time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { LINE_MAX_LEN = 1024 };

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERR] = { "err", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warn", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* for the three below */
static int log_fd = STDERR_FILENO;
static bool to_syslog;
static bool journal;

static _Atomic int max_level = LOG_LEVEL_INFO;
static atomic_uint n_warnings;
static atomic_uint trace_mask;

static void close_locked(void)
{
	if (log_fd != STDERR_FILENO)
		close(log_fd);
	if (to_syslog)
		closelog();
	log_fd = STDERR_FILENO;
	to_syslog = false;
	journal = false;
}

int log_open(const char *to, enum log_level level)
{
	bool is_stderr = strcmp(to, "stderr") == 0, is_syslog = strcmp(to, "syslog") == 0;
	int fd = STDERR_FILENO;

	if (!is_stderr && !is_syslog) {
		fd = open(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0)
			return -1;
	}
	pthread_mutex_lock(&lock);
	close_locked();
	log_fd = fd;
	to_syslog = is_syslog;
	journal = is_stderr && getenv("JOURNAL_STREAM") != NULL;
	if (is_syslog)
		openlog(NULL, LOG_PID, LOG_MAIL);
	pthread_mutex_unlock(&lock);
	atomic_store(&max_level, (int)level);
	return 0;
}

void log_close(void)
{
	pthread_mutex_lock(&lock);
	close_locked();
	pthread_mutex_unlock(&lock);
}

int log_level_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void put_line(enum log_level level, const char *text)
{
	char line[LINE_MAX_LEN + 64], now[CLOCK_TEXT];
	int n;

	pthread_mutex_lock(&lock);
	if (to_syslog) {
		syslog(levels[level].priority, "%s", text);
		goto out;
	}
	if (journal) {
		n = snprintf(line, sizeof(line), "<%d>%s\n", levels[level].priority, text);
	} else {
		clock_print(clock_now_s(), now);
		n = snprintf(line, sizeof(line), "%s %s %s\n", now, levels[level].name, text);
	}
	/* Nobody to tell when the log itself cannot be written. */
	if (n > 0 && write(log_fd, line, (size_t)n) < 0)
		errno = 0;
out:
	pthread_mutex_unlock(&lock);
}

static void log_any(enum log_level level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void log_any(enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_LEN];
	int saved = errno;

	if (level <= LOG_LEVEL_WARN)
		atomic_fetch_add(&n_warnings, 1);
	if ((int)level > atomic_load(&max_level))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	put_line(level, text);
	errno = saved;
}

#define LOG_FUNCTION(name, level) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
		va_start(ap, fmt); \
		log_any(level, fmt, ap); \
		va_end(ap); \
	}

LOG_FUNCTION(log_err, LOG_LEVEL_ERR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

/* Octets of the well-formed UTF-8 character here (RFC 3629), or 0. */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	if (s[0] < 0x80)
		return 1;
	size_t n = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||	/* long form, surrogate */
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool is_clean(const unsigned char *s, size_t n)
{
	if (n == 1)
		return *s >= ' ' && *s != 0x7f && *s != '"' && *s != '\'' && *s != '\\';
	return n > 1 && !(s[0] == 0xc2 && s[1] < 0xa0);		/* U+0080 to U+009F are control characters */
}

const char *log_escape(char *dst, size_t size, const char *src, size_t len)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_char(s + i, len - i);
		bool clean = is_clean(s + i, n);

		if (used + (clean ? n : 4) >= size)
			break;
		if (clean) {
			memcpy(dst + used, s + i, n);
			used += n;
			i += n;
		} else {
			used += (size_t)snprintf(dst + used, 5, "\\x%02X", s[i]);
			i++;
		}
	}
	if (size > 0)
		dst[used] = '\0';
	return dst;
}

void trace_set(unsigned mask)
{
	atomic_store(&trace_mask, mask);
}

unsigned trace_get(void)
{
	return atomic_load(&trace_mask);
}

static const char *trace_name(enum trace t)
{
	switch (t) {
	case TRACE_SMTP: return "smtp";
	case TRACE_IMAP: return "imap";
	case TRACE_HTTP: return "http";
	case TRACE_DHT: return "dht";
	}
	return "?";
}

/* A line of trace for each line of data; traces were asked for, whatever the level. */
void trace_line(enum trace t, unsigned long id, char dir, const char *data, size_t len)
{
	char text[LINE_MAX_LEN], clean[LINE_MAX_LEN - 64];

	if (!(trace_get() & t))
		return;
	do {
		const char *nl = memchr(data, '\n', len);
		size_t n = nl != NULL ? (size_t)(nl - data) : len;
		size_t skip = nl != NULL ? n + 1 : n;

		if (nl != NULL && n > 0 && data[n - 1] == '\r')
			n--;
		log_escape(clean, sizeof(clean), data, n);
		snprintf(text, sizeof(text), "trace=%s id=%lu %c %s", trace_name(t), id, dir, clean);
		put_line(LOG_LEVEL_DEBUG, text);
		data += skip;
		len -= skip;
	} while (len > 0);
}

unsigned log_take_warnings(void)
{
	return atomic_exchange(&n_warnings, 0);
}
