/* test_oauth.c -- token services and tokens for backends: whole requests, and what a hasher does.
 *
 * Requests run as the writer runs them, or, over a memo, as a front does once the writer has
 * answered for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "calls.h"
#include "oauth.h"
#include "route.h"

#define NOW_S UINT64_C(1800000015)
#define SHOP  "shop-client-id"

static struct identity_memo memo;
static struct session_owner ada, guest;
static char texts[3][JWT_TOKEN_MAX];
static struct buf ada_token, guest_token, kept;         /* `kept`: an access token */
static int set_up_with(void **state, enum token_alg alg)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct sid sid;

	store_set_up(state);
	config_defaults(&config);
	config.token_alg = alg;
	now_s = NOW_S;
	memset(&memo, 0, sizeof memo);
	calls_add_key("shop", SHOP, SCOPE_SHOP, 0);
	calls_add_key("service", "resolve-key", SCOPE_RESOLVE, 0);
	calls_add_key("gate", "gate-key", SCOPE_RESOLVE | SCOPE_TRUSTED, 0);
	calls_add_customer("ada");
	ada = (struct session_owner){ .customer_id = 1 };
	calls_post("/", "", "");
	call_make_guest(&call, &guest);
	ada_token = BUF(texts[0]);
	guest_token = BUF(texts[1]);
	kept = BUF(texts[2]);
	calls_make_token(SHOP, &ada, &ada_token);
	calls_make_token(SHOP, &guest, &guest_token);
	assert_int_equal(sid_parse(SLICE("SID:AUTH:shop.example:ada"), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, SID_AUTH, CALLS_SECRET, key);
	assert_int_equal(session_start(store, &config, key, 1, VIA_HEADER, now_s), KV_OK);
	session_cookie_key(CALLS_SECRET, SLICE("cookie-cookie-cookie-cookie-cookie-cookie-c"), key);
	assert_int_equal(session_start(store, &config, key, 1, VIA_COOKIE, now_s), KV_OK);
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, TOKEN_HS256);
}

static int set_up_es256(void **state)
{
	return set_up_with(state, TOKEN_ES256);
}

/* `%A`, `%G` and `%K`: the tokens. */
static void expand(struct buf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p != '%')
			buf_char(out, *p);
		else
			buf_put(out, buf_slice(*++p == 'A' ? &ada_token :
			                       *p == 'G' ? &guest_token : &kept));
	assert_false(out->full);
}

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
#define SERVICE "X-Api-Key: resolve-key\r\n"
#define GATE "X-Api-Key: gate-key\r\n"

static char fields_text[16384], body_text[16384], head_text[16384], form_text[16384];

/* One request, asked until it is answered; `remembered`: as a front has it. */
static enum http_status ask(const char *line, const char *fields, const char *form,
                            bool remembered)
{
	const struct http_limits limits = { 16384, 2048, 64, 65536 };
	struct buf head = BUF(head_text), body = BUF(form_text);
	struct http_refusal refusal;
	struct route_match m;
	enum call_result result;

	buf_str(&head, line);
	buf_lit(&head, " HTTP/1.1\r\nHost: shop.example\r\n");
	expand(&head, fields);
	buf_lit(&head, "\r\n");
	expand(&body, form);
	memset(&call, 0, sizeof call);
	address_parse(SLICE("127.0.0.1"), &call.peer);
	http_request_init(&request);
	assert_int_equal(http_parse(&request, buf_slice(&head), &limits, &refusal), HTTP_READY);
	request.body = buf_slice(&body);
	response = (struct http_response){ .fields = BUF(fields_text), .body = BUF(body_text) };
	call.config = &config;
	call.sid_secret = CALLS_SECRET;
	call.request = &request;
	call.kv = store;
	call.now_us = now_s * 1000000;
	call.response = &response;
	call.memo = remembered ? &memo : NULL;
	answers_begin(&call);
	route_find(&request, false, &m);
	while ((result = route_call(&call, &m)) == CALL_ASK)
		answers_give(&call);
	assert_int_equal(result, CALL_DONE);
	assert_false(http_response_full(&response));
	fields_text[response.fields.len] = body_text[response.body.len] = '\0';
	return response.status;
}

static void assert_answer(const char *name, bool there, const char *text)
{
	if ((strstr(body_text, text) != NULL || strstr(fields_text, text) != NULL) != there)
		fail_msg("%s: `%s` in %s%s", name, text, fields_text, body_text);
}

/* Keeps the access token of the answer, in body or fields. */
static void keep_access(void)
{
	const char *at = strstr(body_text, "\"access_token\":\"");

	if (at != NULL)
		at += 16;
	else if ((at = strstr(fields_text, "Authorization: Bearer ")) != NULL)
		at += 22;
	assert_non_null(at);
	kept.len = 0;
	buf_put(&kept, (struct slice){ at, strcspn(at, "\"\r") });
}

/* The claims of an access token, which whoever reads the JWK set can verify. */
static void assert_claims(const char *name, const char *text)
{
	static struct jwt t;
	static char claims[JWT_TOKEN_MAX];
	static struct jwt_key keys[4];
	const char *why;
	size_t count, published;
	struct buf jwks = BUF(head_text);

	assert_int_equal(token_put_jwks(store, now_s, &jwks, &published), KV_OK);
	count = jwt_keys_read(buf_slice(&jwks), keys, COUNT_OF(keys), &why);
	assert_int_equal(jwt_open(&t, buf_slice(&kept)), JWT_GOOD);
	assert_int_equal(t.typ, JWT_TYP_ACCESS);
	assert_non_null(jwt_key_find(keys, count, &t));
	assert_int_equal(jwt_verify(&t, jwt_key_find(keys, count, &t)), JWT_GOOD);
	snprintf(claims, sizeof claims, "%.*s", (int)t.payload_len, t.payload);
	if (strstr(claims, text) == NULL)
		fail_msg("%s: no `%s` in %s", name, text, claims);
}

#define INTROSPECT "POST /token/introspect"
#define INACTIVE   "{\"active\":false}"

/* Requirement J16: what is not active is so in one way, and nobody asks without a key. */
static void test_introspect(void **state)
{
	static const struct {
		const char *name, *fields, *form;
		enum http_status status;
		const char *has, *has_not;
	} cases[] = {
		{ "a customer's", SERVICE FORM, "token=%A", HTTP_OK, "{\"active\":true,"
		  "\"token_type\":\"Bearer\",\"client_id\":\"shop\",\"username\":\"ada\",", "aud" },
		{ "with a hint", SERVICE FORM, "token_type_hint=refresh_token&token=%A", HTTP_OK,
		  "\"exp\":1800001815}", INACTIVE },
		{ "a guest's", SERVICE FORM, "token=%G", HTTP_OK, "\"active\":true", "username" },
		{ "the key's place does not matter", "Authorization: resolve-key\r\n" FORM,
		  "token=%A", HTTP_OK, "\"active\":true", INACTIVE },
		{ "garbage", SERVICE FORM, "token=a.b.c", HTTP_OK, INACTIVE, NULL },
		{ "a byte less", SERVICE FORM, "token=%Ax", HTTP_OK, INACTIVE, NULL },
		{ "a session's key", SERVICE FORM, "token=0000000000000000000000000000000000000000",
		  HTTP_OK, INACTIVE, NULL },
		{ "no key", FORM, "token=%A", HTTP_UNAUTHORIZED, "invalid_client", "active" },
		{ "the token is no key (J17)", FORM "Authorization: Bearer %A\r\n", "token=%A",
		  HTTP_UNAUTHORIZED, "WWW-Authenticate: Bearer error=\"invalid_token\"",
		  "active" },
		{ "a key without the scope", "X-Api-Key: " SHOP "\r\n" FORM, "token=%A",
		  HTTP_FORBIDDEN, "unauthorized_client", "active" },
		{ "no token", SERVICE FORM, "a=b", HTTP_BAD_REQUEST, "invalid_request", "active" },
		{ "an empty one", SERVICE FORM, "token=", HTTP_BAD_REQUEST, "invalid_request",
		  "active" },
		{ "two", SERVICE FORM, "token=%A&token=%A", HTTP_BAD_REQUEST, "invalid_request",
		  "active" },
		{ "JSON", SERVICE "Content-Type: application/json\r\n", "{\"token\":\"%A\"}",
		  HTTP_BAD_REQUEST, "invalid_request", "active" },
		{ "in the query", SERVICE FORM, "", HTTP_BAD_REQUEST, "invalid_request",
		  "active" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum http_status status = ask(INTROSPECT "?token=x", cases[i].fields,
		                              cases[i].form, false);

		if (status != cases[i].status)
			fail_msg("%s: %d %s", cases[i].name, status, body_text);
		assert_answer(cases[i].name, true, cases[i].has);
		assert_answer(cases[i].name, true, "Cache-Control: no-store");
		if (cases[i].has_not != NULL)
			assert_answer(cases[i].name, false, cases[i].has_not);
		if (strcmp(cases[i].has, INACTIVE) == 0)
			assert_string_equal(body_text, INACTIVE);
	}
	now_s += config.token_ttl_s;
	ask(INTROSPECT, SERVICE FORM, "token=%A", false);
	assert_string_equal(body_text, INACTIVE);
}

static void test_revoke(void **state)
{
	(void)state;
	assert_int_equal(ask("POST /token/revoke", FORM, "token=%A", false), HTTP_UNAUTHORIZED);
	assert_int_equal(ask("GET /session", "Authorization: Bearer %A\r\n", "", false), HTTP_OK);
	assert_int_equal(ask("POST /token/revoke", SERVICE FORM, "token=unknown", false), HTTP_OK);
	assert_int_equal(ask("POST /token/revoke", SERVICE FORM, "", false), HTTP_BAD_REQUEST);
	for (int again = 0; again < 2; again++)
		assert_int_equal(ask("POST /token/revoke", SERVICE FORM, "token=%A", false),
		                 HTTP_OK);
	assert_int_equal(ask("GET /session", "Authorization: Bearer %A\r\n", "", false),
	                 HTTP_UNAUTHORIZED);
	assert_int_equal(ask("GET /session", "Authorization: Bearer %G\r\n", "", false), HTTP_OK);
	ask(INTROSPECT, SERVICE FORM, "token=%A", false);
	assert_string_equal(body_text, INACTIVE);
}

#define EXCHANGE "POST /token/exchange"
#define GRANT "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&"
#define TYPE(t) "&subject_token_type=urn:ietf:params:oauth:token-type:" t
#define OWN(t) "&subject_token_type=urn:x-sidecart:" t
#define FOR "&audience=orders"
#define COOKIE "cookie-cookie-cookie-cookie-cookie-cookie-c"

static const struct {
	const char *name, *fields, *form;
	const char *claims;     /* or NULL: */
	const char *error;
} exchanges[] = {
	{ "a token", SERVICE FORM, GRANT "subject_token=%A" TYPE("jwt") FOR,
	  "\"aud\":\"orders\",\"sub\":\"1\"", NULL },
	{ "an access token by name", SERVICE FORM, GRANT "subject_token=%A"
	  TYPE("access_token") FOR, "\"login\":\"ada\",\"client_id\":\"service\"", NULL },
	{ "a guest's", SERVICE FORM, GRANT "subject_token=%G" TYPE("jwt") FOR,
	  "\"kind\":\"guest\"", NULL },
	{ "a cookie", SERVICE FORM, GRANT "subject_token=" COOKIE OWN("cookie") FOR,
	  "\"sub\":\"1\"", NULL },
	{ "a Session-Id", GATE FORM, GRANT "subject_token=SID:AUTH:shop.example:ada"
	  OWN("session-id") FOR, "\"sub\":\"1\"", NULL },
	{ "a Session-Id, untrusted (S04)", SERVICE FORM, GRANT
	  "subject_token=SID:AUTH:shop.example:ada" OWN("session-id") FOR, NULL,
	  "invalid_request" },
	{ "a dead Session-Id", GATE FORM, GRANT "subject_token=SID:AUTH:shop.example:x"
	  OWN("session-id") FOR, NULL, "invalid_request" },
	{ "a dead cookie", SERVICE FORM, GRANT "subject_token=x" OWN("cookie") FOR, NULL,
	  "invalid_request" },
	{ "more than a cookie", SERVICE FORM, GRANT "subject_token=x;+sidecart_session="
	  COOKIE OWN("cookie") FOR, NULL, "invalid_request" },
	{ "no token of ours", SERVICE FORM, GRANT "subject_token=%Ax" TYPE("jwt") FOR,
	  NULL, "invalid_request" },
	{ "of another type", SERVICE FORM, GRANT "subject_token=%A" TYPE("saml2") FOR,
	  NULL, "invalid_request" },
	{ "no type", SERVICE FORM, GRANT "subject_token=%A" FOR, NULL, "invalid_request" },
	{ "no grant", SERVICE FORM, "subject_token=%A" TYPE("jwt") FOR, NULL,
	  "unsupported_grant_type" },
	{ "no audience", SERVICE FORM, GRANT "subject_token=%A" TYPE("jwt"), NULL,
	  "invalid_target" },
	{ "a resource", SERVICE FORM, GRANT "resource=https://a.test&subject_token=%A"
	  TYPE("jwt") FOR, NULL, "invalid_target" },
	{ "a scope", SERVICE FORM, GRANT "scope=admin&subject_token=%A" TYPE("jwt") FOR,
	  NULL, "invalid_scope" },
	{ "an actor", SERVICE FORM, GRANT "actor_token=x&subject_token=%A" TYPE("jwt") FOR,
	  NULL, "invalid_request" },
	{ "a refresh token", SERVICE FORM, GRANT "requested_token_type=urn:ietf:params:"
	  "oauth:token-type:refresh_token&subject_token=%A" TYPE("jwt") FOR, NULL,
	  "invalid_request" },
	{ "no key", FORM, GRANT "subject_token=%A" TYPE("jwt") FOR, NULL,
	  "invalid_client" },
};

static void test_exchange(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(exchanges); i++) {
		enum http_status status = ask(EXCHANGE, exchanges[i].fields, exchanges[i].form,
		                              false);

		if ((status == HTTP_OK) != (exchanges[i].claims != NULL))
			fail_msg("%s: %d %s", exchanges[i].name, status, body_text);
		if (exchanges[i].error != NULL) {
			assert_answer(exchanges[i].name, true, exchanges[i].error);
			continue;
		}
		assert_answer(exchanges[i].name, true, "\"issued_token_type\":"
		              "\"urn:ietf:params:oauth:token-type:access_token\"");
		assert_answer(exchanges[i].name, true, "\"expires_in\":45}");
		keep_access();
		assert_claims(exchanges[i].name, exchanges[i].claims);
		/* It is good for its backend alone (J08), and as long as the session is. */
		assert_int_equal(ask("GET /session", "Authorization: Bearer %K\r\n", "", false),
		                 HTTP_UNAUTHORIZED);
		ask(EXCHANGE, SERVICE FORM, GRANT "subject_token=%K" TYPE("jwt") FOR, false);
		assert_answer(exchanges[i].name, true, "invalid_request");
		assert_int_equal(ask("POST /token/revoke", SERVICE FORM, "token=%K", false),
		                 HTTP_BAD_REQUEST);
		assert_answer(exchanges[i].name, true, "unsupported_token_type");
		ask(INTROSPECT, SERVICE FORM, "token=%K", false);
		assert_answer(exchanges[i].name, true, "\"active\":true");
	}
}

/* A revoked session's access token is not active, and after a minute none is. */
static void test_ends_of_access(void **state)
{
	uint32_t ended;

	(void)state;
	ask(EXCHANGE, SERVICE FORM, GRANT "subject_token=%A" TYPE("jwt") FOR, false);
	keep_access();
	assert_int_equal(session_delete_some(store, 1, 10, &ended), KV_OK);
	ask(INTROSPECT, SERVICE FORM, "token=%K", false);
	assert_string_equal(body_text, INACTIVE);
	ask(EXCHANGE, SERVICE FORM, GRANT "subject_token=%G" TYPE("jwt") FOR, false);
	keep_access();
	now_s += 44;
	ask(INTROSPECT, SERVICE FORM, "token=%K", false);
	assert_answer("44 s", true, "\"active\":true");
	now_s++;
	ask(INTROSPECT, SERVICE FORM, "token=%K", false);
	assert_string_equal(body_text, INACTIVE);
}

/* Under her Session-Id somebody else is logged in by now, or she herself again: her access token
 * ended with her session. */
static void end_access(uint64_t next_id)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct sid sid;

	calls_add_customer("bob");
	ask(EXCHANGE, GATE FORM, GRANT "subject_token=SID:AUTH:shop.example:ada" OWN("session-id")
	    FOR, false);
	keep_access();
	ask(INTROSPECT, SERVICE FORM, "token=%K", false);
	assert_answer("hers", true, "\"username\":\"ada\"");
	assert_int_equal(sid_parse(SLICE("SID:AUTH:shop.example:ada"), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, SID_AUTH, CALLS_SECRET, key);
	assert_int_equal(session_end(store, key), KV_OK);
	now_s++;
	assert_int_equal(session_start(store, &config, key, next_id, VIA_HEADER, now_s), KV_OK);
	ask(INTROSPECT, SERVICE FORM, "token=%K", false);
	assert_string_equal(body_text, INACTIVE);
}

static void test_access_of_the_one_before(void **state)
{
	(void)state;
	end_access(2);
}

static void test_access_of_before(void **state)
{
	(void)state;
	end_access(1);
}

#define RESOLVE "GET /resolve?token=1&require="
#define ASKED_FOR "X-Forwarded-Host: shop.test\r\nX-Forwarded-Method: POST\r\n" \
                  "X-Forwarded-Uri: /orders/7?page=2\r\n"

/* Requirement F05; and signed once in half a minute, whoever asks again. */
static void test_resolve_token(void **state)
{
	(void)state;
	assert_int_equal(ask(RESOLVE "any", ASKED_FOR, "", true), HTTP_NO_CONTENT);
	assert_answer("nobody", false, "Authorization:");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ask(RESOLVE "any", ASKED_FOR "Authorization: Bearer %A\r\n", "",
		                     true), HTTP_NO_CONTENT);
		assert_int_equal(call.answer_count, i == 0 ? 2 : 0);        /* a key, a signature */
		assert_answer("a customer", true, "X-Auth-Via: token");
		keep_access();
		identity_keep_signature(&memo, buf_slice(&kept));
		assert_claims("host", "\"aud\":\"shop.test\"");
		assert_claims("method", "\"htm\":\"POST\"");
		/* printf /orders/7 | openssl dgst -sha256 -binary | basenc --base64url */
		assert_claims("path", "\"path_sha256\":\""
		              "hheX3dMNPc7Y9bHGMpleCDuQ4Y-sInTOQuljhn_PB2Y\"");
	}
	now_s += 14;
	ask(RESOLVE "any", ASKED_FOR "Authorization: Bearer %A\r\n", "", true);
	assert_int_equal(call.answer_count, 0);
	now_s++;
	ask(RESOLVE "any", ASKED_FOR "Authorization: Bearer %A\r\n", "", true);
	assert_int_equal(call.answer_count, 1);
	assert_int_equal(ask(RESOLVE "any&audience=pay%2fments", "Authorization: Bearer %G\r\n",
	                     "", true), HTTP_NO_CONTENT);
	keep_access();
	assert_claims("audience", "\"aud\":\"pay/ments\"");
	assert_int_equal(ask(RESOLVE "customer", "Authorization: Bearer %G\r\n", "", true),
	                 HTTP_UNAUTHORIZED);
	assert_answer("J17", true, "WWW-Authenticate: Bearer error=\"invalid_token\"");
}

static void test_bad_queries(void **state)
{
	static const char *const targets[] = {
		"GET /resolve?token=1&token=1", "GET /resolve?token=0", "GET /resolve?token",
		"GET /resolve?token=1&audience=", "GET /resolve?token=1&audience=a&audience=b",
		"GET /resolve?token=1&audience=%0a", "GET /resolve?require=any&require=any",
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		if (ask(targets[i], "Authorization: Bearer %A\r\n", "", false) != HTTP_BAD_REQUEST)
			fail_msg("%s", targets[i]);
		assert_answer(targets[i], true, "query_bad");
	}
	assert_int_equal(ask(RESOLVE "any", "X-Forwarded-Method: "
	                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
	                     "Authorization: Bearer %A\r\n", "", false), HTTP_BAD_REQUEST);
}

/* A token of a public key is proven by a hasher once, and then remembered (J10). */
static void test_es256(void **state)
{
	char *last;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask("GET /session", "Authorization: Bearer %A\r\n", "", true),
		                 HTTP_OK);
		assert_answer("a customer", true, "\"auth_via\":\"token\"");
		assert_int_equal(call.answer_count, i == 0);
		assert_int_equal(call.identity.proven, i == 0);
	}
	last = &ada_token.ptr[ada_token.len - 3];
	*last = *last == 'A' ? 'B' : 'A';       /* base64url still, of another signature */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask("GET /session", "Authorization: Bearer %A\r\n", "", true),
		                 HTTP_UNAUTHORIZED);
		assert_int_equal(call.answer_count, 1);
		assert_false(call.identity.proven);
	}
	/* What is the same for everybody needs no proof. */
	assert_int_equal(ask("PUT /session", "Authorization: Bearer %A\r\n", "", true),
	                 HTTP_METHOD_NOT_ALLOWED);
	assert_int_equal(call.answer_count, 0);
	ask(INTROSPECT, SERVICE FORM, "token=%A", false);
	assert_string_equal(body_text, INACTIVE);
	ask(INTROSPECT, SERVICE FORM, "token=%G", false);
	assert_answer("a guest", true, "\"active\":true");
	assert_int_equal(call.answer_count, 1);
	assert_int_equal(ask("POST /token/revoke", SERVICE FORM, "token=%G", false), HTTP_OK);
	assert_int_equal(ask("GET /session", "Authorization: Bearer %G\r\n", "", true),
	                 HTTP_UNAUTHORIZED);
}

/* Beside a token neither cookies nor CSRF tokens count, and none is set (S04, K09). */
static void test_tokens_and_cookies(void **state)
{
	(void)state;
	assert_int_equal(ask("PATCH /session/data", "Authorization: Bearer %A\r\n"
	                     "Content-Type: application/json\r\n", "{\"a\":1}", false), HTTP_OK);
	assert_int_equal(ask("POST /session/login", "Authorization: Bearer %G\r\n"
	                     GATE "Content-Type: application/json\r\n", "{\"login\":\"ada\"}",
	                     false), HTTP_FORBIDDEN);
	assert_int_equal(ask("DELETE /session", "Authorization: Bearer %A\r\n"
	                     "Cookie: sidecart_session=" COOKIE "\r\n", "", false),
	                 HTTP_NO_CONTENT);
	assert_answer("logout", false, "Set-Cookie");
	assert_int_equal(ask("GET /session", "Cookie: sidecart_session=" COOKIE "\r\n", "", false),
	                 HTTP_OK);
	assert_answer("the cookie's session", true, "\"session_kind\":\"customer\"");
	assert_int_equal(ask("DELETE /session?all=1", "Authorization: Bearer %G\r\n", "", false),
	                 HTTP_NO_CONTENT);
	assert_int_equal(ask("GET /session", "Authorization: Bearer %G\r\n", "", false),
	                 HTTP_UNAUTHORIZED);
}

/* Keeps a dwsid of `who` as the cookie of later requests; its CSRF token comes along with `%K`. */
static void start_dwsid(const struct session_owner *who, char *cookie, size_t cap)
{
	char text[SESSION_DWSID_CHARS];
	struct buf dwsid = BUF(text);
	uint8_t key[RECORD_SESSION_KEY_LEN];

	calls_post("/", "", "");
	assert_int_equal(call_start_dwsid(&call, who, &dwsid, key), KV_OK);
	snprintf(cookie, cap, "Cookie: dwsid=%.*s", (int)dwsid.len, text);
	kept.len = 0;
	session_put_csrf_token(&kept, CALLS_SECRET, key);
}

/* A dwsid is a cookie: a customer's changes need the CSRF token (K09), a login makes it old, a
 * logout takes it from the browser (K08). */
static void test_dwsid(void **state)
{
	char cookie[160], fields[512];

	(void)state;
	start_dwsid(&ada, cookie, sizeof cookie);
	snprintf(fields, sizeof fields, "%s\r\n", cookie);
	assert_int_equal(ask("GET /session", fields, "", true), HTTP_OK);
	assert_answer("a dwsid", true, "\"auth_via\":\"cookie\"");
	assert_answer("its page", true, "\"csrf_token\":\"");
	assert_answer("its page", true, "Set-Cookie: sidecart_csrf=");
	assert_int_equal(ask("DELETE /session", fields, "", true), HTTP_FORBIDDEN);
	assert_answer("a forged request", true, "csrf_cookie");
	snprintf(fields, sizeof fields, "%s; sidecart_csrf=%%K\r\n", cookie);
	assert_int_equal(ask("DELETE /session", fields, "", true), HTTP_FORBIDDEN);
	assert_answer("without the token", true, "csrf_token");
	snprintf(fields, sizeof fields, "%s; sidecart_csrf=%%K\r\nX-CSRFToken: %%K\r\n", cookie);
	assert_int_equal(ask("DELETE /session", fields, "", true), HTTP_NO_CONTENT);
	assert_answer("logout", true, "Set-Cookie: dwsid=; Path=/; HttpOnly; Secure; SameSite=None"
	              "; Max-Age=0\r\n");
	assert_int_equal(ask("GET /session", fields, "", false), HTTP_OK);
	assert_answer("it has ended", true, "\"session_kind\":\"none\"");
}

/* A guest of OCAPI who logs in on the website: what he keeps goes over, and his tokens end. */
static void test_guest_logs_in(void **state)
{
	char cookie[160], fields[512];

	(void)state;
	calls_add_key("sso", "login-key", SCOPE_LOGIN, 0);
	start_dwsid(&guest, cookie, sizeof cookie);
	assert_int_equal(ask("PATCH /session/data", "Authorization: Bearer %G\r\n"
	                     "Content-Type: application/json\r\n", "{\"seen\":7}", false),
	                 HTTP_OK);
	snprintf(fields, sizeof fields, "%s\r\n", cookie);
	assert_int_equal(ask("GET /session/data", fields, "", false), HTTP_OK);
	assert_answer("his other session", true, "{\"seen\":7}");
	snprintf(fields, sizeof fields, "%s\r\nX-Api-Key: login-key\r\n"
	         "Content-Type: application/json\r\n", cookie);
	assert_int_equal(ask("POST /session/login", fields, "{\"login\":\"ada\"}", false),
	                 HTTP_OK);
	assert_answer("a customer's cookie", true, "Set-Cookie: sidecart_session=");
	now_s += SESSION_GRACE_S;
	assert_int_equal(ask("GET /session", "Authorization: Bearer %G\r\n", "", false),
	                 HTTP_UNAUTHORIZED);
	snprintf(fields, sizeof fields, "%s\r\n", cookie);
	assert_int_equal(ask("GET /session", fields, "", false), HTTP_OK);
	assert_answer("the dwsid too", true, "\"session_kind\":\"none\"");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_introspect),
		TEST(test_revoke),
		TEST(test_exchange),
		TEST(test_ends_of_access),
		TEST(test_access_of_the_one_before),
		TEST(test_access_of_before),
		TEST(test_resolve_token),
		TEST(test_bad_queries),
		cmocka_unit_test_setup_teardown(test_es256, set_up_es256, store_tear_down),
		TEST(test_tokens_and_cookies),
		TEST(test_dwsid),
		TEST(test_guest_logs_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
