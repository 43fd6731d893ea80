/* clock.c -- see clock.h. */
#include "clock.h"
#include "record.h"

#define NOW_MAX_S (UINT64_MAX / 1000000 / 2)   /* so that microseconds and sums of them fit */

static struct slice name(struct record_key *k)
{
	return record_meta_key(k, "now_s");
}

int64_t clock_move(struct clock *c, uint64_t wall_us, uint64_t ran_us)
{
	bool first = c->wall_us == 0;
	uint64_t ran = first ? 0 : ran_us - c->ran_us;
	uint64_t expected = first ? c->now_us : c->wall_us + ran;
	int64_t step_us = expected > 0 ? (int64_t)(wall_us - expected) : 0;

	c->wall_us = wall_us;
	c->ran_us = ran_us;
	c->now_us += ran / 2;
	if (c->now_us < wall_us)
		c->now_us = wall_us;
	return step_us / 1000000;
}

enum kv_status clock_follow(struct clock *c, struct kv *kv)
{
	struct record_key k;
	struct slice value;
	uint64_t kept_s = 0;
	enum kv_status status;

	if (c->snapshot == kv_snapshot(kv))
		return KV_OK;
	status = kv_get(kv, name(&k), &value);
	if (status == KV_OK && (!record_number_read(value, &kept_s) || kept_s > NOW_MAX_S))
		status = KV_IO;
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	c->snapshot = kv_snapshot(kv);
	c->kept_s = kept_s;
	if (c->now_us < kept_s * 1000000)
		c->now_us = kept_s * 1000000;
	return KV_OK;
}

enum kv_status clock_set(struct kv *kv, uint64_t now_s)
{
	char bytes[sizeof now_s];
	struct buf value = BUF(bytes);
	struct record_key k;

	record_number_write(&value, now_s);
	return kv_put(kv, name(&k), buf_slice(&value));
}

enum kv_status clock_keep(struct clock *c, struct kv *kv, uint64_t step_s)
{
	enum kv_status status;

	if (clock_now_s(c) < c->kept_s + step_s)
		return KV_OK;
	status = clock_set(kv, clock_now_s(c));
	if (status == KV_OK)
		c->kept_s = clock_now_s(c);
	return status;
}
