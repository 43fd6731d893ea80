/* ocapi_session.c -- /sessions: a session, shown by cookies, for a token (OCAPI session bridge).
 *
 * Cookies that come along are not looked at, but for a secure token that is no longer asked for.
 */
#include "ocapi.h"

#define ANONYMOUS_AGE_S 15552000        /* 180 days */

/* `name_<hash>`: a site's own cookie. */
static struct slice write_name(const struct call *c, struct buf *out, const char *name)
{
	buf_str(out, name);
	buf_char(out, '_');
	session_put_site_hash(out, c->config->site);
	return buf_slice(out);
}

/* `Set-Cookie: name=value; Version=1; Comment="Demandware <what> for site Sites-<site>-Site"`. */
static void begin_cookie(struct call *c, const char *name, struct slice value, const char *what)
{
	char text[64];
	struct buf *fields = &c->response->fields, whole = BUF(text);

	buf_lit(fields, "Set-Cookie: ");
	buf_put(fields, write_name(c, &whole, name));
	buf_char(fields, '=');
	buf_put(fields, value);
	buf_lit(fields, "; Version=1; Comment=\"Demandware ");
	buf_str(fields, what);
	buf_lit(fields, " for site Sites-");
	buf_str(fields, c->config->site);
	buf_lit(fields, "-Site\"");
}

static void put_secure_token(struct call *c, const uint8_t key[RECORD_SESSION_KEY_LEN])
{
	char text[SESSION_SECURE_TOKEN_CHARS];
	struct buf token = BUF(text);

	session_put_secure_token(&token, c->sid_secret, c->config->site, key);
	begin_cookie(c, "dwsecuretoken", buf_slice(&token), "Secure Token");
	buf_lit(&c->response->fields, "; Path=/; Secure; HttpOnly\r\n");
	explicit_bzero(text, sizeof text);
}

/* One that was given out before HTTPS was enforced. */
static void drop_secure_token(struct call *c)
{
	char text[64];
	struct buf *fields = &c->response->fields, whole = BUF(text);
	struct slice name = write_name(c, &whole, "dwsecuretoken"), value;

	if (http_cookie_find(c->request, name, &value) == 0)
		return;
	buf_lit(fields, "Set-Cookie: ");
	buf_put(fields, name);
	buf_lit(fields, "=\"\"; Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/; "
	        "Secure; HttpOnly\r\n");
}

/* The guest is known again by it; it opens nothing. Its date is the older one, with hyphens. */
static void put_anonymous(struct call *c, struct slice customer_id)
{
	char date[HTTP_DATE_LEN];
	struct buf *fields = &c->response->fields;

	http_date(date, call_now_s(c) + ANONYMOUS_AGE_S);
	date[7] = date[11] = '-';
	begin_cookie(c, "dwanonymous", customer_id, "anonymous cookie");
	buf_lit(fields, "; Max-Age=");
	buf_uint(fields, ANONYMOUS_AGE_S);
	buf_lit(fields, "; Expires=");
	buf_put(fields, (struct slice){ date, sizeof date });
	buf_lit(fields, "; Path=/");
	if (c->config->enforce_https == CONFIG_ON)
		buf_lit(fields, "; Secure; SameSite=None");
	buf_lit(fields, "\r\n");
}

enum call_result ocapi_session_post(struct call *c)
{
	char text[SESSION_DWSID_CHARS], id[RECORD_GUEST_ID_LEN];
	struct buf dwsid = BUF(text);
	uint8_t key[RECORD_SESSION_KEY_LEN];
	struct session_owner owner;
	enum kv_status status;

	if (!ocapi_shopper(c) || !ocapi_judge_bridge(c))
		return CALL_DONE;
	if (!call_owner(c, &owner))
		return ocapi_other_customer(c);
	status = call_start_dwsid(c, &owner, &dwsid, key);
	if (status != KV_OK)
		return call_store(c, status);
	ocapi_begin(c, HTTP_NO_CONTENT);
	if (c->config->enforce_https == CONFIG_OFF)
		put_secure_token(c, key);
	else
		drop_secure_token(c);
	call_put_dwsid(c, buf_slice(&dwsid));
	if (owner.customer_id == 0)
		put_anonymous(c, call_customer_id(c, &owner, id));
	explicit_bzero(text, sizeof text);
	return CALL_DONE;
}
