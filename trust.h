/* trust.h -- other issuers whose tokens are taken, and their public keys (setting token_trust).
 *
 * Read once, in the supervisor before it has children, who inherit it; never changed afterwards.
 * Source  RFC 7517 (JWK), RFC 8725 section 3.8: a key counts for its own issuer alone.
 */
#ifndef TRUST_H
#define TRUST_H

#include "config.h"
#include "jwt.h"

#define TRUST_ISSUERS_MAX 8
#define TRUST_KEYS_MAX    8             /* of one issuer */
#define TRUST_ISSUER_MAX  255           /* bytes of its name */
#define TRUST_FILE_MAX    65536         /* bytes of a file of keys */
#define TRUST_LIFE_MAX_S  86400         /* that a token of theirs may live */
#define TRUST_ERROR_MAX   512

struct trust_issuer {
	char name[TRUST_ISSUER_MAX + 1];
	size_t key_count;
	struct jwt_key keys[TRUST_KEYS_MAX];
};

/* Reads `ISSUER=FILE`, a comma list, in the place of what was read before; each file holds public
 * keys, ES256 or RS256, as JWK, JWK set or PEM. False: `error` says what is wrong with which
 * file, and nobody is trusted. */
bool trust_read(const char *setting, char error[TRUST_ERROR_MAX]);

/* The issuer of this name; NULL: nobody who is trusted. */
const struct trust_issuer *trust_find(struct slice name);

#endif
