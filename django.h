/* django.h -- what Django keeps in its tables, read and written: sessions, password sums, times.
 *
 * Memory  what is read is written into the caller's buf.
 * Source  django/core/signing.py (TimestampSigner.sign_object), contrib/sessions/backends/
 *         base.py, contrib/auth/base_user.py of Django 3.1 to 5.2.
 */
#ifndef DJANGO_H
#define DJANGO_H

#include "bytes.h"

#define DJANGO_SESSION_MAX   65536      /* bytes of a session's JSON */
#define DJANGO_AUTH_HASH_LEN 64         /* hexadecimal digits */

enum django_error {
	DJANGO_OK,
	DJANGO_FORM,            /* not in the form that Django has since 3.1 */
	DJANGO_SIGNATURE,       /* another secret, or changed since */
	DJANGO_LONG,            /* over DJANGO_SESSION_MAX when unpacked */
	DJANGO_BROKEN,          /* signed so, but no base64url, or no zlib stream */
};

const char *django_error_text(enum django_error e);

/* Reads the column session_data of django_session: `[.]base64url:time:signature`. The session's
 * JSON goes behind `json`, when it was written to `*written_s`. */
enum django_error django_session_read(struct slice stored, struct slice secret, struct buf *json,
                                      uint64_t *written_s);

/* Writes one, not compressed, as Django itself reads it. */
void django_session_write(struct buf *out, struct slice secret, struct slice json,
                          uint64_t written_s);

/* What a session of a user holds as `_auth_user_hash`: it follows from the password's encoded
 * form (`pbkdf2_sha256$...`), so that a new password ends it. */
void django_auth_hash(struct slice secret, struct slice password,
                      char hex[DJANGO_AUTH_HASH_LEN]);

/* A time as dumpdata has it, `2026-11-22T05:50:27.206Z`: microseconds since 1970. Another zone
 * may stand for the Z; none is UTC. False for any other text, and for times before 1970. */
bool django_time_read(struct slice text, uint64_t *us);

#endif
