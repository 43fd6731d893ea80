/* link.c -- see link.h. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "link.h"
#include "memory.h"

#define OVERHEAD 32     /* bytes that the kernel takes of SO_SNDBUF for itself (af_unix.c) */
#define SPARE    4      /* packets of the largest size that are to fit, where the system lets us */

/* A message on a link between front and writer: how many bytes it has, itself included, its
 * head, its bytes. */
#define LEN         sizeof(uint32_t)
#define MESSAGE_MAX (LEN + sizeof(struct link_request) + LINK_HEAD_MAX + LINK_BODY_MAX)

/* What a call has answered. The system may be full or out of memory for a while: no fault. */
static enum link_result judge(ssize_t n)
{
	if (n >= 0)
		return LINK_DONE;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
		return LINK_LATER;
	return LINK_GONE;
}

static enum link_result send_message(int fd, const struct msghdr *message)
{
	ssize_t n;

	do
		n = sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return judge(n);
}

static ssize_t receive(int fd, struct msghdr *message)
{
	ssize_t n;

	do
		n = recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	return n;
}

static enum link_result send_parts(int fd, struct iovec *parts, size_t count)
{
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };

	return send_message(fd, &message);
}

static struct iovec part(const void *bytes, size_t len)
{
	return (struct iovec){ (void *)(uintptr_t)bytes, len };
}

static size_t send_room(int fd)
{
	int size = 0;
	socklen_t len = sizeof size;

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) != 0 || size < OVERHEAD)
		return 0;
	return (size_t)size - OVERHEAD;
}

bool link_pair(int pair[2], size_t largest, size_t *room)
{
	int size = (int)(largest * SPARE);

	*room = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	for (int i = 0; i < 2; i++)
		if (send_room(pair[i]) < (size_t)size)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	*room = send_room(pair[0]);
	if (*room >= largest)
		return true;
	close(pair[0]);
	close(pair[1]);
	return false;
}

bool link_open(struct link *l)
{
	static_assert(MESSAGE_MAX >= LEN + sizeof(struct link_answer) + LINK_ANSWER_MAX,
	              "an answer fits what is sized for requests");
	static_assert(HTTP_FRAME_MAX + CALL_FIELDS_MAX + CALL_BODY_MAX <= LINK_ANSWER_MAX,
	              "a response fits an answer");
	*l = (struct link){
		.fd  = -1,
		.in  = { .ptr = memory_map(MESSAGE_MAX), .cap = MESSAGE_MAX },
		.out = { .ptr = memory_map(MESSAGE_MAX), .cap = MESSAGE_MAX },
	};
	return l->in.ptr != NULL && l->out.ptr != NULL;
}

void link_join(struct link *l, int fd)
{
	link_leave(l);
	l->fd = fd;
}

void link_leave(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->in.len = l->due = l->out.len = l->sent = 0;
}

void link_trim(struct link *l)
{
	if (l->in.len == l->due)
		memory_trim(l->in.ptr, l->in.cap, LINK_PACKET_MAX);
	if (!link_sending(l))
		memory_trim(l->out.ptr, l->out.cap, 0);
}

enum link_result link_flush(struct link *l)
{
	while (link_sending(l)) {
		size_t left = l->out.len - l->sent;
		struct iovec packet = part(l->out.ptr + l->sent,
		                           left < LINK_PACKET_MAX ? left : LINK_PACKET_MAX);
		enum link_result result = send_parts(l->fd, &packet, 1);

		if (result != LINK_DONE)
			return result;
		l->sent += packet.iov_len;
		l->packets++;
	}
	return LINK_DONE;
}

/* One that is too long for a packet is copied: whoever sends it is rid of it, whatever becomes
 * of him before it is sent whole. */
static enum link_result send_whole(struct link *l, size_t len, struct iovec *parts,
                                   size_t count)
{
	enum link_result result = link_flush(l);

	if (result != LINK_DONE)
		return result;
	assert(len <= l->out.cap);
	if (len <= LINK_PACKET_MAX) {
		result = send_parts(l->fd, parts, count);
		l->packets += result == LINK_DONE;
		return result;
	}
	l->out.len = l->sent = 0;
	for (size_t i = 0; i < count; i++)
		buf_put(&l->out, slice_bytes(parts[i].iov_base, parts[i].iov_len));
	return link_flush(l) == LINK_GONE ? LINK_GONE : LINK_DONE;
}

/* One more packet behind what has come of the message. */
static enum link_result receive_packet(struct link *l)
{
	struct buf *in = &l->in;
	struct iovec room = { in->ptr + in->len, in->cap - in->len };
	struct msghdr message = { .msg_iov = &room, .msg_iovlen = 1 };
	ssize_t n = receive(l->fd, &message);
	uint32_t len;

	if (n < 0)
		return judge(n);
	in->len += (size_t)n;
	if (n == 0 || in->len < LEN || (message.msg_flags & MSG_TRUNC) != 0)
		return LINK_GONE;
	memcpy(&len, in->ptr, LEN);
	l->due = len;
	return in->len <= l->due && l->due <= in->cap ? LINK_DONE : LINK_GONE;
}

static enum link_result receive_message(struct link *l, void *head, size_t head_len,
                                        struct slice *bytes)
{
	if (l->in.len == l->due)
		l->in.len = l->due = 0;
	do {
		enum link_result result = receive_packet(l);

		if (result != LINK_DONE)
			return result;
	} while (l->in.len < l->due);
	if (l->due < LEN + head_len)
		return LINK_GONE;
	memcpy(head, l->in.ptr + LEN, head_len);
	*bytes = slice_skip(buf_slice(&l->in), LEN + head_len);
	return LINK_DONE;
}

enum link_result link_send_request(struct link *l, const struct link_request *r,
                                   struct slice head, struct slice body)
{
	uint32_t len = (uint32_t)(LEN + sizeof *r + head.len + body.len);
	struct iovec parts[] = { part(&len, LEN), part(r, sizeof *r), part(head.ptr, head.len),
		                 part(body.ptr, body.len) };

	assert(head.len == r->head_len && body.len == r->body_len);
	assert(head.len <= LINK_HEAD_MAX && body.len <= LINK_BODY_MAX);
	return send_whole(l, len, parts, COUNT_OF(parts));
}

enum link_result link_receive_request(struct link *l, struct link_request *r,
                                      struct slice *bytes)
{
	enum link_result result = receive_message(l, r, sizeof *r, bytes);

	if (result != LINK_DONE)
		return result;
	return bytes->len == (uint64_t)r->head_len + r->body_len ? LINK_DONE : LINK_GONE;
}

enum link_result link_send_answer(struct link *l, const struct link_answer *a,
                                  struct slice response)
{
	uint32_t len = (uint32_t)(LEN + sizeof *a + response.len);
	struct iovec parts[] = { part(&len, LEN), part(a, sizeof *a),
		                 part(response.ptr, response.len) };

	assert(response.len <= LINK_ANSWER_MAX);
	return send_whole(l, len, parts, COUNT_OF(parts));
}

enum link_result link_receive_answer(struct link *l, struct link_answer *a,
                                     struct slice *response)
{
	return receive_message(l, a, sizeof *a, response);
}

enum link_result link_send_question(int fd, const struct link_question *q, struct slice bytes)
{
	struct iovec parts[] = { part(q, sizeof *q), part(bytes.ptr, bytes.len) };

	static_assert(sizeof *q + CALL_QUESTION_MAX <= LINK_PACKET_MAX &&
	              CALL_ANSWER_MAX <= CALL_QUESTION_MAX, "questions are single packets");
	return send_parts(fd, parts, COUNT_OF(parts));
}

enum link_result link_receive_question(int fd, struct link_question *q, struct buf *bytes)
{
	struct iovec parts[] = { { q, sizeof *q }, { bytes->ptr, bytes->cap } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = COUNT_OF(parts) };
	ssize_t n = receive(fd, &message);

	if (n < 0)
		return judge(n);
	if ((size_t)n < sizeof *q || (message.msg_flags & MSG_TRUNC) != 0)
		return LINK_GONE;
	bytes->len = (size_t)n - sizeof *q;
	bytes->full = false;
	return LINK_DONE;
}

/* Room for one descriptor, aligned as CMSG_FIRSTHDR() wants it. */
union passage {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

enum link_result link_send_order(int fd, const struct link_order *o, int passed)
{
	struct iovec whole = part(o, sizeof *o);
	struct msghdr message = { .msg_iov = &whole, .msg_iovlen = 1 };
	union passage passage = { .bytes = { 0 } };

	if (passed >= 0) {
		message.msg_control = &passage;
		message.msg_controllen = sizeof passage;
		passage.head = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type  = SCM_RIGHTS,
			.cmsg_len   = CMSG_LEN(sizeof passed),
		};
		memcpy(CMSG_DATA(&passage.head), &passed, sizeof passed);
	}
	return send_message(fd, &message);
}

bool link_say_ready(int control)
{
	const struct link_order ready = { ORDER_READY, 0 };
	bool said = link_send_order(control, &ready, -1) == LINK_DONE;

	if (!said)
		fprintf(stderr, "sidecart: start: the supervisor cannot be told: %s\n",
		        strerror(errno));
	return said;
}

enum link_result link_receive_order(int fd, struct link_order *o, int *passed)
{
	struct iovec whole = { o, sizeof *o };
	union passage passage = { .bytes = { 0 } };
	/* Not one byte more: the kernel would fill it with further descriptors. */
	struct msghdr message = { .msg_iov = &whole, .msg_iovlen = 1, .msg_control = &passage,
		                  .msg_controllen = CMSG_LEN(sizeof *passed) };
	ssize_t n = receive(fd, &message);
	const struct cmsghdr *head;

	*passed = -1;
	if (n < 0)
		return judge(n);
	head = CMSG_FIRSTHDR(&message);
	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof *passed))
		memcpy(passed, CMSG_DATA(head), sizeof *passed);
	if (n == sizeof *o && o->kind >= ORDER_READY && o->kind < ORDERS)
		return LINK_DONE;
	if (*passed >= 0)
		close(*passed);
	*passed = -1;
	return LINK_GONE;
}
