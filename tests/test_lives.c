/* test_lives.c -- every system call of a server's whole life fails once, from the start with an
 * empty directory to the end.
 *
 * One life: a supervisor makes a store and serves, under TLS, too; a customer registers and logs
 * in, which takes a hasher; settings and certificate are read anew; another generation takes over
 * (SIGUSR2); front, writer and hasher are killed and come again; SIGTERM. Each time another call of
 * one of the four fails, of either generation. Whatever it is,
 *  (1) the server serves, or it ends with a line that says why, and the next start serves; who
 *      cannot take over leaves all to the generation before, which says so;
 *  (2) the right password opens the account and a wrong one does not, and what is answered is
 *      so: a customer who was registered is there, settings are in force or a line says no;
 *  (3) nobody waits for ever, and without a restart all is well again: no link is missing, no
 *      descriptor, file or memory is left behind, SIGTERM ends it with 0.
 * The short form tries some calls of each kind, drawn by SEED; the long one (torture.h) all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bearssl.h>
#include <sys/stat.h>

#include "faults.h"
#include "tls.h"

#define TRIES  2                        /* calls of a kind that fail in the short form */
#define NEXT_S 600                      /* no next generation outlives the test by more */

#define HOST      " HTTP/1.1\r\nHost: shop.example.com\r\n"
#define JSON_BODY "Content-Type: application/json\r\nContent-Length: "
static const char hello[] = "GET /api/" HOST "\r\n";
static const char registration[] = "POST /api/register/" HOST JSON_BODY "77\r\n\r\n"
	"{\"email\":\"a@example.com\",\"password1\":\"V3rYS3cr3t!\",\"password2\":\"V3rYS3cr3t!\"}";
static const char right[] = "POST /api/login/" HOST JSON_BODY "53\r\n\r\n"
	"{\"username\":\"a@example.com\",\"password\":\"V3rYS3cr3t!\"}";
static const char wrong[] = "POST /api/login/" HOST JSON_BODY "53\r\n\r\n"
	"{\"username\":\"a@example.com\",\"password\":\"V3rYS3cr3t?\"}";

/* clang-format off */
static const struct fault faults[] = {
	{ SUPERVISOR, READ,         REFUSED, EINTR,        false },
	{ SUPERVISOR, READ,         REFUSED, EIO,          false },
	{ SUPERVISOR, READ,         SHORT,   0,            false },
	{ SUPERVISOR, WRITE,        REFUSED, EINTR,        false },
	{ SUPERVISOR, WRITE,        REFUSED, ENOSPC,       false },
	{ SUPERVISOR, WRITE,        SHORT,   0,            false },
	{ SUPERVISOR, OPEN,         REFUSED, EMFILE,       false },
	{ SUPERVISOR, SOCKET,       REFUSED, EMFILE,       false },
	{ SUPERVISOR, BIND,         REFUSED, EADDRINUSE,   false },
	{ SUPERVISOR, LISTEN,       REFUSED, EADDRINUSE,   false },
	{ SUPERVISOR, SOCKETPAIR,   REFUSED, EMFILE,       false },
	{ SUPERVISOR, SOCKETPAIR,   REFUSED, ENOMEM,       false },
	{ SUPERVISOR, FORK,         REFUSED, EAGAIN,       false },
	{ SUPERVISOR, FORK,         REFUSED, ENOMEM,       false },
	{ SUPERVISOR, WAITPID,      REFUSED, EINTR,        false },
	{ SUPERVISOR, SIGNALFD,     REFUSED, EMFILE,       false },
	{ SUPERVISOR, MEMFD,        REFUSED, EMFILE,       false },
	{ SUPERVISOR, MMAP,         REFUSED, ENOMEM,       false },
	{ SUPERVISOR, POLL,         REFUSED, EINTR,        false },
	{ SUPERVISOR, POLL,         REFUSED, ENOMEM,       false },
	{ SUPERVISOR, SENDMSG,      REFUSED, EINTR,        false },
	{ SUPERVISOR, SENDMSG,      REFUSED, ENOBUFS,      false },
	{ SUPERVISOR, SENDMSG,      REFUSED, ENOMEM,       false },
	{ SUPERVISOR, RECVMSG,      REFUSED, EINTR,        false },
	{ SUPERVISOR, RECVMSG,      REFUSED, ENOMEM,       false },
	{ SUPERVISOR, DUP,          REFUSED, EBUSY,        false },
	{ SUPERVISOR, EXEC,         REFUSED, ENOMEM,       false },
	{ HASHER,     OPEN,         REFUSED, EMFILE,       false },
	{ HASHER,     READ,         REFUSED, EINTR,        false },
	{ HASHER,     READ,         REFUSED, EIO,          false },
	{ HASHER,     READ,         SHORT,   0,            false },
	{ HASHER,     MMAP,         REFUSED, ENOMEM,       false },
	{ HASHER,     POLL,         REFUSED, EINTR,        false },
	{ HASHER,     POLL,         REFUSED, ENOMEM,       false },
	{ HASHER,     SENDMSG,      REFUSED, EINTR,        false },
	{ HASHER,     SENDMSG,      REFUSED, ENOBUFS,      false },
	{ HASHER,     SENDMSG,      REFUSED, ENOMEM,       false },
	{ HASHER,     RECVMSG,      REFUSED, EINTR,        false },
	{ HASHER,     RECVMSG,      REFUSED, ENOMEM,       false },
	{ WRITER,     OPEN,         REFUSED, EMFILE,       false },
	{ WRITER,     READ,         REFUSED, EIO,          false },
	{ WRITER,     WRITE,        REFUSED, ENOSPC,       false },
	{ WRITER,     MMAP,         REFUSED, ENOMEM,       false },
	{ WRITER,     PREAD,        REFUSED, EIO,          false },
	{ WRITER,     PWRITE,       REFUSED, ENOSPC,       false },
	{ WRITER,     PWRITE,       SHORT,   0,            false },
	{ WRITER,     LINK,         REFUSED, ENOSPC,       false },
	{ WRITER,     FTRUNCATE,    REFUSED, ENOSPC,       false },
	{ WRITER,     FDATASYNC,    REFUSED, EIO,          false },
	{ WRITER,     MALLOC,       REFUSED, ENOMEM,       false },
	{ WRITER,     CALLOC,       REFUSED, ENOMEM,       false },
	{ WRITER,     SENDMSG,      REFUSED, ENOBUFS,      false },
	{ WRITER,     SENDMSG,      REFUSED, ENOMEM,       false },
	{ WRITER,     RECVMSG,      REFUSED, ENOMEM,       false },
	{ WRITER,     POLL,         REFUSED, ENOMEM,       false },
	{ FRONT,      OPEN,         REFUSED, EMFILE,       false },
	{ FRONT,      READ,         REFUSED, EIO,          false },
	{ FRONT,      MMAP,         REFUSED, ENOMEM,       false },
	{ FRONT,      PREAD,        REFUSED, EIO,          false },
	{ FRONT,      MALLOC,       REFUSED, ENOMEM,       false },
	{ FRONT,      CALLOC,       REFUSED, ENOMEM,       false },
	{ FRONT,      EPOLL_CREATE, REFUSED, EMFILE,       false },
	{ FRONT,      EPOLL_CTL,    REFUSED, ENOMEM,       false },
	{ FRONT,      EPOLL_CTL,    REFUSED, ENOSPC,       false },
	{ FRONT,      SENDMSG,      REFUSED, ENOBUFS,      false },
	{ FRONT,      SENDMSG,      REFUSED, ENOMEM,       false },
	{ FRONT,      RECVMSG,      REFUSED, ENOMEM,       false },
	{ FRONT,      ACCEPT,       REFUSED, EMFILE,       false },
};
/* clang-format on */

/* Who looks for leaks at the end of each process takes most of the time: it is done where nothing
 * fails and, in the long form, where a call of a kind fails for the first time. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return plan == NULL || !plan->leaks;
}

static unsigned usual[ROLES];           /* descriptors of each, where nothing has failed */
static uint32_t lives, refused, retried, upgraded;

/* --- The server ------------------------------------------------------------------------------ */

static void drop_files(void)
{
	DIR *all = opendir(store_dir);
	const struct dirent *file;

	assert_non_null(all);
	while ((file = readdir(all)) != NULL)
		if (file->d_name[0] != '.' && strncmp(file->d_name, "tls.", 4) != 0)
			unlinkat(dirfd(all), file->d_name, 0);
	closedir(all);
}

static void complain(const char *what)
{
	fail_msg("%s: %s; the last answer: %.400s; the log: %s", plan_text(), what, answer,
	         log_text());
}

static void set_origin(const char *name)
{
	FILE *file = fopen(store_path("settings"), "w");

	assert_non_null(file);
	fprintf(file, "cors_origins = https://%s.example\n", name);
	fclose(file);
}

static bool read_settings(void *context, struct config *c, char error[CONFIG_ERROR_MAX])
{
	(void)context;
	*c = config;
	return config_read_file(c, store_path("settings"), error);
}

/* What the next generation, which is this program anew, has of the test: a file that nobody
 * counts. */
static void *share(const char *name, size_t len)
{
	int fd = open(store_path(name), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
	void *shared;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(shared != MAP_FAILED);
	close(fd);
	return shared;
}

static int serve(void)
{
	static struct config c;
	static char name[] = "test_lives", *next[] = { name, store_dir, NULL };
	const struct supervisor_start start = {
		.config = &c, .read_settings = read_settings, .arguments = next,
	};
	char error[CONFIG_ERROR_MAX];

	plan->pids[SUPERVISOR] = getpid();
	role = SUPERVISOR;
	if (read_settings(NULL, &c, error))
		return supervisor_run(&start);
	fprintf(stderr, "%s\n", error);
	return 100;
}

static int serve_next(const char *dir)
{
	alarm(NEXT_S);
	snprintf(store_dir, sizeof store_dir, "%s", dir);
	plan = share(".plan", sizeof *plan);
	config = *(const struct config *)share(".config", sizeof config);
	return serve();
}

/* True once it has ended by itself, as it may at the start alone. */
static bool has_ended(int *status)
{
	pid_t pid = waitpid(process_pid, status, WNOHANG);

	assert_in_range(pid, 0, process_pid);
	return pid == process_pid;
}

/* False: it could not, and said so. */
static bool begin(void)
{
	int status = -1, fd = -1;

	unlink(store_path("log"));
	start_server(serve);
	for (int i = 0; ask(&fd, hello) != 200; i++) {
		if (has_ended(&status)) {
			if (!WIFEXITED(status) || WEXITSTATUS(status) % 11 != 1 ||
			    log_text()[0] == '\0')
				complain("it ended in silence");
			return false;
		}
		if (i == PATIENCE_MS / 2)
			complain("no start");
		usleep(2000);
	}
	close(fd);
	return true;
}

static void end(void)
{
	int status = -1;

	kill(process_pid, SIGTERM);
	for (int i = 0; !has_ended(&status); i++) {
		if (i == PATIENCE_MS / 2)
			complain("no end");
		usleep(2000);
	}
	process_pid = 0;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;                       /* children of a supervisor that has ended */
	if (status != 0)
		complain("it did not end with 0");
	if (sanitizer_spoke())
		complain("a sanitizer has found something");
}

/* --- The client ------------------------------------------------------------------------------ */

/* Asks until there is an answer that is no refusal. `*unsure`: an answer before that one said
 * neither yes nor no. */
static unsigned insist(const char *text, bool *unsure)
{
	unsigned status;
	int fd = -1;

	*unsure = false;
	for (int i = 0; (status = ask(&fd, text)) == 0 || status == 503 || status == 507 ||
	     status == 429; i++) {
		if (i == PATIENCE_MS / 10)
			complain("refused for too long");
		*unsure |= strstr(answer, "nothing was changed") == NULL;
		retried++;
		usleep(10000);
	}
	close(fd);
	return status;
}

static br_x509_decoder_context certificate;

/* Key and certificate of the listener "secure". */
static void make_identity(void)
{
	static struct tls_identity identity;
	char error[TLS_ERROR_MAX] = "", *words[] = {
		(char[]){ "openssl" }, (char[]){ "req" }, (char[]){ "-x509" }, (char[]){ "-nodes" },
		(char[]){ "-newkey" }, (char[]){ "ec" }, (char[]){ "-pkeyopt" },
		(char[]){ "ec_paramgen_curve:prime256v1" }, (char[]){ "-subj" },
		(char[]){ "/CN=localhost" }, (char[]){ "-keyout" }, config.tls_key,
		(char[]){ "-out" }, config.tls_cert, NULL
	};
	int status = -1;
	pid_t pid;

	snprintf(config.tls_key, sizeof config.tls_key, "%s", store_path("tls.key"));
	snprintf(config.tls_cert, sizeof config.tls_cert, "%s", store_path("tls.pem"));
	fflush(NULL);
	if ((pid = fork()) == 0) {
		if (freopen("/dev/null", "w", stderr) != NULL)
			execvp(words[0], words);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	must(status == 0, "openssl makes no certificate");
	chmod(config.tls_key, S_IRUSR | S_IWUSR);
	must(tls_identity_read(&config, &identity, error), error);
	br_x509_decoder_init(&certificate, NULL, NULL);
	br_x509_decoder_push(&certificate, identity.chain, identity.certificate_len[0]);
}

static int take_bytes(void *fd, unsigned char *to, size_t len)
{
	ssize_t n = recv(*(int *)fd, to, len, 0);

	return n > 0 ? (int)n : -1;
}

static int give_bytes(void *fd, const unsigned char *from, size_t len)
{
	ssize_t n = send(*(int *)fd, from, len, MSG_NOSIGNAL);

	return n > 0 ? (int)n : -1;
}

/* The status; 0: there was no answer. */
static unsigned ask_securely(void)
{
	static br_ssl_client_context tls;
	static br_x509_minimal_context unused;
	static unsigned char room[BR_SSL_BUFSIZE_BIDI];
	int fd = client_of(&config.listeners[1]), len;
	br_x509_knownkey_context known;
	br_sslio_context io;

	answer[0] = '\0';
	if (fd < 0)
		return 0;
	br_ssl_client_init_full(&tls, &unused, NULL, 0);
	br_x509_knownkey_init_ec(&known, &br_x509_decoder_get_pkey(&certificate)->key.ec,
	                         BR_KEYTYPE_SIGN);
	br_ssl_engine_set_x509(&tls.eng, &known.vtable);
	br_ssl_engine_set_buffer(&tls.eng, room, sizeof room, 1);
	br_ssl_client_reset(&tls, "localhost", 0);
	br_sslio_init(&io, &tls.eng, take_bytes, &fd, give_bytes, &fd);
	br_sslio_write_all(&io, hello, strlen(hello));
	br_sslio_flush(&io);
	len = br_sslio_read(&io, answer, sizeof answer - 1);
	close(fd);
	if (len <= 0)
		return 0;
	answer[len] = '\0';
	return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
}

static void shake_hands(void)
{
	for (int i = 0; ask_securely() != 200; i++) {
		if (i == PATIENCE_MS / 10)
			complain("nothing under TLS");
		retried++;
		usleep(10000);
	}
}

static void enrol(void)
{
	bool unsure;
	unsigned status = insist(registration, &unsure);

	if (status != 201 && !(unsure && status == 400 && strstr(answer, "already exists")))
		complain("a wrong answer to a registration");
}

static void log_in(void)
{
	bool unsure;

	if (insist(right, &unsure) != 200)
		complain("the right password is refused");
	if (insist(wrong, &unsure) != 401)
		complain("a wrong password is taken");
}

/* Settings anew: until the front has them or, where it may, the log says that somebody could
 * not. */
static void reload(const char *name, bool may_fail)
{
	char text[256];
	int fd = -1;

	snprintf(text, sizeof text, "GET /api/" HOST "Origin: https://%s.example\r\n\r\n", name);
	set_origin(name);
	kill(process_pid, SIGHUP);
	for (int i = 0; ask(&fd, text) != 200 ||
	     strstr(answer, "Access-Control-Allow-Origin: ") == NULL; i++) {
		if (may_fail && strstr(log_text(), "event=reload_") != NULL)
			break;
		if (i == PATIENCE_MS / 2)
			complain("settings are lost without a word");
		usleep(2000);
	}
	if (fd >= 0)
		close(fd);
}

/* Nothing is left of the generation that did not take over. */
static void wait_for_end(const char *failed)
{
	const char *pid = strstr(failed, "pid=");

	for (int i = 0; pid != NULL && kill((pid_t)strtol(pid + 4, NULL, 10), 0) == 0; i++) {
		if (i == PATIENCE_MS / 2)
			complain("who cannot take over does not end");
		usleep(2000);
	}
}

/* The next generation serves or, where a call has failed, this one goes on and has said why. */
static void upgrade(void)
{
	static const char *const names[SERVERS] = {
		[FRONT] = "sidecart:front", [WRITER] = "sidecart:writer",
		[HASHER] = "sidecart:hasher",
	};
	const char *failed = NULL;
	int status = -1;

	kill(process_pid, SIGUSR2);
	for (int i = 0; failed == NULL && !has_ended(&status); i++) {
		if (i == PATIENCE_MS / 2)
			complain("no generation gives way");
		if (plan->fired)
			failed = strstr(log_text(), "event=upgrade_failed");
		usleep(2000);
	}
	if (failed != NULL)
		wait_for_end(failed);
	else if (status != 0)
		complain("the generation before did not end with 0");
	else
		process_pid = plan->pids[SUPERVISOR];
	plan->pids[SUPERVISOR] = process_pid;
	upgraded += failed == NULL;
	for (int its = FRONT; its < SERVERS; its++)
		if (process_child(names[its]) > 0)
			plan->pids[its] = process_child(names[its]);
}

/* Death of a child, and the next life. */
static void kill_one(enum role its)
{
	pid_t pid = plan->pids[its];

	kill(pid, SIGKILL);
	for (int i = 0; plan->pids[its] == pid; i++) {
		if (i == PATIENCE_MS / 2)
			complain("nobody takes its place");
		usleep(2000);
	}
}

/* All is as if nothing had been. */
static void look_around(void)
{
	static const char *const files[] = {
		"data.mdb", "lock.mdb", "log", "seal.key", "secure", "settings", "sid.secret",
		"socket", "tls.key", "tls.pem",
	};

	for (int its = SUPERVISOR; its < SERVERS; its++) {
		unsigned now = descriptors(plan->pids[its]);

		if (usual[its] == 0)
			usual[its] = now = descriptors_at_rest(plan->pids[its]);
		for (int i = 0; now != usual[its]; i++, now = descriptors(plan->pids[its])) {
			if (i == PATIENCE_MS / 10)
				fail_msg("%s: %u descriptors of the %s's, not %u", plan_text(), now,
				         role_names[its], usual[its]);
			usleep(10000);
		}
	}
	for (size_t i = 0; i < COUNT_OF(files); i++)
		assert_int_equal(access(store_path(files[i]), F_OK), 0);
	if (store_count(store_dir) != COUNT_OF(files))
		complain("a file is left behind");
}

/* One life. The plan is made before it. */
static void live(void)
{
	drop_files();
	set_origin("one");
	if (!begin()) {
		refused++;
		plan->armed = false;
		if (!begin())
			complain("the next start is refused");
	}
	enrol();
	log_in();
	shake_hands();
	reload("two", true);
	log_in();
	upgrade();
	log_in();
	kill_one(HASHER);
	kill_one(WRITER);
	kill_one(FRONT);
	log_in();
	plan->armed = plan->counting = false;
	log_in();
	reload("three", false);
	shake_hands();
	look_around();
	end();
	lives++;
}

/* --- The tests ------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	process_configure();
	plan = share(".plan", sizeof *plan);
	prctl(PR_SET_CHILD_SUBREAPER, 1);       /* what a supervisor leaves behind is the test's */
	config.listener_count = 0;
	listen_there("socket", false);
	make_identity();
	listen_there("secure", true);
	config.log_level = LOG_WARN;
	config.registers = CONFIG_ON;
	config.password_iterations = 1000;
	config.max_connections = 16;
	*(struct config *)share(".config", sizeof config) = config;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (process_pid > 0)
		kill(process_pid, SIGKILL);
	drop_files();
	unlink(config.tls_key);
	unlink(config.tls_cert);
	unlink(store_path(".plan"));
	unlink(store_path(".config"));
	process_clean();
	return 0;
}

/* What a life looks like where nothing fails. */
static void learn(uint32_t last[ROLES][CALLS])
{
	*plan = (struct plan){ .counting = true, .leaks = true };
	memset(usual, 0, sizeof usual);
	live();
	memcpy(last, plan->counts, sizeof plan->counts);
}

static void try_fault(const struct fault *f, uint32_t last)
{
	uint32_t step = getenv("TORTURE_S") != NULL || last < TRIES ? 1 : last / TRIES;
	uint32_t fired = 0;

	refused = retried = 0;
	for (uint32_t at = 1 + below(step); at <= last; at += step) {
		plan_arm(f, at);
		plan->leaks = fired == 0 && getenv("TORTURE_S") != NULL;
		live();
		fired += plan->fired;
	}
	print_message("%-10s %-14s %-26s of %3u failed %3u: %2u starts refused, %3u retries\n",
	              role_names[f->role], call_names[f->call], fault_text(f), last, fired, refused,
	              retried);
}

static void test_each_fails_once(void **state)
{
	static uint32_t last[ROLES][CALLS];

	(void)state;
	while (torture_round()) {
		learn(last);
		for (size_t f = 0; f < COUNT_OF(faults); f++)
			if (fault_wanted(&faults[f]))
				try_fault(&faults[f], last[faults[f].role][faults[f].call]);
	}
	print_message("seed %llu: %u lives, %u upgrades\n", (unsigned long long)torture_seed, lives,
	              upgraded);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_fails_once, set_up, tear_down),
	};

	if (argc == 2)
		return serve_next(argv[1]);
	return cmocka_run_group_tests_name("lives", tests, NULL, NULL);
}
