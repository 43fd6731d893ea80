/* hasher.c -- see hasher.h. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "hasher.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "password.h"
#include "seccomp.h"
#include "secret.h"

#define ASK_MS   1000   /* without a link it asks for one so often */
#define NICENESS 13     /* a check in progress gives way to every front on the same core */

struct hasher {
	uint8_t seal_key[SEAL_KEY_LEN];
	int control, link;              /* link: -1 until the supervisor has given one */
	char question[CALL_QUESTION_MAX];
	struct config reloaded;
};

/* Appends a new hash of `password`, sealed. */
static void put_new_hash(const struct hasher *h, struct buf *out, struct slice password,
                         uint32_t iterations, uint64_t customer_id)
{
	uint8_t random[16 + 12];        /* salt, nonce */
	char text[PASSWORD_HASH_MAX];
	struct buf hash = BUF(text);

	secret_random(random, sizeof random);
	password_make(&hash, password, iterations, random);
	password_seal(out, h->seal_key, random + 16, customer_id, buf_slice(&hash));
	explicit_bzero(text, sizeof text);
}

/* The verdict, and a new hash where the stored one cost less than `iterations` (A08). */
static void check(const struct hasher *h, struct slice question, struct buf *out)
{
	char text[PASSWORD_HASH_MAX];
	struct buf hash = BUF(text);
	struct slice sealed, password;
	uint32_t iterations, stored;
	uint64_t customer_id;
	enum password_verdict verdict = PASSWORD_WRONG;

	if (call_password_question_read(question, &iterations, &customer_id, &sealed, &password)) {
		if (sealed.len > 0 &&
		    !password_unseal(&hash, h->seal_key, customer_id, sealed))
			log_event(LOG_ERROR, "seal_broken", "customer=%llu",
			          (unsigned long long)customer_id);
		verdict = password_check(buf_slice(&hash), password, iterations);
	}
	buf_char(out, (char)verdict);
	if (verdict == PASSWORD_RIGHT && password_hash_valid(buf_slice(&hash), &stored) &&
	    stored < iterations)
		put_new_hash(h, out, password, iterations, customer_id);
	explicit_bzero(text, sizeof text);
}

/* One new hash, sealed for each of the ids that its customer may come to have. */
static void make_hash(const struct hasher *h, struct slice question, struct buf *out)
{
	uint8_t salt[16], nonce[12];
	char text[PASSWORD_HASH_MAX];
	struct buf hash = BUF(text);
	struct slice password;
	uint32_t iterations;
	uint64_t customer_id;

	static_assert(CALL_HASHES_MADE * 120 <= CALL_ANSWER_MAX, "a seal has 117 bytes at most");
	if (!call_hash_question_read(question, &iterations, &customer_id, &password))
		return;
	if (iterations == CALL_HASH_GIVEN) {
		buf_put(&hash, password);
	} else {
		secret_random(salt, sizeof salt);
		password_make(&hash, password, iterations, salt);
	}
	for (uint32_t i = 0; i < CALL_HASHES_MADE; i++) {
		secret_random(nonce, sizeof nonce);
		password_seal(out, h->seal_key, nonce, customer_id + i, buf_slice(&hash));
	}
	explicit_bzero(text, sizeof text);
}

/* A new key of the ring. */
static void make_token_key(const struct hasher *h, struct slice question, struct buf *out)
{
	uint8_t random[TOKEN_RANDOM_LEN];
	uint8_t alg = question.len == 1 ? (uint8_t)question.ptr[0] : TOKEN_ALGS;

	if (alg >= TOKEN_ALGS)
		return;
	do {
		out->len = 0;
		secret_random(random, sizeof random);
	} while (!token_generate(out, (enum token_alg)alg, h->seal_key, random) && !out->full);
	explicit_bzero(random, sizeof random);
}

static void sign(const struct hasher *h, struct slice question, struct buf *out)
{
	uint8_t scalar[JWT_SCALAR_LEN], signature[JWT_ES256_LEN];
	const uint8_t *digest;
	struct token_key_record key;

	if (!call_signature_question_read(question, &digest, &key))
		return;
	if (!token_unseal(&key, h->seal_key, scalar))
		log_event(LOG_ERROR, "seal_broken", "token_key=%.*s", (int)key.kid.len,
		          key.kid.ptr);
	else if (jwt_sign_es256(scalar, digest, signature))
		buf_put(out, slice_bytes(signature, sizeof signature));
	explicit_bzero(scalar, sizeof scalar);
}

static void verify(struct slice question, struct buf *out)
{
	const uint8_t *digest;
	struct slice signature;
	struct jwt_key key;

	buf_char(out, call_verdict_question_read(question, &key, &digest, &signature) &&
	              jwt_check_public(&key, digest, signature));
}

static void answer_question(const struct hasher *h, uint32_t kind, struct slice question,
                            struct buf *out)
{
	switch ((enum call_question_kind)kind) {
	case ASK_PASSWORD:
		check(h, question, out);
		break;
	case ASK_HASH:
		make_hash(h, question, out);
		break;
	case ASK_TOKEN_KEY:
		make_token_key(h, question, out);
		break;
	case ASK_SIGNATURE:
		sign(h, question, out);
		break;
	case ASK_VERDICT:
		verify(question, out);
		break;
	}
}

/* Counts a question that was begun at `begun`. */
static void count_question(uint32_t kind, const struct timespec *begun)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	metrics_add(METRICS_HASHER_US, (uint64_t)((now.tv_sec - begun->tv_sec) * 1000000 +
	                                          (now.tv_nsec - begun->tv_nsec) / 1000));
	if (kind >= ASK_PASSWORD && kind <= ASK_VERDICT)
		metrics_add(METRICS_ASKED_PASSWORD + kind - ASK_PASSWORD, 1);
}

/* Takes one question and answers it. LINK_GONE: the writer ended, or has the question no longer:
 * where an answer is lost, it is to ask another hasher. */
static enum link_result serve(struct hasher *h)
{
	struct link_question head;
	struct buf question = BUF(h->question);
	char text[CALL_ANSWER_MAX];
	struct buf answer = BUF(text);
	struct timespec begun;
	enum link_result result = link_receive_question(h->link, &head, &question);

	if (result != LINK_DONE)
		return result;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	answer_question(h, head.kind, buf_slice(&question), &answer);
	count_question(head.kind, &begun);
	explicit_bzero(h->question, question.len);
	result = link_send_question(h->link, &head, buf_slice(&answer));
	explicit_bzero(text, sizeof text);
	return result == LINK_DONE ? LINK_DONE : LINK_GONE;
}

static void drop_link(struct hasher *h)
{
	if (h->link >= 0)
		close(h->link);
	h->link = -1;
}

/* What counts in a check comes with its question. */
static void reload(struct hasher *h, int fd)
{
	if (config_load(fd, &h->reloaded))
		log_open((enum log_level)h->reloaded.log_level, "hasher");
}

/* False: it is time to end. */
static bool obey(struct hasher *h)
{
	struct link_order order = { 0 };
	int passed;

	switch (link_receive_order(h->control, &order, &passed)) {
	case LINK_GONE:
		return false;
	case LINK_LATER:
		return true;
	case LINK_DONE:
		break;
	}
	if (order.kind == ORDER_WRITER_LINK) {
		drop_link(h);
		h->link = passed;
	} else if (order.kind == ORDER_SETTINGS) {
		reload(h, passed);
	} else if (passed >= 0) {
		close(passed);
	}
	return order.kind != ORDER_DRAIN;
}

int hasher_run(const struct config *config, int control)
{
	static struct hasher h;
	static const struct link_order need = { ORDER_NEED_LINK, 0 };
	char error[SECRET_ERROR_MAX];
	struct pollfd waits[] = { { .fd = control, .events = POLLIN }, { .events = POLLIN } };

	h.control = control;
	h.link = -1;
	if (!secret_read_seal_key(config->data, h.seal_key, error)) {
		fprintf(stderr, "sidecart: %s\n", error);
		return 111;
	}
	setpriority(PRIO_PROCESS, 0, NICENESS);
	if (!seccomp_enter(config, SECCOMP_HASHER) || !link_say_ready(control))
		return 111;
	for (;;) {
		waits[1].fd = h.link;
		waits[1].revents = 0;
		if (poll(waits, COUNT_OF(waits), h.link < 0 ? ASK_MS : -1) == 0)
			link_send_order(control, &need, -1);
		if (waits[0].revents != 0 && !obey(&h))
			break;
		if (waits[1].fd == h.link && waits[1].revents != 0 && serve(&h) == LINK_GONE)
			drop_link(&h);
	}
	explicit_bzero(&h, sizeof h);
	return 0;
}
