/* ocapi.h -- the /dw/ surface: OCAPI's Shop API, as its clients know it.
 *
 * A file a resource; they parse a request, call the domain, and write its answer, and no rule
 * of the domain lives in them. ocapi.c has what all of them share: paths with site and version,
 * the method that is meant, documents that come, faults. docs/ocapi.md says what is served, and
 * where it differs from the original.
 * Source  Open Commerce API, Shop API 20.4 (its published Swagger definition) and the pages on
 *         global exceptions, HTTP methods, media types and versions.
 */
#ifndef OCAPI_H
#define OCAPI_H

#include "call.h"
#include "json.h"

/* `/s/{site}` in front, where it came, and what stands behind it: `/dw/...`. */
struct ocapi_path {
	struct slice site;              /* absent: none was named */
	struct slice below;
};

/* False: no path of this surface. */
bool ocapi_split(struct slice path, struct ocapi_path *p);

/* The method that is meant: a POST may name another, by field or by query. HTTP_OTHER: it names
 * none that may be named. */
enum http_method ocapi_method(const struct http_request *r);

/* Judges site, version, method and media type, of the head alone. False: c->response is the
 * fault. */
bool ocapi_judge(struct call *c);

/* Judges the page that asks, once its client is known: false, and c->response is the fault, where
 * it is neither of this host nor of the client's origins. */
bool ocapi_judge_origin(struct call *c);
/* The fields by which a browser lets a page read the answer, and has it ask at all (OPTIONS). */
void ocapi_put_cors(struct call *c);

/* What the router answers, in this surface's form. */
enum call_result ocapi_unknown_path(struct call *c);
enum call_result ocapi_method_error(struct call *c);
/* A refused identity. */
enum call_result ocapi_refuse(struct call *c);
/* What no exception of OCAPI's is about, such as 503: its type is the status's reason. */
enum call_result ocapi_error(struct call *c, enum http_status status, const char *message);

/* Status, and the fields that every answer of this surface carries. The document's bytes then
 * go to c->response->body. */
void ocapi_begin(struct call *c, enum http_status status);
/* The begin of a document: {"_v":"20.9","_type":"customer" -- its members follow. */
void ocapi_put_head(struct call *c, const char *type);

/* A fault's argument; its value is untrusted text, cut where it is long. */
struct ocapi_argument {
	const char *name;               /* NULL behind the last */
	struct slice value;
};

#define OCAPI_ARGUMENTS(...) ((const struct ocapi_argument[]){ __VA_ARGS__, { 0 } })

/* The answer {"_v":...,"fault":{"arguments":{...},"type":"<type>Exception","message":...}}.
 * `{name}` in the message stands for the argument's value. `arguments` may be NULL:
 *
 *	return ocapi_fault(c, HTTP_NOT_FOUND, "BasketNotFound",
 *	                   "No basket with ID '{basketId}' could be found.",
 *	                   OCAPI_ARGUMENTS({ "basketId", c->arg[1] }));
 */
enum call_result ocapi_fault(struct call *c, enum http_status status, const char *type,
                             const char *message, const struct ocapi_argument *arguments);

/* What a member of a document may hold; null is as if it had not come. */
enum ocapi_type {
	OCAPI_STRING, OCAPI_NUMBER, OCAPI_BOOLEAN, OCAPI_OBJECT, OCAPI_ARRAY,
	OCAPI_ANY,
};

struct ocapi_member {
	const char *name;
	enum ocapi_type type;
	uint32_t max_chars;             /* of a string; 0: no bound of its own */
};

/* Reads the body as JSON, and its `_v` where it is an object that has one. `*body` is NULL where
 * none came; else it lives until the next json_parse(). False: c->response is the fault. */
bool ocapi_body(struct call *c, const json_t **body);

/* Judges `value`, which stands at `path` (`$` or `$.customer`) and is to be an object with no
 * members but these and such as begin with `_`. False: c->response is the fault. Strings are
 * then read with jwt_string(). */
bool ocapi_check(struct call *c, const json_t *value, const char *document, const char *path,
                 const struct ocapi_member *members, size_t count);

/* A body that has to come, and is judged as ocapi_check() does; `document` NULL: by the caller. */
bool ocapi_document(struct call *c, const char *document, const struct ocapi_member *members,
                    size_t count, const json_t **body);

/* 400 for the member `name` at `path`, which has to be there. */
enum call_result ocapi_missing(struct call *c, const char *document, const char *path,
                               const char *name);

/* `2015-08-20T11:30:36.000Z`, as a JSON string. */
void ocapi_put_time(struct buf *out, uint64_t us);

/* 429 with Retry-After. */
enum call_result ocapi_wait(struct call *c, uint32_t seconds);

/* True where a live Bearer token came; false: c->response is the fault. */
bool ocapi_shopper(struct call *c);

/* --- Baskets: ocapi_document.c, ocapi_basket.c, ocapi_item.c. --- */

#define OCAPI_ID_DIGITS 26      /* of a basket's or an item's id */
#define OCAPI_SHIPMENT  "me"    /* the one shipment that there is */

/* The numeric id with leading zeros, and back; false for any other text. */
void ocapi_put_id(struct buf *out, uint64_t id);
bool ocapi_read_id(struct slice text, uint64_t *id);

/* The id of an option as it is stored. */
struct slice ocapi_option_id(struct slice option);

/* The members of a basket behind `_type`, and the closing brace, behind c->response->body. */
enum kv_status ocapi_put_basket(struct call *c, const struct basket *b);

/* Loads the basket that the path names and judges access to it: of somebody else's InvalidCustomer,
 * of none BasketNotFound. False: return `*result`. */
bool ocapi_may(struct call *c, struct basket *b, enum call_result *result);

/* True where the client named no state of the basket, by field or in `body` (or NULL), or the one
 * that it has. False: return `*result`, a 409. */
bool ocapi_state_holds(struct call *c, const struct basket *b, const json_t *body,
                       enum call_result *result);

/* The basket as an answer; the same of one that was changed, and is put first. */
enum call_result ocapi_basket_show(struct call *c, const struct basket *b);
enum call_result ocapi_basket_keep(struct call *c, struct basket *b);

/* Adds the items of an array, or of none (NULL), that stands at `path`. False: return
 * `*result`; nothing is to be put then. */
bool ocapi_add_items(struct call *c, struct basket *b, const json_t *list, const char *path,
                     enum call_result *result);

/* The same of those of another basket. */
bool ocapi_copy_items(struct call *c, struct basket *into, const struct basket *from,
                      enum call_result *result);

/* True, with the fault, where the member `name` of a document holds something that is kept in
 * another system: what is not taken here must not look as if it was. */
bool ocapi_refuse_kept_elsewhere(struct call *c, const json_t *value, const char *document,
                                 const char *name);

static inline struct basket_change ocapi_change(const struct call *c)
{
	return (struct basket_change){ .kv = c->kv, .config = c->config, .now_us = c->now_us };
}

/* 400: another customer than the token's. */
enum call_result ocapi_other_customer(struct call *c);

/* Something before `@` and behind it, and no blank. Whether mail arrives, mail alone tells. */
bool ocapi_email_valid(struct slice email);

/* True where sessions may be bridged over this connection (setting enforce_https); false:
 * c->response is the fault. */
bool ocapi_judge_bridge(struct call *c);

/* Handlers (route.c). */
enum call_result ocapi_auth_post(struct call *c);
enum call_result ocapi_auth_delete(struct call *c);
enum call_result ocapi_auth_trusted(struct call *c);
enum call_result ocapi_customer_post(struct call *c);
enum call_result ocapi_customer_get(struct call *c);
enum call_result ocapi_customer_patch(struct call *c);
enum call_result ocapi_session_post(struct call *c);
enum call_result ocapi_basket_post(struct call *c);
enum call_result ocapi_basket_reference(struct call *c);
enum call_result ocapi_basket_get(struct call *c);
enum call_result ocapi_basket_patch(struct call *c);
enum call_result ocapi_basket_delete(struct call *c);
enum call_result ocapi_basket_customer(struct call *c);
enum call_result ocapi_basket_list(struct call *c);
enum call_result ocapi_item_post(struct call *c);
enum call_result ocapi_item_patch(struct call *c);
enum call_result ocapi_item_delete(struct call *c);

#endif
