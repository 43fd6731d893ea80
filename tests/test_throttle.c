/* test_throttle.c -- counts per name and window, in a table that fills up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "guard.h"
#include "throttle.h"

#define ENTRIES 16
#define START   1000000         /* ms */

static const uint8_t seed[16] = "0123456789abcde";
static struct throttle_entry entries[ENTRIES];
static struct throttle t;

static int set_up(void **state)
{
	(void)state;
	memset(entries, 0, sizeof entries);
	throttle_init(&t, entries, ENTRIES, seed);
	return 0;
}

static uint32_t wait_s(const char *name, uint32_t limit, uint64_t now_ms)
{
	return throttle_wait_s(&t, 'l', guarded(slice_of(name)), limit, now_ms);
}

static void bump(const char *name, uint32_t window_s, uint64_t now_ms)
{
	throttle_bump(&t, 'l', guarded(slice_of(name)), window_s, now_ms);
}

static size_t entries_in_use(void)
{
	size_t n = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		n += entries[i].count > 0;
	return n;
}

static void test_window(void **state)
{
	static const struct {
		const char *name;
		uint64_t now_ms;
		uint32_t limit, wait_s;
	} cases[] = {
		{ "at once",                START + 2,     3, 60 },
		{ "limit not reached",      START + 2,     4, 0  },
		{ "limit lowered",          START + 2,     1, 60 },
		{ "a second later",         START + 1000,  3, 59 },
		{ "rounded up",             START + 1001,  3, 59 },
		{ "the last millisecond",   START + 59999, 3, 1  },
		{ "at the end",             START + 60000, 3, 0  },
		{ "long after",             START * 9,     3, 0  },
	};

	(void)state;
	assert_int_equal(wait_s("ada", 3, START), 0);
	for (uint64_t i = 0; i < 3; i++)
		bump("ada", 60, START + i);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (wait_s("ada", cases[i].limit, cases[i].now_ms) != cases[i].wait_s)
			fail_msg("%s", cases[i].name);
	assert_int_equal(entries_in_use(), 1);
}

/* A window starts at its first count: later ones do not put off its end. */
static void test_window_is_fixed(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 60; i++)
		bump("ada", 60, START + i * 1000);
	assert_int_equal(wait_s("ada", 10, START + 59000), 1);
	assert_int_equal(wait_s("ada", 10, START + 60000), 0);
	bump("ada", 60, START + 60000);
	assert_int_equal(wait_s("ada", 2, START + 60000), 0);
	assert_int_equal(wait_s("ada", 1, START + 60000), 60);
}

static void test_names_are_apart(void **state)
{
	(void)state;
	bump("ada", 60, START);
	assert_int_equal(wait_s("ada", 1, START), 60);
	assert_int_equal(wait_s("Ada", 1, START), 0);
	assert_int_equal(wait_s("adam", 1, START), 0);
	assert_int_equal(wait_s("", 1, START), 0);
	assert_int_equal(throttle_wait_s(&t, 'a', SLICE("ada"), 1, START), 0);
	assert_int_equal(throttle_wait_s(&t, 'l', SLICE("ada\0"), 1, START), 0);
	bump("", 60, START);
	assert_int_equal(wait_s("", 1, START), 60);
	assert_int_equal(throttle_wait_s(&t, 'l', (struct slice){ 0 }, 1, START), 60);
}

static void test_clear(void **state)
{
	(void)state;
	bump("ada", 60, START);
	bump("bob", 60, START);
	throttle_clear(&t, 'a', SLICE("ada"));
	throttle_clear(&t, 'l', SLICE("eve"));
	assert_int_equal(wait_s("ada", 1, START), 60);
	throttle_clear(&t, 'l', SLICE("ada"));
	assert_int_equal(wait_s("ada", 1, START), 0);
	assert_int_equal(wait_s("bob", 1, START), 60);
	assert_int_equal(entries_in_use(), 1);
}

/* Whatever is counted, the name just counted is there, and old ones give way to new. */
static void test_full_table(void **state)
{
	(void)state;
	bump("the first", 1, START);
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof name, "name %u", i);
		bump(name, 60, START + i);
		assert_int_equal(wait_s(name, 1, START + i), 60);
	}
	assert_int_equal(entries_in_use(), ENTRIES);
	assert_int_equal(wait_s("the first", 1, START), 0);
}

/* Of the names that share a place the one whose window ends first gives way, so a long
 * window outlives a flood of short ones. */
static void test_longest_window_stays(void **state)
{
	(void)state;
	bump("ada", 900, START);
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof name, "name %u", i);
		bump(name, 60, START + i);
	}
	assert_int_equal(wait_s("ada", 1, START + 1000), 899);
}

static void test_seed_moves_names(void **state)
{
	static const uint8_t other_seed[16] = "another seed";
	static struct throttle_entry other_entries[ENTRIES];
	struct throttle other;

	(void)state;
	throttle_init(&other, other_entries, ENTRIES, other_seed);
	bump("ada", 60, START);
	throttle_bump(&other, 'l', SLICE("ada"), 60, START);
	for (size_t i = 0; i < ENTRIES; i++)
		for (size_t j = 0; j < ENTRIES; j++)
			if (entries[i].count > 0 && other_entries[j].count > 0)
				assert_memory_not_equal(entries[i].name, other_entries[j].name,
				                        sizeof entries[i].name);
}

static void test_count_stays_at_its_end(void **state)
{
	(void)state;
	bump("ada", 60, START);
	for (size_t i = 0; i < ENTRIES; i++)
		if (entries[i].count > 0)
			entries[i].count = UINT32_MAX - 1;
	bump("ada", 60, START);
	bump("ada", 60, START);
	assert_int_equal(wait_s("ada", UINT32_MAX, START), 60);
}

static void test_longest_window(void **state)
{
	(void)state;
	bump("ada", UINT32_MAX, START);
	assert_int_equal(wait_s("ada", 1, START), UINT32_MAX);
	assert_int_equal(wait_s("ada", 1, START + 1), UINT32_MAX);
	bump("bob", 0, START);
	assert_int_equal(wait_s("bob", 1, START), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_window, set_up),
		cmocka_unit_test_setup(test_window_is_fixed, set_up),
		cmocka_unit_test_setup(test_names_are_apart, set_up),
		cmocka_unit_test_setup(test_clear, set_up),
		cmocka_unit_test_setup(test_full_table, set_up),
		cmocka_unit_test_setup(test_longest_window_stays, set_up),
		cmocka_unit_test_setup(test_seed_moves_names, set_up),
		cmocka_unit_test_setup(test_count_stays_at_its_end, set_up),
		cmocka_unit_test_setup(test_longest_window, set_up),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
