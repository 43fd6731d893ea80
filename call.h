/* call.h -- what a handler is given, and what it gives back.
 *
 * A handler never blocks, reads the clock, draws randomness, touches a socket, or keeps
 * state between calls; it may be run again from the start at any time. Its only effects are
 * its response and its puts (DESIGN, section 3). Hence the rules:
 *  (1) validate first, put last: a 4xx or 5xx answer keeps no put;
 *  (2) whatever a store call answers but KV_OK and KV_NOT_FOUND is handed up with
 *      `return call_store(c, status)`;
 *  (3) what takes long is asked for with call_ask().
 */
#ifndef CALL_H
#define CALL_H

#include "basket.h"
#include "config.h"
#include "http.h"
#include "identity.h"
#include "kv.h"
#include "throttle.h"
#include "token.h"

enum call_result {
	CALL_DONE,      /* c->response is the answer */
	CALL_ASK,       /* c->question waits for an answer: run again when it is there */
	CALL_STORE,     /* c->store_status says why the store could not answer */
};

enum call_question_kind {
	ASK_PASSWORD = 1,
	ASK_HASH,
	ASK_TOKEN_KEY,
	ASK_SIGNATURE,
	ASK_VERDICT,
};

#define CALL_FIELDS_MAX 16384           /* bytes of a response's fields, */
#define CALL_BODY_MAX   (1048576 - CALL_FIELDS_MAX - HTTP_FRAME_MAX)    /* and of its body; an
                                         * answer that is longer is a bare 500 */

#define CALL_PASSWORDS_MAX 3    /* of users whose login or e-mail address may be meant */
#define CALL_ASKS_MAX      6    /* a token proven, passwords, a new key of the ring, a signature */
#define CALL_ARGS_MAX      3
#define CALL_PATH_MAX      256  /* bytes of a path, decoded; none that is longer is known */
#define CALL_QUESTION_MAX  8192
#define CALL_ANSWER_MAX    512

/* An answer that came back from a hasher; it counts only for a byte-equal question. */
struct call_answer {
	uint8_t kind;                   /* enum call_question_kind */
	struct slice question, answer;
};

#define CALL_AUDIT_MAX 256      /* bytes of an audit line: event and fields */

struct call {
	/* Handed in, the same at every run of one request. */
	const struct config *config;
	struct slice sid_secret;
	const struct http_request *request;
	struct address peer;
	bool https;                     /* the connection is TLS */
	struct kv *kv;
	uint64_t now_us;                /* Unix time, microseconds */
	uint8_t random[32];             /* see call_random() */
	struct throttle *throttle;      /* of this process: logins in the writer */
	struct identity_memo *memo;     /* or NULL */
	const char *not_ready;          /* why this process cannot serve yet, or NULL */
	const struct call_answer *answers;
	size_t answer_count;
	/* Worked out before the handler runs (route.c). */
	struct identity identity;
	uint64_t basket_cookie;         /* the basket whose cookie the answer sets; 0: none */
	bool basket_cookie_stale;       /* the cookie that came leads nowhere: to be deleted */
	const char *allow;              /* the route's methods, as an Allow field has them */
	struct slice arg[CALL_ARGS_MAX];        /* the path's segments that the route leaves open,
	                                         * decoded: in the request or in `path` */
	char path[CALL_PATH_MAX];
	/* Handed out. */
	struct http_response *response;
	enum kv_status store_status;
	uint8_t question_kind;
	struct buf question;            /* over memory of the process's, CALL_QUESTION_MAX */
	char audit[CALL_AUDIT_MAX];     /* what call_audit() has left; or empty */
};

typedef enum call_result call_handler(struct call *c);

static inline uint64_t call_now_s(const struct call *c)
{
	return c->now_us / 1000000;
}

/* Further random bytes for `label`, expanded from c->random (HKDF, RFC 5869, section 2.3): of
 * one request each label gives its own, at every run the same. */
void call_random(const struct call *c, const char *label, uint8_t *out, size_t len);

/* Hands a store failure up. */
enum call_result call_store(struct call *c, enum kv_status status);

/* True with `*answer` where the question in c->question was answered already; false: return
 * CALL_ASK now. Fill c->question first (call_question_begin() empties it). */
void call_question_begin(struct call *c, enum call_question_kind kind);
bool call_ask(struct call *c, struct slice *answer);

/* RFC 9457 problem document: {"type":"about:blank","title":...,"status":...,"detail":...};
 * `code`, where not NULL, is a member `code` for programs. */
enum call_result call_problem(struct call *c, enum http_status status, const char *code,
                              const char *detail);

/* What the log is to say of this request (requirement D09): the writer writes it once the puts
 * are on disk, and not where the answer is 4xx or 5xx. The last of several counts. `fmt` gives
 * the fields as log_event() has them; `key=NAME`, of the key that asked, stands in front. */
void call_audit(struct call *c, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of what begins or ends a customer's session. */
void call_audit_session(struct call *c, const char *event, uint64_t customer_id,
                        const uint8_t key[RECORD_SESSION_KEY_LEN], enum record_via via);

/* Adds Session-Id, as `type`; for requests whose identity has_sid. */
void call_put_session_id(struct call *c, enum sid_type type);

/* Session-Id as it came and `Vary: Session-Id`, where the request carried a valid one. A
 * problem document brings them along. */
void call_put_echo(struct call *c);

/* The session that a login starts. */
struct call_login {
	uint8_t via;                            /* enum record_via */
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char id[SESSION_ID_CHARS];              /* of the cookie, via cookie, */
	char csrf[SESSION_ID_CHARS];            /* and the token of its session */
};

/* Makes it up: with a Session-Id its AUTH, else a cookie session with an id from c->random.
 * Puts Session-Id or cookies into the response. */
void call_begin_login(struct call *c, struct call_login *login);
/* The CSRF token of this request's session, in `out`, for a page that may know it and has lost
 * it: where its cookie did not come, or another one, the response sets it again. Absent of all
 * but a customer's cookie session. */
struct slice call_renew_csrf(struct call *c, char out[SESSION_ID_CHARS]);
/* Starts it for the customer: the guest's session of this request goes over into it, and his
 * basket is merged into the customer's (setting basket_merge); X-Basket-Merge tells what did not
 * fit. */
enum kv_status call_log_in(struct call *c, const struct call_login *login,
                           uint64_t customer_id);

/* Ends the session of this request, if it has one, and has the browser forget its cookie. A
 * guest's basket goes with it. */
enum kv_status call_log_out(struct call *c);

/* The open basket of who this request is from: a customer's, that of a guest's session, or the
 * one that the basket cookie names (setting basket_cookie; requests without Session-Id). Where
 * cookie and session name two, the session's is merged into the cookie's. KV_NOT_FOUND: he has
 * none, and `make` is false. With `make` one is made, and a guest's session or a cookie that
 * leads to it. Moves the basket's expiry where that is due. */
enum kv_status call_open_basket(struct call *c, bool make, struct basket *b);

enum call_access {
	CALL_ALLOWED,
	CALL_FORBIDDEN,         /* 403: somebody else's */
	CALL_ABSENT,            /* 404: there is none, or it is no longer a shopper's to see */
	CALL_UNREADABLE,        /* c->store_status says why the store could not answer */
};

/* Loads basket `id` and judges access to it, for every path that names one. The owner may have
 * what is Open or Saved. An API key of scope `trusted` may have what is Frozen or Submitted too,
 * as its owner or, where the request names no shopper at all (no Bearer or cookie, and no
 * Session-Id, be it malformed), of anybody: an order system (docs/checkout.md). What is Merged
 * nobody may have. */
enum call_access call_basket(struct call *c, uint64_t id, struct basket *b);
/* The same with its answers: `absent` and `forbidden` write theirs, c->response is the store's.
 * False: return `*result`. */
bool call_may(struct call *c, uint64_t id, struct basket *b, call_handler *absent,
              call_handler *forbidden, enum call_result *result);

/* Puts a basket, and has its owner refer to it, or no longer, by its status. */
enum kv_status call_put_basket(struct call *c, struct basket *b, bool changed);
enum kv_status call_delete_basket(struct call *c, const struct basket *b);
/* The open basket of the owner of `b`, where it is another; KV_NOT_FOUND: he has no other. */
enum kv_status call_other_open(struct call *c, const struct basket *b, struct basket *other);

/* True where a basket cookie came that counts: none does beside a Session-Id. `*id` is 0 where
 * its signature is not ours. */
bool call_basket_cookie(const struct call *c, uint64_t *id);
/* Writes what the basket cookie needs into an answer that holds; after the handler. */
void call_put_basket_cookie(struct call *c);

/* Who asks, for another session of his: a customer, or a guest of OCAPI. False: neither. */
bool call_owner(const struct call *c, struct session_owner *who);
/* A new guest of OCAPI. There is nothing of him until his first session starts. */
void call_make_guest(const struct call *c, struct session_owner *who);
/* Who `who` is to OCAPI: the customer_id, in `out`. */
struct slice call_customer_id(const struct call *c, const struct session_owner *who,
                              char out[RECORD_GUEST_ID_LEN]);

#define CALL_TOKEN_MAX 1024             /* bytes of a shopper's token */

/* Starts a session and writes the token that shows it (settings token_alg, token_ttl), made for
 * the OCAPI client of the request (identity.client_id). CALL_DONE: it is there. What else comes
 * is the handler's result. Whether a customer may log in is judged before. */
enum call_result call_start_token(struct call *c, const struct session_owner *who,
                                  struct buf *token);

/* Starts a session that the cookie `dwsid` shows, and writes that, SESSION_DWSID_CHARS. `key`
 * is the session's, for its dwsecuretoken. The cookies are the caller's to set. */
enum kv_status call_start_dwsid(struct call *c, const struct session_owner *who,
                                struct buf *dwsid, uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Sets the cookie, or with an empty value deletes it: `Path=/; HttpOnly`, and where HTTPS is
 * enforced `Secure; SameSite=None`. */
void call_put_dwsid(struct call *c, struct slice dwsid);

/* Starts a guest's session where the request has none that could keep something: under its
 * Session-Id, or with a new cookie. `key` is the one to keep things under: of a guest of OCAPI
 * his root's. */
enum kv_status call_keep_guest(struct call *c, uint8_t key[RECORD_SESSION_KEY_LEN]);

/* The questions, as handlers write and the hasher reads them.
 *
 * ASK_PASSWORD: iterations(4, little-endian) customer id(8) sealed length(2) sealed password.
 * The answer: verdict(1), then a new sealed hash where the stored one had fewer iterations.
 * ASK_TOKEN_KEY: the algorithm(1). The answer: a record without times (token.h).
 * ASK_SIGNATURE: digest(32), then the record of an ES256 key. The answer: r and s, or nothing
 * where the seal is broken.
 * ASK_VERDICT: algorithm(1) digest(32) exponent(4) length of the signature(2) signature, then
 * the key's bytes. The answer: 1 or 0. */
void call_password_question_write(struct buf *out, uint32_t iterations, uint64_t customer_id,
                                  struct slice sealed, struct slice password);
bool call_password_question_read(struct slice in, uint32_t *iterations, uint64_t *customer_id,
                                 struct slice *sealed, struct slice *password);
void call_signature_question_write(struct buf *out, const uint8_t digest[JWT_DIGEST_LEN],
                                   const struct token_key_record *key);
bool call_signature_question_read(struct slice in, const uint8_t **digest,
                                  struct token_key_record *key);
void call_verdict_question_write(struct buf *out, const struct jwt_key *key,
                                 const uint8_t digest[JWT_DIGEST_LEN], struct slice signature);
bool call_verdict_question_read(struct slice in, struct jwt_key *key, const uint8_t **digest,
                                struct slice *signature);

/* identify(), and where a token is yet to be proven, its signature checked by a hasher. CALL_DONE:
 * `*id` is there. What else comes is the handler's result; the token is unproven then. */
enum call_result call_identify(struct call *c, struct identity_question *q, struct identity *id);

/* A token to be made. */
struct call_token {
	enum token_alg alg;
	enum jwt_typ typ;
	struct slice claims;            /* a JSON object; its exp is `life_s` from now */
	uint32_t life_s;
};

/* Writes the token behind `out`, signed with the ring's key; where there is none yet, one is
 * made. CALL_DONE: it is there. What else comes is the handler's result. */
enum call_result call_sign(struct call *c, const struct call_token *token, struct buf *out);

/* Checks the signature of one of our tokens. CALL_DONE: `*verdict` is JWT_GOOD or says what is
 * wrong. What else comes is the handler's result. */
enum call_result call_check_token(struct call *c, const struct jwt *t, enum jwt_status *verdict);

/* Checks one with an ES256 or RS256 key of ours or of an issuer that is trusted. */
enum call_result call_verify(struct call *c, const struct jwt *t, const struct jwt_key *key,
                             enum jwt_status *verdict);

/* A new password's question: iterations(4) customer id(8) password; CALL_HASH_GIVEN for
 * iterations: it is a hash already, and only to be sealed. A seal is bound to its
 * customer's id, and others may be added while the hash is made: the answer is
 * CALL_HASHES_MADE seals of equal length, for that id and for those behind it. */
#define CALL_HASHES_MADE 4
#define CALL_HASH_GIVEN  0

void call_hash_question_write(struct buf *out, uint32_t iterations, uint64_t customer_id,
                              struct slice password);
bool call_hash_question_read(struct slice in, uint32_t *iterations, uint64_t *customer_id,
                             struct slice *password);

/* Asks for the seal of a new password, for the customer `id`. What was asked for while other
 * customers were added counts too, as far as its answer goes. False: return CALL_ASK. `*sealed`
 * is empty where it could not be made. */
bool call_ask_hash(struct call *c, uint32_t iterations, uint64_t id, struct slice password,
                   struct slice *sealed);

#endif
