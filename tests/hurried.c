/* hurried.c -- build/hurried: the whole server, with a clock that tests/test_long.py moves on.
 *
 * Every clock of every process, commands included, is ahead of the machine's by the seconds that
 * stand in the file that HURRIED_CLOCK names; without it the program is the product. A wait ends
 * after WAKE_MS at the latest, so that a loop looks at the clock; where its time has not come,
 * it waits on.
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

#include "session.h"

#define WAKE_MS    20
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
WRAPPED(enum kv_status, session_sweep, struct kv *kv, const struct config *config, uint64_t now_s,
        uint32_t limit, uint32_t *seen);

static const _Atomic int64_t *ahead_s;
static bool no_sweep, leaks_descriptors, leaks_memory, paces;
static volatile char leaked[LEAK_PAGES * PAGE];

/* Before main(), since later there is a filter of system calls. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HURRIED_CLOCK"), *faults = getenv("HURRIED_FAULTS");
	int fd = path == NULL ? -1 : open(path, O_RDONLY);
	void *memory = fd < 0 ? NULL : mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);

	if (path == NULL)
		return;
	if (memory == NULL || memory == MAP_FAILED)
		abort();
	__real_close(fd);
	ahead_s = memory;
	no_sweep = faults != NULL && strstr(faults, "sweep") != NULL;
	leaks_descriptors = faults != NULL && strstr(faults, "descriptors") != NULL;
	leaks_memory = faults != NULL && strstr(faults, "memory") != NULL;
	paces = faults != NULL && strstr(faults, "pace") != NULL;
}

static time_t ahead(void)
{
	return ahead_s == NULL ? 0 : (time_t)atomic_load(ahead_s);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	static time_t gone;
	int result = __real_clock_gettime(clock, t);

	if (paces)
		gone += PACE_S;
	t->tv_sec += ahead() + gone;
	return result;
}

time_t __wrap_time(time_t *t)
{
	time_t now = __real_time(NULL) + ahead();

	if (t != NULL)
		*t = now;
	return now;
}

static int shorter(int ms)
{
	static unsigned waits;
	static size_t page;

	if (leaks_memory && ++waits % LEAKS == 0 && page < LEAK_PAGES)
		leaked[page++ * PAGE] = 1;
	return ahead_s != NULL && ms > WAKE_MS ? WAKE_MS : ms;
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
