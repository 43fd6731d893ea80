/* test_lean.c -- what the product has in the place of the C library's answers as that does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lean.c"

static void test_no_translation(void **state)
{
	(void)state;
	assert_string_equal(lean_text("libc", "No such file or directory", 5),
	                    "No such file or directory");
}

static void *run(void *told)
{
	return told;
}

/* Who asks for a thread is told that there is none. */
static void test_no_thread(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), EAGAIN);
}

/* One line that says where, and SIGABRT: the supervisor logs both. */
static void test_failed_assertion(void **state)
{
	char text[256] = "";
	int ends[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		lean_assert_fail("a < b", "kv.c", 12, "kv_get");
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + len, sizeof text - 2 - len)) > 0)
		len += (size_t)n;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	if (getenv("EMULATED") != NULL)         /* it adds a line of its own */
		text[strcspn(text, "\n") + 1] = '\0';
	assert_string_equal(text, "test_lean: kv.c:12: kv_get: Assertion `a < b' failed.\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_translation),
		cmocka_unit_test(test_no_thread),
		cmocka_unit_test(test_failed_assertion),
	};

	return cmocka_run_group_tests_name("lean", tests, NULL, NULL);
}
