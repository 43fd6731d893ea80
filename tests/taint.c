/* taint.c -- no branch and no address depends on a secret (requirement A02).
 *
 * Run under valgrind, with every secret marked as undefined memory: memcheck then reports each
 * jump and each look-up that a secret decides. `taint leak` compares one with memcmp() and must
 * be reported: it shows that the others could be.
 */
#include <stdio.h>
#include <valgrind/memcheck.h>

#include "bytes.h"
#include "client.h"
#include "jwt.h"
#include "password.h"
#include "sid.h"

static char api_key[37], password[11], session_secret[32], stored[37], token_secret[32];
static uint8_t seal_key[SEAL_KEY_LEN];

#define TAINT(memory)   VALGRIND_MAKE_MEM_UNDEFINED(&(memory), sizeof(memory))
#define UNTAINT(memory) VALGRIND_MAKE_MEM_DEFINED(&(memory), sizeof(memory))

static bool compare(void)
{
	bool equal = slice_eq_secret(slice_bytes(api_key, sizeof api_key),
	                             slice_bytes(stored, sizeof stored));

	UNTAINT(equal);
	return equal;
}

static bool leak(void)
{
	return slice_eq(slice_bytes(api_key, sizeof api_key), slice_bytes(stored, sizeof stored));
}

static uint8_t digest(void)
{
	uint8_t out[RECORD_DIGEST_LEN];

	client_digest(slice_bytes(api_key, sizeof api_key), out);
	UNTAINT(out);
	return out[0];
}

static uint8_t session_key(void)
{
	uint8_t out[SID_KEY_LEN];
	struct sid s;

	if (sid_parse(SLICE("SID:ANON:example.com:taint"), SID_STRICT, &s) != SID_OK)
		return 0;
	sid_key(&s, SID_ANON, slice_bytes(session_secret, sizeof session_secret), out);
	UNTAINT(out);
	return out[0];
}

static uint8_t password_digest(void)
{
	uint8_t out[32];

	password_pbkdf2_sha256(slice_bytes(password, sizeof password), SLICE("seasalt"), 3, out,
	                       sizeof out);
	UNTAINT(out);
	return out[0];
}

static uint8_t seal(void)
{
	static const uint8_t nonce[12];
	char out[PASSWORD_SEALED_MAX];
	struct buf sealed = BUF(out);

	password_seal(&sealed, seal_key, nonce, 1, slice_bytes(password, sizeof password));
	UNTAINT(out);
	return (uint8_t)out[sealed.len - 1];
}

/* The secret and so the MAC that a token's is compared with (requirement J02). */
static bool token_mac(void)
{
	static struct jwt t;
	bool equal;

	if (jwt_open(&t, SLICE("eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	"AAAA"))
	    != JWT_GOOD)
		return false;
	equal = jwt_check_hs256(slice_bytes(token_secret, sizeof token_secret), &t);
	UNTAINT(equal);
	return !equal;
}

int main(int argc, char **argv)
{
	(void)argv;
	TAINT(api_key);
	TAINT(password);
	TAINT(session_secret);
	TAINT(seal_key);
	TAINT(token_secret);
	if (argc > 1)
		return leak();
	printf("%d %u %u %u %u %d\n", compare(), digest(), session_key(), password_digest(), seal(),
	       token_mac());
	return 0;
}
