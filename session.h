/* session.h -- session life: start, renewal, login, logout, expiry, revocation, data, CSRF.
 *
 * A session has a record once there is something to keep: a customer, or data. It is live
 * while its record stands and has not expired, which is judged at each read. What ends all
 * sessions of a customer deletes their records.
 * Keys are made in as many ways as there are proofs -- a Session-Id (sid.h), a cookie, a dwsid;
 * a token's is drawn -- so that none can ever be used as another.
 * A token and a dwsid are a session each. Those of a guest of OCAPI have one root between them,
 * a session that nobody can show: it is there as long as any of them may live, and owns what the
 * guest has.
 */
#ifndef SESSION_H
#define SESSION_H

#include "basket.h"
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

/* A dwsid: SESSION_DWSID_BYTES drawn, as base64url with its padding. Its session ends after so
 * long without use, and in all (ocapi.md, section 2.3). */
#define SESSION_DWSID_BYTES 64
#define SESSION_DWSID_CHARS 88
#define SESSION_DWSID_TTL_S 1800
#define SESSION_DWSID_MAX_S 21600

/* The key of a dwsid's session, and of the root of a guest of OCAPI. */
void session_dwsid_key(struct slice secret, struct slice dwsid,
                       uint8_t key[RECORD_SESSION_KEY_LEN]);
void session_guest_key(struct slice secret, struct slice guest_id,
                       uint8_t key[RECORD_SESSION_KEY_LEN]);

/* The key of the session that a token of another issuer's begins: the same token, the same one. */
void session_trusted_key(struct slice secret, struct slice token,
                         uint8_t key[RECORD_SESSION_KEY_LEN]);

/* RECORD_GUEST_ID_LEN characters: a new guest's id, from as many random bytes; and what OCAPI
 * calls a registered customer, which follows from his number and the secret. */
void session_put_guest_id(struct buf *out, const uint8_t random[RECORD_GUEST_ID_LEN]);
void session_put_customer_id(struct buf *out, struct slice secret, uint64_t customer_id);

/* What ends the name of a site's cookies: MD5 of `Sites-<site>-Site` in hexadecimal. */
#define SESSION_SITE_HASH_CHARS 32
void session_put_site_hash(struct buf *out, const char *site);

/* Writes the dwsecuretoken of a dwsid's session; it is stored nowhere. */
#define SESSION_SECURE_TOKEN_CHARS 36
void session_put_secure_token(struct buf *out, struct slice secret, const char *site,
                              const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Finds a live session. KV_NOT_FOUND: none, or expired -- one answer for all (requirement
 * S12). s->login points into the store. */
enum kv_status session_find(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct session_record *s);

/* True where the renewal would move the expiry by a tenth of session_ttl or more: so at
 * most ten writes per lifetime. */
bool session_renewal_due(const struct config *config, const struct session_record *s,
                         uint64_t now_s);

/* Moves the expiry of what stands under `key`, live or not; who calls has found it alive. */
enum kv_status session_renew(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t now_s);

/* Starts a session of the customer, who must be there, or a guest's (0), under `key`. What
 * stood there before, whosever it was, is dropped first. Over max_sessions_per_customer the
 * oldest goes, of those begun in one second the first by its key. Whether the customer may log in
 * is judged before, in the same transaction. */
enum kv_status session_start(struct kv *kv, const struct config *config,
                             const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t customer_id,
                             uint8_t via, uint64_t now_s);

/* Whose a token or a dwsid is. */
struct session_owner {
	uint64_t customer_id;           /* 0: a guest of OCAPI: */
	char guest_id[RECORD_GUEST_ID_LEN];
};

/* Starts the session of a token (VIA_TOKEN, for token_ttl) or of a dwsid (VIA_DWSID) as
 * session_start() does. A guest's root is made with his first one, and lives on with others. */
enum kv_status session_start_shown(struct kv *kv, const struct config *config,
                                   struct slice secret, const struct session_owner *who,
                                   const uint8_t key[RECORD_SESSION_KEY_LEN], uint8_t via,
                                   uint64_t now_s);

/* Notes that the live dwsid session came with its dwsecuretoken over HTTPS. */
enum kv_status session_set_secure_seen(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Starts a header session that another shop began, in the same way; but it ends at `ends_s`, or
 * session_max from now if that is earlier, and was used last at `used_s`. The basket of a guest
 * whose session stood there before stays. */
enum kv_status session_import(struct kv *kv, const struct config *config,
                              const uint8_t key[RECORD_SESSION_KEY_LEN], uint64_t customer_id,
                              uint64_t ends_s, uint64_t used_s, uint64_t now_s);

/* How long a guest's cookie session is still a guest's after its login went to a new one: the
 * requests that were under way with the old cookie. It never becomes the customer's. */
#define SESSION_GRACE_S 10

/* The entries of a session that another shop began, for `put`: as session_import() makes them where
 * no session is yet. A guest has the basket `basket_id`. */
typedef enum kv_status session_put(void *context, struct slice key, struct slice value);
enum kv_status session_import_new(struct kv *kv, const struct config *config,
                                  const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  uint64_t customer_id, uint64_t basket_id, uint64_t ends_s,
                                  uint64_t used_s, uint64_t now_s, session_put *put,
                                  void *context);

/* Ends the oldest session of the first customer from `*customer_id` on where he has more than
 * max_sessions_per_customer, else `*customer_id` is behind his. KV_NOT_FOUND: there is none. */
enum kv_status session_trim(struct kv *kv, const struct config *config, uint64_t *customer_id);

/* A login: starts the customer's session under `key` and carries over the data of the guest's
 * session `guest` (NULL: none) -- where the customer was logged in under `key` already, a
 * member of that data wins. A header guest's session ends; a cookie guest's ends after
 * SESSION_GRACE_S. */
enum kv_status session_log_in(struct kv *kv, const struct config *config,
                              const uint8_t guest[RECORD_SESSION_KEY_LEN],
                              const uint8_t key[RECORD_SESSION_KEY_LEN],
                              uint64_t customer_id, uint8_t via, uint64_t now_s);

/* Moves a live session, whoever's, and all that is kept with it to the key `to`, in the place of
 * what is there. KV_NOT_FOUND: there is none under `from`. */
enum kv_status session_move(struct kv *kv, const struct config *config,
                            const uint8_t from[RECORD_SESSION_KEY_LEN],
                            const uint8_t to[RECORD_SESSION_KEY_LEN], uint64_t now_us);

/* Keeps the open basket (0: none) of a guest with his session. */
enum kv_status session_set_basket(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                  uint64_t basket_id);

/* Keeps the open basket (0: none) with the customer, and with all his sessions: each /resolve
 * names it. What says so already is not written again. */
enum kv_status session_set_customer_basket(struct kv *kv, uint64_t customer_id,
                                           uint64_t basket_id);

/* The JSON object kept with a live session: KV_NOT_FOUND where there is no session, or none
 * kept. `*json` points into the store. */
enum kv_status session_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                            uint64_t now_s, struct slice *json);

/* Keeps `json`, at most RECORD_DATA_MAX bytes, with the live session `key`. */
enum kv_status session_put_data(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN],
                                struct slice json);

/* Ends a session and removes every trace of it. KV_NOT_FOUND where there is none. */
enum kv_status session_end(struct kv *kv, const uint8_t key[RECORD_SESSION_KEY_LEN]);

/* Ends up to `limit` of a customer's sessions, the oldest first; `*deleted` says how many.
 * Less than `limit`: none is left. */
enum kv_status session_delete_some(struct kv *kv, uint64_t customer_id, uint32_t limit,
                                   uint32_t *deleted);

/* Has the owner of `b` refer to it as his open basket, or no longer: a customer's record and
 * all his sessions, or the one session of a guest (none where only a cookie knows the basket).
 * Only records that differ are written. */
enum kv_status session_refer_basket(struct kv *kv, const struct basket *b, bool open);

/* One step of the sweep: looks at up to `limit` entries that are due, of sessions and baskets
 * alike; deletes what expired, files anew what lives on, passes over what cannot be read
 * (`check` tells of it). `*seen` says how many it looked at. */
enum kv_status session_sweep(struct kv *kv, const struct config *config, uint64_t now_s,
                             uint32_t limit, uint32_t *seen);

/* Steps through all session records; `after` starts zeroed. */
enum kv_status session_next(struct kv *kv, struct record_key *after,
                            uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s);

/* The customer's next session record, oldest first; guests are the customer 0. `after` starts
 * zeroed. */
enum kv_status session_next_of(struct kv *kv, uint64_t customer_id, struct record_key *after,
                               uint8_t key[RECORD_SESSION_KEY_LEN], struct session_record *s);

#endif
