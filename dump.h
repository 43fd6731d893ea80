/* dump.h -- one object of Django's dumpdata, as far as a shop of Django Oscar's has moved with it.
 *
 * Every model has the same struct: numbers and texts by name, which a table in dump.c fills.
 * Between reading and putting, records are sorted: dump_pack() makes them bytes.
 * Memory  texts of a record that was read live until the next json_parse(), of one that was
 *         unpacked as long as the bytes.
 * Errors  a sentence in `error` that begins with the field; the record's model and pk are set
 *         as far as they were found.
 * Source  django/core/serializers/python.py; the models of Django Oscar 1.6 to 4.2 and of
 *         oscarapi 1.6 to 3.3.
 */
#ifndef DUMP_H
#define DUMP_H

#include "bytes.h"
#include "json.h"

enum dump_kind {
	DUMP_OTHER,             /* a model that nothing is taken of */
	DUMP_USER,              /* auth.user, or another app's .user */
	DUMP_API_KEY,
	DUMP_CLASS,             /* catalogue.productclass */
	DUMP_OPTION,            /* catalogue.option */
	DUMP_PRODUCT,
	DUMP_STOCK,             /* partner.stockrecord */
	DUMP_BASKET,
	DUMP_LINE,
	DUMP_ATTRIBUTE,         /* basket.lineattribute */
	DUMP_SESSION,
	DUMP_KINDS
};

enum dump_number {
	DUMP_PK,                /* 0: a session, whose key is a text */
	DUMP_OF,                /* whose it is; 0: nobody's. basket: its owner; line: its basket;
	                         * attribute: its line; stock: its product; product: its parent;
	                         * session: its user */
	DUMP_TO,                /* line: product; attribute: option; product: class;
	                         * session: basket */
	DUMP_CREATED,           /* microseconds; user: joined; session: when it was written */
	DUMP_UPDATED,           /* microseconds; session: when it ends */
	DUMP_COUNT,             /* line: quantity; stock: in stock; DUMP_NONE: not counted */
	DUMP_TAKEN,             /* stock: allocated to orders */
	DUMP_FLAG,              /* user: is_active; class: track_stock; others: gather.h */
	DUMP_NUMBERS
};

#define DUMP_NONE UINT64_MAX

/* Texts, by kind. */
enum dump_text {
	DUMP_NAME = 0,          /* user: login; key: its text; product: title; option: code;
	                         * basket: status; attribute: value; session: key */
	DUMP_LIST = 1,          /* class, product: ids of options, `1,2` */
	DUMP_PRICE = 2,         /* stock, line */
	DUMP_CURRENCY = 3,
	DUMP_DATA = 1,          /* session: as stored, then the hash of the user's password */
	DUMP_LOGIN = 2,         /* basket, session: of whose it is (gather.h) */
	DUMP_EMAIL = 1, DUMP_FIRST_NAME = 2, DUMP_LAST_NAME = 3, DUMP_PASSWORD = 4,
	DUMP_TEXTS = 5
};

struct dump_record {
	enum dump_kind kind;
	uint64_t number[DUMP_NUMBERS];
	struct slice text[DUMP_TEXTS];
};

#define DUMP_ERROR_MAX 256
#define DUMP_HASH_TEXT 64               /* bytes of a session's `_auth_user_hash` */
#define DUMP_KEY_TEXT  40               /* of its key, where a Session-Id led to it */

/* Reads an object; of an unknown model DUMP_OTHER is all that is set. */
bool dump_read(const json_t *object, struct dump_record *r, char error[DUMP_ERROR_MAX]);

/* Reads most sessions, without json_parse(); false: look at it with that. */
bool dump_read_session(struct slice text, struct dump_record *r);

enum dump_session {
	DUMP_SESSION_READ,
	DUMP_SESSION_FOREIGN,   /* signed with another secret */
	DUMP_SESSION_BAD,       /* `error` says why */
};

/* Opens a session's data: user, basket, time of writing, and the hash as DUMP_DATA. Texts go
 * into `room`; whatever was parsed before is dead. */
enum dump_session dump_open_session(struct dump_record *r, struct slice secret,
                                    struct buf *room, char error[DUMP_ERROR_MAX]);

/* "auth.user": the model, for messages. */
const char *dump_model(enum dump_kind kind);

void dump_pack(struct buf *out, const struct dump_record *r);
/* False for what dump_pack() has not written. */
bool dump_unpack(struct slice bytes, struct dump_record *r);

#endif
