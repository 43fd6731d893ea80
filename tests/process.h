/* process.h -- one serving process under test: the test plays the supervisor and its peers. */
#ifndef PROCESS_H
#define PROCESS_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "config.h"
#include "customer.h"
#include "link.h"
#include "secret.h"
#include "session.h"
#include "store.h"

#define PROCESS_WAIT_MS 10000

static struct config config;
static pid_t process_pid;
static int control;             /* the supervisor's end */

/* On emulated 32-bit processors the C library's clock goes by another name, which no test
 * stands in for, and sockets hold other amounts. */
static inline void process_skip_32(void)
{
	if (sizeof(void *) < 8 && getenv("EMULATED") != NULL)
		skip();
}

/* The process of this name among the supervisor's children. */
static inline pid_t process_child(const char *name)
{
	char path[300], line[1000];
	DIR *all = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(all);
	while ((entry = readdir(all)) != NULL) {
		char its[32] = "";
		int pid, parent;
		FILE *f;

		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		if (strtol(entry->d_name, NULL, 10) == 0 || (f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(line, sizeof line, f) != NULL &&
		    sscanf(line, "%d (%31[^)]) %*c %d", &pid, its, &parent) == 3 &&
		    parent == process_pid && strcmp(its, name) == 0)
			found = pid;
		fclose(f);
	}
	closedir(all);
	return found;
}

static inline void must(bool done, const char *error)
{
	if (!done)
		fail_msg("%s", error);
}

/* A directory with the secrets, and settings to serve a store in it. */
static inline void process_configure(void)
{
	char error[SECRET_ERROR_MAX];

	store_make();
	config_defaults(&config);
	snprintf(config.data, sizeof config.data, "%s", store_dir);
	snprintf(config.sid_secret_file, sizeof config.sid_secret_file, "%s",
	         store_path("sid.secret"));
	config.map_bytes = STORE_MAP_BYTES;
	config.seccomp = CONFIG_OFF;
	config.log_level = LOG_ERROR;
	config.login_throttle.count = config.login_throttle_address.count = 0;
	must(secret_create(config.data, config.sid_secret_file, error), error);
}

/* In the open batch: the key `k` of all scopes. */
static inline void process_add_key(void)
{
	const struct client_record key = { .name = SLICE("k"), .used_s = (uint64_t)time(NULL),
		                           .scopes = SCOPE_SHOP | SCOPE_TRUSTED | SCOPE_LOGIN };
	enum kv_status status;

	assert_int_equal(client_add(store, SLICE("k"), &key, &status), CLIENT_ADDED);
}

/* In the open batch: a customer; `sealed` stands where a sealed password would. */
static inline void process_add_customer(const char *login, const char *sealed)
{
	struct customer_record r = { .login = slice_of(login),
		                     .sealed_password = slice_of(sealed) };
	enum kv_status status;

	assert_int_equal(customer_next_id(store, &r.id), KV_OK);
	assert_int_equal(customer_add(store, &r, &status), CUSTOMER_OK);
}

/* A store with the key `k` and the customer `ada`, and settings to serve it. */
static inline void process_prepare(void)
{
	process_configure();
	store_open(KV_CREATE);
	assert_int_equal(kv_begin(store), KV_OK);
	process_add_key();
	process_add_customer("ada", "sealed");
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
}

static inline bool readable(int fd, int wait_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	return poll(&wait, 1, wait_ms) == 1;
}

/* All that was sent to the process so far has come to it: it sleeps. */
static inline void process_settle(void)
{
	char path[64], state = '?';

	snprintf(path, sizeof path, "/proc/%d/stat", (int)process_pid);
	for (int i = 0; state != 'S'; i++) {
		FILE *f = fopen(path, "r");

		assert_true(f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
		fclose(f);
		assert_true(i < PROCESS_WAIT_MS);
		usleep(1000);
	}
}

/* The next order from the process. */
static inline void process_hear(enum link_order_kind kind)
{
	struct link_order order;
	int passed;

	assert_true(readable(control, PROCESS_WAIT_MS));
	assert_int_equal(link_receive_order(control, &order, &passed), LINK_DONE);
	assert_int_equal(passed, -1);
	assert_int_equal(order.kind, kind);
}

static inline void process_order(enum link_order_kind kind, uint32_t number, int passed)
{
	const struct link_order order = { kind, number };

	assert_int_equal(link_send_order(control, &order, passed), LINK_DONE);
}

/* Starts `run` in a child and waits until it is ready. */
static inline void process_start(int (*run)(int its_control))
{
	size_t room;
	int pair[2];

	assert_true(link_pair(pair, sizeof(struct link_order), &room));
	fflush(NULL);
	process_pid = fork();
	assert_true(process_pid >= 0);
	if (process_pid == 0) {
		close(pair[0]);
		signal(SIGPIPE, SIG_IGN);
		alarm(120);
		exit(run(pair[1]));
	}
	close(pair[1]);
	control = pair[0];
	process_hear(ORDER_READY);
}

/* Gives the process a link; returns the other end. */
static inline int process_link(enum link_order_kind kind, uint32_t number)
{
	size_t room;
	int pair[2];

	assert_true(link_pair(pair, LINK_PACKET_MAX, &room));
	process_order(kind, number, pair[0]);
	close(pair[0]);
	return pair[1];
}

/* The exit status, once it has ended by itself. */
static inline int process_status(void)
{
	int status = -1;

	assert_int_equal(waitpid(process_pid, &status, 0), process_pid);
	process_pid = 0;
	close(control);
	return status;
}

static inline void process_clean(void)
{
	unlink(store_path("sid.secret"));
	unlink(store_path("seal.key"));
	store_remove();
}

/* A session of ada's under a cookie, begun at `now_s`; `id` is the cookie's value. */
static inline void process_add_session(struct slice id, uint64_t now_s)
{
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct buf secret = BUF(text);
	struct customer_record ada;

	must(secret_read(config.sid_secret_file, &secret, error), error);
	session_cookie_key(buf_slice(&secret), id, key);
	store_open(KV_WRITE);
	assert_int_equal(kv_begin(store), KV_OK);
	assert_int_equal(customer_find(store, SLICE("ada"), &ada), KV_OK);
	assert_int_equal(session_start(store, &config, key, ada.id, VIA_COOKIE, now_s), KV_OK);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
}

/* Ends it as the supervisor's death does; nothing where a test was skipped before it began. */
static inline void process_end(void)
{
	int status = -1;

	if (process_pid == 0)
		return;
	close(control);
	assert_int_equal(waitpid(process_pid, &status, 0), process_pid);
	process_pid = 0;
	assert_int_equal(status, 0);
	process_clean();
}

#endif
