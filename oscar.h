/* oscar.h -- the /api/ surface: oscarapi's requests and answers, byte for byte.
 *
 * A file a resource, as the original has its views: oscar_login.c, oscar_user.c,
 * oscar_product.c. They parse a request (oscar_form.c), call the domain, and write its answer;
 * no rule of the domain lives in them. Where ours differs from the original,
 * docs/oscarapi.md says why.
 * Source  oscarapi/views, oscarapi/serializers; django-rest-framework's wording.
 */
#ifndef OSCAR_H
#define OSCAR_H

#include "call.h"
#include "json.h"

/* Handlers (route.c). */
enum call_result oscar_root(struct call *c);
enum call_result oscar_login_get(struct call *c);
enum call_result oscar_login_post(struct call *c);
enum call_result oscar_login_delete(struct call *c);
enum call_result oscar_user_get(struct call *c);
enum call_result oscar_register(struct call *c);
enum call_result oscar_basket_get(struct call *c);
enum call_result oscar_basket_list(struct call *c);
enum call_result oscar_basket_detail(struct call *c);
enum call_result oscar_basket_change(struct call *c);
enum call_result oscar_basket_delete(struct call *c);
enum call_result oscar_line_add_product(struct call *c);
enum call_result oscar_line_list(struct call *c);
enum call_result oscar_line_post(struct call *c);
enum call_result oscar_line_get(struct call *c);
enum call_result oscar_line_change(struct call *c);
enum call_result oscar_line_delete(struct call *c);
enum call_result oscar_attribute_get(struct call *c);
enum call_result oscar_attribute_change(struct call *c);
enum call_result oscar_product_list(struct call *c);
enum call_result oscar_product_get(struct call *c);
enum call_result oscar_product_price(struct call *c);
enum call_result oscar_product_availability(struct call *c);

/* What OPTIONS tells of a path: django-rest-framework's name and description of its view. */
struct oscar_about {
	const char *name, *description;
};

/* What the router answers, in this surface's form. */
enum call_result oscar_options(struct call *c, const struct oscar_about *about);
enum call_result oscar_method_error(struct call *c);
enum call_result oscar_unknown_path(struct call *c);
/* A refused identity: {"reason": ...} or {"detail": ...}. */
enum call_result oscar_refuse(struct call *c);

/* For the files of this surface, and errors of the router: {"detail": ...}. */
enum call_result oscar_error(struct call *c, enum http_status status, const char *detail);
/* 404, and 403 of what only somebody who is logged in, or somebody else, may do. */
enum call_result oscar_not_found(struct call *c);
enum call_result oscar_forbidden(struct call *c);
/* 429 with Retry-After, in django-rest-framework's words. */
enum call_result oscar_throttled(struct call *c, uint32_t wait_s);

/* Status and the fields that every answer of this surface carries, with the Session-Id that
 * came; without it for logins and logouts. */
void oscar_begin(struct call *c, enum http_status status);
void oscar_begin_bare(struct call *c, enum http_status status);

#define OSCAR_URL_MAX 1024

/* Writes a URL under /api/, with the scheme and host of this request, as a JSON string. */
__attribute__((format(printf, 2, 3)))
void oscar_put_url(struct call *c, const char *format, ...);
__attribute__((format(printf, 2, 3)))
void oscar_put_location(struct call *c, const char *format, ...);
/* `2026-11-22T04:35:35.355068Z`: Django's isoformat(), which leaves out a fraction of 0. */
void oscar_put_time(struct buf *out, uint64_t us);

/* Loads the basket that the path names and judges access to it (oscar_basket.c): somebody
 * else's is 403, or 404 where `hide`. False: return `*result`. */
bool oscar_may(struct call *c, struct basket *b, bool hide, enum call_result *result);

/* Entity tags: `"b7.3.12"` of the basket 7 in its third version by the price book's twelfth,
 * `s` of its list of lines, `l` of a line. */
enum kv_status oscar_put_etag(struct call *c, char kind, uint64_t id, uint32_t version);
/* False: If-Match names another, or the store failed, and `*result` is the answer. */
bool oscar_if_match(struct call *c, char kind, uint64_t id, uint32_t version,
                    enum call_result *result);

/* The basket as an answer. */
enum call_result oscar_basket_show(struct call *c, const struct basket *b);

/* A body, JSON or urlencoded (oscar_form.c). JSON lives until the next json_parse(). */
struct oscar_form {
	const json_t *object;           /* NULL: urlencoded, or no body */
	struct slice encoded;
	const char *error;              /* NULL, or why it is no object with fields */
	char bytes[64];                 /* of `error` */
};

/* Reads the body of the request. False: refused with 400 or 415, and c->response says so. */
bool oscar_form_read(struct call *c, struct oscar_form *form);

/* The same of a value within a body. */
void oscar_form_of(struct oscar_form *form, const json_t *value);

/* Sentences about fields, {"name":["sentence"],...}, written as they are found; with `reason`
 * as the value of a member of this name. */
struct oscar_errors {
	struct buf *body;
	uint32_t count;
	bool reason;
};

void oscar_errors_add(struct oscar_errors *e, const char *field, const char *sentence);
/* The same with a value of the caller's. */
void oscar_errors_put(struct oscar_errors *e, const char *field, struct slice json);
/* The answer, where there are any. */
enum call_result oscar_errors_end(struct call *c, struct oscar_errors *e,
                                  enum http_status status);

#define OSCAR_REQUIRED   "This field is required."
#define OSCAR_TEXT_MAX   254            /* characters */
#define OSCAR_TEXT_BYTES (4 * OSCAR_TEXT_MAX)

/* serializers.CharField: trimmed, not blank, not longer than `max_chars`. */
struct oscar_text {
	const char *name;
	unsigned max_chars;             /* at most OSCAR_TEXT_MAX */
	struct slice value;             /* in `bytes` */
	char bytes[OSCAR_TEXT_BYTES];
};

/* A field that must be there; what is wrong with it goes to `e`. */
void oscar_form_text(const struct oscar_form *form, struct oscar_text *t,
                     struct oscar_errors *e);

/* True where the field came, whatever it holds. */
bool oscar_form_has(const struct oscar_form *form, const char *name);

enum oscar_given {
	OSCAR_ABSENT,
	OSCAR_GIVEN,
	OSCAR_WRONG,                    /* `e` says why */
};

/* serializers.IntegerField: a number, or text that is one. */
enum oscar_given oscar_form_integer(const struct oscar_form *form, const char *name,
                                    int64_t *value, struct oscar_errors *e);

/* A list of values, `max` at most: NULL where it did not come, or is none (`e` says why). */
const json_t *oscar_form_list(const struct oscar_form *form, const char *name, unsigned max,
                              struct oscar_errors *e);

/* serializers.HyperlinkedRelatedField: a URL, or its path, of a resource of this surface. */
struct oscar_link {
	const char *name, *pattern;     /* of its path (http.h) */
	struct slice path;              /* decoded, in `bytes` */
	struct slice arg[CALL_ARGS_MAX];
	char bytes[CALL_PATH_MAX];
};

enum oscar_given oscar_form_link(const struct oscar_form *form, struct oscar_link *link,
                                 struct oscar_errors *e);
/* The same, with what is wrong as `*sentence`: for OSCAR_WRONG, as long as the link. */
enum oscar_given oscar_form_judge_link(const struct oscar_form *form, struct oscar_link *link,
                                       const char **sentence);

/* Login and password judged, for every surface that asks for them: throttled, and in the same
 * time for who is unknown. */
enum oscar_login_verdict {
	OSCAR_LOGIN_RIGHT,
	OSCAR_LOGIN_WRONG,              /* and counted */
	OSCAR_LOGIN_WAIT,               /* 429: wait_s */
	OSCAR_LOGIN_ASK,                /* return CALL_ASK */
	OSCAR_LOGIN_STORE,              /* c->store_status says why */
};
struct oscar_login {
	struct customer_record who;     /* RIGHT; its password is to be put anew as */
	struct slice new_hash;          /* this, where it is not empty */
	uint32_t wait_s;
};
enum oscar_login_verdict oscar_login_judge(struct call *c, struct slice username,
                                           struct slice password, struct oscar_login *l);

/* Sentences on what makes a password weak, as a JSON list's elements; nothing where it is not
 * (oscar_user.c). */
void oscar_judge_password(struct slice password, struct slice email, struct buf *list);

/* Registrations count with an address's failed logins (oscar_login.c). */
uint32_t oscar_register_wait(const struct call *c);
void oscar_register_count(struct call *c);

/* The user as GET login/ and users/<id>/ show him; 204 under expose_user_details=off. */
enum call_result oscar_user_show(struct call *c);

#endif
