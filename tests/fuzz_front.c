/* fuzz_front.c -- a few clients say anything to a whole server: the real loops of a front, a writer
 * and a hasher over one small store, in this process.
 *
 * Each loop has a stack of its own. Where it would wait, it looks once and lets the others go on;
 * time stands still until the input moves it. What the input says:
 *  FF 0..3  from here on another client: 0 and 1 at the shop's listener, 2 at the ops listener, 3
 *           where a PROXY header comes first;
 *  FF f     what was said so far is sent, and the server goes as far as it can;
 *  FF t N   the same, and then 2^N ms pass;
 *  FF e, c  the client ends its half of the connection; resets it, to begin another;
 *  FF z     it reads no answers until the end of the input;
 *  FF v N   it says what it was given: of the last cookies, entity tags, tokens the Nth;
 *  FF r N   it says its last bytes N times more;
 *  FF l, s  the writer's link is cut and made anew; the settings are read anew.
 * All else is said as it stands.
 *
 * Always, however it was cut:
 *  (1) every answer is HTTP/1.1, whole, with one length, and behind the last one comes nothing;
 *  (2) there are as many as requests, as http.c reads what was said whole; fewer only where the
 *      connection has ended, one more only for a request that has not come whole;
 *  (3) an answer names no Session-Id that its client has not said;
 *  (4) the loops come to rest; they keep no descriptor and no memory of who has gone;
 *  (5) `sidecart check` finds the store sound.
 * Behind each input the store is what it was before, so that the input alone decides.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "kv.c"                 /* a handle for each loop, which are one process here */

#include "client.h"
#include "command.h"
#include "customer.h"
#include "hasher.h"
#include "http.h"
#include "link.h"
#include "memory.h"
#include "password.h"
#include "product.h"
#include "proxy.h"
#include "secret.h"
#include "server.h"
#include "writer.h"

#define STACK_BYTES  ((size_t)4 << 20)
#define START_S      UINT64_C(1800000000)
#define CLIENTS      4
#define SAID_MAX     16384              /* bytes that a client says */
#define HEARD_MAX    (2 << 20)          /* bytes of answers that have not come whole */
#define GIVEN        8
#define GIVEN_MAX    1024
#define BASE_RECORDS 128
#define RESETS_MAX   64                 /* of one input: who is not accepted yet has a place */
#define TURNS_MAX    200000             /* of all loops, for one input */
#define BLOCKS_MAX   4096               /* allocations that the loops hold */
#define CHECK_EACH   2048               /* inputs, the first of a process among them */
#define DESCRIPTORS  128
#define WAITS_MAX    64                 /* what all loops wait for */
#define LISTS        16
#define LIST_BYTES   ((size_t)1 << 18)

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* --- Time, chance and memory ----------------------------------------------------------------- */

static uint64_t now_us, random_state;
static long blocks;             /* allocations of the loops that were not freed */

/* One of the three loops. */
struct loop {
	ucontext_t context;
	struct kv store;                /* the handle's bytes while others run */
	int control;                    /* the supervisor's end, which is ours */
	int theirs;
	bool moved;                     /* it has done something since it was looked at */
	const struct pollfd *waits;     /* it goes on when one of these is there, */
	nfds_t wait_count;
	uint64_t until_us;              /* or then */
};
enum { WRITER, FRONT, HASHER, LOOPS };
static struct loop loops[LOOPS];
static struct loop *current;            /* NULL: nobody's turn, this is the test */
static ucontext_t outside;
static struct kv *handle;               /* kv.c's only one; its bytes are whose turn it is */
static uint32_t turns;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_setpriority(int which, unsigned who, int niceness);
void __wrap_secret_random(void *out, size_t len);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t us = now_us + (clock == CLOCK_REALTIME ? START_S * 1000000 : 0);

	if (current == NULL)
		return __real_clock_gettime(clock, t);
	*t = (struct timespec){ .tv_sec = (time_t)(us / 1000000),
		                .tv_nsec = (long)(us % 1000000) * 1000 };
	return 0;
}

int __wrap_setpriority(int which, unsigned who, int niceness)
{
	(void)which, (void)who, (void)niceness;
	return 0;
}

/* splitmix64 */
void __wrap_secret_random(void *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		((uint8_t *)out)[i] = (uint8_t)(z ^ z >> 31);
	}
}

static void *counted(void *p)
{
	blocks += p != NULL && current != NULL;
	return p;
}

/* LMDB's lists of a transaction's pages, megabytes that ASan would mark each time, are kept. */
static struct {
	void *bytes;
	size_t size;
	bool taken;
} lists[LISTS];

static void *take_list(size_t size)
{
	for (size_t i = 0; i < LISTS; i++) {
		if (lists[i].taken || (lists[i].bytes != NULL && lists[i].size != size))
			continue;
		if (lists[i].bytes == NULL)
			lists[i].bytes = __real_malloc(lists[i].size = size);
		lists[i].taken = lists[i].bytes != NULL;
		return lists[i].bytes;
	}
	return NULL;
}

static bool give_list(const void *p)
{
	for (size_t i = 0; i < LISTS; i++) {
		if (lists[i].bytes != p)
			continue;
		CHECK(lists[i].taken);
		lists[i].taken = false;
		return true;
	}
	return false;
}

void *__wrap_malloc(size_t size)
{
	return size >= LIST_BYTES ? take_list(size) : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	for (size_t i = 0; p != NULL && i < LISTS; i++)
		CHECK(lists[i].bytes != p);
	return p == NULL ? counted(__real_realloc(p, size)) : __real_realloc(p, size);
}

void __wrap_free(void *p)
{
	if (p == NULL || give_list(p))
		return;
	blocks -= current != NULL;
	__real_free(p);
}

/* --- The loops ------------------------------------------------------------------------------- */

static void leave(void)
{
	struct loop *l = current;

	l->store = *handle;
	current = NULL;
	CHECK(swapcontext(&l->context, &outside) == 0);
	current = l;
	*handle = l->store;
}

/* Runs until it waits for what only others can bring about. */
static void resume(struct loop *l)
{
	l->moved = false;
	CHECK(swapcontext(&outside, &l->context) == 0);
}

/* What a wait for any of `count` things until then comes to: `found` of them are there. */
static bool waited(int found, const struct pollfd *fds, nfds_t count, uint64_t until_us)
{
	CHECK(++turns < TURNS_MAX);                     /* (4) */
	if (found == 0 && now_us < until_us) {
		current->waits = fds;
		current->wait_count = count;
		current->until_us = until_us;
		leave();
		return false;
	}
	current->moved = true;
	return true;
}

static uint64_t until(int ms)
{
	return ms < 0 ? UINT64_MAX : now_us + (uint64_t)ms * 1000;
}

int __real_epoll_wait(int fd, struct epoll_event *events, int count, int ms);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int ms);
int __real_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);

int __wrap_epoll_wait(int fd, struct epoll_event *events, int count, int ms)
{
	const struct pollfd self = { .fd = fd, .events = POLLIN };
	uint64_t until_us = until(ms);
	int found;

	do
		found = __real_epoll_wait(fd, events, count, 0);
	while (!waited(found, &self, 1, until_us));
	return found;
}

/* As poll(2), at once. libFuzzer's clock interrupts some. */
static int look(struct pollfd *fds, nfds_t count)
{
	int found;

	do
		found = __real_poll(fds, count, 0);
	while (found < 0 && errno == EINTR);
	return found;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
	uint64_t until_us = until(ms);
	int found;

	if (current == NULL)
		return __real_poll(fds, count, ms);
	do
		found = look(fds, count);
	while (!waited(found, fds, count, until_us));
	return found;
}

static struct config config;
static int listeners[3];

static void run_loop(int which)
{
	current = &loops[which];
	*handle = (struct kv){ 0 };
	if (which == WRITER)
		writer_run(&config, current->theirs);
	else if (which == FRONT)
		server_run(&config, current->theirs, listeners, NULL);
	else
		hasher_run(&config, current->theirs);
	abort();                                        /* none of them ends */
}

static void order(struct loop *l, enum link_order_kind kind, int passed)
{
	const struct link_order o = { kind, 0 };

	CHECK(link_send_order(l->control, &o, passed) == LINK_DONE);
}

/* Both ends of a new link. */
static void join(enum link_order_kind to_writer, struct loop *other)
{
	size_t room;
	int pair[2];

	CHECK(link_pair(pair, LINK_PACKET_MAX, &room));
	order(&loops[WRITER], to_writer, pair[0]);
	order(other, ORDER_WRITER_LINK, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* One look at what all of them wait for, and at what they say to the supervisor: who has something
 * to do goes on. True: somebody did. */
static bool run_some(bool *linked)
{
	struct pollfd fds[WAITS_MAX];
	nfds_t count = LOOPS;
	bool moved = false;

	for (int i = 0; i < LOOPS; i++) {
		fds[i] = (struct pollfd){ .fd = loops[i].control, .events = POLLIN };
		CHECK(count + loops[i].wait_count <= WAITS_MAX);
		memcpy(fds + count, loops[i].waits, loops[i].wait_count * sizeof fds[0]);
		count += loops[i].wait_count;
	}
	CHECK(look(fds, count) >= 0);
	count = LOOPS;
	for (int i = 0; i < LOOPS; i++) {
		bool due = now_us >= loops[i].until_us;
		struct link_order o;
		int passed;

		for (nfds_t end = count + loops[i].wait_count; count < end; count++)
			due |= fds[count].revents != 0;
		if (fds[i].revents != 0)
			while (link_receive_order(loops[i].control, &o, &passed) == LINK_DONE)
				*linked &= o.kind != ORDER_NEED_LINK;
		if (due) {
			resume(&loops[i]);
			moved |= loops[i].moved;
		}
	}
	return moved;
}

/* Until all of them wait. */
static void run_all(void)
{
	bool linked = true;

	while (run_some(&linked) || !linked) {
		if (!linked)
			join(ORDER_FRONT_LINK, &loops[FRONT]);
		linked = true;
	}
}

/* --- The store ------------------------------------------------------------------------------- */

static struct kv ours;
static char dir[256];
static struct {
	char key[RECORD_KEY_MAX], value[RECORD_VALUE_MAX];
	struct slice key_bytes, value_bytes;
} base[BASE_RECORDS];
static size_t base_count;

static void add_customer(const char *login, uint32_t flags)
{
	static const uint8_t salt[16] = { 1 }, nonce[12] = { 1 };
	char hash[PASSWORD_HASH_MAX], sealed[PASSWORD_SEALED_MAX], email[64];
	struct buf h = BUF(hash), s = BUF(sealed);
	struct customer_record r = { .login = slice_of(login), .joined_us = START_S * 1000000,
		                     .flags = flags };
	char error[SECRET_ERROR_MAX];
	enum kv_status status;
	uint8_t key[32];

	snprintf(email, sizeof email, "%s@example.com", login);
	r.email = slice_of(email);
	CHECK(secret_read_seal_key(dir, key, error));
	CHECK(customer_next_id(handle, &r.id) == KV_OK);
	password_make(&h, slice_of(login), 1, salt);
	password_seal(&s, key, nonce, r.id, buf_slice(&h));
	r.sealed_password = buf_slice(&s);
	CHECK(customer_add(handle, &r, &status) == CUSTOMER_OK);
}

static void add_key(const char *text, uint32_t scopes)
{
	const struct client_record r = { .name = slice_of(text), .scopes = scopes,
		                         .created_s = START_S, .used_s = START_S };
	enum kv_status status;

	CHECK(client_add(handle, slice_of(text), &r, &status) == CLIENT_ADDED);
}

static void add_product(const char *id, uint32_t stock, const char *options)
{
	const struct product_record p = {
		.id = slice_of(id), .name = SLICE("Mug"), .currency = SLICE("EUR"),
		.options = slice_of(options), .price_e4 = 123456, .tax_rate_e6 = 190000,
		.stock = stock, .max_quantity = UINT32_MAX, .updated_us = START_S * 1000000,
	};
	enum kv_status status;

	CHECK(product_put(handle, &p, &status) == PRODUCT_OK);
}

/* The customers' passwords are their names. */
static void fill_store(void)
{
	CHECK(kv_begin(handle) == KV_OK);
	add_key("k", SCOPE_SHOP | SCOPE_TRUSTED | SCOPE_LOGIN | SCOPE_RESOLVE | SCOPE_ADMIN);
	add_key("shop", SCOPE_SHOP);
	add_customer("ada", 0);
	add_customer("eve", CUSTOMER_DISABLED);
	add_product("1", UINT32_MAX, "");
	add_product("mug", 3, "color,size");
	CHECK(kv_commit(handle) == KV_OK);
}

/* The first record behind `place`. */
static bool next(struct slice place, struct slice *key, struct slice *value)
{
	enum kv_status status = kv_scan(handle, (struct slice){ 0 }, place, key, value);

	CHECK(status == KV_OK || status == KV_NOT_FOUND);
	return status == KV_OK;
}

static void keep_base(void)
{
	struct slice place = SLICE("\0"), key, value;

	*handle = ours;
	CHECK(kv_begin(handle) == KV_OK);
	for (; next(place, &key, &value); place = base[base_count++].key_bytes) {
		CHECK(base_count < BASE_RECORDS && value.len <= RECORD_VALUE_MAX);
		memcpy(base[base_count].key, key.ptr, key.len);
		memcpy(base[base_count].value, value.ptr, value.len);
		base[base_count].key_bytes = slice_bytes(base[base_count].key, key.len);
		base[base_count].value_bytes = slice_bytes(base[base_count].value, value.len);
	}
	kv_abort(handle);
	ours = *handle;
}

/* Makes the records what they were: both lists are in the order of their keys. */
static void restore_base(void)
{
	char bytes[RECORD_KEY_MAX];
	struct slice place = SLICE("\0"), key, value;
	bool changed = false;
	size_t i = 0;

	*handle = ours;
	CHECK(kv_begin(handle) == KV_OK);
	for (;;) {
		bool more = next(place, &key, &value);
		int way = i == base_count ? -1 : !more ? 1 : slice_order(key, base[i].key_bytes);

		if (!more && i == base_count)
			break;
		if (way >= 0) {
			place = base[i].key_bytes;
			if (way > 0 || !slice_eq(value, base[i].value_bytes)) {
				CHECK(kv_put(handle, place, base[i].value_bytes) == KV_OK);
				changed = true;
			}
			i++;
		} else {
			memcpy(bytes, key.ptr, key.len);
			CHECK(kv_del(handle, slice_bytes(bytes, key.len)) == KV_OK);
			changed = true;
		}
	}
	if (changed)
		CHECK(kv_commit(handle) == KV_OK);
	else
		kv_abort(handle);
	ours = *handle;
}

/* (5), in a process of its own. */
static void check_store(void)
{
	static const struct command check = { "check", "", "", "", 0, 0, 0, command_check };
	char data[300], *words[] = { (char[]){ "sidecart" }, (char[]){ "check" }, data, NULL };
	char said[4096], *nothing[] = { NULL };
	int pair[2], status;
	ssize_t len;
	pid_t child;

	CHECK(pipe(pair) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		dup2(pair[1], STDOUT_FILENO);
		snprintf(data, sizeof data, "--data=%s", dir);
		*handle = (struct kv){ 0 };
		environ = nothing;              /* it may name settings */
		status = command_run(&check, 1, 3, words);
		fflush(stdout);
		_exit(status);
	}
	close(pair[1]);
	while (waitpid(child, &status, 0) != child)
		CHECK(errno == EINTR);                  /* libFuzzer's clock */
	len = read(pair[0], said, sizeof said);
	close(pair[0]);
	if (status != 0)
		fprintf(stderr, "check: status %d: %.*s\n", status, (int)len, said);
	CHECK(status == 0);
}

struct kv *__wrap_kv_open(const struct kv_options *o, char error[KV_ERROR_MAX]);

/* For others than this file. */
struct kv *__wrap_kv_open(const struct kv_options *o, char error[KV_ERROR_MAX])
{
	struct kv_options unsynced = *o;

	unsynced.nosync = true;
	return kv_open(&unsynced, error);
}

/* --- The clients ----------------------------------------------------------------------------- */

static struct client {
	int fd;                         /* -1: not connected */
	bool deaf;                      /* reads nothing for now */
	bool was_deaf;
	bool finished;                  /* has ended its half */
	bool ended;                     /* the server has ended the connection, or its half */
	bool last;                      /* an answer said that it is the last one */
	size_t said, sent, heard;       /* bytes */
	uint32_t answers;
	char words[SAID_MAX], answer[HEARD_MAX];
} clients[CLIENTS];

/* What a client has said, as http.c reads it whole. */
struct reading {
	uint32_t requests;
	bool heads[SAID_MAX / 16];      /* of each: its method is HEAD */
	bool more;                      /* behind them something that is no whole request */
};

static char given[GIVEN][GIVEN_MAX];
static uint32_t given_count, resets;

static int connect_to(int listener)
{
	struct sockaddr_un at;
	socklen_t len = sizeof at;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	CHECK(connect(fd, (struct sockaddr *)&at, len) == 0);
	return fd;
}

static struct client *client_at(size_t i)
{
	struct client *c = &clients[i];

	if (c->fd >= 0)
		return c;
	c->fd = connect_to(listeners[i < 2 ? 0 : i - 1]);
	c->deaf = c->was_deaf = c->finished = c->ended = c->last = false;
	c->said = c->sent = c->heard = 0;
	c->answers = 0;
	return c;
}

static void say(struct client *c, struct slice words)
{
	size_t room = SAID_MAX - c->said, len = words.len < room ? words.len : room;

	memcpy(c->words + c->said, words.ptr, len);
	c->said += len;
}

/* Behind the head of one request; false where it, or its body, has not come whole or is none. */
static bool read_body(struct http_request *r, struct slice *in, const struct http_limits *limits)
{
	static char room[SAID_MAX];
	struct buf body = BUF(room);
	struct http_chunked chunked = { 0 };
	struct http_refusal refusal;

	if (r->chunked)
		return http_chunked_feed(&chunked, in, &body, limits, &refusal) == HTTP_READY;
	if (r->content_length > in->len)
		return false;
	*in = slice_skip(*in, (size_t)r->content_length);
	return true;
}

static void read_whole(const struct client *c, struct reading *out)
{
	const struct http_limits limits = { config.max_head, config.max_target,
		                            config.max_headers, UINT64_MAX };
	struct slice in = { c->words, c->sent };
	struct proxy_header header;
	bool keep_alive = true;

	out->requests = 0;
	out->more = false;
	if (c == &clients[CLIENTS - 1]) {
		if (proxy_parse(in, &header) != PROXY_READY)
			return;
		in = slice_skip(in, header.len);
	}
	while (in.len > 0 && keep_alive) {
		struct http_request r;
		struct http_refusal refusal;

		enum http_result result;

		http_request_init(&r);
		result = http_parse(&r, in, &limits, &refusal);
		out->heads[out->requests] = r.method == HTTP_HEAD;
		out->more = true;
		if (result != HTTP_READY)
			return;
		in = slice_skip(in, r.head_len);
		if (!read_body(&r, &in, &limits))
			return;
		out->requests++;
		out->more = false;
		keep_alive = r.keep_alive;
	}
}

static void remember(struct slice value)
{
	if (value.len < GIVEN_MAX) {
		memcpy(given[given_count % GIVEN], value.ptr, value.len);
		given[given_count++ % GIVEN][value.len] = '\0';
	}
}

/* (3): the identifier, which comes last, is the client's own. */
static void judge_sid(const struct client *c, struct slice sid)
{
	struct slice identifier = sid;

	while (slice_has(identifier, ':'))
		slice_cut(&identifier, ':');
	CHECK(memmem(c->words, c->sent, identifier.ptr, identifier.len) != NULL);
}

static void judge_field(struct client *c, struct slice name, struct slice value)
{
	CHECK(http_is_token(name));
	for (size_t i = 0; i < value.len; i++)
		CHECK((uint8_t)value.ptr[i] >= ' ' && value.ptr[i] != 0x7f);
	CHECK(!slice_eq_nocase(name, SLICE("Transfer-Encoding")));
	if (slice_eq(name, SLICE("Connection"))) {
		c->last |= slice_eq(value, SLICE("close"));
	} else if (slice_eq(name, SLICE("Session-Id"))) {
		judge_sid(c, value);
	} else if (slice_eq(name, SLICE("Set-Cookie"))) {
		slice_cut(&value, '=');
		remember(slice_cut(&value, ';'));
	} else if (slice_eq(name, SLICE("ETag")) || slice_eq(name, SLICE("Authorization"))) {
		remember(value);
	}
}

/* The length that a head has, and has once; false: none. */
static bool find_length(struct slice head, uint64_t *length)
{
	const struct slice name = SLICE("\r\nContent-Length: ");
	const char *at = memmem(head.ptr, head.len, name.ptr, name.len);
	struct slice rest;

	if (at == NULL)
		return false;
	rest = slice_skip(head, (size_t)(at - head.ptr) + name.len);
	CHECK(memmem(rest.ptr, rest.len, name.ptr, name.len) == NULL);
	CHECK(slice_uint(slice_cut(&rest, '\r'), HEARD_MAX, length));
	return true;
}

static void judge_head(struct client *c, struct slice head)
{
	CHECK(!c->last);
	slice_cut(&head, '\n');
	while (head.len > 0) {
		struct slice value = slice_cut(&head, '\n'), name;

		CHECK(value.len > 1 && value.ptr[value.len - 1] == '\r');
		value.len--;
		name = slice_cut(&value, ':');
		CHECK(value.len > 1 && value.ptr[0] == ' ');
		judge_field(c, name, slice_skip(value, 1));
	}
}

/* One answer at the start of `in` (1): its bytes, or 0 where it has not come whole. */
static size_t judge_answer(struct client *c, struct slice in, const struct reading *r)
{
	const char *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
	struct slice head = { in.ptr, end == NULL ? 0 : (size_t)(end - in.ptr) + 2 };
	uint64_t status, length = 0;
	bool has_body;

	if (end == NULL)
		return 0;
	CHECK(slice_starts(head, SLICE("HTTP/1.1 ")) && head.len > 13 && head.ptr[12] == ' ');
	CHECK(slice_uint((struct slice){ head.ptr + 9, 3 }, 599, &status) && status >= 100);
	has_body = status >= 200 && status != 204 && status != 304;
	CHECK(find_length(head, &length) == has_body);
	CHECK(c->answers < r->requests + r->more);      /* (2) */
	if (r->heads[c->answers])
		length = 0;
	if (head.len + 2 + length > in.len)
		return 0;
	c->answers += status >= 200;
	judge_head(c, head);
	return head.len + 2 + (size_t)length;
}

static void judge_answers(struct client *c)
{
	static struct reading r;
	struct slice rest = { c->answer, c->heard };
	size_t len;

	read_whole(c, &r);
	while (rest.len > 0 && (len = judge_answer(c, rest, &r)) > 0)
		rest = slice_skip(rest, len);
	memmove(c->answer, rest.ptr, rest.len);
	c->heard = rest.len;
}

/* True where something came. */
static bool hear(struct client *c)
{
	bool more = false;
	ssize_t n;

	while (!c->ended && !c->deaf) {
		n = recv(c->fd, c->answer + c->heard, HEARD_MAX - c->heard, 0);
		if (n < 0 && errno == EAGAIN)
			break;
		more = true;
		c->ended = n <= 0;
		c->heard += n > 0 ? (size_t)n : 0;
		judge_answers(c);
		CHECK(c->heard < HEARD_MAX);
	}
	return more;
}

/* The loops go on, and the clients listen, until nothing moves any more. */
static void settle_all(void)
{
	bool more;

	do {
		run_all();
		more = false;
		for (size_t i = 0; i < CLIENTS; i++)
			more |= clients[i].fd >= 0 && hear(&clients[i]);
	} while (more);
}

/* What the server does not take was never said. */
static void send_words(struct client *c)
{
	ssize_t n = 1;

	while (c->sent < c->said && n > 0 && !c->finished) {
		n = send(c->fd, c->words + c->sent, c->said - c->sent, MSG_NOSIGNAL);
		c->sent += n > 0 ? (size_t)n : 0;
		settle_all();
	}
	c->said = c->sent;
}

/* What must be true while all is at rest. */
static void judge_rest(const struct client *c, uint32_t connected)
{
	static struct reading r;

	if (c->fd < 0 || c->deaf)
		return;
	read_whole(c, &r);
	CHECK(c->heard == 0 || (c->ended && c->was_deaf));              /* (1) */
	CHECK(!c->last || c->ended);
	CHECK(c->ended || c->answers == r.requests ||                   /* (2) */
	      (c->answers == 0 && connected > config.max_connections));
}

static void rest(struct client *c)
{
	uint32_t connected = 0;

	if (c != NULL)
		send_words(c);
	settle_all();
	for (size_t i = 0; i < CLIENTS; i++)
		connected += clients[i].fd >= 0;
	for (size_t i = 0; i < CLIENTS; i++)
		judge_rest(&clients[i], connected);
}

static void leave_server(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* --- The input ------------------------------------------------------------------------------- */

static void pass(uint32_t power)
{
	/* A date has four digits of a year. */
	uint64_t years = now_us / 1000000 / 86400 / 365;

	now_us += UINT64_C(1000) << (years > 40 ? 0 : power % 32);
	rest(NULL);
}

static void repeat(struct client *c, uint8_t times)
{
	char last[64];
	size_t len = c->said < sizeof last ? c->said : sizeof last;

	memcpy(last, c->words + c->said - len, len);
	for (unsigned i = 0; i < times; i++)
		say(c, (struct slice){ last, len });
}

static void read_settings(void)
{
	for (int i = 0; i < LOOPS; i++) {
		int fd = config_save(&config);

		CHECK(fd >= 0);
		order(&loops[i], ORDER_SETTINGS, fd);
		close(fd);
	}
}

/* One sign behind an FF, which stands at `*in`; false: it is none. */
static bool obey(struct client **c, struct slice *in)
{
	uint8_t sign = (uint8_t)in->ptr[0], number = in->len > 1 ? (uint8_t)in->ptr[1] : 0;
	bool numbered = sign == 't' || sign == 'v' || sign == 'r';

	*in = slice_skip(*in, numbered && in->len > 1 ? 2 : 1);
	switch (sign) {
	case '0': case '1': case '2': case '3':
		rest(*c);
		*c = client_at(sign - '0');
		return true;
	case 'f': case 't':
		rest(*c);
		if (sign == 't')
			pass(number);
		return true;
	case 'e':
		rest(*c);
		(*c)->finished = true;
		shutdown((*c)->fd, SHUT_WR);
		return true;
	case 'c':
		rest(*c);
		if (++resets > RESETS_MAX)
			return true;
		leave_server(*c);
		*c = client_at((size_t)(*c - clients));
		return true;
	case 'z':
		(*c)->deaf = (*c)->was_deaf = true;
		return true;
	case 'v':
		say(*c, slice_of(given[number % GIVEN]));
		return true;
	case 'r':
		repeat(*c, number);
		return true;
	case 'l':
		join(ORDER_FRONT_LINK, &loops[FRONT]);
		return true;
	case 's':
		read_settings();
		return true;
	}
	return false;
}

static void play(struct slice in)
{
	struct client *c = client_at(0);

	while (in.len > 0) {
		const char *mark = memchr(in.ptr, 0xff, in.len);
		struct slice words = { in.ptr, mark == NULL ? in.len : (size_t)(mark - in.ptr) };

		say(c, words);
		in = slice_skip(in, words.len + (mark != NULL));
		if (mark != NULL && (in.len == 0 || !obey(&c, &in)))
			say(c, slice_bytes("\xff", 1));
	}
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i].deaf = false;
	rest(c);
}

static void remove_store(void)
{
	static const char *const files[] = {
		"data.mdb", "lock.mdb", "sid.secret", "seal.key", "use",
	};
	char path[300];

	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void must(bool done, const char *error)
{
	if (!done)
		fprintf(stderr, "%s\n", error);
	CHECK(done);
}

static void configure(void)
{
	static const char *const settings[][2] = {
		{ "data", dir }, { "map_size", "64M" }, { "seccomp", "off" },
		{ "log_level", "error" },
		{ "cors_origins", "https://shop.example.com" }, { "trusted_proxies", "unix" },
		{ "login_throttle", "off" }, { "login_throttle_address", "off" },
		{ "log_requests", "all" }, { "register", "on" }, { "enforce_https", "off" },
	};
	char error[CONFIG_ERROR_MAX];

	config_defaults(&config);
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		must(config_set(&config, slice_of(settings[i][0]), slice_of(settings[i][1]),
		                "here", error), error);
	must(config_finish(&config, error), error);
	config.password_iterations = 1;
	config.listener_count = COUNT_OF(listeners);
	config.listeners[0] = config.listeners[1] = config.listeners[2] =
		(struct config_listener){ .path = "fuzz" };
	config.listeners[1].ops = config.listeners[2].proxy = true;
	/* Small, so that the limits are met. */
	config.workers = config.hashers = 1;
	config.max_connections = CLIENTS - 1;
	config.max_head = 2048;
	config.max_target = 512;
	config.max_headers = 20;
	config.max_body = 4096;
	config.max_lines = 5;
	config.max_pipeline = 4;
	config.max_waiting_writes = 2;
	config.max_waiting_passwords = 2;
	config.max_sessions_per_customer = 3;
}

static void start(void)
{
	static char stacks[LOOPS][STACK_BYTES];
	struct kv_options options = { .dir = dir, .mode = KV_CREATE, .nosync = true };
	const char *tmp = getenv("TMPDIR");
	char error[SECRET_ERROR_MAX];
	size_t room;

	snprintf(dir, sizeof dir, "%s/sidecart-fuzz.XXXXXX", tmp != NULL ? tmp : "/tmp");
	CHECK(mkdtemp(dir) != NULL && atexit(remove_store) == 0);
	configure();
	log_open((enum log_level)config.log_level, "fuzz");
	options.map_bytes = config.map_bytes;
	must(secret_create(dir, config.sid_secret_file, error), error);
	must((handle = kv_open(&options, error)) != NULL, error);
	fill_store();
	ours = *handle;
	for (size_t i = 0; i < COUNT_OF(listeners); i++) {
		const struct sockaddr_un any = { .sun_family = AF_UNIX };

		listeners[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		CHECK(bind(listeners[i], (const struct sockaddr *)&any, sizeof any.sun_family) ==
		      0);
		CHECK(listen(listeners[i], CLIENTS + RESETS_MAX) == 0);
	}
	for (int i = 0; i < LOOPS; i++) {
		int pair[2];

		CHECK(link_pair(pair, sizeof(struct link_order), &room));
		loops[i].control = pair[0];
		loops[i].theirs = pair[1];
		CHECK(getcontext(&loops[i].context) == 0);
		loops[i].context.uc_stack.ss_sp = stacks[i];
		loops[i].context.uc_stack.ss_size = STACK_BYTES;
		makecontext(&loops[i].context, (void (*)(void))run_loop, 1, i);
		/* What stands there is good: ASan need not forget it at each switch. */
		loops[i].context.uc_stack.ss_size = 0;
		resume(&loops[i]);
	}
	join(ORDER_FRONT_LINK, &loops[FRONT]);
	join(ORDER_HASHER_LINK, &loops[HASHER]);
	run_all();
	keep_base();
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
}

static uint32_t open_descriptors(void)
{
	struct pollfd fds[DESCRIPTORS];
	uint32_t count = 0;

	for (int i = 0; i < DESCRIPTORS; i++)
		fds[i] = (struct pollfd){ .fd = i };
	CHECK(look(fds, DESCRIPTORS) >= 0);
	for (int i = 0; i < DESCRIPTORS; i++)
		count += (fds[i].revents & POLLNVAL) == 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint32_t inputs;
	uint32_t open;

	if (inputs++ == 0)
		start();
	open = open_descriptors();
	random_state = given_count = resets = turns = 0;
	memset(given, 0, sizeof given);
	play(slice_bytes(data, len));
	for (size_t i = 0; i < CLIENTS; i++)
		leave_server(&clients[i]);
	now_us += 1000000;              /* for what the loops forget, or keep, of who has gone */
	run_all();
	CHECK(open_descriptors() == open);                              /* (4) */
	CHECK(blocks < BLOCKS_MAX);
	if (inputs % CHECK_EACH == 1)                                   /* (5) */
		check_store();
	restore_base();
	return 0;
}
