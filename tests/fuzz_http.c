/* fuzz_http.c -- a request and its chunked body: whole, cut in two at every point and byte by byte
 * they are the same; every slice lies inside the input; nothing is read that has not come; and a
 * decoded path holds nothing that could leave its place.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>

#include "http.h"

#define INPUT_MAX 2048
#define ROOM      (INPUT_MAX + 64)

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

/* Where a request or a body stands after some of it has come. */
struct parsed {
	struct http_request request;
	struct http_chunked chunked;
	struct http_refusal refusal;
	enum http_result result;
	char body_room[300];
	struct buf body;
	size_t taken;           /* of a chunked body */
};

static void begin(struct parsed *p)
{
	memset(p, 0, sizeof *p);
	http_request_init(&p->request);
	p->result = HTTP_MORE;
	p->body = BUF(p->body_room);
}

/* All that has come of a request: the bytes lie where they lay, and what has not come must not be
 * looked at. */
static void feed_request(struct parsed *p, struct slice in, size_t come)
{
	static char arrived[ROOM];

	if (p->result != HTTP_MORE)
		return;
	ASAN_UNPOISON_MEMORY_REGION(arrived, sizeof arrived);
	memcpy(arrived, in.ptr, come);
	ASAN_POISON_MEMORY_REGION(arrived + come, sizeof arrived - come);
	p->result = http_parse(&p->request, (struct slice){ arrived, come }, &limits, &p->refusal);
	ASAN_UNPOISON_MEMORY_REGION(arrived, sizeof arrived);
	if (p->result == HTTP_READY)
		check_slices(&p->request, (struct slice){ arrived, come });
}

/* What else has come of a chunked body, up to `come` bytes in all. */
static void feed_chunked(struct parsed *p, struct slice in, size_t come)
{
	struct slice rest = { in.ptr + p->taken, come - p->taken };

	if (p->result != HTTP_MORE)
		return;
	p->result = http_chunked_feed(&p->chunked, &rest, &p->body, &limits, &p->refusal);
	p->taken = come - rest.len;
	CHECK(p->result != HTTP_MORE || rest.len == 0);
}

static void check_same_head(const struct http_request *a, const struct http_request *b)
{
	CHECK(a->head_len == b->head_len && a->keep_alive == b->keep_alive);
	CHECK(a->method == b->method && a->minor == b->minor && a->chunked == b->chunked);
	CHECK(slice_eq(a->path, b->path) && slice_eq(a->query, b->query));
	CHECK(slice_eq(a->host, b->host) && a->content_length == b->content_length);
	CHECK(a->expect_continue == b->expect_continue && a->cookie_lines == b->cookie_lines);
	for (size_t i = 0; i < HTTP_FIELDS; i++)
		CHECK(slice_eq(a->field[i], b->field[i]));
}

static void check_same(const struct parsed *a, const struct parsed *b)
{
	CHECK(a->result == b->result && a->taken == b->taken);
	CHECK(a->refusal.status == b->refusal.status && a->refusal.why == b->refusal.why);
	CHECK(slice_eq(buf_slice(&a->body), buf_slice(&b->body)));
	CHECK(a->body.len <= limits.max_body && !a->body.full);
}

/* Whole, at every cut, byte by byte; the last stays in `p`. */
static void check_cuts(struct slice in, void (*feed)(struct parsed *, struct slice, size_t),
                       struct parsed *p)
{
	static struct parsed whole;

	begin(&whole);
	feed(&whole, in, in.len);
	for (size_t cut = 1; cut < in.len; cut++) {
		begin(p);
		feed(p, in, cut);
		feed(p, in, in.len);
		check_same(p, &whole);
		if (feed == feed_request && p->result == HTTP_READY)
			check_same_head(&p->request, &whole.request);
	}
	begin(p);
	for (size_t come = 1; come <= in.len; come++)
		feed(p, in, come);
	check_same(p, &whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct parsed request, body;
	struct slice in = slice_bytes(data, len);

	if (len == 0 || len > INPUT_MAX)
		return 0;
	check_path(in);
	check_form(in);
	check_cuts(in, feed_chunked, &body);
	check_cuts(in, feed_request, &request);
	if (request.result != HTTP_READY)
		return 0;
	check_path(request.request.path);
	if (request.request.chunked)
		check_cuts(slice_skip(in, request.request.head_len), feed_chunked, &body);
	return 0;
}
