/* test_session.c -- the life of sessions, and many lives at random beside a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <bearssl.h>
#include <cmocka.h>

#include "session.h"
#include "store.h"

#define NOW_S 1800000000u
#define TTL_S 1000u
#define MAX_S 5000u
#define VIA   7

static struct config config;
static struct customer_record ada, bob;
static uint64_t empty_entries;  /* of a store with the two and no session */

/* A session key whose order is that of `n`. */
static const uint8_t *key_of(unsigned n)
{
	static uint8_t keys[256][RECORD_SESSION_KEY_LEN];
	uint8_t *key = keys[n % 256];

	memset(key, (int)(n % 256), RECORD_SESSION_KEY_LEN);
	return key;
}

static struct customer_record add_customer(const char *login)
{
	struct customer_record r = { .login = slice_of(login) };
	enum kv_status status;

	assert_int_equal(customer_next_id(store, &r.id), KV_OK);
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
	return r;
}

static int set_up(void **state)
{
	store_set_up(state);
	config_defaults(&config);
	config.session_ttl_s = TTL_S;
	config.session_max_s = MAX_S;
	config.max_sessions_per_customer = 3;
	ada = add_customer("ada");
	bob = add_customer("bob");
	empty_entries = store_entries();
	return 0;
}

static void start(unsigned key, const struct customer_record *customer, uint64_t now_s)
{
	assert_int_equal(session_start(store, &config, key_of(key), customer->id, VIA, now_s),
	                 KV_OK);
}

static enum kv_status find(unsigned key, uint64_t now_s)
{
	struct session_record s;

	return session_find(store, key_of(key), now_s, &s);
}

static struct session_record found(unsigned key, uint64_t now_s)
{
	struct session_record s;

	assert_int_equal(session_find(store, key_of(key), now_s, &s), KV_OK);
	return s;
}

/* The keys from 0 to 9 that are live, as digits. */
static const char *live(uint64_t now_s)
{
	static char text[11];
	size_t len = 0;

	for (unsigned key = 0; key < 10; key++) {
		enum kv_status status = find(key, now_s);

		assert_true(status == KV_OK || status == KV_NOT_FOUND);
		if (status == KV_OK)
			text[len++] = (char)('0' + key);
	}
	text[len] = '\0';
	return text;
}

/* Sweeps all that is due; how many entries were looked at. */
static unsigned sweep(uint64_t now_s, uint32_t step)
{
	unsigned total = 0;
	uint32_t seen;

	do {
		assert_int_equal(session_sweep(store, &config, now_s, step, &seen), KV_OK);
		assert_in_range(seen, 0, step);
		total += seen;
	} while (seen == step);
	return total;
}

static void test_life(void **state)
{
	struct session_record s;

	(void)state;
	assert_int_equal(find(1, NOW_S), KV_NOT_FOUND);
	start(1, &ada, NOW_S);
	s = found(1, NOW_S);
	assert_int_equal(s.customer_id, ada.id);
	assert_int_equal(s.created_s, NOW_S);
	assert_int_equal(s.used_s, NOW_S);
	assert_int_equal(s.expires_s, NOW_S + TTL_S);
	assert_int_equal(s.due_s, NOW_S + TTL_S);
	assert_int_equal(s.via, VIA);
	assert_true(slice_eq(s.login, SLICE("ada")));
	assert_int_equal(s.basket_id, 0);
	assert_int_equal(find(2, NOW_S), KV_NOT_FOUND);
	assert_int_equal(store_entries(), empty_entries + 3);
	assert_int_equal(session_end(store, key_of(2)), KV_NOT_FOUND);
	assert_int_equal(session_end(store, key_of(1)), KV_OK);
	assert_int_equal(find(1, NOW_S), KV_NOT_FOUND);
	assert_int_equal(session_end(store, key_of(1)), KV_NOT_FOUND);
	assert_int_equal(store_entries(), empty_entries);
}

static void test_needs_a_batch(void **state)
{
	(void)state;
	start(1, &ada, NOW_S);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(find(1, NOW_S), KV_OK);
	assert_int_equal(session_start(store, &config, key_of(1), ada.id, VIA, NOW_S), KV_READONLY);
	assert_int_equal(session_start(store, &config, key_of(2), ada.id, VIA, NOW_S), KV_READONLY);
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S), KV_READONLY);
	assert_int_equal(session_end(store, key_of(1)), KV_READONLY);
	assert_int_equal(session_end(store, key_of(2)), KV_NOT_FOUND);
	assert_int_equal(find(1, NOW_S), KV_OK);
}

/* Both ends hold at each read, whether the sweep ran or not (requirement S06). */
static void test_expiry_at_read(void **state)
{
	static const struct {
		const char *name;
		uint32_t ttl_s, max_s;
		int64_t at_s;
		enum kv_status status;
	} cases[] = {
		{ "at once",                 1000, 5000, 0,     KV_OK },
		{ "the clock went back",     1000, 5000, -1000, KV_OK },
		{ "the last idle second",    1000, 5000, 999,   KV_OK },
		{ "idle",                    1000, 5000, 1000,  KV_NOT_FOUND },
		{ "long idle",               1000, 5000, 1u << 31, KV_NOT_FOUND },
		{ "the last second in all",  1000, 300,  299,   KV_OK },
		{ "over",                    1000, 300,  300,   KV_NOT_FOUND },
		{ "one second, at once",     1,    1,    0,     KV_OK },
		{ "one second, over",        1,    1,    1,     KV_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		config.session_ttl_s = cases[i].ttl_s;
		config.session_max_s = cases[i].max_s;
		start(1, &ada, NOW_S);
		if (find(1, (uint64_t)(NOW_S + cases[i].at_s)) != cases[i].status)
			fail_msg("%s", cases[i].name);
	}
}

/* All of a customer's sessions end together, nobody else's do, and a later one of the same
 * login is another (requirement S09). */
static void test_what_ends_all_sessions(void **state)
{
	uint32_t deleted;

	(void)state;
	start(1, &ada, NOW_S);
	start(2, &ada, NOW_S);
	start(3, &bob, NOW_S);
	assert_int_equal(session_delete_some(store, ada.id, UINT32_MAX, &deleted), KV_OK);
	assert_int_equal(deleted, 2);
	assert_string_equal(live(NOW_S), "3");
	start(4, &ada, NOW_S);
	assert_string_equal(live(NOW_S), "34");
	assert_int_equal(session_delete_some(store, bob.id, UINT32_MAX, &deleted), KV_OK);
	assert_int_equal(customer_delete(store, &bob), KV_OK);
	assert_string_equal(live(NOW_S), "4");
	assert_int_equal(session_start(store, &config, key_of(5), bob.id, VIA, NOW_S), KV_IO);
	bob = add_customer("bob");
	assert_string_equal(live(NOW_S), "4");
}

/* Whoever had the key before has lost it, and nothing of him is left under it. */
static void test_one_session_a_key(void **state)
{
	(void)state;
	start(1, &ada, NOW_S);
	assert_int_equal(store_entries(), empty_entries + 3);
	start(1, &ada, NOW_S);
	assert_int_equal(store_entries(), empty_entries + 3);
	start(1, &ada, NOW_S + 10);
	assert_int_equal(found(1, NOW_S + 10).created_s, NOW_S + 10);
	start(1, &bob, NOW_S + 10);
	assert_int_equal(store_entries(), empty_entries + 3);
	assert_int_equal(found(1, NOW_S + 10).customer_id, bob.id);
	assert_int_equal(session_end(store, key_of(1)), KV_OK);
	assert_int_equal(store_entries(), empty_entries);
	start(1, &ada, NOW_S);
	start(1, &ada, NOW_S + 9 * MAX_S);      /* over an expired one */
	assert_int_equal(session_end(store, key_of(1)), KV_OK);
	assert_int_equal(store_entries(), empty_entries);
}

/* A session of another shop keeps its date, within session_max of this one (S06). */
static void test_import(void **state)
{
	static const struct {
		uint64_t ends_s, used_s, expires_s, seen_s;
	} cases[] = {
		{ NOW_S + 7, NOW_S - 9, NOW_S + 7, NOW_S - 9 },
		{ NOW_S + MAX_S, NOW_S, NOW_S + MAX_S, NOW_S },
		{ NOW_S + MAX_S + 1, NOW_S + 5, NOW_S + MAX_S, NOW_S },
		{ UINT64_MAX, 0, NOW_S + MAX_S, 0 },
	};
	struct session_record s;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (uint64_t customer = 0; customer <= ada.id; customer += ada.id) {
			assert_int_equal(session_import(store, &config, key_of(1), customer,
			                                cases[i].ends_s, cases[i].used_s, NOW_S),
			                 KV_OK);
			s = found(1, NOW_S);
			assert_int_equal(s.expires_s, cases[i].expires_s);
			assert_int_equal(s.due_s, cases[i].expires_s);
			assert_int_equal(s.used_s, cases[i].seen_s);
			assert_int_equal(s.customer_id, customer);
			assert_int_equal(s.via, VIA_HEADER);
			assert_int_equal(store_entries(), empty_entries + 3);
		}
	assert_int_equal(find(1, NOW_S + MAX_S), KV_NOT_FOUND);
}

/* All that belongs to a session goes to its new key, and nothing of it is left (S14). */
static void test_move(void **state)
{
	const uint64_t now_us = (uint64_t)NOW_S * 1000000;
	uint64_t entries;
	struct session_record s;
	struct basket b;
	struct slice json;

	(void)state;
	assert_int_equal(session_move(store, &config, key_of(1), key_of(2), now_us), KV_NOT_FOUND);
	start(1, &ada, NOW_S - 9);
	assert_int_equal(session_put_data(store, key_of(1), SLICE("{\"a\":1}")), KV_OK);
	entries = store_entries();
	assert_int_equal(session_move(store, &config, key_of(1), key_of(2), now_us), KV_OK);
	assert_int_equal(store_entries(), entries);
	assert_string_equal(live(NOW_S), "2");
	s = found(2, NOW_S);
	assert_int_equal(s.customer_id, ada.id);
	assert_int_equal(s.created_s, NOW_S - 9);
	assert_int_equal(s.expires_s, NOW_S - 9 + TTL_S);
	assert_true(slice_eq(s.login, SLICE("ada")));
	assert_int_equal(session_data(store, key_of(2), NOW_S, &json), KV_OK);
	assert_true(slice_eq(json, SLICE("{\"a\":1}")));
	assert_int_equal(sweep(NOW_S + TTL_S, 10), 1);
	assert_int_equal(store_entries(), empty_entries);

	start(1, &bob, NOW_S - TTL_S + 1);
	start(2, &ada, NOW_S);                  /* whoever had the new key has lost it */
	assert_int_equal(session_move(store, &config, key_of(1), key_of(2), now_us), KV_OK);
	assert_int_equal(found(2, NOW_S).customer_id, bob.id);
	assert_int_equal(session_move(store, &config, key_of(2), key_of(1), now_us + 1000000),
	                 KV_NOT_FOUND);         /* it has expired */
	assert_int_equal(session_end(store, key_of(2)), KV_OK);
	assert_int_equal(store_entries(), empty_entries);

	assert_int_equal(session_start(store, &config, key_of(3), 0, VIA_HEADER, NOW_S), KV_OK);
	assert_int_equal(basket_make(store, &b, 0, key_of(3), now_us), KV_OK);
	assert_int_equal(basket_put(store, &config, &b, true, now_us), KV_OK);
	assert_int_equal(session_set_basket(store, key_of(3), b.id), KV_OK);
	assert_int_equal(session_move(store, &config, key_of(3), key_of(4), now_us), KV_OK);
	assert_int_equal(found(4, NOW_S).basket_id, b.id);
	assert_int_equal(basket_get(store, b.id, NOW_S, &b), KV_OK);
	assert_memory_equal(b.guest, key_of(4), sizeof b.guest);
}

static void test_renew(void **state)
{
	struct session_record s;

	(void)state;
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S), KV_NOT_FOUND);
	start(1, &ada, NOW_S);
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S + 500), KV_OK);
	s = found(1, NOW_S + TTL_S);
	assert_int_equal(s.expires_s, NOW_S + 500 + TTL_S);
	assert_int_equal(s.used_s, NOW_S + 500);
	assert_int_equal(s.created_s, NOW_S);
	assert_int_equal(s.due_s, NOW_S + TTL_S);       /* the sweep moves it */
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S + MAX_S - 100), KV_OK);
	assert_int_equal(found(1, NOW_S + MAX_S - 1).expires_s, NOW_S + MAX_S);
	assert_int_equal(find(1, NOW_S + MAX_S), KV_NOT_FOUND);
	assert_int_equal(store_entries(), empty_entries + 3);
}

/* A session in constant use: ten renewals at most in the time of one idle life, and it
 * lives up to its absolute end. */
static void test_renewals_are_few(void **state)
{
	static const struct {
		uint32_t ttl_s, max_s, step_s;
	} cases[] = {
		{ 1, 1, 1 }, { 2, 50, 1 }, { 5, 100, 1 }, { 9, 100, 1 }, { 10, 100, 1 },
		{ 11, 200, 1 }, { 15, 200, 1 }, { 19, 200, 1 }, { 20, 200, 1 }, { 95, 1000, 1 },
		{ 99, 1000, 3 }, { 100, 1000, 1 }, { 101, 1000, 7 }, { 1209600, 7776000, 97 },
		{ 1000, 1000, 1 }, { 1000, 999, 1 }, { 1000, 1001, 1 }, { 1000, 1099, 1 },
		{ 1000, 1100, 1 }, { UINT32_MAX, UINT32_MAX, 1u << 20 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t now_s = NOW_S, window_s = NOW_S, end_s = NOW_S + cases[i].max_s;
		unsigned writes = 0;
		struct session_record s;

		config.session_ttl_s = cases[i].ttl_s;
		config.session_max_s = cases[i].max_s;
		start(1, &ada, NOW_S);
		s = found(1, now_s);
		for (; now_s < end_s && now_s < s.expires_s; now_s += cases[i].step_s) {
			if (now_s >= window_s + cases[i].ttl_s) {
				window_s += cases[i].ttl_s;
				writes = 0;
			}
			if (!session_renewal_due(&config, &s, now_s))
				continue;
			assert_int_equal(session_renew(store, &config, key_of(1), now_s), KV_OK);
			s = found(1, now_s);
			assert_false(session_renewal_due(&config, &s, now_s));
			if (++writes > 10)
				fail_msg("ttl %u: %u renewals", cases[i].ttl_s, writes);
		}
		/* What is left behind its last renewal is less than a tenth. */
		assert_in_range(now_s, end_s - (cases[i].ttl_s + 9) / 10, end_s + cases[i].step_s);
	}
}

static void test_renewal_due(void **state)
{
	static const struct {
		const char *name;
		uint64_t now_s, expires_s;      /* from the start on */
		bool due;
	} cases[] = {
		{ "at once",                       0,    1000, false },
		{ "a second before a tenth",       99,   1000, false },
		{ "a tenth",                       100,  1000, true  },
		{ "the last second",               999,  1000, true  },
		{ "at its absolute end already",   4500, 5000, false },
		{ "a tenth from the absolute end", 4400, 4900, true  },
		{ "less than that",                4400, 4901, false },
		{ "the clock went back",           10,   1500, false },
		{ "session_ttl was longer",        200,  9000, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct session_record s = {
			.created_s = NOW_S, .expires_s = NOW_S + cases[i].expires_s,
		};

		if (session_renewal_due(&config, &s, NOW_S + cases[i].now_s) != cases[i].due)
			fail_msg("%s", cases[i].name);
	}
}

static void test_eviction(void **state)
{
	(void)state;
	for (unsigned key = 9; key >= 5; key--)         /* older ones have higher keys */
		start(key, &ada, NOW_S + 9 - key);
	start(1, &bob, NOW_S);
	assert_string_equal(live(NOW_S + 9), "1567");
	assert_int_equal(store_entries(), empty_entries + 4 * 3);
	start(7, &ada, NOW_S + 9);                      /* its own place is free first */
	assert_string_equal(live(NOW_S + 9), "1567");
	start(8, &ada, NOW_S + 9);
	assert_string_equal(live(NOW_S + 9), "1578");   /* 6 was the oldest */
	config.max_sessions_per_customer = 1;
	start(2, &ada, NOW_S + 9);
	assert_string_equal(live(NOW_S + 9), "12");
	assert_int_equal(store_entries(), empty_entries + 2 * 3);
	config.max_sessions_per_customer = 0;
	for (unsigned key = 10; key < 200; key++)
		start(key, &ada, NOW_S + 10);
	for (unsigned key = 10; key < 200; key++)
		assert_int_equal(find(key, NOW_S + 10), KV_OK);
	assert_string_equal(live(NOW_S + 10), "12");
	config.max_sessions_per_customer = 3;           /* lowered */
	start(3, &ada, NOW_S + 11);                     /* the first of a few steps */
	assert_string_equal(live(NOW_S + 11), "13");
	assert_int_equal(store_entries(), empty_entries + (1 + 191 - 16 + 1) * 3);
	for (unsigned login = 0; login < 12; login++)
		start(3, &ada, NOW_S + 11);
	assert_string_equal(live(NOW_S + 11), "13");
	assert_int_equal(find(199, NOW_S + 11), KV_OK);
	assert_int_equal(find(198, NOW_S + 11), KV_OK);
	assert_int_equal(store_entries(), empty_entries + 4 * 3);
}

/* A guest's basket stands with his session alone; what says so already is not written. */
static void test_guests_basket(void **state)
{
	struct session_record s;

	(void)state;
	assert_int_equal(session_set_basket(store, key_of(1), 7), KV_NOT_FOUND);
	assert_int_equal(session_start(store, &config, key_of(1), 0, VIA_COOKIE, NOW_S), KV_OK);
	assert_int_equal(session_start(store, &config, key_of(2), 0, VIA_COOKIE, NOW_S), KV_OK);
	assert_int_equal(found(1, NOW_S).basket_id, 0);
	assert_int_equal(session_set_basket(store, key_of(1), UINT64_MAX), KV_OK);
	s = found(1, NOW_S);
	assert_int_equal(s.basket_id, UINT64_MAX);
	assert_int_equal(s.expires_s, NOW_S + TTL_S);
	assert_int_equal(s.due_s, NOW_S + TTL_S);
	assert_int_equal(s.via, VIA_COOKIE);
	assert_int_equal(found(2, NOW_S).basket_id, 0);
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S + 500), KV_OK);
	assert_int_equal(sweep(NOW_S + TTL_S, 10), 2);
	assert_int_equal(found(1, NOW_S + TTL_S).basket_id, UINT64_MAX);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(session_set_basket(store, key_of(1), UINT64_MAX), KV_OK);
	assert_int_equal(session_set_basket(store, key_of(1), 0), KV_READONLY);
}

/* A customer's stands with him and with each of his sessions, those to come included. */
static void test_customers_basket(void **state)
{
	struct customer_record r;
	struct session_record s;

	(void)state;
	start(1, &ada, NOW_S);
	start(2, &ada, NOW_S + 1);
	start(3, &bob, NOW_S);
	assert_int_equal(session_set_customer_basket(store, ada.id, 7), KV_OK);
	start(4, &ada, NOW_S + 2);
	assert_int_equal(customer_get(store, ada.id, &r), KV_OK);
	assert_int_equal(r.basket_id, 7);
	assert_true(slice_eq(r.login, SLICE("ada")));
	for (unsigned key = 1; key <= 4; key++) {
		s = found(key, NOW_S + 2);
		assert_int_equal(s.basket_id, key == 3 ? 0 : 7);
		assert_true(slice_eq(s.login, key == 3 ? SLICE("bob") : SLICE("ada")));
	}
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S + 500), KV_OK);
	assert_int_equal(sweep(NOW_S + TTL_S, 10), 2);          /* 1 is filed anew, 3 goes */
	s = found(1, NOW_S + TTL_S);
	assert_int_equal(s.basket_id, 7);
	assert_true(slice_eq(s.login, SLICE("ada")));
	assert_int_equal(session_set_customer_basket(store, 99, 7), KV_NOT_FOUND);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(session_set_customer_basket(store, ada.id, 7), KV_OK);
	assert_int_equal(session_set_customer_basket(store, ada.id, 0), KV_READONLY);
}

static void test_delete_some(void **state)
{
	static const uint32_t chunks[] = { 4, 4, 2, 0, 0 };
	uint32_t deleted;

	(void)state;
	config.max_sessions_per_customer = 0;
	for (unsigned key = 0; key < 10; key++)
		start(key, &ada, NOW_S + key % 3);
	start(10, &bob, NOW_S);
	assert_int_equal(session_delete_some(store, ada.id, 0, &deleted), KV_OK);
	assert_int_equal(deleted, 0);
	for (size_t i = 0; i < COUNT_OF(chunks); i++) {
		assert_int_equal(session_delete_some(store, ada.id, 4, &deleted), KV_OK);
		assert_int_equal(deleted, chunks[i]);
	}
	assert_int_equal(find(10, NOW_S), KV_OK);
	assert_int_equal(session_delete_some(store, 0, 4, &deleted), KV_OK);
	assert_int_equal(deleted, 0);
	assert_int_equal(session_end(store, key_of(10)), KV_OK);
	assert_int_equal(store_entries(), empty_entries);
}

static void test_sweep(void **state)
{
	struct session_record s;
	uint32_t seen = 9;

	(void)state;
	config.max_sessions_per_customer = 0;
	assert_int_equal(sweep(NOW_S, 10), 0);
	for (unsigned key = 0; key < 10; key++)
		start(key, &ada, NOW_S + key);
	assert_int_equal(sweep(NOW_S + TTL_S - 1, 10), 0);
	assert_int_equal(session_sweep(store, &config, NOW_S + TTL_S, 0, &seen), KV_OK);
	assert_int_equal(seen, 0);
	assert_int_equal(sweep(NOW_S + TTL_S, 10), 1);
	assert_int_equal(store_entries(), empty_entries + 9 * 3);
	assert_int_equal(session_renew(store, &config, key_of(3), NOW_S + 500), KV_OK);
	assert_int_equal(session_sweep(store, &config, NOW_S + TTL_S + 5, 2, &seen), KV_OK);
	assert_int_equal(seen, 2);
	assert_int_equal(store_entries(), empty_entries + 7 * 3);
	assert_int_equal(sweep(NOW_S + TTL_S + 5, 2), 3);       /* 3 is filed anew, 4, 5 go */
	assert_int_equal(store_entries(), empty_entries + 5 * 3);
	assert_string_equal(live(NOW_S), "36789");
	s = found(3, NOW_S + TTL_S);
	assert_int_equal(s.due_s, s.expires_s);
	assert_int_equal(s.expires_s, NOW_S + 500 + TTL_S);
	assert_int_equal(s.used_s, NOW_S + 500);
	assert_int_equal(sweep(NOW_S + TTL_S + 499, 1), 4);
	assert_string_equal(live(NOW_S), "3");
	assert_int_equal(sweep(NOW_S + TTL_S + 500, 1), 1);
	assert_int_equal(store_entries(), empty_entries);
}

/* An entry that leads nowhere, or to a session that is filed elsewhere, is dropped. */
static void test_sweep_of_strays(void **state)
{
	struct record_key k, of;

	(void)state;
	start(1, &ada, NOW_S);
	for (unsigned key = 1; key <= 2; key++)
		assert_int_equal(kv_put(store, record_sweep_key(&k, NOW_S - 1,
		                        record_session_key(&of, key_of(key))), SLICE("")), KV_OK);
	assert_int_equal(store_entries(), empty_entries + 5);
	assert_int_equal(sweep(NOW_S, 10), 2);
	assert_int_equal(store_entries(), empty_entries + 3);
	assert_int_equal(find(1, NOW_S), KV_OK);
}

static void test_next(void **state)
{
	struct record_key after = { .len = 0 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	unsigned n = 0;

	(void)state;
	config.max_sessions_per_customer = 0;
	assert_int_equal(session_next(store, &after, key, &s), KV_NOT_FOUND);
	for (unsigned i = 255; i > 0; i--)
		start(i, i % 2 ? &ada : &bob, NOW_S + i);
	while (session_next(store, &after, key, &s) == KV_OK) {
		assert_memory_equal(key, key_of(++n), sizeof key);
		assert_int_equal(s.created_s, NOW_S + n);
		assert_int_equal(s.customer_id, n % 2 ? ada.id : bob.id);
		if (n % 7 == 0)
			assert_int_equal(session_end(store, key), KV_OK);
	}
	assert_int_equal(n, 255);
}

/* Damage is no end of a session: it is never answered with 401 (requirement S16). */
static void test_damaged_records(void **state)
{
	const struct slice bad = SLICE("S\2 of a later major version, as long as a record is");
	struct record_key k, after = { .len = 0 };
	struct session_record s;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint32_t count;

	(void)state;
	start(1, &ada, NOW_S);
	start(2, &bob, NOW_S);
	assert_int_equal(kv_put(store, record_customer_key(&k, bob.id), SLICE("C")), KV_OK);
	assert_int_equal(find(2, NOW_S), KV_OK);
	assert_int_equal(kv_begin_child(store), KV_OK);
	assert_int_equal(session_start(store, &config, key_of(3), bob.id, VIA, NOW_S), KV_IO);
	assert_int_equal(kv_end_child(store, false), KV_OK);
	assert_int_equal(session_set_customer_basket(store, bob.id, 1), KV_IO);
	assert_int_equal(session_end(store, key_of(2)), KV_OK);
	assert_int_equal(kv_put(store, record_session_key(&k, key_of(1)), bad), KV_OK);
	assert_int_equal(find(1, NOW_S), KV_IO);
	assert_int_equal(session_end(store, key_of(1)), KV_IO);
	assert_int_equal(session_renew(store, &config, key_of(1), NOW_S), KV_IO);
	assert_int_equal(session_set_basket(store, key_of(1), 1), KV_IO);
	assert_int_equal(session_set_customer_basket(store, ada.id, 1), KV_IO);
	assert_int_equal(session_start(store, &config, key_of(1), ada.id, VIA, NOW_S), KV_IO);
	store_hide_log();
	assert_int_equal(session_sweep(store, &config, NOW_S + TTL_S, 10, &count), KV_OK);
	assert_int_equal(store_show_log(), 1);
	assert_int_equal(count, 1);                     /* it stands in nobody's way */
	assert_int_equal(find(1, NOW_S), KV_IO);
	assert_int_equal(session_delete_some(store, ada.id, 10, &count), KV_IO);
	assert_int_equal(session_next(store, &after, key, &s), KV_IO);
	record_owner_prefix(&k, bob.id);
	assert_int_equal(kv_put(store, slice_bytes(k.bytes, k.len), SLICE("")), KV_OK);
	assert_int_equal(session_delete_some(store, bob.id, 10, &count), KV_IO);
	assert_int_equal(session_start(store, &config, key_of(3), bob.id, VIA, NOW_S), KV_IO);
	assert_int_equal(kv_put(store, SLICE("X"), SLICE("")), KV_OK);
	assert_int_equal(session_sweep(store, &config, NOW_S, 10, &count), KV_IO);
}

/* --- Cookies, guests, data. --- */

/* What is kept of one secret is never another's, and its key is HMAC's (RFC 2104) for each. */
static void test_key_of_every_secret(void **state)
{
	static char bytes[320];
	static const size_t lens[] = { 1, 32, 32, 64, 65, 128, 129, 300, 32, 31, 128, 127, 1, 0,
		                       1 };
	uint8_t key[RECORD_SESSION_KEY_LEN], expected[br_sha256_SIZE];
	br_hmac_key_context hmac_key;
	br_hmac_context hmac;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i + 1);
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		br_hmac_key_init(&hmac_key, &br_sha256_vtable, bytes + i, lens[i]);
		br_hmac_init(&hmac, &hmac_key, 0);
		br_hmac_update(&hmac, "sidecart cookie sessionid", 25);
		br_hmac_out(&hmac, expected);
		for (unsigned again = 0; again < 2; again++) {
			session_cookie_key((struct slice){ bytes + i, lens[i] }, SLICE("id"),
			                   key);
			assert_memory_equal(key, expected, sizeof key);
		}
	}
}

static void test_cookie_keys(void **state)
{
	static const struct {
		const char *secret, *id;
	} others[] = {
		{ "secret", "ID" }, { "secret", "id " }, { "secret", "" }, { "Secret", "id" },
		{ "secreti", "d" }, { "", "secretid" },
	};
	uint8_t key[RECORD_SESSION_KEY_LEN], other[RECORD_SESSION_KEY_LEN];
	char a[SESSION_ID_CHARS], b[SESSION_ID_CHARS];
	struct buf token = BUF(a), token_again = BUF(b);

	(void)state;
	session_cookie_key(SLICE("secret"), SLICE("id"), key);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		session_cookie_key(slice_of(others[i].secret), slice_of(others[i].id), other);
		assert_memory_not_equal(key, other, sizeof key);
	}
	session_put_csrf_token(&token, SLICE("secret"), key);
	assert_int_equal(token.len, SESSION_ID_CHARS);
	session_put_csrf_token(&token_again, SLICE("secret"), key);
	assert_memory_equal(a, b, sizeof a);
	token_again.len = 0;
	session_put_csrf_token(&token_again, SLICE("Secret"), key);
	assert_memory_not_equal(a, b, sizeof a);
	key[0] ^= 1;
	token_again.len = 0;
	session_put_csrf_token(&token_again, SLICE("secret"), key);
	assert_memory_not_equal(a, b, sizeof a);
}

static void start_guest(unsigned key, uint8_t via, uint64_t now_s)
{
	assert_int_equal(session_start(store, &config, key_of(key), 0, via, now_s), KV_OK);
}

static void put(unsigned key, const char *json)
{
	assert_int_equal(session_put_data(store, key_of(key), slice_of(json)), KV_OK);
}

/* What is kept with the session; "" where nothing is. */
static const char *data(unsigned key, uint64_t now_s)
{
	static char text[RECORD_DATA_MAX + 1];
	struct slice json;
	enum kv_status status = session_data(store, key_of(key), now_s, &json);

	if (status == KV_NOT_FOUND)
		return "";
	assert_int_equal(status, KV_OK);
	memcpy(text, json.ptr, json.len);
	text[json.len] = '\0';
	return text;
}

static void test_guests(void **state)
{
	static const struct {
		const char *name;
		uint8_t via;
		uint32_t anon_ttl_s;
		uint64_t life_s;        /* 0: for ever */
		uint64_t most_s;        /* with daily use; 0: for ever */
	} cases[] = {
		{ "header, for ever", VIA_HEADER, 0, 0, 0 },
		{ "header, anon_ttl", VIA_HEADER, 500, 500, 0 },
		{ "cookie", VIA_COOKIE, 0, TTL_S, MAX_S },
		{ "cookie beside anon_ttl", VIA_COOKIE, 9000, TTL_S, MAX_S },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t life_s = cases[i].life_s, now_s = NOW_S;
		struct session_record s;

		config.anon_ttl_s = cases[i].anon_ttl_s;
		start_guest(1, cases[i].via, NOW_S);
		put(1, "{}");
		s = found(1, NOW_S);
		assert_int_equal(s.expires_s, life_s == 0 ? RECORD_NEVER : NOW_S + life_s);
		assert_int_equal(s.due_s, s.expires_s);
		assert_int_equal(store_entries(), empty_entries + (life_s == 0 ? 3 : 4));
		for (; now_s < NOW_S + 2 * MAX_S && find(1, now_s) == KV_OK; now_s += 100)
			if (session_renewal_due(&config, &s, now_s)) {
				assert_int_equal(session_renew(store, &config, key_of(1), now_s),
				                 KV_OK);
				s = found(1, now_s);
			}
		if (now_s != NOW_S + (cases[i].most_s > 0 ? cases[i].most_s : 2 * MAX_S))
			fail_msg("%s: lived %d s", cases[i].name, (int)(now_s - NOW_S));
		if (life_s > 0) {
			sweep(now_s + life_s, 5);
			sweep(now_s + life_s, 5);
		} else {
			assert_int_equal(session_end(store, key_of(1)), KV_OK);
		}
		assert_int_equal(store_entries(), empty_entries);
	}
}

/* However many guests there are, none pushes another out. */
static void test_guests_have_no_limit(void **state)
{
	(void)state;
	config.max_sessions_per_customer = 1;
	for (unsigned key = 0; key < 10; key++)
		start_guest(key, VIA_COOKIE, NOW_S);
	assert_string_equal(live(NOW_S), "0123456789");
	start(1, &ada, NOW_S);
	assert_string_equal(live(NOW_S), "0123456789");
}

static void test_data(void **state)
{
	char json[RECORD_DATA_MAX + 1];

	(void)state;
	assert_string_equal(data(1, NOW_S), "");
	start(1, &ada, NOW_S);
	assert_string_equal(data(1, NOW_S), "");
	put(1, "{\"a\":1}");
	assert_string_equal(data(1, NOW_S), "{\"a\":1}");
	assert_string_equal(data(2, NOW_S), "");
	put(1, "{}");
	assert_string_equal(data(1, NOW_S + TTL_S - 1), "{}");
	assert_string_equal(data(1, NOW_S + TTL_S), "");
	assert_int_equal(store_entries(), empty_entries + 4);
	memset(json, 'x', sizeof json);
	json[RECORD_DATA_MAX] = '\0';
	put(1, json);
	assert_string_equal(data(1, NOW_S), json);
	start(1, &bob, NOW_S);                  /* another's session under the key */
	assert_string_equal(data(1, NOW_S), "");
	put(1, "{}");
	assert_int_equal(session_end(store, key_of(1)), KV_OK);
	assert_int_equal(store_entries(), empty_entries);
	start(1, &ada, NOW_S);
	assert_string_equal(data(1, NOW_S), "");
	put(1, "{}");
	sweep(NOW_S + TTL_S, 10);
	assert_int_equal(store_entries(), empty_entries);
}

/* A login, from a guest with data under key 1 (NULL: without a guest's session) to key 2,
 * where the customer may have been logged in already. */
static void test_log_in_merges_data(void **state)
{
	static const struct {
		const char *name, *guest, *own, *merged;
		bool same_customer;
	} cases[] = {
		{ "no guest", NULL, NULL, "", true },
		{ "nothing kept", "", "", "", true },
		{ "the guest's alone", "{\"a\":1}", NULL, "{\"a\":1}", true },
		{ "the customer's alone", NULL, "{\"a\":1}", "{\"a\":1}", true },
		{ "the customer's wins", "{\"a\":1,\"b\":2}", "{\"a\":3,\"c\":4}",
		  "{\"a\":3,\"b\":2,\"c\":4}", true },
		{ "inside objects too", "{\"a\":{\"x\":1,\"y\":1}}", "{\"a\":{\"y\":2}}",
		  "{\"a\":{\"x\":1,\"y\":2}}", true },
		{ "lists are whole", "{\"a\":[1,2,3]}", "{\"a\":[]}", "{\"a\":[]}", true },
		{ "another's are dropped", "{\"a\":1}", "{\"b\":2}", "{\"a\":1}", false },
		{ "another's, no guest", NULL, "{\"b\":2}", "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *guest = cases[i].guest, *own = cases[i].own;

		if (guest != NULL) {
			start_guest(1, VIA_HEADER, NOW_S);
			if (guest[0] != '\0')
				put(1, guest);
		}
		if (own != NULL) {
			start(2, cases[i].same_customer ? &ada : &bob, NOW_S);
			if (own[0] != '\0')
				put(2, own);
		}
		assert_int_equal(session_log_in(store, &config, guest != NULL ? key_of(1) : NULL,
		                                key_of(2), ada.id, VIA_HEADER, NOW_S), KV_OK);
		if (strcmp(data(2, NOW_S), cases[i].merged) != 0)
			fail_msg("%s: %s", cases[i].name, data(2, NOW_S));
		assert_int_equal(found(2, NOW_S).customer_id, ada.id);
		assert_int_equal(find(1, NOW_S), KV_NOT_FOUND);
		assert_int_equal(session_end(store, key_of(2)), KV_OK);
		assert_int_equal(store_entries(), empty_entries);
	}
}

/* Both fit, together they do not: the customer's own stay. */
static void test_log_in_with_too_much_data(void **state)
{
	char guest[RECORD_DATA_MAX + 1], own[RECORD_DATA_MAX + 1];

	(void)state;
	snprintf(guest, sizeof guest, "{\"g\":\"%0*d\"}", RECORD_DATA_MAX - 8, 0);
	snprintf(own, sizeof own, "{\"o\":1}");
	start_guest(1, VIA_HEADER, NOW_S);
	put(1, guest);
	start(2, &ada, NOW_S);
	put(2, own);
	store_hide_log();
	assert_int_equal(session_log_in(store, &config, key_of(1), key_of(2), ada.id, VIA_HEADER,
	                                NOW_S), KV_OK);
	assert_int_equal(store_show_log(), 1);
	assert_string_equal(data(2, NOW_S), own);
}

/* The old cookie is a guest's for SESSION_GRACE_S, whatever is done with it, and then dead. */
static void test_grace(void **state)
{
	const uint64_t login_s = NOW_S + TTL_S / 2, end_s = login_s + SESSION_GRACE_S;
	struct session_record s;

	(void)state;
	start_guest(1, VIA_COOKIE, NOW_S);
	put(1, "{\"a\":1}");
	assert_int_equal(session_log_in(store, &config, key_of(1), key_of(2), ada.id, VIA_COOKIE,
	                                login_s), KV_OK);
	assert_string_equal(data(2, login_s), "{\"a\":1}");
	assert_int_equal(found(1, end_s - 1).customer_id, 0);
	s = found(1, login_s);
	assert_int_equal(s.expires_s, end_s);
	assert_int_equal(s.due_s, end_s);
	for (uint64_t now_s = login_s; now_s < end_s; now_s++)
		assert_false(session_renewal_due(&config, &s, now_s));
	assert_int_equal(session_renew(store, &config, key_of(1), end_s - 1), KV_OK);
	assert_int_equal(find(1, end_s - 1), KV_OK);
	assert_int_equal(find(1, end_s), KV_NOT_FOUND);
	/* A second login with the old cookie carries the data over too, and buys no time. */
	assert_int_equal(session_log_in(store, &config, key_of(1), key_of(3), ada.id, VIA_COOKIE,
	                                end_s - 1), KV_OK);
	assert_string_equal(data(3, end_s - 1), "{\"a\":1}");
	assert_int_equal(find(1, end_s), KV_NOT_FOUND);
	/* After it the old cookie is nobody's: no data goes anywhere. */
	assert_int_equal(session_log_in(store, &config, key_of(1), key_of(4), bob.id, VIA_COOKIE,
	                                end_s), KV_OK);
	assert_string_equal(data(4, end_s), "");
	assert_int_equal(session_end(store, key_of(2)), KV_OK);
	assert_int_equal(session_end(store, key_of(3)), KV_OK);
	assert_int_equal(session_end(store, key_of(4)), KV_OK);
	sweep(end_s, 5);
	assert_int_equal(store_entries(), empty_entries);
}

/* Many lives at random, beside a model that is a plain array. */

#define KEYS      24
#define CUSTOMERS 5
#define STEPS     5000

struct model {
	struct life {
		bool there;             /* its record stands, dead or alive */
		uint64_t customer_id, basket_id, created_s, expires_s, due_s, used_s;
	} lives[KEYS];
	struct owner {
		uint64_t id;            /* 0: deleted */
		uint64_t basket_id;
	} owners[CUSTOMERS];
	uint64_t now_s;
};

static struct model model;
static struct {
	uint32_t seed, random;
	unsigned step;
} sim;

static uint32_t draw(uint32_t bound)
{
	sim.random ^= sim.random << 13; /* xorshift (Marsaglia 2003) */
	sim.random ^= sim.random >> 17;
	sim.random ^= sim.random << 5;
	return (sim.random >> 4) % bound;
}

static void require(bool holds, const char *what)
{
	if (!holds)
		fail_msg("seed %u, step %u: %s", sim.seed, sim.step, what);
}

static uint64_t model_expiry(uint64_t created_s)
{
	uint64_t idle = model.now_s + config.session_ttl_s;
	uint64_t absolute = created_s + config.session_max_s;

	return idle < absolute ? idle : absolute;
}

static bool model_live(const struct life *l)
{
	return l->there && model.now_s < l->expires_s;
}

static bool model_due(const struct life *l)
{
	uint64_t renewed = model_expiry(l->created_s);

	return renewed > l->expires_s && 10 * (renewed - l->expires_s) >= config.session_ttl_s;
}

static void model_evict(uint64_t customer_id)
{
	uint32_t limit = config.max_sessions_per_customer;

	for (;;) {
		struct life *oldest = NULL;
		uint32_t count = 0;

		for (struct life *l = model.lives; l < model.lives + KEYS; l++) {
			if (!l->there || l->customer_id != customer_id)
				continue;
			count++;
			if (oldest == NULL || l->created_s < oldest->created_s)
				oldest = l;
		}
		if (limit == 0 || count < limit)
			return;
		oldest->there = false;
	}
}

static void do_start(unsigned key, struct owner *o)
{
	struct life *l = &model.lives[key];

	if (o->id == 0)
		return;
	require(session_start(store, &config, key_of(key), o->id, VIA, model.now_s) == KV_OK,
	        "start failed");
	l->there = false;
	model_evict(o->id);
	*l = (struct life){ true, o->id, o->basket_id, model.now_s, model_expiry(model.now_s),
	                    model_expiry(model.now_s), model.now_s };
}

static void do_end(unsigned key)
{
	enum kv_status status = session_end(store, key_of(key));

	require(status == (model.lives[key].there ? KV_OK : KV_NOT_FOUND), "end");
	model.lives[key].there = false;
}

static void do_renew(unsigned key)
{
	struct life *l = &model.lives[key];

	if (!model_live(l) || !model_due(l))
		return;
	require(session_renew(store, &config, key_of(key), model.now_s) == KV_OK, "renew failed");
	l->expires_s = model_expiry(l->created_s);
	l->used_s = model.now_s;
}

static void do_sweep(void)
{
	sweep(model.now_s, 1 + draw(4));
	for (struct life *l = model.lives; l < model.lives + KEYS; l++) {
		if (!l->there || l->due_s > model.now_s)
			continue;
		l->there = l->expires_s > model.now_s;
		l->due_s = l->expires_s;
	}
}

static void model_delete_some(uint64_t customer_id, uint32_t limit)
{
	uint32_t deleted = 0, expected = 0;

	require(session_delete_some(store, customer_id, limit, &deleted) == KV_OK, "delete some");
	for (struct life *l = model.lives; l < model.lives + KEYS; l++) {
		struct slice value;
		struct record_key k;

		if (!l->there || l->customer_id != customer_id ||
		    kv_get(store, record_session_key(&k, key_of((unsigned)(l - model.lives))),
		           &value) == KV_OK)
			continue;
		l->there = false;
		expected++;
	}
	require(deleted == expected && deleted <= limit, "another number was deleted");
}

static void do_change_customer(struct owner *o)
{
	if (o->id == 0)
		return;
	if (draw(2) == 0) {
		model_delete_some(o->id, draw(3));
		return;
	}
	o->basket_id = draw(4);
	require(session_set_customer_basket(store, o->id, o->basket_id) == KV_OK, "basket");
	for (struct life *l = model.lives; l < model.lives + KEYS; l++)
		if (l->there && l->customer_id == o->id)
			l->basket_id = o->basket_id;
}

/* Deletes a customer after his sessions, or makes one anew. */
static void do_replace_customer(struct owner *o)
{
	char login[2] = { (char)('p' + (o - model.owners)), '\0' };
	struct customer_record r;

	if (o->id == 0) {
		*o = (struct owner){ add_customer(login).id, 0 };
		return;
	}
	model_delete_some(o->id, KEYS);
	require(customer_get(store, o->id, &r) == KV_OK, "a customer is gone");
	require(customer_delete(store, &r) == KV_OK, "a customer cannot be deleted");
	o->id = 0;
}

static void do_something(void)
{
	static const uint32_t limits[] = { 0, 1, 2, 3, 3, 5 };
	struct owner *o = &model.owners[draw(CUSTOMERS)];
	unsigned key = draw(KEYS), what = draw(100);

	if (what < 30)
		do_start(key, o);
	else if (what < 40)
		do_end(key);
	else if (what < 60)
		do_renew(key);
	else if (what < 85)
		model.now_s += draw(what == 84 ? 2 * TTL_S : TTL_S / 10);
	else if (what < 90)
		do_sweep();
	else if (what < 94)
		do_change_customer(o);
	else if (what < 97)
		do_replace_customer(o);
	else
		config.max_sessions_per_customer = limits[draw(COUNT_OF(limits))];
}

static void check_finds(void)
{
	for (unsigned key = 0; key < KEYS; key++) {
		const struct life *l = &model.lives[key];
		struct session_record s;
		enum kv_status status = session_find(store, key_of(key), model.now_s, &s);

		require(status == (model_live(l) ? KV_OK : KV_NOT_FOUND), "found or not");
		if (status != KV_OK)
			continue;
		require(s.customer_id == l->customer_id && s.login.len == 1, "customer or login");
		require(s.basket_id == l->basket_id && s.via == VIA, "basket or via");
		require(s.created_s == l->created_s && s.expires_s == l->expires_s, "times");
		require(s.due_s == l->due_s && s.used_s == l->used_s, "due or used");
		require(session_renewal_due(&config, &s, model.now_s) == model_due(l), "renewal");
	}
}

static bool there(struct slice key)
{
	struct slice value;

	return kv_get(store, key, &value) == KV_OK;
}

/* Every session stands in both lists, and nothing else does. */
static void check_indexes(void)
{
	uint64_t entries = store_entries(), expected = 1;       /* the next customer's id */
	struct record_key k, of;

	for (unsigned key = 0; key < KEYS; key++) {
		const struct life *l = &model.lives[key];
		struct slice session = record_session_key(&of, key_of(key));

		require(there(session) == l->there, "a record too many or too few");
		if (!l->there)
			continue;
		expected += 3;
		require(there(record_owner_key(&k, l->customer_id, l->created_s, key_of(key))),
		        "not in its owner's list");
		require(there(record_sweep_key(&k, l->due_s, session)), "not in the sweep's list");
	}
	for (size_t i = 0; i < CUSTOMERS; i++)
		expected += model.owners[i].id != 0 ? 2 : 0;
	require(entries == expected, "entries that nobody knows");
}

static void simulate(uint32_t seed)
{
	memset(&model, 0, sizeof model);
	model.now_s = NOW_S;
	sim.seed = sim.random = seed;
	for (sim.step = 0; sim.step < STEPS; sim.step++) {
		struct model before = model;
		uint32_t how = draw(40);

		if (how > 1) {
			do_something();
		} else {
			require(kv_begin_child(store) == KV_OK, "no child");
			do_something();
			require(kv_end_child(store, how == 1) == KV_OK, "the child's end");
		}
		if (how == 0)
			model = before;         /* the child was dropped */
		check_finds();
		if (sim.step % 100 == 0)
			check_indexes();
	}
	check_indexes();
	model.now_s += MAX_S;
	do_sweep();
	check_indexes();
	for (size_t i = 0; i < KEYS; i++)
		require(!model.lives[i].there, "left by the last sweep");
}

static void test_simulation(void **state)
{
	static const uint32_t seeds[] = { 1, 20251123, 0xdecade, 0x5eed5eed };

	for (size_t i = 0; i < COUNT_OF(seeds); i++) {
		assert_int_equal(customer_delete(store, &ada), KV_OK);
		assert_int_equal(customer_delete(store, &bob), KV_OK);
		simulate(seeds[i]);
		store_tear_down(state);
		set_up(state);
	}
}

#define IN_A_BATCH(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_BATCH(test_life),
		IN_A_BATCH(test_needs_a_batch),
		IN_A_BATCH(test_expiry_at_read),
		IN_A_BATCH(test_what_ends_all_sessions),
		IN_A_BATCH(test_one_session_a_key),
		IN_A_BATCH(test_import),
		IN_A_BATCH(test_move),
		IN_A_BATCH(test_renew),
		IN_A_BATCH(test_renewals_are_few),
		IN_A_BATCH(test_renewal_due),
		IN_A_BATCH(test_eviction),
		IN_A_BATCH(test_guests_basket),
		IN_A_BATCH(test_customers_basket),
		IN_A_BATCH(test_delete_some),
		IN_A_BATCH(test_sweep),
		IN_A_BATCH(test_sweep_of_strays),
		IN_A_BATCH(test_next),
		IN_A_BATCH(test_damaged_records),
		cmocka_unit_test(test_key_of_every_secret),
		IN_A_BATCH(test_cookie_keys),
		IN_A_BATCH(test_guests),
		IN_A_BATCH(test_guests_have_no_limit),
		IN_A_BATCH(test_data),
		IN_A_BATCH(test_log_in_merges_data),
		IN_A_BATCH(test_log_in_with_too_much_data),
		IN_A_BATCH(test_grace),
		IN_A_BATCH(test_simulation),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
