/* basket.h -- baskets: lines, limits, prices, merge. One basket is one record.
 *
 * The functions on `struct basket` change memory alone (and the counters of ids): load,
 * change, and basket_put() at the end; a check that fails has changed nothing. Who may do so
 * is decided before, in one place (session.h); here nobody is asked for.
 * One rule for 0: a line of quantity 0 is never stored. What lowers a line to 0 removes it,
 * and 0 of a product that is not there adds nothing.
 * Memory  a basket that was loaded or put owns its strings: it stays good whatever is put.
 *         Strings that are handed to a change, and those of a basket that is merged into it,
 *         are borrowed until basket_put().
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
	BASKET_UNKNOWN_LINE,    /* no such line, or no such option on it */
	BASKET_BAD_ITEM,        /* a text, a price or a currency that no line can have */
	BASKET_UNKNOWN_OPTION,  /* not an option of the product, or twice */
};

/* What a change works with and finds. */
struct basket_change {
	struct kv *kv;
	const struct config *config;
	uint64_t now_us;
	enum kv_status status;          /* set with BASKET_STORE */
	uint32_t bound;                 /* set with an error that has one */
};

/* A price that a trusted key gave along (price_source=client). The product need not stand in
 * the price book then: nothing bounds its stock, and there is no tax on it. */
struct basket_price {
	int64_t price_e4, discount_cents;
	struct slice name, currency;    /* name: empty is the price book's */
};

/* What a line is asked to be. */
struct basket_item {
	struct slice product;
	const struct basket_option *options;    /* ids are given by the change */
	uint32_t option_count;
	const struct basket_price *price;       /* or NULL: the price book's */
	bool own_line;                          /* never to be added to an equal line */
	bool known_options;                     /* only such as the price book has of the product */
};

/* Makes an empty basket with the next id: a customer's, or a guest's (`guest`: the key of his
 * session, NULL where only a cookie knows him). Nothing is put but the id's counter. */
enum kv_status basket_make(struct kv *kv, struct basket *b, uint64_t customer_id,
                           const uint8_t *guest, uint64_t now_us);

/* Loads a basket, whoever's. Expired is KV_NOT_FOUND (basket_ttl, empty_basket_ttl). */
enum kv_status basket_get(struct kv *kv, uint64_t id, uint64_t now_s, struct basket *b);

/* Puts it, files its expiry and its place among the customer's; version and updated_us count
 * up where `changed`. Each put renews: an Open or Saved basket lives for basket_ttl, without
 * lines for empty_basket_ttl, as a Merged one does; Frozen and Submitted ones stay until an
 * order system says otherwise. A guest's basket may have become a customer's, never a
 * customer's another one's. KV_FULL also where it is larger than RECORD_BASKET_MAX; KV_IO for
 * what record.h does not allow. */
enum kv_status basket_put(struct kv *kv, const struct config *config, struct basket *b,
                          bool changed, uint64_t now_us);

/* Removes every trace of a basket. KV_NOT_FOUND where there is none. */
enum kv_status basket_delete(struct kv *kv, uint64_t id);

/* True where this use should move the expiry by a put: at most ten times per lifetime. */
bool basket_renewal_due(const struct config *config, const struct basket *b, uint64_t now_s);

/* A basket that the sweep deleted: whoever refers to it should no longer. */
struct basket_swept {
	bool gone;
	uint64_t id, customer_id;
	uint8_t guest[RECORD_SESSION_KEY_LEN];
};

/* The sweep is at an entry that is due: `key` is the basket's, out of record_sweep_key_read(),
 * `due_s` its time. Deletes the basket if it has expired, files it anew if it lives on, and
 * removes an entry that leads nowhere. */
enum kv_status basket_sweep_one(struct kv *kv, struct slice key, uint64_t due_s, uint64_t now_s,
                                struct basket_swept *swept);

/* The ids that are given next, of baskets, their lines, and what was chosen for those. */
struct basket_ids {
	uint64_t basket, line, option;
};
enum kv_status basket_next_ids(struct kv *kv, struct basket_ids *next);

/* Sets the counters of ids past these, which were given elsewhere; each is at most INT64_MAX
 * (KV_IO past it). Where all lines of a basket have ids already, basket_put() is all that an
 * import needs: a new basket's due_s is RECORD_NEVER. */
enum kv_status basket_reserve_ids(struct kv *kv, uint64_t basket, uint64_t line,
                                  uint64_t option);

/* The next basket of a customer after `*id` (0: the first), oldest first, whatever its status. */
enum kv_status basket_next_of(struct kv *kv, uint64_t customer_id, uint64_t *id);

/* Steps through all baskets by id; start with `*id` 0. Expired ones are among them. */
enum kv_status basket_next(struct kv *kv, uint64_t *id, struct basket *b);

/* Adds `quantity` to the equal line, or makes a new one. Lines are equal that have the same
 * product, the same options in any order, and both the price book's price or both the same
 * given one (unit, name, currency); given discounts add up.
 * Checked: the product is for sale, its options where that is asked for, the quantity of all its
 * lines against stock and max_quantity, currency, number of lines. A negative quantity lowers the
 * line, not below 0, and is always allowed; 0 asks only for the product to be there. `*line` is
 * the line's index, UINT32_MAX where none is left or made. */
enum basket_error basket_add(struct basket *b, const struct basket_item *item, int64_t quantity,
                             struct basket_change *change, uint32_t *line);

/* Sets the quantity of a line, with the same checks where it grows; lowering is always
 * allowed. 0 removes it. */
enum basket_error basket_set_quantity(struct basket *b, uint32_t line, uint32_t quantity,
                                      struct basket_change *change);
/* Sets the price of a line, discount included; NULL: the price book's again. */
enum basket_error basket_set_price(struct basket *b, uint32_t line,
                                   const struct basket_price *price,
                                   struct basket_change *change);
/* Changes what was chosen for one option of a line (`option`: its index in b->options); two
 * lines that become equal stay two. */
enum basket_error basket_set_option(struct basket *b, uint32_t line, uint32_t option,
                                    struct slice value, struct basket_change *change);
enum basket_error basket_remove(struct basket *b, uint32_t line, struct basket_change *change);

/* The e-mail address that goes with a basket: text of 1 to RECORD_TEXT_MAX bytes. */
enum basket_error basket_set_email(struct basket *b, struct slice email,
                                   struct basket_change *change);
/* The currency that all its lines are to have, also the first one that comes. */
enum basket_error basket_set_currency(struct basket *b, struct slice currency,
                                      struct basket_change *change);

/* The index of a line by its id; false: none. */
bool basket_find_line(const struct basket *b, uint64_t id, uint32_t *line);

/* What a merge left out: per line, in the order of `from`'s, the quantity that it should have
 * got and the one that it has. */
#define BASKET_LEFT_MAX 32
struct basket_left {
	struct {
		struct slice product;           /* in `ids` */
		uint32_t asked, kept;
	} of[BASKET_LEFT_MAX];
	char ids[BASKET_LEFT_MAX][RECORD_PRODUCT_ID_MAX];
	uint32_t count;                 /* of all that was left out: may be more than the table */
};

/* Merges the lines of `from` into `into`, both Open or Saved, by the setting basket_merge: `sum`
 * adds quantities of equal lines, `max` takes the larger, `keep` leaves into's. Other lines
 * move over with their options, prices and ids. Stock, max_quantity, max_lines and the currency
 * hold: what does not fit is left out and told; a line whose product is no longer in the price
 * book moves as it is. The e-mail address is into's, or from's where it has none. Both are changed
 * in memory; `from` ends empty as BASKET_MERGED: the caller puts both, in any order. After a
 * failure of the store neither is to be put. */
enum kv_status basket_merge(struct basket *into, struct basket *from,
                            struct basket_change *change, struct basket_left *left);

/* What a line costs now. Strings point into the line or into the store: good until the next
 * put. */
struct basket_line_price {
	bool known;             /* false: there is no price for it; the amounts are 0 */
	struct slice currency, name;
	int64_t unit_e4;
	uint32_t tax_rate_e6;
	int64_t excl_cents, tax_cents;          /* of the whole line, after its discount */
	int64_t full_excl_cents, full_tax_cents;        /* without the discount */
	struct slice stockrecord;
};

struct basket_totals {
	bool tax_known;                 /* there are lines, and every price is known */
	struct slice currency;          /* absent where no price is known */
	int64_t excl_cents, tax_cents, full_excl_cents, full_tax_cents;
};

/* The line by its own price, or by the price book as it is now. `p` points into the line and the
 * store. */
enum kv_status basket_line_price(struct kv *kv, const struct basket_line *line,
                                 struct basket_line_price *p);
/* A line whose price is unknown, or by now in another currency than the first's, counts as
 * unknown and is left out of the sums. */
enum kv_status basket_totals(struct kv *kv, const struct basket *b, struct basket_totals *t);
/* The same, and each line's price in `prices`, which has room for them or is NULL. What they point
 * to lives as a slice of kv_get() does. */
enum kv_status basket_prices(struct kv *kv, const struct basket *b,
                             struct basket_line_price *prices,
                             struct basket_totals *t);

/* "Open", "Saved", ... and back; false for another word. */
const char *basket_status_text(enum basket_status s);
bool basket_status_read(struct slice text, enum basket_status *s);

#endif
