/* Scenes of test_imap_session.c: a name and lines, see there. */
static const struct {
	const char *name, *text;
} scenes[] = {
	{ "before login",
	    "O1\n"
	    "C1 a CAPABILITY\nS1 * CAPABILITY IMAP4rev1 %AUTH=PLAIN%\nS1 a OK %\n"
	    "C1 b SELECT INBOX\nS1 b BAD Please log in first\n"
	    "C1 c FOO\nS1 c BAD Unknown command\n"
	    "C1 d LOGIN user\nS1 d BAD Arguments missing for LOGIN\n"
	    "C1 e NOOP x\nS1 e BAD Too many arguments for NOOP\n"
	    "C1 f STARTTLS\nS1 f BAD TLS is not offered\n"
	    "C1 \nS1 * BAD Empty line\n"
	    "C1 g LOGIN (user) pass\nS1 g BAD %\n"
	    "C1 h LOGIN {4}\nS1 + OK\nC1 user {4+}\nC1 pass\nS1 h OK [CAPABILITY %\n"
	    "C1 i LOGIN user pass\nS1 i BAD Already logged in\n"
	    "C1 j LOGOUT\nS1 * BYE %\nS1 j OK %\nE1\n" },
	{ "authenticate",
	    "O1\nC1 a AUTHENTICATE PLAIN AHVzZXIAcGFzcw==\nS1 a OK [CAPABILITY %\n"
	    "O2\nC2 a AUTHENTICATE PLAIN\nS2 + \nC2 AHVzZXIAcGFzcw==\nS2 a OK %\n"
	    "O3\nC3 a AUTHENTICATE PLAIN\nS3 + \nC3 *\nS3 a BAD %\n"
	    "C3 b AUTHENTICATE LOGIN\nS3 b NO %\n"
	    "C3 c AUTHENTICATE PLAIN !!\nS3 c BAD %\n"
	    "C3 d AUTHENTICATE PLAIN YQB1c2VyAHBhc3M=\nS3 d NO [AUTHORIZATIONFAILED] %\n" },
	{ "scram that does not come to its end",
	    "O1\nC1 a AUTHENTICATE SCRAM-SHA-256\nS1 + \nC1 bixhPSxuPQ==\nS1 a BAD %\nC1 b AUTHENTICATE SCRAM-SHA-256 biwsbj11c2VyLHI9YWJjZGVm\n"
	    "S1 + %\nC1 *\nS1 b BAD %\nC1 c AUTHENTICATE SCRAM-SHA-256 biwsbj11c2VyLHI9YWJjZGVm\nS1 + %\nC1 Yz1iaXdz\nS1 c BAD %\n"
	    "C1 d AUTHENTICATE SCRAM-SHA-256 =\nS1 d BAD %\nC1 e SELECT INBOX\nS1 e BAD Please log in first\n" },
	{ "a wrong password takes a second, others go on",
	    "O1\nL2\nC1 a LOGIN user wrong\nC1 b LOGIN user pass\nC2 c NOOP\nS2 c OK %\n"
	    "S1 a NO [AUTHENTICATIONFAILED] %\nS1 b OK %\n" },
	{ "literals before login",
	    "O1\nC1 a LOGIN {5000}\nS1 a BAD [TOOBIG] %\nC1 b LOGIN {99999999999+}\nS1 b BAD [TOOBIG] %\nS1 * BYE %\nE1\n" },
	{ "mailboxes",
	    "L1\n"
	    "C1 a LIST \"\" *\nS1 * LIST (\\HasNoChildren) \"/\" \"INBOX\"\nS1 * LIST (\\HasNoChildren \\Drafts) \"/\" \"Drafts\"\nD1 a OK %\n"
	    "C1 b CREATE x/y/z\nS1 b OK %\nC1 c CREATE x/y\nS1 c NO [ALREADYEXISTS] %\n"
	    "C1 d LIST \"\" x%\nS1 * LIST (\\HasChildren) \"/\" \"x\"\nD1 d OK %\n"
	    "C1 e LIST x/ %\nS1 * LIST (\\HasChildren) \"/\" \"x/y\"\nS1 e OK %\n"
	    "C1 f CREATE Entw&APw-rfe/\nS1 f OK %\nC1 g LIST \"\" En*\nS1 * LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe\"\nS1 g OK %\n"
	    "C1 h CREATE &AEE-\nS1 h NO [CANNOT] %\nC1 i CREATE INBOX\nS1 i NO [ALREADYEXISTS] %\n"
	    "C1 j DELETE INBOX\nS1 j NO [CANNOT] %\nC1 k DELETE Trash\nS1 k NO [CANNOT] %\n"
	    "C1 l DELETE nope\nS1 l NO [NONEXISTENT] %\nC1 m RENAME x q\nS1 m OK %\n"
	    "C1 n STATUS q/y/z (MESSAGES UIDNEXT)\nS1 * STATUS \"q/y/z\" (MESSAGES 0 UIDNEXT 1)\nS1 n OK %\n"
	    "C1 o STATUS q/y/z (FOO)\nS1 o BAD %\nC1 p STATUS inbox (UNSEEN)\nS1 * STATUS \"INBOX\" (UNSEEN 0)\nS1 p OK %\n"
	    "C1 q DELETE q/y/z\nS1 q OK %\nC1 r SELECT q/y/z\nS1 r NO [NONEXISTENT] %\n"
	    "C1 s UNSUBSCRIBE Junk\nS1 s OK %\nC1 t LSUB \"\" J*\nS1 t OK %\nC1 u SUBSCRIBE Junk\nS1 u OK %\n"
	    "C1 v LSUB \"\" J*\nS1 * LSUB () \"/\" \"Junk\"\nS1 v OK %\n"
	    "C1 w LIST \"\" \"\"\nS1 * LIST (\\Noselect) \"/\" \"\"\nS1 w OK %\n"
	    "C1 x NAMESPACE\nS1 * NAMESPACE ((\"\" \"/\")) NIL NIL\nS1 x OK %\n" },
	{ "extended list",
	    "L1\nH deliver Trash MSG\n"
	    "C1 a LIST (SPECIAL-USE) \"\" *\nS1 * LIST (%\\Drafts) \"/\" \"Drafts\"\nS1 * LIST (%\\Junk) \"/\" \"Junk\"\n"
	    "S1 * LIST (%\\Sent) \"/\" \"Sent\"\nS1 * LIST (%\\Trash) \"/\" \"Trash\"\nS1 a OK %\n"
	    "C1 b LIST \"\" Trash RETURN (STATUS (MESSAGES))\nS1 * LIST (%\\Trash) \"/\" \"Trash\"\n"
	    "S1 * STATUS \"Trash\" (MESSAGES 1)\nS1 b OK %\n"
	    "C1 c LIST \"\" (Junk Sent) RETURN (SUBSCRIBED)\nS1 * LIST (%\\Subscribed%) \"/\" \"Junk\"\n"
	    "S1 * LIST (%\\Subscribed%) \"/\" \"Sent\"\nS1 c OK %\n"
	    "C1 d CREATE p/c\nD1 d OK %\nC1 e UNSUBSCRIBE p\nD1 e OK %\nC1 f SUBSCRIBE p/c\nD1 f OK %\n"
	    "C1 g LIST (SUBSCRIBED RECURSIVEMATCH) \"\" p\nS1 * LIST (\\HasChildren) \"/\" \"p\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\nS1 g OK %\n"
	    "C1 h LSUB \"\" p%\nS1 * LSUB (\\Noselect) \"/\" \"p\"\nS1 h OK %\n"
	    "C1 i LIST (RECURSIVEMATCH) \"\" p\nS1 i BAD %\nC1 j LIST \"\" p RETURN (FOO)\nS1 j BAD %\n"
	    "C1 k LIST \"\" p RETURN (STATUS (FOO))\nS1 k BAD %\n" },
	{ "select",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nL1\nC1 a SELECT INBOX\n"
	    "S1 * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\nS1 * OK [PERMANENTFLAGS (%\\*)] %\n"
	    "S1 * 2 EXISTS\nS1 * 2 RECENT\nS1 * OK [UNSEEN 1] %\nS1 * OK [UIDVALIDITY %] %\nS1 * OK [UIDNEXT 3] %\n"
	    "S1 * OK [HIGHESTMODSEQ 3] %\nS1 * OK [MAILBOXID (F1)] %\nS1 a OK [READ-WRITE] %\n"
	    "L2\nC2 a EXAMINE INBOX\nD2 a OK [READ-ONLY] %\n"
	    "C2 b FETCH 1 FLAGS\nS2 * 1 FETCH (FLAGS ())\nS2 b OK %\n"
	    "C2 c STORE 1 +FLAGS \\Seen\nS2 c NO [READ-ONLY] %\nC2 d FETCH 1 BODY[TEXT]<0.1>\nS2 * 1 FETCH (BODY[TEXT]<0> {1}\nS2 -)\nS2 d OK %\n"
	    "C2 e CLOSE\nS2 e OK %\nC2 f FETCH 1 FLAGS\nS2 f BAD No mailbox is selected\n"
	    "C1 b UNSELECT\nS1 b OK %\nC1 c SELECT nope\nS1 c NO %\n" },
	{ "fetch",
	    "H deliver INBOX MSG\nL1 INBOX\n"
	    "C1 a FETCH 1 (UID RFC822.SIZE)\nS1 * 1 FETCH (UID 1 RFC822.SIZE 312)\nS1 a OK %\n"
	    "C1 b FETCH 1 ENVELOPE\nS1 * 1 FETCH (ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"hello\" ((\"Ann\" NIL \"ann\" \"example.org\")) %))\nS1 b OK %\n"
	    "C1 c FETCH 1 BODY.PEEK[HEADER.FIELDS (subject)]\nS1 * 1 FETCH (BODY[HEADER.FIELDS (subject)] {18}\nS1 Subject: hello\nS1 \nS1 )\nS1 c OK %\n"
	    "C1 d FETCH 1 BODY.PEEK[1]\nS1 * 1 FETCH (BODY[1] {10}\nS1 some words)\nS1 d OK %\n"
	    "C1 e FETCH 1 BODY.PEEK[2.MIME]\nS1 * 1 FETCH (BODY[2.MIME] {83}\nD1 e OK %\n"
	    "C1 f FETCH 1 (BODY.PEEK[3] BODY.PEEK[1.HEADER])\nS1 * 1 FETCH (BODY[3] NIL BODY[1.HEADER] NIL)\nS1 f OK %\n"
	    "C1 g FETCH 1 BODY.PEEK[]<0.4>\nS1 * 1 FETCH (BODY[]<0> {4}\nS1 From)\nS1 g OK %\n"
	    "C1 h FETCH 1 BODY.PEEK[]<9999.4>\nS1 * 1 FETCH (BODY[]<9999> {0}\nS1 )\nS1 h OK %\n"
	    "C1 i UID FETCH 1 BODY[]\nR1 MSG\nS1 )\nS1 i OK %\n"
	    "C1 j FETCH 1 FLAGS\nS1 * 1 FETCH (FLAGS (\\Seen \\Recent))\nS1 j OK %\n"
	    "C1 k FETCH 2 FLAGS\nS1 k BAD %\nC1 l UID FETCH 2 FLAGS\nS1 l OK %\nC1 m FETCH 1 FOO\nS1 m BAD %\nC1 n FETCH x FLAGS\nS1 n BAD %\n"
	    "C1 o FETCH * RFC822\nR1 MSG\nS1 )\nS1 o OK %\n" },
	{ "sliced output of one session keeps its order",
	    "H deliver INBOX BIG\nH deliver INBOX MSG\nL1 INBOX\n"
	    "C1 a FETCH 1 BODY.PEEK[]\nC1 b FETCH 2 BODY.PEEK[]\nC1 c FETCH 1 BODY.PEEK[]\nC1 d NOOP\n"
	    "R1 BIG\nS1 )\nS1 a OK %\nR1 MSG\nS1 )\nS1 b OK %\nR1 BIG\nS1 )\nS1 c OK %\nS1 d OK %\n" },
	{ "append",
	    "L1 INBOX\n"
	    "C1 a APPEND INBOX (\\Seen $Foo $Verified) \"01-Feb-1994 10:00:00 +0100\" {14}\nS1 + OK\nC1 Subject: x\n"
	    "C1 \nC1 \nS1 * 1 EXISTS\nS1 * 1 RECENT\nS1 a OK [APPENDUID % 1] %\n"
	    "C1 b FETCH 1 (FLAGS INTERNALDATE)\nS1 * FLAGS (%$Foo)\nS1 * OK [PERMANENTFLAGS %\n"
	    "S1 * 1 FETCH (FLAGS (\\Seen \\Recent $Foo) INTERNALDATE \" 1-Feb-1994 09:00:00 +0000\")\nS1 b OK %\n"
	    "C1 c APPEND nope {10}\nS1 c NO [TRYCREATE] %\nC1 d APPEND Outbox {10}\nS1 d NO [CANNOT] %\n"
	    "C1 e APPEND INBOX {1073741825}\nS1 e NO [TOOBIG] %\nC1 f APPEND INBOX {0}\nS1 f NO %\n"
	    "C1 g APPEND INBOX (\\Foo) {10}\nS1 g BAD %\nC1 h APPEND INBOX \"yesterday\" {10}\nS1 h BAD %\n"
	    "C1 i APPEND nope {5+}\nC1 12345\nS1 i NO [TRYCREATE] %\n"
	    "C1 j APPEND INBOX \"text\"\nS1 j BAD %\nC1 k APPEND INBOX {3+}\nC1 abc \"x\" {3+}\nC1 def\nS1 k BAD %\n"
	    "C1 l APPEND {5}\nS1 + OK\nC1 INBOX\nS1 l BAD Arguments missing %\n"
	    "C1 m NOOP\nS1 m OK %\nC1 n STATUS INBOX (MESSAGES)\nS1 * STATUS \"INBOX\" (MESSAGES 1)\nS1 n OK %\n" },
	{ "an append that breaks off leaves nothing",
	    "L1 INBOX\nL2 INBOX\nC1 a APPEND INBOX {1000}\nS1 + OK\nC1 Subject: x\nX1\n"
	    "C2 b NOOP\nS2 b OK %\nC2 c STATUS INBOX (MESSAGES)\nS2 * STATUS \"INBOX\" (MESSAGES 0)\nS2 c OK %\n" },
	{ "store",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH keyword INBOX 1 $Verified\nL1 INBOX\nL2 INBOX\n"
	    "C1 a STORE 1:2 FLAGS (\\Flagged)\nS1 * 1 FETCH (FLAGS (\\Flagged \\Recent $Verified))\nS1 * 2 FETCH (FLAGS (\\Flagged \\Recent))\nS1 a OK %\n"
	    "C1 b STORE 1 -FLAGS.SILENT (\\Flagged $Verified)\nS1 b OK %\nC1 c UID STORE 1 +FLAGS \\Deleted\nS1 * 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent $Verified))\nS1 c OK %\n"
	    "C2 d NOOP\nS2 * 1 FETCH (FLAGS (\\Deleted $Verified))\nS2 * 2 FETCH (FLAGS (\\Flagged))\nS2 d OK %\n"
	    "C1 e STORE 1 +FLAGS (\\Recent)\nS1 e BAD %\nC1 f STORE 1 FOO (\\Seen)\nS1 f BAD %\nC1 g STORE 9 FLAGS ()\nS1 g BAD %\n"
	    "C1 h STORE 1:* FLAGS.SILENT ()\nS1 h OK %\nC1 i NOOP\nS1 i OK %\n" },
	{ "copy and move",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nL1 INBOX\n"
	    "C1 a COPY 1:2 Sent\nS1 a OK [COPYUID % 1:2 1:2] %\nC1 b UID COPY 3 Sent\nS1 b OK [COPYUID % 3 3] %\n"
	    "C1 c COPY 1 nope\nS1 c NO [TRYCREATE] %\nC1 d UID COPY 77 Sent\nS1 d OK Copy completed\n"
	    "C1 e MOVE 2 Trash\nS1 * OK [COPYUID % 2 1] %\nS1 * 2 EXPUNGE\nS1 e OK %\n"
	    "C1 f COPY 1 INBOX\nS1 * 3 EXISTS\nS1 * 3 RECENT\nS1 f OK [COPYUID % 1 4] %\n"
	    "C1 g MOVE 1 INBOX\nS1 g NO [CANNOT] %\nC1 h COPY 1 Outbox\nS1 h NO [CANNOT] %\n" },
	{ "expunge and close",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nL1 INBOX\n"
	    "C1 a STORE 1,2,4 +FLAGS.SILENT \\Deleted\nS1 a OK %\nC1 b UID EXPUNGE 2:3\nS1 * 2 EXPUNGE\nS1 b OK %\n"
	    "C1 c EXPUNGE\nS1 * 1 EXPUNGE\nS1 * 2 EXPUNGE\nS1 c OK %\nC1 d STORE 1 +FLAGS.SILENT \\Deleted\nS1 d OK %\n"
	    "C1 e CLOSE\nS1 e OK %\nC1 f STATUS INBOX (MESSAGES UIDNEXT)\nS1 * STATUS \"INBOX\" (MESSAGES 0 UIDNEXT 5)\nS1 f OK %\n" },
	{ "an expunge of others waits for a command that may tell it",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nL1 INBOX\nH expunge INBOX 1\nH deliver INBOX MSG\n"
	    "C1 a FETCH 1:3 UID\nS1 * 2 FETCH (UID 2)\nS1 * 3 FETCH (UID 3)\nS1 * 4 EXISTS\nS1 * 4 RECENT\nS1 a OK [EXPUNGEISSUED] %\n"
	    "C1 b STORE 2 +FLAGS \\Seen\nS1 * 2 FETCH (FLAGS (\\Seen \\Recent))\nS1 b OK %\nC1 c SEARCH SEEN\nS1 * SEARCH 2\nS1 c OK %\n"
	    "C1 d NOOP\nS1 * 1 EXPUNGE\nS1 d OK %\nC1 e FETCH 1:* UID\nS1 * 1 FETCH (UID 2)\nS1 * 2 FETCH (UID 3)\nS1 * 3 FETCH (UID 4)\nS1 e OK %\n" },
	{ "idle",
	    "L1 INBOX\nL2 INBOX\nC1 a IDLE\nS1 + idling\nH deliver INBOX MSG\nS1 * 1 EXISTS\nS1 * 1 RECENT\n"
	    "C2 n NOOP\nS2 * 1 EXISTS\nS2 n OK %\n"
	    "C2 b STORE 1 +FLAGS.SILENT \\Seen\nS2 b OK %\nS1 * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
	    "H expunge INBOX 1\nS1 * 1 EXPUNGE\nC1 DONE\nS1 a OK %\nC1 c IDLE\nS1 + idling\nS1 * 0 EXISTS\nC1 x\nS1 c BAD %\n"
	    "C2 d CREATE z\nS2 * 1 EXPUNGE\nS2 d OK %\n" },
	{ "what was to be told to one who idles is not told within another command",
	    "H remote INBOX MSG\nH remote INBOX MSG\nH remote INBOX MSG\nH pull ok 300\nL1 INBOX\nC1 a IDLE\nS1 + idling\nH commit off\n"
	    "H expunge INBOX 1\nC1 DONE\nC1 b FETCH 1 BODY.PEEK[]\nH wait 1 0\nH expunge INBOX 3\nH commit on\nS1 * 1 EXPUNGE\nS1 a OK %\n"
	    "S1 * 1 FETCH (BODY[] {312}\nD1 b OK %\nC1 c NOOP\nS1 * 2 EXPUNGE\nS1 c OK %\n" },
	{ "what is told with the end of an IDLE is told again by the next",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nL1 INBOX\nC1 a IDLE\nS1 + idling\nH commit off\nH expunge INBOX 1\nC1 DONE\nH commit on\n"
	    "S1 * 1 EXPUNGE\nS1 a OK %\nC1 b IDLE\nS1 + idling\nS1 * 1 EXISTS\nC1 DONE\nS1 b OK %\nC1 c IDLE\nS1 + idling\nC1 DONE\nS1 c OK %\n" },
	{ "search",
	    "H deliver INBOX MSG\nH remote INBOX MSG\nL1 INBOX\n"
	    "C1 a SEARCH ALL\nS1 * SEARCH 1 2\nS1 a OK %\nC1 b UID SEARCH SUBJECT HELLO\nS1 * SEARCH 1 2\nS1 b OK %\n"
	    "C1 c SEARCH BODY \"some words\"\nS1 * SEARCH 1\nS1 c OK %\nC1 d SEARCH TEXT ann@\nS1 * SEARCH 1 2\nS1 d OK %\n"
	    "C1 e SEARCH CHARSET UTF-8 BODY {7}\nS1 + OK\nC1 gr\xc3\xbc\xc3\x9f\x65\nS1 * SEARCH 1\nS1 e OK %\n"
	    "C1 f SEARCH CHARSET KOI8-R ALL\nS1 f NO [BADCHARSET %] %\nC1 g SEARCH FOO\nS1 g BAD %\n"
	    "C1 h SEARCH KEYWORD $Remote\nS1 * SEARCH 2\nS1 h OK %\nC1 i SEARCH 9\nS1 * SEARCH\nS1 i OK %\n"
	    "C1 j SEARCH NOT BODY some\nS1 * SEARCH 2\nS1 j OK %\n" },
	{ "one message's body is pulled, headers are not",
	    "H remote INBOX MSG\nH remote INBOX MSG\nH pull retry 0\nL1 INBOX\n"
	    "C1 a FETCH 1:2 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[2.MIME])\nD1 a OK %\n"
	    "C1 b FETCH 1:2 (UID FLAGS BODY.PEEK[])\nS1 * 1 FETCH (UID 1 FLAGS (\\Recent $Remote))\nS1 * 2 FETCH (UID 2 FLAGS (\\Recent $Remote))\nS1 b OK %\n"
	    "C1 c UID FETCH 1:2 (UID BODY[])\nS1 c OK %\nC1 d UID FETCH 1:* BODY[]\nS1 d OK %\n"
	    "C1 e FETCH 1 BODY[]\nS1 e NO [UNAVAILABLE] alice@home is away since 10:00\n"
	    "C1 f FETCH 1 FLAGS\nS1 * 1 FETCH (FLAGS (\\Recent $Remote))\nS1 f OK %\n"
	    "H pull reject 0\nC1 g FETCH 1 BODY[]\nS1 g NO alice@home is away %\nH pull ok 0\n"
	    "C1 h UID FETCH 1 (FLAGS BODY[])\nS1 * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) BODY[] {312}\nD1 h OK %\n"
	    "C1 i UID FETCH 1:2 (UID BODY.PEEK[])\nR1 MSG\nS1 )\nS1 i OK %\nC1 j FETCH 2:2 BODY.PEEK[1]\n"
	    "S1 * 2 FETCH (BODY[1] {10}\nD1 j OK %\n" },
	{ "a session that waits for a body holds up nobody but itself",
	    "H remote INBOX MSG\nH pull never 0\nL1 INBOX\nL2 INBOX\nC1 a FETCH 1 BODY[]\nC1 b NOOP\nH wait 1 0\n"
	    "C2 c STORE 1 +FLAGS (\\Flagged)\nD2 c OK %\nC2 d NOOP\nS2 d OK %\nX1\nH wait 1 1\nC2 e COPY 1 Trash\nS2 e OK %\n"
	    "C2 f STORE 1 +FLAGS.SILENT \\Deleted\nS2 f OK %\nC2 g EXPUNGE\nS2 * 1 EXPUNGE\nS2 g OK %\n" },
	{ "two clients pull at once",
	    "H remote INBOX MSG\nH pull ok 50\nL1 INBOX\nL2 INBOX\nC1 a FETCH 1 BODY.PEEK[]\nC2 b FETCH 1 BODY.PEEK[]\n"
	    "R1 MSG\nS1 )\nD1 a OK %\nR2 MSG\nS2 )\nD2 b OK %\n" },
	{ "a message that goes while it is pulled",
	    "H remote INBOX MSG\nH pull ok 300\nL1 INBOX\nC1 a FETCH 1 BODY[]\nH wait 1 0\nH expunge INBOX 1\nS1 a NO %\n"
	    "C1 b NOOP\nS1 * 1 EXPUNGE\nS1 b OK %\n" },
	{ "enable",
	    "O1\nC1 a ENABLE CONDSTORE\nS1 a BAD %\nL2\nC2 a ENABLE X-FOO condstore\nS2 * ENABLED CONDSTORE\nS2 a OK %\n"
	    "C2 b ENABLE X-FOO\nS2 * ENABLED\nS2 b OK %\nC2 c ENABLE\nS2 c BAD %\nC2 d ENABLE \"CONDSTORE\"\nS2 d BAD %\n" },
	{ "status of size, limit, ids and mod-sequence",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nL1\nC1 a STATUS INBOX (SIZE MESSAGES)\nS1 * STATUS \"INBOX\" (SIZE 624 MESSAGES 2)\nS1 a OK %\n"
	    "C1 b STATUS INBOX (APPENDLIMIT MAILBOXID)\nS1 * STATUS \"INBOX\" (APPENDLIMIT 1073741824 MAILBOXID (F1))\nS1 b OK %\n"
	    "C1 c STATUS INBOX (HIGHESTMODSEQ)\nS1 * STATUS \"INBOX\" (HIGHESTMODSEQ 3)\nS1 c OK %\n"
	    "C1 d LIST \"\" INBOX RETURN (STATUS (SIZE))\nS1 * LIST (%) \"/\" \"INBOX\"\nS1 * STATUS \"INBOX\" (SIZE 624)\nS1 d OK %\n" },
	{ "object ids",
	    "H deliver INBOX MSG\nL1\nC1 a CREATE foo\nS1 a OK [MAILBOXID (F8)] %\nC1 b RENAME foo renamed\nS1 b OK %\n"
	    "C1 c STATUS renamed (MAILBOXID)\nS1 * STATUS \"renamed\" (MAILBOXID (F8))\nS1 c OK %\nC1 d SELECT INBOX\nD1 d OK %\n"
	    "C1 e FETCH 1 (EMAILID THREADID)\nS1 * 1 FETCH (EMAILID (M1) THREADID NIL)\nS1 e OK %\n"
	    "C1 f UID MOVE 1 renamed\nS1 * OK [COPYUID %\nS1 * 1 EXPUNGE\nS1 f OK %\nC1 g SELECT renamed\nD1 g OK %\n"
	    "C1 h FETCH 1 (EMAILID)\nS1 * 1 FETCH (EMAILID (M1))\nS1 h OK %\nC1 i SEARCH EMAILID M1\nS1 * SEARCH 1\nS1 i OK %\n"
	    "C1 j SEARCH OR EMAILID M2 THREADID T1\nS1 * SEARCH\nS1 j OK %\nC1 k SEARCH EMAILID !\nS1 k BAD %\n" },
	{ "extended search",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nH expunge INBOX 1\nL1 INBOX\n"
	    "C1 a SEARCH RETURN (MIN COUNT) ALL\nS1 * ESEARCH (TAG \"a\") MIN 1 COUNT 3\nS1 a OK %\n"
	    "C1 b UID SEARCH RETURN () 1,3\nS1 * ESEARCH (TAG \"b\") UID ALL 2,4\nS1 b OK %\n"
	    "C1 c SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED\nS1 * ESEARCH (TAG \"c\") COUNT 0\nS1 c OK %\n"
	    "C1 d SEARCH RETURN (MIN MAX) CHARSET UTF-8 BODY some\nS1 * ESEARCH (TAG \"d\") MIN 1 MAX 3\nS1 d OK %\n"
	    "C1 e SEARCH RETURN (FOO) ALL\nS1 e BAD %\nC1 f SEARCH RETURN ALL ALL\nS1 f BAD %\nC1 g SEARCH RETURN (ALL)\nS1 g BAD %\n"
	    "C1 h UID SEARCH RETURN (MAX) MODSEQ 4\nS1 * OK [HIGHESTMODSEQ 6] %\nS1 * ESEARCH (TAG \"h\") UID MAX 4 MODSEQ 5\nS1 h OK %\n" },
	{ "the result of a search is saved",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nL1 INBOX\n"
	    "C1 a FETCH $ UID\nS1 a OK %\nC1 b UID SEARCH RETURN (SAVE) UID 2:4\nS1 b OK %\n"
	    "C1 c FETCH $ (UID)\nS1 * 2 FETCH (UID 2)\nS1 * 3 FETCH (UID 3)\nS1 * 4 FETCH (UID 4)\nS1 c OK %\n"
	    "C1 d SEARCH UID $ 1:3\nS1 * SEARCH 2 3\nS1 d OK %\nC1 e SEARCH RETURN (SAVE COUNT) NOT $\nS1 * ESEARCH (TAG \"e\") COUNT 1\nS1 e OK %\n"
	    "C1 f UID STORE $ +FLAGS.SILENT \\Deleted\nS1 f OK %\nC1 g SEARCH RETURN (SAVE MIN) UNDELETED\nS1 * ESEARCH (TAG \"g\") MIN 2\nS1 g OK %\n"
	    "C1 h UID FETCH $ FLAGS\nS1 * 2 FETCH (UID 2 FLAGS (\\Recent))\nS1 h OK %\n"
	    "C1 i SEARCH RETURN (SAVE) ALL\nS1 i OK %\nC1 j EXPUNGE\nS1 * 1 EXPUNGE\nS1 j OK %\nC1 k SEARCH $\nS1 * SEARCH 1 2 3\nS1 k OK %\n"
	    "C1 l SEARCH RETURN (SAVE) FOO\nS1 l BAD %\nC1 m COPY $ Trash\nS1 m OK [COPYUID % 2:4 1:3] %\n"
	    "C1 n SEARCH RETURN (SAVE) CHARSET X ALL\nS1 n NO %\nC1 o SEARCH $\nS1 * SEARCH\nS1 o OK %\n" },
	{ "search by age",
	    "H deliver INBOX MSG\nL1 INBOX\nC1 a APPEND INBOX \"01-Feb-1994 10:00:00 +0100\" {14+}\nC1 Subject: x\nC1 \nC1 \nD1 a OK %\n"
	    "C1 b SEARCH YOUNGER 3600\nS1 * SEARCH 1\nS1 b OK %\nC1 c SEARCH OLDER 3600\nS1 * SEARCH 2\nS1 c OK %\n"
	    "C1 d SEARCH YOUNGER 0\nS1 d BAD %\nC1 e SEARCH OLDER -1\nS1 e BAD %\n" },
	{ "mod-sequences",
	    "H deliver INBOX MSG\nH deliver INBOX MSG\nH deliver INBOX MSG\nL1\nC1 a SELECT INBOX (CONDSTORE)\nD1 a OK %\nL2 INBOX\n"
	    "C1 b FETCH 1:3 (MODSEQ)\nS1 * 1 FETCH (MODSEQ (2))\nS1 * 2 FETCH (MODSEQ (3))\nS1 * 3 FETCH (MODSEQ (4))\nS1 b OK %\n"
	    "C1 c FETCH 1:* (FLAGS) (CHANGEDSINCE 3)\nS1 * 3 FETCH (MODSEQ (4) FLAGS (\\Recent))\nS1 c OK %\n"
	    "C2 d STORE 2 +FLAGS \\Seen\nS2 * 2 FETCH (FLAGS (\\Seen))\nS2 d OK %\n"
	    "C1 e NOOP\nS1 * 2 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (5))\nS1 e OK %\n"
	    "C1 f STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT \\Flagged\nS1 * 1 FETCH (MODSEQ (6))\nS1 * 3 FETCH (MODSEQ (6))\nS1 f OK [MODIFIED 2] %\n"
	    "C1 g UID STORE 2 (UNCHANGEDSINCE 5) FLAGS ()\nS1 * 2 FETCH (UID 2 FLAGS (\\Recent) MODSEQ (7))\nS1 g OK Store %\n"
	    "C1 h STORE 1 (UNCHANGEDSINCE 0) FLAGS ()\nS1 h OK [MODIFIED 1] %\nC1 i SEARCH MODSEQ 7\nS1 * SEARCH 2 (MODSEQ 7)\nS1 i OK %\n"
	    "C1 j SEARCH MODSEQ \"/flags/\\\\draft\" all 9\nS1 * SEARCH\nS1 j OK %\nC1 k FETCH 1 BODY[]<0.1>\n"
	    "S1 * 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent) MODSEQ (8) BODY[]<0> {1}\nS1 F)\nS1 k OK %\n"
	    "H expunge INBOX 3\nC1 l STORE 3 (UNCHANGEDSINCE 99) FLAGS ()\nS1 l NO [MODIFIED 3] %\n"
	    "C1 m STORE 1 (FOO 1) FLAGS ()\nS1 m BAD %\nC1 n FETCH 1 FLAGS (CHANGEDSINCE 0)\nS1 n BAD %\nC1 z NOOP\nS1 * 3 EXPUNGE\nS1 z OK %\nC1 o SELECT INBOX (FOO)\nS1 o BAD %\n"
	    "C1 p SEARCH MODSEQ x\nS1 p BAD %\nC1 q STORE 1 (UNCHANGEDSINCE 9)\nS1 q BAD %\n"
	    "C2 r FETCH 1 MODSEQ\nS2 * OK [HIGHESTMODSEQ 5] %\nS2 * 1 FETCH (MODSEQ (8))\nD2 r OK %\nC2 s STORE 1 FLAGS ()\nS2 * 1 FETCH (FLAGS () MODSEQ (10))\nS2 s OK %\n" },
	{ "sort and thread",
	    "L1 INBOX\n"
	    "C1 m0 APPEND INBOX \"20-Mar-1994 10:00:00 +0000\" {75+}\nC1 Subject: b\nC1 From: zoe@example.org\nC1 Date: Wed, 2 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m0 OK %\n"
	    "C1 m1 APPEND INBOX \"19-Mar-1994 10:00:00 +0000\" {79+}\nC1 Subject: Re: a\nC1 From: ann@example.org\nC1 Date: Thu, 3 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m1 OK %\n"
	    "C1 m2 APPEND INBOX \"18-Mar-1994 10:00:00 +0000\" {86+}\nC1 Subject: A\nC1 From: \"B\" <Bob@example.org>, x@y\nC1 Date: Tue, 1 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m2 OK %\n"
	    "C1 m3 APPEND INBOX \"05-Feb-1994 10:00:00 +0000\" {124+}\nC1 Subject: [list] RE: a (fwd)\nC1 From: ann@example.org\nC1 X-Long: 123456789012345678901234567890123456789012345678901234567890\nC1 \nC1 \nD1 m3 OK %\n"
	    "C1 m4 APPEND INBOX \"16-Mar-1994 10:00:00 +0000\" {83+}\nC1 Subject: Re[2]: c\nC1 From: carl@example.org\nC1 Date: Tue, 1 Feb 1994 12:30:00 +0330\nC1 \nC1 \nD1 m4 OK %\n"
	    "C1 m5 APPEND INBOX \"15-Mar-1994 10:00:00 +0000\" {75+}\nC1 Subject: b\nC1 From: yan@example.org\nC1 Date: Fri, 4 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m5 OK %\n"
	    "C1 a SORT (DATE) UTF-8 ALL\nS1 * SORT 5 3 1 2 6 4\nS1 a OK %\n"
	    "C1 b UID SORT (REVERSE DATE) US-ASCII 1:3\nS1 * SORT 2 1 3\nS1 b OK %\n"
	    "C1 c SORT (SUBJECT REVERSE FROM) UTF-8 ALL\nS1 * SORT 3 2 4 1 6 5\nS1 c OK %\n"
	    "C1 d SORT (SIZE) UTF-8 ALL\nS1 * SORT 1 6 2 5 3 4\nS1 d OK %\n"
	    "C1 e SORT (ARRIVAL) UTF-8 NOT 4\nS1 * SORT 6 5 3 2 1\nS1 e OK %\n"
	    "C1 f SORT (TO CC) UTF-8 2:4 BODY xyz\nS1 * SORT\nS1 f OK %\n"
	    "C1 g SORT (FROM) UTF-8 MODSEQ 6\nS1 * OK [HIGHESTMODSEQ 7] %\nS1 * SORT 5 6 (MODSEQ 7)\nS1 g OK %\n"
	    "C1 h THREAD ORDEREDSUBJECT UTF-8 ALL\nS1 * THREAD (5)(3 (2)(4))(1 6)\nS1 h OK %\n"
	    "C1 i UID THREAD ORDEREDSUBJECT US-ASCII FROM nobody\nS1 * THREAD\nS1 i OK %\n"
	    "C1 j SORT (FOO) UTF-8 ALL\nS1 j BAD %\nC1 k SORT (REVERSE) UTF-8 ALL\nS1 k BAD %\nC1 l SORT () UTF-8 ALL\nS1 l BAD %\n"
	    "C1 m SORT (DATE) X-FOO ALL\nS1 m NO [BADCHARSET %\nC1 n THREAD FOO UTF-8 ALL\nS1 n BAD %\nC1 o SORT (DATE) UTF-8\nS1 o BAD %\n" },
	{ "threads by references",
	    "L1 INBOX\n"
	    "C1 m1 APPEND INBOX {71+}\nC1 Subject: x\nC1 Message-ID: <a@x>\nC1 Date: Wed, 2 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m1 OK %\n"
	    "C1 m2 APPEND INBOX {116+}\nC1 Subject: Re: x\nC1 Message-ID: <b@x>\nC1 In-Reply-To: Ann's of today <a@x> <q@x>\nC1 Date: Thu, 3 Feb 1994 10:00:00 +0000\nC1 \nC1 \nD1 m2 OK %\n"
	    "C1 m3 APPEND INBOX {102+}\nC1 Subject: other\nC1 Message-ID: <c@x>\nC1 References: <a@x>\nC1  <z@x>\nC1 Date: Thu, 3 Feb 1994 09:00:00 +0000\nC1 \nC1 \nD1 m3 OK %\n"
	    "C1 a THREAD REFERENCES UTF-8 ALL\nS1 * THREAD (1 (3)(2))\nS1 a OK %\n"
	    "C1 b UID THREAD REFERENCES UTF-8 2:3\nS1 * THREAD ((3)(2))\nS1 b OK %\nC1 c THREAD REFERENCES UTF-8 9\nS1 * THREAD\nS1 c OK %\n" },
	{ "append with UTF8",
	    "L1 INBOX\nC1 a APPEND INBOX UTF8 (~{14+}\nC1 Subject: x\nC1 \nC1 )\nS1 a BAD %\nC1 b ENABLE UTF8=ACCEPT\nD1 b OK %\n"
	    "C1 c APPEND INBOX (\\Seen) \"01-Feb-1994 10:00:00 +0100\" UTF8 (~{15}\nS1 + OK\nC1 Subject: x\nC1 \nC1 z)\nS1 * 1 EXISTS\nS1 * 1 RECENT\nS1 c OK [APPENDUID % 1] %\n"
	    "C1 d FETCH 1 (FLAGS BODY[])\nS1 * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[] {15}\nS1 Subject: x\nS1 \nS1 z)\nS1 d OK %\n"
	    "C1 e APPEND INBOX UTF8 (~{16+}\nC1 Subject: x\nC1 \nC1 zz) x\nS1 e BAD %\nC1 f APPEND INBOX UTF8 {5}\nS1 f BAD %\n"
	    "C1 g APPEND INBOX UTF8 ({5+}\nC1 abcde)\nS1 g BAD %\nC1 h SEARCH SUBJECT ~{1}\nS1 h BAD %\nC1 i STATUS INBOX (MESSAGES)\nS1 * STATUS \"INBOX\" (MESSAGES 1)\nS1 i OK %\n" },
	{ "outbox",
	    "H deliver Outbox MSG\nH deliver Outbox MSG\nH withdraw reject\nL1 Outbox\n"
	    "C1 a STORE 1 +FLAGS.SILENT \\Deleted\nS1 a OK %\nC1 b EXPUNGE\nS1 b NO [CANNOT] bob@home has it already\n"
	    "C1 c MOVE 1 Trash\nS1 c NO [CANNOT] bob@home has it already\nC1 d UID MOVE 1:2 Trash\nS1 d NO %\n"
	    "C1 e STATUS Outbox (MESSAGES)\nS1 * STATUS \"Outbox\" (MESSAGES 2)\nS1 e OK %\n"
	    "H withdraw ok\nC1 f MOVE 2 Trash\nS1 * OK [COPYUID %\nS1 * 2 EXPUNGE\nS1 f OK %\nC1 g EXPUNGE\nS1 * 1 EXPUNGE\nS1 g OK %\n" },
	{ "a mailbox that goes while it is selected",
	    "L1\nC1 a CREATE x\nD1 a OK %\nC1 b SELECT x\nD1 b OK %\nL2 x\nC1 c DELETE x\nS1 c OK %\nS2 * BYE %\nE2\n"
	    "C1 d FETCH 1 FLAGS\nS1 d BAD %\nC1 e NOOP\nS1 e OK %\n" },
};
