/* test_customer.c -- customers: ids, logins, what text may hold, and what deleting leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "customer.h"
#include "guard.h"
#include "store.h"

static enum customer_error add_record(struct customer_record *r)
{
	enum kv_status status;
	enum customer_error error;

	assert_int_equal(customer_next_id(store, &r->id), KV_OK);
	error = customer_add(store, r, &status);
	assert_true(error == CUSTOMER_LOGIN_TAKEN || status == KV_OK);
	return error;
}

static enum customer_error add(struct slice login)
{
	struct customer_record r = { .login = login };

	return add_record(&r);
}

static uint64_t id_of(const char *login)
{
	struct customer_record r;

	assert_int_equal(customer_find(store, slice_of(login), &r), KV_OK);
	assert_true(slice_eq(r.login, slice_of(login)));
	return r.id;
}

static void delete(const char *login)
{
	struct customer_record r;

	assert_int_equal(customer_find(store, slice_of(login), &r), KV_OK);
	assert_int_equal(customer_delete(store, &r), KV_OK);
}

static void test_error_texts(void **state)
{
	(void)state;
	for (int i = CUSTOMER_OK; i <= CUSTOMER_STORE; i++) {
		assert_true(strlen(customer_error_text((enum customer_error)i)) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(customer_error_text((enum customer_error)i),
			                        customer_error_text((enum customer_error)j));
	}
	assert_string_equal(customer_error_text((enum customer_error)(CUSTOMER_STORE + 1)),
	                    "unknown");
}

static void test_add_and_find(void **state)
{
	struct customer_record r = {
		.login = SLICE("ada"), .email = SLICE("ada@example.com"),
		.first_name = SLICE("Ada"), .last_name = SLICE("Lovelace"),
		.sealed_password = SLICE("\0sealed\xff"), .joined_us = 1763785535355068,
		.flags = CUSTOMER_DISABLED, .basket_id = 3,
	}, got;

	(void)state;
	assert_int_equal(customer_get(store, 1, &got), KV_NOT_FOUND);
	assert_int_equal(customer_find(store, SLICE("ada"), &got), KV_NOT_FOUND);
	assert_int_equal(add_record(&r), CUSTOMER_OK);
	assert_int_equal(r.id, 1);
	assert_int_equal(customer_get(store, 1, &got), KV_OK);
	assert_int_equal(got.joined_us, r.joined_us);
	assert_int_equal(got.basket_id, 3);
	assert_int_equal(got.flags, CUSTOMER_DISABLED);
	assert_true(slice_eq(got.email, r.email));
	assert_true(slice_eq(got.first_name, r.first_name));
	assert_true(slice_eq(got.last_name, r.last_name));
	assert_true(slice_eq(got.sealed_password, r.sealed_password));
	assert_int_equal(id_of("ada"), 1);
	assert_int_equal(customer_find(store, SLICE("Ada"), &got), KV_NOT_FOUND);
	assert_int_equal(customer_find(store, SLICE("ad"), &got), KV_NOT_FOUND);
	assert_int_equal(customer_find(store, SLICE("ada\0"), &got), KV_NOT_FOUND);
	assert_int_equal(customer_find(store, SLICE(""), &got), KV_NOT_FOUND);
	assert_int_equal(customer_find(store, (struct slice){ 0 }, &got), KV_NOT_FOUND);
}

static void test_login_taken(void **state)
{
	uint64_t id;

	(void)state;
	assert_int_equal(add(SLICE("ada")), CUSTOMER_OK);
	assert_int_equal(add(SLICE("ada")), CUSTOMER_LOGIN_TAKEN);
	assert_int_equal(customer_next_id(store, &id), KV_OK);
	assert_int_equal(id, 2);
	assert_int_equal(id_of("ada"), 1);
	assert_int_equal(add(SLICE("Ada")), CUSTOMER_OK);
	assert_int_equal(id_of("Ada"), 2);
}

static void test_ids_are_never_given_twice(void **state)
{
	struct customer_record r;
	uint64_t id;

	(void)state;
	assert_int_equal(add(SLICE("a")), CUSTOMER_OK);
	assert_int_equal(add(SLICE("b")), CUSTOMER_OK);
	assert_int_equal(add(SLICE("c")), CUSTOMER_OK);
	delete("c");
	delete("a");
	store_commit();
	assert_int_equal(customer_get(store, 3, &r), KV_NOT_FOUND);
	assert_int_equal(add(SLICE("c")), CUSTOMER_OK);
	assert_int_equal(id_of("c"), 4);
	for (unsigned round = 5; round < 100; round++) {
		delete("c");
		assert_int_equal(add(SLICE("c")), CUSTOMER_OK);
		assert_int_equal(id_of("c"), round);
	}
	delete("b");
	delete("c");
	assert_int_equal(customer_next_id(store, &id), KV_OK);
	assert_int_equal(id, 100);
	assert_int_equal(store_entries(), 1);   /* the next id is all that is left */
}

/* Ids of another shop: those given here go on beyond them. */
static void test_ids_from_elsewhere(void **state)
{
	struct customer_record r = { .id = 7, .login = SLICE("ada") };
	enum kv_status status;
	uint64_t id;

	(void)state;
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
	r.id = 3;
	r.login = SLICE("bob");
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
	assert_int_equal(customer_next_id(store, &id), KV_OK);
	assert_int_equal(id, 8);
	assert_int_equal(add(SLICE("eve")), CUSTOMER_OK);
	assert_int_equal(id_of("eve"), 8);
	assert_int_equal(id_of("bob"), 3);
}

static void test_put_back(void **state)
{
	struct customer_record r, got;

	(void)state;
	assert_int_equal(add(SLICE("ada")), CUSTOMER_OK);
	assert_int_equal(customer_find(store, SLICE("ada"), &r), KV_OK);
	r.basket_id = 2;
	r.flags |= CUSTOMER_DISABLED;
	r.email = SLICE("new@example.com");
	assert_int_equal(customer_put(store, &r), KV_OK);       /* r.login is the store's own */
	assert_int_equal(customer_find(store, SLICE("ada"), &got), KV_OK);
	assert_int_equal(got.basket_id, 2);
	assert_int_equal(got.flags, CUSTOMER_DISABLED);
	assert_true(slice_eq(got.login, SLICE("ada")));
	assert_true(slice_eq(got.email, SLICE("new@example.com")));
	r = (struct customer_record){ .login = SLICE("eve") };
	assert_int_equal(customer_delete(store, &r), KV_NOT_FOUND);
}

static char many[512];          /* of the letter `m` */

#define TEXT(literal) { literal, sizeof(literal) - 1 }

/* UTF-8 as RFC 3629 has it: section 3 for the ranges, section 10 for what overlong forms do. */
static const struct {
	const char *name;
	struct slice text;
	bool text_ok;
} texts[] = {
	{ "a letter",                 TEXT("a"), true },
	{ "all ASCII from blank",     TEXT(" !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"), true },
	{ "two bytes, the least",     TEXT("\xc2\x80"), true },
	{ "two bytes, the most",      TEXT("\xdf\xbf"), true },
	{ "three bytes, the least",   TEXT("\xe0\xa0\x80"), true },
	{ "before the surrogates",    TEXT("\xed\x9f\xbf"), true },
	{ "behind the surrogates",    TEXT("\xee\x80\x80"), true },
	{ "three bytes, the most",    TEXT("\xef\xbf\xbf"), true },
	{ "four bytes, the least",    TEXT("\xf0\x90\x80\x80"), true },
	{ "the last of all",          TEXT("\xf4\x8f\xbf\xbf"), true },
	{ "mixed",                    TEXT("J\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80!"), true },
	{ "NUL",                      TEXT("\0"), false },
	{ "NUL in between",           TEXT("a\0b"), false },
	{ "newline",                  TEXT("ada\n"), false },
	{ "CR LF",                    TEXT("a\r\nb"), false },
	{ "tab",                      TEXT("\tada"), false },
	{ "unit separator",           TEXT("\x1f"), false },
	{ "DEL",                      TEXT("a\x7f"), false },
	{ "a byte of Latin-1",        TEXT("J\xfcrgen"), false },
	{ "continuation alone",       TEXT("\x80"), false },
	{ "the last continuation",    TEXT("\xbf"), false },
	{ "two continuations",        TEXT("a\x80\x80"), false },
	{ "continuation too many",    TEXT("\xc3\xbc\xbc"), false },
	{ "overlong slash, two",      TEXT("\xc0\xaf"), false },
	{ "overlong, two, the most",  TEXT("\xc1\xbf"), false },
	{ "overlong slash, three",    TEXT("\xe0\x80\xaf"), false },
	{ "overlong, three, the most", TEXT("\xe0\x9f\xbf"), false },
	{ "overlong slash, four",     TEXT("\xf0\x80\x80\xaf"), false },
	{ "overlong, four, the most", TEXT("\xf0\x8f\xbf\xbf"), false },
	{ "overlong NUL",             TEXT("\xc0\x80"), false },
	{ "first high surrogate",     TEXT("\xed\xa0\x80"), false },
	{ "last low surrogate",       TEXT("\xed\xbf\xbf"), false },
	{ "a pair of surrogates",     TEXT("\xed\xa0\xbd\xed\xb8\x80"), false },
	{ "behind the last of all",   TEXT("\xf4\x90\x80\x80"), false },
	{ "first byte f5",            TEXT("\xf5\x80\x80\x80"), false },
	{ "five bytes",               TEXT("\xf8\x88\x80\x80\x80"), false },
	{ "six bytes",                TEXT("\xfc\x84\x80\x80\x80\x80"), false },
	{ "byte fe",                  TEXT("\xfe"), false },
	{ "byte ff",                  TEXT("a\xff"), false },
	{ "two bytes cut",            TEXT("a\xc3"), false },
	{ "three bytes cut to one",   TEXT("\xe2"), false },
	{ "three bytes cut to two",   TEXT("\xe2\x82"), false },
	{ "four bytes cut to three",  TEXT("\xf0\x9f\x98"), false },
	{ "a letter as second byte",  TEXT("\xc3" "a"), false },
	{ "a letter as third byte",   TEXT("\xe2\x82" "a"), false },
	{ "a letter as fourth byte",  TEXT("\xf0\x9f\x98" "a"), false },
	{ "a first byte as second",   TEXT("\xc3\xc3"), false },
};

static void test_text_of_logins(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct slice login = guarded(texts[i].text);
		struct customer_record r;

		if (add(login) != (texts[i].text_ok ? CUSTOMER_OK : CUSTOMER_LOGIN_BAD))
			fail_msg("%s", texts[i].name);
		assert_int_equal(customer_find(store, login, &r),
		                 texts[i].text_ok ? KV_OK : KV_NOT_FOUND);
	}
}

static void test_text_of_other_fields(void **state)
{
	struct customer_record r = { 0 };
	struct slice *const fields[] = { &r.email, &r.first_name, &r.last_name };
	char login[16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		for (size_t f = 0; f < COUNT_OF(fields); f++) {
			snprintf(login, sizeof login, "%zu %zu", i, f);
			r.login = slice_of(login);
			*fields[f] = guarded(texts[i].text);
			if (add_record(&r) != (texts[i].text_ok ? CUSTOMER_OK : CUSTOMER_TEXT_BAD))
				fail_msg("%s, field %zu", texts[i].name, f);
			*fields[f] = (struct slice){ 0 };
		}
	}
}

static void test_rules_of_logins(void **state)
{
	static const struct {
		const char *name;
		struct slice login;
		enum customer_error error;
	} cases[] = {
		{ "absent",             { 0 },         CUSTOMER_LOGIN_BAD },
		{ "empty",              { "", 0 },     CUSTOMER_LOGIN_BAD },
		{ "a dash",             { "-", 1 },    CUSTOMER_LOGIN_BAD },
		{ "two dashes",         { "--", 2 },   CUSTOMER_OK },
		{ "a dash and more",    { "-a", 2 },   CUSTOMER_OK },
		{ "the longest",        { many, 150 }, CUSTOMER_OK },
		{ "a byte too long",    { many, 151 }, CUSTOMER_LOGIN_BAD },
		{ "much too long",      { many, 512 }, CUSTOMER_LOGIN_BAD },
	};

	(void)state;
	memset(many, 'm', sizeof many);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (add(cases[i].login) != cases[i].error)
			fail_msg("%s", cases[i].name);
}

static void test_length_of_other_fields(void **state)
{
	struct customer_record r = { .login = SLICE("ada") }, got;
	struct slice *const fields[] = { &r.email, &r.first_name, &r.last_name };

	(void)state;
	memset(many, 'm', sizeof many);
	for (size_t f = 0; f < COUNT_OF(fields); f++) {
		*fields[f] = (struct slice){ many, RECORD_TEXT_MAX + 1 };
		assert_int_equal(add_record(&r), CUSTOMER_TEXT_BAD);
		*fields[f] = (struct slice){ many, RECORD_TEXT_MAX };
	}
	r.login = (struct slice){ many, RECORD_LOGIN_MAX };
	r.sealed_password = (struct slice){ many, 284 };        /* the longest that is sealed */
	assert_int_equal(add_record(&r), CUSTOMER_OK);
	assert_int_equal(customer_get(store, r.id, &got), KV_OK);
	assert_int_equal(got.last_name.len, RECORD_TEXT_MAX);
	assert_int_equal(got.sealed_password.len, 284);
}

static void test_refused_adds_leave_nothing(void **state)
{
	struct customer_record r = { .login = SLICE("ada"), .email = SLICE("\n") };
	uint64_t id;

	(void)state;
	assert_int_equal(add(SLICE("-")), CUSTOMER_LOGIN_BAD);
	assert_int_equal(add_record(&r), CUSTOMER_TEXT_BAD);
	assert_int_equal(store_entries(), 0);
	assert_int_equal(customer_next_id(store, &id), KV_OK);
	assert_int_equal(id, 1);
}

/* The ids that a name may mean, as digits. */
static const char *candidates(const char *name)
{
	static char text[8];
	uint64_t ids[3];
	uint32_t count;

	assert_int_equal(customer_candidates(store, slice_of(name), ids, COUNT_OF(ids), &count),
	                 KV_OK);
	assert_true(count <= COUNT_OF(ids));
	for (uint32_t i = 0; i < count; i++)
		text[i] = (char)('0' + ids[i]);
	text[count] = '\0';
	return text;
}

/* An address leads to all who have it, whatever its case, and moves with them. */
static void test_candidates(void **state)
{
	struct customer_record r = { .login = SLICE("ada"), .email = SLICE("Ada@Shop.example") };
	uint64_t entries = store_entries();

	(void)state;
	assert_int_equal(add_record(&r), CUSTOMER_OK);                  /* 1 */
	r.login = SLICE("ada@shop.example");
	assert_int_equal(add_record(&r), CUSTOMER_OK);                  /* 2 */
	r.login = SLICE("ada@shop.exampl");
	r.email = SLICE("");
	assert_int_equal(add_record(&r), CUSTOMER_OK);                  /* 3 */
	r.login = SLICE("eve");
	r.email = SLICE("nobody");
	assert_int_equal(add_record(&r), CUSTOMER_OK);                  /* 4 */
	assert_string_equal(candidates("ada"), "1");
	assert_string_equal(candidates("Ada"), "");
	assert_string_equal(candidates("ada@shop.example"), "21");
	assert_string_equal(candidates("ADA@SHOP.EXAMPLE"), "12");
	assert_string_equal(candidates("ada@shop.exampl"), "3");
	assert_string_equal(candidates("ada@shop.examples"), "");
	assert_string_equal(candidates("nobody"), "");                  /* no address */
	assert_string_equal(candidates(""), "");
	assert_string_equal(candidates("@"), "");

	assert_int_equal(customer_get(store, 1, &r), KV_OK);
	r.email = SLICE("countess@shop.example");
	assert_int_equal(customer_put(store, &r), KV_OK);
	assert_string_equal(candidates("ada@shop.example"), "2");
	assert_string_equal(candidates("Countess@shop.example"), "1");
	assert_int_equal(customer_get(store, 1, &r), KV_OK);
	r.email = SLICE("COUNTESS@shop.example");
	assert_int_equal(customer_put(store, &r), KV_OK);
	assert_string_equal(candidates("countess@shop.example"), "1");
	assert_int_equal(customer_get(store, 1, &r), KV_OK);
	r.email = SLICE("");
	assert_int_equal(customer_put(store, &r), KV_OK);
	assert_string_equal(candidates("countess@shop.example"), "");
	delete("ada");
	delete("ada@shop.example");
	delete("ada@shop.exampl");
	delete("eve");
	assert_string_equal(candidates("ada@shop.example"), "");
	assert_int_equal(store_entries(), entries + 1);                 /* the counter of ids */
}

/* No more than asked for, the oldest. */
static void test_many_candidates(void **state)
{
	struct customer_record r = { .email = SLICE("a@b.example") };
	char login[8];

	(void)state;
	for (unsigned i = 1; i <= 9; i++) {
		snprintf(login, sizeof login, "%u", i);
		r.login = slice_of(login);
		assert_int_equal(add_record(&r), CUSTOMER_OK);
	}
	assert_string_equal(candidates("a@b.example"), "123");
}

static void test_next(void **state)
{
	struct customer_record r;
	uint64_t after = 0, last = 0;
	unsigned count = 0;

	(void)state;
	assert_int_equal(customer_next(store, &after, &r), KV_NOT_FOUND);
	assert_int_equal(after, 0);
	for (unsigned i = 0; i < 300; i++) {
		char login[16];

		snprintf(login, sizeof login, "%u", i);
		assert_int_equal(add(slice_of(login)), CUSTOMER_OK);
	}
	delete("0");
	delete("7");
	delete("299");
	for (; customer_next(store, &after, &r) == KV_OK; count++) {
		assert_true(r.id > last);
		assert_int_equal(after, r.id);
		last = r.id;
		if (r.id % 50 == 0)
			assert_int_equal(customer_delete(store, &r), KV_OK);
	}
	assert_int_equal(count, 297);
	assert_int_equal(last, 299);
}

/* Damage is no unknown customer: it is never answered with 401 (requirement S16). */
static void test_damaged_records(void **state)
{
	struct record_key key;
	struct customer_record r = { .login = SLICE("eve") };
	uint64_t id, after = 0;
	enum kv_status status;

	(void)state;
	assert_int_equal(add(SLICE("ada")), CUSTOMER_OK);
	assert_int_equal(kv_put(store, record_customer_key(&key, 1), SLICE("C\2")), KV_OK);
	assert_int_equal(customer_get(store, 1, &r), KV_IO);
	assert_int_equal(customer_find(store, SLICE("ada"), &r), KV_IO);
	assert_int_equal(customer_next(store, &after, &r), KV_IO);
	assert_int_equal(kv_put(store, record_login_key(&key, SLICE("ada")), SLICE("1234567")),
	                 KV_OK);
	assert_int_equal(customer_find(store, SLICE("ada"), &r), KV_IO);
	assert_int_equal(kv_put(store, record_meta_key(&key, "next_customer"), SLICE("")), KV_OK);
	assert_int_equal(customer_next_id(store, &id), KV_IO);
	memset(many, 'm', sizeof many);
	r = (struct customer_record){ .id = 9, .login = SLICE("bob"),
	                              .sealed_password = { many, 512 } };
	assert_int_equal(customer_put(store, &r), KV_OK);
	r.sealed_password = (struct slice){ (char[RECORD_VALUE_MAX]){ 0 }, RECORD_VALUE_MAX };
	assert_int_equal(customer_put(store, &r), KV_IO);
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_STORE);
	assert_int_equal(status, KV_IO);
}

#define IN_A_BATCH(f) cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_texts),
		IN_A_BATCH(test_add_and_find),
		IN_A_BATCH(test_login_taken),
		IN_A_BATCH(test_ids_are_never_given_twice),
		IN_A_BATCH(test_ids_from_elsewhere),
		IN_A_BATCH(test_put_back),
		IN_A_BATCH(test_text_of_logins),
		IN_A_BATCH(test_text_of_other_fields),
		IN_A_BATCH(test_rules_of_logins),
		IN_A_BATCH(test_length_of_other_fields),
		IN_A_BATCH(test_refused_adds_leave_nothing),
		IN_A_BATCH(test_candidates),
		IN_A_BATCH(test_many_candidates),
		IN_A_BATCH(test_next),
		IN_A_BATCH(test_damaged_records),
	};

	return cmocka_run_group_tests_name("customer", tests, NULL, NULL);
}
