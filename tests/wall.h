/* wall.h -- clocks that a test moves, also of processes that it starts (ld's --wrap): the wall
 * clock, and with it those that nobody sets.
 */
#ifndef WALL_H
#define WALL_H

#include <sys/mman.h>
#include <time.h>

static long *wall_by_s;         /* how far the wall clock is from the true one, */
static long *wall_passed_s;     /* and all of them */

static inline void wall_prepare(void)
{
	wall_by_s = mmap(NULL, 2 * sizeof *wall_by_s, PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(wall_by_s, MAP_FAILED);
	wall_passed_s = wall_by_s + 1;
}

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = __real_clock_gettime(clock, t);

	if (wall_by_s == NULL || clock < 0)     /* one of a process */
		return result;
	t->tv_sec += *wall_passed_s + (clock == CLOCK_REALTIME ? *wall_by_s : 0);
	return result;
}

#endif
