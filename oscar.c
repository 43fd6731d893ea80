/* oscar.c -- the form that all answers of /api/ share; the root; refusals. See oscar.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "date.h"
#include "oscar.h"

/* Bodies of the original's middleware have a blank after the colon, those of
 * django-rest-framework have none. */
#define NOT_PROVIDED "{\"reason\": \"Authentication credentials were not provided.\"}"

void oscar_begin_bare(struct call *c, enum http_status status)
{
	struct http_response *r = c->response;

	r->status = status;
	if (status != HTTP_NO_CONTENT)
		http_field_lit(r, "Content-Type: application/json");
	http_field_lit(r, "Vary: Accept, Cookie, Session-Id");
	if (c->allow != NULL)
		http_field_put(r, "Allow", slice_of(c->allow));
	http_field_lit(r, "X-Frame-Options: DENY");
	http_field_lit(r, "Cache-Control: no-store");
}

void oscar_begin(struct call *c, enum http_status status)
{
	oscar_begin_bare(c, status);
	if (c->identity.has_sid)
		call_put_session_id(c, c->identity.sid.type);
}

__attribute__((format(printf, 3, 0)))
static void write_url(const struct call *c, struct buf *url, const char *format, va_list args)
{
	struct slice authority = c->identity.authority;
	int len;

	/* A host name has 253 characters; what is longer came from a proxy that checks nothing. */
	if (authority.len > 0 && authority.len < 300) {
		buf_str(url, c->identity.https ? "https://" : "http://");
		buf_put(url, authority);
	}
	buf_lit(url, "/api/");
	len = vsnprintf(url->ptr + url->len, url->cap - url->len, format, args);
	assert(len >= 0 && (size_t)len < url->cap - url->len);
	url->len += (size_t)len;
}

void oscar_put_url(struct call *c, const char *format, ...)
{
	char text[OSCAR_URL_MAX];
	struct buf url = BUF(text);
	va_list args;

	va_start(args, format);
	write_url(c, &url, format, args);
	va_end(args);
	json_put_string(&c->response->body, buf_slice(&url));
}

void oscar_put_location(struct call *c, const char *format, ...)
{
	char text[OSCAR_URL_MAX];
	struct buf url = BUF(text);
	va_list args;

	va_start(args, format);
	write_url(c, &url, format, args);
	va_end(args);
	http_field_put(c->response, "Location", buf_slice(&url));
}

void oscar_put_time(struct buf *out, uint64_t us)
{
	char text[16];

	date_put(out, us / 1000000);
	if (us % 1000000 != 0) {
		snprintf(text, sizeof text, ".%06u", (unsigned)(us % 1000000));
		buf_str(out, text);
	}
	buf_char(out, 'Z');
}

enum call_result oscar_error(struct call *c, enum http_status status, const char *detail)
{
	oscar_begin(c, status);
	buf_lit(&c->response->body, "{\"detail\":");
	json_put_string(&c->response->body, slice_of(detail));
	buf_char(&c->response->body, '}');
	return CALL_DONE;
}

enum call_result oscar_not_found(struct call *c)
{
	return oscar_error(c, HTTP_NOT_FOUND, "Not found.");
}

enum call_result oscar_forbidden(struct call *c)
{
	return oscar_error(c, HTTP_FORBIDDEN, c->identity.kind == IDENTITY_CUSTOMER
	                   ? "You do not have permission to perform this action."
	                   : "Authentication credentials were not provided.");
}

enum call_result oscar_throttled(struct call *c, uint32_t wait_s)
{
	char detail[96];
	char seconds[12];

	snprintf(detail, sizeof detail, "Request was throttled. Expected available in %u second%s.",
	         wait_s, wait_s == 1 ? "" : "s");
	snprintf(seconds, sizeof seconds, "%u", wait_s);
	http_field_put(c->response, "Retry-After", slice_of(seconds));
	return oscar_error(c, HTTP_TOO_MANY_REQUESTS, detail);
}

enum call_result oscar_options(struct call *c, const struct oscar_about *about)
{
	struct buf *body = &c->response->body;

	oscar_begin(c, HTTP_OK);
	buf_lit(body, "{\"name\":");
	json_put_string(body, slice_of(about->name));
	buf_lit(body, ",\"description\":");
	json_put_string(body, slice_of(about->description));
	buf_lit(body, ",\"renders\":[\"application/json\"],\"parses\":[\"application/json\","
	        "\"application/x-www-form-urlencoded\"]}");
	return CALL_DONE;
}

enum call_result oscar_method_error(struct call *c)
{
	char detail[HTTP_METHOD_MAX + 32];
	struct slice method = c->request->method_name;

	snprintf(detail, sizeof detail, "Method \"%.*s\" not allowed.", (int)method.len,
	         method.ptr);
	return oscar_error(c, HTTP_METHOD_NOT_ALLOWED, detail);
}

/* The original's sentence, and what to do about it. */
static void put_realm_reason(struct buf *body, const struct identity *id)
{
	char text[3 * SID_REALM_MAX];
	struct buf reason = BUF(text);

	buf_lit(&reason, "Can not accept cookie with realm ");
	buf_put(&reason, id->sid.realm.len <= SID_REALM_MAX ? id->sid.realm : SLICE("(too long)"));
	buf_lit(&reason, " on realm ");
	buf_put(&reason, id->host.len <= SID_REALM_MAX ? id->host : SLICE("(too long)"));
	buf_lit(&reason, " (setting sid_realms)");
	json_put_string(body, buf_slice(&reason));
}

static void put_reason(struct call *c, enum http_status status, const char *reason)
{
	oscar_begin_bare(c, status);
	buf_lit(&c->response->body, "{\"reason\": ");
	if (reason != NULL)
		json_put_string(&c->response->body, slice_of(reason));
	else
		put_realm_reason(&c->response->body, &c->identity);
	buf_char(&c->response->body, '}');
}

enum call_result oscar_refuse(struct call *c)
{
	/* The original judges CSRF inside its view, and there its answers have an Allow. */
	if (c->identity.refusal < IDENTITY_CSRF_ORIGIN)
		c->allow = NULL;
	switch (c->identity.refusal) {
	case IDENTITY_KEY_MISSING:
		return oscar_error(c, HTTP_FORBIDDEN, "An API key is required: send it as "
		                   "Authorization or X-Api-Key.");
	case IDENTITY_KEY_BAD:
		return oscar_error(c, HTTP_FORBIDDEN, "This API key is not accepted.");
	case IDENTITY_KEYS_DISAGREE:
		return oscar_error(c, HTTP_BAD_REQUEST,
		                   "Authorization and X-Api-Key hold different API keys.");
	case IDENTITY_SID_MALFORMED:
		put_reason(c, HTTP_BAD_REQUEST, sid_error_text(c->identity.sid_error));
		return CALL_DONE;
	case IDENTITY_SID_UNTRUSTED:
		put_reason(c, HTTP_FORBIDDEN, "A Session-Id is honoured only with an API key of "
		           "scope trusted (setting sid_trust)");
		return CALL_DONE;
	case IDENTITY_SID_REALM:
		put_reason(c, HTTP_FORBIDDEN, NULL);
		return CALL_DONE;
	case IDENTITY_SESSION_DEAD:
		oscar_begin_bare(c, HTTP_UNAUTHORIZED);
		buf_lit(&c->response->body, NOT_PROVIDED);
		return CALL_DONE;
	case IDENTITY_PROOFS_DISAGREE:
	case IDENTITY_CLIENT_MISSING:
		return oscar_error(c, HTTP_BAD_REQUEST,
		                   "Session-Id and Bearer token are not one customer's.");
	case IDENTITY_TOKEN_DEAD:
	case IDENTITY_TOKEN_EXPIRED:
	case IDENTITY_TOKEN_UNPROVEN:
	case IDENTITY_CLIENT_UNKNOWN:
		http_field_lit(c->response, "WWW-Authenticate: Bearer error=\"invalid_token\"");
		return oscar_error(c, HTTP_UNAUTHORIZED, "This token is not accepted.");
	case IDENTITY_CSRF_ORIGIN:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: Origin checking failed (setting csrf_origins).");
	case IDENTITY_CSRF_COOKIE:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: CSRF cookie not set.");
	case IDENTITY_CSRF_TOKEN:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: CSRF token missing or incorrect.");
	case IDENTITY_ADMITTED:
	case IDENTITY_REFUSALS:
		break;
	}
	assert(c->identity.refusal != IDENTITY_ADMITTED);
	return oscar_error(c, HTTP_FORBIDDEN, "Refused.");
}

/* What the original has under /api/, and a shop keeps elsewhere. */
static const struct {
	const char *path;               /* a pattern (http.h) */
	bool below;                     /* and what stands below it */
	const char *what;
} elsewhere[] = {
	{ "/api/basket/add-voucher/",      false, "vouchers" },
	{ "/api/basket/shipping-methods/", false, "shipping methods" },
	{ "/api/categories/",              true,  "categories" },
	{ "/api/categories-bulk/",         true,  "categories" },
	{ "/api/checkout/",                true,  "checkout" },
	{ "/api/countries/",               true,  "countries" },
	{ "/api/options/",                 true,  "options" },
	{ "/api/orderlineattributes/",     true,  "orders" },
	{ "/api/orderlines/",              true,  "orders" },
	{ "/api/orders/",                  true,  "orders" },
	{ "/api/products/*/stockrecords/", false, "stock records" },
	{ "/api/products/*/stockrecords/*/", false, "stock records" },
	{ "/api/ranges/",                  true,  "offers" },
	{ "/api/useraddresses/",           true,  "addresses" },
	{ "/api/admin/",                   true,  "administration" },
};

enum call_result oscar_unknown_path(struct call *c)
{
	struct slice path = c->request->path, args[2];
	char detail[128];

	for (size_t i = 0; i < COUNT_OF(elsewhere); i++) {
		const char *known = elsewhere[i].path;

		if (!(elsewhere[i].below ? slice_starts(path, slice_of(known))
		                         : http_path_match(path, known, args)))
			continue;
		snprintf(detail, sizeof detail, "Not found: another system's work (%s).",
		         elsewhere[i].what);
		return oscar_error(c, HTTP_NOT_FOUND, detail);
	}
	return oscar_not_found(c);
}

/* The original's order, less what is not here. */
static const struct {
	const char *name, *path;
} resources[] = {
	{ "register", "register/" },
	{ "login", "login/" },
	{ "basket", "basket/" },
	{ "basket-add-product", "basket/add-product/" },
	{ "baskets", "baskets/" },
	{ "products", "products/" },
};

enum call_result oscar_root(struct call *c)
{
	struct buf *body = &c->response->body;

	oscar_begin(c, HTTP_OK);
	for (size_t i = 0; i < COUNT_OF(resources); i++) {
		buf_char(body, i == 0 ? '{' : ',');
		json_put_string(body, slice_of(resources[i].name));
		buf_char(body, ':');
		oscar_put_url(c, "%s", resources[i].path);
	}
	buf_char(body, '}');
	return CALL_DONE;
}
