/* ocapi.c -- what all of /dw/ shares: paths, the method that is meant, documents, faults. */
#include <assert.h>
#include <bearssl.h>
#include <stdio.h>

#include "client.h"
#include "date.h"
#include "ocapi.h"

#define VERSION_EMITTED "20.9"          /* where a path names none that is known */
#define VERSION_FIRST   1701            /* v17_1, */
#define VERSION_LAST    2405            /* v24_5 */
#define VALUE_MAX       200             /* bytes of an argument */
#define MESSAGE_MAX     1024
#define BASE_ID_LEN     12
#define BASE_ID_CHARS   16

bool ocapi_split(struct slice path, struct ocapi_path *p)
{
	struct slice prefix = SLICE("/s/"), rest = path;

	*p = (struct ocapi_path){ .below = path };
	if (slice_starts(path, prefix)) {
		rest = slice_skip(path, prefix.len);
		p->site = slice_cut(&rest, '/');
		if (!slice_given(rest))
			return false;
		p->below = (struct slice){ rest.ptr - 1, rest.len + 1 };
	}
	return slice_starts(p->below, SLICE("/dw/"));
}

/* The value of a query parameter as it came, not decoded; absent where it did not come. */
static struct slice query_value(const struct http_request *r, const char *wanted)
{
	struct slice rest = r->query, name, value;

	while (http_form_next(&rest, &name, &value))
		if (slice_eq(name, slice_of(wanted)))
			return slice_given(value) ? value : SLICE("");
	return (struct slice){ 0 };
}

/* What takes the place of the method; absent where nothing does. */
static struct slice override(const struct http_request *r)
{
	struct slice field = r->field[HTTP_X_DW_HTTP_METHOD_OVERRIDE];

	return slice_given(field) ? field : query_value(r, "method");
}

enum http_method ocapi_method(const struct http_request *r)
{
	static const struct {
		const char *name;
		enum http_method method;
	} known[] = {
		{ "PUT", HTTP_PUT }, { "PATCH", HTTP_PATCH }, { "DELETE", HTTP_DELETE },
		{ "HEAD", HTTP_HEAD }, { "OPTIONS", HTTP_OPTIONS },
	};
	struct slice name = override(r), other = query_value(r, "method");

	if (!slice_given(name) || r->method == HTTP_OPTIONS)
		return r->method;
	if (r->method != HTTP_POST || (slice_given(other) && !slice_eq(name, other)))
		return HTTP_OTHER;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (slice_eq(name, slice_of(known[i].name)))
			return known[i].method;
	return HTTP_OTHER;
}

/* `v20_9`, which is also true of what stands in a path of this surface; false for what is no
 * version that is served. */
static bool read_version(struct slice text, struct slice *year, struct slice *minor)
{
	uint64_t y, m;

	*minor = text;
	*year = slice_cut(minor, '_');
	if (!slice_starts(*year, SLICE("v")) || !slice_given(*minor))
		return false;
	*year = slice_skip(*year, 1);
	if (year->len != 2 || !slice_uint(*year, 99, &y) || !slice_uint(*minor, 10, &m) ||
	    minor->ptr[0] == '0')
		return false;
	return y * 100 + m >= VERSION_FIRST && y * 100 + m <= VERSION_LAST;
}

/* The segment of the version: `/dw/shop/{version}/...`. Absent below another API than Shop. */
static struct slice find_version(const struct http_request *r)
{
	struct slice shop = SLICE("/dw/shop/");
	struct ocapi_path p;
	struct slice rest;

	if (!ocapi_split(r->path, &p) || !slice_starts(p.below, shop))
		return (struct slice){ 0 };
	rest = slice_skip(p.below, shop.len);
	return slice_cut(&rest, '/');
}

/* `20.9`, of the request's path. */
static void put_version(const struct http_request *r, struct buf *out)
{
	struct slice year, minor;

	if (!read_version(find_version(r), &year, &minor)) {
		buf_lit(out, VERSION_EMITTED);
		return;
	}
	buf_put(out, year);
	buf_char(out, '.');
	buf_put(out, minor);
}

/* Drawn for this request; it tells nothing of what else is made of its random bytes. */
static void put_base_id(struct call *c)
{
	static const char label[] = "x-dw-request-base-id";
	uint8_t id[br_sha256_SIZE];
	br_sha256_context sha;

	br_sha256_init(&sha);
	br_sha256_update(&sha, label, sizeof label);
	br_sha256_update(&sha, c->random, sizeof c->random);
	br_sha256_out(&sha, id);
	explicit_bzero(&sha, sizeof sha);
	buf_lit(&c->response->fields, "x-dw-request-base-id: ");
	buf_base64url(&c->response->fields, id, BASE_ID_LEN, BASE_ID_CHARS);
	buf_lit(&c->response->fields, "\r\n");
}

void ocapi_begin(struct call *c, enum http_status status)
{
	struct http_response *r = c->response;

	r->status = status;
	if (status != HTTP_NO_CONTENT)
		http_field_lit(r, "Content-Type: application/json;charset=UTF-8");
	http_field_lit(r, "Cache-Control: max-age=0,no-cache,no-store,must-revalidate");
	http_field_lit(r, "X-Content-Type-Options: nosniff");
	http_field_lit(r, "x-dw-version-status: current");
	put_base_id(c);
}

void ocapi_put_head(struct call *c, const char *type)
{
	struct buf *body = &c->response->body;

	buf_lit(body, "{\"_v\":\"");
	put_version(c->request, body);
	buf_lit(body, "\",\"_type\":\"");
	buf_str(body, type);
	buf_char(body, '"');
}

static struct slice shortened(struct slice value)
{
	if (value.len > VALUE_MAX)
		value.len = VALUE_MAX;
	return value;
}

static void put_arguments(struct buf *out, const struct ocapi_argument *a)
{
	buf_char(out, '{');
	for (const struct ocapi_argument *first = a; a != NULL && a->name != NULL; a++) {
		if (a != first)
			buf_char(out, ',');
		json_put_string(out, slice_of(a->name));
		buf_char(out, ':');
		json_put_string(out, shortened(a->value));
	}
	buf_char(out, '}');
}

/* The text with each `{name}` replaced by that argument's value. */
static void put_message(struct buf *out, const char *text, const struct ocapi_argument *arguments)
{
	char bytes[MESSAGE_MAX];
	struct buf message = BUF(bytes);
	struct slice rest = slice_of(text), name;

	while (slice_given(rest)) {
		const struct ocapi_argument *a = arguments;

		buf_put(&message, slice_cut(&rest, '{'));
		if (!slice_given(rest))
			break;
		name = slice_cut(&rest, '}');
		while (a != NULL && a->name != NULL && !slice_eq(slice_of(a->name), name))
			a++;
		assert(a != NULL && a->name != NULL);
		buf_put(&message, shortened(a->value));
	}
	json_put_string(out, buf_slice(&message));
}

/* Of a 401 (RFC 9110, section 11.6.1; RFC 6750, section 3). No Basic, for which a browser would
 * ask its user. */
static void put_challenge(struct call *c)
{
	struct slice rest = c->request->field[HTTP_AUTHORIZATION];

	if (slice_eq_nocase(slice_cut(&rest, ' '), SLICE("Bearer")))
		http_field_lit(c->response, "WWW-Authenticate: Bearer error=\"invalid_token\"");
	else
		http_field_lit(c->response, "WWW-Authenticate: Bearer");
}

enum call_result ocapi_fault(struct call *c, enum http_status status, const char *type,
                             const char *message, const struct ocapi_argument *arguments)
{
	struct buf *body = &c->response->body;

	ocapi_begin(c, status);
	if (status == HTTP_UNAUTHORIZED)
		put_challenge(c);
	buf_lit(body, "{\"_v\":\"");
	put_version(c->request, body);
	buf_lit(body, "\",\"fault\":{\"arguments\":");
	put_arguments(body, arguments);
	buf_lit(body, ",\"type\":\"");
	buf_str(body, type);
	buf_lit(body, "Exception\",\"message\":");
	put_message(body, message, arguments);
	buf_lit(body, "}}");
	return CALL_DONE;
}

enum call_result ocapi_error(struct call *c, enum http_status status, const char *message)
{
	char text[64];
	struct buf type = { text, 0, sizeof text - 1, false };

	for (const char *p = http_reason(status); *p != '\0'; p++)
		if (*p != ' ')
			buf_char(&type, *p);
	text[type.len] = '\0';
	return ocapi_fault(c, status,
	                   status == HTTP_CONTENT_TOO_LARGE ? "RequestEntityTooLarge" : text,
	                   message, NULL);
}

enum call_result ocapi_unknown_path(struct call *c)
{
	return ocapi_fault(c, HTTP_NOT_FOUND, "ResourcePathNotFound",
	                   "No resource with path '{path}' is served here: it does not exist, or "
	                   "is another system's work.",
	                   OCAPI_ARGUMENTS({ "path", c->request->path }));
}

static struct slice method_name(const struct http_request *r)
{
	struct slice name = override(r);

	return slice_given(name) && r->method != HTTP_OPTIONS ? name : r->method_name;
}

enum call_result ocapi_method_error(struct call *c)
{
	if (c->allow != NULL)
		http_field_put(c->response, "Allow", slice_of(c->allow));
	return ocapi_fault(c, HTTP_METHOD_NOT_ALLOWED, "MethodNotAllowed",
	                   "The resource does not know the method {method}.",
	                   OCAPI_ARGUMENTS({ "method", method_name(c->request) }));
}

/* A token is named by its first characters alone. */
static enum call_result refuse_token(struct call *c)
{
	struct slice token = c->request->field[HTTP_AUTHORIZATION];
	char text[16];
	struct buf named = BUF(text);

	slice_cut(&token, ' ');
	token = slice_trim(token);
	buf_put(&named, (struct slice){ token.ptr, token.len < 8 ? token.len : 8 });
	buf_lit(&named, "...");
	return ocapi_fault(c, HTTP_UNAUTHORIZED, "InvalidAccessToken",
	                   "Unauthorized request! The access token '{accessToken}' is invalid.",
	                   OCAPI_ARGUMENTS({ "accessToken", buf_slice(&named) }));
}

/* A preflight names no client, so its request alone is judged. A refused client or token has no
 * origins: the page may read that it was refused, which depends on no cookie. */
static bool may_read(const struct call *c, struct slice origin)
{
	if (c->identity.client != NULL)
		return client_allows_origin(c->identity.client, origin);
	return c->identity.refusal != IDENTITY_ADMITTED || c->request->method == HTTP_OPTIONS;
}

bool ocapi_judge_origin(struct call *c)
{
	struct slice origin = c->request->field[HTTP_ORIGIN];

	if (!slice_given(origin) || identity_origin_is_own(&c->identity, origin) ||
	    may_read(c, origin))
		return true;
	ocapi_fault(c, HTTP_UNAUTHORIZED, "UnauthorizedOrigin",
	            "The origin '{origin}' is none of the client's (sidecart key add --origin).",
	            OCAPI_ARGUMENTS({ "origin", origin }));
	return false;
}

void ocapi_put_cors(struct call *c)
{
	struct http_response *r = c->response;
	struct slice origin = c->request->field[HTTP_ORIGIN];

	if (!slice_given(origin) || !may_read(c, origin))
		return;
	http_field_put(r, "Access-Control-Allow-Origin", origin);
	http_field_lit(r, "Access-Control-Allow-Credentials: true");
	if (c->request->method == HTTP_OPTIONS) {
		http_field_lit(r, "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, "
		               "DELETE");
		http_field_lit(r, "Access-Control-Allow-Headers: Authorization, Content-Type, "
		               "x-dw-client-id, x-dw-http-method-override, x-dw-resource-state");
		http_field_lit(r, "Access-Control-Max-Age: 600");
	} else {
		http_field_lit(r, "Access-Control-Expose-Headers: Authorization, Location, "
		               "Retry-After, x-dw-version-status, x-dw-resource-state, "
		               "x-dw-request-base-id");
	}
}

enum call_result ocapi_refuse(struct call *c)
{
	switch (c->identity.refusal) {
	case IDENTITY_KEY_MISSING:
	case IDENTITY_CLIENT_MISSING:
		return ocapi_fault(c, HTTP_BAD_REQUEST, "MissingClientId",
		                   "No client id: send it as x-dw-client-id or client_id.", NULL);
	case IDENTITY_KEY_BAD:
	case IDENTITY_KEYS_DISAGREE:
	case IDENTITY_CLIENT_UNKNOWN:
		return ocapi_fault(c, HTTP_UNAUTHORIZED, "UnknownClientId",
		                   "The client id is unknown, or not enabled here.", NULL);
	case IDENTITY_TOKEN_DEAD:
	case IDENTITY_TOKEN_UNPROVEN:
		return refuse_token(c);
	case IDENTITY_TOKEN_EXPIRED:
		return ocapi_fault(c, HTTP_UNAUTHORIZED, "ExpiredToken",
		                   "The access token has expired.", NULL);
	case IDENTITY_PROOFS_DISAGREE:
		return ocapi_error(c, HTTP_BAD_REQUEST,
		                   "The Session-Id and the token name two sessions.");
	case IDENTITY_SID_MALFORMED:
	case IDENTITY_SID_UNTRUSTED:
	case IDENTITY_SID_REALM:
	case IDENTITY_SESSION_DEAD:
	case IDENTITY_CSRF_ORIGIN:
	case IDENTITY_CSRF_COOKIE:
	case IDENTITY_CSRF_TOKEN:
	case IDENTITY_ADMITTED:
	case IDENTITY_REFUSALS:
		break;
	}
	return ocapi_error(c, HTTP_FORBIDDEN, "Refused.");
}

/* The site as it is named in settings, or as a storefront has it. */
static bool site_is_ours(const struct config *config, struct slice site)
{
	struct slice ours = slice_of(config->site), before = SLICE("Sites-");
	struct slice behind = SLICE("-Site");

	if (slice_eq(site, ours))
		return true;
	return site.len == before.len + ours.len + behind.len && slice_starts(site, before) &&
	       slice_starts(slice_skip(site, before.len), ours) &&
	       slice_eq(slice_skip(site, before.len + ours.len), behind);
}

static bool judge_path(struct call *c)
{
	struct slice version = find_version(c->request), year, minor;
	struct ocapi_path p;

	ocapi_split(c->request->path, &p);
	if (slice_eq(p.site, SLICE("-")))
		ocapi_fault(c, HTTP_FORBIDDEN, "OrganizationAccessForbidden",
		            "The Shop API has no resources of the organization.", NULL);
	else if (slice_given(p.site) && !site_is_ours(c->config, p.site))
		ocapi_fault(c, HTTP_NOT_FOUND, "UnknownSite",
		            "No site with ID '{siteId}' is served here.",
		            OCAPI_ARGUMENTS({ "siteId", p.site }));
	else if (slice_given(version) && !read_version(version, &year, &minor))
		ocapi_fault(c, HTTP_NOT_FOUND, "VersionNotFound",
		            "The version '{version}' is not served: v17_1 to v24_5 are.",
		            OCAPI_ARGUMENTS({ "version", version }));
	else
		return true;
	return false;
}

/* JSON alone, both ways. The type of a body wins over the `format` of the query; a callback
 * would make the answer a script. */
static bool judge_media(struct call *c)
{
	const struct http_request *r = c->request;
	struct slice type = r->field[HTTP_CONTENT_TYPE], format = query_value(r, "format");

	if (http_has_body(r) && slice_given(type)) {
		if (http_media_is(type, "application/json"))
			return true;
		ocapi_fault(c, HTTP_UNSUPPORTED_MEDIA, "UnsupportedContentType",
		            "The content type '{contentType}' is not supported: application/json "
		            "is.", OCAPI_ARGUMENTS({ "contentType", type }));
		return false;
	}
	if (slice_given(query_value(r, "callback")))
		format = SLICE("jsonp");
	if (!slice_given(format) || slice_eq(format, SLICE("json")))
		return true;
	ocapi_fault(c, HTTP_UNSUPPORTED_MEDIA, "UnsupportedFormat",
	            "The format '{format}' is not supported: json is.",
	            OCAPI_ARGUMENTS({ "format", format }));
	return false;
}

bool ocapi_judge(struct call *c)
{
	if (!judge_path(c))
		return false;
	if (ocapi_method(c->request) == HTTP_OTHER && slice_given(override(c->request))) {
		ocapi_fault(c, HTTP_BAD_REQUEST, "IllegalHttpMethodOverride",
		            "A POST may stand for PUT, PATCH, DELETE, HEAD or OPTIONS, and nothing "
		            "else for '{method}'.",
		            OCAPI_ARGUMENTS({ "method", override(c->request) }));
		return false;
	}
	return judge_media(c);
}

static const char *type_text(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "Object";
	case JSON_ARRAY:
		return "Array";
	case JSON_STRING:
		return "String";
	case JSON_INTEGER:
		return "Integer";
	case JSON_REAL:
		return "Decimal";
	case JSON_TRUE:
	case JSON_FALSE:
		return "Boolean";
	case JSON_NULL:
		break;
	}
	return "Null";
}

static const char *const expected_text[] = {
	[OCAPI_STRING] = "String", [OCAPI_NUMBER] = "Integer|Decimal", [OCAPI_BOOLEAN] = "Boolean",
	[OCAPI_OBJECT] = "Object", [OCAPI_ARRAY] = "Array", [OCAPI_ANY] = "",
};

static bool is_of_type(const json_t *value, enum ocapi_type type)
{
	switch (type) {
	case OCAPI_STRING:
		return json_is_string(value);
	case OCAPI_NUMBER:
		return json_is_number(value);
	case OCAPI_BOOLEAN:
		return json_is_boolean(value);
	case OCAPI_OBJECT:
		return json_is_object(value);
	case OCAPI_ARRAY:
		return json_is_array(value);
	case OCAPI_ANY:
		break;
	}
	return true;
}

static bool refuse_type(struct call *c, const char *path, const char *name,
                        enum ocapi_type expected, const json_t *actual)
{
	char text[2 * VALUE_MAX];
	struct buf whole = BUF(text);

	buf_str(&whole, path);
	if (name != NULL)
		buf_char(&whole, '.');
	buf_str(&whole, name != NULL ? name : "");
	ocapi_fault(c, HTTP_BAD_REQUEST, "TypeDecoding",
	            "Decoding of the property with path '{path}' failed because the expected type "
	            "is '{expectedTypes}' but the actual type was '{actualType}'.",
	            OCAPI_ARGUMENTS({ "path", buf_slice(&whole) },
	                            { "expectedTypes", slice_of(expected_text[expected]) },
	                            { "actualType", slice_of(type_text(actual)) }));
	return false;
}

/* A document that names the version it was made for has to name that of the path. */
static bool judge_version(struct call *c, const json_t *body)
{
	const json_t *value = json_object_get(body, "_v");
	struct slice said;
	char text[8];
	struct buf version = BUF(text);

	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_string(value))
		return refuse_type(c, "$", "_v", OCAPI_STRING, value);
	said = jwt_string(body, "_v");
	put_version(c->request, &version);
	if (slice_eq(said, buf_slice(&version)))
		return true;
	ocapi_fault(c, HTTP_BAD_REQUEST, "UnexpectedVersion",
	            "The document's version '{version}' is not that of the resource.",
	            OCAPI_ARGUMENTS({ "version", said }));
	return false;
}

/* What the text was is not repeated: it may hold a password. */
bool ocapi_body(struct call *c, const json_t **body)
{
	char error[JSON_ERROR_MAX];

	*body = NULL;
	if (c->request->body.len == 0)
		return true;
	*body = json_parse(c->request->body, error);
	if (*body != NULL)
		return judge_version(c, *body);
	ocapi_fault(c, HTTP_BAD_REQUEST, "BodyDecoding", "The body is no JSON: {reason}.",
	            OCAPI_ARGUMENTS({ "reason", slice_of(error) }));
	return false;
}

static bool refuse_property(struct call *c, const char *document, const char *name)
{
	bool custom = slice_starts(slice_of(name), SLICE("c_"));

	ocapi_fault(c, HTTP_BAD_REQUEST, custom ? "InvalidCustomProperty" : "UnknownProperty",
	            "The document '{document}' has no property '{property}'.",
	            OCAPI_ARGUMENTS({ "property", slice_of(name) },
	                            { "document", slice_of(document) }));
	return false;
}

static bool judge_member(struct call *c, const char *path, const struct ocapi_member *m,
                         const json_t *value)
{
	struct slice text = { json_string_value(value), json_string_length(value) };
	char digits[16];
	int len;

	if (json_is_null(value))
		return true;
	if (!is_of_type(value, m->type))
		return refuse_type(c, path, m->name, m->type, value);
	if (m->max_chars == 0 || m->type != OCAPI_STRING || slice_chars(text) <= m->max_chars)
		return true;
	len = snprintf(digits, sizeof digits, "(0..%u)", m->max_chars);
	ocapi_fault(c, HTTP_BAD_REQUEST, "StringConstraintViolation",
	            "The string length constraint was violated by '{parameter}'. The expected "
	            "length is '{expected}'.",
	            OCAPI_ARGUMENTS({ "parameter", slice_of(m->name) },
	                            { "expected", { digits, (size_t)len } }));
	return false;
}

bool ocapi_check(struct call *c, const json_t *value, const char *document, const char *path,
                 const struct ocapi_member *members, size_t count)
{
	const char *name;
	json_t *member, *object = (json_t *)(uintptr_t)value;

	if (!json_is_object(value))
		return refuse_type(c, path, NULL, OCAPI_OBJECT, value);
	json_object_foreach(object, name, member) {
		const struct ocapi_member *m = members;

		if (name[0] == '_')
			continue;
		while (m < members + count && strcmp(m->name, name) != 0)
			m++;
		if (m == members + count)
			return refuse_property(c, document, name);
		if (!judge_member(c, path, m, member))
			return false;
	}
	return true;
}

bool ocapi_document(struct call *c, const char *document, const struct ocapi_member *members,
                    size_t count, const json_t **body)
{
	if (!ocapi_body(c, body))
		return false;
	if (*body != NULL)
		return document == NULL || ocapi_check(c, *body, document, "$", members, count);
	ocapi_fault(c, HTTP_BAD_REQUEST, "NullConstraintViolation",
	            "'{parameter}' must not be null.",
	            OCAPI_ARGUMENTS({ "parameter", SLICE("body") }));
	return false;
}

enum call_result ocapi_missing(struct call *c, const char *document, const char *path,
                               const char *name)
{
	char text[VALUE_MAX];
	struct buf whole = BUF(text);

	buf_str(&whole, path);
	buf_char(&whole, '.');
	buf_str(&whole, name);
	return ocapi_fault(c, HTTP_BAD_REQUEST, "PropertyConstraintViolation",
	                   "The property '{path}' of the document '{document}' is required.",
	                   OCAPI_ARGUMENTS({ "document", slice_of(document) },
	                                   { "path", buf_slice(&whole) }));
}

enum call_result ocapi_wait(struct call *c, uint32_t seconds)
{
	enum call_result result = ocapi_error(c, HTTP_TOO_MANY_REQUESTS,
	                                      "Too many attempts: try again later.");

	buf_lit(&c->response->fields, "Retry-After: ");
	buf_uint(&c->response->fields, seconds);
	buf_lit(&c->response->fields, "\r\n");
	return result;
}

bool ocapi_shopper(struct call *c)
{
	if (c->identity.via == VIA_TOKEN)
		return true;
	if (slice_given(c->request->field[HTTP_AUTHORIZATION]))
		ocapi_fault(c, HTTP_UNAUTHORIZED, "InvalidAuthorizationHeader",
		            "The Authorization header is to be 'Bearer {accessToken}'.",
		            OCAPI_ARGUMENTS({ "accessToken", SLICE("{access_token}") }));
	else
		ocapi_fault(c, HTTP_UNAUTHORIZED, "AuthorizationHeaderMissing",
		            "An Authorization header with a Bearer token is missing.", NULL);
	return false;
}

void ocapi_put_time(struct buf *out, uint64_t us)
{
	uint32_t ms = (uint32_t)(us / 1000 % 1000);
	char text[] = ".000Z\"";

	buf_char(out, '"');
	date_put(out, us / 1000000);
	text[1] = (char)('0' + ms / 100);
	date_put_pair(text + 2, ms);
	buf_put(out, (struct slice){ text, sizeof text - 1 });
}
