/* test_call.c -- whose basket it is: found, made, handed over at login, dropped at logout.
 *
 * Each request is parsed and identified as the server does it; the store is the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "calls.h"

#define NOW_S UINT64_C(1800000000)

static struct client_record trusted = { .scopes = SCOPE_TRUSTED };

/* The baskets are large: one of each test's own, and one to compare with. */
static struct basket basket, other;

static int set_up(void **state)
{
	store_set_up(state);
	config_defaults(&config);
	config.sid_trust = SID_TRUST_ANY;
	config.cookie_secure = COOKIE_SECURE_OFF;
	now_s = NOW_S;
	calls_put_product("1", 10);
	calls_put_product("2", UINT32_MAX);
	calls_add_customer("ada");
	calls_add_customer("bob");
	return 0;
}

static struct slice answered(void)
{
	call_put_basket_cookie(&call);
	assert_false(http_response_full(&response));
	return buf_slice(&response.fields);
}

static bool answered_with(const char *text)
{
	struct slice fields = answered();

	return memmem(fields.ptr, fields.len, text, strlen(text)) != NULL;
}

static uint32_t add(struct basket *b, const char *product, int64_t quantity)
{
	const struct basket_item item = { .product = slice_of(product) };
	struct basket_change change = {
		.kv = store, .config = &config, .now_us = call.now_us,
	};
	uint32_t line;

	assert_int_equal(basket_add(b, &item, quantity, &change, &line), BASKET_OK);
	assert_int_equal(call_put_basket(&call, b, true), KV_OK);
	return line;
}

/* The quantity of a product in the open basket of who asks; 0 where there is none. */
static uint32_t quantity_of(const char *product)
{
	uint32_t quantity = 0;
	enum kv_status status = call_open_basket(&call, false, &other);

	if (status == KV_NOT_FOUND)
		return 0;
	assert_int_equal(status, KV_OK);
	for (uint32_t i = 0; i < other.line_count; i++)
		if (slice_eq(other.lines[i].product, slice_of(product)))
			quantity += other.lines[i].quantity;
	return quantity;
}

static void log_in(uint64_t customer_id)
{
	struct call_login login;

	call_begin_login(&call, &login);
	assert_int_equal(call_log_in(&call, &login, customer_id), KV_OK);
}

static void test_nothing_is_made_unasked(void **state)
{
	uint64_t before = store_entries();

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, false, &basket), KV_NOT_FOUND);
	calls_ask("");
	assert_int_equal(call_open_basket(&call, false, &basket), KV_NOT_FOUND);
	assert_int_equal(answered().len, 0);
	assert_int_equal(store_entries(), before);
}

static void test_header_guest(void **state)
{
	uint64_t id;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	assert_int_equal(answered().len, 0);            /* no cookie beside a Session-Id */
	add(&basket, "1", 2);
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call.identity.session.basket_id, id);
	assert_int_equal(quantity_of("1"), 2);
	calls_ask_by_header("ANON", "otto");
	assert_int_equal(call_open_basket(&call, false, &basket), KV_NOT_FOUND);
	assert_int_equal(call_basket(&call, id, &basket), CALL_FORBIDDEN);
	assert_int_equal(call_basket(&call, id + 1, &basket), CALL_ABSENT);
}

static void test_cookie_visitor(void **state)
{
	uint64_t id;

	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	assert_true(answered_with("Set-Cookie: oscar_open_basket=1:3ez_"));
	assert_true(answered_with("Max-Age=604800"));
	add(&basket, "1", 3);
	calls_ask_by_cookie(id, "");
	assert_int_equal(quantity_of("1"), 3);
	assert_int_equal(call_basket(&call, id, &basket), CALL_ALLOWED);
	calls_ask("");
	assert_int_equal(call_basket(&call, id, &basket), CALL_FORBIDDEN);
	calls_ask("Cookie: oscar_open_basket=1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgx\r\n");
	assert_int_equal(call_basket(&call, id, &basket), CALL_FORBIDDEN);
	assert_int_equal(call_open_basket(&call, false, &basket), KV_NOT_FOUND);
	assert_true(answered_with("Set-Cookie: oscar_open_basket=; Path=/; Max-Age=0"));
}

static void test_cookie_beside_header_counts_for_nothing(void **state)
{
	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	calls_ask("Session-Id: SID:ANON:shop.example:anna\r\n"
	    "Cookie: oscar_open_basket=1:3ez_VTeEXk1QBpEdDLFxoGiUfD65yNzkujp6Vykesgw\r\n");
	assert_int_equal(call_open_basket(&call, false, &basket), KV_NOT_FOUND);
	assert_int_equal(call_basket(&call, 1, &basket), CALL_FORBIDDEN);
	assert_int_equal(answered().len, 0);
}

static void test_cookie_off(void **state)
{
	(void)state;
	config.basket_cookie = CONFIG_OFF;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	assert_true(answered_with("Set-Cookie: sidecart_session="));
	assert_false(answered_with("oscar_open_basket"));
	calls_ask_by_cookie(basket.id, "");
	assert_int_equal(call_basket(&call, basket.id, &other), CALL_FORBIDDEN);
}

/* A guest's session that has a basket of its own, and the cookie of another basket: one basket
 * is left, with what was in both. */
static void test_two_baskets_become_one(void **state)
{
	char session[SESSION_ID_CHARS + 1], line[128];
	struct buf id = BUF(session);
	uint64_t carried, own;

	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	carried = basket.id;
	add(&basket, "1", 1);
	config.basket_cookie = CONFIG_OFF;
	calls_ask("");
	buf_base64url(&id, call.random, sizeof call.random, SESSION_ID_CHARS);
	session[SESSION_ID_CHARS] = '\0';
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	own = basket.id;
	add(&basket, "1", 2);
	add(&basket, "2", 5);
	config.basket_cookie = CONFIG_ON;
	calls_ask_by_cookie(carried, session);
	assert_int_equal(call_open_basket(&call, false, &basket), KV_OK);
	assert_int_equal(basket.line_count, 2);
	for (uint32_t i = 0; i < 2; i++)        /* no line is left in the basket that went */
		assert_true(basket.lines[i].product.ptr >= basket.text &&
		            basket.lines[i].product.ptr < basket.text + sizeof basket.text);
	assert_int_equal(quantity_of("1"), 3);
	assert_int_equal(quantity_of("2"), 5);
	assert_int_equal(call_basket(&call, own, &basket), CALL_ABSENT);
	snprintf(line, sizeof line, "Cookie: sidecart_session=%s\r\n", session);
	calls_ask(line);
	assert_int_equal(call.identity.session.basket_id, carried);
	assert_int_equal(quantity_of("1"), 3);
}

/* A new guest's session, as a cookie shows it. */
static void start_guest(char session[SESSION_ID_CHARS + 1], uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct buf id = { session, 0, SESSION_ID_CHARS, false };

	calls_ask("");
	buf_base64url(&id, call.random, sizeof call.random, SESSION_ID_CHARS);
	session[SESSION_ID_CHARS] = '\0';
	assert_int_equal(call_keep_guest(&call, key), KV_OK);
}

/* The cookie leads one guest's session after the other to a basket: with the end of the first it
 * stays the second's. */
static void test_basket_goes_to_another_session(void **state)
{
	char first[SESSION_ID_CHARS + 1], second[SESSION_ID_CHARS + 1];
	uint8_t first_key[RECORD_SESSION_KEY_LEN], second_key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	uint64_t carried;

	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	carried = basket.id;
	add(&basket, "1", 1);
	start_guest(first, first_key);
	start_guest(second, second_key);
	calls_ask_by_cookie(carried, first);
	assert_int_equal(call_open_basket(&call, false, &basket), KV_OK);
	calls_ask_by_cookie(carried, second);
	assert_int_equal(call_open_basket(&call, false, &basket), KV_OK);
	assert_int_equal(session_find(store, first_key, now_s, &s), KV_OK);
	assert_int_equal(s.basket_id, 0);
	assert_int_equal(session_end(store, first_key), KV_OK);
	assert_int_equal(basket_get(store, carried, now_s, &basket), KV_OK);
	assert_memory_equal(basket.guest, second_key, sizeof second_key);
	assert_int_equal(basket.line_count, 1);
}

static void test_login_takes_the_guests_basket(void **state)
{
	uint64_t guests;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	guests = basket.id;
	add(&basket, "1", 2);
	calls_ask_by_header("ANON", "anna");
	log_in(1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(quantity_of("1"), 2);
	assert_int_equal(other.customer_id, 1);
	assert_int_equal(call.identity.session.basket_id, other.id);
	assert_int_equal(call_basket(&call, guests, &basket), CALL_ABSENT);
	calls_ask_by_header("ANON", "anna");
	assert_false(call.identity.recorded);
	assert_int_equal(quantity_of("1"), 0);
	assert_int_equal(call_basket(&call, guests, &basket), CALL_ABSENT);
}

static void test_login_without_anything_to_merge(void **state)
{
	uint64_t before;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	before = store_entries();
	log_in(1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(call.identity.session.basket_id, 0);
	assert_int_equal(store_entries(), before + 3);  /* session, owner's list, sweep */
}

/* Each further login adds (basket_merge=sum), and stock holds: what does not fit is told. */
static void test_merge_keeps_to_stock(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		calls_ask_by_header("ANON", "anna");
		assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
		add(&basket, "1", 6);
		calls_ask_by_header("ANON", "anna");
		store_hide_log();
		log_in(1);
		store_show_log();
		assert_int_equal(answered_with("X-Basket-Merge: 1=12/10\r\n"), i == 1);
	}
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(quantity_of("1"), 10);
}

static void test_all_sessions_of_a_customer_see_one_basket(void **state)
{
	(void)state;
	calls_ask_by_header("ANON", "phone");
	log_in(1);
	calls_ask_by_header("ANON", "laptop");
	log_in(1);
	calls_ask_by_header("AUTH", "phone");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	add(&basket, "2", 4);
	calls_ask_by_header("AUTH", "laptop");
	assert_int_equal(call.identity.session.basket_id, basket.id);
	assert_int_equal(quantity_of("2"), 4);
	calls_ask_by_header("ANON", "tablet");
	log_in(1);
	calls_ask_by_header("AUTH", "tablet");
	assert_int_equal(quantity_of("2"), 4);
	calls_ask_by_header("ANON", "foreign");
	log_in(2);
	calls_ask_by_header("AUTH", "foreign");
	assert_int_equal(quantity_of("2"), 0);
	assert_int_equal(call_basket(&call, basket.id, &other), CALL_FORBIDDEN);
}

static void test_cookie_login_merges_and_drops_the_cookie(void **state)
{
	uint64_t id;

	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	add(&basket, "2", 2);
	calls_ask_by_cookie(id, "");
	log_in(1);
	assert_true(answered_with("Set-Cookie: oscar_open_basket=; Path=/; Max-Age=0"));
	calls_ask_by_cookie(id, "");
	assert_int_equal(quantity_of("2"), 0);
	assert_int_equal(call_basket(&call, id, &basket), CALL_ABSENT);
	calls_ask_by_header("ANON", "anna");
	log_in(1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(quantity_of("2"), 2);
}

static void test_logout(void **state)
{
	uint64_t id;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	add(&basket, "2", 2);
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_log_out(&call), KV_OK);
	assert_int_equal(basket_get(store, id, now_s, &basket), KV_NOT_FOUND);
	calls_ask_by_header("ANON", "anna");
	assert_false(call.identity.recorded);
	log_in(1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	add(&basket, "2", 1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(call_log_out(&call), KV_OK);
	calls_ask_by_header("ANON", "anna");          /* requirement S14 */
	assert_int_equal(quantity_of("2"), 0);
	log_in(1);
	calls_ask_by_header("AUTH", "anna");
	assert_int_equal(quantity_of("2"), 1);
}

static void test_cookie_logout(void **state)
{
	(void)state;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	calls_ask_by_cookie(basket.id, "");
	assert_int_equal(call_log_out(&call), KV_OK);
	assert_true(answered_with("Set-Cookie: oscar_open_basket=; Path=/; Max-Age=0"));
	assert_int_equal(basket_get(store, basket.id, now_s, &other), KV_NOT_FOUND);
}

/* What an owner, a stranger and an order system may see of a basket in each status. */
static const struct {
	enum basket_status status;
	enum call_access owner, owner_trusted, stranger, order_system;
} access_table[] = {
	{ BASKET_OPEN,      CALL_ALLOWED, CALL_ALLOWED, CALL_FORBIDDEN, CALL_ALLOWED },
	{ BASKET_SAVED,     CALL_ALLOWED, CALL_ALLOWED, CALL_FORBIDDEN, CALL_ALLOWED },
	{ BASKET_FROZEN,    CALL_ABSENT,  CALL_ALLOWED, CALL_ABSENT,    CALL_ALLOWED },
	{ BASKET_SUBMITTED, CALL_ABSENT,  CALL_ALLOWED, CALL_ABSENT,    CALL_ALLOWED },
	{ BASKET_MERGED,    CALL_ABSENT,  CALL_ABSENT,  CALL_ABSENT,    CALL_ABSENT },
};

static void test_access(void **state)
{
	uint64_t id;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	for (size_t i = 0; i < COUNT_OF(access_table); i++) {
		basket.status = (uint8_t)access_table[i].status;
		assert_int_equal(call_put_basket(&call, &basket, true), KV_OK);
		calls_ask_by_header("ANON", "anna");
		assert_int_equal(call.identity.session.basket_id, i == BASKET_OPEN ? id : 0);
		assert_int_equal(call_basket(&call, id, &other), access_table[i].owner);
		call.identity.client = &trusted;
		assert_int_equal(call_basket(&call, id, &other), access_table[i].owner_trusted);
		calls_ask_by_header("ANON", "otto");
		assert_int_equal(call_basket(&call, id, &other), access_table[i].stranger);
		calls_ask("Cookie: a=b\r\n");
		call.identity.client = &trusted;
		assert_int_equal(call_basket(&call, id, &other), access_table[i].stranger);
		calls_ask("");
		assert_int_equal(call_basket(&call, id, &other), access_table[i].stranger);
		call.identity.client = &trusted;
		assert_int_equal(call_basket(&call, id, &other), access_table[i].order_system);
		assert_int_equal(answered().len, 0);
	}
}

/* Whether a basket may be opened: its owner's other one, if that is open. */
static void test_other_open(void **state)
{
	uint64_t first;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	assert_int_equal(call_other_open(&call, &basket, &other), KV_NOT_FOUND);
	first = basket.id;
	basket.status = BASKET_SAVED;
	assert_int_equal(call_put_basket(&call, &basket, true), KV_OK);
	assert_int_equal(call_other_open(&call, &basket, &other), KV_NOT_FOUND);
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &other), KV_OK);
	assert_int_not_equal(other.id, first);
	assert_int_equal(call_other_open(&call, &other, &basket), KV_NOT_FOUND);
	assert_int_equal(basket_get(store, first, now_s, &basket), KV_OK);
	assert_int_equal(call_other_open(&call, &basket, &other), KV_OK);
	assert_int_not_equal(other.id, first);
	calls_ask("");                        /* whoever asks: it is the owner's that counts */
	assert_int_equal(call_other_open(&call, &basket, &other), KV_OK);
	assert_int_not_equal(other.id, first);
	assert_int_equal(call_delete_basket(&call, &other), KV_OK);
	assert_int_equal(call_other_open(&call, &basket, &other), KV_NOT_FOUND);
	memset(basket.guest, 0, sizeof basket.guest);   /* one that a cookie alone knows */
	assert_int_equal(call_other_open(&call, &basket, &other), KV_NOT_FOUND);
}

static void test_expiry(void **state)
{
	uint32_t seen;
	uint64_t id;

	(void)state;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	id = basket.id;
	now_s += config.empty_basket_ttl_s;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_basket(&call, id, &other), CALL_ABSENT);
	assert_int_equal(session_sweep(store, &config, now_s, 100, &seen), KV_OK);
	assert_int_equal(seen, 1);
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call.identity.session.basket_id, 0);
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	assert_int_not_equal(basket.id, id);
}

/* With a guest's session goes his basket, but for one that a cookie leads to. */
static void test_expired_session(void **state)
{
	uint64_t by_header, by_cookie;
	uint32_t seen;

	(void)state;
	config.anon_ttl_s = config.session_ttl_s = 3600;
	calls_ask_by_header("ANON", "anna");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	add(&basket, "2", 1);
	by_header = basket.id;
	config.basket_cookie = CONFIG_OFF;
	calls_ask("");
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	basket.carried = true;
	add(&basket, "2", 1);
	by_cookie = basket.id;
	config.basket_cookie = CONFIG_ON;
	now_s += 3600;
	assert_int_equal(session_sweep(store, &config, now_s, 100, &seen), KV_OK);
	assert_int_equal(basket_get(store, by_header, now_s, &basket), KV_NOT_FOUND);
	assert_int_equal(basket_get(store, by_cookie, now_s, &basket), KV_OK);
	calls_ask_by_cookie(by_cookie, "");
	assert_int_equal(quantity_of("2"), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_is_made_unasked),
		TEST(test_header_guest),
		TEST(test_cookie_visitor),
		TEST(test_cookie_beside_header_counts_for_nothing),
		TEST(test_cookie_off),
		TEST(test_two_baskets_become_one),
		TEST(test_basket_goes_to_another_session),
		TEST(test_login_takes_the_guests_basket),
		TEST(test_login_without_anything_to_merge),
		TEST(test_merge_keeps_to_stock),
		TEST(test_all_sessions_of_a_customer_see_one_basket),
		TEST(test_cookie_login_merges_and_drops_the_cookie),
		TEST(test_logout),
		TEST(test_cookie_logout),
		TEST(test_access),
		TEST(test_other_open),
		TEST(test_expiry),
		TEST(test_expired_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
