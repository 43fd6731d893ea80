/* test_handlers.c -- logins, sessions, identity and the router, as whole requests.
 *
 * Each script runs twice (handlers.h).
 */
#include "handlers.h"

static void test_login_and_logout(void **state)
{
	static const struct step steps[] = {
		{ "anonymous", "GET /api/login/ HTTP/1.1" ANON, NULL, 405,
		  "Session-Id: SID:ANON:shop.example:u1\r\n", NULL, 0 },
		{ "AUTH before any login", "GET /api/login/ HTTP/1.1" AUTH, NULL, 401,
		  "{\"reason\": \"Authentication credentials were not provided.\"}",
		  "Session-Id: ", 0 },
		{ "AUTH on an unknown path", "GET /api/nosuch/ HTTP/1.1" AUTH, NULL, 401,
		  "{\"reason\": ", "Session-Id: ", 0 },
		{ "wrong password", LOGIN ANON JSON, "{\"username\":\"ada\",\"password\":\"x\"}",
		  401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "unknown "
		  "login", LOGIN ANON JSON, "{\"username\":\"nobody\",\"password\":\"x\"}", 401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "disabled", LOGIN ANON JSON, "{\"username\":\"gone\",\"password\":\"gone\"}", 401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "without a "
		  "password", LOGIN ANON JSON, "{\"username\":\"keyless\",\"password\":\"x\"}", 401,
		  "invalid login", "AUTH", 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, "Session-Id: SID:AUTH:shop.example:u1\r\n",
		  NULL, 0 },
		{ "logged in", "GET /api/login/ HTTP/1.1" AUTH, NULL, 204, "Session-Id: SID:AUTH",
		  NULL, 0 },
		{ "again", LOGIN AUTH JSON, ADA, 405, "{\"detail\":\"Session is in use, log out "
		  "first\"}",
		  NULL, 0 },
		{ "again, badly", LOGIN AUTH JSON, "{\"username\":\"ada\",\"password\":\"x\"}", 401,
		  "invalid login", NULL, 0 },
		{ "taken over", LOGIN ANON JSON, "{\"username\":\"bob\",\"password\":\"bob\"}", 200,
		  "SID:AUTH", NULL, 0 },
		{ "who", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "X-Customer-Login: bob\r\n",
		  "ada", 0 },
		{ "form", LOGIN ANON "|Content-Type: application/x-www-form-urlencoded",
		  "username=ada&password=%61da", 200, "SID:AUTH", NULL, 0 },
		{ "logout", "DELETE /api/login/ HTTP/1.1" AUTH, NULL, 200, "\r\n\"\"",
		  "Session-Id: ", 0 },
		{ "out", "GET /api/login/ HTTP/1.1" AUTH, NULL, 401, "{\"reason\": ",
		  "Session-Id: ", 0 },
		{ "logout of nobody", "DELETE /api/login/ HTTP/1.1" ANON, NULL, 200, "\r\n\"\"",
		  "Session-Id: ", 0 },
		{ "no session", "DELETE /api/login/ HTTP/1.1", NULL, 200, "\r\n\"\"", NULL, 0 },
		{ "login without", LOGIN JSON, ADA, 200, "Set-Cookie: sidecart_session=",
		  "Session-Id: ", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_login_form(void **state)
{
#define BODY(what, body, status, has) { what, LOGIN ANON JSON, body, status, "\r\n" has, "AUTH", 0 }
	static const struct step steps[] = {
		BODY("none", NULL, 401, "{\"username\":[\"This field is required.\"],"
		     "\"password\":[\"This field is required.\"]}"),
		BODY("empty", "{}", 401, "{\"username\":[\"This field is required.\"],"
		     "\"password\":[\"This field is required.\"]}"),
		BODY("blank and null", "{\"username\":\"\",\"password\":null}", 401,
		     "{\"username\":[\"This field may not be blank.\"],"
		     "\"password\":[\"This field may not be null.\"]}"),
		BODY("only blanks", "{\"username\":\" \\t\",\"password\":\"x\"}", 401,
		     "{\"username\":[\"This field may not be blank.\"]}"),
		BODY("types", "{\"username\":true,\"password\":{}}", 401,
		     "{\"username\":[\"Not a valid string.\"],\"password\":[\"Not a valid "
		     "string.\"]}"),
		BODY("a list", "[1]", 401, "{\"non_field_errors\":[\"Invalid data. Expected a "
		     "dictionary, but got list.\"]}"),
		BODY("null", "null", 401, "{\"non_field_errors\":[\"No data provided\"]}"),
		BODY("cut short", "{\"username\"", 400, "{\"detail\":\"JSON parse error - "
		  "Expecting ':' "
		     "delimiter: line 1 column 12 (char 11)\"}"),
		BODY("twice", "{\"username\":\"a\",\"username\":\"b\"}", 400,
		  "{\"detail\":\"JSON parse"),
		{ "no media type", LOGIN ANON, "x", 415,
		  "{\"detail\":\"Unsupported media type \\\"\\\" in request.\"}", NULL, 0 },
		{ "other media type", LOGIN ANON "|Content-Type: text/xml", "x", 415,
		  "{\"detail\":\"Unsupported media type \\\"text/xml\\\" in request.\"}", NULL, 0 },
		{ "charset", LOGIN ANON "|Content-Type: application/json; charset=utf-8", ADA, 200,
		  "SID:AUTH", NULL, 0 },
		{ "blanks around", LOGIN ANON JSON, "{\"username\":\" ada "
		  "\",\"password\":\"ada\\n\"}",
		  200, "SID:AUTH", NULL, 0 },
	};
#undef BODY

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_long_fields(void **state)
{
	static char body[1200];
	struct step step = { "long", LOGIN ANON JSON, body, 401,
	                     "{\"username\":[\"Ensure this field has no more than 150 "
	                     "characters.\"],"
	                     "\"password\":[\"Ensure this field has no more than 128 "
	                     "characters.\"]}",
	                     NULL, 0 };

	(void)state;
	snprintf(body, sizeof body, "{\"username\":\"%0151d\",\"password\":\"%0129d\"}", 0, 0);
	run_script(&step, 1);
	snprintf(body, sizeof body, "{\"username\":\"%0150d\",\"password\":\"%0128d\"}", 0, 0);
	step.has = "invalid login";
	run_script(&step, 1);
}

static void test_throttle(void **state)
{
	static const char wrong[] = "{\"username\":\"ada\",\"password\":\"x\"}";
	struct step steps[16];
	size_t n = 0;

	(void)state;
	while (n < 10)
		steps[n++] = (struct step){ "wrong", LOGIN ANON JSON, wrong, 401, "invalid", NULL,
		  1 };
	steps[n++] = (struct step){ "throttled", LOGIN ANON JSON, ADA, 429, "Retry-After: 891\r\n",
	                            "AUTH", 0 };
	steps[n++] = (struct step){ "another login", LOGIN ANON JSON,
	                            "{\"username\":\"bob\",\"password\":\"bob\"}", 200, NULL,
	                            NULL, 0 };
	steps[n++] = (struct step){ "later", LOGIN ANON JSON, ADA, 200, "SID:AUTH", NULL, 900 };
	steps[n++] = (struct step){ "forgotten", LOGIN ANON JSON, wrong, 401, NULL, NULL, 0 };
	run_script(steps, n);
}

static void test_expiry_and_renewal(void **state)
{
#define DAY 86400
	static const struct step steps[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "13 days", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "customer", NULL, 13 * DAY },
		{ "renewed", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "customer", NULL, 13 * DAY },
		{ "idle", "GET /resolve HTTP/1.1" AUTH, NULL, 401, "session_dead",
		  "Session-Id: SID",
		  14 * DAY },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "absolute", "GET /resolve HTTP/1.1" AUTH, NULL, 401, "session_dead", NULL,
		  12 * DAY },
	};
#undef DAY

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_verdicts(void **state)
{
#define R "GET /resolve"
	static const struct step steps[] = {
		{ "nothing", R " HTTP/1.1", NULL, 401, "X-Resolve-Error: session_required", NULL,
		  0 },
		{ "nothing, any", R "?require=any HTTP/1.1", NULL, 204, "X-Session-Kind: none\r\n"
		  "X-Session-Key: -\r\nX-Customer-Id: -\r\nX-Customer-Login: -\r\nX-Basket-Id: "
		  "-\r\n"
		  "X-Client-Name: -\r\nX-Client-Scopes: -\r\nX-Auth-Via: none\r\n", NULL, 0 },
		{ "nothing, session", R "?require=session HTTP/1.1", NULL, 401,
		  "session_required", NULL, 0 },
		{ "guest", R " HTTP/1.1" ANON, NULL, 401, "X-Resolve-Error: customer_required",
		  NULL, 0 },
		{ "guest, session", R "?require=session HTTP/1.1" ANON, NULL, 204,
		  "X-Session-Kind: guest\r\n", NULL, 0 },
		{ "guest, any", R "?require=any HTTP/1.1" ANON, NULL, 204, "X-Client-Name: app\r\n"
		  "X-Client-Scopes: shop,trusted\r\nX-Auth-Via: header\r\nSession-Id: SID:ANON",
		  NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "customer", R " HTTP/1.1" AUTH, NULL, 204, "X-Customer-Id: "
		  "1\r\nX-Customer-Login: ada\r\n",
		  NULL, 0 },
		{ "customer, POST", "POST /resolve?require=any HTTP/1.1" AUTH, NULL, 204,
		  "customer", NULL,
		  0 },
		{ "dead", R "?require=any HTTP/1.1" AUTH "x", NULL, 401, "session_dead",
		  "Session-Id: SID",
		  0 },
		{ "malformed", R "?require=any HTTP/1.1" KEY "|Session-Id: "
		  "SID:ANON:shop.example:a b", NULL,
		  401, "sid_malformed", NULL, 0 },
		{ "Bearer", R "?require=any HTTP/1.1|Authorization: Bearer x.y.z", NULL, 401,
		  "token_dead",
		  NULL, 0 },
		{ "Bearer beside", R "?require=any HTTP/1.1" AUTH "|Authorization: Bearer x.y.z",
		  NULL, 401,
		  "token_dead", NULL, 0 },
		{ "bad key", R "?require=any HTTP/1.1|Authorization: nonsense", NULL, 403,
		  "key_bad", NULL, 0 },
		{ "untrusted", R " HTTP/1.1|X-Api-Key: shop-key|Session-Id: "
		  "SID:AUTH:shop.example:u1", NULL,
		  403, "sid_untrusted", NULL, 0 },
		{ "no key", R " HTTP/1.1|Session-Id: SID:AUTH:shop.example:u1", NULL, 403,
		  "sid_untrusted",
		  NULL, 0 },
		{ "realm", R " HTTP/1.1" KEY "|Session-Id: SID:ANON:other.example:u1", NULL, 403,
		  "other.example of the Session-Id is not the host shop.example (setting "
		  "sid_realms)", NULL, 0 },
		{ "scope", R "?require=any&scope=shop HTTP/1.1|X-Api-Key: shop-key", NULL, 204,
		  NULL, NULL, 0 },
		{ "no scope", R "?require=any&scope=login HTTP/1.1|X-Api-Key: shop-key", NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "no such scope", R "?require=any&scope=admin HTTP/1.1|X-Api-Key: shop-key",
		  NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "scope, no key", R "?require=any&scope=shop HTTP/1.1", NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "two keys", R "?require=any HTTP/1.1" KEY "|Authorization: shop-key", NULL, 400,
		  "keys_disagree", NULL, 0 },
		{ "bad require", R "?require=all HTTP/1.1", NULL, 400, "query_bad", NULL, 0 },
		{ "require twice", R "?require=session&require=any HTTP/1.1", NULL, 400,
		  "query_bad", NULL, 0 },
	};
#undef R

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_native_session(void **state)
{
#define SSO "|X-Api-Key: login-key|Session-Id: SID:ANON:shop.example:u9"
	static const struct step steps[] = {
		{ "nobody", "GET /session HTTP/1.1", NULL, 200,
		  "{\"session_kind\":\"none\",\"session_key\":null,"
		  "\"customer_id\":null,\"customer_login\":null,"
		  "\"basket_id\":null,\"client_name\":null,"
		  "\"client_scopes\":null,\"auth_via\":\"none\",\"csrf_token\":null}", NULL, 0 },
		{ "no scope", "POST /session/login HTTP/1.1" ANON JSON, "{\"login\":\"ada\"}", 403,
		  "scope_missing", NULL, 0 },
		{ "no Session-Id", "POST /session/login HTTP/1.1|X-Api-Key: login-key" JSON,
		  "{\"login\":\"ada\"}", 200, "\"auth_via\":\"cookie\"", "Session-Id: ", 0 },
		{ "no login", "POST /session/login HTTP/1.1" SSO JSON, "{}", 400, "login_missing",
		  NULL, 0 },
		{ "no object", "POST /session/login HTTP/1.1" SSO JSON, "[]", 400,
		  "login_missing", NULL, 0 },
		{ "no JSON", "POST /session/login HTTP/1.1" SSO JSON, "", 400, "json_bad", NULL,
		  0 },
		{ "media", "POST /session/login HTTP/1.1" SSO, "{\"login\":\"ada\"}", 415,
		  "media_type", NULL, 0 },
		{ "unknown", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"eve\"}", 404,
		  "customer_unknown", NULL, 0 },
		{ "disabled", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"gone\"}", 403,
		  "customer_disabled", NULL, 0 },
		{ "in", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"keyless\"}", 200,
		  "\"customer_id\":\"4\",\"customer_login\":\"keyless\"", NULL, 0 },
		{ "who", "GET /session HTTP/1.1|X-Api-Key: login-key|Session-Id: "
		  "SID:AUTH:shop.example:u9-1f:2",
		  NULL, 200, "\"customer_login\":\"keyless\"", NULL, 0 },
		{ "AUTH", "POST /session/login HTTP/1.1|X-Api-Key: login-key|Session-Id: "
		  "SID:AUTH:shop.example:u9"
		  JSON, "{\"login\":\"ada\"}", 400, "sid_type", NULL, 0 },
	};
#undef SSO

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_router(void **state)
{
	static const struct step steps[] = {
		{ "unknown", "GET /nosuch HTTP/1.1", NULL, 404, "problem+json", NULL, 0 },
		{ "unknown api", "GET /api/nosuch/ HTTP/1.1" ANON, NULL, 404,
		  "{\"detail\":\"Not found.\"}",
		  NULL, 0 },
		{ "unknown api echo", "GET /api/nosuch/ HTTP/1.1" ANON, NULL, 404,
		  "Session-Id: SID:ANON", NULL,
		  0 },
		{ "encoded", "GET /%72esolve?require=any HTTP/1.1", NULL, 204, NULL, NULL, 0 },
		{ "encoded slash", "GET /session%2Flogin HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "dots", "GET /x/../resolve?require=any HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "method", "PUT /api/login/ HTTP/1.1" ANON, NULL, 405,
		  "Allow: GET, POST, DELETE, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "method, native", "PUT /session HTTP/1.1", NULL, 405,
		  "Allow: GET, HEAD, DELETE, OPTIONS", NULL, 0 },
		{ "OPTIONS", "OPTIONS /api/login/ HTTP/1.1" ANON, NULL, 200,
		  "\r\n{\"name\":\"Login\",\"description\":\"Api for logging in users.\\n", NULL,
		  0 },
		{ "OPTIONS, renders", "OPTIONS /api/login/ HTTP/1.1" ANON, NULL, 200,
		  "\"renders\":[\"application/json\"],\"parses\":[\"application/json\","
		  "\"application/x-www-form-urlencoded\"]}", "text/html", 0 },
		{ "OPTIONS, Allow", "OPTIONS /api/users/1/ HTTP/1.1" ANON, NULL, 200,
		  "Allow: GET, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "OPTIONS *", "OPTIONS * HTTP/1.1", NULL, 204, "Allow: GET", NULL, 0 },
		{ "TRACE", "TRACE /resolve HTTP/1.1", NULL, 405, "Allow: ", NULL, 0 },
		{ "Upgrade", "GET /resolve?require=any HTTP/1.1|Upgrade: h2c", NULL, 501, NULL,
		  NULL, 0 },
		{ "strange method", "BREW /session HTTP/1.1", NULL, 501, NULL, NULL, 0 },
		{ "strange method, resolve", "BREW /resolve?require=any HTTP/1.1", NULL, 204,
		  NULL, NULL, 0 },
		{ "health", "GET /healthz HTTP/1.1|X-Api-Key: nonsense", NULL, 200, "\r\nok\n",
		  NULL, 0 },
		{ "ready", "HEAD /readyz HTTP/1.1", NULL, 200, NULL, NULL, 0 },
		{ "description", "OPTIONS /openapi.json HTTP/1.1|X-Api-Key: nonsense", NULL, 204,
		  "Allow: GET, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "JWK set", "GET /.well-known/jwks.json HTTP/1.1|X-Api-Key: nonsense", NULL, 200,
		  "Cache-Control: public, max-age=300\r\n\r\n{\"keys\":[{\"kty\":\"EC\",", "\"d\"",
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_oldest_session_goes(void **state)
{
#define SID(type, id) KEY "|Session-Id: SID:" type ":shop.example:" id
	static const struct step steps[] = {
		{ "1", LOGIN SID("ANON", "one") JSON, ADA, 200, NULL, NULL, 1 },
		{ "2", LOGIN SID("ANON", "two") JSON, ADA, 200, NULL, NULL, 1 },
		{ "3", LOGIN SID("ANON", "three") JSON, ADA, 200, NULL, NULL, 1 },
		{ "1 lives", "GET /resolve HTTP/1.1" SID("AUTH", "one"), NULL, 204, NULL, NULL, 1 },
		{ "4", LOGIN SID("ANON", "four") JSON, ADA, 200, NULL, NULL, 1 },
		{ "1 is gone", "GET /resolve HTTP/1.1" SID("AUTH", "one"), NULL, 401, NULL, NULL,
		  1 },
		{ "2 lives", "GET /resolve HTTP/1.1" SID("AUTH", "two"), NULL, 204, NULL, NULL, 1 },
		{ "2 again", LOGIN SID("ANON", "two") JSON, ADA, 200, NULL, NULL, 1 },
		{ "3 lives", "GET /resolve HTTP/1.1" SID("AUTH", "three"), NULL, 204, NULL, NULL,
		  1 },
	};
#undef SID

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* --- Cookies. --- */

#define COOKIE(n) "|Cookie: sidecart_session=$" n "; sidecart_csrf=#" n
#define PROOF(n)  COOKIE(n) "|X-CSRFToken: #" n
#define EVIL      "|Origin: https://evil.example"
#define OWN       "|Origin: https://shop.example"
#define PATCH     "PATCH /session/data HTTP/1.1"
#define WHO       "GET /resolve?require=any HTTP/1.1"

static void test_cookie_login(void **state)
{
	static const struct step steps[] = {
		{ "another site's page", LOGIN JSON EVIL, ADA, 403,
		  "{\"detail\":\"CSRF Failed: Origin checking failed", "Set-Cookie", 0 },
		{ "wrong password", LOGIN JSON OWN, "{\"username\":\"ada\",\"password\":\"x\"}",
		  401,
		  "invalid login", "Set-Cookie", 0 },
		{ "login", LOGIN JSON OWN, ADA, 200, "; Path=/; Max-Age=7776000; Secure; "
		  "HttpOnly; SameSite=Lax\r\nSet-Cookie: sidecart_csrf=", "Session-Id: ", 0 },
		{ "who", WHO COOKIE("0"), NULL, 204, "X-Customer-Login: ada\r\n", NULL, 0 },
		{ "via", "GET /session HTTP/1.1" COOKIE("0"), NULL, 200,
		  "\"auth_via\":\"cookie\",\"csrf_token\":\"", "Set-Cookie", 0 },
		{ "for nobody else's page", "GET /session HTTP/1.1" COOKIE("0") EVIL, NULL, 200,
		  "\"csrf_token\":null}", "Set-Cookie", 0 },
		{ "asked by oscarapi's name", "GET /api/login/ HTTP/1.1" COOKIE("0"), NULL, 204,
		  "Cache-Control: no-store", NULL, 0 },
		{ "beside a Session-Id", WHO COOKIE("0") ANON, NULL, 204,
		  "X-Session-Kind: guest\r\n", "ada", 0 },
		{ "again without proof", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 403,
		  "\r\n{\"detail\":\"CSRF Failed: CSRF cookie not set.\"}", NULL, 0 },
		{ "again without field", LOGIN JSON COOKIE("0"), ADA, 403,
		  "\r\n{\"detail\":\"CSRF Failed: CSRF token missing or incorrect.\"}", NULL, 0 },
		{ "again", LOGIN JSON PROOF("0"), ADA, 405, "Session is in use, log out first",
		  "Set-Cookie", 0 },
		{ "again, badly", LOGIN JSON PROOF("0"),
		  "{\"username\":\"ada\",\"password\":\"x\"}", 401, "invalid login", NULL, 0 },
		{ "another browser", LOGIN JSON, ADA, 200, "sidecart_session=", NULL, 0 },
		{ "logout with the other's token", "DELETE /api/login/ HTTP/1.1|Cookie: "
		  "sidecart_session=$0; sidecart_csrf=#1|X-CSRFToken: #1", NULL, 403,
		  "CSRF token missing or incorrect", NULL, 0 },
		{ "logout from elsewhere", "DELETE /api/login/ HTTP/1.1" PROOF("0") EVIL, NULL, 403,
		  "Origin checking failed", NULL, 0 },
		{ "logout", "DELETE /api/login/ HTTP/1.1" PROOF("0"), NULL, 200,
		  "Set-Cookie: sidecart_session=; Path=/; Max-Age=0; Secure; HttpOnly; "
		  "SameSite=Lax\r\n\r\n\"\"", NULL, 0 },
		{ "out", WHO COOKIE("0"), NULL, 204, "X-Session-Kind: none\r\n", NULL, 0 },
		{ "out, oscarapi", "GET /api/login/ HTTP/1.1" COOKIE("0"), NULL, 405,
		  "Method \\\"GET\\\" not allowed", NULL, 0 },
		{ "the other lives", WHO COOKIE("1"), NULL, 204, "ada", NULL, 0 },
		{ "once more", "DELETE /api/login/ HTTP/1.1" COOKIE("0"), NULL, 200,
		  "sidecart_session=; ", NULL, 0 },
		{ "the dead id is not taken up", LOGIN JSON COOKIE("0"), ADA, 200,
		  "sidecart_session=", NULL, 0 },
		{ "still dead", WHO COOKIE("0"), NULL, 204, "none\r\n", NULL, 0 },
		{ "a lost token", "GET /session HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "Set-Cookie: sidecart_csrf=", "Set-Cookie: sidecart_session=", 0 },
		{ "everywhere, no proof", "DELETE /session?all=1 HTTP/1.1|Cookie: "
		  "sidecart_session=$1", NULL, 403, "\"code\":\"csrf_cookie\"", NULL, 0 },
		{ "everywhere", "DELETE /session?all=1 HTTP/1.1" PROOF("1"), NULL, 204,
		  "sidecart_session=; ", NULL, 0 },
		{ "here", WHO COOKIE("1"), NULL, 204, "none\r\n", NULL, 0 },
		{ "there", WHO COOKIE("2"), NULL, 204, "none\r\n", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_native_logout(void **state)
{
#define OUT "DELETE /session HTTP/1.1"
	static const struct step steps[] = {
		{ "nobody", OUT, NULL, 204, "no-store", "Set-Cookie", 0 },
		{ "nobody, from elsewhere", OUT EVIL, NULL, 403, "\"code\":\"csrf_origin\"", NULL,
		  0 },
		{ "a guest's header", OUT ANON, NULL, 204, NULL, NULL, 0 },
		{ "login by header", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "login by cookie", LOGIN JSON, ADA, 200, NULL, NULL, 0 },
		{ "logout by header", OUT AUTH EVIL, NULL, 204, NULL, "Session-Id: ", 0 },
		{ "out", WHO AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "again", OUT AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "cookie lives", WHO COOKIE("0"), NULL, 204, "ada", NULL, 0 },
		{ "no token", OUT COOKIE("0"), NULL, 403, "\"code\":\"csrf_token\"", NULL, 0 },
		{ "all=0", "DELETE /session?all=0 HTTP/1.1" PROOF("0"), NULL, 204, NULL, NULL, 0 },
		{ "cookie out", WHO COOKIE("0"), NULL, 204, "none\r\n", NULL, 0 },
		{ "login by header", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "login by cookie", LOGIN JSON, ADA, 200, NULL, NULL, 0 },
		{ "all by header", "DELETE /session?all=1 HTTP/1.1" AUTH, NULL, 204, NULL, NULL,
		  0 },
		{ "header out", WHO AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "cookie out too", WHO COOKIE("1"), NULL, 204, "none\r\n", NULL, 0 },
	};
#undef OUT

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define EMPTY_ETAG "\"44136fa355b3678a\""     /* SHA-256 of {}, cut */

static void test_session_data(void **state)
{
	static const struct step steps[] = {
		{ "nobody's", "GET /session/data HTTP/1.1", NULL, 200, "ETag: " EMPTY_ETAG
		  "\r\n\r\n{}", "Set-Cookie", 0 },
		{ "media", PATCH, "{}", 415, "media_type", NULL, 0 },
		{ "no JSON", PATCH JSON, "{", 400, "json_bad", "Set-Cookie", 0 },
		{ "no object", PATCH JSON, "[1]", 400, "json_bad", "Set-Cookie", 0 },
		{ "from elsewhere", PATCH JSON EVIL, "{\"a\":1}", 403, "csrf_origin", "Set-Cookie",
		  0 },
		{ "If-Match", PATCH JSON "|If-Match: \"0\"", "{\"a\":1}", 412, "\"changed\"",
		  "Set-Cookie", 0 },
		{ "a guest's first", PATCH "|Content-Type: application/merge-patch+json|If-Match: "
		  EMPTY_ETAG, "{\"a\":1,\"b\":{\"c\":2}}", 200, "{\"a\":1,\"b\":{\"c\":2}}", NULL,
		  0 },
		{ "is a guest", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", NULL, 0 },
		{ "needs no token", PATCH JSON "|Cookie: sidecart_session=$0" OWN,
		  "{\"b\":{\"c\":null},\"d\":[null]}", 200, "\r\n{\"a\":1,\"b\":{},\"d\":[null]}",
		  "Set-Cookie", 0 },
		{ "read", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$0", NULL, 200,
		  "{\"a\":1,\"b\":{},\"d\":[null]}", NULL, 0 },
		{ "any", PATCH JSON "|If-Match: *|Cookie: sidecart_session=$0", "{\"d\":null}", 200,
		  "\r\n{\"a\":1,\"b\":{}}", NULL, 0 },
		{ "stale", PATCH JSON "|If-Match: " EMPTY_ETAG "|Cookie: sidecart_session=$0",
		  "{\"e\":1}", 412, "changed", NULL, 0 },
		{ "weak", PATCH JSON "|If-Match: W/\"x\", " EMPTY_ETAG
		  "|Cookie: sidecart_session=$0", "{\"e\":1}", 412, "changed", NULL, 0 },
		{ "login", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 200,
		  "sidecart_session=", NULL, 0 },
		{ "goes with it", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL,
		  200, "\r\n{\"a\":1,\"b\":{}}", NULL, 0 },
		{ "grace", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", "ada", 9 },
		{ "after it", WHO "|Cookie: sidecart_session=$0", NULL, 204, "none\r\n", NULL, 1 },
		{ "a customer's needs the token", PATCH JSON "|Cookie: sidecart_session=$1",
		  "{\"a\":2}", 403, "csrf_cookie", NULL, 0 },
		{ "with it", PATCH JSON "|Cookie: sidecart_session=$1; sidecart_csrf=#0|"
		  "X-CSRFToken: #0", "{\"a\":2}", 200, "\r\n{\"a\":2,\"b\":{}}", NULL, 0 },
		{ "logout", "DELETE /session HTTP/1.1|Cookie: sidecart_session=$1; "
		  "sidecart_csrf=#0|X-CSRFToken: #0", NULL, 204, NULL, NULL, 0 },
		{ "gone", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "\r\n{}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* The guest's cookie was due for its renewal: the login wins. */
static void test_grace_is_not_renewed(void **state)
{
	static const struct step steps[] = {
		{ "a guest's", PATCH JSON, "{}", 200, "sidecart_session=", NULL, 0 },
		{ "login", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 200, NULL, NULL,
		  5 * 86400 },
		{ "grace", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", NULL, 0 },
		{ "renews nothing", "GET /session HTTP/1.1|Cookie: sidecart_session=$0", NULL,
		  200, "guest", NULL, 9 },
		{ "over", WHO "|Cookie: sidecart_session=$0", NULL, 204, "none\r\n", NULL, 1 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* What the session's record says of its owner stands in the fields and in the members. */
static void test_owner_of_the_session(void **state)
{
#define R "GET /resolve?require=any HTTP/1.1"
	static const struct step steps[] = {
		{ "without a basket", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "no basket", R AUTH, NULL, 204, "X-Customer-Id: 1\r\nX-Customer-Login: ada\r\n"
		  "X-Basket-Id: -\r\n", NULL, 0 },
		{ "with a basket", LOGIN ANON "b" JSON,
		  "{\"username\":\"bob\",\"password\":\"bob\"}", 200, NULL, NULL, 0 },
		{ "his basket", R AUTH "b", NULL, 204, "X-Customer-Id: 2\r\nX-Customer-Login: "
		  "bob\r\nX-Basket-Id: 77\r\n", NULL, 0 },
		{ "in JSON", "GET /session HTTP/1.1" AUTH "b", NULL, 200, "\"customer_id\":\"2\","
		  "\"customer_login\":\"bob\",\"basket_id\":\"77\"", NULL, 0 },
		{ "a guest's record", PATCH ANON "c" JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "a guest", R ANON "c", NULL, 204, "X-Customer-Id: -\r\nX-Customer-Login: -\r\n"
		  "X-Basket-Id: -\r\n", NULL, 0 },
		{ "in JSON", "GET /session HTTP/1.1" ANON "c", NULL, 200, "\"customer_id\":null,"
		  "\"customer_login\":null,\"basket_id\":null", NULL, 0 },
	};
#undef R

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_session_data_by_header(void **state)
{
	static const struct step steps[] = {
		{ "guest", PATCH ANON JSON EVIL, "{\"a\":1}", 200, "Session-Id: SID:ANON", NULL,
		  0 },
		{ "another thread", "GET /session/data HTTP/1.1" ANON "-1f:2", NULL, 200,
		  "\r\n{\"a\":1}", NULL, 400 * 86400 },
		{ "another guest", "GET /session/data HTTP/1.1" ANON "0", NULL, 200, "\r\n{}",
		  NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "merged", "GET /session/data HTTP/1.1" AUTH, NULL, 200, "\r\n{\"a\":1}", NULL,
		  0 },
		{ "nothing is left", "GET /session/data HTTP/1.1" ANON, NULL, 200, "\r\n{}", NULL,
		  0 },
		{ "customer", PATCH AUTH JSON, "{\"a\":2}", 200, "\r\n{\"a\":2}", NULL, 0 },
		{ "guest again", PATCH ANON JSON, "{\"a\":3,\"b\":3}", 200, NULL, NULL, 0 },
		{ "login again", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "the customer's wins", "GET /session/data HTTP/1.1" AUTH, NULL, 200,
		  "\r\n{\"a\":2,\"b\":3}", NULL, 0 },
		{ "taken over", LOGIN ANON JSON, "{\"username\":\"bob\",\"password\":\"bob\"}", 200,
		  NULL, NULL, 0 },
		{ "another's data is gone", "GET /session/data HTTP/1.1" AUTH, NULL, 200, "\r\n{}",
		  NULL, 0 },
		{ "guest", PATCH ANON JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "logout of a guest", "DELETE /api/login/ HTTP/1.1" ANON, NULL, 200, NULL, NULL,
		  0 },
		{ "gone", "GET /session/data HTTP/1.1" ANON, NULL, 200, "\r\n{}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_session_data_limit(void **state)
{
	static char fits[RECORD_DATA_MAX + 1], longer[RECORD_DATA_MAX + 2];
	static const char cookie[] = PATCH JSON "|Cookie: sidecart_session=$0";
	const struct step steps[] = {
		{ "fits", PATCH JSON, fits, 200, "00\"}", NULL, 0 },
		{ "one more", cookie, "{\"b\":1}", 413, "data_full", NULL, 0 },
		{ "kept as it was", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$0", NULL,
		  200, fits, NULL, 0 },
		{ "too long", PATCH JSON, longer, 413, "data_full", "Set-Cookie", 0 },
	};

	(void)state;
	snprintf(fits, sizeof fits, "{\"a\":\"%0*d\"}", RECORD_DATA_MAX - 8, 0);
	snprintf(longer, sizeof longer, "{\"a\":\"%0*d\"}", RECORD_DATA_MAX - 7, 0);
	run_script(steps, COUNT_OF(steps));
}

static void test_cookie_single_sign_on(void **state)
{
#define SSO "POST /session/login HTTP/1.1|X-Api-Key: login-key" JSON
	static const struct step steps[] = {
		{ "a guest's", PATCH JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "in", SSO "|Cookie: sidecart_session=$0", "{\"login\":\"ada\"}", 200,
		  "\"session_kind\":\"customer\"", NULL, 0 },
		{ "merged", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "\r\n{\"a\":1}", NULL, 0 },
		{ "in use", SSO "|Cookie: sidecart_session=$1; sidecart_csrf=#0|X-CSRFToken: #0",
		  "{\"login\":\"bob\"}", 409, "session_in_use", NULL, 0 },
		{ "in use, no proof", SSO "|Cookie: sidecart_session=$1", "{\"login\":\"bob\"}",
		  403, "csrf_cookie", NULL, 0 },
	};
#undef SSO

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void set_cors(void)
{
	char error[CONFIG_ERROR_MAX];

	assert_true(config_set(&world.config, SLICE("cors_origins"),
	                       SLICE("https://app.example"), "test", error));
	assert_true(config_set(&world.config, SLICE("csrf_origins"),
	                       SLICE("https://app.example"), "test", error));
}

static void test_cors(void **state)
{
#define APP "|Origin: https://app.example"
#define ASK "|Access-Control-Request-Method: PATCH"
#define ACAO "Access-Control-Allow-Origin: https://app.example\r\n" \
	"Access-Control-Allow-Credentials: true\r\n"
	static const struct step steps[] = {
		{ "same origin", "GET /session HTTP/1.1", NULL, 200, "Vary: Origin\r\n",
		  "Access-Control", 0 },
		{ "listed", "GET /session HTTP/1.1" APP, NULL, 200, ACAO, NULL, 0 },
		{ "expects", "GET /session/data HTTP/1.1" APP, NULL, 200,
		  "Access-Control-Expose-Headers: Session-Id, ETag, Retry-After, Location, "
		  "Link, X-Basket-Merge, Idempotent-Replayed\r\n", NULL, 0 },
		{ "not listed", "GET /session HTTP/1.1" EVIL, NULL, 200, "Vary: Origin\r\n",
		  "Access-Control", 0 },
		{ "null", "GET /session HTTP/1.1|Origin: null", NULL, 200, NULL,
		  "Access-Control", 0 },
		{ "oscarapi", "GET /api/login/ HTTP/1.1" APP, NULL, 405, ACAO, NULL, 0 },
		{ "a refusal can be read", "GET /session HTTP/1.1|X-Api-Key: bad" APP, NULL, 403,
		  ACAO, NULL, 0 },
		{ "/resolve is for proxies", WHO APP, NULL, 204, NULL, "Access-Control", 0 },
		{ "preflight", "OPTIONS /session/data HTTP/1.1" APP ASK, NULL, 204,
		  "Access-Control-Allow-Methods: GET, HEAD, PATCH, OPTIONS\r\n"
		  "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
		  "If-Match, Session-Id, X-Api-Key, X-CSRFToken\r\nAccess-Control-Max-Age: 600\r\n"
		  "Vary: Origin\r\n" ACAO, "Set-Cookie", 0 },
		{ "preflight, not listed", "OPTIONS /session/data HTTP/1.1" EVIL ASK, NULL, 204,
		  "Allow: GET", "Access-Control", 0 },
		{ "preflight, no path", "OPTIONS /nosuch HTTP/1.1" APP ASK, NULL, 404, NULL,
		  "Allow-Methods", 0 },
		{ "preflight of /resolve", "OPTIONS /resolve HTTP/1.1" APP ASK, NULL, 401, NULL,
		  "Access-Control", 0 },
		{ "login from there", LOGIN JSON APP "|Sec-Fetch-Site: cross-site", ADA, 200,
		  ACAO, NULL, 0 },
		{ "no token", "DELETE /session HTTP/1.1" COOKIE("0") APP, NULL, 403, ACAO, NULL,
		  0 },
		{ "out", "DELETE /session HTTP/1.1" PROOF("0") APP, NULL, 204, ACAO, NULL, 0 },
	};
#undef APP
#undef ASK
#undef ACAO

	(void)state;
	world.configure = set_cors;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

/* Without cors_origins there is not a word of it. */
static void test_no_cors(void **state)
{
	static const struct step steps[] = {
		{ "read", "GET /session HTTP/1.1" KEY EVIL, NULL, 200, NULL, "Origin", 0 },
		{ "preflight", "OPTIONS /session HTTP/1.1" EVIL "|Access-Control-Request-Method: "
		  "DELETE", NULL, 204, "Allow: ", "Access-Control", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define WHOLE "SID:ANON:shop.example:82d7ac3f-135c-4b12-a296-ff3c4701307d"

static void set_migrate(void)
{
	world.config.sid_grammar = SID_MIGRATE;
}

/* What the original kept of a guest, under the key that it cut. */
static void add_cut(void)
{
	static struct basket b;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct sid sid;

	assert_int_equal(sid_parse(SLICE(WHOLE), SID_OSCARAPI, &sid), SID_OK);
	sid_key(&sid, SID_ANON, SLICE("test-secret"), key);
	assert_int_equal(session_start(world.kv, &world.config, key, 0, VIA_HEADER, START_S),
	                 KV_OK);
	assert_int_equal(basket_make(world.kv, &b, 0, key, (uint64_t)START_S * 1000000), KV_OK);
	assert_int_equal(basket_put(world.kv, &world.config, &b, false,
	                            (uint64_t)START_S * 1000000), KV_OK);
	assert_int_equal(session_set_basket(world.kv, key, b.id), KV_OK);
}

/* Who asks is known by his names also behind the puts that moved his session. */
static void test_moved_session(void **state)
{
	static const struct step steps[] = {
		{ "login", LOGIN KEY "|Session-Id: " WHOLE JSON, ADA, 200,
		  "login key=\"app\" customer=1", NULL, 0 },
	};

	(void)state;
	world.configure = set_migrate;
	world.prepare = add_cut;
	run_script(steps, COUNT_OF(steps));
	world.configure = world.prepare = NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_and_logout),
		cmocka_unit_test(test_login_form),
		cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_expiry_and_renewal),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_native_session),
		cmocka_unit_test(test_router),
		cmocka_unit_test(test_oldest_session_goes),
		cmocka_unit_test(test_cookie_login),
		cmocka_unit_test(test_native_logout),
		cmocka_unit_test(test_session_data),
		cmocka_unit_test(test_grace_is_not_renewed),
		cmocka_unit_test(test_owner_of_the_session),
		cmocka_unit_test(test_session_data_by_header),
		cmocka_unit_test(test_session_data_limit),
		cmocka_unit_test(test_cookie_single_sign_on),
		cmocka_unit_test(test_cors),
		cmocka_unit_test(test_no_cors),
		cmocka_unit_test(test_moved_session),
	};

	return cmocka_run_group_tests_name("handlers", tests, NULL, NULL);
}
