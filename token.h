/* token.h -- the key ring: the keys that our tokens are signed with and checked with.
 *
 * A key is published at once. It signs from `signs_s` on, when everybody may have seen it, and
 * until its successor does; it verifies until the last token that it signed is dead, and then
 * it is gone. So no token is ever of an unknown key (requirement J14).
 * The fronts check HS256 by themselves, so they know what it takes. But a copy of the store
 * alone makes no token: of an HS256 key the store holds a seed, which makes a secret together
 * with the Session-Id secret; of an ES256 key a private key that is sealed (seal.h).
 * Memory  strings of a token_key_record point into the store, as kv_get()'s slices do.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include "jwt.h"
#include "kv.h"
#include "record.h"
#include "seal.h"

#define TOKEN_KEYS_MAX   16             /* more of them are not added by hand */
#define TOKEN_LEEWAY_S   5              /* between the clocks of those who check tokens */
#define TOKEN_LIFE_MAX_S 86400          /* no token lives longer (setting token_ttl) */
#define TOKEN_RANDOM_LEN 60             /* drawn for one new key */
#define TOKEN_RECORD_MAX 256            /* bytes of a record */

/* "HS256", "ES256"; of an unknown one "unknown". */
const char *token_alg_text(uint8_t alg);
bool token_alg_parse(struct slice text, enum token_alg *alg);

/* Makes a key, and writes its record without times. A third of a millisecond for ES256: the
 * work of hashers and commands. False, now and then: draw anew. */
bool token_generate(struct buf *record, enum token_alg alg, const uint8_t seal_key[SEAL_KEY_LEN],
                    const uint8_t random[TOKEN_RANDOM_LEN]);

/* Opens an ES256 key's private one; false where the seal is broken. */
bool token_unseal(const struct token_key_record *r, const uint8_t seal_key[SEAL_KEY_LEN],
                  uint8_t scalar[JWT_SCALAR_LEN]);

/* An HS256 key's secret. */
void token_secret(struct slice sid_secret, const struct token_key_record *r,
                  uint8_t secret[JWT_SECRET_LEN]);

/* An ES256 key's public one. */
void token_public(const struct token_key_record *r, struct jwt_key *key);

/* The key of this kid, unless it is gone. */
enum kv_status token_find(struct kv *kv, struct slice kid, uint64_t now_s,
                          struct token_key_record *r);

/* The key that signs now; KV_NOT_FOUND where there is none of the algorithm. */
enum kv_status token_signer(struct kv *kv, enum token_alg alg, uint64_t now_s,
                            struct token_key_record *r);

/* Steps through all keys, gone ones too, but past what cannot be read (`check` tells of it);
 * `after` starts zeroed. */
enum kv_status token_next(struct kv *kv, struct record_key *after, struct token_key_record *r);

/* Adds the new key `*r`, whose times are set here: it signs `delay_s` from now, where others of
 * its algorithm are there, else at once. Its predecessor gets its end. */
enum kv_status token_add(struct kv *kv, struct token_key_record *r, uint64_t now_s,
                         uint32_t delay_s);

/* Notes that `r` has signed a token which lives `life_s` from now: a put where none before
 * lived as long. */
enum kv_status token_used(struct kv *kv, const struct token_key_record *r, uint64_t now_s,
                          uint32_t life_s);

/* Ends a key at once, and all tokens that it signed. KV_NOT_FOUND where there is none. */
enum kv_status token_end(struct kv *kv, struct slice kid);

/* Deletes the keys that are gone. */
enum kv_status token_sweep(struct kv *kv, uint64_t now_s);

/* Checks the signature of one of our own tokens. `*verdict`: JWT_GOOD, what is wrong with it,
 * or JWT_UNPROVEN: then a hasher has to check it with `*key`. */
enum kv_status token_check(struct kv *kv, struct slice sid_secret, const struct jwt *t,
                           uint64_t now_s, enum jwt_status *verdict, struct jwt_key *key);

/* Writes the JWK set of all that is published: ES256 keys, their public members. `*count` says
 * how many. */
enum kv_status token_put_jwks(struct kv *kv, uint64_t now_s, struct buf *out, size_t *count);

#endif
