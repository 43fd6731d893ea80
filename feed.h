/* feed.h -- a file cut into records as it streams in: lines, CSV rows, elements of a JSON array.
 *
 * What is held is one buffer, however large the file. Where a record ends is all that is judged
 * here; what is in it is the caller's to read.
 * Memory  a record lives until the next call.
 * Limits  a record of more than FEED_RECORD_MAX bytes is passed over: FEED_LONG.
 * Source  RFC 4180 for CSV; RFC 8259 for strings and brackets of JSON.
 */
#ifndef FEED_H
#define FEED_H

#include "bytes.h"

#define FEED_RECORD_MAX 1048576
#define FEED_HELD       (2 * FEED_RECORD_MAX)
#define FEED_HEAD_MAX   256
#define FEED_CELLS_MAX  32

enum feed_status {
	FEED_RECORD,
	FEED_END,
	FEED_LONG,      /* the record is too long; its first FEED_HEAD_MAX bytes are given */
	FEED_BROKEN,    /* `error` says what is wrong; nothing behind it can be read */
};

struct feed {
	int fd;
	const char *error;
	uint64_t size;          /* bytes of the file; 0: not known */
	uint64_t taken;         /* bytes read so far */
	uint64_t line;          /* where the latest record begins, from 1 */
	size_t chunk;           /* bytes that one read(2) asks for at most; 0: all that fits */
	/* Its own: */
	uint64_t passed;        /* line ends before `start` */
	size_t start, end;      /* what is held and not given out yet */
	size_t given;           /* bytes from `start` that the latest record has */
	bool ended, opened, separated;
	char head[FEED_HEAD_MAX];
	char bytes[FEED_HELD];
};

/* Opens a file, or standard input for `-`; false with errno. */
bool feed_open(struct feed *f, const char *path);
/* The same for a descriptor, which is the feed's from here on. */
void feed_open_fd(struct feed *f, int fd);
void feed_close(struct feed *f);

/* The first byte that is no blank, which stays where it is; -1 where there is none. */
int feed_peek(struct feed *f);

/* The next line, without its end (LF or CRLF). */
enum feed_status feed_line(struct feed *f, struct slice *line);

/* The next row of CSV: its cells, unquoted in place. A quote that is not closed is
 * FEED_BROKEN, text behind a closing quote and more than FEED_CELLS_MAX cells too. */
enum feed_status feed_row(struct feed *f, struct slice cells[FEED_CELLS_MAX], size_t *count);

/* The next element of the array that the whole file is; each is to be an object. */
enum feed_status feed_element(struct feed *f, struct slice *object);

#endif
