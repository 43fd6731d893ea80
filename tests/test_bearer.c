/* test_bearer.c -- who shows a token, a dwsid or a client id of OCAPI, and what is refused.
 *
 * The tokens are those that handlers make (call.h), and such as others might.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "calls.h"

#define NOW_S UINT64_C(1800000000)
#define SHOP  "shop-client-id"

static struct identity_memo memo;
static struct identity id;
static struct session_owner ada, guest;
static char token_text[JWT_TOKEN_MAX], guest_text[JWT_TOKEN_MAX], dwsid_text[SESSION_DWSID_CHARS];
static struct buf token, guest_token, dwsid;    /* of ada; of the guest; of the guest */

/* An HS256 key of the ring, whose bytes are all `n`. */
static void add_ring_key(uint8_t n)
{
	uint8_t random[TOKEN_RANDOM_LEN];
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record r;

	memset(random, n, sizeof random);
	assert_true(token_generate(&record, TOKEN_HS256, seal_key, random));
	assert_true(record_token_key_read(buf_slice(&record), &r));
	assert_int_equal(token_add(store, &r, now_s, 0), KV_OK);
}

static int set_up(void **state)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];

	store_set_up(state);
	config_defaults(&config);
	now_s = NOW_S;
	memset(&memo, 0, sizeof memo);
	add_ring_key(1);
	calls_add_key("shop", SHOP, SCOPE_SHOP, NOW_S + 86400);
	calls_add_key("app", "trusted", SCOPE_SHOP | SCOPE_TRUSTED, 0);
	calls_add_key("late", "late", SCOPE_SHOP, NOW_S);
	calls_add_key("sso", "sso", SCOPE_LOGIN, 0);
	calls_add_customer("ada");
	calls_add_customer("bob");
	ada = (struct session_owner){ .customer_id = 1 };
	calls_post("/dw/shop/v20_9/customers/auth", "X-Dw-Client-Id: " SHOP "\r\n", "");
	call_make_guest(&call, &guest);
	token = BUF(token_text);
	guest_token = BUF(guest_text);
	dwsid = BUF(dwsid_text);
	calls_make_token(SHOP, &ada, &token);
	calls_make_token(SHOP, &guest, &guest_token);
	assert_int_equal(call_start_dwsid(&call, &guest, &dwsid, key), KV_OK);
	return 0;
}

/* Who sends this, `%T`, `%G`, `%D` standing for ada's token, the guest's and his dwsid. */
static enum identity_refusal ask(const char *target, const char *fields, bool remembered)
{
	static char text[16384];
	const struct http_limits limits = { 16384, 2048, 64, 65536 };
	struct address peer;
	struct http_refusal refusal;
	const struct identity_question q = {
		.config = &config, .sid_secret = CALLS_SECRET, .request = &request, .kv = store,
		.now_s = now_s, .peer = &peer, .memo = remembered ? &memo : NULL,
		.ocapi = strncmp(target, "/dw/", 4) == 0,
	};
	struct buf out = BUF(text);

	buf_lit(&out, "GET ");
	buf_str(&out, target);
	buf_lit(&out, " HTTP/1.1\r\nHost: shop.example\r\n");
	for (const char *p = fields; *p != '\0'; p++) {
		if (*p != '%')
			buf_char(&out, *p);
		else if (*++p == 'T')
			buf_put(&out, buf_slice(&token));
		else
			buf_put(&out, buf_slice(*p == 'G' ? &guest_token : &dwsid));
	}
	buf_lit(&out, "\r\n");
	address_parse(SLICE("127.0.0.1"), &peer);
	http_request_init(&request);
	assert_int_equal(http_parse(&request, buf_slice(&out), &limits, &refusal), HTTP_READY);
	memset(&id, 0xa5, sizeof id);
	assert_int_equal(identify(&q, &id), KV_OK);
	if (id.refusal != IDENTITY_ADMITTED)
		assert_int_equal(id.kind, IDENTITY_NONE);
	return id.refusal;
}

/* A commit, after which the memo has to look again. */
static void commit(void)
{
	store_commit();
}

#define BEARER(t) "Authorization: Bearer " t "\r\n"
#define KEY(k)    "X-Api-Key: " k "\r\n"
#define CLIENT(k) "x-dw-client-id: " k "\r\n"
#define COOKIE(c) "Cookie: " c "\r\n"
#define AUTH_SID(who) "Session-Id: SID:AUTH:shop.example:" who "\r\n"
#define DW "/dw/shop/v20_9/baskets/1"

static void test_tokens(void **state)
{
	static const struct {
		const char *name, *target, *fields;
		enum identity_refusal refusal;
		enum identity_kind kind;
		enum record_via via;
		const char *client;
	} cases[] = {
		{ "a customer's", "/resolve", BEARER("%T"), IDENTITY_ADMITTED, IDENTITY_CUSTOMER,
		  VIA_TOKEN, "shop" },
		{ "a guest's", "/resolve", BEARER("%G"), IDENTITY_ADMITTED, IDENTITY_GUEST,
		  VIA_TOKEN, "shop" },
		{ "on OCAPI's path", DW, BEARER("%T"), IDENTITY_ADMITTED, IDENTITY_CUSTOMER,
		  VIA_TOKEN, "shop" },
		{ "its client before another", DW "?client_id=late", BEARER("%T") CLIENT("sso"),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_TOKEN, "shop" },
		{ "scheme in capitals", "/resolve", "Authorization: BEARER %T\r\n",
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_TOKEN, "shop" },
		{ "a key of its own (J15)", "/resolve", BEARER("%T") KEY("trusted"),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_TOKEN, "app" },
		{ "a bad key beside it", "/resolve", BEARER("%T") KEY("bad"), IDENTITY_KEY_BAD,
		  IDENTITY_NONE, VIA_NONE, NULL },
		{ "no cookie is looked at", "/resolve", BEARER("%T") COOKIE("dwsid=%D"),
		  IDENTITY_ADMITTED, IDENTITY_CUSTOMER, VIA_TOKEN, "shop" },
		{ "a byte more", "/resolve", BEARER("%Tx"), IDENTITY_TOKEN_DEAD, IDENTITY_NONE,
		  VIA_NONE, NULL },
		{ "two", "/resolve", BEARER("%T %T"), IDENTITY_TOKEN_DEAD, IDENTITY_NONE,
		  VIA_NONE, NULL },
		{ "as a key", "/resolve", KEY("%T"), IDENTITY_KEY_BAD, IDENTITY_NONE, VIA_NONE,
		  NULL },
		{ "in the query (J17)", "/resolve?access_token=x&client_id=" SHOP, "",
		  IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE, NULL },
		{ "a guest's dwsid", "/resolve", COOKIE("dwsid=%D"), IDENTITY_ADMITTED,
		  IDENTITY_GUEST, VIA_DWSID, NULL },
		{ "dwsid with a client", DW, CLIENT(SHOP) COOKIE("dwsid=%D"), IDENTITY_ADMITTED,
		  IDENTITY_GUEST, VIA_DWSID, "shop" },
		{ "dwsid twice (K06)", "/resolve", COOKIE("dwsid=%D; dwsid=%D"),
		  IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE, NULL },
		{ "dwsid as the other cookie", "/resolve", COOKIE("sidecart_session=%D"),
		  IDENTITY_ADMITTED, IDENTITY_NONE, VIA_NONE, NULL },
		{ "dwsid as a token", "/resolve", BEARER("%D"), IDENTITY_TOKEN_DEAD,
		  IDENTITY_NONE, VIA_NONE, NULL },
		{ "a token as dwsid", "/resolve", COOKIE("dwsid=%T"), IDENTITY_ADMITTED,
		  IDENTITY_NONE, VIA_NONE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < 4 * COUNT_OF(cases); i++) {
		size_t row = i / 4;

		if (i % 4 == 3)
			commit();
		if (ask(cases[row].target, cases[row].fields, i % 4 > 0) != cases[row].refusal ||
		    id.kind != cases[row].kind || id.via != cases[row].via)
			fail_msg("%s: refusal %d", cases[row].name, (int)id.refusal);
		if (id.refusal != IDENTITY_ADMITTED)
			continue;
		if ((id.client != NULL) != (cases[row].client != NULL) ||
		    (id.client != NULL &&
		     !slice_eq(id.client->name, slice_of(cases[row].client))))
			fail_msg("%s: another client", cases[row].name);
	}
}

/* OCAPI's client ids: where they stand, and which keys serve. */
static void test_clients(void **state)
{
	static const struct {
		const char *name, *target, *fields;
		enum identity_refusal refusal;
		uint32_t key_scopes;
	} cases[] = {
		{ "none", DW, "", IDENTITY_CLIENT_MISSING, 0 },
		{ "in the header", DW, CLIENT(SHOP), IDENTITY_ADMITTED, 0 },
		{ "in the query", DW "?client_id=" SHOP, "", IDENTITY_ADMITTED, 0 },
		{ "encoded", DW "?a=b&client_id=shop%2dclient-id", "", IDENTITY_ADMITTED, 0 },
		{ "the query before the header", DW "?client_id=" SHOP, CLIENT("bad"),
		  IDENTITY_ADMITTED, 0 },
		{ "twice the same", DW "?client_id=" SHOP "&client_id=" SHOP, "",
		  IDENTITY_ADMITTED, 0 },
		{ "two", DW "?client_id=" SHOP "&client_id=late", "", IDENTITY_KEYS_DISAGREE, 0 },
		{ "unknown", DW, CLIENT("bad"), IDENTITY_CLIENT_UNKNOWN, 0 },
		{ "empty", DW, CLIENT(""), IDENTITY_CLIENT_MISSING, 0 },
		{ "expired", DW, CLIENT("late"), IDENTITY_CLIENT_UNKNOWN, 0 },
		{ "a key that may more", DW, CLIENT("trusted"), IDENTITY_CLIENT_UNKNOWN, 0 },
		{ "a key that may else", DW, CLIENT("sso"), IDENTITY_CLIENT_UNKNOWN, 0 },
		{ "too long", DW, CLIENT("00000000000000000000000000000000000000000000000000"
		  "00000000000000000000000000000000000000000000000000000000000000000000000000000"
		  "000"), IDENTITY_CLIENT_UNKNOWN, 0 },
		{ "a key of another's beside it", DW, CLIENT(SHOP) KEY("sso"), IDENTITY_ADMITTED,
		  SCOPE_LOGIN },
		{ "a bad key beside it", DW, CLIENT(SHOP) KEY("bad"), IDENTITY_KEY_BAD, 0 },
		{ "a key alone", DW, KEY("sso"), IDENTITY_CLIENT_MISSING, SCOPE_LOGIN },
		{ "elsewhere none is read", "/resolve?client_id=bad", CLIENT("bad"),
		  IDENTITY_ADMITTED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < 4 * COUNT_OF(cases); i++) {
		size_t row = i / 4;

		config.gateway = i % 2 && cases[row].target[1] == 'd' ? CONFIG_ON : CONFIG_OFF;
		if (ask(cases[row].target, cases[row].fields, i % 4 > 1) != cases[row].refusal ||
		    id.key_scopes != cases[row].key_scopes)
			fail_msg("%s: refusal %d", cases[row].name, (int)id.refusal);
	}
}

static void start_header_session(const char *identifier, uint64_t customer_id)
{
	struct sid sid;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char text[64];

	snprintf(text, sizeof text, "SID:AUTH:shop.example:%s", identifier);
	assert_int_equal(sid_parse(slice_of(text), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, SID_AUTH, CALLS_SECRET, key);
	assert_int_equal(session_start(store, &config, key, customer_id, VIA_HEADER, now_s),
	                 KV_OK);
}

static void test_two_proofs(void **state)
{
	(void)state;
	start_header_session("ada", 1);
	start_header_session("bob", 2);
	for (int remembered = 0; remembered < 2; remembered++) {
		assert_int_equal(ask("/resolve", KEY("trusted") AUTH_SID("ada") BEARER("%T"),
		                     remembered), IDENTITY_ADMITTED);
		assert_int_equal(id.via, VIA_HEADER);
		assert_int_equal(id.session.customer_id, 1);
		assert_int_equal(ask("/resolve", KEY("trusted") AUTH_SID("bob") BEARER("%T"),
		                     remembered), IDENTITY_PROOFS_DISAGREE);
		assert_int_equal(ask("/resolve", KEY("trusted") AUTH_SID("ada") BEARER("%G"),
		                     remembered), IDENTITY_PROOFS_DISAGREE);
		assert_int_equal(ask("/resolve", KEY("trusted") BEARER("%G")
		                     "Session-Id: SID:ANON:shop.example:x\r\n", remembered),
		                 IDENTITY_PROOFS_DISAGREE);
		/* The token vouches for no Session-Id. */
		assert_int_equal(ask("/resolve", AUTH_SID("ada") BEARER("%T"), remembered),
		                 IDENTITY_SID_UNTRUSTED);
	}
}

/* Every end of a token holds at the very next request (J09), remembered or not. */
static void test_ends(void **state)
{
	static const struct {
		const char *name;
		enum identity_refusal customer, guest;
	} cases[] = {
		{ "none", IDENTITY_ADMITTED, IDENTITY_ADMITTED },
		{ "logout", IDENTITY_TOKEN_DEAD, IDENTITY_ADMITTED },
		{ "customer's sessions", IDENTITY_TOKEN_DEAD, IDENTITY_ADMITTED },
		{ "guest's root", IDENTITY_ADMITTED, IDENTITY_TOKEN_DEAD },
		{ "key of the ring", IDENTITY_TOKEN_DEAD, IDENTITY_TOKEN_DEAD },
		{ "client disabled", IDENTITY_TOKEN_DEAD, IDENTITY_TOKEN_DEAD },
		{ "another site (J15)", IDENTITY_TOKEN_DEAD, IDENTITY_TOKEN_DEAD },
		{ "expired", IDENTITY_TOKEN_EXPIRED, IDENTITY_TOKEN_EXPIRED },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct client_record r;
		struct token_key_record ring;
		uint8_t key[RECORD_SESSION_KEY_LEN];
		uint32_t ended;

		for (int again = 0; again < 3; again++) {
			assert_int_equal(ask("/resolve", BEARER("%G"), true), IDENTITY_ADMITTED);
			assert_int_equal(ask("/resolve", BEARER("%T"), true), IDENTITY_ADMITTED);
		}
		switch (i) {
		case 1:
			assert_int_equal(session_end(store, id.session_key), KV_OK);
			break;
		case 2:
			assert_int_equal(session_delete_some(store, 1, 9, &ended), KV_OK);
			break;
		case 3:
			session_guest_key(CALLS_SECRET, (struct slice){ guest.guest_id, 26 }, key);
			assert_int_equal(session_end(store, key), KV_OK);
			break;
		case 4:
			assert_int_equal(token_signer(store, TOKEN_HS256, now_s, &ring), KV_OK);
			assert_int_equal(token_end(store, ring.kid), KV_OK);
			break;
		case 5:
			assert_int_equal(client_find(store, id.client_digest, &r), KV_OK);
			r.flags = CLIENT_DISABLED;
			assert_int_equal(client_put(store, id.client_digest, &r), KV_OK);
			break;
		case 6:
			memset(&memo, 0, sizeof memo);          /* as a reload does */
			snprintf(config.site, sizeof config.site, "Other");
			break;
		case 7:
			now_s += config.token_ttl_s;
			break;
		default:
			break;
		}
		commit();
		for (int remembered = 0; remembered < 2; remembered++) {
			enum identity_refusal refusal = ask("/resolve", BEARER("%T"), remembered);

			if (refusal != cases[i].customer)
				fail_msg("%s: customer's refusal %d", cases[i].name, (int)refusal);
			refusal = ask("/resolve", BEARER("%G"), remembered);
			if (refusal != cases[i].guest)
				fail_msg("%s: guest's refusal %d", cases[i].name, (int)refusal);
		}
		store_tear_down(state);
		set_up(state);
	}
}

/* A second before its end a token is good, and then expired, with and without the memo. */
static void test_expiry(void **state)
{
	(void)state;
	for (int remembered = 0; remembered < 2; remembered++) {
		now_s = NOW_S + config.token_ttl_s - 1;
		assert_int_equal(ask("/resolve", BEARER("%T"), remembered), IDENTITY_ADMITTED);
		assert_false(session_renewal_due(&config, &id.session, now_s));
		now_s++;
		assert_int_equal(ask("/resolve", BEARER("%T"), remembered),
		                 IDENTITY_TOKEN_EXPIRED);
	}
}

/* Any bit of a token that is another makes it none: the signature covers it all (J05). */
static void test_altered_tokens(void **state)
{
	size_t len = token.len;

	(void)state;
	assert_int_equal(ask("/resolve", BEARER("%T"), true), IDENTITY_ADMITTED);
	for (size_t i = 0; i < len; i++) {
		char was = token_text[i];

		token_text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(ask("/resolve", BEARER("%T"), true), IDENTITY_TOKEN_DEAD);
		token_text[i] = was;
	}
	for (; token.len > 0; token.len -= token.len > 7 ? 7 : token.len)
		if (token.len < len)
			assert_int_equal(ask("/resolve", BEARER("%T"), true),
			                 IDENTITY_TOKEN_DEAD);
}

/* Signs claims with the ring's key, for what no handler would make. */
static void sign(enum jwt_typ typ, const char *claims)
{
	const struct call_token t = { .alg = TOKEN_HS256, .typ = typ, .claims = slice_of(claims),
	                              .life_s = 1800 };

	token.len = 0;
	calls_post("/", "", "");
	assert_int_equal(call_sign(&call, &t, &token), CALL_DONE);
}

#define TIMES "\"exp\":1800001800,\"iat\":1800000000"
#define GOOD_SID "\"sid\":\"%s\",\"site\":\"RefArch\""

/* Well signed, and yet no shopper's token (J07, J08, J09). */
static void test_strange_claims(void **state)
{
	static const struct {
		const char *name, *claims;
		enum jwt_typ typ;
		enum identity_refusal refusal;
	} cases[] = {
		{ "good", "{" TIMES ",\"iss\":\"" SHOP "\"," GOOD_SID "}", JWT_TYP_JWT,
		  IDENTITY_ADMITTED },
		{ "another type", "{" TIMES ",\"iss\":\"" SHOP "\"," GOOD_SID "}", JWT_TYP_ACCESS,
		  IDENTITY_TOKEN_DEAD },
		{ "an audience", "{" TIMES ",\"iss\":\"" SHOP "\",\"aud\":\"a\"," GOOD_SID "}",
		  JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "no issuer", "{" TIMES "," GOOD_SID "}", JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "an unknown client", "{" TIMES ",\"iss\":\"nobody\"," GOOD_SID "}", JWT_TYP_JWT,
		  IDENTITY_TOKEN_DEAD },
		{ "a trusted key as client", "{" TIMES ",\"iss\":\"trusted\"," GOOD_SID "}",
		  JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "no session", "{" TIMES ",\"iss\":\"" SHOP "\",\"site\":\"RefArch\"}",
		  JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "a short session", "{" TIMES ",\"iss\":\"" SHOP "\",\"sid\":\"00\","
		  "\"site\":\"RefArch\"}", JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "an unknown session", "{" TIMES ",\"iss\":\"" SHOP "\",\"sid\":"
		  "\"0000000000000000000000000000000000000000\",\"site\":\"RefArch\"}",
		  JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "no site", "{" TIMES ",\"iss\":\"" SHOP "\",\"sid\":\"%s\"}", JWT_TYP_JWT,
		  IDENTITY_TOKEN_DEAD },
		{ "no end", "{\"iat\":1800000000,\"iss\":\"" SHOP "\"," GOOD_SID "}", JWT_TYP_JWT,
		  IDENTITY_TOKEN_DEAD },
		{ "two days", "{\"exp\":1800172800,\"iat\":1800000000,\"iss\":\"" SHOP "\","
		  GOOD_SID "}", JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
		{ "from the future", "{\"exp\":1800001800,\"iat\":1800000100,\"iss\":\"" SHOP
		  "\"," GOOD_SID "}", JWT_TYP_JWT, IDENTITY_TOKEN_DEAD },
	};
	char hex_text[2 * RECORD_SESSION_KEY_LEN + 1] = "", claims[512];
	struct buf hex = BUF(hex_text);

	(void)state;
	assert_int_equal(ask("/resolve", BEARER("%T"), false), IDENTITY_ADMITTED);
	buf_hex(&hex, slice_bytes(id.session_key, sizeof id.session_key));
	hex_text[sizeof hex_text - 1] = '\0';
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *hole = strstr(cases[i].claims, "%s");

		size_t front = hole != NULL ? (size_t)(hole - cases[i].claims) :
		                              strlen(cases[i].claims);

		snprintf(claims, sizeof claims, "%.*s%s%s", (int)front, cases[i].claims,
		         hole != NULL ? hex_text : "", hole != NULL ? hole + 2 : "");
		sign(cases[i].typ, claims);
		for (int again = 0; again < 2; again++)
			if (ask("/resolve", BEARER("%T"), again > 0) != cases[i].refusal)
				fail_msg("%s: refusal %d", cases[i].name, (int)id.refusal);
	}
	/* The root of a guest, and the session of a cookie, are no token's. */
	session_guest_key(CALLS_SECRET, (struct slice){ guest.guest_id, 26 }, id.session_key);
	hex.len = 0;
	buf_hex(&hex, slice_bytes(id.session_key, sizeof id.session_key));
	snprintf(claims, sizeof claims, "{" TIMES ",\"iss\":\"" SHOP "\",\"sid\":\"%s\","
	         "\"site\":\"RefArch\"}", hex_text);
	sign(JWT_TYP_JWT, claims);
	assert_int_equal(ask("/resolve", BEARER("%T"), false), IDENTITY_TOKEN_DEAD);
}

/* What one of a guest's sessions puts into his basket the others see, and nobody else. */
static void test_guest_shares_his_root(void **state)
{
	static struct basket basket, again;
	uint8_t key[RECORD_SESSION_KEY_LEN];

	(void)state;
	session_guest_key(CALLS_SECRET, (struct slice){ guest.guest_id, 26 }, key);
	assert_int_equal(ask("/api/basket/", BEARER("%G"), false), IDENTITY_ADMITTED);
	call.identity = id;
	assert_int_equal(call_open_basket(&call, true, &basket), KV_OK);
	assert_memory_equal(basket.guest, key, sizeof key);
	assert_int_equal(call.basket_cookie, 0);
	for (int remembered = 0; remembered < 3; remembered++) {
		assert_int_equal(ask("/resolve", COOKIE("dwsid=%D"), remembered > 0),
		                 IDENTITY_ADMITTED);
		assert_int_equal(id.session.basket_id, basket.id);
		assert_true(slice_eq(id.session.guest_id, (struct slice){ guest.guest_id, 26 }));
	}
	call.identity = id;
	assert_int_equal(call_basket(&call, basket.id, &again), CALL_ALLOWED);
	assert_int_equal(ask("/resolve", BEARER("%T"), false), IDENTITY_ADMITTED);
	call.identity = id;
	assert_int_equal(call_basket(&call, basket.id, &again), CALL_FORBIDDEN);
}

/* The root outlives each of the guest's sessions, and goes with the last (ocapi.md 2.3). */
static void test_lives_of_a_guest(void **state)
{
	struct session_record root;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint32_t seen;

	(void)state;
	session_guest_key(CALLS_SECRET, (struct slice){ guest.guest_id, 26 }, key);
	assert_int_equal(session_find(store, key, now_s, &root), KV_OK);
	assert_int_equal(root.expires_s, NOW_S + SESSION_DWSID_MAX_S);
	while (now_s < NOW_S + SESSION_DWSID_MAX_S) {           /* used every 20 minutes */
		assert_int_equal(ask("/resolve", COOKIE("dwsid=%D"), true), IDENTITY_ADMITTED);
		assert_int_equal(id.via, VIA_DWSID);
		assert_int_equal(session_renew(store, &config, id.session_key, now_s), KV_OK);
		assert_int_equal(session_sweep(store, &config, now_s, 100, &seen), KV_OK);
		now_s += 1200;
	}
	assert_int_equal(ask("/resolve", COOKIE("dwsid=%D"), true), IDENTITY_ADMITTED);
	assert_int_equal(id.kind, IDENTITY_NONE);
	assert_int_equal(session_sweep(store, &config, now_s, 100, &seen), KV_OK);
	assert_int_equal(session_find(store, key, NOW_S, &root), KV_NOT_FOUND);
}

static void test_idle_dwsid(void **state)
{
	(void)state;
	now_s = NOW_S + SESSION_DWSID_TTL_S - 1;
	assert_int_equal(ask("/resolve", COOKIE("dwsid=%D"), false), IDENTITY_ADMITTED);
	assert_int_equal(id.kind, IDENTITY_GUEST);
	assert_true(id.renewal_due);
	now_s++;
	assert_int_equal(ask("/resolve", COOKIE("dwsid=%D"), false), IDENTITY_ADMITTED);
	assert_int_equal(id.kind, IDENTITY_NONE);
}

/* The dwsecuretoken is told where it matters, and noted once it has come over HTTPS. */
static void test_secure_token(void **state)
{
	static const char *const site = "1f866598df3d23bd96d7fbc0ff91985f";
	char text[256], fields[512];
	struct buf value = BUF(text);
	struct identity_question q = { .config = &config, .sid_secret = CALLS_SECRET,
	                               .request = &request, .kv = store, .now_s = now_s };

	(void)state;
	snprintf(config.site, sizeof config.site, "SiteGenesis");
	session_put_site_hash(&value, config.site);
	assert_true(slice_eq(buf_slice(&value), slice_of(site)));
	assert_int_equal(ask(DW, CLIENT(SHOP) COOKIE("dwsid=%D"), false), IDENTITY_ADMITTED);
	assert_false(id.secure_token);
	value.len = 0;
	session_put_secure_token(&value, CALLS_SECRET, config.site, id.session_key);
	assert_int_equal(value.len, SESSION_SECURE_TOKEN_CHARS);
	for (int on = 0; on < 2; on++) {
		config.secure_token_seen = on ? CONFIG_ON : CONFIG_OFF;
		snprintf(fields, sizeof fields, CLIENT(SHOP) "X-Forwarded-Proto: https\r\n"
		         COOKIE("dwsid=%%D; dwsecuretoken_%s=%.*s"), site, (int)value.len, text);
		assert_int_equal(ask(DW, fields, false), IDENTITY_ADMITTED);
		assert_true(id.secure_token);
		assert_int_equal(id.secure_due, on);
		q.peer = &id.address;
		assert_int_equal(identity_renew(&q, &id), KV_OK);
		assert_int_equal(ask(DW, fields, false), IDENTITY_ADMITTED);
		assert_int_equal(id.session.flags, on ? SESSION_SECURE_SEEN : 0);
		assert_false(id.secure_due);
		text[0] ^= 1;
		snprintf(fields, sizeof fields, CLIENT(SHOP)
		         COOKIE("dwsid=%%D; dwsecuretoken_%s=%.*s"), site, (int)value.len, text);
		assert_int_equal(ask(DW, fields, false), IDENTITY_ADMITTED);
		assert_false(id.secure_token);
		text[0] ^= 1;
	}
}

/* Ids of guests and of customers look alike, and no two are equal. */
static void test_customer_ids(void **state)
{
	char one[RECORD_GUEST_ID_LEN], two[RECORD_GUEST_ID_LEN];
	struct session_owner who = { .customer_id = 2 };

	(void)state;
	assert_int_equal(call_customer_id(&call, &ada, one).len, 26);
	call_customer_id(&call, &who, two);
	assert_memory_not_equal(one, two, sizeof one);
	call_customer_id(&call, &ada, two);
	assert_memory_equal(one, two, sizeof one);
	assert_memory_equal(call_customer_id(&call, &guest, two).ptr, guest.guest_id, 26);
	for (size_t i = 0; i < sizeof one; i++)
		assert_true((one[i] >= 'a' && one[i] <= 'z') || (one[i] >= '2' && one[i] <= '7'));
}

/* The claims of OCAPI in their order, then ours (ocapi.md, section 3). */
static void test_form_of_a_token(void **state)
{
	static const char want[] = "{\"_v\":\"1\",\"exp\":1800001800,\"iat\":1800000000,"
		"\"iss\":\"" SHOP "\",\"sub\":\"{\\\"_v\\\":\\\"1\\\",\\\"customer_info\\\":"
		"{\\\"customer_id\\\":\\\"";
	static struct jwt t;
	struct slice payload;

	(void)state;
	assert_int_equal(jwt_open(&t, buf_slice(&guest_token)), JWT_GOOD);
	assert_int_equal(t.typ, JWT_TYP_JWT);
	payload = (struct slice){ t.payload, t.payload_len };
	assert_true(slice_starts(payload, SLICE(want)));
	payload = slice_skip(payload, sizeof want - 1);
	assert_true(slice_starts(payload, (struct slice){ guest.guest_id, 26 }));
	assert_true(slice_starts(slice_skip(payload, 26),
	                         SLICE("\\\",\\\"guest\\\":true}}\",\"sid\":\"")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_tokens),
		TEST(test_clients),
		TEST(test_two_proofs),
		TEST(test_ends),
		TEST(test_expiry),
		TEST(test_altered_tokens),
		TEST(test_strange_claims),
		TEST(test_guest_shares_his_root),
		TEST(test_lives_of_a_guest),
		TEST(test_idle_dwsid),
		TEST(test_secure_token),
		TEST(test_customer_ids),
		TEST(test_form_of_a_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
