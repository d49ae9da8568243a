#ifndef STORE_CONTENT_H
#define STORE_CONTENT_H
/*
 * A message's octets and what is known of them, shared by all that refer to
 * it: mailbox rows, letters not done, notices noticed or filed. It goes, with
 * its file, when the last reference has gone. A place without the file in it
 * undoes the transaction. Loop thread. Loaded structs are below ctx.
 *
 * A small one may come as octets: they are a row, durable with the others of
 * its commit. In PLACE_SPOOL they become a file when somebody goes on with the
 * message though its letter is done; elsewhere they stay a row. Who asks for
 * the path gets a copy.
 */
#include "lib/store/store.h"

struct content {
	uint64_t id;
	uint8_t digest[32];		/* SHA-256 of m */
	uint64_t size;
	enum place place;		/* PLACE_NONE: not here yet */
	/* Rendered once; what IMAP sends (mime.h). NULL until scanned. */
	const char *envelope, *body, *bodystructure;
	struct bytes skeleton;
	const char *parts;
};

/* Adds it; the same digest, size and structure twice is two contents. Sets id. The file, if any, is durable already. */
void store_content_add(struct store *, struct content *);
/* The same with its octets, at most CONTENT_SMALL, instead of a file in its place. */
enum { CONTENT_SMALL = 64 * 1024 };
void store_content_add_small(struct store *, struct content *, struct bytes octets);
/* The octets below ctx; data NULL when they are a file. */
struct bytes store_content_octets(struct store *, const void *ctx, uint64_t id);
/* All of it. NULL when there is none. */
struct content *store_content_find(struct store *, const void *ctx, uint64_t id);
/* Without skeleton and parts: what a FETCH over many messages needs. */
struct content *store_content_find_brief(struct store *, const void *ctx, uint64_t id);
/*
 * For who goes through many: what is asked for of PEEK_ROW (digest, size, place, envelope, body, bodystructure) and
 * PEEK_SKELETON (skeleton, parts). Borrowed, until the next peek or write. False when it is not there.
 */
enum { PEEK_ROW = 1, PEEK_SKELETON = 2 };
bool store_content_peek(struct store *, uint64_t id, unsigned what, struct content *out);
void store_content_set_structure(struct store *, const struct content *);
void store_content_set_place(struct store *, uint64_t id, enum place);
/* Path of the file, below ctx; NULL while PLACE_NONE. */
char *store_content_path(struct store *, const void *ctx, uint64_t id);
/* The file to read; -1 with errno. */
int store_content_open(struct store *, const struct content *);
/* Drop it if nothing refers to it any more; its file goes after the commit, unless another content of the same place has it. */
void store_content_sweep(struct store *, uint64_t id);

#endif
