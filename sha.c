/* sha.c -- see sha.h. */
#include "sha.h"

#ifdef __x86_64__
#include <assert.h>
#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define BLOCK     64
#define LEN_BYTES 8             /* of the text's length in bits, at its end */

typedef void blocks_function(uint32_t state[8], const uint8_t *text, size_t count);

/* Both contexts begin alike; SHA-1 has five words of state. */
typedef br_sha256_context context;
static_assert(offsetof(br_sha1_context, val) == offsetof(context, val) &&
              sizeof(br_sha1_context) <= sizeof(context), "one reads the other");

static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static __m128i load(const void *from)
{
	return _mm_loadu_si128(from);
}

static void store(void *to, __m128i words)
{
	_mm_storeu_si128(to, words);
}

/* Four rounds; the function of FIPS 180-4, section 4.1.1, follows from their number. */
__attribute__((target("sha,sse4.1")))
static inline __m128i sha1_rounds(__m128i abcd, __m128i e, int i)
{
	return i < 5 ? _mm_sha1rnds4_epu32(abcd, e, 0) : i < 10 ? _mm_sha1rnds4_epu32(abcd, e, 1) :
	       i < 15 ? _mm_sha1rnds4_epu32(abcd, e, 2) : _mm_sha1rnds4_epu32(abcd, e, 3);
}

__attribute__((target("sha,sse4.1")))
static void sha1_blocks(uint32_t state[8], const uint8_t *text, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
	__m128i abcd = _mm_shuffle_epi32(load(state), 0x1b), m[4];
	__m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);

	for (; count > 0; count--, text += BLOCK) {
		const __m128i abcd_before = abcd, e_before = e;

		for (int i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(load(text + 16 * i), swap);
#pragma GCC unroll 20
		for (int i = 0; i < 20; i++) {
			__m128i *w = &m[i & 3], next = abcd;

			e = i == 0 ? _mm_add_epi32(e, *w) : _mm_sha1nexte_epu32(e, *w);
			abcd = sha1_rounds(abcd, e, i);
			e = next;
			*w = _mm_xor_si128(_mm_sha1msg1_epu32(*w, m[(i + 1) & 3]), m[(i + 2) & 3]);
			*w = _mm_sha1msg2_epu32(*w, m[(i + 3) & 3]);
		}
		e = _mm_sha1nexte_epu32(e, e_before);
		abcd = _mm_add_epi32(abcd, abcd_before);
	}
	store(state, _mm_shuffle_epi32(abcd, 0x1b));
	state[4] = (uint32_t)_mm_extract_epi32(e, 3);
}

/* The instructions want the state as ABEF and CDGH. */
__attribute__((target("sha,sse4.1")))
static void sha256_blocks(uint32_t state[8], const uint8_t *text, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i cdab = _mm_shuffle_epi32(load(state), 0xb1);
	__m128i efgh = _mm_shuffle_epi32(load(state + 4), 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
	__m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0), m[4];

	for (; count > 0; count--, text += BLOCK) {
		const __m128i abef_before = abef, cdgh_before = cdgh;

		for (int i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(load(text + 16 * i), swap);
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			__m128i *w = &m[i & 3], last = m[(i + 3) & 3];
			__m128i sum = _mm_add_epi32(*w, load(constants + 4 * i));

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
			*w = _mm_add_epi32(_mm_sha256msg1_epu32(*w, m[(i + 1) & 3]),
			                   _mm_alignr_epi8(last, m[(i + 2) & 3], 4));
			*w = _mm_sha256msg2_epu32(*w, last);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	abef = _mm_shuffle_epi32(abef, 0x1b);
	cdgh = _mm_shuffle_epi32(cdgh, 0xb1);
	store(state, _mm_blend_epi16(abef, cdgh, 0xf0));
	store(state + 4, _mm_alignr_epi8(cdgh, abef, 8));
}

static void update(const br_hash_class **of, const void *text, size_t len, blocks_function *blocks)
{
	context *c = (context *)(void *)of;
	size_t begun = c->count % BLOCK, room = BLOCK - begun;
	const uint8_t *at = text;

	c->count += len;
	if (begun > 0 && len >= room) {
		memcpy(c->buf + begun, at, room);
		blocks(c->val, c->buf, 1);
		at += room;
		len -= room;
		begun = 0;
	}
	if (len >= BLOCK)
		blocks(c->val, at, len / BLOCK);
	at += len / BLOCK * BLOCK;
	if (len % BLOCK > 0)
		memcpy(c->buf + begun, at, len % BLOCK);
}

/* The text's end and its length are hashed in a copy: the context may go on. */
static void finish(const br_hash_class *const *of, uint8_t *digest, size_t words,
                   blocks_function *blocks)
{
	const context *c = (const context *)(const void *)of;
	size_t begun = c->count % BLOCK, len = begun < BLOCK - LEN_BYTES ? BLOCK : 2 * BLOCK;
	uint8_t end[2 * BLOCK] = { 0 };
	uint64_t bits = __builtin_bswap64(c->count * 8);
	uint32_t state[8];

	memcpy(state, c->val, words * sizeof state[0]);
	memcpy(end, c->buf, begun);
	end[begun] = 0x80;
	memcpy(end + len - LEN_BYTES, &bits, LEN_BYTES);
	blocks(state, end, len / BLOCK);
	for (size_t i = 0; i < words; i++) {
		state[i] = __builtin_bswap32(state[i]);
		memcpy(digest + i * sizeof state[i], &state[i], sizeof state[i]);
	}
}

static bool has_instructions(void)
{
	static bool asked, has;
	unsigned a, b = 0, c, d;

	if (!asked)
		has = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_1) != 0 &&
		      __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
	asked = true;
	return has;
}

/* All but the work is BearSSL's. */
#define CLASS(name, words) \
	static void name##_begin(const br_hash_class **c); \
	static void name##_update(const br_hash_class **c, const void *text, size_t len) \
	{ \
		update(c, text, len, name##_blocks); \
	} \
	static void name##_finish(const br_hash_class *const *c, void *digest) \
	{ \
		finish(c, digest, words, name##_blocks); \
	} \
	static uint64_t name##_state(const br_hash_class *const *c, void *out) \
	{ \
		return br_##name##_vtable.state(c, out); \
	} \
	static void name##_set_state(const br_hash_class **c, const void *state, uint64_t count) \
	{ \
		br_##name##_vtable.set_state(c, state, count); \
	} \
	static const br_hash_class name = { \
		.context_size = sizeof(br_##name##_context), \
		.desc = BR_HASHDESC_ID(br_##name##_ID) | BR_HASHDESC_OUT(br_##name##_SIZE) | \
		        BR_HASHDESC_STATE(4 * (words)) | BR_HASHDESC_LBLEN(6) | \
		        BR_HASHDESC_MD_PADDING | BR_HASHDESC_MD_PADDING_BE, \
		.init = name##_begin, \
		.update = name##_update, \
		.out = name##_finish, \
		.state = name##_state, \
		.set_state = name##_set_state, \
	}; \
	static void name##_begin(const br_hash_class **c) \
	{ \
		br_##name##_vtable.init(c); \
		*c = &name; \
	} \
	const br_hash_class *name##_class(void) \
	{ \
		return has_instructions() ? &name : &br_##name##_vtable; \
	}

CLASS(sha1, 5)
CLASS(sha256, 8)

#else
const br_hash_class *sha1_class(void)
{
	return &br_sha1_vtable;
}

const br_hash_class *sha256_class(void)
{
	return &br_sha256_vtable;
}
#endif
