#ifndef MIME_DSN_H
#define MIME_DSN_H
/* Delivery status notifications (RFC 3461, 3464) and notices to the own user. Pure; any thread. */
#include <stdint.h>

#include "lib/base/bytes.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_EXPIRED };

struct dsn_rcpt {
	const char *address;
	enum dsn_action action;
	const char *status;	/* "5.4.7" */
	const char *reason;	/* a sentence */
	const char *next;	/* what happens next, a sentence */
	const char *original;	/* ORCPT of RFC 3461, "rfc822;ADDRESS"; NULL or "" none */
	int64_t retry_until_s;	/* of a delay; 0: not said */
};

struct dsn {
	const char *to;		/* the own address */
	const char *message_id;	/* of the original; In-Reply-To and References */
	const char *subject;	/* of the original */
	struct bytes header;	/* of the original: text/rfc822-headers */
	struct bytes whole;	/* the original: message/rfc822 instead; data NULL none */
	const char *envid;	/* ENVID of RFC 3461; NULL or "" none */
	int64_t submitted_s, now_s;
	const struct dsn_rcpt *rcpts;
	size_t n_rcpts;
};

/* A whole message, CRLF, below ctx. */
struct bytes dsn_compose(const void *ctx, const struct dsn *);
/* A plain text message from the daemon to its user. */
struct bytes notice_compose(const void *ctx, const char *to, const char *subject, const char *text, int64_t now_s);

#endif
