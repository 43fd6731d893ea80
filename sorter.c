/* sorter.c -- see sorter.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "sorter.h"

#define HEAD_BYTES 8            /* of an entry: lengths of its key and its value */

/* Where an entry stands in memory. */
typedef uint32_t place;

bool sorter_open(struct sorter *s, const char *dir, size_t bytes)
{
	assert(bytes <= UINT32_MAX && bytes >= 4096);
	*s = (struct sorter){ .dir = dir, .bytes = bytes, .fd = -1 };
	s->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->memory != MAP_FAILED)
		return true;
	s->memory = NULL;
	return false;
}

void sorter_close(struct sorter *s)
{
	if (s->memory != NULL)
		munmap(s->memory, s->bytes);
	if (s->file != NULL)
		munmap(s->file, (size_t)s->file_bytes);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct sorter){ .fd = -1 };
}

static size_t part_len(const char *entry, size_t part)
{
	uint32_t len;

	memcpy(&len, entry + 4 * part, sizeof len);
	return len;
}

static size_t entry_bytes(const char *entry)
{
	return HEAD_BYTES + part_len(entry, 0) + part_len(entry, 1);
}

static struct slice entry_key(const char *entry)
{
	return (struct slice){ entry + HEAD_BYTES, part_len(entry, 0) };
}

static struct slice entry_value(const char *entry)
{
	return (struct slice){ entry + HEAD_BYTES + part_len(entry, 0), part_len(entry, 1) };
}

/* The places, newest first: they grow downwards from the end of the memory. */
static place *places(const struct sorter *s)
{
	return (place *)(void *)(s->memory + s->bytes / sizeof(place) * sizeof(place)) - s->count;
}

/* Of two entries with the same key the older one has the lower place. */
static int compare(const void *left, const void *right, void *memory)
{
	place a = *(const place *)left, b = *(const place *)right;
	const char *base = memory;
	int order = slice_order(entry_key(base + a), entry_key(base + b));

	if (order != 0)
		return order;
	return a < b ? -1 : 1;
}

/* A file that has no name, which others can neither find nor read. */
static bool make_file(struct sorter *s)
{
	char path[FILE_PATH_MAX];

	if (s->fd < 0 && (s->fd = file_make(s->dir, path)) >= 0)
		unlink(path);
	return s->fd >= 0;
}

/* Sorts what is in memory, and writes it as one more run. */
static bool spill(struct sorter *s)
{
	static char bytes[256 << 10];
	struct buf out = BUF(bytes);
	const place *at = places(s);

	if (s->run_count == SORTER_RUNS_MAX) {
		errno = EFBIG;
		return false;
	}
	if (!make_file(s))
		return false;
	qsort_r(places(s), s->count, sizeof *at, compare, s->memory);
	for (size_t i = 0; i < s->count; i++) {
		struct slice entry = { s->memory + at[i], entry_bytes(s->memory + at[i]) };

		if (entry.len > out.cap - out.len) {
			if (!file_write(s->fd, buf_slice(&out)))
				return false;
			out.len = 0;
		}
		if (entry.len <= out.cap)
			buf_put(&out, entry);
		else if (!file_write(s->fd, entry))
			return false;
		s->file_bytes += entry.len;
	}
	s->end_of[s->run_count++] = s->file_bytes;
	s->used = s->count = 0;
	return file_write(s->fd, buf_slice(&out));
}

bool sorter_put(struct sorter *s, struct slice key, struct slice value)
{
	size_t len = HEAD_BYTES + key.len + value.len;
	uint32_t lens[2] = { (uint32_t)key.len, (uint32_t)value.len };
	char *entry;

	if (len > s->bytes / 4) {
		errno = EFBIG;
		return false;
	}
	if (s->used + len + (s->count + 2) * sizeof(place) > s->bytes && !spill(s))
		return false;
	entry = s->memory + s->used;
	memcpy(entry, lens, sizeof lens);
	if (key.len > 0)
		memcpy(entry + HEAD_BYTES, key.ptr, key.len);
	if (value.len > 0)
		memcpy(entry + HEAD_BYTES + key.len, value.ptr, value.len);
	s->count++;
	*places(s) = (place)s->used;
	s->used += len;
	return true;
}

/* True where run `i` comes out before run `j`. Runs stand in the file in the order in which
 * they were put. */
static bool before(const struct sorter *s, size_t i, size_t j)
{
	int order = slice_order(entry_key(s->runs[i].at), entry_key(s->runs[j].at));

	return order < 0 || (order == 0 && s->runs[i].at < s->runs[j].at);
}

/* Moves the run at `i` down to its place in the heap. */
static void sink(struct sorter *s, size_t i)
{
	for (;;) {
		size_t least = i;
		struct sorter_run moved;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < s->run_count && before(s, child, least))
				least = child;
		if (least == i)
			return;
		moved = s->runs[i];
		s->runs[i] = s->runs[least];
		s->runs[least] = moved;
		i = least;
	}
}

bool sorter_sort(struct sorter *s)
{
	if (s->run_count == 0) {
		qsort_r(places(s), s->count, sizeof(place), compare, s->memory);
		return true;
	}
	if (s->count > 0 && !spill(s))
		return false;
	munmap(s->memory, s->bytes);
	s->memory = NULL;
	if (s->file_bytes > SIZE_MAX / 2) {
		errno = EFBIG;
		return false;
	}
	s->file = mmap(NULL, (size_t)s->file_bytes, PROT_READ, MAP_SHARED, s->fd, 0);
	if (s->file == MAP_FAILED) {
		s->file = NULL;
		return false;
	}
	for (size_t i = 0; i < s->run_count; i++) {
		s->runs[i].at = s->file + (i > 0 ? s->end_of[i - 1] : 0);
		s->runs[i].end = s->file + s->end_of[i];
	}
	for (size_t i = s->run_count; i-- > 0;)
		sink(s, i);
	return true;
}

bool sorter_next(struct sorter *s, struct slice *key, struct slice *value)
{
	const char *entry;

	if (s->file != NULL && s->run_count > 0) {
		entry = s->runs[0].at;
		s->runs[0].at += entry_bytes(entry);
		if (s->runs[0].at == s->runs[0].end)
			s->runs[0] = s->runs[--s->run_count];
		sink(s, 0);
	} else if (s->file == NULL && s->given < s->count) {
		entry = s->memory + places(s)[s->given++];
	} else {
		return false;
	}
	*key = entry_key(entry);
	*value = entry_value(entry);
	return true;
}
