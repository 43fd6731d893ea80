/* config.h -- every setting in one table: name, unit, default, limits, sentence.
 *
 * Settings come from a file (`key = value`), then the environment (SIDECART_ and the
 * name in capitals), then flags (--name=value); the later wins. The same table checks
 * them, prints `serve --help`, and is what the man page lists.
 * Memory  the caller's struct; strings are copied into it.
 * Errors  one line that names file, line, setting and what would be right.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "address.h"
#include "bytes.h"
#include "log.h"

#define CONFIG_LISTENERS_MAX 16
#define CONFIG_NETWORKS_MAX  32
#define CONFIG_REALMS_MAX    32
#define CONFIG_REALM_MAX     254    /* a host name, NUL included */
#define CONFIG_ORIGINS_MAX   16
#define CONFIG_ORIGIN_MAX    272    /* `https://`, a host name, a port, NUL */
#define CONFIG_COOKIE_NAME_MAX 64
#define CONFIG_PATH_MAX      512
#define CONFIG_TRUST_MAX     2048       /* of token_trust */
#define CONFIG_SITE_MAX      33     /* of a site's id, NUL included */
#define CONFIG_SOCKET_MAX    108    /* the path of a Unix socket (unix(7)), NUL included */
#define CONFIG_ERROR_MAX     512

enum config_switch { CONFIG_OFF, CONFIG_ON };
enum config_durability { DURABILITY_COMMIT, DURABILITY_UNSAFE_NOSYNC };
enum config_sid_trust { SID_TRUST_KEY, SID_TRUST_ANY };
enum config_cookie_secure { COOKIE_SECURE_AUTO, COOKIE_SECURE_ON, COOKIE_SECURE_OFF };
enum config_basket_merge { BASKET_MERGE_SUM, BASKET_MERGE_MAX, BASKET_MERGE_KEEP };
enum config_price_source { PRICE_SOURCE_CATALOGUE, PRICE_SOURCE_CLIENT };
enum config_samesite { SAMESITE_LAX, SAMESITE_STRICT, SAMESITE_NONE };

/* What is served at all, as bits. */
enum config_surface {
	SURFACE_OSCAR   = 1 << 0,       /* /api/ */
	SURFACE_OCAPI   = 1 << 1,       /* /dw/ */
	SURFACE_SESSION = 1 << 2,       /* /session and below */
	SURFACE_RESOLVE = 1 << 3,       /* /resolve */
};

struct config_listener {
	struct address address;
	uint16_t port;          /* 0: the kernel picks */
	char path[CONFIG_SOCKET_MAX];   /* of a Unix socket, which has no address; or empty */
	bool proxy;             /* connections begin with a PROXY header (proxy.h) */
	bool https;             /* they are TLS (tls.h) */
	bool ops;               /* from ops_listen */
	bool given;             /* by a service manager, and not by the settings */
};

/* `count` per `window_s` seconds; count 0 is off. */
struct config_rate {
	uint32_t count;
	uint32_t window_s;
};

/* Origins as browsers send them: `https://shop.example`, lower case, no default port. */
struct config_origins {
	char text[CONFIG_ORIGINS_MAX][CONFIG_ORIGIN_MAX];
	uint32_t count;
};

struct config {
	struct config_listener listeners[CONFIG_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t surfaces;              /* enum config_surface, ORed */
	char data[CONFIG_PATH_MAX];
	char sid_secret_file[CONFIG_PATH_MAX];   /* never empty after config_finish() */
	char user[64];
	uint32_t workers, hashers;
	uint32_t durability;            /* enum config_durability */
	uint64_t map_bytes;
	uint32_t gateway;               /* enum config_switch */
	uint32_t sid_grammar;           /* enum sid_grammar of sid.h */
	uint32_t sid_trust;             /* enum config_sid_trust */
	char sid_realms[CONFIG_REALMS_MAX][CONFIG_REALM_MAX];
	uint32_t sid_realm_count;       /* 0: the realm must equal the request's host name */
	uint32_t session_ttl_s, session_max_s;
	uint32_t anon_ttl_s;            /* 0: for ever */
	uint32_t basket_ttl_s, empty_basket_ttl_s;       /* the first 0: for ever */
	char cookie_name[CONFIG_COOKIE_NAME_MAX], csrf_cookie_name[CONFIG_COOKIE_NAME_MAX];
	bool cookie_named;              /* by a setting; else config_finish() picks the name */
	uint32_t cookie_secure;         /* enum config_cookie_secure */
	uint32_t cookie_samesite;       /* enum config_samesite */
	char cookie_domain[CONFIG_REALM_MAX];    /* empty: the host alone */
	struct config_origins csrf_origins, cors_origins;
	uint32_t max_sessions_per_customer;      /* 0: no limit */
	uint32_t password_iterations;
	struct config_rate login_throttle, login_throttle_address;
	struct config_rate rate_limit_key, rate_limit_address;
	uint32_t registers;             /* enum config_switch; the setting register */
	uint32_t expose_user_details;   /* enum config_switch */
	uint32_t basket_merge;          /* enum config_basket_merge */
	uint32_t basket_cookie;         /* enum config_switch */
	uint32_t price_source;          /* enum config_price_source */
	char site[CONFIG_SITE_MAX];
	uint32_t enforce_https, secure_token_seen;       /* enum config_switch */
	uint32_t token_ttl_s, jwks_max_age_s;
	char token_trust[CONFIG_TRUST_MAX];     /* empty: only ours are taken */
	uint32_t token_alg;             /* enum token_alg of record.h */
	struct network trusted_proxies[CONFIG_NETWORKS_MAX];    /* `unix` is `::` alone */
	uint32_t trusted_proxy_count;
	char tls_cert[CONFIG_PATH_MAX], tls_key[CONFIG_PATH_MAX];
	uint32_t hsts_s;                /* 0: off */
	uint32_t overload_status;       /* 429, 500, 502 or 503 */
	uint32_t log_level;             /* enum log_level */
	uint32_t log_requests;          /* 0: off, 1: all, N: one in N */
	uint32_t max_head, max_target, max_headers, max_body;   /* bytes, bytes, fields, bytes */
	uint32_t max_lines, max_quantity;        /* of one basket */
	uint32_t max_body_memory, max_answer_memory;            /* bytes */
	uint32_t max_connections, max_pipeline;
	uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
	uint32_t max_waiting_writes, max_waiting_passwords;
	uint32_t seccomp;               /* enum config_switch */
};

/* Reads a duration such as `90d`, `15m` or `250ms`: digits and a unit. */
bool config_duration(struct slice text, uint64_t *ms);

/* Writes an origin as browsers send it (RFC 6454, section 6.1): a scheme, a host name, perhaps a
 * port, in lower case. False for what is none, or does not fit. */
bool config_origin(struct slice text, char out[CONFIG_ORIGIN_MAX]);

/* True where there is a setting of this name (`_` and `-` alike). */
bool config_known(struct slice name);

/* Fills in the defaults. */
void config_defaults(struct config *c);

/* Sets one setting by its name (`_` and `-` alike). On false `error` holds the line to
 * print; `where` (file:line, "environment", "command line") stands in front of it. */
bool config_set(struct config *c, struct slice name, struct slice value, const char *where,
                char error[CONFIG_ERROR_MAX]);

/* Reads `path`, or /etc/sidecart.conf where `path` is NULL (absent is then no error). */
bool config_read_file(struct config *c, const char *path, char error[CONFIG_ERROR_MAX]);

/* Takes every SIDECART_... variable; an unknown one is an error that names it. */
bool config_read_environment(struct config *c, char *const *environment,
                             char error[CONFIG_ERROR_MAX]);

/* Settings that depend on others: the secret's default place, the cookie's default name, ttl
 * against max, https: listeners without a certificate. Once more where the list of listeners
 * has changed. */
bool config_finish(struct config *c, char error[CONFIG_ERROR_MAX]);

/* True where connections of any listener are TLS. */
bool config_has_https(const struct config *c);

/* Puts back into `fresh`, which was just read, what only a start can change and `now` says
 * otherwise; names each such setting through `tell`. False, with one line in `error`: the
 * mixture of old and new does not fit together. */
bool config_keep(struct config *fresh, const struct config *now, void (*tell)(const char *name),
                 char error[CONFIG_ERROR_MAX]);

/* Settings on their way to another process of the same binary: a descriptor, or -1. */
int config_save(const struct config *c);
/* Closes `fd`. False, which is logged: it holds none, and `c` is as it was. */
bool config_load(int fd, struct config *c);

/* Logs one line for each setting that is allowed and yet unwise (sid_trust=any, ...). */
void config_warnings(const struct config *c);

/* Prints the table, one setting with its default and sentence per entry. */
void config_print_help(int fd);

/* Names of all settings in table order, NULL at the end: the tests compare the man page. */
const char *config_name(size_t index);

#endif
