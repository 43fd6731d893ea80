/* test_token.c -- the key ring over time, and tokens signed and checked with it by handlers.
 *
 * Requirements J01, J04, J12, J13, J14. With `looks.on` (looks.h)
 * what a handler calls is proven to be re-runnable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answers.h"
#include "looks.h"
#include "store.h"

#define NOW   1800000000u
#define DELAY 300u              /* jwks_max_age */
#define LIFE  1800u             /* token_ttl */

static const struct slice sid_secret = { "test-secret", 11 };

/* A new key's record; its strings lie in memory of the test's. */
static struct token_key_record generate(enum token_alg alg)
{
	static char bytes[8][TOKEN_RECORD_MAX];
	static size_t next;
	struct buf out = BUF(bytes[next]);
	struct token_key_record r;

	next = (next + 1) % COUNT_OF(bytes);
	answers_make_key(alg, &out);
	assert_true(record_token_key_read(buf_slice(&out), &r));
	assert_int_equal(r.alg, alg);
	return r;
}

/* Adds one; its kid, copied. */
static struct slice add(enum token_alg alg, uint64_t now_s)
{
	static char kids[64][JWT_KID_MAX];
	static size_t next;
	struct token_key_record r = generate(alg);
	char *kid = kids[next++ % COUNT_OF(kids)];

	assert_int_equal(token_add(store, &r, now_s, alg == TOKEN_ES256 ? DELAY : 0), KV_OK);
	memcpy(kid, r.kid.ptr, r.kid.len);
	return (struct slice){ kid, r.kid.len };
}

static bool verifies(struct slice kid, uint64_t now_s)
{
	struct token_key_record r;
	enum kv_status status = token_find(store, kid, now_s, &r);

	assert_true(status == KV_OK || status == KV_NOT_FOUND);
	return status == KV_OK;
}

static bool signs(struct slice kid, enum token_alg alg, uint64_t now_s)
{
	struct token_key_record r;

	return token_signer(store, alg, now_s, &r) == KV_OK && slice_eq(r.kid, kid);
}

/* As a handler does that signs a token. */
static void use(enum token_alg alg, uint64_t now_s, uint32_t life_s)
{
	struct token_key_record r;

	assert_int_equal(token_signer(store, alg, now_s, &r), KV_OK);
	assert_int_equal(token_used(store, &r, now_s, life_s), KV_OK);
}

static void test_generate(void **state)
{
	struct token_key_record a = generate(TOKEN_HS256), b = generate(TOKEN_HS256);
	struct token_key_record e = generate(TOKEN_ES256), f = generate(TOKEN_ES256);
	uint8_t secrets[3][JWT_SECRET_LEN], random[TOKEN_RANDOM_LEN];
	char bytes[TOKEN_RECORD_MAX];
	struct buf out = BUF(bytes);
	struct jwt_key key;

	(void)state;
	assert_int_equal(a.kid.len, 22);
	assert_false(slice_eq(a.kid, b.kid));
	assert_false(slice_eq(a.secret, b.secret));
	token_secret(sid_secret, &a, secrets[0]);
	token_secret(sid_secret, &b, secrets[1]);
	token_secret(SLICE("test-secret2"), &a, secrets[2]);
	assert_memory_not_equal(secrets[0], secrets[1], JWT_SECRET_LEN);
	assert_memory_not_equal(secrets[0], secrets[2], JWT_SECRET_LEN);
	assert_memory_not_equal(secrets[0], a.secret.ptr, JWT_SECRET_LEN);

	token_public(&e, &key);
	jwt_key_name(&key);
	assert_int_equal(e.kid.len, JWT_THUMBPRINT_CHARS);
	assert_true(slice_eq(e.kid, (struct slice){ key.kid, key.kid_len }));
	assert_false(slice_eq(e.kid, f.kid));
	memset(random, 0xff, sizeof random);    /* no private key of P-256 */
	assert_false(token_generate(&out, TOKEN_ES256, seal_key, random));
	assert_true(token_generate(&out, TOKEN_HS256, seal_key, random));
	random[RECORD_SEED_LEN] = 62 << 2;      /* a kid that begins with a hyphen */
	assert_false(token_generate(&out, TOKEN_HS256, seal_key, random));
}

/* A private key opens under its own kid and seal.key alone, and is the one of its point. */
static void test_unseal(void **state)
{
	struct token_key_record e = generate(TOKEN_ES256), f = generate(TOKEN_ES256), g = e;
	uint8_t scalar[JWT_SCALAR_LEN], point[JWT_POINT_LEN], other[SEAL_KEY_LEN] = { 1, 2, 4 };

	(void)state;
	assert_true(token_unseal(&e, seal_key, scalar));
	assert_true(jwt_public_point(scalar, point));
	assert_memory_equal(point, e.public.ptr, sizeof point);
	assert_null(memmem(e.secret.ptr, e.secret.len, scalar, 8));
	assert_false(token_unseal(&e, other, scalar));
	g.secret = f.secret;
	assert_false(token_unseal(&g, seal_key, scalar));
	g = e;
	g.kid = SLICE("k");
	assert_false(token_unseal(&g, seal_key, scalar));
}

/* Requirement J14: published at once, signs DELAY later; its predecessor verifies until the
 * last token that it signed is dead, and is gone then. */
static void test_rotation(void **state)
{
	struct slice a = add(TOKEN_ES256, NOW), b;

	(void)state;
	assert_true(signs(a, TOKEN_ES256, NOW));        /* there was none: nobody knows another */
	use(TOKEN_ES256, NOW, LIFE);
	assert_true(verifies(a, NOW + 400 * 86400u));
	b = add(TOKEN_ES256, NOW + 1000);
	assert_true(verifies(b, NOW + 1000));
	assert_true(signs(a, TOKEN_ES256, NOW + 1000 + DELAY - 1));
	assert_true(signs(b, TOKEN_ES256, NOW + 1000 + DELAY));
	assert_true(verifies(a, NOW + 1000 + DELAY + LIFE + TOKEN_LEEWAY_S - 1));
	assert_false(verifies(a, NOW + 1000 + DELAY + LIFE + TOKEN_LEEWAY_S));
	assert_int_equal(store_entries(), 2);
	assert_int_equal(token_sweep(store, NOW + 1000 + DELAY + LIFE + TOKEN_LEEWAY_S - 1), KV_OK);
	assert_int_equal(store_entries(), 2);
	assert_int_equal(token_sweep(store, NOW + 1000 + DELAY + LIFE + TOKEN_LEEWAY_S), KV_OK);
	assert_int_equal(store_entries(), 1);
	assert_true(verifies(b, NOW + 400 * 86400u));
}

/* What has no audience but ourselves signs at once, however often it is rotated. */
static void test_rotation_hs256(void **state)
{
	struct slice kids[5];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kids); i++) {
		kids[i] = add(TOKEN_HS256, NOW);
		assert_true(signs(kids[i], TOKEN_HS256, NOW));
		use(TOKEN_HS256, NOW, LIFE);
	}
	for (size_t i = 0; i < COUNT_OF(kids); i++)
		assert_int_equal(verifies(kids[i], NOW + LIFE + TOKEN_LEEWAY_S), i == 4);
	assert_true(verifies(kids[0], NOW + LIFE + TOKEN_LEEWAY_S - 1));
}

/* The other algorithm's keys are none of its business. */
static void test_two_algorithms(void **state)
{
	struct slice e = add(TOKEN_ES256, NOW), h = add(TOKEN_HS256, NOW), h2;

	(void)state;
	use(TOKEN_HS256, NOW, LIFE);
	h2 = add(TOKEN_HS256, NOW + 1);
	assert_true(signs(e, TOKEN_ES256, NOW + 1) && signs(h2, TOKEN_HS256, NOW + 1));
	assert_true(verifies(e, NOW + 86400));
	assert_false(verifies(h, NOW + 86400));
}

/* A life that is longer than all before moves the end, before the rotation and after. */
static void test_longer_life(void **state)
{
	struct slice a = add(TOKEN_ES256, NOW), b;

	(void)state;
	use(TOKEN_ES256, NOW, 60);
	use(TOKEN_ES256, NOW, 3600);
	use(TOKEN_ES256, NOW, 10);
	b = add(TOKEN_ES256, NOW);
	assert_true(verifies(a, NOW + DELAY + 3600 + TOKEN_LEEWAY_S - 1));
	assert_false(verifies(a, NOW + DELAY + 3600 + TOKEN_LEEWAY_S));
	assert_true(signs(a, TOKEN_ES256, NOW + 299));
	use(TOKEN_ES256, NOW + 299, 7200);
	assert_true(verifies(a, NOW + 299 + 7200 + TOKEN_LEEWAY_S - 1));
	assert_false(verifies(a, NOW + 299 + 7200 + TOKEN_LEEWAY_S));
	assert_true(signs(b, TOKEN_ES256, NOW + 300));
}

/* Keys that wait for their time, one behind the other; a shorter delay overtakes nobody. */
static void test_waiting_keys(void **state)
{
	struct slice a = add(TOKEN_ES256, NOW), b = add(TOKEN_ES256, NOW + 10);
	struct token_key_record c = generate(TOKEN_ES256);
	struct slice kid = c.kid;

	(void)state;
	assert_int_equal(token_add(store, &c, NOW + 20, 5), KV_OK);
	assert_int_equal(c.signs_s, NOW + 10 + DELAY);
	assert_true(signs(a, TOKEN_ES256, NOW + 10 + DELAY - 1));
	assert_true(signs(kid, TOKEN_ES256, NOW + 10 + DELAY));
	assert_false(signs(b, TOKEN_ES256, NOW + 10 + DELAY));
}

static void test_end(void **state)
{
	struct slice a = add(TOKEN_ES256, NOW), b;
	struct token_key_record r;

	(void)state;
	use(TOKEN_ES256, NOW, LIFE);
	b = add(TOKEN_ES256, NOW + 1);
	assert_int_equal(token_end(store, a), KV_OK);
	assert_false(verifies(a, NOW + 1));
	assert_true(signs(b, TOKEN_ES256, NOW + 1));    /* before its time: there is no other */
	assert_int_equal(token_end(store, b), KV_OK);
	assert_int_equal(token_signer(store, TOKEN_ES256, NOW + 1, &r), KV_NOT_FOUND);
	assert_int_equal(token_end(store, b), KV_NOT_FOUND);
	assert_int_equal(token_end(store, SLICE("")), KV_NOT_FOUND);

	a = add(TOKEN_HS256, NOW);
	use(TOKEN_HS256, NOW, LIFE);
	b = add(TOKEN_HS256, NOW + 1);
	assert_int_equal(token_end(store, b), KV_OK);
	assert_true(signs(a, TOKEN_HS256, NOW + 2));    /* the predecessor goes on, */
	use(TOKEN_HS256, NOW + LIFE, LIFE);             /* and what it signs then counts */
	assert_true(verifies(a, NOW + LIFE + LIFE));
}

/* Over years of rotations: no token is ever of a key that is gone or was not published. */
static void test_years(void **state)
{
	static struct {
		char kid[JWT_KID_MAX];
		size_t kid_len;
		uint64_t exp_s;
	} tokens[64];
	uint64_t now_s = NOW, seed = 1, rotations = 0;

	(void)state;
	add(TOKEN_HS256, now_s);
	add(TOKEN_ES256, now_s);
	for (size_t step = 0; step < 6000; step++) {
		enum token_alg alg = step % 2 ? TOKEN_ES256 : TOKEN_HS256;
		struct token_key_record r;
		uint32_t life_s;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		now_s += seed >> 33 & 255;
		life_s = (uint32_t)(seed >> 41 & 1023) + 1;
		if ((seed >> 51 & 63) == 0) {
			add(alg, now_s);
			rotations++;
		}
		assert_int_equal(token_sweep(store, now_s), KV_OK);
		assert_int_equal(token_signer(store, alg, now_s, &r), KV_OK);
		assert_true(alg == TOKEN_HS256 || r.created_s == NOW ||
		            r.created_s + DELAY <= now_s);
		memcpy(tokens[step % 64].kid, r.kid.ptr, r.kid.len);
		tokens[step % 64].kid_len = r.kid.len;
		tokens[step % 64].exp_s = now_s + life_s;
		assert_int_equal(token_used(store, &r, now_s, life_s), KV_OK);
		for (size_t i = 0; i < 64 && i <= step; i++)
			if (now_s < tokens[i].exp_s + TOKEN_LEEWAY_S)
				assert_true(verifies((struct slice){ tokens[i].kid,
				                                     tokens[i].kid_len }, now_s));
	}
	assert_in_range(rotations, 50, 200);
	assert_in_range(store_entries(), 2, 12);
}

/* Requirement J13: public members alone, of ES256 alone, from birth to end. */
static void test_jwks(void **state)
{
	static const char *const secret_members[] = { "\"d\"", "\"p\"", "\"q\"", "\"k\"", "\"dp\"",
	                                              "\"oth\"", "oct", "HS256" };
	struct slice a, b;
	struct jwt_key keys[4];
	char text[4096];
	struct buf out = BUF(text);
	const char *why;
	size_t count;

	(void)state;
	assert_int_equal(token_put_jwks(store, NOW, &out, &count), KV_OK);
	assert_true(slice_eq(buf_slice(&out), SLICE("{\"keys\":[]}")));
	assert_int_equal(count, 0);
	add(TOKEN_HS256, NOW);
	a = add(TOKEN_ES256, NOW);
	use(TOKEN_ES256, NOW, LIFE);
	b = add(TOKEN_ES256, NOW + 1);
	out.len = 0;
	assert_int_equal(token_put_jwks(store, NOW + 1, &out, &count), KV_OK);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < COUNT_OF(secret_members); i++)
		assert_null(memmem(text, out.len, secret_members[i], strlen(secret_members[i])));
	assert_int_equal(jwt_keys_read(buf_slice(&out), keys, COUNT_OF(keys), &why), 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(slice_eq((struct slice){ keys[i].kid, keys[i].kid_len }, a) ||
		            slice_eq((struct slice){ keys[i].kid, keys[i].kid_len }, b));
	out.len = 0;
	assert_int_equal(token_put_jwks(store, NOW + 86400, &out, &count), KV_OK);
	assert_int_equal(count, 1);
	assert_non_null(memmem(text, out.len, b.ptr, b.len));
}

/* What cannot be read is passed over in the ring, and is a failure for who asks for it. */
static void test_unreadable(void **state)
{
	struct slice a = add(TOKEN_HS256, NOW);
	struct record_key after = { .len = 0 };
	struct token_key_record r;

	(void)state;
	assert_int_equal(kv_put(store, SLICE("T!"), SLICE("T\2newer")), KV_OK);
	assert_int_equal(kv_put(store, SLICE("Tzzz"), SLICE("")), KV_OK);
	assert_true(signs(a, TOKEN_HS256, NOW));
	assert_int_equal(token_next(store, &after, &r), KV_OK);
	assert_true(slice_eq(r.kid, a));
	assert_int_equal(token_next(store, &after, &r), KV_NOT_FOUND);
	assert_int_equal(token_find(store, SLICE("zzz"), NOW, &r), KV_IO);
	assert_int_equal(token_sweep(store, NOW), KV_OK);
	assert_int_equal(store_entries(), 3);
}

static void test_alg_texts(void **state)
{
	enum token_alg alg = TOKEN_ALGS;

	(void)state;
	assert_true(token_alg_parse(SLICE("ES256"), &alg));
	assert_int_equal(alg, TOKEN_ES256);
	assert_true(token_alg_parse(SLICE("HS256"), &alg));
	assert_int_equal(alg, TOKEN_HS256);
	assert_false(token_alg_parse(SLICE("RS256"), &alg));
	assert_false(token_alg_parse(SLICE("none"), &alg));
	assert_false(token_alg_parse(SLICE(""), &alg));
	assert_string_equal(token_alg_text(TOKEN_ALGS), "unknown");
}

/* A handler's world. */
static struct {
	struct call call;
	struct config config;
	uint64_t now_s;
	unsigned runs;
} world;

/* As the writer runs a handler: in a child of the batch, again and again. */
static enum call_result run(enum call_result (*handler)(struct call *c))
{
	struct call *c = &world.call;
	enum call_result result;

	*c = (struct call){ .config = &world.config, .sid_secret = sid_secret, .kv = store,
	                    .now_us = world.now_s * 1000000 };
	answers_begin(c);
	looks.count = 0;
	for (world.runs = 1;; world.runs++) {
		assert_in_range(world.runs, 1, 60);
		assert_int_equal(kv_begin_child(store), KV_OK);
		result = handler(c);
		assert_int_equal(kv_end_child(store, result == CALL_DONE), KV_OK);
		if (result == CALL_STORE && c->store_status == KV_AGAIN)
			continue;
		if (result != CALL_ASK)
			return result;
		answers_give(c);
	}
}

static struct {
	struct call_token token;
	char bytes[JWT_TOKEN_MAX];
	struct buf out;
	struct jwt jwt;
	enum jwt_status verdict;
} made;

static enum call_result sign_handler(struct call *c)
{
	made.out = BUF(made.bytes);
	return call_sign(c, &made.token, &made.out);
}

static enum call_result check_handler(struct call *c)
{
	return call_check_token(c, &made.jwt, &made.verdict);
}

static void sign(enum token_alg alg, uint64_t now_s)
{
	world.now_s = now_s;
	made.token = (struct call_token){ alg, JWT_TYP_JWT, SLICE("{\"sub\":\"s\"}"), LIFE };
	assert_int_equal(run(sign_handler), CALL_DONE);
	assert_int_equal(jwt_open(&made.jwt, buf_slice(&made.out)), JWT_GOOD);
}

static enum jwt_status check(uint64_t now_s)
{
	world.now_s = now_s;
	assert_int_equal(run(check_handler), CALL_DONE);
	return made.verdict;
}

/* Once straight, once with a store that has everything to fetch first. */
static void test_sign_and_check(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++)
		for (int alg = TOKEN_HS256; alg < TOKEN_ALGS; alg++) {
			bool es256 = alg == TOKEN_ES256;
			uint64_t now_s = NOW + (unsigned)again;

			looks.on = again;
			sign((enum token_alg)alg, now_s);
			assert_int_equal(made.jwt.alg, es256 ? JWT_ES256 : JWT_HS256);
			assert_true(slice_eq((struct slice){ made.jwt.payload,
			                                     made.jwt.payload_len },
			                     SLICE("{\"sub\":\"s\"}")));
			/* At first the key is made, too. */
			assert_int_equal(world.call.answer_count, es256 + !again);
			assert_int_equal(check(now_s), JWT_GOOD);
			assert_int_equal(world.call.answer_count, es256);
			made.jwt.signature[5] ^= 1;
			assert_int_equal(check(now_s), JWT_BAD_SIGNATURE);
			made.jwt.signature[5] ^= 1;
			made.jwt.signature_len--;
			assert_int_equal(check(now_s), JWT_BAD_SIGNATURE);
			looks.on = false;
		}
	assert_int_equal(store_entries(), 2);
}

/* Its tokens die with their key, and not before. */
static void test_rotation_and_tokens(void **state)
{
	char text[JWT_TOKEN_MAX];
	size_t len;
	uint64_t end_s = NOW + DELAY + LIFE + TOKEN_LEEWAY_S;

	(void)state;
	sign(TOKEN_ES256, NOW);
	add(TOKEN_ES256, NOW);
	sign(TOKEN_ES256, NOW + DELAY - 1);
	memcpy(text, made.bytes, len = made.out.len);
	sign(TOKEN_ES256, NOW + DELAY);
	assert_int_equal(check(end_s + 1), JWT_GOOD);
	assert_int_equal(jwt_open(&made.jwt, (struct slice){ text, len }), JWT_GOOD);
	assert_int_equal(check(end_s - 1), JWT_GOOD);
	assert_int_equal(check(end_s), JWT_NO_KEY);
}

/* Requirements J01, J04. */
static void test_verdicts(void **state)
{
	static const struct {
		const char *name;
		enum jwt_alg alg;
		const char *kid;
		enum jwt_status verdict;
	} cases[] = {
		{ "unknown kid",                JWT_HS256, "nosuch", JWT_NO_KEY },
		{ "unknown kid, ES256",         JWT_ES256, "nosuch", JWT_NO_KEY },
		{ "unknown kid, RS256",         JWT_RS256, "nosuch", JWT_NO_KEY },
		{ "HS256 with the ES256 key",   JWT_HS256, "ES",     JWT_BAD_ALG },
		{ "ES256 with the HS256 key",   JWT_ES256, "HS",     JWT_BAD_ALG },
		{ "RS256 with the ES256 key",   JWT_RS256, "ES",     JWT_BAD_ALG },
		{ "RS256 without a kid",        JWT_RS256, "",       JWT_NO_KEY },
		{ "HS256 without a kid",        JWT_HS256, "",       JWT_BAD_SIGNATURE },
		{ "ES256 without a kid",        JWT_ES256, "",       JWT_BAD_SIGNATURE },
		{ "a path",                     JWT_HS256, "../S",   JWT_NO_KEY },
	};
	struct slice h = add(TOKEN_HS256, NOW), e = add(TOKEN_ES256, NOW);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice kid = slice_of(cases[i].kid);

		sign(TOKEN_ES256, NOW);         /* any signature */
		kid = slice_eq(kid, SLICE("ES")) ? e : slice_eq(kid, SLICE("HS")) ? h : kid;
		made.jwt.signature[0] ^= 1;
		made.jwt.alg = cases[i].alg;
		made.jwt.kid_len = kid.len;
		memcpy(made.jwt.kid, kid.ptr, kid.len);
		if (check(NOW) != cases[i].verdict)
			fail_msg("%s: %s", cases[i].name, jwt_status_text(made.verdict));
	}
	/* Without a kid, and with more than one key of the algorithm, or with one again. */
	sign(TOKEN_HS256, NOW);
	made.jwt.kid_len = 0;
	assert_int_equal(check(NOW), JWT_GOOD);
	add(TOKEN_HS256, NOW);
	assert_int_equal(check(NOW), JWT_NO_KEY);
	assert_int_equal(token_end(store, h), KV_OK);
	assert_int_equal(check(NOW), JWT_BAD_SIGNATURE);
}

/* An answer counts for the very key: where that one changed meanwhile, it is asked anew. */
static struct slice removed;
static enum call_result fickle_handler(struct call *c)
{
	if (c->answer_count > 0)
		assert_int_equal(token_end(c->kv, removed), KV_OK);
	return sign_handler(c);
}

static void test_changing_key(void **state)
{
	struct slice a = add(TOKEN_ES256, NOW), b = add(TOKEN_ES256, NOW);

	(void)state;
	world.now_s = NOW;
	removed = a;
	made.token = (struct call_token){ TOKEN_ES256, JWT_TYP_ACCESS, SLICE("{}"), 60 };
	assert_int_equal(run(fickle_handler), CALL_DONE);
	assert_int_equal(world.call.answer_count, 2);
	assert_int_equal(jwt_open(&made.jwt, buf_slice(&made.out)), JWT_GOOD);
	assert_memory_equal(made.jwt.kid, b.ptr, b.len);
	assert_int_equal(check(NOW), JWT_GOOD);
}

/* A key whose times change under the question is the same one. */
static void test_question_has_no_times(void **state)
{
	struct token_key_record r = generate(TOKEN_ES256);
	static char bytes[2][CALL_QUESTION_MAX];
	struct buf a = BUF(bytes[0]), b = BUF(bytes[1]);
	static const uint8_t digest[JWT_DIGEST_LEN] = { 7 };

	(void)state;
	call_signature_question_write(&a, digest, &r);
	r.created_s = r.signs_s = r.until_s = 99;
	r.life_s = 99;
	call_signature_question_write(&b, digest, &r);
	assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
}

static void test_broken_seal(void **state)
{
	(void)state;
	add(TOKEN_ES256, NOW);
	world.now_s = NOW;
	answers.broken_seal = true;
	made.token = (struct call_token){ TOKEN_ES256, JWT_TYP_JWT, SLICE("{}"), 60 };
	assert_int_equal(run(sign_handler), CALL_STORE);
	assert_int_equal(world.call.store_status, KV_IO);
	answers.broken_seal = false;
}

/* A front signs with HS256 by itself; what it cannot do, it asks for or leaves to the writer. */
static void test_in_a_front(void **state)
{
	struct call *c = &world.call;

	(void)state;
	add(TOKEN_HS256, NOW);
	add(TOKEN_ES256, NOW);
	use(TOKEN_HS256, NOW, LIFE);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	*c = (struct call){ .sid_secret = sid_secret, .kv = store, .now_us = NOW * 1000000ull,
	                    .question = BUF(answers.question) };
	made.token = (struct call_token){ TOKEN_HS256, JWT_TYP_JWT, SLICE("{}"), LIFE };
	assert_int_equal(sign_handler(c), CALL_DONE);
	made.token.life_s = LIFE + 1;
	assert_int_equal(sign_handler(c), CALL_STORE);
	assert_int_equal(c->store_status, KV_READONLY);
	made.token.alg = TOKEN_ES256;
	assert_int_equal(sign_handler(c), CALL_ASK);
	assert_int_equal(c->question_kind, ASK_SIGNATURE);
}

/* Maimed bytes are no question; whole ones come back as they were. */
static void test_questions(void **state)
{
	static char bytes[CALL_QUESTION_MAX];
	static const uint8_t digest[JWT_DIGEST_LEN] = { 1, 2, 3 };
	struct buf out = BUF(bytes);
	struct jwt_key key = { .alg = JWT_RS256, .len = 512, .exponent = 0x01020304 }, back;
	struct token_key_record r;
	const uint8_t *got;
	struct slice signature;
	size_t len;

	(void)state;
	memset(key.bytes, 0xa5, sizeof key.bytes);
	call_verdict_question_write(&out, &key, digest, SLICE("signature"));
	assert_true(call_verdict_question_read(buf_slice(&out), &back, &got, &signature));
	assert_memory_equal(got, digest, sizeof digest);
	assert_true(slice_eq(signature, SLICE("signature")));
	assert_int_equal(back.alg, JWT_RS256);
	assert_int_equal(back.exponent, key.exponent);
	assert_int_equal(back.len, key.len);
	assert_memory_equal(back.bytes, key.bytes, key.len);
	for (len = 0; len < 39 + 9; len++)      /* the head and the signature */
		assert_false(call_verdict_question_read((struct slice){ bytes, len }, &back, &got,
		                                        &signature));
	buf_char(&out, 'x');                    /* a key that is too long */
	assert_false(call_verdict_question_read(buf_slice(&out), &back, &got, &signature));
	bytes[0] = JWT_ALGS;
	assert_false(call_verdict_question_read((struct slice){ bytes, 100 }, &back, &got,
	                                        &signature));
	out.len = 0;
	r = generate(TOKEN_ES256);
	call_signature_question_write(&out, digest, &r);
	for (len = 0; len < out.len; len++)
		assert_false(call_signature_question_read((struct slice){ bytes, len }, &got, &r));
	assert_true(call_signature_question_read(buf_slice(&out), &got, &r));
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_unseal),
		IN_STORE(test_rotation),
		IN_STORE(test_rotation_hs256),
		IN_STORE(test_two_algorithms),
		IN_STORE(test_longer_life),
		IN_STORE(test_waiting_keys),
		IN_STORE(test_end),
		IN_STORE(test_years),
		IN_STORE(test_jwks),
		IN_STORE(test_unreadable),
		cmocka_unit_test(test_alg_texts),
		IN_STORE(test_sign_and_check),
		IN_STORE(test_rotation_and_tokens),
		IN_STORE(test_verdicts),
		IN_STORE(test_changing_key),
		cmocka_unit_test(test_question_has_no_times),
		IN_STORE(test_broken_seal),
		IN_STORE(test_in_a_front),
		cmocka_unit_test(test_questions),
	};

	json_seed(1);
	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
