/* memory.c -- see memory.h. */
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "memory.h"

#define STACK_BYTES (1u << 20)  /* more than is mapped of it at the start */
#define PAGE 4096u      /* of both processors that this is made for; a larger one keeps more */

void *memory_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_DONTDUMP);
	return memory;
}

/* Whole pages; what is not mapped between them does not matter. */
static void hide(uintptr_t from, uintptr_t to)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	from &= ~(page - 1);
	madvise((void *)from, to - from, MADV_DONTDUMP);
}

/* Static memory that starts as zeros lies between two places that the linker knows (end(3)).
 * The stack grows downwards, and what it grows by is as its lowest page is. */
void memory_hide(void)
{
	extern char edata, end;
	char here;

	hide((uintptr_t)&edata, (uintptr_t)&end);
	hide((uintptr_t)&here - STACK_BYTES, (uintptr_t)&here);
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

int memory_save(const void *bytes, size_t len)
{
	int fd = memfd_create("copy", MFD_CLOEXEC);

	if (fd >= 0 && file_write(fd, slice_bytes(bytes, len)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Mapped, since who loads it may make few system calls. */
bool memory_load(int fd, void *bytes, size_t len)
{
	const void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);

	close(fd);
	if (map == MAP_FAILED)
		return false;
	memcpy(bytes, map, len);
	munmap((void *)(uintptr_t)map, len);
	return true;
}
