/*
 * One operation with gpg. Setting a context's engine runs `gpg --version`, so
 * contexts are kept and lent; an operation in a used context starts a fresh
 * gpg all the same. GPGME leaves out two things gpg says: the primary key of
 * a signing subkey and the class of a signature. Both are in VALIDSIG, so we
 * listen to the status lines ourselves.
 */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/pgp/work.h"

static const char role_name[] = "role@p2pmta.invalid";

/* VALIDSIG fpr date time expire version reserved pk-algo hash-algo class primary-fpr */
static void on_validsig(struct heard *h, const char *args)
{
	char class[3], primary[FPR_LEN];

	h->validsig++;
	if (sscanf(args, "%*s %*s %*s %*s %*s %*s %*s %*s %2s %40s", class, primary) != 2)
		return;
	h->binary = !strcmp(class, "00");
	if (strlen(primary) == FPR_LEN - 1)
		memcpy(h->primary, primary, FPR_LEN);
}

/* What gpg says when it is the octets' fault; a gpg that died says nothing. */
static bool is_judgement(const char *keyword)
{
	static const char *const judgements[] = {
		"NODATA", "DECRYPTION_FAILED", "BADMDC", "BADSIG", "ERRSIG", "UNEXPECTED", "ERROR", "FAILURE", "BAD_PASSPHRASE",
		"NO_SECKEY", "INV_RECP", "INV_SGNR", "TRUNCATED",
	};

	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
		if (!strcmp(keyword, judgements[i]))
			return true;
	return false;
}

static gpgme_error_t on_status(void *arg, const char *keyword, const char *args)
{
	struct heard *h = arg;

	h->judged |= is_judgement(keyword);
	if (!strcmp(keyword, "NEWSIG"))
		h->newsig++;
	else if (!strcmp(keyword, "VALIDSIG"))
		on_validsig(h, args);
	else if (!strcmp(keyword, "PLAINTEXT"))
		h->plaintext++;
	else if (!strcmp(keyword, "DECRYPTION_INFO"))
		h->decryption++;
	else if (!strcmp(keyword, "GOODMDC"))
		h->goodmdc++;
	return 0;
}

static gpgme_error_t on_passphrase(void *arg, const char *hint, const char *info, int was_bad, int fd)
{
	struct work *w = arg;

	(void)hint, (void)info;
	w->asked = true;
	if (was_bad)
		return gpgme_error(GPG_ERR_BAD_PASSPHRASE);
	if (gpgme_io_writen(fd, w->passphrase, strlen(w->passphrase)) || gpgme_io_writen(fd, "\n", 1))
		return gpgme_error_from_syserror();
	return 0;
}

static gpgme_error_t context_new(struct work *w)
{
	char *path = home_engine(NULL, w->pgp, w->engine);
	gpgme_error_t failed = gpgme_new(&w->gpg);

	if (!failed)
		failed = gpgme_ctx_set_engine_info(w->gpg, GPGME_PROTOCOL_OpenPGP, path, home_of(w->pgp, w->engine));
	if (!failed)
		failed = gpgme_set_protocol(w->gpg, GPGME_PROTOCOL_OpenPGP);
	if (!failed)
		failed = gpgme_set_ctx_flag(w->gpg, "full-status", "1");
	talloc_free(path);
	return failed;
}

enum outcome work_start(struct work *w, struct pgp *p, enum engine engine, struct err *e)
{
	gpgme_error_t failed = 0;

	*w = (struct work){ .pgp = p, .engine = engine };
	pthread_mutex_lock(&p->lock);
	if (p->n_stock[engine])
		w->gpg = p->stock[engine][--p->n_stock[engine]];
	pthread_mutex_unlock(&p->lock);
	if (!w->gpg)
		failed = context_new(w);
	if (failed) {
		work_explain(e, "start gpg", failed);
		gpgme_release(w->gpg);
		w->gpg = NULL;
		return RETRY;
	}
	gpgme_set_pinentry_mode(w->gpg, GPGME_PINENTRY_MODE_CANCEL);
	gpgme_set_status_cb(w->gpg, on_status, &w->heard);
	return OK;
}

void work_end(struct work *w)
{
	struct pgp *p = w->pgp;

	if (!w->gpg)
		return;
	gpgme_set_status_cb(w->gpg, NULL, NULL);
	gpgme_set_passphrase_cb(w->gpg, NULL, NULL);
	gpgme_sig_notation_clear(w->gpg);
	gpgme_set_armor(w->gpg, 0);
	pthread_mutex_lock(&p->lock);
	if (p->n_stock[w->engine] < STOCK) {
		p->stock[w->engine][p->n_stock[w->engine]++] = w->gpg;
		w->gpg = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	gpgme_release(w->gpg);
	w->gpg = NULL;
}

enum outcome work_set_role(struct work *w, const char *role, struct err *e)
{
	gpgme_error_t failed = gpgme_sig_notation_add(w->gpg, role_name, role, GPGME_SIG_NOTATION_HUMAN_READABLE);

	if (failed) {
		work_explain(e, "role", failed);
		return RETRY;
	}
	return OK;
}

bool work_is_role(const struct _gpgme_sig_notation *n, const char *role)
{
	unsigned n_roles = 0;
	bool same = false;

	for (; n; n = n->next) {
		if (!n->name || strcmp(n->name, role_name))
			continue;
		n_roles++;
		same = n->human_readable && n->value && !strcmp(n->value, role);
	}
	return n_roles == 1 && same;
}

void work_set_passphrase(struct work *w, const char *passphrase)
{
	w->passphrase = passphrase;
	gpgme_set_pinentry_mode(w->gpg, GPGME_PINENTRY_MODE_LOOPBACK);
	gpgme_set_passphrase_cb(w->gpg, on_passphrase, w);
}

void work_explain(struct err *e, const char *what, gpgme_error_t failed)
{
	char text[128];

	gpgme_strerror_r(failed, text, sizeof(text));
	err_set(e, "%s: %s", what, text);
}

/* A signature of our own: does gpg with its agent work at all? */
static bool can_sign(struct pgp *p)
{
	struct err ignored;
	struct bytes out;
	char *tmp = mem_ctx(NULL);
	bool can = pgp_sign_work(p, tmp, "self/1", bytes_str("?"), &out, &ignored) == OK;

	talloc_free(tmp);
	return can;
}

enum outcome work_judge(struct work *w, gpgme_error_t failed)
{
	/* Plaintext without decryption is an answer, too: it was not encrypted. */
	bool judged = w->heard.judged || (w->heard.plaintext && !w->heard.decryption);

	if (gpgme_err_code_to_errno(gpgme_err_code(failed)) || !judged)
		return RETRY;
	switch ((int)gpgme_err_code(failed)) {
	case GPG_ERR_NO_AGENT:
	case GPG_ERR_AGENT:
	case GPG_ERR_NO_ENGINE:
	case GPG_ERR_INV_ENGINE:
	case GPG_ERR_ENGINE_TOO_OLD:
		return RETRY;
	case GPG_ERR_BAD_SIGNATURE:
	case GPG_ERR_CHECKSUM:
	case GPG_ERR_NO_DATA:
		return REJECT;
	default:
		/* A dead agent looks like a message that is not for us. */
		return can_sign(w->pgp) ? REJECT : RETRY;
	}
}
