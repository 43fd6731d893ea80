/* test_seal.c -- the seal: the RFC's vector, and that nothing else opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guard.h"
#include "seal.h"

static const uint8_t nonce[SEAL_NONCE_LEN] = { 7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45,
	                                       0x46, 0x47 };
static uint8_t key[SEAL_KEY_LEN];
static char bound[12];

static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only "
	"one tip for the future, sunscreen would be it.";
static char sealed_bytes[sizeof text - 1 + SEAL_MORE];

/* Key, nonce, additional data and text of RFC 8439, section 2.8.2. */
static struct slice seal(void)
{
	struct buf out = BUF(sealed_bytes);

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)(0x80 + i);
	assert_true(hex_decode(SLICE("50515253c0c1c2c3c4c5c6c7"), (uint8_t *)bound, sizeof bound));
	seal_close(&out, key, nonce, (struct slice){ bound, sizeof bound }, SLICE(text));
	assert_false(out.full);
	assert_int_equal(out.len, sizeof sealed_bytes);
	return buf_slice(&out);
}

static bool opens(struct slice sealed)
{
	char room[256] = { 0 };
	struct buf out = BUF(room);
	bool open;

	buf_lit(&out, "front ");
	open = seal_open(&out, key, (struct slice){ bound, sizeof bound }, sealed);
	if (open)
		assert_true(slice_eq(buf_slice(&out), slice_of("front Ladies and Gentlemen of the "
			"class of '99: If I could offer you only one tip for the future, "
			"sunscreen would be it.")));
	else
		assert_int_equal(out.len + (size_t)room[out.len], 6);   /* and nothing is left */
	return open;
}

static void test_rfc8439(void **state)
{
	struct slice sealed = seal();
	uint8_t tag[16];

	(void)state;
	assert_memory_equal(sealed.ptr, nonce, sizeof nonce);
	assert_memory_equal(sealed.ptr + 12, "\xd3\x1a\x8d\x34\x64\x8e\x60\xdb", 8);
	assert_true(hex_decode(SLICE("1ae10b594f09e26a7e902ecbd0600691"), tag, sizeof tag));
	assert_memory_equal(sealed.ptr + sealed.len - 16, tag, sizeof tag);
	assert_true(opens(guarded(sealed)));
}

/* With any bit changed in it, in the key or in what is bound, or cut, it does not open. */
static void test_broken(void **state)
{
	struct slice sealed = seal();
	struct {
		char *at;
		size_t len;
	} parts[] = { { sealed_bytes, sizeof sealed_bytes }, { (char *)key, sizeof key },
	              { bound, sizeof bound } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		for (size_t bit = 0; bit < parts[i].len * 8; bit++) {
			char *at = &parts[i].at[bit / 8], was = *at;

			*at = (char)(was ^ 1 << bit % 8);
			if (opens(sealed))
				fail_msg("part %zu, bit %zu", i, bit);
			*at = was;
		}
	for (size_t len = 0; len < sealed.len; len++)
		assert_false(opens(guarded((struct slice){ sealed.ptr, len })));
	assert_true(opens(sealed));
}

static void test_room(void **state)
{
	struct slice sealed = seal();
	char room[sizeof sealed_bytes];

	(void)state;
	for (size_t cap = 0; cap <= sealed.len; cap++) {
		struct buf out = { room, 0, cap, false };

		seal_close(&out, key, nonce, SLICE(""), SLICE(text));
		assert_int_equal(out.full, cap < sealed.len);
		assert_int_equal(out.len, cap < sealed.len ? 0 : sealed.len);
		out = (struct buf){ room, 0, cap, false };
		assert_int_equal(seal_open(&out, key, (struct slice){ bound, sizeof bound },
		                           sealed), cap >= sizeof text - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8439),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
