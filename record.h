/* record.h -- what is stored under a key, as versioned bytes; and the keys.
 *
 * A record is a fixed little-endian head, then its strings. The head begins with type
 * and major version; a reader refuses another type or major and skips bytes behind the
 * fields it knows, so that a newer binary may add fields and an older one still read.
 * Keys are one byte of kind and then bytes that sort as they should be listed: numbers
 * in keys are big-endian. What belongs to one owner stands under that owner's prefix.
 *
 * Memory  strings of a decoded record point into the bytes it was read from.
 * Errors  false: not such a record, or cut short. Nothing is half read.
 */
#ifndef RECORD_H
#define RECORD_H

#include "address.h"
#include "bytes.h"

#define RECORD_DIGEST_LEN 32            /* SHA-256 of an API key */
#define RECORD_SESSION_KEY_LEN 20       /* SHA-1 of a Session-Id */

/* Kinds of key: the first byte. */
enum record_kind {
	RECORD_SESSION    = 'S',        /* + session key, 20 */
	RECORD_DATA       = 'D',        /* + session key, 20 -> JSON of the session */
	RECORD_CUSTOMER   = 'C',        /* + customer id, 8 */
	RECORD_LOGIN      = 'L',        /* + login -> customer id, 8 */
	RECORD_CLIENT     = 'K',        /* + SHA-256 of the API key, 32 */
	RECORD_CLIENT_NAME = 'N',       /* + name -> digest, 32 */
	RECORD_OWNER      = 'O',        /* + customer id, 8, created s, 8, session key -> empty */
	RECORD_SWEEP      = 'X',        /* + due s, 8, key of the record -> empty */
	RECORD_META       = 'M',        /* + name -> number, 8 */
};

#define RECORD_KEY_MAX 511              /* LMDB's default limit */

/* A key under construction. */
struct record_key {
	uint8_t bytes[RECORD_KEY_MAX];
	size_t len;
};

struct slice record_session_key(struct record_key *k, const uint8_t key[RECORD_SESSION_KEY_LEN]);
struct slice record_data_key(struct record_key *k, const uint8_t key[RECORD_SESSION_KEY_LEN]);
struct slice record_customer_key(struct record_key *k, uint64_t id);
/* Absent where the login is empty or longer than RECORD_LOGIN_MAX. */
struct slice record_login_key(struct record_key *k, struct slice login);
struct slice record_client_key(struct record_key *k, const uint8_t digest[RECORD_DIGEST_LEN]);
struct slice record_client_name_key(struct record_key *k, struct slice name);
struct slice record_owner_prefix(struct record_key *k, uint64_t customer_id);
struct slice record_owner_key(struct record_key *k, uint64_t customer_id, uint64_t created_s,
                              const uint8_t key[RECORD_SESSION_KEY_LEN]);
struct slice record_sweep_key(struct record_key *k, uint64_t due_s, struct slice of);
struct slice record_meta_key(struct record_key *k, const char *name);

/* Takes an owner or sweep key apart; false where it is none. */
bool record_owner_key_read(struct slice key, uint64_t *customer_id, uint64_t *created_s,
                           const uint8_t **session_key);
bool record_sweep_key_read(struct slice key, uint64_t *due_s, struct slice *of);

/* How a session's owner shows it. */
enum record_via {
	VIA_NONE,
	VIA_HEADER,
	VIA_COOKIE,
	VIA_RETIRED,    /* a guest's cookie whose login went on to a new one: never renewed */
};

/* A session: a customer's, made at login, or a guest's, made when there is something to keep
 * (an anonymous session has no record before that). */
struct session_record {
	uint64_t expires_s;             /* Unix time; the earlier of idle and absolute end;
	                                 * RECORD_NEVER: no end */
	uint64_t due_s;                 /* where its sweep entry stands; RECORD_NEVER: nowhere */
	uint64_t customer_id;           /* 0: a guest's */
	uint64_t created_s;
	uint64_t used_s;                /* last renewal: when it was last seen, roughly */
	uint32_t epoch;                 /* the customer's at login: another one ends it */
	uint8_t via;                    /* enum record_via */
};

#define RECORD_NEVER UINT64_MAX
#define RECORD_DATA_MAX 4096            /* bytes of a session's JSON */

#define RECORD_LOGIN_MAX 150            /* bytes; Django's username has 150 characters */
#define RECORD_TEXT_MAX  254            /* bytes of e-mail, names, owner */
#define RECORD_NAME_MAX  64             /* bytes of an API key's name */

enum customer_flag { CUSTOMER_DISABLED = 1 };

struct customer_record {
	uint64_t id;
	uint64_t joined_us;             /* Unix time, microseconds: oscarapi shows them */
	uint32_t epoch;                 /* grows when all sessions are to end */
	uint32_t flags;                 /* enum customer_flag */
	struct slice login, email, first_name, last_name;
	struct slice sealed_password;   /* password.h; empty: none */
};

/* What a key may do; the names stand in client.c. */
enum client_scope {
	SCOPE_SHOP    = 1 << 0,
	SCOPE_TRUSTED = 1 << 1,
	SCOPE_LOGIN   = 1 << 2,
};
enum client_flag { CLIENT_DISABLED = 1, CLIENT_REVOKED = 2 };

#define RECORD_SOURCES_MAX 8

/* An API key. Its text is never stored, only the digest that is its key here. */
struct client_record {
	uint64_t created_s;
	uint64_t expires_s;             /* Unix time; 0: never */
	uint64_t used_s;                /* rounded down to the hour; 0: never */
	uint32_t scopes;                /* enum client_scope, ORed */
	uint32_t flags;                 /* enum client_flag */
	struct network sources[RECORD_SOURCES_MAX];
	uint32_t source_count;          /* 0: from anywhere */
	struct slice name, owner;
};

#define RECORD_VALUE_MAX 2048           /* bytes; no record of today is longer */

bool record_session_write(struct buf *out, const struct session_record *r);
bool record_session_read(struct slice in, struct session_record *r);
bool record_customer_write(struct buf *out, const struct customer_record *r);
bool record_customer_read(struct slice in, struct customer_record *r);
bool record_client_write(struct buf *out, const struct client_record *r);
bool record_client_read(struct slice in, struct client_record *r);

/* The JSON of a session. */
bool record_data_write(struct buf *out, struct slice json);
bool record_data_read(struct slice in, struct slice *json);

/* A number alone: meta values, and the id under a login. */
void record_number_write(struct buf *out, uint64_t n);
bool record_number_read(struct slice in, uint64_t *n);

#endif
