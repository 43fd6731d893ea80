/* supervisor.c -- see supervisor.h.
 *
 * What holds:
 *  (1) Whatever is linked is linked anew with each life of either end; nobody keeps an end
 *      that belongs to a process which is gone.
 *  (2) Until the first start is complete a child's end is the server's end.
 *  (3) In the end fronts go first, then the writer, then hashers.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hasher.h"
#include "link.h"
#include "log.h"
#include "server.h"
#include "supervisor.h"
#include "writer.h"

#define CHILDREN_MAX 81                 /* a writer, 64 fronts, 16 hashers */
#define FILES_SPARE  64                 /* descriptors beyond those of connections */
#define DEATHS       5                  /* of one kind in DEATHS_MS: more, and the next waits */
#define DEATHS_MS    10000
#define PAUSE_MS     1000
#define DRAIN_MS     10000
#define EXIT_SETTING 100
#define EXIT_SYSTEM  111

enum kind { WRITER, FRONT, HASHER, KINDS };

static const char *const kind_text[KINDS] = {
	[WRITER] = "writer",
	[FRONT]  = "front",
	[HASHER] = "hasher",
};

struct child {
	enum kind kind;
	uint32_t number;                /* among its kind */
	pid_t pid;                      /* 0: not running */
	int control;                    /* -1: not running, or about to end */
	bool ready;
	bool wanted;                    /* to be running */
	uint64_t start_ms;              /* not before */
};

enum phase { STARTING, RUNNING, STOPPING };

struct supervisor {
	struct config config;           /* with what the system does not allow taken back */
	enum phase phase;
	bool ended;
	int status;                     /* to exit with */
	pid_t pid;
	int signals;
	int listeners[CONFIG_LISTENERS_MAX];    /* -1: not open */
	struct child children[CHILDREN_MAX];
	uint32_t child_count;
	uint64_t deaths_ms[KINDS][DEATHS];      /* the last ones, oldest first */
	uint64_t stop_ms;               /* when those who still run are killed */
};

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct child *writer_of(struct supervisor *s)
{
	return &s->children[0];
}

static uint32_t count_running(const struct supervisor *s, enum kind kind)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->child_count; i++)
		count += s->children[i].kind == kind && s->children[i].pid != 0;
	return count;
}

static void kill_children(const struct supervisor *s, enum kind kind)
{
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == kind && s->children[i].pid != 0)
			kill(s->children[i].pid, SIGKILL);
}

static void kill_all(const struct supervisor *s)
{
	for (int kind = 0; kind < KINDS; kind++)
		kill_children(s, (enum kind)kind);
}

/* Whoever does not take its orders is of no use any more. */
static void order(const struct child *c, enum link_order_kind kind, uint32_t number, int passed)
{
	const struct link_order o = { (uint32_t)kind, number };

	if (c->control >= 0 && link_send_order(c->control, &o, passed) == LINK_LATER)
		kill(c->pid, SIGKILL);
}

/* Gives the writer and a front or hasher a fresh link (1). */
static void link_to_writer(struct supervisor *s, const struct child *c)
{
	const struct child *writer = writer_of(s);
	size_t room;
	int pair[2];

	if (writer->control < 0 || c->control < 0)
		return;
	if (!link_pair(pair, LINK_PACKET_MAX, &room)) {
		log_event(LOG_ERROR, "link_failed", "errno=%d", errno);
		return;
	}
	order(writer, c->kind == FRONT ? ORDER_FRONT_LINK : ORDER_HASHER_LINK, c->number, pair[0]);
	order(c, ORDER_WRITER_LINK, 0, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* Leaves a child nothing of the supervisor's but what it needs. */
static void close_others(const struct supervisor *s, const struct child *c)
{
	close(s->signals);
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].control >= 0)
			close(s->children[i].control);
	if (c->kind != FRONT)
		for (uint32_t i = 0; i < s->config.listener_count; i++)
			close(s->listeners[i]);
}

/* Signals for the whole group, as a terminal sends them, are the supervisor's business. */
static void leave_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < COUNT_OF(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_main(const struct supervisor *s, const struct child *c, int control)
{
	char name[16];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != s->pid)
		return EXIT_SYSTEM;
	snprintf(name, sizeof name, "sidecart:%s", kind_text[c->kind]);
	prctl(PR_SET_NAME, name);
	close_others(s, c);
	leave_signals();
	tzset();        /* reads /etc/localtime, which is out of reach later */
	log_open((enum log_level)s->config.log_level, kind_text[c->kind]);
	switch (c->kind) {
	case WRITER:
		return writer_run(&s->config, control);
	case FRONT:
		return server_run(&s->config, control, s->listeners);
	case HASHER:
		return hasher_run(&s->config, control);
	case KINDS:
		break;
	}
	return EXIT_SYSTEM;
}

static void link_all(struct supervisor *s)
{
	for (uint32_t i = 1; i < s->child_count; i++)
		link_to_writer(s, &s->children[i]);
}

static void start(struct supervisor *s, struct child *c)
{
	size_t room;
	int pair[2];

	assert(c->pid == 0 && c->control < 0);
	c->wanted = true;
	c->start_ms = clock_ms() + PAUSE_MS;    /* should it fail here */
	if (!link_pair(pair, sizeof(struct link_order), &room)) {
		log_event(LOG_ERROR, "start_failed", "kind=%s errno=%d", kind_text[c->kind], errno);
		return;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close(pair[0]);
		exit(child_main(s, c, pair[1]));
	}
	close(pair[1]);
	if (c->pid < 0) {
		log_event(LOG_ERROR, "start_failed", "kind=%s errno=%d", kind_text[c->kind], errno);
		close(pair[0]);
		c->pid = 0;
		return;
	}
	c->control = pair[0];
	c->ready = false;
	log_event(LOG_DEBUG, "started", "kind=%s pid=%d", kind_text[c->kind], (int)c->pid);
	if (c->kind == WRITER)
		link_all(s);
	else
		link_to_writer(s, c);
}

static void start_due(struct supervisor *s)
{
	uint64_t now_ms = clock_ms();

	for (uint32_t i = 0; i < s->child_count; i++) {
		struct child *c = &s->children[i];

		if (c->wanted && c->pid == 0 && s->phase != STOPPING && c->start_ms <= now_ms)
			start(s, c);
	}
}

static bool is_unix(const struct config_listener *l)
{
	return l->path[0] != '\0';
}

#define PLACE_MAX (CONFIG_SOCKET_MAX + 8)

/* `192.0.2.1:80`, `[2001:db8::1]:80` or `unix:/path`, NUL-terminated. */
static const char *place_text(char out[PLACE_MAX], const struct config_listener *l)
{
	struct buf text = { out, 0, PLACE_MAX - 1, false };
	bool v4 = address_is_ipv4(&l->address);

	buf_str(&text, is_unix(l) ? "unix:" : v4 ? "" : "[");
	if (is_unix(l)) {
		buf_str(&text, l->path);
	} else {
		address_write(&text, &l->address);
		buf_str(&text, v4 ? ":" : "]:");
		buf_uint(&text, l->port);
	}
	out[text.len] = '\0';
	return out;
}

/* One line per listener, with the port that the kernel gave. */
static void log_listeners(const struct supervisor *s)
{
	for (uint32_t i = 0; i < s->config.listener_count; i++) {
		struct config_listener l = s->config.listeners[i];
		struct sockaddr_storage bound = { 0 };
		socklen_t len = sizeof bound;
		char place[PLACE_MAX];

		getsockname(s->listeners[i], (struct sockaddr *)&bound, &len);
		address_from_sockaddr(&bound, &l.address, &l.port);
		log_event(LOG_INFO, "listening", "address=%s%s%s", place_text(place, &l),
		          l.proxy ? " proxy=on" : "", l.ops ? " surface=ops" : "");
	}
}

/* A socket's file goes while it is still listened on: whoever finds none there may make his. */
static void close_listeners(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->config.listener_count; i++) {
		if (s->listeners[i] < 0)
			continue;
		if (is_unix(&s->config.listeners[i]))
			unlink(s->config.listeners[i].path);
		close(s->listeners[i]);
		s->listeners[i] = -1;
	}
}

static bool fronts_ready(const struct supervisor *s)
{
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == FRONT && !s->children[i].ready)
			return false;
	return true;
}

/* A child serves: at the first start the fronts come after the writer, which makes the store. */
static void child_ready(struct supervisor *s, struct child *ready)
{
	ready->ready = true;
	if (s->phase != STARTING)
		return;
	if (ready->kind == WRITER)
		for (uint32_t i = 0; i < s->child_count; i++)
			if (s->children[i].kind == FRONT)
				start(s, &s->children[i]);
	if (!fronts_ready(s))
		return;
	s->phase = RUNNING;
	log_listeners(s);
}

static void start_hasher(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == HASHER && !s->children[i].wanted) {
			start(s, &s->children[i]);
			return;
		}
}

/* What children say. */
static void hear(struct supervisor *s, struct child *c)
{
	struct link_order o = { 0 };
	int passed;

	switch (link_receive_order(c->control, &o, &passed)) {
	case LINK_LATER:
		return;
	case LINK_GONE:
		close(c->control);
		c->control = -1;
		return;
	case LINK_DONE:
		break;
	}
	if (passed >= 0)
		close(passed);
	if (o.kind == ORDER_READY)
		child_ready(s, c);
	else if (o.kind == ORDER_NEED_LINK && c->kind == FRONT)
		link_to_writer(s, c);
	else if (o.kind == ORDER_NEED_HASHER && c->kind == WRITER && s->phase == RUNNING)
		start_hasher(s);
}

/* Notes a death; true where too many of the kind came too fast. */
static bool dies_too_often(struct supervisor *s, enum kind kind, uint64_t now_ms)
{
	uint64_t *deaths = s->deaths_ms[kind];
	bool often = deaths[0] != 0 && now_ms - deaths[0] < DEATHS_MS;

	memmove(deaths, deaths + 1, (DEATHS - 1) * sizeof deaths[0]);
	deaths[DEATHS - 1] = now_ms;
	return often;
}

/* The next step of the end (3). */
static void go_on_stopping(struct supervisor *s)
{
	if (count_running(s, FRONT) > 0)
		return;
	order(writer_of(s), ORDER_DRAIN, 0, -1);
	if (count_running(s, WRITER) > 0)
		return;
	kill_children(s, HASHER);
	s->ended = count_running(s, HASHER) == 0;
}

static void child_ended(struct supervisor *s, struct child *c, int status)
{
	uint64_t now_ms = clock_ms();

	if (c->control >= 0)
		close(c->control);
	c->control = -1;
	if (s->phase != STOPPING)
		log_event(LOG_WARN, "ended", "kind=%s pid=%d %s=%d", kind_text[c->kind],
		          (int)c->pid, WIFSIGNALED(status) ? "signal" : "status",
		          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	c->pid = 0;
	if (s->phase == STARTING) {                             /* (2) */
		s->status = WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
			                                                  : EXIT_SYSTEM;
		s->ended = true;
		return;
	}
	if (s->phase == STOPPING) {
		go_on_stopping(s);
		return;
	}
	c->start_ms = now_ms + (dies_too_often(s, c->kind, now_ms) ? PAUSE_MS : 0);
	if (c->kind == FRONT)
		order(writer_of(s), ORDER_CHECK_READERS, 0, -1);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint32_t i = 0; i < s->child_count; i++)
			if (s->children[i].pid == pid)
				child_ended(s, &s->children[i], status);
}

static void stop(struct supervisor *s)
{
	if (s->phase != RUNNING) {
		kill_all(s);
		s->ended = true;
		return;
	}
	log_event(LOG_INFO, "stopping", "at_most_ms=%d", DRAIN_MS);
	s->phase = STOPPING;
	s->stop_ms = clock_ms() + DRAIN_MS;
	close_listeners(s);
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == FRONT)
			order(&s->children[i], ORDER_DRAIN, 0, -1);
	go_on_stopping(s);
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (!s->ended && read(s->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			reap(s);
		else
			stop(s);
	}
}

/* Until the next start that is due, or the end of patience. */
static int wait_ms(const struct supervisor *s)
{
	uint64_t now_ms = clock_ms(), due_ms = UINT64_MAX;

	if (s->phase == STOPPING)
		due_ms = s->stop_ms;
	for (uint32_t i = 0; i < s->child_count; i++) {
		const struct child *c = &s->children[i];

		if (c->wanted && c->pid == 0 && s->phase != STOPPING && c->start_ms < due_ms)
			due_ms = c->start_ms;
	}
	if (due_ms == UINT64_MAX)
		return -1;
	return due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
}

static void turn(struct supervisor *s)
{
	struct pollfd waits[1 + CHILDREN_MAX] = { { .fd = s->signals, .events = POLLIN } };

	for (uint32_t i = 0; i < s->child_count; i++)
		waits[1 + i] = (struct pollfd){ .fd = s->children[i].control, .events = POLLIN };
	if (poll(waits, 1 + s->child_count, wait_ms(s)) < 0)
		return;
	for (uint32_t i = 0; i < s->child_count && !s->ended; i++)
		if (waits[1 + i].revents != 0)
			hear(s, &s->children[i]);
	take_signals(s);
	if (s->phase == STOPPING && clock_ms() >= s->stop_ms) {
		kill_all(s);
		s->ended = true;
	}
	if (!s->ended)
		start_due(s);
}

static bool complain(const char *what, const char *which, const char *why)
{
	fprintf(stderr, "sidecart: %s: %s: %s\n", what, which, why);
	return false;
}

/* Raises the limit of open files to what max_connections needs, or lowers that. */
static void fit_files(struct supervisor *s)
{
	const rlim_t needed = s->config.max_connections + FILES_SPARE;
	struct rlimit limit, wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	wanted = (struct rlimit){ needed, limit.rlim_max > needed ? limit.rlim_max : needed };
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= needed)
		return;
	s->config.max_connections = limit.rlim_cur > 2 * FILES_SPARE
		? (uint32_t)limit.rlim_cur - FILES_SPARE : FILES_SPARE;
	log_event(LOG_WARN, "max_connections_lowered", "max_connections=%u open_files=%llu",
	          s->config.max_connections, (unsigned long long)limit.rlim_cur);
}

/* A socket's file that nobody listens on, which is what a killed server leaves behind. */
static bool is_stale(const struct sockaddr_un *at)
{
	struct stat file;
	bool refused;
	int fd;

	if (lstat(at->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 &&
	          errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* Owner and group may connect. */
static bool bind_path(int fd, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t before = umask(0117);
	bool bound;

	static_assert(sizeof at.sun_path >= CONFIG_SOCKET_MAX, "a path of the settings fits");
	memcpy(at.sun_path, path, strlen(path));
	bound = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
	if (!bound && errno == EADDRINUSE) {
		if (is_stale(&at) && unlink(path) == 0)
			bound = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
		else
			errno = EADDRINUSE;
	}
	umask(before);
	return bound;
}

static bool bind_address(int fd, const struct sockaddr_storage *at, socklen_t len)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* Accepted sockets inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (at->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	return bind(fd, (const struct sockaddr *)at, len) == 0;
}

static bool listen_at(const struct config_listener *l, int *listener)
{
	struct sockaddr_storage at = { .ss_family = AF_UNIX };
	socklen_t len = is_unix(l) ? 0 : address_to_sockaddr(&l->address, l->port, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd >= 0 && (is_unix(l) ? bind_path(fd, l->path) : bind_address(fd, &at, len)) &&
	    listen(fd, SOMAXCONN) == 0) {
		*listener = fd;
		return true;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return false;
}

/* Those on addresses, which a port below 1024 may need root for, or those on paths, whose
 * files belong to the account that serves. */
static bool open_listeners(struct supervisor *s, bool paths)
{
	for (uint32_t i = 0; i < s->config.listener_count; i++) {
		const struct config_listener *l = &s->config.listeners[i];
		char place[PLACE_MAX];
		int error;

		if (is_unix(l) != paths || listen_at(l, &s->listeners[i]))
			continue;
		error = errno;
		return complain(l->ops ? "ops_listen" : "listen", place_text(place, l),
		                strerror(error));
	}
	return true;
}

struct account {
	uid_t user;
	gid_t group;
};

/* Reads /etc/passwd itself: a static binary has no NSS. */
static bool find_account(const char *name, struct account *a)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *p = NULL;

	if (file == NULL)
		return false;
	while ((p = fgetpwent(file)) != NULL && !slice_eq(slice_of(p->pw_name), slice_of(name)))
		;
	if (p != NULL)
		*a = (struct account){ p->pw_uid, p->pw_gid };
	fclose(file);
	return p != NULL;
}

static bool become(const struct account *a)
{
	return setgroups(0, NULL) == 0 && setresgid(a->group, a->group, a->group) == 0 &&
	       setresuid(a->user, a->user, a->user) == 0;
}

/* Started as root: goes on as `user`, or as the owner of the store. */
static bool drop_privileges(const struct config *config)
{
	struct account a = { 0, 0 };
	struct stat data;

	if (geteuid() != 0)
		return true;
	if (config->user[0] != '\0') {
		if (!find_account(config->user, &a))
			return complain("user", config->user, "no such account in /etc/passwd");
	} else if (stat(config->data, &data) == 0) {
		a = (struct account){ data.st_uid, data.st_gid };
	}
	if (a.user == 0) {
		log_event(LOG_WARN, "serving_as_root", "setting=user");
		return true;
	}
	return become(&a) || complain("user", "cannot change to it", strerror(errno));
}

/* A packet must fit what a socket of a link may hold. */
static bool packets_fit(void)
{
	char sizes[96];
	size_t room;
	int pair[2];

	if (link_pair(pair, LINK_PACKET_MAX, &room)) {
		close(pair[0]);
		close(pair[1]);
		return true;
	}
	snprintf(sizes, sizeof sizes, "a message between processes may have %zu bytes, not %d",
	         room, LINK_PACKET_MAX);
	return complain("net.core.wmem_max", sizes, "raise it");
}

static bool take_over_signals(struct supervisor *s)
{
	static const int taken[] = { SIGCHLD, SIGTERM, SIGINT };
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->signals >= 0 || complain("signalfd", "start", strerror(errno));
}

static void add_children(struct supervisor *s, enum kind kind, uint32_t count)
{
	assert(s->child_count + count <= CHILDREN_MAX);
	for (uint32_t i = 0; i < count; i++)
		s->children[s->child_count++] =
			(struct child){ .kind = kind, .number = i, .control = -1 };
}

int supervisor_make_data(const struct config *config)
{
	bool give = geteuid() == 0 && config->user[0] != '\0';
	struct account a;

	if (give && !find_account(config->user, &a)) {
		complain("user", config->user, "no such account in /etc/passwd");
		return EXIT_SETTING;
	}
	if (mkdir(config->data, S_IRWXU) != 0) {
		if (errno == EEXIST)
			return 0;
	} else if (!give || chown(config->data, a.user, a.group) == 0) {
		return 0;
	}
	complain("data", config->data, strerror(errno));
	return EXIT_SYSTEM;
}

int supervisor_run(const struct config *config)
{
	static struct supervisor s;

	s.config = *config;
	s.pid = getpid();
	memset(s.listeners, -1, sizeof s.listeners);
	log_open((enum log_level)config->log_level, "supervisor");
	if (!packets_fit())
		return EXIT_SYSTEM;
	fit_files(&s);
	if (!open_listeners(&s, false) || !drop_privileges(&s.config) ||
	    !open_listeners(&s, true) || !take_over_signals(&s)) {
		close_listeners(&s);
		return EXIT_SYSTEM;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	add_children(&s, WRITER, 1);
	add_children(&s, FRONT, config->workers);
	add_children(&s, HASHER, config->hashers);
	start(&s, writer_of(&s));
	while (!s.ended)
		turn(&s);
	kill_all(&s);
	close_listeners(&s);
	if (s.phase == STOPPING)
		log_event(LOG_INFO, "stopped", "status=%d", s.status);
	return s.status;
}
