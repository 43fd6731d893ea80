/* backup.c -- see backup.h.
 *
 * The head, FORMAT 1, at these offsets:
 *   0 magic(8)  8 format(4)  12 length of the secret(4)  16 time(8)  24 records(8)
 *  32 their bytes(8)  40 seal.key(32)  72 SHA-256(32) of all that follows, then of 0 to 71
 * A record: length of the key(2), of the value(4), key, value.
 */
#include <bearssl.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup.h"
#include "file.h"

#define MAGIC        "sidecart"
#define FORMAT       1
#define DIGESTED_LEN 72
#define HEAD_LEN     (DIGESTED_LEN + br_sha256_SIZE)
#define FRAME_LEN    6
#define BUFFER_CAP   (2 * BACKUP_RECORD_MAX)
#define BATCH_BYTES  (16u << 20)        /* of one transaction of backup_load() */
#define PART         ".part"            /* what is not whole yet */

static int file_fd = -1;
static struct {
	br_sha256_context sha;
	size_t start, end;              /* of what waits in `bytes`, to be written or taken */
	uint64_t left;                  /* bytes that are still to be read */
	char bytes[BUFFER_CAP];
} file;

static bool refuse(char error[BACKUP_ERROR_MAX], const char *path, const char *why)
{
	snprintf(error, BACKUP_ERROR_MAX, "%.512s: %s", path, why);
	return false;
}

static void close_file(void)
{
	if (file_fd >= 0)
		close(file_fd);
	file_fd = -1;
	explicit_bzero(file.bytes, sizeof file.bytes);
}

/* Opens the file anew at its place behind the head. */
static void begin(int fd, uint64_t left)
{
	file_fd = fd;
	file.start = file.end = 0;
	file.left = left;
	br_sha256_init(&file.sha);
}

static void put_number(uint8_t *at, uint64_t n, size_t len)
{
	n = htole64(n);
	memcpy(at, &n, len);
}

static uint64_t number_at(const void *at, size_t len)
{
	uint64_t n = 0;

	memcpy(&n, at, len);
	return le64toh(n);
}

/* A failure of the disk is told once: here, or by fsync(2) at the end, to which a system that has
 * no such call leaves it all. */
static bool wait_for_disk(void)
{
	return sync_file_range(file_fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
	                       SYNC_FILE_RANGE_WAIT_AFTER) == 0 ||
	       errno == ENOSYS;
}

/* Each piece goes to disk before the next one comes: a commit of the server's waits behind one at
 * most, not behind all that fsync(2) would find at the end. */
static bool flush(void)
{
	struct slice waits = { file.bytes, file.end };

	br_sha256_update(&file.sha, waits.ptr, waits.len);
	file.end = 0;
	return file_write(file_fd, waits) && wait_for_disk();
}

static bool put(struct slice s)
{
	if (s.len > sizeof file.bytes - file.end && !flush())
		return false;
	if (s.len > 0)
		memcpy(file.bytes + file.end, s.ptr, s.len);
	file.end += s.len;
	return true;
}

/* All records of the snapshot. False: errno, or `*status`, says why. */
static bool put_records(struct backup *b, struct kv *kv, backup_progress *progress,
                        enum kv_status *status)
{
	char after_bytes[512];
	struct slice after = { 0 }, key, value;
	struct kv_stat stat;
	uint8_t frame[FRAME_LEN];

	*status = kv_stat(kv, &stat);
	while (*status == KV_OK &&
	       (*status = kv_scan(kv, (struct slice){ 0 }, after, &key, &value)) == KV_OK) {
		if (key.len + value.len > BACKUP_RECORD_MAX) {
			errno = EMSGSIZE;
			return false;
		}
		memcpy(after_bytes, key.ptr, key.len);
		after = (struct slice){ after_bytes, key.len };
		put_number(frame, key.len, 2);
		put_number(frame + 2, value.len, 4);
		if (!put(slice_bytes(frame, sizeof frame)) || !put(key) || !put(value))
			return false;
		b->records++;
		b->bytes += FRAME_LEN + key.len + value.len;
		progress(b->records, stat.entries, b->records);
	}
	return *status == KV_NOT_FOUND && flush();
}

static void write_head(const struct backup *b, uint8_t head[HEAD_LEN])
{
	memcpy(head, MAGIC, 8);
	put_number(head + 8, FORMAT, 4);
	put_number(head + 12, b->secret_len, 4);
	put_number(head + 16, b->made_s, 8);
	put_number(head + 24, b->records, 8);
	put_number(head + 32, b->bytes, 8);
	memcpy(head + 40, b->seal_key, SEAL_KEY_LEN);
	br_sha256_update(&file.sha, head, DIGESTED_LEN);
	br_sha256_out(&file.sha, head + DIGESTED_LEN);
}

/* The file is whole, and so are its bytes on disk, before it has its name. */
static bool finish(const struct backup *b, const char *part, const char *path,
                   char error[SECRET_ERROR_MAX])
{
	uint8_t head[HEAD_LEN];
	bool done;

	write_head(b, head);
	done = pwrite(file_fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	       fsync(file_fd) == 0 && rename(part, path) == 0;
	explicit_bzero(head, sizeof head);
	return done && secret_sync_parent(path, error);
}

static bool part_name(char part[PATH_MAX], const char *path)
{
	int len = snprintf(part, PATH_MAX, "%s" PART, path);

	return len > 0 && len < PATH_MAX;
}

void backup_forget(const char *path)
{
	char part[PATH_MAX];

	if (part_name(part, path))
		unlink(part);
}

/* Nothing but a backup is replaced by one. */
static bool may_replace(const char *path)
{
	char magic[sizeof MAGIC - 1] = "";
	struct stat st;
	int fd;
	bool may;

	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	may = fd >= 0 && read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
	      slice_eq((struct slice){ magic, sizeof magic }, SLICE(MAGIC));
	if (fd >= 0)
		close(fd);
	return may;
}

bool backup_write(const char *path, struct backup *b, struct kv *kv, backup_progress *progress,
                  char error[BACKUP_ERROR_MAX])
{
	static const char nothing[HEAD_LEN];
	enum kv_status status = KV_NOT_FOUND;
	char part[PATH_MAX];
	int fd;
	bool done;

	if (!part_name(part, path))
		return refuse(error, path, "the name is too long");
	if (!may_replace(path))
		return refuse(error, path, "is there and no backup: it is not replaced");
	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return refuse(error, part, strerror(errno));
	begin(fd, 0);
	b->records = b->bytes = 0;
	done = file_write(fd, (struct slice){ nothing, sizeof nothing }) &&
	       put((struct slice){ b->secret, b->secret_len }) &&
	       put_records(b, kv, progress, &status) && finish(b, part, path, error);
	if (!done)
		refuse(error, path, status == KV_NOT_FOUND ? strerror(errno)
		                                           : kv_status_text(status));
	close_file();
	if (!done)
		unlink(part);
	return done;
}

/* The next `len` bytes, up to half of the buffer; absent: the file has ended, or errno. */
static struct slice take(size_t len)
{
	struct slice taken;

	if (len > file.end - file.start) {
		memmove(file.bytes, file.bytes + file.start, file.end - file.start);
		file.end -= file.start;
		file.start = 0;
	}
	while (len > file.end - file.start) {
		ssize_t n = read(file_fd, file.bytes + file.end, sizeof file.bytes - file.end);

		if (n == 0)
			errno = EIO;    /* cut since it was opened */
		if (n == 0 || (n < 0 && errno != EINTR))
			return (struct slice){ 0 };
		file.end += n > 0 ? (size_t)n : 0;
	}
	taken = (struct slice){ file.bytes + file.start, len };
	file.start += len;
	return taken;
}

/* Judges what the head says; false with why. */
static bool read_head(const uint8_t head[HEAD_LEN], struct backup *b, uint64_t file_bytes,
                      const char **why)
{
	*why = "no backup of a store";
	if (!slice_eq(slice_bytes(head, 8), SLICE(MAGIC)))
		return false;
	*why = "made by a newer version, in a format that this one does not read";
	if (number_at(head + 8, 4) != FORMAT)
		return false;
	b->secret_len = (uint32_t)number_at(head + 12, 4);
	b->made_s = number_at(head + 16, 8);
	b->records = number_at(head + 24, 8);
	b->bytes = number_at(head + 32, 8);
	memcpy(b->seal_key, head + 40, SEAL_KEY_LEN);
	*why = "damaged: its head and its length do not agree";
	if (b->secret_len == 0 || b->secret_len > SECRET_MAX || b->bytes > file_bytes ||
	    HEAD_LEN + b->secret_len + b->bytes != file_bytes)
		return false;
	*why = "damaged: its checksum is another";
	return true;
}

/* Reads the rest of the file for its checksum. */
static bool is_whole(const struct backup *b, const uint8_t head[HEAD_LEN],
                     backup_progress *progress)
{
	uint8_t digest[br_sha256_SIZE];
	uint64_t size = b->secret_len + b->bytes, taken = 0;

	while (taken < size) {
		size_t len = size - taken < BACKUP_RECORD_MAX ? (size_t)(size - taken)
		                                              : BACKUP_RECORD_MAX;
		struct slice part = take(len);

		if (!slice_given(part))
			return false;
		br_sha256_update(&file.sha, part.ptr, part.len);
		taken += len;
		progress(taken, size, 0);
	}
	br_sha256_update(&file.sha, head, DIGESTED_LEN);
	br_sha256_out(&file.sha, digest);
	return slice_eq_secret(slice_bytes(digest, sizeof digest),
	                       slice_bytes(head + DIGESTED_LEN, sizeof digest));
}

static bool read_secret(struct backup *b)
{
	struct slice secret = take(b->secret_len);

	if (slice_given(secret))
		memcpy(b->secret, secret.ptr, secret.len);
	return slice_given(secret);
}

bool backup_open(const char *path, struct backup *b, backup_progress *progress,
                 char error[BACKUP_ERROR_MAX])
{
	uint8_t head[HEAD_LEN];
	const char *why = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return refuse(error, path, strerror(errno));
	begin(fd, 0);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		why = "no regular file";
	else if (read(fd, head, sizeof head) != (ssize_t)sizeof head)
		why = "no backup of a store";
	else if (read_head(head, b, (uint64_t)st.st_size, &why) && is_whole(b, head, progress))
		why = NULL;
	explicit_bzero(head, sizeof head);
	if (why == NULL && lseek(fd, HEAD_LEN, SEEK_SET) < 0)
		why = strerror(errno);
	if (why == NULL) {
		begin(fd, b->bytes);
		if (read_secret(b))
			return true;
		why = strerror(errno);
	}
	close_file();
	return refuse(error, path, why);
}

/* One record. False: there is none as its frame says. */
static bool take_record(struct slice *key, struct slice *value)
{
	struct slice frame, record;
	size_t key_len, value_len;

	if (file.left < FRAME_LEN || !slice_given(frame = take(FRAME_LEN)))
		return false;
	key_len = (size_t)number_at(frame.ptr, 2);
	value_len = (size_t)number_at(frame.ptr + 2, 4);
	file.left -= FRAME_LEN;
	if (key_len == 0 || value_len > BACKUP_RECORD_MAX - key_len ||
	    key_len + value_len > file.left || !slice_given(record = take(key_len + value_len)))
		return false;
	file.left -= record.len;
	*key = (struct slice){ record.ptr, key_len };
	*value = slice_skip(record, key_len);
	return true;
}

/* Fills one transaction; KV_NOT_FOUND: with the last record. */
static enum kv_status load_some(struct kv *kv, const struct backup *b, uint64_t *records,
                                backup_progress *progress, bool *maimed)
{
	uint64_t end = file.left > BATCH_BYTES ? file.left - BATCH_BYTES : 0;
	enum kv_status status = kv_begin(kv);
	struct slice key, value;

	if (status == KV_OK)
		kv_use_reserve(kv);
	while (status == KV_OK && file.left > end) {
		if (!take_record(&key, &value)) {
			*maimed = true;
			status = KV_IO;
			break;
		}
		status = kv_put(kv, key, value);
		++*records;
		progress(b->bytes - file.left, b->bytes, *records);
	}
	if (status == KV_OK)
		return kv_commit(kv);
	kv_abort(kv);
	return status;
}

bool backup_load(struct kv *kv, const struct backup *b, backup_progress *progress,
                 char error[BACKUP_ERROR_MAX])
{
	enum kv_status status = KV_OK;
	uint64_t records = 0;
	bool maimed = false;

	while (status == KV_OK && file.left > 0)
		status = load_some(kv, b, &records, progress, &maimed);
	close_file();
	if (status == KV_OK && records != b->records)
		maimed = true;
	if (maimed)
		return refuse(error, "backup", "its records are not what its head says");
	if (status == KV_FULL)
		return refuse(error, "backup", "the store would be full: raise map_size, or make "
		              "room on the disk");
	return status == KV_OK || refuse(error, "backup", kv_status_text(status));
}
