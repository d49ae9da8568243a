#ifndef RESOLVE_OWN_H
#define RESOLVE_OWN_H
/* Our own descriptor (peer/1): signed, put, renewed twice a day. Loop thread. */
#include "way/resolve/resolve.h"

struct own;
/* parts, settings and hooks outlive it. */
struct own *own_start(const struct resolve_parts *, const struct resolve_settings *, const struct resolve_hooks *);
void own_stop(struct own **);
/* The settings have changed: a new descriptor now. */
void own_renew(struct own *);
struct bytes own_key(const struct own *);

#endif
