/* test_kv.c -- the store's door: batches, snapshots, scans, two processes, a full map, damage. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "store.h"

#define MIB ((uint64_t)1 << 20)

/* Stand in for the C library's: a disk that is full or broken when a test says so. */
static uint64_t disk_free_bytes = 1024 * MIB;
static int write_errno, sync_errno, link_errno;
static bool writes_less;

int statvfs(const char *path, struct statvfs *v)
{
	(void)path;
	*v = (struct statvfs){ .f_frsize = 4096, .f_bavail = (fsblkcnt_t)(disk_free_bytes / 4096) };
	return 0;
}

static bool fails(int with)
{
	errno = with;
	return with != 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	if (writes_less)
		len /= 2;
	return fails(write_errno) ? -1 : syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return fails(write_errno) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd)
{
	return fails(sync_errno) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static void (*before_link)(void);

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	if (before_link != NULL)
		before_link();
	return fails(link_errno) ? -1 :
	       (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* Files without a name can be made; or not, or not be opened. */
static enum { NAMELESS, NAMED, NO_PROC, WAYS } way;
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	if ((flags & O_TMPFILE) == O_TMPFILE && way == NAMED)
		return fails(EOPNOTSUPP) ? -1 : 0;
	va_start(rest, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(rest, mode_t);
	va_end(rest);
	return __real_open(path, flags, mode);
}

int __wrap_access(const char *path, int mode)
{
	if (strncmp(path, "/proc/", 6) == 0 && way == NO_PROC)
		return fails(ENOENT) ? -1 : 0;
	return __real_access(path, mode);
}

/* Stands in for LMDB's: a store as it is without an order of keys of kv.c's own. */
typedef int compare_function(const void *a, const void *b);
static bool order_is_lmdbs;
int __wrap_mdb_set_compare(void *txn, unsigned dbi, compare_function *order);
int __real_mdb_set_compare(void *txn, unsigned dbi, compare_function *order);

int __wrap_mdb_set_compare(void *txn, unsigned dbi, compare_function *order)
{
	return order_is_lmdbs ? 0 : __real_mdb_set_compare(txn, dbi, order);
}

/* Another process, which holds the store open too. It is told what to do by one letter and
 * answers a number. It must be started before this process opens the store. */
struct peer {
	pid_t pid;
	int fd;
};

static uint64_t peer_get(void)
{
	struct slice value;
	enum kv_status status = kv_get(store, SLICE("k"), &value);

	if (status == KV_NOT_FOUND)
		return '-';
	return status == KV_OK && value.len == 1 ? (uint64_t)value.ptr[0] : '?';
}

static uint64_t peer_act(char order)
{
	char error[KV_ERROR_MAX];

	switch (order) {
	case 'o':               /* open for reading */
		return store_try(KV_READ, error) != NULL ? kv_begin_read(store) : KV_IO;
	case 'w':               /* open for writing */
		return store_try(KV_WRITE, error) != NULL ? KV_OK : KV_IO;
	case 'm':               /* the same, and make it */
		return store_try(KV_CREATE, error) != NULL ? KV_OK : KV_IO;
	case 'g': return peer_get();
	case 'r': return kv_refresh(store);
	case 's': return kv_snapshot(store);
	case 'b': return kv_begin(store);
	case 'p': return kv_put(store, SLICE("k"), SLICE("P"));
	case 'c': return kv_commit(store);
	}
	kv_reset(store);
	return KV_OK;
}

static struct peer peer_start(void)
{
	struct peer p;
	int pair[2];
	uint64_t answer;
	char order;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	p = (struct peer){ fork(), pair[0] };
	assert_true(p.pid >= 0);
	if (p.pid > 0) {
		close(pair[1]);
		return p;
	}
	close(pair[0]);
	while (read(pair[1], &order, 1) == 1) {
		answer = peer_act(order);
		if (write(pair[1], &answer, sizeof answer) != sizeof answer)
			break;
	}
	kv_close(store);
	_exit(0);
}

static uint64_t ask(const struct peer *p, char order)
{
	uint64_t answer;

	assert_int_equal(write(p->fd, &order, 1), 1);
	assert_int_equal(read(p->fd, &answer, sizeof answer), sizeof answer);
	return answer;
}

static void peer_end(const struct peer *p)
{
	int status;

	close(p->fd);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	assert_int_equal(status, 0);
}

static void peer_kill(const struct peer *p)
{
	kill(p->pid, SIGKILL);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
	close(p->fd);
}

static int make_directory(void **state)
{
	(void)state;
	store_make();
	return 0;
}

static void put(const char *key, const char *value)
{
	assert_int_equal(kv_put(store, slice_of(key), slice_of(value)), KV_OK);
}

/* What stands under `key`; "-" for nothing. Holds until the next call. */
static const char *get(const char *key)
{
	static char text[64];
	struct slice value;
	enum kv_status status = kv_get(store, slice_of(key), &value);

	if (status == KV_NOT_FOUND)
		return "-";
	assert_int_equal(status, KV_OK);
	assert_in_range(value.len, 0, sizeof text - 1);
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	return text;
}

static void commit(void)
{
	assert_int_equal(kv_commit(store), KV_OK);
}

static void begin(void)
{
	assert_int_equal(kv_begin(store), KV_OK);
}

static struct kv_stat figures(void)
{
	struct kv_stat s;

	assert_int_equal(kv_stat(store, &s), KV_OK);
	return s;
}

/* Keys that sort by number. */
static struct slice numbered(char key[16], unsigned n)
{
	return (struct slice){ key, (size_t)snprintf(key, 16, "%08u", n) };
}

static void test_status_texts(void **state)
{
	(void)state;
	for (int i = 0; i < KV_STATUSES; i++) {
		assert_true(strlen(kv_status_text((enum kv_status)i)) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(kv_status_text((enum kv_status)i),
			                        kv_status_text((enum kv_status)j));
	}
	assert_string_equal(kv_status_text(KV_STATUSES), "unknown");
	assert_non_null(strstr(kv_version(), "LMDB"));
}

static void test_put_get_del(void **state)
{
	struct slice value;

	(void)state;
	put("a", "1");
	put("b", "");
	put("a", "2");
	assert_string_equal(get("a"), "2");
	assert_string_equal(get("b"), "");
	assert_string_equal(get("c"), "-");
	assert_int_equal(kv_get(store, SLICE(""), &value), KV_NOT_FOUND);
	assert_int_equal(kv_get(store, (struct slice){ 0 }, &value), KV_NOT_FOUND);
	assert_int_equal(kv_del(store, SLICE("a")), KV_OK);
	assert_int_equal(kv_del(store, SLICE("a")), KV_NOT_FOUND);
	assert_int_equal(kv_del(store, SLICE("")), KV_NOT_FOUND);
	assert_string_equal(get("a"), "-");
	commit();
	begin();
	assert_string_equal(get("a"), "-");
	assert_string_equal(get("b"), "");
}

static void test_longest_key(void **state)
{
	char key[512];
	struct slice value;

	(void)state;
	memset(key, 'k', sizeof key);
	assert_int_equal(kv_put(store, (struct slice){ key, 511 }, SLICE("v")), KV_OK);
	assert_int_equal(kv_get(store, (struct slice){ key, 511 }, &value), KV_OK);
	commit();
	begin();
	store_hide_log();
	assert_int_equal(kv_put(store, (struct slice){ key, 512 }, SLICE("v")), KV_IO);
	assert_int_equal(store_show_log(), 1);
}

/* After a put that failed nothing of the batch is kept, whatever is put later. */
static void test_failed_put_spoils_the_batch(void **state)
{
	(void)state;
	put("before", "1");
	assert_int_equal(kv_begin_child(store), KV_OK);
	store_hide_log();
	assert_int_equal(kv_put(store, SLICE(""), SLICE("v")), KV_IO);
	assert_int_equal(store_show_log(), 1);
	assert_int_equal(kv_end_child(store, true), KV_IO);
	assert_int_equal(kv_begin_child(store), KV_IO);
	assert_int_equal(kv_commit(store), KV_IO);
	assert_false(kv_writing(store));
	begin();
	assert_string_equal(get("before"), "-");
	put("after", "1");
	commit();
	begin();
	assert_string_equal(get("after"), "1");
}

static void test_children(void **state)
{
	(void)state;
	put("batch", "1");
	assert_int_equal(kv_begin_child(store), KV_OK);
	assert_string_equal(get("batch"), "1");
	put("kept", "1");
	put("batch", "2");
	assert_int_equal(kv_end_child(store, true), KV_OK);
	assert_int_equal(kv_begin_child(store), KV_OK);
	assert_string_equal(get("kept"), "1");
	put("dropped", "1");
	assert_int_equal(kv_del(store, SLICE("kept")), KV_OK);
	assert_string_equal(get("kept"), "-");
	assert_int_equal(kv_end_child(store, false), KV_OK);
	assert_int_equal(kv_begin_child(store), KV_OK);
	assert_int_equal(kv_end_child(store, true), KV_OK);     /* with nothing in it */
	assert_string_equal(get("kept"), "1");
	assert_string_equal(get("dropped"), "-");
	commit();
	begin();
	assert_string_equal(get("batch"), "2");
	assert_string_equal(get("kept"), "1");
	assert_string_equal(get("dropped"), "-");
}

static void test_batch_of_children_alone_is_kept(void **state)
{
	(void)state;
	assert_int_equal(kv_begin_child(store), KV_OK);
	put("kept", "1");
	assert_int_equal(kv_end_child(store, true), KV_OK);
	commit();
	begin();
	assert_string_equal(get("kept"), "1");
}

static void test_abort(void **state)
{
	(void)state;
	put("kept", "1");
	commit();
	assert_false(kv_writing(store));
	begin();
	assert_true(kv_writing(store));
	put("kept", "2");
	put("dropped", "1");
	assert_int_equal(kv_begin_child(store), KV_OK);
	put("in a child", "1");
	kv_abort(store);
	assert_false(kv_writing(store));
	kv_abort(store);
	begin();
	assert_string_equal(get("kept"), "1");
	assert_string_equal(get("dropped"), "-");
	assert_string_equal(get("in a child"), "-");
}

static void test_commit_is_there_after_reopening(void **state)
{
	(void)state;
	put("committed", "1");
	commit();
	begin();
	put("not committed", "1");
	kv_close(store);
	store_open(KV_WRITE);
	begin();
	assert_string_equal(get("committed"), "1");
	assert_string_equal(get("not committed"), "-");
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_string_equal(get("committed"), "1");
}

/* Keys that come in order leave no page half empty, also behind others. */
static void test_append(void **state)
{
	enum { MANY = 20000, BYTES = 60 };
	char key[16], value[BYTES] = "";
	struct kv_stat s;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "k%08d", i);
		assert_int_equal(kv_append(store, slice_of(key), (struct slice){ value, BYTES }),
		                 KV_OK);
	}
	commit();
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_in_range(s.used_bytes - s.free_bytes, 1, MANY * (9 + BYTES + 10) * 105 / 100);
	assert_in_range(s.tree_bytes, MANY * (9 + BYTES), s.used_bytes - s.free_bytes);
	begin();
	assert_int_equal(kv_append(store, SLICE("k"), SLICE("")), KV_IO);
	assert_int_equal(kv_commit(store), KV_IO);
}

static void test_reading_only(void **state)
{
	(void)state;
	put("k", "1");
	commit();
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	assert_false(kv_writing(store));
	assert_int_equal(kv_put(store, SLICE("k"), SLICE("2")), KV_READONLY);
	assert_int_equal(kv_del(store, SLICE("k")), KV_READONLY);
	assert_int_equal(kv_del(store, SLICE("none")), KV_READONLY);
	assert_string_equal(get("k"), "1");
}

/* A failed store is no empty one (requirement S16). */
static void test_reading_without_a_snapshot(void **state)
{
	struct slice key, value;

	(void)state;
	commit();
	kv_close(store);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	kv_reset(store);
	kv_reset(store);
	store_hide_log();
	assert_int_equal(kv_get(store, SLICE("k"), &value), KV_IO);
	assert_int_equal(kv_scan(store, SLICE("k"), (struct slice){ 0 }, &key, &value), KV_IO);
	assert_int_equal(store_show_log(), 2);
	assert_int_equal(kv_refresh(store), KV_OK);
	assert_int_equal(kv_get(store, SLICE("k"), &value), KV_NOT_FOUND);
}

/* The keys under `prefix` behind `after`, each with a blank behind it. */
static const char *scan(struct slice prefix, struct slice after)
{
	static char text[256];
	static char place[256];
	struct buf out = BUF(text);
	struct slice key, value;
	enum kv_status status;

	while ((status = kv_scan(store, prefix, after, &key, &value)) == KV_OK) {
		assert_true(slice_eq(key, value));
		buf_put(&out, key);
		buf_char(&out, ' ');
		memcpy(place, key.ptr, key.len);
		after = (struct slice){ place, key.len };
	}
	assert_int_equal(status, KV_NOT_FOUND);
	buf_char(&out, '\0');
	assert_false(out.full);
	return text;
}

static void test_scan(void **state)
{
	static const char *const keys[] = { "b2", "a", "c", "b", "b10", "b1", "bb", "b1x" };
	static const struct {
		const char *name, *prefix, *after, *found;
	} cases[] = {
		{ "a prefix that is a key", "b",   "",    "b b1 b10 b1x b2 bb " },
		{ "longer keys alone",      "b1",  "",    "b1 b10 b1x " },
		{ "the first",              "a",   "",    "a " },
		{ "the last",               "c",   "",    "c " },
		{ "nothing under it",       "b3",  "",    "" },
		{ "before the first",       "A",   "",    "" },
		{ "behind the last",        "d",   "",    "" },
		{ "no prefix",              "",    "",    "a b b1 b10 b1x b2 bb c " },
		{ "after a key",            "b",   "b10", "b1x b2 bb " },
		{ "after no key",           "b",   "b11", "b1x b2 bb " },
		{ "after the last",         "b",   "bb",  "" },
		{ "after the last of all",  "",    "c",   "" },
		{ "after what is behind",   "b",   "c",   "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		put(keys[i], keys[i]);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *found = scan(slice_of(cases[i].prefix), slice_of(cases[i].after));

		if (strcmp(found, cases[i].found) != 0)
			fail_msg("%s: %s", cases[i].name, found);
	}
}

static void test_scan_of_an_empty_store(void **state)
{
	(void)state;
	assert_string_equal(scan(SLICE("a"), (struct slice){ 0 }), "");
	assert_string_equal(scan(SLICE(""), (struct slice){ 0 }), "");
}

static void test_scan_while_changing(void **state)
{
	char place[2];
	struct slice after = { 0 }, key, value;
	unsigned seen = 0;

	(void)state;
	for (char c = 'a'; c <= 'z'; c++)
		assert_int_equal(kv_put(store, (struct slice){ (char[]){ 'x', c }, 2 },
		                        (struct slice){ 0 }), KV_OK);
	put("y", "");
	while (kv_scan(store, SLICE("x"), after, &key, &value) == KV_OK) {
		seen++;
		memcpy(place, key.ptr, 2);
		after = (struct slice){ place, 2 };
		assert_int_equal(kv_del(store, after), KV_OK);
		if (place[1] == 'c') {
			put("xd1", "");         /* 3 bytes: found behind xd */
			put("xa", "");          /* behind us: never seen again */
			assert_int_equal(kv_del(store, SLICE("xe")), KV_OK);
		}
		if (place[1] == 'd' && seen == 4)
			assert_int_equal(kv_del(store, SLICE("xd1")), KV_OK);
	}
	assert_int_equal(seen, 25);     /* all but xe */
	assert_int_equal(kv_scan(store, SLICE("x"), (struct slice){ 0 }, &key, &value), KV_OK);
	assert_true(slice_eq(key, SLICE("xa")));
	assert_string_equal(get("y"), "");
}

static void test_snapshot_number(void **state)
{
	uint64_t first, second;
	struct kv_stat s;

	(void)state;
	commit();
	assert_int_equal(kv_begin_read(store), KV_OK);
	first = kv_snapshot(store);
	assert_int_equal(kv_refresh(store), KV_OK);
	assert_int_equal(kv_snapshot(store), first);
	kv_reset(store);
	begin();
	put("k", "1");
	commit();
	assert_int_equal(kv_refresh(store), KV_OK);
	second = kv_snapshot(store);
	assert_true(second > first);
	kv_reset(store);
	begin();
	put("k", "2");
	kv_abort(store);
	begin();
	commit();                       /* of nothing */
	assert_int_equal(kv_refresh(store), KV_OK);
	assert_int_equal(kv_snapshot(store), second);
	assert_string_equal(get("k"), "1");
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.last_snapshot, second);
}

static void test_reader_beside_a_writer(void **state)
{
	struct peer reader = peer_start();
	uint64_t number;

	(void)state;
	store_open(KV_CREATE);
	assert_int_equal(ask(&reader, 'o'), KV_OK);
	assert_int_equal(ask(&reader, 'g'), '-');
	for (char value = '1'; value <= '9'; value++) {
		number = ask(&reader, 's');
		begin();
		assert_int_equal(kv_put(store, SLICE("k"), (struct slice){ &value, 1 }), KV_OK);
		assert_int_equal(ask(&reader, 'r'), KV_OK);
		assert_int_equal(ask(&reader, 's'), number);    /* not committed yet */
		commit();
		assert_int_equal(ask(&reader, 'g'), value == '1' ? '-' : value - 1);
		assert_int_equal(ask(&reader, 's'), number);
		if (value % 2 == 0)
			assert_int_equal(ask(&reader, 'z'), KV_OK);
		assert_int_equal(ask(&reader, 'r'), KV_OK);
		assert_int_equal(ask(&reader, 'g'), value);
		assert_true(ask(&reader, 's') > number);
		number = ask(&reader, 's');
		assert_int_equal(ask(&reader, 'z'), KV_OK);
		assert_int_equal(ask(&reader, 'r'), KV_OK);
		assert_int_equal(ask(&reader, 's'), number);    /* nothing was committed since */
	}
	peer_end(&reader);
}

static void test_writer_beside_a_writer(void **state)
{
	struct peer other = peer_start();

	(void)state;
	store_open(KV_CREATE);
	begin();
	put("k", "1");
	commit();
	assert_int_equal(ask(&other, 'w'), KV_OK);
	assert_int_equal(ask(&other, 'b'), KV_OK);
	assert_int_equal(ask(&other, 'g'), '1');
	assert_int_equal(ask(&other, 'p'), KV_OK);
	assert_int_equal(ask(&other, 'c'), KV_OK);
	begin();
	assert_string_equal(get("k"), "P");
	kv_abort(store);
	peer_end(&other);
}

/* What a process had not committed when it was killed is gone, and its lock is free. */
static void test_writer_killed_in_a_batch(void **state)
{
	struct peer other;

	(void)state;
	if (getenv("EMULATED") != NULL)         /* it frees no lock of who was killed */
		skip();
	other = peer_start();
	store_open(KV_CREATE);
	begin();
	put("k", "1");
	commit();
	assert_int_equal(ask(&other, 'w'), KV_OK);
	assert_int_equal(ask(&other, 'b'), KV_OK);
	assert_int_equal(ask(&other, 'p'), KV_OK);
	peer_kill(&other);
	begin();
	assert_string_equal(get("k"), "1");
	put("k", "2");
	commit();
	begin();
	assert_string_equal(get("k"), "2");
}

static void test_reader_killed(void **state)
{
	struct peer alive = peer_start(), dead = peer_start();
	struct kv_stat s;

	(void)state;
	store_open(KV_CREATE);
	begin();
	put("k", "1");
	commit();
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.oldest_reader, 0);
	assert_int_equal(ask(&dead, 'o'), KV_OK);
	begin();
	put("k", "2");
	commit();
	assert_int_equal(ask(&alive, 'o'), KV_OK);
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.oldest_reader, ask(&dead, 's'));
	assert_true(s.readers >= 2);
	assert_int_equal(kv_check_readers(store), 0);
	peer_kill(&dead);
	assert_int_equal(kv_check_readers(store), 1);
	assert_int_equal(kv_check_readers(store), 0);
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.oldest_reader, ask(&alive, 's'));
	assert_int_equal(ask(&alive, 'z'), KV_OK);
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.oldest_reader, 0);
	peer_end(&alive);
}

static void test_watched(void **state)
{
	struct peer alive = peer_start(), dead = peer_start();

	(void)state;
	store_open(KV_CREATE);
	begin();
	put("k", "1");
	commit();
	assert_false(kv_watched(store));
	assert_int_equal(ask(&dead, 'o'), KV_OK);
	assert_true(kv_watched(store));
	peer_kill(&dead);
	assert_false(kv_watched(store));
	assert_int_equal(ask(&alive, 'o'), KV_OK);
	assert_int_equal(ask(&alive, 'z'), KV_OK);
	assert_true(kv_watched(store));
	peer_end(&alive);
	assert_false(kv_watched(store));
}

static void test_stat(void **state)
{
	struct kv_stat s;
	struct stat file;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%u", i);
		put(key, "value");
	}
	commit();
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_int_equal(s.entries, 1000);
	assert_int_equal(s.map_bytes, STORE_MAP_BYTES);
	assert_int_equal(s.page_bytes, sysconf(_SC_PAGESIZE));
	assert_int_equal(s.used_bytes % s.page_bytes, 0);
	assert_in_range(s.used_bytes, 1000 * strlen("value"), MIB);
	assert_in_range(s.depth, 1, 3);
	assert_int_equal(s.readers_max, 512);
	assert_int_equal(s.free_bytes, 0);
	assert_int_equal(stat(store_path("data.mdb"), &file), 0);
	assert_in_range(file.st_size, s.used_bytes, STORE_MAP_BYTES);
	for (unsigned round = 0; round < 3; round++) {
		begin();
		put("1", "value");
		commit();
	}
	assert_int_equal(kv_stat(store, &s), KV_OK);
	assert_in_range(s.free_bytes, s.page_bytes, s.used_bytes - s.page_bytes);
	assert_int_equal(s.entries, 1000);
	assert_in_range(s.tree_bytes, 1000 * strlen("value"),
	                s.used_bytes - s.free_bytes - s.page_bytes);
}

static void test_exists(void **state)
{
	char longest[2048];

	(void)state;
	assert_false(kv_exists(store_dir));
	store_open(KV_CREATE);
	assert_true(kv_exists(store_dir));
	assert_false(kv_exists(store_path("nothing")));
	assert_false(kv_exists(store_path("data.mdb")));
	memset(longest, '/', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_false(kv_exists(longest));
}

static void assert_refused(enum kv_mode mode, const char *said)
{
	char error[KV_ERROR_MAX] = "";

	assert_null(store_try(mode, error));
	if (strstr(error, said) == NULL || strstr(error, store_dir) == NULL)
		fail_msg("said: %s", error);
	assert_null(strchr(error, '\n'));
}

static void test_missing_store(void **state)
{
	char error[KV_ERROR_MAX], longest[2048];
	struct kv_options options = { .dir = longest, .mode = KV_CREATE,
	                              .map_bytes = STORE_MAP_BYTES };

	(void)state;
	assert_refused(KV_READ, "no store here: use --data DIR or SIDECART_DATA");
	assert_refused(KV_WRITE, "no store here: use --data DIR or SIDECART_DATA");
	assert_false(kv_exists(store_dir));
	memset(longest, 'd', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_null(kv_open(&options, error));
	assert_non_null(strstr(error, "path too long"));
	options.dir = store_path("nothing");
	assert_null(kv_open(&options, error));
	assert_non_null(strstr(error, "cannot open the store"));
	store_open(KV_CREATE);          /* no failure before stands in the way */
}

static size_t count_files(void)
{
	return store_count(store_dir);
}

static size_t count_descriptors(void)
{
	return store_count("/proc/self/fd");
}

/* Where a new store cannot be made nothing is left that the next start would take for one. */
static void test_store_that_cannot_be_made(void **state)
{
	static const struct {
		bool writes_less;
		int write, sync, link;
	} cases[] = {
		{ false, ENOSPC, 0,   0 },
		{ false, EIO,    0,   0 },
		{ true,  0,      0,   0 },
		{ false, 0,      EIO, 0 },
		{ false, 0,      0,   ENOSPC },
	};
	size_t descriptors;

	(void)state;
	if (sizeof(long) == 4)
		skip();         /* LMDB calls pwrite() there, which here is pwrite64() */
	descriptors = count_descriptors();
	for (size_t n = 0; n < WAYS * COUNT_OF(cases); n++) {
		size_t i = n / WAYS;

		way = n % WAYS;
		writes_less = cases[i].writes_less;
		write_errno = cases[i].write;
		sync_errno = cases[i].sync;
		link_errno = cases[i].link;
		assert_refused(KV_CREATE, "cannot open the store");
		writes_less = false;
		write_errno = sync_errno = link_errno = 0;
		assert_int_equal(count_files(), 0);
		assert_int_equal(count_descriptors(), descriptors);
		store_open(KV_CREATE);
		begin();
		put("k", "v");
		commit();
		kv_close(store);
		assert_int_equal(count_files(), 2);
		assert_int_equal(count_descriptors(), descriptors);
		unlink(store_path("data.mdb"));
		unlink(store_path("lock.mdb"));
	}
	way = NAMELESS;
	store_open(KV_CREATE);
}

/* Another process, which is faster. */
static struct peer faster;

static void make_it_first(void)
{
	before_link = NULL;
	assert_int_equal(ask(&faster, 'm'), KV_OK);
	assert_int_equal(ask(&faster, 'b'), KV_OK);
	assert_int_equal(ask(&faster, 'p'), KV_OK);
	assert_int_equal(ask(&faster, 'c'), KV_OK);
}

static void test_store_made_by_two(void **state)
{
	(void)state;
	for (way = NAMELESS; way < WAYS; way++) {
		faster = peer_start();
		before_link = make_it_first;
		store_open(KV_CREATE);
		begin();
		assert_string_equal(get("k"), "P");
		kv_close(store);
		peer_end(&faster);
		assert_int_equal(count_files(), 2);
		unlink(store_path("data.mdb"));
	}
	way = NAMELESS;
}

static void build(void)
{
	store_open(KV_BUILD);
	assert_true(kv_building(store));
	begin();
	put("b", "1");
	commit();
	begin();
	assert_string_equal(get("b"), "1");
	assert_int_equal(kv_append(store, SLICE("c"), SLICE("2")), KV_OK);
	commit();
	assert_false(kv_exists(store_dir));
	assert_false(kv_watched(store));
}

/* Nobody sees it before it is whole; then anybody does. */
static void test_building(void **state)
{
	size_t descriptors = count_descriptors();
	struct kv_stat s;

	(void)state;
	for (way = NAMELESS; way < WAYS; way++) {
		build();
		kv_close(store);
		assert_int_equal(count_files(), 0);
		build();
		link_errno = ENOSPC;
		assert_int_equal(kv_publish(store), KV_FULL);
		link_errno = 0;
		sync_errno = EIO;
		assert_int_equal(kv_publish(store), KV_IO);
		sync_errno = 0;
		assert_true(kv_building(store));
		assert_int_equal(kv_publish(store), KV_OK);
		assert_false(kv_building(store));
		assert_int_equal(count_files(), 1);
		kv_close(store);
		store_open(KV_BUILD);           /* it is there: as with KV_CREATE */
		assert_false(kv_building(store));
		begin();
		assert_string_equal(get("b"), "1");
		assert_string_equal(get("c"), "2");
		assert_int_equal(kv_stat(store, &s), KV_OK);
		assert_int_equal(s.entries, 2);
		kv_close(store);
		assert_int_equal(count_descriptors(), descriptors);
		unlink(store_path("data.mdb"));
		unlink(store_path("lock.mdb"));
	}
	way = NAMELESS;
}

/* Another's, made meanwhile, stays. */
static void test_built_beside_another(void **state)
{
	(void)state;
	for (way = NAMELESS; way < WAYS; way++) {
		faster = peer_start();
		build();
		before_link = make_it_first;
		assert_int_equal(kv_publish(store), KV_IO);
		assert_true(kv_building(store));
		kv_close(store);
		store_open(KV_WRITE);
		begin();
		assert_string_equal(get("k"), "P");
		assert_string_equal(get("b"), "-");
		kv_close(store);
		peer_end(&faster);
		assert_int_equal(count_files(), 2);
		unlink(store_path("data.mdb"));
	}
	way = NAMELESS;
}

static void test_damaged_store(void **state)
{
	static const struct {
		const char *name;
		off_t cut_at;           /* bytes; below 0: so far before the last used one */
		const char *said;
	} cases[] = {
		{ "the last page gone",      -1,    "data.mdb: shorter than its own record" },
		{ "half of it gone",         65536, "data.mdb: shorter than its own record" },
		{ "the meta pages alone",    8192,  "data.mdb: shorter than its own record" },
		{ "less than a meta page",   100,   "cannot open the store" },
		{ "one byte",                1,     "cannot open the store" },
		{ "empty",                   0,     "data.mdb: empty" },
	};
	struct kv_stat s;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		off_t cut_at = cases[i].cut_at;

		unlink(store_path("data.mdb"));
		store_open(KV_CREATE);
		begin();
		for (unsigned n = 0; n < 200; n++) {
			char key[16], value[1000] = "";

			snprintf(key, sizeof key, "%u", n);
			assert_int_equal(kv_put(store, slice_of(key),
			                        (struct slice){ value, sizeof value }), KV_OK);
		}
		commit();
		assert_int_equal(kv_stat(store, &s), KV_OK);
		kv_close(store);
		if (cut_at < 0)
			cut_at += (off_t)s.used_bytes;
		assert_int_equal(truncate(store_path("data.mdb"), cut_at), 0);
		for (enum kv_mode mode = KV_READ; mode <= KV_CREATE; mode++)
			assert_refused(mode, cases[i].said);
	}
}

static void test_file_that_is_no_store(void **state)
{
	FILE *file = fopen(store_path("data.mdb"), "w");

	(void)state;
	assert_non_null(file);
	for (unsigned i = 0; i < 5000; i++)
		fprintf(file, "no store\n");
	fclose(file);
	for (enum kv_mode mode = KV_READ; mode <= KV_CREATE; mode++)
		assert_refused(mode, "cannot open the store");
}

static uint32_t draw(uint32_t bound)
{
	static uint32_t random = 1;

	random = random * 1664525 + 1013904223;         /* Numerical Recipes */
	return (random >> 8) % bound;
}

/* Keys of up to 24 bytes, many of which begin alike, and with bytes of 0x80 and more. */
static struct slice drawn_key(char key[24])
{
	static const char bytes[] = "\0\1\x7f\x80\xfe\xff";
	size_t len = 1 + draw(24), alike = draw(12);

	for (size_t i = 0; i < len; i++)
		key[i] = i < alike ? 'S' : bytes[draw(sizeof bytes - 1)];
	return (struct slice){ key, len };
}

/* All that is there is found under its key, and in the order of the bytes. */
static uint64_t count_in_order(void)
{
	struct slice key, value, found, last = { 0 };
	char copy[24];
	uint64_t count = 0;

	while (kv_scan(store, (struct slice){ 0 }, last, &key, &value) == KV_OK) {
		assert_true(count == 0 || slice_order(last, key) < 0);
		last = (struct slice){ memcpy(copy, key.ptr, key.len), key.len };
		assert_int_equal(kv_get(store, last, &found), KV_OK);
		assert_ptr_equal(found.ptr, value.ptr);
		count++;
	}
	return count;
}

/* The order of keys is LMDB's own, or stores that are there could not be read. */
static void test_order_is_lmdbs(void **state)
{
	char key[24], value[200] = "";
	uint64_t entries;

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 400; i++)
			assert_int_equal(kv_put(store, drawn_key(key),
			                        (struct slice){ value, draw(sizeof value) }),
			                 KV_OK);
		commit();
		entries = figures().entries;
		kv_close(store);
		order_is_lmdbs = round % 2 == 0;
		store_open(KV_READ);
		assert_int_equal(kv_begin_read(store), KV_OK);
		assert_int_equal(count_in_order(), entries);
		kv_close(store);
		store_open(KV_WRITE);
		begin();
		assert_int_equal(count_in_order(), entries);
	}
	order_is_lmdbs = false;
}

/* LMDB does not write the pages that a batch took and freed again, the last ones too. */
static void test_sound_store_opens_after_every_batch(void **state)
{
	char key[16], value[1300] = "";
	struct stat file;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		unsigned count = 1 + draw(100), first = draw(10000);

		for (unsigned i = 0; i < count; i++)
			assert_int_equal(kv_put(store, numbered(key, first + i),
			                        (struct slice){ value, draw(sizeof value) }),
			                 KV_OK);
		for (unsigned i = draw(count); i > 0; i--)
			assert_int_equal(kv_del(store, numbered(key, first + i)), KV_OK);
		commit();
		assert_int_equal(stat(store_path("data.mdb"), &file), 0);
		assert_true((uint64_t)file.st_size >= figures().used_bytes);
		kv_close(store);
		store_open(round % 3 == 0 ? KV_CREATE : KV_WRITE);
		begin();
	}
}

static unsigned numbers;        /* records of grow() are numbered from 0 up to it */

/* A batch of some half a MiB that grows the store; the first status that is not KV_OK. */
static enum kv_status grow(void)
{
	char key[16], value[2000] = "";
	enum kv_status status = KV_OK;

	begin();
	for (unsigned i = 0; i < 200 && status == KV_OK; i++) {
		status = kv_put(store, numbered(key, numbers),
		                (struct slice){ value, sizeof value });
		numbers += status == KV_OK;
	}
	commit();       /* a put that the reserve refused spoils nothing */
	return status;
}

static void grow_until_full(void)
{
	enum kv_status status;

	while ((status = grow()) == KV_OK)
		;
	assert_int_equal(status, KV_FULL);
}

static void shrink(unsigned count)
{
	char key[16];

	while (count > 0) {
		begin();
		for (unsigned i = 0; i < 100 && count > 0; i++, count--)
			assert_int_equal(kv_del(store, numbered(key, --numbers)), KV_OK);
		commit();
	}
}

/* What the last commit freed is free for the batch behind the next one. */
static void touch(void)
{
	begin();
	kv_use_reserve(store);
	put("touched", "");
	commit();
}

static void test_full_map(void **state)
{
	(void)state;
	numbers = 0;
	commit();
	grow_until_full();
	assert_in_range(figures().used_bytes, STORE_MAP_BYTES - 16 * MIB,
	                STORE_MAP_BYTES - 15 * MIB);
	assert_int_equal(figures().entries, numbers);
	shrink(100);
	touch();
	assert_int_equal(grow(), KV_FULL);      /* less is free than what is kept back */
	for (unsigned round = 0; round < 3; round++) {
		begin();
		assert_int_equal(kv_put(store, SLICE("x"), SLICE("")), KV_FULL);
		assert_int_equal(kv_del(store, SLICE("x")), KV_NOT_FOUND);
		assert_int_equal(kv_begin_child(store), KV_OK);
		kv_use_reserve(store);
		put("x", "reserve");
		assert_int_equal(kv_end_child(store, true), KV_OK);
		commit();
		begin();
		assert_int_equal(kv_put(store, SLICE("y"), SLICE("")), KV_FULL);
		assert_string_equal(get("x"), "reserve");
		assert_int_equal(kv_del(store, SLICE("x")), KV_OK);
		commit();
		shrink(numbers - numbers / 4);
		touch();
		assert_in_range(figures().free_bytes, 16 * MIB, STORE_MAP_BYTES);
		grow_until_full();
		assert_in_range(figures().used_bytes, 0, STORE_MAP_BYTES - 14 * MIB);
		assert_int_equal(figures().entries, numbers + 1);       /* and what touch() put */
	}
}

/* What a reader may still look at is no room, however much of it was deleted. */
static void test_full_map_held_by_a_reader(void **state)
{
	struct peer reader = peer_start();

	(void)state;
	numbers = 0;
	store_open(KV_CREATE);
	grow_until_full();
	assert_int_equal(ask(&reader, 'o'), KV_OK);
	shrink(numbers - numbers / 4);
	touch();
	assert_int_equal(grow(), KV_FULL);
	assert_in_range(figures().free_bytes, 0, MIB);
	assert_int_equal(ask(&reader, 'r'), KV_OK);
	touch();
	assert_in_range(figures().free_bytes, 16 * MIB, STORE_MAP_BYTES);
	assert_int_equal(grow(), KV_OK);
	peer_end(&reader);
}

/* A map made larger by one process is taken over by all others. */
static void test_map_made_larger(void **state)
{
	struct peer reader, writer;

	(void)state;
	store_map_bytes = 17 * MIB;
	reader = peer_start();
	writer = peer_start();
	store_open(KV_CREATE);
	begin();
	put("k", "1");
	commit();
	assert_int_equal(ask(&reader, 'o'), KV_OK);
	assert_int_equal(ask(&writer, 'w'), KV_OK);
	assert_int_equal(grow(), KV_OK);
	grow_until_full();
	assert_in_range(figures().used_bytes, MIB, 2 * MIB);
	kv_close(store);
	store_map_bytes = STORE_MAP_BYTES;
	store_open(KV_WRITE);
	assert_int_equal(figures().map_bytes, STORE_MAP_BYTES);
	while (figures().used_bytes < 20 * MIB)
		assert_int_equal(grow(), KV_OK);
	begin();
	put("k", "2");
	commit();
	assert_int_equal(ask(&reader, 'g'), '1');
	assert_int_equal(ask(&reader, 'r'), KV_OK);
	assert_int_equal(ask(&reader, 'g'), '2');
	assert_int_equal(ask(&writer, 'b'), KV_OK);
	assert_int_equal(ask(&writer, 'g'), '2');
	assert_int_equal(ask(&writer, 'p'), KV_OK);
	assert_int_equal(ask(&writer, 'c'), KV_OK);
	assert_int_equal(ask(&reader, 'r'), KV_OK);
	assert_int_equal(ask(&reader, 'g'), 'P');
	begin();
	assert_string_equal(get("k"), "P");
	peer_end(&writer);
	peer_end(&reader);
}

/* LMDB itself has no page left: the batch is lost, and nothing else. */
static void test_map_without_a_page_left(void **state)
{
	char key[16], value[2000] = "";
	enum kv_status status = KV_OK;
	uint64_t entries;

	(void)state;
	numbers = 0;
	commit();
	grow_until_full();
	entries = figures().entries;
	begin();
	kv_use_reserve(store);
	store_hide_log();
	for (unsigned n = numbers; status == KV_OK && n < numbers + 100000; n++)
		status = kv_put(store, numbered(key, n), (struct slice){ value, sizeof value });
	assert_int_equal(store_show_log(), 1);
	assert_int_equal(status, KV_FULL);
	assert_int_equal(kv_commit(store), KV_FULL);
	assert_int_equal(figures().entries, entries);
	shrink(100);
	assert_int_equal(figures().entries, entries - 100);
}

static void test_full_disk(void **state)
{
	(void)state;
	put("k", "1");
	commit();
	disk_free_bytes = 16 * MIB - 4096;
	begin();
	assert_int_equal(kv_put(store, SLICE("k"), SLICE("2")), KV_FULL);
	assert_int_equal(kv_del(store, SLICE("k")), KV_OK);
	commit();
	begin();
	assert_string_equal(get("k"), "-");
	kv_use_reserve(store);
	put("k", "3");
	commit();
	disk_free_bytes = 16 * MIB;
	begin();
	put("k", "4");
	commit();
	disk_free_bytes = 1024 * MIB;
}

static void test_disk_that_fails(void **state)
{
	static const struct {
		const char *name;
		int write_errno, sync_errno;
		uint64_t disk_free_bytes;
		enum kv_status status;
	} cases[] = {
		{ "no room",                    ENOSPC, 0,      1024 * MIB, KV_FULL },
		{ "quota used up",              EDQUOT, 0,      1024 * MIB, KV_FULL },
		{ "broken",                     EIO,    0,      1024 * MIB, KV_IO   },
		{ "no room, said otherwise",    EIO,    0,      MIB,        KV_FULL },
		{ "broken when it is synced",   0,      EIO,    1024 * MIB, KV_IO   },
		{ "no room when it is synced",  0,      ENOSPC, 1024 * MIB, KV_FULL },
	};
	const struct kv_options durable = { .dir = store_dir, .mode = KV_CREATE,
	                                    .map_bytes = STORE_MAP_BYTES };
	char error[KV_ERROR_MAX];

	(void)state;
	if (sizeof(void *) < 8)         /* LMDB's name for write() is another one there */
		skip();
	store = kv_open(&durable, error);
	assert_non_null(store);
	begin();
	put("k", "1");
	commit();
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum kv_status status;

		begin();
		put("k", "2");
		store_hide_log();
		write_errno = cases[i].write_errno;
		sync_errno = cases[i].sync_errno;
		disk_free_bytes = cases[i].disk_free_bytes;
		status = kv_commit(store);
		write_errno = sync_errno = 0;
		disk_free_bytes = 1024 * MIB;
		assert_int_equal(store_show_log(), 1);
		if (status != cases[i].status)
			fail_msg("%s: %s", cases[i].name, kv_status_text(status));
		assert_false(kv_writing(store));
		begin();
		assert_string_equal(get("k"), "1");
		put("k", "1");
		commit();
	}
}

static long file_system;                /* that of all directories, where not 0 */

int __real_statfs(const char *path, struct statfs *s);
int __wrap_statfs(const char *path, struct statfs *s);

int __wrap_statfs(const char *path, struct statfs *s)
{
	int result = __real_statfs(path, s);

	if (file_system != 0)
		s->f_type = file_system;
	return result;
}

/* Requirement D03: refused in words, with nothing made there. */
static void test_network_file_systems(void **state)
{
	static const long remote[] = { 0x6969, 0x517b, 0xff534d42, 0xfe534d42 };
	char error[KV_ERROR_MAX];

	(void)state;
	if (sizeof(void *) < 8)
		skip();                 /* statfs() has another name there */
	for (size_t i = 0; i < COUNT_OF(remote); i++) {
		file_system = remote[i];
		error[0] = '\0';
		assert_null(store_try(KV_CREATE, error));
		assert_non_null(strstr(error, store_dir));
		assert_non_null(strstr(error, "network"));
		assert_false(kv_exists(store_dir));
	}
	file_system = 0x01021994;       /* tmpfs */
	assert_non_null(store_try(KV_CREATE, error));
	file_system = 0;
}

static void test_owner_of_the_files(void **state)
{
	const uid_t owner = 65534;
	struct stat data, lock;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(store_dir, owner, owner), 0);
	store_open(KV_CREATE);
	kv_close(store);
	assert_int_equal(stat(store_path("data.mdb"), &data), 0);
	assert_int_equal(stat(store_path("lock.mdb"), &lock), 0);
	assert_int_equal(data.st_uid, owner);
	assert_int_equal(lock.st_uid, owner);
	assert_int_equal(data.st_mode & 0777, 0600);
	for (enum kv_mode mode = KV_READ; mode <= KV_WRITE; mode++) {
		unlink(store_path("lock.mdb"));
		store_open(mode);
		kv_close(store);
		assert_int_equal(stat(store_path("lock.mdb"), &lock), 0);
		assert_int_equal(lock.st_uid, owner);
	}
}

#define IN_A_BATCH(f)     cmocka_unit_test_setup_teardown(f, store_set_up, store_tear_down)
#define IN_A_DIRECTORY(f) cmocka_unit_test_setup_teardown(f, make_directory, store_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_texts),
		IN_A_BATCH(test_put_get_del),
		IN_A_BATCH(test_longest_key),
		IN_A_BATCH(test_failed_put_spoils_the_batch),
		IN_A_BATCH(test_children),
		IN_A_BATCH(test_batch_of_children_alone_is_kept),
		IN_A_BATCH(test_abort),
		IN_A_BATCH(test_commit_is_there_after_reopening),
		IN_A_BATCH(test_append),
		IN_A_BATCH(test_reading_only),
		IN_A_BATCH(test_reading_without_a_snapshot),
		IN_A_BATCH(test_scan),
		IN_A_BATCH(test_scan_of_an_empty_store),
		IN_A_BATCH(test_scan_while_changing),
		IN_A_BATCH(test_snapshot_number),
		IN_A_DIRECTORY(test_reader_beside_a_writer),
		IN_A_DIRECTORY(test_writer_beside_a_writer),
		IN_A_DIRECTORY(test_writer_killed_in_a_batch),
		IN_A_DIRECTORY(test_reader_killed),
		IN_A_DIRECTORY(test_watched),
		IN_A_BATCH(test_stat),
		IN_A_DIRECTORY(test_exists),
		IN_A_DIRECTORY(test_missing_store),
		IN_A_DIRECTORY(test_store_that_cannot_be_made),
		IN_A_DIRECTORY(test_store_made_by_two),
		IN_A_DIRECTORY(test_building),
		IN_A_DIRECTORY(test_built_beside_another),
		IN_A_DIRECTORY(test_damaged_store),
		IN_A_DIRECTORY(test_file_that_is_no_store),
		IN_A_BATCH(test_order_is_lmdbs),
		IN_A_BATCH(test_sound_store_opens_after_every_batch),
		IN_A_BATCH(test_full_map),
		IN_A_DIRECTORY(test_full_map_held_by_a_reader),
		IN_A_DIRECTORY(test_map_made_larger),
		IN_A_BATCH(test_map_without_a_page_left),
		IN_A_BATCH(test_full_disk),
		IN_A_DIRECTORY(test_disk_that_fails),
		IN_A_DIRECTORY(test_network_file_systems),
		IN_A_DIRECTORY(test_owner_of_the_files),
	};

	return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
