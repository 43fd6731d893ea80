/* oscar_user.c -- /api/users/<id>/ and /api/register/. */
#include <stdio.h>

#include "customer.h"
#include "oscar.h"
#include "password.h"

enum call_result oscar_user_show(struct call *c)
{
	struct buf *body = &c->response->body;
	struct customer_record who;
	enum kv_status status;

	if (c->config->expose_user_details == CONFIG_OFF) {
		oscar_begin(c, HTTP_NO_CONTENT);
		return CALL_DONE;
	}
	status = customer_get(c->kv, c->identity.session.customer_id, &who);
	if (status != KV_OK)    /* his sessions end before he goes */
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	oscar_begin(c, HTTP_OK);
	buf_lit(body, "{\"username\":");
	json_put_string(body, who.login);
	buf_lit(body, ",\"email\":");
	json_put_string(body, who.email);
	buf_lit(body, ",\"date_joined\":\"");
	oscar_put_time(body, who.joined_us);
	buf_lit(body, "\"}");
	return CALL_DONE;
}

enum call_result oscar_user_get(struct call *c)
{
	uint64_t id;

	if (c->identity.kind != IDENTITY_CUSTOMER)
		return oscar_forbidden(c);
	/* The original hides who is there only where it shows anything at all. */
	if (!slice_uint(c->arg[0], UINT64_MAX, &id) ||
	    (id != c->identity.session.customer_id && c->config->expose_user_details == CONFIG_ON))
		return oscar_not_found(c);
	return oscar_user_show(c);
}

#define PASSWORD_CHARS_MIN 8            /* django.contrib.auth.password_validation */
#define PASSWORD_CHARS     128

static bool is_alphanumeric(char c)
{
	c = byte_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Letters, digits and hyphens, none of these at an end. */
static bool label_valid(struct slice label, size_t least)
{
	if (label.len < least || label.len > 63 || !is_alphanumeric(label.ptr[0]) ||
	    !is_alphanumeric(label.ptr[label.len - 1]))
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!is_alphanumeric(label.ptr[i]) && label.ptr[i] != '-')
			return false;
	return true;
}

/* Words of `atext` with dots between them (RFC 5322, section 3.2.3). */
static bool mailbox_valid(struct slice local)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~.";

	if (local.len == 0 || local.ptr[0] == '.' || local.ptr[local.len - 1] == '.')
		return false;
	for (size_t i = 0; i < local.len; i++)
		if (!is_alphanumeric(local.ptr[i]) &&
		    (memchr(others, local.ptr[i], sizeof others - 1) == NULL ||
		     (local.ptr[i] == '.' && local.ptr[i - 1] == '.')))
			return false;
	return true;
}

/* As Django's EmailValidator, but for quoted words and addresses in brackets. */
static bool email_valid(struct slice email)
{
	struct slice domain = email, local = slice_cut(&domain, '@');
	uint32_t labels = 0;

	if (!slice_given(domain) || !mailbox_valid(local))
		return false;
	if (slice_eq_nocase(domain, SLICE("localhost")))
		return true;
	while (slice_given(domain)) {
		struct slice label = slice_cut(&domain, '.');

		if (!label_valid(label, slice_given(domain) ? 1 : 2))
			return false;
		labels++;
	}
	return labels > 1;
}

/* Two texts have most letters in common: difflib's quick_ratio() is 0.7 or more. */
static bool alike(struct slice a, struct slice b)
{
	size_t counts[256] = { 0 }, common = 0;

	for (size_t i = 0; i < a.len; i++)
		counts[(unsigned char)byte_lower(a.ptr[i])]++;
	for (size_t i = 0; i < b.len; i++) {
		size_t *left = &counts[(unsigned char)byte_lower(b.ptr[i])];

		common += *left > 0;
		*left -= *left > 0;
	}
	return 20 * common >= 7 * (a.len + b.len);
}

/* Like the whole address, or like one of its words. */
static bool too_similar(struct slice password, struct slice email)
{
	size_t from = 0;

	if (alike(password, email))
		return true;
	for (size_t i = 0; i <= email.len; i++) {
		if (i < email.len && (is_alphanumeric(email.ptr[i]) || email.ptr[i] == '_'))
			continue;
		if (i > from && alike(password, (struct slice){ email.ptr + from, i - from }))
			return true;
		from = i + 1;
	}
	return false;
}

static void put_sentence(struct buf *list, const char *sentence)
{
	buf_str(list, list->len == 0 ? "['" : ", '");
	buf_str(list, sentence);
	buf_char(list, '\'');
}

/* What Django finds too weak about a password, as Python shows a list; empty: nothing. */
void oscar_judge_password(struct slice password, struct slice email, struct buf *list)
{
	size_t digits = 0;

	for (size_t i = 0; i < password.len; i++)
		digits += password.ptr[i] >= '0' && password.ptr[i] <= '9';
	if (too_similar(password, email))
		put_sentence(list, "The password is too similar to the email address.");
	if (slice_chars(password) < PASSWORD_CHARS_MIN)
		put_sentence(list, "This password is too short. It must contain at least 8 "
		             "characters.");
	if (digits == password.len)
		put_sentence(list, "This password is entirely numeric.");
	if (list->len > 0)
		buf_char(list, ']');
}

static enum call_result refuse(struct call *c, struct oscar_errors *e, const char *sentence)
{
	oscar_errors_add(e, "non_field_errors", sentence);
	return oscar_errors_end(c, e, HTTP_BAD_REQUEST);
}

/* The address as it is kept: its domain in lower case, as Django's normalize_email() has it. */
static struct slice normal_email(struct slice email, char *bytes)
{
	struct slice local = email;

	slice_cut(&local, '@');
	for (size_t i = 0; i < email.len; i++)
		bytes[i] = email.ptr + i < local.ptr ? email.ptr[i] : byte_lower(email.ptr[i]);
	return (struct slice){ bytes, email.len };
}

static enum call_result add_customer(struct call *c, struct slice email, struct slice password)
{
	char normal[OSCAR_TEXT_BYTES];
	struct customer_record who = {
		.joined_us = c->now_us, .login = email, .email = normal_email(email, normal),
	};
	enum kv_status status = customer_next_id(c->kv, &who.id);

	if (status != KV_OK)
		return call_store(c, status);
	if (!call_ask_hash(c, c->config->password_iterations, who.id, password,
	                   &who.sealed_password))
		return CALL_ASK;
	if (who.sealed_password.len == 0 || customer_add(c->kv, &who, &status) != CUSTOMER_OK)
		return call_store(c, status == KV_OK ? KV_IO : status);
	oscar_register_count(c);
	call_audit(c, "customer_added", "customer=%llu", (unsigned long long)who.id);
	oscar_begin(c, HTTP_CREATED);
	json_put_string(&c->response->body, who.email);
	return CALL_DONE;
}

static enum call_result judge_form(struct call *c, struct slice email, struct slice password,
                                   struct slice repeated)
{
	struct oscar_errors e = { .body = &c->response->body };
	char weak[256] = "";
	struct buf list = { weak, 0, sizeof weak - 1, false };
	uint32_t wait = oscar_register_wait(c);
	uint64_t other;
	uint32_t taken;
	enum kv_status status;

	if (wait > 0)
		return oscar_throttled(c, wait);
	status = customer_candidates(c->kv, email, &other, 1, &taken);
	if (status != KV_OK)
		return call_store(c, status);
	if (taken > 0) {
		oscar_register_count(c);
		return refuse(c, &e, "A user with this email already exists");
	}
	if (!slice_eq_secret(password, repeated))
		return refuse(c, &e, "Passwords do not match");
	oscar_judge_password(password, email, &list);
	return list.len > 0 ? refuse(c, &e, weak) : add_customer(c, email, password);
}

enum call_result oscar_register(struct call *c)
{
	struct oscar_text email = { .name = "email", .max_chars = RECORD_LOGIN_MAX };
	struct oscar_text password = { .name = "password1", .max_chars = PASSWORD_CHARS };
	struct oscar_text repeated = { .name = "password2", .max_chars = PASSWORD_CHARS };
	struct oscar_errors e = { .body = &c->response->body };
	struct oscar_form form;

	if (c->config->registers == CONFIG_OFF) {
		oscar_begin(c, HTTP_UNAUTHORIZED);
		buf_lit(&c->response->body, "\"Unauthorized\"");
		return CALL_DONE;
	}
	if (!oscar_form_read(c, &form))
		return CALL_DONE;
	if (form.error != NULL)
		return refuse(c, &e, form.error);
	oscar_form_text(&form, &email, &e);
	if (email.value.len > 0 && !email_valid(email.value))
		oscar_errors_add(&e, email.name, "Enter a valid email address.");
	oscar_form_text(&form, &password, &e);
	oscar_form_text(&form, &repeated, &e);
	if (e.count > 0)
		return oscar_errors_end(c, &e, HTTP_BAD_REQUEST);
	return judge_form(c, email.value, password.value, repeated.value);
}
