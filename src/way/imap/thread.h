#ifndef IMAP_THREAD_H
#define IMAP_THREAD_H
/* THREAD=REFERENCES (RFC 5256 section 3): messages to trees. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct imap_thread_message {
	uint32_t number;
	int64_t date;
	const char *id;			/* NULL: none */
	const char **refs;		/* oldest first */
	size_t n_refs;
	const char *subject;		/* its base */
	bool is_reply;
};

/* The ids in a Message-ID, References or In-Reply-To value: the last max of them; below ctx. */
const char **imap_thread_ids(const void *ctx, const char *value, size_t max, size_t *n_out);
/* "(1 2)(3 (4)(5))" */
void imap_thread_print(struct buf *, const struct imap_thread_message *, size_t n);

#endif
