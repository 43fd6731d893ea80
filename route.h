/* route.h -- the one table: path, methods, where to try first, handler.
 *
 * Also 301 for a missing slash, 404, 405 with Allow, 406, OPTIONS, and the one place where
 * identity is resolved.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "call.h"

struct route;
struct route_path;

struct route_match {
	const struct route *route;      /* NULL: no such path, or not with this method */
	const struct route_path *path;  /* the table's entry of this path, or NULL */
	uint8_t surface;                /* whose form the errors take (route.c) */
	bool bare;                      /* the slash at the end of the path is missing */
};

/* Finds the path of `r` in the table, and there what its method does. On an ops listener there are
 * only health and /admin/, which is nowhere else. */
void route_find(const struct http_request *r, bool ops, struct route_match *m);

/* True where the route answers from the head alone: no body is waited for (F01). */
bool route_head_only(const struct route_match *m);

#define ROUTE_LONG_BODY_MAX 1048576

/* Bytes that a body may have: max_body, or ROUTE_LONG_BODY_MAX where the table says so. */
uint32_t route_body_max(const struct config *config, const struct route_match *m);

/* Of a path, for logs and metrics: 0 where the table has none; and its template, `-` for 0,
 * NULL behind the last. */
uint32_t route_path_number(const struct route_match *m);
const char *route_path_name(uint32_t number);

/* A found route as a number, to travel over the link, and back. */
uint32_t route_number(const struct route_match *m);
bool route_by_number(uint32_t number, struct route_match *m);

/* Judges a request whose body is still to come. False: the answer needs no body -- refused
 * method, 404, 405, OPTIONS, refused identity -- and stands in c->response. True: read it. */
bool route_judge(struct call *c, const struct route_match *m);

/* The whole answer: identity, then the handler. In a front a WRITE route that was not
 * refused is CALL_STORE with KV_READONLY: hand the request to the writer. In the writer the
 * renewal that is due joins the request's puts. */
enum call_result route_call(struct call *c, const struct route_match *m);

/* Resolves identity where the writer has found the signature of its token good: a front's memo
 * keeps that. */
enum kv_status route_remember(struct call *c, const struct route_match *m);

/* TOUCH: resolves identity and writes the renewal that is due, nothing else. */
enum kv_status route_touch(struct call *c, const struct route_match *m);

/* True where the answer needs random bytes in a front, too: c->random is to be drawn. */
bool route_draws(const struct route_match *m);

/* What no route has a say in: broken HTTP, a body that is too long. A problem document, or below
 * /dw/ a fault. */
void route_refuse(struct call *c, enum http_status status, const char *why);

/* An answer that no handler gives -- overload, a store that failed -- in the form of the
 * route's surface; on the forward-auth route it is overload_status. Retry-After in seconds,
 * 0: none. */
void route_fail(struct call *c, const struct route_match *m, enum http_status status,
                const char *detail, uint32_t retry_after_s);

#endif
