/*
 * Answers: a part of octets or of a file, or only a status. A file's octets are
 * asked for as MHD sends them, so one can be withdrawn in the middle.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/range.h"
#include "lib/http/server_internal.h"

enum { BLOCK = 64 * 1024 };	/* of a file at a time; each connection has one */

struct part {
	unsigned status;
	uint64_t first, len;
	uint64_t size;		/* of all */
};

static ssize_t on_block_http(void *arg, uint64_t pos, char *out, size_t max)
{
	struct request *r = arg;
	const struct http_answer *a = &r->answer;
	uint64_t offset = r->first + pos;

	if (a->may_send) {
		pthread_mutex_lock(&r->server->lock);
		size_t n = a->may_send(a->arg, offset, max);
		pthread_mutex_unlock(&r->server->lock);
		max = n < max ? n : max;
	}
	if (!max)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	ssize_t n = pread(a->fd, out, max, (off_t)offset);
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct part part_of(struct MHD_Connection *c, const char *method, const struct http_answer *a)
{
	struct part p = { .status = a->status, .size = a->fd >= 0 ? a->size : a->body.len };
	const char *none = request_field(c, "If-None-Match"), *range = request_field(c, "Range"), *same;

	p.len = p.size;
	if (a->status != 200 || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))
		return p;
	if (a->etag && none && http_etag_in(none, a->etag)) {
		p.status = 304;
		p.len = 0;
		return p;
	}
	same = request_field(c, "If-Range");
	if (!range || strcmp(method, "HEAD") == 0 || (same && (!a->etag || strcmp(same, a->etag) != 0)))
		return p;
	switch (http_range_parse(range, p.size, &p.first, &p.len)) {
	case HTTP_RANGE_NONE:
		break;
	case HTTP_RANGE_PART:
		p.status = 206;
		break;
	case HTTP_RANGE_BEYOND:
		p.status = 416;
		p.len = 0;
		break;
	}
	return p;
}

static void response_fields(struct MHD_Response *res, const struct http_answer *a, const struct part *p)
{
	char range[80];

	if (a->type && p->status != 304 && p->status != 416)
		MHD_add_response_header(res, "Content-Type", a->type);
	if (a->etag)
		MHD_add_response_header(res, "ETag", a->etag);
	if (a->status == 200)
		MHD_add_response_header(res, "Accept-Ranges", "bytes");
	if (a->retry_s > 0) {
		snprintf(range, sizeof(range), "%u", a->retry_s);
		MHD_add_response_header(res, "Retry-After", range);
	}
	if (p->status == 206)
		snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		    p->first, p->first + p->len - 1, p->size);
	else
		snprintf(range, sizeof(range), "bytes */%" PRIu64, p->size);
	if (p->status == 206 || p->status == 416)
		MHD_add_response_header(res, "Content-Range", range);
}

static struct MHD_Response *response_empty(void)
{
	static char nothing[1];

	return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result answer_send(struct MHD_Connection *c, const char *method, struct request *r)
{
	const struct http_answer *a = &r->answer;
	struct part p = part_of(c, method, a);
	struct MHD_Response *res;

	r->first = p.first;
	if (p.len == 0)
		res = response_empty();
	else if (a->fd >= 0)
		res = MHD_create_response_from_callback(p.len, BLOCK, on_block_http, r, NULL);
	else
		res = MHD_create_response_from_buffer(p.len, mem_dup(r, a->body.data + p.first, p.len),
		    MHD_RESPMEM_PERSISTENT);
	if (!res)
		return MHD_NO;
	response_fields(res, a, &p);
	enum MHD_Result ok = MHD_queue_response(c, p.status, res);
	MHD_destroy_response(res);
	if (trace_get() & TRACE_HTTP) {
		char line[LIMIT_HTTP_HEADER];
		int n = snprintf(line, sizeof(line), "%s %s %s: %u, %" PRIu64 " octets",
		    r->peer, method, r->path, p.status, p.len);

		trace_line(TRACE_HTTP, 0, '>', line,
		    (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
	}
	return ok;
}

enum MHD_Result answer_send_status(struct MHD_Connection *c, unsigned status)
{
	struct MHD_Response *res = response_empty();

	if (!res)
		return MHD_NO;
	enum MHD_Result ok = MHD_queue_response(c, status, res);
	MHD_destroy_response(res);
	return ok;
}
