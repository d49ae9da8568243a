/*
 * THE table of commands: where each is allowed and what it may do. The
 * dispatcher (session.c) finds, checks and calls; handlers never check again.
 */
#include <limits.h>
#include <strings.h>

#include "way/imap/session.h"

static const struct imap_verb verbs[] = {
	{ "CAPABILITY",   IN_ANY,                                   0, 0, imap_cmd_capability },
	{ "NOOP",         IN_ANY,                                   0, 0, imap_cmd_noop },
	{ "LOGOUT",       IN_ANY,                                   0, 0, imap_cmd_logout },
	{ "ID",           IN_ANY,                                   1, 1, imap_cmd_id },
	{ "STARTTLS",     IN_START,                                 0, 0, imap_cmd_starttls },
	{ "LOGIN",        IN_START,                                 2, 2, imap_cmd_login },
	{ "AUTHENTICATE", IN_START,                                 1, 2, imap_cmd_authenticate },
	{ "ENABLE",       IN_AUTH,                                  1, UINT_MAX, imap_cmd_enable },
	{ "COMPRESS",     IN_AUTH,                                  1, 1, imap_cmd_compress },
	{ "NAMESPACE",    IN_AUTH,                                  0, 0, imap_cmd_namespace },
	{ "LIST",         IN_AUTH,                                  2, 5, imap_cmd_list },
	{ "LSUB",         IN_AUTH,                                  2, 2, imap_cmd_lsub },
	{ "SUBSCRIBE",    IN_AUTH,                                  1, 1, imap_cmd_subscribe },
	{ "UNSUBSCRIBE",  IN_AUTH,                                  1, 1, imap_cmd_unsubscribe },
	{ "CREATE",       IN_AUTH,                                  1, 2, imap_cmd_create },
	{ "DELETE",       IN_AUTH,                                  1, 1, imap_cmd_delete },
	{ "RENAME",       IN_AUTH,                                  2, 2, imap_cmd_rename },
	{ "STATUS",       IN_AUTH,                                  2, 2, imap_cmd_status },
	{ "GETQUOTA",     IN_AUTH,                                  1, 1, imap_cmd_getquota },
	{ "GETQUOTAROOT", IN_AUTH,                                  1, 1, imap_cmd_getquotaroot },
	{ "SELECT",       IN_AUTH,                                  1, 2, imap_cmd_select },
	{ "EXAMINE",      IN_AUTH,                                  1, 2, imap_cmd_examine },
	{ "APPEND",       IN_AUTH,                                  2, UINT_MAX, imap_cmd_append },
	{ "IDLE",         IN_AUTH | ASIDE,                          0, 0, imap_cmd_idle },
	{ "CHECK",        IN_BOX,                                   0, 0, imap_cmd_noop },
	{ "UNSELECT",     IN_BOX,                                   0, 0, imap_cmd_unselect },
	{ "CLOSE",        IN_BOX,                                   0, 0, imap_cmd_close },
	{ "EXPUNGE",      IN_BOX | WRITES,                          0, 0, imap_cmd_expunge },
	{ "FETCH",        IN_BOX | KEEPS_NUMBERS | ASIDE,           2, UINT_MAX, imap_cmd_fetch },
	{ "STORE",        IN_BOX | WRITES | KEEPS_NUMBERS | ASIDE,  3, UINT_MAX, imap_cmd_store },
	{ "COPY",         IN_BOX | ASIDE,                           2, 2, imap_cmd_copy },
	{ "MOVE",         IN_BOX | WRITES,                          2, 2, imap_cmd_move },
	{ "SEARCH",       IN_BOX | KEEPS_NUMBERS | ASIDE,           1, UINT_MAX, imap_cmd_search },
	{ "SORT",         IN_BOX | KEEPS_NUMBERS | ASIDE,           3, UINT_MAX, imap_cmd_sort },
	{ "THREAD",       IN_BOX | KEEPS_NUMBERS | ASIDE,           3, UINT_MAX, imap_cmd_thread },
	{ "UID EXPUNGE",  IN_BOX | WRITES | BY_UID,                 1, 1, imap_cmd_expunge },
	{ "UID FETCH",    IN_BOX | BY_UID | ASIDE,                  2, UINT_MAX, imap_cmd_fetch },
	{ "UID STORE",    IN_BOX | WRITES | BY_UID | ASIDE,         3, UINT_MAX, imap_cmd_store },
	{ "UID COPY",     IN_BOX | BY_UID | ASIDE,                  2, 2, imap_cmd_copy },
	{ "UID MOVE",     IN_BOX | WRITES | BY_UID,                 2, 2, imap_cmd_move },
	{ "UID SEARCH",   IN_BOX | BY_UID | ASIDE,                  1, UINT_MAX, imap_cmd_search },
	{ "UID SORT",     IN_BOX | BY_UID | ASIDE,                  3, UINT_MAX, imap_cmd_sort },
	{ "UID THREAD",   IN_BOX | BY_UID | ASIDE,                  3, UINT_MAX, imap_cmd_thread },
};

const struct imap_verb *imap_verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcasecmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

bool imap_verb_is_prefix(const char *name)
{
	return strcasecmp(name, "UID") == 0;
}
