/* date.h -- days and hours of the Gregorian calendar, UTC, from seconds and back.
 *
 * Not by gmtime(): its first call opens /etc/localtime, which is out of reach in a sandbox.
 * Source  H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */
#ifndef DATE_H
#define DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"

struct date {
	uint32_t year, month, day;      /* month and day count from 1 */
	uint32_t hour, minute, second;
};

#define DATE_MAX_S 253402300799         /* the end of the year 9999 */

/* Of Unix time, at most DATE_MAX_S: what is later is the end of that year. */
struct date date_from(uint64_t unix_s);

/* Unix time; negative before 1970. False: there is no such day, hour, minute or second. */
bool date_to(const struct date *d, int64_t *unix_s);

/* 0 is Sunday. */
uint32_t date_weekday(uint64_t unix_s);

/* The last two digits of a number. */
static inline void date_put_pair(char at[2], uint32_t n)
{
	at[0] = (char)('0' + n / 10 % 10);
	at[1] = (char)('0' + n % 10);
}

/* Writes YYYY-MM-DDThh:mm:ss (RFC 3339, section 5.6), without a zone. */
void date_put(struct buf *out, uint64_t unix_s);

#endif
