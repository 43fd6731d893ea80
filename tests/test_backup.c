/* test_backup.c -- backups: what comes back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "backup.h"
#include "store.h"

#define RECORDS   3000
#define SECRET    "a Session-Id secret"
#define MADE_S    1795000000
#define VALUE_CAP 5000

static char path[300], error[BACKUP_ERROR_MAX];
static struct backup b;
static uint64_t told;

static void count(uint64_t taken, uint64_t size, uint64_t records)
{
	assert_true(size == 0 || taken <= size);
	(void)records;
	told++;
}

/* Values of all lengths, and one that is as long as a record may be. */
static struct slice value_of(size_t i, char text[VALUE_CAP])
{
	size_t len = i * 37 % VALUE_CAP;

	for (size_t j = 0; j < len; j++)
		text[j] = (char)(i * 31 + j * 7);
	return (struct slice){ text, len };
}

static struct slice key_of(size_t i, char text[16])
{
	snprintf(text, 16, "K%08zu", i);
	return slice_of(text);
}

static char longest[BACKUP_RECORD_MAX];

static void fill(void)
{
	char key[16], value[VALUE_CAP];

	for (size_t i = 0; i < RECORDS; i++)
		assert_int_equal(kv_put(store, key_of(i, key), value_of(i, value)), KV_OK);
	memset(longest, 'x', sizeof longest);
	assert_int_equal(kv_put(store, SLICE("Z"), (struct slice){ longest, sizeof longest - 1 }),
	                 KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
}

static int set_up(void **state)
{
	store_set_up(state);
	snprintf(path, sizeof path, "%s/backup", store_dir);
	memcpy(b.secret, SECRET, strlen(SECRET));
	b.secret_len = (uint32_t)strlen(SECRET);
	b.made_s = MADE_S;
	memset(b.seal_key, 7, sizeof b.seal_key);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return store_tear_down(state);
}

static void write_one(void)
{
	if (!backup_write(path, &b, store, count, error))
		fail_msg("%s", error);
}

static void comes_back(void **state)
{
	char key[16], value[VALUE_CAP];
	struct slice found;
	struct backup read;
	struct stat st;

	(void)state;
	fill();
	told = 0;
	write_one();
	assert_true(told >= RECORDS);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(b.records, RECORDS + 1);
	write_one();                    /* a backup takes the place of a backup */
	store_remove();

	store_make();
	store_open(KV_CREATE);
	if (!backup_open(path, &read, count, error) ||
	    !backup_load(store, &read, count, error))
		fail_msg("%s", error);
	assert_int_equal(read.records, RECORDS + 1);
	assert_int_equal(read.made_s, MADE_S);
	assert_memory_equal(read.secret, SECRET, read.secret_len);
	assert_memory_equal(read.seal_key, b.seal_key, sizeof b.seal_key);
	assert_int_equal(kv_begin(store), KV_OK);
	assert_int_equal(store_entries(), RECORDS + 1);
	for (size_t i = 0; i < RECORDS; i++) {
		assert_int_equal(kv_get(store, key_of(i, key), &found), KV_OK);
		assert_true(slice_eq(found, value_of(i, value)));
	}
	assert_int_equal(kv_get(store, SLICE("Z"), &found), KV_OK);
	assert_true(slice_eq(found, (struct slice){ longest, sizeof longest - 1 }));
}

/* The empty store, too, is one that can be kept. */
static void nothing_comes_back(void **state)
{
	struct backup read;

	(void)state;
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	write_one();
	assert_true(backup_open(path, &read, count, error));
	assert_int_equal(read.records, 0);
	kv_close(store);
	store_open(KV_WRITE);
	assert_true(backup_load(store, &read, count, error));
}

static void patch(long at, char with)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &with, 1, at), 1);
	close(fd);
}

static char byte_at(long at)
{
	int fd = open(path, O_RDONLY);
	char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	close(fd);
	return byte;
}

/* Every byte of a file is under its checksum, and every length is judged. */
static void damage_is_refused(void **state)
{
	struct backup read;
	struct stat st;
	char key[16];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(kv_put(store, key_of(i, key), SLICE("value")), KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	write_one();
	assert_int_equal(stat(path, &st), 0);
	for (long i = 0; i < st.st_size; i++) {
		char byte = byte_at(i);

		patch(i, (char)(byte ^ 0x10));
		if (backup_open(path, &read, count, error))
			fail_msg("byte %ld", i);
		patch(i, byte);
	}
	assert_true(backup_open(path, &read, count, error));
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(path, len), 0);
		assert_false(backup_open(path, &read, count, error));
	}
}

static void others_are_refused(void **state)
{
	struct backup read;

	(void)state;
	assert_false(backup_open(path, &read, count, error));
	assert_non_null(strstr(error, "No such file"));
	assert_false(backup_open(store_dir, &read, count, error));
	assert_non_null(strstr(error, "no regular file"));
	assert_false(backup_open(store_path("data.mdb"), &read, count, error));
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	write_one();
	patch(8, 2);
	assert_false(backup_open(path, &read, count, error));
	assert_non_null(strstr(error, "newer version"));
}

/* What is no backup is left alone, and a failed one leaves nothing. */
static void other_files_stay(void **state)
{
	char part[sizeof path + 8];

	(void)state;
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	write_one();
	patch(0, 'S');
	assert_false(backup_write(path, &b, store, count, error));
	assert_non_null(strstr(error, "not replaced"));
	assert_int_equal(byte_at(0), 'S');
	snprintf(part, sizeof part, "%s.part", path);
	assert_int_equal(access(part, F_OK), -1);
	assert_false(backup_write("/nowhere/backup", &b, store, count, error));
	close(open(part, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	backup_forget(path);
	assert_int_equal(access(part, F_OK), -1);
}

/* A record that is too long for a backup is told of, not cut. */
static void too_long_is_refused(void **state)
{
	(void)state;
	assert_int_equal(kv_put(store, SLICE("ZZ"), (struct slice){ longest, sizeof longest - 1 }),
	                 KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_false(backup_write(path, &b, store, count, error));
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_files_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_long_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
