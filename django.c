/* django.c -- see django.h. */
#include <assert.h>

#include "date.h"
#include "django.h"
#include "inflate.h"
#include "signing.h"

/* SessionStore is the class's name in every backend of Django's own. */
#define SESSION_SALT   "django.contrib.sessions.SessionStore"
#define AUTH_HASH_SALT "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

#define BASE62_MAX     11       /* digits of a number of 64 bits */

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char *const error_text[] = {
	[DJANGO_OK]        = "ok",
	[DJANGO_FORM]      = "not in the form that Django has since 3.1",
	[DJANGO_SIGNATURE] = "signed with another secret",
	[DJANGO_LONG]      = "holds more than 65536 bytes",
	[DJANGO_BROKEN]    = "cannot be unpacked",
};
static_assert(COUNT_OF(error_text) == DJANGO_BROKEN + 1, "one text per django_error");

const char *django_error_text(enum django_error e)
{
	return (unsigned)e < COUNT_OF(error_text) ? error_text[e] : "unknown";
}

static bool base62_read(struct slice text, uint64_t *n)
{
	if (text.len == 0 || text.len > BASE62_MAX)
		return false;
	*n = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(base62, text.ptr[i], sizeof base62 - 1);

		if (digit == NULL || *n > (UINT64_MAX - 61) / 62)
			return false;
		*n = *n * 62 + (uint64_t)(digit - base62);
	}
	return true;
}

static void base62_write(struct buf *out, uint64_t n)
{
	char digits[BASE62_MAX];
	size_t at = sizeof digits;

	do
		digits[--at] = base62[n % 62];
	while ((n /= 62) > 0);
	buf_put(out, (struct slice){ digits + at, sizeof digits - at });
}

static enum django_error unpack(struct slice packed, struct buf *out)
{
	switch (inflate_all(packed, INFLATE_ZLIB, DJANGO_SESSION_MAX, out)) {
	case INFLATE_OK:
		return DJANGO_OK;
	case INFLATE_LONG:
		return DJANGO_LONG;
	default:
		return DJANGO_BROKEN;
	}
}

/* Decodes `[.]base64url`. */
static enum django_error open_payload(struct slice payload, struct buf *json)
{
	static char bytes[DJANGO_SESSION_MAX];
	struct buf packed = BUF(bytes);
	bool is_packed = slice_starts(payload, SLICE("."));

	if (!is_packed) {
		size_t start = json->len;

		if (payload.len / 4 * 3 > DJANGO_SESSION_MAX)
			return DJANGO_LONG;
		if (base64url_decode(payload, json))
			return DJANGO_OK;
		json->len = start;
		return json->full ? DJANGO_LONG : DJANGO_BROKEN;
	}
	if (!base64url_decode(slice_skip(payload, 1), &packed))
		return packed.full ? DJANGO_LONG : DJANGO_BROKEN;
	return unpack(buf_slice(&packed), json);
}

enum django_error django_session_read(struct slice stored, struct slice secret, struct buf *json,
                                      uint64_t *written_s)
{
	struct slice rest = stored, payload, written, signature, value;

	payload = slice_cut(&rest, ':');
	written = slice_cut(&rest, ':');
	signature = rest;
	if (signature.len != SIGNING_TEXT_LEN || !base62_read(written, written_s))
		return DJANGO_FORM;
	if (!signing_read(stored, secret, SLICE(SESSION_SALT), &value))
		return DJANGO_SIGNATURE;
	return open_payload(payload, json);
}

void django_session_write(struct buf *out, struct slice secret, struct slice json,
                          uint64_t written_s)
{
	char bytes[DJANGO_SESSION_MAX];
	struct buf value = BUF(bytes);

	buf_base64url(&value, (const uint8_t *)json.ptr, json.len, (json.len * 8 + 5) / 6);
	buf_char(&value, ':');
	base62_write(&value, written_s);
	out->full = out->full || value.full;
	signing_write(out, secret, SLICE(SESSION_SALT), buf_slice(&value));
}

void django_auth_hash(struct slice secret, struct slice password,
                      char hex[DJANGO_AUTH_HASH_LEN])
{
	struct buf out = { hex, 0, DJANGO_AUTH_HASH_LEN, false };
	uint8_t mac[SIGNING_MAC_LEN];

	signing_salted_hmac(secret, SLICE(AUTH_HASH_SALT), password, mac);
	buf_hex(&out, slice_bytes(mac, sizeof mac));
}

/* Takes `digits` digits and the byte behind them, unless `after` is NUL. */
static bool take(struct slice *rest, size_t digits, char after, uint32_t max, uint32_t *n)
{
	uint64_t value;
	size_t taken = digits + (after != '\0');

	if (rest->len < taken || (after != '\0' && rest->ptr[digits] != after) ||
	    !slice_uint((struct slice){ rest->ptr, digits }, max, &value))
		return false;
	*n = (uint32_t)value;
	*rest = slice_skip(*rest, taken);
	return true;
}

/* `.206`: one to six digits, of a second. */
static bool take_fraction(struct slice *rest, uint64_t *us)
{
	size_t digits = 0;

	*us = 0;
	if (!slice_starts(*rest, SLICE(".")))
		return true;
	*rest = slice_skip(*rest, 1);
	while (rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9' && digits < 6) {
		*us = *us * 10 + (uint64_t)(rest->ptr[0] - '0');
		*rest = slice_skip(*rest, 1);
		digits++;
	}
	for (size_t i = digits; i < 6; i++)
		*us *= 10;
	return digits > 0;
}

/* `Z`, `+01:00`, or nothing: seconds east of UTC. */
static bool take_zone(struct slice rest, int64_t *east_s)
{
	bool west = slice_starts(rest, SLICE("-"));
	uint32_t hours, minutes;

	*east_s = 0;
	if (rest.len == 0 || slice_eq(rest, SLICE("Z")))
		return true;
	if (!west && !slice_starts(rest, SLICE("+")))
		return false;
	rest = slice_skip(rest, 1);
	if (!take(&rest, 2, ':', 23, &hours) || !take(&rest, 2, '\0', 59, &minutes) ||
	    rest.len > 0)
		return false;
	*east_s = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
	return true;
}

bool django_time_read(struct slice text, uint64_t *us)
{
	struct date d;
	uint64_t fraction;
	int64_t east_s, seconds;

	if (!take(&text, 4, '-', 9999, &d.year) || !take(&text, 2, '-', 12, &d.month) ||
	    text.len < 11 || (text.ptr[2] != 'T' && text.ptr[2] != ' ') ||
	    !take(&text, 2, text.ptr[2], 31, &d.day) ||
	    !take(&text, 2, ':', 23, &d.hour) || !take(&text, 2, ':', 59, &d.minute) ||
	    !take(&text, 2, '\0', 59, &d.second) ||
	    !take_fraction(&text, &fraction) || !take_zone(text, &east_s) ||
	    !date_to(&d, &seconds))
		return false;
	seconds -= east_s;
	*us = (uint64_t)seconds * 1000000 + fraction;
	return seconds >= 0;
}
