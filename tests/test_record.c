/* test_record.c -- records and keys: round trips, exact bytes, and whatever is no record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "guard.h"
#include "record.h"

static const uint8_t session_key[RECORD_SESSION_KEY_LEN] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
	0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xff,
};

static char many[4096];         /* of the letter `m` */
#define MANY(n) { many, (n) }
#define TEXT(literal) { (literal), sizeof(literal) - 1 }

static const struct session_record sessions[] = {
	{ 0 },
	{ 0x1122334455667788, 7, 0x3132333435363738, { "ada", 3 }, 0x0102030405060708,
	  0x99aabbccddeeff00, 0x1112131415161718, 1, SESSION_SECURE_SEEN, { "guest", 5 } },
	{ UINT64_MAX, UINT64_MAX, UINT64_MAX, MANY(RECORD_LOGIN_MAX), UINT64_MAX, UINT64_MAX,
	  UINT64_MAX, UINT8_MAX, UINT8_MAX, MANY(RECORD_GUEST_ID_LEN) },
};

static const struct customer_record customers[] = {
	{ 0 },
	{ 1, 1763785535355068, CUSTOMER_DISABLED, { "ada", 3 }, { "ada@example.com", 15 },
	  { "Ada", 3 }, { "Lovelace", 8 }, { "\0\xff\n", 3 }, 7 },
	{ UINT64_MAX, UINT64_MAX, UINT32_MAX, MANY(RECORD_LOGIN_MAX), MANY(RECORD_TEXT_MAX),
	  MANY(RECORD_TEXT_MAX), MANY(RECORD_TEXT_MAX), MANY(284), UINT64_MAX },
};

static const struct client_record clients[] = {
	{ 0 },
	{ 1, 2, 3, SCOPE_SHOP | SCOPE_LOGIN, CLIENT_REVOKED,
	  { { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0 } }, 104 } }, 1,
	  { "app", 3 }, { "Ada", 3 }, { "https://a.test", 14 } },
	{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX,
	  { { { { 1 } }, 0 }, { { { 2 } }, 1 }, { { { 3 } }, 8 }, { { { 4 } }, 64 },
	    { { { 5 } }, 96 }, { { { 6 } }, 127 }, { { { 7 } }, 128 }, { { { 8 } }, 128 } },
	  RECORD_SOURCES_MAX, MANY(RECORD_NAME_MAX), MANY(RECORD_TEXT_MAX),
	  MANY(RECORD_ORIGINS_BYTES) },
};

static const struct product_record products[] = {
	{ .price_e4 = -1, .id = TEXT("0") },
	{ 433400, 0x1122334455667788, 210000, 7, 20, TEXT("701642811398M"), TEXT("Cap \xc3\xa9"),
	  TEXT("EUR"), TEXT("12"), TEXT("size,colour") },
	{ MONEY_PRICE_MAX_E4, UINT64_MAX, MONEY_RATE_MAX_E6, UINT32_MAX, UINT32_MAX,
	  MANY(RECORD_PRODUCT_ID_MAX), MANY(RECORD_TEXT_MAX), TEXT("ZZZ"),
	  MANY(RECORD_PRODUCT_ID_MAX), MANY(RECORD_OPTIONS_MAX) },
};

/* Empty, ordinary, and with what is largest. */
static const struct basket baskets[] = {
	{ .id = 0 },
	{ .id = 0x0102030405060708, .customer_id = 7, .status = BASKET_SAVED, .carried = true,
	  .version = 0x21222324, .created_us = 1, .updated_us = 2, .merged_us = 3,
	  .submitted_us = 4, .expires_s = 5, .due_s = 6, .email = TEXT("ada@example.com"),
	  .currency = TEXT("EUR"), .line_count = 2, .option_count = 1,
	  .lines = {
		{ .id = 8, .created_us = 9, .updated_us = 10, .version = 11, .quantity = 12,
		  .option_count = 1, .product = TEXT("13") },
		{ .id = 14, .created_us = 15, .updated_us = 16, .version = 17, .quantity = 18,
		  .first_option = 1, .product = TEXT("cap"), .priced = true, .price_e4 = 19,
		  .discount_cents = 20, .name = TEXT("A cap"), .currency = TEXT("EUR") },
	  },
	  .options = { { 21, TEXT("/api/options/1/"), TEXT("blue") } } },
	{ .id = UINT64_MAX, .guest = { 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	  17, 18, 0xff }, .status = BASKET_MERGED, .version = UINT32_MAX,
	  .created_us = UINT64_MAX, .updated_us = UINT64_MAX, .merged_us = UINT64_MAX,
	  .submitted_us = UINT64_MAX, .expires_s = RECORD_NEVER, .due_s = RECORD_NEVER,
	  .email = MANY(RECORD_TEXT_MAX), .line_count = 3, .option_count = 4,
	  .lines = {
		{ .id = 0, .quantity = 1, .option_count = 3, .product = TEXT("x") },
		{ .id = 1, .quantity = MONEY_QUANTITY_MAX - 2, .first_option = 3, .priced = true,
		  .product = MANY(RECORD_PRODUCT_ID_MAX), .price_e4 = MONEY_PRICE_MAX_E4,
		  .discount_cents = MONEY_CENTS_MAX, .name = MANY(RECORD_TEXT_MAX),
		  .currency = TEXT("ZZZ") },
		{ .id = UINT64_MAX, .created_us = UINT64_MAX, .updated_us = UINT64_MAX,
		  .version = UINT32_MAX, .quantity = 1, .first_option = 3, .option_count = 1,
		  .product = TEXT("x"), .priced = true, .currency = TEXT("AAA") },
	  },
	  .options = {
		{ 0, TEXT("a"), TEXT("") }, { 1, MANY(RECORD_OPTION_MAX), TEXT("\0\xff") },
		{ 2, TEXT("a"), MANY(RECORD_OPTION_MAX) }, { UINT64_MAX, TEXT("b"), TEXT("c") },
	  } },
};

static const struct token_key_record token_keys[] = {
	{ .kid = TEXT("k"), .secret = MANY(RECORD_SEED_LEN) },
	{ 1, 0x1122334455667788, 3, 1800, TOKEN_ES256, TEXT("kid"), MANY(RECORD_POINT_LEN),
	  MANY(RECORD_SCALAR_LEN) },
	{ UINT64_MAX, UINT64_MAX, RECORD_NEVER, UINT32_MAX, TOKEN_HS256, MANY(RECORD_KID_MAX),
	  TEXT(""), MANY(RECORD_SEED_LEN) },
};

#define SAMPLES 3       /* of each kind */

static const char kinds[] = {
	RECORD_SESSION, RECORD_CUSTOMER, RECORD_CLIENT, RECORD_PRODUCT, RECORD_BASKET,
	RECORD_TOKEN_KEY,
};

static bool write_sample(struct buf *out, char kind, size_t i)
{
	if (kind == RECORD_SESSION)
		return record_session_write(out, &sessions[i]);
	if (kind == RECORD_CUSTOMER)
		return record_customer_write(out, &customers[i]);
	if (kind == RECORD_PRODUCT)
		return record_product_write(out, &products[i]);
	if (kind == RECORD_BASKET)
		return record_basket_write(out, &baskets[i]);
	if (kind == RECORD_TOKEN_KEY)
		return record_token_key_write(out, &token_keys[i]);
	return record_client_write(out, &clients[i]);
}

static bool reads(char kind, struct slice in)
{
	struct session_record session;
	struct customer_record customer;
	struct client_record client;
	struct product_record product;
	struct token_key_record token_key;
	static struct basket basket;

	if (kind == RECORD_TOKEN_KEY)
		return record_token_key_read(in, &token_key);
	if (kind == RECORD_SESSION)
		return record_session_read(in, &session);
	if (kind == RECORD_PRODUCT)
		return record_product_read(in, &product);
	if (kind == RECORD_BASKET)
		return record_basket_read(in, &basket);
	if (kind == RECORD_CUSTOMER)
		return record_customer_read(in, &customer);
	return record_client_read(in, &client);
}

/* Calls `check` with the bytes of every sample of every kind, in memory of its own. */
static void each_sample(void (*check)(char kind, struct buf *bytes))
{
	char bytes[RECORD_VALUE_MAX];

	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		for (size_t i = 0; i < SAMPLES; i++) {
			struct buf out = BUF(bytes);

			assert_true(write_sample(&out, kinds[k], i));
			check(kinds[k], &out);
		}
	}
}

static int set_up(void **state)
{
	(void)state;
	memset(many, 'm', sizeof many);
	return 0;
}

static void assert_string(struct slice in, struct slice got, struct slice want)
{
	assert_true(slice_eq(got, want));
	assert_true(got.ptr >= in.ptr && got.ptr + got.len <= in.ptr + in.len);
}

static void test_session_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sessions); i++) {
		const struct session_record *want = &sessions[i];
		struct session_record got;
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);
		struct slice in;

		assert_true(record_session_write(&out, want));
		in = guarded(buf_slice(&out));
		assert_true(record_session_read(in, &got));
		assert_int_equal(got.expires_s, want->expires_s);
		assert_int_equal(got.customer_id, want->customer_id);
		assert_int_equal(got.basket_id, want->basket_id);
		assert_string(in, got.login, want->login);
		assert_int_equal(got.created_s, want->created_s);
		assert_int_equal(got.due_s, want->due_s);
		assert_int_equal(got.used_s, want->used_s);
		assert_int_equal(got.via, want->via);
		assert_int_equal(got.flags, want->flags);
		assert_string(in, got.guest_id, want->guest_id);
	}
}

static void test_customer_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(customers); i++) {
		const struct customer_record *want = &customers[i];
		struct customer_record got;
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);
		struct slice in;

		assert_true(record_customer_write(&out, want));
		in = guarded(buf_slice(&out));
		assert_true(record_customer_read(in, &got));
		assert_int_equal(got.id, want->id);
		assert_int_equal(got.joined_us, want->joined_us);
		assert_int_equal(got.flags, want->flags);
		assert_string(in, got.login, want->login);
		assert_string(in, got.email, want->email);
		assert_string(in, got.first_name, want->first_name);
		assert_string(in, got.last_name, want->last_name);
		assert_string(in, got.sealed_password, want->sealed_password);
		assert_int_equal(got.basket_id, want->basket_id);
	}
}

static void test_client_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(clients); i++) {
		const struct client_record *want = &clients[i];
		struct client_record got;
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);
		struct slice in;

		assert_true(record_client_write(&out, want));
		in = guarded(buf_slice(&out));
		assert_true(record_client_read(in, &got));
		assert_int_equal(got.created_s, want->created_s);
		assert_int_equal(got.expires_s, want->expires_s);
		assert_int_equal(got.used_s, want->used_s);
		assert_int_equal(got.scopes, want->scopes);
		assert_int_equal(got.flags, want->flags);
		assert_string(in, got.name, want->name);
		assert_string(in, got.owner, want->owner);
		assert_string(in, got.origins, want->origins);
		assert_int_equal(got.source_count, want->source_count);
		for (uint32_t n = 0; n < want->source_count; n++) {
			assert_int_equal(got.sources[n].prefix, want->sources[n].prefix);
			assert_memory_equal(&got.sources[n].base, &want->sources[n].base,
			                    sizeof want->sources[n].base);
		}
	}
}

static void test_product_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(products); i++) {
		const struct product_record *want = &products[i];
		struct product_record got;
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);
		struct slice in;

		assert_true(record_product_write(&out, want));
		in = guarded(buf_slice(&out));
		assert_true(record_product_read(in, &got));
		assert_true(got.price_e4 == want->price_e4);
		assert_int_equal(got.updated_us, want->updated_us);
		assert_int_equal(got.tax_rate_e6, want->tax_rate_e6);
		assert_int_equal(got.stock, want->stock);
		assert_int_equal(got.max_quantity, want->max_quantity);
		assert_string(in, got.id, want->id);
		assert_string(in, got.name, want->name);
		assert_string(in, got.currency, want->currency);
		assert_string(in, got.stockrecord, want->stockrecord);
		assert_string(in, got.options, want->options);
	}
}

static void test_token_key_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(token_keys); i++) {
		const struct token_key_record *want = &token_keys[i];
		struct token_key_record got;
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);
		struct slice in;

		assert_true(record_token_key_write(&out, want));
		in = guarded(buf_slice(&out));
		assert_true(record_token_key_read(in, &got));
		assert_int_equal(got.created_s, want->created_s);
		assert_int_equal(got.signs_s, want->signs_s);
		assert_int_equal(got.until_s, want->until_s);
		assert_int_equal(got.life_s, want->life_s);
		assert_int_equal(got.alg, want->alg);
		assert_string(in, got.kid, want->kid);
		assert_string(in, got.public, want->public);
		assert_string(in, got.secret, want->secret);
	}
}

static void test_token_keys_that_cannot_be(void **state)
{
	const struct {
		const char *name;
		struct token_key_record r;
	} cases[] = {
		{ "no kid", { .kid = TEXT(""), .secret = MANY(RECORD_SEED_LEN) } },
		{ "kid too long", { .kid = MANY(RECORD_KID_MAX + 1),
		                    .secret = MANY(RECORD_SEED_LEN) } },
		{ "no algorithm", { .alg = TOKEN_ALGS, .kid = TEXT("k"),
		                    .secret = MANY(RECORD_SEED_LEN) } },
		{ "algorithm 255", { .alg = 255, .kid = TEXT("k"), .secret =
		  MANY(RECORD_SEED_LEN) } },
		{ "no seed", { .kid = TEXT("k") } },
		{ "short seed", { .kid = TEXT("k"), .secret = MANY(RECORD_SEED_LEN - 1) } },
		{ "HS256 with a point", { .kid = TEXT("k"), .secret = MANY(RECORD_SEED_LEN),
		                          .public = MANY(RECORD_POINT_LEN) } },
		{ "no point", { .alg = TOKEN_ES256, .kid = TEXT("k"),
		                .secret = MANY(RECORD_SCALAR_LEN) } },
		{ "long point", { .alg = TOKEN_ES256, .kid = TEXT("k"),
		                  .secret = MANY(RECORD_SCALAR_LEN),
		                  .public = MANY(RECORD_POINT_LEN + 1) } },
		{ "a scalar in the clear", { .alg = TOKEN_ES256, .kid = TEXT("k"),
		                             .secret = MANY(32),
		                             .public = MANY(RECORD_POINT_LEN) } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);

		if (record_token_key_write(&out, &cases[i].r))
			fail_msg("%s is written", cases[i].name);
		if (reads(RECORD_TOKEN_KEY, guarded(buf_slice(&out))))
			fail_msg("%s is read", cases[i].name);
	}
}

static void assert_line(struct slice in, const struct basket_line *got,
                        const struct basket_line *want)
{
	assert_int_equal(got->id, want->id);
	assert_int_equal(got->created_us, want->created_us);
	assert_int_equal(got->updated_us, want->updated_us);
	assert_int_equal(got->version, want->version);
	assert_int_equal(got->quantity, want->quantity);
	assert_int_equal(got->first_option, want->first_option);
	assert_int_equal(got->option_count, want->option_count);
	assert_string(in, got->product, want->product);
	assert_int_equal(got->priced, want->priced);
	assert_true(got->price_e4 == want->price_e4);
	assert_true(got->discount_cents == want->discount_cents);
	if (!want->priced) {
		assert_false(slice_given(got->name) || slice_given(got->currency));
		return;
	}
	assert_string(in, got->name, want->name);
	assert_string(in, got->currency, want->currency);
}

static void assert_basket(struct slice in, const struct basket *got, const struct basket *want)
{
	assert_int_equal(got->id, want->id);
	assert_int_equal(got->customer_id, want->customer_id);
	assert_memory_equal(got->guest, want->guest, sizeof want->guest);
	assert_int_equal(got->status, want->status);
	assert_int_equal(got->carried, want->carried);
	assert_int_equal(got->version, want->version);
	assert_int_equal(got->created_us, want->created_us);
	assert_int_equal(got->updated_us, want->updated_us);
	assert_int_equal(got->merged_us, want->merged_us);
	assert_int_equal(got->submitted_us, want->submitted_us);
	assert_int_equal(got->expires_s, want->expires_s);
	assert_int_equal(got->due_s, want->due_s);
	assert_string(in, got->email, want->email);
	assert_string(in, got->currency, want->currency);
	assert_int_equal(got->line_count, want->line_count);
	assert_int_equal(got->option_count, want->option_count);
	for (uint32_t i = 0; i < want->line_count; i++)
		assert_line(in, &got->lines[i], &want->lines[i]);
	for (uint32_t i = 0; i < want->option_count; i++) {
		assert_int_equal(got->options[i].id, want->options[i].id);
		assert_string(in, got->options[i].option, want->options[i].option);
		assert_string(in, got->options[i].value, want->options[i].value);
	}
}

static char basket_bytes[2 * RECORD_BASKET_MAX];
static struct basket got_basket, work_basket;

/* Memory that was not cleared before. */
static bool read_basket(struct slice in)
{
	memset(&got_basket, 0xa5, sizeof got_basket);
	return record_basket_read(in, &got_basket);
}

static void test_basket_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(baskets); i++) {
		struct buf out = BUF(basket_bytes);
		struct slice in;

		assert_true(record_basket_write(&out, &baskets[i]));
		assert_int_equal(record_basket_bytes(&baskets[i]), out.len);
		in = guarded(buf_slice(&out));
		assert_true(read_basket(in));
		assert_basket(in, &got_basket, &baskets[i]);
		assert_int_equal((unsigned char)got_basket.text[0], 0xa5);
	}
}

/* As many lines and options as there may be: all of them on one line, or one on each. */
static void test_basket_of_many_lines(void **state)
{
	(void)state;
	for (uint32_t each = 0; each < 2; each++) {
		struct buf out = BUF(basket_bytes);
		struct slice in;

		memset(&work_basket, 0, sizeof work_basket);
		work_basket.line_count = BASKET_LINES_MAX;
		work_basket.option_count = BASKET_OPTIONS_MAX;
		for (uint32_t i = 0; i < BASKET_LINES_MAX; i++) {
			work_basket.lines[i] = (struct basket_line){
				.id = 3 * (i + 1), .product = SLICE("p"),
				.quantity = MONEY_QUANTITY_MAX / BASKET_LINES_MAX,
				.first_option = each ? i : i > 0 ? BASKET_OPTIONS_MAX : 0,
				.option_count = each ? 1 : i > 0 ? 0 : BASKET_OPTIONS_MAX,
			};
			work_basket.options[i] = (struct basket_option){
				i, TEXT("o"), MANY(i % (RECORD_OPTION_MAX + 1)),
			};
		}
		assert_true(record_basket_write(&out, &work_basket));
		assert_int_equal(record_basket_bytes(&work_basket), out.len);
		in = guarded(buf_slice(&out));
		assert_true(read_basket(in));
		assert_basket(in, &got_basket, &work_basket);
		in.len--;
		assert_false(read_basket(guarded((struct slice){ basket_bytes, in.len })));
		work_basket.lines[500].quantity++;
		out.len = 0;
		assert_false(record_basket_write(&out, &work_basket));
	}
}

/* Stores outlive binaries: these bytes are read by every later version. */
static void test_exact_bytes(void **state)
{
	const struct {
		const char *name;
		char kind;
		struct slice bytes;
	} cases[] = {
		{ "session", RECORD_SESSION,
		  SLICE("S\1" "\1" "\x88\x77\x66\x55\x44\x33\x22\x11" "\7\0\0\0\0\0\0\0"
		        "\x38\x37\x36\x35\x34\x33\x32\x31" "\3\0ada"
		        "\x08\x07\x06\x05\x04\x03\x02\x01" "\x00\xff\xee\xdd\xcc\xbb\xaa\x99"
		        "\x18\x17\x16\x15\x14\x13\x12\x11" "\1" "\5\0guest") },
		{ "customer", RECORD_CUSTOMER,
		  SLICE("C\1" "\1\0\0\0\0\0\0\0" "\xbc\x78\x4b\x52\x27\x44\6\0" "\1\0\0\0"
		        "\3\0ada" "\xf\0ada@example.com" "\3\0Ada" "\x8\0Lovelace"
		        "\3\0\0\xff\n" "\7\0\0\0\0\0\0\0") },
		{ "client", RECORD_CLIENT,
		  SLICE("K\1" "\1\0\0\0\0\0\0\0" "\2\0\0\0\0\0\0\0" "\3\0\0\0\0\0\0\0"
		        "\5\0\0\0" "\2\0\0\0" "\3\0app" "\3\0Ada" "\1"
		        "\0\0\0\0\0\0\0\0\0\0\xff\xff\n\0\0\0\x68"
		        "\x0e\0" "https://a.test") },
		{ "product", RECORD_PRODUCT,
		  SLICE("P\1" "\xf8\x9c\6\0\0\0\0\0" "\x88\x77\x66\x55\x44\x33\x22\x11"
		        "\x50\x34\3\0" "\7\0\0\0" "\x14\0\0\0" "\xd\0" "701642811398M"
		        "\6\0" "Cap \xc3\xa9" "\3\0" "EUR" "\2\0" "12" "\xb\0" "size,colour") },
		{ "basket", RECORD_BASKET,
		  SLICE("B\1" "\1" "\1" "\x24\x23\x22\x21" "\x08\x07\x06\x05\x04\x03\x02\x01"
		        "\7\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		        "\1\0\0\0\0\0\0\0" "\2\0\0\0\0\0\0\0" "\3\0\0\0\0\0\0\0"
		        "\4\0\0\0\0\0\0\0" "\5\0\0\0\0\0\0\0" "\6\0\0\0\0\0\0\0" "\2\0"
		        "\x08\0\0\0\0\0\0\0" "\x09\0\0\0\0\0\0\0" "\x0a\0\0\0\0\0\0\0"
		        "\x0b\0\0\0" "\x0c\0\0\0" "\0" "\1\0" "\2\0" "13"
		        "\x15\0\0\0\0\0\0\0" "\x0f\0" "/api/options/1/" "\4\0" "blue"
		        "\x0e\0\0\0\0\0\0\0" "\x0f\0\0\0\0\0\0\0" "\x10\0\0\0\0\0\0\0"
		        "\x11\0\0\0" "\x12\0\0\0" "\1" "\0\0" "\3\0" "cap"
		        "\x13\0\0\0\0\0\0\0" "\x14\0\0\0\0\0\0\0" "\5\0" "A cap"
		        "\3\0" "EUR" "\xf\0" "ada@example.com" "\3\0" "EUR") },
		{ "token key", RECORD_TOKEN_KEY,
		  SLICE("T\1" "\1\0\0\0\0\0\0\0" "\x88\x77\x66\x55\x44\x33\x22\x11"
		        "\3\0\0\0\0\0\0\0" "\x08\7\0\0" "\1" "\3\0" "kid"
		        "\x41\0" "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
		        "\x3c\0" "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[RECORD_VALUE_MAX];
		struct buf out = BUF(bytes);

		assert_true(write_sample(&out, cases[i].kind, 1));
		if (!slice_eq(buf_slice(&out), cases[i].bytes))
			fail_msg("%s", cases[i].name);
	}
}

/* The fields at the end of a record that those of older versions lack. */
static size_t added_bytes(char kind, const struct buf *bytes)
{
	if (kind != RECORD_BASKET || !record_basket_read(buf_slice(bytes), &got_basket))
		return 0;
	return 2 + got_basket.email.len + 2 + got_basket.currency.len;
}

static void check_cut(char kind, struct buf *bytes)
{
	for (size_t len = 0; len < bytes->len; len++)
		if (reads(kind, guarded((struct slice){ bytes->ptr, len })) &&
		    len + added_bytes(kind, bytes) != bytes->len)
			fail_msg("%c cut to %zu of %zu bytes", kind, len, bytes->len);
}

static void test_cut_at_every_offset(void **state)
{
	(void)state;
	each_sample(check_cut);
	for (size_t k = 0; k < COUNT_OF(kinds); k++)
		assert_false(reads(kinds[k], (struct slice){ 0 }));
}

/* A newer binary may have added fields. */
static void check_trailing(char kind, struct buf *bytes)
{
	for (size_t i = 0; i < 40; i++) {
		buf_char(bytes, (char)(0xff - i));
		assert_true(reads(kind, guarded(buf_slice(bytes))));
	}
}

static void test_trailing_bytes_are_skipped(void **state)
{
	(void)state;
	each_sample(check_trailing);
}

static void check_type_and_major(char kind, struct buf *bytes)
{
	for (size_t at = 0; at < 2; at++) {
		char was = bytes->ptr[at];

		for (int other = 0; other < 256; other++) {
			bytes->ptr[at] = (char)other;
			assert_int_equal(reads(kind, guarded(buf_slice(bytes))),
			                 (char)other == was);
		}
		bytes->ptr[at] = was;
	}
}

static void test_other_type_or_major_is_refused(void **state)
{
	(void)state;
	each_sample(check_type_and_major);
}

static void test_no_room_to_write(void **state)
{
	char bytes[RECORD_VALUE_MAX];

	(void)state;
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		struct buf whole = BUF(bytes), out;

		assert_true(write_sample(&whole, kinds[k], 1));
		for (size_t cap = 0; cap < whole.len; cap++) {
			out = (struct buf){ bytes, 0, cap, false };
			assert_false(write_sample(&out, kinds[k], 1));
			assert_true(out.len <= cap);
		}
		out = (struct buf){ bytes, 0, whole.len, false };
		assert_true(write_sample(&out, kinds[k], 1));
	}
}

static void test_strings_that_lie(void **state)
{
	static const struct {
		char kind;
		size_t length_at;       /* in sample 1 */
	} strings[] = {
		{ RECORD_SESSION, 27 }, { RECORD_CUSTOMER, 22 }, { RECORD_CUSTOMER, 27 },
		{ RECORD_CUSTOMER, 44 }, { RECORD_CUSTOMER, 49 }, { RECORD_CUSTOMER, 59 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(strings); i++) {
		char bytes[RECORD_VALUE_MAX], kind = strings[i].kind;
		char *length = bytes + strings[i].length_at;
		struct buf out = BUF(bytes);
		char low;

		assert_true(write_sample(&out, kind, 1));
		low = length[0];
		assert_int_equal(length[1], 0);
		length[0] = (char)0xff;
		assert_false(reads(kind, guarded(buf_slice(&out))));
		length[0] = low;
		length[1] = (char)0xff;
		assert_false(reads(kind, guarded(buf_slice(&out))));
		length[1] = 0;
		assert_true(reads(kind, guarded(buf_slice(&out))));
	}
}

static void test_string_too_long_to_write(void **state)
{
	static char bytes[1 << 18], text[UINT16_MAX + 1];
	struct customer_record r = { .login = { text, UINT16_MAX } }, got;
	struct buf out = BUF(bytes);

	(void)state;
	assert_true(record_customer_write(&out, &r));
	assert_true(record_customer_read(guarded(buf_slice(&out)), &got));
	assert_int_equal(got.login.len, UINT16_MAX);
	r.login.len++;
	out = BUF(bytes);
	assert_false(record_customer_write(&out, &r));
}

static void test_client_sources_that_lie(void **state)
{
	char bytes[RECORD_VALUE_MAX];
	struct client_record r = clients[1];
	struct buf out = BUF(bytes);
	size_t count_at = 2 + 3 * 8 + 2 * 4 + 2 * 5, prefix_at = count_at + 17;

	(void)state;
	r.source_count = RECORD_SOURCES_MAX + 1;
	assert_false(record_client_write(&out, &r));
	out = BUF(bytes);
	assert_true(record_client_write(&out, &clients[1]));
	assert_int_equal(bytes[count_at], 1);
	bytes[prefix_at] = (char)128;
	assert_true(reads(RECORD_CLIENT, guarded(buf_slice(&out))));
	for (int prefix = 129; prefix < 256; prefix++) {
		bytes[prefix_at] = (char)prefix;
		assert_false(reads(RECORD_CLIENT, guarded(buf_slice(&out))));
	}
	bytes[prefix_at] = 0;
	for (int count = 2; count < 256; count++) {
		bytes[count_at] = (char)count;
		assert_false(reads(RECORD_CLIENT, guarded(buf_slice(&out))));
	}
	while (out.len < 1024)
		buf_char(&out, 0);
	bytes[count_at] = RECORD_SOURCES_MAX;
	assert_true(reads(RECORD_CLIENT, guarded(buf_slice(&out))));
	bytes[count_at] = RECORD_SOURCES_MAX + 1;
	assert_false(reads(RECORD_CLIENT, guarded(buf_slice(&out))));
}

/* Nothing is written that would not be read again. */
static void test_products_that_cannot_be(void **state)
{
	const struct {
		const char *name;
		struct product_record r;
	} cases[] = {
		{ "no id", { .id = SLICE("") } },
		{ "id too long", { .id = MANY(RECORD_PRODUCT_ID_MAX + 1) } },
		{ "name too long", { .name = MANY(RECORD_TEXT_MAX + 1) } },
		{ "price below -1", { .price_e4 = -2 } },
		{ "price too high", { .price_e4 = MONEY_PRICE_MAX_E4 + 1 } },
		{ "least price", { .price_e4 = INT64_MIN } },
		{ "rate too high", { .tax_rate_e6 = MONEY_RATE_MAX_E6 + 1 } },
		{ "no currency", { .currency = SLICE("") } },
		{ "small currency", { .currency = SLICE("eur") } },
		{ "not for sale, long currency", { .price_e4 = -1, .currency = SLICE("EURO") } },
		{ "stockrecord too long", { .stockrecord = MANY(RECORD_PRODUCT_ID_MAX + 1) } },
		{ "options too long", { .options = MANY(RECORD_OPTIONS_MAX + 1) } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[2 * RECORD_VALUE_MAX];
		struct product_record r = cases[i].r;
		struct buf out = BUF(bytes);

		if (!slice_given(r.id))
			r.id = SLICE("1");
		if (!slice_given(r.currency))
			r.currency = SLICE("EUR");
		if (record_product_write(&out, &r))
			fail_msg("%s is written", cases[i].name);
		if (reads(RECORD_PRODUCT, guarded(buf_slice(&out))))
			fail_msg("%s is read", cases[i].name);
	}
}

/* Sample 1 as it stands, with some bytes changed. */
static void test_baskets_that_lie(void **state)
{
	const struct {
		const char *name;
		bool good;
		size_t at;
		struct slice bytes;
	} cases[] = {
		{ "status Merged", true, 2, SLICE("\4") },
		{ "status beyond", false, 2, SLICE("\5") },
		{ "status 255", false, 2, SLICE("\xff") },
		{ "carried 2", false, 3, SLICE("\2") },
		{ "no line", true, 92, SLICE("\0\0") },
		{ "one line", false, 92, SLICE("\1\0") },
		{ "three lines", false, 92, SLICE("\3\0") },
		{ "1000 lines", false, 92, SLICE("\xe8\3") },
		{ "1001 lines", false, 92, SLICE("\xe9\3") },
		{ "65535 lines", false, 92, SLICE("\xff\xff") },
		{ "quantity 0", false, 122, SLICE("\0") },
		{ "quantity 1000001", false, 122, SLICE("\x41\x42\x0f") },
		{ "1000000 together", true, 122, SLICE("\x2e\x42\x0f") },
		{ "1000001 together", false, 122, SLICE("\x2f\x42\x0f") },
		{ "quantities that wrap", false, 122, SLICE("\xff\xff\xff\xff") },
		{ "priced 2", false, 126, SLICE("\2") },
		{ "priced 255", false, 126, SLICE("\xff") },
		{ "two options", false, 127, SLICE("\2\0") },
		{ "1001 options", false, 127, SLICE("\xe9\3") },
		{ "65535 options", false, 127, SLICE("\xff\xff") },
		{ "product of no length", false, 129, SLICE("\0\0") },
		{ "product of 101 bytes", false, 129, SLICE("\x65\0") },
		{ "product beyond the end", false, 129, SLICE("\xff\xff") },
		{ "option of no length", false, 141, SLICE("\0\0") },
		{ "option beyond the end", false, 141, SLICE("\0\1") },
		{ "value beyond the end", false, 158, SLICE("\0\1") },
		{ "next line's id", true, 164, SLICE("\x09") },
		{ "same id twice", false, 164, SLICE("\x08") },
		{ "falling ids", false, 164, SLICE("\x07") },
		{ "price -1", false, 204, SLICE("\xff\xff\xff\xff\xff\xff\xff\xff") },
		{ "highest price", true, 204, SLICE("\xff\x0f\xa5\xd4\xe8\0\0\0") },
		{ "price too high", false, 204, SLICE("\x00\x10\xa5\xd4\xe8\0\0\0") },
		{ "discount -1", false, 212, SLICE("\xff\xff\xff\xff\xff\xff\xff\xff") },
		{ "highest discount", true, 212, SLICE("\xf0\xd8\xc0\x6f\xf2\x86\x23\0") },
		{ "discount too high", false, 212, SLICE("\xf1\xd8\xc0\x6f\xf2\x86\x23\0") },
		{ "small currency", false, 229, SLICE("eur") },
		{ "short currency", false, 227, SLICE("\2") },
		{ "no currency", false, 227, SLICE("\0") },
		{ "address beyond the end", false, 232, SLICE("\x15\0") },
		{ "small wanted currency", false, 251, SLICE("eur") },
		{ "short wanted currency", false, 249, SLICE("\2\0") },
		{ "no wanted currency", true, 249, SLICE("\0\0") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = BUF(basket_bytes);

		assert_true(record_basket_write(&out, &baskets[1]));
		assert_int_equal(out.len, 254);
		memcpy(basket_bytes + cases[i].at, cases[i].bytes.ptr, cases[i].bytes.len);
		if (read_basket(guarded(buf_slice(&out))) != cases[i].good)
			fail_msg("%s", cases[i].name);
	}
}

static void expect_unwritten(const char *name)
{
	struct buf out = BUF(basket_bytes);

	if (record_basket_write(&out, &work_basket))
		fail_msg("%s is written", name);
	memcpy(&work_basket, &baskets[1], sizeof work_basket);
}

static void test_baskets_that_cannot_be(void **state)
{
	struct basket *b = &work_basket;
	struct slice ten = MANY(10);

	(void)state;
	memcpy(b, &baskets[1], sizeof *b);
	b->status = BASKET_STATUSES;
	expect_unwritten("a status beyond");
	b->line_count = BASKET_LINES_MAX + 1;
	expect_unwritten("1001 lines");
	b->line_count = UINT32_MAX;
	expect_unwritten("any number of lines");
	b->option_count = BASKET_OPTIONS_MAX + 1;
	expect_unwritten("1001 options");
	b->option_count = 0;
	expect_unwritten("a line with more options than there are");
	b->option_count = 2;
	b->options[1] = b->options[0];
	expect_unwritten("an option of no line");
	b->lines[0].option_count = 0;
	expect_unwritten("options that do not add up");
	b->lines[1].first_option = 0;
	expect_unwritten("a line at another's options");
	b->lines[1].option_count = UINT32_MAX;
	expect_unwritten("option counts that wrap");
	b->lines[1].quantity = 0;
	expect_unwritten("quantity 0");
	b->lines[1].id = b->lines[0].id;
	expect_unwritten("the same id twice");
	b->lines[0].product.len = 0;
	expect_unwritten("no product");
	b->lines[0].product = (struct slice)MANY(RECORD_PRODUCT_ID_MAX + 1);
	expect_unwritten("a product too long");
	b->lines[1].name = (struct slice)MANY(RECORD_TEXT_MAX + 1);
	expect_unwritten("a name too long");
	b->lines[1].currency = ten;
	expect_unwritten("a currency too long");
	b->lines[1].price_e4 = -1;
	expect_unwritten("a negative price");
	b->lines[1].discount_cents = -1;
	expect_unwritten("a negative discount");
	b->options[0].option.len = 0;
	expect_unwritten("an empty option");
	b->options[0].option = (struct slice)MANY(RECORD_OPTION_MAX + 1);
	expect_unwritten("an option too long");
	b->options[0].value = (struct slice)MANY(RECORD_OPTION_MAX + 1);
	expect_unwritten("a value too long");
	b->email = (struct slice)MANY(RECORD_TEXT_MAX + 1);
	expect_unwritten("an address too long");
	b->currency = ten;
	expect_unwritten("a wanted currency too long");
	b->lines[0].name = ten;         /* of a line without a price of its own: left out */
	assert_true(record_basket_write(&(struct buf){ basket_bytes, 0, 254, false }, b));
}

/* As the first version wrote it: neither address nor currency. */
static void test_basket_of_before(void **state)
{
	struct buf out = BUF(basket_bytes);

	(void)state;
	assert_true(record_basket_write(&out, &baskets[1]));
	assert_true(read_basket(guarded((struct slice){ basket_bytes, 232 })));
	assert_int_equal(got_basket.email.len, 0);
	assert_int_equal(got_basket.currency.len, 0);
	got_basket.email = baskets[1].email;
	got_basket.currency = baskets[1].currency;
	out.len = 0;
	assert_true(record_basket_write(&out, &got_basket));
	assert_int_equal(out.len, 254);
}

static void test_number(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 0x0102030405060708, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		char bytes[9] = { 0 };
		struct buf out = BUF(bytes);
		uint64_t n = 42;

		record_number_write(&out, numbers[i]);
		assert_int_equal(out.len, 8);
		assert_int_equal((unsigned char)bytes[0], numbers[i] & 0xff);
		assert_true(record_number_read(guarded(buf_slice(&out)), &n));
		assert_int_equal(n, numbers[i]);
		for (size_t len = 0; len < 8; len++)
			assert_false(record_number_read(guarded((struct slice){ bytes, len }), &n));
		assert_true(record_number_read(guarded((struct slice){ bytes, 9 }), &n));
	}
}

static void test_key_bytes(void **state)
{
	static const uint8_t digest[RECORD_DIGEST_LEN] = "01234567890123456789012345678901";
	struct record_key k, of;
	struct slice session = slice_bytes(session_key, sizeof session_key);
	struct slice key;

	(void)state;
	key = record_session_key(&k, session_key);
	assert_int_equal(key.len, 21);
	assert_int_equal(key.ptr[0], 'S');
	assert_true(slice_eq(slice_skip(key, 1), session));
	assert_true(slice_eq(record_customer_key(&k, 0x0102030405060708),
	                     SLICE("C\1\2\3\4\5\6\7\x08")));
	assert_true(slice_eq(record_login_key(&k, SLICE("ada")), SLICE("Lada")));
	assert_true(slice_eq(record_client_key(&k, digest),
	                     SLICE("K01234567890123456789012345678901")));
	assert_true(slice_eq(record_client_name_key(&k, SLICE("app")), SLICE("Napp")));
	assert_true(slice_eq(record_meta_key(&k, "next"), SLICE("Mnext")));
	assert_true(slice_eq(record_owner_prefix(&k, 258), SLICE("O\0\0\0\0\0\0\1\2")));
	key = record_owner_key(&k, 258, 3, session_key);
	assert_int_equal(key.len, 37);
	assert_true(slice_starts(key, SLICE("O\0\0\0\0\0\0\1\2\0\0\0\0\0\0\0\3")));
	assert_true(slice_eq(slice_skip(key, 17), session));
	key = record_sweep_key(&k, 258, record_session_key(&of, session_key));
	assert_int_equal(key.len, 30);
	assert_true(slice_starts(key, SLICE("X\0\0\0\0\0\0\1\2S")));
	assert_true(slice_eq(slice_skip(key, 10), session));
	assert_true(slice_eq(record_product_key(&k, SLICE("12")), SLICE("P\2" "12")));
	assert_true(slice_eq(record_product_key(&k, SLICE("012")), SLICE("P\x80" "012")));
	assert_true(slice_eq(record_product_key(&k, SLICE("cap-1")), SLICE("P\x80" "cap-1")));
	assert_true(slice_eq(record_token_key_key(&k, SLICE("kid")), SLICE("Tkid")));
	assert_true(slice_eq(record_basket_key(&k, 258), SLICE("B\0\0\0\0\0\0\1\2")));
	assert_true(slice_eq(record_baskets_of_prefix(&k, 258), SLICE("A\0\0\0\0\0\0\1\2")));
	assert_true(slice_eq(record_baskets_of_key(&k, 258, 3),
	                     SLICE("A\0\0\0\0\0\0\1\2\0\0\0\0\0\0\0\3")));
}

static void test_keys_that_cannot_be(void **state)
{
	struct record_key k;

	(void)state;
	assert_false(slice_given(record_login_key(&k, (struct slice){ 0 })));
	assert_false(slice_given(record_login_key(&k, SLICE(""))));
	assert_false(slice_given(record_login_key(&k, (struct slice)MANY(RECORD_LOGIN_MAX + 1))));
	assert_false(slice_given(record_login_key(&k, (struct slice)MANY(sizeof many))));
	assert_int_equal(record_login_key(&k, (struct slice)MANY(RECORD_LOGIN_MAX)).len,
	                 RECORD_LOGIN_MAX + 1);
	assert_false(slice_given(record_client_name_key(&k, (struct slice){ 0 })));
	assert_false(slice_given(record_client_name_key(&k, SLICE(""))));
	assert_false(slice_given(
		record_client_name_key(&k, (struct slice)MANY(RECORD_NAME_MAX + 1))));
	assert_int_equal(record_client_name_key(&k, (struct slice)MANY(RECORD_NAME_MAX)).len,
	                 RECORD_NAME_MAX + 1);
	assert_false(slice_given(record_product_key(&k, (struct slice){ 0 })));
	assert_false(slice_given(record_product_key(&k, SLICE(""))));
	assert_false(slice_given(
		record_product_key(&k, (struct slice)MANY(RECORD_PRODUCT_ID_MAX + 1))));
	assert_false(slice_given(record_product_key(&k, (struct slice)MANY(sizeof many))));
	assert_int_equal(record_product_key(&k, (struct slice)MANY(RECORD_PRODUCT_ID_MAX)).len,
	                 RECORD_PRODUCT_ID_MAX + 2);
	assert_false(slice_given(record_token_key_key(&k, (struct slice){ 0 })));
	assert_false(slice_given(record_token_key_key(&k, SLICE(""))));
	assert_false(slice_given(
		record_token_key_key(&k, (struct slice)MANY(RECORD_KID_MAX + 1))));
	assert_int_equal(record_token_key_key(&k, (struct slice)MANY(RECORD_KID_MAX)).len,
	                 RECORD_KID_MAX + 1);
	assert_false(slice_given(record_sweep_key(&k, 1, (struct slice)MANY(RECORD_KEY_MAX - 8))));
	assert_int_equal(record_sweep_key(&k, 1, (struct slice)MANY(RECORD_KEY_MAX - 9)).len,
	                 RECORD_KEY_MAX);
}

/* As LMDB compares keys. */
static bool before(struct slice a, struct slice b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order != 0 ? order < 0 : a.len < b.len;
}

static void test_numbers_sort(void **state)
{
	static const uint64_t rising[] = {
		0, 1, 2, 127, 128, 255, 256, 257, 65535, 65536, 1u << 24, UINT32_MAX,
		(uint64_t)UINT32_MAX + 1, (uint64_t)1 << 63, UINT64_MAX,
	};
	struct record_key a, b, of;
	struct slice session = record_session_key(&of, session_key);

	(void)state;
	for (size_t i = 1; i < COUNT_OF(rising); i++) {
		uint64_t low = rising[i - 1], high = rising[i];

		assert_true(before(record_customer_key(&a, low), record_customer_key(&b, high)));
		assert_true(before(record_owner_prefix(&a, low), record_owner_prefix(&b, high)));
		assert_true(before(record_owner_key(&a, low, UINT64_MAX, session_key),
		                   record_owner_prefix(&b, high)));
		assert_true(before(record_owner_key(&a, 7, low, session_key),
		                   record_owner_key(&b, 7, high, session_key)));
		assert_true(before(record_sweep_key(&a, low, session),
		                   record_sweep_key(&b, high, session)));
		assert_true(before(record_basket_key(&a, low), record_basket_key(&b, high)));
		assert_true(before(record_baskets_of_key(&a, low, UINT64_MAX),
		                   record_baskets_of_prefix(&b, high)));
		assert_true(before(record_baskets_of_key(&a, 7, low),
		                   record_baskets_of_key(&b, 7, high)));
	}
}

static void test_products_sort(void **state)
{
	static const char *const rising[] = {
		"0", "1", "2", "9", "10", "11", "99", "100", "4294967296", "18446744073709551616",
		"100000000000000000000", "-1", ".", "00", "01", "010", "0a", "1.5", "1a", "9a", "A",
		"Z", "a", "aa", "ab", "b", "~",
	};
	struct record_key a, b;

	(void)state;
	for (size_t i = 1; i < COUNT_OF(rising); i++)
		if (!before(record_product_key(&a, slice_of(rising[i - 1])),
		            record_product_key(&b, slice_of(rising[i]))))
			fail_msg("%s does not stand before %s", rising[i - 1], rising[i]);
}

static void test_basket_keys_taken_apart(void **state)
{
	struct record_key k;
	struct slice key = record_baskets_of_key(&k, 0x8000000000000001, UINT64_MAX - 1);
	uint64_t customer_id = 0, id = 0;

	(void)state;
	assert_true(record_baskets_of_key_read(guarded(key), &customer_id, &id));
	assert_int_equal(customer_id, 0x8000000000000001);
	assert_int_equal(id, UINT64_MAX - 1);
	for (size_t len = 0; len < key.len; len++)
		assert_false(record_baskets_of_key_read(guarded((struct slice){ key.ptr, len }),
		                                        &customer_id, &id));
	assert_false(record_baskets_of_key_read(slice_bytes(k.bytes, k.len + 1), &customer_id,
	                                        &id));
	k.bytes[0] = RECORD_OWNER;
	assert_false(record_baskets_of_key_read(slice_bytes(k.bytes, k.len), &customer_id, &id));

	key = record_basket_key(&k, 0x8000000000000001);
	assert_true(record_basket_key_read(guarded(key), &id));
	assert_int_equal(id, 0x8000000000000001);
	for (size_t len = 0; len < key.len; len++)
		assert_false(record_basket_key_read(guarded((struct slice){ key.ptr, len }), &id));
	assert_false(record_basket_key_read(slice_bytes(k.bytes, k.len + 1), &id));
	k.bytes[0] = RECORD_CUSTOMER;
	assert_false(record_basket_key_read(slice_bytes(k.bytes, k.len), &id));
}

static void test_owner_key_taken_apart(void **state)
{
	struct record_key k;
	struct slice key = record_owner_key(&k, 0x8000000000000001, UINT64_MAX - 1, session_key);
	const uint8_t *of = NULL;
	uint64_t id = 0, created_s = 0;

	(void)state;
	assert_true(record_owner_key_read(guarded(key), &id, &created_s, &of));
	assert_int_equal(id, 0x8000000000000001);
	assert_int_equal(created_s, UINT64_MAX - 1);
	assert_memory_equal(of, session_key, sizeof session_key);
	for (size_t len = 0; len < key.len; len++)
		assert_false(record_owner_key_read(guarded((struct slice){ key.ptr, len }), &id,
		                                   &created_s, &of));
	k.bytes[k.len++] = 0;
	assert_false(record_owner_key_read(slice_bytes(k.bytes, k.len), &id, &created_s, &of));
	k.len--;
	k.bytes[0] = RECORD_SWEEP;
	assert_false(record_owner_key_read(slice_bytes(k.bytes, k.len), &id, &created_s, &of));
	assert_false(record_owner_key_read((struct slice){ 0 }, &id, &created_s, &of));
}

static void test_sweep_key_taken_apart(void **state)
{
	struct record_key k, of;
	struct slice session = record_session_key(&of, session_key), got;
	struct slice key = record_sweep_key(&k, 0x8000000000000001, session);
	uint64_t due_s = 0;

	(void)state;
	assert_true(record_sweep_key_read(guarded(key), &due_s, &got));
	assert_int_equal(due_s, 0x8000000000000001);
	assert_true(slice_eq(got, session));
	for (size_t len = 0; len <= 9; len++)
		assert_false(record_sweep_key_read(guarded((struct slice){ key.ptr, len }), &due_s,
		                                   &got));
	k.bytes[0] = RECORD_OWNER;
	assert_false(record_sweep_key_read(slice_bytes(k.bytes, k.len), &due_s, &got));
	assert_false(record_sweep_key_read((struct slice){ 0 }, &due_s, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_round_trip),
		cmocka_unit_test(test_customer_round_trip),
		cmocka_unit_test(test_client_round_trip),
		cmocka_unit_test(test_product_round_trip),
		cmocka_unit_test(test_token_key_round_trip),
		cmocka_unit_test(test_token_keys_that_cannot_be),
		cmocka_unit_test(test_basket_round_trip),
		cmocka_unit_test(test_basket_of_many_lines),
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_cut_at_every_offset),
		cmocka_unit_test(test_trailing_bytes_are_skipped),
		cmocka_unit_test(test_other_type_or_major_is_refused),
		cmocka_unit_test(test_no_room_to_write),
		cmocka_unit_test(test_strings_that_lie),
		cmocka_unit_test(test_string_too_long_to_write),
		cmocka_unit_test(test_client_sources_that_lie),
		cmocka_unit_test(test_products_that_cannot_be),
		cmocka_unit_test(test_baskets_that_lie),
		cmocka_unit_test(test_baskets_that_cannot_be),
		cmocka_unit_test(test_basket_of_before),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_key_bytes),
		cmocka_unit_test(test_keys_that_cannot_be),
		cmocka_unit_test(test_numbers_sort),
		cmocka_unit_test(test_products_sort),
		cmocka_unit_test(test_basket_keys_taken_apart),
		cmocka_unit_test(test_owner_key_taken_apart),
		cmocka_unit_test(test_sweep_key_taken_apart),
	};

	return cmocka_run_group_tests_name("record", tests, set_up, NULL);
}
