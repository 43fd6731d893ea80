/* hashes.c -- what the processor's own SHA instructions (sha.c) take beside BearSSL's code.
 *
 * Usage: hashes [ROUNDS]. CPU time of one hash in ns, both in turns: median [least-most] of ROUNDS
 * (9). The texts are as long as what sidecart hashes most: a Session-Id with its secret, an API
 * key, a token's HMAC, and a round of a password's PBKDF2.
 */
#include <bearssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bytes.h"
#include "sha.h"

#define ROUNDS     9
#define ROUNDS_MAX 99
#define ROUND_NS   20000000.0   /* about what one takes */

static uint8_t text[512];

static const struct {
	const char *name;
	const br_hash_class *bearssl, *(*ours)(void);
	size_t len;
	bool keyed;                     /* HMAC, its key prepared */
} cases[] = {
	{ "SHA-1, a Session-Id and its secret", &br_sha1_vtable, sha1_class, 100, false },
	{ "SHA-256, an API key", &br_sha256_vtable, sha256_class, 47, false },
	{ "HMAC-SHA256, a token", &br_sha256_vtable, sha256_class, 400, true },
	{ "HMAC-SHA256, a round of PBKDF2", &br_sha256_vtable, sha256_class, 32, true },
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Each digest goes into the next text, so that none is left out. */
static double take(size_t which, const br_hash_class *class, uint32_t count)
{
	br_hash_compat_context hash;
	br_hmac_key_context key;
	br_hmac_context hmac;
	double begin;

	br_hmac_key_init(&key, class, "secret", 6);
	begin = now_ns();
	for (uint32_t i = 0; i < count; i++) {
		if (cases[which].keyed) {
			br_hmac_init(&hmac, &key, 0);
			br_hmac_update(&hmac, text, cases[which].len);
			br_hmac_out(&hmac, text);
			continue;
		}
		class->init(&hash.vtable);
		class->update(&hash.vtable, text, cases[which].len);
		class->out(&hash.vtable, text);
	}
	return (now_ns() - begin) / count;
}

static int by_size(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void print(const char *name, double *taken, uint32_t rounds)
{
	qsort(taken, rounds, sizeof *taken, by_size);
	printf("  %-10s %7.0f ns [%.0f-%.0f]\n", name, taken[rounds / 2], taken[0],
	       taken[rounds - 1]);
}

int main(int argc, char **argv)
{
	double bearssl[ROUNDS_MAX], ours[ROUNDS_MAX];
	uint64_t rounds = ROUNDS;

	if (argc > 2 || (argc == 2 && (!slice_uint(slice_of(argv[1]), ROUNDS_MAX, &rounds) ||
	                               rounds == 0))) {
		fprintf(stderr, "Usage: hashes [ROUNDS], from 1 to %d\n", ROUNDS_MAX);
		return 100;
	}
	if (sha256_class() == &br_sha256_vtable)
		printf("this processor has no such instructions: both are BearSSL's\n");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint32_t count = (uint32_t)(ROUND_NS / take(i, cases[i].bearssl, 1000)) + 1;

		for (uint64_t r = 0; r < rounds; r++) {
			bearssl[r] = take(i, cases[i].bearssl, count);
			ours[r] = take(i, cases[i].ours(), count);
		}
		printf("%s\n", cases[i].name);
		print("BearSSL", bearssl, (uint32_t)rounds);
		print("sha.c", ours, (uint32_t)rounds);
	}
	return 0;
}
