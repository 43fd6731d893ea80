/* identity.h -- who is calling: API key, Session-Id, token, cookie; one answer for all surfaces.
 *
 * Resolved once per request, before its handler: the client's key, the Session-Id, the Bearer
 * token, and only where neither Session-Id nor Bearer came, the session's cookie, that of the
 * setting cookie_name before `dwsid`. On OCAPI's paths the client is who the token was made
 * for, else the client id of the request, and of cookies `dwsid` alone counts.
 * Of a token that is refused nobody learns why, but that it has expired, on OCAPI's paths.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <assert.h>

#include "config.h"
#include "http.h"
#include "session.h"
#include "sid.h"
#include "token.h"

enum identity_kind { IDENTITY_NONE, IDENTITY_GUEST, IDENTITY_CUSTOMER };

/* Why a request is refused before any handler runs. */
enum identity_refusal {
	IDENTITY_ADMITTED,
	IDENTITY_KEY_MISSING,   /* 403: gateway=on and no key */
	IDENTITY_KEY_BAD,       /* 403: unknown, disabled, expired, revoked, wrong source */
	IDENTITY_KEYS_DISAGREE, /* 400: Authorization and X-Api-Key hold two different keys */
	IDENTITY_SID_MALFORMED, /* 400, on /resolve 401 */
	IDENTITY_SID_UNTRUSTED, /* 403: the key has no scope `trusted` */
	IDENTITY_SID_REALM,     /* 403 */
	IDENTITY_SESSION_DEAD,  /* 401: AUTH without a live record */
	IDENTITY_TOKEN_DEAD,    /* 401 */
	IDENTITY_TOKEN_EXPIRED, /* 401: a token that nothing else is wrong with */
	IDENTITY_TOKEN_UNPROVEN,        /* 401; but a hasher may prove its signature: then ask
	                                 * again, with question.proven */
	IDENTITY_PROOFS_DISAGREE,       /* 400, on /resolve 401: Session-Id and Bearer are of two */
	IDENTITY_CLIENT_MISSING,        /* 400, OCAPI: no client id */
	IDENTITY_CLIENT_UNKNOWN,        /* 401, OCAPI: one that is no usable key of scope `shop`
	                                 * alone: client ids stand in URLs and tokens */
	IDENTITY_CSRF_ORIGIN,   /* 403: another site's page sent it */
	IDENTITY_CSRF_COOKIE,   /* 403: no CSRF cookie beside the session's */
	IDENTITY_CSRF_TOKEN,    /* 403: the token is missing or another session's */
	IDENTITY_REFUSALS
};

#define IDENTITY_SEEN_BITS  11  /* places: one for each hash of a text, so cut */
#define IDENTITY_SEEN_BYTES 138 /* where text and names are longer, they are looked up each time */
#define IDENTITY_WORTH_MAX  15

/* A Session-Id or cookie seen before. The key follows from its text for ever; the record is
 * good while the snapshot is the same one. Its cost are misses of the cache: it is whole
 * lines, and the record's names are copied into it, since the store's own would be one more.
 * The session of a token stands under its key in hexadecimal, as no header or cookie can. */
struct identity_seen {
	_Alignas(64) uint64_t snapshot; /* 0: the record is to be looked up */
	struct session_record session;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	uint8_t len;                    /* of the text; 0: empty */
	uint8_t worth;                  /* uses less attempts of others on the place */
	char bytes[IDENTITY_SEEN_BYTES];        /* the text, `SID:` to the end of the identifier
	                                         * or a cookie's id; then login and guest_id */
};
static_assert(sizeof(struct identity_seen) == 256, "four lines of the cache");

#define IDENTITY_CLIENT_ID_MAX 128      /* bytes; a longer key is no client id */
#define IDENTITY_TOKEN_BITS    10
#define IDENTITY_TOKEN_BYTES   784      /* a longer token is checked each time */

/* A token whose signature was found good, which it stays; whether its key is still in the ring
 * and its session alive is looked at each time. */
struct identity_token {
	_Alignas(64) uint64_t snapshot; /* its key is in the ring there; 0: to be looked up */
	uint64_t exp_s;
	uint16_t len;                   /* of the text; 0: empty */
	uint8_t worth;                  /* as identity_seen's */
	uint8_t client_id_len, kid_len;
	uint8_t key[RECORD_SESSION_KEY_LEN];
	char client_id[IDENTITY_CLIENT_ID_MAX];
	char kid[JWT_KID_MAX];
	char text[IDENTITY_TOKEN_BYTES];        /* compared whole */
};
static_assert(sizeof(struct identity_token) == 1024, "whole lines of the cache");

#define IDENTITY_SIGNED_BITS 12

/* A signature of a hasher's, for a token that is made again as long as it is the same. */
struct identity_signed {
	uint8_t digest[JWT_DIGEST_LEN]; /* of what was signed */
	uint8_t signature[JWT_ES256_LEN];
};

/* A front's memory of the last key seen, good while the snapshot is the same one, and of
 * Session-Ids and tokens: real traffic repeats itself. */
struct identity_memo {
	char text[64];
	size_t len;                     /* 0: empty */
	uint8_t digest[RECORD_DIGEST_LEN];
	uint64_t snapshot;              /* 0: the record is to be looked up again */
	struct client_record client;
	struct identity_seen seen[1 << IDENTITY_SEEN_BITS];
	struct identity_token tokens[1 << IDENTITY_TOKEN_BITS];
	struct identity_signed signatures[1 << IDENTITY_SIGNED_BITS];
};

/* What the client asked the proxy for, as far as one that is trusted tells of it (requirement
 * F06); empty where nothing does, or two fields differ. Nothing of it is decoded. */
struct identity_original {
	struct slice method, scheme, host, uri;
};

#define IDENTITY_TEXTS_MAX (RECORD_NAME_MAX + RECORD_TEXT_MAX + RECORD_ORIGINS_BYTES + \
                            RECORD_LOGIN_MAX + RECORD_GUEST_ID_LEN)

struct identity {
	enum identity_refusal refusal;
	enum identity_kind kind;
	enum record_via via;
	struct address address;         /* the client's, behind trusted proxies */
	bool forwarded;                 /* a trusted proxy named it */
	const struct client_record *client;             /* NULL: no usable key came */
	struct client_record client_found;              /* where `client` points without a memo */
	uint8_t client_digest[RECORD_DIGEST_LEN];
	uint32_t key_scopes;            /* of the API key that came: OCAPI's `client` is another */
	size_t client_id_len;           /* OCAPI's client id, or whom the token was made for */
	char client_id[IDENTITY_CLIENT_ID_MAX];
	bool bearer;                    /* a Bearer token came, */
	bool proven;                    /* and a hasher has checked its signature */
	bool secure_token;              /* OCAPI: the dwsid came with its dwsecuretoken, */
	bool secure_due;                /* which is to be noted: session_record.flags */
	bool has_sid;                   /* a valid Session-Id came: it is echoed */
	bool cookie_doubled;            /* the session's cookie came twice: it is none (K06) */
	enum sid_error sid_error;
	struct sid sid;
	bool trusted;                   /* the peer's X-Forwarded-* fields are believed */
	bool https;                     /* as far as is known */
	struct identity_original original;
	struct slice authority;         /* host and port as the client addressed them */
	struct slice host;              /* host name that the realm was compared with */
	uint8_t session_key[RECORD_SESSION_KEY_LEN];    /* kind guest and customer */
	bool recorded;                  /* the session has a record: */
	struct session_record session;  /* zeroed where it has none */
	                                /* basket_id: of a guest of OCAPI, his root's */
	bool cut;                       /* the session is still kept under cut_key: */
	uint8_t cut_key[RECORD_SESSION_KEY_LEN];        /* sid_grammar=migrate */
	bool renewal_due;               /* of the session's expiry or the key's used_s */
	char texts[IDENTITY_TEXTS_MAX]; /* of client_found and session, in the writer */
};

struct identity_question {
	const struct config *config;
	struct slice sid_secret;
	const struct http_request *request;
	const struct address *peer;     /* of the socket */
	bool https;                     /* it is TLS */
	struct kv *kv;
	uint64_t now_s;
	struct identity_memo *memo;     /* or NULL */
	bool ocapi;                     /* the path is one of OCAPI's */
	bool proven;                    /* the signature of the Bearer token is good */
};

/* The session that owns what who is calling has: the root of a guest of OCAPI, else his own. */
void identity_owner_key(const struct identity *id, struct slice sid_secret,
                        uint8_t key[RECORD_SESSION_KEY_LEN]);

/* The token behind `Bearer` in an Authorization field; absent where it holds none. */
struct slice identity_bearer(const struct http_request *r);

/* Before identify(), or in its place: nobody. */
void identity_clear(struct identity *id);

/* The address alone, of a request whose sender does not matter but for his rate. */
void identity_locate(const struct identity_question *q, struct identity *id);

/* Fills `*id` in place: strings of its records live over the puts that follow. KV_OK also for a
 * refusal; anything else: the store failed, and nothing may be concluded (requirement S16). */
enum kv_status identify(const struct identity_question *q, struct identity *id);

/* A request with this Session-Id is probably the next: where the memo would know it is brought
 * into the cache meanwhile. A wrong guess costs nothing else. */
void identity_expect(struct identity_memo *memo, struct slice text);

/* Remembers the signature of an ES256 token that was made here; and finds it again by the digest
 * of its signing input: in the memo, until the next is remembered. */
void identity_keep_signature(struct identity_memo *memo, struct slice token);
bool identity_signature(const struct identity_memo *memo, const uint8_t digest[JWT_DIGEST_LEN],
                        struct slice *signature);

/* True where the peer's X-Forwarded-* fields are believed. */
bool identity_peer_trusted(const struct config *config, const struct address *peer);

/* Judges a request that may change something (requirement K09), and sets id->refusal: one
 * without Session-Id or token needs an origin of ours, and with a customer's cookie the CSRF
 * token. */
void identity_judge_csrf(const struct identity_question *q, struct identity *id);

/* True for the origins whose pages may read answers (setting cors_origins). */
bool identity_origin_reads(const struct config *config, struct slice origin);

/* True for a page of the very host that was asked. */
bool identity_origin_is_own(const struct identity *id, struct slice origin);

/* True where the page that asks may know its session's CSRF token: one of this host, or of an
 * origin that is listed. */
bool identity_page_is_known(const struct config *config, const struct http_request *r,
                            const struct identity *id);

/* Under sid_grammar=migrate, moves a session that identify() found under the original's cut key
 * to the whole one, so that no neighbour, whose key was cut to the same, finds it any more. To
 * be called before a handler that looks at more than *id, which may be a front's: KV_READONLY
 * where there is something to move. */
enum kv_status identity_settle(const struct identity_question *q, struct identity *id);

/* Writes what identify() found due: the session's move, its renewal, the key's last use. */
enum kv_status identity_renew(const struct identity_question *q, struct identity *id);

/* "none", "guest", "customer"; "none", "header", "cookie" (a dwsid too), "token", "retired",
 * "guest". */
const char *identity_kind_text(enum identity_kind k);
const char *identity_via_text(enum record_via v);

#endif
