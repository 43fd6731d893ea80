/* fuzz_link.c -- any packets as a front's or as the writer's: a request or an answer is taken
 * where, and only where, they are one whole message after the other; what else comes ends the
 * link. And what is sent is received.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

#define INPUT_MAX 8192

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct link ours, theirs;

static void join(int *other)
{
	size_t room;
	int pair[2];

	if (ours.in.ptr == NULL)
		CHECK(link_open(&ours) && link_open(&theirs));
	CHECK(link_pair(pair, LINK_PACKET_MAX, &room));
	link_join(&ours, pair[0]);
	*other = pair[1];
}

/* What has come, as the description of a message in link.c has it. */
static struct {
	uint8_t bytes[INPUT_MAX];
	size_t len;
} model;

static enum link_result expected(bool answers)
{
	size_t head = answers ? sizeof(struct link_answer) : sizeof(struct link_request);
	struct link_request r;
	uint32_t due;

	if (model.len < sizeof due)
		return LINK_GONE;
	memcpy(&due, model.bytes, sizeof due);
	if (model.len > due || due > ours.in.cap)
		return LINK_GONE;
	if (model.len < due)
		return LINK_LATER;
	if (due < sizeof due + head)
		return LINK_GONE;
	if (answers)
		return LINK_DONE;
	memcpy(&r, model.bytes + sizeof due, sizeof r);
	return (uint64_t)r.head_len + r.body_len == due - sizeof due - head ? LINK_DONE :
	       LINK_GONE;
}

static enum link_result receive(int other, bool answers, const uint8_t *packet, size_t len)
{
	size_t head = answers ? sizeof(struct link_answer) : sizeof(struct link_request);
	struct link_request r;
	struct link_answer a;
	enum link_result result;
	struct slice bytes;

	CHECK(send(other, packet, len, 0) == (ssize_t)len);
	memcpy(model.bytes + model.len, packet, len);
	model.len += len;
	result = answers ? link_receive_answer(&ours, &a, &bytes) :
	                   link_receive_request(&ours, &r, &bytes);
	CHECK(result == expected(answers));
	if (result != LINK_DONE)
		return result;
	CHECK(bytes.len == model.len - sizeof(uint32_t) - head);
	CHECK(memcmp(bytes.ptr, model.bytes + model.len - bytes.len, bytes.len) == 0);
	model.len = 0;
	return LINK_DONE;
}

static void check_round_trip(const uint8_t *data, size_t len)
{
	struct link_request sent = { .slot = 7, .head_len = (uint32_t)len / 2,
		                     .body_len = (uint32_t)(len - len / 2) }, got;
	struct link_answer answer = { 7, 8, 200, LINK_KEEP_ALIVE }, back;
	struct slice bytes;
	int other;

	join(&other);
	link_join(&theirs, other);
	CHECK(link_send_request(&theirs, &sent, slice_bytes(data, len / 2),
	                        slice_bytes(data + len / 2, len - len / 2)) == LINK_DONE);
	CHECK(link_receive_request(&ours, &got, &bytes) == LINK_DONE);
	CHECK(got.slot == 7 && bytes.len == len && memcmp(bytes.ptr, data, len) == 0);
	CHECK(link_send_answer(&ours, &answer, slice_bytes(data, len)) == LINK_DONE);
	CHECK(link_receive_answer(&theirs, &back, &bytes) == LINK_DONE);
	CHECK(memcmp(&back, &answer, sizeof back) == 0);
	CHECK(bytes.len == len && memcmp(bytes.ptr, data, len) == 0);
	link_leave(&theirs);
	link_leave(&ours);
}

/* The first byte: whose packets they are. Each stands behind a byte with its length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int other;

	if (len == 0 || len > INPUT_MAX)
		return 0;
	join(&other);
	model.len = 0;
	for (size_t at = 1; at < len;) {
		size_t n = data[at++];

		if (n > len - at)
			n = len - at;
		if (n == 0)
			continue;
		if (receive(other, data[0] % 2 == 1, data + at, n) == LINK_GONE)
			break;
		at += n;
	}
	close(other);
	link_leave(&ours);
	check_round_trip(data, len);
	return 0;
}
