/* looks.h -- a store that has each record yet to fetch, and takes back what it has lent.
 *
 * A handler has to be re-runnable: with `looks.on` the store answers KV_AGAIN at the first look at
 * every record. And each record stands in memory of its own, which goes when kv.h says so: who
 * looks at it behind the next put or delete, or the end of the request, is found by the sanitizer.
 * The linker puts __wrap_kv_get() and the others in front of the store's (ld's --wrap).
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
enum kv_status __real_kv_put(struct kv *kv, struct slice key, struct slice value);
enum kv_status __wrap_kv_put(struct kv *kv, struct slice key, struct slice value);
enum kv_status __real_kv_del(struct kv *kv, struct slice key);
enum kv_status __wrap_kv_del(struct kv *kv, struct slice key);
enum kv_status __real_kv_end_child(struct kv *kv, bool keep);
enum kv_status __wrap_kv_end_child(struct kv *kv, bool keep);

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

static struct {
	char *copies[4096];
	size_t count;
} lent;

static void lend(struct slice *s)
{
	char *copy = malloc(s->len + 1);

	assert_non_null(copy);
	assert_in_range(lent.count, 0, COUNT_OF(lent.copies) - 1);
	lent.copies[lent.count++] = copy;
	if (s->len > 0)
		memcpy(copy, s->ptr, s->len);
	s->ptr = copy;
}

static void take_back(void)
{
	while (lent.count > 0)
		free(lent.copies[--lent.count]);
}

enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value)
{
	enum kv_status status = first_look(key) ? KV_AGAIN : __real_kv_get(kv, key, value);

	if (status == KV_OK)
		lend(value);
	return status;
}

enum kv_status __wrap_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value)
{
	enum kv_status status = KV_AGAIN;

	if (!first_look(after.len > 0 ? after : prefix))
		status = __real_kv_scan(kv, prefix, after, key, value);
	if (status == KV_OK) {
		lend(key);
		lend(value);
	}
	return status;
}

enum kv_status __wrap_kv_put(struct kv *kv, struct slice key, struct slice value)
{
	enum kv_status status = __real_kv_put(kv, key, value);

	take_back();
	return status;
}

enum kv_status __wrap_kv_del(struct kv *kv, struct slice key)
{
	enum kv_status status = __real_kv_del(kv, key);

	take_back();
	return status;
}

enum kv_status __wrap_kv_end_child(struct kv *kv, bool keep)
{
	take_back();
	return __real_kv_end_child(kv, keep);
}

#endif
