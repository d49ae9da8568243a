#ifndef REPLICA_STATE_H
#define REPLICA_STATE_H
/*
 * What the files of this station share:
 *	replicas.c  life, members, who is up
 *	elect.c     pure: who stands in, what a new list changes
 *	own.c       our list and notices, made when the outbox changes
 *	asked.c     what the others want to know of that
 *	held.c      pure: what a member says he holds
 *	push.c      our list to the members; who holds what; receipts they heard
 *	confirm.c   who waits for members to know of a withdrawal
 *	bring.c     what a member lacks and cannot fetch
 *	sync.c      their lists to us
 *	tell.c      these to other members, while nobody can ask us
 *	apply.c     what a list or notices object of theirs changes in the rows
 *	pull.c      what is lacking here
 *	put.c       what they bring
 *	stand.c     standing in for those who are away
 * Loop thread.
 */
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/mail/msglist.h"
#include "lib/mail/notices.h"
#include "way/replica/held.h"
#include "way/replica/replicas.h"

enum {
	CALL_MS = 10000,		/* without an octet */
	QUIET_MS = 20000,		/* the same for m' */
	LISTS_MAX = LIMIT_LIST + LIMIT_LIST / 8 + 64 * 1024,	/* a list as it travels */
	DISTRUST_MS = 3600 * 1000,
	BRING_MAX = 64,			/* messages brought between two questions what is lacking */
	LIST_FRESH_S = 24 * 3600,
};

struct bring;
struct confirm;
struct ours;
struct pulls;
struct pushes;
struct stand;
struct tell;

struct member {
	struct replicas *r;
	char address[LIMIT_ADDRESS + 1];
	char fpr[FPR_LEN];
	char *urls;
	const char *next_url;		/* the one that is tried; the next one after a failure */
	uint64_t groups, own;		/* as in struct member_fellow */
	bool ours;			/* he holds our outbox */
	struct replica_owner row;	/* its strings are below the member */
	bool has_row;
	/* Contact; monotonic. */
	int64_t heard_ms;		/* 0: not since we started */
	int64_t refused_ms;		/* nobody answered there since; 0: not so */
	int64_t up_ms;			/* heard without a pause since */
	int64_t asked_ms;		/* a request of his came to us; 0: not since we started */
	bool missed;			/* the last call to him came to nothing */
	bool away;
	int64_t distrust_ms;		/* he gave wrong octets: not asked for files until then */
	/* sync.c */
	struct timer *sync;
	struct http_transfer *list_call;
	/* What this round asks next: himself, for his token, himself with it, fellow members. */
	enum { ASK_HIMSELF, ASK_GREETING, ASK_AGAIN, ASK_OTHERS } asking;
	bool opening;			/* a list of his is on a worker */
	unsigned absences;		/* of ours, so far */
	int64_t absent_ms;		/* when the last one ended */
	bool confirmed;			/* since our last absence: he, or another member, has said what is newest */
	bool round_done;		/* everybody was asked once since then */
	bool shut_out;			/* he does not know us: we may have been removed */
	bool doubt;			/* the same of another member, in this round */
	size_t n_asked;			/* others in this round */
	bool said;			/* one of them has shown what we have, or something newer */
	bool online;			/* the DHT was there when this round began */
	bool life;			/* a host has answered in it, or refused */
	bool brought;			/* a list that counts was brought since the last round began */
	bool cut;			/* the last round found no network: that nobody answered says nothing */
	bool serving;			/* what we hold of his may be given away */
	/* push.c */
	struct http_transfer *push_call, *held_call;
	struct timer *push;
	uint64_t pushed, pushing;	/* serials of ours: that he has, that is on its way */
	uint64_t held_serial;		/* of ours that he follows, as he said last */
	int64_t push_since_ms;		/* he lacks something since; 0: nothing */
	unsigned push_tries;
	struct bring *bring;		/* NULL: nothing is being brought */
	struct tell *tell;		/* tell.c; NULL: not so far */
	/* stand.c */
	struct dht_listen *nr;
	UT_hash_handle hh;
};

struct replicas {
	struct replicas_parts parts;
	struct replicas_settings settings;
	struct replicas_table table;
	struct replicas_hooks hooks;
	struct member *members;
	struct ours *ours;
	struct pulls *pulls;
	struct stand *stand;
	struct confirm *confirms;	/* who waits for members to know of a withdrawal */
	struct timer *undone;		/* a commit failed: rows are read anew */
	struct timer *tick;		/* who is away */
	struct clock_mark ticked;
	struct timer *pace;		/* bring.c: the rate allows the next one; NULL: was not needed so far */
	struct timer *age;		/* what has expired */
	uint64_t coming;		/* octets for which room is kept: on their way to replicas/ */
	bool stopped;
};

/* replicas.c */
struct member *member_find(struct replicas *, const char *address);
size_t members_count_ours(const struct replicas *);
/* Does the other one hold this member's outbox, too? */
static inline bool member_has_fellow(const struct member *m, const struct member *other)
{
	return other != m && (other->groups & m->own) != 0;
}
/* Those of them believed up, below ctx. */
const char **members_up(const struct member *owner, const void *ctx, size_t *n_out);
/* He has shown that he is there. */
void member_heard(struct member *);
/* What came of a call: contact, or none. */
void member_answered(struct member *, const struct http_reply *);
void member_save(struct member *);
bool member_can_be_asked(const struct member *);	/* URL and token are known */

/* A request to a member; ends with done. NULL: no URL, or no token for one that needs it. */
struct member_call {
	const char *method, *path;
	bool open;			/* without authorization */
	struct bytes body;
	bool from_file;			/* the body is a file's, with the next three */
	int fd;
	uint64_t size;
	const uint8_t *digest;
	bool bulk;			/* outbox.replica_rate counts */
	const char *etag;
	uint64_t max;
	int64_t quiet_ms;
	enum http_taken (*on_octets)(void *arg, struct bytes);
	void (*done)(void *arg, const struct http_reply *);
	void *arg;
};
struct http_transfer *member_call(struct member *, const struct member_call *);
/* "/replica/ADDRESS/WHAT" as it stands in a request line; below ctx. */
char *member_path(const void *ctx, const char *owner, const char *what);

/* ours.c */
struct ours *ours_start(struct replicas *);
void ours_stop(struct ours **);
void ours_on_members(struct ours *);
void ours_on_letter(struct ours *, uint64_t letter);
void ours_reload(struct ours *);
struct bytes ours_list(const struct ours *, uint64_t *serial_out);	/* as published; borrowed */
/* Calls each for every h in our list. */
void ours_each(const struct ours *, void (*each)(void *arg, const uint8_t hash[32]), void *arg);
size_t ours_count(const struct ours *);
bool ours_has(const struct ours *, const uint8_t hash[32]);
/* A member who may still give it away, because he does not know yet that it was withdrawn; NULL: none. */
const char *ours_holdout(const struct ours *, const uint8_t hash[32]);
/* Is what was withdrawn of it in a published list? */
bool ours_is_told(const struct ours *, const uint8_t hash[32]);
/* The file in outbox/ with this of a message in our list; false: there is none. */
struct ours_file { uint8_t digest[32]; uint64_t size; };
bool ours_file(const struct ours *, const uint8_t hash[32], enum replicas_what, struct ours_file *out);
/* A member says that the recipients with these commitments got all of m' from him: {h, C_get}, all of one h. */
void ours_served(struct ours *, const uint8_t (*served)[2][32], size_t n);

/* confirm.c */
/* A member has said what he follows, or our list has changed. */
void confirm_look(struct replicas *);
void confirm_stop(struct replicas *);

/* push.c */
void push_published(struct replicas *);
/* Bring it to him now, and ask what he holds. */
void push_to(struct member *);
void push_stop(struct member *);
/* With his next round. */
void push_later(struct member *);
/* After a pause that grows. */
void push_again(struct member *);

/* bring.c; while something large is on its way more may be started */
void bring_start(struct member *, uint8_t (*hashes)[32], size_t n);
bool bring_is_running(const struct member *);
void bring_stop(struct member *);
/* Our list has changed: what is gone need not go on. */
void bring_look(struct member *);
/* sync.c */
void sync_now(struct member *);
void sync_stop(struct member *);
/* Somebody brings what may be a newer list of this owner's; done hears the HTTP status. */
void sync_take(struct member *owner, struct bytes octets, void (*done)(void *arg, unsigned status), void *arg);
/* We were not there for a while: what he may have withdrawn meanwhile is not known. */
void sync_absent(struct member *);
/* He is there again, and may know better than we do what owners who are away took back. */
void sync_returned(struct member *);
/* Nobody is believed up. */
bool members_is_alone(const struct replicas *);
bool members_heard(const struct replicas *, int64_t within_ms);	/* any of them */
/* May his replicas be served? */
void sync_judge(struct member *);

/* tell.c */
/* He is there: he hears of what he has not been told; all: of everything again. */
void tell_to(struct member *, bool all);
/* There is a newer list of this owner's here. */
void tell_changed(const struct member *owner);
void tell_stop(struct member *);

/* apply.c */
void apply_list(struct member *, const struct msglist *);
void apply_notices(struct replicas *, struct replica *, const struct notices *, const uint8_t digest[32]);
/* The table shows what the rows say. */
void apply_show(struct replicas *, const char *owner, const uint8_t hash[32]);
void apply_show_all(struct member *);
/* A recipient's row changed: the last one takes m' with it. */
void apply_maybe_done(struct replicas *, struct replica *);
/* Nobody can get it any more: m' goes, what proves receipts stays. */
void apply_end(struct replicas *, struct replica *);
/* Everything of somebody who is no member any more. */
void apply_forget(struct replicas *, const char *owner);

/* pull.c */
struct pulls *pulls_start(struct replicas *);
void pulls_stop(struct pulls **);
/* What of this owner is lacking? What nobody gave is asked for again with a round only. */
void pulls_look(struct pulls *, const char *owner);
void pulls_round(struct pulls *, struct member *owner);
/* It is not wanted any more. */
void pulls_gone(struct pulls *, const char *owner, const uint8_t hash[32]);
/* Is there room for so many octets more, beside what is here and what is coming? */
bool pulls_has_room(struct replicas *, uint64_t size);
bool pulls_has_file(struct replicas *, const uint8_t digest[32]);	/* in replicas/ */

/* A file that came, to be made durable in replicas/ and opened when it is a notices object; on a worker. */
struct keep {
	struct replicas *r;
	char owner[LIMIT_ADDRESS + 1];
	char fpr[FPR_LEN];		/* of the owner */
	uint8_t hash[32];
	enum replicas_what what;
	struct bytes octets;		/* notices, head: all of it */
	char *file;			/* body: a temporary file */
	int fd;
	uint8_t digest[32];		/* wanted */
	enum outcome res;		/* RETRY: this disk; REJECT: these octets */
	struct err err;
	struct notices *notices;
	void (*done)(struct keep *);
	void *arg;
};
/* Its own talloc context; done() is called with what came of it, then it is freed. Rows are written by then. */
void keep_submit(struct keep *);

/* stand.c */
struct stand *stand_start(struct replicas *);
void stand_stop(struct stand **);
/* Who is away, or what he left us, has changed. */
void stand_changed(struct stand *);
void stand_member_gone(struct member *);

#endif
