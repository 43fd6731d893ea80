/* token.c -- see token.h. */
#include <assert.h>
#include <bearssl.h>

#include "secret.h"
#include "sha.h"
#include "token.h"

#define SECRET_LABEL "sidecart token key"
#define SEED_KID_LEN 16         /* random bytes that name an HS256 key */

static_assert(RECORD_SCALAR_LEN == JWT_SCALAR_LEN + SEAL_MORE, "a sealed scalar");
static_assert(RECORD_POINT_LEN == JWT_POINT_LEN && RECORD_KID_MAX == JWT_KID_MAX, "as jwt.h");
static_assert(TOKEN_RANDOM_LEN >= RECORD_SEED_LEN + SEED_KID_LEN &&
              TOKEN_RANDOM_LEN >= JWT_SCALAR_LEN + SEAL_NONCE_LEN, "each byte is used once");

static const enum jwt_alg jwt_algs[TOKEN_ALGS] = {
	[TOKEN_HS256] = JWT_HS256, [TOKEN_ES256] = JWT_ES256,
};

const char *token_alg_text(uint8_t alg)
{
	return jwt_alg_text(alg < TOKEN_ALGS ? jwt_algs[alg] : JWT_ALGS);
}

bool token_alg_parse(struct slice text, enum token_alg *alg)
{
	for (unsigned i = 0; i < TOKEN_ALGS; i++)
		if (slice_eq(text, slice_of(token_alg_text((uint8_t)i)))) {
			*alg = (enum token_alg)i;
			return true;
		}
	return false;
}

/* What is bound to a sealed scalar: the key of its record. */
static struct slice bound(struct record_key *k, struct slice kid)
{
	return record_token_key_key(k, kid);
}

/* A command line takes what begins with a hyphen for an option. */
static bool is_good_name(struct slice kid)
{
	return kid.ptr[0] != '-';
}

static bool generate_es256(struct buf *record, const uint8_t *seal_key, const uint8_t *random)
{
	struct jwt_key key = { .alg = JWT_ES256, .len = JWT_POINT_LEN };
	char bytes[RECORD_SCALAR_LEN];
	struct buf sealed = BUF(bytes);
	struct token_key_record r = { .alg = TOKEN_ES256 };
	struct record_key k;

	if (!jwt_public_point(random, key.bytes))
		return false;
	jwt_key_name(&key);
	r.kid = (struct slice){ key.kid, key.kid_len };
	r.public = slice_bytes(key.bytes, key.len);
	seal_close(&sealed, seal_key, random + JWT_SCALAR_LEN, bound(&k, r.kid),
	           slice_bytes(random, JWT_SCALAR_LEN));
	r.secret = buf_slice(&sealed);
	return is_good_name(r.kid) && record_token_key_write(record, &r);
}

bool token_generate(struct buf *record, enum token_alg alg, const uint8_t seal_key[SEAL_KEY_LEN],
                    const uint8_t random[TOKEN_RANDOM_LEN])
{
	char text[JWT_KID_MAX];
	struct buf kid = BUF(text);
	struct token_key_record r = { .alg = TOKEN_HS256 };

	if (alg == TOKEN_ES256)
		return generate_es256(record, seal_key, random);
	buf_base64url(&kid, random + RECORD_SEED_LEN, SEED_KID_LEN, (SEED_KID_LEN * 8 + 5) / 6);
	r.kid = buf_slice(&kid);
	r.secret = slice_bytes(random, RECORD_SEED_LEN);
	return is_good_name(r.kid) && record_token_key_write(record, &r);
}

bool token_unseal(const struct token_key_record *r, const uint8_t seal_key[SEAL_KEY_LEN],
                  uint8_t scalar[JWT_SCALAR_LEN])
{
	struct buf out = { (char *)scalar, 0, JWT_SCALAR_LEN, false };
	struct record_key k;

	return seal_open(&out, seal_key, bound(&k, r->kid), r->secret) &&
	       out.len == JWT_SCALAR_LEN;
}

void token_secret(struct slice sid_secret, const struct token_key_record *r,
                  uint8_t secret[JWT_SECRET_LEN])
{
	br_hmac_key_context key;
	br_hmac_context hmac;

	static_assert(JWT_SECRET_LEN == br_sha256_SIZE, "one HMAC makes it");
	br_hmac_key_init(&key, sha256_class(), sid_secret.ptr, sid_secret.len);
	br_hmac_init(&hmac, &key, 0);
	br_hmac_update(&hmac, SECRET_LABEL, strlen(SECRET_LABEL));
	br_hmac_update(&hmac, r->secret.ptr, r->secret.len);
	br_hmac_out(&hmac, secret);
	explicit_bzero(&key, sizeof key);
	explicit_bzero(&hmac, sizeof hmac);
}

void token_public(const struct token_key_record *r, struct jwt_key *key)
{
	assert(r->alg == TOKEN_ES256);
	key->alg = JWT_ES256;
	key->len = r->public.len;
	memcpy(key->bytes, r->public.ptr, r->public.len);
	key->kid_len = r->kid.len;
	memcpy(key->kid, r->kid.ptr, r->kid.len);
}

static enum kv_status put_key(struct kv *kv, const struct token_key_record *r)
{
	char bytes[TOKEN_RECORD_MAX];
	struct buf value = BUF(bytes);
	struct record_key k;

	if (!record_token_key_write(&value, r))
		return KV_IO;
	return kv_put(kv, record_token_key_key(&k, r->kid), buf_slice(&value));
}

enum kv_status token_find(struct kv *kv, struct slice kid, uint64_t now_s,
                          struct token_key_record *r)
{
	struct record_key k;
	struct slice value;
	enum kv_status status = kv_get(kv, record_token_key_key(&k, kid), &value);

	if (status != KV_OK)
		return status;
	if (!record_token_key_read(value, r))
		return KV_IO;
	return now_s < r->until_s ? KV_OK : KV_NOT_FOUND;
}

enum kv_status token_next(struct kv *kv, struct record_key *after, struct token_key_record *r)
{
	static const char kind = RECORD_TOKEN_KEY;
	struct slice key, value;
	enum kv_status status;

	do {
		status = kv_scan(kv, (struct slice){ &kind, 1 },
		                 slice_bytes(after->bytes, after->len), &key, &value);
		if (status != KV_OK)
			return status;
		memcpy(after->bytes, key.ptr, key.len);
		after->len = key.len;
	} while (!record_token_key_read(value, r));
	return KV_OK;
}

/* The one that began to sign last; of two that began at once, the one without a successor.
 * Where none has begun, since one was ended by hand: the one that is the first to. */
static bool is_better(const struct token_key_record *a, const struct token_key_record *b,
                      uint64_t now_s)
{
	bool a_signs = a->signs_s <= now_s, b_signs = b->signs_s <= now_s;

	if (a_signs != b_signs)
		return a_signs;
	if (a->signs_s != b->signs_s)
		return a_signs == (a->signs_s > b->signs_s);
	return a->until_s > b->until_s;
}

enum kv_status token_signer(struct kv *kv, enum token_alg alg, uint64_t now_s,
                            struct token_key_record *r)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	enum kv_status status;
	bool found = false;

	while ((status = token_next(kv, &after, &one)) == KV_OK) {
		if (one.alg != alg || one.until_s <= now_s || (found && !is_better(&one, r, now_s)))
			continue;
		*r = one;
		found = true;
	}
	return status == KV_NOT_FOUND && found ? KV_OK : status;
}

/* The end of every key of the algorithm that had none, once `r` signs. */
static enum kv_status end_predecessors(struct kv *kv, const struct token_key_record *r)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	enum kv_status status;

	while ((status = token_next(kv, &after, &one)) == KV_OK) {
		if (one.alg != r->alg || one.until_s != RECORD_NEVER)
			continue;
		one.until_s = r->signs_s + one.life_s + TOKEN_LEEWAY_S;
		status = put_key(kv, &one);
		if (status != KV_OK)
			break;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* When a new key may sign: never before one that is there. */
static enum kv_status find_start(struct kv *kv, struct token_key_record *r, uint64_t now_s,
                                 uint32_t delay_s)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	enum kv_status status;

	r->signs_s = now_s;
	while ((status = token_next(kv, &after, &one)) == KV_OK) {
		if (one.alg != r->alg || one.until_s <= now_s)
			continue;
		if (r->signs_s < now_s + delay_s)
			r->signs_s = now_s + delay_s;
		if (r->signs_s < one.signs_s)
			r->signs_s = one.signs_s;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status token_add(struct kv *kv, struct token_key_record *r, uint64_t now_s,
                         uint32_t delay_s)
{
	enum kv_status status = find_start(kv, r, now_s, delay_s);

	r->created_s = now_s;
	r->until_s = RECORD_NEVER;
	r->life_s = 0;
	if (status == KV_OK)
		status = end_predecessors(kv, r);
	return status == KV_OK ? put_key(kv, r) : status;
}

enum kv_status token_used(struct kv *kv, const struct token_key_record *r, uint64_t now_s,
                          uint32_t life_s)
{
	uint64_t dead_s = now_s + life_s + TOKEN_LEEWAY_S;
	struct token_key_record changed = *r;

	if (changed.life_s < life_s)
		changed.life_s = life_s;
	if (changed.until_s < dead_s)   /* of one that signs beside its successor */
		changed.until_s = dead_s;
	if (changed.life_s == r->life_s && changed.until_s == r->until_s)
		return KV_OK;
	return put_key(kv, &changed);
}

enum kv_status token_end(struct kv *kv, struct slice kid)
{
	struct record_key k;

	return kv_del(kv, record_token_key_key(&k, kid));
}

enum kv_status token_sweep(struct kv *kv, uint64_t now_s)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	enum kv_status status;

	while ((status = token_next(kv, &after, &one)) == KV_OK) {
		if (now_s < one.until_s)
			continue;
		status = kv_del(kv, slice_bytes(after.bytes, after.len));
		if (status != KV_OK)
			break;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* The only key of the token's algorithm; KV_NOT_FOUND where there is none, or another. */
static enum kv_status find_only(struct kv *kv, const struct jwt *t, uint64_t now_s,
                                struct token_key_record *r)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	enum kv_status status;
	size_t count = 0;

	while ((status = token_next(kv, &after, &one)) == KV_OK)
		if (jwt_algs[one.alg] == t->alg && now_s < one.until_s) {
			*r = one;
			count++;
		}
	return status == KV_NOT_FOUND && count == 1 ? KV_OK : status;
}

/* What of a key's secret is made anew only where the key or the Session-Id secret is another. */
struct kept_key {
	struct jwt_hmac_key hmac;
	struct secret_copy sid_secret, seed;
};

static void keep(struct kept_key *k, struct slice sid_secret, const struct token_key_record *r)
{
	uint8_t secret[JWT_SECRET_LEN];

	token_secret(sid_secret, r, secret);
	jwt_hmac_prepare(&k->hmac, slice_bytes(secret, sizeof secret));
	explicit_bzero(secret, sizeof secret);
	secret_keep(&k->sid_secret, sid_secret);
	secret_keep(&k->seed, r->secret);
}

/* Takes as long for a key that is not there, which stands for any. */
static bool check_hs256(struct slice sid_secret, const struct token_key_record *r, bool found,
                        const struct jwt *t)
{
	static struct kept_key kept;
	bool same = secret_same(&kept.sid_secret, sid_secret) &&
	            secret_same(&kept.seed, r->secret);

	if (!same && (found || kept.sid_secret.len == 0))
		keep(&kept, sid_secret, r);
	return jwt_check_hmac(&kept.hmac, t) && found;
}

enum kv_status token_check(struct kv *kv, struct slice sid_secret, const struct jwt *t,
                           uint64_t now_s, enum jwt_status *verdict, struct jwt_key *key)
{
	static const char nothing[RECORD_SEED_LEN];
	struct token_key_record r = { .secret = { nothing, sizeof nothing } };
	enum kv_status status = t->kid_len == 0 ? find_only(kv, t, now_s, &r) :
	                        token_find(kv, (struct slice){ t->kid, t->kid_len }, now_s, &r);
	bool found = status == KV_OK, good;

	if (!found && status != KV_NOT_FOUND)
		return status;
	if (found && jwt_algs[r.alg] != t->alg) {
		*verdict = JWT_BAD_ALG;
	} else if (t->alg == JWT_HS256) {
		good = check_hs256(sid_secret, &r, found, t);
		*verdict = !found ? JWT_NO_KEY : good ? JWT_GOOD : JWT_BAD_SIGNATURE;
	} else if (found) {
		token_public(&r, key);
		*verdict = JWT_UNPROVEN;
	} else {
		*verdict = JWT_NO_KEY;
	}
	return KV_OK;
}

enum kv_status token_put_jwks(struct kv *kv, uint64_t now_s, struct buf *out, size_t *count)
{
	struct record_key after = { .len = 0 };
	struct token_key_record one;
	struct jwt_key key;
	enum kv_status status;

	*count = 0;
	buf_lit(out, "{\"keys\":[");
	while ((status = token_next(kv, &after, &one)) == KV_OK) {
		if (one.alg != TOKEN_ES256 || now_s >= one.until_s)
			continue;
		if (++*count > 1)
			buf_char(out, ',');
		token_public(&one, &key);
		jwt_key_write(out, &key);
	}
	buf_lit(out, "]}");
	return status == KV_NOT_FOUND ? KV_OK : status;
}
