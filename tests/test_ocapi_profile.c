/* test_ocapi_profile.c -- a customer's profile, e-mail addresses, origins of pages under /dw/.
 *
 * Each script runs twice (handlers.h). A guest and two customers have a token each.
 */
#include "handlers.h"

#include "../ocapi.h"

#define DW       "/dw/shop/v20_9"
#define ID       "|x-dw-client-id: shop-key"
#define GUEST    "|Authorization: Bearer ~0"
#define ADA_     "|Authorization: Bearer ~1"
#define BOB      "|Authorization: Bearer ~2"
#define GUEST_ID "guestguestguestguestguest0"
#define ADA_ID   "lh3zwm3eebgiwel6qovs52jjge"
#define AUTH_    "POST " DW "/customers/auth HTTP/1.1"
#define FAULT(type) "\"type\":\"" type "Exception\""

static void prepare(void)
{
	const struct session_owner owners[] = {
		{ .guest_id = GUEST_ID }, { .customer_id = 1 }, { .customer_id = 2 },
	};

	world_add_token_key();
	for (size_t i = 0; i < COUNT_OF(owners); i++)
		world_add_bearer(&owners[i]);
}

#define PATCH_(id) "PATCH " DW "/customers/" id " HTTP/1.1"
#define GET_(id)   "GET " DW "/customers/" id " HTTP/1.1"

static void test_profile(void **state)
{
	static const struct step steps[] = {
		{ "own", GET_(ADA_ID) ADA_, NULL, 200, "\"email\":\"a@example.com\"", "first_name",
		  0 },
		{ "another's", GET_(ADA_ID) BOB, NULL, 400, FAULT("InvalidCustomer"), "ada", 0 },
		{ "by number", GET_("1") ADA_, NULL, 400, FAULT("InvalidCustomer"), "ada", 0 },
		{ "a guest", GET_(GUEST_ID) GUEST, NULL, 200, "\"auth_type\":\"guest\"", NULL, 0 },
		{ "no token", GET_(ADA_ID) ID, NULL, 401, FAULT("AuthorizationHeaderMissing"), NULL,
		  0 },
		{ "changed", PATCH_(ADA_ID) ADA_ JSON, "{\"first_name\":\"Ada\",\"last_name\":"
		  "\"L\xc3\xb6velace\",\"email\":\"ada@example.org\",\"login\":\"ada\","
		  "\"customer_no\":\"9\"}", 200, "\"customer_no\":\"1\",\"email\":"
		  "\"ada@example.org\",\"enabled\":true,\"first_name\":\"Ada\",\"last_name\":"
		  "\"L\xc3\xb6velace\",\"login\":\"ada\"", NULL, 0 },
		{ "for good", GET_(ADA_ID) ADA_, NULL, 200, "\"first_name\":\"Ada\"", NULL, 0 },
		{ "removed", PATCH_(ADA_ID) ADA_ JSON, "{\"first_name\":null}", 200,
		  "\"last_name\":\"L\xc3\xb6velace\"", "first_name", 0 },
		{ "another's address", PATCH_(ADA_ID) ADA_ JSON, "{\"email\":\"A@example.com\"}",
		  400, FAULT("InvalidEmail"), NULL, 0 },
		{ "another's login", PATCH_(ADA_ID) ADA_ JSON, "{\"email\":\"bob\"}", 400,
		  FAULT("InvalidEmail"), NULL, 0 },
		{ "no address", PATCH_(ADA_ID) ADA_ JSON, "{\"email\":null}", 400,
		  FAULT("MissingEmail"), NULL, 0 },
		{ "a login", PATCH_(ADA_ID) ADA_ JSON, "{\"login\":\"eve\"}", 400,
		  FAULT("PropertyNotPermitted"), NULL, 0 },
		{ "a control byte", PATCH_(ADA_ID) ADA_ JSON, "{\"last_name\":\"a\\u0007\"}", 400,
		  FAULT("ValueConstraintViolation"), NULL, 0 },
		{ "unknown", PATCH_(ADA_ID) ADA_ JSON, "{\"password\":\"x\"}", 400,
		  FAULT("UnknownProperty"), NULL, 0 },
		{ "no document", PATCH_(ADA_ID) ADA_ JSON, "[]", 400, FAULT("TypeDecoding"), NULL,
		  0 },
		{ "of another", PATCH_(ADA_ID) BOB JSON, "{\"first_name\":\"B\"}", 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "of a guest", PATCH_(GUEST_ID) GUEST JSON, "{\"first_name\":\"B\"}", 400,
		  FAULT("InvalidCustomer"), NULL, 0 },
		{ "nothing of it", GET_(ADA_ID) ADA_, NULL, 200, "\"email\":\"ada@example.org\","
		  "\"enabled\":true,\"last_name\"", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void registers(void)
{
	world.config.registers = CONFIG_ON;
}

static void test_register(void **state)
{
#define NEW(login, email) "{\"customer\":{\"login\":\"" login "\",\"email\":\"" email \
	"\",\"last_name\":\"N\"},\"password\":\"V3rYS3cr3t!\"}"
#define REGISTER "POST " DW "/customers HTTP/1.1"
	static const struct step steps[] = {
		{ "taken", REGISTER GUEST JSON, NEW("ada", "n@example.com"), 400,
		  FAULT("LoginAlreadyInUse"), NULL, 0 },
		{ "its address is", REGISTER GUEST JSON, NEW("new", "A@EXAMPLE.com"), 400,
		  FAULT("InvalidEmail"), NULL, 0 },
		{ "made", REGISTER GUEST JSON, NEW("new", "n@example.com"), 200,
		  "\"login\":\"new\"", "Bearer", 0 },
		{ "once", REGISTER GUEST JSON, NEW("new", "m@example.com"), 400,
		  FAULT("LoginAlreadyInUse"), NULL, 0 },
		{ "by a customer", REGISTER ADA_ JSON, NEW("x", "x@example.com"), 400,
		  FAULT("CustomerAlreadyRegistered"), NULL, 0 },
	};
	static const struct step closed[] = {
		{ "closed", REGISTER GUEST JSON, NEW("new", "n@example.com"), 403,
		  FAULT("ClientAccessForbidden"), NULL, 0 },
	};

	(void)state;
	world.configure = registers;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
	run_script(closed, COUNT_OF(closed));
}

/* Another origin's page gets nothing, and changes nothing. */
static void test_origins(void **state)
{
#define EVIL "|Origin: https://evil.example"
	static const struct step steps[] = {
		{ "a token", AUTH_ ID EVIL JSON, "{\"type\":\"guest\"}", 401,
		  "{\"origin\":\"https://evil.example\"}," FAULT("UnauthorizedOrigin"),
		  "Access-Control", 0 },
		{ "the end of one", "DELETE " DW "/customers/auth HTTP/1.1" GUEST EVIL, NULL, 401,
		  FAULT("UnauthorizedOrigin"), "Access-Control", 0 },
		{ "which still lives", GET_(GUEST_ID) GUEST, NULL, 200, NULL, NULL, 0 },
		{ "its own host", GET_(GUEST_ID) GUEST "|Origin: https://shop.example", NULL, 200,
		  NULL, "Access-Control", 0 },
		{ "a preflight", "OPTIONS " DW "/sessions HTTP/1.1" EVIL "|Access-Control-Request-"
		  "Method: POST", NULL, 204,
		  "Access-Control-Allow-Origin: https://evil.example\r\n", NULL, 0 },
		{ "a dead token", GET_(GUEST_ID) "|Authorization: Bearer x" EVIL, NULL, 401,
		  "Access-Control-Allow-Origin: https://evil.example\r\n", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_origins),
	};

	json_seed(1);
	world.prepare = prepare;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
