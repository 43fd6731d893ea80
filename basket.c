/* basket.c -- see basket.h.
 *
 * (1) Lines stand by id, their options in the order of the lines, without gaps.
 * (2) No line has a quantity of 0.
 * (3) The sweep's entry of a basket stands at due_s, which is never later than its expiry; it
 *     stays put while the basket is renewed, and the sweep files it anew.
 */
#include <assert.h>

#include "basket.h"
#include "money.h"

#define NEXT_BASKET "next_basket"
#define NEXT_LINE   "next_line"
#define NEXT_OPTION "next_option"

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

static enum kv_status take_id(struct kv *kv, const char *counter, uint64_t *id)
{
	enum kv_status status = peek_id(kv, counter, id);

	return status == KV_OK ? put_counter(kv, counter, *id + 1) : status;
}

static enum kv_status lift_counter(struct kv *kv, const char *counter, uint64_t used)
{
	uint64_t next;
	enum kv_status status = peek_id(kv, counter, &next);

	if (status != KV_OK || next > used)
		return status;
	return put_counter(kv, counter, used + 1);
}

enum kv_status basket_next_ids(struct kv *kv, struct basket_ids *next)
{
	enum kv_status status = peek_id(kv, NEXT_BASKET, &next->basket);

	if (status == KV_OK)
		status = peek_id(kv, NEXT_LINE, &next->line);
	return status == KV_OK ? peek_id(kv, NEXT_OPTION, &next->option) : status;
}

enum kv_status basket_reserve_ids(struct kv *kv, uint64_t basket, uint64_t line,
                                  uint64_t option)
{
	enum kv_status status = lift_counter(kv, NEXT_BASKET, basket);

	if (status == KV_OK)
		status = lift_counter(kv, NEXT_LINE, line);
	return status == KV_OK ? lift_counter(kv, NEXT_OPTION, option) : status;
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
	b->line_count = b->option_count = 0;
	return take_id(kv, NEXT_BASKET, &b->id);
}

/* Copies the record, so that its strings stay good over any put. */
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

/* Has the sweep come by no later than the basket expires: invariant (3). */
static enum kv_status file_due(struct kv *kv, struct basket *b)
{
	struct record_key key;
	enum kv_status status = KV_OK;

	if (b->due_s <= b->expires_s && b->due_s != RECORD_NEVER)
		return KV_OK;
	if (b->expires_s == b->due_s)
		return KV_OK;
	if (b->due_s != RECORD_NEVER)
		status = kv_del(kv, sweep_key(&key, b->id, b->due_s));
	if (status != KV_OK && status != KV_NOT_FOUND)
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

static enum kv_status put_record(struct kv *kv, const struct basket *b)
{
	char bytes[RECORD_BASKET_MAX];
	struct buf value = BUF(bytes);
	struct record_key key;

	if (record_basket_bytes(b) > sizeof bytes)
		return KV_FULL;
	if (!record_basket_write(&value, b))
		return KV_IO;
	return kv_put(kv, record_basket_key(&key, b->id), buf_slice(&value));
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

/* A trace may be gone already. */
static enum kv_status del_if_there(struct kv *kv, struct slice key)
{
	enum kv_status status = kv_del(kv, key);

	return status == KV_NOT_FOUND ? KV_OK : status;
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
	for (uint32_t i = 0; i < b->line_count; i++)
		if (b->lines[i].id == id) {
			*line = i;
			return true;
		}
	return false;
}

static bool is_open(const struct basket *b)
{
	return b->status == BASKET_OPEN || b->status == BASKET_SAVED;
}

static enum basket_error store_failed(struct basket_change *change, enum kv_status status)
{
	change->status = status;
	return BASKET_STORE;
}

static enum basket_error bounded(struct basket_change *change, enum basket_error error,
                                 uint32_t bound)
{
	change->bound = bound;
	return error;
}

static bool same_option(const struct basket_option *a, const struct basket_option *b)
{
	return slice_eq(a->option, b->option) && slice_eq(a->value, b->value);
}

/* The same options with the same values, in any order. */
static bool same_options(const struct basket_option *a, uint32_t a_count,
                         const struct basket_option *b, uint32_t b_count)
{
	if (a_count != b_count)
		return false;
	for (uint32_t i = 0; i < a_count; i++) {
		uint32_t in_a = 0, in_b = 0;

		for (uint32_t j = 0; j < a_count; j++) {
			in_a += same_option(&a[i], &a[j]);
			in_b += same_option(&a[i], &b[j]);
		}
		if (in_a != in_b)
			return false;
	}
	return true;
}

/* Both by the price book, or both at the same price. */
static bool same_price(const struct basket_line *a, const struct basket_line *b)
{
	if (!a->priced || !b->priced)
		return a->priced == b->priced;
	return a->price_e4 == b->price_e4 && slice_eq(a->name, b->name) &&
	       slice_eq(a->currency, b->currency);
}

static const struct basket_option *options_of(const struct basket *b,
                                              const struct basket_line *line)
{
	return &b->options[line->first_option];
}

/* The line of `b` that is equal to `line` with `options`; line_count: none. */
static uint32_t find_equal(const struct basket *b, const struct basket_line *line,
                           const struct basket_option *options)
{
	uint32_t i;

	for (i = 0; i < b->line_count; i++) {
		const struct basket_line *l = &b->lines[i];

		if (slice_eq(l->product, line->product) && same_price(l, line) &&
		    same_options(options_of(b, l), l->option_count, options, line->option_count))
			break;
	}
	return i;
}

/* What is in the basket of a product, but for one line (line_count: for none). */
static uint64_t quantity_of(const struct basket *b, struct slice product, uint32_t but)
{
	uint64_t quantity = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		if (i != but && slice_eq(b->lines[i].product, product))
			quantity += b->lines[i].quantity;
	return quantity;
}

static uint64_t quantity_of_all(const struct basket *b)
{
	uint64_t quantity = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		quantity += b->lines[i].quantity;
	return quantity;
}

/* The basket's currency: that of its first line with a price. Absent: any will do. */
static enum kv_status currency_of(struct kv *kv, const struct basket *b, struct slice *currency)
{
	*currency = (struct slice){ 0 };
	for (uint32_t i = 0; i < b->line_count && !slice_given(*currency); i++) {
		struct basket_line_price p;
		enum kv_status status = basket_line_price(kv, &b->lines[i], &p);

		if (status != KV_OK)
			return status;
		if (p.known)
			*currency = p.currency;
	}
	return KV_OK;
}

/* How many of the product the price book lets one basket hold. A line at a given price is
 * bound by nothing there. */
static enum basket_error judge_product(const struct basket *b, const struct basket_line *line,
                                       struct basket_change *change, uint32_t *available)
{
	struct product_record product = { .currency = line->currency };
	struct slice currency;
	enum kv_status status = KV_OK;

	*available = UINT32_MAX;
	if (!line->priced) {
		status = product_get(change->kv, line->product, &product);
		if (status == KV_NOT_FOUND)
			return BASKET_UNKNOWN_PRODUCT;
		if (status != KV_OK)
			return store_failed(change, status);
		if (product.price_e4 < 0)
			return BASKET_UNAVAILABLE;
		*available = product_available(&product);
	}
	status = currency_of(change->kv, b, &currency);
	if (status != KV_OK)
		return store_failed(change, status);
	if (slice_given(currency) && !slice_eq(currency, product.currency))
		return BASKET_OTHER_CURRENCY;
	return BASKET_OK;
}

/* Judges that the basket, which holds `others` of the product beside the line, may have
 * `quantity` in it, where it had `before`. */
static enum basket_error judge_quantity(const struct basket *b, const struct basket_line *line,
                                        uint64_t others, uint64_t before, uint64_t quantity,
                                        struct basket_change *change)
{
	uint64_t all = quantity_of_all(b) - before + quantity;
	uint32_t available, bound = change->config->max_quantity;
	enum basket_error error = judge_product(b, line, change, &available);

	if (error != BASKET_OK)
		return error;
	if (all > bound)
		return bounded(change, BASKET_OVER_QUANTITY, bound);
	if (available == 0)
		return BASKET_NO_STOCK;
	if (others + quantity > available)
		return bounded(change, BASKET_OVER_STOCK, available);
	return BASKET_OK;
}

static bool is_text(struct slice s, size_t min, size_t max)
{
	return s.len >= min && s.len <= max && slice_is_text(s);
}

static bool item_valid(const struct basket_item *item)
{
	const struct basket_price *p = item->price;

	if (!product_id_valid(item->product))
		return false;
	for (uint32_t i = 0; i < item->option_count; i++)
		if (!is_text(item->options[i].option, 1, RECORD_OPTION_MAX) ||
		    !is_text(item->options[i].value, 0, RECORD_OPTION_MAX))
			return false;
	return p == NULL || (is_text(p->name, 0, RECORD_TEXT_MAX) && p->price_e4 >= 0 &&
	                     p->price_e4 <= MONEY_PRICE_MAX_E4 && p->discount_cents >= 0 &&
	                     money_currency_valid(p->currency));
}

static void take_price(struct basket_line *line, const struct basket_price *price)
{
	line->priced = price != NULL;
	line->price_e4 = price != NULL ? price->price_e4 : 0;
	line->discount_cents = price != NULL ? price->discount_cents : 0;
	line->name = price != NULL ? price->name : (struct slice){ 0 };
	line->currency = price != NULL ? price->currency : (struct slice){ 0 };
}

static void touch(struct basket_line *line, uint64_t now_us)
{
	line->version++;
	line->updated_us = now_us;
}

/* Takes a line out, with its options: invariant (1). */
static void drop_line(struct basket *b, uint32_t line)
{
	const uint32_t first = b->lines[line].first_option, count = b->lines[line].option_count;

	memmove(&b->options[first], &b->options[first + count],
	        (b->option_count - first - count) * sizeof b->options[0]);
	b->option_count -= count;
	memmove(&b->lines[line], &b->lines[line + 1],
	        (b->line_count - line - 1) * sizeof b->lines[0]);
	b->line_count--;
	for (uint32_t i = line; i < b->line_count; i++)
		b->lines[i].first_option -= count;
}

/* Puts a line where its id belongs, with its options. There must be room. */
static void insert_line(struct basket *b, const struct basket_line *line,
                        const struct basket_option *options, uint32_t *at)
{
	uint32_t place = b->line_count, first = b->option_count;

	while (place > 0 && b->lines[place - 1].id > line->id)
		first = b->lines[--place].first_option;
	memmove(&b->options[first + line->option_count], &b->options[first],
	        (b->option_count - first) * sizeof b->options[0]);
	memmove(&b->lines[place + 1], &b->lines[place],
	        (b->line_count - place) * sizeof b->lines[0]);
	memcpy(&b->options[first], options, line->option_count * sizeof options[0]);
	b->lines[place] = *line;
	b->lines[place].first_option = first;
	b->line_count++;
	b->option_count += line->option_count;
	for (uint32_t i = place + 1; i < b->line_count; i++)
		b->lines[i].first_option += line->option_count;
	*at = place;
}

static bool has_room(const struct basket *b, const struct config *config, uint32_t options)
{
	return b->line_count < config->max_lines && b->line_count < BASKET_LINES_MAX &&
	       options <= BASKET_OPTIONS_MAX - b->option_count;
}

/* Gives the new line and its options their ids. */
static enum basket_error make_line(struct basket *b, struct basket_line *line,
                                   const struct basket_item *item,
                                   struct basket_change *change, uint32_t *at)
{
	struct basket_option options[BASKET_OPTIONS_MAX];
	enum kv_status status = take_id(change->kv, NEXT_LINE, &line->id);

	for (uint32_t i = 0; i < item->option_count && status == KV_OK; i++) {
		options[i] = item->options[i];
		status = take_id(change->kv, NEXT_OPTION, &options[i].id);
	}
	if (status != KV_OK)
		return store_failed(change, status);
	insert_line(b, line, options, at);
	if (record_basket_bytes(b) <= RECORD_BASKET_MAX)
		return BASKET_OK;
	drop_line(b, *at);
	return BASKET_TOO_MANY_LINES;
}

static enum basket_error add_line(struct basket *b, struct basket_line *line,
                                  const struct basket_item *item, int64_t quantity,
                                  struct basket_change *change, uint32_t *at)
{
	uint64_t others = quantity_of(b, item->product, b->line_count);
	enum basket_error error;

	*at = UINT32_MAX;
	if (quantity < 0)
		return BASKET_NEGATIVE;
	error = judge_quantity(b, line, others, 0, (uint64_t)quantity, change);
	if (error != BASKET_OK || quantity == 0)
		return error;
	if (!has_room(b, change->config, item->option_count))
		return bounded(change, BASKET_TOO_MANY_LINES, change->config->max_lines);
	line->quantity = (uint32_t)quantity;
	line->created_us = line->updated_us = change->now_us;
	return make_line(b, line, item, change, at);
}

enum basket_error basket_add(struct basket *b, const struct basket_item *item, int64_t quantity,
                             struct basket_change *change, uint32_t *line)
{
	struct basket_line wanted = {
		.product = item->product, .option_count = item->option_count, .version = 1,
	};
	int64_t sum;
	enum basket_error error;

	*line = UINT32_MAX;
	if (!is_open(b))
		return BASKET_CLOSED;
	if (!item_valid(item))
		return BASKET_BAD_ITEM;
	if (quantity > MONEY_QUANTITY_MAX || quantity < -(int64_t)MONEY_QUANTITY_MAX)
		return bounded(change, BASKET_OVER_QUANTITY, change->config->max_quantity);
	take_price(&wanted, item->price);
	*line = find_equal(b, &wanted, item->options);
	if (*line == b->line_count)
		return add_line(b, &wanted, item, quantity, change, line);
	sum = b->lines[*line].quantity + quantity;
	error = basket_set_quantity(b, *line, sum > 0 ? (uint32_t)sum : 0, change);
	if (error == BASKET_OK && sum > 0)
		b->lines[*line].discount_cents += wanted.discount_cents;
	else
		*line = UINT32_MAX;
	return error;
}

enum basket_error basket_set_quantity(struct basket *b, uint32_t line, uint32_t quantity,
                                      struct basket_change *change)
{
	enum basket_error error;
	uint32_t before;

	if (!is_open(b))
		return BASKET_CLOSED;
	if (line >= b->line_count)
		return BASKET_UNKNOWN_LINE;
	before = b->lines[line].quantity;
	if (quantity > before) {
		error = judge_quantity(b, &b->lines[line],
		                       quantity_of(b, b->lines[line].product, line), before,
		                       quantity, change);
		if (error != BASKET_OK)
			return error;
	}
	b->lines[line].quantity = quantity;
	touch(&b->lines[line], change->now_us);
	if (quantity == 0)
		drop_line(b, line);
	return BASKET_OK;
}

enum basket_error basket_set_price(struct basket *b, uint32_t line,
                                   const struct basket_price *price,
                                   struct basket_change *change)
{
	struct basket_item item = { .price = price };

	if (!is_open(b))
		return BASKET_CLOSED;
	if (line >= b->line_count)
		return BASKET_UNKNOWN_LINE;
	item.product = b->lines[line].product;
	if (!item_valid(&item))
		return BASKET_BAD_ITEM;
	take_price(&b->lines[line], price);
	touch(&b->lines[line], change->now_us);
	return BASKET_OK;
}

enum basket_error basket_set_option(struct basket *b, uint32_t line, uint32_t option,
                                    struct slice value, struct basket_change *change)
{
	struct basket_line *l;
	struct slice before;

	if (!is_open(b))
		return BASKET_CLOSED;
	if (line >= b->line_count)
		return BASKET_UNKNOWN_LINE;
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
	touch(l, change->now_us);
	return BASKET_OK;
}

enum basket_error basket_remove(struct basket *b, uint32_t line, struct basket_change *change)
{
	return basket_set_quantity(b, line, 0, change);
}

static void leave_out(struct basket_left *left, struct slice product, uint64_t asked,
                      uint32_t kept)
{
	if (left->count < BASKET_LEFT_MAX) {
		left->of[left->count].product = product;
		left->of[left->count].asked = (uint32_t)asked;
		left->of[left->count].kept = kept;
	}
	left->count++;
}

/* The most that fits of `asked` in a line that has `before`; never less than that. */
static enum kv_status fit(const struct basket *into, const struct basket_line *line,
                          uint32_t index, uint32_t before, uint64_t asked,
                          struct basket_change *change, uint32_t *kept)
{
	uint64_t others = quantity_of(into, line->product, index);
	uint64_t rest = quantity_of_all(into) - before, most = change->config->max_quantity;
	uint32_t available;
	enum basket_error error = judge_product(into, line, change, &available);

	*kept = before;
	if (error == BASKET_STORE)
		return change->status;
	if (error != BASKET_OK)
		return KV_OK;
	most = most > rest ? most - rest : 0;
	if (others + most > available)
		most = available > others ? available - others : 0;
	if (asked < most)
		most = asked;
	if (most > before)
		*kept = (uint32_t)most;
	return KV_OK;
}

/* Merges a line into its equal in `into`. */
static enum kv_status merge_equal(struct basket *into, uint32_t at,
                                  const struct basket_line *line,
                                  struct basket_change *change, struct basket_left *left)
{
	struct basket_line *l = &into->lines[at];
	uint64_t asked = l->quantity;
	uint32_t kept;
	enum kv_status status;

	if (change->config->basket_merge == BASKET_MERGE_SUM)
		asked += line->quantity;
	else if (change->config->basket_merge == BASKET_MERGE_MAX && line->quantity > asked)
		asked = line->quantity;
	if (asked == l->quantity)
		return KV_OK;
	status = fit(into, l, at, l->quantity, asked, change, &kept);
	if (status != KV_OK)
		return status;
	if (kept < asked)
		leave_out(left, line->product, asked, kept);
	if (kept > l->quantity) {
		if (change->config->basket_merge == BASKET_MERGE_SUM)
			l->discount_cents += line->discount_cents;
		l->quantity = kept;
		touch(l, change->now_us);
	}
	return KV_OK;
}

/* Moves a line over with its id, price and options. */
static enum kv_status merge_new(struct basket *into, const struct basket_line *line,
                                const struct basket_option *options,
                                struct basket_change *change, struct basket_left *left)
{
	uint32_t kept = 0, at;
	struct basket_line moved = *line;
	enum kv_status status;

	status = fit(into, line, into->line_count, 0, line->quantity, change, &kept);
	if (status != KV_OK)
		return status;
	if (kept > 0 && has_room(into, change->config, line->option_count)) {
		moved.quantity = kept;
		touch(&moved, change->now_us);
		insert_line(into, &moved, options, &at);
		if (record_basket_bytes(into) > RECORD_BASKET_MAX) {
			drop_line(into, at);
			kept = 0;
		}
	} else {
		kept = 0;
	}
	if (kept < line->quantity)
		leave_out(left, line->product, line->quantity, kept);
	return KV_OK;
}

enum kv_status basket_merge(struct basket *into, struct basket *from,
                            struct basket_change *change, struct basket_left *left)
{
	enum kv_status status = KV_OK;

	assert(is_open(into) && is_open(from) && into->id != from->id);
	left->count = 0;
	for (uint32_t i = 0; i < from->line_count && status == KV_OK; i++) {
		const struct basket_line *line = &from->lines[i];
		const struct basket_option *options = options_of(from, line);
		uint32_t at = find_equal(into, line, options);

		if (at < into->line_count)
			status = merge_equal(into, at, line, change, left);
		else
			status = merge_new(into, line, options, change, left);
	}
	if (status != KV_OK)
		return status;
	from->status = BASKET_MERGED;
	from->merged_us = change->now_us;
	from->line_count = from->option_count = 0;
	return KV_OK;
}

enum kv_status basket_line_price(struct kv *kv, const struct basket_line *line,
                                 struct basket_line_price *p)
{
	struct product_record product = { .price_e4 = -1 };
	enum kv_status status = product_get(kv, line->product, &product);

	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	*p = (struct basket_line_price){
		.known = line->priced || (status == KV_OK && product.price_e4 >= 0),
		.currency = line->priced ? line->currency : product.currency,
		.name = line->priced && line->name.len > 0 ? line->name : product.name,
		.unit_e4 = line->priced ? line->price_e4 : product.price_e4,
		.tax_rate_e6 = product.tax_rate_e6,
		.stockrecord = product.stockrecord.len > 0 ? product.stockrecord : line->product,
	};
	if (!p->known) {
		p->unit_e4 = 0;
		return KV_OK;
	}
	p->full_excl_cents = money_line_cents(p->unit_e4, line->quantity);
	p->full_tax_cents = money_tax_cents(p->full_excl_cents, p->tax_rate_e6);
	p->excl_cents = p->full_excl_cents > line->discount_cents ?
	                p->full_excl_cents - line->discount_cents : 0;
	p->tax_cents = money_tax_cents(p->excl_cents, p->tax_rate_e6);
	return KV_OK;
}

enum kv_status basket_totals(struct kv *kv, const struct basket *b, struct basket_totals *t)
{
	*t = (struct basket_totals){ .tax_known = b->line_count > 0 };
	for (uint32_t i = 0; i < b->line_count; i++) {
		struct basket_line_price p;
		enum kv_status status = basket_line_price(kv, &b->lines[i], &p);

		if (status != KV_OK)
			return status;
		t->tax_known &= p.known;
		if (p.known && !slice_given(t->currency))
			t->currency = p.currency;
		t->excl_cents += p.excl_cents;
		t->tax_cents += p.tax_cents;
		t->full_excl_cents += p.full_excl_cents;
		t->full_tax_cents += p.full_tax_cents;
	}
	return KV_OK;
}
