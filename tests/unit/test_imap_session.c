/*
 * Scenes against the real server (tests/unit/imap_host, a process of its own)
 * over sockets, several sessions at once. A scene is lines:
 *
 *	L1 [BOX]	session 1 connects, logs in, selects BOX
 *	O1		connects only
 *	C1 text		sends text and a line end
 *	S1 pattern	the next line is this; '%' stands for anything
 *	D1 tag pattern	all lines to the tagged answer, which is "tag pattern"; with "*" for the tag to a line that is so
 *	N1		nothing is there for session 1 now
 *	E1		the server ends the connection
 *	X1		the client does
 *	H command	for the host; MSG and BIG are files
 *	R1 MSG		the next line announces a literal, which is this file
 *	V1 BOX		asks for the UIDVALIDITY of BOX, for which @UV@ stands from now on
 *
 * They stand in imap_scenes.h and, by capability, in tests/scenes/imap-*.scene.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/files.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "unit/unit.h"

enum { N_SESSIONS = 4, LINE = 64 * 1024 };

static const char message[] = "From: Ann <ann@example.org>\r\nTo: user@home\r\nSubject: hello\r\n"
    "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\nsome words\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nR3L832U=\r\n--b--\r\n";

static struct {
	void *ctx;
	pid_t pid;
	FILE *to, *from;
	char *dir;
	unsigned port;
	FILE *session[N_SESSIONS];
	const char *scene;
	char uidvalidity[16];
} t;

/* ---- the host ---- */

static void write_file(const char *name, const char *data, size_t len)
{
	struct err e;

	ck_assert_msg(files_put(mem_printf(t.ctx, "%s/%s", t.dir, name), bytes_of(data, len), &e) == OK, "%s", e.text);
}

static void write_messages(void)
{
	size_t len = 3 * 1024 * 1024;
	char *big = mem_array(t.ctx, char, len);

	write_file("MSG", message, sizeof(message) - 1);
	memset(big, 'x', len);
	for (size_t i = 78; i + 1 < len; i += 80)
		memcpy(big + i, "\r\n", 2);
	memcpy(big, "Subject: big\r\n\r\n", 16);
	write_file("BIG", big, len);
}

static void start(void)
{
	int in[2], out[2];
	char dir[] = "/tmp/imapXXXXXX";

	t.ctx = mem_ctx(NULL);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	t.dir = mem_strdup(t.ctx, dir);
	write_messages();
	ck_assert(pipe(in) == 0 && pipe(out) == 0);
	t.pid = fork();
	if (t.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("tests/unit/imap_host", "imap_host", mem_printf(t.ctx, "%s/state", t.dir), (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t.to = fdopen(in[1], "w");
	t.from = fdopen(out[0], "r");
	char line[64] = "";

	ck_assert_msg(fgets(line, sizeof(line), t.from) && sscanf(line, "port %u", &t.port) == 1, "the host did not start");
}

static void stop(void)
{
	int status = -1;

	for (unsigned i = 0; i < N_SESSIONS; i++)
		if (t.session[i])
			fclose(t.session[i]);
	memset(t.session, 0, sizeof(t.session));
	fclose(t.to);
	fclose(t.from);
	waitpid(t.pid, &status, 0);
	ck_assert_msg(status == 0, "scene '%s': the host ended with %d", t.scene, status);
	ck_assert_int_eq(system(mem_printf(t.ctx, "rm -rf %s", t.dir)), 0);
	talloc_free(t.ctx);
}

/* ---- one line of a scene ---- */

static bool matches(const char *pattern, const char *text)
{
	const char *rest = strchr(pattern, '%');

	if (!rest)
		return strcmp(pattern, text) == 0;
	if (strncmp(pattern, text, (size_t)(rest - pattern)) != 0)
		return false;
	for (text += rest - pattern;; text++) {
		if (matches(rest + 1, text))
			return true;
		if (*text == '\0')
			return false;
	}
}

static const char *read_line(unsigned i, char *line)
{
	if (!fgets(line, LINE, t.session[i]))
		return NULL;
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

static void expect(unsigned i, const char *pattern)
{
	static char line[LINE];
	const char *got = read_line(i, line);

	ck_assert_msg(got != NULL, "scene '%s': end instead of '%s' (%s)", t.scene, pattern, strerror(errno));
	ck_assert_msg(matches(pattern, got), "scene '%s': '%s' instead of '%s'", t.scene, got, pattern);
}

static void drain(unsigned i, const char *pattern)
{
	static char line[LINE];
	size_t tag = strcspn(pattern, " ");

	do {
		ck_assert_msg(read_line(i, line) != NULL, "scene '%s': end before '%s'", t.scene, pattern);
	} while (tag == 1 && pattern[0] == '*' ? !matches(pattern, line) : strncmp(line, pattern, tag) != 0 || line[tag] != ' ');
	ck_assert_msg(matches(pattern, line), "scene '%s': '%s' instead of '%s'", t.scene, line, pattern);
}

static void expect_nothing(unsigned i)
{
	static char line[LINE];
	int fd = fileno(t.session[i]), flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	ck_assert_msg(read_line(i, line) == NULL, "scene '%s': '%s' too early", t.scene, line);
	ck_assert_msg(errno == EAGAIN, "scene '%s': %s", t.scene, strerror(errno));
	fcntl(fd, F_SETFL, flags);
	clearerr(t.session[i]);
}

static void connect_session(unsigned i)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)t.port) };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (t.session[i])
		fclose(t.session[i]);
	t.session[i] = fdopen(fd, "r+");
	expect(i, "* OK [CAPABILITY %");
}

static void say(unsigned i, const char *text, size_t len)
{
	int fd = fileno(t.session[i]);

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		ck_assert_msg(n > 0, "scene '%s': send", t.scene);
		text += n;
		len -= (size_t)n;
	}
}

static void host(const char *command)
{
	static char line[LINE];

	for (const char *p = command; *p; p++) {
		if (strncmp(p, "MSG", 3) == 0 || strncmp(p, "BIG", 3) == 0) {
			fprintf(t.to, "%s/", t.dir);
		}
		fputc(*p, t.to);
	}
	fputc('\n', t.to);
	fflush(t.to);
	ck_assert_ptr_nonnull(fgets(line, LINE, t.from));
	ck_assert_msg(strncmp(line, "ok", 2) == 0, "scene '%s': host: %s", t.scene, line);
}

static void expect_file(unsigned i, const char *name)
{
	static char line[LINE];
	void *ctx = mem_ctx(NULL);
	struct bytes want;
	struct err e;

	ck_assert(files_get(ctx, mem_printf(ctx, "%s/%s", t.dir, name), MIB(16), &want, &e) == OK);
	char *got = mem_array(ctx, char, want.len);

	ck_assert_ptr_nonnull(read_line(i, line));
	ck_assert_msg(matches(mem_printf(ctx, "%%{%zu}", want.len), line), "scene '%s': '%s'", t.scene, line);
	ck_assert(fread(got, 1, want.len, t.session[i]) == want.len);
	ck_assert_msg(memcmp(got, want.data, want.len) == 0, "scene '%s': octets differ", t.scene);
	talloc_free(ctx);
}

static void ask_uidvalidity(unsigned i, const char *box)
{
	static char line[LINE];
	char *status = mem_printf(t.ctx, "v STATUS %s (UIDVALIDITY)\r\n", box);

	say(i, status, strlen(status));
	ck_assert_ptr_nonnull(read_line(i, line));
	const char *value = strstr(line, "(UIDVALIDITY ");

	ck_assert_ptr_nonnull(value);
	snprintf(t.uidvalidity, sizeof(t.uidvalidity), "%.*s", (int)strcspn(value + 13, ")"), value + 13);
	expect(i, "v OK %");
}

/* With @UV@ replaced. */
static const char *filled_in(const char *text)
{
	const char *at = strstr(text, "@UV@");

	return at ? filled_in(mem_printf(t.ctx, "%.*s%s%s", (int)(at - text), text, t.uidvalidity, at + 4)) : text;
}

static void do_line(char *line)
{
	unsigned i = line[0] && line[1] ? (unsigned)(line[1] - '0') % N_SESSIONS : 0;
	const char *text = strlen(line) > 3 ? filled_in(line + 3) : "";

	switch (line[0]) {
	case 'H':
		host(line + 2);
		break;
	case 'O':
		connect_session(i);
		break;
	case 'L':
		connect_session(i);
		say(i, "l LOGIN user pass\r\n", 19);
		drain(i, "l OK [CAPABILITY %");
		if (text[0]) {
			char *select = mem_printf(t.ctx, "s SELECT %s\r\n", text);

			say(i, select, strlen(select));
			drain(i, "s OK [READ-WRITE] %");
		}
		break;
	case 'C':
		text = mem_printf(t.ctx, "%s\r\n", text);
		say(i, text, strlen(text));
		break;
	case 'S':
		expect(i, text);
		break;
	case 'D':
		drain(i, text);
		break;
	case 'N':
		expect_nothing(i);
		break;
	case 'R':
		expect_file(i, text);
		break;
	case 'V':
		ask_uidvalidity(i, text);
		break;
	case 'X':
		fclose(t.session[i]);
		t.session[i] = NULL;
		break;
	case 'E':
		ck_assert_msg(fgetc(t.session[i]) == EOF, "scene '%s': no end", t.scene);
		break;
	default:
		ck_abort_msg("scene '%s': '%s'", t.scene, line);
	}
}

#include "unit/imap_scenes.h"

static void play(const char *name, const char *script)
{
	char *save = NULL;

	t.scene = name;
	start();
	char *text = mem_strdup(t.ctx, script);

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		do_line(line);
	stop();
}

START_TEST(session_scenes)
{
	play(scenes[_i].name, scenes[_i].text);
}
END_TEST

/* ---- tests/scenes/imap-*.scene ---- */

enum { N_FILED = 256 };

static struct { char *name, *text; } filed[N_FILED];
static int n_filed;

static void read_scenes(const char *path)
{
	char line[8192];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "== ", 3) == 0 && n_filed < N_FILED) {
			line[strcspn(line, "\n")] = '\0';
			filed[n_filed].name = mem_printf(NULL, "%s: %s", strrchr(path, '/') + 1, line + 3);
			filed[n_filed++].text = mem_strdup(NULL, "");
		} else if (n_filed > 0 && line[0] != '#') {
			filed[n_filed - 1].text = talloc_strdup_append(filed[n_filed - 1].text, line);
		}
	}
	if (f)
		fclose(f);
}

static int find_scenes(void)
{
	const char *top = getenv("srcdir");
	char *pattern = mem_printf(NULL, "%s/tests/scenes/imap-*.scene", top ? top : ".");
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_scenes(found.gl_pathv[i]);
		globfree(&found);
	}
	talloc_free(pattern);
	return n_filed;
}

START_TEST(filed_scenes)
{
	play(filed[_i].name, filed[_i].text);
}
END_TEST

START_TEST(scenes_found)
{
	ck_assert_msg(n_filed > 0, "no tests/scenes/imap-*.scene");
}
END_TEST

UNIT_SUITE("imap_session")
{
	tcase_add_loop_test(unit_case, filed_scenes, 0, find_scenes());
	UNIT(scenes_found);
	UNIT_LOOP(session_scenes, scenes);
}
UNIT_END
