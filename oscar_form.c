/* oscar_form.c -- bodies of /api/: JSON or urlencoded, fields with the serializers' words. */
#include <stdio.h>

#include "oscar.h"

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

static void unsupported_media(struct call *c)
{
	struct buf *body = &c->response->body;
	struct slice type = c->request->field[HTTP_CONTENT_TYPE];
	char text[512];
	struct buf detail = BUF(text);

	oscar_begin(c, HTTP_UNSUPPORTED_MEDIA);
	buf_lit(&detail, "Unsupported media type \"");
	type.len = type.len < 256 ? type.len : 256;
	buf_put(&detail, type);
	buf_lit(&detail, "\" in request.");
	buf_lit(body, "{\"detail\":");
	json_put_string(body, buf_slice(&detail));
	buf_char(body, '}');
}

bool oscar_form_read(struct call *c, struct oscar_form *form)
{
	struct slice body = c->request->body, type = c->request->field[HTTP_CONTENT_TYPE];
	char error[JSON_ERROR_MAX], detail[JSON_ERROR_MAX + 32];

	*form = (struct oscar_form){ 0 };
	if (body.len == 0)
		return true;
	if (http_media_is(type, "application/x-www-form-urlencoded")) {
		form->encoded = body;
		return true;
	}
	if (!http_media_is(type, "application/json")) {
		unsupported_media(c);
		return false;
	}
	form->object = json_parse(body, error);
	if (form->object == NULL) {
		snprintf(detail, sizeof detail, "JSON parse error - %s", error);
		oscar_error(c, HTTP_BAD_REQUEST, detail);
		return false;
	}
	form->error = not_a_dictionary(form->object);
	return true;
}

void oscar_errors_add(struct oscar_errors *e, const char *field, const char *sentence)
{
	buf_char(e->body, e->count++ == 0 ? '{' : ',');
	json_put_string(e->body, slice_of(field));
	buf_lit(e->body, ":[");
	json_put_string(e->body, slice_of(sentence));
	buf_char(e->body, ']');
}

enum call_result oscar_errors_end(struct call *c, struct oscar_errors *e,
                                  enum http_status status)
{
	buf_char(e->body, '}');
	oscar_begin(c, status);
	return CALL_DONE;
}

/* What a body holds under a name. */
struct value {
	bool given;
	const json_t *json;             /* NULL: text of an urlencoded body */
	struct slice text;
	bool cut;                       /* the text is longer than there was room */
};

/* The last field of a name counts, as in Django's QueryDict. */
static void find_encoded(struct slice body, const char *name, char *bytes, size_t cap,
                         struct value *v)
{
	struct slice n, value;

	while (http_form_next(&body, &n, &value)) {
		struct buf decoded = { bytes, 0, cap, false };

		if (!slice_eq(n, slice_of(name)))
			continue;
		http_form_decode(value, &decoded);
		*v = (struct value){ true, NULL, buf_slice(&decoded), decoded.full };
	}
}

static void find_value(const struct oscar_form *form, const char *name, char *bytes, size_t cap,
                       struct value *v)
{
	*v = (struct value){ 0 };
	if (form->object == NULL) {
		find_encoded(form->encoded, name, bytes, cap, v);
		return;
	}
	v->json = json_object_get(form->object, name);
	v->given = v->json != NULL;
}

/* The text of a value as CharField takes it: strings and numbers; false for others. */
static bool value_text(struct value *v, char digits[24])
{
	if (v->json == NULL)
		return true;
	if (json_is_string(v->json)) {
		v->text = (struct slice){ json_string_value(v->json), json_string_length(v->json) };
	} else if (json_is_integer(v->json)) {
		snprintf(digits, 24, "%lld", (long long)json_integer_value(v->json));
		v->text = slice_of(digits);
	}
	return json_is_string(v->json) || json_is_integer(v->json);
}

static void take_text(struct oscar_text *t, const struct value *v, struct oscar_errors *e)
{
	struct slice text = strip(v->text);
	char too_long[80];

	if (text.len == 0) {
		oscar_errors_add(e, t->name, "This field may not be blank.");
	} else if (slice_has(text, '\0')) {
		oscar_errors_add(e, t->name, "Null characters are not allowed.");
	} else if (v->cut || count_chars(text) > t->max_chars || text.len > sizeof t->bytes) {
		snprintf(too_long, sizeof too_long,
		         "Ensure this field has no more than %u characters.", t->max_chars);
		oscar_errors_add(e, t->name, too_long);
	} else {
		memmove(t->bytes, text.ptr, text.len);
		t->value = (struct slice){ t->bytes, text.len };
	}
}

void oscar_form_text(const struct oscar_form *form, struct oscar_text *t,
                     struct oscar_errors *e)
{
	char digits[24];
	struct value v;

	find_value(form, t->name, t->bytes, sizeof t->bytes, &v);
	if (!v.given)
		oscar_errors_add(e, t->name, OSCAR_REQUIRED);
	else if (json_is_null(v.json))
		oscar_errors_add(e, t->name, "This field may not be null.");
	else if (!value_text(&v, digits))
		oscar_errors_add(e, t->name, "Not a valid string.");
	else
		take_text(t, &v, e);
}
