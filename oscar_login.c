/* oscar_login.c -- /api/login/: who is logged in, login, logout. */
#include "oscar.h"
#include "password.h"

/* What the original's models allow, in characters (django.contrib.auth.models). */
#define USERNAME_CHARS 150
#define PASSWORD_CHARS 128

/* Throttle kinds of this file. */
enum { THROTTLE_LOGIN = 'l', THROTTLE_ADDRESS = 'a' };

enum call_result oscar_login_get(struct call *c)
{
	return c->identity.kind == IDENTITY_CUSTOMER ? oscar_user_show(c)
	                                             : oscar_method_error(c);
}

enum call_result oscar_login_delete(struct call *c)
{
	enum kv_status status;

	oscar_begin_bare(c, HTTP_OK);
	buf_lit(&c->response->body, "\"\"");
	status = call_log_out(c);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* Failed logins count per (login, address) and per address. A trusted app that forwards no
 * address stands for all its shoppers: there only the login counts. */
struct throttle_names {
	bool by_address;
	struct slice login, address;
	char bytes[sizeof(struct address) + OSCAR_TEXT_BYTES];
};

static void throttle_names(const struct call *c, struct slice login, struct throttle_names *n)
{
	const struct identity *id = &c->identity;
	struct address line = address_line(&id->address);
	struct buf name = BUF(n->bytes);

	n->by_address = id->forwarded || id->client == NULL ||
	                (id->client->scopes & SCOPE_TRUSTED) == 0;
	if (!n->by_address)
		line = (struct address){ { 0 } };
	buf_put(&name, slice_bytes(line.bytes, sizeof line.bytes));
	n->address = buf_slice(&name);
	/* An address counts whatever its case: else each spelling had tries of its own. */
	for (size_t i = 0; i < login.len; i++)
		buf_char(&name, byte_lower(login.ptr[i]));
	n->login = buf_slice(&name);
}

static uint32_t address_wait(const struct call *c, const struct throttle_names *n)
{
	const struct config_rate *rate = &c->config->login_throttle_address;

	if (!n->by_address || rate->count == 0)
		return 0;
	return throttle_wait_s(c->throttle, THROTTLE_ADDRESS, n->address, rate->count,
	                       c->now_us / 1000);
}

static uint32_t throttle_wait(const struct call *c, const struct throttle_names *n)
{
	const struct config_rate *rate = &c->config->login_throttle;
	uint32_t wait = 0, other = address_wait(c, n);

	if (rate->count > 0)
		wait = throttle_wait_s(c->throttle, THROTTLE_LOGIN, n->login, rate->count,
		                       c->now_us / 1000);
	return wait > other ? wait : other;
}

static void count_address(struct call *c, const struct throttle_names *n)
{
	if (n->by_address)
		throttle_bump(c->throttle, THROTTLE_ADDRESS, n->address,
		              c->config->login_throttle_address.window_s, c->now_us / 1000);
}

static void throttle_failed(struct call *c, const struct throttle_names *n)
{
	throttle_bump(c->throttle, THROTTLE_LOGIN, n->login, c->config->login_throttle.window_s,
	              c->now_us / 1000);
	count_address(c, n);
}

uint32_t oscar_register_wait(const struct call *c)
{
	struct throttle_names names;

	throttle_names(c, (struct slice){ 0 }, &names);
	return address_wait(c, &names);
}

void oscar_register_count(struct call *c)
{
	struct throttle_names names;

	throttle_names(c, (struct slice){ 0 }, &names);
	count_address(c, &names);
}

/* Asks for the verdict on (customer, password). Nobody, a disabled customer and one without
 * a password cost the same as a wrong password. False: not answered yet. */
static bool check_password(struct call *c, const struct customer_record *who, bool known,
                           struct slice password, struct slice *answer)
{
	call_question_begin(c, ASK_PASSWORD);
	call_password_question_write(&c->question, c->config->password_iterations,
	                             known ? who->id : 0,
	                             known ? who->sealed_password : (struct slice){ 0 }, password);
	return call_ask(c, answer);
}

/* One transaction with one outcome: ANON becomes AUTH, or a cookie session starts. */
static enum call_result upgrade(struct call *c, struct customer_record *who,
                                struct slice new_hash)
{
	struct call_login login;
	enum kv_status status = KV_OK;

	oscar_begin_bare(c, HTTP_OK);
	call_begin_login(c, &login);
	buf_lit(&c->response->body, "\"\"");
	if (new_hash.len > 0) {
		who->sealed_password = new_hash;
		status = customer_put(c->kv, who);
	}
	if (status == KV_OK)
		status = call_log_in(c, &login, who->id);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

static enum call_result invalid_login(struct call *c)
{
	struct oscar_errors e = { .body = &c->response->body };

	oscar_errors_add(&e, "non_field_errors", "invalid login");
	return oscar_errors_end(c, &e, HTTP_UNAUTHORIZED);
}

/* Asks about one candidate after the other, until the password is one's. Nobody is asked about as
 * if he were one. CALL_ASK: not answered yet; CALL_DONE: `*right` says whether one was found. */
static enum call_result find_user(struct call *c, struct slice name, struct slice password,
                                  struct customer_record *who, struct slice *answer, bool *right)
{
	uint64_t ids[CALL_PASSWORDS_MAX];
	uint32_t count;
	enum kv_status status = customer_candidates(c->kv, name, ids, CALL_PASSWORDS_MAX, &count);
	bool known = status == KV_OK && count > 0;

	*right = false;
	for (uint32_t i = 0; status == KV_OK && i < (known ? count : 1) && !*right; i++) {
		if (known && (status = customer_get(c->kv, ids[i], who)) != KV_OK)
			break;
		if (!check_password(c, who, known && (who->flags & CUSTOMER_DISABLED) == 0,
		                    password, answer))
			return CALL_ASK;
		*right = answer->len > 0 && answer->ptr[0] == PASSWORD_RIGHT;
	}
	if (status == KV_NOT_FOUND)
		status = KV_IO;         /* an index leads to nobody */
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum oscar_login_verdict oscar_login_judge(struct call *c, struct slice username,
                                           struct slice password, struct oscar_login *l)
{
	struct throttle_names names;
	struct slice answer;
	enum call_result result;
	bool right;

	l->who = (struct customer_record){ .id = 0 };
	throttle_names(c, username, &names);
	if ((l->wait_s = throttle_wait(c, &names)) > 0)
		return OSCAR_LOGIN_WAIT;
	result = find_user(c, username, password, &l->who, &answer, &right);
	if (result != CALL_DONE)
		return result == CALL_ASK ? OSCAR_LOGIN_ASK : OSCAR_LOGIN_STORE;
	if (!right) {
		throttle_failed(c, &names);
		return OSCAR_LOGIN_WRONG;
	}
	throttle_clear(c->throttle, THROTTLE_LOGIN, names.login);
	l->new_hash = slice_skip(answer, 1);
	return OSCAR_LOGIN_RIGHT;
}

static enum call_result log_in(struct call *c, struct slice username, struct slice password)
{
	struct oscar_login l;

	switch (oscar_login_judge(c, username, password, &l)) {
	case OSCAR_LOGIN_ASK:
		return CALL_ASK;
	case OSCAR_LOGIN_STORE:
		return call_store(c, c->store_status);
	case OSCAR_LOGIN_WAIT:
		return oscar_throttled(c, l.wait_s);
	case OSCAR_LOGIN_WRONG:
		return invalid_login(c);
	case OSCAR_LOGIN_RIGHT:
		break;
	}
	if (c->identity.kind == IDENTITY_CUSTOMER)
		return oscar_error(c, HTTP_METHOD_NOT_ALLOWED, "Session is in use, log out first");
	return upgrade(c, &l.who, l.new_hash);
}

enum call_result oscar_login_post(struct call *c)
{
	struct oscar_text username = { .name = "username", .max_chars = USERNAME_CHARS };
	struct oscar_text password = { .name = "password", .max_chars = PASSWORD_CHARS };
	struct oscar_errors e = { .body = &c->response->body };
	struct oscar_form form;
	enum call_result result;

	if (c->identity.via == VIA_TOKEN)       /* beside a token no cookie is set (S04) */
		return oscar_error(c, HTTP_BAD_REQUEST, "A login starts from a Session-Id or a "
		                   "cookie: send no token.");
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL) {
		oscar_errors_add(&e, "non_field_errors", form.error);
	} else {
		oscar_form_text(&form, &username, &e);
		oscar_form_text(&form, &password, &e);
	}
	if (e.count > 0)
		return oscar_errors_end(c, &e, HTTP_UNAUTHORIZED);
	result = log_in(c, username.value, password.value);
	explicit_bzero(&password, sizeof password);
	return result;
}
