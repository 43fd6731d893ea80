/* test_power.c -- power loss at every point of the writer's work (requirement D01).
 *
 * A writer serves shoppers (ledger.h) while each of its writes, syncs and changes of names is
 * recorded, in their order and together with the answers that leave. Then the power is cut
 * after every event: of what was not synced by then, any sector of 512 bytes may be on the
 * disk and any may not. Each such disk is opened, and must hold
 *  (1) exactly the records of one commit, neither older than the last answer that left nor
 *      newer than what was written; `sidecart check` finds each commit sound;
 *  (2) for every shopper what the ledger says that he was answered, or that and the one request
 *      that was under way, as a whole;
 *  (3) a store that can go on: further commits stand beside all that was there.
 * An import into a store that is not there yet is recorded and cut in the same way: its file has no
 * name, or it is whole.
 * That the test sees what it is for is shown with records that lack one sync.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "moving.h"             /* before what works on its store */
#include "ledger.h"
#include "route.h"
#include "writer.h"

#define ROUNDS      72                  /* of requests that are waiting together */
#define OPS_MAX     (ROUNDS + 1)        /* of one shopper */
#define EVENTS_MAX  8192
#define BYTES_MAX   ((size_t)64 << 20)  /* of all that is written */
#define COMMITS_MAX 512
#define SECTOR      512
#define DISK_MAX    ((size_t)64 << 20)
#define PENDING_MAX 16384
#define SECTORS_MAX 65536
#define VARIANTS    12                  /* disks of each kind that are drawn at a sync */
#define HANG_S      10                  /* of work on a damaged store */

enum kind {
	NOTHING,                        /* taken out of the record, as a planted fault */
	WRITE,
	DURABLE_WRITE,                  /* through a descriptor opened with O_DSYNC: a commit */
	LOST_WRITE,                     /* a commit that is not durable, as a planted fault */
	RESIZE,
	NAME,                           /* the file was given its name */
	SYNC,
	SYNC_DATA,                      /* fdatasync() */
	SYNC_NAMES,
	ASKED,                          /* a request was sent */
	ANSWER,
	SET_UP,                         /* what was there before the first request is committed */
};

struct event {
	enum kind kind;
	uint64_t at, len;               /* WRITE; RESIZE: `at` */
	size_t bytes;                   /* where they stand in the record */
	unsigned shopper;               /* ASKED, ANSWER */
};

/* Shared with the writer's process. */
static struct record {
	bool mapped_writable;
	size_t count, used;
	struct event events[EVENTS_MAX];
	uint64_t digests[COMMITS_MAX];  /* of all records at each commit: filled in by replays */
	size_t commits;
	char bytes[BYTES_MAX];
} *record;

static struct {
	struct shopper_state after[OPS_MAX];    /* [0]: at first */
	size_t sent;
} shoppers[SHOPPERS];

/* --- The record ------------------------------------------------------------------------------ */

#define FDS 64
static struct {
	enum { OTHER, DATA, DATA_DURABLE, DIRECTORY } is;
} fds[FDS];
static bool recording;                  /* the process of the writer */
static bool dry;                        /* replays sync nothing: nobody cuts their power */
static bool importing;                  /* what is recorded is an import */
static bool all_named;                  /* no file can be made without a name */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
enum link_result __real_link_send_answer(struct link *l, const struct link_answer *a,
                                         struct slice response);
enum link_result __wrap_link_send_answer(struct link *l, const struct link_answer *a,
                                         struct slice response);

/* The test notes too, while the writer stands still, wherever. */
static struct event *note(enum kind kind)
{
	size_t i = __atomic_fetch_add(&record->count, 1, __ATOMIC_SEQ_CST);

	must(i < EVENTS_MAX, "too many events");
	record->events[i] = (struct event){ .kind = kind };
	return &record->events[i];
}

static void note_write(int fd, const void *bytes, size_t len, uint64_t at)
{
	struct event *e = note(fds[fd].is == DATA_DURABLE ? DURABLE_WRITE : WRITE);

	must(len <= BYTES_MAX - record->used, "too many bytes");
	e->at = at;
	e->len = len;
	e->bytes = record->used;
	memcpy(record->bytes + record->used, bytes, len);
	record->used += len;
}

static bool is_data(int fd)
{
	return recording && fd >= 0 && fd < FDS &&
	       (fds[fd].is == DATA || fds[fd].is == DATA_DURABLE);
}

int __wrap_open(const char *path, int flags, ...)
{
	bool data = strstr(path, "/data.mdb") != NULL || strstr(path, "/new.") != NULL ||
	            strncmp(path, "/proc/self/fd/", strlen("/proc/self/fd/")) == 0;
	mode_t mode = 0;
	va_list rest;
	int fd;

	if (all_named && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	va_start(rest, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(rest, mode_t);
	va_end(rest);
	fd = __real_open(path, flags, mode);
	if (!recording || fd < 0)
		return fd;
	must(fd < FDS, "a descriptor above the table");
	fds[fd].is = OTHER;
	if (data)
		fds[fd].is = (flags & O_DSYNC) != 0 ? DATA_DURABLE : DATA;
	else if ((flags & O_DIRECTORY) != 0 && strcmp(path, store_dir) == 0)
		fds[fd].is = DIRECTORY;
	return fd;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	ssize_t n = __real_pwrite(fd, bytes, len, at);

	if (n > 0 && is_data(fd))
		note_write(fd, bytes, (size_t)n, (uint64_t)at);
	return n;
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
	off_t at = is_data(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t n = __real_writev(fd, parts, count), left = n;

	for (int i = 0; i < count && left > 0 && is_data(fd); i++) {
		size_t len = parts[i].iov_len < (size_t)left ? parts[i].iov_len : (size_t)left;

		note_write(fd, parts[i].iov_base, len, (uint64_t)at);
		at += (off_t)len;
		left -= (ssize_t)len;
	}
	return n;
}

int __wrap_ftruncate(int fd, off_t size)
{
	int result = __real_ftruncate(fd, size);

	if (result == 0 && is_data(fd))
		note(RESIZE)->at = (uint64_t)size;
	return result;
}

int __wrap_fsync(int fd)
{
	int result = dry ? 0 : __real_fsync(fd);

	if (result == 0 && is_data(fd))
		note(SYNC);
	else if (result == 0 && recording && fd < FDS && fds[fd].is == DIRECTORY)
		note(SYNC_NAMES);
	return result;
}

int __wrap_fdatasync(int fd)
{
	int result = dry ? 0 : __real_fdatasync(fd);

	if (result == 0 && is_data(fd))
		note(SYNC_DATA);
	return result;
}

/* What is written through a map is in no record (requirement D03). */
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (is_data(fd) && (protection & PROT_WRITE) != 0)
		record->mapped_writable = true;
	return __real_mmap(at, len, protection, flags, fd, offset);
}

/* The store is made without its name. */
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	int result = __real_linkat(from_dir, from, to_dir, to, flags);

	if (result == 0 && recording && strstr(to, "/data.mdb") != NULL)
		note(NAME);
	return result;
}

enum link_result __wrap_link_send_answer(struct link *l, const struct link_answer *a,
                                         struct slice response)
{
	if (recording)
		note(ANSWER)->shopper = a->slot;
	return __real_link_send_answer(l, a, response);
}

/* --- What is recorded ------------------------------------------------------------------------ */

static void fill(void)
{
	const struct kv_options options = { .dir = store_dir, .mode = KV_CREATE,
		                            .map_bytes = STORE_MAP_BYTES };
	char error[KV_ERROR_MAX];

	store = kv_open(&options, error);
	assert_non_null(store);
	assert_int_equal(kv_begin(store), KV_OK);
	process_add_key();
	for (unsigned i = 0; i < SHOPPERS; i++)
		process_add_customer(ledger_login(i), "");
	ledger_add_product(store);
	assert_int_equal(kv_commit(store), KV_OK);
	kv_close(store);
	note(SET_UP);
}

static int run(int its_control)
{
	recording = true;
	fill();
	return writer_run(&config, its_control);
}

static void send_op(struct link *link, unsigned shopper)
{
	static const struct http_limits limits = { 8192, 2048, 64, LINK_BODY_MAX };
	static char text[LEDGER_TEXT];
	struct shopper_state *now = &shoppers[shopper].after[shoppers[shopper].sent];
	struct link_request r = { .slot = shopper, .flags = LINK_KEEP_ALIVE };
	struct http_request request;
	struct http_refusal refusal;
	struct route_match match;
	struct slice all;

	ledger_draw(shopper, now, now + 1, text);
	shoppers[shopper].sent++;
	note(ASKED)->shopper = shopper;
	all = slice_of(text);
	http_request_init(&request);
	assert_int_equal(http_parse(&request, all, &limits, &refusal), HTTP_READY);
	route_find(&request, false, &match);
	r.route = route_number(&match);
	r.head_len = (uint32_t)request.head_len;
	r.body_len = (uint32_t)(all.len - request.head_len);
	r.now_us = (uint64_t)time(NULL) * 1000000;
	for (size_t i = 0; i < sizeof r.random; i++)
		r.random[i] = (uint8_t)draw();
	assert_int_equal(link_send_request(link, &r, slice_bytes(text, request.head_len),
	                                   slice_skip(all, request.head_len)), LINK_DONE);
	assert_false(link_sending(link));
}

static void hear_op(struct link *link)
{
	struct link_answer a;
	struct slice response;
	enum link_result result = LINK_LATER;

	while (result == LINK_LATER) {
		assert_true(readable(link->fd, PROCESS_WAIT_MS));
		result = link_receive_answer(link, &a, &response);
	}
	assert_int_equal(result, LINK_DONE);
	if (a.status >= 300)
		fail_msg("%u: %.*s", a.status, (int)response.len, response.ptr);
}

/* The requests of a round wait together, so that the batches are the same each time. */
static void serve_round(struct link links[2])
{
	int status, heard[2] = { 0 };

	kill(process_pid, SIGSTOP);
	assert_int_equal(waitpid(process_pid, &status, WUNTRACED), process_pid);
	assert_true(WIFSTOPPED(status));
	for (unsigned i = 0; i < SHOPPERS; i++) {
		if (below(3) == 0)
			continue;
		heard[i % 2]++;
		send_op(&links[i % 2], i);
	}
	kill(process_pid, SIGCONT);
	for (int i = 0; i < 2; i++)
		while (heard[i]-- > 0)
			hear_op(&links[i]);
}

static void make_record(void)
{
	static struct link links[2];
	char text[SECRET_MAX], error[SECRET_ERROR_MAX];
	struct buf secret = BUF(text);

	record->count = record->used = record->commits = 0;
	recording = false;
	memset(shoppers, 0, sizeof shoppers);
	process_configure();
	config.workers = 2;
	must(secret_read(config.sid_secret_file, &secret, error), error);
	ledger_keys_make(buf_slice(&secret));
	process_start(run);
	for (uint32_t i = 0; i < 2; i++) {
		if (links[i].in.ptr == NULL)
			assert_true(link_open(&links[i]));
		link_join(&links[i], process_link(ORDER_FRONT_LINK, i));
	}
	for (int i = 0; i < ROUNDS; i++)
		serve_round(links);
	link_leave(&links[0]);
	link_leave(&links[1]);
	process_end();
	assert_false(record->mapped_writable);
}

/* --- The disk -------------------------------------------------------------------------------- */

/* What is not durable yet: one sector, a size, or the name. A sector goes to the disk as it
 * stands in the system's memory, with what was written to it before. */
struct op {
	enum kind kind;
	uint64_t at;
	const char *bytes;
};

static struct replay {
	const struct event *events;
	char *cache, *disk;             /* all that was written, and what of it is durable; */
	uint64_t size, high;            /* the durable file's size, and the end of its bytes */
	bool named;
	struct op pending[PENDING_MAX];
	size_t count;
	char *sectors;                  /* of `pending` */
	size_t sector_count;
	bool take[PENDING_MAX];         /* those that reached the disk all the same */
	int fd;                         /* the file of this disk */
	size_t event;
	bool set_up;
	size_t commits, acknowledged;   /* commits that were written, and that an answer rests on */
	size_t asked[SHOPPERS], answered[SHOPPERS];
	uint64_t images;
	char why[KV_ERROR_MAX];
} r;

static void must_write(const char *bytes, size_t len, uint64_t at)
{
	must(__real_pwrite(r.fd, bytes, len, (off_t)at) == (ssize_t)len, "pwrite");
}

static void must_resize(uint64_t size)
{
	must(__real_ftruncate(r.fd, (off_t)size) == 0, "ftruncate");
}

/* The file has what is durable, and nothing else. */
static void restore_file(void)
{
	must_resize(0);
	must_write(r.disk, (size_t)(r.high < r.size ? r.high : r.size), 0);
	must_resize(r.size);
}

static void make_durable(const struct op *op)
{
	if (op->kind == NAME) {
		r.named = true;
		return;
	}
	if (op->kind == RESIZE) {
		r.size = op->at;
		must_resize(r.size);
		return;
	}
	memcpy(r.disk + op->at, op->bytes, SECTOR);
	must_write(op->bytes, SECTOR, op->at);
	if (r.high < op->at + SECTOR)
		r.high = op->at + SECTOR;
	if (r.size < r.high)
		r.size = r.high;
}

/* Puts what was taken onto the durable disk; false: the file has no name then. */
static bool make_image(void)
{
	bool named = r.named;

	for (size_t i = 0; i < r.count; i++) {
		const struct op *op = &r.pending[i];

		if (!r.take[i])
			continue;
		if (op->kind == NAME)
			named = true;
		else if (op->kind == RESIZE)
			must_resize(op->at);
		else
			must_write(op->bytes, SECTOR, op->at);
	}
	return named;
}

static void unmake_image(void)
{
	for (size_t i = 0; i < r.count; i++)
		if (r.take[i] && r.pending[i].kind == WRITE)
			must_write(r.disk + r.pending[i].at, SECTOR, r.pending[i].at);
	must_resize(r.size);
}

/* --- The judge ------------------------------------------------------------------------------- */

static bool __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list rest;

	va_start(rest, format);
	vsnprintf(r.why, sizeof r.why, format, rest);
	va_end(rest);
	return false;
}

static uint64_t mix(uint64_t hash, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
	return (hash ^ s.len) * UINT64_C(0x100000001b3);
}

#define EXTRA "Zextra"                  /* keys that the test itself has added */

/* Of all records; 0 where the store fails. */
static uint64_t digest(struct kv *kv)
{
	struct record_key after = { .len = 0 };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct slice key, value, place = SLICE("\0");
	enum kv_status status;

	while ((status = kv_scan(kv, (struct slice){ 0 }, place, &key, &value)) == KV_OK) {
		if (!slice_starts(key, SLICE(EXTRA)))
			hash = mix(mix(hash, key), value);
		if (key.len > sizeof after.bytes || slice_order(key, place) <= 0)
			return 0;
		memcpy(after.bytes, key.ptr, key.len);
		place = slice_bytes(after.bytes, key.len);
	}
	return status == KV_NOT_FOUND ? hash : 0;
}

static bool ledger_holds(struct kv *kv)
{
	for (unsigned i = 0; r.set_up && i < SHOPPERS; i++) {
		const struct shopper_state *a = &shoppers[i].after[r.answered[i]];
		struct shopper_state s;
		bool there = ledger_observe(kv, i, (uint64_t)time(NULL), &s);

		if (!there)
			return complain("shopper %u: his records contradict each other", i);
		if (ledger_equal(&s, a) ||
		    (r.answered[i] < r.asked[i] && ledger_equal(&s, a + 1)))
			continue;
		return complain("shopper %u after %zu answers: in %d number %u own %u guest %u, "
		                "not in %d number %u own %u guest %u", i, r.answered[i], s.in,
		                s.number, s.own, s.guest, a->in, a->number, a->own, a->guest);
	}
	return true;
}

/* A process of the server's, over the disk at hand. */
static struct kv *open_image(enum kv_mode mode)
{
	const struct kv_options options = { .dir = store_dir, .mode = mode };
	char error[KV_ERROR_MAX];
	struct kv *kv = kv_open(&options, error);

	if (kv == NULL)
		complain("%s", error);
	return kv;
}

/* What a server does next: it writes. All that was there must stay, whatever pages it takes. */
static bool goes_on(uint64_t before)
{
	static char value[20000];
	struct kv *kv = open_image(KV_WRITE);
	bool done = kv != NULL;

	for (char i = 'a'; done && i < 'd'; i++) {
		const char key[] = EXTRA, name[] = { i };

		memset(value, i, sizeof value);
		done = kv_begin(kv) == KV_OK &&
		       kv_put(kv, SLICE(EXTRA), slice_bytes(value, 5000)) == KV_OK &&
		       kv_put(kv, slice_bytes(key, sizeof key - 2),
		              slice_bytes(name, 1)) == KV_OK;
		done = done && kv_del(kv, slice_bytes(key, sizeof key - 2)) == KV_OK &&
		       kv_put(kv, SLICE(EXTRA "2"), slice_bytes(value, sizeof value)) == KV_OK &&
		       kv_commit(kv) == KV_OK;
	}
	kv_close(kv);
	if (!done)
		return complain("cannot go on");
	kv = open_image(KV_READ);
	done = kv != NULL && kv_begin_read(kv) == KV_OK && digest(kv) == before &&
	       ledger_holds(kv);
	kv_close(kv);
	restore_file();
	make_image();
	return done || complain("what was there is damaged by what was written after it");
}

/* What `sidecart check` says. */
static bool checks(void)
{
	static struct command_line line;

	memset(&line, 0, sizeof line);
	line.config = config;
	line.now_us = (uint64_t)time(NULL) * 1000000;
	if (command_check(&line) == COMMAND_DONE)
		return true;
	dup2(STDERR_FILENO, STDOUT_FILENO);
	command_check(&line);
	return complain("sidecart check finds fault");
}

/* All of it is there. */
static bool judge_import(void)
{
	struct kv *kv = open_image(KV_READ);
	bool whole = kv != NULL && kv_begin_read(kv) == KV_OK && digest(kv) == record->digests[0];

	kv_close(kv);
	return whole ? checks() : complain("the store has its name and is not whole");
}

/* One disk, as who starts the server again finds it. */
static bool judge_image(bool named)
{
	struct kv *kv;
	uint64_t found;
	bool holds = false;

	if (!named)
		return !r.set_up || complain("the file is not in the directory");
	if (importing)
		return judge_import();
	kv = open_image(KV_READ);
	if (kv == NULL)
		return false;
	if (kv_begin_read(kv) != KV_OK || (found = digest(kv)) == 0) {
		kv_close(kv);
		return complain("cannot be read");
	}
	for (size_t i = r.acknowledged; i <= r.commits; i++)
		holds = holds || found == record->digests[i];
	if (!holds)
		complain("holds no commit of %zu to %zu", r.acknowledged, r.commits);
	holds = holds && ledger_holds(kv);
	kv_close(kv);
	if (holds && r.images % 16 == 0)
		holds = goes_on(found);
	return holds && (r.images % 64 != 0 || !r.set_up || checks());
}

static bool try_image(const char *what)
{
	bool holds;

	r.images++;
	holds = judge_image(make_image());
	unmake_image();
	if (!holds)
		fprintf(stderr, "seed %llu, event %zu, %s: %s\n",
		        (unsigned long long)torture_seed, r.event, what, r.why);
	return holds;
}

/* --- The replay ------------------------------------------------------------------------------ */

static void take_all(bool take)
{
	for (size_t i = 0; i < r.count; i++)
		r.take[i] = take;
}

static bool try_single(bool take)
{
	size_t i = r.count > 0 ? below((uint32_t)r.count) : 0;

	take_all(!take);
	if (r.count > 0)
		r.take[i] = take;
	return try_image(take ? "one sector alone" : "all but one sector");
}

static bool try_any(void)
{
	uint32_t of_16 = 1 + below(15);

	for (size_t i = 0; i < r.count; i++)
		r.take[i] = below(16) < of_16;
	return try_image("some sectors");
}

/* The power goes just before a sync is done. */
static bool cut_at_sync(void)
{
	take_all(false);
	if (!try_image("nothing"))
		return false;
	take_all(true);
	if (!try_image("everything"))
		return false;
	for (int i = 0; i < VARIANTS && r.count > 1; i++)
		if (!try_single(true) || !try_single(false) || !try_any())
			return false;
	return true;
}

/* The power goes in the middle of a write and just behind it. */
static bool cut_at_write(size_t first)
{
	take_all(true);
	if (!try_image("all so far"))
		return false;
	for (size_t i = first + below((uint32_t)(r.count - first)); i < r.count; i++)
		r.take[i] = false;
	return try_image("a write torn");
}

static void add_op(enum kind kind, uint64_t at, const char *bytes)
{
	must(r.count < PENDING_MAX, "too much is pending");
	r.pending[r.count++] = (struct op){ kind, at, bytes };
}

static void add_pending(const struct event *e)
{
	uint64_t end = e->at + e->len;

	if (e->kind == NAME || e->kind == RESIZE) {
		add_op(e->kind, e->at, NULL);
		return;
	}
	must(end <= DISK_MAX, "a write behind the disk");
	memcpy(r.cache + e->at, record->bytes + e->bytes, e->len);
	for (uint64_t at = e->at / SECTOR * SECTOR; at < end; at += SECTOR) {
		char *sector = r.sectors + SECTOR * r.sector_count++;

		must(r.sector_count <= SECTORS_MAX, "too many sectors are pending");
		memcpy(sector, r.cache + at, SECTOR);
		add_op(WRITE, at, sector);
	}
}

static bool overlaps(const struct op *op, size_t first)
{
	for (size_t i = first; i < r.count; i++)
		if (op->kind == WRITE && r.pending[i].kind == WRITE && r.pending[i].at == op->at)
			return true;
	return false;
}

/* Makes durable what pends from `first` on, and what it overwrites; or the name alone. */
static void settle(size_t first, bool name)
{
	size_t kept = 0, sectors = 0;

	for (size_t i = 0; i < r.count; i++) {
		const struct op *op = &r.pending[i];

		if ((op->kind == NAME) == name && (i >= first || overlaps(op, first))) {
			make_durable(op);
		} else {
			sectors += op->kind == WRITE;
			r.pending[kept++] = *op;
		}
	}
	r.count = kept;
	if (sectors == 0)
		r.sector_count = 0;
}

static bool step_write(const struct event *e, bool judged)
{
	size_t first = r.count;

	add_pending(e);
	r.commits += e->kind == DURABLE_WRITE || e->kind == LOST_WRITE;
	if (judged && !cut_at_write(first))
		return false;
	if (e->kind == DURABLE_WRITE)
		settle(first, false);
	return true;
}

/* One event; where `judged`, the power goes there. False: something was lost. */
static bool step(const struct event *e, bool judged)
{
	switch (e->kind) {
	case NOTHING:
		return true;
	case WRITE:
	case DURABLE_WRITE:
	case LOST_WRITE:
	case RESIZE:
	case NAME:
		return step_write(e, judged);
	case SYNC:
	case SYNC_DATA:
	case SYNC_NAMES:
		if (judged && !cut_at_sync())
			return false;
		settle(0, e->kind == SYNC_NAMES);
		return true;
	case ASKED:
		r.asked[e->shopper]++;
		return true;
	case ANSWER:
		r.answered[e->shopper]++;
		break;
	case SET_UP:
		r.set_up = true;
		break;
	}
	r.acknowledged = r.commits;
	take_all(false);
	return !judged || e[1].kind == ANSWER || try_image("just after an answer");
}

/* Once a process: disk and cache are zeroed. */
static void begin_replay(const struct event *events)
{
	const char *path = store_path("data.mdb");
	char *cache = r.cache, *disk = r.disk, *sectors = r.sectors;

	memset(&r, 0, sizeof r);
	r.events = events;
	r.cache = cache;
	r.disk = disk;
	r.sectors = sectors;
	unlink(path);
	r.fd = __real_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(r.fd >= 0, "open");
}

/* Replays all events; the power goes at those of [from, to). */
static bool replay(const struct event *events, size_t from, size_t to)
{
	bool holds = true;

	begin_replay(events);
	for (r.event = 0; holds && r.event < to; r.event++)
		holds = step(&events[r.event], r.event >= from);
	holds = holds && cut_at_sync();
	close(r.fd);
	return holds;
}

/* Fills in what each commit holds, and has `sidecart check` look at it. */
static bool take_digests(void)
{
	bool holds = true;

	begin_replay(record->events);
	record->digests[0] = 0;
	for (r.event = 0; holds && r.event < record->count; r.event++) {
		size_t before = r.commits;
		struct kv *kv;

		holds = step(&record->events[r.event], false);
		if (r.commits == before)
			continue;
		must(r.commits < COMMITS_MAX, "too many commits");
		kv = open_image(KV_READ);
		must(kv != NULL && kv_begin_read(kv) == KV_OK, r.why);
		if (r.commits == 1)
			record->digests[0] = UINT64_C(0xcbf29ce484222325);      /* of no record */
		record->digests[r.commits] = digest(kv);
		holds = record->digests[r.commits] != 0;
		kv_close(kv);
		holds = holds && checks();
	}
	record->commits = r.commits;
	close(r.fd);
	if (!holds)
		fprintf(stderr, "commit %zu: %s\n", r.commits, r.why);
	return holds;
}

/* Does the work in a process of its own: a damaged store may end it, or hold it up. True: it
 * did, and all holds. */
static bool in_process(bool (*work)(const struct event *events, size_t from, size_t to),
                       const struct event *events, size_t from, size_t to, bool loud)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		rlim_t cpu_s = loud ? 600 : HANG_S;
		int null = __real_open("/dev/null", O_WRONLY);

		recording = false;
		dry = true;
		setrlimit(RLIMIT_CPU, &(struct rlimit){ cpu_s, cpu_s });
		dup2(null, STDOUT_FILENO);
		if (!loud)
			dup2(null, STDERR_FILENO);
		status = work(events, from, to) ? 0 : 1;
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static bool work_digests(const struct event *events, size_t from, size_t to)
{
	(void)events;
	(void)from;
	(void)to;
	return take_digests();
}

static bool work_replay(const struct event *events, size_t from, size_t to)
{
	bool holds = replay(events, from, to);

	if (holds)
		fprintf(stderr, "seed %llu: %zu events, %zu commits, %llu disks\n",
		        (unsigned long long)torture_seed, record->count, record->commits,
		        (unsigned long long)r.images);
	return holds;
}

/* --- The tests ------------------------------------------------------------------------------- */

static void *memory(size_t bytes, int flags)
{
	void *at = __real_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                       flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static int set_up(void **state)
{
	(void)state;
	record = memory(sizeof *record, MAP_SHARED);
	r.disk = memory(DISK_MAX, MAP_PRIVATE);
	r.cache = memory(DISK_MAX, MAP_PRIVATE);
	r.sectors = memory((size_t)SECTORS_MAX * SECTOR, MAP_PRIVATE);
	return 0;
}

/* A record, a directory for its replays, and what each commit of it holds. */
static void begin_round(void)
{
	make_record();
	process_configure();
	assert_true(in_process(work_digests, NULL, 0, 0, true));
}

static void end_round(void)
{
	unlink(store_path("use"));
	process_clean();
}

/* Opens the store, perhaps commits something, and says how often its name was synced by then. */
static size_t syncs_of_name(enum kv_mode mode, bool commits)
{
	const struct kv_options options = { .dir = store_dir, .mode = mode,
		                            .map_bytes = STORE_MAP_BYTES };
	char error[KV_ERROR_MAX];
	struct kv *kv = kv_open(&options, error);
	size_t syncs = 0;

	assert_non_null(kv);
	for (size_t i = 0; i < record->count; i++)
		syncs += record->events[i].kind == SYNC_NAMES;
	if (commits) {
		assert_int_equal(kv_begin(kv), KV_OK);
		assert_int_equal(kv_put(kv, SLICE(EXTRA), SLICE("")), KV_OK);
		assert_int_equal(kv_commit(kv), KV_OK);
	}
	kv_close(kv);
	return syncs;
}

/* Whoever made the file may have died before its name was durable: all who may commit first see
 * to that, and nobody behind them needs to. */
static void test_name_is_synced_once(void **state)
{
	(void)state;
	record->count = record->used = 0;
	process_configure();
	recording = true;
	assert_int_equal(syncs_of_name(KV_CREATE, false), 1);
	assert_int_equal(syncs_of_name(KV_READ, false), 1);
	assert_int_equal(syncs_of_name(KV_WRITE, false), 2);
	assert_int_equal(syncs_of_name(KV_WRITE, true), 3);
	assert_int_equal(syncs_of_name(KV_CREATE, true), 3);
	assert_int_equal(syncs_of_name(KV_WRITE, false), 3);
	recording = false;
	end_round();
}

static void test_power_loss(void **state)
{
	(void)state;
	torture_rounds = 0;
	while (torture_round()) {
		begin_round();
		assert_true(in_process(work_replay, record->events, 0, record->count, true));
		end_round();
	}
}

/* The end of a window behind event `i`, where its lack must have shown: the second sync. */
static size_t window_end(const struct event *events, size_t i)
{
	int syncs = 0;

	for (i++; i < record->count && syncs < 2; i++)
		syncs += events[i].kind == SYNC_DATA;
	return i;
}

static struct event faulty[EVENTS_MAX];

static void expect_loss(const char *what, size_t from)
{
	if (in_process(work_replay, faulty, from, window_end(faulty, from), false))
		fail_msg("seed %llu, event %zu: %s, and nothing was found",
		         (unsigned long long)torture_seed, from, what);
}

/* Moves the answers behind the commit at `i` in front of it; false: there are none. */
static bool answer_early(size_t i)
{
	struct event commit = faulty[i];
	size_t to = i;

	while (to + 1 < record->count && faulty[to + 1].kind == ANSWER)
		to++;
	memmove(&faulty[i], &faulty[i + 1], (to - i) * sizeof commit);
	faulty[to] = commit;
	return to > i;
}

/* Where the store gets its name. */
static size_t drop_names(void)
{
	size_t named = 0;

	memcpy(faulty, record->events, sizeof faulty);
	for (size_t i = 0; i < record->count; i++) {
		if (faulty[i].kind == SYNC_NAMES)
			faulty[i].kind = NOTHING;
		if (faulty[i].kind == NAME)
			named = i;
	}
	return named;
}

/* The test of the test: without one sync, or with answers before it, something is lost, and
 * seen to be. */
static void test_planted_faults(void **state)
{
	size_t planted = 0;

	(void)state;
	torture_rounds = 0;
	assert_true(torture_round());
	begin_round();
	for (size_t i = 0; i < record->count; i++) {
		enum kind kind = record->events[i].kind;

		memcpy(faulty, record->events, sizeof faulty);
		if (kind == SYNC_DATA) {
			faulty[i].kind = NOTHING;
			expect_loss("without this fdatasync()", i);
			planted++;
		} else if (kind == DURABLE_WRITE && record->events[i + 1].kind == ANSWER) {
			faulty[i].kind = LOST_WRITE;
			expect_loss("with a commit that is not synced", i);
			memcpy(faulty, record->events, sizeof faulty);
			assert_true(answer_early(i));
			expect_loss("with answers before the commit", i);
			planted += 2;
		}
	}
	expect_loss("without a sync of the directory", drop_names());
	print_message("%zu faults planted, all found\n", planted);
	assert_true(planted > 2 * ROUNDS);
	end_round();
}

/* An import: what it does to its disk, and what it leaves. */
static void record_import(void)
{
	int status = -1;
	pid_t pid;

	record->count = record->used = record->commits = 0;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		recording = true;
		status = moving_import();
		note(SET_UP);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(record->mapped_writable);
	store_open(KV_READ);
	assert_int_equal(kv_begin_read(store), KV_OK);
	record->digests[0] = digest(store);
	kv_close(store);
}

static size_t find_event(enum kind kind)
{
	size_t i = 0;

	while (record->events[i].kind != kind)
		assert_true(++i < record->count);
	return i;
}

/* Its commits wait for no disk: one sync, behind all writes and in front of the name. */
static void plant_in_import(void)
{
	size_t sync = find_event(SYNC_DATA), name = find_event(NAME);

	assert_true(sync < name);
	for (size_t i = sync; i < record->count; i++)
		assert_true(record->events[i].kind > RESIZE);
	memcpy(faulty, record->events, sizeof faulty);
	faulty[sync].kind = NOTHING;
	expect_loss("without a sync of what was imported", sync);
	faulty[sync].kind = NAME;
	faulty[name].kind = SYNC_DATA;
	expect_loss("with the name before the sync", sync);
	expect_loss("without a sync of the directory", drop_names());
}

static void test_import(void **state)
{
	(void)state;
	importing = true;
	torture_rounds = 0;
	assert_true(torture_round());
	for (int i = 0; i < 2; i++) {
		all_named = i > 0;
		process_configure();
		moving_make();
		record_import();
		assert_true(in_process(work_replay, record->events, 0, record->count, true));
		plant_in_import();
		unlink(store_path("dump"));
		end_round();
	}
	importing = all_named = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_is_synced_once),
		cmocka_unit_test(test_planted_faults),
		cmocka_unit_test(test_power_loss),
		cmocka_unit_test(test_import),
	};

	return cmocka_run_group_tests_name("power", tests, set_up, NULL);
}
