/* test_idempotency.c -- one answer per Idempotency-Key and caller, and only that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "calls.h"
#include "idempotency.h"

#define NOW_S UINT64_C(1800000000)

static struct client_record app = { .scopes = SCOPE_TRUSTED };

static int set_up(void **state)
{
	store_set_up(state);
	config_defaults(&config);
	config.sid_trust = SID_TRUST_ANY;
	now_s = NOW_S;
	return 0;
}

#define KEY "Idempotency-Key: 5f1c\r\n"
#define ANNA "Session-Id: SID:ANON:shop.example:anna\r\n"

/* Runs the request as a surface does: the handler answers `status` and a body that counts. */
static enum idempotency_verdict run(enum http_status status)
{
	static unsigned runs;
	struct idempotency i;
	enum idempotency_verdict verdict = idempotency_judge(&call, &i);

	if (verdict != IDEMPOTENCY_FIRST)
		return verdict;
	response.status = status;
	call_put_echo(&call);
	http_field_lit(&response, "Location: /somewhere");
	buf_lit(&response.body, "run ");
	buf_uint(&response.body, ++runs);
	call.basket_cookie = 7;
	assert_int_equal(idempotency_keep(&call, &i), KV_OK);
	return verdict;
}

static struct slice body(void)
{
	return buf_slice(&response.body);
}

static void test_first_answer_again(void **state)
{
	char first[32] = "";

	(void)state;
	calls_post("/api/x/", ANNA KEY, "{}");
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_FIRST);
	memcpy(first, body().ptr, body().len);
	calls_post("/api/x/", ANNA KEY, "{}");
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_AGAIN);
	assert_int_equal(response.status, HTTP_OK);
	assert_true(slice_eq(body(), slice_of(first)));
	/* The Session-Id is told anew: it is not what was kept (S02). */
	assert_true(slice_eq(buf_slice(&response.fields),
	                     SLICE("Vary: Session-Id\r\nLocation: /somewhere\r\n"
	                           "Session-Id: SID:ANON:shop.example:anna\r\n"
	                           "Idempotent-Replayed: true\r\n")));
	assert_int_equal(call.basket_cookie, 7);
}

/* An answer that begins a cookie session: the store may not hold its id (S02). */
static void test_secret_is_not_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct idempotency once;

		calls_post("/api/x/", ANNA KEY, "{}");
		assert_int_equal(idempotency_judge(&call, &once), IDEMPOTENCY_FIRST);
		response.status = HTTP_OK;
		http_field_lit(&response, "Vary: Cookie");
		http_field_lit(&response, "Set-Cookie: sidecart_session=secret; HttpOnly");
		assert_int_equal(idempotency_keep(&call, &once), KV_OK);
	}
	assert_int_equal(store_entries(), 0);
}

static void test_no_key(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		calls_post("/api/x/", ANNA, "{}");
		assert_int_equal(run(HTTP_OK), IDEMPOTENCY_NONE);
	}
	assert_int_equal(store_entries(), 0);
}

/* What differs in the second request, and what becomes of it. */
static const struct {
	const char *name, *target, *fields, *body;
	enum idempotency_verdict verdict;
} seconds[] = {
	{ "same",            "/api/x/",    ANNA KEY, "{}",  IDEMPOTENCY_AGAIN },
	{ "another body",    "/api/x/",    ANNA KEY, "{ }", IDEMPOTENCY_OTHER },
	{ "no body",         "/api/x/",    ANNA KEY, "",    IDEMPOTENCY_OTHER },
	{ "another path",    "/api/y/",    ANNA KEY, "{}",  IDEMPOTENCY_OTHER },
	{ "a query",         "/api/x/?a",  ANNA KEY, "{}",  IDEMPOTENCY_OTHER },
	{ "another key",     "/api/x/",    ANNA "Idempotency-Key: 5f1d\r\n", "{}",
	  IDEMPOTENCY_FIRST },
	{ "another session", "/api/x/",
	  "Session-Id: SID:ANON:shop.example:otto\r\n" KEY, "{}",
	  IDEMPOTENCY_FIRST },
	{ "no session",      "/api/x/",    KEY, "{}", IDEMPOTENCY_FIRST },
	{ "other case",      "/api/x/",    ANNA "idempotency-key: 5F1C\r\n", "{}",
	  IDEMPOTENCY_FIRST },
};

static void test_second_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(seconds); i++) {
		calls_post("/api/x/", ANNA KEY, "{}");
		run(HTTP_CREATED);
		calls_post(seconds[i].target, seconds[i].fields, seconds[i].body);
		if (run(HTTP_OK) != seconds[i].verdict)
			fail_msg("%s", seconds[i].name);
	}
}

static void test_another_client(void **state)
{
	(void)state;
	calls_post("/api/x/", ANNA KEY, "{}");
	run(HTTP_OK);
	calls_post("/api/x/", ANNA KEY, "{}");
	call.identity.client = &app;
	memset(call.identity.client_digest, 1, sizeof call.identity.client_digest);
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_FIRST);
}

static void test_errors_are_not_kept(void **state)
{
	static const enum http_status statuses[] = {
		HTTP_BAD_REQUEST, HTTP_NOT_ACCEPTABLE, HTTP_INTERNAL_ERROR,
		HTTP_SERVICE_UNAVAILABLE, HTTP_MOVED_PERMANENTLY,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		calls_post("/api/x/", ANNA KEY, "{}");
		assert_int_equal(run(statuses[i]), IDEMPOTENCY_FIRST);
	}
	assert_int_equal(store_entries(), 0);
}

static const struct {
	const char *name, *field;
} bad_keys[] = {
	{ "empty",         "Idempotency-Key:\r\n" },
	{ "blank inside",  "Idempotency-Key: a b\r\n" },
	{ "tab inside",    "Idempotency-Key: a\tb\r\n" },
	{ "not ASCII",     "Idempotency-Key: caf\xc3\xa9\r\n" },
};

static void test_bad_keys(void **state)
{
	char line[IDEMPOTENCY_KEY_MAX + 32] = "Idempotency-Key: ";
	size_t len = strlen(line);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_keys); i++) {
		calls_post("/api/x/", bad_keys[i].field, "{}");
		if (run(HTTP_OK) != IDEMPOTENCY_BAD)
			fail_msg("%s", bad_keys[i].name);
	}
	memset(line + len, 'k', IDEMPOTENCY_KEY_MAX);
	memcpy(line + len + IDEMPOTENCY_KEY_MAX, "\r\n", 3);
	calls_post("/api/x/", line, "{}");
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_FIRST);
	memcpy(line + len + IDEMPOTENCY_KEY_MAX, "k\r\n", 4);
	calls_post("/api/x/", line, "{}");
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_BAD);
}

/* A day later the key is new again, whether the sweep came by or not. */
static void test_expiry(void **state)
{
	uint32_t seen;
	uint64_t entries;

	(void)state;
	for (int swept = 0; swept < 2; swept++) {
		calls_post("/api/x/", ANNA KEY, "{}");
		assert_int_equal(run(HTTP_OK), IDEMPOTENCY_FIRST);
		entries = store_entries();
		assert_int_equal(entries, 2);           /* the answer, and its place in the sweep */
		now_s += IDEMPOTENCY_LIFE_S - 1;
		calls_post("/api/x/", ANNA KEY, "{}");
		assert_int_equal(run(HTTP_OK), IDEMPOTENCY_AGAIN);
		now_s += 1;
		if (swept == 0)
			continue;
		assert_int_equal(session_sweep(store, &config, now_s, 10, &seen), KV_OK);
		assert_int_equal(store_entries(), 0);
	}
}

static void test_damage_is_told(void **state)
{
	struct idempotency i;
	struct record_key key;

	(void)state;
	calls_post("/api/x/", ANNA KEY, "{}");
	assert_int_equal(idempotency_judge(&call, &i), IDEMPOTENCY_FIRST);
	assert_int_equal(kv_put(store, record_replay_key(&key, i.place), SLICE("I\1x")), KV_OK);
	calls_post("/api/x/", ANNA KEY, "{}");
	assert_int_equal(run(HTTP_OK), IDEMPOTENCY_STORE);
	assert_int_equal(call.store_status, KV_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first_answer_again),
		TEST(test_secret_is_not_kept),
		TEST(test_no_key),
		TEST(test_second_request),
		TEST(test_another_client),
		TEST(test_errors_are_not_kept),
		TEST(test_bad_keys),
		TEST(test_expiry),
		TEST(test_damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
