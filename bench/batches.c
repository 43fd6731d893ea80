/* batches.c -- the floor of writing: bare LMDB puts what sidecart's writer puts.
 *
 * Usage: batches DATA WRITES COMMITS [line]. DATA is a store in which sidecart made baskets; a
 * server may have it open, but nobody may write to it meanwhile. COMMITS transactions, each as
 * durable as the writer's (the same flags), put WRITES baskets back each, drawn anew: the
 * records as they stand, under their keys, so that sizes, tree and disk are those that sidecart
 * wrote to. With `line` each write also puts the counter of line ids, as the add of another
 * product does. What came of it is one line of names and figures on stdout.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "record.h"

#define COUNT_MAX     10000000u
#define RECORDS_MAX   1000000u
#define READERS_MAX   512       /* as kv.c: all who open a store agree on it */

struct record {
	struct record_key key;
	size_t len;
	char *bytes;
};

static MDB_env *env;
static MDB_dbi dbi;
static struct record *records;
static size_t record_count;
static uint64_t record_bytes;

static void must(const char *what, int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "batches: %s: %s\n", what, mdb_strerror(rc));
	exit(111);
}

static uint32_t count_of(const char *text)
{
	uint64_t n;

	if (slice_uint(slice_of(text), COUNT_MAX, &n) && n > 0)
		return (uint32_t)n;
	fprintf(stderr, "batches: %s: not a number from 1 to %u\n", text, COUNT_MAX);
	exit(100);
}

static void keep(MDB_val key, MDB_val value)
{
	struct record *r = &records[record_count++];

	memcpy(r->key.bytes, key.mv_data, key.mv_size);
	r->key.len = key.mv_size;
	r->len = value.mv_size;
	r->bytes = malloc(value.mv_size);
	if (r->bytes == NULL)
		must("memory", ENOMEM);
	memcpy(r->bytes, value.mv_data, value.mv_size);
	record_bytes += value.mv_size;
}

static void load_baskets(void)
{
	uint8_t first = RECORD_BASKET;
	MDB_val key = { 1, &first }, value;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int rc;

	records = calloc(RECORDS_MAX, sizeof *records);
	if (records == NULL)
		must("memory", ENOMEM);
	must("mdb_txn_begin", mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	must("mdb_dbi_open", mdb_dbi_open(txn, NULL, 0, &dbi));
	must("mdb_cursor_open", mdb_cursor_open(txn, dbi, &cursor));
	for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	     rc == 0 && *(uint8_t *)key.mv_data == RECORD_BASKET && record_count < RECORDS_MAX;
	     rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		keep(key, value);
	if (rc != MDB_NOTFOUND)
		must("mdb_cursor_get", rc);
	mdb_cursor_close(cursor);
	must("mdb_txn_commit", mdb_txn_commit(txn));
	if (record_count > 0)
		return;
	fprintf(stderr, "batches: there is no basket in the store\n");
	exit(100);
}

static void open_store(const char *data)
{
	must("mdb_env_create", mdb_env_create(&env));
	must("mdb_env_set_maxreaders", mdb_env_set_maxreaders(env, READERS_MAX));
	must(data, mdb_env_open(env, data, MDB_NOTLS, 0600));
}

/* xorshift32 (Marsaglia 2003). */
static struct record *draw(void)
{
	static uint32_t x = 1;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return &records[(uint64_t)x * record_count >> 32];
}

/* The counter is put as it stands, too: a line's id must not be given twice. */
static void put_counter(MDB_txn *txn)
{
	struct record_key k;
	struct slice name = record_meta_key(&k, "next_line");
	MDB_val key = { name.len, k.bytes }, value;
	char bytes[8];

	must("next_line", mdb_get(txn, dbi, &key, &value));
	if (value.mv_size != sizeof bytes)
		must("next_line", MDB_BAD_VALSIZE);
	memcpy(bytes, value.mv_data, sizeof bytes);
	value.mv_data = bytes;
	must("mdb_put", mdb_put(txn, dbi, &key, &value, 0));
}

static void run_batch(uint32_t writes, bool line)
{
	MDB_txn *txn;

	must("mdb_txn_begin", mdb_txn_begin(env, NULL, 0, &txn));
	for (uint32_t i = 0; i < writes; i++) {
		struct record *r = draw();
		MDB_val key = { r->key.len, r->key.bytes }, value = { r->len, r->bytes };

		if (line)
			put_counter(txn);
		must("mdb_put", mdb_put(txn, dbi, &key, &value, 0));
	}
	must("mdb_txn_commit", mdb_txn_commit(txn));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	bool line = argc == 5 && slice_eq(slice_of(argv[4]), SLICE("line"));
	uint32_t writes, commits;
	double took;

	if (argc != 4 && !line) {
		fprintf(stderr, "usage: batches DATA WRITES COMMITS [line]\n");
		return 100;
	}
	writes = count_of(argv[2]);
	commits = count_of(argv[3]);
	open_store(argv[1]);
	load_baskets();
	took = now();
	for (uint32_t i = 0; i < commits; i++)
		run_batch(writes, line);
	took = now() - took;
	printf("baskets %zu record_bytes %.1f writes_per_commit %u commits %u seconds %.6f "
	       "writes_per_s %.0f commit_us %.0f\n", record_count,
	       (double)record_bytes / (double)record_count, writes, commits, took,
	       (double)writes * commits / took, took * 1e6 / commits);
	mdb_env_close(env);
	return 0;
}
