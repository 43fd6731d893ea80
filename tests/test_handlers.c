/* test_handlers.c -- whole requests through route.c and its handlers, without a server.
 *
 * Every script runs twice over a fresh store: once as the writer runs it, and once with a
 * store that answers KV_AGAIN at the first look at every record, so that handlers are
 * proven re-runnable; the two transcripts must be equal. The linker puts
 * __wrap_kv_get and __wrap_kv_scan in front of the store (ld's --wrap).
 *
 * The world's randomness is a counter. In a request `$0` to `$9` stand for the session
 * cookies that were set so far, in their order, and `#0` to `#9` for the CSRF tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../client.h"
#include "../password.h"
#include "../route.h"

enum kv_status __real_kv_get(struct kv *kv, struct slice key, struct slice *value);
enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value);
enum kv_status __real_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value);
enum kv_status __wrap_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value);

#define START_S 1800000000u

/* What was looked at in the request at hand. */
static struct {
	bool on;
	size_t count, answered_again;
	struct record_key keys[256];
} looks;

static bool first_look(struct slice what)
{
	if (!looks.on)
		return false;
	for (size_t i = 0; i < looks.count; i++)
		if (slice_eq(slice_bytes(looks.keys[i].bytes, looks.keys[i].len), what))
			return false;
	assert_in_range(looks.count, 0, COUNT_OF(looks.keys) - 1);
	assert_in_range(what.len, 0, RECORD_KEY_MAX);
	memcpy(looks.keys[looks.count].bytes, what.ptr, what.len);
	looks.keys[looks.count++].len = what.len;
	looks.answered_again++;
	return true;
}

enum kv_status __wrap_kv_get(struct kv *kv, struct slice key, struct slice *value)
{
	return first_look(key) ? KV_AGAIN : __real_kv_get(kv, key, value);
}

enum kv_status __wrap_kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                              struct slice *key, struct slice *value)
{
	if (first_look(after.len > 0 ? after : prefix))
		return KV_AGAIN;
	return __real_kv_scan(kv, prefix, after, key, value);
}

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
	struct jar {
		char values[10][SESSION_ID_CHARS + 1];
		size_t count;
	} ids, tokens;
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
	throttle_init(&world.throttle, world.entries, COUNT_OF(world.entries), seed);
	assert_int_equal(kv_begin(world.kv), KV_OK);
	add_customer("ada", "ada", 0);
	add_customer("bob", "bob", 0);
	add_customer("gone", "gone", CUSTOMER_DISABLED);
	add_customer("keyless", NULL, 0);
	add_key("app", "trusted-key", SCOPE_SHOP | SCOPE_TRUSTED);
	add_key("sso", "login-key", SCOPE_TRUSTED | SCOPE_LOGIN);
	add_key("shop", "shop-key", SCOPE_SHOP);
	add_token_key();
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
                        bool again)
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
	route_find(request, false, &m);
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
			a->answer = answer_password(a->question, given[c.answer_count++],
			                            CALL_ANSWER_MAX);
		} else {
			assert_int_equal(c.store_status, KV_AGAIN);
		}
	}
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
	static char raw[16384], fields[8192], body[8192], both[16384];
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
	run_request(&request, &response, again);
	snprintf(both, sizeof both, "%.*s\r\n%.*s", (int)response.fields.len, fields,
	         (int)response.body.len, body);
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

static void test_login_and_logout(void **state)
{
	static const struct step steps[] = {
		{ "anonymous", "GET /api/login/ HTTP/1.1" ANON, NULL, 405,
		  "Session-Id: SID:ANON:shop.example:u1\r\n", NULL, 0 },
		{ "AUTH before any login", "GET /api/login/ HTTP/1.1" AUTH, NULL, 401,
		  "{\"reason\": \"Authentication credentials were not provided.\"}",
		  "Session-Id: ", 0 },
		{ "AUTH on an unknown path", "GET /api/nosuch/ HTTP/1.1" AUTH, NULL, 401,
		  "{\"reason\": ", "Session-Id: ", 0 },
		{ "wrong password", LOGIN ANON JSON, "{\"username\":\"ada\",\"password\":\"x\"}",
		  401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "unknown "
		  "login", LOGIN ANON JSON, "{\"username\":\"nobody\",\"password\":\"x\"}", 401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "disabled", LOGIN ANON JSON, "{\"username\":\"gone\",\"password\":\"gone\"}", 401,
		  "\r\n{\"non_field_errors\":[\"invalid login\"]}", "AUTH", 0 },
		{ "without a "
		  "password", LOGIN ANON JSON, "{\"username\":\"keyless\",\"password\":\"x\"}", 401,
		  "invalid login", "AUTH", 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, "Session-Id: SID:AUTH:shop.example:u1\r\n",
		  NULL, 0 },
		{ "logged in", "GET /api/login/ HTTP/1.1" AUTH, NULL, 204, "Session-Id: SID:AUTH",
		  NULL, 0 },
		{ "again", LOGIN AUTH JSON, ADA, 405, "{\"detail\":\"Session is in use, log out "
		  "first\"}",
		  NULL, 0 },
		{ "again, badly", LOGIN AUTH JSON, "{\"username\":\"ada\",\"password\":\"x\"}", 401,
		  "invalid login", NULL, 0 },
		{ "taken over", LOGIN ANON JSON, "{\"username\":\"bob\",\"password\":\"bob\"}", 200,
		  "SID:AUTH", NULL, 0 },
		{ "who", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "X-Customer-Login: bob\r\n",
		  "ada", 0 },
		{ "form", LOGIN ANON "|Content-Type: application/x-www-form-urlencoded",
		  "username=ada&password=%61da", 200, "SID:AUTH", NULL, 0 },
		{ "logout", "DELETE /api/login/ HTTP/1.1" AUTH, NULL, 200, "\r\n\"\"",
		  "Session-Id: ", 0 },
		{ "out", "GET /api/login/ HTTP/1.1" AUTH, NULL, 401, "{\"reason\": ",
		  "Session-Id: ", 0 },
		{ "logout of nobody", "DELETE /api/login/ HTTP/1.1" ANON, NULL, 200, "\r\n\"\"",
		  "Session-Id: ", 0 },
		{ "no session", "DELETE /api/login/ HTTP/1.1", NULL, 200, "\r\n\"\"", NULL, 0 },
		{ "login without", LOGIN JSON, ADA, 200, "Set-Cookie: sidecart_session=",
		  "Session-Id: ", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_login_form(void **state)
{
#define BODY(what, body, status, has) { what, LOGIN ANON JSON, body, status, "\r\n" has, "AUTH", 0 }
	static const struct step steps[] = {
		BODY("none", NULL, 401, "{\"username\":[\"This field is required.\"],"
		     "\"password\":[\"This field is required.\"]}"),
		BODY("empty", "{}", 401, "{\"username\":[\"This field is required.\"],"
		     "\"password\":[\"This field is required.\"]}"),
		BODY("blank and null", "{\"username\":\"\",\"password\":null}", 401,
		     "{\"username\":[\"This field may not be blank.\"],"
		     "\"password\":[\"This field may not be null.\"]}"),
		BODY("only blanks", "{\"username\":\" \\t\",\"password\":\"x\"}", 401,
		     "{\"username\":[\"This field may not be blank.\"]}"),
		BODY("types", "{\"username\":true,\"password\":{}}", 401,
		     "{\"username\":[\"Not a valid string.\"],\"password\":[\"Not a valid "
		     "string.\"]}"),
		BODY("a list", "[1]", 401, "{\"non_field_errors\":[\"Invalid data. Expected a "
		     "dictionary, but got list.\"]}"),
		BODY("null", "null", 401, "{\"non_field_errors\":[\"No data provided\"]}"),
		BODY("cut short", "{\"username\"", 400, "{\"detail\":\"JSON parse error - "
		  "Expecting ':' "
		     "delimiter: line 1 column 12 (char 11)\"}"),
		BODY("twice", "{\"username\":\"a\",\"username\":\"b\"}", 400,
		  "{\"detail\":\"JSON parse"),
		{ "no media type", LOGIN ANON, "x", 415,
		  "{\"detail\":\"Unsupported media type \\\"\\\" in request.\"}", NULL, 0 },
		{ "other media type", LOGIN ANON "|Content-Type: text/xml", "x", 415,
		  "{\"detail\":\"Unsupported media type \\\"text/xml\\\" in request.\"}", NULL, 0 },
		{ "charset", LOGIN ANON "|Content-Type: application/json; charset=utf-8", ADA, 200,
		  "SID:AUTH", NULL, 0 },
		{ "blanks around", LOGIN ANON JSON, "{\"username\":\" ada "
		  "\",\"password\":\"ada\\n\"}",
		  200, "SID:AUTH", NULL, 0 },
	};
#undef BODY

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_long_fields(void **state)
{
	static char body[1200];
	struct step step = { "long", LOGIN ANON JSON, body, 401,
	                     "{\"username\":[\"Ensure this field has no more than 150 "
	                     "characters.\"],"
	                     "\"password\":[\"Ensure this field has no more than 128 "
	                     "characters.\"]}",
	                     NULL, 0 };

	(void)state;
	snprintf(body, sizeof body, "{\"username\":\"%0151d\",\"password\":\"%0129d\"}", 0, 0);
	run_script(&step, 1);
	snprintf(body, sizeof body, "{\"username\":\"%0150d\",\"password\":\"%0128d\"}", 0, 0);
	step.has = "invalid login";
	run_script(&step, 1);
}

static void test_throttle(void **state)
{
	static const char wrong[] = "{\"username\":\"ada\",\"password\":\"x\"}";
	struct step steps[16];
	size_t n = 0;

	(void)state;
	while (n < 10)
		steps[n++] = (struct step){ "wrong", LOGIN ANON JSON, wrong, 401, "invalid", NULL,
		  1 };
	steps[n++] = (struct step){ "throttled", LOGIN ANON JSON, ADA, 429, "Retry-After: 891\r\n",
	                            "AUTH", 0 };
	steps[n++] = (struct step){ "another login", LOGIN ANON JSON,
	                            "{\"username\":\"bob\",\"password\":\"bob\"}", 200, NULL,
	                            NULL, 0 };
	steps[n++] = (struct step){ "later", LOGIN ANON JSON, ADA, 200, "SID:AUTH", NULL, 900 };
	steps[n++] = (struct step){ "forgotten", LOGIN ANON JSON, wrong, 401, NULL, NULL, 0 };
	run_script(steps, n);
}

static void test_expiry_and_renewal(void **state)
{
#define DAY 86400
	static const struct step steps[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "13 days", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "customer", NULL, 13 * DAY },
		{ "renewed", "GET /resolve HTTP/1.1" AUTH, NULL, 204, "customer", NULL, 13 * DAY },
		{ "idle", "GET /resolve HTTP/1.1" AUTH, NULL, 401, "session_dead",
		  "Session-Id: SID",
		  14 * DAY },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "used", "GET /resolve HTTP/1.1" AUTH, NULL, 204, NULL, NULL, 13 * DAY },
		{ "absolute", "GET /resolve HTTP/1.1" AUTH, NULL, 401, "session_dead", NULL,
		  12 * DAY },
	};
#undef DAY

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_verdicts(void **state)
{
#define R "GET /resolve"
	static const struct step steps[] = {
		{ "nothing", R " HTTP/1.1", NULL, 401, "X-Resolve-Error: session_required", NULL,
		  0 },
		{ "nothing, any", R "?require=any HTTP/1.1", NULL, 204, "X-Session-Kind: none\r\n"
		  "X-Session-Key: -\r\nX-Customer-Id: -\r\nX-Customer-Login: -\r\nX-Basket-Id: "
		  "-\r\n"
		  "X-Client-Name: -\r\nX-Client-Scopes: -\r\nX-Auth-Via: none\r\n", NULL, 0 },
		{ "nothing, session", R "?require=session HTTP/1.1", NULL, 401,
		  "session_required", NULL, 0 },
		{ "guest", R " HTTP/1.1" ANON, NULL, 401, "X-Resolve-Error: customer_required",
		  NULL, 0 },
		{ "guest, session", R "?require=session HTTP/1.1" ANON, NULL, 204,
		  "X-Session-Kind: guest\r\n", NULL, 0 },
		{ "guest, any", R "?require=any HTTP/1.1" ANON, NULL, 204, "X-Client-Name: app\r\n"
		  "X-Client-Scopes: shop,trusted\r\nX-Auth-Via: header\r\nSession-Id: SID:ANON",
		  NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "customer", R " HTTP/1.1" AUTH, NULL, 204, "X-Customer-Id: "
		  "1\r\nX-Customer-Login: ada\r\n",
		  NULL, 0 },
		{ "customer, POST", "POST /resolve?require=any HTTP/1.1" AUTH, NULL, 204,
		  "customer", NULL,
		  0 },
		{ "dead", R "?require=any HTTP/1.1" AUTH "x", NULL, 401, "session_dead",
		  "Session-Id: SID",
		  0 },
		{ "malformed", R "?require=any HTTP/1.1" KEY "|Session-Id: "
		  "SID:ANON:shop.example:a b", NULL,
		  401, "sid_malformed", NULL, 0 },
		{ "Bearer", R "?require=any HTTP/1.1|Authorization: Bearer x.y.z", NULL, 401,
		  "token_dead",
		  NULL, 0 },
		{ "Bearer beside", R "?require=any HTTP/1.1" AUTH "|Authorization: Bearer x.y.z",
		  NULL, 401,
		  "token_dead", NULL, 0 },
		{ "bad key", R "?require=any HTTP/1.1|Authorization: nonsense", NULL, 403,
		  "key_bad", NULL, 0 },
		{ "untrusted", R " HTTP/1.1|X-Api-Key: shop-key|Session-Id: "
		  "SID:AUTH:shop.example:u1", NULL,
		  403, "sid_untrusted", NULL, 0 },
		{ "no key", R " HTTP/1.1|Session-Id: SID:AUTH:shop.example:u1", NULL, 403,
		  "sid_untrusted",
		  NULL, 0 },
		{ "realm", R " HTTP/1.1" KEY "|Session-Id: SID:ANON:other.example:u1", NULL, 403,
		  "other.example of the Session-Id is not the host shop.example (setting "
		  "sid_realms)", NULL, 0 },
		{ "scope", R "?require=any&scope=shop HTTP/1.1|X-Api-Key: shop-key", NULL, 204,
		  NULL, NULL, 0 },
		{ "no scope", R "?require=any&scope=login HTTP/1.1|X-Api-Key: shop-key", NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "no such scope", R "?require=any&scope=admin HTTP/1.1|X-Api-Key: shop-key",
		  NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "scope, no key", R "?require=any&scope=shop HTTP/1.1", NULL, 403,
		  "scope_missing", NULL, 0 },
		{ "two keys", R "?require=any HTTP/1.1" KEY "|Authorization: shop-key", NULL, 400,
		  "keys_disagree", NULL, 0 },
		{ "bad require", R "?require=all HTTP/1.1", NULL, 400, "query_bad", NULL, 0 },
		{ "require twice", R "?require=session&require=any HTTP/1.1", NULL, 400,
		  "query_bad", NULL, 0 },
	};
#undef R

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_native_session(void **state)
{
#define SSO "|X-Api-Key: login-key|Session-Id: SID:ANON:shop.example:u9"
	static const struct step steps[] = {
		{ "nobody", "GET /session HTTP/1.1", NULL, 200,
		  "{\"session_kind\":\"none\",\"session_key\":null,"
		  "\"customer_id\":null,\"customer_login\":null,"
		  "\"basket_id\":null,\"client_name\":null,"
		  "\"client_scopes\":null,\"auth_via\":\"none\",\"csrf_token\":null}", NULL, 0 },
		{ "no scope", "POST /session/login HTTP/1.1" ANON JSON, "{\"login\":\"ada\"}", 403,
		  "scope_missing", NULL, 0 },
		{ "no Session-Id", "POST /session/login HTTP/1.1|X-Api-Key: login-key" JSON,
		  "{\"login\":\"ada\"}", 200, "\"auth_via\":\"cookie\"", "Session-Id: ", 0 },
		{ "no login", "POST /session/login HTTP/1.1" SSO JSON, "{}", 400, "login_missing",
		  NULL, 0 },
		{ "no object", "POST /session/login HTTP/1.1" SSO JSON, "[]", 400,
		  "login_missing", NULL, 0 },
		{ "no JSON", "POST /session/login HTTP/1.1" SSO JSON, "", 400, "json_bad", NULL,
		  0 },
		{ "media", "POST /session/login HTTP/1.1" SSO, "{\"login\":\"ada\"}", 415,
		  "media_type", NULL, 0 },
		{ "unknown", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"eve\"}", 404,
		  "customer_unknown", NULL, 0 },
		{ "disabled", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"gone\"}", 403,
		  "customer_disabled", NULL, 0 },
		{ "in", "POST /session/login HTTP/1.1" SSO JSON, "{\"login\":\"keyless\"}", 200,
		  "\"customer_id\":\"4\",\"customer_login\":\"keyless\"", NULL, 0 },
		{ "who", "GET /session HTTP/1.1|X-Api-Key: login-key|Session-Id: "
		  "SID:AUTH:shop.example:u9-1f:2",
		  NULL, 200, "\"customer_login\":\"keyless\"", NULL, 0 },
		{ "AUTH", "POST /session/login HTTP/1.1|X-Api-Key: login-key|Session-Id: "
		  "SID:AUTH:shop.example:u9"
		  JSON, "{\"login\":\"ada\"}", 400, "sid_type", NULL, 0 },
	};
#undef SSO

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_router(void **state)
{
	static const struct step steps[] = {
		{ "unknown", "GET /nosuch HTTP/1.1", NULL, 404, "problem+json", NULL, 0 },
		{ "unknown api", "GET /api/nosuch/ HTTP/1.1" ANON, NULL, 404,
		  "{\"detail\":\"Not found.\"}",
		  NULL, 0 },
		{ "unknown api echo", "GET /api/nosuch/ HTTP/1.1" ANON, NULL, 404,
		  "Session-Id: SID:ANON", NULL,
		  0 },
		{ "encoded", "GET /%72esolve?require=any HTTP/1.1", NULL, 204, NULL, NULL, 0 },
		{ "encoded slash", "GET /session%2Flogin HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "dots", "GET /x/../resolve?require=any HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "method", "PUT /api/login/ HTTP/1.1" ANON, NULL, 405,
		  "Allow: GET, POST, DELETE, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "method, native", "PUT /session HTTP/1.1", NULL, 405,
		  "Allow: GET, HEAD, DELETE, OPTIONS", NULL, 0 },
		{ "OPTIONS", "OPTIONS /api/login/ HTTP/1.1" ANON, NULL, 200,
		  "\r\n{\"name\":\"Login\",\"description\":\"Api for logging in users.\\n", NULL,
		  0 },
		{ "OPTIONS, renders", "OPTIONS /api/login/ HTTP/1.1" ANON, NULL, 200,
		  "\"renders\":[\"application/json\"],\"parses\":[\"application/json\","
		  "\"application/x-www-form-urlencoded\"]}", "text/html", 0 },
		{ "OPTIONS, Allow", "OPTIONS /api/users/1/ HTTP/1.1" ANON, NULL, 200,
		  "Allow: GET, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "OPTIONS *", "OPTIONS * HTTP/1.1", NULL, 204, "Allow: GET", NULL, 0 },
		{ "TRACE", "TRACE /resolve HTTP/1.1", NULL, 405, "Allow: ", NULL, 0 },
		{ "Upgrade", "GET /resolve?require=any HTTP/1.1|Upgrade: h2c", NULL, 501, NULL,
		  NULL, 0 },
		{ "strange method", "BREW /session HTTP/1.1", NULL, 501, NULL, NULL, 0 },
		{ "strange method, resolve", "BREW /resolve?require=any HTTP/1.1", NULL, 204,
		  NULL, NULL, 0 },
		{ "health", "GET /healthz HTTP/1.1|X-Api-Key: nonsense", NULL, 200, "\r\nok\n",
		  NULL, 0 },
		{ "ready", "HEAD /readyz HTTP/1.1", NULL, 200, NULL, NULL, 0 },
		{ "description", "OPTIONS /openapi.json HTTP/1.1|X-Api-Key: nonsense", NULL, 204,
		  "Allow: GET, HEAD, OPTIONS\r\n", NULL, 0 },
		{ "JWK set", "GET /.well-known/jwks.json HTTP/1.1|X-Api-Key: nonsense", NULL, 200,
		  "Cache-Control: public, max-age=300\r\n\r\n{\"keys\":[{\"kty\":\"EC\",", "\"d\"",
		  0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define TEXT(path) "GET " path " HTTP/1.1|Accept: text/plain"

static void test_oscar_paths(void **state)
{
	static const struct step steps[] = {
		{ "suffix", "GET /api/login.json HTTP/1.1" ANON, NULL, 405,
		  "{\"detail\":\"Method \\\"GET\\\" not allowed.\"}", NULL, 0 },
		{ "suffix of a pattern", "GET /api/users/1.json HTTP/1.1" ANON, NULL, 403,
		  "{\"detail\":\"Authentication credentials were not provided.\"}", NULL, 0 },
		{ "suffix and slash", "GET /api/login.json/ HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "suffix of nothing", "GET /api/.json HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "other suffix", "GET /api/login.xml HTTP/1.1", NULL, 404, NULL, "Location", 0 },
		{ "suffix of another surface", "GET /resolve.json HTTP/1.1", NULL, 404,
		  "problem+json", NULL, 0 },
		{ "no slash", "GET /api/login HTTP/1.1" ANON, NULL, 301,
		  "Content-Type: text/html; charset=utf-8\r\nLocation: /api/login/\r\n", "Allow",
		  0 },
		{ "no slash, root", "GET /api HTTP/1.1", NULL, 301, "Location: /api/\r\n", NULL,
		  0 },
		{ "no slash, HEAD", "HEAD /api/users/7 HTTP/1.1", NULL, 301,
		  "Location: /api/users/7/\r\n", NULL, 0 },
		{ "no slash, escapes and query", "GET /api/%6cogin?a=%0d%0ab HTTP/1.1", NULL, 301,
		  "Location: /api/%6cogin/?a=%0d%0ab\r\n", NULL, 0 },
		{ "no slash, empty query", "GET /api/login? HTTP/1.1", NULL, 301,
		  "Location: /api/login/?\r\n", NULL, 0 },
		{ "no slash, whatever is accepted", TEXT("/api/login"), NULL, 301, NULL, NULL, 0 },
		{ "no slash, POST", "POST /api/login HTTP/1.1" ANON JSON, ADA, 404,
		  "{\"detail\":\"Not found: the path ends with a slash.\"}", "Location", 0 },
		{ "no slash, unknown", "GET /api/nosuch HTTP/1.1", NULL, 404, NULL, "Location", 0 },
		{ "no slash, bad key", "GET /api/login HTTP/1.1|X-Api-Key: bad", NULL, 403, NULL,
		  "Location", 0 },
		{ "two slashes", "GET /api/login// HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "empty segment", "GET /api/users// HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "a segment more", "GET /api/users/1/2/ HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "a segment too few", "GET /api/users/ HTTP/1.1", NULL, 404, NULL, "Allow", 0 },
		{ "encoded slash in a segment", "GET /api/users/1%2F2/ HTTP/1.1", NULL, 404,
		  "{\"detail\"", "Allow", 0 },
		{ "bad escape", "GET /api/users/%zz/ HTTP/1.1", NULL, 404, "{\"detail\"", NULL, 0 },
		{ "the star itself", "GET /api/users/*/ HTTP/1.1" ANON, NULL, 403, NULL, NULL, 0 },
		{ "case", "GET /API/login/ HTTP/1.1", NULL, 404, NULL, NULL, 0 },
		{ "vouchers", "POST /api/basket/add-voucher/ HTTP/1.1" ANON JSON, "{}", 404,
		  "{\"detail\":\"Not found: another system's work (vouchers).\"}", NULL, 0 },
		{ "orders", "GET /api/orders/7/lines/ HTTP/1.1", NULL, 404, "(orders)", NULL, 0 },
		{ "root", "GET /api/ HTTP/1.1" ANON, NULL, 200,
		  "\r\n{\"login\":\"http://shop.example/api/login/\"", "orders", 0 },
		{ "root, Allow", "GET /api/ HTTP/1.1", NULL, 200, "Allow: GET, OPTIONS\r\n", NULL,
		  0 },
		{ "406", TEXT("/api/login/") ANON, NULL, 406,
		  "{\"detail\":\"Could not satisfy the request Accept header.\"}", NULL, 0 },
		{ "406, Allow", TEXT("/api/users/1/"), NULL, 406, "Allow: GET, HEAD, OPTIONS", NULL,
		  0 },
		{ "406 before 405", "PUT /api/login/ HTTP/1.1|Accept: image/*", NULL, 406, NULL,
		  NULL, 0 },
		{ "406 after the identity", TEXT("/api/login/") AUTH, NULL, 401, NULL, NULL, 0 },
		{ "404 before 406", TEXT("/api/nosuch/"), NULL, 404, NULL, NULL, 0 },
		{ "a browser", "GET /api/ HTTP/1.1|Accept: text/html,*/*;q=0.8", NULL, 200,
		  "application/json", NULL, 0 },
		{ "native takes anything", TEXT("/session"), NULL, 200, NULL, NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void expose_details(void)
{
	world.config.expose_user_details = CONFIG_ON;
}

static void test_users(void **state)
{
	static const struct step steps[] = {
		{ "nobody", "GET /api/users/1/ HTTP/1.1" ANON, NULL, 403,
		  "{\"detail\":\"Authentication credentials were not provided.\"}", NULL, 0 },
		{ "no number", "GET /api/users/x/ HTTP/1.1" ANON, NULL, 403, NULL, NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "own", "GET /api/users/1/ HTTP/1.1" AUTH, NULL, 200,
		  "{\"username\":\"ada\",\"email\":\"a@example.com\","
		  "\"date_joined\":\"2025-11-22T04:25:35.355068Z\"}", NULL, 0 },
		{ "own, encoded", "GET /api/users/%31.json HTTP/1.1" AUTH, NULL, 200, "\"ada\"",
		  NULL, 0 },
		{ "another's", "GET /api/users/2/ HTTP/1.1" AUTH, NULL, 404,
		  "{\"detail\":\"Not found.\"}", "bob", 0 },
		{ "nobody's", "GET /api/users/99/ HTTP/1.1" AUTH, NULL, 404,
		  "{\"detail\":\"Not found.\"}", NULL, 0 },
		{ "no number", "GET /api/users/-1/ HTTP/1.1" AUTH, NULL, 404, NULL, NULL, 0 },
		{ "too large", "GET /api/users/18446744073709551617/ HTTP/1.1" AUTH, NULL, 404,
		  NULL, NULL, 0 },
		{ "no changes", "DELETE /api/users/1/ HTTP/1.1" AUTH, NULL, 405,
		  "{\"detail\":\"Method \\\"DELETE\\\" not allowed.\"}", NULL, 0 },
	};
	static const struct step hidden[] = {
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "own", "GET /api/users/1/ HTTP/1.1" AUTH, NULL, 204, NULL, "ada", 0 },
		{ "another's", "GET /api/users/2/ HTTP/1.1" AUTH, NULL, 204, NULL, "bob", 0 },
	};

	(void)state;
	world.configure = expose_details;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
	run_script(hidden, COUNT_OF(hidden));
}

static void test_oldest_session_goes(void **state)
{
#define SID(type, id) KEY "|Session-Id: SID:" type ":shop.example:" id
	static const struct step steps[] = {
		{ "1", LOGIN SID("ANON", "one") JSON, ADA, 200, NULL, NULL, 1 },
		{ "2", LOGIN SID("ANON", "two") JSON, ADA, 200, NULL, NULL, 1 },
		{ "3", LOGIN SID("ANON", "three") JSON, ADA, 200, NULL, NULL, 1 },
		{ "1 lives", "GET /resolve HTTP/1.1" SID("AUTH", "one"), NULL, 204, NULL, NULL, 1 },
		{ "4", LOGIN SID("ANON", "four") JSON, ADA, 200, NULL, NULL, 1 },
		{ "1 is gone", "GET /resolve HTTP/1.1" SID("AUTH", "one"), NULL, 401, NULL, NULL,
		  1 },
		{ "2 lives", "GET /resolve HTTP/1.1" SID("AUTH", "two"), NULL, 204, NULL, NULL, 1 },
		{ "2 again", LOGIN SID("ANON", "two") JSON, ADA, 200, NULL, NULL, 1 },
		{ "3 lives", "GET /resolve HTTP/1.1" SID("AUTH", "three"), NULL, 204, NULL, NULL,
		  1 },
	};
#undef SID

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* --- Cookies. --- */

#define COOKIE(n) "|Cookie: sidecart_session=$" n "; sidecart_csrf=#" n
#define PROOF(n)  COOKIE(n) "|X-CSRFToken: #" n
#define EVIL      "|Origin: https://evil.example"
#define OWN       "|Origin: https://shop.example"
#define PATCH     "PATCH /session/data HTTP/1.1"
#define WHO       "GET /resolve?require=any HTTP/1.1"

static void test_cookie_login(void **state)
{
	static const struct step steps[] = {
		{ "another site's page", LOGIN JSON EVIL, ADA, 403,
		  "{\"detail\":\"CSRF Failed: Origin checking failed", "Set-Cookie", 0 },
		{ "wrong password", LOGIN JSON OWN, "{\"username\":\"ada\",\"password\":\"x\"}",
		  401,
		  "invalid login", "Set-Cookie", 0 },
		{ "login", LOGIN JSON OWN, ADA, 200, "; Path=/; Max-Age=7776000; Secure; "
		  "HttpOnly; SameSite=Lax\r\nSet-Cookie: sidecart_csrf=", "Session-Id: ", 0 },
		{ "who", WHO COOKIE("0"), NULL, 204, "X-Customer-Login: ada\r\n", NULL, 0 },
		{ "via", "GET /session HTTP/1.1" COOKIE("0"), NULL, 200,
		  "\"auth_via\":\"cookie\",\"csrf_token\":\"", "Set-Cookie", 0 },
		{ "for nobody else's page", "GET /session HTTP/1.1" COOKIE("0") EVIL, NULL, 200,
		  "\"csrf_token\":null}", "Set-Cookie", 0 },
		{ "asked by oscarapi's name", "GET /api/login/ HTTP/1.1" COOKIE("0"), NULL, 204,
		  "Cache-Control: no-store", NULL, 0 },
		{ "beside a Session-Id", WHO COOKIE("0") ANON, NULL, 204,
		  "X-Session-Kind: guest\r\n", "ada", 0 },
		{ "again without proof", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 403,
		  "\r\n{\"detail\":\"CSRF Failed: CSRF cookie not set.\"}", NULL, 0 },
		{ "again without field", LOGIN JSON COOKIE("0"), ADA, 403,
		  "\r\n{\"detail\":\"CSRF Failed: CSRF token missing or incorrect.\"}", NULL, 0 },
		{ "again", LOGIN JSON PROOF("0"), ADA, 405, "Session is in use, log out first",
		  "Set-Cookie", 0 },
		{ "again, badly", LOGIN JSON PROOF("0"),
		  "{\"username\":\"ada\",\"password\":\"x\"}", 401, "invalid login", NULL, 0 },
		{ "another browser", LOGIN JSON, ADA, 200, "sidecart_session=", NULL, 0 },
		{ "logout with the other's token", "DELETE /api/login/ HTTP/1.1|Cookie: "
		  "sidecart_session=$0; sidecart_csrf=#1|X-CSRFToken: #1", NULL, 403,
		  "CSRF token missing or incorrect", NULL, 0 },
		{ "logout from elsewhere", "DELETE /api/login/ HTTP/1.1" PROOF("0") EVIL, NULL, 403,
		  "Origin checking failed", NULL, 0 },
		{ "logout", "DELETE /api/login/ HTTP/1.1" PROOF("0"), NULL, 200,
		  "Set-Cookie: sidecart_session=; Path=/; Max-Age=0; Secure; HttpOnly; "
		  "SameSite=Lax\r\n\r\n\"\"", NULL, 0 },
		{ "out", WHO COOKIE("0"), NULL, 204, "X-Session-Kind: none\r\n", NULL, 0 },
		{ "out, oscarapi", "GET /api/login/ HTTP/1.1" COOKIE("0"), NULL, 405,
		  "Method \\\"GET\\\" not allowed", NULL, 0 },
		{ "the other lives", WHO COOKIE("1"), NULL, 204, "ada", NULL, 0 },
		{ "once more", "DELETE /api/login/ HTTP/1.1" COOKIE("0"), NULL, 200,
		  "sidecart_session=; ", NULL, 0 },
		{ "the dead id is not taken up", LOGIN JSON COOKIE("0"), ADA, 200,
		  "sidecart_session=", NULL, 0 },
		{ "still dead", WHO COOKIE("0"), NULL, 204, "none\r\n", NULL, 0 },
		{ "a lost token", "GET /session HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "Set-Cookie: sidecart_csrf=", "Set-Cookie: sidecart_session=", 0 },
		{ "everywhere, no proof", "DELETE /session?all=1 HTTP/1.1|Cookie: "
		  "sidecart_session=$1", NULL, 403, "\"code\":\"csrf_cookie\"", NULL, 0 },
		{ "everywhere", "DELETE /session?all=1 HTTP/1.1" PROOF("1"), NULL, 204,
		  "sidecart_session=; ", NULL, 0 },
		{ "here", WHO COOKIE("1"), NULL, 204, "none\r\n", NULL, 0 },
		{ "there", WHO COOKIE("2"), NULL, 204, "none\r\n", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_native_logout(void **state)
{
#define OUT "DELETE /session HTTP/1.1"
	static const struct step steps[] = {
		{ "nobody", OUT, NULL, 204, "no-store", "Set-Cookie", 0 },
		{ "nobody, from elsewhere", OUT EVIL, NULL, 403, "\"code\":\"csrf_origin\"", NULL,
		  0 },
		{ "a guest's header", OUT ANON, NULL, 204, NULL, NULL, 0 },
		{ "login by header", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "login by cookie", LOGIN JSON, ADA, 200, NULL, NULL, 0 },
		{ "logout by header", OUT AUTH EVIL, NULL, 204, NULL, "Session-Id: ", 0 },
		{ "out", WHO AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "again", OUT AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "cookie lives", WHO COOKIE("0"), NULL, 204, "ada", NULL, 0 },
		{ "no token", OUT COOKIE("0"), NULL, 403, "\"code\":\"csrf_token\"", NULL, 0 },
		{ "all=0", "DELETE /session?all=0 HTTP/1.1" PROOF("0"), NULL, 204, NULL, NULL, 0 },
		{ "cookie out", WHO COOKIE("0"), NULL, 204, "none\r\n", NULL, 0 },
		{ "login by header", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "login by cookie", LOGIN JSON, ADA, 200, NULL, NULL, 0 },
		{ "all by header", "DELETE /session?all=1 HTTP/1.1" AUTH, NULL, 204, NULL, NULL,
		  0 },
		{ "header out", WHO AUTH, NULL, 401, "session_dead", NULL, 0 },
		{ "cookie out too", WHO COOKIE("1"), NULL, 204, "none\r\n", NULL, 0 },
	};
#undef OUT

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

#define EMPTY_ETAG "\"44136fa355b3678a\""     /* SHA-256 of {}, cut */

static void test_session_data(void **state)
{
	static const struct step steps[] = {
		{ "nobody's", "GET /session/data HTTP/1.1", NULL, 200, "ETag: " EMPTY_ETAG
		  "\r\n\r\n{}", "Set-Cookie", 0 },
		{ "media", PATCH, "{}", 415, "media_type", NULL, 0 },
		{ "no JSON", PATCH JSON, "{", 400, "json_bad", "Set-Cookie", 0 },
		{ "no object", PATCH JSON, "[1]", 400, "json_bad", "Set-Cookie", 0 },
		{ "from elsewhere", PATCH JSON EVIL, "{\"a\":1}", 403, "csrf_origin", "Set-Cookie",
		  0 },
		{ "If-Match", PATCH JSON "|If-Match: \"0\"", "{\"a\":1}", 412, "\"changed\"",
		  "Set-Cookie", 0 },
		{ "a guest's first", PATCH "|Content-Type: application/merge-patch+json|If-Match: "
		  EMPTY_ETAG, "{\"a\":1,\"b\":{\"c\":2}}", 200, "{\"a\":1,\"b\":{\"c\":2}}", NULL,
		  0 },
		{ "is a guest", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", NULL, 0 },
		{ "needs no token", PATCH JSON "|Cookie: sidecart_session=$0" OWN,
		  "{\"b\":{\"c\":null},\"d\":[null]}", 200, "\r\n{\"a\":1,\"b\":{},\"d\":[null]}",
		  "Set-Cookie", 0 },
		{ "read", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$0", NULL, 200,
		  "{\"a\":1,\"b\":{},\"d\":[null]}", NULL, 0 },
		{ "any", PATCH JSON "|If-Match: *|Cookie: sidecart_session=$0", "{\"d\":null}", 200,
		  "\r\n{\"a\":1,\"b\":{}}", NULL, 0 },
		{ "stale", PATCH JSON "|If-Match: " EMPTY_ETAG "|Cookie: sidecart_session=$0",
		  "{\"e\":1}", 412, "changed", NULL, 0 },
		{ "weak", PATCH JSON "|If-Match: W/\"x\", " EMPTY_ETAG
		  "|Cookie: sidecart_session=$0", "{\"e\":1}", 412, "changed", NULL, 0 },
		{ "login", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 200,
		  "sidecart_session=", NULL, 0 },
		{ "goes with it", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL,
		  200, "\r\n{\"a\":1,\"b\":{}}", NULL, 0 },
		{ "grace", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", "ada", 9 },
		{ "after it", WHO "|Cookie: sidecart_session=$0", NULL, 204, "none\r\n", NULL, 1 },
		{ "a customer's needs the token", PATCH JSON "|Cookie: sidecart_session=$1",
		  "{\"a\":2}", 403, "csrf_cookie", NULL, 0 },
		{ "with it", PATCH JSON "|Cookie: sidecart_session=$1; sidecart_csrf=#0|"
		  "X-CSRFToken: #0", "{\"a\":2}", 200, "\r\n{\"a\":2,\"b\":{}}", NULL, 0 },
		{ "logout", "DELETE /session HTTP/1.1|Cookie: sidecart_session=$1; "
		  "sidecart_csrf=#0|X-CSRFToken: #0", NULL, 204, NULL, NULL, 0 },
		{ "gone", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "\r\n{}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* The guest's cookie was due for its renewal: the login wins. */
static void test_grace_is_not_renewed(void **state)
{
	static const struct step steps[] = {
		{ "a guest's", PATCH JSON, "{}", 200, "sidecart_session=", NULL, 0 },
		{ "login", LOGIN JSON "|Cookie: sidecart_session=$0", ADA, 200, NULL, NULL,
		  5 * 86400 },
		{ "grace", WHO "|Cookie: sidecart_session=$0", NULL, 204, "guest", NULL, 0 },
		{ "renews nothing", "GET /session HTTP/1.1|Cookie: sidecart_session=$0", NULL,
		  200, "guest", NULL, 9 },
		{ "over", WHO "|Cookie: sidecart_session=$0", NULL, 204, "none\r\n", NULL, 1 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

/* What the session's record says of its owner stands in the fields and in the members. */
static void test_owner_of_the_session(void **state)
{
#define R "GET /resolve?require=any HTTP/1.1"
	static const struct step steps[] = {
		{ "without a basket", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "no basket", R AUTH, NULL, 204, "X-Customer-Id: 1\r\nX-Customer-Login: ada\r\n"
		  "X-Basket-Id: -\r\n", NULL, 0 },
		{ "with a basket", LOGIN ANON "b" JSON,
		  "{\"username\":\"bob\",\"password\":\"bob\"}", 200, NULL, NULL, 0 },
		{ "his basket", R AUTH "b", NULL, 204, "X-Customer-Id: 2\r\nX-Customer-Login: "
		  "bob\r\nX-Basket-Id: 77\r\n", NULL, 0 },
		{ "in JSON", "GET /session HTTP/1.1" AUTH "b", NULL, 200, "\"customer_id\":\"2\","
		  "\"customer_login\":\"bob\",\"basket_id\":\"77\"", NULL, 0 },
		{ "a guest's record", PATCH ANON "c" JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "a guest", R ANON "c", NULL, 204, "X-Customer-Id: -\r\nX-Customer-Login: -\r\n"
		  "X-Basket-Id: -\r\n", NULL, 0 },
		{ "in JSON", "GET /session HTTP/1.1" ANON "c", NULL, 200, "\"customer_id\":null,"
		  "\"customer_login\":null,\"basket_id\":null", NULL, 0 },
	};
#undef R

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_session_data_by_header(void **state)
{
	static const struct step steps[] = {
		{ "guest", PATCH ANON JSON EVIL, "{\"a\":1}", 200, "Session-Id: SID:ANON", NULL,
		  0 },
		{ "another thread", "GET /session/data HTTP/1.1" ANON "-1f:2", NULL, 200,
		  "\r\n{\"a\":1}", NULL, 400 * 86400 },
		{ "another guest", "GET /session/data HTTP/1.1" ANON "0", NULL, 200, "\r\n{}",
		  NULL, 0 },
		{ "login", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "merged", "GET /session/data HTTP/1.1" AUTH, NULL, 200, "\r\n{\"a\":1}", NULL,
		  0 },
		{ "nothing is left", "GET /session/data HTTP/1.1" ANON, NULL, 200, "\r\n{}", NULL,
		  0 },
		{ "customer", PATCH AUTH JSON, "{\"a\":2}", 200, "\r\n{\"a\":2}", NULL, 0 },
		{ "guest again", PATCH ANON JSON, "{\"a\":3,\"b\":3}", 200, NULL, NULL, 0 },
		{ "login again", LOGIN ANON JSON, ADA, 200, NULL, NULL, 0 },
		{ "the customer's wins", "GET /session/data HTTP/1.1" AUTH, NULL, 200,
		  "\r\n{\"a\":2,\"b\":3}", NULL, 0 },
		{ "taken over", LOGIN ANON JSON, "{\"username\":\"bob\",\"password\":\"bob\"}", 200,
		  NULL, NULL, 0 },
		{ "another's data is gone", "GET /session/data HTTP/1.1" AUTH, NULL, 200, "\r\n{}",
		  NULL, 0 },
		{ "guest", PATCH ANON JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "logout of a guest", "DELETE /api/login/ HTTP/1.1" ANON, NULL, 200, NULL, NULL,
		  0 },
		{ "gone", "GET /session/data HTTP/1.1" ANON, NULL, 200, "\r\n{}", NULL, 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void test_session_data_limit(void **state)
{
	static char fits[RECORD_DATA_MAX + 1], longer[RECORD_DATA_MAX + 2];
	static const char cookie[] = PATCH JSON "|Cookie: sidecart_session=$0";
	const struct step steps[] = {
		{ "fits", PATCH JSON, fits, 200, "00\"}", NULL, 0 },
		{ "one more", cookie, "{\"b\":1}", 413, "data_full", NULL, 0 },
		{ "kept as it was", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$0", NULL,
		  200, fits, NULL, 0 },
		{ "too long", PATCH JSON, longer, 413, "data_full", "Set-Cookie", 0 },
	};

	(void)state;
	snprintf(fits, sizeof fits, "{\"a\":\"%0*d\"}", RECORD_DATA_MAX - 8, 0);
	snprintf(longer, sizeof longer, "{\"a\":\"%0*d\"}", RECORD_DATA_MAX - 7, 0);
	run_script(steps, COUNT_OF(steps));
}

static void test_cookie_single_sign_on(void **state)
{
#define SSO "POST /session/login HTTP/1.1|X-Api-Key: login-key" JSON
	static const struct step steps[] = {
		{ "a guest's", PATCH JSON, "{\"a\":1}", 200, NULL, NULL, 0 },
		{ "in", SSO "|Cookie: sidecart_session=$0", "{\"login\":\"ada\"}", 200,
		  "\"session_kind\":\"customer\"", NULL, 0 },
		{ "merged", "GET /session/data HTTP/1.1|Cookie: sidecart_session=$1", NULL, 200,
		  "\r\n{\"a\":1}", NULL, 0 },
		{ "in use", SSO "|Cookie: sidecart_session=$1; sidecart_csrf=#0|X-CSRFToken: #0",
		  "{\"login\":\"bob\"}", 409, "session_in_use", NULL, 0 },
		{ "in use, no proof", SSO "|Cookie: sidecart_session=$1", "{\"login\":\"bob\"}",
		  403, "csrf_cookie", NULL, 0 },
	};
#undef SSO

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

static void set_cors(void)
{
	char error[CONFIG_ERROR_MAX];

	assert_true(config_set(&world.config, SLICE("cors_origins"),
	                       SLICE("https://app.example"), "test", error));
	assert_true(config_set(&world.config, SLICE("csrf_origins"),
	                       SLICE("https://app.example"), "test", error));
}

static void test_cors(void **state)
{
#define APP "|Origin: https://app.example"
#define ASK "|Access-Control-Request-Method: PATCH"
#define ACAO "Access-Control-Allow-Origin: https://app.example\r\n" \
	"Access-Control-Allow-Credentials: true\r\n"
	static const struct step steps[] = {
		{ "same origin", "GET /session HTTP/1.1", NULL, 200, "Vary: Origin\r\n",
		  "Access-Control", 0 },
		{ "listed", "GET /session HTTP/1.1" APP, NULL, 200, ACAO, NULL, 0 },
		{ "expects", "GET /session/data HTTP/1.1" APP, NULL, 200,
		  "Access-Control-Expose-Headers: Session-Id, ETag, Retry-After\r\n", NULL, 0 },
		{ "not listed", "GET /session HTTP/1.1" EVIL, NULL, 200, "Vary: Origin\r\n",
		  "Access-Control", 0 },
		{ "null", "GET /session HTTP/1.1|Origin: null", NULL, 200, NULL,
		  "Access-Control", 0 },
		{ "oscarapi", "GET /api/login/ HTTP/1.1" APP, NULL, 405, ACAO, NULL, 0 },
		{ "a refusal can be read", "GET /session HTTP/1.1|X-Api-Key: bad" APP, NULL, 403,
		  ACAO, NULL, 0 },
		{ "/resolve is for proxies", WHO APP, NULL, 204, NULL, "Access-Control", 0 },
		{ "preflight", "OPTIONS /session/data HTTP/1.1" APP ASK, NULL, 204,
		  "Access-Control-Allow-Methods: GET, HEAD, PATCH, OPTIONS\r\n"
		  "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match, "
		  "Session-Id, X-Api-Key, X-CSRFToken\r\nAccess-Control-Max-Age: 600\r\n"
		  "Vary: Origin\r\n" ACAO, "Set-Cookie", 0 },
		{ "preflight, not listed", "OPTIONS /session/data HTTP/1.1" EVIL ASK, NULL, 204,
		  "Allow: GET", "Access-Control", 0 },
		{ "preflight, no path", "OPTIONS /nosuch HTTP/1.1" APP ASK, NULL, 404, NULL,
		  "Allow-Methods", 0 },
		{ "preflight of /resolve", "OPTIONS /resolve HTTP/1.1" APP ASK, NULL, 401, NULL,
		  "Access-Control", 0 },
		{ "login from there", LOGIN JSON APP "|Sec-Fetch-Site: cross-site", ADA, 200,
		  ACAO, NULL, 0 },
		{ "no token", "DELETE /session HTTP/1.1" COOKIE("0") APP, NULL, 403, ACAO, NULL,
		  0 },
		{ "out", "DELETE /session HTTP/1.1" PROOF("0") APP, NULL, 204, ACAO, NULL, 0 },
	};
#undef APP
#undef ASK
#undef ACAO

	(void)state;
	world.configure = set_cors;
	run_script(steps, COUNT_OF(steps));
	world.configure = NULL;
}

/* Without cors_origins there is not a word of it. */
static void test_no_cors(void **state)
{
	static const struct step steps[] = {
		{ "read", "GET /session HTTP/1.1" KEY EVIL, NULL, 200, NULL, "Origin", 0 },
		{ "preflight", "OPTIONS /session HTTP/1.1" EVIL "|Access-Control-Request-Method: "
		  "DELETE", NULL, 204, "Allow: ", "Access-Control", 0 },
	};

	(void)state;
	run_script(steps, COUNT_OF(steps));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_and_logout),
		cmocka_unit_test(test_login_form),
		cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_expiry_and_renewal),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_native_session),
		cmocka_unit_test(test_router),
		cmocka_unit_test(test_oscar_paths),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_oldest_session_goes),
		cmocka_unit_test(test_cookie_login),
		cmocka_unit_test(test_native_logout),
		cmocka_unit_test(test_session_data),
		cmocka_unit_test(test_grace_is_not_renewed),
		cmocka_unit_test(test_owner_of_the_session),
		cmocka_unit_test(test_session_data_by_header),
		cmocka_unit_test(test_session_data_limit),
		cmocka_unit_test(test_cookie_single_sign_on),
		cmocka_unit_test(test_cors),
		cmocka_unit_test(test_no_cors),
	};

	return cmocka_run_group_tests_name("handlers", tests, NULL, NULL);
}
