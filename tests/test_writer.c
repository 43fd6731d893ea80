/* test_writer.c -- the writer's process: the test plays supervisor, fronts and hashers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "clock.h"
#include "password.h"
#include "process.h"
#include "route.h"
#include "wall.h"
#include "writer.h"

#define NOW_US 1800000000000000u
#define HOST   "Host: shop.example.com\r\nX-Api-Key: k\r\n"

static struct link links[8];
static struct slice response;
static struct link_answer answer;

static int log_fd = -1;        /* where the process writes its log, where not -1 */

static int run(int its_control)
{
	if (log_fd >= 0)
		dup2(log_fd, STDERR_FILENO);
	return writer_run(&config, its_control);
}

static char long_byte(size_t at)
{
	return (char)('a' + (at + at / 1000) % 23);
}

enum call_result __wrap_oscar_login_delete(struct call *c);

/* Stands in for a handler whose answers are long: `?N` asks for N bytes. Of short ones it
 * leaves a line for the log, and refuses odd ones. */
enum call_result __wrap_oscar_login_delete(struct call *c)
{
	uint64_t len = 0;
	bool audited;

	slice_uint(c->request->query, UINT32_MAX, &len);
	audited = len > 1 && len < 10;
	c->response->status = audited && len % 2 == 1 ? HTTP_CONFLICT : HTTP_OK;
	if (audited)
		call_audit(c, "asked", "bytes=%llu", (unsigned long long)len);
	for (uint64_t i = 0; i < len; i++)
		buf_char(&c->response->body, long_byte((size_t)i));
	return CALL_DONE;
}

enum kv_status __real_kv_commit(struct kv *kv);
enum kv_status __wrap_kv_commit(struct kv *kv);

static bool *commits_fail;      /* of all processes */

/* As a disk that is full. */
enum kv_status __wrap_kv_commit(struct kv *kv)
{
	if (commits_fail == NULL || !*commits_fail)
		return __real_kv_commit(kv);
	kv_abort(kv);
	return KV_FULL;
}

/* A front with its link to the writer. */
static struct link *front(uint32_t number)
{
	static uint32_t turn;
	struct link *l = &links[turn++ % COUNT_OF(links)];

	if (l->in.ptr == NULL)
		assert_true(link_open(l));
	link_join(l, process_link(ORDER_FRONT_LINK, number));
	return l;
}

static int set_up(void **state)
{
	(void)state;
	process_prepare();
	config.workers = 2;
	config.hashers = 2;
	config.max_waiting_passwords = 2;
	process_start(run);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	process_end();
	return 0;
}

/* Sends a request as a front does; LINK_LATER where the link is full. */
static enum link_result try_send(struct link *link, uint32_t slot, uint32_t flags, const char *text)
{
	static const struct http_limits limits = { 8192, 2048, 64, LINK_BODY_MAX };
	struct http_request request;
	struct http_refusal refusal;
	struct route_match match;
	struct slice all = slice_of(text), head = all;
	struct link_request r = { .slot = slot, .number = slot + 1000, .now_us = NOW_US,
		                  .flags = flags };

	http_request_init(&request);
	assert_int_equal(http_parse(&request, all, &limits, &refusal), HTTP_READY);
	head.len = request.head_len;
	route_find(&request, false, &match);
	r.route = route_number(&match);
	r.head_len = (uint32_t)head.len;
	r.body_len = (uint32_t)(all.len - head.len);
	return link_send_request(link, &r, head, slice_skip(all, head.len));
}

/* Sends it whole. */
static void send_request(struct link *link, uint32_t slot, const char *text)
{
	struct pollfd room = { .fd = link->fd, .events = POLLOUT };

	assert_int_equal(try_send(link, slot, LINK_KEEP_ALIVE, text), LINK_DONE);
	while (link_sending(link)) {
		assert_int_equal(poll(&room, 1, PROCESS_WAIT_MS), 1);
		assert_int_not_equal(link_flush(link), LINK_GONE);
	}
}

/* Signs ada in as the `n`th session: the shortest way to a put. */
static const char *sign_in(unsigned n)
{
	static char text[512];

	snprintf(text, sizeof text, "POST /session/login HTTP/1.1\r\n" HOST
	         "Session-Id: SID:ANON:shop.example.com:s%u\r\n"
	         "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
	         "{\"login\":\"ada\"}", n);
	return text;
}

/* Logs ada in by password: needs a hasher. */
static const char *log_in(unsigned n)
{
	static char text[512];

	snprintf(text, sizeof text, "POST /api/login/ HTTP/1.1\r\n" HOST
	         "Session-Id: SID:ANON:shop.example.com:p%u\r\n"
	         "Content-Type: application/json\r\nContent-Length: 38\r\n\r\n"
	         "{\"username\":\"ada\",\"password\":\"secret\"}", n);
	return text;
}

/* Is the session of log_in(n) live? */
static const char *look(unsigned n)
{
	static char text[512];

	snprintf(text, sizeof text, "GET /session HTTP/1.1\r\n" HOST
	         "Session-Id: SID:AUTH:shop.example.com:p%u\r\n\r\n", n);
	return text;
}

static void receive(struct link *link)
{
	enum link_result result = LINK_LATER;

	while (result == LINK_LATER) {
		assert_true(readable(link->fd, PROCESS_WAIT_MS));
		result = link_receive_answer(link, &answer, &response);
	}
	assert_int_equal(result, LINK_DONE);
	assert_int_equal(answer.number, answer.slot + 1000);
}

static void expect(struct link *link, uint32_t slot, uint32_t status)
{
	receive(link);
	assert_int_equal(answer.slot, slot);
	assert_int_equal(answer.status, status);
}

static bool response_has(const char *part)
{
	return memmem(response.ptr, response.len, part, strlen(part)) != NULL;
}

static void expect_gone(struct link *link)
{
	assert_true(readable(link->fd, PROCESS_WAIT_MS));
	assert_int_equal(link_receive_answer(link, &answer, &response), LINK_GONE);
	link_leave(link);
}

static void expect_end(int hasher)
{
	char c;

	assert_true(readable(hasher, PROCESS_WAIT_MS));
	assert_true(recv(hasher, &c, 1, 0) <= 0);
	close(hasher);
}

static void take_question(int hasher, struct link_question *q)
{
	char text[CALL_QUESTION_MAX];
	struct buf question = BUF(text);
	struct slice sealed, password;
	uint32_t iterations;
	uint64_t id;

	assert_true(readable(hasher, PROCESS_WAIT_MS));
	assert_int_equal(link_receive_question(hasher, q, &question), LINK_DONE);
	assert_int_equal(q->kind, ASK_PASSWORD);
	assert_true(call_password_question_read(buf_slice(&question), &iterations, &id, &sealed,
	                                        &password));
	assert_int_equal(iterations, config.password_iterations);
	assert_int_equal(id, 1);
	assert_true(slice_eq(sealed, SLICE("sealed")));
	assert_true(slice_eq(password, SLICE("secret")));
}

static void reply(int hasher, const struct link_question *q, enum password_verdict verdict)
{
	const char text = (char)verdict;

	assert_int_equal(link_send_question(hasher, q, (struct slice){ &text, 1 }), LINK_DONE);
}

static void test_answers(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
		const char *connection;
		bool keep_alive, body;
	} cases[] = {
		{ "HTTP/1.1",             LINK_KEEP_ALIVE, "", true, true },
		{ "HTTP/1.1, last",       0, "Connection: close\r\n", false, true },
		{ "HTTP/1.0, keep-alive", LINK_KEEP_ALIVE | LINK_HTTP10,
		  "Connection: keep-alive\r\n", true, true },
		{ "HEAD",                 LINK_KEEP_ALIVE | LINK_HEAD, "", true, false },
	};
	struct link *link = front(0);

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(try_send(link, i, cases[i].flags, sign_in(i)), LINK_DONE);
		expect(link, i, 200);
		if (!response_has("HTTP/1.1 200 OK\r\n") || !response_has(cases[i].connection) ||
		    ((answer.flags & LINK_KEEP_ALIVE) != 0) != cases[i].keep_alive ||
		    response_has("\r\n\r\n{") != cases[i].body)
			fail_msg("%s: %.*s", cases[i].name, (int)response.len, response.ptr);
	}
	link_leave(link);
}

/* A refusal of the handler is an answer like any other. */
static void test_refusal(void **state)
{
	struct link *link = front(1);

	(void)state;
	send_request(link, 5, "POST /session/login HTTP/1.1\r\n" HOST
	             "Session-Id: SID:ANON:shop.example.com:x\r\n"
	             "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
	             "{\"login\":\"eve\"}");
	expect(link, 5, 404);
	assert_int_equal(answer.flags, LINK_KEEP_ALIVE);
	link_leave(link);
}

/* Many at once: in order, and in far fewer commits than requests. */
static void test_group_commit(void **state)
{
	enum { REQUESTS = 200 };
	struct link *link = front(0);
	uint64_t before;

	(void)state;
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	before = kv_snapshot(store);
	kill(process_pid, SIGSTOP);
	for (uint32_t i = 0; i < REQUESTS; i++)
		send_request(link, i, sign_in(i));
	kill(process_pid, SIGCONT);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		expect(link, i, 200);
		assert_int_equal(kv_refresh(store), KV_OK);
		assert_true(kv_snapshot(store) > before);       /* committed before it was said */
	}
	assert_true(kv_snapshot(store) - before < REQUESTS / 10);
	link_leave(link);
}

/* A TOUCH renews and says nothing. */
static void test_touch(void **state)
{
	struct link *link = front(0);

	(void)state;
	assert_int_equal(try_send(link, 1, LINK_TOUCH, look(1)), LINK_DONE);
	send_request(link, 2, sign_in(2));
	assert_int_equal(try_send(link, 3, LINK_TOUCH, look(2)), LINK_DONE);
	send_request(link, 4, sign_in(4));
	expect(link, 2, 200);
	expect(link, 4, 200);
	assert_false(readable(link->fd, 50));
	link_leave(link);
}

static void test_maimed_requests(void **state)
{
	static const struct {
		const char *name, *head;
		uint32_t route;
	} cases[] = {
		{ "not a request",       "hello\r\n\r\n", 0 },
		{ "half a head",         "GET / HTTP/1.1\r\nHost: a\r\n", 0 },
		{ "two heads",           "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", 0 },
		{ "no head at all",      "", 0 },
		{ "no such route",       "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 4096 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct link *link = front(0), *other;
		struct slice head = slice_of(cases[i].head);
		const struct link_request r = { .head_len = (uint32_t)head.len,
			                        .route = cases[i].route };

		assert_int_equal(link_send_request(link, &r, head, (struct slice){ 0 }), LINK_DONE);
		expect_gone(link);
		other = front(1);
		send_request(other, 1, sign_in(1));
		expect(other, 1, 200);
		link_leave(other);
	}
}

static void test_login(void **state)
{
	struct link *link = front(0);
	int hasher;
	struct link_question q;

	(void)state;
	send_request(link, 1, log_in(1));
	process_hear(ORDER_NEED_HASHER);
	send_request(link, 2, look(1));         /* nobody waits for the hasher but the login */
	expect(link, 2, 401);
	hasher = process_link(ORDER_HASHER_LINK, 0);
	take_question(hasher, &q);
	assert_false(readable(link->fd, 50));
	reply(hasher, &q, PASSWORD_RIGHT);
	expect(link, 1, 200);
	send_request(link, 3, look(1));
	expect(link, 3, 200);

	send_request(link, 4, log_in(2));
	take_question(hasher, &q);
	reply(hasher, &q, PASSWORD_WRONG);
	expect(link, 4, 401);
	send_request(link, 5, look(2));
	expect(link, 5, 401);
	link_leave(link);
	close(hasher);
}

/* Places to wait are few; who finds none is told at once. */
static void test_waiting_passwords(void **state)
{
	struct link *link = front(0);
	int hasher;
	struct link_question first, second;

	(void)state;
	send_request(link, 1, log_in(1));
	send_request(link, 2, log_in(2));
	send_request(link, 3, log_in(3));
	expect(link, 3, 429);
	assert_int_equal(answer.flags & LINK_FAILED, LINK_FAILED);
	process_hear(ORDER_NEED_HASHER);
	hasher = process_link(ORDER_HASHER_LINK, 0);
	take_question(hasher, &first);
	process_hear(ORDER_NEED_HASHER);        /* busy, and there may be two */
	assert_false(readable(hasher, 50));     /* one at a time */
	reply(hasher, &first, PASSWORD_RIGHT);
	expect(link, 1, 200);
	take_question(hasher, &second);
	assert_int_not_equal(second.ticket, first.ticket);
	send_request(link, 4, log_in(4));       /* a place is free again */
	reply(hasher, &second, PASSWORD_RIGHT);
	expect(link, 2, 200);
	take_question(hasher, &first);
	reply(hasher, &first, PASSWORD_WRONG);
	expect(link, 4, 401);
	link_leave(link);
	close(hasher);
}

/* What takes a millisecond does not wait for what takes a quarter of a second. */
static void test_quick_questions(void **state)
{
	struct link *link = front(0);
	char text[CALL_QUESTION_MAX];
	struct buf question = BUF(text);
	struct link_question q;
	int hasher;

	(void)state;
	send_request(link, 1, log_in(1));
	send_request(link, 2, "GET /resolve?token=1&require=any HTTP/1.1\r\n" HOST
	             "Session-Id: SID:ANON:shop.example.com:q\r\n\r\n");
	send_request(link, 3, look(1));         /* both wait when this is answered */
	expect(link, 3, 401);
	process_hear(ORDER_NEED_HASHER);
	hasher = process_link(ORDER_HASHER_LINK, 0);
	assert_true(readable(hasher, PROCESS_WAIT_MS));
	assert_int_equal(link_receive_question(hasher, &q, &question), LINK_DONE);
	assert_int_equal(q.kind, ASK_TOKEN_KEY);
	assert_int_equal(link_send_question(hasher, &q, SLICE("no key")), LINK_DONE);
	expect(link, 2, 503);
	take_question(hasher, &q);
	reply(hasher, &q, PASSWORD_RIGHT);
	expect(link, 1, 200);
	link_leave(link);
	close(hasher);
}

/* A question that kills is not asked for ever. */
static void test_dying_hashers(void **state)
{
	struct link *link = front(0);
	struct link_question q;

	(void)state;
	send_request(link, 1, log_in(1));
	process_hear(ORDER_NEED_HASHER);
	for (int life = 0; life < 3; life++) {
		int hasher = process_link(ORDER_HASHER_LINK, 0);

		take_question(hasher, &q);
		close(hasher);
	}
	expect(link, 1, 503);
	assert_int_equal(answer.flags & LINK_FAILED, LINK_FAILED);
	link_leave(link);
}

/* Nobody's answer to nobody's question counts. */
static void test_mad_hasher(void **state)
{
	struct link *link = front(0);
	int hasher = process_link(ORDER_HASHER_LINK, 0), other;
	struct link_question q = { 77, ASK_PASSWORD };

	(void)state;
	reply(hasher, &q, PASSWORD_RIGHT);
	expect_end(hasher);
	hasher = process_link(ORDER_HASHER_LINK, 0);
	send_request(link, 1, log_in(1));
	take_question(hasher, &q);
	q.ticket++;
	reply(hasher, &q, PASSWORD_RIGHT);
	expect_end(hasher);
	other = process_link(ORDER_HASHER_LINK, 1);
	take_question(other, &q);
	reply(other, &q, PASSWORD_WRONG);
	expect(link, 1, 401);
	link_leave(link);
	close(other);
}

/* A login whose front has died is not done, though the password was right. */
static void test_dead_front(void **state)
{
	struct link *link = front(0);
	int hasher = process_link(ORDER_HASHER_LINK, 0);
	struct link_question q;

	(void)state;
	send_request(link, 1, log_in(1));
	take_question(hasher, &q);
	link_leave(link);
	link = front(0);
	reply(hasher, &q, PASSWORD_RIGHT);
	send_request(link, 2, log_in(2));
	take_question(hasher, &q);
	reply(hasher, &q, PASSWORD_RIGHT);
	expect(link, 2, 200);
	send_request(link, 3, look(1));
	expect(link, 3, 401);
	send_request(link, 4, look(2));
	expect(link, 4, 200);
	link_leave(link);
	close(hasher);
}

/* A front that takes no answers gets no more work done; others go on. When it wakes up, every
 * request of it has one answer. */
static void test_stuck_front(void **state)
{
	struct link *stuck = front(0), *other = front(1);
	uint32_t sent = 0, answered = 0;

	(void)state;
	for (int idle = 0; idle < 20;) {
		if (try_send(stuck, sent, LINK_KEEP_ALIVE, look(1)) == LINK_DONE) {
			sent++;
			idle = 0;
			continue;
		}
		idle++;
		assert_false(readable(other->fd, 5));
	}
	for (uint32_t i = 0; i < 50; i++) {
		send_request(other, i, sign_in(i));
		expect(other, i, 200);
	}
	assert_true(sent > 500);
	for (; answered < sent; answered++)
		expect(stuck, answered, 401);
	assert_false(readable(stuck->fd, 50));
	link_leave(stuck);
	link_leave(other);
}

static const char *ask_long(size_t len)
{
	static char text[512];

	snprintf(text, sizeof text, "DELETE /api/login/?%zu HTTP/1.1\r\n" HOST "\r\n", len);
	return text;
}

static void expect_long(struct link *link, uint32_t slot, size_t len)
{
	struct slice body;

	expect(link, slot, 200);
	assert_true(response.len > len);
	body = slice_skip(response, response.len - len);
	for (size_t i = 0; i < len; i++)
		if (body.ptr[i] != long_byte(i))
			fail_msg("byte %zu of %zu", i, len);
}

static void test_long_answers(void **state)
{
	static const size_t lens[] = { 0, 1, 60000, 65536, 70000, 300000, CALL_BODY_MAX };
	struct link *link = front(0);
	uint32_t slot = 0;

	(void)state;
	for (int round = 0; round < 2; round++)         /* one by one, and all at once */
		for (size_t i = 0; i < COUNT_OF(lens); i++) {
			send_request(link, slot++, ask_long(lens[i]));
			if (round == 0)
				expect_long(link, slot - 1, lens[i]);
		}
	for (size_t i = 0; i < COUNT_OF(lens); i++)
		expect_long(link, slot - (uint32_t)COUNT_OF(lens) + (uint32_t)i, lens[i]);
	send_request(link, slot, ask_long(CALL_BODY_MAX + 1));
	expect(link, slot, 200);
	assert_true(response.len < 500 && response_has("HTTP/1.1 500 "));
	assert_int_equal(answer.flags, 0);
	link_leave(link);
}

/* More long answers than the writer has room for, to a front that is in no hurry: each comes,
 * and requests and answers that fill the link in both directions hold up each other for good
 * neither here nor there. */
static void test_both_full(void **state)
{
	enum { REQUESTS = 40 };
	struct link *slow = front(0), *other = front(1);
	uint32_t sent = 0;

	(void)state;
	while (sent < REQUESTS &&
	       try_send(slow, sent, LINK_KEEP_ALIVE, ask_long(1000000)) == LINK_DONE)
		sent++;
	assert_int_equal(sent, REQUESTS);
	send_request(other, 7, sign_in(1));
	for (uint32_t i = 0; i < REQUESTS; i++) {
		usleep(20000);
		expect_long(slow, i, 1000000);
	}
	expect(other, 7, 200);
	assert_false(readable(slow->fd, 50));
	link_leave(slow);
	link_leave(other);
}

/* A login whose body of `len` bytes is mostly blanks. */
static const char *log_in_at_length(unsigned n, size_t len)
{
	static char text[LINK_BODY_MAX + 1000];
	static const char body[] = "{\"username\":\"ada\",\"password\":\"secret\"";
	int head = snprintf(text, sizeof text, "POST /api/login/ HTTP/1.1\r\n" HOST
	                    "Session-Id: SID:ANON:shop.example.com:p%u\r\n"
	                    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	                    n, len, body);
	char *blanks = text + head;
	size_t count = len - strlen(body) - 1;

	memset(blanks, ' ', count);
	memcpy(blanks + count, "}", 2);
	return text;
}

/* Long requests come in packets; those that wait for a hasher have few places, and short ones
 * have theirs. */
static void test_long_requests(void **state)
{
	enum { PLACES = 4 };
	struct link *link;
	struct link_question q;
	int hasher = -1;

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	config.workers = 1;
	process_start(run);
	link = front(0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < PLACES; i++)
			send_request(link, i, log_in_at_length(10 * round + i,
			                                       LINK_BODY_MAX - 100 * i));
		send_request(link, 8, log_in_at_length(8, 100000));
		expect(link, 8, 429);
		send_request(link, 9, log_in_at_length(10 * round + 9, 65536));
		if (round == 0) {
			process_hear(ORDER_NEED_HASHER);
			hasher = process_link(ORDER_HASHER_LINK, 0);
		}
		for (unsigned i = 0; i <= PLACES; i++) {
			take_question(hasher, &q);
			reply(hasher, &q, PASSWORD_RIGHT);
			expect(link, i < PLACES ? i : 9, 200);
		}
		for (unsigned i = 0; i < PLACES; i++) {
			send_request(link, i, look(10 * round + i));
			expect(link, i, 200);
		}
	}
	close(hasher);
	link_leave(link);
}

/* A front that sends more than a path takes is out of its mind. */
static void test_overlong_request(void **state)
{
	struct link *link = front(0), *other = front(1);

	(void)state;
	send_request(other, 1, log_in_at_length(1, 65536));
	send_request(link, 1, log_in_at_length(1, 65537));
	expect_gone(link);
	send_request(other, 2, sign_in(2));
	expect(other, 2, 200);
	link_leave(other);
}

static bool hung_up(int fd)
{
	struct pollfd wait = { .fd = fd };

	return poll(&wait, 1, 0) == 1 && (wait.revents & POLLHUP) != 0;
}

/* Fronts that take nothing while all others wait for room lose their links, and these go on. */
static void test_stuck_fronts_in_the_way(void **state)
{
	enum { STUCK = 6, REQUESTS = 200 };
	struct link *stuck[STUCK], *other;
	uint32_t made = 0;
	int stopped;

	(void)state;
	process_prepare();
	config.workers = STUCK + 1;
	process_start(run);
	other = front(STUCK);
	for (; made < STUCK && (made == 0 || !hung_up(stuck[0]->fd)); made++) {
		stuck[made] = front(made);
		kill(process_pid, SIGSTOP);     /* the next batch has all of them */
		assert_int_equal(waitpid(process_pid, &stopped, WUNTRACED), process_pid);
		for (uint32_t i = 0; i < REQUESTS; i++)
			send_request(stuck[made], i, ask_long(60000));
		kill(process_pid, SIGCONT);
		for (uint32_t i = 0; i < 50; i++) {     /* a turn for each */
			send_request(other, i, sign_in(i));
			expect(other, i, 200);
		}
	}
	assert_true(hung_up(stuck[0]->fd));
	for (uint32_t f = 0; f < made; f++)
		link_leave(stuck[f]);
	link_leave(other);
}

/* What was sent before the end is done before the end. */
static void test_drain(void **state)
{
	struct link *link;

	(void)state;
	process_prepare();
	config.workers = 2;
	process_start(run);
	link = front(0);
	kill(process_pid, SIGSTOP);
	send_request(link, 1, sign_in(1));
	link_leave(link);
	process_order(ORDER_DRAIN, 0, -1);
	kill(process_pid, SIGCONT);
	assert_int_equal(process_status(), 0);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	{
		struct record_key prefix;
		struct slice key, value;

		assert_int_equal(kv_scan(store, record_owner_prefix(&prefix, 1),
		                         (struct slice){ 0 }, &key, &value), KV_OK);
	}
	process_clean();
}

/* Orders that make no sense for it change nothing. */
static void test_odd_orders(void **state)
{
	struct link *link = front(2), *other;    /* of two fronts, the third */

	(void)state;
	expect_gone(link);
	expect_end(process_link(ORDER_HASHER_LINK, 2));
	expect_end(process_link(ORDER_WRITER_LINK, 0));
	process_order(ORDER_FRONT_LINK, 0, -1);
	process_order(ORDER_CHECK_READERS, 0, -1);
	process_order(ORDER_READY, 0, -1);
	link = front(0);
	send_request(link, 1, sign_in(1));
	expect(link, 1, 200);
	other = front(0);              /* takes the place of the first */
	expect_gone(link);
	send_request(other, 2, sign_in(2));
	expect(other, 2, 200);
	link_leave(other);
}

/* What the store says of the time, and whether the session of test_clock() stands. */
static uint64_t kept(bool *session)
{
	struct record_key k;
	struct clock c = { 0 };
	struct slice key, value;
	static const char kind = RECORD_SESSION;

	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_int_equal(clock_follow(&c, store), KV_OK);
	*session = kv_scan(store, (struct slice){ &kind, 1 }, slice_bytes(k.bytes, 0), &key,
	                   &value) == KV_OK;
	kv_close(store);
	return clock_now_s(&c);
}

/* Waits for the writer to have kept this time, or a later one. */
static void wait_kept(uint64_t from_s)
{
	bool stands;

	for (int i = 0; kept(&stands) < from_s && i < PROCESS_WAIT_MS / 10; i++)
		usleep(10000);
	assert_true(kept(&stands) >= from_s);
}

/* D09: what was done is one line of the log when it is on disk, with the name of the key; what
 * was refused, and what a commit has lost, is none. */
static void test_audit(void **state)
{
	static const char *const said[] = { "event=asked key=\"k\" bytes=2\n",
		                            "event=asked key=\"k\" bytes=6\n" };
	FILE *log = tmpfile();
	struct link *link;
	char text[4096], *at = text;
	ssize_t len;

	(void)state;
	process_prepare();
	config.log_level = LOG_INFO;
	log_fd = fileno(log);
	commits_fail = mmap(NULL, sizeof *commits_fail, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(commits_fail, MAP_FAILED);
	process_start(run);
	link = front(0);
	for (uint32_t i = 2; i <= 6; i++) {
		*commits_fail = i == 4;
		send_request(link, i, ask_long(i));
		expect(link, i, i % 2 == 1 ? 409 : i == 4 ? 507 : 200);
	}
	link_leave(link);
	process_end();
	len = pread(log_fd, text, sizeof text - 1, 0);
	assert_true(len > 0);
	text[len] = '\0';
	for (size_t i = 0; i < COUNT_OF(said); i++) {
		at = strstr(at, "event=asked");
		if (at == NULL || strncmp(at, said[i], strlen(said[i])) != 0)
			fail_msg("%s", text);
		at++;
	}
	assert_null(strstr(at, "event=asked"));
	munmap(commits_fail, sizeof *commits_fail);
	commits_fail = NULL;
	fclose(log);
	log_fd = -1;
}

/* Ends it in order: the last that it keeps, what it did with the session, what it logged. */
static void expect_kept(uint64_t from_s, bool session, const char *logged)
{
	char log[4096];
	ssize_t len;
	bool stands;

	wait_kept(from_s);
	process_order(ORDER_DRAIN, 0, -1);
	assert_int_equal(process_status(), 0);
	assert_true(kept(&stands) >= from_s);
	assert_int_equal(stands, session);
	len = pread(log_fd, log, sizeof log - 1, 0);
	assert_true(len >= 0);
	log[len] = '\0';
	if (logged == NULL ? len > 0 : strstr(log, logged) == NULL)
		fail_msg("%s", log);
	assert_int_equal(ftruncate(log_fd, 0), 0);
	lseek(log_fd, 0, SEEK_SET);
}

/* S07: the time is kept, also as the writer's last deed, and once more in the next life; steps
 * of an hour are told of; what has expired is deleted by this time. */
static void test_clock(void **state)
{
	uint64_t now_s = (uint64_t)time(NULL);
	FILE *log = tmpfile();

	(void)state;
	process_skip_32();
	wall_prepare();
	process_prepare();
	config.log_level = LOG_INFO;
	config.session_ttl_s = 5000;
	log_fd = fileno(log);
	process_add_session(SLICE("0123456789012345678901234567890123456789abc"), now_s);

	process_start(run);
	expect_kept(now_s, true, NULL);
	*wall_by_s = 3500;
	process_start(run);
	expect_kept(now_s + 3500, true, NULL);
	*wall_by_s = 0;                 /* back by less than an hour: nothing to tell */
	process_start(run);
	expect_kept(now_s + 3500, true, NULL);
	*wall_by_s = -3600;
	process_start(run);
	expect_kept(now_s + 3500, true, "level=warn process=sidecart event=clock_step by_s=-7");

	*wall_by_s = 3600;
	process_start(run);
	wait_kept(now_s + 3600);
	*wall_by_s = 7205;
	expect_kept(now_s + 7205, false, "level=warn process=sidecart event=clock_step by_s=360");
	process_add_session(SLICE("0123456789012345678901234567890123456789abc"), now_s + 7205);
	*wall_by_s = 20000;
	process_start(run);
	expect_kept(now_s + 20000, false, "level=info process=sidecart event=clock_step by_s=1");
	*wall_by_s = 0;
	fclose(log);
	log_fd = -1;
	process_clean();
}

#define FLOOD 5000

/* Records of a kind. */
static uint32_t count_kind(char kind)
{
	struct record_key place = { .len = 0 };
	struct slice key, value;
	uint32_t count = 0;

	while (kv_scan(store, (struct slice){ &kind, 1 }, slice_bytes(place.bytes, place.len),
	               &key, &value) == KV_OK) {
		memcpy(place.bytes, key.ptr, key.len);
		place.len = key.len;
		count++;
	}
	return count;
}

/* Guests who have kept something, and of whom nobody has heard for long. */
static void flood(void)
{
	uint8_t key[RECORD_SESSION_KEY_LEN] = { 0 };

	store_open(KV_WRITE);
	for (uint32_t i = 0; i < FLOOD; i++) {
		if (i % 1000 == 0)
			assert_int_equal(kv_begin(store), KV_OK);
		memcpy(key, &i, sizeof i);
		assert_int_equal(session_start(store, &config, key, 0, VIA_COOKIE, 1000 + i),
		                 KV_OK);
		assert_int_equal(session_put_data(store, key, SLICE("{\"a\":1}")), KV_OK);
		if (i % 1000 == 999)
			assert_int_equal(kv_commit(store), KV_OK);
	}
	kv_close(store);
}

/* S17: a flood of what has expired is gone after few turns, while requests go on: counted in
 * answers, of which each turn gives one, so that it says nothing of this machine's speed. */
static void test_sweep_keeps_up(void **state)
{
	static const char kinds[] = { RECORD_SESSION, RECORD_DATA, RECORD_OWNER, RECORD_SWEEP };
	uint32_t turns = FLOOD / 256 + 3;
	struct link *link;

	(void)state;
	process_prepare();
	config.max_sessions_per_customer = 0;
	flood();
	process_start(run);
	link = front(0);
	for (uint32_t i = 0; i < turns; i++) {
		send_request(link, i, sign_in(i));
		expect(link, i, 200);
	}
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	for (size_t i = 0; i < sizeof kinds; i++)
		if (count_kind(kinds[i]) > (kinds[i] == RECORD_DATA ? 0 : turns))
			fail_msg("%c: %u", kinds[i], count_kind(kinds[i]));
	assert_int_equal(count_kind(RECORD_SESSION), turns);
	kv_close(store);
	link_leave(link);
	process_end();
}

#define SERVING(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(test_answers),       SERVING(test_refusal),
		SERVING(test_group_commit),  SERVING(test_touch),
		SERVING(test_maimed_requests), SERVING(test_login),
		SERVING(test_waiting_passwords), SERVING(test_quick_questions),
		SERVING(test_dying_hashers),
		SERVING(test_mad_hasher),    SERVING(test_dead_front),
		SERVING(test_stuck_front),   SERVING(test_long_answers),
		SERVING(test_both_full),     SERVING(test_overlong_request),
		cmocka_unit_test_teardown(test_long_requests, tear_down),
		cmocka_unit_test_teardown(test_stuck_fronts_in_the_way, tear_down),
		cmocka_unit_test(test_drain),
		SERVING(test_odd_orders),    cmocka_unit_test(test_clock),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_sweep_keeps_up),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
