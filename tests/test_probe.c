/* test_probe.c -- how servers are named for `ping`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "probe.h"

static const struct {
	const char *url;
	const char *name, *document;    /* NULL: refused */
} urls[] = {
	{ "http://127.0.0.1:8080", "127.0.0.1:8080", "/healthz" },
	{ "http://127.0.0.1:8080/", "127.0.0.1:8080", "/healthz" },
	{ "http://127.0.0.1:8080/readyz", "127.0.0.1:8080", "/readyz" },
	{ "http://127.0.0.1/readyz?a=b", "127.0.0.1:80", "/readyz?a=b" },
	{ "127.0.0.1:8080", "127.0.0.1:8080", "/healthz" },
	{ "127.0.0.1:8080/readyz", "127.0.0.1:8080", "/readyz" },
	{ "http://[::1]:8080/readyz", "[::1]:8080", "/readyz" },
	{ "http://0.0.0.0:8080", "127.0.0.1:8080", "/healthz" },
	{ "http://[::]:8080", "[::1]:8080", "/healthz" },
	{ "http://localhost", "127.0.0.1:80", "/healthz" },
	{ "localhost:8080/readyz", "127.0.0.1:8080", "/readyz" },
	{ "unix:/run/sidecart.sock", "unix:/run/sidecart.sock", "/healthz" },
	{ "", NULL, NULL },
	{ "/healthz", NULL, NULL },
	{ "http://", NULL, NULL },
	{ "https://127.0.0.1:8443", NULL, NULL },
	{ "http://shop.example:8080", NULL, NULL },
	{ "localhost", NULL, NULL },
	{ "localhost:", NULL, NULL },
	{ "localhosts:80", NULL, NULL },
	{ "127.0.0.1", NULL, NULL },
	{ "127.0.0.1:0", NULL, NULL },
	{ "127.0.0.1:65536", NULL, NULL },
	{ "http://127.0.0.1:80/a b", NULL, NULL },
	{ "http://127.0.0.1:80/a\r\nHost: b", NULL, NULL },
	{ "http://127.0.0.1:80/\xc3\xa4", NULL, NULL },
	{ "unix:", NULL, NULL },
};

static void parses(void **state)
{
	char error[PROBE_ERROR_MAX], long_url[PROBE_URL_MAX + 1];
	struct probe p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		bool good = probe_parse(&p, slice_of(urls[i].url), error);

		print_message("%s\n", urls[i].url);
		assert_int_equal(good, urls[i].name != NULL);
		if (!good) {
			assert_true(strlen(error) > strlen(urls[i].url));
			continue;
		}
		assert_string_equal(p.name, urls[i].name);
		assert_string_equal(p.document, urls[i].document);
	}
	memset(long_url, 'a', sizeof long_url - 1);
	long_url[sizeof long_url - 1] = '\0';
	assert_false(probe_parse(&p, slice_of(long_url), error));
}

static void names_listeners(void **state)
{
	struct config_listener l = { .port = 0 };
	struct probe p;

	(void)state;
	address_parse(SLICE("0.0.0.0"), &l.address);
	assert_false(probe_listener(&p, &l, "/healthz"));
	l.port = 8080;
	l.proxy = true;
	assert_true(probe_listener(&p, &l, "/metrics"));
	assert_string_equal(p.name, "127.0.0.1:8080");
	assert_string_equal(p.document, "/metrics");
	assert_true(p.server.proxy);
	l = (struct config_listener){ .path = "/run/s" };
	assert_true(probe_listener(&p, &l, "/"));
	assert_string_equal(p.name, "unix:/run/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(names_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
