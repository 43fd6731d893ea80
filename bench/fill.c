/* fill.c -- makes the store that bench/run measures with: customers, their sessions, one key.
 *
 * Usage: fill DATA SESSIONS CUSTOMERS header|cookie. DATA must not hold a store yet. All goes
 * in by the domain's own functions, so that what is measured is what the server would have written;
 * only fsync is left out. What a load needs comes on stdout, one thing a line:
 *   host shop.example.com          the realm, to be sent as Host
 *   key sck_...                    an API key of scope `trusted`
 *   session IDENTIFIER CUSTOMER    some of the sessions and whose they are
 * Header session `index` has the same identifier here and in draw.lua; the ids of cookies are
 * written to DATA/ids, a line each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client.h"
#include "customer.h"
#include "identity.h"
#include "secret.h"
#include "session.h"
#include "sid.h"

#define HOST           "shop.example.com"
#define BATCH          20000    /* records or sessions a commit: LMDB bounds its dirty pages */
#define SAMPLES        64
#define IDENTIFIER_LEN 48       /* at most: a UUID or a cookie's id */
#define SESSIONS_MAX   1000000000u

struct entry {
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint32_t index;
};

static struct config config;
static char secret_bytes[SECRET_MAX];
static struct slice secret;
static uint32_t sessions, customers;
static FILE *cookies;           /* NULL: sessions by header */

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
static void cookie_key(uint8_t key[RECORD_SESSION_KEY_LEN])
{
	uint8_t random[SESSION_ID_BYTES];
	char text[SESSION_ID_CHARS];
	struct buf id = BUF(text);

	secret_random(random, sizeof random);
	buf_base64url(&id, random, sizeof random, SESSION_ID_CHARS);
	session_cookie_key(secret, buf_slice(&id), key);
	fprintf(cookies, "%.*s\n", (int)id.len, id.ptr);
}

static void session_key_of(uint32_t index, uint8_t key[RECORD_SESSION_KEY_LEN])
{
	char identifier[IDENTIFIER_LEN + 1], text[128];
	struct buf header = BUF(text);
	struct sid sid;

	if (cookies != NULL) {
		cookie_key(key);
		return;
	}
	identifier_of(index, identifier);
	buf_lit(&header, "SID:AUTH:" HOST ":");
	buf_str(&header, identifier);
	if (sid_parse(buf_slice(&header), SID_STRICT, &sid) != SID_OK)
		die(text, "not a Session-Id");
	sid_key(&sid, SID_AUTH, secret, key);
}

static void add_key(struct kv *kv, uint64_t now_s)
{
	struct client_record client = {
		.created_s = now_s,
		.scopes    = SCOPE_SHOP | SCOPE_TRUSTED,
		.name      = slice_of("bench"),
	};
	char text[CLIENT_KEY_MAX];
	struct buf key = BUF(text);
	uint8_t random[20];
	enum kv_status status;

	secret_random(random, sizeof random);
	client_generate(&key, random);
	must("kv_begin", kv_begin(kv));
	if (client_add(kv, buf_slice(&key), &client, &status) != CLIENT_ADDED)
		die("client_add", kv_status_text(status));
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

static int by_key(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return memcmp(left->key, right->key, sizeof left->key);
}

/* Sorted within a batch, each leaf page is visited once a batch; the tree comes out as full
 * as after inserts in any order. */
static void add_batch(struct kv *kv, uint32_t first, uint32_t count, uint64_t now_s)
{
	static struct entry batch[BATCH];

	for (uint32_t i = 0; i < count; i++) {
		batch[i].index = first + i;
		session_key_of(first + i, batch[i].key);
	}
	qsort(batch, count, sizeof batch[0], by_key);
	must("kv_begin", kv_begin(kv));
	for (uint32_t i = 0; i < count; i++)
		must("session_start",
		     session_start(kv, &config, batch[i].key, customer_of(batch[i].index),
		                   cookies != NULL ? VIA_COOKIE : VIA_HEADER, now_s));
	must("kv_commit", kv_commit(kv));
}

static void add_sessions(struct kv *kv, uint64_t now_s)
{
	for (uint32_t first = 0; first < sessions; first += BATCH) {
		uint32_t left = sessions - first;

		add_batch(kv, first, left < BATCH ? left : BATCH, now_s);
	}
}

static void print_samples(void)
{
	char identifier[IDENTIFIER_LEN + 1];

	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint32_t index = (uint32_t)((uint64_t)sessions * i / SAMPLES);

		identifier_of(index, identifier);
		printf("session %s %" PRIu64 "\n", identifier, customer_of(index));
	}
}

static bool print_cookie_samples(void)
{
	char id[IDENTIFIER_LEN + 2];
	bool ok = fseek(cookies, 0, SEEK_SET) == 0;

	for (uint32_t i = 0, next = 0; ok && i < sessions && next < SAMPLES; i++) {
		ok = fgets(id, sizeof id, cookies) != NULL;
		if (!ok || i != (uint32_t)((uint64_t)sessions * next / SAMPLES))
			continue;
		printf("session %.*s %" PRIu64 "\n", SESSION_ID_CHARS, id, customer_of(i));
		next++;
	}
	return fclose(cookies) == 0 && ok;
}

static void open_ids(const char *data)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof path, "%s/ids", data) >= sizeof path ||
	    (cookies = fopen(path, "w+")) == NULL)
		die(data, "its file of ids cannot be made");
}

static uint32_t count_of(const char *text)
{
	uint64_t n;

	if (!slice_uint(slice_of(text), SESSIONS_MAX, &n) || n == 0)
		die(text, "not a number from 1 to 1000000000");
	return (uint32_t)n;
}

static struct kv *open_store(const char *data)
{
	char error[CONFIG_ERROR_MAX + KV_ERROR_MAX + SECRET_ERROR_MAX];
	struct buf read = BUF(secret_bytes);
	struct kv *kv;

	config_defaults(&config);
	if (!config_set(&config, SLICE("data"), slice_of(data), "fill", error) ||
	    !config_set(&config, SLICE("max_sessions_per_customer"), SLICE("0"), "fill", error) ||
	    !config_finish(&config, error) ||
	    !secret_create(config.data, config.sid_secret_file, error) ||
	    !secret_read(config.sid_secret_file, &read, error))
		die("settings", error);
	secret = buf_slice(&read);
	kv = kv_open(&(struct kv_options){
		.dir       = config.data,
		.mode      = KV_CREATE,
		.map_bytes = config.map_bytes,
		.nosync    = true,
	}, error);
	if (kv == NULL)
		die("store", error);
	return kv;
}

int main(int argc, char **argv)
{
	uint64_t now_s = (uint64_t)time(NULL);
	struct kv *kv;

	if (argc != 5 || (strcmp(argv[4], "header") != 0 && strcmp(argv[4], "cookie") != 0)) {
		fprintf(stderr, "usage: fill DATA SESSIONS CUSTOMERS header|cookie\n");
		return 100;
	}
	sessions = count_of(argv[2]);
	customers = count_of(argv[3]);
	kv = open_store(argv[1]);
	if (argv[4][0] == 'c')
		open_ids(argv[1]);
	add_customers(kv, now_s);
	add_sessions(kv, now_s);
	printf("host %s\n", HOST);
	add_key(kv, now_s);
	if (cookies == NULL)
		print_samples();
	else if (!print_cookie_samples())
		die(argv[1], "its file of ids was not written");
	kv_close(kv);
	return 0;
}
