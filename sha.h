/* sha.h -- SHA-1 and SHA-256 by the processor's own instructions, where it has them.
 *
 * They take the place of br_sha1_vtable and br_sha256_vtable, also below HMAC: contexts are those
 * of BearSSL, begun by the class's init(). Where the processor has no such instructions, the
 * classes are BearSSL's. The time does not depend on what is hashed, but for its length.
 * Source  FIPS 180-4.
 */
#ifndef SHA_H
#define SHA_H

#include <bearssl.h>

const br_hash_class *sha1_class(void);
const br_hash_class *sha256_class(void);

#endif
