/* jwt.c -- see jwt.h. */
#include <assert.h>

#include "jwt.h"
#include "sha.h"

#define DATE_MAX 253402300799.0         /* the end of the year 9999 */
#define PEM_MAX  1024                   /* bytes of an RSA key of 4096 bits in base64: 736 */
#define PLAIN_DIGITS_MAX 11             /* of a number that is a date for sure */

static const char *const alg_text[JWT_ALGS] = {
	[JWT_HS256] = "HS256",
	[JWT_ES256] = "ES256",
	[JWT_RS256] = "RS256",
};

static const char *const status_text[JWT_STATUSES] = {
	[JWT_GOOD]           = "good",
	[JWT_MALFORMED]      = "malformed",
	[JWT_BAD_HEADER]     = "bad header",
	[JWT_EXTENDED]       = "needs an extension that is not understood",
	[JWT_BAD_ALG]        = "algorithm not accepted",
	[JWT_NO_KEY]         = "no such key",
	[JWT_UNPROVEN]       = "not checked yet",
	[JWT_BAD_SIGNATURE]  = "bad signature",
	[JWT_BAD_CLAIMS]     = "bad claims",
	[JWT_WRONG_TYP]      = "of another type",
	[JWT_WRONG_ISSUER]   = "of another issuer",
	[JWT_WRONG_AUDIENCE] = "for another audience",
	[JWT_NOT_YET]        = "not valid yet",
	[JWT_BAD_LIFE]       = "lives too long",
	[JWT_EXPIRED]        = "expired",
};
static_assert(JWT_STATUSES == 15, "a new jwt_status needs its line in status_text");

const char *jwt_alg_text(enum jwt_alg alg)
{
	return (unsigned)alg < JWT_ALGS ? alg_text[alg] : "unknown";
}

const char *jwt_status_text(enum jwt_status s)
{
	return (unsigned)s < JWT_STATUSES ? status_text[s] : "unknown";
}

static struct slice json_slice(const json_t *string)
{
	if (!json_is_string(string))
		return (struct slice){ 0 };
	return (struct slice){ json_string_value(string), json_string_length(string) };
}

struct slice jwt_string(const json_t *object, const char *name)
{
	return json_slice(json_object_get(object, name));
}

/* Absent, or a string. */
static bool is_optional_string(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value == NULL || json_is_string(value);
}

static enum jwt_typ read_typ(struct slice typ)
{
	struct slice prefix = SLICE("application/");

	if (!slice_given(typ))
		return JWT_TYP_NONE;
	if (typ.len > prefix.len &&     /* which may be left out (RFC 7515, section 4.1.9) */
	    slice_eq_nocase((struct slice){ typ.ptr, prefix.len }, prefix))
		typ = slice_skip(typ, prefix.len);
	if (slice_eq_nocase(typ, SLICE("JWT")))
		return JWT_TYP_JWT;
	return slice_eq_nocase(typ, SLICE("at+jwt")) ? JWT_TYP_ACCESS : JWT_TYP_OTHER;
}

static bool read_alg(struct slice text, enum jwt_alg *alg)
{
	for (int i = 0; i < JWT_ALGS; i++)
		if (slice_eq(text, slice_of(alg_text[i]))) {
			*alg = (enum jwt_alg)i;
			return true;
		}
	return false;
}

/* A plain member that is a string, or absent; without escapes its text is what it says. */
static bool is_text(const struct json_member *m)
{
	return m->first == '"' || m->first == '\\' || m->first == '\0';
}

static bool is_plain_text(const struct json_member *m)
{
	return is_text(m) && m->first != '\\';
}

/* A plain member that is a number, and a date for sure. */
static bool read_plain_date(const struct json_member *m, uint64_t *date_s)
{
	return m->first >= '0' && m->first <= '9' && m->text.len <= PLAIN_DIGITS_MAX &&
	       slice_uint(m->text, UINT64_MAX, date_s);
}

/* The header as sidecart writes it. */
static bool read_plain_header(struct jwt *t, struct slice text)
{
	struct json_member m[] = { { .name = "_v" }, { .name = "alg" }, { .name = "kid" },
		                   { .name = "typ" } };
	const struct json_member *alg = &m[1], *kid = &m[2], *typ = &m[3];

	if (!json_plain(text, m, COUNT_OF(m)) || !is_text(&m[0]) || !is_plain_text(alg) ||
	    !is_plain_text(kid) || !is_plain_text(typ) ||
	    kid->text.len == 0 || kid->text.len > JWT_KID_MAX || !read_alg(alg->text, &t->alg))
		return false;
	t->kid_len = kid->text.len;
	memcpy(t->kid, kid->text.ptr, kid->text.len);
	t->typ = read_typ(typ->text);
	return true;
}

/* Every member is judged before `alg` is, so that what is malformed is called so. */
static enum jwt_status read_header(struct jwt *t, struct slice text)
{
	static const char *const extensions[] = { "crit", "b64", "zip" };
	char error[JSON_ERROR_MAX];
	const json_t *header;
	struct slice kid;

	if (read_plain_header(t, text))
		return JWT_GOOD;
	header = json_parse(text, error);
	if (!json_is_object(header) || !is_optional_string(header, "kid") ||
	    !is_optional_string(header, "typ") || !slice_given(jwt_string(header, "alg")))
		return JWT_BAD_HEADER;
	kid = jwt_string(header, "kid");
	if (slice_given(kid) && (kid.len == 0 || kid.len > JWT_KID_MAX))
		return JWT_BAD_HEADER;
	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		if (json_object_get(header, extensions[i]) != NULL)
			return JWT_EXTENDED;
	t->kid_len = kid.len;
	if (kid.len > 0)
		memcpy(t->kid, kid.ptr, kid.len);
	t->typ = read_typ(jwt_string(header, "typ"));
	return read_alg(jwt_string(header, "alg"), &t->alg) ? JWT_GOOD : JWT_BAD_ALG;
}

enum jwt_status jwt_open(struct jwt *t, struct slice token)
{
	char header_bytes[JWT_HEADER_MAX];
	struct buf header_text = BUF(header_bytes), payload = BUF(t->payload);
	struct buf signature = { (char *)t->signature, 0, sizeof t->signature, false };
	struct slice rest = token, header, claims;

	if (token.len > JWT_TOKEN_MAX)
		return JWT_MALFORMED;
	header = slice_cut(&rest, '.');
	claims = slice_cut(&rest, '.');
	if (!slice_given(rest))
		return JWT_MALFORMED;
	if (!base64url_decode(header, &header_text))
		return header_text.full ? JWT_BAD_HEADER : JWT_MALFORMED;
	if (!base64url_decode(claims, &payload) || !base64url_decode(rest, &signature))
		return JWT_MALFORMED;
	t->input = (struct slice){ token.ptr, header.len + 1 + claims.len };
	t->payload_len = payload.len;
	t->signature_len = signature.len;
	return read_header(t, buf_slice(&header_text));
}

const struct jwt_key *jwt_key_find(const struct jwt_key *keys, size_t count, const struct jwt *t)
{
	const struct jwt_key *found = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct jwt_key *key = &keys[i];

		if (key->alg != t->alg)
			continue;
		if (t->kid_len == 0 && found != NULL)
			return NULL;
		if (t->kid_len == 0 || slice_eq((struct slice){ key->kid, key->kid_len },
		                                (struct slice){ t->kid, t->kid_len }))
			found = key;
	}
	return found;
}

void jwt_digest(struct slice input, uint8_t digest[JWT_DIGEST_LEN])
{
	br_sha256_context sha;

	static_assert(JWT_DIGEST_LEN == br_sha256_SIZE, "SHA-256");
	br_sha256_init(&sha);
	br_sha256_update(&sha, input.ptr, input.len);
	br_sha256_out(&sha, digest);
}

void jwt_hmac_prepare(struct jwt_hmac_key *key, struct slice secret)
{
	br_hmac_key_init(&key->prepared, sha256_class(), secret.ptr, secret.len);
}

static void hmac(const struct jwt_hmac_key *key, struct slice input, uint8_t mac[JWT_DIGEST_LEN])
{
	br_hmac_context context;

	br_hmac_init(&context, &key->prepared, 0);
	br_hmac_update(&context, input.ptr, input.len);
	br_hmac_out(&context, mac);
	explicit_bzero(&context, sizeof context);
}

void jwt_sign_hs256(struct slice secret, struct slice input, uint8_t mac[JWT_DIGEST_LEN])
{
	struct jwt_hmac_key key;

	jwt_hmac_prepare(&key, secret);
	hmac(&key, input, mac);
	explicit_bzero(&key, sizeof key);
}

bool jwt_check_hmac(const struct jwt_hmac_key *key, const struct jwt *t)
{
	uint8_t mac[JWT_DIGEST_LEN];
	bool equal;

	hmac(key, t->input, mac);
	equal = slice_eq_secret(slice_bytes(mac, sizeof mac),
	                        slice_bytes(t->signature, t->signature_len));
	explicit_bzero(mac, sizeof mac);
	return equal;
}

bool jwt_check_hs256(struct slice secret, const struct jwt *t)
{
	struct jwt_hmac_key key;
	bool equal;

	jwt_hmac_prepare(&key, secret);
	equal = jwt_check_hmac(&key, t);
	explicit_bzero(&key, sizeof key);
	return equal;
}

/* From 1 to the order of P-256 less 1, big-endian. Its time tells nothing but the outcome. */
static bool in_range(const uint8_t number[32])
{
	size_t len;
	const uint8_t *order = br_ec_p256_m31.order(BR_EC_secp256r1, &len);
	unsigned borrow = 0, any = 0;

	assert(len == 32);
	for (size_t i = len; i-- > 0;) {
		borrow = (unsigned)number[i] - order[i] - borrow;
		borrow = borrow >> 8 & 1;
		any |= number[i];
	}
	return any != 0 && borrow == 1;
}

static bool check_es256(const struct jwt_key *key, const uint8_t *digest, struct slice signature)
{
	const uint8_t *rs = (const uint8_t *)signature.ptr;
	uint8_t point[JWT_POINT_LEN];
	br_ec_public_key public = { BR_EC_secp256r1, point, sizeof point };

	if (key->len != JWT_POINT_LEN || signature.len != JWT_ES256_LEN || !in_range(rs) ||
	    !in_range(rs + 32))
		return false;
	memcpy(point, key->bytes, sizeof point);
	return br_ecdsa_i31_vrfy_raw(&br_ec_p256_m31, digest, JWT_DIGEST_LEN, &public, rs,
	                             signature.len) == 1;
}

/* There is one encoding of the digest, and the signature has to yield it byte for byte: what
 * is not parsed cannot be parsed wrongly (RFC 8017, section 8.2.2). */
static bool check_rs256(const struct jwt_key *key, const uint8_t *digest, struct slice signature)
{
	static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	uint8_t got[JWT_SIGNATURE_MAX], expected[JWT_SIGNATURE_MAX], n[JWT_SIGNATURE_MAX];
	uint8_t e[4] = { (uint8_t)(key->exponent >> 24), (uint8_t)(key->exponent >> 16),
		         (uint8_t)(key->exponent >> 8), (uint8_t)key->exponent };
	br_rsa_public_key public = { n, key->len, e, sizeof e };
	size_t len = key->len, tail = sizeof info + JWT_DIGEST_LEN;

	if (len < JWT_RSA_MIN_BITS / 8 || len > sizeof n || signature.len != len)
		return false;
	memcpy(n, key->bytes, len);
	memcpy(got, signature.ptr, len);
	if (br_rsa_i31_public(got, len, &public) != 1)
		return false;
	memset(expected, 0xff, len);
	expected[0] = 0;
	expected[1] = 1;
	expected[len - tail - 1] = 0;
	memcpy(expected + len - tail, info, sizeof info);
	memcpy(expected + len - JWT_DIGEST_LEN, digest, JWT_DIGEST_LEN);
	return slice_eq(slice_bytes(got, len), slice_bytes(expected, len));
}

bool jwt_check_public(const struct jwt_key *key, const uint8_t digest[JWT_DIGEST_LEN],
                      struct slice signature)
{
	switch (key->alg) {
	case JWT_ES256:
		return check_es256(key, digest, signature);
	case JWT_RS256:
		return check_rs256(key, digest, signature);
	case JWT_HS256:
	case JWT_ALGS:
		break;
	}
	return false;
}

enum jwt_status jwt_verify(const struct jwt *t, const struct jwt_key *key)
{
	struct slice signature = slice_bytes(t->signature, t->signature_len);
	uint8_t digest[JWT_DIGEST_LEN];
	bool good;

	if (key->alg != t->alg)
		return JWT_BAD_ALG;
	if (key->alg == JWT_HS256) {
		good = key->len >= JWT_SECRET_LEN &&
		       jwt_check_hs256(slice_bytes(key->bytes, key->len), t);
	} else {
		jwt_digest(t->input, digest);
		good = jwt_check_public(key, digest, signature);
	}
	return good ? JWT_GOOD : JWT_BAD_SIGNATURE;
}

/* A NumericDate, which may have a fraction (RFC 7519, section 2). */
static bool read_date(const json_t *claims, const char *name, uint64_t *date_s)
{
	const json_t *value = json_object_get(claims, name);
	double number = json_number_value(value);

	if (!json_is_number(value) || !(number >= 0) || number > DATE_MAX)
		return false;
	*date_s = (uint64_t)number;
	return true;
}

/* A string, or an array of strings (RFC 7519, section 4.1.3). */
static bool is_meant_for(const json_t *aud, struct slice expected)
{
	const json_t *one;
	size_t i;
	bool found = false;

	if (json_is_string(aud))
		return slice_eq(json_slice(aud), expected);
	json_array_foreach(aud, i, one) {
		if (!json_is_string(one))
			return false;
		found = found || slice_eq(json_slice(one), expected);
	}
	return found;
}

/* Who made it, and for whom. */
static enum jwt_status judge_parties(const struct jwt_expect *e, const struct jwt_claims *c)
{
	const json_t *aud = json_object_get(c->all, "aud");

	if (slice_given(e->iss) && !slice_eq(e->iss, c->iss))
		return JWT_WRONG_ISSUER;
	if (e->any_aud)
		return JWT_GOOD;
	if (slice_given(e->aud))
		return is_meant_for(aud, e->aud) ? JWT_GOOD : JWT_WRONG_AUDIENCE;
	return aud == NULL ? JWT_GOOD : JWT_WRONG_AUDIENCE;
}

/* Claims that were read: whose they are, and when they hold. */
static enum jwt_status judge_read(const struct jwt_expect *e, const struct jwt_claims *c,
                                  uint64_t nbf_s, uint64_t now_s)
{
	enum jwt_status status = judge_parties(e, c);

	if (status != JWT_GOOD)
		return status;
	if (c->iat_s > now_s + e->leeway_s || nbf_s > now_s + e->leeway_s)
		return JWT_NOT_YET;
	if (c->exp_s <= c->iat_s || c->exp_s - c->iat_s > e->life_max_s)
		return JWT_BAD_LIFE;
	return now_s < c->exp_s + e->leeway_s ? JWT_GOOD : JWT_EXPIRED;
}

enum jwt_status jwt_judge(const struct jwt *t, const struct jwt_expect *e, uint64_t now_s,
                          struct jwt_claims *c)
{
	char error[JSON_ERROR_MAX];
	uint64_t nbf_s;

	assert(e->leeway_s <= JWT_LEEWAY_MAX_S);
	if (t->typ != e->typ)
		return JWT_WRONG_TYP;
	c->all = json_parse((struct slice){ t->payload, t->payload_len }, error);
	if (!json_is_object(c->all) || !is_optional_string(c->all, "sub"))
		return JWT_BAD_CLAIMS;
	c->iss = jwt_string(c->all, "iss");
	c->sub = jwt_string(c->all, "sub");
	if (c->iss.len == 0 || !read_date(c->all, "iat", &c->iat_s) ||
	    !read_date(c->all, "exp", &c->exp_s))
		return JWT_BAD_CLAIMS;
	nbf_s = c->iat_s;
	if (json_object_get(c->all, "nbf") != NULL && !read_date(c->all, "nbf", &nbf_s))
		return JWT_BAD_CLAIMS;
	return judge_read(e, c, nbf_s, now_s);
}

/* The claims as sidecart writes them, with their not-before. */
static bool read_plain_claims(struct slice text, struct jwt_claims *c, uint64_t *nbf_s)
{
	enum { V, EXP, IAT, ISS, SUB, SID, SITE, NBF };
	struct json_member m[] = {
		[V]   = { .name = "_v" },  [EXP] = { .name = "exp" }, [IAT]  = { .name = "iat" },
		[ISS] = { .name = "iss" }, [SUB] = { .name = "sub" }, [SID]  = { .name = "sid" },
		[SITE] = { .name = "site" }, [NBF] = { .name = "nbf" },
	};

	if (!json_plain(text, m, COUNT_OF(m)) || !is_text(&m[V]) || !is_text(&m[SUB]) ||
	    !is_plain_text(&m[ISS]) || !is_plain_text(&m[SID]) || !is_plain_text(&m[SITE]) ||
	    m[ISS].text.len == 0 || !read_plain_date(&m[EXP], &c->exp_s) ||
	    !read_plain_date(&m[IAT], &c->iat_s))
		return false;
	c->iss = m[ISS].text;
	c->sid = m[SID].text;
	c->site = m[SITE].text;
	*nbf_s = c->iat_s;
	return m[NBF].first == '\0' || read_plain_date(&m[NBF], nbf_s);
}

enum jwt_status jwt_judge_own(const struct jwt *t, const struct jwt_expect *e, uint64_t now_s,
                              struct jwt_claims *c)
{
	enum jwt_status status;
	uint64_t nbf_s;

	assert(e->leeway_s <= JWT_LEEWAY_MAX_S);
	*c = (struct jwt_claims){ 0 };
	if (t->typ == e->typ &&
	    read_plain_claims((struct slice){ t->payload, t->payload_len }, c, &nbf_s))
		return judge_read(e, c, nbf_s, now_s);
	status = jwt_judge(t, e, now_s, c);
	if (status != JWT_GOOD && status != JWT_EXPIRED)
		return status;
	c->sid = jwt_string(c->all, "sid");
	c->site = jwt_string(c->all, "site");
	return status;
}

static void put_base64url(struct buf *out, struct slice bytes)
{
	buf_base64url(out, (const uint8_t *)bytes.ptr, bytes.len, (bytes.len * 8 + 5) / 6);
}

void jwt_write_input(struct buf *out, enum jwt_alg alg, struct slice kid, enum jwt_typ typ,
                     struct slice claims)
{
	char text[JWT_HEADER_MAX];
	struct buf header = BUF(text);

	assert(typ == JWT_TYP_JWT || typ == JWT_TYP_ACCESS);
	buf_char(&header, '{');
	if (typ == JWT_TYP_JWT)
		buf_lit(&header, "\"_v\":\"1\",");
	buf_lit(&header, "\"alg\":\"");
	buf_str(&header, jwt_alg_text(alg));
	buf_lit(&header, "\",\"kid\":");
	json_put_string(&header, kid);
	buf_lit(&header, ",\"typ\":\"");
	buf_str(&header, typ == JWT_TYP_JWT ? "JWT" : "at+jwt");
	buf_lit(&header, "\"}");
	put_base64url(out, buf_slice(&header));
	buf_char(out, '.');
	put_base64url(out, claims);
}

void jwt_write_signature(struct buf *out, struct slice signature)
{
	buf_char(out, '.');
	put_base64url(out, signature);
}

bool jwt_sign_es256(const uint8_t scalar[JWT_SCALAR_LEN], const uint8_t digest[JWT_DIGEST_LEN],
                    uint8_t signature[JWT_ES256_LEN])
{
	uint8_t copy[JWT_SCALAR_LEN];
	br_ec_private_key private = { BR_EC_secp256r1, copy, sizeof copy };
	size_t len;

	if (!in_range(scalar))
		return false;
	memcpy(copy, scalar, sizeof copy);
	len = br_ecdsa_i31_sign_raw(&br_ec_p256_m31, &br_sha256_vtable, digest, &private,
	                            signature);
	explicit_bzero(copy, sizeof copy);
	return len == JWT_ES256_LEN;
}

bool jwt_public_point(const uint8_t scalar[JWT_SCALAR_LEN], uint8_t point[JWT_POINT_LEN])
{
	return in_range(scalar) &&
	       br_ec_p256_m31.mulgen(point, scalar, JWT_SCALAR_LEN, BR_EC_secp256r1) ==
	               JWT_POINT_LEN;
}

static void put_member(struct buf *out, const char *name, struct slice bytes)
{
	json_put_string(out, slice_of(name));
	buf_lit(out, ":\"");
	put_base64url(out, bytes);
	buf_char(out, '"');
}

static struct slice exponent_bytes(const struct jwt_key *key, uint8_t bytes[4])
{
	size_t skip = 0;

	for (size_t i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(key->exponent >> (24 - 8 * i));
	while (skip < 3 && bytes[skip] == 0)
		skip++;
	return slice_bytes(bytes + skip, 4 - skip);
}

void jwt_key_name(struct jwt_key *key)
{
	char text[2 * JWT_SIGNATURE_MAX];
	struct buf members = BUF(text);
	struct buf kid = { key->kid, 0, sizeof key->kid, false };
	uint8_t e[4], digest[JWT_DIGEST_LEN];

	assert(key->alg != JWT_HS256);
	/* The members that make the key, in order of their names (RFC 7638, section 3). */
	if (key->alg == JWT_ES256) {
		buf_lit(&members, "{\"crv\":\"P-256\",\"kty\":\"EC\",");
		put_member(&members, "x", slice_bytes(key->bytes + 1, 32));
		buf_char(&members, ',');
		put_member(&members, "y", slice_bytes(key->bytes + 33, 32));
	} else {
		buf_char(&members, '{');
		put_member(&members, "e", exponent_bytes(key, e));
		buf_lit(&members, ",\"kty\":\"RSA\",");
		put_member(&members, "n", slice_bytes(key->bytes, key->len));
	}
	buf_char(&members, '}');
	assert(!members.full);
	jwt_digest(buf_slice(&members), digest);
	put_base64url(&kid, slice_bytes(digest, sizeof digest));
	key->kid_len = kid.len;
}

void jwt_key_write(struct buf *out, const struct jwt_key *key)
{
	assert(key->alg == JWT_ES256);
	buf_lit(out, "{\"kty\":\"EC\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":");
	json_put_string(out, (struct slice){ key->kid, key->kid_len });
	buf_lit(out, ",\"crv\":\"P-256\",");
	put_member(out, "x", slice_bytes(key->bytes + 1, 32));
	buf_char(out, ',');
	put_member(out, "y", slice_bytes(key->bytes + 33, 32));
	buf_char(out, '}');
}

/* Takes the point, where it is one. */
static const char *set_point(struct jwt_key *key, struct slice point)
{
	static const uint8_t one[1] = { 1 };
	uint8_t copy[JWT_POINT_LEN];

	if (point.len != JWT_POINT_LEN || point.ptr[0] != 4)
		return "no uncompressed point of P-256";
	key->alg = JWT_ES256;
	key->len = point.len;
	memcpy(key->bytes, point.ptr, point.len);
	memcpy(copy, point.ptr, point.len);
	if (br_ec_p256_m31.mul(copy, sizeof copy, one, sizeof one, BR_EC_secp256r1) != 1)
		return "the point is not on the curve P-256";
	return NULL;
}

static struct slice skip_zeros(struct slice number)
{
	while (number.len > 0 && number.ptr[0] == 0)
		number = slice_skip(number, 1);
	return number;
}

static const char *set_modulus(struct jwt_key *key, struct slice n, struct slice e)
{
	size_t bits;

	n = skip_zeros(n);
	e = skip_zeros(e);
	bits = n.len * 8;
	for (int top = n.len > 0 ? (uint8_t)n.ptr[0] : 0x80; top < 0x80; top <<= 1)
		bits--;
	if (bits < JWT_RSA_MIN_BITS || bits > JWT_RSA_MAX_BITS)
		return "an RSA key has 2048 to 4096 bits here";
	key->exponent = 0;
	for (size_t i = 0; i < e.len && e.len <= 4; i++)
		key->exponent = key->exponent << 8 | (uint8_t)e.ptr[i];
	if (key->exponent < 3 || (key->exponent & 1) == 0 || (n.ptr[n.len - 1] & 1) == 0)
		return "modulus or exponent of the RSA key is not sound";
	key->alg = JWT_RS256;
	key->len = n.len;
	memcpy(key->bytes, n.ptr, n.len);
	return NULL;
}

/* The bytes of a member in base64url. */
static bool read_member(const json_t *jwk, const char *name, struct buf *out)
{
	return slice_given(jwt_string(jwk, name)) && base64url_decode(jwt_string(jwk, name), out);
}

static const char *read_ec(const json_t *jwk, struct jwt_key *key)
{
	char bytes[JWT_POINT_LEN] = { 4 };
	struct buf x = { bytes + 1, 0, 32, false }, y = { bytes + 33, 0, 32, false };

	if (!slice_eq(jwt_string(jwk, "crv"), SLICE("P-256")))
		return "of EC keys only P-256 is taken";
	if (!read_member(jwk, "x", &x) || !read_member(jwk, "y", &y) || x.len != 32 || y.len != 32)
		return "x and y of P-256 are 32 bytes each in base64url";
	return set_point(key, slice_bytes(bytes, sizeof bytes));
}

static const char *read_rsa(const json_t *jwk, struct jwt_key *key)
{
	char n_bytes[JWT_RSA_MAX_BITS / 8 + 1], e_bytes[8];
	struct buf n = BUF(n_bytes), e = BUF(e_bytes);

	if (!read_member(jwk, "n", &n) || !read_member(jwk, "e", &e))
		return "n and e of an RSA key are numbers in base64url";
	return set_modulus(key, buf_slice(&n), buf_slice(&e));
}

/* key_ops, where given, has "verify" in it (RFC 7517, section 4.3). */
static bool may_verify(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use"), *op;
	const json_t *ops = json_object_get(jwk, "key_ops");
	bool found = false;
	size_t i;

	if (use != NULL && !slice_eq(json_slice(use), SLICE("sig")))
		return false;
	if (ops == NULL)
		return true;
	json_array_foreach(ops, i, op)
		found = found || slice_eq(json_slice(op), SLICE("verify"));
	return found;
}

/* NULL: `*key` is one. */
static const char *read_jwk(const json_t *jwk, struct jwt_key *key)
{
	struct slice kty = jwt_string(jwk, "kty"), kid = jwt_string(jwk, "kid");
	const json_t *alg = json_object_get(jwk, "alg");
	const char *why;

	if (json_object_get(jwk, "d") != NULL || json_object_get(jwk, "k") != NULL)
		return "holds a private or secret key: give its public one alone";
	if (!may_verify(jwk))
		return "the key is not one that verifies signatures";
	if (slice_eq(kty, SLICE("EC")))
		why = read_ec(jwk, key);
	else if (slice_eq(kty, SLICE("RSA")))
		why = read_rsa(jwk, key);
	else
		why = "kty is neither EC nor RSA";
	if (why != NULL)
		return why;
	if (alg != NULL && !slice_eq(json_slice(alg), slice_of(jwt_alg_text(key->alg))))
		return "the key is of an algorithm that is neither ES256 nor RS256";
	if (!is_optional_string(jwk, "kid") || kid.len > JWT_KID_MAX)
		return "its kid is no text of 64 bytes at most";
	if (kid.len == 0) {
		jwt_key_name(key);
	} else {
		memcpy(key->kid, kid.ptr, kid.len);
		key->kid_len = kid.len;
	}
	return NULL;
}

static size_t read_json(struct slice text, struct jwt_key *keys, size_t cap, const char **why)
{
	char error[JSON_ERROR_MAX];
	const json_t *root = json_parse(text, error), *jwk;
	const json_t *set = json_object_get(root, "keys");
	size_t count = 0, i;

	*why = NULL;
	if (!json_is_object(root))
		*why = "no JSON object";
	else if (set == NULL)
		*why = read_jwk(root, &keys[count]);
	if (set == NULL || *why != NULL)
		return *why == NULL;
	json_array_foreach(set, i, jwk) {
		if (count == cap) {
			*why = "too many keys";
			return 0;
		}
		*why = read_jwk(jwk, &keys[count]);
		count += *why == NULL;
	}
	if (count == 0 && *why == NULL)
		*why = "holds no key";
	return count;
}

/* Takes a DER element with `tag` off the front; lengths up to 65,535, in their shortest form. */
static bool der_take(struct slice *in, uint8_t tag, struct slice *content)
{
	const uint8_t *at = (const uint8_t *)in->ptr;
	size_t head = 2, len;

	if (in->len < 2 || at[0] != tag)
		return false;
	len = at[1];
	if (len == 0x81 && in->len > 2 && at[2] >= 0x80) {
		head = 3;
		len = at[2];
	} else if (len == 0x82 && in->len > 3 && at[2] > 0) {
		head = 4;
		len = (size_t)at[2] << 8 | at[3];
	} else if (len >= 0x80) {
		return false;
	}
	if (in->len - head < len)
		return false;
	*content = (struct slice){ in->ptr + head, len };
	*in = slice_skip(*in, head + len);
	return true;
}

/* SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7; RFC 3279, section 2.3.1; RFC 5480). */
static const char *read_spki(struct slice der, struct jwt_key *key)
{
	static const char ec[] = "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
		"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
	static const char rsa[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
	static const char *const unsound = "no sound public key";
	struct slice info, algorithm, bits, numbers, n, e;

	if (!der_take(&der, 0x30, &info) || der.len > 0 || !der_take(&info, 0x30, &algorithm) ||
	    !der_take(&info, 0x03, &bits) || info.len > 0 || bits.len == 0 || bits.ptr[0] != 0)
		return unsound;
	bits = slice_skip(bits, 1);
	if (slice_eq(algorithm, SLICE(ec)))
		return set_point(key, bits);
	if (!slice_eq(algorithm, SLICE(rsa)))
		return "of PEM keys only P-256 and RSA are taken";
	if (!der_take(&bits, 0x30, &numbers) || bits.len > 0 || !der_take(&numbers, 0x02, &n) ||
	    !der_take(&numbers, 0x02, &e) || numbers.len > 0)
		return unsound;
	return set_modulus(key, n, e);
}

/* Of base64's alphabet the last two differ; its padding says nothing. */
static void put_digit(struct buf *out, char c)
{
	if (c != '=')
		buf_char(out, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
}

/* The key of one PEM object, `body` being its base64 in base64url's alphabet. */
static const char *read_object(const struct buf *body, struct jwt_key *key)
{
	char bytes[PEM_MAX];
	struct buf der = BUF(bytes);
	const char *why;

	if (body->full || !base64url_decode(buf_slice(body), &der))
		return "broken PEM";
	why = read_spki(buf_slice(&der), key);
	if (why == NULL)
		jwt_key_name(key);
	return why;
}

/* RFC 7468, section 13: lines between two others; what stands outside is a comment. */
static size_t read_pem(struct slice text, struct jwt_key *keys, size_t cap, const char **why)
{
	char bytes[PEM_MAX];
	struct buf body = BUF(bytes);
	bool inside = false;
	size_t count = 0;

	*why = NULL;
	while (*why == NULL && slice_given(text)) {
		struct slice line = slice_cut(&text, '\n');

		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (slice_eq(line, SLICE("-----BEGIN PUBLIC KEY-----"))) {
			inside = true;
			body = BUF(bytes);
		} else if (slice_starts(line, SLICE("-----BEGIN "))) {
			*why = "holds something other than PEM of the kind PUBLIC KEY";
		} else if (inside && slice_eq(line, SLICE("-----END PUBLIC KEY-----"))) {
			inside = false;
			*why = count == cap ? "too many keys" : read_object(&body, &keys[count++]);
		} else if (inside) {
			for (size_t i = 0; i < line.len; i++)
				put_digit(&body, line.ptr[i]);
		}
	}
	if (*why == NULL && (inside || count == 0))
		*why = inside ? "broken PEM" : "holds neither JSON nor PEM";
	return *why == NULL ? count : 0;
}

size_t jwt_keys_read(struct slice text, struct jwt_key *keys, size_t cap, const char **why)
{
	assert(cap > 0);
	return slice_has(text, '{') ? read_json(text, keys, cap, why) :
	                              read_pem(text, keys, cap, why);
}
