/* test_log.c -- lines of the log, read back from a socket that keeps writes apart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "guard.h"
#include "log.h"

static time_t now_s;

/* Stands in for the C library's, so that a line can be compared whole. */
time_t time(time_t *out)
{
	if (out != NULL)
		*out = now_s;
	return now_s;
}

/* Stand in for the disk's: the log waits for none (requirement D09). */
static unsigned syncs;

int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
	(void)fd;
	syncs++;
	return 0;
}

int __wrap_fdatasync(int fd)
{
	return __wrap_fsync(fd);
}

static int saved_stderr, reading_end;

static void capture(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	reading_end = pair[0];
}

/* Gives standard error back; reads one write into `line`, -1 where there was none. */
static ssize_t captured(char *line, size_t cap)
{
	ssize_t len = recv(reading_end, line, cap, 0);

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reading_end);
	return len;
}

static void test_line(void **state)
{
	static const struct {
		const char *name;
		time_t now_s;
		enum log_level level;
		const char *fields, *line;
	} cases[] = {
		{ "the epoch", 0, LOG_INFO, "a=1 b=2",
		  "time=1970-01-01T00:00:00Z level=info process=front event=made a=1 b=2\n" },
		{ "no fields", 1795496400, LOG_ERROR, "",
		  "time=2026-11-24T05:00:00Z level=error process=front event=made\n" },
		{ "leap day of a 400th year", 951825599, LOG_WARN, "a=1",
		  "time=2000-02-29T11:59:59Z level=warn process=front event=made a=1\n" },
		{ "the last second of a leap day", 1709251199, LOG_DEBUG, "a=1",
		  "time=2024-02-29T23:59:59Z level=debug process=front event=made a=1\n" },
		{ "1 March after a leap day", 1583020800, LOG_INFO, "a=1",
		  "time=2020-03-01T00:00:00Z level=info process=front event=made a=1\n" },
		{ "the last second of a leap year", 1609459199, LOG_INFO, "a=1",
		  "time=2020-12-31T23:59:59Z level=info process=front event=made a=1\n" },
		{ "no leap day in a 100th year", 4107542400, LOG_INFO, "a=1",
		  "time=2100-03-01T00:00:00Z level=info process=front event=made a=1\n" },
		{ "the last second of four digits", 253402300799, LOG_INFO, "a=1",
		  "time=9999-12-31T23:59:59Z level=info process=front event=made a=1\n" },
	};

	(void)state;
	log_open(LOG_DEBUG, "front");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char line[2048];
		ssize_t len;

		now_s = cases[i].now_s;
		capture();
		log_event(cases[i].level, "made", "%s", cases[i].fields);
		len = captured(line, sizeof line);
		if (len < 0 || !slice_eq((struct slice){ line, (size_t)len },
		                         slice_of(cases[i].line)))
			fail_msg("%s: %.*s", cases[i].name, (int)len, line);
	}
}

static void test_levels(void **state)
{
	(void)state;
	for (int max = 0; max < LOG_LEVELS; max++) {
		log_open((enum log_level)max, "writer");
		for (int level = 0; level < LOG_LEVELS; level++) {
			char line[256];

			assert_int_equal(log_wants((enum log_level)level), level <= max);
			capture();
			log_event((enum log_level)level, "made", "a=%d", 1);
			assert_int_equal(captured(line, sizeof line) > 0, level <= max);
		}
	}
}

static void test_long_line(void **state)
{
	char fields[3000], line[4096];
	ssize_t len;

	(void)state;
	log_open(LOG_INFO, "front");
	memset(fields, 'x', sizeof fields - 1);
	fields[sizeof fields - 1] = '\0';
	for (size_t from = 0; from < sizeof fields - 1; from += 97) {
		capture();
		log_event(LOG_INFO, "made", "%s", fields + from);
		len = captured(line, sizeof line);
		assert_in_range(len, 1, 1024);
		assert_int_equal(line[len - 1], '\n');
		assert_int_equal(len == 1024, sizeof fields - from > 900);
	}
	log_open(LOG_INFO, fields);
	capture();
	log_event(LOG_INFO, "made", "a=1");
	len = captured(line, sizeof line);
	assert_int_equal(len, 1024);
	assert_int_equal(line[len - 1], '\n');
	log_open(LOG_INFO, "front");
}

static void test_errno(void **state)
{
	char line[256];

	(void)state;
	capture();
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_event(LOG_INFO, "made", "a=1");
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(captured(line, sizeof line), 0);
}

static void test_quote(void **state)
{
	static const struct {
		const char *name;
		struct slice in;
		size_t cap;
		const char *out;
	} cases[] = {
		{ "plain",             { "ada", 3 },           32, "\"ada\""                   },
		{ "empty",             { "", 0 },              32, "\"\""                      },
		{ "absent",            { NULL, 0 },            32, "\"\""                      },
		{ "a blank",           { "a b=c", 5 },         32, "\"a b=c\""                 },
		{ "quote, backslash",  { "\"\\", 2 },          32, "\"\\x22\\x5c\""            },
		{ "a line of its own", { "\r\nlevel=x", 9 },   32, "\"\\x0d\\x0alevel=x\""     },
		{ "NUL",               { "a\0b", 3 },          32, "\"a\\x00b\""               },
		{ "DEL and Latin-1",   { "\x7f\x80\xff", 3 },  32, "\"\\x7f\\x80\\xff\""       },
		{ "just fits",         { "abcdef", 6 },        9,  "\"abcdef\""                },
		{ "cut",               { "abcdefg", 7 },       9,  "\"abcdef\""                },
		{ "no half escape",    { "abc\n", 4 },         9,  "\"abc\""                   },
		{ "escape just fits",  { "ab\n", 3 },          9,  "\"ab\\x0a\""               },
		{ "nothing fits",      { "abc", 3 },           3,  "\"\""                      },
		{ "no room",           { "abc", 3 },           2,  ""                          },
		{ "one byte of room",  { "abc", 3 },           1,  ""                          },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char out[33];

		memset(out, '#', sizeof out);
		log_quote(out, cases[i].cap, guarded(cases[i].in));
		if (strcmp(out, cases[i].out) != 0)
			fail_msg("%s: %s", cases[i].name, out);
		if (out[cases[i].cap] != '#')
			fail_msg("%s: wrote beyond its room", cases[i].name);
	}
	assert_ptr_equal(log_quote(NULL, 0, SLICE("a")), NULL);
}

static void test_key(void **state)
{
	static const uint8_t key[20] = { 0x00, 0x1a, 0xb2, 0xff, 0xcc, 0xcc };
	char out[LOG_KEY_LEN];

	(void)state;
	assert_ptr_equal(log_key(out, key), out);
	assert_string_equal(out, "001ab2ff");
}

/* The policy that docs/operations.md states: a line is one write, and no sync (D09). */
static void test_one_write(void **state)
{
	static const enum log_level levels[] = { LOG_ERROR, LOG_WARN, LOG_INFO };
	char line[4096];
	int pair[2], saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	dup2(pair[1], STDERR_FILENO);
	log_open(LOG_INFO, "test");
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		log_event(levels[i], "login", "address=%s", "192.0.2.1");
	dup2(saved, STDERR_FILENO);
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
		ssize_t len = recv(pair[0], line, sizeof line, 0);

		assert_true(len > 0 && memchr(line, '\n', (size_t)len) == line + len - 1);
	}
	assert_int_equal(recv(pair[0], line, sizeof line, 0), -1);
	assert_int_equal(syncs, 0);
	close(pair[0]);
	close(pair[1]);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_one_write),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
