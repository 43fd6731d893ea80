/* test_ocapi_session.c -- a session for a token: POST /sessions, and the cookies it sets.
 *
 * Each script runs twice (handlers.h). A guest and a customer have a token each.
 */
#include "handlers.h"

#include "../ocapi.h"

#define GUEST  "|Authorization: Bearer ~0"
#define ADA_   "|Authorization: Bearer ~1"
#define HTTPS  "|X-Forwarded-Proto: https"
#define POST   "POST /dw/shop/v20_9/sessions HTTP/1.1"
#define SUFFIX "b5d8a8e2b741ecb26e2f400a02c69ec5"       /* of Sites-RefArch-Site */
#define SECURE "Set-Cookie: dwsecuretoken_" SUFFIX "="
#define SITE   "; Version=1; Comment=\"Demandware "

#define FAULT(type) "\"type\":\"" type "Exception\""

static void prepare(void)
{
	const struct session_owner guest = { .guest_id = "guestguestguestguestguest0" };
	const struct session_owner ada = { .customer_id = 1 };

	world_add_token_key();
	world_add_bearer(&guest);
	world_add_bearer(&ada);
}

/* The peer of these requests tells of HTTPS. */
static void enforced(void)
{
	char error[CONFIG_ERROR_MAX];

	prepare();
	world.config.enforce_https = CONFIG_ON;
	assert_true(config_set(&world.config, SLICE("trusted_proxies"), SLICE("192.0.2.7"), "test",
	                       error));
}

static void not_enforced(void)
{
	prepare();
	world.config.enforce_https = CONFIG_OFF;
}

/* Section 2.1 of ocapi.md, without "Enforce HTTPS". */
static void test_cookies(void **state)
{
	static const struct step steps[] = {
		{ "secure token first", POST GUEST, NULL, 204, "\r\n" SECURE, "\r\nContent-Type",
		  0 },
		{ "its attributes", POST GUEST, NULL, 204,
		  "==" SITE "Secure Token for site Sites-RefArch-Site\"; Path=/; Secure; HttpOnly"
		  "\r\nSet-Cookie: dwsid=", NULL, 0 },
		{ "dwsid's attributes", POST GUEST, NULL, 204,
		  "==; Path=/; HttpOnly\r\nSet-Cookie: dwanonymous_" SUFFIX
		  "=guestguestguestguestguest0" SITE "anonymous cookie for site "
		  "Sites-RefArch-Site\"; Max-Age=15552000; Expires=Wed, 14-Jul-2027 08:00:00 GMT; "
		  "Path=/\r\n", "SameSite", 0 },
		{ "no store", POST GUEST, NULL, 204, "Cache-Control: max-age=0,no-cache,no-store,"
		  "must-revalidate\r\n", NULL, 0 },
		{ "a customer has no anonymous cookie", POST ADA_, NULL, 204, "dwsid=",
		  "dwanonymous", 0 },
		{ "his secure token", POST ADA_, NULL, 204, SECURE, NULL, 0 },
		{ "an old secure token is set anew", POST GUEST "|Cookie: dwsecuretoken_" SUFFIX
		  "=x", NULL, 204, SECURE, SECURE "\"\"", 0 },
		{ "a site in the path", "POST /s/RefArch/dw/shop/v20_9/sessions HTTP/1.1" GUEST
		  "|Content-Type: application/json", NULL, 204, "dwsid=", NULL, 0 },
	};

	(void)state;
	world.prepare = not_enforced;
	run_script(steps, COUNT_OF(steps));
}

static void test_enforced(void **state)
{
	static const struct step steps[] = {
		{ "plain HTTP", POST GUEST, NULL, 403, FAULT("SecureCommunicationRequired"),
		  "Set-Cookie", 0 },
		{ "no secure token", POST GUEST HTTPS, NULL, 204,
		  "==; Path=/; HttpOnly; Secure; SameSite=None\r\n", "dwsecuretoken", 0 },
		{ "anonymous cookie", POST GUEST HTTPS, NULL, 204,
		  "GMT; Path=/; Secure; SameSite=None\r\n", NULL, 0 },
		{ "one from before goes", POST GUEST HTTPS "|Cookie: dwsecuretoken_" SUFFIX "=x",
		  NULL, 204, SECURE "\"\"; "
		  "Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/; Secure; HttpOnly\r\n",
		  NULL, 0 },
		{ "another site's stays", POST GUEST HTTPS "|Cookie: dwsecuretoken_1f"
		  "866598df3d23bd96d7fbc0ff91985f=x", NULL, 204, "dwsid=", "dwsecuretoken", 0 },
	};

	(void)state;
	world.prepare = enforced;
	run_script(steps, COUNT_OF(steps));
}

/* Section 2.2: the global ones. */
static void test_faults(void **state)
{
	static const struct step steps[] = {
		{ "no token", POST "|x-dw-client-id: shop-key", NULL, 401,
		  FAULT("AuthorizationHeaderMissing"), "Set-Cookie", 0 },
		{ "another scheme", POST "|x-dw-client-id: shop-key|Authorization: Basic YTpi",
		  NULL, 401, FAULT("InvalidAuthorizationHeader"), "Set-Cookie", 0 },
		{ "no token of ours", POST "|Authorization: Bearer a.b.c", NULL, 401,
		  FAULT("InvalidAccessToken"), "Set-Cookie", 0 },
		{ "GET", "GET /dw/shop/v20_9/sessions HTTP/1.1" GUEST, NULL, 405,
		  FAULT("MethodNotAllowed"), NULL, 0 },
		{ "dead with its session", POST GUEST, NULL, 401, FAULT("ExpiredToken"),
		  "Set-Cookie", 1900 },
	};

	(void)state;
	world.prepare = not_enforced;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_enforced),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
