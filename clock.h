/* clock.h -- the time that sessions are judged by: it never goes back (requirement S07).
 *
 * It is the larger of the wall clock and of what it has been before: in this process, or, as
 * the writer keeps it in the store, in any other one, a restart included. So a wall clock that
 * is set back lets no expired session live again. As long as the wall clock is behind, this
 * one goes on at half the pace: stood it still, no session would expire meanwhile and no
 * throttle open.
 * Memory  the caller's struct, which starts zeroed.
 * Limits  what the writer has not kept yet is known to its own process alone.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include "kv.h"

struct clock {
	uint64_t now_us;                /* Unix time, microseconds */
	uint64_t wall_us, ran_us;       /* when it was moved last; 0: never */
	uint64_t kept_s;                /* what the store holds, as far as it was read */
	uint64_t snapshot;              /* of that */
};

/* Moves it on. `wall_us` is the wall clock, `ran_us` one that nobody sets. Returns by how many
 * seconds the wall clock was stepped since the last call; since what the store held, at the
 * first. */
int64_t clock_move(struct clock *c, uint64_t wall_us, uint64_t ran_us);

/* Takes over what the store holds, where that is later. Nothing is read twice of one snapshot. */
enum kv_status clock_follow(struct clock *c, struct kv *kv);

/* Puts it into the store, where that was last done `step_s` seconds ago or more. */
enum kv_status clock_keep(struct clock *c, struct kv *kv, uint64_t step_s);

/* Puts this time into the store: an earlier one is for who has made sure that nothing can live
 * again. */
enum kv_status clock_set(struct kv *kv, uint64_t now_s);

static inline uint64_t clock_now_s(const struct clock *c)
{
	return c->now_us / 1000000;
}

#endif
