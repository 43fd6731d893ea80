/* secret.h -- DATA/sid.secret and DATA/seal.key: made once, read with care.
 *
 * Also the one source of randomness, getrandom(2), which waits where the kernel's pool is
 * not ready yet (requirement S01).
 * Errors  false with one line in `error` that says what to do.
 */
#ifndef SECRET_H
#define SECRET_H

#include "bytes.h"

#define SECRET_MAX       4096   /* bytes of a Session-Id secret */
#define SECRET_ERROR_MAX 512

void secret_random(void *out, size_t len);

/* Reads the file into `out`; one final newline is dropped. Refused: no regular file, a mode
 * that lets group or others at it (requirement A05), an empty or over-long one. */
bool secret_read(const char *path, struct buf *out, char error[SECRET_ERROR_MAX]);

/* Makes the directory (0700), and in it sid.secret (32 random characters of base64url, at
 * `sid_secret_path`) and seal.key (32 random bytes as 64 hex digits), each mode 0600, where
 * they are not there yet. What is there is left alone. */
bool secret_create(const char *data, const char *sid_secret_path, char error[SECRET_ERROR_MAX]);

/* Writes a secret to `path`, mode 0600, for the owner of the directory `data`; what is there is
 * replaced, whole. */
bool secret_write(const char *path, struct slice secret, const char *data,
                  char error[SECRET_ERROR_MAX]);

/* Makes the names in the directory that holds `path` durable. */
bool secret_sync_parent(const char *path, char error[SECRET_ERROR_MAX]);

/* Reads DATA/seal.key. */
bool secret_read_seal_key(const char *data, uint8_t key[32], char error[SECRET_ERROR_MAX]);

/* A secret that something was made of, which need not be made again as long as it is the same.
 * One that is longer is never the same. */
struct secret_copy {
	size_t len;                     /* 0: none was kept */
	char bytes[128];
};

static inline bool secret_same(const struct secret_copy *c, struct slice secret)
{
	return c->len > 0 && slice_eq_secret(secret, (struct slice){ c->bytes, c->len });
}

static inline void secret_keep(struct secret_copy *c, struct slice secret)
{
	c->len = secret.len <= sizeof c->bytes ? secret.len : 0;
	if (c->len > 0)
		memcpy(c->bytes, secret.ptr, c->len);
}

#endif
