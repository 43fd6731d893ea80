/* link.h -- messages between the processes: requests, answers, questions, orders.
 *
 * Every link is one SOCK_SEQPACKET pair, so that a packet comes whole or not at all. Front
 * and writer speak of requests, writer and hasher of questions, the supervisor gives orders
 * and hands new links over. Both ends are the same binary on the same machine: heads travel
 * as they lie in memory. No call here blocks.
 * Memory  what was received points into the caller's buffer or the link's, until the next
 *         receive.
 * Errors  enum link_result. A cut or misshapen message is a mistake of the other end, which
 *         is then treated as gone.
 * Limits  one packet fits the socket's send buffer: link_pair() sees to it. A request or an
 *         answer that is longer goes in several, one message behind the other; questions and
 *         orders are single packets.
 * Source  unix(7), SCM_RIGHTS.
 */
#ifndef LINK_H
#define LINK_H

#include "address.h"
#include "bytes.h"

enum link_result {
	LINK_DONE,
	LINK_LATER,     /* full, or nothing is there: poll(2) says when; or no memory just now */
	LINK_GONE,      /* the other end is closed or out of its mind */
};

#define LINK_PACKET_MAX 65536           /* bytes that go in one packet */
#define LINK_HEAD_MAX   65536           /* bytes of a request's head */
#define LINK_BODY_MAX   1048576         /* bytes of a request's body */
#define LINK_ANSWER_MAX 1048576         /* bytes of a response, head and body */

/* Makes a pair whose either end can send a packet of `largest` bytes. False: `*room` is what
 * this system allows. */
bool link_pair(int pair[2], size_t largest, size_t *room);

/* One end of a link between front and writer. It holds at most one message that has come in
 * part, and at most one that was taken to be sent and that the socket has not had whole. */
struct link {
	int fd;                         /* -1: none */
	size_t due;                     /* bytes of the message that comes: 0, its first has not */
	size_t sent;                    /* bytes of `out` that are sent */
	uint32_t packets;               /* sent, over all links here: grows where one moves on */
	struct buf in, out;
};

/* Once, at start: without a link so far. False: no memory. */
bool link_open(struct link *l);
/* Takes `fd`, which is the link's from now on, in the place of what was there. */
void link_join(struct link *l, int fd);
/* Closes the socket, where there is one. What had come or gone in part is nothing. */
void link_leave(struct link *l);

/* True while the last message taken to be sent is not sent whole: link_flush() when poll(2)
 * says that there is room. */
static inline bool link_sending(const struct link *l)
{
	return l->sent < l->out.len;
}

/* Goes on with it. LINK_DONE: all is sent. */
enum link_result link_flush(struct link *l);
/* Gives back to the system what long messages needed and nothing needs now: now and then. What
 * was received last is gone. */
void link_trim(struct link *l);

enum link_flag {
	LINK_TOUCH      = 1 << 0,       /* renew what is due for this identity; no answer */
	LINK_KEEP_ALIVE = 1 << 1,       /* of an answer: the connection goes on */
	LINK_HEAD       = 1 << 2,       /* the method is HEAD: the answer has no body */
	LINK_HTTP10     = 1 << 3,
	LINK_HTTPS      = 1 << 5,       /* the connection is TLS */
	LINK_FAILED     = 1 << 4,       /* of an answer: no handler gave it; of the status and the
	                                 * bytes, a sentence, the front makes a response */
	LINK_PROVEN     = 1 << 5,       /* of an answer: the signature of the token is good */
};

/* A request that goes to the writer, before its head and body. The slot of its connection, and
 * its number of those that came from there, name it in its front; the writer only gives them
 * back. */
struct link_request {
	uint32_t slot, number;
	uint32_t route;                 /* route_number() */
	uint32_t flags;                 /* enum link_flag, ORed */
	uint32_t head_len, body_len;
	uint64_t now_us;
	struct address peer;
	uint8_t random[32];
};

/* LINK_DONE: the link has all of it, even where the socket has not. LINK_LATER: nothing. */
enum link_result link_send_request(struct link *l, const struct link_request *r,
                                   struct slice head, struct slice body);
/* `bytes`: the head, then the body. */
enum link_result link_receive_request(struct link *l, struct link_request *r,
                                      struct slice *bytes);

/* A finished response on its way back. */
struct link_answer {
	uint32_t slot, number;
	uint32_t status;                /* enum http_status */
	uint32_t flags;                 /* LINK_KEEP_ALIVE, LINK_FAILED, LINK_PROVEN */
};

/* As of requests. */
enum link_result link_send_answer(struct link *l, const struct link_answer *a,
                                  struct slice response);
enum link_result link_receive_answer(struct link *l, struct link_answer *a,
                                     struct slice *response);

/* A question to a hasher and its answer: the head, then the bytes (call.h). */
struct link_question {
	uint32_t ticket;                /* which one of the writer's; never the same twice */
	uint32_t kind;                  /* enum call_question_kind */
};

enum link_result link_send_question(int fd, const struct link_question *q, struct slice bytes);
enum link_result link_receive_question(int fd, struct link_question *q, struct buf *bytes);

/* Between the supervisor and a child. */
enum link_order_kind {
	/* to the supervisor */
	ORDER_READY = 1,        /* the child serves from now on */
	ORDER_NEED_LINK,        /* a front or hasher has no link to the writer: asked again and
	                         * again, since any message may be lost on its way */
	ORDER_NEED_HASHER,      /* the writer's hashers are all busy */
	/* to a child */
	ORDER_FRONT_LINK,       /* to the writer: the link of front `number` */
	ORDER_HASHER_LINK,      /* to the writer: the link of hasher `number` */
	ORDER_WRITER_LINK,      /* to a front or hasher: the link to the writer */
	ORDER_CHECK_READERS,    /* to the writer: a process died, free its reader slot */
	ORDER_DRAIN,            /* finish what was begun, then end; to a front with `number` not 0:
	                         * leave who is idle some time for one more request */
	ORDER_SETTINGS,         /* the descriptor holds the settings from now on (config_load()) */
	ORDER_IDENTITY,         /* to a front: it holds certificate and key (tls.h) */
	ORDERS
};

struct link_order {
	uint32_t kind;                  /* enum link_order_kind */
	uint32_t number;
};

/* `passed`: the descriptor that goes along, or -1; it stays open here. */
enum link_result link_send_order(int fd, const struct link_order *o, int passed);
/* A child's: ORDER_READY. False, with one line on stderr: it is not said, the child is to end. */
bool link_say_ready(int control);
/* `*passed`: the descriptor that came along and is now the caller's, or -1. */
enum link_result link_receive_order(int fd, struct link_order *o, int *passed);

#endif
