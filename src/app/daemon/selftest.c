/* What a start would stumble over, found without starting: a running daemon is not disturbed. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/daemon/selftest.h"

static enum outcome check_file(const char *path, const char *what, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		err_set(e, "%s: %s is missing (%s); p2pmta-ctl init makes it", path, what, strerror(errno));
		return REJECT;
	}
	if (st.st_mode & 077) {
		err_set(e, "%s: %s can be read by others; chmod go= %s", path, what, path);
		return REJECT;
	}
	if (access(path, R_OK) < 0) {
		err_set(e, "%s: %s cannot be read (%s)", path, what, strerror(errno));
		return REJECT;
	}
	return OK;
}

static enum outcome check_folder(const char *path, struct err *e)
{
	struct stat st;

	if (check_file(path, "the state folder", e) != OK)
		return REJECT;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		err_set(e, "%s: the state folder is not a folder", path);
		return REJECT;
	}
	if (access(path, W_OK | X_OK) < 0) {
		err_set(e, "%s: the state folder cannot be written (%s)", path, strerror(errno));
		return REJECT;
	}
	return OK;
}

enum outcome selftest(const struct settings *s, struct err *e)
{
	char fpr[41];

	if (check_folder(s->state, e) != OK || check_file(s->keys, "the key folder", e) != OK ||
	    check_file(s->password, "the password", e) != OK || settings_get_fpr(s, fpr, e) != OK)
		return REJECT;
	if (s->smtp.tls == TLS_OFF && s->imap.tls == TLS_OFF)
		return OK;
	if (check_file(s->tls_key, "the TLS key", e) != OK)
		return REJECT;
	return check_file(s->tls_cert, "the TLS certificate", e);
}
