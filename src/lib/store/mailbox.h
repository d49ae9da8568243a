#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H
/*
 * Mailboxes and the messages in them. UIDs, flags and mod-sequences live in
 * RAM as arrays (this daemon is the only writer) and in state.db; the arrays
 * are loaded at the start. A mailbox and its array stay valid
 * until the next call that adds or expunges; keep ids and UIDs across waits.
 * Loop thread.
 */
#include "lib/store/content.h"

/* System flags, one bit each; keywords use the 64 bits of keywords. */
enum {
	FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16,
	FLAG_RECENT = 32,		/* nobody has selected it since it came; not stored */
};

/* In as few octets as they need: there may be a million. */
struct __attribute__((packed)) message {
	uint64_t keywords;		/* bit i: store_keyword_name(i) */
	uint32_t uid;
	uint64_t id : 40;		/* never reused */
	uint64_t content : 40;
	uint64_t size : 40;		/* RFC822.SIZE */
	uint64_t modseq : 48;
	int64_t internal_ms : 48;	/* INTERNALDATE, up to MESSAGE_MS_MAX */
	uint32_t flags : 8;
};

#define MESSAGE_MS_MAX INT64_C(140737488355000)	/* the last second that fits, in the year 6429 */

static inline int64_t message_ms(int64_t ms)
{
	return ms > MESSAGE_MS_MAX ? MESSAGE_MS_MAX : ms < -MESSAGE_MS_MAX ? -MESSAGE_MS_MAX : ms;
}

struct mailbox {
	uint64_t id;			/* never reused */
	const char *name;		/* UTF-8, '/' between levels, "INBOX" in capitals */
	const char *special;		/* "\\Sent", or several, "\\Drafts \\Sent"; NULL */
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;		/* highest */
	bool subscribed;
	struct message *messages;	/* by uid; NULL while not loaded */
	size_t n_messages;
	size_t n_unseen, n_recent;
};

/* Mailboxes that are always there, made at first start. */
enum standard { BOX_INBOX, BOX_DRAFTS, BOX_SENT, BOX_TRASH, BOX_JUNK, BOX_OUTBOX, BOX_REQUESTS, N_STANDARD };

/* Borrowed; loaded (messages set). NULL when there is none. */
struct mailbox *store_mailbox_find(struct store *, const char *name);
struct mailbox *store_mailbox_get(struct store *, uint64_t id);	/* NULL when it went */
struct mailbox *store_mailbox_standard(struct store *, enum standard);
/* All, by name; without loading. The array is below ctx, the mailboxes are borrowed. */
struct mailbox **store_mailbox_all(struct store *, const void *ctx, size_t *n_out);
/* REJECT with err: exists, is standard, name is bad or too many. */
enum outcome store_mailbox_create(struct store *, const char *name, struct err *);
/* What a new one is for (RFC 6154): as member special; before anybody has asked for it. */
void store_mailbox_set_special(struct store *, struct mailbox *, const char *special);
/* With its messages, in this turn: who expunges many of them before, in slices, asks first whether it may go. */
enum outcome store_mailbox_may_delete(struct store *, const char *name, struct err *);
enum outcome store_mailbox_delete(struct store *, const char *name, struct err *);
/* Children move along; INBOX moves its messages (RFC 3501 section 6.3.5). */
enum outcome store_mailbox_rename(struct store *, const char *from, const char *to, struct err *);
void store_mailbox_subscribe(struct store *, struct mailbox *, bool);
/* Names that are subscribed though the mailbox went, sorted; the array is below ctx. */
const char **store_subscription_all(struct store *, const void *ctx, size_t *n_out);
/* Give such a one up; false when there is none. */
bool store_subscription_drop(struct store *, const char *name);

/* Add a message: takes a reference on content; uid, id, modseq are set. size is content's; a time too far away becomes the last one. */
const struct message *store_message_add(struct store *, struct mailbox *, uint64_t content, uint32_t flags,
    uint64_t keywords, int64_t internal_ms);
/* Binary search; NULL when there is none. */
const struct message *store_message_find(const struct mailbox *, uint32_t uid);
/* The same for who goes through them: *at is where the last one was, and is moved to this one. */
const struct message *store_message_near(const struct mailbox *, uint32_t uid, size_t *at);
/* Index of the first message with this uid or a higher one; n_messages when none. */
size_t store_message_index(const struct mailbox *, uint32_t uid);
/*
 * UIDs of its messages, ascending; borrowed until the next change. Who has a talloc_reference() on the array keeps it as
 * it is now, but what lies behind the last.
 */
const uint32_t *store_message_uids(struct mailbox *);
/* Mailbox and uid of a message id; false when it went. */
bool store_message_locate(struct store *, uint64_t id, struct mailbox **box_out, uint32_t *uid_out);
/* All messages (ids, below ctx) that show this content. */
uint64_t *store_message_of_content(struct store *, const void *ctx, uint64_t content, size_t *n_out);
/*
 * One change of any number of messages of a mailbox: begin, each of them once,
 * ascending by index, then end. What changes gets one mod-sequence, and is one
 * record on disk. Nothing else is written in between.
 */
struct flag_change {
	uint32_t clear, set;		/* cleared first; FLAG_RECENT stays as it is */
	uint64_t clear_keywords, set_keywords;
};
struct changing;
struct changing *store_change_begin(struct store *, struct mailbox *, const struct flag_change *);
bool store_change_one(struct store *, struct changing *, size_t index);	/* true: that made a difference */
void store_change_end(struct store *, struct changing **);
/* The same for one message, to just these flags and keywords. */
void store_message_set_flags(struct store *, struct mailbox *, uint32_t uid, uint32_t flags, uint64_t keywords);
/* Set and clear keywords of every message that shows this content. */
void store_content_set_keywords(struct store *, uint64_t content, uint64_t set, uint64_t clear);
/* Expunge; its content is swept if this was the last reference. */
void store_message_expunge(struct store *, struct mailbox *, uint32_t uid);
void store_message_clear_recent(struct store *, struct mailbox *);

struct uid_range { uint32_t lo, hi; };
/*
 * UIDs that were expunged after this mod-sequence; ascending and apart, below
 * ctx, NULL for none. Of what was long ago more is named: UIDs that went earlier or never were, none that is there.
 */
struct uid_range *store_expunged_since(struct store *, const void *ctx, struct mailbox *, uint64_t modseq, size_t *n_out);

/* Bit of a keyword, made when missing; 0 when all LIMIT_KEYWORDS are taken or the name is no atom. */
uint64_t store_keyword(struct store *, const char *name);
const char *store_keyword_name(struct store *, unsigned bit_index);	/* NULL: unused */

/*
 * Who wants to know. Called on the loop, after RAM changed, before the commit,
 * for every change by anybody. changed: flags of some messages. expunged: content tells whose last message in
 * any mailbox that was (last). committed: what was written up to store_commit_durable() is on disk; before the
 * waiters hear. undone: the commit failed, arrays were reloaded.
 */
struct store_watcher {
	void (*added)(void *arg, struct mailbox *, const struct message *);
	void (*changed)(void *arg, struct mailbox *);
	void (*expunged)(void *arg, struct mailbox *, const struct message *was, bool last);
	void (*mailbox_gone)(void *arg, uint64_t mailbox);
	void (*committed)(void *arg);
	void (*undone)(void *arg);
	void *arg;
};
void store_watch(struct store *, const struct store_watcher *);	/* copied; any member but arg may be NULL */
void store_unwatch(struct store *, void *arg);

#endif
