/* simulate_run.h -- fronts, hasher and writer: requests are run, judged, committed and answered.
 *
 * A front does here what server.c does with a request that is whole; the writer is the product's.
 */
#ifndef SIMULATE_RUN_H
#define SIMULATE_RUN_H

#include "simulate_expect.h"

/* --- Where requests are run. --- */

static struct op *op_of(const uint8_t random[32])
{
	struct op *o;
	uint64_t number;

	memcpy(&number, random, sizeof number);
	o = &ops[number % OPS_KEPT];
	HOLDS(o->number == number, "the writer has an operation of long ago");
	return o;
}

/* What is drawn for an operation follows from its number. */
static void draw_random(const struct op *o, uint8_t random[32])
{
	uint64_t words[4] = { o->number };

	for (size_t i = 1; i < COUNT_OF(words); i++)
		words[i] = (o->number + i) * UINT64_C(0x9e3779b97f4a7c15) ^ torture_seed;
	memcpy(random, words, sizeof words);
}

/* A request was run: the model says what had to come of it. */
static void judge(struct op *o, const struct http_response *r, uint64_t now_s, bool front)
{
	const struct kind *k = o->kind;
	struct model_session *s;
	struct caller w;

	got = (struct answer_seen){ (uint32_t)r->status, buf_slice(&r->fields),
		                    buf_slice(&r->body), front };
	who_calls(shop, o, now_s, k->is == UNSAFE, k->is == DW, &w);
	shop->changed = shop->grown = false;
	k->expect(o, &w, now_s);
	HOLDS(got.status < 400 || !shop->changed, "(I4) what was refused changed something");
	s = got.status < 400 && w.recorded && w.renewal_due && !front && k->is != OPS ?
	    model_session(shop, w.name) : NULL;
	if (s != NULL)
		s->expires_s = model_expiry(s, now_s);
	HOLDS(!front || !shop->changed, "(I4) %s: a front answers what is to change the store",
	      o->kind->name);
	HOLDS(front || !disk_full || store->use_reserve || !shop->grown,
	      "(I10) %s: a full store has grown", o->kind->name);
	o->status = got.status;
	o->state = RUN;
	o->now_s = now_s;
	o->batch = front ? 0 : batch_number;
}

enum call_result __real_route_call(struct call *c, const struct route_match *m);
enum call_result __wrap_route_call(struct call *c, const struct route_match *m);
enum kv_status __real_route_touch(struct call *c, const struct route_match *m);
enum kv_status __wrap_route_touch(struct call *c, const struct route_match *m);

enum call_result __wrap_route_call(struct call *c, const struct route_match *m)
{
	enum call_result result = __real_route_call(c, m);

	if (c->kv != store)
		return result;
	if (result == CALL_DONE)
		judge(op_of(c->random), c->response, c->now_us / 1000000, false);
	HOLDS(result != CALL_STORE || (c->store_status == KV_FULL && disk_full),
	      "(I10) the store failed: %s", kv_status_text(c->store_status));
	return result;
}

enum kv_status __wrap_route_touch(struct call *c, const struct route_match *m)
{
	enum kv_status status = __real_route_touch(c, m);
	const struct op *o = op_of(c->random);
	struct model_session *s;
	struct caller w;

	HOLDS(status == KV_OK || (status == KV_FULL && disk_full), "a renewal failed: %s",
	      kv_status_text(status));
	who_calls(shop, o, c->now_us / 1000000, false, o->kind->is == DW, &w);
	s = status == KV_OK && w.refused == 0 && w.renewal_due ? model_session(shop, w.name) : NULL;
	if (s != NULL)
		s->expires_s = model_expiry(s, c->now_us / 1000000);
	return status;
}

/* --- Clients learn from their answers. --- */

static void remember_proof(const struct proof *p)
{
	seen[below(PROOFS_KEPT)] = *p;
}

/* Takes over a cookie that was set, if it was. */
static void learn_cookie(struct slice fields, const char *label, char *out, size_t cap)
{
	struct slice value = behind(fields, label, ';');

	if (!slice_given(value) || value.len >= cap)
		return;
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
}

static void learn_page(struct client *c, struct slice fields)
{
	char id[SESSION_ID_CHARS + 1] = "-";

	learn_cookie(fields, "Set-Cookie: sidecart_session=", id, sizeof id);
	learn_cookie(fields, "Set-Cookie: sidecart_csrf=", c->csrf, sizeof c->csrf);
	learn_cookie(fields, "Set-Cookie: oscar_open_basket=", c->basket, sizeof c->basket);
	if (id[0] == '-' && id[1] == '\0')
		return;
	c->proof = (struct proof){ .kind = id[0] != '\0' ? COOKIE : NOTHING, .key = -1 };
	memcpy(c->proof.text, id, sizeof id);
	session_cookie_key(SID_SECRET, slice_of(id), c->proof.name);
	if (id[0] != '\0')
		remember_proof(&c->proof);
}

static void learn_tokens(struct client *c, const struct op *o, struct slice fields, uint32_t status)
{
	struct slice token = behind(fields, "Authorization: Bearer ", '\r');
	struct slice dwsid = behind(fields, "Set-Cookie: dwsid=", ';');

	if (slice_given(token) && read_token(token, &c->proof)) {
		remember_proof(&c->proof);
	} else if (status == 401 && o->proof.kind == BEARER) {
		c->proof = (struct proof){ .kind = NOTHING, .key = -1 };
	}
	if (dwsid.len == SESSION_DWSID_CHARS) {
		c->dwsid = (struct proof){ .kind = DWSID, .key = -1 };
		memcpy(c->dwsid.text, dwsid.ptr, dwsid.len);
		session_dwsid_key(SID_SECRET, dwsid, c->dwsid.name);
		remember_proof(&c->dwsid);
	}
}

/* The answer is there: `fields` of it, and for a 503 of the way there none. */
static void learn(struct op *o, uint32_t status, struct slice fields)
{
	struct client *c = &clients[o->client];

	o->state = ENDED;
	if (c->busy != o->number)
		return;
	c->busy = 0;
	c->lost = 0;
	if (o->client < HEADERS) {
		if (says(fields, "Session-Id: SID:AUTH:"))
			c->proof.auth = true;
		else if (status == 401 || says(fields, "Session-Id: SID:ANON:"))
			c->proof.auth = false;
	} else if (o->client < HEADERS + BROWSERS) {
		learn_page(c, fields);
	} else if (o->client < OPERATOR) {
		learn_tokens(c, o, fields, status);
	} else if (o->kind->ask == ask_key && status == 201) {
		known_keys[o->product] = o->proof.key_number;
	}
}

/* Nobody knows what became of it. */
static void lose(struct op *o)
{
	struct client *c = &clients[o->client];

	o->state = ENDED;
	if (c->busy != o->number)
		return;
	c->busy = 0;
	c->lost = o->number;
}

/* --- A front. --- */

static void tell_time(struct front_process *f, uint32_t number)
{
	struct kv *kv = &f->kv;

	clock_move(&f->clock, wall_us, ran_us);
	if (number != LATE && !strikes(SNAPSHOT_IS_OLD, 8))
		HOLDS(kv_refresh(kv) == KV_OK, "no snapshot");
	HOLDS(clock_follow(&f->clock, kv) == KV_OK, "no clock");
	HOLDS(f->clock.now_us >= last_front_s[number] * 1000000, "(I8) a front's time goes back");
	HOLDS(number == LATE || f->clock.now_us >= last_kept_s * 1000000,
	      "(I8) a front's time is before the store's");
	last_front_s[number] = f->clock.now_us / 1000000;
	if (ever_s < last_front_s[number])
		ever_s = last_front_s[number];
	f->call.now_us = f->clock.now_us;
}

static bool send_op(struct front_process *f, const struct op *o, const struct route_match *m,
                    uint32_t flags)
{
	struct link_request message = {
		.slot = (uint32_t)(o->number % OPS_KEPT), .number = (uint32_t)o->number,
		.route = route_number(m), .flags = flags | LINK_KEEP_ALIVE | LINK_HTTPS,
		.head_len = (uint32_t)o->head_len, .now_us = f->call.now_us, .peer = f->call.peer,
	};
	struct slice body = { o->text + o->head_len, o->len - o->head_len };

	if ((flags & LINK_TOUCH) != 0)
		body.len = 0;
	message.body_len = (uint32_t)body.len;
	memcpy(message.random, f->call.random, sizeof message.random);
	return link_send_request(&f->link, &message, (struct slice){ o->text, o->head_len },
	                         body) == LINK_DONE;
}

static void front_done(struct front_process *f, struct op *o, const struct route_match *m)
{
	const struct identity *id = &f->call.identity;
	struct caller w;

	judge(o, &f->response, f->call.now_us / 1000000, true);
	who_calls(shop, o, f->call.now_us / 1000000, false, o->kind->is == DW, &w);
	HOLDS(o->status >= 400 || !w.renewal_due || id->renewal_due || o->kind->is == OPS,
	      "(I1) a renewal is due");
	if (id->renewal_due && o->front != LATE && m->route != NULL)
		send_op(f, o, m, LINK_TOUCH);
	learn(o, o->status, buf_slice(&f->response.fields));
}

/* As server.c does with a request that is whole. */
static void run_in_front(struct op *o)
{
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	struct front_process *f = &fronts[o->front];
	struct http_request request;
	struct http_refusal refusal;
	struct route_match m;
	enum call_result result;

	http_request_init(&request);
	assert_int_equal(http_parse(&request, (struct slice){ o->text, o->len }, &limits, &refusal),
	                 HTTP_READY);
	assert_int_equal(request.head_len, o->head_len);
	request.body = (struct slice){ o->text + o->head_len, o->len - o->head_len };
	route_find(&request, o->kind->is == OPS, &m);
	f->call.request = &request;
	f->call.store_status = KV_OK;
	draw_random(o, f->call.random);
	identity_clear(&f->call.identity);
	result = route_call(&f->call, &m);
	if (result == CALL_DONE) {
		front_done(f, o, &m);
		return;
	}
	HOLDS(result == CALL_ASK || f->call.store_status == KV_READONLY, "a front's store failed");
	HOLDS(o->front != LATE, "(I9) on an old snapshot something is to be changed");
	o->state = ASKED_WRITER;
	if (!send_op(f, o, &m, 0))
		lose(o);
}

/* The writer's answer. What it rests on must be on disk, and what failed undone. */
static void deliver(const struct link_answer *a, struct slice response)
{
	struct op *o = &ops[a->slot];
	struct slice fields = response;
	const char *end = memmem(response.ptr, response.len, "\r\n\r\n", 4);

	HOLDS((uint32_t)o->number == a->number, "an answer of long ago");
	if (o->state == ENDED)
		return;
	if ((a->flags & LINK_FAILED) != 0) {
		HOLDS(o->state != RUN, "(I2) done, and told to have failed");
		learn(o, a->status, (struct slice){ "", 0 });
		return;
	}
	HOLDS(o->state == RUN && o->status == a->status,
	      "(I2) operation %llu is answered with %u: it was not run so",
	      (unsigned long long)o->number, a->status);
	HOLDS(o->batch <= committed, "(I2) answered before it is on disk");
	if (end != NULL)
		fields.len = (size_t)(end - response.ptr) + 2;
	learn(o, a->status, fields);
}

static void deliver_all(void)
{
	struct link_answer a;
	struct slice response;

	for (uint32_t i = 0; i < FRONTS; i++)
		while (link_receive_answer(&fronts[i].link, &a, &response) == LINK_DONE)
			deliver(&a, response);
}

/* --- The hasher. --- */

static void answer_question(uint32_t kind, struct slice question, struct buf *out)
{
	static const uint8_t salt[16] = { 2 };
	char bytes[PASSWORD_HASH_MAX];
	struct buf hash = BUF(bytes);
	struct slice sealed, password;
	uint8_t nonce[12] = { 0 };
	uint32_t iterations;
	uint64_t id;

	memcpy(nonce, &op_count, sizeof op_count);
	if (kind == ASK_PASSWORD) {
		assert_true(call_password_question_read(question, &iterations, &id, &sealed,
		                                        &password));
		if (sealed.len > 0)
			assert_true(password_unseal(&hash, seal_key, id, sealed));
		buf_char(out, (char)password_check(buf_slice(&hash), password, iterations));
		return;
	}
	assert_int_equal(kind, ASK_HASH);
	assert_true(call_hash_question_read(question, &iterations, &id, &password));
	password_make(&hash, password, iterations, salt);
	for (uint64_t i = 0; i < CALL_HASHES_MADE; i++, nonce[11]++)
		password_seal(out, seal_key, nonce, id + i, buf_slice(&hash));
}

static void start_hasher(void)
{
	size_t room;
	int pair[2];

	if (hasher >= 0)
		close(hasher);
	assert_true(link_pair(pair, CALL_QUESTION_MAX, &room));
	hasher_drop(&writer, &writer.hashers[0]);
	writer.hashers[0].fd = pair[0];
	hasher = pair[1];
}

/* Answers, or takes its time, or dies over the question. */
static void turn_hasher(void)
{
	static char question_bytes[CALL_QUESTION_MAX];
	char answer_bytes[CALL_ANSWER_MAX];
	struct buf question = BUF(question_bytes), answer = BUF(answer_bytes);
	struct link_question head;

	if (writer.hashers[0].busy == NOBODY || below(4) == 0)
		return;
	if (below(500) == 0) {
		start_hasher();
		return;
	}
	if (link_receive_question(hasher, &head, &question) != LINK_DONE)
		return;
	answer_question(head.kind, buf_slice(&question), &answer);
	assert_int_equal(link_send_question(hasher, &head, buf_slice(&answer)), LINK_DONE);
	take_reply(&writer, &writer.hashers[0]);
}

/* --- The writer. --- */

static void open_store_of_all(void)
{
	const struct kv_options options = {
		.dir = dir, .mode = KV_CREATE, .map_bytes = MAP_BYTES, .nosync = true,
	};
	char error[KV_ERROR_MAX];
	struct kv *kv = kv_open(&options, error);

	HOLDS(kv != NULL, "%s", error);
	for (uint32_t i = 0; i < FRONTS; i++) {
		fronts[i].kv = *kv;
		fronts[i].kv.mode = KV_READ;
		HOLDS(kv_begin_read(&fronts[i].kv) == KV_OK, "no snapshot");
	}
	store = writer.call.kv = kv;
	late = present;
}

static void close_store_of_all(void)
{
	struct kv *kv = store;

	store = NULL;
	for (uint32_t i = 0; i < FRONTS; i++)
		mdb_txn_abort(fronts[i].kv.snapshot);
	kv_close(kv);
}

static void join_links(void)
{
	size_t room;
	int pair[2];

	for (uint32_t i = 0; i < FRONTS; i++) {
		assert_true(link_pair(pair, LINK_PACKET_MAX, &room));
		link_join(&writer.fronts[i].link, pair[0]);
		link_join(&fronts[i].link, pair[1]);
	}
	start_hasher();
}

/* A writer's life begins: only its memory is the one of before. */
static void start_writer(void)
{
	struct writer *w = &writer;

	hasher_drop(w, &w->hashers[0]);
	for (uint32_t i = 0; i < config.max_waiting_passwords; i++)
		if (parked_at(w, i)->state != PARKED_FREE)
			parked_free(w, parked_at(w, i));
	for (uint32_t i = 0; i < FRONTS; i++)
		front_drop(&w->fronts[i]);
	w->answer_count = w->answer_bytes.len = w->batch = 0;
	w->clock = (struct clock){ 0 };         /* what the store holds is what it knows */
	last_writer_s = 0;
	w->tick_ms = w->date_s = 0;
	w->sweep_again = w->hasher_wanted = false;
	w->counted.len = 0;
	w->guests = w->customers = 0;
	set_up(w);
	w->call.sid_secret = SID_SECRET;
	w->call.kv = store;
	join_links();
}

/* The machine starts anew, all of it: what is in the store is all that is known. */
static void start_all(void)
{
	close_store_of_all();
	open_store_of_all();
	for (uint32_t i = 0; i < FRONTS; i++) {
		fronts[i].clock = (struct clock){ 0 };
		memset(fronts[i].memo, 0, sizeof *fronts[i].memo);
		last_front_s[i] = 0;
	}
	start_writer();
}

static void lose_all(void)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (clients[i].busy != 0)
			lose(&ops[clients[i].busy % OPS_KEPT]);
}

/* Of the batch at hand nothing was done. */
static void undo_batch(void)
{
	present = saved;
	audits_due = 0;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct op *o = &ops[clients[i].busy % OPS_KEPT];

		if (clients[i].busy != 0 && o->state == RUN && o->batch == batch_number)
			o->state = ASKED_WRITER;
	}
}

static void turn_writer(void)
{
	static enum fate met;
	uint32_t drawn = below(100);

	fate = drawn < 2 ? COMMIT_FAILS : drawn < 4 ? LOST_WITH_BATCH :
	       drawn < 6 ? LOST_BEHIND_BATCH : WELL;
	met = fate;
	store_failed = false;
	if (fate == COMMIT_FAILS || fate == LOST_WITH_BATCH)
		saved = present;
	batch_number++;
	if (setjmp(crash) != 0) {
		fate = WELL;
		if (met == LOST_WITH_BATCH)
			undo_batch();
		else
			committed = batch_number;
		audits_due = 0;         /* its lines went with it */
		lose_all();
		if (below(3) == 0)
			start_all();
		else
			start_writer();
		return;
	}
	make_date(&writer);
	for (uint32_t i = 0; i < FRONTS; i++)
		writer.fronts[i].ready = !writer.fronts[i].full;
	run_batch(&writer);
	if (fate == COMMIT_FAILS && store_failed)
		undo_batch();
	else
		committed = batch_number;
	HOLDS(audits_due == 0, "(I11) %llu lines are missing", (unsigned long long)audits_due);
	fate = WELL;
	refuse_failed(&writer);
	send_answers(&writer);
	send_questions(&writer);
}

static void turn_sweep(void)
{
	do
		sweep(&writer, KEEP_IDLE_S);
	while (writer.sweep_again);
	HOLDS(clock_now_s(&writer.clock) >= last_writer_s &&
	      clock_now_s(&writer.clock) >= last_kept_s, "(I8) the writer's time goes back");
	last_writer_s = clock_now_s(&writer.clock);
	model_sweep(&present, last_writer_s);
}

#endif
