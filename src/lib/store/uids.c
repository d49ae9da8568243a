/*
 * The UIDs of a mailbox, four octets per message, for IMAP sessions: each has
 * the mailbox as it was told of it, and most were told the same. New messages
 * are appended, behind what others know of; when one goes, the array is left to
 * who has it and the next who asks gets a new one. The box keeps the last one.
 */
#include <string.h>

#include "lib/store/priv.h"

void uids_drop(struct box *box)
{
	if (box->uids)
		talloc_unlink(box, box->uids);
	box->uids = NULL;
	box->n_uids = box->uids_size = 0;
}

static void make_room(struct box *box, size_t n)
{
	uint32_t *old = box->uids, *all;

	if (old && n <= box->uids_size)
		return;
	box->uids_size = n + n / 4 + 16;
	all = mem_array(box, uint32_t, box->uids_size);
	if (old) {
		memcpy(all, old, box->n_uids * sizeof(*all));
		talloc_unlink(box, old);
	}
	box->uids = all;
}

const uint32_t *store_message_uids(struct mailbox *pub)
{
	struct box *box = box_of(pub);

	make_room(box, pub->n_messages);
	for (; box->n_uids < pub->n_messages; box->n_uids++)
		box->uids[box->n_uids] = pub->messages[box->n_uids].uid;
	return box->uids;
}
