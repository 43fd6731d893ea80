/* model.h -- what a shop is to hold and to answer, said once more: arrays and linear searches.
 *
 * It knows nothing of records, keys of the store, transactions or processes: customers, sessions,
 * baskets, API keys, and what each request makes of them at its time. Where a rule of the
 * product's is meant, it is the one of the documentation (README, docs/), not of the code.
 * Names that are drawn -- of sessions, of guests -- are taken over from the answers.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	MODEL_CUSTOMERS = 6, MODEL_SESSIONS = 512, MODEL_BASKETS = 1024, MODEL_PRODUCTS = 5,
	MODEL_KEYS = 6, MODEL_REPLAYS = 512,
	MODEL_LINES = 3,                /* max_lines */
	MODEL_QUANTITY = 40,            /* max_quantity */
	MODEL_SESSIONS_EACH = 5,        /* max_sessions_per_customer */
	MODEL_SESSION_TTL_S = 172800, MODEL_SESSION_MAX_S = 518400, MODEL_ANON_TTL_S = 259200,
	MODEL_BASKET_TTL_S = 345600, MODEL_EMPTY_TTL_S = 3600, MODEL_TOKEN_TTL_S = 1800,
	MODEL_DWSID_TTL_S = 1800, MODEL_DWSID_MAX_S = 21600, MODEL_GRACE_S = 10,
	MODEL_REPLAY_S = 86400,
	MODEL_NAME = 20,                /* bytes of a session's key */
	MODEL_GUEST = 26,               /* and of a guest's id */
};

/* How a session is shown. */
enum model_via { NOT_THERE, BY_HEADER, BY_COOKIE, BY_OLD_COOKIE, BY_TOKEN, BY_DWSID, AS_ROOT };

struct model_session {
	enum model_via via;
	uint8_t name[MODEL_NAME];
	uint64_t customer;              /* 0: a guest's */
	uint64_t basket;                /* a guest's; a customer's is the customer's */
	uint64_t created_s, expires_s;
	uint8_t root[MODEL_NAME];       /* of a guest of OCAPI: the session behind his tokens */
	char guest[MODEL_GUEST + 1];    /* and his id; else empty */
	int64_t data;                   /* the member v; -1: nothing kept */
};

struct model_line {
	uint64_t id;
	uint32_t quantity;
	uint32_t product;
};

struct model_basket {
	uint64_t id;                    /* 0: no basket */
	uint64_t customer;              /* 0: a guest's */
	uint8_t guest[MODEL_NAME];      /* whose session this is, or zeroes */
	bool carried, merged;
	uint64_t expires_s;
	uint32_t count;
	struct model_line lines[MODEL_LINES];
};

struct model_customer {
	uint64_t id;                    /* 0: deleted */
	uint64_t basket;                /* the open one */
	uint32_t password;
	bool disabled;
};

/* An API key: its text is made of its place and its number. */
struct model_key {
	uint32_t number;
	bool disabled, revoked;
};

/* The first answer to an Idempotency-Key. */
struct model_replay {
	uint64_t due_s;                 /* 0: none */
	uint64_t caller, request;       /* digests of who asked and what */
	uint64_t answer;                /* of the body */
};

struct model {
	struct model_customer customers[MODEL_CUSTOMERS];
	struct model_session sessions[MODEL_SESSIONS];
	struct model_basket baskets[MODEL_BASKETS];
	struct model_key keys[MODEL_KEYS];
	struct model_replay replays[MODEL_REPLAYS];
	uint32_t stock[MODEL_PRODUCTS];
	uint64_t next_customer, next_basket, next_line;
	uint32_t revoked_keys;          /* that no name leads to any more */
	bool changed;                   /* by the request at hand, */
	bool grown;                     /* and a session or a basket is new */
};

static const struct model_product {
	const char *id;
	int64_t cents;
	int64_t rate_e6;
} model_products[MODEL_PRODUCTS] = {
	{ "1", 1000, 0 }, { "2", 1250, 210000 }, { "30", 333, 190000 }, { "cap", 5, 70000 },
	{ "mug", 99999, 210000 },
};

#define MODEL_EACH(item, list) \
	(__typeof__(&(list)[0]) item = (list); \
	 item < (list) + sizeof(list) / sizeof((list)[0]); item++)

static inline bool same_name(const uint8_t a[MODEL_NAME], const uint8_t b[MODEL_NAME])
{
	return memcmp(a, b, MODEL_NAME) == 0;
}

static inline bool no_name(const uint8_t name[MODEL_NAME])
{
	static const uint8_t nobody[MODEL_NAME];

	return same_name(name, nobody);
}

/* --- Customers. --- */

static inline struct model_customer *model_customer(struct model *m, uint64_t id)
{
	for MODEL_EACH(c, m->customers)
		if (id != 0 && c->id == id)
			return c;
	return NULL;
}

/* --- Baskets. --- */

static inline struct model_basket *model_basket(struct model *m, uint64_t id)
{
	for MODEL_EACH(b, m->baskets)
		if (id != 0 && b->id == id)
			return b;
	return NULL;
}

static inline struct model_session *model_session(struct model *m,
                                                  const uint8_t name[MODEL_NAME])
{
	for MODEL_EACH(s, m->sessions)
		if (s->via != NOT_THERE && same_name(s->name, name))
			return s;
	return NULL;
}

/* What an owner takes for his open basket; NULL: a basket that is nobody's but a cookie's. */
static inline uint64_t *model_open_of(struct model *m, const struct model_basket *b)
{
	struct model_customer *c = model_customer(m, b->customer);
	struct model_session *s = no_name(b->guest) ? NULL : model_session(m, b->guest);

	if (b->customer != 0)
		return c != NULL ? &c->basket : NULL;
	return s != NULL ? &s->basket : NULL;
}

static inline void model_refer(struct model *m, const struct model_basket *b, bool open)
{
	uint64_t *of = model_open_of(m, b);

	if (of != NULL && open)
		*of = b->id;
	else if (of != NULL && *of == b->id)
		*of = 0;
}

static inline uint64_t model_basket_life(const struct model_basket *b)
{
	return b->count > 0 && !b->merged ? MODEL_BASKET_TTL_S : MODEL_EMPTY_TTL_S;
}

static inline void model_keep_basket(struct model *m, struct model_basket *b, uint64_t now_s)
{
	b->expires_s = now_s + model_basket_life(b);
	m->changed = true;
}

static inline void model_put_basket(struct model *m, struct model_basket *b, uint64_t now_s)
{
	model_keep_basket(m, b, now_s);
	model_refer(m, b, !b->merged);
}

static inline void model_drop_basket(struct model *m, struct model_basket *b)
{
	model_refer(m, b, false);
	b->id = 0;
	m->changed = true;
}

/* One that may be used: NULL where it has expired, or was merged into another. */
static inline struct model_basket *model_usable(struct model *m, uint64_t id, uint64_t now_s)
{
	struct model_basket *b = model_basket(m, id);

	return b != NULL && !b->merged && now_s < b->expires_s ? b : NULL;
}

static inline struct model_basket *model_new_basket(struct model *m, uint64_t customer,
                                                    const uint8_t *guest)
{
	for MODEL_EACH(b, m->baskets) {
		if (b->id != 0)
			continue;
		*b = (struct model_basket){ .id = m->next_basket++, .customer = customer };
		if (guest != NULL)
			memcpy(b->guest, guest, MODEL_NAME);
		m->changed = m->grown = true;
		return b;
	}
	abort();        /* the run lets no more than these live */
}

static inline uint32_t model_sum(const struct model_basket *b, uint32_t product)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < b->count; i++)
		if (product == MODEL_PRODUCTS || b->lines[i].product == product)
			sum += b->lines[i].quantity;
	return sum;
}

/* How much more of a product a basket may hold. */
static inline uint32_t model_room(const struct model *m, const struct model_basket *b,
                                  uint32_t product)
{
	uint32_t held = model_sum(b, product), all = model_sum(b, MODEL_PRODUCTS);
	uint32_t left = m->stock[product] > held ? m->stock[product] - held : 0;
	uint32_t most = MODEL_QUANTITY > all ? MODEL_QUANTITY - all : 0;

	return left < most ? left : most;
}

static inline struct model_line *model_line_of(struct model_basket *b, uint32_t product)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->lines[i].product == product)
			return &b->lines[i];
	return NULL;
}

static inline struct model_line *model_line(struct model_basket *b, uint64_t id)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->lines[i].id == id)
			return &b->lines[i];
	return NULL;
}

static inline void model_insert(struct model_basket *b, struct model_line line)
{
	uint32_t i = b->count++;

	for (; i > 0 && b->lines[i - 1].id > line.id; i--)
		b->lines[i] = b->lines[i - 1];
	b->lines[i] = line;
}

static inline void model_remove(struct model_basket *b, struct model_line *line)
{
	b->count--;
	for (; line < b->lines + b->count; line++)
		line[0] = line[1];
}

/* Of equal lines the quantities add up, as far as there is room; true where all fitted. */
static inline bool model_merge(struct model *m, struct model_basket *into,
                               struct model_basket *from, uint64_t now_s)
{
	bool whole = true;

	for (uint32_t i = 0; i < from->count; i++) {
		struct model_line line = from->lines[i], *equal = model_line_of(into, line.product);
		uint32_t room = model_room(m, into, line.product), asked = line.quantity;

		line.quantity = asked < room ? asked : room;
		if (equal != NULL)
			equal->quantity += line.quantity;
		else if (into->count == MODEL_LINES)
			line.quantity = 0;
		else if (line.quantity > 0)
			model_insert(into, line);
		whole = whole && line.quantity == asked;
	}
	from->count = 0;
	from->merged = true;
	model_put_basket(m, from, now_s);
	model_put_basket(m, into, now_s);
	return whole;
}

static inline int64_t model_net_cents(const struct model_basket *b)
{
	int64_t cents = 0;

	for (uint32_t i = 0; i < b->count; i++)
		cents += model_products[b->lines[i].product].cents * b->lines[i].quantity;
	return cents;
}

/* Tax is rounded half-up a line. */
static inline int64_t model_gross_cents(const struct model_basket *b)
{
	int64_t cents = model_net_cents(b);

	for (uint32_t i = 0; i < b->count; i++) {
		const struct model_product *p = &model_products[b->lines[i].product];

		cents += (p->cents * b->lines[i].quantity * p->rate_e6 + 500000) / 1000000;
	}
	return cents;
}

/* --- Sessions. --- */

/* True where it counts at `now_s`; a guest's of OCAPI only with the root behind it. */
static inline bool model_lives(struct model *m, const struct model_session *s, uint64_t now_s)
{
	const struct model_session *root;

	if (s == NULL || now_s >= s->expires_s)
		return false;
	if (s->guest[0] == '\0' || s->via == AS_ROOT)
		return true;
	root = model_session(m, s->root);
	return root != NULL && now_s < root->expires_s;
}

static inline void model_end(struct model *m, struct model_session *s)
{
	struct model_basket *b = s->customer == 0 ? model_basket(m, s->basket) : NULL;

	if (b != NULL)
		b->id = 0;
	s->via = NOT_THERE;
	m->changed = true;
}

/* When it ends that is used at `now_s`. */
static inline uint64_t model_expiry(const struct model_session *s, uint64_t now_s)
{
	uint64_t idle = MODEL_SESSION_TTL_S, most = s->created_s + MODEL_SESSION_MAX_S;

	switch (s->via) {
	case BY_HEADER:
		if (s->customer == 0)
			return now_s + MODEL_ANON_TTL_S;
		break;
	case BY_COOKIE:
		break;
	case BY_DWSID:
		idle = MODEL_DWSID_TTL_S;
		most = s->created_s + MODEL_DWSID_MAX_S;
		break;
	case BY_OLD_COOKIE:
	case BY_TOKEN:
	case AS_ROOT:
	case NOT_THERE:
		return s->expires_s;
	}
	return now_s + idle < most ? now_s + idle : most;
}

/* A use moves the end in steps of a tenth of the idle time. */
static inline bool model_renewal_due(const struct model_session *s, uint64_t now_s)
{
	uint64_t idle = s->via == BY_DWSID ? MODEL_DWSID_TTL_S :
	                s->via == BY_HEADER && s->customer == 0 ? MODEL_ANON_TTL_S :
	                MODEL_SESSION_TTL_S;

	return model_expiry(s, now_s) >= s->expires_s + (idle + 9) / 10;
}

static inline uint32_t model_count_of(const struct model *m, uint64_t customer)
{
	uint32_t count = 0;

	for MODEL_EACH(s, m->sessions)
		count += s->via != NOT_THERE && s->customer == customer;
	return count;
}

static inline struct model_session *model_oldest_of(struct model *m, uint64_t customer)
{
	struct model_session *oldest = NULL;

	for MODEL_EACH(s, m->sessions) {
		if (s->via == NOT_THERE || s->customer != customer)
			continue;
		if (oldest == NULL || s->created_s < oldest->created_s ||
		    (s->created_s == oldest->created_s &&
		     memcmp(s->name, oldest->name, MODEL_NAME) < 0))
			oldest = s;
	}
	return oldest;
}

/* Starts a session in the place of what its name had; over the limit the oldest goes. A token's
 * and a root's end are fixed: `ends_s`. */
static inline struct model_session *model_start(struct model *m, const uint8_t name[MODEL_NAME],
                                                enum model_via via, uint64_t customer,
                                                uint64_t ends_s, uint64_t now_s)
{
	struct model_session *old = model_session(m, name);

	if (old != NULL)
		model_end(m, old);
	while (customer != 0 && model_count_of(m, customer) >= MODEL_SESSIONS_EACH)
		model_end(m, model_oldest_of(m, customer));
	for MODEL_EACH(s, m->sessions) {
		if (s->via != NOT_THERE)
			continue;
		*s = (struct model_session){ .via = via, .customer = customer, .created_s = now_s,
			                     .expires_s = ends_s, .data = -1 };
		memcpy(s->name, name, MODEL_NAME);
		s->expires_s = model_expiry(s, now_s);
		m->changed = m->grown = true;
		return s;
	}
	abort();        /* the run lets no more than these live */
}

static inline void model_end_all_of(struct model *m, uint64_t customer)
{
	for MODEL_EACH(s, m->sessions)
		if (s->via != NOT_THERE && s->customer == customer)
			model_end(m, s);
}

/* A login: the guest's data goes over under the customer's own; a header's guest is gone, a
 * cookie's stays for as long as requests with it may be under way. */
static inline void model_log_in(struct model *m, struct model_session *guest,
                                const uint8_t name[MODEL_NAME], enum model_via via,
                                uint64_t customer, uint64_t now_s)
{
	struct model_session *own = model_session(m, name);
	uint8_t of_guest[MODEL_NAME] = { 0 };
	int64_t data = -1;

	if (guest != NULL) {
		memcpy(of_guest, guest->name, MODEL_NAME);
		data = now_s < guest->expires_s ? guest->data : -1;
	}
	if (own != NULL && now_s < own->expires_s && own->customer == customer && own->data >= 0)
		data = own->data;
	model_start(m, name, via, customer, 0, now_s)->data = data;
	guest = guest != NULL ? model_session(m, of_guest) : NULL;
	if (guest == NULL)
		return;
	if (guest->via == BY_HEADER) {
		model_end(m, guest);
		return;
	}
	if (guest->expires_s > now_s + MODEL_GRACE_S)
		guest->expires_s = now_s + MODEL_GRACE_S;
	guest->via = BY_OLD_COOKIE;
}

/* The root behind a guest of OCAPI lives for as long as any of his sessions may. */
static inline void model_keep_root(struct model *m, const uint8_t name[MODEL_NAME],
                                   const char *guest, uint64_t ends_s, uint64_t now_s)
{
	struct model_session *root = model_session(m, name);

	if (root == NULL || now_s >= root->expires_s) {
		root = model_start(m, name, AS_ROOT, 0, ends_s, now_s);
		memcpy(root->guest, guest, MODEL_GUEST);
	}
	if (root->expires_s < ends_s)
		root->expires_s = ends_s;
}

/* --- The sweep: what has expired is gone for good. --- */

static inline void model_sweep_session(struct model *m, struct model_session *s, uint64_t now_s)
{
	struct model_basket *b = s->customer == 0 ? model_basket(m, s->basket) : NULL;

	/* Who has its cookie has it still. */
	if (b != NULL && b->carried && now_s < b->expires_s && same_name(b->guest, s->name)) {
		memset(b->guest, 0, MODEL_NAME);
		model_keep_basket(m, b, now_s);
		s->basket = 0;
	}
	model_end(m, s);
}

static inline void model_sweep(struct model *m, uint64_t now_s)
{
	for MODEL_EACH(b, m->baskets)
		if (b->id != 0 && b->expires_s <= now_s)
			model_drop_basket(m, b);
	for MODEL_EACH(s, m->sessions)
		if (s->via != NOT_THERE && s->expires_s <= now_s)
			model_sweep_session(m, s, now_s);
	for MODEL_EACH(r, m->replays)
		if (r->due_s <= now_s)
			r->due_s = 0;
}

#endif
