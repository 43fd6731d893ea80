/* sorter.h -- sorts more entries than memory holds, by their keys.
 *
 * Entries are put until memory is full, sorted, and written as a run into a file without a
 * name, mode 0600; at the end the runs are merged. What fits in memory never touches a disk.
 * Memory  `bytes` of it while entries are put (mmap), the kernel's page cache after that. A key
 *         and a value from sorter_next() live until the next call.
 * Errors  false with errno. ENOSPC: the directory's disk is full.
 * Limits  an entry of `bytes` / 4; SORTER_RUNS_MAX runs.
 */
#ifndef SORTER_H
#define SORTER_H

#include "bytes.h"

#define SORTER_RUNS_MAX 1024

struct sorter_run {
	const char *at, *end;
};

struct sorter {
	const char *dir;
	char *memory;
	size_t bytes;
	size_t used, count;     /* entries stand in front, their places at the end */
	int fd;                 /* of the runs; -1: none yet */
	char *file;             /* the runs, mapped for the merge */
	uint64_t file_bytes;
	uint64_t end_of[SORTER_RUNS_MAX];
	struct sorter_run runs[SORTER_RUNS_MAX];        /* a heap: the least entry in front */
	size_t run_count;
	size_t given;           /* entries given out of memory */
};

/* `dir` is where a file may be made; it outlives the sorter. */
bool sorter_open(struct sorter *s, const char *dir, size_t bytes);
void sorter_close(struct sorter *s);

/* Copies the entry. */
bool sorter_put(struct sorter *s, struct slice key, struct slice value);

/* No more is put; from here on entries come out. */
bool sorter_sort(struct sorter *s);

/* The entry with the least key that is left, bytes compared as numbers, a shorter key before a
 * longer one that begins with it; equal keys in the order in which they were put. False: none. */
bool sorter_next(struct sorter *s, struct slice *key, struct slice *value);

#endif
