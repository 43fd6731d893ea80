/* test_jwt.c -- tokens taken apart, checked, judged, made; keys read and written.
 *
 * Requirements J01 to J08, J10, J11 and J13. The published vectors are those of RFC 7515
 * (appendices A.1 to A.3), RFC 7638 (section 3.1), RFC 6979 (appendix A.2.5).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "corpora.h"
#include "guard.h"
#include "jwt.h"

#define NOW 1800000000u

static struct jwt t;

/* RFC 7515's payload, which is of 2011. */
#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A1_INPUT "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
#define A1_TOKEN A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define A1_K "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i" \
	"PS4hcgUuTwjAzZr1Z9CAow"
#define A2_INPUT "eyJhbGciOiJSUzI1NiJ9." JOE
#define A2_SIGNATURE "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7" \
	"AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4" \
	"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K" \
	"0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv" \
	"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB" \
	"p0igcN_IoypGlUPQGe77Rw"
#define A2_N "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ" \
	"PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-" \
	"bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qC" \
	"o5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h" \
	"4FRWyuXpoQ"
#define A2_JWK "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}"
#define A3_INPUT "eyJhbGciOiJFUzI1NiJ9." JOE
#define A3_SIGNATURE "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA" \
	"pmWQxfKTUJqPP3-Kg6NU1Q"
#define A3_XY "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define A3_JWK "{\"kty\":\"EC\",\"crv\":\"P-256\"," A3_XY "}"

#define A2_PEM "-----BEGIN PUBLIC KEY-----\n" \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n" \
	"NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n" \
	"P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n" \
	"9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n" \
	"EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n" \
	"FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n" \
	"oQIDAQAB\n-----END PUBLIC KEY-----\n"
#define A3_PEM "-----BEGIN PUBLIC KEY-----\n" \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n" \
	"6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n" \
	"-----END PUBLIC KEY-----\n"

static struct jwt_key read_key(const char *text)
{
	struct jwt_key key;
	const char *why;

	if (jwt_keys_read(guarded(slice_of(text)), &key, 1, &why) != 1)
		fail_msg("%s: %s", text, why);
	return key;
}

static struct jwt_key secret_key(const char *k, const char *kid)
{
	struct jwt_key key = { .alg = JWT_HS256, .kid_len = strlen(kid) };
	struct buf bytes = { (char *)key.bytes, 0, sizeof key.bytes, false };

	assert_true(base64url_decode(slice_of(k), &bytes));
	key.len = bytes.len;
	memcpy(key.kid, kid, key.kid_len);
	return key;
}

static struct slice kid_of(const struct jwt_key *key)
{
	return (struct slice){ key->kid, key->kid_len };
}

/* The verdict over a token with one key. */
static enum jwt_status judge_signature(struct slice token, const struct jwt_key *key)
{
	enum jwt_status status = jwt_open(&t, token);
	const struct jwt_key *found;

	if (status != JWT_GOOD)
		return status;
	found = jwt_key_find(key, 1, &t);
	return found != NULL ? jwt_verify(&t, found) : JWT_NO_KEY;
}

static void put_text(struct buf *out, struct slice bytes)
{
	buf_base64url(out, (const uint8_t *)bytes.ptr, bytes.len, (bytes.len * 8 + 5) / 6);
}

/* `header.claims` with a MAC of `key`; both are any text. */
static struct slice signed_token(struct slice header, struct slice claims,
                                 const struct jwt_key *key)
{
	static char room[65536];
	struct buf out = BUF(room);
	uint8_t mac[JWT_DIGEST_LEN];

	put_text(&out, header);
	buf_char(&out, '.');
	put_text(&out, claims);
	jwt_sign_hs256(slice_bytes(key->bytes, key->len), buf_slice(&out), mac);
	jwt_write_signature(&out, slice_bytes(mac, sizeof mac));
	assert_false(out.full);
	return buf_slice(&out);
}

/* RFC 7515, appendices A.1, A.2, A.3; requirement J05. No other character anywhere in them
 * does as well. */
static void test_rfc7515(void **state)
{
	static const struct {
		const char *name, *token;
		enum jwt_alg alg;
		bool every;             /* character; else those of the signature, some of them */
	} cases[] = {
		{ "A.1", A1_TOKEN,                       JWT_HS256, true  },
		{ "A.2", A2_INPUT "." A2_SIGNATURE,      JWT_RS256, false },
		{ "A.3", A3_INPUT "." A3_SIGNATURE,      JWT_ES256, false },
	};
	struct jwt_key keys[] = { secret_key(A1_K, "a"), read_key(A2_JWK), read_key(A3_JWK) };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice token = slice_of(cases[i].token);
		char copy[1024];

		if (judge_signature(guarded(token), &keys[i]) != JWT_GOOD)
			fail_msg("%s", cases[i].name);
		assert_int_equal(t.alg, cases[i].alg);
		assert_true(slice_starts((struct slice){ t.payload, t.payload_len },
		                         SLICE("{\"iss\":\"joe\",\r\n \"exp\":1300819380,")));
		memcpy(copy, token.ptr, token.len);
		for (size_t at = 0; at < token.len; at += cases[i].every ? 1 : 11) {
			copy[at] = copy[at] == 'A' ? 'B' : 'A';
			if (judge_signature((struct slice){ copy, token.len }, &keys[i]) ==
			    JWT_GOOD)
				fail_msg("%s: character %zu changed", cases[i].name, at);
			copy[at] = token.ptr[at];
		}
		for (size_t len = 0; len < token.len; len += cases[i].every ? 1 : 7)
			if (judge_signature(guarded((struct slice){ token.ptr, len }), &keys[i]) ==
			    JWT_GOOD)
				fail_msg("%s: cut to %zu", cases[i].name, len);
	}
	assert_int_equal(t.typ, JWT_TYP_NONE);
}

/* Requirement J01: the algorithms are three, spelled one way. */
static void test_algorithms(void **state)
{
	static const struct {
		const char *header;
		enum jwt_status status;
	} cases[] = {
		{ "{\"alg\":\"HS256\"}", JWT_GOOD },
		{ "{\"alg\":\"ES256\"}", JWT_GOOD },
		{ "{\"alg\":\"RS256\"}", JWT_GOOD },
		{ "{\"alg\":\"none\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"None\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"NONE\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"nOnE\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"none\",\"kid\":\"k\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"\\u006eone\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"\"}", JWT_BAD_ALG },
		{ "{\"alg\":\" HS256\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"HS256 \"}", JWT_BAD_ALG },
		{ "{\"alg\":\"hs256\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"HS2560\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"HS256\\u0000\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"HS384\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"HS512\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"RS384\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"RS512\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"PS256\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"ES384\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"ES256K\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"EdDSA\"}", JWT_BAD_ALG },
		{ "{\"alg\":\"dir\",\"enc\":\"A128GCM\"}", JWT_BAD_ALG },
		{ "{\"alg\":null}", JWT_BAD_HEADER },
		{ "{\"alg\":256}", JWT_BAD_HEADER },
		{ "{\"alg\":[\"HS256\"]}", JWT_BAD_HEADER },
		{ "{\"Alg\":\"HS256\"}", JWT_BAD_HEADER },
		{ "{}", JWT_BAD_HEADER },
		{ "[]", JWT_BAD_HEADER },
		{ "\"HS256\"", JWT_BAD_HEADER },
		{ "null", JWT_BAD_HEADER },
		{ "", JWT_BAD_HEADER },
		{ "{\"alg\":\"HS256\"", JWT_BAD_HEADER },
		{ "{\"alg\":\"HS256\"}x", JWT_BAD_HEADER },
		{ "{'alg':'HS256'}", JWT_BAD_HEADER },
		{ "{\"alg\":\"HS256\",\"x\":\"\xff\"}", JWT_BAD_HEADER },
	};
	struct jwt_key key = secret_key(A1_K, "k");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice token = signed_token(slice_of(cases[i].header), SLICE("{}"), &key);
		enum jwt_status status = jwt_open(&t, guarded(token));

		if (status != cases[i].status)
			fail_msg("%s: %s", cases[i].header, jwt_status_text(status));
	}
}

/* Requirement J02, RFC 8725 section 2.1: a public key is nobody's HMAC secret. */
static void test_confusion(void **state)
{
	struct jwt_key rsa = read_key(A2_JWK), ec = read_key(A3_JWK), made[4] = { { 0 } };
	uint8_t digest[JWT_DIGEST_LEN];

	(void)state;
	made[0] = rsa;
	made[1] = ec;
	made[2].len = sizeof A2_PEM - 1;
	memcpy(made[2].bytes, A2_PEM, sizeof A2_PEM - 1);
	made[3].len = sizeof A3_PEM - 1;
	memcpy(made[3].bytes, A3_PEM, sizeof A3_PEM - 1);
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		struct jwt_key keys[] = { rsa, ec };
		struct slice token;

		token = signed_token(SLICE("{\"alg\":\"HS256\"}"), SLICE("{}"), &made[i]);
		assert_int_equal(jwt_open(&t, token), JWT_GOOD);
		assert_null(jwt_key_find(keys, 2, &t));
		assert_int_equal(jwt_verify(&t, &rsa), JWT_BAD_ALG);
		assert_int_equal(jwt_verify(&t, &ec), JWT_BAD_ALG);
		made[i].alg = JWT_HS256;        /* not even where nobody looks */
		jwt_digest(t.input, digest);
		assert_false(jwt_check_public(&made[i], digest,
		                              slice_bytes(t.signature, t.signature_len)));
	}
	assert_int_equal(jwt_open(&t, SLICE(A3_INPUT "." A3_SIGNATURE)), JWT_GOOD);
	assert_int_equal(jwt_verify(&t, &rsa), JWT_BAD_ALG);
	rsa.alg = JWT_ES256;
	assert_int_equal(jwt_verify(&t, &rsa), JWT_BAD_SIGNATURE);
	ec.alg = JWT_RS256;
	assert_int_equal(jwt_open(&t, SLICE(A2_INPUT "." A2_SIGNATURE)), JWT_GOOD);
	assert_int_equal(jwt_verify(&t, &ec), JWT_BAD_SIGNATURE);
}

/* Requirement J12: a secret that is too short is none. */
static void test_short_secret(void **state)
{
	struct jwt_key key = secret_key(A1_K, "k");

	(void)state;
	for (key.len = JWT_SECRET_LEN - 2; key.len <= JWT_SECRET_LEN; key.len++) {
		jwt_open(&t, signed_token(SLICE("{\"alg\":\"HS256\"}"), SLICE("{}"), &key));
		assert_int_equal(jwt_verify(&t, &key),
		                 key.len < JWT_SECRET_LEN ? JWT_BAD_SIGNATURE : JWT_GOOD);
	}
}

/* Requirements J03, J06, J08: what else a header may hold. */
static void test_header_members(void **state)
{
	static const struct {
		const char *members;
		enum jwt_status status;
		enum jwt_typ typ;
	} cases[] = {
		{ "", JWT_GOOD, JWT_TYP_NONE },
		{ ",\"_v\":\"1\",\"typ\":\"JWT\"", JWT_GOOD, JWT_TYP_JWT },
		{ ",\"typ\":\"jwt\"", JWT_GOOD, JWT_TYP_JWT },
		{ ",\"typ\":\"application/jwt\"", JWT_GOOD, JWT_TYP_JWT },
		{ ",\"typ\":\"at+jwt\"", JWT_GOOD, JWT_TYP_ACCESS },
		{ ",\"typ\":\"application/at+JWT\"", JWT_GOOD, JWT_TYP_ACCESS },
		{ ",\"typ\":\"JWS\"", JWT_GOOD, JWT_TYP_OTHER },
		{ ",\"typ\":\"\"", JWT_GOOD, JWT_TYP_OTHER },
		{ ",\"typ\":\"application/\"", JWT_GOOD, JWT_TYP_OTHER },
		{ ",\"typ\":\"secevent+jwt\"", JWT_GOOD, JWT_TYP_OTHER },
		{ ",\"typ\":1", JWT_BAD_HEADER, 0 },
		{ ",\"typ\":null", JWT_BAD_HEADER, 0 },
		{ ",\"crit\":[]", JWT_EXTENDED, 0 },
		{ ",\"crit\":[\"exp\"],\"exp\":1", JWT_EXTENDED, 0 },
		{ ",\"crit\":null", JWT_EXTENDED, 0 },
		{ ",\"crit\":[\"b64\"],\"b64\":false", JWT_EXTENDED, 0 },
		{ ",\"b64\":false", JWT_EXTENDED, 0 },
		{ ",\"b64\":true", JWT_EXTENDED, 0 },
		{ ",\"zip\":\"DEF\"", JWT_EXTENDED, 0 },
		{ ",\"jku\":\"https://evil.example/jwks.json\"", JWT_GOOD, JWT_TYP_NONE },
		{ ",\"x5u\":\"file:///etc/passwd\",\"x5c\":[\"MIIB\"],\"x5t\":\"AA\"", JWT_GOOD,
		  JWT_TYP_NONE },
		{ ",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		  "\"}",
		  JWT_GOOD, JWT_TYP_NONE },
		{ ",\"alg\":\"HS256\"", JWT_BAD_HEADER, 0 },
		{ ",\"alg\":\"none\"", JWT_BAD_HEADER, 0 },
		{ ",\"kid\":\"a\",\"kid\":\"b\"", JWT_BAD_HEADER, 0 },
		{ ",\"\\u0061lg\":\"none\"", JWT_BAD_HEADER, 0 },
		{ ",\"x\":{\"y\":1,\"y\":2}", JWT_BAD_HEADER, 0 },
		{ ",\"x\":1e999", JWT_BAD_HEADER, 0 },
	};
	struct jwt_key key = secret_key(A1_K, "k");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char header[512];
		enum jwt_status status;

		snprintf(header, sizeof header, "{\"alg\":\"HS256\"%s}", cases[i].members);
		status = judge_signature(signed_token(slice_of(header), SLICE("{}"), &key), &key);
		if (status != cases[i].status || (status == JWT_GOOD && t.typ != cases[i].typ))
			fail_msg("%s: %s, typ %d", header, jwt_status_text(status), t.typ);
	}
}

/* Requirement J03: the key that a token brings along does not verify it. */
static void test_embedded_key(void **state)
{
	struct jwt_key ours = secret_key(A1_K, "k"), theirs = { .alg = JWT_HS256, .len = 32 };
	struct slice token = signed_token(
		SLICE("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":"
		      "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}"), SLICE("{}"), &theirs);

	(void)state;
	assert_int_equal(judge_signature(token, &theirs), JWT_GOOD);
	assert_int_equal(judge_signature(token, &ours), JWT_BAD_SIGNATURE);
}

/* Requirement J04. */
static void test_kid(void **state)
{
	static const struct {
		const char *kid;        /* a JSON value; NULL: no such member */
		enum jwt_status status;
		int found;              /* of the keys below; -1: none */
	} cases[] = {
		{ "\"one\"", JWT_GOOD, 0 },
		{ "\"two\"", JWT_GOOD, 1 },
		{ "\"\\u0074wo\"", JWT_GOOD, 1 },
		{ "\"TWO\"", JWT_GOOD, -1 },
		{ "\"two\\u0000\"", JWT_GOOD, -1 },
		{ "\"tw\"", JWT_GOOD, -1 },
		{ "\"ec\"", JWT_GOOD, -1 },
		{ "\"../../../dev/null\"", JWT_GOOD, -1 },
		{ "\"x' UNION SELECT 'secret\"", JWT_GOOD, -1 },
		{ "\"0123456789012345678901234567890123456789012345678901234567890123\"", JWT_GOOD,
		  2 },
		{ "\"01234567890123456789012345678901234567890123456789012345678901234\"",
		  JWT_BAD_HEADER, -1 },
		{ "\"\"", JWT_BAD_HEADER, -1 },
		{ "null", JWT_BAD_HEADER, -1 },
		{ "1", JWT_BAD_HEADER, -1 },
		{ "[\"one\"]", JWT_BAD_HEADER, -1 },
		{ NULL, JWT_GOOD, -1 },
	};
	struct jwt_key keys[] = {
		secret_key(A1_K, "one"),
		secret_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "two"),
		secret_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
		           "0123456789012345678901234567890123456789012345678901234567890123"),
		read_key(A3_JWK),
	};
	size_t count = COUNT_OF(keys);

	(void)state;
	memcpy(keys[3].kid, "ec", keys[3].kid_len = 2);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct jwt_key *expected = cases[i].found < 0 ? NULL : &keys[cases[i].found];
		char header[256];
		struct slice token;

		if (cases[i].kid != NULL)
			snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":%s}",
			         cases[i].kid);
		else
			snprintf(header, sizeof header, "{\"alg\":\"HS256\"}");
		token = signed_token(slice_of(header), SLICE("{}"), &keys[0]);
		if (jwt_open(&t, token) != cases[i].status)
			fail_msg("%s", header);
		if (cases[i].status == JWT_GOOD && jwt_key_find(keys, count, &t) != expected)
			fail_msg("%s: another key", header);
	}
	/* Without a kid, and with one key of the algorithm. */
	assert_ptr_equal(jwt_key_find(keys, 1, &t), &keys[0]);
	assert_ptr_equal(jwt_key_find(keys + 2, 2, &t), &keys[2]);
	assert_null(jwt_key_find(keys + 3, 1, &t));
	assert_null(jwt_key_find(keys, 0, &t));
}

/* Requirement J05. */
static void test_shape(void **state)
{
	static const char *const cases[] = {
		"", ".", "..", "...", "a", "a.b", "e30", "e30.e30",
		A1_INPUT, A1_INPUT ".",                         /* two parts; no signature */
		A1_TOKEN ".", A1_TOKEN ".AA", A1_INPUT ".AA.AA", "." A1_TOKEN,
		A1_TOKEN "=", A1_TOKEN "\n", A1_TOKEN " ", " " A1_TOKEN, "\t" A1_TOKEN,
		A1_TOKEN "%", "Bearer " A1_TOKEN, "\"" A1_TOKEN "\"",
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9=." JOE
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9. " JOE
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		A1_INPUT ".dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk",        /* base64 */
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk=",
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl",        /* loose bits */
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXm",
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXn",
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEj",          /* 43 digits
		less 2 */
		A1_INPUT ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkA",
		"{\"payload\":\"" JOE
		"\",\"protected\":\"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\","
		"\"signature\":\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\"}",
		"eyJhbGciOiJub25lIn0." JOE ".",
		"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AA.AA",      /* a JWE */
	};
	struct jwt_key key = secret_key(A1_K, "k");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (judge_signature(guarded(slice_of(cases[i])), &key) == JWT_GOOD)
			fail_msg("%s", cases[i]);
	assert_int_equal(judge_signature(SLICE(A1_TOKEN "\0"), &key), JWT_MALFORMED);
	assert_int_equal(judge_signature((struct slice){ 0 }, &key), JWT_MALFORMED);
	assert_int_equal(judge_signature(SLICE(A1_TOKEN), &key), JWT_GOOD);
}

/* Requirement J05: 8 KiB of token, 1 KiB of header, and not a byte more. */
static void test_lengths(void **state)
{
	static char header[2048], claims[8192];
	struct jwt_key key = secret_key(A1_K, "k");

	(void)state;
	for (size_t len = JWT_HEADER_MAX - 1; len <= JWT_HEADER_MAX + 1; len++) {
		snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"x\":\"%0*d\"}",
		         (int)len - 23, 0);
		assert_int_equal(strlen(header), len - 1);
		header[len - 1] = ' ';
		assert_int_equal(judge_signature(signed_token((struct slice){ header, len },
		                                              SLICE("{}"), &key), &key),
		                 len <= JWT_HEADER_MAX ? JWT_GOOD : JWT_BAD_HEADER);
	}
	memset(claims, ' ', sizeof claims);
	for (size_t len = 6000; len < 6200; len++) {
		struct slice token = signed_token(SLICE("{\"alg\":\"HS256\"}"),
		                                  (struct slice){ claims, len }, &key);

		assert_int_equal(judge_signature(guarded(token), &key),
		                 token.len <= JWT_TOKEN_MAX ? JWT_GOOD : JWT_MALFORMED);
		assert_true(token.len < JWT_TOKEN_MAX - 100 || len > 6000);
	}
	/* A signature as long as the longest, and one byte more. */
	for (size_t len = JWT_SIGNATURE_MAX; len <= JWT_SIGNATURE_MAX + 1; len++) {
		char room[2048];
		struct buf token = BUF(room);

		buf_lit(&token, "eyJhbGciOiJSUzI1NiJ9.");
		jwt_write_signature(&token, (struct slice){ claims, len });
		assert_int_equal(jwt_open(&t, buf_slice(&token)),
		                 len <= JWT_SIGNATURE_MAX ? JWT_GOOD : JWT_MALFORMED);
	}
}

/* Requirements J06, J07, J08: NOW is 1800000000, a life of 1800 s and a leeway of 5 s. */
static const struct {
	const char *claims;
	enum jwt_status status;
} claim_cases[] = {
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1800000000.5,\"exp\":1800001800.5}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1.8e9,\"exp\":1800001800}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800000001,\"sub\":\"s\"}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1800000005,\"exp\":1800000006}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"nbf\":1800000005}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1799998200,\"exp\":1800000000}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1799998196,\"exp\":1799999996}", JWT_GOOD },
	{ "{\"iss\":\"i\",\"iat\":1799998195,\"exp\":1799999995}", JWT_EXPIRED },
	{ "{\"iss\":\"i\",\"iat\":0,\"exp\":1}", JWT_EXPIRED },
	{ "{\"iss\":\"i\",\"iat\":1799998195,\"exp\":1799999995,\"aud\":\"a\"}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"j\",\"iat\":1799998195,\"exp\":1799999995}", JWT_WRONG_ISSUER },
	{ "{\"iss\":\"i\",\"iat\":1800000006,\"exp\":1800001800}", JWT_NOT_YET },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"nbf\":1800000006}", JWT_NOT_YET },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001801}", JWT_BAD_LIFE },
	{ "{\"iss\":\"i\",\"iat\":0,\"exp\":1800001800}", JWT_BAD_LIFE },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":253402300799}", JWT_BAD_LIFE },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800000000}", JWT_BAD_LIFE },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1799999999}", JWT_BAD_LIFE },
	{ "{\"iss\":\"I\",\"iat\":1800000000,\"exp\":1800001800}", JWT_WRONG_ISSUER },
	{ "{\"iss\":\"i\\u0000\",\"iat\":1800000000,\"exp\":1800001800}", JWT_WRONG_ISSUER },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"aud\":\"a\"}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"aud\":[]}", JWT_WRONG_AUDIENCE },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"aud\":null}",
	  JWT_WRONG_AUDIENCE },
	{ "{\"iat\":1800000000,\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"\",\"iat\":1800000000,\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":1,\"iat\":1800000000,\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":[\"i\"],\"iat\":1800000000,\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":\"1800000000\",\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":\"1800001800\"}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":null}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":true}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":-1}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":-1,\"exp\":1800001800}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":9223372036854775807}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1e300}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1e999}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"nbf\":\"0\"}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"nbf\":null}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"sub\":1}", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"exp\":1800001800}",
	  JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"\\u0073ub\":\"a\",\"sub\":\"b\"}",
	  JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800,\"x\":{\"y\":1,\"y\":1}}",
	  JWT_BAD_CLAIMS },
	{ "[]", JWT_BAD_CLAIMS },
	{ "null", JWT_BAD_CLAIMS },
	{ "\"\"", JWT_BAD_CLAIMS },
	{ "", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800", JWT_BAD_CLAIMS },
	{ "{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800001800}}", JWT_BAD_CLAIMS },
};

static void test_claims(void **state)
{
	static const struct jwt_expect e = { .typ = JWT_TYP_JWT, .iss = { "i", 1 },
	                                     .life_max_s = 1800, .leeway_s = 5 };
	struct jwt_claims c;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(claim_cases); i++) {
		enum jwt_status status;

		t.typ = JWT_TYP_JWT;
		t.payload_len = strlen(claim_cases[i].claims);
		memcpy(t.payload, claim_cases[i].claims, t.payload_len);
		status = jwt_judge(&t, &e, NOW, &c);
		if (status != claim_cases[i].status)
			fail_msg("%s: %s", claim_cases[i].claims, jwt_status_text(status));
		if (status == JWT_GOOD)
			assert_true(slice_eq(c.iss, SLICE("i")) && c.exp_s > c.iat_s);
	}
}

/* Requirement J08: each place takes its own kind of token alone. */
static void test_typ(void **state)
{
	static const char claims[] = "{\"iss\":\"i\",\"sub\":\"s\",\"iat\":1800000000,"
		"\"exp\":1800000060}";
	struct jwt_expect e = { .life_max_s = 60 };
	struct jwt_claims c;

	(void)state;
	t.payload_len = sizeof claims - 1;
	memcpy(t.payload, claims, t.payload_len);
	for (int is = JWT_TYP_NONE; is <= JWT_TYP_OTHER; is++)
		for (int wanted = JWT_TYP_NONE; wanted <= JWT_TYP_OTHER; wanted++) {
			t.typ = (enum jwt_typ)is;
			e.typ = (enum jwt_typ)wanted;
			assert_int_equal(jwt_judge(&t, &e, NOW, &c),
			                 is == wanted ? JWT_GOOD : JWT_WRONG_TYP);
		}
	assert_true(slice_eq(c.sub, SLICE("s")));
	assert_true(slice_eq(jwt_string(c.all, "iss"), SLICE("i")));
	assert_false(slice_given(jwt_string(c.all, "exp")));
	assert_false(slice_given(jwt_string(c.all, "nosuch")));
}

/* Requirement J07, RFC 7519 section 4.1.3. */
static void test_audience(void **state)
{
	static const struct {
		const char *aud;
		bool fits;
	} cases[] = {
		{ "\"a\"", true },
		{ "[\"a\"]", true },
		{ "[\"b\",\"a\"]", true },
		{ "\"A\"", false },
		{ "\"a \"", false },
		{ "\"\"", false },
		{ "[]", false },
		{ "[\"b\"]", false },
		{ "[\"a\",\"b\"]", true },
		{ "[\"a\",1]", false },
		{ "[1,\"a\"]", false },
		{ "[[\"a\"]]", false },
		{ "{\"a\":\"a\"}", false },
		{ "null", false },
		{ "1", false },
	};
	struct jwt_expect e = { .typ = JWT_TYP_ACCESS, .aud = SLICE("a"), .life_max_s = 60 };
	struct jwt_claims c;

	(void)state;
	t.typ = JWT_TYP_ACCESS;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		t.payload_len = (size_t)snprintf(t.payload, sizeof t.payload,
			"{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800000060,\"aud\":%s}",
			cases[i].aud);
		e.any_aud = false;
		if (jwt_judge(&t, &e, NOW, &c) != (cases[i].fits ? JWT_GOOD : JWT_WRONG_AUDIENCE))
			fail_msg("%s", cases[i].aud);
		e.any_aud = true;
		assert_int_equal(jwt_judge(&t, &e, NOW, &c), JWT_GOOD);
	}
	e.any_aud = false;
	t.payload_len = (size_t)snprintf(t.payload, sizeof t.payload,
		"{\"iss\":\"i\",\"iat\":1800000000,\"exp\":1800000060}");
	assert_int_equal(jwt_judge(&t, &e, NOW, &c), JWT_WRONG_AUDIENCE);
}

/* Requirement J10: 64 bytes, both numbers from 1 to n - 1. */
static void test_es256_signature(void **state)
{
	static const char *const cases[] = {
		"", "AA",
		/* a byte less, a byte more, DER */
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-K"
		"g6NU",
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-K"
		"g6NU1QA",
		"MEUCIA7RIVN5Y2xIPC9_FVgH1AKjsigDOvl8fheBmsMWnqZlAiEAxQoH04w8cOXY8S2vCEpUgKZlkMXy"
		"k1Cajz9_ioOjVNU",
		/* s and r */
		"xQoH04w8cOXY8S2vCEpUgKZlkMXyk1Cajz9_ioOjVNUO0SFTeWNsSDwvfxVYB9QCo7IoAzr5fH4XgZrD"
		"Fp6mZQ",
	};
	/* r and s: 0, 1, n - 1, n, n + 1, all ones, in any pair */
	static const char *const edges[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000001",
		"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
		"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
		"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	struct jwt_key key = read_key(A3_JWK);
	uint8_t digest[JWT_DIGEST_LEN], signature[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char token[512];

		snprintf(token, sizeof token, "%s.%s", A3_INPUT, cases[i]);
		assert_int_equal(judge_signature(slice_of(token), &key), JWT_BAD_SIGNATURE);
	}
	jwt_digest(SLICE(A3_INPUT), digest);
	for (size_t i = 0; i < COUNT_OF(edges) * COUNT_OF(edges); i++) {
		assert_true(hex_decode(slice_of(edges[i / COUNT_OF(edges)]), signature, 32));
		assert_true(hex_decode(slice_of(edges[i % COUNT_OF(edges)]), signature + 32, 32));
		if (jwt_check_public(&key, digest, slice_bytes(signature, sizeof signature)))
			fail_msg("r %zu, s %zu", i / COUNT_OF(edges), i % COUNT_OF(edges));
	}
	/* A signature is of its key. */
	assert_int_equal(jwt_open(&t, SLICE(A3_INPUT "." A3_SIGNATURE)), JWT_GOOD);
	assert_int_equal(jwt_verify(&t, &key), JWT_GOOD);
	for (size_t bit = 0; bit < 65 * 8; bit += 13) {
		key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(jwt_verify(&t, &key), JWT_BAD_SIGNATURE);
		key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* Requirement J11: signatures made with the private key of A.2 over encodings that a lax
 * parser takes for the right one. */
static const struct {
	const char *name, *signature;
} rs256_cases[] = {
	{ "without the NULL",
	  "m5Ox2gAv_JWF66B2GuC8miTYnFWM_f9YrHIzyPEaaV8eLCKmIcXoSkf4ms2sv3jyhT_6SDi_lu4IHH4UiUsWuT"
	  "wyJyrT6tvmBEedYISjANMFNfyU7HmhKQdfkAWQkmoT0VfTsHPlq68LI3QytkKdEHbasZ56c1TsaeQWxsXBfosG"
	  "WdnhzdQDORwWMlhGX_vwx1fVw9zXTvQDIyYTOqbjS-xQkKosWwxDRyrb8Ccjm7dL_36FPqMrpSsJ8IA4rXCVKR"
	  "HQNXogzJYwbbPloAdwI5gQ7K-v0cxcmJtbBd_T0RyLoUhIZjiBRX43gshzmreMEwu5GQ8TbTGmitLs5mqtVA" },
	{ "short padding, rubbish behind",
	  "fnGubd9Iw7tAOR3zD5HVqXoY8bvVJ5cJsrCKl159HGL9GDQE2WjnYsO4O7jN2BWQRc1lxqicY9D7LY2voc8yOX"
	  "Bz8jIA0dji0OaGTMjwfl4Rfgl4ZEX2uf_7H3kY1sRLGzk9tQ56sx48toIjNKtBPjZeydMqHq-vzGFs0UnECBZC"
	  "NbYTTt6YgbVe4dA6Q72iUiNO1RCCbETGm8YIWtjBQ4_WXSwx6Jj3quFriJlhmqWB-jMW71hua5tspcgC1_hGgv"
	  "KUo4QkiaGUOh2lOYYUfBi0DvJPcsFznhDe5oAvS41cyCcYG1Dnw6mXt1ACJKVgh--5r1Q1pCI9nsSZtiuRIA" },
	{ "block type 2",
	  "HdBWwXW2lg7XFurUJoXNyu7syoSqJr62gFRyLACf-uqL-D5gxblxdW5EhpgfKHqOwUCdSGR0X2ohoRG59xxviS"
	  "0TEJrAhSIWQ2qWYzAzkV86OFh4hASy9X6c4ikekjpo-ef9Rgrwb6swYYkgFmFmHsgyWqqA9IDU2AtECdbbWhdP"
	  "vtUtIlJNs8JgrulacKUg_R8-3FLWh3_tSrIzaLbGXiye2fafpFBcQAG8YPAZmooLjkje44Mfv3-slp2U9KVqYG"
	  "dlWlEP8rcNCLtePpdbTR0zMl8o0X1rKVB4vEpVNkYTPeD0VHZX_mWKgad4zg_J2_0BBlfJJDn8sOaxzq6iDA" },
	{ "a zero byte in the padding",
	  "WE3psLbBVwSfFj4tjdA6GNocZcpeN3369ZrCbvPhebtkE02mYH14vZxhAEIG3FsE6mxgBIoEXEmxtk9uTyey94"
	  "ITnb27NopPe2mjLwbVxWSSuwNz8jGhNnHEa7nyR3EAKTi3ALINDUNINTbnrU5Vai65CT2JBrve8Qagqo4OnzN4"
	  "riUNgKR9R5SWVHBsvSR0W9WXAuGky70wj4uYpAEmjvjGglQ8iU0OkQMxSdDOMfN93JXxPZzM-_ToOo0B8r6Ez1"
	  "XeSw_njw5fexKeyBUj6JUGEcIEtn7pZxR721L42le_2XASDDYJfB3y4--SirEFQ-9zHnVwTgY-sT_IHWHXOg" },
	{ "SHA-1's name",
	  "lTVFjqbZWjPVwtCeh76l3Gb1x6ipIOeTeUxy6ozymhZa8qEZ6_iiJP8TWBstHTWdlh9c3XkYrOY7XD-mKHhUvn"
	  "37LCKJSR-uYzWUlOLMoqokCDje0wD3ztZw_6zGMaQ_dfJq7utfw1PHfsrIt9tzmDk0r3jeqqay8Ky_YnyD1Bh8"
	  "9_ZL6jcn11uoIRXOhED_3CU0nj0aMcfFVdu9FPG5mKV_zQlREf54y6_kj1VWlOZs8TmmPAf7rSBLrWp3iiN_v6"
	  "thacx7bCtHomV_bd4BBrdTg1OFoHyymntJOg14pyOAyad49f3--XiFjnmx0RCp8Bjj_mq1dzSfggR-0HQ1bA" },
	{ "the digest alone",
	  "kz1vfQPMFNyxbDJlcUhKUIeumoPgJ-62fUvIDDdwyar6_abIXmvJzmpeCOLe1kwQrTzURVrQ3XPSW7R4CiZM5p"
	  "US3T_WjPLN-Pj76idF4_3CGJfFf5utuQldr2h57hODO70xggMx6Jw6BUEVOZb5EOVNF0L5COPTA0VHRl63PHov"
	  "rnVWK4Np7rY91UzNblrT1CFDHr0v-6Wc9zmLAmQYfTiIHIYfzGpLzLN19KOA4XsLg76SVOePkGxv5VZJNVSmOm"
	  "IQ_aWmPkflz2RDLddSy9AMiI4BuhWUilJrV1ZmxQZcviBhwSO-vdaDgU28cHxZ5dCPaa3ULp4g46FBkvBF0A" },
	{ "none", "" },
	{ "as long as the modulus, of zeros",
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
	{ "the modulus itself", A2_N },
	{ "a zero byte in front",
	  "AHAuIYlD6I_RHrXYLb94RfNBBq4bgf_3cxEWrdFxfYNlbUIK_TyW7t1zomY-UWZoewALhyJuAYftEHP5ReWCrf"
	  "zvFthaeY7oxm3bPbiXWxfQlAK-7dXZ2XAHEI2ygWDV-AQMp0RXYrgfvn_52S4K528k8lszu-b0SuYesQQKyyAE"
	  "TT75Eo7UATB5W9S9O0HuytBmq2UZgf3kjfd_Ny3Di5-v3TvvsYtdo8w8LrAvnjpB1hLKrRWREnOgXyO56Dj6r4"
	  "SdaYQp71oeiHmCNsPUDmBFIqVEyPJ6ei24BmPRbPfK6lbeQFyyIVpFssJVZrVawadIoHDfyKMqRpVD0Bnu-0c" },
};

static void test_rs256_encodings(void **state)
{
	struct jwt_key key = read_key(A2_JWK);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rs256_cases); i++) {
		char token[1024];
		enum jwt_status status;

		snprintf(token, sizeof token, "%s.%s", A2_INPUT, rs256_cases[i].signature);
		status = judge_signature(slice_of(token), &key);
		if (status != JWT_BAD_SIGNATURE)
			fail_msg("%s: %s", rs256_cases[i].name, jwt_status_text(status));
	}
	key.len--;
	assert_int_equal(judge_signature(SLICE(A2_INPUT "." A2_SIGNATURE), &key),
	                 JWT_BAD_SIGNATURE);
}

/* RFC 6979, appendix A.2.5. */
static void test_rfc6979(void **state)
{
	static const struct {
		const char *message, *signature;
	} cases[] = {
		{ "sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
		            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
		{ "test",   "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
		            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083" },
	};
	struct jwt_key key = { .alg = JWT_ES256, .len = JWT_POINT_LEN };
	uint8_t scalar[JWT_SCALAR_LEN], point[JWT_POINT_LEN], digest[JWT_DIGEST_LEN];
	uint8_t expected[64], made[64];

	(void)state;
	assert_true(hex_decode(
		SLICE("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"), scalar,
		sizeof scalar));
	assert_true(hex_decode(
		SLICE("0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
		      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"), point,
		sizeof point));
	assert_true(jwt_public_point(scalar, key.bytes));
	assert_memory_equal(key.bytes, point, sizeof point);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		jwt_digest(slice_of(cases[i].message), digest);
		assert_true(hex_decode(slice_of(cases[i].signature), expected, sizeof expected));
		assert_true(jwt_sign_es256(scalar, digest, made));
		assert_memory_equal(made, expected, sizeof made);
		assert_true(jwt_check_public(&key, digest, slice_bytes(made, sizeof made)));
		digest[0] ^= 1;
		assert_false(jwt_check_public(&key, digest, slice_bytes(made, sizeof made)));
	}
}

static void test_private_keys(void **state)
{
	static const struct {
		const char *scalar;
		bool sound;
	} cases[] = {
		{ "0000000000000000000000000000000000000000000000000000000000000001", true },
		{ "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", true },
		{ "0000000000000000000000000000000000000000000000000000000000000000", false },
		{ "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", false },
		{ "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552", false },
		{ "ffffffff00000001000000000000000000000000000000000000000000000000", false },
		{ "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false },
	};
	uint8_t scalar[JWT_SCALAR_LEN], digest[JWT_DIGEST_LEN] = { 1 }, signature[JWT_ES256_LEN];
	struct jwt_key key = { .alg = JWT_ES256, .len = JWT_POINT_LEN };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_true(hex_decode(slice_of(cases[i].scalar), scalar, sizeof scalar));
		assert_int_equal(jwt_public_point(scalar, key.bytes), cases[i].sound);
		assert_int_equal(jwt_sign_es256(scalar, digest, signature), cases[i].sound);
		if (cases[i].sound)
			assert_true(jwt_check_public(&key, digest, slice_bytes(signature, 64)));
	}
}

/* RFC 7638, section 3.1. */
static void test_rfc7638(void **state)
{
	struct jwt_key key;

	(void)state;
	key = read_key("{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78"
	"LhWx4cb"
		"bfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5"
		"n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg"
		"dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksIN"
		"HaQ-G_xBniIqbw0"
		"Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\"}");
	assert_true(slice_eq(kid_of(&key), SLICE("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")));
	/* The same by Python's hashlib, of {"crv":"P-256","kty":"EC","x":...,"y":...}. */
	key = read_key(A3_JWK);
	assert_true(slice_eq(kid_of(&key), SLICE("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U")));
}

/* Requirement J13: public members, and not one more. */
static void test_key_write(void **state)
{
	struct jwt_key key = read_key(A3_JWK), back;
	char room[512];
	struct buf out = BUF(room);
	const char *why;

	(void)state;
	jwt_key_write(&out, &key);
	assert_true(slice_eq(buf_slice(&out),
		SLICE("{\"kty\":\"EC\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":"
		      "\"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U\",\"crv\":\"P-256\"," A3_XY
		      "}")));
	assert_int_equal(jwt_keys_read(buf_slice(&out), &back, 1, &why), 1);
	assert_memory_equal(back.bytes, key.bytes, JWT_POINT_LEN);
	assert_true(slice_eq(kid_of(&back), kid_of(&key)));
}

static void test_write(void **state)
{
	static const char claims[] = "{\"_v\":\"1\",\"exp\":1800001800,\"iat\":1800000000,"
		"\"iss\":\"i\"}";
	struct jwt_key key = secret_key(A1_K, "\"a\\b");
	uint8_t mac[JWT_DIGEST_LEN];
	char room[1024], small[64];

	(void)state;
	for (int typ = JWT_TYP_JWT; typ <= JWT_TYP_ACCESS; typ++) {
		struct buf out = BUF(room), full = BUF(small);

		jwt_write_input(&out, JWT_HS256, kid_of(&key), (enum jwt_typ)typ, SLICE(claims));
		jwt_sign_hs256(slice_bytes(key.bytes, key.len), buf_slice(&out), mac);
		jwt_write_signature(&out, slice_bytes(mac, sizeof mac));
		assert_int_equal(judge_signature(buf_slice(&out), &key), JWT_GOOD);
		assert_int_equal(t.typ, typ);
		assert_true(slice_eq((struct slice){ t.payload, t.payload_len }, SLICE(claims)));
		/* What the fragments of OCAPI's tokens look like (spec ocapi, section 3). */
		assert_int_equal(slice_starts(buf_slice(&out), SLICE("eyJfdiI6IjEiLCJhbGci")),
		                 typ == JWT_TYP_JWT);
		assert_non_null(memmem(room, out.len, ".eyJfdiI6IjEiLCJleHA", 20));
		jwt_write_input(&full, JWT_ES256, kid_of(&key), (enum jwt_typ)typ, SLICE(claims));
		assert_true(full.full);
	}
}

static const struct {
	const char *name, *text;
	size_t count;
} key_cases[] = {
	{ "RSA", A2_JWK, 1 },
	{ "EC", A3_JWK, 1 },
	{ "RSA in PEM", A2_PEM, 1 },
	{ "EC in PEM", A3_PEM, 1 },
	{ "words in front", "our key\n" A2_PEM, 1 },
	{ "both in PEM", "\n" A2_PEM "a comment\n" A3_PEM, 2 },
	{ "PEM without the last line's end", "-----BEGIN PUBLIC KEY-----\r\n"
	  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\r\n"
	  "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\r\n"
	  "-----END PUBLIC KEY-----", 1 },
	{ "a set", "{\"keys\":[" A2_JWK "," A3_JWK "]}", 2 },
	{ "a set with others", "{\"keys\":[{\"kty\":\"OKP\"}," A2_JWK ",{\"kty\":\"RSA\","
	  "\"use\":\"enc\",\"n\":\"AQ\",\"e\":\"AQAB\"},1]}", 1 },
	{ "an empty set", "{\"keys\":[]}", 0 },
	{ "a set of one that is nothing", "{\"keys\":[{}]}", 0 },
	{ "a set of three", "{\"keys\":[" A2_JWK "," A3_JWK "," A2_JWK "]}", 0 },
	{ "a set that is none", "{\"keys\":{}}", 0 },
	{ "three in PEM", A2_PEM A3_PEM A2_PEM, 0 },
	{ "to verify with", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\","
	  "\"key_ops\":[\"sign\",\"verify\"],\"alg\":\"ES256\"," A3_XY "}", 1 },
	{ "to encrypt with", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\"," A3_XY
	  "}", 0 },
	{ "use of another type", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":1," A3_XY
	  "}", 0 },
	{ "to sign with", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"key_ops\":[\"sign\"],"
	  A3_XY "}",
	  0 },
	{ "to do nothing with", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"key_ops\":[],"
	  A3_XY "}",
	  0 },
	{ "another alg", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES384\"," A3_XY
	  "}", 0 },
	{ "alg of the other", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"RS256\","
	  A3_XY "}",
	  0 },
	{ "PS256", "{\"kty\":\"RSA\",\"n\":\"" A2_N
	  "\",\"e\":\"AQAB\",\"alg\":\"PS256\"}", 0 },
	{ "HS256", "{\"kty\":\"RSA\",\"n\":\"" A2_N
	  "\",\"e\":\"AQAB\",\"alg\":\"HS256\"}", 0 },
	{ "a secret", "{\"kty\":\"oct\",\"k\":\"" A1_K "\"}", 0 },
	{ "a private key", "{\"kty\":\"EC\",\"crv\":\"P-256\"," A3_XY
	  ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}", 0 },
	{ "a private key in PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n"
	  "-----END PRIVATE KEY-----\n", 0 },
	{ "a certificate",
	  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0 },
	{ "a point of another curve", "{\"kty\":\"EC\",\"crv\":\"P-384\"," A3_XY "}", 0 },
	{ "no curve", "{\"kty\":\"EC\"," A3_XY "}", 0 },
	{ "off the curve", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}", 0 },
	{ "zero", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", 0 },
	{ "x too short", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURQ\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}", 0 },
	{ "x too long", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"AH_NzidPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURQ\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}", 0 },
	{ "x missing", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":"
	  "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}", 0 },
	{ "base64 with padding", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}", 0 },
	{ "kid of another type", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":1," A3_XY
	  "}", 0 },
	{ "n missing", "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", 0 },
	{ "n empty", "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}", 0 },
	{ "n short", "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", 0 },
	{ "e missing", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\"}", 0 },
	{ "e empty", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"\"}", 0 },
	{ "e = 0", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AA\"}", 0 },
	{ "e = 1", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQ\"}", 0 },
	{ "e = 2", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"Ag\"}", 0 },
	{ "e = 3", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"Aw\"}", 1 },
	{ "e = 65536", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAA\"}", 0 },
	{ "e of five bytes", "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAAAAE\"}", 0 },
	{ "even n", "{\"kty\":\"RSA\",\"n\":\"" A2_N "AA\",\"e\":\"AQAB\"}", 0 },
	{ "no kty", "{\"crv\":\"P-256\"," A3_XY "}", 0 },
	{ "kty twice", "{\"kty\":\"EC\",\"kty\":\"EC\",\"crv\":\"P-256\"," A3_XY "}", 0 },
	{ "no object", "[]", 0 },
	{ "nothing", "", 0 },
	{ "blanks", " \n", 0 },
	{ "PEM cut short", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n", 0 },
	{ "PEM of rubbish", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n"
	  "-----END PUBLIC KEY-----\n", 0 },
	{ "1024 bits in PEM", "-----BEGIN PUBLIC KEY-----\n"
	  "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCiXYPKdzqbCRvY27HhoYQrM6wD\n"
	  "6f74RxBsfJzx1eiCVMiQBGXUSReMBiZoFPWwqVV/MEk8EbS461FTY+vgM+uCbEkH\n"
	  "bk4EgTamjaRuFFPPrzSAZvKiYowqzQJKO6iAQdIc53EJWz2k33ajbHn5bvJrzcfk\n"
	  "tY7OwcHvdV4qMgZiqQIDAQAB\n"
	  "-----END PUBLIC KEY-----\n", 0 },
	{ "a compressed point", "-----BEGIN PUBLIC KEY-----\n"
	  "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAC0rBdWWGobLDNXKJlUaK9BgSSboIS\n"
	  "hcV2Vn5op/DYDSM=\n"
	  "-----END PUBLIC KEY-----\n", 0 },
	{ "bits that are no bytes", "-----BEGIN PUBLIC KEY-----\n"
	  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgEEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
	  "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
	  "-----END PUBLIC KEY-----\n", 0 },
	{ "a length in a longer form", "-----BEGIN PUBLIC KEY-----\n"
	  "MIFZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABH/Nzidw9sRdQYPL7m/bS3tYBzM1\n"
	  "e+nvE7rPbjx70VRFx/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0=\n"
	  "-----END PUBLIC KEY-----\n", 0 },
	{ "nothing in PEM", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", 0 },
	{ "kid of 64 bytes", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\""
	  "0123456789012345678901234567890123456789012345678901234567890123\"," A3_XY "}", 1 },
	{ "kid of 65 bytes", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\""
	  "01234567890123456789012345678901234567890123456789012345678901234\"," A3_XY "}", 0 },
	{ "an empty kid", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"\"," A3_XY "}", 1 },
	{ "to verify with, and more", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"key_ops\":[\"verify\",\"sign\"]," A3_XY "}", 1 },
	{ "y too long", "{\"kty\":\"EC\",\"crv\":\"P-256\","
	  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	  "\"y\":\"AMfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\"}", 0 },
	{ "PEM of no base64",
	  "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", 0 },
	{ "P-384 in PEM", "-----BEGIN PUBLIC KEY-----\n"
	  "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqofKIr6LBTeOscce8yCtdG4dO2KLp5uY\n"
	  "WfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3NhfeSpYmLG9dnpi/kpLcKfj0Hb0omhR8\n"
	  "6doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f\n-----END PUBLIC KEY-----\n", 0 },
};

static void test_keys_read(void **state)
{
	struct jwt_key keys[2];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(key_cases); i++) {
		const char *why = NULL;
		size_t count = jwt_keys_read(guarded(slice_of(key_cases[i].text)), keys, 2, &why);

		if (count != key_cases[i].count)
			fail_msg("%s: %zu: %s", key_cases[i].name, count, why);
		if (count == 0 && why == NULL)
			fail_msg("%s: no word about it", key_cases[i].name);
	}
}

/* Both forms of a key are the same key; a byte of its DER changed anywhere is none, or another. */
static void test_spki(void **state)
{
	static const char *const jwks[] = { A2_JWK, A3_JWK }, *const pems[] = { A2_PEM, A3_PEM };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pems); i++) {
		struct jwt_key a = read_key(jwks[i]), b = read_key(pems[i]), other;
		char text[1024];
		const char *why;
		size_t len = strlen(pems[i]);

		assert_int_equal(a.alg, b.alg);
		assert_true(slice_eq(slice_bytes(a.bytes, a.len), slice_bytes(b.bytes, b.len)));
		assert_true(slice_eq(kid_of(&a), kid_of(&b)));
		for (size_t at = 27; at < len - 26; at++) {
			memcpy(text, pems[i], len);
			text[at] = text[at] == 'B' ? 'C' : 'B';
			if (jwt_keys_read((struct slice){ text, len }, &other, 1, &why) == 1)
				assert_false(a.exponent == other.exponent &&
				             slice_eq(slice_bytes(a.bytes, a.len),
				                      slice_bytes(other.bytes, other.len)));
		}
	}
}

/* Requirement J11: 2048 bits are the least, 4096 the most. */
static void test_rsa_sizes(void **state)
{
	static const struct {
		size_t bytes;
		uint8_t first;
		bool taken;
	} cases[] = {
		{ 64, 0x80, false }, { 128, 0xff, false }, { 255, 0xff, false },
		{ 256, 0x7f, false }, { 256, 0x80, true }, { 256, 0xff, true },
		{ 257, 0x01, true }, { 384, 0xc0, true }, { 512, 0xff, true },
		{ 513, 0x01, false }, { 520, 0x80, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char n[600], room[1024];
		struct buf jwk = BUF(room);
		struct jwt_key key;
		const char *why;

		memset(n, 0x55, sizeof n);
		n[0] = (char)cases[i].first;
		buf_lit(&jwk, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
		put_text(&jwk, (struct slice){ n, cases[i].bytes });
		buf_lit(&jwk, "\"}");
		assert_false(jwk.full);
		if ((jwt_keys_read(buf_slice(&jwk), &key, 1, &why) == 1) != cases[i].taken)
			fail_msg("%zu bytes, first %02x", cases[i].bytes, cases[i].first);
	}
}

/* The key of a row, secret ones too. */
static bool corpus_key(struct slice jwk, struct jwt_key *key)
{
	char error[JSON_ERROR_MAX];
	const json_t *root = json_parse(jwk, error);
	struct slice k = jwt_string(root, "k"), kid = jwt_string(root, "kid");
	struct buf bytes = { (char *)key->bytes, 0, sizeof key->bytes, false };
	const char *why;

	if (!slice_eq(jwt_string(root, "kty"), SLICE("oct")))
		return jwt_keys_read(jwk, key, 1, &why) == 1;
	assert_true(slice_eq(jwt_string(root, "alg"), SLICE("HS256")));
	assert_true(base64url_decode(k, &bytes) && kid.len <= JWT_KID_MAX);
	key->alg = JWT_HS256;
	key->len = bytes.len;
	key->kid_len = kid.len;
	memcpy(key->kid, kid.ptr, kid.len);
	return true;
}

static bool one_of(struct slice s, const char *const *list)
{
	for (; *list != NULL; list++)
		if (slice_eq(s, slice_of(*list)))
			return true;
	return false;
}

/* Rows of algorithms that are not spoken here are refused whatever they say; so are four whose
 * header names another algorithm than the key, and two with `?` in them. Two that are called
 * invalid are to the byte the valid row 357. */
static void test_corpus_jws(void **state)
{
	static const char *const policy_groups[] = { "ps256", "ps384", "ps512", "rs384", "rs512",
	                                             NULL };
	static const char *const policy_rows[] = { "346", "347", "350", "351", "372", "373", NULL };
	static const char *const twins[] = { "367", "370", NULL };
	enum { ID, RESULT, GROUP, FLAGS, KEY, JWS, COLUMNS };
	FILE *file = corpus_open("crypto/jws.tsv");
	struct slice f[COLUMNS];
	size_t taken = 0, refused = 0, by_policy = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		bool policy = one_of(f[GROUP], policy_groups) || one_of(f[ID], policy_rows);
		bool valid = slice_eq(f[RESULT], SLICE("valid")) || one_of(f[ID], twins);
		struct jwt_key key;
		bool good = corpus_key(f[KEY], &key) && judge_signature(f[JWS], &key) == JWT_GOOD;

		if (good != (valid && !policy))
			fail_msg("row %.*s", (int)f[ID].len, f[ID].ptr);
		by_policy += policy;
		taken += good;
		refused += !good && !policy;
	}
	corpus_close(file, "crypto/jws.tsv", taken + refused + by_policy, 401);
	assert_int_equal(taken, 20);
	assert_int_equal(refused, 294);
	assert_int_equal(by_policy, 87);
}

/* HS256 is the whole MAC with SHA-256: MACs of other hashes, and cut ones, are refused. */
static void test_corpus_hmac(void **state)
{
	enum { HASH, KEY, MESSAGE, TAG, VERDICT, SOURCE, COLUMNS };
	FILE *file = corpus_open("crypto/hmac.tsv");
	struct slice f[COLUMNS];
	size_t taken = 0, refused = 0, by_policy = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		uint8_t key_bytes[512], message[512];
		struct slice key = corpus_hex(f[KEY], key_bytes, sizeof key_bytes), tag;
		bool sha256 = slice_eq(f[HASH], SLICE("sha256")), policy, good;
		bool valid = slice_eq(f[VERDICT], SLICE("valid"));

		t.input = corpus_hex(f[MESSAGE], message, sizeof message);
		tag = corpus_hex(f[TAG], t.signature, sizeof t.signature);
		t.signature_len = tag.len;
		policy = valid && (!sha256 || tag.len != JWT_DIGEST_LEN);
		good = jwt_check_hs256(key, &t);
		if (good != (valid && !policy))
			fail_msg("%.*s", (int)f[SOURCE].len, f[SOURCE].ptr);
		by_policy += policy;
		taken += good;
		refused += !good && !policy;
	}
	corpus_close(file, "crypto/hmac.tsv", taken + refused + by_policy, 1722);
	assert_int_equal(taken, 108);
	assert_int_equal(refused, 324);
}

/* Of the curves P-256 alone; a signature of 64 bytes alone. */
static void test_corpus_ecdsa(void **state)
{
	enum { CURVE, POINT, MESSAGE, SIGNATURE, VERDICT, SOURCE, COLUMNS };
	FILE *file = corpus_open("crypto/ecdsa_raw.tsv");
	struct slice f[COLUMNS];
	size_t taken = 0, refused = 0, by_policy = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		uint8_t point_bytes[256], message_bytes[2048], signature_bytes[2048];
		struct slice point = corpus_hex(f[POINT], point_bytes, sizeof point_bytes);
		struct slice message = corpus_hex(f[MESSAGE], message_bytes, sizeof message_bytes);
		struct slice signature = corpus_hex(f[SIGNATURE], signature_bytes,
		                                    sizeof signature_bytes);
		struct jwt_key key = { .alg = JWT_ES256, .len = point.len };
		bool policy = !slice_eq(f[CURVE], SLICE("P-256")), good;
		uint8_t digest[JWT_DIGEST_LEN];

		memcpy(key.bytes, point.ptr, point.len);
		jwt_digest(message, digest);
		good = jwt_check_public(&key, digest, signature);
		if (good != (!policy && slice_eq(f[VERDICT], SLICE("valid"))))
			fail_msg("%.*s", (int)f[SOURCE].len, f[SOURCE].ptr);
		by_policy += policy;
		taken += good;
		refused += !good && !policy;
	}
	corpus_close(file, "crypto/ecdsa_raw.tsv", taken + refused + by_policy, 860);
	assert_int_equal(taken, 173);
	assert_int_equal(refused, 89);
	assert_int_equal(by_policy, 598);
}

/* What Wycheproof calls acceptable, the digest's name without its NULL, is refused here. */
static void test_corpus_rs256(void **state)
{
	enum { N, E, MESSAGE, SIGNATURE, VERDICT, SOURCE, COLUMNS };
	FILE *file = corpus_open("crypto/rs256.tsv");
	struct slice f[COLUMNS];
	size_t taken = 0, refused = 0, by_policy = 0;

	(void)state;
	while (corpus_row(file, f, COLUMNS)) {
		uint8_t n_bytes[1024], e_bytes[8], message_bytes[2048], signature_bytes[2048];
		struct slice n = corpus_hex(f[N], n_bytes, sizeof n_bytes);
		struct slice e = corpus_hex(f[E], e_bytes, sizeof e_bytes);
		struct slice message = corpus_hex(f[MESSAGE], message_bytes, sizeof message_bytes);
		struct slice signature = corpus_hex(f[SIGNATURE], signature_bytes,
		                                    sizeof signature_bytes);
		bool acceptable = slice_eq(f[VERDICT], SLICE("acceptable")), good;
		char room[2048];
		struct buf jwk = BUF(room);
		struct jwt_key key;
		uint8_t digest[JWT_DIGEST_LEN];
		const char *why;

		buf_lit(&jwk, "{\"kty\":\"RSA\",\"n\":\"");
		put_text(&jwk, n);
		buf_lit(&jwk, "\",\"e\":\"");
		put_text(&jwk, e);
		buf_lit(&jwk, "\"}");
		assert_int_equal(jwt_keys_read(buf_slice(&jwk), &key, 1, &why), 1);
		jwt_digest(message, digest);
		good = jwt_check_public(&key, digest, signature);
		if (good != slice_eq(f[VERDICT], SLICE("valid")))
			fail_msg("%.*s", (int)f[SOURCE].len, f[SOURCE].ptr);
		by_policy += acceptable;
		taken += good;
		refused += !good && !acceptable;
	}
	corpus_close(file, "crypto/rs256.tsv", taken + refused + by_policy, 776);
	assert_int_equal(taken, 24);
	assert_int_equal(refused, 749);
	assert_int_equal(by_policy, 3);
}

static void test_texts(void **state)
{
	(void)state;
	for (int i = 0; i < JWT_STATUSES; i++)
		assert_true(strlen(jwt_status_text((enum jwt_status)i)) > 3);
	assert_string_equal(jwt_status_text(JWT_STATUSES), "unknown");
	assert_string_equal(jwt_alg_text(JWT_ES256), "ES256");
	assert_string_equal(jwt_alg_text(JWT_ALGS), "unknown");
}

/* Claims as sidecart writes them are read without Jansson: with the verdict that jwt_judge() has of
 * them. True where they are such, and good. */
static bool read_alike(struct slice claims)
{
	static const struct jwt_expect e = { .typ = JWT_TYP_JWT, .life_max_s = 3600 };
	struct jwt_claims plain, other;
	enum jwt_status status;

	t.typ = JWT_TYP_JWT;
	t.payload_len = claims.len;
	memcpy(t.payload, claims.ptr, claims.len);
	status = jwt_judge_own(&t, &e, 1500, &plain);
	if (jwt_judge(&t, &e, 1500, &other) != status)
		fail_msg("%.*s: %s", (int)claims.len, claims.ptr, jwt_status_text(status));
	if (status == JWT_GOOD) {
		assert_int_equal(plain.exp_s, other.exp_s);
		assert_int_equal(plain.iss.len, other.iss.len);
	}
	return status == JWT_GOOD && plain.all == NULL;
}

/* Each byte at each place. */
static void test_own_claims_bytes(void **state)
{
	char text[] = "{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"sub\":\"ab\"}";
	struct slice claims = { text, sizeof text - 1 };
	unsigned read = 0;

	(void)state;
	for (size_t at = 0; at < claims.len; at++) {
		char kept = text[at];

		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			read += read_alike(claims);
		}
		text[at] = kept;
	}
	assert_true(read > claims.len);
}

static void test_own_claims(void **state)
{
	static const char *const claims[] = {
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"sub\":\"\\\"\",\"sid\":\"00\"}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"exp\":1901}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"aud\":\"x\"}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"a\\\"b\",\"sid\":\"\\u0030\"}",
		"{\"exp\":01900,\"iat\":1000,\"iss\":\"app\"}",
		"{\"exp\":\"1900\",\"iat\":1000,\"iss\":\"app\"}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"sub\":1}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"sid\":1}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"nbf\":1801}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"\"}",
		"{\"exp\":1400,\"iat\":1000,\"iss\":\"app\"}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\"}}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"sub\":{}}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"_v\":{]}",
		"{\"exp\":1900,\"iat\":1000,\"iss\":\"app\",\"site\":{}}",
		"{\"exp\":100000000000000,\"iat\":1000,\"iss\":\"app\"}",
		"{\"exp\":1900,\"iat\":1000,}", "{}", "{",
	};
	unsigned read = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(claims); i++)
		read += read_alike(slice_of(claims[i]));
	assert_int_equal(read, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7515),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_confusion),
		cmocka_unit_test(test_short_secret),
		cmocka_unit_test(test_header_members),
		cmocka_unit_test(test_embedded_key),
		cmocka_unit_test(test_kid),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_typ),
		cmocka_unit_test(test_audience),
		cmocka_unit_test(test_es256_signature),
		cmocka_unit_test(test_rs256_encodings),
		cmocka_unit_test(test_rfc6979),
		cmocka_unit_test(test_private_keys),
		cmocka_unit_test(test_rfc7638),
		cmocka_unit_test(test_key_write),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_keys_read),
		cmocka_unit_test(test_spki),
		cmocka_unit_test(test_rsa_sizes),
		cmocka_unit_test(test_corpus_jws),
		cmocka_unit_test(test_corpus_hmac),
		cmocka_unit_test(test_corpus_ecdsa),
		cmocka_unit_test(test_corpus_rs256),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_own_claims),
		cmocka_unit_test(test_own_claims_bytes),
	};

	json_seed(1);
	return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
