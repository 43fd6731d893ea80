/* test_money.c -- amounts: what is read, what is written, where it is rounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "guard.h"
#include "money.h"

static void test_reads_prices(void **state)
{
	static const struct {
		const char *text;
		int64_t e4;
	} cases[] = {
		{ "0", 0 },
		{ "0.0", 0 },
		{ "0.0000", 0 },
		{ "1", 10000 },
		{ "12", 120000 },
		{ "12.5", 125000 },
		{ "12.50", 125000 },
		{ "12.5000", 125000 },
		{ "0.1", 1000 },
		{ "0.01", 100 },
		{ "0.001", 10 },
		{ "0.0001", 1 },
		{ "0.0125", 125 },
		{ "10.09", 100900 },
		{ "007.5", 75000 },
		{ "00000000000000000000000000001", 10000 },
		{ "99999999", INT64_C(999999990000) },
		{ "99999999.9999", MONEY_PRICE_MAX_E4 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t e4 = -1;

		if (!money_read_e4(guarded(slice_of(cases[i].text)), &e4) || e4 != cases[i].e4)
			fail_msg("%s is %lld", cases[i].text, (long long)e4);
	}
}

static void test_refuses_prices(void **state)
{
	static const struct slice cases[] = {
		{ NULL, 0 }, { "", 0 }, { ".", 1 }, { "1.", 2 }, { ".5", 2 }, { "-1", 2 },
		{ "+1", 2 }, { "-0", 2 }, { " 1", 2 }, { "1 ", 2 }, { "1\n", 2 }, { "1\0", 2 },
		{ "1e2", 3 }, { "1E2", 3 }, { "0x1", 3 }, { "1,5", 3 }, { "1.5.0", 5 },
		{ "1..5", 4 }, { "1.-5", 4 }, { "1.+5", 4 }, { "1. 5", 4 }, { "1_0", 3 },
		{ "1.00000", 7 }, { "0.00001", 7 }, { "1.12345", 7 }, { "1,000.00", 8 },
		{ "NaN", 3 }, { "Infinity", 8 }, { "inf", 3 }, { "EUR 1", 5 }, { "\xd9\xa1", 2 },
		{ "100000000", 9 }, { "100000000.0000", 14 }, { "99999999999", 11 },
		{ "1844674407370955.1616", 21 },        /* 2^64 ten-thousandths: 0 if it wraps */
		{ "18446744073709551616", 20 }, { "99999999999999999999999999", 26 },
		{ "0.00000000000000000000", 22 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t e4 = 42;

		if (money_read_e4(guarded(cases[i]), &e4) || e4 != 42)
			fail_msg("\"%.*s\" is taken", (int)cases[i].len, cases[i].ptr);
	}
}

static void test_rates(void **state)
{
	static const struct {
		const char *text, *written;
		uint32_t rate_e6;
	} good[] = {
		{ "0", "0", 0 },
		{ "0.000000", "0", 0 },
		{ "0.21", "0.21", 210000 },
		{ "0.210000", "0.21", 210000 },
		{ "0.0875", "0.0875", 87500 },
		{ "0.000001", "0.000001", 1 },
		{ "0.1", "0.1", 100000 },
		{ "1", "1", 1000000 },
		{ "1.000001", "1.000001", 1000001 },
		{ "10", "10", MONEY_RATE_MAX_E6 },
		{ "10.000000", "10", MONEY_RATE_MAX_E6 },
	};
	static const char *const bad[] = {
		"", ".21", "0.", "21%", "-0.21", "+0.21", "0,21", "0.0000001", "0.2100000",
		"10.000001", "11", "21", "4294.967296", "4294967296", "0.21 ", " 0.21", "1e-1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		char text[32];
		struct buf out = BUF(text);
		uint32_t rate_e6 = 42;

		if (!money_read_rate(guarded(slice_of(good[i].text)), &rate_e6) ||
		    rate_e6 != good[i].rate_e6)
			fail_msg("%s is %u", good[i].text, rate_e6);
		money_put_rate(&out, rate_e6);
		assert_true(slice_eq(buf_slice(&out), slice_of(good[i].written)));
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		uint32_t rate_e6 = 42;

		if (money_read_rate(guarded(slice_of(bad[i])), &rate_e6) || rate_e6 != 42)
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

static void test_currencies(void **state)
{
	static const struct slice bad[] = {
		{ NULL, 0 }, { "", 0 }, { "E", 1 }, { "EU", 2 }, { "EURO", 4 }, { "eur", 3 },
		{ "EUr", 3 }, { "EU1", 3 }, { "EU ", 3 }, { "E\0R", 3 }, { "@UR", 3 }, { "EU[", 3 },
		{ "\xe2\x82\xac", 3 },
	};

	(void)state;
	assert_true(money_currency_valid(guarded(SLICE("EUR"))));
	assert_true(money_currency_valid(guarded(SLICE("AZZ"))));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (money_currency_valid(guarded(bad[i])))
			fail_msg("case %zu is taken", i);
}

static void put_cents_number(struct buf *out, int64_t n)
{
	money_put_number(out, n, 2);
}

static void put_e4_number(struct buf *out, int64_t n)
{
	money_put_number(out, n, 4);
}

static void test_writes_amounts(void **state)
{
	static const struct {
		void (*put)(struct buf *out, int64_t n);
		int64_t n;
		const char *text;
	} cases[] = {
		{ money_put_cents, 0, "0.00" },
		{ money_put_cents, 1, "0.01" },
		{ money_put_cents, 10, "0.10" },
		{ money_put_cents, 99, "0.99" },
		{ money_put_cents, 100, "1.00" },
		{ money_put_cents, 4334, "43.34" },
		{ money_put_cents, -1, "-0.01" },
		{ money_put_cents, -1250, "-12.50" },
		{ money_put_cents, INT64_MAX, "92233720368547758.07" },
		{ money_put_cents, INT64_MIN, "-92233720368547758.08" },
		{ money_put_e4, 0, "0.00" },
		{ money_put_e4, 1, "0.0001" },
		{ money_put_e4, 10, "0.001" },
		{ money_put_e4, 100, "0.01" },
		{ money_put_e4, 125, "0.0125" },
		{ money_put_e4, 1000, "0.10" },
		{ money_put_e4, 1001, "0.1001" },
		{ money_put_e4, 10000, "1.00" },
		{ money_put_e4, 125000, "12.50" },
		{ money_put_e4, 125050, "12.505" },
		{ money_put_e4, -125005, "-12.5005" },
		{ money_put_e4, MONEY_PRICE_MAX_E4, "99999999.9999" },
		{ put_cents_number, 0, "0.0" },
		{ put_cents_number, 5, "0.05" },
		{ put_cents_number, 50, "0.5" },
		{ put_cents_number, 1499, "14.99" },
		{ put_cents_number, 1200, "12.0" },
		{ put_cents_number, 10 * MONEY_CENTS_MAX, "999999999999000.0" },
		{ put_e4_number, 1, "0.0001" },
		{ put_e4_number, 149900, "14.99" },
		{ put_e4_number, 10000, "1.0" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice want = slice_of(cases[i].text);
		char text[32];
		struct buf out = BUF(text);

		cases[i].put(&out, cases[i].n);
		if (!slice_eq(buf_slice(&out), want))
			fail_msg("%.*s is no %s", (int)out.len, text, cases[i].text);
		for (size_t cap = 0; cap < want.len; cap++) {
			out = (struct buf){ text, 0, cap, false };
			cases[i].put(&out, cases[i].n);
			assert_true(out.full && out.len <= cap);
		}
	}
}

/* What is written is read as the same. */
static void test_round_trip(void **state)
{
	(void)state;
	for (int64_t e4 = 0; e4 <= MONEY_PRICE_MAX_E4; e4 += 1 + e4 / 700) {
		char text[32];
		struct buf out = BUF(text);
		int64_t back = -1;

		money_put_e4(&out, e4);
		assert_true(money_read_e4(guarded(buf_slice(&out)), &back));
		assert_true(back == e4);
	}
}

static void test_line_totals(void **state)
{
	static const struct {
		int64_t price_e4;
		uint32_t quantity;
		int64_t cents;
	} cases[] = {
		{ 0, 1000000, 0 },
		{ 100000, 5, 5000 },
		{ 100000, 0, 0 },
		{ 1, 1, 0 },
		{ 49, 1, 0 },
		{ 50, 1, 1 },           /* 0.005 */
		{ 51, 1, 1 },
		{ 149, 1, 1 },
		{ 150, 1, 2 },          /* half-up, not to even */
		{ 250, 1, 3 },
		{ 1, 49, 0 },           /* rounded once, not once a unit */
		{ 1, 50, 1 },
		{ 50, 2, 1 },
		{ 33333, 3, 1000 },     /* 9.9999 */
		{ 125050, 10, 12505 },
		{ MONEY_PRICE_MAX_E4, 1, INT64_C(10000000000) },
		{ MONEY_PRICE_MAX_E4, MONEY_QUANTITY_MAX, MONEY_CENTS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t cents = money_line_cents(cases[i].price_e4, cases[i].quantity);

		if (cents != cases[i].cents)
			fail_msg("%lld x %u is %lld", (long long)cases[i].price_e4,
			         cases[i].quantity, (long long)cents);
	}
}

static void test_taxes(void **state)
{
	static const struct {
		int64_t excl_cents;
		uint32_t rate_e6;
		int64_t tax_cents;
	} cases[] = {
		{ 0, 210000, 0 },
		{ 5000, 0, 0 },
		{ 5000, 210000, 1050 },
		{ 1, 210000, 0 },       /* 0.21 of a cent */
		{ 2, 210000, 0 },       /* 0.42 */
		{ 3, 210000, 1 },       /* 0.63 */
		{ 1, 500000, 1 },       /* 0.5 */
		{ 1, 499999, 0 },
		{ 3, 500000, 2 },
		{ 5, 500000, 3 },       /* 2.5: half-up, not to even */
		{ 250, 210000, 53 },    /* 52.5 */
		{ 1499, 50000, 75 },
		{ 9495, 190000, 1804 }, /* 1804.05 */
		{ 4334, 87500, 379 },   /* 379.225 */
		{ 999999, 1, 1 },       /* a cent less than where the parts are cut */
		{ 1000000, 1, 1 },
		{ 1000001, 1, 1 },
		{ 1499999, 1, 1 },
		{ 1500000, 1, 2 },
		{ 100, MONEY_RATE_MAX_E6, 1000 },
		{ MONEY_CENTS_MAX, 1, MONEY_CENTS_MAX / 1000000 + 1 },
		{ MONEY_CENTS_MAX, 1000000, MONEY_CENTS_MAX },
		{ MONEY_CENTS_MAX, MONEY_RATE_MAX_E6, 10 * MONEY_CENTS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t tax = money_tax_cents(cases[i].excl_cents, cases[i].rate_e6);

		if (tax != cases[i].tax_cents)
			fail_msg("%lld at %u is %lld", (long long)cases[i].excl_cents,
			         cases[i].rate_e6, (long long)tax);
	}
}

/* Against the product of both where it fits 64 bits. */
static void test_tax_in_two_parts(void **state)
{
	uint32_t random = 20251126;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int64_t excl, whole;
		uint32_t rate;

		random = random * 1664525 + 1013904223;
		excl = random >> 4;
		random = random * 1664525 + 1013904223;
		rate = (random >> 4) % (MONEY_RATE_MAX_E6 + 1);
		whole = (excl * rate + 500000) / 1000000;
		assert_true(money_tax_cents(excl, rate) == whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_prices),
		cmocka_unit_test(test_refuses_prices),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_currencies),
		cmocka_unit_test(test_writes_amounts),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_line_totals),
		cmocka_unit_test(test_taxes),
		cmocka_unit_test(test_tax_in_two_parts),
	};

	return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
