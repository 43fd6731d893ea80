/* http.h -- RFC 9112 requests into slices, responses into bytes; no sockets.
 *
 * The parser is strict: what RFC 9112 lets a server refuse is refused (requirements
 * H01 to H36). It judges bytes in their order and stops at the first that is wrong, so
 * that the answer is the same however a request was cut into segments.
 * Memory  slices point into the caller's input. It must stay in place from the first
 *         http_parse() of a request until the request is done; after a move start over
 *         with http_request_init().
 * Errors  HTTP_REFUSED with a status and a sentence; the connection is to be closed.
 * Source  RFC 9110, RFC 9112; status 431 RFC 6585.
 */
#ifndef HTTP_H
#define HTTP_H

#include "bytes.h"

enum http_status {
	HTTP_CONTINUE             = 100,
	HTTP_OK                   = 200,
	HTTP_CREATED              = 201,
	HTTP_ACCEPTED             = 202,
	HTTP_NO_CONTENT           = 204,
	HTTP_MOVED_PERMANENTLY    = 301,
	HTTP_NOT_MODIFIED         = 304,
	HTTP_BAD_REQUEST          = 400,
	HTTP_UNAUTHORIZED         = 401,
	HTTP_FORBIDDEN            = 403,
	HTTP_NOT_FOUND            = 404,
	HTTP_METHOD_NOT_ALLOWED   = 405,
	HTTP_NOT_ACCEPTABLE       = 406,
	HTTP_REQUEST_TIMEOUT      = 408,
	HTTP_CONFLICT             = 409,
	HTTP_PRECONDITION_FAILED  = 412,
	HTTP_CONTENT_TOO_LARGE    = 413,
	HTTP_URI_TOO_LONG         = 414,
	HTTP_UNSUPPORTED_MEDIA    = 415,
	HTTP_EXPECTATION_FAILED   = 417,
	HTTP_UNPROCESSABLE        = 422,
	HTTP_TOO_MANY_REQUESTS    = 429,
	HTTP_FIELDS_TOO_LARGE     = 431,
	HTTP_INTERNAL_ERROR       = 500,
	HTTP_NOT_IMPLEMENTED      = 501,
	HTTP_BAD_GATEWAY          = 502,
	HTTP_SERVICE_UNAVAILABLE  = 503,
	HTTP_VERSION_UNSUPPORTED  = 505,
	HTTP_INSUFFICIENT_STORAGE = 507,
};

/* The reason phrase, or "Unknown". */
const char *http_reason(enum http_status status);

/* Methods as bits, so that a route can hold a set of them. OTHER is any other token. */
enum http_method {
	HTTP_GET     = 1 << 0,
	HTTP_HEAD    = 1 << 1,
	HTTP_POST    = 1 << 2,
	HTTP_PUT     = 1 << 3,
	HTTP_PATCH   = 1 << 4,
	HTTP_DELETE  = 1 << 5,
	HTTP_OPTIONS = 1 << 6,
	HTTP_TRACE   = 1 << 7,
	HTTP_CONNECT = 1 << 8,
	HTTP_OTHER   = 1 << 9,
};

#define HTTP_METHOD_MAX 32      /* a longer method is 501 as soon as it is seen (H21) */

/* The fields that somebody here reads; all others are checked and skipped. */
enum http_field {
	HTTP_HOST,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_CONNECTION,
	HTTP_EXPECT,
	HTTP_UPGRADE,
	HTTP_CONTENT_TYPE,
	HTTP_ACCEPT,
	HTTP_AUTHORIZATION,
	HTTP_X_API_KEY,
	HTTP_X_DW_CLIENT_ID,
	HTTP_SESSION_ID,
	HTTP_X_FORWARDED_FOR,       /* the first line; all stand in `forwarded` */
	HTTP_X_FORWARDED_HOST,
	HTTP_X_FORWARDED_PROTO,
	HTTP_X_FORWARDED_METHOD,
	HTTP_X_FORWARDED_URI,
	HTTP_X_ORIGINAL_URI,
	HTTP_X_ORIGINAL_URL,
	HTTP_COOKIE,                /* the first line; all stand in `cookies` */
	HTTP_ORIGIN,
	HTTP_SEC_FETCH_SITE,
	HTTP_X_CSRFTOKEN,
	HTTP_IF_MATCH,
	HTTP_IDEMPOTENCY_KEY,
	HTTP_ACCESS_CONTROL_REQUEST_METHOD,
	HTTP_X_DW_HTTP_METHOD_OVERRIDE,
	HTTP_X_DW_RESOURCE_STATE,
	HTTP_FIELDS
};

#define HTTP_COOKIE_LINES_MAX 8         /* one more is 431 */
#define HTTP_FORWARDED_LINES_MAX 8      /* of X-Forwarded-For; one more is 431 */
#define HTTP_COOKIE_PAIRS_MAX 50        /* of one request; with more, none is found */

struct http_limits {
	uint32_t max_head, max_target, max_headers;     /* bytes, bytes, fields */
	uint64_t max_body;                              /* bytes */
};

struct http_request {
	enum http_method method;
	struct slice method_name;
	struct slice target;            /* as sent */
	struct slice path, query;       /* of origin-form or absolute-form; path as sent, not
	                                 * decoded, `/` where there is none; query absent
	                                 * without a `?`; `*` is the path of `OPTIONS *` and
	                                 * of HTTP_OTHER; CONNECT has neither */
	struct slice host;              /* the authority: of an absolute-form target or of
	                                 * CONNECT, else of Host (H17); may hold a port; absent
	                                 * where HTTP/1.0 sent none */
	struct slice field[HTTP_FIELDS];        /* trimmed; absent where not sent */
	uint32_t cookie_lines, forwarded_lines;
	int minor;                      /* HTTP/1.minor, 0 or 1 */
	bool keep_alive;                /* what the client allows (RFC 9112, section 9.3) */
	bool chunked;
	bool expect_continue;
	uint64_t content_length;        /* 0 where chunked or not declared */
	size_t head_len;                /* bytes up to and with the empty line */
	struct slice body;              /* set by who has read it */
	/* The parser's own: where it goes on. */
	struct {
		size_t at;              /* start of the first line not yet judged whole */
		uint32_t count;         /* field lines seen */
		bool line_done;         /* the request line was judged */
		bool blank_seen;        /* the one empty line in front (H29) */
		bool head_done;         /* the empty line behind the fields was seen */
		bool close, keep_alive; /* options of all Connection lines */
	} parser;
	/* The first cookie_lines and forwarded_lines are set. */
	struct slice cookies[HTTP_COOKIE_LINES_MAX], forwarded[HTTP_FORWARDED_LINES_MAX];
};

enum http_result { HTTP_MORE, HTTP_READY, HTTP_REFUSED };

struct http_refusal {
	enum http_status status;
	const char *why;                /* a static sentence for people */
};

/* Before a request's first byte is parsed. */
void http_request_init(struct http_request *r);

/* Judges `in` (all that came since the request's first byte; it may hold more than the
 * head) from where the last call stopped. HTTP_READY: the head is complete and sound,
 * every member is set but `body`. HTTP_MORE: sound so far; no other result is followed by
 * a further call. A Content-Length over max_body is refused here with 413 (H26). */
enum http_result http_parse(struct http_request *r, struct slice in,
                            const struct http_limits *limits, struct http_refusal *refusal);

/* Of a 413, whoever finds it. */
#define HTTP_BODY_TOO_LONG "The body is longer than this path takes (max_body)."

/* True where a body follows the head. */
static inline bool http_has_body(const struct http_request *r)
{
	return r->chunked || r->content_length > 0;
}

/* The chunked coding (RFC 9112, section 7.1), fed in pieces of any size. */
struct http_chunked {
	uint64_t left;                  /* bytes of the chunk at hand still to come */
	uint32_t digits, extension_bytes, trailer_bytes, trailer_fields;
	uint8_t state;                  /* 0 at the start */
};

/* Takes bytes from `*in` (moving it on), appends chunk data to `body`. HTTP_READY: the
 * body and its trailer section are complete, `*in` stands behind it. A body over
 * `body->cap` bytes is 413. Trailers are checked, bounded and dropped (H25). */
enum http_result http_chunked_feed(struct http_chunked *c, struct slice *in, struct buf *body,
                                   const struct http_limits *limits,
                                   struct http_refusal *refusal);

/* The segments of `path` percent-decoded once, "/" kept between them (H36). False for a
 * bad escape, an encoded "/" or NUL, a "." or ".." segment, or an empty segment other
 * than the last. */
bool http_path_decode(struct slice path, struct buf *out);

/* A target that a proxy tells of, of origin-form or absolute-form (RFC 9112, sections 3.2.1
 * and 3.2.2): path and query as sent, and of the latter scheme and authority, else absent.
 * False for what is neither, or has no path. */
struct http_target {
	struct slice scheme, authority, uri;
};
bool http_target_split(struct slice target, struct http_target *t);

/* A host and perhaps a port, as Host has it. */
bool http_is_authority(struct slice s);
/* RFC 9110, section 5.6.2. */
bool http_is_token(struct slice s);

/* Compares a decoded path with a pattern; each `*` that is a segment of the pattern takes one that
 * is not empty into `args`. */
bool http_path_match(struct slice path, const char *pattern, struct slice *args);

/* The next `name=value` of a query or of an urlencoded form; false at the end. Both are
 * still encoded: see http_form_decode(). The value is absent where there is no `=`. */
bool http_form_next(struct slice *rest, struct slice *name, struct slice *value);

/* `+` and percent escapes of application/x-www-form-urlencoded, decoded once into `out`.
 * A bad escape stays as it is, as browsers and Django have it. */
void http_form_decode(struct slice text, struct buf *out);

/* How often the cookie `name` (compared byte for byte) stands in the request, and its first
 * value. Nameless and malformed pairs are skipped, quotes are part of a value (RFC 6265,
 * section 5.2). */
uint32_t http_cookie_find(const struct http_request *r, struct slice name, struct slice *value);

/* True where a Content-Type names this media type, whatever its parameters. */
bool http_media_is(struct slice content_type, const char *media);

/* True where an Accept field lets `media` (type/subtype, lower case) be the answer: of its
 * ranges the most specific that matches has a weight above 0 (RFC 9110, section 12.5.1).
 * Absent or empty: anything goes. */
bool http_accepts(struct slice accept, const char *media);

/* True without an If-Match, and where it is `*` or names the entity tag `etag`, quotes included
 * (RFC 9110, section 13.1.1: compared strongly, so that a weak one never matches). */
bool http_if_match(const struct http_request *r, struct slice etag);

/* The host name of an authority, without the port; brackets of IPv6 are kept. */
struct slice http_host_name(struct slice authority);

struct http_response {
	enum http_status status;
	struct buf fields;              /* whole lines, "Name: value\r\n" */
	struct buf body;
	bool close;                     /* the connection ends with this response */
};

/* Makes the response empty again, status 500, over the same memory. */
void http_response_reset(struct http_response *r);

/* Adds one field line. A value with a byte that no field may hold (CR, LF, NUL, another
 * control) is a mistake of ours: the line is dropped and the fields are marked full, which
 * turns the response into a 500 (H34). */
void http_field_put(struct http_response *r, const char *name, struct slice value);
#define http_field_lit(r, line) buf_lit(&(r)->fields, line "\r\n")

/* True where http_response_write() makes a bare 500 of it, after which the connection ends. */
static inline bool http_response_full(const struct http_response *r)
{
	return r->fields.full || r->body.full;
}

#define HTTP_DATE_LEN 29

/* IMF-fixdate (RFC 9110, section 5.6.7) of a Unix time, 29 bytes without NUL. */
void http_date(char out[HTTP_DATE_LEN], uint64_t now_s);

#define HTTP_FRAME_MAX 256      /* bytes that http_response_write() adds to fields and body */

struct http_framing {
	bool head_only;                 /* the request was HEAD */
	bool keep_alive;                /* the connection goes on */
	bool http10;                    /* then keep-alive must be said */
	const char *date;               /* HTTP_DATE_LEN bytes */
	uint32_t hsts_s;                /* max-age of Strict-Transport-Security; 0: none */
};

/* Writes status line, Date, Strict-Transport-Security (RFC 6797), fields, Content-Length (but
 * 204 and 304), Connection and body (but HEAD, 204, 304). What overflowed in `r` becomes a bare
 * 500. False where `out` is too small: nothing was written then. */
bool http_response_write(struct buf *out, const struct http_response *r,
                         const struct http_framing *framing);
/* The same but for the body, which is to follow: `*body`, absent or a part of `r`. */
bool http_response_write_head(struct buf *out, const struct http_response *r,
                              const struct http_framing *framing, struct slice *body);

#endif
