/* test_dump.c -- objects of dumpdata to records, records to bytes, and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "django.h"
#include "dump.h"
#include "gather.h"
#include "guard.h"

#define SECRET SLICE("test-secret")

static bool read_text(const char *text, struct dump_record *r, char error[DUMP_ERROR_MAX])
{
	char why[JSON_ERROR_MAX];
	const json_t *object = json_parse(slice_of(text), why);

	if (object == NULL)
		fail_msg("%s: %s", text, why);
	return dump_read(object, r, error);
}

#define OBJECT(model, pk, fields) \
	"{\"model\":\"" model "\",\"pk\":" pk ",\"fields\":{" fields "}}"

/* What comes out of one field, of those that are read alike. */
static const struct {
	const char *text;
	enum dump_kind kind;
	uint64_t pk;
	int number;             /* enum dump_number, or -1 */
	uint64_t value;
	int at;                 /* enum dump_text, or -1 */
	const char *said;
} good[] = {
	{ OBJECT("auth.user", "3", "\"username\":\"a\",\"password\":\"p\",\"is_active\":true,"
	         "\"groups\":[1],\"date_joined\":\"1970-01-01T00:00:01.5Z\""),
	  DUMP_USER, 3, DUMP_CREATED, 1500000, DUMP_NAME, "a" },
	{ OBJECT("shop.user", "3", "\"password\":\"p\",\"is_active\":false"),
	  DUMP_USER, 3, DUMP_FLAG, 0, DUMP_PASSWORD, "p" },
	{ OBJECT("auth.user", "9223372036854775807", "\"password\":\"\",\"is_active\":true,"
	         "\"email\":null"),
	  DUMP_USER, INT64_MAX, DUMP_FLAG, 1, DUMP_EMAIL, "" },
	{ OBJECT("oscarapi.apikey", "1", "\"key\":\"Token \\u00e9\""),
	  DUMP_API_KEY, 1, -1, 0, DUMP_NAME, "Token \xc3\xa9" },
	{ OBJECT("catalogue.productclass", "1", "\"track_stock\":true,\"options\":[3,10]"),
	  DUMP_CLASS, 1, DUMP_FLAG, 1, DUMP_LIST, "3,10" },
	{ OBJECT("catalogue.productclass", "1", "\"track_stock\":false,\"options\":[]"),
	  DUMP_CLASS, 1, DUMP_FLAG, 0, DUMP_LIST, "" },
	{ OBJECT("catalogue.product", "4", "\"parent\":2,\"product_class\":null,\"title\":\"\""),
	  DUMP_PRODUCT, 4, DUMP_OF, 2, DUMP_NAME, "" },
	{ OBJECT("partner.stockrecord", "4", "\"product\":2,\"price_excl_tax\":\"1.00\","
	         "\"num_in_stock\":null"),
	  DUMP_STOCK, 4, DUMP_COUNT, DUMP_NONE, DUMP_PRICE, "1.00" },
	{ OBJECT("partner.stockrecord", "4", "\"product\":2,\"price\":\"2.00\","
	         "\"price_excl_tax\":\"1.00\",\"num_in_stock\":-3"),
	  DUMP_STOCK, 4, DUMP_COUNT, 0, DUMP_PRICE, "2.00" },
	{ OBJECT("basket.basket", "5", "\"owner\":null,\"status\":\"Open\","
	         "\"date_created\":\"2026-01-01T00:00:00Z\""),
	  DUMP_BASKET, 5, DUMP_OF, 0, DUMP_NAME, "Open" },
	{ OBJECT("basket.line", "6", "\"basket\":5,\"product\":7,\"quantity\":2,"
	         "\"date_created\":\"2026-01-01T00:00:00Z\""),
	  DUMP_LINE, 6, DUMP_TO, 7, DUMP_PRICE, "" },
	{ OBJECT("basket.lineattribute", "6", "\"line\":5,\"option\":7,\"value\":\"x\""),
	  DUMP_ATTRIBUTE, 6, DUMP_OF, 5, DUMP_NAME, "x" },
	{ OBJECT("basket.lineattribute", "6", "\"line\":5,\"option\":7,\"value\":null"),
	  DUMP_ATTRIBUTE, 6, DUMP_TO, 7, DUMP_NAME, "null" },
	{ OBJECT("basket.lineattribute", "6", "\"line\":5,\"option\":7,\"value\":{\"a\": [1]}"),
	  DUMP_ATTRIBUTE, 6, DUMP_TO, 7, DUMP_NAME, "{\"a\":[1]}" },
	{ OBJECT("sessions.session", "\"abc\"", "\"session_data\":\"x\","
	         "\"expire_date\":\"1970-01-01T00:00:02Z\""),
	  DUMP_SESSION, 0, DUMP_UPDATED, 2000000, DUMP_NAME, "abc" },
	{ OBJECT("offer.range", "\"x\"", "\"a\":1"), DUMP_OTHER, 0, -1, 0, -1, NULL },
	{ OBJECT("user", "1", ""), DUMP_OTHER, 0, -1, 0, -1, NULL },
	{ OBJECT(".user", "1", ""), DUMP_OTHER, 0, -1, 0, -1, NULL },
	{ OBJECT("auth.superuser", "1", ""), DUMP_OTHER, 0, -1, 0, -1, NULL },
};

static const struct {
	const char *text, *error;
} wrong[] = {
	{ "1", "no object of dumpdata" },
	{ "[]", "no object of dumpdata" },
	{ "{}", "no object of dumpdata" },
	{ "{\"model\":1,\"fields\":{}}", "no object of dumpdata" },
	{ "{\"model\":\"auth.user\",\"pk\":1}", "no object of dumpdata" },
	{ "{\"model\":\"auth.user\",\"fields\":{}}", "pk: a number from 1" },
	{ OBJECT("auth.user", "0", ""), "pk: a number from 1" },
	{ OBJECT("auth.user", "-1", ""), "pk: a number from 1" },
	{ OBJECT("auth.user", "1.0", ""), "pk: a number from 1" },
	{ OBJECT("auth.user", "\"1\"", ""), "pk: a number from 1" },
	{ OBJECT("sessions.session", "1", ""), "pk: text" },
	{ OBJECT("sessions.session", "\"\"", ""), "pk: text" },
	{ OBJECT("auth.user", "1", "\"is_active\":true"), "password: is missing" },
	{ OBJECT("auth.user", "1", "\"password\":null,\"is_active\":true"),
	  "password: is missing" },
	{ OBJECT("auth.user", "1", "\"password\":1,\"is_active\":true"), "password: text is due" },
	{ OBJECT("auth.user", "1", "\"password\":\"\",\"is_active\":1"), "is_active: true or" },
	{ OBJECT("basket.lineattribute", "1", "\"line\":1,\"option\":1"), "value: is missing" },
	{ OBJECT("basket.lineattribute", "1", "\"line\":[\"x\"],\"option\":1,\"value\":1"),
	  "line: a number from 1 is due" },
	{ OBJECT("catalogue.productclass", "1", "\"track_stock\":true,\"options\":[\"x\"]"),
	  "options: a list" },
	{ OBJECT("catalogue.productclass", "1", "\"track_stock\":true,\"options\":{}"),
	  "options: a list" },
	{ OBJECT("basket.line", "6", "\"basket\":5,\"product\":7,\"quantity\":2.5"),
	  "quantity: a whole number is due" },
	{ OBJECT("basket.basket", "6", "\"status\":\"Open\",\"date_created\":\"2026-02-30\""),
	  "date_created: a time is due" },
};

static void test_read(void **state)
{
	char error[DUMP_ERROR_MAX];
	struct dump_record r;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (!read_text(good[i].text, &r, error))
			fail_msg("%s: %s", good[i].text, error);
		assert_int_equal(r.kind, good[i].kind);
		assert_int_equal(r.number[DUMP_PK], good[i].pk);
		if (good[i].number >= 0)
			assert_int_equal(r.number[good[i].number], good[i].value);
		if (good[i].at >= 0 && !slice_eq(r.text[good[i].at], slice_of(good[i].said)))
			fail_msg("%s: %.*s", good[i].text, (int)r.text[good[i].at].len,
			         r.text[good[i].at].ptr);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		if (read_text(wrong[i].text, &r, error))
			fail_msg("%s was read", wrong[i].text);
		if (strncmp(error, wrong[i].error, strlen(wrong[i].error)) != 0)
			fail_msg("%s: %s", wrong[i].text, error);
	}
}

/* A value that is longer than there is room for is refused, not cut. */
static void test_long(void **state)
{
	char text[4096], error[DUMP_ERROR_MAX];
	struct buf to = { text, 0, sizeof text - 1, false };
	struct dump_record r;

	(void)state;
	buf_lit(&to, "{\"model\":\"basket.lineattribute\",\"pk\":1,\"fields\":{\"line\":1,"
	        "\"option\":1,\"value\":[1");
	for (int i = 0; i < 600; i++)
		buf_lit(&to, ",1");
	buf_lit(&to, "]}}");
	text[to.len] = '\0';
	assert_false(read_text(text, &r, error));
	assert_string_equal(error, "value: is too long");
}

static void test_pack(void **state)
{
	static char bytes[4096];
	char error[DUMP_ERROR_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct buf packed = BUF(bytes), again;
		char other[4096];
		struct dump_record r, back;

		assert_true(read_text(good[i].text, &r, error));
		dump_pack(&packed, &r);
		assert_false(packed.full);
		assert_true(dump_unpack(guarded(buf_slice(&packed)), &back));
		again = BUF(other);
		dump_pack(&again, &back);
		assert_true(slice_eq(buf_slice(&again), buf_slice(&packed)));
		for (size_t len = 0; len < packed.len; len++)
			assert_false(dump_unpack(guarded((struct slice){ bytes, len }), &back));
		buf_char(&packed, 'x');
		assert_false(dump_unpack(guarded(buf_slice(&packed)), &back));
		bytes[0] = (char)DUMP_KINDS;
		assert_false(dump_unpack((struct slice){ bytes, packed.len - 1 }, &back));
	}
}

static const struct {
	const char *json;
	enum dump_session result;
	uint64_t user, basket;
	const char *hash;       /* or the error */
} sessions[] = {
	{ "{}", DUMP_SESSION_READ, 0, 0, "" },
	{ "{\"oscar_open_basket\":7}", DUMP_SESSION_READ, 0, 7, "" },
	{ "{\"oscar_open_basket\":null,\"_auth_user_id\":null}", DUMP_SESSION_READ, 0, 0, "" },
	{ "{\"_auth_user_id\":\"12\",\"_auth_user_hash\":\"ab\",\"x\":[1]}", DUMP_SESSION_READ,
	  12, 0, "ab" },
	{ "{\"_auth_user_id\":12,\"_auth_user_hash\":1}", DUMP_SESSION_READ, 12, 0, "" },
	{ "[]", DUMP_SESSION_BAD, 0, 0, "session_data: is no object" },
	{ "{", DUMP_SESSION_BAD, 0, 0, "session_data: Expecting" },
	{ "{\"_auth_user_id\":\"0\"}", DUMP_SESSION_BAD, 0, 0, "session_data: _auth_user_id" },
	{ "{\"_auth_user_id\":\"\"}", DUMP_SESSION_BAD, 0, 0, "session_data: _auth_user_id" },
	{ "{\"_auth_user_id\":true}", DUMP_SESSION_BAD, 0, 0, "session_data: _auth_user_id" },
	{ "{\"oscar_open_basket\":\"7\"}", DUMP_SESSION_BAD, 0, 0, "session_data: oscar_open" },
	{ "{\"oscar_open_basket\":-7}", DUMP_SESSION_BAD, 0, 0, "session_data: oscar_open" },
};

static enum dump_session open_session(const char *json, struct slice secret,
                                      struct dump_record *r, struct buf *room,
                                      char error[DUMP_ERROR_MAX])
{
	static char stored[1024];
	struct buf data = BUF(stored);

	django_session_write(&data, SECRET, slice_of(json), 1234);
	*r = (struct dump_record){ .kind = DUMP_SESSION };
	for (int t = 0; t < DUMP_TEXTS; t++)
		r->text[t] = SLICE("");
	r->text[DUMP_NAME] = SLICE("key");
	r->text[DUMP_DATA] = buf_slice(&data);
	return dump_open_session(r, secret, room, error);
}

static void test_sessions(void **state)
{
	char bytes[128], error[DUMP_ERROR_MAX];
	struct dump_record r;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sessions); i++) {
		struct buf room = BUF(bytes);

		assert_int_equal(open_session(sessions[i].json, SECRET, &r, &room, error),
		                 sessions[i].result);
		assert_true(slice_eq(r.text[DUMP_NAME], SLICE("key")));
		if (sessions[i].result != DUMP_SESSION_READ) {
			if (strncmp(error, sessions[i].hash, strlen(sessions[i].hash)) != 0)
				fail_msg("%s: %s", sessions[i].json, error);
			continue;
		}
		assert_int_equal(r.number[DUMP_OF], sessions[i].user);
		assert_int_equal(r.number[DUMP_TO], sessions[i].basket);
		assert_int_equal(r.number[DUMP_CREATED], 1234000000);
		assert_true(slice_eq(r.text[DUMP_DATA], slice_of(sessions[i].hash)));
	}
	{
		struct buf room = BUF(bytes), none = { bytes, 0, 2, false };

		assert_int_equal(open_session("{}", SLICE("other"), &r, &room, error),
		                 DUMP_SESSION_FOREIGN);
		assert_int_equal(open_session("{}", SECRET, &r, &none, error), DUMP_SESSION_BAD);
	}
}

#define SESSION(rest) "{\"model\": \"sessions.session\", \"pk\":\"ab\",\"fields\" : {" rest "}}\n"
#define DATE "\"expire_date\":\"2026-01-01T00:00:00Z\""

static const struct {
	const char *text;
	bool taken;
} plain[] = {
	{ SESSION("\"session_data\":\"x:y\"," DATE), true },
	{ SESSION(DATE ",\n \"session_data\" :\"\" "), true },
	{ SESSION("\"session_data\":\"\\u0041\"," DATE), false },
	{ SESSION("\"session_data\":\"}\"," DATE), false },
	{ SESSION("\"session_data\":\"\"," DATE "," DATE), false },
	{ SESSION("\"session_data\":\"\"," DATE ",\"more\":1"), false },
	{ SESSION("\"session_data\":1," DATE), false },
	{ SESSION("\"session_data\":\"\",\"expire_date\":\"soon\""), false },
	{ SESSION(DATE), false },
	{ SESSION("\"session_data\":\"\"," DATE ","), false },
	{ SESSION("\"session_data\":\"\"," DATE) "x", false },
	{ OBJECT("sessions.session", "1", "\"session_data\":\"\"," DATE), false },
	{ OBJECT("sessions.session", "\"\"", "\"session_data\":\"\"," DATE), false },
	{ OBJECT("sessions.other", "\"a\"", "\"session_data\":\"\"," DATE), false },
	{ "{\"model\":\"sessions.session\",\"pk\":\"a\",\"fields\":\"\"}", false },
};

/* What is read without Jansson is what Jansson reads. */
static void test_plain_sessions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(plain); i++) {
		struct slice text = slice_of(plain[i].text);
		char bytes[2][1024], error[DUMP_ERROR_MAX];
		struct buf quick = BUF(bytes[0]), whole = BUF(bytes[1]);
		struct dump_record r;

		if (dump_read_session(guarded(text), &r) != plain[i].taken)
			fail_msg("%s", plain[i].text);
		if (!plain[i].taken)
			continue;
		for (size_t len = 0; len + 1 < text.len; len++)
			assert_false(dump_read_session(guarded((struct slice){ text.ptr, len }),
			                               &r));
		assert_true(dump_read_session(text, &r));
		dump_pack(&quick, &r);
		assert_true(read_text(plain[i].text, &r, error));
		dump_pack(&whole, &r);
		assert_true(slice_eq(buf_slice(&quick), buf_slice(&whole)));
	}
}

/* --- The order. --- */

static struct gather gather;
static size_t complaints;

static void complain(void *context, const struct dump_record *r, const char *why)
{
	assert_ptr_equal(context, &complaints);
	assert_true(r->kind < DUMP_KINDS && why[0] != '\0');
	complaints++;
}

static void begin(size_t bytes)
{
	complaints = 0;
	gather.secret = SECRET;
	gather.bad = complain;
	gather.context = &complaints;
	assert_true(gather_open(&gather, "/tmp", bytes));
}

static struct dump_record make(enum dump_kind kind, uint64_t pk, uint64_t of, uint64_t to)
{
	struct dump_record r = { .kind = kind, .number = { pk, of, to } };

	for (int t = 0; t < DUMP_TEXTS; t++)
		r.text[t] = SLICE("");
	if (kind == DUMP_BASKET)
		r.text[DUMP_NAME] = SLICE("Open");
	return r;
}

static void take(struct dump_record r)
{
	assert_true(gather_take(&gather, &r));
}

/* Baskets of as many customers, lines and options, the last first; more than memory holds. */
static void test_order(void **state)
{
	enum { MANY = 3000 };
	char hash[DUMP_HASH_TEXT];
	struct dump_record r;

	(void)state;
	django_auth_hash(SECRET, SLICE("password"), hash);
	begin(65536);
	for (uint64_t n = MANY; n > 0; n--) {
		struct dump_record user = make(DUMP_USER, n, 0, 0);
		struct dump_record session = make(DUMP_SESSION, 0, n, 0);
		char key[24];

		take(make(DUMP_ATTRIBUTE, 3 * n, 2 * n, 1));
		take(make(DUMP_LINE, 2 * n, n, 1));
		take(make(DUMP_LINE, 2 * n - 1, n, 1));
		snprintf(key, sizeof key, "%06llu", (unsigned long long)n);
		session.text[DUMP_NAME] = slice_of(key);
		session.text[DUMP_DATA] = (struct slice){ hash, n % 2 > 0 ? sizeof hash : 3 };
		take(session);
		take(make(DUMP_BASKET, n, n % 3 == 0 ? 0 : n, 0));
		user.text[DUMP_PASSWORD] = SLICE("password");
		if (n % 5 > 0)
			take(user);
	}
	assert_true(gather.joins.run_count > 1 && gather.sorted.run_count > 1);
	assert_true(gather_join(&gather));
	for (uint64_t n = 1; n <= MANY; n++)
		if (n % 5 > 0) {
			assert_true(gather_next(&gather, &r));
			assert_true(r.kind == DUMP_USER && r.number[DUMP_PK] == n);
		}
	for (uint64_t n = 1; n <= MANY; n++) {
		assert_true(gather_next(&gather, &r));
		assert_true(r.kind == DUMP_BASKET && r.number[DUMP_PK] == n);
		assert_int_equal(r.number[DUMP_FLAG], n % 3 == 0 || n % 5 > 0);
		assert_true(gather_next(&gather, &r));
		assert_true(r.kind == DUMP_LINE && r.number[DUMP_PK] == 2 * n - 1);
		assert_true(gather_next(&gather, &r));
		assert_true(r.kind == DUMP_LINE && r.number[DUMP_PK] == 2 * n);
		assert_true(gather_next(&gather, &r));
		assert_true(r.kind == DUMP_ATTRIBUTE && r.number[DUMP_PK] == 3 * n);
	}
	for (uint64_t n = 1; n <= MANY; n++) {
		assert_true(gather_next(&gather, &r));
		assert_true(r.kind == DUMP_SESSION && r.number[DUMP_OF] == n);
		assert_int_equal(r.number[DUMP_FLAG], n % 5 == 0 ? GATHER_GONE :
		                 n % 2 > 0 ? GATHER_SAME : GATHER_OTHER);
	}
	assert_false(gather_next(&gather, &r));
	gather_close(&gather);
	assert_int_equal(complaints, 0);
}

/* Limits of the tables, and what is alone. */
static void test_limits(void **state)
{
	struct dump_record r = make(DUMP_OPTION, 1, 0, 0);
	static char text[2 * 65536];

	(void)state;
	memset(text, 'x', sizeof text);
	begin(65536 * 8);
	for (uint64_t n = 1; n <= GATHER_CLASSES_MAX + 1; n++)
		take(make(DUMP_CLASS, n, 0, 0));
	assert_int_equal(complaints, 1);
	r.text[DUMP_NAME] = (struct slice){ text, GATHER_CODE_MAX + 1 };
	take(r);
	assert_int_equal(complaints, 2);
	r.text[DUMP_NAME].len--;
	for (uint64_t n = 1; n <= GATHER_OPTIONS_MAX + 1; n++) {
		r.number[DUMP_PK] = n;
		take(r);
	}
	assert_int_equal(complaints, 3);
	r = make(DUMP_PRODUCT, 1, 0, 0);
	r.text[DUMP_LIST] = SLICE("1,2,3,4,5,6,7");
	r.text[DUMP_NAME] = (struct slice){ text, sizeof text };
	take(r);
	r.number[DUMP_PK] = 2;
	r.text[DUMP_LIST] = SLICE("1,2,3,4,5,6,7,8,9");
	take(r);
	r = make(DUMP_API_KEY, 1, 0, 0);
	r.text[DUMP_NAME] = (struct slice){ text, sizeof text };
	take(r);
	assert_int_equal(complaints, 4);
	take(make(DUMP_ATTRIBUTE, 1, 1, 1));
	take(make(DUMP_LINE, 2, 1, 1));
	take(make(DUMP_ATTRIBUTE, 2, 2, 1));
	take(make(DUMP_STOCK, 1, 3, 1));
	take(make(DUMP_PRODUCT, 9, 8, 1));
	take(make(DUMP_OTHER, 1, 1, 1));
	assert_true(gather_join(&gather));
	assert_int_equal(complaints, 7);
	assert_true(gather_next(&gather, &r));
	assert_int_equal(r.kind, DUMP_PRODUCT);
	assert_int_equal(r.text[DUMP_NAME].len, 254);
	assert_int_equal(r.text[DUMP_LIST].len, 7 * GATHER_CODE_MAX + 6);
	assert_false(gather_next(&gather, &r));
	assert_int_equal(complaints, 9);
	gather_close(&gather);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_pack),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_plain_sessions),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
