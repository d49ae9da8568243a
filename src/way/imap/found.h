#ifndef IMAP_FOUND_H
#define IMAP_FOUND_H
/* What SEARCH, SORT and THREAD have in common: keys, and the messages they find. Loop thread. */
#include "way/imap/session.h"

struct imap_found {
	uint32_t number, uid;		/* number: as the client counts, a sequence number or UID */
	uint64_t modseq;
};

/*
 * Tries the keys on the selected mailbox, then calls done with what was found,
 * ascending, below the command. cmd->state is the search's until then. charset
 * may be NULL. What is no search is answered here. by_modseq: the answer tells
 * the highest mod-sequence. arg is the caller's.
 */
struct imap_search {
	const struct imap_arg *keys;
	size_t n_keys;
	const char *charset;
	void (*done)(struct imap_session *, void *arg, struct imap_found *, size_t n, bool by_modseq);
	void *arg;
};
void imap_search_run(struct imap_session *, const struct imap_search *);
/* The header block at the front of a skeleton. */
struct bytes imap_header_of(struct bytes skeleton);

#endif
