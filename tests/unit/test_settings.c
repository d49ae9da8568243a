/* p2pmta.conf: what is taken, what is refused and how it is said. */
#include <stdio.h>
#include <unistd.h>

#include "app/daemon/settings.h"
#include "lib/base/digest.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/base/scram.h"
#include "unit/unit.h"

#define A "address = \"alice@home\"\n"

static struct err e;

/* says: what the message must begin with; right: what must be in it, too. */
static const struct { const char *name, *text, *says, *right; } bad_rows[] = {
	{ "nothing", "", "/d/p.conf:1: address is missing", "name@group" },
	{ "no address", "\n\nlog { }\n", "/d/p.conf:3: address is missing", "alice@home" },
	{ "unknown key", A "colour = \"blue\"\n", "/d/p.conf:2: no such option 'colour'", "known here: address, state, smtp" },
	{ "unknown key in a section", A "smtp {\n\tlistne = {\"127.0.0.1:1\"}\n}\n", "/d/p.conf:3: no such option 'listne'", "known here: listen, tls, max_size" },
	{ "unknown section", A "pop3 { }\n", "/d/p.conf:2: no such option 'pop3'", "smtp {}" },
	{ "end mark of ours", A "smtp { end_of_configuration = 1 }\n", "/d/p.conf:", "" },
	{ "bad address", "address = \"nobody\"\n", "/d/p.conf:1: address = \"nobody\": must be name@group", "alice@home" },
	{ "second address bad", A "address = \"a b@c\"\n", "/d/p.conf:2: address = ", "" },
	{ "word", A "imap { tls = \"sometimes\" }\n", "/d/p.conf:2: imap.tls = \"sometimes\": must be one of: off starttls always", "" },
	{ "level", A "log { level = \"loud\" }\n", "/d/p.conf:2: log.level = \"loud\": must be one of: err warn info debug", "" },
	{ "duration", A "outbox { validity = \"a while\" }\n", "/d/p.conf:2: outbox.validity = \"a while\": must be a number and s, m, h or d", "from 1m to 31d" },
	{ "duration without unit", A "queue { lifetime = 5 }\n", "/d/p.conf:2: queue.lifetime = \"5\"", "such as \"30d\"" },
	{ "negative", A "queue { lifetime = \"-1d\" }\n", "/d/p.conf:2: queue.lifetime = \"-1d\"", "" },
	{ "too long", A "outbox { validity = \"32d\" }\n", "/d/p.conf:2: outbox.validity = \"32d\"", "to 31d" },
	{ "size", A "smtp {\n max_size = \"big\"\n}\n", "/d/p.conf:3: smtp.max_size = \"big\": must be a number and K, M or G", "from 1K to 4G" },
	{ "size too big", A "smtp { max_size = \"5G\" }\n", "/d/p.conf:2: smtp.max_size", "" },
	{ "size with two units", A "smtp { max_size = \"5KM\" }\n", "/d/p.conf:2: smtp.max_size", "" },
	{ "size overflows", A "outbox { quota = \"99999999999999999999G\" }\n", "/d/p.conf:2: outbox.quota", "" },
	{ "port", A "dht { port = 70000 }\n", "/d/p.conf:2: dht.port = \"70000\": must be a port", "65535" },
	{ "bool", A "dht { discovery = maybe }\n", "/d/p.conf:2: dht.discovery = \"maybe\": must be true or false", "" },
	{ "network", A "dht { network = 4294967296 }\n", "/d/p.conf:2: dht.network", "" },
	{ "bootstrap", A "dht { bootstrap = {\"1.2.3.4:1\", \"nowhere\"} }\n", "/d/p.conf:2: dht.bootstrap = \"nowhere\": must be HOST:PORT", "" },
	{ "listen", A "smtp { listen = {\"127.0.0.1\"} }\n", "/d/p.conf:2: smtp.listen = \"127.0.0.1\"", "" },
	{ "nowhere to listen", A "outbox { listen = {} }\n", "/d/p.conf:2: outbox.listen is empty", "0.0.0.0:4180" },
	{ "url", A "outbox { url = {\"ftp://x\"} }\n", "/d/p.conf:2: outbox.url = \"ftp://x\": must be a base URL", "http://" },
	{ "url with a space", A "outbox { url = {\"http://x/ y\"} }\n", "/d/p.conf:2: outbox.url", "" },
	{ "open section", A "smtp {\n", "/d/p.conf:2: smtp { is not closed", "}" },
	{ "open text", A "state = \"abc\n", "/d/p.conf:", "end of file" },
	{ "open comment", A "# a\n/* abc\n\n", "/d/p.conf:3: a comment is not closed", "*/ is missing" },
	{ "lines behind comments", "# a\n# b\n" A "smtp { # c\n// d\n\ttls = \"on\"\n}\n", "/d/p.conf:6: smtp.tls", "" },
	{ "lines behind long comments", "/* a\n * b\n */\n" A "smtp {\n/**/ tls = \"on\"\n}\n", "/d/p.conf:6: smtp.tls", "" },
	{ "open text behind a comment", "# a\n" A "state = \"abc\n\n", "/d/p.conf:", "end of file" },
	{ "comment signs in texts", "address = \"al#ice@home\" # \"\nsmtp { listen = { unix:/a//b } tls = '/*' }\n", "/d/p.conf:2: smtp.tls = \"/*\"", "" },
	{ "closing brace", A "}\n", "/d/p.conf:2: ", "" },
	{ "section as key", A "smtp = 5\n", "/d/p.conf:2: ", "" },
	{ "group without name", A "group { }\n", "/d/p.conf:2: ", "title" },
	{ "group twice", A "group g { master = \"alice@home\" }\ngroup g { }\n", "/d/p.conf:3: ", "duplicate" },
	{ "group without master", A "group home {\n}\n", "/d/p.conf:3: group home: master is missing", "" },
	{ "group without key", A "group home { master = \"bob@home\" }\n", "/d/p.conf:2: group home: key is missing", "only the master" },
	{ "group key", A "group home { master = \"bob@home\" key = \"12\" }\n", "/d/p.conf:2: group.key = \"12\"", "40 hex" },
	{ "group name", A "group \"a b\" { master = \"alice@home\" }\n", "/d/p.conf:2: group a b: not a group name", "" },
	{ "member", A "group home { members = {\"x\"} }\n", "/d/p.conf:2: group.members = \"x\"", "" },
	{ "warn later than the end", A "queue { lifetime = \"1h\" }\n", "/d/p.conf:", "queue.warn_after" },
	{ "include", A "include(\"/etc/passwd\")\n", "/d/p.conf:2: no such option 'include'", "" },
	{ "control character", A "state = \"\"\nx\x01 = 5\n", "/d/p.conf:", "" },
};

START_TEST(bad_table)
{
	struct settings *s = settings_parse(NULL, "/d/p.conf", bad_rows[_i].text, &e);

	ck_assert_msg(!s, "case '%s': taken", bad_rows[_i].name);
	ck_assert_msg(!strncmp(e.text, bad_rows[_i].says, strlen(bad_rows[_i].says)) && strstr(e.text, bad_rows[_i].right),
	    "case '%s': %s", bad_rows[_i].name, e.text);
}
END_TEST

static struct settings *good(const char *text)
{
	struct settings *s = settings_parse(NULL, "/d/p.conf", text, &e);

	ck_assert_msg(s, "%s", e.text);
	return s;
}

START_TEST(defaults)
{
	struct settings *s = good("address = \"Alice@Home\"\n");

	ck_assert_str_eq(s->address, "alice@home");
	ck_assert_str_eq(s->state, "/var/spool/p2pmta");
	ck_assert_uint_eq(s->smtp.listen.n, 2);
	ck_assert_str_eq(s->smtp.listen.list[1], "[::1]:1025");
	ck_assert_ptr_null(s->smtp.listen.list[2]);
	ck_assert_int_eq(s->smtp.tls, TLS_STARTTLS);
	ck_assert_uint_eq(s->smtp.max_size, (uint64_t)1 << 30);
	ck_assert_uint_eq(s->smtp.max_recipients, 1000);
	ck_assert_str_eq(s->imap.listen.list[0], "127.0.0.1:1143");
	ck_assert_int_eq(s->imap.tls, TLS_STARTTLS);
	ck_assert(!s->imap.bulk_pull);
	ck_assert_str_eq(s->outbox.listen.list[0], "0.0.0.0:4180");
	ck_assert_uint_eq(s->outbox.url.n, 0);
	ck_assert_int_eq(s->outbox.validity_s, 30 * 86400);
	ck_assert_uint_eq(s->outbox.quota, (uint64_t)20 << 30);
	ck_assert_uint_eq(s->outbox.replica_quota, (uint64_t)20 << 30);
	ck_assert_uint_eq(s->dht.port, 4222);
	ck_assert_uint_eq(s->dht.bootstrap.n, 0);
	ck_assert_uint_eq(s->dht.network, 2718281);
	ck_assert(s->dht.discovery);
	ck_assert_int_eq(s->dht.poll_ms, 60000);
	ck_assert_uint_eq(s->n_groups, 0);
	ck_assert_int_eq(s->policy.unknown, UNKNOWN_REQUEST);
	ck_assert_uint_eq(s->policy.stamp, 18);
	ck_assert_uint_eq(s->policy.prefetch, 0);
	ck_assert(s->policy.rescue);
	ck_assert_int_eq(s->queue.lifetime_s, 5 * 86400);
	ck_assert_int_eq(s->queue.warn_after_s, 4 * 3600);
	ck_assert_str_eq(s->control.socket, "/var/spool/p2pmta/control");
	ck_assert_int_eq(s->log.level, LOG_LEVEL_INFO);
	ck_assert_str_eq(s->log.to, "stderr");
	ck_assert_str_eq(s->password, "/d/password");
	ck_assert_str_eq(s->tls_cert, "/d/tls.crt");
	ck_assert_str_eq(s->keys, "/var/spool/p2pmta/keys");
	talloc_free(s);
}
END_TEST

START_TEST(everything_given)
{
	struct settings *s = good("# a comment\naddress = \"alice@home\" // another\nstate = \"state\" /* third */\n"
	    "smtp { listen = {} tls = \"off\" max_size = \"64K\" max_recipients = 3 }\n"
	    "imap { listen = {\"unix:/run/x\"} tls = \"always\" bulk = \"pull\" }\n"
	    "outbox { listen = {\"h:1\"} url = {\"http://h:1/\", \"https://[2001:db8::1]/p//\"} validity = \"90s\" quota = \"2M\" replica_quota = 0 }\n"
	    "dht { port = 0 bootstrap = {\"[::1]:4222\", \"h.example:1\"} network = 0 discovery = off poll = \"1s\" }\n"
	    "group home { master = \"Alice@home\" members = {\"alice@home\", \"BOB@home\"} sync = \"2m\" }\n"
	    "group away.example { master = \"x@away.example\" key = \"0123456789ABCDEF0123456789ABCDEF01234567\" }\n"
	    "policy { unknown = \"refuse\" stamp = 0 prefetch = \"10K\" rescue = no }\n"
	    "queue { lifetime = \"2h\" warn_after = \"1m\" }\n"
	    "control { socket = \"c\" }\nlog { level = \"debug\" to = \"x.log\" }\n"
	    "smtp { max_recipients = 4 }\n");

	ck_assert_str_eq(s->state, "/d/state");
	ck_assert_uint_eq(s->smtp.listen.n, 0);
	ck_assert_int_eq(s->smtp.tls, TLS_OFF);
	ck_assert_uint_eq(s->smtp.max_size, 65536);
	ck_assert_uint_eq(s->smtp.max_recipients, 4);
	ck_assert_str_eq(s->imap.listen.list[0], "unix:/run/x");
	ck_assert_int_eq(s->imap.tls, TLS_ALWAYS);
	ck_assert(s->imap.bulk_pull);
	ck_assert_str_eq(s->outbox.listen.list[0], "h:1");
	ck_assert_str_eq(s->outbox.url.list[0], "http://h:1");
	ck_assert_str_eq(s->outbox.url.list[1], "https://[2001:db8::1]/p");
	ck_assert_int_eq(s->outbox.validity_s, 90);
	ck_assert_uint_eq(s->outbox.quota, 2 << 20);
	ck_assert_uint_eq(s->outbox.replica_quota, 0);
	ck_assert_uint_eq(s->dht.port, 0);
	ck_assert_str_eq(s->dht.bootstrap.list[1], "h.example:1");
	ck_assert_uint_eq(s->dht.network, 0);
	ck_assert(!s->dht.discovery);
	ck_assert_int_eq(s->dht.poll_ms, 1000);
	ck_assert_uint_eq(s->n_groups, 2);
	ck_assert_str_eq(s->groups[0].name, "home");
	ck_assert_str_eq(s->groups[0].master, "alice@home");
	ck_assert_str_eq(s->groups[0].members.list[1], "bob@home");
	ck_assert_int_eq(s->groups[0].sync_ms, 120000);
	ck_assert_str_eq(s->groups[1].key, "0123456789ABCDEF0123456789ABCDEF01234567");
	ck_assert_int_eq(s->policy.unknown, UNKNOWN_REFUSE);
	ck_assert_uint_eq(s->policy.prefetch, 10240);
	ck_assert(!s->policy.rescue);
	ck_assert_int_eq(s->queue.lifetime_s, 7200);
	ck_assert_str_eq(s->control.socket, "/d/c");
	ck_assert_int_eq(s->log.level, LOG_LEVEL_DEBUG);
	ck_assert_str_eq(s->log.to, "/d/x.log");
	talloc_free(s);
}
END_TEST

#define OLD_HASH "7460518eb1741d7be7b2914828b97011abdb01f2e6e94ff954490a5c74be5554"

START_TEST(files)
{
	char dir[] = "/tmp/settings.XXXXXX", file[64], fpr[41];

	ck_assert(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/p2pmta.conf", dir);
	ck_assert(!settings_load(NULL, file, &e));
	ck_assert(strstr(e.text, "No such file"));
	ck_assert(files_put(file, bytes_of(A "\0", sizeof(A)), &e) == OK);
	ck_assert(!settings_load(NULL, file, &e));
	ck_assert(strstr(e.text, "NUL"));
	ck_assert(files_put(file, bytes_str(A "state = \"s\"\n"), &e) == OK);
	struct scram_secret secret;
	struct settings *s = settings_load(NULL, file, &e);
	ck_assert_msg(s, "%s", e.text);

	ck_assert_int_eq(settings_get_fpr(s, fpr, &e), REJECT);
	ck_assert(files_mkdir(s->state, &e) == OK);
	ck_assert(settings_put_fpr(s->own_fpr, "0123456789ABCDEF0123456789ABCDEF01234567", &e) == OK);
	ck_assert_msg(settings_get_fpr(s, fpr, &e) == OK, "%s", e.text);
	ck_assert_str_eq(fpr, "0123456789ABCDEF0123456789ABCDEF01234567");

	ck_assert(!settings_check_password(s, ""));
	ck_assert_int_eq(settings_put_password(s->password, "", &e), REJECT);
	ck_assert(settings_put_password(s->password, "open sesame", &e) == OK);
	for (int i = 0; i < 2; i++) {
		ck_assert(settings_check_password(s, "open sesame"));
		ck_assert(!settings_check_password(s, "open sesam"));
		ck_assert(!settings_check_password(s, ""));
	}
	ck_assert(settings_put_password(s->password, "other", &e) == OK);
	ck_assert(!settings_check_password(s, "open sesame"));
	ck_assert(settings_check_password(s, "other"));
	ck_assert(settings_get_secret(s, &secret));
	ck_assert(scram_secret_matches(&secret, "other"));
	/* Typed on another keyboard it is the same, also once it is remembered. */
	ck_assert(settings_put_password(s->password, "gr\xc3\xbc\xc3\x9f dich", &e) == OK);
	for (int i = 0; i < 2; i++) {
		ck_assert(settings_check_password(s, "gr\xc3\xbc\xc3\x9f dich"));
		ck_assert(settings_check_password(s, "gru\xcc\x88\xc3\x9f\xc2\xa0" "dich"));
		ck_assert(!settings_check_password(s, "gru\xc3\x9f dich"));
	}
	/* Of earlier versions: PBKDF2 of "password" with the salt of 16 zeros. */
	ck_assert(files_put(s->password, bytes_str("pbkdf2-sha256 1000 00000000000000000000000000000000 " OLD_HASH "\n"), &e) == OK);
	ck_assert(settings_check_password(s, "password"));
	ck_assert(!settings_check_password(s, "other"));
	ck_assert(settings_get_secret(s, &secret));
	ck_assert(scram_secret_matches(&secret, "password"));
	ck_assert(files_put(s->password, bytes_str("pbkdf2-sha256 99999999 00 11\n"), &e) == OK);
	ck_assert(!settings_get_secret(s, &secret));
	ck_assert(!settings_check_password(s, "other"));
	unlink(s->password);
	ck_assert(!settings_check_password(s, "other"));
	unlink(s->own_fpr);
	rmdir(s->state);
	unlink(file);
	rmdir(dir);
	talloc_free(s);
}
END_TEST

/* conf/p2pmta.conf as it is, and with every key taken out of its comment, is what the defaults are. */
START_TEST(example)
{
	const char *top = getenv("srcdir");
	char *path = mem_printf(NULL, "%s/conf/p2pmta.conf", top ? top : ".");
	struct settings *s = settings_load(NULL, path, &e);
	struct bytes text;

	talloc_free(path);
	ck_assert_msg(s, "%s", e.text);
	ck_assert_msg(files_get(s, s->file, 1 << 16, &text, &e) == OK, "%s", e.text);
	char *all = mem_strdup(s, (const char *)text.data);
	for (char *c = all; *c; c++)
		if (*c == '#' && c[1] != ' ' && c[1] != '\n')
			*c = ' ';
	struct settings *t = settings_parse(s, s->file, all, &e);
	ck_assert(!t && strstr(e.text, "group home: master is missing"));
	char *master = strstr(all, "master = \"\"");
	t = settings_parse(s, s->file, mem_printf(s, "%.*smaster = \"alice@home\"%s", (int)(master - all), all, master + 11), &e);
	ck_assert_msg(t, "%s", e.text);
	ck_assert_str_eq(t->state, s->state);
	ck_assert_uint_eq(t->smtp.max_size, s->smtp.max_size);
	ck_assert_str_eq(t->log.to, s->log.to);
	talloc_free(s);
}
END_TEST

/* RFC 7914 section 11. */
START_TEST(pbkdf2_vector)
{
	uint8_t out[DIGEST_LEN];
	char hex[DIGEST_HEX];

	digest_pbkdf2(bytes_str("passwd"), bytes_str("salt"), 1, out);
	hex_print(bytes_of(out, sizeof(out)), hex);
	ck_assert_str_eq(hex, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
}
END_TEST

UNIT_SUITE("settings")
{
	UNIT_LOOP(bad_table, bad_rows);
	UNIT(defaults);
	UNIT(everything_given);
	UNIT(files);
	UNIT(example);
	UNIT(pbkdf2_vector);
}
UNIT_END
