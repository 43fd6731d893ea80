/* print.c -- see print.h. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "date.h"
#include "file.h"
#include "json.h"
#include "print.h"

#define ROWS_CAP   (256 << 10)
#define GAP        2            /* blanks between two columns */

/* Cells of a table that wait for the widths: text, NUL, text, NUL, ... */
static struct {
	char bytes[ROWS_CAP];
	size_t len, columns;
	size_t width[PRINT_CELLS_MAX];
	bool titled;
} rows;

static char out_bytes[ROWS_CAP];
static struct buf out = { out_bytes, 0, sizeof out_bytes, false };
static bool as_json;
static int failure;             /* errno of the first write that failed */

static void write_out(void)
{
	if (failure == 0 && !file_write(STDOUT_FILENO, buf_slice(&out)))
		failure = errno;
	out.len = 0;
}

/* Room for one more record. */
static struct buf *room(void)
{
	if (out.cap - out.len < PRINT_RECORD_MAX)
		write_out();
	return &out;
}

static void put_time(struct buf *to, uint64_t time_s)
{
	date_put(to, time_s);
	buf_char(to, 'Z');
}

/* In the largest unit that it fills, with one digit behind the point. */
static void put_bytes(struct buf *to, uint64_t bytes)
{
	static const char units[] = "KMGT";
	uint64_t tenths = bytes * 10;
	size_t unit = 0;

	if (bytes < 1024) {
		buf_uint(to, bytes);
		return;
	}
	for (tenths /= 1024; tenths >= 10240 && unit + 2 < sizeof units; unit++)
		tenths /= 1024;
	buf_uint(to, tenths / 10);
	buf_char(to, '.');
	buf_uint(to, tenths % 10);
	buf_char(to, units[unit]);
}

/* In the largest unit that it fills. */
static void put_age(struct buf *to, uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		char name;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	while (i + 1 < COUNT_OF(units) && seconds < units[i].seconds)
		i++;
	buf_uint(to, seconds / units[i].seconds);
	buf_char(to, units[i].name);
}

static void put_tenths(struct buf *to, uint64_t tenths)
{
	buf_uint(to, tenths / 10);
	buf_char(to, '.');
	buf_uint(to, tenths % 10);
}

/* Without control bytes: it goes to a terminal. */
static void put_clean(struct buf *to, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_char(to, (unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f ?
		             '?' : text.ptr[i]);
}

static bool is_none(const struct print_cell *cell)
{
	return cell->number == (cell->kind == PRINT_ID ? 0 : PRINT_NONE);
}

static void put_text(struct buf *to, const struct print_cell *cell)
{
	switch (cell->kind) {
	case PRINT_TEXT:
	case PRINT_LIST:
		put_clean(to, cell->text.len > 0 ? cell->text : SLICE("-"));
		return;
	case PRINT_NUMBER:
		buf_uint(to, cell->number);
		return;
	case PRINT_ID:
	case PRINT_COUNT:
		if (is_none(cell))
			buf_char(to, '-');
		else
			buf_uint(to, cell->number);
		return;
	case PRINT_AGE:
		put_age(to, cell->number);
		return;
	case PRINT_TENTHS:
		put_tenths(to, cell->number);
		return;
	case PRINT_BYTES:
		put_bytes(to, cell->number);
		return;
	case PRINT_TIME:
		if (cell->number > 0)
			put_time(to, cell->number);
		else
			buf_lit(to, "never");
		return;
	case PRINT_YES:
		buf_str(to, cell->number > 0 ? "yes" : "no");
		return;
	}
}

static void put_array(struct buf *to, struct slice list)
{
	bool first = true;

	buf_char(to, '[');
	if (slice_eq(list, SLICE("-")))
		list = (struct slice){ 0 };
	while (list.len > 0) {
		if (!first)
			buf_char(to, ',');
		first = false;
		json_put_string(to, slice_cut(&list, ','));
	}
	buf_char(to, ']');
}

static void put_json(struct buf *to, const struct print_cell *cell)
{
	switch (cell->kind) {
	case PRINT_TEXT:
		json_put_string(to, cell->text);
		return;
	case PRINT_LIST:
		put_array(to, cell->text);
		return;
	case PRINT_NUMBER:
	case PRINT_AGE:
	case PRINT_BYTES:
		buf_uint(to, cell->number);
		return;
	case PRINT_ID:
	case PRINT_COUNT:
		if (is_none(cell))
			buf_lit(to, "null");
		else
			buf_uint(to, cell->number);
		return;
	case PRINT_TENTHS:
		put_tenths(to, cell->number);
		return;
	case PRINT_TIME:
		if (cell->number == 0) {
			buf_lit(to, "null");
			return;
		}
		buf_char(to, '"');
		put_time(to, cell->number);
		buf_char(to, '"');
		return;
	case PRINT_YES:
		buf_str(to, cell->number > 0 ? "true" : "false");
		return;
	}
}

/* Characters of UTF-8 text: bytes that do not continue one. */
static size_t characters(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static void put_blanks(struct buf *to, size_t n)
{
	while (n-- > 0)
		buf_char(to, ' ');
}

/* Keeps one cell of the row at hand, and its column's width. */
static void keep(size_t column, struct slice text)
{
	size_t width = characters(text);

	assert(column < PRINT_CELLS_MAX && text.len < sizeof rows.bytes - rows.len);
	if (width > rows.width[column])
		rows.width[column] = width;
	memcpy(rows.bytes + rows.len, text.ptr, text.len);
	rows.len += text.len;
	rows.bytes[rows.len++] = '\0';
}

static void keep_cell(size_t column, const struct print_cell *cell)
{
	char text[PRINT_RECORD_MAX];
	struct buf to = BUF(text);

	put_text(&to, cell);
	keep(column, buf_slice(&to));
}

static void keep_title(size_t column, const char *name)
{
	char title[64];
	struct buf to = BUF(title);

	for (; *name != '\0'; name++)
		buf_char(&to, *name == '_' ? ' ' : (char)toupper((unsigned char)*name));
	keep(column, buf_slice(&to));
}

/* Moves the rows to the output, padded. */
static void lay_rows(void)
{
	size_t column = 0;

	for (size_t at = 0; at < rows.len; column = (column + 1) % rows.columns) {
		struct slice text = slice_of(rows.bytes + at);

		buf_put(room(), text);
		if (column + 1 < rows.columns)
			put_blanks(&out, rows.width[column] - characters(text) + GAP);
		else
			buf_char(&out, '\n');
		at += text.len + 1;
	}
	rows.len = 0;
}

/* What is printed next belongs to no table, or to another one. */
static void end_table(void)
{
	lay_rows();
	rows.titled = false;
	memset(rows.width, 0, sizeof rows.width);
}

void print_open(bool json)
{
	as_json = json;
}

void print_row(const struct print_cell *cells, size_t count)
{
	assert(count > 0 && count <= PRINT_CELLS_MAX);
	if (as_json) {
		print_sheet(cells, count);
		return;
	}
	if (sizeof rows.bytes - rows.len < (size_t)2 * PRINT_RECORD_MAX)
		lay_rows();
	rows.columns = count;
	for (size_t i = 0; i < count && !rows.titled; i++)
		keep_title(i, cells[i].name);
	rows.titled = true;
	for (size_t i = 0; i < count; i++)
		keep_cell(i, &cells[i]);
}

void print_sheet(const struct print_cell *cells, size_t count)
{
	struct buf *to;
	size_t width = 0;

	end_table();
	to = room();
	if (as_json) {
		print_object(to, cells, count);
		buf_char(to, '\n');
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (strlen(cells[i].name) > width)
			width = strlen(cells[i].name);
	for (size_t i = 0; i < count; i++) {
		buf_str(to, cells[i].name);
		buf_char(to, ':');
		put_blanks(to, width - strlen(cells[i].name) + GAP);
		put_text(to, &cells[i]);
		buf_char(to, '\n');
	}
}

void print_text(struct slice text)
{
	end_table();
	buf_put(room(), text);
}

void print_object(struct buf *to, const struct print_cell *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_char(to, i == 0 ? '{' : ',');
		json_put_string(to, slice_of(cells[i].name));
		buf_char(to, ':');
		put_json(to, &cells[i]);
	}
	buf_char(to, '}');
}

bool print_due(void)
{
	return rows.len + out.len > ROWS_CAP / 2;
}

bool print_flush(void)
{
	lay_rows();
	write_out();
	assert(!out.full);
	errno = failure;
	return failure == 0;
}
