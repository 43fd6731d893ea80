/* basket.h -- baskets: lines, limits, prices, merge. One basket is one record.
 *
 * The functions on `struct basket` change memory alone: load, change, and basket_put() at the
 * end, so that a check that fails has changed nothing. Who may do so is decided before, in one
 * place (session.h); here nobody is asked for.
 * Memory  strings of a loaded basket, and those handed to a change, point to where they came
 *         from (the store's map, the request): put before the next put, or they are gone.
 * Errors  enum basket_error for the caller's mistakes, enum kv_status for the store's.
 */
#ifndef BASKET_H
#define BASKET_H

#include "config.h"
#include "kv.h"
#include "product.h"
#include "record.h"

enum basket_error {
	BASKET_OK,
	BASKET_STORE,           /* see change.status */
	BASKET_UNKNOWN_PRODUCT, /* the price book does not have it */
	BASKET_UNAVAILABLE,     /* it is there, but not for sale */
	BASKET_NO_STOCK,        /* none of it is left */
	BASKET_OVER_STOCK,      /* change.bound: how many can be bought */
	BASKET_OVER_QUANTITY,   /* the setting max_quantity, all lines together (change.bound) */
	BASKET_TOO_MANY_LINES,  /* the setting max_lines, or BASKET_OPTIONS_MAX, or the record */
	BASKET_OTHER_CURRENCY,  /* not the currency of the lines that are there */
	BASKET_NEGATIVE,        /* a quantity below 0 where none is there to lower */
	BASKET_CLOSED,          /* its lines no longer change: not Open or Saved */
	BASKET_UNKNOWN_LINE,
	BASKET_BAD_ITEM,        /* a text, price or currency that no record can hold */
};

/* What a change works with and finds. */
struct basket_change {
	struct kv *kv;
	const struct config *config;
	uint64_t now_us;
	enum kv_status status;          /* set with BASKET_STORE */
	uint32_t bound;                 /* set with an error that has one */
};

/* A price that a trusted key gave along (price_source=client). */
struct basket_price {
	int64_t price_e4, discount_cents;
	struct slice name, currency;
};

/* What a line is asked to be. */
struct basket_item {
	struct slice product;
	const struct basket_option *options;    /* ids are given by the change */
	uint32_t option_count;
	const struct basket_price *price;       /* or NULL: the price book's */
};

/* Makes an empty basket with the next id: a customer's, or a guest's (`guest`: the key of his
 * session, NULL where only a cookie knows him). Nothing is put but the id's counter. */
enum kv_status basket_make(struct kv *kv, struct basket *b, uint64_t customer_id,
                           const uint8_t *guest, uint64_t now_us);

/* Loads a basket, whoever's. Expired is KV_NOT_FOUND (basket_ttl, empty_basket_ttl). */
enum kv_status basket_get(struct kv *kv, uint64_t id, uint64_t now_s, struct basket *b);

/* Puts it, files its expiry and its place among the customer's; version and updated_us count
 * up where `changed`. KV_FULL also where it is larger than RECORD_BASKET_MAX. */
enum kv_status basket_put(struct kv *kv, const struct config *config, struct basket *b,
                          bool changed, uint64_t now_us);

/* Removes every trace of a basket. KV_NOT_FOUND where there is none. */
enum kv_status basket_delete(struct kv *kv, uint64_t id);

/* True where this use should move the expiry by a put: at most ten times per lifetime. */
bool basket_renewal_due(const struct config *config, const struct basket *b, uint64_t now_s);

/* What the sweep found of a basket that was due. */
struct basket_swept {
	bool gone;                      /* it had expired, and was removed: */
	uint64_t id, customer_id;
	uint8_t guest[RECORD_SESSION_KEY_LEN];
};

/* One entry of the sweep's list: removes the basket under the record's key `key`, or files its
 * next look. */
enum kv_status basket_sweep_one(struct kv *kv, struct slice key, uint64_t due_s, uint64_t now_s,
                                struct basket_swept *swept);

/* The ids that are given next, of baskets, their lines, and what was chosen for those. */
struct basket_ids {
	uint64_t basket, line, option;
};
enum kv_status basket_next_ids(struct kv *kv, struct basket_ids *next);

/* Has the counters of ids go on behind these (an import brings ids along). */
enum kv_status basket_reserve_ids(struct kv *kv, uint64_t basket, uint64_t line,
                                  uint64_t option);

/* The next basket of a customer after `*id` (0: the first), oldest first, whatever its status. */
enum kv_status basket_next_of(struct kv *kv, uint64_t customer_id, uint64_t *id);

/* Steps through all baskets by id; start with `*id` 0. Expired ones are among them. */
enum kv_status basket_next(struct kv *kv, uint64_t *id, struct basket *b);

/* Adds `quantity` (it may be negative: the line is lowered, not below 0) to the line of the
 * same product and the same options, or makes a new one. Checked: the product is for sale,
 * the quantity of all its lines against stock and max_quantity, currency, number of lines.
 * A quantity of 0 on a new line is fine, as the original has it. `*line` is its index. */
enum basket_error basket_add(struct basket *b, const struct basket_item *item, int64_t quantity,
                             struct basket_change *change, uint32_t *line);

/* Sets the quantity of a line, with the same checks where it grows; lowering is always
 * allowed. 0 removes it. */
enum basket_error basket_set_quantity(struct basket *b, uint32_t line, uint32_t quantity,
                                      struct basket_change *change);
enum basket_error basket_set_price(struct basket *b, uint32_t line,
                                   const struct basket_price *price,
                                   struct basket_change *change);
/* Changes what was chosen for one option of a line; two lines that become equal stay two. */
enum basket_error basket_set_option(struct basket *b, uint32_t line, uint32_t option,
                                    struct slice value, struct basket_change *change);
enum basket_error basket_remove(struct basket *b, uint32_t line, struct basket_change *change);

/* The index of a line by its id; false: none. */
bool basket_find_line(const struct basket *b, uint64_t id, uint32_t *line);

/* What a merge left out: asked and kept quantity per line, in the order of `from`'s lines. */
#define BASKET_LEFT_MAX 32
struct basket_left {
	struct { struct slice product; uint32_t asked, kept; } of[BASKET_LEFT_MAX];
	uint32_t count;                 /* of all that was left out: may be more than the table */
};

/* Merges the lines of `from` into `into` by the setting basket_merge: `sum` adds quantities of
 * equal lines (same product, same options), `max` takes the larger, `keep` leaves into's. Other
 * lines move over with their options, prices and ids. Stock, max_quantity and max_lines hold:
 * what does not fit is left out and told. Both are changed in memory; `from` ends empty as
 * BASKET_MERGED: the caller puts both. */
enum kv_status basket_merge(struct basket *into, struct basket *from,
                            struct basket_change *change, struct basket_left *left);

/* What a line costs now. */
struct basket_line_price {
	bool known;                     /* false: the price book no longer has the product */
	struct slice currency, name;
	int64_t unit_e4;
	uint32_t tax_rate_e6;
	int64_t excl_cents, tax_cents;          /* of the whole line, after its discount */
	int64_t full_excl_cents, full_tax_cents;        /* without the discount */
	struct slice stockrecord;
};

struct basket_totals {
	bool tax_known;                 /* there are lines, and every price is known */
	struct slice currency;          /* absent where there is no line */
	int64_t excl_cents, tax_cents, full_excl_cents, full_tax_cents;
};

enum kv_status basket_line_price(struct kv *kv, const struct basket_line *line,
                                 struct basket_line_price *p);
enum kv_status basket_totals(struct kv *kv, const struct basket *b, struct basket_totals *t);

/* "Open", "Saved", ... and back; false for another word. */
const char *basket_status_text(enum basket_status s);
bool basket_status_read(struct slice text, enum basket_status *s);

#endif
