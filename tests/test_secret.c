/* test_secret.c -- secrets on disk: made once, whole or not at all, read with care. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "secret.h"

/* What becomes of a system call, of which there are those below. */
static enum { NORMAL, FAIL_ONE, CRASH_AT_ONE, IN_PIECES } fate;
static unsigned calls, the_one;

/* True where the call is to fail. Every other one of those in pieces is interrupted. */
static bool disturbed(void)
{
	calls++;
	if (fate == CRASH_AT_ONE && calls == the_one)
		_exit(0);
	errno = fate == IN_PIECES ? EINTR : EIO;
	return fate == IN_PIECES ? calls % 2 : fate == FAIL_ONE && calls == the_one;
}

/* The next function of the name: the C library's, or what a sanitizer put in front of it. */
static void next(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof found);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	ssize_t (*call)(int, const void *, size_t);

	next(&call, "write");
	if (fd <= STDERR_FILENO)
		return call(fd, bytes, len);
	return disturbed() ? -1 : call(fd, bytes, fate == IN_PIECES && len > 0 ? 1 : len);
}

ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
	ssize_t (*call)(void *, size_t, unsigned);

	next(&call, "getrandom");
	assert_int_equal(flags, 0);     /* S01: before the kernel has entropy, it waits */
	if (fate != IN_PIECES)
		return call(bytes, len, flags);
	return disturbed() ? -1 : call(bytes, len > 0 ? 1 : 0, flags);
}

int fsync(int fd)
{
	int (*call)(int);

	next(&call, "fsync");
	return fate != IN_PIECES && disturbed() ? -1 : call(fd);
}

int link(const char *from, const char *to)
{
	int (*call)(const char *, const char *);

	next(&call, "link");
	return fate != IN_PIECES && disturbed() ? -1 : call(from, to);
}

int unlink(const char *path)
{
	int (*call)(const char *);

	next(&call, "unlink");
	return fate != IN_PIECES && disturbed() ? -1 : call(path);
}

static char folder[64], data[128], sid_secret[192], seal_key[192];

/* Each test has an empty folder; the store's directory in it is not there yet. */
static int set_up(void **state)
{
	(void)state;
	fate = NORMAL;
	snprintf(folder, sizeof folder, "%s/sidecart-XXXXXX", P_tmpdir);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(data, sizeof data, "%s/data", folder);
	snprintf(sid_secret, sizeof sid_secret, "%s/sid.secret", data);
	snprintf(seal_key, sizeof seal_key, "%s/seal.key", data);
	return 0;
}

static size_t count_files(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(directory);
	return n;
}

static void empty(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char name[PATH_MAX];

	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL) {
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && unlink(name) != 0)
			rmdir(name);
	}
	closedir(directory);
}

static int tear_down(void **state)
{
	(void)state;
	fate = NORMAL;
	empty(data);
	empty(folder);
	return rmdir(folder);
}

static void write_file(const char *path, struct slice text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.ptr, text.len), text.len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct stat stat_of(const char *path)
{
	struct stat s = { 0 };

	if (lstat(path, &s) != 0)
		fail_msg("%s is not there", path);
	return s;
}

static void test_random(void **state)
{
	uint8_t first[4096] = { 0 }, second[4096] = { 0 }, seen = 0;

	(void)state;
	secret_random(first, sizeof first);
	secret_random(second, sizeof second);
	assert_memory_not_equal(first, second, sizeof first);
	assert_memory_not_equal(first + 4088, second + 4088, 8);
	for (size_t i = 0; i < sizeof first; i++)
		seen |= first[i];
	assert_int_equal(seen, 0xff);
	secret_random(first, 0);
}

static void test_create(void **state)
{
	static const char base64url[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char error[SECRET_ERROR_MAX], text[SECRET_MAX];
	struct buf out = BUF(text);
	uint8_t key[32] = { 0 }, zeros[32] = { 0 };

	(void)state;
	if (!secret_create(data, sid_secret, error))
		fail_msg("%s", error);
	assert_int_equal(stat_of(data).st_mode, S_IFDIR | 0700);
	assert_int_equal(stat_of(sid_secret).st_mode, S_IFREG | 0600);
	assert_int_equal(stat_of(seal_key).st_mode, S_IFREG | 0600);
	assert_int_equal(stat_of(sid_secret).st_size, 32);
	assert_int_equal(stat_of(seal_key).st_size, 64);
	assert_int_equal(stat_of(seal_key).st_nlink, 1);
	assert_int_equal(count_files(data), 2);

	assert_true(secret_read(sid_secret, &out, error));
	assert_int_equal(out.len, 32);
	for (size_t i = 0; i < out.len; i++)
		assert_non_null(memchr(base64url, text[i], 64));
	assert_true(secret_read_seal_key(data, key, error));
	assert_memory_not_equal(key, zeros, sizeof key);
}

/* What is there stays, whatever it is; what is missing is made. */
static void test_create_again(void **state)
{
	char error[SECRET_ERROR_MAX], text[SECRET_MAX];
	struct buf out = BUF(text);
	uint8_t key[32], key_again[32];

	(void)state;
	assert_int_equal(mkdir(data, 0750), 0);
	write_file(sid_secret, SLICE("a shop's SECRET_KEY\n"), 0600);
	assert_true(secret_create(data, sid_secret, error));
	assert_true(secret_read_seal_key(data, key, error));
	assert_true(secret_create(data, sid_secret, error));
	assert_true(secret_read_seal_key(data, key_again, error));
	assert_memory_equal(key, key_again, sizeof key);
	assert_true(secret_read(sid_secret, &out, error));
	assert_true(slice_eq(buf_slice(&out), SLICE("a shop's SECRET_KEY")));
	assert_int_equal(stat_of(data).st_mode, S_IFDIR | 0750);
	assert_int_equal(count_files(data), 2);

	write_file(sid_secret, SLICE(""), 0644);
	assert_true(secret_create(data, sid_secret, error));
	assert_int_equal(stat_of(sid_secret).st_size, 0);
	assert_int_equal(stat_of(sid_secret).st_mode, S_IFREG | 0644);
}

static void test_secret_elsewhere(void **state)
{
	char error[SECRET_ERROR_MAX], path[192], other[256], text[SECRET_MAX];
	struct buf out = BUF(text);

	(void)state;
	snprintf(path, sizeof path, "%s/shop.secret", folder);
	assert_true(secret_create(data, path, error));
	assert_int_equal(stat_of(path).st_size, 32);
	assert_int_equal(count_files(data), 1);

	/* A link is followed when it is read, and is never made anew, even if it leads nowhere. */
	snprintf(other, sizeof other, "%s/link", folder);
	assert_int_equal(symlink("shop.secret", other), 0);
	assert_true(secret_create(data, other, error));
	assert_true(secret_read(other, &out, error));
	assert_int_equal(unlink(path), 0);
	assert_true(secret_create(data, other, error));
	assert_int_equal(stat_of(other).st_mode & S_IFMT, S_IFLNK);
	assert_int_equal(access(path, F_OK), -1);
	unlink(other);
}

static void test_relative_path(void **state)
{
	char error[SECRET_ERROR_MAX], before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(folder), 0);
	assert_true(secret_create("data/", "sid.secret", error));
	assert_int_equal(stat_of("sid.secret").st_size, 32);
	assert_int_equal(stat_of("data/seal.key").st_size, 64);
	assert_int_equal(chdir(before), 0);
}

/* Several processes that start at once agree on one secret, and leave nothing else behind. */
static void test_create_at_once(void **state)
{
	char error[SECRET_ERROR_MAX];
	pid_t child[8];
	int status;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(child); i++) {
		child[i] = fork();
		if (child[i] == 0)
			_exit(!secret_create(data, sid_secret, error));
	}
	for (size_t i = 0; i < COUNT_OF(child); i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_files(data), 2);
	assert_int_equal(stat_of(sid_secret).st_size, 32);
	assert_int_equal(stat_of(seal_key).st_size, 64);
}

static bool is_absent_or_whole(const char *path, off_t size)
{
	struct stat s;

	return lstat(path, &s) != 0 || s.st_size == size;
}

/* Whichever call fails: one line says so, no half secret is left, the next try is well. */
static void test_failing_calls(void **state)
{
	char error[SECRET_ERROR_MAX];
	bool done = false;

	(void)state;
	for (the_one = 1; !done; the_one++) {
		calls = 0;
		fate = FAIL_ONE;
		error[0] = '\0';
		done = secret_create(data, sid_secret, error);
		fate = NORMAL;
		assert_true(done || strstr(error, "Input/output error") != NULL);
		assert_true(is_absent_or_whole(sid_secret, 32));
		assert_true(is_absent_or_whole(seal_key, 64));
		if (!done)      /* then unlink() has not failed */
			assert_int_equal(count_files(data), (access(sid_secret, F_OK) == 0) +
			                                    (access(seal_key, F_OK) == 0));
		assert_true(secret_create(data, sid_secret, error));
		done = done && calls < the_one;
		empty(data);
		rmdir(data);
	}
	assert_true(the_one > 10);
}

static void test_crash_anywhere(void **state)
{
	char error[SECRET_ERROR_MAX];
	int status = 0;

	(void)state;
	for (the_one = 1; WEXITSTATUS(status) == 0; the_one++) {
		pid_t child = fork();

		if (child == 0) {
			calls = 0;
			fate = CRASH_AT_ONE;
			secret_create(data, sid_secret, error);
			_exit(1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(is_absent_or_whole(sid_secret, 32));
		assert_true(is_absent_or_whole(seal_key, 64));
		assert_true(secret_create(data, sid_secret, error));
		assert_int_equal(stat_of(sid_secret).st_size, 32);
		assert_int_equal(stat_of(seal_key).st_size, 64);
		empty(data);
		rmdir(data);
	}
	assert_true(the_one > 10);
}

/* Calls that are interrupted, or do a byte at a time. */
static void test_calls_in_pieces(void **state)
{
	char error[SECRET_ERROR_MAX];
	uint8_t key[32] = { 0 }, zeros[32] = { 0 };

	(void)state;
	fate = IN_PIECES;
	assert_true(secret_create(data, sid_secret, error));
	assert_int_equal(stat_of(sid_secret).st_size, 32);
	assert_int_equal(stat_of(seal_key).st_size, 64);
	assert_true(secret_read_seal_key(data, key, error));
	assert_memory_not_equal(key + 16, zeros, 16);
}

/* Root makes the files for who owns the directory. */
static void test_owner(void **state)
{
	char error[SECRET_ERROR_MAX];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(data, 0700), 0);
	assert_int_equal(chown(data, 65534, 65533), 0);
	assert_true(secret_create(data, sid_secret, error));
	assert_int_equal(stat_of(sid_secret).st_uid, 65534);
	assert_int_equal(stat_of(sid_secret).st_gid, 65533);
	assert_int_equal(stat_of(seal_key).st_uid, 65534);
	assert_int_equal(stat_of(seal_key).st_mode, S_IFREG | 0600);
}

/* The line names what is wrong, and the file. */
static void assert_error(const char *error, const char *path, const char *words)
{
	if (strstr(error, path) != error || strstr(error, words) == NULL || strchr(error, '\n'))
		fail_msg("%s, not %s: ...%s...", error, path, words);
}

static void test_create_refused(void **state)
{
	char error[SECRET_ERROR_MAX], path[256];

	(void)state;
	write_file(data, SLICE("a file"), 0600);
	assert_false(secret_create(data, sid_secret, error));
	assert_error(error, data, "no directory");
	snprintf(path, sizeof path, "%s/none/data", folder);
	assert_false(secret_create(path, sid_secret, error));
	assert_error(error, path, "cannot be made: No such file or directory");
	assert_int_equal(unlink(data), 0);
	snprintf(path, sizeof path, "%s/none/sid.secret", folder);
	assert_false(secret_create(data, path, error));
	assert_error(error, path, "cannot be made: No such file or directory");
	assert_int_equal(count_files(data), 0);
}

static void test_read(void **state)
{
	static char longest[SECRET_MAX + 2];
	static const struct {
		const char *name;
		struct slice in;
		struct slice out;       /* absent: refused */
	} cases[] = {
		{ "plain",             { "secret", 6 },             { "secret", 6 }             },
		{ "with a newline",    { "secret\n", 7 },           { "secret", 6 }             },
		{ "two newlines",      { "secret\n\n", 8 },         { "secret\n", 7 }           },
		{ "newline in front",  { "\nsecret", 7 },           { "\nsecret", 7 }           },
		{ "blanks are of it",  { " secret \r\n", 10 },      { " secret \r", 9 }         },
		{ "NUL is of it",      { "se\0ret", 6 },            { "se\0ret", 6 }            },
		{ "one byte",          { "s", 1 },                  { "s", 1 }                  },
		{ "the longest",       { longest, SECRET_MAX },     { longest, SECRET_MAX }     },
		{ "longest, newline",  { longest + 1, SECRET_MAX + 1 },
		                       { longest + 1, SECRET_MAX }                              },
		{ "one byte too long", { longest, SECRET_MAX + 1 }, { NULL, 0 }                 },
		{ "two too long",      { longest, SECRET_MAX + 2 }, { NULL, 0 }                 },
		{ "empty",             { "", 0 },                   { NULL, 0 }                 },
		{ "a newline alone",   { "\n", 1 },                 { NULL, 0 }                 },
	};

	(void)state;
	memset(longest, 's', sizeof longest);
	longest[sizeof longest - 1] = '\n';
	assert_int_equal(mkdir(data, 0700), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char error[SECRET_ERROR_MAX], text[SECRET_MAX];
		struct buf out = BUF(text);

		write_file(sid_secret, cases[i].in, 0600);
		if (secret_read(sid_secret, &out, error) != slice_given(cases[i].out))
			fail_msg("%s", cases[i].name);
		if (slice_given(cases[i].out) && !slice_eq(buf_slice(&out), cases[i].out))
			fail_msg("%s: %.*s", cases[i].name, (int)out.len, out.ptr);
		if (!slice_given(cases[i].out))
			assert_error(error, sid_secret, cases[i].in.len < 2 ? "empty" : "too long");
	}
}

static void test_read_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool allowed;
	} cases[] = {
		{ 0600, true  }, { 0400, true  }, { 0700, true  }, { 0640, false }, { 0604, false },
		{ 0644, false }, { 0660, false }, { 0620, false }, { 0602, false }, { 0666, false },
		{ 0777, false }, { 0610, false }, { 0601, false },
	};

	(void)state;
	assert_int_equal(mkdir(data, 0700), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char error[SECRET_ERROR_MAX], text[SECRET_MAX], words[16];
		struct buf out = BUF(text);

		write_file(sid_secret, SLICE("secret"), cases[i].mode);
		if (secret_read(sid_secret, &out, error) != cases[i].allowed)
			fail_msg("%04o", (unsigned)cases[i].mode);
		snprintf(words, sizeof words, "mode %04o", (unsigned)cases[i].mode);
		if (!cases[i].allowed)
			assert_error(error, sid_secret, words);
		unlink(sid_secret);
	}
}

static void test_read_refused(void **state)
{
	char error[SECRET_ERROR_MAX], text[SECRET_MAX];
	struct buf out = BUF(text), small = { text, 0, 5, false };

	(void)state;
	assert_int_equal(mkdir(data, 0700), 0);
	assert_false(secret_read(sid_secret, &out, error));
	assert_error(error, sid_secret, "cannot be opened: No such file or directory");
	assert_false(secret_read(data, &out, error));
	assert_error(error, data, "no regular file");
	assert_int_equal(mkfifo(sid_secret, 0600), 0);
	assert_false(secret_read(sid_secret, &out, error));
	assert_error(error, sid_secret, "no regular file");
	unlink(sid_secret);
	write_file(sid_secret, SLICE("secret"), 0600);
	assert_false(secret_read(sid_secret, &small, error));
	assert_error(error, sid_secret, "too long");
	assert_int_equal(out.len, 0);
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"

static void test_seal_key(void **state)
{
	static const struct {
		const char *name, *text;
		bool valid;
	} cases[] = {
		{ "64 digits",         HEX "ff",   true  },
		{ "with a newline",    HEX "fF\n", true  },
		{ "63 digits",         HEX "f",    false },
		{ "65 digits",         HEX "fff",  false },
		{ "66 digits",         HEX "ffff", false },
		{ "no digit",          HEX "fg",   false },
		{ "a blank",           HEX "f ",   false },
		{ "two newlines",      HEX "f\n\n", false },
		{ "empty",             "",         false },
	};

	(void)state;
	assert_int_equal(mkdir(data, 0700), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char error[SECRET_ERROR_MAX];
		uint8_t key[32];

		write_file(seal_key, slice_of(cases[i].text), 0600);
		if (secret_read_seal_key(data, key, error) != cases[i].valid)
			fail_msg("%s", cases[i].name);
		if (cases[i].valid) {
			assert_memory_equal(key, "\x00\x11\x22\x33\x44\x55\x66\x77", 8);
			assert_int_equal(key[31], 0xff);
		} else if (cases[i].text[0] != '\0') {
			assert_error(error, seal_key, "64 hexadecimal");
		} else {
			assert_error(error, seal_key, "empty");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test_setup_teardown(test_create, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_create_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_secret_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relative_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_create_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failing_calls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_calls_in_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_create_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_seal_key, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
