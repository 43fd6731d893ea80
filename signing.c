/* signing.c -- see signing.h. */
#include <bearssl.h>

#include "sha.h"
#include "signing.h"

/* HMAC-SHA256 under SHA-256 of `salt`, `use` and the secret. */
static void salted(struct slice secret, struct slice salt, struct slice use, struct slice value,
                   uint8_t mac[SIGNING_MAC_LEN])
{
	uint8_t derived[br_sha256_SIZE];
	br_sha256_context sha;
	br_hmac_key_context key;
	br_hmac_context hmac;

	br_sha256_init(&sha);
	br_sha256_update(&sha, salt.ptr, salt.len);
	br_sha256_update(&sha, use.ptr, use.len);
	br_sha256_update(&sha, secret.ptr, secret.len);
	br_sha256_out(&sha, derived);
	br_hmac_key_init(&key, sha256_class(), derived, sizeof derived);
	br_hmac_init(&hmac, &key, 0);
	br_hmac_update(&hmac, value.ptr, value.len);
	br_hmac_out(&hmac, mac);
	explicit_bzero(derived, sizeof derived);
	explicit_bzero(&key, sizeof key);
}

void signing_mac(struct slice secret, struct slice salt, struct slice value,
                 uint8_t mac[SIGNING_MAC_LEN])
{
	salted(secret, salt, SLICE("signer"), value, mac);
}

void signing_salted_hmac(struct slice secret, struct slice salt, struct slice value,
                         uint8_t mac[SIGNING_MAC_LEN])
{
	salted(secret, salt, (struct slice){ 0 }, value, mac);
}

void signing_write(struct buf *out, struct slice secret, struct slice salt, struct slice value)
{
	uint8_t mac[SIGNING_MAC_LEN];

	signing_mac(secret, salt, value, mac);
	buf_put(out, value);
	buf_char(out, ':');
	buf_base64url(out, mac, sizeof mac, SIGNING_TEXT_LEN);
}

bool signing_read(struct slice text, struct slice secret, struct slice salt,
                  struct slice *value)
{
	char expected[SIGNING_TEXT_LEN];
	struct buf signature = BUF(expected);
	uint8_t mac[SIGNING_MAC_LEN];

	if (text.len < SIGNING_TEXT_LEN + 1 || text.ptr[text.len - SIGNING_TEXT_LEN - 1] != ':')
		return false;
	*value = (struct slice){ text.ptr, text.len - SIGNING_TEXT_LEN - 1 };
	signing_mac(secret, salt, *value, mac);
	buf_base64url(&signature, mac, sizeof mac, SIGNING_TEXT_LEN);
	return slice_eq_secret(slice_skip(text, value->len + 1), buf_slice(&signature));
}
