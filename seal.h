/* seal.h -- what no front may know, sealed under DATA/seal.key: ChaCha20-Poly1305.
 *
 * A sealed text is `nonce(12) ciphertext tag(16)`. What it belongs to is bound to it as
 * additional data, so that it cannot be put into another's place.
 * Source  RFC 8439.
 */
#ifndef SEAL_H
#define SEAL_H

#include "bytes.h"

#define SEAL_KEY_LEN   32
#define SEAL_NONCE_LEN 12
#define SEAL_MORE      28       /* bytes that a sealed text is longer */

/* Seals `text` behind `out`; `nonce` is random and never used twice. */
void seal_close(struct buf *out, const uint8_t key[SEAL_KEY_LEN],
                const uint8_t nonce[SEAL_NONCE_LEN], struct slice bound, struct slice text);

/* Opens it behind `out`. False: the seal is broken, or it does not fit; nothing was written. */
bool seal_open(struct buf *out, const uint8_t key[SEAL_KEY_LEN], struct slice bound,
               struct slice sealed);

#endif
