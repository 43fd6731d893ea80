/* test_server.c -- a front's process: the test plays supervisor, writer and clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <time.h>

#include "clock.h"
#include "identity.h"
#include "process.h"
#include "route.h"
#include "server.h"
#include "wall.h"

#define HOST "Host: shop.example.com\r\nX-Api-Key: k\r\n"
#define SID  "Session-Id: SID:ANON:shop.example.com:a\r\n"
#define OUT  "DELETE /api/login/ HTTP/1.1\r\n" HOST SID "\r\n"      /* goes to the writer */
#define READ "GET /resolve?require=any HTTP/1.1\r\n" HOST SID "\r\n"
#define POST "POST /api/login/ HTTP/1.1\r\n" HOST SID "Content-Type: application/json\r\n"

static int listener;
static struct link writer;      /* the test's end of the link */
static uint16_t port;
static rlim_t files;            /* of the process, where not 0 */
static char text[1200000];
static struct slice request_bytes;
static size_t text_len;
static struct link_request request;

static char long_byte(size_t at)
{
	return (char)('a' + (at + at / 1000) % 23);
}

/* Where the gate is shut, a handler says who it is for, and does not go on before it is let. */
static int knocks[2] = { -1, -1 }, lets[2] = { -1, -1 };

static void shut_gate(void)
{
	assert_int_equal(pipe2(knocks, O_CLOEXEC), 0);
	assert_int_equal(pipe2(lets, O_CLOEXEC), 0);
}

static void open_gate(void)
{
	for (int i = 0; i < 2 && knocks[i] >= 0; i++) {
		close(knocks[i]);
		close(lets[i]);
		knocks[i] = lets[i] = -1;
	}
}

static void wait_at_gate(uint64_t number)
{
	if (write(knocks[1], &number, sizeof number) < 0 ||
	    read(lets[0], &number, sizeof number) <= 0)
		lets[0] = -1;           /* it was opened */
}

/* Whom the next handler is for; it waits until let_in(). */
static uint64_t at_gate(void)
{
	uint64_t number;

	assert_true(readable(knocks[0], PROCESS_WAIT_MS));
	assert_int_equal(read(knocks[0], &number, sizeof number), sizeof number);
	return number;
}

static void let_in(void)
{
	uint64_t number = 0;

	assert_int_equal(write(lets[1], &number, sizeof number), sizeof number);
}

enum call_result __wrap_oscar_login_get(struct call *c);

/* Stands in for a handler whose answers are long: `?N` asks for N bytes; at a gate, N knocks. */
enum call_result __wrap_oscar_login_get(struct call *c)
{
	uint64_t len = 0;

	slice_uint(c->request->query, UINT32_MAX, &len);
	c->response->status = HTTP_OK;
	if (lets[0] >= 0) {
		wait_at_gate(len);
		len = 0;
	}
	for (uint64_t i = 0; i < len; i++)
		buf_char(&c->response->body, long_byte((size_t)i));
	return CALL_DONE;
}

static bool login_is_long;      /* POST /api/login/ takes a long body, as its line says */

uint32_t __real_route_body_max(const struct config *c, const struct route_match *m);
uint32_t __wrap_route_body_max(const struct config *c, const struct route_match *m);

uint32_t __wrap_route_body_max(const struct config *c, const struct route_match *m)
{
	struct http_request login = { .method = HTTP_POST, .path = SLICE("/api/login/") };
	struct route_match its;

	route_find(&login, false, &its);
	if (login_is_long && m->route == its.route)
		return ROUTE_LONG_BODY_MAX;
	return __real_route_body_max(c, m);
}

static int run(int its_control)
{
	const struct rlimit limit = { files, files };

	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		if (fd != its_control && fd != listener && fd != knocks[1] && fd != lets[0])
			close(fd);
	if (files != 0)
		setrlimit(RLIMIT_NOFILE, &limit);
	return server_run(&config, its_control, &listener, NULL);
}

static void listen_anywhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof at;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 128), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	port = ntohs(at.sin_port);
}

static void begin(void)
{
	config.listener_count = 1;
	listen_anywhere();
	link_leave(&writer);
	process_start(run);
	close(listener);
	link_join(&writer, process_link(ORDER_WRITER_LINK, 0));
}

static int set_up(void **state)
{
	(void)state;
	process_prepare();
	config.max_waiting_writes = 100;
	begin();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	open_gate();
	link_leave(&writer);
	process_end();
	return 0;
}

static int client_of(int fd)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
		                        .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct timeval patience = { .tv_sec = PROCESS_WAIT_MS / 1000 };

	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static int client(void)
{
	return client_of(socket(AF_INET, SOCK_STREAM, 0));
}

/* One whose socket, and the server's to it, hold little. */
static int slow_client(void)
{
	static const int segment = 536, little = 4096;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
	return client_of(fd);
}

static void say_bytes(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		assert_true(n > 0);
		s = slice_skip(s, (size_t)n);
	}
}

static void say(int fd, const char *what)
{
	say_bytes(fd, slice_of(what));
}

/* Reads the head of a response into `text` and gives its status; 0: the end. */
static long hear_head(int fd)
{
	text_len = 0;
	while (text_len < 4 || memcmp(text + text_len - 4, "\r\n\r\n", 4) != 0) {
		if (text_len == sizeof text - 1 || recv(fd, text + text_len, 1, 0) != 1)
			return 0;
		text[++text_len] = '\0';
	}
	return strtol(text + strlen("HTTP/1.1 "), NULL, 10);
}

/* What Content-Length of the head in `text` says. */
static size_t body_len(void)
{
	const char *length = strstr(text, "Content-Length: ");

	return length != NULL ? strtoul(length + 16, NULL, 10) : 0;
}

/* The same with the body. */
static long hear(int fd)
{
	long status = hear_head(fd);
	size_t len = body_len();

	assert_true(len < sizeof text - text_len);
	if (len > 0 && recv(fd, text + text_len, len, MSG_WAITALL) != (ssize_t)len)
		return 0;
	text_len += len;
	text[text_len] = '\0';
	return status;
}

static bool said(const char *part)
{
	return strstr(text, part) != NULL;
}

static void expect_end(int fd)
{
	assert_int_equal(hear(fd), 0);
	close(fd);
}

/* The next request that the front hands over; what it holds stands in request_bytes. */
static void take(void)
{
	enum link_result result = LINK_LATER;

	while (result == LINK_LATER) {
		assert_true(readable(writer.fd, PROCESS_WAIT_MS));
		result = link_receive_request(&writer, &request, &request_bytes);
	}
	assert_int_equal(result, LINK_DONE);
}

static struct slice taken_head(void)
{
	return (struct slice){ request_bytes.ptr, request.head_len };
}

static struct slice taken_body(void)
{
	return slice_skip(request_bytes, request.head_len);
}

/* Answers the request that was taken last. */
static void give_bytes(uint32_t status, uint32_t flags, struct slice bytes)
{
	const struct link_answer a = { request.slot, request.number, status, flags };
	struct pollfd room = { .fd = writer.fd, .events = POLLOUT };

	assert_int_equal(link_send_answer(&writer, &a, bytes), LINK_DONE);
	while (link_sending(&writer)) {
		assert_int_equal(poll(&room, 1, PROCESS_WAIT_MS), 1);
		assert_int_not_equal(link_flush(&writer), LINK_GONE);
	}
}

static void give(uint32_t status, uint32_t flags, const char *bytes)
{
	give_bytes(status, flags, slice_of(bytes));
}

/* A body of `len` bytes, as long_byte() has them. */
static void give_long(uint32_t status, size_t len)
{
	static char answer[LINK_ANSWER_MAX];
	int head = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	                    len);

	for (size_t i = 0; i < len; i++)
		answer[(size_t)head + i] = long_byte(i);
	give_bytes(status, LINK_KEEP_ALIVE, (struct slice){ answer, (size_t)head + len });
}

#define DONE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void test_hand_over(void **state)
{
	uint8_t random[sizeof request.random], zeros[sizeof random] = { 0 };
	uint64_t now_s = (uint64_t)time(NULL);
	struct slice local = SLICE("127.0.0.1");
	struct address peer;
	int fd = client();

	(void)state;
	assert_true(address_parse(local, &peer));
	say(fd, OUT);
	take();
	assert_true(slice_eq(taken_head(), slice_of(OUT)));
	assert_int_equal(request.body_len, 0);
	assert_int_equal(request.flags, LINK_KEEP_ALIVE);
	assert_memory_equal(&request.peer, &peer, sizeof peer);
	assert_true(request.now_us / 1000000 - now_s <= 2);
	assert_memory_not_equal(request.random, zeros, sizeof zeros);
	memcpy(random, request.random, sizeof random);
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_int_equal(hear(fd), 200);
	assert_string_equal(text, DONE);
	say(fd, READ);
	assert_int_equal(hear(fd), 204);
	say(fd, "DELETE /api/login/ HTTP/1.0\r\n" HOST SID "\r\n");
	take();
	assert_int_equal(request.flags, LINK_HTTP10);
	assert_memory_not_equal(request.random, random, sizeof random);
	give(200, 0, DONE);
	assert_int_equal(hear(fd), 200);
	expect_end(fd);
}

/* A body reaches the writer whole, however it is coded and cut. */
static void test_bodies(void **state)
{
	static const struct {
		const char *name, *body, *raw;
	} cases[] = {
		{ "known length", "{\"a\": 1}", POST "Content-Length: 8\r\n\r\n{\"a\": 1}" },
		{ "one chunk", "{\"a\": 1}",
		  POST "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"a\": 1}\r\n0\r\n\r\n" },
		{ "chunks, extension, trailer", "{\"a\": 1}",
		  POST "Transfer-Encoding: chunked\r\n\r\n"
		  "1;x=y\r\n{\r\n06\r\n\"a\": 1\r\n1\r\n}\r\n0\r\nSession-Id: evil\r\n\r\n" },
		{ "no chunk", "", POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
		{ "length 0", "", POST "Content-Length: 0\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice raw = slice_of(cases[i].raw);

		for (size_t cut = 0; cut < raw.len; cut++) {
			int fd = client();

			say_bytes(fd, (struct slice){ raw.ptr, cut });
			if (cut > 0)
				assert_false(readable(writer.fd, 1));
			say_bytes(fd, slice_skip(raw, cut));
			say(fd, READ);
			take();
			if (!slice_eq(taken_body(), slice_of(cases[i].body)))
				fail_msg("%s cut at %zu", cases[i].name, cut);
			give(200, LINK_KEEP_ALIVE, DONE);
			assert_int_equal(hear(fd), 200);
			assert_int_equal(hear(fd), 204);
			close(fd);
		}
	}
}

/* The longest body, in pieces, behind a pipelined request and before another. */
static void test_long_bodies(void **state)
{
	static char body[65536], raw[80000];
	static const size_t pieces[] = { 100, 1000, 16383, 70000 };
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (char)('a' + i % 23);
	len += (size_t)snprintf(raw, sizeof raw, "%s", READ POST "Content-Length: 65536\r\n\r\n");
	memcpy(raw + len, body, sizeof body);
	len += sizeof body;
	len += (size_t)snprintf(raw + len, sizeof raw - len, "%s", READ);
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		struct slice rest = { raw, len };
		int fd = client();

		while (rest.len > 0) {
			size_t n = rest.len < pieces[i] ? rest.len : pieces[i];

			say_bytes(fd, (struct slice){ rest.ptr, n });
			rest = slice_skip(rest, n);
		}
		assert_int_equal(hear(fd), 204);
		take();
		assert_true(slice_eq(taken_body(), slice_bytes(body, sizeof body)));
		give(200, LINK_KEEP_ALIVE, DONE);
		assert_int_equal(hear(fd), 200);
		assert_int_equal(hear(fd), 204);
		close(fd);
	}
}

/* Answers leave in the order of the requests; behind a write nothing is begun. */
static void test_order(void **state)
{
	int fd = client();

	(void)state;
	say(fd, READ OUT READ OUT READ);
	assert_int_equal(hear(fd), 204);
	for (int i = 0; i < 2; i++) {
		take();
		assert_false(readable(writer.fd, 20));
		assert_false(readable(fd, 1));
		give(200, LINK_KEEP_ALIVE, DONE);
		assert_int_equal(hear(fd), 200);
		assert_int_equal(hear(fd), 204);
	}
	close(fd);
}

/* Answers to nobody: a slot that never was, one that is another's now, one that asked nothing. */
static void test_stale_answers(void **state)
{
	int fd = client(), other;

	(void)state;
	say(fd, OUT);
	take();
	request.number++;
	give(200, LINK_KEEP_ALIVE, DONE);
	request.number--;
	request.slot += 1000000;
	give(200, LINK_KEEP_ALIVE, DONE);
	request.slot -= 1000000;
	assert_false(readable(fd, 50));
	give(200, LINK_KEEP_ALIVE, DONE);
	give(200, LINK_KEEP_ALIVE, DONE);               /* once more: not asked for */
	assert_int_equal(hear(fd), 200);
	assert_false(readable(fd, 50));
	say(fd, OUT);
	take();
	close(fd);
	process_settle();
	other = client();                               /* gets the slot of the one that left */
	say(other, READ);
	assert_int_equal(hear(other), 204);
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_false(readable(other, 50));
	close(other);
}

/* No handler answered: the front words it, in the form of the surface. */
static void test_failed_answers(void **state)
{
	static const int statuses[] = { 429, 503, 507 };
	int fd = client();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		say(fd, OUT READ);
		take();
		give((uint32_t)statuses[i], LINK_FAILED, "Such is life.");
		assert_int_equal(hear(fd), statuses[i]);
		assert_true(said("\r\nRetry-After: 1\r\n") && said("\r\n" SID));
		assert_true(said("\r\n\r\n{\"detail\":\"Such is life.\"}"));
		assert_int_equal(hear(fd), 204);
	}
	close(fd);
}

static void test_last_answer(void **state)
{
	int fd = client();

	(void)state;
	say(fd, OUT READ);
	take();
	give(200, 0, DONE);
	assert_int_equal(hear(fd), 200);
	expect_end(fd);
}

/* The writer's end: who had asked is told that nobody knows, who comes then that nothing was
 * done; reads go on; with the next link all is well. */
static void test_link_lost(void **state)
{
	int asked[3], fd = client();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(asked); i++) {
		asked[i] = client();
		say(asked[i], OUT READ);
		take();
	}
	link_leave(&writer);
	process_hear(ORDER_NEED_LINK);
	process_hear(ORDER_NEED_LINK);          /* and again, as long as it has none */
	for (size_t i = 0; i < COUNT_OF(asked); i++) {
		assert_int_equal(hear(asked[i]), 503);
		assert_true(said("is unknown") && said("Retry-After: ") && said("\r\n" SID));
		assert_int_equal(hear(asked[i]), 204);
	}
	say(fd, OUT);
	assert_int_equal(hear(fd), 503);
	assert_true(said("nothing was changed") && said("Retry-After: ") && said("\r\n" SID));
	say(fd, READ);
	assert_int_equal(hear(fd), 204);
	say(fd, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(hear(fd), 503);
	link_join(&writer, process_link(ORDER_WRITER_LINK, 0));
	process_settle();
	say(fd, OUT);
	take();
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_int_equal(hear(fd), 200);
	close(fd);
	for (size_t i = 0; i < COUNT_OF(asked); i++)
		close(asked[i]);
}

/* Leaves so that the server knows: a mere close() might be half of one. */
static void reset(int fd)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

/* A link that takes no more: requests wait in order, as many as are allowed, without those
 * whose client has left. */
static void test_full_link(void **state)
{
	enum { WAITING = 100, GONE = 7 };
	static char raw[7000];
	int fds[WAITING], more = client(), count = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < WAITING; i++) {
			fds[i] = client();
			snprintf(raw, sizeof raw,
			         "DELETE /api/login/ HTTP/1.1\r\n" HOST SID
			         "X-Number: %03d %06000d\r\n\r\n", i, 0);
			say(fds[i], raw);
			say(fds[i], READ);
			usleep(500);
		}
		process_settle();
		say(more, OUT);
		assert_int_equal(hear(more), 503);
		assert_true(said("Too many"));
		reset(fds[WAITING - GONE]);
		fds[WAITING - GONE] = -1;
		process_settle();
		count = 0;
		for (int i = 0; i < WAITING; i++) {
			char number[32];

			if (i == WAITING - GONE)
				continue;
			take();
			snprintf(number, sizeof number, "X-Number: %03d", i);
			if (memmem(request_bytes.ptr, request_bytes.len, number,
			           strlen(number)) == NULL)
				fail_msg("%d: %.100s", i, request_bytes.ptr + 80);
			give(200, LINK_KEEP_ALIVE, DONE);
			count++;
		}
		for (int i = 0; i < WAITING; i++) {
			if (fds[i] < 0)
				continue;
			assert_int_equal(hear(fds[i]), 200);
			assert_int_equal(hear(fds[i]), 204);
			close(fds[i]);
		}
		assert_int_equal(count, WAITING - 1);
	}
	close(more);
}

/* What is committed before a request was sent counts for it. */
static void test_fresh_snapshot(void **state)
{
	int fd = client();

	(void)state;
	store_open(KV_WRITE);
	for (int i = 0; i < 200; i++) {
		struct client_record key = { .scopes = SCOPE_TRUSTED };
		enum kv_status status;
		char name[16], raw[256];

		snprintf(name, sizeof name, "key-%d", i);
		snprintf(raw, sizeof raw, "GET /resolve?require=any HTTP/1.1\r\n"
		         "Host: shop.example.com\r\nX-Api-Key: %s\r\n" SID "\r\n", name);
		say(fd, raw);
		assert_int_equal(hear(fd), 403);
		key.name = slice_of(name);
		assert_int_equal(kv_begin(store), KV_OK);
		assert_int_equal(client_add(store, slice_of(name), &key, &status), CLIENT_ADDED);
		assert_int_equal(kv_commit(store), KV_OK);
		say(fd, raw);
		assert_int_equal(hear(fd), 204);
	}
	kv_close(store);
	close(fd);
}

/* A renewal that is due goes to the writer by itself. */
static void test_touch(void **state)
{
	struct customer_record ada;
	struct sid sid;
	uint8_t key[SID_KEY_LEN];
	char secret_text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(secret_text);
	uint64_t now_s = (uint64_t)time(NULL);
	int fd = client();

	(void)state;
	assert_true(secret_read(config.sid_secret_file, &secret, error));
	assert_int_equal(sid_parse(SLICE("SID:AUTH:shop.example.com:a"), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, SID_AUTH, buf_slice(&secret), key);
	store_open(KV_WRITE);
	assert_int_equal(kv_begin(store), KV_OK);
	assert_int_equal(customer_get(store, 1, &ada), KV_OK);
	assert_int_equal(session_start(store, &config, key, ada.id, VIA_HEADER,
	                               now_s - config.session_ttl_s / 2), KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	say(fd, "GET /session HTTP/1.1\r\n" HOST "Session-Id: SID:AUTH:shop.example.com:a\r\n\r\n");
	assert_int_equal(hear(fd), 200);
	take();
	assert_int_equal(request.flags & LINK_TOUCH, LINK_TOUCH);
	assert_int_equal(request.body_len, 0);
	close(fd);
}

/* Nothing of one request's identity shows in the answer to another's. */
static void test_identity_is_not_carried_over(void **state)
{
	static const char *const raws[] = {
		"BAD\r\n\r\n",
		"GET /resolve HTTP/1.1\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST /api/login/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
		"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(raws); i++) {
		int first = client(), second = client();

		say(first, READ);
		assert_int_equal(hear(first), 204);
		assert_true(said("\r\n" SID));
		say(second, raws[i]);
		assert_true(hear(second) >= 400);
		assert_false(said("Session-Id: "));
		expect_end(second);
		close(first);
	}
}

/* The head alone is answered; the connection goes on only where the body is there (F01). */
static void test_head_only(void **state)
{
#define RESOLVE "GET /resolve?require=any HTTP/1.1\r\n" HOST SID
	static const struct {
		const char *name, *raw;
		bool goes_on;
	} cases[] = {
		{ "the body is there",     RESOLVE "Content-Length: 5\r\n\r\nhello" READ, true },
		{ "the body is not there", RESOLVE "Content-Length: 5\r\n\r\n",           false },
		{ "a part of it is there", RESOLVE "Content-Length: 5\r\n\r\nhell",       false },
		{ "it is too long",        RESOLVE "Content-Length: 9999999999\r\n\r\n",  false },
		{ "it has chunks",         RESOLVE "Transfer-Encoding: chunked\r\n\r\n",  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int fd = client();

		say(fd, cases[i].raw);
		if (hear(fd) != 204)
			fail_msg("%s: %s", cases[i].name, text);
		if (hear(fd) != (cases[i].goes_on ? 204 : 0))
			fail_msg("%s: %s", cases[i].name, text);
		close(fd);
	}
}

/* A client whose first request the writer has, which is slow: 503 in time. */
static int given_up(const char *raw)
{
	int fd;

	process_skip_32();
	process_prepare();
	wall_prepare();
	begin();
	fd = client();
	say(fd, raw);
	take();
	assert_false(readable(fd, 0));
	*wall_passed_s += config.write_timeout_ms / 1000;
	assert_int_equal(hear(fd), 503);
	assert_true(said("is unknown"));
	return fd;
}

/* The late answer is nobody's, the connection goes on. */
static void test_slow_writer(void **state)
{
	int fd = given_up(OUT READ);

	(void)state;
	assert_int_equal(hear(fd), 204);
	give(200, LINK_KEEP_ALIVE, DONE);
	say(fd, READ);
	assert_int_equal(hear(fd), 204);
	close(fd);
}

/* Nor is it the answer to the connection's next request, which may be somebody else's. */
static void test_answer_to_the_one_before(void **state)
{
	int fd = given_up(OUT);
	struct link_request before = request, next;

	(void)state;
	say(fd, OUT);
	take();
	next = request;
	request = before;
	give(200, LINK_KEEP_ALIVE, DONE);
	request = next;
	give(200, LINK_KEEP_ALIVE, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhis");
	assert_int_equal(hear(fd), 200);
	assert_true(said("his"));
	close(fd);
}

static uint64_t cpu_ms(void)
{
	clockid_t clock;
	struct timespec t = { 0 };

	assert_int_equal(clock_getcpuclockid(process_pid, &clock), 0);
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Out of descriptors: it neither spins nor loses who waits (L04). */
static void test_no_descriptors(void **state)
{
	int fds[60];
	uint64_t before_ms;

	(void)state;
	process_prepare();
	files = 40;
	begin();
	files = 0;
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		fds[i] = client();
	usleep(300000);
	before_ms = cpu_ms();
	usleep(500000);
	assert_true(cpu_ms() - before_ms < 100);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		say(fds[i], READ);
		assert_int_equal(hear(fds[i]), 204);
		close(fds[i]);
	}
}

/* Idle connections end at once, others with their answer, and then the process. */
static void test_drain(void **state)
{
	struct link_request other;
	int idle, asked, half, busy, old;

	(void)state;
	process_prepare();
	begin();
	idle = client();
	asked = client();
	old = client();
	half = client();
	busy = client();
	say(idle, READ);
	assert_int_equal(hear(idle), 204);
	say(old, "DELETE /api/login/ HTTP/1.0\r\n" HOST SID "Connection: keep-alive\r\n\r\n");
	take();
	other = request;
	say(asked, OUT);
	take();
	say(half, "GET /resolve?require=any HTTP/1.1\r\n");
	process_settle();
	kill(process_pid, SIGSTOP);
	say(busy, READ);                /* it lies in the socket when the order comes */
	process_order(ORDER_DRAIN, 0, -1);
	kill(process_pid, SIGCONT);
	expect_end(idle);
	assert_int_equal(hear(busy), 204);
	expect_end(busy);
	say(half, HOST SID "\r\n");
	assert_int_equal(hear(half), 204);
	assert_true(said("Connection: close"));
	expect_end(half);
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_int_equal(hear(asked), 200);
	assert_string_equal(text, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	                    "Content-Length: 2\r\n\r\nhi");
	expect_end(asked);
	request = other;
	give(200, LINK_KEEP_ALIVE, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	     "Connection: keep-alive\r\n\r\nhi");
	assert_int_equal(hear(old), 200);
	assert_string_equal(text, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	                    "Content-Length: 2\r\n\r\nhi");
	expect_end(old);
	assert_int_equal(process_status(), 0);
	link_leave(&writer);
	process_clean();
}

#define COOKIE "0123456789012345678901234567890123456789abc"
#define SHOW   "GET /resolve HTTP/1.1\r\n" HOST "Cookie: sidecart_session=" COOKIE "\r\n\r\n"

/* On a connection of its own. */
static long verdict(void)
{
	int fd = client();
	long status;

	say(fd, SHOW);
	status = hear(fd);
	close(fd);
	return status;
}

/* Plays the writer, which keeps the time. */
static void keep(uint64_t now_s)
{
	store_open(KV_WRITE);
	assert_int_equal(kv_begin(store), KV_OK);
	assert_int_equal(clock_set(store, now_s), KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
}

/* S07: whatever becomes of the wall clock, what has expired stays so, in a new front too. */
static void test_clock(void **state)
{
	static const long steps_s[] = { -10000, 0, -1000000, 50, 89 };
	uint64_t now_s = (uint64_t)time(NULL);

	(void)state;
	process_skip_32();
	wall_prepare();
	process_prepare();
	config.session_ttl_s = 100;
	process_add_session(SLICE(COOKIE), now_s);
	begin();
	for (size_t i = 0; i < COUNT_OF(steps_s); i++) {
		*wall_by_s = steps_s[i];
		assert_int_equal(verdict(), 204);
	}
	*wall_by_s = 200;
	assert_int_equal(verdict(), 401);
	for (size_t i = 0; i < COUNT_OF(steps_s); i++) {
		*wall_by_s = steps_s[i];
		assert_int_equal(verdict(), 401);
	}
	link_leave(&writer);
	close(control);
	assert_int_equal(waitpid(process_pid, NULL, 0), process_pid);

	*wall_by_s = 0;
	begin();
	assert_int_equal(verdict(), 204);       /* nobody has kept the time: it knows no better */
	keep(now_s + 99);
	assert_int_equal(verdict(), 204);
	keep(now_s + 100);
	assert_int_equal(verdict(), 401);
	keep(now_s);
	assert_int_equal(verdict(), 401);
	keep(now_s + 1000);
	link_leave(&writer);
	close(control);
	assert_int_equal(waitpid(process_pid, NULL, 0), process_pid);
	*wall_by_s = -500;
	begin();
	assert_int_equal(verdict(), 401);
	*wall_by_s = 0;
}

static void say_long(int fd, const char *method, size_t len)
{
	char raw[300];

	snprintf(raw, sizeof raw, "%s /api/login/?%zu HTTP/1.1\r\n" HOST SID "\r\n", method, len);
	say(fd, raw);
}

static void expect_long(int fd, size_t len)
{
	assert_int_equal(hear(fd), 200);
	assert_int_equal(body_len(), len);
	for (size_t i = 0; i < len; i++)
		if (text[text_len - len + i] != long_byte(i))
			fail_msg("byte %zu of %zu", i, len);
}

/* Answers of every length, whole, in their places among others, whatever the reader's pace. */
static void test_long_answers(void **state)
{
	static const size_t lens[] = { 0, 1, 30000, 65000, 65536, 65537, 131072, 600000,
		                       CALL_BODY_MAX };

	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		int fd = slow ? slow_client() : client(), other = client();

		for (size_t i = 0; i < COUNT_OF(lens); i++) {
			say(fd, READ);
			say_long(fd, "GET", lens[i]);
			say_long(fd, "HEAD", lens[i]);
			say(fd, READ);
			say_long(fd, "GET", lens[COUNT_OF(lens) - 1 - i]);
			say(fd, READ);
			usleep(slow ? 20000 : 0);
			say(other, READ);
			assert_int_equal(hear(other), 204);
			assert_int_equal(hear(fd), 204);
			expect_long(fd, lens[i]);
			assert_int_equal(hear_head(fd), 200);
			assert_int_equal(body_len(), lens[i]);
			assert_int_equal(hear(fd), 204);
			expect_long(fd, lens[COUNT_OF(lens) - 1 - i]);
			assert_int_equal(hear(fd), 204);
		}
		close(fd);
		close(other);
	}
}

/* What is longer than any answer may be is a bare 500, and the end. */
static void test_too_long_answer(void **state)
{
	static const size_t lens[] = { CALL_BODY_MAX + 1, 5000000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		int fd = client();

		say_long(fd, "GET", lens[i]);
		assert_int_equal(hear(fd), 500);
		assert_true(said("Connection: close") && said("too long"));
		expect_end(fd);
	}
}

/* The same of the writer's answers, which come in packets. */
static void test_long_answers_of_the_writer(void **state)
{
	static const size_t lens[] = { 100, 65000, 70000, 131072, 600000, LINK_ANSWER_MAX - 50 };

	(void)state;
	for (int slow = 0; slow < 2; slow++) {
		int fd = slow ? slow_client() : client(), other = client();

		for (size_t i = 0; i < COUNT_OF(lens); i++) {
			say(fd, OUT READ OUT READ);
			for (int round = 0; round < 2; round++) {
				take();
				give_long(200, lens[i]);
				say(other, READ);
				assert_int_equal(hear(other), 204);
				expect_long(fd, lens[i]);
				assert_int_equal(hear(fd), 204);
			}
		}
		close(fd);
		close(other);
	}
}

/* A server whose memory for slow readers is the least that there may be: 32 pieces. */
static void begin_with_little(void)
{
	process_prepare();
	config.max_answer_memory = 2 << 20;
	wall_prepare();
	begin();
}

/* Slow readers of long answers cannot take more than is set aside for them: the next is told
 * so, short answers go on, and what one has read or given up is another's. */
static void test_slow_readers(void **state)
{
	static const char *const ends[] = { "read", "reset", "late" };

	(void)state;
	process_skip_32();
	begin_with_little();
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		int slow[2], fd = client();

		for (int n = 0; n < 2; n++) {
			slow[n] = slow_client();
			say_long(slow[n], "GET", 900000);
		}
		process_settle();
		say_long(fd, "GET", 900000);
		assert_int_equal(hear(fd), 503);
		assert_true(said("Retry-After: 1\r\n") && said("Too many long answers"));
		assert_true(said("\r\n" SID));
		say(fd, READ);
		assert_int_equal(hear(fd), 204);
		say_long(fd, "HEAD", 900000);
		assert_int_equal(hear_head(fd), 200);
		say_long(fd, "GET", 60000);
		expect_long(fd, 60000);
		say(fd, OUT READ);
		take();
		give_long(200, 700000);
		assert_int_equal(hear(fd), 503);
		assert_true(said("the request was done"));
		assert_int_equal(hear(fd), 204);
		for (int n = 0; n < 2; n++) {
			if (i == 0)
				expect_long(slow[n], 900000);
			else if (i == 1)
				reset(slow[n]);
		}
		process_settle();
		if (i == 2)
			*wall_passed_s += config.write_timeout_ms / 1000;
		for (int n = 0; n < 2 && i == 2; n++)
			assert_int_equal(poll(&(struct pollfd){ .fd = slow[n] }, 1,
			                      PROCESS_WAIT_MS), 1);     /* a reset */
		say_long(fd, "GET", 900000);
		expect_long(fd, 900000);
		for (int n = 0; n < 2 && i == 2; n++)
			assert_int_equal(hear(slow[n]), 0);     /* cut off by the deadline */
		for (int n = 0; n < 2 && i != 1; n++)
			close(slow[n]);
		close(fd);
	}
}

static char long_body[LINK_BODY_MAX];

/* A request with a body of `len` bytes, in chunks of `chunk`, or of known length where 0. */
static struct slice long_request(const char *path, size_t len, size_t chunk)
{
	static char raw[2 * LINK_BODY_MAX];
	struct buf out = BUF(raw);
	char line[64];

	for (size_t i = 0; i < sizeof long_body; i++)
		long_body[i] = long_byte(i);
	buf_lit(&out, "POST ");
	buf_str(&out, path);
	buf_lit(&out, " HTTP/1.1\r\n" HOST SID "Content-Type: application/json\r\n");
	if (chunk == 0) {
		snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", len);
		buf_str(&out, line);
		buf_put(&out, (struct slice){ long_body, len });
		return buf_slice(&out);
	}
	buf_lit(&out, "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0; at < len; at += chunk) {
		size_t n = len - at < chunk ? len - at : chunk;

		snprintf(line, sizeof line, "%zx\r\n", n);
		buf_str(&out, line);
		buf_put(&out, (struct slice){ long_body + at, n });
		buf_lit(&out, "\r\n");
	}
	buf_lit(&out, "0\r\n\r\n");
	assert_false(out.full);
	return buf_slice(&out);
}

static void take_long(size_t len)
{
	struct slice body;

	take();
	body = taken_body();
	assert_int_equal(body.len, len);
	for (size_t i = 0; i < len; i++)
		if (body.ptr[i] != long_byte(i))
			fail_msg("byte %zu of %zu", i, len);
	give(200, LINK_KEEP_ALIVE, DONE);
}

/* Bodies of every length, whole, however they are coded and cut. */
static void test_bodies_over_64k(void **state)
{
	static const size_t lens[] = { 60000, 65536, 65537, 131072, 1000000, LINK_BODY_MAX };
	static const size_t chunks[] = { 0, 1000, 65536, 65537, LINK_BODY_MAX };

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	begin();
	for (size_t i = 0; i < COUNT_OF(lens) * COUNT_OF(chunks); i++) {
		size_t len = lens[i / COUNT_OF(chunks)];
		struct slice rest = long_request("/api/login/", len, chunks[i % COUNT_OF(chunks)]);
		int fd = client();

		while (rest.len > 0) {
			size_t n = rest.len < 50001 ? rest.len : 50001;

			say_bytes(fd, (struct slice){ rest.ptr, n });
			rest = slice_skip(rest, n);
		}
		say(fd, READ);
		take_long(len);
		assert_int_equal(hear(fd), 200);
		assert_int_equal(hear(fd), 204);
		close(fd);
	}
}

/* Of known length it is refused by its head alone; in chunks, by the head of the one that is
 * too many. */
static void expect_too_long(int fd, const char *name, struct slice raw, size_t len, size_t chunk)
{
	const char *body = memmem(raw.ptr, raw.len, "\r\n\r\n", 4);
	char head[512];
	size_t last = chunk > 0 ? (len - 1) / chunk * chunk : 0;

	assert_non_null(body);
	if (chunk == 0) {
		snprintf(head, sizeof head, "%.*s", (int)(body - raw.ptr), raw.ptr);
		snprintf(strstr(head, "Content-Length: "), 40, "Content-Length: %zu\r\n\r\n", len);
		say(fd, head);
	} else {
		say_bytes(fd, (struct slice){ raw.ptr, (size_t)(body + 4 - raw.ptr) });
		for (size_t at = 0; at < last; at += chunk) {
			snprintf(head, sizeof head, "%zx\r\n", chunk);
			say(fd, head);
			say_bytes(fd, (struct slice){ long_body, chunk });
			say(fd, "\r\n");
		}
		snprintf(head, sizeof head, "%zx\r\n", len - last);
		say(fd, head);
	}
	if (hear(fd) != 413 || !said("Connection: close") || !said("max_body"))
		fail_msg("%s: %s", name, text);
	expect_end(fd);
}

/* H26: what is over the path's own limit is refused before it is read. */
static void test_body_limits(void **state)
{
	enum { LONG = LINK_BODY_MAX };
	static const struct {
		const char *name, *path;
		size_t len, chunk;
		bool is_long;
		long status;
	} cases[] = {
		{ "the setting, over it", "/api/login/", 65537, 0, false, 413 },
		{ "in chunks", "/api/login/", 65537, 9999, false, 413 },
		{ "one chunk", "/api/login/", 65537, 65537, false, 413 },
		{ "another path's limit", "/session/login", 65537, 0, true, 413 },
		{ "in chunks", "/session/login", 65537, 9999, true, 413 },
		{ "no path", "/nowhere", 65537, 0, true, 413 },
		{ "the path's, over it", "/api/login/", LONG + 1, 0, true, 413 },
		{ "in one chunk", "/api/login/", LONG + 1, LONG + 1, true, 413 },
		{ "in chunks", "/api/login/", LONG + 1, 65536, true, 413 },
		{ "the setting", "/api/login/", 65536, 0, false, 0 },
		{ "the path's own", "/api/login/", LONG, 0, true, 0 },
		{ "the path's own, in chunks", "/api/login/", LONG, 65536, true, 0 },
		{ "another path", "/session/login", 65536, 9999, true, 0 },
	};

	(void)state;
	for (int is_long = 0; is_long < 2; is_long++) {
		process_prepare();
		login_is_long = is_long;
		begin();
		for (size_t i = 0; i < COUNT_OF(cases); i++) {
			size_t len = cases[i].len < LONG ? cases[i].len : LONG;
			struct slice raw = long_request(cases[i].path, len, cases[i].chunk);
			int fd = client();

			if (cases[i].is_long != is_long) {
				close(fd);
				continue;
			}
			if (cases[i].status == 0) {
				say_bytes(fd, raw);
				take_long(cases[i].len);
				assert_int_equal(hear(fd), 200);
				close(fd);
				continue;
			}
			expect_too_long(fd, cases[i].name, raw, cases[i].len, cases[i].chunk);
		}
		login_is_long = false;
		tear_down(NULL);
	}
}

/* Long bodies have memory of their own, which a few can fill: the next is told so, also where
 * its length showed itself late; short ones go on; what is done with is another's. */
static void test_long_bodies_at_once(void **state)
{
	struct slice whole, chunked, small;
	static char copies[3][2 * LINK_BODY_MAX];
	int first, fd;

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	config.max_body_memory = 4 << 20;               /* one long body, thirty others */
	begin();
	whole = long_request("/api/login/", 500000, 0);
	whole.ptr = memcpy(copies[0], whole.ptr, whole.len);
	chunked = long_request("/api/login/", 500000, 4000);
	chunked.ptr = memcpy(copies[1], chunked.ptr, chunked.len);
	small = long_request("/api/login/", 50000, 4000);
	small.ptr = memcpy(copies[2], small.ptr, small.len);
	for (int round = 0; round < 4; round++) {
		struct slice held = round % 2 == 0 ? whole : chunked;

		first = client();
		say_bytes(first, (struct slice){ held.ptr, 200000 });
		process_settle();
		for (int i = 0; i < 2; i++) {
			struct slice refused = i == 0 ? whole : chunked;

			fd = client();
			say_bytes(fd, (struct slice){ refused.ptr, i == 0 ? 400 : 140000 });
			assert_int_equal(hear(fd), 503);
			assert_true(said("Retry-After: 1\r\n") && said("Connection: close"));
			assert_true(said("Too many long bodies") && said("\r\n" SID));
			close(fd);
		}
		fd = client();
		say_bytes(fd, small);
		take_long(50000);
		assert_int_equal(hear(fd), 200);
		if (round < 2) {
			say_bytes(first, slice_skip(held, 200000));
			take_long(500000);
			assert_int_equal(hear(first), 200);
			close(first);
		} else {
			reset(first);
			process_settle();
		}
		say_bytes(fd, chunked);
		take_long(500000);
		assert_int_equal(hear(fd), 200);
		close(fd);
	}
}

/* A long request whose client leaves while it is on its way comes whole, and so does what
 * follows. */
static void test_long_request_of_a_dead_client(void **state)
{
	struct slice raw;
	int fd, other;

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	begin();
	fd = client();
	other = client();
	raw = long_request("/api/login/", LINK_BODY_MAX, 0);
	say_bytes(fd, raw);
	assert_true(readable(writer.fd, PROCESS_WAIT_MS));      /* it was handed over */
	say(other, OUT READ);
	process_settle();
	reset(fd);
	process_settle();
	take_long(LINK_BODY_MAX);
	take();
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_int_equal(hear(other), 200);
	assert_int_equal(hear(other), 204);
	close(other);
}

/* The link is full of long requests; the writer reads none, and sends long answers: they come. */
static void test_answers_pass_requests(void **state)
{
	enum { ASKED = 4, LONG = 4 };
	int asked[ASKED], fds[LONG];
	struct link_request requests[ASKED];

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	begin();
	for (size_t i = 0; i < ASKED; i++) {
		asked[i] = client();
		say(asked[i], OUT READ);
		take();
		requests[i] = request;
	}
	for (size_t i = 0; i < LONG; i++) {
		fds[i] = client();
		say_bytes(fds[i], long_request("/api/login/", 1000000 + i, 0));
	}
	for (size_t i = 0; i < ASKED; i++) {
		request = requests[i];
		give_long(200, 1000000);
		expect_long(asked[i], 1000000);
		assert_int_equal(hear(asked[i]), 204);
		close(asked[i]);
	}
	for (size_t i = 0; i < LONG; i++) {
		take();
		assert_true(request.body_len >= 1000000);
		give(200, LINK_KEEP_ALIVE, DONE);
	}
	for (size_t i = 0; i < LONG; i++) {
		assert_int_equal(hear(fds[i]), 200);
		close(fds[i]);
	}
}

/* Pages of the process that hold something of its own. Left out is the shadow that a sanitizer
 * keeps of all addresses: of that the kernel may bring sixteen pages along for one. */
static size_t resident(void)
{
	char path[64], line[256];
	unsigned long size_kb = 0, kb, all_kb = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/smaps", (int)process_pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "Size: %lu", &kb) == 1)
			size_kb = kb;
		else if (sscanf(line, "Anonymous: %lu", &kb) == 1 && size_kb < 1ul << 28)
			all_kb += kb;
	fclose(f);
	assert_true(all_kb > 0);
	return all_kb / 4;
}

/* What long answers and bodies took of memory is given back, also where nobody comes any
 * more. */
static void test_memory_is_given_back(void **state)
{
	size_t before;
	int fd;

	(void)state;
	process_prepare();
	config.max_body = LINK_BODY_MAX;
	begin();
	fd = client();
	say_bytes(fd, long_request("/api/login/", 60000, 0));
	take_long(60000);
	assert_int_equal(hear(fd), 200);
	say_long(fd, "GET", 10);
	expect_long(fd, 10);
	say(fd, OUT);
	take();
	give_long(200, 10);
	assert_int_equal(hear(fd), 200);
	before = resident();
	say_long(fd, "GET", 1000000);
	expect_long(fd, 1000000);
	say(fd, OUT);
	take();
	give_long(200, 1000000);
	assert_int_equal(hear(fd), 200);
	say_bytes(fd, long_request("/api/login/", 1000000, 0));
	take_long(1000000);
	assert_int_equal(hear(fd), 200);
	close(fd);
	for (int i = 0; i < 40 && resident() > before + 100; i++)
		usleep(50000);
	assert_true(resident() <= before + 100);        /* of 1,000 */
}

/* Each of a crowd asks again whenever it was answered, behind others that it has sent at once. */
enum { CROWD = 60, FIRST = 1000, PATIENT = 2000, ROUNDS = 8 };

static int crowd[CROWD];
static unsigned let_in_times[CROWD];

/* Lets in the one of the crowd who is at the gate; he asks once more when he was answered. */
static void step(uint64_t number, bool alone)
{
	uint64_t i = number - FIRST;

	assert_true(i < CROWD);
	let_in();
	let_in_times[i]++;
	if (alone)
		assert_int_equal(hear(crowd[i]), 200);
	say_long(crowd[i], "GET", (size_t)number);
}

static void say_batch(int i, int count)
{
	char raw[4096];
	struct buf requests = BUF(raw);

	while (count-- > 0) {
		buf_str(&requests, "GET /api/login/?");
		buf_uint(&requests, (uint64_t)(FIRST + i));
		buf_str(&requests, " HTTP/1.1\r\n" HOST "\r\n");
	}
	assert_false(requests.full);
	say_bytes(crowd[i], buf_slice(&requests));
}

static void say_heavy(int i)
{
	char raw[4096];

	snprintf(raw, sizeof raw,
	         "GET /api/login/?%d HTTP/1.1\r\n" HOST "X-Much: %03000d\r\n\r\n", FIRST + i, 0);
	say(crowd[i], raw);
}

static void step_heavy(uint64_t number)
{
	assert_true(number - FIRST < CROWD);
	let_in();
	assert_int_equal(hear(crowd[number - FIRST]), 200);
	say_heavy((int)(number - FIRST));
}

/* How many of a crowd's requests are answered before one of who asks now and then. */
static unsigned steps_before(int patient, bool alone)
{
	uint64_t number = at_gate();
	unsigned steps = 0;

	say_long(patient, "GET", PATIENT);
	for (; number != PATIENT; number = at_gate(), steps++)
		step(number, alone);
	let_in();
	assert_int_equal(hear(patient), 200);
	return steps;
}

/* A crowd that always has more to ask for is served in turn, and holds nobody else up. */
static void test_crowd(void **state)
{
	static const struct {
		const char *name;
		unsigned at_once, most;         /* of 60 times min(at_once, 4) a round */
	} cases[] = {
		{ "one at once", 1, 24 }, { "more than a turn's part", 6, 96 },
	};

	(void)state;
	for (size_t n = 0; n < COUNT_OF(cases); n++) {
		bool alone = cases[n].at_once == 1;
		unsigned least = UINT_MAX, most = 0;
		int patient;

		process_prepare();
		config.max_pipeline = 4;
		shut_gate();
		begin();
		patient = client();
		for (int i = 0; i < CROWD; i++) {
			crowd[i] = client();
			for (unsigned k = 0; k < cases[n].at_once; k++)
				say_long(crowd[i], "GET", (size_t)FIRST + (size_t)i);
		}
		for (int round = 0; round < ROUNDS; round++) {
			unsigned steps;

			for (unsigned i = 0; i < CROWD * 8; i++)
				step(at_gate(), alone);
			if (round == 0)                 /* by now all are there */
				memset(let_in_times, 0, sizeof let_in_times);
			steps = steps_before(patient, alone);
			if (steps > cases[n].most)
				fail_msg("%s: behind %u", cases[n].name, steps);
		}
		for (int i = 0; i < CROWD; i++) {
			least = let_in_times[i] < least ? let_in_times[i] : least;
			most = let_in_times[i] > most ? let_in_times[i] : most;
		}
		if (alone ? most - least > 1 : most > 2 * least)
			fail_msg("%s: one %u, another %u times", cases[n].name, least, most);
		tear_down(NULL);
		for (int i = 0; i < CROWD; i++)
			close(crowd[i]);
		close(patient);
	}
}

/* Of clients that send some requests in one write, and the next when all are answered, none waits
 * while the others are answered time and again. */
static void test_batches(void **state)
{
	enum { CLIENTS = 16, EACH = 16, MOST = 3 * CLIENTS * EACH };
	unsigned asked_at[CLIENTS] = { 0 }, answered[CLIENTS] = { 0 };

	(void)state;
	process_prepare();
	shut_gate();
	begin();
	for (int i = 0; i < CLIENTS; i++)
		crowd[i] = client();
	for (int i = 0; i < CLIENTS; i++)
		say_batch(i, EACH);
	for (unsigned steps = 1; steps <= 40 * CLIENTS * EACH; steps++) {
		uint64_t i = at_gate() - FIRST;

		assert_true(i < CLIENTS);
		let_in();
		if (++answered[i] % EACH == 0) {
			for (int k = 0; k < EACH; k++)
				assert_int_equal(hear(crowd[i]), 200);
			asked_at[i] = steps;
			say_batch((int)i, EACH);
		}
		for (int k = 0; k < CLIENTS; k++)
			if (steps - asked_at[k] > MOST)
				fail_msg("one waits while %u requests are answered", MOST);
	}
	for (int i = 0; i < CLIENTS; i++)
		close(crowd[i]);
}

/* Who sends little at a time goes before a crowd that sends much, though he asks as often. */
static void test_heavy_crowd(void **state)
{
	enum { OFTEN = 2, MOST = 24 };
	int light;

	(void)state;
	process_prepare();
	shut_gate();
	begin();
	light = client();
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = client();
		say_heavy(i);
	}
	for (int round = 0; round < 5 * ROUNDS; round++) {
		uint64_t number = at_gate();
		unsigned steps = 0;

		for (; steps < (round == 0 ? 8 * CROWD : OFTEN); steps++, number = at_gate())
			step_heavy(number);
		say_long(light, "GET", PATIENT);
		for (steps = 0; number != PATIENT; steps++, number = at_gate())
			step_heavy(number);
		let_in();
		assert_int_equal(hear(light), 200);
		if (steps > MOST)
			fail_msg("behind %u", steps);
	}
	for (int i = 0; i < CROWD; i++)
		close(crowd[i]);
	close(light);
}

/* Clients that were answered once; at the request of the first the front stands still. */
static void let_stand(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = client();
		say_long(fds[i], "GET", PATIENT);
		assert_int_equal(at_gate(), PATIENT);
		let_in();
		assert_int_equal(hear(fds[i]), 200);
	}
	say_long(fds[0], "GET", PATIENT);
	assert_int_equal(at_gate(), PATIENT);
}

/* Lets it go on from one of them to the next, each a turn later; how many of the crowd have heard
 * something by then, of whom no turn told more than `most`. */
static int told_meanwhile(const int *fds, size_t count, const int *all, int size, int most)
{
	int told = 0;

	for (size_t i = 1; i < count; i++) {
		int now = 0;

		say_long(fds[i], "GET", PATIENT);
		let_in();
		assert_int_equal(at_gate(), PATIENT);
		for (int k = 0; k < size; k++)
			now += readable(all[k], 0);
		assert_true(now - told <= most);
		told = now;
	}
	let_in();
	return told;
}

static void hear_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(hear(fds[i]), 200);
		close(fds[i]);
	}
}

/* Many for whom the writer has no place are told so a few in a turn: others come between. */
static void test_refused_crowd(void **state)
{
	enum { REFUSED = 12, A_TURN = 4 };
	int refused[REFUSED], fds[6], first, told;

	(void)state;
	process_prepare();
	config.max_waiting_writes = 1;
	shut_gate();
	begin();
	first = client();
	say(first, OUT);
	take();
	for (int i = 0; i < REFUSED; i++)
		refused[i] = client();
	let_stand(fds, COUNT_OF(fds));
	for (int i = 0; i < REFUSED; i++)
		say(refused[i], OUT);
	told = told_meanwhile(fds, COUNT_OF(fds), refused, REFUSED, A_TURN);
	assert_int_equal(told, REFUSED);
	for (int i = 0; i < REFUSED; i++) {
		assert_int_equal(hear(refused[i]), 503);
		assert_true(said("Too many"));
		close(refused[i]);
	}
	give(200, LINK_KEEP_ALIVE, DONE);
	assert_int_equal(hear(first), 200);
	close(first);
	hear_all(fds, COUNT_OF(fds));
}

/* Who is late before he is told hears the same; who went before him is told what is known. */
static void test_refused_late(void **state)
{
	enum { REFUSED = 40 };
	int refused[REFUSED], fds[2], first, told = 0;

	(void)state;
	process_skip_32();
	process_prepare();
	config.max_waiting_writes = 1;
	wall_prepare();
	shut_gate();
	begin();
	first = client();
	say(first, OUT);
	take();
	for (int i = 0; i < REFUSED; i++)
		refused[i] = client();
	let_stand(fds, COUNT_OF(fds));
	for (int i = 0; i < REFUSED; i++)
		say(refused[i], OUT);
	say_long(fds[1], "GET", PATIENT);
	let_in();
	assert_int_equal(at_gate(), PATIENT);
	for (int k = 0; k < REFUSED; k++)
		told += readable(refused[k], 0);
	assert_in_range(told, 0, REFUSED / 2);
	*wall_passed_s += config.write_timeout_ms / 1000;       /* the others are late, and a sweep
	                                                         * is due, while it stands still */
	let_in();
	for (int i = 0; i < REFUSED; i++) {
		assert_int_equal(hear(refused[i]), 503);
		assert_true(said("Too many"));
		close(refused[i]);
	}
	assert_int_equal(hear(first), 503);
	assert_true(said("is unknown"));
	close(first);
	hear_all(fds, COUNT_OF(fds));
}

/* Many who are late at once are told so a few in a turn: others come between. */
static void test_late_crowd(void **state)
{
	enum { LATE = 100, A_TURN = 4 };
	int late[LATE], fds[4], told;

	(void)state;
	process_skip_32();
	process_prepare();
	config.header_timeout_ms = 30000;
	wall_prepare();
	shut_gate();
	begin();
	for (int i = 0; i < LATE; i++) {
		late[i] = client();
		say(late[i], "GET /resol");
	}
	let_stand(fds, COUNT_OF(fds));
	*wall_passed_s += 30;   /* all are late, and a sweep is due, while it stands still */
	told = told_meanwhile(fds, COUNT_OF(fds), late, LATE, A_TURN);
	assert_true(told > 0);
	for (int i = 0; i < LATE; i++) {
		assert_int_equal(hear(late[i]), 408);
		expect_end(late[i]);
	}
	hear_all(fds, COUNT_OF(fds));
}

/* Who has sent all in time, and waits because the front is slow, is answered: no 408. */
enum { WAITING = 40 };

static int waiting[WAITING];

/* One at the gate holds all others up for so long that they are late, and a sweep is due. */
static void stand_still(void)
{
	assert_int_equal(at_gate(), PATIENT);
	*wall_passed_s += 31;
	let_in();
}

static void begin_slow(void)
{
	process_skip_32();
	process_prepare();
	config.header_timeout_ms = config.body_timeout_ms = 30000;
	config.max_pipeline = 1;
	wall_prepare();
	shut_gate();
	begin();
	for (int i = 0; i < WAITING; i++)
		waiting[i] = client();
}

static void expect_answers(int each)
{
	for (int i = 0; i < WAITING; i++) {
		for (int k = 0; k < each; k++)
			assert_int_equal(hear(waiting[i]), 200);
		close(waiting[i]);
	}
}

/* What they sent was read, and waits on the ready list. */
static void test_slow_front(void **state)
{
	enum { EACH = 3 };

	(void)state;
	begin_slow();
	for (int i = 0; i < WAITING * EACH; i++)
		say_long(waiting[i / EACH], "GET", PATIENT);
	for (int n = 0; n < WAITING * EACH; n++) {
		if (n == WAITING * 3 / 2) {
			stand_still();
			continue;
		}
		assert_int_equal(at_gate(), PATIENT);
		let_in();
	}
	expect_answers(EACH);
}

/* The end of what they sent was not read. */
static void test_slow_front_has_not_read(void **state)
{
	int patient;

	(void)state;
	begin_slow();
	for (int i = 0; i < WAITING; i++)
		say(waiting[i], "GET /api/login/?2000 HTTP/1.1\r\n" HOST);
	patient = client();
	for (int turn = 0; turn < 8; turn++) {          /* by then the beginnings were read */
		say_long(patient, "GET", PATIENT);
		assert_int_equal(at_gate(), PATIENT);
		let_in();
		assert_int_equal(hear(patient), 200);
	}
	say_long(patient, "GET", PATIENT);
	assert_true(readable(knocks[0], PROCESS_WAIT_MS));
	for (int i = 0; i < WAITING; i++)
		say(waiting[i], SID "\r\n");
	stand_still();
	for (int i = 0; i < WAITING; i++) {
		assert_int_equal(at_gate(), PATIENT);
		let_in();
	}
	assert_int_equal(hear(patient), 200);
	close(patient);
	expect_answers(1);
}

#define SERVING(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* A shopper's token for the client id `web`, made at `now_s` as the writer makes it. */
static void make_token(uint64_t now_s, struct buf *token)
{
	static const struct client_record web = { .name = { "web", 3 }, .scopes = SCOPE_SHOP };
	static const uint8_t drawn[TOKEN_RANDOM_LEN] = { 9 };
	static const struct http_request nothing;
	char secret_text[SECRET_MAX], bytes[TOKEN_RECORD_MAX], error[SECRET_ERROR_MAX];
	uint8_t seal_key[SEAL_KEY_LEN] = { 0 };
	struct buf secret = BUF(secret_text), record = BUF(bytes);
	struct session_owner ada = { .customer_id = 1 };
	struct http_response none = { .status = HTTP_OK };
	struct token_key_record key;
	enum kv_status status;

	must(secret_read(config.sid_secret_file, &secret, error), error);
	store_open(KV_WRITE);
	assert_int_equal(kv_begin(store), KV_OK);
	assert_int_equal(client_add(store, SLICE("web"), &web, &status), CLIENT_ADDED);
	assert_true(token_generate(&record, TOKEN_HS256, seal_key, drawn));
	assert_true(record_token_key_read(buf_slice(&record), &key));
	assert_int_equal(token_add(store, &key, now_s, 0), KV_OK);
	{
		struct call c = {
			.config = &config, .sid_secret = buf_slice(&secret), .request = &nothing,
			.kv = store, .now_us = now_s * 1000000, .response = &none,
		};

		identity_clear(&c.identity);
		memcpy(c.identity.client_id, "web", c.identity.client_id_len = 3);
		assert_int_equal(call_start_token(&c, &ada, token), CALL_DONE);
	}
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
}

/* What was made while a turn goes on is judged in it by a time that is not behind (J14). */
static void test_clock_of_a_long_turn(void **state)
{
	enum { LONG_S = 60 };
	char bytes[CALL_TOKEN_MAX + 1] = "", head[CALL_TOKEN_MAX + 200];
	struct buf token = { bytes, 0, sizeof bytes - 1, false };
	int patient, other;

	(void)state;
	process_skip_32();
	wall_prepare();
	process_prepare();
	config.token_alg = TOKEN_HS256;
	shut_gate();
	begin();
	patient = client();
	other = client();
	kill(process_pid, SIGSTOP);     /* both come in one turn */
	say_long(patient, "GET", PATIENT);
	say(other, "GET /resolve?require=customer HTTP/1.1\r\n");
	kill(process_pid, SIGCONT);
	assert_int_equal(at_gate(), PATIENT);
	*wall_by_s = LONG_S;
	make_token((uint64_t)time(NULL) + LONG_S, &token);
	snprintf(head, sizeof head, "Host: a\r\nAuthorization: Bearer %s\r\n\r\n", bytes);
	say(other, head);
	let_in();
	assert_int_equal(hear(patient), 200);
	assert_int_equal(hear(other), 204);
	close(patient);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(test_hand_over),
		SERVING(test_bodies),
		SERVING(test_long_bodies),
		SERVING(test_order),
		SERVING(test_stale_answers),
		SERVING(test_failed_answers),
		SERVING(test_last_answer),
		SERVING(test_link_lost),
		SERVING(test_full_link),
		SERVING(test_fresh_snapshot),
		SERVING(test_touch),
		SERVING(test_identity_is_not_carried_over),
		SERVING(test_head_only),
		SERVING(test_long_answers),
		SERVING(test_too_long_answer),
		SERVING(test_long_answers_of_the_writer),
		cmocka_unit_test_teardown(test_bodies_over_64k, tear_down),
		cmocka_unit_test(test_body_limits),
		cmocka_unit_test_teardown(test_long_bodies_at_once, tear_down),
		cmocka_unit_test_teardown(test_long_request_of_a_dead_client, tear_down),
		cmocka_unit_test_teardown(test_answers_pass_requests, tear_down),
		cmocka_unit_test_teardown(test_memory_is_given_back, tear_down),
		cmocka_unit_test_teardown(test_crowd, tear_down),
		cmocka_unit_test_teardown(test_batches, tear_down),
		cmocka_unit_test_teardown(test_heavy_crowd, tear_down),
		cmocka_unit_test_teardown(test_refused_crowd, tear_down),
		cmocka_unit_test_teardown(test_refused_late, tear_down),
		cmocka_unit_test_teardown(test_late_crowd, tear_down),
		cmocka_unit_test_teardown(test_slow_front, tear_down),
		cmocka_unit_test_teardown(test_slow_front_has_not_read, tear_down),
		cmocka_unit_test_teardown(test_slow_readers, tear_down),
		cmocka_unit_test_teardown(test_answer_to_the_one_before, tear_down),
		cmocka_unit_test_teardown(test_slow_writer, tear_down),
		cmocka_unit_test_teardown(test_no_descriptors, tear_down),
		cmocka_unit_test(test_drain),
		cmocka_unit_test_teardown(test_clock, tear_down),
		cmocka_unit_test_teardown(test_clock_of_a_long_turn, tear_down),
	};

	if (!link_open(&writer))
		return 1;
	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
