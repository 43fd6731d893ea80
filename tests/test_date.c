/* test_date.c -- days of the calendar, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "date.h"
#include "guard.h"

static void test_known_days(void **state)
{
	static const struct {
		const char *text;
		uint64_t unix_s;
		uint32_t weekday;
	} cases[] = {
		{ "1970-01-01T00:00:00", 0, 4 },
		{ "1970-01-01T23:59:59", 86399, 4 },
		{ "1972-02-29T12:00:00", 68212800, 2 },
		{ "1999-12-31T23:59:59", 946684799, 5 },
		{ "2000-02-29T00:00:00", 951782400, 2 },
		{ "2000-03-01T00:00:00", 951868800, 3 },
		{ "2038-01-19T03:14:08", 2147483648, 2 },
		{ "2100-02-28T23:59:59", 4107542399, 0 },
		{ "2100-03-01T00:00:00", 4107542400, 1 },
		{ "9999-12-31T23:59:59", DATE_MAX_S, 5 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[32];
		struct buf out = BUF(bytes);
		struct date d = date_from(cases[i].unix_s);
		int64_t back = -1;

		date_put(&out, cases[i].unix_s);
		assert_true(slice_eq(buf_slice(&out), slice_of(cases[i].text)));
		assert_int_equal(date_weekday(cases[i].unix_s), cases[i].weekday);
		assert_true(date_to(&d, &back));
		assert_int_equal(back, cases[i].unix_s);
	}
}

/* Every day of 800 years, at a second that moves, as the C library has it. */
static void test_agrees_with_the_library(void **state)
{
	(void)state;
	for (int64_t s = 0; s < INT64_C(800) * 366 * 86400; s += 86400 + 17) {
		struct date d = date_from((uint64_t)s);
		time_t t = (time_t)s;
		struct tm tm;
		int64_t back;

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(d.year, tm.tm_year + 1900);
		assert_int_equal(d.month, tm.tm_mon + 1);
		assert_int_equal(d.day, tm.tm_mday);
		assert_int_equal(d.hour, tm.tm_hour);
		assert_int_equal(d.minute, tm.tm_min);
		assert_int_equal(d.second, tm.tm_sec);
		assert_int_equal(date_weekday((uint64_t)s), tm.tm_wday);
		assert_true(date_to(&d, &back) && back == s);
	}
}

static void test_what_is_no_day(void **state)
{
	static const struct date none[] = {
		{ 2025, 2, 29, 0, 0, 0 },
		{ 2100, 2, 29, 0, 0, 0 },
		{ 2024, 2, 30, 0, 0, 0 },
		{ 2024, 4, 31, 0, 0, 0 },
		{ 2024, 0, 1, 0, 0, 0 },
		{ 2024, 13, 1, 0, 0, 0 },
		{ 2024, 1, 0, 0, 0, 0 },
		{ 2024, 1, 32, 0, 0, 0 },
		{ 0, 1, 1, 0, 0, 0 },
		{ 10000, 1, 1, 0, 0, 0 },
		{ 2024, 1, 1, 24, 0, 0 },
		{ 2024, 1, 1, 0, 60, 0 },
		{ 2024, 1, 1, 0, 0, 60 },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
	};
	int64_t s;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(date_to(&none[i], &s));
}

static void test_ends_of_time(void **state)
{
	struct date last = date_from(UINT64_MAX), first = { 1, 1, 1, 0, 0, 0 };
	int64_t s = 0;

	(void)state;
	assert_int_equal(last.year, 9999);
	assert_int_equal(last.second, 59);
	assert_true(date_to(&first, &s));
	assert_int_equal(s, INT64_C(-62135596800));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_days),
		cmocka_unit_test(test_agrees_with_the_library),
		cmocka_unit_test(test_what_is_no_day),
		cmocka_unit_test(test_ends_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
