/* customer.c -- see customer.h. */
#include <assert.h>

#include "customer.h"

static const char *const error_text[] = {
	[CUSTOMER_OK]          = "ok",
	[CUSTOMER_LOGIN_TAKEN] = "a customer with this login is there already",
	[CUSTOMER_LOGIN_BAD]   = "a login is 1 to 150 bytes of UTF-8 without control characters, "
	                         "and not -",
	[CUSTOMER_TEXT_BAD]    = "e-mail and names are at most 254 bytes of UTF-8 without control "
	                         "characters",
	[CUSTOMER_STORE]       = "the store failed",
};
static_assert(COUNT_OF(error_text) == CUSTOMER_STORE + 1, "one text per customer_error");

const char *customer_error_text(enum customer_error e)
{
	return (unsigned)e < COUNT_OF(error_text) ? error_text[e] : "unknown";
}

enum kv_status customer_get(struct kv *kv, uint64_t id, struct customer_record *r)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_customer_key(&key, id), &value);

	if (status != KV_OK)
		return status;
	return record_customer_read(value, r) ? KV_OK : KV_IO;
}

enum kv_status customer_find(struct kv *kv, struct slice login, struct customer_record *r)
{
	struct record_key key;
	struct slice value;
	uint64_t id;
	enum kv_status status = kv_get(kv, record_login_key(&key, login), &value);

	if (status != KV_OK)
		return status;
	if (!record_number_read(value, &id))
		return KV_IO;
	return customer_get(kv, id, r);
}

enum customer_error customer_judge(const struct customer_record *r)
{
	const struct slice texts[] = { r->email, r->first_name, r->last_name };

	if (r->login.len == 0 || r->login.len > RECORD_LOGIN_MAX || !slice_is_text(r->login) ||
	    slice_eq(r->login, SLICE("-")))
		return CUSTOMER_LOGIN_BAD;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i].len > RECORD_TEXT_MAX || !slice_is_text(texts[i]))
			return CUSTOMER_TEXT_BAD;
	return CUSTOMER_OK;
}

/* The next customer behind `place` (len 0: the first) who has this address; moves it on. */
static enum kv_status next_of_email(struct kv *kv, struct slice prefix, struct record_key *place,
                                    uint64_t *id)
{
	struct slice key, value, email;
	enum kv_status status = kv_scan(kv, prefix, slice_bytes(place->bytes, place->len), &key,
	                                &value);

	if (status != KV_OK)
		return status;
	if (!record_email_key_read(key, &email, id))
		return KV_IO;
	record_email_key(place, email, *id);
	return KV_OK;
}

enum kv_status customer_candidates(struct kv *kv, struct slice name, uint64_t *ids, uint32_t max,
                                   uint32_t *count)
{
	struct record_key prefix, place = { .len = 0 };
	struct slice address = record_email_prefix(&prefix, name);
	struct customer_record r;
	uint64_t id, first = 0;
	enum kv_status status = customer_find(kv, name, &r);

	*count = 0;
	if (status == KV_OK)
		ids[(*count)++] = first = r.id;
	else if (status != KV_NOT_FOUND)
		return status;
	while (slice_given(address) && slice_has(name, '@') && *count < max) {
		status = next_of_email(kv, address, &place, &id);
		if (status != KV_OK)
			return status == KV_NOT_FOUND ? KV_OK : status;
		if (id != first)
			ids[(*count)++] = id;
	}
	return KV_OK;
}

enum kv_status customer_next_id(struct kv *kv, uint64_t *id)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_meta_key(&key, RECORD_NEXT_CUSTOMER), &value);

	if (status == KV_NOT_FOUND) {
		*id = 1;
		return KV_OK;
	}
	if (status != KV_OK)
		return status;
	return record_number_read(value, id) ? KV_OK : KV_IO;
}

static enum kv_status put_number(struct kv *kv, struct slice key, uint64_t n)
{
	char bytes[8];
	struct buf value = BUF(bytes);

	record_number_write(&value, n);
	return kv_put(kv, key, buf_slice(&value));
}

enum customer_error customer_add(struct kv *kv, const struct customer_record *r,
                                 enum kv_status *status)
{
	enum customer_error error = customer_judge(r);
	struct record_key key;
	struct slice value;
	uint64_t next;

	*status = KV_OK;
	if (error != CUSTOMER_OK)
		return error;
	*status = kv_get(kv, record_login_key(&key, r->login), &value);
	if (*status == KV_OK)
		return CUSTOMER_LOGIN_TAKEN;
	if (*status == KV_NOT_FOUND)
		*status = put_number(kv, record_login_key(&key, r->login), r->id);
	if (*status == KV_OK)
		*status = customer_next_id(kv, &next);
	if (*status == KV_OK && next <= r->id)
		*status = put_number(kv, record_meta_key(&key, RECORD_NEXT_CUSTOMER), r->id + 1);
	if (*status == KV_OK)
		*status = customer_put(kv, r);
	return *status == KV_OK ? CUSTOMER_OK : CUSTOMER_STORE;
}

/* A trace may be absent already. */
static enum kv_status del_if_there(struct kv *kv, struct slice key)
{
	enum kv_status status = slice_given(key) ? kv_del(kv, key) : KV_OK;

	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Whatever it reads is read before the first put: the record's texts may be the store's. */
enum kv_status customer_put(struct kv *kv, const struct customer_record *r)
{
	char bytes[RECORD_VALUE_MAX];
	struct buf value = BUF(bytes);
	struct record_key key, from_key, to_key;
	struct slice from, to = record_email_key(&to_key, r->email, r->id);
	struct customer_record old = { .email = SLICE("") };
	enum kv_status status = customer_get(kv, r->id, &old);

	if (!record_customer_write(&value, r) || (status != KV_OK && status != KV_NOT_FOUND))
		return status == KV_OK || status == KV_NOT_FOUND ? KV_IO : status;
	from = record_email_key(&from_key, status == KV_OK ? old.email : SLICE(""), r->id);
	status = kv_put(kv, record_customer_key(&key, r->id), buf_slice(&value));
	if (status != KV_OK || slice_eq(from, to))
		return status;
	status = del_if_there(kv, from);
	return status == KV_OK && slice_given(to) ? kv_put(kv, to, SLICE("")) : status;
}

enum kv_status customer_delete(struct kv *kv, const struct customer_record *r)
{
	uint64_t id = r->id;
	struct record_key key, email_key;
	struct slice email = record_email_key(&email_key, r->email, id);
	enum kv_status status = kv_del(kv, record_login_key(&key, r->login));

	if (status == KV_OK)
		status = del_if_there(kv, email);
	return status == KV_OK ? kv_del(kv, record_customer_key(&key, id)) : status;
}

enum kv_status customer_next(struct kv *kv, uint64_t *after, struct customer_record *r)
{
	static const char kind = RECORD_CUSTOMER;
	struct record_key place = { .len = 0 };
	struct slice key, value;
	enum kv_status status;

	if (*after > 0)
		record_customer_key(&place, *after);
	status = kv_scan(kv, (struct slice){ &kind, 1 }, slice_bytes(place.bytes, place.len),
	                 &key, &value);
	if (status != KV_OK)
		return status;
	if (!record_customer_read(value, r))
		return KV_IO;
	*after = r->id;
	return KV_OK;
}
