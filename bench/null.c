/* null.c -- the null server: the least that an epoll server can do with the same bytes.
 *
 * Usage: null RESPONSE. It listens on a loopback port that the kernel picks and prints it.
 * Each readable connection costs one read; the ends of the heads in what came are counted,
 * and as many copies of the file RESPONSE go out with one write. Nothing is judged: what a
 * real server takes beyond this is what its work costs.
 * Limits  heads without bodies; CONNECTIONS_MAX connections; a peer that does not read its
 *         answers is closed. A signal ends it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define EVENTS_MAX      64
#define IN_MAX          16384
#define RESPONSE_MAX    4096
#define COPIES_MAX      128

struct connection {
	size_t len;             /* bytes of a head that has not ended yet */
	char in[IN_MAX];
};

static struct connection connections[CONNECTIONS_MAX];  /* by descriptor */
static char copies[COPIES_MAX * RESPONSE_MAX];          /* the response, again and again */
static size_t response_len;

static void die(const char *what)
{
	perror(what);
	exit(111);
}

static void load_response(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		die(path);
	response_len = fread(copies, 1, RESPONSE_MAX, f);
	if (response_len == 0 || fgetc(f) != EOF) {
		fprintf(stderr, "%s: not a response of 1 to %d bytes\n", path, RESPONSE_MAX);
		exit(100);
	}
	fclose(f);
	for (size_t i = 1; i < COPIES_MAX; i++)
		memcpy(copies + i * response_len, copies, response_len);
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 128) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		die("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* Counts the heads that ended and keeps the bytes behind the last. */
static size_t take_heads(struct connection *c)
{
	const char *at = c->in, *end = c->in + c->len, *hit;
	size_t heads = 0;

	while ((hit = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
		at = hit + 4;
		heads++;
	}
	c->len = (size_t)(end - at);
	if (at != c->in && c->len > 0)
		memmove(c->in, at, c->len);
	return heads;
}

/* One read and one write; false where the connection is over. A read that leaves room in
 * the buffer has emptied the socket, so edge-triggered epoll needs no second one. */
static bool serve(int fd, struct connection *c)
{
	size_t room, heads, len;
	ssize_t n;

	do {
		room = sizeof c->in - c->len;
		n = read(fd, c->in + c->len, room);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		c->len += (size_t)n;
		heads = take_heads(c);
		len = heads * response_len;
		if (heads > COPIES_MAX || (len > 0 && write(fd, copies, len) != (ssize_t)len))
			return false;
	} while ((size_t)n == room);
	return true;
}

static void admit(int epoll, int listener)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		connections[fd].len = 0;
		event.data.fd = fd;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			die("epoll_ctl");
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX], event = { .events = EPOLLIN };
	int epoll = epoll_create1(0), listener;

	if (argc != 2) {
		fprintf(stderr, "usage: null RESPONSE\n");
		return 100;
	}
	load_response(argv[1]);
	listener = listen_on_loopback();
	event.data.fd = listener;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
		die("epoll");
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		if (count < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				admit(epoll, listener);
			else if (!serve(fd, &connections[fd]))
				close(fd);
		}
	}
}
