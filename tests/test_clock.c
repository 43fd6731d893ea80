/* test_clock.c -- the time that sessions are judged by never goes back (requirement S07). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "record.h"
#include "store.h"

#define S  1000000ll            /* microseconds */
#define T0 (1800000000 * S)

static int set_up(void **state)
{
	(void)state;
	store_make();
	store_open(KV_CREATE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	store_remove();
	return 0;
}

/* Steps of one clock, one after the other, all from T0. */
static void test_move(void **state)
{
	static const struct {
		const char *name;
		int64_t ran, wall, now;         /* seconds, of each since the start */
		int64_t step_s;
	} moves[] = {
		{ "the first",                  0,     0,     0,     0 },
		{ "with the wall clock",        10,    10,    10,    0 },
		{ "no time at all",             10,    10,    10,    0 },
		{ "a step forward",             20,    3620,  3620,  3600 },
		{ "on from there",              30,    3630,  3630,  0 },
		{ "back again",                 30,    30,    3630,  -3600 },
		{ "at half the pace",           1030,  1030,  4130,  0 },
		{ "back once more",             1030,  930,   4130,  -100 },
		{ "no time",                    1030,  930,   4130,  0 },
		{ "a step below the clock",     1030,  1030,  4130,  100 },
		{ "nearly caught up",           7130,  7130,  7180,  0 },
		{ "caught up",                  7230,  7230,  7230,  0 },
		{ "together",                   7330,  7330,  7330,  0 },
		{ "far ahead",                  7331,  99999999, 99999999, 99999999 - 7331 },
		{ "and back before the start",  7331,  -500,  99999999, -500 - 99999999 },
		{ "never still",                7431,  -400,  100000049, 0 },
	};
	struct clock c = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(moves); i++) {
		uint64_t before = c.now_us;
		int64_t step_s = clock_move(&c, (uint64_t)(T0 + moves[i].wall * S),
		                            (uint64_t)(5 * S + moves[i].ran * S));

		if (step_s != moves[i].step_s || c.now_us != (uint64_t)(T0 + moves[i].now * S) ||
		    c.now_us < before)
			fail_msg("%s: %lld, %lld", moves[i].name, (long long)step_s,
			         (long long)(c.now_us - (uint64_t)T0) / S);
	}
}

/* What the store held counts as the last that was seen of the wall clock. */
static void test_first_move(void **state)
{
	static const struct {
		const char *name;
		int64_t kept, now, step_s;      /* since T0; kept -1: nothing */
	} cases[] = {
		{ "nothing kept",  -1,    0,     0 },
		{ "just now",      0,     0,     0 },
		{ "ahead",         86400, 86400, -86400 },
		{ "a day ago",     -86400, 0,    86400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct clock c = { 0 };
		int64_t step_s;

		if (cases[i].kept != -1)
			c.now_us = (uint64_t)(T0 + cases[i].kept * S);
		step_s = clock_move(&c, T0, 1);
		if (step_s != cases[i].step_s || c.now_us != (uint64_t)(T0 + cases[i].now * S))
			fail_msg("%s: %lld", cases[i].name, (long long)step_s);
	}
}

static void begin(void)
{
	assert_int_equal(kv_begin(store), KV_OK);
}

static void commit(void)
{
	assert_int_equal(kv_commit(store), KV_OK);
}

static void test_keep(void **state)
{
	struct clock writer = { .now_us = T0 }, other = { 0 };
	uint64_t before;

	(void)state;
	begin();
	assert_int_equal(clock_follow(&other, store), KV_OK);
	assert_int_equal(other.now_us, 0);
	assert_int_equal(clock_keep(&writer, store, 60), KV_OK);
	commit();
	begin();
	assert_int_equal(clock_follow(&other, store), KV_OK);
	assert_int_equal(other.now_us, T0);

	/* Within the step nothing is put: no commit is due. */
	before = kv_snapshot(store);
	writer.now_us += 59 * S;
	assert_int_equal(clock_keep(&writer, store, 60), KV_OK);
	commit();
	begin();
	assert_int_equal(kv_snapshot(store), before);
	writer.now_us += S;
	assert_int_equal(clock_keep(&writer, store, 60), KV_OK);
	commit();
	begin();
	assert_true(kv_snapshot(store) > before);
	assert_int_equal(clock_follow(&other, store), KV_OK);
	assert_int_equal(other.now_us, T0 + 60 * S);
	kv_abort(store);
}

/* The store's time raises a clock that is behind, and never takes one back. */
static void test_follow(void **state)
{
	struct clock c = { .now_us = T0 };

	(void)state;
	begin();
	assert_int_equal(clock_set(store, T0 / S + 100), KV_OK);
	commit();
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(clock_follow(&c, store), KV_OK);
	assert_int_equal(c.now_us, T0 + 100 * S);
	c.now_us += 50 * S;
	assert_int_equal(clock_follow(&c, store), KV_OK);
	assert_int_equal(c.now_us, T0 + 150 * S);
	assert_int_equal(clock_keep(&c, store, 1), KV_READONLY);
	kv_close(store);

	store_open(KV_WRITE);
	begin();
	assert_int_equal(clock_set(store, T0 / S), KV_OK);
	commit();
	begin();
	assert_int_equal(clock_follow(&c, store), KV_OK);
	assert_int_equal(c.now_us, T0 + 150 * S);
	kv_abort(store);
}

/* A record that is none is a failing store's, never another time. */
static void test_broken(void **state)
{
	const struct slice values[] = {
		SLICE(""), SLICE("\0\0\0\0\0\0\0"), SLICE("\xff\xff\xff\xff\xff\xff\xff\xff"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct clock c = { .now_us = T0 };
		struct record_key k;

		begin();
		assert_int_equal(kv_put(store, record_meta_key(&k, "now_s"), values[i]), KV_OK);
		assert_int_equal(clock_follow(&c, store), KV_IO);
		assert_int_equal(c.now_us, T0);
		kv_abort(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_first_move),
		cmocka_unit_test_setup_teardown(test_keep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_follow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
