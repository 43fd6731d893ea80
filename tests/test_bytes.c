/* test_bytes.c -- slices and the bounded writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"
#include "guard.h"

#define ABSENT ((struct slice){ 0 })

static void test_equality(void **state)
{
	static const struct {
		const char *name, *a, *b;
		bool equal, nocase;
	} cases[] = {
		{ "empty",             "",     "",     true,  true  },
		{ "same",              "Host", "Host", true,  true  },
		{ "other case",        "Host", "hOST", false, true  },
		{ "longer",            "Host", "Hosts", false, false },
		{ "other byte",        "Host", "Hose", false, false },
		{ "first byte",        "Host", "Most", false, false },
		{ "one empty",         "",     "a",    false, false },
		{ "below the letters", "@",    "`",    false, false },
		{ "above the letters", "[",    "{",    false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice a = guarded(slice_of(cases[i].a)), b = slice_of(cases[i].b);

		if (slice_eq(a, b) != cases[i].equal || slice_eq_secret(a, b) != cases[i].equal)
			fail_msg("%s", cases[i].name);
		if (slice_eq_nocase(a, b) != cases[i].nocase)
			fail_msg("%s, without case", cases[i].name);
	}
	assert_true(slice_eq(ABSENT, SLICE("")));
	assert_true(slice_eq_secret(ABSENT, SLICE("")));
	assert_false(slice_given(ABSENT));
	assert_true(slice_given(SLICE("")));
}

/* Eight bytes at a step are the same as one by one: every byte beside every other one, in a
 * whole word, at its borders, and in the rest. */
static void test_case_of_every_byte(void **state)
{
	static const size_t places[] = { 0, 3, 7, 8, 15, 16, 18 };
	char a[19], b[19], lower[19];

	(void)state;
	for (size_t p = 0; p < COUNT_OF(places); p++) {
		for (unsigned pair = 0; pair < 1u << 16; pair++) {
			struct slice s = { a, sizeof a };
			char left = (char)(pair >> 8), right = (char)pair;

			memset(a, "zZ@[\x7f\xff"[pair % 6], sizeof a);
			memcpy(b, a, sizeof a);
			a[places[p]] = left;
			b[places[p]] = right;
			if (slice_eq_nocase(s, slice_bytes(b, sizeof b)) !=
			    (byte_lower(left) == byte_lower(right)))
				fail_msg("%02x and %02x at %zu", pair >> 8, pair & 0xff, places[p]);
			assert_int_equal(slice_lower(s, lower).len, sizeof a);
			for (size_t i = 0; i < sizeof a; i++)
				assert_int_equal(lower[i], byte_lower(a[i]));
		}
	}
}

/* Every byte beside every other one: of each the high bit, and of no other. */
static void test_within(void **state)
{
	static const unsigned char ranges[][2] = {
		{ 0, 0x7f }, { ' ', '~' }, { 'a', 'z' }, { ':', ':' }, { 0x7f, 0x7f }, { 0, 0 },
	};

	(void)state;
	for (size_t r = 0; r < COUNT_OF(ranges); r++)
		for (unsigned pair = 0; pair < 1u << 16; pair++) {
			unsigned char low = ranges[r][0], high = ranges[r][1], bytes[8], want[8];
			uint64_t mask;

			for (size_t i = 0; i < sizeof bytes; i++) {
				bytes[i] = (unsigned char)(i % 3 == 1 ? pair >> 8 : pair);
				want[i] = bytes[i] >= low && bytes[i] <= high ? 0x80 : 0;
			}
			mask = word_within(word_at((const char *)bytes), low, high);
			assert_memory_equal(&mask, want, sizeof want);
			for (size_t i = 0; mask != 0 && i < word_first(mask); i++)
				assert_int_equal(want[i], 0);
			assert_true(mask == 0 || want[word_first(mask)] == 0x80);
		}
}

static void test_search(void **state)
{
	(void)state;
	assert_true(slice_starts(SLICE("SID:x"), SLICE("SID:")));
	assert_true(slice_starts(SLICE("SID:"), SLICE("SID:")));
	assert_true(slice_starts(SLICE("x"), ABSENT));
	assert_true(slice_starts(ABSENT, ABSENT));
	assert_false(slice_starts(guarded(SLICE("SI")), SLICE("SID:")));
	assert_false(slice_starts(SLICE("sid:"), SLICE("SID:")));
	assert_false(slice_starts(ABSENT, SLICE("S")));
	assert_true(slice_has(SLICE("a:b"), ':'));
	assert_false(slice_has(guarded(SLICE("ab")), ':'));
	assert_false(slice_has(SLICE("ab"), '\0'));
	assert_false(slice_has(ABSENT, '\0'));
}

static void test_cut(void **state)
{
	static const struct {
		const char *name, *in, *head, *rest;    /* rest NULL: absent */
	} cases[] = {
		{ "in the middle",  "a:b",  "a",  "b"  },
		{ "at the start",   ":b",   "",   "b"  },
		{ "at the end",     "a:",   "a",  ""   },
		{ "alone",          ":",    "",   ""   },
		{ "two in a row",   "a::b", "a",  ":b" },
		{ "none",           "ab",   "ab", NULL },
		{ "empty",          "",     "",   NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice rest = guarded(slice_of(cases[i].in));
		struct slice head = slice_cut(&rest, ':');

		if (!slice_eq(head, slice_of(cases[i].head)))
			fail_msg("%s: head", cases[i].name);
		if (slice_given(rest) != (cases[i].rest != NULL))
			fail_msg("%s: rest given", cases[i].name);
		if (cases[i].rest != NULL && !slice_eq(rest, slice_of(cases[i].rest)))
			fail_msg("%s: rest", cases[i].name);
	}
}

static void test_trim(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a",         "a"    },
		{ " a",        "a"    },
		{ "a\t",       "a"    },
		{ " \t a b \t", "a b" },
		{ " \t ",      ""     },
		{ "",          ""     },
		{ "\na\r",     "\na\r" },
		{ "\va",       "\va"  },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (!slice_eq(slice_trim(guarded(slice_of(cases[i].in))), slice_of(cases[i].out)))
			fail_msg("\"%s\"", cases[i].in);
}

static void test_uint(void **state)
{
	static const struct {
		const char *in;
		uint64_t max;
		bool valid;
		uint64_t value;
	} cases[] = {
		{ "0",                    0,          true,  0          },
		{ "7",                    7,          true,  7          },
		{ "65535",                65535,      true,  65535      },
		{ "0042",                 99,         true,  42         },
		{ "18446744073709551615", UINT64_MAX, true,  UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0          },
		{ "99999999999999999999", UINT64_MAX, false, 0          },
		{ "65536",                65535,      false, 0          },
		{ "1",                    0,          false, 0          },
		{ "7",                    5,          false, 0          },
		{ "10",                   9,          false, 0          },
		{ "",                     9,          false, 0          },
		{ "-1",                   9,          false, 0          },
		{ "+1",                   9,          false, 0          },
		{ " 1",                   9,          false, 0          },
		{ "1 ",                   9,          false, 0          },
		{ "0x1",                  99,         false, 0          },
		{ "1_0",                  99,         false, 0          },
		{ "\xb2",                 9,          false, 0          },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice in = guarded(slice_of(cases[i].in));
		uint64_t value = 0;

		if (slice_uint(in, cases[i].max, &value) != cases[i].valid)
			fail_msg("\"%s\" up to %ju", cases[i].in, (uintmax_t)cases[i].max);
		if (value != cases[i].value)
			fail_msg("\"%s\" is not %ju", cases[i].in, (uintmax_t)value);
	}
	assert_false(slice_uint(ABSENT, 9, &(uint64_t){ 0 }));
}

static void test_hex(void **state)
{
	static const char *const invalid[] = {
		"", "0", "0g1122", "00112", "0011223", "001122 ", " 01122", "0x1122", "00:122",
		"\xb0\xb0\xb0\xb0\xb0\xb0",
	};
	uint8_t bytes[3] = { 0 };

	(void)state;
	assert_true(hex_decode(guarded(SLICE("00fFA7")), bytes, sizeof bytes));
	assert_memory_equal(bytes, "\x00\xff\xa7", 3);
	assert_true(hex_decode(ABSENT, bytes, 0));
	for (size_t i = 0; i < COUNT_OF(invalid); i++)
		if (hex_decode(guarded(slice_of(invalid[i])), bytes, sizeof bytes))
			fail_msg("\"%s\"", invalid[i]);
}

static void test_hex_digits(void **state)
{
	static const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *hit = memchr(digits, byte_lower((char)c), 16);

		assert_int_equal(byte_hex((char)c), hit != NULL ? hit - digits : -1);
	}
}

/* RFC 3629, section 4: the last and the first of each range, and one beyond. */
static void test_utf8(void **state)
{
	static const struct slice good[] = {
		{ "", 0 }, { "a", 1 }, { "~", 1 }, { "caf\xc3\xa9", 5 }, { "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 }, { "\xe0\xa0\x80", 3 }, { "\xed\x9f\xbf", 3 },
		{ "\xee\x80\x80", 3 }, { "\xef\xbf\xbf", 3 }, { "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
	};
	static const struct slice bad[] = {
		{ "\x80", 1 }, { "\xbf", 1 }, { "\xc0\x80", 2 }, { "\xc1\xbf", 2 }, { "\xc2", 1 },
		{ "\xc2\x7f", 2 }, { "\xc2\xc0", 2 }, { "\xe0\x9f\xbf", 3 }, { "\xe0\xa0", 2 },
		{ "\xe1\x80\xc0", 3 }, { "\xed\xa0\x80", 3 }, { "\xf0\x8f\xbf\xbf", 4 },
		{ "\xf0\x90\x80", 3 }, { "\xf1\x80\x80\x7f", 4 }, { "\xf4\x90\x80\x80", 4 },
		{ "\xf5\x80\x80\x80", 4 }, { "\xff", 1 }, { "a\xc3", 2 }, { "\xc3" "a", 2 },
	};
	static const struct slice control[] = {
		{ "\0", 1 }, { "a\n", 2 }, { "\t", 1 }, { "\x1f", 1 }, { "\x7f", 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!slice_is_text(guarded(good[i])))
			fail_msg("good text %zu is refused", i);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (slice_is_text(guarded(bad[i])))
			fail_msg("bad text %zu is taken", i);
	for (size_t i = 0; i < COUNT_OF(control); i++)
		if (slice_is_text(guarded(control[i])))
			fail_msg("control character %zu is taken", i);
	assert_int_equal(slice_utf8_len(SLICE("\n")), 1);
	assert_int_equal(slice_utf8_len(SLICE("\xf0\x9f\x90\x9f!")), 4);
	assert_int_equal(slice_utf8_len(SLICE("\xa9")), 0);
}

/* RFC 4648, section 10, without the padding; and every text that has no bytes, or not one of
 * its own. */
static void test_base64url(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
		{ "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xff\xef\xbe", "_---" },
	};
	static const char *const invalid[] = {
		"A", "Zm9vY", "Zg=", "Zg==", "Zh", "Zm9", "Zm-", "Zm+v", "Zm/v", "Zm v", "Zm9v\n",
		"Zm9v.", "\xc3\xa4zz", "=", "====",
	};
	char room[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice bytes = slice_of(cases[i].bytes), text = slice_of(cases[i].text);
		struct buf out = BUF(room);

		assert_true(base64url_decode(guarded(text), &out));
		assert_true(slice_eq(buf_slice(&out), bytes));
		out.len = 0;
		buf_base64url(&out, (const uint8_t *)bytes.ptr, bytes.len, text.len);
		assert_true(slice_eq(buf_slice(&out), text));
	}
	for (size_t i = 0; i < COUNT_OF(invalid); i++) {
		struct buf out = BUF(room);

		if (base64url_decode(guarded(slice_of(invalid[i])), &out))
			fail_msg("\"%s\"", invalid[i]);
	}
	for (size_t cap = 0; cap <= 3; cap++) {
		struct buf out = { room, 0, cap, false };

		assert_int_equal(base64url_decode(SLICE("Zm9v"), &out), cap == 3);
		assert_int_equal(out.full, cap < 3);
	}
}

static void test_base64url_digits(void **state)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *hit = memchr(digits, c, 64);

		assert_int_equal(byte_base64url((char)c), hit != NULL ? hit - digits : -1);
	}
}

/* Eight digits are decoded at a step: each byte at each of their places counts as it does alone,
 * and so does what stands behind them. */
static void test_base64url_words(void **state)
{
	static const char text[] = "Az09-_aZbYcXdQ";
	char room[16], digits[sizeof text - 1], again[sizeof text - 1];
	struct slice in = { digits, sizeof digits };

	(void)state;
	for (size_t at = 0; at < sizeof digits; at++) {
		for (int c = 0; c < 256; c++) {
			struct buf out = BUF(room), back = BUF(again);
			bool last = at == sizeof digits - 1;
			int value = byte_base64url((char)c);

			memcpy(digits, text, sizeof digits);
			digits[at] = (char)c;
			assert_int_equal(base64url_decode(guarded(in), &out),
			                 value >= 0 && (!last || (value & 15) == 0));
			if (value < 0 || last)
				continue;
			buf_base64url(&back, (const uint8_t *)out.ptr, out.len, sizeof digits);
			assert_true(slice_eq(buf_slice(&back), in));
		}
	}
	for (size_t cap = 0; cap <= sizeof room; cap++) {
		struct buf out = { room, 0, cap, false };

		assert_int_equal(base64url_decode(SLICE("Zm9vYmFyZm9vYmFy"), &out), cap >= 12);
		assert_int_equal(out.full, cap < 12);
	}
}

static void test_ascii(void **state)
{
	char text[20];

	(void)state;
	for (size_t len = 0; len <= sizeof text; len++) {
		memset(text, 0x7f, sizeof text);
		assert_true(slice_is_ascii(guarded((struct slice){ text, len })));
		for (size_t at = 0; at < sizeof text; at++) {
			text[at] = '\x80';
			assert_int_equal(slice_is_ascii((struct slice){ text, len }), at >= len);
			text[at] = '\x7f';
		}
	}
}

static void test_buf(void **state)
{
	char room[32];
	struct buf b = BUF(room);

	(void)state;
	buf_lit(&b, "n=");
	buf_uint(&b, 0);
	buf_char(&b, ' ');
	buf_uint(&b, UINT64_MAX);
	buf_str(&b, " ");
	buf_hex(&b, SLICE("\x0a\xff"));
	buf_put(&b, ABSENT);
	assert_true(slice_eq(buf_slice(&b), SLICE("n=0 18446744073709551615 0aff")));
	assert_false(b.full);
}

static void test_hex_of_every_byte(void **state)
{
	char bytes[9], text[2 * sizeof bytes], expected[2 * sizeof bytes + 1];

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t len = 0; len <= sizeof bytes; len++) {
			struct buf b = { text, 0, 2 * len, false };

			for (size_t i = 0; i < len; i++) {
				unsigned byte = (c + 37 * (unsigned)i) & 0xff;

				bytes[i] = (char)byte;
				snprintf(expected + 2 * i, 3, "%02x", byte);
			}
			buf_hex(&b, guarded((struct slice){ bytes, len }));
			assert_false(b.full);
			assert_int_equal(b.len, 2 * len);
			assert_memory_equal(text, expected, b.len);
		}
}

static void test_buf_full(void **state)
{
	char room[4] = "....";
	struct buf b = { room, 0, 3, false };

	(void)state;
	buf_lit(&b, "ab");
	buf_hex(&b, SLICE("\x01"));
	assert_true(b.full);
	assert_true(slice_eq(buf_slice(&b), SLICE("ab")));
	buf_char(&b, 'c');
	assert_int_equal(b.len, 2);

	b = (struct buf){ room, 0, 3, false };
	buf_lit(&b, "abc");
	buf_put(&b, SLICE(""));
	assert_false(b.full);
	buf_char(&b, 'd');
	assert_true(b.full);
	buf_put(&b, SLICE(""));
	assert_int_equal(b.len, 3);
	assert_int_equal(room[3], '.');

	b = (struct buf){ room, 0, 3, false };
	buf_put(&b, (struct slice){ room, SIZE_MAX });
	assert_true(b.full);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equality),
		cmocka_unit_test(test_case_of_every_byte),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_uint),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hex_digits),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_base64url),
		cmocka_unit_test(test_base64url_digits),
		cmocka_unit_test(test_base64url_words),
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_hex_of_every_byte),
		cmocka_unit_test(test_buf_full),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
