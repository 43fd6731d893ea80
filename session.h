/* session.h -- session life: start, renewal, login, logout, expiry, revocation, data, CSRF.
 *
 * A session has a record once there is something to keep: a customer, or data. It is live
 * while its record stands, has not expired, and its customer, if it has one, is there,
 * enabled and of the same epoch: all of it judged at each read.
 * Keys of cookie sessions and those of header sessions (sid.h) are made in different ways,
 * so that neither can ever be used as the other.
 */
#ifndef SESSION_H
#define SESSION_H

#include "config.h"
#include "customer.h"
#include "kv.h"
#include "record.h"

/* A cookie's session id: SESSION_ID_CHARS of base64url, SESSION_ID_BYTES from getrandom(2). */
#define SESSION_ID_BYTES 32
#define SESSION_ID_CHARS 43

/* The key of a cookie session: HMAC-SHA256 of the id under the Session-Id secret, cut. */
void session_cookie_key(struct slice secret, struct slice id,
                        uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Writes the CSRF token of a session, SESSION_ID_CHARS of base64url: it follows from the
 * session's key and the secret, and is stored nowhere. */
void session_put_csrf_token(struct buf *out, struct slice secret,
                            const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Finds a live session and its customer (id 0 of a guest's). KV_NOT_FOUND: none, expired, or
 * its customer gone, disabled or of another epoch -- one answer for all (requirement S12). */
enum kv_status session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct session_record *s,
                            struct customer_record *c);

/* True where the renewal would move the expiry by a tenth of session_ttl or more: so at
 * most ten writes per lifetime. */
bool session_renewal_due(const struct config *config, const struct session_record *s,
                         uint64_t now_s);

enum kv_status session_renew(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s);

/* Starts a session of `customer`, or a guest's (NULL), under `key`. What stood there before,
 * whosever it was, is dropped first. Over max_sessions_per_customer the oldest goes. */
enum kv_status session_start(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN],
                             const struct customer_record *customer, uint8_t via,
                             uint64_t now_s);

/* How long a guest's cookie session is still a guest's after its login went to a new one: the
 * requests that were under way with the old cookie. It never becomes the customer's. */
#define SESSION_GRACE_S 10

/* A login: starts the customer's session under `key` and carries over the data of the guest's
 * session `guest` (NULL: none) -- where the customer was logged in under `key` already, a
 * member of that data wins. A header guest's session ends; a cookie guest's ends after
 * SESSION_GRACE_S. */
enum kv_status session_log_in(struct kv *kv, const struct config *config,
                              const uint8_t guest[RECORD_SESSION_KEY_LEN],
                              const uint8_t key[RECORD_SESSION_KEY_LEN],
                              const struct customer_record *customer, uint8_t via,
                              uint64_t now_s);

/* The JSON object kept with a live session: KV_NOT_FOUND where there is no session, or none
 * kept. `*json` points into the store. */
enum kv_status session_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct slice *json);

/* Keeps `json`, at most RECORD_DATA_MAX bytes, with the live session `key`. */
enum kv_status session_put_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                struct slice json);

/* Ends a session and removes every trace of it. KV_NOT_FOUND where there is none. */
enum kv_status session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Deletes up to `limit` records of a customer's sessions; `*deleted` says how many. */
enum kv_status session_delete_some(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                   uint32_t *deleted);

/* One step of the sweep: looks at up to `limit` entries that are due; deletes what expired,
 * files anew what lives on, passes over what cannot be read (`check` tells of it). `*seen`
 * says how many it looked at. */
enum kv_status session_sweep(struct kv *kv, uint64_t now_s, uint32_t limit, uint32_t *seen);

/* Steps through all session records; `after` starts zeroed. */
enum kv_status session_next(struct kv *kv, struct record_key *after,
                            uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s);

#endif
