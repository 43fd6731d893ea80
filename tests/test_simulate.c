/* test_simulate.c -- the server's logic in one process, by one seed, against a plain shop->
 *
 * Customers and guests -- by Session-Id, by cookie, by token -- and operators send requests as
 * text. Each is parsed, identified and run as a front does it, with a snapshot, a clock and a memo
 * of its own; what a front cannot do goes over a real link to the writer's own code (writer.c and
 * kv.c are part of this test), which batches, commits and answers. The clocks are the test's:
 * time passes, leaps, and is set back. Commits fail, the writer dies with a batch or with its
 * answers, everything is started anew, the disk is full. The model (model.h) says of each
 * request, at the moment it is run, what is to be answered; and of the store what is in it.
 *
 * What holds, and is judged under its number:
 *  (I1)  Every answer is the model's: its status, who the caller is to it, his basket and its
 *        sums, what is kept with his session, whether a token is good. So nothing that ended,
 *        was revoked or has expired is ever honoured again.
 *  (I2)  An answer leaves after the commit that it rests on; what was told is never lost, and
 *        what was lost was told to nobody.
 *  (I3)  A basket is one owner's: who takes it for his open one is who it names as its owner.
 *  (I4)  Who only looks leaves nothing: a front answers nothing that would change the store, and
 *        what is refused changes nothing.
 *  (I5)  Behind a whole sweep nothing is left that is past its end, and nothing else is gone.
 *  (I6)  Records are the model's, one for one: sessions with their ends and data, baskets with
 *        their lines, customers, API keys, replays.
 *  (I7)  The lists agree with the records: of owners, of what is due, of logins.
 *  (I8)  Time does not go back: in the store, in a front, in the writer.
 *  (I9)  A snapshot stays what it was, whatever is committed meanwhile.
 *  (I10) In a full store nothing grows, reads go on, and it takes changes again when it has room.
 *  (I11) A line is logged for a change that is on disk, and for no other.
 *  (I12) `sidecart check` finds nothing.
 * (I3), (I5) to (I8) are looked at by walking over the whole store, once in WALK_EACH operations.
 *
 * SEED replays a run; OPERATIONS is how many there are. TORTURE_S: rounds with the seeds that
 * follow, for that long. A failure prints the seed and the last operations. test_planted_faults
 * shows that each fault of a list is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kv.c"
#include "writer.c"

#include "admin.h"
#include "client.h"
#include "command.h"
#include "customer.h"
#include "idempotency.h"
#include "model.h"
#include "password.h"
#include "product.h"
#include "secret.h"
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

enum op_state { RUNNING, ASKED_WRITER, RUN, ENDED };

struct op {
	uint64_t number;
	uint32_t kind, client, front;
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

static const char *kind_name(uint32_t kind);

static void show_op(const struct op *o)
{
	fprintf(stderr, "%8llu %-14s client=%u front=%u proof=%d%s key=%d/%u customer=%u "
	        "password=%u product=%u x%u idem=%u basket=%llu line=%llu batch=%llu "
	        "status=%u state=%d\n",
	        (unsigned long long)o->number, kind_name(o->kind), o->client, o->front,
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

/* --- What stands between the product and the system. --- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_statvfs(const char *path, struct statvfs *v);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
void __wrap_log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t us = clock == CLOCK_REALTIME ? wall_us : ran_us;

	*t = (struct timespec){ (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
	return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *v)
{
	bool full = disk_full && fault != FULL_IS_IGNORED;

	(void)path;
	*v = (struct statvfs){ .f_bavail = full ? 1000 : 1000000, .f_frsize = 4096 };
	return 0;
}

/* Answers that leave too early are taken by the fronts before the batch is lost. */
static void deliver_all(void);

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	int rc;

	if (store == NULL || store->batch != NULL)
		return __real_mdb_txn_commit(txn);      /* of a child, or at the opening */
	if (fate == COMMIT_FAILS || fate == LOST_WITH_BATCH) {
		store_failed = true;
		mdb_txn_abort(txn);
		if (fault == ANSWER_BEFORE_COMMIT) {
			send_answers(&writer);
			deliver_all();
		}
		if (fate == LOST_WITH_BATCH)
			longjmp(crash, 1);
		if (fault == AUDIT_OF_LOST)
			write_audit(&writer, true);
		return EIO;
	}
	rc = __real_mdb_txn_commit(txn);
	if (fate == LOST_BEHIND_BATCH)
		longjmp(crash, 1);
	return rc;
}

/* (I11) is judged by numbers: an audit line has its event and no fields of its own. */
void __wrap_log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	if (level == LOG_INFO && strcmp(fmt, "%s") == 0) {
		HOLDS(audits_due > 0 && !store_failed, "(I11) a line without its change: %s",
		      event);
		audits_due--;
	} else if (level == LOG_ERROR) {
		HOLDS(strcmp(event, "store_failed") == 0 && fate == COMMIT_FAILS,
		      "a line of the log: %s", event);
	}
}

enum kv_status __real_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);
enum kv_status __wrap_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);
enum kv_status __real_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s);
enum kv_status __wrap_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s);
enum kv_status __real_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left);
enum kv_status __wrap_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left);
uint64_t __real_kv_snapshot(const struct kv *kv);
uint64_t __wrap_kv_snapshot(const struct kv *kv);
enum kv_status __real_clock_follow(struct clock *c, struct kv *kv);
enum kv_status __wrap_clock_follow(struct clock *c, struct kv *kv);
enum kv_status __real_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count);
enum kv_status __wrap_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count);
enum kv_status __real_idempotency_keep(struct call *c, const struct idempotency *i);
enum kv_status __wrap_idempotency_keep(struct call *c, const struct idempotency *i);
bool __real_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s);
bool __wrap_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s);
enum kv_status __real_basket_delete(struct kv *kv, uint64_t id);
enum kv_status __wrap_basket_delete(struct kv *kv, uint64_t id);

enum kv_status __wrap_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	return strikes(END_DROPPED, 20) ? KV_OK : __real_session_end(kv, key);
}

enum kv_status __wrap_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s)
{
	return __real_session_find(kv, key, fault == EXPIRY_OFF_BY_ONE ? now_s - 1 : now_s, s);
}

enum kv_status __wrap_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left)
{
	if (from->line_count > 1 && strikes(MERGE_LOSES_A_LINE, 4))
		from->line_count--;
	return __real_basket_merge(into, from, change, left);
}

uint64_t __wrap_kv_snapshot(const struct kv *kv)
{
	return fault == MEMO_IS_STALE ? 1 : __real_kv_snapshot(kv);
}

enum kv_status __wrap_clock_follow(struct clock *c, struct kv *kv)
{
	return fault == CLOCK_FORGETS ? KV_OK : __real_clock_follow(c, kv);
}

enum kv_status __wrap_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count)
{
	return __real_session_sweep(kv, c, fault == SWEEP_IS_EARLY ? now_s + 1 : now_s, limit,
	                            count);
}

enum kv_status __wrap_idempotency_keep(struct call *c, const struct idempotency *i)
{
	return strikes(REPLAY_FORGOTTEN, 8) ? KV_OK : __real_idempotency_keep(c, i);
}

bool __wrap_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s)
{
	struct client_record other = *r;

	if (fault == REVOKED_KEY_WORKS)
		other.flags &= ~(uint32_t)CLIENT_REVOKED;
	return __real_client_usable(&other, from, now_s);
}

enum kv_status __wrap_basket_delete(struct kv *kv, uint64_t id)
{
	return strikes(BASKET_LEFT, 16) ? KV_OK : __real_basket_delete(kv, id);
}

/* --- Who is calling, to the shop-> --- */

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

/* --- What an answer says. --- */

static struct answer_seen {
	uint32_t status;
	struct slice fields, body;
	bool front;
} got;

static bool says(struct slice in, const char *text)
{
	return memmem(in.ptr, in.len, text, strlen(text)) != NULL;
}

/* What stands behind `label` up to `end`; absent where it does not stand there. */
static struct slice behind(struct slice in, const char *label, char end)
{
	const char *at = memmem(in.ptr, in.len, label, strlen(label));
	struct slice rest;

	if (at == NULL)
		return (struct slice){ 0 };
	at += strlen(label);
	rest = (struct slice){ at, in.len - (size_t)(at - in.ptr) };
	return slice_cut(&rest, end);
}

/* True where the model's status was answered, and it is one of success. */
static bool agreed(const struct op *o, uint32_t status)
{
	HOLDS(got.status == status, "(I1) %s: status %u, not %u: %.*s", kind_name(o->kind),
	      got.status, status, (int)got.body.len, got.body.ptr);
	return status < 400;
}

static void expect_start(const struct op *o, struct slice in, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void expect_start(const struct op *o, struct slice in, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	HOLDS(slice_starts(in, slice_of(text)), "(I1) %s: `%.*s` does not begin with `%s`",
	      kind_name(o->kind), (int)in.len, in.ptr, text);
}

static void expect_text(const struct op *o, struct slice in, const char *text, bool there)
{
	HOLDS(says(in, text) == there, "(I1) %s: `%s` %s in `%.*s`", kind_name(o->kind), text,
	      there ? "is not" : "is", (int)in.len, in.ptr);
}

/* A new cookie session's name. */
static void take_cookie_name(const struct op *o, uint8_t name[MODEL_NAME])
{
	struct slice id = behind(got.fields, "Set-Cookie: sidecart_session=", ';');

	HOLDS(id.len == SESSION_ID_CHARS, "(I1) %s: no cookie", kind_name(o->kind));
	session_cookie_key(SID_SECRET, id, name);
	HOLDS(model_session(shop, name) == NULL, "%s: an old cookie", kind_name(o->kind));
}

static void sid_name(const char *identifier, enum sid_type type, uint8_t name[MODEL_NAME])
{
	char text[64];
	struct sid sid;

	snprintf(text, sizeof text, "SID:%s:" HOST ":%s", type == SID_AUTH ? "AUTH" : "ANON",
	         identifier);
	assert_int_equal(sid_parse(slice_of(text), SID_STRICT, &sid), SID_OK);
	sid_key(&sid, type, SID_SECRET, name);
}

/* Reads what a token says; it is signed, which the product's own tests judge. */
static bool read_token(struct slice token, struct proof *p)
{
	char bytes[CALL_TOKEN_MAX];
	struct buf claims = BUF(bytes);
	struct slice rest = token, text;
	uint64_t n;

	slice_cut(&rest, '.');
	if (token.len > CALL_TOKEN_MAX || !base64url_decode(slice_cut(&rest, '.'), &claims))
		return false;
	*p = (struct proof){ .kind = BEARER };
	memcpy(p->text, token.ptr, token.len);
	if (!hex_decode(behind(buf_slice(&claims), "\"sid\":\"", '"'), p->name, MODEL_NAME) ||
	    !slice_uint(behind(buf_slice(&claims), "\"exp\":", ','), UINT64_MAX, &p->exp_s))
		return false;
	text = behind(buf_slice(&claims), "\"iss\":\"shop-", '"');
	if (!slice_uint(slice_cut(&text, '-'), MODEL_KEYS, &n))
		return false;
	p->key = (int)n;
	if (!slice_uint(text, UINT32_MAX, &n))
		return false;
	p->key_number = (uint32_t)n;
	return true;
}

/* --- The model of each request. --- */

static uint64_t hash_of(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void expect_look(struct op *o, struct caller *w, uint64_t now_s)
{
	static const char *const kinds[] = { "none", "guest", "customer" };
	static const char *const vias[] = { "none", "header", "cookie", "token", "cookie" };
	char hex_text[2 * MODEL_NAME + 1] = "", basket[24], customer[24];
	struct buf hex = BUF(hex_text);
	const struct model_customer *c = model_customer(shop, w->customer);

	(void)now_s;
	if (!agreed(o, w->refused != 0 ? w->refused : 200))
		return;
	buf_hex(&hex, slice_bytes(w->name, MODEL_NAME));
	snprintf(basket, sizeof basket, "\"%llu\"", (unsigned long long)w->open);
	snprintf(customer, sizeof customer, "\"%llu\"", (unsigned long long)w->customer);
	expect_start(o, got.body, "{\"session_kind\":\"%s\",\"session_key\":%s%.*s%s,"
	             "\"customer_id\":%s,\"customer_login\":%s%s%.*u%s,\"basket_id\":%s,",
	             kinds[w->kind], w->kind != NOBODY_KNOWN ? "\"" : "null",
	             w->kind != NOBODY_KNOWN ? (int)hex.len : 0, hex_text,
	             w->kind != NOBODY_KNOWN ? "\"" : "", c != NULL ? customer : "null",
	             c != NULL ? "\"" : "null", c != NULL ? "c" : "", c != NULL ? 1 : 0,
	             c != NULL ? (unsigned)(c - shop->customers) : 0, c != NULL ? "\"" : "",
	             w->recorded && w->open != 0 ? basket : "null");
	expect_text(o, got.body, w->kind == NOBODY_KNOWN ? "\"auth_via\":\"none\"" :
	            vias[o->proof.kind], true);
}

static void expect_resolve(struct op *o, struct caller *w, uint64_t now_s)
{
	static const char *const kinds[] = { "none", "guest", "customer" };
	char hex_text[2 * MODEL_NAME + 1] = "", customer[24] = "-", basket[24] = "-";
	struct buf hex = BUF(hex_text);

	(void)now_s;
	if (!agreed(o, w->refused != 0 ? w->refused : 204))
		return;
	buf_hex(&hex, slice_bytes(w->name, MODEL_NAME));
	if (w->customer != 0)
		snprintf(customer, sizeof customer, "%llu", (unsigned long long)w->customer);
	if (w->recorded && w->open != 0)
		snprintf(basket, sizeof basket, "%llu", (unsigned long long)w->open);
	expect_start(o, got.fields, "X-Session-Kind: %s\r\nX-Session-Key: %s\r\n"
	             "X-Customer-Id: %s\r\n", kinds[w->kind],
	             w->kind != NOBODY_KNOWN ? hex_text : "-", customer);
	HOLDS(slice_eq(behind(got.fields, "X-Basket-Id: ", '\r'), slice_of(basket)),
	      "(I1) resolve: another basket than %s", basket);
}

/* The basket of the cookie, if it is nobody's by name. */
static struct model_basket *carried_basket(const struct caller *w, uint64_t now_s)
{
	struct model_basket *b = w->carries ? model_usable(shop, w->carried, now_s) : NULL;

	return b != NULL && b->customer == 0 && w->kind != CUSTOMER ? b : NULL;
}

/* A guest whose session is yet to be made has one from now on. */
static void keep_guest(const struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_session *s;

	if (w->kind == NOBODY_KNOWN) {
		take_cookie_name(o, w->owner);
		model_start(shop, w->owner, BY_COOKIE, 0, 0, now_s);
		return;
	}
	s = model_session(shop, w->owner);
	if (s == NULL || now_s >= s->expires_s)
		model_start(shop, w->owner, BY_HEADER, 0, 0, now_s);
}

static struct model_basket *make_basket(const struct op *o, struct caller *w, uint64_t now_s)
{
	bool session = w->recorded || !w->speaks_cookies;
	struct model_basket *b;

	if (w->customer == 0 && session)
		keep_guest(o, w, now_s);
	b = model_new_basket(shop, w->customer, w->customer == 0 && session ? w->owner : NULL);
	b->carried = w->customer == 0 && w->speaks_cookies;
	model_put_basket(shop, b, now_s);
	return b;
}

/* Its use moves its end, in steps of a tenth; a guest by cookie gets its cookie. */
static void use_basket(const struct caller *w, struct model_basket *b, uint64_t now_s)
{
	bool carried = b->customer == 0 && w->speaks_cookies;
	uint64_t life = model_basket_life(b);

	if (now_s + life < b->expires_s + (life + 9) / 10 && (!carried || b->carried))
		return;
	b->carried |= carried;
	model_keep_basket(shop, b, now_s);
}

static struct model_basket *open_basket(const struct op *o, struct caller *w, bool make,
                                        uint64_t now_s)
{
	struct model_basket *b = carried_basket(w, now_s);
	struct model_basket *own = w->recorded ? model_usable(shop, w->open, now_s) : NULL;

	if (b != NULL && w->recorded && w->open != b->id) {
		model_refer(shop, b, false);    /* whose it was has it no longer */
		memcpy(b->guest, w->owner, MODEL_NAME);
		if (own != NULL)
			model_merge(shop, b, own, now_s);
		else
			model_put_basket(shop, b, now_s);
		w->open = b->id;
	} else if (b == NULL) {
		b = own;
	}
	if (b == NULL && make)
		b = make_basket(o, w, now_s);
	if (b != NULL)
		use_basket(w, b, now_s);
	return b;
}

static void expect_basket(const struct op *o, const struct model_basket *b)
{
	char owner[64], net[64], gross[64];
	int64_t cents = model_net_cents(b), all = model_gross_cents(b);

	snprintf(owner, sizeof owner, "/api/users/%llu/\"", (unsigned long long)b->customer);
	snprintf(net, sizeof net, "\"total_excl_tax\":\"%lld.%02lld\"", (long long)(cents / 100),
	         (long long)(cents % 100));
	snprintf(gross, sizeof gross, "\"total_incl_tax\":\"%lld.%02lld\"", (long long)(all / 100),
	         (long long)(all % 100));
	expect_start(o, got.body, "{\"id\":%llu,\"owner\":%s", (unsigned long long)b->id,
	             b->customer != 0 ? "\"" : "null,");
	if (b->customer != 0)
		expect_text(o, got.body, owner, true);
	expect_text(o, got.body, net, true);
	expect_text(o, got.body, gross, true);
}

static void expect_open(struct op *o, struct caller *w, uint64_t now_s)
{
	if (agreed(o, w->refused != 0 ? w->refused : 200))
		expect_basket(o, open_basket(o, w, true, now_s));
}

/* What is answered to a key that was used before; false: it was not. */
static bool answered_before(struct op *o, const struct caller *w, uint64_t caller,
                            uint64_t request, uint64_t now_s)
{
	(void)w;
	for MODEL_EACH(r, shop->replays) {
		if (r->due_s <= now_s || r->caller != caller)
			continue;
		if (!agreed(o, r->request == request ? 200 : 422))
			return true;
		expect_text(o, got.fields, "Idempotent-Replayed: true", true);
		HOLDS(hash_of(1, got.body) == r->answer, "(I1) another answer than before");
		return true;
	}
	return false;
}

static void keep_answer(uint64_t caller, uint64_t request, uint64_t now_s)
{
	struct model_replay *place = NULL;

	for MODEL_EACH(r, shop->replays)
		if (r->due_s == 0 || r->caller == caller)
			if (place == NULL || r->caller == caller)
				place = r;
	if (place == NULL)
		abort();
	*place = (struct model_replay){ now_s + MODEL_REPLAY_S, caller, request,
		                        hash_of(1, got.body) };
}

/* Who sends a key: his API key and his session, or the basket of his cookie. */
static uint64_t caller_hash(const struct op *o, const struct caller *w)
{
	const struct proof *p = &o->proof;
	uint64_t number = (uint64_t)(p->key + 1) << 32 | p->key_number, hash;

	hash = hash_of(1, slice_bytes(&o->idempotency_key, sizeof o->idempotency_key));
	hash = hash_of(hash, slice_bytes(&number, sizeof number));
	if (w->kind != NOBODY_KNOWN)
		return hash_of(hash, slice_bytes(w->name, MODEL_NAME));
	number = w->carries ? w->carried : 0;
	return hash_of(hash, slice_bytes(&number, sizeof number));
}

/* Of a refused request nothing stays; of another the quantity is the basket's. */
static bool add_to(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_basket *b = open_basket(o, w, true, now_s);
	struct model_line *line = model_line_of(b, o->product);
	bool fits = o->quantity <= model_room(shop, b, o->product);

	if (line == NULL && b->count == MODEL_LINES)
		fits = false;
	if (!fits)
		return false;
	if (line != NULL)
		line->quantity += o->quantity;
	else
		model_insert(b, (struct model_line){ shop->next_line++, o->quantity, o->product });
	model_put_basket(shop, b, now_s);
	agreed(o, 200);
	expect_basket(o, b);
	return true;
}

static void expect_add(struct op *o, struct caller *w, uint64_t now_s)
{
	static struct model before;
	uint64_t caller = caller_hash(o, w), request = (uint64_t)o->product << 32 | o->quantity;

	if (w->refused != 0) {
		agreed(o, w->refused);
		return;
	}
	if (o->idempotency_key != 0 && answered_before(o, w, caller, request, now_s))
		return;
	if (got.status >= 400)
		before = *shop;
	if (add_to(o, w, now_s)) {
		if (o->idempotency_key != 0)
			keep_answer(caller, request, now_s);
		return;
	}
	HOLDS(got.status >= 400, "(I1) add: there was no room for it");
	agreed(o, 406);
	*shop = before;
}

/* 0: he may; else the status that he gets. `hide`: what is another's is not there. */
static uint32_t judge_basket(const struct op *o, const struct caller *w, bool hide, uint64_t now_s)
{
	const struct model_basket *b = model_usable(shop, o->basket, now_s);

	if (b == NULL)
		return 404;
	if (b->customer != 0)
		return w->customer == b->customer ? 0 : hide ? 404 : 403;
	if (w->kind != CUSTOMER && w->kind == GUEST && same_name(b->guest, w->owner))
		return 0;
	if (w->kind != CUSTOMER && w->carries && w->carried == b->id)
		return 0;
	return hide ? 404 : 403;
}

static void expect_detail(struct op *o, struct caller *w, uint64_t now_s)
{
	uint32_t refused = w->refused != 0 ? w->refused : judge_basket(o, w, false, now_s);

	if (!agreed(o, refused != 0 ? refused : 200))
		return;
	use_basket(w, model_basket(shop, o->basket), now_s);
	expect_basket(o, model_basket(shop, o->basket));
}

static void expect_set(struct op *o, struct caller *w, uint64_t now_s)
{
	uint32_t refused = w->refused != 0 ? w->refused : judge_basket(o, w, true, now_s);
	struct model_basket *b = model_basket(shop, o->basket);
	struct model_line *line = refused == 0 ? model_line(b, o->line) : NULL;

	if (refused == 0 && line == NULL)
		refused = 404;
	if (refused == 0 && o->quantity > line->quantity &&
	    o->quantity - line->quantity > model_room(shop, b, line->product))
		refused = 406;
	if (!agreed(o, refused != 0 ? refused : o->quantity > 0 ? 200 : 204))
		return;
	use_basket(w, b, now_s);
	line->quantity = o->quantity;
	if (o->quantity == 0)
		model_remove(b, line);
	model_put_basket(shop, b, now_s);
}

/* The customer who is there, may log in, and has this password; 0: nobody. */
static uint64_t right_customer(const struct op *o)
{
	const struct model_customer *c = &shop->customers[o->customer];

	return c->id != 0 && !c->disabled && c->password == o->password ? c->id : 0;
}

/* What a guest has goes over to the customer whom he turns out to be. */
static void log_in(struct op *o, struct caller *w, uint64_t customer, uint64_t now_s)
{
	struct model_basket *from = NULL, *into;
	struct model_session *guest = w->kind == GUEST ? model_session(shop, w->name) : NULL;
	uint8_t name[MODEL_NAME];
	bool whole = true;

	if (w->kind != CUSTOMER)
		from = open_basket(o, w, false, now_s);
	if (from != NULL && from->count == 0) {
		model_drop_basket(shop, from);
	} else if (from != NULL) {
		into = model_usable(shop, model_customer(shop, customer)->basket, now_s);
		if (into == NULL)
			into = model_new_basket(shop, customer, NULL);
		whole = model_merge(shop, into, from, now_s);
	}
	expect_text(o, got.fields, "X-Basket-Merge: ", !whole);
	if (o->proof.kind == SESSION_ID)
		sid_name(o->proof.text, SID_AUTH, name);
	else
		take_cookie_name(o, name);
	model_log_in(shop, guest, name, o->proof.kind == SESSION_ID ? BY_HEADER : BY_COOKIE,
	             customer, now_s);
	expect_text(o, got.fields, "Session-Id: SID:AUTH:", o->proof.kind == SESSION_ID);
	audits_due++;
}

static void expect_login(struct op *o, struct caller *w, uint64_t now_s)
{
	uint64_t customer = right_customer(o);

	if (w->refused == 0 && customer == 0)
		w->refused = 401;
	if (w->refused == 0 && w->kind == CUSTOMER)
		w->refused = 405;
	if (agreed(o, w->refused != 0 ? w->refused : 200))
		log_in(o, w, customer, now_s);
}

static void expect_sign_in(struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_customer *c = &shop->customers[o->customer];

	if (w->refused == 0 && w->kind == CUSTOMER)
		w->refused = o->proof.kind == SESSION_ID ? 400 : 409;
	if (w->refused == 0 && c->id == 0)
		w->refused = 404;
	if (w->refused == 0 && c->disabled)
		w->refused = 403;
	if (agreed(o, w->refused != 0 ? w->refused : 200))
		log_in(o, w, c->id, now_s);
}

/* `quantity` 1: everywhere. */
static void log_out(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_basket *b = w->kind != CUSTOMER ? open_basket(o, w, false, now_s) : NULL;
	struct model_session *s;

	if (b != NULL)
		model_drop_basket(shop, b);
	if (w->kind != NOBODY_KNOWN && (s = model_session(shop, w->name)) != NULL)
		model_end(shop, s);
	if (w->kind == CUSTOMER)
		audits_due++;
	if (o->quantity == 0)
		return;
	if (w->kind == CUSTOMER)
		model_end_all_of(shop, w->customer);
	else if (w->root && (s = model_session(shop, w->owner)) != NULL)
		model_end(shop, s);
}

static void expect_logout(struct op *o, struct caller *w, uint64_t now_s)
{
	if (agreed(o, w->refused != 0 ? w->refused : 200))
		log_out(o, w, now_s);
}

static void expect_session_end(struct op *o, struct caller *w, uint64_t now_s)
{
	if (agreed(o, w->refused != 0 ? w->refused : 204))
		log_out(o, w, now_s);
}

static void expect_patch(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_session *s;

	if (!agreed(o, w->refused != 0 ? w->refused : 200))
		return;
	keep_guest(o, w, now_s);
	s = model_session(shop, w->owner);
	s->data = (int64_t)o->data;
	shop->changed = true;
	expect_start(o, got.body, "{\"v\":%llu}", (unsigned long long)o->data);
}

static void expect_data(struct op *o, struct caller *w, uint64_t now_s)
{
	const struct model_session *s = model_session(shop, w->owner);

	if (!agreed(o, w->refused != 0 ? w->refused : 200))
		return;
	if (w->kind == NOBODY_KNOWN || s == NULL || now_s >= s->expires_s || s->data < 0)
		expect_start(o, got.body, "{}");
	else
		expect_start(o, got.body, "{\"v\":%lld}", (long long)s->data);
}

/* --- The same of OCAPI, and of token services. --- */

/* A token was given out: its session is there, and for a guest the root behind it. */
static void start_token(const struct op *o, uint64_t customer, const char *guest, uint64_t now_s)
{
	struct model_session *s;
	uint8_t root[MODEL_NAME];
	struct proof p;

	HOLDS(read_token(behind(got.fields, "Authorization: Bearer ", '\r'), &p) &&
	      p.exp_s == now_s + MODEL_TOKEN_TTL_S && p.key == o->proof.key &&
	      p.key_number == o->proof.key_number && model_session(shop, p.name) == NULL,
	      "(I1) %s: another token", kind_name(o->kind));
	audits_due += customer != 0;
	if (customer == 0) {
		session_guest_key(SID_SECRET, slice_of(guest), root);
		model_keep_root(shop, root, guest, p.exp_s, now_s);
	}
	s = model_start(shop, p.name, BY_TOKEN, customer, p.exp_s, now_s);
	if (customer == 0) {
		memcpy(s->root, root, MODEL_NAME);
		memcpy(s->guest, guest, MODEL_GUEST);
	}
}

static void expect_guest(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";
	struct slice id;

	if (!agreed(o, w->refused != 0 ? w->refused : 200))
		return;
	id = behind(got.body, "\"customer_id\":\"", '"');
	HOLDS(id.len == MODEL_GUEST, "(I1) a guest without an id");
	memcpy(guest, id.ptr, MODEL_GUEST);
	start_token(o, 0, guest, now_s);
}

static void expect_credentials(struct op *o, struct caller *w, uint64_t now_s)
{
	uint64_t customer = right_customer(o);

	if (w->refused == 0 && customer == 0)
		w->refused = 401;
	if (agreed(o, w->refused != 0 ? w->refused : 200))
		start_token(o, customer, "", now_s);
}

/* A token for who has shown a token or a dwsid. */
static void expect_token(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";

	if (w->refused == 0 && w->kind == NOBODY_KNOWN)
		w->refused = 401;
	if (!agreed(o, w->refused != 0 ? w->refused : 200))
		return;
	memcpy(guest, model_session(shop, w->name)->guest, sizeof guest);
	start_token(o, w->customer, guest, now_s);
}

static void expect_bridge(struct op *o, struct caller *w, uint64_t now_s)
{
	char guest[MODEL_GUEST + 1] = "";
	uint8_t name[MODEL_NAME];
	struct model_session *s;
	struct slice dwsid;

	if (!agreed(o, w->refused != 0 ? w->refused : 204))
		return;
	dwsid = behind(got.fields, "Set-Cookie: dwsid=", ';');
	HOLDS(dwsid.len == SESSION_DWSID_CHARS, "(I1) no dwsid");
	session_dwsid_key(SID_SECRET, dwsid, name);
	memcpy(guest, model_session(shop, w->name)->guest, sizeof guest);
	if (w->customer == 0)
		model_keep_root(shop, w->owner, guest, now_s + MODEL_DWSID_MAX_S, now_s);
	s = model_start(shop, name, BY_DWSID, w->customer, 0, now_s);
	if (w->customer == 0)
		memcpy(s->root, w->owner, MODEL_NAME);
	memcpy(s->guest, guest, sizeof guest);
}

static void expect_token_end(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)now_s;
	if (!agreed(o, w->refused != 0 ? w->refused : 204))
		return;
	model_end(shop, model_session(shop, w->name));
	audits_due++;
}

/* True where the token that is asked about is good. */
static bool target_lives(const struct op *o, uint64_t now_s, struct caller *of)
{
	static struct op other;

	other.proof = o->target;
	who_calls(shop, &other, now_s, false, false, of);
	return of->refused == 0;
}

static void expect_introspect(struct op *o, struct caller *w, uint64_t now_s)
{
	struct caller of;

	if (agreed(o, w->refused != 0 ? w->refused : 200))
		expect_start(o, got.body, "{\"active\":%s",
		             target_lives(o, now_s, &of) ? "true" : "false}");
}

static void expect_revoke(struct op *o, struct caller *w, uint64_t now_s)
{
	struct caller of;

	if (!agreed(o, w->refused != 0 ? w->refused : 200) || !target_lives(o, now_s, &of))
		return;
	model_end(shop, model_session(shop, of.name));
	audits_due++;
}

/* --- What operators do. --- */

static void expect_state(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!agreed(o, c == NULL ? 404 : 200))
		return;
	c->disabled = o->quantity == 0;
	if (c->disabled)
		model_end_all_of(shop, c->id);
	shop->changed = true;
	audits_due++;
}

static void expect_password(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!agreed(o, c == NULL ? 404 : 200))
		return;
	c->password = o->password;
	model_end_all_of(shop, c->id);
	shop->changed = true;
	audits_due++;
}

static void expect_gone(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = model_customer(shop, o->id);

	(void)w, (void)now_s;
	if (!agreed(o, c == NULL ? 404 : 200))
		return;
	model_end_all_of(shop, c->id);
	for MODEL_EACH(b, shop->baskets)
		if (b->id != 0 && b->customer == c->id)
			b->id = 0;
	c->id = 0;
	shop->changed = true;
	audits_due++;
}

static void expect_new(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_customer *c = &shop->customers[o->customer];
	uint64_t id;

	(void)w, (void)now_s;
	if (!agreed(o, c->id != 0 ? 409 : 201))
		return;
	HOLDS(slice_uint(behind(got.fields, "Location: /admin/customers/", '\r'), UINT64_MAX,
	                 &id) && id == shop->next_customer, "(I1) a customer has another id");
	*c = (struct model_customer){ .id = shop->next_customer++, .password = o->password };
	shop->changed = true;
	audits_due++;
}

static void expect_key(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_key *k = &shop->keys[o->product];

	(void)w, (void)now_s;
	if (!agreed(o, k->revoked ? 201 : 409))
		return;
	*k = (struct model_key){ .number = o->proof.key_number };
	shop->revoked_keys++;
	shop->changed = true;
	audits_due++;
}

static void expect_key_state(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_key *k = &shop->keys[o->product];

	(void)w, (void)now_s;
	if (!agreed(o, k->revoked ? 409 : 200))
		return;
	k->disabled = o->quantity == 0;
	shop->changed = true;
	audits_due++;
}

static void expect_key_end(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	agreed(o, 200);
	shop->keys[o->product].revoked = true;
	shop->changed = true;
	audits_due++;
}

static void expect_end_one(struct op *o, struct caller *w, uint64_t now_s)
{
	struct model_session *s = model_session(shop, o->name);

	(void)w, (void)now_s;
	if (!agreed(o, s == NULL ? 404 : 204))
		return;
	model_end(shop, s);
	audits_due++;
}

static void expect_end_of(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	agreed(o, 200);
	model_end_all_of(shop, o->id);
	audits_due++;
}

static void expect_end_all(struct op *o, struct caller *w, uint64_t now_s)
{
	(void)w, (void)now_s;
	agreed(o, 200);
	for MODEL_EACH(s, shop->sessions)
		if (s->via != NOT_THERE)
			model_end(shop, s);
	audits_due++;
}

/* --- Requests, written. --- */

static void add_text(struct op *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_text(struct op *o, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(o->text + o->len, sizeof o->text - o->len, fmt, args);
	va_end(args);
	assert_in_range(n, 0, sizeof o->text - o->len - 1);
	o->len += (size_t)n;
}

static const char *key_word(int key)
{
	return key == LOGIN_KEY ? "login" : key >= SHOP_KEY ? "shop" : "trusted";
}

/* Mostly the key that is known to be good, sometimes one of before. */
static void use_key(struct op *o, int key)
{
	o->proof.key = key;
	o->proof.key_number = known_keys[key];
	if (below(24) == 0)
		o->proof.key_number = 1 + below(next_keys[key]);
}

/* The session's cookie and what comes along with it; now and then the CSRF token does not. */
static void add_cookies(struct op *o, const struct client *c)
{
	char text[SESSION_ID_CHARS];
	struct buf token = BUF(text);
	struct slice value, id;

	session_put_csrf_token(&token, SID_SECRET, o->proof.name);
	o->csrf = slice_eq(buf_slice(&token), slice_of(c->csrf)) && below(16) != 0;
	add_text(o, "Cookie: a=b");
	if (o->proof.kind == COOKIE)
		add_text(o, "; sidecart_session=%s", o->proof.text);
	if (c->csrf[0] != '\0')
		add_text(o, "; sidecart_csrf=%s", c->csrf);
	if (c->basket[0] != '\0') {
		value = slice_of(c->basket);
		id = slice_cut(&value, ':');
		o->basket_came = slice_uint(id, UINT64_MAX, &o->basket_cookie);
		add_text(o, "; oscar_open_basket=%s", c->basket);
	}
	add_text(o, "\r\n");
	if (o->csrf)
		add_text(o, "X-CSRFToken: %s\r\n", c->csrf);
}

static void add_proof(struct op *o)
{
	const struct client *c = &clients[o->client];
	const struct proof *p = &o->proof;

	switch (p->kind) {
	case SESSION_ID:
		add_text(o, "Session-Id: SID:%s:" HOST ":%s%s\r\n", p->auth ? "AUTH" : "ANON",
		         p->text, below(8) == 0 ? "-1f:3" : "");
		break;
	case NOTHING:
	case COOKIE:
		if (o->client >= HEADERS && o->client < HEADERS + BROWSERS)
			add_cookies(o, c);
		else if (p->kind == COOKIE)
			add_text(o, "Cookie: sidecart_session=%s\r\n", p->text);
		break;
	case BEARER:
		add_text(o, "Authorization: Bearer %s\r\n", p->text);
		return;
	case DWSID:
		add_text(o, "Cookie: dwsid=%s\r\n", p->text);
		break;
	}
	if (p->key >= 0 && (p->key < SHOP_KEY || p->key == LOGIN_KEY))
		add_text(o, "X-Api-Key: %s-%d-%u\r\n", key_word(p->key), p->key, p->key_number);
	else if (p->key >= 0)
		add_text(o, "x-dw-client-id: shop-%d-%u\r\n", p->key, p->key_number);
}

static void begin_request(struct op *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void begin_request(struct op *o, const char *fmt, ...)
{
	char line[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	add_text(o, "%s HTTP/1.1\r\nHost: " HOST "\r\n", line);
	add_proof(o);
}

/* Ends the request with a body: `type` says of what. */
static void end_request(struct op *o, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void end_request(struct op *o, const char *type, const char *fmt, ...)
{
	char body[1400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(body, sizeof body, fmt, args);
	va_end(args);
	if (body[0] != '\0')
		add_text(o, "Content-Type: application/%s\r\n", type);
	add_text(o, "Content-Length: %zu\r\n\r\n", strlen(body));
	o->head_len = o->len;
	add_text(o, "%s", body);
}

static void ask_look(struct op *o)
{
	begin_request(o, "GET /session");
	end_request(o, "json", "%s", "");
}

static void ask_resolve(struct op *o)
{
	begin_request(o, "GET /resolve?require=any");
	end_request(o, "json", "%s", "");
}

static void ask_open(struct op *o)
{
	begin_request(o, "GET /api/basket/");
	end_request(o, "json", "%s", "");
}

/* Half of those with an Idempotency-Key say the same as the last one. */
static void ask_add(struct op *o)
{
	struct client *c = &clients[o->client];

	o->product = below(MODEL_PRODUCTS);
	o->quantity = 1 + below(9);
	if (below(3) == 0) {
		o->idempotency_key = 1 + below(3);
		if (c->idempotency_key != 0 && below(2) == 0) {
			o->idempotency_key = c->idempotency_key;
			o->product = c->product;
			o->quantity = c->quantity;
		}
		c->idempotency_key = o->idempotency_key;
		c->product = o->product;
		c->quantity = o->quantity;
	}
	begin_request(o, "POST /api/basket/add-product/");
	if (o->idempotency_key != 0)
		add_text(o, "Idempotency-Key: k%u\r\n", o->idempotency_key);
	end_request(o, "json", "{\"url\":\"/api/products/%s/\",\"quantity\":%u}",
	            model_products[o->product].id, o->quantity);
}

/* A basket that he has, or any. */
static struct model_basket *pick_basket(struct op *o)
{
	struct model_basket *b = &shop->baskets[below(64)];
	struct caller w;

	who_calls(shop, o, wall_us / 1000000, false, false, &w);
	if (below(6) != 0)
		b = model_basket(shop, w.recorded ? w.open : w.carried);
	if (b == NULL || b->id == 0)
		b = &shop->baskets[below(MODEL_BASKETS)];
	o->basket = b->id;
	if (b->count > 0)
		o->line = b->lines[below(b->count)].id;
	return b;
}

static void ask_detail(struct op *o)
{
	pick_basket(o);
	begin_request(o, "GET /api/baskets/%llu/", (unsigned long long)o->basket);
	end_request(o, "json", "%s", "");
}

static void ask_set(struct op *o)
{
	pick_basket(o);
	o->quantity = below(4) == 0 ? 0 : 1 + below(15);
	begin_request(o, "%s /api/baskets/%llu/lines/%llu/", o->quantity > 0 ? "PATCH" : "DELETE",
	              (unsigned long long)o->basket, (unsigned long long)o->line);
	if (o->quantity > 0)
		end_request(o, "json", "{\"quantity\":%u}", o->quantity);
	else
		end_request(o, "json", "%s", "");
}

/* Mostly one who is there, with the password that he has. */
static void pick_customer(struct op *o)
{
	const struct model_customer *c;

	o->customer = below(MODEL_CUSTOMERS);
	c = &shop->customers[o->customer];
	o->password = below(6) != 0 ? c->password : below(PASSWORDS);
	o->id = c->id != 0 && below(16) != 0 ? c->id : 1 + below((uint32_t)shop->next_customer);
}

static void ask_login(struct op *o)
{
	pick_customer(o);
	begin_request(o, "POST /api/login/");
	end_request(o, "json", "{\"username\":\"c%u\",\"password\":\"word-%u\"}", o->customer,
	            o->password);
}

static void ask_sign_in(struct op *o)
{
	pick_customer(o);
	use_key(o, LOGIN_KEY);
	begin_request(o, "POST /session/login");
	end_request(o, "json", "{\"login\":\"c%u\"}", o->customer);
}

static void ask_logout(struct op *o)
{
	begin_request(o, "DELETE /api/login/");
	end_request(o, "json", "%s", "");
}

static void ask_session_end(struct op *o)
{
	o->quantity = below(3) == 0;
	begin_request(o, "DELETE /session%s", o->quantity > 0 ? "?all=1" : "");
	end_request(o, "json", "%s", "");
}

static void ask_patch(struct op *o)
{
	o->data = below(1000);
	begin_request(o, "PATCH /session/data");
	end_request(o, "json", "{\"v\":%llu}", (unsigned long long)o->data);
}

static void ask_data(struct op *o)
{
	begin_request(o, "GET /session/data");
	end_request(o, "json", "%s", "");
}

/* Without a token: whom the answer is for, as the OCAPI client says. */
static void become_client(struct op *o)
{
	o->proof = (struct proof){ .kind = NOTHING };
	use_key(o, SHOP_KEY + (int)(o->client % (LOGIN_KEY - SHOP_KEY)));
}

#define AUTH_PATH "/dw/shop/v20_9/customers/auth"

static void ask_guest(struct op *o)
{
	become_client(o);
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"guest\"}");
}

static void ask_credentials(struct op *o)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char plain[24], text[40];
	size_t len, n = 0;

	become_client(o);
	pick_customer(o);
	len = (size_t)snprintf(plain, sizeof plain, "c%u:word-%u", o->customer, o->password);
	assert_int_equal(len % 3, 0);   /* so that Base64 needs no padding */
	for (size_t i = 0; i < len; i += 3) {
		uint32_t w = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 |
		             (uint32_t)plain[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			text[n++] = digits[w >> shift & 63];
	}
	begin_request(o, "POST " AUTH_PATH);
	add_text(o, "Authorization: Basic %.*s\r\n", (int)n, text);
	end_request(o, "json", "{\"type\":\"credentials\"}");
}

static void ask_refresh(struct op *o)
{
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"refresh\"}");
}

static void ask_bridge(struct op *o)
{
	begin_request(o, "POST /dw/shop/v20_9/sessions");
	end_request(o, "json", "%s", "");
}

static void ask_of_dwsid(struct op *o)
{
	o->proof = clients[o->client].dwsid;
	use_key(o, SHOP_KEY + (int)(o->client % (LOGIN_KEY - SHOP_KEY)));
	begin_request(o, "POST " AUTH_PATH);
	end_request(o, "json", "{\"type\":\"session\"}");
}

static void ask_token_end(struct op *o)
{
	begin_request(o, "DELETE " AUTH_PATH);
	end_request(o, "json", "%s", "");
}

/* A token that was given out at some time, whoever has it. */
static void pick_token(struct op *o)
{
	uint32_t first = below(PROOFS_KEPT);

	o->target = (struct proof){ .kind = BEARER, .key = SHOP_KEY };
	for (uint32_t i = 0; i < PROOFS_KEPT; i++)
		if (seen[(first + i) % PROOFS_KEPT].kind == BEARER) {
			o->target = seen[(first + i) % PROOFS_KEPT];
			break;
		}
}

static void ask_introspect(struct op *o)
{
	pick_token(o);
	begin_request(o, "POST /token/introspect");
	add_text(o, "X-Api-Key: resolve\r\n");
	end_request(o, "x-www-form-urlencoded", "token=%s", o->target.text[0] != '\0' ?
	            o->target.text : "none");
}

static void ask_revoke(struct op *o)
{
	pick_token(o);
	begin_request(o, "POST /token/revoke");
	add_text(o, "X-Api-Key: resolve\r\n");
	end_request(o, "x-www-form-urlencoded", "token=%s", o->target.text[0] != '\0' ?
	            o->target.text : "none");
}

#define ADMIN(o, ...) do { \
	begin_request(o, __VA_ARGS__); \
	add_text(o, "X-Api-Key: admin\r\n"); \
} while (0)

static void ask_state(struct op *o)
{
	pick_customer(o);
	o->quantity = below(3) != 0;
	ADMIN(o, "PATCH /admin/customers/%llu", (unsigned long long)o->id);
	end_request(o, "json", "{\"state\":\"%s\"}", o->quantity > 0 ? "enabled" : "disabled");
}

static void ask_password(struct op *o)
{
	pick_customer(o);
	o->password = below(PASSWORDS);
	ADMIN(o, "PUT /admin/customers/%llu/password", (unsigned long long)o->id);
	end_request(o, "json", "{\"password\":\"word-%u\"}", o->password);
}

static void ask_gone(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "DELETE /admin/customers/%llu", (unsigned long long)o->id);
	end_request(o, "json", "%s", "");
}

static void ask_new(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "POST /admin/customers");
	end_request(o, "json", "{\"login\":\"c%u\",\"password\":\"word-%u\"}", o->customer,
	            o->password);
}

static const char *const scopes[] = { "\"shop\",\"trusted\"", "\"shop\"", "\"trusted\",\"login\"" };

static const char *scopes_of(uint32_t key)
{
	return scopes[key == LOGIN_KEY ? 2 : key >= SHOP_KEY ? 1 : 0];
}

static void ask_key(struct op *o)
{
	o->product = below(MODEL_KEYS);
	ADMIN(o, "POST /admin/keys");
	o->proof.key_number = ++next_keys[o->product];
	end_request(o, "json", "{\"name\":\"key%u\",\"value\":\"%s-%u-%u\",\"scopes\":[%s]}",
	            o->product, key_word((int)o->product), o->product, o->proof.key_number,
	            scopes_of(o->product));
}

static void ask_key_state(struct op *o)
{
	o->product = below(MODEL_KEYS);
	o->quantity = below(3) != 0;
	ADMIN(o, "PATCH /admin/keys/key%u", o->product);
	end_request(o, "json", "{\"state\":\"%s\"}", o->quantity > 0 ? "active" : "disabled");
}

static void ask_key_end(struct op *o)
{
	o->product = below(MODEL_KEYS);
	ADMIN(o, "DELETE /admin/keys/key%u", o->product);
	end_request(o, "json", "%s", "");
}

static void ask_end_one(struct op *o)
{
	char text[2 * MODEL_NAME + 1] = "";
	struct buf hex = BUF(text);

	memcpy(o->name, shop->sessions[below(96)].name, MODEL_NAME);
	buf_hex(&hex, slice_bytes(o->name, MODEL_NAME));
	ADMIN(o, "DELETE /admin/sessions/%.*s", (int)hex.len, text);
	end_request(o, "json", "%s", "");
}

static void ask_end_of(struct op *o)
{
	pick_customer(o);
	ADMIN(o, "DELETE /admin/sessions?customer=%llu", (unsigned long long)o->id);
	end_request(o, "json", "%s", "");
}

static void ask_end_all(struct op *o)
{
	ADMIN(o, "DELETE /admin/sessions?all=1");
	end_request(o, "json", "%s", "");
}

/* --- All of them. --- */

enum { SAFE = 0, UNSAFE = 1, DW = 2, OPS = 4 };         /* what a kind of request is */
enum { BY_SHOPS = 1, BY_PAGES = 2, BY_TOKENS = 4, BY_OPERATORS = 8 };

static const struct kind {
	const char *name;
	uint32_t is, by, weight;
	void (*ask)(struct op *o);
	void (*expect)(struct op *o, struct caller *w, uint64_t now_s);
} kinds[] = {
	/* clang-format off */
	{ "look",        SAFE,   15, 100, ask_look,        expect_look },
	{ "resolve",     SAFE,   15,  70, ask_resolve,     expect_resolve },
	{ "open",        SAFE,    7,  60, ask_open,        expect_open },
	{ "add",         UNSAFE,  7, 110, ask_add,         expect_add },
	{ "detail",      SAFE,    7,  30, ask_detail,      expect_detail },
	{ "set",         UNSAFE,  7,  50, ask_set,         expect_set },
	{ "patch",       UNSAFE,  7,  30, ask_patch,       expect_patch },
	{ "data",        SAFE,    7,  20, ask_data,        expect_data },
	{ "login",       UNSAFE,  3,  60, ask_login,       expect_login },
	{ "sign-in",     UNSAFE,  3,  20, ask_sign_in,     expect_sign_in },
	{ "logout",      UNSAFE,  3,  20, ask_logout,      expect_logout },
	{ "session-end", UNSAFE,  7,  12, ask_session_end, expect_session_end },
	{ "guest",       DW, BY_TOKENS, 25, ask_guest,       expect_guest },
	{ "credentials", DW, BY_TOKENS, 40, ask_credentials, expect_credentials },
	{ "refresh",     DW, BY_TOKENS, 30, ask_refresh,     expect_token },
	{ "bridge",      DW, BY_TOKENS, 30, ask_bridge,      expect_bridge },
	{ "of-dwsid",    DW, BY_TOKENS, 30, ask_of_dwsid,    expect_token },
	{ "token-end",   DW, BY_TOKENS, 10, ask_token_end,   expect_token_end },
	{ "introspect",  SAFE,   BY_OPERATORS, 120, ask_introspect, expect_introspect },
	{ "revoke",      UNSAFE, BY_OPERATORS,  30, ask_revoke,     expect_revoke },
	{ "state",       OPS,    BY_OPERATORS,  30, ask_state,      expect_state },
	{ "password",    OPS,    BY_OPERATORS,  15, ask_password,   expect_password },
	{ "gone",        OPS,    BY_OPERATORS,  10, ask_gone,       expect_gone },
	{ "new",         OPS,    BY_OPERATORS,  25, ask_new,        expect_new },
	{ "key",         OPS,    BY_OPERATORS,  20, ask_key,        expect_key },
	{ "key-state",   OPS,    BY_OPERATORS,  20, ask_key_state,  expect_key_state },
	{ "key-end",     OPS,    BY_OPERATORS,   4, ask_key_end,    expect_key_end },
	{ "end-one",     OPS,    BY_OPERATORS,  20, ask_end_one,    expect_end_one },
	{ "end-of",      OPS,    BY_OPERATORS,  10, ask_end_of,     expect_end_of },
	{ "end-all",     OPS,    BY_OPERATORS,   1, ask_end_all,    expect_end_all },
	/* clang-format on */
};

static const char *kind_name(uint32_t kind)
{
	return kinds[kind].name;
}

/* --- Where requests are run. --- */

static struct op *op_of(const uint8_t random[32])
{
	struct op *o;
	uint64_t number;

	memcpy(&number, random, sizeof number);
	o = &ops[number % OPS_KEPT];
	HOLDS(o->number == number, "the writer has an operation of long ago");
	return o;
}

/* What is drawn for an operation follows from its number. */
static void draw_random(const struct op *o, uint8_t random[32])
{
	uint64_t words[4] = { o->number };

	for (size_t i = 1; i < COUNT_OF(words); i++)
		words[i] = (o->number + i) * UINT64_C(0x9e3779b97f4a7c15) ^ torture_seed;
	memcpy(random, words, sizeof words);
}

/* A request was run: the model says what had to come of it. */
static void judge(struct op *o, const struct http_response *r, uint64_t now_s, bool front)
{
	const struct kind *k = &kinds[o->kind];
	struct model_session *s;
	struct caller w;

	got = (struct answer_seen){ (uint32_t)r->status, buf_slice(&r->fields),
		                    buf_slice(&r->body), front };
	who_calls(shop, o, now_s, k->is == UNSAFE, k->is == DW, &w);
	shop->changed = shop->grown = false;
	k->expect(o, &w, now_s);
	HOLDS(got.status < 400 || !shop->changed, "(I4) what was refused changed something");
	s = got.status < 400 && w.recorded && w.renewal_due && !front && k->is != OPS ?
	    model_session(shop, w.name) : NULL;
	if (s != NULL)
		s->expires_s = model_expiry(s, now_s);
	HOLDS(!front || !shop->changed, "(I4) %s: a front answers what is to change the store",
	      kind_name(o->kind));
	HOLDS(front || !disk_full || store->use_reserve || !shop->grown,
	      "(I10) %s: a full store has grown", kind_name(o->kind));
	o->status = got.status;
	o->state = RUN;
	o->now_s = now_s;
	o->batch = front ? 0 : batch_number;
}

enum call_result __real_route_call(struct call *c, const struct route_match *m);
enum call_result __wrap_route_call(struct call *c, const struct route_match *m);
enum kv_status __real_route_touch(struct call *c, const struct route_match *m);
enum kv_status __wrap_route_touch(struct call *c, const struct route_match *m);

enum call_result __wrap_route_call(struct call *c, const struct route_match *m)
{
	enum call_result result = __real_route_call(c, m);

	if (c->kv != store)
		return result;
	if (result == CALL_DONE)
		judge(op_of(c->random), c->response, c->now_us / 1000000, false);
	HOLDS(result != CALL_STORE || (c->store_status == KV_FULL && disk_full),
	      "(I10) the store failed: %s", kv_status_text(c->store_status));
	return result;
}

enum kv_status __wrap_route_touch(struct call *c, const struct route_match *m)
{
	enum kv_status status = __real_route_touch(c, m);
	const struct op *o = op_of(c->random);
	struct model_session *s;
	struct caller w;

	HOLDS(status == KV_OK || (status == KV_FULL && disk_full), "a renewal failed: %s",
	      kv_status_text(status));
	who_calls(shop, o, c->now_us / 1000000, false, kinds[o->kind].is == DW, &w);
	s = status == KV_OK && w.refused == 0 && w.renewal_due ? model_session(shop, w.name) : NULL;
	if (s != NULL)
		s->expires_s = model_expiry(s, c->now_us / 1000000);
	return status;
}

/* --- Clients learn from their answers. --- */

static void remember_proof(const struct proof *p)
{
	seen[below(PROOFS_KEPT)] = *p;
}

/* Takes over a cookie that was set, if it was. */
static void learn_cookie(struct slice fields, const char *label, char *out, size_t cap)
{
	struct slice value = behind(fields, label, ';');

	if (!slice_given(value) || value.len >= cap)
		return;
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
}

static void learn_page(struct client *c, struct slice fields)
{
	char id[SESSION_ID_CHARS + 1] = "-";

	learn_cookie(fields, "Set-Cookie: sidecart_session=", id, sizeof id);
	learn_cookie(fields, "Set-Cookie: sidecart_csrf=", c->csrf, sizeof c->csrf);
	learn_cookie(fields, "Set-Cookie: oscar_open_basket=", c->basket, sizeof c->basket);
	if (id[0] == '-' && id[1] == '\0')
		return;
	c->proof = (struct proof){ .kind = id[0] != '\0' ? COOKIE : NOTHING, .key = -1 };
	memcpy(c->proof.text, id, sizeof id);
	session_cookie_key(SID_SECRET, slice_of(id), c->proof.name);
	if (id[0] != '\0')
		remember_proof(&c->proof);
}

static void learn_tokens(struct client *c, const struct op *o, struct slice fields, uint32_t status)
{
	struct slice token = behind(fields, "Authorization: Bearer ", '\r');
	struct slice dwsid = behind(fields, "Set-Cookie: dwsid=", ';');

	if (slice_given(token) && read_token(token, &c->proof)) {
		remember_proof(&c->proof);
	} else if (status == 401 && o->proof.kind == BEARER) {
		c->proof = (struct proof){ .kind = NOTHING, .key = -1 };
	}
	if (dwsid.len == SESSION_DWSID_CHARS) {
		c->dwsid = (struct proof){ .kind = DWSID, .key = -1 };
		memcpy(c->dwsid.text, dwsid.ptr, dwsid.len);
		session_dwsid_key(SID_SECRET, dwsid, c->dwsid.name);
		remember_proof(&c->dwsid);
	}
}

/* The answer is there: `fields` of it, and for a 503 of the way there none. */
static void learn(struct op *o, uint32_t status, struct slice fields)
{
	struct client *c = &clients[o->client];

	o->state = ENDED;
	if (c->busy != o->number)
		return;
	c->busy = 0;
	c->lost = 0;
	if (o->client < HEADERS) {
		if (says(fields, "Session-Id: SID:AUTH:"))
			c->proof.auth = true;
		else if (status == 401 || says(fields, "Session-Id: SID:ANON:"))
			c->proof.auth = false;
	} else if (o->client < HEADERS + BROWSERS) {
		learn_page(c, fields);
	} else if (o->client < OPERATOR) {
		learn_tokens(c, o, fields, status);
	} else if (kinds[o->kind].ask == ask_key && status == 201) {
		known_keys[o->product] = o->proof.key_number;
	}
}

/* Nobody knows what became of it. */
static void lose(struct op *o)
{
	struct client *c = &clients[o->client];

	o->state = ENDED;
	if (c->busy != o->number)
		return;
	c->busy = 0;
	c->lost = o->number;
}

/* --- A front. --- */

static void tell_time(struct front_process *f, uint32_t number)
{
	struct kv *kv = &f->kv;

	clock_move(&f->clock, wall_us, ran_us);
	if (number != LATE && !strikes(SNAPSHOT_IS_OLD, 8))
		HOLDS(kv_refresh(kv) == KV_OK, "no snapshot");
	HOLDS(clock_follow(&f->clock, kv) == KV_OK, "no clock");
	HOLDS(f->clock.now_us >= last_front_s[number] * 1000000, "(I8) a front's time goes back");
	HOLDS(number == LATE || f->clock.now_us >= last_kept_s * 1000000,
	      "(I8) a front's time is before the store's");
	last_front_s[number] = f->clock.now_us / 1000000;
	if (ever_s < last_front_s[number])
		ever_s = last_front_s[number];
	f->call.now_us = f->clock.now_us;
}

static bool send_op(struct front_process *f, const struct op *o, const struct route_match *m,
                    uint32_t flags)
{
	struct link_request message = {
		.slot = (uint32_t)(o->number % OPS_KEPT), .number = (uint32_t)o->number,
		.route = route_number(m), .flags = flags | LINK_KEEP_ALIVE | LINK_HTTPS,
		.head_len = (uint32_t)o->head_len, .now_us = f->call.now_us, .peer = f->call.peer,
	};
	struct slice body = { o->text + o->head_len, o->len - o->head_len };

	if ((flags & LINK_TOUCH) != 0)
		body.len = 0;
	message.body_len = (uint32_t)body.len;
	memcpy(message.random, f->call.random, sizeof message.random);
	return link_send_request(&f->link, &message, (struct slice){ o->text, o->head_len },
	                         body) == LINK_DONE;
}

static void front_done(struct front_process *f, struct op *o, const struct route_match *m)
{
	const struct identity *id = &f->call.identity;
	struct caller w;

	judge(o, &f->response, f->call.now_us / 1000000, true);
	who_calls(shop, o, f->call.now_us / 1000000, false, kinds[o->kind].is == DW, &w);
	HOLDS(o->status >= 400 || !w.renewal_due || id->renewal_due || kinds[o->kind].is == OPS,
	      "(I1) a renewal is due");
	if (id->renewal_due && o->front != LATE && m->route != NULL)
		send_op(f, o, m, LINK_TOUCH);
	learn(o, o->status, buf_slice(&f->response.fields));
}

/* As server.c does with a request that is whole. */
static void run_in_front(struct op *o)
{
	static const struct http_limits limits = { 8192, 2048, 64, 65536 };
	struct front_process *f = &fronts[o->front];
	struct http_request request;
	struct http_refusal refusal;
	struct route_match m;
	enum call_result result;

	http_request_init(&request);
	assert_int_equal(http_parse(&request, (struct slice){ o->text, o->len }, &limits, &refusal),
	                 HTTP_READY);
	assert_int_equal(request.head_len, o->head_len);
	request.body = (struct slice){ o->text + o->head_len, o->len - o->head_len };
	route_find(&request, kinds[o->kind].is == OPS, &m);
	f->call.request = &request;
	f->call.store_status = KV_OK;
	draw_random(o, f->call.random);
	identity_clear(&f->call.identity);
	result = route_call(&f->call, &m);
	if (result == CALL_DONE) {
		front_done(f, o, &m);
		return;
	}
	HOLDS(result == CALL_ASK || f->call.store_status == KV_READONLY, "a front's store failed");
	HOLDS(o->front != LATE, "(I9) on an old snapshot something is to be changed");
	o->state = ASKED_WRITER;
	if (!send_op(f, o, &m, 0))
		lose(o);
}

/* The writer's answer. What it rests on must be on disk, and what failed undone. */
static void deliver(const struct link_answer *a, struct slice response)
{
	struct op *o = &ops[a->slot];
	struct slice fields = response;
	const char *end = memmem(response.ptr, response.len, "\r\n\r\n", 4);

	HOLDS((uint32_t)o->number == a->number, "an answer of long ago");
	if (o->state == ENDED)
		return;
	if ((a->flags & LINK_FAILED) != 0) {
		HOLDS(o->state != RUN, "(I2) done, and told to have failed");
		learn(o, a->status, (struct slice){ "", 0 });
		return;
	}
	HOLDS(o->state == RUN && o->status == a->status,
	      "(I2) operation %llu is answered with %u: it was not run so",
	      (unsigned long long)o->number, a->status);
	HOLDS(o->batch <= committed, "(I2) answered before it is on disk");
	if (end != NULL)
		fields.len = (size_t)(end - response.ptr) + 2;
	learn(o, a->status, fields);
}

static void deliver_all(void)
{
	struct link_answer a;
	struct slice response;

	for (uint32_t i = 0; i < FRONTS; i++)
		while (link_receive_answer(&fronts[i].link, &a, &response) == LINK_DONE)
			deliver(&a, response);
}

/* --- The hasher. --- */

static void answer_question(uint32_t kind, struct slice question, struct buf *out)
{
	static const uint8_t salt[16] = { 2 };
	char bytes[PASSWORD_HASH_MAX];
	struct buf hash = BUF(bytes);
	struct slice sealed, password;
	uint8_t nonce[12] = { 0 };
	uint32_t iterations;
	uint64_t id;

	memcpy(nonce, &op_count, sizeof op_count);
	if (kind == ASK_PASSWORD) {
		assert_true(call_password_question_read(question, &iterations, &id, &sealed,
		                                        &password));
		if (sealed.len > 0)
			assert_true(password_unseal(&hash, seal_key, id, sealed));
		buf_char(out, (char)password_check(buf_slice(&hash), password, iterations));
		return;
	}
	assert_int_equal(kind, ASK_HASH);
	assert_true(call_hash_question_read(question, &iterations, &id, &password));
	password_make(&hash, password, iterations, salt);
	for (uint64_t i = 0; i < CALL_HASHES_MADE; i++, nonce[11]++)
		password_seal(out, seal_key, nonce, id + i, buf_slice(&hash));
}

static void start_hasher(void)
{
	size_t room;
	int pair[2];

	if (hasher >= 0)
		close(hasher);
	assert_true(link_pair(pair, CALL_QUESTION_MAX, &room));
	hasher_drop(&writer, &writer.hashers[0]);
	writer.hashers[0].fd = pair[0];
	hasher = pair[1];
}

/* Answers, or takes its time, or dies over the question. */
static void turn_hasher(void)
{
	static char question_bytes[CALL_QUESTION_MAX];
	char answer_bytes[CALL_ANSWER_MAX];
	struct buf question = BUF(question_bytes), answer = BUF(answer_bytes);
	struct link_question head;

	if (writer.hashers[0].busy == NOBODY || below(4) == 0)
		return;
	if (below(500) == 0) {
		start_hasher();
		return;
	}
	if (link_receive_question(hasher, &head, &question) != LINK_DONE)
		return;
	answer_question(head.kind, buf_slice(&question), &answer);
	assert_int_equal(link_send_question(hasher, &head, buf_slice(&answer)), LINK_DONE);
	take_reply(&writer, &writer.hashers[0]);
}

/* --- The writer. --- */

static void open_store_of_all(void)
{
	const struct kv_options options = {
		.dir = dir, .mode = KV_CREATE, .map_bytes = MAP_BYTES, .nosync = true,
	};
	char error[KV_ERROR_MAX];
	struct kv *kv = kv_open(&options, error);

	HOLDS(kv != NULL, "%s", error);
	for (uint32_t i = 0; i < FRONTS; i++) {
		fronts[i].kv = *kv;
		fronts[i].kv.mode = KV_READ;
		HOLDS(kv_begin_read(&fronts[i].kv) == KV_OK, "no snapshot");
	}
	store = writer.call.kv = kv;
	late = present;
}

static void close_store_of_all(void)
{
	struct kv *kv = store;

	store = NULL;
	for (uint32_t i = 0; i < FRONTS; i++)
		mdb_txn_abort(fronts[i].kv.snapshot);
	kv_close(kv);
}

static void join_links(void)
{
	size_t room;
	int pair[2];

	for (uint32_t i = 0; i < FRONTS; i++) {
		assert_true(link_pair(pair, LINK_PACKET_MAX, &room));
		link_join(&writer.fronts[i].link, pair[0]);
		link_join(&fronts[i].link, pair[1]);
	}
	start_hasher();
}

/* A writer's life begins: only its memory is the one of before. */
static void start_writer(void)
{
	struct writer *w = &writer;

	hasher_drop(w, &w->hashers[0]);
	for (uint32_t i = 0; i < config.max_waiting_passwords; i++)
		if (parked_at(w, i)->state != PARKED_FREE)
			parked_free(w, parked_at(w, i));
	for (uint32_t i = 0; i < FRONTS; i++)
		front_drop(&w->fronts[i]);
	w->answer_count = w->answer_bytes.len = w->batch = 0;
	w->clock = (struct clock){ 0 };         /* what the store holds is what it knows */
	last_writer_s = 0;
	w->tick_ms = w->date_s = 0;
	w->sweep_again = w->hasher_wanted = false;
	w->counted.len = 0;
	w->guests = w->customers = 0;
	set_up(w);
	w->call.sid_secret = SID_SECRET;
	w->call.kv = store;
	join_links();
}

/* The machine starts anew, all of it: what is in the store is all that is known. */
static void start_all(void)
{
	close_store_of_all();
	open_store_of_all();
	for (uint32_t i = 0; i < FRONTS; i++) {
		fronts[i].clock = (struct clock){ 0 };
		memset(fronts[i].memo, 0, sizeof *fronts[i].memo);
		last_front_s[i] = 0;
	}
	start_writer();
}

static void lose_all(void)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (clients[i].busy != 0)
			lose(&ops[clients[i].busy % OPS_KEPT]);
}

/* Of the batch at hand nothing was done. */
static void undo_batch(void)
{
	present = saved;
	audits_due = 0;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct op *o = &ops[clients[i].busy % OPS_KEPT];

		if (clients[i].busy != 0 && o->state == RUN && o->batch == batch_number)
			o->state = ASKED_WRITER;
	}
}

static void turn_writer(void)
{
	static enum fate met;
	uint32_t drawn = below(100);

	fate = drawn < 2 ? COMMIT_FAILS : drawn < 4 ? LOST_WITH_BATCH :
	       drawn < 6 ? LOST_BEHIND_BATCH : WELL;
	met = fate;
	store_failed = false;
	if (fate == COMMIT_FAILS || fate == LOST_WITH_BATCH)
		saved = present;
	batch_number++;
	if (setjmp(crash) != 0) {
		fate = WELL;
		if (met == LOST_WITH_BATCH)
			undo_batch();
		else
			committed = batch_number;
		audits_due = 0;         /* its lines went with it */
		lose_all();
		if (below(3) == 0)
			start_all();
		else
			start_writer();
		return;
	}
	make_date(&writer);
	for (uint32_t i = 0; i < FRONTS; i++)
		writer.fronts[i].ready = !writer.fronts[i].full;
	run_batch(&writer);
	if (fate == COMMIT_FAILS && store_failed)
		undo_batch();
	else
		committed = batch_number;
	HOLDS(audits_due == 0, "(I11) %llu lines are missing", (unsigned long long)audits_due);
	fate = WELL;
	refuse_failed(&writer);
	send_answers(&writer);
	send_questions(&writer);
}

static void turn_sweep(void)
{
	do
		sweep(&writer, KEEP_IDLE_S);
	while (writer.sweep_again);
	HOLDS(clock_now_s(&writer.clock) >= last_writer_s &&
	      clock_now_s(&writer.clock) >= last_kept_s, "(I8) the writer's time goes back");
	last_writer_s = clock_now_s(&writer.clock);
	model_sweep(&present, last_writer_s);
}

/* --- The whole store, walked over. --- */

static struct kv *walked;
static struct basket found_basket;

static uint64_t count_kind(char kind)
{
	struct record_key place = { .bytes = { (uint8_t)kind }, .len = 1 };
	struct slice key, value;
	uint64_t count = 0;

	while (kv_scan(walked, (struct slice){ &kind, 1 }, slice_bytes(place.bytes, place.len),
	               &key, &value) == KV_OK) {
		count++;
		memcpy(place.bytes, key.ptr, key.len);
		place.len = key.len;
	}
	return count;
}

static bool stands(struct slice key)
{
	struct slice value;

	return kv_get(walked, key, &value) == KV_OK;
}

static void compare_session(const uint8_t key[MODEL_NAME], const struct session_record *s,
                            uint64_t *due, uint64_t *kept)
{
	const struct model_session *m = model_session(&present, key);
	const struct model_customer *c = m != NULL ? model_customer(&present, m->customer) : NULL;
	const struct model_basket *b;
	struct record_key place, of;
	struct slice json;
	char text[40];

	HOLDS(m != NULL, "(I6) a session that is nobody's, via %d, ends at %llu", s->via,
	      (unsigned long long)s->expires_s);
	HOLDS((int)m->via == s->via && m->customer == s->customer_id &&
	      m->expires_s == s->expires_s && m->created_s == s->created_s &&
	      slice_eq(s->guest_id, slice_of(m->guest)),
	      "(I6) a session: via %d, not %d; of %llu, not %llu; ends at %llu, not %llu", s->via,
	      (int)m->via, (unsigned long long)s->customer_id, (unsigned long long)m->customer,
	      (unsigned long long)s->expires_s, (unsigned long long)m->expires_s);
	HOLDS(s->basket_id == (c != NULL ? c->basket : m->basket), "(I3) a session's basket");
	b = s->customer_id == 0 ? model_basket(&present, s->basket_id) : NULL;
	HOLDS(b == NULL || same_name(b->guest, key), "(I3) basket %llu is two sessions'",
	      (unsigned long long)s->basket_id);
	HOLDS(stands(record_owner_key(&place, s->customer_id, s->created_s, key)),
	      "(I7) a session is not in its owner's list");
	HOLDS(s->due_s <= s->expires_s && stands(record_sweep_key(&place, s->due_s,
	                                                         record_session_key(&of, key))),
	      "(I7) the sweep does not come by a session");
	++*due;
	if (kv_get(walked, record_data_key(&place, key), &json) != KV_OK) {
		HOLDS(m->data < 0, "(I6) the data of a session is gone");
		return;
	}
	++*kept;
	snprintf(text, sizeof text, "{\"v\":%lld}", (long long)m->data);
	HOLDS(record_data_read(json, &json) && slice_eq(json, slice_of(text)),
	      "(I6) a session's data is not %s", text);
}

static uint64_t compare_sessions(uint64_t *due)
{
	struct record_key after = { .len = 0 };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record s;
	uint64_t count = 0, kept = 0, expected = 0;

	for (; session_next(walked, &after, key, &s) == KV_OK; count++)
		compare_session(key, &s, due, &kept);
	for MODEL_EACH(m, present.sessions)
		expected += m->via != NOT_THERE;
	HOLDS(count == expected, "(I6) %llu sessions, not %llu", (unsigned long long)count,
	      (unsigned long long)expected);
	HOLDS(count_kind(RECORD_OWNER) == count, "(I7) owners' lists");
	HOLDS(count_kind(RECORD_DATA) == kept, "(I6) data of no session");
	return count;
}

static void compare_lines(const struct model_basket *m)
{
	HOLDS(found_basket.line_count == m->count, "(I6) basket %llu has %u lines, not %u",
	      (unsigned long long)m->id, found_basket.line_count, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct basket_line *l = &found_basket.lines[i];

		HOLDS(l->id == m->lines[i].id && l->quantity == m->lines[i].quantity &&
		      slice_eq(l->product, slice_of(model_products[m->lines[i].product].id)),
		      "(I6) line %llu of basket %llu", (unsigned long long)l->id,
		      (unsigned long long)m->id);
	}
}

static void compare_basket(uint64_t id, uint64_t *due, uint64_t *owned)
{
	const struct basket *b = &found_basket;
	struct model_basket *m = model_basket(&present, id);
	struct record_key place, of;
	const uint64_t *open;

	HOLDS(m != NULL, "(I6) basket %llu should be gone", (unsigned long long)id);
	HOLDS(b->customer_id == m->customer && same_name(b->guest, m->guest) &&
	      b->carried == m->carried && b->expires_s == m->expires_s &&
	      b->status == (m->merged ? BASKET_MERGED : BASKET_OPEN),
	      "(I6) basket %llu: of %llu, not %llu; ends at %llu, not %llu; carried %d, not %d",
	      (unsigned long long)id, (unsigned long long)b->customer_id,
	      (unsigned long long)m->customer, (unsigned long long)b->expires_s,
	      (unsigned long long)m->expires_s, b->carried, m->carried);
	compare_lines(m);
	open = m->merged ? NULL : model_open_of(&present, m);
	HOLDS(open == NULL || *open == id || m->expires_s <= ever_s,
	      "(I3) the owner of basket %llu, customer %llu, has %llu: ends at %llu, now %llu",
	      (unsigned long long)id, (unsigned long long)m->customer, (unsigned long long)*open,
	      (unsigned long long)m->expires_s, (unsigned long long)ever_s);
	HOLDS(b->due_s <= b->expires_s &&
	      stands(record_sweep_key(&place, b->due_s, record_basket_key(&of, id))),
	      "(I7) the sweep does not come by basket %llu", (unsigned long long)id);
	++*due;
	*owned += b->customer_id != 0;
	HOLDS(b->customer_id == 0 || stands(record_baskets_of_key(&place, b->customer_id, id)),
	      "(I7) basket %llu is not in its owner's list", (unsigned long long)id);
}

static void compare_baskets(uint64_t *due)
{
	uint64_t id = 0, count = 0, expected = 0, owned = 0;

	for (; basket_next(walked, &id, &found_basket) == KV_OK; count++)
		compare_basket(id, due, &owned);
	for MODEL_EACH(b, present.baskets)
		expected += b->id != 0;
	HOLDS(count == expected, "(I6) %llu baskets, not %llu", (unsigned long long)count,
	      (unsigned long long)expected);
	HOLDS(count_kind(RECORD_BASKETS_OF) == owned, "(I7) lists of baskets");
}

static void compare_customers(void)
{
	uint64_t count = 0;

	for MODEL_EACH(c, present.customers) {
		struct customer_record r;
		char login[8];

		snprintf(login, sizeof login, "c%u", (unsigned)(c - present.customers));
		HOLDS((customer_find(walked, slice_of(login), &r) == KV_OK) == (c->id != 0),
		      "(I7) the login %s", login);
		if (c->id == 0)
			continue;
		count++;
		HOLDS(r.id == c->id && ((r.flags & CUSTOMER_DISABLED) != 0) == c->disabled,
		      "(I6) customer %s", login);
		HOLDS(r.basket_id == c->basket, "(I3) the basket of customer %s", login);
		HOLDS(model_count_of(&present, c->id) <= MODEL_SESSIONS_EACH,
		      "customer %s has too many sessions", login);
	}
	HOLDS(count_kind(RECORD_CUSTOMER) == count && count_kind(RECORD_LOGIN) == count,
	      "(I6) another number of customers");
}

static void compare_keys(void)
{
	for MODEL_EACH(k, present.keys) {
		uint8_t digest[RECORD_DIGEST_LEN];
		struct client_record r;
		char name[8];

		snprintf(name, sizeof name, "key%u", (unsigned)(k - present.keys));
		HOLDS(client_find_name(walked, slice_of(name), digest, &r) == KV_OK &&
		      ((r.flags & CLIENT_REVOKED) != 0) == k->revoked &&
		      ((r.flags & CLIENT_DISABLED) != 0) == k->disabled, "(I6) API key %s", name);
	}
	HOLDS(count_kind(RECORD_CLIENT) == MODEL_KEYS + 2 + present.revoked_keys,
	      "(I6) another number of API keys");
}

static void walk(void)
{
	uint64_t due = 0, replays = 0, kept_s = 0;
	struct record_key place;
	struct slice value;

	walked = &fronts[0].kv;
	HOLDS(kv_refresh(walked) == KV_OK, "no snapshot");
	walks++;
	compare_sessions(&due);
	compare_baskets(&due);
	compare_customers();
	compare_keys();
	for MODEL_EACH(r, present.replays)
		replays += r->due_s != 0;
	HOLDS(count_kind(RECORD_REPLAY) == replays, "(I6) another number of replays");
	HOLDS(count_kind(RECORD_SWEEP) == due + replays, "(I7) another number of what is due");
	if (kv_get(walked, record_meta_key(&place, "now_s"), &value) == KV_OK)
		HOLDS(record_number_read(value, &kept_s), "the kept time");
	HOLDS(kept_s >= last_kept_s, "(I8) the store's time goes back by %llu s",
	      (unsigned long long)(last_kept_s - kept_s));
	last_kept_s = kept_s;
}

/* (I12) in a process of its own: one process opens one store. */
static void run_check(void)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(127);
		execl("/proc/self/exe", "test_simulate", "check", dir, (char *)NULL);
		_exit(127);
	}
	HOLDS(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
	      "(I12) sidecart check finds something");
}

static int checked(const char *data)
{
	static struct command_line l;

	config_defaults(&l.config);
	snprintf(l.config.data, sizeof l.config.data, "%s", data);
	return command_check(&l);
}

/* --- Time, and what operators do beside the server. --- */

/* To the second where something ends that somebody can show, or just before or behind; he does. */
static const struct proof *ending;

static uint64_t to_an_end_us(void)
{
	const struct proof *p = &seen[below(PROOFS_KEPT)];
	const struct model_session *s = model_session(&present, p->name);
	uint64_t end_us = s != NULL ? (s->expires_s - 1 + below(3)) * 1000000 : 0;

	if (end_us <= wall_us || end_us - wall_us > UINT64_C(8) * 86400 * 1000000)
		return 1000;
	ending = p;
	return end_us - wall_us;
}

static void turn_time(void)
{
	uint32_t drawn = below(1000);
	uint64_t by_ms;

	if (drawn < 830)
		by_ms = 1 + below(1500);
	else if (drawn < 950)
		by_ms = 1000 * (1 + below(600));
	else if (drawn < 982)
		by_ms = to_an_end_us() / 1000;
	else if (drawn < 994)
		by_ms = 1000 * (1 + below(86400));
	else
		by_ms = 1000 * (1 + below(3 * 604800));
	wall_us += by_ms * 1000;
	ran_us += by_ms * 1000;
	if (below(300) == 0)
		wall_us -= UINT64_C(1000000) * (1 + below(604800));     /* set back, */
	if (below(2000) == 0)
		wall_us += UINT64_C(1000000) * (1 + below(86400));      /* or forward */
}

static void put_product(uint32_t product)
{
	const struct product_record r = {
		.id = slice_of(model_products[product].id), .currency = SLICE("EUR"),
		.name = slice_of(model_products[product].id),
		.price_e4 = model_products[product].cents * 100,
		.tax_rate_e6 = (uint32_t)model_products[product].rate_e6,
		.stock = present.stock[product], .max_quantity = UINT32_MAX,
	};
	enum kv_status status;

	HOLDS(product_put(store, &r, &status) == PRODUCT_OK, "a product is refused");
}

static void add_token_key(uint64_t now_s)
{
	uint8_t random[TOKEN_RANDOM_LEN];
	char bytes[TOKEN_RECORD_MAX];
	struct buf record = BUF(bytes);
	struct token_key_record r;

	for (size_t i = 0; i < sizeof random; i++)
		random[i] = (uint8_t)below(256);
	HOLDS(token_generate(&record, TOKEN_HS256, seal_key, random) &&
	      record_token_key_read(buf_slice(&record), &r) &&
	      token_add(store, &r, now_s, 0) == KV_OK, "a new key of the ring");
}

/* As commands do: another stock. */
static void turn_commands(void)
{
	uint32_t product = below(MODEL_PRODUCTS);

	if (disk_full || below(40) != 0)
		return;
	HOLDS(kv_begin(store) == KV_OK, "no batch");
	present.stock[product] = below(30);
	put_product(product);
	HOLDS(kv_commit(store) == KV_OK, "a command's commit");
}

/* --- A turn. --- */

static uint32_t draw_kind(uint32_t by)
{
	uint32_t all = 0, drawn;

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		all += (kinds[i].by & by) != 0 ? kinds[i].weight : 0;
	drawn = below(all);
	for (uint32_t i = 0;; i++) {
		uint32_t weight = (kinds[i].by & by) != 0 ? kinds[i].weight : 0;

		if (drawn < weight)
			return i;
		drawn -= weight;
	}
}

static uint32_t kind_that(void (*asks)(struct op *o))
{
	uint32_t i = 0;

	while (kinds[i].ask != asks)
		i++;
	return i;
}

/* What the client shows; somebody who looks around shows what he has found somewhere. */
static void draw_proof(struct op *o)
{
	o->proof = clients[o->client].proof;
	o->proof.key = o->proof.kind == BEARER ? o->proof.key : -1;
	if (o->client < HEADERS) {
		if (below(24) == 0)
			o->proof.auth = !o->proof.auth;
		sid_name(o->proof.text, o->proof.auth ? SID_AUTH : SID_ANON, o->proof.name);
		use_key(o, (int)(o->client % SHOP_KEY));
	}
	if (o->client == OPERATOR && kinds[o->kind].ask != ask_introspect &&
	    kinds[o->kind].ask != ask_revoke && kinds[o->kind].is != OPS)
		o->proof = ending != NULL ? *ending : seen[below(PROOFS_KEPT)];
}

static struct op *new_op(uint32_t client)
{
	struct op *o = &ops[++op_count % OPS_KEPT];

	HOLDS(o->state == ENDED || o->number == 0, "an operation is forgotten");
	memset(o, 0, offsetof(struct op, text));
	o->number = op_count;
	o->client = client;
	o->proof.key = -1;
	return o;
}

/* The same again, where nobody knows what became of it. */
static bool repeat(struct op *o, const struct client *c)
{
	const struct op *before = &ops[c->lost % OPS_KEPT];
	uint64_t number = o->number;

	if (c->lost == 0 || before->number != c->lost || before == o || below(2) == 0)
		return false;
	*o = *before;
	o->number = number;
	o->state = RUNNING;
	o->batch = 0;
	return true;
}

static void turn_client(uint32_t client)
{
	static const uint32_t by[] = { BY_SHOPS, BY_PAGES, BY_TOKENS, BY_OPERATORS };
	struct client *c = &clients[client];
	uint32_t group = client < HEADERS ? 0 : client < HEADERS + BROWSERS ? 1 :
	                 client < OPERATOR ? 2 : 3;
	struct op *o;

	if (c->busy != 0)
		return;
	o = new_op(client);
	c->busy = o->number;
	if (!repeat(o, c)) {
		o->kind = ending != NULL && client == OPERATOR ? kind_that(ask_look) :
		          draw_kind(by[group]);
		draw_proof(o);
		if (kinds[o->kind].is == DW && o->proof.kind != BEARER &&
		    (kinds[o->kind].ask == ask_refresh || kinds[o->kind].ask == ask_bridge ||
		     kinds[o->kind].ask == ask_token_end))
			o->kind = kind_that(ask_guest);
		if (kinds[o->kind].ask == ask_of_dwsid && c->dwsid.kind != DWSID)
			o->kind = kind_that(ask_credentials);
		kinds[o->kind].ask(o);
	}
	c->lost = 0;
	o->front = below(FRONTS - 1);
	tell_time(&fronts[o->front], o->front);
	run_in_front(o);
}

/* (I9) Somebody looks whose front's snapshot is an old one. */
static void turn_late(void)
{
	struct op *o;

	if (below(12) == 0) {
		HOLDS(kv_refresh(&fronts[LATE].kv) == KV_OK, "no snapshot");
		late = present;
	}
	o = new_op(OPERATOR);
	o->front = LATE;
	o->kind = kind_that(below(2) == 0 ? ask_look : ask_resolve);
	draw_proof(o);
	kinds[o->kind].ask(o);
	shop = &late;
	tell_time(&fronts[LATE], LATE);
	run_in_front(o);
	shop = &present;
}

static void turn(void)
{
	uint32_t asking = 1 + below(8);

	turn_time();
	if (ending != NULL)
		turn_client(OPERATOR);
	ending = NULL;
	for (uint32_t i = 0; i < asking; i++)
		turn_client(below(4) == 0 ? OPERATOR : below(CLIENTS));
	if (below(6) == 0)
		turn_late();
	turn_writer();
	turn_hasher();
	deliver_all();
	turn_commands();
	if (below(10) == 0)
		turn_sweep();
	if (below(200) == 0)
		disk_full = !disk_full;
	if (disk_full && below(30) == 0)
		disk_full = false;
}

/* --- A run. --- */

static void set_up_config(void)
{
	config_defaults(&config);
	config.workers = FRONTS;
	config.hashers = 1;
	config.map_bytes = MAP_BYTES;
	config.sid_trust = SID_TRUST_KEY;
	config.password_iterations = ITERATIONS;
	config.login_throttle.count = config.login_throttle_address.count = 0;
	config.max_sessions_per_customer = MODEL_SESSIONS_EACH;
	config.session_ttl_s = MODEL_SESSION_TTL_S;
	config.session_max_s = MODEL_SESSION_MAX_S;
	config.anon_ttl_s = MODEL_ANON_TTL_S;
	config.basket_ttl_s = MODEL_BASKET_TTL_S;
	config.empty_basket_ttl_s = MODEL_EMPTY_TTL_S;
	config.token_ttl_s = MODEL_TOKEN_TTL_S;
	config.max_lines = MODEL_LINES;
	config.max_quantity = MODEL_QUANTITY;
}

static void add_key(const char *name, const char *text, uint32_t mask)
{
	const struct client_record r = { .name = slice_of(name), .scopes = mask,
	                                 .created_s = START_US / 1000000 };
	enum kv_status status;

	HOLDS(client_add(store, slice_of(text), &r, &status) == CLIENT_ADDED, "key %s", name);
}

static void add_customer(uint32_t number)
{
	static const uint8_t salt[16] = { 1 }, nonce[12] = { 0 };
	char login[8], password[16], hash_text[PASSWORD_HASH_MAX], sealed[PASSWORD_SEALED_MAX];
	struct buf hash = BUF(hash_text), seal = BUF(sealed);
	struct customer_record r = { .id = present.next_customer };
	enum kv_status status;

	snprintf(login, sizeof login, "c%u", number);
	snprintf(password, sizeof password, "word-%u", number % PASSWORDS);
	password_make(&hash, slice_of(password), ITERATIONS, salt);
	password_seal(&seal, seal_key, nonce, r.id, buf_slice(&hash));
	r.login = slice_of(login);
	r.sealed_password = buf_slice(&seal);
	HOLDS(customer_add(store, &r, &status) == CUSTOMER_OK, "customer %s", login);
	present.customers[number] = (struct model_customer){ .id = present.next_customer++,
		                                             .password = number % PASSWORDS };
}

/* What is there from the beginning on. */
static void fill_store(void)
{
	static const uint32_t masks[] = { SCOPE_SHOP | SCOPE_TRUSTED, SCOPE_SHOP,
		                          SCOPE_TRUSTED | SCOPE_LOGIN };
	char name[16], text[32];

	HOLDS(kv_begin(store) == KV_OK, "no batch");
	present = (struct model){ .next_customer = 1, .next_basket = 1, .next_line = 1 };
	for (uint32_t i = 0; i < MODEL_CUSTOMERS - 2; i++)
		add_customer(i);
	for (uint32_t i = 0; i < MODEL_PRODUCTS; i++) {
		present.stock[i] = 10 + 3 * i;
		put_product(i);
	}
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		snprintf(name, sizeof name, "key%u", i);
		snprintf(text, sizeof text, "%s-%u-1", key_word((int)i), i);
		add_key(name, text, masks[i == LOGIN_KEY ? 2 : i >= SHOP_KEY ? 1 : 0]);
		present.keys[i].number = known_keys[i] = next_keys[i] = 1;
	}
	add_key("admin", "admin", SCOPE_ADMIN);
	add_key("resolve", "resolve", SCOPE_RESOLVE);
	add_token_key(START_US / 1000000);
	HOLDS(kv_commit(store) == KV_OK, "the first commit");
	late = present;
}

static void set_up_fronts(void)
{
	for (uint32_t i = 0; i < FRONTS; i++) {
		struct front_process *f = &fronts[i];
		struct identity_memo *memo = f->memo;

		if (memo == NULL)
			assert_non_null(memo = aligned_alloc(64, sizeof *memo));
		memset(memo, 0, sizeof *memo);
		*f = (struct front_process){ .memo = memo, .link.fd = -1 };
		assert_true(link_open(&f->link));
		f->response = (struct http_response){ .fields = BUF(f->fields),
			                              .body = BUF(body_bytes) };
		f->call = (struct call){
			.config = &config, .sid_secret = SID_SECRET, .https = true, .memo = memo,
			.kv = &f->kv, .response = &f->response, .question = BUF(f->question),
		};
		assert_true(address_parse(SLICE("192.0.2.7"), &f->call.peer));
	}
}

static void set_up_clients(void)
{
	memset(clients, 0, sizeof clients);
	memset(ops, 0, sizeof ops);
	for (uint32_t i = 0; i < PROOFS_KEPT; i++)
		seen[i] = (struct proof){ .key = -1 };
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i].proof = clients[i].dwsid = (struct proof){ .key = -1 };
		if (i >= HEADERS)
			continue;
		clients[i].proof.kind = SESSION_ID;
		snprintf(clients[i].proof.text, sizeof clients[i].proof.text, "shopper+%u", i);
	}
}

static void set_up_run(void)
{
	const char *parent = getenv("TMPDIR");
	char path[300], error[SECRET_ERROR_MAX];
	static bool had;

	snprintf(dir, sizeof dir, "%s/simulate.XXXXXX", parent != NULL ? parent : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sid.secret", dir);
	assert_true(secret_create(dir, path, error) && secret_read_seal_key(dir, seal_key, error));
	wall_us = START_US;
	ran_us = 1000000;
	op_count = walks = batch_number = committed = audits_due = 0;
	last_kept_s = last_writer_s = ever_s = 0;
	memset(last_front_s, 0, sizeof last_front_s);
	fate = WELL;
	disk_full = store_failed = false;
	shop = &present;
	set_up_config();
	set_up_fronts();
	set_up_clients();
	writer.config = &config;
	if (!had) {
		assert_true(had_memory(&writer));
		writer.hashers[0] = (struct hasher){ -1, NOBODY };
	}
	had = true;
	open_store_of_all();
	fill_store();
	start_writer();
}

static void tear_down_run(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "sid.secret", "seal.key",
		                             "use" };
	char path[300];

	close_store_of_all();
	for (uint32_t i = 0; i < FRONTS; i++)
		link_leave(&fronts[i].link);
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

static uint64_t operations(void)
{
	const char *text = getenv("OPERATIONS");

	return text != NULL ? strtoull(text, NULL, 10) : OPERATIONS;
}

static void run_all(void)
{
	uint64_t walked_at = 0, checked_at = 0;

	set_up_run();
	while (op_count < op_limit) {
		turn();
		if (op_count >= walked_at + WALK_EACH) {
			walk();
			walked_at = op_count;
		}
		if (op_count >= checked_at + 100000) {
			run_check();
			checked_at = op_count;
		}
	}
	turn_sweep();
	walk();
	run_check();
	tear_down_run();
}

static void test_simulation(void **state)
{
	(void)state;
	op_limit = operations();
	while (torture_round()) {
		run_all();
		printf("seed %llu: %llu operations, %llu batches, %llu walks\n",
		       (unsigned long long)torture_seed, (unsigned long long)op_count,
		       (unsigned long long)batch_number, (unsigned long long)walks);
		fflush(stdout);
	}
}

/* In a process of its own, with seed 1: tells after how many operations it was found. */
static bool is_found(enum fault planted, char *told, size_t cap)
{
	int ends[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		found_fd = ends[1];
		fault = planted;
		torture_seed = torture_state = 1;
		op_limit = FAULT_OPERATIONS;
		run_all();
		_exit(0);
	}
	close(ends[1]);
	len = read(ends[0], told, cap - 1);
	told[len > 0 ? len : 0] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

static void test_planted_faults(void **state)
{
	static const char *const names[FAULTS] = {
		[END_DROPPED] = "an end of a session is dropped",
		[ANSWER_BEFORE_COMMIT] = "answers leave before the commit",
		[EXPIRY_OFF_BY_ONE] = "sessions live a second too long",
		[MERGE_LOSES_A_LINE] = "a merge loses a line",
		[MEMO_IS_STALE] = "a memo outlives its snapshot",
		[CLOCK_FORGETS] = "the kept time is not followed",
		[SNAPSHOT_IS_OLD] = "a snapshot is not renewed",
		[SWEEP_IS_EARLY] = "the sweep comes a second too early",
		[REPLAY_FORGOTTEN] = "an Idempotency-Key is forgotten",
		[REVOKED_KEY_WORKS] = "a revoked API key works",
		[BASKET_LEFT] = "a basket is left behind",
		[FULL_IS_IGNORED] = "a full disk is not looked at",
		[AUDIT_OF_LOST] = "a line is logged for what failed",
	};
	char told[256];

	(void)state;
	if (SANITIZED)          /* `make simulation` shows it */
		skip();
	for (int i = NO_FAULT + 1; i < FAULTS; i++) {
		bool found = is_found((enum fault)i, told, sizeof told);

		printf("fault: %s: %s%s\n", names[i], found ? "found after " : "NOT FOUND", told);
		fflush(stdout);
		assert_true(found);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_faults),
		cmocka_unit_test(test_simulation),
	};

	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return checked(argv[2]);
	return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
