/* test_feed.c -- a file cut into lines, CSV rows and JSON elements, whole and byte by byte. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "feed.h"

static struct feed feed;
static char seen_bytes[1 << 16];

static void open_text(struct slice text, size_t chunk)
{
	int fd = memfd_create("feed", MFD_CLOEXEC);

	assert_true(fd > 0);
	assert_int_equal(write(fd, text.ptr, text.len), (ssize_t)text.len);
	lseek(fd, 0, SEEK_SET);
	feed_open_fd(&feed, fd);
	assert_int_equal(feed.size, text.len);
	feed.chunk = chunk;
}

enum how { LINES, ROWS, ELEMENTS };

/* One record as `<line number>[a|b]`. */
static enum feed_status take(enum how how, struct buf *seen)
{
	struct slice cells[FEED_CELLS_MAX] = { { 0 } };
	size_t count = 1;
	enum feed_status status = how == ROWS ? feed_row(&feed, cells, &count) :
	                          how == LINES ? feed_line(&feed, &cells[0]) :
	                                         feed_element(&feed, &cells[0]);

	if (status != FEED_RECORD)
		return status;
	buf_uint(seen, feed.line);
	for (size_t i = 0; i < count; i++) {
		buf_char(seen, i == 0 ? '[' : '|');
		buf_put(seen, cells[i]);
	}
	buf_char(seen, ']');
	return status;
}

/* All records, then what ended them. */
static const char *read_all(struct slice text, enum how how, size_t chunk)
{
	struct buf seen = BUF(seen_bytes);
	enum feed_status status;

	open_text(text, chunk);
	while ((status = take(how, &seen)) == FEED_RECORD)
		continue;
	if (status == FEED_BROKEN) {
		buf_lit(&seen, " !");
		buf_uint(&seen, feed.line);
		buf_char(&seen, ' ');
		buf_str(&seen, feed.error);
	}
	buf_char(&seen, '\0');
	assert_false(seen.full);
	feed_close(&feed);
	return seen_bytes;
}

static const struct {
	const char *name, *text, *seen;
	enum how how;
} files[] = {
	{ "no line", "", "", LINES },
	{ "a line", "a\n", "1[a]", LINES },
	{ "no end at the last", "a\nb", "1[a]2[b]", LINES },
	{ "CRLF", "a\r\nb\r\n", "1[a]2[b]", LINES },
	{ "empty lines", "\n\na\n", "1[]2[]3[a]", LINES },
	{ "CR within", "a\rb\n", "1[a\rb]", LINES },

	{ "no row", "", "", ROWS },
	{ "cells", "a,b,c\n", "1[a|b|c]", ROWS },
	{ "empty cells", ",,\n", "1[||]", ROWS },
	{ "an empty row", "\na\n", "1[]2[a]", ROWS },
	{ "blanks stay", " a , b\n", "1[ a | b]", ROWS },
	{ "quotes", "\"a\",\"b\"\n", "1[a|b]", ROWS },
	{ "empty quotes", "\"\",\"\"\n", "1[|]", ROWS },
	{ "a comma in quotes", "\"a,b\",c\n", "1[a,b|c]", ROWS },
	{ "doubled quotes", "\"a\"\"b\"\"\"\n", "1[a\"b\"]", ROWS },
	{ "a line end in quotes", "\"a\r\nb\",c\nd\n", "1[a\r\nb|c]3[d]", ROWS },
	{ "CRLF of rows", "a,\"b\"\r\nc\r\n", "1[a|b]2[c]", ROWS },
	{ "no end at the last row", "a\nb,\"c\"", "1[a]2[b|c]", ROWS },
	{ "a comma at the end", "a,\n", "1[a|]", ROWS },
	{ "a quoted comma at the end", "\"a\",\n", "1[a|]", ROWS },
	{ "a quote not closed", "a\n\"b\nc\n", "1[a] !2 a quote that is not closed", ROWS },
	{ "a quote within", "a\"b\"\n", " !1 a quote within a cell without quotes", ROWS },
	{ "text behind a quote", "\"a\"b\n", " !1 text behind a closing quote", ROWS },
	{ "a blank behind a quote", "\"a\" ,b\n", " !1 text behind a closing quote", ROWS },
	{ "32 cells", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,"
	  "29,30,31,32\n", "1[1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|"
	  "27|28|29|30|31|32]", ROWS },
	{ "33 cells", ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n", " !1 too many cells in a row", ROWS },

	{ "empty array", "[]", "", ELEMENTS },
	{ "blanks", " \n[ \t]\n \n", "", ELEMENTS },
	{ "an element", "[{}]", "1[{}]", ELEMENTS },
	{ "elements", "[\n{\"a\": 1},\n{\"b\": 2}\n]\n", "2[{\"a\": 1}]3[{\"b\": 2}]", ELEMENTS },
	{ "nested", "[{\"a\":{\"b\":[{},[]]}},{}]", "1[{\"a\":{\"b\":[{},[]]}}]1[{}]", ELEMENTS },
	{ "brackets in text", "[{\"}\":\"]{\"}]", "1[{\"}\":\"]{\"}]", ELEMENTS },
	{ "quotes in text", "[{\"\\\"\":\"\\\\\"},{}]", "1[{\"\\\"\":\"\\\\\"}]1[{}]", ELEMENTS },
	{ "lines within", "[{\n\n},\n{}]", "1[{\n\n}]4[{}]", ELEMENTS },
	{ "no text", "", " !1 this is no JSON array", ELEMENTS },
	{ "an object", "{}", " !1 this is no JSON array", ELEMENTS },
	{ "not opened", "{}]", " !1 this is no JSON array", ELEMENTS },
	{ "not closed", "[{}", "1[{}] !1 the file ends before its array does", ELEMENTS },
	{ "only opened", "[", " !1 the file ends before its array does", ELEMENTS },
	{ "ends behind a comma", "[{},\n", "1[{}] !2 the file ends before its array does",
	  ELEMENTS },
	{ "ends within", "[{},\n{\"a\": [1", "1[{}] !2 the file ends within a record", ELEMENTS },
	{ "ends within text", "[{\"a}]", " !1 the file ends within a record", ELEMENTS },
	{ "ends within an escape", "[{\"a\\", " !1 the file ends within a record", ELEMENTS },
	{ "a comma first", "[,{}]", " !1 a record is to be an object", ELEMENTS },
	{ "a comma last", "[{},]", "1[{}] !1 a record is to be an object", ELEMENTS },
	{ "two commas", "[{},,{}]", "1[{}] !1 a record is to be an object", ELEMENTS },
	{ "no comma", "[{}\n{}]", "1[{}] !2 a comma is missing between two records", ELEMENTS },
	{ "a number", "[1]", " !1 a record is to be an object", ELEMENTS },
	{ "an array", "[[{}]]", " !1 a record is to be an object", ELEMENTS },
	{ "something behind", "[{}]\n{}", "1[{}] !2 something stands behind the end of the array",
	  ELEMENTS },
};

static void test_files(void **state)
{
	static const size_t chunks[] = { 0, 1, 2, 7 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		for (size_t j = 0; j < COUNT_OF(chunks); j++) {
			const char *seen = read_all(slice_of(files[i].text), files[i].how,
			                            chunks[j]);

			if (strcmp(seen, files[i].seen) != 0)
				fail_msg("%s, %zu at once: %s", files[i].name, chunks[j], seen);
		}
}

static void test_peek(void **state)
{
	struct slice line;

	(void)state;
	open_text(SLICE(" \n\t x\n"), 1);
	assert_int_equal(feed_peek(&feed), 'x');
	assert_int_equal(feed_peek(&feed), 'x');
	assert_int_equal(feed.line, 2);
	assert_int_equal(feed_line(&feed, &line), FEED_RECORD);
	assert_true(slice_eq(line, SLICE("x")));
	assert_int_equal(feed_peek(&feed), -1);
	feed_close(&feed);
}

/* Text of `before`, `len` times x, `after`. */
static struct slice around(const char *before, size_t len, const char *after)
{
	static char text[4 * FEED_RECORD_MAX];
	struct buf out = BUF(text);

	buf_str(&out, before);
	memset(text + out.len, 'x', len);
	out.len += len;
	buf_str(&out, after);
	assert_false(out.full);
	return buf_slice(&out);
}

static void need_long(enum how how, struct slice text, size_t chunk)
{
	static char room[2 * FEED_RECORD_MAX];
	struct buf seen = BUF(room);

	open_text(text, chunk);
	assert_int_equal(take(how, &seen), FEED_LONG);
	assert_int_equal(feed.line, 1);
	assert_int_equal(take(how, &seen), FEED_RECORD);
	assert_int_equal(take(how, &seen), FEED_END);
	feed_close(&feed);
}

static void test_long(void **state)
{
	static const size_t chunks[] = { 0, 65536, 100001 };
	static const size_t lens[] = { FEED_RECORD_MAX, FEED_RECORD_MAX + 1, FEED_HELD,
	                               FEED_HELD + 1, 3 * FEED_RECORD_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(chunks); i++)
		for (size_t j = 0; j < COUNT_OF(lens); j++) {
			need_long(LINES, around("", lens[j], "\nb\n"), chunks[i]);
			need_long(ROWS, around("\"", lens[j], "\"\nb\n"), chunks[i]);
			need_long(ELEMENTS, around("[{\"", lens[j], "\"},{}]"), chunks[i]);
		}
}

static void test_longest(void **state)
{
	struct slice text = around("", FEED_RECORD_MAX - 1, "\nb\n"), line;

	(void)state;
	open_text(text, 0);
	assert_int_equal(feed_line(&feed, &line), FEED_RECORD);
	assert_int_equal(line.len, FEED_RECORD_MAX - 1);
	feed_close(&feed);
}

static void test_long_head(void **state)
{
	struct slice head;

	(void)state;
	open_text(around("[{\"model\":\"", FEED_HELD, "\"}]"), 4096);
	assert_int_equal(feed_element(&feed, &head), FEED_LONG);
	assert_int_equal(head.len, FEED_HEAD_MAX);
	assert_true(slice_starts(head, SLICE("{\"model\":\"xxx")));
	assert_int_equal(feed_element(&feed, &head), FEED_END);
	feed_close(&feed);
}

static void test_open(void **state)
{
	(void)state;
	assert_false(feed_open(&feed, "/nowhere/at/all"));
	assert_int_equal(errno, ENOENT);
	assert_false(feed_open(&feed, "/"));
	assert_int_equal(errno, EISDIR);
	assert_true(feed_open(&feed, "/dev/null"));
	assert_int_equal(feed.size, 0);
	feed_close(&feed);
}

static void test_read_fails(void **state)
{
	int fd = open("/dev/null", O_WRONLY);
	struct slice line;

	(void)state;
	feed_open_fd(&feed, fd);
	assert_int_equal(feed_line(&feed, &line), FEED_BROKEN);
	assert_string_equal(feed.error, strerror(EBADF));
	assert_int_equal(feed_element(&feed, &line), FEED_BROKEN);
	feed_close(&feed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_long_head),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_read_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
