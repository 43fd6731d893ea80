/* inflate.c -- see inflate.h. */
#include <zlib.h>

#include "inflate.h"

#define ARENA_BYTES 49152       /* zlib's state and its window of 32 KiB */

/* Memory that zlib asks for: given out in order, gone with the stream. */
struct arena {
	size_t used;
	_Alignas(16) char bytes[ARENA_BYTES];
};

static voidpf arena_get(voidpf opaque, uInt items, uInt size)
{
	struct arena *a = opaque;
	size_t bytes = ((size_t)items * size + 15) / 16 * 16;
	char *block = a->bytes + a->used;

	if (bytes > sizeof a->bytes - a->used)
		return Z_NULL;
	a->used += bytes;
	return block;
}

static void arena_keep(voidpf opaque, voidpf block)
{
	(void)opaque;
	(void)block;
}

enum inflate_status inflate_all(struct slice packed, enum inflate_form form, size_t max,
                                struct buf *out)
{
	static struct arena arena;
	size_t free_bytes = out->cap - out->len, room = free_bytes < max ? free_bytes : max;
	z_stream z = {
		.next_in   = (Bytef *)(uintptr_t)packed.ptr,
		.avail_in  = (uInt)packed.len,
		.next_out  = (Bytef *)out->ptr + out->len,
		.avail_out = (uInt)room,
		.zalloc    = arena_get,
		.zfree     = arena_keep,
		.opaque    = &arena,
	};
	int result;

	arena.used = 0;
	if (inflateInit2(&z, form == INFLATE_GZIP ? MAX_WBITS + 16 : MAX_WBITS) != Z_OK)
		return INFLATE_BROKEN;
	result = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	if (result == Z_STREAM_END && z.avail_in == 0) {
		out->len += room - z.avail_out;
		return INFLATE_OK;
	}
	return z.avail_out == 0 ? INFLATE_LONG : INFLATE_BROKEN;
}

const char *inflate_zlib_version(void)
{
	return zlibVersion();
}
