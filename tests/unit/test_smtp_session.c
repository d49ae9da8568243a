/* The SMTP dialogue: what is said and what comes of it. Limits, ends and floods: test_smtp_limits.c. */
#include "unit/smtp_host.h"
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEPS 40
static const struct { const char *name, *steps[STEPS]; } scenes[] = {
	{ "AUTH SCRAM-SHA-256", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH SCRAM-SHA-256 " SCRAM, "S 334 ", "P secret", "S 334 dj", "C ",
		"S 235 2.7.0", "C AUTH SCRAM-SHA-256", "S 503 5.5.1", ENVELOPE } },
	{ "SCRAM without a first word, given up, then done", { "S 220 ", "C EHLO x", "S 250 ", "C auth scram-sha-256", "S 334 ", "C " SCRAM, "S 334 ",
		"P secret", "S 334 dj", "C *", "S 501 5.7.0", "C MAIL FROM:<alice@home>", "S 530 ", "C AUTH SCRAM-SHA-256 " SCRAM, "S 334 ",
		"P secret", "S 334 dj", "C YQ==", "S 501 5.5.2", "C MAIL FROM:<alice@home>", "S 530 " } },
	{ "SCRAM with a wrong password", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH SCRAM-SHA-256 " SCRAM, "S 334 ", "P Secret", "S 535 5.7.8",
		"C AUTH SCRAM-SHA-256 " SCRAM, "S 334 ", "P secret", "S 334 dj", "C ", "S 235 " } },
	{ "hello and bye", { "S 220 home ESMTP", "C HELO x", "S 250 home", "C QUIT", "S 221 2.0.0", "E" } },
	{ "ESMTP", { "S 220 ", "C ehlo [127.0.0.1]", "S 250 HELP", "C quit", "S 221 2.0.0", "E" } },
	{ "nothing before EHLO", { "S 220 ", "C MAIL FROM:<alice@home>", "S 530 5.7.0", "C AUTH PLAIN " PLAIN, "S 503 5.5.1",
		"C STARTTLS", "S 503 5.5.1", "C RSET", "S 250 2.0.0", "C NOOP", "S 250 2.0.0", "C HELP", "S 214 2.0.0",
		"C VRFY x", "S 252 2.5.2" } },
	{ "a login is needed", { "S 220 ", "C EHLO x", "S 250 ", "C MAIL FROM:<alice@home>", "S 530 5.7.0",
		"C RCPT TO:<bob@home>", "S 530 5.7.0", "C DATA", "S 530 5.7.0" } },
	{ "no AUTH after HELO", { "S 220 ", "C HELO x", "S 250 ", "C AUTH PLAIN " PLAIN, "S 503 5.5.1" } },
	{ "arguments", { "S 220 ", "C EHLO", "S 501 5.5.4", "C HELO", "S 501 5.5.4", "C NOOP x", "S 250", "C RSET x", "S 501 5.5.4",
		"C QUIT x", "S 501 5.5.4", "C VRFY", "S 501 5.5.4", "C AUTH", "S 503" } },
	{ "no commands", { "S 220 ", "C FOO", "S 500 5.5.1", "C ", "S 500 5.5.1", "C EXPN x", "S 502 5.5.1", "C EHLOX y", "S 500 5.5.1", "C  EHLO y", "S 500" } },
	{ "no STARTTLS", { "S 220 ", "C EHLO x", "S 250 ", "C STARTTLS", "S 502 5.5.1" } },
	{ "AUTH PLAIN", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN", "S 334 ", "C " PLAIN, "S 235 2.7.0",
		"C AUTH PLAIN " PLAIN, "S 503 5.5.1", "C EHLO x", "S 250 ", ENVELOPE } },
	{ "AUTH LOGIN", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C " USER,
		"S 334 UGFzc3dvcmQ6", "C " PASSWORD, "S 235 2.7.0" } },
	{ "AUTH LOGIN with the address at once", { "S 220 ", "C EHLO x", "S 250 ", "C auth login " ADDRESS,
		"S 334 UGFzc3dvcmQ6", "C " PASSWORD, "S 235 2.7.0" } },
	{ "AUTH given up", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 ", "C *", "S 501 5.7.0", "C AUTH LOGIN " USER,
		"S 334 ", "C *", "S 501 5.7.0", "C AUTH PLAIN", "S 334 ", "C *", "S 501 5.7.0", "C NOOP", "S 250 " } },
	{ "AUTH nonsense", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH CRAM-MD5", "S 504 5.5.4", "C AUTH PLAIN !", "S 501 5.5.2",
		"C AUTH PLAIN =", "S 501 5.5.2", "C AUTH PLAIN AAAA", "S 501 5.5.2", "C AUTH PLAIN YQ==", "S 501 5.5.2",
		"C AUTH LOGIN AA==", "S 501 5.5.2", "C AUTH PLAIN AGEAYgBj", "S 501 5.5.2", "C AUTH PLAIN  " PLAIN, "S 501 5.5.2",
		"C AUTH PLAIN " PLAIN, "S 235 " } },
	{ "wrong once", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 5.7.8",
		"C MAIL FROM:<alice@home>", "S 530 5.7.0", "C AUTH PLAIN " PLAIN, "S 235 " } },
	{ "wrong five times", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ",
		"C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ",
		"C AUTH LOGIN " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH LOGIN " USER, "S 334 ", "C " WRONG,
		"S 421 4.7.0", "E" } },
	/* "bob\0alice\0secret" and "alice\0alice\0secret" */
	{ "acting for another", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==", "S 535 ",
		"C AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0", "S 235 " } },
	{ "senders", { LOGIN, "C MAIL FROM:<bob@home>", "S 550 5.7.1", "C MAIL FROM:<>", "S 550 5.7.1", "C MAIL FROM:<alice>",
		"S 501 5.1.7", "C MAIL FROM:<alice@home", "S 501 5.5.4", "C MAIL FROM:alice@home", "S 501 5.5.4",
		"C MAIL TO:<alice@home>", "S 501 5.5.4", "C MAIL FROM:<alice@home>x", "S 501 5.5.4", "C MAIL", "S 501 5.5.4" } },
	{ "own senders", { LOGIN, "C MAIL FROM:<alice@home>", "S 250 ", "C RSET", "S 250 ", "C mail from: <Alice@HOME>", "S 250 ",
		"C RSET", "S 250 ", "C MAIL FROM:<alice+tag@home>", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<@a,@b:alice@home>", "S 250 " } },
	{ "parameters", { LOGIN, "C MAIL FROM:<alice@home> SIZE=2000000 BODY=8BITMIME AUTH=<> SMTPUTF8", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<alice@home> size=0 body=7bit", "S 250 ", "C RSET", "S 250 " } },
	{ "bad parameters", { LOGIN, "C MAIL FROM:<alice@home> SIZE=x", "S 501 5.5.4", "C MAIL FROM:<alice@home> SIZE=", "S 501 5.5.4",
		"C MAIL FROM:<alice@home> SIZE=-1", "S 501 5.5.4", "C MAIL FROM:<alice@home> SIZE", "S 501 5.5.4",
		"C MAIL FROM:<alice@home> BODY=BINARYMIME", "S 504 5.5.4", "C MAIL FROM:<alice@home> BY=1;R", "S 555 5.5.4",
		"C MAIL FROM:<alice@home> =", "S 555 5.5.4", "C MAIL FROM:<alice@home> SMTPUTF8=1", "S 501 5.5.4" } },
	{ "announced too big", { LOGIN, "C MAIL FROM:<alice@home> SIZE=2000001", "S 552 5.3.4",
		"C MAIL FROM:<alice@home> SIZE=99999999999999999999", "S 552 5.3.4", ENVELOPE } },
	{ "UTF-8 only when said", { LOGIN, "C MAIL FROM:<alice+\xc3\xbc@home>", "S 553 5.6.7",
		"C MAIL FROM:<alice+\xc3\xbc@home> SMTPUTF8", "S 250 ", "C RCPT TO:<j\xc3\xbcrgen@home>", "S 250 ", "C RSET", "S 250 ",
		"C MAIL FROM:<alice@home>", "S 250 ", "C RCPT TO:<j\xc3\xbcrgen@home>", "S 553 5.6.7" } },
	{ "recipients", { LOGIN, "C RCPT TO:<bob@home>", "S 503 5.5.1", "C MAIL FROM:<alice@home>", "S 250 ", "C RCPT TO:<bob>",
		"S 550 5.1.3", "C RCPT TO:<>", "S 550 5.1.3", "C RCPT TO:<\"b\"@home>", "S 550 5.1.3", "C RCPT TO:bob@home",
		"S 501 5.5.4", "C RCPT TO:<bob@home> RET=FULL", "S 555 5.5.4", "C DATA", "S 503 5.5.1",
		"C RCPT TO:<Postmaster>", "S 250 " } },
	{ "too many recipients", { LOGIN, ENVELOPE, "C RCPT TO:<a@home>", "S 250 ", "C RCPT TO:<b@home>", "S 250 ",
		"C RCPT TO:<c@home>", "S 452 4.5.3", "C RCPT TO:<A@home>", "S 250 ", "C DATA", "S 354 ",
		"R From: alice@home\r\n\r\n.\r\n", "S 250 " } },
	{ "MAIL twice", { LOGIN, "C MAIL FROM:<alice@home>", "S 250 ", "C MAIL FROM:<alice@home>", "S 503 5.5.1" } },
	{ "RSET forgets", { LOGIN, ENVELOPE, "C RSET", "S 250 ", "C DATA", "S 503 5.5.1", "C RCPT TO:<a@b>", "S 503 5.5.1" } },
	{ "EHLO forgets", { LOGIN, ENVELOPE, "C EHLO x", "S 250 ", "C DATA", "S 503 5.5.1", ENVELOPE } },
	{ "DATA with an argument", { LOGIN, ENVELOPE, "C DATA x", "S 501 5.5.4" } },
	{ "three mails", { LOGIN, MAIL, "S 250 2.0.0 Ok: queued as ", MAIL, "S 250 2.0.0", MAIL, "S 250 2.0.0", "C DATA", "S 503" } },
	{ "spoilt mail, then a good one", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R From: alice@home\n\r\n.\r\n", "S 550 5.6.0",
		"C DATA", "S 503", MAIL, "S 250 " } },
	{ "not from oneself", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R From: bob@home\r\n\r\n.\r\n", "S 550 5.7.1" } },
	{ "a record", { LOGIN, ENVELOPE, "C DATA", "S 354 ", "R P2pMTA: ns/1\r\n\r\n.\r\n", "S 550 5.6.0" } },
	{ "smuggled", { LOGIN, ENVELOPE, "C DATA", "S 354 ",
		"R From: alice@home\r\n\r\nx\n.\nMAIL FROM:<alice@home>\r\nRCPT TO:<eve@home>\r\nDATA\r\n.\r\n", "S 550 5.6.0",
		"C NOOP", "S 250 2.0.0" } },
	{ "bare LF in commands", { "S 220 ", "R NOOP\n", "S 500 5.5.2", "R NOOP\rNOOP\r\n", "S 500 5.5.2", "R \n", "S 500 5.5.2",
		"R NOOP\r\r\n", "S 500 5.5.2", "R NOOP\t\r\n", "S 500 5.5.2", "C NOOP", "S 250 " } },
	{ "bare LF in AUTH", { "S 220 ", "C EHLO x", "S 250 ", "C AUTH PLAIN", "S 334 ", "R " PLAIN "\n", "S 500 5.5.2",
		"C MAIL FROM:<alice@home>", "S 530 " } },
	{ "pipelined", { "S 220 ", "R EHLO x\r\nAUTH PLAIN " PLAIN "\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob>\r\nRCPT TO:<bob@home>\r\n"
		"DATA\r\nFrom: alice@home\r\n\r\nhello\r\n.\r\nMAIL FROM:<alice@home>\r\nRCPT TO:<bob@home>\r\nDATA\r\n"
		"From: alice@home\r\n\r\nagain\r\n.\r\nQUIT\r\n", "S 250 ", "S 235 ", "S 250 2.1.0", "S 550 5.1.3", "S 250 2.1.5",
		"S 354 ", "S 250 2.0.0 Ok: q", "S 250 2.1.0", "S 250 2.1.5", "S 354 ", "S 250 2.0.0 Ok: q", "S 221 ", "E" } },
};

START_TEST(smtp_scene)
{
	play(scenes[_i].name, scenes[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", scenes[_i].name, *p.step);
}
END_TEST

/* The same with an answer that comes later, and input that waits. */
START_TEST(smtp_scene_later)
{
	p.answer = ANSWER_LATER;
	play(scenes[_i].name, scenes[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", scenes[_i].name, *p.step);
}
END_TEST

/* Of tests/scenes. */
START_TEST(smtp_scene_file)
{
	play(scene_files[_i].name, scene_files[_i].steps);
	ck_assert_msg(!*p.step || (p.is_over && p.step[1] == NULL), "%s: stopped at '%s'", p.scene, *p.step);
}
END_TEST

START_TEST(smtp_submission)
{
	PLAY("submission", LOGIN, "C MAIL FROM:<Alice+Tag@home>", "S 250", "C RCPT TO:<Bob@home>", "S 250", "C RCPT TO:<carol@x.y>", "S 250",
	    "C RCPT TO:<bob@home>", "S 250", "C DATA", "S 354",
	    "R From: alice@home\r\nBcc: eve@home\r\nMessage-ID: <1@x>\r\nSubject: a\r\n b\r\n\r\n..\r\nhello\r\n.\r\n", "S 250 2.0.0");
	ck_assert_uint_eq(p.n_submitted, 1);
	ck_assert_str_eq(p.sender, "alice+tag@home");
	ck_assert_str_eq(p.recipients, " bob@home/6 carol@x.y/6");
	ck_assert_int_eq(p.ret, SMTP_RET_NONE);
	ck_assert_ptr_null(p.envid);
	ck_assert_str_eq(p.message_id, "<1@x>");
	ck_assert_str_eq(p.subject, "a b");
	char *m = spooled();
	ck_assert_msg(strncmp(m, "Date: ", 6) == 0, "%s", m);
	ck_assert_str_eq(strstr(m, "\r\n") + 2, "From: alice@home\r\nMessage-ID: <1@x>\r\nSubject: a\r\n b\r\n\r\n.\r\nhello\r\n");
	ck_assert_uint_eq(count_files(p.dir, false), 0);
}
END_TEST

START_TEST(smtp_dsn_parameters)
{
	PLAY("dsn", LOGIN, "C MAIL FROM:<alice@home> RET=HDRS ENVID=QQ+2B3", "S 250", "C RCPT TO:<bob@home> NOTIFY=SUCCESS ORCPT=rfc822;Bob+40Home",
	    "S 250", "C RCPT TO:<carol@x.y> NOTIFY=NEVER", "S 250", "C RCPT TO:<bob@home> NOTIFY=DELAY,FAILURE ORCPT=rfc822;x", "S 250",
	    "C DATA", "S 354", "R From: alice@home\r\n\r\n.\r\n", "S 250 2.0.0");
	ck_assert_str_eq(p.recipients, " bob@home/15/rfc822;Bob@Home carol@x.y/0");
	ck_assert_int_eq(p.ret, SMTP_RET_HDRS);
	ck_assert_str_eq(p.envid, "QQ+3");
	PLAY("utf-8", "C MAIL FROM:<alice@home> SMTPUTF8", "S 250", "C RCPT TO:<bob@home> ORCPT=utf-8;j\xc3\xbcrgen@\xf0\x9f\x98\x80",
	    "S 250", "C DATA", "S 354", "R From: alice@home\r\n\r\n.\r\n", "S 250 2.0.0");
	ck_assert_str_eq(p.recipients, " bob@home/6/utf-8;j\\x{FC}rgen@\\x{1F600}");
	/* The next message has nothing of it. */
	PLAY("plain", MAIL, "S 250 2.0.0");
	ck_assert_str_eq(p.recipients, " bob@home/6");
	ck_assert_int_eq(p.ret, SMTP_RET_NONE);
	ck_assert_ptr_null(p.envid);
}
END_TEST

/* Chunks end in the same file as DATA. */
START_TEST(smtp_chunks)
{
	PLAY("chunks", LOGIN, ENVELOPE, "R BDAT 20\r\nFrom: alice@home\r\nBcBDAT 13\r\nc: eve@home\r\nBDAT 18 LAST\r\nDate: x\r\n\r\n.\r\n..\r",
	    "S 250 2.0.0 20 octets", "S 250 2.0.0 13 octets", "R \n", "S 250 2.0.0 Ok: queued as");
	char *m = spooled();
	ck_assert_str_eq(strstr(m, "\r\n") + 2, "From: alice@home\r\nDate: x\r\n\r\n.\r\n..\r\n");
	PLAY("no line end", ENVELOPE, "R BDAT 22 LAST\r\nFrom: alice@home\r\n\r\nhi", "S 250 2.0.0 Ok: queued as");
	m = spooled();
	ck_assert_str_eq(strstr(m, "\r\n\r\n"), "\r\n\r\nhi\r\n");
}
END_TEST

START_TEST(smtp_message_id)
{
	PLAY("message-id", LOGIN, MAIL, "S 250 2.0.0");
	size_t len = strlen(p.message_id);
	ck_assert_msg(p.message_id[0] == '<' && strcmp(p.message_id + len - 6, "@home>") == 0, "%s", p.message_id);
	ck_assert_ptr_nonnull(strstr(spooled(), mem_printf(p.ctx, "\r\nMessage-ID: %s\r\n", p.message_id)));
}
END_TEST

static const struct { enum outcome outcome; const char *want; } outcome_cases[] = {
	{ RETRY, "S 452 4.3.1 because" }, { REJECT, "S 554 5.6.0 because" }, { OK, "S 250 2.0.0 Ok: queued as" },
};

START_TEST(smtp_outcome)
{
	p.outcome = outcome_cases[_i].outcome;
	p.answer = ANSWER_LATER;
	PLAY("outcome", LOGIN, MAIL, outcome_cases[_i].want, MAIL, outcome_cases[_i].want, "C QUIT", "S 221", "E");
	ck_assert_uint_eq(p.n_submitted, 2);
}
END_TEST

/* The trace shows no credential, however it is sent. */
START_TEST(smtp_trace_masks)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "%s.log", p.dir);
	ck_assert_int_eq(log_open(path, LOG_LEVEL_DEBUG), 0);
	trace_set(TRACE_SMTP);
	PLAY("masks", "S 220 ", "C EHLO x", "S 250 ", "C AUTH LOGIN", "S 334 ", "C " USER, "S 334 ", "C " WRONG, "S 535 ", "C AUTH PLAIN",
	    "S 334", "C AGFsaWNlAHNlY3JldA=", "S 501", "C " PASSWORD, "S 500", "C AUTH CRAM " PASSWORD, "S 504",
	    "C AUTH PLAIN " PLAIN, "S 235", "C NOOP traced", "S 250");
	trace_set(0);
	log_close();
	FILE *f = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	ck_assert_msg(strstr(text, "NOOP traced") != NULL, "%s", text);
	ck_assert_msg(!strstr(text, PASSWORD) && !strstr(text, WRONG) && !strstr(text, "AGFsaWNl") && !strstr(text, "secret"),
	    "%s", text);
}
END_TEST

UNIT_SUITE("smtp session")
{
	tcase_add_checked_fixture(unit_case, host_setup, host_teardown);
	scenes_load();
	tcase_add_loop_test(unit_case, smtp_scene_file, 0, n_scene_files);
	UNIT_LOOP(smtp_scene, scenes);
	UNIT_LOOP(smtp_scene_later, scenes);
	UNIT(smtp_submission);
	UNIT(smtp_dsn_parameters);
	UNIT(smtp_chunks);
	UNIT(smtp_message_id);
	UNIT_LOOP(smtp_outcome, outcome_cases);
	UNIT(smtp_trace_masks);
}
UNIT_END
