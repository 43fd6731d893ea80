/* session.c -- see session.h. */
#include <assert.h>

#include "session.h"

/* The expiry that a use at `now_s` gives: idle or absolute end, whichever comes first. */
static uint64_t expiry(const struct config *config, uint64_t created_s, uint64_t now_s)
{
	uint64_t idle = now_s + config->session_ttl_s;
	uint64_t absolute = created_s + config->session_max_s;

	return idle < absolute ? idle : absolute;
}

static enum kv_status get_session(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  struct session_record *s)
{
	struct record_key k;
	struct slice value;
	enum kv_status status = kv_get(kv, record_session_key(&k, key), &value);

	if (status != KV_OK)
		return status;
	return record_session_read(value, s) ? KV_OK : KV_IO;
}

static enum kv_status put_session(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  const struct session_record *s)
{
	char bytes[RECORD_VALUE_MAX];
	struct buf value = BUF(bytes);
	struct record_key k;

	if (!record_session_write(&value, s))
		return KV_IO;
	return kv_put(kv, record_session_key(&k, key), buf_slice(&value));
}

/* The session's entry in the sweep's list. */
static struct slice sweep_key(struct record_key *k, const uint8_t key[RECORD_SESSION_KEY_LEN],
                              uint64_t due_s)
{
	struct record_key of;

	return record_sweep_key(k, due_s, record_session_key(&of, key));
}

enum kv_status session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct session_record *s,
                            struct customer_record *c)
{
	enum kv_status status = get_session(kv, key, s);

	if (status != KV_OK)
		return status;
	if (now_s >= s->expires_s)
		return KV_NOT_FOUND;
	status = customer_get(kv, s->customer_id, c);
	if (status != KV_OK)
		return status;
	return (c->flags & CUSTOMER_DISABLED) == 0 && c->epoch == s->epoch ? KV_OK : KV_NOT_FOUND;
}

bool session_renewal_due(const struct config *config, const struct session_record *s,
                         uint64_t now_s)
{
	uint64_t renewed = expiry(config, s->created_s, now_s);
	uint64_t step = (config->session_ttl_s + UINT64_C(9)) / 10;

	return renewed >= s->expires_s + step;
}

enum kv_status session_renew(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s)
{
	struct session_record s;
	enum kv_status status = get_session(kv, key, &s);

	if (status != KV_OK)
		return status;
	s.expires_s = expiry(config, s.created_s, now_s);
	s.used_s = now_s;
	return put_session(kv, key, &s);        /* the sweep's entry stays put */
}

/* A trace may be gone already: deleting it again is no failure. */
static enum kv_status del_if_there(struct kv *kv, struct slice key)
{
	enum kv_status status = kv_del(kv, key);

	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct session_record s;
	struct record_key k;
	enum kv_status status = get_session(kv, key, &s);

	if (status == KV_OK)
		status = del_if_there(kv, sweep_key(&k, key, s.due_s));
	if (status == KV_OK)
		status = del_if_there(kv, record_owner_key(&k, s.customer_id, s.created_s, key));
	if (status == KV_OK)
		status = kv_del(kv, record_session_key(&k, key));
	return status;
}

/* The customer's oldest session after `after`; its key is copied out. */
static enum kv_status next_of_owner(struct kv *kv, uint64_t customer_id, struct record_key *after,
                                    uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct record_key prefix;
	struct slice found, value;
	uint64_t id, created_s;
	const uint8_t *session_key;
	enum kv_status status = kv_scan(kv, record_owner_prefix(&prefix, customer_id),
	                                slice_bytes(after->bytes, after->len), &found, &value);

	if (status != KV_OK)
		return status;
	if (!record_owner_key_read(found, &id, &created_s, &session_key))
		return KV_IO;
	memcpy(key, session_key, RECORD_SESSION_KEY_LEN);
	record_owner_key(after, id, created_s, key);
	return KV_OK;
}

/* Counts the customer's sessions up to `limit`; `oldest` is the first of them. */
static enum kv_status count_of_owner(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                     uint32_t *count, uint8_t oldest[RECORD_SESSION_KEY_LEN])
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct record_key after = { .len = 0 };
	enum kv_status status = KV_OK;

	for (*count = 0; *count < limit; ++*count) {
		status = next_of_owner(kv, customer_id, &after, key);
		if (status != KV_OK)
			break;
		if (*count == 0)
			memcpy(oldest, key, RECORD_SESSION_KEY_LEN);
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Makes room for one more session of the customer. Those of an older epoch are older, so
 * the dead go first. */
static enum kv_status evict(struct kv *kv, uint64_t customer_id, uint32_t limit)
{
	uint8_t oldest[RECORD_SESSION_KEY_LEN];
	enum kv_status status = KV_OK;
	uint32_t count = limit;

	while (limit > 0 && status == KV_OK) {
		status = count_of_owner(kv, customer_id, limit, &count, oldest);
		if (status != KV_OK || count < limit)
			return status;
		status = session_end(kv, oldest);
	}
	return status;
}

enum kv_status session_start(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN],
                             const struct customer_record *customer, uint8_t via,
                             uint64_t now_s)
{
	struct session_record s = {
		.customer_id = customer->id,
		.epoch       = customer->epoch,
		.created_s   = now_s,
		.used_s      = now_s,
		.expires_s   = expiry(config, now_s, now_s),
		.via         = via,
	};
	const struct slice empty = SLICE("");
	struct record_key k;
	enum kv_status status = session_end(kv, key);

	s.due_s = s.expires_s;
	if (status == KV_OK || status == KV_NOT_FOUND)
		status = evict(kv, s.customer_id, config->max_sessions_per_customer);
	if (status == KV_OK)
		status = kv_put(kv, sweep_key(&k, key, s.due_s), empty);
	if (status == KV_OK)
		status = kv_put(kv, record_owner_key(&k, s.customer_id, s.created_s, key), empty);
	if (status == KV_OK)
		status = put_session(kv, key, &s);
	return status;
}

enum kv_status session_delete_some(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                   uint32_t *deleted)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status = KV_OK;

	for (*deleted = 0; *deleted < limit && status == KV_OK; ++*deleted) {
		struct record_key first = { .len = 0 };

		status = next_of_owner(kv, customer_id, &first, key);
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status == KV_OK)
			status = session_end(kv, key);
	}
	return status;
}

/* One entry that is due: its session has expired, lives on, or is gone. */
static enum kv_status sweep_one(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                uint64_t due_s, uint64_t now_s)
{
	struct session_record s;
	struct record_key k;
	enum kv_status status = get_session(kv, key, &s);

	if (status == KV_NOT_FOUND || (status == KV_OK && s.due_s != due_s))
		return del_if_there(kv, sweep_key(&k, key, due_s));
	if (status != KV_OK)
		return status;
	if (s.expires_s <= now_s)
		return session_end(kv, key);
	s.due_s = s.expires_s;
	status = kv_del(kv, sweep_key(&k, key, due_s));
	if (status == KV_OK)
		status = kv_put(kv, sweep_key(&k, key, s.due_s), SLICE(""));
	return status == KV_OK ? put_session(kv, key, &s) : status;
}

enum kv_status session_sweep(struct kv *kv, uint64_t now_s, uint32_t limit, uint32_t *seen)
{
	static const char kind = RECORD_SWEEP;
	enum kv_status status = KV_OK;

	for (*seen = 0; *seen < limit && status == KV_OK; ++*seen) {
		uint8_t key[RECORD_SESSION_KEY_LEN];
		struct slice first = { 0 }, found, value, of;
		uint64_t due_s;

		status = kv_scan(kv, (struct slice){ &kind, 1 }, first, &found, &value);
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status != KV_OK)
			return status;
		if (!record_sweep_key_read(found, &due_s, &of) || of.len != 1 + sizeof key)
			return KV_IO;
		if (due_s > now_s)
			return KV_OK;
		memcpy(key, of.ptr + 1, sizeof key);
		status = sweep_one(kv, key, due_s, now_s);
	}
	return status;
}

enum kv_status session_next(struct kv *kv, struct record_key *after,
                            uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s)
{
	static const char kind = RECORD_SESSION;
	struct slice found, value;
	enum kv_status status = kv_scan(kv, (struct slice){ &kind, 1 },
	                                slice_bytes(after->bytes, after->len), &found, &value);

	if (status != KV_OK)
		return status;
	if (found.len != 1 + RECORD_SESSION_KEY_LEN || !record_session_read(value, s))
		return KV_IO;
	memcpy(key, found.ptr + 1, RECORD_SESSION_KEY_LEN);
	record_session_key(after, key);
	return KV_OK;
}
