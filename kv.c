/* kv.c -- see kv.h.
 *
 * Numbered facts that the code below relies on:
 *  (1) There is one transaction, or none: a snapshot (KV_READ), or a batch and at most one
 *      child inside it. `innermost()` is where gets and puts go.
 *  (2) LMDB never waits for a reader, and a reader never for the writer: a begun write
 *      transaction excludes other writers of this and other processes alone.
 *  (3) What a failed LMDB put leaves behind is unknown: the batch is `spoiled` and can only
 *      be aborted. A put that the reserve refuses touched nothing and spoils nothing.
 *  (4) LMDB writes no page that was taken and freed again inside one batch, so the file of a
 *      sound store may end before its last page. lengthen() keeps a hole behind that page,
 *      ahead of every batch: then only a file that was cut is shorter than its meta page says.
 *  (5) Freed pages can be used again by a batch where no reader looks at them any more: those
 *      that commits before the oldest reader's freed, where the last commit counts as read.
 *  (6) In a large store each key that a binary search of the last page looks at is a miss of the
 *      cache, one behind the other. Once the first is compared, all that are in the page can be
 *      fetched together. Its head is read for that alone: what is fetched for nothing costs
 *      nothing else. A batch searches copies of pages outside the map, so only readers may.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "kv.h"
#include "life.h"
#include "log.h"

#define PATH_CAP      1024
#define READERS_MAX   512
#define RESERVE_BYTES ((uint64_t)16 << 20)      /* the least that is kept back, map and disk */
#define LOOK_BYTES     4096     /* no page is smaller, nor ends off it */
#define CACHE_LINE     64

struct kv {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *snapshot;              /* KV_READ: begun once, then reset and renewed */
	bool held;                      /* the snapshot is not reset */
	uint64_t snapshot_id;
	uint64_t file_bytes;            /* data.mdb is this long, or longer */
	MDB_txn *batch, *child;
	bool dirty, child_dirty;        /* something was put */
	bool growth_refused, use_reserve;
	enum kv_status spoiled;         /* KV_OK, or why the batch can only be aborted */
	bool dead;
	int new_fd;                     /* of a file that is to become data.mdb, */
	char new_path[FILE_PATH_MAX];   /* and how to open and link it; "": there is none */
	enum kv_mode mode;
	char dir[PATH_CAP];
};

/* What a page begins with (LMDB's data format 1): its records stand from `upper` on. */
struct page_head {
	size_t number;
	uint16_t pad, flags, lower, upper;
};
enum { LEAF = 2 };

static const char *const status_text[KV_STATUSES] = {
	[KV_OK]        = "ok",
	[KV_NOT_FOUND] = "no such key",
	[KV_READONLY]  = "store is open for reading only",
	[KV_AGAIN]     = "record is not fetched yet",
	[KV_FULL]      = "store is full",
	[KV_IO]        = "store failed",
};
static_assert(KV_STATUSES == 6, "a new kv_status needs its line in status_text");

const char *kv_status_text(enum kv_status s)
{
	return (unsigned)s < KV_STATUSES ? status_text[s] : "unknown";
}

static bool disk_low(const struct kv *kv)
{
	struct statvfs v;

	return statvfs(kv->dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < RESERVE_BYTES;
}

/* Turns an LMDB error into a status, logged here once. */
static enum kv_status failed(const struct kv *kv, const char *what, int rc)
{
	char quoted[256];

	if (rc == MDB_NOTFOUND)
		return KV_NOT_FOUND;
	log_event(LOG_ERROR, "store_failed", "call=%s error=%s", what,
	          log_quote(quoted, sizeof quoted, slice_of(mdb_strerror(rc))));
	if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || (rc == EIO && disk_low(kv)))
		return KV_FULL;
	return KV_IO;
}

static MDB_val val_of(struct slice s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.ptr };
}

static struct slice slice_of_val(MDB_val v)
{
	return (struct slice){ v.mv_data, v.mv_size };
}

static MDB_txn *innermost(const struct kv *kv)
{
	if (kv->child != NULL)
		return kv->child;
	return kv->batch != NULL ? kv->batch : kv->snapshot;
}

/* Apart from compare(), which then needs no registers but those that it may spoil. */
static __attribute__((noinline)) int compare_whole(const MDB_val *a, const MDB_val *b)
{
	return slice_order(slice_of_val(*a), slice_of_val(*b));
}

/* The order of LMDB's own comparison, memcmp()'s and then the shorter key first; most keys are
 * told apart by their first eight bytes. */
static inline int compare(const MDB_val *a, const MDB_val *b)
{
	if (a->mv_size >= sizeof(uint64_t) && b->mv_size >= sizeof(uint64_t)) {
		uint64_t first = be64toh(word_at(a->mv_data)), other = be64toh(word_at(b->mv_data));

		if (first != other)
			return first < other ? -1 : 1;
	}
	return compare_whole(a, b);
}

/* See (6). */
static void fetch_leaf(const char *page)
{
	struct page_head head;

	memcpy(&head, page, sizeof head);
	if ((head.flags & LEAF) == 0)
		return;
	for (size_t at = head.upper; at < LOOK_BYTES; at += CACHE_LINE)
		__builtin_prefetch(page + at);
}

/* The same, in a map: `b` is a key of the page that is searched. */
static int compare_ahead(const MDB_val *a, const MDB_val *b)
{
	static const char *last = "";
	const char *page = (const char *)b->mv_data -
	                   ((uintptr_t)b->mv_data & (LOOK_BYTES - 1));

	if (page != last) {
		last = page;
		fetch_leaf(page);
	}
	return compare(a, b);
}

static bool store_path(char *out, size_t cap, const char *dir, const char *file)
{
	int n = snprintf(out, cap, "%s/%s", dir, file);

	return n > 0 && (size_t)n < cap;
}

bool kv_exists(const char *dir)
{
	char path[PATH_CAP];

	return store_path(path, sizeof path, dir, "data.mdb") && access(path, F_OK) == 0;
}

static uint64_t file_bytes(const struct kv *kv)
{
	struct stat st;
	char path[PATH_CAP];

	if (!store_path(path, sizeof path, kv->dir, "data.mdb") || stat(path, &st) != 0)
		return 0;
	return (uint64_t)st.st_size;
}

static uint64_t used_bytes(const struct kv *kv)
{
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(kv->env, &info);
	mdb_env_stat(kv->env, &st);
	return (uint64_t)(info.me_last_pgno + 1) * st.ms_psize;
}

/* Root makes files for the account that will serve: the owner of the directory. */
static void give_to_owner(const struct kv *kv)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	struct stat dir, st;
	char path[PATH_CAP];

	if (geteuid() != 0 || stat(kv->dir, &dir) != 0)
		return;
	for (size_t i = 0; i < COUNT_OF(files); i++)
		if (store_path(path, sizeof path, kv->dir, files[i]) && stat(path, &st) == 0 &&
		    st.st_uid != dir.st_uid && chown(path, dir.st_uid, dir.st_gid) != 0)
			log_event(LOG_WARN, "chown_failed", "file=%s errno=%d", files[i], errno);
}

static int open_environment(struct kv *kv, const struct kv_options *o, const char *path,
                            unsigned flags)
{
	MDB_txn *txn;
	int rc;

	if (o->mode == KV_READ)
		flags |= MDB_RDONLY;
	if (o->nosync)
		flags |= MDB_NOSYNC;
	if ((rc = mdb_env_create(&kv->env)) != 0)
		return rc;
	if ((rc = mdb_env_set_maxreaders(kv->env, READERS_MAX)) != 0)
		return rc;
	if (o->mode != KV_READ && (rc = mdb_env_set_mapsize(kv->env, (size_t)o->map_bytes)) != 0)
		return rc;
	if ((rc = mdb_env_open(kv->env, path, flags | MDB_NOTLS, 0600)) != 0)
		return rc;
	if ((rc = mdb_txn_begin(kv->env, NULL, o->mode == KV_READ ? MDB_RDONLY : 0, &txn)) != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &kv->dbi);
	if (rc == 0)
		rc = mdb_set_compare(txn, kv->dbi, o->mode == KV_READ ? compare_ahead : compare);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* Locks and maps are shared by processes of one machine alone (lmdb.h; requirement D03). */
static bool is_remote(const char *dir)
{
	struct statfs s;

	if (statfs(dir, &s) != 0)
		return false;
	switch ((uint32_t)s.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case 0xff534d42:                /* CIFS, */
	case 0xfe534d42:                /* and SMB 2 */
		return true;
	default:
		return false;
	}
}

/* The file's name lasts from here on: LMDB syncs what is in the file alone. */
static int sync_name(const struct kv *kv)
{
	int fd, rc;

	fd = open(kv->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

/* A new store, in a file that nobody finds: its commits wait for no disk. */
static int open_new(struct kv *kv, const struct kv_options *o)
{
	if ((kv->new_fd = file_make(kv->dir, kv->new_path)) >= 0)
		return open_environment(kv, o, kv->new_path, MDB_NOSUBDIR | MDB_NOLOCK |
		                        MDB_NOSYNC);
	kv->new_path[0] = '\0';
	return errno;
}

/* What has no other name is gone. */
static void drop_new(struct kv *kv)
{
	if (kv->new_path[0] == '\0')
		return;
	close(kv->new_fd);
	unlink(kv->new_path);
	kv->new_path[0] = '\0';
}

/* A new store is on disk before it has its name: a full disk or a power loss leaves none or a
 * whole one. */
static int give_name(struct kv *kv)
{
	char path[PATH_CAP];
	int rc = mdb_env_sync(kv->env, 1);

	if (rc == 0 && !store_path(path, sizeof path, kv->dir, "data.mdb"))
		rc = ENAMETOOLONG;
	if (rc == 0 && linkat(AT_FDCWD, kv->new_path, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0)
		rc = errno;
	return rc;
}

/* One that came first, from another process, stays. */
static int make(struct kv *kv, const struct kv_options *o)
{
	int rc = open_new(kv, o);

	if (rc == 0)
		rc = give_name(kv);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	kv->env = NULL;
	drop_new(kv);
	return rc == EEXIST ? 0 : rc;
}

/* Whoever may make the first commit sees to it that the name lasts; behind that one it needs no
 * more. */
static int open_named(struct kv *kv, const struct kv_options *o)
{
	MDB_envinfo info;
	int rc = kv_exists(kv->dir) ? 0 : make(kv, o);

	if (rc == 0)
		rc = open_environment(kv, o, kv->dir, 0);
	if (rc != 0 || o->mode == KV_READ)
		return rc;
	mdb_env_info(kv->env, &info);
	return info.me_last_txnid > 0 ? 0 : sync_name(kv);
}

struct kv *kv_open(const struct kv_options *options, char error[KV_ERROR_MAX])
{
	static struct kv store;
	struct kv *kv = &store;
	int rc;

	assert(kv->env == NULL);
	*kv = (struct kv){ .mode = options->mode };
	if (strlen(options->dir) >= sizeof kv->dir) {
		snprintf(error, KV_ERROR_MAX, "%.64s...: path too long", options->dir);
		return NULL;
	}
	memcpy(kv->dir, options->dir, strlen(options->dir) + 1);
	if (options->mode < KV_CREATE && !kv_exists(options->dir)) {
		snprintf(error, KV_ERROR_MAX, "%s: no store here: use --data DIR or SIDECART_DATA",
		         options->dir);
		return NULL;
	}
	if (is_remote(options->dir)) {
		snprintf(error, KV_ERROR_MAX, "%s: on a network's file system: keep the store on a "
		         "disk of this machine", options->dir);
		return NULL;
	}
	/* LMDB would begin anew in it, as if nobody had ever been logged in. */
	if (kv_exists(options->dir) && file_bytes(kv) == 0) {
		snprintf(error, KV_ERROR_MAX, "%s/data.mdb: empty: restore a backup, or remove it "
		         "to begin anew", options->dir);
		return NULL;
	}
	rc = options->mode == KV_BUILD && !kv_exists(options->dir) ? open_new(kv, options) :
	                                                              open_named(kv, options);
	if (rc != 0) {
		snprintf(error, KV_ERROR_MAX, "%s: cannot open the store: %s", options->dir,
		         mdb_strerror(rc));
	} else if (!kv_building(kv) && file_bytes(kv) < used_bytes(kv)) {
		/* It would end in a SIGBUS at some later read. */
		snprintf(error, KV_ERROR_MAX, "%s/data.mdb: shorter than its own record of its "
		         "size: restore a backup", options->dir);
		rc = MDB_CORRUPTED;
	}
	if (rc != 0) {
		kv_close(kv);
		return NULL;
	}
	give_to_owner(kv);
	return kv;
}

void kv_close(struct kv *kv)
{
	if (kv == NULL)
		return;
	kv_abort(kv);
	if (kv->snapshot != NULL)
		mdb_txn_abort(kv->snapshot);
	if (kv->env != NULL)
		mdb_env_close(kv->env);
	drop_new(kv);
	*kv = (struct kv){ 0 };
}

bool kv_building(const struct kv *kv)
{
	return kv->new_path[0] != '\0';
}

enum kv_status kv_publish(struct kv *kv)
{
	int rc;

	assert(kv_building(kv) && kv->batch == NULL);
	rc = give_name(kv);
	if (rc == 0) {
		drop_new(kv);
		give_to_owner(kv);
		rc = sync_name(kv);
	}
	return rc == 0 ? KV_OK : failed(kv, "publish", rc);
}

enum kv_status kv_begin_read(struct kv *kv)
{
	int rc;

	assert(kv->snapshot == NULL && kv->batch == NULL);
	rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &kv->snapshot);
	if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(kv->env, 0) == 0)
		rc = mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &kv->snapshot);
	if (rc != 0) {
		kv->snapshot = NULL;
		return failed(kv, "mdb_txn_begin", rc);
	}
	kv->held = true;
	kv->snapshot_id = mdb_txn_id(kv->snapshot);
	return KV_OK;
}

void kv_reset(struct kv *kv)
{
	if (kv->held)
		mdb_txn_reset(kv->snapshot);
	kv->held = false;
}

enum kv_status kv_refresh(struct kv *kv)
{
	MDB_envinfo info;
	int rc;

	assert(kv->snapshot != NULL);
	if (kv->held) {
		mdb_env_info(kv->env, &info);
		if (info.me_last_txnid == kv->snapshot_id)
			return KV_OK;
		kv_reset(kv);
	}
	rc = mdb_txn_renew(kv->snapshot);
	if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(kv->env, 0) == 0)
		rc = mdb_txn_renew(kv->snapshot);
	if (rc != 0)
		return failed(kv, "mdb_txn_renew", rc);
	kv->held = true;
	kv->snapshot_id = mdb_txn_id(kv->snapshot);
	return KV_OK;
}

uint64_t kv_snapshot(const struct kv *kv)
{
	return kv->snapshot_id;
}

/* One line of mdb_reader_list(): "pid thread txnid", txnid "-" where idle. */
static int take_reader(const char *line, void *context)
{
	uint64_t *oldest = context;
	const char *last = strrchr(line, ' ');
	uint64_t id = last != NULL ? strtoull(last, NULL, 10) : 0;

	if (id > 0 && (*oldest == 0 || id < *oldest))
		*oldest = id;
	return 0;
}

/* The snapshot number of the oldest reader; 0: no reader. */
static uint64_t oldest_reader(struct kv *kv)
{
	uint64_t oldest = 0;

	mdb_reader_list(kv->env, take_reader, &oldest);
	return oldest;
}

/* Pages inside the file that the next batch can use again. LMDB lists them in its database 0
 * under the number of the commit that freed them; only a read transaction may walk it. */
static uint64_t free_pages(struct kv *kv)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, data;
	uint64_t pages = 0, oldest;

	if (mdb_txn_begin(kv->env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	oldest = oldest_reader(kv);     /* this one at the latest: it looks at the last commit */
	if (mdb_cursor_open(txn, 0, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
			size_t commit, count;

			memcpy(&commit, key.mv_data, sizeof commit);
			memcpy(&count, data.mv_data, sizeof count);
			if (commit < oldest)
				pages += count;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return pages;
}

static uint64_t reserve_bytes(uint64_t map_bytes)
{
	uint64_t part = map_bytes / 20;

	return part > RESERVE_BYTES ? part : RESERVE_BYTES;
}

/* Judged once a batch: no batch grows by as much as the reserve. */
static bool must_not_grow(struct kv *kv)
{
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(kv->env, &info);
	mdb_env_stat(kv->env, &st);
	if (used_bytes(kv) + reserve_bytes(info.me_mapsize) <= info.me_mapsize && !disk_low(kv))
		return false;
	return free_pages(kv) * st.ms_psize < RESERVE_BYTES;
}

/* See (4); a disk that refuses it only makes a cut file harder to tell. The writer's lock is
 * held: no other process makes the file longer. */
static void lengthen(struct kv *kv)
{
	MDB_envinfo info;
	uint64_t used = used_bytes(kv), want = used + 2 * RESERVE_BYTES;
	off_t end;
	int fd;

	if (used + RESERVE_BYTES <= kv->file_bytes)
		return;
	mdb_env_info(kv->env, &info);
	if (want > info.me_mapsize)
		want = info.me_mapsize;
	if (mdb_env_get_fd(kv->env, &fd) != 0 || (end = lseek(fd, 0, SEEK_END)) < 0)
		return;
	kv->file_bytes = (uint64_t)end;
	if (kv->file_bytes < want && ftruncate(fd, (off_t)want) == 0 &&
	    (kv_building(kv) || fsync(fd) == 0))
		kv->file_bytes = want;
}

enum kv_status kv_begin(struct kv *kv)
{
	int rc;

	assert(kv->mode != KV_READ && kv->batch == NULL);
	life_wait(true);        /* another process may be writing */
	rc = mdb_txn_begin(kv->env, NULL, 0, &kv->batch);
	if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(kv->env, 0) == 0)
		rc = mdb_txn_begin(kv->env, NULL, 0, &kv->batch);
	life_wait(false);
	if (rc != 0) {
		kv->batch = NULL;
		kv->dead = rc == MDB_PANIC;
		return failed(kv, "mdb_txn_begin", rc);
	}
	kv->dirty = kv->use_reserve = false;
	kv->spoiled = KV_OK;
	kv->growth_refused = must_not_grow(kv);
	lengthen(kv);
	kv->snapshot_id = mdb_txn_id(kv->batch);
	return KV_OK;
}

void kv_abort(struct kv *kv)
{
	if (kv->child != NULL)
		mdb_txn_abort(kv->child);
	if (kv->batch != NULL)
		mdb_txn_abort(kv->batch);
	kv->child = kv->batch = NULL;
}

enum kv_status kv_commit(struct kv *kv)
{
	MDB_txn *batch = kv->batch;
	int rc;

	assert(batch != NULL && kv->child == NULL);
	if (kv->spoiled != KV_OK || !kv->dirty) {
		kv_abort(kv);
		return kv->spoiled;
	}
	kv->batch = NULL;       /* mdb_txn_commit() frees it, whatever it answers */
	rc = mdb_txn_commit(batch);
	return rc == 0 ? KV_OK : failed(kv, "mdb_txn_commit", rc);
}

enum kv_status kv_begin_child(struct kv *kv)
{
	int rc;

	assert(kv->batch != NULL && kv->child == NULL);
	if (kv->spoiled != KV_OK)
		return kv->spoiled;
	rc = mdb_txn_begin(kv->env, kv->batch, 0, &kv->child);
	kv->child_dirty = false;
	if (rc == 0)
		return KV_OK;
	kv->child = NULL;
	return kv->spoiled = failed(kv, "mdb_txn_begin(child)", rc);
}

enum kv_status kv_end_child(struct kv *kv, bool keep)
{
	MDB_txn *child = kv->child;
	int rc;

	assert(child != NULL);
	kv->child = NULL;
	if (!keep || !kv->child_dirty || kv->spoiled != KV_OK) {
		mdb_txn_abort(child);
		return kv->spoiled;
	}
	rc = mdb_txn_commit(child);
	if (rc != 0)
		return kv->spoiled = failed(kv, "mdb_txn_commit(child)", rc);
	kv->dirty = true;
	return KV_OK;
}

bool kv_dead(const struct kv *kv)
{
	return kv->dead;
}

bool kv_writing(const struct kv *kv)
{
	return kv->batch != NULL;
}

enum kv_status kv_get(struct kv *kv, struct slice key, struct slice *value)
{
	MDB_val k = val_of(key), v;
	int rc;

	if (key.len == 0)
		return KV_NOT_FOUND;
	rc = mdb_get(innermost(kv), kv->dbi, &k, &v);
	if (rc == 0) {
		*value = slice_of_val(v);
		return KV_OK;
	}
	return rc == MDB_NOTFOUND ? KV_NOT_FOUND : failed(kv, "mdb_get", rc);
}

static void mark_dirty(struct kv *kv)
{
	if (kv->child != NULL)
		kv->child_dirty = true;
	else
		kv->dirty = true;
}

static enum kv_status put(struct kv *kv, struct slice key, struct slice value, unsigned flags)
{
	MDB_val k = val_of(key), v = val_of(value);
	int rc;

	if (kv->batch == NULL)
		return KV_READONLY;
	if (kv->growth_refused && !kv->use_reserve)
		return KV_FULL;
	rc = mdb_put(innermost(kv), kv->dbi, &k, &v, flags);
	if (rc != 0)
		return kv->spoiled = failed(kv, "mdb_put", rc);
	mark_dirty(kv);
	return KV_OK;
}

enum kv_status kv_put(struct kv *kv, struct slice key, struct slice value)
{
	return put(kv, key, value, 0);
}

enum kv_status kv_append(struct kv *kv, struct slice key, struct slice value)
{
	return put(kv, key, value, MDB_APPEND);
}

enum kv_status kv_del(struct kv *kv, struct slice key)
{
	MDB_val k = val_of(key);
	int rc;

	if (kv->batch == NULL)
		return KV_READONLY;
	if (key.len == 0)
		return KV_NOT_FOUND;
	rc = mdb_del(innermost(kv), kv->dbi, &k, NULL);
	if (rc == MDB_NOTFOUND)
		return KV_NOT_FOUND;
	if (rc != 0)
		return kv->spoiled = failed(kv, "mdb_del", rc);
	mark_dirty(kv);
	return KV_OK;
}

enum kv_status kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                       struct slice *key, struct slice *value)
{
	MDB_val k = val_of(after.len > 0 ? after : prefix), v;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(innermost(kv), kv->dbi, &cursor);

	if (rc != 0)
		return failed(kv, "mdb_cursor_open", rc);
	rc = mdb_cursor_get(cursor, &k, &v, k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && after.len > 0 && slice_eq(slice_of_val(k), after))
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	mdb_cursor_close(cursor);
	if (rc != 0)
		return failed(kv, "mdb_cursor_get", rc);
	if (!slice_starts(slice_of_val(k), prefix))
		return KV_NOT_FOUND;
	*key = slice_of_val(k);
	*value = slice_of_val(v);
	return KV_OK;
}

void kv_use_reserve(struct kv *kv)
{
	kv->use_reserve = true;
}

int kv_check_readers(struct kv *kv)
{
	int dead = 0;

	mdb_reader_check(kv->env, &dead);
	return dead;
}

/* One line of mdb_reader_list(), which begins with the reader's pid; the head has none. */
static int take_pid(const char *line, void *context)
{
	*(bool *)context |= strtoull(line, NULL, 10) > 0;
	return 0;
}

bool kv_watched(struct kv *kv)
{
	bool watched = false;

	kv_check_readers(kv);
	mdb_reader_list(kv->env, take_pid, &watched);
	return watched;
}

void kv_look(struct kv *kv, struct kv_stat *s)
{
	MDB_envinfo info;
	MDB_stat st;

	mdb_env_info(kv->env, &info);
	mdb_env_stat(kv->env, &st);
	*s = (struct kv_stat){
		.map_bytes     = info.me_mapsize,
		.used_bytes    = used_bytes(kv),
		.tree_bytes    = (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
		                 (uint64_t)st.ms_psize,
		.entries       = st.ms_entries,
		.last_snapshot = info.me_last_txnid,
		.page_bytes    = st.ms_psize,
		.depth         = st.ms_depth,
		.readers       = info.me_numreaders,
		.readers_max   = info.me_maxreaders,
		.oldest_reader = oldest_reader(kv),
	};
}

enum kv_status kv_stat(struct kv *kv, struct kv_stat *s)
{
	kv_look(kv, s);
	s->free_bytes = free_pages(kv) * s->page_bytes;
	return KV_OK;
}

const char *kv_version(void)
{
	return mdb_version(NULL, NULL, NULL);
}
