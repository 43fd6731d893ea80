/* client.c -- see client.h. */
#include <assert.h>
#include <bearssl.h>

#include "client.h"
#include "config.h"

#define KEY_PREFIX    "sck_"
#define RANDOM_LEN    20
#define RANDOM_CHARS  27        /* of base64url, for 20 bytes */
#define CHECKSUM_CHARS 6
#define USE_STEP_S    3600

const char *const client_scope_names[] = { "shop", "trusted", "login", "resolve", "admin", NULL };

static const char *const error_text[] = {
	[CLIENT_ADDED]        = "ok",
	[CLIENT_NAME_BAD]     = "a key's name is 1 to 64 visible ASCII characters, and not -",
	[CLIENT_OWNER_BAD]    = "an owner is at most 254 bytes on one line",
	[CLIENT_KEY_BAD]      = "a key is 1 to 512 characters of ASCII, no blank at an end",
	[CLIENT_NAME_TAKEN]   = "a key of this name is there already",
	[CLIENT_KEY_TAKEN]    = "this key is there already, perhaps under another name or revoked",
	[CLIENT_REVOKED_ONCE] = "this key was revoked, which is final; add a new one",
	[CLIENT_STORE]        = "the store failed",
};
static_assert(COUNT_OF(error_text) == CLIENT_STORE + 1, "one text per client_error");
static_assert(RECORD_NAME_MAX == 64 && RECORD_TEXT_MAX == 254 && CLIENT_KEY_MAX == 512,
              "as the texts say");

const char *client_error_text(enum client_error e)
{
	return (unsigned)e < COUNT_OF(error_text) ? error_text[e] : "unknown";
}

bool client_scopes_parse(struct slice text, uint32_t *scopes, struct slice *bad)
{
	*scopes = 0;
	do {
		uint32_t bit = 0;

		*bad = slice_trim(slice_cut(&text, ','));
		for (int i = 0; client_scope_names[i] != NULL; i++)
			if (slice_eq(*bad, slice_of(client_scope_names[i])))
				bit = 1u << i;
		if (bit == 0)
			return false;
		*scopes |= bit;
	} while (slice_given(text));
	return true;
}

void client_scopes_write(struct buf *out, uint32_t scopes)
{
	size_t start = out->len;

	for (int i = 0; client_scope_names[i] != NULL; i++) {
		if ((scopes & 1u << i) == 0)
			continue;
		if (out->len > start)
			buf_char(out, ',');
		buf_str(out, client_scope_names[i]);
	}
	if (out->len == start)
		buf_char(out, '-');
}

void client_digest(struct slice key_text, uint8_t digest[RECORD_DIGEST_LEN])
{
	br_sha256_context sha;

	br_sha256_init(&sha);
	br_sha256_update(&sha, key_text.ptr, key_text.len);
	br_sha256_out(&sha, digest);
}

void client_generate(struct buf *out, const uint8_t random[RANDOM_LEN])
{
	uint8_t digest[RECORD_DIGEST_LEN];
	size_t start = out->len;

	buf_lit(out, KEY_PREFIX);
	buf_base64url(out, random, RANDOM_LEN, RANDOM_CHARS);
	if (out->full)
		return;
	client_digest((struct slice){ out->ptr + start, out->len - start }, digest);
	buf_base64url(out, digest, sizeof digest, CHECKSUM_CHARS);
}

enum kv_status client_find(struct kv *kv, const uint8_t digest[RECORD_DIGEST_LEN],
                           struct client_record *r)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_client_key(&key, digest), &value);

	if (status != KV_OK)
		return status;
	return record_client_read(value, r) ? KV_OK : KV_IO;
}

enum kv_status client_find_name(struct kv *kv, struct slice name,
                                uint8_t digest[RECORD_DIGEST_LEN], struct client_record *r)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_client_name_key(&key, name), &value);

	if (status != KV_OK)
		return status;
	if (value.len != RECORD_DIGEST_LEN)
		return KV_IO;
	memcpy(digest, value.ptr, RECORD_DIGEST_LEN);
	return client_find(kv, digest, r);
}

bool client_usable(const struct client_record *r, const struct address *from, uint64_t now_s)
{
	if (r->flags != 0 || (r->expires_s != 0 && now_s >= r->expires_s))
		return false;
	for (uint32_t i = 0; i < r->source_count; i++)
		if (network_has(&r->sources[i], from))
			return true;
	return r->source_count == 0;
}

bool client_allows_origin(const struct client_record *r, struct slice origin)
{
	struct slice list = r->origins;

	while (list.len > 0)
		if (slice_eq_nocase(slice_cut(&list, ','), origin))
			return true;
	return false;
}

const char *client_state_text(const struct client_record *r, uint64_t now_s)
{
	if ((r->flags & CLIENT_REVOKED) != 0)
		return "revoked";
	if ((r->flags & CLIENT_DISABLED) != 0)
		return "disabled";
	return r->expires_s != 0 && now_s >= r->expires_s ? "expired" : "active";
}

bool client_sources_parse(struct slice list, struct client_record *r, struct slice *bad)
{
	while (slice_given(list)) {
		*bad = slice_trim(slice_cut(&list, ','));
		if (r->source_count == RECORD_SOURCES_MAX) {
			*bad = (struct slice){ 0 };
			return false;
		}
		if (!network_parse(*bad, &r->sources[r->source_count++]))
			return false;
	}
	return true;
}

void client_sources_write(struct buf *out, const struct client_record *r)
{
	for (uint32_t i = 0; i < r->source_count; i++) {
		const struct network *n = &r->sources[i];
		bool four = address_is_ipv4(&n->base) && n->prefix >= 96;

		if (i > 0)
			buf_char(out, ',');
		address_write(out, &n->base);
		if (n->prefix == 128)
			continue;
		buf_char(out, '/');
		buf_uint(out, four ? n->prefix - 96u : n->prefix);
	}
}

bool client_origins_parse(struct slice list, struct buf *out, struct slice *bad)
{
	char origin[CONFIG_ORIGIN_MAX];

	while (slice_given(list)) {
		*bad = slice_trim(slice_cut(&list, ','));
		if (!config_origin(*bad, origin))
			return false;
		if (out->len > 0)
			buf_char(out, ',');
		buf_str(out, origin);
	}
	return true;
}

/* Between `low` and `high`, each of the bytes. */
static bool made_of(struct slice s, unsigned char low, unsigned char high)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < low || (unsigned char)s.ptr[i] > high)
			return false;
	return true;
}

/* `-` is what /resolve says where there is no key (requirement F03). */
enum client_error client_judge(struct slice key_text, const struct client_record *r)
{
	if (r->name.len == 0 || r->name.len > RECORD_NAME_MAX || !made_of(r->name, '!', '~') ||
	    slice_eq(r->name, SLICE("-")))
		return CLIENT_NAME_BAD;
	if (r->owner.len > RECORD_TEXT_MAX || !made_of(r->owner, ' ', 0xff))
		return CLIENT_OWNER_BAD;
	if (key_text.len == 0 || key_text.len > CLIENT_KEY_MAX || !made_of(key_text, ' ', '~') ||
	    slice_trim(key_text).len != key_text.len)
		return CLIENT_KEY_BAD;
	return CLIENT_ADDED;
}

enum kv_status client_put(struct kv *kv, const uint8_t digest[RECORD_DIGEST_LEN],
                          const struct client_record *r)
{
	char bytes[RECORD_VALUE_MAX];
	struct buf value = BUF(bytes);
	struct record_key key;

	if (!record_client_write(&value, r))
		return KV_IO;
	return kv_put(kv, record_client_key(&key, digest), buf_slice(&value));
}

enum client_error client_add(struct kv *kv, struct slice key_text,
                             const struct client_record *r, enum kv_status *status)
{
	uint8_t digest[RECORD_DIGEST_LEN], other[RECORD_DIGEST_LEN];
	struct client_record found;
	struct record_key key;

	client_digest(key_text, digest);
	*status = client_find(kv, digest, &found);
	if (*status == KV_OK)
		return CLIENT_KEY_TAKEN;
	if (*status != KV_NOT_FOUND)
		return CLIENT_STORE;
	*status = client_find_name(kv, r->name, other, &found);
	if (*status == KV_OK && (found.flags & CLIENT_REVOKED) == 0)
		return CLIENT_NAME_TAKEN;
	if (*status != KV_OK && *status != KV_NOT_FOUND)
		return CLIENT_STORE;
	*status = client_put(kv, digest, r);
	if (*status == KV_OK)
		*status = kv_put(kv, record_client_name_key(&key, r->name),
		                 slice_bytes(digest, sizeof digest));
	return *status == KV_OK ? CLIENT_ADDED : CLIENT_STORE;
}

enum client_error client_change(struct kv *kv, struct slice name, uint32_t set, uint32_t clear,
                                enum kv_status *status)
{
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record r;

	*status = client_find_name(kv, name, digest, &r);
	if (*status != KV_OK)
		return CLIENT_STORE;
	if ((r.flags & CLIENT_REVOKED) != 0)
		return set == CLIENT_REVOKED ? CLIENT_ADDED : CLIENT_REVOKED_ONCE;
	r.flags = (r.flags | set) & ~clear;
	*status = client_put(kv, digest, &r);
	return *status == KV_OK ? CLIENT_ADDED : CLIENT_STORE;
}

enum kv_status client_next(struct kv *kv, struct record_key *after,
                           uint8_t digest[RECORD_DIGEST_LEN], struct client_record *r)
{
	static const char kind = RECORD_CLIENT;
	struct slice key, value;
	enum kv_status status = kv_scan(kv, (struct slice){ &kind, 1 },
	                                slice_bytes(after->bytes, after->len), &key, &value);

	if (status != KV_OK)
		return status;
	if (key.len != 1 + RECORD_DIGEST_LEN || !record_client_read(value, r))
		return KV_IO;
	memcpy(digest, key.ptr + 1, RECORD_DIGEST_LEN);
	record_client_key(after, digest);
	return KV_OK;
}

enum kv_status client_next_named(struct kv *kv, struct record_key *after,
                                 struct client_record *r)
{
	static const char kind = RECORD_CLIENT_NAME;
	uint8_t digest[RECORD_DIGEST_LEN];
	struct slice key, value;
	enum kv_status status = kv_scan(kv, (struct slice){ &kind, 1 },
	                                slice_bytes(after->bytes, after->len), &key, &value);

	if (status != KV_OK)
		return status;
	record_client_name_key(after, slice_skip(key, 1));
	status = client_find_name(kv, slice_bytes(after->bytes + 1, after->len - 1), digest, r);
	return status == KV_NOT_FOUND ? KV_IO : status;
}

uint64_t client_use_mark(uint64_t now_s)
{
	return now_s / USE_STEP_S * USE_STEP_S;
}

bool client_use_due(const struct client_record *r, uint64_t now_s)
{
	return client_use_mark(now_s) > r->used_s;
}
