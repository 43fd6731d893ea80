/* proxy.h -- PROXY protocol v1 and v2: bytes to an address.
 *
 * A proxy that passes bytes on says in front of them whom it speaks for. Only the source
 * address is kept; ports, destination and TLVs are skipped.
 * Memory  none; nothing points into the input afterwards.
 * Limits  v1: a line of 107 bytes; v2: 16 bytes and up to 2 KiB behind them.
 * Source  https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt
 */
#ifndef PROXY_H
#define PROXY_H

#include "address.h"

#define PROXY_HEADER_MAX (16 + 2048)

enum proxy_result { PROXY_MORE, PROXY_READY, PROXY_REFUSED };

struct proxy_header {
	size_t len;             /* bytes of the header: what follows is the client's */
	bool named;             /* false: LOCAL, UNKNOWN or UNSPEC, the socket's peer counts */
	struct address source;  /* where named; `::` for a client on a Unix socket */
};

/* Judges `in`, all that came since the connection began; call it again when more has come.
 * It refuses at the first byte that is wrong (of a v1 line: at its end), so that the result is
 * the same however the header was cut. `*h` is set with PROXY_READY alone. */
enum proxy_result proxy_parse(struct slice in, struct proxy_header *h);

#endif
