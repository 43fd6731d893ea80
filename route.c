/* route.c -- see route.h. Every path that is answered is a line of routes[]. */
#include <assert.h>
#include <stdio.h>

#include "admin.h"
#include "idempotency.h"
#include "metrics.h"
#include "oauth.h"
#include "ocapi.h"
#include "oscar.h"
#include "resolve.h"
#include "route.h"

/* Where to try first. ONCE: as WRITE, and an Idempotency-Key counts. WRITE_LONG: as WRITE, with
 * a body of up to ROUTE_LONG_BODY_MAX. */
enum place { READ, WRITE, ONCE, WRITE_LONG };

/* Whose form the errors take. */
enum surface { NATIVE, FORWARD_AUTH, OSCAR, OCAPI, HEALTH, PUBLIC, ADMIN, METRICS };

/* What a path answers to one set of methods. */
struct route {
	uint32_t methods;               /* enum http_method, ORed; 0: none */
	enum place place;
	call_handler *handler;
};

#define PATH_ROUTES 3

struct route_path {
	const char *path;               /* `*` stands for one segment: call.arg[] */
	size_t len;
	uint32_t args;                  /* how many `*` */
	enum surface surface;
	const char *allow;              /* of all its routes together */
	struct oscar_about about;       /* surface OSCAR: what OPTIONS tells */
	struct route routes[PATH_ROUTES];
};

#define READS  (HTTP_GET | HTTP_HEAD)
#define ANY    (READS | HTTP_POST | HTTP_PUT | HTTP_PATCH | HTTP_DELETE | HTTP_OPTIONS | HTTP_OTHER)

#define ALLOW_ANY   "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
#define ALLOW_READ  "GET, HEAD, OPTIONS"
#define ALLOW_CHANGE "GET, HEAD, PATCH, DELETE, OPTIONS"
#define ALLOW_ONE   "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"

#define PATH(path)          (path), sizeof(path) - 1, 0
#define PATTERN(path, args) (path), sizeof(path) - 1, (args)

static_assert(CALL_ARGS_MAX >= 3, "the longest pattern leaves three segments open");

static call_handler get_metrics;

/* Under /api/ the methods of `allow` stand in the original's order.
 * What a proxy asks at each request stands first. Below /dw/ the first `*` is the version; a site
 * in front (`/s/{site}`) is not part of a path here. */
/* clang-format off */
static const struct route_path paths[] = {
	{ PATH("/resolve"), FORWARD_AUTH, ALLOW_ANY, { 0 }, {
		{ ANY,         READ,  resolve_get } } },
	{ PATH("/session"), NATIVE, "GET, HEAD, DELETE, OPTIONS", { 0 }, {
		{ READS,       READ,  resolve_session_get },
		{ HTTP_DELETE, WRITE, resolve_session_delete } } },
	{ PATH("/session/data"), NATIVE, "GET, HEAD, PATCH, OPTIONS", { 0 }, {
		{ READS,       READ,  resolve_data_get },
		{ HTTP_PATCH,  WRITE, resolve_data_patch } } },
	{ PATH("/session/login"), NATIVE, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, resolve_session_login } } },
	{ PATH("/token/introspect"), NATIVE, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   READ,  oauth_introspect } } },
	{ PATH("/token/revoke"), NATIVE, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, oauth_revoke } } },
	{ PATH("/token/exchange"), NATIVE, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   READ,  oauth_exchange } } },
	{ PATH("/healthz"), HEALTH, ALLOW_READ, { 0 }, {
		{ READS,       READ,  resolve_healthz } } },
	{ PATH("/readyz"), HEALTH, ALLOW_READ, { 0 }, {
		{ READS,       READ,  resolve_readyz } } },
	{ PATH("/openapi.json"), PUBLIC, ALLOW_READ, { 0 }, {
		{ READS,       READ,  resolve_openapi } } },
	{ PATH("/.well-known/jwks.json"), PUBLIC, ALLOW_READ, { 0 }, {
		{ READS,       READ,  resolve_jwks } } },
	{ PATH("/api/"), OSCAR, "GET, OPTIONS",
	  { "Api Root", "GET:\nDisplay all available urls." }, {
		{ READS,       READ,  oscar_root } } },
	{ PATH("/api/register/"), OSCAR, "POST, OPTIONS",
	  { "Registration", "API for registering users (setting register).\n\n"
	    "POST(email, password1, password2):\nMakes a user whose login is the e-mail address. "
	    "He is not logged in." }, {
		{ HTTP_POST,   WRITE, oscar_register } } },
	{ PATH("/api/login/"), OSCAR, "GET, POST, DELETE, HEAD, OPTIONS",
	  { "Login", "Api for logging in users.\n\n"
	    "GET:\nThe user who is logged in (setting expose_user_details).\n\n"
	    "POST(username, password):\nLog in: what the anonymous session holds becomes the "
	    "user's.\n\nDELETE:\nLog out." }, {
		{ READS,       READ,  oscar_login_get },
		{ HTTP_POST,   WRITE, oscar_login_post },
		{ HTTP_DELETE, WRITE, oscar_login_delete } } },
	{ PATTERN("/api/users/*/", 1), OSCAR, ALLOW_READ,
	  { "User Detail", "GET:\nYour own details (setting expose_user_details)." }, {
		{ READS,       READ,  oscar_user_get } } },
	{ PATH("/api/basket/"), OSCAR, ALLOW_READ,
	  { "Basket", "Api for retrieving a user's basket.\n\nGET:\nRetrieve your basket." }, {
		{ READS,       READ,  oscar_basket_get } } },
	{ PATH("/api/basket/add-product/"), OSCAR, "POST, OPTIONS",
	  { "Add Product", "Add a certain quantity of a product to the basket.\n\n"
	    "POST(url, quantity, options)" }, {
		{ HTTP_POST,   ONCE,  oscar_line_add_product } } },
	{ PATH("/api/baskets/"), OSCAR, ALLOW_READ,
	  { "Basket List", "Retrieve all baskets that belong to the current user." }, {
		{ READS,       READ,  oscar_basket_list } } },
	{ PATTERN("/api/baskets/*/", 1), OSCAR, ALLOW_ONE,
	  { "Basket Detail", "PUT, PATCH(status)" }, {
		{ READS,       READ,  oscar_basket_detail },
		{ HTTP_PUT | HTTP_PATCH, WRITE, oscar_basket_change },
		{ HTTP_DELETE, WRITE, oscar_basket_delete } } },
	{ PATTERN("/api/baskets/*/lines/", 1), OSCAR, "GET, POST, HEAD, OPTIONS",
	  { "Line List", "Api for adding lines to a basket.\n\nGET:\nA list of basket lines.\n\n"
	    "POST(basket, product, stockrecord, quantity):\nAdd a line to the basket." }, {
		{ READS,       READ,  oscar_line_list },
		{ HTTP_POST,   ONCE,  oscar_line_post } } },
	{ PATTERN("/api/baskets/*/lines/*/", 2), OSCAR, ALLOW_ONE,
	  { "Basket Line Detail", "Only the field `quantity` can be changed in this view.\n"
	    "All other fields are readonly." }, {
		{ READS,       READ,  oscar_line_get },
		{ HTTP_PUT | HTTP_PATCH, WRITE, oscar_line_change },
		{ HTTP_DELETE, WRITE, oscar_line_delete } } },
	{ PATTERN("/api/baskets/*/lines/*/lineattributes/*/", 3), OSCAR,
	  "GET, PUT, PATCH, HEAD, OPTIONS", { "Line Attribute Detail", "PUT, PATCH(value)" }, {
		{ READS,       READ,  oscar_attribute_get },
		{ HTTP_PUT | HTTP_PATCH, WRITE, oscar_attribute_change } } },
	{ PATH("/api/products/"), OSCAR, ALLOW_READ,
	  { "Product List", "GET:\nThe price book, by id. What does not fit follows at the Link "
	    "with rel=next." }, {
		{ READS,       READ,  oscar_product_list } } },
	{ PATTERN("/api/products/*/", 1), OSCAR, ALLOW_READ, { "Product Detail", "" }, {
		{ READS,       READ,  oscar_product_get } } },
	{ PATTERN("/api/products/*/price/", 1), OSCAR, ALLOW_READ, { "Product Price", "" }, {
		{ READS,       READ,  oscar_product_price } } },
	{ PATTERN("/api/products/*/availability/", 1), OSCAR, ALLOW_READ,
	  { "Product Availability", "" }, {
		{ READS,       READ,  oscar_product_availability } } },
	{ PATH("/metrics"), METRICS, ALLOW_READ, { 0 }, {
		{ READS,       READ,  get_metrics } } },
	{ PATH("/admin/customers"), ADMIN, "GET, HEAD, POST, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_customer_list },
		{ HTTP_POST,   WRITE, admin_customer_add } } },
	{ PATTERN("/admin/customers/*", 1), ADMIN, ALLOW_CHANGE, { 0 }, {
		{ READS,       READ,  admin_customer_show },
		{ HTTP_PATCH,  WRITE, admin_customer_change },
		{ HTTP_DELETE, WRITE, admin_customer_delete } } },
	{ PATTERN("/admin/customers/*/password", 1), ADMIN, "PUT, OPTIONS", { 0 }, {
		{ HTTP_PUT,    WRITE, admin_customer_password } } },
	{ PATH("/admin/keys"), ADMIN, "GET, HEAD, POST, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_key_list },
		{ HTTP_POST,   WRITE, admin_key_add } } },
	{ PATTERN("/admin/keys/*", 1), ADMIN, ALLOW_CHANGE, { 0 }, {
		{ READS,       READ,  admin_key_show },
		{ HTTP_PATCH,  WRITE, admin_key_change },
		{ HTTP_DELETE, WRITE, admin_key_revoke } } },
	{ PATH("/admin/sessions"), ADMIN, "GET, HEAD, DELETE, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_session_list },
		{ HTTP_DELETE, WRITE, admin_session_revoke_some } } },
	{ PATTERN("/admin/sessions/*", 1), ADMIN, "GET, HEAD, DELETE, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_session_show },
		{ HTTP_DELETE, WRITE, admin_session_revoke } } },
	{ PATH("/admin/products"), ADMIN, "GET, HEAD, POST, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_product_list },
		{ HTTP_POST,   WRITE_LONG, admin_product_import } } },
	{ PATTERN("/admin/products/*", 1), ADMIN, "GET, HEAD, DELETE, OPTIONS", { 0 }, {
		{ READS,       READ,  admin_product_show },
		{ HTTP_DELETE, WRITE, admin_product_delete } } },
	{ PATTERN("/dw/shop/*/customers/auth", 1), OCAPI, "POST, DELETE, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_auth_post },
		{ HTTP_DELETE, WRITE, ocapi_auth_delete } } },
	{ PATTERN("/dw/shop/*/customers/auth/trustedsystem", 1), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_auth_trusted } } },
	{ PATTERN("/dw/shop/*/sessions", 1), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_session_post } } },
	{ PATTERN("/dw/shop/*/customers", 1), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_customer_post } } },
	{ PATTERN("/dw/shop/*/customers/*", 2), OCAPI, "GET, HEAD, PATCH, OPTIONS", { 0 }, {
		{ READS,       READ,  ocapi_customer_get },
		{ HTTP_PATCH,  WRITE, ocapi_customer_patch } } },
	{ PATTERN("/dw/shop/*/baskets", 1), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE_LONG, ocapi_basket_post } } },
	{ PATTERN("/dw/shop/*/baskets/reference", 1), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_basket_reference } } },
	{ PATTERN("/dw/shop/*/baskets/*", 2), OCAPI, "GET, HEAD, PATCH, DELETE, OPTIONS", { 0 }, {
		{ READS,       READ,  ocapi_basket_get },
		{ HTTP_PATCH,  WRITE, ocapi_basket_patch },
		{ HTTP_DELETE, WRITE, ocapi_basket_delete } } },
	{ PATTERN("/dw/shop/*/baskets/*/customer", 2), OCAPI, "PUT, OPTIONS", { 0 }, {
		{ HTTP_PUT,    WRITE, ocapi_basket_customer } } },
	{ PATTERN("/dw/shop/*/baskets/*/items", 2), OCAPI, "POST, OPTIONS", { 0 }, {
		{ HTTP_POST,   WRITE, ocapi_item_post } } },
	{ PATTERN("/dw/shop/*/baskets/*/items/*", 3), OCAPI, "PATCH, DELETE, OPTIONS", { 0 }, {
		{ HTTP_PATCH,  WRITE, ocapi_item_patch },
		{ HTTP_DELETE, WRITE, ocapi_item_delete } } },
	{ PATTERN("/dw/shop/*/customers/*/baskets", 2), OCAPI, ALLOW_READ, { 0 }, {
		{ READS,       READ,  ocapi_basket_list } } },
};
/* clang-format on */

/* Throttle kinds of this file. */
enum { THROTTLE_KEY = 'k', THROTTLE_LINE = 'i' };

/* The path with its segments percent-decoded: into `text` where it has any escape. */
static bool decode_path(struct slice *path, char text[CALL_PATH_MAX])
{
	struct buf decoded = { text, 0, CALL_PATH_MAX, false };

	if (!slice_has(*path, '%'))
		return true;
	if (!http_path_decode(*path, &decoded) || decoded.full)
		return false;
	*path = buf_slice(&decoded);
	return true;
}

/* Puts the slash at the end that the table has: for `.json`, the original's format suffix, or
 * where nothing stands (`*bare`). The path may stand in `text` already. */
static bool complete_path(struct slice *path, char text[CALL_PATH_MAX], bool *bare)
{
	static const struct slice suffix = { ".json", 5 };
	size_t len = path->len;

	assert(slice_given(*path));
	*bare = len < suffix.len || !slice_eq(slice_skip(*path, len - suffix.len), suffix);
	len -= *bare ? 0 : suffix.len;
	if (len == 0 || len >= CALL_PATH_MAX || path->ptr[len - 1] == '/')
		return false;
	memmove(text, path->ptr, len);
	text[len] = '/';
	*path = (struct slice){ text, len + 1 };
	return true;
}

static bool path_is(const struct route_path *p, struct slice path)
{
	struct slice args[CALL_ARGS_MAX];

	if (p->args > 0)
		return http_path_match(path, p->path, args);
	return slice_eq(path, (struct slice){ p->path, p->len });
}

static const struct route_path *find_path(struct slice path)
{
	for (size_t i = 0; i < COUNT_OF(paths); i++)
		if (path_is(&paths[i], path))
			return &paths[i];
	return NULL;
}

/* A path that does not stand in the table as it came. */
static const struct route_path *find_other(struct slice path, struct route_match *m)
{
	char text[CALL_PATH_MAX];
	const struct route_path *found = NULL;
	struct ocapi_path dw;
	bool bare = false;

	if (ocapi_split(path, &dw)) {
		m->surface = OCAPI;
		return decode_path(&dw.below, text) ? find_path(dw.below) : NULL;
	}
	if (slice_starts(path, SLICE("/api/")) || slice_eq(path, SLICE("/api")))
		m->surface = OSCAR;
	if (!decode_path(&path, text))
		return NULL;
	if ((found = find_path(path)) == NULL && m->surface == OSCAR &&
	    complete_path(&path, text, &bare))
		found = find_path(path);
	m->bare = found != NULL && bare;
	return found;
}

/* The method that is meant. */
static enum http_method method_of(const struct http_request *r, const struct route_match *m)
{
	return m->surface == OCAPI ? ocapi_method(r) : r->method;
}

/* Health everywhere; what is for operators on an ops listener alone, and all else on others. */
static bool answered_on(const struct route_path *p, bool ops)
{
	return p->surface == HEALTH || (p->surface == ADMIN || p->surface == METRICS) == ops;
}

void route_find(const struct http_request *r, bool ops, struct route_match *m)
{
	const struct route_path *p = paths, *end = paths + COUNT_OF(paths);

	*m = (struct route_match){ .surface = NATIVE };
	while (p < end && (p->args > 0 || !slice_eq(r->path, (struct slice){ p->path, p->len })))
		p++;
	if (p == end)
		p = find_other(r->path, m);
	if (p != NULL ? !answered_on(p, ops) : ops) {
		*m = (struct route_match){ .surface = NATIVE };
		return;
	}
	if (p == NULL)
		return;
	m->path = p;
	m->surface = (uint8_t)p->surface;
	for (size_t i = 0; i < PATH_ROUTES && !m->bare; i++)
		if ((p->routes[i].methods & (uint32_t)method_of(r, m)) != 0) {
			m->route = &p->routes[i];
			return;
		}
}

bool route_draws(const struct route_match *m)
{
	return m->surface == OCAPI;
}

bool route_head_only(const struct route_match *m)
{
	return m->surface == FORWARD_AUTH;
}

uint32_t route_body_max(const struct config *config, const struct route_match *m)
{
	bool is_long = m->route != NULL && m->route->place == WRITE_LONG;

	return is_long ? ROUTE_LONG_BODY_MAX : config->max_body;
}

uint32_t route_path_number(const struct route_match *m)
{
	static_assert(COUNT_OF(paths) < METRICS_ROUTES, "each path has a place in a block");
	return m->path != NULL ? (uint32_t)(m->path - paths) + 1 : 0;
}

const char *route_path_name(uint32_t number)
{
	if (number == 0)
		return "-";
	return number <= COUNT_OF(paths) ? paths[number - 1].path : NULL;
}

/* Numbers of the processes, and of the store as this one sees it. */
static enum call_result get_metrics(struct call *c)
{
	struct buf *out = &c->response->body;
	struct kv_stat s;

	kv_look(c->kv, &s);
	http_field_lit(c->response, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
	http_field_lit(c->response, "Cache-Control: no-store");
	metrics_write(out, route_path_name);
	metrics_write_one(out, "store_map_bytes", "gauge", "The most that the store may grow to.",
	                  s.map_bytes);
	metrics_write_one(out, "store_used_bytes", "gauge", "Pages of the store, free ones too.",
	                  s.used_bytes);
	metrics_write_one(out, "store_entries", "gauge", "Records of all kinds.", s.entries);
	metrics_write_one(out, "store_commits_total", "counter", "Commits of its whole life.",
	                  s.last_snapshot);
	metrics_write_one(out, "store_readers", "gauge", "Slots that readers have taken.",
	                  s.readers);
	metrics_write_one(out, "store_oldest_reader_commits", "gauge",
	                  "Commits that the oldest snapshot in use is behind.",
	                  s.oldest_reader > 0 ? s.last_snapshot - s.oldest_reader : 0);
	c->response->status = HTTP_OK;
	return CALL_DONE;
}

uint32_t route_number(const struct route_match *m)
{
	assert(m->path != NULL && m->route != NULL);
	return (uint32_t)((m->path - paths) * PATH_ROUTES + (m->route - m->path->routes));
}

bool route_by_number(uint32_t number, struct route_match *m)
{
	uint32_t path = number / PATH_ROUTES;

	if (path >= COUNT_OF(paths) || paths[path].routes[number % PATH_ROUTES].methods == 0)
		return false;
	*m = (struct route_match){
		.path = &paths[path],
		.route = &paths[path].routes[number % PATH_ROUTES],
		.surface = (uint8_t)paths[path].surface,
	};
	return true;
}

static void put_retry_after(struct call *c, uint32_t seconds)
{
	char text[12];

	snprintf(text, sizeof text, "%u", seconds);
	http_field_put(c->response, "Retry-After", slice_of(text));
}

static enum call_result answer_error(struct call *c, const struct route_match *m,
                                     enum http_status status, const char *detail)
{
	if (m->surface == OSCAR)
		return oscar_error(c, status, detail);
	if (m->surface == OCAPI)
		return ocapi_error(c, status, detail);
	return call_problem(c, status, NULL, detail);
}

void route_refuse(struct call *c, enum http_status status, const char *why)
{
	struct ocapi_path dw;

	http_response_reset(c->response);
	if (ocapi_split(c->request->path, &dw))
		ocapi_error(c, status, why);
	else
		call_problem(c, status, NULL, why);
}

void route_fail(struct call *c, const struct route_match *m, enum http_status status,
                const char *detail, uint32_t retry_after_s)
{
	http_response_reset(c->response);
	if (m->surface == FORWARD_AUTH)
		status = (enum http_status)c->config->overload_status;
	if (retry_after_s > 0)
		put_retry_after(c, retry_after_s);
	answer_error(c, m, status, detail);
}

static struct identity_question question(const struct call *c, const struct route_match *m)
{
	return (struct identity_question){
		.config = c->config, .sid_secret = c->sid_secret, .request = c->request,
		.peer = &c->peer, .https = c->https, .kv = c->kv, .now_s = call_now_s(c),
		.memo = c->memo, .ocapi = m->surface == OCAPI,
	};
}

/* Who is calling, in c->identity. In a front that has not seen a token of a public key before
 * the question leads to the writer. An answer that is the same for everybody needs no proof. */
static enum call_result resolve_identity(struct call *c, const struct route_match *m)
{
	struct identity_question q = question(c, m);
	enum call_result result = call_identify(c, &q, &c->identity);

	if (result != CALL_ASK || m->route != NULL)
		return result;
	c->identity.refusal = IDENTITY_ADMITTED;
	return CALL_DONE;
}

enum kv_status route_remember(struct call *c, const struct route_match *m)
{
	struct identity_question q = question(c, m);

	q.proven = true;
	return identify(&q, &c->identity);
}

static enum kv_status renew_identity(struct call *c, const struct route_match *m)
{
	const struct identity_question q = question(c, m);

	return identity_renew(&q, &c->identity);
}

/* What a handler finds is kept under the session's own key. /resolve looks at the session alone,
 * and waits for no write: the renewal behind its answer moves it. */
static enum kv_status settle_identity(struct call *c, const struct route_match *m)
{
	struct identity_question q;

	if (m->surface == FORWARD_AUTH)
		return KV_OK;
	q = question(c, m);
	return identity_settle(&q, &c->identity);
}

/* Only a request that may change something can be forged to harm. Below /dw/ a client's origins
 * are judged, and a cookie alone opens nothing but a token that no foreign page can read. */
static void judge_csrf(struct call *c, const struct route_match *m)
{
	struct identity_question q;
	uint32_t safe = READS | HTTP_OPTIONS;

	if (m->route == NULL || m->surface == FORWARD_AUTH || m->surface == OCAPI ||
	    ((uint32_t)c->request->method & safe) != 0)
		return;
	q = question(c, m);
	identity_judge_csrf(&q, &c->identity);
}

/* Pages of the origins of cors_origins may read what this surface answers. */
static bool is_shared(const struct call *c, const struct route_match *m)
{
	struct slice origin = c->request->field[HTTP_ORIGIN];

	return slice_given(origin) && (m->surface == OSCAR || m->surface == NATIVE) &&
	       identity_origin_reads(c->config, origin);
}

static void put_cors(struct call *c, const struct route_match *m)
{
	if (m->surface == OCAPI)
		ocapi_put_cors(c);
	if (c->config->cors_origins.count == 0)
		return;
	if (m->surface == OSCAR || m->surface == NATIVE)
		http_field_lit(c->response, "Vary: Origin");
	if (!is_shared(c, m))
		return;
	http_field_put(c->response, "Access-Control-Allow-Origin",
	               c->request->field[HTTP_ORIGIN]);
	http_field_lit(c->response, "Access-Control-Allow-Credentials: true");
	http_field_lit(c->response, "Access-Control-Expose-Headers: Session-Id, ETag, Retry-After, "
	               "Location, Link, X-Basket-Merge, Idempotent-Replayed");
}

/* A preflight carries no credentials, and asks for none (Fetch standard, CORS protocol). */
static bool answer_preflight(struct call *c, const struct route_match *m)
{
	if (c->request->method != HTTP_OPTIONS || m->path == NULL || !is_shared(c, m) ||
	    !slice_given(c->request->field[HTTP_ACCESS_CONTROL_REQUEST_METHOD]))
		return false;
	c->response->status = HTTP_NO_CONTENT;
	http_field_put(c->response, "Allow", slice_of(m->path->allow));
	http_field_put(c->response, "Access-Control-Allow-Methods", slice_of(m->path->allow));
	http_field_lit(c->response, "Access-Control-Allow-Headers: Authorization, Content-Type, "
	               "Idempotency-Key, If-Match, Session-Id, X-Api-Key, X-CSRFToken");
	http_field_lit(c->response, "Access-Control-Max-Age: 600");
	return true;
}

static void refuse(struct call *c, const struct route_match *m)
{
	if (m->surface == OSCAR)
		oscar_refuse(c);
	else if (m->surface == OCAPI)
		ocapi_refuse(c);
	else
		resolve_refuse(c, m->surface == FORWARD_AUTH);
}

/* A path without its last slash: a page is sent to the right one, a change is not lost on the
 * way (a redirected POST becomes a GET). */
static void answer_bare(struct call *c)
{
	struct http_response *r = c->response;
	struct slice query = c->request->query;

	c->allow = NULL;
	if (((uint32_t)c->request->method & READS) == 0) {
		oscar_error(c, HTTP_NOT_FOUND, "Not found: the path ends with a slash.");
		return;
	}
	r->status = HTTP_MOVED_PERMANENTLY;
	http_field_lit(r, "Content-Type: text/html; charset=utf-8");
	buf_lit(&r->fields, "Location: ");
	buf_put(&r->fields, c->request->path);
	buf_char(&r->fields, '/');
	if (slice_given(query))
		buf_char(&r->fields, '?');
	buf_put(&r->fields, query);
	buf_lit(&r->fields, "\r\n");
}

/* What no handler is needed for. True where c->response is the answer. */
static bool answer_without_handler(struct call *c, const struct route_match *m)
{
	enum http_method method = c->request->method;

	if (m->path == NULL) {
		if (m->surface == OSCAR)
			oscar_unknown_path(c);
		else if (m->surface == OCAPI)
			ocapi_unknown_path(c);
		else
			call_problem(c, HTTP_NOT_FOUND, NULL, "No such path.");
		return true;
	}
	if (m->bare) {
		answer_bare(c);
		return true;
	}
	if (m->route != NULL)
		return false;
	if (method == HTTP_OPTIONS && m->surface == OSCAR) {
		oscar_options(c, &m->path->about);
		return true;
	}
	if (method == HTTP_OPTIONS) {
		http_field_put(c->response, "Allow", slice_of(m->path->allow));
		call_put_echo(c);
		c->response->status = HTTP_NO_CONTENT;
		return true;
	}
	if (m->surface == OSCAR || m->surface == OCAPI) {
		(m->surface == OSCAR ? oscar_method_error : ocapi_method_error)(c);
		return true;
	}
	http_field_put(c->response, "Allow", slice_of(m->path->allow));
	call_problem(c, HTTP_METHOD_NOT_ALLOWED, NULL, "The path does not know this method.");
	return true;
}

/* Methods and fields that end the connection whatever the path (H21, H32). */
static bool answer_broken(struct call *c, const struct route_match *m)
{
	const struct http_request *r = c->request;
	const char *allow = m->path != NULL ? m->path->allow : ALLOW_READ;

	if (r->method == HTTP_TRACE || r->method == HTTP_CONNECT) {
		route_refuse(c, HTTP_METHOD_NOT_ALLOWED, "TRACE and CONNECT are refused.");
		http_field_put(c->response, "Allow", slice_of(allow));
	} else if (slice_given(r->field[HTTP_UPGRADE])) {
		route_refuse(c, HTTP_NOT_IMPLEMENTED, "No other protocol is spoken here.");
	} else if (r->method == HTTP_OTHER && m->route == NULL) {
		route_refuse(c, HTTP_NOT_IMPLEMENTED, "This method is unknown.");
	} else if (slice_eq(r->path, SLICE("*"))) {
		http_field_put(c->response, "Allow", slice_of(ALLOW_ANY));
		c->response->status = HTTP_NO_CONTENT;
		return true;
	} else {
		return false;
	}
	c->response->close = true;
	return true;
}

/* Surfaces that the settings leave out are not there at all. */
static bool is_served(const struct call *c, const struct route_match *m)
{
	static const uint32_t bits[] = {
		[NATIVE] = SURFACE_SESSION, [FORWARD_AUTH] = SURFACE_RESOLVE,
		[OSCAR] = SURFACE_OSCAR, [OCAPI] = SURFACE_OCAPI,
	};

	return m->surface > OCAPI || (c->config->surfaces & bits[m->surface]) != 0;
}

/* What /dw/ judges and answers before it asks who is calling. A preflight has no credentials, so
 * OPTIONS needs none. */
static bool answer_ocapi(struct call *c, const struct route_match *m)
{
	if (m->surface != OCAPI)
		return false;
	if (!ocapi_judge(c))
		return true;
	if (m->path == NULL || ocapi_method(c->request) != HTTP_OPTIONS)
		return false;
	ocapi_begin(c, HTTP_NO_CONTENT);
	http_field_put(c->response, "Allow", slice_of(m->path->allow));
	return true;
}

static bool needs_identity(const struct route_match *m)
{
	return m->surface == OSCAR ||
	       (m->path != NULL && m->surface != HEALTH && m->surface != PUBLIC &&
	        m->surface != METRICS);
}

/* `?format=`, with which a request to oscarapi chooses by its URL; absent where it does not. */
static struct slice asked_format(const struct http_request *r)
{
	struct slice query = r->query, name, value;

	while (http_form_next(&query, &name, &value))
		if (slice_eq(name, SLICE("format")) && slice_given(value))
			return value;
	return (struct slice){ 0 };
}

/* True where the client takes no JSON, and c->response says so. */
static bool refuse_media(struct call *c, const struct route_match *m)
{
	struct slice format;

	if (m->surface != OSCAR || m->path == NULL || m->bare)
		return false;
	format = asked_format(c->request);
	if (slice_eq(format, SLICE("json")))
		return false;
	if (format.len > 0)
		oscar_error(c, HTTP_NOT_FOUND, "Not found.");
	else if (!http_accepts(c->request->field[HTTP_ACCEPT], "application/json"))
		oscar_error(c, HTTP_NOT_ACCEPTABLE, "Could not satisfy the request Accept header.");
	else
		return false;
	return true;
}

static void find_args(struct call *c, const struct route_match *m)
{
	struct slice path = c->request->path;
	struct ocapi_path dw;
	bool bare, same;

	if (ocapi_split(path, &dw))
		path = dw.below;
	same = decode_path(&path, c->path) &&
	       (http_path_match(path, m->path->path, c->arg) ||
	        (complete_path(&path, c->path, &bare) &&
	         http_path_match(path, m->path->path, c->arg)));
	assert(same);
	(void)same;
}

/* True where it does not matter who is calling, and c->response is the answer. */
static bool answer_anybody(struct call *c, const struct route_match *m)
{
	if (answer_broken(c, m))
		return true;
	if (!is_served(c, m)) {
		call_problem(c, HTTP_NOT_FOUND, NULL, "No such path.");
		return true;
	}
	return answer_preflight(c, m) || answer_ocapi(c, m);
}

/* True where who is calling is refused, or what he wants. */
static bool answer_refused(struct call *c, const struct route_match *m)
{
	if (c->identity.refusal == IDENTITY_ADMITTED && refuse_media(c, m))
		return true;
	if (c->identity.refusal == IDENTITY_ADMITTED)
		judge_csrf(c, m);
	if (c->identity.refusal == IDENTITY_ADMITTED)
		return (m->surface == ADMIN && !admin_judge(c)) ||
		       (m->surface == OCAPI && !ocapi_judge_origin(c));
	refuse(c, m);
	return true;
}

/* Everything in front of the handler. CALL_DONE: `*answered` says whether c->response is the
 * answer already. */
static enum call_result begin(struct call *c, const struct route_match *m, bool *answered)
{
	enum call_result result;

	http_response_reset(c->response);
	identity_clear(&c->identity);
	c->basket_cookie = 0;
	c->basket_cookie_stale = false;
	c->allow = m->path != NULL ? m->path->allow : NULL;
	if (m->path != NULL && m->route != NULL && m->path->args > 0)
		find_args(c, m);
	*answered = answer_anybody(c, m);
	if (*answered) {
		const struct identity_question q = question(c, m);

		identity_locate(&q, &c->identity);      /* for answer_limited() */
		return CALL_DONE;
	}
	if (needs_identity(m)) {
		result = resolve_identity(c, m);
		if (result != CALL_DONE)
			return result;
		*answered = answer_refused(c, m);
	}
	if (!*answered)
		*answered = answer_without_handler(c, m);
	return CALL_DONE;
}

bool route_judge(struct call *c, const struct route_match *m)
{
	bool answered;

	if (begin(c, m, &answered) != CALL_DONE || !answered)
		return true;
	put_cors(c, m);
	return false;
}

static uint32_t rate_wait(struct call *c, const struct config_rate *rate, char kind,
                          struct slice name)
{
	uint64_t now_ms = c->now_us / 1000;
	uint32_t wait;

	if (rate->count == 0)
		return 0;
	wait = throttle_wait_s(c->throttle, kind, name, rate->count, now_ms);
	if (wait == 0)
		throttle_bump(c->throttle, kind, name, rate->window_s, now_ms);
	return wait;
}

/* True where a rate limit is used up, and c->response says so. Counted by each front. */
static bool answer_limited(struct call *c, const struct route_match *m)
{
	const struct identity *id = &c->identity;
	struct address line;
	uint32_t wait = 0;

	if (c->config->rate_limit_address.count == 0 && c->config->rate_limit_key.count == 0)
		return false;
	line = address_line(&id->address);
	wait = rate_wait(c, &c->config->rate_limit_address, THROTTLE_LINE,
	                 slice_bytes(line.bytes, sizeof line.bytes));
	if (wait == 0 && id->client != NULL)
		wait = rate_wait(c, &c->config->rate_limit_key, THROTTLE_KEY,
		                 slice_bytes(id->client_digest, sizeof id->client_digest));
	if (wait == 0)
		return false;
	http_response_reset(c->response);
	if (m->surface == OSCAR)
		oscar_throttled(c, wait);
	else
		route_fail(c, m, HTTP_TOO_MANY_REQUESTS, "The rate limit is used up.", wait);
	return true;
}

/* Runs the handler, but for a request that was answered before under its Idempotency-Key. */
static enum call_result run_once(struct call *c, const struct route_match *m)
{
	struct idempotency i;
	enum call_result result;
	enum kv_status status;

	switch (idempotency_judge(c, &i)) {
	case IDEMPOTENCY_NONE:
		return m->route->handler(c);
	case IDEMPOTENCY_AGAIN:
		return CALL_DONE;
	case IDEMPOTENCY_OTHER:
		return answer_error(c, m, HTTP_UNPROCESSABLE,
		                    "This Idempotency-Key came with another request before.");
	case IDEMPOTENCY_BAD:
		return answer_error(c, m, HTTP_BAD_REQUEST,
		                    "An Idempotency-Key has 1 to 255 visible ASCII characters.");
	case IDEMPOTENCY_STORE:
		return call_store(c, c->store_status);
	case IDEMPOTENCY_FIRST:
		break;
	}
	result = m->route->handler(c);
	if (result != CALL_DONE)
		return result;
	status = idempotency_keep(c, &i);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* The handler's answer, in the writer together with the renewal that is due. */
static enum call_result run_handler(struct call *c, const struct route_match *m, bool front)
{
	enum kv_status status = settle_identity(c, m);
	enum call_result result;

	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	result = m->route->place == ONCE ? run_once(c, m) : m->route->handler(c);
	if (result != CALL_DONE || c->response->status >= 400)
		return result;
	call_put_basket_cookie(c);
	if (front)
		return CALL_DONE;
	status = renew_identity(c, m);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum call_result route_call(struct call *c, const struct route_match *m)
{
	bool front = !kv_writing(c->kv), answered;
	enum call_result result = begin(c, m, &answered);

	if (front && needs_identity(m) && result != CALL_STORE && answer_limited(c, m))
		result = CALL_DONE;
	else if (result == CALL_DONE && !answered && front && m->route->place != READ)
		return call_store(c, KV_READONLY);
	else if (result == CALL_DONE && !answered)
		result = run_handler(c, m, front);
	if (result == CALL_DONE)
		put_cors(c, m);
	if (c->request->method == HTTP_POST && method_of(c->request, m) == HTTP_HEAD)
		c->response->body.len = 0;
	return result;
}

enum kv_status route_touch(struct call *c, const struct route_match *m)
{
	enum kv_status status = route_remember(c, m);   /* a front has proven it */

	if (status != KV_OK || c->identity.refusal != IDENTITY_ADMITTED)
		return status;
	return renew_identity(c, m);
}
