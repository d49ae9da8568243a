#ifndef DAEMON_SETTINGS_VALUE_H
#define DAEMON_SETTINGS_VALUE_H
/* p2pmta.conf as text: values, what they mean, and comments. Pure; any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "1G": octets, with K, M, G; "30d": seconds, with s, m, h, d. -1 for anything else, and for what does not fit. */
int value_size(const char *, uint64_t *out);
int value_duration(const char *, uint64_t *s_out);
int value_number(const char *, uint64_t *out);
int value_bool(const char *, bool *out);
/* The place of a word in "off starttls always"; -1 when it is none of them. */
int value_word(const char *, const char *words);
/* "HOST:PORT", "[V6]:PORT"; with unix, "unix:PATH" too. Port 0 only with any_port. */
bool value_is_hostport(const char *, bool any_port);
/* "http://HOST[:PORT][/PATH]" or https, at most LIMIT_URL octets. */
bool value_is_url(const char *);
bool value_is_fpr(const char *);

/*
 * Comments (#, and where a word could begin //, and from slash-star to
 * star-slash) become spaces, line ends stay: libConfuse miscounts lines behind
 * comments. 0, or the line of a comment that does not end.
 */
int value_blank_comments(char *text);

#endif
