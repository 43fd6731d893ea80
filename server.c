/* server.c -- see server.h.
 *
 * A turn: wait; take what happened; run the connections on the ready list; every quarter of a
 * second look for deadlines that passed.
 *
 * What holds, and is asserted by its number where it can be:
 *  (1) No request is judged on a snapshot older than the read() that completed it: every
 *      serve() refreshes the snapshot, and reads come before it.
 *  (2) Answers leave in the order of their requests: nothing is parsed while the last request
 *      is with the writer, or while the socket has not taken an answer. One that comes when its
 *      request was given up is nobody's, least of all the next one's.
 *  (3) An idle connection holds neither input nor body.
 *  (4) No edge is lost: `readable` stays set until a read() has emptied the socket, and who
 *      stops before that is on the ready list or waits for an event that runs it again.
 *  (5) A connection is closed in one place, settle(), at the end of what was done for it.
 *  (6) Handshakes wait on the ready list, and one step of one of them is taken a turn: others
 *      wait for one computation with a key at most.
 *  (7) Between two connections the output is empty and the call is prepared anew: nothing of
 *      one request shows in the answer to another's.
 *  (8) A turn is short. It runs a few of the connections that something came for; the others
 *      are the crowd. Of these it runs a few, and a few that have more than a turn's part and wait
 *      on the ready list. Who has used less than the crowd goes before it, and so does who sends
 *      less than half as much at a time.
 *  (9) What there is to do for many at once is done for a few in a turn.
 * (10) Who has sent all in time is not late, however long it waits here.
 * (11) Who cannot be served is told last: he may ask again at once, and many of him would do
 *      nothing else.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "life.h"
#include "link.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "proxy.h"
#include "route.h"
#include "seccomp.h"
#include "secret.h"
#include "server.h"
#include "tls.h"

#define EVENTS_A_TURN    128
#define ACCEPTS_A_TURN   8
#define ANSWERED_A_TURN  128            /* requests; from there on one for each who has sent some */
#define RUNS_A_TURN      16             /* of connections that something came for, */
#define LISTED_A_TURN    8              /* and of those on a list, */
#define USED_A_TURN      32768          /* unless they have used so much */
#define ANSWER_USES      256            /* as many bytes that were read */
#define LINKED_A_TURN    16             /* answers taken from the link; requests given to it */
#define REFUSED_A_TURN   4              /* who finds that too many wait for the writer */
#define SWEPT_A_TURN     4              /* connections that a sweep has something to do for */
#define INPUT_MIN        16384          /* bytes of an input buffer */
#define OUTPUT_CAP       65536          /* bytes of short answers that leave in one write() */
#define KEPT_EACH        65536          /* bytes of a piece of output that waits for its reader */
#define BODY_CAP         65536          /* bytes of a body that is not long */
#define SWEEP_MS         250
#define LINGER_MS        1000           /* for the peer to read its last answer (RFC 9112, 9.6) */
#define LINGER_READS     4
#define THROTTLE_ENTRIES 16384
#define RANDOM_BYTES     4096           /* drawn at a time */
#define LOGGED_PATH_MAX  64
#define DETAIL_MAX       128            /* of a failure that the writer tells of */
#define MINUTE_MS        60000
#define GRACE_MS         5000           /* a peer that is idle may still ask once in this time */
#define IN_USE_MS        1000           /* who asked in this time gives way to no newcomer */
#define TOUCHED_MAX      (1u << 20)     /* bytes of free buffers that keep their memory */
#define TRIMMED_MAX      (16u << 20)    /* bytes of a pool that go back to the system at a time */

/* Numbers beyond those of connections, for what else epoll reports. */
enum {
	SLOT_CONTROL  = 0x7fffff00,
	SLOT_LINK,
	SLOT_LISTENER,                  /* and more: + index */
};

/* Equal buffers, had at start; those given back are taken first. A free one begins with the
 * address of the next. */
struct pool {
	char *base;
	size_t each;
	uint32_t count, fresh;          /* all; those of them that were taken at least once */
	uint32_t taken, touched;        /* now; ever, without what went back to the system */
	void *free;
};

struct input {
	struct http_request request;    /* the one at `start` */
	uint32_t start, next, end;      /* its first byte, the first behind it, what has come */
	uint32_t path;                  /* route_path_number() */
	char note[4 * LOGGED_PATH_MAX + 32];    /* what its log line says besides */
	char bytes[];
};

/* A body that comes in more than one read(). */
struct body {
	struct http_chunked chunked;
	bool is_long;                   /* of the pool of long ones */
	uint32_t len, limit;            /* what has come, what the path takes */
	char bytes[];
};

/* A part of what a socket has not taken. */
struct output {
	struct output *next;
	uint32_t sent, len;
	char bytes[KEPT_EACH - sizeof(void *) - 2 * sizeof(uint32_t)];
};
static_assert(sizeof(struct output) == KEPT_EACH, "whole pages");

enum conn_state {
	CONN_FREE,      /* no socket */
	CONN_HANDSHAKE, /* TLS: no keys are agreed on yet */
	CONN_PROXY,     /* the PROXY header has not come whole */
	CONN_IDLE,      /* nothing of a request has come */
	CONN_HEAD,      /* the input holds part of a head, or requests left for the next turn */
	CONN_BODY,      /* the head is judged and its body wanted; it gathers in the input, where
	                 * both fit, or in `body` */
	CONN_QUEUED,    /* input and body hold a request that waits for the link to take it */
	CONN_REFUSED,   /* too many do: the answer to this one says so, when a turn has time (11) */
	CONN_ASKED,     /* the writer has the request; the input keeps its head, for the framing */
	CONN_LAST,      /* the last answer was made; some of it may be in `output` */
	CONN_LINGER,    /* shut down for writing; what comes is dropped */
	CONN_BROKEN,    /* to be closed by settle() */
};

struct conn {
	struct conn *next_free;         /* the pool's */
	int fd;
	uint32_t generation;            /* grows with each use of the slot, */
	uint32_t asks;                  /* and this with each request that goes to the writer */
	uint8_t state;                  /* enum conn_state */
	bool ops;                       /* came on an ops listener */
	bool readable;                  /* (4) */
	bool peer_done;                 /* the peer has shut down: read until the end */
	bool asked_before;              /* a request of its was answered */
	bool listed;                    /* on a list */
	uint64_t used;                  /* in bytes; of who did not ask, as much as of the crowd */
	uint32_t came;                  /* bytes of its last read() */
	uint64_t deadline_ms;
	uint64_t started_us;            /* of a request that is to be logged; 0: it is not */
	uint64_t asked_us;              /* when the turn began that gave a request to the writer */
	struct input *input;
	struct body *body;
	struct output *output;          /* the first; not NULL: the socket is full */
	struct tls *tls;                /* NULL: what is on the socket is HTTP */
	struct address peer;
};

/* Slots that wait to be run, in their order. */
struct list {
	uint32_t *slots, count;
};

/* A connection in the queue to the writer; stale where the generation is another. */
struct waiter {
	uint32_t slot, generation;
};

struct server {
	const struct config *config;
	struct config reloaded;         /* where config points after a reload */
	struct http_limits limits;
	uint64_t timeout_ms[CONN_BROKEN];       /* of each state */
	int control, epoll;
	int listeners[CONFIG_LISTENERS_MAX];
	bool draining, ended, swept;    /* swept: since the last connection closed */
	uint32_t watched, knocked;      /* listeners, as bits: epoll tells of; somebody waits at */
	uint32_t open;                  /* connections */
	uint32_t sweep_at;              /* slot that the sweep goes on with */
	uint32_t runs, used;            /* of a turn: connections for an event; bytes, of all */
	uint32_t crowd_came;            /* bytes of a read() of the crowd's, of late */
	uint64_t crowd_used, most_used; /* by who was run last of the crowd; by who used most */
	uint64_t now_ms, sweep_ms;      /* monotonic */
	uint64_t turn_us;               /* the wall clock when the turn began */
	struct clock clock;
	uint64_t date_s;
	char date[HTTP_DATE_LEN];
	struct pool conns, inputs, bodies, long_bodies, outputs, tlss;
	struct tls_server *tls;         /* NULL: no listener has it */
	struct tls_identity identity;   /* of a reload, on its way there */
	uint32_t answered;              /* requests of this turn, without the writer */
	bool shaken;                    /* this turn had its step of a handshake (6) */
	size_t input_cap;               /* bytes of an input */
	struct list ready, crowd, refused;
	struct link link;               /* to the writer */
	uint32_t link_life;
	bool link_watched;              /* for room to send */
	bool graceful;                  /* draining, and idle connections get GRACE_MS */
	uint32_t asked;                 /* requests that the writer has */
	struct waiter *queue;           /* ring of max_waiting_writes */
	uint32_t queue_first, queued;
	enum kv_status snapshot;        /* KV_OK, or why no request can be judged */
	struct call call;
	struct http_response response;
	struct buf output;              /* answers of the connection at hand */
	struct throttle throttle;
	uint32_t requests;              /* for the sample that is logged */
	uint64_t forwarded_ms, refused_ms, doubled_ms;  /* not logged again before */
	uint32_t random_used;
	uint8_t random[RANDOM_BYTES];
	char sid_secret[SECRET_MAX];
	char question[CALL_QUESTION_MAX];
	char response_fields[CALL_FIELDS_MAX];
	char output_bytes[OUTPUT_CAP];
	struct throttle_entry throttle_entries[THROTTLE_ENTRIES];
};

static void *pool_take(struct pool *p)
{
	void *taken = p->free;

	if (taken != NULL)
		memcpy(&p->free, taken, sizeof p->free);
	else if (p->fresh < p->count)
		taken = p->base + p->fresh++ * p->each;
	p->taken += taken != NULL;
	p->touched = p->touched > p->fresh ? p->touched : p->fresh;
	return taken;
}

static void pool_give(struct pool *p, void *given)
{
	memcpy(given, &p->free, sizeof p->free);
	p->free = given;
	p->taken--;
}

/* What many at once have touched goes back to the system when none of them is taken any more, in
 * parts (9). True: that was the last. */
static bool pool_trim(struct pool *p)
{
	uint32_t keep, part = (uint32_t)(TRIMMED_MAX / p->each);

	if (p->taken == 0) {
		p->free = NULL;
		p->fresh = 0;
	}
	keep = p->fresh;
	if (p->touched == keep || p->touched * p->each <= TOUCHED_MAX)
		return true;
	if (p->touched - keep > part)
		keep = p->touched - part;
	memory_trim(p->base, p->touched * p->each, keep * p->each);
	p->touched = keep;
	return false;
}

static struct conn *conn_at(const struct server *s, uint32_t slot)
{
	return (struct conn *)(void *)s->conns.base + slot;
}

static uint32_t conn_slot(const struct server *s, const struct conn *c)
{
	return (uint32_t)(c - (const struct conn *)(const void *)s->conns.base);
}

/* The connection that was meant, or NULL where it has ended since. */
static struct conn *conn_find(const struct server *s, uint32_t slot, uint32_t generation)
{
	struct conn *c;

	if (slot >= s->conns.fresh)
		return NULL;
	c = conn_at(s, slot);
	return c->state != CONN_FREE && c->generation == generation ? c : NULL;
}

/* True where bytes may be read and parsed (2). */
static bool serving(const struct conn *c)
{
	return c->state >= CONN_PROXY && c->state <= CONN_BODY && c->output == NULL;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Returns the wall clock. */
static uint64_t move_clock(struct server *s, uint64_t ran_us)
{
	uint64_t wall_us = clock_us(CLOCK_REALTIME);

	clock_move(&s->clock, wall_us, ran_us);
	s->call.now_us = s->clock.now_us;
	return wall_us;
}

/* Once a turn. */
static void read_clocks(struct server *s)
{
	uint64_t ran_us = clock_us(CLOCK_MONOTONIC_COARSE), wall_us = move_clock(s, ran_us);

	s->now_ms = ran_us / 1000;
	s->turn_us = wall_us;
	if (wall_us / 1000000 == s->date_s)
		return;
	s->date_s = wall_us / 1000000;
	http_date(s->date, s->date_s);
}

static void enter(struct server *s, struct conn *c, enum conn_state state)
{
	assert(state > CONN_FREE && state < CONN_BROKEN);
	c->state = (uint8_t)state;
	if (c->output == NULL)          /* else the deadline of its reader holds */
		c->deadline_ms = s->now_ms + s->timeout_ms[state];
}

static void list_add(struct server *s, struct list *l, struct conn *c)
{
	if (c->listed)
		return;
	c->listed = true;
	l->slots[l->count++] = conn_slot(s, c);
}

static void list_ready(struct server *s, struct conn *c)
{
	list_add(s, &s->ready, c);
}

/* As much as that of something is done in a turn, unless it had a step of a handshake (9). */
static uint32_t part(const struct server *s, uint32_t most)
{
	return s->shaken ? 1 : most;
}

static void use(struct server *s, struct conn *c, uint32_t bytes)
{
	s->used += bytes;
	c->used += bytes;
	if (s->most_used < c->used)
		s->most_used = c->used;
}

static void release_input(struct server *s, struct conn *c)
{
	if (c->input != NULL)
		pool_give(&s->inputs, c->input);
	c->input = NULL;
}

static void give_body(struct server *s, struct body *b)
{
	if (b->is_long) {
		memory_trim(b, s->long_bodies.each, sizeof *b);
		pool_give(&s->long_bodies, b);
	} else {
		pool_give(&s->bodies, b);
	}
}

static void release_body(struct server *s, struct conn *c)
{
	if (c->body != NULL)
		give_body(s, c->body);
	c->body = NULL;
}

/* An empty one with room for `len` bytes, or NULL. */
static struct body *take_body(struct server *s, size_t len)
{
	bool is_long = len > BODY_CAP;
	struct body *b = pool_take(is_long ? &s->long_bodies : &s->bodies);

	if (b == NULL)
		return NULL;
	b->chunked = (struct http_chunked){ 0 };
	b->is_long = is_long;
	b->len = 0;
	return b;
}

/* False: no room is left for `more` bytes of a body whose length nobody has said. */
static bool extend_body(struct server *s, struct conn *c, size_t more)
{
	struct body *b = c->body, *extended;

	if (b->is_long || b->limit <= BODY_CAP || b->len + more <= BODY_CAP)
		return true;
	if ((extended = take_body(s, b->limit)) == NULL)
		return false;
	extended->chunked = b->chunked;
	extended->limit = b->limit;
	extended->len = b->len;
	memcpy(extended->bytes, b->bytes, b->len);
	give_body(s, b);
	c->body = extended;
	return true;
}

/* Gives back the first output. */
static void release_output(struct server *s, struct conn *c)
{
	struct output *o = c->output;

	c->output = o->next;
	pool_give(&s->outputs, o);
}

/* One more output behind those of the connection, or NULL. */
static struct output *add_output(struct server *s, struct conn *c)
{
	struct output **last = &c->output, *o = pool_take(&s->outputs);

	if (o == NULL)
		return NULL;
	o->next = NULL;
	o->sent = o->len = 0;
	if (c->output == NULL)
		c->deadline_ms = s->now_ms + s->config->write_timeout_ms;
	while (*last != NULL)
		last = &(*last)->next;
	return *last = o;
}

/* What could not be written waits until the socket takes it. */
static void keep_output(struct server *s, struct conn *c, struct slice rest)
{
	struct output *o = c->output;

	while (o != NULL && o->next != NULL)
		o = o->next;
	while (rest.len > 0) {
		size_t room = o != NULL ? sizeof o->bytes - o->len : 0;
		size_t len = rest.len < room ? rest.len : room;

		if (len == 0 && (o = add_output(s, c)) == NULL) {
			c->state = CONN_BROKEN;
			return;
		}
		memcpy(o->bytes + o->len, rest.ptr, len);
		o->len += (uint32_t)len;
		rest = slice_skip(rest, len);
	}
}

/* False: an answer of these bytes could not be kept, should its reader be slow. */
static bool output_has_room(const struct server *s, size_t len)
{
	return (len + OUTPUT_CAP) / sizeof((struct output *)0)->bytes <
	       s->outputs.count - s->outputs.taken;
}

/* As writev(2). */
static ssize_t write_both(const struct conn *c, struct slice first, struct slice then)
{
	struct iovec parts[] = { { (void *)(uintptr_t)first.ptr, first.len },
		                 { (void *)(uintptr_t)then.ptr, then.len } };

	if (c->tls != NULL)
		return tls_write(c->tls, c->fd, first, then);
	return then.len == 0 ? write(c->fd, first.ptr, first.len) : writev(c->fd, parts, 2);
}

/* Writes answers, or keeps them for later. */
static void put_answers(struct server *s, struct conn *c, struct slice first, struct slice then)
{
	ssize_t n = 0;
	size_t sent;

	if (first.len + then.len == 0 || c->state == CONN_BROKEN)
		return;
	while (c->output == NULL) {
		n = write_both(c, first, then);
		if (n >= 0 || errno != EINTR)
			break;
	}
	if (n < 0 && errno != EAGAIN) {
		c->state = CONN_BROKEN;
		return;
	}
	sent = n > 0 ? (size_t)n : 0;
	if (sent < first.len) {
		keep_output(s, c, slice_skip(first, sent));
		sent = first.len;
	}
	if (sent < first.len + then.len)
		keep_output(s, c, slice_skip(then, sent - first.len));
}

/* Writes the answers gathered in s->output. */
static void flush(struct server *s, struct conn *c)
{
	struct slice answers = buf_slice(&s->output);

	s->output.len = 0;
	put_answers(s, c, answers, (struct slice){ 0 });
}

/* The socket takes bytes again. */
static void flush_kept(struct server *s, struct conn *c)
{
	while (c->output != NULL) {
		struct output *o = c->output;
		struct slice rest = { o->bytes + o->sent, o->len - o->sent };
		ssize_t n = write_both(c, rest, (struct slice){ 0 });

		if (n < 0 && errno != EINTR) {
			if (errno != EAGAIN)
				c->state = CONN_BROKEN;
			return;
		}
		o->sent += n > 0 ? (uint32_t)n : 0;
		if (o->sent == o->len)
			release_output(s, c);
	}
	enter(s, c, (enum conn_state)c->state);
}

/* A path of `out`'s, without its query, which may hold what is nobody else's to know. */
static const char *quote_path(char out[4 * LOGGED_PATH_MAX + 3], struct slice uri)
{
	struct slice path = slice_cut(&uri, '?');

	path.len = path.len < LOGGED_PATH_MAX ? path.len : LOGGED_PATH_MAX;
	return log_quote(out, 4 * LOGGED_PATH_MAX + 3, path);
}

/* Whose request it is, and what a proxy asks for, while the call still knows. */
static void note_identity(struct server *s, struct conn *c)
{
	const struct identity *id = &s->call.identity;
	char key[LOG_KEY_LEN] = "-", quoted[4 * LOGGED_PATH_MAX + 3] = "";
	bool asked_for = id->original.uri.len > 0;

	if (id->kind != IDENTITY_NONE)
		log_key(key, id->session_key);
	if (asked_for)
		quote_path(quoted, id->original.uri);
	snprintf(c->input->note, sizeof c->input->note, " session=%s%s%s", key,
	         asked_for ? " uri=" : "", quoted);
}

/* The path itself may hold what is nobody else's to know: its template stands for it. */
static void log_request(const struct conn *c, uint32_t status, size_t bytes)
{
	const struct http_request *r = &c->input->request;
	char method[4 * HTTP_METHOD_MAX + 3];

	log_event(LOG_INFO, "request", "method=%s route=%s status=%u us=%llu bytes=%zu%s",
	          log_quote(method, sizeof method, r->method_name),
	          route_path_name(c->input->path), status,
	          (unsigned long long)(clock_us(CLOCK_MONOTONIC) - c->started_us), bytes,
	          c->input->note);
}

/* What a front answers by itself is timed once a turn, see count_turn(). */
static void count_request(struct server *s, const struct conn *c, uint32_t status)
{
	bool asked = c->state == CONN_ASKED || c->state == CONN_QUEUED;

	metrics_request(c->input->path, status);
	if (status == HTTP_TOO_MANY_REQUESTS && !asked)
		metrics_add(METRICS_RATE_LIMITED, 1);
	if (asked)
		metrics_observe(METRICS_WRITER_US,
		                s->turn_us > c->asked_us ? s->turn_us - c->asked_us : 0, 1);
	else
		s->answered++;
}

/* The request at hand was answered, with so many bytes: on to the next, or to the end. */
static void finish(struct server *s, struct conn *c, bool keep_alive, uint32_t status,
                   size_t bytes)
{
	if (c->started_us != 0)
		log_request(c, status, bytes);
	count_request(s, c, status);
	use(s, c, ANSWER_USES);
	c->started_us = 0;
	c->asked_before = true;
	release_body(s, c);
	c->input->start = c->input->next;
	if (c->input->start < c->input->end)
		http_request_init(&c->input->request);
	enter(s, c, keep_alive && !s->draining ? CONN_IDLE : CONN_LAST);
}

/* An answer that has no room behind those in s->output, be it because it is long: its head goes
 * with them, and its body from where it lies. How many bytes it has. */
static size_t put_long(struct server *s, struct conn *c, const struct http_framing *framing)
{
	struct route_match match;
	struct slice body;
	size_t before = s->output.len, bytes;

	if (s->response.body.len > OUTPUT_CAP && !output_has_room(s, s->response.body.len)) {
		route_find(&c->input->request, c->ops, &match);
		route_fail(&s->call, &match, HTTP_SERVICE_UNAVAILABLE,
		           "Too many long answers wait for their readers.", 1);
	}
	if (!http_response_write_head(&s->output, &s->response, framing, &body)) {
		bool written;

		flush(s, c);
		before = 0;
		written = http_response_write_head(&s->output, &s->response, framing, &body);
		assert(written);
		(void)written;
	}
	bytes = s->output.len - before + body.len;
	put_answers(s, c, buf_slice(&s->output), body);
	s->output.len = 0;
	return bytes;
}

/* Gathers s->response as the answer to the request at hand. */
static void respond(struct server *s, struct conn *c)
{
	const struct http_request *r = &c->input->request;
	bool keep_alive = r->keep_alive && !s->response.close && !s->draining &&
	                  !http_response_full(&s->response);
	const struct http_framing framing = {
		.head_only  = r->method == HTTP_HEAD,
		.keep_alive = keep_alive,
		.http10     = r->minor == 0,
		.date       = s->date,
		.hsts_s     = c->tls != NULL ? s->config->hsts_s : 0,
	};
	size_t before = s->output.len, bytes;

	if (http_response_write(&s->output, &s->response, &framing))
		bytes = s->output.len - before;
	else
		bytes = put_long(s, c, &framing);
	if (c->state != CONN_BROKEN)
		finish(s, c, keep_alive, s->response.status, bytes);
}

/* Hands in what every run of a request gets. */
static void prepare_call(struct server *s, const struct conn *c)
{
	s->call.request = &c->input->request;
	s->call.peer = c->peer;
	s->call.https = c->tls != NULL;
	s->call.store_status = KV_OK;
	s->call.not_ready = s->link.fd < 0 ? "The writer is away." : NULL;
	identity_clear(&s->call.identity);      /* of the request before */
}

/* Works out again what every answer carries of the request's identity, whatever else the
 * verdict says. */
static void prepare_failure(struct server *s, const struct conn *c, struct route_match *m)
{
	prepare_call(s, c);
	route_find(&c->input->request, c->ops, m);
	if (kv_refresh(s->call.kv) == KV_OK)
		route_judge(&s->call, m);
}

/* Ends the connection with a problem that no route has a say in. The call is prepared. */
static void refuse(struct server *s, struct conn *c, const struct http_refusal *refusal)
{
	route_refuse(&s->call, refusal->status, refusal->why);
	s->response.close = true;
	respond(s, c);
}

/* Answers with what no handler says, in the form of the route's surface. The call is
 * prepared. */
static void fail(struct server *s, struct conn *c, const struct route_match *m,
                 enum http_status status, const char *detail)
{
	route_fail(&s->call, m, status, detail, 1);
	respond(s, c);
}

/* Random bytes are drawn in bulk, and used once. */
static void draw_random(struct server *s, uint8_t out[32])
{
	if (s->random_used + 32 > sizeof s->random) {
		secret_random(s->random, sizeof s->random);
		s->random_used = 0;
	}
	memcpy(out, s->random + s->random_used, 32);
	explicit_bzero(s->random + s->random_used, 32);
	s->random_used += 32;
}

/* Where it fails, the next sweep tries again. */
static void link_watch(struct server *s, bool for_room)
{
	struct epoll_event e = {
		.events   = for_room ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.u64 = (uint64_t)s->link_life << 32 | SLOT_LINK,
	};

	if (s->link_watched != for_room &&
	    epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->link.fd, &e) == 0)
		s->link_watched = for_room;
}

static enum link_result send_request(struct server *s, struct conn *c,
                                     const struct route_match *m, struct slice body,
                                     uint32_t flags)
{
	const struct input *in = c->input;
	const struct http_request *r = &in->request;
	struct slice head = { in->bytes + in->start, r->head_len };
	struct link_request message = {
		.slot       = conn_slot(s, c),
		.number     = ++c->asks,
		.route      = route_number(m),
		.flags      = flags | (r->keep_alive ? LINK_KEEP_ALIVE : 0u) |
		              (r->method == HTTP_HEAD ? LINK_HEAD : 0u) |
		              (r->minor == 0 ? LINK_HTTP10 : 0u) |
		              (c->tls != NULL ? LINK_HTTPS : 0u),
		.head_len   = (uint32_t)head.len,
		.body_len   = (uint32_t)body.len,
		.now_us     = s->call.now_us,
		.peer       = c->peer,
	};
	enum link_result result;

	draw_random(s, message.random);
	result = link_send_request(&s->link, &message, head, body);
	if (link_sending(&s->link))
		link_watch(s, true);
	return result;
}

/* The writer has the request; its deadline is that of its waiting. */
static void asked(struct server *s, struct conn *c)
{
	assert(c->state == CONN_QUEUED);
	s->asked++;
	release_body(s, c);
	c->state = CONN_ASKED;
}

static const char too_many[] = "Too many requests wait for the writer: nothing was changed.";

/* Gives the request at hand to the writer, or a place in the queue to it. Who finds no place is
 * told so when a turn has time (11). */
static void hand_over(struct server *s, struct conn *c, const struct route_match *m)
{
	enum link_result result = LINK_LATER;

	c->asked_us = s->turn_us;
	if (s->asked + s->queued >= s->config->max_waiting_writes) {
		if (c->listed) {
			fail(s, c, m, HTTP_SERVICE_UNAVAILABLE, too_many);
			return;
		}
		enter(s, c, CONN_REFUSED);
		release_body(s, c);
		list_add(s, &s->refused, c);
		return;
	}
	if (s->link.fd < 0)
		result = LINK_GONE;
	else if (s->queued == 0)
		result = send_request(s, c, m, c->input->request.body, 0);
	switch (result) {
	case LINK_DONE:
		enter(s, c, CONN_QUEUED);
		asked(s, c);
		break;
	case LINK_LATER:
		enter(s, c, CONN_QUEUED);
		s->queue[(s->queue_first + s->queued++) % s->config->max_waiting_writes] =
			(struct waiter){ conn_slot(s, c), c->generation };
		link_watch(s, true);
		break;
	case LINK_GONE:
		fail(s, c, m, HTTP_SERVICE_UNAVAILABLE,
		     "The writer is away: nothing was changed.");
		break;
	}
}

/* The link has room: those in the queue go in their order, behind the rest of the last. */
static void send_queued(struct server *s)
{
	if (link_flush(&s->link) != LINK_DONE)
		return;
	for (int sent = 0; s->queued > 0 && sent < LINKED_A_TURN; sent++, s->queued--) {
		const struct waiter *w = &s->queue[s->queue_first];
		struct conn *c = conn_find(s, w->slot, w->generation);
		struct route_match match;

		if (c != NULL && c->state == CONN_QUEUED) {
			route_find(&c->input->request, c->ops, &match);
			if (send_request(s, c, &match, c->input->request.body, 0) != LINK_DONE)
				return;
			asked(s, c);
		}
		s->queue_first = (s->queue_first + 1) % s->config->max_waiting_writes;
	}
	link_watch(s, s->queued > 0 || link_sending(&s->link));
}

/* A renewal that is due never holds up the answer: head and identity go to the writer, and
 * nobody waits. Where the link is full, the next request of the session asks again. */
static void send_touch(struct server *s, struct conn *c, const struct route_match *m)
{
	if (s->link.fd >= 0 && s->queued == 0 && m->route != NULL)
		send_request(s, c, m, (struct slice){ 0 }, LINK_TOUCH);
}

static void store_failed(struct server *s, struct conn *c, const struct route_match *m)
{
	if (s->call.store_status == KV_FULL)
		fail(s, c, m, HTTP_INSUFFICIENT_STORAGE, "The store is full.");
	else
		fail(s, c, m, HTTP_SERVICE_UNAVAILABLE, "The store failed.");
}

/* Logs what a peer did that a setting speaks of, once a minute. */
static void log_peer(struct server *s, const struct conn *c, uint64_t *again_ms,
                     const char *event, const char *setting)
{
	char text[ADDRESS_TEXT_MAX];
	struct buf peer = BUF(text);

	if (s->now_ms < *again_ms)
		return;
	*again_ms = s->now_ms + MINUTE_MS;
	address_write(&peer, &c->peer);
	log_event(LOG_INFO, event, "setting=%s peer=%.*s", setting, (int)peer.len, peer.ptr);
}

/* The request is whole. */
static void answer(struct server *s, struct conn *c, const struct route_match *m)
{
	enum call_result result;

	prepare_call(s, c);
	if (s->snapshot == KV_OK)
		result = route_call(&s->call, m);
	else
		result = call_store(&s->call, s->snapshot);
	if (c->started_us != 0)
		note_identity(s, c);
	if (s->call.identity.cookie_doubled)
		log_peer(s, c, &s->doubled_ms, "cookie_doubled", "cookie_name");
	if (result == CALL_DONE) {
		if (s->call.identity.renewal_due)
			send_touch(s, c, m);
		respond(s, c);
	} else if (result == CALL_ASK || s->call.store_status == KV_READONLY) {
		hand_over(s, c, m);
	} else {
		store_failed(s, c, m);
	}
}

/* A body that is there is skipped; of one that is not, nothing is known: the connection ends
 * with the answer (F01). */
static void answer_head_only(struct server *s, struct conn *c, const struct route_match *m)
{
	struct input *in = c->input;
	struct http_request *r = &in->request;

	if (!r->chunked && r->content_length <= in->end - in->next)
		in->next += (uint32_t)r->content_length;
	else
		r->keep_alive = false;
	answer(s, c, m);
}

static void put_continue(struct server *s, struct conn *c)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (s->output.cap - s->output.len < sizeof interim)
		flush(s, c);
	buf_put(&s->output, SLICE(interim));
}

static void refuse_body(struct server *s, struct conn *c, const struct route_match *m)
{
	route_fail(&s->call, m, HTTP_SERVICE_UNAVAILABLE, "Too many long bodies come in.", 1);
	s->response.close = true;
	respond(s, c);
}

/* Judges before a body is waited for, also where it is there already: the answer is the same
 * however the request was cut (H33). */
static void begin_body(struct server *s, struct conn *c, const struct route_match *m)
{
	static const struct http_refusal too_long = { HTTP_CONTENT_TOO_LARGE, HTTP_BODY_TOO_LONG };
	struct input *in = c->input;
	const struct http_request *r = &in->request;
	bool in_place = !r->chunked && r->head_len + r->content_length <= s->input_cap;
	uint32_t limit = route_body_max(s->config, m);
	bool wanted;

	prepare_call(s, c);
	wanted = s->snapshot != KV_OK || route_judge(&s->call, m);
	if (r->content_length > limit) {
		refuse(s, c, &too_long);
		return;
	}
	if (!wanted) {
		s->response.close = true;
		respond(s, c);
		return;
	}
	if (!in_place && (c->body = take_body(s, (size_t)r->content_length)) == NULL) {
		refuse_body(s, c, m);
		return;
	}
	if (c->body != NULL)
		c->body->limit = limit;
	enter(s, c, CONN_BODY);
	if (r->expect_continue && r->minor > 0 && in->next == in->end)
		put_continue(s, c);
}

/* Takes bytes of a body of known length. */
static enum http_result feed_length(const struct http_request *r, struct slice *in,
                                    struct buf *body)
{
	size_t want = (size_t)r->content_length - body->len;
	struct slice part = { in->ptr, in->len < want ? in->len : want };

	buf_put(body, part);
	*in = slice_skip(*in, part.len);
	return part.len == want ? HTTP_READY : HTTP_MORE;
}

/* Moves what has come of a body out of the input. */
static enum http_result feed_body(struct server *s, struct conn *c, struct http_refusal *refusal)
{
	struct input *in = c->input;
	struct slice rest = { in->bytes + in->next, in->end - in->next };
	struct buf body = { c->body->bytes, c->body->len, c->body->limit, false };
	enum http_result result;

	if (in->request.chunked)
		result = http_chunked_feed(&c->body->chunked, &rest, &body, &s->limits, refusal);
	else
		result = feed_length(&in->request, &rest, &body);
	c->body->len = (uint32_t)body.len;
	in->next = in->end - (uint32_t)rest.len;
	if (result == HTTP_MORE)
		in->next = in->end = in->start + (uint32_t)in->request.head_len;
	in->request.body = buf_slice(&body);
	return result;
}

static enum http_result find_body(struct server *s, struct conn *c, struct http_refusal *refusal)
{
	struct input *in = c->input;
	struct http_request *r = &in->request;

	if (c->body != NULL)
		return feed_body(s, c, refusal);
	if (in->end - in->next < r->content_length)
		return HTTP_MORE;
	r->body = (struct slice){ in->bytes + in->next, (size_t)r->content_length };
	in->next += (uint32_t)r->content_length;
	return HTTP_READY;
}

/* One step of a connection with a judged head. False: more must come first. */
static bool take_content(struct server *s, struct conn *c)
{
	struct http_refusal refusal = { HTTP_BAD_REQUEST, "The body is broken." };
	struct route_match match;

	if (c->body != NULL && !extend_body(s, c, c->input->end - c->input->next)) {
		prepare_failure(s, c, &match);
		refuse_body(s, c, &match);
		return true;
	}
	switch (find_body(s, c, &refusal)) {
	case HTTP_MORE:
		return false;
	case HTTP_REFUSED:
		prepare_failure(s, c, &match);
		refuse(s, c, &refusal);
		return true;
	case HTTP_READY:
		break;
	}
	route_find(&c->input->request, c->ops, &match);
	if (route_draws(&match))
		draw_random(s, s->call.random);
	answer(s, c, &match);
	return true;
}

/* identify() ignores such fields of a peer that is no trusted proxy; its owner may wonder. */
static void log_forwarded(struct server *s, const struct conn *c)
{
	const struct slice *field = c->input->request.field;

	if ((slice_given(field[HTTP_X_FORWARDED_FOR]) ||
	     slice_given(field[HTTP_X_FORWARDED_HOST]) ||
	     slice_given(field[HTTP_X_FORWARDED_PROTO]) ||
	     slice_given(field[HTTP_X_FORWARDED_METHOD]) ||
	     slice_given(field[HTTP_X_FORWARDED_URI])) &&
	    !identity_peer_trusted(s->config, &c->peer))
		log_peer(s, c, &s->forwarded_ms, "forwarded_ignored", "trusted_proxies");
}

static bool to_be_logged(struct server *s)
{
	return s->config->log_requests > 0 && ++s->requests % s->config->log_requests == 0;
}

/* The first step of a connection on a proxy: listener. What is no PROXY header ends it
 * without an answer (F08). False: more must come first, or it is over. */
static bool take_proxy(struct server *s, struct conn *c)
{
	struct input *in = c->input;
	struct proxy_header header;

	switch (proxy_parse((struct slice){ in->bytes, in->end }, &header)) {
	case PROXY_MORE:
		return false;
	case PROXY_REFUSED:
		log_peer(s, c, &s->refused_ms, "proxy_refused", c->ops ? "ops_listen" : "listen");
		c->state = CONN_BROKEN;
		return false;
	case PROXY_READY:
		break;
	}
	if (header.named)
		c->peer = header.source;
	in->start = in->next = (uint32_t)header.len;
	enter(s, c, CONN_IDLE);
	return true;
}

/* A client whose requests come one behind the other gives each the same shape: where the next
 * one's Session-Id then stands is expected. */
static void expect_next(struct server *s, const struct input *in)
{
	struct slice sid = in->request.field[HTTP_SESSION_ID];

	if (!slice_given(sid) || in->next == in->end)
		return;
	sid.ptr += in->request.head_len;
	if (sid.ptr + sid.len <= in->bytes + in->end)
		identity_expect(s->call.memo, sid);
}

/* One step of a connection between two requests. False: more must come first. */
static bool take_head(struct server *s, struct conn *c)
{
	struct input *in = c->input;
	struct slice come = { in->bytes + in->start, in->end - in->start };
	struct http_refusal refusal;
	struct route_match match;

	in->path = 0;
	switch (http_parse(&in->request, come, &s->limits, &refusal)) {
	case HTTP_MORE:
		if (c->state == CONN_IDLE)
			enter(s, c, CONN_HEAD);
		return false;
	case HTTP_REFUSED:
		prepare_call(s, c);
		refuse(s, c, &refusal);
		return true;
	case HTTP_READY:
		break;
	}
	in->next = in->start + (uint32_t)in->request.head_len;
	in->note[0] = '\0';
	if (to_be_logged(s))
		c->started_us = clock_us(CLOCK_MONOTONIC);
	log_forwarded(s, c);
	expect_next(s, in);
	route_find(&in->request, c->ops, &match);
	in->path = route_path_number(&match);
	if (route_draws(&match))
		draw_random(s, s->call.random);
	if (!http_has_body(&in->request))
		answer(s, c, &match);
	else if (route_head_only(&match))
		answer_head_only(s, c, &match);
	else
		begin_body(s, c, &match);
	return true;
}

/* False: more must come first. */
static bool take_step(struct server *s, struct conn *c)
{
	if (c->state == CONN_PROXY)
		return take_proxy(s, c);
	return c->state == CONN_BODY ? take_content(s, c) : take_head(s, c);
}

/* The newest data, and a time that is not behind what it was made and judged by: what is new since
 * the turn began would be of the future. */
static enum kv_status renew_snapshot(struct server *s)
{
	enum kv_status status = kv_refresh(s->call.kv);

	if (status != KV_OK || s->clock.snapshot == kv_snapshot(s->call.kv))
		return status;
	move_clock(s, clock_us(CLOCK_MONOTONIC_COARSE));
	status = clock_follow(&s->clock, s->call.kv);
	s->call.now_us = s->clock.now_us;
	return status;
}

/* Answers what the input holds, as many steps as a turn has time for, and writes the answers. Whom
 * the turn had no time for waits among the crowd: who had his part in it is behind him (8). */
static void serve(struct server *s, struct conn *c)
{
	bool has_time = s->answered < ANSWERED_A_TURN;
	uint32_t limit = has_time ? s->config->max_pipeline : 1, steps = 0;

	assert(s->output.len == 0);                     /* (7) */
	s->snapshot = renew_snapshot(s);                /* (1) */
	while (serving(c) && c->input->start < c->input->end) {
		if (steps++ == limit) {
			list_add(s, has_time ? &s->ready : &s->crowd, c);
			break;
		}
		if (!take_step(s, c))
			break;
	}
	flush(s, c);
}

/* Moves what is left of the input to its front; the request's slices are made anew. */
static void compact(struct server *s, struct conn *c)
{
	struct input *in = c->input;
	struct http_refusal refusal;
	enum http_result result = HTTP_READY;

	memmove(in->bytes, in->bytes + in->start, in->end - in->start);
	in->end -= in->start;
	in->next -= in->start;
	in->start = 0;
	http_request_init(&in->request);
	if (c->state == CONN_BODY)
		result = http_parse(&in->request, (struct slice){ in->bytes, in->end }, &s->limits,
		                    &refusal);
	assert(result == HTTP_READY);
	(void)result;
}

static struct input *take_input(struct server *s)
{
	struct input *in = pool_take(&s->inputs);

	assert(in != NULL);     /* there are as many as connections */
	http_request_init(&in->request);
	in->start = in->next = in->end = 0;
	return in;
}

/* The socket is empty; of TLS, a record whose rest has not come may be the start of a head. */
static void wait_for_more(struct server *s, struct conn *c)
{
	c->readable = c->tls != NULL && c->peer_done;
	if (c->state == CONN_IDLE && c->tls != NULL && tls_in_record(c->tls))
		enter(s, c, CONN_HEAD);
}

/* One read(). True: something came. */
static bool fill(struct server *s, struct conn *c)
{
	struct input *in;
	size_t room;
	ssize_t n;

	if (c->input == NULL)
		c->input = take_input(s);
	else if (c->input->start > 0)
		compact(s, c);
	in = c->input;
	room = s->input_cap - in->end;
	assert(room > 0);
	n = c->tls == NULL ? read(c->fd, in->bytes + in->end, room) :
	    tls_read(c->tls, c->fd, in->bytes + in->end, room);
	if (n > 0) {
		use(s, c, (uint32_t)n);
		c->came = (uint32_t)n;
		in->end += (uint32_t)n;
		c->readable = (size_t)n == room || c->peer_done ||
		              (c->tls != NULL && tls_has_more(c->tls)); /* (4) */
		return true;
	}
	if (n < 0 && errno == EAGAIN)
		wait_for_more(s, c);
	else if (n == 0 || errno != EINTR)
		c->state = CONN_BROKEN;
	return false;
}

/* Drops what comes after the last answer. Between two connections the output is free. */
static void drop_input(struct server *s, struct conn *c)
{
	for (int i = 0; i < LINGER_READS; i++) {
		ssize_t n = read(c->fd, s->output.ptr, s->output.cap);

		if (n > 0)
			continue;
		if (n < 0 && errno == EAGAIN)
			c->readable = false;
		else if (n == 0 || errno != EINTR)
			c->state = CONN_BROKEN;
		return;
	}
}

/* A reset would take the last answer from a peer that has not read it yet. */
static void linger(struct server *s, struct conn *c)
{
	if (c->tls != NULL)
		tls_close(c->tls, c->fd);
	shutdown(c->fd, SHUT_WR);
	enter(s, c, CONN_LINGER);
	drop_input(s, c);
}

/* Where it fails, the next sweep tries again. */
static void watch_listeners(struct server *s, bool on)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE };

	if (on && s->draining)
		return;
	for (uint32_t i = 0; i < s->config->listener_count; i++) {
		e.data.u64 = SLOT_LISTENER + i;
		if ((s->watched >> i & 1) != on &&
		    epoll_ctl(s->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->listeners[i],
		              &e) == 0)
			s->watched ^= 1u << i;
	}
}

static void release_tls(struct server *s, struct conn *c)
{
	if (c->tls == NULL)
		return;
	tls_close(c->tls, c->fd);
	tls_end(c->tls);
	pool_give(&s->tlss, c->tls);
	c->tls = NULL;
}

static void close_conn(struct server *s, struct conn *c)
{
	release_input(s, c);
	release_body(s, c);
	while (c->output != NULL)
		release_output(s, c);
	release_tls(s, c);
	close(c->fd);
	c->state = CONN_FREE;
	c->generation++;
	pool_give(&s->conns, c);
	s->open--;
	s->swept = false;
	watch_listeners(s, true);
}

/* What a connection holds follows from its state: brings that about after every change. */
static void settle(struct server *s, struct conn *c)
{
	if (c->state == CONN_IDLE && c->input != NULL && c->input->start < c->input->end)
		enter(s, c, CONN_HEAD);
	if (c->state == CONN_IDLE || c->state == CONN_LAST) {
		release_input(s, c);
		assert(c->body == NULL);                /* (3) */
	}
	if (c->state == CONN_LAST && c->output == NULL)
		linger(s, c);
	if (c->state == CONN_IDLE && c->output == NULL && s->draining && !s->graceful)
		c->state = CONN_BROKEN;
	if (c->state == CONN_BROKEN)
		close_conn(s, c);                       /* (5) */
}

/* One step, which may take a millisecond or a few, where the turn has had none yet (6). */
static void shake_hands(struct server *s, struct conn *c)
{
	if (s->shaken) {
		list_ready(s, c);
		return;
	}
	s->shaken = true;
	switch (tls_handshake(c->tls, c->fd, s->now_ms)) {
	case TLS_DONE:
		enter(s, c, CONN_IDLE);
		c->readable = true;
		break;
	case TLS_WAIT:
		if (c->peer_done)
			c->state = CONN_BROKEN;
		break;
	case TLS_ONWARD:
		list_ready(s, c);
		break;
	case TLS_FAILED:
		log_event(LOG_DEBUG, "handshake_failed", "error=%d", tls_error(c->tls));
		linger(s, c);
		break;
	}
}

/* Goes as far as a turn lets it: what is left over first, then one read(). */
static void run(struct server *s, struct conn *c)
{
	if (c->used < s->crowd_used)
		c->used = s->crowd_used;
	if (c->state == CONN_HANDSHAKE)
		shake_hands(s, c);
	if (serving(c) && c->input != NULL)
		serve(s, c);
	if (serving(c) && !c->listed && c->readable && fill(s, c))
		serve(s, c);
	if (c->state == CONN_LINGER && c->readable)
		drop_input(s, c);
	settle(s, c);
	if (c->readable && (serving(c) || c->state == CONN_LINGER))
		list_ready(s, c);                       /* (4) */
}

static void follow_crowd(struct server *s, const struct conn *c)
{
	if (s->crowd_used < c->used)
		s->crowd_used = c->used;
	s->crowd_came = (7 * s->crowd_came + c->came) / 8;
}

/* Those on a list in their order, as many as a turn has time for (8). */
static void run_list(struct server *s, struct list *l)
{
	uint32_t count = l->count, kept = 0, runs = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct conn *c = conn_at(s, l->slots[i]);
		bool shakes = c->state == CONN_HANDSHAKE, is_free = c->state == CONN_FREE;

		if (!is_free && (shakes ? s->shaken : runs == LISTED_A_TURN ||
		                 (runs > 0 && s->used >= USED_A_TURN))) {
			l->slots[kept++] = l->slots[i];
			continue;
		}
		c->listed = false;
		if (is_free)
			continue;
		runs += !shakes;
		if (l == &s->crowd)
			follow_crowd(s, c);
		run(s, c);
	}
	memmove(l->slots + kept, l->slots + count, (l->count - count) * sizeof l->slots[0]);
	l->count -= count - kept;
}

/* Where there is no crowd, nobody has used too much. */
static void run_lists(struct server *s)
{
	run_list(s, &s->crowd);
	if (s->crowd.count == 0)
		s->crowd_used = s->most_used;
	run_list(s, &s->ready);
}

/* Whether what came for a connection is done at once (8). */
static bool goes_first(const struct server *s, const struct conn *c)
{
	return s->runs < RUNS_A_TURN && (s->crowd.count == 0 || c->used < s->crowd_used ||
	                                 2 * c->came < s->crowd_came);
}

static void conn_event(struct server *s, struct conn *c, uint32_t events)
{
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		c->state = CONN_BROKEN;
	if ((events & EPOLLRDHUP) != 0)
		c->peer_done = true;
	if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) {
		c->readable = true;
		if (c->tls != NULL)
			tls_hear(c->tls);
	}
	if ((events & EPOLLOUT) != 0 && c->output != NULL && c->state != CONN_BROKEN)
		flush_kept(s, c);
	if (c->state == CONN_HANDSHAKE) {
		list_ready(s, c);               /* behind those that wait (6) */
	} else if (c->listed || !goes_first(s, c)) {
		list_add(s, &s->crowd, c);
	} else {
		s->runs++;
		run(s, c);
	}
}

/* The idle connection that gives way to a newcomer, or NULL: who came first of those that never
 * asked anything, and not in this turn; else who asked last before all others, and not lately. So
 * strangers who hold connections, idle or not, do not drive out those who use theirs. */
static struct conn *oldest_idle(const struct server *s)
{
	struct conn *oldest = NULL;
	uint64_t now_ms = s->now_ms + s->timeout_ms[CONN_IDLE];

	for (uint32_t i = 0; i < s->conns.fresh; i++) {
		struct conn *c = conn_at(s, i);
		uint64_t in_use_ms = c->asked_before ? IN_USE_MS : 0;

		if (c->state != CONN_IDLE || c->output != NULL ||
		    c->deadline_ms + in_use_ms >= now_ms)
			continue;
		if (oldest == NULL || c->asked_before < oldest->asked_before ||
		    (c->asked_before == oldest->asked_before &&
		     c->deadline_ms < oldest->deadline_ms))
			oldest = c;
	}
	return oldest;
}

/* Who is at the other end of a Unix socket (F10). */
static void log_credentials(int fd, const struct config_listener *l)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (l->path[0] != '\0' && log_wants(LOG_DEBUG) &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		log_event(LOG_DEBUG, "accepted", "address=unix:%s uid=%u gid=%u pid=%d", l->path,
		          peer.uid, peer.gid, (int)peer.pid);
}

static void open_conn(struct server *s, int fd, const struct sockaddr_storage *from,
                      const struct config_listener *l)
{
	struct conn *c = pool_take(&s->conns);
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	uint16_t port;

	assert(c != NULL && c->input == NULL && c->body == NULL && c->output == NULL);
	c->fd = fd;
	c->ops = l->ops;
	c->readable = c->peer_done = c->asked_before = false;
	c->started_us = 0;
	c->used = c->came = 0;
	c->tls = l->https ? pool_take(&s->tlss) : NULL;
	if (c->tls != NULL)
		tls_begin(c->tls, s->tls);
	address_from_sockaddr(from, &c->peer, &port);
	log_credentials(fd, l);
	enter(s, c, l->https ? CONN_HANDSHAKE : l->proxy ? CONN_PROXY : CONN_IDLE);
	s->open++;
	metrics_add(METRICS_ACCEPTED, 1);
	e.data.u64 = (uint64_t)c->generation << 32 | conn_slot(s, c);
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
		c->state = CONN_BROKEN;
		settle(s, c);
	}
}

/* False: nobody waits there, or nothing can be done for him now. At the cap the oldest idle
 * connection gives way (L03). Where none is idle, or descriptors lack, accepting pauses until
 * a connection closes or the next sweep: the loop never spins (L04). */
static bool accept_one(struct server *s, uint32_t index)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	struct conn *oldest = NULL;
	int fd;

	if (s->open == s->config->max_connections && (oldest = oldest_idle(s)) == NULL) {
		watch_listeners(s, false);
		return false;
	}
	fd = accept4(s->listeners[index], (struct sockaddr *)&from, &len,
	             SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			watch_listeners(s, false);
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (oldest != NULL) {
		oldest->state = CONN_BROKEN;
		settle(s, oldest);
	}
	open_conn(s, fd, &from, &s->config->listeners[index]);
	return true;
}

/* At the end of a turn, when it is known who is idle. */
static void accept_some(struct server *s)
{
	for (uint32_t i = 0; i < s->config->listener_count; i++) {
		uint32_t left = part(s, ACCEPTS_A_TURN);

		while (left-- > 0 && (s->knocked & s->watched & 1u << i) != 0)
			if (!accept_one(s, i) ||
			    s->open == s->config->max_connections)      /* one search a turn */
				break;
	}
	s->knocked = 0;
}

/* Answers a request in place of the writer. */
static void answer_for_writer(struct server *s, struct conn *c, enum http_status status,
                              const char *detail)
{
	struct route_match match;

	prepare_failure(s, c, &match);
	fail(s, c, &match, status, detail);
	flush(s, c);
}

/* The first of those for whom there was no place with the writer (11). */
static void refuse_some(struct server *s)
{
	struct list *l = &s->refused;
	uint32_t count = l->count < REFUSED_A_TURN ? l->count : REFUSED_A_TURN;

	for (uint32_t i = 0; i < count; i++) {
		struct conn *c = conn_at(s, l->slots[i]);

		c->listed = false;
		if (c->state == CONN_REFUSED)
			answer_for_writer(s, c, HTTP_SERVICE_UNAVAILABLE, too_many);
		if (c->state != CONN_FREE)
			run(s, c);
	}
	l->count -= count;
	memmove(l->slots, l->slots + count, l->count * sizeof l->slots[0]);
}

static const char *given_up(const struct conn *c)
{
	if (c->state == CONN_REFUSED)
		return too_many;
	if (c->state == CONN_QUEUED)
		return "The writer is away: nothing was changed.";
	return "The writer gave no answer: whether the request was done is unknown.";
}

/* The sweep asks for another. */
static void drop_link(struct server *s)
{
	if (s->link.fd < 0)
		return;
	s->sweep_ms = 0;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->link.fd, NULL);
	link_leave(&s->link);
	s->link_life++;
	s->link_watched = false;
	s->queued = s->asked = 0;
	for (uint32_t i = 0; i < s->conns.fresh; i++) {
		struct conn *c = conn_at(s, i);

		if (c->state != CONN_QUEUED && c->state != CONN_ASKED)
			continue;
		answer_for_writer(s, c, HTTP_SERVICE_UNAVAILABLE, given_up(c));
		run(s, c);
	}
}

static void take_link(struct server *s, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	drop_link(s);
	link_join(&s->link, fd);
	e.data.u64 = (uint64_t)s->link_life << 32 | SLOT_LINK;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		link_leave(&s->link);
}

/* No handler answered: `sentence` says why. */
static void deliver_failure(struct server *s, struct conn *c, enum http_status status,
                            struct slice sentence)
{
	char detail[DETAIL_MAX];

	snprintf(detail, sizeof detail, "%.*s", (int)sentence.len, sentence.ptr);
	answer_for_writer(s, c, status, detail);
}

/* The writer did not know that the connection ends with this answer (RFC 9112, section 9.6), and
 * has told HTTP/1.0 that it stays. */
static void put_closing(struct server *s, struct conn *c, struct slice response)
{
	const struct slice stays = SLICE("Connection: keep-alive\r\n");
	struct slice rest = response, status_line = slice_cut(&rest, '\n');
	const char *found = NULL;

	assert(s->output.len == 0 && slice_given(rest));
	buf_put(&s->output, status_line);
	buf_lit(&s->output, "\nConnection: close\r\n");
	if (c->input->request.minor == 0)
		found = memmem(rest.ptr, rest.len, stays.ptr, stays.len);
	if (found != NULL) {
		buf_put(&s->output, (struct slice){ rest.ptr, (size_t)(found - rest.ptr) });
		rest = slice_skip(rest, (size_t)(found - rest.ptr) + stays.len);
	}
	put_answers(s, c, buf_slice(&s->output), rest);
	s->output.len = 0;
}

/* What a hasher found or signed for the request need not be asked again. */
static void remember(struct server *s, const struct conn *c, const struct link_answer *a,
                     struct slice response)
{
	struct slice before = SLICE("\r\nAuthorization: Bearer "), token;
	struct route_match match;
	const char *found;

	route_find(&c->input->request, c->ops, &match);
	if ((a->flags & LINK_PROVEN) != 0 && kv_refresh(s->call.kv) == KV_OK) {
		prepare_call(s, c);
		route_remember(&s->call, &match);
	}
	if (!route_head_only(&match))
		return;
	found = memmem(response.ptr, response.len, before.ptr, before.len);
	if (found == NULL)
		return;
	found += before.len;
	token = (struct slice){ found, response.len - (size_t)(found - response.ptr) };
	identity_keep_signature(s->call.memo, slice_cut(&token, '\r'));
}

/* The writer's answer. */
static void deliver(struct server *s, const struct link_answer *a, struct slice response)
{
	struct conn *c = a->slot < s->conns.fresh ? conn_at(s, a->slot) : NULL;

	s->asked -= s->asked > 0;
	if (c == NULL || c->state != CONN_ASKED || c->asks != a->number)        /* (2) */
		return;
	if ((a->flags & LINK_FAILED) == 0)
		remember(s, c, a, response);
	if ((a->flags & LINK_FAILED) != 0) {
		deliver_failure(s, c, (enum http_status)a->status, response);
	} else if (response.len > OUTPUT_CAP && !output_has_room(s, response.len)) {
		answer_for_writer(s, c, HTTP_SERVICE_UNAVAILABLE,
		                  "Too many long answers wait for their readers: "
		                  "the request was done.");
	} else {
		if (s->draining && (a->flags & LINK_KEEP_ALIVE) != 0)
			put_closing(s, c, response);
		else
			put_answers(s, c, response, (struct slice){ 0 });
		if (c->state != CONN_BROKEN)
			finish(s, c, (a->flags & LINK_KEEP_ALIVE) != 0, a->status, response.len);
	}
	run(s, c);
}

static void take_answers(struct server *s)
{
	struct link_answer a;
	struct slice response;

	for (int i = 0; i < LINKED_A_TURN; i++) {
		switch (link_receive_answer(&s->link, &a, &response)) {
		case LINK_DONE:
			deliver(s, &a, response);
			break;
		case LINK_LATER:
			return;
		case LINK_GONE:
			drop_link(s);
			return;
		}
	}
}

static void link_event(struct server *s, uint32_t events)
{
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		take_answers(s);
	if (s->link.fd >= 0 && (events & EPOLLOUT) != 0)
		send_queued(s);
}

/* No new connection; what came in is answered, and the connection ends with it. A peer whose
 * idle connection is closed may just have sent a request: graceful, he gets an answer, which
 * says that it is the last, and only who sends nothing is cut off. */
static void drain(struct server *s, bool graceful)
{
	watch_listeners(s, false);
	s->draining = true;
	s->graceful = graceful;
	for (uint32_t i = 0; i < s->config->listener_count; i++)
		close(s->listeners[i]);
	for (uint32_t i = 0; i < s->conns.fresh; i++) {
		struct conn *c = conn_at(s, i);

		if (c->state != CONN_IDLE)
			continue;
		if (graceful && c->deadline_ms > s->now_ms + GRACE_MS)
			c->deadline_ms = s->now_ms + GRACE_MS;
		c->readable = true;
		run(s, c);
	}
}

/* What follows from settings that a reload can change. */
static void use_settings(struct server *s, const struct config *c)
{
	s->config = s->call.config = c;
	s->timeout_ms[CONN_HANDSHAKE] = s->timeout_ms[CONN_PROXY] = c->header_timeout_ms;
	s->timeout_ms[CONN_IDLE] = c->idle_timeout_ms;
	s->timeout_ms[CONN_HEAD] = c->header_timeout_ms;
	s->timeout_ms[CONN_BODY] = c->body_timeout_ms;
	s->timeout_ms[CONN_QUEUED] = s->timeout_ms[CONN_REFUSED] = c->write_timeout_ms;
	s->timeout_ms[CONN_ASKED] = s->timeout_ms[CONN_LAST] = c->write_timeout_ms;
}

static void reload(struct server *s, int fd)
{
	if (!config_load(fd, &s->reloaded))
		return;
	log_open((enum log_level)s->reloaded.log_level, "front");
	use_settings(s, &s->reloaded);
	/* It remembers who is who under the settings of before. */
	memory_trim(s->call.memo, sizeof *s->call.memo, 0);
}

/* Handshakes from here on show another certificate. */
static void take_identity(struct server *s, int fd)
{
	if (!memory_load(fd, &s->identity, sizeof s->identity))
		log_event(LOG_ERROR, "reload_failed", "errno=%d", errno);
	else if (s->tls != NULL)
		tls_server_use(s->tls, &s->identity);
	explicit_bzero(&s->identity, sizeof s->identity);
}

static void obey(struct server *s)
{
	struct link_order order = { 0 };
	enum link_result result;
	int passed;

	while ((result = link_receive_order(s->control, &order, &passed)) == LINK_DONE) {
		if (order.kind == ORDER_WRITER_LINK && passed >= 0)
			take_link(s, passed);
		else if (order.kind == ORDER_SETTINGS)
			reload(s, passed);
		else if (order.kind == ORDER_IDENTITY)
			take_identity(s, passed);
		else if (passed >= 0)
			close(passed);
		if (order.kind == ORDER_DRAIN && !s->draining)
			drain(s, order.number != 0);
	}
	s->ended = result == LINK_GONE;
}

static bool is_late(const struct server *s, const struct conn *c)
{
	return c->deadline_ms <= s->now_ms;
}

/* The deadline passed: who waits for something gets the answer that says so. */
static void expire(struct server *s, struct conn *c)
{
	static const struct http_refusal late = {
		HTTP_REQUEST_TIMEOUT, "The request did not come in time."
	};
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct route_match match;

	if (c->output != NULL) {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		c->state = CONN_BROKEN;
	} else if (c->state == CONN_HEAD || c->state == CONN_BODY) {
		if (c->state == CONN_BODY)
			prepare_failure(s, c, &match);
		else
			prepare_call(s, c);
		refuse(s, c, &late);
		flush(s, c);
	} else if (c->state == CONN_QUEUED || c->state == CONN_REFUSED ||
	           c->state == CONN_ASKED) {
		answer_for_writer(s, c, HTTP_SERVICE_UNAVAILABLE, given_up(c));
	} else {
		c->state = CONN_BROKEN;
	}
}

/* What has come, and waits on a list or in the socket, is served first (10). */
static void look_after_late(struct server *s, struct conn *c)
{
	if (serving(c) && c->input != NULL)
		serve(s, c);
	if (serving(c) && is_late(s, c) && fill(s, c))
		serve(s, c);
	if (is_late(s, c))
		expire(s, c);
	run(s, c);
}

/* Goes on to look after the connections. False: a turn has done its part, and more are left (9). */
static bool sweep_some(struct server *s)
{
	for (uint32_t done = 0; s->sweep_at < s->conns.fresh; s->sweep_at++) {
		struct conn *c = conn_at(s, s->sweep_at);
		bool late = c->state != CONN_FREE && is_late(s, c);

		if (done == part(s, SWEPT_A_TURN))
			return false;
		if (late)
			look_after_late(s, c);
		done += late || (c->state == CONN_IDLE && c->tls != NULL && tls_rest(c->tls));
	}
	s->sweep_at = 0;
	return true;
}

/* Whatever was lost, be it an order or the watch over the link. */
static void mend_link(struct server *s)
{
	static const struct link_order need = { ORDER_NEED_LINK, 0 };

	if (s->link.fd < 0)
		link_send_order(s->control, &need, -1);
	else
		link_watch(s, s->queued > 0 || link_sending(&s->link));
}

static void sweep(struct server *s)
{
	struct pool *const pools[] = { &s->inputs, &s->bodies, &s->outputs, &s->tlss };

	if (!sweep_some(s))
		return;
	s->sweep_ms = s->now_ms + SWEEP_MS;
	s->swept = true;
	for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
		s->swept &= pools[i]->each == 0 || pool_trim(pools[i]);
	mend_link(s);
	link_trim(&s->link);
	memory_trim(s->response.body.ptr, s->response.body.cap, OUTPUT_CAP);
	if (s->open == 0)               /* tokens are large, and short-lived */
		memory_trim(s->call.memo, sizeof *s->call.memo,
		            offsetof(struct identity_memo, tokens));
	watch_listeners(s, true);
}

static void take_event(struct server *s, const struct epoll_event *e)
{
	uint32_t slot = (uint32_t)e->data.u64, generation = (uint32_t)(e->data.u64 >> 32);
	struct conn *c;

	if (slot < SLOT_CONTROL) {
		c = conn_find(s, slot, generation);
		if (c != NULL)
			conn_event(s, c, e->events);
	} else if (slot == SLOT_CONTROL) {
		obey(s);
	} else if (slot == SLOT_LINK) {
		if (s->link.fd >= 0 && generation == s->link_life)
			link_event(s, e->events);
	} else {
		s->knocked |= 1u << (slot - SLOT_LISTENER);
	}
}

static int wait_ms(const struct server *s)
{
	if (s->ready.count + s->crowd.count + s->refused.count > 0)
		return 0;
	if (s->open == 0 && s->swept && s->link.fd >= 0 &&
	    s->watched == (1u << s->config->listener_count) - 1)
		return -1;
	return s->sweep_ms > s->now_ms ? (int)(s->sweep_ms - s->now_ms) : 0;
}

/* The clock is read once more where a turn has answered anything: all its requests took as long
 * as the turn. */
static void count_turn(struct server *s)
{
	uint64_t now_us;

	metrics_set(METRICS_CONNECTIONS, s->open);
	metrics_set(METRICS_WAITING_WRITES, s->asked + s->queued);
	if (s->answered == 0)
		return;
	now_us = clock_us(CLOCK_REALTIME);
	metrics_observe(METRICS_FRONT_US, now_us > s->turn_us ? now_us - s->turn_us : 0,
	                s->answered);
	s->answered = 0;
}

static void loop(struct server *s)
{
	struct epoll_event events[EVENTS_A_TURN];

	while (!s->ended && !(s->draining && s->open == 0)) {
		int count;

		kv_reset(s->call.kv);
		count = epoll_wait(s->epoll, events, EVENTS_A_TURN,
		                   life_wait_ms(wait_ms(s)));
		life_turn();
		read_clocks(s);
		s->shaken = false;
		s->runs = s->used = 0;
		for (int i = 0; i < count; i++)
			take_event(s, &events[i]);
		run_lists(s);
		refuse_some(s);
		if (s->knocked != 0)
			accept_some(s);
		if (s->now_ms >= s->sweep_ms)
			sweep(s);
		count_turn(s);
	}
}

/* As many of `each` bytes as `bytes` hold. */
static bool pool_make(struct pool *p, size_t bytes, size_t each)
{
	*p = (struct pool){ .base = memory_map(bytes), .each = each,
		            .count = (uint32_t)(bytes / each) };
	return p->base != NULL;
}

static bool had_memory(struct server *s)
{
	const struct config *c = s->config;
	size_t input = c->max_head * 2 > INPUT_MIN ? c->max_head * 2 : INPUT_MIN;
	size_t input_each = memory_pages(sizeof(struct input) + input);
	size_t body = memory_pages(sizeof(struct body) + BODY_CAP);
	size_t long_body = memory_pages(sizeof(struct body) + LINK_BODY_MAX);
	size_t connections = c->max_connections;
	size_t tls = config_has_https(c) ? memory_pages(tls_bytes()) : 0;

	s->input_cap = input_each - sizeof(struct input);
	s->ready.slots = memory_map(2 * sizeof s->ready.slots[0] * c->max_connections);
	s->crowd.slots = memory_map(2 * sizeof s->crowd.slots[0] * c->max_connections);
	s->refused.slots = memory_map(2 * sizeof s->refused.slots[0] * c->max_connections);
	s->queue = memory_map(sizeof s->queue[0] * c->max_waiting_writes);
	s->call.memo = memory_map(sizeof *s->call.memo);
	s->response.body = (struct buf){ .ptr = memory_map(CALL_BODY_MAX), .cap = CALL_BODY_MAX };
	return s->ready.slots != NULL && s->crowd.slots != NULL &&
	       s->refused.slots != NULL && s->queue != NULL &&
	       s->call.memo != NULL && s->response.body.ptr != NULL && link_open(&s->link) &&
	       pool_make(&s->conns, connections * sizeof(struct conn), sizeof(struct conn)) &&
	       pool_make(&s->inputs, connections * input_each, input_each) &&
	       pool_make(&s->bodies, c->max_body_memory / 2, body) &&
	       pool_make(&s->long_bodies, c->max_body_memory / 2, long_body) &&
	       pool_make(&s->outputs, c->max_answer_memory, sizeof(struct output)) &&
	       (tls == 0 || (pool_make(&s->tlss, connections * tls, tls) &&
	                     (s->tls = memory_map(tls_server_bytes())) != NULL));
}

/* False, with one line in `error`: the store or its secret cannot be had. */
static bool open_store(struct server *s, char error[KV_ERROR_MAX])
{
	const struct kv_options options = { .dir = s->config->data, .mode = KV_READ };
	struct buf secret = BUF(s->sid_secret);

	static_assert((int)KV_ERROR_MAX >= (int)SECRET_ERROR_MAX, "one buffer serves both");
	if (!secret_read(s->config->sid_secret_file, &secret, error))
		return false;
	s->call.sid_secret = buf_slice(&secret);
	s->call.kv = kv_open(&options, error);
	if (s->call.kv == NULL)
		return false;
	if (kv_begin_read(s->call.kv) == KV_OK)
		return true;
	snprintf(error, KV_ERROR_MAX, "%.400s: the store cannot be read", s->config->data);
	return false;
}

/* False: there is no memory to watch what is to be served. */
static bool set_up(struct server *s, const int *listeners, struct tls_identity *identity)
{
	const struct config *c = s->config;
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = SLOT_CONTROL };
	uint8_t seed[16];
	uint32_t number;

	/* A body's limit is the path's: begin_body(), feed_body(). */
	s->limits = (struct http_limits){ c->max_head, c->max_target, c->max_headers, UINT64_MAX };
	use_settings(s, c);
	s->timeout_ms[CONN_LINGER] = LINGER_MS;
	s->random_used = sizeof s->random;
	s->response.fields = BUF(s->response_fields);
	s->output = BUF(s->output_bytes);
	secret_random(seed, sizeof seed);
	throttle_init(&s->throttle, s->throttle_entries, THROTTLE_ENTRIES, seed);
	secret_random(&number, sizeof number);
	json_seed(number | 1);          /* of tokens; see writer.c */
	s->call.throttle = &s->throttle;
	s->call.response = &s->response;
	s->call.question = BUF(s->question);
	read_clocks(s);
	if (s->tls != NULL) {
		tls_server_use(s->tls, identity);
		explicit_bzero(identity, sizeof *identity);
	}
	memcpy(s->listeners, listeners, c->listener_count * sizeof listeners[0]);
	watch_listeners(s, true);
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->control, &e) == 0;
}

int server_run(const struct config *config, int control, const int *listeners,
               struct tls_identity *identity)
{
	static struct server s;
	char error[KV_ERROR_MAX];

	s.config = config;
	s.control = control;
	if (!open_store(&s, error)) {
		fprintf(stderr, "sidecart: %s\n", error);
		return 111;
	}
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s.epoll < 0 || !had_memory(&s) || !set_up(&s, listeners, identity)) {
		fprintf(stderr, "sidecart: max_connections: no memory: %s\n", strerror(errno));
		return 111;
	}
	if (!seccomp_enter(config, SECCOMP_FRONT) || !link_say_ready(control))
		return 111;
	loop(&s);
	kv_close(s.call.kv);
	return 0;
}
