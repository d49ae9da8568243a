#ifndef OUTBOX_STATE_H
#define OUTBOX_STATE_H
/*
 * What the routes share: outbox.c has those for everybody, fellow.c those for
 * fellow members. All of it runs on HTTP threads, but for outbox_start() and outbox_stop().
 */
#include "lib/http/server.h"
#include "lib/loop/door.h"
#include "way/outbox/outbox.h"

struct outbox {
	struct offers *offers;
	struct members *members;
	struct outbox_hooks hooks;
	struct door *strangers;		/* what they post: dropped when it is full */
	struct door *served;		/* never full: bounded by transfers */
	struct http_server *server;
	char *replicas;
};

/* What an HTTP thread tells the loop; its own talloc context. */
struct told {
	struct outbox *outbox;
	enum { TOLD_NOTICE, TOLD_RECEIPT, TOLD_SERVED, TOLD_CONTACT, TOLD_TAKEN, TOLD_REPLICA, TOLD_PUT } what;
	struct bytes value;
	uint64_t rcpt;
	char address[LIMIT_ADDRESS + 1];
	uint8_t hash[32], c_get[32];
	struct outbox_put put;
};
void outbox_tell_http(struct door *, struct told *);

void answer_text(struct http_answer *, unsigned status, const char *text);
void answer_octets(struct http_answer *, unsigned status, struct bytes);
void answer_recalls(struct http_answer *, struct bytes recalls);
void answer_file(struct http_answer *, int fd, uint64_t size, const char *etag);

/* "/outbox/" h, h ".head" or h ".notices". */
struct outbox_name {
	uint8_t hash[32];
	enum members_file file;
	const char *etag;
};

/* fellow.c. The answer is 404 before; fellow_get_replica_http() leaves it when T_get opens nothing. */
bool fellow_is_asking(const struct http_request *);
void fellow_get_replica_http(struct outbox *, const struct outbox_name *, const uint8_t t_get[32], struct http_answer *);
void fellow_get_outbox_http(struct outbox *, const struct http_request *, const struct outbox_name *, struct http_answer *);
void fellow_get_list_http(struct outbox *, const struct http_request *, const char *rest, struct http_answer *);
/* "/replica/" ADDRESS "/msglist" or "/held" */
void fellow_get_of_owner_http(struct outbox *, const struct http_request *, const char *rest, struct http_answer *);

/* put.c: "/replica/" ADDRESS "/msglist", "/h", "/h.head", "/h.notices" */
void put_admit_http(void *outbox, struct http_put *);
/* "ADDRESS/WHAT" behind "/replica/": WHAT; NULL when there is no address. */
const char *fellow_parse_owner(const char *rest, char owner[LIMIT_ADDRESS + 1]);
/* h, h ".head", h ".notices" */
bool outbox_parse_name(const char *rest, uint8_t hash_out[32], enum members_file *out);

#endif
