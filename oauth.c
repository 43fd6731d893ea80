/* oauth.c -- see oauth.h. */
#include <assert.h>
#include <bearssl.h>

#include "json.h"
#include "log.h"
#include "oauth.h"
#include "trust.h"

#define ACCESS_LIFE_S 60
#define ACCESS_STEP_S 30                /* so long the same request gets the same token */
#define CLAIMS_MAX    2560              /* all at their longest, escaped */
#define FORM_MAX      (JWT_TOKEN_MAX + 2048)    /* bytes of what a form says */
#define HASH_CHARS    43                /* of base64url, for 32 bytes */
#define JTI_CHARS     22                /* 128 bits and more */

#define TYPE_PREFIX   "urn:ietf:params:oauth:token-type:"

static struct slice hash(struct slice text, uint8_t digest[JWT_DIGEST_LEN])
{
	jwt_digest(text, digest);
	return slice_bytes(digest, JWT_DIGEST_LEN);
}

/* `"name":"` base64url of the SHA-256 of `text`, cut `",`. */
static void put_hash(struct buf *out, const char *name, struct slice text, size_t chars)
{
	uint8_t digest[JWT_DIGEST_LEN];

	hash(text, digest);
	json_put_string(out, slice_of(name));
	buf_lit(out, ":\"");
	buf_base64url(out, digest, sizeof digest, chars);
	buf_char(out, '"');
}

static void put_text(struct buf *out, const char *name, struct slice text)
{
	json_put_string(out, slice_of(name));
	buf_char(out, ':');
	json_put_string(out, text);
	buf_char(out, ',');
}

static void put_number(struct buf *out, const char *name, uint64_t n)
{
	json_put_string(out, slice_of(name));
	buf_char(out, ':');
	buf_uint(out, n);
	buf_char(out, ',');
}

/* Whom the token is about: a customer's number, a guest's id of OCAPI, or his session. */
static void put_subject(struct buf *out, const struct identity *who)
{
	char hex_text[2 * RECORD_SESSION_KEY_LEN], number_text[24];
	struct buf hex = BUF(hex_text), number = BUF(number_text);
	const struct session_record *s = &who->session;

	buf_hex(&hex, slice_bytes(who->session_key, sizeof who->session_key));
	buf_uint(&number, s->customer_id);
	put_text(out, "sub", s->customer_id != 0 ? buf_slice(&number) :
	                     s->guest_id.len > 0 ? s->guest_id : buf_slice(&hex));
	put_text(out, "sid", buf_slice(&hex));
	put_text(out, "kind", slice_of(identity_kind_text(who->kind)));
	if (s->customer_id == 0)
		return;
	put_number(out, "auth_time", s->created_s);
	put_text(out, "login", s->login);
}

enum call_result oauth_make_access(struct call *c, const struct oauth_access *a,
                                   struct buf *token, uint64_t *exp_s)
{
	char bytes[CLAIMS_MAX];
	struct buf claims = BUF(bytes);
	struct call_token t = { .alg = TOKEN_ES256, .typ = JWT_TYP_ACCESS,
	                        .life_s = ACCESS_LIFE_S };
	uint64_t iat_s = call_now_s(c) / ACCESS_STEP_S * ACCESS_STEP_S;

	assert(a->who->kind != IDENTITY_NONE);
	*exp_s = iat_s + ACCESS_LIFE_S;
	buf_char(&claims, '{');
	put_text(&claims, "iss", slice_of(c->config->site));
	put_number(&claims, "exp", *exp_s);
	put_number(&claims, "iat", iat_s);
	put_text(&claims, "aud", a->audience);
	put_subject(&claims, a->who);
	put_text(&claims, "client_id", slice_given(a->client) ? a->client : SLICE("-"));
	if (slice_given(a->method))
		put_text(&claims, "htm", a->method);
	if (slice_given(a->path)) {
		put_hash(&claims, "path_sha256", a->path, HASH_CHARS);
		buf_char(&claims, ',');
	}
	put_hash(&claims, "jti", buf_slice(&claims), JTI_CHARS);
	buf_char(&claims, '}');
	assert(!claims.full);
	t.claims = buf_slice(&claims);
	return call_sign(c, &t, token);
}

/* RFC 6749, section 5.2. */
static enum call_result fail(struct call *c, enum http_status status, const char *error,
                             const char *description)
{
	struct http_response *r = c->response;

	r->status = status;
	http_field_lit(r, "Content-Type: application/json");
	http_field_lit(r, "Cache-Control: no-store");
	buf_lit(&r->body, "{\"error\":");
	json_put_string(&r->body, slice_of(error));
	buf_lit(&r->body, ",\"error_description\":");
	json_put_string(&r->body, slice_of(description));
	buf_char(&r->body, '}');
	return CALL_DONE;
}

static enum call_result invalid(struct call *c, const char *description)
{
	return fail(c, HTTP_BAD_REQUEST, "invalid_request", description);
}

static void begin_json(struct call *c)
{
	c->response->status = HTTP_OK;
	http_field_lit(c->response, "Content-Type: application/json");
	http_field_lit(c->response, "Cache-Control: no-store");
}

/* False: c->response says who may ask. A token in the head is nobody's key. */
static bool caller_may(struct call *c)
{
	uint32_t scopes = c->identity.key_scopes;

	if ((scopes & SCOPE_RESOLVE) != 0)
		return true;
	if (scopes != 0) {
		fail(c, HTTP_FORBIDDEN, "unauthorized_client",
		     "The API key lacks the scope resolve.");
		return false;
	}
	if (c->identity.bearer)
		http_field_lit(c->response, "WWW-Authenticate: Bearer error=\"invalid_token\"");
	else
		http_field_lit(c->response, "WWW-Authenticate: ApiKey");
	fail(c, HTTP_UNAUTHORIZED, "invalid_client",
	     "An API key of scope resolve is required: send it as X-Api-Key.");
	return false;
}

/* A parameter of a form; its value is absent where it did not come, or came empty (RFC 6749,
 * section 3.1). */
struct param {
	const char *name;
	struct slice value;
};

static struct param *find_param(struct param *params, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(name, slice_of(params[i].name)))
			return &params[i];
	return NULL;
}

/* Reads the body; values are decoded into `text`. False: c->response says what is wrong. */
static bool read_form(struct call *c, struct param *params, size_t count, struct buf *text)
{
	struct slice rest = c->request->body, name, value;

	if (!http_media_is(c->request->field[HTTP_CONTENT_TYPE],
	                   "application/x-www-form-urlencoded")) {
		invalid(c, "Send application/x-www-form-urlencoded.");
		return false;
	}
	while (rest.len > 0 && http_form_next(&rest, &name, &value)) {
		struct param *p = find_param(params, count, name);
		size_t start = text->len;

		if (p == NULL || value.len == 0)
			continue;
		if (slice_given(p->value)) {
			invalid(c, "A parameter came twice.");
			return false;
		}
		http_form_decode(value, text);
		p->value = (struct slice){ text->ptr + start, text->len - start };
	}
	if (text->full)
		invalid(c, "The form is longer than any that is sound.");
	return !text->full;
}

/* Who a form presents: a request that says so, and who it is from. */
struct subject {
	struct http_request request;
	struct identity id;
	char text[JWT_TOKEN_MAX + 128];
};

/* The request's own but for its proofs of a shopper. */
static void begin_subject(const struct call *c, struct subject *s)
{
	s->request = *c->request;
	s->request.field[HTTP_SESSION_ID] = (struct slice){ 0 };
	s->request.cookie_lines = 0;
	if (c->identity.bearer)
		s->request.field[HTTP_AUTHORIZATION] = (struct slice){ 0 };
}

static enum call_result find_subject(struct call *c, struct subject *s)
{
	struct identity_question q = {
		.config = c->config, .sid_secret = c->sid_secret, .request = &s->request,
		.peer = &c->peer, .kv = c->kv, .now_s = call_now_s(c),
	};

	return call_identify(c, &q, &s->id);
}

/* The client is then whom the token was made for. */
static enum call_result find_token(struct call *c, struct slice token, struct subject *s)
{
	struct buf text = BUF(s->text);

	begin_subject(c, s);
	buf_lit(&text, "Bearer ");
	buf_put(&text, token);
	s->request.field[HTTP_X_API_KEY] = (struct slice){ 0 };
	s->request.field[HTTP_AUTHORIZATION] = buf_slice(&text);
	return find_subject(c, s);
}

/* True where it is the session of the token's claims, and not one that began later under the same
 * Session-Id, be it the same customer's. */
static bool is_session_of(const struct jwt_claims *claims, const struct session_record *session)
{
	const json_t *began = json_object_get(claims->all, "auth_time");
	uint64_t id;

	return session->customer_id != 0 && slice_uint(claims->sub, UINT64_MAX, &id) &&
	       session->customer_id == id &&
	       (uint64_t)json_integer_value(began) == session->created_s;
}

/* True in `*live` where an access token is good and its customer's session has not ended. Of a
 * guest the token's own end counts: he may have no record. */
static enum call_result judge_access(struct call *c, const struct jwt *t,
                                     struct jwt_claims *claims, struct session_record *session,
                                     bool *live)
{
	const struct jwt_expect expect = { .typ = JWT_TYP_ACCESS, .any_aud = true,
	                                   .iss = slice_of(c->config->site),
	                                   .life_max_s = ACCESS_LIFE_S };
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum jwt_status verdict;
	enum call_result result = call_check_token(c, t, &verdict);
	enum kv_status status;

	*live = false;
	*session = (struct session_record){ 0 };
	if (result != CALL_DONE || verdict != JWT_GOOD ||
	    jwt_judge(t, &expect, call_now_s(c), claims) != JWT_GOOD ||
	    !hex_decode(jwt_string(claims->all, "sid"), key, sizeof key))
		return result;
	*live = !slice_eq(jwt_string(claims->all, "kind"), SLICE("customer"));
	if (*live)
		return CALL_DONE;
	status = session_find(c->kv, key, call_now_s(c), session);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	*live = status == KV_OK && is_session_of(claims, session);
	return CALL_DONE;
}

/* The same of a shopper's token. */
static enum call_result judge_shopper(struct call *c, const struct jwt *t, struct slice token,
                                      struct jwt_claims *claims, struct subject *s, bool *live)
{
	const struct jwt_expect expect = { .typ = JWT_TYP_JWT, .life_max_s = TOKEN_LIFE_MAX_S,
	                                   .leeway_s = TOKEN_LEEWAY_S };
	enum call_result result = find_token(c, token, s);

	*live = result == CALL_DONE && s->id.refusal == IDENTITY_ADMITTED &&
	        jwt_judge(t, &expect, call_now_s(c), claims) == JWT_GOOD;
	return result;
}

/* RFC 7662, section 2.2: of a token that is not active nothing else is told (J16). */
static void put_introspection(struct call *c, const struct jwt_claims *claims, bool live,
                              struct slice client, const struct session_record *session)
{
	struct buf *out = &c->response->body;
	struct slice audience;

	begin_json(c);
	if (!live) {
		buf_lit(out, "{\"active\":false}");
		return;
	}
	audience = jwt_string(claims->all, "aud");
	buf_lit(out, "{\"active\":true,\"token_type\":\"Bearer\",");
	put_text(out, "client_id", client);
	if (session->login.len > 0)
		put_text(out, "username", session->login);
	if (slice_given(audience))
		put_text(out, "aud", audience);
	put_text(out, "iss", claims->iss);
	put_text(out, "sub", claims->sub);
	put_text(out, "sid", jwt_string(claims->all, "sid"));
	put_number(out, "iat", claims->iat_s);
	put_number(out, "exp", claims->exp_s);
	out->len--;
	buf_char(out, '}');
}

enum call_result oauth_introspect(struct call *c)
{
	struct param params[] = { { "token", { 0 } }, { "token_type_hint", { 0 } } };
	char bytes[FORM_MAX];
	struct buf text = BUF(bytes);
	struct session_record session = { 0 };
	struct jwt_claims claims = { 0 };
	struct slice token, client = { 0 };
	struct subject s;
	struct jwt t;
	enum call_result result = CALL_DONE;
	bool live = false;

	if (!caller_may(c) || !read_form(c, params, COUNT_OF(params), &text))
		return CALL_DONE;
	token = params[0].value;
	if (!slice_given(token))
		return invalid(c, "The parameter token is missing.");
	if (jwt_open(&t, token) != JWT_GOOD)
		t.typ = JWT_TYP_OTHER;
	if (t.typ == JWT_TYP_ACCESS) {
		result = judge_access(c, &t, &claims, &session, &live);
		client = live ? jwt_string(claims.all, "client_id") : client;
	} else if (t.typ == JWT_TYP_JWT) {
		result = judge_shopper(c, &t, token, &claims, &s, &live);
		session = live ? s.id.session : session;
		client = live ? s.id.client->name : client;
	}
	if (result == CALL_DONE)
		put_introspection(c, &claims, live, client, &session);
	return result;
}

/* RFC 7009: what is no token, or no longer one, is revoked already. */
enum call_result oauth_revoke(struct call *c)
{
	struct param params[] = { { "token", { 0 } }, { "token_type_hint", { 0 } } };
	char bytes[FORM_MAX], shown[LOG_KEY_LEN];
	struct buf text = BUF(bytes);
	struct subject s;
	struct jwt t;
	enum call_result result;
	enum kv_status status;

	if (!caller_may(c) || !read_form(c, params, COUNT_OF(params), &text))
		return CALL_DONE;
	if (!slice_given(params[0].value))
		return invalid(c, "The parameter token is missing.");
	c->response->status = HTTP_OK;
	http_field_lit(c->response, "Cache-Control: no-store");
	if (jwt_open(&t, params[0].value) != JWT_GOOD)
		return CALL_DONE;
	if (t.typ == JWT_TYP_ACCESS) {
		http_response_reset(c->response);
		return fail(c, HTTP_BAD_REQUEST, "unsupported_token_type",
		            "An access token ends by itself within a minute.");
	}
	result = find_token(c, params[0].value, &s);
	if (result != CALL_DONE || s.id.refusal != IDENTITY_ADMITTED)
		return result;
	call_audit(c, "token_revoked", "session=%s", log_key(shown, s.id.session_key));
	status = session_end(c->kv, s.id.session_key);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* The session of the customer whom a token of another issuer's names. Its signature is good. */
static enum call_result begin_trusted(struct call *c, struct slice token, struct slice login,
                                      struct identity *id)
{
	struct session_owner owner = { .customer_id = 0 };
	struct customer_record who;
	enum kv_status status = customer_find(c->kv, login, &who);

	if (status == KV_NOT_FOUND || (status == KV_OK && (who.flags & CUSTOMER_DISABLED) != 0))
		return CALL_DONE;
	owner.customer_id = who.id;
	session_trusted_key(c->sid_secret, token, id->session_key);
	if (status == KV_OK)
		status = session_find(c->kv, id->session_key, call_now_s(c), &id->session);
	if (status == KV_NOT_FOUND) {
		call_audit_session(c, "login", who.id, id->session_key, VIA_TOKEN);
		status = session_start_shown(c->kv, c->config, c->sid_secret, &owner,
		                             id->session_key, VIA_TOKEN, call_now_s(c));
		if (status == KV_OK)
			status = session_find(c->kv, id->session_key, call_now_s(c), &id->session);
	}
	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	id->refusal = IDENTITY_ADMITTED;
	id->kind = IDENTITY_CUSTOMER;
	id->via = VIA_TOKEN;
	id->recorded = true;
	return CALL_DONE;
}

/* False: the token is no trusted issuer's. What a key of his did not sign, or not for this site,
 * or for nobody here, leaves s->id refused. */
static bool find_trusted(struct call *c, struct slice token, struct subject *s,
                         enum call_result *result)
{
	struct jwt_expect expect = { .aud = slice_of(c->config->site),
	                             .life_max_s = TRUST_LIFE_MAX_S,
	                             .leeway_s = JWT_LEEWAY_MAX_S };
	struct jwt_claims claims = { 0 };
	const struct trust_issuer *issuer;
	const struct jwt_key *key;
	enum jwt_status judged, verdict;
	struct jwt t;

	*result = CALL_DONE;
	if (jwt_open(&t, token) != JWT_GOOD)
		return false;
	expect.typ = t.typ;
	judged = jwt_judge(&t, &expect, call_now_s(c), &claims);
	issuer = slice_given(claims.iss) ? trust_find(claims.iss) : NULL;
	if (issuer == NULL)
		return false;
	identity_clear(&s->id);
	s->id.refusal = IDENTITY_TOKEN_DEAD;
	key = jwt_key_find(issuer->keys, issuer->key_count, &t);
	if (judged != JWT_GOOD || t.typ == JWT_TYP_OTHER || key == NULL ||
	    !slice_given(claims.sub))
		return true;
	*result = call_verify(c, &t, key, &verdict);
	if (*result == CALL_DONE && verdict == JWT_GOOD)
		*result = begin_trusted(c, token, claims.sub, &s->id);
	return true;
}

enum { GRANT_TYPE, SUBJECT_TOKEN, SUBJECT_TYPE, REQUESTED_TYPE, AUDIENCE, SCOPE, RESOURCE, ACTOR };

/* The session that is to be exchanged, by the type of what shows it; NULL: c->response says what
 * is wrong, or *result what the handler answers. */
static enum call_result find_exchanged(struct call *c, const struct param *params,
                                       struct subject *s, bool *known)
{
	struct slice token = params[SUBJECT_TOKEN].value, type = params[SUBJECT_TYPE].value;
	struct buf text = BUF(s->text);
	enum call_result result;

	*known = true;
	if (slice_eq(type, SLICE(TYPE_PREFIX "jwt")) ||
	    slice_eq(type, SLICE(TYPE_PREFIX "id_token")) ||
	    slice_eq(type, SLICE(TYPE_PREFIX "access_token")))
		return find_trusted(c, token, s, &result) ? result : find_token(c, token, s);
	begin_subject(c, s);
	if (slice_eq(type, SLICE("urn:x-sidecart:session-id"))) {
		s->request.field[HTTP_SESSION_ID] = token;
		return find_subject(c, s);
	}
	*known = slice_eq(type, SLICE("urn:x-sidecart:cookie"));
	if (!*known)
		return CALL_DONE;
	buf_str(&text, c->config->cookie_name);
	buf_char(&text, '=');
	buf_put(&text, token);
	s->request.cookies[0] = buf_slice(&text);
	s->request.cookie_lines = 1;
	return find_subject(c, s);
}

/* What of RFC 8693 is not here is refused, never ignored: no gain in scope, none in audience.
 * NULL: nothing is wrong. */
static const char *judge_exchange(const struct param *params, const char **error)
{
	struct slice audience = params[AUDIENCE].value, wanted = params[REQUESTED_TYPE].value;

	*error = "invalid_request";
	if (!slice_eq(params[GRANT_TYPE].value,
	              SLICE("urn:ietf:params:oauth:grant-type:token-exchange"))) {
		*error = "unsupported_grant_type";
		return "grant_type is urn:ietf:params:oauth:grant-type:token-exchange.";
	}
	if (!slice_given(params[SUBJECT_TOKEN].value) || !slice_given(params[SUBJECT_TYPE].value))
		return "subject_token and subject_token_type are required.";
	if (slice_given(wanted) && !slice_eq(wanted, SLICE(TYPE_PREFIX "access_token")) &&
	    !slice_eq(wanted, SLICE(TYPE_PREFIX "jwt")))
		return "requested_token_type: access tokens are issued here.";
	if (slice_given(params[ACTOR].value))
		return "Nobody acts for somebody else here: send no actor_token.";
	if (slice_given(params[SCOPE].value)) {
		*error = "invalid_scope";
		return "The token has no scope: send none.";
	}
	if (!slice_given(audience) || audience.len > OAUTH_AUDIENCE_MAX ||
	    !slice_is_text(audience) || slice_given(params[RESOURCE].value)) {
		*error = "invalid_target";
		return "Name the backend as audience, in up to 255 bytes, and no resource.";
	}
	return NULL;
}

static void put_exchanged(struct call *c, struct slice token, uint64_t exp_s)
{
	struct buf *out = &c->response->body;

	begin_json(c);
	buf_char(out, '{');
	put_text(out, "access_token", token);
	put_text(out, "issued_token_type", SLICE(TYPE_PREFIX "access_token"));
	put_text(out, "token_type", SLICE("Bearer"));
	put_number(out, "expires_in", exp_s - call_now_s(c));
	out->len--;
	buf_char(out, '}');
}

enum call_result oauth_exchange(struct call *c)
{
	struct param params[] = {
		[GRANT_TYPE] = { "grant_type", { 0 } },
		[SUBJECT_TOKEN] = { "subject_token", { 0 } },
		[SUBJECT_TYPE] = { "subject_token_type", { 0 } },
		[REQUESTED_TYPE] = { "requested_token_type", { 0 } },
		[AUDIENCE] = { "audience", { 0 } }, [SCOPE] = { "scope", { 0 } },
		[RESOURCE] = { "resource", { 0 } }, [ACTOR] = { "actor_token", { 0 } },
	};
	char bytes[FORM_MAX], token_text[OAUTH_TOKEN_MAX];
	struct buf text = BUF(bytes), token = BUF(token_text);
	const char *why, *error;
	struct oauth_access access;
	struct subject s;
	enum call_result result;
	uint64_t exp_s;
	bool known;

	if (!caller_may(c) || !read_form(c, params, COUNT_OF(params), &text))
		return CALL_DONE;
	if ((why = judge_exchange(params, &error)) != NULL)
		return fail(c, HTTP_BAD_REQUEST, error, why);
	result = find_exchanged(c, params, &s, &known);
	if (result != CALL_DONE)
		return result;
	if (!known)
		return invalid(c, "subject_token_type is that of a JWT, urn:x-sidecart:session-id "
		               "or urn:x-sidecart:cookie.");
	if (s.id.refusal != IDENTITY_ADMITTED || s.id.kind == IDENTITY_NONE)
		return invalid(c, "The subject_token shows no live session.");
	access = (struct oauth_access){ .who = &s.id, .audience = params[AUDIENCE].value,
	                                .client = c->identity.client->name };
	result = oauth_make_access(c, &access, &token, &exp_s);
	if (result == CALL_DONE)
		put_exchanged(c, buf_slice(&token), exp_s);
	return result;
}
