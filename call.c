/* call.c -- see call.h. */
#include <assert.h>

#include "call.h"
#include "json.h"

enum call_result call_store(struct call *c, enum kv_status status)
{
	assert(status != KV_OK && status != KV_NOT_FOUND);
	c->store_status = status;
	return CALL_STORE;
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

void call_begin_login(struct call *c, struct call_login *login)
{
	char text[SESSION_ID_CHARS];
	struct buf token = BUF(text);

	if (c->identity.has_sid) {
		login->via = VIA_HEADER;
		sid_key(&c->identity.sid, SID_AUTH, c->sid_secret, login->key);
		call_put_session_id(c, SID_AUTH);
		return;
	}
	make_cookie_session(c, login);
	session_put_csrf_token(&token, c->sid_secret, login->key);
	put_cookie(c, c->config->csrf_cookie_name, buf_slice(&token), CSRF_AGE_S, false);
}

enum kv_status call_log_in(struct call *c, const struct call_login *login,
                           uint64_t customer_id)
{
	const struct identity *id = &c->identity;

	return session_log_in(c->kv, c->config,
	                      id->kind == IDENTITY_GUEST ? id->session_key : NULL, login->key,
	                      customer_id, login->via, call_now_s(c));
}

enum kv_status call_log_out(struct call *c)
{
	const struct identity *id = &c->identity;
	struct slice value;
	enum kv_status status = KV_OK;

	if (!id->has_sid &&
	    http_cookie_find(c->request, slice_of(c->config->cookie_name), &value) > 0)
		put_cookie(c, c->config->cookie_name, SLICE(""), 0, true);
	if (id->kind != IDENTITY_NONE)
		status = session_end(c->kv, id->session_key);
	return status == KV_NOT_FOUND ? KV_OK : status;
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
		memcpy(made.key, id->session_key, sizeof made.key);
		status = session_find(c->kv, made.key, call_now_s(c), &s);
	}
	memcpy(key, made.key, sizeof made.key);
	if (status != KV_NOT_FOUND)
		return status;
	return session_start(c->kv, c->config, key, 0, made.via, call_now_s(c));
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
