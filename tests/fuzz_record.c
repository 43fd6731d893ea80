/* fuzz_record.c -- any bytes as a record or a key: read(write(x)) = x, no slice outside. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_inside(struct slice in, struct slice s)
{
	require(s.ptr >= in.ptr && s.len <= in.len && s.ptr + s.len <= in.ptr + in.len);
}

/* There is one way to write a record, so what was read and written anew is the front of the
 * input. A byte less is no record. */
static struct slice require_front(struct slice in, const struct buf *out)
{
	require(out->len > 0 && slice_starts(in, buf_slice(out)));
	return (struct slice){ in.ptr, out->len - 1 };
}

static char bytes[1 << 20];     /* the longest: a basket of the most and longest of all */

static void try_session(struct slice in)
{
	struct session_record r;
	struct buf out = BUF(bytes);

	if (!record_session_read(in, &r))
		return;
	require_inside(in, r.login);
	require_inside(in, r.guest_id);
	require(record_session_write(&out, &r));
	require(!record_session_read(require_front(in, &out), &r));
}

static void try_customer(struct slice in)
{
	struct customer_record r;
	struct buf out = BUF(bytes);

	if (!record_customer_read(in, &r))
		return;
	require_inside(in, r.login);
	require_inside(in, r.email);
	require_inside(in, r.first_name);
	require_inside(in, r.last_name);
	require_inside(in, r.sealed_password);
	require(record_customer_write(&out, &r));
	require(!record_customer_read(require_front(in, &out), &r));
}

static void try_client(struct slice in)
{
	struct client_record r;
	struct buf out = BUF(bytes);

	if (!record_client_read(in, &r))
		return;
	require_inside(in, r.name);
	require_inside(in, r.owner);
	require_inside(in, r.origins);
	require(r.source_count <= RECORD_SOURCES_MAX);
	for (uint32_t i = 0; i < r.source_count; i++)
		require(r.sources[i].prefix <= 128);
	require(record_client_write(&out, &r));
	require(!record_client_read(require_front(in, &out), &r));
}

static void try_token_key(struct slice in)
{
	struct token_key_record r;
	struct buf out = BUF(bytes);

	if (!record_token_key_read(in, &r))
		return;
	require_inside(in, r.kid);
	require_inside(in, r.secret);
	require(r.kid.len > 0 && r.kid.len <= RECORD_KID_MAX && r.alg < TOKEN_ALGS);
	require(record_token_key_write(&out, &r));
	require(!record_token_key_read(require_front(in, &out), &r));
}

static void try_data(struct slice in)
{
	struct slice json;
	struct buf out = BUF(bytes);

	if (!record_data_read(in, &json))
		return;
	require_inside(in, json);
	require(record_data_write(&out, json));
	require(!record_data_read(require_front(in, &out), &json));
}

static void try_replay(struct slice in)
{
	struct replay_record r;
	struct buf out = BUF(bytes);

	if (!record_replay_read(in, &r))
		return;
	require_inside(in, r.fields);
	require_inside(in, r.body);
	require(record_replay_write(&out, &r));
	require(!record_replay_read(require_front(in, &out), &r));
}

static void try_product(struct slice in)
{
	struct product_record r;
	struct record_key k;
	struct buf out = BUF(bytes);

	if (!record_product_read(in, &r))
		return;
	require_inside(in, r.id);
	require_inside(in, r.name);
	require_inside(in, r.currency);
	require_inside(in, r.stockrecord);
	require_inside(in, r.options);
	require(slice_given(record_product_key(&k, r.id)));
	require(record_product_write(&out, &r) && out.len <= RECORD_VALUE_MAX);
	require(!record_product_read(require_front(in, &out), &r));
}

static void require_line(struct slice in, const struct basket *b, uint32_t i)
{
	const struct basket_line *l = &b->lines[i];

	require_inside(in, l->product);
	require(l->quantity > 0 && l->first_option <= b->option_count);
	require(l->option_count <= b->option_count - l->first_option);
	require(i == 0 || l->id > b->lines[i - 1].id);
	if (!l->priced)
		return;
	require_inside(in, l->name);
	require_inside(in, l->currency);
	require(money_line_cents(l->price_e4, l->quantity) <= MONEY_CENTS_MAX);
}

/* True where it is one. */
static bool try_basket(struct slice in)
{
	static struct basket b;
	struct buf out = BUF(bytes);
	uint64_t quantity = 0;

	if (!record_basket_read(in, &b))
		return false;
	require(b.line_count <= BASKET_LINES_MAX && b.option_count <= BASKET_OPTIONS_MAX);
	require(b.status < BASKET_STATUSES);
	for (uint32_t i = 0; i < b.line_count; i++) {
		require_line(in, &b, i);
		quantity += b.lines[i].quantity;
	}
	require(quantity <= MONEY_QUANTITY_MAX);
	for (uint32_t i = 0; i < b.option_count; i++) {
		require_inside(in, b.options[i].option);
		require_inside(in, b.options[i].value);
	}
	require(record_basket_write(&out, &b) && out.len == record_basket_bytes(&b));
	if (slice_given(b.email)) {
		require_inside(in, b.email);
		require_inside(in, b.currency);
	} else {
		out.len -= 4;   /* of the first version: it has neither */
	}
	require(!record_basket_read(require_front(in, &out), &b));
	return true;
}

static uint64_t take(struct slice *in, size_t len)
{
	uint64_t n = 0;

	for (; len > 0 && in->len > 0; len--) {
		n = n << 8 | (unsigned char)in->ptr[0];
		*in = slice_skip(*in, 1);
	}
	return n;
}

static struct slice take_text(struct slice *in)
{
	size_t len = take(in, 1);
	struct slice text = { in->ptr, len < in->len ? len : in->len };

	*in = slice_skip(*in, text.len);
	return text;
}

static void take_options(struct basket *b, uint32_t count, struct slice *in)
{
	while (count-- > 0 && b->option_count < BASKET_OPTIONS_MAX) {
		struct basket_option *o = &b->options[b->option_count++];

		o->id = take(in, 1);
		o->option = take_text(in);
		o->value = take_text(in);
	}
}

/* The bytes as the numbers and texts of a basket: what can be written is read as the same. */
static void try_made_basket(struct slice in)
{
	static struct basket made;
	uint64_t id = 0;
	static char record[sizeof bytes];
	struct buf out = BUF(record);

	made.status = (uint8_t)take(&in, 1);
	made.line_count = made.option_count = 0;
	while (in.len > 0 && made.line_count < BASKET_LINES_MAX) {
		struct basket_line *l = &made.lines[made.line_count++];

		*l = (struct basket_line){ .id = id += take(&in, 1) };
		l->quantity = (uint32_t)take(&in, 3);
		l->product = take_text(&in);
		l->first_option = made.option_count;
		l->option_count = (uint32_t)take(&in, 1) % 4;
		take_options(&made, l->option_count, &in);
		l->priced = take(&in, 1) % 2 == 1;
		l->price_e4 = (int64_t)take(&in, 6);
		l->discount_cents = (int64_t)take(&in, 7);
		l->name = take_text(&in);
		l->currency = take(&in, 1) % 8 == 0 ? take_text(&in) : SLICE("EUR");
	}
	if (record_basket_write(&out, &made))
		require(try_basket(buf_slice(&out)));
}

static void try_basket_keys(struct slice in)
{
	struct record_key k;
	uint64_t customer_id, id;

	if (record_basket_key_read(in, &id))
		require(slice_eq(record_basket_key(&k, id), in));
	if (record_baskets_of_key_read(in, &customer_id, &id))
		require(slice_eq(record_baskets_of_key(&k, customer_id, id), in));
}

static void try_keys(struct slice in)
{
	struct record_key k;
	const uint8_t *session_key;
	uint64_t n, created_s;
	struct slice of;
	struct buf out = BUF(bytes);

	if (record_owner_key_read(in, &n, &created_s, &session_key)) {
		require_inside(in, slice_bytes(session_key, RECORD_SESSION_KEY_LEN));
		require(slice_eq(record_owner_key(&k, n, created_s, session_key), in));
	}
	if (record_sweep_key_read(in, &n, &of)) {
		require_inside(in, of);
		require(in.len > RECORD_KEY_MAX || slice_eq(record_sweep_key(&k, n, of), in));
	}
	if (record_number_read(in, &n)) {
		record_number_write(&out, n);
		require(slice_starts(in, buf_slice(&out)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_bytes(data, size);

	try_session(in);
	try_customer(in);
	try_client(in);
	try_data(in);
	try_replay(in);
	try_token_key(in);
	try_product(in);
	try_basket(in);
	try_made_basket(in);
	try_basket_keys(in);
	try_keys(in);
	return 0;
}
