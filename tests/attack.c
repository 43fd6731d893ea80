/* attack.c -- many hostile clients in one process, for tests/test_hostile.py.
 *
 *   attack flood NAME=VALUE... <PAYLOAD    until SIGTERM, and each status `must` was seen;
 *                                          one line when all have come for the first time, and
 *                                          one at the end that says what came of it
 *   attack reader DIR                      holds a snapshot of a store until it is killed
 *
 * Each client connects, sends the payload, and does at its end what `end` says. What is drawn
 * follows from `seed`; each @ of the payload is a hexadecimal digit drawn anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD_MAX (4u << 20)
#define EVENTS      256
#define SEND_MAX    16384
#define READ_MAX    65536
#define TICK_MS     5
#define PATIENCE_MS 10000
#define OPENS_A_LAP 256         /* else who opens sends nothing */

enum end {
	END_HOLD,       /* waits for whatever comes */
	END_AGAIN,      /* sends it once more, whether it was answered or not */
	END_TURN,       /* sends it once more when it was answered */
	END_CLOSE,      /* closes when something came */
	END_RESET,      /* resets, and before the payload's end: after a part that is drawn */
	ENDS
};

static const char *const end_names[ENDS] = { "hold", "again", "turn", "close", "reset" };

static struct {
	uint64_t port, connections, seed;
	uint64_t piece;         /* bytes of a send; 0: as many as fit */
	uint64_t pause;         /* ms between two sends of a client, and between two reads */
	uint64_t read;          /* bytes of a read; 0: never reads */
	uint64_t window;        /* bytes of the socket's receive buffer; 0: the system's */
	uint64_t sources;       /* loopback addresses that clients come from; 0: 127.0.0.1 */
	uint64_t answers;       /* that a payload has, for `turn` */
	uint64_t reopen;        /* 1: who is thrown out comes again */
	uint64_t end;           /* enum end */
	bool must[1000];        /* statuses */
} o = { .connections = 1, .seed = 1, .read = READ_MAX, .answers = 1, .reopen = 1 };

struct client {
	int fd;                 /* -1: not connected */
	uint64_t number, passes;
	size_t sent, cut;       /* of this pass; where it ends */
	uint64_t answered, due_ms;
	size_t matched;         /* bytes of "HTTP/1.1 NNN" */
	unsigned status;
	bool connecting, ending;
};

static struct {
	uint64_t opened, refused, thrown_out, sent, received, passes;
	uint64_t statuses[1000];
} told;

static char payload[PAYLOAD_MAX];
static size_t payload_len;
static uint64_t drawn, now_ms;
static int epoll_fd;
static volatile sig_atomic_t over;

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t draw(uint64_t below)
{
	drawn += UINT64_C(0x9e3779b97f4a7c15);
	return mix(o.seed ^ drawn) % below;
}

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void watch(const struct client *c, int how)
{
	bool reads = o.read > 0 && o.pause == 0;
	bool sends = c->connecting || (!c->ending && o.pause == 0 && c->sent < c->cut);
	struct epoll_event e = {
		.events = EPOLLRDHUP | (reads ? EPOLLIN : 0u) | (sends ? EPOLLOUT : 0u),
		.data.ptr = (void *)(uintptr_t)c,
	};

	epoll_ctl(epoll_fd, how, c->fd, &e);
}

static void leave(struct client *c, bool reset)
{
	static const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(c->fd);
	c->fd = -1;
	c->due_ms = now_ms + o.pause;
}

static void begin_pass(struct client *c)
{
	c->passes++;
	c->sent = 0;
	c->answered = 0;
	c->cut = payload_len;
	if (o.end == END_RESET)
		c->cut = draw(payload_len + payload_len / 4 + 1);
	if (c->cut > payload_len)
		c->cut = payload_len;
}

static void come(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o.port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1, window = (int)o.window;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		told.refused++;
		c->due_ms = now_ms + 10;
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (window > 0)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
	if (o.sources > 0) {
		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + (uint32_t)draw(o.sources));
		bind(c->fd, (struct sockaddr *)&from, sizeof from);
	}
	c->connecting = true;
	c->ending = false;
	c->matched = 0;
	begin_pass(c);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
		told.refused++;
		leave(c, false);
		c->due_ms = now_ms + 10;
		return;
	}
	told.opened++;
	if (told.opened == o.connections) {
		puts("here");
		fflush(stdout);
	}
	watch(c, EPOLL_CTL_ADD);
}

static void thrown_out(struct client *c)
{
	told.thrown_out++;
	leave(c, false);
	if (o.reopen == 0)
		c->due_ms = UINT64_MAX;
}

/* All of a pass has been sent. */
static void end_pass(struct client *c)
{
	told.passes++;
	if (o.end == END_AGAIN) {
		begin_pass(c);
	} else if (o.end == END_RESET) {
		c->ending = true;
		c->due_ms = now_ms + draw(20);
		watch(c, EPOLL_CTL_MOD);
	} else {
		watch(c, EPOLL_CTL_MOD);
	}
}

static size_t fill(const struct client *c, char *out, size_t room)
{
	size_t len = c->cut - c->sent;

	if (o.piece > 0 && len > o.piece)
		len = o.piece;
	len = len < room ? len : room;
	memcpy(out, payload + c->sent, len);
	for (char *at = out; (at = memchr(at, '@', len - (size_t)(at - out))) != NULL;) {
		uint64_t place = c->sent + (size_t)(at - out);

		place += mix(o.seed + c->number) + (c->passes << 24);
		*at = "0123456789abcdef"[mix(place) & 15];
	}
	return len;
}

static void send_some(struct client *c)
{
	char piece[SEND_MAX];
	size_t len = fill(c, piece, sizeof piece);
	ssize_t n = len > 0 ? send(c->fd, piece, len, MSG_NOSIGNAL) : 0;

	if (n < 0) {
		if (errno != EAGAIN)
			thrown_out(c);
		return;
	}
	c->sent += (size_t)n;
	told.sent += (uint64_t)n;
	c->due_ms = now_ms + o.pause;
	if (c->sent == c->cut)
		end_pass(c);
}

/* Counts the status lines among what came. */
static void look(struct client *c, const char *bytes, size_t len)
{
	static const char line[] = "HTTP/1.1 ";
	const size_t digits = sizeof line - 1;

	for (size_t i = 0; i < len; i++) {
		if (c->matched < digits) {
			c->matched = bytes[i] == line[c->matched] ? c->matched + 1
			                                          : bytes[i] == 'H';
			c->status = 0;
			continue;
		}
		c->status = c->status * 10 + (unsigned)(bytes[i] - '0') % 10;
		if (++c->matched < digits + 3)
			continue;
		told.statuses[c->status % 1000]++;
		c->answered++;
		c->matched = 0;
	}
}

/* False: nothing came, or no more will. */
static bool read_some(struct client *c)
{
	static char bytes[READ_MAX];
	ssize_t n = recv(c->fd, bytes, o.read < sizeof bytes ? o.read : sizeof bytes, 0);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		thrown_out(c);
		return false;
	}
	told.received += (uint64_t)n;
	look(c, bytes, (size_t)n);
	if (o.end == END_CLOSE && c->sent == c->cut) {
		leave(c, false);
	} else if (o.end == END_TURN && c->sent == c->cut && c->answered >= o.answers) {
		begin_pass(c);
		watch(c, EPOLL_CTL_MOD);
	}
	return true;
}

static void event(struct client *c, uint32_t events)
{
	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		thrown_out(c);
		return;
	}
	if (c->connecting && (events & EPOLLOUT) != 0) {
		c->connecting = false;
		c->due_ms = now_ms + draw(o.pause + 1);         /* not all at the same moment */
		watch(c, EPOLL_CTL_MOD);
	}
	if ((events & EPOLLIN) != 0)
		read_some(c);
	while (c->fd >= 0 && (events & EPOLLRDHUP) != 0 && o.read > 0)
		if (!read_some(c))
			break;
	if (c->fd >= 0 && (events & EPOLLRDHUP) != 0)
		thrown_out(c);
	else if (c->fd >= 0 && !c->ending && (events & EPOLLOUT) != 0 && c->sent < c->cut)
		send_some(c);
}

/* What is due for who waits. */
static void tick(struct client *c, unsigned *opens)
{
	if (c->due_ms > now_ms)
		return;
	if (c->fd < 0) {
		if (*opens > 0 && (*opens)-- > 0)
			come(c);
	} else if (c->ending) {
		leave(c, true);
	} else if (o.pause > 0 && !c->connecting) {
		c->due_ms = now_ms + o.pause;
		if (c->sent < c->cut)
			send_some(c);
		if (c->fd >= 0 && o.read > 0)
			read_some(c);
	}
}

static void tell(void)
{
	const char *comma = "";

	printf("{\"opened\": %llu, \"refused\": %llu, \"thrown_out\": %llu, \"sent\": %llu, "
	       "\"received\": %llu, \"passes\": %llu, \"statuses\": {",
	       (unsigned long long)told.opened, (unsigned long long)told.refused,
	       (unsigned long long)told.thrown_out, (unsigned long long)told.sent,
	       (unsigned long long)told.received, (unsigned long long)told.passes);
	for (unsigned i = 0; i < 1000; i++) {
		if (told.statuses[i] == 0)
			continue;
		printf("%s\"%u\": %llu", comma, i, (unsigned long long)told.statuses[i]);
		comma = ", ";
	}
	puts("}}");
}

/* Where many others run, the attack itself may have had to wait until now. */
static bool done(void)
{
	static uint64_t over_ms;

	if (!over)
		return false;
	over_ms = over_ms == 0 ? now_ms : over_ms;
	for (unsigned i = 0; i < 1000; i++)
		if (o.must[i] && told.statuses[i] == 0)
			return now_ms - over_ms >= PATIENCE_MS;
	return true;
}

static void flood(struct client *clients)
{
	struct epoll_event events[EVENTS];
	uint64_t ticked_ms = 0;

	while (!done()) {
		int count = epoll_wait(epoll_fd, events, EVENTS, TICK_MS);
		unsigned opens = OPENS_A_LAP;

		now_ms = clock_ms();
		for (int i = 0; i < count; i++)
			event(events[i].data.ptr, events[i].events);
		if (ticked_ms == now_ms)
			continue;
		ticked_ms = now_ms;
		for (uint64_t i = 0; i < o.connections; i++)
			tick(&clients[i], &opens);
	}
}

static void stop(int signal_number)
{
	(void)signal_number;
	over = 1;
}

static bool read_option(const char *text)
{
	static const struct { const char *name; uint64_t *value; } options[] = {
		{ "port=", &o.port }, { "connections=", &o.connections }, { "seed=", &o.seed },
		{ "piece=", &o.piece }, { "pause=", &o.pause }, { "read=", &o.read },
		{ "window=", &o.window }, { "sources=", &o.sources }, { "answers=", &o.answers },
		{ "reopen=", &o.reopen },
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		size_t len = strlen(options[i].name);

		if (strncmp(text, options[i].name, len) == 0) {
			*options[i].value = strtoull(text + len, NULL, 10);
			return true;
		}
	}
	if (strncmp(text, "must=", 5) == 0) {
		o.must[strtoull(text + 5, NULL, 10) % 1000] = true;
		return true;
	}
	for (o.end = 0; strncmp(text, "end=", 4) == 0 && o.end < ENDS; o.end++)
		if (strcmp(text + 4, end_names[o.end]) == 0)
			return true;
	fprintf(stderr, "attack: %s: what is that?\n", text);
	return false;
}

static int run_flood(int count, char **options)
{
	struct rlimit files;
	struct client *clients;

	for (int i = 0; i < count; i++)
		if (!read_option(options[i]))
			return 100;
	payload_len = fread(payload, 1, sizeof payload, stdin);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	clients = calloc(o.connections, sizeof *clients);
	if (epoll_fd < 0 || clients == NULL)
		return 111;
	for (uint64_t i = 0; i < o.connections; i++)
		clients[i] = (struct client){ .fd = -1, .number = i };
	flood(clients);
	tell();
	return 0;
}

/* As a hung process of the same account would: it takes a slot and never comes back. */
static int run_reader(const char *dir)
{
	MDB_env *env;
	MDB_txn *txn;
	int rc = mdb_env_create(&env);

	if (rc == 0)
		rc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	puts(rc == 0 ? "held" : mdb_strerror(rc));
	fflush(stdout);
	while (!over)
		pause();
	return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = stop };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &action, NULL);
	if (argc >= 2 && strcmp(argv[1], "flood") == 0)
		return run_flood(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "reader") == 0)
		return run_reader(argv[2]);
	fprintf(stderr, "attack: flood NAME=VALUE... or reader DIR\n");
	return 100;
}
