#ifndef DAEMON_SELFTEST_H
#define DAEMON_SELFTEST_H
/* p2pmta -t: is everything there that a start needs, and is it as private as it must be? Reads only. */
#include "app/daemon/settings.h"

/* OK, or REJECT with what is wrong, where, and what would be right. */
enum outcome selftest(const struct settings *, struct err *);

#endif
