/* route.c -- see route.h. Every path that is answered is a line of routes[]. */
#include <assert.h>
#include <stdio.h>

#include "oscar.h"
#include "resolve.h"
#include "route.h"

/* Where to try first. */
enum place { READ, WRITE };

/* Whose form the errors take. */
enum surface { NATIVE, FORWARD_AUTH, OSCAR, HEALTH, PUBLIC };

struct route {
	const char *path;
	uint32_t methods;               /* enum http_method, ORed */
	enum place place;
	enum surface surface;
	call_handler *handler;
	const char *allow;              /* of the path, all its lines together */
};

#define READS  (HTTP_GET | HTTP_HEAD)
#define ANY    (READS | HTTP_POST | HTTP_PUT | HTTP_PATCH | HTTP_DELETE | HTTP_OPTIONS | HTTP_OTHER)

#define ALLOW_ANY   "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
#define ALLOW_READ  "GET, HEAD, OPTIONS"
#define ALLOW_SESSION "GET, HEAD, DELETE, OPTIONS"
#define ALLOW_DATA  "GET, HEAD, PATCH, OPTIONS"
#define ALLOW_LOGIN "GET, POST, DELETE, HEAD, OPTIONS"  /* in the original's order */

/* clang-format off */
static const struct route routes[] = {
	{ "/resolve",       ANY,         READ,  FORWARD_AUTH, resolve_get,     ALLOW_ANY },
	{ "/api/login/",    READS,       READ,  OSCAR,  oscar_login_get,       ALLOW_LOGIN },
	{ "/api/login/",    HTTP_POST,   WRITE, OSCAR,  oscar_login_post,      ALLOW_LOGIN },
	{ "/api/login/",    HTTP_DELETE, WRITE, OSCAR,  oscar_login_delete,    ALLOW_LOGIN },
	{ "/session",       READS,       READ,  NATIVE, resolve_session_get,   ALLOW_SESSION },
	{ "/session",       HTTP_DELETE, WRITE, NATIVE, resolve_session_delete, ALLOW_SESSION },
	{ "/session/data",  READS,       READ,  NATIVE, resolve_data_get,      ALLOW_DATA },
	{ "/session/data",  HTTP_PATCH,  WRITE, NATIVE, resolve_data_patch,    ALLOW_DATA },
	{ "/session/login", HTTP_POST,   WRITE, NATIVE, resolve_session_login, "POST, OPTIONS" },
	{ "/healthz",       READS,       READ,  HEALTH, resolve_healthz,       ALLOW_READ },
	{ "/readyz",        READS,       READ,  HEALTH, resolve_readyz,        ALLOW_READ },
	{ "/openapi.json",  READS,       READ,  PUBLIC, resolve_openapi,       ALLOW_READ },
};
/* clang-format on */

#define DECODED_MAX 256         /* longer than any path of the table */

/* Throttle kinds of this file. */
enum { THROTTLE_KEY = 'k', THROTTLE_LINE = 'i' };

void route_find(const struct http_request *r, bool ops, struct route_match *m)
{
	char bytes[DECODED_MAX];
	struct buf decoded = BUF(bytes);
	struct slice path = r->path;

	*m = (struct route_match){ .surface = NATIVE };
	if (slice_has(path, '%')) {
		if (!http_path_decode(path, &decoded))
			return;
		path = buf_slice(&decoded);
	}
	if (!ops && slice_starts(path, SLICE("/api/")))
		m->surface = OSCAR;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (!slice_eq(path, slice_of(routes[i].path)))
			continue;
		if (ops && routes[i].surface != HEALTH)
			return;
		m->path = &routes[i];
		m->surface = (uint8_t)routes[i].surface;
		if ((routes[i].methods & (uint32_t)r->method) != 0) {
			m->route = &routes[i];
			return;
		}
	}
}

bool route_head_only(const struct route_match *m)
{
	return m->surface == FORWARD_AUTH;
}

uint32_t route_number(const struct route_match *m)
{
	assert(m->route != NULL);
	return (uint32_t)(m->route - routes);
}

bool route_by_number(uint32_t number, struct route_match *m)
{
	if (number >= COUNT_OF(routes))
		return false;
	m->route = m->path = &routes[number];
	m->surface = (uint8_t)routes[number].surface;
	return true;
}

static void put_retry_after(struct call *c, uint32_t seconds)
{
	char text[12];

	snprintf(text, sizeof text, "%u", seconds);
	http_field_put(c->response, "Retry-After", slice_of(text));
}

void route_fail(struct call *c, const struct route_match *m, enum http_status status,
                const char *detail, uint32_t retry_after_s)
{
	http_response_reset(c->response);
	if (m->surface == FORWARD_AUTH)
		status = (enum http_status)c->config->overload_status;
	if (retry_after_s > 0)
		put_retry_after(c, retry_after_s);
	if (m->surface == OSCAR)
		oscar_error(c, status, detail);
	else
		call_problem(c, status, NULL, detail);
}

static struct identity_question question(const struct call *c)
{
	return (struct identity_question){
		.config = c->config, .sid_secret = c->sid_secret, .request = c->request,
		.peer = &c->peer, .kv = c->kv, .now_s = call_now_s(c), .memo = c->memo,
	};
}

static enum kv_status resolve_identity(struct call *c)
{
	const struct identity_question q = question(c);

	return identify(&q, &c->identity);
}

static enum kv_status renew_identity(struct call *c)
{
	const struct identity_question q = question(c);

	return identity_renew(&q, &c->identity);
}

/* Only a request that may change something can be forged to harm. */
static void judge_csrf(struct call *c, const struct route_match *m)
{
	const struct identity_question q = question(c);
	uint32_t safe = READS | HTTP_OPTIONS;

	if (m->route != NULL && m->surface != FORWARD_AUTH &&
	    ((uint32_t)c->request->method & safe) == 0)
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
	if (c->config->cors_origins.count == 0)
		return;
	if (m->surface == OSCAR || m->surface == NATIVE)
		http_field_lit(c->response, "Vary: Origin");
	if (!is_shared(c, m))
		return;
	http_field_put(c->response, "Access-Control-Allow-Origin",
	               c->request->field[HTTP_ORIGIN]);
	http_field_lit(c->response, "Access-Control-Allow-Credentials: true");
	http_field_lit(c->response, "Access-Control-Expose-Headers: Session-Id, ETag, Retry-After");
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
	               "If-Match, Session-Id, X-Api-Key, X-CSRFToken");
	http_field_lit(c->response, "Access-Control-Max-Age: 600");
	return true;
}

static void refuse(struct call *c, const struct route_match *m)
{
	if (m->surface == OSCAR)
		oscar_refuse(c);
	else
		resolve_refuse(c, m->surface == FORWARD_AUTH);
}

static void answer_error(struct call *c, const struct route_match *m, enum http_status status,
                         const char *detail)
{
	if (m->surface == OSCAR)
		oscar_error(c, status, detail);
	else
		call_problem(c, status, NULL, detail);
}

/* What no handler is needed for. True where c->response is the answer. */
static bool answer_without_handler(struct call *c, const struct route_match *m)
{
	enum http_method method = c->request->method;

	if (m->path == NULL) {
		answer_error(c, m, HTTP_NOT_FOUND,
		             m->surface == OSCAR ? "Not found." : "No such path.");
		return true;
	}
	if (m->route != NULL)
		return false;
	if (method == HTTP_OPTIONS) {
		http_field_put(c->response, "Allow", slice_of(m->path->allow));
		call_put_echo(c);
		c->response->status = HTTP_NO_CONTENT;
		return true;
	}
	if (m->surface == OSCAR) {
		oscar_method_error(c);
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
		http_field_put(c->response, "Allow", slice_of(allow));
		call_problem(c, HTTP_METHOD_NOT_ALLOWED, NULL, "TRACE and CONNECT are refused.");
	} else if (slice_given(r->field[HTTP_UPGRADE])) {
		call_problem(c, HTTP_NOT_IMPLEMENTED, NULL, "No other protocol is spoken here.");
	} else if (r->method == HTTP_OTHER && m->route == NULL) {
		call_problem(c, HTTP_NOT_IMPLEMENTED, NULL, "This method is unknown.");
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

static bool needs_identity(const struct route_match *m)
{
	return m->surface == OSCAR ||
	       (m->path != NULL && m->surface != HEALTH && m->surface != PUBLIC);
}

/* Everything in front of the handler. CALL_DONE: c->response is the answer; CALL_ASK: none
 * yet, go on; CALL_STORE: the store failed. */
static enum call_result begin(struct call *c, const struct route_match *m)
{
	enum kv_status status;

	http_response_reset(c->response);
	c->identity.has_sid = false;
	c->identity.renewal_due = false;
	c->allow = m->path != NULL ? m->path->allow : NULL;
	if (answer_broken(c, m) || answer_preflight(c, m))
		return CALL_DONE;
	if (needs_identity(m)) {
		if ((status = resolve_identity(c)) != KV_OK)
			return call_store(c, status);
		if (c->identity.refusal == IDENTITY_ADMITTED)
			judge_csrf(c, m);
		if (c->identity.refusal != IDENTITY_ADMITTED) {
			refuse(c, m);
			return CALL_DONE;
		}
	}
	return answer_without_handler(c, m) ? CALL_DONE : CALL_ASK;
}

bool route_judge(struct call *c, const struct route_match *m)
{
	if (begin(c, m) != CALL_DONE)
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

/* The handler's answer, in the writer together with the renewal that is due. */
static enum call_result run_handler(struct call *c, const struct route_match *m, bool front)
{
	enum call_result result = m->route->handler(c);
	enum kv_status status;

	if (result != CALL_DONE || front || c->response->status >= 400)
		return result;
	status = renew_identity(c);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum call_result route_call(struct call *c, const struct route_match *m)
{
	bool front = !kv_writing(c->kv);
	enum call_result result = begin(c, m);

	if (front && needs_identity(m) && result != CALL_STORE && answer_limited(c, m))
		result = CALL_DONE;
	else if (result == CALL_ASK && front && m->route->place == WRITE)
		return call_store(c, KV_READONLY);
	else if (result == CALL_ASK)
		result = run_handler(c, m, front);
	if (result == CALL_DONE)
		put_cors(c, m);
	return result;
}

enum kv_status route_touch(struct call *c)
{
	enum kv_status status = resolve_identity(c);

	if (status != KV_OK || c->identity.refusal != IDENTITY_ADMITTED)
		return status;
	return renew_identity(c);
}
