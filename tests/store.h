/* store.h -- a store in a directory of its own, made for one test and removed behind it. */
#ifndef STORE_H
#define STORE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kv.h"

#define STORE_MAP_BYTES ((uint64_t)64 << 20)

static uint64_t store_map_bytes = STORE_MAP_BYTES;
static char store_dir[256];
static struct kv *store;

static inline const char *store_path(const char *file)
{
	static char path[sizeof store_dir + 16];

	snprintf(path, sizeof path, "%s/%s", store_dir, file);
	return path;
}

/* How many entries a directory has. */
static inline size_t store_count(const char *dir)
{
	DIR *all = opendir(dir);
	size_t count = 0;

	assert_non_null(all);
	for (const struct dirent *file; (file = readdir(all)) != NULL;)
		count += file->d_name[0] != '.';
	closedir(all);
	return count;
}

/* Makes the directory alone. */
static inline void store_make(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(store_dir, sizeof store_dir, "%s/sidecart-test.XXXXXX",
	         parent != NULL ? parent : P_tmpdir);
	assert_non_null(mkdtemp(store_dir));
}

static inline void store_remove(void)
{
	kv_close(store);
	store = NULL;
	unlink(store_path("data.mdb"));
	unlink(store_path("lock.mdb"));
	rmdir(store_dir);
}

/* Opens it in `mode`; NULL with a line in `error` where it cannot. */
static inline struct kv *store_try(enum kv_mode mode, char error[KV_ERROR_MAX])
{
	const struct kv_options options = {
		.dir = store_dir, .mode = mode, .map_bytes = store_map_bytes, .nosync = true,
	};

	return store = kv_open(&options, error);
}

static inline void store_open(enum kv_mode mode)
{
	char error[KV_ERROR_MAX];

	if (store_try(mode, error) == NULL)
		fail_msg("%s", error);
}

/* A new store and, in it, an open batch: what most tests work in. */
static inline int store_set_up(void **state)
{
	(void)state;
	store_make();
	store_open(KV_CREATE);
	assert_int_equal(kv_begin(store), KV_OK);
	return 0;
}

static inline int store_tear_down(void **state)
{
	(void)state;
	store_remove();
	return 0;
}

/* Ends the batch and begins the next: what was counted then is all there. */
static inline void store_commit(void)
{
	assert_int_equal(kv_commit(store), KV_OK);
	assert_int_equal(kv_begin(store), KV_OK);
}

static inline uint64_t store_entries(void)
{
	struct kv_stat s;

	store_commit();
	assert_int_equal(kv_stat(store, &s), KV_OK);
	return s.entries;
}

/* Keeps what is logged out of sight; gives standard error back and says how many lines
 * there were. */
static int store_stderr, store_log;

static inline void store_hide_log(void)
{
	static const char name[] = "log";

	store_log = open(store_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unlink(store_path(name));
	store_stderr = dup(STDERR_FILENO);
	assert_true(store_log >= 0 && store_stderr >= 0);
	dup2(store_log, STDERR_FILENO);
}

static inline size_t store_show_log(void)
{
	char text[4096];
	size_t lines = 0;
	ssize_t len;

	dup2(store_stderr, STDERR_FILENO);
	close(store_stderr);
	len = pread(store_log, text, sizeof text, 0);
	close(store_log);
	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

#endif
