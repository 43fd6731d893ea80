/* probe.c -- see probe.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

static bool refuse(char error[PROBE_ERROR_MAX], const char *what, const char *why)
{
	snprintf(error, PROBE_ERROR_MAX, "%.120s: %s", what, why);
	return false;
}

static bool is_everywhere(const struct address *a)
{
	static const char zero[16];
	struct slice bytes = slice_bytes(a->bytes, sizeof a->bytes);

	return slice_eq(bytes, slice_bytes(zero, sizeof zero)) ||
	       (address_is_ipv4(a) && slice_eq(slice_skip(bytes, 12), slice_bytes(zero, 4)));
}

/* Names the server; one that listens everywhere is asked on the loopback. */
static void name_server(struct probe *p)
{
	struct config_listener *l = &p->server;
	char text[ADDRESS_TEXT_MAX];
	struct buf address = BUF(text);
	bool ipv4;

	if (l->path[0] != '\0') {
		snprintf(p->name, sizeof p->name, "unix:%s", l->path);
		return;
	}
	ipv4 = address_is_ipv4(&l->address);
	if (is_everywhere(&l->address))
		address_parse(ipv4 ? SLICE("127.0.0.1") : SLICE("::1"), &l->address);
	address_write(&address, &l->address);
	snprintf(p->name, sizeof p->name, ipv4 ? "%.*s:%u" : "[%.*s]:%u", (int)address.len,
	         address.ptr, l->port);
}

bool probe_listener(struct probe *p, const struct config_listener *l, const char *document)
{
	p->server = *l;
	snprintf(p->document, sizeof p->document, "%s", document);
	name_server(p);
	return l->path[0] != '\0' || l->port != 0;
}

/* ADDRESS:PORT, or ADDRESS alone behind http://. */
static bool read_server(struct probe *p, struct slice text, bool is_url)
{
	struct config_listener *l = &p->server;
	struct slice port;
	uint64_t number;

	if (slice_starts(text, SLICE("localhost"))) {
		port = slice_skip(text, strlen("localhost"));
		address_parse(SLICE("127.0.0.1"), &l->address);
		l->port = 80;
		if (port.len == 0)
			return is_url;
		if (port.ptr[0] != ':' || !slice_uint(slice_skip(port, 1), UINT16_MAX, &number))
			return false;
		l->port = (uint16_t)number;
	} else if (!address_parse_port(text, &l->address, &l->port)) {
		l->port = 80;
		return is_url && address_parse(text, &l->address);
	}
	return l->port != 0;
}

bool probe_parse(struct probe *p, struct slice url, char error[PROBE_ERROR_MAX])
{
	const char *given = url.ptr;
	bool is_url = slice_starts(url, SLICE("http://"));
	size_t len = 0;

	*p = (struct probe){ .document = "/healthz" };
	if (url.len >= sizeof p->document)
		return refuse(error, given, "too long");
	if (slice_starts(url, SLICE("https://")))
		return refuse(error, given, "TLS is not spoken here; ask a plain listener");
	if (slice_starts(url, SLICE("unix:"))) {
		url = slice_skip(url, strlen("unix:"));
		if (url.len == 0 || url.len >= sizeof p->server.path)
			return refuse(error, given, "no path of a Unix socket");
		memcpy(p->server.path, url.ptr, url.len);
		name_server(p);
		return true;
	}
	url = slice_skip(url, is_url ? strlen("http://") : 0);
	while (len < url.len && url.ptr[len] != '/')
		len++;
	for (size_t i = len; i < url.len; i++)
		if ((unsigned char)url.ptr[i] <= ' ' || (unsigned char)url.ptr[i] >= 0x7f)
			return refuse(error, given, "a byte that is to be escaped");
	if (!read_server(p, (struct slice){ url.ptr, len }, is_url))
		return refuse(error, given, "neither http://ADDRESS:PORT nor unix:PATH; an address "
		              "is numeric");
	if (len + 1 < url.len)
		snprintf(p->document, sizeof p->document, "%s", url.ptr + len);
	name_server(p);
	return true;
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False, with errno: the time is over. */
static bool wait_for(int fd, short events, int64_t end_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };
	int64_t left_ms = end_ms - clock_ms();

	errno = ETIMEDOUT;
	return left_ms > 0 && poll(&wait, 1, (int)left_ms) > 0;
}

static int open_socket(const struct config_listener *l, int64_t end_ms)
{
	struct sockaddr_storage to = { 0 };
	struct sockaddr_un *local = (struct sockaddr_un *)(void *)&to;
	socklen_t len = sizeof *local, error_len = sizeof(int);
	int fd, error = 0;

	if (l->path[0] != '\0') {
		local->sun_family = AF_UNIX;
		memcpy(local->sun_path, l->path, strlen(l->path));
	} else {
		len = address_to_sockaddr(&l->address, l->port, &to);
	}
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, len) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, end_ms) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0)
		return fd;
	error = error != 0 ? error : errno;
	close(fd);
	errno = error;
	return -1;
}

/* All of a short request fits into the socket at once. */
static bool send_request(int fd, const struct probe *p)
{
	char text[2 * PROBE_URL_MAX + 128];
	int len = snprintf(text, sizeof text, "%sGET %s HTTP/1.1\r\nHost: %s\r\n"
	                   "User-Agent: sidecart\r\nConnection: close\r\n\r\n",
	                   p->server.proxy ? "PROXY UNKNOWN\r\n" : "", p->document,
	                   p->server.path[0] != '\0' ? "localhost" : p->name);

	return send(fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

/* To the end of the stream. */
static bool receive(int fd, struct buf *answer, int64_t end_ms)
{
	while (answer->len < answer->cap) {
		ssize_t n = recv(fd, answer->ptr + answer->len, answer->cap - answer->len, 0);

		if (n == 0)
			return true;
		answer->len += n > 0 ? (size_t)n : 0;
		if (n < 0 && (errno != EAGAIN || !wait_for(fd, POLLIN, end_ms)))
			return false;
	}
	errno = EMSGSIZE;
	return false;
}

/* The status of `HTTP/1.1 200 ...`, and what follows the head; 0: no such answer. */
static uint32_t read_answer(struct slice answer, struct slice *body)
{
	static const struct slice version = { "HTTP/1.", 7 };
	uint64_t status;

	if (answer.len < strlen("HTTP/1.1 200") || !slice_starts(answer, version) ||
	    !slice_uint((struct slice){ answer.ptr + strlen("HTTP/1.1 "), 3 }, 599, &status))
		return 0;
	for (size_t i = 0; i + 4 <= answer.len; i++)
		if (slice_starts(slice_skip(answer, i), SLICE("\r\n\r\n"))) {
			*body = slice_skip(answer, i + 4);
			return (uint32_t)status;
		}
	return 0;
}

uint32_t probe_ask(const struct probe *p, struct buf *answer, struct slice *body,
                   char error[PROBE_ERROR_MAX])
{
	int64_t end_ms = clock_ms() + PROBE_WAIT_MS;
	int fd = open_socket(&p->server, end_ms);
	uint32_t status = 0;
	bool done = fd >= 0 && send_request(fd, p) && receive(fd, answer, end_ms);

	if (!done)
		refuse(error, p->name, strerror(errno));
	else if ((status = read_answer(buf_slice(answer), body)) == 0)
		refuse(error, p->name, "what answers there speaks no HTTP");
	if (fd >= 0)
		close(fd);
	return status;
}
