/* admin.c -- see admin.h. */
#include <stdio.h>

#include "admin.h"

#define LIST_DEFAULT 100
#define RECORD_ROOM  8192       /* bytes that one record of a list, and its end, has at most */

bool admin_judge(struct call *c)
{
	const struct client_record *client = c->identity.client;

	if (client != NULL && (client->scopes & SCOPE_ADMIN) != 0)
		return true;
	if (client == NULL)
		call_problem(c, HTTP_FORBIDDEN, "key_missing",
		             "An API key of scope admin is required: send it as X-Api-Key.");
	else
		call_problem(c, HTTP_FORBIDDEN, "scope_missing",
		             "An API key of scope admin is required.");
	return false;
}

enum call_result admin_invalid(struct call *c, const char *detail)
{
	return call_problem(c, HTTP_BAD_REQUEST, "value_bad", detail);
}

enum call_result admin_unknown(struct call *c, const char *detail)
{
	return call_problem(c, HTTP_NOT_FOUND, "not_found", detail);
}

void admin_begin(struct call *c, enum http_status status)
{
	c->response->status = status;
	http_field_lit(c->response, "Content-Type: application/json");
	http_field_lit(c->response, "Cache-Control: no-store");
}

enum call_result admin_record(struct call *c, enum http_status status,
                              const struct print_cell *cells, size_t count)
{
	admin_begin(c, status);
	print_object(&c->response->body, cells, count);
	return CALL_DONE;
}

/* `WHY: name (there are a, b)`: 400. */
static void refuse_name(struct call *c, const char *why, struct slice name,
                        const char *const *names, size_t count)
{
	char text[512];
	struct buf detail = { text, 0, sizeof text - 1, false };

	buf_str(&detail, why);
	buf_put(&detail, name.len <= 64 ? name : (struct slice){ name.ptr, 64 });
	buf_lit(&detail, " (there are ");
	for (size_t i = 0; i < count; i++) {
		buf_str(&detail, i > 0 ? ", " : "");
		buf_str(&detail, names[i]);
	}
	buf_char(&detail, ')');
	text[detail.len] = '\0';
	admin_invalid(c, text);
}

/* The place of `name` among `names`, or `count`. */
static size_t find(struct slice name, const char *const *names, size_t count)
{
	size_t i = 0;

	while (i < count && !slice_eq(name, slice_of(names[i])))
		i++;
	return i;
}

bool admin_query_read(struct call *c, struct admin_query *q, const char *const *names,
                      size_t count)
{
	struct slice rest = c->request->query, name, value;
	struct buf text = BUF(q->text);

	memset(q->value, 0, sizeof q->value);
	while (http_form_next(&rest, &name, &value)) {
		size_t i = find(name, names, count), start = text.len;

		if (i == count) {
			refuse_name(c, "No such parameter: ", name, names, count);
			return false;
		}
		http_form_decode(value, &text);
		if (text.full || slice_given(q->value[i])) {
			admin_invalid(c, text.full ? "The query is too long."
			                           : "A parameter came twice.");
			return false;
		}
		q->value[i] = (struct slice){ text.ptr + start, text.len - start };
	}
	return true;
}

bool admin_list_begin(struct admin_list *l, struct call *c, const char *name,
                      struct slice limit)
{
	uint64_t n = LIST_DEFAULT;

	if ((slice_given(limit) && !slice_uint(limit, ADMIN_LIST_MAX, &n)) || n == 0) {
		admin_invalid(c, "limit is a number from 1 to 1000.");
		return false;
	}
	*l = (struct admin_list){ c, (uint32_t)n, false };
	admin_begin(c, HTTP_OK);
	buf_lit(&c->response->body, "{\"");
	buf_str(&c->response->body, name);
	buf_lit(&c->response->body, "\":[");
	return true;
}

bool admin_list_more(struct admin_list *l)
{
	const struct buf *body = &l->c->response->body;

	if (l->left == 0 || body->cap - body->len < RECORD_ROOM)
		return false;
	l->left--;
	return true;
}

void admin_list_put(struct admin_list *l, const struct print_cell *cells, size_t count)
{
	if (l->any)
		buf_char(&l->c->response->body, ',');
	l->any = true;
	print_object(&l->c->response->body, cells, count);
}

enum call_result admin_list_end(struct admin_list *l, enum kv_status status, struct slice after)
{
	struct buf *body = &l->c->response->body;

	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(l->c, status);
	buf_lit(body, "],\"next\":");
	if (status == KV_OK)
		json_put_string(body, after);
	else
		buf_lit(body, "null");
	buf_char(body, '}');
	return CALL_DONE;
}

json_t *admin_body(struct call *c, const char *const *names, size_t count)
{
	char error[JSON_ERROR_MAX];
	const char *name;
	json_t *body, *value;

	if (!http_media_is(c->request->field[HTTP_CONTENT_TYPE], "application/json")) {
		call_problem(c, HTTP_UNSUPPORTED_MEDIA, "media_type", "Send application/json.");
		return NULL;
	}
	body = json_parse(c->request->body, error);
	if (body == NULL) {
		call_problem(c, HTTP_BAD_REQUEST, "json_bad", error);
		return NULL;
	}
	if (!json_is_object(body)) {
		admin_invalid(c, "An object is due.");
		return NULL;
	}
	json_object_foreach(body, name, value)
		if (find(slice_of(name), names, count) == count) {
			refuse_name(c, "No such member: ", slice_of(name), names, count);
			return NULL;
		}
	return body;
}

bool admin_text(struct call *c, const json_t *body, const char *name, struct slice *text)
{
	const json_t *value = json_object_get(body, name);
	char detail[64];

	*text = (struct slice){ 0 };
	if (value == NULL || json_is_null(value))
		return true;
	if (json_is_string(value)) {
		*text = (struct slice){ json_string_value(value), json_string_length(value) };
		return true;
	}
	snprintf(detail, sizeof detail, "%s: text is due.", name);
	admin_invalid(c, detail);
	return false;
}
