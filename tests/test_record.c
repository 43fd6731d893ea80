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

static const struct session_record sessions[] = {
	{ 0 },
	{ 0x1122334455667788, 0x99aabbccddeeff00, 7, 0x0102030405060708, 0x1112131415161718,
	  0x21222324, 1 },
	{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT8_MAX },
};

static char many[4096];         /* of the letter `m` */
#define MANY(n) { many, (n) }

static const struct customer_record customers[] = {
	{ 0 },
	{ 1, 1763785535355068, 3, CUSTOMER_DISABLED, { "ada", 3 }, { "ada@example.com", 15 },
	  { "Ada", 3 }, { "Lovelace", 8 }, { "\0\xff\n", 3 } },
	{ UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX, MANY(RECORD_LOGIN_MAX),
	  MANY(RECORD_TEXT_MAX), MANY(RECORD_TEXT_MAX), MANY(RECORD_TEXT_MAX), MANY(284) },
};

static const struct client_record clients[] = {
	{ 0 },
	{ 1, 2, 3, SCOPE_SHOP | SCOPE_LOGIN, CLIENT_REVOKED,
	  { { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0 } }, 104 } }, 1,
	  { "app", 3 }, { "Ada", 3 } },
	{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX,
	  { { { { 1 } }, 0 }, { { { 2 } }, 1 }, { { { 3 } }, 8 }, { { { 4 } }, 64 },
	    { { { 5 } }, 96 }, { { { 6 } }, 127 }, { { { 7 } }, 128 }, { { { 8 } }, 128 } },
	  RECORD_SOURCES_MAX, MANY(RECORD_NAME_MAX), MANY(RECORD_TEXT_MAX) },
};

#define SAMPLES 3       /* of each kind */

static const char kinds[] = { RECORD_SESSION, RECORD_CUSTOMER, RECORD_CLIENT };

static bool write_sample(struct buf *out, char kind, size_t i)
{
	if (kind == RECORD_SESSION)
		return record_session_write(out, &sessions[i]);
	if (kind == RECORD_CUSTOMER)
		return record_customer_write(out, &customers[i]);
	return record_client_write(out, &clients[i]);
}

static bool reads(char kind, struct slice in)
{
	struct session_record session;
	struct customer_record customer;
	struct client_record client;

	if (kind == RECORD_SESSION)
		return record_session_read(in, &session);
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

		assert_true(record_session_write(&out, want));
		assert_true(record_session_read(guarded(buf_slice(&out)), &got));
		assert_int_equal(got.expires_s, want->expires_s);
		assert_int_equal(got.due_s, want->due_s);
		assert_int_equal(got.customer_id, want->customer_id);
		assert_int_equal(got.created_s, want->created_s);
		assert_int_equal(got.used_s, want->used_s);
		assert_int_equal(got.epoch, want->epoch);
		assert_int_equal(got.via, want->via);
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
		assert_int_equal(got.epoch, want->epoch);
		assert_int_equal(got.flags, want->flags);
		assert_string(in, got.login, want->login);
		assert_string(in, got.email, want->email);
		assert_string(in, got.first_name, want->first_name);
		assert_string(in, got.last_name, want->last_name);
		assert_string(in, got.sealed_password, want->sealed_password);
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
		assert_int_equal(got.source_count, want->source_count);
		for (uint32_t n = 0; n < want->source_count; n++) {
			assert_int_equal(got.sources[n].prefix, want->sources[n].prefix);
			assert_memory_equal(&got.sources[n].base, &want->sources[n].base,
			                    sizeof want->sources[n].base);
		}
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
		  SLICE("S\1" "\1" "\x24\x23\x22\x21" "\x88\x77\x66\x55\x44\x33\x22\x11"
		        "\x00\xff\xee\xdd\xcc\xbb\xaa\x99" "\7\0\0\0\0\0\0\0"
		        "\x08\x07\x06\x05\x04\x03\x02\x01" "\x18\x17\x16\x15\x14\x13\x12\x11") },
		{ "customer", RECORD_CUSTOMER,
		  SLICE("C\1" "\1\0\0\0\0\0\0\0" "\xbc\x78\x4b\x52\x27\x44\6\0" "\3\0\0\0"
		        "\1\0\0\0" "\3\0ada" "\xf\0ada@example.com" "\3\0Ada" "\x8\0Lovelace"
		        "\3\0\0\xff\n") },
		{ "client", RECORD_CLIENT,
		  SLICE("K\1" "\1\0\0\0\0\0\0\0" "\2\0\0\0\0\0\0\0" "\3\0\0\0\0\0\0\0"
		        "\5\0\0\0" "\2\0\0\0" "\3\0app" "\3\0Ada" "\1"
		        "\0\0\0\0\0\0\0\0\0\0\xff\xff\n\0\0\0\x68") },
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

static void check_cut(char kind, struct buf *bytes)
{
	for (size_t len = 0; len < bytes->len; len++)
		if (reads(kind, guarded((struct slice){ bytes->ptr, len })))
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

static void test_customer_strings_that_lie(void **state)
{
	static const size_t length_at[] = { 26, 31, 48, 53, 63 };       /* in sample 1 */
	char bytes[RECORD_VALUE_MAX];
	struct buf out = BUF(bytes);

	(void)state;
	assert_true(write_sample(&out, RECORD_CUSTOMER, 1));
	for (size_t i = 0; i < COUNT_OF(length_at); i++) {
		char low = bytes[length_at[i]], high = bytes[length_at[i] + 1];

		bytes[length_at[i]] = (char)0xff;
		assert_false(reads(RECORD_CUSTOMER, guarded(buf_slice(&out))));
		bytes[length_at[i]] = low;
		bytes[length_at[i] + 1] = (char)0xff;
		assert_false(reads(RECORD_CUSTOMER, guarded(buf_slice(&out))));
		bytes[length_at[i] + 1] = high;
	}
	bytes[63]++;            /* one byte more than there is */
	assert_false(reads(RECORD_CUSTOMER, guarded(buf_slice(&out))));
	bytes[63]--;
	assert_true(reads(RECORD_CUSTOMER, guarded(buf_slice(&out))));
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
	}
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
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_cut_at_every_offset),
		cmocka_unit_test(test_trailing_bytes_are_skipped),
		cmocka_unit_test(test_other_type_or_major_is_refused),
		cmocka_unit_test(test_no_room_to_write),
		cmocka_unit_test(test_customer_strings_that_lie),
		cmocka_unit_test(test_string_too_long_to_write),
		cmocka_unit_test(test_client_sources_that_lie),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_key_bytes),
		cmocka_unit_test(test_keys_that_cannot_be),
		cmocka_unit_test(test_numbers_sort),
		cmocka_unit_test(test_owner_key_taken_apart),
		cmocka_unit_test(test_sweep_key_taken_apart),
	};

	return cmocka_run_group_tests_name("record", tests, set_up, NULL);
}
