/* simulate_ask.h -- the requests of the simulation: what is drawn for each, and its text. */
#ifndef SIMULATE_ASK_H
#define SIMULATE_ASK_H

#include "simulate_world.h"

static void add_text(struct op *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_text(struct op *o, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(o->text + o->len, sizeof o->text - o->len, fmt, args);
	va_end(args);
	assert_in_range(n, 0, sizeof o->text - o->len - 1);
	o->len += (size_t)n;
}

static const char *key_word(int key)
{
	return key == LOGIN_KEY ? "login" : key >= SHOP_KEY ? "shop" : "trusted";
}

/* Mostly the key that is known to be good, sometimes one of before. */
static void use_key(struct op *o, int key)
{
	o->proof.key = key;
	o->proof.key_number = known_keys[key];
	if (below(24) == 0)
		o->proof.key_number = 1 + below(next_keys[key]);
}

/* The session's cookie and what comes along with it; now and then the CSRF token does not. */
static void add_cookies(struct op *o, const struct client *c)
{
	char text[SESSION_ID_CHARS];
	struct buf token = BUF(text);
	struct slice value, id;

	session_put_csrf_token(&token, SID_SECRET, o->proof.name);
	o->csrf = slice_eq(buf_slice(&token), slice_of(c->csrf)) && below(16) != 0;
	add_text(o, "Cookie: a=b");
	if (o->proof.kind == COOKIE)
		add_text(o, "; sidecart_session=%s", o->proof.text);
	if (c->csrf[0] != '\0')
		add_text(o, "; sidecart_csrf=%s", c->csrf);
	if (c->basket[0] != '\0') {
		value = slice_of(c->basket);
		id = slice_cut(&value, ':');
		o->basket_came = slice_uint(id, UINT64_MAX, &o->basket_cookie);
		add_text(o, "; oscar_open_basket=%s", c->basket);
	}
	add_text(o, "\r\n");
	if (o->csrf)
		add_text(o, "X-CSRFToken: %s\r\n", c->csrf);
}

static void add_proof(struct op *o)
{
	const struct client *c = &clients[o->client];
	const struct proof *p = &o->proof;

	switch (p->kind) {
	case SESSION_ID:
		add_text(o, "Session-Id: SID:%s:" HOST ":%s%s\r\n", p->auth ? "AUTH" : "ANON",
		         p->text, below(8) == 0 ? "-1f:3" : "");
		break;
	case NOTHING:
	case COOKIE:
		if (o->client >= HEADERS && o->client < HEADERS + BROWSERS)
			add_cookies(o, c);
		else if (p->kind == COOKIE)
			add_text(o, "Cookie: sidecart_session=%s\r\n", p->text);
		break;
	case BEARER:
		add_text(o, "Authorization: Bearer %s\r\n", p->text);
		return;
	case DWSID:
		add_text(o, "Cookie: dwsid=%s\r\n", p->text);
		break;
	}
	if (p->key >= 0 && (p->key < SHOP_KEY || p->key == LOGIN_KEY))
		add_text(o, "X-Api-Key: %s-%d-%u\r\n", key_word(p->key), p->key, p->key_number);
	else if (p->key >= 0)
		add_text(o, "x-dw-client-id: shop-%d-%u\r\n", p->key, p->key_number);
}

static void begin_request(struct op *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void begin_request(struct op *o, const char *fmt, ...)
{
	char line[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	add_text(o, "%s HTTP/1.1\r\nHost: " HOST "\r\n", line);
	add_proof(o);
}

/* Ends the request with a body: `type` says of what. */
static void end_request(struct op *o, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void end_request(struct op *o, const char *type, const char *fmt, ...)
{
	char body[1400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(body, sizeof body, fmt, args);
	va_end(args);
	if (body[0] != '\0')
		add_text(o, "Content-Type: application/%s\r\n", type);
	add_text(o, "Content-Length: %zu\r\n\r\n", strlen(body));
	o->head_len = o->len;
	add_text(o, "%s", body);
}

static void end_bare(struct op *o)
{
	end_request(o, "json", "%s", "");
}

static void ask_look(struct op *o)
{
	begin_request(o, "GET /session");
	end_bare(o);
}

static void ask_resolve(struct op *o)
{
	begin_request(o, "GET /resolve?require=any");
	end_bare(o);
}

static void ask_open(struct op *o)
{
	begin_request(o, "GET /api/basket/");
	end_bare(o);
}

/* Half of those with an Idempotency-Key say the same as the last one. */
static void ask_add(struct op *o)
{
	struct client *c = &clients[o->client];

	o->product = below(MODEL_PRODUCTS);
	o->quantity = 1 + below(9);
	if (below(3) == 0) {
		o->idempotency_key = 1 + below(3);
		if (c->idempotency_key != 0 && below(2) == 0) {
			o->idempotency_key = c->idempotency_key;
			o->product = c->product;
			o->quantity = c->quantity;
		}
		c->idempotency_key = o->idempotency_key;
		c->product = o->product;
		c->quantity = o->quantity;
	}
	begin_request(o, "POST /api/basket/add-product/");
	if (o->idempotency_key != 0)
		add_text(o, "Idempotency-Key: k%u\r\n", o->idempotency_key);
	end_request(o, "json", "{\"url\":\"/api/products/%s/\",\"quantity\":%u}",
	            model_products[o->product].id, o->quantity);
}

/* A basket that he has, or any. */
static struct model_basket *pick_basket(struct op *o)
{
	struct model_basket *b = &shop->baskets[below(64)];
	struct caller w;

	who_calls(shop, o, wall_us / 1000000, false, false, &w);
	if (below(6) != 0)
		b = model_basket(shop, w.recorded ? w.open : w.carried);
	if (b == NULL || b->id == 0)
		b = &shop->baskets[below(MODEL_BASKETS)];
	o->basket = b->id;
	if (b->count > 0)
		o->line = b->lines[below(b->count)].id;
	return b;
}

static void ask_detail(struct op *o)
{
	pick_basket(o);
	begin_request(o, "GET /api/baskets/%llu/", (unsigned long long)o->basket);
	end_bare(o);
}

static void ask_set(struct op *o)
{
	pick_basket(o);
	o->quantity = below(4) == 0 ? 0 : 1 + below(15);
	begin_request(o, "%s /api/baskets/%llu/lines/%llu/", o->quantity > 0 ? "PATCH" : "DELETE",
	              (unsigned long long)o->basket, (unsigned long long)o->line);
	if (o->quantity > 0)
		end_request(o, "json", "{\"quantity\":%u}", o->quantity);
	else
		end_bare(o);
}

/* Mostly one who is there, with the password that he has. */
static void pick_customer(struct op *o)
{
	const struct model_customer *c;

	o->customer = below(MODEL_CUSTOMERS);
	c = &shop->customers[o->customer];
	o->password = below(6) != 0 ? c->password : below(PASSWORDS);
	o->id = c->id != 0 && below(16) != 0 ? c->id : 1 + below((uint32_t)shop->next_customer);
}

static void ask_login(struct op *o)
{
	pick_customer(o);
	begin_request(o, "POST /api/login/");
	end_request(o, "json", "{\"username\":\"c%u\",\"password\":\"word-%u\"}", o->customer,
	            o->password);
}

static void ask_sign_in(struct op *o)
{
	pick_customer(o);
	use_key(o, LOGIN_KEY);
	begin_request(o, "POST /session/login");
	end_request(o, "json", "{\"login\":\"c%u\"}", o->customer);
}

static void ask_logout(struct op *o)
{
	begin_request(o, "DELETE /api/login/");
	end_bare(o);
}

static void ask_session_end(struct op *o)
{
	o->quantity = below(3) == 0;
	begin_request(o, "DELETE /session%s", o->quantity > 0 ? "?all=1" : "");
	end_bare(o);
}

static void ask_patch(struct op *o)
{
	o->data = below(1000);
	begin_request(o, "PATCH /session/data");
	end_request(o, "json", "{\"v\":%llu}", (unsigned long long)o->data);
}

static void ask_data(struct op *o)
{
	begin_request(o, "GET /session/data");
	end_bare(o);
}

/* Shows this: whom the answer is for, as the OCAPI client says. */
static void become_client(struct op *o, struct proof shown)
{
	o->proof = shown;
	use_key(o, SHOP_KEY + (int)(o->client % (LOGIN_KEY - SHOP_KEY)));
}

#define AUTH_PATH "/dw/shop/v20_9/customers/auth"

static void ask_guest(struct op *o)
{
	become_client(o, (struct proof){ .kind = NOTHING });
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"guest\"}");
}

static void ask_credentials(struct op *o)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char plain[24], text[40];
	size_t len, n = 0;

	become_client(o, (struct proof){ .kind = NOTHING });
	pick_customer(o);
	len = (size_t)snprintf(plain, sizeof plain, "c%u:word-%u", o->customer, o->password);
	assert_int_equal(len % 3, 0);   /* so that Base64 needs no padding */
	for (size_t i = 0; i < len; i += 3) {
		uint32_t w = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 |
		             (uint32_t)plain[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			text[n++] = digits[w >> shift & 63];
	}
	begin_request(o, "POST " AUTH_PATH);
	add_text(o, "Authorization: Basic %.*s\r\n", (int)n, text);
	end_request(o, "json", "{\"type\":\"credentials\"}");
}

static void ask_refresh(struct op *o)
{
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"refresh\"}");
}

static void ask_bridge(struct op *o)
{
	begin_request(o, "POST /dw/shop/v20_9/sessions");
	end_bare(o);
}

static void ask_of_dwsid(struct op *o)
{
	become_client(o, clients[o->client].dwsid);
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"session\"}");
}

static void ask_token_end(struct op *o)
{
	begin_request(o, "DELETE " AUTH_PATH);
	end_bare(o);
}

/* A token that was given out at some time, whoever has it. */
static void pick_token(struct op *o)
{
	uint32_t first = below(PROOFS_KEPT);

	o->target = (struct proof){ .kind = BEARER, .key = SHOP_KEY };
	for (uint32_t i = 0; i < PROOFS_KEPT; i++)
		if (seen[(first + i) % PROOFS_KEPT].kind == BEARER) {
			o->target = seen[(first + i) % PROOFS_KEPT];
			break;
		}
}

/* As a backend does, at the token service `what`. */
static void ask_service(struct op *o, const char *what)
{
	pick_token(o);
	begin_request(o, "POST /token/%s", what);
	add_text(o, "X-Api-Key: resolve\r\n");
	end_request(o, "x-www-form-urlencoded", "token=%s", o->target.text[0] != '\0' ?
	            o->target.text : "none");
}

static void ask_introspect(struct op *o)
{
	ask_service(o, "introspect");
}

static void ask_revoke(struct op *o)
{
	ask_service(o, "revoke");
}

#define ADMIN(o, ...) do { \
	begin_request(o, __VA_ARGS__); \
	add_text(o, "X-Api-Key: admin\r\n"); \
} while (0)

static void ask_state(struct op *o)
{
	pick_customer(o);
	o->quantity = below(3) != 0;
	ADMIN(o, "PATCH /admin/customers/%llu", (unsigned long long)o->id);
	end_request(o, "json", "{\"state\":\"%s\"}", o->quantity > 0 ? "enabled" : "disabled");
}

static void ask_password(struct op *o)
{
	pick_customer(o);
	o->password = below(PASSWORDS);
	ADMIN(o, "PUT /admin/customers/%llu/password", (unsigned long long)o->id);
	end_request(o, "json", "{\"password\":\"word-%u\"}", o->password);
}

static void ask_gone(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "DELETE /admin/customers/%llu", (unsigned long long)o->id);
	end_bare(o);
}

static void ask_new(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "POST /admin/customers");
	end_request(o, "json", "{\"login\":\"c%u\",\"password\":\"word-%u\"}", o->customer,
	            o->password);
}

static const char *const scopes[] = { "\"shop\",\"trusted\"", "\"shop\"", "\"trusted\",\"login\"" };

static const char *scopes_of(uint32_t key)
{
	return scopes[key == LOGIN_KEY ? 2 : key >= SHOP_KEY ? 1 : 0];
}

static void ask_key(struct op *o)
{
	o->product = below(MODEL_KEYS);
	ADMIN(o, "POST /admin/keys");
	o->proof.key_number = ++next_keys[o->product];
	end_request(o, "json", "{\"name\":\"key%u\",\"value\":\"%s-%u-%u\",\"scopes\":[%s]}",
	            o->product, key_word((int)o->product), o->product, o->proof.key_number,
	            scopes_of(o->product));
}

static void ask_key_state(struct op *o)
{
	o->product = below(MODEL_KEYS);
	o->quantity = below(3) != 0;
	ADMIN(o, "PATCH /admin/keys/key%u", o->product);
	end_request(o, "json", "{\"state\":\"%s\"}", o->quantity > 0 ? "active" : "disabled");
}

static void ask_key_end(struct op *o)
{
	o->product = below(MODEL_KEYS);
	ADMIN(o, "DELETE /admin/keys/key%u", o->product);
	end_bare(o);
}

static void ask_end_one(struct op *o)
{
	char text[2 * MODEL_NAME + 1] = "";
	struct buf hex = BUF(text);

	memcpy(o->name, shop->sessions[below(96)].name, MODEL_NAME);
	buf_hex(&hex, slice_bytes(o->name, MODEL_NAME));
	ADMIN(o, "DELETE /admin/sessions/%.*s", (int)hex.len, text);
	end_bare(o);
}

static void ask_end_of(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "DELETE /admin/sessions?customer=%llu", (unsigned long long)o->id);
	end_bare(o);
}

static void ask_end_all(struct op *o)
{
	ADMIN(o, "DELETE /admin/sessions?all=1");
	end_bare(o);
}

#endif
