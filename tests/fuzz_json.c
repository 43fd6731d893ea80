/* fuzz_json.c -- JSON: no part of a document is one, and what is written is read again. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_document(slice_bytes(data, len));
	check_string(slice_bytes(data, len));
	return 0;
}
