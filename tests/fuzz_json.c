/* fuzz_json.c -- JSON: no part of a document is one; what is written is read again as the same;
 * what was merged into an object stands in it: merged once more, it changes nothing; and what is
 * read without Jansson is what Jansson reads.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void need(bool true_always)
{
	if (!true_always)
		abort();
}

static bool parses(struct slice text)
{
	char error[JSON_ERROR_MAX] = "";
	json_t *root = json_parse(text, error);

	need(root != NULL || memchr(error, '\0', sizeof error) != error);
	return root != NULL;
}

/* What lacks its last bracket is refused; twice the same document has data too much. */
static void check_document(struct slice text)
{
	static char room[1 << 17];
	struct buf twice = BUF(room);
	struct slice part = text;

	if (!parses(text))
		return;
	need(parses(text));
	buf_put(&twice, text);
	buf_char(&twice, '\n');
	buf_put(&twice, text);
	need(twice.full || !parses(buf_slice(&twice)));
	while (strchr(" \t\r\n", part.ptr[part.len - 1]) != NULL)
		part.len--;
	if (strchr("]}\"", part.ptr[part.len - 1]) == NULL)
		return;
	part.len--;
	need(!parses(part));
}

static int put_text(const char *bytes, size_t len, void *out)
{
	buf_put(out, (struct slice){ bytes, len });
	return 0;
}

/* Written by Jansson and read again it is the same; false: it was none, or too long. */
static bool write_again(struct slice text, struct buf *out)
{
	char error[JSON_ERROR_MAX];
	json_t *root = json_parse(text, error);

	out->len = 0;
	return root != NULL && !out->full &&
	       json_dump_callback(root, put_text, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0 &&
	       !out->full;
}

static void check_round_trip(struct slice text)
{
	static char room[2][1 << 17];
	struct buf once = BUF(room[0]), twice = BUF(room[1]);

	if (!write_again(text, &once))
		return;
	need(write_again(buf_slice(&once), &twice));
	need(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

/* RFC 7396: what stands in front of the first line's end is patched with the rest. */
static void check_merge(struct slice rest)
{
	static char room[2][1 << 17];
	struct slice target = slice_cut(&rest, '\n');
	struct buf once = BUF(room[0]), twice = BUF(room[1]);
	char error[JSON_ERROR_MAX];

	if (!json_merge_patch(&once, target, rest, error) || once.full)
		return;
	need(parses(target) && parses(rest) && parses(buf_slice(&once)));
	need(json_merge_patch(&twice, buf_slice(&once), rest, error));
	need(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

/* Any bytes make a string; where they are UTF-8 they are the string. */
static void check_string(struct slice bytes)
{
	static char room[1 << 17], again[1 << 17];
	struct buf out = BUF(room), out_again = BUF(again);
	char error[JSON_ERROR_MAX];
	json_t *root;

	json_put_string(&out, bytes);
	if (out.full)
		return;
	root = json_parse(buf_slice(&out), error);
	need(json_is_string(root));
	json_put_string(&out_again,
	                slice_bytes(json_string_value(root), json_string_length(root)));
	need(slice_eq(buf_slice(&out), buf_slice(&out_again)));
}

/* An object in it is not looked at, and a number may be one that Jansson refuses. */
static bool is_known(const struct json_member *m)
{
	return m->first != '{' && (strchr("\"\\", m->first) != NULL || m->text.len < 19);
}

/* Read without Jansson it is a document, and what Jansson reads. */
static void check_plain(struct slice text)
{
	struct json_member m[] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	bool is_plain = json_plain(text, m, COUNT_OF(m)) && is_known(&m[0]) && is_known(&m[1]) &&
	                is_known(&m[2]);
	char error[JSON_ERROR_MAX], number[24];
	const json_t *root = json_parse(text, error);

	need(!is_plain || json_is_object(root));
	for (size_t i = 0; is_plain && i < COUNT_OF(m); i++) {
		const json_t *value = json_object_get(root, m[i].name);
		struct slice string = slice_bytes(json_string_value(value),
		                                  json_string_length(value));

		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		if (m[i].first == '\0')
			need(value == NULL);
		else if (m[i].first == '"')
			need(json_is_string(value) && slice_eq(m[i].text, string));
		else if (m[i].first == '\\')
			need(json_is_string(value) && string.len < m[i].text.len);
		else
			need(json_is_integer(value) && slice_eq(m[i].text, slice_of(number)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_plain(slice_bytes(data, len));
	check_document(slice_bytes(data, len));
	check_round_trip(slice_bytes(data, len));
	check_merge(slice_bytes(data, len));
	check_string(slice_bytes(data, len));
	return 0;
}
