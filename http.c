/* http.c -- see http.h.
 *
 * A head is judged line by line and each line from left to right, up to the first byte
 * that is wrong. What a line says is kept only once its LF was seen; a line that is cut
 * short is judged again from its start when more has come.
 */
#include <assert.h>

#include "address.h"
#include "date.h"
#include "http.h"

#define CONTENT_LENGTH_MAX   INT64_MAX
#define CHUNK_DIGITS_MAX     16         /* of a chunk-size: what 64 bits hold */
#define CHUNK_EXTENSIONS_MAX 1024       /* bytes, all of one request (H24) */

#define VERSION              "HTTP/1.1 "
#define STATUS(status, text) [status] = { VERSION text, sizeof(VERSION text) - 1 }

/* A status line; the reason phrase begins behind the code. */
static const struct slice status_text[] = {
	STATUS(HTTP_CONTINUE,             "100 Continue"),
	STATUS(HTTP_OK,                   "200 OK"),
	STATUS(HTTP_CREATED,              "201 Created"),
	STATUS(HTTP_ACCEPTED,             "202 Accepted"),
	STATUS(HTTP_NO_CONTENT,           "204 No Content"),
	STATUS(HTTP_MOVED_PERMANENTLY,    "301 Moved Permanently"),
	STATUS(HTTP_NOT_MODIFIED,         "304 Not Modified"),
	STATUS(HTTP_BAD_REQUEST,          "400 Bad Request"),
	STATUS(HTTP_UNAUTHORIZED,         "401 Unauthorized"),
	STATUS(HTTP_FORBIDDEN,            "403 Forbidden"),
	STATUS(HTTP_NOT_FOUND,            "404 Not Found"),
	STATUS(HTTP_METHOD_NOT_ALLOWED,   "405 Method Not Allowed"),
	STATUS(HTTP_NOT_ACCEPTABLE,       "406 Not Acceptable"),
	STATUS(HTTP_REQUEST_TIMEOUT,      "408 Request Timeout"),
	STATUS(HTTP_CONFLICT,             "409 Conflict"),
	STATUS(HTTP_PRECONDITION_FAILED,  "412 Precondition Failed"),
	STATUS(HTTP_CONTENT_TOO_LARGE,    "413 Content Too Large"),
	STATUS(HTTP_URI_TOO_LONG,         "414 URI Too Long"),
	STATUS(HTTP_UNSUPPORTED_MEDIA,    "415 Unsupported Media Type"),
	STATUS(HTTP_EXPECTATION_FAILED,   "417 Expectation Failed"),
	STATUS(HTTP_UNPROCESSABLE,        "422 Unprocessable Content"),
	STATUS(HTTP_TOO_MANY_REQUESTS,    "429 Too Many Requests"),
	STATUS(HTTP_FIELDS_TOO_LARGE,     "431 Request Header Fields Too Large"),
	STATUS(HTTP_INTERNAL_ERROR,       "500 Internal Server Error"),
	STATUS(HTTP_NOT_IMPLEMENTED,      "501 Not Implemented"),
	STATUS(HTTP_BAD_GATEWAY,          "502 Bad Gateway"),
	STATUS(HTTP_SERVICE_UNAVAILABLE,  "503 Service Unavailable"),
	STATUS(HTTP_VERSION_UNSUPPORTED,  "505 HTTP Version Not Supported"),
	STATUS(HTTP_INSUFFICIENT_STORAGE, "507 Insufficient Storage"),
};

#define METHOD(name) { { #name, sizeof(#name) - 1 }, HTTP_##name }

static const struct {
	struct slice name;
	enum http_method method;
} methods[] = {
	METHOD(GET), METHOD(POST), METHOD(HEAD), METHOD(PUT), METHOD(PATCH), METHOD(DELETE),
	METHOD(OPTIONS), METHOD(TRACE), METHOD(CONNECT),
};

/* What a second line of a field means: it is refused (H35), or left to who wants all. */
enum repeat { REFUSE, FIRST };

struct known_field {
	const char *name;               /* lower case; NULL ends the row */
	enum http_field field;
	enum repeat repeat;
};

/* Whole words of eight bytes can be read of a name. */
#define NAME(literal) literal "\0\0\0\0\0\0\0"

/* The row is the length of the name. */
static const struct known_field known_fields[][6] = {
	[4]  = { { NAME("host"),              HTTP_HOST,              REFUSE } },
	[6]  = { { NAME("cookie"),            HTTP_COOKIE,            FIRST  },
	         { NAME("origin"),            HTTP_ORIGIN,            REFUSE },
	         { NAME("accept"),            HTTP_ACCEPT,            FIRST  },
	         { NAME("expect"),            HTTP_EXPECT,            REFUSE } },
	[7]  = { { NAME("upgrade"),           HTTP_UPGRADE,           FIRST  } },
	[8]  = { { NAME("if-match"),          HTTP_IF_MATCH,          REFUSE } },
	[9]  = { { NAME("x-api-key"),         HTTP_X_API_KEY,         REFUSE } },
	[10] = { { NAME("session-id"),        HTTP_SESSION_ID,        REFUSE },
	         { NAME("connection"),        HTTP_CONNECTION,        FIRST  } },
	[11] = { { NAME("x-csrftoken"),       HTTP_X_CSRFTOKEN,       REFUSE } },
	[12] = { { NAME("content-type"),      HTTP_CONTENT_TYPE,      REFUSE } },
	[13] = { { NAME("authorization"),     HTTP_AUTHORIZATION,     REFUSE } },
	[14] = { { NAME("content-length"),    HTTP_CONTENT_LENGTH,    REFUSE },
	         { NAME("sec-fetch-site"),    HTTP_SEC_FETCH_SITE,    REFUSE },
	         { NAME("x-original-uri"),    HTTP_X_ORIGINAL_URI,    REFUSE },
	         { NAME("x-original-url"),    HTTP_X_ORIGINAL_URL,    REFUSE },
	         { NAME("x-dw-client-id"),    HTTP_X_DW_CLIENT_ID,    REFUSE } },
	[15] = { { NAME("x-forwarded-for"),   HTTP_X_FORWARDED_FOR,   FIRST  },
	         { NAME("x-forwarded-uri"),   HTTP_X_FORWARDED_URI,   REFUSE },
	         { NAME("idempotency-key"),   HTTP_IDEMPOTENCY_KEY,   REFUSE } },
	[16] = { { NAME("x-forwarded-host"),  HTTP_X_FORWARDED_HOST,  REFUSE } },
	[17] = { { NAME("x-forwarded-proto"), HTTP_X_FORWARDED_PROTO, REFUSE },
	         { NAME("transfer-encoding"), HTTP_TRANSFER_ENCODING, REFUSE } },
	[18] = { { NAME("x-forwarded-method"), HTTP_X_FORWARDED_METHOD, REFUSE } },
	[19] = { { NAME("x-dw-resource-state"), HTTP_X_DW_RESOURCE_STATE, REFUSE } },
	[25] = { { NAME("x-dw-http-method-override"), HTTP_X_DW_HTTP_METHOD_OVERRIDE, REFUSE } },
	[29] = { { NAME("access-control-request-method"),
	           HTTP_ACCESS_CONTROL_REQUEST_METHOD, FIRST } },
};

/* What a byte may stand in, as bits. */
enum {
	IN_TOKEN  = 1,          /* RFC 9110, section 5.6.2 */
	IN_TARGET = 2,          /* visible ASCII but `#`, which starts a fragment */
	IN_VALUE  = 4,          /* HTAB, SP, visible ASCII, obs-text (RFC 9110, section 5.5) */
	IN_HOST   = 8,          /* reg-name with `%` (RFC 3986, section 3.2.2) */
};

static const uint8_t byte_bits[256] = {
	 0,  0,  0,  0,  0,  0,  0,  0,  0,  4,  0,  0,  0,  0,  0,  0,
	 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
	 4, 15,  6,  5, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15,  6,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6, 14,  6, 14,  6,  6,
	 6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  6,  6,  7, 15,
	 7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
	 4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
};

/* The two words of a request line, and why they are refused. */
static const struct word_kind {
	unsigned bits;
	enum http_status too_long;
	const char *why_long, *why_bad;
} method_word = {
	IN_TOKEN, HTTP_NOT_IMPLEMENTED,
	"The method is longer than any that is known.",
	"The request does not begin with a method and one space.",
}, target_word = {
	IN_TARGET, HTTP_URI_TOO_LONG,
	"The request target is longer than max_target.",
	"The request target is not visible ASCII and one space.",
};

static const char two_framings[] = "Content-Length and Transfer-Encoding are both there.";

/* Bytes of one head on their way through the parser. */
struct cursor {
	const char *at, *end;
	struct http_refusal *refusal;
};

const char *http_reason(enum http_status status)
{
	if ((size_t)status >= COUNT_OF(status_text) || status_text[status].len == 0)
		return "Unknown";
	return status_text[status].ptr + sizeof(VERSION "200 ") - 1;
}

static enum http_result refuse(struct http_refusal *refusal, enum http_status status,
                               const char *why)
{
	*refusal = (struct http_refusal){ status, why };
	return HTTP_REFUSED;
}

static enum http_result refuse_bad(struct http_refusal *refusal, const char *why)
{
	return refuse(refusal, HTTP_BAD_REQUEST, why);
}

static inline bool byte_in(char c, unsigned bits)
{
	return byte_bits[(unsigned char)c] & bits;
}

static inline const char *skip(const char *at, const char *end, unsigned bits)
{
	while (at < end && byte_in(*at, bits))
		at++;
	return at;
}

/* As skip() with IN_VALUE, eight bytes at a step while all of them are plain ASCII text: the
 * high bit of a byte shows in one of the terms where it is below SP, DEL or obs-text. A borrow or
 * a carry makes others show, too: of those words it is told byte by byte. */
static inline const char *skip_value(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t w = word_at(at), good;

		if ((((w - WORD_ONES * ' ') | (w + WORD_ONES) | w) & WORD_HIGHS) == 0)
			continue;
		good = word_within(w, ' ', '~') | (w & WORD_HIGHS);
		if (good != WORD_HIGHS) {
			at += word_first(good ^ WORD_HIGHS);
			break;
		}
	}
	return skip(at, end, IN_VALUE);         /* beyond a HTAB there may be more */
}

/* As skip() with IN_TARGET, eight bytes at a step. */
static inline const char *skip_target(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t w = word_at(at);
		uint64_t good = word_within(w, '!', '~') & ~word_within(w, '#', '#');

		if (good != WORD_HIGHS)
			return at + word_first(good ^ WORD_HIGHS);
	}
	return skip(at, end, IN_TARGET);
}

/* The value of two hexadecimal digits at the front, or -1. */
static int hex_pair(struct slice s)
{
	int high, low;

	if (s.len < 2)
		return -1;
	high = byte_hex(s.ptr[0]);
	low = byte_hex(s.ptr[1]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A registered name or an IPv4 address (RFC 3986, section 3.2.2), no label empty but the
 * last; digits and dots alone are an IPv4 address and nothing else. */
static bool host_valid(struct slice host)
{
	bool numeric = true;
	struct address a;
	char before = '.';

	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!byte_in(c, IN_HOST) || (c == '.' && before == '.'))
			return false;
		if (c == '%' && hex_pair(slice_skip(host, i + 1)) < 0)
			return false;
		numeric = numeric && (c == '.' || (c >= '0' && c <= '9'));
		before = c;
	}
	return host.len > 0 && (!numeric || address_parse(host, &a));
}

/* True for what host_valid() is true for, where it has letters, digits, hyphens and dots alone, a
 * letter and eight bytes at least: they are judged eight at a step. */
static bool host_is_plain(struct slice host)
{
	uint64_t letters = 0;

	if (host.len < sizeof letters)
		return false;
	for (size_t i = 0; i < host.len; i += 8) {
		size_t at = host.len - i >= 8 ? i : host.len - 8;
		uint64_t w = word_at(host.ptr + at), dots = word_within(w, '.', '.');
		uint64_t letter = word_within(w | WORD_ONES * 0x20, 'a', 'z');

		if ((letter | word_within(w, '0', '9') | word_within(w, '-', '.')) != WORD_HIGHS ||
		    (dots & dots << 8) != 0 ||
		    (host.ptr[at] == '.' && (at == 0 || host.ptr[at - 1] == '.')))
			return false;
		letters |= letter;
	}
	return letters != 0;
}

/* User information is refused (RFC 9110, section 4.2.4). */
bool http_is_authority(struct slice authority)
{
	struct slice host, port;
	struct address a;
	uint64_t number;

	if (host_is_plain(authority))
		return true;
	if (authority.len == 0)
		return false;
	host = http_host_name(authority);
	port = slice_skip(authority, host.len);
	if (port.len > 0 && port.ptr[0] != ':')
		return false;
	if (port.len > 1 && !slice_uint(slice_skip(port, 1), UINT16_MAX, &number))
		return false;
	if (host.len > 0 && host.ptr[0] == '[')
		return address_parse(host, &a);
	return host_valid(host);
}

bool http_is_token(struct slice s)
{
	return s.len > 0 && skip(s.ptr, s.ptr + s.len, IN_TOKEN) == s.ptr + s.len;
}

static inline enum http_result take_crlf(struct cursor *c, const char *otherwise)
{
	if (c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n') {
		c->at += 2;
		return HTTP_READY;
	}
	if (c->at == c->end)
		return HTTP_MORE;
	if (*c->at != '\r')
		return refuse_bad(c->refusal, otherwise);
	if (c->end - c->at < 2)
		return HTTP_MORE;
	return refuse_bad(c->refusal, "A CR stands without its LF.");
}

/* Takes the bytes of one word, at most `max`, and the SP behind them. */
static inline enum http_result take_word(struct cursor *c, const struct word_kind *kind, size_t max,
                                         struct slice *word)
{
	size_t left = (size_t)(c->end - c->at);
	const char *end = left > max ? c->at + max + 1 : c->end;
	const char *stop = kind->bits == IN_TARGET ? skip_target(c->at, end)
	                                           : skip(c->at, end, kind->bits);

	*word = (struct slice){ c->at, (size_t)(stop - c->at) };
	if (word->len > max)
		return refuse(c->refusal, kind->too_long, kind->why_long);
	if (stop == c->end)
		return HTTP_MORE;
	if (word->len == 0 || *stop != ' ')
		return refuse_bad(c->refusal, kind->why_bad);
	c->at = stop + 1;
	return HTTP_READY;
}

static inline enum http_result take_method(struct cursor *c, struct slice *name)
{
	struct slice rest = { c->at, (size_t)(c->end - c->at) };

	if (!slice_starts(rest, SLICE("GET ")))
		return take_word(c, &method_word, HTTP_METHOD_MAX, name);
	*name = (struct slice){ rest.ptr, sizeof "GET" - 1 };   /* nearly all are so */
	c->at += sizeof "GET";
	return HTTP_READY;
}

/* `HTTP/`, a digit, `.`, a digit. */
static enum http_result take_version(struct cursor *c, int *major, int *minor)
{
	static const char pattern[] = "HTTP/0.0";
	const char *from = c->at;

	if (slice_starts((struct slice){ from, (size_t)(c->end - from) }, SLICE("HTTP/1.1"))) {
		*major = *minor = 1;            /* nearly all are so */
		c->at += sizeof pattern - 1;
		return HTTP_READY;
	}
	for (size_t i = 0; i < sizeof pattern - 1; i++, c->at++) {
		if (c->at == c->end)
			return HTTP_MORE;
		if (pattern[i] == '0' ? *c->at < '0' || *c->at > '9' : *c->at != pattern[i])
			return refuse_bad(c->refusal, "The request line ends in no HTTP version.");
	}
	*major = from[5] - '0';
	*minor = from[7] - '0';
	return HTTP_READY;
}

static enum http_method method_find(struct slice name)
{
	if (slice_eq(name, SLICE("GET")))
		return HTTP_GET;
	for (size_t i = 0; i < COUNT_OF(methods); i++)
		if (slice_eq(name, methods[i].name))
			return methods[i].method;
	return HTTP_OTHER;
}

/* Takes `SCHEME://AUTHORITY`, if the scheme is one of ours, off the target. */
static bool cut_authority(struct slice *target, struct slice *scheme, struct slice *authority)
{
	static const char *const schemes[] = { "http://", "https://" };
	struct slice rest = { 0 };

	for (size_t i = 0; i < COUNT_OF(schemes) && !slice_given(rest); i++) {
		*scheme = (struct slice){ target->ptr, strlen(schemes[i]) };
		if (target->len >= scheme->len && slice_eq_nocase(*scheme, slice_of(schemes[i])))
			rest = slice_skip(*target, scheme->len);
	}
	if (!slice_given(rest))
		return false;
	scheme->len -= sizeof("://") - 1;
	*authority = rest;
	while (rest.len > 0 && rest.ptr[0] != '/' && rest.ptr[0] != '?')
		rest = slice_skip(rest, 1);
	authority->len -= rest.len;
	*target = rest;
	return http_is_authority(*authority);
}

/* The four forms of a request target (RFC 9112, section 3.2). A method that nobody here
 * knows may have the asterisk too: what is wrong with it is said by its 501. */
static bool judge_target(struct http_request *r)
{
	struct slice rest = r->target, scheme;

	if (r->method == HTTP_CONNECT) {
		r->host = rest;
		return http_is_authority(rest);
	}
	if (slice_eq(rest, SLICE("*"))) {
		r->path = rest;
		return r->method & (HTTP_OPTIONS | HTTP_OTHER);
	}
	if (rest.ptr[0] != '/' && !cut_authority(&rest, &scheme, &r->host))
		return false;
	r->query = rest;
	r->path = slice_cut(&r->query, '?');
	if (r->path.len == 0)
		r->path = SLICE("/");
	return true;
}

static enum http_result parse_request_line(struct http_request *r, struct cursor *c,
                                           const struct http_limits *limits)
{
	enum http_result result;
	int major = 0, minor = 0;

	result = take_method(c, &r->method_name);
	if (result == HTTP_READY)
		result = take_word(c, &target_word, limits->max_target, &r->target);
	if (result == HTTP_READY)
		result = take_version(c, &major, &minor);
	if (result == HTTP_READY)
		result = take_crlf(c, "The request line does not end in CRLF.");
	if (result != HTTP_READY)
		return result;
	if (major != 1)
		return refuse(c->refusal, HTTP_VERSION_UNSUPPORTED, "Only HTTP/1 is spoken here.");
	r->minor = minor > 0;
	r->method = method_find(r->method_name);
	if (!judge_target(r))
		return refuse_bad(c->refusal, "The request target has no form of RFC 9112.");
	return HTTP_READY;
}

/* Case is no difference, nor is `_` for `-`, but `*underscore` tells it. Of the bytes of a
 * token `| 0x20` changes capitals, `^` and `_` alone. */
static bool name_matches(struct slice name, const char *known, bool *underscore)
{
	size_t i = 0;

	*underscore = false;
	while (name.len - i >= 8 &&
	       (word_at(name.ptr + i) | WORD_ONES * 0x20) == word_at(known + i))
		i += 8;
	for (; i < name.len; i++) {
		if ((name.ptr[i] | 0x20) == known[i])
			continue;
		if (name.ptr[i] != '_' || known[i] != '-')
			return false;
		*underscore = true;
	}
	return true;
}

/* The words of `name` are `known`'s, capitals aside. What follows `len` bytes can be read up to
 * the end of its word. Of all bytes none but letters becomes one of a known name: `>> 1` sets
 * 0x20 where 0x40 is set. */
static inline bool name_is(const char *name, const char *known, size_t len)
{
	for (;; len -= 8, name += 8, known += 8) {
		uint64_t w = word_at(name), differ;

		differ = le64toh((w | (w >> 1 & WORD_ONES * 0x20)) ^ word_at(known));
		if (len < 8)
			return (differ & ((UINT64_C(1) << 8 * len) - 1)) == 0;
		if (differ != 0)
			return false;
	}
}

/* The known field that the line at the front has, spelled with `-`, and its colon. NULL: it has
 * none, or there are too few bytes to judge them eight at a step. */
static inline const struct known_field *find_at_once(const struct cursor *c, const char **colon)
{
	const struct known_field *known;
	size_t left = (size_t)(c->end - c->at), len = 0;
	uint64_t colons = 0;

	for (; len < COUNT_OF(known_fields) && left - len >= 8; len += 8)
		if ((colons = word_within(word_at(c->at + len), ':', ':')) != 0)
			break;
	if (colons == 0 || (len += word_first(colons)) >= COUNT_OF(known_fields))
		return NULL;
	*colon = c->at + len;
	for (known = known_fields[len]; known->name != NULL; known++)
		if (name_is(c->at, known->name, len))
			return known;
	return NULL;
}

static const struct known_field *field_find(struct slice name, bool *underscore)
{
	const struct known_field *known;

	if (name.len >= COUNT_OF(known_fields))
		return NULL;
	for (known = known_fields[name.len]; known->name != NULL; known++)
		if (name_matches(name, known->name, underscore))
			return known;
	return NULL;
}

/* Why a Transfer-Encoding that is not `chunked` alone is refused (H03, H04). */
static enum http_result refuse_coding(struct slice value, struct http_refusal *refusal)
{
	const struct slice chunked = SLICE("chunked");
	struct slice last = { 0 };
	unsigned count = 0;

	while (slice_given(value)) {
		last = slice_trim(slice_cut(&value, ','));
		count += slice_eq_nocase(last, chunked);
	}
	if (count != 1 || !slice_eq_nocase(last, chunked))
		return refuse_bad(refusal, "The last transfer coding is not the only `chunked`.");
	return refuse(refusal, HTTP_NOT_IMPLEMENTED, "No transfer coding but `chunked` is known.");
}

static enum http_result judge_coding(struct http_request *r, struct slice value,
                                     struct http_refusal *refusal)
{
	if (r->minor == 0)
		return refuse_bad(refusal, "HTTP/1.0 has no Transfer-Encoding.");
	if (slice_given(r->field[HTTP_CONTENT_LENGTH]))
		return refuse_bad(refusal, two_framings);
	r->chunked = slice_eq_nocase(value, SLICE("chunked"));
	return r->chunked ? HTTP_READY : refuse_coding(value, refusal);
}

static enum http_result judge_length(struct http_request *r, struct slice value,
                                     struct http_refusal *refusal)
{
	if (r->chunked)
		return refuse_bad(refusal, two_framings);
	if (!slice_uint(value, CONTENT_LENGTH_MAX, &r->content_length))
		return refuse_bad(refusal, "Content-Length is not one decimal number.");
	return HTTP_READY;
}

static void read_connection(struct http_request *r, struct slice value)
{
	while (slice_given(value)) {
		struct slice option = slice_trim(slice_cut(&value, ','));

		if (slice_eq_nocase(option, SLICE("close")))
			r->parser.close = true;
		if (slice_eq_nocase(option, SLICE("keep-alive")))
			r->parser.keep_alive = true;
	}
}

static enum http_result judge_field(struct http_request *r, enum http_field field,
                                    struct slice value, struct http_refusal *refusal)
{
	switch (field) {
	case HTTP_HOST:
		if (!http_is_authority(value))
			return refuse_bad(refusal, "Host is not a host name and perhaps a port.");
		break;
	case HTTP_CONTENT_LENGTH:
		return judge_length(r, value, refusal);
	case HTTP_TRANSFER_ENCODING:
		return judge_coding(r, value, refusal);
	case HTTP_CONNECTION:
		read_connection(r, value);
		break;
	case HTTP_COOKIE:
		if (r->cookie_lines == HTTP_COOKIE_LINES_MAX)
			return refuse(refusal, HTTP_FIELDS_TOO_LARGE, "Too many Cookie lines.");
		r->cookies[r->cookie_lines++] = value;
		break;
	case HTTP_X_FORWARDED_FOR:
		if (r->forwarded_lines == HTTP_FORWARDED_LINES_MAX)
			return refuse(refusal, HTTP_FIELDS_TOO_LARGE,
			              "Too many X-Forwarded-For lines.");
		r->forwarded[r->forwarded_lines++] = value;
		break;
	case HTTP_EXPECT:
	case HTTP_UPGRADE:
	case HTTP_CONTENT_TYPE:
	case HTTP_ACCEPT:
	case HTTP_AUTHORIZATION:
	case HTTP_X_API_KEY:
	case HTTP_X_DW_CLIENT_ID:
	case HTTP_SESSION_ID:
	case HTTP_X_FORWARDED_HOST:
	case HTTP_X_FORWARDED_PROTO:
	case HTTP_X_FORWARDED_METHOD:
	case HTTP_X_FORWARDED_URI:
	case HTTP_X_ORIGINAL_URI:
	case HTTP_X_ORIGINAL_URL:
	case HTTP_ORIGIN:
	case HTTP_SEC_FETCH_SITE:
	case HTTP_X_CSRFTOKEN:
	case HTTP_IF_MATCH:
	case HTTP_IDEMPOTENCY_KEY:
	case HTTP_ACCESS_CONTROL_REQUEST_METHOD:
	case HTTP_X_DW_HTTP_METHOD_OVERRIDE:
	case HTTP_X_DW_RESOURCE_STATE:
	case HTTP_FIELDS:
		break;
	}
	return HTTP_READY;
}

static enum http_result keep_field(struct http_request *r, const struct known_field *known,
                                   struct slice value, struct http_refusal *refusal)
{
	struct slice *field = &r->field[known->field];

	if (slice_given(*field) && known->repeat == REFUSE)
		return refuse_bad(refusal, "A field that stands alone is there twice.");
	if (!slice_given(*field))
		*field = value;
	return judge_field(r, known->field, value, refusal);
}

/* Takes a field's name, and says where its colon is; `*known` is NULL where nobody reads it. */
static enum http_result take_name(struct cursor *c, const char **colon,
                                  const struct known_field **known, bool *underscore)
{
	*underscore = false;
	if ((*known = find_at_once(c, colon)) != NULL)
		return HTTP_READY;
	*colon = skip(c->at, c->end, IN_TOKEN);
	if (*colon == c->end)
		return HTTP_MORE;
	if (*colon == c->at || **colon != ':')
		return refuse_bad(c->refusal, "A line is no field name with its colon.");
	*known = field_find((struct slice){ c->at, (size_t)(*colon - c->at) }, underscore);
	return HTTP_READY;
}

static enum http_result parse_field_line(struct http_request *r, struct cursor *c)
{
	const struct known_field *known;
	const char *colon;
	bool underscore;
	enum http_result result = take_name(c, &colon, &known, &underscore);
	struct slice value;

	if (result != HTTP_READY)
		return result;
	c->at = skip_value(colon + 1, c->end);
	value = (struct slice){ colon + 1, (size_t)(c->at - colon - 1) };
	result = take_crlf(c, "A field value holds a control byte.");
	if (result != HTTP_READY)
		return result;
	r->parser.count++;
	if (known == NULL)
		return HTTP_READY;
	/* A backend may read `Session_Id` as the real one (CGI spells both alike). */
	if (underscore)
		return refuse_bad(c->refusal, "A field name has `_` where a known one has `-`.");
	return keep_field(r, known, slice_trim(value), c->refusal);
}

/* What only the whole head tells; broken framing was refused before. */
static enum http_result judge_head(struct http_request *r, const struct http_limits *limits,
                                   struct http_refusal *refusal)
{
	struct slice expect = r->field[HTTP_EXPECT];
	bool expect_continue = slice_eq_nocase(expect, SLICE("100-continue"));

	if (r->minor > 0 && !slice_given(r->field[HTTP_HOST]))
		return refuse_bad(refusal, "HTTP/1.1 needs a Host field.");
	if (slice_given(expect) && !expect_continue)
		return refuse(refusal, HTTP_EXPECTATION_FAILED,
		              "No expectation but `100-continue` is known.");
	if (r->content_length > limits->max_body)
		return refuse(refusal, HTTP_CONTENT_TOO_LARGE, HTTP_BODY_TOO_LONG);
	if (!slice_given(r->host))
		r->host = r->field[HTTP_HOST];
	/* HTTP/1.0 cannot wait for a 100 (RFC 9110, section 10.1.1). */
	r->expect_continue = expect_continue && r->minor > 0;
	r->keep_alive = !r->parser.close && (r->minor > 0 || r->parser.keep_alive);
	return HTTP_READY;
}

void http_request_init(struct http_request *r)
{
	memset(r, 0, offsetof(struct http_request, cookies));
}

/* Takes one line; r->parser.head_done says that it was the empty one at the end. */
static enum http_result parse_line(struct http_request *r, struct cursor *c,
                                   const struct http_limits *limits)
{
	enum http_result result;

	if (c->at == c->end)
		return HTTP_MORE;
	if (!r->parser.line_done) {
		if (*c->at == '\r' && !r->parser.blank_seen) {
			result = take_crlf(c, "");
			r->parser.blank_seen = result == HTTP_READY;
			return result;
		}
		result = parse_request_line(r, c, limits);
		r->parser.line_done = result == HTTP_READY;
		return result;
	}
	if (*c->at == '\r') {
		result = take_crlf(c, "");
		r->parser.head_done = result == HTTP_READY;
		return result;
	}
	if (r->parser.count == limits->max_headers)
		return refuse(c->refusal, HTTP_FIELDS_TOO_LARGE,
		              "There are more fields than max_headers.");
	return parse_field_line(r, c);
}

enum http_result http_parse(struct http_request *r, struct slice in,
                            const struct http_limits *limits, struct http_refusal *refusal)
{
	bool cut = in.len > limits->max_head;
	struct cursor c = { in.ptr, in.ptr, refusal };
	enum http_result result = HTTP_READY;
	const char *line = in.ptr;

	if (in.len == 0)
		return HTTP_MORE;
	assert(r->parser.at <= in.len && !r->parser.head_done);
	c.at += r->parser.at;
	c.end += cut ? limits->max_head : in.len;
	while (result == HTTP_READY && !r->parser.head_done) {
		line = c.at;
		result = parse_line(r, &c, limits);
	}
	r->parser.at = (size_t)(line - in.ptr);
	if (result == HTTP_MORE && cut)
		return refuse(refusal, HTTP_FIELDS_TOO_LARGE, "The head is longer than max_head.");
	if (result != HTTP_READY)
		return result;
	r->head_len = (size_t)(c.at - in.ptr);
	return judge_head(r, limits, refusal);
}

/* What stands before a byte of the chunked coding (RFC 9112, section 7.1). */
enum chunk_state {
	CHUNK_START,            /* the first chunk-size */
	CHUNK_NEXT,             /* a further chunk-size */
	CHUNK_SIZE,             /* at least one digit */
	CHUNK_GAP,              /* blanks that only a `;` may follow */
	CHUNK_NAME_START,       /* `;` of an extension */
	CHUNK_NAME,             /* at least a byte of its name */
	CHUNK_NAME_GAP,         /* blanks behind its name */
	CHUNK_VALUE_START,      /* `=` */
	CHUNK_VALUE,            /* at least a byte of a token */
	CHUNK_QUOTED,           /* a quoted string so far */
	CHUNK_ESCAPE,           /* a backslash in it */
	CHUNK_QUOTED_END,       /* its closing quote */
	CHUNK_SIZE_LF,          /* CR of a chunk's first line */
	CHUNK_DATA,             /* c->left bytes to come */
	CHUNK_DATA_CR,          /* all its data */
	CHUNK_DATA_LF,          /* CR behind it */
	TRAILER_START,          /* a whole line, after the last chunk */
	TRAILER_NAME,           /* at least a byte of a field name */
	TRAILER_VALUE,          /* its colon */
	TRAILER_LF,             /* CR of a field line */
	TRAILER_END_LF,         /* CR of the empty line */
	CHUNK_DONE,
	CHUNK_STATES
};

enum chunk_class {
	C_CONTROL, C_TEXT, C_CR, C_LF, C_BLANK, C_HEX, C_TOKEN, C_SEMICOLON, C_EQUALS, C_QUOTE,
	C_BACKSLASH, C_COLON, CHUNK_CLASSES
};

#define TOKEN(next) [C_HEX] = next, [C_TOKEN] = next
#define TEXT(next)  TOKEN(next), [C_TEXT] = next, [C_BLANK] = next, [C_SEMICOLON] = next, \
                    [C_EQUALS] = next, [C_COLON] = next

/* Where a byte leads. Nothing leads back to CHUNK_START: there the byte is wrong. Blanks
 * stand where the grammar has them (BWS), so never between chunk-size and CRLF. */
static const uint8_t chunk_next[CHUNK_STATES][CHUNK_CLASSES] = {
	[CHUNK_START]       = { [C_HEX] = CHUNK_SIZE },
	[CHUNK_NEXT]        = { [C_HEX] = CHUNK_SIZE },
	[CHUNK_SIZE]        = { [C_HEX] = CHUNK_SIZE, [C_BLANK] = CHUNK_GAP,
	                        [C_SEMICOLON] = CHUNK_NAME_START, [C_CR] = CHUNK_SIZE_LF },
	[CHUNK_GAP]         = { [C_BLANK] = CHUNK_GAP, [C_SEMICOLON] = CHUNK_NAME_START },
	[CHUNK_NAME_START]  = { TOKEN(CHUNK_NAME), [C_BLANK] = CHUNK_NAME_START },
	[CHUNK_NAME]        = { TOKEN(CHUNK_NAME), [C_BLANK] = CHUNK_NAME_GAP,
	                        [C_EQUALS] = CHUNK_VALUE_START,
	                        [C_SEMICOLON] = CHUNK_NAME_START, [C_CR] = CHUNK_SIZE_LF },
	[CHUNK_NAME_GAP]    = { [C_BLANK] = CHUNK_NAME_GAP, [C_EQUALS] = CHUNK_VALUE_START,
	                        [C_SEMICOLON] = CHUNK_NAME_START },
	[CHUNK_VALUE_START] = { TOKEN(CHUNK_VALUE), [C_BLANK] = CHUNK_VALUE_START,
	                        [C_QUOTE] = CHUNK_QUOTED },
	[CHUNK_VALUE]       = { TOKEN(CHUNK_VALUE), [C_BLANK] = CHUNK_GAP,
	                        [C_SEMICOLON] = CHUNK_NAME_START, [C_CR] = CHUNK_SIZE_LF },
	[CHUNK_QUOTED]      = { TEXT(CHUNK_QUOTED), [C_QUOTE] = CHUNK_QUOTED_END,
	                        [C_BACKSLASH] = CHUNK_ESCAPE },
	[CHUNK_ESCAPE]      = { TEXT(CHUNK_QUOTED), [C_QUOTE] = CHUNK_QUOTED,
	                        [C_BACKSLASH] = CHUNK_QUOTED },
	[CHUNK_QUOTED_END]  = { [C_BLANK] = CHUNK_GAP, [C_SEMICOLON] = CHUNK_NAME_START,
	                        [C_CR] = CHUNK_SIZE_LF },
	[CHUNK_SIZE_LF]     = { [C_LF] = CHUNK_DATA },
	[CHUNK_DATA_CR]     = { [C_CR] = CHUNK_DATA_LF },
	[CHUNK_DATA_LF]     = { [C_LF] = CHUNK_NEXT },
	[TRAILER_START]     = { TOKEN(TRAILER_NAME), [C_CR] = TRAILER_END_LF },
	[TRAILER_NAME]      = { TOKEN(TRAILER_NAME), [C_COLON] = TRAILER_VALUE },
	[TRAILER_VALUE]     = { TEXT(TRAILER_VALUE), [C_QUOTE] = TRAILER_VALUE,
	                        [C_BACKSLASH] = TRAILER_VALUE, [C_CR] = TRAILER_LF },
	[TRAILER_LF]        = { [C_LF] = TRAILER_START },
	[TRAILER_END_LF]    = { [C_LF] = CHUNK_DONE },
};

static enum chunk_class chunk_class(char c)
{
	switch (c) {
	case '\r': return C_CR;
	case '\n': return C_LF;
	case '\t':
	case ' ':  return C_BLANK;
	case ';':  return C_SEMICOLON;
	case '=':  return C_EQUALS;
	case '"':  return C_QUOTE;
	case '\\': return C_BACKSLASH;
	case ':':  return C_COLON;
	}
	if (byte_hex(c) >= 0)
		return C_HEX;
	if (byte_in(c, IN_TOKEN))
		return C_TOKEN;
	return byte_in(c, IN_VALUE) ? C_TEXT : C_CONTROL;
}

/* Judges one byte that is not chunk data. */
static enum http_result chunk_step(struct http_chunked *c, char byte, uint64_t room,
                                   const struct http_limits *limits,
                                   struct http_refusal *refusal)
{
	enum chunk_state from = c->state, to = chunk_next[from][chunk_class(byte)];

	if (to == CHUNK_START)
		return refuse_bad(refusal, "The chunked body is malformed.");
	if (to == CHUNK_SIZE) {
		if (++c->digits > CHUNK_DIGITS_MAX)
			return refuse_bad(refusal, "A chunk-size has more than 16 digits.");
		c->left = c->left << 4 | (uint64_t)byte_hex(byte);
	} else if (from == CHUNK_SIZE && c->left > room) {
		return refuse(refusal, HTTP_CONTENT_TOO_LARGE, HTTP_BODY_TOO_LONG);
	}
	if (to >= CHUNK_GAP && to <= CHUNK_QUOTED_END &&
	    ++c->extension_bytes > CHUNK_EXTENSIONS_MAX)
		return refuse(refusal, HTTP_CONTENT_TOO_LARGE,
		              "The chunk extensions are longer than 1024 bytes.");
	if (from >= TRAILER_START && ++c->trailer_bytes > limits->max_head)
		return refuse(refusal, HTTP_FIELDS_TOO_LARGE,
		              "The trailers are longer than max_head.");
	if (from == TRAILER_START && to == TRAILER_NAME &&
	    ++c->trailer_fields > limits->max_headers)
		return refuse(refusal, HTTP_FIELDS_TOO_LARGE,
		              "There are more trailers than max_headers.");
	if (to == CHUNK_DATA) {
		c->digits = 0;
		if (c->left == 0)
			to = TRAILER_START;
	}
	c->state = (uint8_t)to;
	return HTTP_MORE;
}

static void chunk_take_data(struct http_chunked *c, struct slice *in, struct buf *body)
{
	size_t len = in->len < c->left ? in->len : (size_t)c->left;

	buf_put(body, (struct slice){ in->ptr, len });
	*in = slice_skip(*in, len);
	c->left -= len;
	if (c->left == 0)
		c->state = CHUNK_DATA_CR;
}

enum http_result http_chunked_feed(struct http_chunked *c, struct slice *in, struct buf *body,
                                   const struct http_limits *limits,
                                   struct http_refusal *refusal)
{
	uint64_t max = body->cap < limits->max_body ? body->cap : limits->max_body;

	assert(c->state < CHUNK_STATES && !body->full && body->len <= max);
	while (c->state != CHUNK_DONE) {
		if (in->len == 0)
			return HTTP_MORE;
		if (c->state == CHUNK_DATA) {
			chunk_take_data(c, in, body);
			continue;
		}
		if (chunk_step(c, in->ptr[0], max - body->len, limits, refusal) == HTTP_REFUSED)
			return HTTP_REFUSED;
		*in = slice_skip(*in, 1);
	}
	return HTTP_READY;
}

static bool path_segment_decode(struct slice segment, struct buf *out)
{
	size_t start = out->len;
	struct slice decoded;

	for (;;) {
		int byte;

		buf_put(out, slice_cut(&segment, '%'));
		if (!slice_given(segment))
			break;
		byte = hex_pair(segment);
		if (byte <= 0 || byte == '/')
			return false;
		buf_char(out, (char)byte);
		segment = slice_skip(segment, 2);
	}
	decoded = slice_skip(buf_slice(out), start);
	return !slice_eq(decoded, SLICE(".")) && !slice_eq(decoded, SLICE(".."));
}

bool http_path_decode(struct slice path, struct buf *out)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return false;
	path = slice_skip(path, 1);
	while (slice_given(path)) {
		struct slice segment = slice_cut(&path, '/');

		if (segment.len == 0 && slice_given(path))
			return false;
		buf_char(out, '/');
		if (!path_segment_decode(segment, out))
			return false;
	}
	return !out->full;
}

bool http_target_split(struct slice target, struct http_target *t)
{
	*t = (struct http_target){ .uri = target };
	if (skip(target.ptr, target.ptr + target.len, IN_TARGET) != target.ptr + target.len)
		return false;
	if (target.len > 0 && target.ptr[0] != '/' &&
	    !cut_authority(&t->uri, &t->scheme, &t->authority))
		return false;
	return t->uri.len > 0 && t->uri.ptr[0] == '/';
}

bool http_path_match(struct slice path, const char *pattern, struct slice *args)
{
	for (char before = '/'; *pattern != '\0'; before = *pattern++) {
		bool any = before == '/' && *pattern == '*';
		struct slice rest = path;
		size_t len = any ? slice_cut(&rest, '/').len : 1;

		if (path.len == 0 || len == 0 || (!any && path.ptr[0] != *pattern))
			return false;
		if (any)
			*args++ = (struct slice){ path.ptr, len };
		path = slice_skip(path, len);
	}
	return path.len == 0;
}

bool http_form_next(struct slice *rest, struct slice *name, struct slice *value)
{
	while (slice_given(*rest)) {
		*value = slice_cut(rest, '&');
		if (value->len == 0)
			continue;
		*name = slice_cut(value, '=');
		return true;
	}
	return false;
}

void http_form_decode(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int byte = c == '%' ? hex_pair(slice_skip(text, i + 1)) : -1;

		if (byte >= 0) {
			buf_char(out, (char)byte);
			i += 2;
		} else {
			buf_char(out, c == '+' ? ' ' : c);
		}
	}
}

uint32_t http_cookie_find(const struct http_request *r, struct slice name, struct slice *value)
{
	uint32_t found = 0, pairs = 0;

	for (uint32_t i = 0; i < r->cookie_lines; i++) {
		struct slice rest = r->cookies[i];

		for (; slice_given(rest); pairs++) {
			struct slice after = slice_cut(&rest, ';');
			struct slice before = slice_trim(slice_cut(&after, '='));

			if (!slice_given(after) || !slice_eq(before, name))
				continue;
			if (found++ == 0)
				*value = slice_trim(after);
		}
	}
	return pairs <= HTTP_COOKIE_PAIRS_MAX ? found : 0;
}

bool http_media_is(struct slice content_type, const char *media)
{
	return slice_eq_nocase(slice_trim(slice_cut(&content_type, ';')), slice_of(media));
}

/* The weight of a media range is 0: `;q=0`, `;q=0.000`. */
static bool weight_is_zero(struct slice parameters)
{
	while (slice_given(parameters)) {
		struct slice value = slice_trim(slice_cut(&parameters, ';'));
		struct slice name = slice_trim(slice_cut(&value, '='));

		if (!slice_eq_nocase(name, SLICE("q")))
			continue;
		value = slice_trim(value);
		for (size_t i = 0; i < value.len; i++)
			if (value.ptr[i] != '0' && value.ptr[i] != '.')
				return false;
		return value.len > 0;
	}
	return false;
}

/* How closely a media range names `media`: 0 not at all, 3 exactly. */
static int range_fits(struct slice range, struct slice media)
{
	struct slice type = media, kind = range;

	if (slice_eq_nocase(range, media))
		return 3;
	if (slice_eq(range, SLICE("*/*")))
		return 1;
	type = slice_cut(&type, '/');
	kind = slice_cut(&kind, '/');
	return slice_eq_nocase(kind, type) &&
	       slice_eq(slice_skip(range, kind.len), SLICE("/*")) ? 2 : 0;
}

bool http_accepts(struct slice accept, const char *media)
{
	int closest = 0;
	bool accepted = slice_trim(accept).len == 0;

	while (slice_given(accept)) {
		struct slice parameters = slice_cut(&accept, ',');
		struct slice range = slice_trim(slice_cut(&parameters, ';'));
		int fits = range_fits(range, slice_of(media));

		if (fits > closest) {
			closest = fits;
			accepted = !weight_is_zero(parameters);
		}
	}
	return accepted;
}

bool http_if_match(const struct http_request *r, struct slice etag)
{
	struct slice list = r->field[HTTP_IF_MATCH];

	if (!slice_given(list))
		return true;
	while (slice_given(list)) {
		struct slice one = slice_trim(slice_cut(&list, ','));

		if (slice_eq(one, SLICE("*")) || slice_eq(one, etag))
			return true;
	}
	return false;
}

struct slice http_host_name(struct slice authority)
{
	char end = authority.len > 0 && authority.ptr[0] == '[' ? ']' : ':';
	struct slice rest = authority, name = slice_cut(&rest, end);

	if (end == ']' && slice_given(rest))
		name.len++;
	return name;
}

void http_response_reset(struct http_response *r)
{
	r->status = HTTP_INTERNAL_ERROR;
	r->fields.len = r->body.len = 0;
	r->fields.full = r->body.full = false;
	r->close = false;
}

void http_field_put(struct http_response *r, const char *name, struct slice value)
{
	if (value.len > 0 &&
	    skip_value(value.ptr, value.ptr + value.len) != value.ptr + value.len) {
		r->fields.full = true;
		return;
	}
	buf_str(&r->fields, name);
	buf_lit(&r->fields, ": ");
	buf_put(&r->fields, value);
	buf_lit(&r->fields, "\r\n");
}

void http_date(char out[HTTP_DATE_LEN], uint64_t now_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct date d = date_from(now_s);

	memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
	memcpy(out, days + (size_t)3 * date_weekday(now_s), 3);
	date_put_pair(out + 5, d.day);
	memcpy(out + 8, months + (size_t)3 * (d.month - 1), 3);
	date_put_pair(out + 12, d.year / 100);
	date_put_pair(out + 14, d.year);
	date_put_pair(out + 17, d.hour);
	date_put_pair(out + 20, d.minute);
	date_put_pair(out + 23, d.second);
}

/* What a status may carry at all (RFC 9110, sections 6.4.1 and 8.6). */
static bool has_content(enum http_status status)
{
	return status >= HTTP_OK && status != HTTP_NO_CONTENT && status != HTTP_NOT_MODIFIED;
}

/* Writes the head, also where it does not fit: `out` is full then. */
static void put_head(struct buf *out, const struct http_response *r,
                     const struct http_framing *framing, struct slice *content)
{
	enum http_status status = r->status;
	struct slice fields = buf_slice(&r->fields), body = buf_slice(&r->body);
	struct buf b = *out;            /* a copy stays in registers */
	bool closes = r->close || !framing->keep_alive;

	assert((size_t)status < COUNT_OF(status_text) && status_text[status].len > 0);
	if (http_response_full(r)) {
		status = HTTP_INTERNAL_ERROR;
		fields = SLICE("Content-Type: application/problem+json\r\n");
		body = SLICE("{\"type\":\"about:blank\",\"title\":\"Internal Server Error\","
		             "\"status\":500,\"detail\":\"The answer was too long.\"}");
		closes = true;
	}
	buf_put(&b, status_text[status]);
	buf_lit(&b, "\r\nDate: ");
	buf_put(&b, (struct slice){ framing->date, HTTP_DATE_LEN });
	buf_lit(&b, "\r\n");
	if (framing->hsts_s > 0) {
		buf_lit(&b, "Strict-Transport-Security: max-age=");
		buf_uint(&b, framing->hsts_s);
		buf_lit(&b, "\r\n");
	}
	buf_put(&b, fields);
	if (has_content(status)) {
		buf_lit(&b, "Content-Length: ");
		buf_uint(&b, body.len);
		buf_lit(&b, "\r\n");
	}
	if (closes)
		buf_lit(&b, "Connection: close\r\n");
	else if (framing->http10)
		buf_lit(&b, "Connection: keep-alive\r\n");
	buf_lit(&b, "\r\n");
	*out = b;
	*content = has_content(status) && !framing->head_only ? body : (struct slice){ 0 };
}

bool http_response_write(struct buf *out, const struct http_response *r,
                         const struct http_framing *framing)
{
	struct buf start = *out;
	struct slice body;

	put_head(out, r, framing, &body);
	buf_put(out, body);
	if (!out->full)
		return true;
	*out = start;
	return false;
}

bool http_response_write_head(struct buf *out, const struct http_response *r,
                              const struct http_framing *framing, struct slice *body)
{
	struct buf start = *out;

	put_head(out, r, framing, body);
	if (!out->full)
		return true;
	*out = start;
	return false;
}
