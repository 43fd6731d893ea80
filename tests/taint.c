/* taint.c -- no branch and no address depends on a secret (requirement A02).
 *
 * Run under valgrind, with every secret marked as undefined memory: memcheck then reports each
 * jump and each look-up that a secret decides, in whatever function. What slice_eq_secret() says
 * in the end is no secret (taint.h), nor is the key of a session, a keyed hash by which it is
 * looked up. With an argument one secret meets slice_eq(), here or in a module's place, and must
 * be reported: it shows that the others could be.
 *
 * Run here: the Session-Id secret in all that follows from it (session keys, CSRF tokens,
 * dwsecuretokens, the basket's cookie, token secrets), what a front remembers of others' keys,
 * Session-Ids and tokens, an API key's digest, passwords and their hashes, sealed bytes, MACs.
 * There by construction, since `make tidy` has memcmp() in bytes.h, address.c and kv.c alone, and
 * nobody else can measure it or it is no secret: both forms of a key or password in one request
 * (identity.c, oscar_user.c) are its sender's; the digest of a backup's file (backup.c), the
 * secrets compared at a restore and the hashes at an import (command_backup.c, gather.c,
 * transfer.c) are an operator's own, in a command that answers nobody; a token key's seed
 * (token.c) makes no secret by itself; a TLS session's id (tls.c) goes over the wire in the clear;
 * a guest's basket is compared with his session's key (call.c, ocapi_basket.c), by which the
 * store was searched before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "taint.h"

/* A failed check must not look like a found fault: it exits with another status. */
static void must(bool holds, const char *what, int line)
{
	if (holds)
		return;
	fprintf(stderr, "tests/taint.c:%d: not so: %s\n", line, what);
	exit(2);
}

#define assert_true(a)         must(a, #a, __LINE__)
#define assert_false(a)        must(!(a), "not " #a, __LINE__)
#define assert_int_equal(a, b) must((a) == (b), #a " is " #b, __LINE__)
#define assert_non_null(a)     must((a) != NULL, #a, __LINE__)
#define fail_msg(form, what)   must(false, what, __LINE__)

#include "call.h"
#include "client.h"
#include "password.h"
#include "seal.h"
#include "session.h"
#include "sid.h"
#include "signing.h"
#include "store.h"
#include "token.h"

#define NOW_S UINT64_C(1800000000)

static char api_key[37], password[11], session_secret[32], stored[37], token_secret_bytes[32];
static uint8_t seal_key[SEAL_KEY_LEN];
static bool store_fault;                /* a key that is remembered meets slice_eq() */

#define TAINT(memory)   VALGRIND_MAKE_MEM_UNDEFINED(&(memory), sizeof(memory))
#define UNTAINT(memory) VALGRIND_MAKE_MEM_DEFINED(&(memory), sizeof(memory))
#define SECRET          slice_bytes(session_secret, sizeof session_secret)

/* The key of a session is no secret any more. */
#define KEY_OF(name, ...) \
	void __real_##name(__VA_ARGS__, uint8_t key[RECORD_SESSION_KEY_LEN]); \
	void __wrap_##name(__VA_ARGS__, uint8_t key[RECORD_SESSION_KEY_LEN])

KEY_OF(session_cookie_key, struct slice secret, struct slice id);
KEY_OF(session_dwsid_key, struct slice secret, struct slice dwsid);

void __wrap_session_cookie_key(struct slice secret, struct slice id,
                               uint8_t key[RECORD_SESSION_KEY_LEN])
{
	__real_session_cookie_key(secret, id, key);
	VALGRIND_MAKE_MEM_DEFINED(key, RECORD_SESSION_KEY_LEN);
}

void __wrap_session_dwsid_key(struct slice secret, struct slice dwsid,
                              uint8_t key[RECORD_SESSION_KEY_LEN])
{
	__real_session_dwsid_key(secret, dwsid, key);
	VALGRIND_MAKE_MEM_DEFINED(key, RECORD_SESSION_KEY_LEN);
}

KEY_OF(sid_key, const struct sid *s, enum sid_type type, struct slice secret);

void __wrap_sid_key(const struct sid *s, enum sid_type type, struct slice secret,
                    uint8_t key[RECORD_SESSION_KEY_LEN])
{
	__real_sid_key(s, type, secret, key);
	VALGRIND_MAKE_MEM_DEFINED(key, RECORD_SESSION_KEY_LEN);
}

/* And what OCAPI calls a customer stands in his tokens. */
void __real_session_put_customer_id(struct buf *out, struct slice secret, uint64_t customer_id);
void __wrap_session_put_customer_id(struct buf *out, struct slice secret, uint64_t customer_id);

void __wrap_session_put_customer_id(struct buf *out, struct slice secret, uint64_t customer_id)
{
	__real_session_put_customer_id(out, secret, customer_id);
	VALGRIND_MAKE_MEM_DEFINED(out->ptr, out->len);
}

/* --- Functions by themselves. --- */

static void compare(void)
{
	assert_false(slice_eq_secret(slice_bytes(api_key, sizeof api_key),
	                             slice_bytes(stored, sizeof stored)));
}

static void digest(void)
{
	uint8_t out[RECORD_DIGEST_LEN];

	client_digest(slice_bytes(api_key, sizeof api_key), out);
}

static void passwords(void)
{
	static const uint8_t salt[16] = { 1 }, nonce[SEAL_NONCE_LEN];
	char hash[PASSWORD_HASH_MAX], sealed[PASSWORD_SEALED_MAX], open[PASSWORD_HASH_MAX];
	struct buf h = BUF(hash), s = BUF(sealed), o = BUF(open);
	struct slice given = slice_bytes(password, sizeof password);

	password_make(&h, given, 3, salt);
	assert_int_equal(password_check(buf_slice(&h), given, 3), PASSWORD_RIGHT);
	hash[h.len - 2] ^= 1;
	assert_int_equal(password_check(buf_slice(&h), given, 3), PASSWORD_WRONG);
	password_seal(&s, seal_key, nonce, 1, buf_slice(&h));
	assert_true(password_unseal(&o, seal_key, 1, buf_slice(&s)));
	sealed[s.len - 1] ^= 1;
	assert_false(password_unseal(&o, seal_key, 1, buf_slice(&s)));
}

/* The secret and so the MAC that a token's is compared with (requirement J02). */
static void token_mac(void)
{
	static struct jwt t;

	assert_int_equal(jwt_open(&t, SLICE("eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAA"
	                                    "AAAAAAAAAAAAAAAAA")), JWT_GOOD);
	assert_false(jwt_check_hs256(slice_bytes(token_secret_bytes, sizeof token_secret_bytes),
	                             &t));
}

static void basket_cookie(void)
{
	char text[64];
	struct buf cookie = BUF(text);
	struct slice value;

	signing_write(&cookie, SECRET, SLICE(SIGNING_SALT_PLAIN), SLICE("7"));
	assert_true(signing_read(buf_slice(&cookie), SECRET, SLICE(SIGNING_SALT_PLAIN), &value));
	text[cookie.len - 1] ^= 1;
	assert_false(signing_read(buf_slice(&cookie), SECRET, SLICE(SIGNING_SALT_PLAIN), &value));
}

/* --- Requests, over a store. --- */

static struct config config;
static struct identity_memo memo;
static struct identity id;
static struct http_request request;
static struct identity_question question;

/* Who sends these fields, each with its CRLF? */
static void ask(const char *fields)
{
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	static char head[4096];
	static struct address peer;
	struct http_refusal refusal;
	int len = snprintf(head, sizeof head,
	                   "POST /api/basket/ HTTP/1.1\r\nHost: shop.example\r\n%s\r\n", fields);

	address_parse(SLICE("192.0.2.1"), &peer);
	http_request_init(&request);
	assert_int_equal(http_parse(&request, (struct slice){ head, (size_t)len }, &limits,
	                            &refusal), HTTP_READY);
	question = (struct identity_question){ .config = &config, .sid_secret = SECRET, .kv = store,
	                                       .request = &request, .peer = &peer,
	                                       .now_s = NOW_S, .memo = &memo };
	assert_int_equal(identify(&question, &id), KV_OK);
}

/* What the front remembers is another's, who may be anybody. */
static void ask_again(const char *fields)
{
	ask(fields);
	TAINT(memo.text);
	for (size_t i = 0; i < COUNT_OF(memo.seen); i++)
		TAINT(memo.seen[i].bytes);
	for (size_t i = 0; i < COUNT_OF(memo.tokens); i++)
		TAINT(memo.tokens[i].text);
	ask(fields);
}

static void ask_with_key(void)
{
	struct client_record r = { .name = SLICE("app"), .scopes = SCOPE_TRUSTED | SCOPE_SHOP,
	                           .created_s = NOW_S };
	enum kv_status status;

	assert_int_equal(client_add(store, SLICE("trusted-key-of-the-app"), &r, &status),
	                 CLIENT_ADDED);
	ask_again("X-Api-Key: trusted-key-of-the-app\r\n"
	          "Session-Id: SID:ANON:shop.example:0123456789abcdef\r\n");
	assert_int_equal(id.refusal, IDENTITY_ADMITTED);
	assert_non_null(id.client);
	if (store_fault)
		assert_true(slice_eq(SLICE("trusted-key-of-the-app"),
		                     (struct slice){ memo.text, memo.len }));
}

/* A customer's cookie session with its CSRF token, and with another. */
static void ask_with_cookies(void)
{
	static struct call c;
	struct slice cookie = SLICE("0123456789012345678901234567890123456789012");
	struct customer_record r = { .id = 1, .login = SLICE("ada") };
	char token[SESSION_ID_CHARS], again[SESSION_ID_CHARS], fields[512];
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct buf csrf = BUF(token);
	enum kv_status status;

	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
	session_cookie_key(SECRET, cookie, key);
	assert_int_equal(session_start(store, &config, key, 1, VIA_COOKIE, NOW_S), KV_OK);
	session_put_csrf_token(&csrf, SECRET, key);
	UNTAINT(token);                 /* which the client was told */
	for (int good = 1; good >= 0; good--) {
		snprintf(fields, sizeof fields, "Cookie: sidecart_session=%.*s; "
		         "sidecart_csrf=%.*s\r\nX-CSRFToken: %.*s\r\n", (int)cookie.len,
		         cookie.ptr, SESSION_ID_CHARS, token, SESSION_ID_CHARS, token);
		ask_again(fields);
		assert_int_equal(id.kind, IDENTITY_CUSTOMER);
		identity_judge_csrf(&question, &id);
		assert_int_equal(id.refusal, good ? IDENTITY_ADMITTED : IDENTITY_CSRF_TOKEN);
		c = (struct call){ .config = &config, .sid_secret = SECRET, .request = &request,
		                   .identity = id };
		if (good)               /* else the cookie is set anew, which is to be seen */
			call_renew_csrf(&c, again);
		token[0] = token[0] == 'A' ? 'B' : 'A';
	}
}

/* An OCAPI session, whose dwsecuretoken is right, and is not. */
static void ask_with_dwsid(void)
{
	char dwsid[SESSION_DWSID_CHARS + 1], token[SESSION_SECURE_TOKEN_CHARS], fields[512];
	char name[SESSION_SITE_HASH_CHARS];
	struct session_owner guest = { .customer_id = 1 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct buf secure = BUF(token), site = BUF(name);

	memset(dwsid, 'x', sizeof dwsid - 1);
	memcpy(dwsid + sizeof dwsid - 3, "==", 3);
	session_dwsid_key(SECRET, slice_of(dwsid), key);
	assert_int_equal(session_start_shown(store, &config, SECRET, &guest, key, VIA_DWSID, NOW_S),
	                 KV_OK);
	session_put_secure_token(&secure, SECRET, config.site, key);
	session_put_site_hash(&site, config.site);
	UNTAINT(token);
	for (int good = 1; good >= 0; good--) {
		snprintf(fields, sizeof fields, "Cookie: dwsid=%s; dwsecuretoken_%.*s=%.*s\r\n",
		         dwsid, (int)site.len, name, (int)secure.len, token);
		ask_again(fields);
		assert_int_equal(id.via, VIA_DWSID);
		assert_int_equal(id.secure_token, good);
		token[0] ^= 1;
	}
}

/* A shopper's token of ours, checked, remembered, and with another MAC. */
static void ask_with_token(void)
{
	static const uint8_t random[TOKEN_RANDOM_LEN] = { 9 };
	static const struct http_request nothing;
	char record[TOKEN_RECORD_MAX], text[CALL_TOKEN_MAX], fields[CALL_TOKEN_MAX + 64];
	char sent[4096], body[64];
	struct http_response response = { .fields = BUF(sent), .body = BUF(body) };
	struct call c = { .config = &config, .sid_secret = SECRET, .request = &nothing, .kv = store,
	                  .now_us = NOW_S * 1000000, .response = &response };
	struct session_owner ada = { .customer_id = 1 };
	struct buf made = BUF(record), token = BUF(text);
	struct client_record client = { .name = SLICE("shop"), .scopes = SCOPE_SHOP };
	struct token_key_record key;
	enum kv_status status;

	assert_true(token_generate(&made, TOKEN_HS256, seal_key, random));
	assert_true(record_token_key_read(buf_slice(&made), &key));
	assert_int_equal(token_add(store, &key, NOW_S, 0), KV_OK);
	identity_clear(&c.identity);
	c.identity.client_id_len = 8;
	memcpy(c.identity.client_id, "shop-key", 8);
	assert_int_equal(client_add(store, SLICE("shop-key"), &client, &status), CLIENT_ADDED);
	assert_int_equal(call_start_token(&c, &ada, &token), CALL_DONE);
	UNTAINT(text);
	for (int good = 1; good >= 0; good--) {
		snprintf(fields, sizeof fields, "Authorization: Bearer %.*s\r\n", (int)token.len,
		         text);
		ask_again(fields);
		assert_int_equal(id.refusal, good ? IDENTITY_ADMITTED : IDENTITY_TOKEN_DEAD);
		text[token.len - 2] = text[token.len - 2] == 'A' ? 'B' : 'A';
	}
}

static void requests(void)
{
	config_defaults(&config);
	config.secure_token_seen = CONFIG_ON;
	store_make();
	store_open(KV_CREATE);
	assert_int_equal(kv_begin(store), KV_OK);
	ask_with_key();
	ask_with_cookies();
	ask_with_dwsid();
	ask_with_token();
	store_remove();
}

int main(int argc, char **argv)
{
	const char *fault = argc > 1 ? argv[1] : "";

	memset(stored, 1, sizeof stored);
	TAINT(api_key);
	TAINT(password);
	TAINT(session_secret);
	TAINT(seal_key);
	TAINT(token_secret_bytes);
	TAINT(stored);
	if (strcmp(fault, "compare") == 0)
		return slice_eq(slice_bytes(api_key, sizeof api_key),
		                slice_bytes(stored, sizeof stored));
	store_fault = strcmp(fault, "store") == 0;
	compare();
	digest();
	passwords();
	token_mac();
	basket_cookie();
	requests();
	return 0;
}
