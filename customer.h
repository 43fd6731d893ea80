/* customer.h -- customers: login, profile, sealed password, open basket.
 *
 * Ids count up from 1 and are never given twice. A customer's sessions hold copies of his
 * login and basket: who disables or deletes him or changes his password ends them with
 * session_delete_some(), and who changes his basket calls session_set_customer_basket().
 */
#ifndef CUSTOMER_H
#define CUSTOMER_H

#include "kv.h"
#include "record.h"

/* KV_NOT_FOUND: nobody has the id or the login. `r` points into the store. */
enum kv_status customer_get(struct kv *kv, uint64_t id, struct customer_record *r);
enum kv_status customer_find(struct kv *kv, struct slice login, struct customer_record *r);

/* Whom a name at a login may mean, as Oscar's two backends have it: whose login it is, then whose
 * e-mail address, whatever its case. Writes up to `max` ids, oldest customer first. */
enum kv_status customer_candidates(struct kv *kv, struct slice name, uint64_t *ids, uint32_t max,
                                   uint32_t *count);

enum customer_error {
	CUSTOMER_OK,
	CUSTOMER_LOGIN_TAKEN,
	CUSTOMER_LOGIN_BAD,     /* empty, `-`, over RECORD_LOGIN_MAX, control bytes, not UTF-8 */
	CUSTOMER_TEXT_BAD,      /* e-mail or a name too long, control bytes, not UTF-8 */
	CUSTOMER_STORE,         /* see `*status` */
};

const char *customer_error_text(enum customer_error e);

/* Whether a record may be added as far as its texts say: CUSTOMER_OK, or what is wrong. */
enum customer_error customer_judge(const struct customer_record *r);

/* The id that the next customer_add() gives: the seal is bound to it. */
enum kv_status customer_next_id(struct kv *kv, uint64_t *id);

/* Adds `*r` under r->id: customer_next_id() of this transaction, or one that nobody has and that
 * was given elsewhere, at most INT64_MAX. The next ids are beyond it. */
enum customer_error customer_add(struct kv *kv, const struct customer_record *r,
                                 enum kv_status *status);

/* Puts a changed record back (never with another id or login). */
enum kv_status customer_put(struct kv *kv, const struct customer_record *r);

/* Removes the record and what leads to it. His sessions are the caller's to delete before that. */
enum kv_status customer_delete(struct kv *kv, const struct customer_record *r);

/* Steps through all customers by id; start with `*after` 0. */
enum kv_status customer_next(struct kv *kv, uint64_t *after, struct customer_record *r);

#endif
