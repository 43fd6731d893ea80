/* simulate_expect.h -- what the model says to each request, against what was answered (I1). */
#ifndef SIMULATE_EXPECT_H
#define SIMULATE_EXPECT_H

#include "simulate_ask.h"

/* --- What an answer says. --- */

static struct answer_seen {
	uint32_t status;
	struct slice fields, body;
	bool front;
} got;

static bool says(struct slice in, const char *text)
{
	return memmem(in.ptr, in.len, text, strlen(text)) != NULL;
}

/* What stands behind `label` up to `end`; absent where it does not stand there. */
static struct slice behind(struct slice in, const char *label, char end)
{
	const char *at = memmem(in.ptr, in.len, label, strlen(label));
	struct slice rest;

	if (at == NULL)
		return (struct slice){ 0 };
	at += strlen(label);
	rest = (struct slice){ at, in.len - (size_t)(at - in.ptr) };
	return slice_cut(&rest, end);
}

/* True where the model's status was answered, and it is one of success. */
static bool agreed(const struct op *o, uint32_t status)
{
	HOLDS(got.status == status, "(I1) %s: status %u, not %u: %.*s", o->kind->name,
	      got.status, status, (int)got.body.len, got.body.ptr);
	return status < 400;
}

/* The same for who was admitted: with `status`, or refused for what he is. */
static bool admitted(const struct op *o, const struct caller *w, uint32_t status)
{
	return agreed(o, w->refused != 0 ? w->refused : status);
}

static void expect_start(const struct op *o, struct slice in, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void expect_start(const struct op *o, struct slice in, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	HOLDS(slice_starts(in, slice_of(text)), "(I1) %s: `%.*s` does not begin with `%s`",
	      o->kind->name, (int)in.len, in.ptr, text);
}

static void expect_text(const struct op *o, struct slice in, const char *text, bool there)
{
	HOLDS(says(in, text) == there, "(I1) %s: `%s` %s in `%.*s`", o->kind->name, text,
	      there ? "is not" : "is", (int)in.len, in.ptr);
}

/* A new cookie session's name. */
static void take_cookie_name(const struct op *o, uint8_t name[MODEL_NAME])
{
	struct slice id = behind(got.fields, "Set-Cookie: sidecart_session=", ';');

	HOLDS(id.len == SESSION_ID_CHARS, "(I1) %s: no cookie", o->kind->name);
	session_cookie_key(SID_SECRET, id, name);
	HOLDS(model_session(shop, name) == NULL, "%s: an old cookie", o->kind->name);
}

static void sid_name(const char *identifier, enum sid_type type, uint8_t name[MODEL_NAME])
{
	char text[64];
	struct sid sid;

	snprintf(text, sizeof text, "SID:%s:" HOST ":%s", type == SID_AUTH ? "AUTH" : "ANON",
	         identifier);
	assert_int_equal(sid_parse(slice_of(text), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, type, SID_SECRET, name);
}

/* Reads what a token says; it is signed, which the product's own tests judge. */
static bool read_token(struct slice token, struct proof *p)
{
	char bytes[CALL_TOKEN_MAX];
	struct buf claims = BUF(bytes);
	struct slice rest = token, text;
	uint64_t n;

	slice_cut(&rest, '.');
	if (token.len > CALL_TOKEN_MAX || !base64url_decode(slice_cut(&rest, '.'), &claims))
		return false;
	*p = (struct proof){ .kind = BEARER };
	memcpy(p->text, token.ptr, token.len);
	if (!hex_decode(behind(buf_slice(&claims), "\"sid\":\"", '"'), p->name, MODEL_NAME) ||
	    !slice_uint(behind(buf_slice(&claims), "\"exp\":", ','), UINT64_MAX, &p->exp_s))
		return false;
	text = behind(buf_slice(&claims), "\"iss\":\"shop-", '"');
	if (!slice_uint(slice_cut(&text, '-'), MODEL_KEYS, &n))
		return false;
	p->key = (int)n;
	if (!slice_uint(text, UINT32_MAX, &n))
		return false;
	p->key_number = (uint32_t)n;
	return true;
}

/* --- The model of each request. --- */

static uint64_t hash_of(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void expect_look(struct op *o, struct caller *w, uint64_t now_s)
{
	static const char *const kinds[] = { "none", "guest", "customer" };
	static const char *const vias[] = { "none", "header", "cookie", "token", "cookie" };
	char hex_text[2 * MODEL_NAME + 1] = "", basket[24], customer[24];
	struct buf hex = BUF(hex_text);
	const struct model_customer *c = model_customer(shop, w->customer);

	(void)now_s;
	if (!admitted(o, w, 200))
		return;
	buf_hex(&hex, slice_bytes(w->name, MODEL_NAME));
	snprintf(basket, sizeof basket, "\"%llu\"", (unsigned long long)w->open);
	snprintf(customer, sizeof customer, "\"%llu\"", (unsigned long long)w->customer);
	expect_start(o, got.body, "{\"session_kind\":\"%s\",\"session_key\":%s%.*s%s,"
	             "\"customer_id\":%s,\"customer_login\":%s%s%.*u%s,\"basket_id\":%s,",
	             kinds[w->kind], w->kind != NOBODY_KNOWN ? "\"" : "null",
	             w->kind != NOBODY_KNOWN ? (int)hex.len : 0, hex_text,
	             w->kind != NOBODY_KNOWN ? "\"" : "", c != NULL ? customer : "null",
	             c != NULL ? "\"" : "null", c != NULL ? "c" : "", c != NULL ? 1 : 0,
	             c != NULL ? (unsigned)(c - shop->customers) : 0, c != NULL ? "\"" : "",
	             w->recorded && w->open != 0 ? basket : "null");
	expect_text(o, got.body, w->kind == NOBODY_KNOWN ? "\"auth_via\":\"none\"" :
	            vias[o->proof.kind], true);
}

static void expect_resolve(struct op *o, struct caller *w, uint64_t now_s)
{
	static const char *const kinds[] = { "none", "guest", "customer" };
	char hex_text[2 * MODEL_NAME + 1] = "", customer[24] = "-", basket[24] = "-";
	struct buf hex = BUF(hex_text);

	(void)now_s;
	if (!admitted(o, w, 204))
		return;
	buf_hex(&hex, slice_bytes(w->name, MODEL_NAME));
	if (w->customer != 0)
		snprintf(customer, sizeof customer, "%llu", (unsigned long long)w->customer);
	if (w->recorded && w->open != 0)
		snprintf(basket, sizeof basket, "%llu", (unsigned long long)w->open);
	expect_start(o, got.fields, "X-Session-Kind: %s\r\nX-Session-Key: %s\r\n"
	             "X-Customer-Id: %s\r\n", kinds[w->kind],
	             w->kind != NOBODY_KNOWN ? hex_text : "-", customer);
	HOLDS(slice_eq(behind(got.fields, "X-Basket-Id: ", '\r'), slice_of(basket)),
	      "(I1) resolve: another basket than %s", basket);
}

/* The basket of the cookie, if it is nobody's by name. */
static struct model_basket *carried_basket(const struct caller *w, uint64_t now_s)
{
	struct model_basket *b = w->carries ? model_usable(shop, w->carried, now_s) : NULL;

	return b != NULL && b->customer == 0 && w->kind != CUSTOMER ? b : NULL;
}

/* A guest whose session is yet to be made has one from now on. */
static void keep_guest(const struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_session *s;

	if (w->kind == NOBODY_KNOWN) {
		take_cookie_name(o, w->owner);
		model_start(shop, w->owner, BY_COOKIE, 0, 0, now_s);
		return;
	}
	s = model_session(shop, w->owner);
	if (s == NULL || now_s >= s->expires_s)
		model_start(shop, w->owner, BY_HEADER, 0, 0, now_s);
}

static struct model_basket *make_basket(const struct op *o, struct caller *w, uint64_t now_s)
{
	bool session = w->recorded || !w->speaks_cookies;
	struct model_basket *b;

	if (w->customer == 0 && session)
		keep_guest(o, w, now_s);
	b = model_new_basket(shop, w->customer, w->customer == 0 && session ? w->owner : NULL);
	b->carried = w->customer == 0 && w->speaks_cookies;
	model_put_basket(shop, b, now_s);
	return b;
}

/* Its use moves its end, in steps of a tenth; a guest by cookie gets its cookie. */
static void use_basket(const struct caller *w, struct model_basket *b, uint64_t now_s)
{
	bool carried = b->customer == 0 && w->speaks_cookies;
	uint64_t life = model_basket_life(b);

	if (now_s + life < b->expires_s + (life + 9) / 10 && (!carried || b->carried))
		return;
	b->carried |= carried;
	model_keep_basket(shop, b, now_s);
}

static struct model_basket *open_basket(const struct op *o, struct caller *w, bool make,
                                        uint64_t now_s)
{
	struct model_basket *b = carried_basket(w, now_s);
	struct model_basket *own = w->recorded ? model_usable(shop, w->open, now_s) : NULL;

	if (b != NULL && w->recorded && w->open != b->id) {
		model_refer(shop, b, false);    /* whose it was has it no longer */
		memcpy(b->guest, w->owner, MODEL_NAME);
		if (own != NULL)
			model_merge(shop, b, own, now_s);
		else
			model_put_basket(shop, b, now_s);
		w->open = b->id;
	} else if (b == NULL) {
		b = own;
	}
	if (b == NULL && make)
		b = make_basket(o, w, now_s);
	if (b != NULL)
		use_basket(w, b, now_s);
	return b;
}

static void expect_basket(const struct op *o, const struct model_basket *b)
{
	char owner[64], net[64], gross[64];
	int64_t cents = model_net_cents(b), all = model_gross_cents(b);

	snprintf(owner, sizeof owner, "/api/users/%llu/\"", (unsigned long long)b->customer);
	snprintf(net, sizeof net, "\"total_excl_tax\":\"%lld.%02lld\"", (long long)(cents / 100),
	         (long long)(cents % 100));
	snprintf(gross, sizeof gross, "\"total_incl_tax\":\"%lld.%02lld\"", (long long)(all / 100),
	         (long long)(all % 100));
	expect_start(o, got.body, "{\"id\":%llu,\"owner\":%s", (unsigned long long)b->id,
	             b->customer != 0 ? "\"" : "null,");
	if (b->customer != 0)
		expect_text(o, got.body, owner, true);
	expect_text(o, got.body, net, true);
	expect_text(o, got.body, gross, true);
}

static void expect_open(struct op *o, struct caller *w, uint64_t now_s)
{
	if (admitted(o, w, 200))
		expect_basket(o, open_basket(o, w, true, now_s));
}

/* What is answered to a key that was used before; false: it was not. */
static bool answered_before(struct op *o, const struct caller *w, uint64_t caller,
                            uint64_t request, uint64_t now_s)
{
	(void)w;
	for MODEL_EACH(r, shop->replays) {
		if (r->due_s <= now_s || r->caller != caller)
			continue;
		if (!agreed(o, r->request == request ? 200 : 422))
			return true;
		expect_text(o, got.fields, "Idempotent-Replayed: true", true);
		HOLDS(hash_of(1, got.body) == r->answer, "(I1) another answer than before");
		return true;
	}
	return false;
}

static void keep_answer(uint64_t caller, uint64_t request, uint64_t now_s)
{
	struct model_replay *place = NULL;

	for MODEL_EACH(r, shop->replays)
		if (r->due_s == 0 || r->caller == caller)
			if (place == NULL || r->caller == caller)
				place = r;
	if (place == NULL)
		abort();
	*place = (struct model_replay){ now_s + MODEL_REPLAY_S, caller, request,
		                        hash_of(1, got.body) };
}

/* Who sends a key: his API key and his session, or the basket of his cookie. */
static uint64_t caller_hash(const struct op *o, const struct caller *w)
{
	const struct proof *p = &o->proof;
	uint64_t number = (uint64_t)(p->key + 1) << 32 | p->key_number, hash;

	hash = hash_of(1, slice_bytes(&o->idempotency_key, sizeof o->idempotency_key));
	hash = hash_of(hash, slice_bytes(&number, sizeof number));
	if (w->kind != NOBODY_KNOWN)
		return hash_of(hash, slice_bytes(w->name, MODEL_NAME));
	number = w->carries ? w->carried : 0;
	return hash_of(hash, slice_bytes(&number, sizeof number));
}

/* Of a refused request nothing stays; of another the quantity is the basket's. */
static bool add_to(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_basket *b = open_basket(o, w, true, now_s);
	struct model_line *line = model_line_of(b, o->product);
	bool fits = o->quantity <= model_room(shop, b, o->product);

	if (line == NULL && b->count == MODEL_LINES)
		fits = false;
	if (!fits)
		return false;
	if (line != NULL)
		line->quantity += o->quantity;
	else
		model_insert(b, (struct model_line){ shop->next_line++, o->quantity, o->product });
	model_put_basket(shop, b, now_s);
	agreed(o, 200);
	expect_basket(o, b);
	return true;
}

static void expect_add(struct op *o, struct caller *w, uint64_t now_s)
{
	static struct model before;
	uint64_t caller = caller_hash(o, w), request = (uint64_t)o->product << 32 | o->quantity;

	if (w->refused != 0) {
		agreed(o, w->refused);
		return;
	}
	if (o->idempotency_key != 0 && answered_before(o, w, caller, request, now_s))
		return;
	if (got.status >= 400)
		before = *shop;
	if (add_to(o, w, now_s)) {
		if (o->idempotency_key != 0)
			keep_answer(caller, request, now_s);
		return;
	}
	HOLDS(got.status >= 400, "(I1) add: there was no room for it");
	agreed(o, 406);
	*shop = before;
}

/* 0: he may; else the status that he gets. `hide`: what is another's is not there. */
static uint32_t judge_basket(const struct op *o, const struct caller *w, bool hide, uint64_t now_s)
{
	const struct model_basket *b = model_usable(shop, o->basket, now_s);

	if (b == NULL)
		return 404;
	if (b->customer != 0)
		return w->customer == b->customer ? 0 : hide ? 404 : 403;
	if (w->kind != CUSTOMER && w->kind == GUEST && same_name(b->guest, w->owner))
		return 0;
	if (w->kind != CUSTOMER && w->carries && w->carried == b->id)
		return 0;
	return hide ? 404 : 403;
}

static void expect_detail(struct op *o, struct caller *w, uint64_t now_s)
{
	uint32_t refused = w->refused != 0 ? w->refused : judge_basket(o, w, false, now_s);

	if (!agreed(o, refused != 0 ? refused : 200))
		return;
	use_basket(w, model_basket(shop, o->basket), now_s);
	expect_basket(o, model_basket(shop, o->basket));
}

static void expect_set(struct op *o, struct caller *w, uint64_t now_s)
{
	uint32_t refused = w->refused != 0 ? w->refused : judge_basket(o, w, true, now_s);
	struct model_basket *b = model_basket(shop, o->basket);
	struct model_line *line = refused == 0 ? model_line(b, o->line) : NULL;

	if (refused == 0 && line == NULL)
		refused = 404;
	if (refused == 0 && o->quantity > line->quantity &&
	    o->quantity - line->quantity > model_room(shop, b, line->product))
		refused = 406;
	if (!agreed(o, refused != 0 ? refused : o->quantity > 0 ? 200 : 204))
		return;
	use_basket(w, b, now_s);
	line->quantity = o->quantity;
	if (o->quantity == 0)
		model_remove(b, line);
	model_put_basket(shop, b, now_s);
}

/* The customer who is there, may log in, and has this password; 0: nobody. */
static uint64_t right_customer(const struct op *o)
{
	const struct model_customer *c = &shop->customers[o->customer];

	return c->id != 0 && !c->disabled && c->password == o->password ? c->id : 0;
}

/* What a guest has goes over to the customer whom he turns out to be. */
static void log_in(struct op *o, struct caller *w, uint64_t customer, uint64_t now_s)
{
	struct model_basket *from = NULL, *into;
	struct model_session *guest = w->kind == GUEST ? model_session(shop, w->name) : NULL;
	uint8_t name[MODEL_NAME];
	bool whole = true;

	if (w->kind != CUSTOMER)
		from = open_basket(o, w, false, now_s);
	if (from != NULL && from->count == 0) {
		model_drop_basket(shop, from);
	} else if (from != NULL) {
		into = model_usable(shop, model_customer(shop, customer)->basket, now_s);
		if (into == NULL)
			into = model_new_basket(shop, customer, NULL);
		whole = model_merge(shop, into, from, now_s);
	}
	expect_text(o, got.fields, "X-Basket-Merge: ", !whole);
	if (o->proof.kind == SESSION_ID)
		sid_name(o->proof.text, SID_AUTH, name);
	else
		take_cookie_name(o, name);
	model_log_in(shop, guest, name, o->proof.kind == SESSION_ID ? BY_HEADER : BY_COOKIE,
	             customer, now_s);
	expect_text(o, got.fields, "Session-Id: SID:AUTH:", o->proof.kind == SESSION_ID);
	audits_due++;
}

static void expect_login(struct op *o, struct caller *w, uint64_t now_s)
{
	uint64_t customer = right_customer(o);

	if (w->refused == 0 && customer == 0)
		w->refused = 401;
	if (w->refused == 0 && w->kind == CUSTOMER)
		w->refused = 405;
	if (admitted(o, w, 200))
		log_in(o, w, customer, now_s);
}

static void expect_sign_in(struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_customer *c = &shop->customers[o->customer];

	if (w->refused == 0 && w->kind == CUSTOMER)
		w->refused = o->proof.kind == SESSION_ID ? 400 : 409;
	if (w->refused == 0 && c->id == 0)
		w->refused = 404;
	if (w->refused == 0 && c->disabled)
		w->refused = 403;
	if (admitted(o, w, 200))
		log_in(o, w, c->id, now_s);
}

/* `quantity` 1: everywhere. */
static void log_out(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_basket *b = w->kind != CUSTOMER ? open_basket(o, w, false, now_s) : NULL;
	struct model_session *s;

	if (b != NULL)
		model_drop_basket(shop, b);
	if (w->kind != NOBODY_KNOWN && (s = model_session(shop, w->name)) != NULL)
		model_end(shop, s);
	if (w->kind == CUSTOMER)
		audits_due++;
	if (o->quantity == 0)
		return;
	if (w->kind == CUSTOMER)
		model_end_all_of(shop, w->customer);
	else if (w->root && (s = model_session(shop, w->owner)) != NULL)
		model_end(shop, s);
}

static void expect_logout(struct op *o, struct caller *w, uint64_t now_s)
{
	if (admitted(o, w, 200))
		log_out(o, w, now_s);
}

static void expect_session_end(struct op *o, struct caller *w, uint64_t now_s)
{
	if (admitted(o, w, 204))
		log_out(o, w, now_s);
}

static void expect_patch(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_session *s;

	if (!admitted(o, w, 200))
		return;
	keep_guest(o, w, now_s);
	s = model_session(shop, w->owner);
	s->data = (int64_t)o->data;
	shop->changed = true;
	expect_start(o, got.body, "{\"v\":%llu}", (unsigned long long)o->data);
}

static void expect_data(struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_session *s = model_session(shop, w->owner);

	if (!admitted(o, w, 200))
		return;
	if (w->kind == NOBODY_KNOWN || s == NULL || now_s >= s->expires_s || s->data < 0)
		expect_start(o, got.body, "{}");
	else
		expect_start(o, got.body, "{\"v\":%lld}", (long long)s->data);
}

/* --- The same of OCAPI, and of token services. --- */

/* A token was given out: its session is there, and for a guest the root behind it. */
static void start_token(const struct op *o, uint64_t customer, const char *guest, uint64_t now_s)
{
	struct model_session *s;
	uint8_t root[MODEL_NAME];
	struct proof p;

	HOLDS(read_token(behind(got.fields, "Authorization: Bearer ", '\r'), &p) &&
	      p.exp_s == now_s + MODEL_TOKEN_TTL_S && p.key == o->proof.key &&
	      p.key_number == o->proof.key_number && model_session(shop, p.name) == NULL,
	      "(I1) %s: another token", o->kind->name);
	audits_due += customer != 0;
	if (customer == 0) {
		session_guest_key(SID_SECRET, slice_of(guest), root);
		model_keep_root(shop, root, guest, p.exp_s, now_s);
	}
	s = model_start(shop, p.name, BY_TOKEN, customer, p.exp_s, now_s);
	if (customer == 0) {
		memcpy(s->root, root, MODEL_NAME);
		memcpy(s->guest, guest, MODEL_GUEST);
	}
}

static void expect_guest(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";
	struct slice id;

	if (!admitted(o, w, 200))
		return;
	id = behind(got.body, "\"customer_id\":\"", '"');
	HOLDS(id.len == MODEL_GUEST, "(I1) a guest without an id");
	memcpy(guest, id.ptr, MODEL_GUEST);
	start_token(o, 0, guest, now_s);
}

static void expect_credentials(struct op *o, struct caller *w, uint64_t now_s)
{
	uint64_t customer = right_customer(o);

	if (w->refused == 0 && customer == 0)
		w->refused = 401;
	if (admitted(o, w, 200))
		start_token(o, customer, "", now_s);
}

/* A token for who has shown a token or a dwsid. */
static void expect_token(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";

	if (w->refused == 0 && w->kind == NOBODY_KNOWN)
		w->refused = 401;
	if (!admitted(o, w, 200))
		return;
	memcpy(guest, model_session(shop, w->name)->guest, sizeof guest);
	start_token(o, w->customer, guest, now_s);
}

static void expect_bridge(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";
	uint8_t name[MODEL_NAME];
	struct model_session *s;
	struct slice dwsid;

	if (!admitted(o, w, 204))
		return;
	dwsid = behind(got.fields, "Set-Cookie: dwsid=", ';');
	HOLDS(dwsid.len == SESSION_DWSID_CHARS, "(I1) no dwsid");
	session_dwsid_key(SID_SECRET, dwsid, name);
	memcpy(guest, model_session(shop, w->name)->guest, sizeof guest);
	if (w->customer == 0)
		model_keep_root(shop, w->owner, guest, now_s + MODEL_DWSID_MAX_S, now_s);
	s = model_start(shop, name, BY_DWSID, w->customer, 0, now_s);
	if (w->customer == 0)
		memcpy(s->root, w->owner, MODEL_NAME);
	memcpy(s->guest, guest, sizeof guest);
}

static void expect_token_end(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)now_s;
	if (!admitted(o, w, 204))
		return;
	model_end(shop, model_session(shop, w->name));
	audits_due++;
}

/* True where the token that is asked about is good. */
static bool target_lives(const struct op *o, uint64_t now_s, struct caller *of)
{
	static struct op other;

	other.proof = o->target;
	who_calls(shop, &other, now_s, false, false, of);
	return of->refused == 0;
}

static void expect_introspect(struct op *o, struct caller *w, uint64_t now_s)
{
	struct caller of;

	if (admitted(o, w, 200))
		expect_start(o, got.body, "{\"active\":%s",
		             target_lives(o, now_s, &of) ? "true" : "false}");
}

static void expect_revoke(struct op *o, struct caller *w, uint64_t now_s)
{
	struct caller of;

	if (!admitted(o, w, 200) || !target_lives(o, now_s, &of))
		return;
	model_end(shop, model_session(shop, of.name));
	audits_due++;
}

/* --- What operators do. --- */

/* True where it is done, and said in the log. */
static bool operated(const struct op *o, uint32_t status)
{
	if (!agreed(o, status))
		return false;
	shop->changed = true;
	audits_due++;
	return true;
}

static void expect_state(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!operated(o, c == NULL ? 404 : 200))
		return;
	c->disabled = o->quantity == 0;
	if (c->disabled)
		model_end_all_of(shop, c->id);
}

static void expect_password(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!operated(o, c == NULL ? 404 : 200))
		return;
	c->password = o->password;
	model_end_all_of(shop, c->id);
}

static void expect_gone(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!operated(o, c == NULL ? 404 : 200))
		return;
	model_end_all_of(shop, c->id);
	for MODEL_EACH(b, shop->baskets)
		if (b->id != 0 && b->customer == c->id)
			b->id = 0;
	c->id = 0;
}

static void expect_new(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = &shop->customers[o->customer];
	uint64_t id;

	(void)w, (void)now_s;
	if (!operated(o, c->id != 0 ? 409 : 201))
		return;
	HOLDS(slice_uint(behind(got.fields, "Location: /admin/customers/", '\r'), UINT64_MAX,
	                 &id) && id == shop->next_customer, "(I1) a customer has another id");
	*c = (struct model_customer){ .id = shop->next_customer++, .password = o->password };
}

static void expect_key(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_key *k = &shop->keys[o->product];

	(void)w, (void)now_s;
	if (!operated(o, k->revoked ? 201 : 409))
		return;
	*k = (struct model_key){ .number = o->proof.key_number };
	shop->revoked_keys++;
}

static void expect_key_state(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_key *k = &shop->keys[o->product];

	(void)w, (void)now_s;
	if (!operated(o, k->revoked ? 409 : 200))
		return;
	k->disabled = o->quantity == 0;
}

static void expect_key_end(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	if (operated(o, 200))
		shop->keys[o->product].revoked = true;
}

static void expect_end_one(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_session *s = model_session(shop, o->name);

	(void)w, (void)now_s;
	if (!agreed(o, s == NULL ? 404 : 204))
		return;
	model_end(shop, s);
	audits_due++;
}

static void expect_end_of(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	agreed(o, 200);
	model_end_all_of(shop, o->id);
	audits_due++;
}

static void expect_end_all(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	agreed(o, 200);
	for MODEL_EACH(s, shop->sessions)
		if (s->via != NOT_THERE)
			model_end(shop, s);
	audits_due++;
}

/* --- All of them. --- */

static const struct kind kinds[] = {
	/* clang-format off */
	{ "look",        SAFE,   15, 100, ask_look,        expect_look },
	{ "resolve",     SAFE,   15,  70, ask_resolve,     expect_resolve },
	{ "open",        SAFE,    7,  60, ask_open,        expect_open },
	{ "add",         UNSAFE,  7, 110, ask_add,         expect_add },
	{ "detail",      SAFE,    7,  30, ask_detail,      expect_detail },
	{ "set",         UNSAFE,  7,  50, ask_set,         expect_set },
	{ "patch",       UNSAFE,  7,  30, ask_patch,       expect_patch },
	{ "data",        SAFE,    7,  20, ask_data,        expect_data },
	{ "login",       UNSAFE,  3,  60, ask_login,       expect_login },
	{ "sign-in",     UNSAFE,  3,  20, ask_sign_in,     expect_sign_in },
	{ "logout",      UNSAFE,  3,  20, ask_logout,      expect_logout },
	{ "session-end", UNSAFE,  7,  12, ask_session_end, expect_session_end },
	{ "guest",       DW, BY_TOKENS, 25, ask_guest,       expect_guest },
	{ "credentials", DW, BY_TOKENS, 40, ask_credentials, expect_credentials },
	{ "refresh",     DW, BY_TOKENS, 30, ask_refresh,     expect_token },
	{ "bridge",      DW, BY_TOKENS, 30, ask_bridge,      expect_bridge },
	{ "of-dwsid",    DW, BY_TOKENS, 30, ask_of_dwsid,    expect_token },
	{ "token-end",   DW, BY_TOKENS, 10, ask_token_end,   expect_token_end },
	{ "introspect",  SAFE,   BY_OPERATORS, 120, ask_introspect, expect_introspect },
	{ "revoke",      UNSAFE, BY_OPERATORS,  30, ask_revoke,     expect_revoke },
	{ "state",       OPS,    BY_OPERATORS,  30, ask_state,      expect_state },
	{ "password",    OPS,    BY_OPERATORS,  15, ask_password,   expect_password },
	{ "gone",        OPS,    BY_OPERATORS,  10, ask_gone,       expect_gone },
	{ "new",         OPS,    BY_OPERATORS,  25, ask_new,        expect_new },
	{ "key",         OPS,    BY_OPERATORS,  20, ask_key,        expect_key },
	{ "key-state",   OPS,    BY_OPERATORS,  20, ask_key_state,  expect_key_state },
	{ "key-end",     OPS,    BY_OPERATORS,   4, ask_key_end,    expect_key_end },
	{ "end-one",     OPS,    BY_OPERATORS,  20, ask_end_one,    expect_end_one },
	{ "end-of",      OPS,    BY_OPERATORS,  10, ask_end_of,     expect_end_of },
	{ "end-all",     OPS,    BY_OPERATORS,   1, ask_end_all,    expect_end_all },
	/* clang-format on */
};

#endif
