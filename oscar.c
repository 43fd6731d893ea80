/* oscar.c -- see oscar.h. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "json.h"
#include "oscar.h"
#include "password.h"

/* What the original's models allow, in characters (django.contrib.auth.models). */
#define USERNAME_CHARS 150
#define PASSWORD_CHARS 128
#define FIELD_MAX      (4 * USERNAME_CHARS)     /* bytes of either, as UTF-8 */

/* Bodies of the original's middleware have a blank after the colon, those of
 * django-rest-framework have none. */
#define NOT_PROVIDED "{\"reason\": \"Authentication credentials were not provided.\"}"

/* Throttle kinds of this file. */
enum { THROTTLE_LOGIN = 'l', THROTTLE_ADDRESS = 'a' };

/* The fields that every answer of this surface carries. */
static void begin(struct call *c, enum http_status status)
{
	struct http_response *r = c->response;

	r->status = status;
	if (status != HTTP_NO_CONTENT)
		http_field_lit(r, "Content-Type: application/json");
	http_field_lit(r, "Vary: Accept, Cookie, Session-Id");
	if (c->allow != NULL)
		http_field_put(r, "Allow", slice_of(c->allow));
	http_field_lit(r, "X-Frame-Options: DENY");
	http_field_lit(r, "Cache-Control: no-store");
}

/* As begin(), and the Session-Id that came. */
static void begin_echo(struct call *c, enum http_status status)
{
	begin(c, status);
	if (c->identity.has_sid)
		call_put_session_id(c, c->identity.sid.type);
}

enum call_result oscar_error(struct call *c, enum http_status status, const char *detail)
{
	begin_echo(c, status);
	buf_lit(&c->response->body, "{\"detail\":");
	json_put_string(&c->response->body, slice_of(detail));
	buf_char(&c->response->body, '}');
	return CALL_DONE;
}

enum call_result oscar_method_error(struct call *c)
{
	char detail[HTTP_METHOD_MAX + 32];
	struct slice method = c->request->method_name;

	snprintf(detail, sizeof detail, "Method \"%.*s\" not allowed.", (int)method.len,
	         method.ptr);
	return oscar_error(c, HTTP_METHOD_NOT_ALLOWED, detail);
}

/* The original's sentence, and what to do about it. */
static void put_realm_reason(struct buf *body, const struct identity *id)
{
	char text[3 * SID_REALM_MAX];
	struct buf reason = BUF(text);

	buf_lit(&reason, "Can not accept cookie with realm ");
	buf_put(&reason, id->sid.realm.len <= SID_REALM_MAX ? id->sid.realm : SLICE("(too long)"));
	buf_lit(&reason, " on realm ");
	buf_put(&reason, id->host.len <= SID_REALM_MAX ? id->host : SLICE("(too long)"));
	buf_lit(&reason, " (setting sid_realms)");
	json_put_string(body, buf_slice(&reason));
}

static void put_reason(struct call *c, enum http_status status, const char *reason)
{
	begin(c, status);
	buf_lit(&c->response->body, "{\"reason\": ");
	if (reason != NULL)
		json_put_string(&c->response->body, slice_of(reason));
	else
		put_realm_reason(&c->response->body, &c->identity);
	buf_char(&c->response->body, '}');
}

enum call_result oscar_refuse(struct call *c)
{
	/* The original judges CSRF inside its view, and there its answers have an Allow. */
	if (c->identity.refusal < IDENTITY_CSRF_ORIGIN)
		c->allow = NULL;
	switch (c->identity.refusal) {
	case IDENTITY_KEY_MISSING:
		return oscar_error(c, HTTP_FORBIDDEN, "An API key is required: send it as "
		                   "Authorization or X-Api-Key.");
	case IDENTITY_KEY_BAD:
		return oscar_error(c, HTTP_FORBIDDEN, "This API key is not accepted.");
	case IDENTITY_KEYS_DISAGREE:
		return oscar_error(c, HTTP_BAD_REQUEST,
		                   "Authorization and X-Api-Key hold different API keys.");
	case IDENTITY_SID_MALFORMED:
		put_reason(c, HTTP_BAD_REQUEST, sid_error_text(c->identity.sid_error));
		return CALL_DONE;
	case IDENTITY_SID_UNTRUSTED:
		put_reason(c, HTTP_FORBIDDEN, "A Session-Id is honoured only with an API key of "
		           "scope trusted (setting sid_trust)");
		return CALL_DONE;
	case IDENTITY_SID_REALM:
		put_reason(c, HTTP_FORBIDDEN, NULL);
		return CALL_DONE;
	case IDENTITY_SESSION_DEAD:
		begin(c, HTTP_UNAUTHORIZED);
		buf_lit(&c->response->body, NOT_PROVIDED);
		return CALL_DONE;
	case IDENTITY_TOKEN_DEAD:
		http_field_lit(c->response, "WWW-Authenticate: Bearer error=\"invalid_token\"");
		return oscar_error(c, HTTP_UNAUTHORIZED, "This token is not accepted.");
	case IDENTITY_CSRF_ORIGIN:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: Origin checking failed (setting csrf_origins).");
	case IDENTITY_CSRF_COOKIE:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: CSRF cookie not set.");
	case IDENTITY_CSRF_TOKEN:
		return oscar_error(c, HTTP_FORBIDDEN,
		                   "CSRF Failed: CSRF token missing or incorrect.");
	case IDENTITY_ADMITTED:
	case IDENTITY_REFUSALS:
		break;
	}
	assert(c->identity.refusal != IDENTITY_ADMITTED);
	return oscar_error(c, HTTP_FORBIDDEN, "Refused.");
}

/* `2026-11-22T04:35:35.355068Z`: Django's isoformat(), which leaves out a fraction of 0. */
static void put_time(struct buf *out, uint64_t us)
{
	char text[40];
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	size_t len;

	gmtime_r(&s, &tm);
	len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	buf_put(out, (struct slice){ text, len });
	if (us % 1000000 != 0) {
		snprintf(text, sizeof text, ".%06u", (unsigned)(us % 1000000));
		buf_str(out, text);
	}
	buf_char(out, 'Z');
}

enum call_result oscar_login_get(struct call *c)
{
	const struct customer_record *who = &c->identity.customer;
	struct buf *body = &c->response->body;

	if (c->identity.kind != IDENTITY_CUSTOMER)
		return oscar_method_error(c);
	if (c->config->expose_user_details == CONFIG_OFF) {
		begin_echo(c, HTTP_NO_CONTENT);
		return CALL_DONE;
	}
	begin_echo(c, HTTP_OK);
	buf_lit(body, "{\"username\":");
	json_put_string(body, who->login);
	buf_lit(body, ",\"email\":");
	json_put_string(body, who->email);
	buf_lit(body, ",\"date_joined\":\"");
	put_time(body, who->joined_us);
	buf_lit(body, "\"}");
	return CALL_DONE;
}

enum call_result oscar_login_delete(struct call *c)
{
	enum kv_status status;

	begin(c, HTTP_OK);
	buf_lit(&c->response->body, "\"\"");
	status = call_log_out(c);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* One field of the login form as it came, and after the serializer's checks. */
struct field {
	const char *name;
	unsigned max_chars;
	const char *error;              /* the serializer's sentence, or NULL */
	bool too_long;
	struct slice value;             /* into `bytes`, trimmed */
	char bytes[FIELD_MAX];
};

struct login_form {
	struct field username, password;
	const char *error;              /* of the body as a whole: non_field_errors */
};

/* Characters of UTF-8: bytes that do not continue one. */
static size_t count_chars(struct slice s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* Python's str.strip() for ASCII. */
static struct slice strip(struct slice s)
{
	static const char blanks[] = " \t\n\r\v\f\x1c\x1d\x1e\x1f";

	while (s.len > 0 && memchr(blanks, s.ptr[0], sizeof blanks - 1) != NULL)
		s = slice_skip(s, 1);
	while (s.len > 0 && memchr(blanks, s.ptr[s.len - 1], sizeof blanks - 1) != NULL)
		s.len--;
	return s;
}

/* serializers.CharField(max_length=...): trimmed, not blank, not too long. */
static void take_text(struct field *f, struct slice text)
{
	struct slice value = strip(text);

	f->error = NULL;
	f->too_long = count_chars(value) > f->max_chars || value.len > sizeof f->bytes;
	if (value.len == 0)
		f->error = "This field may not be blank.";
	else if (slice_has(value, '\0'))
		f->error = "Null characters are not allowed.";
	if (f->error != NULL || f->too_long)
		return;
	memcpy(f->bytes, value.ptr, value.len);
	f->value = (struct slice){ f->bytes, value.len };
}

static void take_json(struct field *f, const json_t *object)
{
	const json_t *v = json_object_get(object, f->name);
	char digits[24];

	if (v == NULL)
		return;
	if (json_is_null(v)) {
		f->error = "This field may not be null.";
	} else if (json_is_string(v)) {
		take_text(f, (struct slice){ json_string_value(v), json_string_length(v) });
	} else if (json_is_integer(v)) {
		snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(v));
		take_text(f, slice_of(digits));
	} else {
		f->error = "Not a valid string.";
	}
}

/* Python's name of a JSON value that is no object. */
static const char *not_a_dictionary(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_ARRAY:
		return "Invalid data. Expected a dictionary, but got list.";
	case JSON_STRING:
		return "Invalid data. Expected a dictionary, but got str.";
	case JSON_INTEGER:
		return "Invalid data. Expected a dictionary, but got int.";
	case JSON_REAL:
		return "Invalid data. Expected a dictionary, but got float.";
	case JSON_TRUE:
	case JSON_FALSE:
		return "Invalid data. Expected a dictionary, but got bool.";
	case JSON_NULL:
		return "No data provided";
	case JSON_OBJECT:
		break;
	}
	return NULL;
}

/* The last field of a name counts, as in Django's QueryDict. */
static void take_form(struct login_form *form, struct slice body)
{
	struct field *const fields[] = { &form->username, &form->password };
	struct slice name, value;
	char text[FIELD_MAX + 8];

	while (http_form_next(&body, &name, &value))
		for (size_t i = 0; i < COUNT_OF(fields); i++) {
			struct buf decoded = BUF(text);

			if (!slice_eq(name, slice_of(fields[i]->name)))
				continue;
			http_form_decode(value, &decoded);
			take_text(fields[i], buf_slice(&decoded));
			fields[i]->too_long |= decoded.full;
		}
}

static void unsupported_media(struct call *c)
{
	struct buf *body = &c->response->body;
	struct slice type = c->request->field[HTTP_CONTENT_TYPE];
	char text[512];
	struct buf detail = BUF(text);

	begin_echo(c, HTTP_UNSUPPORTED_MEDIA);
	buf_lit(&detail, "Unsupported media type \"");
	type.len = type.len < 256 ? type.len : 256;
	buf_put(&detail, type);
	buf_lit(&detail, "\" in request.");
	buf_lit(body, "{\"detail\":");
	json_put_string(body, buf_slice(&detail));
	buf_char(body, '}');
}

/* Reads the body; false: refused, and c->response says why. */
static bool read_form(struct call *c, struct login_form *form)
{
	struct slice body = c->request->body, type = c->request->field[HTTP_CONTENT_TYPE];
	char error[JSON_ERROR_MAX], detail[JSON_ERROR_MAX + 32];
	json_t *document;

	if (body.len == 0)
		return true;
	if (http_media_is(type, "application/x-www-form-urlencoded")) {
		take_form(form, body);
		return true;
	}
	if (!http_media_is(type, "application/json")) {
		unsupported_media(c);
		return false;
	}
	document = json_parse(body, error);
	if (document == NULL) {
		snprintf(detail, sizeof detail, "JSON parse error - %s", error);
		oscar_error(c, HTTP_BAD_REQUEST, detail);
		return false;
	}
	form->error = not_a_dictionary(document);
	if (form->error == NULL) {
		take_json(&form->username, document);
		take_json(&form->password, document);
	}
	return true;
}

static void put_field_error(struct buf *body, const struct field *f, bool *first)
{
	char too_long[80];
	const char *error = f->error;

	if (error == NULL && !f->too_long)
		return;
	if (error == NULL) {
		snprintf(too_long, sizeof too_long,
		         "Ensure this field has no more than %u characters.", f->max_chars);
		error = too_long;
	}
	if (!*first)
		buf_char(body, ',');
	*first = false;
	json_put_string(body, slice_of(f->name));
	buf_lit(body, ":[");
	json_put_string(body, slice_of(error));
	buf_char(body, ']');
}

static enum call_result form_errors(struct call *c, const struct login_form *form)
{
	struct buf *body = &c->response->body;
	bool first = true;

	begin_echo(c, HTTP_UNAUTHORIZED);
	buf_char(body, '{');
	if (form->error != NULL) {
		buf_lit(body, "\"non_field_errors\":[");
		json_put_string(body, slice_of(form->error));
		buf_char(body, ']');
	} else {
		put_field_error(body, &form->username, &first);
		put_field_error(body, &form->password, &first);
	}
	buf_char(body, '}');
	return CALL_DONE;
}

static enum call_result invalid_login(struct call *c)
{
	struct login_form form = { .error = "invalid login" };

	return form_errors(c, &form);
}

static bool form_bad(const struct login_form *f)
{
	return f->error != NULL || f->username.error != NULL || f->username.too_long ||
	       f->password.error != NULL || f->password.too_long;
}

enum call_result oscar_throttled(struct call *c, uint32_t wait_s)
{
	char detail[96];
	char seconds[12];

	snprintf(detail, sizeof detail, "Request was throttled. Expected available in %u second%s.",
	         wait_s, wait_s == 1 ? "" : "s");
	snprintf(seconds, sizeof seconds, "%u", wait_s);
	http_field_put(c->response, "Retry-After", slice_of(seconds));
	return oscar_error(c, HTTP_TOO_MANY_REQUESTS, detail);
}

/* Failed logins count per (login, address) and per address. A trusted app that forwards no
 * address stands for all its shoppers: there only the login counts. */
struct throttle_names {
	bool by_address;
	struct slice login, address;
	char bytes[sizeof(struct address) + FIELD_MAX];
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
	buf_put(&name, login);
	n->login = buf_slice(&name);
}

static uint32_t throttle_wait(const struct call *c, const struct throttle_names *n)
{
	const struct config_rate *login = &c->config->login_throttle;
	const struct config_rate *address = &c->config->login_throttle_address;
	uint64_t now_ms = c->now_us / 1000;
	uint32_t wait = 0, other = 0;

	if (login->count > 0)
		wait = throttle_wait_s(c->throttle, THROTTLE_LOGIN, n->login, login->count, now_ms);
	if (n->by_address && address->count > 0)
		other = throttle_wait_s(c->throttle, THROTTLE_ADDRESS, n->address, address->count,
		                        now_ms);
	return wait > other ? wait : other;
}

static void throttle_failed(struct call *c, const struct throttle_names *n)
{
	uint64_t now_ms = c->now_us / 1000;

	throttle_bump(c->throttle, THROTTLE_LOGIN, n->login, c->config->login_throttle.window_s,
	              now_ms);
	if (n->by_address)
		throttle_bump(c->throttle, THROTTLE_ADDRESS, n->address,
		              c->config->login_throttle_address.window_s, now_ms);
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

	begin(c, HTTP_OK);
	call_begin_login(c, &login);
	buf_lit(&c->response->body, "\"\"");
	if (new_hash.len > 0) {
		who->sealed_password = new_hash;
		status = customer_put(c->kv, who);
	}
	if (status == KV_OK)
		status = call_log_in(c, &login, who);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

static enum call_result log_in(struct call *c, const struct login_form *form)
{
	struct customer_record who;
	struct throttle_names names;
	struct slice answer;
	enum kv_status status;
	uint32_t wait;

	throttle_names(c, form->username.value, &names);
	if ((wait = throttle_wait(c, &names)) > 0)
		return oscar_throttled(c, wait);
	status = customer_find(c->kv, form->username.value, &who);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	if (!check_password(c, &who, status == KV_OK && (who.flags & CUSTOMER_DISABLED) == 0,
	                    form->password.value, &answer))
		return CALL_ASK;
	if (answer.len == 0 || answer.ptr[0] != PASSWORD_RIGHT) {
		throttle_failed(c, &names);
		return invalid_login(c);
	}
	if (c->identity.kind == IDENTITY_CUSTOMER)
		return oscar_error(c, HTTP_METHOD_NOT_ALLOWED, "Session is in use, log out first");
	throttle_clear(c->throttle, THROTTLE_LOGIN, names.login);
	return upgrade(c, &who, slice_skip(answer, 1));
}

enum call_result oscar_login_post(struct call *c)
{
	static const char required[] = "This field is required.";
	struct login_form form = {
		.username = { .name = "username", .max_chars = USERNAME_CHARS, .error = required },
		.password = { .name = "password", .max_chars = PASSWORD_CHARS, .error = required },
	};

	if (!read_form(c, &form))
		return CALL_DONE;
	if (form_bad(&form))
		return form_errors(c, &form);
	return log_in(c, &form);
}
