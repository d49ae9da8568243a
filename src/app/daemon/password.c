/*
 * The user's password: DIR/password holds the keys of RFC 5802, which check a
 * password and a SCRAM proof alike but are neither. SMTP and IMAP ask on
 * the loop for every login, so the hash is cheap (a few milliseconds; the
 * password init makes has 100 bits) and the last right answer is remembered as an
 * HMAC under a key of this process until the file changes. Then no other answer is
 * right: a flood of wrong ones costs an HMAC each.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/daemon/settings.h"
#include "app/daemon/settings_value.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/base/scram.h"

enum { ROUNDS = 10000, MAX_ROUNDS = 10000000, SALT_LEN = 16, MAX_FILE = 512, MAX_PASSWORD = 1024 };

/* The last right answer. Loop thread. */
static struct {
	bool known, seeded;
	uint8_t seed[DIGEST_LEN], mac[DIGEST_LEN];
	struct timespec changed;
	ino_t inode;
} last;

static void mac_of(const char *password, uint8_t out[DIGEST_LEN])
{
	char *prepared = scram_prepare(password);

	if (!last.seeded)
		random_fill(last.seed, sizeof(last.seed));
	last.seeded = true;
	digest_hmac(bytes_of(last.seed, sizeof(last.seed)), bytes_str(prepared ? prepared : password), out);
	scram_forget(prepared);
}

static bool is_remembered(const struct stat *st)
{
	return last.known && last.inode == st->st_ino && last.changed.tv_sec == st->st_mtim.tv_sec &&
	    last.changed.tv_nsec == st->st_mtim.tv_nsec;
}

/* "scram-sha-256 ROUNDS SALT STORED-KEY SERVER-KEY\n". */
static bool parse_scram(const char *line, struct scram_secret *k)
{
	char salt[2 * SALT_LEN + 1], stored[DIGEST_HEX], server[DIGEST_HEX];

	return sscanf(line, "scram-sha-256 %8u %32[0-9a-f] %64[0-9a-f] %64[0-9a-f]", &k->rounds, salt, stored, server) == 4 &&
	    hex_parse(salt, k->salt, SALT_LEN) == 0 && hex_parse(stored, k->stored_key, DIGEST_LEN) == 0 &&
	    hex_parse(server, k->server_key, DIGEST_LEN) == 0;
}

/* "pbkdf2-sha256 ROUNDS SALT HASH\n" of earlier versions: the keys are made from that hash. */
static bool parse_pbkdf2(const char *line, struct scram_secret *k)
{
	char salt[2 * SALT_LEN + 1], hex[DIGEST_HEX];
	uint8_t hash[DIGEST_LEN];

	if (sscanf(line, "pbkdf2-sha256 %8u %32[0-9a-f] %64[0-9a-f]", &k->rounds, salt, hex) != 3)
		return false;
	if (hex_parse(salt, k->salt, SALT_LEN) < 0 || hex_parse(hex, hash, sizeof(hash)) < 0)
		return false;
	scram_secret_from_salted(k, hash);
	explicit_bzero(hash, sizeof(hash));
	return true;
}

bool settings_get_secret(const struct settings *s, struct scram_secret *out)
{
	char *tmp = mem_ctx(NULL);
	struct bytes line;
	struct err e;

	out->salt_len = SALT_LEN;
	bool good = files_get(tmp, s->password, MAX_FILE, &line, &e) == OK &&
	    (parse_scram((const char *)line.data, out) || parse_pbkdf2((const char *)line.data, out)) &&
	    out->rounds >= 1 && out->rounds <= MAX_ROUNDS;

	talloc_free(tmp);
	return good;
}

bool settings_check_password(const struct settings *s, const char *password)
{
	uint8_t mac[DIGEST_LEN];
	struct scram_secret secret;
	struct stat st;

	if (strlen(password) > MAX_PASSWORD || stat(s->password, &st) < 0)
		return false;
	mac_of(password, mac);
	if (is_remembered(&st))
		return secret_equal(last.mac, mac, DIGEST_LEN);

	bool good = settings_get_secret(s, &secret) && scram_secret_matches(&secret, password);
	if (good) {
		last.known = true;
		last.inode = st.st_ino;
		last.changed = st.st_mtim;
		memcpy(last.mac, mac, sizeof(mac));
	}
	return good;
}

enum outcome settings_put_password(const char *file, const char *password, struct err *e)
{
	struct scram_secret k = { .rounds = ROUNDS, .salt_len = SALT_LEN };
	char salt[2 * SALT_LEN + 1], stored[DIGEST_HEX], server[DIGEST_HEX], line[MAX_FILE];

	if (!*password || strlen(password) > MAX_PASSWORD) {
		err_set(e, "a password has 1 to %d octets", MAX_PASSWORD);
		return REJECT;
	}
	random_fill(k.salt, k.salt_len);
	scram_secret_make(&k, password);
	hex_print(bytes_of(k.salt, k.salt_len), salt);
	hex_print(bytes_of(k.stored_key, DIGEST_LEN), stored);
	hex_print(bytes_of(k.server_key, DIGEST_LEN), server);
	snprintf(line, sizeof(line), "scram-sha-256 %d %s %s %s\n", ROUNDS, salt, stored, server);
	return files_put(file, bytes_str(line), e);
}

enum outcome settings_get_fpr(const struct settings *s, char out[41], struct err *e)
{
	char *tmp = mem_ctx(NULL);
	struct bytes text;
	enum outcome res = files_get(tmp, s->own_fpr, 64, &text, e);

	if (res != OK) {
		err_wrap(e, "no key yet (p2pmta-ctl init makes one)");
		res = REJECT;
	} else if (text.len < 40 || text.len > 41 || (text.len == 41 && text.data[40] != '\n')) {
		err_set(e, "%s: not a fingerprint", s->own_fpr);
		res = REJECT;
	} else {
		memcpy(out, text.data, 40);
		out[40] = '\0';
		if (!value_is_fpr(out)) {
			err_set(e, "%s: not a fingerprint", s->own_fpr);
			res = REJECT;
		}
	}
	talloc_free(tmp);
	return res;
}

enum outcome settings_put_fpr(const char *file, const char *fpr, struct err *e)
{
	char line[64];

	snprintf(line, sizeof(line), "%s\n", fpr);
	return files_put(file, bytes_str(line), e);
}
