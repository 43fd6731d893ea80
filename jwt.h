/* jwt.h -- JSON Web Tokens in JWS compact form: taken apart, checked, made; and their keys.
 *
 * A token is judged in three steps. jwt_open() takes it apart. Its signature is checked with
 * a key of ours, found by its kid: an HMAC at once, what a public key checks in a hasher, for
 * which the digest of the signing input is enough. jwt_judge() reads the claims. Who refuses
 * a token says nothing but that: enum jwt_status is for logs and tests, JWT_EXPIRED alone may
 * be told, since it is only found behind a good signature.
 * The key decides the algorithm. There is no "none", and fields that bring a key with them
 * (jwk, jku, x5c, x5u) are not looked at.
 * Memory  struct jwt holds what was decoded; its signing input points into the token. Claims
 *         live in the JSON arena until the next json_parse(), which jwt_open() calls too
 *         (json_seed() first).
 * Source  RFC 7515 (JWS), 7517 (JWK), 7518 sections 3.2 to 3.4, 7519 (JWT), 7638 (thumbprint),
 *         8725 (what to refuse), 9068 section 4 (at+jwt); RFC 6979 for the nonce of ES256;
 *         RFC 8017 section 8.2.2 for RS256.
 */
#ifndef JWT_H
#define JWT_H

#include <bearssl.h>

#include "bytes.h"
#include "json.h"

#define JWT_TOKEN_MAX     8192          /* bytes of the whole token */
#define JWT_HEADER_MAX    1024          /* bytes of its header's JSON */
#define JWT_KID_MAX       64
#define JWT_DIGEST_LEN    32            /* SHA-256: every algorithm here rests on it */
#define JWT_SECRET_LEN    32            /* the least that HS256 takes (RFC 7518, section 3.2) */
#define JWT_SIGNATURE_MAX 512           /* RS256 with 4096 bits */
#define JWT_POINT_LEN     65            /* of P-256, uncompressed: 4, x, y */
#define JWT_SCALAR_LEN    32            /* its private key */
#define JWT_ES256_LEN     64            /* r and s */
#define JWT_RSA_MIN_BITS  2048
#define JWT_RSA_MAX_BITS  4096
#define JWT_THUMBPRINT_CHARS 43
#define JWT_LEEWAY_MAX_S  60

enum jwt_alg { JWT_HS256, JWT_ES256, JWT_RS256, JWT_ALGS };

/* "HS256", "ES256", "RS256". */
const char *jwt_alg_text(enum jwt_alg alg);

/* What the header says that the token is. */
enum jwt_typ {
	JWT_TYP_NONE,
	JWT_TYP_JWT,            /* a shopper's own */
	JWT_TYP_ACCESS,         /* at+jwt: for a backend */
	JWT_TYP_OTHER,
};

enum jwt_status {
	JWT_GOOD,
	JWT_MALFORMED,          /* not three parts of canonical base64url, or too long */
	JWT_BAD_HEADER,         /* no JSON object, a member twice, of another type, too long */
	JWT_EXTENDED,           /* crit, b64 or zip: needs what is not done here */
	JWT_BAD_ALG,            /* none of the three, or not the key's */
	JWT_NO_KEY,             /* no key of this kid */
	JWT_UNPROVEN,           /* a hasher has yet to check the signature */
	JWT_BAD_SIGNATURE,
	JWT_BAD_CLAIMS,         /* no JSON object, a claim twice, missing, or of another type */
	JWT_WRONG_TYP,
	JWT_WRONG_ISSUER,
	JWT_WRONG_AUDIENCE,
	JWT_NOT_YET,            /* iat or nbf is still to come */
	JWT_BAD_LIFE,           /* ends before it begins, or lives longer than is allowed */
	JWT_EXPIRED,            /* nothing else is wrong with it */
	JWT_STATUSES
};

const char *jwt_status_text(enum jwt_status s);

struct jwt {
	enum jwt_alg alg;
	enum jwt_typ typ;
	size_t kid_len;                 /* 0: none was given */
	char kid[JWT_KID_MAX];
	struct slice input;             /* header and payload as they were signed */
	size_t signature_len;
	uint8_t signature[JWT_SIGNATURE_MAX];
	size_t payload_len;
	char payload[JWT_TOKEN_MAX];
};

/* A key that checks signatures. */
struct jwt_key {
	enum jwt_alg alg;
	size_t kid_len;
	char kid[JWT_KID_MAX];
	size_t len;
	/* HS256: the secret. ES256: the point. RS256: the modulus, without leading zeros. */
	uint8_t bytes[JWT_RSA_MAX_BITS / 8];
	uint32_t exponent;              /* RS256 */
};

/* Takes `token` apart. JWT_GOOD up to JWT_BAD_ALG; nothing is proven yet. */
enum jwt_status jwt_open(struct jwt *t, struct slice token);

/* The key that is to check `t`: of its kid and its algorithm; where it names none, the only
 * one of its algorithm. NULL: there is none. */
const struct jwt_key *jwt_key_find(const struct jwt_key *keys, size_t count,
                                   const struct jwt *t);

/* What is signed, and what the hasher is asked about: SHA-256 of the signing input. */
void jwt_digest(struct slice input, uint8_t digest[JWT_DIGEST_LEN]);

/* A secret as HMAC needs it: half of the work on a short text, done once. It is as secret. */
struct jwt_hmac_key {
	br_hmac_key_context prepared;
};

void jwt_hmac_prepare(struct jwt_hmac_key *key, struct slice secret);

/* Compare in constant time. */
bool jwt_check_hmac(const struct jwt_hmac_key *key, const struct jwt *t);
bool jwt_check_hs256(struct slice secret, const struct jwt *t);

/* Checks what an ES256 or RS256 key has signed: half a millisecond, the hasher's work. */
bool jwt_check_public(const struct jwt_key *key, const uint8_t digest[JWT_DIGEST_LEN],
                      struct slice signature);

/* The whole check with one key, algorithm included, for who may take the time. */
enum jwt_status jwt_verify(const struct jwt *t, const struct jwt_key *key);

/* What a token must say to be taken. */
struct jwt_expect {
	enum jwt_typ typ;
	struct slice iss;               /* absent: any */
	struct slice aud;               /* absent: the token must have none */
	bool any_aud;                   /* or it is not looked at */
	uint64_t life_max_s;            /* from iat to exp */
	uint64_t leeway_s;              /* between clocks; at most JWT_LEEWAY_MAX_S */
};

struct jwt_claims {
	json_t *all;                    /* an object */
	struct slice iss, sub;          /* sub: absent where there is none */
	struct slice sid, site;         /* of jwt_judge_own() alone; absent where no string is */
	uint64_t iat_s, exp_s;
};

/* Reads and judges the claims of a token whose signature is good. iss, iat and exp have to be
 * there. `*c` is whole for JWT_GOOD and JWT_EXPIRED. */
enum jwt_status jwt_judge(const struct jwt *t, const struct jwt_expect *e, uint64_t now_s,
                          struct jwt_claims *c);

/* The same for a token that says who its session is: with sid and site, but no sub, and `all` may
 * be NULL. Claims as sidecart writes them are read without making a document of them; any others
 * by jwt_judge(). */
enum jwt_status jwt_judge_own(const struct jwt *t, const struct jwt_expect *e, uint64_t now_s,
                              struct jwt_claims *c);

/* The string `name` of a JSON object; absent where there is none. */
struct slice jwt_string(const json_t *object, const char *name);

/* Writes the signing input: header, dot, claims (a JSON text). A shopper's token says `"_v":"1"`
 * first, as OCAPI's do. */
void jwt_write_input(struct buf *out, enum jwt_alg alg, struct slice kid, enum jwt_typ typ,
                     struct slice claims);
/* Writes a dot and the signature behind it. */
void jwt_write_signature(struct buf *out, struct slice signature);

/* Two hashes of a short text: any process does it itself. */
void jwt_sign_hs256(struct slice secret, struct slice input, uint8_t mac[JWT_DIGEST_LEN]);

/* A third of a millisecond. False: `scalar` is no private key of P-256. */
bool jwt_sign_es256(const uint8_t scalar[JWT_SCALAR_LEN], const uint8_t digest[JWT_DIGEST_LEN],
                    uint8_t signature[JWT_ES256_LEN]);

/* True where `scalar` is a private key of P-256; `point` is then its public one. */
bool jwt_public_point(const uint8_t scalar[JWT_SCALAR_LEN], uint8_t point[JWT_POINT_LEN]);

/* Names an ES256 or RS256 key by its thumbprint. */
void jwt_key_name(struct jwt_key *key);

/* Writes an ES256 key as a JWK: its public members, and nothing else is known here. */
void jwt_key_write(struct buf *out, const struct jwt_key *key);

/* Reads public keys: a JWK, a JWK set, or PEM ("PUBLIC KEY"), one or more. Without a kid of
 * its own a key is named by its thumbprint. Members of a set that are for something else
 * are passed over (RFC 7517, section 5). 0: none; `*why` then says what is wrong. */
size_t jwt_keys_read(struct slice text, struct jwt_key *keys, size_t cap, const char **why);

#endif
