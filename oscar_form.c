/* oscar_form.c -- bodies of /api/: JSON or urlencoded, fields with the serializers' words. */
#include <stdio.h>

#include "oscar.h"

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

/* Python's name of a JSON value's type. */
static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "dict", [JSON_ARRAY] = "list", [JSON_STRING] = "str",
		[JSON_INTEGER] = "int", [JSON_REAL] = "float", [JSON_TRUE] = "bool",
		[JSON_FALSE] = "bool", [JSON_NULL] = "NoneType",
	};

	return names[json_typeof(v)];
}

/* Why a JSON value is no object with fields; NULL: it is one. */
static const char *not_a_dictionary(const json_t *v, char *bytes, size_t cap)
{
	if (json_is_object(v))
		return NULL;
	if (json_is_null(v))
		return "No data provided";
	snprintf(bytes, cap, "Invalid data. Expected a dictionary, but got %s.", type_name(v));
	return bytes;
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

void oscar_form_of(struct oscar_form *form, const json_t *value)
{
	*form = (struct oscar_form){ .object = value };
	form->error = not_a_dictionary(value, form->bytes, sizeof form->bytes);
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
	oscar_form_of(form, form->object);
	return true;
}

void oscar_errors_put(struct oscar_errors *e, const char *field, struct slice json)
{
	if (e->count == 0 && e->reason)
		buf_lit(e->body, "{\"reason\":");
	buf_char(e->body, e->count++ == 0 ? '{' : ',');
	json_put_string(e->body, slice_of(field));
	buf_char(e->body, ':');
	buf_put(e->body, json);
}

void oscar_errors_add(struct oscar_errors *e, const char *field, const char *sentence)
{
	oscar_errors_put(e, field, SLICE("["));
	json_put_string(e->body, slice_of(sentence));
	buf_char(e->body, ']');
}

enum call_result oscar_errors_end(struct call *c, struct oscar_errors *e,
                                  enum http_status status)
{
	buf_str(e->body, e->reason ? "}}" : "}");
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
	} else if (v->cut || slice_chars(text) > t->max_chars || text.len > sizeof t->bytes) {
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

bool oscar_form_has(const struct oscar_form *form, const char *name)
{
	char bytes[1];
	struct value v;

	find_value(form, name, bytes, sizeof bytes, &v);
	return v.given;
}

/* What int() of Python takes, but for underscores; a fraction of zeros is cut. */
static bool read_integer(struct slice text, int64_t *value)
{
	struct slice fraction, whole;
	bool negative;
	uint64_t n;

	text = strip(text);
	negative = text.len > 0 && text.ptr[0] == '-';
	if (text.len > 0 && (negative || text.ptr[0] == '+'))
		text = slice_skip(text, 1);
	fraction = text;
	whole = slice_cut(&fraction, '.');
	for (size_t i = 0; i < fraction.len; i++)
		if (fraction.ptr[i] != '0')
			return false;
	if (!slice_uint(whole, INT64_MAX, &n))
		return false;
	*value = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool value_integer(struct value *v, int64_t *value)
{
	double real;

	if (v->json == NULL || json_is_string(v->json)) {
		char digits[24];

		return value_text(v, digits) && !v->cut && read_integer(v->text, value);
	}
	if (json_is_real(v->json)) {
		real = json_real_value(v->json);
		*value = real >= -1e15 && real <= 1e15 ? (int64_t)real : 0;
		return (double)*value == real;
	}
	*value = json_integer_value(v->json);
	return json_is_integer(v->json);
}

enum oscar_given oscar_form_integer(const struct oscar_form *form, const char *name,
                                    int64_t *value, struct oscar_errors *e)
{
	char bytes[64];
	struct value v;

	find_value(form, name, bytes, sizeof bytes, &v);
	if (!v.given)
		return OSCAR_ABSENT;
	if (json_is_null(v.json))
		oscar_errors_add(e, name, "This field may not be null.");
	else if (!value_integer(&v, value))
		oscar_errors_add(e, name, "A valid integer is required.");
	else
		return OSCAR_GIVEN;
	return OSCAR_WRONG;
}

/* The path of an absolute URL, or the text itself, percent-decoded. Whose URL it is is not
 * asked: an app may know this server under another name. */
static bool link_path(struct slice url, struct buf *path)
{
	if (slice_starts(url, SLICE("http:")) || slice_starts(url, SLICE("https:"))) {
		slice_cut(&url, ':');
		url = slice_cut(&url, '#');
		url = slice_cut(&url, '?');
		if (slice_starts(url, SLICE("//"))) {
			url = slice_skip(url, 2);
			while (url.len > 0 && url.ptr[0] != '/')
				url = slice_skip(url, 1);
		}
	}
	return http_path_decode(url, path) && !path->full;
}

/* Paths that are some resource's, if not of the kind that is asked for. */
static bool is_known_path(struct slice path)
{
	static const char *const patterns[] = {
		"/api/", "/api/basket/", "/api/baskets/", "/api/baskets/*/",
		"/api/baskets/*/lines/", "/api/baskets/*/lines/*/", "/api/options/*/",
		"/api/products/", "/api/products/*/", "/api/products/*/stockrecords/*/",
		"/api/users/*/",
	};
	struct slice args[CALL_ARGS_MAX];

	for (size_t i = 0; i < COUNT_OF(patterns); i++)
		if (http_path_match(path, patterns[i], args))
			return true;
	return false;
}

static const char *judge_link(struct oscar_link *link, struct slice url)
{
	struct buf path = BUF(link->bytes);

	if (!link_path(url, &path))
		return "Invalid hyperlink - No URL match.";
	link->path = buf_slice(&path);
	if (http_path_match(link->path, link->pattern, link->arg))
		return NULL;
	return is_known_path(link->path) ? "Invalid hyperlink - Incorrect URL match."
	                                 : "Invalid hyperlink - No URL match.";
}

enum oscar_given oscar_form_judge_link(const struct oscar_form *form, struct oscar_link *link,
                                       const char **sentence)
{
	char bytes[1024], digits[24];
	struct value v;

	find_value(form, link->name, bytes, sizeof bytes, &v);
	if (!v.given)
		return OSCAR_ABSENT;
	if (v.json != NULL && !json_is_null(v.json) && !json_is_string(v.json)) {
		snprintf(link->bytes, sizeof link->bytes,
		         "Incorrect type. Expected URL string, received %s.", type_name(v.json));
		*sentence = link->bytes;
	} else if (json_is_null(v.json) || (value_text(&v, digits) && v.text.len == 0)) {
		*sentence = "This field may not be null.";
	} else {
		*sentence = judge_link(link, v.cut ? SLICE("") : v.text);
	}
	return *sentence == NULL ? OSCAR_GIVEN : OSCAR_WRONG;
}

enum oscar_given oscar_form_link(const struct oscar_form *form, struct oscar_link *link,
                                 struct oscar_errors *e)
{
	const char *sentence;
	enum oscar_given given = oscar_form_judge_link(form, link, &sentence);

	if (given == OSCAR_WRONG)
		oscar_errors_add(e, link->name, sentence);
	return given;
}

/* {"name":{"non_field_errors":["sentence"]}} */
static void list_error(struct oscar_errors *e, const char *name, const char *sentence)
{
	char nested[160];
	struct buf json = BUF(nested);
	struct oscar_errors inner = { .body = &json };

	oscar_errors_add(&inner, "non_field_errors", sentence);
	buf_char(&json, '}');
	oscar_errors_put(e, name, buf_slice(&json));
}

const json_t *oscar_form_list(const struct oscar_form *form, const char *name, unsigned max,
                              struct oscar_errors *e)
{
	const json_t *list = json_object_get(form->object, name);
	char sentence[80];

	if (list == NULL)
		return NULL;
	if (json_is_null(list)) {
		oscar_errors_add(e, name, "This field may not be null.");
		return NULL;
	}
	if (!json_is_array(list)) {
		snprintf(sentence, sizeof sentence,
		         "Expected a list of items but got type \"%s\".", type_name(list));
		list_error(e, name, sentence);
		return NULL;
	}
	if (json_array_size(list) > max) {
		snprintf(sentence, sizeof sentence,
		         "Ensure this field has no more than %u elements.", max);
		list_error(e, name, sentence);
		return NULL;
	}
	return list;
}
