/* test_basket.c -- baskets rule by rule: adding, limits, options, prices, merge, expiry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "basket.h"
#include "money.h"
#include "store.h"

#define NOW_S  UINT64_C(1800000000)
#define NOW_US (NOW_S * 1000000)

static struct config config;
static struct basket basket, other;
static struct basket_change change;
static uint32_t at;

/* What the shop sells. */
static const struct {
	const char *id, *currency;
	int64_t price_e4;
	uint32_t rate_e6, stock, max_quantity;
} book[] = {
	{ "plain",   "EUR", 100000, 0,      UINT32_MAX, UINT32_MAX },
	{ "few",     "EUR", 100000, 0,      5,          UINT32_MAX },
	{ "rationed", "EUR", 100000, 0,     20,         3 },
	{ "gone",    "EUR", 100000, 0,      0,          UINT32_MAX },
	{ "unpriced", "EUR", -1,    0,      20,         UINT32_MAX },
	{ "dollar",  "USD", 100000, 0,      UINT32_MAX, UINT32_MAX },
	{ "taxed",   "EUR", 123400, 210000, UINT32_MAX, UINT32_MAX },
	{ "cheap",   "EUR", 125,    210000, UINT32_MAX, UINT32_MAX },
	{ "dearest", "EUR", MONEY_PRICE_MAX_E4, 10000000, UINT32_MAX, UINT32_MAX },
	{ "a",       "EUR", 10000,  0,      UINT32_MAX, UINT32_MAX },
	{ "b",       "EUR", 20000,  0,      UINT32_MAX, UINT32_MAX },
	{ "c",       "EUR", 30000,  0,      UINT32_MAX, UINT32_MAX },
};

static int set_up(void **state)
{
	enum kv_status status;

	store_set_up(state);
	config_defaults(&config);
	for (size_t i = 0; i < COUNT_OF(book); i++) {
		const struct product_record r = {
			.id = slice_of(book[i].id), .name = slice_of(book[i].id),
			.currency = slice_of(book[i].currency), .price_e4 = book[i].price_e4,
			.tax_rate_e6 = book[i].rate_e6, .stock = book[i].stock,
			.max_quantity = book[i].max_quantity,
		};

		assert_int_equal(product_put(store, &r, &status), PRODUCT_OK);
	}
	change = (struct basket_change){ .kv = store, .config = &config, .now_us = NOW_US };
	assert_int_equal(basket_make(store, &basket, 7, NULL, NOW_US), KV_OK);
	return 0;
}

static enum basket_error add(struct basket *b, const char *product, int64_t quantity)
{
	const struct basket_item item = { .product = slice_of(product) };

	return basket_add(b, &item, quantity, &change, &at);
}

static enum basket_error add_option(struct basket *b, const char *product, const char *value)
{
	const struct basket_option option = { .option = SLICE("colour"),
	                                      .value = slice_of(value) };
	const struct basket_item item = { .product = slice_of(product), .options = &option,
	                                  .option_count = 1 };

	return basket_add(b, &item, 1, &change, &at);
}

static void save(struct basket *b)
{
	assert_int_equal(basket_put(store, &config, b, true, NOW_US), KV_OK);
}

/* Added to a basket that holds 2 of `few` and 1 of `rationed`. */
static const struct {
	const char *name, *product;
	int64_t quantity;
	enum basket_error error;
	uint32_t bound, count;          /* told with the error; lines after it */
} adds[] = {
	{ "a new product",           "plain",    1,  BASKET_OK, 0, 3 },
	{ "one that is there",       "few",      1,  BASKET_OK, 0, 2 },
	{ "all that is left",        "few",      3,  BASKET_OK, 0, 2 },
	{ "one more than is left",   "few",      4,  BASKET_OVER_STOCK, 5, 2 },
	{ "more than one may have",  "rationed", 3,  BASKET_OVER_STOCK, 3, 2 },
	{ "sold out",                "gone",     1,  BASKET_NO_STOCK, 0, 2 },
	{ "not for sale",            "unpriced", 1,  BASKET_UNAVAILABLE, 0, 2 },
	{ "unknown",                 "nothing",  1,  BASKET_UNKNOWN_PRODUCT, 0, 2 },
	{ "another currency",        "dollar",   1,  BASKET_OTHER_CURRENCY, 0, 2 },
	{ "no id",                   "",         1,  BASKET_BAD_ITEM, 0, 2 },
	{ "an id with a slash",      "a/b",      1,  BASKET_BAD_ITEM, 0, 2 },
	{ "nothing of a new one",    "plain",    0,  BASKET_OK, 0, 2 },
	{ "nothing of an old one",   "few",      0,  BASKET_OK, 0, 2 },
	{ "less of a new one",       "plain",   -1,  BASKET_NEGATIVE, 0, 2 },
	{ "less of an old one",      "few",     -1,  BASKET_OK, 0, 2 },
	{ "all of it away",          "few",     -2,  BASKET_OK, 0, 1 },
	{ "more than all away",      "few",     -9,  BASKET_OK, 0, 1 },
	{ "up to max_quantity",      "plain",    97, BASKET_OK, 0, 3 },
	{ "over max_quantity",       "plain",    98, BASKET_OVER_QUANTITY, 100, 2 },
	{ "over all numbers",        "plain",    INT64_MAX, BASKET_OVER_QUANTITY, 100, 2 },
	{ "under all numbers",       "few",      INT64_MIN, BASKET_OVER_QUANTITY, 100, 2 },
};

static void test_add(void **state)
{
	(void)state;
	config.max_quantity = 100;
	for (size_t i = 0; i < COUNT_OF(adds); i++) {
		assert_int_equal(basket_make(store, &basket, 7, NULL, NOW_US), KV_OK);
		assert_int_equal(add(&basket, "few", 2), BASKET_OK);
		assert_int_equal(add(&basket, "rationed", 1), BASKET_OK);
		if (add(&basket, adds[i].product, adds[i].quantity) != adds[i].error)
			fail_msg("%s", adds[i].name);
		if (basket.line_count != adds[i].count)
			fail_msg("%s: %u lines", adds[i].name, basket.line_count);
		if (adds[i].bound != 0 && change.bound != adds[i].bound)
			fail_msg("%s: %u", adds[i].name, change.bound);
	}
}

/* Stock counts over all lines of a product. */
static void test_stock_over_lines(void **state)
{
	(void)state;
	assert_int_equal(add(&basket, "few", 3), BASKET_OK);
	assert_int_equal(add_option(&basket, "few", "red"), BASKET_OK);
	assert_int_equal(add_option(&basket, "few", "blue"), BASKET_OK);
	assert_int_equal(basket.line_count, 3);
	assert_int_equal(add_option(&basket, "few", "blue"), BASKET_OVER_STOCK);
	assert_int_equal(basket_set_quantity(&basket, 0, 4, &change), BASKET_OVER_STOCK);
	assert_int_equal(change.bound, 5);
	assert_int_equal(basket_set_quantity(&basket, 0, 2, &change), BASKET_OK);
	assert_int_equal(add_option(&basket, "few", "blue"), BASKET_OK);
	assert_int_equal(basket.lines[at].quantity, 2);
}

static void test_too_many_lines(void **state)
{
	(void)state;
	config.max_lines = 2;
	assert_int_equal(add(&basket, "a", 1), BASKET_OK);
	assert_int_equal(add(&basket, "b", 1), BASKET_OK);
	assert_int_equal(add(&basket, "c", 1), BASKET_TOO_MANY_LINES);
	assert_int_equal(change.bound, 2);
	assert_int_equal(add(&basket, "b", 1), BASKET_OK);
}

/* The same options in another order are the same line; another value is another. */
static void test_options_tell_lines_apart(void **state)
{
	const struct basket_option ab[] = { { 0, SLICE("size"), SLICE("M") },
	                                    { 0, SLICE("colour"), SLICE("red") } };
	const struct basket_option ba[] = { ab[1], ab[0] };
	const struct basket_option aa[] = { ab[0], ab[0] };
	const struct basket_item items[] = {
		{ .product = SLICE("a"), .options = ab, .option_count = 2 },
		{ .product = SLICE("a"), .options = ba, .option_count = 2 },
		{ .product = SLICE("a"), .options = aa, .option_count = 2 },
		{ .product = SLICE("a"), .options = ab, .option_count = 1 },
		{ .product = SLICE("b"), .options = ab, .option_count = 2 },
	};
	static const uint32_t lines[] = { 1, 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(items); i++) {
		assert_int_equal(basket_add(&basket, &items[i], 1, &change, &at), BASKET_OK);
		assert_int_equal(basket.line_count, lines[i]);
	}
	assert_int_equal(basket.lines[0].quantity, 2);
}

static void test_bad_options(void **state)
{
	static char large[RECORD_OPTION_MAX + 1];
	const struct basket_option bad[] = {
		{ 0, SLICE(""), SLICE("x") },
		{ 0, { large, sizeof large }, SLICE("x") },
		{ 0, SLICE("x"), { large, sizeof large } },
		{ 0, SLICE("x"), SLICE("a\nb") },
		{ 0, SLICE("x\xff"), SLICE("") },
	};

	(void)state;
	memset(large, 'x', sizeof large);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const struct basket_item item = { .product = SLICE("a"), .options = &bad[i],
		                                  .option_count = 1 };

		if (basket_add(&basket, &item, 1, &change, &at) != BASKET_BAD_ITEM)
			fail_msg("option %zu", i);
	}
	assert_int_equal(basket.line_count, 0);
}

static void test_set_option(void **state)
{
	(void)state;
	assert_int_equal(add_option(&basket, "a", "red"), BASKET_OK);
	assert_int_equal(add_option(&basket, "b", "blue"), BASKET_OK);
	assert_int_equal(basket_set_option(&basket, 1, 1, SLICE("green"), &change), BASKET_OK);
	assert_true(slice_eq(basket.options[1].value, SLICE("green")));
	assert_int_equal(basket.lines[1].version, 2);
	assert_int_equal(basket_set_option(&basket, 1, 0, SLICE("x"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 1, 2, SLICE("x"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 2, 0, SLICE("x"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 0, 0, SLICE("a\rb"), &change),
	                 BASKET_BAD_ITEM);
}

/* A removed line takes its options along, and no other's. */
static void test_remove(void **state)
{
	uint32_t line;
	uint64_t id;

	(void)state;
	add_option(&basket, "a", "red");
	add(&basket, "b", 1);
	add_option(&basket, "c", "blue");
	id = basket.lines[2].id;
	assert_int_equal(basket_remove(&basket, 0, &change), BASKET_OK);
	assert_int_equal(basket.line_count, 2);
	assert_int_equal(basket.option_count, 1);
	assert_true(basket_find_line(&basket, id, &line));
	assert_true(slice_eq(basket.options[basket.lines[line].first_option].value,
	                     SLICE("blue")));
	assert_int_equal(basket_remove(&basket, 2, &change), BASKET_UNKNOWN_LINE);
	save(&basket);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_int_equal(other.line_count, 2);
}

static void test_closed(void **state)
{
	static const struct {
		enum basket_status status;
		enum basket_error error;
	} cases[] = {
		{ BASKET_OPEN, BASKET_OK }, { BASKET_SAVED, BASKET_OK },
		{ BASKET_FROZEN, BASKET_CLOSED }, { BASKET_SUBMITTED, BASKET_CLOSED },
		{ BASKET_MERGED, BASKET_CLOSED },
	};
	const struct basket_price price = { .currency = SLICE("EUR"), .price_e4 = 1 };

	(void)state;
	add_option(&basket, "a", "red");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		basket.status = (uint8_t)cases[i].status;
		assert_int_equal(add(&basket, "b", 1), cases[i].error);
		assert_int_equal(basket_set_quantity(&basket, 0, 2, &change), cases[i].error);
		assert_int_equal(basket_set_option(&basket, 0, 0, SLICE("x"), &change),
		                 cases[i].error);
		assert_int_equal(basket_set_price(&basket, 0, &price, &change), cases[i].error);
		assert_int_equal(basket_set_price(&basket, 0, NULL, &change), cases[i].error);
	}
}

/* What a line costs: its amounts in cents. */
static const struct {
	const char *name, *product;
	uint32_t quantity;
	int64_t excl, tax;
} prices[] = {
	{ "without tax",           "plain",   3,       3000,    0 },
	{ "21 %",                  "taxed",   1,       1234,    259 },  /* 259.14 */
	{ "21 % of three",         "taxed",   3,       3702,    777 },  /* 777.42 */
	{ "half a cent goes up",   "cheap",   2,       3,       1 },    /* 2.5; 0.63 */
	{ "a cent and a quarter",  "cheap",   1,       1,       0 },    /* 1.25; 0.21 */
	{ "the most there is",     "dearest", 1000000, INT64_C(9999999999990000),
	  INT64_C(99999999999900000) },
};

static void test_prices(void **state)
{
	struct basket_line_price p;
	struct basket_totals t;

	(void)state;
	config.max_quantity = MONEY_QUANTITY_MAX;
	for (size_t i = 0; i < COUNT_OF(prices); i++) {
		assert_int_equal(basket_make(store, &basket, 7, NULL, NOW_US), KV_OK);
		assert_int_equal(add(&basket, prices[i].product, prices[i].quantity), BASKET_OK);
		assert_int_equal(basket_line_price(store, &basket.lines[0], &p), KV_OK);
		assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
		if (p.excl_cents != prices[i].excl || p.tax_cents != prices[i].tax || !p.known ||
		    t.excl_cents != p.excl_cents || t.tax_cents != p.tax_cents || !t.tax_known)
			fail_msg("%s: %lld, %lld", prices[i].name, (long long)p.excl_cents,
			         (long long)p.tax_cents);
	}
}

static void test_totals(void **state)
{
	struct basket_totals t;

	(void)state;
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_false(t.tax_known);
	assert_false(slice_given(t.currency));
	add(&basket, "a", 2);
	add(&basket, "taxed", 1);
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_true(t.tax_known && slice_eq(t.currency, SLICE("EUR")));
	assert_int_equal(t.excl_cents, 200 + 1234);
	assert_int_equal(t.tax_cents, 259);
	assert_int_equal(product_delete(store, SLICE("a")), KV_OK);
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_false(t.tax_known);
	assert_int_equal(t.excl_cents, 1234);
}

static void test_given_prices(void **state)
{
	struct basket_price price = { .price_e4 = 50000, .discount_cents = 300,
	                              .name = SLICE("Offer"), .currency = SLICE("EUR") };
	const struct basket_item item = { .product = SLICE("own"), .price = &price };
	struct basket_line_price p;

	(void)state;
	assert_int_equal(basket_add(&basket, &item, 2, &change, &at), BASKET_OK);
	assert_int_equal(basket_line_price(store, &basket.lines[0], &p), KV_OK);
	assert_int_equal(p.full_excl_cents, 1000);
	assert_int_equal(p.excl_cents, 700);
	assert_true(slice_eq(p.name, SLICE("Offer")));
	assert_int_equal(basket_add(&basket, &item, 1, &change, &at), BASKET_OK);
	assert_int_equal(basket.line_count, 1);
	assert_int_equal(basket.lines[0].discount_cents, 600);
	price.discount_cents = 999999;
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_OK);
	assert_int_equal(basket_line_price(store, &basket.lines[0], &p), KV_OK);
	assert_int_equal(p.excl_cents, 0);
	price.price_e4 = -1;
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_BAD_ITEM);
	price.price_e4 = MONEY_PRICE_MAX_E4 + 1;
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_BAD_ITEM);
	price.price_e4 = 1;
	price.currency = SLICE("eur");
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_BAD_ITEM);
	price.currency = SLICE("EUR");
	price.discount_cents = -1;
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_BAD_ITEM);
}

/* Guest's and customer's quantity of `few`, of which there are 5, and what is kept. */
static const struct {
	const char *name;
	enum config_basket_merge mode;
	uint32_t guest, own, kept, left;
} merges[] = {
	{ "sum",                BASKET_MERGE_SUM,  2, 1, 3, 0 },
	{ "sum over stock",     BASKET_MERGE_SUM,  4, 3, 5, 1 },
	{ "sum, nothing fits",  BASKET_MERGE_SUM,  1, 5, 5, 1 },
	{ "sum, new line",      BASKET_MERGE_SUM,  4, 0, 4, 0 },
	{ "max, guest's",       BASKET_MERGE_MAX,  4, 1, 4, 0 },
	{ "max, customer's",    BASKET_MERGE_MAX,  1, 4, 4, 0 },
	{ "keep",               BASKET_MERGE_KEEP, 4, 1, 1, 0 },
	{ "keep, new line",     BASKET_MERGE_KEEP, 4, 0, 4, 0 },
};

static void test_merge(void **state)
{
	struct basket_left left;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(merges); i++) {
		config.basket_merge = merges[i].mode;
		assert_int_equal(basket_make(store, &basket, 7, NULL, NOW_US), KV_OK);
		assert_int_equal(basket_make(store, &other, 0, NULL, NOW_US), KV_OK);
		if (merges[i].own > 0)
			add(&basket, "few", merges[i].own);
		add(&other, "few", merges[i].guest);
		assert_int_equal(basket_merge(&basket, &other, &change, &left), KV_OK);
		if (basket.line_count != 1 || basket.lines[0].quantity != merges[i].kept ||
		    left.count != merges[i].left)
			fail_msg("%s: %u, %u", merges[i].name, basket.lines[0].quantity,
			         left.count);
		assert_int_equal(other.status, BASKET_MERGED);
		assert_int_equal(other.line_count, 0);
		assert_int_equal(other.merged_us, NOW_US);
	}
}

/* Lines move over with ids and options, and stand by id. */
static void test_merge_moves_lines(void **state)
{
	struct basket_left left;
	uint64_t ids[3];

	(void)state;
	assert_int_equal(basket_make(store, &other, 0, NULL, NOW_US), KV_OK);
	add_option(&other, "a", "red");
	add_option(&basket, "b", "blue");
	add_option(&other, "c", "green");
	ids[0] = other.lines[0].id;
	ids[1] = basket.lines[0].id;
	ids[2] = other.lines[1].id;
	assert_int_equal(basket_merge(&basket, &other, &change, &left), KV_OK);
	assert_int_equal(left.count, 0);
	assert_int_equal(basket.line_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(basket.lines[i].id, ids[i]);
		assert_int_equal(basket.lines[i].first_option, i);
	}
	assert_true(slice_eq(basket.options[2].value, SLICE("green")));
}

/* What of another currency, or over the number of lines, does not come along. */
static void test_merge_leaves_out(void **state)
{
	struct basket_left left;

	(void)state;
	config.max_lines = 2;
	assert_int_equal(basket_make(store, &other, 0, NULL, NOW_US), KV_OK);
	add(&other, "dollar", 2);
	add(&basket, "a", 1);
	assert_int_equal(basket_merge(&basket, &other, &change, &left), KV_OK);
	assert_int_equal(left.count, 1);
	assert_int_equal(left.of[0].asked, 2);
	assert_int_equal(left.of[0].kept, 0);
	assert_int_equal(basket_make(store, &other, 0, NULL, NOW_US), KV_OK);
	add(&other, "b", 1);
	add(&other, "c", 1);
	assert_int_equal(basket_merge(&basket, &other, &change, &left), KV_OK);
	assert_int_equal(left.count, 1);
	assert_true(slice_eq(left.of[0].product, SLICE("c")));
	assert_int_equal(basket.line_count, 2);
}

/* How long a basket lives: with lines and without, by status. */
static const struct {
	enum basket_status status;
	bool lines;
	uint64_t life_s;
} lives[] = {
	{ BASKET_OPEN,      false, 100 },
	{ BASKET_OPEN,      true,  1000 },
	{ BASKET_SAVED,     true,  1000 },
	{ BASKET_FROZEN,    true,  0 },
	{ BASKET_SUBMITTED, true,  0 },
	{ BASKET_MERGED,    false, 100 },
};

static void test_life(void **state)
{
	struct basket_swept swept;
	struct record_key key;

	(void)state;
	config.basket_ttl_s = 1000;
	config.empty_basket_ttl_s = 100;
	for (size_t i = 0; i < COUNT_OF(lives); i++) {
		uint64_t end = lives[i].life_s > 0 ? NOW_S + lives[i].life_s : RECORD_NEVER;

		assert_int_equal(basket_make(store, &basket, 7, NULL, NOW_US), KV_OK);
		if (lives[i].lines)
			add(&basket, "a", 1);
		basket.status = (uint8_t)lives[i].status;
		save(&basket);
		assert_int_equal(basket.expires_s, end);
		assert_int_equal(basket_get(store, basket.id, end - 1, &other), KV_OK);
		if (end == RECORD_NEVER)
			continue;
		assert_int_equal(basket_get(store, basket.id, end, &other), KV_NOT_FOUND);
		assert_int_equal(basket_sweep_one(store, record_basket_key(&key, basket.id), end,
		                                  end, &swept), KV_OK);
		assert_true(swept.gone && swept.id == basket.id && swept.customer_id == 7);
		assert_int_equal(basket_delete(store, basket.id), KV_NOT_FOUND);
	}
}

/* The sweep comes by at the old time, and finds that the basket lives on. */
static void test_renewed_basket_is_filed_anew(void **state)
{
	struct basket_swept swept;
	struct record_key key;
	struct slice record = record_basket_key(&key, basket.id);

	(void)state;
	config.basket_ttl_s = 1000;
	add(&basket, "a", 1);
	save(&basket);
	assert_int_equal(basket_put(store, &config, &basket, false, NOW_US + 500 * 1000000), KV_OK);
	assert_int_equal(basket.due_s, NOW_S + 1000);
	assert_int_equal(basket.expires_s, NOW_S + 1500);
	assert_int_equal(basket_sweep_one(store, record, NOW_S + 1000, NOW_S + 1000, &swept),
	                 KV_OK);
	assert_false(swept.gone);
	assert_int_equal(basket_get(store, basket.id, NOW_S + 1000, &other), KV_OK);
	assert_int_equal(other.due_s, NOW_S + 1500);
	assert_int_equal(basket_sweep_one(store, record, NOW_S + 1500, NOW_S + 1500, &swept),
	                 KV_OK);
	assert_true(swept.gone);
}

static void test_renewal(void **state)
{
	(void)state;
	config.basket_ttl_s = 1000;
	add(&basket, "a", 1);
	save(&basket);
	assert_false(basket_renewal_due(&config, &basket, NOW_S));
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 99));
	assert_true(basket_renewal_due(&config, &basket, NOW_S + 100));
	basket.status = BASKET_MERGED;
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 500));
}

static void test_ids(void **state)
{
	uint64_t id = 0;

	(void)state;
	save(&basket);
	assert_int_equal(basket_make(store, &other, 7, NULL, NOW_US), KV_OK);
	assert_int_equal(other.id, basket.id + 1);
	save(&other);
	assert_int_equal(basket_delete(store, other.id), KV_OK);
	assert_int_equal(basket_make(store, &other, 7, NULL, NOW_US), KV_OK);
	assert_int_equal(other.id, basket.id + 2);      /* never given twice */
	assert_int_equal(basket_reserve_ids(store, 100, 200, 300), KV_OK);
	assert_int_equal(basket_reserve_ids(store, 50, 50, 50), KV_OK);
	assert_int_equal(basket_make(store, &other, 7, NULL, NOW_US), KV_OK);
	assert_int_equal(other.id, 101);
	assert_int_equal(add_option(&other, "a", "red"), BASKET_OK);
	assert_int_equal(other.lines[0].id, 201);
	assert_int_equal(other.options[0].id, 301);
	save(&other);
	assert_int_equal(basket_next_of(store, 7, &id), KV_OK);
	assert_int_equal(id, basket.id);
	assert_int_equal(basket_next_of(store, 7, &id), KV_OK);
	assert_int_equal(id, 101);
	assert_int_equal(basket_next_of(store, 7, &id), KV_NOT_FOUND);
}

static void test_versions(void **state)
{
	(void)state;
	add(&basket, "a", 1);
	save(&basket);
	assert_int_equal(basket.version, 1);
	assert_int_equal(basket.lines[0].version, 1);
	assert_int_equal(basket_put(store, &config, &basket, false, NOW_US), KV_OK);
	assert_int_equal(basket.version, 1);
	assert_int_equal(basket_set_quantity(&basket, 0, 2, &change), BASKET_OK);
	assert_int_equal(basket.lines[0].version, 2);
}

static void test_statuses(void **state)
{
	enum basket_status s;

	(void)state;
	for (unsigned i = 0; i < BASKET_STATUSES; i++) {
		const char *text = basket_status_text((enum basket_status)i);

		assert_true(basket_status_read(slice_of(text), &s) && s == i);
	}
	assert_false(basket_status_read(SLICE("open"), &s));
	assert_false(basket_status_read(SLICE(""), &s));
	assert_false(basket_status_read(SLICE("Opens"), &s));
	assert_string_equal(basket_status_text(BASKET_STATUSES), "unknown");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_add),
		TEST(test_stock_over_lines),
		TEST(test_too_many_lines),
		TEST(test_options_tell_lines_apart),
		TEST(test_bad_options),
		TEST(test_set_option),
		TEST(test_remove),
		TEST(test_closed),
		TEST(test_prices),
		TEST(test_totals),
		TEST(test_given_prices),
		TEST(test_merge),
		TEST(test_merge_moves_lines),
		TEST(test_merge_leaves_out),
		TEST(test_life),
		TEST(test_renewed_basket_is_filed_anew),
		TEST(test_renewal),
		TEST(test_ids),
		TEST(test_versions),
		TEST(test_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
