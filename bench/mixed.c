/* mixed.c -- reads without pause and writes at a rate, from one process.
 *
 * Usage: mixed PORT MILLISECONDS SEED COUNT READ READERS WRITE WRITERS RATE. READ and WRITE are
 * files with the bytes of a request, in which 36 `@` stand where the identifier of one of COUNT
 * sessions goes (fill.c). Each of READERS connections sends its next request when the last was
 * answered, of sessions drawn log-uniformly, as draw.lua does. RATE writes a second fall due at
 * even distances and go out on one of WRITERS connections that waits for no answer; what they
 * take counts from when they were due, so that no stall hides those behind it. Two programs on
 * one core would measure how they take turns there: 4 ms are a turn, and no server's doing.
 * On stdout are two lines for the reads and two for the writes: what was counted, as name=value,
 * and the latencies, `microseconds:count`.
 * Limits  CONNECTIONS_MAX connections; answers of IN_MAX bytes, their bodies with a Content-Length.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

#define CONNECTIONS_MAX 512
#define REQUEST_MAX     4096
#define IN_MAX          65536
#define LATENCY_MAX_US  4000000
#define COUNT_MAX       100000000u
#define UUID_LEN        36
#define WAIT_NS         1000000         /* at most, where no write falls due before */

struct connection {
	struct load *load;
	int fd;
	uint64_t since_ns;              /* of the request that is not answered yet; 0: none */
	size_t len;
	char in[IN_MAX];
};

struct load {
	const char *name;
	bool uniform;
	char request[REQUEST_MAX];
	size_t len, id_at;
	uint32_t connections, first;
	uint64_t answered, errors, bytes, drawn, distinct;
	uint8_t *seen;
	uint32_t latency[LATENCY_MAX_US + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static struct load reads = { .name = "reads" }, writes = { .name = "writes", .uniform = true };
static uint32_t session_count, random_state;
static int epoll;

static void die(const char *what)
{
	perror(what);
	exit(111);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t number(const char *text, uint32_t most)
{
	uint64_t n;

	if (slice_uint(slice_of(text), most, &n))
		return (uint32_t)n;
	fprintf(stderr, "mixed: %s: not a number up to %u\n", text, most);
	exit(100);
}

static void load_request(struct load *l, const char *path)
{
	FILE *f = fopen(path, "rb");
	const char *at;

	if (f == NULL)
		die(path);
	l->len = fread(l->request, 1, REQUEST_MAX - 1, f);
	fclose(f);
	at = memchr(l->request, '@', l->len);
	if (at == NULL || strspn(at, "@") != UUID_LEN) {
		fprintf(stderr, "mixed: %s: no place for an identifier\n", path);
		exit(100);
	}
	l->id_at = (size_t)(at - l->request);
	l->seen = calloc(session_count, 1);
	if (l->seen == NULL)
		die("memory");
}

/* xorshift32 (Marsaglia 2003). */
static uint32_t step(uint32_t x)
{
	x ^= x << 13;
	x ^= x >> 17;
	return x ^ x << 5;
}

static void draw(struct load *l)
{
	uint32_t index, a, b, c, d;
	char id[UUID_LEN + 1];
	double part = (random_state = step(random_state)) / 4294967296.0;

	index = l->uniform ? (uint32_t)(part * session_count)
	                   : (uint32_t)exp(part * log(session_count)) - 1;
	l->drawn++;
	l->distinct += !l->seen[index];
	l->seen[index] = 1;
	a = step(index + 1);
	b = step(a);
	c = step(b);
	d = step(c);
	b = (b & 0xffff0fff) | 0x4000;
	c = (c & 0x3fffffff) | 0x80000000;
	snprintf(id, sizeof id, "%08x-%04x-%04x-%04x-%04x%08x", a, b >> 16, b & 0xffff, c >> 16,
	         c & 0xffff, d);
	memcpy(l->request + l->id_at, id, UUID_LEN);
}

static void send_request(struct connection *c, uint64_t since_ns)
{
	draw(c->load);
	c->since_ns = since_ns;
	c->len = 0;
	if (write(c->fd, c->load->request, c->load->len) != (ssize_t)c->load->len)
		die("write");
}

/* False: more of the answer is to come. */
static bool take_answer(struct connection *c)
{
	static const char field[] = "\r\nContent-Length: ";
	ssize_t n = read(c->fd, c->in + c->len, sizeof c->in - 1 - c->len);
	const char *end, *at;
	size_t body = 0;

	if (n <= 0) {
		fprintf(stderr, "mixed: %s: a connection ended, or a long answer\n",
		        c->load->name);
		exit(111);
	}
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (end == NULL)
		return false;
	at = strstr(c->in, field);
	if (at != NULL && at < end)
		body = strtoul(at + sizeof field - 1, NULL, 10);
	return c->len >= (size_t)(end + 4 - c->in) + body;
}

static void count_answer(struct connection *c)
{
	struct load *l = c->load;
	uint64_t took_us = (now_ns() - c->since_ns) / 1000;

	l->answered++;
	l->bytes += c->len;
	l->errors += strncmp(c->in, "HTTP/1.1 2", 10) != 0;
	l->latency[took_us < LATENCY_MAX_US ? took_us : LATENCY_MAX_US]++;
	c->since_ns = 0;
}

static void open_connections(struct load *l, uint32_t first, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family      = AF_INET,
		.sin_port        = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;

	l->first = first;
	for (uint32_t i = first; i < first + l->connections; i++) {
		struct connection *c = &connections[i];
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		c->load = l;
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (c->fd < 0 ||
		    connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
		    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
			die("connect");
	}
}

/* Those of a load, so that no read waits here behind the answers of a batch. */
static void take_events(const struct load *l, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->load != l || !take_answer(c))
			continue;
		count_answer(c);
		if (l == &reads)
			send_request(c, now_ns());
	}
}

/* Of the writes that are due those for which a connection is free. How long to wait then: where
 * none is free, an answer will say so. */
static long send_due(uint64_t *due_ns, uint64_t gap_ns)
{
	uint32_t i = writes.first, end = writes.first + writes.connections;
	uint64_t now = now_ns();

	for (; *due_ns <= now; *due_ns += gap_ns, now = now_ns()) {
		while (i < end && connections[i].since_ns != 0)
			i++;
		if (i == end)
			return WAIT_NS;
		send_request(&connections[i], *due_ns);
	}
	return *due_ns - now < WAIT_NS ? (long)(*due_ns - now) : WAIT_NS;
}

static void run(uint64_t end_ns, uint32_t rate)
{
	struct epoll_event events[CONNECTIONS_MAX];
	uint64_t gap_ns = rate > 0 ? 1000000000 / rate : 0;
	uint64_t due_ns = rate > 0 ? now_ns() + gap_ns : UINT64_MAX;

	for (uint32_t i = 0; i < reads.connections; i++)
		send_request(&connections[i], now_ns());
	while (now_ns() < end_ns) {
		struct timespec wait = { 0, send_due(&due_ns, gap_ns) };
		int count = epoll_pwait2(epoll, events, CONNECTIONS_MAX, &wait, NULL);

		if (count < 0 && errno != EINTR)
			die("epoll_pwait2");
		take_events(&reads, events, count);
		take_events(&writes, events, count);
	}
}

static void print_load(const struct load *l, uint64_t took_ns)
{
	printf("%s requests=%llu duration_us=%llu bytes=%llu errors=%llu drawn=%llu "
	       "distinct=%llu\n%s_latency", l->name, (unsigned long long)l->answered,
	       (unsigned long long)took_ns / 1000, (unsigned long long)l->bytes,
	       (unsigned long long)l->errors, (unsigned long long)l->drawn,
	       (unsigned long long)l->distinct, l->name);
	for (uint32_t us = 0; us <= LATENCY_MAX_US; us++)
		if (l->latency[us] > 0)
			printf(" %u:%u", us, l->latency[us]);
	printf("\n");
}

int main(int argc, char **argv)
{
	uint64_t begun_ns;
	uint32_t ms, rate;
	uint16_t port;

	if (argc != 10) {
		fprintf(stderr, "usage: mixed PORT MILLISECONDS SEED COUNT READ READERS WRITE "
		        "WRITERS RATE\n");
		return 100;
	}
	port = (uint16_t)number(argv[1], UINT16_MAX);
	ms = number(argv[2], 3600000);
	random_state = step(number(argv[3], COUNT_MAX) + 1);
	session_count = number(argv[4], COUNT_MAX);
	load_request(&reads, argv[5]);
	reads.connections = number(argv[6], CONNECTIONS_MAX / 2);
	load_request(&writes, argv[7]);
	writes.connections = number(argv[8], CONNECTIONS_MAX / 2);
	rate = number(argv[9], 1000000);
	epoll = epoll_create1(0);
	open_connections(&reads, 0, port);
	open_connections(&writes, reads.connections, port);
	begun_ns = now_ns();
	run(begun_ns + (uint64_t)ms * 1000000, rate);
	begun_ns = now_ns() - begun_ns;
	print_load(&reads, begun_ns);
	print_load(&writes, begun_ns);
	return 0;
}
