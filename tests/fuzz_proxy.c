/* fuzz_proxy.c -- a PROXY header: whole and cut input agree, and what follows changes nothing. */
#include <stdlib.h>

#include "proxy.h"

#define INPUT_MAX 4096

#define CHECK(fact) do { if (!(fact)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A copy of its own length, so that an over-read is seen. */
static enum proxy_result parse(const uint8_t *data, size_t len, struct proxy_header *h)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum proxy_result result;

	CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	result = proxy_parse(slice_bytes(copy, len), h);
	free(copy);
	return result;
}

static void check_equal(const struct proxy_header *a, const struct proxy_header *b)
{
	CHECK(a->len == b->len && a->named == b->named);
	CHECK(!a->named || memcmp(&a->source, &b->source, sizeof a->source) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum proxy_result whole, cut = PROXY_MORE;
	struct proxy_header h, first;
	size_t decided = 0;

	if (len > INPUT_MAX)
		return 0;
	whole = parse(data, len, &h);
	while (cut == PROXY_MORE && decided <= len)
		cut = parse(data, decided++, &first);
	CHECK(cut == whole);
	CHECK(whole != PROXY_MORE || len < PROXY_HEADER_MAX);
	if (whole != PROXY_READY)
		return 0;
	CHECK(h.len == decided - 1 && h.len <= PROXY_HEADER_MAX);
	CHECK(data[0] == 'P' ? h.len <= 107 && data[h.len - 1] == '\n' : h.len >= 16);
	check_equal(&h, &first);
	return 0;
}
