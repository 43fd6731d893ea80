/* test_curve.c -- X25519 and the private keys of P-256 are those of RFC 7748 and RFC 6979, and
 * BearSSL's. */
#include <bearssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bytes.h"
#include "curve.h"

#define DRAWN 300               /* cases */

static void read_hex(uint8_t *out, const char *hex, size_t len)
{
	assert_true(hex_decode(slice_of(hex), out, len));
}

/* The same numbers each time: what is drawn is a hash of how much was. Every few of them has only
 * a few bits set, or cleared. */
static void draw(uint8_t out[32])
{
	static uint32_t drawn;
	br_sha256_context sha;
	uint8_t more[32];

	for (int i = 0; i < 5; i++) {
		drawn++;
		br_sha256_init(&sha);
		br_sha256_update(&sha, &drawn, sizeof drawn);
		br_sha256_out(&sha, i == 0 ? out : more);
		for (size_t n = 0; i > 0 && drawn % 4 < 2 && n < 32; n++)
			out[n] = drawn % 4 == 0 ? out[n] & more[n] : out[n] | more[n];
	}
}

/* RFC 7748, section 5.2. */
static void test_x25519_examples(void **state)
{
	static const struct { const char *number, *point, *due; } cases[] = {
		{ "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
		{ "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" },
	};
	uint8_t number[32], point[32], due[32], next[32];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		read_hex(number, cases[i].number, sizeof number);
		read_hex(point, cases[i].point, sizeof point);
		read_hex(due, cases[i].due, sizeof due);
		curve_x25519(point, number);
		assert_memory_equal(point, due, sizeof due);
	}
	read_hex(number, "0900000000000000000000000000000000000000000000000000000000000000", 32);
	memcpy(point, number, sizeof point);
	for (int i = 0; i < 1000; i++) {
		memcpy(next, number, sizeof next);
		curve_x25519(point, number);
		memcpy(number, point, sizeof number);
		memcpy(point, next, sizeof point);
	}
	read_hex(due, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", 32);
	assert_memory_equal(number, due, sizeof due);
}

static void check_x25519(const uint8_t point[32], const uint8_t number[32])
{
	uint8_t theirs[32], ours[32];

	memcpy(theirs, point, sizeof theirs);
	memcpy(ours, point, sizeof ours);
	assert_int_equal(br_ec_c25519_m31.mul(theirs, 32, number, 32, BR_EC_curve25519), 1);
	curve_x25519(ours, number);
	assert_memory_equal(ours, theirs, sizeof theirs);
}

/* Points about the modulus, those of a small order among them, and drawn ones. */
static void test_x25519_as_bearssl(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	uint8_t point[32], number[32];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(points); i++) {
		read_hex(point, points[i], sizeof point);
		for (int n = 0; n < 8; n++) {
			draw(number);
			check_x25519(point, number);
		}
	}
	for (int i = 0; i < DRAWN; i++) {
		draw(point);
		draw(number);
		check_x25519(point, number);
	}
}

static const char *const numbers[] = {          /* of P-256: the least, and the greatest */
	"0000000000000000000000000000000000000000000000000000000000000001",
	"0000000000000000000000000000000000000000000000000000000000000002",
	"0000000000000000000000000000000000000000000000010000000000000000",
	"8000000000000000000000000000000000000000000000000000000000000000",
	"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f",
	"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
};

static const char *const beyond[] = {           /* the order, and others that are no keys */
	"0000000000000000000000000000000000000000000000000000000000000000",
	"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
	"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void draw_number(uint8_t number[32], int which)
{
	draw(number);
	if (which < (int)COUNT_OF(numbers))
		read_hex(number, numbers[which], 32);
	else
		number[0] &= 0x7f;              /* less than the order */
}

static void test_p256_generate(void **state)
{
	uint8_t number[32], theirs[CURVE_POINT_LEN], ours[CURVE_POINT_LEN];

	(void)state;
	for (int i = 0; i < DRAWN; i++) {
		draw_number(number, i);
		assert_int_equal(br_ec_p256_m31.mulgen(theirs, number, 32, BR_EC_secp256r1),
		                 CURVE_POINT_LEN);
		curve_p256_generate(ours, number);
		assert_memory_equal(ours, theirs, sizeof theirs);
	}
}

/* RFC 6979, appendix A.2.5, with SHA-256. */
static void test_p256_examples(void **state)
{
	static const struct { const char *message, *due; } cases[] = {
		{ "sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
		            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
		{ "test",   "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
		            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083" },
	};
	uint8_t key[32], digest[32], due[CURVE_SIGNATURE_LEN], signature[CURVE_SIGNATURE_LEN];
	br_sha256_context sha;

	(void)state;
	read_hex(key, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", 32);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		br_sha256_init(&sha);
		br_sha256_update(&sha, cases[i].message, strlen(cases[i].message));
		br_sha256_out(&sha, digest);
		read_hex(due, cases[i].due, sizeof due);
		assert_true(curve_p256_sign(signature, key, digest));
		assert_memory_equal(signature, due, sizeof due);
	}
}

static void test_p256_as_bearssl(void **state)
{
	uint8_t key[32], digest[32], theirs[CURVE_SIGNATURE_LEN], ours[CURVE_SIGNATURE_LEN];
	const br_ec_private_key private = { BR_EC_secp256r1, key, sizeof key };

	(void)state;
	for (int i = 0; i < DRAWN; i++) {
		draw_number(key, i);
		draw(digest);
		if (i % 4 == 0)
			read_hex(digest, beyond[i / 4 % (int)COUNT_OF(beyond)], 32);
		assert_int_equal(br_ecdsa_i31_sign_raw(&br_ec_p256_m31, &br_sha256_vtable, digest,
		                                       &private, theirs), sizeof theirs);
		assert_true(curve_p256_sign(ours, key, digest));
		assert_memory_equal(ours, theirs, sizeof theirs);
	}
	for (size_t i = 0; i < COUNT_OF(beyond); i++) {
		read_hex(key, beyond[i], sizeof key);
		assert_false(curve_p256_sign(ours, key, digest));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x25519_examples),
		cmocka_unit_test(test_x25519_as_bearssl),
		cmocka_unit_test(test_p256_generate),
		cmocka_unit_test(test_p256_examples),
		cmocka_unit_test(test_p256_as_bearssl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
