/* curve.h -- X25519, and what a private key of P-256 does, several times as quick as BearSSL 0.6:
 * as long as they take, whoever else asks a front waits.
 *
 * What comes out is byte for byte what BearSSL makes. Without 64-bit processors' wide products it
 * is BearSSL that makes it. No branch and no address follows from a number or a key.
 * Source  RFC 7748; RFC 6979; FIPS 186-4; Renes, Costello, Batina: Complete addition formulas for
 *         prime order elliptic curves (2016), algorithm 4; Lim, Lee: More flexible exponentiation
 *         with precomputation (1994).
 */
#ifndef CURVE_H
#define CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURVE_X25519_LEN    32
#define CURVE_P256_LEN      32  /* of a number, big-endian */
#define CURVE_POINT_LEN     65  /* uncompressed */
#define CURVE_SIGNATURE_LEN 64  /* r and s */

/* Multiplies the point by the number, both little-endian (RFC 7748, section 5). */
void curve_x25519(uint8_t point[CURVE_X25519_LEN], const uint8_t number[CURVE_X25519_LEN]);

/* The generator of P-256 times the number, which is from 1 to the order less 1. */
void curve_p256_generate(uint8_t point[CURVE_POINT_LEN], const uint8_t number[CURVE_P256_LEN]);

/* ECDSA, its nonce by RFC 6979 with SHA-256. False: the key is not from 1 to the order less 1. */
bool curve_p256_sign(uint8_t signature[CURVE_SIGNATURE_LEN], const uint8_t key[CURVE_P256_LEN],
                     const uint8_t digest[32]);

#endif
