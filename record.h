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
#include "money.h"

#define RECORD_DIGEST_LEN 32            /* SHA-256 of an API key */
#define RECORD_SESSION_KEY_LEN 20       /* SHA-1 of a Session-Id */

/* Kinds of key: the first byte. */
enum record_kind {
	RECORD_SESSION    = 'S',        /* + session key, 20 */
	RECORD_DATA       = 'D',        /* + session key, 20 -> JSON of the session */
	RECORD_CUSTOMER   = 'C',        /* + customer id, 8 */
	RECORD_LOGIN      = 'L',        /* + login -> customer id, 8 */
	RECORD_EMAIL      = 'E',        /* + e-mail address, NUL, customer id, 8 -> empty */
	RECORD_CLIENT     = 'K',        /* + SHA-256 of the API key, 32 */
	RECORD_CLIENT_NAME = 'N',       /* + name -> digest, 32 */
	RECORD_OWNER      = 'O',        /* + customer id, 8, created s, 8, session key -> empty */
	RECORD_SWEEP      = 'X',        /* + due s, 8, key of the record -> empty */
	RECORD_REPLAY     = 'I',        /* + SHA-256 of caller and Idempotency-Key, 32 */
	RECORD_META       = 'M',        /* + name -> number, 8 */
	RECORD_PRODUCT    = 'P',        /* + product id, see record_product_key() */
	RECORD_BASKET     = 'B',        /* + basket id, 8 */
	RECORD_BASKETS_OF = 'A',        /* + customer id, 8, basket id, 8 -> empty */
	RECORD_TOKEN_KEY  = 'T',        /* + kid */
};

/* Names of what RECORD_META keeps: the numbers that are given next, and that of the price book
 * (product.h). A restore skips some of each. */
#define RECORD_NEXT_CUSTOMER "next_customer"
#define RECORD_NEXT_BASKET   "next_basket"
#define RECORD_NEXT_LINE     "next_line"
#define RECORD_NEXT_OPTION   "next_option"
#define RECORD_PRICE_BOOK    "price_book"

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
/* What addresses that are equal but for the case of ASCII letters begin with; absent where it is
 * empty, has a NUL, or is longer than RECORD_TEXT_MAX. */
struct slice record_email_prefix(struct record_key *k, struct slice email);
struct slice record_email_key(struct record_key *k, struct slice email, uint64_t customer_id);
struct slice record_client_key(struct record_key *k, const uint8_t digest[RECORD_DIGEST_LEN]);
struct slice record_client_name_key(struct record_key *k, struct slice name);
struct slice record_owner_prefix(struct record_key *k, uint64_t customer_id);
struct slice record_owner_key(struct record_key *k, uint64_t customer_id, uint64_t created_s,
                              const uint8_t key[RECORD_SESSION_KEY_LEN]);
struct slice record_sweep_key(struct record_key *k, uint64_t due_s, struct slice of);
struct slice record_meta_key(struct record_key *k, const char *name);
/* Absent where the id is empty or longer than RECORD_PRODUCT_ID_MAX. An id that is a number
 * without leading zeros sorts by its value, before all others. */
struct slice record_product_key(struct record_key *k, struct slice id);
struct slice record_basket_key(struct record_key *k, uint64_t id);
struct slice record_baskets_of_prefix(struct record_key *k, uint64_t customer_id);
struct slice record_baskets_of_key(struct record_key *k, uint64_t customer_id, uint64_t id);
struct slice record_replay_key(struct record_key *k, const uint8_t digest[RECORD_DIGEST_LEN]);
/* Absent where the kid is empty or longer than RECORD_KID_MAX. */
struct slice record_token_key_key(struct record_key *k, struct slice kid);

/* Takes a key apart; false where it is none of the kind. */
bool record_owner_key_read(struct slice key, uint64_t *customer_id, uint64_t *created_s,
                           const uint8_t **session_key);
bool record_email_key_read(struct slice key, struct slice *email, uint64_t *customer_id);
bool record_sweep_key_read(struct slice key, uint64_t *due_s, struct slice *of);
bool record_basket_key_read(struct slice key, uint64_t *id);
bool record_baskets_of_key_read(struct slice key, uint64_t *customer_id, uint64_t *id);

/* How a session's owner shows it. */
enum record_via {
	VIA_NONE,
	VIA_HEADER,
	VIA_COOKIE,
	VIA_RETIRED,    /* a guest's cookie whose login went on to a new one: never renewed */
	VIA_TOKEN,      /* a Bearer token, whose claim `sid` is the session's key */
	VIA_DWSID,      /* OCAPI's session cookie */
	VIA_GUEST,      /* nobody shows it: what a guest of OCAPI has. His tokens and dwsids refer
	                 * to it by his guest_id (session.h) */
};

/* A session: a customer's, made at login, or a guest's, made when there is something to keep
 * (an anonymous session has no record before that). Login and basket are copies of the
 * customer's, so that who asks for a session needs no second look-up. */
struct session_record {
	uint64_t expires_s;             /* Unix time; the earlier of idle and absolute end;
	                                 * RECORD_NEVER: no end */
	uint64_t customer_id;           /* 0: a guest's */
	uint64_t basket_id;             /* the owner's open basket; 0: none */
	struct slice login;             /* empty: a guest's */
	uint64_t created_s;
	uint64_t due_s;                 /* where its sweep entry stands; RECORD_NEVER: nowhere */
	uint64_t used_s;                /* last renewal: when it was last seen, roughly */
	uint8_t via;                    /* enum record_via */
	uint8_t flags;                  /* enum session_flag, ORed */
	struct slice guest_id;          /* of a guest of OCAPI, else empty */
};

/* SECURE_SEEN: a dwsid came over HTTPS together with its dwsecuretoken. */
enum session_flag { SESSION_SECURE_SEEN = 1 };

#define RECORD_GUEST_ID_LEN 26          /* characters of a guest's id */

#define RECORD_NEVER UINT64_MAX
#define RECORD_DATA_MAX 4096            /* bytes of a session's JSON */

#define RECORD_LOGIN_MAX 150            /* bytes; Django's username has 150 characters */
#define RECORD_TEXT_MAX  254            /* bytes of e-mail, names, owner */
#define RECORD_NAME_MAX  64             /* bytes of an API key's name */

enum customer_flag { CUSTOMER_DISABLED = 1 };

struct customer_record {
	uint64_t id;
	uint64_t joined_us;             /* Unix time, microseconds: oscarapi shows them */
	uint32_t flags;                 /* enum customer_flag */
	struct slice login, email, first_name, last_name;
	struct slice sealed_password;   /* password.h; empty: none */
	uint64_t basket_id;             /* his open basket; 0: none */
};

/* What a key may do; the names stand in client.c. */
enum client_scope {
	SCOPE_SHOP    = 1 << 0,
	SCOPE_TRUSTED = 1 << 1,
	SCOPE_LOGIN   = 1 << 2,
	SCOPE_RESOLVE = 1 << 3,
	SCOPE_ADMIN   = 1 << 4,
};
enum client_flag { CLIENT_DISABLED = 1, CLIENT_REVOKED = 2 };

#define RECORD_SOURCES_MAX 8
#define RECORD_ORIGINS_MAX 8
#define RECORD_ORIGINS_BYTES 1024       /* of all origins together, with a comma between two */

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
	struct slice origins;           /* whose pages may use it on OCAPI: a comma list */
};

#define RECORD_VALUE_MAX 2048           /* bytes; no record but a basket is longer */

#define RECORD_PRODUCT_ID_MAX 100       /* bytes; OCAPI's product_id has 100 characters */
#define RECORD_OPTION_MAX     254       /* bytes of an option's code or its value */
#define RECORD_OPTIONS_MAX    1024      /* bytes of the codes of a product's options */

/* A line of the price book. */
struct product_record {
	int64_t price_e4;               /* one unit, without tax (money.h); -1: not for sale */
	uint64_t updated_us;
	uint32_t tax_rate_e6;
	uint32_t stock;                 /* UINT32_MAX: not counted */
	uint32_t max_quantity;          /* UINT32_MAX: no bound of its own */
	struct slice id, name, currency;
	struct slice stockrecord;       /* its id in URLs; empty: as the product's */
	struct slice options;           /* codes of its options, joined by commas */
};

enum basket_status {
	BASKET_OPEN, BASKET_SAVED, BASKET_FROZEN, BASKET_SUBMITTED, BASKET_MERGED,
	BASKET_STATUSES
};

#define BASKET_LINES_MAX   1000         /* of one basket; the setting max_lines is below */
#define BASKET_OPTIONS_MAX 1000         /* of all its lines together */

/* An option that was chosen for a line; oscarapi calls it an attribute. */
struct basket_option {
	uint64_t id;                    /* counts up over all baskets */
	struct slice option;            /* as it came: oscarapi's URL path, OCAPI's option id */
	struct slice value;
};

struct basket_line {
	uint64_t id;                    /* counts up over all baskets */
	uint64_t created_us, updated_us;
	uint32_t version;               /* counts the line's changes */
	uint32_t quantity;              /* never 0 in a record */
	uint32_t first_option, option_count;    /* in basket.options */
	struct slice product;           /* its id in the price book */
	bool priced;                    /* price_source=client gave what follows: */
	int64_t price_e4, discount_cents;       /* one unit; off the whole line */
	struct slice name, currency;
};

#define RECORD_BASKET_MAX 262144        /* bytes */

/* A basket with its lines: one record, read and written whole. 400 KB: keep it on the stack,
 * do not copy it, do not clear it.
 * Lines stand by id, options in the order of their lines; the quantities of all lines are at
 * most MONEY_QUANTITY_MAX together. */
struct basket {
	uint64_t id;                    /* counts up from 1; never given twice */
	uint64_t customer_id;           /* 0: a guest's */
	uint8_t guest[RECORD_SESSION_KEY_LEN];  /* of a guest's: his session's key, or zeroes */
	uint8_t status;                 /* enum basket_status */
	bool carried;                   /* a basket cookie was given out for it */
	uint32_t version;               /* counts the changes of the basket and its lines */
	uint64_t created_us, updated_us;
	uint64_t merged_us, submitted_us;       /* 0: not so */
	uint64_t expires_s, due_s;      /* as session_record's */
	struct slice email;             /* whom an order is confirmed to; empty: nobody named one */
	struct slice currency;          /* that was asked for; empty: its lines' alone counts */
	uint32_t line_count, option_count;
	struct basket_line lines[BASKET_LINES_MAX];
	struct basket_option options[BASKET_OPTIONS_MAX];
	char text[RECORD_BASKET_MAX];   /* basket.h: where the strings of a loaded one stand */
};

/* The first answer to a request with an Idempotency-Key. */
struct replay_record {
	uint64_t due_s;                 /* Unix time; from then on it is absent */
	uint64_t basket_cookie;         /* the basket whose cookie it set; 0: none */
	uint16_t status;
	uint8_t digest[RECORD_DIGEST_LEN];      /* SHA-256 of method, path and body */
	struct slice fields, body;      /* whole lines; bytes */
};

#define RECORD_KID_MAX      64          /* bytes of a key's name (jwt.h) */
#define RECORD_POINT_LEN    65          /* of P-256 */
#define RECORD_SCALAR_LEN   60          /* its private key, sealed */
#define RECORD_SEED_LEN     32

enum token_alg { TOKEN_HS256, TOKEN_ES256, TOKEN_ALGS };

/* A key that signs tokens, or did (token.h). What it signs with does not stand here in the
 * clear: a private key is sealed (seal.h), and a secret is made of its seed and of the
 * Session-Id secret. */
struct token_key_record {
	uint64_t created_s;
	uint64_t signs_s;               /* from then on it signs */
	uint64_t until_s;               /* so long it verifies; RECORD_NEVER: it has no successor */
	uint32_t life_s;                /* of the longest-lived token that it signed */
	uint8_t alg;                    /* enum token_alg */
	struct slice kid;
	struct slice public;            /* ES256: the point */
	struct slice secret;            /* ES256: the sealed scalar; HS256: the seed */
};

bool record_session_write(struct buf *out, const struct session_record *r);
bool record_session_read(struct slice in, struct session_record *r);
bool record_customer_write(struct buf *out, const struct customer_record *r);
bool record_customer_read(struct slice in, struct customer_record *r);
bool record_client_write(struct buf *out, const struct client_record *r);
bool record_client_read(struct slice in, struct client_record *r);

/* The JSON of a session. */
bool record_data_write(struct buf *out, struct slice json);
bool record_data_read(struct slice in, struct slice *json);

/* Written as it is read: false for what no reader would take. */
bool record_product_write(struct buf *out, const struct product_record *r);
bool record_product_read(struct slice in, struct product_record *r);
/* Leaves `text` alone. */
bool record_basket_write(struct buf *out, const struct basket *b);
bool record_basket_read(struct slice in, struct basket *b);
/* How long the record is, and what one line with its options takes of it. */
size_t record_basket_bytes(const struct basket *b);
size_t record_line_bytes(const struct basket_line *l, const struct basket_option *options);

bool record_replay_write(struct buf *out, const struct replay_record *r);
bool record_replay_read(struct slice in, struct replay_record *r);

bool record_token_key_write(struct buf *out, const struct token_key_record *r);
bool record_token_key_read(struct slice in, struct token_key_record *r);

/* A number alone: meta values, and the id under a login. */
void record_number_write(struct buf *out, uint64_t n);
bool record_number_read(struct slice in, uint64_t *n);

#endif
