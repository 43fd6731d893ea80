/* tls.c -- see tls.h.
 *
 * The engine takes ciphertext and gives plaintext, and the other way round, a record at a time
 * (bearssl_ssl.h). What one read(2) brought and it has yet to take lies in `ahead`.
 */
#include <assert.h>
#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "file.h"
#include "memory.h"
#include "secret.h"
#include "sha.h"
#include "tls.h"

#define FILE_MAX   65536        /* bytes of the file of certificates */
#define AHEAD_CAP  16384
#define SESSIONS   4096         /* that can be resumed, of one front; a power of two */
#define SESSION_MS (24 * 3600 * 1000)   /* at most (RFC 5246, appendix F.1.4) */
#define DAY_S      86400
#define DAYS_1970  719528       /* from the year 0 to 1970 */
#define HEADER_LEN 5            /* bytes of a record's header */

struct session {
	uint64_t until_ms;
	br_ssl_session_parameters parameters;
};

/* Session ids are random, and ours: a few of their bits are the place. */
struct sessions {
	const br_ssl_session_cache_class *class;
	uint64_t now_ms;
	struct session place[SESSIONS];
};

struct tls_server {
	const br_ssl_server_policy_class *class;
	struct tls_identity identity;
	br_x509_certificate chain[TLS_CERTIFICATES_MAX];
	br_rsa_private_key rsa;
	br_ec_private_key ec;
	bool used;
	struct sessions sessions;
};

struct tls {
	br_ssl_server_context ssl;
	struct tls_server *server;
	uint32_t ahead_start, ahead_end;
	uint32_t in_flight;             /* bytes of tls_write() in a record half sent */
	bool emptied;                   /* nothing came since a read(2) took all there was */
	bool open;                      /* between tls_handshake() and tls_close() */
	bool rested;
	unsigned char ahead[AHEAD_CAP];
	unsigned char in[BR_SSL_BUFSIZE_INPUT], out[BR_SSL_BUFSIZE_OUTPUT];
};

/* ---- certificate and key */

static bool fail(char error[TLS_ERROR_MAX], const char *setting, const char *path,
                 const char *what)
{
	(void)snprintf(error, TLS_ERROR_MAX, "%s: %.300s: %s", setting, path, what);
	return false;
}

struct pem {
	br_pem_decoder_context decoder;
	struct slice rest;
};

enum pem_result { PEM_FOUND, PEM_NONE, PEM_BROKEN };

static void put_bytes(void *to, const void *bytes, size_t len)
{
	buf_put(to, slice_bytes(bytes, len));
}

static bool ends_with(struct slice s, struct slice end)
{
	return s.len >= end.len && slice_eq(slice_skip(s, s.len - end.len), end);
}

/* The next object whose name ends with `kind`, behind `der`. */
static enum pem_result pem_next(struct pem *p, struct slice kind, struct buf *der)
{
	bool inside = false;

	while (p->rest.len > 0) {
		size_t taken = br_pem_decoder_push(&p->decoder, p->rest.ptr, p->rest.len);

		p->rest = slice_skip(p->rest, taken);
		switch (br_pem_decoder_event(&p->decoder)) {
		case BR_PEM_BEGIN_OBJ:
			inside = ends_with(slice_of(br_pem_decoder_name(&p->decoder)), kind);
			br_pem_decoder_setdest(&p->decoder, inside ? put_bytes : NULL, der);
			break;
		case BR_PEM_END_OBJ:
			if (inside)
				return PEM_FOUND;
			break;
		case BR_PEM_ERROR:
			return PEM_BROKEN;
		default:
			break;
		}
	}
	return inside ? PEM_BROKEN : PEM_NONE;
}

static void pem_begin(struct pem *p, struct slice text)
{
	p->rest = text;
	br_pem_decoder_init(&p->decoder);
}

static uint64_t unix_time(uint32_t days, uint32_t seconds)
{
	return days > DAYS_1970 ? (uint64_t)(days - DAYS_1970) * DAY_S + seconds : 0;
}

/* Takes the server's certificate apart; `*x` has its public key afterwards. */
static bool read_certificate(const char *path, struct tls_identity *id,
                             br_x509_decoder_context *x, char error[TLS_ERROR_MAX])
{
	const br_x509_pkey *pkey;

	br_x509_decoder_init(x, NULL, NULL);
	br_x509_decoder_push(x, id->chain, id->certificate_len[0]);
	if ((pkey = br_x509_decoder_get_pkey(x)) == NULL)
		return fail(error, "tls_cert", path, "its first certificate is none that is known "
		            "here: a key of P-256 or RSA is in it, and no trailing bytes");
	if (pkey->key_type == BR_KEYTYPE_EC && pkey->key.ec.curve != BR_EC_secp256r1)
		return fail(error, "tls_cert", path, "its key is of another curve than P-256");
	id->from_s = unix_time(x->notbefore_days, x->notbefore_seconds);
	id->until_s = unix_time(x->notafter_days, x->notafter_seconds);
	return true;
}

static bool read_chain(const char *path, struct tls_identity *id, br_x509_decoder_context *x,
                       char error[TLS_ERROR_MAX])
{
	char text[FILE_MAX];
	struct buf file = BUF(text), chain = { (char *)id->chain, 0, sizeof id->chain, false };
	enum pem_result result;
	struct pem pem;
	size_t before;

	file.cap--;
	if (!file_load(path, &file))
		return fail(error, "tls_cert", path, strerror(errno));
	file.cap++;
	buf_char(&file, '\n');          /* it ends the last line of PEM */
	pem_begin(&pem, buf_slice(&file));
	while (before = chain.len,
	       (result = pem_next(&pem, SLICE("CERTIFICATE"), &chain)) == PEM_FOUND) {
		if (id->certificates == TLS_CERTIFICATES_MAX || chain.full)
			return fail(error, "tls_cert", path,
			            "more than 8 certificates, or than 12288 bytes of them");
		id->certificate_len[id->certificates++] = (uint32_t)(chain.len - before);
	}
	if (result == PEM_BROKEN)
		return fail(error, "tls_cert", path, "no sound PEM: is the file whole?");
	if (id->certificates == 0)
		return fail(error, "tls_cert", path, "no certificate in it (BEGIN CERTIFICATE)");
	return read_certificate(path, id, x, error);
}

static void keep_number(struct tls_identity *id, struct buf *to, const unsigned char *bytes,
                        size_t len)
{
	uint32_t *part = id->key_len;

	while (*part != 0)
		part++;
	*part = (uint32_t)len;
	buf_put(to, slice_bytes(bytes, len));
}

static bool keep_key(const char *path, struct tls_identity *id, const br_skey_decoder_context *d,
                     char error[TLS_ERROR_MAX])
{
	struct buf to = { (char *)id->key, 0, sizeof id->key, false };
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(d);
	const br_ec_private_key *ec = br_skey_decoder_get_ec(d);

	if (rsa != NULL && rsa->n_bitlen >= TLS_RSA_BITS && rsa->n_bitlen <= TLS_RSA_BITS_MAX) {
		id->rsa_bits = rsa->n_bitlen;
		keep_number(id, &to, rsa->p, rsa->plen);
		keep_number(id, &to, rsa->q, rsa->qlen);
		keep_number(id, &to, rsa->dp, rsa->dplen);
		keep_number(id, &to, rsa->dq, rsa->dqlen);
		keep_number(id, &to, rsa->iq, rsa->iqlen);
	} else if (ec != NULL && ec->curve == BR_EC_secp256r1 && ec->xlen > 0) {
		keep_number(id, &to, ec->x, ec->xlen);
	} else {
		return fail(error, "tls_key", path,
		            "neither a key of P-256 nor one of RSA with 2048 to 4096 bits");
	}
	return !to.full || fail(error, "tls_key", path, "its numbers are too long");
}

static bool decode_key(const char *path, struct tls_identity *id, struct slice text,
                       char error[TLS_ERROR_MAX])
{
	char bytes[SECRET_MAX];
	struct buf der = BUF(bytes);
	br_skey_decoder_context decoder;
	bool good = false, encrypted;
	struct pem pem;
	enum pem_result result;

	pem_begin(&pem, text);
	result = pem_next(&pem, SLICE("PRIVATE KEY"), &der);
	encrypted = slice_eq(slice_of(br_pem_decoder_name(&pem.decoder)),
	                     SLICE("ENCRYPTED PRIVATE KEY"));
	if (result == PEM_NONE)
		fail(error, "tls_key", path, "no key in it (BEGIN PRIVATE KEY)");
	else if (result == PEM_BROKEN || encrypted)
		fail(error, "tls_key", path, encrypted ? "encrypted: write it without a passphrase"
		     : "no sound PEM: is the file whole, and without a passphrase?");
	br_skey_decoder_init(&decoder);
	br_skey_decoder_push(&decoder, der.ptr, der.len);
	if (result == PEM_FOUND && !encrypted)
		good = keep_key(path, id, &decoder, error);
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(&decoder, sizeof decoder);
	explicit_bzero(&pem, sizeof pem);
	return good;
}

static bool read_key(const char *path, struct tls_identity *id, char error[TLS_ERROR_MAX])
{
	char text[SECRET_MAX + 1], why[SECRET_ERROR_MAX];
	struct buf file = { text, 0, SECRET_MAX, false };
	bool good;

	if (!secret_read(path, &file, why)) {
		(void)snprintf(error, TLS_ERROR_MAX, "tls_key: %.480s", why);
		return false;
	}
	text[file.len++] = '\n';
	good = decode_key(path, id, (struct slice){ text, file.len }, error);
	explicit_bzero(text, sizeof text);
	return good;
}

/* The key in the form that is worked with, over the numbers in `id`. */
static void point_at_key(struct tls_identity *id, br_rsa_private_key *rsa, br_ec_private_key *ec)
{
	unsigned char *part[TLS_KEY_PARTS], *next = id->key;

	for (int i = 0; i < TLS_KEY_PARTS; i++) {
		part[i] = next;
		next += id->key_len[i];
	}
	*rsa = (br_rsa_private_key){
		id->rsa_bits, part[0], id->key_len[0], part[1], id->key_len[1],
		part[2], id->key_len[2], part[3], id->key_len[3], part[4], id->key_len[4],
	};
	*ec = (br_ec_private_key){ BR_EC_secp256r1, part[0], id->key_len[0] };
}

static const uint8_t digest[br_sha256_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* What an RSA key does to a number, its public one undoes. */
static bool rsa_fits(const br_rsa_private_key *key, const br_rsa_public_key *its)
{
	uint8_t number[TLS_RSA_BITS_MAX / 8] = { 0 }, back[TLS_RSA_BITS_MAX / 8];
	size_t len = (key->n_bitlen + 7) / 8;

	if (its->nlen != len)
		return false;
	memcpy(number + 1, digest, sizeof digest);
	memcpy(back, number, len);
	return br_rsa_i31_private(back, key) == 1 && br_rsa_i31_public(back, len, its) == 1 &&
	       slice_eq(slice_bytes(number, len), slice_bytes(back, len));
}

static bool ec_fits(const br_ec_private_key *key, const br_ec_public_key *its)
{
	uint8_t signature[64];
	size_t len = br_ecdsa_i31_sign_raw(&br_ec_p256_m31, &br_sha256_vtable, digest, key,
	                                   signature);

	return len > 0 && br_ecdsa_i31_vrfy_raw(&br_ec_p256_m31, digest, sizeof digest, its,
	                                        signature, len) == 1;
}

static bool fits(struct tls_identity *id, const br_x509_pkey *its)
{
	br_rsa_private_key rsa;
	br_ec_private_key ec;

	point_at_key(id, &rsa, &ec);
	if (id->rsa_bits > 0)
		return its->key_type == BR_KEYTYPE_RSA && rsa_fits(&rsa, &its->key.rsa);
	return its->key_type == BR_KEYTYPE_EC && ec_fits(&ec, &its->key.ec);
}

bool tls_identity_read(const struct config *c, struct tls_identity *id,
                       char error[TLS_ERROR_MAX])
{
	br_x509_decoder_context x;

	*id = (struct tls_identity){ 0 };
	if (!read_chain(c->tls_cert, id, &x, error) || !read_key(c->tls_key, id, error))
		return false;
	return fits(id, br_x509_decoder_get_pkey(&x)) ||
	       fail(error, "tls_key", c->tls_key,
	            "not the key of the first certificate of tls_cert");
}

/* ---- what connections share */

static struct session *place_of(struct sessions *s, const br_ssl_session_parameters *p)
{
	uint16_t bits;

	memcpy(&bits, p->session_id, sizeof bits);
	return &s->place[bits % SESSIONS];
}

static void save_session(const br_ssl_session_cache_class **class, br_ssl_server_context *ssl,
                         const br_ssl_session_parameters *parameters)
{
	struct sessions *s = (struct sessions *)(void *)class;

	(void)ssl;
	*place_of(s, parameters) = (struct session){ s->now_ms + SESSION_MS, *parameters };
}

static int load_session(const br_ssl_session_cache_class **class, br_ssl_server_context *ssl,
                        br_ssl_session_parameters *parameters)
{
	struct sessions *s = (struct sessions *)(void *)class;
	const struct session *found = place_of(s, parameters);
	const size_t len = sizeof parameters->session_id;

	(void)ssl;
	if (found->until_ms <= s->now_ms ||
	    !slice_eq_secret(slice_bytes(found->parameters.session_id, len),
	                     slice_bytes(parameters->session_id, len)))
		return 0;
	*parameters = found->parameters;
	return 1;
}

static const br_ssl_session_cache_class session_class = {
	sizeof(struct sessions), save_session, load_session,
};

/* There are suites of the key's kind alone, and one hash that is signed. */
static int choose(const br_ssl_server_policy_class **class, const br_ssl_server_context *ssl,
                  br_ssl_server_choices *choices)
{
	const struct tls_server *s = (const struct tls_server *)(const void *)class;
	size_t count;
	const br_suite_translated *suites = br_ssl_server_get_client_suites(ssl, &count);

	if (count == 0)
		return 0;
	*choices = (br_ssl_server_choices){
		.cipher_suite = suites[0][0],
		.algo_id      = 0xff00 + br_sha256_ID,
		.chain        = s->chain,
		.chain_len    = s->identity.certificates,
	};
	return 1;
}

/* No suite decrypts with the certificate's key. */
static uint32_t decrypt(const br_ssl_server_policy_class **class, unsigned char *data,
                        size_t *len)
{
	(void)class;
	(void)data;
	(void)len;
	return 0;
}

static size_t sign(const br_ssl_server_policy_class **class, unsigned algorithm,
                   unsigned char *data, size_t hash_len, size_t cap)
{
	const struct tls_server *s = (const struct tls_server *)(const void *)class;
	size_t len = (s->rsa.n_bitlen + 7) / 8;
	uint8_t hash[br_sha256_SIZE];

	assert(algorithm == 0xff00 + br_sha256_ID && hash_len == sizeof hash && cap >= len);
	(void)algorithm;
	(void)hash_len;
	(void)cap;
	memcpy(hash, data, sizeof hash);
	if (s->identity.rsa_bits == 0)
		return br_ecdsa_i31_sign_asn1(&br_ec_p256_m31, &br_sha256_vtable, hash, &s->ec,
		                              data);
	return br_rsa_pkcs1_sign_get_default()(BR_HASH_OID_SHA256, hash, sizeof hash, &s->rsa,
	                                       data) == 1 ? len : 0;
}

static const br_ssl_server_policy_class server_class = {
	sizeof(struct tls_server), choose, decrypt, sign,
};

size_t tls_server_bytes(void)
{
	return sizeof(struct tls_server);
}

void tls_server_use(struct tls_server *s, const struct tls_identity *id)
{
	unsigned char *next = s->identity.chain;

	if (s->used)
		explicit_bzero(&s->sessions, sizeof s->sessions);
	s->used = true;
	s->class = &server_class;
	s->sessions.class = &session_class;
	s->identity = *id;
	for (uint32_t i = 0; i < id->certificates; i++) {
		s->chain[i] = (br_x509_certificate){ next, id->certificate_len[i] };
		next += id->certificate_len[i];
	}
	point_at_key(&s->identity, &s->rsa, &s->ec);
}

/* ---- curves of the key exchange: X25519 is four times as fast as P-256 */

static const br_ec_impl *curve_impl(int curve)
{
	return curve == BR_EC_curve25519 ? &br_ec_c25519_m31 : &br_ec_p256_m31;
}

static const unsigned char *curve_generator(int curve, size_t *len)
{
	return curve_impl(curve)->generator(curve, len);
}

static const unsigned char *curve_order(int curve, size_t *len)
{
	return curve_impl(curve)->order(curve, len);
}

static size_t curve_xoff(int curve, size_t *len)
{
	return curve_impl(curve)->xoff(curve, len);
}

static uint32_t curve_mul(unsigned char *g, size_t g_len, const unsigned char *x, size_t x_len,
                          int curve)
{
	return curve_impl(curve)->mul(g, g_len, x, x_len, curve);
}

static size_t curve_mulgen(unsigned char *r, const unsigned char *x, size_t x_len, int curve)
{
	return curve_impl(curve)->mulgen(r, x, x_len, curve);
}

static const br_ec_impl curves = {
	.supported_curves = 1u << BR_EC_secp256r1 | 1u << BR_EC_curve25519,
	.generator = curve_generator, .order = curve_order, .xoff = curve_xoff,
	.mul = curve_mul, .mulgen = curve_mulgen,
};

/* ---- one connection */

static int seed(const br_prng_class **generator)
{
	uint8_t bytes[32];

	secret_random(bytes, sizeof bytes);
	(*generator)->update(generator, bytes, sizeof bytes);
	explicit_bzero(bytes, sizeof bytes);
	return 1;
}

/* Stands in for BearSSL's own, which may want to open /dev/urandom, out of reach of a front. */
br_prng_seeder br_prng_seeder_system(const char **name)
{
	if (name != NULL)
		*name = "getrandom";
	return seed;
}

size_t tls_bytes(void)
{
	return sizeof(struct tls);
}

static void set_algorithms(br_ssl_engine_context *e, bool rsa)
{
	static const uint16_t with_rsa[] = {
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}, with_ec[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	};

	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(e, rsa ? with_rsa : with_ec, COUNT_OF(with_ec));
	br_ssl_engine_set_hash(e, br_sha256_ID, sha256_class());
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_ec(e, &curves);
	br_ssl_engine_set_gcm(e, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
	br_ssl_engine_set_aes_ctr(e, &br_aes_ct64_ctr_vtable);
	br_ssl_engine_set_ghash(e, br_ghash_ctmul64);
	br_ssl_engine_set_chapol(e, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(e, br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(e, br_poly1305_ctmul_run);
}

void tls_begin(struct tls *t, struct tls_server *server)
{
	static const char *protocols[] = { "http/1.1" };
	br_ssl_engine_context *e = &t->ssl.eng;
	int begun;

	t->server = server;
	t->ahead_start = t->ahead_end = t->in_flight = 0;
	t->emptied = t->open = t->rested = false;
	br_ssl_server_zero(&t->ssl);
	set_algorithms(e, server->identity.rsa_bits > 0);
	br_ssl_engine_set_all_flags(e, BR_OPT_ENFORCE_SERVER_PREFERENCES |
	                            BR_OPT_NO_RENEGOTIATION | BR_OPT_FAIL_ON_ALPN_MISMATCH);
	br_ssl_engine_set_protocol_names(e, protocols, COUNT_OF(protocols));
	br_ssl_server_set_policy(&t->ssl, &server->class);
	br_ssl_server_set_cache(&t->ssl, &server->sessions.class);
	br_ssl_engine_set_buffers_bidi(e, t->in, sizeof t->in, t->out, sizeof t->out);
	begun = br_ssl_server_reset(&t->ssl);
	assert(begun == 1);
	(void)begun;
}

/* Writes what the engine has for the peer. False: not all, and errno says why. */
static bool push(struct tls *t, int fd)
{
	br_ssl_engine_context *e = &t->ssl.eng;
	const unsigned char *from;
	size_t len;

	while ((from = br_ssl_engine_sendrec_buf(e, &len)) != NULL) {
		ssize_t n = write(fd, from, len);

		if (n > 0)
			br_ssl_engine_sendrec_ack(e, (size_t)n);
		else if (n < 0 && errno != EINTR)
			return false;
	}
	return true;
}

void tls_hear(struct tls *t)
{
	t->emptied = false;
}

/* One read(2), where nothing is ahead; its result. */
static ssize_t read_ahead(struct tls *t, int fd)
{
	ssize_t n = read(fd, t->ahead, sizeof t->ahead);

	t->emptied = n < (ssize_t)sizeof t->ahead;
	t->ahead_start = 0;
	t->ahead_end = n > 0 ? (uint32_t)n : 0;
	t->rested = false;
	return n;
}

/* Gives the engine up to the end of one record. False: it takes nothing now. */
static bool feed(struct tls *t)
{
	br_ssl_engine_context *e = &t->ssl.eng;
	size_t len, come = t->ahead_end - t->ahead_start;
	unsigned char *to = br_ssl_engine_recvrec_buf(e, &len);

	if (to == NULL || come == 0)
		return false;
	len = len < come ? len : come;
	memcpy(to, t->ahead + t->ahead_start, len);
	t->ahead_start += (uint32_t)len;
	br_ssl_engine_recvrec_ack(e, len);
	return true;
}

static enum tls_result judge(struct tls *t, enum tls_result otherwise)
{
	unsigned state = br_ssl_engine_current_state(&t->ssl.eng);

	if ((state & BR_SSL_CLOSED) != 0)
		return TLS_FAILED;
	t->open = (state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) != 0;
	return t->open ? TLS_DONE : otherwise;
}

static enum tls_result later(void)
{
	return errno == EAGAIN ? TLS_WAIT : errno == EINTR ? TLS_ONWARD : TLS_FAILED;
}

enum tls_result tls_handshake(struct tls *t, int fd, uint64_t now_ms)
{
	br_ssl_engine_context *e = &t->ssl.eng;
	enum tls_result result;
	ssize_t n;

	t->server->sessions.now_ms = now_ms;
	if (!push(t, fd))
		return later();
	if ((result = judge(t, TLS_WAIT)) != TLS_WAIT)
		return result;
	if (t->ahead_start == t->ahead_end && (n = read_ahead(t, fd)) <= 0)
		return n == 0 ? TLS_FAILED : later();
	while ((br_ssl_engine_current_state(e) & (BR_SSL_SENDREC | BR_SSL_RECVAPP)) == 0 && feed(t))
		;
	if (!push(t, fd))
		return later();
	return judge(t, t->ahead_start < t->ahead_end || !t->emptied ? TLS_ONWARD : TLS_WAIT);
}

/* Plaintext that has come, up to `len` bytes of it. */
static size_t take(struct tls *t, void *to, size_t len)
{
	br_ssl_engine_context *e = &t->ssl.eng;
	size_t come;
	const unsigned char *from = br_ssl_engine_recvapp_buf(e, &come);

	if (from == NULL)
		return 0;
	len = len < come ? len : come;
	memcpy(to, from, len);
	br_ssl_engine_recvapp_ack(e, len);
	return len;
}

ssize_t tls_read(struct tls *t, int fd, void *to, size_t len)
{
	const br_ssl_engine_context *e = &t->ssl.eng;
	bool has_read = false;
	ssize_t n;

	while ((n = (ssize_t)take(t, to, len)) == 0) {
		if ((br_ssl_engine_current_state(e) & BR_SSL_CLOSED) != 0) {
			errno = EPROTO;
			return br_ssl_engine_last_error(e) == BR_ERR_OK ? 0 : -1;
		}
		if (t->ahead_start < t->ahead_end) {
			if (!feed(t))
				return 0;       /* it has had the peer's last record */
			push(t, fd);
			continue;
		}
		if (has_read) {
			errno = t->emptied ? EAGAIN : EINTR;
			return -1;
		}
		has_read = true;
		if ((n = read_ahead(t, fd)) <= 0)
			return n;
	}
	return n;
}

bool tls_has_more(const struct tls *t)
{
	size_t len;

	return !t->emptied || t->ahead_start < t->ahead_end ||
	       br_ssl_engine_recvapp_buf(&t->ssl.eng, &len) != NULL;
}

/* True where the engine waits for the first byte of a record. */
static bool between_records(const struct tls *t)
{
	size_t len;

	return br_ssl_engine_recvrec_buf(&t->ssl.eng, &len) == t->in && len == HEADER_LEN;
}

bool tls_in_record(const struct tls *t)
{
	size_t len;

	return br_ssl_engine_recvrec_buf(&t->ssl.eng, &len) != NULL && !between_records(t);
}

/* Copies the bytes from `at` on of `first` and `then`, one behind the other. */
static size_t copy_both(unsigned char *to, size_t room, struct slice first, struct slice then,
                        size_t at)
{
	size_t n = 0;

	for (const struct slice *s = &first; s != NULL; s = s == &first ? &then : NULL) {
		size_t skipped = at < s->len ? at : s->len, len = s->len - skipped;

		len = len < room - n ? len : room - n;
		if (len > 0)
			memcpy(to + n, s->ptr + skipped, len);
		n += len;
		at -= skipped;
	}
	return n;
}

ssize_t tls_write(struct tls *t, int fd, struct slice first, struct slice then)
{
	br_ssl_engine_context *e = &t->ssl.eng;
	size_t all = first.len + then.len, sent, room;

	if (!push(t, fd))
		return -1;
	sent = t->in_flight;
	assert(sent <= all);
	t->in_flight = 0;
	t->rested = false;
	while (sent < all) {
		unsigned char *to = br_ssl_engine_sendapp_buf(e, &room);
		size_t n;

		errno = EPIPE;
		if (to == NULL)
			break;
		n = copy_both(to, room, first, then, sent);
		br_ssl_engine_sendapp_ack(e, n);
		br_ssl_engine_flush(e, 0);
		t->in_flight = (uint32_t)n;
		if (!push(t, fd))
			break;
		sent += n;
		t->in_flight = 0;
	}
	return sent > 0 || all == 0 ? (ssize_t)sent : -1;
}

void tls_close(struct tls *t, int fd)
{
	if (!t->open)
		return;
	t->open = false;
	br_ssl_engine_close(&t->ssl.eng);
	push(t, fd);
}

bool tls_rest(struct tls *t)
{
	size_t len;

	if (t->rested || !between_records(t) || t->ahead_start < t->ahead_end ||
	    br_ssl_engine_sendrec_buf(&t->ssl.eng, &len) != NULL)
		return false;
	memory_trim(t, sizeof *t, offsetof(struct tls, ahead));
	return t->rested = true;
}

void tls_end(struct tls *t)
{
	explicit_bzero(&t->ssl, sizeof t->ssl);
	if (!t->rested)
		memory_trim(t, sizeof *t, offsetof(struct tls, ahead));
}

int tls_error(const struct tls *t)
{
	return br_ssl_engine_last_error(&t->ssl.eng);
}
