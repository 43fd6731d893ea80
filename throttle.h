/* throttle.h -- counts per name and time window, in a table of fixed size.
 *
 * For failed logins and request rates. A window starts at the first count and ends
 * `window_s` later. Names are kept as a keyed digest, never in the clear. When the
 * table is full the entry whose window ends first gives way.
 * Memory  the caller's array; nothing is allocated here.
 * Time    handed in, in milliseconds.
 */
#ifndef THROTTLE_H
#define THROTTLE_H

#include "bytes.h"

struct throttle_entry {
	uint8_t name[12];       /* cut digest of kind and name; all zero: free */
	uint32_t count;
	uint64_t ends_ms;
};

struct throttle {
	struct throttle_entry *entries;
	size_t mask;            /* number of entries less one, a power of two less one */
	uint8_t seed[16];       /* so that nobody can aim at a slot */
};

/* `count` entries (a power of two, at least 16) of the caller's, all zero: they are not written
 * here, so that of a new table no page is in use. */
void throttle_init(struct throttle *t, struct throttle_entry *entries, size_t count,
                   const uint8_t seed[16]);

/* Seconds, rounded up, until `name` may go on where `limit` counts are used up in its
 * window; 0 where it may go on now. Changes nothing. `kind` keeps the uses apart. */
uint32_t throttle_wait_s(const struct throttle *t, char kind, struct slice name,
                         uint32_t limit, uint64_t now_ms);

/* Counts one more; starts a window of `window_s` seconds where none runs. */
void throttle_bump(struct throttle *t, char kind, struct slice name, uint32_t window_s,
                   uint64_t now_ms);

/* Forgets `name`: a login that succeeded. */
void throttle_clear(struct throttle *t, char kind, struct slice name);

#endif
