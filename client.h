/* client.h -- API keys: made, found, disabled, revoked.
 *
 * A generated key is `sck_` + 27 characters of base64url (20 random bytes) + 6 of a
 * checksum (requirement A01); one given by `--value` is taken as it is. Only its SHA-256
 * is stored, which is itself no key.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "kv.h"
#include "record.h"

#define CLIENT_KEY_MAX 512      /* bytes of a key's text */

/* Text of one scope, in order of its bit; NULL behind the last. */
extern const char *const client_scope_names[];

/* Reads `shop,trusted`; false for an unknown or empty name, put into `*bad`. */
bool client_scopes_parse(struct slice text, uint32_t *scopes, struct slice *bad);
/* Writes `shop,trusted`, or `-` for none. */
void client_scopes_write(struct buf *out, uint32_t scopes);

/* What a key is found by, and all that is stored of it. */
void client_digest(struct slice key_text, uint8_t digest[RECORD_DIGEST_LEN]);

/* Writes a new key's text from 20 random bytes. */
void client_generate(struct buf *out, const uint8_t random[20]);

/* The record under a digest. The tree compares digests, never keys: what its time tells is the
 * digest of a text that the caller has sent himself, which is no key (requirement A02). */
enum kv_status client_find(struct kv *kv, const uint8_t digest[RECORD_DIGEST_LEN],
                           struct client_record *r);
enum kv_status client_find_name(struct kv *kv, struct slice name,
                                uint8_t digest[RECORD_DIGEST_LEN], struct client_record *r);

/* Neither disabled, revoked nor expired, and `from` is among its sources. */
bool client_usable(const struct client_record *r, const struct address *from, uint64_t now_s);

/* True for the origins whose pages may use the key on OCAPI. */
bool client_allows_origin(const struct client_record *r, struct slice origin);

/* "active", "disabled", "revoked" or "expired". */
const char *client_state_text(const struct client_record *r, uint64_t now_s);

/* Adds the networks of a comma list (`10.0.0.0/8,192.0.2.1`) to the record's; false for one that
 * is none, put into `*bad`, and for one too many, where `*bad` is absent. */
bool client_sources_parse(struct slice list, struct client_record *r, struct slice *bad);
/* Writes them so, CLIENT_SOURCES_MAX bytes at most. */
#define CLIENT_SOURCES_MAX (RECORD_SOURCES_MAX * (ADDRESS_TEXT_MAX + 5))
void client_sources_write(struct buf *out, const struct client_record *r);

/* Writes the origins of a comma list behind those that `out` has, as config_origin() has them;
 * false for one that is none, put into `*bad`. */
bool client_origins_parse(struct slice list, struct buf *out, struct slice *bad);

enum client_error {
	CLIENT_ADDED,
	CLIENT_NAME_BAD,        /* a new key's name, */
	CLIENT_OWNER_BAD,       /* its owner, */
	CLIENT_KEY_BAD,         /* or its text */
	CLIENT_NAME_TAKEN,
	CLIENT_KEY_TAKEN,
	CLIENT_REVOKED_ONCE,    /* which is final */
	CLIENT_STORE,           /* see `*status` */
};

const char *client_error_text(enum client_error e);

/* Whether a key may be added as far as its text and record say: CLIENT_ADDED, or what is wrong. */
enum client_error client_judge(struct slice key_text, const struct client_record *r);

/* Adds a key; `*status` is set for CLIENT_STORE. A revoked key's name may be used again. */
enum client_error client_add(struct kv *kv, struct slice key_text,
                             const struct client_record *r, enum kv_status *status);

/* Puts a changed record back under its digest. */
enum kv_status client_put(struct kv *kv, const uint8_t digest[RECORD_DIGEST_LEN],
                          const struct client_record *r);

/* Sets and clears flags (enum client_flag) of the named key. A revoked one stays as it is: another
 * change than to revoke it is CLIENT_REVOKED_ONCE. CLIENT_STORE with KV_NOT_FOUND: none has the
 * name. CLIENT_ADDED: it is so. */
enum client_error client_change(struct kv *kv, struct slice name, uint32_t set, uint32_t clear,
                                enum kv_status *status);

/* Steps through all keys; `after` holds the place and starts zeroed. */
enum kv_status client_next(struct kv *kv, struct record_key *after,
                           uint8_t digest[RECORD_DIGEST_LEN], struct client_record *r);

/* Steps through all names in their order, to the key that bears each. */
enum kv_status client_next_named(struct kv *kv, struct record_key *after,
                                 struct client_record *r);

/* used_s is written at most once an hour: the mark of `now_s`, and whether it is due. */
uint64_t client_use_mark(uint64_t now_s);
bool client_use_due(const struct client_record *r, uint64_t now_s);

#endif
