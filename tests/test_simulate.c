/* test_simulate.c -- the server's logic in one process, by one seed, against a plain shop.
 *
 * Customers and guests -- by Session-Id, by cookie, by token -- and operators send requests as
 * text. Each is parsed, identified and run as a front does it, with a snapshot, a clock and a memo
 * of its own; what a front cannot do goes over a real link to the writer's own code (writer.c and
 * kv.c are part of this test), which batches, commits and answers. The clocks are the test's:
 * time passes, leaps, and is set back. Commits fail, the writer dies with a batch or with its
 * answers, everything is started anew, the disk is full. The model (model.h) says of each
 * request, at the moment it is run, what is to be answered; and of the store what is in it.
 *
 * What holds, and is judged under its number:
 *  (I1)  Every answer is the model's: its status, who the caller is to it, his basket and its
 *        sums, what is kept with his session, whether a token is good. So nothing that ended,
 *        was revoked or has expired is ever honoured again.
 *  (I2)  An answer leaves after the commit that it rests on; what was told is never lost, and
 *        what was lost was told to nobody.
 *  (I3)  A basket is one owner's: who takes it for his open one is who it names as its owner.
 *  (I4)  Who only looks leaves nothing: a front answers nothing that would change the store, and
 *        what is refused changes nothing.
 *  (I5)  Behind a whole sweep nothing is left that is past its end, and nothing else is gone.
 *  (I6)  Records are the model's, one for one: sessions with their ends and data, baskets with
 *        their lines, customers, API keys, replays.
 *  (I7)  The lists agree with the records: of owners, of what is due, of logins.
 *  (I8)  Time does not go back: in the store, in a front, in the writer.
 *  (I9)  A snapshot stays what it was, whatever is committed meanwhile.
 *  (I10) In a full store nothing grows, reads go on, and it takes changes again when it has room.
 *  (I11) A line is logged for a change that is on disk, and for no other.
 *  (I12) `sidecart check` finds nothing.
 * (I3), (I5) to (I8) are looked at by walking over the whole store, once in WALK_EACH operations.
 *
 * SEED replays a run; OPERATIONS is how many there are. TORTURE_S: rounds with the seeds that
 * follow, for that long. A failure prints the seed and the last operations. test_planted_faults
 * shows that each fault of a list is found.
 *
 * Its parts, each on top of those before it; the turns are here.
 */
#include "model.h"
#include "simulate_world.h"
#include "simulate_ask.h"
#include "simulate_expect.h"
#include "simulate_run.h"
#include "simulate_faults.h"
#include "simulate_walk.h"

#include "product.h"
#include "secret.h"

/* --- Time, and what operators do beside the server. --- */

/* To the second where something ends that somebody can show, or just before or behind; he does. */
static const struct proof *ending;

static uint64_t to_an_end_us(void)
{
	const struct proof *p = &seen[below(PROOFS_KEPT)];
	const struct model_session *s = model_session(&present, p->name);
	uint64_t end_us = s != NULL ? (s->expires_s - 1 + below(3)) * 1000000 : 0;

	if (end_us <= wall_us || end_us - wall_us > UINT64_C(8) * 86400 * 1000000)
		return 1000;
	ending = p;
	return end_us - wall_us;
}

static void turn_time(void)
{
	uint32_t drawn = below(1000);
	uint64_t by_ms;

	if (drawn < 830)
		by_ms = 1 + below(1500);
	else if (drawn < 950)
		by_ms = 1000 * (1 + below(600));
	else if (drawn < 982)
		by_ms = to_an_end_us() / 1000;
	else if (drawn < 994)
		by_ms = 1000 * (1 + below(86400));
	else
		by_ms = 1000 * (1 + below(3 * 604800));
	wall_us += by_ms * 1000;
	ran_us += by_ms * 1000;
	if (below(300) == 0)
		wall_us -= UINT64_C(1000000) * (1 + below(604800));     /* set back, */
	if (below(2000) == 0)
		wall_us += UINT64_C(1000000) * (1 + below(86400));      /* or forward */
}

static void put_product(uint32_t product)
{
	const struct product_record r = {
		.id = slice_of(model_products[product].id), .currency = SLICE("EUR"),
		.name = slice_of(model_products[product].id),
		.price_e4 = model_products[product].cents * 100,
		.tax_rate_e6 = (uint32_t)model_products[product].rate_e6,
		.stock = present.stock[product], .max_quantity = UINT32_MAX,
	};
	enum kv_status status;

	HOLDS(product_put(store, &r, &status) == PRODUCT_OK, "a product is refused");
}

static void add_token_key(uint64_t now_s)
{
	uint8_t random[TOKEN_RANDOM_LEN];
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record r;

	for (size_t i = 0; i < sizeof random; i++)
		random[i] = (uint8_t)below(256);
	HOLDS(token_generate(&record, TOKEN_HS256, seal_key, random) &&
	      record_token_key_read(buf_slice(&record), &r) &&
	      token_add(store, &r, now_s, 0) == KV_OK, "a new key of the ring");
}

/* As commands do: another stock. */
static void turn_commands(void)
{
	uint32_t product = below(MODEL_PRODUCTS);

	if (disk_full || below(40) != 0)
		return;
	HOLDS(kv_begin(store) == KV_OK, "no batch");
	present.stock[product] = below(30);
	put_product(product);
	HOLDS(kv_commit(store) == KV_OK, "a command's commit");
}

/* --- A turn. --- */

static const struct kind *draw_kind(uint32_t by)
{
	uint32_t all = 0, drawn;

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		all += (kinds[i].by & by) != 0 ? kinds[i].weight : 0;
	drawn = below(all);
	for (const struct kind *k = kinds;; k++) {
		uint32_t weight = (k->by & by) != 0 ? k->weight : 0;

		if (drawn < weight)
			return k;
		drawn -= weight;
	}
}

static const struct kind *kind_that(void (*asks)(struct op *o))
{
	const struct kind *k = kinds;

	while (k->ask != asks)
		k++;
	return k;
}

/* What the client shows; somebody who looks around shows what he has found somewhere. */
static void draw_proof(struct op *o)
{
	o->proof = clients[o->client].proof;
	o->proof.key = o->proof.kind == BEARER ? o->proof.key : -1;
	if (o->client < HEADERS) {
		if (below(24) == 0)
			o->proof.auth = !o->proof.auth;
		sid_name(o->proof.text, o->proof.auth ? SID_AUTH : SID_ANON, o->proof.name);
		use_key(o, (int)(o->client % SHOP_KEY));
	}
	if (o->client == OPERATOR && o->kind->ask != ask_introspect &&
	    o->kind->ask != ask_revoke && o->kind->is != OPS)
		o->proof = ending != NULL ? *ending : seen[below(PROOFS_KEPT)];
}

static struct op *new_op(uint32_t client)
{
	struct op *o = &ops[++op_count % OPS_KEPT];

	HOLDS(o->state == ENDED || o->number == 0, "an operation is forgotten");
	memset(o, 0, offsetof(struct op, text));
	o->number = op_count;
	o->client = client;
	o->proof.key = -1;
	return o;
}

/* The same again, where nobody knows what became of it. */
static bool repeat(struct op *o, const struct client *c)
{
	const struct op *before = &ops[c->lost % OPS_KEPT];
	uint64_t number = o->number;

	if (c->lost == 0 || before->number != c->lost || before == o || below(2) == 0)
		return false;
	*o = *before;
	o->number = number;
	o->state = RUNNING;
	o->batch = 0;
	return true;
}

static void turn_client(uint32_t client)
{
	static const uint32_t by[] = { BY_SHOPS, BY_PAGES, BY_TOKENS, BY_OPERATORS };
	struct client *c = &clients[client];
	uint32_t group = client < HEADERS ? 0 : client < HEADERS + BROWSERS ? 1 :
	                 client < OPERATOR ? 2 : 3;
	struct op *o;

	if (c->busy != 0)
		return;
	o = new_op(client);
	c->busy = o->number;
	if (!repeat(o, c)) {
		o->kind = ending != NULL && client == OPERATOR ? kind_that(ask_look) :
		          draw_kind(by[group]);
		draw_proof(o);
		if (o->kind->is == DW && o->proof.kind != BEARER &&
		    (o->kind->ask == ask_refresh || o->kind->ask == ask_bridge ||
		     o->kind->ask == ask_token_end))
			o->kind = kind_that(ask_guest);
		if (o->kind->ask == ask_of_dwsid && c->dwsid.kind != DWSID)
			o->kind = kind_that(ask_credentials);
		o->kind->ask(o);
	}
	c->lost = 0;
	o->front = below(FRONTS - 1);
	tell_time(&fronts[o->front], o->front);
	run_in_front(o);
}

/* (I9) Somebody looks whose front's snapshot is an old one. */
static void turn_late(void)
{
	struct op *o;

	if (below(12) == 0) {
		HOLDS(kv_refresh(&fronts[LATE].kv) == KV_OK, "no snapshot");
		late = present;
	}
	o = new_op(OPERATOR);
	o->front = LATE;
	o->kind = kind_that(below(2) == 0 ? ask_look : ask_resolve);
	draw_proof(o);
	o->kind->ask(o);
	shop = &late;
	tell_time(&fronts[LATE], LATE);
	run_in_front(o);
	shop = &present;
}

static void turn(void)
{
	uint32_t asking = 1 + below(8);

	turn_time();
	if (ending != NULL)
		turn_client(OPERATOR);
	ending = NULL;
	for (uint32_t i = 0; i < asking; i++)
		turn_client(below(4) == 0 ? OPERATOR : below(CLIENTS));
	if (below(6) == 0)
		turn_late();
	turn_writer();
	turn_hasher();
	deliver_all();
	turn_commands();
	if (below(10) == 0)
		turn_sweep();
	if (below(200) == 0)
		disk_full = !disk_full;
	if (disk_full && below(30) == 0)
		disk_full = false;
}

/* --- A run. --- */

static void set_up_config(void)
{
	config_defaults(&config);
	config.workers = FRONTS;
	config.hashers = 1;
	config.map_bytes = MAP_BYTES;
	config.sid_trust = SID_TRUST_KEY;
	config.password_iterations = ITERATIONS;
	config.login_throttle.count = config.login_throttle_address.count = 0;
	config.max_sessions_per_customer = MODEL_SESSIONS_EACH;
	config.session_ttl_s = MODEL_SESSION_TTL_S;
	config.session_max_s = MODEL_SESSION_MAX_S;
	config.anon_ttl_s = MODEL_ANON_TTL_S;
	config.basket_ttl_s = MODEL_BASKET_TTL_S;
	config.empty_basket_ttl_s = MODEL_EMPTY_TTL_S;
	config.token_ttl_s = MODEL_TOKEN_TTL_S;
	config.max_lines = MODEL_LINES;
	config.max_quantity = MODEL_QUANTITY;
}

static void add_key(const char *name, const char *text, uint32_t mask)
{
	const struct client_record r = { .name = slice_of(name), .scopes = mask,
	                                 .created_s = START_US / 1000000 };
	enum kv_status status;

	HOLDS(client_add(store, slice_of(text), &r, &status) == CLIENT_ADDED, "key %s", name);
}

static void add_customer(uint32_t number)
{
	static const uint8_t salt[16] = { 1 }, nonce[12] = { 0 };
	char login[8], password[16], hash_text[PASSWORD_HASH_MAX], sealed[PASSWORD_SEALED_MAX];
	struct buf hash = BUF(hash_text), seal = BUF(sealed);
	struct customer_record r = { .id = present.next_customer };
	enum kv_status status;

	snprintf(login, sizeof login, "c%u", number);
	snprintf(password, sizeof password, "word-%u", number % PASSWORDS);
	password_make(&hash, slice_of(password), ITERATIONS, salt);
	password_seal(&seal, seal_key, nonce, r.id, buf_slice(&hash));
	r.login = slice_of(login);
	r.sealed_password = buf_slice(&seal);
	HOLDS(customer_add(store, &r, &status) == CUSTOMER_OK, "customer %s", login);
	present.customers[number] = (struct model_customer){ .id = present.next_customer++,
		                                             .password = number % PASSWORDS };
}

/* What is there from the beginning on. */
static void fill_store(void)
{
	static const uint32_t masks[] = { SCOPE_SHOP | SCOPE_TRUSTED, SCOPE_SHOP,
		                          SCOPE_TRUSTED | SCOPE_LOGIN };
	char name[16], text[32];

	HOLDS(kv_begin(store) == KV_OK, "no batch");
	present = (struct model){ .next_customer = 1, .next_basket = 1, .next_line = 1 };
	for (uint32_t i = 0; i < MODEL_CUSTOMERS - 2; i++)
		add_customer(i);
	for (uint32_t i = 0; i < MODEL_PRODUCTS; i++) {
		present.stock[i] = 10 + 3 * i;
		put_product(i);
	}
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		snprintf(name, sizeof name, "key%u", i);
		snprintf(text, sizeof text, "%s-%u-1", key_word((int)i), i);
		add_key(name, text, masks[i == LOGIN_KEY ? 2 : i >= SHOP_KEY ? 1 : 0]);
		present.keys[i].number = known_keys[i] = next_keys[i] = 1;
	}
	add_key("admin", "admin", SCOPE_ADMIN);
	add_key("resolve", "resolve", SCOPE_RESOLVE);
	add_token_key(START_US / 1000000);
	HOLDS(kv_commit(store) == KV_OK, "the first commit");
	late = present;
}

static void set_up_fronts(void)
{
	for (uint32_t i = 0; i < FRONTS; i++) {
		struct front_process *f = &fronts[i];
		struct identity_memo *memo = f->memo;

		if (memo == NULL)
			assert_non_null(memo = aligned_alloc(64, sizeof *memo));
		memset(memo, 0, sizeof *memo);
		*f = (struct front_process){ .memo = memo, .link.fd = -1 };
		assert_true(link_open(&f->link));
		f->response = (struct http_response){ .fields = BUF(f->fields),
			                              .body = BUF(body_bytes) };
		f->call = (struct call){
			.config = &config, .sid_secret = SID_SECRET, .https = true, .memo = memo,
			.kv = &f->kv, .response = &f->response, .question = BUF(f->question),
		};
		assert_true(address_parse(SLICE("192.0.2.7"), &f->call.peer));
	}
}

static void set_up_clients(void)
{
	memset(clients, 0, sizeof clients);
	memset(ops, 0, sizeof ops);
	for (uint32_t i = 0; i < PROOFS_KEPT; i++)
		seen[i] = (struct proof){ .key = -1 };
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i].proof = clients[i].dwsid = (struct proof){ .key = -1 };
		if (i >= HEADERS)
			continue;
		clients[i].proof.kind = SESSION_ID;
		snprintf(clients[i].proof.text, sizeof clients[i].proof.text, "shopper+%u", i);
	}
}

static void set_up_run(void)
{
	const char *parent = getenv("TMPDIR");
	char path[300], error[SECRET_ERROR_MAX];
	static bool had;

	snprintf(dir, sizeof dir, "%s/simulate.XXXXXX", parent != NULL ? parent : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sid.secret", dir);
	assert_true(secret_create(dir, path, error) && secret_read_seal_key(dir, seal_key, error));
	wall_us = START_US;
	ran_us = 1000000;
	op_count = walks = batch_number = committed = audits_due = 0;
	last_kept_s = last_writer_s = ever_s = 0;
	memset(last_front_s, 0, sizeof last_front_s);
	fate = WELL;
	disk_full = store_failed = false;
	shop = &present;
	set_up_config();
	set_up_fronts();
	set_up_clients();
	writer.config = &config;
	if (!had) {
		assert_true(had_memory(&writer));
		writer.hashers[0] = (struct hasher){ -1, NOBODY };
	}
	had = true;
	open_store_of_all();
	fill_store();
	start_writer();
}

static void tear_down_run(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "sid.secret", "seal.key",
		                             "use" };
	char path[300];

	close_store_of_all();
	for (uint32_t i = 0; i < FRONTS; i++)
		link_leave(&fronts[i].link);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

static uint64_t operations(void)
{
	const char *text = getenv("OPERATIONS");

	return text != NULL ? strtoull(text, NULL, 10) : OPERATIONS;
}

static void run_all(void)
{
	uint64_t walked_at = 0, checked_at = 0;

	set_up_run();
	while (op_count < op_limit) {
		turn();
		if (op_count >= walked_at + WALK_EACH) {
			walk();
			walked_at = op_count;
		}
		if (op_count >= checked_at + 100000) {
			run_check();
			checked_at = op_count;
		}
	}
	turn_sweep();
	walk();
	run_check();
	tear_down_run();
}

static void test_simulation(void **state)
{
	(void)state;
	op_limit = operations();
	while (torture_round()) {
		run_all();
		printf("seed %llu: %llu operations, %llu batches, %llu walks\n",
		       (unsigned long long)torture_seed, (unsigned long long)op_count,
		       (unsigned long long)batch_number, (unsigned long long)walks);
		fflush(stdout);
	}
}

/* In a process of its own, with seed 1: tells after how many operations it was found. */
static bool is_found(enum fault planted, char *told, size_t cap)
{
	int ends[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		found_fd = ends[1];
		fault = planted;
		torture_seed = torture_state = 1;
		op_limit = FAULT_OPERATIONS;
		run_all();
		_exit(0);
	}
	close(ends[1]);
	len = read(ends[0], told, cap - 1);
	told[len > 0 ? len : 0] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

static void test_planted_faults(void **state)
{
	static const char *const names[FAULTS] = {
		[END_DROPPED] = "an end of a session is dropped",
		[ANSWER_BEFORE_COMMIT] = "answers leave before the commit",
		[EXPIRY_OFF_BY_ONE] = "sessions live a second too long",
		[MERGE_LOSES_A_LINE] = "a merge loses a line",
		[MEMO_IS_STALE] = "a memo outlives its snapshot",
		[CLOCK_FORGETS] = "the kept time is not followed",
		[SNAPSHOT_IS_OLD] = "a snapshot is not renewed",
		[SWEEP_IS_EARLY] = "the sweep comes a second too early",
		[REPLAY_FORGOTTEN] = "an Idempotency-Key is forgotten",
		[REVOKED_KEY_WORKS] = "a revoked API key works",
		[BASKET_LEFT] = "a basket is left behind",
		[FULL_IS_IGNORED] = "a full disk is not looked at",
		[AUDIT_OF_LOST] = "a line is logged for what failed",
	};
	char told[256];

	(void)state;
	if (SANITIZED)          /* `make simulation` shows it */
		skip();
	for (int i = NO_FAULT + 1; i < FAULTS; i++) {
		bool found = is_found((enum fault)i, told, sizeof told);

		printf("fault: %s: %s%s\n", names[i], found ? "found after " : "NOT FOUND", told);
		fflush(stdout);
		assert_true(found);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_faults),
		cmocka_unit_test(test_simulation),
	};

	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return checked(argv[2]);
	return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
