/* test_link.c -- messages between processes: whole, in order, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "link.h"

#define BYTES_MAX 300000
#define HEAD      sizeof(struct link_request)
#define ORDER     sizeof(struct link_order)

static char bytes[BYTES_MAX], got[BYTES_MAX];
static int pair[2];

static int set_up(void **state)
{
	size_t room;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	return link_pair(pair, 70000, &room) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static size_t open_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(files);
	while (readdir(files) != NULL)
		count++;
	closedir(files);
	return count;
}

static void test_request(void **state)
{
	static const size_t lengths[][2] = {
		{ 1, 0 }, { 18, 0 }, { 300, 1 }, { 300, 5000 }, { 8192, 61000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct slice head = { bytes, lengths[i][0] };
		struct slice body = { bytes + 100, lengths[i][1] };
		struct link_request in, out = {
			.slot = 4095, .generation = 7, .route = 3, .now_us = UINT64_MAX,
			.flags = LINK_HEAD | LINK_KEEP_ALIVE, .head_len = (uint32_t)head.len,
			.body_len = (uint32_t)body.len, .peer = { { 1, 2, 3 } },
			.random = { 9, 8, 7 },
		};

		assert_int_equal(link_send_request(pair[0], &out, head, body), LINK_DONE);
		assert_int_equal(link_receive_request(pair[1], got, 70000, &in), LINK_DONE);
		assert_memory_equal(&in, &out, sizeof in);
		assert_memory_equal(got, head.ptr, head.len);
		assert_memory_equal(got + head.len, body.ptr, body.len);
		assert_int_equal(link_receive_request(pair[1], got, 70000, &in), LINK_LATER);
	}
}

static void test_answer(void **state)
{
	struct link_answer in, out = { 17, 3, 204, LINK_KEEP_ALIVE };
	struct buf response = { got, 0, LINK_ANSWER_MAX, true };

	(void)state;
	for (size_t len = 0; len <= LINK_ANSWER_MAX; len += LINK_ANSWER_MAX / 4) {
		out.slot++;
		assert_int_equal(link_send_answer(pair[1], &out, slice_bytes(bytes, len)),
		                 LINK_DONE);
		assert_int_equal(link_receive_answer(pair[0], &in, &response), LINK_DONE);
		assert_memory_equal(&in, &out, sizeof in);
		assert_int_equal(response.len, len);
		assert_false(response.full);
		assert_memory_equal(got, bytes, len);
	}
}

static void test_question(void **state)
{
	struct link_question in, out = { 99, ASK_PASSWORD };
	struct buf question = { got, 0, CALL_QUESTION_MAX, false };

	(void)state;
	assert_int_equal(link_send_question(pair[0], &out,
	                                    slice_bytes(bytes, CALL_QUESTION_MAX)), LINK_DONE);
	assert_int_equal(link_receive_question(pair[1], &in, &question), LINK_DONE);
	assert_memory_equal(&in, &out, sizeof in);
	assert_memory_equal(got, bytes, CALL_QUESTION_MAX);
	assert_int_equal(question.len, CALL_QUESTION_MAX);
}

/* What was sent before the end comes whole, and then the end. */
static void test_gone(void **state)
{
	struct link_answer a = { 0 };
	struct buf response = { got, 0, sizeof got, false };

	(void)state;
	assert_int_equal(link_send_answer(pair[0], &a, SLICE("one")), LINK_DONE);
	assert_int_equal(link_send_answer(pair[0], &a, SLICE("two")), LINK_DONE);
	close(pair[0]);
	assert_int_equal(link_receive_answer(pair[1], &a, &response), LINK_DONE);
	assert_int_equal(link_receive_answer(pair[1], &a, &response), LINK_DONE);
	assert_true(slice_eq(buf_slice(&response), SLICE("two")));
	assert_int_equal(link_receive_answer(pair[1], &a, &response), LINK_GONE);
	assert_int_equal(link_send_answer(pair[1], &a, SLICE("three")), LINK_GONE);
	pair[0] = dup(pair[1]);
}

/* A full link takes nothing, loses nothing, and has room again later. */
static void test_full(void **state)
{
	struct link_answer in, out = { 0 };
	struct buf response = { got, 0, sizeof got, false };
	uint32_t sent = 0, received = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (;;) {
			out.slot = sent;
			if (link_send_answer(pair[0], &out, slice_bytes(bytes, 3000)) != LINK_DONE)
				break;
			sent++;
		}
		assert_int_equal(link_send_answer(pair[0], &out, SLICE("x")), LINK_LATER);
		for (int i = 0; i < 10; i++, received++) {
			assert_int_equal(link_receive_answer(pair[1], &in, &response), LINK_DONE);
			assert_int_equal(in.slot, received);
		}
	}
	assert_true(sent > 30);
	for (; received < sent; received++) {
		assert_int_equal(link_receive_answer(pair[1], &in, &response), LINK_DONE);
		assert_int_equal(in.slot, received);
		assert_int_equal(response.len, 3000);
	}
	assert_int_equal(link_receive_answer(pair[1], &in, &response), LINK_LATER);
}

/* Whoever sends such a thing is out of his mind: he is as good as gone. */
static void test_maimed_request(void **state)
{
	static const struct {
		const char *name;
		uint32_t head_len, body_len;
		size_t sent, cap;
	} cases[] = {
		{ "nothing at all",       0,          0,          0,          100 },
		{ "one byte",             0,          0,          1,          100 },
		{ "a head cut short",     0,          0,          HEAD - 1,   100 },
		{ "a byte missing",       10,         10,         HEAD + 19,  100 },
		{ "a byte too many",      10,         10,         HEAD + 21,  100 },
		{ "more than the buffer", 60,         41,         HEAD + 101, 100 },
		{ "lengths that wrap",    UINT32_MAX, 1,          HEAD,       100 },
		{ "lengths that wrap, 2", UINT32_MAX, UINT32_MAX, HEAD + 99,  100 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct link_request in, out = { .head_len = cases[i].head_len,
			                        .body_len = cases[i].body_len };
		char message[sizeof out + 200] = { 0 };

		memcpy(message, &out, sizeof out);
		assert_int_equal(send(pair[0], message, cases[i].sent, 0), (int)cases[i].sent);
		if (link_receive_request(pair[1], got, cases[i].cap, &in) != LINK_GONE)
			fail_msg("%s was taken", cases[i].name);
	}
}

static void test_order(void **state)
{
	struct link_order in, out = { ORDER_FRONT_LINK, 63 };
	int passed, through[2];
	char c = 0;
	size_t before = open_files();

	(void)state;
	assert_int_equal(link_send_order(pair[0], &out, -1), LINK_DONE);
	assert_int_equal(link_receive_order(pair[1], &in, &passed), LINK_DONE);
	assert_memory_equal(&in, &out, sizeof in);
	assert_int_equal(passed, -1);
	assert_int_equal(link_receive_order(pair[1], &in, &passed), LINK_LATER);
	assert_int_equal(passed, -1);

	assert_int_equal(pipe(through), 0);
	assert_int_equal(link_send_order(pair[0], &out, through[1]), LINK_DONE);
	close(through[1]);
	assert_int_equal(link_receive_order(pair[1], &in, &passed), LINK_DONE);
	assert_true(passed >= 0);
	assert_int_equal(write(passed, "x", 1), 1);
	assert_int_equal(read(through[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	close(passed);
	close(through[0]);
	assert_int_equal(open_files(), before);
}

/* Sends an order with `count` descriptors. */
static void send_raw_order(const struct link_order *o, size_t len, int count)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} passage = { .room = { 0 } };
	struct iovec whole = { (void *)(uintptr_t)o, len };
	struct msghdr message = { .msg_iov = &whole, .msg_iovlen = 1 };
	int fds[8];

	for (int i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
	if (count > 0) {
		message.msg_control = &passage;
		message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		passage.head.cmsg_level = SOL_SOCKET;
		passage.head.cmsg_type = SCM_RIGHTS;
		passage.head.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		memcpy(CMSG_DATA(&passage.head), fds, (size_t)count * sizeof(int));
	}
	assert_int_equal(sendmsg(pair[0], &message, 0), (int)len);
}

/* No descriptor is left open, whatever comes. */
static void test_maimed_order(void **state)
{
	static const struct {
		const char *name;
		uint32_t kind;
		size_t len;
		int fds;
		enum link_result result;
	} cases[] = {
		{ "no kind",            0,                ORDER,     0, LINK_GONE },
		{ "unknown kind",       ORDERS,           ORDER,     0, LINK_GONE },
		{ "unknown kind, file", 77,               ORDER,     1, LINK_GONE },
		{ "short",              ORDER_READY,      ORDER - 1, 0, LINK_GONE },
		{ "short, file",        ORDER_FRONT_LINK, ORDER - 1, 1, LINK_GONE },
		{ "two files",          ORDER_FRONT_LINK, ORDER,     2, LINK_DONE },
		{ "eight files",        ORDER_FRONT_LINK, ORDER,     8, LINK_DONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct link_order out = { cases[i].kind, 1 };
		struct link_order in;
		size_t before = open_files();
		int passed;
		enum link_result result;

		send_raw_order(&out, cases[i].len, cases[i].fds);
		result = link_receive_order(pair[1], &in, &passed);
		if (result != cases[i].result)
			fail_msg("%s: %d", cases[i].name, result);
		if (passed >= 0)
			close(passed);
		if (open_files() != before)
			fail_msg("%s: a descriptor is left open", cases[i].name);
	}
}

static void test_pair(void **state)
{
	size_t room, before = open_files();
	int big[2];

	(void)state;
	assert_false(link_pair(big, (size_t)1 << 29, &room));
	assert_true(room > 0 && room < (size_t)1 << 29);
	assert_int_equal(open_files(), before);
	assert_true(link_pair(big, 200000, &room));
	assert_true(room >= 200000);
	assert_int_equal(send(big[0], bytes, 200000, MSG_DONTWAIT), 200000);
	assert_int_equal(send(big[1], bytes, 200000, MSG_DONTWAIT), 200000);
	close(big[0]);
	close(big[1]);
}

/* The default settings and the largest that config.c allows. */
static void test_largest(void **state)
{
	struct config config;
	size_t room;
	int big[2];

	(void)state;
	config_defaults(&config);
	assert_true(link_largest(&config) >=
	            sizeof(struct link_request) + config.max_head + config.max_body);
	config.max_body = config.max_head = 1024;
	assert_true(link_largest(&config) >= sizeof(struct link_answer) + LINK_ANSWER_MAX);
	config.max_head = 64 << 10;
	config.max_body = 128 << 10;
	assert_true(link_pair(big, link_largest(&config), &room));
	close(big[0]);
	close(big[1]);
}

#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_request),       WITH_PAIR(test_answer),
		WITH_PAIR(test_question),      WITH_PAIR(test_gone),
		WITH_PAIR(test_full),          WITH_PAIR(test_maimed_request),
		WITH_PAIR(test_order),         WITH_PAIR(test_maimed_order),
		cmocka_unit_test(test_pair),   cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
