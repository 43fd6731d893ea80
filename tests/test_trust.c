/* test_trust.c -- the setting token_trust: who is trusted, and by which keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "json.h"
#include "trust.h"

/* RFC 7515, appendix A.3. */
#define KEY \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\"," \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

static char directory[] = "/tmp/test_trust.XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	(void)state;
	json_seed(1);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	write_file("one", KEY);
	write_file("two", "{\"keys\":[" KEY "," KEY "]}");
	write_file("none", "{\"keys\":[]}");
	write_file("text", "hello");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink("one") | unlink("two") | unlink("none") | unlink("text") | rmdir(directory);
}

static void test_read(void **state)
{
	char error[TRUST_ERROR_MAX];
	const struct trust_issuer *issuer;

	(void)state;
	assert_true(trust_read("https://a.example/?x=1=one, b=two", error));
	issuer = trust_find(SLICE("https://a.example/?x=1"));
	assert_non_null(issuer);
	assert_int_equal(issuer->key_count, 1);
	assert_int_equal(issuer->keys[0].alg, JWT_ES256);
	issuer = trust_find(SLICE("b"));
	assert_non_null(issuer);
	assert_int_equal(issuer->key_count, 2);
	assert_null(trust_find(SLICE("https://a.example/")));
	assert_null(trust_find(SLICE("")));
	assert_true(trust_read("", error));
	assert_null(trust_find(SLICE("b")));
}

/* After a bad setting nobody is trusted, whoever stood in front of the fault. */
static void test_refused(void **state)
{
	static const char *const settings[] = {
		"b", "=one", "b=", "b=nowhere", "b=none", "b=text", "a=one,b", "a=one,,b=two",
		"a=one,a=two", "a=one,b=one,c=one,d=one,e=one,f=one,g=one,h=one,i=one",
	};
	char error[TRUST_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		assert_false(trust_read(settings[i], error));
		assert_true(slice_starts(slice_of(error), SLICE("token_trust: ")));
		assert_null(trust_find(SLICE("a")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("trust", tests, set_up, tear_down);
}
