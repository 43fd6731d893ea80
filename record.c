/* record.c -- see record.h. */
#include <assert.h>
#include <endian.h>

#include "record.h"

/* The major version: a reader refuses another. Fields are only ever added at the end. */
enum {
	SESSION_MAJOR = 1, CUSTOMER_MAJOR = 1, CLIENT_MAJOR = 1, DATA_MAJOR = 1,
	PRODUCT_MAJOR = 1, BASKET_MAJOR = 1, REPLAY_MAJOR = 1, TOKEN_KEY_MAJOR = 1,
};

/* Takes fields off the front; the first that is cut short sets `bad`, which sticks. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static void put_uint(struct buf *out, uint64_t n, size_t bytes)
{
	char field[8];

	for (size_t i = 0; i < bytes; i++)
		field[i] = (char)(n >> 8 * i & 0xff);
	buf_put(out, (struct slice){ field, bytes });
}

static inline uint64_t get_uint(struct reader *r, size_t bytes)
{
	uint64_t n = 0;

	if (r->left < bytes) {
		r->bad = true;
		return 0;
	}
	memcpy(&n, r->at, bytes);
	r->at += bytes;
	r->left -= bytes;
	return le64toh(n);
}

static void put_string(struct buf *out, struct slice s)
{
	if (s.len > UINT16_MAX) {
		out->full = true;
		return;
	}
	put_uint(out, s.len, 2);
	buf_put(out, s);
}

static struct slice get_bytes(struct reader *r, size_t len)
{
	struct slice s = slice_bytes(r->at, len);

	if (r->bad || r->left < len) {
		r->bad = true;
		return (struct slice){ 0 };
	}
	r->at += len;
	r->left -= len;
	return s;
}

static struct slice get_string(struct reader *r)
{
	return get_bytes(r, (size_t)get_uint(r, 2));
}

static struct reader reader_begin(struct slice in, enum record_kind kind, unsigned major)
{
	struct reader r = { (const uint8_t *)in.ptr, in.len, false };

	if (get_uint(&r, 1) != (unsigned)kind)
		r.bad = true;
	if (get_uint(&r, 1) != major)
		r.bad = true;
	return r;
}

static void key_start(struct record_key *k, enum record_kind kind)
{
	k->bytes[0] = (uint8_t)kind;
	k->len = 1;
}

static void key_put(struct record_key *k, const void *bytes, size_t len)
{
	memcpy(k->bytes + k->len, bytes, len);
	k->len += len;
}

/* Big-endian, so that keys sort by number. */
static void key_uint(struct record_key *k, uint64_t n)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		k->bytes[k->len++] = (uint8_t)(n >> shift);
}

static struct slice key_slice(const struct record_key *k)
{
	return slice_bytes(k->bytes, k->len);
}

static uint64_t key_uint_read(const char *at)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | (unsigned char)at[i];
	return n;
}

struct slice record_session_key(struct record_key *k, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	key_start(k, RECORD_SESSION);
	key_put(k, key, RECORD_SESSION_KEY_LEN);
	return key_slice(k);
}

struct slice record_data_key(struct record_key *k, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	key_start(k, RECORD_DATA);
	key_put(k, key, RECORD_SESSION_KEY_LEN);
	return key_slice(k);
}

struct slice record_customer_key(struct record_key *k, uint64_t id)
{
	key_start(k, RECORD_CUSTOMER);
	key_uint(k, id);
	return key_slice(k);
}

struct slice record_login_key(struct record_key *k, struct slice login)
{
	if (login.len == 0 || login.len > RECORD_LOGIN_MAX)
		return (struct slice){ 0 };
	key_start(k, RECORD_LOGIN);
	key_put(k, login.ptr, login.len);
	return key_slice(k);
}

struct slice record_email_prefix(struct record_key *k, struct slice email)
{
	char lower[RECORD_TEXT_MAX];

	if (email.len == 0 || email.len > RECORD_TEXT_MAX || slice_has(email, '\0'))
		return (struct slice){ 0 };
	key_start(k, RECORD_EMAIL);
	key_put(k, slice_lower(email, lower).ptr, email.len);
	key_put(k, "", 1);
	return key_slice(k);
}

struct slice record_email_key(struct record_key *k, struct slice email, uint64_t customer_id)
{
	if (!slice_given(record_email_prefix(k, email)))
		return (struct slice){ 0 };
	key_uint(k, customer_id);
	return key_slice(k);
}

struct slice record_client_key(struct record_key *k, const uint8_t digest[RECORD_DIGEST_LEN])
{
	key_start(k, RECORD_CLIENT);
	key_put(k, digest, RECORD_DIGEST_LEN);
	return key_slice(k);
}

struct slice record_client_name_key(struct record_key *k, struct slice name)
{
	if (name.len == 0 || name.len > RECORD_NAME_MAX)
		return (struct slice){ 0 };
	key_start(k, RECORD_CLIENT_NAME);
	key_put(k, name.ptr, name.len);
	return key_slice(k);
}

struct slice record_owner_prefix(struct record_key *k, uint64_t customer_id)
{
	key_start(k, RECORD_OWNER);
	key_uint(k, customer_id);
	return key_slice(k);
}

struct slice record_owner_key(struct record_key *k, uint64_t customer_id, uint64_t created_s,
                              const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	record_owner_prefix(k, customer_id);
	key_uint(k, created_s);
	key_put(k, key, RECORD_SESSION_KEY_LEN);
	return key_slice(k);
}

struct slice record_sweep_key(struct record_key *k, uint64_t due_s, struct slice of)
{
	if (of.len > RECORD_KEY_MAX - 9)
		return (struct slice){ 0 };
	key_start(k, RECORD_SWEEP);
	key_uint(k, due_s);
	key_put(k, of.ptr, of.len);
	return key_slice(k);
}

struct slice record_meta_key(struct record_key *k, const char *name)
{
	key_start(k, RECORD_META);
	key_put(k, name, strlen(name));
	return key_slice(k);
}

/* Behind the kind stands how many digits a number has, or TEXT_ID: so numbers sort by value,
 * before all others. */
struct slice record_product_key(struct record_key *k, struct slice id)
{
	enum { TEXT_ID = 0x80 };
	uint8_t form = (uint8_t)id.len;

	static_assert(RECORD_PRODUCT_ID_MAX < TEXT_ID, "no number is taken for a text");
	if (id.len == 0 || id.len > RECORD_PRODUCT_ID_MAX)
		return (struct slice){ 0 };
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] < '0' || id.ptr[i] > '9' || (i > 0 && id.ptr[0] == '0'))
			form = TEXT_ID;
	key_start(k, RECORD_PRODUCT);
	key_put(k, &form, 1);
	key_put(k, id.ptr, id.len);
	return key_slice(k);
}

struct slice record_basket_key(struct record_key *k, uint64_t id)
{
	key_start(k, RECORD_BASKET);
	key_uint(k, id);
	return key_slice(k);
}

struct slice record_baskets_of_prefix(struct record_key *k, uint64_t customer_id)
{
	key_start(k, RECORD_BASKETS_OF);
	key_uint(k, customer_id);
	return key_slice(k);
}

struct slice record_baskets_of_key(struct record_key *k, uint64_t customer_id, uint64_t id)
{
	record_baskets_of_prefix(k, customer_id);
	key_uint(k, id);
	return key_slice(k);
}

struct slice record_replay_key(struct record_key *k, const uint8_t digest[RECORD_DIGEST_LEN])
{
	key_start(k, RECORD_REPLAY);
	key_put(k, digest, RECORD_DIGEST_LEN);
	return key_slice(k);
}

struct slice record_token_key_key(struct record_key *k, struct slice kid)
{
	if (kid.len == 0 || kid.len > RECORD_KID_MAX)
		return (struct slice){ 0 };
	key_start(k, RECORD_TOKEN_KEY);
	key_put(k, kid.ptr, kid.len);
	return key_slice(k);
}

bool record_owner_key_read(struct slice key, uint64_t *customer_id, uint64_t *created_s,
                           const uint8_t **session_key)
{
	if (key.len != 1 + 8 + 8 + RECORD_SESSION_KEY_LEN || key.ptr[0] != RECORD_OWNER)
		return false;
	*customer_id = key_uint_read(key.ptr + 1);
	*created_s = key_uint_read(key.ptr + 9);
	*session_key = (const uint8_t *)key.ptr + 17;
	return true;
}

bool record_email_key_read(struct slice key, struct slice *email, uint64_t *customer_id)
{
	if (key.len < 1 + 1 + 1 + 8 || key.ptr[0] != RECORD_EMAIL || key.ptr[key.len - 9] != '\0')
		return false;
	*email = (struct slice){ key.ptr + 1, key.len - 10 };
	*customer_id = key_uint_read(key.ptr + key.len - 8);
	return true;
}

bool record_sweep_key_read(struct slice key, uint64_t *due_s, struct slice *of)
{
	if (key.len <= 1 + 8 || key.ptr[0] != RECORD_SWEEP)
		return false;
	*due_s = key_uint_read(key.ptr + 1);
	*of = slice_skip(key, 9);
	return true;
}

bool record_basket_key_read(struct slice key, uint64_t *id)
{
	if (key.len != 1 + 8 || key.ptr[0] != RECORD_BASKET)
		return false;
	*id = key_uint_read(key.ptr + 1);
	return true;
}

bool record_baskets_of_key_read(struct slice key, uint64_t *customer_id, uint64_t *id)
{
	if (key.len != 1 + 8 + 8 || key.ptr[0] != RECORD_BASKETS_OF)
		return false;
	*customer_id = key_uint_read(key.ptr + 1);
	*id = key_uint_read(key.ptr + 9);
	return true;
}

bool record_session_write(struct buf *out, const struct session_record *r)
{
	put_uint(out, RECORD_SESSION, 1);
	put_uint(out, SESSION_MAJOR, 1);
	put_uint(out, r->via, 1);
	put_uint(out, r->expires_s, 8);
	put_uint(out, r->customer_id, 8);
	put_uint(out, r->basket_id, 8);
	put_string(out, r->login);
	put_uint(out, r->created_s, 8);
	put_uint(out, r->due_s, 8);
	put_uint(out, r->used_s, 8);
	put_uint(out, r->flags, 1);
	put_string(out, r->guest_id);
	return !out->full;
}

bool record_session_read(struct slice in, struct session_record *r)
{
	struct reader from = reader_begin(in, RECORD_SESSION, SESSION_MAJOR);

	r->via         = (uint8_t)get_uint(&from, 1);
	r->expires_s   = get_uint(&from, 8);
	r->customer_id = get_uint(&from, 8);
	r->basket_id   = get_uint(&from, 8);
	r->login       = get_string(&from);
	r->created_s   = get_uint(&from, 8);
	r->due_s       = get_uint(&from, 8);
	r->used_s      = get_uint(&from, 8);
	r->flags       = (uint8_t)get_uint(&from, 1);
	r->guest_id    = get_string(&from);
	return !from.bad;
}

bool record_customer_write(struct buf *out, const struct customer_record *r)
{
	put_uint(out, RECORD_CUSTOMER, 1);
	put_uint(out, CUSTOMER_MAJOR, 1);
	put_uint(out, r->id, 8);
	put_uint(out, r->joined_us, 8);
	put_uint(out, r->flags, 4);
	put_string(out, r->login);
	put_string(out, r->email);
	put_string(out, r->first_name);
	put_string(out, r->last_name);
	put_string(out, r->sealed_password);
	put_uint(out, r->basket_id, 8);
	return !out->full;
}

bool record_customer_read(struct slice in, struct customer_record *r)
{
	struct reader from = reader_begin(in, RECORD_CUSTOMER, CUSTOMER_MAJOR);

	r->id              = get_uint(&from, 8);
	r->joined_us       = get_uint(&from, 8);
	r->flags           = (uint32_t)get_uint(&from, 4);
	r->login           = get_string(&from);
	r->email           = get_string(&from);
	r->first_name      = get_string(&from);
	r->last_name       = get_string(&from);
	r->sealed_password = get_string(&from);
	r->basket_id       = get_uint(&from, 8);
	return !from.bad;
}

bool record_client_write(struct buf *out, const struct client_record *r)
{
	if (r->source_count > RECORD_SOURCES_MAX)
		return false;
	put_uint(out, RECORD_CLIENT, 1);
	put_uint(out, CLIENT_MAJOR, 1);
	put_uint(out, r->created_s, 8);
	put_uint(out, r->expires_s, 8);
	put_uint(out, r->used_s, 8);
	put_uint(out, r->scopes, 4);
	put_uint(out, r->flags, 4);
	put_string(out, r->name);
	put_string(out, r->owner);
	put_uint(out, r->source_count, 1);
	for (uint32_t i = 0; i < r->source_count; i++) {
		const struct network *n = &r->sources[i];

		buf_put(out, slice_bytes(n->base.bytes, sizeof n->base.bytes));
		put_uint(out, n->prefix, 1);
	}
	put_string(out, r->origins);
	return !out->full;
}

static void get_network(struct reader *from, struct network *n)
{
	for (size_t i = 0; i < sizeof n->base.bytes; i++)
		n->base.bytes[i] = (uint8_t)get_uint(from, 1);
	n->prefix = (uint8_t)get_uint(from, 1);
	if (n->prefix > 128)
		from->bad = true;
}

bool record_client_read(struct slice in, struct client_record *r)
{
	struct reader from = reader_begin(in, RECORD_CLIENT, CLIENT_MAJOR);

	r->created_s    = get_uint(&from, 8);
	r->expires_s    = get_uint(&from, 8);
	r->used_s       = get_uint(&from, 8);
	r->scopes       = (uint32_t)get_uint(&from, 4);
	r->flags        = (uint32_t)get_uint(&from, 4);
	r->name         = get_string(&from);
	r->owner        = get_string(&from);
	r->source_count = (uint32_t)get_uint(&from, 1);
	if (r->source_count > RECORD_SOURCES_MAX)
		return false;
	for (uint32_t i = 0; i < r->source_count; i++)
		get_network(&from, &r->sources[i]);
	r->origins = get_string(&from);
	return !from.bad;
}

bool record_data_write(struct buf *out, struct slice json)
{
	put_uint(out, RECORD_DATA, 1);
	put_uint(out, DATA_MAJOR, 1);
	put_string(out, json);
	return !out->full;
}

bool record_data_read(struct slice in, struct slice *json)
{
	struct reader from = reader_begin(in, RECORD_DATA, DATA_MAJOR);

	*json = get_string(&from);
	return !from.bad;
}

static bool product_valid(const struct product_record *r)
{
	bool for_sale = r->price_e4 >= 0;

	return r->id.len > 0 && r->id.len <= RECORD_PRODUCT_ID_MAX &&
	       r->name.len <= RECORD_TEXT_MAX && r->stockrecord.len <= RECORD_PRODUCT_ID_MAX &&
	       r->options.len <= RECORD_OPTIONS_MAX && r->price_e4 >= -1 &&
	       r->price_e4 <= MONEY_PRICE_MAX_E4 && r->tax_rate_e6 <= MONEY_RATE_MAX_E6 &&
	       (money_currency_valid(r->currency) || (!for_sale && r->currency.len == 0));
}

bool record_product_write(struct buf *out, const struct product_record *r)
{
	put_uint(out, RECORD_PRODUCT, 1);
	put_uint(out, PRODUCT_MAJOR, 1);
	put_uint(out, (uint64_t)r->price_e4, 8);
	put_uint(out, r->updated_us, 8);
	put_uint(out, r->tax_rate_e6, 4);
	put_uint(out, r->stock, 4);
	put_uint(out, r->max_quantity, 4);
	put_string(out, r->id);
	put_string(out, r->name);
	put_string(out, r->currency);
	put_string(out, r->stockrecord);
	put_string(out, r->options);
	return !out->full && product_valid(r);
}

bool record_product_read(struct slice in, struct product_record *r)
{
	struct reader from = reader_begin(in, RECORD_PRODUCT, PRODUCT_MAJOR);

	r->price_e4     = (int64_t)get_uint(&from, 8);
	r->updated_us   = get_uint(&from, 8);
	r->tax_rate_e6  = (uint32_t)get_uint(&from, 4);
	r->stock        = (uint32_t)get_uint(&from, 4);
	r->max_quantity = (uint32_t)get_uint(&from, 4);
	r->id           = get_string(&from);
	r->name         = get_string(&from);
	r->currency     = get_string(&from);
	r->stockrecord  = get_string(&from);
	r->options      = get_string(&from);
	return !from.bad && product_valid(r);
}

/* A basket is a head, then each line with its options behind it, then its e-mail address and
 * currency, which older ones lack. What a later version keeps of each line stands behind them
 * all, where this one skips it. */
#define BASKET_HEAD  (2 + 2 + 4 + 2 * 8 + RECORD_SESSION_KEY_LEN + 6 * 8 + 2)
#define BASKET_TAIL  (2 + 2)
#define LINE_HEAD    (3 * 8 + 2 * 4 + 1 + 2 + 2)
#define PRICED_HEAD  (2 * 8 + 2 + 2)
#define OPTION_HEAD  (8 + 2 + 2)

static bool line_valid(const struct basket_line *l)
{
	if (l->quantity == 0 || l->product.len == 0 || l->product.len > RECORD_PRODUCT_ID_MAX)
		return false;
	return !l->priced || (l->price_e4 >= 0 && l->price_e4 <= MONEY_PRICE_MAX_E4 &&
	                      l->discount_cents >= 0 && l->discount_cents <= MONEY_CENTS_MAX &&
	                      l->name.len <= RECORD_TEXT_MAX && money_currency_valid(l->currency));
}

static bool options_valid(const struct basket *b)
{
	for (uint32_t i = 0; i < b->option_count; i++)
		if (b->options[i].option.len == 0 || b->options[i].option.len > RECORD_OPTION_MAX ||
		    b->options[i].value.len > RECORD_OPTION_MAX)
			return false;
	return true;
}

/* What holds for every basket (record.h): written and read alike. */
static bool basket_valid(const struct basket *b)
{
	uint32_t options = 0, quantity = 0;

	if (b->line_count > BASKET_LINES_MAX || b->option_count > BASKET_OPTIONS_MAX ||
	    b->status >= BASKET_STATUSES || b->email.len > RECORD_TEXT_MAX ||
	    (b->currency.len > 0 && !money_currency_valid(b->currency)))
		return false;
	for (uint32_t i = 0; i < b->line_count; i++) {
		const struct basket_line *l = &b->lines[i];

		if (!line_valid(l) || (i > 0 && l->id <= l[-1].id) || l->first_option != options ||
		    l->option_count > b->option_count - options ||
		    l->quantity > MONEY_QUANTITY_MAX - quantity)
			return false;
		options += l->option_count;
		quantity += l->quantity;
	}
	return options == b->option_count && options_valid(b);
}

static void put_line(struct buf *out, const struct basket *b, const struct basket_line *l)
{
	const struct basket_option *o = &b->options[l->first_option];

	put_uint(out, l->id, 8);
	put_uint(out, l->created_us, 8);
	put_uint(out, l->updated_us, 8);
	put_uint(out, l->version, 4);
	put_uint(out, l->quantity, 4);
	put_uint(out, l->priced, 1);
	put_uint(out, l->option_count, 2);
	put_string(out, l->product);
	if (l->priced) {
		put_uint(out, (uint64_t)l->price_e4, 8);
		put_uint(out, (uint64_t)l->discount_cents, 8);
		put_string(out, l->name);
		put_string(out, l->currency);
	}
	for (uint32_t i = 0; i < l->option_count; i++) {
		put_uint(out, o[i].id, 8);
		put_string(out, o[i].option);
		put_string(out, o[i].value);
	}
}

bool record_basket_write(struct buf *out, const struct basket *b)
{
	if (!basket_valid(b))
		return false;
	put_uint(out, RECORD_BASKET, 1);
	put_uint(out, BASKET_MAJOR, 1);
	put_uint(out, b->status, 1);
	put_uint(out, b->carried, 1);
	put_uint(out, b->version, 4);
	put_uint(out, b->id, 8);
	put_uint(out, b->customer_id, 8);
	buf_put(out, slice_bytes(b->guest, sizeof b->guest));
	put_uint(out, b->created_us, 8);
	put_uint(out, b->updated_us, 8);
	put_uint(out, b->merged_us, 8);
	put_uint(out, b->submitted_us, 8);
	put_uint(out, b->expires_s, 8);
	put_uint(out, b->due_s, 8);
	put_uint(out, b->line_count, 2);
	for (uint32_t i = 0; i < b->line_count; i++)
		put_line(out, b, &b->lines[i]);
	put_string(out, b->email);
	put_string(out, b->currency);
	return !out->full;
}

static bool get_bool(struct reader *from)
{
	uint64_t n = get_uint(from, 1);

	if (n > 1)
		from->bad = true;
	return n == 1;
}

static void get_line(struct reader *from, struct basket *b, struct basket_line *l)
{
	*l = (struct basket_line){ .first_option = b->option_count };
	l->id           = get_uint(from, 8);
	l->created_us   = get_uint(from, 8);
	l->updated_us   = get_uint(from, 8);
	l->version      = (uint32_t)get_uint(from, 4);
	l->quantity     = (uint32_t)get_uint(from, 4);
	l->priced       = get_bool(from);
	l->option_count = (uint32_t)get_uint(from, 2);
	l->product      = get_string(from);
	if (l->priced) {
		l->price_e4       = (int64_t)get_uint(from, 8);
		l->discount_cents = (int64_t)get_uint(from, 8);
		l->name           = get_string(from);
		l->currency       = get_string(from);
	}
	if (l->option_count > BASKET_OPTIONS_MAX - b->option_count)
		from->bad = true;
	for (uint32_t i = 0; i < l->option_count && !from->bad; i++) {
		struct basket_option *o = &b->options[b->option_count++];

		o->id     = get_uint(from, 8);
		o->option = get_string(from);
		o->value  = get_string(from);
	}
}

bool record_basket_read(struct slice in, struct basket *b)
{
	struct reader from = reader_begin(in, RECORD_BASKET, BASKET_MAJOR);
	bool old;

	b->status       = (uint8_t)get_uint(&from, 1);
	b->carried      = get_bool(&from);
	b->version      = (uint32_t)get_uint(&from, 4);
	b->id           = get_uint(&from, 8);
	b->customer_id  = get_uint(&from, 8);
	for (size_t i = 0; i < sizeof b->guest; i++)
		b->guest[i] = (uint8_t)get_uint(&from, 1);
	b->created_us   = get_uint(&from, 8);
	b->updated_us   = get_uint(&from, 8);
	b->merged_us    = get_uint(&from, 8);
	b->submitted_us = get_uint(&from, 8);
	b->expires_s    = get_uint(&from, 8);
	b->due_s        = get_uint(&from, 8);
	b->line_count   = (uint32_t)get_uint(&from, 2);
	b->option_count = 0;
	if (b->line_count > BASKET_LINES_MAX)
		return false;
	for (uint32_t i = 0; i < b->line_count && !from.bad; i++)
		get_line(&from, b, &b->lines[i]);
	old = from.left == 0;
	b->email        = old ? (struct slice){ 0 } : get_string(&from);
	b->currency     = old ? (struct slice){ 0 } : get_string(&from);
	return !from.bad && basket_valid(b);
}

size_t record_line_bytes(const struct basket_line *l, const struct basket_option *options)
{
	size_t bytes = LINE_HEAD + l->option_count * OPTION_HEAD + l->product.len;

	if (l->priced)
		bytes += PRICED_HEAD + l->name.len + l->currency.len;
	for (uint32_t i = 0; i < l->option_count; i++)
		bytes += options[i].option.len + options[i].value.len;
	return bytes;
}

size_t record_basket_bytes(const struct basket *b)
{
	size_t bytes = BASKET_HEAD + BASKET_TAIL + b->email.len + b->currency.len;

	for (uint32_t i = 0; i < b->line_count; i++)
		bytes += record_line_bytes(&b->lines[i], &b->options[b->lines[i].first_option]);
	return bytes;
}

/* The body may be longer than a string's 16 bits can say: its length has 32. */
bool record_replay_write(struct buf *out, const struct replay_record *r)
{
	put_uint(out, RECORD_REPLAY, 1);
	put_uint(out, REPLAY_MAJOR, 1);
	put_uint(out, r->due_s, 8);
	put_uint(out, r->basket_cookie, 8);
	put_uint(out, r->status, 2);
	buf_put(out, slice_bytes(r->digest, sizeof r->digest));
	put_string(out, r->fields);
	put_uint(out, r->body.len, 4);
	buf_put(out, r->body);
	return !out->full;
}

bool record_replay_read(struct slice in, struct replay_record *r)
{
	struct reader from = reader_begin(in, RECORD_REPLAY, REPLAY_MAJOR);
	struct slice digest;

	r->due_s         = get_uint(&from, 8);
	r->basket_cookie = get_uint(&from, 8);
	r->status        = (uint16_t)get_uint(&from, 2);
	digest           = get_bytes(&from, sizeof r->digest);
	r->fields        = get_string(&from);
	r->body          = get_bytes(&from, (size_t)get_uint(&from, 4));
	if (from.bad)
		return false;
	memcpy(r->digest, digest.ptr, sizeof r->digest);
	return true;
}

static bool token_key_valid(const struct token_key_record *r)
{
	if (r->kid.len == 0 || r->kid.len > RECORD_KID_MAX)
		return false;
	if (r->alg == TOKEN_HS256)
		return r->public.len == 0 && r->secret.len == RECORD_SEED_LEN;
	return r->alg == TOKEN_ES256 && r->public.len == RECORD_POINT_LEN &&
	       r->secret.len == RECORD_SCALAR_LEN;
}

bool record_token_key_write(struct buf *out, const struct token_key_record *r)
{
	put_uint(out, RECORD_TOKEN_KEY, 1);
	put_uint(out, TOKEN_KEY_MAJOR, 1);
	put_uint(out, r->created_s, 8);
	put_uint(out, r->signs_s, 8);
	put_uint(out, r->until_s, 8);
	put_uint(out, r->life_s, 4);
	put_uint(out, r->alg, 1);
	put_string(out, r->kid);
	put_string(out, r->public);
	put_string(out, r->secret);
	return !out->full && token_key_valid(r);
}

bool record_token_key_read(struct slice in, struct token_key_record *r)
{
	struct reader from = reader_begin(in, RECORD_TOKEN_KEY, TOKEN_KEY_MAJOR);

	r->created_s = get_uint(&from, 8);
	r->signs_s   = get_uint(&from, 8);
	r->until_s   = get_uint(&from, 8);
	r->life_s    = (uint32_t)get_uint(&from, 4);
	r->alg       = (uint8_t)get_uint(&from, 1);
	r->kid       = get_string(&from);
	r->public    = get_string(&from);
	r->secret    = get_string(&from);
	return !from.bad && token_key_valid(r);
}

void record_number_write(struct buf *out, uint64_t n)
{
	put_uint(out, n, 8);
}

bool record_number_read(struct slice in, uint64_t *n)
{
	struct reader from = { (const uint8_t *)in.ptr, in.len, false };

	*n = get_uint(&from, 8);
	return !from.bad;
}
