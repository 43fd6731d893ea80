/* test_server.c -- a front's process: the test plays supervisor, writer and clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <time.h>

#include "clock.h"
#include "identity.h"
#include "process.h"
#include "route.h"
#include "server.h"
#include "wall.h"               /* __wrap_clock_gettime */

#define HOST "Host: shop.example.com\r\nX-Api-Key: k\r\n"
#define SID  "Session-Id: SID:ANON:shop.example.com:a\r\n"
#define OUT  "DELETE /api/login/ HTTP/1.1\r\n" HOST SID "\r\n"      /* goes to the writer */
#define READ "GET /resolve?require=any HTTP/1.1\r\n" HOST SID "\r\n"
#define POST "POST /api/login/ HTTP/1.1\r\n" HOST SID "Content-Type: application/json\r\n"

static int listener;
static struct link writer;      /* the test's end of the link */
static uint16_t port;
static rlim_t files;            /* of the process, where not 0 */
static char text[300000];
static struct slice request_bytes;
static size_t text_len;
static struct link_request request;

static int run(int its_control)
{
	const struct rlimit limit = { files, files };

	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		if (fd != its_control && fd != listener)
			close(fd);
	if (files != 0)
		setrlimit(RLIMIT_NOFILE, &limit);
	return server_run(&config, its_control, &listener);
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
	link_leave(&writer);
	process_end();
	return 0;
}

static int client(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
		                        .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct timeval patience = { .tv_sec = PROCESS_WAIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
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

/* Bytes of the response that `text` begins with; 0: it is not whole. */
static size_t response_len(void)
{
	const char *end = memmem(text, text_len, "\r\n\r\n", 4);
	const char *length = memmem(text, text_len, "Content-Length: ", 16);
	size_t head = end != NULL ? (size_t)(end - text) + 4 : 0;
	size_t body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;

	return head > 0 && text_len >= head + body ? head + body : 0;
}

/* Reads one response into `text` and gives its status; 0: the end. */
static long hear(int fd)
{
	size_t len;

	text_len = 0;
	while ((len = response_len()) == 0) {
		if (text_len == sizeof text - 1 || recv(fd, text + text_len, 1, 0) != 1)
			return 0;
		text[++text_len] = '\0';
	}
	assert_int_equal(len, text_len);
	return strtol(text + strlen("HTTP/1.1 "), NULL, 10);
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
static void give(uint32_t status, uint32_t flags, const char *bytes)
{
	const struct link_answer a = { request.slot, request.generation, status, flags };

	assert_int_equal(link_send_answer(&writer, &a, slice_of(bytes)), LINK_DONE);
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
	request.generation++;
	give(200, LINK_KEEP_ALIVE, DONE);
	request.generation--;
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
	usleep(20000);
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
	usleep(20000);
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
		usleep(50000);
		say(more, OUT);
		assert_int_equal(hear(more), 503);
		assert_true(said("Too many"));
		reset(fds[WAITING - GONE]);
		fds[WAITING - GONE] = -1;
		usleep(20000);
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

/* The writer is slow: 503 in time, its late answer is nobody's, the connection goes on. */
static void test_slow_writer(void **state)
{
	int fd;

	(void)state;
	process_prepare();
	config.write_timeout_ms = 300;
	begin();
	fd = client();
	say(fd, OUT READ);
	take();
	assert_int_equal(hear(fd), 503);
	assert_true(said("is unknown"));
	assert_int_equal(hear(fd), 204);
	give(200, LINK_KEEP_ALIVE, DONE);
	say(fd, READ);
	assert_int_equal(hear(fd), 204);
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
	int idle, asked, half, busy;

	(void)state;
	process_prepare();
	begin();
	idle = client();
	asked = client();
	half = client();
	busy = client();
	say(idle, READ);
	assert_int_equal(hear(idle), 204);
	say(asked, OUT);
	take();
	say(half, "GET /resolve?require=any HTTP/1.1\r\n");
	usleep(50000);
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

#define SERVING(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
		cmocka_unit_test_teardown(test_slow_writer, tear_down),
		cmocka_unit_test_teardown(test_no_descriptors, tear_down),
		cmocka_unit_test(test_drain),
		cmocka_unit_test_teardown(test_clock, tear_down),
	};

	if (!link_open(&writer))
		return 1;
	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
