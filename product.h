/* product.h -- the price book: what a product costs, and how many there are.
 *
 * Products come from `product import`, `import oscar` and /admin/products; no shopper changes
 * them. Every change of the book counts up one number, which is a part of every ETag that a price
 * is in.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "json.h"
#include "kv.h"
#include "record.h"

enum product_error {
	PRODUCT_OK,
	PRODUCT_ID_BAD,         /* id or stockrecord: see product_id_valid() */
	PRODUCT_NAME_BAD,       /* over RECORD_TEXT_MAX, control bytes, not UTF-8 */
	PRODUCT_PRICE_BAD,
	PRODUCT_CURRENCY_BAD,
	PRODUCT_RATE_BAD,
	PRODUCT_LIMIT_BAD,      /* stock or max_quantity */
	PRODUCT_OPTIONS_BAD,    /* an empty or too long code, or all too long together */
	PRODUCT_STORE,          /* see `*status` */
};

const char *product_error_text(enum product_error e);

/* 1 to RECORD_PRODUCT_ID_MAX of A-Z a-z 0-9 . _ ~ - : as it is in a URL. Not `.` or `..`. */
bool product_id_valid(struct slice id);

/* Whether a record may be put: PRODUCT_OK, or what is wrong with it. */
enum product_error product_judge(const struct product_record *r);

/* The fields of a product as text, in files and in requests. */
enum product_field {
	PRODUCT_ID,
	PRODUCT_NAME,
	PRODUCT_PRICE,
	PRODUCT_CURRENCY,
	PRODUCT_STOCK,
	PRODUCT_MAX_QUANTITY,
	PRODUCT_TAX_RATE,
	PRODUCT_OPTIONS,
	PRODUCT_STOCKRECORD,
	PRODUCT_UPDATED,        /* lists show it; who reads a product sets his own */
	PRODUCT_FIELDS
};

/* What is wrong with one. */
struct product_fault {
	char field[44];                 /* its name, or empty */
	char why[JSON_ERROR_MAX];
};

const char *product_field_name(enum product_field f);
/* True where a product without it is none. */
bool product_field_due(enum product_field f);
/* The field of this name. False, with the fault: there is none. */
bool product_field_find(struct slice name, enum product_field *f, struct product_fault *fault);

/* Reads a product from the text of its fields, an empty one as good as none; false with the
 * fault. Strings of `*r` are those of `value`. r->updated_us is the caller's. */
bool product_read(const struct slice value[PRODUCT_FIELDS], struct product_record *r,
                  struct product_fault *fault);

/* The same from a JSON object whose members are named as the fields: prices and rates are text,
 * counts whole numbers, options a list. Strings of `*r` live until the next json_parse(), or are
 * in `scratch`, of PRODUCT_SCRATCH_MAX bytes. */
#define PRODUCT_SCRATCH_MAX 2048
bool product_read_json(struct slice text, struct buf *scratch, struct product_record *r,
                       struct product_fault *fault);

/* Strings of `*r` point into the store: good until the next put. */
enum kv_status product_get(struct kv *kv, struct slice id, struct product_record *r);

/* Checks and puts a product, new or changed, and counts the book's number up. */
enum product_error product_put(struct kv *kv, const struct product_record *r,
                               enum kv_status *status);
/* Puts a product that was read, unless it is there just so; one without a stockrecord keeps its
 * own. */
enum product_change { PRODUCT_ADDED, PRODUCT_CHANGED, PRODUCT_UNCHANGED, PRODUCT_CHANGES };
enum kv_status product_import(struct kv *kv, struct product_record *r,
                              enum product_change *change);
/* Counts the number up too. KV_NOT_FOUND where there is none. */
enum kv_status product_delete(struct kv *kv, struct slice id);

/* Steps through all products in the order of their ids, numeric ones by number first;
 * `after` starts zeroed. */
enum kv_status product_next(struct kv *kv, struct record_key *after, struct product_record *r);

/* The book's number; 0: nothing was ever put. */
enum kv_status product_book(struct kv *kv, uint64_t *number);

/* How many of it can be bought at once, stock and max_quantity together; UINT32_MAX: no bound. */
uint32_t product_available(const struct product_record *r);

#endif
