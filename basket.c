/* basket.c -- see basket.h.
 *
 * (1) Lines stand by id, their options in the order of the lines, without gaps.
 * (2) No line has a quantity of 0.
 * (3) The sweep's entry of a basket stands at due_s, which is never later than its expiry; it
 *     stays put while the basket is renewed, and the sweep files it anew.
 */
#include <assert.h>

#include "basket.h"
#include "log.h"

#define NONE UINT32_MAX         /* no line */

static const char *const status_text[BASKET_STATUSES] = {
	[BASKET_OPEN]      = "Open",
	[BASKET_SAVED]     = "Saved",
	[BASKET_FROZEN]    = "Frozen",
	[BASKET_SUBMITTED] = "Submitted",
	[BASKET_MERGED]    = "Merged",
};

const char *basket_status_text(enum basket_status s)
{
	return (unsigned)s < BASKET_STATUSES ? status_text[s] : "unknown";
}

bool basket_status_read(struct slice text, enum basket_status *s)
{
	for (unsigned i = 0; i < BASKET_STATUSES; i++)
		if (slice_eq(text, slice_of(status_text[i]))) {
			*s = (enum basket_status)i;
			return true;
		}
	return false;
}

/* The number that a counter gives next. */
static enum kv_status peek_id(struct kv *kv, const char *counter, uint64_t *id)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_meta_key(&key, counter), &value);

	*id = 1;
	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	return record_number_read(value, id) ? KV_OK : KV_IO;
}

static enum kv_status put_counter(struct kv *kv, const char *counter, uint64_t next)
{
	struct record_key key;
	char bytes[8];
	struct buf value = BUF(bytes);

	record_number_write(&value, next);
	return kv_put(kv, record_meta_key(&key, counter), buf_slice(&value));
}

/* Gives `count` ids: `*id` and those behind it. */
static enum kv_status take_ids(struct kv *kv, const char *counter, uint32_t count, uint64_t *id)
{
	enum kv_status status = peek_id(kv, counter, id);

	return status == KV_OK && count > 0 ? put_counter(kv, counter, *id + count) : status;
}

static enum kv_status lift_counter(struct kv *kv, const char *counter, uint64_t used)
{
	uint64_t next;
	enum kv_status status = peek_id(kv, counter, &next);

	if (status != KV_OK || next > used)
		return status;
	return used <= INT64_MAX ? put_counter(kv, counter, used + 1) : KV_IO;
}

enum kv_status basket_next_ids(struct kv *kv, struct basket_ids *next)
{
	enum kv_status status = peek_id(kv, RECORD_NEXT_BASKET, &next->basket);

	if (status == KV_OK)
		status = peek_id(kv, RECORD_NEXT_LINE, &next->line);
	return status == KV_OK ? peek_id(kv, RECORD_NEXT_OPTION, &next->option) : status;
}

enum kv_status basket_reserve_ids(struct kv *kv, uint64_t basket, uint64_t line,
                                  uint64_t option)
{
	enum kv_status status = lift_counter(kv, RECORD_NEXT_BASKET, basket);

	if (status == KV_OK)
		status = lift_counter(kv, RECORD_NEXT_LINE, line);
	return status == KV_OK ? lift_counter(kv, RECORD_NEXT_OPTION, option) : status;
}

enum kv_status basket_make(struct kv *kv, struct basket *b, uint64_t customer_id,
                           const uint8_t *guest, uint64_t now_us)
{
	b->customer_id = customer_id;
	memset(b->guest, 0, sizeof b->guest);
	if (guest != NULL)
		memcpy(b->guest, guest, sizeof b->guest);
	b->status = BASKET_OPEN;
	b->carried = false;
	b->version = 0;
	b->created_us = b->updated_us = now_us;
	b->merged_us = b->submitted_us = 0;
	b->expires_s = b->due_s = RECORD_NEVER;
	b->email = b->currency = (struct slice){ 0 };
	b->line_count = b->option_count = 0;
	return take_ids(kv, RECORD_NEXT_BASKET, 1, &b->id);
}

/* Copies the record: the basket owns its strings then, over any put. */
static bool load(struct slice value, struct basket *b)
{
	if (value.len > sizeof b->text)
		return false;
	memcpy(b->text, value.ptr, value.len);
	return record_basket_read((struct slice){ b->text, value.len }, b);
}

enum kv_status basket_get(struct kv *kv, uint64_t id, uint64_t now_s, struct basket *b)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_basket_key(&key, id), &value);

	if (status != KV_OK)
		return status;
	if (!load(value, b))
		return KV_IO;
	return now_s >= b->expires_s ? KV_NOT_FOUND : KV_OK;
}

/* Seconds that it lives without use; 0: for ever. What an order system holds is its own. */
static uint64_t idle_life(const struct config *config, const struct basket *b)
{
	switch ((enum basket_status)b->status) {
	case BASKET_OPEN:
	case BASKET_SAVED:
		return b->line_count > 0 ? config->basket_ttl_s : config->empty_basket_ttl_s;
	case BASKET_MERGED:
		return config->empty_basket_ttl_s;
	case BASKET_FROZEN:
	case BASKET_SUBMITTED:
	case BASKET_STATUSES:
		break;
	}
	return 0;
}

static uint64_t expiry(const struct config *config, const struct basket *b, uint64_t now_s)
{
	uint64_t life = idle_life(config, b);

	return life == 0 ? RECORD_NEVER : now_s + life;
}

bool basket_renewal_due(const struct config *config, const struct basket *b, uint64_t now_s)
{
	uint64_t renewed = expiry(config, b, now_s);
	uint64_t step = (idle_life(config, b) + 9) / 10;

	if (b->status == BASKET_MERGED || renewed <= b->expires_s)
		return false;
	return renewed - b->expires_s >= step;
}

static struct slice sweep_key(struct record_key *k, uint64_t id, uint64_t due_s)
{
	struct record_key of;

	return record_sweep_key(k, due_s, record_basket_key(&of, id));
}

/* A trace may be gone already. */
static enum kv_status del_if_there(struct kv *kv, struct slice key)
{
	enum kv_status status = kv_del(kv, key);

	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Has the sweep come by no later than the basket expires: invariant (3). */
static enum kv_status file_due(struct kv *kv, struct basket *b)
{
	struct record_key key;
	enum kv_status status = KV_OK;

	if (b->due_s <= b->expires_s)
		return KV_OK;
	if (b->due_s != RECORD_NEVER)
		status = del_if_there(kv, sweep_key(&key, b->id, b->due_s));
	if (status != KV_OK)
		return status;
	b->due_s = b->expires_s;
	return kv_put(kv, sweep_key(&key, b->id, b->due_s), SLICE(""));
}

/* The customer's list names it. */
static enum kv_status file_owner(struct kv *kv, const struct basket *b)
{
	struct record_key key;
	struct slice value;
	enum kv_status status;

	if (b->customer_id == 0)
		return KV_OK;
	status = kv_get(kv, record_baskets_of_key(&key, b->customer_id, b->id), &value);
	if (status != KV_NOT_FOUND)
		return status;
	return kv_put(kv, record_baskets_of_key(&key, b->customer_id, b->id), SLICE(""));
}

/* What it borrowed is its own then; of a merged one it may still be borrowed by the other. */
static enum kv_status put_record(struct kv *kv, struct basket *b)
{
	char bytes[RECORD_BASKET_MAX];
	struct buf value = BUF(bytes);
	struct record_key key;
	enum kv_status status;

	if (record_basket_bytes(b) > sizeof bytes)
		return KV_FULL;
	if (!record_basket_write(&value, b))
		return KV_IO;
	status = kv_put(kv, record_basket_key(&key, b->id), buf_slice(&value));
	if (status == KV_OK && b->status != BASKET_MERGED && !load(buf_slice(&value), b))
		return KV_IO;
	return status;
}

enum kv_status basket_put(struct kv *kv, const struct config *config, struct basket *b,
                          bool changed, uint64_t now_us)
{
	enum kv_status status;

	if (changed) {
		b->version++;
		b->updated_us = now_us;
	}
	b->expires_s = expiry(config, b, now_us / 1000000);
	status = file_due(kv, b);
	if (status == KV_OK)
		status = file_owner(kv, b);
	return status == KV_OK ? put_record(kv, b) : status;
}

static enum kv_status remove_all(struct kv *kv, const struct basket *b)
{
	struct record_key key;
	enum kv_status status = KV_OK;

	if (b->due_s != RECORD_NEVER)
		status = del_if_there(kv, sweep_key(&key, b->id, b->due_s));
	if (status == KV_OK && b->customer_id != 0)
		status = del_if_there(kv, record_baskets_of_key(&key, b->customer_id, b->id));
	return status == KV_OK ? kv_del(kv, record_basket_key(&key, b->id)) : status;
}

enum kv_status basket_delete(struct kv *kv, uint64_t id)
{
	struct basket b;
	enum kv_status status = basket_get(kv, id, 0, &b);

	return status == KV_OK ? remove_all(kv, &b) : status;
}

enum kv_status basket_sweep_one(struct kv *kv, struct slice key, uint64_t due_s, uint64_t now_s,
                                struct basket_swept *swept)
{
	struct basket b;
	struct record_key entry;
	enum kv_status status;

	*swept = (struct basket_swept){ .gone = false };
	if (!record_basket_key_read(key, &b.id))
		return KV_IO;
	status = basket_get(kv, b.id, 0, &b);
	if (status == KV_IO)
		log_event(LOG_ERROR, "basket_unreadable", "due=%llu", (unsigned long long)due_s);
	if (status != KV_OK || b.due_s != due_s)
		return del_if_there(kv, record_sweep_key(&entry, due_s, key));
	if (b.expires_s <= now_s) {
		swept->gone = true;
		swept->id = b.id;
		swept->customer_id = b.customer_id;
		memcpy(swept->guest, b.guest, sizeof swept->guest);
		return remove_all(kv, &b);
	}
	status = del_if_there(kv, record_sweep_key(&entry, due_s, key));
	b.due_s = RECORD_NEVER;
	if (status == KV_OK)
		status = file_due(kv, &b);
	return status == KV_OK ? put_record(kv, &b) : status;
}

enum kv_status basket_next_of(struct kv *kv, uint64_t customer_id, uint64_t *id)
{
	struct record_key prefix, place = { .len = 0 };
	struct slice key, value;
	uint64_t owner;
	enum kv_status status;

	if (*id > 0)
		record_baskets_of_key(&place, customer_id, *id);
	status = kv_scan(kv, record_baskets_of_prefix(&prefix, customer_id),
	                 slice_bytes(place.bytes, place.len), &key, &value);
	if (status != KV_OK)
		return status;
	return record_baskets_of_key_read(key, &owner, id) ? KV_OK : KV_IO;
}

enum kv_status basket_next(struct kv *kv, uint64_t *id, struct basket *b)
{
	static const char kind = RECORD_BASKET;
	struct record_key place = { .len = 0 };
	struct slice key, value;
	enum kv_status status;

	if (*id > 0)
		record_basket_key(&place, *id);
	status = kv_scan(kv, (struct slice){ &kind, 1 }, slice_bytes(place.bytes, place.len),
	                 &key, &value);
	if (status != KV_OK)
		return status;
	if (!record_basket_key_read(key, id) || !load(value, b))
		return KV_IO;
	return KV_OK;
}

bool basket_find_line(const struct basket *b, uint64_t id, uint32_t *line)
{
	uint32_t low = 0, high = b->line_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (b->lines[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	*line = low;
	return low < b->line_count && b->lines[low].id == id;
}

static bool is_open(const struct basket *b)
{
	return b->status == BASKET_OPEN || b->status == BASKET_SAVED;
}

static uint32_t count_option(const struct basket_option *options, uint32_t count,
                             const struct basket_option *o)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < count; i++)
		found += slice_eq(options[i].option, o->option) &&
		         slice_eq(options[i].value, o->value);
	return found;
}

/* The same ones, each as often, in any order. */
static bool same_options(const struct basket_option *a, const struct basket_option *b,
                         uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (count_option(a, count, &a[i]) != count_option(b, count, &a[i]))
			return false;
	return true;
}

static bool same_price(const struct basket_line *l, const struct basket_price *price)
{
	if (price == NULL)
		return !l->priced;
	return l->priced && l->price_e4 == price->price_e4 && slice_eq(l->name, price->name) &&
	       slice_eq(l->currency, price->currency);
}

/* The line that is equal to the item (basket.h); NONE where none is. */
static uint32_t find_equal(const struct basket *b, const struct basket_item *item)
{
	for (uint32_t i = 0; i < b->line_count; i++) {
		const struct basket_line *l = &b->lines[i];

		if (slice_eq(l->product, item->product) && same_price(l, item->price) &&
		    l->option_count == item->option_count &&
		    same_options(&b->options[l->first_option], item->options, l->option_count))
			return i;
	}
	return NONE;
}

static bool is_text(struct slice s, size_t min, size_t max)
{
	return s.len >= min && s.len <= max && slice_is_text(s);
}

static bool price_valid(const struct basket_price *p)
{
	return p->price_e4 >= 0 && p->price_e4 <= MONEY_PRICE_MAX_E4 && p->discount_cents >= 0 &&
	       p->discount_cents <= MONEY_CENTS_MAX && is_text(p->name, 0, RECORD_TEXT_MAX) &&
	       money_currency_valid(p->currency);
}

static bool item_valid(const struct basket_item *item)
{
	for (uint32_t i = 0; i < item->option_count; i++)
		if (!is_text(item->options[i].option, 1, RECORD_OPTION_MAX) ||
		    !is_text(item->options[i].value, 0, RECORD_OPTION_MAX))
			return false;
	return item->price == NULL || price_valid(item->price);
}

static enum basket_error store_failed(struct basket_change *change, enum kv_status status)
{
	change->status = status;
	return BASKET_STORE;
}

static enum basket_error over(struct basket_change *change, enum basket_error error,
                              uint32_t bound)
{
	change->bound = bound;
	return error;
}

/* The quantity of all lines of a product; of all lines where `product` is absent. */
static uint64_t quantity_of(const struct basket *b, struct slice product)
{
	uint64_t quantity = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		if (!slice_given(product) || slice_eq(b->lines[i].product, product))
			quantity += b->lines[i].quantity;
	return quantity;
}

/* Finds what an item is: `*r` without price where the price book does not have it and its own
 * price makes up for that. */
static enum basket_error find_product(struct slice product, bool priced,
                                      struct basket_change *change, struct product_record *r)
{
	enum kv_status status = product_get(change->kv, product, r);

	if (status == KV_OK)
		return BASKET_OK;
	if (status != KV_NOT_FOUND)
		return store_failed(change, status);
	if (!priced || !product_id_valid(product))
		return BASKET_UNKNOWN_PRODUCT;
	*r = (struct product_record){
		.price_e4 = -1, .stock = UINT32_MAX, .max_quantity = UINT32_MAX,
	};
	return BASKET_OK;
}

/* Whether there may be `more` of a product. */
static enum basket_error check_growth(const struct basket *b, struct slice product,
                                      const struct product_record *r, uint64_t more,
                                      struct basket_change *change)
{
	uint32_t available = product_available(r), most = change->config->max_quantity;

	if (available == 0)
		return BASKET_NO_STOCK;
	if (available < UINT32_MAX && quantity_of(b, product) + more > available)
		return over(change, BASKET_OVER_STOCK, available);
	if (quantity_of(b, (struct slice){ 0 }) + more > most)
		return over(change, BASKET_OVER_QUANTITY, most);
	return BASKET_OK;
}

static enum kv_status line_currency(struct kv *kv, const struct basket_line *l,
                                    struct slice *currency)
{
	struct product_record r;
	enum kv_status status = KV_OK;

	*currency = l->currency;
	if (!l->priced) {
		status = product_get(kv, l->product, &r);
		*currency = status == KV_OK ? r.currency : (struct slice){ 0 };
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* That of the first other line than `except` that has a known one, or else the one that was asked
 * for, or none. */
static enum kv_status currency_of(struct kv *kv, const struct basket *b, uint32_t except,
                                  struct slice *currency)
{
	enum kv_status status = KV_OK;

	for (uint32_t i = 0; i < b->line_count && status == KV_OK; i++) {
		if (i == except)
			continue;
		status = line_currency(kv, &b->lines[i], currency);
		if (currency->len > 0)
			return status;
	}
	*currency = b->currency;
	return status;
}

static enum basket_error check_currency(const struct basket *b, uint32_t except,
                                        struct slice currency, struct basket_change *change)
{
	struct slice known;
	enum kv_status status = currency_of(change->kv, b, except, &known);

	if (status != KV_OK)
		return store_failed(change, status);
	return known.len == 0 || slice_eq(known, currency) ? BASKET_OK : BASKET_OTHER_CURRENCY;
}

static void touch(struct basket_line *l, const struct basket_change *change)
{
	l->version++;
	l->updated_us = change->now_us;
}

static void add_discount(struct basket_line *l, int64_t cents)
{
	int64_t room = MONEY_CENTS_MAX - l->discount_cents;

	l->discount_cents += cents < room ? cents : room;
}

static void remove_line(struct basket *b, uint32_t at)
{
	uint32_t first = b->lines[at].first_option, count = b->lines[at].option_count;

	b->line_count--;
	b->option_count -= count;
	memmove(&b->lines[at], &b->lines[at + 1], (b->line_count - at) * sizeof b->lines[0]);
	memmove(&b->options[first], &b->options[first + count],
	        (b->option_count - first) * sizeof b->options[0]);
	for (uint32_t i = at; i < b->line_count; i++)
		b->lines[i].first_option -= count;
}

/* Puts a line in its place by id; NONE where there is no room for it. */
static uint32_t insert_line(struct basket *b, const struct basket_line *l,
                            const struct basket_option *options, const struct config *config)
{
	uint32_t at = b->line_count, first, count = l->option_count;

	if (b->line_count >= config->max_lines || count > BASKET_OPTIONS_MAX - b->option_count)
		return NONE;
	while (at > 0 && b->lines[at - 1].id > l->id)
		at--;
	first = at < b->line_count ? b->lines[at].first_option : b->option_count;
	memmove(&b->lines[at + 1], &b->lines[at], (b->line_count - at) * sizeof b->lines[0]);
	memmove(&b->options[first + count], &b->options[first],
	        (b->option_count - first) * sizeof b->options[0]);
	if (count > 0)
		memcpy(&b->options[first], options, count * sizeof b->options[0]);
	b->lines[at] = *l;
	b->lines[at].first_option = first;
	b->line_count++;
	b->option_count += count;
	for (uint32_t i = at + 1; i < b->line_count; i++)
		b->lines[i].first_option += count;
	if (record_basket_bytes(b) <= RECORD_BASKET_MAX)
		return at;
	remove_line(b, at);
	return NONE;
}

static void set_price(struct basket_line *l, const struct basket_price *price)
{
	l->priced = price != NULL;
	l->price_e4 = price != NULL ? price->price_e4 : 0;
	l->discount_cents = price != NULL ? price->discount_cents : 0;
	l->name = price != NULL ? price->name : (struct slice){ 0 };
	l->currency = price != NULL ? price->currency : (struct slice){ 0 };
}

/* The last line gets its ids, and those of its options. */
static enum kv_status number_line(struct basket *b, uint32_t at, struct kv *kv)
{
	struct basket_line *l = &b->lines[at];
	uint64_t option_id;
	enum kv_status status = take_ids(kv, RECORD_NEXT_LINE, 1, &l->id);

	if (status == KV_OK)
		status = take_ids(kv, RECORD_NEXT_OPTION, l->option_count, &option_id);
	if (status != KV_OK) {
		remove_line(b, at);
		return status;
	}
	for (uint32_t i = 0; i < l->option_count; i++)
		b->options[l->first_option + i].id = option_id + i;
	return KV_OK;
}

static enum basket_error append_line(struct basket *b, const struct basket_item *item,
                                     uint32_t quantity, struct basket_change *change,
                                     uint32_t *line)
{
	struct basket_line l = {
		.id = UINT64_MAX,       /* until it is known that there is room: at the end */
		.created_us = change->now_us, .updated_us = change->now_us, .version = 1,
		.quantity = quantity, .option_count = item->option_count, .product = item->product,
	};
	enum kv_status status;
	uint32_t at;

	set_price(&l, item->price);
	at = insert_line(b, &l, item->options, change->config);
	if (at == NONE)
		return BASKET_TOO_MANY_LINES;
	status = number_line(b, at, change->kv);
	if (status != KV_OK)
		return store_failed(change, status);
	*line = at;
	return BASKET_OK;
}

static enum basket_error lower_line(struct basket *b, uint32_t at, uint64_t by,
                                    struct basket_change *change, uint32_t *line)
{
	if (at == NONE)
		return BASKET_NEGATIVE;
	if (by >= b->lines[at].quantity) {
		remove_line(b, at);
		return BASKET_OK;
	}
	b->lines[at].quantity -= (uint32_t)by;
	touch(&b->lines[at], change);
	*line = at;
	return BASKET_OK;
}

/* True where each is one of the product's options, `codes`, and there once. */
static bool options_known(const struct basket_item *item, struct slice codes)
{
	for (uint32_t i = 0; i < item->option_count; i++) {
		struct slice rest = codes, option = item->options[i].option;
		bool known = false;

		while (!known && slice_given(rest))
			known = slice_eq(slice_cut(&rest, ','), option);
		for (uint32_t j = 0; j < i; j++)
			known = known && !slice_eq(item->options[j].option, option);
		if (!known)
			return false;
	}
	return true;
}

/* Judges an item that `quantity` is to be added of, and which `at` is the line of. */
static enum basket_error check_item(const struct basket *b, const struct basket_item *item,
                                    uint64_t quantity, uint32_t at,
                                    struct basket_change *change)
{
	struct product_record r;
	enum basket_error error = find_product(item->product, item->price != NULL, change, &r);

	if (error != BASKET_OK || quantity == 0)
		return error;
	if (item->price == NULL && r.price_e4 < 0)
		return BASKET_UNAVAILABLE;
	if (item->known_options && !options_known(item, r.options))
		return BASKET_UNKNOWN_OPTION;
	error = check_growth(b, item->product, &r, quantity, change);
	if (error != BASKET_OK || at != NONE)
		return error;
	return check_currency(b, NONE, item->price != NULL ? item->price->currency : r.currency,
	                      change);
}

enum basket_error basket_add(struct basket *b, const struct basket_item *item, int64_t quantity,
                             struct basket_change *change, uint32_t *line)
{
	enum basket_error error;
	uint32_t at;

	*line = NONE;
	if (!is_open(b))
		return BASKET_CLOSED;
	if (!item_valid(item))
		return BASKET_BAD_ITEM;
	at = item->own_line ? NONE : find_equal(b, item);
	if (quantity < 0)
		return lower_line(b, at, -(uint64_t)quantity, change, line);
	error = check_item(b, item, (uint64_t)quantity, at, change);
	if (error != BASKET_OK)
		return error;
	if (at == NONE)
		return quantity == 0 ? BASKET_OK :
		       append_line(b, item, (uint32_t)quantity, change, line);
	*line = at;
	if (quantity == 0)
		return BASKET_OK;
	b->lines[at].quantity += (uint32_t)quantity;
	if (item->price != NULL)
		add_discount(&b->lines[at], item->price->discount_cents);
	touch(&b->lines[at], change);
	return BASKET_OK;
}

/* Whether the line is there and may change. */
static enum basket_error check_line(const struct basket *b, uint32_t line)
{
	if (line >= b->line_count)
		return BASKET_UNKNOWN_LINE;
	return is_open(b) ? BASKET_OK : BASKET_CLOSED;
}

enum basket_error basket_set_quantity(struct basket *b, uint32_t line, uint32_t quantity,
                                      struct basket_change *change)
{
	enum basket_error error = check_line(b, line);
	struct basket_line *l;
	struct product_record r;

	if (error != BASKET_OK)
		return error;
	l = &b->lines[line];
	if (l->quantity == quantity)
		return BASKET_OK;
	if (quantity == 0) {
		remove_line(b, line);
		return BASKET_OK;
	}
	if (quantity > l->quantity) {
		error = find_product(l->product, l->priced, change, &r);
		if (error == BASKET_OK && !l->priced && r.price_e4 < 0)
			error = BASKET_UNAVAILABLE;
		if (error == BASKET_OK)
			error = check_growth(b, l->product, &r, quantity - l->quantity, change);
	}
	if (error != BASKET_OK)
		return error;
	l->quantity = quantity;
	touch(l, change);
	return BASKET_OK;
}

enum basket_error basket_set_price(struct basket *b, uint32_t line,
                                   const struct basket_price *price,
                                   struct basket_change *change)
{
	enum basket_error error = check_line(b, line);
	struct basket_line *l, before;
	struct product_record r;

	if (error != BASKET_OK)
		return error;
	l = &b->lines[line];
	if (price != NULL && !price_valid(price))
		return BASKET_BAD_ITEM;
	error = find_product(l->product, price != NULL, change, &r);
	if (error == BASKET_OK && price == NULL && r.price_e4 < 0)
		error = BASKET_UNAVAILABLE;
	if (error == BASKET_OK)
		error = check_currency(b, line, price != NULL ? price->currency : r.currency,
		                       change);
	if (error != BASKET_OK)
		return error;
	before = *l;
	set_price(l, price);
	touch(l, change);
	if (record_basket_bytes(b) <= RECORD_BASKET_MAX)
		return BASKET_OK;
	*l = before;
	return BASKET_TOO_MANY_LINES;
}

enum basket_error basket_set_option(struct basket *b, uint32_t line, uint32_t option,
                                    struct slice value, struct basket_change *change)
{
	enum basket_error error = check_line(b, line);
	struct basket_line *l;
	struct slice before;

	if (error != BASKET_OK)
		return error;
	l = &b->lines[line];
	if (option < l->first_option || option - l->first_option >= l->option_count)
		return BASKET_UNKNOWN_LINE;
	if (!is_text(value, 0, RECORD_OPTION_MAX))
		return BASKET_BAD_ITEM;
	before = b->options[option].value;
	b->options[option].value = value;
	if (record_basket_bytes(b) > RECORD_BASKET_MAX) {
		b->options[option].value = before;
		return BASKET_TOO_MANY_LINES;
	}
	touch(l, change);
	return BASKET_OK;
}

enum basket_error basket_remove(struct basket *b, uint32_t line, struct basket_change *change)
{
	enum basket_error error = check_line(b, line);

	(void)change;
	if (error == BASKET_OK)
		remove_line(b, line);
	return error;
}

enum basket_error basket_set_email(struct basket *b, struct slice email,
                                   struct basket_change *change)
{
	struct slice before = b->email;

	(void)change;
	if (!is_open(b))
		return BASKET_CLOSED;
	if (!is_text(email, 1, RECORD_TEXT_MAX))
		return BASKET_BAD_ITEM;
	b->email = email;
	if (record_basket_bytes(b) <= RECORD_BASKET_MAX)
		return BASKET_OK;
	b->email = before;
	return BASKET_TOO_MANY_LINES;
}

enum basket_error basket_set_currency(struct basket *b, struct slice currency,
                                      struct basket_change *change)
{
	struct slice before = b->currency;
	enum basket_error error;

	if (!is_open(b))
		return BASKET_CLOSED;
	if (!money_currency_valid(currency))
		return BASKET_BAD_ITEM;
	b->currency = (struct slice){ 0 };
	error = check_currency(b, NONE, currency, change);
	b->currency = error == BASKET_OK ? currency : before;
	if (record_basket_bytes(b) <= RECORD_BASKET_MAX)
		return error;
	b->currency = before;
	return BASKET_TOO_MANY_LINES;
}

/* A line of a merge, and where its options stand in an order of their own. */
struct merge_line {
	const struct basket_line *line;         /* into's: until its lines move */
	void **options;
	uint32_t product, kind;                 /* numbers: lines of a kind are equal */
};

/* What a merge knows of all lines, into's before from's, so that none is compared with each
 * other one: two baskets of BASKET_LINES_MAX are to hold up nobody. */
struct merging {
	struct basket_change *change;
	struct slice currency;                  /* into's; empty: none is known yet */
	uint64_t all;                           /* quantity of into's lines */
	uint32_t moved;                         /* from's lines that move: its first so many */
	uint32_t line_count, option_count;      /* into's, with those that move, */
	size_t bytes;                           /* and of its record */
	struct merge_line lines[2 * BASKET_LINES_MAX];
	void *order[2 * BASKET_LINES_MAX];      /* of `lines`: those of a kind stand together */
	void *options[2 * BASKET_OPTIONS_MAX];
	uint64_t held[2 * BASKET_LINES_MAX];    /* of a product: quantity of into's lines */
	struct basket_line *first[2 * BASKET_LINES_MAX];        /* of a kind; NULL: none */
};

static int option_order(const void *left, const void *right)
{
	const struct basket_option *a = left, *b = right;
	int order = slice_order(a->option, b->option);

	return order != 0 ? order : slice_order(a->value, b->value);
}

static int price_order(const struct basket_line *a, const struct basket_line *b)
{
	int order = a->priced - b->priced;

	if (order == 0)
		order = (a->price_e4 > b->price_e4) - (a->price_e4 < b->price_e4);
	if (order == 0)
		order = slice_order(a->name, b->name);
	return order != 0 ? order : slice_order(a->currency, b->currency);
}

/* 0: they are equal (find_equal). */
static int line_order(const void *left, const void *right)
{
	const struct merge_line *a = left, *b = right;
	uint32_t count = a->line->option_count;
	int order = slice_order(a->line->product, b->line->product);

	if (order == 0)
		order = price_order(a->line, b->line);
	if (order == 0)
		order = (count > b->line->option_count) - (count < b->line->option_count);
	for (uint32_t i = 0; i < count && order == 0; i++)
		order = option_order(a->options[i], b->options[i]);
	return order;
}

/* Puts `one` in its place among `count` others. */
static void put_in_order(void **all, uint32_t count, void *one,
                         int (*order)(const void *, const void *))
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (order(one, all[middle]) < 0)
			high = middle;
		else
			low = middle + 1;
	}
	memmove(&all[low + 1], &all[low], (count - low) * sizeof *all);
	all[low] = one;
}

/* The lines of one basket stand behind `lines` and `options` others. */
static void order_lines(struct merging *m, struct basket *b, uint32_t lines, uint32_t options)
{
	for (uint32_t i = 0; i < b->line_count; i++) {
		struct merge_line *l = &m->lines[lines + i];

		l->line = &b->lines[i];
		l->options = &m->options[options + l->line->first_option];
		for (uint32_t j = 0; j < l->line->option_count; j++)
			put_in_order(l->options, j, &b->options[l->line->first_option + j],
			             option_order);
		put_in_order(m->order, lines + i, l, line_order);
	}
}

static enum kv_status merge_begin(struct merging *m, struct basket *into, struct basket *from,
                                  struct basket_change *change)
{
	struct merge_line *l, *before = NULL;
	uint32_t count = into->line_count + from->line_count, kind = 0, product = 0;

	m->change = change;
	m->all = quantity_of(into, (struct slice){ 0 });
	m->moved = 0;
	m->line_count = into->line_count;
	m->option_count = into->option_count;
	m->bytes = record_basket_bytes(into);
	order_lines(m, into, 0, 0);
	order_lines(m, from, into->line_count, into->option_count);
	for (uint32_t i = 0; i < count; i++, before = l) {
		l = m->order[i];
		kind += before != NULL && line_order(before, l) != 0;
		product += before != NULL && !slice_eq(before->line->product, l->line->product);
		l->kind = kind;
		l->product = product;
		m->held[product] = 0;
		m->first[kind] = NULL;
	}
	for (uint32_t i = into->line_count; i-- > 0; ) {
		l = &m->lines[i];
		m->held[l->product] += l->line->quantity;
		m->first[l->kind] = &into->lines[i];
	}
	return currency_of(change->kv, into, NONE, &m->currency);
}

/* How many more of a line's product may be held; the line's currency, empty where none is known. */
static enum kv_status room_for(const struct merging *m, const struct merge_line *l,
                               uint64_t *room, struct slice *currency)
{
	uint64_t most = m->change->config->max_quantity;
	struct product_record r = { .currency = { 0 } };
	enum kv_status status = product_get(m->change->kv, l->line->product, &r);

	*room = m->all < most ? most - m->all : 0;
	*currency = l->line->priced ? l->line->currency : r.currency;
	if (status == KV_OK && product_available(&r) < UINT32_MAX) {
		uint64_t held = m->held[l->product], available = product_available(&r);
		uint64_t left = held < available ? available - held : 0;

		*room = left < *room ? left : *room;
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static void tell_left(struct basket_left *left, struct slice product, uint64_t asked,
                      uint64_t kept)
{
	if (left->count < BASKET_LEFT_MAX) {
		char *id = left->ids[left->count];

		memcpy(id, product.ptr, product.len);
		left->of[left->count].product = (struct slice){ id, product.len };
		left->of[left->count].asked = (uint32_t)asked;
		left->of[left->count].kept = (uint32_t)kept;
	}
	left->count++;
}

/* A line that `into` has no equal of moves over, or as much of it as fits: 0 where there is no
 * room for it. It keeps its options in `from` until join_lines(). */
static uint64_t move_line(struct merging *m, struct basket *from, const struct merge_line *l,
                          struct slice currency, uint64_t quantity)
{
	struct basket_line moved = *l->line;
	size_t bytes = record_line_bytes(&moved, &from->options[moved.first_option]);

	if (quantity == 0 ||
	    (currency.len > 0 && m->currency.len > 0 && !slice_eq(currency, m->currency)) ||
	    m->line_count >= m->change->config->max_lines ||
	    moved.option_count > BASKET_OPTIONS_MAX - m->option_count ||
	    m->bytes + bytes > RECORD_BASKET_MAX)
		return 0;
	if (m->currency.len == 0)
		m->currency = currency;
	moved.quantity = (uint32_t)quantity;
	touch(&moved, m->change);
	m->line_count++;
	m->option_count += moved.option_count;
	m->bytes += bytes;
	m->first[l->kind] = &from->lines[m->moved];
	from->lines[m->moved++] = moved;        /* which had its turn */
	return quantity;
}

/* What moves has its place among into's lines, which are by id: from the last one down, so that
 * each goes where nobody stands. */
static void join_lines(const struct merging *m, struct basket *into, const struct basket *from)
{
	uint32_t stay = into->line_count, move = m->moved;
	uint32_t at = m->line_count, first = m->option_count;

	into->line_count = at;
	into->option_count = first;
	while (move > 0) {
		bool stays = stay > 0 && into->lines[stay - 1].id > from->lines[move - 1].id;
		const struct basket *b = stays ? into : from;
		struct basket_line *l = &into->lines[--at];

		*l = stays ? into->lines[--stay] : from->lines[--move];
		first -= l->option_count;
		memmove(&into->options[first], &b->options[l->first_option],
		        l->option_count * sizeof b->options[0]);
		l->first_option = first;
	}
}

/* The quantity that a line which has `have` should get, merged with one of `more`. */
static uint64_t wanted(const struct config *config, uint64_t have, uint64_t more)
{
	if (config->basket_merge == BASKET_MERGE_SUM)
		return have + more;
	return config->basket_merge == BASKET_MERGE_MAX && more > have ? more : have;
}

static enum kv_status merge_line(struct merging *m, struct basket *from,
                                 const struct merge_line *l, struct basket_left *left)
{
	const struct config *config = m->change->config;
	struct basket_line *equal = m->first[l->kind];
	uint64_t have = equal != NULL ? equal->quantity : 0, want = l->line->quantity, room, more;
	struct slice currency;
	enum kv_status status = room_for(m, l, &room, &currency);

	if (status != KV_OK)
		return status;
	if (equal != NULL)
		want = wanted(config, have, want);
	more = want - have < room ? want - have : room;
	if (equal == NULL) {
		more = move_line(m, from, l, currency, more);
	} else if (more > 0) {
		equal->quantity += (uint32_t)more;
		if (config->basket_merge == BASKET_MERGE_SUM)
			add_discount(equal, l->line->discount_cents);
		else
			equal->discount_cents = l->line->discount_cents;
		touch(equal, m->change);
	}
	m->held[l->product] += more;
	m->all += more;
	if (have + more < want)
		tell_left(left, l->line->product, want, have + more);
	return KV_OK;
}

enum kv_status basket_merge(struct basket *into, struct basket *from,
                            struct basket_change *change, struct basket_left *left)
{
	struct merging m;
	uint32_t begin = into->line_count;
	enum kv_status status;

	assert(is_open(into) && is_open(from) && into->id != from->id);
	left->count = 0;
	if (into->email.len == 0)
		basket_set_email(into, from->email, change);
	status = merge_begin(&m, into, from, change);
	for (uint32_t i = 0; i < from->line_count && status == KV_OK; i++)
		status = merge_line(&m, from, &m.lines[begin + i], left);
	if (status != KV_OK)
		return status;
	join_lines(&m, into, from);
	from->email = (struct slice){ 0 };
	from->line_count = from->option_count = 0;
	from->status = BASKET_MERGED;
	from->merged_us = change->now_us;
	return KV_OK;
}

enum kv_status basket_line_price(struct kv *kv, const struct basket_line *line,
                                 struct basket_line_price *p)
{
	struct product_record r = { .price_e4 = -1 };
	enum kv_status status = product_get(kv, line->product, &r);

	*p = (struct basket_line_price){ .stockrecord = line->product };
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (status == KV_OK && r.stockrecord.len > 0)
		p->stockrecord = r.stockrecord;
	p->known = line->priced || (status == KV_OK && r.price_e4 >= 0);
	p->name = line->priced && line->name.len > 0 ? line->name : r.name;
	p->currency = line->priced ? line->currency : r.currency;
	p->tax_rate_e6 = r.tax_rate_e6;
	if (!p->known)
		return KV_OK;
	p->unit_e4 = line->priced ? line->price_e4 : r.price_e4;
	p->full_excl_cents = money_line_cents(p->unit_e4, line->quantity);
	if (p->full_excl_cents > line->discount_cents)
		p->excl_cents = p->full_excl_cents - line->discount_cents;
	p->tax_cents = money_tax_cents(p->excl_cents, p->tax_rate_e6);
	p->full_tax_cents = money_tax_cents(p->full_excl_cents, p->tax_rate_e6);
	return KV_OK;
}

static void add_price(struct basket_totals *t, const struct basket_line_price *p)
{
	if (p->known && !slice_given(t->currency))
		t->currency = p->currency;
	if (!p->known || !slice_eq(p->currency, t->currency)) {
		t->tax_known = false;
		return;
	}
	t->excl_cents += p->excl_cents;
	t->tax_cents += p->tax_cents;
	t->full_excl_cents += p->full_excl_cents;
	t->full_tax_cents += p->full_tax_cents;
}

enum kv_status basket_prices(struct kv *kv, const struct basket *b,
                             struct basket_line_price *prices,
                             struct basket_totals *t)
{
	struct basket_line_price one, *p = &one;
	enum kv_status status = KV_OK;

	*t = (struct basket_totals){ .tax_known = b->line_count > 0 };
	for (uint32_t i = 0; i < b->line_count && status == KV_OK; i++) {
		if (prices != NULL)
			p = &prices[i];
		status = basket_line_price(kv, &b->lines[i], p);
		if (status == KV_OK)
			add_price(t, p);
	}
	return status;
}

enum kv_status basket_totals(struct kv *kv, const struct basket *b, struct basket_totals *t)
{
	return basket_prices(kv, b, NULL, t);
}
