/* test_django.c -- what Django stores: sessions of the real one, and texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "django.h"
#include "guard.h"

#define SECRET SLICE("test-secret")

/* Written by Django 3.2 with SECRET_KEY `test-secret`. */
#define GUEST \
	"eyJvc2Nhcl9vcGVuX2Jhc2tldCI6MX0:1xV0T6:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24"
#define CUSTOMER \
	".eJxVjTsOwyAQRO9CbSE2YD4u0-cMaIF1cBxBZOwqyt1jSy6Sct48zbyZx23Nfmu0-CmxgSnW_bKMLe" \
	"_UWG1cRBoTWJTmIqDHCELs0RlASdoCjjbZEFIPCE6gjUorbaTsBen_0YBxpnK8pQeWe-WxlnWZAj8Ufr" \
	"aN32qi5_V0O1ZbxMXXF5V9oM20sgHU5wtb4D9R:1xV0T7:e7PmzKhKjh3E1d3iKMlk8sqWenYcWZ_0D3" \
	"9RHMN4C0k"

static const struct {
	const char *name, *stored;
	enum django_error error;
	const char *json;
	uint64_t written_s;
} sessions[] = {
	{ "an unpacked session", GUEST, DJANGO_OK, "{\"oscar_open_basket\":1}", 1795326628 },
	{ "a packed session", CUSTOMER, DJANGO_OK,
	  "{\"_auth_user_id\":\"4\",\"_auth_user_hash\":\"78679caefd18a372015ac100d18971a3"
	  "e681af8d8bbd51a190a8c464673350e6\",\"_auth_user_backend\":"
	  "\"django.contrib.auth.backends.ModelBackend\",\"oscar_open_basket\":14}", 1795326629 },
	{ "an empty one",
	  "e30:1xWovE:ifCANilN3QlM-_FMQdhRkm4kM3pnJm08rgLrwGC5_R4",
	  DJANGO_OK, "{}", 1795758900 },
	{ "too long when unpacked",
	  ".eJztwUENADAIBDAvJwM3c0FC8D4TPNtOXioNAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJzLfpf_Nhw:1xWovE:cv6O12B1Maqqf3VA"
	  "rlVW1o2rjbeUYHju4v3z37LV8EU",
	  DJANGO_LONG, "", 0 },
	{ "no base64url",
	  "e30=:1xWovE:Us8OQobcJ9jotg4QIJzFAeZ3HHdBIzyUotxHwK_RvUs",
	  DJANGO_BROKEN, "", 0 },
	{ "bits left over",
	  "e31:1xWovE:k5aJVogrumTS76R4mRY8Oc-wJ_tDlgG4wM_ZMZ-u-YE",
	  DJANGO_BROKEN, "", 0 },
	{ "nothing packed",
	  ".:1xWovE:K3oqptz3AHC4yrhBjTAKO0YkO9lM_GWniwGcLaGiS0E",
	  DJANGO_BROKEN, "", 0 },
	{ "no zlib stream",
	  ".eyJhIjoxfQ:1xWovE:v45yEllJhMbdDlvZqSScpDUr-S5MMyNBnYAhbAS49bI",
	  DJANGO_BROKEN, "", 0 },
	{ "a cut zlib stream",
	  ".eJyrVkpUslJKxARKtQB8:1xWovE:Wm3XPN-jQEzcXZ0JMLy5GgRZhIv4ogfL_q3IJuKkxTs",
	  DJANGO_BROKEN, "", 0 },
	{ "bytes behind the zlib stream",
	  ".eJyrVkpUslJKxARKtQB8eAlPeA:1xWovE:n4HhUaBAVwGX1X6W4h7g6tt3ypvhoX7KI40FeuNmJig",
	  DJANGO_BROKEN, "", 0 },
	{ "a wrong sum of the zlib stream",
	  ".eJyrVkpUslJKxARKtQAwMDAw:1xWovE:6CwDVBRb37oxN2ebjn6UCAzyfL7FnCIfYkv3292jkaU",
	  DJANGO_BROKEN, "", 0 },
	{ "another salt",
	  "e30:1xWovE:1fv5nAwg1KNOOXE5TvjDO9YjAKDkplX_yMgJ3hMDK-s",
	  DJANGO_SIGNATURE, "", 0 },
	{ "another secret",
	  "e30:1xWovE:sQk7eyVL9EntPHtl7Mobal_LCoU6VQQ8ntGH5TjGLr0",
	  DJANGO_SIGNATURE, "", 0 },
	{ "SHA-1, of before 3.1",
	  "e30:1xWovE:3S74aC-6BQCX8a0rg3_dRYO0OPg",
	  DJANGO_FORM, "", 0 },
	{ "the form of before 3.1",
	  "YjM0NWM5YTgwOGFmNDgwYTk4ZTdhYmNkOnt9",
	  DJANGO_FORM, "", 0 },
	{ "empty", "", DJANGO_FORM, "", 0 },
	{ "no time", "e30:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24", DJANGO_FORM, "", 0 },
	{ "an empty time", "e30::ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24", DJANGO_FORM, "", 0 },
	{ "a time of too many digits",
	  "e30:1xV0T61xV0T6:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24", DJANGO_FORM, "", 0 },
	{ "a time over 64 bits", "e30:zzzzzzzzzzz:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24",
	  DJANGO_FORM, "", 0 },
	{ "no digit of base 62", "e30:1x-0T6:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24",
	  DJANGO_FORM, "", 0 },
	{ "a cut signature", "e30:1xV0T6:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK2", DJANGO_FORM,
	  "", 0 },
	{ "a changed payload",
	  "eyJvc2Nhcl9vcGVuX2Jhc2tldCI6Mn0:1xV0T6:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24",
	  DJANGO_SIGNATURE, "", 0 },
	{ "a changed time",
	  "eyJvc2Nhcl9vcGVuX2Jhc2tldCI6MX0:1xV0T7:ENOqoihoQFq2oRnKG1rQbRvD6YltYNayiotGGkbVK24",
	  DJANGO_SIGNATURE, "", 0 },
};

static void test_sessions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sessions); i++) {
		char bytes[DJANGO_SESSION_MAX];
		struct buf json = BUF(bytes);
		uint64_t written_s = 0;
		struct slice stored = guarded(slice_of(sessions[i].stored));
		enum django_error error = django_session_read(stored, SECRET, &json, &written_s);

		if (error != sessions[i].error)
			fail_msg("%s: %s", sessions[i].name, django_error_text(error));
		if (!slice_eq(buf_slice(&json), slice_of(sessions[i].json)))
			fail_msg("%s: %.*s", sessions[i].name, (int)json.len, json.ptr);
		if (error == DJANGO_OK && written_s != sessions[i].written_s)
			fail_msg("%s: %llu", sessions[i].name, (unsigned long long)written_s);
	}
}

static void test_small_room(void **state)
{
	char bytes[20];
	struct buf json = BUF(bytes);
	uint64_t written_s;

	(void)state;
	assert_int_equal(django_session_read(SLICE(GUEST), SECRET, &json, &written_s), DJANGO_LONG);
	json = BUF(bytes);
	assert_int_equal(django_session_read(SLICE(CUSTOMER), SECRET, &json, &written_s),
	                 DJANGO_LONG);
}

static void test_written_is_read(void **state)
{
	static const char *const texts[] = { "", "{}", "{\"a\":1}", "{\"open_basket\":4711}" };
	static const uint64_t times[] = { 0, 61, 62, 1795326628, UINT64_MAX / 62 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		for (size_t j = 0; j < COUNT_OF(times); j++) {
			char stored_bytes[200], json_bytes[100];
			struct buf stored = BUF(stored_bytes), json = BUF(json_bytes);
			uint64_t written_s = 1;

			django_session_write(&stored, SECRET, slice_of(texts[i]), times[j]);
			assert_false(stored.full);
			assert_int_equal(django_session_read(buf_slice(&stored), SECRET, &json,
			                                     &written_s), DJANGO_OK);
			assert_true(slice_eq(buf_slice(&json), slice_of(texts[i])));
			assert_int_equal(written_s, times[j]);
		}
}

static void test_written_as_django_does(void **state)
{
	char bytes[200];
	struct buf stored = BUF(bytes);

	(void)state;
	django_session_write(&stored, SECRET, SLICE("{\"oscar_open_basket\":1}"), 1795326628);
	assert_true(slice_eq(buf_slice(&stored), SLICE(GUEST)));
}

static void test_auth_hash(void **state)
{
	char hex[DJANGO_AUTH_HASH_LEN];

	(void)state;
	django_auth_hash(SECRET, SLICE("pbkdf2_sha256$260000$mdCCijrJbF2h6jj1nJq1R7$"
	                               "+QBRg9gKsolAbqukkYsr+9fKeKBt+42OVD6zondwkRg="), hex);
	assert_memory_equal(hex, "78679caefd18a372015ac100d18971a3"
	                         "e681af8d8bbd51a190a8c464673350e6", sizeof hex);
}

static const struct {
	const char *text;
	uint64_t us;
} times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2026-11-22T05:50:27.206Z", 1795326627206000 },
	{ "2026-11-22T05:50:27.206123Z", 1795326627206123 },
	{ "2026-11-22T05:50:27.2Z", 1795326627200000 },
	{ "2026-11-22T05:50:27Z", 1795326627000000 },
	{ "2026-11-22 05:50:27", 1795326627000000 },
	{ "2026-11-22T05:50:27.206", 1795326627206000 },
	{ "2026-11-22T06:50:27+01:00", 1795326627000000 },
	{ "2026-11-21T20:20:27-09:30", 1795326627000000 },
	{ "2024-02-29T23:59:59Z", 1709251199000000 },
	{ "2000-02-29T00:00:00Z", 951782400000000 },
	{ "9999-12-31T23:59:59Z", 253402300799000000 },
};

static const char *const no_times[] = {
	"", "2026", "2026-11-22", "2026-11-22T", "2026-11-22T05:50", "2026-11-22T05:50:2",
	"2026-11-22t05:50:27Z", "2026-11-22T05:50:27z", "2026-11-22T05:50:27.Z",
	"2026-11-22T05:50:27.1234567Z", "2026-11-22T05:50:27ZZ", "2026-11-22T05:50:27 Z",
	"2026-11-22T05:50:27+0100", "2026-11-22T05:50:27+01", "2026-11-22T05:50:27+24:00",
	"2026-11-22T05:50:27+01:60", "2026-00-22T05:50:27Z", "2026-13-22T05:50:27Z",
	"2026-11-00T05:50:27Z", "2026-11-31T05:50:27Z", "2026-02-29T05:50:27Z",
	"1900-02-29T05:50:27Z", "2026-11-22T24:50:27Z", "2026-11-22T05:60:27Z",
	"2026-11-22T05:50:60Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
	"-026-11-22T05:50:27Z", "2026-11-22T05:50:27,5Z", "2026-11-22T-5:50:27Z",
};

static void test_times(void **state)
{
	uint64_t us;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(times); i++)
		if (!django_time_read(guarded(slice_of(times[i].text)), &us) || us != times[i].us)
			fail_msg("%s", times[i].text);
	for (size_t i = 0; i < COUNT_OF(no_times); i++)
		if (django_time_read(guarded(slice_of(no_times[i])), &us))
			fail_msg("%s is taken", no_times[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_small_room),
		cmocka_unit_test(test_written_is_read),
		cmocka_unit_test(test_written_as_django_does),
		cmocka_unit_test(test_auth_hash),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
