/* simulate_faults.h -- what stands between the product and the system, and in it: time, a disk,
 * commits that fail, the log; and the faults that are planted, one a run.
 */
#ifndef SIMULATE_FAULTS_H
#define SIMULATE_FAULTS_H

#include "simulate_run.h"

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_statvfs(const char *path, struct statvfs *v);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
void __wrap_log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t us = clock == CLOCK_REALTIME ? wall_us : ran_us;

	*t = (struct timespec){ (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
	return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *v)
{
	bool full = disk_full && fault != FULL_IS_IGNORED;

	(void)path;
	*v = (struct statvfs){ .f_bavail = full ? 1000 : 1000000, .f_frsize = 4096 };
	return 0;
}

/* Answers that leave too early are taken by the fronts before the batch is lost. */
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	int rc;

	if (store == NULL || store->batch != NULL)
		return __real_mdb_txn_commit(txn);      /* of a child, or at the opening */
	if (fate == COMMIT_FAILS || fate == LOST_WITH_BATCH) {
		store_failed = true;
		mdb_txn_abort(txn);
		if (fault == ANSWER_BEFORE_COMMIT) {
			send_answers(&writer);
			deliver_all();
		}
		if (fate == LOST_WITH_BATCH)
			longjmp(crash, 1);
		if (fault == AUDIT_OF_LOST)
			write_audit(&writer, true);
		return EIO;
	}
	rc = __real_mdb_txn_commit(txn);
	if (fate == LOST_BEHIND_BATCH)
		longjmp(crash, 1);
	return rc;
}

/* (I11) is judged by numbers: an audit line has its event and no fields of its own. */
void __wrap_log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	if (level == LOG_INFO && strcmp(fmt, "%s") == 0) {
		HOLDS(audits_due > 0 && !store_failed, "(I11) a line without its change: %s",
		      event);
		audits_due--;
	} else if (level == LOG_ERROR) {
		HOLDS(strcmp(event, "store_failed") == 0 && fate == COMMIT_FAILS,
		      "a line of the log: %s", event);
	}
}

enum kv_status __real_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);
enum kv_status __wrap_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);
enum kv_status __real_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s);
enum kv_status __wrap_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s);
enum kv_status __real_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left);
enum kv_status __wrap_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left);
uint64_t __real_kv_snapshot(const struct kv *kv);
uint64_t __wrap_kv_snapshot(const struct kv *kv);
enum kv_status __real_clock_follow(struct clock *c, struct kv *kv);
enum kv_status __wrap_clock_follow(struct clock *c, struct kv *kv);
enum kv_status __real_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count);
enum kv_status __wrap_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count);
enum kv_status __real_idempotency_keep(struct call *c, const struct idempotency *i);
enum kv_status __wrap_idempotency_keep(struct call *c, const struct idempotency *i);
bool __real_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s);
bool __wrap_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s);
enum kv_status __real_basket_delete(struct kv *kv, uint64_t id);
enum kv_status __wrap_basket_delete(struct kv *kv, uint64_t id);

enum kv_status __wrap_session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	return strikes(END_DROPPED, 20) ? KV_OK : __real_session_end(kv, key);
}

enum kv_status __wrap_session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                   uint64_t now_s, struct session_record *s)
{
	return __real_session_find(kv, key, fault == EXPIRY_OFF_BY_ONE ? now_s - 1 : now_s, s);
}

enum kv_status __wrap_basket_merge(struct basket *into, struct basket *from,
                                   struct basket_change *change, struct basket_left *left)
{
	if (from->line_count > 1 && strikes(MERGE_LOSES_A_LINE, 4))
		from->line_count--;
	return __real_basket_merge(into, from, change, left);
}

uint64_t __wrap_kv_snapshot(const struct kv *kv)
{
	return fault == MEMO_IS_STALE ? 1 : __real_kv_snapshot(kv);
}

enum kv_status __wrap_clock_follow(struct clock *c, struct kv *kv)
{
	return fault == CLOCK_FORGETS ? KV_OK : __real_clock_follow(c, kv);
}

enum kv_status __wrap_session_sweep(struct kv *kv, const struct config *c, uint64_t now_s,
                                    uint32_t limit, uint32_t *count)
{
	return __real_session_sweep(kv, c, fault == SWEEP_IS_EARLY ? now_s + 1 : now_s, limit,
	                            count);
}

enum kv_status __wrap_idempotency_keep(struct call *c, const struct idempotency *i)
{
	return strikes(REPLAY_FORGOTTEN, 8) ? KV_OK : __real_idempotency_keep(c, i);
}

bool __wrap_client_usable(const struct client_record *r, const struct address *from,
                          uint64_t now_s)
{
	struct client_record other = *r;

	if (fault == REVOKED_KEY_WORKS)
		other.flags &= ~(uint32_t)CLIENT_REVOKED;
	return __real_client_usable(&other, from, now_s);
}

enum kv_status __wrap_basket_delete(struct kv *kv, uint64_t id)
{
	return strikes(BASKET_LEFT, 16) ? KV_OK : __real_basket_delete(kv, id);
}

#endif
