/* test_basket.c -- baskets: every rule of adding, changing, merging, pricing and expiring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "basket.h"
#include "store.h"

#define NOW_US UINT64_C(1763785535355068)
#define NOW_S  (NOW_US / 1000000)
#define NONE   UINT32_MAX
#define US(s)  ((uint64_t)(s) * 1000000)

static struct config config;
static struct basket basket, other;
static struct basket_left left;
static struct basket_change change;
static char many[RECORD_OPTION_MAX + 2];        /* of the letter `m` */
#define MANY(n) { many, (n) }

static const struct product_record products[] = {
	{ .id = { "a", 1 }, .price_e4 = 100000 },
	{ .id = { "b", 1 }, .price_e4 = 50, .tax_rate_e6 = 210000 },
	{ .id = { "c", 1 }, .price_e4 = 125050, .tax_rate_e6 = 87500,
	  .name = { "A cap", 5 }, .stockrecord = { "77", 2 }, .options = { "size,color", 10 } },
	{ .id = { "five", 4 }, .price_e4 = 10000, .stock = 5 },
	{ .id = { "three", 5 }, .price_e4 = 10000, .stock = 5, .max_quantity = 3 },
	{ .id = { "none", 4 }, .price_e4 = 10000, .stock = 0 },
	{ .id = { "unsold", 6 }, .price_e4 = -1 },
	{ .id = { "dollar", 6 }, .price_e4 = 10000, .currency = { "USD", 3 } },
	{ .id = { "gone", 4 }, .price_e4 = 10000 },
};

static void put_product(struct product_record r)
{
	enum kv_status status;

	if (r.currency.len == 0)
		r.currency = SLICE("EUR");
	if (r.max_quantity == 0)
		r.max_quantity = UINT32_MAX;
	if (r.stock == 0 && !slice_eq(r.id, SLICE("none")))
		r.stock = UINT32_MAX;
	assert_int_equal(product_put(store, &r, &status), PRODUCT_OK);
}

static int set_up(void **state)
{
	store_set_up(state);
	config_defaults(&config);
	memset(many, 'm', sizeof many);
	change = (struct basket_change){ .kv = store, .config = &config, .now_us = NOW_US };
	for (size_t i = 0; i < COUNT_OF(products); i++)
		put_product(products[i]);
	memset(&basket, 0xa5, sizeof basket);
	memset(&other, 0xa5, sizeof other);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	assert_int_equal(basket_make(store, &other, 7, NULL, NOW_US), KV_OK);
	return 0;
}

/* An item in words: `product+option=value+...@price-discount`, the price in ten-thousandths
 * and the discount in cents, with `$` behind it in USD. What it points to is static. */
static const struct basket_item *item_of(struct slice text)
{
	static struct basket_option options[8];
	static struct basket_price price;
	static struct basket_item item;
	struct slice given = text, head = slice_cut(&given, '@'), sum;
	uint64_t n = 0;

	item = (struct basket_item){ .product = slice_cut(&head, '+'), .options = options };
	while (slice_given(head)) {
		struct slice value = slice_cut(&head, '+'), option = slice_cut(&value, '=');

		options[item.option_count++] = (struct basket_option){ 0, option, value };
	}
	if (!slice_given(given))
		return &item;
	price = (struct basket_price){ .currency = SLICE("EUR") };
	if (given.ptr[given.len - 1] == '$') {
		given.len--;
		price.currency = SLICE("USD");
	}
	sum = slice_cut(&given, '-');
	assert_true(slice_uint(sum, UINT32_MAX, &n));
	price.price_e4 = (int64_t)n;
	if (slice_given(given)) {
		assert_true(slice_uint(given, UINT32_MAX, &n));
		price.discount_cents = (int64_t)n;
	}
	item.price = &price;
	return &item;
}

static enum basket_error add(struct basket *b, const char *item, int64_t quantity)
{
	uint32_t line;

	change.bound = 0;
	return basket_add(b, item_of(slice_of(item)), quantity, &change, &line);
}

/* Fills a basket: items in words with `:quantity`, blanks between them. */
static void fill(struct basket *b, const char *text)
{
	struct slice rest = slice_of(text);

	while (rest.len > 0) {
		struct slice quantity = slice_cut(&rest, ' '), item = slice_cut(&quantity, ':');
		uint64_t n = 0;
		uint32_t line;

		assert_true(slice_uint(quantity, UINT32_MAX, &n));
		assert_int_equal(basket_add(b, item_of(item), (int64_t)n, &change, &line),
		                 BASKET_OK);
	}
}

/* The lines of a basket in the same words. */
static const char *words_of(const struct basket *b)
{
	static char text[65536];
	struct buf out = { text, 0, sizeof text - 1, false };

	for (uint32_t i = 0; i < b->line_count; i++) {
		const struct basket_line *l = &b->lines[i];
		const struct basket_option *o = &b->options[l->first_option];

		buf_str(&out, i > 0 ? " " : "");
		buf_put(&out, l->product);
		for (uint32_t n = 0; n < l->option_count; n++) {
			buf_char(&out, '+');
			buf_put(&out, o[n].option);
			buf_char(&out, '=');
			buf_put(&out, o[n].value);
		}
		if (l->priced) {
			buf_char(&out, '@');
			buf_uint(&out, (uint64_t)l->price_e4);
		}
		if (l->discount_cents != 0) {
			buf_char(&out, '-');
			buf_uint(&out, (uint64_t)l->discount_cents);
		}
		buf_char(&out, ':');
		buf_uint(&out, l->quantity);
	}
	text[out.len] = '\0';
	return text;
}

static char before_bytes[RECORD_BASKET_MAX], after_bytes[RECORD_BASKET_MAX];

static struct slice bytes_of(const struct basket *b, char bytes[RECORD_BASKET_MAX])
{
	struct buf out = { bytes, 0, RECORD_BASKET_MAX, false };

	assert_true(record_basket_write(&out, b));
	return buf_slice(&out);
}

static void assert_same(const char *name, struct slice before, const struct basket *b)
{
	if (!slice_eq(before, bytes_of(b, after_bytes)))
		fail_msg("%s: the basket has changed to %s", name, words_of(b));
}

static void put(struct basket *b)
{
	assert_int_equal(basket_put(store, &config, b, true, NOW_US), KV_OK);
}

static void test_status_texts(void **state)
{
	static const char *const texts[] = { "Open", "Saved", "Frozen", "Submitted", "Merged" };
	static const char *const bad[] = { "", "open", "OPEN", "Ope", "Openn", "Closed", "0" };
	enum basket_status s = BASKET_STATUSES;

	(void)state;
	for (unsigned i = 0; i < BASKET_STATUSES; i++) {
		assert_string_equal(basket_status_text((enum basket_status)i), texts[i]);
		assert_true(basket_status_read(slice_of(texts[i]), &s));
		assert_int_equal(s, i);
	}
	assert_string_equal(basket_status_text(BASKET_STATUSES), "unknown");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(basket_status_read(slice_of(bad[i]), &s));
	assert_false(basket_status_read((struct slice){ 0 }, &s));
}

static void test_make(void **state)
{
	static const uint8_t guest[RECORD_SESSION_KEY_LEN] = "0123456789012345678";
	static const uint8_t zeroes[RECORD_SESSION_KEY_LEN];

	(void)state;
	memset(&basket, 0xa5, sizeof basket);
	assert_int_equal(basket_make(store, &basket, 0, guest, NOW_US), KV_OK);
	assert_int_equal(basket.id, 3);
	assert_int_equal(basket.customer_id, 0);
	assert_memory_equal(basket.guest, guest, sizeof guest);
	assert_int_equal(basket.status, BASKET_OPEN);
	assert_false(basket.carried);
	assert_int_equal(basket.version, 0);
	assert_int_equal(basket.created_us, NOW_US);
	assert_int_equal(basket.updated_us, NOW_US);
	assert_int_equal(basket.merged_us + basket.submitted_us, 0);
	assert_int_equal(basket.line_count + basket.option_count, 0);
	assert_int_equal(basket_make(store, &basket, 9, NULL, NOW_US), KV_OK);
	assert_int_equal(basket.id, 4);
	assert_int_equal(basket.customer_id, 9);
	assert_memory_equal(basket.guest, zeroes, sizeof zeroes);
	assert_int_equal(basket_get(store, 4, NOW_S, &other), KV_NOT_FOUND);    /* not put yet */
}

static void test_put_and_get(void **state)
{
	(void)state;
	fill(&basket, "a:1 b+size=L+colour=red:2 a@77-5:3");
	basket.carried = true;
	assert_int_equal(basket_put(store, &config, &basket, true, NOW_US + 5), KV_OK);
	assert_int_equal(basket.version, 1);
	assert_int_equal(basket.updated_us, NOW_US + 5);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_same("loaded", bytes_of(&basket, before_bytes), &other);
	assert_string_equal(words_of(&other), "a:1 b+size=L+colour=red:2 a@77-5:3");
	assert_int_equal(basket_put(store, &config, &other, false, NOW_US + 9), KV_OK);
	assert_int_equal(other.version, 1);
	assert_int_equal(other.updated_us, NOW_US + 5);
	assert_int_equal(basket_put(store, &config, &other, true, NOW_US + 9), KV_OK);
	assert_int_equal(other.version, 2);
	assert_int_equal(other.updated_us, NOW_US + 9);
	assert_int_equal(basket_get(store, 77, NOW_S, &other), KV_NOT_FOUND);
	assert_int_equal(basket_get(store, 0, NOW_S, &other), KV_NOT_FOUND);
}

static bool inside(const struct basket *b, struct slice s)
{
	return s.len == 0 || (s.ptr >= b->text && s.ptr + s.len <= b->text + sizeof b->text);
}

/* A request's memory, and that of a basket which was merged, may go once this one is put. */
static void test_put_owns_its_strings(void **state)
{
	(void)state;
	fill(&basket, "a+x=1:1 b+y=2:1");
	fill(&other, "a+z=3:1 c@50000-7:2");
	put(&basket);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	put(&basket);
	put(&other);
	memset(&basket, 0xa5, sizeof basket);
	assert_string_equal(words_of(&other), "a+x=1:1 b+y=2:1 a+z=3:1 c@50000-7:2");
	for (uint32_t i = 0; i < other.line_count; i++)
		assert_true(inside(&other, other.lines[i].product) &&
		            inside(&other, other.lines[i].name) &&
		            inside(&other, other.lines[i].currency));
	for (uint32_t i = 0; i < other.option_count; i++)
		assert_true(inside(&other, other.options[i].option) &&
		            inside(&other, other.options[i].value));
}

/* What is put meanwhile moves the pages that a slice of the store points to. */
static void test_loaded_strings_stay(void **state)
{
	(void)state;
	fill(&basket, "a+size=L:1 c@50000-7:2");
	put(&basket);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &basket), KV_OK);
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(basket_make(store, &other, i, NULL, NOW_US), KV_OK);
		other.line_count = other.option_count = 0;
		fill(&other, "b+colour=green:3");
		put(&other);
	}
	assert_int_equal(basket_delete(store, basket.id), KV_OK);
	assert_string_equal(words_of(&basket), "a+size=L:1 c@50000-7:2");
	put(&basket);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_string_equal(words_of(&other), "a+size=L:1 c@50000-7:2");
}

static void test_ids_are_never_given_twice(void **state)
{
	(void)state;
	fill(&basket, "a+x=1+y=2:1 b+z=3:1");
	assert_int_equal(basket.lines[0].id, 1);
	assert_int_equal(basket.lines[1].id, 2);
	assert_int_equal(basket.options[2].id, 3);
	put(&basket);
	assert_int_equal(basket_delete(store, basket.id), KV_OK);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	assert_int_equal(basket.id, 3);
	fill(&basket, "a+x=1:1");
	assert_int_equal(basket.lines[0].id, 3);
	assert_int_equal(basket.options[0].id, 4);
}

static void test_reserved_ids(void **state)
{
	struct basket_ids next;

	(void)state;
	assert_int_equal(basket_next_ids(store, &next), KV_OK);
	assert_true(next.basket == 3 && next.line == 1 && next.option == 1);
	assert_int_equal(basket_reserve_ids(store, 1, 100, 0), KV_OK);
	assert_int_equal(basket_next_ids(store, &next), KV_OK);
	assert_true(next.basket == 3 && next.line == 101 && next.option == 1);
	assert_int_equal(basket_reserve_ids(store, 41, 100, 200), KV_OK);
	assert_int_equal(basket_next_ids(store, &next), KV_OK);
	assert_true(next.basket == 42 && next.line == 101 && next.option == 201);
	assert_int_equal(basket_reserve_ids(store, INT64_MAX, 0, 0), KV_OK);
	assert_int_equal(basket_reserve_ids(store, 0, (uint64_t)INT64_MAX + 1, 0), KV_IO);
	assert_int_equal(basket_reserve_ids(store, 0, 0, UINT64_MAX), KV_IO);
	assert_int_equal(basket_next_ids(store, &next), KV_OK);
	assert_true(next.basket == (uint64_t)INT64_MAX + 1 && next.line == 101);
}

static void test_expiry(void **state)
{
	static const struct {
		enum basket_status status;
		const char *lines;
		uint32_t ttl_s, empty_ttl_s;
		uint64_t life_s;        /* 0: for ever */
	} cases[] = {
		{ BASKET_OPEN, "a:1", 0, 60, 0 },
		{ BASKET_OPEN, "a:1", 900, 60, 900 },
		{ BASKET_OPEN, "a:1", 30, 60, 30 },
		{ BASKET_OPEN, "", 0, 60, 60 },
		{ BASKET_OPEN, "", 900, 60, 60 },
		{ BASKET_SAVED, "a:1", 0, 60, 0 },
		{ BASKET_SAVED, "a:1", 900, 60, 900 },
		{ BASKET_SAVED, "", 900, 60, 60 },
		{ BASKET_FROZEN, "a:1", 900, 60, 0 },
		{ BASKET_FROZEN, "", 900, 60, 0 },
		{ BASKET_SUBMITTED, "a:1", 900, 60, 0 },
		{ BASKET_SUBMITTED, "", 900, 60, 0 },
		{ BASKET_MERGED, "", 0, 60, 60 },
		{ BASKET_MERGED, "", 900, 60, 60 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t end_s = cases[i].life_s > 0 ? NOW_S + cases[i].life_s : RECORD_NEVER;

		config.basket_ttl_s = cases[i].ttl_s;
		config.empty_basket_ttl_s = cases[i].empty_ttl_s;
		assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
		fill(&basket, cases[i].lines);
		basket.status = (uint8_t)cases[i].status;
		put(&basket);
		if (basket.expires_s != end_s)
			fail_msg("case %zu", i);
		assert_int_equal(basket_get(store, basket.id, end_s - 1, &other), KV_OK);
		if (cases[i].life_s == 0)
			continue;
		assert_int_equal(basket_get(store, basket.id, end_s, &other), KV_NOT_FOUND);
		assert_int_equal(basket_get(store, basket.id, end_s + 1, &other), KV_NOT_FOUND);
	}
}

static void test_renewals_are_few(void **state)
{
	uint32_t renewals = 0;

	(void)state;
	config.basket_ttl_s = 1000;
	fill(&basket, "a:1");
	put(&basket);
	assert_false(basket_renewal_due(&config, &basket, NOW_S));
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 99));
	assert_true(basket_renewal_due(&config, &basket, NOW_S + 100));
	for (uint64_t s = 0; s < 10000; s++) {
		if (!basket_renewal_due(&config, &basket, NOW_S + s))
			continue;
		assert_int_equal(basket_put(store, &config, &basket, false, US(NOW_S + s)), KV_OK);
		renewals++;
	}
	assert_int_equal(renewals, 99);
	assert_int_equal(basket.version, 1);

	config.basket_ttl_s = 0;        /* set anew: kept for ever from the next use on */
	assert_true(basket_renewal_due(&config, &basket, NOW_S));
	assert_int_equal(basket_put(store, &config, &basket, false, NOW_US), KV_OK);
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 1000000));
	basket.line_count = basket.option_count = 0;
	config.empty_basket_ttl_s = 5;
	assert_int_equal(basket_put(store, &config, &basket, false, NOW_US), KV_OK);
	assert_false(basket_renewal_due(&config, &basket, NOW_S));
	assert_true(basket_renewal_due(&config, &basket, NOW_S + 1));
	basket.status = BASKET_MERGED;          /* nobody uses it any more */
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 1));
	basket.status = BASKET_FROZEN;
	assert_int_equal(basket_put(store, &config, &basket, false, NOW_US), KV_OK);
	assert_false(basket_renewal_due(&config, &basket, NOW_S + 1000000));
}

static bool filed(uint64_t id, uint64_t due_s)
{
	struct record_key k, of;
	struct slice value;

	return kv_get(store, record_sweep_key(&k, due_s, record_basket_key(&of, id)), &value) ==
	       KV_OK;
}

static bool sweep(uint64_t id, uint64_t due_s, uint64_t now_s)
{
	struct basket_swept swept;
	struct record_key k;

	memset(&swept, 0xa5, sizeof swept);
	assert_int_equal(basket_sweep_one(store, record_basket_key(&k, id), due_s, now_s, &swept),
	                 KV_OK);
	if (swept.gone) {
		assert_int_equal(swept.id, id);
		assert_int_equal(swept.customer_id, basket.customer_id);
		assert_memory_equal(swept.guest, basket.guest, sizeof swept.guest);
	}
	return swept.gone;
}

static void test_sweep(void **state)
{
	uint64_t entries = store_entries(), end_s = NOW_S + 1000;

	(void)state;
	config.basket_ttl_s = 1000;
	memcpy(basket.guest, "01234567890123456789", sizeof basket.guest);
	fill(&basket, "a+size=L:1");
	put(&basket);
	assert_true(filed(basket.id, end_s));
	assert_int_equal(basket_put(store, &config, &basket, false, US(NOW_S + 500)), KV_OK);
	assert_true(filed(basket.id, end_s));           /* the entry stays put */
	assert_false(filed(basket.id, end_s + 500));
	assert_false(sweep(basket.id, end_s, end_s));   /* it lives on, and is filed anew */
	assert_false(filed(basket.id, end_s));
	assert_true(filed(basket.id, end_s + 500));
	assert_int_equal(basket_get(store, basket.id, end_s, &other), KV_OK);
	assert_string_equal(words_of(&other), "a+size=L:1");
	assert_int_equal(other.version, 1);
	assert_true(sweep(basket.id, end_s + 500, end_s + 500));
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_NOT_FOUND);
	assert_int_equal(store_entries(), entries + 2);         /* next_line, next_option */
}

static void test_sweep_follows_a_shorter_life(void **state)
{
	(void)state;
	config.empty_basket_ttl_s = 60;
	fill(&basket, "a:1");
	put(&basket);
	assert_int_equal(basket.due_s, RECORD_NEVER);
	assert_int_equal(basket_set_quantity(&basket, 0, 0, &change), BASKET_OK);
	put(&basket);
	assert_true(filed(basket.id, NOW_S + 60));
	fill(&basket, "a:1");
	put(&basket);                   /* it lives for ever again, and the sweep will see so */
	assert_int_equal(basket.expires_s, RECORD_NEVER);
	assert_true(filed(basket.id, NOW_S + 60));
	assert_false(sweep(basket.id, NOW_S + 60, NOW_S + 60));
	assert_false(filed(basket.id, NOW_S + 60));
	assert_int_equal(basket_get(store, basket.id, NOW_S + 60, &other), KV_OK);
	assert_int_equal(other.due_s, RECORD_NEVER);

	config.basket_ttl_s = 500;
	put(&other);
	assert_true(filed(other.id, NOW_S + 500));
	config.basket_ttl_s = 100;
	put(&other);
	assert_true(filed(other.id, NOW_S + 100));
	assert_false(filed(other.id, NOW_S + 500));
}

static void test_sweep_of_strays(void **state)
{
	struct basket_swept swept;
	struct record_key k, of;
	uint64_t id = basket.id;

	(void)state;
	config.basket_ttl_s = 1000;
	fill(&basket, "a:1");
	put(&basket);
	record_sweep_key(&k, 1, record_basket_key(&of, 4711));
	assert_int_equal(kv_put(store, slice_bytes(k.bytes, k.len), SLICE("")), KV_OK);
	record_sweep_key(&k, 2, record_basket_key(&of, id));
	assert_int_equal(kv_put(store, slice_bytes(k.bytes, k.len), SLICE("")), KV_OK);
	assert_false(sweep(4711, 1, NOW_S));            /* of a basket that is not there */
	assert_false(filed(4711, 1));
	assert_false(sweep(id, 2, NOW_S + 5000));       /* not the basket's own entry */
	assert_false(filed(id, 2));
	assert_int_equal(basket_get(store, id, NOW_S, &other), KV_OK);
	assert_int_equal(basket_sweep_one(store, SLICE("B123"), 3, NOW_S, &swept), KV_IO);
	assert_int_equal(basket_sweep_one(store, SLICE(""), 3, NOW_S, &swept), KV_IO);
	assert_false(swept.gone);

	assert_int_equal(kv_put(store, record_basket_key(&k, id), SLICE("B\1?")), KV_OK);
	store_hide_log();
	assert_false(sweep(id, NOW_S + 1000, NOW_S + 1000));
	assert_int_equal(store_show_log(), 1);
	assert_false(filed(id, NOW_S + 1000));          /* `check` tells of the record */
	assert_int_equal(basket_get(store, id, NOW_S, &other), KV_IO);
}

static void test_baskets_of_a_customer(void **state)
{
	uint64_t entries = store_entries(), id = 0;

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(basket_make(store, &basket, 7 + i / 3, NULL, NOW_US), KV_OK);
		basket.status = (uint8_t)(i % 3);
		put(&basket);
		put(&basket);
	}
	for (uint64_t want = 6; want < 9; want++) {
		assert_int_equal(basket_next_of(store, 8, &id), KV_OK);
		assert_int_equal(id, want);
	}
	assert_int_equal(basket_next_of(store, 8, &id), KV_NOT_FOUND);
	id = 0;
	assert_int_equal(basket_next_of(store, 6, &id), KV_NOT_FOUND);
	assert_int_equal(basket_next_of(store, 0, &id), KV_NOT_FOUND);

	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	put(&basket);
	assert_int_equal(basket_next_of(store, 0, &id), KV_NOT_FOUND);
	basket.customer_id = 6;         /* a guest's that becomes a customer's */
	put(&basket);
	assert_int_equal(basket_next_of(store, 6, &id), KV_OK);
	assert_int_equal(id, basket.id);
	for (uint64_t one = 3; one <= basket.id; one++)
		assert_int_equal(basket_delete(store, one), KV_OK);
	assert_int_equal(basket_delete(store, 3), KV_NOT_FOUND);
	assert_int_equal(store_entries(), entries);     /* every trace is gone */
}

static void test_walk(void **state)
{
	uint64_t id = 0;

	(void)state;
	assert_int_equal(basket_next(store, &id, &other), KV_NOT_FOUND);
	config.basket_ttl_s = 10;
	for (uint64_t want = 3; want < 8; want++) {
		assert_int_equal(basket_make(store, &basket, want % 2, NULL, NOW_US), KV_OK);
		put(&basket);
	}
	for (uint64_t want = 3; want < 8; want++) {     /* all of them are long expired */
		assert_int_equal(basket_next(store, &id, &other), KV_OK);
		assert_int_equal(id, want);
		assert_int_equal(other.id, want);
	}
	assert_int_equal(basket_next(store, &id, &other), KV_NOT_FOUND);
}

static const struct {
	const char *name, *has, *item;
	int64_t quantity;
	enum basket_error error;
	uint32_t bound;
	const char *then;       /* NULL: as before */
} adds[] = {
	{ "first", "", "a", 2, BASKET_OK, 0, "a:2" },
	{ "another", "a:2", "b", 1, BASKET_OK, 0, "a:2 b:1" },
	{ "the same adds up", "a:2 b:1", "a", 3, BASKET_OK, 0, "a:5 b:1" },
	{ "other options: a line of its own", "a+x=1:2", "a", 1, BASKET_OK, 0,
	  "a+x=1:2 a:1" },
	{ "other value", "a+x=1:2", "a+x=2", 1, BASKET_OK, 0, "a+x=1:2 a+x=2:1" },
	{ "same options", "a+x=1:2", "a+x=1", 1, BASKET_OK, 0, "a+x=1:3" },
	{ "same options in another order", "a+x=1+y=2:2", "a+y=2+x=1", 1, BASKET_OK, 0,
	  "a+x=1+y=2:3" },
	{ "values exchanged", "a+x=1+y=2:2", "a+x=2+y=1", 1, BASKET_OK, 0,
	  "a+x=1+y=2:2 a+x=2+y=1:1" },
	{ "the same option twice", "a+x=1+x=1:2", "a+x=1", 1, BASKET_OK, 0,
	  "a+x=1+x=1:2 a+x=1:1" },
	{ "as often, others", "a+x=1+x=1+y=1:2", "a+x=1+y=1+y=1", 1, BASKET_OK, 0,
	  "a+x=1+x=1+y=1:2 a+x=1+y=1+y=1:1" },
	{ "empty value", "a+x=:2", "a+x=", 1, BASKET_OK, 0, "a+x=:3" },
	{ "the first of two equal ones", "a:1 a@5:1 b:1", "a", 1, BASKET_OK, 0,
	  "a:2 a@5:1 b:1" },
	{ "largest", "", "a", 10000, BASKET_OK, 0, "a:10000" },

	{ "unknown", "a:1", "nowhere", 1, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "no id", "a:1", "", 1, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "no URL's id", "a:1", "a/b", 1, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "not for sale", "a:1", "unsold", 1, BASKET_UNAVAILABLE, 0, NULL },
	{ "no stock", "a:1", "none", 1, BASKET_NO_STOCK, 0, NULL },
	{ "all of the stock", "", "five", 5, BASKET_OK, 0, "five:5" },
	{ "over stock", "", "five", 6, BASKET_OVER_STOCK, 5, NULL },
	{ "over stock with what is there", "five:3", "five", 3, BASKET_OVER_STOCK, 5, NULL },
	{ "over stock over all lines", "five:3 five+x=1:1", "five+x=2", 2,
	  BASKET_OVER_STOCK, 5, NULL },
	{ "given prices count too", "five:3 five@9:1", "five+x=2", 2, BASKET_OVER_STOCK, 5,
	  NULL },
	{ "over max_quantity of the product", "three:3", "three", 1, BASKET_OVER_STOCK, 3,
	  NULL },
	{ "stock is told before max_quantity", "five:1", "five", 20000, BASKET_OVER_STOCK,
	  5, NULL },
	{ "over max_quantity", "", "a", 10001, BASKET_OVER_QUANTITY, 10000, NULL },
	{ "over max_quantity in all", "a:9000 b:999", "c", 2, BASKET_OVER_QUANTITY, 10000,
	  NULL },
	{ "up to max_quantity in all", "a:9000 b:999", "c", 1, BASKET_OK, 0,
	  "a:9000 b:999 c:1" },
	{ "absurd", "a:1", "a", INT64_MAX, BASKET_OVER_QUANTITY, 10000, NULL },
	{ "absurd, stock", "five:1", "five", INT64_MAX, BASKET_OVER_STOCK, 5, NULL },
	{ "2^32", "a:1", "a", INT64_C(1) << 32, BASKET_OVER_QUANTITY, 10000, NULL },
	{ "another currency", "a:1", "dollar", 1, BASKET_OTHER_CURRENCY, 0, NULL },
	{ "another currency, given", "a:1", "a@5$", 1, BASKET_OTHER_CURRENCY, 0, NULL },
	{ "any first currency", "", "dollar", 1, BASKET_OK, 0, "dollar:1" },
	{ "a given price's currency counts", "a@5$:1", "b", 1, BASKET_OTHER_CURRENCY, 0,
	  NULL },

	{ "0 of what is there", "a:1", "a", 0, BASKET_OK, 0, NULL },
	{ "0 of something new", "a:1", "b", 0, BASKET_OK, 0, NULL },
	{ "0 of what has no stock", "a:1", "none", 0, BASKET_OK, 0, NULL },
	{ "0 of something unknown", "a:1", "nowhere", 0, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "0 with a discount", "a@5-1:1", "a@5-9", 0, BASKET_OK, 0, NULL },
	{ "lowered", "a:3 b:1", "a", -1, BASKET_OK, 0, "a:2 b:1" },
	{ "lowered to 0", "a:3 b:1", "a", -3, BASKET_OK, 0, "b:1" },
	{ "lowered below 0", "a+x=1:3 b:1", "a+x=1", -4, BASKET_OK, 0, "b:1" },
	{ "lowered by 2^63", "a:3", "a", INT64_MIN, BASKET_OK, 0, "" },
	{ "lowered by 2^32", "a:3", "a", -(INT64_C(1) << 32), BASKET_OK, 0, "" },
	{ "a discount is not lowered by", "a@5-1:3", "a@5-9", -1, BASKET_OK, 0, "a@5-1:2" },
	{ "negative, not there", "a:3", "b", -1, BASKET_NEGATIVE, 0, NULL },
	{ "negative, other options", "a:3", "a+x=1", -1, BASKET_NEGATIVE, 0, NULL },
	{ "negative, empty basket", "", "a", -1, BASKET_NEGATIVE, 0, NULL },

	{ "a given price", "a:1", "a@70000-5", 2, BASKET_OK, 0, "a:1 a@70000-5:2" },
	{ "the same given price", "a@70000-5:1", "a@70000-7", 2, BASKET_OK, 0,
	  "a@70000-12:3" },
	{ "another given price", "a@70000:1", "a@70001", 1, BASKET_OK, 0,
	  "a@70000:1 a@70001:1" },
	{ "the book's price beside it", "a@70000:1", "a", 1, BASKET_OK, 0, "a@70000:1 a:1" },
	{ "given price 0", "", "a@0", 1, BASKET_OK, 0, "a@0:1" },
	{ "given, not in the book", "", "nowhere@5", 9, BASKET_OK, 0, "nowhere@5:9" },
	{ "given, no id", "", "@5", 1, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "given, no URL's id", "", "a/b@5", 1, BASKET_UNKNOWN_PRODUCT, 0, NULL },
	{ "given, not for sale by the book", "", "unsold@5", 1, BASKET_OK, 0, "unsold@5:1" },
	{ "given, stock holds", "", "five@5", 6, BASKET_OVER_STOCK, 5, NULL },
	{ "given, no stock", "", "none@5", 1, BASKET_NO_STOCK, 0, NULL },
	{ "given, max_quantity holds", "", "nowhere@5", 10001, BASKET_OVER_QUANTITY, 10000,
	  NULL },
};

static void test_add(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(adds); i++) {
		struct slice before;
		uint32_t lines;
		enum basket_error error;

		basket.line_count = basket.option_count = 0;
		fill(&basket, adds[i].has);
		before = bytes_of(&basket, before_bytes);
		lines = basket.line_count;
		error = add(&basket, adds[i].item, adds[i].quantity);
		if (error != adds[i].error || change.bound != adds[i].bound)
			fail_msg("%s: error %d, bound %u", adds[i].name, error, change.bound);
		if (adds[i].then == NULL)
			assert_same(adds[i].name, before, &basket);
		else if (strcmp(words_of(&basket), adds[i].then) != 0)
			fail_msg("%s: %s", adds[i].name, words_of(&basket));
		for (uint32_t n = lines; n < basket.line_count; n++)
			assert_int_equal(basket.lines[n].version, 1);
		bytes_of(&basket, after_bytes);         /* and it can be put */
	}
}

static void test_add_tells_the_line(void **state)
{
	uint32_t line = 0;

	(void)state;
	fill(&basket, "a:1 b:1 c:1");
	change.now_us = NOW_US + 9;
	assert_int_equal(basket_add(&basket, item_of(SLICE("b")), 1, &change, &line), BASKET_OK);
	assert_int_equal(line, 1);
	assert_int_equal(basket.lines[1].version, 2);
	assert_int_equal(basket.lines[1].created_us, NOW_US);
	assert_int_equal(basket.lines[1].updated_us, NOW_US + 9);
	assert_int_equal(basket.lines[0].version, 1);
	assert_int_equal(basket_add(&basket, item_of(SLICE("b+x=1")), 1, &change, &line),
	                 BASKET_OK);
	assert_int_equal(line, 3);
	assert_int_equal(basket.lines[3].created_us, NOW_US + 9);
	assert_int_equal(basket_add(&basket, item_of(SLICE("c")), 0, &change, &line), BASKET_OK);
	assert_int_equal(line, 2);
	assert_int_equal(basket_add(&basket, item_of(SLICE("c")), -1, &change, &line), BASKET_OK);
	assert_int_equal(line, NONE);
	assert_int_equal(basket_add(&basket, item_of(SLICE("c")), 0, &change, &line), BASKET_OK);
	assert_int_equal(line, NONE);
	line = 0;
	assert_int_equal(basket_add(&basket, item_of(SLICE("x")), 1, &change, &line),
	                 BASKET_UNKNOWN_PRODUCT);
	assert_int_equal(line, NONE);
}

/* Lowering and removing ask for nothing: the book may have changed meanwhile. */
static void test_lowering_is_always_allowed(void **state)
{
	(void)state;
	fill(&basket, "gone:5 five:5");
	assert_int_equal(product_delete(store, SLICE("gone")), KV_OK);
	put_product((struct product_record){ .id = SLICE("five"), .price_e4 = 1, .stock = 2 });
	config.max_quantity = 3;
	assert_int_equal(add(&basket, "gone", 1), BASKET_UNKNOWN_PRODUCT);
	assert_int_equal(add(&basket, "five", 1), BASKET_OVER_STOCK);
	assert_int_equal(basket_set_quantity(&basket, 0, 6, &change), BASKET_UNKNOWN_PRODUCT);
	assert_int_equal(basket_set_quantity(&basket, 1, 6, &change), BASKET_OVER_STOCK);
	assert_int_equal(add(&basket, "gone", -1), BASKET_OK);
	assert_int_equal(add(&basket, "five", -1), BASKET_OK);
	assert_int_equal(basket_set_quantity(&basket, 0, 3, &change), BASKET_OK);
	assert_int_equal(basket_set_quantity(&basket, 1, 3, &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "gone:3 five:3");
	assert_int_equal(basket_remove(&basket, 0, &change), BASKET_OK);
	assert_int_equal(add(&basket, "five", -9), BASKET_OK);
	assert_string_equal(words_of(&basket), "");
}

static void test_set_quantity(void **state)
{
	static const struct {
		const char *name, *has;
		uint32_t line, quantity;
		enum basket_error error;
		uint32_t bound;
		const char *then;
	} cases[] = {
		{ "more", "a:1 b:1", 0, 5, BASKET_OK, 0, "a:5 b:1" },
		{ "less", "a:5 b:1", 0, 1, BASKET_OK, 0, "a:1 b:1" },
		{ "the same", "a:5", 0, 5, BASKET_OK, 0, NULL },
		{ "0 removes", "a+x=1:5 b+y=2:1 c:1", 0, 0, BASKET_OK, 0, "b+y=2:1 c:1" },
		{ "0 removes the last", "a:5", 0, 0, BASKET_OK, 0, "" },
		{ "no such line", "a:5", 1, 1, BASKET_UNKNOWN_LINE, 0, NULL },
		{ "no line at all", "", 0, 0, BASKET_UNKNOWN_LINE, 0, NULL },
		{ "no line ever", "a:5", NONE, 1, BASKET_UNKNOWN_LINE, 0, NULL },
		{ "over stock", "five:5", 0, 6, BASKET_OVER_STOCK, 5, NULL },
		{ "up to the stock", "five:1", 0, 5, BASKET_OK, 0, "five:5" },
		{ "stock over all lines", "five:2 five+x=1:2", 0, 4, BASKET_OVER_STOCK, 5, NULL },
		{ "up to it", "five:2 five+x=1:2", 0, 3, BASKET_OK, 0, "five:3 five+x=1:2" },
		{ "over max_quantity", "a:1", 0, 10001, BASKET_OVER_QUANTITY, 10000, NULL },
		{ "over it in all", "a:1 b:5000", 0, 5001, BASKET_OVER_QUANTITY, 10000, NULL },
		{ "up to it in all", "a:1 b:5000", 0, 5000, BASKET_OK, 0, "a:5000 b:5000" },
		{ "absurd", "a:1", 0, UINT32_MAX, BASKET_OVER_QUANTITY, 10000, NULL },
		{ "a given price", "five@5:1 nowhere@5:1", 1, 9, BASKET_OK, 0,
		  "five@5:1 nowhere@5:9" },
		{ "a given price, stock holds", "five@5:1", 0, 6, BASKET_OVER_STOCK, 5, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice before;
		enum basket_error error;

		basket.line_count = basket.option_count = 0;
		fill(&basket, cases[i].has);
		before = bytes_of(&basket, before_bytes);
		change.bound = 0;
		error = basket_set_quantity(&basket, cases[i].line, cases[i].quantity, &change);
		if (error != cases[i].error || change.bound != cases[i].bound)
			fail_msg("%s: error %d, bound %u", cases[i].name, error, change.bound);
		if (cases[i].then == NULL)
			assert_same(cases[i].name, before, &basket);
		else if (strcmp(words_of(&basket), cases[i].then) != 0)
			fail_msg("%s: %s", cases[i].name, words_of(&basket));
		if (cases[i].then != NULL && cases[i].quantity > 0)
			assert_int_equal(basket.lines[cases[i].line].version, 2);
	}
	fill(&basket, "a:1");
	put_product((struct product_record){ .id = SLICE("a"), .price_e4 = -1 });
	assert_int_equal(basket_set_quantity(&basket, basket.line_count - 1, 2, &change),
	                 BASKET_UNAVAILABLE);
}

static void test_remove(void **state)
{
	uint32_t line;

	(void)state;
	fill(&basket, "a+x=1+y=2:1 b:2 c+z=3:3 a+w=4:4");
	assert_true(basket_find_line(&basket, basket.lines[2].id, &line));
	assert_int_equal(line, 2);
	assert_false(basket_find_line(&basket, 4711, &line));
	assert_int_equal(basket_remove(&basket, 0, &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "b:2 c+z=3:3 a+w=4:4");
	assert_int_equal(basket_remove(&basket, 1, &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "b:2 a+w=4:4");
	assert_int_equal(basket_remove(&basket, 2, &change), BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_remove(&basket, 1, &change), BASKET_OK);
	assert_int_equal(basket_remove(&basket, 0, &change), BASKET_OK);
	assert_int_equal(basket_remove(&basket, 0, &change), BASKET_UNKNOWN_LINE);
	assert_int_equal(basket.option_count, 0);
	put(&basket);
}

static void test_set_price(void **state)
{
	struct basket_price price = { 70000, 12, SLICE("Special"), SLICE("EUR") };
	const struct basket_price dollars = { 70000, 0, SLICE(""), SLICE("USD") };

	(void)state;
	fill(&basket, "a:1 gone@5:1 b:1");
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "a@70000-12:1 gone@5:1 b:1");
	assert_true(slice_eq(basket.lines[0].name, SLICE("Special")));
	assert_int_equal(basket.lines[0].version, 2);
	assert_int_equal(basket_set_price(&basket, 0, &dollars, &change), BASKET_OTHER_CURRENCY);
	assert_int_equal(basket_set_price(&basket, 3, &price, &change), BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_price(&basket, NONE, &price, &change), BASKET_UNKNOWN_LINE);
	price.price_e4 = -1;
	assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_BAD_ITEM);
	assert_string_equal(words_of(&basket), "a@70000-12:1 gone@5:1 b:1");
	assert_int_equal(basket_set_price(&basket, 0, NULL, &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "a:1 gone@5:1 b:1");
	assert_int_equal(basket.lines[0].version, 3);
	assert_int_equal(product_delete(store, SLICE("gone")), KV_OK);
	assert_int_equal(basket_set_price(&basket, 1, NULL, &change), BASKET_UNKNOWN_PRODUCT);
	fill(&basket, "unsold@5:1");
	assert_int_equal(basket_set_price(&basket, 3, NULL, &change), BASKET_UNAVAILABLE);
	assert_string_equal(words_of(&basket), "a:1 gone@5:1 b:1 unsold@5:1");
	put(&basket);

	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	fill(&basket, "a:1");
	assert_int_equal(basket_set_price(&basket, 0, &dollars, &change), BASKET_OK);
	fill(&basket, "dollar:1");      /* the only line may take any currency */
	assert_int_equal(basket_set_price(&basket, 0, NULL, &change), BASKET_OTHER_CURRENCY);
	assert_string_equal(words_of(&basket), "a@70000:1 dollar:1");
}

static void test_set_option(void **state)
{
	(void)state;
	fill(&basket, "a+x=1+y=2:1 a+x=3+y=2:1 b:1 c+z=9:1");
	assert_int_equal(basket_set_option(&basket, 1, 2, SLICE("1"), &change), BASKET_OK);
	assert_string_equal(words_of(&basket), "a+x=1+y=2:1 a+x=1+y=2:1 b:1 c+z=9:1");
	assert_int_equal(basket.lines[1].version, 2);
	assert_int_equal(basket.lines[0].version, 1);
	assert_int_equal(basket_set_option(&basket, 3, 4, SLICE(""), &change), BASKET_OK);
	assert_int_equal(basket_set_option(&basket, 0, 2, SLICE("7"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 1, 1, SLICE("7"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 2, 4, SLICE("7"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 0, NONE, SLICE("7"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 4, 0, SLICE("7"), &change),
	                 BASKET_UNKNOWN_LINE);
	assert_int_equal(basket_set_option(&basket, 0, 0,
	                                   (struct slice)MANY(RECORD_OPTION_MAX + 1), &change),
	                 BASKET_BAD_ITEM);
	assert_int_equal(basket_set_option(&basket, 0, 0, SLICE("a\nb"), &change),
	                 BASKET_BAD_ITEM);
	assert_string_equal(words_of(&basket), "a+x=1+y=2:1 a+x=1+y=2:1 b:1 c+z=:1");
	put(&basket);
}

/* As OCAPI has it: the price book's options alone, and a line of their own. */
static void test_known_options(void **state)
{
	static const struct {
		const char *item;
		enum basket_error error;
	} cases[] = {
		{ "c", BASKET_OK },
		{ "c+size=1", BASKET_OK },
		{ "c+color=x+size=1", BASKET_OK },
		{ "c+color=", BASKET_OK },
		{ "c+colo=1", BASKET_UNKNOWN_OPTION },
		{ "c+size,color=1", BASKET_UNKNOWN_OPTION },
		{ "c+,=1", BASKET_UNKNOWN_OPTION },
		{ "c+color=1+size=2+color=1", BASKET_UNKNOWN_OPTION },
		{ "a+color=1", BASKET_UNKNOWN_OPTION },
		{ "nowhere+color=1", BASKET_UNKNOWN_PRODUCT },
		{ "nowhere+color=1@5", BASKET_UNKNOWN_OPTION },
		{ "unsold+color=1", BASKET_UNAVAILABLE },
	};
	struct basket_item item;
	uint32_t line;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		item = *item_of(slice_of(cases[i].item));
		item.known_options = true;
		basket.line_count = basket.option_count = 0;
		if (basket_add(&basket, &item, 1, &change, &line) != cases[i].error)
			fail_msg("%s", cases[i].item);
		assert_int_equal(basket.line_count, cases[i].error == BASKET_OK);
	}
}

static void test_own_line(void **state)
{
	struct basket_item item = *item_of(SLICE("c+size=1"));
	uint32_t line = NONE;

	(void)state;
	item.own_line = true;
	fill(&basket, "c+size=1:1 five:4");
	assert_int_equal(basket_add(&basket, &item, 2, &change, &line), BASKET_OK);
	assert_int_equal(line, 2);
	assert_string_equal(words_of(&basket), "c+size=1:1 five:4 c+size=1:2");
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	item = *item_of(SLICE("five"));
	item.own_line = true;
	assert_int_equal(basket_add(&basket, &item, 2, &change, &line), BASKET_OVER_STOCK);
	assert_int_equal(basket_add(&basket, &item, -1, &change, &line), BASKET_NEGATIVE);
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	assert_string_equal(words_of(&basket), "c+size=1:1 five:4 c+size=1:2 c+size=1:1 five:1");
	put(&basket);
}

static void test_email(void **state)
{
	static const char address[] = "ada@example.com";
	char text[] = "ada@example.com";

	(void)state;
	assert_int_equal(basket_set_email(&basket, SLICE(""), &change), BASKET_BAD_ITEM);
	assert_int_equal(basket_set_email(&basket, SLICE("a\nb"), &change), BASKET_BAD_ITEM);
	assert_int_equal(basket_set_email(&basket, SLICE("\xff"), &change), BASKET_BAD_ITEM);
	assert_int_equal(basket_set_email(&basket, (struct slice)MANY(RECORD_TEXT_MAX + 1),
	                                  &change), BASKET_BAD_ITEM);
	assert_int_equal(basket.email.len, 0);
	assert_int_equal(basket_set_email(&basket, slice_of(text), &change), BASKET_OK);
	put(&basket);
	memset(text, 'x', sizeof text - 1);             /* it owns the address then */
	assert_true(slice_eq(basket.email, slice_of(address)));
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_true(slice_eq(other.email, slice_of(address)));
}

static void test_email_goes_along(void **state)
{
	(void)state;
	fill(&basket, "a:1");
	assert_int_equal(basket_set_email(&basket, SLICE("guest@x"), &change), BASKET_OK);
	put(&basket);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_true(slice_eq(other.email, SLICE("guest@x")));
	assert_int_equal(basket.email.len, 0);
	put(&basket);           /* the one that is merged first: as its caller may */
	put(&other);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	assert_int_equal(basket_set_email(&basket, SLICE("other@x"), &change), BASKET_OK);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_true(slice_eq(other.email, SLICE("guest@x")));
	assert_int_equal(basket.email.len, 0);
}

static void test_currency(void **state)
{
	(void)state;
	assert_int_equal(basket_set_currency(&basket, SLICE("eur"), &change), BASKET_BAD_ITEM);
	assert_int_equal(basket_set_currency(&basket, SLICE(""), &change), BASKET_BAD_ITEM);
	assert_int_equal(basket_set_currency(&basket, SLICE("USD"), &change), BASKET_OK);
	assert_int_equal(add(&basket, "a", 1), BASKET_OTHER_CURRENCY);
	assert_int_equal(add(&basket, "a@5", 1), BASKET_OTHER_CURRENCY);
	assert_int_equal(basket_set_currency(&basket, SLICE("EUR"), &change), BASKET_OK);
	assert_int_equal(add(&basket, "dollar", 1), BASKET_OTHER_CURRENCY);
	assert_int_equal(add(&basket, "a", 1), BASKET_OK);
	assert_int_equal(basket_set_currency(&basket, SLICE("USD"), &change),
	                 BASKET_OTHER_CURRENCY);
	assert_true(slice_eq(basket.currency, SLICE("EUR")));
	assert_int_equal(basket_set_currency(&basket, SLICE("EUR"), &change), BASKET_OK);
	put(&basket);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_true(slice_eq(other.currency, SLICE("EUR")));
	assert_int_equal(basket_remove(&other, 0, &change), BASKET_OK);
	assert_int_equal(add(&other, "dollar", 1), BASKET_OTHER_CURRENCY);      /* it stays */
}

static void test_bad_items(void **state)
{
	const struct {
		const char *name;
		struct basket_option option;
		struct basket_price price;
	} cases[] = {
		{ "no option", { 0, SLICE(""), { 0 } }, { 0 } },
		{ "option too long", { 0, MANY(RECORD_OPTION_MAX + 1), { 0 } }, { 0 } },
		{ "option's control", { 0, SLICE("a\0"), { 0 } }, { 0 } },
		{ "option no UTF-8", { 0, SLICE("\xc3"), { 0 } }, { 0 } },
		{ "value too long", { 0, SLICE("o"), MANY(RECORD_OPTION_MAX + 1) }, { 0 } },
		{ "value no UTF-8", { 0, SLICE("o"), SLICE("\xff") }, { 0 } },
		{ "value's control", { 0, SLICE("o"), SLICE("\x1b[2J") }, { 0 } },
		{ "price -1", { 0 }, { .price_e4 = -1 } },
		{ "price too high", { 0 }, { .price_e4 = MONEY_PRICE_MAX_E4 + 1 } },
		{ "discount -1", { 0 }, { .discount_cents = -1 } },
		{ "discount too high", { 0 }, { .discount_cents = MONEY_CENTS_MAX + 1 } },
		{ "name too long", { 0 }, { .name = MANY(RECORD_TEXT_MAX + 1) } },
		{ "name's control", { 0 }, { .name = SLICE("\t") } },
		{ "no currency", { 0 }, { .currency = SLICE("") } },
		{ "small currency", { 0 }, { .currency = SLICE("eur") } },
	};
	uint32_t line;

	(void)state;
	fill(&basket, "a:1");
	bytes_of(&basket, before_bytes);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct basket_option option = cases[i].option;
		struct basket_price price = cases[i].price;
		const struct basket_item item = {
			.product = SLICE("a"), .options = &option, .option_count = 1,
			.price = &price,
		};

		if (!slice_given(option.option))
			option.option = SLICE("o");
		if (!slice_given(price.currency))
			price.currency = SLICE("EUR");
		for (int64_t quantity = -1; quantity < 2; quantity++)
			if (basket_add(&basket, &item, quantity, &change, &line) != BASKET_BAD_ITEM)
				fail_msg("%s is taken", cases[i].name);
		assert_int_equal(basket.line_count, 1);
	}
}

static void test_discounts_have_a_bound(void **state)
{
	const struct basket_price price = { 1, MONEY_CENTS_MAX, SLICE(""), SLICE("EUR") };
	const struct basket_item item = { .product = SLICE("a"), .price = &price };
	uint32_t line;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	assert_true(basket.lines[0].discount_cents == MONEY_CENTS_MAX);
	put(&basket);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_true(other.lines[0].discount_cents == MONEY_CENTS_MAX);
	put(&other);
}

static void test_too_many_lines(void **state)
{
	struct basket_option options[BASKET_OPTIONS_MAX + 1];
	struct basket_item item = { .product = SLICE("a"), .options = options };
	char value[16];
	uint32_t line;

	(void)state;
	config.max_lines = 3;
	fill(&basket, "a:1 b:1 c:1");
	assert_int_equal(add(&basket, "a+x=1", 1), BASKET_TOO_MANY_LINES);
	assert_int_equal(add(&basket, "a", 1), BASKET_OK);
	assert_string_equal(words_of(&basket), "a:2 b:1 c:1");
	config.max_lines = 2;           /* lowered: nothing new, but what is there stays */
	assert_int_equal(add(&basket, "a+x=1", 1), BASKET_TOO_MANY_LINES);
	assert_int_equal(add(&basket, "b", 1), BASKET_OK);
	assert_int_equal(add(&basket, "c", -1), BASKET_OK);
	assert_int_equal(add(&basket, "c", 1), BASKET_TOO_MANY_LINES);

	config.max_lines = BASKET_LINES_MAX;
	for (uint32_t i = 0; i <= BASKET_OPTIONS_MAX; i++)
		options[i] = (struct basket_option){ 0, SLICE("o"), SLICE("v") };
	for (item.option_count = BASKET_OPTIONS_MAX - 1; item.option_count < 1002;
	     item.option_count += 2)
		assert_int_equal(basket_add(&basket, &item, 1, &change, &line),
		                 item.option_count == 999 ? BASKET_OK : BASKET_TOO_MANY_LINES);
	item.option_count = 2;
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_TOO_MANY_LINES);
	item.option_count = 1;
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	assert_int_equal(basket.option_count, BASKET_OPTIONS_MAX);
	put(&basket);

	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	for (uint32_t i = 0; i < BASKET_LINES_MAX; i++) {
		snprintf(value, sizeof value, "%u", i % BASKET_OPTIONS_MAX);
		options[0].value = slice_of(value);
		item.option_count = 1;
		/* `value` is another by the next round: what is loaded has strings of its own. */
		assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
		put(&basket);
		assert_int_equal(basket_get(store, basket.id, NOW_S, &basket), KV_OK);
	}
	assert_int_equal(basket.line_count, BASKET_LINES_MAX);
	item.option_count = 0;
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_TOO_MANY_LINES);
}

/* Lines with the longest texts fill the record before there are too many of them. */
static void fill_record(struct basket *b)
{
	const struct basket_option longest = {
		0, MANY(RECORD_OPTION_MAX), MANY(RECORD_OPTION_MAX),
	};
	struct basket_option shorter = { 0, SLICE("o"), SLICE("") };
	struct basket_price price = { 0, 0, MANY(RECORD_TEXT_MAX), SLICE("EUR") };
	const struct basket_item large = {
		.product = SLICE("a"), .options = &longest, .option_count = 1, .price = &price,
	};
	const struct basket_item small = {
		.product = SLICE("a"), .options = &shorter, .option_count = 1,
	};
	enum basket_error error;
	uint32_t line;

	for (error = BASKET_OK; error == BASKET_OK; price.price_e4++)
		error = basket_add(b, &large, 1, &change, &line);
	assert_int_equal(error, BASKET_TOO_MANY_LINES);
	assert_int_equal(line, NONE);
	assert_true(b->line_count > 250 && b->line_count < 400);
	for (error = BASKET_OK; error == BASKET_OK; ) {
		shorter.value = (struct slice)MANY(shorter.value.len + 1);
		error = basket_add(b, &small, 1, &change, &line);
	}
	assert_int_equal(error, BASKET_TOO_MANY_LINES);
}

static void test_email_in_a_full_record(void **state)
{
	(void)state;
	fill_record(&basket);
	basket_set_email(&basket, SLICE("a"), &change);
	assert_int_equal(basket_set_email(&basket, (struct slice)MANY(RECORD_TEXT_MAX), &change),
	                 BASKET_TOO_MANY_LINES);
	assert_int_equal(basket.email.len, 1);
	put(&basket);
	for (uint32_t last = basket.option_count - 1;;) {
		struct slice value = basket.options[last].value;

		value = (struct slice){ many, value.len + 1 };
		if (basket_set_option(&basket, basket.line_count - 1, last, value, &change) !=
		    BASKET_OK)
			break;
	}
	assert_int_equal(basket_set_currency(&basket, SLICE("EUR"), &change),
	                 BASKET_TOO_MANY_LINES);
	assert_int_equal(basket.currency.len, 0);
}

static void test_record_full(void **state)
{
	const struct basket_price price = { 1, 0, MANY(RECORD_TEXT_MAX), SLICE("EUR") };
	struct slice value = MANY(1);
	uint32_t last;
	enum basket_error error;

	(void)state;
	fill_record(&basket);
	put(&basket);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &other), KV_OK);
	assert_same("loaded", bytes_of(&basket, before_bytes), &other);

	last = basket.line_count - 1;
	for (error = BASKET_OK; error == BASKET_OK; value.len++)
		error = basket_set_option(&basket, last, basket.option_count - 1, value, &change);
	assert_int_equal(error, BASKET_TOO_MANY_LINES);
	assert_int_equal(record_basket_bytes(&basket), RECORD_BASKET_MAX);
	put(&basket);
	assert_int_equal(basket_set_price(&basket, last, &price, &change), BASKET_TOO_MANY_LINES);
	assert_false(basket.lines[last].priced);
	put(&basket);
	assert_int_equal(basket_set_price(&basket, 0, NULL, &change), BASKET_OK);
	assert_int_equal(basket_set_price(&basket, last, &price, &change), BASKET_OK);
	put(&basket);

	basket.lines[last].product = (struct slice)MANY(RECORD_PRODUCT_ID_MAX);
	assert_true(record_basket_bytes(&basket) > RECORD_BASKET_MAX);
	assert_int_equal(basket_put(store, &config, &basket, true, NOW_US), KV_FULL);
}

static void test_closed(void **state)
{
	static const enum basket_status closed[] = {
		BASKET_FROZEN, BASKET_SUBMITTED, BASKET_MERGED,
	};
	const struct basket_price price = { 1, 0, SLICE(""), SLICE("EUR") };

	(void)state;
	fill(&basket, "a+x=1:2");
	for (size_t i = 0; i < COUNT_OF(closed); i++) {
		struct slice before;

		basket.status = (uint8_t)closed[i];
		before = bytes_of(&basket, before_bytes);
		for (int64_t quantity = -1; quantity < 2; quantity++) {
			assert_int_equal(add(&basket, "a+x=1", quantity), BASKET_CLOSED);
			assert_int_equal(add(&basket, "b", quantity), BASKET_CLOSED);
		}
		for (uint32_t quantity = 0; quantity < 4; quantity++)
			assert_int_equal(basket_set_quantity(&basket, 0, quantity, &change),
			                 BASKET_CLOSED);
		assert_int_equal(basket_remove(&basket, 0, &change), BASKET_CLOSED);
		assert_int_equal(basket_set_price(&basket, 0, &price, &change), BASKET_CLOSED);
		assert_int_equal(basket_set_price(&basket, 0, NULL, &change), BASKET_CLOSED);
		assert_int_equal(basket_set_option(&basket, 0, 0, SLICE("2"), &change),
		                 BASKET_CLOSED);
		assert_int_equal(basket_set_email(&basket, SLICE("a"), &change), BASKET_CLOSED);
		assert_int_equal(basket_set_currency(&basket, SLICE("EUR"), &change),
		                 BASKET_CLOSED);
		assert_same(basket_status_text(closed[i]), before, &basket);
	}
	basket.status = BASKET_SAVED;
	assert_int_equal(add(&basket, "b", 1), BASKET_OK);
	assert_int_equal(basket_set_quantity(&basket, 0, 9, &change), BASKET_OK);
}

static const struct {
	const char *name;
	enum config_basket_merge how;
	const char *into, *from, *then, *left;
} merges[] = {
	{ "nothing into nothing", BASKET_MERGE_SUM, "", "", "", "" },
	{ "into nothing", BASKET_MERGE_SUM, "", "a:1 b+x=1:2", "a:1 b+x=1:2", "" },
	{ "nothing", BASKET_MERGE_SUM, "a:1", "", "a:1", "" },
	{ "other lines", BASKET_MERGE_SUM, "a:1", "b:2 c:3", "a:1 b:2 c:3", "" },
	{ "sum", BASKET_MERGE_SUM, "a:1 b:5", "b:2 a:3", "a:4 b:7", "" },
	{ "max", BASKET_MERGE_MAX, "a:1 b:5 c:1", "b:2 a:3 five:1", "a:3 b:5 c:1 five:1",
	  "" },
	{ "keep", BASKET_MERGE_KEEP, "a:1 b:5", "b:2 a:3 c:1", "a:1 b:5 c:1", "" },
	{ "options in another order", BASKET_MERGE_SUM, "a+x=1+y=2:1", "a+y=2+x=1:2",
	  "a+x=1+y=2:3", "" },
	{ "other options move", BASKET_MERGE_SUM, "a+x=1:1 b:1", "a+x=2:2 a:3",
	  "a+x=1:1 b:1 a+x=2:2 a:3", "" },
	{ "keep moves other options too", BASKET_MERGE_KEEP, "a+x=1:1", "a+x=2:2",
	  "a+x=1:1 a+x=2:2", "" },
	{ "given prices move", BASKET_MERGE_SUM, "a:1", "a@5-3:2", "a:1 a@5-3:2", "" },
	{ "given prices, sum", BASKET_MERGE_SUM, "a@5-3:1", "a@5-4:2", "a@5-7:3", "" },
	{ "given prices, max", BASKET_MERGE_MAX, "a@5-3:1", "a@5-4:2", "a@5-4:2", "" },
	{ "given prices, max of into", BASKET_MERGE_MAX, "a@5-3:2", "a@5-4:1", "a@5-3:2",
	  "" },
	{ "given prices, keep", BASKET_MERGE_KEEP, "a@5-3:1", "a@5-4:2", "a@5-3:1", "" },
	{ "another given price", BASKET_MERGE_MAX, "a@5:1", "a@6:2", "a@5:1 a@6:2", "" },
	{ "stock", BASKET_MERGE_SUM, "five:3", "five:4", "five:5", "five=7/5" },
	{ "stock, max", BASKET_MERGE_MAX, "five:3", "five:5", "five:5", "" },
	{ "stock of another line", BASKET_MERGE_SUM, "five:3", "five+x=1:4",
	  "five:3 five+x=1:2", "five+x=1=4/2" },
	{ "no stock left", BASKET_MERGE_SUM, "five:5 a:1", "five+x=1:4 a:1", "five:5 a:2",
	  "five+x=1=4/0" },
	{ "max_quantity of a product", BASKET_MERGE_SUM, "three:2", "a:1 three:2",
	  "three:3 a:1", "three=4/3" },
	{ "max_quantity", BASKET_MERGE_SUM, "a:9000", "b:900 a:900", "a:9100 b:900",
	  "a=9900/9100" },
	{ "max_quantity is used up", BASKET_MERGE_SUM, "a:10000", "a:1 b:1", "a:10000",
	  "a=10001/10000 b=1/0" },
	{ "another currency", BASKET_MERGE_SUM, "a:1", "dollar:2", "a:1", "dollar=2/0" },
	{ "another currency, given", BASKET_MERGE_SUM, "dollar:1", "dollar@5$:1",
	  "dollar:1 dollar@5:1", "" },
	{ "another one, given", BASKET_MERGE_SUM, "dollar:1", "a@5:2", "dollar:1",
	  "a=2/0" },
	{ "any currency into nothing", BASKET_MERGE_SUM, "", "dollar:2", "dollar:2", "" },
	{ "not in the book, given", BASKET_MERGE_SUM, "x@5:1", "x@5:2 y@5:3",
	  "x@5:3 y@5:3", "" },
};

static void test_merge(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(merges); i++) {
		char told[256];
		struct buf out = { told, 0, sizeof told - 1, false };

		config.basket_merge = merges[i].how;
		other.line_count = other.option_count = 0;
		basket.line_count = basket.option_count = 0;
		basket.status = i % 2 == 0 ? BASKET_OPEN : BASKET_SAVED;
		fill(&other, merges[i].into);
		fill(&basket, merges[i].from);
		change.now_us = NOW_US + 77;
		assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
		if (strcmp(words_of(&other), merges[i].then) != 0)
			fail_msg("%s: %s", merges[i].name, words_of(&other));
		for (uint32_t n = 0; n < left.count; n++) {
			buf_str(&out, n > 0 ? " " : "");
			buf_put(&out, left.of[n].product);
			buf_str(&out, strstr(merges[i].left, "+x=1=") != NULL ? "+x=1=" : "=");
			buf_uint(&out, left.of[n].asked);
			buf_char(&out, '/');
			buf_uint(&out, left.of[n].kept);
		}
		told[out.len] = '\0';
		if (strcmp(told, merges[i].left) != 0)
			fail_msg("%s: left out %s", merges[i].name, told);
		assert_int_equal(basket.status, BASKET_MERGED);
		assert_int_equal(basket.merged_us, NOW_US + 77);
		assert_int_equal(basket.line_count + basket.option_count, 0);
		assert_int_equal(other.status, BASKET_OPEN);
		bytes_of(&other, after_bytes);
		bytes_of(&basket, after_bytes);
	}
}

/* Lines keep their ids and stand by them, wherever they came from. */
static void test_merge_keeps_ids(void **state)
{
	(void)state;
	fill(&basket, "a+x=1+y=2:1");           /* line 1, options 1 and 2 */
	fill(&other, "b+z=3:1");                /* line 2, option 3 */
	fill(&basket, "c+w=4:1");               /* line 3, option 4 */
	fill(&other, "a+v=5:1");                /* line 4, option 5 */
	put(&basket);
	put(&other);
	assert_int_equal(basket_get(store, basket.id, NOW_S, &basket), KV_OK);
	assert_int_equal(basket_get(store, other.id, NOW_S, &other), KV_OK);
	change.now_us = NOW_US + 9;
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "a+x=1+y=2:1 b+z=3:1 c+w=4:1 a+v=5:1");
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(other.lines[i].id, i + 1);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(other.options[i].id, i + 1);
	assert_int_equal(other.lines[0].version, 2);    /* its URL is another now */
	assert_int_equal(other.lines[0].created_us, NOW_US);
	assert_int_equal(other.lines[0].updated_us, NOW_US + 9);
	assert_int_equal(other.lines[1].version, 1);
	put(&basket);           /* in any order: neither's strings are in the store */
	put(&other);
	assert_int_equal(basket_get(store, other.id, NOW_S, &other), KV_OK);
	assert_string_equal(words_of(&other), "a+x=1+y=2:1 b+z=3:1 c+w=4:1 a+v=5:1");
	assert_int_equal(basket_get(store, basket.id, NOW_S, &basket), KV_OK);
	assert_int_equal(basket.line_count, 0);
}

static void test_merge_with_too_many_lines(void **state)
{
	char text[64];

	(void)state;
	config.max_lines = 2;
	fill(&other, "a:1");
	fill(&basket, "b:2 a:3");
	config.max_lines = 500;
	fill(&basket, "c:4");
	config.max_lines = 2;
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "a:4 b:2");
	assert_int_equal(left.count, 1);
	memset(&basket, 0xa5, sizeof basket);
	assert_true(slice_eq(left.of[0].product, SLICE("c")));
	assert_int_equal(left.of[0].asked, 4);
	assert_int_equal(left.of[0].kept, 0);

	config.max_lines = 500;         /* more than the table tells */
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	for (unsigned i = 0; i < BASKET_LEFT_MAX + 3; i++) {
		snprintf(text, sizeof text, "a@%u:1", i);
		fill(&basket, text);
	}
	config.max_lines = 4;
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_int_equal(other.line_count, 4);
	assert_int_equal(left.count, BASKET_LEFT_MAX + 1);
	assert_int_equal(left.of[BASKET_LEFT_MAX - 1].asked, 1);
	assert_int_equal(left.of[BASKET_LEFT_MAX - 1].kept, 0);
}

/* Equal lines of one basket, each a line of its own when it was added: those of `from` become one,
 * and the first of into's grows. Two currencies, since the book changed: the first one counts. */
static void test_merge_of_repeated_lines(void **state)
{
	struct basket_item item = *item_of(SLICE("b"));
	uint32_t line;

	(void)state;
	item.own_line = true;
	for (int64_t quantity = 1; quantity <= 3; quantity++)
		assert_int_equal(basket_add(&basket, &item, quantity, &change, &line), BASKET_OK);
	assert_string_equal(words_of(&basket), "b:1 b:2 b:3");
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "b:6");

	assert_int_equal(basket_add(&other, &item, 1, &change, &line), BASKET_OK);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	fill(&basket, "b:4");
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "b:10 b:1");

	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	fill(&basket, "a:1 b:1 c:1");
	put_product((struct product_record){ .id = SLICE("b"), .price_e4 = 1,
	                                     .currency = SLICE("USD") });
	other.line_count = 0;
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "a:1 c:1");
	assert_int_equal(left.count, 1);
}

static void test_merge_of_full_records(void **state)
{
	struct basket_option options[600];
	struct basket_item item = {
		.product = SLICE("a"), .options = options, .option_count = 600,
	};
	uint32_t line;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		options[i] = (struct basket_option){ 0, SLICE("o"), SLICE("v") };
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	item.option_count = 500;
	assert_int_equal(basket_add(&other, &item, 1, &change, &line), BASKET_OK);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_int_equal(other.option_count, 500);      /* 1,100 options are too many */
	assert_int_equal(left.count, 1);

	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	other.line_count = other.option_count = 0;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		options[i] = (struct basket_option){ 0, MANY(RECORD_OPTION_MAX), SLICE("v") };
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OK);
	for (size_t i = 0; i < COUNT_OF(options); i++)
		options[i].value = (struct slice)MANY(RECORD_OPTION_MAX);
	item.option_count = 400;
	assert_int_equal(basket_add(&other, &item, 1, &change, &line), BASKET_OK);
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_int_equal(other.line_count, 1);          /* more bytes than a record has */
	assert_int_equal(left.count, 1);
	put(&other);
}

/* What the book no longer sells is in nobody's way: it moves, and its price is unknown. */
static void test_merge_after_the_book_changed(void **state)
{
	(void)state;
	fill(&basket, "gone:2 a:1 five:4 b:1");
	fill(&other, "five+x=1:5 b:1");
	assert_int_equal(product_delete(store, SLICE("gone")), KV_OK);
	put_product((struct product_record){ .id = SLICE("a"), .price_e4 = -1 });
	put_product((struct product_record){ .id = SLICE("five"), .price_e4 = 1, .stock = 3 });
	config.max_quantity = 9;
	assert_int_equal(basket_merge(&other, &basket, &change, &left), KV_OK);
	assert_string_equal(words_of(&other), "gone:2 a:1 five+x=1:5 b:1");
	assert_int_equal(left.count, 2);
	assert_int_equal(left.of[0].asked, 4);          /* nothing is left for a second line */
	assert_int_equal(left.of[0].kept, 0);
	assert_int_equal(left.of[1].asked, 2);          /* max_quantity is used up */
	assert_int_equal(left.of[1].kept, 1);
}

static struct basket_line_price price_of(struct basket *b, uint32_t line)
{
	struct basket_line_price p;

	memset(&p, 0xa5, sizeof p);
	assert_int_equal(basket_line_price(store, &b->lines[line], &p), KV_OK);
	return p;
}

static void test_line_prices(void **state)
{
	static const struct {
		const char *line;
		int64_t unit_e4;
		int64_t excl_cents, tax_cents, full_excl_cents, full_tax_cents;
	} cases[] = {
		{ "a:5", 100000, 5000, 0, 5000, 0 },
		{ "b:1", 50, 1, 0, 1, 0 },              /* 0.005 is 0.01; 21 % of it 0.0021 */
		{ "b:3", 50, 2, 0, 2, 0 },              /* 0.015: rounded once a line */
		{ "b:5", 50, 3, 1, 3, 1 },              /* 0.025 is 0.03; 0.63 of a cent */
		{ "c:2", 125050, 2501, 219, 2501, 219 },        /* 218.84 */
		{ "c@100000-100:3", 100000, 2900, 254, 3000, 263 },     /* 253.75, 262.5 */
		{ "c@100000-3000:3", 100000, 0, 0, 3000, 263 },
		{ "c@100000-9999:3", 100000, 0, 0, 3000, 263 }, /* never below 0 */
		{ "c@0:3", 0, 0, 0, 0, 0 },
		{ "nowhere@123456:10", 123456, 12346, 0, 12346, 0 },
		{ "unsold@10000:1", 10000, 100, 0, 100, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct basket_line_price p;

		basket.line_count = basket.option_count = 0;
		fill(&basket, cases[i].line);
		p = price_of(&basket, 0);
		if (!p.known || p.unit_e4 != cases[i].unit_e4 ||
		    p.excl_cents != cases[i].excl_cents || p.tax_cents != cases[i].tax_cents ||
		    p.full_excl_cents != cases[i].full_excl_cents ||
		    p.full_tax_cents != cases[i].full_tax_cents)
			fail_msg("%s: %lld + %lld of %lld + %lld", cases[i].line,
			         (long long)p.excl_cents, (long long)p.tax_cents,
			         (long long)p.full_excl_cents, (long long)p.full_tax_cents);
		assert_true(slice_eq(p.currency, SLICE("EUR")));
	}
}

static void test_line_price_texts(void **state)
{
	const struct basket_price named = { 1, 0, SLICE("Special"), SLICE("EUR") };
	struct basket_line_price p;

	(void)state;
	fill(&basket, "c:1 c@5:1 a:1 gone:1 nowhere@5:1");
	p = price_of(&basket, 0);
	assert_true(slice_eq(p.name, SLICE("A cap")));
	assert_true(slice_eq(p.stockrecord, SLICE("77")));
	assert_int_equal(p.tax_rate_e6, 87500);
	p = price_of(&basket, 1);
	assert_true(slice_eq(p.name, SLICE("A cap")));
	assert_int_equal(p.tax_rate_e6, 87500);
	assert_int_equal(basket_set_price(&basket, 1, &named, &change), BASKET_OK);
	assert_true(slice_eq(price_of(&basket, 1).name, SLICE("Special")));
	p = price_of(&basket, 2);
	assert_int_equal(p.name.len, 0);
	assert_true(slice_eq(p.stockrecord, SLICE("a")));
	p = price_of(&basket, 4);
	assert_true(p.known);
	assert_true(slice_eq(p.stockrecord, SLICE("nowhere")));
	assert_int_equal(product_delete(store, SLICE("gone")), KV_OK);
	p = price_of(&basket, 3);
	assert_false(p.known);
	assert_int_equal(p.unit_e4 + p.excl_cents + p.tax_cents + p.full_excl_cents +
	                 p.full_tax_cents, 0);
	assert_true(slice_eq(p.stockrecord, SLICE("gone")));
	assert_int_equal(p.currency.len, 0);
	put_product((struct product_record){ .id = SLICE("gone"), .price_e4 = -1 });
	p = price_of(&basket, 3);
	assert_false(p.known);
	assert_int_equal(p.unit_e4 + p.excl_cents, 0);
}

static void test_totals(void **state)
{
	struct basket_totals t;

	(void)state;
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_false(t.tax_known);
	assert_false(slice_given(t.currency));
	assert_int_equal(t.excl_cents + t.tax_cents + t.full_excl_cents + t.full_tax_cents, 0);

	fill(&basket, "a:1 b:5 c@100000-100:3 gone:1");
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_true(t.tax_known);
	assert_true(slice_eq(t.currency, SLICE("EUR")));
	assert_int_equal(t.excl_cents, 1000 + 3 + 2900 + 100);
	assert_int_equal(t.tax_cents, 0 + 1 + 254);
	assert_int_equal(t.full_excl_cents, 1000 + 3 + 3000 + 100);
	assert_int_equal(t.full_tax_cents, 0 + 1 + 263);

	assert_int_equal(product_delete(store, SLICE("gone")), KV_OK);
	put_product((struct product_record){ .id = SLICE("b"), .price_e4 = 50,
	                                     .currency = SLICE("USD") });
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_false(t.tax_known);      /* one price is gone, one is in another currency now */
	assert_true(slice_eq(t.currency, SLICE("EUR")));
	assert_int_equal(t.excl_cents, 1000 + 2900);
	assert_int_equal(t.full_excl_cents, 1000 + 3000);
	assert_int_equal(t.full_tax_cents, 263);

	assert_int_equal(product_delete(store, SLICE("a")), KV_OK);
	assert_int_equal(basket_remove(&basket, 2, &change), BASKET_OK);
	assert_int_equal(basket_remove(&basket, 1, &change), BASKET_OK);
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_false(t.tax_known);
	assert_false(slice_given(t.currency));
}

static void test_largest_totals(void **state)
{
	const struct basket_price price = { MONEY_PRICE_MAX_E4, 0, SLICE(""), SLICE("EUR") };
	struct basket_item item = { .product = SLICE("dear"), .price = &price };
	struct basket_totals t;
	uint32_t line;

	(void)state;
	put_product((struct product_record){ .id = SLICE("dear"), .price_e4 = MONEY_PRICE_MAX_E4,
	                                     .tax_rate_e6 = MONEY_RATE_MAX_E6 });
	config.max_quantity = MONEY_QUANTITY_MAX;
	assert_int_equal(basket_add(&basket, &item, MONEY_QUANTITY_MAX / 2, &change, &line),
	                 BASKET_OK);
	item.price = NULL;
	assert_int_equal(basket_add(&basket, &item, MONEY_QUANTITY_MAX / 2, &change, &line),
	                 BASKET_OK);
	assert_int_equal(basket_add(&basket, &item, 1, &change, &line), BASKET_OVER_QUANTITY);
	assert_int_equal(basket_totals(store, &basket, &t), KV_OK);
	assert_true(t.excl_cents == MONEY_CENTS_MAX);
	assert_true(t.tax_cents == 10 * MONEY_CENTS_MAX);
	put(&basket);
}

/* A front begins every change; the writer must be the one who ends it. */
static void test_needs_a_batch(void **state)
{
	uint32_t line;

	(void)state;
	fill(&basket, "a:1");
	put(&basket);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	change.kv = store;
	assert_int_equal(basket_get(store, basket.id, NOW_S, &basket), KV_OK);
	assert_int_equal(add(&basket, "a", 1), BASKET_OK);              /* in memory alone */
	assert_int_equal(add(&basket, "five", 6), BASKET_OVER_STOCK);   /* judged before a put */
	assert_int_equal(basket_add(&basket, item_of(SLICE("b+x=1")), 1, &change, &line),
	                 BASKET_STORE);
	assert_int_equal(change.status, KV_READONLY);
	assert_int_equal(line, NONE);
	assert_string_equal(words_of(&basket), "a:2");
	assert_int_equal(basket_put(store, &config, &basket, true, NOW_US), KV_READONLY);
	assert_int_equal(basket_make(store, &other, 0, NULL, NOW_US), KV_READONLY);
	assert_int_equal(basket_delete(store, basket.id), KV_READONLY);
	assert_int_equal(basket_reserve_ids(store, 100, 0, 0), KV_READONLY);
}

static void test_damage(void **state)
{
	static char long_record[RECORD_BASKET_MAX + 1];
	struct basket_left none;
	struct basket_totals t;
	struct record_key k;
	uint64_t id = 0;
	uint32_t line;

	(void)state;
	fill(&basket, "a:1 b:1");
	fill(&other, "c:1");
	assert_int_equal(kv_put(store, record_basket_key(&k, 50), SLICE("B\1?")), KV_OK);
	assert_int_equal(basket_get(store, 50, NOW_S, &basket), KV_IO);
	assert_int_equal(basket_delete(store, 50), KV_IO);
	assert_int_equal(basket_next(store, &id, &basket), KV_IO);
	memcpy(long_record, "B\1", 2);
	assert_int_equal(kv_put(store, record_basket_key(&k, 50),
	                        (struct slice){ long_record, sizeof long_record }), KV_OK);
	assert_int_equal(basket_get(store, 50, NOW_S, &basket), KV_IO);

	assert_int_equal(kv_put(store, record_product_key(&k, SLICE("c")), SLICE("P\1?")), KV_OK);
	assert_int_equal(basket_add(&other, item_of(SLICE("c")), 1, &change, &line), BASKET_STORE);
	assert_int_equal(change.status, KV_IO);
	assert_int_equal(add(&other, "a", 1), BASKET_STORE);    /* whose currency is unknown now */
	assert_int_equal(basket_set_quantity(&other, 0, 2, &change), BASKET_STORE);
	assert_int_equal(basket_set_price(&other, 0, NULL, &change), BASKET_STORE);
	assert_int_equal(basket_totals(store, &other, &t), KV_IO);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_OK);
	fill(&basket, "a:1");
	assert_int_equal(basket_merge(&basket, &other, &change, &none), KV_IO);
	assert_string_equal(words_of(&other), "c:1");

	assert_int_equal(kv_put(store, record_meta_key(&k, "next_option"), SLICE("?")), KV_OK);
	assert_int_equal(add(&basket, "b+x=1", 1), BASKET_STORE);
	assert_string_equal(words_of(&basket), "a:1");
	assert_int_equal(kv_put(store, record_meta_key(&k, "next_basket"), SLICE("?")), KV_OK);
	assert_int_equal(basket_make(store, &basket, 0, NULL, NOW_US), KV_IO);
	assert_int_equal(basket_reserve_ids(store, 1, 1, 1), KV_IO);
	basket.lines[0].quantity = 0;   /* what no record may hold */
	basket.line_count = 1;
	assert_int_equal(basket_put(store, &config, &basket, true, NOW_US), KV_IO);
}

#define IN_A_BATCH(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_texts),
		IN_A_BATCH(test_known_options),
		IN_A_BATCH(test_own_line),
		IN_A_BATCH(test_email),
		IN_A_BATCH(test_email_in_a_full_record),
		IN_A_BATCH(test_email_goes_along),
		IN_A_BATCH(test_currency),
		IN_A_BATCH(test_make),
		IN_A_BATCH(test_put_and_get),
		IN_A_BATCH(test_put_owns_its_strings),
		IN_A_BATCH(test_loaded_strings_stay),
		IN_A_BATCH(test_ids_are_never_given_twice),
		IN_A_BATCH(test_reserved_ids),
		IN_A_BATCH(test_expiry),
		IN_A_BATCH(test_renewals_are_few),
		IN_A_BATCH(test_sweep),
		IN_A_BATCH(test_sweep_follows_a_shorter_life),
		IN_A_BATCH(test_sweep_of_strays),
		IN_A_BATCH(test_baskets_of_a_customer),
		IN_A_BATCH(test_walk),
		IN_A_BATCH(test_add),
		IN_A_BATCH(test_add_tells_the_line),
		IN_A_BATCH(test_lowering_is_always_allowed),
		IN_A_BATCH(test_set_quantity),
		IN_A_BATCH(test_remove),
		IN_A_BATCH(test_set_price),
		IN_A_BATCH(test_set_option),
		IN_A_BATCH(test_bad_items),
		IN_A_BATCH(test_discounts_have_a_bound),
		IN_A_BATCH(test_too_many_lines),
		IN_A_BATCH(test_record_full),
		IN_A_BATCH(test_closed),
		IN_A_BATCH(test_merge),
		IN_A_BATCH(test_merge_keeps_ids),
		IN_A_BATCH(test_merge_with_too_many_lines),
		IN_A_BATCH(test_merge_of_repeated_lines),
		IN_A_BATCH(test_merge_of_full_records),
		IN_A_BATCH(test_merge_after_the_book_changed),
		IN_A_BATCH(test_line_prices),
		IN_A_BATCH(test_line_price_texts),
		IN_A_BATCH(test_totals),
		IN_A_BATCH(test_largest_totals),
		IN_A_BATCH(test_needs_a_batch),
		IN_A_BATCH(test_damage),
	};

	return cmocka_run_group_tests_name("basket", tests, NULL, NULL);
}
