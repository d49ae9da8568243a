/*
 * What is looked at when a client searches, sorts and threads: any octets as
 * a message, its header and its text. What is folded, or is a base subject
 * already, stays as it is; a thread list names each message once.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/mime/header.h"
#include "way/imap/subject.h"
#include "way/imap/text.h"
#include "way/imap/thread.h"

enum { N_MESSAGES = 16, MAX_REFS = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void one_text(const void *ctx, const char *text)
{
	bool is_reply;
	const char *fold = imap_text_fold(ctx, text), *base = imap_subject_base(ctx, text, &is_reply);

	assert(strcmp(imap_text_fold(ctx, fold), fold) == 0);
	imap_subject_base(ctx, base, &is_reply);
	const char *sorted = imap_sort_fold(ctx, text);

	assert(strlen(sorted) <= strlen(text) * 64);
}

/* Every field is a message that answers what its value names. */
static void threads(const void *ctx, struct bytes block)
{
	struct imap_thread_message m[N_MESSAGES] = { { 0 } };
	struct bytes name, value, whole;
	struct buf *out = buf_new(ctx, MIB(1));
	size_t n = 0, ids, numbers = 0;

	for (size_t pos = 0; n < N_MESSAGES && header_next(block, &pos, &name, &value, &whole); n++) {
		const char *text = mem_strndup(ctx, (const char *)value.data, value.len);
		const char **id = imap_thread_ids(ctx, mem_strndup(ctx, (const char *)name.data, name.len), 1, &ids);

		m[n] = (struct imap_thread_message){
			.number = (uint32_t)n + 1, .date = name.data[0], .id = ids > 0 ? id[0] : NULL,
			.subject = imap_subject_base(ctx, text, &m[n].is_reply),
		};
		m[n].refs = imap_thread_ids(ctx, text, MAX_REFS, &m[n].n_refs);
	}
	imap_thread_print(out, m, n);
	for (const char *p = out->data; n > 0 && *p != '\0'; p++)
		numbers += *p >= '0' && *p <= '9' && (p[1] < '0' || p[1] > '9');
	assert(numbers == n);
}

static void search(const void *ctx, struct bytes in)
{
	struct mime_scan *scan = mime_scan_new(ctx);
	char path[] = "/tmp/fuzzXXXXXX";
	static int fd = -1;

	if (fd < 0) {
		fd = mkstemp(path);
		if (fd < 0 || unlink(path) < 0)
			abort();
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, in.data, in.len, 0) != (ssize_t)in.len)
		abort();
	mime_scan_feed(scan, in);
	struct mime *m = mime_scan_take(&scan, ctx);

	imap_text_in_body(m, fd, "needle");
	imap_text_in_body(m, fd, "\xc3\xa4");
	imap_text_in_header(mime_skeleton(m), NULL, "needle");
	imap_text_in_header(mime_skeleton(m), "Subject", "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	void *ctx = mem_ctx(NULL);
	struct bytes in = bytes_of(data, len);

	if (len <= 64 * 1024) {
		const char *text = mem_strndup(ctx, (const char *)data, len);

		one_text(ctx, text);
		one_text(ctx, header_decode(ctx, text));
		threads(ctx, in);
		search(ctx, in);
	}
	talloc_free(ctx);
	return 0;
}
