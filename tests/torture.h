/* torture.h -- for tests that draw: a seed to replay them by, and how long they go on.
 *
 * SEED names the first seed, 1 where it is not set. TORTURE_S, in seconds, is the long form:
 * rounds with the seeds that follow, until the time is over; without it there is one round.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t torture_seed, torture_state, torture_rounds;

/* splitmix64 */
static inline uint64_t draw(void)
{
	uint64_t z = torture_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t below(uint32_t n)
{
	return (uint32_t)(draw() % n);
}

/* Begins a round; false where the last one was the last. */
static inline bool torture_round(void)
{
	static time_t end;
	const char *seed = getenv("SEED"), *time_s = getenv("TORTURE_S");

	if (torture_rounds == 0) {
		torture_seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
		end = time(NULL) + (time_s != NULL ? strtol(time_s, NULL, 10) : 0);
	} else if (time(NULL) >= end) {
		return false;
	} else {
		torture_seed++;
	}
	torture_rounds++;
	torture_state = torture_seed;
	return true;
}

#endif
