/* test_admin.c -- /admin/ as whole requests: who may, what is refused, what is changed and said.
 *
 * Each script runs twice (handlers.h).
 */
#include "handlers.h"

#define BOSS  " HTTP/1.1|X-Api-Key: admin-key"
#define LINES "|Content-Type: application/x-ndjson"

static int on_ops(void **state)
{
	(void)state;
	world.ops = true;
	return 0;
}

/* D10: not without a key, not with another scope; and nothing else is there. */
static void test_who_may(void **state)
{
	static const struct step steps[] = {
		{ "no key", "GET /admin/keys HTTP/1.1", NULL, 403, "\"code\":\"key_missing\"",
		  "{\"keys\"", 0 },
		{ "a bad key", "GET /admin/keys HTTP/1.1|X-Api-Key: nobody", NULL, 403,
		  "\"code\":\"key_bad\"", NULL, 0 },
		{ "another scope", "GET /admin/keys HTTP/1.1|X-Api-Key: login-key", NULL, 403,
		  "\"code\":\"scope_missing\"", "{\"keys\"", 0 },
		{ "a change", "DELETE /admin/keys/app HTTP/1.1|X-Api-Key: shop-key", NULL, 403,
		  "application/problem+json", NULL, 0 },
		{ "kept", "GET /admin/keys/app" BOSS, NULL, 200, "\"state\":\"active\"", "key=",
		  0 },
		{ "options", "OPTIONS /admin/keys" BOSS, NULL, 204, "Allow: GET, HEAD, POST", NULL,
		  0 },
		{ "a method", "PUT /admin/keys" BOSS, NULL, 405, "Allow: GET, HEAD, POST", NULL,
		  0 },
		{ "a page of another site", "DELETE /admin/keys/app" BOSS
		  "|Origin: https://evil.example", NULL, 403, "csrf_origin", NULL, 0 },
		{ "no CORS", "GET /admin/keys/app" BOSS "|Origin: https://evil.example", NULL, 200,
		  NULL, "Access-Control", 0 },
		{ "nothing there", "GET /admin/" BOSS, NULL, 404, "No such path.", NULL, 0 },
		{ "what is for shoppers", "GET /session" BOSS, NULL, 404, "No such path.", NULL,
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_not_for_shoppers(void **state)
{
	static const struct step steps[] = {
		{ "keys", "GET /admin/keys" BOSS, NULL, 404, "No such path.", NULL, 0 },
		{ "one", "DELETE /admin/keys/app" BOSS, NULL, 404, "No such path.", NULL, 0 },
		{ "still there", "GET /resolve?require=any" BOSS, NULL, 204, "X-Client-Name: boss",
		  NULL, 0 },
	};

	(void)state;
	world.ops = false;
	run_script(steps, COUNT_OF(steps));
	world.ops = true;
}

static void test_customers(void **state)
{
	static const struct step steps[] = {
		{ "two", "GET /admin/customers?limit=2" BOSS, NULL, 200,
		  "{\"customers\":[{\"id\":1,\"login\":\"ada\",\"email\":\"a@example.com\","
		  "\"first_name\":\"\",\"last_name\":\"\",\"state\":\"enabled\",\"password\":true,"
		  "\"joined\":\"2025-11-22T04:25:35Z\"},{\"id\":2,", "gone", 0 },
		{ "where it goes on", "GET /admin/customers?limit=2" BOSS, NULL, 200,
		  "],\"next\":\"2\"}", NULL, 0 },
		{ "the rest", "GET /admin/customers?limit=2&after=2" BOSS, NULL, 200,
		  "\"state\":\"disabled\"", "\"ada\"", 0 },
		{ "all of it", "GET /admin/customers?after=4" BOSS, NULL, 200,
		  "{\"customers\":[],\"next\":null}", NULL, 0 },
		{ "by login", "GET /admin/customers?login=b%6fb" BOSS, NULL, 200,
		  "{\"customers\":[{\"id\":2,", "\"id\":1", 0 },
		{ "by no login", "GET /admin/customers?login=zoe" BOSS, NULL, 200,
		  "{\"customers\":[],\"next\":null}", NULL, 0 },
		{ "one", "GET /admin/customers/3" BOSS, NULL, 200, "{\"id\":3,\"login\":\"gone\"",
		  NULL, 0 },
		{ "nobody", "GET /admin/customers/9" BOSS, NULL, 404, "\"code\":\"not_found\"",
		  NULL,
		  0 },
		{ "no number", "GET /admin/customers/ada" BOSS, NULL, 404, "?login=", NULL, 0 },
		{ "added", "POST /admin/customers" BOSS JSON,
		  "{\"login\":\"eve\",\"email\":\"e@example.com\",\"password\":\"swordfish\"}", 201,
		  "Location: /admin/customers/5\r\n", "swordfish", 0 },
		{ "there", "GET /admin/customers/5" BOSS, NULL, 200, "\"password\":true", NULL, 0 },
		{ "with a hash", "POST /admin/customers" BOSS JSON, "{\"login\":\"fay\",\"hash\":"
		  "\"pbkdf2_sha256$10$salt$LlILCaL/x+aTUVwNpZAByCGDeiQbOCEYTD9cnxZGUNA=\"}", 201,
		  "customer_added key=\"boss\" customer=6", NULL, 0 },
		{ "without", "POST /admin/customers" BOSS JSON,
		  "{\"login\":\"gus\",\"no_password\":true}", 201, "\"password\":false", NULL, 0 },
		{ "another password", "PUT /admin/customers/7/password" BOSS JSON,
		  "{\"password\":\"x\"}", 200, "\"password\":true,", NULL, 0 },
		{ "of nobody", "PUT /admin/customers/9/password" BOSS JSON, "{\"password\":\"x\"}",
		  404, NULL, "key=", 0 },
		{ "enabled", "PATCH /admin/customers/3" BOSS JSON, "{\"state\":\"enabled\"}", 200,
		  "\"state\":\"enabled\"", NULL, 0 },
		{ "disabled", "PATCH /admin/customers/3" BOSS JSON, "{\"state\":\"disabled\"}", 200,
		  "customer_disabled key=\"boss\" customer=3 sessions_ended=0", NULL, 0 },
		{ "deleted", "DELETE /admin/customers/3" BOSS, NULL, 200,
		  "{\"deleted\":true,\"sessions_ended\":0}\ncustomer_deleted key=\"boss\" "
		  "customer=3",
		  NULL, 0 },
		{ "once", "DELETE /admin/customers/3" BOSS, NULL, 404, NULL, "key=", 0 },
		{ "its login is free", "POST /admin/customers" BOSS JSON,
		  "{\"login\":\"gone\",\"no_password\":true}", 201, "\"id\":8,", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_customers_refused(void **state)
{
#define ADD(what, body, status, has) \
	{ what, "POST /admin/customers" BOSS JSON, body, status, has, "customer_added", 0 }
	static const struct step steps[] = {
		ADD("no login", "{\"no_password\":true}", 400, "a login is 1 to 150"),
		ADD("the dash", "{\"login\":\"-\",\"no_password\":true}", 400, "a login is"),
		ADD("taken", "{\"login\":\"ada\",\"no_password\":true}", 409,
		  "\"code\":\"name_taken\""),
		ADD("an e-mail of two lines", "{\"login\":\"x\",\"email\":\"a\\nb\","
		    "\"no_password\":true}", 400, "e-mail and names"),
		ADD("no password at all", "{\"login\":\"x\"}", 400, "One of password, hash"),
		ADD("false", "{\"login\":\"x\",\"no_password\":false}", 400,
		  "One of password, hash"),
		ADD("two", "{\"login\":\"x\",\"password\":\"p\",\"no_password\":true}", 400,
		    "One of password, hash"),
		ADD("both", "{\"login\":\"x\",\"password\":\"p\",\"hash\":\"p\"}", 400, "not both"),
		ADD("empty", "{\"login\":\"x\",\"password\":\"\"}", 400, "1 to 4096"),
		ADD("another algorithm", "{\"login\":\"x\",\"hash\":\"md5$a$b\"}", 400,
		    "no other algorithm"),
		ADD("too many rounds", "{\"login\":\"x\",\"hash\":"
		    "\"pbkdf2_sha256$2000001$s$LlILCaL/x+aTUVwNpZAByCGDeiQbOCEYTD9cnxZGUNA=\"}",
		  400,
		    "2000000"),
		ADD("a number", "{\"login\":7,\"no_password\":true}", 400, "login: text is due"),
		ADD("a member of no name", "{\"login\":\"x\",\"colour\":1}", 400,
		    "No such member: colour"),
		ADD("a list", "[]", 400, "An object is due."),
		ADD("cut", "{\"login\"", 400, "\"code\":\"json_bad\""),
		ADD("nothing", NULL, 400, "\"code\":\"json_bad\""),
		{ "a form", "POST /admin/customers" BOSS, "{}", 415, "application/json", NULL, 0 },
		{ "a state", "PATCH /admin/customers/1" BOSS JSON, "{\"state\":\"asleep\"}", 400,
		  "disabled or enabled", NULL, 0 },
		{ "no state", "PATCH /admin/customers/1" BOSS JSON, "{}", 400,
		  "disabled or enabled",
		  NULL, 0 },
		{ "no password", "PUT /admin/customers/1/password" BOSS JSON, "{}", 400,
		  "One of password and hash", NULL, 0 },
		{ "limit", "GET /admin/customers?limit=1001" BOSS, NULL, 400, "1 to 1000", NULL,
		  0 },
		{ "limit 0", "GET /admin/customers?limit=0" BOSS, NULL, 400, "1 to 1000", NULL, 0 },
		{ "limit twice", "GET /admin/customers?limit=1&limit=2" BOSS, NULL, 400, "twice",
		  NULL, 0 },
		{ "after", "GET /admin/customers?after=ada" BOSS, NULL, 400, "after is", NULL, 0 },
		{ "a parameter", "GET /admin/customers?color=1" BOSS, NULL, 400,
		  "No such parameter: color", NULL, 0 },
		{ "as before", "GET /admin/customers?after=4" BOSS, NULL, 200,
		  "{\"customers\":[],\"next\":null}", NULL, 0 },
	};
#undef ADD

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* A5: a key's text is shown once. */
static void test_keys(void **state)
{
	static const struct step steps[] = {
		{ "two", "GET /admin/keys?limit=2" BOSS, NULL, 200,
		  "{\"keys\":[{\"name\":\"app\",\"scopes\":[\"shop\",\"trusted\"],"
		  "\"state\":\"active\",", "trusted-key", 0 },
		{ "where it goes on", "GET /admin/keys?limit=2" BOSS, NULL, 200,
		  "\"next\":\"boss\"}", NULL, 0 },
		{ "the rest", "GET /admin/keys?after=boss" BOSS, NULL, 200,
		  "{\"keys\":[{\"name\":\"shop\"", "\"app\"", 0 },
		{ "drawn", "POST /admin/keys" BOSS JSON, "{\"name\":\"web\"}", 201,
		  "\"scopes\":[\"shop\"],", NULL, 0 },
		{ "said", "POST /admin/keys" BOSS JSON, "{\"name\":\"web2\"}", 201,
		  "\"key\":\"sck_", NULL, 0 },
		{ "once", "GET /admin/keys/web2" BOSS, NULL, 200, "\"name\":\"web2\"", "sck_", 0 },
		{ "with all", "POST /admin/keys" BOSS JSON, "{\"name\":\"all\",\"owner\":\"Ada\","
		  "\"value\":\"my-own-key\",\"scopes\":[\"shop\",\"admin\"],\"expires\":\"90d\","
		  "\"sources\":[\"10.0.0.0/8\",\"2001:db8::/32\"],"
		  "\"origins\":[\"https://shop.example\"]}", 201,
		  "\"scopes\":[\"shop\",\"admin\"],\"state\":\"active\","
		  "\"created\":\"2027-01-15T08:00:00Z\",\"expires\":\"2027-04-15T08:00:00Z\","
		  "\"used\":null,\"owner\":\"Ada\",\"sources\":[\"10.0.0.0/8\",\"2001:db8::/32\"],"
		  "\"origins\":[\"https://shop.example\"],\"key\":\"my-own-key\"}\nkey_added "
		  "key=\"boss\" name=all", NULL, 0 },
		{ "disabled", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"disabled\"}", 200,
		  "\"state\":\"disabled\"", NULL, 0 },
		{ "again", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"disabled\"}", 200,
		  "key_disabled key=\"boss\" name=app", NULL, 0 },
		{ "active", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"active\"}", 200,
		  "\"state\":\"active\"", NULL, 0 },
		{ "revoked", "DELETE /admin/keys/app" BOSS, NULL, 200, "\"state\":\"revoked\"",
		  NULL,
		  0 },
		{ "for good", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"active\"}", 409,
		  "\"code\":\"key_revoked\"", "key_enabled", 0 },
		{ "its name is free", "POST /admin/keys" BOSS JSON, "{\"name\":\"app\"}", 201, NULL,
		  NULL, 0 },
		{ "revoked otherwise", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"revoked\"}",
		  200, "key_revoked key=\"boss\" name=app", NULL, 0 },
		{ "by itself", "DELETE /admin/keys/boss" BOSS, NULL, 200, "revoked", NULL, 0 },
		{ "then it is over", "GET /admin/keys" BOSS, NULL, 403, "key_bad", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_keys_refused(void **state)
{
#define ADD(what, body, status, has) \
	{ what, "POST /admin/keys" BOSS JSON, body, status, has, "key_added", 0 }
	static const struct step steps[] = {
		ADD("no name", "{}", 400, "a key's name is"),
		ADD("two words", "{\"name\":\"two words\"}", 400, "a key's name is"),
		ADD("taken", "{\"name\":\"app\"}", 409, "of this name"),
		ADD("its text", "{\"name\":\"x\",\"value\":\"shop-key\"}", 409,
		  "this key is there"),
		ADD("blanks", "{\"name\":\"x\",\"value\":\" k \"}", 400, "no blank at an end"),
		ADD("empty", "{\"name\":\"x\",\"value\":\"\"}", 400, "a key is 1 to"),
		ADD("an owner", "{\"name\":\"x\",\"owner\":\"a\\nb\"}", 400, "on one line"),
		ADD("a scope", "{\"name\":\"x\",\"scopes\":[\"shop\",\"wizard\"]}", 400,
		  "scopes: "),
		ADD("no scope", "{\"name\":\"x\",\"scopes\":[]}", 400, "scopes: "),
		ADD("scopes as text", "{\"name\":\"x\",\"scopes\":\"shop\"}", 400, "lists of text"),
		ADD("a comma", "{\"name\":\"x\",\"scopes\":[\"shop,login\"]}", 400,
		  "lists of text"),
		ADD("a number", "{\"name\":\"x\",\"scopes\":[1]}", 400, "lists of text"),
		ADD("a source", "{\"name\":\"x\",\"sources\":[\"10.0.0.0/33\"]}", 400,
		  "networks are"),
		ADD("nine", "{\"name\":\"x\",\"sources\":[\"::1\",\"::1\",\"::1\",\"::1\",\"::1\","
		    "\"::1\",\"::1\",\"::1\",\"::1\"]}", 400, "too many"),
		ADD("an origin", "{\"name\":\"x\",\"origins\":[\"shop.example\"]}", 400,
		  "such as https"),
		ADD("no duration", "{\"name\":\"x\",\"expires\":\"soon\"}", 400, "such as 90d"),
		ADD("no time", "{\"name\":\"x\",\"expires\":\"0s\"}", 400, "such as 90d"),
		{ "no such key", "GET /admin/keys/nobody" BOSS, NULL, 404, "not_found", NULL, 0 },
		{ "revoked", "DELETE /admin/keys/nobody" BOSS, NULL, 404, "not_found", "key_", 0 },
		{ "a state", "PATCH /admin/keys/app" BOSS JSON, "{\"state\":\"expired\"}", 400,
		  "active, disabled or revoked", NULL, 0 },
		{ "after", "GET /admin/keys?after=" BOSS, NULL, 400, "after is", NULL, 0 },
	};
#undef ADD

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_products(void **state)
{
#define TEE "{\"id\":\"tee\",\"name\":\"Tee\",\"price\":\"9.99\",\"currency\":\"EUR\"}"
	static const struct step steps[] = {
		{ "one", "GET /admin/products/mug" BOSS, NULL, 200,
		  "{\"id\":\"mug\",\"name\":\"Mug\","
		  "\"price\":\"3.3333\",\"currency\":\"EUR\",\"stock\":100,\"max_quantity\":7,"
		  "\"tax_rate\":\"0.19\",\"options\":[\"color\",\"size\"],\"stockrecord\":\"\","
		  "\"updated\":\"2027-01-15T08:00:00Z\"}", NULL, 0 },
		{ "two", "GET /admin/products?limit=2" BOSS, NULL, 200, "\"next\":\"2\"}",
		  "\"id\":\"3\"", 0 },
		{ "the rest", "GET /admin/products?after=2" BOSS, NULL, 200,
		  "{\"products\":[{\"id\":\"3\"", "\"id\":\"2\"", 0 },
		{ "imported", "POST /admin/products" BOSS LINES, TEE "\n\n" TEE "\r\n", 200,
		  "{\"added\":1,\"changed\":0,\"unchanged\":1}\nproducts_imported key=\"boss\" "
		  "added=1 changed=0 unchanged=1", NULL, 0 },
		{ "there", "GET /admin/products/tee" BOSS, NULL, 200, "\"price\":\"9.99\"", NULL,
		  0 },
		{ "all or none", "POST /admin/products" BOSS LINES,
		  "{\"id\":\"cap\",\"name\":\"Cap\",\"price\":\"1\",\"currency\":\"EUR\"}\n"
		  "{\"id\":\"hat\",\"name\":\"Hat\",\"price\":1.5,\"currency\":\"EUR\"}\n", 400,
		  "line 2: price: decimal text is due", "products_imported", 0 },
		{ "none", "GET /admin/products/cap" BOSS, NULL, 404, "not_found", NULL, 0 },
		{ "no line", "POST /admin/products" BOSS LINES, "\n\n", 400, "No product came",
		  NULL,
		  0 },
		{ "no JSON", "POST /admin/products" BOSS LINES, "x", 400, "line 1: Expecting value",
		  NULL, 0 },
		{ "a form", "POST /admin/products" BOSS, TEE, 415, "x-ndjson", NULL, 0 },
		{ "deleted", "DELETE /admin/products/tee" BOSS, NULL, 204,
		  "product_deleted key=\"boss\" product=tee", NULL, 0 },
		{ "once", "DELETE /admin/products/tee" BOSS, NULL, 404, "not_found", "key=", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define SID(name) "|X-Api-Key: trusted-key|Session-Id: SID:ANON:shop.example:" name

static void log_in_on_another_listener(const char *sid, const char *body)
{
	static char out[8192];
	char head[256];
	struct step step = { "login", head, body, 200, NULL, NULL, 0 };

	snprintf(head, sizeof head, LOGIN JSON "%s", sid);
	world.ops = false;
	take_step(&step, false, out, sizeof out);
	world.ops = true;
}

/* The value of `next`, or of the first `session_key`, in the answer to a request. */
static void ask(const char *head, const char *has, const char *name, char *value, size_t cap)
{
	static char out[65536];
	const struct step step = { "ask", head, NULL, 200, has, NULL, 0 };
	char member[32];
	const char *found;

	take_step(&step, false, out, sizeof out);
	snprintf(member, sizeof member, "\"%s\":\"", name);
	found = strstr(out, member);
	if (found == NULL)
		fail_msg("no %s: %s", name, out);
	found += strlen(member);
	snprintf(value, cap, "%.*s", (int)strcspn(found, "\""), found);
}

static void expect(const char *head, unsigned status, const char *has, const char *has_not)
{
	static char out[65536];
	const struct step step = { head, head, NULL, status, has, has_not, 0 };

	take_step(&step, false, out, sizeof out);
}

static void test_sessions(void **state)
{
	char key[64], place[96], head[256];

	(void)state;
	world_open();
	log_in_on_another_listener(SID("a"), ADA);
	log_in_on_another_listener(SID("b"), ADA);
	log_in_on_another_listener(SID("c"), "{\"username\":\"bob\",\"password\":\"bob\"}");
	expect("GET /admin/sessions?customer=2" BOSS, 200, "\"login\":\"bob\"}],\"next\":null}",
	       "ada");
	expect("GET /admin/sessions?customer=0" BOSS, 200, "{\"sessions\":[],\"next\":null}", NULL);
	ask("GET /admin/sessions?limit=2" BOSS, "\"via\":\"header\",\"customer_id\":", "next",
	  place,
	    sizeof place);
	assert_int_equal(strlen(place), 40);
	snprintf(head, sizeof head, "GET /admin/sessions?after=%s" BOSS, place);
	ask(head, "\"next\":null", "session_key", key, sizeof key);
	snprintf(head, sizeof head, "GET /admin/sessions/%s" BOSS, key);
	expect(head, 200, "\"age\":0,", NULL);
	ask("GET /admin/sessions?limit=1&customer=1" BOSS, "\"login\":\"ada\"", "next", place,
	    sizeof place);
	assert_int_equal(strlen(place), 72);
	snprintf(head, sizeof head, "GET /admin/sessions?customer=1&after=%s" BOSS, place);
	ask(head, "\"next\":null", "session_key", key, sizeof key);
	snprintf(head, sizeof head, "GET /admin/sessions?customer=2&after=%s" BOSS, place);
	expect(head, 400, "after is what another list", NULL);
	snprintf(head, sizeof head, "DELETE /admin/sessions/%s" BOSS, key);
	expect(head, 204, "session_revoked key=\"boss\" session=", key);
	expect(head, 404, "not_found", NULL);
	expect("DELETE /admin/sessions?customer=1" BOSS, 200,
	       "{\"sessions_ended\":1,\"sessions_left\":false}\nsessions_revoked key=\"boss\" "
	       "customer=1 sessions_ended=1", NULL);
	expect("DELETE /admin/sessions?all=1" BOSS, 200,
	       "{\"sessions_ended\":1,\"sessions_left\":false,\"next\":\"", NULL);
	expect("GET /admin/sessions" BOSS, 200, "{\"sessions\":[],\"next\":null}", NULL);
	world_close();
}

/* What a customer's end does to who is logged in as him. */
static void test_customers_shut_out(void **state)
{
	static const struct {
		const char *head, *body, *has;
	} ways[] = {
		{ "PATCH /admin/customers/1" BOSS JSON, "{\"state\":\"disabled\"}",
		  "\"sessions_ended\":2,\"sessions_left\":false}" },
		{ "PUT /admin/customers/1/password" BOSS JSON, "{\"password\":\"x\"}",
		  "\"sessions_ended\":2," },
		{ "DELETE /admin/customers/1" BOSS, NULL,
		  "{\"deleted\":true,\"sessions_ended\":2}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		static char out[8192];
		const struct step step = { "shut out", ways[i].head, ways[i].body, 200, ways[i].has,
			                   NULL, 0 };

		world_open();
		log_in_on_another_listener(SID("a"), ADA);
		log_in_on_another_listener(SID("b"), ADA);
		take_step(&step, false, out, sizeof out);
		expect("GET /admin/sessions" BOSS, 200, "{\"sessions\":[],\"next\":null}", NULL);
		world_close();
	}
}

static void test_sessions_refused(void **state)
{
	static const struct step steps[] = {
		{ "neither", "DELETE /admin/sessions" BOSS, NULL, 400, "One of all=1 and", NULL,
		  0 },
		{ "both", "DELETE /admin/sessions?all=1&customer=1" BOSS, NULL, 400, "One of all=1",
		  NULL, 0 },
		{ "all=2", "DELETE /admin/sessions?all=2" BOSS, NULL, 400, "One of all=1", NULL,
		  0 },
		{ "customer", "DELETE /admin/sessions?customer=ada" BOSS, NULL, 400, "customer is",
		  NULL, 0 },
		{ "after", "GET /admin/sessions?after=00" BOSS, NULL, 400, "after is", NULL, 0 },
		{ "no key", "GET /admin/sessions/00" BOSS, NULL, 404, "not_found", NULL, 0 },
		{ "none", "DELETE /admin/sessions/0000000000000000000000000000000000000000" BOSS,
		  NULL, 404, "not_found", NULL, 0 },
		{ "nobody's", "DELETE /admin/sessions?customer=99" BOSS, NULL, 200,
		  "\"sessions_ended\":0", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_not_for_shoppers),
		cmocka_unit_test(test_customers),
		cmocka_unit_test(test_customers_refused),
		cmocka_unit_test(test_customers_shut_out),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_keys_refused),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_sessions_refused),
		cmocka_unit_test(test_products),
	};

	return cmocka_run_group_tests_name("admin", tests, on_ops, NULL);
}
