/* test_oscar_basket.c -- baskets, lines and attributes under /api/, as whole requests.
 *
 * Each script runs twice (handlers.h).
 */
#include "../log.h"
#include "handlers.h"

#define GUEST    KEY "|Session-Id: SID:ANON:shop.example:g1"
#define OTHER    KEY "|Session-Id: SID:ANON:shop.example:g2"
#define GET(path)    "GET /api/" path " HTTP/1.1"
#define POST(path)   "POST /api/" path " HTTP/1.1"
#define PUT(path)    "PUT /api/" path " HTTP/1.1"
#define PATCH(path)  "PATCH /api/" path " HTTP/1.1"
#define DELETE(path) "DELETE /api/" path " HTTP/1.1"
#define ADD          POST("basket/add-product/")
#define FORM         "|Content-Type: application/x-www-form-urlencoded"
#define U            "http://shop.example/api/"

#define PRODUCT(id, quantity) \
	"{\"url\":\"/api/products/" id "/\",\"quantity\":" quantity "}"
#define TOTALS(excl, incl, tax) \
	"\"total_excl_tax\":\"" excl "\",\"total_excl_tax_excl_discounts\":\"" excl \
	"\",\"total_incl_tax\":\"" incl "\",\"total_incl_tax_excl_discounts\":\"" incl \
	"\",\"total_tax\":\"" tax "\","
#define BASKET(id, owner, status, totals, currency, known) \
	"\r\n{\"id\":" id ",\"owner\":" owner ",\"status\":\"" status "\",\"lines\":\"" U \
	"baskets/" id "/lines/\",\"url\":\"" U "baskets/" id "/\"," totals "\"currency\":" \
	currency ",\"voucher_discounts\":[],\"offer_discounts\":[],\"is_tax_known\":" known "}"
#define EMPTY(id) BASKET(id, "null", "Open", TOTALS("0.00", "0.00", "0.00"), "null", "false")
#define EUROS(id, total) \
	BASKET(id, "null", "Open", TOTALS(total, total, "0.00"), "\"EUR\"", "true")
#define LINE(basket, id, product, quantity, attributes, total) \
	"{\"url\":\"" U "baskets/" basket "/lines/" id "/\",\"product\":\"" U "products/" product \
	"/\",\"quantity\":" quantity ",\"attributes\":[" attributes "]," \
	"\"price_currency\":\"EUR\",\"price_excl_tax\":\"" total "\"," \
	"\"price_incl_tax\":\"" total "\"," \
	"\"price_incl_tax_excl_discounts\":\"" total "\",\"price_excl_tax_excl_discounts\":\"" \
	total "\",\"is_tax_known\":true,\"warning\":null,\"basket\":\"" U "baskets/" basket \
	"/\",\"stockrecord\":\"" U "products/" product "/stockrecords/" product "/\"," \
	"\"date_created\":\"2027-01-15T08:00:0"
#define BLUE(basket, line, id) \
	"{\"url\":\"" U "baskets/" basket "/lines/" line "/lineattributes/" id "/\"," \
	"\"value\":\"blue\",\"option\":\"" U "options/1/\"}"
#define NOT_FOUND "\r\n{\"detail\":\"Not found.\"}"
#define ANONYMOUS "\r\n{\"detail\":\"Authentication credentials were not provided.\"}"

static void test_one_basket(void **state)
{
	static const struct step steps[] = {
		{ "none yet", GET("baskets/") GUEST, NULL, 200, "\r\n[]", NULL, 0 },
		{ "made", GET("basket/") GUEST, NULL, 200, EMPTY("1"), NULL, 0 },
		{ "its tag", GET("basket/") GUEST, NULL, 200, "ETag: \"b1.0.6\"\r\n", NULL, 0 },
		{ "the same again", GET("basket.json") GUEST, NULL, 200, EMPTY("1"), NULL, 0 },
		{ "HEAD", "HEAD /api/basket/ HTTP/1.1" GUEST, NULL, 200, "ETag: \"b1.0.6\"", NULL,
		  0 },
		{ "another's", GET("basket/") OTHER, NULL, 200, EMPTY("2"), NULL, 0 },
		{ "by its id", GET("baskets/1/") GUEST, NULL, 200, EMPTY("1"), NULL, 0 },
		{ "in the list", GET("baskets/") GUEST, NULL, 200, "\r\n[{\"id\":1,\"owner\":null,",
		  "\"id\":2", 0 },
		{ "not made", POST("basket/") GUEST, NULL, 405,
		  "{\"detail\":\"Method \\\"POST\\\" not allowed.\"}", NULL, 0 },
		{ "not made, list", POST("baskets/") GUEST JSON, "{}", 405,
		  "Allow: GET, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "OPTIONS", "OPTIONS /api/basket/ HTTP/1.1" GUEST, NULL, 200,
		  "\r\n{\"name\":\"Basket\",\"description\":\"Api for retrieving a user's "
		  "basket.\\n\\nGET:\\nRetrieve your basket.\",\"renders\":[\"application/json\"],",
		  NULL, 0 },
		{ "of a customer", LOGIN ANON JSON, ADA, 200, NULL, "X-Basket-Merge", 0 },
		{ "hers", GET("basket/") AUTH, NULL, 200,
		  BASKET("3", "\"" U "users/1/\"", "Open", TOTALS("0.00", "0.00", "0.00"), "null",
		         "false"), NULL, 0 },
		{ "a visitor's", GET("basket/"), NULL, 200, "Set-Cookie: oscar_open_basket=4:",
		  "Set-Cookie: sidecart", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_add_product(void **state)
{
#define BAD(what, body, has) { what, ADD GUEST JSON, body, 406, "\r\n" has, NULL, 0 }
	static const struct step steps[] = {
		{ "added", ADD GUEST JSON, PRODUCT("1", "2"), 200, EUROS("1", "20.00"), NULL, 0 },
		{ "its tag", GET("basket/") GUEST, NULL, 200, "ETag: \"b1.1.6\"\r\n", NULL, 0 },
		{ "added to its line", ADD GUEST JSON, PRODUCT("1", "1"), 200, EUROS("1", "30.00"),
		  NULL, 0 },
		{ "by its whole URL, whatever the host", ADD GUEST JSON,
		  "{\"url\":\"https://elsewhere:8/api/products/1/?a=b#c\",\"quantity\":\"2\"}", 200,
		  EUROS("1", "50.00"), NULL, 0 },
		{ "as a form", ADD GUEST FORM, "url=%2Fapi%2Fproducts%2F1%2F&quantity=1", 200,
		  EUROS("1", "60.00"), NULL, 0 },
		{ "with a sign", ADD GUEST JSON, PRODUCT("1", "\" +1.00 \""), 200, EUROS("1",
		  "70.00"), NULL, 0 },
		{ "lowered", ADD GUEST JSON, PRODUCT("1", "-1.0"), 200, EUROS("1", "60.00"), NULL,
		  0 },
		{ "lowered", ADD GUEST JSON, PRODUCT("1", "-1"), 200, EUROS("1", "50.00"), NULL,
		  0 },
		{ "nothing added", ADD GUEST JSON, PRODUCT("1", "0"), 200, EUROS("1", "50.00"),
		  NULL, 0 },
		{ "nothing of a new one", ADD GUEST JSON, PRODUCT("2", "0"), 200,
		  EUROS("1", "50.00"), NULL, 0 },
		{ "with an option", ADD GUEST JSON, "{\"url\":\"/api/products/1/\","
		  "\"quantity\":1.0,\"options\":[{\"option\":\"" U "options/1/\","
		  "\"value\":\"blue\"}]}", 200, EUROS("1", "60.00"), NULL, 0 },
		{ "in lines of their own", GET("baskets/1/lines/") GUEST, NULL, 200,
		  "\r\n[" LINE("1", "1", "1", "5", "", "50.00"), NULL, 0 },
		{ "the other", GET("baskets/1/lines/") GUEST, NULL, 200,
		  "," LINE("1", "2", "1", "1", BLUE("1", "2", "1"), "10.00"), NULL, 0 },
		{ "with tax", ADD GUEST JSON, PRODUCT("2", "3"), 200,
		  BASKET("1", "null", "Open", TOTALS("97.50", "105.38", "7.88"), "\"EUR\"", "true"),
		  NULL, 0 },
		{ "lowered to nothing", ADD GUEST JSON, PRODUCT("2", "-9"), 200,
		  EUROS("1", "60.00"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_add_product_refused(void **state)
{
	static const struct step steps[] = {
		{ "a line of five", ADD GUEST JSON, PRODUCT("1", "6"), 200, EUROS("1", "60.00"),
		  NULL, 0 },
		BAD("nothing said", "{}", "{\"reason\":{\"quantity\":[\"This field is required.\"],"
		    "\"url\":[\"This field is required.\"]}}"),
		BAD("no body", NULL, "{\"reason\":{\"quantity\":[\"This field is required.\"],"
		    "\"url\":[\"This field is required.\"]}}"),
		BAD("a list", "[]", "{\"reason\":{\"non_field_errors\":[\"Invalid data. Expected a "
		    "dictionary, but got list.\"]}}"),
		BAD("unknown", PRODUCT("9999", "1"),
		    "{\"reason\":{\"url\":[\"Invalid hyperlink - Object does not exist.\"]}}"),
		BAD("no URL", "{\"url\":\"hello\",\"quantity\":1}",
		    "{\"reason\":{\"url\":[\"Invalid hyperlink - No URL match.\"]}}"),
		BAD("no path", "{\"url\":\"http://shop.example\",\"quantity\":1}",
		    "{\"reason\":{\"url\":[\"Invalid hyperlink - No URL match.\"]}}"),
		BAD("a path that leads out", "{\"url\":\"/api/x/../products/1/\",\"quantity\":1}",
		    "{\"reason\":{\"url\":[\"Invalid hyperlink - No URL match.\"]}}"),
		BAD("something else", "{\"url\":\"/api/baskets/1/\",\"quantity\":1}",
		    "{\"reason\":{\"url\":[\"Invalid hyperlink - Incorrect URL match.\"]}}"),
		BAD("null", "{\"url\":null,\"quantity\":null}",
		    "{\"reason\":{\"quantity\":[\"This field may not be null.\"],"
		    "\"url\":[\"This field may not be null.\"]}}"),
		BAD("wrong types", "{\"url\":1,\"quantity\":true}",
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"],\"url\":"
		    "[\"Incorrect type. Expected URL string, received int.\"]}}"),
		BAD("no number", PRODUCT("1", "\"x\""),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("a fraction", PRODUCT("1", "\"2.50\""),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("two signs", PRODUCT("1", "\"+-2\""),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("half a one", PRODUCT("1", "0.5"),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("no integer of 64 bits", PRODUCT("1", "\"9223372036854775808\""),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("huge", PRODUCT("1", "1e30"),
		    "{\"reason\":{\"quantity\":[\"A valid integer is required.\"]}}"),
		BAD("more than there are", PRODUCT("1", "15"),
		    "{\"reason\":\"a maximum of 20 can be bought\"}"),
		BAD("all lines count", "{\"url\":\"/api/products/1/\",\"quantity\":15,\"options\":"
		    "[{\"option\":\"/api/options/2/\",\"value\":\"red\"}]}",
		    "{\"reason\":\"a maximum of 20 can be bought\"}"),
		BAD("the most of an integer", PRODUCT("1", "9223372036854775807"),
		    "{\"reason\":\"a maximum of 20 can be bought\"}"),
		BAD("over any limit", PRODUCT("2", "10001"), "{\"reason\":\"Due to technical "
		    "limitations we are not able to ship more than 10000 items in one order.\"}"),
		BAD("not for sale", PRODUCT("3", "1"), "{\"reason\":\"Unavailable\"}"),
		BAD("sold out", PRODUCT("4", "1"), "{\"reason\":\"no stock available\"}"),
		BAD("seven at most", PRODUCT("mug", "8"),
		    "{\"reason\":\"a maximum of 7 can be bought\"}"),
		BAD("another currency", PRODUCT("usd", "1"),
		    "{\"reason\":\"A basket holds products of one currency.\"}"),
		BAD("nothing to lower", PRODUCT("mug", "-1"), "{\"reason\":{\"quantity\":"
		    "[\"Ensure this value is greater than or equal to 0.\"]}}"),
		{ "other media", ADD GUEST "|Content-Type: text/plain", "x", 415, NULL, NULL, 0 },
		{ "broken", ADD GUEST JSON, "{\"url\"", 400, "JSON parse error", NULL, 0 },
		{ "GET", GET("basket/add-product/") GUEST, NULL, 405, "Allow: POST, OPTIONS\r\n",
		  NULL, 0 },
		{ "nothing of it happened", GET("basket/") GUEST, NULL, 200,
		  "ETag: \"b1.1.6\"\r\n", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_options(void **state)
{
#define OPTIONS(list) "{\"url\":\"/api/products/1/\",\"quantity\":1,\"options\":" list "}"
#define ONE(option, value) "[{\"option\":" option ",\"value\":" value "}]"
	static const struct step steps[] = {
		BAD("no list", OPTIONS("{}"), "{\"reason\":{\"options\":{\"non_field_errors\":"
		    "[\"Expected a list of items but got type \\\"dict\\\".\"]}}}"),
		BAD("null", OPTIONS("null"), "{\"reason\":{\"options\":[\"This field may not be "
		    "null.\"]}}"),
		BAD("no objects", OPTIONS("[1,\"a\"]"), "{\"reason\":{\"options\":[{\"non_field_er"
		    "rors\":[\"Invalid data. Expected a dictionary, but got int.\"]},"
		    "{\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got "
		    "str.\"]}]}}"),
		BAD("empty", OPTIONS("[{}]"), "{\"reason\":{\"options\":[{\"option\":[\"This "
		    "field is required.\"],\"value\":[\"This field is required.\"]}]}}"),
		BAD("one of two",
		    OPTIONS("[{\"option\":\"/api/options/1/\",\"value\":\"a\"},{\"option\":\"x\","
		    "\"value\":\"\"}]"), "{\"reason\":{\"options\":[{},{\"option\":[\"Invalid "
		    "hyperlink - No URL match.\"],\"value\":[\"This field may not be "
		    "blank.\"]}]}}"),
		BAD("a product", OPTIONS(ONE("\"/api/products/1/\"", "\"a\"")), "{\"reason\":"
		    "{\"options\":[{\"option\":[\"Invalid hyperlink - Incorrect URL match.\"]}]}}"),
		BAD("control characters", OPTIONS(ONE("\"/api/options/1/\"", "\"a\\u0001b\"")),
		    "{\"reason\":{\"non_field_errors\":[\"A text is longer than 254 bytes"),
		BAD("together with others", "{\"quantity\":\"x\",\"options\":[0]}", "{\"reason\":"
		    "{\"quantity\":[\"A valid integer is required.\"],\"url\":[\"This field is "
		    "required.\"],\"options\":[{\"non_field_errors\":"),
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_attributes(void **state)
{
	static const struct step steps[] = {
		{ "no option", ADD GUEST JSON, OPTIONS("[]"), 200, EUROS("1", "10.00"), NULL, 0 },
		{ "two", ADD GUEST JSON, OPTIONS("[{\"option\":\"/api/options/1/\",\"value\":\"blue"
		  "\"},{\"option\":\"" U "options/2/\",\"value\":42}]"), 200, EUROS("1", "20.00"),
		  NULL, 0 },
		{ "the same two", ADD GUEST JSON, OPTIONS("[{\"option\":\"/api/options/2/\","
		  "\"value\":\"42\"},{\"option\":\"/api/options/1/\",\"value\":\"blue\"}]"), 200,
		  EUROS("1", "30.00"), NULL, 0 },
		{ "in one line", GET("baskets/1/lines/2/") GUEST, NULL, 200,
		  "\"quantity\":2,\"attributes\":[" BLUE("1", "2", "1") ",{\"url\":\"" U
		  "baskets/1/lines/2/lineattributes/2/\",\"value\":\"42\",\"option\":\"" U
		  "options/2/\"}]", NULL, 0 },
		{ "one of them", GET("baskets/1/lines/2/lineattributes/2/") GUEST, NULL, 200,
		  "\r\n{\"url\":\"" U "baskets/1/lines/2/lineattributes/2/\",\"line\":\"" U
		  "baskets/1/lines/2/\",\"value\":\"42\",\"option\":\"" U "options/2/\"}", NULL,
		  0 },
		{ "its tag is the line's", GET("baskets/1/lines/2/lineattributes/2.json") GUEST,
		  NULL, 200, "ETag: \"l2.2.6\"\r\n", NULL, 0 },
		{ "changed", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST JSON,
		  "{\"value\":\"43\"}", 200, "\"value\":\"43\"", NULL, 0 },
		{ "changed whole", PUT("baskets/1/lines/2/lineattributes/2/") GUEST JSON,
		  "{\"value\":\"44\",\"option\":\"/api/options/2/\"}", 200, "\"value\":\"44\"",
		  NULL, 0 },
		{ "as a form", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST FORM, "value=45",
		  200, "\"value\":\"45\"", NULL, 0 },
		{ "not at all", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST JSON, "{}", 200,
		  "\"value\":\"45\"", NULL, 0 },
		{ "kept", GET("baskets/1/lines/2/lineattributes/2/") GUEST, NULL, 200,
		  "\"value\":\"45\"", NULL, 0 },
		{ "PUT without", PUT("baskets/1/lines/2/lineattributes/2/") GUEST JSON, "{}", 400,
		  "{\"value\":[\"This field is required.\"]}", NULL, 0 },
		{ "another option", PUT("baskets/1/lines/2/lineattributes/2/") GUEST JSON,
		  "{\"value\":\"a\",\"option\":\"/api/options/3/\"}", 400,
		  "{\"option\":[\"Only the value can be changed.\"]}", NULL, 0 },
		{ "blank", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST JSON,
		  "{\"value\":\" \"}", 400, "{\"value\":[\"This field may not be blank.\"]}", NULL,
		  0 },
		{ "a list", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST JSON, "[]", 400,
		  "non_field_errors", NULL, 0 },
		{ "control characters", PATCH("baskets/1/lines/2/lineattributes/2/") GUEST JSON,
		  "{\"value\":\"a\\u007f\"}", 400, "control characters", NULL, 0 },
		{ "no other", GET("baskets/1/lines/2/lineattributes/3/") GUEST, NULL, 404,
		  NOT_FOUND, NULL, 0 },
		{ "of no other line", GET("baskets/1/lines/1/lineattributes/2/") GUEST, NULL, 404,
		  NOT_FOUND, NULL, 0 },
		{ "no number", GET("baskets/1/lines/2/lineattributes/x/") GUEST, NULL, 404,
		  NOT_FOUND, NULL, 0 },
		{ "not removed", DELETE("baskets/1/lines/2/lineattributes/2/") GUEST, NULL, 405,
		  "Allow: GET, PUT, PATCH, HEAD, OPTIONS", NULL, 0 },
		{ "a stranger", GET("baskets/1/lines/2/lineattributes/2/") OTHER, NULL, 403,
		  ANONYMOUS, NULL, 0 },
		{ "a stranger's change", PATCH("baskets/1/lines/2/lineattributes/2/") OTHER JSON,
		  "{\"value\":\"mine\"}", 403, ANONYMOUS, NULL, 0 },
		{ "who got no basket by it", GET("baskets/") OTHER, NULL, 200, "\r\n[]", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_lines(void **state)
{
#define NEW(product, rest) "{\"basket\":\"" U "baskets/1/\",\"product\":\"/api/products/" product \
	"/\",\"stockrecord\":\"" U "products/" product "/stockrecords/" product "/\"" rest "}"
#define BAD_LINE(what, body, has) \
	{ what, POST("baskets/1/lines/") GUEST JSON, body, 400, "\r\n" has, "Location", 0 }
	static const struct step steps[] = {
		{ "a basket", GET("basket/") GUEST, NULL, 200, NULL, NULL, 0 },
		{ "no lines", GET("baskets/1/lines/") GUEST, NULL, 200, "ETag: \"s1.0.6\"\r\n",
		  NULL, 0 },
		{ "no lines, body", GET("baskets/1/lines.json") GUEST, NULL, 200, "\r\n[]", NULL,
		  0 },
		{ "a line", POST("baskets/1/lines/") GUEST JSON, NEW("1", ",\"quantity\":4,"
		  "\"line_reference\":\"x\",\"price_excl_tax\":\"0.01\""), 201,
		  "\r\n" LINE("1", "1", "1", "4", "", "40.00"), NULL, 0 },
		{ "its place", POST("baskets/1/lines/") GUEST JSON, NEW("2", ""), 201,
		  "Location: " U "baskets/1/lines/2/\r\n", NULL, 0 },
		{ "one was made", GET("baskets/1/lines/2/") GUEST, NULL, 200, "\"quantity\":1,",
		  NULL, 0 },
		{ "to the same line", POST("baskets/1/lines/") GUEST JSON, NEW("1", ""), 201,
		  "ETag: \"l1.2.6\"\r\n", NULL, 0 },
		BAD_LINE("nothing", "{}", "[\"Incorrect type. Expected URL string, received "
		         "NoneType.\"]"),
		BAD_LINE("a list", "[]", "{\"non_field_errors\":"),
		BAD_LINE("no basket", "{\"basket\":\"x\"}", "[\"Invalid hyperlink - No URL "
		    "match.\"]"),
		BAD_LINE("a basket's lines", "{\"basket\":\"/api/baskets/1/lines/\"}",
		         "[\"Invalid hyperlink - Incorrect URL match.\"]"),
		BAD_LINE("no such basket", "{\"basket\":\"/api/baskets/99/\"}",
		         "[\"Invalid hyperlink - Object does not exist.\"]"),
		BAD_LINE("no number", "{\"basket\":\"/api/baskets/x/\"}",
		         "[\"Invalid hyperlink - No URL match.\"]"),
		BAD_LINE("a number", "{\"basket\":1}",
		         "[\"Incorrect type. Expected URL string, received int.\"]"),
		BAD_LINE("the basket alone", "{\"basket\":\"/api/baskets/1/\"}",
		         "{\"product\":[\"This field is required.\"],"
		         "\"stockrecord\":[\"This field is required.\"]}"),
		BAD_LINE("another's stock", "{\"basket\":\"/api/baskets/1/\","
		    "\"product\":\"/api/products/1/\",\"stockrecord\":\"/api/products/2/stockrecor"
		    "ds/2/\"}", "{\"stockrecord\":[\"Invalid hyperlink - Object does not "
		    "exist.\"]}"),
		BAD_LINE("unknown", NEW("99", ""),
		         "{\"product\":[\"Invalid hyperlink - Object does not exist.\"]}"),
		BAD_LINE("negative", NEW("1", ",\"quantity\":-3"), "{\"quantity\":[\"Ensure this "
		         "value is greater than or equal to 0.\"]}"),
		BAD_LINE("no number", NEW("1", ",\"quantity\":\"many\""),
		         "{\"quantity\":[\"A valid integer is required.\"]}"),
		BAD_LINE("none of a new one", NEW("mug", ",\"quantity\":0"),
		    "{\"quantity\":[\"Ensure this value is greater than or equal to 1.\"]}"),
		BAD_LINE("bad options", NEW("1", ",\"options\":7"), "{\"options\":{\"non_field_err"
		    "ors"),
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_lines_of_others(void **state)
{
	static const struct step steps[] = {
		{ "a line", ADD GUEST JSON, PRODUCT("1", "5"), 200, EUROS("1", "50.00"), NULL, 0 },
		{ "too many", POST("baskets/1/lines/") GUEST JSON, NEW("1", ",\"quantity\":16"),
		  406, "\r\n{\"reason\":\"a maximum of 20 can be bought\"}", "Location", 0 },
		{ "not for sale", POST("baskets/1/lines/") GUEST JSON, NEW("3", ""), 406,
		  "\r\n{\"reason\":\"Unavailable\"}", NULL, 0 },
		{ "another's basket", GET("basket/") OTHER, NULL, 200, "\"id\":2", NULL, 0 },
		{ "in the body", POST("baskets/1/lines/") GUEST JSON, "{\"basket\":"
		  "\"/api/baskets/2/\"}", 403, ANONYMOUS, NULL, 0 },
		{ "in the path", POST("baskets/2/lines/") GUEST JSON, NEW("1", ""), 403, ANONYMOUS,
		  NULL, 0 },
		{ "no such", POST("baskets/9/lines/") GUEST JSON, NEW("1", ""), 404, NOT_FOUND,
		  NULL, 0 },
		{ "the lines of another", GET("baskets/1/lines/") OTHER, NULL, 403, ANONYMOUS, NULL,
		  0 },
		{ "a line of another", GET("baskets/1/lines/1/") OTHER, NULL, 404, NOT_FOUND, NULL,
		  0 },
		{ "changed by another", PATCH("baskets/1/lines/1/") OTHER JSON, "{\"quantity\":9}",
		  404, NOT_FOUND, NULL, 0 },
		{ "removed by another", DELETE("baskets/1/lines/1/") OTHER, NULL, 404, NOT_FOUND,
		  NULL, 0 },
		{ "through one's own", GET("baskets/2/lines/1/") OTHER, NULL, 404, NOT_FOUND, NULL,
		  0 },
		{ "all is as it was", GET("basket/") GUEST, NULL, 200, "ETag: \"b1.1.6\"", NULL,
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* Two baskets of one customer. */
static void test_baskets_of_one(void **state)
{
	static const struct step steps[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "a basket", ADD AUTH JSON, PRODUCT("1", "1"), 200, "\"id\":1", NULL, 0 },
		{ "saved", PATCH("baskets/1/") AUTH JSON, "{\"status\":\"Saved\"}", 200, NULL, NULL,
		  0 },
		{ "another", ADD AUTH JSON, PRODUCT("2", "1"), 200, "\"id\":2", NULL, 0 },
		{ "both, by id", GET("baskets/") AUTH, NULL, 200, "},{\"id\":2,", NULL, 0 },
		{ "the body names the other", POST("baskets/1/lines/") AUTH JSON,
		  "{\"basket\":\"/api/baskets/2/\"}", 406,
		  "\r\n{\"detail\":\"Target basket inconsistent 1 != 2\"}", NULL, 0 },
		{ "the saved one takes lines", POST("baskets/1/lines/") AUTH JSON, NEW("mug", ""),
		  201, "Location: " U "baskets/1/lines/3/\r\n", NULL, 0 },
		{ "a stock record of another kind", POST("baskets/1/lines/") AUTH JSON,
		  "{\"basket\":\"/api/baskets/1/\",\"product\":\"/api/products/1/\","
		  "\"stockrecord\":\"/api/products/1/\"}", 400,
		  "{\"stockrecord\":[\"Invalid hyperlink - Incorrect URL match.\"]}", NULL, 0 },
		{ "the media of a line", PATCH("baskets/1/lines/1/") AUTH "|Content-Type: text/css",
		  "x", 415, NULL, NULL, 0 },
		{ "of a list", POST("baskets/1/lines/") AUTH "|Content-Type: text/css", "x", 415,
		  NULL, NULL, 0 },
		{ "all go", DELETE("baskets/1/") AUTH, NULL, 204, NULL, NULL, 0 },
		{ "one is left", GET("baskets/") AUTH, NULL, 200, "\r\n[{\"id\":2,", "\"id\":1,",
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_line(void **state)
{
#define QUANTITY(n) "{\"quantity\":" n "}"
#define L1 "baskets/1/lines/1/"
	static const struct step steps[] = {
		{ "a line", ADD GUEST JSON, PRODUCT("1", "5"), 200, NULL, NULL, 0 },
		{ "PATCH", PATCH(L1) GUEST JSON, QUANTITY("4"), 200,
		  "\r\n" LINE("1", "1", "1", "4", "", "40.00"), NULL, 0 },
		{ "PUT", PUT(L1) GUEST JSON, QUANTITY("5"), 200,
		  "\r\n" LINE("1", "1", "1", "5", "", "50.00"), NULL, 0 },
		{ "PUT, all of it", PUT(L1) GUEST JSON, "{\"quantity\":6,\"product\":\"" U
		  "products/1/\",\"basket\":\"/api/baskets/1/\",\"stockrecord\":\"" U
		  "products/1/stockrecords/1/\",\"url\":\"x\",\"attributes\":7}", 200,
		  "\"quantity\":6", NULL, 0 },
		{ "prices are read-only", PATCH(L1) GUEST JSON, "{\"price_excl_tax\":\"0.01\","
		  "\"price\":\"0.01\",\"currency\":\"USD\",\"quantity\":2}", 200,
		  "\r\n" LINE("1", "1", "1", "2", "", "20.00"), NULL, 0 },
		{ "as a form", PATCH(L1) GUEST FORM, "quantity=3", 200, "\"quantity\":3", NULL, 0 },
		{ "nothing", PATCH(L1) GUEST JSON, "{}", 200, "ETag: \"l1.6.6\"\r\n", NULL, 0 },
		{ "PUT nothing", PUT(L1) GUEST JSON, "{}", 400,
		  "{\"quantity\":[\"This field is required.\"]}", NULL, 0 },
		{ "negative", PATCH(L1) GUEST JSON, QUANTITY("-3"), 400, "{\"quantity\":[\"Ensure "
		  "this value is greater than or equal to 0.\"]}", NULL, 0 },
		{ "null", PATCH(L1) GUEST JSON, QUANTITY("null"), 400,
		  "{\"quantity\":[\"This field may not be null.\"]}", NULL, 0 },
		{ "no number", PATCH(L1) GUEST JSON, QUANTITY("\"\""), 400,
		  "{\"quantity\":[\"A valid integer is required.\"]}", NULL, 0 },
		{ "a list", PATCH(L1) GUEST JSON, "[]", 400, "non_field_errors", NULL, 0 },
		{ "over stock", PATCH(L1) GUEST JSON, QUANTITY("9999999"), 406,
		  "{\"reason\":\"a maximum of 20 can be bought\"}", NULL, 0 },
		{ "over 32 bits", PATCH(L1) GUEST JSON, QUANTITY("4294967297"), 406,
		  "{\"reason\":\"a maximum of 20 can be bought\"}", NULL, 0 },
		{ "another product", PUT(L1) GUEST JSON, "{\"quantity\":1,\"product\":"
		  "\"/api/products/2/\"}", 400,
		  "{\"product\":[\"Only the quantity of a line can be changed.\"]}", NULL, 0 },
		{ "another basket", PATCH(L1) GUEST JSON, "{\"basket\":\"/api/baskets/2/\"}", 400,
		  "{\"basket\":[\"Only the quantity of a line can be changed.\"]}", NULL, 0 },
		{ "another stock record", PATCH(L1) GUEST JSON, "{\"stockrecord\":"
		  "\"/api/products/1/stockrecords/2/\"}", 400,
		  "{\"stockrecord\":[\"Only the quantity of a line can be changed.\"]}", NULL, 0 },
		{ "all is as it was", GET(L1) GUEST, NULL, 200, "ETag: \"l1.6.6\"\r\n", NULL, 0 },
		{ "0", PATCH(L1) GUEST JSON, QUANTITY("0"), 200,
		  "\r\n" LINE("1", "1", "1", "0", "", "0.00"), "ETag", 0 },
		{ "is gone", GET(L1) GUEST, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "and out of the list", GET("baskets/1/lines/") GUEST, NULL, 200, "\r\n[]", NULL,
		  0 },
		{ "another", ADD GUEST JSON, "{\"url\":\"/api/products/1/\",\"quantity\":1,"
		  "\"options\":[{\"option\":\"/api/options/1/\",\"value\":\"blue\"}]}", 200, NULL,
		  NULL, 0 },
		{ "PUT 0", PUT("baskets/1/lines/2/") GUEST JSON, QUANTITY("0"), 200,
		  "\r\n" LINE("1", "2", "1", "0", BLUE("1", "2", "1"), "0.00"), NULL, 0 },
		{ "a third", ADD GUEST JSON, PRODUCT("mug", "7"), 200, NULL, NULL, 0 },
		{ "removed", DELETE("baskets/1/lines/3/") GUEST, NULL, 204, NULL, "Content-Type",
		  0 },
		{ "removed again", DELETE("baskets/1/lines/3/") GUEST, NULL, 404, NOT_FOUND, NULL,
		  0 },
		{ "no number", GET("baskets/1/lines/x/") GUEST, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "no POST", POST(L1) GUEST JSON, "{}", 405,
		  "Allow: GET, PUT, PATCH, DELETE, HEAD, OPTIONS", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* What the price book no longer has. */
static void test_vanished_product(void **state)
{
	static const struct step steps[] = {
		{ "a line", ADD GUEST JSON, PRODUCT("1", "2"), 200, NULL, NULL, 0 },
	};
	static const struct step later[] = {
		{ "no price", GET("baskets/1/lines/1/") GUEST, NULL, 200,
		  "\"price_currency\":null,\"price_excl_tax\":null,\"price_incl_tax\":null,"
		  "\"price_incl_tax_excl_discounts\":null,\"price_excl_tax_excl_discounts\":null,"
		  "\"is_tax_known\":false,\"warning\":\"'1' is no longer available\"", NULL, 0 },
		{ "another tag", GET("baskets/1/lines/1/") GUEST, NULL, 200, "ETag: \"l1.1.7\"",
		  NULL, 0 },
		{ "no total", GET("basket/") GUEST, NULL, 200, BASKET("1", "null", "Open",
		  TOTALS("0.00", "0.00", "0.00"), "null", "false"), NULL, 0 },
		{ "no more of it", ADD GUEST JSON, PRODUCT("1", "1"), 406, "Object does not exist.",
		  NULL, 0 },
		{ "less of it", PATCH("baskets/1/lines/1/") GUEST JSON, "{\"quantity\":1}", 200,
		  "\"quantity\":1", NULL, 0 },
		{ "none of it", PATCH("baskets/1/lines/1/") GUEST JSON, "{\"quantity\":0}", 200,
		  "\"quantity\":0", NULL, 0 },
	};
	static char text[1 << 16];
	size_t len = 0;

	(void)state;
	world_open();
	for (size_t i = 0; i < COUNT_OF(steps); i++)
		take_step(&steps[i], false, text, sizeof text);
	assert_int_equal(kv_begin(world.kv), KV_OK);
	assert_int_equal(product_delete(world.kv, SLICE("1")), KV_OK);
	assert_int_equal(kv_commit(world.kv), KV_OK);
	for (size_t i = 0; i < COUNT_OF(later); i++)
		len += take_step(&later[i], false, text, sizeof text);
	assert_true(len > 0);
	world_close();
}

static void test_status(void **state)
{
#define STATUS(word) "{\"status\":\"" word "\"}"
#define B1 "baskets/1/"
	static const struct step steps[] = {
		{ "a basket", ADD GUEST JSON, PRODUCT("1", "1"), 200, EUROS("1", "10.00"), NULL,
		  0 },
		{ "saved", PUT(B1) GUEST JSON, STATUS("Saved"), 200,
		  BASKET("1", "null", "Saved", TOTALS("10.00", "10.00", "0.00"), "\"EUR\"", "true"),
		  NULL, 0 },
		{ "its tag", GET(B1) GUEST, NULL, 200, "ETag: \"b1.2.6\"", NULL, 0 },
		{ "its lines change", PATCH("baskets/1/lines/1/") GUEST JSON, "{\"quantity\":2}",
		  200, NULL, NULL, 0 },
		{ "another one is open", GET("basket/") GUEST, NULL, 200, EMPTY("2"), NULL, 0 },
		{ "opened: the empty one goes", PATCH(B1) GUEST JSON, STATUS("Open"), 200,
		  EUROS("1", "20.00"), NULL, 0 },
		{ "gone", GET("baskets/2/") GUEST, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "it is the open one", GET("basket/") GUEST, NULL, 200, EUROS("1", "20.00"), NULL,
		  0 },
		{ "open already", PUT(B1) GUEST FORM, "status=Open", 200, "ETag: \"b1.4.6\"", NULL,
		  0 },
		{ "saved again", PATCH(B1) GUEST JSON, STATUS("Saved"), 200, NULL, NULL, 0 },
		{ "the next is not empty", ADD GUEST JSON, PRODUCT("2", "1"), 200, "\"id\":3", NULL,
		  0 },
		{ "one open at a time", PATCH(B1) GUEST JSON, STATUS("Open"), 409, "{\"detail\":"
		  "\"Another basket of this owner is open: save or delete it first.\"}", NULL, 0 },
		{ "which is as it was", GET("baskets/3/") GUEST, NULL, 200, "\"total_excl_tax\":"
		  "\"12.50\"", NULL, 0 },
		{ "no such status", PUT(B1) GUEST JSON, STATUS("Bogus"), 400,
		  "\r\n{\"status\":[\"\\\"Bogus\\\" is not a valid choice.\"]}", NULL, 0 },
		{ "of another case", PUT(B1) GUEST JSON, STATUS("open"), 400, "valid choice", NULL,
		  0 },
		{ "merged by nobody", PUT(B1) GUEST JSON, STATUS("Merged"), 400,
		  "\r\n{\"status\":[\"\\\"Merged\\\" is not a valid choice.\"]}", NULL, 0 },
		{ "blank", PUT(B1) GUEST JSON, STATUS(""), 400, "{\"status\":[", NULL, 0 },
		{ "null", PUT(B1) GUEST JSON, "{\"status\":null}", 400, "{\"status\":[", NULL, 0 },
		{ "a list", PUT(B1) GUEST JSON, "[]", 400, "non_field_errors", NULL, 0 },
		{ "broken", PUT(B1) GUEST JSON, "{", 400, "JSON parse error", NULL, 0 },
		{ "media", PUT(B1) GUEST "|Content-Type: text/plain", "x", 415, NULL, NULL, 0 },
		{ "nothing", PUT(B1) GUEST JSON, "{}", 200, "\"status\":\"Saved\"", NULL, 0 },
		{ "an owner is read-only", PATCH(B1) GUEST JSON, "{\"owner\":\"" U
		  "users/1/\",\"id\":7,\"total_excl_tax\":\"0.01\"}", 200,
		  "{\"id\":1,\"owner\":null,", NULL, 0 },
		{ "another's", PUT(B1) OTHER JSON, STATUS("Open"), 403, ANONYMOUS, NULL, 0 },
		{ "none", PUT("baskets/9/") GUEST JSON, STATUS("Open"), 404, NOT_FOUND, NULL, 0 },
		{ "no number", PUT("baskets/x/") GUEST JSON, STATUS("Open"), 404, NOT_FOUND, NULL,
		  0 },
		{ "removed by another", DELETE(B1) OTHER, NULL, 403, ANONYMOUS, NULL, 0 },
		{ "removed", DELETE(B1) GUEST, NULL, 204, NULL, "Content-Type", 0 },
		{ "removed again", DELETE(B1) GUEST, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "the open one removed", DELETE("baskets/3/") GUEST, NULL, 204, NULL, NULL, 0 },
		{ "a new one", GET("basket/") GUEST, NULL, 200, EMPTY("4"), NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* An order system: a trusted key and no shopper. docs/checkout.md. */
static void test_order_system(void **state)
{
	static const struct step steps[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "a basket", ADD AUTH JSON, PRODUCT("1", "2"), 200, "\"id\":1,\"owner\":\"" U
		  "users/1/\"", NULL, 0 },
		{ "read", GET(B1) KEY, NULL, 200, "\"total_excl_tax\":\"20.00\"", NULL, 0 },
		{ "its lines", GET("baskets/1/lines/") KEY, NULL, 200,
		  "\r\n[" LINE("1", "1", "1", "2", "", "20.00"), NULL, 0 },
		{ "frozen on the tag that was read", PATCH(B1) KEY "|If-Match: \"b1.0.6\"" JSON,
		  STATUS("Frozen"), 412, NULL, NULL, 0 },
		{ "frozen", PATCH(B1) KEY "|If-Match: \"b1.1.6\"" JSON, STATUS("Frozen"), 200,
		  "\"status\":\"Frozen\"", NULL, 0 },
		{ "out of her hands, as the key alone has it", GET(B1)
		  "|Session-Id: SID:AUTH:shop.example:u1", NULL, 403, NULL, NULL, 0 },
		{ "no line changes", PATCH("baskets/1/lines/1/") KEY JSON, "{\"quantity\":1}", 409,
		  "{\"detail\":\"The lines of this basket no longer change.\"}", NULL, 0 },
		{ "nor goes", DELETE("baskets/1/lines/1/") KEY, NULL, 409, "no longer change", NULL,
		  0 },
		{ "nor goes at 0", PATCH("baskets/1/lines/1/") KEY JSON, "{\"quantity\":0}", 409,
		  "\r\n{\"detail\":\"The lines", NULL, 0 },
		{ "nor comes", POST("baskets/1/lines/") KEY JSON, NEW("1", ""), 409,
		  "no longer change", NULL, 0 },
		{ "she has another", GET("basket/") AUTH, NULL, 200, "\"id\":2,", NULL, 0 },
		{ "alone in her list", GET("baskets/") AUTH, NULL, 200, "\r\n[{\"id\":2,",
		  "\"id\":1", 0 },
		{ "the owner together with the key", GET(B1) AUTH, NULL, 200, "Frozen", NULL, 0 },
		{ "thawed by both: the empty one goes", PATCH(B1) AUTH JSON, STATUS("Open"), 200,
		  "\"status\":\"Open\"", NULL, 0 },
		{ "changed", PATCH("baskets/1/lines/1/") AUTH JSON, "{\"quantity\":3}", 200, NULL,
		  NULL, 0 },
		{ "submitted", PUT(B1) KEY JSON, STATUS("Submitted"), 200,
		  "\"status\":\"Submitted\"", NULL, 0 },
		{ "seen by whom it is for", GET(B1) KEY, NULL, 200, "\"total_excl_tax\":\"30.00\"",
		  NULL, 0 },
		{ "a stranger with a trusted key", GET(B1) GUEST, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "a key of a shop", GET(B1) "|X-Api-Key: shop-key", NULL, 404, NOT_FOUND, NULL,
		  0 },
		{ "no key", GET(B1), NULL, 404, NOT_FOUND, NULL, 0 },
		{ "a key and a cookie", GET(B1) KEY "|Cookie: a=b", NULL, 404, NOT_FOUND, NULL, 0 },
		{ "not merged by it either", PUT(B1) KEY JSON, STATUS("Merged"), 400,
		  "valid choice", NULL, 0 },
		{ "removed", DELETE(B1) KEY, NULL, 204, NULL, NULL, 0 },
		{ "a basket of its own is not asked for", GET("baskets/") KEY, NULL, 200, "\r\n[]",
		  NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void read_as_original(void)
{
	world.config.sid_grammar = SID_OSCARAPI;
}

/* The original passes over a Session-Id that it cannot read. Whoever sends one is a shopper all the
 * same, and no order system. */
static void test_broken_id_is_no_order_system(void **state)
{
	static const struct step steps[] = {
		{ "a guest", ADD GUEST JSON, PRODUCT("1", "2"), 200, "\"id\":1,", NULL, 0 },
		{ "nobody", GET(B1) KEY, NULL, 200, "\"id\":1,", NULL, 0 },
		{ "no identifier", GET(B1) KEY "|Session-Id: SID:ANON:shop.example:", NULL, 403,
		  ANONYMOUS, NULL, 0 },
		{ "nothing", GET(B1) KEY "|Session-Id:", NULL, 403, ANONYMOUS, NULL, 0 },
		{ "frozen", PATCH(B1) KEY "|Session-Id: x" JSON, STATUS("Frozen"), 403, ANONYMOUS,
		  NULL, 0 },
		{ "removed", DELETE(B1) KEY "|Session-Id: SID:", NULL, 403, ANONYMOUS, NULL, 0 },
		{ "frozen by nobody", PATCH(B1) KEY JSON, STATUS("Frozen"), 200, NULL, NULL, 0 },
		{ "out of sight", GET(B1) KEY "|Session-Id: SID:ANON:", NULL, 404, NOT_FOUND, NULL,
		  0 },
	};

	(void)state;
	world.configure = read_as_original;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void trust_anybody(void)
{
	world.config.sid_trust = SID_TRUST_ANY;
}

/* Without a trusted key nobody freezes, and what is frozen is out of sight. */
static void test_status_without_trust(void **state)
{
#define ME "|Session-Id: SID:AUTH:shop.example:u1"
	static const struct step steps[] = {
		{ "login", LOGIN "|Session-Id: SID:ANON:shop.example:u1" JSON, ADA, 200, NULL, NULL,
		  0 },
		{ "a basket", ADD ME JSON, PRODUCT("1", "2"), 200, "\"id\":1", NULL, 0 },
		{ "frozen", PUT(B1) ME JSON, STATUS("Frozen"), 403, "{\"detail\":\"Only an API "
		  "key of scope trusted freezes or submits a basket.\"}", NULL, 0 },
		{ "submitted", PATCH(B1) ME JSON, STATUS("Submitted"), 403, "scope trusted", NULL,
		  0 },
		{ "a shop's key", PUT(B1) ME "|X-Api-Key: shop-key" JSON, STATUS("Frozen"), 403,
		  "scope trusted", NULL, 0 },
		{ "as it was", GET(B1) ME, NULL, 200, "ETag: \"b1.1.6\"", NULL, 0 },
		{ "saved", PUT(B1) ME JSON, STATUS("Saved"), 200, "\"Saved\"", NULL, 0 },
		{ "frozen by an order system", PUT(B1) KEY JSON, STATUS("Frozen"), 200, NULL, NULL,
		  0 },
		{ "read", GET(B1) ME, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "its lines", GET("baskets/1/lines/") ME, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "thawed", PUT(B1) ME JSON, STATUS("Open"), 404, NOT_FOUND, NULL, 0 },
		{ "removed", DELETE(B1) ME, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "listed", GET("baskets/") ME, NULL, 200, "\r\n[]", NULL, 0 },
		{ "a stranger", LOGIN "|Session-Id: SID:ANON:shop.example:u2" JSON,
		  "{\"username\":\"bob\",\"password\":\"bob\"}", 200, NULL, NULL, 0 },
		{ "frozen is not there", GET(B1) "|Session-Id: SID:AUTH:shop.example:u2", NULL, 404,
		  NOT_FOUND, NULL, 0 },
		{ "hers, open", GET("basket/") ME, NULL, 200, "\"id\":2", NULL, 0 },
		{ "is not his", GET("baskets/2/") "|Session-Id: SID:AUTH:shop.example:u2", NULL,
		  403, "{\"detail\":\"You do not have permission to perform this action.\"}", NULL,
		  0 },
		{ "nor a guest's", GET("baskets/2/") "|Session-Id: SID:ANON:shop.example:u1", NULL,
		  403, ANONYMOUS, NULL, 0 },
		{ "nor nobody's", GET("baskets/2/"), NULL, 403, ANONYMOUS, NULL, 0 },
	};

	(void)state;
	world.configure = trust_anybody;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void test_if_match(void **state)
{
#define MATCH(tag) "|If-Match: " tag
#define CHANGED "{\"detail\":\"It has changed: read it again (If-Match).\"}"
	static const struct step steps[] = {
		{ "a new basket", ADD GUEST MATCH("\"b1.0.6\"") JSON, PRODUCT("1", "2"), 200,
		  "ETag: \"b1.1.6\"", NULL, 0 },
		{ "add, stale", ADD GUEST MATCH("\"b1.0.6\"") JSON, PRODUCT("1", "2"), 412, CHANGED,
		  NULL, 0 },
		{ "add", ADD GUEST MATCH("\"x\", \"b1.1.6\"") JSON, PRODUCT("1", "2"), 200,
		  EUROS("1", "40.00"), NULL, 0 },
		{ "any", ADD GUEST MATCH("*") JSON, PRODUCT("1", "1"), 200, "ETag: \"b1.3.6\"",
		  NULL, 0 },
		{ "weak", PATCH(B1) GUEST MATCH("W/\"b1.3.6\"") JSON, STATUS("Saved"), 412, CHANGED,
		  NULL, 0 },
		{ "unquoted", PATCH(B1) GUEST MATCH("b1.3.6") JSON, STATUS("Saved"), 412, CHANGED,
		  NULL, 0 },
		{ "empty", PATCH(B1) GUEST MATCH("") JSON, STATUS("Saved"), 412, CHANGED, NULL, 0 },
		{ "of the line", PATCH(B1) GUEST MATCH("\"l1.3.6\"") JSON, STATUS("Saved"), 412,
		  CHANGED, NULL, 0 },
		{ "of another book", PATCH(B1) GUEST MATCH("\"b1.3.5\"") JSON, STATUS("Saved"), 412,
		  CHANGED, NULL, 0 },
		{ "stale before broken", PATCH(B1) GUEST MATCH("\"x\"") JSON, "{", 412, CHANGED,
		  NULL, 0 },
		{ "403 before 412", PATCH(B1) OTHER MATCH("\"x\"") JSON, "{", 403, ANONYMOUS, NULL,
		  0 },
		{ "404 before 412", PATCH("baskets/9/") GUEST MATCH("\"x\"") JSON, "{", 404,
		  NOT_FOUND, NULL, 0 },
		{ "twice", PATCH(B1) GUEST MATCH("\"b1.3.6\"") JSON, STATUS("Saved"), 200, NULL,
		  NULL, 0 },
		{ "used up", PATCH(B1) GUEST MATCH("\"b1.3.6\"") JSON, STATUS("Open"), 412, CHANGED,
		  NULL, 0 },
		{ "a line, stale", PATCH("baskets/1/lines/1/") GUEST MATCH("\"l1.2.6\"") JSON,
		  "{\"quantity\":1}", 412, CHANGED, NULL, 0 },
		{ "a line", PATCH("baskets/1/lines/1/") GUEST MATCH("\"l1.3.6\"") JSON,
		  "{\"quantity\":1}", 200, "ETag: \"l1.4.6\"", NULL, 0 },
		{ "PUT of a line, stale", PUT("baskets/1/lines/1/") GUEST MATCH("\"l1.3.6\"") JSON,
		  "{\"quantity\":1}", 412, CHANGED, NULL, 0 },
		{ "a new line, stale", POST("baskets/1/lines/") GUEST MATCH("\"b1.3.6\"") JSON,
		  NEW("2", ""), 412, CHANGED, NULL, 0 },
		{ "a new line", POST("baskets/1/lines/") GUEST MATCH("\"b1.5.6\"") JSON, NEW("2",
		  ""), 201, NULL, NULL, 0 },
		{ "removed, stale", DELETE("baskets/1/lines/1/") GUEST MATCH("\"l1.3.6\""), NULL,
		  412, CHANGED, NULL, 0 },
		{ "removed", DELETE("baskets/1/lines/1/") GUEST MATCH("\"l1.4.6\""), NULL, 204,
		  NULL, NULL, 0 },
		{ "the basket, stale", DELETE(B1) GUEST MATCH("\"b1.6.6\""), NULL, 412, CHANGED,
		  NULL, 0 },
		{ "the basket", DELETE(B1) GUEST MATCH("\"b1.7.6\""), NULL, 204, NULL, NULL, 0 },
		{ "an attribute's line", ADD GUEST JSON, OPTIONS(ONE("\"/api/options/1/\"",
		  "\"blue\"")), 200, "\"id\":2", NULL, 0 },
		{ "an attribute, stale", PATCH("baskets/2/lines/3/lineattributes/1/") GUEST
		  MATCH("\"l3.2.6\"") JSON, "{\"value\":\"red\"}", 412, CHANGED, NULL, 0 },
		{ "an attribute", PATCH("baskets/2/lines/3/lineattributes/1/") GUEST
		  MATCH("\"l3.1.6\"") JSON, "{\"value\":\"red\"}", 200, "ETag: \"l3.2.6\"", NULL,
		  0 },
		{ "reading asks no condition", GET("baskets/2/") GUEST MATCH("\"x\""), NULL, 200,
		  NULL, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_idempotency_key(void **state)
{
#define ONCE(key) "|Idempotency-Key: " key
#define AGAIN "Idempotent-Replayed: true\r\n"
	static const struct step steps[] = {
		{ "first", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200, EUROS("1", "20.00"),
		  AGAIN, 0 },
		{ "again", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200, EUROS("1", "20.00"),
		  NULL, 0 },
		{ "and says so", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200,
		  "ETag: \"b1.1.6\"", NULL, 0 },
		{ "and once more", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200, AGAIN, NULL,
		  0 },
		{ "nothing changed", GET("basket/") GUEST, NULL, 200, "ETag: \"b1.1.6\"", NULL, 0 },
		{ "another request", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "3"), 422,
		  "{\"detail\":\"This Idempotency-Key came with another request before.\"}", NULL,
		  0 },
		{ "another path", POST("baskets/1/lines/") GUEST ONCE("k1") JSON, NEW("1", ""), 422,
		  "another request", NULL, 0 },
		{ "another key", ADD GUEST ONCE("k2") JSON, PRODUCT("1", "2"), 200,
		  EUROS("1", "40.00"), AGAIN, 0 },
		{ "the old answer", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200,
		  EUROS("1", "20.00"), NULL, 0 },
		{ "another caller", ADD OTHER ONCE("k1") JSON, PRODUCT("1", "1"), 200,
		  EUROS("2", "10.00"), AGAIN, 0 },
		{ "an error is not kept", ADD GUEST ONCE("k3") JSON, PRODUCT("1", "99"), 406, NULL,
		  NULL, 0 },
		{ "its key is free", ADD GUEST ONCE("k3") JSON, PRODUCT("1", "1"), 200,
		  EUROS("1", "50.00"), AGAIN, 0 },
		{ "a line", POST("baskets/1/lines/") GUEST ONCE("k4") JSON, NEW("2", ""), 201,
		  "Location: " U "baskets/1/lines/3/\r\n", AGAIN, 0 },
		{ "the line again", POST("baskets/1/lines/") GUEST ONCE("k4") JSON, NEW("2", ""),
		  201, "Location: " U "baskets/1/lines/3/\r\n", NULL, 0 },
		{ "empty", ADD GUEST ONCE("") JSON, PRODUCT("1", "1"), 400,
		  "{\"detail\":\"An Idempotency-Key has 1 to 255 visible ASCII characters.\"}",
		  NULL, 0 },
		{ "two words", ADD GUEST ONCE("a b") JSON, PRODUCT("1", "1"), 400,
		  "An Idempotency-Key", NULL, 0 },
		{ "not on other methods", PATCH("baskets/1/lines/1/") GUEST ONCE("k1") JSON,
		  "{\"quantity\":1}", 200, "\"quantity\":1", AGAIN, 0 },
		{ "nor on a login", LOGIN GUEST ONCE("k1") JSON, ADA, 200, NULL, AGAIN, 0 },
		{ "a day later", ADD GUEST ONCE("k1") JSON, PRODUCT("1", "2"), 200, "\"id\":4,",
		  AGAIN, 86401 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void prices_of_clients(void)
{
	world.config.price_source = PRICE_SOURCE_CLIENT;
	world.config.sid_trust = SID_TRUST_ANY;
}

static void test_client_prices(void **state)
{
#define PRICED(id, quantity, rest) \
	"{\"url\":\"/api/products/" id "/\",\"quantity\":" quantity \
	",\"currency\":\"EUR\"," rest "}"
#define PLAIN "|Session-Id: SID:ANON:shop.example:g1"
	static const struct step steps[] = {
		{ "a price", ADD GUEST JSON, PRICED("1", "2", "\"price\":\"3.25\""), 200,
		  EUROS("1", "6.50"), NULL, 0 },
		{ "a discount", ADD GUEST JSON, PRICED("gift", "3", "\"price\":2,"
		  "\"discount\":\"1.50\",\"name\":\"Gift \\\"wrap\\\"\""), 200,
		  "\"total_excl_tax\":\"11.00\",\"total_excl_tax_excl_discounts\":\"12.50\"", NULL,
		  0 },
		{ "shown", GET("baskets/1/lines/2/") GUEST, NULL, 200,
		  "\"price_excl_tax\":\"4.50\",\"price_incl_tax\":\"4.50\","
		  "\"price_incl_tax_excl_discounts\":\"6.00\","
		  "\"price_excl_tax_excl_discounts\":\"6.00\"", NULL, 0 },
		{ "the book's, beside it", ADD GUEST JSON, PRODUCT("1", "1"), 200,
		  "\"total_excl_tax\":\"21.00\"", NULL, 0 },
		{ "changed", PATCH("baskets/1/lines/2/") GUEST JSON, "{\"price\":\"1.00\","
		  "\"currency\":\"EUR\"}", 200, "\"quantity\":3,\"attributes\":[],"
		  "\"price_currency\":\"EUR\",\"price_excl_tax\":\"3.00\"", NULL, 0 },
		{ "changed with its quantity", PUT("baskets/1/lines/2/") GUEST JSON,
		  "{\"quantity\":1,\"price\":\"1.005\",\"currency\":\"EUR\"}", 200,
		  "\"price_excl_tax\":\"1.01\"", NULL, 0 },
		{ "a line", POST("baskets/1/lines/") GUEST JSON, NEW("box", ",\"price\":\"9\","
		  "\"currency\":\"EUR\""), 201, "\"price_excl_tax\":\"9.00\"", NULL, 0 },
	};

	(void)state;
	world.configure = prices_of_clients;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

static void test_client_prices_refused(void **state)
{
	static const struct step steps[] = {
		{ "a line", ADD GUEST JSON, PRICED("gift", "1", "\"price\":\"3.25\""), 200,
		  EUROS("1", "3.25"), NULL, 0 },
		BAD("no currency", "{\"url\":\"/api/products/1/\",\"quantity\":1,\"price\":\"1\"}",
		    "{\"reason\":{\"currency\":[\"This field is required.\"]}}"),
		BAD("no currency either", "{\"url\":\"/api/products/1/\",\"quantity\":1,"
		    "\"price\":\"1\",\"currency\":\"euro\"}",
		    "{\"reason\":{\"currency\":[\"A currency is three capital letters.\"]}}"),
		BAD("no amount", PRICED("1", "1", "\"price\":\"1,5\""),
		    "{\"reason\":{\"price\":[\"A valid number is required.\"]}}"),
		BAD("a floating one", PRICED("1", "1", "\"price\":1.5"),
		    "{\"reason\":{\"price\":[\"Not a valid string.\"]}}"),
		BAD("negative", PRICED("1", "1", "\"price\":\"-1\""),
		    "{\"reason\":{\"price\":[\"A valid number is required.\"]}}"),
		BAD("too fine", PRICED("1", "1", "\"price\":\"1.00001\""),
		    "{\"reason\":{\"price\":[\"A valid number is required.\"]}}"),
		BAD("too large", PRICED("1", "1", "\"price\":\"100000000\""),
		    "{\"reason\":{\"price\":[\"A valid number is required.\"]}}"),
		BAD("a discount too fine", PRICED("1", "1", "\"price\":\"1\","
		    "\"discount\":\"0.001\""), "{\"reason\":{\"discount\":[\"Ensure that there "
		    "are no more than 2 decimal places.\"]}}"),
		BAD("another currency", "{\"url\":\"/api/products/1/\",\"quantity\":1,"
		    "\"price\":\"1\",\"currency\":\"USD\"}", "{\"reason\":\"A basket holds "
		    "products of one currency"),
		BAD("unknown without a price", PRODUCT("gift", "1"), "{\"reason\":{\"url\":"),
		{ "without a trusted key", ADD PLAIN JSON, PRICED("1", "1", "\"price\":\"0.01\""),
		  403, "{\"detail\":\"Only an API key of scope trusted says what a line costs.\"}",
		  NULL, 0 },
		{ "with a shop's", ADD PLAIN "|X-Api-Key: shop-key" JSON,
		  PRICED("1", "1", "\"price\":\"0.01\""), 403, "scope trusted", NULL, 0 },
		{ "a line without", POST("baskets/1/lines/") PLAIN JSON,
		  NEW("1", ",\"price\":\"0.01\""), 403, "scope trusted", NULL, 0 },
		{ "changed without", PATCH("baskets/1/lines/1/") PLAIN JSON, "{\"price\":\"0.01\"}",
		  403, "scope trusted", NULL, 0 },
		{ "a name alone is nothing", ADD PLAIN JSON, "{\"url\":\"/api/products/2/\","
		  "\"quantity\":1,\"name\":\"x\",\"discount\":\"5\"}", 200, NULL, NULL, 0 },
		{ "the book's price", GET("baskets/1/lines/2/") PLAIN, NULL, 200,
		  "\"price_excl_tax\":\"12.50\"", NULL, 0 },
	};
	static const struct step catalogue[] = {
		{ "passed over", ADD GUEST JSON, PRICED("1", "1", "\"price\":\"0.01\""), 200,
		  EUROS("1", "10.00"), NULL, 0 },
		{ "not needed", ADD GUEST JSON, PRICED("gift", "1", "\"price\":\"0.01\""), 406,
		  "Object does not exist.", NULL, 0 },
	};

	(void)state;
	world.configure = prices_of_clients;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
	run_script(catalogue, COUNT_OF(catalogue));
}

/* A guest's basket goes with him through the login, and is out of reach after it. */
static void test_login_merges(void **state)
{
	static const struct step steps[] = {
		{ "hers", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "with a line", ADD AUTH JSON, PRODUCT("1", "15"), 200, "\"id\":1", NULL, 0 },
		{ "out", DELETE("login/") AUTH, NULL, 200, NULL, NULL, 0 },
		{ "a guest's", ADD ANON JSON, PRODUCT("1", "8"), 200, "\"id\":2", NULL, 0 },
		{ "and another line", ADD ANON JSON, PRODUCT("2", "1"), 200, NULL, NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, "X-Basket-Merge: 1=23/20\r\n", NULL, 0 },
		{ "merged", GET("baskets/1/lines/") AUTH, NULL, 200,
		  "\"quantity\":20,\"attributes\":[]", NULL, 0 },
		{ "the total", GET("basket/") AUTH, NULL, 200, "\"total_excl_tax\":\"212.50\"",
		  NULL, 0 },
		{ "the guest's is gone", GET("baskets/2/") ANON, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "for her too", GET("baskets/2/") AUTH, NULL, 404, NOT_FOUND, NULL, 0 },
		{ "a fresh one for the guest", GET("basket/") ANON, NULL, 200, EMPTY("3"), NULL,
		  0 },
		{ "logged out a guest loses his", DELETE("login/") ANON, NULL, 200, NULL, NULL, 0 },
		{ "lost", GET("baskets/3/") ANON, NULL, 404, NOT_FOUND, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* Limits of their own: lines, quantity. */
static void few_lines(void)
{
	world.config.max_lines = 2;
	world.config.max_quantity = 30;
}

static void test_limits(void **state)
{
	static const struct step steps[] = {
		{ "one", ADD GUEST JSON, PRODUCT("1", "1"), 200, NULL, NULL, 0 },
		{ "two", ADD GUEST JSON, PRODUCT("2", "1"), 200, NULL, NULL, 0 },
		BAD("three", PRODUCT("mug", "1"), "{\"reason\":\"A basket holds at most 2 "
		    "lines, 1000 options and 256 KB of text.\"}"),
		{ "three, as a line", POST("baskets/1/lines/") GUEST JSON, NEW("mug", ""), 406,
		  "at most 2 lines", NULL, 0 },
		BAD("thirty in all", PRODUCT("2", "29"), "{\"reason\":\"Due to technical "
		    "limitations we are not able to ship more than 30 items in one order.\"}"),
		{ "by PATCH", PATCH("baskets/1/lines/2/") GUEST JSON, "{\"quantity\":30}", 406,
		  "not able to ship more than 30 items", NULL, 0 },
		{ "just so", PATCH("baskets/1/lines/2/") GUEST JSON, "{\"quantity\":29}", 200, NULL,
		  NULL, 0 },
	};

	(void)state;
	world.configure = few_lines;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

/* The basket cookie of a visitor without a Session-Id. */
static void test_basket_cookie(void **state)
{
#define CARRIED(id, signature) "|Cookie: oscar_open_basket=" id ":" signature
#define FIRST CARRIED("1", "3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw")
	static const struct step steps[] = {
		{ "no basket by looking round", GET("products/"), NULL, 200, NULL, "Set-Cookie",
		  0 },
		{ "nor by an error", ADD JSON, PRODUCT("99", "1"), 406, NULL, "Set-Cookie", 0 },
		{ "nor by a list", GET("baskets/"), NULL, 200, "\r\n[]", "Set-Cookie", 0 },
		{ "a basket", ADD JSON, PRODUCT("1", "1"), 200, "Set-Cookie: oscar_open_basket=1:"
		  "3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw; Path=/; Max-Age=604800;",
		  "sidecart_session", 0 },
		{ "found by it", GET("basket/") FIRST, NULL, 200, EUROS("1", "10.00"), NULL, 0 },
		{ "by its id too", GET(B1) FIRST, NULL, 200, EUROS("1", "10.00"), NULL, 0 },
		{ "its line", PATCH("baskets/1/lines/1/") FIRST JSON, "{\"quantity\":2}", 200, NULL,
		  NULL, 0 },
		{ "forged", GET(B1) CARRIED("1", "3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgx"),
		  NULL, 403, ANONYMOUS, NULL, 0 },
		{ "forged, and a new one", GET("basket/") CARRIED("1", "x"), NULL, 200,
		  "Set-Cookie: oscar_open_basket=2:", NULL, 0 },
		{ "not beside a Session-Id", GET("basket/") GUEST FIRST, NULL, 200, EMPTY("3"),
		  NULL, 0 },
		{ "login", LOGIN FIRST JSON, ADA, 200,
		  "Set-Cookie: oscar_open_basket=; Path=/; Max-Age=0", NULL, 0 },
		{ "merged", GET("basket/") "|Cookie: sidecart_session=$0", NULL, 200,
		  "\"total_excl_tax\":\"20.00\"", "oscar_open_basket", 0 },
		{ "the cookie is stale", GET("baskets/") FIRST, NULL, 200,
		  "Set-Cookie: oscar_open_basket=; Path=/; Max-Age=0", NULL, 0 },
		{ "and opens nothing", GET(B1) FIRST, NULL, 404, NOT_FOUND, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_basket),
		cmocka_unit_test(test_add_product),
		cmocka_unit_test(test_add_product_refused),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_of_others),
		cmocka_unit_test(test_baskets_of_one),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_vanished_product),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_order_system),
		cmocka_unit_test(test_broken_id_is_no_order_system),
		cmocka_unit_test(test_status_without_trust),
		cmocka_unit_test(test_if_match),
		cmocka_unit_test(test_idempotency_key),
		cmocka_unit_test(test_client_prices),
		cmocka_unit_test(test_client_prices_refused),
		cmocka_unit_test(test_login_merges),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_basket_cookie),
	};

	log_open(LOG_WARN, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
