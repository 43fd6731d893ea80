/* money.h -- exact amounts: decimal text to integers and back, line totals, tax.
 *
 * No floating point. A unit price counts ten-thousandths of the currency's unit (`_e4`), a
 * total counts hundredths (`_cents`), as oscarapi shows them with two decimals whatever the
 * currency. A tax rate counts millionths (`_e6`): 210000 is 21 %.
 * Rounding is half-up: once for a line's total, once for its tax.
 * Limits  MONEY_PRICE_MAX_E4 times MONEY_QUANTITY_MAX fits int64_t, and so does the tax on it
 *         at MONEY_RATE_MAX_E6. The lines of a basket count MONEY_QUANTITY_MAX together at
 *         most (record.h), so that their sum fits too.
 */
#ifndef MONEY_H
#define MONEY_H

#include "bytes.h"

#define MONEY_PRICE_MAX_E4 INT64_C(999999999999)        /* 99,999,999.9999 */
#define MONEY_QUANTITY_MAX UINT32_C(1000000)
#define MONEY_RATE_MAX_E6  UINT32_C(10000000)           /* 1000 % */
#define MONEY_CENTS_MAX    (MONEY_PRICE_MAX_E4 * MONEY_QUANTITY_MAX / 100)
#define MONEY_CURRENCY_LEN 3                            /* ISO 4217, capitals */

/* Reads plain decimal text, `12`, `12.5`, `0.0125`: digits, at most one point with digits on
 * both sides, at most four decimals. False for a sign, an exponent, blanks, more decimals, or
 * more than MONEY_PRICE_MAX_E4. */
bool money_read_e4(struct slice text, int64_t *e4);
/* The same with at most six decimals, up to MONEY_RATE_MAX_E6. */
bool money_read_rate(struct slice text, uint32_t *rate_e6);

/* Three capital letters. */
bool money_currency_valid(struct slice currency);

/* Writes `12.50`; a negative amount with its sign. */
void money_put_cents(struct buf *out, int64_t cents);
/* Writes with two decimals, and with the third and fourth where they are not 0: `12.50`,
 * `0.0125`. */
void money_put_e4(struct buf *out, int64_t e4);
/* Writes an amount that counts units of the last of `decimals` digits, as a JSON number: `0.0`,
 * `12.5`, `0.0125`, with one digit behind the point at least. Not negative. */
void money_put_number(struct buf *out, int64_t amount, unsigned decimals);
/* Writes `0.21`, without trailing zeros; `0` where there is none. */
void money_put_rate(struct buf *out, uint32_t rate_e6);

/* `quantity` times a unit price (neither over its limit, the price not negative), rounded
 * half-up to cents: at most MONEY_CENTS_MAX. */
int64_t money_line_cents(int64_t price_e4, uint32_t quantity);
/* The tax on a line's total without tax (0 to MONEY_CENTS_MAX), rounded half-up. */
int64_t money_tax_cents(int64_t excl_cents, uint32_t rate_e6);

#endif
