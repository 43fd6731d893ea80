/* test_faults.c -- every system call and every allocation of a session fails once.
 *
 * A supervisor, a front and a writer serve a scripted session again and again; each time another
 * call of one of the two is made to fail, the first, the second, ... to the last. Whatever it is,
 *  (1) a client that is told "done" finds it done; told "nothing was changed", unchanged; and
 *      what it is not told about is done whole or not at all (ledger.h);
 *  (2) nobody waits for ever, and the next session is served as if nothing had been;
 *  (3) no descriptor is left behind, and no process dies but where LMDB leaves no other way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "process.h"            /* before what works on its store */
#include "ledger.h"
#include "server.h"
#include "supervisor.h"
#include "writer.h"

#define OPS        10                   /* requests of a session */
#define SESSION_MAX 400                 /* calls of one kind in it */
#define RECOVER_MS 20000

enum role { NEITHER, FRONT, WRITER, ROLES };
static const char *const role_names[ROLES] = { "", "front", "writer" };

enum call {
	READ, WRITE, WRITEV, ACCEPT, EPOLL_WAIT, EPOLL_CTL, SENDMSG, RECVMSG, POLL,
	PWRITE, FDATASYNC, MALLOC, CALLOC, REALLOC,
	CALLS
};
static const char *const call_names[CALLS] = {
	"read", "write", "writev", "accept4", "epoll_wait", "epoll_ctl", "sendmsg", "recvmsg",
	"poll", "pwrite", "fdatasync", "malloc", "calloc", "realloc",
};

enum mode { REFUSED, SHORT, AFTERWARDS };

static struct plan {
	bool counting, armed, fired;
	enum role role;
	enum call call;
	enum mode mode;
	int error;
	uint32_t at, counts[ROLES][CALLS];
} *plan;

static enum role role;

/* True where the call at hand is the one that fails, by plan->mode. */
static bool fails(enum call call)
{
	uint32_t n;

	if (plan == NULL || role == NEITHER || !plan->counting)
		return false;
	n = ++plan->counts[role][call];
	if (!plan->armed || plan->role != role || plan->call != call || plan->at != n)
		return false;
	plan->armed = false;
	plan->fired = true;
	errno = plan->error;
	return true;
}

/* A call that fails without any other effect. */
#define FAILS(type, real, wrap, call, failure, parameters, arguments) \
	type real parameters; \
	type wrap parameters; \
	type wrap parameters \
	{ \
		return fails(call) ? failure : real arguments; \
	}

#define NONE (-1)
FAILS(int, __real_accept4, __wrap_accept4, ACCEPT, NONE,
      (int fd, struct sockaddr *from, socklen_t *len, int flags), (fd, from, len, flags))
FAILS(int, __real_epoll_wait, __wrap_epoll_wait, EPOLL_WAIT, NONE,
      (int fd, struct epoll_event *events, int count, int wait_ms), (fd, events, count, wait_ms))
FAILS(int, __real_epoll_ctl, __wrap_epoll_ctl, EPOLL_CTL, NONE,
      (int fd, int what, int of, struct epoll_event *event), (fd, what, of, event))
FAILS(ssize_t, __real_sendmsg, __wrap_sendmsg, SENDMSG, NONE,
      (int fd, const struct msghdr *m, int flags), (fd, m, flags))
FAILS(ssize_t, __real_recvmsg, __wrap_recvmsg, RECVMSG, NONE,
      (int fd, struct msghdr *m, int flags), (fd, m, flags))
FAILS(int, __real_poll, __wrap_poll, POLL, NONE,
      (struct pollfd *fds, nfds_t count, int wait_ms), (fds, count, wait_ms))
FAILS(void *, __real_malloc, __wrap_malloc, MALLOC, NULL, (size_t size), (size))
FAILS(void *, __real_calloc, __wrap_calloc, CALLOC, NULL, (size_t n, size_t size), (n, size))
FAILS(void *, __real_realloc, __wrap_realloc, REALLOC, NULL, (void *p, size_t size), (p, size))

/* A call that may also do less than it was asked, or do it and fail all the same. */
#define SHORTENS(real, wrap, call, pointer, parameters, whole, less) \
	ssize_t real parameters; \
	ssize_t wrap parameters; \
	ssize_t wrap parameters \
	{ \
		if (!fails(call)) \
			return real whole; \
		if (plan->mode == REFUSED) \
			return -1; \
		if (plan->mode == SHORT) \
			return real less; \
		(void)real whole; \
		errno = plan->error; \
		return -1; \
	}

SHORTENS(__real_read, __wrap_read, READ, void *, (int fd, void *p, size_t len), (fd, p, len),
         (fd, p, len > 1))
SHORTENS(__real_write, __wrap_write, WRITE, const void *, (int fd, const void *p, size_t len),
         (fd, p, len), (fd, p, len > 1))
SHORTENS(__real_pwrite, __wrap_pwrite, PWRITE, const void *,
         (int fd, const void *p, size_t len, off_t at), (fd, p, len, at), (fd, p, len / 2, at))
SHORTENS(__real_writev, __wrap_writev, WRITEV, const struct iovec *,
         (int fd, const struct iovec *p, int count), (fd, p, count), (fd, p, 1))

/* Nobody cuts the power here. */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

int __wrap_fdatasync(int fd)
{
	(void)fd;
	return fails(FDATASYNC) ? -1 : 0;
}

int __real_writer_run(const struct config *c, int its_control);
int __wrap_writer_run(const struct config *c, int its_control);
int __real_server_run(const struct config *c, int its_control, const int *listeners);
int __wrap_server_run(const struct config *c, int its_control, const int *listeners);

int __wrap_writer_run(const struct config *c, int its_control)
{
	role = WRITER;
	return __real_writer_run(c, its_control);
}

int __wrap_server_run(const struct config *c, int its_control, const int *listeners)
{
	role = FRONT;
	return __real_server_run(c, its_control, listeners);
}

/* --- The server ------------------------------------------------------------------------------ */

static struct shopper_state shoppers[SHOPPERS];

static int set_up(void **state)
{
	static const char log[] = "/dev/null";
	struct supervisor_start start = { .config = &config };
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(text);

	(void)state;
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE,
	            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(plan != MAP_FAILED);
	process_configure();
	must(secret_read(config.sid_secret_file, &secret, error), error);
	ledger_keys_make(buf_slice(&secret));
	store_open(KV_CREATE);
	assert_int_equal(kv_begin(store), KV_OK);
	process_add_key();
	for (unsigned i = 0; i < SHOPPERS; i++)
		process_add_customer(ledger_login(i), "");
	ledger_add_product(store);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	store = NULL;
	config.listener_count = 1;
	config.listeners[0] = (struct config_listener){ 0 };
	config.max_quantity = 1000000;
	must(snprintf(config.listeners[0].path, CONFIG_SOCKET_MAX, "%s", store_path("socket")) <
	     CONFIG_SOCKET_MAX, "the path of the socket is too long");
	fflush(NULL);
	process_pid = fork();
	assert_true(process_pid >= 0);
	if (process_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getenv("FAULTS_LOG") == NULL)
			must(freopen(log, "w", stderr) != NULL, log);
		exit(supervisor_run(&start));
	}
	return 0;
}

static int tear_down(void **state)
{
	int status = -1;

	(void)state;
	kv_close(store);
	kill(process_pid, SIGTERM);
	assert_int_equal(waitpid(process_pid, &status, 0), process_pid);
	assert_int_equal(status, 0);
	unlink(store_path("socket"));
	unlink(store_path("use"));
	process_clean();
	return 0;
}

static pid_t child(enum role of)
{
	char name[32];

	snprintf(name, sizeof name, "sidecart:%s", role_names[of]);
	return process_child(name);
}

static unsigned descriptors(pid_t pid)
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

/* --- The client ------------------------------------------------------------------------------ */

static char answer[65536];

static int client(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = RECOVER_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s", config.listeners[0].path);
	for (int i = 0; connect(fd, (struct sockaddr *)&at, sizeof at) != 0; i++) {
		assert_true(i < PROCESS_WAIT_MS / 10);
		usleep(10000);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* The status; 0: the connection ended. Waiting for ever fails the test. */
static unsigned hear(int fd)
{
	size_t len = 0, end;
	const char *length, *body;

	do {
		ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, 0);

		if (n < 0 && errno == EAGAIN)
			fail_msg("no answer: %s, %s %u, error %d, mode %d", role_names[plan->role],
			         call_names[plan->call], plan->at, plan->error, plan->mode);
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

static unsigned ask(int *fd, const char *text)
{
	size_t len = strlen(text);
	unsigned status = 0;

	if (*fd < 0)
		*fd = client();
	if (send(*fd, text, len, MSG_NOSIGNAL) == (ssize_t)len)
		status = hear(*fd);
	if (status == 0 || strstr(answer, "Connection: close") != NULL) {
		close(*fd);
		*fd = -1;
	}
	return status;
}

/* All that was under way is done, and writes are served. */
static void recover(void)
{
	static const char marker[] = "DELETE /session HTTP/1.1\r\nHost: shop.example.com\r\n"
		"X-Api-Key: k\r\nSession-Id: SID:ANON:shop.example.com:nobody\r\n\r\n";
	int fd = -1;

	plan->armed = plan->counting = false;
	for (int i = 0; ask(&fd, marker) / 100 != 2; i++) {
		if (i == RECOVER_MS / 10)
			fail_msg("no recovery: %s, %s %u, error %d, mode %d: %s",
			         role_names[plan->role], call_names[plan->call], plan->at,
			         plan->error, plan->mode, answer);
		usleep(10000);
	}
	close(fd);
}

static void observe(unsigned i, struct shopper_state *s)
{
	char error[KV_ERROR_MAX];
	const struct kv_options options = { .dir = store_dir, .mode = KV_READ };

	if (store == NULL) {
		store = kv_open(&options, error);
		must(store != NULL, error);
		assert_int_equal(kv_begin_read(store), KV_OK);
	}
	assert_int_equal(kv_refresh(store), KV_OK);
	assert_true(ledger_observe(store, i, (uint64_t)time(NULL), s));
	kv_reset(store);
}

static void complain(unsigned i, const struct shopper_state *s, const char *what)
{
	fail_msg("%s, %s %u, error %d, mode %d: shopper %u: %s: in %d number %u own %u guest %u; "
	         "was in %d number %u own %u guest %u; the answer: %s", role_names[plan->role],
	         call_names[plan->call], plan->at, plan->error, plan->mode, i, what, s->in,
	         s->number, s->own, s->guest, shoppers[i].in, shoppers[i].number,
	         shoppers[i].own, shoppers[i].guest, answer);
}

static uint32_t refusals, unknown;

/* One request of a shopper's; what he is answered holds. */
static void shop(int *fd, unsigned i)
{
	static char text[LEDGER_TEXT];
	struct shopper_state after, seen;
	bool counting = plan->counting, armed = plan->armed;
	unsigned status;

	ledger_draw(i, &shoppers[i], &after, text);
	answer[0] = '\0';
	status = ask(fd, text);
	if (status / 100 == 2) {
		observe(i, &seen);
		if (!ledger_equal(&seen, &after))
			complain(i, &seen, "what was acknowledged is not there");
		shoppers[i] = after;
		return;
	}
	if (status != 0 && status != 503 && status != 507)
		complain(i, &after, "a wrong answer");
	if (status != 0 && strstr(answer, "nothing was changed") != NULL) {
		refusals++;
		after = shoppers[i];
	}
	unknown++;
	recover();
	plan->counting = counting;
	plan->armed = armed && !plan->fired;
	observe(i, &seen);
	if (!ledger_equal(&seen, &shoppers[i]) && !ledger_equal(&seen, &after))
		complain(i, &seen, "neither before nor after");
	shoppers[i] = seen;
}

/* Reads go through the front alone. */
static void look(int *fd, unsigned i)
{
	static char text[256];
	unsigned status;

	snprintf(text, sizeof text, "GET /resolve HTTP/1.1\r\nHost: shop.example.com\r\n"
	         "X-Api-Key: k\r\nSession-Id: SID:AUTH:shop.example.com:s%u\r\n\r\n", i);
	answer[0] = '\0';
	status = ask(fd, text);
	if (status != (shoppers[i].in ? 204 : 401) && status != 0 && status != 503)
		complain(i, &shoppers[i], "who is asked about is somebody else");
}

static void session(void)
{
	int fd = -1;

	for (unsigned op = 0; op < OPS; op++) {
		shop(&fd, op % 2);
		look(&fd, op % 2);
		if (op % 3 == 2 && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
}

/* --- The tests ------------------------------------------------------------------------------- */

/* A socket does less only where it is empty or full (epoll(7), question 9): no case here. */
/* clang-format off */
static const struct {
	enum role role;
	enum call call;
	enum mode mode;
	int error;
	bool may_die;                   /* LMDB writes no more after it: the writer begins anew */
} faults[] = {
	{ FRONT,  READ,           REFUSED,    EINTR,        false },
	{ FRONT,  READ,           REFUSED,    ECONNRESET,   false },
	{ FRONT,  WRITE,          REFUSED,    EINTR,        false },
	{ FRONT,  WRITE,          REFUSED,    EPIPE,        false },
	{ FRONT,  ACCEPT,         REFUSED,    EMFILE,       false },
	{ FRONT,  ACCEPT,         REFUSED,    ENFILE,       false },
	{ FRONT,  ACCEPT,         REFUSED,    ECONNABORTED, false },
	{ FRONT,  ACCEPT,         REFUSED,    ENOMEM,       false },
	{ FRONT,  ACCEPT,         REFUSED,    EINTR,        false },
	{ FRONT,  EPOLL_WAIT,     REFUSED,    EINTR,        false },
	{ FRONT,  EPOLL_CTL,      REFUSED,    ENOMEM,       false },
	{ FRONT,  EPOLL_CTL,      REFUSED,    ENOSPC,       false },
	{ FRONT,  SENDMSG,        REFUSED,    EINTR,        false },
	{ FRONT,  SENDMSG,        REFUSED,    ENOBUFS,      false },
	{ FRONT,  RECVMSG,        REFUSED,    EINTR,        false },
	{ FRONT,  RECVMSG,        REFUSED,    ENOMEM,       false },
	{ WRITER, POLL,           REFUSED,    EINTR,        false },
	{ WRITER, SENDMSG,        REFUSED,    EINTR,        false },
	{ WRITER, SENDMSG,        REFUSED,    ENOBUFS,      false },
	{ WRITER, RECVMSG,        REFUSED,    EINTR,        false },
	{ WRITER, RECVMSG,        REFUSED,    ENOMEM,       false },
	{ WRITER, MALLOC,         REFUSED,    ENOMEM,       false },
	{ WRITER, CALLOC,         REFUSED,    ENOMEM,       false },
	{ WRITER, REALLOC,        REFUSED,    ENOMEM,       false },
	{ WRITER, FDATASYNC,      REFUSED,    EIO,          false },
	{ WRITER, FDATASYNC,      REFUSED,    ENOSPC,       false },
	{ WRITER, WRITEV,         REFUSED,    EIO,          false },
	{ WRITER, WRITEV,         REFUSED,    ENOSPC,       false },
	{ WRITER, WRITEV,         REFUSED,    EINTR,        false },
	{ WRITER, WRITEV,         SHORT,      0,            false },
	{ WRITER, PWRITE,         REFUSED,    EIO,          true },
	{ WRITER, PWRITE,         REFUSED,    ENOSPC,       true },
	{ WRITER, PWRITE,         REFUSED,    EINTR,        true },
	{ WRITER, PWRITE,         SHORT,      0,            true },
	{ WRITER, PWRITE,         AFTERWARDS, EIO,          true },
};
/* clang-format on */

/* The call fails in one session after another, each time one later. */
static void try_fault(size_t f)
{
	uint32_t fired = 0, died = 0;
	pid_t pid = child(faults[f].role);
	unsigned open_before = descriptors(pid);

	refusals = unknown = 0;
	for (uint32_t at = 1, missed = 0; at <= SESSION_MAX && missed < 2; at++) {
		*plan = (struct plan){ .role = faults[f].role, .call = faults[f].call, .at = at,
			.mode = faults[f].mode, .error = faults[f].error };
		plan->armed = plan->counting = true;
		session();
		recover();
		fired += plan->fired;
		missed += !plan->fired;
		if (child(faults[f].role) == pid)
			continue;
		died++;
		if (!faults[f].may_die)
			fail_msg("%s, %s %u, error %d, mode %d: the process died",
			         role_names[plan->role], call_names[plan->call], at,
			         plan->error, plan->mode);
		pid = child(faults[f].role);
		open_before = descriptors(pid);
	}
	for (int i = 0; descriptors(pid) != open_before; i++) {
		assert_true(i < PROCESS_WAIT_MS / 10);
		usleep(10000);
	}
	print_message("%-6s %-14s %-26s failed %3u times: %2u refusals, %3u unknown, %u deaths\n",
	              role_names[faults[f].role], call_names[faults[f].call],
	              faults[f].mode == SHORT ? "does less" : strerror(faults[f].error), fired,
	              refusals, unknown - refusals, died);
}

static void test_each_fails_once(void **state)
{
	const char *only = getenv("FAULT");

	(void)state;
	recover();
	while (torture_round())
		for (size_t f = 0; f < COUNT_OF(faults); f++)
			if (only == NULL || strcmp(only, call_names[faults[f].call]) == 0)
				try_fault(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_fails_once, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
