/* config.c -- see config.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "config.h"
#include "file.h"
#include "memory.h"

#define DEFAULT_PATH    "/etc/sidecart.conf"
#define FILE_MAX        65536   /* bytes of a configuration file */
#define NAME_MAX_LEN    32      /* bytes of a setting's name */
#define QUOTED_MAX      80      /* bytes of a bad value that an error shows */
#define DURATION_MAX_MS ((uint64_t)36500 * 86400 * 1000)

#if UINTPTR_MAX > UINT32_MAX
#define MAP_DEFAULT "16G"
#define MAP_MAX     ((uint64_t)16 << 40)
#else
#define MAP_DEFAULT "1G"
#define MAP_MAX     ((uint64_t)2 << 30)
#endif

enum kind {
	COUNT,
	SIZE, BIG_SIZE,         /* bytes, in 32 and in 64 bits */
	SECONDS, MILLISECONDS,
	WORD,                   /* one of `words`, kept as its place among them */
	NUMBER_WORD,            /* one of `words`, kept as the number that it is */
	WORDS,                  /* some of `words`, kept as bits */
	RATE, SAMPLE, AGE,
	NAME, PATH,
	LISTENERS, OPS_LISTENERS, REALMS, NETWORKS,
	COOKIE_NAME, DOMAIN, ORIGINS, SITE,
	KINDS
};

struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min, max;      /* of the number, of the text's length, of the list's items */
	const char *initial;
	const char *words;      /* instead of limits: what it can be */
	const char *sentence;
};

#define AT(member)  offsetof(struct config, member)
#define SIZE_AT(member) (sizeof((struct config *)0)->member)
#define SWITCH      0, 0
#define LISTENER    "ADDRESS:PORT, https:ADDRESS:PORT or unix:PATH"
#define DAYS(n)     ((uint64_t)(n) * 86400)
#define MINUTES(n)  ((uint64_t)(n) * 60)
#define MS(s)       ((uint64_t)(s) * 1000)
#define K(n)        ((uint64_t)(n) << 10)
#define M(n)        ((uint64_t)(n) << 20)

/* clang-format off */
static const struct setting settings[] = {
	{ "listen", LISTENERS, AT(listeners), 1, CONFIG_LISTENERS_MAX, "127.0.0.1:8080", NULL,
	  "Where shops and proxies are answered: ADDRESS:PORT, https:ADDRESS:PORT for TLS, "
	  "unix:PATH, or one without TLS behind proxy:" },
	{ "ops_listen", OPS_LISTENERS, AT(listeners), 0, CONFIG_LISTENERS_MAX, "127.0.0.1:8081",
	  NULL, "Where /admin/, /healthz and /readyz are answered; empty: nowhere" },
	{ "surfaces", WORDS, AT(surfaces), SWITCH, "oscar, ocapi, session, resolve",
	  "oscar, ocapi, session, resolve",
	  "What is served: /api/, /dw/, /session, /resolve; what is not is 404" },
	{ "data", PATH, AT(data), 1, SIZE_AT(data) - 1, "/var/lib/sidecart", NULL,
	  "Directory of the store" },
	{ "user", NAME, AT(user), 0, SIZE_AT(user) - 1, "", NULL,
	  "Started as root: the account that serves; empty: the owner of `data`" },
	{ "workers", COUNT, AT(workers), 1, 64, "1", NULL,
	  "Front processes, which answer requests" },
	{ "hashers", COUNT, AT(hashers), 1, 16, "1", NULL,
	  "Processes that check passwords and sign tokens" },
	{ "durability", WORD, AT(durability), SWITCH, "commit", "commit, unsafe-nosync",
	  "When a write is answered: on disk, or before (for benchmarks only)" },
	{ "map_size", BIG_SIZE, AT(map_bytes), M(32), MAP_MAX, MAP_DEFAULT, NULL,
	  "The most that the store may grow to" },
	{ "gateway", WORD, AT(gateway), SWITCH, "off", "off, on",
	  "on: every request to /api/, /resolve and /session needs an API key" },
	{ "sid_secret_file", PATH, AT(sid_secret_file), 0, SIZE_AT(sid_secret_file) - 1, "", NULL,
	  "Secret of the session keys (oscarapi's SECRET_KEY); empty: sid.secret in `data`" },
	{ "sid_grammar", WORD, AT(sid_grammar), SWITCH, "strict",
	  "strict, oscarapi, migrate",
	  "How a Session-Id is read; oscarapi cuts UUIDs, migrate is strict and moves such" },
	{ "sid_trust", WORD, AT(sid_trust), SWITCH, "key", "key, any",
	  "Whose Session-Id counts: that of a key with scope `trusted`, or anybody's" },
	{ "sid_realms", REALMS, AT(sid_realms), 0, CONFIG_REALMS_MAX, "", NULL,
	  "Accepted realms; empty: the realm must equal the request's host name" },
	{ "session_ttl", SECONDS, AT(session_ttl_s), 1, DAYS(3650), "14d", NULL,
	  "Life of a customer's session without use" },
	{ "session_max", SECONDS, AT(session_max_s), 1, DAYS(3650), "90d", NULL,
	  "Life of a customer's session in all" },
	{ "max_sessions_per_customer", COUNT, AT(max_sessions_per_customer), 0, 1000, "50", NULL,
	  "Sessions of one customer; over it the oldest goes; 0: no limit" },
	{ "anon_ttl", SECONDS, AT(anon_ttl_s), 0, DAYS(3650), "0", NULL,
	  "Life without use of what an anonymous header session keeps; 0: for ever" },
	{ "basket_ttl", SECONDS, AT(basket_ttl_s), 0, DAYS(3650), "0", NULL,
	  "Life without use of open and saved baskets; 0: for ever" },
	{ "empty_basket_ttl", SECONDS, AT(empty_basket_ttl_s), 1, DAYS(3650), "1h", NULL,
	  "Life without use of a basket with nothing in it, and of a merged one" },
	{ "cookie_name", COOKIE_NAME, AT(cookie_name), 1, SIZE_AT(cookie_name) - 1,
	  "sidecart_session", NULL,
	  "Cookie of a session; not set, and every listener is https: __Host-sidecart" },
	{ "csrf_cookie_name", COOKIE_NAME, AT(csrf_cookie_name), 1, SIZE_AT(csrf_cookie_name) - 1,
	  "sidecart_csrf", NULL, "Cookie of the CSRF token, which scripts of the page may read" },
	{ "cookie_secure", WORD, AT(cookie_secure), SWITCH, "auto", "auto, on, off",
	  "Secure of the cookies; auto: unless the request came over plain HTTP to loopback" },
	{ "cookie_samesite", WORD, AT(cookie_samesite), SWITCH, "Lax", "Lax, Strict, None",
	  "SameSite of the cookies" },
	{ "cookie_domain", DOMAIN, AT(cookie_domain), 0, SIZE_AT(cookie_domain) - 1, "", NULL,
	  "Domain of the cookies; empty: the host alone" },
	{ "csrf_origins", ORIGINS, AT(csrf_origins), 0, CONFIG_ORIGINS_MAX, "", NULL,
	  "Further origins whose changing requests with a cookie are taken" },
	{ "cors_origins", ORIGINS, AT(cors_origins), 0, CONFIG_ORIGINS_MAX, "", NULL,
	  "Origins whose pages may read /api/ and /session with credentials" },
	{ "password_iterations", COUNT, AT(password_iterations), 1000, 2000000, "600000", NULL,
	  "Rounds of PBKDF2-HMAC-SHA256 in new password hashes" },
	{ "login_throttle", RATE, AT(login_throttle), SWITCH, "10/15m", "off, COUNT/DURATION",
	  "Failed logins per login and address before 429" },
	{ "login_throttle_address", RATE, AT(login_throttle_address), SWITCH, "100/15m",
	  "off, COUNT/DURATION", "Failed logins per address before 429" },
	{ "rate_limit_key", RATE, AT(rate_limit_key), SWITCH, "off", "off, COUNT/DURATION",
	  "Requests per API key before 429" },
	{ "rate_limit_address", RATE, AT(rate_limit_address), SWITCH, "off", "off, COUNT/DURATION",
	  "Requests per address before 429" },
	{ "register", WORD, AT(registers), SWITCH, "off", "off, on",
	  "on: POST /api/register/ makes customers" },
	{ "expose_user_details", WORD, AT(expose_user_details), SWITCH, "off", "off, on",
	  "on: GET /api/login/ answers who is logged in" },
	{ "basket_merge", WORD, AT(basket_merge), SWITCH, "sum", "sum, max, keep",
	  "A line that guest and customer both have, at login: add, the larger, the customer's" },
	{ "basket_cookie", WORD, AT(basket_cookie), SWITCH, "on", "off, on",
	  "The signed cookie oscar_open_basket on requests without a Session-Id" },
	{ "price_source", WORD, AT(price_source), SWITCH, "catalogue", "catalogue, client",
	  "client: a trusted key may send unit price, name and discount with its lines" },
	{ "site", SITE, AT(site), 1, SIZE_AT(site) - 1, "RefArch", NULL,
	  "The site's id, in paths of /dw/, names of its cookies, and its tokens" },
	{ "enforce_https", WORD, AT(enforce_https), SWITCH, "on", "off, on",
	  "off: sessions of OCAPI are bridged over plain HTTP too, with a dwsecuretoken" },
	{ "secure_token_seen", WORD, AT(secure_token_seen), SWITCH, "off", "off, on",
	  "on: a dwsid gives a token once it has come over HTTPS with its dwsecuretoken" },
	{ "token_ttl", SECONDS, AT(token_ttl_s), 1, DAYS(1), "30m", NULL,
	  "Life of a shopper's token" },
	{ "token_alg", WORD, AT(token_alg), SWITCH, "HS256", "HS256, ES256",
	  "What shoppers' tokens are signed with; ES256: others can verify them, by the JWK set" },
	{ "jwks_max_age", SECONDS, AT(jwks_max_age_s), 1, DAYS(1), "5m", NULL,
	  "How long others may keep the JWK set; a new ES256 key signs when it is over" },
	{ "token_trust", PATH, AT(token_trust), 0, SIZE_AT(token_trust) - 1, "", NULL,
	  "ISSUER=FILE,...: whose tokens /token/exchange takes, by public keys, JWK set or PEM" },
	{ "trusted_proxies", NETWORKS, AT(trusted_proxies), 0, CONFIG_NETWORKS_MAX,
	  "127.0.0.0/8,::1,unix", NULL,
	  "Peers whose X-Forwarded-* fields are believed; `unix`: those on a Unix socket" },
	{ "tls_cert", PATH, AT(tls_cert), 0, SIZE_AT(tls_cert) - 1, "", NULL,
	  "Certificate of https: listeners and those between it and its root, PEM" },
	{ "tls_key", PATH, AT(tls_key), 0, SIZE_AT(tls_key) - 1, "", NULL,
	  "Its private key, P-256 or RSA, PEM, mode 0600" },
	{ "hsts", AGE, AT(hsts_s), SWITCH, "off", "off, DURATION",
	  "How long browsers that came by https: take nothing else (Strict-Transport-Security)" },
	{ "overload_status", NUMBER_WORD, AT(overload_status), SWITCH, "503", "429, 500, 502, 503",
	  "What /resolve answers when it cannot answer" },
	{ "log_level", WORD, AT(log_level), SWITCH, "info", "error, warn, info, debug",
	  "The least grave event that is logged" },
	{ "log_requests", SAMPLE, AT(log_requests), SWITCH, "off", "off, all, 1/N",
	  "Requests that are logged; 1/100: one in a hundred" },
	{ "max_head", SIZE, AT(max_head), K(1), K(64), "8K", NULL,
	  "Longest head of a request; 431 past it" },
	{ "max_target", SIZE, AT(max_target), 256, K(32), "2K", NULL,
	  "Longest request target; 414 past it" },
	{ "max_headers", COUNT, AT(max_headers), 8, 256, "64", NULL,
	  "Most fields in a head; 431 past it" },
	{ "max_body", SIZE, AT(max_body), K(1), M(1), "64K", NULL,
	  "Longest body of a request; 413 past it" },
	{ "max_body_memory", SIZE, AT(max_body_memory), M(4), M(1024), "16M", NULL,
	  "What a front keeps of bodies that come in parts, half for those over 64K; 503 past it" },
	{ "max_answer_memory", SIZE, AT(max_answer_memory), M(2), M(1024), "32M", NULL,
	  "What a front keeps of answers that wait for their readers; 503 to long ones past it" },
	{ "max_connections", COUNT, AT(max_connections), 1, 1000000, "4096", NULL,
	  "At the cap one that is idle is closed, strangers first; none idle: accepting pauses" },
	{ "max_pipeline", COUNT, AT(max_pipeline), 1, 1024, "32", NULL,
	  "Requests of one connection that are answered in one turn" },
	{ "max_lines", COUNT, AT(max_lines), 1, 1000, "500", NULL,
	  "Lines of one basket" },
	{ "max_quantity", COUNT, AT(max_quantity), 1, 1000000, "10000", NULL,
	  "Items of one basket, all its lines together" },
	{ "header_timeout", MILLISECONDS, AT(header_timeout_ms), 10, MS(3600), "5s", NULL,
	  "From the first byte of a head to its last; 408 past it" },
	{ "body_timeout", MILLISECONDS, AT(body_timeout_ms), 10, MS(3600), "10s", NULL,
	  "From the first byte of a body to its last; 408 past it" },
	{ "idle_timeout", MILLISECONDS, AT(idle_timeout_ms), 10, MS(86400), "60s", NULL,
	  "Life of a connection between two requests" },
	{ "write_timeout", MILLISECONDS, AT(write_timeout_ms), 10, MS(3600), "30s", NULL,
	  "How long an answer may wait for its reader, and a request for the writer" },
	{ "max_waiting_writes", COUNT, AT(max_waiting_writes), 1, 65536, "1024", NULL,
	  "Requests that wait for the writer; 503 past it" },
	{ "max_waiting_passwords", COUNT, AT(max_waiting_passwords), 1, 4096, "64", NULL,
	  "Logins and tokens that wait for a hasher; 429 past it" },
	{ "seccomp", WORD, AT(seccomp), SWITCH, "on", "off, on",
	  "off: for emulators and sanitizers, whose system calls the filter does not know" },
};
/* clang-format on */

static const struct unit {
	const char *name;
	uint64_t factor;
} duration_units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	               { "ms", 1 } },
  size_units[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 } };

/* Digits, then the name of a unit; at most `max` of the smallest. */
static bool read_units(struct slice text, const struct unit *units, size_t count, uint64_t max,
                       uint64_t *value)
{
	struct slice digits = { text.ptr, 0 };

	while (digits.len < text.len && text.ptr[digits.len] >= '0' && text.ptr[digits.len] <= '9')
		digits.len++;
	for (size_t i = 0; i < count; i++) {
		if (!slice_eq(slice_skip(text, digits.len), slice_of(units[i].name)))
			continue;
		if (!slice_uint(digits, max / units[i].factor, value))
			return false;
		*value *= units[i].factor;
		return true;
	}
	return false;
}

/* In the largest unit that leaves no rest. */
static void put_units(struct buf *out, const struct unit *units, uint64_t value)
{
	while (value % units->factor != 0)
		units++;
	buf_uint(out, value / units->factor);
	buf_str(out, units->name);
}

bool config_duration(struct slice text, uint64_t *ms)
{
	return text.len > 0 &&
	       read_units(text, duration_units, COUNT_OF(duration_units), DURATION_MAX_MS, ms);
}

static void *field(struct config *c, const struct setting *s)
{
	return (char *)c + s->offset;
}

static bool within(const struct setting *s, uint64_t n)
{
	return n >= s->min && n <= s->max;
}

static bool read_count(const struct setting *s, struct slice text, struct config *c)
{
	uint64_t n;

	if (!slice_uint(text, s->max, &n) || !within(s, n))
		return false;
	*(uint32_t *)field(c, s) = (uint32_t)n;
	return true;
}

static bool read_size(const struct setting *s, struct slice text, struct config *c)
{
	uint64_t n;

	if (!read_units(text, size_units, COUNT_OF(size_units), s->max, &n) || !within(s, n))
		return false;
	if (s->kind == BIG_SIZE)
		*(uint64_t *)field(c, s) = n;
	else
		*(uint32_t *)field(c, s) = (uint32_t)n;
	return true;
}

static bool read_duration(const struct setting *s, struct slice text, struct config *c)
{
	uint64_t n, unit_ms = s->kind == SECONDS ? 1000 : 1;

	if (slice_eq(text, SLICE("0")))
		n = 0;          /* the one number that needs no unit */
	else if (!config_duration(text, &n) || n % unit_ms != 0)
		return false;
	if (!within(s, n / unit_ms))
		return false;
	*(uint32_t *)field(c, s) = (uint32_t)(n / unit_ms);
	return true;
}

static bool read_word(const struct setting *s, struct slice text, struct config *c)
{
	struct slice words = slice_of(s->words);
	uint64_t n = 0;

	while (slice_given(words)) {
		if (slice_eq(slice_trim(slice_cut(&words, ',')), text)) {
			if (s->kind == NUMBER_WORD && !slice_uint(text, UINT32_MAX, &n))
				return false;
			*(uint32_t *)field(c, s) = (uint32_t)n;
			return true;
		}
		n++;
	}
	return false;
}

static bool add_word(const struct setting *s, struct slice item, struct config *c)
{
	struct slice words = slice_of(s->words);

	for (uint32_t bit = 1; slice_given(words); bit <<= 1)
		if (slice_eq(slice_trim(slice_cut(&words, ',')), item)) {
			*(uint32_t *)field(c, s) |= bit;
			return true;
		}
	return false;
}

static bool read_rate(const struct setting *s, struct slice text, struct config *c)
{
	struct config_rate *rate = field(c, s);
	struct slice count;
	uint64_t n, ms;

	*rate = (struct config_rate){ 0 };
	if (slice_eq(text, SLICE("off")))
		return true;
	count = slice_cut(&text, '/');
	if (!slice_uint(count, 1000000, &n) || n == 0 || !config_duration(text, &ms) ||
	    ms < 1000 || ms > 86400000 || ms % 1000 != 0)
		return false;
	*rate = (struct config_rate){ (uint32_t)n, (uint32_t)(ms / 1000) };
	return true;
}

static bool read_age(const struct setting *s, struct slice text, struct config *c)
{
	uint64_t ms = 0;

	if (!slice_eq(text, SLICE("off")) &&
	    (!config_duration(text, &ms) || ms == 0 || ms % 1000 != 0))
		return false;
	static_assert(DURATION_MAX_MS / 1000 <= UINT32_MAX, "the seconds of any duration");
	*(uint32_t *)field(c, s) = (uint32_t)(ms / 1000);
	return true;
}

static bool read_sample(const struct setting *s, struct slice text, struct config *c)
{
	uint64_t n = slice_eq(text, SLICE("all")) ? 1 : 0;

	if (n == 0 && !slice_eq(text, SLICE("off")) &&
	    (!slice_starts(text, SLICE("1/")) ||
	     !slice_uint(slice_skip(text, 2), UINT32_MAX, &n) || n == 0))
		return false;
	*(uint32_t *)field(c, s) = (uint32_t)n;
	return true;
}

static bool read_text(const struct setting *s, struct slice text, struct config *c)
{
	char *to = field(c, s);

	if (!within(s, text.len))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	if (text.len > 0)
		memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	return true;
}

/* Both listen settings fill one list, each its own part of it. */
static void drop_listeners(struct config *c, bool ops)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].ops != ops)
			c->listeners[kept++] = c->listeners[i];
	c->listener_count = kept;
}

static bool cut_prefix(struct slice *text, struct slice prefix)
{
	if (!slice_starts(*text, prefix))
		return false;
	*text = slice_skip(*text, prefix.len);
	return true;
}

/* What can stand in a log line as it is. */
static bool read_socket_path(struct slice text, char path[CONFIG_SOCKET_MAX])
{
	if (text.len == 0 || text.len >= CONFIG_SOCKET_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] <= 0x20 || text.ptr[i] == 0x7f || text.ptr[i] == '"')
			return false;
	memcpy(path, text.ptr, text.len);
	return true;
}

static bool add_listener(const struct setting *s, struct slice item, struct config *c)
{
	struct config_listener *l = &c->listeners[c->listener_count];

	if (c->listener_count == CONFIG_LISTENERS_MAX)
		return false;
	*l = (struct config_listener){ .ops = s->kind == OPS_LISTENERS };
	l->proxy = cut_prefix(&item, SLICE("proxy:"));
	l->https = !l->proxy && cut_prefix(&item, SLICE("https:"));
	if (!l->https && cut_prefix(&item, SLICE("unix:")) ? !read_socket_path(item, l->path)
	                                      : !address_parse_port(item, &l->address, &l->port))
		return false;
	c->listener_count++;
	return true;
}

/* A host name, or an IPv6 address in brackets: what a strict Session-Id can hold. */
static bool is_realm(struct slice s)
{
	struct address address;

	if (s.len == 0 || s.len >= CONFIG_REALM_MAX)
		return false;
	if (s.ptr[0] == '[')
		return address_parse(s, &address);
	for (size_t i = 0; i < s.len; i++) {
		char c = byte_lower(s.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return true;
}

static bool add_realm(const struct setting *s, struct slice item, struct config *c)
{
	char *realm = c->sid_realms[c->sid_realm_count];

	if (c->sid_realm_count == s->max || !is_realm(item))
		return false;
	memcpy(realm, item.ptr, item.len);
	realm[item.len] = '\0';
	c->sid_realm_count++;
	return true;
}

/* A token (RFC 6265, section 4.1.1). */
static bool read_cookie_name(const struct setting *s, struct slice text, struct config *c)
{
	static const char separators[] = "()<>@,;:\\\"/[]?={} \t";

	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= 0x20 || text.ptr[i] == 0x7f ||
		    memchr(separators, text.ptr[i], sizeof separators - 1) != NULL)
			return false;
	c->cookie_named |= s->offset == AT(cookie_name);
	return read_text(s, text, c);
}

/* Letters, digits, `_` and `-`: what stands in paths and in cookies as it is. */
static bool read_site(const struct setting *s, struct slice text, struct config *c)
{
	for (size_t i = 0; i < text.len; i++)
		if (byte_base64url(text.ptr[i]) < 0)
			return false;
	return read_text(s, text, c);
}

static bool read_domain(const struct setting *s, struct slice text, struct config *c)
{
	return (text.len == 0 || (is_realm(text) && text.ptr[0] != '[')) && read_text(s, text, c);
}

/* The host at the front of an authority; `*port` is what follows, its colon included. */
static struct slice cut_host(struct slice authority, struct slice *port)
{
	char end = authority.len > 0 && authority.ptr[0] == '[' ? ']' : ':';
	struct slice rest = authority, host = slice_cut(&rest, end);

	if (end == ']' && slice_given(rest))
		host.len++;
	*port = slice_skip(authority, host.len);
	return host;
}

bool config_origin(struct slice text, char out[CONFIG_ORIGIN_MAX])
{
	bool https = slice_starts(text, SLICE("https://"));
	struct slice port;
	uint64_t number;

	if ((!https && !slice_starts(text, SLICE("http://"))) || text.len >= CONFIG_ORIGIN_MAX)
		return false;
	if (!is_realm(cut_host(slice_skip(text, https ? 8 : 7), &port)))
		return false;
	if (port.len > 0 && (port.ptr[0] != ':' ||
	    !slice_uint(slice_skip(port, 1), UINT16_MAX, &number)))
		return false;
	slice_lower(text, out);
	out[text.len] = '\0';
	return true;
}

static bool add_origin(const struct setting *s, struct slice item, struct config *c)
{
	struct config_origins *origins = field(c, s);

	if (origins->count == s->max || !config_origin(item, origins->text[origins->count]))
		return false;
	origins->count++;
	return true;
}

/* `unix`: peers on a Unix socket, whose address is `::`. */
static bool add_network(const struct setting *s, struct slice item, struct config *c)
{
	if (slice_eq(item, SLICE("unix")))
		item = SLICE("::");
	if (c->trusted_proxy_count == s->max ||
	    !network_parse(item, &c->trusted_proxies[c->trusted_proxy_count]))
		return false;
	c->trusted_proxy_count++;
	return true;
}

/* How each kind is read, whole or item by item; what an error calls it, what its limits
 * count, and an example where the default shows none. */
/* clang-format off */
static const struct {
	bool (*read)(const struct setting *s, struct slice text, struct config *c);
	bool (*add)(const struct setting *s, struct slice item, struct config *c);
	const char *noun, *counted, *example;
} kinds[KINDS] = {
	[COUNT]         = { read_count,    NULL,         "number",       "",             NULL },
	[SIZE]          = { read_size,     NULL,         "size",         "",             NULL },
	[BIG_SIZE]      = { read_size,     NULL,         "size",         "",             NULL },
	[SECONDS]       = { read_duration, NULL,         "duration",     "",             NULL },
	[MILLISECONDS]  = { read_duration, NULL,         "duration",     "",             NULL },
	[WORD]          = { read_word,     NULL,         NULL,           NULL,           NULL },
	[NUMBER_WORD]   = { read_word,     NULL,         NULL,           NULL,           NULL },
	[WORDS]         = { NULL,          add_word,     NULL,           NULL,           NULL },
	[RATE]          = { read_rate,     NULL,         NULL,           NULL,           "10/15m" },
	[SAMPLE]        = { read_sample,   NULL,         NULL,           NULL,           "1/100" },
	[AGE]           = { read_age,      NULL,         NULL,           NULL,           "365d" },
	[NAME]          = { read_text,     NULL,         "name",         " bytes",       "shop" },
	[PATH]          = { read_text,     NULL,         "path",         " bytes",       "secret" },
	[LISTENERS]     = { NULL,          add_listener, LISTENER,       ", comma list", NULL },
	[OPS_LISTENERS] = { NULL,          add_listener, LISTENER,       ", comma list", NULL },
	[REALMS]        = { NULL,          add_realm,    "host name",    ", comma list", "a.test" },
	[NETWORKS]      = { NULL,          add_network,  "network",      ", comma list", NULL },
	[COOKIE_NAME]   = { read_cookie_name, NULL,      "cookie name",  " bytes",       NULL },
	[DOMAIN]        = { read_domain,   NULL,         "host name",    " bytes",       "a.test" },
	[SITE]          = { read_site,     NULL,         "site id",      " bytes",       NULL },
	[ORIGINS]       = { NULL,          add_origin,   "origin",       ", comma list",
	                    "https://a.test" },
};
/* clang-format on */

/* The list replaces what was there; `*bad` narrows down to the item that is wrong. */
static bool read_list(const struct setting *s, struct slice text, struct config *c,
                      struct slice *bad)
{
	if (text.len == 0)
		return s->min == 0;
	while (slice_given(text)) {
		*bad = slice_trim(slice_cut(&text, ','));
		if (!kinds[s->kind].add(s, *bad, c))
			return false;
	}
	return true;
}

static void empty_list(struct config *c, const struct setting *s)
{
	enum kind kind = s->kind;

	if (kind == LISTENERS || kind == OPS_LISTENERS)
		drop_listeners(c, kind == OPS_LISTENERS);
	if (kind == WORDS)
		*(uint32_t *)field(c, s) = 0;
	if (kind == REALMS)
		c->sid_realm_count = 0;
	if (kind == NETWORKS)
		c->trusted_proxy_count = 0;
	if (kind == ORIGINS)
		((struct config_origins *)field(c, s))->count = 0;
}

static void put_limit(struct buf *out, enum kind kind, uint64_t n)
{
	if (kind == SIZE || kind == BIG_SIZE)
		put_units(out, size_units, n);
	else if (kind == SECONDS || kind == MILLISECONDS)
		put_units(out, duration_units, kind == SECONDS ? n * 1000 : n);
	else
		buf_uint(out, n);
}

/* `off, on` or `1 to 64` or `0 to 16, comma list`. */
static void put_range(struct buf *out, const struct setting *s)
{
	if (s->words != NULL) {
		buf_str(out, s->words);
		return;
	}
	put_limit(out, s->kind, s->min);
	buf_lit(out, " to ");
	put_limit(out, s->kind, s->max);
	buf_str(out, kinds[s->kind].counted);
}

/* What would be right: `is no duration (1s to 3650d, such as 14d)`. */
static void put_expected(struct buf *out, const struct setting *s)
{
	const char *example = kinds[s->kind].example;

	if (s->words == NULL) {
		if (s->initial[0] != '\0')
			example = s->initial;
		buf_lit(out, " is no ");
		buf_str(out, kinds[s->kind].noun);
		buf_lit(out, " (");
		put_range(out, s);
		buf_lit(out, ", such as ");
		buf_str(out, example);
		buf_lit(out, ")");
		return;
	}
	buf_lit(out, " is none of ");
	put_range(out, s);
	if (example != NULL) {
		buf_lit(out, " (such as ");
		buf_str(out, example);
		buf_lit(out, ")");
	}
}

/* Between quotes, cut, without control bytes: it goes to a terminal. */
static void put_quoted(struct buf *out, struct slice s)
{
	buf_char(out, '"');
	for (size_t i = 0; i < s.len && i < QUOTED_MAX; i++)
		buf_char(out, (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f ? '?' : s.ptr[i]);
	buf_str(out, s.len > QUOTED_MAX ? "...\"" : "\"");
}

/* Over `error`, with room kept for the final NUL. */
static struct buf error_begin(char error[CONFIG_ERROR_MAX], const char *where)
{
	struct buf out = { .cap = CONFIG_ERROR_MAX - 1 };

	out.ptr = error;
	buf_str(&out, where);
	buf_lit(&out, ": ");
	return out;
}

static bool error_end(struct buf *out)
{
	out->ptr[out->len] = '\0';
	return false;
}

static bool same_name(const char *name, struct slice text)
{
	if (strlen(name) != text.len)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (name[i] != (text.ptr[i] == '-' ? '_' : text.ptr[i]))
			return false;
	return true;
}

static const struct setting *find(struct slice name)
{
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		if (same_name(settings[i].name, name))
			return &settings[i];
	return NULL;
}

/* Edits (insert, delete, change) that make `a` into `b` (Levenshtein). */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 0; i < a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b.len; j++) {
			size_t best = diagonal + (a.ptr[i] != b.ptr[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
		}
	}
	return row[b.len];
}

/* The setting that was probably meant; NULL where none is near. */
static const char *nearest(struct slice name)
{
	const char *best = NULL;
	size_t least = 3;

	if (name.len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		size_t edits = distance(name, slice_of(settings[i].name));

		if (edits < least && edits < name.len) {
			best = settings[i].name;
			least = edits;
		}
	}
	return best;
}

/* `name` as it was looked for, `shown` as it was written. */
static bool unknown(struct slice name, struct slice shown, const char *where,
                    char error[CONFIG_ERROR_MAX])
{
	struct buf out = error_begin(error, where);
	const char *meant = nearest(name);

	put_quoted(&out, shown);
	buf_lit(&out, " is no setting");
	if (meant != NULL) {
		buf_lit(&out, "; did you mean ");
		buf_str(&out, meant);
		buf_lit(&out, "?");
	} else {
		buf_lit(&out, " (sidecart serve --help lists them)");
	}
	return error_end(&out);
}

bool config_known(struct slice name)
{
	return find(name) != NULL;
}

void config_defaults(struct config *c)
{
	char error[CONFIG_ERROR_MAX];

	*c = (struct config){ 0 };
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		bool good = config_set(c, slice_of(settings[i].name), slice_of(settings[i].initial),
		                       "default", error);

		assert(good);
		(void)good;
	}
	c->cookie_named = false;
}

bool config_set(struct config *c, struct slice name, struct slice value, const char *where,
                char error[CONFIG_ERROR_MAX])
{
	const struct setting *s = find(name);
	struct slice bad = value;
	struct buf out;

	if (s == NULL)
		return unknown(name, name, where, error);
	empty_list(c, s);
	if (kinds[s->kind].add != NULL ? read_list(s, value, c, &bad) :
	                                 kinds[s->kind].read(s, value, c))
		return true;
	out = error_begin(error, where);
	buf_str(&out, s->name);
	buf_lit(&out, ": ");
	put_quoted(&out, bad);
	put_expected(&out, s);
	return error_end(&out);
}

static bool file_failed(const char *path, const char *why, char error[CONFIG_ERROR_MAX])
{
	snprintf(error, CONFIG_ERROR_MAX, "%.200s: cannot read the configuration: %s", path, why);
	return false;
}

static bool set_line(struct config *c, struct slice line, const char *where,
                     char error[CONFIG_ERROR_MAX])
{
	struct slice name;
	struct buf out;

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return true;
	if (slice_has(line, '=')) {
		name = slice_trim(slice_cut(&line, '='));
		return config_set(c, name, slice_trim(line), where, error);
	}
	out = error_begin(error, where);
	put_quoted(&out, line);
	buf_lit(&out, " is no line of the form: setting = value");
	return error_end(&out);
}

bool config_read_file(struct config *c, const char *path, char error[CONFIG_ERROR_MAX])
{
	static char text[FILE_MAX + 1];
	const char *name = path != NULL ? path : DEFAULT_PATH;
	struct buf file = BUF(text);
	struct slice rest;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return (path == NULL && errno == ENOENT) ||
		       file_failed(name, strerror(errno), error);
	done = file_read(fd, &file) || file_failed(name, strerror(errno), error);
	close(fd);
	if (!done)
		return false;
	rest = buf_slice(&file);
	if (rest.len > FILE_MAX)
		return file_failed(name, "longer than 64K", error);
	for (unsigned line = 1; slice_given(rest); line++) {
		char where[256];

		snprintf(where, sizeof where, "%.200s:%u", name, line);
		if (!set_line(c, slice_cut(&rest, '\n'), where, error))
			return false;
	}
	return true;
}

bool config_read_environment(struct config *c, char *const *environment,
                             char error[CONFIG_ERROR_MAX])
{
	const struct slice prefix = SLICE("SIDECART_");

	for (; *environment != NULL; environment++) {
		struct slice value = slice_of(*environment);
		struct slice shown = slice_cut(&value, '=');
		char lower[NAME_MAX_LEN];
		struct buf name = BUF(lower);

		if (!slice_starts(shown, prefix) || !slice_given(value))
			continue;
		for (size_t i = prefix.len; i < shown.len; i++)
			buf_char(&name, byte_lower(shown.ptr[i]));
		if (name.full || !config_known(buf_slice(&name)))
			return unknown(buf_slice(&name), shown, "environment", error);
		if (!config_set(c, buf_slice(&name), value, "environment", error))
			return false;
	}
	return true;
}

/* True for `prefix` in any case of letters: browsers know it so, while a server compares names
 * byte for byte (requirement K05). */
static bool has_prefix(const char *name, struct slice prefix)
{
	struct slice s = slice_of(name);

	return s.len >= prefix.len && slice_eq_nocase((struct slice){ s.ptr, prefix.len }, prefix);
}

bool config_has_https(const struct config *c)
{
	for (uint32_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].https)
			return true;
	return false;
}

/* True where cookies come by TLS alone. */
static bool all_https(const struct config *c)
{
	uint32_t plain = 0, https = 0;

	for (uint32_t i = 0; i < c->listener_count; i++)
		if (!c->listeners[i].ops)
			*(c->listeners[i].https ? &https : &plain) += 1;
	return plain == 0 && https > 0;
}

/* The safest that the listeners allow (requirement K01). */
static void name_cookie(struct config *c)
{
	bool host = all_https(c) && c->cookie_domain[0] == '\0' &&
	            c->cookie_secure != COOKIE_SECURE_OFF;

	if (!c->cookie_named)
		snprintf(c->cookie_name, sizeof c->cookie_name, "%s",
		         host ? "__Host-sidecart" : "sidecart_session");
}

/* What browsers refuse is refused here (requirements K02, K03). */
static bool cookies_fit(const struct config *c, char error[CONFIG_ERROR_MAX])
{
	const char *const names[] = { c->cookie_name, c->csrf_cookie_name };
	bool always_secure = c->cookie_secure == COOKIE_SECURE_ON ||
	                     (c->cookie_secure == COOKIE_SECURE_AUTO && all_https(c));

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		bool host = has_prefix(names[i], SLICE("__Host-"));
		bool secure = host || has_prefix(names[i], SLICE("__Secure-"));

		if (secure && !slice_starts(slice_of(names[i]), SLICE("__Host-")) &&
		    !slice_starts(slice_of(names[i]), SLICE("__Secure-"))) {
			snprintf(error, CONFIG_ERROR_MAX, "%s: the prefix is spelled %s", names[i],
			         host ? "__Host-" : "__Secure-");
			return false;
		}
		if ((host && c->cookie_domain[0] != '\0') ||
		    (secure && !always_secure)) {
			snprintf(error, CONFIG_ERROR_MAX, "%.63s: browsers take this name with "
			         "cookie_secure=on%s alone", names[i],
			         host ? " and no cookie_domain" : "");
			return false;
		}
	}
	if (c->cookie_samesite == SAMESITE_NONE && !always_secure) {
		snprintf(error, CONFIG_ERROR_MAX, "cookie_samesite: None needs cookie_secure=on");
		return false;
	}
	if (strcmp(c->cookie_name, c->csrf_cookie_name) == 0) {
		snprintf(error, CONFIG_ERROR_MAX, "cookie_name and csrf_cookie_name are the same");
		return false;
	}
	return true;
}

bool config_finish(struct config *c, char error[CONFIG_ERROR_MAX])
{
	char path[CONFIG_PATH_MAX];

	if (c->sid_secret_file[0] == '\0') {
		int n = snprintf(path, sizeof path, "%s/sid.secret", c->data);

		if (n < 0 || (size_t)n >= sizeof path) {
			snprintf(error, CONFIG_ERROR_MAX, "data: its path is too long");
			return false;
		}
		memcpy(c->sid_secret_file, path, (size_t)n + 1);
	}
	if (c->session_ttl_s > c->session_max_s) {
		snprintf(error, CONFIG_ERROR_MAX,
		         "session_ttl (%us) is longer than session_max (%us): set both",
		         c->session_ttl_s, c->session_max_s);
		return false;
	}
	if (config_has_https(c) && (c->tls_cert[0] == '\0' || c->tls_key[0] == '\0')) {
		snprintf(error, CONFIG_ERROR_MAX,
		         "tls_cert, tls_key: a listener with https: needs both");
		return false;
	}
	name_cookie(c);
	if (!cookies_fit(c, error))
		return false;
	if (c->max_target > c->max_head) {
		snprintf(error, CONFIG_ERROR_MAX,
		         "max_target (%u) is more than max_head (%u), of which it is a part",
		         c->max_target, c->max_head);
		return false;
	}
	return true;
}

/* What buffers were sized by, files opened for, processes started for; and the limits of a
 * head, which two processes must judge alike. */
static const char *const fixed[] = {
	"listen", "ops_listen", "data", "user", "workers", "hashers", "durability", "map_size",
	"sid_secret_file", "max_head", "max_target", "max_headers", "max_body",
	"max_body_memory", "max_answer_memory", "max_connections", "max_waiting_writes",
	"max_waiting_passwords", "token_trust", "seccomp",
};

static bool same_listeners(const struct config *a, const struct config *b, bool ops)
{
	uint32_t j = 0;

	for (uint32_t i = 0; i < a->listener_count; i++) {
		const struct config_listener *l = &a->listeners[i], *m;

		if (l->ops != ops)
			continue;
		while (j < b->listener_count && b->listeners[j].ops != ops)
			j++;
		if (j == b->listener_count)
			return false;
		m = &b->listeners[j++];
		if (l->port != m->port || l->proxy != m->proxy || l->https != m->https ||
		    strcmp(l->path, m->path) != 0 ||
		    !slice_eq(slice_bytes(&l->address, sizeof l->address),
		              slice_bytes(&m->address, sizeof m->address)))
			return false;
	}
	while (j < b->listener_count && b->listeners[j].ops != ops)
		j++;
	return j == b->listener_count;
}

/* Bytes of a setting that is fixed and no list. */
static size_t width(const struct setting *s)
{
	if (s->kind == NAME || s->kind == PATH)
		return (size_t)s->max + 1;
	return s->kind == BIG_SIZE ? sizeof(uint64_t) : sizeof(uint32_t);
}

static bool keep(struct config *fresh, const struct config *now, const struct setting *s)
{
	char *to = (char *)fresh + s->offset;
	const char *from = (const char *)now + s->offset;
	bool same;

	if (s->kind == LISTENERS || s->kind == OPS_LISTENERS)
		return same_listeners(fresh, now, s->kind == OPS_LISTENERS);
	same = s->kind == NAME || s->kind == PATH ? strcmp(to, from) == 0 :
	       slice_eq(slice_bytes(to, width(s)), slice_bytes(from, width(s)));
	memcpy(to, from, width(s));
	return same;
}

bool config_keep(struct config *fresh, const struct config *now, void (*tell)(const char *name),
                 char error[CONFIG_ERROR_MAX])
{
	for (size_t i = 0; i < COUNT_OF(fixed); i++)
		if (!keep(fresh, now, find(slice_of(fixed[i]))))
			tell(fixed[i]);
	memcpy(fresh->listeners, now->listeners, sizeof fresh->listeners);
	fresh->listener_count = now->listener_count;
	return config_finish(fresh, error);
}

int config_save(const struct config *c)
{
	return memory_save(c, sizeof *c);
}

bool config_load(int fd, struct config *c)
{
	bool loaded = memory_load(fd, c, sizeof *c);

	if (!loaded)
		log_event(LOG_ERROR, "reload_failed", "errno=%d", errno);
	return loaded;
}

static bool is_local(const struct config_listener *l)
{
	return l->path[0] != '\0' || address_is_loopback(&l->address);
}

static bool is_everybody(const struct network *n)
{
	return n->prefix == 0 || (n->prefix == 96 && address_is_ipv4(&n->base));
}

static void warn(const char *setting, const char *why)
{
	char quoted[256];

	log_event(LOG_WARN, "unwise_setting", "setting=%s why=%s", setting,
	          log_quote(quoted, sizeof quoted, slice_of(why)));
}

void config_warnings(const struct config *c)
{
	if (c->durability == DURABILITY_UNSAFE_NOSYNC)
		warn("durability", "a write that was answered is lost when the machine stops");
	if (c->sid_trust == SID_TRUST_ANY)
		warn("sid_trust", "whoever reaches a listener may send any Session-Id");
	if (c->password_iterations < 100000)
		warn("password_iterations", "below 100000 a stolen password hash is soon guessed");
	if (c->cookie_samesite == SAMESITE_STRICT)
		warn("cookie_samesite", "Strict: who follows a link from elsewhere is logged out");
	if (c->cookie_secure == COOKIE_SECURE_OFF)
		warn("cookie_secure", "off: the session's cookie travels in the clear");
	if (c->enforce_https == CONFIG_OFF)
		warn("enforce_https", "off: tokens and sessions of OCAPI may travel in the clear");
	if (c->seccomp == CONFIG_OFF)
		warn("seccomp", "a front that was taken over may make any system call");
	for (uint32_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].ops && !is_local(&c->listeners[i]))
			warn("ops_listen", "other machines can reach it");
	for (uint32_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].proxy && !is_local(&c->listeners[i]))
			warn(c->listeners[i].ops ? "ops_listen" : "listen",
			     "who reaches a proxy: listener may say which address he calls from");
	for (uint32_t i = 0; i < c->trusted_proxy_count; i++)
		if (is_everybody(&c->trusted_proxies[i]))
			warn("trusted_proxies", "anybody may say which address he calls from");
}

void config_print_help(int fd)
{
	for (size_t i = 0; i < COUNT_OF(settings); i++) {
		const struct setting *s = &settings[i];
		char range[128];
		struct buf out = { range, 0, sizeof range - 1, false };

		put_range(&out, s);
		range[out.len] = '\0';
		dprintf(fd, "  %s = %s\n      %s (%s)\n", s->name, s->initial, s->sentence, range);
	}
}

const char *config_name(size_t index)
{
	return index < COUNT_OF(settings) ? settings[index].name : NULL;
}
