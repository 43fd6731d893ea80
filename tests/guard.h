/* guard.h -- input that ends at a page nobody may read: an over-read is a crash at once. */
#ifndef GUARD_H
#define GUARD_H

#include <assert.h>
#include <sys/mman.h>

#include "bytes.h"

#define GUARD_MAX  ((size_t)2 << 20)
#define GUARD_PAGE ((size_t)65536)      /* no machine has larger ones */

/* Copies `s` to the end of the guarded memory; it holds until the next call. */
static inline struct slice guarded(struct slice s)
{
	static char *memory;
	char *copy;

	if (memory == NULL) {
		memory = mmap(NULL, GUARD_MAX + GUARD_PAGE, PROT_READ | PROT_WRITE,
		              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert(memory != MAP_FAILED);
		mprotect(memory + GUARD_MAX, GUARD_PAGE, PROT_NONE);
	}
	assert(s.len <= GUARD_MAX);
	copy = memory + GUARD_MAX - s.len;
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return (struct slice){ copy, s.len };
}

#endif
