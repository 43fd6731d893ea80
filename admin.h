/* admin.h -- /admin/ on ops_listen: what the commands do for customers, keys, sessions and
 * products, for another host. Whoever asks needs an API key of scope `admin`, from loopback too.
 *
 * admin.c has what all of it shares; admin_customer.c, admin_key.c, admin_session.c and
 * admin_product.c are a resource each. What is shown are the cells of view.h, and what is judged
 * is judged by the domain: as the commands have it. Each change is one line of the log.
 * Limits  a list looks at ADMIN_LIST_MAX records at most, and says where it goes on; one request
 *         ends ADMIN_ENDED_MAX sessions at most, and says whether some are left.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include "call.h"
#include "json.h"
#include "print.h"

#define ADMIN_LIST_MAX  1000
#define ADMIN_ENDED_MAX 1000
#define ADMIN_QUERY_MAX 1024            /* bytes of all parameters, decoded */

/* False: this request has no key that may, and c->response says so. */
bool admin_judge(struct call *c);

enum call_result admin_customer_list(struct call *c);
enum call_result admin_customer_add(struct call *c);
enum call_result admin_customer_show(struct call *c);
enum call_result admin_customer_change(struct call *c);
enum call_result admin_customer_delete(struct call *c);
enum call_result admin_customer_password(struct call *c);
enum call_result admin_key_list(struct call *c);
enum call_result admin_key_add(struct call *c);
enum call_result admin_key_show(struct call *c);
enum call_result admin_key_change(struct call *c);
enum call_result admin_key_revoke(struct call *c);
enum call_result admin_session_list(struct call *c);
enum call_result admin_session_show(struct call *c);
enum call_result admin_session_revoke(struct call *c);
enum call_result admin_session_revoke_some(struct call *c);
enum call_result admin_product_list(struct call *c);
enum call_result admin_product_import(struct call *c);
enum call_result admin_product_show(struct call *c);
enum call_result admin_product_delete(struct call *c);

/* --- What the resources share. --- */

/* 400 with the code value_bad; 404 with not_found. */
enum call_result admin_invalid(struct call *c, const char *detail);
enum call_result admin_unknown(struct call *c, const char *detail);

/* An answer of JSON begins. */
void admin_begin(struct call *c, enum http_status status);
/* The whole of one: a record's cells as an object. */
enum call_result admin_record(struct call *c, enum http_status status,
                              const struct print_cell *cells, size_t count);

/* Reads the query into `value`, by `names`; absent is what did not come. False for a parameter
 * that is none of them or comes twice: c->response says so. */
struct admin_query {
	struct slice value[4];
	char text[ADMIN_QUERY_MAX];
};
bool admin_query_read(struct call *c, struct admin_query *q, const char *const *names,
                      size_t count);

/* A list under way. */
struct admin_list {
	struct call *c;
	uint32_t left;                  /* records that may still be looked at */
	bool any;
};

/* Begins `{"NAME":[`; `limit` is the parameter, 100 where it is absent. False for a bad one. */
bool admin_list_begin(struct admin_list *l, struct call *c, const char *name,
                      struct slice limit);
/* Counts a record that is looked at; false where the list is full: do not look at it. */
bool admin_list_more(struct admin_list *l);
void admin_list_put(struct admin_list *l, const struct print_cell *cells, size_t count);
/* Ends it. `status` is what ended the walk: KV_OK where the list was full, and then `after` is
 * the value of the parameter `after` that goes on with it. */
enum call_result admin_list_end(struct admin_list *l, enum kv_status status, struct slice after);

/* The object that the body is, whose members are all of `names`; NULL: c->response says why it
 * is none. Good until the next json_parse(). */
json_t *admin_body(struct call *c, const char *const *names, size_t count);
/* The text of one member: absent without it and for null; false where it is no text. */
bool admin_text(struct call *c, const json_t *body, const char *name, struct slice *text);

#endif
