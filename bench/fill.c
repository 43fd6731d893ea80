/* fill.c -- makes the stores that bench/ measures with: customers, their sessions, baskets, keys.
 *
 * Usage: fill DATA SESSIONS CUSTOMERS header|cookie|token|basket|dump. DATA must hold no store yet.
 * All goes in by the domain's own functions, so that what is measured is what the server would
 * have written; only fsync is left out. `basket` makes as many customers as sessions, and for each
 * a session by header, one by token, and an open basket of LINES lines. `dump` makes no store but
 * DATA/dump, which may be a pipe: the same customers and sessions by header, and a key, as another
 * shop's dumpdata has them, an object a line. What a load needs comes on stdout, one thing a line:
 *   host shop.example.com               the realm, to be sent as Host
 *   key sck_...                         an API key of scope `trusted`
 *   session INDEX IDENTIFIER CUSTOMER   some of the sessions and whose they are
 *   entry_bytes N                       of a session by header: its record and three keys
 * Header session INDEX has the same identifier here and in draw.lua. DATA/ids has, in line INDEX
 * of equal ones, the id of a cookie; or the token; or the basket's id as OCAPI writes it and,
 * behind it, the token.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "basket.h"
#include "client.h"
#include "customer.h"
#include "date.h"
#include "django.h"
#include "identity.h"
#include "product.h"
#include "secret.h"
#include "session.h"
#include "sid.h"
#include "token.h"

#define HOST           "shop.example.com"
#define BATCH          20000    /* records or sessions a commit: LMDB bounds its dirty pages */
#define SAMPLES        64
#define IDENTIFIER_LEN 36       /* of a UUID */
#define SESSIONS_MAX   1000000000u
#define LINES          10       /* of a basket: product 1 and nine others */
#define PRODUCTS       50
#define TOKEN_MAX      1024

/* What each kind of store holds, as bits. */
enum { BY_HEADER = 1, BY_COOKIE = 2, BY_TOKEN = 4, BASKETS = 8, DUMP = 16 };

static const struct {
	const char *name;
	unsigned holds;
} kinds[] = {
	{ "header", BY_HEADER },
	{ "cookie", BY_COOKIE },
	{ "token",  BY_TOKEN },
	{ "basket", BY_HEADER | BY_TOKEN | BASKETS },
	{ "dump",   DUMP },
};

struct entry {
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint32_t index;
};

static struct config config;
static char secret_bytes[SECRET_MAX];
static struct slice secret;
static uint32_t sessions, customers;
static unsigned holds;
static FILE *ids;               /* NULL: all sessions are by header */

/* What tokens are signed with. */
static uint8_t token_key[JWT_SECRET_LEN];
static char token_kid[JWT_KID_MAX], token_client[CLIENT_KEY_MAX];
static struct buf kid, token_issuer;

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "fill: %s: %s\n", what, why);
	exit(111);
}

static void must(const char *what, enum kv_status status)
{
	if (status != KV_OK)
		die(what, kv_status_text(status));
}

/* Four steps of xorshift32 (Marsaglia 2003) in the shape of a version 4 UUID. */
static uint32_t xorshift(uint32_t x)
{
	x ^= x << 13;
	x ^= x >> 17;
	return x ^ x << 5;
}

static void identifier_of(uint32_t index, char out[IDENTIFIER_LEN + 1])
{
	uint32_t a = xorshift(index + 1), b = xorshift(a), c = xorshift(b), d = xorshift(c);

	b = (b & 0xffff0fff) | 0x4000;
	c = (c & 0x3fffffff) | 0x80000000;
	snprintf(out, IDENTIFIER_LEN + 1, "%08" PRIx32 "-%04" PRIx32 "-%04" PRIx32 "-%04" PRIx32
	         "-%04" PRIx32 "%08" PRIx32, a, b >> 16, b & 0xffff, c >> 16, c & 0xffff, d);
}

/* Sessions that are drawn often have small indexes; their customers are none of the first,
 * whose ids have fewer digits. */
static uint64_t customer_of(uint32_t index)
{
	return (index + customers / 2) % customers + 1;
}

/* A new cookie's id, also written to the file. */
static void make_cookie(uint8_t key[RECORD_SESSION_KEY_LEN])
{
	uint8_t random[SESSION_ID_BYTES];
	char text[SESSION_ID_CHARS];
	struct buf id = BUF(text);

	secret_random(random, sizeof random);
	buf_base64url(&id, random, sizeof random, SESSION_ID_CHARS);
	session_cookie_key(secret, buf_slice(&id), key);
	fprintf(ids, "%.*s\n", (int)id.len, id.ptr);
}

/* The claims of a customer's token, as call.c writes them. */
static void put_claims(struct buf *out, uint64_t customer_id,
                       const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s)
{
	buf_lit(out, "{\"_v\":\"1\",\"exp\":");
	buf_uint(out, now_s + config.token_ttl_s);
	buf_lit(out, ",\"iat\":");
	buf_uint(out, now_s);
	buf_lit(out, ",\"iss\":\"");
	buf_put(out, buf_slice(&token_issuer));
	buf_lit(out, "\",\"sub\":\"{\\\"_v\\\":\\\"1\\\",\\\"customer_info\\\":"
	        "{\\\"customer_id\\\":\\\"");
	session_put_customer_id(out, secret, customer_id);
	buf_lit(out, "\\\",\\\"guest\\\":false}}\",\"sid\":\"");
	buf_hex(out, slice_bytes(key, RECORD_SESSION_KEY_LEN));
	buf_lit(out, "\",\"site\":");
	json_put_string(out, slice_of(config.site));
	buf_char(out, '}');
}

/* A new token, also written to the file. */
static void make_token(uint32_t index, uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s)
{
	char claims_text[TOKEN_MAX], text[TOKEN_MAX];
	struct buf claims = BUF(claims_text), token = BUF(text);
	uint8_t mac[JWT_DIGEST_LEN];

	secret_random(key, RECORD_SESSION_KEY_LEN);
	put_claims(&claims, customer_of(index), key, now_s);
	jwt_write_input(&token, JWT_HS256, buf_slice(&kid), JWT_TYP_JWT, buf_slice(&claims));
	jwt_sign_hs256(slice_bytes(token_key, sizeof token_key), buf_slice(&token), mac);
	jwt_write_signature(&token, slice_bytes(mac, sizeof mac));
	if (claims.full || token.full)
		die("token", "too long");
	if (holds & BASKETS)    /* they were made in the order of indexes */
		fprintf(ids, "%026" PRIu32, index + 1);
	fprintf(ids, "%.*s\n", (int)token.len, token.ptr);
}

static void header_key(uint32_t index, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	char identifier[IDENTIFIER_LEN + 1], text[128];
	struct buf header = BUF(text);
	struct sid sid;

	identifier_of(index, identifier);
	buf_lit(&header, "SID:AUTH:" HOST ":");
	buf_str(&header, identifier);
	if (sid_parse(buf_slice(&header), SID_STRICT, &sid) != SID_OK)
		die(text, "not a Session-Id");
	sid_key(&sid, SID_AUTH, secret, key);
}

static void add_client(struct kv *kv, const char *name, uint32_t scopes, struct buf *text,
                       uint64_t now_s)
{
	struct client_record client = {
		.created_s = now_s,
		.scopes    = scopes,
		.name      = slice_of(name),
	};
	uint8_t random[20];
	enum kv_status status;

	secret_random(random, sizeof random);
	client_generate(text, random);
	if (client_add(kv, buf_slice(text), &client, &status) != CLIENT_ADDED)
		die("client_add", kv_status_text(status));
}

static void add_token_key(struct kv *kv, uint64_t now_s)
{
	char record[TOKEN_RECORD_MAX];
	struct buf bytes = BUF(record);
	uint8_t random[TOKEN_RANDOM_LEN];
	struct token_key_record r;

	do {
		bytes.len = 0;
		secret_random(random, sizeof random);
	} while (!token_generate(&bytes, TOKEN_HS256, NULL, random));
	if (!record_token_key_read(buf_slice(&bytes), &r))
		die("token key", "cannot be read back");
	must("token_add", token_add(kv, &r, now_s, 0));
	must("token_used", token_used(kv, &r, now_s, config.token_ttl_s));
	token_secret(secret, &r, token_key);
	buf_put(&kid, r.kid);
}

/* Prints the API key; makes the one that tokens are for, and what signs them. */
static void add_keys(struct kv *kv, uint64_t now_s)
{
	char text[CLIENT_KEY_MAX];
	struct buf key = BUF(text);

	kid = BUF(token_kid);
	token_issuer = BUF(token_client);
	must("kv_begin", kv_begin(kv));
	add_client(kv, "bench", SCOPE_SHOP | SCOPE_TRUSTED, &key, now_s);
	add_client(kv, "storefront", SCOPE_SHOP, &token_issuer, now_s);
	add_token_key(kv, now_s);
	must("kv_commit", kv_commit(kv));
	printf("key %.*s\n", (int)key.len, key.ptr);
}

/* A record as long as a real one: nobody logs in, so that the seal need not open. */
static void add_customer(struct kv *kv, uint64_t id, uint64_t now_s)
{
	static const char sealed[116];
	char login[32], email[48];
	struct customer_record customer = {
		.id              = id,
		.joined_us       = now_s * 1000000,
		.first_name      = slice_of("Ada"),
		.last_name       = slice_of("Lovelace"),
		.sealed_password = slice_bytes(sealed, sizeof sealed),
	};
	enum customer_error error;
	enum kv_status status;

	snprintf(login, sizeof login, "customer%" PRIu64, id);
	snprintf(email, sizeof email, "%s@example.com", login);
	customer.login = slice_of(login);
	customer.email = slice_of(email);
	error = customer_add(kv, &customer, &status);
	if (error != CUSTOMER_OK)
		die("customer_add", customer_error_text(error));
}

static void add_customers(struct kv *kv, uint64_t now_s)
{
	uint64_t id;

	must("kv_begin", kv_begin(kv));
	must("customer_next_id", customer_next_id(kv, &id));
	if (id != 1)
		die(config.data, "holds a store already");
	for (; id <= customers; id++) {
		add_customer(kv, id, now_s);
		if (id % BATCH != 0)
			continue;
		must("kv_commit", kv_commit(kv));
		must("kv_begin", kv_begin(kv));
	}
	must("kv_commit", kv_commit(kv));
}

static void add_products(struct kv *kv, uint64_t now_s)
{
	char id[8], name[32];
	struct product_record product = {
		.updated_us = now_s * 1000000, .tax_rate_e6 = 210000,
		.stock = UINT32_MAX, .max_quantity = UINT32_MAX, .currency = slice_of("EUR"),
	};
	enum kv_status status;

	must("kv_begin", kv_begin(kv));
	for (int i = 1; i <= PRODUCTS; i++) {
		snprintf(id, sizeof id, "%d", i);
		snprintf(name, sizeof name, "A product named %d", i);
		product.id = slice_of(id);
		product.name = slice_of(name);
		product.price_e4 = 10000 * i + 9900;
		if (product_put(kv, &product, &status) != PRODUCT_OK)
			die("product_put", kv_status_text(status));
	}
	must("kv_commit", kv_commit(kv));
}

static void add_basket(struct kv *kv, uint32_t index, uint64_t now_us)
{
	static struct basket b;
	struct basket_change change = { .kv = kv, .config = &config, .now_us = now_us };
	struct basket_item item = { 0 };
	uint64_t customer_id = customer_of(index);
	char product[LINES][8];        /* borrowed until the basket is put */
	uint32_t line;

	must("basket_make", basket_make(kv, &b, customer_id, NULL, now_us));
	if (b.id != index + 1)
		die("basket_make", "another id than was expected");
	for (uint32_t i = 0; i < LINES; i++) {
		snprintf(product[i], sizeof product[i], "%u",
		         i == 0 ? 1 : (index * (LINES - 1) + i) % (PRODUCTS - 1) + 2);
		item.product = slice_of(product[i]);
		if (basket_add(&b, &item, i % 3 + 1, &change, &line) != BASKET_OK)
			die("basket_add", product[i]);
	}
	must("basket_put", basket_put(kv, &config, &b, true, now_us));
	must("session_set_customer_basket", session_set_customer_basket(kv, customer_id, b.id));
}

static void add_baskets(struct kv *kv, uint64_t now_s)
{
	add_products(kv, now_s);
	must("kv_begin", kv_begin(kv));
	for (uint32_t i = 0; i < sessions; i++) {
		add_basket(kv, i, now_s * 1000000);
		if (i % BATCH != BATCH - 1)
			continue;
		must("kv_commit", kv_commit(kv));
		must("kv_begin", kv_begin(kv));
	}
	must("kv_commit", kv_commit(kv));
}

static int by_key(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return memcmp(left->key, right->key, sizeof left->key);
}

static void start_session(struct kv *kv, const struct entry *e, uint8_t via,
                          uint64_t now_s)
{
	struct session_owner who = { .customer_id = customer_of(e->index) };

	if (via == VIA_TOKEN)
		must("session_start_shown",
		     session_start_shown(kv, &config, secret, &who, e->key, via, now_s));
	else
		must("session_start",
		     session_start(kv, &config, e->key, who.customer_id, via, now_s));
}

/* Sorted within a batch, each leaf page is visited once a batch; the tree comes out as full
 * as after inserts in any order. */
static void add_batch(struct kv *kv, uint32_t first, uint32_t count, uint8_t via,
                      uint64_t now_s)
{
	static struct entry batch[BATCH];

	for (uint32_t i = 0; i < count; i++) {
		batch[i].index = first + i;
		if (via == VIA_HEADER)
			header_key(first + i, batch[i].key);
		else if (via == VIA_COOKIE)
			make_cookie(batch[i].key);
		else
			make_token(first + i, batch[i].key, now_s);
	}
	qsort(batch, count, sizeof batch[0], by_key);
	must("kv_begin", kv_begin(kv));
	for (uint32_t i = 0; i < count; i++)
		start_session(kv, &batch[i], via, now_s);
	must("kv_commit", kv_commit(kv));
}

static void add_sessions(struct kv *kv, uint8_t via, uint64_t now_s)
{
	for (uint32_t first = 0; first < sessions; first += BATCH) {
		uint32_t left = sessions - first;

		add_batch(kv, first, left < BATCH ? left : BATCH, via, now_s);
	}
}

/* --- A dump. --- */

/* A text of the customer's own in the shape of a password's hash. */
static void put_password(struct buf *out, uint64_t customer_id)
{
	uint32_t words[8] = { xorshift((uint32_t)customer_id) };

	for (size_t i = 1; i < COUNT_OF(words); i++)
		words[i] = xorshift(words[i - 1]);
	buf_lit(out, "pbkdf2_sha256$600000$");
	buf_hex(out, slice_bytes(words, 11));
	buf_char(out, '$');
	buf_hex(out, slice_bytes(words, 21));
	buf_lit(out, "0=");             /* as 32 bytes of base64 may end */
}

static void write_user(uint64_t id)
{
	char bytes[128];
	struct buf password = BUF(bytes);

	put_password(&password, id);
	fprintf(ids, "{\"model\":\"auth.user\",\"pk\":%" PRIu64 ",\"fields\":{"
	        "\"username\":\"customer%" PRIu64 "\",", id, id);
	fprintf(ids, "\"password\":\"%.*s\",\"email\":\"customer%" PRIu64 "@example.com\",",
	        (int)password.len, password.ptr, id);
	fputs("\"first_name\":\"Ada\",\"last_name\":\"Lovelace\",\"is_active\":true,"
	      "\"is_staff\":false,\"is_superuser\":false,\"last_login\":null,"
	      "\"date_joined\":\"2026-01-01T08:00:00Z\",\"groups\":[],"
	      "\"user_permissions\":[]}}\n", ids);
}

/* What Django keeps of who is logged in. */
static void put_login(struct buf *out, uint64_t customer_id)
{
	char bytes[128], hash[DJANGO_AUTH_HASH_LEN];
	struct buf password = BUF(bytes);

	put_password(&password, customer_id);
	django_auth_hash(secret, buf_slice(&password), hash);
	buf_lit(out, "{\"_auth_user_id\":\"");
	buf_uint(out, customer_id);
	buf_lit(out, "\",\"_auth_user_backend\":\"django.contrib.auth.backends.ModelBackend\","
	        "\"_auth_user_hash\":\"");
	buf_put(out, (struct slice){ hash, sizeof hash });
	buf_lit(out, "\"}");
}

static void write_session(uint32_t index, uint64_t now_s, struct slice expires)
{
	char json_bytes[512], signed_bytes[1024], hex_bytes[2 * RECORD_SESSION_KEY_LEN];
	struct buf json = BUF(json_bytes), data = BUF(signed_bytes), hex = BUF(hex_bytes);
	uint8_t key[RECORD_SESSION_KEY_LEN];

	header_key(index, key);
	buf_hex(&hex, slice_bytes(key, sizeof key));
	put_login(&json, customer_of(index));
	django_session_write(&data, secret, buf_slice(&json), now_s);
	if (json.full || data.full)
		die("session", "too long");
	fprintf(ids, "{\"model\":\"sessions.session\",\"pk\":\"%.*s\",\"fields\":"
	        "{\"session_data\":\"%.*s\",\"expire_date\":\"%.*sZ\"}}\n", (int)hex.len, hex.ptr,
	        (int)data.len, data.ptr, (int)expires.len, expires.ptr);
}

static void write_dump(uint64_t now_s)
{
	char key_bytes[CLIENT_KEY_MAX], date_bytes[32];
	struct buf key = BUF(key_bytes), expires = BUF(date_bytes);
	uint8_t random[20];

	secret_random(random, sizeof random);
	client_generate(&key, random);
	date_put(&expires, now_s + config.session_ttl_s);
	printf("key %.*s\n", (int)key.len, key.ptr);
	fprintf(ids, "{\"model\":\"oscarapi.apikey\",\"pk\":1,\"fields\":{\"key\":\"%.*s\"}}\n",
	        (int)key.len, key.ptr);
	for (uint64_t id = 1; id <= customers; id++)
		write_user(id);
	for (uint32_t i = 0; i < sessions; i++)
		write_session(i, now_s, buf_slice(&expires));
}

static void print_samples(void)
{
	char identifier[IDENTIFIER_LEN + 1];

	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint32_t index = (uint32_t)((uint64_t)sessions * i / SAMPLES);

		identifier_of(index, identifier);
		printf("session %" PRIu32 " %s %" PRIu64 "\n", index, identifier,
		       customer_of(index));
	}
}

static void open_ids(const char *data)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", data, holds & DUMP ? "dump" : "ids") >=
	    sizeof path || (ids = fopen(path, "w")) == NULL)
		die(data, "its file of ids, or the dump, cannot be made");
}

static uint32_t count_of(const char *text)
{
	uint64_t n;

	if (!slice_uint(slice_of(text), SESSIONS_MAX, &n) || n == 0)
		die(text, "not a number from 1 to 1000000000");
	return (uint32_t)n;
}

static void read_settings(const char *data)
{
	char error[CONFIG_ERROR_MAX + SECRET_ERROR_MAX];
	struct buf read = BUF(secret_bytes);

	config_defaults(&config);
	if (!config_set(&config, SLICE("data"), slice_of(data), "fill", error) ||
	    !config_set(&config, SLICE("max_sessions_per_customer"), SLICE("0"), "fill", error) ||
	    !config_set(&config, SLICE("token_ttl"), SLICE("1d"), "fill", error) ||
	    !config_finish(&config, error) ||
	    !secret_create(config.data, config.sid_secret_file, error) ||
	    !secret_read(config.sid_secret_file, &read, error))
		die("settings", error);
	secret = buf_slice(&read);
}

static void print_entry_bytes(struct kv *kv)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct record_key session, other;
	struct slice of, value;
	size_t bytes;

	header_key(sessions / 2, key);
	of = record_session_key(&session, key);
	must("kv_begin_read", kv_begin_read(kv));
	must("kv_get", kv_get(kv, of, &value));
	bytes = of.len + value.len + record_owner_key(&other, 1, 1, key).len;
	printf("entry_bytes %zu\n", bytes + record_sweep_key(&other, 1, of).len);
}

static void make_store(uint64_t now_s)
{
	const struct kv_options options = { .dir = config.data, .mode = KV_CREATE,
		                            .map_bytes = config.map_bytes, .nosync = true };
	char error[KV_ERROR_MAX];
	struct kv *kv = kv_open(&options, error);

	if (kv == NULL)
		die("store", error);
	add_keys(kv, now_s);
	add_customers(kv, now_s);
	if (holds & BASKETS)
		add_baskets(kv, now_s);
	if (holds & BY_HEADER)
		add_sessions(kv, VIA_HEADER, now_s);
	if (holds & BY_COOKIE)
		add_sessions(kv, VIA_COOKIE, now_s);
	if (holds & BY_TOKEN)
		add_sessions(kv, VIA_TOKEN, now_s);
	if (holds & BY_HEADER)
		print_entry_bytes(kv);
	kv_close(kv);
}

static bool read_kind(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(name, kinds[i].name) == 0)
			holds = kinds[i].holds;
	return holds != 0;
}

int main(int argc, char **argv)
{
	uint64_t now_s = (uint64_t)time(NULL);

	if (argc != 5 || !read_kind(argv[4])) {
		fprintf(stderr, "usage: fill DATA SESSIONS CUSTOMERS "
		        "header|cookie|token|basket|dump\n");
		return 100;
	}
	sessions = count_of(argv[2]);
	customers = count_of(argv[3]);
	if ((holds & BASKETS) && customers != sessions)
		die(argv[3], "not as many customers as sessions");
	read_settings(argv[1]);
	if (holds & (BY_COOKIE | BY_TOKEN | DUMP))
		open_ids(argv[1]);
	printf("host %s\n", HOST);
	if (holds & DUMP)
		write_dump(now_s);
	else
		make_store(now_s);
	print_samples();
	if (ids != NULL && fclose(ids) != 0)
		die(argv[1], "its file of ids, or the dump, was not written");
	return 0;
}
