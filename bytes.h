/* bytes.h -- borrowed bytes (slice) and a bounded writer (buf).
 *
 * Owns nothing and allocates nothing: both types point at memory that someone
 * else keeps alive. This is the bottom of the include order.
 */
#ifndef BYTES_H
#define BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Read-only view of `len` bytes; not NUL-terminated. {NULL, 0} means absent. */
struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

/* Views a C string. Tables hold C strings; everything read from outside is a slice. */
static inline struct slice slice_of(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

static inline struct slice slice_bytes(const void *bytes, size_t len)
{
	return (struct slice){ (const char *)bytes, len };
}

/* Present, if perhaps empty: an empty field has a place in its buffer. */
static inline bool slice_given(struct slice s)
{
	return s.ptr != NULL;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* As strcmp(): which comes first, bytes compared as numbers. Not for secrets. */
static inline int slice_order(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	if (order != 0 || a.len == b.len)
		return order;
	return a.len < b.len ? -1 : 1;
}

/* Eight bytes at a step, for the loops that every request goes through. */
#define WORD_ONES  (UINT64_MAX / 255)           /* 1 in each byte */
#define WORD_HIGHS (WORD_ONES << 7)

static inline uint64_t word_at(const char *ptr)
{
	uint64_t w;

	memcpy(&w, ptr, sizeof w);
	return w;
}

/* The high bit of each byte from `low` to `high`, which are ASCII; of no other one. */
static inline uint64_t word_within(uint64_t w, unsigned char low, unsigned char high)
{
	uint64_t seven = w & ~WORD_HIGHS;
	uint64_t from_low = seven + WORD_ONES * (0x80u - low);
	uint64_t beyond_high = seven + WORD_ONES * (0x7fu - high);

	return from_low & ~beyond_high & ~w & WORD_HIGHS;
}

/* How many bytes stand before the first of those whose high bit is set in `mask`, not 0. */
static inline size_t word_first(uint64_t mask)
{
	return (size_t)__builtin_ctzll(le64toh(mask)) / 8;
}

#ifndef SECRET_VERDICT
#define SECRET_VERDICT(equal) (equal)   /* tests/taint.h has another */
#endif

/* Equal in a time that depends on the lengths alone: for secrets and digests. */
static inline bool slice_eq_secret(struct slice a, struct slice b)
{
	uint64_t differ = 0;
	size_t i = 0;

	if (a.len != b.len)
		return false;
	for (; a.len - i >= 8; i += 8)
		differ |= word_at(a.ptr + i) ^ word_at(b.ptr + i);
	for (; i < a.len; i++)
		differ |= (uint64_t)(unsigned char)a.ptr[i] ^ (uint64_t)(unsigned char)b.ptr[i];
	return SECRET_VERDICT(differ == 0);
}

static inline char byte_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* byte_lower() of each byte: the high bits tell which are from `A` on, and which beyond `Z`. */
static inline uint64_t word_lower(uint64_t w)
{
	uint64_t low = w & ~WORD_HIGHS;
	uint64_t from_a = low + WORD_ONES * (0x80 - 'A'), beyond_z = low + WORD_ONES * (0x7f - 'Z');

	return w | ((from_a ^ beyond_z) & ~w & WORD_HIGHS) >> 2;
}

/* Equal but for the case of ASCII letters (field names, host names). */
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	size_t i = 0;

	if (a.len != b.len)
		return false;
	for (; a.len - i >= 8; i += 8) {
		uint64_t one = word_at(a.ptr + i), other = word_at(b.ptr + i);

		if (one != other && word_lower(one) != word_lower(other))
			return false;
	}
	for (; i < a.len; i++)
		if (byte_lower(a.ptr[i]) != byte_lower(b.ptr[i]))
			return false;
	return true;
}

/* Writes `s` in lower case to `out`, which has room for it. */
static inline struct slice slice_lower(struct slice s, char *out)
{
	size_t i = 0;

	for (; s.len - i >= 8; i += 8) {
		uint64_t w = word_lower(word_at(s.ptr + i));

		memcpy(out + i, &w, sizeof w);
	}
	for (; i < s.len; i++)
		out[i] = byte_lower(s.ptr[i]);
	return (struct slice){ out, s.len };
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool slice_has(struct slice s, char c)
{
	return s.len > 0 && memchr(s.ptr, c, s.len) != NULL;
}

/* True where no byte is 0x80 or more. */
static inline bool slice_is_ascii(struct slice s)
{
	uint64_t any = 0;
	size_t i = 0;

	for (; s.len - i >= 8; i += 8)
		any |= word_at(s.ptr + i);
	for (; i < s.len; i++)
		any |= (unsigned char)s.ptr[i];
	return (any & WORD_HIGHS) == 0;
}

/* The part of `s` after its first `n` bytes; `n` is at most `s.len`. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
	return (struct slice){ s.ptr + n, s.len - n };
}

/* Without the blanks (SP, HTAB) at both ends. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Splits `*rest` at the first `sep`: returns the part before it and moves
 * `*rest` past it. Without a `sep`, returns all of it and leaves it absent. */
static inline struct slice slice_cut(struct slice *rest, char sep)
{
	const char *hit = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
	struct slice head = *rest;

	if (hit == NULL) {
		*rest = (struct slice){ 0 };
		return head;
	}
	head.len = (size_t)(hit - head.ptr);
	rest->ptr += head.len + 1;
	rest->len -= head.len + 1;
	return head;
}

/* Digits only, no sign, no blank, at most `max`; false where it is not so. */
static inline bool slice_uint(struct slice s, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

		if (digit > 9 || digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*value = n;
	return true;
}

/* The value of one hexadecimal digit, or -1. */
static inline int byte_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = byte_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The length of the UTF-8 sequence in front of `s`, which is not empty; 0 where there is
 * none (RFC 3629, section 4). */
static inline size_t slice_utf8_len(struct slice s)
{
	const unsigned char *byte = (const unsigned char *)s.ptr;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	len = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (s.len < len)
		return 0;
	if (byte[0] == 0xe0)
		low = 0xa0;     /* shorter forms exist */
	else if (byte[0] == 0xed)
		high = 0x9f;    /* surrogates */
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f;    /* beyond U+10FFFF */
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* UTF-8 without control characters. */
static inline bool slice_is_text(struct slice s)
{
	while (s.len > 0) {
		size_t len = slice_utf8_len(s);

		if (len == 0 || (unsigned char)s.ptr[0] < 0x20 || s.ptr[0] == 0x7f)
			return false;
		s = slice_skip(s, len);
	}
	return true;
}

/* Characters of UTF-8: bytes that do not continue one. */
static inline size_t slice_chars(struct slice s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* Fixed-size output. A write that does not fit sets `full` and is dropped, and
 * so is every later one: write straight through, check `full` once at the end. */
struct buf {
	char *ptr;
	size_t len, cap;   /* bytes used, bytes available */
	bool full;
};

#define BUF(array) ((struct buf){ (array), 0, sizeof(array), false })

static inline void buf_put(struct buf *b, struct slice s)
{
	if (b->full || s.len > b->cap - b->len) {
		b->full = true;
		return;
	}
	if (s.len > 0)
		memcpy(b->ptr + b->len, s.ptr, s.len);
	b->len += s.len;
}

/* A literal: its length is known when this is compiled, so the copy is inlined. */
#define buf_lit(b, literal) buf_put((b), SLICE(literal))

static inline void buf_char(struct buf *b, char c)
{
	buf_put(b, (struct slice){ &c, 1 });
}

static inline void buf_str(struct buf *b, const char *s)
{
	buf_put(b, slice_of(s));
}

static inline void buf_uint(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_put(b, (struct slice){ digits + at, sizeof digits - at });
}

/* Four bytes as eight digits: their halves are spread, and those above 9 are moved on to `a`. */
static inline void word_put_hex(char out[8], const char four[4])
{
	const uint64_t low = UINT64_MAX / 65535 * 15;   /* the lower half of each pair's byte */
	uint32_t bytes;
	uint64_t pairs, halves, letters, text;

	memcpy(&bytes, four, sizeof bytes);
	pairs = le32toh(bytes);
	pairs = (pairs | pairs << 16) & UINT64_C(0x0000ffff0000ffff);
	pairs = (pairs | pairs << 8) & UINT64_MAX / 65535 * 255;
	halves = (pairs >> 4 & low) | (pairs & low) << 8;
	letters = (halves + WORD_ONES * 6) >> 4 & WORD_ONES;
	text = htole64(halves + WORD_ONES * '0' + letters * ('a' - '0' - 10));
	memcpy(out, &text, sizeof text);
}

/* Lower-case hexadecimal, two digits a byte. */
static inline void buf_hex(struct buf *b, struct slice s)
{
	static const char digit[] = "0123456789abcdef";
	char *at = b->ptr + b->len;
	size_t i = 0;

	if (b->full || s.len > (b->cap - b->len) / 2) {
		b->full = true;
		return;
	}
	for (; s.len - i >= 4; i += 4, at += 8)
		word_put_hex(at, s.ptr + i);
	for (; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		*at++ = digit[c >> 4];
		*at++ = digit[c & 15];
	}
	b->len += 2 * s.len;
}

/* One digit of base64, the last two being `digit62` and `digit63`: worked out, since the address
 * in a table would tell what a secret is made of. */
static inline char byte_to_base64(unsigned value, char digit62, char digit63)
{
	int v = (int)(value & 63), c = 'A' + v;

	c += (25 - v) >> 8 & ('a' - 'Z' - 1);
	c += (51 - v) >> 8 & ('0' - 'z' - 1);
	c += (61 - v) >> 8 & (digit62 - '9' - 1);
	c += (62 - v) >> 8 & (digit63 - digit62 - 1);
	return (char)c;
}

/* The first `chars` digits of the base64url form (RFC 4648, section 5), no padding. */
static inline void buf_base64url(struct buf *b, const uint8_t *bytes, size_t len, size_t chars)
{
	for (size_t i = 0; i < chars; i++) {
		size_t bit = i * 6, at = bit / 8;
		unsigned pair = (unsigned)bytes[at] << 8 | (at + 1 < len ? bytes[at + 1] : 0u);

		buf_char(b, byte_to_base64(pair >> (10 - bit % 8), '-', '_'));
	}
}

/* The value of one digit of base64url, or -1. */
int byte_base64url(char c);

/* Decodes base64url without padding behind `out`; false for any other text, and where it does
 * not fit. Bits of the last digit that no byte needs must be 0: bytes have one text. */
bool base64url_decode(struct slice text, struct buf *out);

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->ptr, b->len };
}

/* Decodes exactly `len` bytes of hexadecimal; false for any other text. */
static inline bool hex_decode(struct slice text, uint8_t *bytes, size_t len)
{
	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = byte_hex(text.ptr[2 * i]), low = byte_hex(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

#endif
