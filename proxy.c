/* proxy.c -- see proxy.h. */
#include "proxy.h"

#define LINE_MAX_LEN 107        /* bytes of v1, CRLF included (section 2.1) */
#define FIXED_LEN    16         /* bytes of v2 in front of the addresses (section 2.2) */
#define VERSION_AT   12
#define FAMILY_AT    13
#define LENGTH_AT    14

enum family { UNSPEC, INET, INET6, UNIX, FAMILIES };

static const struct slice line_start = { "PROXY ", 6 };
static const struct slice signature = { "\r\n\r\n\0\r\nQUIT\n", 12 };

/* Bytes of both addresses, and of the ports where there are any. */
static const size_t addresses_len[FAMILIES] = { [INET] = 12, [INET6] = 36, [UNIX] = 216 };

/* `in` is the start of `s`, or `s` the start of `in`. */
static bool may_start(struct slice in, struct slice s)
{
	return in.len < s.len ? slice_starts(s, in) : slice_starts(in, s);
}

static bool read_address(struct slice text, bool ipv6, struct address *a)
{
	return slice_has(text, ':') == ipv6 && !slice_has(text, '[') && address_parse(text, a);
}

static bool is_port(struct slice text)
{
	uint64_t port;

	return slice_uint(text, UINT16_MAX, &port) &&
	       (text.len == 1 || !slice_starts(text, SLICE("0")));
}

/* `SOURCE DESTINATION PORT PORT`. */
static bool read_ends(struct slice rest, bool ipv6, struct address *source)
{
	struct address destination;

	return read_address(slice_cut(&rest, ' '), ipv6, source) &&
	       read_address(slice_cut(&rest, ' '), ipv6, &destination) &&
	       is_port(slice_cut(&rest, ' ')) && is_port(rest);
}

/* The line without `PROXY ` and CRLF. Behind UNKNOWN anything may stand (section 2.1). */
static bool read_line(struct slice rest, struct proxy_header *h)
{
	struct slice protocol = slice_cut(&rest, ' ');

	h->named = !slice_eq(protocol, SLICE("UNKNOWN"));
	if (!h->named)
		return true;
	if (slice_eq(protocol, SLICE("TCP4")))
		return read_ends(rest, false, &h->source);
	return slice_eq(protocol, SLICE("TCP6")) && read_ends(rest, true, &h->source);
}

static enum proxy_result parse_line(struct slice in, struct proxy_header *h)
{
	struct slice rest = { in.ptr, in.len < LINE_MAX_LEN ? in.len : LINE_MAX_LEN };
	struct slice line = slice_cut(&rest, '\n');

	if (!slice_given(rest))
		return in.len < LINE_MAX_LEN ? PROXY_MORE : PROXY_REFUSED;
	h->len = line.len + 1;
	if (line.ptr[line.len - 1] != '\r')
		return PROXY_REFUSED;
	line.len--;
	if (line.len < line_start.len || !read_line(slice_skip(line, line_start.len), h))
		return PROXY_REFUSED;
	return PROXY_READY;
}

static void read_source(const char *addresses, enum family family, struct address *source)
{
	*source = (struct address){ 0 };
	if (family == INET)
		address_from_ipv4(addresses, source);
	else if (family == INET6)
		memcpy(source->bytes, addresses, sizeof source->bytes);
}

static enum proxy_result parse_binary(struct slice in, struct proxy_header *h)
{
	const unsigned char *byte = (const unsigned char *)in.ptr;
	unsigned family, transport;
	size_t len;

	if (in.len > VERSION_AT && byte[VERSION_AT] != 0x20 && byte[VERSION_AT] != 0x21)
		return PROXY_REFUSED;
	if (in.len <= FAMILY_AT)
		return PROXY_MORE;
	family = byte[FAMILY_AT] >> 4;
	transport = byte[FAMILY_AT] & 15u;
	if (byte[VERSION_AT] == 0x20)           /* LOCAL: the family is ignored */
		family = transport = UNSPEC;
	if (family >= FAMILIES || transport > 2)
		return PROXY_REFUSED;
	/* UDP has the same addresses: they are believed, as nothing speaks UDP here. */
	h->named = family != UNSPEC && transport != UNSPEC;
	if (in.len < FIXED_LEN)
		return PROXY_MORE;
	len = (size_t)byte[LENGTH_AT] << 8 | byte[LENGTH_AT + 1];
	h->len = FIXED_LEN + len;
	if (h->len > PROXY_HEADER_MAX || (h->named && len < addresses_len[family]))
		return PROXY_REFUSED;
	if (in.len < h->len)
		return PROXY_MORE;
	if (h->named)
		read_source(in.ptr + FIXED_LEN, (enum family)family, &h->source);
	return PROXY_READY;
}

enum proxy_result proxy_parse(struct slice in, struct proxy_header *h)
{
	if (in.len == 0)
		return PROXY_MORE;
	if (may_start(in, signature))
		return parse_binary(in, h);
	return may_start(in, line_start) ? parse_line(in, h) : PROXY_REFUSED;
}
