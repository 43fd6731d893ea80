/* writer.c -- see writer.h.
 *
 * A turn: wait; take orders; take what hashers answered; run one batch of requests and commit
 * it; let the answers leave; pass questions on to hashers. Once a second it also sweeps.
 *
 * What holds, and is asserted by its number:
 *  (1) No answer leaves before the commit that it rests on: answers are sent outside of a
 *      batch, and where its commit failed they were written anew before.
 *  (2) A request's puts are kept only with an answer below 400.
 *  (3) From a front that has answers waiting no request is taken: what waits is bounded by
 *      one batch a front.
 *  (4) A hasher works on one parked request at a time, and a parked request is with one
 *      hasher at most.
 *  (5) Between two turns of the batch no transaction is open: nobody is kept from writing
 *      while the writer waits.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "life.h"
#include "link.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "route.h"
#include "seccomp.h"
#include "secret.h"
#include "session.h"
#include "writer.h"

#define FRONTS_MAX         64           /* the settings `workers` and `hashers` go so far */
#define HASHERS_MAX        16
#define BATCH_REQUESTS_MAX 256
#define BATCH_BYTES_MAX    (4u << 20)   /* of requests taken into one batch */
#define ANSWERS_MAX        1024         /* that wait for their fronts, those of a batch included */
#define ANSWERS_BYTES      (8u << 20)
#define STUCK_MS           2000         /* without a packet taken: it is in everybody's way */
#define SENTENCE_MAX       64           /* of a failure: shorter than any response */
#define SWEEP_STEP         256          /* entries a second, and at once again where that many */
#define COUNT_STEP         1024         /* sessions counted a second: half a millisecond */
#define ENTRIES_A_REQUEST  3            /* that one may put at most: session, basket, replay */
#define KEEP_BUSY_S        5            /* the clock goes along with a commit so often, */
#define KEEP_IDLE_S        60           /* and has one of its own where there was none */
#define CLOCK_STEP_S       3600         /* of the wall clock: told of */
#define THROTTLE_ENTRIES   16384
#define QUICK_IN_A_ROW     64           /* questions of a millisecond, while a password waits */
#define QUESTION_TRIES     3            /* hashers that may die over one question */
#define NOBODY             UINT32_MAX
#define BODY_CAP           65536        /* bytes of a body that is not long */
#define LONG_PLACES        4            /* parked requests with a long body */
#define LONG_PLACE         (LINK_HEAD_MAX + LINK_BODY_MAX)

struct front {
	struct link link;
	uint32_t life;                  /* of the link: its requests end with it */
	bool ready;                     /* a request may be there */
	bool full;                      /* it has answers waiting, or one in part */
	uint32_t packets;               /* the link had sent when it was looked at last, */
	uint64_t moved_ms;              /* and when that was more than before */
};

/* Whose request it is. */
struct origin {
	uint32_t front, life;
};

struct answer {
	struct link_answer head;
	struct origin origin;
	size_t at, len;                 /* in the answers' bytes */
};

enum parked_state {
	PARKED_FREE,
	PARKED_ASKING,                  /* its question waits for a hasher */
	PARKED_ASKED,                   /* a hasher works on its question */
	PARKED_ANSWERED,                /* to be run again */
	PARKED_FAILED,                  /* no hasher lived to answer: to be refused */
};

/* A request that waits for a hasher. Its bytes and questions hold passwords: they are wiped
 * when it leaves, and all else but what was never written, whose pages are not there. */
struct parked {
	enum parked_state state;
	uint32_t ticket;                /* of its last question; lower ones go first */
	uint32_t tries;
	struct origin origin;
	struct link_request head;
	uint32_t asked;                 /* questions so far */
	struct call_answer answers[CALL_ASKS_MAX];
	char *bytes;                    /* head and body: in `room`, or in a long place */
	char replies[CALL_ASKS_MAX][CALL_ANSWER_MAX];
	char questions[CALL_ASKS_MAX][CALL_QUESTION_MAX];
	char room[];
};

struct hasher {
	int fd;                         /* -1: no link */
	uint32_t busy;                  /* index of the parked request, or NOBODY */
};

/* A request at hand: one that came just now, or a parked one. */
struct work {
	struct link_request head;
	struct origin origin;
	const char *bytes;
	struct parked *parked;          /* NULL: it came just now */
};

struct writer {
	const struct config *config;
	struct config reloaded;         /* where config points after a reload */
	struct http_limits limits;
	int control;
	struct front fronts[FRONTS_MAX];
	struct hasher hashers[HASHERS_MAX];
	uint32_t turn;                  /* the front that is asked first */
	uint32_t next_ticket, waiting;  /* parked requests that are not free */
	uint32_t quick_in_a_row;        /* questions sent since the last that was not */
	bool hasher_wanted;             /* one was asked for and has not come yet */
	bool draining, sweep_again;
	struct record_key counted;      /* the session that was counted last, */
	uint64_t guests, customers;     /* and how many up to there */
	uint64_t oldest_reader, oldest_ms;      /* a snapshot that is held, and since when */
	uint32_t batch;                 /* requests of the last one */
	struct clock clock;             /* moved once a second: requests bring their own time */
	uint64_t tick_ms;               /* when the next once-a-second work is due */
	uint64_t date_s;
	char date[HTTP_DATE_LEN];
	struct call call;
	struct http_response response;
	struct throttle throttle;
	char *parked;                   /* max_waiting_passwords of parked_size */
	size_t parked_size, parked_room;
	char *long_places;              /* LONG_PLACES of LONG_PLACE */
	bool long_taken[LONG_PLACES];
	struct answer answers[ANSWERS_MAX];
	size_t answer_count;
	struct buf answer_bytes;
	struct buf audit;               /* lines of the batch, each with a NUL behind it */
	char sid_secret[SECRET_MAX];
	char question[CALL_QUESTION_MAX];
	char response_fields[CALL_FIELDS_MAX];
	char audit_bytes[BATCH_REQUESTS_MAX * CALL_AUDIT_MAX];
	struct throttle_entry throttle_entries[THROTTLE_ENTRIES];
};

static uint64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t clock_ms(clockid_t clock)
{
	return clock_us(clock) / 1000;
}

static void make_date(struct writer *w)
{
	uint64_t now_s = clock_ms(CLOCK_REALTIME) / 1000;

	if (now_s != w->date_s)
		http_date(w->date, now_s);
	w->date_s = now_s;
}

static struct parked *parked_at(const struct writer *w, uint32_t index)
{
	assert(index < w->config->max_waiting_passwords);
	/* parked_size is a multiple of the alignment. */
	return (struct parked *)(void *)(w->parked + index * w->parked_size);
}

static uint32_t parked_index(const struct writer *w, const struct parked *p)
{
	return (uint32_t)((size_t)((const char *)p - w->parked) / w->parked_size);
}

/* A hash of a password takes a hasher a tenth of a second or three; all else a millisecond. */
static bool is_slow(const struct parked *p)
{
	uint8_t kind = p->answers[p->asked - 1].kind;

	return kind == ASK_PASSWORD || kind == ASK_HASH;
}

/* Who came first goes first; but of those who ask what is quick before what is slow, as long
 * as the slow ones get their turn. */
static bool goes_before(const struct writer *w, const struct parked *a, const struct parked *b)
{
	if (a->state == PARKED_ASKING && is_slow(a) != is_slow(b))
		return is_slow(a) == (w->quick_in_a_row >= QUICK_IN_A_ROW);
	return a->ticket < b->ticket;
}

/* Of those in `state` the one who goes first; NOBODY where there is none. Behind the last that
 * waits no place is looked at: the system would have to find a page for each. */
static uint32_t parked_find(const struct writer *w, enum parked_state state)
{
	uint32_t found = NOBODY;

	for (uint32_t i = 0, seen = 0; seen < w->waiting; i++) {
		const struct parked *p = parked_at(w, i);

		if (p->state == state &&
		    (found == NOBODY || goes_before(w, p, parked_at(w, found))))
			found = i;
		seen += p->state != PARKED_FREE;
	}
	return found;
}

/* The first place that is free, or NOBODY. */
static uint32_t free_place(const struct writer *w)
{
	for (uint32_t i = 0; i < w->config->max_waiting_passwords; i++)
		if (parked_at(w, i)->state == PARKED_FREE)
			return i;
	return NOBODY;
}

/* Memory for a request of a parked one's that has no room in it, or NULL. */
static char *take_long_place(struct writer *w)
{
	for (size_t i = 0; i < LONG_PLACES; i++) {
		if (w->long_taken[i])
			continue;
		w->long_taken[i] = true;
		return w->long_places + i * LONG_PLACE;
	}
	return NULL;
}

static void give_long_place(struct writer *w, char *place)
{
	w->long_taken[(size_t)(place - w->long_places) / LONG_PLACE] = false;
	memory_trim(place, LONG_PLACE, 0);
}

static void parked_free(struct writer *w, struct parked *p)
{
	assert(p->state != PARKED_FREE && w->waiting > 0);
	explicit_bzero(p->bytes, (size_t)p->head.head_len + p->head.body_len);
	if (p->bytes != p->room)
		give_long_place(w, p->bytes);
	for (uint32_t i = 0; i < p->asked; i++) {
		explicit_bzero(p->questions[i], p->answers[i].question.len);
		explicit_bzero(p->replies[i], sizeof p->replies[i]);
	}
	explicit_bzero(p, offsetof(struct parked, replies));
	if (--w->waiting == 0)
		memory_trim(w->parked, w->parked_size * w->config->max_waiting_passwords, 0);
}

static bool front_lives(const struct writer *w, const struct origin *o)
{
	return w->fronts[o->front].link.fd >= 0 && w->fronts[o->front].life == o->life;
}

static void front_drop(struct front *f)
{
	link_leave(&f->link);
	f->life++;
	f->ready = f->full = false;
}

/* Its question, if it had one, is asked of another. */
static void hasher_drop(struct writer *w, struct hasher *h)
{
	struct parked *p;

	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (h->busy == NOBODY)
		return;
	p = parked_at(w, h->busy);
	assert(p->state == PARKED_ASKED);               /* (4) */
	p->state = ++p->tries < QUESTION_TRIES ? PARKED_ASKING : PARKED_FAILED;
	h->busy = NOBODY;
}

/* Whatever was written to the answers' bytes from `at` on is the answer. */
static void add_answer(struct writer *w, const struct work *work, size_t at, uint32_t status,
                       uint32_t flags)
{
	assert(w->answer_count < ANSWERS_MAX && !w->answer_bytes.full);
	w->answers[w->answer_count++] = (struct answer){
		.head   = { work->head.slot, work->head.number, status, flags },
		.origin = work->origin,
		.at     = at,
		.len    = w->answer_bytes.len - at,
	};
}

/* Answers with the handler's response. */
static void put_answer(struct writer *w, const struct work *work)
{
	bool keep_alive = (work->head.flags & LINK_KEEP_ALIVE) != 0 && !w->response.close &&
	                  !http_response_full(&w->response);
	const struct http_framing framing = {
		.head_only  = (work->head.flags & LINK_HEAD) != 0,
		.keep_alive = keep_alive,
		.http10     = (work->head.flags & LINK_HTTP10) != 0,
		.date       = w->date,
		.hsts_s     = (work->head.flags & LINK_HTTPS) != 0 ? w->config->hsts_s : 0,
	};
	uint32_t proven = w->call.identity.proven ? LINK_PROVEN : 0;
	size_t at = w->answer_bytes.len;

	/* Rate limits are the fronts'. */
	metrics_add(METRICS_LOGINS_THROTTLED, w->response.status == HTTP_TOO_MANY_REQUESTS);
	http_response_write(&w->answer_bytes, &w->response, &framing);
	add_answer(w, work, at, w->response.status, proven | (keep_alive ? LINK_KEEP_ALIVE : 0));
}

/* Answers with what no handler says. The front knows the form that it takes. */
static void put_failure(struct writer *w, const struct work *work, enum http_status status,
                        const char *sentence)
{
	size_t at = w->answer_bytes.len;

	assert(strlen(sentence) < SENTENCE_MAX);
	buf_str(&w->answer_bytes, sentence);
	add_answer(w, work, at, status, LINK_FAILED);
}

static void put_store_failure(struct writer *w, const struct work *work, enum kv_status status)
{
	if (status == KV_FULL)
		put_failure(w, work, HTTP_INSUFFICIENT_STORAGE,
		            "The store is full: nothing was changed.");
	else
		put_failure(w, work, HTTP_SERVICE_UNAVAILABLE,
		            "The store failed: nothing was changed.");
}

/* The request as a front has parsed it before. False: a front that sends anything else. */
static bool read_request(struct writer *w, const struct work *work, struct http_request *r,
                         struct route_match *match)
{
	struct slice head = { work->bytes, work->head.head_len };
	struct http_refusal refusal;

	http_request_init(r);
	if (http_parse(r, head, &w->limits, &refusal) != HTTP_READY || r->head_len != head.len ||
	    !route_by_number(work->head.route, match) ||
	    work->head.body_len > route_body_max(w->config, match))
		return false;
	r->body = (struct slice){ work->bytes + head.len, work->head.body_len };
	return true;
}

static void prepare_call(struct writer *w, const struct work *work, const struct http_request *r)
{
	struct call *c = &w->call;

	c->request = r;
	c->peer = work->head.peer;
	c->https = (work->head.flags & LINK_HTTPS) != 0;
	c->now_us = work->head.now_us;
	memcpy(c->random, work->head.random, sizeof c->random);
	c->answers = work->parked != NULL ? work->parked->answers : NULL;
	c->answer_count = work->parked != NULL ? work->parked->asked : 0;
	c->store_status = KV_OK;
	c->audit[0] = '\0';
	http_response_reset(&w->response);
}

/* Tokens to be checked leave half of the places to logins: anybody can make up such tokens. */
static bool has_place(const struct writer *w)
{
	uint32_t verdicts = 0;

	for (uint32_t i = 0, seen = 0; seen < w->waiting; i++) {
		const struct parked *p = parked_at(w, i);

		if (p->state == PARKED_FREE)
			continue;
		seen++;
		verdicts += p->answers[p->asked - 1].kind == ASK_VERDICT;
	}
	return w->call.question_kind != ASK_VERDICT ||
	       verdicts < (w->config->max_waiting_passwords + 1) / 2;
}

/* Copies a request that came just now to a place where it can wait. */
static struct parked *park(struct writer *w, const struct work *work)
{
	uint32_t index = free_place(w);
	struct buf *came = &w->fronts[work->origin.front].link.in;
	size_t len = (size_t)work->head.head_len + work->head.body_len;
	struct parked *p;

	if (index == NOBODY || !has_place(w))
		return NULL;
	p = parked_at(w, index);
	p->bytes = len <= w->parked_room ? p->room : take_long_place(w);
	if (p->bytes == NULL)
		return NULL;
	p->origin = work->origin;
	p->head = work->head;
	memcpy(p->bytes, work->bytes, len);
	explicit_bzero(came->ptr, came->len);
	w->waiting++;
	return p;
}

/* Notes the question that the handler has left, to be sent when a hasher is free. False: it
 * is not asked, and the request was answered so. */
static bool ask(struct writer *w, const struct work *work)
{
	struct slice question = buf_slice(&w->call.question);
	struct parked *p = work->parked;

	if (p != NULL && p->asked == CALL_ASKS_MAX) {
		put_failure(w, work, HTTP_SERVICE_UNAVAILABLE,
		            "What the request rests on keeps changing: try again.");
		return false;
	}
	if (p == NULL && (p = park(w, work)) == NULL) {
		put_failure(w, work, HTTP_TOO_MANY_REQUESTS,
		            "Too many logins and tokens are waiting: try again.");
		return false;
	}
	memcpy(p->questions[p->asked], question.ptr, question.len);
	p->answers[p->asked] = (struct call_answer){
		.kind     = w->call.question_kind,
		.question = { p->questions[p->asked], question.len },
	};
	explicit_bzero(w->question, question.len);
	p->asked++;
	p->ticket = w->next_ticket++;
	p->state = PARKED_ASKING;
	return true;
}

/* Runs the handler in a child transaction. */
static enum call_result run_handler(struct writer *w, const struct route_match *match)
{
	struct call *c = &w->call;
	enum kv_status status = kv_begin_child(c->kv);
	enum call_result result;
	bool keep;

	if (status != KV_OK)
		return call_store(c, status);
	result = route_call(c, match);
	keep = result == CALL_DONE && w->response.status < HTTP_BAD_REQUEST;    /* (2) */
	status = kv_end_child(c->kv, keep);
	return keep && status != KV_OK ? call_store(c, status) : result;
}

/* A renewal by itself: nobody waits for it. */
static void run_touch(struct writer *w, const struct route_match *match)
{
	enum kv_status status;

	if (kv_begin_child(w->call.kv) != KV_OK)
		return;
	status = route_touch(&w->call, match);
	kv_end_child(w->call.kv, status == KV_OK);
}

/* Keeps the handler's line for the log until the batch is on disk. */
static void keep_audit(struct writer *w)
{
	const char *line = w->call.audit;

	if (line[0] != '\0' && w->response.status < HTTP_BAD_REQUEST)
		buf_put(&w->audit, (struct slice){ line, strlen(line) + 1 });
}

/* Writes the lines of a batch that is on disk, before its answers leave. */
static void write_audit(struct writer *w, bool durable)
{
	struct slice rest = buf_slice(&w->audit);

	while (durable && rest.len > 0) {
		const char *line = rest.ptr;

		slice_cut(&rest, '\0');
		log_event(LOG_INFO, line, "%s", "");
	}
	w->audit.len = 0;
}

/* True: the request is done with. False: it is parked. */
static bool run(struct writer *w, const struct work *work)
{
	struct http_request request;
	struct route_match match;

	assert(kv_writing(w->call.kv));
	if (!read_request(w, work, &request, &match)) {
		log_event(LOG_ERROR, "front_dropped", "front=%u reason=\"maimed request\"",
		          work->origin.front);
		front_drop(&w->fronts[work->origin.front]);
		return true;
	}
	prepare_call(w, work, &request);
	if ((work->head.flags & LINK_TOUCH) != 0) {
		run_touch(w, &match);
		return true;
	}
	switch (run_handler(w, &match)) {
	case CALL_ASK:
		return !ask(w, work);
	case CALL_DONE:
		keep_audit(w);
		put_answer(w, work);
		break;
	case CALL_STORE:
		put_store_failure(w, work, w->call.store_status);
		break;
	}
	return true;
}

/* The oldest parked request that can go on; those whose front is gone are dropped. */
static bool take_parked(struct writer *w, enum parked_state state, struct work *work)
{
	uint32_t index;

	while ((index = parked_find(w, state)) != NOBODY) {
		struct parked *p = parked_at(w, index);

		*work = (struct work){ p->head, p->origin, p->bytes, p };
		if (front_lives(w, &p->origin))
			return true;
		parked_free(w, p);
	}
	return false;
}

/* Fronts are asked in turn, one request each. */
static bool take_request(struct writer *w, struct work *work)
{
	for (uint32_t asked = 0; asked < w->config->workers; asked++) {
		uint32_t number = w->turn++ % w->config->workers;
		struct front *f = &w->fronts[number];
		struct slice bytes;

		if (!f->ready)
			continue;
		assert(f->link.fd >= 0 && !f->full);    /* (3) */
		switch (link_receive_request(&f->link, &work->head, &bytes)) {
		case LINK_DONE:
			work->origin = (struct origin){ number, f->life };
			work->bytes = bytes.ptr;
			work->parked = NULL;
			return true;
		case LINK_LATER:
			f->ready = false;
			break;
		case LINK_GONE:
			front_drop(f);
			break;
		}
	}
	return false;
}

static bool answers_have_room(const struct writer *w)
{
	return w->answer_count < ANSWERS_MAX &&
	       w->answer_bytes.cap - w->answer_bytes.len >= LINK_ANSWER_MAX;
}

/* The commit failed: every answer of the batch says so instead, in fewer bytes. */
static void fail_answers(struct writer *w, size_t first, size_t first_byte, enum kv_status status)
{
	size_t count = w->answer_count;

	w->answer_count = first;
	w->answer_bytes.len = first_byte;
	for (size_t i = first; i < count; i++) {
		const struct answer *a = &w->answers[i];
		const struct work work = {
			.head   = { .slot = a->head.slot, .number = a->head.number },
			.origin = a->origin,
		};

		put_store_failure(w, &work, status);
	}
}

/* One request of the batch, which begins with its first. */
static void batch_one(struct writer *w, const struct work *work, enum kv_status *status)
{
	bool done = true;

	if (*status == KV_OK && !kv_writing(w->call.kv))
		*status = kv_begin(w->call.kv);
	if (*status == KV_OK)
		done = run(w, work);
	else if ((work->head.flags & LINK_TOUCH) == 0)
		put_store_failure(w, work, *status);
	if (done && work->parked != NULL)
		parked_free(w, work->parked);
}

/* Makes the batch durable. */
static enum kv_status commit(struct writer *w)
{
	uint64_t begun_us = clock_us(CLOCK_MONOTONIC);
	enum kv_status status;

	clock_keep(&w->clock, w->call.kv, KEEP_BUSY_S); /* the commit tells of failures */
	status = kv_commit(w->call.kv);
	metrics_observe(METRICS_COMMIT_US, clock_us(CLOCK_MONOTONIC) - begun_us, 1);
	metrics_observe(METRICS_BATCH, w->batch, 1);
	metrics_add(METRICS_COMMITS_FAILED, status != KV_OK);
	return status;
}

/* Takes what waits, runs it, commits once. */
static void run_batch(struct writer *w)
{
	size_t first = w->answer_count, first_byte = w->answer_bytes.len, bytes = 0;
	enum kv_status status = KV_OK;
	struct work work;

	assert(!kv_writing(w->call.kv));                /* (5) */
	for (w->batch = 0; w->batch < BATCH_REQUESTS_MAX && bytes < BATCH_BYTES_MAX; w->batch++) {
		if (!answers_have_room(w) ||
		    (!take_parked(w, PARKED_ANSWERED, &work) && !take_request(w, &work)))
			break;
		bytes += (size_t)work.head.head_len + work.head.body_len;
		batch_one(w, &work, &status);
	}
	if (kv_writing(w->call.kv))
		status = commit(w);
	if (status != KV_OK)
		fail_answers(w, first, first_byte, status);
	write_audit(w, status == KV_OK);
}

/* Requests whose question no hasher lived to answer. */
static void refuse_failed(struct writer *w)
{
	struct work work;

	while (answers_have_room(w) && take_parked(w, PARKED_FAILED, &work)) {
		put_failure(w, &work, HTTP_SERVICE_UNAVAILABLE,
		            "A password or a key could not be used: try again.");
		parked_free(w, work.parked);
	}
}

/* True: it has left, or nobody waits for it any more. */
static bool send_answer(struct writer *w, const struct answer *a)
{
	struct front *f = &w->fronts[a->origin.front];
	enum link_result result;

	if (!front_lives(w, &a->origin))
		return true;
	if (f->full)
		return false;
	result = link_send_answer(&f->link, &a->head,
	                          slice_bytes(w->answer_bytes.ptr + a->at, a->len));
	if (result == LINK_GONE)
		front_drop(f);
	f->full = result == LINK_LATER || link_sending(&f->link);
	return result != LINK_LATER;
}

/* Goes on with what a front has of an answer in part. */
static void flush_front(struct front *f)
{
	enum link_result result = link_flush(&f->link);

	if (result == LINK_GONE)
		front_drop(f);
	f->full = result == LINK_LATER;
}

/* Sends what the fronts take; the rest moves together. */
static void send_answers(struct writer *w)
{
	size_t kept = 0, kept_bytes = 0;

	assert(!kv_writing(w->call.kv));                /* (1) */
	for (uint32_t i = 0; i < w->config->workers; i++)
		flush_front(&w->fronts[i]);
	for (size_t i = 0; i < w->answer_count; i++) {
		struct answer a = w->answers[i];

		if (send_answer(w, &a))
			continue;
		memmove(w->answer_bytes.ptr + kept_bytes, w->answer_bytes.ptr + a.at, a.len);
		a.at = kept_bytes;
		kept_bytes += a.len;
		w->answers[kept++] = a;
	}
	w->answer_count = kept;
	w->answer_bytes.len = kept_bytes;
}

/* There is no room for further answers. A front that takes none of its own holds up all others:
 * its link goes. */
static void make_room(struct writer *w)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < w->config->workers; i++) {
		struct front *f = &w->fronts[i];

		if (!f->full || f->packets != f->link.packets) {
			f->packets = f->link.packets;
			f->moved_ms = now_ms;
		} else if (now_ms - f->moved_ms >= STUCK_MS) {
			log_event(LOG_WARN, "front_dropped", "front=%u reason=\"takes no answers\"",
			          i);
			front_drop(f);
		}
	}
	send_answers(w);
}

static struct hasher *idle_hasher(struct writer *w)
{
	for (uint32_t i = 0; i < w->config->hashers; i++)
		if (w->hashers[i].fd >= 0 && w->hashers[i].busy == NOBODY)
			return &w->hashers[i];
	return NULL;
}

/* All that are there are busy: the supervisor starts another, up to `hashers`. */
static void want_hasher(struct writer *w)
{
	static const struct link_order order = { ORDER_NEED_HASHER, 0 };
	uint32_t linked = 0;

	for (uint32_t i = 0; i < w->config->hashers; i++)
		linked += w->hashers[i].fd >= 0;
	if (w->hasher_wanted || linked == w->config->hashers)
		return;
	w->hasher_wanted = link_send_order(w->control, &order, -1) == LINK_DONE;
}

static void send_questions(struct writer *w)
{
	struct work work;
	struct hasher *h;

	while (take_parked(w, PARKED_ASKING, &work)) {
		struct parked *p = work.parked;
		const struct call_answer *a = &p->answers[p->asked - 1];
		const struct link_question head = { p->ticket, a->kind };

		if ((h = idle_hasher(w)) == NULL) {
			want_hasher(w);
			return;
		}
		p->state = PARKED_ASKED;
		w->quick_in_a_row = is_slow(p) ? 0 : w->quick_in_a_row + 1;
		h->busy = parked_index(w, p);
		if (link_send_question(h->fd, &head, a->question) != LINK_DONE)
			hasher_drop(w, h);      /* it asks for another link */
	}
}

static void take_reply(struct writer *w, struct hasher *h)
{
	struct parked *p = h->busy != NOBODY ? parked_at(w, h->busy) : NULL;
	struct link_question head;
	struct buf reply = { 0 };
	enum link_result result;

	if (p != NULL)
		reply = BUF(p->replies[p->asked - 1]);
	result = link_receive_question(h->fd, &head, &reply);
	if (result == LINK_LATER)
		return;
	if (result == LINK_GONE || p == NULL || head.ticket != p->ticket) {
		hasher_drop(w, h);
		return;
	}
	assert(p->state == PARKED_ASKED);               /* (4) */
	p->answers[p->asked - 1].answer = buf_slice(&reply);
	p->state = PARKED_ANSWERED;
	h->busy = NOBODY;
}

static void take_link(struct writer *w, const struct link_order *order, int fd)
{
	if (order->kind == ORDER_FRONT_LINK && order->number < w->config->workers) {
		front_drop(&w->fronts[order->number]);
		link_join(&w->fronts[order->number].link, fd);
	} else if (order->kind == ORDER_HASHER_LINK && order->number < w->config->hashers) {
		hasher_drop(w, &w->hashers[order->number]);
		w->hashers[order->number].fd = fd;
		w->hasher_wanted = false;
	} else {
		close(fd);
	}
}

static void reload(struct writer *w, int fd)
{
	if (!config_load(fd, &w->reloaded))
		return;
	log_open((enum log_level)w->reloaded.log_level, "writer");
	w->config = w->call.config = &w->reloaded;
}

/* False: the supervisor is gone. */
static bool obey(struct writer *w)
{
	struct link_order order = { 0 };
	enum link_result result;
	int passed;

	while ((result = link_receive_order(w->control, &order, &passed)) == LINK_DONE) {
		if (order.kind == ORDER_SETTINGS)
			reload(w, passed);
		else if (passed >= 0)
			take_link(w, &order, passed);
		if (order.kind == ORDER_CHECK_READERS)
			kv_check_readers(w->call.kv);
		if (order.kind == ORDER_DRAIN)
			w->draining = true;
	}
	return result != LINK_GONE;
}

/* A step forward ends sessions before their time, one back has this clock go slowly: whoever
 * set the wall clock should know. While no server ran, it may go on by any time. */
static void move_clock(struct writer *w)
{
	bool first = w->clock.wall_us == 0;
	int64_t by_s = clock_move(&w->clock, clock_ms(CLOCK_REALTIME) * 1000,
	                          clock_ms(CLOCK_BOOTTIME) * 1000);

	if (by_s <= -CLOCK_STEP_S || by_s >= CLOCK_STEP_S)
		log_event(first && by_s > 0 ? LOG_INFO : LOG_WARN, "clock_step",
		          "by_s=%lld since=%s", (long long)by_s,
		          first ? "last_run" : "last_look");
}

/* Goes on with the count of sessions, some at a time: a store has no number of them at hand. */
static enum kv_status count_sessions(struct writer *w)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	enum kv_status status = KV_OK;

	for (int i = 0; i < COUNT_STEP && status == KV_OK; i++) {
		status = session_next(w->call.kv, &w->counted, key, &s);
		w->guests += status == KV_OK && s.customer_id == 0;
		w->customers += status == KV_OK && s.customer_id != 0;
	}
	if (status != KV_NOT_FOUND)
		return status;
	metrics_set(METRICS_SESSIONS_GUEST, w->guests);
	metrics_set(METRICS_SESSIONS_CUSTOMER, w->customers);
	w->counted.len = 0;
	w->guests = w->customers = 0;
	return KV_OK;
}

/* How long somebody has been looking at what commits have passed (requirement D04). */
static void look_at_readers(struct writer *w, uint64_t now_ms)
{
	struct kv_stat s;

	kv_check_readers(w->call.kv);
	kv_look(w->call.kv, &s);
	if (s.oldest_reader != w->oldest_reader || s.oldest_reader == s.last_snapshot)
		w->oldest_ms = now_ms;
	w->oldest_reader = s.oldest_reader;
	metrics_set(METRICS_READER_AGE_US,
	            s.oldest_reader > 0 ? (now_ms - w->oldest_ms) * 1000 : 0);
}

/* One step of the sweep, in a transaction of its own: it may use the store's reserve. It looks
 * at more entries than the batch has put, so that no flood outruns it (requirement S17). What
 * it deletes cannot live again, whatever the clock says later; all else needs the time kept. */
static void sweep(struct writer *w, uint64_t keep_s)
{
	struct kv *kv = w->call.kv;
	uint32_t limit = SWEEP_STEP + ENTRIES_A_REQUEST * w->batch, seen = 0;
	enum kv_status status = kv_begin(kv);

	if (status == KV_OK) {
		kv_use_reserve(kv);
		status = clock_follow(&w->clock, kv);
		move_clock(w);
		if (status == KV_OK)
			status = session_sweep(kv, w->config, clock_now_s(&w->clock), limit,
			                       &seen);
		if (status == KV_OK)
			status = clock_keep(&w->clock, kv, seen > 0 ? KEEP_BUSY_S : keep_s);
		if (status == KV_OK)
			status = token_sweep(kv, clock_now_s(&w->clock));
		if (status == KV_OK)
			status = count_sessions(w);
		if (status == KV_OK)
			status = kv_commit(kv);
		else
			kv_abort(kv);
	}
	metrics_add(METRICS_SWEPT, seen);
	w->sweep_again = status == KV_OK && seen == limit;
}

/* What long requests and answers needed goes back to the system. */
static void trim_memory(struct writer *w)
{
	memory_trim(w->response.body.ptr, w->response.body.cap, LINK_PACKET_MAX);
	memory_trim(w->answer_bytes.ptr, w->answer_bytes.cap,
	            w->answer_bytes.len > LINK_PACKET_MAX ? w->answer_bytes.len : LINK_PACKET_MAX);
	for (uint32_t i = 0; i < w->config->workers; i++)
		link_trim(&w->fronts[i].link);
}

static void tick(struct writer *w)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);

	if (now_ms < w->tick_ms && !w->sweep_again)
		return;
	sweep(w, KEEP_IDLE_S);
	if (now_ms < w->tick_ms)
		return;
	look_at_readers(w, now_ms);
	trim_memory(w);
	w->tick_ms = now_ms + 1000;
}

static int wait_ms(const struct writer *w)
{
	uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);

	if (w->sweep_again || parked_find(w, PARKED_ANSWERED) != NOBODY || now_ms >= w->tick_ms)
		return 0;
	return (int)(w->tick_ms - now_ms);
}

/* A front with answers waiting is to take them first (3), and without room for an answer
 * no request is taken from any. */
static struct pollfd wait_for_front(const struct writer *w, const struct front *f)
{
	if (f->full)
		return (struct pollfd){ .fd = f->link.fd, .events = POLLOUT };
	return (struct pollfd){ .fd = answers_have_room(w) ? f->link.fd : -1, .events = POLLIN };
}

/* False: the supervisor is gone. */
static bool wait_for_work(struct writer *w)
{
	struct pollfd waits[1 + FRONTS_MAX + HASHERS_MAX], *at = waits;

	*at++ = (struct pollfd){ .fd = w->control, .events = POLLIN };
	for (uint32_t i = 0; i < w->config->workers; i++)
		*at++ = wait_for_front(w, &w->fronts[i]);
	for (uint32_t i = 0; i < w->config->hashers; i++)
		*at++ = (struct pollfd){ .fd = w->hashers[i].fd, .events = POLLIN };
	if (poll(waits, (nfds_t)(at - waits), life_wait_ms(wait_ms(w))) < 0)
		return errno == EINTR || errno == ENOMEM;
	for (uint32_t i = 0; i < w->config->workers; i++)
		w->fronts[i].ready = waits[1 + i].revents != 0 && !w->fronts[i].full;
	for (uint32_t i = 0; i < w->config->hashers; i++)
		if (waits[1 + w->config->workers + i].revents != 0)
			take_reply(w, &w->hashers[i]);
	return waits[0].revents == 0 || obey(w);
}

/* Every front has ended and all that it sent was done. */
static bool drained(const struct writer *w)
{
	for (uint32_t i = 0; i < w->config->workers; i++)
		if (w->fronts[i].link.fd >= 0)
			return false;
	return w->draining;
}

static void serve(struct writer *w)
{
	while (!drained(w) && !kv_dead(w->call.kv) && wait_for_work(w)) {
		life_turn();
		make_date(w);
		send_answers(w);
		if (!answers_have_room(w))
			make_room(w);
		run_batch(w);
		refuse_failed(w);
		send_answers(w);
		send_questions(w);
		metrics_set(METRICS_PARKED, w->waiting);
		tick(w);
	}
}

static bool had_memory(struct writer *w)
{
	const struct config *c = w->config;

	w->parked_room = c->max_head + (c->max_body < BODY_CAP ? c->max_body : BODY_CAP);
	w->parked_size = (sizeof(struct parked) + w->parked_room + 63) & ~(size_t)63;
	w->long_places = memory_map((size_t)LONG_PLACES * LONG_PLACE);
	w->parked = memory_map(w->parked_size * c->max_waiting_passwords);
	w->answer_bytes = (struct buf){ .ptr = memory_map(ANSWERS_BYTES), .cap = ANSWERS_BYTES };
	w->response.body = (struct buf){ .ptr = memory_map(CALL_BODY_MAX),
		                         .cap = CALL_BODY_MAX };
	for (uint32_t i = 0; i < c->workers; i++)
		if (!link_open(&w->fronts[i].link))
			return false;
	return w->parked != NULL && w->long_places != NULL && w->answer_bytes.ptr != NULL &&
	       w->response.body.ptr != NULL;
}

/* False, with one line in `error`: the store or its secret cannot be had. */
static bool open_store(struct writer *w, char error[KV_ERROR_MAX])
{
	const struct config *c = w->config;
	const struct kv_options options = {
		.dir       = c->data,
		.mode      = KV_CREATE,
		.map_bytes = c->map_bytes,
		.nosync    = c->durability == DURABILITY_UNSAFE_NOSYNC,
	};
	struct buf secret = BUF(w->sid_secret);

	static_assert((int)KV_ERROR_MAX >= (int)SECRET_ERROR_MAX, "one buffer serves both");
	if (!secret_create(c->data, c->sid_secret_file, error) ||
	    !secret_read(c->sid_secret_file, &secret, error))
		return false;
	w->call.sid_secret = buf_slice(&secret);
	w->call.kv = kv_open(&options, error);
	return w->call.kv != NULL;
}

static void set_up(struct writer *w)
{
	const struct config *c = w->config;
	uint8_t seed[16];
	uint32_t number;

	w->limits = (struct http_limits){ c->max_head, c->max_target, c->max_headers, UINT64_MAX };
	secret_random(seed, sizeof seed);
	throttle_init(&w->throttle, w->throttle_entries, THROTTLE_ENTRIES, seed);
	w->response.fields = BUF(w->response_fields);
	w->audit = BUF(w->audit_bytes);
	w->call.config = c;
	w->call.throttle = &w->throttle;
	w->call.response = &w->response;
	w->call.question = BUF(w->question);
	secret_random(&number, sizeof number);
	json_seed(number | 1);          /* 0 would have Jansson open /dev/urandom later */
	for (uint32_t i = 0; i < w->config->hashers; i++)
		w->hashers[i] = (struct hasher){ -1, NOBODY };
}

int writer_run(const struct config *config, int control)
{
	static struct writer w;
	char error[KV_ERROR_MAX];

	assert(config->workers <= FRONTS_MAX && config->hashers <= HASHERS_MAX);
	w.config = config;
	w.control = control;
	if (!open_store(&w, error)) {
		fprintf(stderr, "sidecart: %s\n", error);
		return 111;
	}
	if (!had_memory(&w)) {
		fprintf(stderr, "sidecart: max_waiting_passwords: no memory: %s\n",
		        strerror(errno));
		return 111;
	}
	set_up(&w);
	if (!seccomp_enter(config, SECCOMP_WRITER) || !link_say_ready(control))
		return 111;
	serve(&w);
	if (kv_dead(w.call.kv))
		return 111;     /* the supervisor starts another */
	sweep(&w, 1);
	kv_close(w.call.kv);
	return 0;
}
