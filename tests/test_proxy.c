/* test_proxy.c -- PROXY protocol v1 and v2: whole, byte by byte, and with bytes behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "guard.h"
#include "proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define NONE      "none"                /* the socket's peer counts */

/* What the table's bytes start with goes on up to `len` with `filler`. */
struct header {
	const char *name;
	const char *bytes;
	size_t bytes_len, len;
	char filler;
	const char *source;             /* NULL: refused */
};

#define TEXT(text)        text, sizeof(text) - 1, sizeof(text) - 1, 0
#define FILLED(text, len) text, sizeof(text) - 1, (len), '\xff'

static struct slice bytes_of(const struct header *h)
{
	static char room[8192];

	assert_true(h->bytes_len <= h->len && h->len <= sizeof room);
	memset(room, h->filler, h->len);
	memcpy(room, h->bytes, h->bytes_len);
	return (struct slice){ room, h->len };
}

static void check_source(const struct header *h, const struct proxy_header *got)
{
	char room[ADDRESS_TEXT_MAX];
	struct buf text = BUF(room);

	if (got->named)
		address_write(&text, &got->source);
	else
		buf_str(&text, NONE);
	if (!slice_eq(buf_slice(&text), slice_of(h->source)))
		fail_msg("%s: %.*s", h->name, (int)text.len, text.ptr);
}

/* Up to the byte that decides, and no further. */
static enum proxy_result feed(struct slice in, size_t *decided, struct proxy_header *h)
{
	for (*decided = 0; *decided <= in.len; ++*decided) {
		struct slice part = guarded((struct slice){ in.ptr, *decided });
		enum proxy_result result = proxy_parse(part, h);

		if (result != PROXY_MORE)
			return result;
	}
	return PROXY_MORE;
}

static const struct header good[] = {
	/* proxy-protocol.txt, section 2.1. */
	{ "its example", TEXT("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1" },
	{ "longest TCP4", TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	  "255.255.255.255" },
	{ "longest TCP6", TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "unknown, short", TEXT("PROXY UNKNOWN\r\n"), NONE },
	{ "unknown, longest", TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), NONE },
	{ "unknown, anything behind", TEXT("PROXY UNKNOWN \0\xff \r x\r\n"), NONE },
	{ "ports 0", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 0 0\r\n"), "10.0.0.1" },
	{ "TCP6, short", TEXT("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), "2001:db8::1" },
	{ "TCP6, mapped", TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "192.0.2.1" },
	/* Section 2.2. */
	{ "TCP over IPv4", TEXT(SIGNATURE "\x21\x11\0\x0c" "\xc0\0\x02\x01" "\x0a\0\0\x01"
	  "\x12\x34\0\x50"), "192.0.2.1" },
	{ "UDP over IPv4", TEXT(SIGNATURE "\x21\x12\0\x0c" "\xc0\0\x02\x01" "\x0a\0\0\x01"
	  "\x12\x34\0\x50"), "192.0.2.1" },
	{ "TCP over IPv6", FILLED(SIGNATURE "\x21\x21\0\x24" "\x20\x01\x0d\xb8\0\0\0\0"
	  "\0\0\0\0\0\0\0\x01", 16 + 36), "2001:db8::1" },
	{ "Unix", FILLED(SIGNATURE "\x21\x31\0\xd8" "/run/shop.sock", 16 + 216), "::" },
	{ "local", TEXT(SIGNATURE "\x20\0\0\0"), NONE },
	{ "local, with addresses", FILLED(SIGNATURE "\x20\x11\0\x0c", 16 + 12), NONE },
	{ "local, any family", TEXT(SIGNATURE "\x20\xff\0\0"), NONE },
	{ "unspecified", TEXT(SIGNATURE "\x21\0\0\0"), NONE },
	{ "unspecified, with bytes", FILLED(SIGNATURE "\x21\0\0\x05", 16 + 5), NONE },
	{ "IPv4, transport unspecified", TEXT(SIGNATURE "\x21\x10\0\0"), NONE },
	{ "IPv4 and TLVs", TEXT(SIGNATURE "\x21\x11\0\x13" "\xc0\0\x02\x01" "\x0a\0\0\x01"
	  "\x12\x34\0\x50" "\x04\0\x04\0\0\0\0"), "192.0.2.1" },
	{ "IPv4 and all TLVs that fit", FILLED(SIGNATURE "\x21\x11\x08\0" "\xc0\0\x02\x01",
	  16 + 2048), "192.0.2.1" },
};

static const struct header bad[] = {
	{ "a request", TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), NULL },
	{ "an empty line", TEXT("\r\n\r\nGET"), NULL },
	{ "TLS", TEXT("\x16\x03\x01\0"), NULL },
	{ "NUL", TEXT("\0"), NULL },
	{ "lower case", TEXT("proxy TCP4 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "nothing but the word", TEXT("PROXY\r\n"), NULL },
	{ "no protocol", TEXT("PROXY \r\n"), NULL },
	{ "two blanks", TEXT("PROXY  TCP4 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "a tab", TEXT("PROXY\tTCP4 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "another protocol", TEXT("PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "unknown, more letters", TEXT("PROXY UNKNOWNS\r\n"), NULL },
	{ "lower-case protocol", TEXT("PROXY tcp4 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "IPv6 as TCP4", TEXT("PROXY TCP4 ::1 ::1 1 2\r\n"), NULL },
	{ "IPv4 as TCP6", TEXT("PROXY TCP6 10.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "two families", TEXT("PROXY TCP4 10.0.0.1 ::1 1 2\r\n"), NULL },
	{ "brackets", TEXT("PROXY TCP6 [::1] [::1] 1 2\r\n"), NULL },
	{ "a leading zero", TEXT("PROXY TCP4 010.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "three numbers", TEXT("PROXY TCP4 10.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "a number over 255", TEXT("PROXY TCP4 256.0.0.1 10.0.0.2 1 2\r\n"), NULL },
	{ "a zone", TEXT("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"), NULL },
	{ "a host name", TEXT("PROXY TCP4 localhost 10.0.0.2 1 2\r\n"), NULL },
	{ "NUL in an address", TEXT("PROXY TCP4 10.0.0.1\0 10.0.0.2 1 2\r\n"), NULL },
	{ "no destination", TEXT("PROXY TCP4 10.0.0.1\r\n"), NULL },
	{ "no port", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2\r\n"), NULL },
	{ "one port", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n"), NULL },
	{ "three ports", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n"), NULL },
	{ "a port over 65535", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n"), NULL },
	{ "a port with a leading zero", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n"), NULL },
	{ "a port of two zeros", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 00\r\n"), NULL },
	{ "a negative port", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 -1 2\r\n"), NULL },
	{ "an empty port", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2  2\r\n"), NULL },
	{ "a blank at the end", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n"), NULL },
	{ "LF alone", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n"), NULL },
	{ "unknown, LF alone", TEXT("PROXY UNKNOWN\n"), NULL },
	{ "CR inside", TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\r\n"), NULL },
	{ "no end in 107 bytes", FILLED("PROXY UNKNOWN ", 107), NULL },
	{ "v2: one byte of the signature wrong", TEXT("\r\n\r\n\0\r\nQUIT\r"), NULL },
	{ "v2: version 1", TEXT(SIGNATURE "\x11"), NULL },
	{ "v2: version 3", TEXT(SIGNATURE "\x31"), NULL },
	{ "v2: command 2", TEXT(SIGNATURE "\x22"), NULL },
	{ "v2: family 4", TEXT(SIGNATURE "\x21\x41"), NULL },
	{ "v2: transport 3", TEXT(SIGNATURE "\x21\x13"), NULL },
	{ "v2: IPv4, one byte short", TEXT(SIGNATURE "\x21\x11\0\x0b"), NULL },
	{ "v2: IPv4, no address", TEXT(SIGNATURE "\x21\x11\0\0"), NULL },
	{ "v2: IPv6, of IPv4's length", TEXT(SIGNATURE "\x21\x21\0\x0c"), NULL },
	{ "v2: Unix, one byte short", TEXT(SIGNATURE "\x21\x31\0\xd7"), NULL },
	{ "v2: longer than any", TEXT(SIGNATURE "\x21\x11\x08\x01"), NULL },
	{ "v2: local, longer than any", TEXT(SIGNATURE "\x20\0\xff\xff"), NULL },
};

static void takes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct slice in = bytes_of(&good[i]);
		struct proxy_header h;
		size_t decided;

		if (proxy_parse(guarded(in), &h) != PROXY_READY || h.len != in.len)
			fail_msg("%s is refused", good[i].name);
		check_source(&good[i], &h);
		if (feed(in, &decided, &h) != PROXY_READY || decided != in.len)
			fail_msg("%s, byte by byte: %zu of %zu", good[i].name, decided, in.len);
		check_source(&good[i], &h);
	}
}

static void leaves_what_follows(void **state)
{
	static const char *const tails[] = { "G", "GET / HTTP/1.1\r\n\r\n", "\r\n",
		                             "PROXY UNKNOWN\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good) * COUNT_OF(tails); i++) {
		const struct header *g = &good[i / COUNT_OF(tails)];
		struct slice in = bytes_of(g);
		char room[8192];
		struct buf both = BUF(room);
		struct proxy_header h;

		buf_put(&both, in);
		buf_str(&both, tails[i % COUNT_OF(tails)]);
		if (proxy_parse(guarded(buf_slice(&both)), &h) != PROXY_READY || h.len != in.len)
			fail_msg("%s, with bytes behind it", g->name);
		check_source(g, &h);
	}
}

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct slice in = bytes_of(&bad[i]);
		struct proxy_header h;
		size_t decided;

		if (proxy_parse(guarded(in), &h) != PROXY_REFUSED)
			fail_msg("%s is not refused", bad[i].name);
		if (feed(in, &decided, &h) != PROXY_REFUSED)
			fail_msg("%s, byte by byte, is not refused", bad[i].name);
	}
}

/* Nobody who is no proxy is waited for: the first byte of a request decides. */
static void refuses_at_once(void **state)
{
	struct proxy_header h;
	size_t decided;

	(void)state;
	assert_int_equal(feed(SLICE("GET / HTTP/1.1"), &decided, &h), PROXY_REFUSED);
	assert_int_equal(decided, 1);
	assert_int_equal(feed(SLICE("POST /"), &decided, &h), PROXY_REFUSED);
	assert_int_equal(decided, 2);
	assert_int_equal(feed(SLICE(SIGNATURE "\x21\x11\xff\xff more"), &decided, &h),
	                 PROXY_REFUSED);
	assert_int_equal(decided, 16);
	assert_int_equal(proxy_parse((struct slice){ 0 }, &h), PROXY_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes),
		cmocka_unit_test(leaves_what_follows),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_at_once),
	};

	return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
