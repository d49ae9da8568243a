#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * The third way out of a function: the world failed. The class says what to
 * do about it (4xx, back off / 5xx, bounce), the text is for people. Whoever
 * returns an error does not log it; it is logged once, where it is handled.
 * Any thread; a struct err belongs to its caller, usually on the stack.
 */

enum outcome {
	OK,
	RETRY,			/* may work later: disk, network, memory */
	REJECT,			/* will never work: bad input, no right */
};

struct err {
	char text[512];		/* UTF-8, no line end */
};

/* Replace the text. Returns nothing, so that the class is set by the caller. */
void err_set(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Like err_set, then ": " and the text of errno. errno is kept. */
void err_sys(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Put context in front: "CONTEXT: what was there". */
void err_wrap(struct err *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
