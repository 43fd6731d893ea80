/* test_faults.c -- every system call and every allocation of a session fails once.
 *
 * A supervisor, a front and a writer serve a scripted session again and again; each time another
 * call of one of the two is made to fail, the first, the second, ... to the last. Whatever it is,
 *  (1) a client that is told "done" finds it done; told "nothing was changed", unchanged; and
 *      what it is not told about is done whole or not at all (ledger.h);
 *  (2) nobody waits for ever, and the next session is served as if nothing had been;
 *  (3) no descriptor is left behind, and no process dies but where LMDB leaves no other way.
 * The same with an import into a store that is not there yet: it ends with a line that says why, or
 * with 0, and leaves the whole store or nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faults.h"             /* before what works on its store */
#include "ledger.h"
#include "moving.h"
#include "sorter.h"

#define OPS        10                   /* requests of a session */
#define SESSION_MAX 400                 /* calls of one kind in it */
#define FEW        12                   /* calls that fail one by one in the short form */
#define SMALL_SORTER 16384              /* bytes: what is imported does not fit */

/* --- The server ------------------------------------------------------------------------------ */

static struct shopper_state shoppers[SHOPPERS];

static int serve(void)
{
	const struct supervisor_start start = { .config = &config };

	return supervisor_run(&start);
}

static int set_up(void **state)
{
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(text);

	(void)state;
	plan_make();
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
	config.listener_count = 0;
	listen_there("socket", false);
	config.max_quantity = 1000000;
	config.log_level = LOG_WARN;
	start_server(serve);
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
	unlink(store_path("log"));
	process_clean();
	return 0;
}

/* --- The client ------------------------------------------------------------------------------ */

/* All that was under way is done, and writes are served. */
static void recover(void)
{
	static const char marker[] = "DELETE /session HTTP/1.1\r\nHost: shop.example.com\r\n"
		"X-Api-Key: k\r\nSession-Id: SID:ANON:shop.example.com:nobody\r\n\r\n";
	siginfo_t ended = { 0 };
	int fd = -1;

	plan->armed = plan->counting = false;
	for (int i = 0; ask(&fd, marker) / 100 != 2; i++) {
		if (i == PATIENCE_MS / 10) {
			waitid(P_PID, (id_t)process_pid, &ended, WEXITED | WNOHANG | WNOWAIT);
			fail_msg("no recovery: %s; connect: %s; the answer: %.400s; supervisor %s, "
			         "status %d; the log: %s", plan_text(), strerror(client_error),
			         answer, ended.si_pid == 0 ? "lives" : "has ended",
			         ended.si_status, log_text());
		}
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
	fail_msg("%s: shopper %u: %s: in %d number %u own %u guest %u; was in %d number %u own %u "
	         "guest %u; the answer: %s", plan_text(), i, what, s->in, s->number, s->own,
	         s->guest, shoppers[i].in, shoppers[i].number, shoppers[i].own,
	         shoppers[i].guest, answer);
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
static const struct fault faults[] = {
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
static void try_fault(const struct fault *f)
{
	uint32_t fired = 0, died = 0;
	pid_t pid = plan->pids[f->role];
	unsigned open_before = descriptors_at_rest(pid);

	refusals = unknown = 0;
	for (uint32_t at = 1, missed = 0; at <= SESSION_MAX && missed < 2; at++) {
		plan_arm(f, at);
		session();
		recover();
		fired += plan->fired;
		missed += !plan->fired;
		if (plan->pids[f->role] == pid)
			continue;
		died++;
		if (!f->may_die)
			fail_msg("%s: the process died", plan_text());
		pid = plan->pids[f->role];
		open_before = descriptors_at_rest(pid);
	}
	for (int i = 0; descriptors(pid) != open_before; i++) {
		assert_true(i < PROCESS_WAIT_MS / 10);
		usleep(10000);
	}
	print_message("%-6s %-14s %-26s failed %3u times: %2u refusals, %3u unknown, %u deaths\n",
	              role_names[f->role], call_names[f->call], fault_text(f), fired, refusals,
	              unknown - refusals, died);
}

static void test_each_fails_once(void **state)
{
	(void)state;
	recover();
	while (torture_round())
		for (size_t f = 0; f < COUNT_OF(faults); f++)
			if (fault_wanted(&faults[f]))
				try_fault(&faults[f]);
	print_message("seed %llu: %llu rounds\n", (unsigned long long)torture_seed,
	              (unsigned long long)torture_rounds);
}

/* --- An import ------------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault import_faults[] = {
	{ COMMAND, OPEN,      REFUSED,    EMFILE, false },
	{ COMMAND, READ,      REFUSED,    EIO,    false },
	{ COMMAND, READ,      REFUSED,    EINTR,  false },
	{ COMMAND, READ,      SHORT,      0,      false },
	{ COMMAND, WRITE,     REFUSED,    ENOSPC, false },
	{ COMMAND, WRITE,     REFUSED,    EINTR,  false },
	{ COMMAND, WRITE,     SHORT,      0,      false },
	{ COMMAND, MMAP,      REFUSED,    ENOMEM, false },
	{ COMMAND, MALLOC,    REFUSED,    ENOMEM, false },
	{ COMMAND, CALLOC,    REFUSED,    ENOMEM, false },
	{ COMMAND, REALLOC,   REFUSED,    ENOMEM, false },
	{ COMMAND, PREAD,     REFUSED,    EIO,    false },
	{ COMMAND, PWRITE,    REFUSED,    EIO,    false },
	{ COMMAND, PWRITE,    REFUSED,    ENOSPC, false },
	{ COMMAND, PWRITE,    SHORT,      0,      false },
	{ COMMAND, WRITEV,    REFUSED,    EIO,    false },
	{ COMMAND, WRITEV,    REFUSED,    ENOSPC, false },
	{ COMMAND, WRITEV,    SHORT,      0,      false },
	{ COMMAND, FTRUNCATE, REFUSED,    ENOSPC, false },
	{ COMMAND, FDATASYNC, REFUSED,    EIO,    false },
	{ COMMAND, FDATASYNC, REFUSED,    ENOSPC, false },
	{ COMMAND, LINK,      REFUSED,    ENOSPC, false },
	{ COMMAND, LINK,      REFUSED,    EEXIST, false },
};
/* clang-format on */

bool __real_sorter_open(struct sorter *s, const char *dir, size_t bytes);
bool __wrap_sorter_open(struct sorter *s, const char *dir, size_t bytes);
bool __wrap_sorter_open(struct sorter *s, const char *dir, size_t bytes)
{
	assert_true(bytes > SMALL_SORTER);
	return __real_sorter_open(s, dir, SMALL_SORTER);
}

/* The exit code; what was said stands in the log. */
static int import(void)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		must(freopen(store_path("log"), "w", stderr) != NULL, "log");
		role = COMMAND;
		status = moving_import();
		plan->counting = plan->armed = false;
		fflush(stderr);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("%s: ended by signal %d: %s", plan_text(), WTERMSIG(status), log_text());
	return WEXITSTATUS(status);
}

/* Of all keys and how long what is under them is: seals are drawn. 0: there is no store. */
static uint64_t store_digest(void)
{
	struct record_key after = { { 0 }, 1 };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct slice key, value;

	if (!kv_exists(store_dir))
		return 0;
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	while (kv_scan(store, (struct slice){ 0 }, slice_bytes(after.bytes, after.len), &key,
	               &value) == KV_OK) {
		for (size_t i = 0; i < key.len; i++)
			hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
		hash = (hash ^ value.len) * UINT64_C(0x100000001b3);
		memcpy(after.bytes, key.ptr, key.len);
		after.len = key.len;
	}
	kv_close(store);
	store = NULL;
	return hash;
}

static uint64_t whole;                  /* the digest of all that is imported */

static void drop_store(void)
{
	unlink(store_path("data.mdb"));
	unlink(store_path("lock.mdb"));
	if (store_count(store_dir) != 5)         /* the dump, the log, the lock, and the secrets */
		fail_msg("%s: a file is left behind", plan_text());
}

static void judge_import(int code)
{
	uint64_t found = store_digest();

	if (sanitizer_spoke())
		fail_msg("%s: a sanitizer has found something: %s", plan_text(), log_text());
	if (found != whole && (found != 0 || code == COMMAND_DONE))
		fail_msg("%s: code %d, and half a store: %s", plan_text(), code, log_text());
	if (code != COMMAND_DONE && strstr(log_text(), "sidecart: ") == NULL)
		fail_msg("%s: code %d in silence: %s", plan_text(), code, log_text());
	drop_store();
}

static void try_import(const struct fault *f)
{
	uint32_t fired = 0, failed = 0;
	bool all = getenv("TORTURE_S") != NULL;

	plan->fired = true;
	for (uint32_t at = 1; plan->fired; at += all || at < FEW ? 1 : 1 + below(at)) {
		int code;

		plan_arm(f, at);
		code = import();
		judge_import(code);
		fired += plan->fired;
		failed += code != COMMAND_DONE;
	}
	if (failed > 0) {
		assert_int_equal(import(), COMMAND_DONE);
		judge_import(COMMAND_DONE);
	}
	print_message("%-6s %-14s %-26s failed %3u times: %2u imports refused\n",
	              role_names[f->role], call_names[f->call], fault_text(f), fired, failed);
}

static void test_each_of_an_import_fails_once(void **state)
{
	(void)state;
	plan_make();
	process_configure();
	moving_make();
	assert_int_equal(import(), COMMAND_DONE);
	whole = store_digest();
	assert_true(whole != 0);
	judge_import(COMMAND_DONE);
	for (int way = 0; way < 2; way++) {
		all_named = way > 0;
		for (size_t f = 0; f < COUNT_OF(import_faults); f++)
			if (fault_wanted(&import_faults[f]))
				try_import(&import_faults[f]);
	}
	all_named = false;
	unlink(store_path("dump"));
	unlink(store_path("log"));
	unlink(store_path("use"));
	process_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_fails_once, set_up, tear_down),
		cmocka_unit_test(test_each_of_an_import_fails_once),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
