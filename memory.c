/* memory.c -- see memory.h. */
#include <sys/mman.h>

#include "memory.h"

#define PAGE 4096u      /* of both processors that this is made for; a larger one keeps more */

void *memory_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void memory_trim(void *memory, size_t bytes, size_t keep)
{
	size_t kept = memory_pages(keep);

	if (kept < bytes)
		madvise((char *)memory + kept, bytes - kept, MADV_DONTNEED);
}

size_t memory_pages(size_t bytes)
{
	return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}
