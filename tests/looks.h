/* looks.h -- a store that has each record yet to fetch: a handler has to be re-runnable.
 *
 * With `looks.on` it answers KV_AGAIN at the first look at every record. The linker puts
 * __wrap_kv_get and __wrap_kv_scan in front of it (ld's --wrap).
 */
#ifndef LOOKS_H
#define LOOKS_H

#include "kv.h"
#include "record.h"

enum kv_status __real_kv_get(struct kv *kv, struct slice key, struct slice *value);
enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value);
enum kv_status __real_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value);
enum kv_status __wrap_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value);

/* What was looked at in the request at hand. */
static struct {
	bool on;
	size_t count, answered_again;
	struct record_key keys[256];
} looks;

static bool first_look(struct slice what)
{
	if (!looks.on)
		return false;
	for (size_t i = 0; i < looks.count; i++)
		if (slice_eq(slice_bytes(looks.keys[i].bytes, looks.keys[i].len), what))
			return false;
	assert_in_range(looks.count, 0, COUNT_OF(looks.keys) - 1);
	assert_in_range(what.len, 0, RECORD_KEY_MAX);
	memcpy(looks.keys[looks.count].bytes, what.ptr, what.len);
	looks.keys[looks.count++].len = what.len;
	looks.answered_again++;
	return true;
}

enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value)
{
	return first_look(key) ? KV_AGAIN : __real_kv_get(kv, key, value);
}

enum kv_status __wrap_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value)
{
	if (first_look(after.len > 0 ? after : prefix))
		return KV_AGAIN;
	return __real_kv_scan(kv, prefix, after, key, value);
}

#endif
