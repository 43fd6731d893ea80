/* identity.c -- see identity.h. */
#include <assert.h>

#include "client.h"
#include "identity.h"

#define CACHE_LINE  64
#define HASH_FACTOR UINT64_C(0x9e3779b97f4a7c15)        /* 2^64 by the golden ratio; odd */

static const char *const kind_text[] = {
	[IDENTITY_NONE] = "none", [IDENTITY_GUEST] = "guest", [IDENTITY_CUSTOMER] = "customer",
};
static const char *const via_text[] = {
	[VIA_NONE] = "none", [VIA_HEADER] = "header", [VIA_COOKIE] = "cookie",
	[VIA_RETIRED] = "retired", [VIA_TOKEN] = "token", [VIA_DWSID] = "cookie",
	[VIA_GUEST] = "guest",
};

const char *identity_kind_text(enum identity_kind k)
{
	return kind_text[k];
}

const char *identity_via_text(enum record_via v)
{
	return via_text[v];
}

/* The place of a digest: any of its bytes are as good as others. */
static size_t signed_place(const uint8_t digest[JWT_DIGEST_LEN])
{
	return ((size_t)digest[0] << 8 | digest[1]) & ((1 << IDENTITY_SIGNED_BITS) - 1);
}

void identity_keep_signature(struct identity_memo *memo, struct slice token)
{
	struct identity_signed made = { .digest = { 0 } };
	struct buf signature = { (char *)made.signature, 0, sizeof made.signature, false };
	size_t len = token.len;

	while (len > 0 && token.ptr[len - 1] != '.')
		len--;
	if (len == 0 || !base64url_decode(slice_skip(token, len), &signature) ||
	    signature.len != sizeof made.signature)
		return;
	jwt_digest((struct slice){ token.ptr, len - 1 }, made.digest);
	memo->signatures[signed_place(made.digest)] = made;
}

bool identity_signature(const struct identity_memo *memo, const uint8_t digest[JWT_DIGEST_LEN],
                        struct slice *signature)
{
	const struct identity_signed *made = &memo->signatures[signed_place(digest)];

	*signature = slice_bytes(made->signature, sizeof made->signature);
	return slice_eq(slice_bytes(digest, JWT_DIGEST_LEN),
	                slice_bytes(made->digest, sizeof made->digest));
}

bool identity_peer_trusted(const struct config *config, const struct address *peer)
{
	for (uint32_t i = 0; i < config->trusted_proxy_count; i++)
		if (network_has(&config->trusted_proxies[i], peer))
			return true;
	return false;
}

/* The part of a list behind its last comma; the list loses it. */
static struct slice cut_last(struct slice *list)
{
	struct slice last = *list;

	while (last.len > 0 && last.ptr[last.len - 1] != ',')
		last.len--;
	last = slice_skip(*list, last.len);
	*list = last.len < list->len ? (struct slice){ list->ptr, list->len - last.len - 1 }
	                             : (struct slice){ 0 };
	return slice_trim(last);
}

/* The client's address: of X-Forwarded-For, its lines taken for one list, the rightmost that
 * is no trusted proxy, from a trusted peer only; what is no address there leaves the peer's
 * (requirement F07). */
static void find_address(const struct identity_question *q, struct identity *id)
{
	uint32_t lines = id->trusted ? q->request->forwarded_lines : 0;
	struct slice list = { 0 };
	struct address hop = *q->peer;

	id->address = hop;
	id->forwarded = false;
	while ((slice_given(list) || lines > 0) && identity_peer_trusted(q->config, &hop)) {
		if (!slice_given(list))
			list = q->request->forwarded[--lines];
		id->forwarded = address_parse(cut_last(&list), &hop);
		id->address = id->forwarded ? hop : *q->peer;
		if (!id->forwarded)
			return;
	}
}

/* Two fields that differ say nothing: a proxy sets one, and may pass on the client's other. */
static void take_equal(struct slice *known, struct slice said)
{
	if (!slice_given(said))
		return;
	if (!slice_given(*known))
		*known = said;
	else if (!slice_eq(*known, said))
		*known = SLICE("");
}

static void take_target(struct identity_original *o, struct slice text)
{
	struct http_target t;

	if (!http_target_split(text, &t))
		t = (struct http_target){ .uri = SLICE("") };
	take_equal(&o->uri, t.uri);
	take_equal(&o->scheme, t.scheme);
	take_equal(&o->host, t.authority);
}

static bool is_scheme(struct slice s)
{
	return slice_eq(s, SLICE("http")) || slice_eq(s, SLICE("https"));
}

/* What is said, or empty where it is said badly. */
static inline struct slice said_well(struct slice said, bool (*is_good)(struct slice))
{
	return !slice_given(said) || is_good(said) ? said : SLICE("");
}

/* What a trusted peer says that it was asked for. */
static void find_original(const struct identity_question *q, struct identity *id)
{
	static const enum http_field targets[] = {
		HTTP_X_FORWARDED_URI, HTTP_X_ORIGINAL_URI, HTTP_X_ORIGINAL_URL,
	};
	const struct slice *field = q->request->field;
	struct identity_original *o = &id->original;

	if (!id->trusted)
		return;
	o->method = said_well(field[HTTP_X_FORWARDED_METHOD], http_is_token);
	o->scheme = said_well(field[HTTP_X_FORWARDED_PROTO], is_scheme);
	o->host = said_well(field[HTTP_X_FORWARDED_HOST], http_is_authority);
	for (size_t i = 0; i < COUNT_OF(targets); i++)
		if (slice_given(field[targets[i]]))
			take_target(o, field[targets[i]]);
}

/* Which host and scheme the client addressed, as a trusted proxy says or as it came. */
static void find_authority(const struct identity_question *q, struct identity *id)
{
	const struct slice *field = q->request->field;

	id->authority = q->request->host;
	id->https = q->https;
	if (id->trusted && field[HTTP_X_FORWARDED_PROTO].len > 0)
		id->https = slice_eq_nocase(field[HTTP_X_FORWARDED_PROTO], SLICE("https"));
	if (id->trusted && field[HTTP_X_FORWARDED_HOST].len > 0)
		id->authority = field[HTTP_X_FORWARDED_HOST];
}

struct slice identity_bearer(const struct http_request *r)
{
	struct slice rest = r->field[HTTP_AUTHORIZATION];

	if (!slice_given(rest) || !slice_eq_nocase(slice_cut(&rest, ' '), SLICE("Bearer")))
		return (struct slice){ 0 };
	return slice_given(rest) ? slice_trim(rest) : SLICE("");
}

/* `Authorization: KEY` as oscarapi has it, or `ApiKey KEY`. Values of the schemes Basic and
 * Bearer are never keys (requirement A06). */
static struct slice authorization_key(struct slice value)
{
	struct slice rest = value, scheme = slice_cut(&rest, ' ');

	if (slice_eq_nocase(scheme, SLICE("Bearer")) || slice_eq_nocase(scheme, SLICE("Basic")))
		return (struct slice){ 0 };
	if (slice_eq_nocase(scheme, SLICE("ApiKey")) && slice_given(rest))
		return slice_trim(rest);
	return value;
}

/* The client's record, from the memo where neither the key nor the store has changed. */
static enum kv_status look_up(const struct identity_question *q, struct slice text,
                              struct identity *id, const struct client_record **client)
{
	struct identity_memo *memo = q->memo;
	enum kv_status status;

	if (memo == NULL || text.len > sizeof memo->text) {
		*client = &id->client_found;
		client_digest(text, id->client_digest);
		return client_find(q->kv, id->client_digest, &id->client_found);
	}
	if (!slice_eq_secret(text, (struct slice){ memo->text, memo->len })) {
		memo->snapshot = 0;
		memcpy(memo->text, text.ptr, text.len);
		memo->len = text.len;
		client_digest(text, memo->digest);
	}
	*client = &memo->client;
	memcpy(id->client_digest, memo->digest, sizeof memo->digest);
	if (memo->snapshot != 0 && memo->snapshot == kv_snapshot(q->kv))
		return KV_OK;
	memo->snapshot = 0;
	status = client_find(q->kv, memo->digest, &memo->client);
	if (status == KV_OK)
		memo->snapshot = kv_snapshot(q->kv);
	return status;
}

static enum kv_status find_client(const struct identity_question *q, struct identity *id)
{
	struct slice authorization = q->request->field[HTTP_AUTHORIZATION];
	struct slice other = q->request->field[HTTP_X_API_KEY];
	const struct client_record *found;
	struct slice text;
	enum kv_status status;

	if (slice_given(authorization))
		authorization = authorization_key(authorization);
	text = slice_given(authorization) ? authorization : other;
	if (!slice_given(text)) {
		if (q->config->gateway == CONFIG_ON && !q->ocapi && !id->bearer)
			id->refusal = IDENTITY_KEY_MISSING;
		return KV_OK;
	}
	if (slice_given(other) && !slice_eq_secret(text, other)) {
		id->refusal = IDENTITY_KEYS_DISAGREE;
		return KV_OK;
	}
	status = look_up(q, text, id, &found);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (status == KV_NOT_FOUND || !client_usable(found, &id->address, q->now_s)) {
		id->refusal = IDENTITY_KEY_BAD;
		return KV_OK;
	}
	id->client = found;
	id->renewal_due = client_use_due(found, q->now_s);
	return KV_OK;
}

/* The realm is one of sid_realms; without those, the request's host name: whatever their case
 * under the strict grammar, exactly and cut at the first colon as oscarapi has it. An empty
 * host equals no realm (requirement S15). */
static bool realm_accepted(const struct identity_question *q, const struct identity *id)
{
	const struct config *config = q->config;
	bool (*equal)(struct slice, struct slice) =
		config->sid_grammar != SID_OSCARAPI ? slice_eq_nocase : slice_eq;

	for (uint32_t i = 0; i < config->sid_realm_count; i++)
		if (equal(slice_of(config->sid_realms[i]), id->sid.realm))
			return true;
	return config->sid_realm_count == 0 && id->host.len > 0 && equal(id->host, id->sid.realm);
}

static void find_host(const struct identity_question *q, struct identity *id)
{
	struct slice authority = id->authority;

	id->host = q->config->sid_grammar != SID_OSCARAPI ? http_host_name(authority)
	                                                  : slice_cut(&authority, ':');
}

/* The one place of a text in the memo; NULL where there can be none. Texts differ at their end: of
 * a UUID its last half stands there. */
static struct identity_seen *seen_place(struct identity_memo *memo, struct slice text)
{
	const char *end = text.ptr + text.len;
	uint64_t hash;

	if (memo == NULL || text.len < 2 * sizeof hash || text.len > IDENTITY_SEEN_BYTES)
		return NULL;
	hash = word_at(end - 2 * sizeof hash) * HASH_FACTOR;
	hash = ((hash ^ hash >> 29) + word_at(end - sizeof hash)) * HASH_FACTOR;
	return &memo->seen[hash >> (64 - IDENTITY_SEEN_BITS)];
}

void identity_expect(struct identity_memo *memo, struct slice text)
{
	const struct identity_seen *seen = seen_place(memo, text);

	for (size_t at = 0; seen != NULL && at < sizeof *seen; at += CACHE_LINE)
		__builtin_prefetch((const char *)seen + at);
}

/* True where the place holds this very text: its key is known. */
static bool recall_key(struct identity_seen *seen, struct slice text,
                       uint8_t key[RECORD_SESSION_KEY_LEN])
{
	if (seen == NULL || !slice_eq_secret(text, (struct slice){ seen->bytes, seen->len }))
		return false;
	memcpy(key, seen->key, sizeof seen->key);
	if (seen->worth < IDENTITY_WORTH_MAX)
		seen->worth++;
	return true;
}

/* Takes the place, unless who has it is used more often than others come by: then NULL. */
static struct identity_seen *keep_key(struct identity_seen *seen, struct slice text,
                                      const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	if (seen == NULL)
		return NULL;
	if (seen->worth > 0) {
		seen->worth--;
		return NULL;
	}
	seen->snapshot = 0;
	seen->len = (uint8_t)text.len;
	memcpy(seen->bytes, text.ptr, text.len);
	memcpy(seen->key, key, sizeof seen->key);
	return seen;
}

/* What a guest of OCAPI has belongs to his root: without it none of his sessions is live. */
static enum kv_status find_root(const struct identity_question *q, struct session_record *s)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_record root;
	enum kv_status status;

	session_guest_key(q->sid_secret, s->guest_id, key);
	status = session_find(q->kv, key, q->now_s, &root);
	if (status == KV_OK)
		s->basket_id = root.basket_id;
	return status;
}

/* The session of id->session_key, from the memo where the store has not changed since. For one
 * that has expired the store is asked as for one that never was (requirement S12). */
static enum kv_status find_live(const struct identity_question *q, struct identity *id,
                                struct identity_seen *seen)
{
	struct buf room;
	size_t login_len;
	enum kv_status status;

	if (seen != NULL && seen->snapshot != 0 && seen->snapshot == kv_snapshot(q->kv) &&
	    q->now_s < seen->session.expires_s) {
		id->session = seen->session;
		return KV_OK;
	}
	status = session_find(q->kv, id->session_key, q->now_s, &id->session);
	if (status == KV_OK && id->session.guest_id.len > 0)
		status = find_root(q, &id->session);
	if (seen == NULL || status != KV_OK)
		return status;
	room = (struct buf){ seen->bytes, seen->len, sizeof seen->bytes, false };
	login_len = id->session.login.len;
	buf_put(&room, id->session.login);
	buf_put(&room, id->session.guest_id);
	if (room.full)
		return KV_OK;
	seen->session = id->session;
	seen->session.login.ptr = seen->bytes + seen->len;
	seen->session.guest_id.ptr = seen->session.login.ptr + login_len;
	seen->snapshot = kv_snapshot(q->kv);
	return KV_OK;
}

/* Looks for the live session of id->session_key. */
static enum kv_status find_record(const struct identity_question *q, struct identity *id,
                                  struct identity_seen *seen)
{
	enum kv_status status = find_live(q, id, seen);

	id->recorded = status == KV_OK;
	if (id->recorded)
		id->renewal_due |= session_renewal_due(q->config, &id->session, q->now_s);
	else
		id->session = (struct session_record){ 0 };
	return status == KV_NOT_FOUND ? KV_OK : status;
}

/* Looks for what the original kept, where nothing stands under the whole key. */
static enum kv_status find_cut(const struct identity_question *q, struct identity *id)
{
	enum kv_status status;

	if (!sid_original_key(q->request->field[HTTP_SESSION_ID], &id->sid, id->sid.type,
	                      q->sid_secret, id->cut_key))
		return KV_OK;
	status = session_find(q->kv, id->cut_key, q->now_s, &id->session);
	id->recorded = id->cut = status == KV_OK;
	id->renewal_due |= id->cut;
	if (!id->recorded)
		id->session = (struct session_record){ 0 };
	return status == KV_NOT_FOUND ? KV_OK : status;
}

static enum kv_status find_session(const struct identity_question *q, struct identity *id)
{
	struct slice header = q->request->field[HTTP_SESSION_ID], text;
	struct identity_seen *seen;
	enum kv_status status;

	if (!slice_given(header))
		return KV_OK;
	id->sid_error = sid_parse(header, q->config->sid_grammar, &id->sid);
	if (id->sid_error != SID_OK) {
		if (q->config->sid_grammar != SID_OSCARAPI)
			id->refusal = IDENTITY_SID_MALFORMED;
		return KV_OK;
	}
	if (q->config->sid_trust == SID_TRUST_KEY &&
	    (id->client == NULL || (id->client->scopes & SCOPE_TRUSTED) == 0)) {
		id->refusal = IDENTITY_SID_UNTRUSTED;
		return KV_OK;
	}
	find_host(q, id);
	if (!realm_accepted(q, id)) {
		id->refusal = IDENTITY_SID_REALM;
		return KV_OK;
	}
	text = id->sid.whole;           /* thread and count differ from request to request */
	seen = seen_place(q->memo, text);
	if (!recall_key(seen, text, id->session_key)) {
		sid_key(&id->sid, id->sid.type, q->sid_secret, id->session_key);
		seen = keep_key(seen, text, id->session_key);
	}
	id->via = VIA_HEADER;
	status = find_record(q, id, seen);
	if (status == KV_OK && !id->recorded && q->config->sid_grammar == SID_MIGRATE)
		status = find_cut(q, id);
	id->has_sid = id->recorded || id->sid.type == SID_ANON;
	id->kind = id->sid.type == SID_ANON ? IDENTITY_GUEST : IDENTITY_CUSTOMER;
	if (status == KV_OK && !id->has_sid)
		id->refusal = IDENTITY_SESSION_DEAD;
	return status;
}

/* How a cookie shows a session. */
struct cookie_kind {
	enum record_via via;
	size_t len;
	void (*key)(struct slice secret, struct slice id, uint8_t key[RECORD_SESSION_KEY_LEN]);
};
static const struct cookie_kind own_cookie = { VIA_COOKIE, SESSION_ID_CHARS, session_cookie_key };
static const struct cookie_kind dwsid_cookie = { VIA_DWSID, SESSION_DWSID_CHARS,
	                                         session_dwsid_key };

/* The session of a cookie. One that is unknown, dead, or there twice is none: an id from
 * outside never becomes a session (requirements S03, K06). */
static enum kv_status find_cookie(const struct identity_question *q, struct identity *id,
                                  struct slice name, const struct cookie_kind *kind)
{
	struct identity_seen *seen;
	struct slice value;
	enum kv_status status;
	uint32_t found = http_cookie_find(q->request, name, &value);

	id->cookie_doubled |= found > 1;
	if (found != 1 || value.len != kind->len)
		return KV_OK;
	seen = seen_place(q->memo, value);
	if (!recall_key(seen, value, id->session_key)) {
		kind->key(q->sid_secret, value, id->session_key);
		seen = keep_key(seen, value, id->session_key);
	}
	status = find_record(q, id, seen);
	if (status != KV_OK || !id->recorded)
		return status;
	id->via = kind->via;
	id->kind = id->session.customer_id != 0 ? IDENTITY_CUSTOMER : IDENTITY_GUEST;
	return KV_OK;
}

/* Looks for the dwsecuretoken of the dwsid. */
static void find_secure_token(const struct identity_question *q, struct identity *id)
{
	char name_text[32 + SESSION_SITE_HASH_CHARS], text[SESSION_SECURE_TOKEN_CHARS];
	struct buf name = BUF(name_text), token = BUF(text);
	struct slice came;

	buf_lit(&name, "dwsecuretoken_");
	session_put_site_hash(&name, q->config->site);
	if (http_cookie_find(q->request, buf_slice(&name), &came) != 1)
		return;
	session_put_secure_token(&token, q->sid_secret, q->config->site, id->session_key);
	id->secure_token = slice_eq_secret(came, buf_slice(&token));
	if (q->config->secure_token_seen == CONFIG_ON && id->secure_token && id->https &&
	    (id->session.flags & SESSION_SECURE_SEEN) == 0)
		id->secure_due = id->renewal_due = true;
}

static enum kv_status find_cookie_session(const struct identity_question *q, struct identity *id)
{
	enum kv_status status = KV_OK;

	if (q->request->cookie_lines == 0)
		return KV_OK;
	if (!q->ocapi)
		status = find_cookie(q, id, slice_of(q->config->cookie_name), &own_cookie);
	if (status != KV_OK || id->recorded)
		return status;
	status = find_cookie(q, id, SLICE("dwsid"), &dwsid_cookie);
	if (id->via == VIA_DWSID && (q->ocapi || q->config->secure_token_seen == CONFIG_ON))
		find_secure_token(q, id);
	return status;
}

/* The one place of a token in the memo; NULL where there can be none. What differs from token
 * to token is most of all the end, its signature. */
static struct identity_token *token_place(struct identity_memo *memo, struct slice text)
{
	uint64_t end;

	if (memo == NULL || text.len > IDENTITY_TOKEN_BYTES || text.len < sizeof end)
		return NULL;
	end = word_at(text.ptr + text.len - sizeof end) * HASH_FACTOR;
	return &memo->tokens[end >> (64 - IDENTITY_TOKEN_BITS)];
}

/* Whether the key of a token that is remembered is in the ring still: with a key that was
 * ended all that it had signed is over. */
static enum kv_status find_token_key(const struct identity_question *q, struct identity_token *t)
{
	struct token_key_record r;
	enum kv_status status;

	if (t->snapshot != 0 && t->snapshot == kv_snapshot(q->kv))
		return KV_OK;
	status = token_find(q->kv, (struct slice){ t->kid, t->kid_len }, q->now_s, &r);
	t->snapshot = status == KV_OK ? kv_snapshot(q->kv) : 0;
	return status;
}

/* What a token says, behind a good signature: JWT_GOOD or JWT_EXPIRED, or no token of ours. */
static enum jwt_status read_token(const struct identity_question *q, const struct jwt *jwt,
                                  struct identity_token *t)
{
	const struct jwt_expect expect = { .typ = JWT_TYP_JWT, .life_max_s = TOKEN_LIFE_MAX_S,
	                                   .leeway_s = TOKEN_LEEWAY_S };
	struct jwt_claims claims;
	enum jwt_status verdict = jwt_judge_own(jwt, &expect, q->now_s, &claims);

	if (verdict != JWT_GOOD && verdict != JWT_EXPIRED)
		return verdict;
	if (!hex_decode(claims.sid, t->key, sizeof t->key) ||
	    !slice_eq(claims.site, slice_of(q->config->site)) ||
	    claims.iss.len > sizeof t->client_id)
		return JWT_BAD_CLAIMS;
	t->exp_s = claims.exp_s;
	t->client_id_len = (uint8_t)claims.iss.len;
	memcpy(t->client_id, claims.iss.ptr, claims.iss.len);
	t->kid_len = (uint8_t)jwt->kid_len;
	memcpy(t->kid, jwt->kid, jwt->kid_len);
	return verdict;
}

/* Takes a token apart and judges it. */
static enum kv_status judge_token(const struct identity_question *q, struct slice text,
                                  struct identity_token *t, enum jwt_status *verdict)
{
	struct jwt jwt;
	struct jwt_key key;
	enum kv_status status;

	*verdict = jwt_open(&jwt, text);
	if (*verdict == JWT_GOOD && jwt.typ != JWT_TYP_JWT)     /* requirement J08 */
		*verdict = JWT_WRONG_TYP;
	if (*verdict != JWT_GOOD)
		return KV_OK;
	status = token_check(q->kv, q->sid_secret, &jwt, q->now_s, verdict, &key);
	if (status != KV_OK)
		return status;
	if (*verdict == JWT_GOOD || (*verdict == JWT_UNPROVEN && q->proven))
		*verdict = read_token(q, &jwt, t);
	return KV_OK;
}

/* Takes the place, unless who has it is used more often than others come by. */
static void keep_token(struct identity_token *place, struct slice text,
                       const struct identity_token *t)
{
	if (place == NULL || t->kid_len == 0)
		return;
	if (place->worth > 0) {
		place->worth--;
		return;
	}
	memcpy(place, t, offsetof(struct identity_token, text));
	place->snapshot = 0;
	place->worth = 0;
	place->len = (uint16_t)text.len;
	memcpy(place->text, text.ptr, text.len);
}

/* Fills in `*t`, or says in id->refusal what is wrong with the token. */
static enum kv_status prove_token(const struct identity_question *q, struct identity *id,
                                  struct slice text, struct identity_token *t)
{
	struct identity_token *place = token_place(q->memo, text);
	enum jwt_status verdict = JWT_GOOD;
	enum kv_status status;

	if (place != NULL && slice_eq_secret(text, (struct slice){ place->text, place->len })) {
		if (place->worth < IDENTITY_WORTH_MAX)
			place->worth++;
		status = find_token_key(q, place);
		if (status == KV_NOT_FOUND)
			verdict = JWT_NO_KEY;
		memcpy(t, place, offsetof(struct identity_token, text));
	} else {
		status = judge_token(q, text, t, &verdict);
		if (status == KV_OK && verdict == JWT_GOOD)
			keep_token(place, text, t);
	}
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (verdict == JWT_GOOD && q->now_s >= t->exp_s)        /* its session knows no leeway */
		verdict = JWT_EXPIRED;
	if (verdict != JWT_GOOD)
		id->refusal = verdict == JWT_EXPIRED ? IDENTITY_TOKEN_EXPIRED :
		              verdict == JWT_UNPROVEN ? IDENTITY_TOKEN_UNPROVEN :
		                                        IDENTITY_TOKEN_DEAD;
	return KV_OK;
}

/* The key whose text is id->client_id is the client where no API key is. */
static enum kv_status use_client_id(const struct identity_question *q, struct identity *id,
                                    enum identity_refusal refusal)
{
	struct slice text = { id->client_id, id->client_id_len };
	const struct client_record *found;
	struct client_record beside;
	uint8_t digest[RECORD_DIGEST_LEN];
	enum kv_status status;

	if (id->client != NULL) {       /* which may stand in the memo: that is left alone */
		client_digest(text, digest);
		status = client_find(q->kv, digest, &beside);
		found = &beside;
	} else {
		status = look_up(q, text, id, &found);
	}
	if (status != KV_OK && status != KV_NOT_FOUND)
		return status;
	if (status == KV_NOT_FOUND || found->scopes != SCOPE_SHOP ||
	    !client_usable(found, &id->address, q->now_s)) {
		id->refusal = refusal;
	} else if (id->client == NULL) {
		id->client = found;
		id->renewal_due |= client_use_due(found, q->now_s);
	}
	return KV_OK;
}

/* The parameter client_id, still encoded; absent where there is none. False: two that differ. */
static bool find_client_parameter(struct slice query, struct slice *found)
{
	struct slice name, value;

	*found = (struct slice){ 0 };
	while (slice_given(query) && http_form_next(&query, &name, &value)) {
		if (!slice_eq(name, SLICE("client_id")))
			continue;
		if (slice_given(*found) && !slice_eq(*found, value))
			return false;
		*found = value;
	}
	return true;
}

/* Who asks on OCAPI's paths without a token: the parameter client_id, else the header. */
static enum kv_status find_ocapi_client(const struct identity_question *q, struct identity *id)
{
	struct buf out = BUF(id->client_id);
	struct slice parameter;

	if (!find_client_parameter(q->request->query, &parameter))
		id->refusal = IDENTITY_KEYS_DISAGREE;
	else if (slice_given(parameter))
		http_form_decode(parameter, &out);
	else
		buf_put(&out, q->request->field[HTTP_X_DW_CLIENT_ID]);
	if (id->refusal != IDENTITY_ADMITTED)
		return KV_OK;
	id->client_id_len = out.len;
	if (out.len > 0 && !out.full)
		return use_client_id(q, id, IDENTITY_CLIENT_UNKNOWN);
	id->refusal = out.full ? IDENTITY_CLIENT_UNKNOWN : IDENTITY_CLIENT_MISSING;
	return KV_OK;
}

/* The session of a good token; a token without one is dead. */
static enum kv_status find_token_session(const struct identity_question *q, struct identity *id,
                                         const struct identity_token *t)
{
	char text[2 * RECORD_SESSION_KEY_LEN];
	struct buf hex = BUF(text);
	struct identity_seen *seen;
	enum kv_status status;

	buf_hex(&hex, slice_bytes(t->key, sizeof t->key));
	seen = seen_place(q->memo, buf_slice(&hex));
	if (!recall_key(seen, buf_slice(&hex), id->session_key)) {
		memcpy(id->session_key, t->key, sizeof t->key);
		seen = keep_key(seen, buf_slice(&hex), t->key);
	}
	status = find_record(q, id, seen);
	if (status != KV_OK)
		return status;
	if (!id->recorded || id->session.via != VIA_TOKEN) {
		id->refusal = IDENTITY_TOKEN_DEAD;
		return KV_OK;
	}
	id->via = VIA_TOKEN;
	id->kind = id->session.customer_id != 0 ? IDENTITY_CUSTOMER : IDENTITY_GUEST;
	return KV_OK;
}

/* Who sends both a Session-Id and a token is one customer; the session is the former's. */
static enum kv_status compare_proofs(const struct identity_question *q, struct identity *id,
                                     const struct identity_token *t)
{
	struct identity other = { .refusal = IDENTITY_ADMITTED };
	enum kv_status status = find_token_session(q, &other, t);

	if (status != KV_OK)
		return status;
	if (other.refusal != IDENTITY_ADMITTED)
		id->refusal = other.refusal;
	else if (id->kind != IDENTITY_CUSTOMER ||
	         id->session.customer_id != other.session.customer_id)
		id->refusal = IDENTITY_PROOFS_DISAGREE;
	return KV_OK;
}

static enum kv_status find_bearer(const struct identity_question *q, struct identity *id)
{
	struct identity_token t;
	enum kv_status status;

	memset(&t, 0, offsetof(struct identity_token, text));   /* which stands in the memo alone */
	status = prove_token(q, id, identity_bearer(q->request), &t);
	if (status != KV_OK || id->refusal != IDENTITY_ADMITTED)
		return status;
	id->client_id_len = t.client_id_len;
	memcpy(id->client_id, t.client_id, t.client_id_len);
	status = use_client_id(q, id, q->ocapi ? IDENTITY_CLIENT_UNKNOWN : IDENTITY_TOKEN_DEAD);
	if (status != KV_OK || id->refusal != IDENTITY_ADMITTED)
		return status;
	return id->has_sid ? compare_proofs(q, id, &t) : find_token_session(q, id, &t);
}

/* Nothing of a refused or failed look-up may be taken for somebody. */
static void forget(struct identity *id)
{
	id->kind = IDENTITY_NONE;
	id->via = VIA_NONE;
	id->recorded = id->cut = id->renewal_due = id->secure_due = false;
	id->session = (struct session_record){ 0 };
}

void identity_clear(struct identity *id)
{
	forget(id);
	id->refusal = IDENTITY_ADMITTED;
	id->client = NULL;
	id->has_sid = id->cookie_doubled = id->bearer = id->proven = id->secure_token = false;
	id->key_scopes = 0;
	id->client_id_len = 0;
	id->original = (struct identity_original){ 0 };
}

/* The session, by what shows it. */
static enum kv_status find_shopper(const struct identity_question *q, struct identity *id)
{
	enum kv_status status = find_session(q, id);

	id->key_scopes = id->client != NULL ? id->client->scopes : 0;
	if (q->ocapi)
		id->client = NULL;
	if (status != KV_OK || id->refusal != IDENTITY_ADMITTED)
		return status;
	if (id->bearer)
		return find_bearer(q, id);
	if (q->ocapi)
		status = find_ocapi_client(q, id);
	if (status == KV_OK && id->refusal == IDENTITY_ADMITTED && !id->has_sid)
		status = find_cookie_session(q, id);
	return status;
}

void identity_locate(const struct identity_question *q, struct identity *id)
{
	id->trusted = identity_peer_trusted(q->config, q->peer);
	find_address(q, id);
}

static void keep(struct buf *room, struct slice *text)
{
	size_t start = room->len;

	buf_put(room, *text);
	*text = (struct slice){ room->ptr + start, room->len - start };
}

/* What the store has lent to the writer would be other bytes after a put. */
static enum kv_status keep_texts(struct identity *id)
{
	struct buf room = BUF(id->texts);

	if (id->client == &id->client_found) {
		keep(&room, &id->client_found.name);
		keep(&room, &id->client_found.owner);
		keep(&room, &id->client_found.origins);
	}
	keep(&room, &id->session.login);
	keep(&room, &id->session.guest_id);
	return room.full ? KV_IO : KV_OK;
}

enum kv_status identify(const struct identity_question *q, struct identity *id)
{
	enum kv_status status;

	id->sid_error = SID_OK;
	identity_clear(id);
	id->bearer = slice_given(identity_bearer(q->request));
	id->proven = q->proven;
	identity_locate(q, id);
	find_authority(q, id);
	find_original(q, id);
	status = find_client(q, id);
	if (status == KV_OK && id->refusal == IDENTITY_ADMITTED)
		status = find_shopper(q, id);
	if (status == KV_OK && kv_writing(q->kv))
		status = keep_texts(id);
	if (status != KV_OK || id->refusal != IDENTITY_ADMITTED)
		forget(id);
	return status;
}

void identity_owner_key(const struct identity *id, struct slice sid_secret,
                        uint8_t key[RECORD_SESSION_KEY_LEN])
{
	if (id->session.guest_id.len > 0)
		session_guest_key(sid_secret, id->session.guest_id, key);
	else
		memcpy(key, id->session_key, RECORD_SESSION_KEY_LEN);
}

static bool origin_listed(const struct config_origins *origins, struct slice origin)
{
	for (uint32_t i = 0; i < origins->count; i++)
		if (slice_eq_nocase(origin, slice_of(origins->text[i])))
			return true;
	return false;
}

bool identity_origin_reads(const struct config *config, struct slice origin)
{
	return origin_listed(&config->cors_origins, origin);
}

/* A page of this very host. Over plain HTTP it may still be an https: page, behind a proxy
 * that does not say so. */
bool identity_origin_is_own(const struct identity *id, struct slice origin)
{
	const struct slice https = SLICE("https://"), http = SLICE("http://");

	if (slice_starts(origin, https))
		return slice_eq_nocase(slice_skip(origin, https.len), id->authority);
	return !id->https && slice_starts(origin, http) &&
	       slice_eq_nocase(slice_skip(origin, http.len), id->authority);
}

/* Where the browser says whose page sent the request: one of ours. Where it says nothing, it
 * is no browser, or an old one. */
static bool origin_accepted(const struct config *config, const struct http_request *r,
                            const struct identity *id)
{
	struct slice origin = r->field[HTTP_ORIGIN], site = r->field[HTTP_SEC_FETCH_SITE];
	bool own_site = !slice_given(site) || slice_eq(site, SLICE("same-origin")) ||
	                slice_eq(site, SLICE("none"));

	if (slice_given(origin) && origin_listed(&config->csrf_origins, origin))
		return true;
	return own_site && (!slice_given(origin) || identity_origin_is_own(id, origin));
}

bool identity_page_is_known(const struct config *config, const struct http_request *r,
                            const struct identity *id)
{
	return identity_origin_reads(config, r->field[HTTP_ORIGIN]) ||
	       origin_accepted(config, r, id);
}

void identity_judge_csrf(const struct identity_question *q, struct identity *id)
{
	struct slice name = slice_of(q->config->csrf_cookie_name), cookie;
	struct slice sent = q->request->field[HTTP_X_CSRFTOKEN];
	char text[SESSION_ID_CHARS];
	struct buf token = BUF(text);

	if (id->via == VIA_HEADER || id->via == VIA_TOKEN)
		return;
	if (!origin_accepted(q->config, q->request, id)) {
		id->refusal = IDENTITY_CSRF_ORIGIN;
	} else if (id->kind == IDENTITY_CUSTOMER) {
		session_put_csrf_token(&token, q->sid_secret, id->session_key);
		if (http_cookie_find(q->request, name, &cookie) != 1)
			id->refusal = IDENTITY_CSRF_COOKIE;
		else if (!slice_eq_secret(cookie, buf_slice(&token)) ||
		         !slice_eq_secret(sent, buf_slice(&token)))
			id->refusal = IDENTITY_CSRF_TOKEN;
	}
	if (id->refusal != IDENTITY_ADMITTED)
		forget(id);
}

/* Reads the record anew: what identify() found may have moved with the request's puts. */
static enum kv_status renew_client(const struct identity_question *q, const struct identity *id)
{
	struct client_record r;
	enum kv_status status = client_find(q->kv, id->client_digest, &r);

	if (status != KV_OK || !client_use_due(&r, q->now_s))
		return status;
	r.used_s = client_use_mark(q->now_s);
	return client_put(q->kv, id->client_digest, &r);
}

enum kv_status identity_settle(const struct identity_question *q, struct identity *id)
{
	enum kv_status status;

	if (!id->cut)
		return KV_OK;
	status = session_move(q->kv, q->config, id->cut_key, id->session_key, q->now_s * 1000000);
	id->cut = status != KV_OK;
	return status;
}

enum kv_status identity_renew(const struct identity_question *q, struct identity *id)
{
	enum kv_status status = KV_OK;

	assert(id->refusal == IDENTITY_ADMITTED);
	if (!id->renewal_due)
		return KV_OK;
	status = identity_settle(q, id);
	if (status != KV_OK)
		return status == KV_NOT_FOUND ? KV_OK : status;
	if (id->client != NULL)
		status = renew_client(q, id);
	if (status == KV_OK && id->recorded &&
	    session_renewal_due(q->config, &id->session, q->now_s))
		status = session_renew(q->kv, q->config, id->session_key, q->now_s);
	if (status == KV_OK && id->secure_due)
		status = session_set_secure_seen(q->kv, id->session_key);
	return status == KV_NOT_FOUND ? KV_OK : status;
}
