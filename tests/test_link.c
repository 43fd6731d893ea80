/* test_link.c -- messages between processes: whole, in order, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "link.h"

#define HEAD  sizeof(struct link_request)
#define ORDER sizeof(struct link_order)
#define LEN   sizeof(uint32_t)

/* Stand in for the C library's: the next `failing` calls fail with `error`. */
static unsigned failing;
static int error;

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);

static bool fails(void)
{
	if (failing == 0)
		return false;
	failing--;
	errno = error;
	return true;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return fails() ? -1 : __real_sendmsg(fd, m, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	return fails() ? -1 : __real_recvmsg(fd, m, flags);
}

/* On 32 bits the C library has other names for these calls. */
static void need_stand_ins(void)
{
	if (sizeof(long) == 4)
		skip();
}

static char bytes[LINK_BODY_MAX + LINK_HEAD_MAX];
static struct link ends[2];
static int pair[2];             /* their sockets */

static void new_pair(void)
{
	size_t room;

	assert_true(link_pair(pair, LINK_PACKET_MAX, &room));
	link_join(&ends[0], pair[0]);
	link_join(&ends[1], pair[1]);
}

static int open_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 256 + i / 65536);
	return link_open(&ends[0]) && link_open(&ends[1]) ? 0 : -1;
}

static int set_up(void **state)
{
	(void)state;
	new_pair();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	link_leave(&ends[0]);
	link_leave(&ends[1]);
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

static enum link_result send_request(struct link *l, uint32_t slot, size_t head_len,
                                     size_t body_len)
{
	const struct link_request r = {
		.slot = slot, .number = 7, .route = 3, .now_us = UINT64_MAX,
		.flags = LINK_HEAD | LINK_KEEP_ALIVE, .head_len = (uint32_t)head_len,
		.body_len = (uint32_t)body_len, .peer = { { 1, 2, 3 } }, .random = { 9, 8, 7 },
	};

	return link_send_request(l, &r, slice_bytes(bytes, head_len),
	                         slice_bytes(bytes + 100, body_len));
}

static enum link_result send_answer(struct link *l, uint32_t slot, size_t len)
{
	const struct link_answer a = { slot, 3, 204, LINK_KEEP_ALIVE };

	return link_send_answer(l, &a, slice_bytes(bytes, len));
}

/* Receives one answer of these bytes. */
static void expect_answer(struct link *l, uint32_t slot, size_t len)
{
	const struct link_answer want = { slot, 3, 204, LINK_KEEP_ALIVE };
	struct link_answer a;
	struct slice response;

	assert_int_equal(link_receive_answer(l, &a, &response), LINK_DONE);
	assert_memory_equal(&a, &want, sizeof a);
	assert_int_equal(response.len, len);
	assert_memory_equal(response.ptr, bytes, len);
}

/* Receives a request, in as many turns of both ends as it takes. */
static enum link_result move(struct link *from, struct link *to, struct link_request *r,
                             struct slice *come)
{
	enum link_result result = LINK_LATER;

	for (int i = 0; i < 100 && result == LINK_LATER; i++) {
		assert_int_not_equal(link_flush(from), LINK_GONE);
		result = link_receive_request(to, r, come);
	}
	return result;
}

static void test_request(void **state)
{
	static const size_t lengths[][2] = {
		{ 1, 0 }, { 18, 0 }, { 300, 1 }, { 300, 5000 }, { 8192, 61000 },
		{ 100, LINK_PACKET_MAX - LEN - HEAD - 101 },
		{ 100, LINK_PACKET_MAX - LEN - HEAD - 100 },            /* one whole packet */
		{ 100, LINK_PACKET_MAX - LEN - HEAD - 99 },
		{ 100, 2 * LINK_PACKET_MAX - LEN - HEAD - 100 },        /* two */
		{ LINK_HEAD_MAX, 0 }, { 200, LINK_BODY_MAX }, { LINK_HEAD_MAX, LINK_BODY_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		size_t head = lengths[i][0], body = lengths[i][1];
		struct link_request r;
		struct slice come;

		assert_int_equal(send_request(&ends[0], (uint32_t)i, head, body), LINK_DONE);
		assert_int_equal(move(&ends[0], &ends[1], &r, &come), LINK_DONE);
		assert_false(link_sending(&ends[0]));
		assert_int_equal(r.slot, i);
		assert_int_equal(r.number, 7);
		assert_int_equal(r.now_us, UINT64_MAX);
		assert_int_equal(r.random[2], 7);
		assert_int_equal(come.len, head + body);
		assert_memory_equal(come.ptr, bytes, head);
		assert_memory_equal(come.ptr + head, bytes + 100, body);
		assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_LATER);
	}
}

static void test_answer(void **state)
{
	struct link_answer a;
	struct slice come;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		size_t len = (size_t)i * (LINK_PACKET_MAX / 64);

		assert_int_equal(send_answer(&ends[1], i, len), LINK_DONE);
		expect_answer(&ends[0], i, len);
	}
	assert_int_equal(link_receive_answer(&ends[0], &a, &come), LINK_LATER);
}

/* Longer than the socket takes at once: the rest follows as the other end reads, and in the
 * meantime the link takes nothing else. */
static void test_long_answers(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		size_t len = LINK_ANSWER_MAX - i * 1000;
		struct link_answer a;
		struct slice come;
		uint32_t packets = ends[1].packets;

		assert_int_equal(send_answer(&ends[1], i, len), LINK_DONE);
		assert_true(link_sending(&ends[1]));
		assert_int_equal(send_answer(&ends[1], 99, 1), LINK_LATER);
		assert_int_equal(link_receive_answer(&ends[0], &a, &come), LINK_LATER);
		link_trim(&ends[0]);            /* takes nothing that is needed */
		link_trim(&ends[1]);
		while (link_sending(&ends[1])) {
			assert_int_equal(link_receive_answer(&ends[0], &a, &come), LINK_LATER);
			assert_int_not_equal(link_flush(&ends[1]), LINK_GONE);
		}
		expect_answer(&ends[0], i, len);
		assert_int_equal(send_answer(&ends[1], i + 1, 1), LINK_DONE);
		expect_answer(&ends[0], i + 1, 1);
		assert_true(ends[1].packets - packets > len / LINK_PACKET_MAX);
	}
}

static size_t length(uint32_t number)
{
	return number * 52361 % LINK_ANSWER_MAX;
}

/* Both ends have sent all that the other has not read, and more; neither reads before it has
 * to. As long as each reads and flushes in turn, all comes through: a link that is full in one
 * direction holds up nothing in the other. */
static void test_both_full(void **state)
{
	enum { MESSAGES = 200 };
	uint32_t sent[2] = { 0 }, come[2] = { 0 }, idle = 0;

	(void)state;
	while (come[0] < MESSAGES || come[1] < MESSAGES) {
		bool moved = false;

		for (int e = 0; e < 2; e++) {
			struct link *l = &ends[e];

			link_flush(l);
			while (sent[e] < MESSAGES &&
			       send_answer(l, sent[e], length(sent[e])) == LINK_DONE)
				sent[e]++;
		}
		assert_true(come[0] + come[1] > 0 || (link_sending(&ends[0]) &&
		                                      link_sending(&ends[1])));
		for (int e = 0; e < 2; e++) {
			struct link_answer a;
			struct slice response;

			while (link_receive_answer(&ends[e], &a, &response) == LINK_DONE) {
				assert_int_equal(a.slot, come[e]);
				assert_int_equal(response.len, length(come[e]));
				assert_memory_equal(response.ptr, bytes, response.len);
				come[e]++;
				moved = true;
			}
		}
		idle = moved ? 0 : idle + 1;
		assert_true(idle < 100);
	}
}

/* Memory that a long message needed is the system's again. */
static void test_trim(void **state)
{
	size_t pages = (ends[0].in.cap + 4095) / 4096, resident = 0;
	struct link_answer a;
	struct slice come;

	(void)state;
	assert_int_equal(send_answer(&ends[1], 1, LINK_ANSWER_MAX), LINK_DONE);
	while (link_receive_answer(&ends[0], &a, &come) == LINK_LATER)
		assert_int_not_equal(link_flush(&ends[1]), LINK_GONE);
	for (int round = 0; round < 2; round++) {
		static unsigned char in[400];

		assert_true(pages <= sizeof in);
		for (int e = 0; e < 2; e++) {
			const struct buf *b = e == 0 ? &ends[0].in : &ends[1].out;

			assert_int_equal(mincore(b->ptr, b->cap, in), 0);
			resident = 0;
			for (size_t i = 0; i < pages; i++)
				resident += in[i] & 1;
			assert_true(round == 0 ? resident > LINK_ANSWER_MAX / 4096
			                       : resident <= LINK_PACKET_MAX / 4096);
			link_trim(&ends[e]);
		}
	}
	assert_int_equal(send_answer(&ends[1], 2, 5), LINK_DONE);
	expect_answer(&ends[0], 2, 5);
}

static void test_question(void **state)
{
	struct link_question in, out = { 99, ASK_PASSWORD };
	char got[CALL_QUESTION_MAX];
	struct buf question = BUF(got);

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
	struct link_answer a;
	struct slice response;

	(void)state;
	assert_int_equal(send_answer(&ends[0], 1, 3), LINK_DONE);
	assert_int_equal(send_answer(&ends[0], 2, 4), LINK_DONE);
	link_leave(&ends[0]);
	expect_answer(&ends[1], 1, 3);
	expect_answer(&ends[1], 2, 4);
	assert_int_equal(link_receive_answer(&ends[1], &a, &response), LINK_GONE);
	assert_int_equal(send_answer(&ends[1], 3, 5), LINK_GONE);
}

/* An end that dies within a message: no part of it is seen, neither there nor on the next
 * link, and what was to be sent to it is nothing either. */
static void test_gone_half_way(void **state)
{
	struct link_request r;
	struct slice come;

	(void)state;
	for (int lost = 0; lost < 2; lost++) {          /* who dies: the sender, the receiver */
		assert_int_equal(send_request(&ends[0], 1, 10, 20), LINK_DONE);
		assert_int_equal(send_request(&ends[0], 2, 100, LINK_BODY_MAX), LINK_DONE);
		assert_true(link_sending(&ends[0]));
		if (lost == 0) {
			link_leave(&ends[0]);
			assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_DONE);
			assert_int_equal(r.slot, 1);
			assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_GONE);
		} else {
			assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_DONE);
			assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_LATER);
			link_leave(&ends[1]);
			assert_int_equal(link_flush(&ends[0]), LINK_GONE);
			assert_int_equal(send_request(&ends[0], 3, 1, 1), LINK_GONE);
		}
		new_pair();
		assert_false(link_sending(&ends[0]));
		assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_LATER);
		assert_int_equal(send_request(&ends[0], 4, 1, 2), LINK_DONE);
		assert_int_equal(link_receive_request(&ends[1], &r, &come), LINK_DONE);
		assert_int_equal(r.slot, 4);
		assert_int_equal(come.len, 3);
	}
}

/* A full link takes nothing, loses nothing, and has room again later. */
static void test_full(void **state)
{
	struct link_answer a;
	struct slice come;
	uint32_t sent = 0, received = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		while (send_answer(&ends[0], sent, 3000) == LINK_DONE)
			sent++;
		assert_int_equal(send_answer(&ends[0], sent, 1), LINK_LATER);
		assert_false(link_sending(&ends[0]));
		for (int i = 0; i < 10; i++, received++)
			expect_answer(&ends[1], received, 3000);
	}
	assert_true(sent > 30);
	for (; received < sent; received++)
		expect_answer(&ends[1], received, 3000);
	assert_int_equal(link_receive_answer(&ends[1], &a, &come), LINK_LATER);
}

/* Whoever sends such a thing is out of his mind: he is as good as gone. */
static void test_maimed_request(void **state)
{
	static const struct {
		const char *name;
		uint32_t len, head_len, body_len;
		size_t packets[3];
	} cases[] = {
		{ "nothing at all",        0,               0,  0,  { 0 } },
		{ "one byte",              1,               0,  0,  { 1 } },
		{ "half a length",         3,               0,  0,  { 3 } },
		{ "a length alone",        LEN,             0,  0,  { LEN } },
		{ "length 0",              0,               0,  0,  { LEN + HEAD } },
		{ "a head cut short",      LEN + HEAD - 1,  0,  0,  { LEN + HEAD - 1 } },
		{ "a byte missing",        LEN + HEAD + 19, 10, 10, { LEN + HEAD + 19 } },
		{ "a byte too many",       LEN + HEAD + 21, 10, 10, { LEN + HEAD + 21 } },
		{ "more than it says",     LEN + HEAD + 20, 10, 10, { LEN + HEAD + 21 } },
		{ "more in two packets",   LEN + HEAD + 20, 10, 10, { LEN + HEAD + 19, 2 } },
		{ "more in three packets", LEN + HEAD + 20, 10, 10, { LEN + HEAD, 19, 2 } },
		{ "an empty packet",       LEN + HEAD + 20, 10, 10, { LEN + HEAD + 19, 0 } },
		{ "longer than any",       LEN + HEAD + LINK_HEAD_MAX + LINK_BODY_MAX + 1, 10, 10,
		  { LEN + HEAD + 20 } },
		{ "a length that wraps",   UINT32_MAX,      10, 10, { LEN + HEAD + 20 } },
		{ "lengths that wrap",     LEN + HEAD,      UINT32_MAX, 1, { LEN + HEAD } },
		{ "lengths that wrap, 2",  LEN + HEAD + 99, UINT32_MAX, UINT32_MAX,
		  { LEN + HEAD + 99 } },
		{ "another one's length",  LEN + HEAD + 20, 10, 90, { LEN + HEAD + 20 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct link_request in, out = { .head_len = cases[i].head_len,
			                        .body_len = cases[i].body_len };
		char message[LEN + sizeof out + 200] = { 0 };
		struct slice come;
		enum link_result result = LINK_LATER;

		memcpy(message, &cases[i].len, LEN);
		memcpy(message + LEN, &out, sizeof out);
		for (size_t p = 0; p < COUNT_OF(cases[i].packets) && result == LINK_LATER; p++) {
			size_t len = cases[i].packets[p];

			assert_int_equal(send(pair[0], message, len, 0), (int)len);
			result = link_receive_request(&ends[1], &in, &come);
		}
		if (result != LINK_GONE)
			fail_msg("%s was taken", cases[i].name);
		new_pair();
	}
}

/* However a message is cut, it is the same. */
static void test_odd_packets(void **state)
{
	const struct link_request out = { .slot = 5, .head_len = 30, .body_len = 7 };
	char message[LEN + sizeof out + 37];
	uint32_t len = sizeof message;

	(void)state;
	memcpy(message, &len, LEN);
	memcpy(message + LEN, &out, sizeof out);
	memcpy(message + LEN + sizeof out, bytes, 37);
	for (size_t cut = LEN; cut < len; cut++) {
		struct link_request in;
		struct slice come;

		assert_int_equal(send(pair[0], message, cut, 0), (int)cut);
		assert_int_equal(link_receive_request(&ends[1], &in, &come), LINK_LATER);
		assert_int_equal(send(pair[0], message + cut, len - cut, 0), (int)(len - cut));
		assert_int_equal(link_receive_request(&ends[1], &in, &come), LINK_DONE);
		assert_memory_equal(&in, &out, sizeof in);
		assert_true(slice_eq(come, slice_bytes(bytes, 37)));
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
		/* An emulator of another processor does not close what did not fit. */
		if (open_files() != before && getenv("EMULATED") == NULL)
			fail_msg("%s: a descriptor is left open", cases[i].name);
	}
}

static void fail_next(unsigned calls, int with)
{
	failing = calls;
	error = with;
}

/* One message of each sort there, whose every call meets `calls` failures first. */
static enum link_result carry(unsigned calls, int with)
{
	const struct link_request r = { .head_len = 3 };
	const struct link_question q = { .kind = ASK_HASH };
	const struct link_order o = { ORDER_READY, 0 };
	struct link_request r_got;
	struct link_question q_got;
	struct link_order o_got;
	struct slice got;
	struct buf text = BUF(bytes);
	enum link_result results[6];
	int passed;

	fail_next(calls, with);
	results[0] = link_send_request(&ends[0], &r, SLICE("abc"), (struct slice){ 0 });
	fail_next(calls, with);
	results[1] = link_receive_request(&ends[1], &r_got, &got);
	fail_next(calls, with);
	results[2] = link_send_question(pair[0], &q, SLICE("abc"));
	fail_next(calls, with);
	results[3] = link_receive_question(pair[1], &q_got, &text);
	fail_next(calls, with);
	results[4] = link_send_order(pair[0], &o, -1);
	fail_next(calls, with);
	results[5] = link_receive_order(pair[1], &o_got, &passed);
	failing = 0;
	for (size_t i = 1; i < COUNT_OF(results); i++)
		assert_int_equal(results[i], results[0]);
	return results[0];
}

static void test_failing_calls(void **state)
{
	static const int later[] = { EAGAIN, ENOBUFS, ENOMEM, ETOOMANYREFS };
	static const int gone[] = { EPIPE, ECONNRESET, EIO };

	(void)state;
	need_stand_ins();
	assert_int_equal(carry(1, EINTR), LINK_DONE);
	assert_int_equal(carry(7, EINTR), LINK_DONE);
	for (size_t i = 0; i < COUNT_OF(later); i++) {
		assert_int_equal(carry(1, later[i]), LINK_LATER);
		assert_int_equal(carry(0, 0), LINK_DONE);
	}
	for (size_t i = 0; i < COUNT_OF(gone); i++)
		assert_int_equal(carry(1, gone[i]), LINK_GONE);
}

static void test_ready(void **state)
{
	struct link_order o;
	int passed, null;

	(void)state;
	need_stand_ins();
	null = dup(STDERR_FILENO);
	assert_non_null(freopen("/dev/null", "w", stderr));
	fail_next(1, ENOMEM);
	assert_false(link_say_ready(pair[0]));
	fflush(stderr);
	dup2(null, STDERR_FILENO);
	close(null);
	assert_int_equal(link_receive_order(pair[1], &o, &passed), LINK_LATER);
	fail_next(1, EINTR);
	assert_true(link_say_ready(pair[0]));
	assert_int_equal(link_receive_order(pair[1], &o, &passed), LINK_DONE);
	assert_int_equal(o.kind, ORDER_READY);
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

#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_request),       WITH_PAIR(test_answer),
		WITH_PAIR(test_long_answers),  WITH_PAIR(test_both_full),
		WITH_PAIR(test_trim),          WITH_PAIR(test_question),
		WITH_PAIR(test_gone),          WITH_PAIR(test_gone_half_way),
		WITH_PAIR(test_full),          WITH_PAIR(test_maimed_request),
		WITH_PAIR(test_odd_packets),   WITH_PAIR(test_order),
		WITH_PAIR(test_maimed_order),  WITH_PAIR(test_failing_calls),
		WITH_PAIR(test_ready),         cmocka_unit_test(test_pair),
	};

	return cmocka_run_group_tests_name("link", tests, open_ends, NULL);
}
