/* link.c -- see link.h. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "link.h"

#define OVERHEAD 32     /* bytes that the kernel takes of SO_SNDBUF for itself (af_unix.c) */
#define SPARE    4      /* messages of the largest size that are to fit, where the system lets us */

/* Either way of failing that is no fault. */
static enum link_result not_now(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)
		return LINK_LATER;
	return LINK_GONE;
}

static enum link_result send_parts(int fd, struct iovec *parts, size_t count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = count };

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? not_now() : LINK_DONE;
}

/* Receives a message of a head of exactly `head_len` bytes and up to `cap` more. */
static enum link_result receive_parts(int fd, void *head, size_t head_len, void *bytes, size_t cap,
                                      size_t *len)
{
	struct iovec parts[] = { { head, head_len }, { bytes, cap } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

	if (n < 0)
		return not_now();
	if ((size_t)n < head_len || (message.msg_flags & MSG_TRUNC) != 0)
		return LINK_GONE;
	*len = (size_t)n - head_len;
	return LINK_DONE;
}

static struct iovec part(const void *bytes, size_t len)
{
	return (struct iovec){ (void *)(uintptr_t)bytes, len };
}

static enum link_result receive_buf(int fd, void *head, size_t head_len, struct buf *bytes)
{
	bytes->full = false;
	return receive_parts(fd, head, head_len, bytes->ptr, bytes->cap, &bytes->len);
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

size_t link_largest(const struct config *config)
{
	size_t request = sizeof(struct link_request) + config->max_head + config->max_body;
	size_t answer = sizeof(struct link_answer) + LINK_ANSWER_MAX;

	static_assert(CALL_QUESTION_MAX + CALL_ANSWER_MAX < LINK_ANSWER_MAX,
	              "a question is never the largest message");
	return request > answer ? request : answer;
}

enum link_result link_send_request(int fd, const struct link_request *r, struct slice head,
                                   struct slice body)
{
	struct iovec parts[] = { part(r, sizeof *r), part(head.ptr, head.len),
		                 part(body.ptr, body.len) };

	assert(head.len == r->head_len && body.len == r->body_len);
	return send_parts(fd, parts, COUNT_OF(parts));
}

enum link_result link_receive_request(int fd, char *bytes, size_t cap, struct link_request *r)
{
	size_t len;
	enum link_result result = receive_parts(fd, r, sizeof *r, bytes, cap, &len);

	if (result != LINK_DONE)
		return result;
	return len == (size_t)r->head_len + r->body_len ? LINK_DONE : LINK_GONE;
}

enum link_result link_send_answer(int fd, const struct link_answer *a, struct slice response)
{
	struct iovec parts[] = { part(a, sizeof *a), part(response.ptr, response.len) };

	assert(response.len <= LINK_ANSWER_MAX);
	return send_parts(fd, parts, COUNT_OF(parts));
}

enum link_result link_receive_answer(int fd, struct link_answer *a, struct buf *response)
{
	return receive_buf(fd, a, sizeof *a, response);
}

enum link_result link_send_question(int fd, const struct link_question *q, struct slice bytes)
{
	struct iovec parts[] = { part(q, sizeof *q), part(bytes.ptr, bytes.len) };

	return send_parts(fd, parts, COUNT_OF(parts));
}

enum link_result link_receive_question(int fd, struct link_question *q, struct buf *bytes)
{
	return receive_buf(fd, q, sizeof *q, bytes);
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
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? not_now() : LINK_DONE;
}

enum link_result link_receive_order(int fd, struct link_order *o, int *passed)
{
	struct iovec whole = { o, sizeof *o };
	union passage passage = { .bytes = { 0 } };
	/* Not one byte more: the kernel would fill it with further descriptors. */
	struct msghdr message = { .msg_iov = &whole, .msg_iovlen = 1, .msg_control = &passage,
		                  .msg_controllen = CMSG_LEN(sizeof *passed) };
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head;

	*passed = -1;
	if (n < 0)
		return not_now();
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
