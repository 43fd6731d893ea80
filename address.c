/* address.c -- see address.h. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "address.h"

#define IPV4_PREFIX 96  /* bits in front of an IPv4 address in its mapped form */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Zeroes every bit behind the first `prefix` ones. */
static void keep_prefix(struct address *a, unsigned prefix)
{
	for (unsigned i = 0; i < sizeof a->bytes; i++) {
		unsigned bits = prefix > 8 * i ? prefix - 8 * i : 0;

		if (bits < 8)
			a->bytes[i] &= (uint8_t)(0xff << (8 - bits));
	}
}

bool address_parse(struct slice text, struct address *a)
{
	char word[ADDRESS_TEXT_MAX];
	uint8_t four[4];
	bool brackets = text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';

	if (brackets)
		text = (struct slice){ text.ptr + 1, text.len - 2 };
	if (text.len == 0 || text.len >= sizeof word || slice_has(text, '\0'))
		return false;
	memcpy(word, text.ptr, text.len);
	word[text.len] = '\0';
	if (slice_has(text, ':'))
		return inet_pton(AF_INET6, word, a->bytes) == 1;
	if (brackets || inet_pton(AF_INET, word, four) != 1)
		return false;
	address_from_ipv4(four, a);
	return true;
}

bool address_parse_port(struct slice text, struct address *a, uint16_t *port)
{
	struct slice host = text;
	uint64_t number;

	while (host.len > 0 && host.ptr[host.len - 1] != ':')
		host.len--;
	if (host.len == 0 || !slice_uint(slice_skip(text, host.len), UINT16_MAX, &number))
		return false;
	host.len--;
	if (slice_has(host, ':') && host.ptr[0] != '[')
		return false;
	if (!address_parse(host, a))
		return false;
	*port = (uint16_t)number;
	return true;
}

void address_write(struct buf *out, const struct address *a)
{
	char word[ADDRESS_TEXT_MAX];

	if (address_is_ipv4(a))
		inet_ntop(AF_INET, a->bytes + sizeof mapped, word, sizeof word);
	else
		inet_ntop(AF_INET6, a->bytes, word, sizeof word);
	buf_str(out, word);
}

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

bool address_is_loopback(const struct address *a)
{
	static const struct address ipv6 = { { [15] = 1 } };

	if (address_is_ipv4(a))
		return a->bytes[12] == 127;
	return memcmp(a->bytes, ipv6.bytes, sizeof ipv6.bytes) == 0;
}

void address_from_ipv4(const void *four, struct address *a)
{
	memcpy(a->bytes, mapped, sizeof mapped);
	memcpy(a->bytes + sizeof mapped, four, 4);
}

void address_from_sockaddr(const struct sockaddr_storage *from, struct address *a, uint16_t *port)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	*a = (struct address){ 0 };
	*port = 0;
	if (from->ss_family == AF_INET) {
		memcpy(&four, from, sizeof four);
		address_from_ipv4(&four.sin_addr, a);
		*port = ntohs(four.sin_port);
	} else if (from->ss_family == AF_INET6) {
		memcpy(&six, from, sizeof six);
		memcpy(a->bytes, &six.sin6_addr, sizeof a->bytes);
		*port = ntohs(six.sin6_port);
	}
}

socklen_t address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	*to = (struct sockaddr_storage){ 0 };
	if (address_is_ipv4(a)) {
		memcpy(&four.sin_addr, a->bytes + sizeof mapped, sizeof four.sin_addr);
		memcpy(to, &four, sizeof four);
		return sizeof four;
	}
	memcpy(&six.sin6_addr, a->bytes, sizeof six.sin6_addr);
	memcpy(to, &six, sizeof six);
	return sizeof six;
}

bool network_parse(struct slice text, struct network *n)
{
	struct slice base = slice_cut(&text, '/');
	uint64_t prefix;
	unsigned before;

	if (!address_parse(base, &n->base))
		return false;
	n->prefix = 128;
	if (!slice_given(text))
		return true;
	before = slice_has(base, ':') ? 0 : IPV4_PREFIX;
	if (!slice_uint(text, 128 - before, &prefix))
		return false;
	n->prefix = (uint8_t)(prefix + before);
	keep_prefix(&n->base, n->prefix);
	return true;
}

bool network_has(const struct network *n, const struct address *a)
{
	size_t whole = n->prefix / 8;
	unsigned rest = n->prefix % 8;

	if (memcmp(n->base.bytes, a->bytes, whole) != 0)
		return false;
	return rest == 0 || (n->base.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

struct address address_line(const struct address *a)
{
	struct address line = *a;

	if (!address_is_ipv4(a))
		keep_prefix(&line, 64);
	return line;
}
