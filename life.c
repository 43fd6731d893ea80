/* life.c -- see life.h. */
#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "life.h"

/* A cache line each, so that no loop's count is another one's miss. */
struct life {
	alignas(64) atomic_uint turns;
	atomic_bool waits;
};

static struct life nobody;
static struct life *own = &nobody;
static struct life *page;
static int most_ms = -1;

bool life_make(uint32_t turn_ms)
{
	void *memory = mmap(NULL, LIFE_SLOTS * sizeof *page, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	page = memory;
	most_ms = (int)turn_ms;
	return true;
}

uint32_t life_turns(uint32_t slot)
{
	assert(slot < LIFE_SLOTS);
	return page == NULL ? 0 : atomic_load_explicit(&page[slot].turns, memory_order_relaxed);
}

bool life_waits(uint32_t slot)
{
	assert(slot < LIFE_SLOTS);
	return page != NULL && atomic_load_explicit(&page[slot].waits, memory_order_relaxed);
}

void life_take(uint32_t slot)
{
	assert(slot < LIFE_SLOTS);
	if (page == NULL)
		return;
	own = &page[slot];
	atomic_store_explicit(&own->turns, 0, memory_order_relaxed);
	life_wait(false);
}

/* Nobody else writes there: a load and a store, no locked addition. */
void life_turn(void)
{
	unsigned turns = atomic_load_explicit(&own->turns, memory_order_relaxed);

	atomic_store_explicit(&own->turns, turns + 1, memory_order_relaxed);
}

void life_wait(bool waits)
{
	atomic_store_explicit(&own->waits, waits, memory_order_relaxed);
}

int life_wait_ms(int ms)
{
	return most_ms >= 0 && (ms < 0 || ms > most_ms) ? most_ms : ms;
}
