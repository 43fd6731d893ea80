/* address.h -- IP addresses and networks: text to bytes and back.
 *
 * An IPv4 address is kept as its IPv4-mapped IPv6 address (RFC 4291, section
 * 2.5.5.2), so that one comparison serves both. Nothing here resolves names.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <sys/socket.h>

#include "bytes.h"

struct address {
	uint8_t bytes[16];
};

struct network {
	struct address base;
	uint8_t prefix;         /* leading bits that count, 0..128 */
};

#define ADDRESS_TEXT_MAX 46     /* INET6_ADDRSTRLEN */

/* Reads a numeric IPv4 or IPv6 address, brackets around IPv6 allowed, no port. */
bool address_parse(struct slice text, struct address *a);

/* Reads `192.0.2.1:8080` or `[2001:db8::1]:8080`; port 0..65535. */
bool address_parse_port(struct slice text, struct address *a, uint16_t *port);

/* Writes the usual text: dotted quad for IPv4, RFC 5952 for IPv6, without brackets. */
void address_write(struct buf *out, const struct address *a);

bool address_is_ipv4(const struct address *a);

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *a);

/* The address of four bytes in network order. */
void address_from_ipv4(const void *four, struct address *a);

/* From and to what the socket calls use. Any other family gives the address `::`. */
void address_from_sockaddr(const struct sockaddr_storage *from, struct address *a, uint16_t *port);
socklen_t address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *to);

/* Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone (all bits count). */
bool network_parse(struct slice text, struct network *n);
bool network_has(const struct network *n, const struct address *a);

/* The part that one customer line holds: IPv4 whole, IPv6 its /64 (requirement L09). */
struct address address_line(const struct address *a);

#endif
