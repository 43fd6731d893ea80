/* idempotency.h -- Idempotency-Key: who asks once more gets the first answer.
 *
 * The first 2xx answer is kept for a day, in the transaction of the request itself: either both
 * are on disk or neither. It is kept by caller and key, with a digest of method, target and
 * body. The caller is the API key and the session; of a visitor without a session the basket
 * that his cookie names, or else his address. Errors are not kept: they changed nothing.
 * For routes whose answers hold no secrets: a login's must never be kept.
 * Source  draft-ietf-httpapi-idempotency-key-header-07.
 */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include "call.h"

#define IDEMPOTENCY_KEY_MAX 255         /* bytes, visible ASCII */
#define IDEMPOTENCY_LIFE_S  86400

enum idempotency_verdict {
	IDEMPOTENCY_NONE,       /* no key came: nothing to keep */
	IDEMPOTENCY_FIRST,      /* run the handler, then idempotency_keep() */
	IDEMPOTENCY_AGAIN,      /* c->response is the first answer, with Idempotent-Replayed */
	IDEMPOTENCY_OTHER,      /* 422: the key came with another request before */
	IDEMPOTENCY_BAD,        /* 400: empty, too long, or not visible ASCII */
	IDEMPOTENCY_STORE,      /* hand c->store_status up */
};

struct idempotency {
	uint8_t place[RECORD_DIGEST_LEN];       /* SHA-256 of caller and key */
	uint8_t digest[RECORD_DIGEST_LEN];      /* of the request */
};

/* Judges the request before its handler runs. Fills `*i` for IDEMPOTENCY_FIRST. */
enum idempotency_verdict idempotency_judge(struct call *c, struct idempotency *i);

/* Keeps c->response, where it is a 2xx, and not one that begins a cookie session: the store
 * may not hold the session's id. Nor does it hold the Session-Id, which every answer is given
 * anew. */
enum kv_status idempotency_keep(struct call *c, const struct idempotency *i);

#endif
