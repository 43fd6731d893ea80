/* ledger.h -- shoppers who write, and the plain model of what each must find again.
 *
 * Every shopper is a customer with one Session-Id: he logs in and out, keeps a number with his
 * session, and puts things into a basket, as a guest or as himself. A login takes the guest's
 * basket into the customer's: one request that changes two baskets and two sessions, so that
 * half of it would show.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "basket.h"
#include "customer.h"
#include "product.h"
#include "session.h"
#include "sid.h"
#include "torture.h"

#define SHOPPERS    6
#define LEDGER_TEXT 8192

struct shopper_state {
	bool in;                        /* logged in */
	uint32_t number;                /* kept with the session; 0: none */
	uint32_t own, guest;            /* pieces in the customer's basket, and in the guest's */
};

static uint8_t ledger_keys[SHOPPERS][2][RECORD_SESSION_KEY_LEN];        /* by enum sid_type */

static inline const char *ledger_login(unsigned i)
{
	static char text[16];

	snprintf(text, sizeof text, "shopper%u", i);
	return text;
}

static inline void ledger_keys_make(struct slice secret)
{
	char text[64];
	struct sid s;

	for (unsigned i = 0; i < SHOPPERS; i++) {
		snprintf(text, sizeof text, "SID:ANON:shop.example.com:s%u", i);
		assert_int_equal(sid_parse(slice_of(text), SID_STRICT, &s), SID_OK);
		sid_key(&s, SID_ANON, secret, ledger_keys[i][SID_ANON]);
		sid_key(&s, SID_AUTH, secret, ledger_keys[i][SID_AUTH]);
	}
}

/* In the open batch: what they buy. */
static inline void ledger_add_product(struct kv *kv)
{
	const struct product_record r = {
		.id = SLICE("1"), .name = SLICE("Mug"), .currency = SLICE("EUR"),
		.price_e4 = 100000, .stock = UINT32_MAX, .max_quantity = UINT32_MAX,
	};
	enum kv_status status;

	assert_int_equal(product_put(kv, &r, &status), PRODUCT_OK);
}

/* A number and, so that records of all sizes are written, a filling of some length. */
static inline void ledger_draw_body(char *out, size_t cap, uint32_t number)
{
	snprintf(out, cap, "{\"n\":%u,\"filling\":\"%0*d\"}", number, 1 + (int)below(3800), 0);
}

/* Draws the next request of shopper `i`, who is in the state `*now`, and writes it to `out`;
 * `*after` is his state once it is acknowledged. */
static inline void ledger_draw(unsigned i, const struct shopper_state *now,
                               struct shopper_state *after, char out[LEDGER_TEXT])
{
	const char *line = "POST /api/basket/add-product/", *type = now->in ? "AUTH" : "ANON";
	uint32_t what = below(4), pieces = 1 + below(3);
	char body[4096] = "";

	*after = *now;
	if (what < 2) {
		snprintf(body, sizeof body, "{\"url\":\"/api/products/1/\",\"quantity\":%u}",
		         pieces);
		*(now->in ? &after->own : &after->guest) += pieces;
	} else if (!now->in) {
		line = "POST /session/login";
		snprintf(body, sizeof body, "{\"login\":\"%s\"}", ledger_login(i));
		*after = (struct shopper_state){ true, 0, now->own + now->guest, 0 };
	} else if (what == 2) {
		line = "PATCH /session/data";
		ledger_draw_body(body, sizeof body, ++after->number);
	} else {
		line = "DELETE /session";
		after->in = false;
		after->number = 0;
	}
	snprintf(out, LEDGER_TEXT, "%s HTTP/1.1\r\nHost: shop.example.com\r\nX-Api-Key: k\r\n"
	         "Session-Id: SID:%s:shop.example.com:s%u\r\nContent-Type: application/json\r\n"
	         "Content-Length: %zu\r\n\r\n%s", line, type, i, strlen(body), body);
}

/* The pieces in a basket; 0: there is none. False: the store contradicts itself. */
static inline bool ledger_pieces(struct kv *kv, uint64_t id, uint64_t now_s, uint32_t *pieces)
{
	static struct basket b;

	*pieces = 0;
	if (id == 0)
		return true;
	if (basket_get(kv, id, now_s, &b) != KV_OK)
		return false;
	for (uint32_t i = 0; i < b.line_count; i++)
		*pieces += b.lines[i].quantity;
	return true;
}

/* What the snapshot at hand says of shopper `i`. False: the store fails or contradicts itself. */
static inline bool ledger_observe(struct kv *kv, unsigned i, uint64_t now_s,
                                  struct shopper_state *s)
{
	struct session_record auth, guest = { 0 };
	struct customer_record customer;
	struct slice json;
	enum kv_status status = session_find(kv, ledger_keys[i][SID_AUTH], now_s, &auth);

	*s = (struct shopper_state){ .in = status == KV_OK };
	if (status != KV_OK && status != KV_NOT_FOUND)
		return false;
	status = session_data(kv, ledger_keys[i][SID_AUTH], now_s, &json);
	if (status == KV_OK && slice_starts(json, SLICE("{\"n\":")))
		s->number = (uint32_t)strtoul(json.ptr + 5, NULL, 10);
	else if (status != KV_NOT_FOUND)
		return false;
	if (customer_find(kv, slice_of(ledger_login(i)), &customer) != KV_OK ||
	    (s->in && (auth.customer_id != customer.id || auth.basket_id != customer.basket_id)))
		return false;
	status = session_find(kv, ledger_keys[i][SID_ANON], now_s, &guest);
	return (status == KV_OK || status == KV_NOT_FOUND) &&
	       ledger_pieces(kv, customer.basket_id, now_s, &s->own) &&
	       ledger_pieces(kv, guest.basket_id, now_s, &s->guest);
}

static inline bool ledger_equal(const struct shopper_state *a, const struct shopper_state *b)
{
	return a->in == b->in && a->number == b->number && a->own == b->own &&
	       a->guest == b->guest;
}

#endif
