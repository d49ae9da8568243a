/* TLS on connections, the client being OpenSSL's in a thread of its own; certificates of our own making. */
#include "unit/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/base/bytes.h"
#include "lib/base/files.h"
#include "lib/base/mem.h"
#include "lib/loop/conn.h"
#include "lib/loop/door.h"

static void *ctx;
static char *home, *cert, *key;
static struct tls *tls;
static struct err e;
static struct door *door;
static int n_clients_done;

struct server {
	struct conn *c;
	struct buf *lines;
	int n_lines, n_closed;
	size_t n_octets;
	char why[200];
};

static struct server *s;

/* The client: a thread with a blocking descriptor. */
struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	pthread_t thread;
	const char *fault;	/* NULL: all went well */
};

static struct client client;

static void set_up(void)
{
	char template[] = "/tmp/p2pmta-tls.XXXXXX";

	turns_begin();
	ctx = mem_ctx(NULL);
	home = mem_strdup(ctx, mkdtemp(template));
	cert = mem_printf(ctx, "%s/cert.pem", home);
	key = mem_printf(ctx, "%s/key.pem", home);
	ck_assert_msg(tls_make_self_signed("alice@home", cert, key, &e) == OK, "%s", e.text);
	tls = tls_new(cert, key, &e);
	ck_assert_msg(tls != NULL, "%s", e.text);
	door = door_new(loop, 10, &e);
	s = mem_zero(ctx, struct server);
	s->lines = buf_new(s, 1 << 20);
}

static void tear_down(void)
{
	char *command = mem_printf(ctx, "rm -rf '%s'", home);

	conn_free(&s->c);
	turns_some(2);
	tls_free(&tls);
	door_free(&door);
	turns_end();
	ck_assert_int_eq(system(command), 0);
	talloc_free(ctx);
}

static int open_file(size_t len)
{
	char *path, *text = mem_array(ctx, char, len);
	int fd = files_tmp(ctx, "/tmp", &path, NULL);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	memset(text, 'f', len);
	ck_assert_int_eq(files_write(fd, text, len), 0);
	return fd;
}

static void take_line(const char *line, size_t len)
{
	s->n_lines++;
	if (len < 100) {
		buf_add(s->lines, line, len);
		buf_adds(s->lines, "|");
	}
	if (len == 8 && memcmp(line, "STARTTLS", 8) == 0) {
		conn_write(s->c, "220 go\n", 7);
		conn_start_tls(s->c, tls);
	} else if (len == 4 && memcmp(line, "FILE", 4) == 0) {
		conn_write(s->c, "<", 1);
		conn_write_file(s->c, open_file(3000000), 0, 3000000);
		conn_write(s->c, ">\n", 2);
	} else if (len == 4 && memcmp(line, "QUIT", 4) == 0) {
		conn_write(s->c, "221 bye\n", 8);
		conn_finish(s->c);
	} else if (len < 100) {
		conn_printf(s->c, "250 %.*s\n", (int)len, line);
	}
}

static size_t on_data(void *arg, const char *data, size_t len)
{
	const char *nl = memchr(data, '\n', len);

	(void)arg;
	if (nl == NULL)
		return 0;
	size_t used = (size_t)(nl - data) + 1;

	s->n_octets += used;
	take_line(data, used - 1);
	return used;
}

static void on_close(void *arg, const char *why)
{
	(void)arg;
	s->n_closed++;
	strncpy(s->why, why, sizeof(s->why) - 1);
	conn_free(&s->c);
}

static const struct conn_hooks hooks = { on_data, NULL, on_close };

/* ---- in the client's thread; the first fault counts ---- */

static void expect(bool ok, const char *what)
{
	if (!ok && client.fault == NULL)
		client.fault = what;
}

static void send_plain(const char *text)
{
	expect(files_write(client.fd, text, strlen(text)) == 0, text);
}

static void want_plain(const char *text)
{
	char got[100] = "";

	expect(files_read(client.fd, got, strlen(text)) == (ssize_t)strlen(text) && strcmp(got, text) == 0, text);
}

static void shake_hands(void)
{
	expect(SSL_connect(client.ssl) == 1, "handshake");
	expect(SSL_get_verify_result(client.ssl) == X509_V_OK, "certificate");
}

static void send_tls(const char *text)
{
	expect(SSL_write(client.ssl, text, (int)strlen(text)) == (int)strlen(text), text);
}

static void want_tls(const char *text)
{
	char got[100] = "";
	int n = 0, len = (int)strlen(text);

	while (n < len) {
		int more = SSL_read(client.ssl, got + n, len - n);

		if (more <= 0)
			break;
		n += more;
	}
	expect(strcmp(got, text) == 0, text);
}

static void want_end(void)
{
	char c;
	int n = SSL_read(client.ssl, &c, 1);

	expect(n <= 0 && SSL_get_error(client.ssl, n) == SSL_ERROR_ZERO_RETURN, "close_notify");
}

static void client_done(void *arg)
{
	(void)arg;
	n_clients_done++;
}

static void *client_main(void *script)
{
	union { void *p; void (*run)(void); } u = { script };

	u.run();
	ck_assert(post_send(door, client_done, NULL, NULL));
	return NULL;
}

static void start_client(void (*script)(void), int64_t idle_ms, size_t max_input)
{
	const struct conn_settings settings = { .max_input = max_input, .low = 1000, .idle_ms = idle_ms };
	union { void (*run)(void); void *p; } u = { script };
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	client.fd = fd[1];
	client.ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(client.ctx, SSL_VERIFY_PEER, NULL);
	ck_assert_int_eq(SSL_CTX_load_verify_locations(client.ctx, cert, NULL), 1);
	client.ssl = SSL_new(client.ctx);
	SSL_set_fd(client.ssl, client.fd);
	SSL_set1_host(client.ssl, "localhost");
	s->c = conn_new(loop, fd[0], &settings, &hooks, NULL);
	ck_assert_int_eq(pthread_create(&client.thread, NULL, client_main, u.p), 0);
}

static void end_client(void)
{
	turns_until(&n_clients_done, 1);
	pthread_join(client.thread, NULL);
	SSL_free(client.ssl);
	SSL_CTX_free(client.ctx);
	close(client.fd);
	ck_assert_msg(client.fault == NULL, "client: %s", client.fault);
}

/* What came with STARTTLS in the clear is never taken for what comes protected. */
static void starttls_script(void)
{
	send_plain("HELO\nSTARTTLS\nINJECTED\nHALF");
	want_plain("250 HELO\n220 go\n");
	shake_hands();
	send_tls("hello\n");
	want_tls("250 hello\n");
	send_tls("QUIT\n");
	want_tls("221 bye\n");
	want_end();
}

START_TEST(starttls_discards_what_came_before)
{
	start_client(starttls_script, 0, 1000);
	end_client();
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->lines->data, "HELO|STARTTLS|hello|QUIT|");
	ck_assert_str_eq(s->why, "closed");
}
END_TEST

/* It came while the session was busy: it still lies in the kernel, or in the buffer. */
static void starttls_late_script(void)
{
	static char text[10000] = "STARTTLS\n";

	for (size_t len = 9; len + 10 < sizeof(text); len += 9)
		strcpy(text + len, "INJECTED\n");
	send_plain(text);
	want_plain("220 go\n");
	shake_hands();
	send_tls("hello\n");
	want_tls("250 hello\n");
}

static void when_sent(void *arg)
{
	conn_resume(arg);
}

START_TEST(starttls_discards_the_kernel_too)
{
	start_client(starttls_late_script, 0, 100);
	conn_pause(s->c);
	struct timer *t = timer_new(loop, when_sent, s->c);

	timer_set(t, 200);
	end_client();
	ck_assert_str_eq(s->lines->data, "STARTTLS|hello|");
	timer_free(&t);
}
END_TEST

static void implicit_script(void)
{
	shake_hands();
	expect(SSL_version(client.ssl) >= TLS1_2_VERSION, "version");
	want_tls("220 hi\n");
	send_tls("hello\n");
	want_tls("250 hello\n");
}

START_TEST(tls_from_the_first_octet)
{
	start_client(implicit_script, 0, 1000);
	conn_start_tls(s->c, tls);
	ck_assert(conn_is_tls(s->c));
	conn_write(s->c, "220 hi\n", 7);
	end_client();
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "closed by peer");
}
END_TEST

/* A session that ends at once still says why. */
static void refused_script(void)
{
	shake_hands();
	want_tls("421 too many\n");
	want_end();
}

START_TEST(finish_during_the_handshake)
{
	start_client(refused_script, 0, 1000);
	conn_start_tls(s->c, tls);
	conn_write(s->c, "421 too many\n", 13);
	conn_finish(s->c);
	end_client();
	turns_until(&s->n_closed, 1);
	ck_assert_str_eq(s->why, "closed");
}
END_TEST

static void file_script(void)
{
	static char block[3000003];
	int n = 0;

	shake_hands();
	send_tls("FILE\nnext\n");
	while (n < (int)sizeof(block)) {
		int more = SSL_read(client.ssl, block + n, (int)sizeof(block) - n);

		if (more <= 0)
			break;
		n += more;
	}
	expect(n == sizeof(block) && block[0] == '<' && block[1] == 'f' && block[3000000] == 'f' &&
	    block[3000001] == '>' && block[3000002] == '\n', "the file");
	want_tls("250 next\n");
}

START_TEST(files_over_tls)
{
	start_client(file_script, 0, 1000);
	conn_start_tls(s->c, tls);
	end_client();
}
END_TEST

/* Whole TLS records do not fit the session's buffer; nothing may be left in OpenSSL's. */
static void flood_script(void)
{
	static char lines[64 * 1000];

	for (size_t i = 0; i < sizeof(lines); i++)
		lines[i] = i % 1000 == 999 ? '\n' : 'x';
	shake_hands();
	for (int i = 0; i < 30; i++)
		expect(SSL_write(client.ssl, lines, sizeof(lines)) == sizeof(lines), "flood");
	send_tls("done\n");
	want_tls("250 done\n");
}

START_TEST(flood_over_tls)
{
	start_client(flood_script, 0, 1500);
	conn_start_tls(s->c, tls);
	end_client();
	ck_assert_int_eq(s->n_lines, 30 * 64 + 1);
	ck_assert_uint_eq(s->n_octets, 30 * 64000 + 5);
}
END_TEST

static void garbage_script(void)
{
	char c[100];

	send_plain("this is no handshake at all\r\n");
	while (read(client.fd, c, sizeof(c)) > 0)
		;
}

START_TEST(garbage_instead_of_a_handshake)
{
	start_client(garbage_script, 0, 1000);
	conn_start_tls(s->c, tls);
	end_client();
	turns_until(&s->n_closed, 1);
	ck_assert_msg(strncmp(s->why, "TLS: ", 5) == 0, "%s", s->why);
}
END_TEST

static void silent_script(void)
{
	char c;

	expect(read(client.fd, &c, 1) == 0, "end");
}

START_TEST(idle_during_the_handshake)
{
	start_client(silent_script, 30, 1000);
	conn_start_tls(s->c, tls);
	end_client();
	ck_assert_str_eq(s->why, "idle");
}
END_TEST

static void old_script(void)
{
	SSL_set_security_level(client.ssl, 0);
	SSL_set_min_proto_version(client.ssl, TLS1_VERSION);
	SSL_set_max_proto_version(client.ssl, TLS1_1_VERSION);
	expect(SSL_connect(client.ssl) <= 0, "TLS 1.1 was taken");
}

START_TEST(old_versions_are_refused)
{
	start_client(old_script, 0, 1000);
	conn_start_tls(s->c, tls);
	end_client();
	turns_until(&s->n_closed, 1);
	ck_assert_msg(strncmp(s->why, "TLS: ", 5) == 0, "%s", s->why);
}
END_TEST

START_TEST(free_during_the_handshake)
{
	start_client(silent_script, 0, 1000);
	conn_start_tls(s->c, tls);
	turns_some(_i);
	conn_free(&s->c);
	end_client();
	ck_assert_int_eq(s->n_closed, 0);
}
END_TEST

/* A session made of certificate and key that do not fit, or are not there. */
START_TEST(tls_new_refuses)
{
	char *other = mem_printf(ctx, "%s/other.pem", home), *other_key = mem_printf(ctx, "%s/other-key.pem", home);

	ck_assert_ptr_null(tls_new(other, key, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "other.pem"));
	ck_assert_ptr_null(tls_new(cert, other, &e));
	ck_assert_int_eq(tls_make_self_signed("bob", other, other_key, &e), OK);
	ck_assert_ptr_null(tls_new(cert, other_key, &e));
	ck_assert_int_eq(files_put(other, bytes_str("no PEM"), &e), OK);
	ck_assert_ptr_null(tls_new(other, key, &e));
	ck_assert_int_eq(files_put(mem_printf(ctx, "%s/file", home), bytes_str(""), &e), OK);
	ck_assert_int_eq(tls_make_self_signed("bob", other, mem_printf(ctx, "%s/file/x", home), &e), RETRY);
}
END_TEST

/* Another certificate for whoever comes next; a wrong one changes nothing. */
static void reload_script(void)
{
	shake_hands();
	send_tls("QUIT\n");
	want_tls("221 bye\n");
	want_end();
}

START_TEST(tls_reloads)
{
	char *other = mem_printf(ctx, "%s/other.pem", home), *other_key = mem_printf(ctx, "%s/other-key.pem", home);
	char *first = cert;

	ck_assert_int_eq(tls_make_self_signed("bob@home", other, other_key, &e), OK);
	ck_assert_int_eq(tls_reload(tls, other, key, &e), REJECT);
	ck_assert_int_eq(tls_reload(tls, mem_printf(ctx, "%s/none", home), key, &e), REJECT);
	start_client(reload_script, 0, 1000);	/* trusts cert alone */
	conn_start_tls(s->c, tls);
	/* The connection is under way: it goes on with what it had. */
	ck_assert_int_eq(tls_reload(tls, other, other_key, &e), OK);
	end_client();
	turns_until(&s->n_closed, 1);
	n_clients_done = 0;
	cert = other;
	start_client(reload_script, 0, 1000);
	conn_start_tls(s->c, tls);
	end_client();
	turns_until(&s->n_closed, 2);
	cert = first;
}
END_TEST

static const struct { const char *name, *names, *host, *email; } cert_cases[] = {
	{ "address", "alice@home", "localhost", "alice@home" },
	{ "host", "mail.example", "mail.example", NULL },
	{ "localhost itself", "localhost", "localhost", NULL },
	{ "empty", "", "localhost", NULL },
	{ "not ASCII", "j\xc3\xbcrgen@home", "localhost", NULL },
	{ "long", "a-very-long-name-that-does-not-fit-a-common-name-which-ends-at-64@example.org", "localhost",
	  "a-very-long-name-that-does-not-fit-a-common-name-which-ends-at-64@example.org" },
};

START_TEST(certificates)
{
	struct stat st;

	ck_assert_int_eq(tls_make_self_signed(cert_cases[_i].names, cert, key, &e), OK);
	ck_assert_int_eq(stat(key, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(cert, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);

	FILE *f = fopen(cert, "re");
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	ck_assert_int_eq(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_host(x, cert_cases[_i].host, 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	ck_assert_int_eq(X509_check_ip_asc(x, "::1", 0), 1);
	ck_assert_int_eq(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	if (cert_cases[_i].email != NULL)
		ck_assert_int_eq(X509_check_email(x, cert_cases[_i].email, 0, 0), 1);
	X509_free(x);
}
END_TEST

UNIT_SUITE("loop_tls")
	tcase_add_checked_fixture(unit_case, set_up, tear_down);
	UNIT(starttls_discards_what_came_before);
	UNIT(starttls_discards_the_kernel_too);
	UNIT(tls_from_the_first_octet);
	UNIT(finish_during_the_handshake);
	UNIT(files_over_tls);
	UNIT(flood_over_tls);
	UNIT(garbage_instead_of_a_handshake);
	UNIT(idle_during_the_handshake);
	UNIT(old_versions_are_refused);
	tcase_add_loop_test(unit_case, free_during_the_handshake, 0, 4);
	UNIT(tls_new_refuses);
	UNIT(tls_reloads);
	UNIT_LOOP(certificates, cert_cases);
UNIT_END
