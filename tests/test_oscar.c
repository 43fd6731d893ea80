/* test_oscar.c -- paths, users and registration under /api/, as whole requests.
 *
 * Each script runs twice (handlers.h).
 */
#include "handlers.h"

#define TEXT(path) "GET " path " HTTP/1.1|Accept: text/plain"

static void test_oscar_paths(void **state)
{
	static const struct step steps[] = {
		{ "suffix", "GET /api/login.json HTTP/1.1" ANON, NULL, 405,
		  "{\"detail\":\"Method \\\"GET\\\" not allowed.\"}", NULL, 0 },
		{ "suffix of a pattern", "GET /api/users/1.json HTTP/1.1" ANON, NULL, 403,
		  "{\"detail\":\"Authentication credentials were not provided.\"}", NULL, 0 },
		{ "suffix and slash", "GET /api/login.json/ HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "suffix of nothing", "GET /api/.json HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "other suffix", "GET /api/login.xml HTTP/1.1", NULL, 404, NULL, "Location", 0 },
		{ "suffix of another surface", "GET /resolve.json HTTP/1.1", NULL, 404,
		  "problem+json", NULL, 0 },
		{ "no slash", "GET /api/login HTTP/1.1" ANON, NULL, 301,
		  "Content-Type: text/html; charset=utf-8\r\nLocation: /api/login/\r\n", "Allow",
		  0 },
		{ "no slash, root", "GET /api HTTP/1.1", NULL, 301, "Location: /api/\r\n", NULL,
		  0 },
		{ "no slash, HEAD", "HEAD /api/users/7 HTTP/1.1", NULL, 301,
		  "Location: /api/users/7/\r\n", NULL, 0 },
		{ "no slash, escapes and query", "GET /api/%6cogin?a=%0d%0ab HTTP/1.1", NULL, 301,
		  "Location: /api/%6cogin/?a=%0d%0ab\r\n", NULL, 0 },
		{ "no slash, empty query", "GET /api/login? HTTP/1.1", NULL, 301,
		  "Location: /api/login/?\r\n", NULL, 0 },
		{ "no slash, whatever is accepted", TEXT("/api/login"), NULL, 301, NULL, NULL, 0 },
		{ "no slash, POST", "POST /api/login HTTP/1.1" ANON JSON, ADA, 404,
		  "{\"detail\":\"Not found: the path ends with a slash.\"}", "Location", 0 },
		{ "no slash, unknown", "GET /api/nosuch HTTP/1.1", NULL, 404, NULL, "Location", 0 },
		{ "no slash, bad key", "GET /api/login HTTP/1.1|X-Api-Key: bad", NULL, 403, NULL,
		  "Location", 0 },
		{ "two slashes", "GET /api/login// HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "empty segment", "GET /api/users// HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "a segment more", "GET /api/users/1/2/ HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "a segment too few", "GET /api/users/ HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "encoded slash in a segment", "GET /api/users/1%2F2/ HTTP/1.1", NULL, 404,
		  "{\"detail\"", "Allow", 0 },
		{ "bad escape", "GET /api/users/%zz/ HTTP/1.1", NULL, 404, "{\"detail\"", NULL, 0 },
		{ "the star itself", "GET /api/users/*/ HTTP/1.1" ANON, NULL, 403, NULL, NULL, 0 },
		{ "case", "GET /API/login/ HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "vouchers", "POST /api/basket/add-voucher/ HTTP/1.1" ANON JSON, "{}", 404,
		  "{\"detail\":\"Not found: another system's work (vouchers).\"}", NULL, 0 },
		{ "orders", "GET /api/orders/7/lines/ HTTP/1.1", NULL, 404, "(orders)", NULL, 0 },
		{ "root", "GET /api/ HTTP/1.1" ANON, NULL, 200,
		  "\r\n{\"register\":\"http://shop.example/api/register/\"", "orders", 0 },
		{ "root, Allow", "GET /api/ HTTP/1.1", NULL, 200, "Allow: GET, OPTIONS\r\n", NULL,
		  0 },
		{ "406", TEXT("/api/login/") ANON, NULL, 406,
		  "{\"detail\":\"Could not satisfy the request Accept header.\"}", NULL, 0 },
		{ "406, Allow", TEXT("/api/users/1/"), NULL, 406, "Allow: GET, HEAD, OPTIONS", NULL,
		  0 },
		{ "406 before 405", "PUT /api/login/ HTTP/1.1|Accept: image/*", NULL, 406, NULL,
		  NULL, 0 },
		{ "406 after the identity", TEXT("/api/login/") AUTH, NULL, 401, NULL, NULL, 0 },
		{ "404 before 406", TEXT("/api/nosuch/"), NULL, 404, NULL, NULL, 0 },
		{ "format wins over Accept", "GET /api/?format=json HTTP/1.1|Accept: image/*", NULL,
		  200, "application/json", NULL, 0 },
		{ "no such format", "GET /api/?a=b&format=xml HTTP/1.1", NULL, 404,
		  "{\"detail\":\"Not found.\"}", NULL, 0 },
		{ "format without a value", "GET /api/?format= HTTP/1.1", NULL, 200, NULL, NULL,
		  0 },
		{ "a browser", "GET /api/ HTTP/1.1|Accept: text/html,*/*;q=0.8", NULL, 200,
		  "application/json", NULL, 0 },
		{ "native takes anything", TEXT("/session"), NULL, 200, NULL, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void expose_details(void)
{
	world.config.expose_user_details = CONFIG_ON;
}

static void test_users(void **state)
{
	static const struct step steps[] = {
		{ "nobody", "GET /api/users/1/ HTTP/1.1" ANON, NULL, 403,
		  "{\"detail\":\"Authentication credentials were not provided.\"}", NULL, 0 },
		{ "no number", "GET /api/users/x/ HTTP/1.1" ANON, NULL, 403, NULL, NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "own", "GET /api/users/1/ HTTP/1.1" AUTH, NULL, 200,
		  "{\"username\":\"ada\",\"email\":\"a@example.com\","
		  "\"date_joined\":\"2025-11-22T04:25:35.355068Z\"}", NULL, 0 },
		{ "own, encoded", "GET /api/users/%31.json HTTP/1.1" AUTH, NULL, 200, "\"ada\"",
		  NULL, 0 },
		{ "another's", "GET /api/users/2/ HTTP/1.1" AUTH, NULL, 404,
		  "{\"detail\":\"Not found.\"}", "bob", 0 },
		{ "nobody's", "GET /api/users/99/ HTTP/1.1" AUTH, NULL, 404,
		  "{\"detail\":\"Not found.\"}", NULL, 0 },
		{ "no number", "GET /api/users/-1/ HTTP/1.1" AUTH, NULL, 404, NULL, NULL, 0 },
		{ "too large", "GET /api/users/18446744073709551617/ HTTP/1.1" AUTH, NULL, 404,
		  NULL, NULL, 0 },
		{ "no changes", "DELETE /api/users/1/ HTTP/1.1" AUTH, NULL, 405,
		  "{\"detail\":\"Method \\\"DELETE\\\" not allowed.\"}", NULL, 0 },
	};
	static const struct step hidden[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "own", "GET /api/users/1/ HTTP/1.1" AUTH, NULL, 204, NULL, "ada", 0 },
		{ "another's", "GET /api/users/2/ HTTP/1.1" AUTH, NULL, 204, NULL, "bob", 0 },
	};

	(void)state;
	world.configure = expose_details;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
	run_script(hidden, COUNT_OF(hidden));
}

/* Refused identities, in the original's form where it has one. */
static void test_refusals(void **state)
{
#define SID(type, rest) "GET /api/basket/ HTTP/1.1" KEY "|Session-Id: SID:" type ":" rest
	static const struct step steps[] = {
		{ "malformed", SID("ANON", "shop.example:a*b"), NULL, 400, "\r\n{\"reason\": \"",
		  "Allow", 0 },
		{ "a foreign realm", SID("ANON", "a\"b.example:x"), NULL, 400, "{\"reason\": \"",
		  NULL, 0 },
		{ "another realm", SID("ANON", "other.example:x"), NULL, 403,
		  "\r\n{\"reason\": \"Can not accept cookie with realm other.example on realm "
		  "shop.example (setting sid_realms)\"}", "Session-Id: ", 0 },
		{ "two keys", "GET /api/ HTTP/1.1" KEY "|Authorization: other", NULL, 400,
		  "{\"detail\":\"Authorization and X-Api-Key hold different API keys.\"}", NULL,
		  0 },
		{ "a bad key", "GET /api/ HTTP/1.1|X-Api-Key: bad", NULL, 403,
		  "{\"detail\":\"This API key is not accepted.\"}", NULL, 0 },
		{ "no trust", "GET /api/basket/ HTTP/1.1|X-Api-Key: shop-key|Session-Id: "
		  "SID:ANON:shop.example:x", NULL, 403, "scope trusted (setting sid_trust)", NULL,
		  0 },
		{ "a dead token", "GET /api/basket/ HTTP/1.1|Authorization: Bearer x", NULL, 401,
		  "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n", NULL, 0 },
		{ "a dead session", SID("AUTH", "shop.example:x"), NULL, 401,
		  "\r\n{\"reason\": \"Authentication credentials were not provided.\"}", "Allow",
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void demand_keys(void)
{
	world.config.gateway = CONFIG_ON;
}

static void test_gateway(void **state)
{
	static const struct step steps[] = {
		{ "no key", "GET /api/ HTTP/1.1", NULL, 403, "{\"detail\":\"An API key is "
		  "required: send it as Authorization or X-Api-Key.\"}", NULL, 0 },
		{ "nor on a path that is not there", "GET /api/nosuch HTTP/1.1", NULL, 403, NULL,
		  NULL, 0 },
		{ "a key", "GET /api/basket/ HTTP/1.1|Authorization: shop-key", NULL, 200,
		  "\"id\":1", NULL, 0 },
	};

	(void)state;
	world.configure = demand_keys;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

#define REGISTER "POST /api/register/ HTTP/1.1" ANON JSON
#define FORM(email, one, two) \
	"{\"email\":\"" email "\",\"password1\":\"" one "\",\"password2\":\"" two "\"}"
#define WEAK(sentences) "{\"non_field_errors\":[\"[" sentences "]\"]}"
#define SHORT   "'This password is too short. It must contain at least 8 characters.'"
#define NUMERIC "'This password is entirely numeric.'"
#define BAD(what, email, one, two, has) \
	{ what, REGISTER, FORM(email, one, two), 400, "\r\n" has, "AUTH", 0 }
#define NOT_EMAIL(email) \
	BAD(email, email, "V3rYS3cr3t!", "V3rYS3cr3t!", \
	    "{\"email\":[\"Enter a valid email address.\"]}")
#define GOOD(email) FORM(email, "V3rYS3cr3t!", "V3rYS3cr3t!")
#define SIMILAR "'The password is too similar to the email address.'"

static void allow_registration(void)
{
	expose_details();
	world.config.registers = CONFIG_ON;
	world.config.login_throttle_address = (struct config_rate){ 5, 60 };
}

static void test_register(void **state)
{
	static const struct step steps[] = {
		{ "nothing", REGISTER, NULL, 400,
		  "\r\n{\"email\":[\"This field is required.\"],"
		  "\"password1\":[\"This field is required.\"],"
		  "\"password2\":[\"This field is required.\"]}", NULL, 0 },
		{ "a list", REGISTER, "[]", 400, "non_field_errors", NULL, 0 },
		{ "broken", REGISTER, "{", 400, "JSON parse error", NULL, 0 },
		{ "no JSON", "POST /api/register/ HTTP/1.1|Content-Type: text/plain", "x", 415,
		  NULL, NULL, 0 },
		{ "GET", "GET /api/register/ HTTP/1.1", NULL, 405, "Allow: POST, OPTIONS\r\n", NULL,
		  0 },
		NOT_EMAIL("x"), NOT_EMAIL("@a.example"), NOT_EMAIL("x@"), NOT_EMAIL("x@a"),
		NOT_EMAIL("x@a.b"), NOT_EMAIL("x@-a.example"), NOT_EMAIL("x@a-.example"),
		NOT_EMAIL("x@a..example"), NOT_EMAIL("x@.a.example"), NOT_EMAIL("x@a.example."),
		NOT_EMAIL("x@a@b.example"), NOT_EMAIL("x y@a.example"), NOT_EMAIL(".x@a.example"),
		NOT_EMAIL("x.@a.example"), NOT_EMAIL("x..y@a.example"), NOT_EMAIL("x,y@a.example"),
		NOT_EMAIL("x@a_b.example"), NOT_EMAIL("x@[192.0.2.1]"),
		BAD("a null character", "new@a.example", "V3rY\\u0000S3cr3t!", "x",
		    "{\"password1\":[\"Null characters are not allowed.\"]}"),
		BAD("no match", "new@a.example", "V3rYS3cr3t!", "V3rYS3cr3t",
		    "{\"non_field_errors\":[\"Passwords do not match\"]}"),
		BAD("short", "new@a.example", "s7%kjhs", "s7%kjhs", WEAK(SHORT)),
		BAD("numeric", "new@a.example", "73529461", "73529461", WEAK(NUMERIC)),
		BAD("short and numeric", "new@a.example", "123", "123", WEAK(SHORT ", " NUMERIC)),
		BAD("similar", "longname@a.example", "Longname1", "Longname1", WEAK(SIMILAR)),
		BAD("the address", "new@a.example", "NEW@a.example", "NEW@a.example",
		    WEAK(SIMILAR)),
		BAD("a word of it, short", "new@sample.example", "samples", "samples",
		    WEAK(SIMILAR ", " SHORT)),
		BAD("too long", "new@a.example", "012345678901234567890123456789012345678901234567"
		    "890123456789012345678901234567890123456789012345678901234567890123456789012345"
		    "678", "x", "{\"password1\":[\"Ensure this field has no more than 128 "
		    "characters.\"]}"),
	};

	(void)state;
	world.configure = allow_registration;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void test_registered(void **state)
{
	static const struct step steps[] = {
		{ "made", REGISTER, GOOD("New.User@Shop.EXAMPLE"), 201,
		  "\r\n\"New.User@shop.example\"", "AUTH", 0 },
		{ "not logged in", "GET /api/login/ HTTP/1.1" ANON, NULL, 405, NULL, NULL, 0 },
		BAD("there already", "New.User@Shop.EXAMPLE", "V3rYS3cr3t!", "other",
		    "{\"non_field_errors\":[\"A user with this email already exists\"]}"),
		{ "login", LOGIN ANON JSON,
		  "{\"username\":\"New.User@Shop.EXAMPLE\",\"password\":\"V3rYS3cr3t!\"}", 200,
		  "SID:AUTH", NULL, 0 },
		BAD("there already, in another case", "new.user@shop.example", "V3rYS3cr3t!",
		    "V3rYS3cr3t!",
		    "{\"non_field_errors\":[\"A user with this email already exists\"]}"),
		{ "himself", "GET /api/users/5/ HTTP/1.1" AUTH, NULL, 200,
		  "{\"username\":\"New.User@Shop.EXAMPLE\",\"email\":\"New.User@shop.example\"",
		  NULL, 0 },
		{ "as a form", "POST /api/register/ HTTP/1.1|Content-Type: "
		  "application/x-www-form-urlencoded",
		  "email=b%40localhost&password1=V3rYS3cr3t!&password2=V3rYS3cr3t!", 201,
		  "\r\n\"b@localhost\"", NULL, 0 },
		{ "a third", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("c@a.example"), 201, NULL, NULL, 0 },
		{ "a fourth", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("d@a.example"), 201, NULL, NULL, 0 },
		{ "a fifth", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("e@a.example"), 201, NULL, NULL, 0 },
		{ "a fifth of the address", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("f@a.example"), 201, NULL, NULL, 0 },
		{ "too many", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("g@a.example"), 429, "Retry-After: 60\r\n",
		  NULL, 0 },
		{ "nor a login", LOGIN JSON, ADA, 429, NULL, NULL, 0 },
		{ "later", "POST /api/register/ HTTP/1.1" JSON,
		  GOOD("g@a.example"), 201, NULL, NULL, 61 },
	};
	static const struct step off[] = {
		{ "off", REGISTER, FORM("new@a.example", "V3rYS3cr3t!", "V3rYS3cr3t!"), 401,
		  "\r\n\"Unauthorized\"", NULL, 0 },
		{ "off, whatever comes", REGISTER, "{", 401, "\r\n\"Unauthorized\"", NULL, 0 },
		{ "nobody made", LOGIN ANON JSON,
		  "{\"username\":\"new@a.example\",\"password\":\"V3rYS3cr3t!\"}", 401, NULL,
		  NULL, 0 },
	};

	(void)state;
	world.configure = allow_registration;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
	run_script(off, COUNT_OF(off));
}

static void test_products(void **state)
{
#define GET(what, path, has) { what, "GET /api/products/" path " HTTP/1.1", NULL, 200, \
		"\r\n" has, NULL, 0 }
#define NONE(what, path) { what, "GET /api/products/" path " HTTP/1.1", NULL, 404, \
		"\r\n{\"detail\":\"Not found.\"}", NULL, 0 }
#define URL "http://shop.example/api/products/"
	static const struct step steps[] = {
		GET("list", "", "[{\"url\":\"" URL "1/\",\"id\":1,\"upc\":null,"
		    "\"title\":\"Oscar T-shirt\"},{\"url\":\"" URL "2/\",\"id\":2,\"upc\":null,"
		    "\"title\":\"Tax & \\\"more\\\"\"},"),
		{ "list, end", "GET /api/products.json HTTP/1.1", NULL, 200,
		  "{\"url\":\"" URL "usd/\",\"id\":\"usd\",\"upc\":null,\"title\":\"Dollars\"}]",
		  "Link", 0 },
		GET("those of one structure", "?structure=standalone", "[{\"url\""),
		GET("of another", "?structure=parent", "[]"),
		GET("after one", "?after=mug", "[{\"url\":\"" URL "usd/\""),
		GET("after a number", "?after=3", "[{\"url\":\"" URL "4/\""),
		GET("after what is not there", "?after=%6dub", "[{\"url\":\"" URL "mug/\""),
		GET("after the last", "?after=usd", "[]"),
		GET("one", "1/", "{\"url\":\"" URL "1/\",\"upc\":null,\"id\":1,"
		    "\"title\":\"Oscar T-shirt\",\"description\":\"\",\"structure\":\"standalone\","
		    "\"date_created\":\"2027-01-15T08:00:00Z\",\"date_updated\":"
		    "\"2027-01-15T08:00:00Z\",\"recommended_products\":[],\"attributes\":[],"
		    "\"categories\":[],\"product_class\":null,\"images\":[],\"price\":\"" URL
		    "1/price/\",\"availability\":\"" URL "1/availability/\",\"stockrecords\":\"" URL
		    "1/stockrecords/\",\"options\":[],\"children\":[]}"),
		{ "with options", "GET /api/products/mug.json HTTP/1.1", NULL, 200,
		  "\"options\":[{\"code\":\"color\"},{\"code\":\"size\"}]", NULL, 0 },
		GET("price", "1/price/", "{\"currency\":\"EUR\",\"excl_tax\":\"10.0000\","
		    "\"incl_tax\":\"10.0000\",\"tax\":\"0.0000\"}"),
		GET("price with tax", "2/price/", "{\"currency\":\"EUR\",\"excl_tax\":\"12.5000\","
		    "\"incl_tax\":\"15.1250\",\"tax\":\"2.6250\"}"),
		GET("price, half-up", "mug/price/", "{\"currency\":\"EUR\",\"excl_tax\":\"3.3333\","
		    "\"incl_tax\":\"3.9666\",\"tax\":\"0.6333\"}"),
		GET("no price", "3/price/", "{\"currency\":null,\"excl_tax\":null,"
		    "\"incl_tax\":null,\"tax\":\"0.0000\"}"),
		GET("available", "1/availability/", "{\"is_available_to_buy\":true,"
		    "\"num_available\":20,\"message\":\"In stock (20 available)\"}"),
		GET("as many as you want", "2/availability/", "{\"is_available_to_buy\":true,"
		    "\"message\":\"Available\"}"),
		GET("not for sale", "3/availability/", "{\"is_available_to_buy\":false,"
		    "\"message\":\"Unavailable\"}"),
		GET("sold out", "4/availability/", "{\"is_available_to_buy\":false,"
		    "\"num_available\":0,\"message\":\"Unavailable\"}"),
		GET("seven at most", "mug/availability/", "{\"is_available_to_buy\":true,"
		    "\"num_available\":7,\"message\":\"In stock (7 available)\"}"),
		NONE("none", "99/"), NONE("other case", "MUG/"), NONE("leading zero", "01/"),
		NONE("no id", "a%20b/"), NONE("price of none", "99/price/"),
		NONE("availability of none", "%00/availability/"), NONE("below", "1/nosuch/"),
		{ "stock records", "GET /api/products/1/stockrecords/1/ HTTP/1.1", NULL, 404,
		  "(stock records)", NULL, 0 },
		{ "no changes", "POST /api/products/ HTTP/1.1" ANON JSON, "{}", 405,
		  "Allow: GET, HEAD, OPTIONS", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oscar_paths),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_gateway),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_registered),
		cmocka_unit_test(test_products),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
