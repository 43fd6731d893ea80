/* session.h -- session life: start, renewal, logout, expiry, revocation.
 *
 * Only customers' sessions have records; an anonymous header session has none until there
 * is something to keep. A session is live while its record stands, has not expired, and its
 * customer is there, enabled and of the same epoch: all of it judged at each read.
 */
#ifndef SESSION_H
#define SESSION_H

#include "config.h"
#include "customer.h"
#include "kv.h"
#include "record.h"

/* Finds a live session and its customer. KV_NOT_FOUND: none, expired, or its customer gone,
 * disabled or of another epoch -- one answer for all (requirement S12). */
enum kv_status session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct session_record *s,
                            struct customer_record *c);

/* True where the renewal would move the expiry by a tenth of session_ttl or more: so at
 * most ten writes per lifetime. */
bool session_renewal_due(const struct config *config, const struct session_record *s,
                         uint64_t now_s);

enum kv_status session_renew(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s);

/* Starts a session of `customer` under `key`. What stood there before, whosever it was, is
 * dropped first. Over max_sessions_per_customer the oldest goes. */
enum kv_status session_start(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN],
                             const struct customer_record *customer, uint8_t via,
                             uint64_t now_s);

/* Ends a session and removes every trace of it. KV_NOT_FOUND where there is none. */
enum kv_status session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Deletes up to `limit` records of a customer's sessions; `*deleted` says how many. */
enum kv_status session_delete_some(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                   uint32_t *deleted);

/* One step of the sweep: looks at up to `limit` entries that are due; deletes what expired,
 * files anew what lives on. `*seen` says how many it looked at. */
enum kv_status session_sweep(struct kv *kv, uint64_t now_s, uint32_t limit, uint32_t *seen);

/* Steps through all session records; `after` starts zeroed. */
enum kv_status session_next(struct kv *kv, struct record_key *after,
                            uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s);

#endif
