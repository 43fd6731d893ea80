/* signing.h -- Django's signatures, as its shops make them: the basket cookie, stored sessions.
 *
 * HMAC-SHA256 of the value under SHA-256 of salt, "signer" and the secret.
 * Source  django/core/signing.py (Signer, algorithm sha256, Django 3.1 and later),
 *         django/utils/crypto.py (salted_hmac).
 */
#ifndef SIGNING_H
#define SIGNING_H

#include "bytes.h"

#define SIGNING_MAC_LEN  32
#define SIGNING_TEXT_LEN 43     /* the MAC in base64url, without padding */

/* The salt that a plain Signer() has. */
#define SIGNING_SALT_PLAIN "django.core.signing.Signer"

void signing_mac(struct slice secret, struct slice salt, struct slice value,
                 uint8_t mac[SIGNING_MAC_LEN]);

/* Django's salted_hmac(), where it is called without a Signer. */
void signing_salted_hmac(struct slice secret, struct slice salt, struct slice value,
                         uint8_t mac[SIGNING_MAC_LEN]);

/* Writes `value:signature`. */
void signing_write(struct buf *out, struct slice secret, struct slice salt, struct slice value);

/* Takes `value:signature` apart at its last colon; false where the signature is not right,
 * judged in constant time. `*value` points into `text`. */
bool signing_read(struct slice text, struct slice secret, struct slice salt,
                  struct slice *value);

#endif
