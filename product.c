/* product.c -- see product.h. */
#include <assert.h>

#include "product.h"

#define BOOK "price_book"

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
	enum kv_status status = kv_get(kv, record_meta_key(&key, BOOK), &value);

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
	return kv_put(kv, record_meta_key(&key, BOOK), buf_slice(&value));
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
