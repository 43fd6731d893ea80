/* wall.h -- a wall clock that a test sets, also for processes that it starts (ld's --wrap).
 */
#ifndef WALL_H
#define WALL_H

#include <sys/mman.h>
#include <time.h>

static long *wall_by_s;         /* how far the wall clock is from the true one */

static inline void wall_prepare(void)
{
	wall_by_s = mmap(NULL, sizeof *wall_by_s, PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(wall_by_s, MAP_FAILED);
}

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = __real_clock_gettime(clock, t);

	if (clock == CLOCK_REALTIME && wall_by_s != NULL)
		t->tv_sec += *wall_by_s;
	return result;
}

#endif
