/* hurried.c -- the whole server, with a clock that a test moves on (tests/conftest.py).
 *
 * The clocks of every process, commands included, show what stands in the file that HURRIED_CLOCK
 * names: microseconds since 1970. However slow the machine, no time passes but what the test lets
 * pass; without the file the program is the product. A wait ends after WAKE_MS at the latest, so
 * that a loop looks at the clock; where its time has not come, it waits on.
 * HURRIED_FAULTS names faults for the test to find: `sweep` sweeps no session and no basket,
 * `descriptors` forgets one close(2) in FORGOTTEN, `memory` takes a page more in one wait in
 * LEAKS, as a leak does. With `pace` the clock goes on by PACE_S whenever it is read.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "session.h"

#define WAKE_MS    20
#define BOOTED_S   1000000000           /* where the clocks that nobody sets begin */
#define PACE_S     2
#define FORGOTTEN  32
#define LEAKS      8
#define PAGE       4096
#define LEAK_PAGES 16384

/* `--wrap` of the linker: what calls NAME() comes to the second, and gets on by the first. */
#define WRAPPED(result, name, ...) \
	result __real_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

WRAPPED(int, clock_gettime, clockid_t clock, struct timespec *t);
WRAPPED(time_t, time, time_t *t);
WRAPPED(int, poll, struct pollfd *fds, nfds_t count, int ms);
WRAPPED(int, __poll_chk, struct pollfd *fds, nfds_t count, int ms, size_t bytes);
WRAPPED(int, epoll_wait, int epoll, struct epoll_event *events, int most, int ms);
WRAPPED(int, close, int fd);
WRAPPED(int64_t, clock_move, struct clock *c, uint64_t wall_us, uint64_t ran_us);
WRAPPED(int, command_stat, struct command_line *l);
WRAPPED(enum kv_status, session_sweep, struct kv *kv, const struct config *config, uint64_t now_s,
        uint32_t limit, uint32_t *seen);

static const _Atomic int64_t *stands_us;
static bool no_sweep, leaks_descriptors, leaks_memory, paces, measures;
static volatile char leaked[LEAK_PAGES * PAGE];

/* Before main(), since later there is a filter of system calls. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HURRIED_CLOCK"), *faults = getenv("HURRIED_FAULTS");
	int fd = path == NULL ? -1 : open(path, O_RDONLY);
	void *memory = fd < 0 ? NULL : mmap(NULL, sizeof *stands_us, PROT_READ, MAP_SHARED, fd, 0);

	if (path == NULL)
		return;
	if (memory == NULL || memory == MAP_FAILED)
		abort();
	__real_close(fd);
	stands_us = memory;
	no_sweep = faults != NULL && strstr(faults, "sweep") != NULL;
	leaks_descriptors = faults != NULL && strstr(faults, "descriptors") != NULL;
	leaks_memory = faults != NULL && strstr(faults, "memory") != NULL;
	paces = faults != NULL && strstr(faults, "pace") != NULL;
}

/* What processors have used is measured as ever. */
static bool stands(clockid_t clock)
{
	return stands_us != NULL && clock != CLOCK_PROCESS_CPUTIME_ID &&
	       !(measures && clock == CLOCK_MONOTONIC);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	static time_t gone_s;
	int64_t us;

	if (!stands(clock))
		return __real_clock_gettime(clock, t);
	if (paces)
		gone_s += PACE_S;
	us = atomic_load(stands_us);
	t->tv_sec = us / 1000000 + gone_s - (clock == CLOCK_REALTIME ? 0 : BOOTED_S);
	t->tv_nsec = us % 1000000 * 1000;
	return 0;
}

time_t __wrap_time(time_t *t)
{
	time_t now = stands_us == NULL ? __real_time(NULL) : atomic_load(stands_us) / 1000000;

	if (t != NULL)
		*t = now;
	return now;
}

/* Its two clocks are read one after the other: should one be moved on between, that is no step. */
int64_t __wrap_clock_move(struct clock *c, uint64_t wall_us, uint64_t ran_us)
{
	if (stands_us != NULL)
		ran_us = wall_us - BOOTED_S * UINT64_C(1000000);
	return __real_clock_move(c, wall_us, ran_us);
}

/* It counts what this machine can do in a second. */
int __wrap_command_stat(struct command_line *l)
{
	measures = true;
	return __real_command_stat(l);
}

static int shorter(int ms)
{
	static unsigned waits;
	static size_t page;

	if (leaks_memory && ++waits % LEAKS == 0 && page < LEAK_PAGES)
		leaked[page++ * PAGE] = 1;
	return stands_us != NULL && ms > WAKE_MS ? WAKE_MS : ms;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
	return __real_poll(fds, count, shorter(ms));
}

/* What poll() is where _FORTIFY_SOURCE knows the size of `fds`. */
int __wrap___poll_chk(struct pollfd *fds, nfds_t count, int ms, size_t bytes)
{
	return __real___poll_chk(fds, count, shorter(ms), bytes);
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
	return __real_epoll_wait(epoll, events, most, shorter(ms));
}

int __wrap_close(int fd)
{
	static unsigned closed;

	return leaks_descriptors && ++closed % FORGOTTEN == 0 ? 0 : __real_close(fd);
}

enum kv_status __wrap_session_sweep(struct kv *kv, const struct config *config, uint64_t now_s,
                                    uint32_t limit, uint32_t *seen)
{
	if (!no_sweep)
		return __real_session_sweep(kv, config, now_s, limit, seen);
	*seen = 0;
	return KV_OK;
}
