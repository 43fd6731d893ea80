/* fuzz_cookie.c -- Cookie fields: what is found is what a reader of RFC 6265 finds that looks at
 * one byte after the other, in one line as in many, and values lie in the input.
 */
#include <stdlib.h>

#include "http.h"

#define INPUT_MAX 4096
#define NAME      SLICE("sid")

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The pair in [from, to): true where it is one of the name, with its value. */
static bool read_pair(const char *text, size_t from, size_t to, struct slice *value)
{
	size_t equals = from, end;

	while (equals < to && text[equals] != '=')
		equals++;
	if (equals == to)
		return false;
	for (end = equals; from < end && is_blank(text[from]);)
		from++;
	while (end > from && is_blank(text[end - 1]))
		end--;
	if (!slice_eq(slice_bytes(text + from, end - from), NAME))
		return false;
	for (from = equals + 1; from < to && is_blank(text[from]);)
		from++;
	while (to > from && is_blank(text[to - 1]))
		to--;
	*value = slice_bytes(text + from, to - from);
	return true;
}

static uint32_t count(const char *text, size_t len, struct slice *first, uint32_t *pairs)
{
	struct slice value;
	uint32_t found = 0;

	for (size_t at = 0, end; at <= len; at = end + 1) {
		for (end = at; end < len && text[end] != ';';)
			end++;
		++*pairs;
		if (read_pair(text, at, end, &value) && found++ == 0)
			*first = value;
	}
	return found;
}

/* A request with one Cookie line for each line of the input. */
static bool parse(struct slice lines, char *raw, size_t cap, struct http_request *r)
{
	static const struct http_limits limits = { INPUT_MAX * 8, 64, 64, 0 };
	struct buf out = { raw, 0, cap, false };
	struct http_refusal refusal;

	buf_str(&out, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; slice_given(lines) && i < HTTP_COOKIE_LINES_MAX; i++) {
		buf_str(&out, "Cookie: ");
		buf_put(&out, slice_cut(&lines, '\n'));
		buf_str(&out, "\r\n");
	}
	buf_str(&out, "\r\n");
	http_request_init(r);
	return !out.full && http_parse(r, buf_slice(&out), &limits, &refusal) == HTTP_READY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char raw[INPUT_MAX * 8];
	struct http_request r;
	struct slice value = { 0 }, first = { 0 };
	uint32_t found = 0, pairs = 0;

	if (len > INPUT_MAX || !parse(slice_bytes(data, len), raw, sizeof raw, &r))
		return 0;
	for (uint32_t i = 0; i < r.cookie_lines; i++) {
		struct slice one = { 0 };
		uint32_t here = count(r.cookies[i].ptr, r.cookies[i].len, &one, &pairs);

		if (found == 0 && here > 0)
			first = one;
		found += here;
	}
	if (pairs > HTTP_COOKIE_PAIRS_MAX)
		found = 0;
	CHECK(http_cookie_find(&r, NAME, &value) == found);
	CHECK(found == 0 || (value.ptr >= raw && value.ptr + value.len <= raw + sizeof raw));
	CHECK(found == 0 || (value.len == first.len && slice_eq(value, first)));
	return 0;
}
