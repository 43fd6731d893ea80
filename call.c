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
