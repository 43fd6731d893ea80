/* test_sha.c -- the processor's SHA-1 and SHA-256 are those of FIPS 180-4, and BearSSL's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bytes.h"
#include "sha.h"

#define LEN_MAX 300             /* several blocks, and every place in one */

static uint8_t text[LEN_MAX];

static const struct {
	const br_hash_class *theirs, *(*ours)(void);
	size_t len;                     /* of a digest */
	const char *abc, *longer;       /* FIPS 180-4's examples, as NIST publishes them */
} hashes[] = {
	{ &br_sha1_vtable, sha1_class, br_sha1_SIZE,
	  "a9993e364706816aba3e25717850c26c9cd0d89d",
	  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	{ &br_sha256_vtable, sha256_class, br_sha256_SIZE,
	  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static int make_text(void **state)
{
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	return 0;
}

/* In two pieces, the first of `cut` bytes; between them it is asked for what it has so far. */
static void hash(const br_hash_class *of, const void *from, size_t len, size_t cut, uint8_t *digest)
{
	br_hash_compat_context c;

	of->init(&c.vtable);
	assert_ptr_equal(c.vtable, of);
	c.vtable->update(&c.vtable, from, cut);
	c.vtable->out(&c.vtable, digest);
	c.vtable->update(&c.vtable, (const uint8_t *)from + cut, len - cut);
	c.vtable->out(&c.vtable, digest);
}

static void test_examples(void **state)
{
	struct slice longer =
		SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
	uint8_t due[br_sha256_SIZE], digest[br_sha256_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		hash(hashes[i].ours(), "abc", 3, 1, digest);
		assert_true(hex_decode(slice_of(hashes[i].abc), due, hashes[i].len));
		assert_memory_equal(digest, due, hashes[i].len);
		hash(hashes[i].ours(), longer.ptr, longer.len, 0, digest);
		assert_true(hex_decode(slice_of(hashes[i].longer), due, hashes[i].len));
		assert_memory_equal(digest, due, hashes[i].len);
	}
}

static void test_every_length_and_cut(void **state)
{
	uint8_t due[br_sha256_SIZE], digest[br_sha256_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hashes); i++)
		for (size_t len = 0; len <= LEN_MAX; len++)
			for (size_t cut = 0; cut <= len; cut++) {
				hash(hashes[i].theirs, text, len, cut, due);
				hash(hashes[i].ours(), text, len, cut, digest);
				assert_memory_equal(digest, due, hashes[i].len);
			}
}

/* HMAC keeps states and goes on from them. */
static void test_hmac(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hashes); i++)
		for (size_t len = 0; len <= LEN_MAX; len++) {
			const br_hash_class *of[] = { hashes[i].theirs, hashes[i].ours() };
			uint8_t digests[2][br_sha256_SIZE];

			for (int n = 0; n < 2; n++) {
				br_hmac_key_context key;
				br_hmac_context c;

				br_hmac_key_init(&key, of[n], text, len);
				br_hmac_init(&c, &key, 0);
				br_hmac_update(&c, text, LEN_MAX - len);
				assert_int_equal(br_hmac_out(&c, digests[n]), hashes[i].len);
			}
			assert_memory_equal(digests[0], digests[1], hashes[i].len);
		}
}

/* What others read of a class. */
static void test_description(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		assert_int_equal(hashes[i].ours()->desc, hashes[i].theirs->desc);
		assert_int_equal(hashes[i].ours()->context_size, hashes[i].theirs->context_size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_every_length_and_cut),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_description),
	};

	return cmocka_run_group_tests(tests, make_text, NULL);
}
