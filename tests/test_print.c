/* test_print.c -- records as tables, as sheets and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../print.h"

static char printed[1 << 20];

/* What `print` writes to standard output. */
static const char *output_of(void (*print)(void), bool json)
{
	FILE *file = tmpfile();
	int before = dup(STDOUT_FILENO);

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	print_open(json);
	print();
	assert_true(print_flush());
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(file);
	printed[fread(printed, 1, sizeof printed - 1, file)] = '\0';
	fclose(file);
	return printed;
}

static const struct {
	const char *name;
	enum print_kind kind;
	const char *text;
	uint64_t number;
	const char *shown, *json;
} cells[] = {
	{ "text", PRINT_TEXT, "ada", 0, "ada", "\"ada\"" },
	{ "empty text", PRINT_TEXT, "", 0, "-", "\"\"" },
	{ "quotes", PRINT_TEXT, "a\"b\\", 0, "a\"b\\", "\"a\\\"b\\\\\"" },
	{ "control bytes", PRINT_TEXT, "a\033[31m\n", 0, "a?[31m?", "\"a\\u001b[31m\\n\"" },
	{ "UTF-8", PRINT_TEXT, "\xc3\xa4", 0, "\xc3\xa4", "\"\xc3\xa4\"" },
	{ "not UTF-8", PRINT_TEXT, "\xff", 0, "\xff", "\"\xef\xbf\xbd\"" },
	{ "list", PRINT_LIST, "a,b", 0, "a,b", "[\"a\",\"b\"]" },
	{ "list of one", PRINT_LIST, "a", 0, "a", "[\"a\"]" },
	{ "empty list", PRINT_LIST, "", 0, "-", "[]" },
	{ "list of none", PRINT_LIST, "-", 0, "-", "[]" },
	{ "zero", PRINT_NUMBER, "", 0, "0", "0" },
	{ "largest number", PRINT_NUMBER, "", UINT64_MAX, "18446744073709551615",
	  "18446744073709551615" },
	{ "an id", PRINT_ID, "", 12, "12", "12" },
	{ "no id", PRINT_ID, "", 0, "-", "null" },
	{ "a count", PRINT_COUNT, "", 12, "12", "12" },
	{ "a count of none", PRINT_COUNT, "", 0, "0", "0" },
	{ "no count", PRINT_COUNT, "", PRINT_NONE, "-", "null" },
	{ "just now", PRINT_AGE, "", 0, "0s", "0" },
	{ "seconds", PRINT_AGE, "", 59, "59s", "59" },
	{ "a minute", PRINT_AGE, "", 60, "1m", "60" },
	{ "hours", PRINT_AGE, "", 86399, "23h", "86399" },
	{ "days", PRINT_AGE, "", 1209600, "14d", "1209600" },
	{ "tenths", PRINT_TENTHS, "", 42, "4.2", "4.2" },
	{ "less than one", PRINT_TENTHS, "", 3, "0.3", "0.3" },
	{ "bytes", PRINT_BYTES, "", 1023, "1023", "1023" },
	{ "a kibibyte", PRINT_BYTES, "", 1024, "1.0K", "1024" },
	{ "one and a half", PRINT_BYTES, "", 1536, "1.5K", "1536" },
	{ "not yet a mebibyte", PRINT_BYTES, "", (1 << 20) - 1, "1023.9K", "1048575" },
	{ "gibibytes", PRINT_BYTES, "", (uint64_t)16 << 30, "16.0G", "17179869184" },
	{ "beyond the units", PRINT_BYTES, "", (uint64_t)2048 << 40, "2048.0T",
	  "2251799813685248" },
	{ "never", PRINT_TIME, "", 0, "never", "null" },
	{ "time", PRINT_TIME, "", 1709164800, "2024-02-29T00:00:00Z", "\"2024-02-29T00:00:00Z\"" },
	{ "yes", PRINT_YES, "", 7, "yes", "true" },
	{ "no", PRINT_YES, "", 0, "no", "false" },
};

static size_t at;       /* the row of `cells` at hand */

static void print_one(void)
{
	const struct print_cell cell = { "c", cells[at].kind, slice_of(cells[at].text),
	                                 cells[at].number };

	print_sheet(&cell, 1);
}

static void each_kind(void **state)
{
	char expected[128];

	(void)state;
	for (at = 0; at < COUNT_OF(cells); at++) {
		snprintf(expected, sizeof expected, "c:  %s\n", cells[at].shown);
		if (strcmp(output_of(print_one, false), expected) != 0)
			fail_msg("%s: %s", cells[at].name, printed);
		snprintf(expected, sizeof expected, "{\"c\":%s}\n", cells[at].json);
		if (strcmp(output_of(print_one, true), expected) != 0)
			fail_msg("%s as JSON: %s", cells[at].name, printed);
	}
}

static void row(const char *name, uint64_t n)
{
	const struct print_cell both[] = {
		{ "first_name", PRINT_TEXT, slice_of(name), 0 },
		{ "n", PRINT_NUMBER, { 0 }, n },
		{ "last", PRINT_YES, { 0 }, n },
	};

	print_row(both, COUNT_OF(both));
}

static void print_rows(void)
{
	row("J\xc3\xbcrgen the second", 7);
	row("ada", 12345);
	row("", 0);
	print_text(SLICE("end\n"));
}

static void rows_are_aligned(void **state)
{
	(void)state;
	assert_string_equal(output_of(print_rows, false),
	                    "FIRST NAME         N      LAST\n"
	                    "J\xc3\xbcrgen the second  7      yes\n"
	                    "ada                12345  yes\n"
	                    "-                  0      no\n"
	                    "end\n");
	assert_string_equal(output_of(print_rows, true),
	                    "{\"first_name\":\"J\xc3\xbcrgen the second\",\"n\":7,\"last\":true}\n"
	                    "{\"first_name\":\"ada\",\"n\":12345,\"last\":true}\n"
	                    "{\"first_name\":\"\",\"n\":0,\"last\":false}\n"
	                    "end\n");
}

static void print_sheet_of_two(void)
{
	const struct print_cell both[] = {
		{ "id", PRINT_NUMBER, { 0 }, 1 },
		{ "longer_name", PRINT_TEXT, SLICE("x"), 0 },
	};

	print_sheet(both, COUNT_OF(both));
}

static void sheets_are_aligned(void **state)
{
	(void)state;
	assert_string_equal(output_of(print_sheet_of_two, false),
	                    "id:           1\nlonger_name:  x\n");
}

/* Far more than is kept at once. */
static void print_many(void)
{
	bool due = false;

	for (uint64_t i = 0; i < 30000; i++) {
		row("name", 100000 + i);
		due = due || print_due();
	}
	assert_true(due);
	assert_true(print_flush());
	assert_false(print_due());
}

static void many_rows_come_in_order(void **state)
{
	unsigned long expected = 100000;

	(void)state;
	for (const char *line = strchr(output_of(print_many, false), '\n') + 1; *line != '\0';
	     line = strchr(line, '\n') + 1)
		assert_int_equal(strtoul(strpbrk(line, "0123456789"), NULL, 10), expected++);
	assert_int_equal(expected, 130000);
}

/* The last: what failed once has failed for good. */
static void failures_are_kept(void **state)
{
	int before = dup(STDOUT_FILENO);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	fflush(stdout);
	dup2(fileno(full), STDOUT_FILENO);
	print_text(SLICE("x"));
	assert_false(print_flush());
	dup2(before, STDOUT_FILENO);
	close(before);
	fclose(full);
	assert_false(print_flush());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind),
		cmocka_unit_test(rows_are_aligned),
		cmocka_unit_test(sheets_are_aligned),
		cmocka_unit_test(many_rows_come_in_order),
		cmocka_unit_test(failures_are_kept),
	};

	return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
