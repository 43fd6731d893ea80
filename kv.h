/* kv.h -- the store's only door: transactions over one LMDB environment.
 *
 * A process holds one `struct kv` and in it at most one transaction at a time: a front a
 * read snapshot, the writer a batch with one child transaction per request inside, a
 * command a batch without children.
 *
 * Memory  a slice from kv_get() or kv_scan() points into LMDB's map. It lives until the
 *         next kv_put(), kv_del(), or end or renewal of the transaction.
 * Errors  enum kv_status. KV_FULL and KV_IO from a put or a commit spoil the whole batch.
 * Limits  key 1..511 bytes.
 * Source  lmdb.h 0.9.24: mdb_txn_begin(), MDB_NOTLS, mdb_reader_check().
 */
#ifndef KV_H
#define KV_H

#include "bytes.h"

enum kv_status {
	KV_OK,
	KV_NOT_FOUND,   /* no such key; the transaction goes on */
	KV_READONLY,    /* a put on a snapshot: the request belongs to the writer */
	KV_AGAIN,       /* not fetched yet: run the handler again (the embedded store: never) */
	KV_FULL,        /* the map or the disk has no room to grow */
	KV_IO,          /* the disk or LMDB failed; logged where it happened */
	KV_STATUSES
};

const char *kv_status_text(enum kv_status s);

enum kv_mode {
	KV_READ,        /* a front: no write can be begun */
	KV_WRITE,       /* the writer, and commands that change what is there */
	KV_CREATE,      /* as KV_WRITE, and makes the store where there is none */
	KV_BUILD,       /* as KV_CREATE, where there is none; but see kv_building() */
};

struct kv_options {
	const char *dir;        /* an existing directory */
	enum kv_mode mode;
	uint64_t map_bytes;     /* read only by KV_WRITE and KV_CREATE; 0: adopt what is there,
	                         * as all others do */
	bool nosync;            /* durability=unsafe-nosync */
};

#define KV_ERROR_MAX 512

/* Opens the store of this process; NULL with one line in `error` where it cannot: also on a
 * network's file system. The one handle is static: a process opens one store at a time, and
 * never forks after. */
struct kv *kv_open(const struct kv_options *options, char error[KV_ERROR_MAX]);
void kv_close(struct kv *kv);

/* True where `dir` holds a store. */
bool kv_exists(const char *dir);

/* True of a KV_BUILD's store that has no name yet: no other process sees it, its commits wait for
 * no disk, and kv_close() drops it -- until kv_publish() has it on disk, whole, under its name. It
 * is gone with this process, too, where the file system makes files without a name. After
 * anything but KV_OK it has no name, as where another process made a store meanwhile, or one that
 * a power loss may take. */
bool kv_building(const struct kv *kv);
enum kv_status kv_publish(struct kv *kv);

/* A front's snapshot: begun once; kv_refresh() moves it to the newest commit where one was
 * made since (a comparison where none was) and holds it; kv_reset() lets go of it. */
enum kv_status kv_begin_read(struct kv *kv);
enum kv_status kv_refresh(struct kv *kv);
void kv_reset(struct kv *kv);

/* The number of the snapshot held, which grows with each commit; equal numbers: equal data,
 * and slices got under it are still good. */
uint64_t kv_snapshot(const struct kv *kv);

/* The writer's batch. kv_commit() returns when it is on disk (unless nosync); after
 * anything but KV_OK nothing of the batch was kept, and no batch is open. */
enum kv_status kv_begin(struct kv *kv);
enum kv_status kv_commit(struct kv *kv);
void kv_abort(struct kv *kv);

/* One request's puts inside the batch: kept together or dropped together. */
enum kv_status kv_begin_child(struct kv *kv);
enum kv_status kv_end_child(struct kv *kv, bool keep);

/* True once a kv_begin() has found that LMDB takes no batch any more: the write that ends a
 * commit had failed. Only who opens the store anew can go on. */
bool kv_dead(const struct kv *kv);

/* True between kv_begin() and the end of its batch. */
bool kv_writing(const struct kv *kv);

enum kv_status kv_get(struct kv *kv, struct slice key, struct slice *value);

/* On a snapshot: KV_READONLY. A put that needs room which is kept back for deletes and the
 * sweep (map_size less 5 %, at least 16 MiB) is KV_FULL. */
enum kv_status kv_put(struct kv *kv, struct slice key, struct slice value);
enum kv_status kv_del(struct kv *kv, struct slice key);

/* A put behind the last key of all, which fills pages; KV_IO where the key is not. */
enum kv_status kv_append(struct kv *kv, struct slice key, struct slice value);

/* The first record whose key starts with `prefix` and is greater than `after` (absent or
 * empty: the first of all). KV_NOT_FOUND at the end. Holds no cursor: what is put or
 * deleted between two calls is seen. `after` may be the key of the last answer, copied. */
enum kv_status kv_scan(struct kv *kv, struct slice prefix, struct slice after,
                       struct slice *key, struct slice *value);

/* Lets the sweep and deletes use the reserve, for the transaction at hand. */
void kv_use_reserve(struct kv *kv);

/* Frees the slots of readers that died; returns how many. */
int kv_check_readers(struct kv *kv);

/* True where another process has the store open for reading, whether it looks just now or not: a
 * server's front. Not while this one reads. */
bool kv_watched(struct kv *kv);

struct kv_stat {
	uint64_t map_bytes, used_bytes, free_bytes;     /* free: inside used, reusable */
	uint64_t tree_bytes;            /* pages of all keys and records; the rest of used: lists
	                                 * of free pages, and what the last commits freed */
	uint64_t entries, last_snapshot;
	uint32_t page_bytes, depth, readers, readers_max;
	uint64_t oldest_reader;         /* snapshot number; 0: no reader */
};

enum kv_status kv_stat(struct kv *kv, struct kv_stat *s);

/* The same without free_bytes, which takes a walk over all pages that are free. */
void kv_look(struct kv *kv, struct kv_stat *s);

const char *kv_version(void);

#endif
