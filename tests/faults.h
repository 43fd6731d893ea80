/* faults.h -- a supervisor and its children, of whose calls one fails: which, and how, says a
 * plan that they share with the test. Their client, too.
 *
 * The Makefile looks here for what the linker is to put in the place of the C library's calls:
 * __wrap_read __wrap_write __wrap_writev __wrap_accept4 __wrap_epoll_wait __wrap_epoll_ctl
 * __wrap_sendmsg __wrap_recvmsg __wrap_poll __wrap_pwrite __wrap_pread __wrap_fdatasync
 * __wrap_fsync __wrap_ftruncate __wrap_malloc __wrap_calloc __wrap_realloc __wrap_mmap
 * __wrap_open __wrap_linkat __wrap_socket __wrap_bind __wrap_listen __wrap_socketpair
 * __wrap_fork __wrap_waitpid __wrap_signalfd __wrap_memfd_create __wrap_epoll_create1
 * __wrap_dup2 __wrap_execv; and of ours: __wrap_server_run __wrap_writer_run __wrap_hasher_run.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "process.h"
#include "hasher.h"
#include "server.h"
#include "supervisor.h"
#include "torture.h"
#include "writer.h"

#define PATIENCE_MS 20000               /* for an answer, a start, a recovery */

enum role { NEITHER, SUPERVISOR, FRONT, WRITER, HASHER, SERVERS, COMMAND = SERVERS, ROLES };
static const char *const role_names[ROLES] = {
	"", "supervisor", "front", "writer", "hasher", "command",
};

enum call {
	READ, WRITE, WRITEV, ACCEPT, EPOLL_WAIT, EPOLL_CTL, SENDMSG, RECVMSG, POLL,
	PWRITE, PREAD, FDATASYNC, FTRUNCATE, MALLOC, CALLOC, REALLOC, MMAP, OPEN, LINK,
	SOCKET, BIND, LISTEN, SOCKETPAIR, FORK, WAITPID, SIGNALFD, MEMFD, EPOLL_CREATE,
	DUP, EXEC,
	CALLS
};
static const char *const call_names[CALLS] = {
	"read", "write", "writev", "accept4", "epoll_wait", "epoll_ctl", "sendmsg", "recvmsg",
	"poll", "pwrite", "pread", "fdatasync", "ftruncate", "malloc", "calloc", "realloc",
	"mmap", "open", "linkat", "socket", "bind", "listen", "socketpair", "fork", "waitpid",
	"signalfd", "memfd_create", "epoll_create1", "dup2", "execv",
};

enum mode { REFUSED, SHORT, AFTERWARDS };

struct fault {
	enum role role;
	enum call call;
	enum mode mode;
	int error;
	bool may_die;                   /* LMDB writes no more after it: the writer begins anew */
};

static struct plan {
	bool counting, armed, fired;
	bool leaks;                     /* are looked for where a process ends */
	struct fault fault;
	uint32_t at, counts[ROLES][CALLS];
	pid_t pids[ROLES];              /* of whom was started last */
} *plan;

static enum role role;
static bool all_named;                  /* no file can be made without a name */

static inline void plan_make(void)
{
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(plan != MAP_FAILED);
}

/* The `at`th call of that sort is to fail from now on. */
static inline void plan_arm(const struct fault *f, uint32_t at)
{
	memset(plan->counts, 0, sizeof plan->counts);
	plan->fault = *f;
	plan->at = at;
	plan->fired = false;
	plan->armed = plan->counting = true;
}

static inline const char *fault_text(const struct fault *f)
{
	return f->mode == SHORT ? "does less" : strerror(f->error);
}

static inline const char *plan_text(void)
{
	static char text[128];
	const struct fault *f = &plan->fault;

	snprintf(text, sizeof text, "%s, %s %u, %s", role_names[f->role], call_names[f->call],
	         plan->at, fault_text(f));
	return text;
}

/* False where FAULT names another call. */
static inline bool fault_wanted(const struct fault *f)
{
	const char *only = getenv("FAULT");

	return only == NULL || strcmp(only, call_names[f->call]) == 0;
}

/* True where the call at hand is the one that fails, by plan->fault.mode. */
static inline bool fails(enum call call)
{
	uint32_t n;

	if (plan == NULL || role == NEITHER || !plan->counting)
		return false;
	n = ++plan->counts[role][call];
	if (!plan->armed || plan->fault.role != role || plan->fault.call != call || plan->at != n)
		return false;
	plan->armed = false;
	plan->fired = true;
	errno = plan->fault.error;
	return true;
}

/* A call that fails without any other effect. */
#define FAILS(type, name, call, failure, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails(call) ? failure : __real_##name arguments; \
	}

#define NONE (-1)
FAILS(int, accept4, ACCEPT, NONE,
      (int fd, struct sockaddr *from, socklen_t *len, int flags), (fd, from, len, flags))
FAILS(int, epoll_wait, EPOLL_WAIT, NONE,
      (int fd, struct epoll_event *events, int count, int wait_ms), (fd, events, count, wait_ms))
FAILS(ssize_t, sendmsg, SENDMSG, NONE,
      (int fd, const struct msghdr *m, int flags), (fd, m, flags))
FAILS(ssize_t, recvmsg, RECVMSG, NONE, (int fd, struct msghdr *m, int flags), (fd, m, flags))
FAILS(int, poll, POLL, NONE,
      (struct pollfd *fds, nfds_t count, int wait_ms), (fds, count, wait_ms))
FAILS(void *, malloc, MALLOC, NULL, (size_t size), (size))
FAILS(void *, calloc, CALLOC, NULL, (size_t n, size_t size), (n, size))
FAILS(void *, realloc, REALLOC, NULL, (void *p, size_t size), (p, size))
FAILS(void *, mmap, MMAP, MAP_FAILED,
      (void *at, size_t len, int may, int flags, int fd, off_t from),
      (at, len, may, flags, fd, from))
FAILS(int, ftruncate, FTRUNCATE, NONE, (int fd, off_t len), (fd, len))
FAILS(int, linkat, LINK, NONE,
      (int from_dir, const char *from, int to_dir, const char *to, int flags),
      (from_dir, from, to_dir, to, flags))
FAILS(int, socket, SOCKET, NONE, (int domain, int type, int protocol), (domain, type, protocol))
FAILS(int, bind, BIND, NONE, (int fd, const struct sockaddr *at, socklen_t len), (fd, at, len))
FAILS(int, listen, LISTEN, NONE, (int fd, int count), (fd, count))
FAILS(int, socketpair, SOCKETPAIR, NONE,
      (int domain, int type, int protocol, int pair[2]), (domain, type, protocol, pair))
FAILS(pid_t, waitpid, WAITPID, NONE, (pid_t pid, int *status, int flags), (pid, status, flags))
FAILS(int, signalfd, SIGNALFD, NONE,
      (int fd, const sigset_t *set, int flags), (fd, set, flags))
FAILS(int, memfd_create, MEMFD, NONE, (const char *name, unsigned flags), (name, flags))
FAILS(int, epoll_create1, EPOLL_CREATE, NONE, (int flags), (flags))

/* What is forgotten needs no memory: EPOLL_CTL_DEL does not fail. */
int __real_epoll_ctl(int fd, int what, int of, struct epoll_event *event);
int __wrap_epoll_ctl(int fd, int what, int of, struct epoll_event *event);
int __wrap_epoll_ctl(int fd, int what, int of, struct epoll_event *event)
{
	return what != EPOLL_CTL_DEL && fails(EPOLL_CTL) ? NONE :
	       __real_epoll_ctl(fd, what, of, event);
}

/* A call that may also do less than it was asked, or do it and fail all the same. */
#define SHORTENS(name, call, parameters, whole, less) \
	ssize_t __real_##name parameters; \
	ssize_t __wrap_##name parameters; \
	ssize_t __wrap_##name parameters \
	{ \
		if (!fails(call)) \
			return __real_##name whole; \
		if (plan->fault.mode == REFUSED) \
			return -1; \
		if (plan->fault.mode == SHORT) \
			return __real_##name less; \
		(void)__real_##name whole; \
		errno = plan->fault.error; \
		return -1; \
	}

SHORTENS(read, READ, (int fd, void *p, size_t len), (fd, p, len), (fd, p, len > 1))
SHORTENS(write, WRITE, (int fd, const void *p, size_t len), (fd, p, len), (fd, p, len > 1))
SHORTENS(pread, PREAD, (int fd, void *p, size_t len, off_t at), (fd, p, len, at),
         (fd, p, len / 2, at))
SHORTENS(pwrite, PWRITE, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at),
         (fd, p, len / 2, at))
SHORTENS(writev, WRITEV, (int fd, const struct iovec *p, int count), (fd, p, count), (fd, p, 1))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	va_start(rest, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(rest, mode_t);
	va_end(rest);
	if (all_named && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return NONE;
	}
	return fails(OPEN) ? NONE : __real_open(path, flags, mode);
}

/* Nobody cuts the power here. */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	return fails(FDATASYNC) ? NONE : 0;
}

int __wrap_fdatasync(int fd)
{
	(void)fd;
	return fails(FDATASYNC) ? NONE : 0;
}

/* --- Whose calls they are -------------------------------------------------------------------- */

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	pid_t pid = fails(FORK) ? NONE : __real_fork();

	if (pid == 0)
		role = NEITHER;
	return pid;
}

/* Of a supervisor's that becomes the next generation, which alone calls them. */
#define BECOMES(name, call, parameters, arguments) \
	int __real_##name parameters; \
	int __wrap_##name parameters; \
	int __wrap_##name parameters \
	{ \
		role = SUPERVISOR; \
		return fails(call) ? NONE : __real_##name arguments; \
	}

BECOMES(dup2, DUP, (int from, int to), (from, to))
BECOMES(execv, EXEC, (const char *path, char *const words[]), (path, words))

static inline void take_role(enum role its)
{
	role = its;
	plan->pids[its] = getpid();
}

int __real_writer_run(const struct config *c, int its_control);
int __wrap_writer_run(const struct config *c, int its_control);
int __wrap_writer_run(const struct config *c, int its_control)
{
	take_role(WRITER);
	return __real_writer_run(c, its_control);
}

int __real_hasher_run(const struct config *c, int its_control);
int __wrap_hasher_run(const struct config *c, int its_control);
int __wrap_hasher_run(const struct config *c, int its_control)
{
	take_role(HASHER);
	return __real_hasher_run(c, its_control);
}

int __real_server_run(const struct config *c, int its_control, const int *listeners,
                      struct tls_identity *identity);
int __wrap_server_run(const struct config *c, int its_control, const int *listeners,
                      struct tls_identity *identity);
int __wrap_server_run(const struct config *c, int its_control, const int *listeners,
                      struct tls_identity *identity)
{
	take_role(FRONT);
	return __real_server_run(c, its_control, listeners, identity);
}

static inline unsigned descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *all;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	all = opendir(path);
	assert_non_null(all);
	while (readdir(all) != NULL)
		n++;
	closedir(all);
	return n;
}

/* The same, once it has noticed which connections are closed: as many for a tenth of a second. */
static inline unsigned descriptors_at_rest(pid_t pid)
{
	unsigned n = descriptors(pid), before;

	do {
		before = n;
		for (int i = 0; i < 10 && n == before; i++) {
			usleep(10000);
			n = descriptors(pid);
		}
	} while (n != before);
	return n;
}

/* The last that the server has said to its file. Holds until the next call. */
static inline const char *log_text(void)
{
	static char text[65536];
	FILE *file = fopen(store_path("log"), "r");
	size_t len = 0;

	if (file != NULL) {
		if (fseek(file, 1 - (long)sizeof text, SEEK_END) != 0)
			rewind(file);
		len = fread(text, 1, sizeof text - 1, file);
		fclose(file);
	}
	text[len] = '\0';
	return text;
}

static inline bool sanitizer_spoke(void)
{
	return strstr(log_text(), "Sanitizer") != NULL ||
	       strstr(log_text(), "runtime error") != NULL;
}

/* Starts a supervisor, which ends with the test; what it says goes to the log. */
static inline void start_server(int (*serve)(void))
{
	fflush(NULL);
	process_pid = fork();
	assert_true(process_pid >= 0);
	if (process_pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	exit(freopen(store_path("log"), "a", stderr) != NULL ? serve() : 1);
}

/* --- The client ------------------------------------------------------------------------------ */

static char answer[65536];
static int client_error;                /* of the last connect(2); 0: it was connected */

/* One more listener, a Unix socket beside the store. */
static inline void listen_there(const char *name, bool https)
{
	struct config_listener *l = &config.listeners[config.listener_count++];

	*l = (struct config_listener){ .https = https };
	must(snprintf(l->path, CONFIG_SOCKET_MAX, "%s", store_path(name)) < CONFIG_SOCKET_MAX,
	     "the path of the socket is too long");
}

/* -1: nobody listens there. */
static inline int client_of(const struct config_listener *l)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s", l->path);
	client_error = connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? 0 : errno;
	if (client_error != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* The status; 0: the connection ended. Waiting for ever fails the test. */
static inline unsigned hear(int fd)
{
	size_t len = 0, end;
	const char *length, *body;

	do {
		ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);

		if (n < 0 && errno == EAGAIN)
			fail_msg("no answer: %s", plan_text());
		if (n <= 0)
			return 0;
		len += (size_t)n;
		answer[len] = '\0';
		body = strstr(answer, "\r\n\r\n");
		length = strstr(answer, "Content-Length: ");
		end = body == NULL ? SIZE_MAX : (size_t)(body + 4 - answer) +
		      (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
	} while (len < end);
	return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
}

/* The status; 0: the connection ended, or there was none. */
static inline unsigned ask(int *fd, const char *text)
{
	size_t len = strlen(text);
	unsigned status = 0;

	answer[0] = '\0';
	if (*fd < 0)
		*fd = client_of(&config.listeners[0]);
	if (*fd < 0)
		return 0;
	if (send(*fd, text, len, MSG_NOSIGNAL) == (ssize_t)len)
		status = hear(*fd);
	if (status == 0 || strstr(answer, "Connection: close") != NULL) {
		close(*fd);
		*fd = -1;
	}
	return status;
}

#endif
