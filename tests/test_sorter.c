/* test_sorter.c -- entries come out by key, in memory and over runs on disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "sorter.h"

static struct sorter sorter;

/* No file can be made without a name. */
static bool all_named;
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	if (!all_named)
		return __real_open(path, flags, 0600);
	errno = EOPNOTSUPP;
	return -1;
}

static void put(const char *key, const char *value)
{
	assert_true(sorter_put(&sorter, slice_of(key), slice_of(value)));
}

static void need(const char *key, const char *value)
{
	struct slice k, v;

	assert_true(sorter_next(&sorter, &k, &v));
	if (!slice_eq(k, slice_of(key)) || !slice_eq(v, slice_of(value)))
		fail_msg("%.*s=%.*s, not %s=%s", (int)k.len, k.ptr, (int)v.len, v.ptr, key, value);
}

static void need_end(void)
{
	struct slice k, v;

	assert_false(sorter_next(&sorter, &k, &v));
	assert_false(sorter_next(&sorter, &k, &v));
	sorter_close(&sorter);
}

static void test_order(void **state)
{
	(void)state;
	assert_true(sorter_open(&sorter, "/tmp", 65536));
	put("b", "1");
	put("a", "2");
	put("ab", "3");
	put("", "4");
	put("\xff", "5");
	put("b", "6");
	put("a", "");
	assert_true(sorter_sort(&sorter));
	assert_int_equal(sorter.fd, -1);
	need("", "4");
	need("a", "2");
	need("a", "");
	need("ab", "3");
	need("b", "1");
	need("b", "6");
	need("\xff", "5");
	need_end();
}

static void test_empty(void **state)
{
	(void)state;
	assert_true(sorter_open(&sorter, "/tmp", 65536));
	assert_true(sorter_sort(&sorter));
	need_end();
}

/* A number that looks drawn, from its place. */
static uint32_t mixed(uint32_t i)
{
	i = (i ^ i >> 16) * 0x45d9f3bu;
	i = (i ^ i >> 16) * 0x45d9f3bu;
	return i ^ i >> 16;
}

/* Runs on disk: many keys are there twice, values are of many lengths. */
static void test_runs(void **state)
{
	enum { COUNT = 20000 };
	char key[16], value[400], last_key[16] = "", last_value[16] = "";
	struct slice k, v;
	uint32_t seen = 0;

	(void)state;
	assert_true(sorter_open(&sorter, "/tmp", 65536));
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(key, sizeof key, "%05u", mixed(i) % 10000);
		snprintf(value, sizeof value, "%08u%*s", i, (int)(mixed(i) >> 8) % 300, "");
		put(key, value);
	}
	assert_true(sorter_sort(&sorter));
	assert_true(sorter.run_count > 10);
	while (sorter_next(&sorter, &k, &v)) {
		int order;

		assert_true(k.len == 5 && v.len >= 8);
		order = slice_order(slice_of(last_key), k);
		assert_true(order < 0 || (order == 0 &&
		            slice_order(slice_of(last_value), (struct slice){ v.ptr, 8 }) < 0));
		snprintf(last_key, sizeof last_key, "%.5s", k.ptr);
		snprintf(last_value, sizeof last_value, "%.8s", v.ptr);
		assert_int_equal(mixed((uint32_t)strtoul(last_value, NULL, 10)) % 10000,
		                 strtoul(last_key, NULL, 10));
		seen++;
	}
	assert_int_equal(seen, COUNT);
	need_end();
}

static int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	int count = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count - 2;
}

static void test_leaves_no_file(void **state)
{
	char dir[] = "/tmp/sorter-XXXXXX";
	char value[1000] = "";

	(void)state;
	assert_non_null(mkdtemp(dir));
	memset(value, 'v', sizeof value - 1);
	for (int way = 0; way < 2; way++) {
		all_named = way > 0;
		assert_true(sorter_open(&sorter, dir, 4096));
		for (int i = 0; i < 100; i++)
			put("k", value);
		assert_true(sorter.fd >= 0);
		assert_int_equal(files_in(dir), 0);
		sorter_close(&sorter);
	}
	all_named = false;
	assert_int_equal(rmdir(dir), 0);
}

static void test_too_long(void **state)
{
	static char value[2000];

	(void)state;
	assert_true(sorter_open(&sorter, "/tmp", 4096));
	assert_false(sorter_put(&sorter, SLICE("k"), slice_bytes(value, sizeof value)));
	assert_int_equal(errno, EFBIG);
	sorter_close(&sorter);
}

static void test_no_directory(void **state)
{
	char value[1000];

	(void)state;
	memset(value, 'v', sizeof value);
	assert_true(sorter_open(&sorter, "/nowhere", 4096));
	while (sorter_put(&sorter, SLICE("k"), slice_bytes(value, sizeof value)))
		continue;
	assert_int_equal(errno, ENOENT);
	sorter_close(&sorter);
}

static void test_disk_full(void **state)
{
	char value[1000];
	int full = open("/dev/full", O_RDWR);

	(void)state;
	memset(value, 'v', sizeof value);
	assert_true(sorter_open(&sorter, "/tmp", 4096));
	sorter.fd = full;
	while (sorter_put(&sorter, SLICE("k"), slice_bytes(value, sizeof value)))
		continue;
	assert_int_equal(errno, ENOSPC);
	sorter_close(&sorter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_leaves_no_file),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
