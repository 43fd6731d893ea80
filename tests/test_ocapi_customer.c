/* test_ocapi_customer.c -- tokens, customers and sessions under /dw/, as whole requests.
 *
 * Each script runs twice (handlers.h): whatever a handler asks for on its way to a token,
 * it is the same one in the end. tests/test_ocapi_bridge.py has what needs the tokens and cookies
 * that came.
 */
#include "handlers.h"

#include "../ocapi.h"

#define CLIENT "|X-Dw-Client-Id: shop-key"
#define AUTH_POST "POST /dw/shop/v20_9/customers/auth HTTP/1.1" JSON
#define TRUSTED "POST /dw/shop/v20_9/customers/auth/trustedsystem HTTP/1.1" CLIENT JSON
#define TYPE(type) "{\"type\":\"" type "\"}"
#define ADA_BASIC "|Authorization: Basic YWRhOmFkYQ=="
#define GUEST "|Authorization: Bearer ~0"
#define MEMBER "|Authorization: Bearer ~1"
#define GUEST_ID "guestguestguestguestguest0"

#define FAULT(type) "\"type\":\"" type "Exception\""
#define REFUSED(type) \
	"\"fault\":{\"arguments\":{\"credentialType\":\"" type "\"}," \
	FAULT("AuthenticationFailed") ",\"message\":\"Customer authentication based on " type \
	" failed.\"}}"
#define BEARER "\r\nAuthorization: Bearer eyJfdiI6IjEiLCJhbGciOiJIUzI1NiI"
#define CUSTOMER_ADA \
	"\"auth_type\":\"registered\",\"creation_date\":\"2025-11-22T04:25:35.355Z\"," \
	"\"customer_id\":\""
#define NUMBER_ADA \
	"\",\"customer_no\":\"1\",\"email\":\"a@example.com\",\"enabled\":true,\"login\":\"ada\"," \
	"\"preferred_locale\":\"default\"}"

static void prepare(void)
{
	const struct session_owner owners[] = {
		{ .guest_id = GUEST_ID }, { .customer_id = 1 },
	};

	world.config.max_sessions_per_customer = 0;
	world_add_token_key();
	for (size_t i = 0; i < COUNT_OF(owners); i++)
		world_add_bearer(&owners[i]);
}

static void test_auth(void **state)
{
	static const struct step steps[] = {
		{ "guest", AUTH_POST CLIENT, TYPE("guest"), 200, BEARER, NULL, 0 },
		{ "his document", AUTH_POST CLIENT, TYPE("guest"), 200,
		  "\r\n{\"_v\":\"20.9\",\"_type\":\"customer\",\"auth_type\":\"guest\","
		  "\"customer_id\":\"", "customer_no", 0 },
		{ "client id in the query", "POST /dw/shop/v20_9/customers/auth?client_id=shop-key "
		  "HTTP/1.1" JSON, TYPE("guest"), 200, BEARER, NULL, 0 },
		{ "no client id", AUTH_POST, TYPE("guest"), 400, FAULT("MissingClientId"), NULL,
		  0 },
		{ "unknown client id", AUTH_POST "|X-Dw-Client-Id: nobody", TYPE("guest"), 401,
		  FAULT("UnknownClientId"), NULL, 0 },
		{ "a key of more scopes", AUTH_POST "|X-Dw-Client-Id: trusted-key",
		  TYPE("guest"), 401, FAULT("UnknownClientId"), NULL, 0 },
		{ "credentials", AUTH_POST CLIENT ADA_BASIC, TYPE("credentials"), 200, BEARER,
		  NULL, 0 },
		{ "her document", AUTH_POST CLIENT ADA_BASIC, TYPE("credentials"), 200,
		  CUSTOMER_ADA, NULL, 0 },
		{ "her number", AUTH_POST CLIENT ADA_BASIC, TYPE("credentials"), 200,
		  NUMBER_ADA, NULL, 0 },
		{ "without padding", AUTH_POST CLIENT "|Authorization: basic YWRhOmFkYQ",
		  TYPE("credentials"), 200, BEARER, NULL, 0 },
		{ "wrong", AUTH_POST CLIENT "|Authorization: Basic YWRhOmFkYWE=",
		  TYPE("credentials"), 401, REFUSED("credentials"), "Authorization: Bearer", 0 },
		{ "disabled", AUTH_POST CLIENT "|Authorization: Basic Z29uZTpnb25l",
		  TYPE("credentials"), 401, REFUSED("credentials"), NULL, 0 },
		{ "without a password", AUTH_POST CLIENT "|Authorization: Basic a2V5bGVzczo=",
		  TYPE("credentials"), 401, REFUSED("credentials"), NULL, 0 },
		{ "no colon", AUTH_POST CLIENT "|Authorization: Basic YWRh", TYPE("credentials"),
		  401, REFUSED("credentials"), NULL, 0 },
		{ "no base64", AUTH_POST CLIENT "|Authorization: Basic a:b!", TYPE("credentials"),
		  401, REFUSED("credentials"), NULL, 0 },
		{ "nothing", AUTH_POST CLIENT, TYPE("credentials"), 400,
		  FAULT("AuthorizationHeaderMissing"), NULL, 0 },
		{ "a token", AUTH_POST GUEST, TYPE("credentials"), 400,
		  FAULT("AuthorizationHeaderMissing"), NULL, 0 },
		{ "refresh", AUTH_POST GUEST, TYPE("refresh"), 200,
		  "\"auth_type\":\"guest\",\"customer_id\":\"" GUEST_ID "\"", NULL, 0 },
		{ "hers", AUTH_POST MEMBER, TYPE("refresh"), 200, CUSTOMER_ADA, NULL, 0 },
		{ "refresh of nothing", AUTH_POST CLIENT, TYPE("refresh"), 401,
		  FAULT("AuthorizationHeaderMissing"), NULL, 0 },
		{ "refresh of Basic", AUTH_POST CLIENT ADA_BASIC, TYPE("refresh"), 401,
		  FAULT("InvalidAuthorizationHeader"), NULL, 0 },
		{ "another type", AUTH_POST CLIENT, TYPE("Guest"), 400,
		  "{\"document\":\"auth_request\",\"enumValue\":\"Guest\"}," FAULT(
		  "EnumConstraintViolation"), NULL, 0 },
		{ "no type", AUTH_POST CLIENT, "{}", 400, FAULT("PropertyConstraintViolation"),
		  NULL, 0 },
		{ "ended", "DELETE /dw/shop/v20_9/customers/auth HTTP/1.1" GUEST, NULL, 204, NULL,
		  NULL, 0 },
		{ "dead", AUTH_POST GUEST, TYPE("refresh"), 401,
		  "{\"accessToken\":\"eyJfdiI6...\"}," FAULT("InvalidAccessToken"), NULL, 0 },
		{ "the other lives", AUTH_POST MEMBER, TYPE("refresh"), 200, BEARER, NULL, 0 },
		{ "until its time is over", AUTH_POST MEMBER, TYPE("refresh"), 401,
		  FAULT("ExpiredToken"), NULL, 1900 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_trusted_system(void **state)
{
#define BODY(login, client) "{\"login\":\"" login "\",\"client_id\":\"" client "\"}"
#define SSO "|X-Api-Key: login-key"
	static const struct step steps[] = {
		{ "signed in", TRUSTED SSO, BODY("ada", "shop-key"), 200, BEARER, NULL, 0 },
		{ "who it is", TRUSTED SSO, BODY("ada", "shop-key"), 200, CUSTOMER_ADA, NULL, 0 },
		{ "no key", TRUSTED, BODY("ada", "shop-key"), 403, FAULT("ClientAccessForbidden"),
		  NULL, 0 },
		{ "another key", TRUSTED "|X-Api-Key: trusted-key", BODY("ada", "shop-key"), 403,
		  FAULT("ClientAccessForbidden"), NULL, 0 },
		{ "disabled", TRUSTED SSO, BODY("gone", "shop-key"), 401, REFUSED("trustedsystem"),
		  NULL, 0 },
		{ "nobody", TRUSTED SSO, BODY("nobody", "shop-key"), 401,
		  REFUSED("trustedsystem"), NULL, 0 },
		{ "another client", TRUSTED SSO, BODY("ada", "trusted-key"), 400,
		  FAULT("InvalidClientId"), NULL, 0 },
		{ "no login", TRUSTED SSO, "{\"client_id\":\"shop-key\"}", 400,
		  FAULT("PropertyConstraintViolation"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void open_shop(void)
{
	world.config.registers = CONFIG_ON;
	world.config.enforce_https = CONFIG_OFF;
}

static void test_customers(void **state)
{
#define REGISTER(who) "POST /dw/shop/v20_9/customers HTTP/1.1" who JSON
#define NEW(login, email, password) \
	"{\"customer\":{\"login\":\"" login "\",\"email\":\"" email "\",\"last_name\":\"New\"}," \
	"\"password\":\"" password "\"}"
#define STRONG "V3rYS3cr3t!"
	static const struct step steps[] = {
		{ "oneself", "GET /dw/shop/v20_9/customers/" GUEST_ID " HTTP/1.1" GUEST, NULL, 200,
		  "\"customer_id\":\"" GUEST_ID "\"", "Authorization", 0 },
		{ "another", "GET /dw/shop/v20_9/customers/" GUEST_ID " HTTP/1.1" MEMBER, NULL, 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "registered", REGISTER(GUEST), NEW("new", "n@x", STRONG), 200,
		  "\",\"customer_no\":\"5\",\"email\":\"n@x\",\"enabled\":true,"
		  "\"last_name\":\"New\"," "\"login\":\"new\",\"preferred_locale\":\"default\"}",
		  "Authorization", 0 },
		{ "again", REGISTER(GUEST), NEW("new", "n@x", STRONG), 400,
		  FAULT("LoginAlreadyInUse"), NULL, 0 },
		{ "the new one", AUTH_POST CLIENT "|Authorization: Basic bmV3OlYzcllTM2NyM3Qh",
		  TYPE("credentials"), 200, "\"customer_no\":\"5\"", NULL, 0 },
		{ "a weak password", REGISTER(GUEST), NEW("n2", "n@x", "1234567"), 400,
		  FAULT("InvalidPassword"), NULL, 0 },
		{ "no password", REGISTER(GUEST),
		  "{\"customer\":{\"login\":\"n2\",\"email\":\"n@x\"," "\"last_name\":\"N\"}}", 400,
		  FAULT("MissingPassword"), NULL, 0 },
		{ "no address", REGISTER(GUEST), NEW("n2", "n", STRONG), 400,
		  FAULT("InvalidEmail"), NULL, 0 },
		{ "no login", REGISTER(GUEST), NEW("", "n@x", STRONG), 400, FAULT("MissingLogin"),
		  NULL, 0 },
		{ "no name", REGISTER(GUEST), "{\"customer\":{\"login\":\"n2\",\"email\":\"n@x\"},"
		  "\"password\":\"" STRONG "\"}", 400, FAULT("MissingLastName"), NULL, 0 },
		{ "unknown member", REGISTER(GUEST), "{\"customer\":{\"fax\":\"1\"}}", 400,
		  FAULT("UnknownProperty"), NULL, 0 },
		{ "a customer", REGISTER(MEMBER), NEW("n2", "n@x", STRONG), 400,
		  FAULT("CustomerAlreadyRegistered"), NULL, 0 },
	};

	(void)state;
	world.configure = open_shop;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void test_sessions(void **state)
{
#define SESSIONS "POST /dw/shop/v20_9/sessions HTTP/1.1"
	static const struct step steps[] = {
		{ "a guest's", SESSIONS GUEST, NULL, 204,
		  "Set-Cookie: dwanonymous_b5d8a8e2b741ecb26e2f400a02c69ec5=" GUEST_ID
		  "; Version=1; Comment=\"Demandware anonymous cookie for site "
		  "Sites-RefArch-Site\"; "
		  "Max-Age=15552000; Expires=Wed, 14-Jul-2027 08:00:00 GMT; Path=/\r\n", NULL, 0 },
		{ "its secure token", SESSIONS GUEST, NULL, 204,
		  "Set-Cookie: dwsecuretoken_b5d8a8e2b741ecb26e2f400a02c69ec5=", NULL, 0 },
		{ "hers", SESSIONS MEMBER, NULL, 204, "Set-Cookie: dwsid=", "dwanonymous", 0 },
		{ "nobody's", SESSIONS CLIENT, NULL, 401, FAULT("AuthorizationHeaderMissing"), NULL,
		  0 },
		{ "no session", AUTH_POST CLIENT, TYPE("session"), 401, REFUSED("session"), NULL,
		  0 },
		{ "none like that", AUTH_POST CLIENT "|Cookie: dwsid=x", TYPE("session"), 401,
		  REFUSED("session"), NULL, 0 },
	};

	(void)state;
	world.configure = open_shop;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

/* HTTPS is enforced, and this is none. */
static void test_plain_http(void **state)
{
	static const struct step steps[] = {
		{ "no session", SESSIONS GUEST, NULL, 403, FAULT("SecureCommunicationRequired"),
		  "Set-Cookie", 0 },
		{ "no token", AUTH_POST CLIENT, TYPE("session"), 403,
		  FAULT("SecureCommunicationRequired"), "Authorization", 0 },
		{ "nobody is registered", REGISTER(GUEST), NEW("new", "n@x", STRONG), 403,
		  FAULT("ClientAccessForbidden"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_trusted_system),
		cmocka_unit_test(test_customers),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_plain_http),
	};

	world.prepare = prepare;
	return cmocka_run_group_tests_name("ocapi_customer", tests, NULL, NULL);
}
