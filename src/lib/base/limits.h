#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H
/*
 * Every limit on what comes from outside, in one place. Sizes are octets.
 * A parser that meets more than this says so; it never cuts silently.
 */

#define KIB(n) ((size_t)(n) * 1024)
#define MIB(n) ((size_t)(n) * 1024 * 1024)

enum {
	/* Addresses and records (p2pmta-protocol(7), sections 1 and 3) */
	LIMIT_ADDRESS = 254,
	LIMIT_FIELD = 8 * 1024,
	LIMIT_FIELDS = 8192,		/* fields in one record */
	LIMIT_RECORD = 256 * 1024,	/* header block of a record */
	LIMIT_NS_RECORDS = 16,		/* ns records in one OpenPGP message */
	LIMIT_NS_VALUE = 4096,		/* the value in the DHT */
	LIMIT_NS_PLAIN = 64 * 1024,	/* what an ns value may decrypt to */
	LIMIT_DHT_VALUE = 64 * 1024,
	LIMIT_DESCRIPTOR = 16 * 1024,	/* signed peer/1 */
	LIMIT_PUBKEY = 6 * 1024,
	LIMIT_OWN_PUBKEY = 1900,	/* more does not fit into a notice: RSA up to 3,072 bits */
	LIMIT_HEAD = 2 * 1024 * 1024,	/* head object, sealed and open */
	LIMIT_GROUP_MEMBERS = 128,
	LIMIT_LIST = 16 * 1024 * 1024,	/* body of msglist/1 and notices/1 */
	LIMIT_URLS = 8,
	LIMIT_URL = 1024,
	LIMIT_PKESK = 600,

	/* MIME */
	LIMIT_MIME_HEADER = 1024 * 1024,	/* one header block */
	LIMIT_MIME_FIELD = 256 * 1024,		/* one unfolded field */
	LIMIT_MIME_PARTS = 10000,
	LIMIT_MIME_DEPTH = 100,
	LIMIT_MIME_PARAMS = 256,		/* parameters of one field */
	LIMIT_MIME_ADDRESSES = 10000,		/* in one field */
	LIMIT_BOUNDARY = 256,

	/* SMTP (RFC 5321 section 4.5.3.1) */
	LIMIT_SMTP_LINE = 4096,
	LIMIT_SMTP_AUTH_LINE = 12288,
	LIMIT_SMTP_ERRORS = 20,
	LIMIT_SMTP_COMMANDS = 200,	/* that bring no message nearer, since the last message */
	LIMIT_SMTP_SESSIONS = 256,
	LIMIT_SMTP_IDLE_S = 300,
	LIMIT_SMTP_LOGIN_S = 300,	/* from the connection to the login */
	LIMIT_SMTP_LINE_S = 60,		/* from the first octet of a line to its end */
	LIMIT_SMTP_DATA_S = 180,	/* for each LIMIT_SMTP_DATA_MIN octets of a message */
	LIMIT_SMTP_DATA_MIN = 1024,
	LIMIT_SMTP_ENVID = 100,		/* RFC 3461 section 4.4 */
	LIMIT_SMTP_ORCPT = 500,		/* section 4.2 */

	/* IMAP */
	LIMIT_IMAP_LINE = 64 * 1024,
	LIMIT_IMAP_LITERAL_PREAUTH = 4096,
	LIMIT_IMAP_DEPTH = 32,
	LIMIT_IMAP_SESSIONS = 512,
	LIMIT_IMAP_APPENDS = 1000,	/* messages in one APPEND: their rows are one transaction */
	LIMIT_IMAP_APPEND_HEADERS = 32 * 1024 * 1024,	/* in all of them that are files: headers and structures */
	LIMIT_IMAP_PULLS = 16,		/* at once; more wait for their turn */
	LIMIT_IMAP_IDLE_S = 1800,
	LIMIT_MAILBOX_NAME = 512,
	LIMIT_MAILBOXES = 10000,
	LIMIT_KEYWORDS = 64,		/* per mailbox store */

	/* HTTP */
	LIMIT_HTTP_CONNS = 512,
	LIMIT_HTTP_CONNS_PER_IP = 64,
	LIMIT_HTTP_HEADER = 16 * 1024,
	LIMIT_HTTP_BODY = 64 * 1024,
	LIMIT_HTTP_IDLE_S = 30,
	LIMIT_HTTP_UPLOADS = 16,	/* PUTs whose body comes, at once */
	LIMIT_HTTP_UPLOAD_S = 60,	/* for each LIMIT_HTTP_UPLOAD_MIN octets of such a body */
	LIMIT_HTTP_UPLOAD_MIN = 16 * 1024,
	LIMIT_HTTP_REFUSAL = 32 * 1024,	/* what is said in place of what was asked for: T_recalls at most */
	LIMIT_HTTP_PULL_MIN = 4 * 1024,	/* of what is pulled, in the time in which silence ends it */

	/* Queues that strangers fill: more is dropped and found by the next poll */
	LIMIT_DOOR_STRANGERS = 1024,
	LIMIT_CONTROL_LINE = 64 * 1024,
};

#define LIMIT_MESSAGE ((uint64_t)4 * 1024 * 1024 * 1024)	/* m; smtp.max_size is lower */
#define LIMIT_SEALED (LIMIT_MESSAGE + LIMIT_MESSAGE / 64 + KIB(64))	/* m': m and what OpenPGP wraps around it */

#endif
