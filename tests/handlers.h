/* handlers.h -- whole requests through route.c and its handlers, without a server.
 *
 * Every script runs twice over a fresh store: once as the writer runs it, and once with a
 * store that answers KV_AGAIN at the first look at every record, so that handlers are
 * proven re-runnable (looks.h); the two transcripts must be equal.
 *
 * The world's randomness is a counter. In a request `$0` to `$9` stand for the session
 * cookies that were set so far, in their order, `#0` to `#9` for the CSRF tokens, and `~0` to
 * `~9` for the tokens that world.prepare made.
 */
#ifndef HANDLERS_H
#define HANDLERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../client.h"
#include "../password.h"
#include "../product.h"
#include "../route.h"
#include "looks.h"

#define START_S 1800000000u

/* A store, a clock and the memory that a process of the server would have. */
static struct world {
	char dir[256];
	struct kv *kv;
	struct config config;
	uint64_t now_s;
	uint8_t seal_key[SEAL_KEY_LEN];
	struct throttle throttle;
	struct throttle_entry entries[64];
	unsigned password_checks;
	uint8_t requests;
	void (*configure)(void);        /* over the defaults, or NULL */
	bool ops;                       /* requests come on an ops listener */
	void (*prepare)(void);          /* what else is in the store, or NULL */
	struct jar {
		char values[10][SESSION_ID_CHARS + 1];
		size_t count;
	} ids, tokens;
	char bearers[10][CALL_TOKEN_MAX + 1];
	size_t bearer_count;
} world;

static char transcript[2][1 << 17];

static void add_customer(const char *login, const char *password, uint32_t flags)
{
	static const uint8_t salt[16] = { 1 };
	char hash[PASSWORD_HASH_MAX], sealed[PASSWORD_SEALED_MAX];
	struct buf h = BUF(hash), s = BUF(sealed);
	uint8_t nonce[12] = { 0 };
	struct customer_record r = { .login = slice_of(login), .email = SLICE("a@example.com"),
	                             .joined_us = 1763785535355068, .flags = flags };
	enum kv_status status;

	assert_int_equal(customer_next_id(world.kv, &r.id), KV_OK);
	r.basket_id = slice_eq(r.login, SLICE("bob")) ? 77 : 0;
	nonce[0] = (uint8_t)r.id;
	if (password != NULL) {
		password_make(&h, slice_of(password), world.config.password_iterations, salt);
		password_seal(&s, world.seal_key, nonce, r.id, buf_slice(&h));
		r.sealed_password = buf_slice(&s);
	}
	assert_int_equal(customer_add(world.kv, &r, &status), CUSTOMER_OK);
}

static void add_key(const char *name, const char *text, uint32_t scopes)
{
	struct client_record r = { .name = slice_of(name), .scopes = scopes,
	                           .created_s = START_S, .used_s = client_use_mark(START_S) };
	enum kv_status status;

	assert_int_equal(client_add(world.kv, slice_of(text), &r, &status), CLIENT_ADDED);
}

static void add_token_key(void)
{
	static const uint8_t random[TOKEN_RANDOM_LEN] = { 7 };
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record r;

	assert_true(token_generate(&record, TOKEN_ES256, world.seal_key, random));
	assert_true(record_token_key_read(buf_slice(&record), &r));
	assert_int_equal(token_add(world.kv, &r, START_S, 0), KV_OK);
}

/* A price book of all sorts: limited, unbounded and taxed, not for sale, sold out, with options
 * and a bound of its own, in another currency. */
static void add_products(void)
{
#define ANY UINT32_MAX
	static const struct {
		const char *id, *name, *currency, *options;
		int64_t price_e4;
		uint32_t rate_e6, stock, max_quantity;
	} products[] = {
		{ "1",   "Oscar T-shirt", "EUR", "",           100000, 0,      20,  ANY },
		{ "2",   "Tax & \"more\"", "EUR", "",          125000, 210000, ANY, ANY },
		{ "3",   "Unavailable",   "",    "",           -1,     0,      ANY, ANY },
		{ "4",   "Sold out",      "EUR", "",           50000,  0,      0,   ANY },
		{ "mug", "Mug",           "EUR", "color,size", 33333,  190000, 100, 7 },
		{ "usd", "Dollars",       "USD", "",           10000,  0,      ANY, ANY },
	};
#undef ANY

	for (size_t i = 0; i < COUNT_OF(products); i++) {
		const struct product_record p = {
			.id = slice_of(products[i].id), .name = slice_of(products[i].name),
			.currency = slice_of(products[i].currency),
			.options = slice_of(products[i].options),
			.price_e4 = products[i].price_e4, .tax_rate_e6 = products[i].rate_e6,
			.stock = products[i].stock, .max_quantity = products[i].max_quantity,
			.updated_us = (uint64_t)START_S * 1000000,
		};
		enum kv_status status;

		assert_int_equal(product_put(world.kv, &p, &status), PRODUCT_OK);
	}
}

static void world_open(void)
{
	static const uint8_t seed[16] = { 7 };
	struct kv_options options = { .dir = world.dir, .mode = KV_CREATE,
	                              .map_bytes = (uint64_t)64 << 20 };
	const char *tmp = getenv("TMPDIR");
	char error[KV_ERROR_MAX];

	snprintf(world.dir, sizeof world.dir, "%s/test_handlers.XXXXXX",
	         tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(world.dir));
	world.kv = kv_open(&options, error);
	assert_non_null(world.kv);
	config_defaults(&world.config);
	world.config.password_iterations = 10;
	world.config.max_sessions_per_customer = 3;
	if (world.configure != NULL)
		world.configure();
	world.now_s = START_S;
	world.password_checks = 0;
	world.requests = 0;
	world.ids.count = world.tokens.count = 0;
	memset(world.entries, 0, sizeof world.entries);
	throttle_init(&world.throttle, world.entries, COUNT_OF(world.entries), seed);
	assert_int_equal(kv_begin(world.kv), KV_OK);
	add_customer("ada", "ada", 0);
	add_customer("bob", "bob", 0);
	add_customer("gone", "gone", CUSTOMER_DISABLED);
	add_customer("keyless", NULL, 0);
	add_key("app", "trusted-key", SCOPE_SHOP | SCOPE_TRUSTED);
	add_key("sso", "login-key", SCOPE_TRUSTED | SCOPE_LOGIN);
	add_key("shop", "shop-key", SCOPE_SHOP);
	add_key("boss", "admin-key", SCOPE_ADMIN);
	add_products();
	add_token_key();
	world.bearer_count = 0;
	if (world.prepare != NULL)
		world.prepare();
	assert_int_equal(kv_commit(world.kv), KV_OK);
}

static void world_close(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	char path[300];

	kv_close(world.kv);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof path, "%s/%s", world.dir, files[i]);
		unlink(path);
	}
	rmdir(world.dir);
}

static struct slice answer_hash(struct slice question, char *out, size_t cap)
{
	static const uint8_t salt[16] = { 2 };
	char bytes[PASSWORD_HASH_MAX];
	struct buf hash = BUF(bytes), answer = { out, 0, cap, false };
	uint8_t nonce[12] = { 0xff };
	struct slice password;
	uint32_t iterations;
	uint64_t id;

	assert_true(call_hash_question_read(question, &iterations, &id, &password));
	if (iterations == CALL_HASH_GIVEN) {
		buf_put(&hash, password);
	} else {
		assert_int_equal(iterations, world.config.password_iterations);
		password_make(&hash, password, iterations, salt);
	}
	for (uint64_t i = 0; i < CALL_HASHES_MADE; i++, nonce[1]++)
		password_seal(&answer, world.seal_key, nonce, id + i, buf_slice(&hash));
	return buf_slice(&answer);
}

/* What the hasher does with a question. */
static struct slice answer_password(struct slice question, char *out, size_t cap)
{
	char bytes[PASSWORD_HASH_MAX];
	struct buf hash = BUF(bytes), answer = { out, 0, cap, false };
	struct slice sealed, password;
	uint32_t iterations;
	uint64_t id;

	assert_true(call_password_question_read(question, &iterations, &id, &sealed, &password));
	assert_int_equal(iterations, world.config.password_iterations);
	if (sealed.len > 0)
		assert_true(password_unseal(&hash, world.seal_key, id, sealed));
	world.password_checks++;
	buf_char(&answer, (char)password_check(buf_slice(&hash), password, iterations));
	return buf_slice(&answer);
}

/* The request in its own child of a batch, run as often as it asks for. */
static void run_request(const struct http_request *request, struct http_response *response,
                        bool again, char audit[CALL_AUDIT_MAX])
{
	static char question[CALL_QUESTION_MAX], asked[CALL_ASKS_MAX][CALL_QUESTION_MAX];
	static char given[CALL_ASKS_MAX][CALL_ANSWER_MAX];
	struct call_answer answers[CALL_ASKS_MAX];
	struct call c = {
		.config = &world.config, .sid_secret = SLICE("test-secret"), .request = request,
		.kv = world.kv, .now_us = world.now_s * 1000000, .throttle = &world.throttle,
		.answers = answers, .response = response, .question = BUF(question),
	};
	enum call_result result;
	struct route_match m;
	bool keep;

	c.random[0] = ++world.requests;
	looks.on = again;
	looks.count = 0;
	assert_true(address_parse(SLICE("192.0.2.7"), &c.peer));
	route_find(request, world.ops, &m);
	assert_int_equal(kv_begin(world.kv), KV_OK);
	for (int runs = 0;; runs++) {
		assert_in_range(runs, 0, 100);
		assert_int_equal(kv_begin_child(world.kv), KV_OK);
		result = route_call(&c, &m);
		keep = result == CALL_DONE && response->status < 400;
		assert_int_equal(kv_end_child(world.kv, keep), KV_OK);
		if (result == CALL_DONE)
			break;
		if (result == CALL_ASK) {
			struct call_answer *a = &answers[c.answer_count];

			assert_in_range(c.answer_count, 0, CALL_ASKS_MAX - 1);
			memcpy(asked[c.answer_count], c.question.ptr, c.question.len);
			a->kind = c.question_kind;
			a->question = (struct slice){ asked[c.answer_count], c.question.len };
			a->answer = (a->kind == ASK_HASH ? answer_hash : answer_password)(
				a->question, given[c.answer_count++], CALL_ANSWER_MAX);
		} else {
			assert_int_equal(c.store_status, KV_AGAIN);
		}
	}
	memcpy(audit, c.audit, sizeof c.audit);
	assert_int_equal(kv_commit(world.kv), KV_OK);
	looks.on = false;
}

struct step {
	const char *what;
	const char *head;               /* request line and fields, '|' for CRLF */
	const char *body;
	unsigned status;
	const char *has, *has_not;      /* of fields and body; NULL: not looked at */
	unsigned wait_s;                /* the clock goes on first */
};

/* Keeps the value of a cookie that was set; a deletion is none. */
static void keep_cookie(const char *fields, const char *name, struct jar *jar)
{
	const char *found = strstr(fields, name);

	if (found == NULL)
		return;
	found += strlen(name);
	assert_null(strstr(found, name));       /* requirement K04 */
	if (found[0] == ';')
		return;
	assert_int_equal(strcspn(found, ";"), SESSION_ID_CHARS);
	assert_in_range(jar->count, 0, COUNT_OF(jar->values) - 1);
	memcpy(jar->values[jar->count++], found, SESSION_ID_CHARS);
}

static size_t put_head(const char *head, char *raw)
{
	size_t len = 0;

	for (const char *p = head; *p != '\0'; p++) {
		const struct jar *jar = *p == '$' ? &world.ids : &world.tokens;

		if (*p == '~') {
			size_t n = (size_t)(*++p - '0');

			assert_in_range(n, 0, world.bearer_count - 1);
			memcpy(raw + len, world.bearers[n], strlen(world.bearers[n]));
			len += strlen(world.bearers[n]);
			continue;
		}
		if (*p == '$' || *p == '#') {
			size_t n = (size_t)(*++p - '0');

			assert_in_range(n, 0, jar->count - 1);
			memcpy(raw + len, jar->values[n], SESSION_ID_CHARS);
			len += SESSION_ID_CHARS;
			continue;
		}
		if (*p == '|')
			raw[len++] = '\r';
		raw[len++] = *p == '|' ? '\n' : *p;
	}
	return len;
}

static size_t take_step(const struct step *step, bool again, char *out, size_t cap)
{
	static char raw[16384], fields[8192], body[24576], both[40960], audit[CALL_AUDIT_MAX];
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	struct http_response response = { .fields = BUF(fields), .body = BUF(body) };
	struct http_request request;
	struct http_refusal refusal;
	const char *sent = step->body;
	size_t len;
	int n;

	world.now_s += step->wait_s;
	len = put_head(step->head, raw);
	n = snprintf(raw + len, sizeof raw - len,
	             "\r\nHost: shop.example\r\nContent-Length: %zu\r\n\r\n%s",
	             sent != NULL ? strlen(sent) : 0, sent != NULL ? sent : "");
	len += (size_t)n;
	http_request_init(&request);
	if (http_parse(&request, (struct slice){ raw, len }, &limits, &refusal) != HTTP_READY)
		fail_msg("%s: refused: %s", step->what, refusal.why);
	request.body = (struct slice){ raw + request.head_len, len - request.head_len };
	run_request(&request, &response, again, audit);
	snprintf(both, sizeof both, "%.*s\r\n%.*s\n%s", (int)response.fields.len, fields,
	         (int)response.body.len, body, audit);
	if ((unsigned)response.status != step->status)
		fail_msg("%s: status %d, not %u: %s", step->what, response.status, step->status,
		         both);
	if (step->has != NULL && strstr(both, step->has) == NULL)
		fail_msg("%s: no `%s` in: %s", step->what, step->has, both);
	if (step->has_not != NULL && strstr(both, step->has_not) != NULL)
		fail_msg("%s: `%s` in: %s", step->what, step->has_not, both);
	if (slice_given(request.field[HTTP_SESSION_ID]))
		assert_null(strstr(both, "Set-Cookie"));        /* requirement S04 */
	keep_cookie(both, "Set-Cookie: sidecart_session=", &world.ids);
	keep_cookie(both, "Set-Cookie: sidecart_csrf=", &world.tokens);
	n = snprintf(out, cap, "%s %d %s\n", step->what, response.status, both);
	assert_in_range(n, 0, cap - 1);
	return (size_t)n;
}

/* A key that signs HS256 tokens from the beginning on. */
static inline void world_add_token_key(void)
{
	static const uint8_t random[TOKEN_RANDOM_LEN] = { 9 };
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record key;

	assert_true(token_generate(&record, TOKEN_HS256, world.seal_key, random));
	assert_true(record_token_key_read(buf_slice(&record), &key));
	assert_int_equal(token_add(world.kv, &key, START_S, 0), KV_OK);
}

/* The next of `~0` to `~9`: a shopper's token, for the client id `shop-key`. */
static inline void world_add_bearer(const struct session_owner *who)
{
	static const struct http_request nothing;
	char bytes[CALL_TOKEN_MAX], fields[4096], body[64];
	struct http_response response = { .fields = BUF(fields), .body = BUF(body) };
	struct buf token = BUF(bytes);
	struct call c = {
		.config = &world.config, .sid_secret = SLICE("test-secret"), .request = &nothing,
		.kv = world.kv, .now_us = world.now_s * 1000000, .response = &response,
	};

	c.random[31] = (uint8_t)(world.bearer_count + 1);
	identity_clear(&c.identity);
	c.identity.client_id_len = 8;
	memcpy(c.identity.client_id, "shop-key", 8);
	assert_int_equal(call_start_token(&c, who, &token), CALL_DONE);
	assert_false(token.full);
	memcpy(world.bearers[world.bearer_count], bytes, token.len);
	world.bearers[world.bearer_count++][token.len] = '\0';
}

static void run_script(const struct step *steps, size_t count)
{
	for (int again = 0; again < 2; again++) {
		size_t len = 0;

		world_open();
		looks.answered_again = 0;
		for (size_t i = 0; i < count; i++)
			len += take_step(&steps[i], again, transcript[again] + len,
			                 sizeof transcript[0] - len);
		assert_true(again ? looks.answered_again > 0 : looks.answered_again == 0);
		world_close();
	}
	assert_string_equal(transcript[0], transcript[1]);
}

#define KEY   "|X-Api-Key: trusted-key"
#define ANON  KEY "|Session-Id: SID:ANON:shop.example:u1"
#define AUTH  KEY "|Session-Id: SID:AUTH:shop.example:u1"
#define JSON  "|Content-Type: application/json"
#define LOGIN "POST /api/login/ HTTP/1.1"
#define ADA   "{\"username\":\"ada\",\"password\":\"ada\"}"

#endif
