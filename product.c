/* product.c -- see product.h. */
#include <assert.h>
#include <stdio.h>

#include "product.h"

static const char *const error_text[] = {
	[PRODUCT_OK]           = "ok",
	[PRODUCT_ID_BAD]       = "an id is 1 to 100 of A-Z a-z 0-9 . _ ~ -, and not . or ..",
	[PRODUCT_NAME_BAD]     = "a name is at most 254 bytes of UTF-8 without control characters",
	[PRODUCT_PRICE_BAD]    = "a price is 0 to 99999999.9999, with at most four decimals",
	[PRODUCT_CURRENCY_BAD] = "a currency is three capital letters, such as EUR",
	[PRODUCT_RATE_BAD]     = "a tax rate is a fraction such as 0.21, at most 10, with at most "
	                         "six decimals",
	[PRODUCT_LIMIT_BAD]    = "stock is a whole number from 0, max_quantity from 1; both are "
	                         "below 4294967295",
	[PRODUCT_OPTIONS_BAD]  = "options are codes of 1 to 254 bytes of UTF-8 without control "
	                         "characters or commas, together at most 1024 bytes",
	[PRODUCT_STORE]        = "the store failed",
};
static_assert(COUNT_OF(error_text) == PRODUCT_STORE + 1, "one text per product_error");

/* clang-format off */
static const struct {
	const char *name;
	bool due;
} fields[PRODUCT_FIELDS] = {
	[PRODUCT_ID]           = { "id", true },
	[PRODUCT_NAME]         = { "name", true },
	[PRODUCT_PRICE]        = { "price", true },
	[PRODUCT_CURRENCY]     = { "currency", true },
	[PRODUCT_STOCK]        = { "stock", false },
	[PRODUCT_MAX_QUANTITY] = { "max_quantity", false },
	[PRODUCT_TAX_RATE]     = { "tax_rate", false },
	[PRODUCT_OPTIONS]      = { "options", false },
	[PRODUCT_STOCKRECORD]  = { "stockrecord", false },
	[PRODUCT_UPDATED]      = { "updated", false },
};

/* The field that an error is of. */
static const enum product_field field_of[] = {
	[PRODUCT_ID_BAD]       = PRODUCT_ID,
	[PRODUCT_NAME_BAD]     = PRODUCT_NAME,
	[PRODUCT_PRICE_BAD]    = PRODUCT_PRICE,
	[PRODUCT_CURRENCY_BAD] = PRODUCT_CURRENCY,
	[PRODUCT_RATE_BAD]     = PRODUCT_TAX_RATE,
	[PRODUCT_LIMIT_BAD]    = PRODUCT_STOCK,
	[PRODUCT_OPTIONS_BAD]  = PRODUCT_OPTIONS,
};
/* clang-format on */

const char *product_error_text(enum product_error e)
{
	return (unsigned)e < COUNT_OF(error_text) ? error_text[e] : "unknown";
}

bool product_id_valid(struct slice id)
{
	if (id.len == 0 || id.len > RECORD_PRODUCT_ID_MAX || slice_eq(id, SLICE(".")) ||
	    slice_eq(id, SLICE("..")))
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = byte_lower(id.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !slice_has(SLICE("._~-"), c))
			return false;
	}
	return true;
}

enum kv_status product_get(struct kv *kv, struct slice id, struct product_record *r)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_product_key(&key, id), &value);

	if (status != KV_OK)
		return status;
	return record_product_read(value, r) ? KV_OK : KV_IO;
}

enum kv_status product_book(struct kv *kv, uint64_t *number)
{
	struct record_key key;
	struct slice value;
	enum kv_status status = kv_get(kv, record_meta_key(&key, RECORD_PRICE_BOOK), &value);

	*number = 0;
	if (status == KV_NOT_FOUND)
		return KV_OK;
	if (status != KV_OK)
		return status;
	return record_number_read(value, number) ? KV_OK : KV_IO;
}

static enum kv_status count_up(struct kv *kv)
{
	char bytes[8];
	struct buf value = BUF(bytes);
	struct record_key key;
	uint64_t number;
	enum kv_status status = product_book(kv, &number);

	if (status != KV_OK)
		return status;
	record_number_write(&value, number + 1);
	return kv_put(kv, record_meta_key(&key, RECORD_PRICE_BOOK), buf_slice(&value));
}

const char *product_field_name(enum product_field f)
{
	return fields[f].name;
}

bool product_field_due(enum product_field f)
{
	return fields[f].due;
}

static bool bad(struct product_fault *fault, const char *field, const char *why)
{
	snprintf(fault->field, sizeof fault->field, "%s", field);
	snprintf(fault->why, sizeof fault->why, "%s", why);
	return false;
}

bool product_field_find(struct slice name, enum product_field *f, struct product_fault *fault)
{
	for (int i = 0; i < PRODUCT_FIELDS; i++)
		if (slice_eq(name, slice_of(fields[i].name))) {
			*f = (enum product_field)i;
			return true;
		}
	bad(fault, "", "no such field; there are id, name, price, currency, stock, max_quantity, "
	    "tax_rate, options, stockrecord");
	snprintf(fault->field, sizeof fault->field, "%.*s", (int)(name.len < 40 ? name.len : 40),
	         name.ptr);
	return false;
}

static bool options_valid(struct slice options)
{
	struct slice rest = options;

	if (options.len > RECORD_OPTIONS_MAX || !slice_is_text(options))
		return false;
	while (options.len > 0 && slice_given(rest)) {
		struct slice code = slice_cut(&rest, ',');

		if (code.len == 0 || code.len > RECORD_OPTION_MAX)
			return false;
	}
	return true;
}

enum product_error product_judge(const struct product_record *r)
{
	if (!product_id_valid(r->id))
		return PRODUCT_ID_BAD;
	if (r->stockrecord.len > 0 && !product_id_valid(r->stockrecord))
		return PRODUCT_ID_BAD;
	if (r->name.len > RECORD_TEXT_MAX || !slice_is_text(r->name))
		return PRODUCT_NAME_BAD;
	if (r->price_e4 < -1 || r->price_e4 > MONEY_PRICE_MAX_E4)
		return PRODUCT_PRICE_BAD;
	if (!money_currency_valid(r->currency) && (r->price_e4 >= 0 || r->currency.len > 0))
		return PRODUCT_CURRENCY_BAD;
	if (r->tax_rate_e6 > MONEY_RATE_MAX_E6)
		return PRODUCT_RATE_BAD;
	if (r->max_quantity == 0)
		return PRODUCT_LIMIT_BAD;
	return options_valid(r->options) ? PRODUCT_OK : PRODUCT_OPTIONS_BAD;
}

static bool read_count(struct slice text, uint32_t *count)
{
	uint64_t n = UINT32_MAX;

	if (text.len > 0 && !slice_uint(text, UINT32_MAX - 1, &n))
		return false;
	*count = (uint32_t)n;
	return true;
}

bool product_read(const struct slice value[PRODUCT_FIELDS], struct product_record *r,
                  struct product_fault *fault)
{
	enum product_error error;

	*r = (struct product_record){
		.price_e4    = -1,
		.id          = value[PRODUCT_ID],
		.name        = value[PRODUCT_NAME],
		.currency    = value[PRODUCT_CURRENCY],
		.stockrecord = value[PRODUCT_STOCKRECORD],
		.options     = value[PRODUCT_OPTIONS],
	};
	for (int f = 0; f < PRODUCT_FIELDS; f++)
		if (fields[f].due && !slice_given(value[f]))
			return bad(fault, fields[f].name, "missing");
	if (value[PRODUCT_PRICE].len > 0 && !money_read_e4(value[PRODUCT_PRICE], &r->price_e4))
		return bad(fault, "price", product_error_text(PRODUCT_PRICE_BAD));
	if (value[PRODUCT_TAX_RATE].len > 0 &&
	    !money_read_rate(value[PRODUCT_TAX_RATE], &r->tax_rate_e6))
		return bad(fault, "tax_rate", product_error_text(PRODUCT_RATE_BAD));
	if (!read_count(value[PRODUCT_STOCK], &r->stock))
		return bad(fault, "stock", product_error_text(PRODUCT_LIMIT_BAD));
	if (!read_count(value[PRODUCT_MAX_QUANTITY], &r->max_quantity) || r->max_quantity == 0)
		return bad(fault, "max_quantity", product_error_text(PRODUCT_LIMIT_BAD));
	error = product_judge(r);
	if (error == PRODUCT_OK)
		return true;
	return bad(fault, error == PRODUCT_ID_BAD && product_id_valid(r->id) ?
	           "stockrecord" : fields[field_of[error]].name, product_error_text(error));
}

/* The codes of a JSON array, joined by commas. */
static bool put_codes(struct buf *out, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *code = json_array_get(array, i);
		struct slice text = { json_string_value(code), json_string_length(code) };

		if (!json_is_string(code) || slice_has(text, ','))
			return false;
		if (i > 0)
			buf_char(out, ',');
		buf_put(out, text);
	}
	return true;
}

/* The text of one JSON value: a string's own, a whole number's digits, an array's codes. */
static bool json_text(enum product_field f, const json_t *value, struct buf *scratch,
                      struct slice *text, struct product_fault *fault)
{
	size_t start = scratch->len;

	if (json_is_string(value)) {
		*text = (struct slice){ json_string_value(value), json_string_length(value) };
		return true;
	}
	if (json_is_null(value))
		return true;
	if (f == PRODUCT_OPTIONS && json_is_array(value)) {
		if (!put_codes(scratch, value) || scratch->full)
			return bad(fault, "options", product_error_text(PRODUCT_OPTIONS_BAD));
	} else if (json_is_integer(value) && json_integer_value(value) >= 0) {
		buf_uint(scratch, (uint64_t)json_integer_value(value));
	} else {
		return bad(fault, fields[f].name, json_is_real(value) ?
		           "decimal text is due, in quotes, such as \"12.50\"" :
		           "text or a whole number is due");
	}
	*text = (struct slice){ scratch->ptr + start, scratch->len - start };
	return true;
}

bool product_read_json(struct slice text, struct buf *scratch, struct product_record *r,
                       struct product_fault *fault)
{
	struct slice value[PRODUCT_FIELDS] = { { 0 } };
	char error[JSON_ERROR_MAX];
	json_t *object = json_parse(text, error), *member;
	const char *name;

	if (object == NULL)
		return bad(fault, "", error);
	if (!json_is_object(object))
		return bad(fault, "", "an object is due");
	json_object_foreach(object, name, member) {
		enum product_field f;

		if (!product_field_find(slice_of(name), &f, fault) ||
		    !json_text(f, member, scratch, &value[f], fault))
			return false;
	}
	return product_read(value, r, fault);
}

enum product_error product_put(struct kv *kv, const struct product_record *r,
                               enum kv_status *status)
{
	char bytes[RECORD_VALUE_MAX];
	enum product_error error = product_judge(r);
	struct buf value = BUF(bytes);
	struct record_key key;

	*status = KV_OK;
	if (error != PRODUCT_OK)
		return error;
	*status = record_product_write(&value, r) ? KV_OK : KV_IO;
	if (*status == KV_OK)
		*status = kv_put(kv, record_product_key(&key, r->id), buf_slice(&value));
	if (*status == KV_OK)
		*status = count_up(kv);
	return *status == KV_OK ? PRODUCT_OK : PRODUCT_STORE;
}

static bool same(const struct product_record *a, const struct product_record *b)
{
	return a->price_e4 == b->price_e4 && a->tax_rate_e6 == b->tax_rate_e6 &&
	       a->stock == b->stock && a->max_quantity == b->max_quantity &&
	       slice_eq(a->name, b->name) && slice_eq(a->currency, b->currency) &&
	       slice_eq(a->stockrecord, b->stockrecord) && slice_eq(a->options, b->options);
}

enum kv_status product_import(struct kv *kv, struct product_record *r,
                              enum product_change *change)
{
	struct product_record old;
	enum kv_status status = product_get(kv, r->id, &old);
	bool is_there = status == KV_OK;

	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (is_there && r->stockrecord.len == 0)
		r->stockrecord = old.stockrecord;
	*change = !is_there ? PRODUCT_ADDED : same(r, &old) ? PRODUCT_UNCHANGED : PRODUCT_CHANGED;
	if (*change != PRODUCT_UNCHANGED)       /* it was read: only the store can fail */
		product_put(kv, r, &status);
	return status;
}

enum kv_status product_delete(struct kv *kv, struct slice id)
{
	struct record_key key;
	enum kv_status status = kv_del(kv, record_product_key(&key, id));

	return status == KV_OK ? count_up(kv) : status;
}

enum kv_status product_next(struct kv *kv, struct record_key *after, struct product_record *r)
{
	static const char kind = RECORD_PRODUCT;
	struct slice key, value;
	enum kv_status status = kv_scan(kv, (struct slice){ &kind, 1 },
	                                slice_bytes(after->bytes, after->len), &key, &value);

	if (status != KV_OK)
		return status;
	memcpy(after->bytes, key.ptr, key.len);
	after->len = key.len;
	return record_product_read(value, r) ? KV_OK : KV_IO;
}

uint32_t product_available(const struct product_record *r)
{
	return r->stock < r->max_quantity ? r->stock : r->max_quantity;
}
