/*
 * The user's password, as a salted hash in DIR/password. SMTP and IMAP ask on
 * the loop for every login, so the hash is cheap (a few milliseconds; the
 * password init makes has 100 bits) and the last right answer is remembered as an
 * HMAC under a key of this process until the file changes.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/daemon/settings.h"
#include "app/daemon/settings_value.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"

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
	if (!last.seeded)
		random_fill(last.seed, sizeof(last.seed));
	last.seeded = true;
	digest_hmac(bytes_of(last.seed, sizeof(last.seed)), bytes_str(password), out);
}

static bool is_remembered(const struct stat *st, const uint8_t mac[DIGEST_LEN])
{
	return last.known && last.inode == st->st_ino && last.changed.tv_sec == st->st_mtim.tv_sec &&
	    last.changed.tv_nsec == st->st_mtim.tv_nsec && secret_equal(last.mac, mac, DIGEST_LEN);
}

/* "pbkdf2-sha256 ROUNDS SALT HASH\n" against the password. */
static bool matches(const char *line, const char *password)
{
	uint8_t salt[SALT_LEN], want[DIGEST_LEN], got[DIGEST_LEN];
	char salt_hex[2 * SALT_LEN + 1], want_hex[DIGEST_HEX];
	unsigned rounds;

	if (sscanf(line, "pbkdf2-sha256 %8u %32[0-9a-f] %64[0-9a-f]", &rounds, salt_hex, want_hex) != 3)
		return false;
	if (rounds < 1 || rounds > MAX_ROUNDS || hex_parse(salt_hex, salt, sizeof(salt)) < 0 || hex_parse(want_hex, want, sizeof(want)) < 0)
		return false;
	digest_pbkdf2(bytes_str(password), bytes_of(salt, sizeof(salt)), rounds, got);
	return secret_equal(want, got, sizeof(want));
}

bool settings_check_password(const struct settings *s, const char *password)
{
	uint8_t mac[DIGEST_LEN];
	struct stat st;
	struct bytes line;
	struct err e;

	if (strlen(password) > MAX_PASSWORD || stat(s->password, &st) < 0)
		return false;
	mac_of(password, mac);
	if (is_remembered(&st, mac))
		return true;

	char *tmp = mem_ctx(NULL);
	bool good = files_get(tmp, s->password, MAX_FILE, &line, &e) == OK && matches((const char *)line.data, password);
	if (good) {
		last.known = true;
		last.inode = st.st_ino;
		last.changed = st.st_mtim;
		memcpy(last.mac, mac, sizeof(mac));
	}
	talloc_free(tmp);
	return good;
}

enum outcome settings_put_password(const char *file, const char *password, struct err *e)
{
	uint8_t salt[SALT_LEN], hash[DIGEST_LEN];
	char salt_hex[2 * SALT_LEN + 1], hash_hex[DIGEST_HEX], line[MAX_FILE];

	if (!*password || strlen(password) > MAX_PASSWORD) {
		err_set(e, "a password has 1 to %d octets", MAX_PASSWORD);
		return REJECT;
	}
	random_fill(salt, sizeof(salt));
	digest_pbkdf2(bytes_str(password), bytes_of(salt, sizeof(salt)), ROUNDS, hash);
	hex_print(bytes_of(salt, sizeof(salt)), salt_hex);
	hex_print(bytes_of(hash, sizeof(hash)), hash_hex);
	snprintf(line, sizeof(line), "pbkdf2-sha256 %d %s %s\n", ROUNDS, salt_hex, hash_hex);
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
