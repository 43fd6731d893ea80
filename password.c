/* password.c -- see password.h. */
#include <bearssl.h>

#include "password.h"
#include "sha.h"

#define ALGORITHM  "pbkdf2_sha256"
#define SALT_LEN   22   /* characters for 128 bits; as many as Django's own */
#define DIGEST_LEN 44   /* characters of base64 for 32 bytes */

/* `algorithm$iterations$salt$digest`, taken apart. */
struct parts {
	uint32_t iterations;
	struct slice salt, digest;
};

/* RFC 4648, section 4. */
static void put_base64(struct buf *out, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i += 3) {
		unsigned group = (unsigned)bytes[i] << 16;

		if (i + 1 < len)
			group |= (unsigned)bytes[i + 1] << 8;
		if (i + 2 < len)
			group |= bytes[i + 2];
		buf_char(out, byte_to_base64(group >> 18, '+', '/'));
		buf_char(out, byte_to_base64(group >> 12, '+', '/'));
		buf_char(out, i + 1 < len ? byte_to_base64(group >> 6, '+', '/') : '=');
		buf_char(out, i + 2 < len ? byte_to_base64(group, '+', '/') : '=');
	}
}

/* `value` where c is one of `first` to `last`, else 0; without a branch. */
static int within(int c, int first, int last, int value)
{
	return (first - 1 - c) >> 8 & (c - last - 1) >> 8 & value;
}

/* Negative for what is no digit. */
static int base64_value(char c)
{
	int v = within(c, 'A', 'Z', c - 'A' + 1) + within(c, 'a', 'z', c - 'a' + 27) +
	        within(c, '0', '9', c - '0' + 53) + within(c, '+', '+', 63) +
	        within(c, '/', '/', 64);

	return v - 1;
}

/* 32 bytes in base64: 43 characters, of which the last has two bits of no use, and one "=". Which
 * ones they are decides nothing on the way. */
static bool is_digest(struct slice s)
{
	int bad = 0;

	if (s.len != DIGEST_LEN)
		return false;
	for (size_t i = 0; i < DIGEST_LEN - 1; i++)
		bad |= base64_value(s.ptr[i]);
	bad = (bad < 0) | (base64_value(s.ptr[DIGEST_LEN - 2]) & 3) | (s.ptr[DIGEST_LEN - 1] ^ '=');
	return SECRET_VERDICT(bad == 0);
}

static bool split(struct slice hash, struct parts *p)
{
	uint64_t iterations;

	if (hash.len > PASSWORD_HASH_MAX || !slice_eq(slice_cut(&hash, '$'), SLICE(ALGORITHM)))
		return false;
	if (!slice_uint(slice_cut(&hash, '$'), PASSWORD_ITERATIONS_MAX, &iterations))
		return false;
	p->iterations = (uint32_t)iterations;
	p->salt = slice_cut(&hash, '$');
	p->digest = hash;
	return iterations > 0 && p->salt.len > 0 && is_digest(p->digest);
}

/* One block of the output (RFC 8018, section 5.2): the sum of the chain of HMACs that starts
 * with salt and index. The key's two inner states are made once, in `key`. */
static size_t derive_block(const br_hmac_key_context *key, struct slice salt, uint32_t index,
                           uint32_t iterations, uint8_t *sum)
{
	uint8_t link[br_sha256_SIZE];
	uint8_t number[4] = { (uint8_t)(index >> 24), (uint8_t)(index >> 16),
	                      (uint8_t)(index >> 8), (uint8_t)index };
	br_hmac_context hmac;
	size_t len;

	br_hmac_init(&hmac, key, 0);
	br_hmac_update(&hmac, salt.ptr, salt.len);
	br_hmac_update(&hmac, number, sizeof number);
	len = br_hmac_out(&hmac, link);
	memcpy(sum, link, len);
	for (uint32_t i = 1; i < iterations; i++) {
		br_hmac_init(&hmac, key, 0);
		br_hmac_update(&hmac, link, len);
		br_hmac_out(&hmac, link);
		for (size_t j = 0; j < len; j++)
			sum[j] ^= link[j];
	}
	explicit_bzero(link, sizeof link);
	explicit_bzero(&hmac, sizeof hmac);
	return len;
}

static void derive(const br_hash_class *hash, struct slice password, struct slice salt,
                   uint32_t iterations, uint8_t *out, size_t len)
{
	uint8_t block[br_sha256_SIZE];
	br_hmac_key_context key;

	br_hmac_key_init(&key, hash, password.ptr, password.len);
	for (uint32_t index = 1; len > 0; index++) {
		size_t n = derive_block(&key, salt, index, iterations, block);

		n = n < len ? n : len;
		memcpy(out, block, n);
		out += n;
		len -= n;
	}
	explicit_bzero(block, sizeof block);
	explicit_bzero(&key, sizeof key);
}

/* Writes the digest of `password` as it stands in a hash. */
static void put_digest(struct buf *out, struct slice password, struct slice salt,
                       uint32_t iterations)
{
	uint8_t digest[br_sha256_SIZE];

	password_pbkdf2_sha256(password, salt, iterations, digest, sizeof digest);
	put_base64(out, digest, sizeof digest);
	explicit_bzero(digest, sizeof digest);
}

void password_pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                            uint8_t *out, size_t len)
{
	derive(sha256_class(), password, salt, iterations, out, len);
}

void password_pbkdf2_sha1(struct slice password, struct slice salt, uint32_t iterations,
                          uint8_t *out, size_t len)
{
	derive(sha1_class(), password, salt, iterations, out, len);
}

bool password_hash_valid(struct slice hash, uint32_t *iterations)
{
	struct parts p;

	if (!split(hash, &p))
		return false;
	*iterations = p.iterations;
	return true;
}

enum password_verdict password_check(struct slice hash, struct slice password,
                                     uint32_t iterations)
{
	char digest[DIGEST_LEN], rest[DIGEST_LEN];
	struct buf made = BUF(digest), idle = BUF(rest);
	struct parts p;
	bool right;

	if (password.len > PASSWORD_MAX) {
		password.len = PASSWORD_MAX;
		hash = (struct slice){ 0 };
	}
	if (!split(hash, &p))
		p = (struct parts){ iterations, SLICE("nobody"), { 0 } };
	put_digest(&made, password, p.salt, p.iterations);
	if (p.iterations < iterations)
		put_digest(&idle, password, p.salt, iterations - p.iterations);
	right = slice_eq_secret(buf_slice(&made), p.digest);
	explicit_bzero(digest, sizeof digest);
	return right ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

void password_make(struct buf *out, struct slice password, uint32_t iterations,
                   const uint8_t salt[16])
{
	char text[24];
	struct buf made = BUF(text);
	struct slice letters = { text, SALT_LEN };

	put_base64(&made, salt, 16);
	buf_lit(out, ALGORITHM "$");
	buf_uint(out, iterations);
	buf_char(out, '$');
	buf_put(out, letters);
	buf_char(out, '$');
	put_digest(out, password, letters, iterations);
}

/* What is bound to a hash: its customer's id. */
static struct slice bound_id(uint64_t customer_id, uint8_t bytes[8])
{
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(customer_id >> 8 * i);
	return slice_bytes(bytes, 8);
}

void password_seal(struct buf *out, const uint8_t key[SEAL_KEY_LEN],
                   const uint8_t nonce[SEAL_NONCE_LEN], uint64_t customer_id, struct slice hash)
{
	uint8_t id[8];

	if (hash.len > PASSWORD_HASH_MAX)
		out->full = true;
	else
		seal_close(out, key, nonce, bound_id(customer_id, id), hash);
}

bool password_unseal(struct buf *out, const uint8_t key[SEAL_KEY_LEN], uint64_t customer_id,
                     struct slice sealed)
{
	uint8_t id[8];

	return sealed.len <= PASSWORD_SEALED_MAX &&
	       seal_open(out, key, bound_id(customer_id, id), sealed);
}
