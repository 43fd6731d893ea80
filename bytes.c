/* bytes.c -- see bytes.h: what is too long to stand there. */
#include "bytes.h"

/* Of each byte that is a digit of base64url (RFC 4648, section 5), its value; else -1. */
static const int8_t values[256] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

static inline int value_of(char c)
{
	return values[(unsigned char)c];
}

int byte_base64url(char c)
{
	return value_of(c);
}

/* Four digits of base64url as three bytes, and one that says nothing; false for any other text. */
static inline bool take_four(const char digits[4], char bytes[4])
{
	int a = value_of(digits[0]), b = value_of(digits[1]);
	int c = value_of(digits[2]), d = value_of(digits[3]);
	uint32_t n = (uint32_t)a << 26 | (uint32_t)b << 20 | (uint32_t)c << 14 | (uint32_t)d << 8;

	n = htobe32(n);
	memcpy(bytes, &n, sizeof n);
	return (a | b | c | d) >= 0;
}

bool base64url_decode(struct slice text, struct buf *out)
{
	unsigned bits = 0, count = 0;
	size_t room = out->full ? 0 : (out->cap - out->len) / 4;
	size_t fours = text.len / 4 < room ? text.len / 4 : room;
	char *at = out->ptr + out->len;

	for (size_t i = 0; i < fours; i++, at += 3)
		if (!take_four(text.ptr + 4 * i, at))
			return false;
	out->len += 3 * fours;
	text = slice_skip(text, 4 * fours);
	for (size_t i = 0; i < text.len; i++) {
		int digit = value_of(text.ptr[i]);

		if (digit < 0)
			return false;
		bits = (bits << 6 | (unsigned)digit) & 0xfff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			buf_char(out, (char)(bits >> count & 0xff));
		}
	}
	return count < 6 && (bits & ((1u << count) - 1)) == 0 && !out->full;
}
