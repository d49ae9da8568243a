#ifndef IMAP_EXPUNGE_H
#define IMAP_EXPUNGE_H
/* One message leaves its mailbox; in the Outbox only when it could be withdrawn. Loop thread. */
#include "way/imap/session.h"

/* OK also when it has gone already. Otherwise it stays and err says why. */
enum outcome imap_expunge_one(struct imap_session *, struct mailbox *, uint32_t uid, struct err *);

#endif
