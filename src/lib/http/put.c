/*
 * A PUT is decided when its header is here and finished when its body is. MHD
 * takes an answer at either end only, never in between. What is to be durable
 * before the answer is waited for with the connection suspended; everything
 * about that is under the server's lock, so an answer cannot come before the
 * connection waits for it.
 */
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/limits.h"
#include "lib/http/content_digest.h"
#include "lib/http/server_internal.h"
#include "lib/http/upload.h"

/* Under the lock. */
static unsigned admit_locked(struct request *r)
{
	struct http_server *s = r->server;
	struct http_put *p = &r->put;

	if (s->stopping)
		return 503;
	p->ticket = ++s->last_ticket;
	p->status = 404;
	s->admit_http(s->arg, p);
	r->admitted = true;
	if (p->status != 0)
		return p->status;
	if (p->size > p->max)
		return 413;
	if (s->n_uploads >= LIMIT_HTTP_UPLOADS)
		return 503;
	s->n_uploads++;
	r->upload = upload_new(r, p->fd, p->size, clock_mono_ms());
	return 0;
}

static unsigned admit(struct MHD_Connection *c, struct request *r)
{
	struct http_put *p = &r->put;
	const char *digest = request_field(c, "Content-Digest");
	int there = digest ? http_content_digest_parse(digest, p->digest) : 0;

	if (!request_length(c, &p->size))
		return 411;
	/* MHD would go by the chunks, however many (RFC 9112, 6.1). */
	if (there < 0 || request_field(c, "Transfer-Encoding"))
		return 400;
	p->has_digest = there > 0;
	p->path = r->path;
	p->peer = r->peer;
	p->authorization = request_field(c, "Authorization");
	pthread_mutex_lock(&r->server->lock);
	unsigned status = admit_locked(r);
	pthread_mutex_unlock(&r->server->lock);
	return status;
}

enum MHD_Result put_begin(struct MHD_Connection *c, struct request *r)
{
	unsigned status = admit(c, r);

	if (status == 0)
		return MHD_YES;
	/*
	 * MHD hangs up after an answer before the body, and what it did not read turns that into a
	 * reset that may overtake the answer: a short body that is on its way already is swallowed.
	 */
	uint64_t size;
	if (!request_field(c, "Expect") && !request_field(c, "Transfer-Encoding") && request_length(c, &size) && size <= r->server->max_body) {
		r->refused = status;
		return MHD_YES;
	}
	return answer_send_status(c, status);
}

/* MHD 0.9.75 overlooks a client that hung up together with its last octets, until LIMIT_HTTP_IDLE_S. */
static bool is_cut(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	char octet;

	return info && recv(info->connect_fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

enum MHD_Result put_take(struct MHD_Connection *c, struct request *r, struct bytes octets)
{
	unsigned failed = 0;

	if (r->upload)
		failed = upload_add(r->upload, octets, clock_mono_ms());
	if (r->upload && upload_left(r->upload) > 0 && is_cut(c))
		return MHD_NO;
	/* A little more is swallowed so that the answer gets there; of one that is too slow, nothing. */
	return failed == 408 || (failed != 0 && upload_left(r->upload) > MIB(1)) ? MHD_NO : MHD_YES;
}

/* Under the lock: the handler's word on octets that are what they should be. */
static unsigned finish_locked(struct MHD_Connection *c, struct request *r)
{
	struct http_server *s = r->server;

	if (s->stopping)
		return 503;
	r->answer.status = 404;
	r->answer.ctx = r;
	r->put.done_http(r->put.arg, &r->put, &r->answer);
	r->answered = true;
	if (r->answer.later) {
		r->connection = c;
		LIST_INSERT_HEAD(&s->waiting, r, entry);
		MHD_suspend_connection(c);
	}
	return 0;
}

enum MHD_Result put_finish(struct MHD_Connection *c, struct request *r)
{
	uint8_t digest[DIGEST_LEN];
	unsigned status = r->upload ? upload_end(r->upload, digest) : r->refused;

	if (status == 0 && r->put.has_digest && memcmp(digest, r->put.digest, DIGEST_LEN) != 0)
		status = 409;
	if (status != 0)
		return answer_send_status(c, status);
	memcpy(r->put.digest, digest, DIGEST_LEN);
	pthread_mutex_lock(&r->server->lock);
	status = finish_locked(c, r);
	bool later = r->answer.later;
	pthread_mutex_unlock(&r->server->lock);
	if (status != 0)
		return answer_send_status(c, status);
	return later ? MHD_YES : answer_send(c, "PUT", r);
}

/* Under the lock. */
static void resume_locked(struct request *r, unsigned status)
{
	struct MHD_Connection *c = r->connection;

	LIST_REMOVE(r, entry);
	r->connection = NULL;
	r->answer.status = status;
	MHD_resume_connection(c);
}

void http_server_answer(struct http_server *s, uint64_t ticket, unsigned status)
{
	struct request *r;

	pthread_mutex_lock(&s->lock);
	LIST_FOREACH(r, &s->waiting, entry)
		if (r->put.ticket == ticket)
			break;
	if (r)
		resume_locked(r, status);
	pthread_mutex_unlock(&s->lock);
}

void put_stop(struct http_server *s)
{
	struct request *r;

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	while ((r = LIST_FIRST(&s->waiting)))
		resume_locked(r, 503);
	pthread_mutex_unlock(&s->lock);
}
