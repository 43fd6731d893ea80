/* test_ocapi.c -- what all of /dw/ shares: paths, methods, documents that come, faults.
 *
 * Each script runs twice (handlers.h).
 */
#include "handlers.h"

#include "../ocapi.h"

static void test_split(void **state)
{
	static const struct {
		const char *path, *site, *below;        /* below NULL: none of this surface */
	} rows[] = {
		{ "/dw/shop/v20_9/sessions",      NULL,      "/dw/shop/v20_9/sessions" },
		{ "/dw/",                         NULL,      "/dw/" },
		{ "/s/RefArch/dw/shop/v20_9/x",   "RefArch", "/dw/shop/v20_9/x" },
		{ "/s/-/dw/data/v20_9/sites",     "-",       "/dw/data/v20_9/sites" },
		{ "/s//dw/shop/v20_9/x",          "",        "/dw/shop/v20_9/x" },
		{ "/dw",                          NULL,      NULL },
		{ "/dwx/shop",                    NULL,      NULL },
		{ "/s",                           NULL,      NULL },
		{ "/s/",                          NULL,      NULL },
		{ "/s/dw/shop/v20_9/x",           NULL,      NULL },
		{ "/s/RefArch",                   NULL,      NULL },
		{ "/s/RefArch/",                  NULL,      NULL },
		{ "/s/RefArch/cart",              NULL,      NULL },
		{ "/s/a/s/b/dw/shop/v20_9/x",     NULL,      NULL },
		{ "/api/dw/shop",                 NULL,      NULL },
		{ "",                             NULL,      NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct ocapi_path p;
		bool split = ocapi_split(slice_of(rows[i].path), &p);

		if (split != (rows[i].below != NULL))
			fail_msg("%s", rows[i].path);
		if (!split)
			continue;
		assert_int_equal(slice_given(p.site), rows[i].site != NULL);
		assert_true(!slice_given(p.site) || slice_eq(p.site, slice_of(rows[i].site)));
		assert_true(slice_eq(p.below, slice_of(rows[i].below)));
	}
}

static void test_method(void **state)
{
	static const struct {
		enum http_method method;
		const char *field, *query;      /* NULL: not sent */
		enum http_method meant;
	} rows[] = {
		{ HTTP_GET,     NULL,      NULL,                  HTTP_GET },
		{ HTTP_POST,    NULL,      "",                    HTTP_POST },
		{ HTTP_POST,    NULL,      "client_id=x",         HTTP_POST },
		{ HTTP_POST,    "PUT",     NULL,                  HTTP_PUT },
		{ HTTP_POST,    "PATCH",   NULL,                  HTTP_PATCH },
		{ HTTP_POST,    "DELETE",  NULL,                  HTTP_DELETE },
		{ HTTP_POST,    "HEAD",    NULL,                  HTTP_HEAD },
		{ HTTP_POST,    "OPTIONS", NULL,                  HTTP_OPTIONS },
		{ HTTP_POST,    NULL,      "a=b&method=DELETE",   HTTP_DELETE },
		{ HTTP_POST,    "DELETE",  "method=DELETE",       HTTP_DELETE },
		{ HTTP_POST,    "DELETE",  "method=PUT",          HTTP_OTHER },
		{ HTTP_POST,    "GET",     NULL,                  HTTP_OTHER },
		{ HTTP_POST,    "POST",    NULL,                  HTTP_OTHER },
		{ HTTP_POST,    "put",     NULL,                  HTTP_OTHER },
		{ HTTP_POST,    "",        NULL,                  HTTP_OTHER },
		{ HTTP_POST,    NULL,      "method",              HTTP_OTHER },
		{ HTTP_POST,    NULL,      "method=TRACE",        HTTP_OTHER },
		{ HTTP_GET,     "DELETE",  NULL,                  HTTP_OTHER },
		{ HTTP_GET,     NULL,      "method=DELETE",       HTTP_OTHER },
		{ HTTP_PUT,     "PUT",     NULL,                  HTTP_OTHER },
		{ HTTP_OPTIONS, NULL,      "method=DELETE",       HTTP_OPTIONS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct http_request r = { .method = rows[i].method };

		if (rows[i].field != NULL)
			r.field[HTTP_X_DW_HTTP_METHOD_OVERRIDE] = slice_of(rows[i].field);
		if (rows[i].query != NULL)
			r.query = slice_of(rows[i].query);
		if (ocapi_method(&r) != rows[i].meant)
			fail_msg("row %zu: %u", i, ocapi_method(&r));
	}
}

#define UNKNOWN(path) "GET " path " HTTP/1.1"
#define NO_RESOURCE   "\"type\":\"ResourcePathNotFoundException\""
#define NO_SITE       "\"type\":\"UnknownSiteException\""
#define NO_VERSION    "\"type\":\"VersionNotFoundException\""
#define NO_OVERRIDE   "\"type\":\"IllegalHttpMethodOverrideException\""
#define NO_TYPE       "\"type\":\"UnsupportedContentTypeException\""
#define NO_FORMAT     "\"type\":\"UnsupportedFormatException\""
#define X             "/dw/shop/v20_9/nosuch"
#define OVERRIDE      "|x-dw-http-method-override: "

/* A store is asked, once: what else a script needs. */
#define LOOK { "a look", "GET /session HTTP/1.1" AUTH, NULL, 401, NULL, NULL, 0 }

static void test_paths(void **state)
{
	static const struct step steps[] = {
		LOOK,
		{ "all of it", UNKNOWN(X), NULL, 404,
		  "Content-Type: application/json;charset=UTF-8\r\n"
		  "Cache-Control: max-age=0,no-cache,no-store,must-revalidate\r\n"
		  "X-Content-Type-Options: nosniff\r\nx-dw-version-status: current\r\n"
		  "x-dw-request-base-id: ", "Set-Cookie", 0 },
		{ "the document", UNKNOWN(X), NULL, 404,
		  "\r\n\r\n{\"_v\":\"20.9\",\"fault\":{\"arguments\":{\"path\":\"" X "\"},"
		  "\"type\":\"ResourcePathNotFoundException\",\"message\":\"No resource with path '"
		  X "' is served here", NULL, 0 },
		{ "its version", UNKNOWN("/dw/shop/v19_10/x"), NULL, 404, "{\"_v\":\"19.10\",",
		  NULL, 0 },
		{ "the first", UNKNOWN("/dw/shop/v17_1/x"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "the last", UNKNOWN("/dw/shop/v24_5/x"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "before the first", UNKNOWN("/dw/shop/v16_9/x"), NULL, 404,
		  "{\"_v\":\"20.9\",\"fault\":{\"arguments\":{\"version\":\"v16_9\"}", NULL, 0 },
		{ "behind the last", UNKNOWN("/dw/shop/v24_6/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "a zero", UNKNOWN("/dw/shop/v20_0/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "a leading zero", UNKNOWN("/dw/shop/v20_09/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "eleven", UNKNOWN("/dw/shop/v20_11/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "half a version", UNKNOWN("/dw/shop/v20/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "no minor", UNKNOWN("/dw/shop/v20_/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "with a sign", UNKNOWN("/dw/shop/v20_+9/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "with a dot", UNKNOWN("/dw/shop/v20.9/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "encoded", UNKNOWN("/dw/shop/v20%5F9/x"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "none", UNKNOWN("/dw/shop/"), NULL, 404, NO_VERSION, NULL, 0 },
		{ "markup in a version", UNKNOWN("/dw/shop/v%22_9/x"), NULL, 404,
		  "\"version\":\"v%22_9\"", NULL, 0 },
		{ "another API", UNKNOWN("/dw/data/v20_9/sites"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "no API", UNKNOWN("/dw/"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "an end", UNKNOWN(X "/"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "bad escape", UNKNOWN(X "%zz"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "site", UNKNOWN("/s/RefArch" X), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "site as a storefront has it", UNKNOWN("/s/Sites-RefArch-Site" X), NULL, 404,
		  NO_RESOURCE, NULL, 0 },
		{ "another site", UNKNOWN("/s/RefArchGlobal" X), NULL, 404,
		  "{\"siteId\":\"RefArchGlobal\"},\"type\":\"UnknownSiteException\"", NULL, 0 },
		{ "another case", UNKNOWN("/s/refarch" X), NULL, 404, NO_SITE, NULL, 0 },
		{ "half a form", UNKNOWN("/s/Sites-RefArch" X), NULL, 404, NO_SITE, NULL, 0 },
		{ "the form alone", UNKNOWN("/s/Sites--Site" X), NULL, 404, NO_SITE, NULL, 0 },
		{ "no site", UNKNOWN("/s/" X), NULL, 404, NO_SITE, NULL, 0 },
		{ "site before version", UNKNOWN("/s/x/dw/shop/v1_1/x"), NULL, 404, NO_SITE, NULL,
		  0 },
		{ "the organization", UNKNOWN("/s/-" X), NULL, 403,
		  "\"type\":\"OrganizationAccessForbiddenException\"", NULL, 0 },
		{ "no path of this surface", UNKNOWN("/s/RefArch/cart"), NULL, 404, "problem+json",
		  "fault", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_methods_and_media(void **state)
{
	static const struct step steps[] = {
		LOOK,
		{ "override", "POST " X " HTTP/1.1" OVERRIDE "PUT", NULL, 404, NO_RESOURCE, NULL,
		  0 },
		{ "override of nothing known", "POST " X " HTTP/1.1" OVERRIDE "BREW", NULL, 400,
		  "{\"method\":\"BREW\"},\"type\":\"IllegalHttpMethodOverrideException\"", NULL,
		  0 },
		{ "override of a GET", "GET " X "?method=DELETE HTTP/1.1", NULL, 400, NO_OVERRIDE,
		  NULL, 0 },
		{ "two overrides", "POST " X "?method=PUT HTTP/1.1" OVERRIDE "DELETE", NULL, 400,
		  NO_OVERRIDE, NULL, 0 },
		{ "HEAD by override", "POST " X " HTTP/1.1" OVERRIDE "HEAD", NULL, 404,
		  "application/json", "fault", 0 },
		{ "TRACE", "TRACE " X " HTTP/1.1", NULL, 405,
		  "\"type\":\"MethodNotAllowedException\"", NULL, 0 },
		{ "a method that nobody knows", "BREW " X " HTTP/1.1", NULL, 501,
		  "\"type\":\"NotImplementedException\"", NULL, 0 },
		{ "Upgrade", "GET " X " HTTP/1.1|Upgrade: h2c", NULL, 501, "\"fault\"", NULL, 0 },
		{ "a body", "POST " X " HTTP/1.1" JSON, "{}", 404, NO_RESOURCE, NULL, 0 },
		{ "with parameters", "POST " X " HTTP/1.1|Content-Type: Application/JSON; a=b",
		  "{}", 404, NO_RESOURCE, NULL, 0 },
		{ "without a type", "POST " X " HTTP/1.1", "{}", 404, NO_RESOURCE, NULL, 0 },
		{ "XML", "POST " X " HTTP/1.1|Content-Type: text/xml", "<a/>", 415,
		  "{\"contentType\":\"text/xml\"},\"type\":\"UnsupportedContentTypeException\"",
		  NULL, 0 },
		{ "a form", "PUT " X " HTTP/1.1|Content-Type: application/x-www-form-urlencoded",
		  "a=b", 415, NO_TYPE, NULL, 0 },
		{ "no body, whatever type", "POST " X " HTTP/1.1|Content-Type: text/xml", NULL,
		  404, NO_RESOURCE, NULL, 0 },
		{ "format", UNKNOWN(X "?format=json"), NULL, 404, NO_RESOURCE, NULL, 0 },
		{ "another format", UNKNOWN(X "?format=xml"), NULL, 415, NO_FORMAT, NULL, 0 },
		{ "an empty format", UNKNOWN(X "?format="), NULL, 415, NO_FORMAT, NULL, 0 },
		{ "JSONP", UNKNOWN(X "?callback=f"), NULL, 415, NO_FORMAT, NULL, 0 },
		{ "a body's type wins", "POST " X "?format=xml HTTP/1.1" JSON, "{}", 404,
		  NO_RESOURCE, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void leave_out(void)
{
	world.config.surfaces = SURFACE_SESSION;
}

static void test_surfaces(void **state)
{
	static const struct step steps[] = {
		LOOK,
		{ "ocapi", UNKNOWN(X), NULL, 404, "problem+json", "fault", 0 },
		{ "ocapi, another site", UNKNOWN("/s/-" X), NULL, 404, "problem+json", NULL, 0 },
		{ "oscar", "GET /api/basket/ HTTP/1.1" ANON, NULL, 404, "problem+json",
		  "Session-Id", 0 },
		{ "oscar, unknown", UNKNOWN("/api/nosuch/"), NULL, 404, "problem+json", NULL, 0 },
		{ "oscar, OPTIONS", "OPTIONS /api/basket/ HTTP/1.1" ANON, NULL, 404,
		  "problem+json", NULL, 0 },
		{ "resolve", UNKNOWN("/resolve"), NULL, 404, "problem+json", NULL, 0 },
		{ "session", UNKNOWN("/session"), NULL, 200, NULL, NULL, 0 },
		{ "what is none of them", UNKNOWN("/openapi.json"), NULL, 200, NULL, NULL, 0 },
	};

	(void)state;
	world.configure = leave_out;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

/* One call of ocapi.h's functions, without a route. */
static struct http_request request;
static struct http_response response;
static struct call call;
static char fields[2048], body[8192];

static void begin(const char *path, const char *sent)
{
	request = (struct http_request){ .path = slice_of(path), .body = slice_of(sent) };
	response = (struct http_response){ .fields = BUF(fields), .body = BUF(body) };
	http_response_reset(&response);
	memset(&call, 0, sizeof call);
	call.request = &request;
	call.response = &response;
}

static void answered(const char *what, enum http_status status, const char *text)
{
	if (response.status != status || !slice_eq(buf_slice(&response.body), slice_of(text)))
		fail_msg("%s: %d %.*s", what, response.status, (int)response.body.len, body);
}

static void test_fault(void **state)
{
	char value[300];

	(void)state;
	begin(X, "");
	ocapi_fault(&call, HTTP_BAD_REQUEST, "InvalidCustomer", "The customer is invalid.", NULL);
	answered("none", HTTP_BAD_REQUEST, "{\"_v\":\"20.9\",\"fault\":{\"arguments\":{},"
	         "\"type\":\"InvalidCustomerException\",\"message\":"
	         "\"The customer is invalid.\"}}");
	begin("/s/RefArch/dw/shop/v21_3/baskets/123", "");
	ocapi_fault(&call, HTTP_NOT_FOUND, "BasketNotFound",
	            "No basket with ID '{basketId}' could be found{end}",
	            OCAPI_ARGUMENTS({ "end", SLICE(".") }, { "basketId", SLICE("1\"{end}\n") }));
	answered("two", HTTP_NOT_FOUND, "{\"_v\":\"21.3\",\"fault\":{\"arguments\":{\"end\":\".\","
	         "\"basketId\":\"1\\\"{end}\\n\"},\"type\":\"BasketNotFoundException\","
	         "\"message\":\"No basket with ID '1\\\"{end}\\n' could be found.\"}}");
	memset(value, 'x', sizeof value);
	begin(X, "");
	ocapi_fault(&call, HTTP_NOT_FOUND, "A", "{a}{a}", OCAPI_ARGUMENTS(
		{ "a", { value, sizeof value } }));
	assert_int_equal(response.body.len, strlen("{\"_v\":\"20.9\",\"fault\":{\"arguments\":"
		"{\"a\":\"\"},\"type\":\"AException\",\"message\":\"\"}}") + 3 * 200);
	begin(X, "");
	ocapi_error(&call, HTTP_CONTENT_TOO_LARGE, "Too long.");
	answered("413", HTTP_CONTENT_TOO_LARGE, "{\"_v\":\"20.9\",\"fault\":{\"arguments\":{},"
	         "\"type\":\"RequestEntityTooLargeException\",\"message\":\"Too long.\"}}");
	begin(X, "");
	ocapi_error(&call, HTTP_INSUFFICIENT_STORAGE, "Full.");
	answered("507", HTTP_INSUFFICIENT_STORAGE, "{\"_v\":\"20.9\",\"fault\":{\"arguments\":{},"
	         "\"type\":\"InsufficientStorageException\",\"message\":\"Full.\"}}");
}

/* J17: where a Bearer was sent, a 401 says what is wrong with it. */
static void test_challenge(void **state)
{
	static const struct {
		const char *authorization, *challenge;
	} rows[] = {
		{ "Bearer abc",     "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n" },
		{ "bEARER abc",     "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n" },
		{ "Basic Zm9vOmJh", "WWW-Authenticate: Bearer\r\n" },
		{ NULL,             "WWW-Authenticate: Bearer\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		begin(X, "");
		if (rows[i].authorization != NULL)
			request.field[HTTP_AUTHORIZATION] = slice_of(rows[i].authorization);
		ocapi_fault(&call, HTTP_UNAUTHORIZED, "A", "b", NULL);
		buf_char(&response.fields, '\0');
		assert_non_null(strstr(fields, rows[i].challenge));
		begin(X, "");
		ocapi_fault(&call, HTTP_BAD_REQUEST, "A", "b", NULL);
		buf_char(&response.fields, '\0');
		assert_null(strstr(fields, "WWW-Authenticate"));
	}
}

/* What is drawn for a request is not told by its id. */
static void test_base_id(void **state)
{
	char id[2][sizeof fields];

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(X, "");
		memset(call.random, i + 1, sizeof call.random);
		ocapi_begin(&call, HTTP_NO_CONTENT);
		buf_char(&response.fields, '\0');
		memcpy(id[i], strstr(fields, "x-dw-request-base-id: "), 22 + 16 + 3);
		assert_int_equal(strcspn(id[i] + 22, "\r"), 16);
		assert_null(strstr(fields, "application/json"));
	}
	assert_string_not_equal(id[0], id[1]);
	assert_null(strstr(id[0], "AQEBAQ"));
}

#define FAULT(arguments, type) "{\"_v\":\"20.9\",\"fault\":{\"arguments\":{" arguments "}," \
                               "\"type\":\"" type "Exception\",\"message\":\""

static void test_documents(void **state)
{
	static const struct ocapi_member members[] = {
		{ "type", OCAPI_STRING, 5 }, { "count", OCAPI_NUMBER, 0 },
		{ "good", OCAPI_BOOLEAN, 0 }, { "of", OCAPI_OBJECT, 0 },
		{ "all", OCAPI_ARRAY, 0 }, { "any", OCAPI_ANY, 0 }, { "long", OCAPI_STRING, 0 },
	};
#define DECODING(path, expected, actual) \
	FAULT("\"path\":\"" path "\",\"expectedTypes\":\"" expected "\",\"actualType\":\"" actual \
	      "\"", "TypeDecoding")
	static const struct {
		const char *sent, *fault;       /* NULL: it is taken; a fault's begin */
	} rows[] = {
		{ "{}", NULL },
		{ "{\"type\":\"guest\",\"count\":1,\"good\":true,\"of\":{},\"all\":[],\"any\":7}",
		  NULL },
		{ "{\"type\":null,\"count\":null,\"good\":null,\"of\":null,\"all\":null}", NULL },
		{ "{\"count\":1.5,\"good\":false,\"any\":\"x\"}", NULL },
		{ "{\"_v\":\"20.9\",\"_type\":\"x\",\"_flash\":[],\"_resource_state\":1}", NULL },
		{ "{\"_v\":null}", NULL },
		{ "{\"type\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"}", NULL },
		{ "{", FAULT("\"reason\":\"Expecting property name enclosed in double quotes: "
		  "line 1 column 2 (char 1)\"", "BodyDecoding") },
		{ "<a/>", FAULT("\"reason\":\"Expecting value: line 1 column 1 (char 0)\"",
		  "BodyDecoding") },
		{ "{\"type\":\"a\",\"type\":\"b\"}", FAULT("\"reason\":\"Duplicate property "
		  "name: line 1 column 13 (char 12)\"", "BodyDecoding") },
		{ "[]", DECODING("$", "Object", "Array") },
		{ "7", DECODING("$", "Object", "Integer") },
		{ "null", DECODING("$", "Object", "Null") },
		{ "{\"type\":7}", DECODING("$.type", "String", "Integer") },
		{ "{\"type\":[\"a\"]}", DECODING("$.type", "String", "Array") },
		{ "{\"count\":\"1\"}", DECODING("$.count", "Integer|Decimal", "String") },
		{ "{\"good\":1.5}", DECODING("$.good", "Boolean", "Decimal") },
		{ "{\"of\":true}", DECODING("$.of", "Object", "Boolean") },
		{ "{\"all\":{}}", DECODING("$.all", "Array", "Object") },
		{ "{\"_v\":7}", DECODING("$._v", "String", "Integer") },
		{ "{\"_v\":\"20.10\"}", FAULT("\"version\":\"20.10\"", "UnexpectedVersion") },
		{ "{\"_v\":\"\"}", FAULT("\"version\":\"\"", "UnexpectedVersion") },
		{ "{\"login\":\"x\"}", FAULT("\"property\":\"login\",\"document\":\"auth_request\"",
		  "UnknownProperty") },
		{ "{\"Type\":\"x\"}", FAULT("\"property\":\"Type\",\"document\":\"auth_request\"",
		  "UnknownProperty") },
		{ "{\"c_x\":1}", FAULT("\"property\":\"c_x\",\"document\":\"auth_request\"",
		  "InvalidCustomProperty") },
		{ "{\"type\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x\"}",
		  FAULT("\"parameter\":\"type\",\"expected\":\"(0..5)\"",
		        "StringConstraintViolation") },
	};
#undef DECODING

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const json_t *root = NULL;
		const char *fault = rows[i].fault;
		bool taken;

		begin(X, rows[i].sent);
		taken = ocapi_body(&call, &root) &&
		        ocapi_check(&call, root, "auth_request", "$", members, COUNT_OF(members));
		if (taken != (fault == NULL))
			fail_msg("%s: %.*s", rows[i].sent, (int)response.body.len, body);
		if (taken)
			continue;
		assert_int_equal(response.status, HTTP_BAD_REQUEST);
		if (!slice_starts(buf_slice(&response.body), slice_of(fault)))
			fail_msg("%s: %.*s", rows[i].sent, (int)response.body.len, body);
	}
}

static void test_no_body(void **state)
{
	const json_t *root;

	(void)state;
	begin(X, "");
	assert_true(ocapi_body(&call, &root));
	assert_null(root);
	ocapi_missing(&call, "basket", "$.customer_info", "email");
	answered("missing", HTTP_BAD_REQUEST, FAULT("\"document\":\"basket\","
	         "\"path\":\"$.customer_info.email\"", "PropertyConstraintViolation")
	         "The property '$.customer_info.email' of the document 'basket' is required.\"}}");
}

/* The version of a document is that of the path. */
static void test_head(void **state)
{
	const json_t *root;

	(void)state;
	begin("/dw/shop/v20_10/x", "{\"_v\":\"20.10\"}");
	assert_true(ocapi_body(&call, &root));
	ocapi_begin(&call, HTTP_OK);
	ocapi_put_head(&call, "customer");
	buf_lit(&response.body, ",\"at\":");
	ocapi_put_time(&response.body, 1440070290007999);
	answered("a head", HTTP_OK,
	         "{\"_v\":\"20.10\",\"_type\":\"customer\",\"at\":\"2015-08-20T11:31:30.007Z\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_method),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_methods_and_media),
		cmocka_unit_test(test_surfaces),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_base_id),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_no_body),
		cmocka_unit_test(test_head),
	};

	json_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
