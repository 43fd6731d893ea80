/* test_memory.c -- memory that is had, used and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"

#define PAGE 4096u

static void test_pages(void **state)
{
	static const size_t cases[][2] = {
		{ 0, 0 }, { 1, PAGE }, { PAGE - 1, PAGE }, { PAGE, PAGE }, { PAGE + 1, 2 * PAGE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(memory_pages(cases[i][0]), cases[i][1]);
}

static size_t resident(void *memory, size_t pages)
{
	unsigned char in[64];
	size_t count = 0;

	assert_true(pages <= sizeof in);
	assert_int_equal(mincore(memory, pages * PAGE, in), 0);
	for (size_t i = 0; i < pages; i++)
		count += in[i] & 1;
	return count;
}

/* What is kept stays as it is; what is not reads as zeros. */
static void test_trim(void **state)
{
	static const struct {
		size_t keep, pages;             /* of 64 */
	} cases[] = {
		{ 0, 0 }, { 1, 1 }, { PAGE, 1 }, { PAGE + 1, 2 }, { 63 * PAGE, 63 },
		{ 64 * PAGE - 1, 64 }, { 64 * PAGE, 64 }, { 65 * PAGE, 64 },
	};
	char *memory = memory_map(64 * PAGE);

	(void)state;
	assert_non_null(memory);
	assert_int_equal(memory[64 * PAGE - 1], 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t kept = cases[i].pages * PAGE;

		memset(memory, 'x', 64 * PAGE);
		memory_trim(memory, 64 * PAGE, cases[i].keep);
		assert_int_equal(resident(memory, 64), cases[i].pages);
		for (size_t at = 0; at < 64 * PAGE; at++)
			if (memory[at] != (at < kept ? 'x' : 0))
				fail_msg("case %zu, byte %zu", i, at);
	}
	munmap(memory, 64 * PAGE);
}

static char of_this_program[PAGE];

/* True where a core dump would leave out the byte: `dd` among the flags of its mapping. */
static bool hidden(const void *byte)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	char line[512];
	bool mine = false, found = false, hides = false;

	assert_non_null(maps);
	while (fgets(line, sizeof line, maps) != NULL) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			mine = from <= (uintptr_t)byte && (uintptr_t)byte < to;
		else if (mine && strncmp(line, "VmFlags:", 8) == 0) {
			found = true;
			hides = strstr(line, " dd") != NULL;
		}
	}
	fclose(maps);
	assert_true(found);
	return hides;
}

/* Far down where it has not been yet. */
static bool stack_is_hidden(void)
{
	char large[500000];

	memset(large, 1, sizeof large);
	return hidden(large) && hidden(large + sizeof large / 2);
}

/* S11: of what holds requests and secrets nothing goes into a core dump. */
static void test_hidden(void **state)
{
	char *memory = memory_map(3 * PAGE), on_the_stack = 0;
	int status;
	pid_t pid;

	(void)state;
	if (getenv("EMULATED") != NULL)         /* nothing reaches the kernel's own tables */
		skip();
	assert_non_null(memory);
	assert_true(hidden(memory) && hidden(memory + 3 * PAGE - 1));
	memory_trim(memory, 3 * PAGE, PAGE);
	assert_true(hidden(memory) && hidden(memory + 2 * PAGE));
	munmap(memory, 3 * PAGE);
	assert_false(hidden(of_this_program) || hidden(&on_the_stack));
	memory_hide();
	assert_true(hidden(of_this_program));
	assert_true(hidden(of_this_program + sizeof of_this_program - 1));
	assert_true(stack_is_hidden());
	pid = fork();
	if (pid == 0)
		_exit(!hidden(of_this_program) || !stack_is_hidden());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_none(void **state)
{
	(void)state;
	assert_null(memory_map(SIZE_MAX - 2 * PAGE));
}

static void test_copies(void **state)
{
	char sent[] = "settings", got[sizeof sent] = "before";
	int fd = memory_save(sent, sizeof sent);

	(void)state;
	assert_true(fd >= 0);
	assert_true(memory_load(fd, got, sizeof got));
	assert_string_equal(got, "settings");
	memcpy(got, "before", 7);
	assert_false(memory_load(fd, got, sizeof got));         /* closed by now */
	assert_false(memory_load(-1, got, sizeof got));
	assert_string_equal(got, "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
