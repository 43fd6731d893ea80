/* test_config.c -- every setting, its limits, its three sources, and what errors say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../config.h"

static struct config config;
static char error[CONFIG_ERROR_MAX];

static const struct {
	const char *name, *value;
	size_t offset;
	uint32_t kept;
} good_numbers[] = {
	{ "workers", "64", offsetof(struct config, workers), 64 },
	{ "hashers", "2", offsetof(struct config, hashers), 2 },
	{ "gateway", "on", offsetof(struct config, gateway), CONFIG_ON },
	{ "gateway", "off", offsetof(struct config, gateway), CONFIG_OFF },
	{ "durability", "unsafe-nosync", offsetof(struct config, durability),
	  DURABILITY_UNSAFE_NOSYNC },
	{ "sid_grammar", "oscarapi", offsetof(struct config, sid_grammar), 1 },
	{ "sid-trust", "any", offsetof(struct config, sid_trust), SID_TRUST_ANY },
	{ "session_ttl", "2h", offsetof(struct config, session_ttl_s), 7200 },
	{ "session_ttl", "1500000ms", offsetof(struct config, session_ttl_s), 1500 },
	{ "session_max", "3650d", offsetof(struct config, session_max_s), 315360000 },
	{ "max_sessions_per_customer", "0", offsetof(struct config, max_sessions_per_customer), 0 },
	{ "basket_ttl", "0s", offsetof(struct config, basket_ttl_s), 0 },
	{ "basket_ttl", "180d", offsetof(struct config, basket_ttl_s), 15552000 },
	{ "empty_basket_ttl", "1s", offsetof(struct config, empty_basket_ttl_s), 1 },
	{ "max_lines", "1000", offsetof(struct config, max_lines), 1000 },
	{ "max_quantity", "1000000", offsetof(struct config, max_quantity), 1000000 },
	{ "basket_merge", "keep", offsetof(struct config, basket_merge), BASKET_MERGE_KEEP },
	{ "basket_merge", "max", offsetof(struct config, basket_merge), BASKET_MERGE_MAX },
	{ "password_iterations", "1000", offsetof(struct config, password_iterations), 1000 },
	{ "overload_status", "429", offsetof(struct config, overload_status), 429 },
	{ "log_level", "debug", offsetof(struct config, log_level), LOG_DEBUG },
	{ "log_requests", "off", offsetof(struct config, log_requests), 0 },
	{ "log_requests", "all", offsetof(struct config, log_requests), 1 },
	{ "log_requests", "1/100", offsetof(struct config, log_requests), 100 },
	{ "max_head", "64K", offsetof(struct config, max_head), 65536 },
	{ "max_head", "1024", offsetof(struct config, max_head), 1024 },
	{ "max_body", "1M", offsetof(struct config, max_body), 1048576 },
	{ "header_timeout", "250ms", offsetof(struct config, header_timeout_ms), 250 },
	{ "idle_timeout", "1m", offsetof(struct config, idle_timeout_ms), 60000 },
	{ "seccomp", "off", offsetof(struct config, seccomp), CONFIG_OFF },
	{ "hsts", "off", offsetof(struct config, hsts_s), 0 },
	{ "hsts", "2m", offsetof(struct config, hsts_s), 120 },
};

static void reads_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good_numbers); i++) {
		uint32_t kept;

		config_defaults(&config);
		if (!config_set(&config, slice_of(good_numbers[i].name),
		                slice_of(good_numbers[i].value), "here", error))
			fail_msg("%s", error);
		memcpy(&kept, (char *)&config + good_numbers[i].offset, sizeof kept);
		if (kept != good_numbers[i].kept)
			fail_msg("%s=%s is %u", good_numbers[i].name, good_numbers[i].value, kept);
	}
}

static const struct {
	const char *name, *value, *error;
} bad[] = {
	{ "session_ttl", "2x",
	  "here: session_ttl: \"2x\" is no duration (1s to 3650d, such as 14d)" },
	{ "session_ttl", "0s",
	  "here: session_ttl: \"0s\" is no duration (1s to 3650d, such as 14d)" },
	{ "session_ttl", "14",
	  "here: session_ttl: \"14\" is no duration (1s to 3650d, such as 14d)" },
	{ "session_ttl", "d",
	  "here: session_ttl: \"d\" is no duration (1s to 3650d, such as 14d)" },
	{ "session_ttl", "", "here: session_ttl: \"\" is no duration (1s to 3650d, such as 14d)" },
	{ "session_ttl", "-1d", NULL },
	{ "session_ttl", "1 d", NULL },
	{ "session_ttl", "1dd", NULL },
	{ "session_ttl", "1D", NULL },
	{ "session_ttl", "1500ms", NULL },
	{ "session_ttl", "3651d", NULL },
	{ "session_ttl", "99999999999999999999d", NULL },
	{ "session_ttl", "213503982334601d", NULL },    /* wraps around in 64 bits of ms */
	{ "workers", "0", "here: workers: \"0\" is no number (1 to 64, such as 1)" },
	{ "workers", "65", NULL },
	{ "workers", "1.5", NULL },
	{ "workers", "+1", NULL },
	{ "workers", "0x1", NULL },
	{ "workers", "4294967297", NULL },
	{ "workers", "18446744073709551617", NULL },
	{ "hashers", "17", NULL },
	{ "max_body", "2M", "here: max_body: \"2M\" is no size (1K to 1M, such as 64K)" },
	{ "max_body", "64k", NULL },
	{ "max_body", "K", NULL },
	{ "max_body", "64KB", NULL },
	{ "max_body", "18014398509481984K", NULL },     /* wraps around in 64 bits of bytes */
	{ "max_head", "65K", NULL },
	{ "max_head", "1023", NULL },
	{ "max_target", "33K", NULL },
	{ "max_headers", "257", NULL },
	{ "map_size", "31M", NULL },
	{ "map_size", "16385G", NULL },
	{ "header_timeout", "5", NULL },
	{ "header_timeout", "9ms", NULL },
	{ "basket_ttl", "1", NULL },
	{ "empty_basket_ttl", "0", NULL },
	{ "empty_basket_ttl", "500ms", NULL },
	{ "max_lines", "0", "here: max_lines: \"0\" is no number (1 to 1000, such as 500)" },
	{ "max_lines", "1001", NULL },
	{ "max_quantity", "0", NULL },
	{ "max_quantity", "1000001", NULL },
	{ "max_quantity", "-1", NULL },
	{ "basket_merge", "add", "here: basket_merge: \"add\" is none of sum, max, keep" },
	{ "password_iterations", "999", NULL },
	{ "password_iterations", "2000001", NULL },
	{ "gateway", "yes", "here: gateway: \"yes\" is none of off, on" },
	{ "gateway", "ON", NULL },
	{ "gateway", "off, on", NULL },
	{ "gateway", "", NULL },
	{ "durability", "none", "here: durability: \"none\" is none of commit, unsafe-nosync" },
	{ "sid_grammar", "migrates", "here: sid_grammar: \"migrates\" is none of strict, oscarapi, "
	  "migrate" },
	{ "overload_status", "200",
	  "here: overload_status: \"200\" is none of 429, 500, 502, 503" },
	{ "login_throttle", "10",
	  "here: login_throttle: \"10\" is none of off, COUNT/DURATION (such as 10/15m)" },
	{ "login_throttle", "0/15m", NULL },
	{ "login_throttle", "10/", NULL },
	{ "login_throttle", "/15m", NULL },
	{ "login_throttle", "10/15", NULL },
	{ "login_throttle", "10/500ms", NULL },
	{ "login_throttle", "10/2d", NULL },
	{ "log_requests", "1/0",
	  "here: log_requests: \"1/0\" is none of off, all, 1/N (such as 1/100)" },
	{ "log_requests", "2/3", NULL },
	{ "log_requests", "1/", NULL },
	{ "data", "", "here: data: \"\" is no path (1 to 511 bytes, such as /var/lib/sidecart)" },
	{ "data", "a\nb",
	  "here: data: \"a?b\" is no path (1 to 511 bytes, such as /var/lib/sidecart)" },
	{ "listen", "", NULL },
	{ "listen", "127.0.0.1:1,shop.example:80",
	  "here: listen: \"shop.example:80\" is no ADDRESS:PORT, https:ADDRESS:PORT or unix:PATH "
	  "(1 to 16, comma list, such as 127.0.0.1:8080)" },
	{ "listen", "127.0.0.1", NULL },
	{ "listen", "127.0.0.1:65536", NULL },
	{ "listen", "127.0.0.1:80,", NULL },
	{ "listen", "unix:", NULL },
	{ "listen", "unix:/run/a b", NULL },
	{ "listen", "unix:/run/a\"b", NULL },
	{ "listen", "unix:/run/a\nb", NULL },
	{ "listen", "Unix:/run/a", NULL },
	{ "listen", "proxy:", NULL },
	{ "listen", "proxy:unix:", NULL },
	{ "listen", "proxy:proxy:127.0.0.1:1", NULL },
	{ "listen", "proxy:127.0.0.1", NULL },
	{ "listen", "/run/sidecart.sock", NULL },
	{ "listen", "https:127.0.0.1", NULL },
	{ "listen", "https:", NULL },
	{ "listen", "HTTPS:127.0.0.1:443", NULL },
	{ "listen", "https:unix:/run/a", NULL },
	{ "listen", "https:https:127.0.0.1:443", NULL },
	{ "listen", "https:proxy:127.0.0.1:443", NULL },
	{ "listen", "proxy:https:127.0.0.1:443", NULL },
	{ "hsts", "0", "here: hsts: \"0\" is none of off, DURATION (such as 365d)" },
	{ "hsts", "on", NULL },
	{ "hsts", "500ms", NULL },
	{ "hsts", "36501d", NULL },
	{ "surfaces", "oscar, web",
	  "here: surfaces: \"web\" is none of oscar, ocapi, session, resolve" },
	{ "surfaces", "oscar,,ocapi", NULL },
	{ "surfaces", "Oscar", NULL },
	{ "site", "a b", "here: site: \"a b\" is no site id (1 to 32 bytes, such as RefArch)" },
	{ "site", "", NULL },
	{ "site", "a;b", NULL },
	{ "site", "a/b", NULL },
	{ "site", "a123456789012345678901234567890123", NULL },
	{ "sid_realms", "shop.example:80",
	  "here: sid_realms: \"shop.example:80\" is no host name (0 to 32, comma list, such as "
	  "a.test)" },
	{ "sid_realms", "a b", NULL },
	{ "sid_realms", "a,,b", NULL },
	{ "sid_realms", "[::1", NULL },
	{ "trusted_proxies", "10.0.0.0/33", NULL },
	{ "trusted_proxies", "localhost", NULL },
	{ "cookie_name", "", NULL },
	{ "cookie_name", "a b", NULL },
	{ "cookie_name", "a=b", NULL },
	{ "csrf_cookie_name", "a;b", NULL },
	{ "csrf_cookie_name", "\"a\"", NULL },
	{ "cookie_secure", "yes", NULL },
	{ "cookie_samesite", "lax", NULL },
	{ "cookie_domain", "a.test:80", NULL },
	{ "cookie_domain", "[::1]", NULL },
	{ "csrf_origins", "a.test", NULL },
	{ "csrf_origins", "ftp://a.test", NULL },
	{ "csrf_origins", "https://", NULL },
	{ "csrf_origins", "https://a.test/", NULL },
	{ "csrf_origins", "https://a.test:", NULL },
	{ "csrf_origins", "https://a.test:65536", NULL },
	{ "csrf_origins", "https://a.test:80x", NULL },
	{ "cors_origins", "*", NULL },
	{ "cors_origins", "null", NULL },
	{ "session_tll", "1d", "here: \"session_tll\" is no setting; did you mean session_ttl?" },
	{ "worker", "1", "here: \"worker\" is no setting; did you mean workers?" },
	{ "colour", "x",
	  "here: \"colour\" is no setting (sidecart serve --help lists them)" },
	{ "", "x", "here: \"\" is no setting (sidecart serve --help lists them)" },
	{ "x", "x", "here: \"x\" is no setting (sidecart serve --help lists them)" },
	{ "Workers", "1", "here: \"Workers\" is no setting; did you mean workers?" },
	{ "workers\n", "1", "here: \"workers?\" is no setting; did you mean workers?" },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		config_defaults(&config);
		if (config_set(&config, slice_of(bad[i].name), slice_of(bad[i].value), "here",
		               error))
			fail_msg("%s=%s is taken", bad[i].name, bad[i].value);
		if (bad[i].error != NULL)
			assert_string_equal(error, bad[i].error);
		assert_null(strchr(error, '\n'));
	}
}

static void refuses_long_texts(void **state)
{
	char value[4096];

	(void)state;
	memset(value, 'a', sizeof value);
	config_defaults(&config);
	assert_true(config_set(&config, SLICE("data"), (struct slice){ value, CONFIG_PATH_MAX - 1 },
	                       "here", error));
	assert_int_equal(strlen(config.data), CONFIG_PATH_MAX - 1);
	assert_false(config_finish(&config, error));
	assert_string_equal(error, "data: its path is too long");
	for (size_t i = 0; config_name(i) != NULL; i++) {
		assert_false(config_set(&config, slice_of(config_name(i)),
		                        (struct slice){ value, sizeof value }, "here", error));
		assert_true(strlen(error) < sizeof error);
	}
	assert_false(config_set(&config, (struct slice){ value, sizeof value }, SLICE("1"), "here",
	                        error));
	assert_non_null(strstr(error, "...\" is no setting"));
}

static void has_the_documented_defaults(void **state)
{
	(void)state;
	config_defaults(&config);
	assert_true(config_finish(&config, error));
	assert_int_equal(config.listener_count, 2);
	assert_int_equal(config.listeners[0].port, 8080);
	assert_false(config.listeners[0].ops);
	assert_int_equal(config.listeners[1].port, 8081);
	assert_true(config.listeners[1].ops);
	assert_string_equal(config.data, "/var/lib/sidecart");
	assert_string_equal(config.sid_secret_file, "/var/lib/sidecart/sid.secret");
	assert_string_equal(config.user, "");
	assert_int_equal(config.workers, 1);
	assert_int_equal(config.hashers, 1);
	assert_int_equal(config.durability, DURABILITY_COMMIT);
	assert_int_equal(config.map_bytes, (uint64_t)(sizeof(void *) > 4 ? 16 : 1) << 30);
	assert_int_equal(config.sid_trust, SID_TRUST_KEY);
	assert_int_equal(config.sid_realm_count, 0);
	assert_int_equal(config.session_ttl_s, 14 * 86400);
	assert_int_equal(config.session_max_s, 90 * 86400);
	assert_int_equal(config.max_sessions_per_customer, 50);
	assert_int_equal(config.basket_ttl_s, 0);
	assert_int_equal(config.empty_basket_ttl_s, 3600);
	assert_int_equal(config.max_lines, 500);
	assert_int_equal(config.max_quantity, 10000);
	assert_int_equal(config.basket_merge, BASKET_MERGE_SUM);
	assert_int_equal(config.password_iterations, 600000);
	assert_int_equal(config.login_throttle.count, 10);
	assert_int_equal(config.login_throttle.window_s, 900);
	assert_int_equal(config.login_throttle_address.count, 100);
	assert_int_equal(config.rate_limit_key.count, 0);
	assert_int_equal(config.trusted_proxy_count, 3);
	assert_int_equal(config.overload_status, 503);
	assert_int_equal(config.log_level, LOG_INFO);
	assert_int_equal(config.max_head, 8192);
	assert_int_equal(config.max_target, 2048);
	assert_int_equal(config.max_headers, 64);
	assert_int_equal(config.max_body, 65536);
	assert_int_equal(config.max_connections, 4096);
	assert_int_equal(config.max_pipeline, 32);
	assert_int_equal(config.header_timeout_ms, 5000);
	assert_int_equal(config.body_timeout_ms, 10000);
	assert_int_equal(config.idle_timeout_ms, 60000);
	assert_int_equal(config.write_timeout_ms, 30000);
	assert_int_equal(config.max_waiting_writes, 1024);
	assert_int_equal(config.max_waiting_passwords, 64);
	assert_int_equal(config.seccomp, CONFIG_ON);
}

static void set(const char *name, const char *value)
{
	if (!config_set(&config, slice_of(name), slice_of(value), "here", error))
		fail_msg("%s", error);
}

static void lists_replace_and_keep_apart(void **state)
{
	(void)state;
	config_defaults(&config);
	set("listen", "0.0.0.0:0 , [2001:db8::1]:443");
	assert_int_equal(config.listener_count, 3);
	assert_true(config.listeners[0].ops);
	assert_int_equal(config.listeners[1].port, 0);
	assert_int_equal(config.listeners[2].port, 443);
	set("ops_listen", "");
	assert_int_equal(config.listener_count, 2);
	assert_false(config.listeners[0].ops);
	assert_int_equal(config.surfaces, SURFACE_OSCAR | SURFACE_OCAPI | SURFACE_SESSION |
	                 SURFACE_RESOLVE);
	set("surfaces", "resolve,ocapi");
	assert_int_equal(config.surfaces, SURFACE_OCAPI | SURFACE_RESOLVE);
	set("surfaces", "");
	assert_int_equal(config.surfaces, 0);
	set("site", "adidas-GB_2");
	assert_string_equal(config.site, "adidas-GB_2");
	set("sid_realms", "shop.example, [::1],Example.ORG");
	set("sid_realms", "one.example,two.example");
	assert_int_equal(config.sid_realm_count, 2);
	assert_string_equal(config.sid_realms[1], "two.example");
	set("sid_realms", "");
	assert_int_equal(config.sid_realm_count, 0);
	set("trusted_proxies", "unix,10.0.0.0/8");
	assert_int_equal(config.trusted_proxy_count, 2);
	set("login_throttle", "5/1s");
	assert_int_equal(config.login_throttle.window_s, 1);
	set("login_throttle", "off");
	assert_int_equal(config.login_throttle.count, 0);
}

static void listeners_are_of_kinds(void **state)
{
	char longest[5 + CONFIG_SOCKET_MAX];

	(void)state;
	config_defaults(&config);
	set("ops_listen", "unix:ops.sock");
	set("listen", "unix:/run/a:1, proxy:127.0.0.1:80,proxy:unix:/run/b,[::1]:0, "
	    "https:[::1]:443");
	assert_int_equal(config.listener_count, 6);
	assert_true(config.listeners[5].https && !config.listeners[5].proxy);
	assert_int_equal(config.listeners[5].port, 443);
	for (size_t i = 0; i < 5; i++)
		assert_false(config.listeners[i].https);
	assert_string_equal(config.listeners[0].path, "ops.sock");
	assert_true(config.listeners[0].ops && !config.listeners[0].proxy);
	assert_string_equal(config.listeners[1].path, "/run/a:1");
	assert_false(config.listeners[1].ops || config.listeners[1].proxy);
	assert_string_equal(config.listeners[2].path, "");
	assert_int_equal(config.listeners[2].port, 80);
	assert_true(config.listeners[2].proxy);
	assert_string_equal(config.listeners[3].path, "/run/b");
	assert_true(config.listeners[3].proxy);
	assert_string_equal(config.listeners[4].path, "");
	assert_false(config.listeners[4].proxy);
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "unix:", 5);
	assert_false(config_set(&config, SLICE("listen"),
	                        (struct slice){ longest, 5 + CONFIG_SOCKET_MAX }, "here", error));
	assert_true(config_set(&config, SLICE("listen"),
	                       (struct slice){ longest, 4 + CONFIG_SOCKET_MAX }, "here", error));
	assert_int_equal(strlen(config.listeners[1].path), CONFIG_SOCKET_MAX - 1);
}

static void lists_have_an_end(void **state)
{
	char value[64 * 12];
	struct buf out = BUF(value);

	(void)state;
	config_defaults(&config);
	for (int i = 0; i < 33; i++)
		buf_lit(&out, "10.0.0.0/8,");
	out.len--;
	assert_false(config_set(&config, SLICE("trusted_proxies"), buf_slice(&out), "here", error));
	out.len -= sizeof "10.0.0.0/8";
	assert_int_equal(config.trusted_proxy_count, 32);
	assert_true(config_set(&config, SLICE("trusted_proxies"), buf_slice(&out), "here", error));
	out.len = 0;
	for (int i = 0; i < 16; i++)
		buf_lit(&out, "127.0.0.1:0,");
	out.len--;
	assert_false(config_set(&config, SLICE("listen"), buf_slice(&out), "here", error));
	set("ops_listen", "");
	assert_true(config_set(&config, SLICE("listen"), buf_slice(&out), "here", error));
	assert_int_equal(config.listener_count, 16);
}

/* A file that holds `len` bytes and goes when it is closed. */
static FILE *file_of(const char *text, size_t len)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fflush(file), 0);
	return file;
}

static bool read_file(const char *text, size_t len)
{
	FILE *file = file_of(text, len);
	char path[64];
	bool good;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
	config_defaults(&config);
	good = config_read_file(&config, path, error);
	fclose(file);
	return good;
}

static const struct {
	const char *text;
	const char *error;      /* behind the file's name */
} bad_files[] = {
	{ "# one\n\nworkers = 0\n", ":3: workers: \"0\" is no number (1 to 64, such as 1)" },
	{ "workers = 2 # two\n", ":1: workers: \"2 # two\" is no number (1 to 64, such as 1)" },
	{ "workers\n", ":1: \"workers\" is no line of the form: setting = value" },
	{ "workers =\n", ":1: workers: \"\" is no number (1 to 64, such as 1)" },
	{ "= 2\n", ":1: \"\" is no setting (sidecart serve --help lists them)" },
	{ "[server]\nworkers=2", ":1: \"[server]\" is no line of the form: setting = value" },
	{ "workers = 2\ngatewey = on", ":2: \"gatewey\" is no setting; did you mean gateway?" },
	{ "workers = \"2\"\n", ":1: workers: \"\"2\"\" is no number (1 to 64, such as 1)" },
};

static void file_errors_name_the_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_files); i++) {
		assert_false(read_file(bad_files[i].text, strlen(bad_files[i].text)));
		assert_non_null(strchr(error, ':'));
		assert_string_equal(strchr(error, ':'), bad_files[i].error);
	}
}

static void files_are_read(void **state)
{
	static const char *const texts[] = {
		"workers = 3\ngateway=on",
		"workers=3\n\n  # a remark\n\tgateway\t=\ton\t\n",
		"workers = 3\r\ngateway = on\r\n",
		"workers = 1\nworkers = 3\ngateway = on\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		if (!read_file(texts[i], strlen(texts[i])))
			fail_msg("%s", error);
		assert_int_equal(config.workers, 3);
		assert_int_equal(config.gateway, CONFIG_ON);
	}
	assert_true(read_file("", 0));
}

static void odd_files(void **state)
{
	static char text[65537];

	(void)state;
	config_defaults(&config);
	assert_false(config_read_file(&config, "/nonexistent/sidecart.conf", error));
	assert_string_equal(error, "/nonexistent/sidecart.conf: cannot read the configuration: "
	                           "No such file or directory");
	assert_false(config_read_file(&config, "/", error));
	assert_string_equal(error, "/: cannot read the configuration: Is a directory");
	memset(text, '\n', sizeof text);
	assert_false(read_file(text, 65537));
	assert_non_null(strstr(error, "longer than 64K"));
	assert_true(read_file(text, 65536));
	assert_false(read_file("data = a\0b\n", 11));
}

static void environment(void **state)
{
	static char *const good[] = { "HOME=/", "SIDECART_WORKERS=2", "SIDECART_DATA=a=b",
	                              "SIDECART_USER=", "SIDECAR=1", NULL };
	static char *const misspelt[] = { "SIDECART_SESION_TTL=1d", NULL };
	static char *const wrong[] = { "SIDECART_SESSION_TTL=2x", NULL };
	static char *const longer[] = {
		"SIDECART_A_NAME_THAT_IS_LONGER_THAN_ANY_SETTING=1", NULL };
	static char *const nameless[] = { "SIDECART_=1", NULL };

	(void)state;
	config_defaults(&config);
	assert_true(config_read_environment(&config, good, error));
	assert_int_equal(config.workers, 2);
	assert_string_equal(config.data, "a=b");
	assert_false(config_read_environment(&config, misspelt, error));
	assert_string_equal(error, "environment: \"SIDECART_SESION_TTL\" is no setting; did you "
	                           "mean session_ttl?");
	assert_false(config_read_environment(&config, wrong, error));
	assert_string_equal(error, "environment: session_ttl: \"2x\" is no duration (1s to 3650d, "
	                           "such as 14d)");
	assert_false(config_read_environment(&config, longer, error));
	assert_false(config_read_environment(&config, nameless, error));
}

static void settings_that_depend_on_others(void **state)
{
	(void)state;
	config_defaults(&config);
	set("data", "./var");
	assert_true(config_finish(&config, error));
	assert_string_equal(config.sid_secret_file, "./var/sid.secret");
	set("sid_secret_file", "/etc/secret");
	assert_true(config_finish(&config, error));
	assert_string_equal(config.sid_secret_file, "/etc/secret");
	set("session_max", "7d");
	assert_false(config_finish(&config, error));
	assert_non_null(strstr(error, "session_ttl"));
	set("session_ttl", "7d");
	assert_true(config_finish(&config, error));
	set("max_head", "1K");
	assert_false(config_finish(&config, error));
	assert_non_null(strstr(error, "max_target"));
}

/* What browsers refuse is refused at start (requirements K02, K03). */
static void cookies_that_browsers_refuse(void **state)
{
	static const struct {
		const char *name, *secure, *domain, *samesite;
		bool fits;
	} cases[] = {
		{ "sid", "auto", "", "Lax", true },
		{ "sid", "off", "shop.test", "Strict", true },
		{ "sid", "on", "", "None", true },
		{ "sid", "auto", "", "None", false },
		{ "sid", "off", "", "None", false },
		{ "sidecart_csrf", "auto", "", "Lax", false },
		{ "__Host-sid", "on", "", "Lax", true },
		{ "__Host-sid", "auto", "", "Lax", false },
		{ "__Host-sid", "off", "", "Lax", false },
		{ "__Host-sid", "on", "shop.test", "Lax", false },
		{ "__Secure-sid", "on", "shop.test", "Lax", true },
		{ "__Secure-sid", "auto", "", "Lax", false },
		{ "__host-sid", "on", "", "Lax", false },       /* K05 */
		{ "__HoSt-sid", "auto", "", "Lax", false },
		{ "__HOST-", "on", "", "Lax", false },
		{ "__secure-sid", "on", "", "Lax", false },
		{ "__hos-sid", "auto", "", "Lax", true },
		{ "__Host", "auto", "", "Lax", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		config_defaults(&config);
		set("cookie_name", cases[i].name);
		set("cookie_secure", cases[i].secure);
		set("cookie_domain", cases[i].domain);
		set("cookie_samesite", cases[i].samesite);
		if (config_finish(&config, error) != cases[i].fits)
			fail_msg("%s %s: %s", cases[i].name, cases[i].secure, error);
	}
}

/* K01: the cookie's name, where nobody has named it, and what is refused beside https:. */
static void https_names_the_cookie(void **state)
{
	static const struct {
		const char *listen, *set, *value, *name;        /* NULL: refused */
	} cases[] = {
		{ "https:127.0.0.1:1", "hsts", "1d", "__Host-sidecart" },
		{ "https:127.0.0.1:1,https:[::1]:1", "hsts", "1d", "__Host-sidecart" },
		{ "https:127.0.0.1:1,127.0.0.1:2", "hsts", "1d", "sidecart_session" },
		{ "https:127.0.0.1:1,unix:/run/a", "hsts", "1d", "sidecart_session" },
		{ "127.0.0.1:1", "ops_listen", "https:127.0.0.1:2", "sidecart_session" },
		{ "https:127.0.0.1:1", "cookie_name", "sidecart_session", "sidecart_session" },
		{ "https:127.0.0.1:1", "cookie_name", "__Host-a", "__Host-a" },
		{ "https:127.0.0.1:1", "cookie_name", "__host-a", NULL },
		{ "https:127.0.0.1:1,127.0.0.1:2", "cookie_name", "__Host-a", NULL },
		{ "https:127.0.0.1:1", "cookie_domain", "a.test", "sidecart_session" },
		{ "https:127.0.0.1:1", "cookie_secure", "off", "sidecart_session" },
		{ "https:127.0.0.1:1", "cookie_samesite", "None", "__Host-sidecart" },
		{ "https:127.0.0.1:1,127.0.0.1:2", "cookie_samesite", "None", NULL },
		{ "https:127.0.0.1:1", "csrf_cookie_name", "__Secure-a", "__Host-sidecart" },
		{ "https:127.0.0.1:1", "csrf_cookie_name", "__Host-sidecart", NULL },
		{ "https:127.0.0.1:1", "tls_key", "", NULL },
		{ "https:127.0.0.1:1", "tls_cert", "", NULL },
		{ "127.0.0.1:1", "tls_cert", "", "sidecart_session" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool good;

		config_defaults(&config);
		set("tls_cert", "cert");
		set("tls_key", "key");
		set("listen", cases[i].listen);
		set(cases[i].set, cases[i].value);
		good = config_finish(&config, error);
		if (good != (cases[i].name != NULL))
			fail_msg("%zu: %s", i, good ? "taken" : error);
		if (good)
			assert_string_equal(config.cookie_name, cases[i].name);
	}
	config.listener_count = 0;      /* other listeners, another name */
	set("listen", "127.0.0.1:1");
	assert_true(config_finish(&config, error));
	assert_string_equal(config.cookie_name, "sidecart_session");
}

/* What is logged while `config` is warned about. */
static const char *warnings(void)
{
	static char text[4096];
	FILE *file = file_of("", 0);
	int before = dup(STDERR_FILENO);

	dup2(fileno(file), STDERR_FILENO);
	config_warnings(&config);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

static const struct {
	const char *name, *value;
	bool warned;
} unwise[] = {
	{ "sid_trust", "any", true },
	{ "sid_trust", "key", false },
	{ "durability", "unsafe-nosync", true },
	{ "password_iterations", "99999", true },
	{ "password_iterations", "100000", false },
	{ "seccomp", "off", true },
	{ "cookie_samesite", "Strict", true },
	{ "cookie_samesite", "Lax", false },
	{ "cookie_secure", "off", true },
	{ "ops_listen", "0.0.0.0:1", true },
	{ "ops_listen", "[::]:1", true },
	{ "ops_listen", "127.1.2.3:1", false },
	{ "ops_listen", "[::1]:1", false },
	{ "ops_listen", "unix:/run/ops", false },
	{ "ops_listen", "proxy:0.0.0.0:1", true },
	{ "listen", "0.0.0.0:1", false },
	{ "listen", "proxy:0.0.0.0:1", true },
	{ "listen", "proxy:127.0.0.1:1", false },
	{ "listen", "proxy:unix:/run/a", false },
	{ "trusted_proxies", "0.0.0.0/0", true },
	{ "trusted_proxies", "10.0.0.0/8,::/0", true },
	{ "trusted_proxies", "2001:db8::/96", false },
};

static void warns(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(unwise); i++) {
		const char *text;

		config_defaults(&config);
		set(unwise[i].name, unwise[i].value);
		text = warnings();
		if ((strstr(text, "level=warn") != NULL) != unwise[i].warned ||
		    (strstr(text, unwise[i].name) != NULL) != unwise[i].warned)
			fail_msg("%s=%s: %s", unwise[i].name, unwise[i].value, text);
	}
}

static const struct {
	const char *text;
	bool good;
	uint64_t ms;
} durations[] = {
	{ "250ms", true, 250 },          { "1s", true, 1000 },
	{ "0s", true, 0 },               { "15m", true, 900000 },
	{ "2h", true, 7200000 },         { "36500d", true, 36500ull * 86400000 },
	{ "36501d", false, 0 },          { "", false, 0 },
	{ "s", false, 0 },               { "1", false, 0 },
	{ "1y", false, 0 },              { "1h30m", false, 0 },
	{ "-1s", false, 0 },             { "1.5h", false, 0 },
	{ " 1s", false, 0 },             { "18446744073709551616ms", false, 0 },
};

static void reads_durations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(durations); i++) {
		uint64_t ms = 0;
		bool good = config_duration(slice_of(durations[i].text), &ms);

		if (good != durations[i].good || (good && ms != durations[i].ms))
			fail_msg("%s", durations[i].text);
	}
}

static void knows_names(void **state)
{
	(void)state;
	for (size_t i = 0; config_name(i) != NULL; i++)
		assert_true(config_known(slice_of(config_name(i))));
	assert_true(config_known(SLICE("sid-trust")));
	assert_false(config_known(SLICE("")));
	assert_false(config_known(SLICE("sid_trus")));
	assert_false(config_known(SLICE("sid_trust_")));
	assert_false(config_known(SLICE("SID_TRUST")));
}

/* Every default is taken as it is printed, so that the help is a configuration file. */
static void help_is_a_configuration(void **state)
{
	FILE *file = file_of("", 0);
	char line[512];
	size_t found = 0, count = 0;

	(void)state;
	config_print_help(fileno(file));
	rewind(file);
	config_defaults(&config);
	while (fgets(line, sizeof line, file) != NULL) {
		struct slice value = slice_trim((struct slice){ line, strlen(line) - 1 });
		struct slice name;

		assert_true(strlen(line) < 160);
		if (strncmp(line, "      ", 6) == 0)
			continue;
		name = slice_trim(slice_cut(&value, '='));
		assert_true(config_set(&config, name, slice_trim(value), "help", error));
		assert_true(slice_eq(name, slice_of(config_name(found))));
		found++;
	}
	fclose(file);
	while (config_name(count) != NULL)
		count++;
	assert_int_equal(found, count);
}

static char told[1024];

static void tell(const char *name)
{
	assert_true(strlen(told) + strlen(name) + 2 < sizeof told);
	snprintf(told + strlen(told), sizeof told - strlen(told), "%s ", name);
}

static void set_in(struct config *c, const char *name, const char *value)
{
	if (!config_set(c, slice_of(name), slice_of(value), "here", error))
		fail_msg("%s", error);
}

/* What a reload cannot change, each changed alone, and what it can. */
static const struct {
	const char *name, *value;
	bool waits;
} changes[] = {
	{ "listen", "127.0.0.1:8082", true },
	{ "listen", "127.0.0.2:8080", true },
	{ "listen", "proxy:127.0.0.1:8080", true },
	{ "listen", "unix:/run/a", true },
	{ "listen", "127.0.0.1:8080,127.0.0.1:8082", true },
	{ "listen", "127.0.0.1:8080", false },
	{ "ops_listen", "", true },
	{ "ops_listen", "127.0.0.1:8080", true },
	{ "tls_cert", "cert", false },
	{ "tls_key", "key", false },
	{ "hsts", "1d", false },
	{ "ops_listen", "127.0.0.1:8081", false },
	{ "data", "/srv/sidecart", true },
	{ "data", "/var/lib/sidecart", false },
	{ "user", "shop", true },
	{ "workers", "2", true },
	{ "hashers", "2", true },
	{ "durability", "unsafe-nosync", true },
	{ "map_size", "64M", true },
	{ "sid_secret_file", "/etc/secret", true },
	{ "max_head", "16K", true },
	{ "max_target", "1K", true },
	{ "max_headers", "65", true },
	{ "max_body", "8K", true },
	{ "max_connections", "1", true },
	{ "max_waiting_writes", "1", true },
	{ "max_waiting_passwords", "1", true },
	{ "seccomp", "off", true },
	{ "surfaces", "ocapi", false },
	{ "site", "other", false },
	{ "sid_trust", "any", false },
	{ "sid_realms", "a.test,b.test", false },
	{ "trusted_proxies", "10.0.0.0/8", false },
	{ "cors_origins", "https://a.test", false },
	{ "cookie_name", "c", false },
	{ "login_throttle", "1/1m", false },
	{ "idle_timeout", "1s", false },
	{ "log_level", "error", false },
};

static void keeps_what_only_a_start_changes(void **state)
{
	static struct config now, fresh, wanted;

	(void)state;
	config_defaults(&now);
	assert_true(config_finish(&now, error));
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		config_defaults(&fresh);
		set_in(&fresh, changes[i].name, changes[i].value);
		assert_true(config_finish(&fresh, error));
		wanted = fresh;
		told[0] = '\0';
		assert_true(config_keep(&fresh, &now, tell, error));
		if (changes[i].waits != (told[0] != '\0'))
			fail_msg("%s=%s: told %s", changes[i].name, changes[i].value, told);
		/* The same list may lie there in another order. */
		memcpy(wanted.listeners, now.listeners, sizeof now.listeners);
		assert_memory_equal(&fresh, changes[i].waits ? &now : &wanted, sizeof fresh);
	}
}

/* Each is good alone; what would then hold together is not. */
static void keeping_may_not_fit(void **state)
{
	static struct config now, fresh;

	(void)state;
	config_defaults(&now);
	set_in(&now, "max_target", "4K");
	assert_true(config_finish(&now, error));
	config_defaults(&fresh);
	set_in(&fresh, "max_head", "1K");
	set_in(&fresh, "max_target", "1K");
	assert_true(config_finish(&fresh, error));
	told[0] = '\0';
	assert_true(config_keep(&fresh, &now, tell, error));
	assert_string_equal(told, "max_head max_target ");
	assert_int_equal(fresh.max_head, 8192);
	assert_int_equal(fresh.max_target, 4096);
}

/* TLS on a place where there was none takes a restart, and the cookie's name waits with it. */
static void keeping_https_out(void **state)
{
	static struct config now, fresh;

	(void)state;
	config_defaults(&now);
	assert_true(config_finish(&now, error));
	config_defaults(&fresh);
	set_in(&fresh, "listen", "https:127.0.0.1:8080");
	set_in(&fresh, "tls_cert", "cert");
	set_in(&fresh, "tls_key", "key");
	assert_true(config_finish(&fresh, error));
	assert_string_equal(fresh.cookie_name, "__Host-sidecart");
	told[0] = '\0';
	assert_true(config_keep(&fresh, &now, tell, error));
	assert_string_equal(told, "listen ");
	assert_false(config_has_https(&fresh));
	assert_string_equal(fresh.cookie_name, "sidecart_session");
}

static void settings_travel(void **state)
{
	static struct config there, before;
	int fd;

	(void)state;
	config_defaults(&config);
	set_in(&config, "sid_realms", "a.test,b.test");
	fd = config_save(&config);
	assert_true(fd >= 0);
	assert_true(config_load(fd, &there));
	assert_memory_equal(&config, &there, sizeof there);
	before = there;
	assert_false(config_load(fd, &there));          /* closed by now */
	assert_false(config_load(-1, &there));
	assert_memory_equal(&before, &there, sizeof there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_long_texts),
		cmocka_unit_test(has_the_documented_defaults),
		cmocka_unit_test(lists_replace_and_keep_apart),
		cmocka_unit_test(listeners_are_of_kinds),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(file_errors_name_the_line),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(odd_files),
		cmocka_unit_test(environment),
		cmocka_unit_test(settings_that_depend_on_others),
		cmocka_unit_test(cookies_that_browsers_refuse),
		cmocka_unit_test(https_names_the_cookie),
		cmocka_unit_test(warns),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(knows_names),
		cmocka_unit_test(help_is_a_configuration),
		cmocka_unit_test(keeps_what_only_a_start_changes),
		cmocka_unit_test(keeping_may_not_fit),
		cmocka_unit_test(keeping_https_out),
		cmocka_unit_test(settings_travel),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
