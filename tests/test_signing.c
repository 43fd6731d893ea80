/* test_signing.c -- Django's signatures: vectors of the real one, and texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "signing.h"

#define SECRET SLICE("test-secret")
#define SALT   SLICE(SIGNING_SALT_PLAIN)

/* Made by Django 3.2 with SECRET_KEY `test-secret`. */
static const struct {
	const char *value, *text;
} signed_values[] = {
	{ "1",    "1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "4711", "4711:THDQ7MJY1zdi3gH954xSICSlyNiaKXr44IzUcavdPj0" },
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(signed_values); i++) {
		struct slice value = slice_of(signed_values[i].value), read;
		struct slice text = slice_of(signed_values[i].text);
		char bytes[80];
		struct buf out = BUF(bytes);

		signing_write(&out, SECRET, SALT, value);
		assert_true(slice_eq(buf_slice(&out), text));
		assert_true(signing_read(text, SECRET, SALT, &read));
		assert_true(slice_eq(read, value));
	}
}

static const struct {
	const char *name, *text;
} refused[] = {
	{ "empty",               "" },
	{ "no signature",        "1" },
	{ "empty signature",     "1:" },
	{ "signature alone",     "3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "another value",       "2:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "longer value",        "11:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "no value",            ":3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "longer signature",    "1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgwx" },
	{ "cut signature",       "1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesg" },
	{ "padded signature",    "1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw=" },
	{ "other last digit",    "1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgx" },
	{ "other case",          "1:3EZ_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
	{ "other separator",     "1.3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct slice value;

		if (signing_read(slice_of(refused[i].text), SECRET, SALT, &value))
			fail_msg("%s", refused[i].name);
	}
}

static void test_secret_and_salt_count(void **state)
{
	struct slice text = slice_of(signed_values[0].text), value;

	(void)state;
	assert_false(signing_read(text, SLICE("test-secreT"), SALT, &value));
	assert_false(signing_read(text, SECRET, SLICE("django.core.signing.signer"), &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_secret_and_salt_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
