/* ocapi_customer.c -- /customers/auth: a token for a guest, a password, a session or another token;
 * and /customers.
 */
#include "log.h"
#include "ocapi.h"
#include "oscar.h"
#include "password.h"

#define BASIC_MAX 512           /* bytes of a login and password, joined and decoded */

static void put_member(struct buf *body, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	buf_lit(body, ",\"");
	buf_str(body, name);
	buf_lit(body, "\":");
	json_put_string(body, text);
}

/* The customer as OCAPI's document; `who` is NULL of a guest. */
static void put_customer(struct call *c, const struct session_owner *owner,
                         const struct customer_record *who)
{
	char id[RECORD_GUEST_ID_LEN], digits[20];
	struct buf *body = &c->response->body, number = BUF(digits);

	ocapi_put_head(c, "customer");
	put_member(body, "auth_type", who == NULL ? SLICE("guest") : SLICE("registered"));
	if (who != NULL) {
		buf_lit(body, ",\"creation_date\":");
		ocapi_put_time(body, who->joined_us);
	}
	put_member(body, "customer_id", call_customer_id(c, owner, id));
	if (who != NULL) {
		buf_uint(&number, who->id);
		put_member(body, "customer_no", buf_slice(&number));
		put_member(body, "email", who->email);
		buf_lit(body, ",\"enabled\":true");
		put_member(body, "first_name", who->first_name);
		put_member(body, "last_name", who->last_name);
		put_member(body, "login", who->login);
	}
	put_member(body, "preferred_locale", SLICE("default"));
	buf_char(body, '}');
}

static enum call_result show_customer(struct call *c, const struct session_owner *owner)
{
	struct customer_record who;
	enum kv_status status = KV_OK;

	if (owner->customer_id != 0)
		status = customer_get(c->kv, owner->customer_id, &who);
	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	put_customer(c, owner, owner->customer_id != 0 ? &who : NULL);
	return CALL_DONE;
}

/* A token for who it is, in the field where clients look for it, and his document. */
static enum call_result give_token(struct call *c, const struct session_owner *owner)
{
	char bytes[CALL_TOKEN_MAX];
	struct buf token = BUF(bytes);
	enum call_result result = call_start_token(c, owner, &token);

	if (result != CALL_DONE)
		return result;
	ocapi_begin(c, HTTP_OK);
	buf_lit(&c->response->fields, "Authorization: Bearer ");
	buf_put(&c->response->fields, buf_slice(&token));
	buf_lit(&c->response->fields, "\r\n");
	explicit_bzero(bytes, sizeof bytes);
	return show_customer(c, owner);
}

static enum call_result refuse_auth(struct call *c, const char *credential_type)
{
	return ocapi_fault(c, HTTP_UNAUTHORIZED, "AuthenticationFailed",
	                   "Customer authentication based on {credentialType} failed.",
	                   OCAPI_ARGUMENTS({ "credentialType", slice_of(credential_type) }));
}

static enum call_result auth_guest(struct call *c)
{
	struct session_owner owner;

	call_make_guest(c, &owner);
	return give_token(c, &owner);
}

/* Base64 of RFC 4648, section 4, with or without its padding. */
static bool decode_base64(struct slice text, struct buf *out)
{
	char url[(BASIC_MAX + 2) / 3 * 4];
	struct slice same = { url, text.len };
	bool good;

	if (text.len > sizeof url)
		return false;
	for (size_t i = 0; i < text.len; i++)
		url[i] = text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i];
	for (int i = 0; i < 2 && same.len > 0 && same.ptr[same.len - 1] == '='; i++)
		same.len--;
	good = base64url_decode(same, out);
	explicit_bzero(url, sizeof url);
	return good;
}

static enum call_result log_in(struct call *c, struct slice login, struct slice password)
{
	struct session_owner owner = { .customer_id = 0 };
	struct oscar_login l;
	enum kv_status status = KV_OK;

	switch (oscar_login_judge(c, login, password, &l)) {
	case OSCAR_LOGIN_ASK:
		return CALL_ASK;
	case OSCAR_LOGIN_STORE:
		return call_store(c, c->store_status);
	case OSCAR_LOGIN_WAIT:
		return ocapi_wait(c, l.wait_s);
	case OSCAR_LOGIN_WRONG:
		return refuse_auth(c, "credentials");
	case OSCAR_LOGIN_RIGHT:
		break;
	}
	owner.customer_id = l.who.id;
	if (l.new_hash.len > 0) {
		l.who.sealed_password = l.new_hash;
		status = customer_put(c->kv, &l.who);
	}
	return status == KV_OK ? give_token(c, &owner) : call_store(c, status);
}

static enum call_result auth_credentials(struct call *c)
{
	char bytes[BASIC_MAX];
	struct buf decoded = BUF(bytes);
	struct slice text = c->request->field[HTTP_AUTHORIZATION], password, login;
	enum call_result result;

	if (!slice_eq_nocase(slice_cut(&text, ' '), SLICE("Basic")) || !slice_given(text))
		return ocapi_fault(c, HTTP_BAD_REQUEST, "AuthorizationHeaderMissing",
		                   "An Authorization header with Basic credentials is missing.",
		                   NULL);
	if (!decode_base64(slice_trim(text), &decoded))
		return refuse_auth(c, "credentials");
	password = buf_slice(&decoded);
	login = slice_cut(&password, ':');
	result = slice_given(password) ? log_in(c, login, password)
	                               : refuse_auth(c, "credentials");
	explicit_bzero(bytes, sizeof bytes);
	return result;
}

bool ocapi_judge_bridge(struct call *c)
{
	if (c->config->enforce_https == CONFIG_OFF || c->identity.https)
		return true;
	ocapi_fault(c, HTTP_FORBIDDEN, "SecureCommunicationRequired",
	            "Sessions are bridged over HTTPS alone (setting enforce_https).", NULL);
	return false;
}

/* Where HTTPS is not enforced a dwsid counts with its secure token alone, and by a setting only
 * where that came once before over HTTPS. */
static bool session_counts(const struct call *c)
{
	const struct identity *id = &c->identity;

	if (id->via != VIA_DWSID)
		return false;
	if (c->config->enforce_https == CONFIG_ON)
		return true;
	return id->secure_token && (c->config->secure_token_seen == CONFIG_OFF ||
	                            (id->session.flags & SESSION_SECURE_SEEN) != 0);
}

static enum call_result auth_session(struct call *c)
{
	struct session_owner owner;

	if (!ocapi_judge_bridge(c))
		return CALL_DONE;
	if (!session_counts(c) || !call_owner(c, &owner))
		return refuse_auth(c, "session");
	return give_token(c, &owner);
}

static enum call_result auth_refresh(struct call *c)
{
	struct session_owner owner;

	if (!ocapi_shopper(c))
		return CALL_DONE;
	return call_owner(c, &owner) ? give_token(c, &owner) : refuse_auth(c, "refresh");
}

enum call_result ocapi_auth_post(struct call *c)
{
	static const struct ocapi_member members[] = { { "type", OCAPI_STRING, 0 } };
	static const struct {
		const char *type;
		call_handler *handler;
	} types[] = {
		{ "guest", auth_guest }, { "credentials", auth_credentials },
		{ "session", auth_session }, { "refresh", auth_refresh },
	};
	const json_t *body;
	struct slice type;

	if (!ocapi_document(c, "auth_request", members, COUNT_OF(members), &body))
		return CALL_DONE;
	type = jwt_string(body, "type");
	if (!slice_given(type))
		return ocapi_missing(c, "auth_request", "$", "type");
	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (slice_eq(type, slice_of(types[i].type)))
			return types[i].handler(c);
	return ocapi_fault(c, HTTP_BAD_REQUEST, "EnumConstraintViolation",
	                   "'{enumValue}' is no type of '{document}'.",
	                   OCAPI_ARGUMENTS({ "document", SLICE("auth_request") },
	                                   { "enumValue", type }));
}

/* The token that came, and the session behind it, end here. */
enum call_result ocapi_auth_delete(struct call *c)
{
	char shown[LOG_KEY_LEN];
	enum kv_status status;

	if (!ocapi_shopper(c))
		return CALL_DONE;
	call_audit(c, "logout", "session=%s via=token", log_key(shown, c->identity.session_key));
	ocapi_begin(c, HTTP_NO_CONTENT);
	status = session_end(c->kv, c->identity.session_key);
	return status == KV_OK || status == KV_NOT_FOUND ? CALL_DONE : call_store(c, status);
}

/* Who was signed in elsewhere; an API key of scope `login` says so. */
enum call_result ocapi_auth_trusted(struct call *c)
{
	static const struct ocapi_member members[] = {
		{ "client_id", OCAPI_STRING, 0 }, { "login", OCAPI_STRING, 0 },
	};
	const struct identity *id = &c->identity;
	struct session_owner owner = { .customer_id = 0 };
	struct customer_record who;
	const json_t *body;
	enum kv_status status;

	if ((id->key_scopes & SCOPE_LOGIN) == 0)
		return ocapi_fault(c, HTTP_FORBIDDEN, "ClientAccessForbidden",
		                   "{method} {path} takes an API key of scope login.",
		                   OCAPI_ARGUMENTS({ "method", c->request->method_name },
		                                   { "path", c->request->path }));
	if (!ocapi_document(c, "trusted_system_auth_request", members, COUNT_OF(members), &body))
		return CALL_DONE;
	for (size_t i = 0; i < COUNT_OF(members); i++)
		if (!slice_given(jwt_string(body, members[i].name)))
			return ocapi_missing(c, "trusted_system_auth_request", "$",
			                     members[i].name);
	if (!slice_eq(jwt_string(body, "client_id"),
	              (struct slice){ id->client_id, id->client_id_len }))
		return ocapi_fault(c, HTTP_BAD_REQUEST, "InvalidClientId",
		                   "The client id '{clientId}' is not the request's.",
		                   OCAPI_ARGUMENTS({ "clientId", jwt_string(body, "client_id") }));
	status = customer_find(c->kv, jwt_string(body, "login"), &who);
	if (status == KV_NOT_FOUND || (status == KV_OK && (who.flags & CUSTOMER_DISABLED) != 0))
		return refuse_auth(c, "trustedsystem");
	if (status != KV_OK)
		return call_store(c, status);
	owner.customer_id = who.id;
	return give_token(c, &owner);
}

/* --- Customers. --- */

static const struct ocapi_member profile_members[] = {
	{ "email", OCAPI_STRING, RECORD_TEXT_MAX },
	{ "first_name", OCAPI_STRING, RECORD_TEXT_MAX },
	{ "last_name", OCAPI_STRING, RECORD_TEXT_MAX },
	{ "login", OCAPI_STRING, RECORD_LOGIN_MAX },
	/* Read-only: passed over, so that a document can come back. */
	{ "auth_type", OCAPI_ANY, 0 },
	{ "creation_date", OCAPI_ANY, 0 },
	{ "customer_id", OCAPI_ANY, 0 },
	{ "customer_no", OCAPI_ANY, 0 },
	{ "enabled", OCAPI_ANY, 0 },
	{ "last_modified", OCAPI_ANY, 0 },
	{ "preferred_locale", OCAPI_ANY, 0 },
};

static enum call_result bad_profile(struct call *c, const char *type, const char *message)
{
	return ocapi_fault(c, HTTP_BAD_REQUEST, type, message, NULL);
}

/* An address leads to one customer at his login: it is not given twice here. */
static enum kv_status find_other(struct call *c, struct slice email, uint64_t own, bool *taken)
{
	uint64_t ids[2];
	uint32_t count = 0;
	enum kv_status status = customer_candidates(c->kv, email, ids, COUNT_OF(ids), &count);

	*taken = false;
	for (uint32_t i = 0; i < count; i++)
		*taken = *taken || ids[i] != own;
	return status;
}

/* What is wrong with a registration; CALL_ASK: nothing. */
static enum call_result judge_registration(struct call *c, const json_t *customer,
                                           struct slice password)
{
	static const struct {
		const char *name, *type;
	} required[] = {
		{ "login", "MissingLogin" }, { "email", "MissingEmail" },
		{ "last_name", "MissingLastName" },
	};
	struct slice email = jwt_string(customer, "email");
	char weak[256];
	struct buf list = BUF(weak);

	for (size_t i = 0; i < COUNT_OF(required); i++)
		if (jwt_string(customer, required[i].name).len == 0)
			return ocapi_fault(c, HTTP_BAD_REQUEST, required[i].type,
			                   "The customer's {property} is missing.",
			                   OCAPI_ARGUMENTS({ "property",
			                                     slice_of(required[i].name) }));
	if (password.len == 0)
		return bad_profile(c, "MissingPassword", "The password is missing.");
	if (!ocapi_email_valid(email))
		return bad_profile(c, "InvalidEmail", "The e-mail address is invalid.");
	oscar_judge_password(password, email, &list);
	if (list.len > 0)
		return bad_profile(c, "InvalidPassword", "The password is too weak.");
	return CALL_ASK;
}

static enum call_result add_customer(struct call *c, struct customer_record *who,
                                     struct slice password)
{
	struct session_owner owner = { .customer_id = 0 };
	struct customer_record other;
	bool taken = false;
	enum kv_status status = customer_find(c->kv, who->login, &other);

	if (status == KV_OK) {
		oscar_register_count(c);
		return ocapi_fault(c, HTTP_BAD_REQUEST, "LoginAlreadyInUse",
		                   "The login '{login}' is already in use.",
		                   OCAPI_ARGUMENTS({ "login", who->login }));
	}
	if (status == KV_NOT_FOUND)
		status = find_other(c, who->email, 0, &taken);
	if (status == KV_OK && taken) {
		oscar_register_count(c);
		return bad_profile(c, "InvalidEmail", "The e-mail address is in use.");
	}
	if (status == KV_OK)
		status = customer_next_id(c->kv, &who->id);
	if (status != KV_OK)
		return call_store(c, status);
	if (!call_ask_hash(c, c->config->password_iterations, who->id, password,
	                   &who->sealed_password))
		return CALL_ASK;
	if (who->sealed_password.len == 0 || customer_add(c->kv, who, &status) != CUSTOMER_OK)
		return call_store(c, status == KV_OK ? KV_IO : status);
	oscar_register_count(c);
	owner.customer_id = who->id;
	call_audit(c, "customer_added", "customer=%llu", (unsigned long long)who->id);
	ocapi_begin(c, HTTP_OK);
	put_customer(c, &owner, who);
	return CALL_DONE;
}

/* A guest becomes a customer; the token stays the guest's, and the customer logs in next. */
enum call_result ocapi_customer_post(struct call *c)
{
	static const struct ocapi_member members[] = {
		{ "customer", OCAPI_OBJECT, 0 }, { "password", OCAPI_STRING, 128 },
	};
	struct customer_record who = { .joined_us = c->now_us };
	const json_t *body, *customer;
	enum call_result result;
	uint32_t wait;

	if (!ocapi_shopper(c))
		return CALL_DONE;
	if (c->config->registers == CONFIG_OFF)
		return ocapi_fault(c, HTTP_FORBIDDEN, "ClientAccessForbidden",
		                   "Nobody is registered here (setting register).", NULL);
	if (c->identity.kind == IDENTITY_CUSTOMER)
		return bad_profile(c, "CustomerAlreadyRegistered",
		                   "The customer is registered already.");
	if ((wait = oscar_register_wait(c)) > 0)
		return ocapi_wait(c, wait);
	if (!ocapi_document(c, "customer_registration", members, COUNT_OF(members), &body))
		return CALL_DONE;
	customer = json_object_get(body, "customer");
	if (!json_is_object(customer))
		return ocapi_missing(c, "customer_registration", "$", "customer");
	if (!ocapi_check(c, customer, "customer", "$.customer", profile_members,
	                 COUNT_OF(profile_members)))
		return CALL_DONE;
	result = judge_registration(c, customer, jwt_string(body, "password"));
	if (result != CALL_ASK)
		return result;
	who.login = jwt_string(customer, "login");
	who.email = jwt_string(customer, "email");
	who.first_name = jwt_string(customer, "first_name");
	who.last_name = jwt_string(customer, "last_name");
	if (customer_judge(&who) != CUSTOMER_OK)
		return bad_profile(c, "InvalidLogin", "The login or a name is invalid.");
	return add_customer(c, &who, jwt_string(body, "password"));
}

/* A shopper knows himself alone. False: c->response is the fault. */
static bool may_see(struct call *c, struct session_owner *owner)
{
	char id[RECORD_GUEST_ID_LEN];

	if (!ocapi_shopper(c))
		return false;
	if (call_owner(c, owner) && slice_eq(c->arg[1], call_customer_id(c, owner, id)))
		return true;
	ocapi_other_customer(c);
	return false;
}

enum call_result ocapi_customer_get(struct call *c)
{
	struct session_owner owner;

	if (!may_see(c, &owner))
		return CALL_DONE;
	ocapi_begin(c, HTTP_OK);
	return show_customer(c, &owner);
}

/* Null removes; what did not come stays. */
static void take_text(const json_t *document, const char *name, struct slice *text)
{
	if (json_object_get(document, name) == NULL)
		return;
	*text = jwt_string(document, name);
	if (!slice_given(*text))
		*text = SLICE("");
}

/* The document over what is stored. CALL_ASK: it may be put; else the handler's result. */
static enum call_result change_profile(struct call *c, const json_t *document,
                                       struct customer_record *who)
{
	struct slice email = who->email, login = jwt_string(document, "login");
	enum kv_status status = KV_OK;
	bool taken = false;

	if (json_object_get(document, "login") != NULL && !slice_eq(login, who->login))
		return ocapi_fault(c, HTTP_BAD_REQUEST, "PropertyNotPermitted",
		                   "The '{property}' of a '{document}' does not change.",
		                   OCAPI_ARGUMENTS({ "property", SLICE("login") },
		                                   { "document", SLICE("customer") }));
	take_text(document, "email", &who->email);
	take_text(document, "first_name", &who->first_name);
	take_text(document, "last_name", &who->last_name);
	if (!slice_eq(email, who->email)) {
		if (who->email.len == 0)
			return bad_profile(c, "MissingEmail", "The e-mail address is missing.");
		if (ocapi_email_valid(who->email))
			status = find_other(c, who->email, who->id, &taken);
		if (status != KV_OK)
			return call_store(c, status);
		if (taken || !ocapi_email_valid(who->email))
			return bad_profile(c, "InvalidEmail", taken
			                   ? "The e-mail address is in use."
			                   : "The e-mail address is invalid.");
	}
	if (customer_judge(who) != CUSTOMER_OK)
		return bad_profile(c, "ValueConstraintViolation", "The e-mail address or a name is "
		                   "too long, or no text.");
	return CALL_ASK;
}

/* One's own profile; a guest has none. */
enum call_result ocapi_customer_patch(struct call *c)
{
	struct session_owner owner;
	struct customer_record who;
	const json_t *body;
	enum call_result result;
	enum kv_status status;

	if (!may_see(c, &owner))
		return CALL_DONE;
	if (owner.customer_id == 0)
		return ocapi_other_customer(c);
	if (!ocapi_document(c, "customer", profile_members, COUNT_OF(profile_members), &body))
		return CALL_DONE;
	status = customer_get(c->kv, owner.customer_id, &who);
	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	result = change_profile(c, body, &who);
	if (result != CALL_ASK)
		return result;
	ocapi_begin(c, HTTP_OK);
	put_customer(c, &owner, &who);
	status = customer_put(c->kv, &who);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}
