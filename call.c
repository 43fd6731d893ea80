/* call.c -- see call.h. */
#include <assert.h>
#include <bearssl.h>
#include <stdarg.h>
#include <stdio.h>

#include "call.h"
#include "json.h"
#include "log.h"
#include "signing.h"

enum call_result call_store(struct call *c, enum kv_status status)
{
	assert(status != KV_OK && status != KV_NOT_FOUND);
	c->store_status = status;
	return CALL_STORE;
}

void call_random(const struct call *c, const char *label, uint8_t *out, size_t len)
{
	br_hkdf_context hkdf;

	br_hkdf_init(&hkdf, &br_sha256_vtable, BR_HKDF_NO_SALT, 0);
	br_hkdf_inject(&hkdf, c->random, sizeof c->random);
	br_hkdf_flip(&hkdf);
	br_hkdf_produce(&hkdf, label, strlen(label), out, len);
	explicit_bzero(&hkdf, sizeof hkdf);
}

void call_question_begin(struct call *c, enum call_question_kind kind)
{
	c->question_kind = (uint8_t)kind;
	c->question.len = 0;
	c->question.full = false;
}

bool call_ask(struct call *c, struct slice *answer)
{
	struct slice question = buf_slice(&c->question);

	assert(!c->question.full);
	for (size_t i = 0; i < c->answer_count; i++) {
		const struct call_answer *a = &c->answers[i];

		if (a->kind == c->question_kind && slice_eq(a->question, question)) {
			*answer = a->answer;
			return true;
		}
	}
	return false;
}

enum call_result call_problem(struct call *c, enum http_status status, const char *code,
                              const char *detail)
{
	struct http_response *r = c->response;

	r->status = status;
	http_field_lit(r, "Content-Type: application/problem+json");
	http_field_lit(r, "Cache-Control: no-store");
	call_put_echo(c);
	buf_lit(&r->body, "{\"type\":\"about:blank\",\"title\":");
	json_put_string(&r->body, slice_of(http_reason(status)));
	buf_lit(&r->body, ",\"status\":");
	buf_uint(&r->body, (uint64_t)status);
	buf_lit(&r->body, ",\"detail\":");
	json_put_string(&r->body, slice_of(detail));
	if (code != NULL) {
		buf_lit(&r->body, ",\"code\":");
		json_put_string(&r->body, slice_of(code));
	}
	buf_char(&r->body, '}');
	return CALL_DONE;
}

/* A key's name is visible ASCII, but may hold quotes. */
void call_audit(struct call *c, const char *event, const char *fmt, ...)
{
	char name[RECORD_NAME_MAX * 4 + 3];
	const struct client_record *client = c->identity.client;
	size_t room = sizeof c->audit, len;
	va_list fields;

	log_quote(name, sizeof name, client != NULL ? client->name : SLICE("-"));
	len = (size_t)snprintf(c->audit, room, "%s key=%s ", event, name);
	if (len >= room)
		return;
	va_start(fields, fmt);
	vsnprintf(c->audit + len, room - len, fmt, fields);
	va_end(fields);
}

void call_audit_session(struct call *c, const char *event, uint64_t customer_id,
                        const uint8_t key[RECORD_SESSION_KEY_LEN], enum record_via via)
{
	char shown[LOG_KEY_LEN], text[ADDRESS_TEXT_MAX];
	struct buf address = BUF(text);

	address_write(&address, &c->identity.address);
	call_audit(c, event, "customer=%llu session=%s via=%s address=%.*s",
	           (unsigned long long)customer_id, log_key(shown, key),
	           identity_via_text(via), (int)address.len, address.ptr);
}

void call_put_session_id(struct call *c, enum sid_type type)
{
	struct buf *fields = &c->response->fields;

	assert(c->identity.has_sid);
	buf_lit(fields, "Session-Id: ");
	sid_write(fields, &c->identity.sid, type);
	buf_lit(fields, "\r\n");
}

void call_put_echo(struct call *c)
{
	if (!c->identity.has_sid)
		return;
	call_put_session_id(c, c->identity.sid.type);
	http_field_lit(c->response, "Vary: Session-Id");
}

#define COOKIE_AGE_MAX  (400u * 86400)  /* browsers cut longer ones (requirement K04) */
#define CSRF_AGE_S      31449600        /* a year, as Django's */

/* `localhost`, a name below it, or a loopback address. */
static bool host_is_loopback(struct slice authority)
{
	struct slice name = http_host_name(authority), localhost = SLICE("localhost");
	struct address a;

	if (address_parse(name, &a))
		return address_is_loopback(&a);
	if (name.len < localhost.len)
		return false;
	if (name.len > localhost.len && name.ptr[name.len - localhost.len - 1] != '.')
		return false;
	return slice_eq_nocase(slice_skip(name, name.len - localhost.len), localhost);
}

static bool cookie_is_secure(const struct call *c)
{
	if (c->config->cookie_secure == COOKIE_SECURE_AUTO)
		return c->identity.https || !host_is_loopback(c->identity.authority);
	return c->config->cookie_secure == COOKIE_SECURE_ON;
}

/* Max-Age 0 deletes: the other attributes must then be those that it was set with (K08). */
static void put_cookie(struct call *c, const char *name, struct slice value, uint64_t max_age_s,
                       bool http_only)
{
	static const char *const samesite[] = {
		[SAMESITE_LAX] = "Lax", [SAMESITE_STRICT] = "Strict", [SAMESITE_NONE] = "None",
	};
	struct buf *fields = &c->response->fields;

	buf_lit(fields, "Set-Cookie: ");
	buf_str(fields, name);
	buf_char(fields, '=');
	buf_put(fields, value);
	buf_lit(fields, "; Path=/; Max-Age=");
	buf_uint(fields, max_age_s < COOKIE_AGE_MAX ? max_age_s : COOKIE_AGE_MAX);
	if (c->config->cookie_domain[0] != '\0') {
		buf_lit(fields, "; Domain=");
		buf_str(fields, c->config->cookie_domain);
	}
	if (cookie_is_secure(c))
		buf_lit(fields, "; Secure");
	if (http_only)
		buf_lit(fields, "; HttpOnly");
	buf_lit(fields, "; SameSite=");
	buf_str(fields, samesite[c->config->cookie_samesite]);
	buf_lit(fields, "\r\n");
}

/* A new cookie session: its id, which nobody else knows, its key, its cookie. */
static void make_cookie_session(struct call *c, struct call_login *login)
{
	struct buf id = BUF(login->id);

	static_assert(sizeof c->random == SESSION_ID_BYTES, "one id of one draw");
	login->via = VIA_COOKIE;
	buf_base64url(&id, c->random, sizeof c->random, SESSION_ID_CHARS);
	session_cookie_key(c->sid_secret, buf_slice(&id), login->key);
	put_cookie(c, c->config->cookie_name, buf_slice(&id), c->config->session_max_s, true);
}

/* Makes the token of the session `key`, and its cookie unless it came. */
static struct slice make_csrf(struct call *c, char out[SESSION_ID_CHARS],
                              const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	const char *name = c->config->csrf_cookie_name;
	struct buf token = { out, 0, SESSION_ID_CHARS, false };
	struct slice came;

	session_put_csrf_token(&token, c->sid_secret, key);
	if (http_cookie_find(c->request, slice_of(name), &came) != 1 ||
	    !slice_eq_secret(came, buf_slice(&token)))
		put_cookie(c, name, buf_slice(&token), CSRF_AGE_S, false);
	return buf_slice(&token);
}

struct slice call_renew_csrf(struct call *c, char out[SESSION_ID_CHARS])
{
	const struct identity *id = &c->identity;

	if ((id->via != VIA_COOKIE && id->via != VIA_DWSID) || id->kind != IDENTITY_CUSTOMER ||
	    !identity_page_is_known(c->config, c->request, id))
		return (struct slice){ 0 };
	return make_csrf(c, out, id->session_key);
}

void call_begin_login(struct call *c, struct call_login *login)
{

	if (c->identity.has_sid) {
		login->via = VIA_HEADER;
		sid_key(&c->identity.sid, SID_AUTH, c->sid_secret, login->key);
		call_put_session_id(c, SID_AUTH);
		return;
	}
	make_cookie_session(c, login);
	make_csrf(c, login->csrf, login->key);
}

enum kv_status call_keep_guest(struct call *c, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	const struct identity *id = &c->identity;
	struct session_record s;
	struct call_login made = { .via = VIA_HEADER };
	enum kv_status status = KV_NOT_FOUND;

	if (id->kind == IDENTITY_NONE) {
		make_cookie_session(c, &made);
	} else {
		identity_owner_key(id, c->sid_secret, made.key);
		status = session_find(c->kv, made.key, call_now_s(c), &s);
	}
	memcpy(key, made.key, sizeof made.key);
	if (status != KV_NOT_FOUND)
		return status;
	return session_start(c->kv, c->config, key, 0, made.via, call_now_s(c));
}

#define BASKET_COOKIE       "oscar_open_basket"
#define BASKET_COOKIE_AGE_S 604800      /* OSCAR_BASKET_COOKIE_LIFETIME */

static bool speaks_cookies(const struct call *c)
{
	return c->config->basket_cookie == CONFIG_ON && !c->identity.has_sid && !c->identity.bearer;
}

bool call_basket_cookie(const struct call *c, uint64_t *id)
{
	struct slice text, value;
	uint32_t count;

	*id = 0;
	if (!speaks_cookies(c))
		return false;
	count = http_cookie_find(c->request, SLICE(BASKET_COOKIE), &text);
	if (count == 1 && (!signing_read(text, c->sid_secret, SLICE(SIGNING_SALT_PLAIN), &value) ||
	                   !slice_uint(value, UINT64_MAX, id)))
		*id = 0;
	return count > 0;
}

static enum kv_status find_open(struct call *c, uint64_t id, struct basket *b)
{
	enum kv_status status = id == 0 ? KV_NOT_FOUND :
	                        basket_get(c->kv, id, call_now_s(c), b);

	return status == KV_OK && b->status != BASKET_OPEN ? KV_NOT_FOUND : status;
}

/* The basket that the cookie names, if it is nobody's and open. A cookie that leads nowhere is
 * to go, whoever sent it. */
static enum kv_status find_carried(struct call *c, struct basket *b)
{
	uint64_t id;
	enum kv_status status;

	if (!call_basket_cookie(c, &id))
		return KV_NOT_FOUND;
	status = find_open(c, id, b);
	if (status == KV_OK && b->customer_id != 0)
		status = KV_NOT_FOUND;
	c->basket_cookie_stale |= status == KV_NOT_FOUND;
	return status == KV_OK && c->identity.kind == IDENTITY_CUSTOMER ? KV_NOT_FOUND : status;
}

static enum kv_status find_own(struct call *c, struct basket *b)
{
	return find_open(c, c->identity.recorded ? c->identity.session.basket_id : 0, b);
}

enum kv_status call_put_basket(struct call *c, struct basket *b, bool changed)
{
	enum kv_status status = basket_put(c->kv, c->config, b, changed, c->now_us);

	return status == KV_OK ? session_refer_basket(c->kv, b, b->status == BASKET_OPEN) : status;
}

enum kv_status call_delete_basket(struct call *c, const struct basket *b)
{
	enum kv_status status = session_refer_basket(c->kv, b, false);

	c->basket_cookie_stale |= c->basket_cookie == b->id;
	c->basket_cookie = 0;
	return status == KV_OK ? basket_delete(c->kv, b->id) : status;
}

enum kv_status call_other_open(struct call *c, const struct basket *b, struct basket *other)
{
	struct customer_record who;
	struct session_record s;
	uint64_t id = 0;
	enum kv_status status;

	if (b->customer_id != 0) {
		status = customer_get(c->kv, b->customer_id, &who);
		id = status == KV_OK ? who.basket_id : 0;
	} else {
		status = session_find(c->kv, b->guest, call_now_s(c), &s);
		id = status == KV_OK ? s.basket_id : 0;
	}
	if (status != KV_OK)
		return status;
	return id == b->id ? KV_NOT_FOUND : find_open(c, id, other);
}

static struct basket_change change_of(const struct call *c)
{
	return (struct basket_change){ .kv = c->kv, .config = c->config, .now_us = c->now_us };
}

/* Merges `from` into `into` and puts both. */
static enum kv_status merge(struct call *c, struct basket *into, struct basket *from,
                            struct basket_left *left)
{
	struct basket_change change = change_of(c);
	enum kv_status status = basket_merge(into, from, &change, left);

	if (status == KV_OK)
		status = call_put_basket(c, from, true);
	return status == KV_OK ? call_put_basket(c, into, true) : status;
}

/* The basket of the cookie is the one of the guest's session too, from now on, and no longer of
 * another one that had it: with that it would end. What the session had before is merged into
 * it. */
static enum kv_status adopt(struct call *c, struct basket *carried)
{
	struct identity *id = &c->identity;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct basket_left left;
	struct basket own;
	enum kv_status status;

	if (!id->recorded || id->session.basket_id == carried->id)
		return KV_OK;
	identity_owner_key(id, c->sid_secret, key);
	status = session_refer_basket(c->kv, carried, false);
	if (status == KV_OK)
		status = find_own(c, &own);
	memcpy(carried->guest, key, sizeof key);
	if (status == KV_OK)
		status = merge(c, carried, &own, &left);
	else if (status == KV_NOT_FOUND)
		status = call_put_basket(c, carried, false);
	id->session.basket_id = carried->id;
	return status;
}

/* A new one, and what leads to it: the customer's record, a guest's session, or the cookie
 * alone. */
static enum kv_status make_basket(struct call *c, struct basket *b)
{
	struct identity *id = &c->identity;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint64_t customer_id = id->kind == IDENTITY_CUSTOMER ? id->session.customer_id : 0;
	bool session = id->recorded || !speaks_cookies(c);
	enum kv_status status = KV_OK;

	if (customer_id == 0 && session)
		status = call_keep_guest(c, key);
	if (status == KV_OK)
		status = basket_make(c->kv, b, customer_id,
		                     customer_id == 0 && session ? key : NULL, c->now_us);
	if (status != KV_OK)
		return status;
	b->carried = customer_id == 0 && speaks_cookies(c);
	return call_put_basket(c, b, false);
}

/* A use by its owner: its expiry moves, and a visitor's cookie is given out anew. */
static enum kv_status use_basket(struct call *c, struct basket *b)
{
	bool carried = b->customer_id == 0 && b->status == BASKET_OPEN && speaks_cookies(c);
	bool due = basket_renewal_due(c->config, b, call_now_s(c)) || (carried && !b->carried);

	if (carried)
		c->basket_cookie = b->id;
	if (!due)
		return KV_OK;
	b->carried |= carried;
	return basket_put(c->kv, c->config, b, false, c->now_us);
}

enum kv_status call_open_basket(struct call *c, bool make, struct basket *b)
{
	enum kv_status status = find_carried(c, b);

	if (status == KV_OK)
		status = adopt(c, b);
	else if (status == KV_NOT_FOUND)
		status = find_own(c, b);
	if (status == KV_NOT_FOUND && make)
		status = make_basket(c, b);
	return status == KV_OK ? use_basket(c, b) : status;
}

/* True where the request itself shows that the basket is its sender's. */
static bool owns(const struct call *c, const struct basket *b)
{
	const struct identity *id = &c->identity;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint64_t carried;

	identity_owner_key(id, c->sid_secret, key);
	if (b->customer_id != 0)
		return id->kind == IDENTITY_CUSTOMER && id->session.customer_id == b->customer_id;
	if (id->kind == IDENTITY_CUSTOMER)
		return false;
	if (id->kind == IDENTITY_GUEST &&
	    slice_eq_secret(slice_bytes(key, sizeof key), slice_bytes(b->guest, sizeof b->guest)))
		return true;
	return call_basket_cookie(c, &carried) && carried == b->id;
}

enum call_access call_basket(struct call *c, uint64_t id, struct basket *b)
{
	const struct identity *who = &c->identity;
	bool trusted = who->client != NULL && (who->client->scopes & SCOPE_TRUSTED) != 0;
	bool nobody = who->kind == IDENTITY_NONE && c->request->cookie_lines == 0 &&
	              !slice_given(c->request->field[HTTP_SESSION_ID]);
	enum kv_status status = basket_get(c->kv, id, call_now_s(c), b);

	if (status == KV_NOT_FOUND || (status == KV_OK && b->status == BASKET_MERGED))
		return CALL_ABSENT;
	if (status == KV_OK && trusted && nobody)
		return CALL_ALLOWED;
	if (status == KV_OK && !owns(c, b))
		return b->status > BASKET_SAVED ? CALL_ABSENT : CALL_FORBIDDEN;
	if (status == KV_OK)
		status = use_basket(c, b);
	if (status != KV_OK) {
		c->store_status = status;
		return CALL_UNREADABLE;
	}
	return b->status > BASKET_SAVED && !trusted ? CALL_ABSENT : CALL_ALLOWED;
}

bool call_may(struct call *c, uint64_t id, struct basket *b, call_handler *absent,
              call_handler *forbidden, enum call_result *result)
{
	switch (call_basket(c, id, b)) {
	case CALL_ALLOWED:
		return true;
	case CALL_FORBIDDEN:
		*result = forbidden(c);
		return false;
	case CALL_ABSENT:
		*result = absent(c);
		return false;
	case CALL_UNREADABLE:
		break;
	}
	*result = call_store(c, c->store_status);
	return false;
}

void call_put_basket_cookie(struct call *c)
{
	char digits[24], text[24 + SIGNING_TEXT_LEN + 1];
	struct buf id = BUF(digits), value = BUF(text);

	if (c->basket_cookie != 0) {
		buf_uint(&id, c->basket_cookie);
		signing_write(&value, c->sid_secret, SLICE(SIGNING_SALT_PLAIN), buf_slice(&id));
		put_cookie(c, BASKET_COOKIE, buf_slice(&value), BASKET_COOKIE_AGE_S, true);
	} else if (c->basket_cookie_stale) {
		put_cookie(c, BASKET_COOKIE, SLICE(""), 0, true);
	}
}

/* `id=asked/kept`, a comma list; a product's id has no byte that would end one. */
static void put_left(struct call *c, uint64_t customer_id, const struct basket_left *left)
{
	struct buf *fields = &c->response->fields;
	uint32_t told = left->count < BASKET_LEFT_MAX ? left->count : BASKET_LEFT_MAX;

	if (left->count == 0)
		return;
	log_event(LOG_INFO, "basket_merge", "customer=%llu lines_cut=%u",
	          (unsigned long long)customer_id, left->count);
	buf_lit(fields, "X-Basket-Merge: ");
	for (uint32_t i = 0; i < told; i++) {
		if (i > 0)
			buf_char(fields, ',');
		buf_put(fields, left->of[i].product);
		buf_char(fields, '=');
		buf_uint(fields, left->of[i].asked);
		buf_char(fields, '/');
		buf_uint(fields, left->of[i].kept);
	}
	buf_lit(fields, "\r\n");
}

/* The customer's open basket, or a new one. */
static enum kv_status open_of_customer(struct call *c, uint64_t customer_id, struct basket *b)
{
	struct customer_record who;
	enum kv_status status = customer_get(c->kv, customer_id, &who);

	if (status == KV_OK)
		status = find_open(c, who.basket_id, b);
	if (status == KV_NOT_FOUND)
		status = basket_make(c->kv, b, customer_id, NULL, c->now_us);
	return status;
}

/* What the guest of this request has in his basket goes into the customer's. */
static enum kv_status merge_guest(struct call *c, uint64_t customer_id)
{
	struct basket from, into;
	struct basket_left left;
	enum kv_status status;

	if (c->identity.kind == IDENTITY_CUSTOMER)
		return KV_OK;
	status = call_open_basket(c, false, &from);
	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (from.line_count == 0)
		return call_delete_basket(c, &from);
	c->basket_cookie_stale |= c->basket_cookie != 0;
	c->basket_cookie = 0;
	status = open_of_customer(c, customer_id, &into);
	if (status == KV_OK)
		status = merge(c, &into, &from, &left);
	if (status == KV_OK)
		put_left(c, customer_id, &left);
	return status;
}

/* Under sid_grammar=migrate a login takes over what the original kept under the cut key, as its
 * own logins do: else a neighbour, whose key was cut to the same, would find it still. */
static enum kv_status end_original(struct call *c)
{
	const struct identity *id = &c->identity;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status;

	if (!id->has_sid || c->config->sid_grammar != SID_MIGRATE ||
	    !sid_original_key(c->request->field[HTTP_SESSION_ID], &id->sid, SID_AUTH,
	                      c->sid_secret, key))
		return KV_OK;
	status = session_end(c->kv, key);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status call_log_in(struct call *c, const struct call_login *login,
                           uint64_t customer_id)
{
	const struct identity *id = &c->identity;
	uint8_t guest[RECORD_SESSION_KEY_LEN];
	enum kv_status status = merge_guest(c, customer_id);

	if (status == KV_OK)
		status = end_original(c);
	if (status != KV_OK)
		return status;
	identity_owner_key(id, c->sid_secret, guest);
	call_audit_session(c, "login", customer_id, login->key, (enum record_via)login->via);
	return session_log_in(c->kv, c->config, id->kind == IDENTITY_GUEST ? guest : NULL,
	                      login->key, customer_id, login->via, call_now_s(c));
}

static enum kv_status drop_guest_basket(struct call *c)
{
	struct basket b;
	enum kv_status status = KV_NOT_FOUND;

	if (c->identity.kind != IDENTITY_CUSTOMER)
		status = call_open_basket(c, false, &b);
	if (status == KV_OK)
		status = call_delete_basket(c, &b);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum kv_status call_log_out(struct call *c)
{
	const struct identity *id = &c->identity;
	struct slice value;
	enum kv_status status = drop_guest_basket(c);

	if (!id->has_sid && !id->bearer &&
	    http_cookie_find(c->request, slice_of(c->config->cookie_name), &value) > 0)
		put_cookie(c, c->config->cookie_name, SLICE(""), 0, true);
	if (id->via == VIA_DWSID)
		call_put_dwsid(c, SLICE(""));
	if (id->kind == IDENTITY_CUSTOMER)
		call_audit_session(c, "logout", id->session.customer_id, id->session_key, id->via);
	if (status == KV_OK && id->kind != IDENTITY_NONE)
		status = session_end(c->kv, id->session_key);
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static void put_le(struct buf *out, uint64_t n, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_char(out, (char)(n >> 8 * i & 0xff));
}

static uint64_t get_le(const char *at, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n |= (uint64_t)(unsigned char)at[i] << 8 * i;
	return n;
}

void call_password_question_write(struct buf *out, uint32_t iterations, uint64_t customer_id,
                                  struct slice sealed, struct slice password)
{
	put_le(out, iterations, 4);
	put_le(out, customer_id, 8);
	put_le(out, sealed.len, 2);
	buf_put(out, sealed);
	buf_put(out, password);
}

bool call_password_question_read(struct slice in, uint32_t *iterations, uint64_t *customer_id,
                                 struct slice *sealed, struct slice *password)
{
	size_t sealed_len;

	if (in.len < 14)
		return false;
	*iterations = (uint32_t)get_le(in.ptr, 4);
	*customer_id = get_le(in.ptr + 4, 8);
	sealed_len = (size_t)get_le(in.ptr + 12, 2);
	in = slice_skip(in, 14);
	if (sealed_len > in.len)
		return false;
	*sealed = (struct slice){ in.ptr, sealed_len };
	*password = slice_skip(in, sealed_len);
	return true;
}

/* What a hasher needs to know of a key: not its times, which may change under the question. */
void call_signature_question_write(struct buf *out, const uint8_t digest[JWT_DIGEST_LEN],
                                   const struct token_key_record *key)
{
	struct token_key_record timeless = { .alg = key->alg, .kid = key->kid,
	                                     .public = key->public, .secret = key->secret };

	buf_put(out, slice_bytes(digest, JWT_DIGEST_LEN));
	record_token_key_write(out, &timeless);
}

bool call_signature_question_read(struct slice in, const uint8_t **digest,
                                  struct token_key_record *key)
{
	if (in.len < JWT_DIGEST_LEN)
		return false;
	*digest = (const uint8_t *)in.ptr;
	return record_token_key_read(slice_skip(in, JWT_DIGEST_LEN), key);
}

#define VERDICT_HEAD (1 + JWT_DIGEST_LEN + 4 + 2)

void call_verdict_question_write(struct buf *out, const struct jwt_key *key,
                                 const uint8_t digest[JWT_DIGEST_LEN], struct slice signature)
{
	put_le(out, key->alg, 1);
	buf_put(out, slice_bytes(digest, JWT_DIGEST_LEN));
	put_le(out, key->alg == JWT_RS256 ? key->exponent : 0, 4);
	put_le(out, signature.len, 2);
	buf_put(out, signature);
	buf_put(out, slice_bytes(key->bytes, key->len));
}

bool call_verdict_question_read(struct slice in, struct jwt_key *key, const uint8_t **digest,
                                struct slice *signature)
{
	size_t len;

	if (in.len < VERDICT_HEAD || (uint8_t)in.ptr[0] >= JWT_ALGS)
		return false;
	key->alg = (enum jwt_alg)in.ptr[0];
	*digest = (const uint8_t *)in.ptr + 1;
	key->exponent = (uint32_t)get_le(in.ptr + 1 + JWT_DIGEST_LEN, 4);
	len = (size_t)get_le(in.ptr + 1 + JWT_DIGEST_LEN + 4, 2);
	in = slice_skip(in, VERDICT_HEAD);
	if (len > in.len || in.len - len > sizeof key->bytes)
		return false;
	*signature = (struct slice){ in.ptr, len };
	in = slice_skip(in, len);
	key->kid_len = 0;
	key->len = in.len;
	memcpy(key->bytes, in.ptr, in.len);
	return true;
}

/* The first key of its algorithm, which signs at once. */
static enum call_result make_key(struct call *c, enum token_alg alg, struct token_key_record *key)
{
	struct slice answer;
	enum kv_status status;

	call_question_begin(c, ASK_TOKEN_KEY);
	put_le(&c->question, alg, 1);
	if (!call_ask(c, &answer))
		return CALL_ASK;
	if (!record_token_key_read(answer, key) || key->alg != alg)
		return call_store(c, KV_IO);
	status = token_add(c->kv, key, call_now_s(c), 0);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

static enum call_result sign_es256(struct call *c, const struct token_key_record *key,
                                   struct slice input, struct slice *signature)
{
	uint8_t digest[JWT_DIGEST_LEN];

	jwt_digest(input, digest);
	if (c->memo != NULL && identity_signature(c->memo, digest, signature))
		return CALL_DONE;
	call_question_begin(c, ASK_SIGNATURE);
	call_signature_question_write(&c->question, digest, key);
	if (!call_ask(c, signature))
		return CALL_ASK;
	return signature->len == JWT_ES256_LEN ? CALL_DONE : call_store(c, KV_IO);
}

static struct slice sign_hs256(const struct call *c, const struct token_key_record *key,
                               struct slice input, uint8_t mac[JWT_DIGEST_LEN])
{
	uint8_t secret[JWT_SECRET_LEN];

	token_secret(c->sid_secret, key, secret);
	jwt_sign_hs256(slice_bytes(secret, sizeof secret), input, mac);
	explicit_bzero(secret, sizeof secret);
	return slice_bytes(mac, JWT_DIGEST_LEN);
}

enum call_result call_sign(struct call *c, const struct call_token *token, struct buf *out)
{
	size_t start = out->len;
	uint8_t mac[JWT_DIGEST_LEN];
	struct token_key_record key;
	struct slice input, signature;
	enum call_result result = CALL_DONE;
	enum kv_status status = token_signer(c->kv, token->alg, call_now_s(c), &key);

	if (status == KV_NOT_FOUND)
		result = make_key(c, token->alg, &key);
	else if (status != KV_OK)
		return call_store(c, status);
	if (result != CALL_DONE)
		return result;
	jwt_write_input(out, token->alg == TOKEN_HS256 ? JWT_HS256 : JWT_ES256, key.kid,
	                token->typ, token->claims);
	input = (struct slice){ out->ptr + start, out->len - start };
	if (token->alg == TOKEN_HS256)
		signature = sign_hs256(c, &key, input, mac);
	else if ((result = sign_es256(c, &key, input, &signature)) != CALL_DONE)
		return result;
	jwt_write_signature(out, signature);
	status = token_used(c->kv, &key, call_now_s(c), token->life_s);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

bool call_owner(const struct call *c, struct session_owner *who)
{
	const struct session_record *s = &c->identity.session;

	who->customer_id = s->customer_id;
	if (s->guest_id.len == sizeof who->guest_id)
		memcpy(who->guest_id, s->guest_id.ptr, sizeof who->guest_id);
	return s->customer_id != 0 || s->guest_id.len == sizeof who->guest_id;
}

void call_make_guest(const struct call *c, struct session_owner *who)
{
	struct buf id = BUF(who->guest_id);
	uint8_t random[RECORD_GUEST_ID_LEN];

	who->customer_id = 0;
	call_random(c, "guest id", random, sizeof random);
	session_put_guest_id(&id, random);
}

struct slice call_customer_id(const struct call *c, const struct session_owner *who,
                              char out[RECORD_GUEST_ID_LEN])
{
	struct buf id = { out, 0, RECORD_GUEST_ID_LEN, false };

	if (who->customer_id != 0)
		session_put_customer_id(&id, c->sid_secret, who->customer_id);
	else
		buf_put(&id, (struct slice){ who->guest_id, sizeof who->guest_id });
	return buf_slice(&id);
}

/* The claims in OCAPI's order, then ours: `sid` is the session's key, which who holds the token
 * may know (ocapi.md, section 3). */
static void put_claims(struct buf *out, const struct call *c, const struct session_owner *who,
                       const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	const struct identity *id = &c->identity;
	char customer_id[RECORD_GUEST_ID_LEN];

	buf_lit(out, "{\"_v\":\"1\",\"exp\":");
	buf_uint(out, call_now_s(c) + c->config->token_ttl_s);
	buf_lit(out, ",\"iat\":");
	buf_uint(out, call_now_s(c));
	buf_lit(out, ",\"iss\":");
	json_put_string(out, (struct slice){ id->client_id, id->client_id_len });
	buf_lit(out, ",\"sub\":\"{\\\"_v\\\":\\\"1\\\",\\\"customer_info\\\":"
	        "{\\\"customer_id\\\":\\\"");
	buf_put(out, call_customer_id(c, who, customer_id));
	buf_lit(out, "\\\",\\\"guest\\\":");
	buf_str(out, who->customer_id != 0 ? "false" : "true");
	buf_lit(out, "}}\",\"sid\":\"");
	buf_hex(out, slice_bytes(key, RECORD_SESSION_KEY_LEN));
	buf_lit(out, "\",\"site\":");
	json_put_string(out, slice_of(c->config->site));
	buf_char(out, '}');
}

enum call_result call_start_token(struct call *c, const struct session_owner *who,
                                  struct buf *token)
{
	char bytes[CALL_TOKEN_MAX];
	struct buf claims = BUF(bytes);
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct call_token t = { .alg = (enum token_alg)c->config->token_alg, .typ = JWT_TYP_JWT,
	                        .life_s = c->config->token_ttl_s };
	enum call_result result;
	enum kv_status status;

	assert(c->identity.client_id_len > 0);
	call_random(c, "token session", key, sizeof key);
	put_claims(&claims, c, who, key);
	assert(!claims.full);
	t.claims = buf_slice(&claims);
	result = call_sign(c, &t, token);
	if (result != CALL_DONE)
		return result;
	if (who->customer_id != 0)
		call_audit_session(c, "login", who->customer_id, key, VIA_TOKEN);
	status = session_start_shown(c->kv, c->config, c->sid_secret, who, key, VIA_TOKEN,
	                             call_now_s(c));
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

enum kv_status call_start_dwsid(struct call *c, const struct session_owner *who,
                                struct buf *dwsid, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	uint8_t random[SESSION_DWSID_BYTES];
	size_t start = dwsid->len;

	call_random(c, "dwsid", random, sizeof random);
	buf_base64url(dwsid, random, sizeof random, SESSION_DWSID_CHARS - 2);
	buf_lit(dwsid, "==");
	explicit_bzero(random, sizeof random);
	session_dwsid_key(c->sid_secret,
	                  (struct slice){ dwsid->ptr + start, dwsid->len - start }, key);
	return session_start_shown(c->kv, c->config, c->sid_secret, who, key, VIA_DWSID,
	                           call_now_s(c));
}

void call_put_dwsid(struct call *c, struct slice dwsid)
{
	struct buf *fields = &c->response->fields;

	buf_lit(fields, "Set-Cookie: dwsid=");
	buf_put(fields, dwsid);
	buf_lit(fields, "; Path=/; HttpOnly");
	if (c->config->enforce_https == CONFIG_ON)
		buf_lit(fields, "; Secure; SameSite=None");
	if (dwsid.len == 0)
		buf_lit(fields, "; Max-Age=0");
	buf_lit(fields, "\r\n");
}

enum call_result call_verify(struct call *c, const struct jwt *t, const struct jwt_key *key,
                             enum jwt_status *verdict)
{
	uint8_t digest[JWT_DIGEST_LEN];
	struct slice answer;

	*verdict = JWT_BAD_ALG;
	if (key->alg != t->alg || key->alg == JWT_HS256)
		return CALL_DONE;
	jwt_digest(t->input, digest);
	call_question_begin(c, ASK_VERDICT);
	call_verdict_question_write(&c->question, key, digest,
	                            slice_bytes(t->signature, t->signature_len));
	if (!call_ask(c, &answer))
		return CALL_ASK;
	*verdict = slice_eq(answer, SLICE("\1")) ? JWT_GOOD : JWT_BAD_SIGNATURE;
	return CALL_DONE;
}

enum call_result call_check_token(struct call *c, const struct jwt *t, enum jwt_status *verdict)
{
	struct jwt_key key;
	enum kv_status status = token_check(c->kv, c->sid_secret, t, call_now_s(c), verdict, &key);

	if (status != KV_OK)
		return call_store(c, status);
	return *verdict == JWT_UNPROVEN ? call_verify(c, t, &key, verdict) : CALL_DONE;
}

enum call_result call_identify(struct call *c, struct identity_question *q, struct identity *id)
{
	enum kv_status status = identify(q, id);
	enum jwt_status verdict;
	enum call_result result;
	struct jwt t;

	if (status == KV_OK && id->refusal == IDENTITY_TOKEN_UNPROVEN) {
		verdict = jwt_open(&t, identity_bearer(q->request));
		assert(verdict == JWT_GOOD);
		result = call_check_token(c, &t, &verdict);
		if (result != CALL_DONE)
			return result;
		q->proven = verdict == JWT_GOOD;
		status = identify(q, id);
	}
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

void call_hash_question_write(struct buf *out, uint32_t iterations, uint64_t customer_id,
                              struct slice password)
{
	put_le(out, iterations, 4);
	put_le(out, customer_id, 8);
	buf_put(out, password);
}

bool call_hash_question_read(struct slice in, uint32_t *iterations, uint64_t *customer_id,
                             struct slice *password)
{
	if (in.len < 12)
		return false;
	*iterations = (uint32_t)get_le(in.ptr, 4);
	*customer_id = get_le(in.ptr + 4, 8);
	*password = slice_skip(in, 12);
	return true;
}

bool call_ask_hash(struct call *c, uint32_t iterations, uint64_t id, struct slice password,
                   struct slice *sealed)
{
	uint64_t first = id < CALL_HASHES_MADE ? 1 : id - CALL_HASHES_MADE + 1;
	struct slice answer;

	for (; first <= id; first++) {
		call_question_begin(c, ASK_HASH);
		call_hash_question_write(&c->question, iterations, first, password);
		if (!call_ask(c, &answer))
			continue;
		sealed->len = answer.len / CALL_HASHES_MADE;
		sealed->ptr = answer.ptr + (id - first) * sealed->len;
		return true;
	}
	return false;
}
