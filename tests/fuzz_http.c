/* fuzz_http.c -- a request and its chunked body: whole and split input agree, every slice
 * lies inside the input, and a decoded path holds nothing that could leave its place.
 *
 * The first byte says how the rest is cut into pieces.
 */
#include <stdlib.h>

#include "http.h"

#define INPUT_MAX 4096

/* Small, so that the limits are met. */
static const struct http_limits limits = {
	.max_head = 512, .max_target = 64, .max_headers = 8, .max_body = 256
};

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_slice(struct slice s, struct slice in)
{
	CHECK(!slice_given(s) || (s.ptr >= in.ptr && s.ptr + s.len <= in.ptr + in.len));
}

static void check_slices(const struct http_request *r, struct slice in)
{
	check_slice(r->method_name, in);
	check_slice(r->target, in);
	check_slice(r->query, in);
	check_slice(r->host, in);
	if (!slice_eq(r->path, SLICE("/")))
		check_slice(r->path, in);
	for (size_t i = 0; i < HTTP_FIELDS; i++)
		check_slice(r->field[i], in);
	CHECK(r->head_len <= in.len && r->head_len <= limits.max_head);
	CHECK(r->target.len <= limits.max_target && r->content_length <= limits.max_body);
	CHECK(!r->chunked || r->content_length == 0);
}

static void check_path(struct slice path)
{
	char room[INPUT_MAX];
	struct buf out = BUF(room);
	struct slice rest;

	if (!http_path_decode(path, &out))
		return;
	CHECK(out.len <= path.len && out.ptr[0] == '/');
	CHECK(slice_has(path, '\0') || !slice_has(buf_slice(&out), '\0'));
	rest = slice_skip(buf_slice(&out), 1);
	while (slice_given(rest)) {
		struct slice segment = slice_cut(&rest, '/');

		CHECK(segment.len > 0 || !slice_given(rest));
		CHECK(!slice_eq(segment, SLICE(".")) && !slice_eq(segment, SLICE("..")));
	}
}

static void check_form(struct slice rest)
{
	struct slice name, value, all = rest;
	char room[INPUT_MAX];

	while (http_form_next(&rest, &name, &value)) {
		struct buf out = BUF(room);

		check_slice(name, all);
		check_slice(value, all);
		http_form_decode(value, &out);
		CHECK(!out.full && out.len <= value.len);
	}
}

/* As it comes from a socket: what was not read yet is not there. */
static enum http_result parse_split(struct http_request *r, struct slice in, size_t step,
                                    struct http_refusal *refusal)
{
	static char arrived[INPUT_MAX];
	enum http_result result = HTTP_MORE;
	size_t at = 0;

	memset(arrived, 0, sizeof arrived);
	http_request_init(r);
	while (result == HTTP_MORE && at < in.len) {
		size_t piece = in.len - at < step ? in.len - at : step;

		memcpy(arrived + at, in.ptr + at, piece);
		at += piece;
		result = http_parse(r, (struct slice){ arrived, at }, &limits, refusal);
	}
	return result;
}

static void check_chunked(struct slice in, size_t step)
{
	char whole_room[300], split_room[300];
	struct buf whole_body = BUF(whole_room), split_body = BUF(split_room);
	struct http_chunked whole = { 0 }, split = { 0 };
	struct http_refusal refusal = { 0 }, split_refusal = { 0 };
	struct slice rest = in;
	enum http_result expected, result = HTTP_MORE;
	size_t at = 0;

	expected = http_chunked_feed(&whole, &rest, &whole_body, &limits, &refusal);
	while (result == HTTP_MORE && at < in.len) {
		struct slice piece = slice_skip(in, at);

		if (piece.len > step)
			piece.len = step;
		at += piece.len;
		result = http_chunked_feed(&split, &piece, &split_body, &limits, &split_refusal);
		at -= piece.len;
	}
	CHECK(result == expected && at == in.len - rest.len);
	CHECK(refusal.status == split_refusal.status && refusal.why == split_refusal.why);
	CHECK(slice_eq(buf_slice(&whole_body), buf_slice(&split_body)));
	CHECK(whole_body.len <= limits.max_body && !whole_body.full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice in = slice_bytes(data, len);
	struct http_request whole, split;
	struct http_refusal refusal = { 0 }, split_refusal = { 0 };
	enum http_result result;
	size_t step;

	if (len < 2 || len > INPUT_MAX)
		return 0;
	step = data[0] % 64 + 1u;
	in = slice_skip(in, 1);
	check_path(in);
	check_form(in);
	check_chunked(in, step);

	http_request_init(&whole);
	result = http_parse(&whole, in, &limits, &refusal);
	CHECK(parse_split(&split, in, step, &split_refusal) == result);
	CHECK(refusal.status == split_refusal.status && refusal.why == split_refusal.why);
	if (result != HTTP_READY)
		return 0;
	check_slices(&whole, in);
	CHECK(whole.head_len == split.head_len && whole.keep_alive == split.keep_alive);
	CHECK(slice_eq(whole.path, split.path) && slice_eq(whole.query, split.query));
	CHECK(slice_eq(whole.host, split.host) && whole.content_length == split.content_length);
	for (size_t i = 0; i < HTTP_FIELDS; i++)
		CHECK(slice_eq(whole.field[i], split.field[i]));
	check_path(whole.path);
	if (whole.chunked)
		check_chunked(slice_skip(in, whole.head_len), step);
	return 0;
}
