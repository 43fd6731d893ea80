/* print.h -- records on standard output: tables for people, JSON for programs.
 *
 * A record is a list of cells. In a table it is one line under a row of titles, in a sheet
 * one line per cell, and as JSON one object on one line, whichever was asked for.
 * Memory  static: what is printed waits here until there is enough for one write(2).
 * Errors  kept, and told by print_flush().
 */
#ifndef PRINT_H
#define PRINT_H

#include "bytes.h"

enum print_kind {
	PRINT_TEXT,
	PRINT_LIST,     /* `a,b`; in JSON an array; `-` and empty are none */
	PRINT_NUMBER,
	PRINT_ID,       /* 0 is none: `-`, in JSON null */
	PRINT_COUNT,    /* PRINT_NONE is none */
	PRINT_AGE,      /* seconds: 7200 is 2h; in JSON 7200 */
	PRINT_TENTHS,   /* 42 is 4.2 */
	PRINT_BYTES,    /* 1536 is 1.5K; in JSON 1536 */
	PRINT_TIME,     /* Unix seconds; 0 is never, in JSON null */
	PRINT_YES,      /* not 0: yes, in JSON true */
};

struct print_cell {
	const char *name;       /* the member; in a table the title, in capitals */
	enum print_kind kind;
	struct slice text;      /* of PRINT_TEXT and PRINT_LIST */
	uint64_t number;        /* of all others */
};

#define PRINT_NONE       UINT64_MAX
#define PRINT_CELLS_MAX  32             /* cells of one record */
#define PRINT_RECORD_MAX (64 << 10)     /* bytes of one record in any form */

/* What is printed from here on is JSON, or for people. */
void print_open(bool json);

/* One line of a table, which a sheet or text ends. Columns are as wide as the rows that wait
 * together need them. */
void print_row(const struct print_cell *cells, size_t count);

/* One line per cell. */
void print_sheet(const struct print_cell *cells, size_t count);

/* As it is, up to PRINT_RECORD_MAX bytes. */
void print_text(struct slice text);

/* Writes `{"name":value,...}` into `to`. */
void print_object(struct buf *to, const struct print_cell *cells, size_t count);

/* True where much is waiting: let go of the store's snapshot, then call print_flush(). */
bool print_due(void);

/* Writes out what waits; false, with errno, where standard output has not taken all. */
bool print_flush(void);

#endif
