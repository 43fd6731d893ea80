/* password.h -- Django's pbkdf2_sha256 hashes: made, checked, sealed.
 *
 * What takes long (password_check, password_make) runs in the hasher or in a command,
 * never in a front or the writer. The customer's id is bound to a sealed hash (seal.h), so
 * that one customer's hash cannot be put into another's record.
 * Source  django.contrib.auth.hashers (PBKDF2PasswordHasher); RFC 8018 section 5.2 for
 *         PBKDF2.
 */
#ifndef PASSWORD_H
#define PASSWORD_H

#include "bytes.h"
#include "seal.h"

#define PASSWORD_MAX            4096    /* bytes; a longer one never matches */
#define PASSWORD_HASH_MAX       256     /* bytes of `pbkdf2_sha256$iterations$salt$base64` */
#define PASSWORD_SEALED_MAX     (PASSWORD_HASH_MAX + SEAL_MORE)
#define PASSWORD_ITERATIONS_MAX 2000000

enum password_verdict { PASSWORD_WRONG, PASSWORD_RIGHT };

/* PBKDF2-HMAC-SHA256 and, for the published vectors, -SHA1; `out` of any length. */
void password_pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                            uint8_t *out, size_t len);
void password_pbkdf2_sha1(struct slice password, struct slice salt, uint32_t iterations,
                          uint8_t *out, size_t len);

/* True where `hash` is well-formed pbkdf2_sha256 with 1 to PASSWORD_ITERATIONS_MAX
 * iterations; gives the count. */
bool password_hash_valid(struct slice hash, uint32_t *iterations);

/* Checks `password` against `hash`, at a cost of max(its own, `iterations`) rounds whatever
 * the outcome. An empty or malformed hash is a dummy check: the same cost, PASSWORD_WRONG. */
enum password_verdict password_check(struct slice hash, struct slice password,
                                     uint32_t iterations);

/* Writes the hash of `password`; `salt` is 16 random bytes, used for 22 characters. */
void password_make(struct buf *out, struct slice password, uint32_t iterations,
                   const uint8_t salt[16]);

/* Seals `hash` for the customer; `nonce` is random and never used twice. */
void password_seal(struct buf *out, const uint8_t key[SEAL_KEY_LEN],
                   const uint8_t nonce[SEAL_NONCE_LEN], uint64_t customer_id,
                   struct slice hash);

/* Opens it into `out`; false where the seal is broken. */
bool password_unseal(struct buf *out, const uint8_t key[SEAL_KEY_LEN], uint64_t customer_id,
                     struct slice sealed);

#endif
