/* throttle.c -- see throttle.h. */
#include <assert.h>
#include <bearssl.h>

#include "throttle.h"

#define NEIGHBOURS 8    /* entries in which a name may stand */

/* Where a name stands: its digest in the table, and the first of its entries. */
struct place {
	uint8_t name[sizeof((struct throttle_entry *)0)->name];
	size_t first;
};

static struct place place_of(const struct throttle *t, char kind, struct slice name)
{
	uint8_t digest[br_sha256_SIZE];
	br_sha256_context sha;
	struct place p;

	br_sha256_init(&sha);
	br_sha256_update(&sha, t->seed, sizeof t->seed);
	br_sha256_update(&sha, &kind, 1);
	br_sha256_update(&sha, name.ptr, name.len);
	br_sha256_out(&sha, digest);
	memcpy(p.name, digest, sizeof p.name);
	memcpy(&p.first, digest + sizeof p.name, sizeof p.first);
	return p;
}

static struct throttle_entry *neighbour(const struct throttle *t, const struct place *p, size_t i)
{
	return &t->entries[(p->first + i) & t->mask];
}

/* The entry of the name, or NULL. */
static struct throttle_entry *find(const struct throttle *t, const struct place *p)
{
	struct slice name = slice_bytes(p->name, sizeof p->name);

	for (size_t i = 0; i < NEIGHBOURS; i++) {
		struct throttle_entry *e = neighbour(t, p, i);

		if (slice_eq(slice_bytes(e->name, sizeof e->name), name))
			return e;
	}
	return NULL;
}

/* The neighbour whose window ends first: a free one, whose `ends_ms` is 0, before all. */
static struct throttle_entry *find_oldest(const struct throttle *t, const struct place *p)
{
	struct throttle_entry *oldest = neighbour(t, p, 0);

	for (size_t i = 1; i < NEIGHBOURS; i++) {
		struct throttle_entry *e = neighbour(t, p, i);

		if (e->ends_ms < oldest->ends_ms)
			oldest = e;
	}
	return oldest;
}

void throttle_init(struct throttle *t, struct throttle_entry *entries, size_t count,
                   const uint8_t seed[16])
{
	assert(count >= 16 && (count & (count - 1)) == 0);
	t->entries = entries;
	t->mask = count - 1;
	memcpy(t->seed, seed, sizeof t->seed);
}

uint32_t throttle_wait_s(const struct throttle *t, char kind, struct slice name,
                         uint32_t limit, uint64_t now_ms)
{
	struct place p = place_of(t, kind, name);
	const struct throttle_entry *e = find(t, &p);

	if (e == NULL || e->ends_ms <= now_ms || e->count < limit)
		return 0;
	return (uint32_t)((e->ends_ms - now_ms + 999) / 1000);
}

void throttle_bump(struct throttle *t, char kind, struct slice name, uint32_t window_s,
                   uint64_t now_ms)
{
	struct place p = place_of(t, kind, name);
	struct throttle_entry *e = find(t, &p);

	if (e == NULL)
		e = find_oldest(t, &p);
	else if (e->ends_ms > now_ms) {
		e->count += e->count < UINT32_MAX;
		return;
	}
	memcpy(e->name, p.name, sizeof e->name);
	e->count = 1;
	e->ends_ms = now_ms + (uint64_t)window_s * 1000;
}

void throttle_clear(struct throttle *t, char kind, struct slice name)
{
	struct place p = place_of(t, kind, name);
	struct throttle_entry *e = find(t, &p);

	if (e != NULL)
		*e = (struct throttle_entry){ 0 };
}
