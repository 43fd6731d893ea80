/* transfer.h -- the records of another shop's dump, judged and put into the store.
 *
 * Ids stay what they were: of customers, baskets, lines and what was chosen for those; the
 * counters move beyond them. What is there already stays, unless `update` is set: then the
 * newer one wins, and of customers, which have no date, the dump's. An id that is another's
 * here is refused, never shared.
 * Memory  one struct transfer, static: it holds baskets.
 * Errors  enum kv_status of the store; a record that cannot be taken is given to `bad`.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "basket.h"
#include "config.h"
#include "gather.h"
#include "password.h"
#include "session.h"

/* Why a record that is sound is not taken over. */
enum transfer_left {
	LEFT_CLOSED,            /* a basket that was merged or submitted, */
	LEFT_FROZEN,            /* frozen without lines; its lines too */
	LEFT_NO_QUANTITY,       /* a line of quantity 0 */
	LEFT_EXPIRED,           /* a session's date is over */
	LEFT_COOKIE,            /* a session of a cookie: another id makes its key here */
	LEFT_PASSWORD,          /* its user has another password by now */
	LEFT_DISABLED,          /* its user may not log in */
	LEFT_NOTHING,           /* a guest's session without a basket */
	TRANSFER_LEFTS
};

#define TRANSFER_ALGORITHMS  16         /* of passwords, counted by name */
#define TRANSFER_NAME_MAX    24
#define TRANSFER_TEXT_MAX    (2 * RECORD_BASKET_MAX)

struct transfer_count {
	uint64_t added, changed, same, left, bad;
};

struct transfer {
	struct kv *kv;                  /* NULL: there is no store yet (dry) */
	const struct config *config;
	struct slice secret;            /* of Session-Ids */
	const uint8_t *seal_key;        /* SEAL_KEY_LEN */
	uint64_t now_us;
	bool dry;                       /* judge, put nothing */
	bool update;
	session_put *fresh;             /* a new store: takes its sessions' entries; else NULL */
	gather_bad *bad;
	void *context;
	/* What became of them. */
	struct transfer_count count[DUMP_KINDS];
	uint64_t left[TRANSFER_LEFTS];
	uint64_t joined;                /* open baskets that went into their owner's oldest */
	struct {
		char name[TRANSFER_NAME_MAX];
		bool usable;
		uint64_t customers;
	} algorithms[TRANSFER_ALGORITHMS];
	size_t algorithm_count;
	/* Its own: the product and the basket that others may follow. */
	enum dump_kind open;            /* DUMP_PRODUCT, DUMP_BASKET, or DUMP_OTHER: none */
	bool counted, stocked;
	struct product_record product;
	char product_text[RECORD_VALUE_MAX];
	bool wanted, owned;             /* the basket: taken over; its owner is in the dump: */
	struct slice login;             /* his login there */
	struct basket cart, other;
	struct buf text;                /* of `cart` */
	char text_bytes[TRANSFER_TEXT_MAX];
};

/* Puts what gather_next() gave, in the transaction at hand (dry: none; kv holds a snapshot).
 * Products and baskets wait for what follows them. */
enum kv_status transfer_put(struct transfer *t, const struct dump_record *r);

/* Puts what still waits. */
enum kv_status transfer_end(struct transfer *t);

/* A sentence for each reason. */
const char *transfer_left_text(enum transfer_left why);

#endif
