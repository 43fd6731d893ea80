/* sid.h -- the Session-Id header: text to struct, struct to text, session key.
 *
 * `SID:type:realm:identifier[-thread][:count]`. Thread and count are read and ignored.
 * Source  W3C WD-session-id; oscarapi/middleware.py and utils/session.py for the
 *         `oscarapi` grammar and for the key.
 */
#ifndef SID_H
#define SID_H

#include "bytes.h"

enum sid_grammar {
	SID_STRICT,     /* realm a host name, identifier a UUID or [A-Za-z0-9+/=._~]+ */
	SID_OSCARAPI,   /* the original's regular expression, with its truncations */
	SID_MIGRATE,    /* read as SID_STRICT is; see sid_original_key() */
};

enum sid_type { SID_ANON, SID_AUTH };

enum sid_error {
	SID_OK,
	SID_NO_PREFIX,          /* does not start with "SID:" */
	SID_BAD_TYPE,           /* neither ANON nor AUTH */
	SID_BAD_REALM,
	SID_BAD_IDENTIFIER,
	SID_BAD_TAIL,           /* what follows the identifier is no -thread and :count */
	SID_ERRORS
};

#define SID_REALM_MAX 255
#define SID_KEY_LEN   20        /* bytes of a SHA-1 */

struct sid {
	enum sid_type type;
	struct slice realm;             /* strict: into realm_lower, in lower case */
	struct slice identifier;        /* into the header */
	struct slice thread, count;     /* absent where not sent (strict only) */
	struct slice whole;             /* into the header, up to the end of the identifier: */
	bool exact;                     /* what sid_write() writes, unless the realm has capitals */
	char realm_lower[SID_REALM_MAX];
};

/* Reads a header value, already trimmed. The slices live as long as `header` and `*s`;
 * `*s` must not be copied (realm points into it). */
enum sid_error sid_parse(struct slice header, enum sid_grammar grammar, struct sid *s);

/* A sentence for the 400, naming what was expected. */
const char *sid_error_text(enum sid_error e);

/* Writes `SID:type:realm:identifier`: what comes back to the client. Parsed again under
 * the strict grammar it is equal to itself. */
void sid_write(struct buf *out, const struct sid *s, enum sid_type type);

/* SHA-1 of "SID:type:realm:identifier" and the secret, as oscarapi makes it: bytes >= 0x80
 * count as the UTF-8 form of their Latin-1 character. */
void sid_key(const struct sid *s, enum sid_type type, struct slice secret,
             uint8_t key[SID_KEY_LEN]);

/* The key that the original would have cut out of `header`, which was read strictly into `*s`:
 * a UUID loses its last groups, and a realm keeps its capitals. False: it is the same one. */
bool sid_original_key(struct slice header, const struct sid *s, enum sid_type type,
                      struct slice secret, uint8_t key[SID_KEY_LEN]);

#endif
