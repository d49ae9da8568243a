/* Mailboxes, messages, keywords and watchers. */
#include "store.h"

START_TEST(standard_mailboxes)
{
	size_t n;
	struct mailbox **all = store_mailbox_all(st, ctx, &n);
	static const char *const want[] = { "Drafts", "INBOX", "Junk", "Outbox", "Requests", "Sent", "Trash" };

	ck_assert_uint_eq(n, N_STANDARD);
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(all[i]->name, want[i]);
		ck_assert(all[i]->subscribed);
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(all[i]->uidvalidity, all[j]->uidvalidity);
	}
	ck_assert_str_eq(store_mailbox_standard(st, BOX_SENT)->special, "\\Sent");
	ck_assert_ptr_null(store_mailbox_standard(st, BOX_OUTBOX)->special);
	ck_assert_ptr_eq(store_mailbox_find(st, "iNbOx"), store_mailbox_standard(st, BOX_INBOX));
	ck_assert_ptr_null(store_mailbox_find(st, "sent"));
}
END_TEST

START_TEST(messages_survive)
{
	struct mailbox *box = store_mailbox_find(st, "INBOX");
	uint32_t validity = box->uidvalidity;
	struct content c = unit_content(PLACE_INBOX, "hello");
	uint64_t bit = store_keyword(st, "$Remote");
	const struct message *m = store_message_add(st, box, c.id, FLAG_SEEN | FLAG_RECENT, bit, 123);
	uint64_t id = m->id;

	ck_assert_uint_eq(m->uid, 1);
	ck_assert_uint_eq(m->size, 5);
	ck_assert_uint_eq(m->flags, FLAG_SEEN | FLAG_RECENT);
	store_message_add(st, box, c.id, 0, 0, 124);
	ck_assert_uint_eq(box->n_messages, 2);
	ck_assert_uint_eq(box->n_unseen, 1);
	ck_assert_uint_eq(box->n_recent, 2);
	unit_reopen();

	box = store_mailbox_find(st, "INBOX");
	ck_assert_uint_eq(box->uidvalidity, validity);
	ck_assert_uint_eq(box->uidnext, 3);
	ck_assert_uint_eq(box->n_messages, 2);
	ck_assert_uint_eq(box->n_recent, 0);
	ck_assert_uint_eq(box->n_unseen, 1);
	m = store_message_find(box, 1);
	ck_assert_uint_eq(m->id, id);
	ck_assert_uint_eq(m->flags, FLAG_SEEN);
	ck_assert_uint_eq(m->keywords, store_keyword(st, "$remote"));
	ck_assert_int_eq(m->internal_ms, 123);
	ck_assert_str_eq(store_content_find(st, ctx, m->content)->envelope, "(env)");
	ck_assert(unit_there(PLACE_INBOX, c.digest));
}
END_TEST

STORE_SUITE("store_mailbox") {
	UNIT(standard_mailboxes);
	UNIT(messages_survive);
} UNIT_END
