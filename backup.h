/* backup.h -- a store and its secrets as one file: written, judged, read.
 *
 * The file is a head, the Session-Id secret, and all records of one snapshot in the order of
 * their keys. The head says which version of the format it is, how many records and bytes
 * follow, and the SHA-256 of everything: whoever reads a file has judged it whole before he
 * sees a record. Numbers are little-endian, so that a file goes from machine to machine.
 * It opens all that the store guards: mode 0600, and only to be kept where the secrets may be.
 * Memory  one file at a time: buffers are static. A slice of a record lives until the next one.
 * Errors  false with one line in `error`.
 * Limits  a record of BACKUP_RECORD_MAX bytes, key and value.
 */
#ifndef BACKUP_H
#define BACKUP_H

#include "kv.h"
#include "seal.h"
#include "secret.h"

#define BACKUP_RECORD_MAX (1u << 20)
#define BACKUP_ERROR_MAX  1024

struct backup {
	uint64_t made_s;                /* Unix time */
	uint64_t records;
	uint64_t bytes;                 /* of them in the file */
	char secret[SECRET_MAX];        /* the Session-Id secret */
	uint32_t secret_len;
	uint8_t seal_key[SEAL_KEY_LEN];
};

/* Told now and then: bytes read, bytes in all (0: not known), records. */
typedef void backup_progress(uint64_t taken, uint64_t size, uint64_t records);

/* Writes the snapshot that `kv` holds to `path`, with secrets and time of `b`; the counts are
 * filled in. What stands there is replaced where it is a backup, once the new one is whole and
 * on disk. */
bool backup_write(const char *path, struct backup *b, struct kv *kv, backup_progress *progress,
                  char error[BACKUP_ERROR_MAX]);

/* Removes what a backup_write() that was killed has left. */
void backup_forget(const char *path);

/* Opens a backup and judges it: version, length, checksum. */
bool backup_open(const char *path, struct backup *b, backup_progress *progress,
                 char error[BACKUP_ERROR_MAX]);

/* Puts all records of the file that was opened last into `kv`, an empty store, and closes it. */
bool backup_load(struct kv *kv, const struct backup *b, backup_progress *progress,
                 char error[BACKUP_ERROR_MAX]);

#endif
