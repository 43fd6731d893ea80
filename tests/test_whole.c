/* test_whole.c -- supervisor, fronts and writer together, where what travels is long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "oscar.h"
#include "process.h"
#include "route.h"
#include "supervisor.h"

#define HOST    "Host: shop.example.com\r\nX-Api-Key: k\r\n"
#define CLIENTS 8

static char text[LINK_ANSWER_MAX + 1], bodies[CLIENTS][CALL_BODY_MAX];

/* Stands in for a handler that writes: it says what it was told. */
enum call_result __wrap_oscar_login_post(struct call *c);

enum call_result __wrap_oscar_login_post(struct call *c)
{
	c->response->status = HTTP_OK;
	buf_put(&c->response->body, c->request->body);
	return CALL_DONE;
}

static int set_up(void **state)
{
	struct supervisor_start start = { .config = &config };

	(void)state;
	process_prepare();
	config.listener_count = 1;
	config.listeners[0] = (struct config_listener){ 0 };
	must(snprintf(config.listeners[0].path, CONFIG_SOCKET_MAX, "%s", store_path("socket")) <
	     CONFIG_SOCKET_MAX, "the path of the socket is too long");
	config.workers = 2;
	config.max_body = LINK_BODY_MAX;
	for (size_t i = 0; i < CLIENTS; i++)
		for (size_t at = 0; at < CALL_BODY_MAX; at++)
			bodies[i][at] = (char)('a' + (at * (i + 3) + at / 1000) % 26);
	fflush(NULL);
	process_pid = fork();
	assert_true(process_pid >= 0);
	if (process_pid == 0)
		exit(supervisor_run(&start));
	return 0;
}

static int tear_down(void **state)
{
	int status = -1;

	(void)state;
	kill(process_pid, SIGTERM);
	assert_int_equal(waitpid(process_pid, &status, 0), process_pid);
	assert_int_equal(status, 0);
	unlink(store_path("socket"));
	unlink(store_path("use"));
	process_clean();
	return 0;
}

static int client(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 2 * PROCESS_WAIT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s", config.listeners[0].path);
	for (int i = 0; connect(fd, (struct sockaddr *)&at, sizeof at) != 0; i++) {
		assert_true(i < PROCESS_WAIT_MS / 10);
		usleep(10000);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* Sends all but the last `held` bytes of a request with the `i`th body. */
static void say(int fd, size_t i, size_t len, size_t held)
{
	char head[300];
	int head_len = snprintf(head, sizeof head, "POST /api/login/ HTTP/1.1\r\n" HOST
	                        "Session-Id: SID:ANON:shop.example.com:a\r\n"
	                        "Content-Length: %zu\r\n\r\n", len);

	assert_int_equal(send(fd, head, (size_t)head_len, 0), head_len);
	assert_int_equal(send(fd, bodies[i], len - held, 0), len - held);
}

/* Reads one response; its body stands in `text`, and `closes` says whether it was the last one of
 * the connection. */
static bool closes;

static long hear(int fd, size_t *len)
{
	char head[1000];
	size_t at = 0;
	const char *length;

	while (at < 4 || memcmp(head + at - 4, "\r\n\r\n", 4) != 0) {
		assert_true(at < sizeof head - 1);
		assert_int_equal(recv(fd, head + at, 1, 0), 1);
		head[++at] = '\0';
	}
	closes = strstr(head, "Connection: close") != NULL;
	length = strstr(head, "Content-Length: ");
	*len = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
	assert_true(*len < sizeof text);
	assert_int_equal(recv(fd, text, *len, MSG_WAITALL), *len);
	return strtol(head + strlen("HTTP/1.1 "), NULL, 10);
}

static void expect(int fd, size_t i, size_t len)
{
	size_t heard;

	assert_int_equal(hear(fd, &heard), 200);
	assert_int_equal(heard, len);
	assert_memory_equal(text, bodies[i], len);
}

/* There and back, many at once, longer and shorter than a packet: everybody gets his own. */
static void test_echo(void **state)
{
	static const size_t lens[] = { 1, 65000, 65536, 300000, 700001, CALL_BODY_MAX };
	int fds[CLIENTS];

	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		fds[i] = client();
	for (size_t round = 0; round < 12; round++) {
		size_t len[CLIENTS];

		for (size_t i = 0; i < CLIENTS; i++) {
			len[i] = lens[(round + i) % COUNT_OF(lens)];
			say(fds[i], i, len[i], 1);
		}
		for (size_t i = 0; i < CLIENTS; i++)
			assert_int_equal(send(fds[i], bodies[i] + len[i] - 1, 1, 0), 1);
		for (size_t i = 0; i < CLIENTS; i++)
			expect(fds[i], i, len[i]);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		close(fds[i]);
}

/* A 503 that came before its request was whole ends the connection (requirement H27). */
static void renew_closed(int *fd)
{
	if (!closes)
		return;
	close(*fd);
	*fd = client();
}

/* The writer dies while long messages go both ways: who waits is told so, a half of a message
 * is seen by nobody, and with the next writer all is well. */
static void test_writer_dies(void **state)
{
	int fds[CLIENTS];

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		pid_t writer = 0;
		size_t len;

		for (size_t i = 0; i < CLIENTS; i++) {
			fds[i] = client();
			say(fds[i], i, CALL_BODY_MAX, 1);
		}
		while ((writer = process_child("sidecart:writer")) == 0)
			usleep(1000);
		for (size_t i = 0; i < CLIENTS; i++)
			assert_int_equal(send(fds[i], bodies[i] + CALL_BODY_MAX - 1, 1, 0), 1);
		usleep(round * 1500);
		kill(writer, SIGKILL);
		for (size_t i = 0; i < CLIENTS; i++) {
			long status = hear(fds[i], &len);

			assert_true(status == 200 || status == 503);
			if (status == 200)
				assert_int_equal(len, CALL_BODY_MAX);
			if (status == 200)
				assert_memory_equal(text, bodies[i], len);
			renew_closed(&fds[i]);
		}
		for (size_t i = 0, tries = 0; i < CLIENTS; tries++) {
			long status;

			assert_true(tries < PROCESS_WAIT_MS / 10);
			say(fds[i], i, 100000, 0);
			status = hear(fds[i], &len);
			renew_closed(&fds[i]);
			if (status == 503) {
				usleep(10000);
				continue;
			}
			assert_int_equal(status, 200);
			assert_int_equal(len, 100000);
			assert_memory_equal(text, bodies[i], len);
			close(fds[i++]);
		}
	}
}

#define SERVING(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVING(test_echo),
		SERVING(test_writer_dies),
	};

	return cmocka_run_group_tests_name("whole", tests, NULL, NULL);
}
