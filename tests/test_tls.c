/* test_tls.c -- TLS against BearSSL's own client: bytes through records, sockets that are full.
 *
 * Server and client have the two ends of one socket pair and take turns. Certificates are made
 * by openssl; without it the tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "tls.h"

#define STREAM 3000000                  /* bytes that go through */

static char folder[] = "/tmp/test_tls.XXXXXX";
static struct config config;
static struct tls_identity identity;
static struct tls_server *server;
static struct tls *tls;
static int ours = -1, theirs = -1;

/* The other side. */
static br_ssl_client_context client;
static br_x509_knownkey_context known;
static br_x509_decoder_context decoded;
static unsigned char client_buffer[BR_SSL_BUFSIZE_BIDI];
static br_ssl_session_parameters session;

static const char *path(const char *name)
{
	static char text[4][128];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof text[0], "%s/%s", folder, name);
	return out;
}

static bool run(const char *const *arguments)
{
	int status = -1, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool make_pair(const char *name, const char *algorithm, const char *option)
{
	char key[32], cert[32];

	snprintf(key, sizeof key, "%s.key", name);
	snprintf(cert, sizeof cert, "%s.pem", name);
	return run((const char *const[]){
		"openssl", "req", "-x509", "-newkey", algorithm, "-pkeyopt", option, "-nodes",
		"-subj", "/CN=localhost", "-keyout", path(key), "-out", path(cert), NULL }) &&
	       chmod(path(key), S_IRUSR | S_IWUSR) == 0;
}

static int make_pairs(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	make_pair("ec", "ec", "ec_paramgen_curve:prime256v1");
	make_pair("rsa", "rsa", "rsa_keygen_bits:2048");
	server = memory_map(tls_server_bytes());
	tls = memory_map(tls_bytes());
	return server == NULL || tls == NULL;
}

static int remove_pairs(void **state)
{
	(void)state;
	return run((const char *const[]){ "rm", "-r", folder, NULL }) ? 0 : -1;
}

/* False, and the test is skipped, where there is no openssl. */
static void use(const char *name)
{
	char error[TLS_ERROR_MAX] = "";

	snprintf(config.tls_cert, sizeof config.tls_cert, "%s/%s.pem", folder, name);
	snprintf(config.tls_key, sizeof config.tls_key, "%s/%s.key", folder, name);
	if (access(config.tls_cert, R_OK) != 0)
		skip();
	if (!tls_identity_read(&config, &identity, error))
		fail_msg("%s", error);
	tls_server_use(server, &identity);
}

static void connect_pair(int buffer)
{
	int pair[2];

	if (ours >= 0) {
		tls_end(tls);
		close(ours);
		close(theirs);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	for (int i = 0; i < 2 && buffer > 0; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	ours = pair[0];
	theirs = pair[1];
	tls_begin(tls, server);
	br_x509_decoder_init(&decoded, NULL, NULL);
	br_x509_decoder_push(&decoded, identity.chain, identity.certificate_len[0]);
}

/* Begins a client that trusts the one key. */
static void begin_client(bool resume)
{
	static const char *names[] = { "http/1.1" };
	static br_x509_minimal_context minimal;

	br_ssl_client_init_full(&client, &minimal, NULL, 0);
	br_x509_knownkey_init_rsa(&known, &br_x509_decoder_get_pkey(&decoded)->key.rsa,
	                          BR_KEYTYPE_SIGN);
	if (identity.rsa_bits == 0)
		br_x509_knownkey_init_ec(&known, &br_x509_decoder_get_pkey(&decoded)->key.ec,
		                         BR_KEYTYPE_SIGN);
	br_ssl_engine_set_x509(&client.eng, &known.vtable);
	br_ssl_engine_set_protocol_names(&client.eng, names, 1);
	br_ssl_engine_set_buffer(&client.eng, client_buffer, sizeof client_buffer, 1);
	br_ssl_engine_set_session_parameters(&client.eng, &session);
	assert_int_equal(br_ssl_client_reset(&client, "localhost", resume), 1);
}

/* Moves ciphertext between the client's engine and its socket, at most `most` bytes each way. */
static void turn_client(size_t most)
{
	unsigned char *at;
	size_t len;
	ssize_t n;

	if ((at = br_ssl_engine_sendrec_buf(&client.eng, &len)) != NULL) {
		n = write(theirs, at, len < most ? len : most);
		if (n > 0)
			br_ssl_engine_sendrec_ack(&client.eng, (size_t)n);
	}
	if ((at = br_ssl_engine_recvrec_buf(&client.eng, &len)) != NULL) {
		n = read(theirs, at, len < most ? len : most);
		if (n > 0)
			br_ssl_engine_recvrec_ack(&client.eng, (size_t)n);
	}
}

/* Returns the steps that the server took. */
static int shake_hands(size_t most)
{
	enum tls_result result = TLS_WAIT;
	int steps = 0;

	for (int i = 0; result != TLS_DONE && i < 100000; i++) {
		turn_client(most);
		result = tls_handshake(tls, ours, 1000);
		assert_int_not_equal(result, TLS_FAILED);
		steps++;
	}
	assert_int_equal(result, TLS_DONE);
	for (int i = 0; (br_ssl_engine_current_state(&client.eng) & BR_SSL_SENDAPP) == 0; i++) {
		assert_true(i < 100000);
		turn_client(most);
	}
	return steps;
}

static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

/* What the client has to read now, checked against the stream. */
static size_t client_takes(size_t at)
{
	size_t len;
	const unsigned char *come = br_ssl_engine_recvapp_buf(&client.eng, &len);

	if (come == NULL)
		return 0;
	for (size_t i = 0; i < len; i++)
		if (come[i] != byte_at(at + i))
			fail_msg("byte %zu is %u", at + i, come[i]);
	br_ssl_engine_recvapp_ack(&client.eng, len);
	return len;
}

static unsigned next_random(void)
{
	static uint32_t r = 1;

	r = r * 1664525 + 1013904223;
	return r >> 8;
}

/* As server.c does it: two slices, and what was not taken comes again, in front. */
static void sends_whole(void **state)
{
	static char text[100000];
	size_t sent = 0, come = 0, waits = 0;

	(void)state;
	use("ec");
	connect_pair(4096);
	begin_client(false);
	shake_hands(SIZE_MAX);
	while (come < STREAM) {
		size_t left = STREAM - sent;
		size_t len = left < sizeof text ? left : next_random() % sizeof text;
		size_t cut = len > 0 ? next_random() % (len + 1) : 0;
		ssize_t n = 0;

		for (size_t i = 0; i < len; i++)
			text[i] = (char)byte_at(sent + i);
		/* At least what came before: it is in a record that is on its way. */
		if (len >= 16384 || len == left)
			n = tls_write(tls, ours, (struct slice){ text, cut },
			              (struct slice){ text + cut, len - cut });
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			waits++;
		}
		sent += n > 0 ? (size_t)n : 0;
		turn_client(1 + next_random() % 8192);
		come += client_takes(come);
	}
	assert_int_equal(sent, STREAM);
	assert_true(waits > 0);
}

static void client_sends(size_t *at, size_t len)
{
	size_t room;
	unsigned char *to = br_ssl_engine_sendapp_buf(&client.eng, &room);

	if (to == NULL)
		return;
	len = len < room ? len : room;
	for (size_t i = 0; i < len; i++)
		to[i] = byte_at(*at + i);
	*at += len;
	br_ssl_engine_sendapp_ack(&client.eng, len);
	br_ssl_engine_flush(&client.eng, 0);
}

/* Whole records, parts of them, and several at once, into rooms of any size; all that has come
 * is had without another event. */
static void receives_whole(void **state)
{
	static unsigned char text[20000];
	size_t sent = 0, come = 0;

	(void)state;
	use("rsa");
	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	while (come < STREAM) {
		size_t room = 1 + next_random() % sizeof text;
		ssize_t n;

		client_sends(&sent, next_random() % 3 == 0 ? 16384 : next_random() % 200);
		turn_client(next_random() % 2 == 0 ? SIZE_MAX : 1 + next_random() % 100);
		do {
			n = tls_read(tls, ours, text, room);
			if (n < 0)
				assert_true(errno == EAGAIN || errno == EINTR);
			for (ssize_t i = 0; i < n; i++)
				assert_int_equal(text[i], byte_at(come + (size_t)i));
			come += n > 0 ? (size_t)n : 0;
		} while (n > 0 ? tls_has_more(tls) : errno == EINTR);
		assert_true(come <= sent);
	}
}

/* What comes while there is still something ahead is not forgotten: its event is over. */
static void hears(void **state)
{
	size_t sent = 0;
	char text[2];

	(void)state;
	use("ec");
	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	tls_hear(tls);
	assert_true(tls_has_more(tls));
	for (int i = 0; i < 2; i++) {
		client_sends(&sent, 1);
		turn_client(SIZE_MAX);
	}
	assert_int_equal(tls_read(tls, ours, text, sizeof text), 1);
	client_sends(&sent, 1);
	turn_client(SIZE_MAX);
	tls_hear(tls);
	assert_int_equal(tls_read(tls, ours, text, sizeof text), 1);
	assert_true(tls_has_more(tls));
	assert_int_equal(tls_read(tls, ours, text, sizeof text), 1);
	assert_false(tls_has_more(tls));
}

/* However the client's bytes are cut; and a step ends with the first answer, so that none has
 * both computations in it, not even for a client that sends all at once. */
static void shakes_hands(void **state)
{
	static const char *const names[] = { "ec", "rsa" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		use(names[i]);
		for (size_t most = 1; most < 2000; most = most * 3 + 1) {
			connect_pair(0);
			begin_client(false);
			assert_true(shake_hands(most) >= 2);
		}
	}
}

static bool resumes(uint64_t now_ms)
{
	const br_ssl_session_parameters before = session;
	enum tls_result result = TLS_WAIT;

	connect_pair(0);
	begin_client(true);
	for (int i = 0; result != TLS_DONE && i < 100; i++) {
		turn_client(SIZE_MAX);
		result = tls_handshake(tls, ours, now_ms);
	}
	assert_int_equal(result, TLS_DONE);
	br_ssl_engine_get_session_parameters(&client.eng, &session);
	return slice_eq(slice_bytes(before.session_id, 32), slice_bytes(session.session_id, 32));
}

/* A session lives for a day, and no longer than the certificate. */
static void sessions_end(void **state)
{
	const uint64_t day_ms = 24 * 3600 * 1000;

	(void)state;
	use("ec");
	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	br_ssl_engine_get_session_parameters(&client.eng, &session);
	assert_true(resumes(1000));
	assert_true(resumes(1000 + day_ms - 1));
	assert_false(resumes(1000 + day_ms));
	assert_true(resumes(1000 + day_ms));
	tls_server_use(server, &identity);
	assert_false(resumes(1000 + day_ms));
	session.session_id_len = 0;
}

/* Between records it may rest, and goes on as if nothing had been. */
static void rests(void **state)
{
	unsigned char text[64];
	size_t sent = 0, come = 0, len;

	(void)state;
	use("ec");
	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	for (int i = 0; i < 3; i++) {
		tls_rest(tls);
		tls_rest(tls);
		client_sends(&sent, 10);
		turn_client(7);
		errno = 0;
		assert_int_equal(tls_read(tls, ours, text, sizeof text), -1);
		assert_int_equal(errno, EAGAIN);
		assert_true(tls_in_record(tls));
		tls_rest(tls);                  /* it does not now */
		while (br_ssl_engine_sendrec_buf(&client.eng, &len) != NULL)
			turn_client(SIZE_MAX);
		assert_int_equal(tls_read(tls, ours, text, sizeof text), 10);
		for (size_t at = 0; at < 10; at++)
			assert_int_equal(text[at], byte_at(come++));
		assert_false(tls_in_record(tls));
		assert_int_equal(tls_write(tls, ours, SLICE(""), SLICE("x")), 1);
		turn_client(SIZE_MAX);
	}
}

/* close_notify from either side; EPROTO for what is broken; FIN alone is an end, too. */
static void ends(void **state)
{
	static const char broken[5 + 32] = "\x17\x03\x03\0\x20";
	char text[16];

	(void)state;
	use("ec");
	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	br_ssl_engine_close(&client.eng);
	turn_client(SIZE_MAX);
	assert_int_equal(tls_read(tls, ours, text, sizeof text), 0);
	assert_int_equal(tls_write(tls, ours, SLICE("x"), SLICE("")), -1);
	assert_int_equal(errno, EPIPE);

	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	tls_close(tls, ours);
	tls_close(tls, ours);
	for (int i = 0; i < 3; i++)
		turn_client(SIZE_MAX);
	assert_int_equal(br_ssl_engine_last_error(&client.eng), BR_ERR_OK);
	assert_int_equal(br_ssl_engine_current_state(&client.eng), BR_SSL_CLOSED);

	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	assert_int_equal(write(theirs, broken, sizeof broken), sizeof broken);
	assert_int_equal(tls_read(tls, ours, text, sizeof text), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(tls_error(tls), BR_ERR_BAD_MAC);

	connect_pair(0);
	begin_client(false);
	shake_hands(SIZE_MAX);
	shutdown(theirs, SHUT_WR);
	assert_int_equal(tls_read(tls, ours, text, sizeof text), 0);
}

/* A handshake that fails tells the peer, where TLS has a word for it, and writes nothing else
 * when it is closed. */
static void fails(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		enum tls_result result;
	} cases[] = {
		{ "nothing yet",    "",                              0,  TLS_WAIT },
		{ "half a header",  "\x16\x03\x01",                  3,  TLS_WAIT },
		{ "HTTP",           "GET / HTTP/1.1\r\n\r\n",        18, TLS_FAILED },
		{ "empty record",   "\x16\x03\x01\0\0",              5,  TLS_WAIT },
		{ "too long",       "\x16\x03\x01\x40\x01",          5,  TLS_FAILED },
		{ "data",           "\x17\x03\x03\0\x01x",           6,  TLS_FAILED },
		{ "no ClientHello", "\x16\x03\x01\0\x04\x02\0\0\0",  9,  TLS_FAILED },
		{ "alert",          "\x15\x03\x01\0\x02\x02\x28",    7,  TLS_FAILED },
		{ "close_notify",   "\x15\x03\x01\0\x02\x01\0",      7,  TLS_FAILED },
	};
	char text[16];

	(void)state;
	use("ec");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		connect_pair(0);
		assert_int_equal(write(theirs, cases[i].bytes, cases[i].len), cases[i].len);
		if (tls_handshake(tls, ours, 1000) != cases[i].result)
			fail_msg("%s", cases[i].name);
		tls_close(tls, ours);
		if (cases[i].result == TLS_WAIT && read(theirs, text, sizeof text) >= 0)
			fail_msg("%s: something was said", cases[i].name);
	}
	connect_pair(0);
	close(theirs);
	assert_int_equal(tls_handshake(tls, ours, 1000), TLS_FAILED);
	theirs = dup(ours);
}

/* What stands in the files; which errors there are is told by tests/test_tls.py. */
static void reads_files(void **state)
{
	char error[TLS_ERROR_MAX] = "";

	(void)state;
	use("ec");
	assert_int_equal(identity.certificates, 1);
	assert_int_equal(identity.rsa_bits, 0);
	assert_int_equal(identity.key_len[0], 32);
	assert_int_equal(identity.until_s - identity.from_s, 30 * 86400);
	use("rsa");
	assert_int_equal(identity.rsa_bits, 2048);
	for (int i = 0; i < TLS_KEY_PARTS; i++)
		assert_in_range(identity.key_len[i], 120, 128);
	snprintf(config.tls_key, sizeof config.tls_key, "%s/ec.key", folder);
	assert_false(tls_identity_read(&config, &identity, error));
	assert_non_null(strstr(error, "ec.key: not the key of the first certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_files),    cmocka_unit_test(shakes_hands),
		cmocka_unit_test(sends_whole),    cmocka_unit_test(receives_whole),
		cmocka_unit_test(hears),
		cmocka_unit_test(sessions_end),   cmocka_unit_test(rests),
		cmocka_unit_test(ends),           cmocka_unit_test(fails),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_pairs, remove_pairs);
}
