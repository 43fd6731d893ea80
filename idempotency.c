/* idempotency.c -- see idempotency.h. */
#include <bearssl.h>

#include "idempotency.h"

#define RECORD_MAX (1 << 20)    /* bytes of a kept answer; a longer one makes the request fail */

/* Each part with its length in front, so that no two lists give the same bytes. */
static void digest_part(br_sha256_context *sha, struct slice part)
{
	uint8_t len[8];

	for (size_t i = 0; i < sizeof len; i++)
		len[i] = (uint8_t)((uint64_t)part.len >> 8 * i);
	br_sha256_update(sha, len, sizeof len);
	br_sha256_update(sha, part.ptr, part.len);
}

/* Who asks: nobody may get the answer to somebody else's request. */
static void digest_caller(br_sha256_context *sha, const struct call *c)
{
	const struct identity *id = &c->identity;
	uint64_t basket_id;
	struct slice key = { 0 }, who;

	if (id->client != NULL)
		key = slice_bytes(id->client_digest, sizeof id->client_digest);
	if (id->kind != IDENTITY_NONE)
		who = slice_bytes(id->session_key, sizeof id->session_key);
	else if (call_basket_cookie(c, &basket_id) && basket_id != 0)
		who = slice_bytes(&basket_id, sizeof basket_id);
	else
		who = slice_bytes(id->address.bytes, sizeof id->address.bytes);
	digest_part(sha, key);
	digest_part(sha, who);
}

static bool is_key(struct slice key)
{
	if (key.len == 0 || key.len > IDEMPOTENCY_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
			return false;
	return true;
}

static void digest_request(const struct call *c, struct idempotency *i)
{
	const struct http_request *r = c->request;
	br_sha256_context sha;

	br_sha256_init(&sha);
	digest_caller(&sha, c);
	digest_part(&sha, r->field[HTTP_IDEMPOTENCY_KEY]);
	br_sha256_out(&sha, i->place);
	br_sha256_init(&sha);
	digest_part(&sha, r->method_name);
	digest_part(&sha, r->path);
	digest_part(&sha, r->query);
	digest_part(&sha, r->body);
	br_sha256_out(&sha, i->digest);
}

static void answer_again(struct call *c, const struct replay_record *kept)
{
	c->response->status = (enum http_status)kept->status;
	buf_put(&c->response->fields, kept->fields);
	if (c->identity.has_sid)
		call_put_session_id(c, c->identity.sid.type);
	http_field_lit(c->response, "Idempotent-Replayed: true");
	buf_put(&c->response->body, kept->body);
	c->basket_cookie = kept->basket_cookie;
}

enum idempotency_verdict idempotency_judge(struct call *c, struct idempotency *i)
{
	struct slice key = c->request->field[HTTP_IDEMPOTENCY_KEY], value;
	struct replay_record kept;
	struct record_key place;

	if (!slice_given(key))
		return IDEMPOTENCY_NONE;
	if (!is_key(key))
		return IDEMPOTENCY_BAD;
	digest_request(c, i);
	c->store_status = kv_get(c->kv, record_replay_key(&place, i->place), &value);
	if (c->store_status == KV_NOT_FOUND)
		return IDEMPOTENCY_FIRST;
	if (c->store_status == KV_OK && !record_replay_read(value, &kept))
		c->store_status = KV_IO;
	if (c->store_status != KV_OK)
		return IDEMPOTENCY_STORE;
	if (call_now_s(c) >= kept.due_s)
		return IDEMPOTENCY_FIRST;
	if (!slice_eq(slice_bytes(kept.digest, sizeof kept.digest),
	              slice_bytes(i->digest, sizeof i->digest)))
		return IDEMPOTENCY_OTHER;
	answer_again(c, &kept);
	return IDEMPOTENCY_AGAIN;
}

/* What stood there has expired, and the sweep has not come by: its entry goes. */
static enum kv_status drop_old(struct kv *kv, struct slice key)
{
	struct replay_record old;
	struct record_key sweep;
	struct slice value;
	enum kv_status status = kv_get(kv, key, &value);

	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (!record_replay_read(value, &old))
		return KV_IO;
	status = kv_del(kv, record_sweep_key(&sweep, old.due_s, key));
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* A new session's cookie or token: neither may stand in the store (requirement S02). */
static bool holds_secret(struct slice fields)
{
	return memmem(fields.ptr, fields.len, "Set-Cookie: ", 12) != NULL ||
	       memmem(fields.ptr, fields.len, "Authorization: ", 15) != NULL;
}

/* All fields but the caller's own Session-Id, which opens his session: who asks again is told it
 * anew. */
static void put_kept_fields(struct buf *out, struct slice fields)
{
	while (fields.len > 0) {
		const char *end = memmem(fields.ptr, fields.len, "\r\n", 2);
		size_t len = end == NULL ? fields.len : (size_t)(end - fields.ptr) + 2;

		if (!slice_starts(fields, SLICE("Session-Id: ")))
			buf_put(out, (struct slice){ fields.ptr, len });
		fields = slice_skip(fields, len);
	}
}

enum kv_status idempotency_keep(struct call *c, const struct idempotency *i)
{
	char bytes[RECORD_MAX], field_bytes[CALL_FIELDS_MAX];
	struct buf value = BUF(bytes), fields = BUF(field_bytes);
	struct record_key place, sweep;
	struct slice key = record_replay_key(&place, i->place);
	struct replay_record r = {
		.due_s = call_now_s(c) + IDEMPOTENCY_LIFE_S, .basket_cookie = c->basket_cookie,
		.status = (uint16_t)c->response->status, .body = buf_slice(&c->response->body),
	};
	enum kv_status status;

	if (r.status < 200 || r.status > 299 || http_response_full(c->response) ||
	    holds_secret(buf_slice(&c->response->fields)))
		return KV_OK;
	put_kept_fields(&fields, buf_slice(&c->response->fields));
	if (fields.full)
		return KV_FULL;
	r.fields = buf_slice(&fields);
	memcpy(r.digest, i->digest, sizeof r.digest);
	if (!record_replay_write(&value, &r))
		return KV_FULL;
	status = drop_old(c->kv, key);
	if (status == KV_OK)
		status = kv_put(c->kv, record_sweep_key(&sweep, r.due_s, key), SLICE(""));
	return status == KV_OK ? kv_put(c->kv, key, buf_slice(&value)) : status;
}
