/* supervisor.c -- see supervisor.h.
 *
 * What holds:
 *  (1) Whatever is linked is linked anew with each life of either end; nobody keeps an end
 *      that belongs to a process which is gone.
 *  (2) Until the first start is complete a child's end is the server's end.
 *  (3) In the end fronts go first, then the writer, then hashers.
 *  (4) At an upgrade the sockets stay open throughout: the next generation, started with them,
 *      serves before this one stops to accept. Where it cannot, this one goes on, and ends it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "date.h"
#include "hasher.h"
#include "life.h"
#include "link.h"
#include "listener.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "server.h"
#include "supervisor.h"
#include "systemd.h"
#include "tls.h"
#include "writer.h"

#define CHILDREN_MAX 81                 /* a writer, 64 fronts, 16 hashers */
#define FILES_SPARE  64                 /* descriptors beyond those of connections */
#define DEATHS       5                  /* of one kind in DEATHS_MS: more, and the next waits */
#define DEATHS_MS    10000
#define PAUSE_MS     1000
#define DRAIN_MS     10000
#define EXIT_SETTING 100
#define UPGRADE_MS   60000              /* for the next generation to serve */
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
	uint32_t turns;                 /* that its loop had made when it was last looked at */
	uint64_t seen_ms;               /* when it had made more than before, or was started */
	bool hung;                      /* killed for it */
};

struct successor {
	pid_t pid;                      /* 0: none */
	int link;                       /* on which it says that it serves */
	uint64_t due_ms;
};

enum phase { STARTING, RUNNING, STOPPING };

struct supervisor {
	const struct supervisor_start *start;
	struct config settings;         /* as they were read */
	struct config fresh;            /* those of a reload, until they are judged */
	struct config config;           /* with what the system does not allow taken back, and
	                                 * the sockets that were given */
	enum phase phase;
	bool ended;
	int status;                     /* to exit with */
	pid_t pid;
	int signals;
	int listeners[CONFIG_LISTENERS_MAX];    /* -1: not open */
	struct tls_identity identity;   /* of https: listeners; fronts begin with it */
	struct tls_identity fresh_identity;     /* of a reload, until it is judged */
	struct child children[CHILDREN_MAX];
	uint32_t child_count;
	uint64_t deaths_ms[KINDS][DEATHS];      /* the last ones, oldest first */
	uint64_t stop_ms;               /* when those who still run are killed */
	int elder;                      /* the generation before waits there; -1: none */
	struct successor successor;
	uint64_t watch_ms;              /* the service manager's watchdog; 0: none */
	bool blind;                     /* there is no memory to see the loops turn in */
	uint64_t watch_due_ms;
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

	if (c->control >= 0 && link_send_order(c->control, &o, passed) != LINK_DONE && c->pid > 0)
		kill(c->pid, SIGKILL);
}

/* Reads certificate and key that `c` names, where a listener needs them. */
static bool read_identity(const struct supervisor *s, const struct config *c,
                          struct tls_identity *id, char error[TLS_ERROR_MAX])
{
	const uint64_t now_s = (uint64_t)time(NULL);
	char text[32];
	struct buf until = BUF(text);
	bool valid;

	if (!config_has_https(&s->config))
		return true;
	if (!tls_identity_read(c, id, error))
		return false;
	valid = now_s >= id->from_s && now_s <= id->until_s;
	date_put(&until, id->until_s);
	log_event(valid ? LOG_INFO : LOG_WARN, valid ? "certificate" : "certificate_not_valid",
	          "setting=tls_cert key=%s until=%.*sZ", id->rsa_bits > 0 ? "RSA" : "P-256",
	          (int)until.len, until.ptr);
	if (id->rsa_bits > TLS_RSA_BITS)
		log_event(LOG_WARN, "unwise_setting", "setting=tls_key why=\"each handshake with "
		          "a key of %u bits holds up all others: P-256 is quick\"", id->rsa_bits);
	return true;
}

/* Gives the writer and a front or hasher a fresh link (1). Where one end is lost on its way the
 * other one ends: who has none asks for another. */
static void link_to_writer(struct supervisor *s, const struct child *c)
{
	const struct child *writer = writer_of(s);
	const struct link_order of = {
		c->kind == FRONT ? ORDER_FRONT_LINK : ORDER_HASHER_LINK, c->number
	};
	const struct link_order to = { ORDER_WRITER_LINK, 0 };
	size_t room;
	int pair[2];

	if (writer->control < 0 || c->control < 0)
		return;
	if (!link_pair(pair, LINK_PACKET_MAX, &room)) {
		log_event(LOG_ERROR, "link_failed", "errno=%d", errno);
		return;
	}
	link_send_order(writer->control, &of, pair[0]);
	link_send_order(c->control, &to, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* Leaves a child nothing of the supervisor's but what it needs. */
static void close_others(struct supervisor *s, const struct child *c)
{
	close(s->signals);
	if (s->elder >= 0)
		close(s->elder);
	if (s->successor.pid != 0)
		close(s->successor.link);
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].control >= 0)
			close(s->children[i].control);
	if (c->kind == FRONT)
		return;
	explicit_bzero(&s->identity, sizeof s->identity);
	for (uint32_t i = 0; i < s->config.listener_count; i++)
		close(s->listeners[i]);
}

/* Signals for the whole group, as a terminal sends them, are the supervisor's business. */
static void leave_signals(void)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < COUNT_OF(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_main(struct supervisor *s, const struct child *c, int control)
{
	char name[16];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != s->pid)
		return EXIT_SYSTEM;
	snprintf(name, sizeof name, "sidecart:%s", kind_text[c->kind]);
	prctl(PR_SET_NAME, name);
	close_others(s, c);
	leave_signals();
	life_take((uint32_t)(c - s->children));
	metrics_take((uint32_t)(c - s->children));
	log_open((enum log_level)s->config.log_level, kind_text[c->kind]);
	switch (c->kind) {
	case WRITER:
		return writer_run(&s->config, control);
	case FRONT:
		return server_run(&s->config, control, s->listeners, &s->identity);
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

/* Its link waits for it: whoever serves from its first turn on has a writer then. */
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
	c->control = pair[0];
	if (c->kind != WRITER)
		link_to_writer(s, c);
	c->pid = fork();
	if (c->pid == 0)
		exit(child_main(s, c, pair[1]));
	close(pair[1]);
	if (c->pid < 0) {
		log_event(LOG_ERROR, "start_failed", "kind=%s errno=%d", kind_text[c->kind], errno);
		close(c->control);
		c->control = -1;
		c->pid = 0;
		return;
	}
	c->ready = c->hung = false;
	c->turns = 0;
	c->seen_ms = clock_ms();
	log_event(LOG_DEBUG, "started", "kind=%s pid=%d", kind_text[c->kind], (int)c->pid);
	if (c->kind == WRITER)
		link_all(s);
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

static bool fronts_ready(const struct supervisor *s)
{
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == FRONT && !s->children[i].ready)
			return false;
	return true;
}

/* The elder speaks to the service manager, which knows it and not yet this process. */
static void tell_elder(struct supervisor *s)
{
	ssize_t n;

	do
		n = write(s->elder, "", 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		log_event(LOG_WARN, "elder_gone", "errno=%d", errno);
	close(s->elder);
	s->elder = -1;
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
	listener_log(&s->config, s->listeners);
	if (s->elder < 0) {
		systemd_notify("READY=1");
		return;
	}
	tell_elder(s);
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
	else if (o.kind == ORDER_NEED_LINK && c->kind != WRITER)
		link_to_writer(s, c);
	else if (o.kind == ORDER_NEED_HASHER && c->kind == WRITER)
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
	metrics_add(METRICS_DIED_WRITER + (enum metrics_value)c->kind, 1);
	c->start_ms = now_ms + (dies_too_often(s, c->kind, now_ms) ? PAUSE_MS : 0);
	if (c->kind == FRONT)
		order(writer_of(s), ORDER_CHECK_READERS, 0, -1);
}

/* The next generation ended, or its time is over, before it served; or it serves and could not say
 * so. It gets no time to take its leave: the files of sockets, which it would remove, are still of
 * use (4). */
static void upgrade_failed(struct supervisor *s, const char *why)
{
	kill(s->successor.pid, SIGKILL);
	log_event(LOG_ERROR, "upgrade_failed", "pid=%d why=\"%s\"", (int)s->successor.pid, why);
	close(s->successor.link);
	s->successor = (struct successor){ 0 };
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR))
		for (uint32_t i = 0; i < s->child_count; i++)
			if (s->children[i].pid == pid)
				child_ended(s, &s->children[i], status);
}

/* Takes no more connections, and ends when those that there are have their answers. */
static void drain(struct supervisor *s, bool handed_on)
{
	s->phase = STOPPING;
	s->stop_ms = clock_ms() + DRAIN_MS;
	listener_close(&s->config, s->listeners, !handed_on);
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == FRONT)
			order(&s->children[i], ORDER_DRAIN, handed_on, -1);
	go_on_stopping(s);
}

static void stop(struct supervisor *s)
{
	if (s->phase != RUNNING) {
		kill_all(s);
		s->ended = true;
		return;
	}
	if (s->successor.pid != 0) {
		kill(s->successor.pid, SIGTERM);
		close(s->successor.link);
		s->successor = (struct successor){ 0 };
	}
	log_event(LOG_INFO, "stopping", "at_most_ms=%d", DRAIN_MS);
	systemd_notify("STOPPING=1");
	drain(s, false);
}

/* In a new process: becomes what the file of this program holds now, with the sockets. */
static void become_next(const struct supervisor *s, int elder)
{
	/* The name that this program was called by: the file may have been replaced. */
	const char *file = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (listener_pass(&s->config, s->listeners, elder))
		execv(file, s->start->arguments);
	log_event(LOG_ERROR, "exec_failed", "file=%s errno=%d", file, errno);
	_exit(EXIT_SYSTEM);
}

/* Starts the next generation; this one goes on until that one serves (4). */
static void upgrade(struct supervisor *s)
{
	int pair[2];
	pid_t pid;

	if (s->phase != RUNNING || s->successor.pid != 0) {
		log_event(LOG_WARN, "upgrade_refused", "why=\"%s\"", s->phase == RUNNING ?
		          "another one is under way" : "not serving");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
		log_event(LOG_ERROR, "upgrade_failed", "errno=%d", errno);
		return;
	}
	pid = fork();
	if (pid == 0)
		become_next(s, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		log_event(LOG_ERROR, "upgrade_failed", "errno=%d", errno);
		close(pair[0]);
		return;
	}
	log_event(LOG_INFO, "upgrading", "pid=%d", (int)pid);
	s->successor = (struct successor){ pid, pair[0], clock_ms() + UPGRADE_MS };
}

/* The next generation serves: what it said, or that it will never say it. */
static void hear_successor(struct supervisor *s)
{
	char said;
	ssize_t n = read(s->successor.link, &said, 1);

	if (n == 0)
		upgrade_failed(s, "it ended before it served");
	if (n != 1)
		return;
	log_event(LOG_INFO, "handed_on", "pid=%d at_most_ms=%d", (int)s->successor.pid, DRAIN_MS);
	systemd_notify("MAINPID=%d", (int)s->successor.pid);
	close(s->successor.link);
	s->successor = (struct successor){ 0 };
	drain(s, true);
}

static void tell_kept(const char *name)
{
	log_event(LOG_WARN, "setting_waits", "setting=%s why=\"takes a restart or an upgrade\"",
	          name);
}

/* The children take the settings over between two turns; those that are started later begin
 * with them. */
static void pass_settings(struct supervisor *s)
{
	int fd = config_save(&s->config);

	if (fd < 0) {
		log_event(LOG_ERROR, "reload_failed", "errno=%d", errno);
		return;
	}
	for (uint32_t i = 0; i < s->child_count; i++)
		order(&s->children[i], ORDER_SETTINGS, 0, fd);
	close(fd);
}

/* Handshakes of fronts go on under it; those that are started later begin with it. */
static void pass_identity(struct supervisor *s)
{
	int fd;

	if (!config_has_https(&s->config))
		return;
	s->identity = s->fresh_identity;
	explicit_bzero(&s->fresh_identity, sizeof s->fresh_identity);
	if ((fd = memory_save(&s->identity, sizeof s->identity)) < 0) {
		log_event(LOG_ERROR, "reload_failed", "errno=%d", errno);
		return;
	}
	for (uint32_t i = 0; i < s->child_count; i++)
		if (s->children[i].kind == FRONT)
			order(&s->children[i], ORDER_IDENTITY, 0, fd);
	close(fd);
}

/* Takes of the settings' sources what a running server can. */
static void reload(struct supervisor *s)
{
	char error[CONFIG_ERROR_MAX], quoted[CONFIG_ERROR_MAX];
	struct config *fresh = &s->fresh;

	systemd_notify_reloading();
	if (!s->start->read_settings(s->start->context, fresh, error) ||
	    !config_keep(fresh, &s->settings, tell_kept, error) ||
	    !read_identity(s, fresh, &s->fresh_identity, error)) {
		log_event(LOG_ERROR, "reload_refused", "why=%s",
		          log_quote(quoted, sizeof quoted, slice_of(error)));
	} else {
		s->settings = *fresh;
		memcpy(fresh->listeners, s->config.listeners, sizeof fresh->listeners);
		fresh->listener_count = s->config.listener_count;
		fresh->max_connections = s->config.max_connections;
		s->config = *fresh;
		log_open((enum log_level)s->config.log_level, "supervisor");
		config_warnings(&s->config);
		pass_settings(s);
		pass_identity(s);
		log_event(LOG_INFO, "reloaded", "%s", "");      /* who reads it may rely on it */
	}
	systemd_notify("READY=1");
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (!s->ended && read(s->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			reap(s);
		else if (info.ssi_signo == SIGUSR2)
			upgrade(s);
		else if (info.ssi_signo == SIGHUP && s->phase == RUNNING)
			reload(s);
		else if (info.ssi_signo != SIGHUP)
			stop(s);
	}
}

/* True where the loop of a child that runs has stood still for too long: it is killed, and
 * whoever takes its place finds no request half done. By what this look is late the machine may
 * have stood still, and all with it. */
static bool hangs(const struct supervisor *s, struct child *c, uint64_t now_ms)
{
	uint32_t slot = (uint32_t)(c - s->children), turns = life_turns(slot);

	if (c->kind == HASHER || c->pid == 0 || s->blind)
		return false;
	c->seen_ms += now_ms - s->watch_due_ms;
	if (turns != c->turns || life_waits(slot) || c->seen_ms > now_ms) {
		c->turns = turns;
		c->seen_ms = now_ms;
	}
	if (now_ms - c->seen_ms <= s->watch_ms / 2)
		return false;
	if (!c->hung) {
		log_event(LOG_ERROR, "hung", "kind=%s pid=%d", kind_text[c->kind], (int)c->pid);
		kill(c->pid, SIGKILL);
	}
	c->hung = true;
	return true;
}

/* Feeds the service manager's watchdog, as long as every loop turns. */
static void watch(struct supervisor *s)
{
	uint64_t now_ms = clock_ms();
	bool hung = false;

	if (s->watch_ms == 0 || now_ms < s->watch_due_ms)
		return;
	for (uint32_t i = 0; i < s->child_count; i++)
		hung |= hangs(s, &s->children[i], now_ms);
	if (!hung)
		systemd_notify("WATCHDOG=1");
	s->watch_due_ms = now_ms + s->watch_ms / 4;
}

/* Until the next start that is due, the next look at the loops, or the end of patience. */
static int wait_ms(const struct supervisor *s)
{
	uint64_t now_ms = clock_ms(), due_ms = UINT64_MAX;

	if (s->phase == STOPPING)
		due_ms = s->stop_ms;
	if (s->successor.pid != 0 && s->successor.due_ms < due_ms)
		due_ms = s->successor.due_ms;
	if (s->watch_ms > 0 && s->watch_due_ms < due_ms)
		due_ms = s->watch_due_ms;
	for (uint32_t i = 0; i < s->child_count; i++) {
		const struct child *c = &s->children[i];

		if (c->wanted && c->pid == 0 && s->phase != STOPPING && c->start_ms < due_ms)
			due_ms = c->start_ms;
	}
	if (due_ms == UINT64_MAX)
		return -1;
	return due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
}

/* What the time has brought. */
static void look_at_clock(struct supervisor *s)
{
	uint64_t now_ms = clock_ms();

	if (s->phase == STOPPING && now_ms >= s->stop_ms) {
		kill_all(s);
		s->ended = true;
		return;
	}
	if (s->successor.pid != 0 && s->phase == RUNNING && now_ms >= s->successor.due_ms) {
		upgrade_failed(s, "it took too long");
	}
	start_due(s);
	watch(s);
}

static void turn(struct supervisor *s)
{
	struct pollfd waits[2 + CHILDREN_MAX] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->successor.pid != 0 ? s->successor.link : -1, .events = POLLIN },
	};

	for (uint32_t i = 0; i < s->child_count; i++)
		waits[2 + i] = (struct pollfd){ .fd = s->children[i].control, .events = POLLIN };
	if (poll(waits, 2 + s->child_count, wait_ms(s)) < 0)
		return;
	for (uint32_t i = 0; i < s->child_count && !s->ended; i++)
		if (waits[2 + i].revents != 0)
			hear(s, &s->children[i]);
	if (waits[1].revents != 0 && s->phase == RUNNING)
		hear_successor(s);
	take_signals(s);
	if (!s->ended)
		look_at_clock(s);
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
	static const int taken[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
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

/* What follows from the sockets that were given; and what only root may read, perhaps. */
static bool settle(struct supervisor *s)
{
	char error[CONFIG_ERROR_MAX];

	if (config_finish(&s->config, error) &&
	    read_identity(s, &s->config, &s->identity, error))
		return true;
	fprintf(stderr, "sidecart: %s\n", error);
	return false;
}

/* The sockets, and with them the privileges that some of them need. */
static bool listen_everywhere(struct supervisor *s)
{
	return listener_open(&s->config, s->listeners, false) && drop_privileges(&s->config) &&
	       listener_open(&s->config, s->listeners, true);
}

static void set_up(struct supervisor *s, const struct supervisor_start *begin)
{
	s->start = begin;
	s->settings = s->config = *begin->config;
	s->pid = getpid();
	s->elder = -1;
	memset(s->listeners, -1, sizeof s->listeners);
	metrics_make();
	metrics_take(CHILDREN_MAX);
	s->watch_ms = systemd_watchdog_ms();
	s->blind = s->watch_ms > 0 && !life_make((uint32_t)(s->watch_ms / 8));
}

int supervisor_run(const struct supervisor_start *begin)
{
	static struct supervisor s;
	bool taken, settled;

	set_up(&s, begin);
	log_open((enum log_level)s.config.log_level, "supervisor");
	if (!packets_fit())
		return EXIT_SYSTEM;
	fit_files(&s);
	taken = listener_take(&s.config, s.listeners, &s.elder);
	settled = taken && settle(&s);
	if (!settled || !listen_everywhere(&s) || !take_over_signals(&s)) {
		listener_close(&s.config, s.listeners, s.elder < 0);
		return taken && !settled ? EXIT_SETTING : EXIT_SYSTEM;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	add_children(&s, WRITER, 1);
	add_children(&s, FRONT, s.config.workers);
	add_children(&s, HASHER, s.config.hashers);
	start(&s, writer_of(&s));
	while (!s.ended)
		turn(&s);
	kill_all(&s);
	listener_close(&s.config, s.listeners, s.elder < 0);
	if (s.phase == STOPPING)
		log_event(LOG_INFO, "stopped", "status=%d", s.status);
	return s.status;
}
