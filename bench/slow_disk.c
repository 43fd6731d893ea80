/* slow_disk.c -- stands in for fdatasync() in build/bench/sidecart-slow: takes 20 ms more.
 *
 * bench/writes starts that program without seccomp, whose list has no call that sleeps.
 */
#include <time.h>

#define MORE_NS 20000000L

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	struct timespec left = { 0, MORE_NS };

	while (nanosleep(&left, &left) != 0)
		;
	return __real_fdatasync(fd);
}
