/* memory.h -- memory of the kernel's: had at start, touched when first used, given back.
 *
 * Nothing else is allocated: buffers and pools are sized by the settings and lie here. None of
 * it, where requests and secrets are, shows in a core dump (requirement S11; madvise(2),
 * MADV_DONTDUMP).
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "bytes.h"

/* Zeroed bytes from a page's start on; NULL with errno where there are none. */
void *memory_map(size_t bytes);

/* Leaves static memory and the stack from here on out of core dumps too, of this process and
 * of those that it forks. */
void memory_hide(void);

/* Gives back what was touched behind the first `keep` of `bytes` bytes that memory_map() gave
 * at `memory`: it reads as zeros again. */
void memory_trim(void *memory, size_t bytes, size_t keep);

/* `bytes`, up to the end of their last page. */
size_t memory_pages(size_t bytes);

/* A copy on its way to another process of the same binary: a descriptor, or -1. */
int memory_save(const void *bytes, size_t len);
/* Closes `fd`. False: it holds no copy of that length, and `bytes` are as they were. */
bool memory_load(int fd, void *bytes, size_t len);

#endif
