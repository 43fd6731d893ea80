/* curve.c -- see curve.h. */
#include <bearssl.h>
#include <string.h>

#include "bytes.h"
#include "curve.h"
#include "sha.h"

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 wide;

/* A loop that is none when it runs, so that limbs and words stay in registers. */
#define EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)

/* ---- X25519: numbers modulo 2^255 - 19, in limbs of 51 bits
 *
 * Of a product each limb is below 2^51 + 2^15, of a sum or difference of two below 2^53: they are
 * factors as they are. */

#define LIMBS     5
#define LIMB_BITS 51
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)
#define A24       121665        /* RFC 7748, section 5 */

struct element {
	uint64_t limb[LIMBS];
};

static inline struct element multiply(struct element a, struct element b)
{
	wide sum[LIMBS] = { 0 };
	struct element product;

	EACH(i, LIMBS)
		EACH(j, LIMBS)
			sum[(i + j) % LIMBS] += (wide)a.limb[i] *
			                        (i + j < LIMBS ? b.limb[j] : 19 * b.limb[j]);
	EACH(i, LIMBS) {
		product.limb[i] = (uint64_t)sum[i] & LIMB_MASK;
		if (i + 1 < LIMBS)
			sum[i + 1] += sum[i] >> LIMB_BITS;
	}
	sum[0] = product.limb[0] + 19 * (sum[LIMBS - 1] >> LIMB_BITS);
	product.limb[0] = (uint64_t)sum[0] & LIMB_MASK;
	product.limb[1] += (uint64_t)(sum[0] >> LIMB_BITS);
	return product;
}

static inline struct element add(struct element a, struct element b)
{
	EACH(i, LIMBS)
		a.limb[i] += b.limb[i];
	return a;
}

/* `b` is a product: twice the modulus is more. */
static inline struct element subtract(struct element a, struct element b)
{
	EACH(i, LIMBS)
		a.limb[i] += 2 * LIMB_MASK - (i == 0 ? 36 : 0) - b.limb[i];
	return a;
}

static inline void swap(struct element *a, struct element *b, uint64_t choice)
{
	EACH(i, LIMBS) {
		uint64_t differs = (a->limb[i] ^ b->limb[i]) & (0 - choice);

		a->limb[i] ^= differs;
		b->limb[i] ^= differs;
	}
}

/* To the power 2^255 - 21: all bits but two are set. */
static struct element invert(struct element a)
{
	struct element power = { { 1 } };

	for (int i = 254; i >= 0; i--) {
		power = multiply(power, power);
		if (i != 2 && i != 4)
			power = multiply(power, a);
	}
	return power;
}

static uint64_t load_little(const uint8_t *from)
{
	uint64_t word = 0;

	for (int i = 7; i >= 0; i--)
		word = word << 8 | from[i];
	return word;
}

static struct element element_read(const uint8_t from[CURVE_X25519_LEN])
{
	struct element a = { {
		load_little(from), load_little(from + 6) >> 3, load_little(from + 12) >> 6,
		load_little(from + 19) >> 1, load_little(from + 24) >> 12,
	} };

	for (int i = 0; i < LIMBS; i++)
		a.limb[i] &= LIMB_MASK;
	return a;
}

/* `a` is a product. Less the modulus where it is not below it, which adding 19 shows. */
static void element_write(uint8_t to[CURVE_X25519_LEN], struct element a)
{
	uint64_t carry = 19;
	unsigned bit = 0;

	for (int i = 0; i < LIMBS; i++)
		carry = (a.limb[i] + carry) >> LIMB_BITS;
	carry *= 19;
	memset(to, 0, CURVE_X25519_LEN);
	for (int i = 0; i < LIMBS; i++) {
		carry += a.limb[i];
		for (int n = 0; n < LIMB_BITS; n++, bit++)
			to[bit / 8] |= (uint8_t)((carry >> n & 1) << bit % 8);
		carry >>= LIMB_BITS;
	}
}

void curve_x25519(uint8_t point[CURVE_X25519_LEN], const uint8_t number[CURVE_X25519_LEN])
{
	const struct element x1 = element_read(point), a24 = { { A24 } };
	struct element x2 = { { 1 } }, z2 = { { 0 } }, x3 = x1, z3 = { { 1 } };
	uint64_t swapped = 0;

	for (int i = 254; i >= 0; i--) {
		uint64_t bit = i == 254 ? 1 : i < 3 ? 0 : (unsigned)number[i / 8] >> i % 8 & 1;
		struct element a, b, aa, bb, e, da, cb;

		swap(&x2, &x3, swapped ^ bit);
		swap(&z2, &z3, swapped ^ bit);
		swapped = bit;
		a = add(x2, z2);
		b = subtract(x2, z2);
		da = multiply(subtract(x3, z3), a);
		cb = multiply(add(x3, z3), b);
		aa = multiply(a, a);
		bb = multiply(b, b);
		e = subtract(aa, bb);
		x3 = multiply(add(da, cb), add(da, cb));
		z3 = subtract(da, cb);
		z3 = multiply(x1, multiply(z3, z3));
		x2 = multiply(aa, bb);
		z2 = multiply(e, add(aa, multiply(a24, e)));
	}
	element_write(point, multiply(x2, invert(z2)));         /* the last bit is 0 */
}

/* ---- P-256: numbers modulo the prime or the order, four words of 64 bits, times 2^256
 * (Montgomery's form) where they are factors */

#define WORDS  4
#define TEETH  4                /* of a comb, */
#define APART  64               /* so many bits one from the next; */
#define COMBS  4                /* each comb begins behind the one before, */
#define COMBED 16               /* so many bits, and can yield as many points */

struct number {
	uint64_t word[WORDS];
};

struct modulus {
	struct number m, square;        /* 2^512 */
	uint64_t inverse;               /* of -m, modulo 2^64 */
};

/* Of projective coordinates; z is 0 at infinity. */
struct point {
	struct number x, y, z;
};

static const struct modulus prime = {
	{ { 0xffffffffffffffff, 0x00000000ffffffff, 0, 0xffffffff00000001 } },
	{ { 0x0000000000000003, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x00000004fffffffd } },
	1,
}, order = {
	{ { 0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000 } },
	{ { 0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59, 0x66e12d94f3d95620 } },
	0xccd1c8aaee00bc4f,
};

/* In Montgomery's form: the curve's b, and its generator. */
static const struct number curve_b = {
	{ 0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6, 0xdc30061d04874834 }
};
static const struct point infinity = {
	.y = { { 1, 0xffffffff00000000, 0xffffffffffffffff, 0x00000000fffffffe } },
}, generator = {
	{ { 0x79e730d418a9143c, 0x75ba95fc5fedb601, 0x79fb732b77622510, 0x18905f76a53755c6 } },
	{ { 0xddf25357ce95560a, 0x8b4ab8e4ba19e45c, 0xd2e88688dd21f325, 0x8571ff1825885d85 } },
	{ { 1, 0xffffffff00000000, 0xffffffffffffffff, 0x00000000fffffffe } },
};
static const struct number one = { { 1 } };

/* `a` where the mask is 0, `b` where it is all ones. */
static inline struct number choose(struct number a, struct number b, uint64_t mask)
{
	EACH(i, WORDS)
		a.word[i] ^= (a.word[i] ^ b.word[i]) & mask;
	return a;
}

/* a - b; `*borrow` is 1 where that is less than `*borrow` was. */
static inline struct number less(struct number a, struct number b, uint64_t *borrow)
{
	EACH(i, WORDS) {
		wide difference = (wide)a.word[i] - b.word[i] - *borrow;

		a.word[i] = (uint64_t)difference;
		*borrow = (uint64_t)(difference >> 64) & 1;
	}
	return a;
}

/* What is below twice the modulus, of which `top` is the fifth word. */
static inline struct number reduced(struct number a, uint64_t top, const struct modulus *of)
{
	uint64_t borrow = 0;
	struct number rest = less(a, of->m, &borrow);

	return choose(rest, a, 0 - (borrow & ~top));
}

static inline struct number plus(struct number a, struct number b, const struct modulus *of)
{
	wide sum = 0;

	EACH(i, WORDS) {
		sum += (wide)a.word[i] + b.word[i];
		a.word[i] = (uint64_t)sum;
		sum >>= 64;
	}
	return reduced(a, (uint64_t)sum, of);
}

static inline struct number minus(struct number a, struct number b, const struct modulus *of)
{
	uint64_t borrow = 0;
	wide sum = 0;

	a = less(a, b, &borrow);
	EACH(i, WORDS) {
		sum += (wide)a.word[i] + (of->m.word[i] & (0 - borrow));
		a.word[i] = (uint64_t)sum;
		sum >>= 64;
	}
	return a;
}

/* a b / 2^256 */
static inline struct number times(struct number a, struct number b, const struct modulus *of)
{
	uint64_t t[WORDS + 1] = { 0 }, factor, top;

	EACH(i, WORDS) {
		wide sum = 0;

		EACH(j, WORDS) {
			sum += t[j] + (wide)a.word[j] * b.word[i];
			t[j] = (uint64_t)sum;
			sum >>= 64;
		}
		sum += t[WORDS];
		t[WORDS] = (uint64_t)sum;
		top = (uint64_t)(sum >> 64);
		factor = t[0] * of->inverse;
		sum = (t[0] + (wide)factor * of->m.word[0]) >> 64;
		EACH(n, WORDS - 1) {
			int j = n + 1;

			sum += t[j] + (wide)factor * of->m.word[j];
			t[j - 1] = (uint64_t)sum;
			sum >>= 64;
		}
		sum += t[WORDS];
		t[WORDS - 1] = (uint64_t)sum;
		t[WORDS] = top + (uint64_t)(sum >> 64);
	}
	return reduced((struct number){ { t[0], t[1], t[2], t[3] } }, t[WORDS], of);
}

/* 1 / a, both in Montgomery's form: to the power of the modulus less 2. */
static struct number inverse(struct number a, const struct modulus *of)
{
	struct number power = times(one, of->square, of);

	for (int i = 255; i >= 0; i--) {
		power = times(power, power, of);
		if (((of->m.word[i / 64] - (i < 64 ? 2 : 0)) >> i % 64 & 1) != 0)
			power = times(power, a, of);
	}
	return power;
}

static struct number number_read(const uint8_t from[CURVE_P256_LEN])
{
	struct number a = { { 0 } };

	for (int i = 0; i < CURVE_P256_LEN; i++)
		a.word[3 - i / 8] = a.word[3 - i / 8] << 8 | from[i];
	return a;
}

static void number_write(uint8_t to[CURVE_P256_LEN], struct number a)
{
	for (int i = 0; i < CURVE_P256_LEN; i++)
		to[i] = (uint8_t)(a.word[3 - i / 8] >> (56 - i % 8 * 8));
}

/* From 1 to the order less 1. That may be known of a key, and of a nonce that is not used. */
static bool in_range(struct number a)
{
	uint64_t borrow = 0, any = a.word[0] | a.word[1] | a.word[2] | a.word[3];

	less(a, order.m, &borrow);
	return SECRET_VERDICT((borrow & (any != 0)) == 1);
}

static inline struct number prime_times(struct number a, struct number b)
{
	return times(a, b, &prime);
}

static inline struct number prime_plus(struct number a, struct number b)
{
	return plus(a, b, &prime);
}

static inline struct number prime_minus(struct number a, struct number b)
{
	return minus(a, b, &prime);
}

static inline struct number thrice(struct number a)
{
	return prime_plus(prime_plus(a, a), a);
}

/* (a + b) (c + d), less the two parts of it that are known. */
static inline struct number cross(struct number a, struct number b, struct number c,
                                  struct number d, struct number parts)
{
	return prime_minus(prime_times(prime_plus(a, b), prime_plus(c, d)), parts);
}

/* Whatever the two are: infinity, or the same. */
static struct point point_add(const struct point *a, const struct point *b)
{
	const struct number xx = prime_times(a->x, b->x), yy = prime_times(a->y, b->y);
	const struct number zz = prime_times(a->z, b->z);
	const struct number xy = cross(a->x, a->y, b->x, b->y, prime_plus(xx, yy));
	const struct number yz = cross(a->y, a->z, b->y, b->z, prime_plus(yy, zz));
	const struct number xz = cross(a->x, a->z, b->x, b->z, prime_plus(xx, zz));
	const struct number u = thrice(prime_minus(xz, prime_times(curve_b, zz)));
	const struct number v = thrice(prime_minus(prime_minus(prime_times(curve_b, xz),
	                                                       thrice(zz)), xx));
	const struct number w = thrice(prime_minus(xx, zz));
	const struct number over = prime_plus(yy, u), under = prime_minus(yy, u);

	return (struct point){
		prime_minus(prime_times(xy, over), prime_times(yz, v)),
		prime_plus(prime_times(over, under), prime_times(w, v)),
		prime_plus(prime_times(yz, under), prime_times(xy, w)),
	};
}

struct comb {
	struct point point[COMBED];
};

static struct point doubled(struct point a, int times)
{
	for (int i = 0; i < times; i++)
		a = point_add(&a, &a);
	return a;
}

/* What the teeth can stand for: sums of the generator times 1, 2^64, 2^128 and 2^192; of the next
 * comb, that times 2^16, and so on. */
static const struct comb *make_combs(void)
{
	static struct comb combs[COMBS];
	static bool made;
	struct point *first = combs[0].point;

	if (made)
		return combs;
	first[0] = infinity;
	first[1] = generator;
	for (int tooth = 2; tooth < COMBED; tooth *= 2) {
		first[tooth] = doubled(first[tooth / 2], APART);
		for (int i = 1; i < tooth; i++)
			first[tooth + i] = point_add(&first[tooth], &first[i]);
	}
	for (int c = 1; c < COMBS; c++)
		for (int i = 0; i < COMBED; i++)
			combs[c].point[i] = doubled(combs[c - 1].point[i], COMBED);
	made = true;
	return combs;
}

/* All are looked at: which one is taken does not show. */
static struct point pick(const struct comb *comb, uint64_t which)
{
	struct point picked = { 0 };

	for (uint64_t i = 0; i < COMBED; i++) {
		uint64_t mask = ((i ^ which) - 1) >> 63;        /* 1 where it is that one */

		picked.x = choose(picked.x, comb->point[i].x, 0 - mask);
		picked.y = choose(picked.y, comb->point[i].y, 0 - mask);
		picked.z = choose(picked.z, comb->point[i].z, 0 - mask);
	}
	return picked;
}

/* Of the generator times `k`: the coordinates. */
static void generate(struct number k, struct number *x, struct number *y)
{
	const struct comb *combs = make_combs();
	struct point at = infinity;
	struct number z;

	for (int i = COMBED - 1; i >= 0; i--) {
		at = point_add(&at, &at);
		for (int c = 0; c < COMBS; c++) {
			uint64_t teeth = 0;
			struct point next;

			for (int n = TEETH - 1; n >= 0; n--)
				teeth = teeth << 1 | (k.word[n] >> (c * COMBED + i) & 1);
			next = pick(&combs[c], teeth);
			at = point_add(&at, &next);
		}
	}
	z = inverse(at.z, &prime);
	*x = prime_times(prime_times(at.x, z), one);
	*y = prime_times(prime_times(at.y, z), one);
}

void curve_p256_generate(uint8_t point[CURVE_POINT_LEN], const uint8_t number[CURVE_P256_LEN])
{
	struct number x, y;

	generate(number_read(number), &x, &y);
	point[0] = 4;
	number_write(point + 1, x);
	number_write(point + 1 + CURVE_P256_LEN, y);
}

bool curve_p256_sign(uint8_t signature[CURVE_SIGNATURE_LEN], const uint8_t key[CURVE_P256_LEN],
                     const uint8_t digest[32])
{
	const struct number d = number_read(key), h = reduced(number_read(digest), 0, &order);
	struct number k, r, s, y;
	uint8_t seed[2 * CURVE_P256_LEN];
	br_hmac_drbg_context drbg;

	if (!in_range(d))
		return false;
	memcpy(seed, key, CURVE_P256_LEN);
	number_write(seed + CURVE_P256_LEN, h);
	br_hmac_drbg_init(&drbg, sha256_class(), seed, sizeof seed);
	do {
		br_hmac_drbg_generate(&drbg, seed, CURVE_P256_LEN);
		k = number_read(seed);
	} while (!in_range(k));
	generate(k, &r, &y);
	r = reduced(r, 0, &order);
	s = plus(h, times(times(d, order.square, &order), r, &order), &order);
	k = inverse(times(k, order.square, &order), &order);
	number_write(signature, r);
	number_write(signature + CURVE_P256_LEN, times(k, s, &order));
	explicit_bzero(&drbg, sizeof drbg);
	explicit_bzero(seed, sizeof seed);
	explicit_bzero(&k, sizeof k);
	return true;
}

#else
void curve_x25519(uint8_t point[CURVE_X25519_LEN], const uint8_t number[CURVE_X25519_LEN])
{
	br_ec_c25519_m31.mul(point, CURVE_X25519_LEN, number, CURVE_X25519_LEN,
	                     BR_EC_curve25519);
}

void curve_p256_generate(uint8_t point[CURVE_POINT_LEN], const uint8_t number[CURVE_P256_LEN])
{
	br_ec_p256_m31.mulgen(point, number, CURVE_P256_LEN, BR_EC_secp256r1);
}

bool curve_p256_sign(uint8_t signature[CURVE_SIGNATURE_LEN], const uint8_t key[CURVE_P256_LEN],
                     const uint8_t digest[32])
{
	uint8_t copy[CURVE_P256_LEN];
	const br_ec_private_key private = { BR_EC_secp256r1, copy, sizeof copy };
	size_t len;

	memcpy(copy, key, sizeof copy);
	len = br_ecdsa_i31_sign_raw(&br_ec_p256_m31, sha256_class(), digest, &private, signature);
	explicit_bzero(copy, sizeof copy);
	return len == CURVE_SIGNATURE_LEN;
}
#endif
