/* money.c -- see money.h. */
#include <assert.h>

#include "money.h"

#define E6 1000000

static_assert(MONEY_PRICE_MAX_E4 < INT64_MAX / MONEY_QUANTITY_MAX, "a line's total fits");
static_assert(MONEY_CENTS_MAX / E6 < INT64_MAX / MONEY_RATE_MAX_E6 - MONEY_RATE_MAX_E6,
              "its tax fits");

/* Digits, and perhaps a point and at most `decimals` digits more: counted in units of the last
 * of them. */
static bool read_fixed(struct slice text, unsigned decimals, uint64_t max, uint64_t *value)
{
	bool has_point = slice_has(text, '.');
	struct slice fraction = text, whole = slice_cut(&fraction, '.');
	uint64_t unit = 1, low = 0, n;

	for (unsigned i = 0; i < decimals; i++)
		unit *= 10;
	if (!slice_uint(whole, max / unit, &n))
		return false;
	if (has_point) {
		uint64_t worth = unit;

		if (fraction.len > decimals || !slice_uint(fraction, unit - 1, &low))
			return false;
		for (size_t i = 0; i < fraction.len; i++)
			worth /= 10;
		low *= worth;
	}
	n = n * unit + low;
	if (n > max)
		return false;
	*value = n;
	return true;
}

bool money_read_e4(struct slice text, int64_t *e4)
{
	uint64_t n;

	if (!read_fixed(text, 4, (uint64_t)MONEY_PRICE_MAX_E4, &n))
		return false;
	*e4 = (int64_t)n;
	return true;
}

bool money_read_rate(struct slice text, uint32_t *rate_e6)
{
	uint64_t n;

	if (!read_fixed(text, 6, MONEY_RATE_MAX_E6, &n))
		return false;
	*rate_e6 = (uint32_t)n;
	return true;
}

bool money_currency_valid(struct slice currency)
{
	if (currency.len != MONEY_CURRENCY_LEN)
		return false;
	for (size_t i = 0; i < currency.len; i++)
		if (currency.ptr[i] < 'A' || currency.ptr[i] > 'Z')
			return false;
	return true;
}

/* `value` counts units of the last of `decimals` digits; zeros behind the first `least` of
 * them are left out. */
static void put_fixed(struct buf *out, uint64_t value, unsigned decimals, unsigned least)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < decimals; i++)
		unit *= 10;
	buf_uint(out, value / unit);
	if (least == 0 && value % unit == 0)
		return;
	buf_char(out, '.');
	for (unsigned i = 0; i < decimals && (i < least || value % unit != 0); i++) {
		value = value % unit * 10;
		buf_char(out, (char)('0' + value / unit));
	}
}

/* The sign, and what is left without it. */
static uint64_t put_sign(struct buf *out, int64_t n)
{
	if (n >= 0)
		return (uint64_t)n;
	buf_char(out, '-');
	return -(uint64_t)n;
}

void money_put_cents(struct buf *out, int64_t cents)
{
	put_fixed(out, put_sign(out, cents), 2, 2);
}

void money_put_e4(struct buf *out, int64_t e4)
{
	put_fixed(out, put_sign(out, e4), 4, 2);
}

void money_put_number(struct buf *out, int64_t amount, unsigned decimals)
{
	assert(amount >= 0);
	put_fixed(out, (uint64_t)amount, decimals, 1);
}

void money_put_rate(struct buf *out, uint32_t rate_e6)
{
	put_fixed(out, rate_e6, 6, 0);
}

int64_t money_line_cents(int64_t price_e4, uint32_t quantity)
{
	assert(price_e4 >= 0 && price_e4 <= MONEY_PRICE_MAX_E4 && quantity <= MONEY_QUANTITY_MAX);
	return (price_e4 * quantity + 50) / 100;
}

/* In two parts: the product of both would not fit. */
int64_t money_tax_cents(int64_t excl_cents, uint32_t rate_e6)
{
	assert(excl_cents >= 0 && excl_cents <= MONEY_CENTS_MAX && rate_e6 <= MONEY_RATE_MAX_E6);
	return excl_cents / E6 * rate_e6 + (excl_cents % E6 * rate_e6 + E6 / 2) / E6;
}
