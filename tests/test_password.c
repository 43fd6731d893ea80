/* test_password.c -- PBKDF2, Django's hashes, what a check costs, and the seal. */
#include <bearssl.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "corpora.h"
#include "guard.h"
#include "password.h"

/* HMACs begun: one a round. */
static uint64_t rounds;

/* Stands in front of BearSSL's, to count. */
void br_hmac_init(br_hmac_context *context, const br_hmac_key_context *key, size_t out_len)
{
	static void (*next)(br_hmac_context *, const br_hmac_key_context *, size_t);

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "br_hmac_init");
	rounds++;
	next(context, key, out_len);
}

static void sha256(struct slice password, struct slice salt, uint32_t iterations,
                   struct slice hex, const char *name)
{
	uint8_t expected[1024], out[1024];

	assert_true(hex.len / 2 <= sizeof out && hex_decode(hex, expected, hex.len / 2));
	password_pbkdf2_sha256(password, guarded(salt), iterations, out, hex.len / 2);
	if (memcmp(out, expected, hex.len / 2) != 0)
		fail_msg("%s", name);
}

static void sha1(struct slice password, struct slice salt, uint32_t iterations,
                 struct slice hex, const char *name)
{
	uint8_t expected[1024], out[1024];

	assert_true(hex.len / 2 <= sizeof out && hex_decode(hex, expected, hex.len / 2));
	password_pbkdf2_sha1(guarded(password), salt, iterations, out, hex.len / 2);
	if (memcmp(out, expected, hex.len / 2) != 0)
		fail_msg("%s", name);
}

/* RFC 6070, section 2, but the vector of 16,777,216 rounds. */
static void test_pbkdf2_sha1(void **state)
{
	(void)state;
	sha1(SLICE("password"), SLICE("salt"), 1,
	     SLICE("0c60c80f961f0e71f3a9b524af6012062fe037a6"), "1");
	sha1(SLICE("password"), SLICE("salt"), 2,
	     SLICE("ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"), "2");
	sha1(SLICE("password"), SLICE("salt"), 4096,
	     SLICE("4b007901b765489abead49d926f721d065a429c1"), "4096");
	sha1(SLICE("passwordPASSWORDpassword"),
	     SLICE("saltSALTsaltSALTsaltSALTsaltSALTsalt"), 4096,
	     SLICE("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"), "long");
	sha1(SLICE("pass\0word"), SLICE("sa\0lt"), 4096,
	     SLICE("56fa6aa75548099dcc37d7f03425e0c3"), "NUL");
}

/* RFC 7914, section 11; the others by Python's hashlib.pbkdf2_hmac(). */
static void test_pbkdf2_sha256(void **state)
{
	static char long_password[200];

	(void)state;
	sha256(SLICE("passwd"), SLICE("salt"), 1,
	       SLICE("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
	             "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"), "1");
	sha256(SLICE("Password"), SLICE("NaCl"), 80000,
	       SLICE("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
	             "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"), "80000");
	memset(long_password, 'p', sizeof long_password);
	sha256((struct slice){ long_password, 64 }, SLICE("salt"), 3,
	       SLICE("a7eb20b4477a4cc9647a8343af3aa4465322d894a481e92a16da5e0ae37ad3d3"),
	       "64 bytes");
	sha256((struct slice){ long_password, 65 }, SLICE("salt"), 3,
	       SLICE("9f1b4cba4b646ed9a5d20a3cfa7ef757b162f7073a4578d7e93864f7d91e146f"),
	       "65 bytes");
	sha256((struct slice){ NULL, 0 }, (struct slice){ NULL, 0 }, 2,
	       SLICE("97398411d6aea43a77acef92226ab8278d4db0668bd1d7a76a725f7680ac45c5"),
	       "absent");
	sha256(SLICE("p"), SLICE("s"), 1, SLICE("37"), "one byte");
	sha256(SLICE("p"), SLICE("s"), 1, SLICE(""), "nothing");
}

#define SHA1_ROUNDS_MAX 100000  /* in an emulator, where 16,777,216 take minutes */

/* Django knows pbkdf2_sha512 too: such a hash is none here. */
static bool is_refused(struct slice hash, struct slice iterations, struct slice key)
{
	char text[1024];
	uint32_t count;
	int len = snprintf(text, sizeof text, "pbkdf2_%.*s$%.*s$salt$%.*s", (int)hash.len,
	                   hash.ptr, (int)iterations.len, iterations.ptr, (int)key.len, key.ptr);

	return !password_hash_valid((struct slice){ text, (size_t)len }, &count);
}

static void test_corpus_pbkdf2(void **state)
{
	enum { HASH, PASSWORD, SALT, ITERATIONS, KEY, SOURCE, COLUMNS };
	FILE *file = corpus_open("crypto/pbkdf2.tsv");
	struct slice f[COLUMNS];
	size_t made = 0, refused = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		uint8_t password[512], salt[512];
		struct slice p = corpus_hex(f[PASSWORD], password, sizeof password);
		struct slice s = corpus_hex(f[SALT], salt, sizeof salt);
		uint64_t iterations = 0;

		assert_true(slice_uint(f[ITERATIONS], UINT32_MAX, &iterations));
		if (slice_eq(f[HASH], SLICE("sha512")))
			refused += is_refused(f[HASH], f[ITERATIONS], f[KEY]);
		else if (slice_eq(f[HASH], SLICE("sha256")))
			sha256(p, s, (uint32_t)iterations, f[KEY], f[SOURCE].ptr);
		else if (iterations <= SHA1_ROUNDS_MAX || getenv("EMULATED") == NULL)
			sha1(p, s, (uint32_t)iterations, f[KEY], f[SOURCE].ptr);
		made += !slice_eq(f[HASH], SLICE("sha512"));
	}
	corpus_close(file, "crypto/pbkdf2.tsv", made + refused, 199);
	assert_int_equal(made, 136);
}

/* The HMAC that the rounds, tokens and TLS rest on. */
static void test_corpus_hmac(void **state)
{
	static const struct {
		const char *name;
		const br_hash_class *hash;
	} hashes[] = {
		{ "sha1", &br_sha1_vtable }, { "sha256", &br_sha256_vtable },
		{ "sha384", &br_sha384_vtable }, { "sha512", &br_sha512_vtable },
	};
	enum { HASH, KEY, MESSAGE, TAG, VERDICT, SOURCE, COLUMNS };
	FILE *file = corpus_open("crypto/hmac.tsv");
	struct slice f[COLUMNS];
	size_t done = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		uint8_t bytes[2][512], expected[64], made[64];
		struct slice key = corpus_hex(f[KEY], bytes[0], sizeof bytes[0]);
		struct slice message = corpus_hex(f[MESSAGE], bytes[1], sizeof bytes[1]);
		struct slice tag = corpus_hex(f[TAG], expected, sizeof expected);
		br_hmac_key_context states;
		br_hmac_context hmac;
		size_t i = 0;
		bool valid;

		while (i < COUNT_OF(hashes) && !slice_eq(f[HASH], slice_of(hashes[i].name)))
			i++;
		assert_in_range(i, 0, COUNT_OF(hashes) - 1);
		br_hmac_key_init(&states, hashes[i].hash, key.ptr, key.len);
		br_hmac_init(&hmac, &states, 0);
		br_hmac_update(&hmac, message.ptr, message.len);
		br_hmac_out(&hmac, made);
		valid = slice_eq(slice_bytes(made, tag.len), tag);
		if (valid != slice_eq(f[VERDICT], SLICE("valid")))
			fail_msg("%.*s", (int)f[SOURCE].len, f[SOURCE].ptr);
		done++;
	}
	corpus_close(file, "crypto/hmac.tsv", done, 1722);
}

/* By the definition of Django's format: base64(hashlib.pbkdf2_hmac('sha256', ...)). */
static const struct {
	const char *name, *password, *hash;
} django[] = {
	{ "Django 1.4's test", "ada",
	  "pbkdf2_sha256$260$seasalt2$8y9IFmrrgyyp8m6erJleD0PVIfqYZ53NOd5oDk7N3DU=" },
	{ "a salt of 22", "ada",
	  "pbkdf2_sha256$1000$W3nhm5ZiCGLNYeVrSTQbJ7$"
	  "03BbfBMG5m8y85+h6N7TykBOhaXx+ONsR7b88ZEEG6k=" },
	{ "UTF-8, one round", "p\xc3\xa4ssw\xc3\xb6rd",
	  "pbkdf2_sha256$1$NaCl$QGuYzHCXfKG/LAreIkpwZTRcd7gJvevilfUvvyl9Ivo=" },
	{ "empty password", "",
	  "pbkdf2_sha256$2$NaCl$EqhGhmaeyiCmy+PXZEUfqL0E9hc5ziZtcX4mJMXhlA0=" },
	{ "Django 3.2's rounds", "nobody",
	  "pbkdf2_sha256$260000$4xvKbJzQ0zTn5WkY2mLs8P$"
	  "v+XmOm7tSz+Tv3FkpgCrIW+hj+VkzNTxcUTk7I7gmPQ=" },
};

static void test_django(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(django); i++) {
		struct slice hash = guarded(slice_of(django[i].hash));
		char wrong[32];

		snprintf(wrong, sizeof wrong, "%sx", django[i].password);
		if (password_check(hash, slice_of(django[i].password), 1) != PASSWORD_RIGHT)
			fail_msg("%s: refused", django[i].name);
		if (password_check(hash, slice_of(wrong), 1) != PASSWORD_WRONG)
			fail_msg("%s: taken with a wrong password", django[i].name);
	}
	assert_int_equal(password_check(slice_of(django[0].hash), SLICE("Ada"), 1), PASSWORD_WRONG);
	assert_int_equal(password_check(slice_of(django[0].hash), SLICE(""), 1), PASSWORD_WRONG);
}

#define SALTED "pbkdf2_sha256$260$seasalt2$"
#define DIGEST "8y9IFmrrgyyp8m6erJleD0PVIfqYZ53NOd5oDk7N3DU="

static const struct {
	const char *name, *hash;
} malformed[] = {
	{ "empty",               ""                                            },
	{ "no password set",     "!"                                           },
	{ "Django's unusable",   "!BWcxJ4Ll9ulQVKM0YFnTbeKN7BdZwT6VPRJ8SqOq"   },
	{ "another algorithm",   "pbkdf2_sha1$260$seasalt2$" DIGEST            },
	{ "bcrypt",              "bcrypt_sha256$$2b$12$1234567890123456789012" },
	{ "capitals",            "PBKDF2_SHA256$260$seasalt2$" DIGEST          },
	{ "algorithm alone",     "pbkdf2_sha256"                               },
	{ "no rounds",           "pbkdf2_sha256$"                              },
	{ "no salt",             "pbkdf2_sha256$260"                           },
	{ "no digest",           "pbkdf2_sha256$260$seasalt2"                  },
	{ "empty rounds",        "pbkdf2_sha256$$seasalt2$" DIGEST             },
	{ "zero rounds",         "pbkdf2_sha256$0$seasalt2$" DIGEST            },
	{ "negative rounds",     "pbkdf2_sha256$-260$seasalt2$" DIGEST         },
	{ "rounds with a sign",  "pbkdf2_sha256$+260$seasalt2$" DIGEST         },
	{ "rounds with a blank", "pbkdf2_sha256$ 260$seasalt2$" DIGEST         },
	{ "rounds in hex",       "pbkdf2_sha256$0x1$seasalt2$" DIGEST          },
	{ "one round too many",  "pbkdf2_sha256$2000001$seasalt2$" DIGEST      },
	{ "2^32 + 1 rounds",     "pbkdf2_sha256$4294967297$seasalt2$" DIGEST   },
	{ "empty salt",          "pbkdf2_sha256$260$$" DIGEST                  },
	{ "empty digest",        SALTED                                        },
	{ "digest cut",          SALTED "8y9IFmrrgyyp8m6erJleD0PVIfqYZ53N"     },
	{ "no padding",          SALTED "8y9IFmrrgyyp8m6erJleD0PVIfqYZ53NOd5oDk7N3DU" },
	{ "digest and more",     SALTED DIGEST "$"                             },
	{ "a line end",          SALTED DIGEST "\n"                            },
	{ "one sign too many",   "pbkdf2_sha256$260$sea$salt2$" DIGEST         },
	{ "base64url",           SALTED "8y9IFmrrgyyp8m6erJleD0PVIfqYZ53NOd5oDk7N3-U=" },
	{ "padding inside",      SALTED "8y9IFmrrgyyp8m6erJle=0PVIfqYZ53NOd5oDk7N3DU=" },
	{ "loose bits",          SALTED "8y9IFmrrgyyp8m6erJleD0PVIfqYZ53NOd5oDk7N3DV=" },
};

static void test_hash_valid(void **state)
{
	uint32_t iterations = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(django); i++)
		if (!password_hash_valid(guarded(slice_of(django[i].hash)), &iterations))
			fail_msg("%s", django[i].name);
	assert_int_equal(iterations, 260000);
	assert_true(password_hash_valid(SLICE("pbkdf2_sha256$2000000$s$" DIGEST), &iterations));
	assert_int_equal(iterations, PASSWORD_ITERATIONS_MAX);
	for (size_t i = 0; i < COUNT_OF(malformed); i++)
		if (password_hash_valid(guarded(slice_of(malformed[i].hash)), &iterations))
			fail_msg("%s", malformed[i].name);
	assert_int_equal(iterations, PASSWORD_ITERATIONS_MAX);
}

static void test_hash_length(void **state)
{
	char text[PASSWORD_HASH_MAX + 2];
	uint32_t iterations;

	(void)state;
	for (int len = PASSWORD_HASH_MAX - 1; len <= PASSWORD_HASH_MAX + 1; len++) {
		snprintf(text, sizeof text, "pbkdf2_sha256$1$%0*d$" DIGEST, len - 16 - 45, 0);
		assert_int_equal(strlen(text), len);
		assert_int_equal(password_hash_valid(slice_of(text), &iterations),
		                 len <= PASSWORD_HASH_MAX);
	}
}

static uint64_t cost(const char *hash, struct slice password, uint32_t iterations)
{
	rounds = 0;
	password_check(slice_of(hash), password, iterations);
	return rounds;
}

/* Whatever the outcome, so many rounds are run as the dearer of hash and setting asks for. */
static void test_check_costs_the_same(void **state)
{
	static char long_password[PASSWORD_MAX + 1];
	static const uint32_t settings[] = { 1, 259, 260, 261, 1000 };

	(void)state;
	memset(long_password, 'p', sizeof long_password);
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		uint32_t setting = settings[i], dearer = setting > 260 ? setting : 260;
		struct slice too_long = { long_password, sizeof long_password };

		assert_int_equal(cost(django[0].hash, SLICE("ada"), setting), dearer);
		assert_int_equal(cost(django[0].hash, SLICE("eve"), setting), dearer);
		assert_int_equal(cost("", SLICE("ada"), setting), setting);
		assert_int_equal(cost(django[0].hash, too_long, setting), setting);
		for (size_t j = 0; j < COUNT_OF(malformed); j++)
			if (cost(malformed[j].hash, SLICE("ada"), setting) != setting)
				fail_msg("%s: %ju rounds", malformed[j].name, (uintmax_t)rounds);
	}
}

static void test_malformed_never_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(malformed); i++)
		if (password_check(slice_of(malformed[i].hash), SLICE("ada"), 260) ==
		    PASSWORD_RIGHT)
			fail_msg("%s", malformed[i].name);
	assert_int_equal(password_check((struct slice){ 0 }, (struct slice){ 0 }, 1),
	                 PASSWORD_WRONG);
}

static void test_password_length(void **state)
{
	static char text[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX];
	static const uint8_t salt[16];
	struct buf out = BUF(hash);

	(void)state;
	memset(text, 'p', sizeof text);
	password_make(&out, (struct slice){ text, PASSWORD_MAX }, 2, salt);
	assert_int_equal(password_check(buf_slice(&out), (struct slice){ text, PASSWORD_MAX }, 1),
	                 PASSWORD_RIGHT);
	assert_int_equal(password_check(buf_slice(&out), (struct slice){ text, sizeof text }, 1),
	                 PASSWORD_WRONG);
	out.len = 0;
	password_make(&out, (struct slice){ text, sizeof text }, 2, salt);
	assert_int_equal(password_check(buf_slice(&out), (struct slice){ text, sizeof text }, 1),
	                 PASSWORD_WRONG);
}

static void test_make(void **state)
{
	static const uint8_t salt[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	char room[PASSWORD_HASH_MAX];
	struct buf out = BUF(room), small = { room, 0, 60, false };

	(void)state;
	password_make(&out, SLICE("lovelace"), 1000, salt);
	assert_true(slice_eq(buf_slice(&out),
	                     SLICE("pbkdf2_sha256$1000$AAECAwQFBgcICQoLDA0ODw$"
	                           "Pj69Yy/by3TSKp4CwlGQvHRZhIjt/0MUHgpUwacPwME=")));
	assert_int_equal(password_check(buf_slice(&out), SLICE("lovelace"), 1), PASSWORD_RIGHT);
	password_make(&small, SLICE("lovelace"), 1, salt);
	assert_true(small.full);
}

static const uint8_t seal_key[SEAL_KEY_LEN] = {
	0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e,
	0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d,
	0x9e, 0x9f,
};
static const uint8_t nonce[12] = { 7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47 };

/* Key and nonce of RFC 8439, section 2.8.2, over hash and customer 4711; made by a second
 * implementation of the RFC that gives the section's own ciphertext and tag. */
static void test_seal_vector(void **state)
{
	char room[PASSWORD_SEALED_MAX];
	uint8_t expected[12 + 71 + 16];
	struct buf out = BUF(room);

	(void)state;
	assert_true(hex_decode(
		SLICE("070000004041424344454647ef19823967cf1fc97d83bdce00a53898f1e4fb5a68720fb2a9b8"
		      "f4bf2cbb4ae323ecb95fd5f72e13d5ecd77db0b737ac4554e427d81834155597cb80758d741d"
		      "97868a6c064cd3630c8dfeda959d77600cb86f87041c36"),
		expected, sizeof expected));
	password_seal(&out, seal_key, nonce, 4711, slice_of(django[0].hash));
	assert_true(slice_eq(buf_slice(&out), slice_bytes(expected, sizeof expected)));
}

static void test_unseal(void **state)
{
	char room[PASSWORD_SEALED_MAX], opened[PASSWORD_HASH_MAX], longest[PASSWORD_HASH_MAX];
	struct slice hashes[] = { SLICE(""), SLICE("x"), slice_of(django[0].hash),
	                          { longest, sizeof longest } };

	(void)state;
	memset(longest, 'l', sizeof longest);
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		struct buf sealed = BUF(room), hash = BUF(opened);

		password_seal(&sealed, seal_key, nonce, UINT64_MAX - i, hashes[i]);
		assert_false(sealed.full);
		assert_int_equal(sealed.len, hashes[i].len + 28);
		assert_true(password_unseal(&hash, seal_key, UINT64_MAX - i,
		                            guarded(buf_slice(&sealed))));
		assert_true(slice_eq(buf_slice(&hash), hashes[i]));
	}
}

/* With any bit changed in it, the key or the customer's id the seal is broken. */
static void test_unseal_broken(void **state)
{
	char room[PASSWORD_SEALED_MAX], opened[PASSWORD_HASH_MAX];
	struct buf sealed = BUF(room), hash = BUF(opened);
	uint8_t other_key[SEAL_KEY_LEN];

	(void)state;
	password_seal(&sealed, seal_key, nonce, 4711, slice_of(django[0].hash));
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		room[bit / 8] = (char)(room[bit / 8] ^ 1 << bit % 8);
		assert_false(password_unseal(&hash, seal_key, 4711, buf_slice(&sealed)));
		room[bit / 8] = (char)(room[bit / 8] ^ 1 << bit % 8);
	}
	for (size_t bit = 0; bit < 64; bit++)
		assert_false(password_unseal(&hash, seal_key, 4711 ^ (uint64_t)1 << bit,
		                             buf_slice(&sealed)));
	for (size_t bit = 0; bit < sizeof other_key * 8; bit++) {
		memcpy(other_key, seal_key, sizeof other_key);
		other_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(password_unseal(&hash, other_key, 4711, buf_slice(&sealed)));
	}
	for (size_t len = 0; len < sealed.len; len++)
		assert_false(password_unseal(&hash, seal_key, 4711,
		                             guarded((struct slice){ room, len })));
	assert_int_equal(hash.len, 0);
	assert_false(hash.full);
	assert_true(password_unseal(&hash, seal_key, 4711, buf_slice(&sealed)));
}

static void test_seal_room(void **state)
{
	char room[PASSWORD_SEALED_MAX + 8] = { 0 }, longer[PASSWORD_HASH_MAX + 1] = { 0 };
	struct buf small = { room, 0, 98, false }, out = BUF(room), hash = { room, 0, 70, false };
	char sealed[PASSWORD_SEALED_MAX];
	struct buf whole = BUF(sealed);

	(void)state;
	password_seal(&small, seal_key, nonce, 1, slice_of(django[0].hash));
	assert_true(small.full);
	assert_int_equal(room[0], 0);
	password_seal(&out, seal_key, nonce, 1, (struct slice){ longer, sizeof longer });
	assert_true(out.full);
	password_seal(&whole, seal_key, nonce, 1, slice_of(django[0].hash));
	assert_false(password_unseal(&hash, seal_key, 1, buf_slice(&whole)));
	assert_int_equal(hash.len, 0);
	assert_false(password_unseal(&hash, seal_key, 1, (struct slice){ room, sizeof room }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pbkdf2_sha1),
		cmocka_unit_test(test_pbkdf2_sha256),
		cmocka_unit_test(test_corpus_pbkdf2),
		cmocka_unit_test(test_corpus_hmac),
		cmocka_unit_test(test_django),
		cmocka_unit_test(test_hash_valid),
		cmocka_unit_test(test_hash_length),
		cmocka_unit_test(test_check_costs_the_same),
		cmocka_unit_test(test_malformed_never_matches),
		cmocka_unit_test(test_password_length),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_seal_vector),
		cmocka_unit_test(test_unseal),
		cmocka_unit_test(test_unseal_broken),
		cmocka_unit_test(test_seal_room),
	};

	return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
