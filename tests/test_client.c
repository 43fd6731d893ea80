/* test_client.c -- API keys: their text, scopes, names, expiry, sources and last use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client.h"
#include "guard.h"
#include "store.h"

#define NOW_S 1800000000u

static void digest_of(const char *text, uint8_t digest[RECORD_DIGEST_LEN])
{
	client_digest(guarded(slice_of(text)), digest);
}

static enum client_error add(const char *text, const char *name)
{
	struct client_record r = { .name = slice_of(name), .owner = SLICE("Ada"),
	                           .scopes = SCOPE_SHOP, .created_s = NOW_S };
	enum kv_status status;
	enum client_error error = client_add(store, slice_of(text), &r, &status);

	assert_true(error == CLIENT_STORE || status == KV_OK || status == KV_NOT_FOUND);
	return error;
}

static void set_flags(const char *name, uint32_t flags)
{
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record r;

	assert_int_equal(client_find_name(store, slice_of(name), digest, &r), KV_OK);
	r.flags = flags;
	assert_int_equal(client_put(store, digest, &r), KV_OK);
}

static void test_scopes_parse(void **state)
{
	static const struct {
		const char *name, *text;
		bool ok;
		uint32_t scopes;
		const char *bad;
	} cases[] = {
		{ "one",              "shop",               true,  SCOPE_SHOP, "" },
		{ "another",          "login",              true,  SCOPE_LOGIN, "" },
		{ "the last",         "admin",              true,  SCOPE_ADMIN, "" },
		{ "two",              "shop,trusted",       true,  SCOPE_SHOP | SCOPE_TRUSTED, "" },
		{ "any order",        "login,shop",         true,  SCOPE_SHOP | SCOPE_LOGIN, "" },
		{ "blanks",           " shop ,\ttrusted ",  true,  SCOPE_SHOP | SCOPE_TRUSTED, "" },
		{ "twice",            "shop,shop",          true,  SCOPE_SHOP, "" },
		{ "nothing",          "",                   false, 0, "" },
		{ "blanks alone",     "  ",                 false, 0, "" },
		{ "a comma alone",    ",",                  false, 0, "" },
		{ "a comma behind",   "shop,",              false, 0, "" },
		{ "a comma in front", ",shop",              false, 0, "" },
		{ "two commas",       "shop,,login",        false, 0, "" },
		{ "capitals",         "Shop",               false, 0, "Shop" },
		{ "cut",              "sho",                false, 0, "sho" },
		{ "longer",           "shop,shops",         false, 0, "shops" },
		{ "of a later version", "shop,wizard,login", false, 0, "wizard" },
		{ "a blank between",  "shop trusted",       false, 0, "shop trusted" },
		{ "as it is written for none", "-",         false, 0, "-" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint32_t scopes;
		struct slice bad;
		bool ok = client_scopes_parse(guarded(slice_of(cases[i].text)), &scopes, &bad);

		if (ok != cases[i].ok || (ok && scopes != cases[i].scopes) ||
		    (!ok && !slice_eq(bad, slice_of(cases[i].bad))))
			fail_msg("%s", cases[i].name);
	}
}

static void test_scopes_round_trip(void **state)
{
	(void)state;
	for (uint32_t scopes = 0; scopes < 32; scopes++) {
		char text[32];
		struct buf out = BUF(text);
		uint32_t again;
		struct slice bad;

		client_scopes_write(&out, scopes);
		if (scopes == 0) {
			assert_true(slice_eq(buf_slice(&out), SLICE("-")));
			continue;
		}
		assert_true(client_scopes_parse(buf_slice(&out), &again, &bad));
		assert_int_equal(again, scopes);
	}
}

static void test_digest(void **state)
{
	/* SHA-256 of "" and "abc": FIPS 180-4, NIST's example values. */
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{ "",    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t got[RECORD_DIGEST_LEN], want[RECORD_DIGEST_LEN];

		assert_true(hex_decode(slice_of(cases[i].hex), want, sizeof want));
		digest_of(cases[i].text, got);
		assert_memory_equal(got, want, sizeof want);
	}
}

/* base64url of the bytes, then of the SHA-256 of all in front; made with Python's base64 and
 * hashlib. */
static void test_generate(void **state)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
		{ "0000000000000000000000000000000000000000",
		  "sck_AAAAAAAAAAAAAAAAAAAAAAAAAAAzhaxsc" },
		{ "ffffffffffffffffffffffffffffffffffffffff",
		  "sck___________________________8Mpy7pg" },
		{ "000102030405060708090a0b0c0d0e0f10111213",
		  "sck_AAECAwQFBgcICQoLDA0ODxAREhMJILsjr" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t random[20];
		char text[64];
		struct buf out = BUF(text);

		assert_true(hex_decode(slice_of(cases[i].hex), random, sizeof random));
		buf_lit(&out, "> ");
		client_generate(&out, random);
		assert_int_equal(out.len, 2 + 37);
		assert_true(slice_eq(slice_skip(buf_slice(&out), 2), slice_of(cases[i].text)));
		for (out = (struct buf){ text, 0, 0, false }; out.cap < 37; out.cap++) {
			out.len = 0;
			out.full = false;
			client_generate(&out, random);
			assert_true(out.full);
		}
	}
}

static void test_every_bit_shows(void **state)
{
	char first[64], other[64];
	struct buf a = BUF(first);
	uint8_t random[20] = { 0 };

	(void)state;
	client_generate(&a, random);
	for (size_t bit = 0; bit < 8 * sizeof random; bit++) {
		struct buf b = BUF(other);

		random[bit / 8] ^= (uint8_t)(1u << bit % 8);
		client_generate(&b, random);
		random[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_memory_not_equal(first, other, 4 + 27);
		assert_memory_not_equal(first + 31, other + 31, 6);
	}
}

static void test_add_and_find(void **state)
{
	uint8_t digest[RECORD_DIGEST_LEN], again[RECORD_DIGEST_LEN];
	struct client_record r;

	(void)state;
	digest_of("key", digest);
	assert_int_equal(client_find(store, digest, &r), KV_NOT_FOUND);
	assert_int_equal(client_find_name(store, SLICE("app"), again, &r), KV_NOT_FOUND);
	assert_int_equal(add("key", "app"), CLIENT_ADDED);
	assert_int_equal(client_find(store, digest, &r), KV_OK);
	assert_true(slice_eq(r.name, SLICE("app")));
	assert_true(slice_eq(r.owner, SLICE("Ada")));
	assert_int_equal(r.scopes, SCOPE_SHOP);
	assert_int_equal(client_find_name(store, SLICE("app"), again, &r), KV_OK);
	assert_memory_equal(again, digest, sizeof digest);
	assert_int_equal(client_find_name(store, SLICE("App"), again, &r), KV_NOT_FOUND);
	assert_int_equal(client_find_name(store, SLICE("ap"), again, &r), KV_NOT_FOUND);
	assert_int_equal(client_find_name(store, SLICE(""), again, &r), KV_NOT_FOUND);
	digest_of("Key", digest);
	assert_int_equal(client_find(store, digest, &r), KV_NOT_FOUND);
}

/* The text is nowhere in the store, and what is there is no key (requirement A01). */
static void test_only_the_digest_is_stored(void **state)
{
	static const char text[] = "sck_not-to-be-found";
	uint8_t digest[RECORD_DIGEST_LEN], other[RECORD_DIGEST_LEN];
	char place[RECORD_KEY_MAX], hex[2 * RECORD_DIGEST_LEN];
	struct slice after = { 0 }, key, value;
	struct buf out = BUF(hex);
	struct client_record r;

	(void)state;
	assert_int_equal(add(text, "app"), CLIENT_ADDED);
	while (kv_scan(store, SLICE(""), after, &key, &value) == KV_OK) {
		assert_null(memmem(key.ptr, key.len, text, sizeof text - 1));
		assert_null(memmem(value.ptr, value.len, text, sizeof text - 1));
		memcpy(place, key.ptr, key.len);
		after = (struct slice){ place, key.len };
	}
	digest_of(text, digest);
	client_digest(slice_bytes(digest, sizeof digest), other);
	assert_int_equal(client_find(store, other, &r), KV_NOT_FOUND);
	buf_hex(&out, slice_bytes(digest, sizeof digest));
	client_digest(buf_slice(&out), other);
	assert_int_equal(client_find(store, other, &r), KV_NOT_FOUND);
}

static void test_names_and_keys_taken(void **state)
{
	uint8_t digest[RECORD_DIGEST_LEN], old[RECORD_DIGEST_LEN];
	struct client_record r;

	(void)state;
	assert_int_equal(add("key", "app"), CLIENT_ADDED);
	assert_int_equal(add("key", "other"), CLIENT_KEY_TAKEN);
	assert_int_equal(add("other", "app"), CLIENT_NAME_TAKEN);
	assert_int_equal(add("key", "app"), CLIENT_KEY_TAKEN);
	set_flags("app", CLIENT_DISABLED);
	assert_int_equal(add("other", "app"), CLIENT_NAME_TAKEN);
	set_flags("app", CLIENT_REVOKED | CLIENT_DISABLED);
	assert_int_equal(add("key", "app"), CLIENT_KEY_TAKEN);
	assert_int_equal(add("other", "app"), CLIENT_ADDED);
	assert_int_equal(client_find_name(store, SLICE("app"), digest, &r), KV_OK);
	assert_int_equal(r.flags, 0);
	digest_of("key", old);
	assert_memory_not_equal(digest, old, sizeof old);
	assert_int_equal(client_find(store, old, &r), KV_OK);   /* revoked for good */
	assert_int_equal(r.flags, CLIENT_REVOKED | CLIENT_DISABLED);
	assert_int_equal(add("third", "app"), CLIENT_NAME_TAKEN);
}

/* To give no name, or one that is too long, is a mistake of ours: the batch is not kept. */
static void test_name_that_cannot_be(void **state)
{
	static const char *const names[] = {
		"", "12345678901234567890123456789012345678901234567890123456789012345",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		store_hide_log();
		assert_int_equal(add("key", names[i]), CLIENT_STORE);
		assert_int_equal(store_show_log(), 1);
		assert_int_equal(kv_commit(store), KV_IO);
		assert_int_equal(kv_begin(store), KV_OK);
	}
	assert_int_equal(store_entries(), 0);
}

static void test_usable(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
		uint64_t expires_s;
		const char *sources, *from;
		bool usable;
	} cases[] = {
		{ "plain",               0, 0, "", "192.0.2.1", true },
		{ "disabled",            CLIENT_DISABLED, 0, "", "192.0.2.1", false },
		{ "revoked",             CLIENT_REVOKED, 0, "", "192.0.2.1", false },
		{ "flag of a later version", 4, 0, "", "192.0.2.1", false },
		{ "expires later",       0, NOW_S + 1, "", "192.0.2.1", true },
		{ "expires now",         0, NOW_S, "", "192.0.2.1", false },
		{ "expired",             0, NOW_S - 1, "", "192.0.2.1", false },
		{ "expired long ago",    0, 1, "", "192.0.2.1", false },
		{ "from its network",    0, 0, "192.0.2.0/24", "192.0.2.255", true },
		{ "from beside it",      0, 0, "192.0.2.0/24", "192.0.3.0", false },
		{ "from the second",     0, 0, "192.0.2.0/24 2001:db8::/32", "2001:db8::1", true },
		{ "from neither",        0, 0, "192.0.2.0/24 2001:db8::/32", "2001:db9::1", false },
		{ "IPv6 for IPv4",       0, 0, "192.0.2.0/24", "2001:db8::1", false },
		{ "mapped",              0, 0, "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "anywhere, IPv4",      0, 0, "0.0.0.0/0", "203.0.113.9", true },
		{ "anywhere, IPv4 alone", 0, 0, "0.0.0.0/0", "2001:db8::1", false },
		{ "its network, revoked", CLIENT_REVOKED, 0, "192.0.2.0/24", "192.0.2.1", false },
		{ "its network, expired", 0, NOW_S, "192.0.2.0/24", "192.0.2.1", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct client_record r = { .flags = cases[i].flags,
		                           .expires_s = cases[i].expires_s };
		struct slice sources = slice_of(cases[i].sources);
		struct address from;

		while (sources.len > 0)
			assert_true(network_parse(slice_cut(&sources, ' '),
			                          &r.sources[r.source_count++]));
		assert_true(address_parse(slice_of(cases[i].from), &from));
		if (client_usable(&r, &from, NOW_S) != cases[i].usable)
			fail_msg("%s", cases[i].name);
	}
}

static void test_next(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct record_key after = { .len = 0 };
	uint8_t digest[RECORD_DIGEST_LEN], last[RECORD_DIGEST_LEN] = { 0 };
	unsigned seen = 0, count = 0;
	struct client_record r;

	(void)state;
	assert_int_equal(client_next(store, &after, digest, &r), KV_NOT_FOUND);
	assert_int_equal(kv_put(store, SLICE("L"), SLICE("before")), KV_OK);
	assert_int_equal(kv_put(store, SLICE("J"), SLICE("behind")), KV_OK);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(add(names[i], names[i]), CLIENT_ADDED);
	for (; client_next(store, &after, digest, &r) == KV_OK; count++) {
		assert_int_equal(r.name.len, 1);
		seen |= 1u << (r.name.ptr[0] - 'a');
		assert_true(memcmp(last, digest, sizeof last) < 0);
		memcpy(last, digest, sizeof last);
		digest_of(names[r.name.ptr[0] - 'a'], digest);
		assert_memory_equal(last, digest, sizeof last);
	}
	assert_int_equal(count, COUNT_OF(names));
	assert_int_equal(seen, 31);
}

/* Damage is no missing key: it is never answered with 403 (requirement S16). */
static void test_damaged_records(void **state)
{
	uint8_t digest[RECORD_DIGEST_LEN], other[RECORD_DIGEST_LEN];
	struct record_key key, after = { .len = 0 };
	struct client_record r;
	enum kv_status status;

	(void)state;
	assert_int_equal(add("key", "app"), CLIENT_ADDED);
	digest_of("key", digest);
	assert_int_equal(kv_put(store, record_client_key(&key, digest), SLICE("K\1")), KV_OK);
	assert_int_equal(client_find(store, digest, &r), KV_IO);
	assert_int_equal(client_find_name(store, SLICE("app"), other, &r), KV_IO);
	assert_int_equal(client_next(store, &after, other, &r), KV_IO);
	r = (struct client_record){ .name = SLICE("app") };
	assert_int_equal(client_add(store, SLICE("key"), &r, &status), CLIENT_STORE);
	assert_int_equal(status, KV_IO);
	assert_int_equal(client_add(store, SLICE("new"), &r, &status), CLIENT_STORE);
	assert_int_equal(status, KV_IO);
	assert_int_equal(kv_put(store, record_client_name_key(&key, SLICE("short")),
	                        SLICE("0123456789")), KV_OK);
	assert_int_equal(client_find_name(store, SLICE("short"), other, &r), KV_IO);
}

static void test_record_too_long_to_put(void **state)
{
	static const char text[RECORD_VALUE_MAX];
	const struct client_record r = { .owner = { text, sizeof text } };
	uint8_t digest[RECORD_DIGEST_LEN] = { 0 };

	(void)state;
	assert_int_equal(client_put(store, digest, &r), KV_IO);
	assert_int_equal(store_entries(), 0);
}

/* At most one write an hour for a key in constant use. */
static void test_last_use(void **state)
{
	struct client_record r = { 0 };
	unsigned writes = 0;

	(void)state;
	for (uint64_t now_s = NOW_S; now_s < NOW_S + 86400; now_s += 7) {
		assert_true(client_use_mark(now_s) <= now_s);
		assert_true(client_use_mark(now_s) > now_s - 3600);
		if (!client_use_due(&r, now_s))
			continue;
		r.used_s = client_use_mark(now_s);
		assert_false(client_use_due(&r, now_s));
		writes++;
	}
	assert_in_range(writes, 24, 25);
	assert_false(client_use_due(&r, NOW_S));        /* the clock went back */
}

static void test_judge(void **state)
{
	static char long_text[CLIENT_KEY_MAX + 1];
	static const struct {
		const char *name, *owner, *key;
		enum client_error error;
	} rows[] = {
		{ "web", "", "k", CLIENT_ADDED },
		{ "web", "\xc3\x9cn\xc3\xaf Ltd", "a key of words", CLIENT_ADDED },
		{ "", "", "k", CLIENT_NAME_BAD },
		{ "-", "", "k", CLIENT_NAME_BAD },
		{ "two words", "", "k", CLIENT_NAME_BAD },
		{ "\xc3\xa9", "", "k", CLIENT_NAME_BAD },
		{ "web", "two\nlines", "k", CLIENT_OWNER_BAD },
		{ "web", long_text, "k", CLIENT_OWNER_BAD },
		{ "web", "", "", CLIENT_KEY_BAD },
		{ "web", "", " k", CLIENT_KEY_BAD },
		{ "web", "", "k ", CLIENT_KEY_BAD },
		{ "web", "", "k\xc3\xa9y", CLIENT_KEY_BAD },
	};

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct client_record r = { .name  = slice_of(rows[i].name),
			                         .owner = slice_of(rows[i].owner) };

		if (client_judge(slice_of(rows[i].key), &r) != rows[i].error)
			fail_msg("%zu: %s", i, client_error_text(rows[i].error));
	}
	assert_string_equal(client_error_text((enum client_error)99), "unknown");
}

static void test_sources(void **state)
{
	struct client_record r = { 0 };
	char text[CLIENT_SOURCES_MAX];
	struct buf out = BUF(text);
	struct slice bad;

	(void)state;
	assert_true(client_sources_parse(SLICE("10.0.0.0/8, 2001:db8::/32,192.0.2.1"), &r, &bad));
	client_sources_write(&out, &r);
	assert_true(slice_eq(buf_slice(&out), SLICE("10.0.0.0/8,2001:db8::/32,192.0.2.1")));
	assert_false(client_sources_parse(SLICE("::1,10.0.0.0/33"), &r, &bad));
	assert_true(slice_eq(bad, SLICE("10.0.0.0/33")));
	r.source_count = 0;
	assert_false(client_sources_parse(SLICE("::1,::1,::1,::1,::1,::1,::1,::1,::1"), &r, &bad));
	assert_false(slice_given(bad));
	assert_int_equal(r.source_count, RECORD_SOURCES_MAX);
	out.len = 0;
	client_sources_write(&out, &r);
	assert_false(out.full);
}

/* Disabled and enabled again; revoked for good. */
static void test_change(void **state)
{
	static const struct {
		uint32_t set, clear;
		enum client_error error;
		const char *state;
	} steps[] = {
		{ CLIENT_DISABLED, 0, CLIENT_ADDED, "disabled" },
		{ CLIENT_DISABLED, 0, CLIENT_ADDED, "disabled" },
		{ 0, CLIENT_DISABLED, CLIENT_ADDED, "active" },
		{ CLIENT_REVOKED, 0, CLIENT_ADDED, "revoked" },
		{ CLIENT_REVOKED, 0, CLIENT_ADDED, "revoked" },
		{ 0, CLIENT_DISABLED, CLIENT_REVOKED_ONCE, "revoked" },
		{ CLIENT_DISABLED, 0, CLIENT_REVOKED_ONCE, "revoked" },
	};
	struct client_record r = { .name = SLICE("web"), .expires_s = NOW_S + 10 };
	uint8_t digest[RECORD_DIGEST_LEN];
	enum kv_status status;

	(void)state;
	assert_int_equal(client_change(store, SLICE("web"), CLIENT_DISABLED, 0, &status),
	                 CLIENT_STORE);
	assert_int_equal(status, KV_NOT_FOUND);
	assert_int_equal(client_add(store, SLICE("k"), &r, &status), CLIENT_ADDED);
	assert_string_equal(client_state_text(&r, NOW_S + 10), "expired");
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		assert_int_equal(client_change(store, SLICE("web"), steps[i].set, steps[i].clear,
		                               &status), steps[i].error);
		assert_int_equal(client_find_name(store, SLICE("web"), digest, &r), KV_OK);
		assert_string_equal(client_state_text(&r, NOW_S), steps[i].state);
	}
}

#define IN_A_BATCH(f) cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scopes_parse),
		cmocka_unit_test(test_scopes_round_trip),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_every_bit_shows),
		IN_A_BATCH(test_add_and_find),
		IN_A_BATCH(test_only_the_digest_is_stored),
		IN_A_BATCH(test_names_and_keys_taken),
		IN_A_BATCH(test_name_that_cannot_be),
		cmocka_unit_test(test_usable),
		IN_A_BATCH(test_next),
		IN_A_BATCH(test_damaged_records),
		IN_A_BATCH(test_record_too_long_to_put),
		cmocka_unit_test(test_last_use),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_sources),
		IN_A_BATCH(test_change),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
