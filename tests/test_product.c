/* test_product.c -- the price book: what it takes, how it is walked, how its number counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "guard.h"
#include "product.h"
#include "store.h"

static char many[2048];         /* of the letter `m` */
#define MANY(n) { many, (n) }

static int set_up(void **state)
{
	memset(many, 'm', sizeof many);
	return store_set_up(state);
}

/* What a case leaves out is good. */
static enum product_error put(struct product_record r)
{
	enum kv_status status;
	enum product_error error;

	if (!slice_given(r.id))
		r.id = SLICE("1");
	if (!slice_given(r.currency))
		r.currency = SLICE("EUR");
	if (r.max_quantity == 0)
		r.max_quantity = UINT32_MAX;
	error = product_put(store, &r, &status);
	assert_int_equal(status, KV_OK);
	return error;
}

static uint64_t book(void)
{
	uint64_t number = 42;

	assert_int_equal(product_book(store, &number), KV_OK);
	return number;
}

static void test_error_texts(void **state)
{
	(void)state;
	for (int i = PRODUCT_OK; i <= PRODUCT_STORE; i++) {
		assert_true(strlen(product_error_text((enum product_error)i)) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(product_error_text((enum product_error)i),
			                        product_error_text((enum product_error)j));
	}
	assert_string_equal(product_error_text((enum product_error)(PRODUCT_STORE + 1)), "unknown");
	assert_string_equal(product_error_text((enum product_error)-1), "unknown");
}

static void test_ids(void **state)
{
	static const struct slice good[] = {
		{ "1", 1 }, { "701642811398M", 13 }, { "a-b_c.d~e", 9 }, { "...", 3 }, { ".a", 2 },
		{ "-", 1 }, { "AZaz09", 6 }, MANY(RECORD_PRODUCT_ID_MAX),
	};
	static const struct slice bad[] = {
		{ NULL, 0 }, { "", 0 }, { ".", 1 }, { "..", 2 }, { "a b", 3 }, { "a/b", 3 },
		{ "a%2f", 4 }, { "a?", 2 }, { "a#", 2 }, { "a,b", 3 }, { "a:b", 3 }, { "a\0", 2 },
		{ "a\n", 2 }, { "\x7f", 1 }, { "caf\xc3\xa9", 5 }, { "@", 1 }, { "[", 1 },
		{ "`", 1 }, { "{", 1 }, MANY(RECORD_PRODUCT_ID_MAX + 1), MANY(sizeof many),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		if (!product_id_valid(guarded(good[i])))
			fail_msg("good id %zu is refused", i);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (product_id_valid(guarded(bad[i])))
			fail_msg("bad id %zu is taken", i);
}

static void test_put_and_get(void **state)
{
	struct product_record r = {
		.price_e4 = 433400, .updated_us = 1763785535355068, .tax_rate_e6 = 210000,
		.stock = 7, .max_quantity = 20, .id = SLICE("701642811398M"),
		.name = SLICE("Caf\xc3\xa9"), .currency = SLICE("EUR"), .stockrecord = SLICE("12"),
		.options = SLICE("size,colour"),
	}, got;

	(void)state;
	assert_int_equal(product_get(store, r.id, &got), KV_NOT_FOUND);
	assert_int_equal(put(r), PRODUCT_OK);
	assert_int_equal(product_get(store, r.id, &got), KV_OK);
	assert_int_equal(got.price_e4, r.price_e4);
	assert_int_equal(got.updated_us, r.updated_us);
	assert_int_equal(got.tax_rate_e6, r.tax_rate_e6);
	assert_int_equal(got.stock, 7);
	assert_int_equal(got.max_quantity, 20);
	assert_true(slice_eq(got.id, r.id));
	assert_true(slice_eq(got.name, r.name));
	assert_true(slice_eq(got.currency, r.currency));
	assert_true(slice_eq(got.stockrecord, r.stockrecord));
	assert_true(slice_eq(got.options, r.options));
	assert_int_equal(product_get(store, SLICE("701642811398"), &got), KV_NOT_FOUND);
	assert_int_equal(product_get(store, SLICE("701642811398m"), &got), KV_NOT_FOUND);
	assert_int_equal(product_get(store, SLICE(""), &got), KV_NOT_FOUND);
	assert_int_equal(product_get(store, (struct slice)MANY(sizeof many), &got), KV_NOT_FOUND);

	r.price_e4 = -1;
	r.currency = r.name = r.options = r.stockrecord = SLICE("");
	assert_int_equal(put(r), PRODUCT_OK);           /* the newer one stands alone */
	assert_int_equal(product_get(store, r.id, &got), KV_OK);
	assert_true(got.price_e4 == -1);
	assert_int_equal(got.currency.len + got.name.len + got.options.len, 0);
	assert_int_equal(store_entries(), 2);           /* it and the book's number */
}

static void test_what_is_refused(void **state)
{
	const struct {
		enum product_error error;
		struct product_record r;
	} cases[] = {
		{ PRODUCT_OK, { .price_e4 = 0 } },
		{ PRODUCT_OK, { .price_e4 = MONEY_PRICE_MAX_E4 } },
		{ PRODUCT_OK, { .price_e4 = -1 } },
		{ PRODUCT_OK, { .price_e4 = -1, .currency = SLICE("") } },
		{ PRODUCT_OK, { .tax_rate_e6 = MONEY_RATE_MAX_E6 } },
		{ PRODUCT_OK, { .stock = 0, .max_quantity = 1 } },
		{ PRODUCT_OK, { .stock = UINT32_MAX, .max_quantity = UINT32_MAX } },
		{ PRODUCT_OK, { .name = MANY(RECORD_TEXT_MAX) } },
		{ PRODUCT_OK, { .stockrecord = MANY(RECORD_PRODUCT_ID_MAX) } },
		{ PRODUCT_OK, { .options = SLICE("a") } },
		{ PRODUCT_OK, { .options = SLICE("a,b,caf\xc3\xa9 au lait") } },
		{ PRODUCT_OK, { .options = MANY(RECORD_OPTION_MAX) } },
		{ PRODUCT_ID_BAD, { .id = SLICE("") } },
		{ PRODUCT_ID_BAD, { .id = SLICE("a b") } },
		{ PRODUCT_ID_BAD, { .id = SLICE("..") } },
		{ PRODUCT_ID_BAD, { .id = MANY(RECORD_PRODUCT_ID_MAX + 1) } },
		{ PRODUCT_ID_BAD, { .stockrecord = SLICE("a/b") } },
		{ PRODUCT_ID_BAD, { .stockrecord = MANY(RECORD_PRODUCT_ID_MAX + 1) } },
		{ PRODUCT_NAME_BAD, { .name = MANY(RECORD_TEXT_MAX + 1) } },
		{ PRODUCT_NAME_BAD, { .name = SLICE("a\nb") } },
		{ PRODUCT_NAME_BAD, { .name = SLICE("\xff") } },
		{ PRODUCT_PRICE_BAD, { .price_e4 = -2 } },
		{ PRODUCT_PRICE_BAD, { .price_e4 = MONEY_PRICE_MAX_E4 + 1 } },
		{ PRODUCT_PRICE_BAD, { .price_e4 = INT64_MIN } },
		{ PRODUCT_PRICE_BAD, { .price_e4 = INT64_MAX } },
		{ PRODUCT_CURRENCY_BAD, { .currency = SLICE("") } },
		{ PRODUCT_CURRENCY_BAD, { .currency = SLICE("eur") } },
		{ PRODUCT_CURRENCY_BAD, { .currency = SLICE("EURO") } },
		{ PRODUCT_CURRENCY_BAD, { .price_e4 = -1, .currency = SLICE("E") } },
		{ PRODUCT_RATE_BAD, { .tax_rate_e6 = MONEY_RATE_MAX_E6 + 1 } },
		{ PRODUCT_RATE_BAD, { .tax_rate_e6 = UINT32_MAX } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE(",") } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE("a,") } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE(",a") } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE("a,,b") } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE("a\tb") } },
		{ PRODUCT_OPTIONS_BAD, { .options = SLICE("\xc3") } },
		{ PRODUCT_OPTIONS_BAD, { .options = MANY(RECORD_OPTION_MAX + 1) } },
	};
	struct product_record got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t before = book();
		enum product_error error = put(cases[i].r);

		if (error != cases[i].error)
			fail_msg("case %zu: %s", i, product_error_text(error));
		assert_int_equal(book(), before + (error == PRODUCT_OK));
		if (error == PRODUCT_OK)
			assert_int_equal(product_delete(store, SLICE("1")), KV_OK);
		assert_int_equal(product_get(store, SLICE("1"), &got), KV_NOT_FOUND);
	}
}

static void test_limits_together(void **state)
{
	char text[RECORD_OPTIONS_MAX + 2];
	struct product_record r = { .id = SLICE("1"), .currency = SLICE("EUR"), .max_quantity = 1 };
	enum kv_status status;

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 2 == 0 ? 'o' : ',';
	r.options = (struct slice){ text, RECORD_OPTIONS_MAX - 1 };
	assert_int_equal(product_put(store, &r, &status), PRODUCT_OK);
	r.options.len += 2;
	assert_int_equal(product_put(store, &r, &status), PRODUCT_OPTIONS_BAD);
	r.options.len = 0;
	r.max_quantity = 0;
	assert_int_equal(product_put(store, &r, &status), PRODUCT_LIMIT_BAD);
	assert_int_equal(status, KV_OK);
}

static void test_book_counts_every_change(void **state)
{
	(void)state;
	assert_int_equal(book(), 0);
	assert_int_equal(put((struct product_record){ .id = SLICE("a") }), PRODUCT_OK);
	assert_int_equal(book(), 1);
	assert_int_equal(put((struct product_record){ .id = SLICE("a") }), PRODUCT_OK);
	assert_int_equal(book(), 2);
	assert_int_equal(put((struct product_record){ .id = SLICE("b") }), PRODUCT_OK);
	assert_int_equal(book(), 3);
	assert_int_equal(product_delete(store, SLICE("c")), KV_NOT_FOUND);
	assert_int_equal(product_delete(store, SLICE("")), KV_NOT_FOUND);
	assert_int_equal(book(), 3);
	assert_int_equal(product_delete(store, SLICE("a")), KV_OK);
	assert_int_equal(book(), 4);
	assert_int_equal(product_delete(store, SLICE("a")), KV_NOT_FOUND);
	assert_int_equal(product_delete(store, SLICE("b")), KV_OK);
	assert_int_equal(book(), 5);
	assert_int_equal(store_entries(), 1);           /* the number outlives the products */
}

static void test_walk(void **state)
{
	static const char *const put_in[] = { "cap", "10", "9", "010", "2", "Cap", "100" };
	static const char *const found[] = { "2", "9", "10", "100", "010", "Cap", "cap" };
	struct record_key after = { .len = 0 };
	struct product_record r;

	(void)state;
	assert_int_equal(product_next(store, &after, &r), KV_NOT_FOUND);
	for (size_t i = 0; i < COUNT_OF(put_in); i++)
		assert_int_equal(put((struct product_record){ .id = slice_of(put_in[i]) }),
		                 PRODUCT_OK);
	for (size_t i = 0; i < COUNT_OF(found); i++) {
		assert_int_equal(product_next(store, &after, &r), KV_OK);
		if (!slice_eq(r.id, slice_of(found[i])))
			fail_msg("%.*s stands where %s should", (int)r.id.len, r.id.ptr, found[i]);
		if (i == 2)             /* what goes meanwhile disturbs nobody */
			assert_int_equal(product_delete(store, SLICE("10")), KV_OK);
	}
	assert_int_equal(product_next(store, &after, &r), KV_NOT_FOUND);
	assert_int_equal(product_next(store, &after, &r), KV_NOT_FOUND);
}

static void test_available(void **state)
{
	static const struct {
		uint32_t stock, max_quantity, available;
	} cases[] = {
		{ 0, 1, 0 }, { 0, UINT32_MAX, 0 }, { 5, UINT32_MAX, 5 }, { UINT32_MAX, 5, 5 },
		{ 5, 3, 3 }, { 3, 5, 3 }, { UINT32_MAX, UINT32_MAX, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct product_record r = {
			.stock = cases[i].stock, .max_quantity = cases[i].max_quantity,
		};

		assert_int_equal(product_available(&r), cases[i].available);
	}
}

static void test_damage(void **state)
{
	const struct product_record good = {
		.id = SLICE("1"), .currency = SLICE("EUR"), .max_quantity = 1,
	};
	struct record_key k, after = { .len = 0 };
	struct product_record r;
	enum kv_status status;
	uint64_t number;

	(void)state;
	assert_int_equal(kv_put(store, record_product_key(&k, SLICE("1")), SLICE("P\1?")), KV_OK);
	assert_int_equal(product_get(store, SLICE("1"), &r), KV_IO);
	assert_int_equal(product_next(store, &after, &r), KV_IO);
	assert_int_equal(product_next(store, &after, &r), KV_NOT_FOUND);        /* passed over */
	assert_int_equal(product_delete(store, SLICE("1")), KV_OK);
	assert_int_equal(kv_put(store, record_meta_key(&k, "price_book"), SLICE("?")), KV_OK);
	assert_int_equal(product_book(store, &number), KV_IO);
	assert_int_equal(product_put(store, &good, &status), PRODUCT_STORE);
	assert_int_equal(status, KV_IO);
}


#define DUE "\"id\":\"7\",\"name\":\"n\",\"price\":\"1.50\",\"currency\":\"EUR\""

static void test_read_json(void **state)
{
	static const struct {
		const char *text, *field, *why;
	} rows[] = {
		{ "{" DUE "}", NULL, NULL },
		{ "{" DUE ",\"stock\":3,\"max_quantity\":null,\"tax_rate\":\"0.21\","
		  "\"options\":[\"a\",\"b\"],\"updated\":\"x\"}", NULL, NULL },
		{ "", "", "Expecting value" },
		{ "[]", "", "an object is due" },
		{ "{}", "id", "missing" },
		{ "{" DUE ",\"colour\":1}", "colour", "no such field" },
		{ "{" DUE ",\"stock\":1.5}", "stock", "in quotes" },
		{ "{" DUE ",\"stock\":-1}", "stock", "a whole number" },
		{ "{" DUE ",\"stock\":{}}", "stock", "a whole number" },
		{ "{" DUE ",\"stock\":\"x\"}", "stock", "whole number from 0" },
		{ "{" DUE ",\"max_quantity\":0}", "max_quantity", "from 1" },
		{ "{" DUE ",\"tax_rate\":\"2 %\"}", "tax_rate", "fraction" },
		{ "{" DUE ",\"options\":[1]}", "options", "codes" },
		{ "{" DUE ",\"options\":[\"a,b\"]}", "options", "codes" },
		{ "{" DUE ",\"stockrecord\":\"a/b\"}", "stockrecord", "an id" },
		{ "{\"id\":\"a/b\",\"name\":\"n\",\"price\":\"1\",\"currency\":\"EUR\"}", "id",
		  "an id" },
		{ "{\"id\":\"1\",\"name\":\"n\",\"price\":1,\"currency\":\"eur\"}", "currency",
		  "capital" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[PRODUCT_SCRATCH_MAX];
		struct buf scratch = BUF(text);
		struct product_record r;
		struct product_fault fault = { "", "" };
		bool good = product_read_json(slice_of(rows[i].text), &scratch, &r, &fault);

		if (good != (rows[i].field == NULL) ||
		    (!good && (strcmp(fault.field, rows[i].field) != 0 ||
		               strstr(fault.why, rows[i].why) == NULL)))
			fail_msg("%s: %s: %s", rows[i].text, fault.field, fault.why);
	}
}

static void test_import(void **state)
{
	static const char *const texts[] = {
		"{" DUE ",\"stockrecord\":\"9\"}", "{" DUE "}", "{" DUE ",\"stock\":1}",
	};
	static const enum product_change changes[] = { PRODUCT_ADDED, PRODUCT_UNCHANGED,
		                                       PRODUCT_CHANGED };
	struct product_record r;
	uint64_t number;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char text[PRODUCT_SCRATCH_MAX];
		struct buf scratch = BUF(text);
		struct product_fault fault;
		enum product_change change;

		assert_true(product_read_json(slice_of(texts[i]), &scratch, &r, &fault));
		assert_int_equal(product_import(store, &r, &change), KV_OK);
		assert_int_equal(change, changes[i]);
	}
	assert_int_equal(product_get(store, SLICE("7"), &r), KV_OK);
	assert_int_equal(r.stock, 1);
	assert_true(slice_eq(r.stockrecord, SLICE("9")));       /* kept */
	assert_int_equal(product_book(store, &number), KV_OK);
	assert_int_equal(number, 2);
}
static void test_needs_a_batch(void **state)
{
	struct product_record r = { .id = SLICE("1"), .currency = SLICE("EUR"), .max_quantity = 1 };
	enum kv_status status;

	(void)state;
	assert_int_equal(product_put(store, &r, &status), PRODUCT_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(product_get(store, SLICE("1"), &r), KV_OK);
	assert_int_equal(book(), 1);
	assert_int_equal(product_put(store, &r, &status), PRODUCT_STORE);
	assert_int_equal(status, KV_READONLY);
	assert_int_equal(product_delete(store, SLICE("1")), KV_READONLY);
}

#define IN_A_BATCH(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_texts),
		cmocka_unit_test(test_read_json),
		IN_A_BATCH(test_ids),
		IN_A_BATCH(test_put_and_get),
		IN_A_BATCH(test_what_is_refused),
		IN_A_BATCH(test_limits_together),
		IN_A_BATCH(test_book_counts_every_change),
		IN_A_BATCH(test_import),
		IN_A_BATCH(test_walk),
		cmocka_unit_test(test_available),
		IN_A_BATCH(test_damage),
		IN_A_BATCH(test_needs_a_batch),
	};

	return cmocka_run_group_tests_name("product", tests, NULL, NULL);
}
