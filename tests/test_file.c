/* test_file.c -- whole files, by calls that do less than they are asked, are interrupted, fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "file.h"
#include "memory.h"
#include "store.h"

/* Stand in for the C library's. Every other call is interrupted; the others take `most` bytes. */
static size_t most;
static unsigned calls, failing_call;    /* 0: none */

static bool refuses(void)
{
	calls++;
	errno = calls == failing_call ? EIO : EINTR;
	return calls == failing_call || (most < SIZE_MAX && calls % 2 == 0);
}

ssize_t __wrap_read(int fd, void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_read(int fd, void *bytes, size_t len)
{
	return refuses() ? -1 : syscall(SYS_read, fd, bytes, len < most ? len : most);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	return refuses() ? -1 : syscall(SYS_write, fd, bytes, len < most ? len : most);
}

static void stand_in(size_t at_most, unsigned fails_at)
{
	most = at_most;
	failing_call = fails_at;
	calls = 0;
}

static char text[100];

static void test_there_and_back(void **state)
{
	static const size_t steps[] = { 1, 7, 50, 99, 100, 1000, SIZE_MAX };
	char back[sizeof text];
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		struct buf whole = BUF(back), part = { back, 0, 30, false };

		memset(back, 0, sizeof back);
		lseek(fileno(file), 0, SEEK_SET);
		stand_in(steps[i], 0);
		assert_true(file_write(fileno(file), slice_bytes(text, sizeof text)));
		lseek(fileno(file), 0, SEEK_SET);
		assert_true(file_read(fileno(file), &whole));
		assert_int_equal(whole.len, sizeof text);
		assert_memory_equal(back, text, sizeof text);
		lseek(fileno(file), 10, SEEK_SET);
		assert_true(file_read(fileno(file), &part));
		assert_int_equal(part.len, 30);
		assert_memory_equal(back, text + 10, 30);
		assert_true(file_read(fileno(file), &part));    /* no room: nothing is read */
		assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), 40);
	}
	fclose(file);
}

static void test_failures(void **state)
{
	char back[sizeof text];
	FILE *file = tmpfile();

	(void)state;
	for (unsigned at = 1; at <= 5; at++) {
		struct buf whole = BUF(back);

		stand_in(10, at);
		errno = 0;
		assert_false(file_write(fileno(file), slice_bytes(text, sizeof text)));
		assert_int_equal(errno, EIO);
		assert_int_equal(calls, at);
		lseek(fileno(file), 0, SEEK_SET);
		stand_in(5, at);
		errno = 0;
		assert_false(file_read(fileno(file), &whole));
		assert_int_equal(errno, EIO);
		assert_int_equal(calls, at);
		stand_in(SIZE_MAX, 0);
		assert_true(file_write(fileno(file), slice_bytes(text, sizeof text)));
	}
	fclose(file);
}

static void test_load(void **state)
{
	char back[sizeof text];
	struct buf whole = BUF(back);
	const char *path;
	FILE *file;

	(void)state;
	store_make();
	path = store_path("file");
	stand_in(SIZE_MAX, 0);
	assert_false(file_load(path, &whole));
	assert_int_equal(errno, ENOENT);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("a few words", file);
	fclose(file);
	stand_in(3, 0);
	assert_true(file_load(path, &whole));
	assert_true(slice_eq(buf_slice(&whole), SLICE("a few words")));
	stand_in(3, 3);
	assert_false(file_load(path, &whole));
	assert_int_equal(errno, EIO);
	stand_in(SIZE_MAX, 0);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	whole.len = 0;
	assert_true(file_load(path, &whole));                   /* nobody writes there */
	assert_int_equal(whole.len, 0);
	unlink(path);
	store_remove();
}

/* Settings and identities on their way to a child: memory_save() wrote once, and gave up. */
static void test_copy_in_parts(void **state)
{
	char back[sizeof text];
	int fd;

	(void)state;
	stand_in(30, 0);
	fd = memory_save(text, sizeof text);
	assert_true(fd >= 0);
	assert_true(memory_load(fd, back, sizeof back));
	assert_memory_equal(back, text, sizeof text);
	stand_in(30, 3);
	assert_int_equal(memory_save(text, sizeof text), -1);
	stand_in(SIZE_MAX, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_copy_in_parts),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
