/* test_identity.c -- who is calling: keys, addresses, realms, sessions, and what is refused
 * first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client.h"
#include "guard.h"
#include "identity.h"
#include "store.h"

#define NOW_S 1800000000u
#define KEY_OF_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct config config;
static const struct slice secret = { "test-secret", 11 };

/* The session that login made under this identifier. */
#define SID_ADA  "SID:AUTH:shop.test:ada"
#define SID_BOB  "SID:AUTH:shop.test:bob"       /* disabled */
#define SID_OLD  "SID:AUTH:shop.test:old"       /* expired */
#define SID_NONE "SID:AUTH:shop.test:none"
#define SID_ANON "SID:ANON:shop.test:anyone"

static void add_key(const char *text, const char *name, uint32_t scopes, uint32_t flags,
                    uint64_t expires_s, const char *source)
{
	struct client_record r = { .name = slice_of(name), .scopes = scopes, .flags = flags,
	                           .expires_s = expires_s, .used_s = client_use_mark(NOW_S) };
	enum kv_status status;

	if (source != NULL)
		assert_true(network_parse(slice_of(source), &r.sources[r.source_count++]));
	assert_int_equal(client_add(store, slice_of(text), &r, &status), CLIENT_ADDED);
}

static void key_of(const char *header, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	struct sid sid;

	assert_int_equal(sid_parse(slice_of(header), SID_OSCARAPI, &sid), SID_OK);
	sid_key(&sid, sid.type, secret, key);
}

static void add_customer(const char *login, uint32_t flags, const char *header, uint64_t now_s)
{
	struct customer_record r = { .login = slice_of(login), .flags = flags };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status;

	assert_int_equal(customer_next_id(store, &r.id), KV_OK);
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
	key_of(header, key);
	assert_int_equal(session_start(store, &config, key, r.id, VIA_HEADER, now_s), KV_OK);
}

static uint64_t id_of_ada(void)
{
	struct customer_record c;

	assert_int_equal(customer_find(store, SLICE("ada"), &c), KV_OK);
	return c.id;
}

/* Changes to the store: what a writer does beside the front. */
static void begin(void)
{
	kv_reset(store);
	assert_int_equal(kv_begin(store), KV_OK);
}

static void commit(void)
{
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_refresh(store), KV_OK);
}

static unsigned looked_up;      /* records, by the code under test too */

enum kv_status __real_kv_get(struct kv *kv, struct slice key, struct slice *value);
enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value);

enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value)
{
	looked_up++;
	return __real_kv_get(kv, key, value);
}

/* One request at a time, and who it is from. */
static struct http_request request;
static struct identity id;
static struct address peer;
static struct identity_question question = {
	.config = &config, .sid_secret = { "test-secret", 11 }, .request = &request,
	.peer = &peer,
};

/* A store as a front has it, on a snapshot. */
static int set_up(void **state)
{
	store_set_up(state);
	config_defaults(&config);
	question.kv = store;
	question.memo = NULL;
	question.now_s = NOW_S;
	add_key("trusted", "app", SCOPE_SHOP | SCOPE_TRUSTED, 0, 0, NULL);
	add_key("shop", "shop", SCOPE_SHOP, 0, 0, NULL);
	add_key("off", "off", SCOPE_TRUSTED, CLIENT_DISABLED, 0, NULL);
	add_key("gone", "gone", SCOPE_TRUSTED, CLIENT_REVOKED, 0, NULL);
	add_key("late", "late", SCOPE_TRUSTED, 0, NOW_S, NULL);
	add_key("soon", "soon", SCOPE_TRUSTED, 0, NOW_S + 1, NULL);
	add_key("lan", "lan", SCOPE_TRUSTED, 0, 0, "10.0.0.0/8");
	add_key(KEY_OF_64, "long", SCOPE_TRUSTED, 0, 0, NULL);
	add_key(KEY_OF_64 "x", "longer", SCOPE_TRUSTED, 0, 0, NULL);
	add_key("Basic", "no scheme", SCOPE_TRUSTED, 0, 0, NULL);
	add_key("dXNlcjpwdw==", "basic", SCOPE_TRUSTED, 0, 0, NULL);
	add_customer("ada", 0, SID_ADA, NOW_S);
	add_customer("bob", CUSTOMER_DISABLED, SID_BOB, NOW_S);
	add_customer("old", 0, SID_OLD, NOW_S - config.session_ttl_s);
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin_read(store), KV_OK);
	return 0;
}

/* `fields` is whole lines; without a Host among them there is that of the shop. */
static void read_request(const char *fields)
{
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	static char text[4096];
	struct http_refusal refusal;
	int len = snprintf(text, sizeof text, "GET /resolve HTTP/1.1\r\n%s%s\r\n",
	                   strstr(fields, "\nHost:") == NULL && strncmp(fields, "Host:", 5) != 0
	                   ? "Host: shop.test\r\n" : "", fields);

	http_request_init(&request);
	assert_in_range(len, 1, sizeof text - 1);
	if (http_parse(&request, guarded((struct slice){ text, (size_t)len }), &limits,
	               &refusal) != HTTP_READY)
		fail_msg("%s is no request", fields);
}

static enum kv_status ask(const char *fields, const char *from)
{
	read_request(fields);
	assert_true(address_parse(slice_of(from), &peer));
	memset(&id, 0xa5, sizeof id);
	return identify(&question, &id);
}

/* `name=value` pairs with blanks between, over the defaults. */
static void set_config(const char *text)
{
	struct slice rest = slice_of(text);
	char error[CONFIG_ERROR_MAX];

	config_defaults(&config);
	while (rest.len > 0) {
		struct slice value = slice_cut(&rest, ' '), name = slice_cut(&value, '=');

		if (!config_set(&config, name, value, "test", error))
			fail_msg("%s", error);
	}
}

static void assert_nobody(void)
{
	assert_int_equal(id.kind, IDENTITY_NONE);
	assert_int_equal(id.via, VIA_NONE);
	assert_false(id.renewal_due);
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(identity_kind_text(IDENTITY_NONE), "none");
	assert_string_equal(identity_kind_text(IDENTITY_GUEST), "guest");
	assert_string_equal(identity_kind_text(IDENTITY_CUSTOMER), "customer");
	assert_string_equal(identity_via_text(VIA_NONE), "none");
	assert_string_equal(identity_via_text(VIA_HEADER), "header");
	assert_string_equal(identity_via_text(VIA_COOKIE), "cookie");
	assert_string_equal(identity_via_text(VIA_RETIRED), "retired");
	assert_string_equal(identity_via_text(VIA_TOKEN), "token");
	assert_string_equal(identity_via_text(VIA_DWSID), "cookie");
	assert_string_equal(identity_via_text(VIA_GUEST), "guest");
}

#define AUTHORIZATION(value) "Authorization: " value "\r\n"
#define X_API_KEY(value)     "X-Api-Key: " value "\r\n"
#define SESSION_ID(value)    "Session-Id: " value "\r\n"
#define FORWARDED_FOR(value) "X-Forwarded-For: " value "\r\n"
#define FORWARDED_HOST(value) "X-Forwarded-Host: " value "\r\n"
#define HOST(value)          "Host: " value "\r\n"

/* Every row with the gateway off and on, without a memo and twice over one. */
static void test_keys(void **state)
{
	static const struct {
		const char *name, *fields;
		enum identity_refusal refusal;
		const char *client;             /* NULL: none */
	} cases[] = {
		{ "no key", "", IDENTITY_KEY_MISSING, NULL },
		{ "alone", AUTHORIZATION("trusted"), IDENTITY_ADMITTED, "app" },
		{ "after its scheme", AUTHORIZATION("ApiKey trusted"), IDENTITY_ADMITTED, "app" },
		{ "scheme in capitals", AUTHORIZATION("APIKEY shop"), IDENTITY_ADMITTED, "shop" },
		{ "two blanks", AUTHORIZATION("ApiKey   shop"), IDENTITY_ADMITTED, "shop" },
		{ "in the other field", X_API_KEY("shop"), IDENTITY_ADMITTED, "shop" },
		{ "the field in capitals", "X-API-KEY: shop\r\n", IDENTITY_ADMITTED, "shop" },
		{ "in both", AUTHORIZATION("shop") X_API_KEY("shop"), IDENTITY_ADMITTED, "shop" },
		{ "in both, with scheme", X_API_KEY("shop") AUTHORIZATION("ApiKey shop"),
		  IDENTITY_ADMITTED, "shop" },
		{ "two of them", AUTHORIZATION("shop") X_API_KEY("trusted"),
		  IDENTITY_KEYS_DISAGREE, NULL },
		{ "a good one and a bad", AUTHORIZATION("bad") X_API_KEY("trusted"),
		  IDENTITY_KEYS_DISAGREE, NULL },
		{ "a good one and an empty", AUTHORIZATION("shop") X_API_KEY(""),
		  IDENTITY_KEYS_DISAGREE, NULL },
		{ "an empty one and a good", AUTHORIZATION("") X_API_KEY("shop"),
		  IDENTITY_KEYS_DISAGREE, NULL },
		{ "one the other's front", AUTHORIZATION("sho") X_API_KEY("shop"),
		  IDENTITY_KEYS_DISAGREE, NULL },
		{ "unknown", AUTHORIZATION("bad"), IDENTITY_KEY_BAD, NULL },
		{ "unknown, other field", X_API_KEY("bad"), IDENTITY_KEY_BAD, NULL },
		{ "cut", AUTHORIZATION("truste"), IDENTITY_KEY_BAD, NULL },
		{ "longer", AUTHORIZATION("trusted1"), IDENTITY_KEY_BAD, NULL },
		{ "in capitals", AUTHORIZATION("TRUSTED"), IDENTITY_KEY_BAD, NULL },
		{ "empty", AUTHORIZATION(""), IDENTITY_KEY_BAD, NULL },
		{ "empty, other field", X_API_KEY(""), IDENTITY_KEY_BAD, NULL },
		{ "the scheme alone", AUTHORIZATION("ApiKey"), IDENTITY_KEY_BAD, NULL },
		{ "scheme in the other field", X_API_KEY("ApiKey shop"), IDENTITY_KEY_BAD, NULL },
		{ "a scheme of others", AUTHORIZATION("Token shop"), IDENTITY_KEY_BAD, NULL },
		{ "a tab behind it", AUTHORIZATION("ApiKey\tshop"), IDENTITY_KEY_BAD, NULL },
		{ "Basic", AUTHORIZATION("Basic dXNlcjpwdw=="), IDENTITY_KEY_MISSING, NULL },
		{ "basic", AUTHORIZATION("basic trusted"), IDENTITY_KEY_MISSING, NULL },
		{ "Basic alone, a key's text", AUTHORIZATION("Basic"), IDENTITY_KEY_MISSING, NULL },
		{ "Basic beside a key", AUTHORIZATION("Basic dXNlcjpwdw==") X_API_KEY("shop"),
		  IDENTITY_ADMITTED, "shop" },
		{ "disabled", AUTHORIZATION("off"), IDENTITY_KEY_BAD, NULL },
		{ "revoked", AUTHORIZATION("gone"), IDENTITY_KEY_BAD, NULL },
		{ "expired this second", AUTHORIZATION("late"), IDENTITY_KEY_BAD, NULL },
		{ "expires next second", AUTHORIZATION("soon"), IDENTITY_ADMITTED, "soon" },
		{ "not from here", AUTHORIZATION("lan"), IDENTITY_KEY_BAD, NULL },
		{ "as long as the memo", AUTHORIZATION(KEY_OF_64), IDENTITY_ADMITTED, "long" },
		{ "longer than it", AUTHORIZATION(KEY_OF_64 "x"), IDENTITY_ADMITTED, "longer" },
		{ "longer, unknown", AUTHORIZATION(KEY_OF_64 "y"), IDENTITY_KEY_BAD, NULL },
	};
	static struct identity_memo memo;

	(void)state;
	for (size_t i = 0; i < 6 * COUNT_OF(cases); i++) {
		size_t row = i / 6;
		enum identity_refusal refusal = cases[row].refusal;

		set_config(i % 2 ? "gateway=on" : "gateway=off");
		question.memo = i % 6 < 2 ? NULL : &memo;
		if (i % 2 == 0 && refusal == IDENTITY_KEY_MISSING)
			refusal = IDENTITY_ADMITTED;
		assert_int_equal(ask(cases[row].fields, "192.0.2.1"), KV_OK);
		if (id.refusal != refusal || (id.client != NULL) != (cases[row].client != NULL) ||
		    (id.client != NULL && !slice_eq(id.client->name, slice_of(cases[row].client))))
			fail_msg("%s: refusal %d", cases[row].name, (int)id.refusal);
		assert_nobody();
	}
}

/* What is stored is no key (requirement A01). */
static void test_digest_is_no_key(void **state)
{
	uint8_t digest[RECORD_DIGEST_LEN];
	char text[128];
	struct buf out = BUF(text);

	(void)state;
	set_config("");
	client_digest(SLICE("trusted"), digest);
	buf_lit(&out, "X-Api-Key: ");
	buf_hex(&out, slice_bytes(digest, sizeof digest));
	buf_put(&out, (struct slice){ "\r\n", 3 });
	assert_int_equal(ask(text, "192.0.2.1"), KV_OK);
	assert_int_equal(id.refusal, IDENTITY_KEY_BAD);
}

static void set_flags(const char *name, uint32_t flags)
{
	uint8_t digest[RECORD_DIGEST_LEN];
	struct client_record r;

	begin();
	assert_int_equal(client_find_name(store, slice_of(name), digest, &r), KV_OK);
	r.flags = flags;
	assert_int_equal(client_put(store, digest, &r), KV_OK);
	commit();
}

static enum identity_refusal refusal_of(const char *fields)
{
	assert_int_equal(ask(fields, "192.0.2.1"), KV_OK);
	return id.refusal;
}

/* A revoked key is refused on the next snapshot, a key given back admitted. */
static void test_memo_follows_the_store(void **state)
{
	static struct identity_memo memo;

	(void)state;
	set_config("gateway=on");
	question.memo = &memo;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned again = 0; again < 3; again++) {
			assert_int_equal(refusal_of(X_API_KEY("shop")), IDENTITY_ADMITTED);
			assert_ptr_equal(id.client, &memo.client);
			assert_int_equal(memo.snapshot, kv_snapshot(store));
		}
		assert_int_equal(refusal_of(X_API_KEY("trusted")), IDENTITY_ADMITTED);
		assert_true(slice_eq(id.client->name, SLICE("app")));
		assert_int_equal(refusal_of(X_API_KEY("shop")), IDENTITY_ADMITTED);
		set_flags("shop", CLIENT_REVOKED);
		assert_int_equal(refusal_of(X_API_KEY("shop")), IDENTITY_KEY_BAD);
		assert_int_equal(refusal_of(X_API_KEY("shop")), IDENTITY_KEY_BAD);
		assert_int_equal(refusal_of(X_API_KEY("trusted")), IDENTITY_ADMITTED);
		assert_int_equal(refusal_of(X_API_KEY("shop")), IDENTITY_KEY_BAD);
		set_flags("shop", 0);
	}
	assert_int_equal(refusal_of(X_API_KEY(KEY_OF_64)), IDENTITY_ADMITTED);
	assert_ptr_equal(id.client, &memo.client);
	assert_int_equal(refusal_of(X_API_KEY(KEY_OF_64 "x")), IDENTITY_ADMITTED);
	assert_ptr_equal(id.client, &id.client_found);          /* too long to be remembered */
	assert_int_equal(refusal_of(X_API_KEY("none")), IDENTITY_KEY_BAD);
	assert_int_equal(refusal_of(X_API_KEY("none")), IDENTITY_KEY_BAD);
	begin();
	add_key("none", "none", SCOPE_SHOP, 0, 0, NULL);
	commit();
	assert_int_equal(refusal_of(X_API_KEY("none")), IDENTITY_ADMITTED);
}

/* Expiry and source are judged at each request, not remembered. */
static void test_memo_forgets_no_rule(void **state)
{
	static struct identity_memo memo;

	(void)state;
	set_config("trusted_proxies=127.0.0.1");
	question.memo = &memo;
	assert_int_equal(refusal_of(X_API_KEY("soon")), IDENTITY_ADMITTED);
	question.now_s = NOW_S + 1;
	assert_int_equal(refusal_of(X_API_KEY("soon")), IDENTITY_KEY_BAD);
	question.now_s = NOW_S;
	assert_int_equal(refusal_of(X_API_KEY("soon")), IDENTITY_ADMITTED);
	assert_int_equal(ask(X_API_KEY("lan"), "10.1.2.3"), KV_OK);
	assert_int_equal(id.refusal, IDENTITY_ADMITTED);
	assert_int_equal(ask(X_API_KEY("lan"), "192.0.2.1"), KV_OK);
	assert_int_equal(id.refusal, IDENTITY_KEY_BAD);
	assert_int_equal(ask(X_API_KEY("lan") FORWARDED_FOR("10.1.2.3"), "127.0.0.1"), KV_OK);
	assert_int_equal(id.refusal, IDENTITY_ADMITTED);
	assert_int_equal(ask(X_API_KEY("lan") FORWARDED_FOR("10.1.2.3"), "127.0.0.2"), KV_OK);
	assert_int_equal(id.refusal, IDENTITY_KEY_BAD);
}

/* A store that nothing was ever put in: its snapshot has the number 0. */
static void test_memo_over_a_new_store(void **state)
{
	static const char *const fields[] = {
		X_API_KEY("any"), X_API_KEY("any"), X_API_KEY(""), AUTHORIZATION(""),
		X_API_KEY("other"),
	};
	static struct identity_memo memo;

	(void)state;
	store_remove();
	store_make();
	store_open(KV_CREATE);
	question.kv = store;
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(kv_snapshot(store), 0);
	set_config("gateway=on");
	question.memo = &memo;
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		assert_int_equal(refusal_of(fields[i]), IDENTITY_KEY_BAD);
}

static const struct {
	const char *name, *from, *fields, *address;
	bool forwarded;
} addresses[] = {
	{ "none", "127.0.0.1", "", "127.0.0.1", false },
	{ "one", "127.0.0.1", FORWARDED_FOR("203.0.113.7"), "203.0.113.7", true },
	{ "from IPv6", "::1", FORWARDED_FOR("203.0.113.7"), "203.0.113.7", true },
	{ "IPv6", "127.0.0.1", FORWARDED_FOR("2001:db8::7"), "2001:db8::7", true },
	{ "IPv6 in brackets", "127.0.0.1", FORWARDED_FOR("[2001:db8::7]"), "2001:db8::7",
	  true },
	{ "the rightmost", "127.0.0.1",
	  FORWARDED_FOR("198.51.100.1, 10.0.0.1, 203.0.113.7"), "203.0.113.7", true },
	{ "no blanks", "127.0.0.1", FORWARDED_FOR("198.51.100.1,203.0.113.7"),
	  "203.0.113.7", true },
	{ "garbage in front", "127.0.0.1", FORWARDED_FOR("unknown, ,;\", 203.0.113.7"),
	  "203.0.113.7", true },
	{ "several lines", "127.0.0.1",
	  FORWARDED_FOR("198.51.100.1") FORWARDED_FOR("203.0.113.7"), "203.0.113.7", true },
	{ "a proxy of ours in it", "127.0.0.1", FORWARDED_FOR("203.0.113.7, 127.0.0.1"),
	  "203.0.113.7", true },
	{ "forged in front of it", "127.0.0.1",
	  FORWARDED_FOR("198.51.100.1, 203.0.113.7, 127.0.0.9, 127.0.0.1"),
	  "203.0.113.7", true },
	{ "proxies of ours alone", "127.0.0.1", FORWARDED_FOR("127.0.0.3, 127.0.0.2"),
	  "127.0.0.3", true },
	{ "garbage behind one of ours", "127.0.0.1",
	  FORWARDED_FOR("203.0.113.7, unknown, 127.0.0.2"), "127.0.0.1", false },
	{ "garbage", "127.0.0.1", FORWARDED_FOR("unknown"), "127.0.0.1", false },
	{ "garbage at the right", "127.0.0.1", FORWARDED_FOR("203.0.113.7, unknown"),
	  "127.0.0.1", false },
	{ "a host name", "127.0.0.1", FORWARDED_FOR("localhost"), "127.0.0.1", false },
	{ "with a port", "127.0.0.1", FORWARDED_FOR("203.0.113.7:80"), "127.0.0.1", false },
	{ "four and a half", "127.0.0.1", FORWARDED_FOR("203.0.113.7.1"), "127.0.0.1",
	  false },
	{ "octal", "127.0.0.1", FORWARDED_FOR("0203.0.113.7"), "127.0.0.1", false },
	{ "empty", "127.0.0.1", FORWARDED_FOR(""), "127.0.0.1", false },
	{ "a comma", "127.0.0.1", FORWARDED_FOR(","), "127.0.0.1", false },
	{ "a comma at the right", "127.0.0.1", FORWARDED_FOR("203.0.113.7,"), "127.0.0.1",
	  false },
	{ "two lines, the last empty", "127.0.0.1",
	  FORWARDED_FOR("203.0.113.7") FORWARDED_FOR(""), "127.0.0.1", false },
	{ "a line of ours behind", "127.0.0.1",
	  FORWARDED_FOR("198.51.100.1, 203.0.113.7") FORWARDED_FOR("127.0.0.2"),
	  "203.0.113.7", true },
	{ "three lines, two of ours", "127.0.0.1",
	  FORWARDED_FOR("203.0.113.7") FORWARDED_FOR("127.0.0.3, ::1")
	  FORWARDED_FOR("127.0.0.2"), "203.0.113.7", true },
	{ "lines of ours alone", "127.0.0.1",
	  FORWARDED_FOR("127.0.0.3") FORWARDED_FOR("127.0.0.2"), "127.0.0.3", true },
	{ "garbage in the line before", "127.0.0.1",
	  FORWARDED_FOR("203.0.113.7, x") FORWARDED_FOR("127.0.0.2"), "127.0.0.1", false },
	{ "an empty line between", "127.0.0.1",
	  FORWARDED_FOR("203.0.113.7") FORWARDED_FOR("") FORWARDED_FOR("127.0.0.2"),
	  "127.0.0.1", false },
	{ "lines of a stranger's", "192.0.2.1",
	  FORWARDED_FOR("203.0.113.7") FORWARDED_FOR("127.0.0.2"), "192.0.2.1", false },
	{ "untrusted", "192.0.2.1", FORWARDED_FOR("203.0.113.7"), "192.0.2.1", false },
	{ "untrusted IPv6", "2001:db8::1", FORWARDED_FOR("203.0.113.7"), "2001:db8::1",
	  false },
	{ "one beside the trusted", "128.0.0.0", FORWARDED_FOR("127.0.0.1"), "128.0.0.0",
	  false },
	{ "trusted, mapped", "::ffff:127.0.0.9", FORWARDED_FOR("203.0.113.7"),
	  "203.0.113.7", true },
	{ "a Unix socket's", "::", FORWARDED_FOR("203.0.113.7"), "203.0.113.7", true },
	{ "beside it", "::2", FORWARDED_FOR("203.0.113.7"), "::2", false },
};

static void test_addresses(void **state)
{
	(void)state;
	set_config("");
	for (size_t i = 0; i < COUNT_OF(addresses); i++) {
		struct address want;

		assert_int_equal(ask(addresses[i].fields, addresses[i].from), KV_OK);
		assert_true(address_parse(slice_of(addresses[i].address), &want));
		if (memcmp(&id.address, &want, sizeof want) != 0 ||
		    id.forwarded != addresses[i].forwarded)
			fail_msg("%s", addresses[i].name);
	}
	set_config("trusted_proxies=127.0.0.1,::1");
	assert_int_equal(ask(FORWARDED_FOR("203.0.113.7"), "::"), KV_OK);
	assert_false(id.forwarded);
	set_config("trusted_proxies=");
	assert_int_equal(ask(FORWARDED_FOR("203.0.113.7"), "127.0.0.1"), KV_OK);
	assert_false(id.forwarded);
	assert_false(identity_peer_trusted(&config, &peer));
}

/* F06: "" is what nobody tells, or two fields tell differently. */
static const struct {
	const char *name, *fields, *method, *scheme, *host, *uri;
} originals[] = {
	{ "nothing", "", "", "", "", "" },
	{ "nginx, Caddy, Traefik, HAProxy",
	  "X-Forwarded-Method: PATCH\r\nX-Forwarded-Proto: https\r\n"
	  "X-Forwarded-Host: shop.test:8443\r\nX-Forwarded-Uri: /a%2fb/?c=d&e\r\n",
	  "PATCH", "https", "shop.test:8443", "/a%2fb/?c=d&e" },
	{ "X-Original-URI", "X-Original-URI: /a?b\r\n", "", "", "", "/a?b" },
	{ "X-Original-URL", "X-Original-URL: https://shop.test/a?b\r\n",
	  "", "https", "shop.test", "/a?b" },
	{ "X-Original-URL, a path", "X-Original-URL: /a\r\n", "", "", "", "/a" },
	{ "absolute-form, IPv6", "X-Forwarded-Uri: http://[2001:db8::7]:80/\r\n",
	  "", "http", "[2001:db8::7]:80", "/" },
	{ "all agree", "X-Original-URL: http://a.test/b\r\nX-Original-URI: /b\r\n"
	  "X-Forwarded-Uri: /b\r\nX-Forwarded-Host: a.test\r\n"
	  "X-Forwarded-Proto: http\r\n", "", "http", "a.test", "/b" },
	{ "the client's other field", "X-Forwarded-Uri: /account/\r\n"
	  "X-Original-URI: /\r\n", "", "", "", "" },
	{ "and a third", "X-Forwarded-Uri: /account/\r\nX-Original-URI: /\r\n"
	  "X-Original-URL: /account/\r\n", "", "", "", "" },
	{ "another host", "X-Forwarded-Host: a.test\r\n"
	  "X-Original-URL: http://b.test/\r\n", "", "http", "", "/" },
	{ "another scheme", "X-Forwarded-Proto: https\r\n"
	  "X-Original-URL: http://b.test/\r\n", "", "", "b.test", "/" },
	{ "garbage beside a good one", "X-Forwarded-Uri: /a\r\nX-Original-URI: a\r\n",
	  "", "", "", "" },
	{ "empty beside a good one", "X-Forwarded-Uri: /a\r\nX-Original-URI:\r\n",
	  "", "", "", "" },
	{ "no path", "X-Original-URL: http://a.test\r\n", "", "", "", "" },
	{ "a query alone", "X-Original-URL: http://a.test?b\r\n", "", "", "", "" },
	{ "another scheme's", "X-Original-URL: ftp://a.test/\r\n", "", "", "", "" },
	{ "user information", "X-Original-URL: http://u@a.test/\r\n", "", "", "", "" },
	{ "a relative one", "X-Original-URI: a/b\r\n", "", "", "", "" },
	{ "asterisk", "X-Forwarded-Uri: *\r\n", "", "", "", "" },
	{ "a blank", "X-Forwarded-Uri: /a b\r\n", "", "", "", "" },
	{ "a fragment", "X-Forwarded-Uri: /a#b\r\n", "", "", "", "" },
	{ "beyond ASCII", "X-Forwarded-Uri: /\xc3\xa4\r\n", "", "", "", "" },
	{ "empty", "X-Forwarded-Uri:\r\nX-Forwarded-Method:\r\n"
	  "X-Forwarded-Host:\r\nX-Forwarded-Proto:\r\n", "", "", "", "" },
	{ "no token", "X-Forwarded-Method: GET POST\r\n", "", "", "", "" },
	{ "lists", "X-Forwarded-Host: a.test, b.test\r\n"
	  "X-Forwarded-Proto: https, http\r\n", "", "", "", "" },
	{ "a host that is none", "X-Forwarded-Host: a..test\r\n", "", "", "", "" },
};

static void test_original(void **state)
{
	(void)state;
	set_config("");
	for (size_t i = 0; i < COUNT_OF(originals); i++) {
		const struct identity_original *o = &id.original;

		assert_int_equal(ask(originals[i].fields, "127.0.0.1"), KV_OK);
		if (!slice_eq(o->method, slice_of(originals[i].method)) ||
		    !slice_eq(o->scheme, slice_of(originals[i].scheme)) ||
		    !slice_eq(o->host, slice_of(originals[i].host)) ||
		    !slice_eq(o->uri, slice_of(originals[i].uri)))
			fail_msg("%s", originals[i].name);
		assert_int_equal(ask(originals[i].fields, "192.0.2.1"), KV_OK);
		if (o->method.len + o->scheme.len + o->host.len + o->uri.len > 0)
			fail_msg("%s, from a stranger", originals[i].name);
	}
}

#define ANY      "sid_trust=any"
#define OSCARAPI "sid_trust=any sid_grammar=oscarapi"
#define ANON(realm) SESSION_ID("SID:ANON:" realm ":a")

static void test_realms(void **state)
{
	static const struct {
		const char *name, *config, *fields;
		bool accepted;
	} cases[] = {
		{ "the host", ANY, ANON("shop.test"), true },
		{ "with a port", ANY, HOST("shop.test:8080") ANON("shop.test"), true },
		{ "host in capitals", ANY, HOST("Shop.TEST") ANON("shop.test"), true },
		{ "realm in capitals", ANY, ANON("SHOP.test"), true },
		{ "IPv6", ANY, HOST("[2001:DB8::1]:80") ANON("[2001:db8::1]"), true },
		{ "another", ANY, ANON("shop.example"), false },
		{ "longer", ANY, ANON("shop.test.evil"), false },
		{ "a host below it", ANY, ANON("www.shop.test"), false },
		{ "a dot at the end", ANY, HOST("shop.test.") ANON("shop.test"), false },
		{ "forwarded", ANY, HOST("front") FORWARDED_HOST("shop.test")
		  ANON("shop.test"), true },
		{ "forwarded with a port", ANY, HOST("front") FORWARDED_HOST("Shop.test:443")
		  ANON("shop.test"), true },
		{ "forwarded, the old host", ANY, FORWARDED_HOST("front")
		  ANON("shop.test"), false },
		{ "forwarded, empty", ANY, FORWARDED_HOST("") ANON("shop.test"), true },
		{ "forwarded, a list", ANY, FORWARDED_HOST("shop.test, front")
		  ANON("shop.test"), false },
		{ "forwarded, garbage", ANY, FORWARDED_HOST("[shop.test")
		  ANON("shop.test"), false },
		{ "forwarded, untrusted", ANY " trusted_proxies=10.0.0.1",
		  FORWARDED_HOST("evil.test") ANON("evil.test"), false },
		{ "untrusted, the host itself", ANY " trusted_proxies=10.0.0.1",
		  FORWARDED_HOST("evil.test") ANON("shop.test"), true },
		{ "one of two", ANY " sid_realms=a.test,B.test", ANON("b.TEST"), true },
		{ "neither", ANY " sid_realms=a.test,b.test", ANON("c.test"), false },
		{ "the host, yet none of them", ANY " sid_realms=a.test",
		  ANON("shop.test"), false },
		{ "oscarapi: the host", OSCARAPI, ANON("shop.test"), true },
		{ "oscarapi: with a port", OSCARAPI,
		  HOST("shop.test:8080") ANON("shop.test"), true },
		{ "oscarapi: host in capitals", OSCARAPI,
		  HOST("Shop.test") ANON("shop.test"), false },
		{ "oscarapi: realm in capitals", OSCARAPI, ANON("Shop.test"), false },
		{ "oscarapi: both in capitals", OSCARAPI,
		  HOST("Shop.test") ANON("Shop.test"), true },
		{ "oscarapi: empty", OSCARAPI, ANON(""), false },
		{ "oscarapi: empty, and so is the host", OSCARAPI,
		  FORWARDED_HOST(":80") ANON(""), false },
		{ "oscarapi: IPv6 is cut", OSCARAPI,
		  HOST("[2001:db8::1]") ANON("[2001:db8::1]"), true },
		{ "oscarapi: one of two", OSCARAPI " sid_realms=a.test,B.test",
		  ANON("B.test"), true },
		{ "oscarapi: not its case", OSCARAPI " sid_realms=a.test,B.test",
		  ANON("b.test"), false },
		{ "oscarapi: empty, none of them", OSCARAPI " sid_realms=a.test", ANON(""), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_config(cases[i].config);
		assert_int_equal(ask(cases[i].fields, "127.0.0.1"), KV_OK);
		if (id.refusal != (cases[i].accepted ? IDENTITY_ADMITTED : IDENTITY_SID_REALM) ||
		    id.has_sid != cases[i].accepted)
			fail_msg("%s: refusal %d", cases[i].name, (int)id.refusal);
		if (!cases[i].accepted)
			assert_nobody();
	}
}

static void test_hosts_that_no_realm_equals(void **state)
{
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	char longest[512];
	struct http_refusal refusal;

	(void)state;
	set_config(ANY);
	snprintf(longest, sizeof longest, HOST("a%0255d") ANON("a"), 0);
	assert_int_equal(refusal_of(longest), IDENTITY_SID_REALM);
	for (int grammar = SID_STRICT; grammar <= SID_OSCARAPI; grammar++) {
		set_config(grammar == SID_STRICT ? ANY : OSCARAPI);
		http_request_init(&request);
		assert_int_equal(http_parse(&request, SLICE("GET / HTTP/1.0\r\n"
		                            SESSION_ID("SID:ANON:shop.test:a") "\r\n"),
		                            &limits, &refusal), HTTP_READY);
		assert_int_equal(identify(&question, &id), KV_OK);
		assert_int_equal(id.refusal, IDENTITY_SID_REALM);
	}
}

static void test_sessions(void **state)
{
	static const struct {
		const char *name, *config, *fields;
		enum identity_refusal refusal;
		enum identity_kind kind;
		bool has_sid;
		enum sid_error sid_error;
	} cases[] = {
		{ "nothing", "", "", IDENTITY_ADMITTED, IDENTITY_NONE, false, SID_OK },
		{ "a key alone", "", X_API_KEY("trusted"), IDENTITY_ADMITTED, IDENTITY_NONE, false,
		  SID_OK },
		{ "guest", "", X_API_KEY("trusted") SESSION_ID(SID_ANON), IDENTITY_ADMITTED,
		  IDENTITY_GUEST, true, SID_OK },
		{ "customer", "", X_API_KEY("trusted") SESSION_ID(SID_ADA), IDENTITY_ADMITTED,
		  IDENTITY_CUSTOMER, true, SID_OK },
		{ "customer, thread and count", "", X_API_KEY("trusted")
		  SESSION_ID("SID:AUTH:Shop.Test:ada-1:2"), IDENTITY_ADMITTED, IDENTITY_CUSTOMER,
		  true, SID_OK },
		{ "a customer's identifier, not his type", "", X_API_KEY("trusted")
		  SESSION_ID("SID:ANON:shop.test:ada"), IDENTITY_ADMITTED, IDENTITY_GUEST, true,
		  SID_OK },
		{ "an identifier in capitals", "", X_API_KEY("trusted")
		  SESSION_ID("SID:AUTH:shop.test:ADA"), IDENTITY_SESSION_DEAD, IDENTITY_NONE, false,
		  SID_OK },
		{ "no record", "", X_API_KEY("trusted") SESSION_ID(SID_NONE),
		  IDENTITY_SESSION_DEAD, IDENTITY_NONE, false, SID_OK },
		{ "expired", "", X_API_KEY("trusted") SESSION_ID(SID_OLD), IDENTITY_SESSION_DEAD,
		  IDENTITY_NONE, false, SID_OK },
		{ "no key", "", SESSION_ID(SID_ANON), IDENTITY_SID_UNTRUSTED, IDENTITY_NONE, false,
		  SID_OK },
		{ "key not trusted", "", X_API_KEY("shop") SESSION_ID(SID_ADA),
		  IDENTITY_SID_UNTRUSTED, IDENTITY_NONE, false, SID_OK },
		{ "no key, any", ANY, SESSION_ID(SID_ADA), IDENTITY_ADMITTED, IDENTITY_CUSTOMER,
		  true, SID_OK },
		{ "key not trusted, any", ANY, X_API_KEY("shop") SESSION_ID(SID_ANON),
		  IDENTITY_ADMITTED, IDENTITY_GUEST, true, SID_OK },
		{ "malformed", ANY, SESSION_ID("SID:anon:shop.test:a"), IDENTITY_SID_MALFORMED,
		  IDENTITY_NONE, false, SID_BAD_TYPE },
		{ "empty", ANY, SESSION_ID(""), IDENTITY_SID_MALFORMED, IDENTITY_NONE, false,
		  SID_NO_PREFIX },
		{ "empty realm", ANY, SESSION_ID("SID:ANON::a"), IDENTITY_SID_MALFORMED,
		  IDENTITY_NONE, false, SID_BAD_REALM },
		{ "no identifier", ANY, SESSION_ID("SID:ANON:shop.test:"), IDENTITY_SID_MALFORMED,
		  IDENTITY_NONE, false, SID_BAD_IDENTIFIER },
		{ "a bad tail", ANY, SESSION_ID("SID:ANON:shop.test:a b"), IDENTITY_SID_MALFORMED,
		  IDENTITY_NONE, false, SID_BAD_TAIL },
		{ "malformed, ignored", OSCARAPI, SESSION_ID("SID:anon:shop.test:a"),
		  IDENTITY_ADMITTED, IDENTITY_NONE, false, SID_BAD_TYPE },
		{ "malformed, untrusted, ignored", "sid_grammar=oscarapi", SESSION_ID("none"),
		  IDENTITY_ADMITTED, IDENTITY_NONE, false, SID_NO_PREFIX },
		{ "oscarapi: customer", OSCARAPI, SESSION_ID(SID_ADA), IDENTITY_ADMITTED,
		  IDENTITY_CUSTOMER, true, SID_OK },
		{ "oscarapi: no record", OSCARAPI, SESSION_ID(SID_NONE), IDENTITY_SESSION_DEAD,
		  IDENTITY_NONE, false, SID_OK },
		{ "oscarapi: untrusted", "sid_grammar=oscarapi", SESSION_ID(SID_ANON),
		  IDENTITY_SID_UNTRUSTED, IDENTITY_NONE, false, SID_OK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_config(cases[i].config);
		assert_int_equal(ask(cases[i].fields, "192.0.2.1"), KV_OK);
		if (id.refusal != cases[i].refusal || id.kind != cases[i].kind ||
		    id.has_sid != cases[i].has_sid || id.sid_error != cases[i].sid_error ||
		    id.via != (id.kind == IDENTITY_NONE ? VIA_NONE : VIA_HEADER))
			fail_msg("%s: refusal %d, kind %d", cases[i].name, (int)id.refusal,
			         (int)id.kind);
	}
}

static void test_whose_session(void **state)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];

	(void)state;
	set_config("");
	assert_int_equal(ask(X_API_KEY("trusted") SESSION_ID(SID_ADA), "192.0.2.1"), KV_OK);
	assert_true(slice_eq(id.session.login, SLICE("ada")));
	assert_int_equal(id.session.customer_id, id_of_ada());
	assert_true(slice_eq(id.host, SLICE("shop.test")));
	key_of(SID_ADA, key);
	assert_memory_equal(id.session_key, key, sizeof key);
	assert_int_equal(ask(X_API_KEY("trusted") SESSION_ID(SID_ANON), "192.0.2.1"), KV_OK);
	key_of(SID_ANON, key);
	assert_memory_equal(id.session_key, key, sizeof key);
}

/* What is refused first, where several things are wrong. */
static void test_order_of_refusals(void **state)
{
	static const char gateway[] = "gateway=on", none[] = "";
	static const struct {
		const char *name, *config, *fields;
		enum identity_refusal refusal;
	} cases[] = {
		{ "Bearer alone", none, AUTHORIZATION("Bearer abc"), IDENTITY_TOKEN_DEAD },
		{ "bearer", none, AUTHORIZATION("bEARER abc"), IDENTITY_TOKEN_DEAD },
		{ "Bearer without a token", none, AUTHORIZATION("Bearer"), IDENTITY_TOKEN_DEAD },
		{ "Bearer, a key's text", none, AUTHORIZATION("Bearer trusted"),
		  IDENTITY_TOKEN_DEAD },
		{ "Bearer and a key", gateway, AUTHORIZATION("Bearer abc") X_API_KEY("trusted"),
		  IDENTITY_TOKEN_DEAD },
		{ "Bearer and a guest", none, AUTHORIZATION("Bearer abc") X_API_KEY("trusted")
		  SESSION_ID(SID_ANON), IDENTITY_TOKEN_DEAD },
		{ "Bearer and a customer", none, AUTHORIZATION("Bearer abc") X_API_KEY("trusted")
		  SESSION_ID(SID_ADA), IDENTITY_TOKEN_DEAD },
		{ "Bearer, no key", gateway, AUTHORIZATION("Bearer abc"), IDENTITY_TOKEN_DEAD },
		{ "no key, malformed", gateway, SESSION_ID("x"), IDENTITY_KEY_MISSING },
		{ "two keys, malformed", none, AUTHORIZATION("a") X_API_KEY("b") SESSION_ID("x"),
		  IDENTITY_KEYS_DISAGREE },
		{ "bad key, malformed", none, X_API_KEY("bad") SESSION_ID("x"), IDENTITY_KEY_BAD },
		{ "bad key, Bearer", none, AUTHORIZATION("Bearer x") X_API_KEY("bad"),
		  IDENTITY_KEY_BAD },
		{ "bad key, any", ANY, X_API_KEY("bad") SESSION_ID(SID_ADA), IDENTITY_KEY_BAD },
		{ "malformed, untrusted", none, SESSION_ID("x"), IDENTITY_SID_MALFORMED },
		{ "malformed, Bearer", none, AUTHORIZATION("Bearer x") SESSION_ID("x"),
		  IDENTITY_SID_MALFORMED },
		{ "untrusted, foreign realm", none, X_API_KEY("shop")
		  SESSION_ID("SID:AUTH:other.test:none"), IDENTITY_SID_UNTRUSTED },
		{ "foreign realm, dead", none, X_API_KEY("trusted")
		  SESSION_ID("SID:AUTH:other.test:none"), IDENTITY_SID_REALM },
		{ "foreign realm, Bearer", ANY, AUTHORIZATION("Bearer x")
		  SESSION_ID("SID:ANON:other.test:a"), IDENTITY_SID_REALM },
		{ "dead, Bearer", ANY, AUTHORIZATION("Bearer x") SESSION_ID(SID_NONE),
		  IDENTITY_SESSION_DEAD },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_config(cases[i].config);
		assert_int_equal(ask(cases[i].fields, "192.0.2.1"), KV_OK);
		if (id.refusal != cases[i].refusal)
			fail_msg("%s: refusal %d", cases[i].name, (int)id.refusal);
		assert_nobody();
	}
}

/* The verdict on ada's session, the same however often it is asked. */
static void assert_ada(enum identity_refusal refusal)
{
	for (int again = 0; again < 3; again++) {
		assert_int_equal(refusal_of(SESSION_ID(SID_ADA)), refusal);
		if (refusal == IDENTITY_ADMITTED)
			assert_true(slice_eq(id.session.login, SLICE("ada")));
		else
			assert_nobody();
	}
}

static void start_ada(void)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];

	begin();
	key_of(SID_ADA, key);
	assert_int_equal(session_start(store, &config, key, id_of_ada(), VIA_HEADER, NOW_S),
	                 KV_OK);
	commit();
}

static void end_all_of_ada(void)
{
	uint32_t deleted;

	begin();
	assert_int_equal(session_delete_some(store, id_of_ada(), UINT32_MAX, &deleted), KV_OK);
	commit();
}

/* Logging out, here and everywhere, holds from the next snapshot on, and expiry under the same
 * one: without a memo and with one (requirements S08, S09). */
static void test_session_ends_beside_us(void **state)
{
	static struct identity_memo memo;
	uint8_t key[RECORD_SESSION_KEY_LEN];

	(void)state;
	set_config(ANY);
	key_of(SID_ADA, key);
	for (int i = 0; i < 2; i++) {
		question.memo = i == 0 ? NULL : &memo;
		start_ada();
		assert_ada(IDENTITY_ADMITTED);
		question.now_s = NOW_S + config.session_ttl_s;
		assert_ada(IDENTITY_SESSION_DEAD);
		question.now_s = NOW_S;
		assert_ada(IDENTITY_ADMITTED);
		end_all_of_ada();
		assert_ada(IDENTITY_SESSION_DEAD);
		start_ada();
		assert_ada(IDENTITY_ADMITTED);
		begin();
		assert_int_equal(session_end(store, key), KV_OK);
		commit();
		assert_ada(IDENTITY_SESSION_DEAD);
	}
}

/* A thousand sessions of ada's, and many more strangers than the memo has places: whoever
 * shares one, the key is that of the header, and nobody gets a record of hers. */
static void test_memo_mixes_nobody_up(void **state)
{
	static struct identity_memo memo;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint64_t ada;
	char header[64], fields[128];

	(void)state;
	set_config(ANY " max_sessions_per_customer=0");
	question.memo = &memo;
	begin();
	ada = id_of_ada();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(header, sizeof header, "SID:AUTH:shop.test:%u", i);
		key_of(header, key);
		assert_int_equal(session_start(store, &config, key, ada, VIA_HEADER, NOW_S), KV_OK);
	}
	commit();
	for (unsigned i = 0; i < 60000; i++) {
		snprintf(header, sizeof header, "SID:AUTH:shop.test:%u", i % 50000);
		snprintf(fields, sizeof fields, "Session-Id: %s-1f:%x\r\n", header, i);
		assert_int_equal(refusal_of(fields),
		                 i % 50000 < 1000 ? IDENTITY_ADMITTED : IDENTITY_SESSION_DEAD);
		key_of(header, key);
		assert_memory_equal(id.session_key, key, sizeof key);
	}
}

/* The number of the one place of the memo that is taken, by whoever took it last. */
static size_t only_place(const struct identity_memo *memo)
{
	size_t found = 0, count = 0;

	for (size_t i = 0; i < COUNT_OF(memo->seen); i++)
		if (memo->seen[i].len > 0) {
			found = i;
			count++;
		}
	assert_int_equal(count, 1);
	return found;
}

/* Identifiers that end alike want one place: with them tests/test_hostile.py keeps a client from
 * his. Who is used more often than they come by keeps it. */
static void test_memo_collisions(void **state)
{
	enum { STRANGERS = 6 };
	static struct identity_memo memo;
	const struct identity_seen *seen;
	char fields[128];
	size_t place = 0;

	(void)state;
	set_config(ANY);
	question.memo = &memo;
	for (unsigned i = 0; i < STRANGERS; i++) {
		snprintf(fields, sizeof fields, "Session-Id: SID:ANON:shop.test:%xthegoodclient001"
		         "\r\n", 0x9e3779b9u * (i + 1));
		assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
		place = i == 0 ? only_place(&memo) : place;
		assert_int_equal(only_place(&memo), place);
		seen = &memo.seen[place];
		assert_true(slice_eq((struct slice){ seen->bytes, seen->len }, id.sid.whole));
	}
	for (unsigned i = 0; i < 3; i++)        /* the last one is used */
		assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	fields[strlen("Session-Id: SID:ANON:shop.test:")] ^= 1;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
		assert_int_equal(only_place(&memo), place);
		assert_int_equal(slice_eq((struct slice){ seen->bytes, seen->len }, id.sid.whole),
		                 i == 3);
	}
	assert_int_equal(refusal_of("Session-Id: SID:ANON:shop.test:thegoodclient002\r\n"),
	                 IDENTITY_ADMITTED);
	assert_true(slice_eq((struct slice){ seen->bytes, seen->len },
	                     (struct slice){ fields + 12, seen->len }));
}

/* Text and login share the room of a place: whether both fit, the text alone, or neither, the
 * session found is the same at each request, and what is expected changes nothing. */
static void test_memo_of_long_names(void **state)
{
	static const size_t text_lens[] = { 30, 31, 32, 100, IDENTITY_SEEN_BYTES - 1,
		                            IDENTITY_SEEN_BYTES, IDENTITY_SEEN_BYTES + 1, 200 };
	static struct identity_memo memo;
	char header[256], fields[512], login[RECORD_LOGIN_MAX + 1];

	(void)state;
	set_config(ANY);
	for (size_t t = 0; t < COUNT_OF(text_lens); t++) {
		for (size_t len = 1; len <= RECORD_LOGIN_MAX; len += len == 1 ? 1 : 29) {
			snprintf(header, sizeof header, "SID:AUTH:shop.test:%0*zu",
			         (int)text_lens[t] - 19, 1000 * t + len);
			snprintf(login, sizeof login, "%0*zu", (int)len, t);
			login[0] = (char)('a' + t);
			begin();
			add_customer(login, 0, header, NOW_S);
			commit();
			snprintf(fields, sizeof fields, "Session-Id: %s\r\n", header);
			for (int again = 0; again < 4; again++) {
				question.memo = again > 0 ? &memo : NULL;
				identity_expect(question.memo, slice_of(header));
				assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
				assert_true(slice_eq(id.session.login, slice_of(login)));
			}
		}
	}
	identity_expect(&memo, SLICE(""));
}

/* What changes of a session shows under the next snapshot, in the memo's entry too; a guest
 * without a record has nothing of another's. */
static void test_basket_of_the_session(void **state)
{
	static struct identity_memo memo;
	uint8_t anon[RECORD_SESSION_KEY_LEN];

	(void)state;
	set_config(ANY " anon_ttl=0");
	key_of(SID_ANON, anon);
	start_ada();
	for (uint64_t basket = 1; basket < 6; basket++) {
		question.memo = basket % 2 ? NULL : &memo;
		begin();
		assert_int_equal(session_set_customer_basket(store, id_of_ada(), basket), KV_OK);
		if (basket > 3)
			assert_int_equal(session_start(store, &config, anon, 0, VIA_HEADER, NOW_S),
			                 KV_OK);
		if (basket > 4)
			assert_int_equal(session_set_basket(store, anon, 9), KV_OK);
		commit();
		assert_ada(IDENTITY_ADMITTED);
		assert_int_equal(id.session.basket_id, basket);
		assert_int_equal(refusal_of(SESSION_ID(SID_ANON)), IDENTITY_ADMITTED);
		assert_int_equal(id.kind, IDENTITY_GUEST);
		assert_int_equal(id.recorded, basket > 3);
		assert_int_equal(id.session.basket_id, basket > 4 ? 9 : 0);
		assert_int_equal(id.session.customer_id, 0);
		assert_int_equal(id.session.login.len, 0);
	}
}

/* A failed look-up is neither a refusal nor somebody (requirement S16). */
static void test_store_that_fails(void **state)
{
	static const char *const fields[] = {
		X_API_KEY("trusted"),
		X_API_KEY("trusted") SESSION_ID(SID_ADA),
		SESSION_ID(SID_ADA),
	};
	static struct identity_memo memo;

	(void)state;
	set_config(ANY);
	for (size_t i = 0; i < 2 * COUNT_OF(fields); i++) {
		question.memo = i % 2 ? &memo : NULL;
		kv_reset(store);
		memset(&memo, 0, sizeof memo);
		store_hide_log();
		assert_int_equal(ask(fields[i / 2], "192.0.2.1"), KV_IO);
		assert_int_equal(store_show_log(), 1);
		assert_int_equal(id.refusal, IDENTITY_ADMITTED);
		assert_null(id.client);
		assert_false(id.has_sid);
		assert_nobody();
		assert_int_equal(kv_refresh(store), KV_OK);
		assert_int_equal(ask(fields[i / 2], "192.0.2.1"), KV_OK);
		assert_int_equal(id.refusal, IDENTITY_ADMITTED);
	}
}

static void renew(void)
{
	begin();
	assert_int_equal(identity_renew(&question, &id), KV_OK);
	commit();
}

static void test_renewal(void **state)
{
	static const char fields[] = X_API_KEY("trusted") SESSION_ID(SID_ADA);
	const uint64_t later_s = NOW_S + 2 * 86400;
	uint64_t snapshot = kv_snapshot(store);

	(void)state;
	set_config("");
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	assert_false(id.renewal_due);
	renew();
	assert_int_equal(kv_snapshot(store), snapshot);         /* nothing was put */
	question.now_s = later_s;
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	assert_true(id.renewal_due);
	assert_int_equal(identity_renew(&question, &id), KV_READONLY);
	kv_reset(store);
	store_hide_log();
	assert_int_equal(identity_renew(&question, &id), KV_IO);
	assert_int_equal(store_show_log(), 1);
	renew();
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	assert_false(id.renewal_due);
	assert_int_equal(id.client->used_s, client_use_mark(later_s));
	assert_int_equal(id.session.used_s, later_s);
	assert_int_equal(id.session.expires_s, later_s + config.session_ttl_s);
	question.now_s = later_s + 3600;                        /* the key's use alone */
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	assert_true(id.renewal_due);
	renew();
	snapshot = kv_snapshot(store);
	renew();
	assert_int_equal(kv_snapshot(store), snapshot);         /* once is enough */
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	assert_false(id.renewal_due);
	assert_int_equal(id.session.used_s, later_s);
}

/* What was found due may be gone, or changed, when the writer comes to it. */
static void test_renewal_of_what_has_moved(void **state)
{
	static const char fields[] = X_API_KEY("trusted") SESSION_ID(SID_ADA);
	uint8_t key[RECORD_SESSION_KEY_LEN], digest[RECORD_DIGEST_LEN];
	struct client_record r;

	(void)state;
	set_config("");
	question.now_s = NOW_S + 2 * 86400;
	assert_int_equal(refusal_of(fields), IDENTITY_ADMITTED);
	begin();
	key_of(SID_ADA, key);
	assert_int_equal(session_end(store, key), KV_OK);
	assert_int_equal(client_find_name(store, SLICE("app"), digest, &r), KV_OK);
	r.flags = CLIENT_REVOKED;
	assert_int_equal(client_put(store, digest, &r), KV_OK);
	assert_int_equal(identity_renew(&question, &id), KV_OK);
	commit();
	begin();
	assert_int_equal(client_find(store, digest, &r), KV_OK);
	assert_int_equal(r.flags, CLIENT_REVOKED);              /* and stays so */
	assert_int_equal(session_end(store, key), KV_NOT_FOUND);
	commit();
	assert_int_equal(refusal_of(fields), IDENTITY_KEY_BAD);
}

/* --- Cookies and forgery. --- */

#define ID_ADA   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_GUEST "ggggggggggggggggggggggggggggggggggggggggggg"
#define ID_OLD   "ooooooooooooooooooooooooooooooooooooooooooo"
#define ID_NONE  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define COOKIE(value) "Cookie: " value "\r\n"
#define NAME     "sidecart_session="

/* A cookie's session: ada's, a guest's, an expired one. */
static int set_up_cookies(void **state)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct customer_record c;

	set_up(state);
	begin();
	assert_int_equal(customer_find(store, SLICE("ada"), &c), KV_OK);
	session_cookie_key(secret, SLICE(ID_ADA), key);
	assert_int_equal(session_start(store, &config, key, c.id, VIA_COOKIE, NOW_S), KV_OK);
	session_cookie_key(secret, SLICE(ID_GUEST), key);
	assert_int_equal(session_start(store, &config, key, 0, VIA_COOKIE, NOW_S), KV_OK);
	session_cookie_key(secret, SLICE(ID_OLD), key);
	assert_int_equal(session_start(store, &config, key, c.id, VIA_COOKIE,
	                               NOW_S - config.session_ttl_s), KV_OK);
	commit();
	return 0;
}

/* Ends a session as a logout does. */
static void end_session(const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	begin();
	assert_int_equal(session_end(store, key), KV_OK);
	commit();
}

/* The records looked up for a request, which comes several times, and what is made of it. */
static unsigned cost_of(const char *fields, enum identity_refusal refusal)
{
	unsigned cost = 0;

	for (int i = 0; i < 3; i++) {
		looked_up = 0;
		assert_int_equal(ask(fields, "127.0.0.1"), KV_OK);
		assert_int_equal(id.refusal, refusal);
		assert_nobody();
		if (i > 0)
			assert_int_equal(looked_up, cost);
		cost = looked_up;
	}
	return cost;
}

/* S12: who was somebody once costs as much as who never was, with and without a memory, by
 * header and by cookie. What is counted are records looked up: all else is the same code. */
static void test_dead_ids_cost_alike(void **state)
{
	static struct identity_memo memos[3];
	const struct {
		const char *name, *cookie, *sid;
	} dead[] = {
		{ "unknown", COOKIE(NAME ID_NONE), SESSION_ID("SID:AUTH:shop.test:none") },
		{ "expired", COOKIE(NAME ID_OLD), SESSION_ID(SID_OLD) },
		{ "logged out", COOKIE(NAME ID_ADA), SESSION_ID(SID_ADA) },
		{ "expired just now", COOKIE(NAME ID_GUEST), SESSION_ID("SID:AUTH:shop.test:z") },
	};
	uint8_t key[RECORD_SESSION_KEY_LEN];
	unsigned cookie_cost = 0, sid_cost = 0;

	(void)state;
	memset(memos, 0, sizeof memos);
	set_config("sid_trust=any");
	for (size_t m = 0; m < COUNT_OF(memos); m++) {
		question.memo = m > 0 ? &memos[m] : NULL;
		/* Known to the memory while they lived. */
		question.now_s = NOW_S;
		if (m == 0) {
			assert_int_equal(ask(dead[2].cookie, "127.0.0.1"), KV_OK);
			assert_int_equal(id.kind, IDENTITY_CUSTOMER);
			memcpy(key, id.session_key, sizeof key);
			end_session(key);
			assert_int_equal(ask(dead[2].sid, "127.0.0.1"), KV_OK);
			assert_int_equal(id.kind, IDENTITY_CUSTOMER);
			memcpy(key, id.session_key, sizeof key);
			end_session(key);
		}
		assert_int_equal(ask(dead[3].cookie, "127.0.0.1"), KV_OK);
		assert_int_equal(id.kind, IDENTITY_GUEST);
		question.now_s = NOW_S + config.session_ttl_s;
		for (size_t i = 0; i < COUNT_OF(dead); i++) {
			unsigned cookie = cost_of(dead[i].cookie, IDENTITY_ADMITTED);
			unsigned sid = cost_of(dead[i].sid, IDENTITY_SESSION_DEAD);

			if (m + i == 0) {
				cookie_cost = cookie;
				sid_cost = sid;
			}
			if (cookie != cookie_cost || sid != sid_cost)
				fail_msg("%s: %u and %u records", dead[i].name, cookie, sid);
		}
	}
	assert_true(cookie_cost > 0 && sid_cost > 0);
}

static void test_cookies(void **state)
{
	static const char none[] = "";
	static const struct {
		const char *name, *config, *fields;
		enum identity_refusal refusal;
		enum identity_kind kind;
		enum record_via via;
	} cases[] = {
		{ "customer", none, COOKIE(NAME ID_ADA), IDENTITY_ADMITTED, IDENTITY_CUSTOMER,
		  VIA_COOKIE },
		{ "guest", none, COOKIE(NAME ID_GUEST), IDENTITY_ADMITTED, IDENTITY_GUEST,
		  VIA_COOKIE },
		{ "among others", none, COOKIE("a=b; " NAME ID_ADA "; c=d"), IDENTITY_ADMITTED,
		  IDENTITY_CUSTOMER, VIA_COOKIE },
		{ "with a key", none, COOKIE(NAME ID_ADA) X_API_KEY("shop"), IDENTITY_ADMITTED,
		  IDENTITY_CUSTOMER, VIA_COOKIE },
		{ "with Basic", none, COOKIE(NAME ID_ADA) AUTHORIZATION("Basic eA=="),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_COOKIE },
		{ "expired", none, COOKIE(NAME ID_OLD), IDENTITY_ADMITTED, IDENTITY_NONE,
		  VIA_NONE },
		{ "unknown", none, COOKIE(NAME ID_NONE), IDENTITY_ADMITTED, IDENTITY_NONE,
		  VIA_NONE },
		{ "empty", none, COOKIE(NAME), IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE },
		{ "cut", none, COOKIE(NAME "aaaa"), IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE },
		{ "longer", none, COOKIE(NAME ID_ADA "a"), IDENTITY_ADMITTED, IDENTITY_NONE,
		  VIA_NONE },
		{ "in quotes", none, COOKIE(NAME "\"" ID_ADA "\""), IDENTITY_ADMITTED,
		  IDENTITY_NONE, VIA_NONE },
		{ "twice the same", none, COOKIE(NAME ID_ADA "; " NAME ID_ADA), IDENTITY_ADMITTED,
		  IDENTITY_NONE, VIA_NONE },
		{ "twice in two lines", none, COOKIE(NAME ID_GUEST) COOKIE(NAME ID_ADA),
		  IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE },
		{ "name in capitals", none, COOKIE("SIDECART_SESSION=" ID_ADA), IDENTITY_ADMITTED,
		  IDENTITY_NONE, VIA_NONE },
		{ "Django's name", none, COOKIE("sessionid=" ID_ADA), IDENTITY_ADMITTED,
		  IDENTITY_NONE, VIA_NONE },
		{ "Django's name, set", "cookie_name=sessionid", COOKIE("sessionid=" ID_ADA),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_COOKIE },
		{ "beside ANON", none, COOKIE(NAME ID_ADA) X_API_KEY("trusted")
		  SESSION_ID(SID_ANON), IDENTITY_ADMITTED, IDENTITY_GUEST, VIA_HEADER },
		{ "beside a dead AUTH", none, COOKIE(NAME ID_ADA) X_API_KEY("trusted")
		  SESSION_ID(SID_NONE), IDENTITY_SESSION_DEAD, IDENTITY_NONE, VIA_NONE },
		{ "beside an untrusted Session-Id", none, COOKIE(NAME ID_ADA)
		  SESSION_ID(SID_ANON), IDENTITY_SID_UNTRUSTED, IDENTITY_NONE, VIA_NONE },
		{ "beside a malformed one", none, COOKIE(NAME ID_ADA) SESSION_ID("x"),
		  IDENTITY_SID_MALFORMED, IDENTITY_NONE, VIA_NONE },
		{ "beside an ignored one", OSCARAPI, COOKIE(NAME ID_ADA) SESSION_ID("x"),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_COOKIE },
		{ "beside a Bearer", none, COOKIE(NAME ID_ADA) AUTHORIZATION("Bearer x"),
		  IDENTITY_TOKEN_DEAD, IDENTITY_NONE, VIA_NONE },
		{ "with a bad key", none, COOKIE(NAME ID_ADA) X_API_KEY("bad"), IDENTITY_KEY_BAD,
		  IDENTITY_NONE, VIA_NONE },
		{ "gateway, no key", "gateway=on", COOKIE(NAME ID_ADA), IDENTITY_KEY_MISSING,
		  IDENTITY_NONE, VIA_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_config(cases[i].config);
		assert_int_equal(ask(cases[i].fields, "192.0.2.1"), KV_OK);
		if (id.refusal != cases[i].refusal || id.kind != cases[i].kind ||
		    id.via != cases[i].via)
			fail_msg("%s: refusal %d, kind %d, via %d", cases[i].name,
			         (int)id.refusal, (int)id.kind, (int)id.via);
	}
}

/* What is stored is no cookie, and a Session-Id's key is none either. */
static void test_keys_are_no_cookies(void **state)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char text[256];

	(void)state;
	set_config(ANY);
	for (int i = 0; i < 2; i++) {
		struct buf out = BUF(text);

		if (i == 0)
			session_cookie_key(secret, SLICE(ID_ADA), key);
		else
			key_of(SID_ADA, key);
		buf_lit(&out, "Cookie: " NAME);
		buf_hex(&out, slice_bytes(key, sizeof key));
		buf_put(&out, (struct slice){ "aaa\r\n", 6 });
		assert_int_equal(refusal_of(text), IDENTITY_ADMITTED);
		assert_nobody();
	}
	assert_int_equal(refusal_of(SESSION_ID("SID:AUTH:shop.test:" ID_ADA)),
	                 IDENTITY_SESSION_DEAD);
}

#define ORIGIN(value) "Origin: " value "\r\n"
#define SITE(value)   "Sec-Fetch-Site: " value "\r\n"
#define PROTO(value)  "X-Forwarded-Proto: " value "\r\n"

#define NONE ""
#define MORE "csrf_origins=https://www.shop.test,http://a.test:8080"
static const struct {
	const char *name, *config, *fields;
	bool taken;
} origins[] = {
	{ "no browser", NONE, "", true },
	{ "own", NONE, ORIGIN("http://shop.test"), true },
	{ "own, in capitals", NONE, ORIGIN("http://SHOP.test"), true },
	{ "own, https", NONE, ORIGIN("https://shop.test"), true },
	{ "own, with a port", NONE, HOST("shop.test:8080") ORIGIN("http://shop.test:8080"),
	  true },
	{ "own, IPv6", NONE, HOST("[::1]:80") ORIGIN("http://[::1]:80"), true },
	{ "own, and the browser says so", NONE, ORIGIN("http://shop.test")
	  SITE("same-origin"), true },
	{ "the browser's word alone", NONE, SITE("same-origin"), true },
	{ "typed into the browser", NONE, SITE("none"), true },
	{ "another port", NONE, ORIGIN("http://shop.test:8080"), false },
	{ "port missing", NONE, HOST("shop.test:8080") ORIGIN("http://shop.test"), false },
	{ "another host", NONE, ORIGIN("https://evil.test"), false },
	{ "a host below", NONE, ORIGIN("https://a.shop.test"), false },
	{ "a host that ends alike", NONE, ORIGIN("https://evilshop.test"), false },
	{ "a host that begins alike", NONE, ORIGIN("https://shop.test.evil.test"), false },
	{ "own as user", NONE, ORIGIN("https://shop.test@evil.test"), false },
	{ "with a path", NONE, ORIGIN("https://shop.test/"), false },
	{ "another scheme", NONE, ORIGIN("ftp://shop.test"), false },
	{ "no scheme", NONE, ORIGIN("shop.test"), false },
	{ "null", NONE, ORIGIN("null"), false },
	{ "null, host null", NONE, HOST("null") ORIGIN("null"), false },
	{ "empty", NONE, ORIGIN(""), false },
	{ "scheme alone", NONE, ORIGIN("https://"), false },
	{ "two", NONE, ORIGIN("https://shop.test https://evil.test"), false },
	{ "another site", NONE, SITE("cross-site"), false },
	{ "a neighbour", NONE, SITE("same-site"), false },
	{ "site in capitals", NONE, SITE("Same-Origin"), false },
	{ "site empty", NONE, SITE(""), false },
	{ "own, but another site", NONE, ORIGIN("https://shop.test") SITE("cross-site"),
	  false },
	{ "own, but a neighbour", NONE, ORIGIN("https://shop.test") SITE("same-site"),
	  false },
	{ "another, but same-origin", NONE, ORIGIN("https://evil.test")
	  SITE("same-origin"), false },
	{ "listed", MORE, ORIGIN("https://www.shop.test"), true },
	{ "listed, a neighbour", MORE, ORIGIN("https://www.shop.test") SITE("same-site"),
	  true },
	{ "listed, another site", MORE, ORIGIN("http://a.test:8080") SITE("cross-site"),
	  true },
	{ "listed with another scheme", MORE, ORIGIN("http://www.shop.test"), false },
	{ "listed with a port", MORE, ORIGIN("http://a.test"), false },
	{ "longer than the listed", MORE, ORIGIN("https://www.shop.tester"), false },
	{ "a neighbour beside a list", MORE, SITE("same-site"), false },
	{ "may read alone", "cors_origins=https://www.shop.test",
	  ORIGIN("https://www.shop.test"), false },
	{ "forwarded host", NONE, "X-Forwarded-Host: pub.test\r\n"
	  ORIGIN("https://pub.test"), true },
	{ "the inner name then", NONE, "X-Forwarded-Host: pub.test\r\n"
	  ORIGIN("https://shop.test"), false },
	{ "forwarded https", NONE, PROTO("https") ORIGIN("https://shop.test"), true },
	{ "forwarded https, a page in the clear", NONE, PROTO("https")
	  ORIGIN("http://shop.test"), false },
	{ "not believed", "trusted_proxies=10.0.0.0/8",
	  "X-Forwarded-Host: pub.test\r\n" ORIGIN("https://pub.test"), false },
	{ "not believed, own", "trusted_proxies=10.0.0.0/8", PROTO("https")
	  ORIGIN("http://shop.test"), true },
};

/* Whose page sent it: the same verdict for nobody and for a guest's cookie; a header's
 * session is not asked. */
static void test_origins(void **state)
{
	static const char *const sessions[] = { "", COOKIE(NAME ID_GUEST), COOKIE(NAME ID_NONE) };
	char fields[512];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(origins) * COUNT_OF(sessions); i++) {
		size_t row = i / COUNT_OF(sessions);

		set_config(origins[row].config);
		snprintf(fields, sizeof fields, "%s%s", origins[row].fields,
		         sessions[i % COUNT_OF(sessions)]);
		assert_int_equal(ask(fields, "127.0.0.1"), KV_OK);
		assert_int_equal(id.refusal, IDENTITY_ADMITTED);
		identity_judge_csrf(&question, &id);
		if (id.refusal != (origins[row].taken ? IDENTITY_ADMITTED : IDENTITY_CSRF_ORIGIN))
			fail_msg("%s: refusal %d", origins[row].name, (int)id.refusal);
		if (!origins[row].taken)
			assert_nobody();
	}
	set_config(ANY);
	assert_int_equal(refusal_of(SESSION_ID(SID_ADA) ORIGIN("https://evil.test")
	                            SITE("cross-site")), IDENTITY_ADMITTED);
	identity_judge_csrf(&question, &id);
	assert_int_equal(id.refusal, IDENTITY_ADMITTED);
	assert_int_equal(id.kind, IDENTITY_CUSTOMER);
}

/* Where the connection is TLS; a trusted proxy may know better. */
static void test_origins_over_tls(void **state)
{
	static const struct {
		const char *name, *config, *fields;
		bool https, taken;
	} cases[] = {
		{ "own", NONE, ORIGIN("https://shop.test"), true, true },
		{ "in the clear", NONE, ORIGIN("http://shop.test"), true, false },
		{ "proxy in the clear", NONE, PROTO("http") ORIGIN("http://shop.test"),
		  false, true },
		{ "proxy", NONE, PROTO("https") ORIGIN("http://shop.test"), true, false },
		{ "empty word", NONE, PROTO("") ORIGIN("http://shop.test"), true, false },
		{ "not believed", "trusted_proxies=10.0.0.0/8",
		  PROTO("http") ORIGIN("http://shop.test"), true, false },
	};

	(void)state;
	question.https = true;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		set_config(cases[i].config);
		assert_int_equal(ask(cases[i].fields, "127.0.0.1"), KV_OK);
		identity_judge_csrf(&question, &id);
		if (id.https != cases[i].https || cases[i].taken !=
		    (id.refusal == IDENTITY_ADMITTED))
			fail_msg("%s: refusal %d", cases[i].name, (int)id.refusal);
	}
	question.https = false;
}

/* `@` stands for ada's token, `%` for the guest's. */
static void test_tokens(void **state)
{
	static const struct {
		const char *name, *fields;
		enum identity_refusal refusal;
	} cases[] = {
		{ "both", "Cookie: sidecart_csrf=@\r\nX-CSRFToken: @\r\n", IDENTITY_ADMITTED },
		{ "neither", "", IDENTITY_CSRF_COOKIE },
		{ "no cookie", "X-CSRFToken: @\r\n", IDENTITY_CSRF_COOKIE },
		{ "two cookies", "Cookie: sidecart_csrf=@; sidecart_csrf=@\r\nX-CSRFToken: @\r\n",
		  IDENTITY_CSRF_COOKIE },
		{ "cookie of another name", "Cookie: csrftoken=@\r\nX-CSRFToken: @\r\n",
		  IDENTITY_CSRF_COOKIE },
		{ "no field", "Cookie: sidecart_csrf=@\r\n", IDENTITY_CSRF_TOKEN },
		{ "field empty", "Cookie: sidecart_csrf=@\r\nX-CSRFToken: \r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "both empty", "Cookie: sidecart_csrf=\r\nX-CSRFToken: \r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "both made up", "Cookie: sidecart_csrf=x\r\nX-CSRFToken: x\r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "field longer", "Cookie: sidecart_csrf=@\r\nX-CSRFToken: @x\r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "another session's, both", "Cookie: sidecart_csrf=%\r\nX-CSRFToken: %\r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "another session's cookie", "Cookie: sidecart_csrf=%\r\nX-CSRFToken: @\r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "another session's field", "Cookie: sidecart_csrf=@\r\nX-CSRFToken: %\r\n",
		  IDENTITY_CSRF_TOKEN },
		{ "good, from elsewhere", "Cookie: sidecart_csrf=@\r\nX-CSRFToken: @\r\n"
		  ORIGIN("https://evil.test"), IDENTITY_CSRF_ORIGIN },
	};
	static const char *const ids[] = { ID_ADA, ID_GUEST };

	(void)state;
	set_config("");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[1024];
		struct buf out = BUF(text);

		buf_lit(&out, COOKIE(NAME ID_ADA));
		for (const char *p = cases[i].fields; *p != '\0'; p++) {
			uint8_t key[RECORD_SESSION_KEY_LEN];

			if (*p != '@' && *p != '%') {
				buf_char(&out, *p);
				continue;
			}
			session_cookie_key(secret, slice_of(ids[*p == '%']), key);
			session_put_csrf_token(&out, secret, key);
		}
		buf_char(&out, '\0');
		assert_int_equal(refusal_of(text), IDENTITY_ADMITTED);
		assert_int_equal(id.kind, IDENTITY_CUSTOMER);
		identity_judge_csrf(&question, &id);
		if (id.refusal != cases[i].refusal)
			fail_msg("%s: refusal %d", cases[i].name, (int)id.refusal);
	}
}

static void test_readers(void **state)
{
	(void)state;
	set_config("cors_origins=https://www.shop.test csrf_origins=https://other.test");
	assert_true(identity_origin_reads(&config, SLICE("https://www.shop.test")));
	assert_false(identity_origin_reads(&config, SLICE("https://other.test")));
	assert_false(identity_origin_reads(&config, SLICE("http://www.shop.test")));
	assert_false(identity_origin_reads(&config, SLICE("https://www.shop.test:8443")));
	assert_false(identity_origin_reads(&config, SLICE("null")));
	assert_false(identity_origin_reads(&config, SLICE("")));
	set_config("");
	assert_false(identity_origin_reads(&config, SLICE("")));
}

#define WITH_COOKIES(f) cmocka_unit_test_setup_teardown(f, set_up_cookies, store_tear_down)
#define IN_A_STORE(f) cmocka_unit_test_setup_teardown(f, set_up, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		IN_A_STORE(test_keys),
		IN_A_STORE(test_digest_is_no_key),
		IN_A_STORE(test_memo_follows_the_store),
		IN_A_STORE(test_memo_forgets_no_rule),
		IN_A_STORE(test_memo_over_a_new_store),
		IN_A_STORE(test_addresses),
		IN_A_STORE(test_original),
		IN_A_STORE(test_realms),
		IN_A_STORE(test_hosts_that_no_realm_equals),
		IN_A_STORE(test_sessions),
		IN_A_STORE(test_whose_session),
		IN_A_STORE(test_order_of_refusals),
		IN_A_STORE(test_session_ends_beside_us),
		IN_A_STORE(test_memo_mixes_nobody_up),
		IN_A_STORE(test_basket_of_the_session),
		IN_A_STORE(test_memo_collisions),
		IN_A_STORE(test_memo_of_long_names),
		IN_A_STORE(test_store_that_fails),
		IN_A_STORE(test_renewal),
		IN_A_STORE(test_renewal_of_what_has_moved),
		WITH_COOKIES(test_dead_ids_cost_alike),
		WITH_COOKIES(test_cookies),
		WITH_COOKIES(test_keys_are_no_cookies),
		WITH_COOKIES(test_origins),
		WITH_COOKIES(test_origins_over_tls),
		WITH_COOKIES(test_tokens),
		IN_A_STORE(test_readers),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
