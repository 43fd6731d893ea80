/* admin_customer.c -- /admin/customers: listed, added, shown, disabled, deleted, passwords. */
#include <assert.h>

#include "admin.h"
#include "customer.h"
#include "password.h"
#include "session.h"
#include "view.h"

#define BASKETS_AT_ONCE 300             /* of one request: three puts each at most */
/* A hash that is given is sealed as often as one that is made. */
#define GIVEN_HASH_MAX  100
static_assert((GIVEN_HASH_MAX + SEAL_MORE) * CALL_HASHES_MADE <= CALL_ANSWER_MAX,
              "all seals of one fit an answer");

enum { SECRET_PASSWORD, SECRET_HASH, SECRETS };
static const char *const secret_names[] = { "password", "hash" };

static void put_id(struct buf *out, uint64_t id)
{
	out->len = 0;
	buf_uint(out, id);
}

/* Loads the customer that the path names; false: `*result` is what to return. */
static bool find(struct call *c, struct customer_record *r, enum call_result *result)
{
	enum kv_status status = KV_NOT_FOUND;
	uint64_t id;

	if (slice_uint(c->arg[0], UINT64_MAX, &id))
		status = customer_get(c->kv, id, r);
	if (status == KV_OK)
		return true;
	*result = status != KV_NOT_FOUND ? call_store(c, status) :
	          admin_unknown(c, "No customer has this id; ?login= finds one by his login.");
	return false;
}

/* The list of the one who has this login, or of nobody. */
static enum call_result list_one(struct admin_list *l, struct slice login)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	struct customer_record r;
	enum kv_status status = customer_find(l->c->kv, login, &r);

	if (status == KV_OK) {
		view_customer(cells, &r);
		admin_list_put(l, cells, VIEW_CUSTOMER_CELLS);
		status = KV_NOT_FOUND;
	}
	return admin_list_end(l, status, login);
}

enum call_result admin_customer_list(struct call *c)
{
	static const char *const names[] = { "limit", "after", "login" };
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	char text[24];
	struct buf last = BUF(text);
	struct customer_record r;
	struct admin_query q;
	struct admin_list l;
	enum kv_status status = KV_OK;
	uint64_t after = 0;

	if (!admin_query_read(c, &q, names, COUNT_OF(names)))
		return CALL_DONE;
	if (slice_given(q.value[1]) && !slice_uint(q.value[1], UINT64_MAX, &after))
		return admin_invalid(c, "after is the id of a customer.");
	if (!admin_list_begin(&l, c, "customers", q.value[0]))
		return CALL_DONE;
	if (slice_given(q.value[2]))
		return list_one(&l, q.value[2]);
	while (admin_list_more(&l) && (status = customer_next(c->kv, &after, &r)) == KV_OK) {
		view_customer(cells, &r);
		admin_list_put(&l, cells, VIEW_CUSTOMER_CELLS);
	}
	put_id(&last, after);
	return admin_list_end(&l, status, buf_slice(&last));
}

enum call_result admin_customer_show(struct call *c)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	struct customer_record r;
	enum call_result result;

	if (!find(c, &r, &result))
		return result;
	view_customer(cells, &r);
	return admin_record(c, HTTP_OK, cells, VIEW_CUSTOMER_CELLS);
}

/* The password or the hash that came, at most one of them; false: c->response says why. */
static bool read_secret(struct call *c, const json_t *body, struct slice secret[SECRETS])
{
	uint32_t iterations;

	for (int i = 0; i < SECRETS; i++)
		if (!admin_text(c, body, secret_names[i], &secret[i]))
			return false;
	if (slice_given(secret[SECRET_PASSWORD]) && slice_given(secret[SECRET_HASH]))
		admin_invalid(c, "password or hash, not both.");
	else if (slice_given(secret[SECRET_PASSWORD]) &&
	         (secret[SECRET_PASSWORD].len == 0 || secret[SECRET_PASSWORD].len > PASSWORD_MAX))
		admin_invalid(c, "password: 1 to 4096 bytes.");
	else if (slice_given(secret[SECRET_HASH]) &&
	         (secret[SECRET_HASH].len > GIVEN_HASH_MAX ||
	          !password_hash_valid(secret[SECRET_HASH], &iterations)))
		admin_invalid(c, "hash: pbkdf2_sha256$ITERATIONS$SALT$HASH of 1 to 2000000 "
		              "iterations and 100 bytes is due; no other algorithm is taken.");
	else
		return true;
	return false;
}

/* Asks for the seal of what read_secret() has read. False: not answered yet. */
static bool ask_seal(struct call *c, uint64_t id, const struct slice secret[SECRETS],
                     struct slice *sealed)
{
	bool given = slice_given(secret[SECRET_HASH]);

	return call_ask_hash(c, given ? CALL_HASH_GIVEN : c->config->password_iterations, id,
	                     secret[given ? SECRET_HASH : SECRET_PASSWORD], sealed);
}

/* Puts the new customer. */
static enum call_result add(struct call *c, struct customer_record *r,
                            const struct slice secret[SECRETS], bool no_password)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS];
	char text[48];
	struct buf place = BUF(text);
	enum kv_status status = customer_next_id(c->kv, &r->id);

	if (status != KV_OK)
		return call_store(c, status);
	if (!no_password && !ask_seal(c, r->id, secret, &r->sealed_password))
		return CALL_ASK;
	if ((!no_password && r->sealed_password.len == 0) ||
	    customer_add(c->kv, r, &status) != CUSTOMER_OK)
		return call_store(c, status == KV_OK ? KV_IO : status);
	call_audit(c, "customer_added", "customer=%llu", (unsigned long long)r->id);
	buf_lit(&place, "/admin/customers/");
	buf_uint(&place, r->id);
	http_field_put(c->response, "Location", buf_slice(&place));
	view_customer(cells, r);
	return admin_record(c, HTTP_CREATED, cells, VIEW_CUSTOMER_CELLS);
}

enum call_result admin_customer_add(struct call *c)
{
	static const char *const names[] = { "login", "email", "first_name", "last_name",
		                             "password", "hash", "no_password" };
	struct customer_record r = { .joined_us = c->now_us }, other;
	json_t *body = admin_body(c, names, COUNT_OF(names));
	struct slice secret[SECRETS];
	bool no_password = json_is_true(json_object_get(body, "no_password"));
	enum customer_error error;
	enum kv_status status;

	if (body == NULL || !read_secret(c, body, secret) ||
	    !admin_text(c, body, names[0], &r.login) || !admin_text(c, body, names[1], &r.email) ||
	    !admin_text(c, body, names[2], &r.first_name) ||
	    !admin_text(c, body, names[3], &r.last_name))
		return CALL_DONE;
	if (slice_given(secret[SECRET_PASSWORD]) + slice_given(secret[SECRET_HASH]) +
	    no_password != 1)
		return admin_invalid(c, "One of password, hash and no_password (true) is due.");
	error = customer_judge(&r);
	if (error != CUSTOMER_OK)
		return admin_invalid(c, customer_error_text(error));
	status = customer_find(c->kv, r.login, &other);
	if (status == KV_OK)
		return call_problem(c, HTTP_CONFLICT, "name_taken",
		                    customer_error_text(CUSTOMER_LOGIN_TAKEN));
	if (status != KV_NOT_FOUND)
		return call_store(c, status);
	return add(c, &r, secret, no_password);
}

/* Puts the record and ends sessions, in a full store too: who changes it so is let in no more.
 * What is left of them, the answer tells. */
static enum kv_status shut_out(struct call *c, const struct customer_record *r, uint32_t *ended)
{
	enum kv_status status;

	kv_use_reserve(c->kv);
	status = customer_put(c->kv, r);
	return status != KV_OK ? status :
	       session_delete_some(c->kv, r->id, ADMIN_ENDED_MAX, ended);
}

/* The customer as he is now, and what became of his sessions. */
static enum call_result answer_changed(struct call *c, uint64_t id, uint32_t ended)
{
	struct print_cell cells[VIEW_CUSTOMER_CELLS + 2];
	struct customer_record r;
	enum kv_status status = customer_get(c->kv, id, &r);

	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	view_customer(cells, &r);
	cells[VIEW_CUSTOMER_CELLS] = (struct print_cell){ "sessions_ended", PRINT_NUMBER, { 0 },
		                                          ended };
	cells[VIEW_CUSTOMER_CELLS + 1] = (struct print_cell){ "sessions_left", PRINT_YES, { 0 },
		                                              ended == ADMIN_ENDED_MAX };
	return admin_record(c, HTTP_OK, cells, COUNT_OF(cells));
}

enum call_result admin_customer_change(struct call *c)
{
	static const char *const names[] = { "state" };
	json_t *body = admin_body(c, names, COUNT_OF(names));
	struct customer_record r = { 0 };
	enum call_result result;
	enum kv_status status;
	struct slice state;
	uint32_t ended = 0;
	bool disabled;

	if (body == NULL || !admin_text(c, body, names[0], &state))
		return CALL_DONE;
	disabled = slice_eq(state, SLICE("disabled"));
	if (!disabled && !slice_eq(state, SLICE("enabled")))
		return admin_invalid(c, "state is disabled or enabled.");
	if (!find(c, &r, &result))
		return result;
	r.flags = disabled ? r.flags | CUSTOMER_DISABLED :
	                     r.flags & ~(uint32_t)CUSTOMER_DISABLED;
	status = disabled ? shut_out(c, &r, &ended) : customer_put(c->kv, &r);
	if (status != KV_OK)
		return call_store(c, status);
	call_audit(c, disabled ? "customer_disabled" : "customer_enabled",
	           "customer=%llu sessions_ended=%u", (unsigned long long)r.id, ended);
	return answer_changed(c, r.id, ended);
}

enum call_result admin_customer_password(struct call *c)
{
	json_t *body = admin_body(c, secret_names, COUNT_OF(secret_names));
	struct customer_record r = { 0 };
	struct slice secret[SECRETS];
	enum call_result result;
	enum kv_status status;
	uint32_t ended;

	if (body == NULL || !read_secret(c, body, secret))
		return CALL_DONE;
	if (!slice_given(secret[SECRET_PASSWORD]) && !slice_given(secret[SECRET_HASH]))
		return admin_invalid(c, "One of password and hash is due.");
	if (!find(c, &r, &result))
		return result;
	if (!ask_seal(c, r.id, secret, &r.sealed_password))
		return CALL_ASK;
	status = r.sealed_password.len == 0 ? KV_IO : shut_out(c, &r, &ended);
	if (status != KV_OK)
		return call_store(c, status);
	call_audit(c, "customer_password", "customer=%llu sessions_ended=%u",
	           (unsigned long long)r.id, ended);
	return answer_changed(c, r.id, ended);
}

/* Removes some of all that he put into baskets, whatever became of them; `*left`: some are
 * there still. */
static enum kv_status delete_baskets(struct call *c, uint64_t customer_id, bool *left)
{
	for (uint32_t count = 0; count < BASKETS_AT_ONCE; count++) {
		uint64_t id = 0;
		enum kv_status status = basket_next_of(c->kv, customer_id, &id);

		*left = status != KV_NOT_FOUND;
		if (status == KV_NOT_FOUND)
			return KV_OK;
		if (status == KV_OK)
			status = basket_delete(c->kv, id);
		if (status != KV_OK)    /* the list names one that is not there: `check` */
			return status == KV_NOT_FOUND ? KV_IO : status;
	}
	return KV_OK;
}

/* A customer goes after his sessions and baskets: where they are too many for one request, he is
 * shut out meanwhile, and the answer is 202. */
enum call_result admin_customer_delete(struct call *c)
{
	struct print_cell cells[] = { { "deleted", PRINT_YES, { 0 }, 0 },
		                      { "sessions_ended", PRINT_NUMBER, { 0 }, 0 } };
	struct customer_record r = { 0 };
	enum call_result result;
	enum kv_status status;
	uint32_t ended;
	uint64_t id;
	bool left = true;

	if (!find(c, &r, &result))
		return result;
	id = r.id;
	r.flags |= CUSTOMER_DISABLED;
	status = shut_out(c, &r, &ended);
	if (status == KV_OK && ended < ADMIN_ENDED_MAX)
		status = delete_baskets(c, id, &left);
	if (status == KV_OK && !left)
		status = customer_get(c->kv, id, &r);   /* its strings have moved */
	if (status == KV_OK && !left)
		status = customer_delete(c->kv, &r);
	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	call_audit(c, left ? "customer_disabled" : "customer_deleted",
	           "customer=%llu sessions_ended=%u", (unsigned long long)id, ended);
	cells[0].number = !left;
	cells[1].number = ended;
	return admin_record(c, left ? HTTP_ACCEPTED : HTTP_OK, cells, COUNT_OF(cells));
}
