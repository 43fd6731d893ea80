/* date.c -- see date.h.
 *
 * Counts in years that begin in March, so that the leap day is the last of its year, and in
 * eras of 400 years, which all have as many days.
 */

#include "date.h"

#define DAY_S        86400
#define ERA_DAYS     146097
#define DAYS_TO_1970 719468             /* from 1 March of the year 0 */

struct date date_from(uint64_t unix_s)
{
	uint32_t day, second, of_era, year, of_year, month;

	if (unix_s > DATE_MAX_S)
		unix_s = DATE_MAX_S;
	day = (uint32_t)(unix_s / DAY_S) + DAYS_TO_1970;
	second = (uint32_t)(unix_s % DAY_S);
	of_era = day % ERA_DAYS;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	return (struct date){
		.year   = year + day / ERA_DAYS * 400 + (month >= 10),
		.month  = month < 10 ? month + 3 : month - 9,
		.day    = of_year - (153 * month + 2) / 5 + 1,
		.hour   = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
	};
}

static bool day_exists(const struct date *d)
{
	static const uint32_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;

	return d->year >= 1 && d->year <= 9999 && d->month >= 1 && d->month <= 12 &&
	       d->day >= 1 && d->day <= days[d->month - 1] + (d->month == 2 && leap);
}

bool date_to(const struct date *d, int64_t *unix_s)
{
	uint32_t year = d->year - (d->month <= 2), of_era = year % 400;
	uint32_t month = d->month > 2 ? d->month - 3 : d->month + 9;
	uint32_t of_year = (153 * month + 2) / 5 + d->day - 1;
	uint32_t day = year / 400 * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year;

	if (!day_exists(d) || d->hour > 23 || d->minute > 59 || d->second > 59)
		return false;
	*unix_s = ((int64_t)day - DAYS_TO_1970) * DAY_S + d->hour * 3600 + d->minute * 60 +
	          d->second;
	return true;
}

uint32_t date_weekday(uint64_t unix_s)
{
	const uint32_t thursday = 4;

	return (uint32_t)((unix_s / DAY_S + thursday) % 7);
}

void date_put(struct buf *out, uint64_t unix_s)
{
	struct date d = date_from(unix_s);
	char text[] = "1970-01-01T00:00:00";

	date_put_pair(text, d.year / 100);
	date_put_pair(text + 2, d.year);
	date_put_pair(text + 5, d.month);
	date_put_pair(text + 8, d.day);
	date_put_pair(text + 11, d.hour);
	date_put_pair(text + 14, d.minute);
	date_put_pair(text + 17, d.second);
	buf_put(out, (struct slice){ text, sizeof text - 1 });
}
