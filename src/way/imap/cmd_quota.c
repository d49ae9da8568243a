/*
 * QUOTA (RFC 9208). Nobody has set this user a limit but his disk: the quota
 * root of every mailbox is the file system that the state folder is on. The
 * Outbox has another: what is on offer, and outbox.quota.
 */
#include <string.h>
#include <sys/statvfs.h>

#include "lib/base/log.h"
#include "lib/store/letter.h"
#include "way/imap/session.h"

static const char disk[] = "disk", outbox[] = "outbox";

/* In units of 1024 octets. */
static bool get_disk(const struct imap_session *s, uint64_t *used, uint64_t *limit)
{
	const char *dir = store_dir(s->imap->store, PLACE_INBOX);
	struct statvfs st;

	if (statvfs(dir, &st) < 0) {
		log_err("imap=%llu statvfs=%s failed", (unsigned long long)s->id, dir);
		return false;
	}
	*used = (st.f_blocks - st.f_bfree) * st.f_frsize / 1024;
	*limit = *used + st.f_bavail * st.f_frsize / 1024;
	return true;
}

static bool send_root(struct imap_session *s, const char *root)
{
	uint64_t used, limit;

	if (strcmp(root, outbox) == 0) {
		used = (store_letter_count(s->imap->store).outbox_bytes + 1023) / 1024;
		limit = s->imap->settings.outbox_quota / 1024;
	} else if (strcmp(root, disk) != 0 || !get_disk(s, &used, &limit)) {
		return false;
	}
	imap_send(s, "* QUOTA \"%s\" (STORAGE %llu %llu)", root, (unsigned long long)used, (unsigned long long)limit);
	return true;
}

void imap_cmd_getquota(struct imap_session *s, struct imap_cmd *c)
{
	const char *root = imap_arg_text(s, &c->args[0]);

	if (!root)
		return;
	if (send_root(s, root))
		imap_finish(s, "OK Getquota completed");
	else
		imap_finish(s, "NO [NONEXISTENT] No such quota root");
}

void imap_cmd_getquotaroot(struct imap_session *s, struct imap_cmd *c)
{
	const char *name = imap_arg_name(s, &c->args[0]);

	if (!name)
		return;
	const struct mailbox *box = store_mailbox_find(s->imap->store, name);

	/* One that is not there yet would have the disk (section 4.1.2). */
	bool both = imap_is_outbox(s, box);

	buf_adds(s->out, "* QUOTAROOT ");
	imap_print_name(s, s->out, name);
	imap_send(s, " \"%s\"%s%s%s", disk, both ? " \"" : "", both ? outbox : "", both ? "\"" : "");
	send_root(s, disk);
	if (both)
		send_root(s, outbox);
	imap_finish(s, "OK Getquotaroot completed");
}
