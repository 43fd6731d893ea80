/* life.h -- signs of life: a page on which each loop counts its turns, for the supervisor.
 *
 * A loop that no longer turns is stuck, unless it waits for the write lock of the store, which
 * another process may hold for as long as it likes. Looking costs the loops one store a turn,
 * and no message.
 * Memory  one shared mapping, made before the first fork; without it all calls do nothing.
 */
#ifndef LIFE_H
#define LIFE_H

#include "bytes.h"

#define LIFE_SLOTS 96

/* The supervisor's: makes the page. No loop that takes a slot may wait for longer than
 * `turn_ms` without a turn. False: no memory. */
bool life_make(uint32_t turn_ms);

/* The supervisor's: how many turns the owner of `slot` has made, and whether it waits for a
 * lock. The count starts anew with each owner. */
uint32_t life_turns(uint32_t slot);
bool life_waits(uint32_t slot);

/* A child's: counts its turns in `slot` from now on. */
void life_take(uint32_t slot);

/* Once a turn. */
void life_turn(void);

/* Around what may wait for another process. */
void life_wait(bool waits);

/* How long a loop may wait that would wait for `ms`; -1: for ever. */
int life_wait_ms(int ms);

#endif
