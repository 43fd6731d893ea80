/* inflate.h -- unpacks what zlib or gzip packed.
 *
 * Memory  the caller's buf; zlib's own state stands in a fixed arena here, so a second call
 *         waits for no first one, and none allocates.
 * Source  RFC 1950 (zlib), 1951 (deflate), 1952 (gzip).
 */
#ifndef INFLATE_H
#define INFLATE_H

#include "bytes.h"

enum inflate_form { INFLATE_ZLIB, INFLATE_GZIP };
enum inflate_status {
	INFLATE_OK,
	INFLATE_BROKEN,         /* no such stream, cut short, or something behind its end */
	INFLATE_LONG,           /* more than fits */
};

/* Unpacks one whole stream behind `out`, at most `max` bytes; `out` keeps its length where that
 * fails. */
enum inflate_status inflate_all(struct slice packed, enum inflate_form form, size_t max,
                                struct buf *out);

const char *inflate_zlib_version(void);

#endif
