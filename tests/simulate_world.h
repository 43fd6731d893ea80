/* simulate_world.h -- the simulation's people, requests and processes; who a caller is to the shop.
 *
 * All that the other parts share stands here, with the judge's voice: HOLDS(). The model's word
 * on who calls is here too, since requests are drawn by it and judged by it.
 */
#ifndef SIMULATE_WORLD_H
#define SIMULATE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "kv.c"
#include "writer.c"

#include "client.h"
#include "customer.h"
#include "idempotency.h"
#include "model.h"
#include "password.h"
#include "torture.h"

#define HOST       "shop.example"
#define SID_SECRET SLICE("the secret of the simulation")
#define START_US   (UINT64_C(1800000000) * 1000000)
#define MAP_BYTES  ((uint64_t)256 << 20)
#define FAULT_OPERATIONS 40000

/* With a sanitizer each child transaction takes 2 MB that are marked: a thirtieth of the speed. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif
#define OPERATIONS (SANITIZED ? 4000 : 200000)

enum {
	FRONTS = 3,
	LATE = FRONTS - 1,              /* this one looks at old snapshots */
	HEADERS = 7, BROWSERS = 7, SHOPPERS = 6,
	OPERATOR = HEADERS + BROWSERS + SHOPPERS, CLIENTS,
	OPS_KEPT = 1024, PROOFS_KEPT = 192, OPS_SHOWN = 40, WALK_EACH = 400,
	TEXT_MAX = 2300,
	LOGIN_KEY = MODEL_KEYS - 1, SHOP_KEY = 3, /* .. LOGIN_KEY - 1; below: trusted ones */
	PASSWORDS = 4, ITERATIONS = 10,
};

static_assert((int)BY_HEADER == VIA_HEADER && (int)BY_COOKIE == VIA_COOKIE &&
              (int)BY_OLD_COOKIE == VIA_RETIRED && (int)BY_TOKEN == VIA_TOKEN &&
              (int)BY_DWSID == VIA_DWSID && (int)AS_ROOT == VIA_GUEST, "the model's are the same");

/* --- Who asks, and how he shows it. --- */

enum proof_kind { NOTHING, SESSION_ID, COOKIE, BEARER, DWSID };

struct proof {
	enum proof_kind kind;
	bool auth;                      /* the Session-Id's type */
	uint8_t name[MODEL_NAME];       /* of the session that it claims */
	int key;                        /* the API key's place; -1: none; a token is for it */
	uint32_t key_number;
	uint64_t exp_s;                 /* of a token */
	char text[CALL_TOKEN_MAX + 1];  /* the identifier, the cookie, the token */
};

struct client {
	struct proof proof;
	struct proof dwsid;             /* a shopper's other one */
	char csrf[SESSION_ID_CHARS + 1];
	char basket[80];                /* the basket's cookie */
	uint64_t busy;                  /* with this operation; 0: none */
	uint64_t lost;                  /* the last one, if nobody knows what became of it */
	uint32_t idempotency_key, product, quantity;    /* of his last request with one */
};

enum { SAFE = 0, UNSAFE = 1, DW = 2, OPS = 4 };         /* what a kind of request is, */
enum { BY_SHOPS = 1, BY_PAGES = 2, BY_TOKENS = 4, BY_OPERATORS = 8 };   /* and who sends it */

struct op;
struct caller;

struct kind {
	const char *name;
	uint32_t is, by, weight;
	void (*ask)(struct op *o);
	void (*expect)(struct op *o, struct caller *w, uint64_t now_s);
};

enum op_state { RUNNING, ASKED_WRITER, RUN, ENDED };

struct op {
	uint64_t number;
	const struct kind *kind;
	uint32_t client, front;
	enum op_state state;
	struct proof proof;
	bool csrf;                      /* the right token comes along */
	bool basket_came;               /* the basket's cookie, of */
	uint64_t basket_cookie;
	bool https;
	/* What is asked for. */
	uint32_t customer, password, product, quantity;
	uint32_t idempotency_key;       /* 0: none */
	uint64_t basket, line, data, id;
	uint8_t name[MODEL_NAME];
	struct proof target;            /* a token that is asked about */
	/* What came of it. */
	uint64_t batch;                 /* it was run in, */
	uint32_t status;                /* and answered so there */
	uint64_t now_s;
	size_t head_len, len;
	char text[TEXT_MAX];
};

static struct op ops[OPS_KEPT];
static struct client clients[CLIENTS];
static struct proof seen[PROOFS_KEPT];  /* all that was ever given out, good or not */
static uint32_t known_keys[MODEL_KEYS], next_keys[MODEL_KEYS];

static struct model present, saved, late;
static struct model *shop = &present;   /* the one that the request at hand is run on */
static struct config config;

/* --- The processes. --- */

static struct front_process {
	struct kv kv;
	struct clock clock;
	struct link link;
	struct identity_memo *memo;
	struct call call;
	struct http_response response;
	char question[CALL_QUESTION_MAX], fields[CALL_FIELDS_MAX];
} fronts[FRONTS];

static struct writer writer;
static struct kv *store;
static char dir[256];
static uint8_t seal_key[SEAL_KEY_LEN];
static int hasher = -1;
static char body_bytes[CALL_BODY_MAX];

static uint64_t wall_us, ran_us;
static uint64_t op_count, op_limit, walks, batch_number, committed, audits_due;
static uint64_t ever_s;                 /* the latest time that anything was judged by */
static uint64_t last_kept_s, last_writer_s, last_front_s[FRONTS];
static bool disk_full, store_failed;

/* What happens to the batch at hand. */
enum fate { WELL, COMMIT_FAILS, LOST_WITH_BATCH, LOST_BEHIND_BATCH };
static enum fate fate;
static jmp_buf crash;

/* --- Faults that are planted, one a run. --- */

enum fault {
	NO_FAULT, END_DROPPED, ANSWER_BEFORE_COMMIT, EXPIRY_OFF_BY_ONE, MERGE_LOSES_A_LINE,
	MEMO_IS_STALE, CLOCK_FORGETS, SNAPSHOT_IS_OLD, SWEEP_IS_EARLY, REPLAY_FORGOTTEN,
	REVOKED_KEY_WORKS, BASKET_LEFT, FULL_IS_IGNORED, AUDIT_OF_LOST, FAULTS
};
static enum fault fault;
static int found_fd = -1;               /* where a run with one tells that it was found */

static uint32_t fault_draws;

/* True where the planted fault shows, once in `each` of its chances. */
static bool strikes(enum fault f, uint32_t each)
{
	return fault == f && ++fault_draws % each == 0;
}

static void show_op(const struct op *o)
{
	fprintf(stderr, "%8llu %-14s client=%u front=%u proof=%d%s key=%d/%u customer=%u "
	        "password=%u product=%u x%u idem=%u basket=%llu line=%llu batch=%llu "
	        "status=%u state=%d\n",
	        (unsigned long long)o->number, o->kind->name, o->client, o->front,
	        (int)o->proof.kind, o->proof.auth ? "A" : "", o->proof.key, o->proof.key_number,
	        o->customer, o->password, o->product, o->quantity, o->idempotency_key,
	        (unsigned long long)o->basket, (unsigned long long)o->line,
	        (unsigned long long)o->batch, o->status, (int)o->state);
}

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void wrong(const char *fmt, ...)
{
	uint64_t first = op_count > OPS_SHOWN ? op_count - OPS_SHOWN : 1;
	char what[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	if (fault != NO_FAULT) {
		dprintf(found_fd, "%llu %.100s", (unsigned long long)op_count, what);
		_exit(3);
	}
	for (uint64_t n = first; n <= op_count; n++)
		show_op(&ops[n % OPS_KEPT]);
	fprintf(stderr, "SEED=%llu, operation %llu: %s\n", (unsigned long long)torture_seed,
	        (unsigned long long)op_count, what);
	fail();
	abort();
}

#define HOLDS(condition, ...) do { \
	if (!(condition)) \
		wrong(__VA_ARGS__); \
} while (0)

/* --- Who is calling, to the shop. --- */

struct caller {
	uint32_t refused;               /* the status; 0: admitted */
	enum { NOBODY_KNOWN, GUEST, CUSTOMER } kind;
	bool recorded;                  /* the session is there: */
	bool renewal_due;
	uint64_t customer, open;        /* whose it is, and the open basket that it leads to */
	uint8_t name[MODEL_NAME];       /* the session's, */
	uint8_t owner[MODEL_NAME];      /* and the one that a guest's things are kept under */
	bool root;                      /* a guest of OCAPI */
	bool carries;                   /* the basket's cookie counts, and came with */
	uint64_t carried;               /* this basket */
	bool speaks_cookies;
};

static bool key_works(const struct model *m, const struct proof *p)
{
	const struct model_key *k = &m->keys[p->key];

	return k->number == p->key_number && k->number != 0 && !k->disabled && !k->revoked;
}

static void take_session(struct model *m, struct caller *w, uint64_t now_s)
{
	const struct model_session *s = model_session(m, w->name), *root;
	const struct model_customer *c;

	memcpy(w->owner, w->name, MODEL_NAME);
	if (!model_lives(m, s, now_s))
		return;
	w->recorded = true;
	w->renewal_due = model_renewal_due(s, now_s);
	w->customer = s->customer;
	w->open = s->basket;
	w->root = s->guest[0] != '\0';
	if (w->root) {
		root = model_session(m, s->root);
		memcpy(w->owner, s->root, MODEL_NAME);
		w->open = root->basket;
	}
	if ((c = model_customer(m, s->customer)) != NULL)
		w->open = c->basket;
}

static void judge_proof(struct model *m, const struct op *o, struct caller *w, uint64_t now_s,
                        bool ocapi)
{
	const struct proof *p = &o->proof;

	switch (p->kind) {
	case NOTHING:
		break;
	case SESSION_ID:
		w->speaks_cookies = false;
		w->kind = p->auth ? CUSTOMER : GUEST;
		if (p->auth && !w->recorded)
			w->refused = 401;
		break;
	case COOKIE:
	case DWSID:
		w->kind = !w->recorded ? NOBODY_KNOWN : w->customer != 0 ? CUSTOMER : GUEST;
		break;
	case BEARER:
		w->speaks_cookies = false;
		w->kind = w->customer != 0 ? CUSTOMER : GUEST;
		if (now_s >= p->exp_s || now_s + TOKEN_LEEWAY_S + MODEL_TOKEN_TTL_S < p->exp_s ||
		    !w->recorded)
			w->refused = 401;
		break;
	}
	if (p->key >= 0 && !key_works(m, p))
		w->refused = ocapi || p->kind == BEARER ? 401 : 403;
}

/* `unsafe`: the request may change something, so that a cookie alone does not do. */
static void who_calls(struct model *m, const struct op *o, uint64_t now_s, bool unsafe, bool ocapi,
                      struct caller *w)
{
	bool by_cookie = o->proof.kind == COOKIE || o->proof.kind == DWSID;

	*w = (struct caller){ .speaks_cookies = true };
	if (o->proof.kind != NOTHING) {
		memcpy(w->name, o->proof.name, MODEL_NAME);
		take_session(m, w, now_s);
	}
	judge_proof(m, o, w, now_s, ocapi);
	w->carries = w->speaks_cookies && o->basket_came;
	w->carried = o->basket_cookie;
	if (w->refused == 0 && unsafe && by_cookie && w->kind == CUSTOMER && !o->csrf)
		w->refused = 403;
}

#endif
