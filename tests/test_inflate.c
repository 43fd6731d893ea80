/* test_inflate.c -- whole streams, cut ones, and what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>
#include <cmocka.h>

#include "guard.h"
#include "inflate.h"

#define TEXT_LEN 5000

static char text[TEXT_LEN];

/* Packs the text; returns what came out, which lives until the next call. */
static struct slice packed(enum inflate_form form)
{
	static char bytes[2 * TEXT_LEN];
	int window = form == INFLATE_GZIP ? MAX_WBITS + 16 : MAX_WBITS;
	z_stream z = {
		.next_in   = (Bytef *)text,
		.avail_in  = sizeof text,
		.next_out  = (Bytef *)bytes,
		.avail_out = sizeof bytes,
	};

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * i / 7);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return (struct slice){ bytes, sizeof bytes - z.avail_out };
}

static void test_whole(void **state)
{
	(void)state;
	for (int form = INFLATE_ZLIB; form <= INFLATE_GZIP; form++) {
		char bytes[TEXT_LEN + 3] = "abc";
		struct buf out = { bytes, 3, sizeof bytes, false };
		struct slice in = packed((enum inflate_form)form);

		assert_int_equal(inflate_all(guarded(in), (enum inflate_form)form, TEXT_LEN, &out),
		                 INFLATE_OK);
		assert_int_equal(out.len, TEXT_LEN + 3);
		assert_memory_equal(bytes, "abc", 3);
		assert_memory_equal(bytes + 3, text, TEXT_LEN);
	}
}

/* The bound is the smaller of `max` and of the room that is left. */
static void test_too_long(void **state)
{
	char bytes[TEXT_LEN];
	struct buf whole = BUF(bytes), part = { bytes, 0, TEXT_LEN - 1, false };
	struct slice in = packed(INFLATE_ZLIB);

	(void)state;
	assert_int_equal(inflate_all(in, INFLATE_ZLIB, TEXT_LEN - 1, &whole), INFLATE_LONG);
	assert_int_equal(whole.len, 0);
	assert_int_equal(inflate_all(in, INFLATE_ZLIB, TEXT_LEN, &part), INFLATE_LONG);
	assert_int_equal(part.len, 0);
}

static void test_broken(void **state)
{
	char bytes[TEXT_LEN + 100];
	struct buf out = BUF(bytes);

	(void)state;
	for (int form = INFLATE_ZLIB; form <= INFLATE_GZIP; form++) {
		struct slice in = packed((enum inflate_form)form);
		struct buf copy = BUF((char[2 * TEXT_LEN]){ 0 });

		for (size_t len = 0; len < in.len; len++)
			assert_int_equal(inflate_all(guarded((struct slice){ in.ptr, len }),
			                             (enum inflate_form)form, sizeof bytes, &out),
			                 INFLATE_BROKEN);
		buf_put(&copy, in);
		buf_char(&copy, 'x');
		assert_int_equal(inflate_all(buf_slice(&copy), (enum inflate_form)form,
		                             sizeof bytes, &out), INFLATE_BROKEN);
		assert_int_equal(inflate_all(in, (enum inflate_form)!form, sizeof bytes, &out),
		                 INFLATE_BROKEN);
		assert_int_equal(out.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
