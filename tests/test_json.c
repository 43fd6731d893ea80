/* test_json.c -- request bodies: what is refused, in whose words, and what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>

#include "corpora.h"
#include "guard.h"
#include "json.h"

/* What json.loads() of CPython 3.11.7 says to each. */
static const struct {
	const char *text, *error;
} python[] = {
	{ "", "Expecting value: line 1 column 1 (char 0)" },
	{ "  ", "Expecting value: line 1 column 3 (char 2)" },
	{ "\n\t ", "Expecting value: line 2 column 3 (char 3)" },
	{ "{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ "[", "Expecting value: line 1 column 2 (char 1)" },
	{ "{\"a\"", "Expecting ':' delimiter: line 1 column 5 (char 4)" },
	{ "{\"a\":", "Expecting value: line 1 column 6 (char 5)" },
	{ "{\"a\":1", "Expecting ',' delimiter: line 1 column 7 (char 6)" },
	{ "{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)" },
	{ "{\"a\":1,}",
	  "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)" },
	{ "{\"a\":1 \"b\":2}", "Expecting ',' delimiter: line 1 column 8 (char 7)" },
	{ "{a:1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ "{'a':1}",
	  "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ "[1,]", "Expecting value: line 1 column 4 (char 3)" },
	{ "[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)" },
	{ "[1", "Expecting ',' delimiter: line 1 column 3 (char 2)" },
	{ "[1,", "Expecting value: line 1 column 4 (char 3)" },
	{ "[,1]", "Expecting value: line 1 column 2 (char 1)" },
	{ "[]]", "Extra data: line 1 column 3 (char 2)" },
	{ "{}{}", "Extra data: line 1 column 3 (char 2)" },
	{ "1 2", "Extra data: line 1 column 3 (char 2)" },
	{ "01", "Extra data: line 1 column 2 (char 1)" },
	{ "1.", "Extra data: line 1 column 2 (char 1)" },
	{ ".5", "Expecting value: line 1 column 1 (char 0)" },
	{ "-", "Expecting value: line 1 column 1 (char 0)" },
	{ "-a", "Expecting value: line 1 column 1 (char 0)" },
	{ "+1", "Expecting value: line 1 column 1 (char 0)" },
	{ "1e", "Extra data: line 1 column 2 (char 1)" },
	{ "1e+", "Extra data: line 1 column 2 (char 1)" },
	{ "1.5.2", "Extra data: line 1 column 4 (char 3)" },
	{ "nul", "Expecting value: line 1 column 1 (char 0)" },
	{ "tru", "Expecting value: line 1 column 1 (char 0)" },
	{ "True", "Expecting value: line 1 column 1 (char 0)" },
	{ "\"abc", "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ "\"a\nb\"", "Invalid control character at: line 1 column 3 (char 2)" },
	{ "\"a\tb\"", "Invalid control character at: line 1 column 3 (char 2)" },
	{ "\"\\x\"", "Invalid \\escape: line 1 column 2 (char 1)" },
	{ "\"\\", "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ "\"\\u12", "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ "\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ "\"\\u123g\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ "\"\\u1234", "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ "\"\\ud800\\u12\"", "Invalid \\uXXXX escape: line 1 column 9 (char 8)" },
	{ "\"\\ud800\\uzzzz\"", "Invalid \\uXXXX escape: line 1 column 9 (char 8)" },
	{ "\"\xc3\xa9\\q\"", "Invalid \\escape: line 1 column 3 (char 2)" },
	{ "[\"\xc3\xa9\",\n x]", "Expecting value: line 2 column 2 (char 7)" },
	{ "{\"username\"=\"ada\"}", "Expecting ':' delimiter: line 1 column 12 (char 11)" },
	{ "{\"username\":\"ada\",\"password\":}", "Expecting value: line 1 column 30 (char 29)" },
	{ "\xef\xbb\xbf{}",
	  "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)" },
	{ "{\"a\":1}\n\n x", "Extra data: line 3 column 2 (char 10)" },
	{ "{\"a\":[1,2,{\"b\":}]}", "Expecting value: line 1 column 16 (char 15)" },
	{ "[1}", "Expecting ',' delimiter: line 1 column 3 (char 2)" },
	{ "{\"a\":1]", "Expecting ',' delimiter: line 1 column 7 (char 6)" },
	{ "\"abc\\\"", "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ "{\"a\":\"\\u\"}", "Invalid \\uXXXX escape: line 1 column 8 (char 7)" },
	{ "{\n\"a\":1,\n\"b\" 2}", "Expecting ':' delimiter: line 3 column 5 (char 13)" },
	{ "\"\x7f", "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ "-Infinit", "Expecting value: line 1 column 1 (char 0)" },
	{ "\"\xe6\x97\xa5\xe6\x9c\xac\\k\"", "Invalid \\escape: line 1 column 4 (char 3)" },
	{ "{1:2}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ "{\"a\":1,,}",
	  "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)" },
	{ "[\n", "Expecting value: line 2 column 1 (char 2)" },
	{ "{\"\xe2\x82\xac\":1,\"\xc3\xbc\":}", "Expecting value: line 1 column 12 (char 11)" },
	{ "\"\\ud83d\\ude00\\", "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ "truefalse", "Extra data: line 1 column 5 (char 4)" },
	{ "[true false]", "Expecting ',' delimiter: line 1 column 7 (char 6)" },
	{ "\"\\U0041\"", "Invalid \\escape: line 1 column 2 (char 1)" },
	{ "{\"a\":\n", "Expecting value: line 2 column 1 (char 6)" },
	{ "{\"a\"\n:", "Expecting value: line 2 column 2 (char 6)" },
	{ "\x0b" "1", "Expecting value: line 1 column 1 (char 0)" },
	{ "\"ab\\ud83d\\ude0\"", "Invalid \\uXXXX escape: line 1 column 11 (char 10)" },
	{ "-01", "Extra data: line 1 column 3 (char 2)" },
	{ "1.2e3e", "Extra data: line 1 column 6 (char 5)" },
	{ "[1e]", "Expecting ',' delimiter: line 1 column 3 (char 2)" },
	{ "[1.e1]", "Expecting ',' delimiter: line 1 column 3 (char 2)" },
};

/* What Python lets pass or says otherwise. */
static const struct {
	const char *name, *text, *error;
} own_words[] = {
	{ "NaN", "[NaN]",
	  "Out of range float values are not JSON compliant: line 1 column 2 (char 1)" },
	{ "Infinity", "{\"a\":\n Infinity}",
	  "Out of range float values are not JSON compliant: line 2 column 2 (char 7)" },
	{ "-Infinity", "-Infinity",
	  "Out of range float values are not JSON compliant: line 1 column 1 (char 0)" },
	{ "NaN comes before what follows", "[NaN, x",
	  "Out of range float values are not JSON compliant: line 1 column 2 (char 1)" },
	{ "duplicate name", "{\"a\":1,\"b\":2,\"a\":3}",
	  "Duplicate property name: line 1 column 14 (char 13)" },
	{ "duplicate by escapes", "{\"a\":1,\n\"\\u0061\":2}",
	  "Duplicate property name: line 2 column 1 (char 8)" },
	{ "duplicate empty name", "[{\"\":1,\"\":{}}]",
	  "Duplicate property name: line 1 column 8 (char 7)" },
	{ "duplicate behind a character", "{\"\xc3\xa9\":1,\"\xc3\xa9\":2}",
	  "Duplicate property name: line 1 column 8 (char 7)" },
	{ "null character in a name", "{ \"a\\u0000b\":1}",
	  "Null character in property name: line 1 column 3 (char 2)" },
	{ "high surrogate alone", "\"a\\ud800\"",
	  "Unpaired surrogate escape at: line 1 column 3 (char 2)" },
	{ "high surrogate and a letter", "\"\\uDBFFx\"",
	  "Unpaired surrogate escape at: line 1 column 2 (char 1)" },
	{ "high surrogate and an escape", "\"\\ud800\\n\"",
	  "Unpaired surrogate escape at: line 1 column 2 (char 1)" },
	{ "high surrogate and no low one", "\"\\ud800\\u0041\"",
	  "Unpaired surrogate escape at: line 1 column 2 (char 1)" },
	{ "two high surrogates", "\"\\ud800\\ud800\"",
	  "Unpaired surrogate escape at: line 1 column 2 (char 1)" },
	{ "low surrogate alone", "\"\\udc00\"",
	  "Unpaired surrogate escape at: line 1 column 2 (char 1)" },
	{ "surrogates in a name", "{\"\\udead\":1}",
	  "Unpaired surrogate escape at: line 1 column 3 (char 2)" },
	{ "integer over int64", "[9223372036854775808]",
	  "Number out of range: line 1 column 2 (char 1)" },
	{ "integer under int64", "{\"a\": -9223372036854775809 }",
	  "Number out of range: line 1 column 7 (char 6)" },
	{ "integer of 100 digits", "[1,\n1234567890123456789012345678901234567890123456789012345678"
	  "901234567890123456789012345678901234567890]",
	  "Number out of range: line 2 column 1 (char 4)" },
	{ "real over double", "1e309", "Number out of range: line 1 column 1 (char 0)" },
	{ "real under -double", "[0,-1.0e+309]", "Number out of range: line 1 column 4 (char 3)" },
	{ "a byte of no character", "[\"a\xff\"]", "Invalid UTF-8: line 1 column 4 (char 3)" },
	{ "continuation byte alone", "\"\x80\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "character cut by the end", "\"\xc3", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "character cut by a quote", "\"\xe2\x82\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "four bytes cut", "\"\xf0\x9f\x98", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "overlong slash", "\"\xc0\xaf\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "overlong in three bytes", "\"\xe0\x9f\xbf\"",
	  "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "overlong in four bytes", "\"\xf0\x8f\xbf\xbf\"",
	  "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "surrogate in UTF-8", "\"\xed\xa0\x80\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "five bytes", "\"\xf8\x88\x80\x80\x80\"", "Invalid UTF-8: line 1 column 2 (char 1)" },
	{ "UTF-8 comes before grammar", "x\n\"\xc3\xa9\" \xff",
	  "Invalid UTF-8: line 2 column 5 (char 6)" },
	{ "33 levels", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	  "More than 32 levels: line 1 column 33 (char 32)" },
};

/* Texts that are taken, as Jansson writes them again. */
static const struct {
	const char *name, *text, *written;
} taken[] = {
	{ "null",               " null ",                  "null"                    },
	{ "true, false",        "[true,false]",            "[true,false]"            },
	{ "empty string",       "\"\"",                    "\"\""                    },
	{ "empty array",        "[ ]",                     "[]"                      },
	{ "empty object",       "{\n}",                    "{}"                      },
	{ "blanks everywhere",  "\t{ \"a\" : [ 1 ,\r\n2 ] , \"b\" : { } }\n",
	                                                   "{\"a\":[1,2],\"b\":{}}"  },
	{ "order stays",        "{\"b\":1,\"a\":2}",       "{\"b\":1,\"a\":2}"       },
	{ "int64",              "[9223372036854775807,-9223372036854775808]",
	                        "[9223372036854775807,-9223372036854775808]"         },
	{ "zeros",              "[0,-0,0.0]",              "[0,0,0.0]"               },
	{ "reals",              "[1.5,-2E+2,1e-2]",        "[1.5,-200.0,0.01]"       },
	{ "underflow",          "[1e-400]",                "[0.0]"                   },
	{ "short escapes",      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
	{ "a surrogate pair",   "\"\\ud83d\\ude00\"",      "\"\xf0\x9f\x98\x80\""    },
	{ "the last pair",      "\"\\uDBFF\\uDFFF\"",      "\"\xf4\x8f\xbf\xbf\""    },
	{ "beside surrogates",  "\"\\ud7ff\\ue000\"",      "\"\xed\x9f\xbf\xee\x80\x80\"" },
	{ "a noncharacter",     "\"\xef\xbf\xbf\"",        "\"\xef\xbf\xbf\""        },
	{ "DEL",                "\"\x7f\"",                "\"\x7f\""                },
	{ "one name, two objects", "[{\"a\":1},{\"a\":{\"a\":2}}]",
	                        "[{\"a\":1},{\"a\":{\"a\":2}}]"                      },
	{ "32 levels", "[[[[[[[[[[[[[[[[{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}]]]]]]]]]]]]]]]]",
	  "[[[[[[[[[[[[[[[[{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}]]]]]]]]]]]]]]]]" },
};

static json_t *parse(struct slice text, char error[JSON_ERROR_MAX])
{
	json_t *root;

	memset(error, '#', JSON_ERROR_MAX);
	root = json_parse(guarded(text), error);
	if (root == NULL && memchr(error, '\0', JSON_ERROR_MAX) == NULL)
		fail_msg("%.*s: no error", (int)text.len, text.ptr);
	return root;
}

static void refuses(const char *name, struct slice text, const char *expected)
{
	char error[JSON_ERROR_MAX];

	if (parse(text, error) != NULL)
		fail_msg("%s: taken", name);
	if (strcmp(error, expected) != 0)
		fail_msg("%s: %s, not %s", name, error, expected);
}

static void test_words_of_python(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(python); i++)
		refuses(python[i].text, slice_of(python[i].text), python[i].error);
	refuses("NUL", SLICE("\0"), "Expecting value: line 1 column 1 (char 0)");
	refuses("NUL in a string", SLICE("\"\0\""),
	        "Invalid control character at: line 1 column 2 (char 1)");
	refuses("NUL behind", SLICE("{}\0"), "Extra data: line 1 column 3 (char 2)");
	refuses("absent", (struct slice){ 0 }, "Expecting value: line 1 column 1 (char 0)");
}

static void test_own_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(own_words); i++)
		refuses(own_words[i].name, slice_of(own_words[i].text), own_words[i].error);
}

static void test_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		char error[JSON_ERROR_MAX], written[256];
		json_t *root = parse(slice_of(taken[i].text), error);
		size_t len;

		if (root == NULL)
			fail_msg("%s: %s", taken[i].name, error);
		len = json_dumpb(root, written, sizeof written, JSON_COMPACT | JSON_ENCODE_ANY);
		if (!slice_eq((struct slice){ written, len }, slice_of(taken[i].written)))
			fail_msg("%s: %.*s", taken[i].name, (int)len, written);
	}
}

/* A document cut short is never one, and never read beyond its cut. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		struct slice text = slice_trim(slice_of(taken[i].text));
		char error[JSON_ERROR_MAX];

		while (text.len > 0 && text.ptr[text.len - 1] == '\n')
			text.len--;
		while (text.len > 0) {
			text.len--;
			if (parse(text, error) != NULL)
				fail_msg("%s: %.*s", taken[i].name, (int)text.len, text.ptr);
		}
	}
}

static char big[JSON_TEXT_MAX + 1];

/* `head`, then `count` times `each` with a comma between, then `tail`. */
static struct slice list_of(const char *head, const char *each, size_t count, const char *tail)
{
	struct buf out = BUF(big);

	buf_str(&out, head);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_char(&out, ',');
		buf_str(&out, each);
	}
	buf_str(&out, tail);
	assert_false(out.full);
	return buf_slice(&out);
}

/* `count` members with different names of at least `width` bytes. */
static struct slice members_of(size_t count, size_t width, const char *value)
{
	struct buf out = BUF(big);

	buf_char(&out, '{');
	for (size_t i = 0; i < count; i++) {
		size_t start = out.len;

		buf_lit(&out, "\"");
		buf_uint(&out, i);
		buf_char(&out, '-');
		while (!out.full && out.len - start <= width)
			buf_char(&out, 'n');
		buf_lit(&out, "\":");
		buf_str(&out, value);
		buf_char(&out, i + 1 < count ? ',' : '}');
	}
	assert_false(out.full);
	return buf_slice(&out);
}

/* As OCAPI's clients send one back. */
static struct slice basket_of(size_t lines)
{
	struct buf out = BUF(big);

	buf_lit(&out, "{\"product_items\":[");
	for (size_t i = 0; i < lines; i++) {
		buf_str(&out, i > 0 ? ",{" : "{");
		for (char name = 'a'; name < 's'; name++) {
			buf_str(&out, name > 'a' ? ",\"" : "\"");
			buf_char(&out, name);
			buf_lit(&out, "_price_after_discount\":\"123456789\"");
		}
		buf_char(&out, '}');
	}
	buf_lit(&out, "]}");
	assert_false(out.full);
	return buf_slice(&out);
}

static struct slice string_of(size_t len, const char *head, const char *tail)
{
	struct buf out = BUF(big);

	buf_str(&out, head);
	while (out.len < len - strlen(tail))
		buf_char(&out, 'x');
	buf_str(&out, tail);
	assert_false(out.full);
	return buf_slice(&out);
}

static void takes(const char *name, struct slice text)
{
	char error[JSON_ERROR_MAX];

	if (parse(text, error) == NULL)
		fail_msg("%s: %s", name, error);
}

/* What is within the limits fits the arena, in the shapes that take the most of it. */
static void test_limits_fit(void **state)
{
	(void)state;
	takes("array of objects", list_of("[", "{}", JSON_VALUES_MAX - 1, "]"));
	takes("array of arrays", list_of("[", "[]", JSON_VALUES_MAX - 1, "]"));
	takes("array of strings", list_of("[", "\"\"", JSON_VALUES_MAX - 1, "]"));
	takes("array of texts", list_of("[", "\"0123456789012345678901234567890123456789\"",
	                                JSON_VALUES_MAX - 1, "]"));
	takes("object of objects", members_of(JSON_VALUES_MAX - 1, 1, "{}"));
	takes("object of objects, just doubled", members_of(2049, 17, "{}"));
	takes("object of long names", members_of(JSON_VALUES_MAX - 1, 246, "{}"));
	takes("many objects", list_of("[", "{}", 19500, "]"));
	takes("many arrays", list_of("[", "[[]]", 9500, "]"));
	takes("object of many objects", members_of(15000, 8, "{}"));
	takes("the same, just doubled", members_of(8193, 64, "{}"));
	takes("a basket of 500 lines", basket_of(500));
	takes("the longest string", string_of(JSON_TEXT_MAX, "\"", "\""));
	takes("the longest name", string_of(JSON_TEXT_MAX, "{\"", "\":[[{}]]}"));
	takes("the longest blank", string_of(JSON_TEXT_MAX, "{\"a\":\"", "\"}"));
}

static void test_limits(void **state)
{
	char long_text[256];

	memset(long_text, 'x', sizeof long_text);
	long_text[0] = long_text[253] = '"';
	long_text[254] = '\0';
	(void)state;
	takes("as many values as fit beside the text", list_of("[", "0", 19858, "]"));
	refuses("one value more", list_of("[", "0", 19859, "]"),
	        "Too many values: line 1 column 39718 (char 39717)");
	refuses("not so many beside long texts", list_of("[", long_text, 4110, "]"),
	        "Too many values: line 1 column 1046267 (char 1046266)");
	refuses("one byte more", string_of(JSON_TEXT_MAX + 1, "\"", "\""),
	        "More than 1048576 bytes: line 1 column 1048577 (char 1048576)");
	memset(big, '[', sizeof big);
	refuses("only brackets", (struct slice){ big, JSON_TEXT_MAX },
	        "More than 32 levels: line 1 column 33 (char 32)");
}

/* The document before is gone, whatever became of it; the arena is whole again. */
static void test_one_after_the_other(void **state)
{
	(void)state;
	json_seed(1);
	for (size_t i = 0; i < 50; i++) {
		char error[JSON_ERROR_MAX];

		takes("full", members_of(JSON_VALUES_MAX - 1, 200, "{}"));
		assert_null(parse(SLICE("{\"a\":1,\"a\":1}"), error));
		assert_null(parse(SLICE("{"), error));
	}
}

static void test_put_string(void **state)
{
	static const struct {
		const char *name;
		struct slice in;
		const char *out;
	} cases[] = {
		{ "absent",             { NULL, 0 },             "\"\""                         },
		{ "plain",              { "a/b'c", 5 },          "\"a/b'c\""                    },
		{ "quote, backslash",   { "\"\\", 2 },           "\"\\\"\\\\\""                 },
		{ "short escapes",      { "\b\f\n\r\t", 5 },     "\"\\b\\f\\n\\r\\t\""          },
		{ "control bytes",      { "\0\x01\x1f\x7f", 4 },
		                        "\"\\u0000\\u0001\\u001f\\u007f\""                },
		{ "characters",         { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
		                        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""              },
		{ "Latin-1",            { "k\xe9x", 3 },         "\"k\xef\xbf\xbdx\""           },
		{ "cut at the end",     { "a\xe2\x82", 3 },
		                        "\"a\xef\xbf\xbd\xef\xbf\xbd\""                         },
		{ "surrogate",          { "\xed\xa0\x80", 3 },
		                        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""              },
		{ "overlong quote",     { "\xc0\xa2", 2 },       "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "all bits",           { "\xff", 1 },           "\"\xef\xbf\xbd\""             },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char room[64];
		struct buf out = BUF(room);

		json_put_string(&out, guarded(cases[i].in));
		if (!slice_eq(buf_slice(&out), slice_of(cases[i].out)))
			fail_msg("%s: %.*s", cases[i].name, (int)out.len, out.ptr);
	}
}

static void test_put_string_full(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 9; cap++) {
		char room[9] = "########";
		struct buf out = { room, 0, cap, false };

		json_put_string(&out, SLICE("\x01"));
		assert_int_equal(out.full, cap < 8);
		assert_int_equal(room[cap], cap < 8 ? '#' : '\0');
	}
}

/* Every ASCII character survives being written and read. */
static void test_put_and_parse(void **state)
{
	(void)state;
	for (int c = 0; c < 0x80; c++) {
		char room[16], error[JSON_ERROR_MAX], in[] = { 'a', (char)c, 'b' };
		struct buf out = BUF(room);
		json_t *root;

		json_put_string(&out, (struct slice){ in, sizeof in });
		root = parse(buf_slice(&out), error);
		assert_int_equal(json_string_length(root), sizeof in);
		assert_memory_equal(json_string_value(root), in, sizeof in);
	}
}

/* Eight bytes are judged at a step: each byte at each of their places is written as it is alone. */
static void test_put_string_words(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char alone_room[16], byte = (char)c;
		struct buf alone = BUF(alone_room);
		struct slice text;

		json_put_string(&alone, (struct slice){ &byte, 1 });
		text = (struct slice){ alone.ptr + 1, alone.len - 2 };
		for (size_t at = 0; at < 19; at++) {
			char room[64], expected_room[64], in[] = "0123456789abcdefghi";
			struct buf out = BUF(room), expected = BUF(expected_room);

			buf_char(&expected, '"');
			buf_put(&expected, (struct slice){ in, at });
			buf_put(&expected, text);
			buf_put(&expected, (struct slice){ in + at + 1, sizeof in - at - 2 });
			buf_char(&expected, '"');
			in[at] = byte;
			json_put_string(&out, guarded((struct slice){ in, sizeof in - 1 }));
			assert_true(slice_eq(buf_slice(&out), buf_slice(&expected)));
		}
	}
}

/* The suite's verdict is in a file's name; two kinds of its valid texts are refused here. */
static bool is_wanted(const char *name)
{
	return name[0] == 'y' && strstr(name, "duplicated_key") == NULL &&
	       strstr(name, "escaped_null_in_key") == NULL;
}

/* The cases of RFC 7396, appendix A, whose document and patch are objects, and more. */
static void test_merge_patch(void **state)
{
	static const struct {
		const char *target, *patch, *merged;
	} cases[] = {
		{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
		{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
		{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
		{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
		{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
		{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		  "{\"a\":{\"b\":\"d\"}}" },
		{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
		{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
		{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
		{ "{}", "{}", "{}" },
		{ " { } ", "{ \"a\" : [ null , true ] }", "{\"a\":[null,true]}" },
		{ "{\"a\":1}", "{\"b\":null}", "{\"a\":1}" },
		{ "{\"a\":1}", "{\"a\":{\"b\":2,\"c\":null}}", "{\"a\":{\"b\":2}}" },
		{ "{\"\":1}", "{\"\":2}", "{\"\":2}" },
		{ "{}", "{\"a\":\"\\u0000\\u00e4\"}", "{\"a\":\"\\u0000\xc3\xa4\"}" },
		{ "{}", "{\"n\":9223372036854775807}", "{\"n\":9223372036854775807}" },
	};
	static const struct {
		const char *target, *patch;
	} refused[] = {
		{ "[\"a\",\"b\"]", "[\"c\",\"d\"]" }, { "{\"a\":\"b\"}", "[\"c\"]" },
		{ "{\"a\":\"foo\"}", "null" }, { "{\"a\":\"foo\"}", "\"bar\"" },
		{ "[1,2]", "{\"a\":\"b\",\"c\":null}" }, { "{}", "" }, { "", "{}" },
		{ "{}", "{\"a\"" }, { "{}", "{\"a\":1,\"a\":2}" }, { "{}", "1" },
		{ "{}", "{\"\\u0000\":1}" }, { "{}", "{\"a\":\"\xff\"}" },
	};
	char text[256], error[JSON_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = BUF(text);

		assert_true(json_merge_patch(&out, slice_of(cases[i].target),
		                             slice_of(cases[i].patch), error));
		if (!slice_eq(buf_slice(&out), slice_of(cases[i].merged)))
			fail_msg("%s and %s: %.*s", cases[i].target, cases[i].patch, (int)out.len,
			         text);
	}
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct buf out = BUF(text);

		error[0] = '\0';
		if (json_merge_patch(&out, slice_of(refused[i].target), slice_of(refused[i].patch),
		                     error))
			fail_msg("%s and %s", refused[i].target, refused[i].patch);
		assert_true(error[0] != '\0' && out.len == 0);
	}
}

static void test_merge_patch_full(void **state)
{
	char text[8], error[JSON_ERROR_MAX];
	struct buf out = BUF(text);

	(void)state;
	assert_true(json_merge_patch(&out, SLICE("{\"a\":10}"), SLICE("{\"a\":1}"), error));
	assert_false(out.full);
	out.len = 0;
	assert_true(json_merge_patch(&out, SLICE("{\"a\":1}"), SLICE("{\"b\":1}"), error));
	assert_true(out.full);
}

/* One verdict, and one sentence where it is refused, whatever was read before. */
static bool is_taken(struct slice text, char error[JSON_ERROR_MAX])
{
	char again[JSON_ERROR_MAX];
	bool good = parse(text, error) != NULL;

	assert_null(parse(SLICE("[{\"a\":"), again));
	assert_int_equal(parse(text, again) != NULL, good);
	if (!good)
		assert_string_equal(again, error);
	return good;
}

/* What json_plain() makes of the members a and b: their `first` and text; NULL: it is Jansson's. */
static const struct {
	const char *text, *first, *a, *b;
} plain[] = {
	{ "{\"a\":\"x y\",\"b\":12}",          "\"1",  "x y", "12" },
	{ " {\"b\" : 0 ,\n\"a\" :\t\"\" } ",   "\"0",  "",    "0" },
	{ "{\"b\":7}",                         "-7",   "",    "7" },
	{ "{\"a\":\"\\\"\\\\\",\"b\":1}",       "\\1", "\\\"\\\\", "1" },
	{ "{\"a\":\"{\\\"c\\\":1}\",\"b\":\"]\"}", "\\\"", "{\\\"c\\\":1}", "]" },
	{ "{\"a\":{ \"c\":1 },\"b\":{}}",      "{{",   "{ \"c\":1 }", "{}" },
	{ "{\"a\":{\"c\":{}},\"b\":1}",        NULL, NULL, NULL },
	{ "{}",               NULL, NULL, NULL },
	{ "{\"a\":1,\"a\":1}", NULL, NULL, NULL },
	{ "{\"a\":1,\"c\":1}", NULL, NULL, NULL },
	{ "{\"a\":1,}",        NULL, NULL, NULL },
	{ "{\"a\":01}",        NULL, NULL, NULL },
	{ "{\"a\":-1}",        NULL, NULL, NULL },
	{ "{\"a\":1.5}",       NULL, NULL, NULL },
	{ "{\"a\":null}",      NULL, NULL, NULL },
	{ "{\"a\":[1]}",       NULL, NULL, NULL },
	{ "{\"a\":\"\\n\"}",   NULL, NULL, NULL },
	{ "{\"a\":\"\\u0041\"}", NULL, NULL, NULL },
	{ "{\"a\":\"\t\"}",    NULL, NULL, NULL },
	{ "{\"a\":\"\xc3\xa4\"}", NULL, NULL, NULL },
	{ "{\"a\":\"\\\"}",    NULL, NULL, NULL },
	{ "{\"\\\\a\":1}",    NULL, NULL, NULL },
	{ "{\"a\":1}}",        NULL, NULL, NULL },
	{ "[\"a\"]",           NULL, NULL, NULL },
};

static void test_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		struct json_member m[] = { { .name = "a" }, { .name = "b" } };
		struct slice text = slice_of(plain[i].text);
		bool read = json_plain(guarded(text), m, COUNT_OF(m));

		if (read != (plain[i].first != NULL))
			fail_msg("%s", plain[i].text);
		if (!read)
			continue;
		assert_int_equal(m[0].first == '\0' ? '-' : m[0].first, plain[i].first[0]);
		assert_int_equal(m[1].first, plain[i].first[1]);
		assert_true(slice_eq(m[0].text, slice_of(plain[i].a)));
		assert_true(slice_eq(m[1].text, slice_of(plain[i].b)));
		while (--text.len > 0) {
			m[0].first = m[1].first = '\0';
			if (text.ptr[text.len] != ' ' &&
			    json_plain(guarded(text), m, COUNT_OF(m)))
				fail_msg("%.*s", (int)text.len, text.ptr);
		}
	}
}

/* What either verdict is right for, `i`, gets one of them. */
static void test_corpus(void **state)
{
	char path[4096], name[300], error[JSON_ERROR_MAX];
	size_t good = 0, bad = 0, either = 0;
	struct dirent *entry;
	DIR *folder;

	(void)state;
	snprintf(path, sizeof path, "%s/json/test_parsing", corpora());
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		FILE *file;
		struct slice text;
		bool accepted;

		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		snprintf(name, sizeof name, "json/test_parsing/%s", entry->d_name);
		file = corpus_open(name);
		text = (struct slice){ big, fread(big, 1, sizeof big, file) };
		fclose(file);
		accepted = is_taken(text, error);
		if (entry->d_name[0] != 'i' && accepted != is_wanted(entry->d_name))
			fail_msg("%s: %s", entry->d_name, accepted ? "taken" : error);
		good += accepted;
		bad += !accepted;
		either += entry->d_name[0] == 'i';
	}
	closedir(folder);
	print_message("json/test_parsing: %zu taken, %zu refused, %zu of them as we like\n", good,
	              bad, either);
	assert_int_equal(good + bad, 318);
	assert_int_equal(either, 35);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_of_python),
		cmocka_unit_test(test_own_words),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_limits_fit),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_put_string),
		cmocka_unit_test(test_put_string_full),
		cmocka_unit_test(test_put_and_parse),
		cmocka_unit_test(test_put_string_words),
		cmocka_unit_test(test_merge_patch),
		cmocka_unit_test(test_merge_patch_full),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
