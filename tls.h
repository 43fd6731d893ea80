/* tls.h -- TLS 1.2 between a connection and its socket, by BearSSL; certificate and key.
 *
 * The supervisor reads certificate and key, once they fit each other, into one flat struct that
 * travels to its fronts. A front keeps what its connections share in a struct tls_server, and
 * a struct tls for each: tls_handshake() first, then tls_read() and tls_write() in the place of
 * read(2) and writev(2).
 *
 * What is spoken: TLS 1.2 alone; ECDHE over X25519 or P-256, signed by the certificate's key,
 * P-256 or RSA; ChaCha20-Poly1305, or AES in GCM where a peer does not know that. Of ALPN,
 * http/1.1; a peer that lists others only is refused. SNI is ignored: there is one certificate.
 * Sessions are resumed by their id, for a day, by the front that made them; there is no
 * renegotiation, no client's certificate, no compression.
 *
 * Memory  the caller's: tls_bytes(), tls_server_bytes(). Of an idle connection, tls_rest()
 *         gives back all but the engine, two pages.
 * Limits  records of 16384 bytes both ways; TLS_CHAIN_MAX, TLS_KEY_MAX.
 * Source  RFC 5246, 5746, 7301, 7905, 8422; bearssl_ssl.h.
 */
#ifndef TLS_H
#define TLS_H

#include <sys/types.h>

#include "config.h"

#define TLS_ERROR_MAX        CONFIG_ERROR_MAX
#define TLS_CERTIFICATES_MAX 8
#define TLS_CHAIN_MAX        12288      /* bytes of all certificates: they go in one record */
#define TLS_KEY_MAX          1536       /* bytes of the numbers of an RSA key of 4096 bits */
#define TLS_KEY_PARTS        5
#define TLS_RSA_BITS         2048       /* the least, and the most that is quick */
#define TLS_RSA_BITS_MAX     4096

/* Certificates, that of the server first, and its key. */
struct tls_identity {
	uint32_t certificates;
	uint32_t certificate_len[TLS_CERTIFICATES_MAX];
	uint32_t rsa_bits;              /* 0: the key is one of P-256 */
	uint32_t key_len[TLS_KEY_PARTS];        /* RSA: p, q, dp, dq, iq; P-256: the one number */
	uint64_t from_s, until_s;       /* Unix times: when the certificate is good */
	uint8_t chain[TLS_CHAIN_MAX];   /* certificates in DER, one behind the other */
	uint8_t key[TLS_KEY_MAX];       /* its numbers, one behind the other */
};

/* Reads the files of the settings. False, with one line in `error` that names the file and says
 * what to do: they cannot be read, are no PEM, hold another kind of key, or do not belong
 * together. The caller wipes `*id` when it is done with. */
bool tls_identity_read(const struct config *c, struct tls_identity *id,
                       char error[TLS_ERROR_MAX]);

/* What the connections of a front share: the identity, and sessions to be resumed. */
struct tls_server;
size_t tls_server_bytes(void);
/* Over zeroed memory, or again: handshakes from now on show `id`, which is copied. Sessions of
 * before are forgotten. */
void tls_server_use(struct tls_server *s, const struct tls_identity *id);

/* One connection. */
struct tls;
size_t tls_bytes(void);

/* Begins over any memory; `server` outlives it. */
void tls_begin(struct tls *t, struct tls_server *server);

enum tls_result {
	TLS_DONE,       /* the connection carries data from here on */
	TLS_WAIT,       /* epoll(7) will say when it can go on */
	TLS_ONWARD,     /* it can go on at once */
	TLS_FAILED,     /* the peer was told why, as far as TLS has a word for it */
};

/* One step of the handshake: what one read(2) brings, up to the first answer to it. At most
 * one of a handshake's two costly computations is in it. `now_ms` is monotonic. */
enum tls_result tls_handshake(struct tls *t, int fd, uint64_t now_ms);

/* epoll(7) said that something came. */
void tls_hear(struct tls *t);

/* As read(2), with at most one of it. EAGAIN: wait for epoll(7); EINTR: come again. */
ssize_t tls_read(struct tls *t, int fd, void *to, size_t len);
/* True where tls_read() may find more without an event. */
bool tls_has_more(const struct tls *t);
/* True in the middle of a record. */
bool tls_in_record(const struct tls *t);

/* As writev(2) of both: how many bytes the socket has taken, counted in whole records. What is
 * not counted must come again, in front. */
ssize_t tls_write(struct tls *t, int fd, struct slice first, struct slice then);

/* Tells the peer of an open connection that nothing more comes, as far as the socket takes
 * it. */
void tls_close(struct tls *t, int fd);
/* Between two records, gives back to the system what an idle connection does not need. False:
 * that was done before, or cannot be. */
bool tls_rest(struct tls *t);
/* Wipes what is secret; the memory can be used anew. */
void tls_end(struct tls *t);

/* The last failure, as bearssl_ssl.h numbers it. */
int tls_error(const struct tls *t);

#endif
