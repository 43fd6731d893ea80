/* session.c -- see session.h. */
#include <assert.h>
#include <bearssl.h>

#include "json.h"
#include "log.h"
#include "secret.h"
#include "session.h"
#include "sha.h"

#define EVICTED_MAX 16          /* sessions that one login may push out */

/* Labels that keep the uses of the secret apart. */
#define COOKIE_LABEL   "sidecart cookie session"
#define CSRF_LABEL     "sidecart csrf token"
#define TRUSTED_LABEL  "sidecart trusted token"
#define DWSID_LABEL    "sidecart dwsid session"
#define GUEST_LABEL    "sidecart ocapi guest"
#define CUSTOMER_LABEL "sidecart ocapi customer"
#define SECURE_LABEL   "sidecart dwsecuretoken"

#define SECURE_BYTES   25

/* The secret's key to HMAC, which takes half of the work: it is kept for the next time, since a
 * process has one secret. */
static const br_hmac_key_context *key_of(struct slice secret)
{
	static br_hmac_key_context key;
	static struct secret_copy of;

	if (!secret_same(&of, secret)) {
		br_hmac_key_init(&key, sha256_class(), secret.ptr, secret.len);
		secret_keep(&of, secret);
	}
	return &key;
}

static void derive(struct slice secret, struct slice label, struct slice from,
                   uint8_t out[br_sha256_SIZE])
{
	br_hmac_context hmac;

	br_hmac_init(&hmac, key_of(secret), 0);
	br_hmac_update(&hmac, label.ptr, label.len);
	br_hmac_update(&hmac, from.ptr, from.len);
	br_hmac_out(&hmac, out);
}

/* The same, cut to a session's key. */
static void derive_key(struct slice secret, struct slice label, struct slice from,
                       uint8_t key[RECORD_SESSION_KEY_LEN])
{
	uint8_t digest[br_sha256_SIZE];

	derive(secret, label, from, digest);
	memcpy(key, digest, RECORD_SESSION_KEY_LEN);
}

void session_cookie_key(struct slice secret, struct slice id,
                        uint8_t key[RECORD_SESSION_KEY_LEN])
{
	derive_key(secret, SLICE(COOKIE_LABEL), id, key);
}

void session_dwsid_key(struct slice secret, struct slice dwsid,
                       uint8_t key[RECORD_SESSION_KEY_LEN])
{
	derive_key(secret, SLICE(DWSID_LABEL), dwsid, key);
}

void session_trusted_key(struct slice secret, struct slice token,
                         uint8_t key[RECORD_SESSION_KEY_LEN])
{
	derive_key(secret, SLICE(TRUSTED_LABEL), token, key);
}

void session_guest_key(struct slice secret, struct slice guest_id,
                       uint8_t key[RECORD_SESSION_KEY_LEN])
{
	derive_key(secret, SLICE(GUEST_LABEL), guest_id, key);
}

/* Five bits of each byte are one digit of base32 (RFC 4648, section 6), in lower case; without a
 * table, as byte_to_base64(). */
void session_put_guest_id(struct buf *out, const uint8_t random[RECORD_GUEST_ID_LEN])
{
	for (size_t i = 0; i < RECORD_GUEST_ID_LEN; i++) {
		int v = random[i] & 31;

		buf_char(out, (char)('a' + v + ((25 - v) >> 8 & ('2' - 'z' - 1))));
	}
}

void session_put_customer_id(struct buf *out, struct slice secret, uint64_t customer_id)
{
	uint8_t number[8], digest[br_sha256_SIZE];

	for (size_t i = 0; i < sizeof number; i++)
		number[i] = (uint8_t)(customer_id >> 8 * i);
	derive(secret, SLICE(CUSTOMER_LABEL), slice_bytes(number, sizeof number), digest);
	session_put_guest_id(out, digest);
}

void session_put_site_hash(struct buf *out, const char *site)
{
	uint8_t digest[br_md5_SIZE];
	br_md5_context md5;

	br_md5_init(&md5);
	br_md5_update(&md5, "Sites-", 6);
	br_md5_update(&md5, site, strlen(site));
	br_md5_update(&md5, "-Site", 5);
	br_md5_out(&md5, digest);
	buf_hex(out, slice_bytes(digest, sizeof digest));
}

void session_put_secure_token(struct buf *out, struct slice secret, const char *site,
                              const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	char bytes[RECORD_SESSION_KEY_LEN + CONFIG_SITE_MAX];
	struct buf from = BUF(bytes);
	uint8_t digest[br_sha256_SIZE];

	buf_put(&from, slice_bytes(key, RECORD_SESSION_KEY_LEN));
	buf_str(&from, site);
	derive(secret, SLICE(SECURE_LABEL), buf_slice(&from), digest);
	buf_base64url(out, digest, SECURE_BYTES, SESSION_SECURE_TOKEN_CHARS - 2);
	buf_lit(out, "==");
}

void session_put_csrf_token(struct buf *out, struct slice secret,
                            const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	uint8_t digest[br_sha256_SIZE];

	derive(secret, SLICE(CSRF_LABEL), slice_bytes(key, RECORD_SESSION_KEY_LEN), digest);
	buf_base64url(out, digest, sizeof digest, SESSION_ID_CHARS);
}

/* Seconds that a session lives without use; 0: for ever. */
static uint64_t idle_life(const struct config *config, const struct session_record *s)
{
	bool header_guest = s->customer_id == 0 && s->via == VIA_HEADER;

	if (s->via == VIA_DWSID)
		return SESSION_DWSID_TTL_S;
	return header_guest ? config->anon_ttl_s : config->session_ttl_s;
}

/* Nothing that is done with such a session moves its end. */
static bool has_fixed_end(const struct session_record *s)
{
	return s->via == VIA_RETIRED || s->via == VIA_TOKEN || s->via == VIA_GUEST;
}

/* The expiry that a use at `now_s` gives: idle or absolute end, whichever comes first. A guest
 * by header knows no absolute end: who keeps the identifier may resume the session. */
static uint64_t expiry(const struct config *config, const struct session_record *s,
                       uint64_t now_s)
{
	uint64_t life = idle_life(config, s);
	uint64_t absolute = s->created_s + (s->via == VIA_DWSID ? SESSION_DWSID_MAX_S :
	                                                          config->session_max_s);

	if (has_fixed_end(s))
		return s->expires_s;
	if (life == 0)
		return RECORD_NEVER;
	if (s->customer_id == 0 && s->via == VIA_HEADER)
		return now_s + life;
	return now_s + life < absolute ? now_s + life : absolute;
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
                            uint64_t now_s, struct session_record *s)
{
	enum kv_status status = get_session(kv, key, s);

	return status == KV_OK && now_s >= s->expires_s ? KV_NOT_FOUND : status;
}

bool session_renewal_due(const struct config *config, const struct session_record *s,
                         uint64_t now_s)
{
	uint64_t renewed = expiry(config, s, now_s);
	uint64_t step = (idle_life(config, s) + UINT64_C(9)) / 10;

	return renewed > s->expires_s && renewed - s->expires_s >= step;
}

enum kv_status session_renew(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s)
{
	struct session_record s;
	enum kv_status status = get_session(kv, key, &s);

	if (status != KV_OK)
		return status;
	s.expires_s = expiry(config, &s, now_s);
	s.used_s = now_s;
	return put_session(kv, key, &s);        /* the sweep's entry stays put */
}

/* A trace may be gone already: deleting it again is no failure. */
static enum kv_status del_if_there(struct kv *kv, struct slice key)
{
	enum kv_status status = kv_del(kv, key);

	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* What a guest put into his basket goes with his session. */
static enum kv_status end_basket(struct kv *kv, const struct session_record *s)
{
	enum kv_status status;

	if (s->customer_id != 0 || s->basket_id == 0)
		return KV_OK;
	status = basket_delete(kv, s->basket_id);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct session_record s;
	struct record_key k;
	enum kv_status status = get_session(kv, key, &s);

	if (status == KV_OK)
		status = end_basket(kv, &s);
	if (status == KV_OK)
		status = del_if_there(kv, sweep_key(&k, key, s.due_s));
	if (status == KV_OK)
		status = del_if_there(kv, record_owner_key(&k, s.customer_id, s.created_s, key));
	if (status == KV_OK)
		status = del_if_there(kv, record_data_key(&k, key));
	if (status == KV_OK)
		status = kv_del(kv, record_session_key(&k, key));
	return status;
}

/* A session in its owner's list. */
struct owned {
	struct record_key entry;
	uint8_t key[RECORD_SESSION_KEY_LEN];
};

/* The owner's oldest session after the one in `*o` (entry.len 0: of all). */
static enum kv_status next_of_owner(struct kv *kv, uint64_t customer_id, struct owned *o)
{
	struct record_key prefix;
	struct slice found, value;
	uint64_t id, created_s;
	const uint8_t *key;
	enum kv_status status = kv_scan(kv, record_owner_prefix(&prefix, customer_id),
	                                slice_bytes(o->entry.bytes, o->entry.len), &found,
	                                &value);

	if (status != KV_OK)
		return status;
	if (!record_owner_key_read(found, &id, &created_s, &key))
		return KV_IO;
	memcpy(o->key, key, RECORD_SESSION_KEY_LEN);
	record_owner_key(&o->entry, id, created_s, o->key);
	return KV_OK;
}

/* An entry whose session is gone goes too: it must not stand in the way of others. */
static enum kv_status end_owned(struct kv *kv, const struct owned *o)
{
	enum kv_status status = session_end(kv, o->key);

	if (status == KV_NOT_FOUND)
		return del_if_there(kv, slice_bytes(o->entry.bytes, o->entry.len));
	return status;
}

/* True in `*full` where the owner has `limit` sessions; `oldest` is the first of them. */
static enum kv_status owner_is_full(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                    bool *full, struct owned *oldest)
{
	struct owned o = { .entry.len = 0 };
	enum kv_status status = KV_OK;

	*full = false;
	for (uint32_t count = 0; count < limit && status == KV_OK; count++) {
		status = next_of_owner(kv, customer_id, &o);
		if (status == KV_OK && count == 0)
			*oldest = o;
		*full = status == KV_OK;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Makes room for one more session of the customer. Where the limit was lowered, each login
 * takes a few steps towards it. */
static enum kv_status evict(struct kv *kv, uint64_t customer_id, uint32_t limit)
{
	struct owned oldest;
	enum kv_status status = KV_OK;
	bool full = limit > 0 && customer_id > 0;

	for (int i = 0; i < EVICTED_MAX && full && status == KV_OK; i++) {
		status = owner_is_full(kv, customer_id, limit, &full, &oldest);
		if (status == KV_OK && full)
			status = end_owned(kv, &oldest);
	}
	return status;
}

/* Files the session's entry in the sweep's list. */
static enum kv_status put_due(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                              uint64_t due_s)
{
	struct record_key k;

	if (due_s == RECORD_NEVER)
		return KV_OK;
	return kv_put(kv, sweep_key(&k, key, due_s), SLICE(""));
}

/* What a session record copies of its customer. */
static enum kv_status copy_customer(struct kv *kv, struct session_record *s)
{
	struct customer_record customer;
	enum kv_status status;

	if (s->customer_id == 0)
		return KV_OK;
	status = customer_get(kv, s->customer_id, &customer);
	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_IO : status;
	s->login = customer.login;
	s->basket_id = customer.basket_id;
	return KV_OK;
}

/* Puts a new session, and what leads to it, in the place of what is under its key. */
static enum kv_status put_new(struct kv *kv, const struct config *config,
                              const uint8_t key[RECORD_SESSION_KEY_LEN],
                              struct session_record *s)
{
	struct record_key k;
	enum kv_status status = session_end(kv, key);

	s->due_s = s->expires_s;
	if (status == KV_OK || status == KV_NOT_FOUND)
		status = evict(kv, s->customer_id, config->max_sessions_per_customer);
	if (status == KV_OK)
		status = put_due(kv, key, s->due_s);
	if (status == KV_OK)
		status = kv_put(kv, record_owner_key(&k, s->customer_id, s->created_s, key),
		                SLICE(""));
	if (status == KV_OK)
		status = copy_customer(kv, s);
	return status == KV_OK ? put_session(kv, key, s) : status;
}

/* Starts `*s`, of which customer, via and, where it is fixed, the end are set. */
static enum kv_status start(struct kv *kv, const struct config *config,
                            const uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s,
                            uint64_t now_s)
{
	s->created_s = s->used_s = now_s;
	s->expires_s = expiry(config, s, now_s);
	return put_new(kv, config, key, s);
}

enum kv_status session_start(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t customer_id,
                             uint8_t via, uint64_t now_s)
{
	struct session_record s = { .customer_id = customer_id, .via = via };

	return start(kv, config, key, &s, now_s);
}

/* Has the guest's root live until `end_s` at least. */
static enum kv_status keep_root(struct kv *kv, const struct config *config, struct slice secret,
                                struct slice guest_id, uint64_t end_s, uint64_t now_s)
{
	struct session_record made = { .via = VIA_GUEST, .guest_id = guest_id, .expires_s = end_s };
	struct session_record s;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status;

	session_guest_key(secret, guest_id, key);
	status = session_find(kv, key, now_s, &s);
	if (status == KV_NOT_FOUND)
		return start(kv, config, key, &made, now_s);
	if (status != KV_OK || s.via != VIA_GUEST || s.expires_s >= end_s)
		return status;
	s.expires_s = end_s;
	s.used_s = now_s;
	return put_session(kv, key, &s);        /* the sweep's entry stays put */
}

enum kv_status session_start_shown(struct kv *kv, const struct config *config,
                                   struct slice secret, const struct session_owner *who,
                                   const uint8_t key[RECORD_SESSION_KEY_LEN], uint8_t via,
                                   uint64_t now_s)
{
	struct session_record s = { .customer_id = who->customer_id, .via = via };
	uint64_t end_s = now_s + (via == VIA_TOKEN ? config->token_ttl_s : SESSION_DWSID_MAX_S);
	enum kv_status status = KV_OK;

	assert(via == VIA_TOKEN || via == VIA_DWSID);
	if (via == VIA_TOKEN)
		s.expires_s = end_s;
	if (who->customer_id == 0) {
		s.guest_id = (struct slice){ who->guest_id, sizeof who->guest_id };
		status = keep_root(kv, config, secret, s.guest_id, end_s, now_s);
	}
	return status == KV_OK ? start(kv, config, key, &s, now_s) : status;
}

enum kv_status session_set_secure_seen(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct session_record s;
	enum kv_status status = get_session(kv, key, &s);

	if (status != KV_OK || (s.flags & SESSION_SECURE_SEEN) != 0)
		return status;
	s.flags |= SESSION_SECURE_SEEN;
	return put_session(kv, key, &s);
}

static struct session_record imported(const struct config *config, uint64_t customer_id,
                                      uint64_t ends_s, uint64_t used_s, uint64_t now_s)
{
	uint64_t last_s = now_s + config->session_max_s;

	return (struct session_record){
		.expires_s   = ends_s < last_s ? ends_s : last_s,
		.customer_id = customer_id,
		.created_s   = now_s,
		.used_s      = used_s < now_s ? used_s : now_s,
		.via         = VIA_HEADER,
	};
}

enum kv_status session_import(struct kv *kv, const struct config *config,
                              const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t customer_id,
                              uint64_t ends_s, uint64_t used_s, uint64_t now_s)
{
	struct session_record s = imported(config, customer_id, ends_s, used_s, now_s);
	enum kv_status status = session_set_basket(kv, key, 0);

	return status == KV_OK || status == KV_NOT_FOUND ? put_new(kv, config, key, &s) :
	                                                   status;
}

enum kv_status session_import_new(struct kv *kv, const struct config *config,
                                  const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  uint64_t customer_id, uint64_t basket_id, uint64_t ends_s,
                                  uint64_t used_s, uint64_t now_s, session_put *put,
                                  void *context)
{
	struct session_record s = imported(config, customer_id, ends_s, used_s, now_s);
	char bytes[RECORD_VALUE_MAX];
	struct buf value = BUF(bytes);
	struct record_key k;
	enum kv_status status;

	s.due_s = s.expires_s;
	s.basket_id = basket_id;
	status = copy_customer(kv, &s);
	if (status == KV_OK && !record_session_write(&value, &s))
		status = KV_IO;
	if (status == KV_OK)
		status = put(context, sweep_key(&k, key, s.due_s), SLICE(""));
	if (status == KV_OK)
		status = put(context, record_owner_key(&k, customer_id, s.created_s, key),
		             SLICE(""));
	return status == KV_OK ? put(context, record_session_key(&k, key), buf_slice(&value)) :
	                         status;
}

enum kv_status session_trim(struct kv *kv, const struct config *config, uint64_t *customer_id)
{
	static const char kind = RECORD_OWNER;
	struct record_key from;
	struct owned oldest;
	struct slice found, value;
	uint64_t created_s;
	const uint8_t *key;
	bool full;
	enum kv_status status = kv_scan(kv, (struct slice){ &kind, 1 },
	                                record_owner_prefix(&from, *customer_id), &found, &value);

	if (status == KV_OK && !record_owner_key_read(found, customer_id, &created_s, &key))
		return KV_IO;
	if (status == KV_OK)
		status = owner_is_full(kv, *customer_id, config->max_sessions_per_customer + 1,
		                       &full, &oldest);
	if (status == KV_OK && full)
		return end_owned(kv, &oldest);
	++*customer_id;
	return status;
}

enum kv_status session_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct slice *json)
{
	struct session_record s;
	struct record_key k;
	struct slice value;
	enum kv_status status = get_session(kv, key, &s);

	if (status == KV_OK && now_s >= s.expires_s)
		return KV_NOT_FOUND;
	if (status == KV_OK)
		status = kv_get(kv, record_data_key(&k, key), &value);
	if (status != KV_OK)
		return status;
	return record_data_read(value, json) ? KV_OK : KV_IO;
}

enum kv_status session_put_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                struct slice json)
{
	char bytes[RECORD_DATA_MAX + 16];
	struct buf value = BUF(bytes);
	struct record_key k;

	assert(json.len <= RECORD_DATA_MAX);
	if (!record_data_write(&value, json))
		return KV_IO;
	return kv_put(kv, record_data_key(&k, key), buf_slice(&value));
}

/* Copies the data of a live session into `out`, which stays empty where there is none. */
static enum kv_status copy_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                uint64_t now_s, struct buf *out)
{
	struct slice json;
	enum kv_status status = session_data(kv, key, now_s, &json);

	if (status == KV_OK)
		buf_put(out, json);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* The guest's data under that of the customer; where both are too long together, the
 * customer's alone. */
static struct slice merge_data(struct slice guest, struct slice own, struct buf *out,
                               const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	char error[JSON_ERROR_MAX], text[LOG_KEY_LEN];

	if (guest.len == 0 || own.len == 0)
		return own.len > 0 ? own : guest;
	if (json_merge_patch(out, guest, own, error) && !out->full)
		return buf_slice(out);
	log_event(LOG_INFO, "session_data_dropped", "session=%s of=guest "
	          "reason=\"too long together\"", log_key(text, key));
	return own;
}

/* Puts the record, and its entry in the sweep's list where it ends. The record goes first:
 * its login points into the store. */
static enum kv_status file_anew(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                struct session_record *s)
{
	uint64_t due_s = s->due_s;
	struct record_key k;
	enum kv_status status;

	s->due_s = s->expires_s;
	status = put_session(kv, key, s);
	if (status == KV_OK)
		status = del_if_there(kv, sweep_key(&k, key, due_s));
	return status == KV_OK ? put_due(kv, key, s->due_s) : status;
}

/* The guest's session after its login. */
static enum kv_status retire(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                             uint64_t now_s)
{
	struct session_record s;
	enum kv_status status = get_session(kv, key, &s);

	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (s.via == VIA_HEADER)
		return session_end(kv, key);
	if (s.expires_s > now_s + SESSION_GRACE_S)
		s.expires_s = now_s + SESSION_GRACE_S;
	s.via = VIA_RETIRED;
	return file_anew(kv, key, &s);
}

enum kv_status session_log_in(struct kv *kv, const struct config *config,
                              const uint8_t guest[RECORD_SESSION_KEY_LEN],
                              const uint8_t key[RECORD_SESSION_KEY_LEN],
                              uint64_t customer_id, uint8_t via, uint64_t now_s)
{
	char guest_bytes[RECORD_DATA_MAX], own_bytes[RECORD_DATA_MAX], merged[RECORD_DATA_MAX];
	struct buf guest_data = BUF(guest_bytes), own_data = BUF(own_bytes), both = BUF(merged);
	struct session_record s;
	struct slice data;
	enum kv_status status = session_find(kv, key, now_s, &s);

	if (status == KV_OK && s.customer_id == customer_id)
		status = copy_data(kv, key, now_s, &own_data);
	if (status == KV_NOT_FOUND)
		status = KV_OK;
	if (status == KV_OK && guest != NULL)
		status = copy_data(kv, guest, now_s, &guest_data);
	if (status == KV_OK)
		status = session_start(kv, config, key, customer_id, via, now_s);
	data = merge_data(buf_slice(&guest_data), buf_slice(&own_data), &both, key);
	if (status == KV_OK && data.len > 0)
		status = session_put_data(kv, key, data);
	if (status == KV_OK && guest != NULL)
		status = retire(kv, guest, now_s);
	return status;
}

/* The basket of a guest is the one of his session's new key. */
static enum kv_status move_basket(struct kv *kv, const struct config *config, uint64_t basket_id,
                                  const uint8_t from[RECORD_SESSION_KEY_LEN],
                                  const uint8_t to[RECORD_SESSION_KEY_LEN], uint64_t now_us)
{
	struct basket b;
	enum kv_status status = basket_get(kv, basket_id, now_us / 1000000, &b);

	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (!slice_eq(slice_bytes(b.guest, sizeof b.guest), slice_bytes(from, sizeof b.guest)))
		return KV_OK;
	memcpy(b.guest, to, sizeof b.guest);
	return basket_put(kv, config, &b, false, now_us);
}

enum kv_status session_move(struct kv *kv, const struct config *config,
                            const uint8_t from[RECORD_SESSION_KEY_LEN],
                            const uint8_t to[RECORD_SESSION_KEY_LEN], uint64_t now_us)
{
	char bytes[RECORD_DATA_MAX];
	struct buf data = BUF(bytes);
	struct session_record s;
	struct record_key k;
	enum kv_status status = session_find(kv, from, now_us / 1000000, &s);

	if (status != KV_OK)
		return status;
	status = session_end(kv, to);
	if (status == KV_OK || status == KV_NOT_FOUND)
		status = copy_data(kv, from, now_us / 1000000, &data);
	if (status == KV_OK)
		status = get_session(kv, from, &s);     /* its login has moved */
	if (status == KV_OK)
		status = put_session(kv, to, &s);
	if (status == KV_OK)
		status = put_due(kv, to, s.due_s);
	if (status == KV_OK)
		status = kv_put(kv, record_owner_key(&k, s.customer_id, s.created_s, to),
		                SLICE(""));
	if (status == KV_OK && data.len > 0)
		status = session_put_data(kv, to, buf_slice(&data));
	if (status == KV_OK && s.customer_id == 0 && s.basket_id != 0)
		status = move_basket(kv, config, s.basket_id, from, to, now_us);
	if (status == KV_OK)
		status = session_set_basket(kv, from, 0);       /* it does not go with it */
	return status == KV_OK ? session_end(kv, from) : status;
}

enum kv_status session_set_basket(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  uint64_t basket_id)
{
	struct session_record s;
	enum kv_status status = get_session(kv, key, &s);

	if (status != KV_OK || s.basket_id == basket_id)
		return status;
	s.basket_id = basket_id;
	return put_session(kv, key, &s);
}

enum kv_status session_set_customer_basket(struct kv *kv, uint64_t customer_id,
                                           uint64_t basket_id)
{
	struct owned o = { .entry.len = 0 };
	struct customer_record customer;
	enum kv_status status = customer_get(kv, customer_id, &customer);

	if (status == KV_OK && customer.basket_id != basket_id) {
		customer.basket_id = basket_id;
		status = customer_put(kv, &customer);
	}
	if (status != KV_OK)
		return status;
	while ((status = next_of_owner(kv, customer_id, &o)) == KV_OK) {
		status = session_set_basket(kv, o.key, basket_id);
		if (status != KV_OK && status != KV_NOT_FOUND)
			return status;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status session_delete_some(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                   uint32_t *deleted)
{
	enum kv_status status = KV_OK;

	for (*deleted = 0; *deleted < limit && status == KV_OK; ++*deleted) {
		struct owned first = { .entry.len = 0 };

		status = next_of_owner(kv, customer_id, &first);
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status == KV_OK)
			status = end_owned(kv, &first);
	}
	return status;
}

static enum kv_status refer_guest(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  uint64_t basket_id, bool open)
{
	static const uint8_t nobody[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status;

	if (slice_eq(slice_bytes(key, sizeof nobody), slice_bytes(nobody, sizeof nobody)))
		return KV_OK;
	status = get_session(kv, key, &s);
	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (open == (s.basket_id == basket_id))
		return KV_OK;
	return session_set_basket(kv, key, open ? basket_id : 0);
}

static enum kv_status refer_customer(struct kv *kv, uint64_t customer_id, uint64_t basket_id,
                                     bool open)
{
	struct customer_record who;
	enum kv_status status = customer_get(kv, customer_id, &who);

	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (open == (who.basket_id == basket_id))
		return KV_OK;
	return session_set_customer_basket(kv, customer_id, open ? basket_id : 0);
}

enum kv_status session_refer_basket(struct kv *kv, const struct basket *b, bool open)
{
	if (b->customer_id != 0)
		return refer_customer(kv, b->customer_id, b->id, open);
	return refer_guest(kv, b->guest, b->id, open);
}

/* A basket whose expiry is due. */
static enum kv_status sweep_basket(struct kv *kv, struct slice key, uint64_t due_s,
                                   uint64_t now_s)
{
	struct basket_swept swept;
	enum kv_status status = basket_sweep_one(kv, key, due_s, now_s, &swept);

	if (status != KV_OK || !swept.gone)
		return status;
	if (swept.customer_id != 0)
		return refer_customer(kv, swept.customer_id, swept.id, false);
	return refer_guest(kv, swept.guest, swept.id, false);
}

/* The basket of a guest whose session has expired lives on where a cookie leads to it. */
static enum kv_status release_basket(struct kv *kv, const struct config *config,
                                     const uint8_t key[RECORD_SESSION_KEY_LEN],
                                     const struct session_record *s, uint64_t now_s)
{
	struct basket b;
	enum kv_status status;

	if (s->customer_id != 0 || s->basket_id == 0)
		return KV_OK;
	status = basket_get(kv, s->basket_id, now_s, &b);
	if (status != KV_OK || !b.carried)
		return status == KV_NOT_FOUND ? KV_OK : status;
	memset(b.guest, 0, sizeof b.guest);
	status = basket_put(kv, config, &b, false, now_s * 1000000);
	return status == KV_OK ? session_set_basket(kv, key, 0) : status;
}

/* One entry that is due: its session has expired, lives on, or is gone. */
static enum kv_status sweep_session(struct kv *kv, const struct config *config,
                                    const uint8_t key[RECORD_SESSION_KEY_LEN],
                                    uint64_t due_s, uint64_t now_s)
{
	struct session_record s;
	struct record_key k;
	char text[LOG_KEY_LEN];
	enum kv_status status = get_session(kv, key, &s);

	if (status == KV_IO)
		log_event(LOG_ERROR, "session_unreadable", "session=%s due=%llu",
		          log_key(text, key), (unsigned long long)due_s);
	if (status != KV_OK || s.due_s != due_s)
		return del_if_there(kv, sweep_key(&k, key, due_s));
	if (s.expires_s > now_s)
		return file_anew(kv, key, &s);
	status = release_basket(kv, config, key, &s, now_s);
	return status == KV_OK ? session_end(kv, key) : status;
}

/* What is due goes by the kind of its record. */
static enum kv_status sweep_one(struct kv *kv, const struct config *config, struct slice of,
                                uint64_t due_s, uint64_t now_s)
{
	struct record_key k;

	switch (of.ptr[0]) {
	case RECORD_SESSION:
		if (of.len != 1 + RECORD_SESSION_KEY_LEN)
			return KV_IO;
		return sweep_session(kv, config, (const uint8_t *)of.ptr + 1, due_s, now_s);
	case RECORD_BASKET:
		return sweep_basket(kv, of, due_s, now_s);
	case RECORD_REPLAY:
		del_if_there(kv, of);
		return kv_del(kv, record_sweep_key(&k, due_s, of));
	default:
		return KV_IO;
	}
}

enum kv_status session_sweep(struct kv *kv, const struct config *config, uint64_t now_s,
                             uint32_t limit, uint32_t *seen)
{
	static const char kind = RECORD_SWEEP;
	enum kv_status status = KV_OK;

	for (*seen = 0; *seen < limit && status == KV_OK; ++*seen) {
		char bytes[RECORD_KEY_MAX];
		struct buf copy = BUF(bytes);
		struct slice first = { 0 }, found, value, of;
		uint64_t due_s;

		status = kv_scan(kv, (struct slice){ &kind, 1 }, first, &found, &value);
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status != KV_OK)
			return status;
		if (!record_sweep_key_read(found, &due_s, &of))
			return KV_IO;
		if (due_s > now_s)
			return KV_OK;
		buf_put(&copy, of);     /* the first delete would take it from under us */
		status = sweep_one(kv, config, buf_slice(&copy), due_s, now_s);
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

enum kv_status session_next_of(struct kv *kv, uint64_t customer_id, struct record_key *after,
                               uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s)
{
	struct record_key prefix, place;
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
	status = kv_get(kv, record_session_key(&place, key), &value);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	return status == KV_OK && record_session_read(value, s) ? KV_OK : KV_IO;
}
