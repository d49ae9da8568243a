#ifndef IMAP_VIEW_H
#define IMAP_VIEW_H
/*
 * What one session believes its mailbox to be: the UIDs it has been told of,
 * by sequence number. The store moves on at once; the view follows only when
 * the RFC lets us tell the client (RFC 3501 section 7.4.1), and until then an
 * expunged message keeps its number. Loop thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/store/mailbox.h"
#include "way/imap/seqset.h"

struct imap_view {
	uint64_t mailbox;		/* id */
	bool read_only;
	bool no_recent;			/* IMAP4rev2 has no \Recent */
	const uint32_t *uids;		/* ascending; sequence number = index + 1 */
	size_t n;
	uint32_t *own;			/* uids, or NULL: the store's, which others see, too */
	size_t own_size;
	uint32_t *recent;		/* UIDs that are \Recent to this session, ascending */
	size_t n_recent, recent_size;
	uint32_t *saved;		/* UIDs "$" stands for (RFC 5182), ascending */
	size_t n_saved;
	uint64_t modseq;		/* flags up to here were told, or asked for */
	uint64_t told_keywords;		/* named in a FLAGS response */
	bool has_expunged, has_changed, has_added;
	bool told_aside;		/* news came along with an answer since it last idled */
};

/* The mailbox as it is now; takes its \Recent unless read_only; recent: and has them. */
struct imap_view *imap_view_new(const void *ctx, struct store *, struct mailbox *, bool read_only, bool recent);
/* From now on without \Recent. */
void imap_view_forget_recent(struct imap_view *);
/* The rest of the mailbox, new since; how many. */
size_t imap_view_grow(struct imap_view *, struct store *, struct mailbox *);
/* Without what the mailbox has no more: the first ones of it are left, since the view had all up to its last UID. */
void imap_view_shrink(struct imap_view *, struct mailbox *);

/* Index of a uid; n when it is not in the view. */
size_t imap_view_index(const struct imap_view *, uint32_t uid);
/* First index with this uid or a higher one. */
size_t imap_view_lower(const struct imap_view *, uint32_t uid);
bool imap_view_is_recent(const struct imap_view *, uint32_t uid);
/* Flags as this session sees them. */
uint32_t imap_view_flags(const struct imap_view *, const struct message *);

/* A span of indices: [from, to). */
struct imap_span { size_t from, to; };
/*
 * What a set names, ascending; below ctx. Sequence numbers beyond the view
 * are an error (-1), UIDs that are not there are not.
 */
int imap_view_resolve(const void *ctx, const struct imap_view *, struct imap_seqset *, bool uids,
    struct imap_span **spans_out, size_t *n_out);

/* The same for "$". */
void imap_view_resolve_saved(const void *ctx, const struct imap_view *, struct imap_span **spans_out, size_t *n_out);

/* Walk of spans that may pause between messages. */
struct imap_walk {
	const struct imap_span *spans;
	size_t n, span, at;
};
/* Next index; false at the end. */
bool imap_walk_next(struct imap_walk *, size_t *index_out);

#endif
