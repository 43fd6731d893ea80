/* seal.c -- see seal.h. */
#include <assert.h>
#include <bearssl.h>

#include "seal.h"

#define TAG_LEN 16
static_assert(SEAL_MORE == SEAL_NONCE_LEN + TAG_LEN, "nonce and tag");

/* RFC 8439, section 2.8, in place. */
static void run(const uint8_t *key, const void *nonce, struct slice bound, void *text, size_t len,
                uint8_t tag[TAG_LEN], int encrypt)
{
	br_poly1305_ctmul_run(key, nonce, text, len, bound.ptr, bound.len, tag,
	                      br_chacha20_ct_run, encrypt);
}

void seal_close(struct buf *out, const uint8_t key[SEAL_KEY_LEN],
                const uint8_t nonce[SEAL_NONCE_LEN], struct slice bound, struct slice text)
{
	uint8_t tag[TAG_LEN];

	if (out->full || text.len > SIZE_MAX - SEAL_MORE ||
	    text.len + SEAL_MORE > out->cap - out->len) {
		out->full = true;
		return;
	}
	buf_put(out, slice_bytes(nonce, SEAL_NONCE_LEN));
	buf_put(out, text);
	run(key, nonce, bound, out->ptr + out->len - text.len, text.len, tag, 1);
	buf_put(out, slice_bytes(tag, sizeof tag));
}

bool seal_open(struct buf *out, const uint8_t key[SEAL_KEY_LEN], struct slice bound,
               struct slice sealed)
{
	uint8_t tag[TAG_LEN];
	struct slice sent;
	size_t len;
	char *text;

	if (sealed.len < SEAL_MORE || out->full || sealed.len - SEAL_MORE > out->cap - out->len)
		return false;
	len = sealed.len - SEAL_MORE;
	sent = slice_skip(sealed, SEAL_NONCE_LEN + len);
	text = out->ptr + out->len;
	memcpy(text, sealed.ptr + SEAL_NONCE_LEN, len);
	run(key, sealed.ptr, bound, text, len, tag, 0);
	if (!slice_eq_secret(slice_bytes(tag, sizeof tag), sent)) {
		explicit_bzero(text, len);
		return false;
	}
	out->len += len;
	return true;
}
