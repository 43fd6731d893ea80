/* resolve.c -- see resolve.h.
 *
 * The verdicts of /resolve, `require` on top (interface: the verdict table):
 *
 *   identity     any        session    customer (default)
 *   none         204        401        401
 *   guest        204        204        401
 *   customer     204        204        204
 *   refused      401 or 403, as refusals[] says
 */
#include <assert.h>
#include <bearssl.h>

#include "client.h"
#include "inflate.h"
#include "json.h"
#include "oauth.h"
#include "openapi.h"
#include "resolve.h"

enum require { REQUIRE_ANY, REQUIRE_SESSION, REQUIRE_CUSTOMER };

static const char *const require_names[] = {
	[REQUIRE_ANY] = "any", [REQUIRE_SESSION] = "session", [REQUIRE_CUSTOMER] = "customer",
};

#define TOKEN_DEAD "This token is not accepted."

/* How a refused identity is answered: on /resolve, and elsewhere on the native surface. */
static const struct {
	enum http_status forward_auth, status;
	const char *code, *detail;
} refusals[IDENTITY_REFUSALS] = {
	[IDENTITY_KEY_MISSING]   = { 403, 403, "key_missing",
	                             "An API key is required: send it as Authorization or "
	                             "X-Api-Key." },
	[IDENTITY_KEY_BAD]       = { 403, 403, "key_bad", "This API key is not accepted." },
	[IDENTITY_KEYS_DISAGREE] = { 400, 400, "keys_disagree",
	                             "Authorization and X-Api-Key hold different API keys." },
	[IDENTITY_SID_MALFORMED] = { 401, 400, "sid_malformed", NULL },
	[IDENTITY_SID_UNTRUSTED] = { 403, 403, "sid_untrusted",
	                             "A Session-Id is honoured only with an API key of scope "
	                             "trusted (setting sid_trust)." },
	[IDENTITY_SID_REALM]     = { 403, 403, "sid_realm",
	                             "The realm of the Session-Id is not this host (setting "
	                             "sid_realms)." },
	[IDENTITY_SESSION_DEAD]  = { 401, 401, "session_dead",
	                             "No live session: log in to start one." },
	[IDENTITY_TOKEN_DEAD]    = { 401, 401, "token_dead", TOKEN_DEAD },
	[IDENTITY_TOKEN_EXPIRED] = { 401, 401, "token_dead", TOKEN_DEAD },
	[IDENTITY_TOKEN_UNPROVEN] = { 401, 401, "token_dead", TOKEN_DEAD },
	[IDENTITY_PROOFS_DISAGREE] = { 401, 400, "proofs_disagree",
	                             "Session-Id and Bearer token are not one customer's." },
	/* Of OCAPI's paths alone (ocapi.c). */
	[IDENTITY_CLIENT_MISSING] = { 400, 400, "key_missing", "A client id is required." },
	[IDENTITY_CLIENT_UNKNOWN] = { 401, 401, "key_bad", "This client id is not accepted." },
	[IDENTITY_CSRF_ORIGIN]   = { 403, 403, "csrf_origin",
	                             "Another site's page sent this (setting csrf_origins)." },
	[IDENTITY_CSRF_COOKIE]   = { 403, 403, "csrf_cookie", "The CSRF cookie did not come." },
	[IDENTITY_CSRF_TOKEN]    = { 403, 403, "csrf_token",
	                             "X-CSRFToken is not the CSRF cookie of this session." },
};

/* 401 names a scheme (RFC 9110, section 15.5.2; RFC 6750, section 3, where a Bearer came: J17). */
static void put_challenge(struct call *c)
{
	if (c->identity.bearer)
		http_field_lit(c->response, "WWW-Authenticate: Bearer error=\"invalid_token\"");
	else
		http_field_lit(c->response, "WWW-Authenticate: Session-Id");
}

static enum call_result deny(struct call *c, enum http_status status, const char *code,
                             const char *detail)
{
	http_field_put(c->response, "X-Resolve-Error", slice_of(code));
	if (status == HTTP_UNAUTHORIZED)
		put_challenge(c);
	return call_problem(c, status, code, detail);
}

/* The realm's 403 says which realm and host differed. */
static const char *realm_detail(const struct identity *id, char *out, size_t cap)
{
	struct buf text = { out, 0, cap - 1, false };

	buf_lit(&text, "The realm ");
	buf_put(&text, id->sid.realm);
	buf_lit(&text, " of the Session-Id is not the host ");
	buf_put(&text, id->host);
	buf_lit(&text, " (setting sid_realms).");
	out[text.len] = '\0';
	return text.full ? refusals[IDENTITY_SID_REALM].detail : out;
}

enum call_result resolve_refuse(struct call *c, bool forward_auth)
{
	enum identity_refusal why = c->identity.refusal;
	const char *detail = refusals[why].detail, *code = refusals[why].code;
	enum http_status status = forward_auth ? refusals[why].forward_auth : refusals[why].status;
	char text[768];

	assert(why != IDENTITY_ADMITTED);
	if (why == IDENTITY_SID_MALFORMED)
		detail = sid_error_text(c->identity.sid_error);
	if (why == IDENTITY_SID_REALM)
		detail = realm_detail(&c->identity, text, sizeof text);
	if (forward_auth)
		return deny(c, status, code, detail);
	if (status == HTTP_UNAUTHORIZED)
		put_challenge(c);
	return call_problem(c, status, code, detail);
}

/* Of eight bytes, the high bit of each that is printable ASCII, neither blank nor `%`. */
static inline uint64_t word_plain(uint64_t w)
{
	return word_within(w, '!', '~') & ~word_within(w, '%', '%');
}

/* How many bytes at the front of `s` are so: eight at a step, the last eight once more where
 * less are left. */
static size_t plain_len(struct slice s)
{
	size_t i = 0;

	while (s.len - i >= 8 && word_plain(word_at(s.ptr + i)) == WORD_HIGHS)
		i += 8;
	if (i > 0 && s.len - i < 8 && word_plain(word_at(s.ptr + s.len - 8)) == WORD_HIGHS)
		return s.len;
	while (i < s.len && s.ptr[i] > 0x20 && s.ptr[i] < 0x7f && s.ptr[i] != '%')
		i++;
	return i;
}

/* Behind what is plain: the rest, with each other byte percent-encoded. */
static struct buf put_encoded(struct buf out, struct slice s)
{
	static const char digit[] = "0123456789ABCDEF";

	while (s.len > 0) {
		unsigned char c = (unsigned char)s.ptr[0];
		size_t plain;

		buf_char(&out, '%');
		buf_char(&out, digit[c >> 4]);
		buf_char(&out, digit[c & 15]);
		s = slice_skip(s, 1);
		plain = plain_len(s);
		buf_put(&out, (struct slice){ s.ptr, plain });
		s = slice_skip(s, plain);
	}
	return out;
}

/* Printable ASCII as it is, all else -- and `%` and blanks -- percent-encoded, so that a value
 * is one unbroken word (requirement F04); nothing is `-`, which no login can be. */
static inline void put_word(struct buf *out, struct slice s)
{
	size_t plain = plain_len(s);

	if (s.len == 0)
		buf_char(out, '-');
	buf_put(out, (struct slice){ s.ptr, plain });
	if (plain < s.len)
		*out = put_encoded(*out, slice_skip(s, plain));
}

static inline void put_id(struct buf *out, uint64_t id)
{
	if (id != 0)
		buf_uint(out, id);
	else
		buf_char(out, '-');
}

#define FIELDS(text) { text, sizeof(text) - 1 }

/* What stands in front of the session's key, by enum identity_kind. */
static const struct slice kind_fields[] = {
	[IDENTITY_NONE]     = FIELDS("X-Session-Kind: none\r\nX-Session-Key: -"),
	[IDENTITY_GUEST]    = FIELDS("X-Session-Kind: guest\r\nX-Session-Key: "),
	[IDENTITY_CUSTOMER] = FIELDS("X-Session-Kind: customer\r\nX-Session-Key: "),
};

static void put_client(struct buf *out, const struct client_record *client)
{
	buf_lit(out, "\r\nX-Client-Name: ");
	put_word(out, client->name);
	buf_lit(out, "\r\nX-Client-Scopes: ");
	client_scopes_write(out, client->scopes);
}

static void put_identity_fields(struct buf *out, const struct identity *id)
{
	struct buf b = *out;            /* a copy stays in registers */

	buf_put(&b, kind_fields[id->kind]);
	if (id->kind != IDENTITY_NONE)
		buf_hex(&b, slice_bytes(id->session_key, sizeof id->session_key));
	buf_lit(&b, "\r\nX-Customer-Id: ");
	put_id(&b, id->session.customer_id);
	buf_lit(&b, "\r\nX-Customer-Login: ");
	put_word(&b, id->session.login);
	buf_lit(&b, "\r\nX-Basket-Id: ");
	put_id(&b, id->session.basket_id);
	*out = b;
	if (id->client != NULL)
		put_client(out, id->client);
	else
		buf_lit(out, "\r\nX-Client-Name: -\r\nX-Client-Scopes: -");
	buf_lit(out, "\r\nX-Auth-Via: ");
	buf_str(out, identity_via_text(id->via));
	buf_lit(out, "\r\n");
}

static bool read_require(struct slice value, enum require *require)
{
	for (size_t i = 0; i < COUNT_OF(require_names); i++)
		if (slice_eq(value, slice_of(require_names[i]))) {
			*require = (enum require)i;
			return true;
		}
	return false;
}

/* What a proxy asks for. */
struct wish {
	enum require require;
	struct slice scope;             /* absent: none */
	bool token;                     /* one for the backend, */
	struct slice audience;          /* for this one; encoded; absent: the host that was asked */
};

/* Takes one parameter of each name. */
static bool take_once(struct slice *into, struct slice value)
{
	bool first = !slice_given(*into);

	*into = slice_given(value) ? value : SLICE("");
	return first;
}

/* False for an unknown value or a second one. Other parameters are not ours to judge: a proxy
 * may pass on the client's own. */
static bool read_query(struct slice query, struct wish *w)
{
	struct slice name, value, require = { 0 }, token = { 0 };
	bool good = true;

	while (http_form_next(&query, &name, &value)) {
		if (slice_eq(name, SLICE("require")))
			good &= take_once(&require, value) && read_require(value, &w->require);
		else if (slice_eq(name, SLICE("scope")))
			good &= take_once(&w->scope, value);
		else if (slice_eq(name, SLICE("token")))
			good &= take_once(&token, value) && slice_eq(value, SLICE("1"));
		else if (slice_eq(name, SLICE("audience")))
			good &= take_once(&w->audience, value);
	}
	w->token = slice_given(token);
	return good;
}

static bool has_scope(const struct identity *id, struct slice scope)
{
	if (id->client == NULL)
		return false;
	for (int i = 0; client_scope_names[i] != NULL; i++)
		if (slice_eq(scope, slice_of(client_scope_names[i])))
			return (id->client->scopes & 1u << i) != 0;
	return false;
}

static enum call_result bad_query(struct call *c)
{
	return call_problem(c, HTTP_BAD_REQUEST, "query_bad",
	                    "require is any, session or customer; scope names one scope; token "
	                    "is 1; audience has 1 to 255 bytes; each stands once.");
}

/* A token for the backend, which says what else the fields say, and for which request: a field
 * can be forged, this cannot (requirement F05). Nobody has none. */
static enum call_result put_token(struct call *c, const struct wish *w)
{
	const struct identity *id = &c->identity;
	char audience_text[OAUTH_AUDIENCE_MAX], token_text[OAUTH_TOKEN_MAX];
	struct buf audience = BUF(audience_text), token = BUF(token_text);
	struct slice uri = id->original.uri;
	struct oauth_access access = { .who = id };
	enum call_result result;
	uint64_t exp_s;

	if (slice_given(w->audience))
		http_form_decode(w->audience, &audience);
	else
		buf_put(&audience, id->original.host.len > 0 ? id->original.host : id->authority);
	if (audience.full || audience.len == 0 || !slice_is_text(buf_slice(&audience)) ||
	    id->original.method.len > HTTP_METHOD_MAX)
		return bad_query(c);
	if (id->kind == IDENTITY_NONE)
		return CALL_DONE;
	access.audience = buf_slice(&audience);
	if (id->client != NULL)
		access.client = id->client->name;
	if (id->original.method.len > 0)
		access.method = id->original.method;
	if (uri.len > 0)
		access.path = slice_cut(&uri, '?');
	result = oauth_make_access(c, &access, &token, &exp_s);
	if (result != CALL_DONE)
		return result;
	buf_lit(&c->response->fields, "Authorization: Bearer ");
	buf_put(&c->response->fields, buf_slice(&token));
	buf_lit(&c->response->fields, "\r\n");
	return CALL_DONE;
}

enum call_result resolve_get(struct call *c)
{
	const struct identity *id = &c->identity;
	struct wish w = { .require = REQUIRE_CUSTOMER };
	enum call_result result;

	if (c->request->query.len > 0 && !read_query(c->request->query, &w))
		return bad_query(c);
	if (slice_given(w.scope) && !has_scope(id, w.scope))
		return deny(c, HTTP_FORBIDDEN, "scope_missing", "The API key lacks the scope.");
	if (id->kind == IDENTITY_NONE && w.require != REQUIRE_ANY)
		return deny(c, HTTP_UNAUTHORIZED, "session_required", "No session came.");
	if (id->kind == IDENTITY_GUEST && w.require == REQUIRE_CUSTOMER)
		return deny(c, HTTP_UNAUTHORIZED, "customer_required",
		            "The session is anonymous: log in first.");
	c->response->status = HTTP_NO_CONTENT;
	if (w.token) {
		result = put_token(c, &w);
		if (result != CALL_DONE || c->response->status != HTTP_NO_CONTENT)
			return result;
	}
	put_identity_fields(&c->response->fields, id);
	call_put_echo(c);
	http_field_lit(c->response, "Cache-Control: no-store");
	return CALL_DONE;
}

static void put_member(struct buf *out, const char *name, struct slice text)
{
	if (out->len > 0 && out->ptr[out->len - 1] != '{')
		buf_char(out, ',');
	json_put_string(out, slice_of(name));
	buf_char(out, ':');
	if (slice_given(text))
		json_put_string(out, text);
	else
		buf_lit(out, "null");
}

/* An id as text; 0 is null. */
static void put_id_member(struct buf *out, const char *name, uint64_t id)
{
	char text[24];
	struct buf digits = BUF(text);

	if (id != 0)
		buf_uint(&digits, id);
	put_member(out, name, id != 0 ? buf_slice(&digits) : (struct slice){ 0 });
}

/* The members are named as the fields of /resolve; what is `-` there is null here. */
static void put_identity_json(struct buf *out, enum identity_kind kind,
                              const uint8_t session_key[SID_KEY_LEN],
                              const struct session_record *session, enum record_via via,
                              const struct identity *id)
{
	struct slice none = { 0 };
	char text[64];
	struct buf part = BUF(text);

	buf_char(out, '{');
	put_member(out, "session_kind", slice_of(identity_kind_text(kind)));
	buf_hex(&part, slice_bytes(session_key, SID_KEY_LEN));
	put_member(out, "session_key", kind != IDENTITY_NONE ? buf_slice(&part) : none);
	put_id_member(out, "customer_id", session->customer_id);
	put_member(out, "customer_login", session->customer_id != 0 ? session->login : none);
	put_id_member(out, "basket_id", session->basket_id);
	put_member(out, "client_name", id->client != NULL ? id->client->name : none);
	part.len = 0;
	client_scopes_write(&part, id->client != NULL ? id->client->scopes : 0);
	put_member(out, "client_scopes", id->client != NULL ? buf_slice(&part) : none);
	put_member(out, "auth_via", slice_of(identity_via_text(via)));
}

/* The last member: what a page sends back as X-CSRFToken. */
static void end_identity_json(struct buf *out, struct slice csrf_token)
{
	put_member(out, "csrf_token", csrf_token);
	buf_char(out, '}');
}

static void begin_json(struct call *c)
{
	struct http_response *r = c->response;

	r->status = HTTP_OK;
	http_field_lit(r, "Content-Type: application/json");
	http_field_lit(r, "Cache-Control: no-store");
	if (!c->identity.has_sid)
		http_field_lit(r, "Vary: Session-Id, Cookie");
}

enum call_result resolve_session_get(struct call *c)
{
	const struct identity *id = &c->identity;
	char token[SESSION_ID_CHARS];

	begin_json(c);
	call_put_echo(c);
	put_identity_json(&c->response->body, id->kind, id->session_key,
	                  &id->session, id->via, id);
	end_identity_json(&c->response->body, call_renew_csrf(c, token));
	return CALL_DONE;
}

/* All sessions of who asks: a guest of OCAPI's rest on one root. */
static enum kv_status end_all(struct call *c)
{
	const struct identity *id = &c->identity;
	uint8_t root[RECORD_SESSION_KEY_LEN];
	uint32_t ended = 0;
	enum kv_status status = KV_OK;

	if (id->kind == IDENTITY_CUSTOMER) {
		status = session_delete_some(c->kv, id->session.customer_id, UINT32_MAX, &ended);
		call_audit(c, "logout", "customer=%llu of=all sessions_ended=%u",
		           (unsigned long long)id->session.customer_id, ended + 1);
		return status;
	}
	if (id->session.guest_id.len > 0) {
		identity_owner_key(id, c->sid_secret, root);
		status = session_end(c->kv, root);
	}
	return status == KV_NOT_FOUND ? KV_OK : status;
}

enum call_result resolve_session_delete(struct call *c)
{
	struct slice query = c->request->query, name, value;
	bool all = false;
	enum kv_status status;

	while (http_form_next(&query, &name, &value))
		all |= slice_eq(name, SLICE("all")) && slice_eq(value, SLICE("1"));
	c->response->status = HTTP_NO_CONTENT;
	http_field_lit(c->response, "Cache-Control: no-store");
	status = call_log_out(c);
	if (status == KV_OK && all)
		status = end_all(c);
	return status == KV_OK ? CALL_DONE : call_store(c, status);
}

/* Takes `login` out of the JSON body; absent: c->response says what is wrong. */
static struct slice read_login(struct call *c)
{
	char error[JSON_ERROR_MAX];
	json_t *document, *login;

	if (!http_media_is(c->request->field[HTTP_CONTENT_TYPE], "application/json")) {
		call_problem(c, HTTP_UNSUPPORTED_MEDIA, "media_type", "Send application/json.");
		return (struct slice){ 0 };
	}
	document = json_parse(c->request->body, error);
	if (document == NULL) {
		call_problem(c, HTTP_BAD_REQUEST, "json_bad", error);
		return (struct slice){ 0 };
	}
	login = json_object_get(document, "login");
	if (!json_is_string(login)) {
		call_problem(c, HTTP_BAD_REQUEST, "login_missing",
		             "Send {\"login\": \"...\"}, a string.");
		return (struct slice){ 0 };
	}
	return (struct slice){ json_string_value(login), json_string_length(login) };
}

/* False: c->response says why this request signs nobody in. */
static bool may_log_in(struct call *c)
{
	const struct identity *id = &c->identity;

	if (id->client == NULL || (id->client->scopes & SCOPE_LOGIN) == 0)
		call_problem(c, HTTP_FORBIDDEN, "scope_missing",
		             "An API key of scope login is required.");
	else if (id->has_sid && id->sid.type != SID_ANON)
		call_problem(c, HTTP_BAD_REQUEST, "sid_type",
		             "Send a Session-Id of type ANON: it becomes AUTH.");
	else if (id->via == VIA_TOKEN)          /* beside a token no cookie is set (S04) */
		call_problem(c, HTTP_BAD_REQUEST, "token_sent",
		             "A login starts from a Session-Id or a cookie: send no token.");
	else if (id->kind == IDENTITY_CUSTOMER)
		call_problem(c, HTTP_CONFLICT, "session_in_use", "Log out first.");
	else
		return true;
	return false;
}

enum call_result resolve_session_login(struct call *c)
{
	struct customer_record who;
	struct session_record session = { 0 };
	struct call_login made;
	struct slice login;
	enum kv_status status;

	if (!may_log_in(c))
		return CALL_DONE;
	login = read_login(c);
	if (!slice_given(login))
		return CALL_DONE;
	status = customer_find(c->kv, login, &who);
	if (status != KV_OK && status != KV_NOT_FOUND)
		return call_store(c, status);
	if (status == KV_NOT_FOUND)
		return call_problem(c, HTTP_NOT_FOUND, "customer_unknown",
		                    "No customer has this login.");
	if ((who.flags & CUSTOMER_DISABLED) != 0)
		return call_problem(c, HTTP_FORBIDDEN, "customer_disabled",
		                    "This customer is disabled.");
	begin_json(c);
	if (c->identity.has_sid)
		http_field_lit(c->response, "Vary: Session-Id");
	call_begin_login(c, &made);
	status = call_log_in(c, &made, who.id);
	if (status == KV_OK)
		status = session_find(c->kv, made.key, call_now_s(c), &session);
	if (status != KV_OK)
		return call_store(c, status == KV_NOT_FOUND ? KV_IO : status);
	put_identity_json(&c->response->body, IDENTITY_CUSTOMER, made.key, &session,
	                  (enum record_via)made.via, &c->identity);
	end_identity_json(&c->response->body, made.via == VIA_COOKIE
	                  ? slice_bytes(made.csrf, sizeof made.csrf) : (struct slice){ 0 });
	return CALL_DONE;
}

#define ETAG_LEN 18     /* 16 hexadecimal digits in quotes */

/* A strong validator: the digest of the JSON text, cut (RFC 9110, section 8.8.3). */
static void write_etag(struct buf *out, struct slice json)
{
	uint8_t digest[br_sha256_SIZE];
	br_sha256_context sha;

	br_sha256_init(&sha);
	br_sha256_update(&sha, json.ptr, json.len);
	br_sha256_out(&sha, digest);
	buf_char(out, '"');
	buf_hex(out, slice_bytes(digest, (ETAG_LEN - 2) / 2));
	buf_char(out, '"');
}

static void put_data(struct call *c, struct slice json)
{
	char text[ETAG_LEN];
	struct buf etag = BUF(text);

	write_etag(&etag, json);
	begin_json(c);
	call_put_echo(c);
	http_field_put(c->response, "ETag", buf_slice(&etag));
	buf_put(&c->response->body, json);
}

/* What is kept with the session; nothing kept is an empty object. */
static enum kv_status find_data(struct call *c, struct slice *json)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status = KV_NOT_FOUND;

	identity_owner_key(&c->identity, c->sid_secret, key);
	if (c->identity.kind != IDENTITY_NONE)
		status = session_data(c->kv, key, call_now_s(c), json);
	if (status == KV_NOT_FOUND) {
		*json = SLICE("{}");
		return KV_OK;
	}
	return status;
}

enum call_result resolve_data_get(struct call *c)
{
	struct slice json;
	enum kv_status status = find_data(c, &json);

	if (status != KV_OK)
		return call_store(c, status);
	put_data(c, json);
	return CALL_DONE;
}

static bool condition_holds(const struct call *c, struct slice json)
{
	char text[ETAG_LEN];
	struct buf etag = BUF(text);

	write_etag(&etag, json);
	return http_if_match(c->request, buf_slice(&etag));
}

static enum call_result keep_data(struct call *c, struct slice json)
{
	uint8_t key[RECORD_SESSION_KEY_LEN];
	enum kv_status status = call_keep_guest(c, key);

	if (status == KV_OK)
		status = session_put_data(c->kv, key, json);
	if (status != KV_OK)
		return call_store(c, status);
	put_data(c, json);
	return CALL_DONE;
}

enum call_result resolve_data_patch(struct call *c)
{
	struct slice type = c->request->field[HTTP_CONTENT_TYPE], json;
	char merged[RECORD_DATA_MAX], error[JSON_ERROR_MAX];
	struct buf out = BUF(merged);
	enum kv_status status;

	if (!http_media_is(type, "application/merge-patch+json") &&
	    !http_media_is(type, "application/json"))
		return call_problem(c, HTTP_UNSUPPORTED_MEDIA, "media_type",
		                    "Send application/merge-patch+json.");
	if ((status = find_data(c, &json)) != KV_OK)
		return call_store(c, status);
	if (!condition_holds(c, json))
		return call_problem(c, HTTP_PRECONDITION_FAILED, "changed",
		                    "The data is not what If-Match says: read it again.");
	if (!json_merge_patch(&out, json, c->request->body, error))
		return call_problem(c, HTTP_BAD_REQUEST, "json_bad", error);
	if (out.full)
		return call_problem(c, HTTP_CONTENT_TOO_LARGE, "data_full",
		                    "A session keeps up to 4096 bytes of JSON.");
	return keep_data(c, buf_slice(&out));
}

static enum call_result put_health(struct call *c, enum http_status status, const char *text)
{
	c->response->status = status;
	http_field_lit(c->response, "Content-Type: text/plain");
	http_field_lit(c->response, "Cache-Control: no-store");
	buf_str(&c->response->body, text);
	buf_char(&c->response->body, '\n');
	return CALL_DONE;
}

enum call_result resolve_healthz(struct call *c)
{
	return put_health(c, HTTP_OK, "ok");
}

/* Ready: the writer is there, and the store answers. */
enum call_result resolve_readyz(struct call *c)
{
	uint64_t next;
	enum kv_status status;

	if (c->not_ready != NULL)
		return put_health(c, HTTP_SERVICE_UNAVAILABLE, c->not_ready);
	status = customer_next_id(c->kv, &next);
	if (status == KV_AGAIN)
		return call_store(c, status);
	if (status != KV_OK)
		return put_health(c, HTTP_SERVICE_UNAVAILABLE, kv_status_text(status));
	return put_health(c, HTTP_OK, "ok");
}

enum call_result resolve_openapi(struct call *c)
{
	c->response->status = HTTP_OK;
	http_field_lit(c->response, "Content-Type: application/json");
	http_field_lit(c->response, "Cache-Control: public, max-age=300");
	if (inflate_all((struct slice){ openapi_gz, openapi_gz_len }, INFLATE_GZIP, CALL_BODY_MAX,
	                &c->response->body) != INFLATE_OK)
		c->response->body.full = true;
	return CALL_DONE;
}

/* A set without keys is kept by nobody: the first one signs as soon as it is there (J14). */
enum call_result resolve_jwks(struct call *c)
{
	struct buf *fields = &c->response->fields;
	size_t count;
	enum kv_status status = token_put_jwks(c->kv, call_now_s(c), &c->response->body, &count);

	if (status != KV_OK)
		return call_store(c, status);
	c->response->status = HTTP_OK;
	http_field_lit(c->response, "Content-Type: application/jwk-set+json");
	if (count == 0) {
		http_field_lit(c->response, "Cache-Control: no-store");
		return CALL_DONE;
	}
	buf_lit(fields, "Cache-Control: public, max-age=");
	buf_uint(fields, c->config->jwks_max_age_s);
	buf_lit(fields, "\r\n");
	return CALL_DONE;
}
