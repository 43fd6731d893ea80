/* test_seccomp.c -- each kind of process may do its work and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp.h"

#define ALL (SECCOMP_FRONT | SECCOMP_WRITER | SECCOMP_HASHER)

/* The calls are made without the C library, which might turn them into others. */
static void do_read(void)
{
	char c;

	syscall(SYS_read, -1, &c, 1);
}

static void do_write(void)
{
	syscall(SYS_write, -1, "", 0);
}

static void do_random(void)
{
	char bytes[8];

	syscall(SYS_getrandom, bytes, sizeof bytes, 0);
}

static void do_map(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_map_code(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_protect_code(void)
{
	syscall(SYS_mprotect, NULL, 4096, PROT_READ | PROT_EXEC);
}

static void do_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
}

static void do_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void do_connect(void)
{
	syscall(SYS_connect, -1, NULL, 0);
}

static void do_accept(void)
{
	syscall(SYS_accept4, -1, NULL, NULL, 0);
}

static void do_option(void)
{
	syscall(SYS_getsockopt, -1, 0, 0, NULL, NULL);
}

static void do_exec(void)
{
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void do_fork(void)
{
	if (fork() == 0)
		_exit(0);
}

static void do_kill(void)
{
	syscall(SYS_kill, getppid(), 0);
}

static void do_trace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void do_sync(void)
{
	syscall(SYS_fdatasync, -1);
}

static void do_page_write(void)
{
	syscall(SYS_pwrite64, -1, "", 0, 0);
}

static void do_truncate(void)
{
	syscall(SYS_ftruncate, -1, 0);
}

/* The number of another processor's list: bit 30 is the x32 interface of x86. */
static void do_x32(void)
{
	syscall(SYS_write | 0x40000000, -1, "", 0);
}

static void do_unknown(void)
{
	syscall(4000, 0);
}

static const struct {
	const char *name;
	void (*act)(void);
	unsigned allowed;               /* enum seccomp_role, ORed */
} acts[] = {
	{ "read",             do_read,         SECCOMP_FRONT },
	{ "write",            do_write,        ALL },
	{ "getrandom",        do_random,       ALL },
	{ "mmap",             do_map,          ALL },
	{ "mmap of code",     do_map_code,     0 },
	{ "mprotect to code", do_protect_code, 0 },
	{ "openat",           do_open,         0 },
	{ "socket",           do_socket,       0 },
	{ "connect",          do_connect,      0 },
	{ "accept4",          do_accept,       SECCOMP_FRONT },
	{ "getsockopt",       do_option,       SECCOMP_FRONT },
	{ "execve",           do_exec,         0 },
	{ "fork",             do_fork,         0 },
	{ "kill",             do_kill,         0 },
	{ "ptrace",           do_trace,        0 },
	{ "fdatasync",        do_sync,         SECCOMP_WRITER },
	{ "pwrite64",         do_page_write,   SECCOMP_WRITER },
	{ "ftruncate",        do_truncate,     SECCOMP_WRITER },
	{ "another list",     do_x32,          0 },
	{ "no call at all",   do_unknown,      0 },
};

static const enum seccomp_role roles[] = { SECCOMP_FRONT, SECCOMP_WRITER, SECCOMP_HASHER };

/* The wait status of a child that enters the filter and then acts. */
static int outcome(const struct config *config, enum seccomp_role role, void (*act)(void))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!seccomp_enter(config, role))
			_exit(1);
		act();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_lists(void **state)
{
	struct config config;

	(void)state;
	config_defaults(&config);
	config.seccomp = CONFIG_ON;
	for (size_t i = 0; i < COUNT_OF(acts); i++)
		for (size_t k = 0; k < COUNT_OF(roles); k++) {
			int status = outcome(&config, roles[k], acts[i].act);
			bool allowed = (acts[i].allowed & (unsigned)roles[k]) != 0;

			if (allowed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
				fail_msg("%s, role %d: %x", acts[i].name, (int)roles[k], status);
			if (!allowed && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
				fail_msg("%s, role %d: %x", acts[i].name, (int)roles[k], status);
		}
}

static void test_off(void **state)
{
	struct config config;

	(void)state;
	config_defaults(&config);
	config.seccomp = CONFIG_OFF;
	for (size_t k = 0; k < COUNT_OF(roles); k++)
		assert_int_equal(outcome(&config, roles[k], do_open), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
