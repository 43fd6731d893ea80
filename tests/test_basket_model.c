/* test_basket_model.c -- random operations on baskets against a plain model of them.
 *
 * Guests by Session-Id, visitors by cookie and customers add, change, remove, log in, log out;
 * time passes, baskets expire, the sweep runs, stock changes, and some batches are lost. After
 * each batch the whole store is compared with the model. MODEL_SEED replays a run, MODEL_OPS
 * sets its length (100,000).
 *
 * The model knows nothing of records: lists of lines, and who has which.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "calls.h"
#include "log.h"

enum {
	PRODUCTS = 4, VARIANTS = 3, CUSTOMERS = 3, GUESTS = 5, VISITORS = 3,
	LINES = 6,              /* the setting max_lines */
	QUANTITY = 40,          /* the setting max_quantity */
	TTL_S = 1000, EMPTY_TTL_S = 200,
};

static const char *const products[PRODUCTS] = { "1", "2", "30", "cap" };
static const char *const guests[GUESTS] = { "anna", "bert", "carl", "dora", "emil" };

struct line {
	uint64_t id;
	uint32_t quantity;
	uint8_t product, variant;
};

struct pile {                   /* a basket; id 0: there is none */
	uint64_t id, expires_s;
	uint32_t count;
	struct line lines[LINES];
};

static struct model {
	struct pile customers[CUSTOMERS], guests[GUESTS], visitors[VISITORS];
	uint8_t auth[GUESTS];           /* who is logged in under the identifier; 0: nobody */
	uint32_t stock[PRODUCTS];
	uint64_t next_basket, next_line;
} model;

static uint64_t state, seed;
static unsigned long step;

/* splitmix64. */
static uint64_t draw(uint64_t below)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

#define CHECK(condition) do { \
	if (!(condition)) \
		fail_msg("MODEL_SEED=%llu, step %lu: %s", (unsigned long long)seed, step, \
		         #condition); \
} while (0)

/* --- What baskets do, said once more. --- */

static uint64_t life(const struct pile *p)
{
	return p->count > 0 ? TTL_S : EMPTY_TTL_S;
}

static bool is_there(const struct pile *p)
{
	return p->id != 0 && now_s < p->expires_s;
}

static void renew(struct pile *p)
{
	p->expires_s = now_s + life(p);
}

/* A look at it moves the expiry in steps of a tenth. */
static void use(struct pile *p)
{
	if (now_s + life(p) >= p->expires_s + (life(p) + 9) / 10)
		renew(p);
}

static void open_pile(struct pile *p)
{
	if (is_there(p)) {
		use(p);
		return;
	}
	*p = (struct pile){ .id = model.next_basket++ };
	renew(p);
}

static uint32_t sum(const struct pile *p, int product)
{
	uint32_t quantity = 0;

	for (uint32_t i = 0; i < p->count; i++)
		if (product < 0 || p->lines[i].product == product)
			quantity += p->lines[i].quantity;
	return quantity;
}

static uint32_t find(const struct pile *p, uint8_t product, uint8_t variant)
{
	uint32_t i = 0;

	while (i < p->count && (p->lines[i].product != product || p->lines[i].variant != variant))
		i++;
	return i;
}

static void drop(struct pile *p, uint32_t i)
{
	for (p->count--; i < p->count; i++)
		p->lines[i] = p->lines[i + 1];
}

static void insert(struct pile *p, struct line line)
{
	uint32_t i = p->count++;

	for (; i > 0 && p->lines[i - 1].id > line.id; i--)
		p->lines[i] = p->lines[i - 1];
	p->lines[i] = line;
}

/* How much a line that has `before` may have at most. */
static uint32_t most(const struct pile *p, uint8_t product, uint32_t before)
{
	uint32_t others = sum(p, product) - before, rest = sum(p, -1) - before;
	uint32_t by_stock = model.stock[product] > others ? model.stock[product] - others : 0;
	uint32_t by_quantity = QUANTITY > rest ? QUANTITY - rest : 0;

	return by_stock < by_quantity ? by_stock : by_quantity;
}

/* False where it is refused. */
static bool set(struct pile *p, uint32_t i, uint32_t quantity)
{
	if (quantity > p->lines[i].quantity &&
	    quantity > most(p, p->lines[i].product, p->lines[i].quantity))
		return false;
	p->lines[i].quantity = quantity;
	if (quantity == 0)
		drop(p, i);
	return true;
}

static bool add(struct pile *p, uint8_t product, uint8_t variant, int64_t quantity)
{
	uint32_t i = find(p, product, variant);
	struct line line = { .product = product, .variant = variant };

	if (i < p->count) {
		quantity += p->lines[i].quantity;
		return set(p, i, quantity > 0 ? (uint32_t)quantity : 0);
	}
	if (quantity <= 0)
		return quantity == 0;
	if ((uint32_t)quantity > most(p, product, 0) || p->count == LINES)
		return false;
	line.id = model.next_line++;
	line.quantity = (uint32_t)quantity;
	insert(p, line);
	return true;
}

static void merge_line(struct pile *into, struct line line)
{
	uint32_t i = find(into, line.product, line.variant);
	uint32_t before = i < into->count ? into->lines[i].quantity : 0, asked = before, kept;

	if (i == into->count || config.basket_merge == BASKET_MERGE_SUM)
		asked += line.quantity;
	else if (config.basket_merge == BASKET_MERGE_MAX && line.quantity > before)
		asked = line.quantity;
	kept = most(into, line.product, before);
	if (kept > asked)
		kept = asked;
	if (kept <= before)
		return;
	if (i < into->count) {
		into->lines[i].quantity = kept;
	} else if (into->count < LINES) {
		line.quantity = kept;
		insert(into, line);
	}
}

static void merge(struct pile *into, struct pile *from)
{
	if (is_there(from)) {
		if (from->count > 0) {
			if (!is_there(into))
				*into = (struct pile){ .id = model.next_basket++ };
			for (uint32_t i = 0; i < from->count; i++)
				merge_line(into, from->lines[i]);
			renew(into);
		}
	}
	*from = (struct pile){ 0 };
}

/* --- The same, done. --- */

static struct basket basket;

/* Who asks, and what he has. */
struct actor {
	struct pile *pile;
	bool cookie;
};

static struct actor ask(void)
{
	uint64_t who = draw(GUESTS + VISITORS);
	struct pile *p;

	if (who < GUESTS) {
		bool auth = model.auth[who] != 0 && draw(4) != 0;

		calls_ask_by_header(auth ? "AUTH" : "ANON", guests[who]);
		p = auth ? &model.customers[model.auth[who] - 1] : &model.guests[who];
		return (struct actor){ p, false };
	}
	p = &model.visitors[who - GUESTS];
	if (p->id != 0)
		calls_ask_by_cookie(p->id, "");
	else
		calls_ask("");
	return (struct actor){ p, true };
}

static struct basket_change change_now(void)
{
	return (struct basket_change){
		.kv = store, .config = &config, .now_us = call.now_us,
	};
}

/* An add; what is refused changes no line, and in a child, as a handler runs, nothing at all. */
static void do_add(void)
{
	static const char *const values[VARIANTS] = { "", "red", "blue" };
	uint8_t product = (uint8_t)draw(PRODUCTS), variant = (uint8_t)draw(VARIANTS);
	const struct basket_option option = { .option = SLICE("colour"),
	                                      .value = slice_of(values[variant]) };
	const struct basket_item item = { .product = slice_of(products[product]),
	                                  .options = &option, .option_count = variant > 0 };
	int64_t quantity = (int64_t)draw(12) - 3;
	struct model before = model;
	struct actor who = ask();
	struct basket_change change = change_now();
	uint32_t line;
	bool taken, child;

	open_pile(who.pile);
	taken = add(who.pile, product, variant, quantity);
	child = draw(8) == 0;           /* each takes LMDB 2 MB: slow under ASan */
	if (child)
		CHECK(kv_begin_child(store) == KV_OK);
	CHECK(call_open_basket(&call, true, &basket) == KV_OK);
	CHECK((basket_add(&basket, &item, quantity, &change, &line) == BASKET_OK) == taken);
	if (taken) {
		renew(who.pile);
		CHECK(call_put_basket(&call, &basket, true) == KV_OK);
	} else if (child) {
		model = before;
	}
	if (child)
		CHECK(kv_end_child(store, taken) == KV_OK);
}

static void do_set(void)
{
	struct actor who = ask();
	struct basket_change change = change_now();
	uint32_t quantity = draw(3) == 0 ? 0 : (uint32_t)draw(15), line, i;
	bool taken;

	if (!is_there(who.pile) || who.pile->count == 0)
		return;
	use(who.pile);
	i = (uint32_t)draw(who.pile->count);
	CHECK(call_open_basket(&call, false, &basket) == KV_OK);
	CHECK(basket_find_line(&basket, who.pile->lines[i].id, &line) && line == i);
	taken = set(who.pile, i, quantity);
	CHECK((basket_set_quantity(&basket, line, quantity, &change) == BASKET_OK) == taken);
	if (!taken)
		return;
	renew(who.pile);
	CHECK(call_put_basket(&call, &basket, true) == KV_OK);
}

static void do_look(void)
{
	struct actor who = ask();
	enum kv_status status = call_open_basket(&call, false, &basket);

	CHECK((status == KV_OK) == is_there(who.pile));
	if (status == KV_OK)
		use(who.pile);
}

static void do_log_in(void)
{
	uint64_t who = draw(GUESTS + VISITORS), customer = 1 + draw(CUSTOMERS);
	struct call_login login;
	struct pile *p;

	if (who < GUESTS) {
		p = &model.guests[who];
		model.auth[who] = (uint8_t)customer;
		calls_ask_by_header("ANON", guests[who]);
	} else {
		p = &model.visitors[who - GUESTS];
		calls_ask_by_cookie(p->id, "");
	}
	merge(&model.customers[customer - 1], p);
	call_begin_login(&call, &login);
	CHECK(call_log_in(&call, &login, customer) == KV_OK);
	if (who >= GUESTS)
		CHECK(session_end(store, login.key) == KV_OK);
}

static void do_log_out(void)
{
	uint64_t who = draw(GUESTS);
	bool auth = model.auth[who] != 0 && draw(2) != 0;

	calls_ask_by_header(auth ? "AUTH" : "ANON", guests[who]);
	if (auth)
		model.auth[who] = 0;
	else
		model.guests[who] = (struct pile){ 0 };
	CHECK(call_log_out(&call) == KV_OK);
}

static void do_wait(void)
{
	uint32_t seen;

	now_s += draw(8) == 0 ? draw(TTL_S + 100) : draw(EMPTY_TTL_S / 4);
	if (draw(2) == 0)
		CHECK(session_sweep(store, &config, now_s, 1000, &seen) == KV_OK);
}

static void do_restock(void)
{
	uint64_t product = draw(PRODUCTS);

	model.stock[product] = (uint32_t)draw(30);
	calls_put_product(products[product], model.stock[product]);
}

static void do_one(void)
{
	uint64_t what = draw(100);

	step++;
	if (what < 50)
		do_add();
	else if (what < 68)
		do_set();
	else if (what < 78)
		do_look();
	else if (what < 86)
		do_log_in();
	else if (what < 90)
		do_log_out();
	else if (what < 97)
		do_wait();
	else
		do_restock();
}

/* --- The comparison. --- */

static void compare_lines(const struct pile *p)
{
	static const char *const values[VARIANTS] = { "", "red", "blue" };

	CHECK(basket.line_count == p->count);
	for (uint32_t i = 0; i < p->count; i++) {
		const struct basket_line *l = &basket.lines[i];
		const struct line *m = &p->lines[i];

		CHECK(l->id == m->id && l->quantity == m->quantity);
		CHECK(slice_eq(l->product, slice_of(products[m->product])));
		CHECK(l->option_count == (m->variant > 0));
		if (m->variant > 0)
			CHECK(slice_eq(basket.options[l->first_option].value,
			               slice_of(values[m->variant])));
	}
}

/* One basket of the model stands in the store, and leads to it from `referred`. */
static void compare(const struct pile *p, uint64_t referred, uint64_t customer_id)
{
	if (!is_there(p)) {
		if (referred != 0)
			CHECK(basket_get(store, referred, now_s, &basket) == KV_NOT_FOUND);
		return;
	}
	CHECK(referred == p->id);
	CHECK(basket_get(store, p->id, now_s, &basket) == KV_OK);
	CHECK(basket.status == BASKET_OPEN && basket.customer_id == customer_id);
	CHECK(basket.expires_s == p->expires_s);
	compare_lines(p);
}

static uint64_t referred_by_session(const char *type, const char *identifier)
{
	calls_ask_by_header(type, identifier);
	return call.identity.recorded ? call.identity.session.basket_id : 0;
}

/* No basket that is open is anybody's but those of the model. */
static void count_open(void)
{
	uint64_t id = 0, open = 0, expected = 0;

	while (basket_next(store, &id, &basket) == KV_OK)
		open += basket.status == BASKET_OPEN && now_s < basket.expires_s;
	for (int i = 0; i < CUSTOMERS; i++)
		expected += is_there(&model.customers[i]);
	for (int i = 0; i < GUESTS; i++)
		expected += is_there(&model.guests[i]);
	for (int i = 0; i < VISITORS; i++)
		expected += is_there(&model.visitors[i]);
	CHECK(open == expected);
}

static bool stands(struct slice key)
{
	struct slice value;

	return kv_get(store, key, &value) == KV_OK;
}

/* Entries under `kind` that end with a basket's key or its id. */
static uint64_t entries_of(char kind)
{
	struct record_key at = { .bytes = { (uint8_t)kind }, .len = 1 };
	struct slice key, value, of;
	uint64_t found = 0, n;

	while (kv_scan(store, (struct slice){ &kind, 1 }, slice_bytes(at.bytes, at.len), &key,
	               &value) == KV_OK) {
		found += kind == RECORD_BASKETS_OF ? record_baskets_of_key_read(key, &n, &n) :
		         record_sweep_key_read(key, &n, &of) && record_basket_key_read(of, &n);
		at.len = key.len;
		memcpy(at.bytes, key.ptr, key.len);
	}
	return found;
}

/* Every basket, of whatever status, stands in the lists that it should, and nothing else. */
static void compare_lists(void)
{
	struct record_key k, of;
	uint64_t id = 0, due = 0, owned = 0;

	while (basket_next(store, &id, &basket) == KV_OK) {
		if (basket.due_s != RECORD_NEVER) {
			due++;
			CHECK(basket.due_s <= basket.expires_s);
			record_basket_key(&of, id);
			CHECK(stands(record_sweep_key(&k, basket.due_s,
			                              slice_bytes(of.bytes, of.len))));
		}
		if (basket.customer_id != 0) {
			owned++;
			CHECK(stands(record_baskets_of_key(&k, basket.customer_id, id)));
		}
		CHECK(basket.expires_s == RECORD_NEVER || basket.due_s != RECORD_NEVER);
	}
	CHECK(due == entries_of(RECORD_SWEEP) && owned == entries_of(RECORD_BASKETS_OF));
}

static void compare_all(void)
{
	compare_lists();
	for (uint64_t i = 0; i < CUSTOMERS; i++) {
		struct customer_record r;

		CHECK(customer_get(store, i + 1, &r) == KV_OK);
		compare(&model.customers[i], r.basket_id, i + 1);
	}
	for (int i = 0; i < GUESTS; i++) {
		compare(&model.guests[i], referred_by_session("ANON", guests[i]), 0);
		if (model.auth[i] == 0)
			continue;
		compare(&model.customers[model.auth[i] - 1],
		        referred_by_session("AUTH", guests[i]), model.auth[i]);
		CHECK(call.identity.session.customer_id == model.auth[i]);
	}
	for (int i = 0; i < VISITORS; i++)
		compare(&model.visitors[i], model.visitors[i].id, 0);
	count_open();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	if (text != NULL)
		assert_true(slice_uint(slice_of(text), UINT32_MAX, &otherwise));
	return otherwise;
}

static void start(uint32_t merge_by)
{
	static const char *const logins[CUSTOMERS] = { "ada", "bob", "eve" };

	config_defaults(&config);
	config.sid_trust = SID_TRUST_ANY;
	config.cookie_secure = COOKIE_SECURE_OFF;
	config.basket_ttl_s = TTL_S;
	config.empty_basket_ttl_s = EMPTY_TTL_S;
	config.max_lines = LINES;
	config.max_quantity = QUANTITY;
	config.basket_merge = merge_by;
	config.session_ttl_s = config.session_max_s = UINT32_MAX;
	model = (struct model){ .next_basket = 1, .next_line = 1 };
	for (int i = 0; i < PRODUCTS; i++) {
		model.stock[i] = 20;
		calls_put_product(products[i], model.stock[i]);
	}
	for (int i = 0; i < CUSTOMERS; i++)
		calls_add_customer(logins[i]);
	store_commit();
}

static void run(uint32_t merge_by)
{
	uint64_t operations = number_from("MODEL_OPS", 100000) / 3;

	state = seed = number_from("MODEL_SEED", 1) + merge_by;
	step = 0;
	log_open(LOG_ERROR, "test");    /* merges that leave something out say so */
	start(merge_by);
	while (step < operations) {
		struct model before = model;
		uint64_t before_s = now_s, count = 1 + draw(20);

		for (uint64_t i = 0; i < count; i++)
			do_one();
		if (draw(10) == 0) {
			kv_abort(store);
			CHECK(kv_begin(store) == KV_OK);
			model = before;
			now_s = before_s;
		} else {
			store_commit();
		}
		compare_all();
	}
}

static void test_sum(void **unused)
{
	(void)unused;
	run(BASKET_MERGE_SUM);
}

static void test_max(void **unused)
{
	(void)unused;
	run(BASKET_MERGE_MAX);
}

static void test_keep(void **unused)
{
	(void)unused;
	run(BASKET_MERGE_KEEP);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_sum),
		TEST(test_max),
		TEST(test_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
