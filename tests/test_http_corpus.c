/* test_http_corpus.c -- the outside collection of HTTP/1 requests, $CORPORA/http1.
 *
 * Each case goes through the parser as through a server that answers 200 to whatever is
 * sound: whole, byte by byte, and cut at every offset. What its `expect` asks is what
 * drive_http1.py of the collection asks of a server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "http.h"
#include "corpora.h"
#include "guard.h"

#define CASE_MAX    4096        /* bytes of a case */
#define ANSWERS_MAX 8

/* Where we differ on purpose from what the collection expects. */
static const struct {
	const char *id;
	int status;             /* of our first answer */
	const char *why;
} deviations[] = {
	{ "llhttp:uri.md#7",                400, "a target has no fragment (RFC 9112, 3.2)" },
	{ "llhttp:transfer-encoding.md#19", 400, "the same; without it 501: `deflate, chunked`" },
	{ "llhttp:uri.md#9",                400, "a user may hide the host (RFC 9110, 4.2.4)" },
	{ "picohttpparser:33",              400, "one space between two words (RFC 9112, 3)" },
	{ "lighttpd:60",                    200, "POST without length: no body (RFC 9112, 6.3)" },
	{ "lighttpd:72",                    200, "HEAD may have a body (RFC 9110, 9.3.2)" },
};

/* What a connection did with the bytes that came. */
struct answers {
	int status[ANSWERS_MAX];
	size_t count;
	bool closed;
};

struct connection {
	struct http_request request;
	struct http_chunked chunked;
	size_t at;                      /* start of the request, or of what is left of its body */
	bool in_body;
	char body_room[CASE_MAX];
	struct buf body;
	struct answers answers;
};

static const struct http_limits limits = {
	.max_head = 8192, .max_target = 2048, .max_headers = 64, .max_body = CASE_MAX
};

static void answer(struct connection *c, int status, bool close)
{
	assert_true(c->answers.count < ANSWERS_MAX);
	c->answers.status[c->answers.count++] = status;
	c->answers.closed = close;
	http_request_init(&c->request);
	c->in_body = false;
}

static void answer_request(struct connection *c)
{
	const struct http_request *r = &c->request;

	if (r->method & (HTTP_CONNECT | HTTP_TRACE) || slice_given(r->field[HTTP_UPGRADE]))
		answer(c, HTTP_METHOD_NOT_ALLOWED, true);
	else
		answer(c, r->method == HTTP_OTHER ? HTTP_NOT_IMPLEMENTED : HTTP_OK, !r->keep_alive);
}

static enum http_result take_body(struct connection *c, struct slice in,
                                  struct http_refusal *refusal)
{
	struct slice rest = slice_skip(in, c->at);
	enum http_result result;

	if (!c->request.chunked) {
		if (rest.len < c->request.content_length)
			return HTTP_MORE;
		c->at += (size_t)c->request.content_length;
		return HTTP_READY;
	}
	result = http_chunked_feed(&c->chunked, &rest, &c->body, &limits, refusal);
	c->at = in.len - rest.len;
	return result;
}

/* Goes on as far as `in`, all that has come, allows. */
static void advance(struct connection *c, struct slice in)
{
	while (!c->answers.closed) {
		struct http_refusal refusal;
		enum http_result result;

		if (!c->in_body) {
			result = http_parse(&c->request, slice_skip(in, c->at), &limits, &refusal);
			if (result == HTTP_READY) {
				c->in_body = true;
				c->at += c->request.head_len;
				c->chunked = (struct http_chunked){ 0 };
				c->body = BUF(c->body_room);
			}
		} else {
			result = take_body(c, in, &refusal);
			if (result == HTTP_READY)
				answer_request(c);
		}
		if (result == HTTP_MORE)
			return;
		if (result == HTTP_REFUSED)
			answer(c, (int)refusal.status, true);
	}
}

/* Sends `in` in pieces, the first of `first` bytes, the others of `step`. */
static struct answers send_case(struct slice in, size_t first, size_t step)
{
	static struct connection c;
	char arrived[CASE_MAX] = "";
	size_t to = first;

	assert_true(in.len <= CASE_MAX);
	memset(&c, 0, sizeof c);
	for (size_t from = 0; from < in.len; from = to, to += step) {
		struct slice memory;

		if (to > in.len)
			to = in.len;
		memcpy(arrived + from, in.ptr + from, to - from);
		memory = guarded((struct slice){ arrived, in.len });
		memory.len = to;
		advance(&c, memory);
	}
	return c.answers;
}

static bool as_expected(const char *expect, const struct answers *a)
{
	static const int also_accepted[] = { 404, 405, 413, 417, 426, 431, 501 };
	int first = a->count > 0 ? a->status[0] : 0;

	if (strcmp(expect, "accept") == 0) {
		for (size_t i = 0; i < COUNT_OF(also_accepted); i++)
			if (first == also_accepted[i])
				return true;
		return first > 0 && first < 400;
	}
	if (strcmp(expect, "reject") == 0)
		return a->count == 1 && first >= 400 && a->closed;
	if (strcmp(expect, "incomplete") == 0)
		return first == 0 || first >= 400;
	if (strcmp(expect, "nodesync") == 0)
		return a->count <= 1;
	return false;
}

static struct slice base64_decode(const char *text, char *room, size_t cap)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf out = { room, 0, cap, false };
	unsigned bits = 0, count = 0;

	for (; *text != '\0' && *text != '='; text++) {
		const char *digit = strchr(alphabet, *text);

		assert_non_null(digit);
		bits = bits << 6 | (unsigned)(digit - alphabet);
		count += 6;
		if (count >= 8) {
			count -= 8;
			buf_char(&out, (char)(bits >> count & 0xff));
		}
	}
	assert_false(out.full);
	return buf_slice(&out);
}

static bool same_answers(const struct answers *a, const struct answers *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (a->status[i] != b->status[i])
			return false;
	return a->count == b->count && a->closed == b->closed;
}

static void check_case(const char *id, const char *expect, int status, struct slice in,
                       size_t *deviating)
{
	struct answers whole = send_case(in, in.len, 1);
	int first = whole.count > 0 ? whole.status[0] : 0;
	bool deviates = false;

	for (size_t cut = 0; cut < in.len; cut++) {
		struct answers split = cut == 0 ? send_case(in, 1, 1) : send_case(in, cut, in.len);

		if (!same_answers(&whole, &split))
			fail_msg("%s: otherwise when cut at %zu", id, cut);
	}
	for (size_t i = 0; i < COUNT_OF(deviations); i++)
		if (strcmp(deviations[i].id, id) == 0) {
			deviates = true;
			status = deviations[i].status;
			++*deviating;
		}
	if (as_expected(expect, &whole) == deviates)
		fail_msg("%s: %s expected, %zu answers, first %d", id, expect, whole.count, first);
	if (status != 0 && status != first)
		fail_msg("%s: status %d, not %d", id, first, status);
}

static void test_corpus(void **state)
{
	FILE *file = corpus_open("http1/cases.jsonl");
	static char line[65536], room[CASE_MAX];
	size_t cases = 0, deviating = 0;

	(void)state;
	for (; fgets(line, sizeof line, file) != NULL; cases++) {
		json_t *c = json_loads(line, 0, NULL);
		struct slice in;

		assert_non_null(c);
		in = base64_decode(json_string_value(json_object_get(c, "b64")), room, sizeof room);
		check_case(json_string_value(json_object_get(c, "id")),
		           json_string_value(json_object_get(c, "expect")),
		           (int)json_integer_value(json_object_get(c, "status")), in, &deviating);
		json_decref(c);
	}
	fclose(file);
	assert_int_equal(deviating, COUNT_OF(deviations));
	print_message("http1/cases.jsonl: %zu cases, %zu of them otherwise on purpose\n", cases,
	              deviating);
	assert_int_equal(cases, 585);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
