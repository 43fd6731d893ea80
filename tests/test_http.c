/* test_http.c -- requests, chunked bodies, paths, forms and responses as bytes.
 *
 * Names begin with the requirement they stand for. Each input is fed whole, byte by byte and
 * cut at every offset, at the end of memory that nobody may read; whatever has not come yet
 * is poison, and the outcome must be the same each time (H33).
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "http.h"
#include "guard.h"

#define TEXT(literal) { literal, sizeof(literal) - 1 }
#define GET           "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST          "POST / HTTP/1.1\r\nHost: a\r\n"
#define INPUT_MAX     16384

static const struct http_limits limits = {
	.max_head = 8192, .max_target = 2048, .max_headers = 64, .max_body = 65536
};

struct outcome {
	enum http_result result;
	struct http_refusal refusal;
	struct http_request request;
	size_t seen;                    /* bytes there were at the last call */
};

/* The first piece has `first` bytes, each further one `step`. */
static struct outcome feed(struct slice in, size_t first, size_t step,
                           const struct http_limits *under)
{
	static char arrived[INPUT_MAX];
	struct outcome o = { .seen = first };

	assert_true(in.len <= sizeof arrived);
	memset(arrived, 0, in.len);
	http_request_init(&o.request);
	for (size_t from = 0;; from = o.seen, o.seen += step) {
		struct slice memory;

		if (o.seen > in.len)
			o.seen = in.len;
		if (o.seen > from)
			memcpy(arrived + from, in.ptr + from, o.seen - from);
		memory = guarded((struct slice){ arrived, in.len });
		memory.len = o.seen;
		o.result = http_parse(&o.request, memory, under, &o.refusal);
		if (o.result != HTTP_MORE || o.seen == in.len)
			return o;
	}
}

static bool same_slice(struct slice a, struct slice b)
{
	return a.ptr == b.ptr && a.len == b.len;
}

static bool same_request(const struct http_request *a, const struct http_request *b)
{
	for (size_t i = 0; i < HTTP_FIELDS; i++)
		if (!same_slice(a->field[i], b->field[i]))
			return false;
	return a->method == b->method && same_slice(a->method_name, b->method_name) &&
	       same_slice(a->target, b->target) && same_slice(a->path, b->path) &&
	       same_slice(a->query, b->query) && same_slice(a->host, b->host) &&
	       a->minor == b->minor && a->keep_alive == b->keep_alive &&
	       a->chunked == b->chunked && a->expect_continue == b->expect_continue &&
	       a->content_length == b->content_length && a->head_len == b->head_len;
}

static void check_same(const char *name, const char *how, size_t cut, const struct outcome *a,
                       const struct outcome *b)
{
	if (a->result != b->result)
		fail_msg("%s, %s %zu: result %d is not %d", name, how, cut, b->result, a->result);
	if (a->result == HTTP_REFUSED && (a->refusal.status != b->refusal.status ||
	                                  a->refusal.why != b->refusal.why))
		fail_msg("%s, %s %zu: %d %s", name, how, cut, b->refusal.status, b->refusal.why);
	if (a->result == HTTP_READY && !same_request(&a->request, &b->request))
		fail_msg("%s, %s %zu: other members", name, how, cut);
}

/* The outcome of `in`, which is the same in whatever pieces it comes. Its slices hold until
 * the next input is fed. */
static struct outcome parsed_under(const char *name, struct slice in,
                                   const struct http_limits *under)
{
	struct outcome whole = feed(in, in.len, 1, under), bytes;

	for (size_t cut = 1; cut < in.len; cut++) {
		struct outcome split = feed(in, cut, in.len - cut, under), alone;

		check_same(name, "cut at", cut, &whole, &split);
		/* A fresh look at the part in front ends at the guard page. */
		alone = feed((struct slice){ in.ptr, cut }, cut, 1, under);
		if (alone.result != HTTP_MORE)
			check_same(name, "the first", cut, &whole, &alone);
	}
	bytes = feed(in, 0, 1, under);
	check_same(name, "bytes", 1, &whole, &bytes);
	return bytes;
}

static struct outcome parsed(const char *name, struct slice in)
{
	return parsed_under(name, in, &limits);
}

/* The last byte of `in` is the first that is wrong: all in front of it is sound so far, and
 * nothing behind it matters. */
static void check_refused_under(const char *name, struct slice in, enum http_status status,
                                const struct http_limits *under)
{
	static const char *const behind[] = { "\r\n\r\n", "\n\n", "x: y\r\n\r\n", " ", ":" };
	static char longer[INPUT_MAX];
	struct outcome o = parsed_under(name, in, under), more;

	if (o.result != HTTP_REFUSED)
		fail_msg("%s: result %d", name, o.result);
	if (o.refusal.status != status)
		fail_msg("%s: %d %s", name, o.refusal.status, o.refusal.why);
	if (o.seen != in.len)
		fail_msg("%s: refused after %zu of %zu bytes", name, o.seen, in.len);
	for (size_t i = 0; i < COUNT_OF(behind); i++) {
		struct buf all = BUF(longer);

		buf_put(&all, in);
		buf_str(&all, behind[i]);
		assert_false(all.full);
		more = feed(buf_slice(&all), all.len, 1, under);
		check_same(name, "with more behind it", i, &o, &more);
	}
}

static void check_refused(const char *name, struct slice in, enum http_status status)
{
	check_refused_under(name, in, status, &limits);
}

static void check_slice(const char *name, const char *what, struct slice have, const char *want)
{
	if (slice_given(have) != (want != NULL) ||
	    (want != NULL && !slice_eq(have, slice_of(want))))
		fail_msg("%s: %s is `%.*s`", name, what, (int)have.len, have.len ? have.ptr : "");
}

static void test_request_line(void **state)
{
	static const struct {
		const char *name, *in;
		enum http_method method;
		const char *path, *query, *host;
	} cases[] = {
		{ "H17 origin-form", GET "\r\n", HTTP_GET, "/", NULL, "a" },
		{ "H17 query", "GET /a/b?c=d?e HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/a/b", "c=d?e", "a" },
		{ "H17 empty query",
		  "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_GET, "/a", "", "a" },
		{ "H17 target of odd bytes", "GET /|\"{}<>\\^`;:@%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/|\"{}<>\\^`;:@%zz", NULL, "a" },
		{ "H17 absolute-form", "GET http://b:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/c", "d", "b:81" },
		{ "H17 absolute-form, capitals",
		  "GET HTTPS://B.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/", NULL, "B.example" },
		{ "H17 absolute-form, no path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/", NULL, "b" },
		{ "H17 absolute-form, query alone", "GET http://b?c/d HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/", "c/d", "b" },
		{ "H17 absolute-form, IPv6", "GET http://[::1]:8080/ HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/", NULL, "[::1]:8080" },
		{ "H17 absolute-form, 1.0 without Host", "GET http://b/ HTTP/1.0\r\n\r\n",
		  HTTP_GET, "/", NULL, "b" },
		{ "H17 a colon in the path", "GET /http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_GET, "/http://b", NULL, "a" },
		{ "H17 asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_OPTIONS, "*", NULL, "a" },
		{ "H17 asterisk of an unknown method", "M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_OTHER, "*", NULL, "a" },
		{ "H32 CONNECT", "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_CONNECT, NULL, NULL, "b:443" },
		{ "H32 TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_TRACE, "/", NULL, "a" },
		{ "H21 HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD, "/", NULL, "a" },
		{ "H21 POST", POST "\r\n", HTTP_POST, "/", NULL, "a" },
		{ "H21 PUT", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_PUT, "/", NULL, "a" },
		{ "H21 PATCH", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_PATCH, "/", NULL, "a" },
		{ "H21 DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_DELETE, "/", NULL, "a" },
		{ "H21 OPTIONS", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_OPTIONS, "/", NULL, "a" },
		{ "H21 small letters are another method", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_OTHER, "/", NULL, "a" },
		{ "H21 begins like a method", "GETS / HTTP/1.1\r\nHost: a\r\n\r\n",
		  HTTP_OTHER, "/", NULL, "a" },
		{ "H21 32 bytes of odd token", "!#$%&'*+-.^_`|~0123456789ABCDEFg / HTTP/1.1\r\n"
		  "Host: a\r\n\r\n", HTTP_OTHER, "/", NULL, "a" },
		{ "H29 one empty line in front", "\r\n" GET "\r\n", HTTP_GET, "/", NULL, "a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *name = cases[i].name;
		struct outcome o = parsed(name, slice_of(cases[i].in));
		const struct http_request *r = &o.request;

		if (o.result != HTTP_READY)
			fail_msg("%s: %s", name, o.result == HTTP_MORE ? "more" : o.refusal.why);
		if (r->method != cases[i].method)
			fail_msg("%s: method %d", name, r->method);
		check_slice(name, "path", r->path, cases[i].path);
		check_slice(name, "query", r->query, cases[i].query);
		check_slice(name, "host", r->host, cases[i].host);
		assert_int_equal(r->head_len, strlen(cases[i].in));
	}
}

static void test_version_and_connection(void **state)
{
	static const struct {
		const char *name, *in;
		int minor;
		bool keep_alive;
	} cases[] = {
		{ "1.1", GET "\r\n", 1, true },
		{ "1.0", "GET / HTTP/1.0\r\n\r\n", 0, false },
		{ "H19 1.2 is taken as 1.1", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 1, true },
		{ "H19 1.9 is taken as 1.1", "GET / HTTP/1.9\r\nHost: a\r\n\r\n", 1, true },
		{ "close", GET "Connection: close\r\n\r\n", 1, false },
		{ "capitals", GET "CONNECTION: CLOSE\r\n\r\n", 1, false },
		{ "close in a list", GET "Connection: te,\tclose , x\r\n\r\n", 1, false },
		{ "close in the second line", GET "Connection: te\r\nConnection: close\r\n\r\n",
		  1, false },
		{ "close in the first line", GET "Connection: close\r\nConnection: te\r\n\r\n",
		  1, false },
		{ "close wins", GET "Connection: keep-alive, close\r\n\r\n", 1, false },
		{ "closed is no close", GET "Connection: closed, xclose, clos\r\n\r\n", 1, true },
		{ "close of another field", GET "Proxy-Connection: close\r\n\r\n", 1, true },
		{ "empty", GET "Connection:\r\n\r\n", 1, true },
		{ "1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0, true },
		{ "1.0 keep-alive and close",
		  "GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
		  0, false },
		{ "1.0 keepalive", "GET / HTTP/1.0\r\nConnection: keepalive\r\n\r\n", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct outcome o = parsed(cases[i].name, slice_of(cases[i].in));

		if (o.result != HTTP_READY || o.request.minor != cases[i].minor ||
		    o.request.keep_alive != cases[i].keep_alive)
			fail_msg("%s", cases[i].name);
	}
}

static void test_framing(void **state)
{
	static const struct {
		const char *name, *in;
		bool chunked, expect_continue;
		uint64_t length;
	} cases[] = {
		{ "no body", POST "\r\n", false, false, 0 },
		{ "length", POST "Content-Length: 12\r\n\r\n", false, false, 12 },
		{ "length 0", POST "Content-Length: 0\r\n\r\n", false, false, 0 },
		{ "leading zeros", POST "Content-Length: 00000000000000000000000012\r\n\r\n",
		  false, false, 12 },
		{ "blanks around it", POST "Content-Length:\t 12 \t\r\n\r\n", false, false, 12 },
		{ "no blank", POST "content-length:12\r\n\r\n", false, false, 12 },
		{ "the most", POST "Content-Length: 65536\r\n\r\n", false, false, 65536 },
		{ "chunked", POST "Transfer-Encoding: chunked\r\n\r\n", true, false, 0 },
		{ "chunked, capitals", POST "TRANSFER-ENCODING:\tCHUNKED \r\n\r\n",
		  true, false, 0 },
		{ "H31 expect", POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
		  false, true, 1 },
		{ "H31 expect of 1.0 is ignored",
		  "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		  false, false, 1 },
		{ "H05 a longer name", POST "X-Transfer-Encoding: gzip\r\n\r\n", false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct outcome o = parsed(cases[i].name, slice_of(cases[i].in));
		const struct http_request *r = &o.request;

		if (o.result != HTTP_READY || r->chunked != cases[i].chunked ||
		    r->expect_continue != cases[i].expect_continue ||
		    r->content_length != cases[i].length ||
		    http_has_body(r) != (cases[i].chunked || cases[i].length > 0))
			fail_msg("%s", cases[i].name);
	}
}

static void test_incomplete(void **state)
{
	static const char *const cases[] = {
		"", "\r", "\r\n", "G", "GET", "GET ", "GET /", "GET / ", "GET / H", "GET / HTTP/1.",
		"GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n", GET, GET "X", GET "X:",
		GET "X: y", GET "X: y\r", GET "X: y\r\n", GET "X: y\r\n\r",
		POST "Transfer-Encoding: chunked\r\nContent-Length: 1", "GET foo HTTP/1.1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (parsed(cases[i], slice_of(cases[i])).result != HTTP_MORE)
			fail_msg("`%s`", cases[i]);
}

struct refused {
	const char *name;
	struct slice in;
	enum http_status status;
};

static void check_all_refused(const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_refused(cases[i].name, cases[i].in, cases[i].status);
}

static void test_refused_request_line(void **state)
{
	static const struct refused cases[] = {
		{ "H18 space in front",       TEXT(" "),                         400 },
		{ "H18 tab in front",         TEXT("\t"),                        400 },
		{ "H13 LF in front",          TEXT("\n"),                        400 },
		{ "H12 CR in front",          TEXT("\rG"),                       400 },
		{ "H29 two empty lines",      TEXT("\r\n\r"),                    400 },
		{ "H29 LF behind one",        TEXT("\r\n\n"),                    400 },
		{ "H29 space behind one",     TEXT("\r\n "),                     400 },
		{ "H29 TLS instead",          TEXT("\x16"),                      400 },
		{ "method of no token",       TEXT("GET:"),                      400 },
		{ "method with NUL",          TEXT("GE\0"),                      400 },
		{ "method with an umlaut",    TEXT("GE\xdc"),                    400 },
		{ "H18 tab behind method",    TEXT("GET\t"),                     400 },
		{ "H18 method alone",         TEXT("GET\r"),                     400 },
		{ "H18 method and LF",        TEXT("GET\n"),                     400 },
		{ "H18 two spaces",           TEXT("GET  "),                     400 },
		{ "H18 no target",            TEXT("GET \r"),                    400 },
		{ "H18 tab behind target",    TEXT("GET /\t"),                   400 },
		{ "H18 HTTP/0.9",             TEXT("GET /\r"),                   400 },
		{ "H18 HTTP/0.9, LF",         TEXT("GET /\n"),                   400 },
		{ "H18 no version",           TEXT("GET / \r"),                  400 },
		{ "H18 two spaces, version",  TEXT("GET /  "),                   400 },
		{ "H18 space in the target",  TEXT("GET /a b"),                  400 },
		{ "target with a fragment",   TEXT("GET /a#"),                   400 },
		{ "target with NUL",          TEXT("GET /\0"),                   400 },
		{ "target with DEL",          TEXT("GET /\x7f"),                 400 },
		{ "target with UTF-8",        TEXT("GET /\xc3"),                 400 },
		{ "H19 http/1.1",             TEXT("GET / h"),                   400 },
		{ "H19 another protocol",     TEXT("GET / I"),                   400 },
		{ "H19 HTTPS",                TEXT("GET / HTTPS"),               400 },
		{ "H19 no digit",             TEXT("GET / HTTP/a"),              400 },
		{ "H19 no minor",             TEXT("GET / HTTP/1\r"),            400 },
		{ "H19 no minor digit",       TEXT("GET / HTTP/1.\r"),           400 },
		{ "H19 comma",                TEXT("GET / HTTP/1,"),             400 },
		{ "H19 leading zero",         TEXT("GET / HTTP/01"),             400 },
		{ "H19 HTTP/1.32",            TEXT("GET / HTTP/1.32"),           400 },
		{ "H19 HTTP/2.0",             TEXT("GET / HTTP/2.0\r\n"),        505 },
		{ "H19 HTTP/0.9 said",        TEXT("GET / HTTP/0.9\r\n"),        505 },
		{ "H19 HTTP/9.9",             TEXT("GET / HTTP/9.9\r\n"),        505 },
		{ "H29 HTTP/2 preface",       TEXT("PRI * HTTP/2.0\r\n"),        505 },
		{ "H18 space behind version", TEXT("GET / HTTP/1.1 "),           400 },
		{ "H13 LF behind version",    TEXT("GET / HTTP/1.1\n"),          400 },
		{ "H12 CR behind version",    TEXT("GET / HTTP/1.1\rX"),         400 },
		{ "H12 two CR",               TEXT("GET / HTTP/1.1\r\r"),        400 },
		{ "no form",                  TEXT("GET foo HTTP/1.1\r\n"),      400 },
		{ "authority-form of GET",    TEXT("GET b:80 HTTP/1.1\r\n"),     400 },
		{ "asterisk of GET",          TEXT("GET * HTTP/1.1\r\n"),        400 },
		{ "two asterisks",            TEXT("OPTIONS ** HTTP/1.1\r\n"),   400 },
		{ "another scheme",           TEXT("GET ftp://b/ HTTP/1.1\r\n"), 400 },
		{ "scheme alone",             TEXT("GET http: HTTP/1.1\r\n"),    400 },
		{ "one slash",                TEXT("GET http:/b HTTP/1.1\r\n"),  400 },
		{ "no authority",             TEXT("GET http:// HTTP/1.1\r\n"),  400 },
		{ "no authority, path",       TEXT("GET http:///a HTTP/1.1\r\n"), 400 },
		{ "no authority, query",      TEXT("GET http://?a HTTP/1.1\r\n"), 400 },
		{ "H17 user",                 TEXT("GET http://u@b/ HTTP/1.1\r\n"), 400 },
		{ "H17 user and password",    TEXT("GET http://u:p@b/ HTTP/1.1\r\n"), 400 },
		{ "H17 user of digits",       TEXT("GET http://u:1@b/ HTTP/1.1\r\n"), 400 },
		{ "H17 empty user",           TEXT("GET http://@b/ HTTP/1.1\r\n"), 400 },
		{ "H17 bad port",             TEXT("GET http://b:x/ HTTP/1.1\r\n"), 400 },
		{ "H17 bad host",             TEXT("GET http://b\\c/ HTTP/1.1\r\n"), 400 },
		{ "H17 open bracket",         TEXT("GET http://[::1/ HTTP/1.1\r\n"), 400 },
		{ "CONNECT of a path",        TEXT("CONNECT / HTTP/1.1\r\n"),    400 },
		{ "CONNECT and a path",       TEXT("CONNECT b:443/ HTTP/1.1\r\n"), 400 },
		{ "CONNECT of a user",        TEXT("CONNECT u@b:443 HTTP/1.1\r\n"), 400 },
		{ "CONNECT of a URL",         TEXT("CONNECT http://b/ HTTP/1.1\r\n"), 400 },
	};

	(void)state;
	check_all_refused(cases, COUNT_OF(cases));
}

static void test_refused_field_line(void **state)
{
	static const struct refused cases[] = {
		{ "H09 space before colon",   TEXT(GET "X "),                    400 },
		{ "H09 tab before colon",     TEXT(GET "X\t"),                   400 },
		{ "H10 fold",                 TEXT(GET "X: y\r\n "),             400 },
		{ "H10 fold by tab",          TEXT(GET "X: y\r\n\t"),            400 },
		{ "H10 fold of an empty one", TEXT(GET "X:\r\n "),               400 },
		{ "H11 space before first",   TEXT("GET / HTTP/1.1\r\n "),       400 },
		{ "H11 tab before first",     TEXT("GET / HTTP/1.1\r\n\t"),      400 },
		{ "H12 CR in a value",        TEXT(GET "X: y\rz"),               400 },
		{ "H12 CR and colon",         TEXT(GET "X: y\r:"),               400 },
		{ "H12 two CR",               TEXT(GET "X: y\r\r"),              400 },
		{ "H12 CR in a name",         TEXT(GET "X\r"),                   400 },
		{ "H12 CR at the end",        TEXT(GET "\rZ"),                   400 },
		{ "H13 LF ends a value",      TEXT(GET "X: y\n"),                400 },
		{ "H13 LF ends a name",       TEXT(GET "X\n"),                   400 },
		{ "H13 LF ends the head",     TEXT(GET "\n"),                    400 },
		{ "H14 NUL",                  TEXT(GET "X: \0"),                 400 },
		{ "H14 VT",                   TEXT(GET "X:\v"),                  400 },
		{ "H14 FF in a long value",   TEXT(GET "X: 12345678901234567\f"), 400 },
		{ "H14 ESC behind UTF-8",     TEXT(GET "X: \xc3\xbc 45678901\x1b"), 400 },
		{ "H14 DEL",                  TEXT(GET "X: 1234567\x7f"),        400 },
		{ "H15 no name",              TEXT(GET ":"),                     400 },
		{ "H15 bracket",              TEXT(GET "X["),                    400 },
		{ "H15 brace",                TEXT(GET "{"),                     400 },
		{ "H15 slash",                TEXT(GET "/"),                     400 },
		{ "H15 UTF-8",                TEXT(GET "X\xc3"),                 400 },
		{ "H15 NUL",                  TEXT(GET "X\0"),                   400 },
		{ "H15 request line again",   TEXT(GET "GET "),                  400 },
		{ "H16 no Host",              TEXT("GET / HTTP/1.1\r\n\r\n"),    400 },
		{ "H16 no Host in 1.3",       TEXT("GET / HTTP/1.3\r\n\r\n"),    400 },
		{ "H16 other names",          TEXT("GET / HTTP/1.1\r\nHos: a\r\nXHost: a\r\n\r\n"),
		  400 },
		{ "H16 absolute, no Host",    TEXT("GET http://a/ HTTP/1.1\r\n\r\n"), 400 },
		{ "H16 absolute, bad Host",
		  TEXT("GET http://a/ HTTP/1.1\r\nHost: a@b\r\n"), 400 },
		{ "H16 two Hosts",            TEXT(GET "HOST: a\r\n"),           400 },
		{ "H16 two, 1.0",
		  TEXT("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n"), 400 },
		{ "H31 another expectation",  TEXT(POST "Expect: 200-ok\r\n\r\n"), 417 },
		{ "H31 empty expectation",    TEXT(POST "Expect:\r\n\r\n"),      417 },
		{ "H31 two expectations",     TEXT(POST "Expect: 100-continue, x\r\n\r\n"), 417 },
		{ "H31 no Host comes first",  TEXT("GET / HTTP/1.1\r\nExpect: x\r\n\r\n"), 400 },
		{ "H31 before H26",
		  TEXT(POST "Content-Length: 65537\r\nExpect: x\r\n\r\n"),       417 },
	};

	(void)state;
	check_all_refused(cases, COUNT_OF(cases));
}

static void test_refused_framing(void **state)
{
	static const struct refused cases[] = {
		{ "H01 both",
		  TEXT(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400 },
		{ "H01 both, the other way",
		  TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400 },
		{ "H01 and a length of 0",
		  TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400 },
		{ "H01 both, unknown coding",
		  TEXT(POST "Content-Length: 1\r\nTransfer-Encoding: gzip, chunked\r\n"), 400 },
		{ "H02 1.0", TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"), 400 },
		{ "H02 1.0, unknown coding",
		  TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n"), 400 },
		{ "H03 not the last",  TEXT(POST "Transfer-Encoding: chunked, gzip\r\n"), 400 },
		{ "H03 identity",      TEXT(POST "Transfer-Encoding: identity\r\n"),      400 },
		{ "H03 an empty last", TEXT(POST "Transfer-Encoding: chunked,\r\n"),      400 },
		{ "H04 gzip first",    TEXT(POST "Transfer-Encoding: gzip, chunked\r\n"), 501 },
		{ "H04 two first",     TEXT(POST "Transfer-Encoding: a,b,\tChunked\r\n"), 501 },
		{ "H04 an empty first", TEXT(POST "Transfer-Encoding: , chunked\r\n"),    501 },
		{ "H04 chunked twice",
		  TEXT(POST "Transfer-Encoding: chunked, chunked\r\n"),                   400 },
		{ "H04 chunked twice, gzip",
		  TEXT(POST "Transfer-Encoding: chunked, gzip, chunked\r\n"),             400 },
		{ "H04 two lines",
		  TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400 },
		{ "H04 two lines, one a list",
		  TEXT(POST "Transfer-Encoding: chunked\r\ntransfer-encoding: gzip\r\n"), 400 },
		{ "H05 longer",        TEXT(POST "Transfer-Encoding: xchunked\r\n"),      400 },
		{ "H05 twice in one",  TEXT(POST "Transfer-Encoding: chunkedchunked\r\n"), 400 },
		{ "H05 shorter",       TEXT(POST "Transfer-Encoding: chunke\r\n"),        400 },
		{ "H05 parameter",     TEXT(POST "Transfer-Encoding: chunked;q=1\r\n"),   400 },
		{ "H05 quoted",        TEXT(POST "Transfer-Encoding: \"chunked\"\r\n"),   400 },
		{ "H05 space inside",  TEXT(POST "Transfer-Encoding: chun ked\r\n"),      400 },
		{ "H05 empty",         TEXT(POST "Transfer-Encoding:\r\n"),               400 },
		{ "H05 NEL behind",    TEXT(POST "Transfer-Encoding: chunked\x85\r\n"),   400 },
		{ "H05 NBSP before",   TEXT(POST "Transfer-Encoding:\xa0" "chunked\r\n"), 400 },
		{ "H05 VT before",     TEXT(POST "Transfer-Encoding:\v"),                 400 },
		{ "H05 FF behind",     TEXT(POST "Transfer-Encoding: chunked\f"),         400 },
		{ "H05 NUL behind",    TEXT(POST "Transfer-Encoding: chunked\0"),         400 },
		{ "H06 plus",          TEXT(POST "Content-Length: +1\r\n"),               400 },
		{ "H06 minus",         TEXT(POST "Content-Length: -1\r\n"),               400 },
		{ "H06 space inside",  TEXT(POST "Content-Length: 1 1\r\n"),              400 },
		{ "H06 hexadecimal",   TEXT(POST "Content-Length: 0x1\r\n"),              400 },
		{ "H06 underscore",    TEXT(POST "Content-Length: 1_0\r\n"),              400 },
		{ "H06 fraction",      TEXT(POST "Content-Length: 1.0\r\n"),              400 },
		{ "H06 exponent",      TEXT(POST "Content-Length: 1e1\r\n"),              400 },
		{ "H06 empty",         TEXT(POST "Content-Length:\r\n"),                  400 },
		{ "H06 blank",         TEXT(POST "Content-Length: \t\r\n"),               400 },
		{ "H06 list",          TEXT(POST "Content-Length: 1,2\r\n"),              400 },
		{ "H06 NBSP",          TEXT(POST "Content-Length: 1\xa0\r\n"),            400 },
		{ "H06 2^63",          TEXT(POST "Content-Length: 9223372036854775808\r\n"), 400 },
		{ "H06 2^64",          TEXT(POST "Content-Length: 18446744073709551616\r\n"), 400 },
		{ "H06 10^30",
		  TEXT(POST "Content-Length: 1000000000000000000000000000000\r\n"),       400 },
		{ "H07 equal list",    TEXT(POST "Content-Length: 5, 5\r\n"),             400 },
		{ "H07 equal lines",
		  TEXT(POST "Content-Length: 5\r\nContent-length: 5\r\n"), 400 },
		{ "H08 differing",
		  TEXT(POST "Content-Length: 5\r\nContent-Length: 6\r\n"), 400 },
		{ "H26 one too many",  TEXT(POST "Content-Length: 65537\r\n\r\n"),        413 },
		{ "H26 2^63 - 1",
		  TEXT(POST "Content-Length: 9223372036854775807\r\n\r\n"), 413 },
	};

	(void)state;
	check_all_refused(cases, COUNT_OF(cases));
}

static void test_host(void **state)
{
	static const char *const sound[] = {
		"a", "A.Example", "a.", "a.b.c.", "a:80", "a:", "a:0", "a:65535", "a-b_c.d~", "1a",
		"1.2.3.4a", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:80", "[2001:DB8::1]:",
		"[::ffff:192.0.2.1]", "a%41b", "!$&'()*+,;=", "0.0.0.0=5000",
	};
	static const char *const broken[] = {
		"", ":", ":80", "a b", "a\tb", "a:x", "a:65536", "a:-1", "a:+1", "a:80:80",
		"a:80 80",
		"a/", "a/b", "a?b", "a#b", "u@a", "@", "http://a", "[", "[]", "]", "[::1", "::1",
		"[::1]x", "[::1]80", "[::1]:x", "[g::1]", "[::1::]", "[::1%25eth0]", "[v1.a]",
		"[1.2.3.4]",
		"[::1]' UNION SELECT '/", "[::1]/../", ".", "..", ".a", "a..b", "a..", "../a",
		"192.168.2", "192.168.2:80", "1", "1.2.3.256", "1.2.3.4.5", "1.2.3.4.", "01.2.3.4",
		"a%", "a%4", "a%zz", "%", "a\"b", "a<b", "a\\b", "a^b", "a|b", "a\xc3\xbc", "{a}",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sound); i++) {
		struct outcome o;

		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\t\r\n\r\n", sound[i]);
		o = parsed(sound[i], slice_of(text));
		if (o.result != HTTP_READY)
			fail_msg("H16 `%s` is refused", sound[i]);
		check_slice("H16", "host", o.request.host, sound[i]);
		check_slice("H16", "field", o.request.field[HTTP_HOST], sound[i]);
	}
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n", broken[i]);
		check_refused(broken[i], slice_of(text), 400);
		snprintf(text, sizeof text, "GET / HTTP/1.0\r\nHost: %s\r\n", broken[i]);
		check_refused(broken[i], slice_of(text), 400);
	}
}

/* Every field, in other capitals than the parser's, and what of two lines holds. */
static const struct {
	const char *name;
	enum http_field field;
	const char *first, *second, *kept;      /* kept: NULL where the second is refused */
} fields[] = {
	{ "Host",              HTTP_HOST,              "a",            "a",            NULL },
	{ "Content-Length",    HTTP_CONTENT_LENGTH,    "1",            "1",            NULL },
	{ "TRANSFER-ENCODING", HTTP_TRANSFER_ENCODING, "chunked",      "chunked",      NULL },
	{ "Connection",        HTTP_CONNECTION,        "te",           "upgrade",      "te" },
	{ "Expect",            HTTP_EXPECT,            "100-continue", "100-continue", NULL },
	{ "UPGRADE",           HTTP_UPGRADE,           "h2c",          "websocket",    "h2c" },
	{ "Content-Type",      HTTP_CONTENT_TYPE,      "text/plain",   "text/html",    NULL },
	{ "accept",            HTTP_ACCEPT,            "text/a",       "*/*",          "text/a" },
	{ "Authorization",     HTTP_AUTHORIZATION,     "key",          "Bearer x",     NULL },
	{ "X-API-Key",         HTTP_X_API_KEY,         "",             "key",          NULL },
	{ "x-dw-client-id",    HTTP_X_DW_CLIENT_ID,    "",             "client",       NULL },
	{ "session-id",        HTTP_SESSION_ID,        "SID:ANON:a:b", "SID:ANON:a:b", NULL },
	{ "X-Forwarded-For",   HTTP_X_FORWARDED_FOR,   "::1",          "::2",          "::1" },
	{ "X-Forwarded-Host",  HTTP_X_FORWARDED_HOST,  "b",            "c",            NULL },
	{ "X-Forwarded-Proto", HTTP_X_FORWARDED_PROTO, "https",        "http",         NULL },
	{ "X-Forwarded-Method", HTTP_X_FORWARDED_METHOD, "PUT",        "PUT",          NULL },
	{ "X-Forwarded-Uri",   HTTP_X_FORWARDED_URI,   "/a",           "/b",           NULL },
	{ "x-original-uri",    HTTP_X_ORIGINAL_URI,    "/a",           "/a",           NULL },
	{ "X-Original-URL",    HTTP_X_ORIGINAL_URL,    "http://a/",    "/a",           NULL },
	{ "COOKIE",            HTTP_COOKIE,            "a=1",          "b=2",          "a=1" },
	{ "Origin",            HTTP_ORIGIN,            "http://a",     "http://b",     NULL },
	{ "sec-fetch-site",    HTTP_SEC_FETCH_SITE,    "none",         "none",         NULL },
	{ "X-CsrfToken",       HTTP_X_CSRFTOKEN,       "t",            "t",            NULL },
	{ "IF-Match",          HTTP_IF_MATCH,          "*",            "\"a\"",      NULL },
	{ "Idempotency-key",   HTTP_IDEMPOTENCY_KEY,   "k",            "k",            NULL },
	{ "access-Control-Request-Method", HTTP_ACCESS_CONTROL_REQUEST_METHOD,
	                                               "PUT",          "GET",          "PUT" },
	{ "X-DW-HTTP-Method-Override", HTTP_X_DW_HTTP_METHOD_OVERRIDE,
	                                               "PUT",          "PUT",          NULL },
	{ "x-dw-resource-state", HTTP_X_DW_RESOURCE_STATE, "",         "not_exists",   NULL },
};
static_assert(COUNT_OF(fields) == HTTP_FIELDS, "a new http_field needs its line in fields");

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		const char *host = fields[i].field == HTTP_HOST ? "" : "Host: a\r\n";
		const char *name = fields[i].name;
		struct outcome o;
		char text[512];

		assert_int_equal(fields[i].field, i);
		snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s%s: \t%s \r\n\r\n", host, name,
		         fields[i].first);
		o = parsed(name, slice_of(text));
		assert_int_equal(o.result, HTTP_READY);
		for (size_t f = 0; f < HTTP_FIELDS; f++)
			if (f == i)
				check_slice(name, "value", o.request.field[f], fields[i].first);
			else if (f != HTTP_HOST)
				check_slice(name, "another", o.request.field[f], NULL);

		snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s%s: %s\r\nx: y\r\n%s: %s\r\n",
		         host, name, fields[i].first, name, fields[i].second);
		if (fields[i].kept == NULL) {
			check_refused(name, slice_of(text), 400);
			continue;
		}
		snprintf(text + strlen(text), 3, "\r\n");
		o = parsed(name, slice_of(text));
		assert_int_equal(o.result, HTTP_READY);
		check_slice(name, "kept", o.request.field[i], fields[i].kept);
	}
}

/* A backend that spells names as CGI does must not see a known field where we saw none. */
static void test_underscore(void **state)
{
	char text[512], name[64];
	size_t tried = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		snprintf(name, sizeof name, "%s", fields[i].name);
		for (char *dash = name; (dash = strchr(dash, '-')) != NULL; tried++) {
			*dash = '_';
			snprintf(text, sizeof text, GET "%s: %s\r\n", name, fields[i].first);
			check_refused(name, slice_of(text), 400);
		}
	}
	assert_int_equal(tried, 38);
	snprintf(text, sizeof text, GET "x_y: z\r\n_session-id: a\r\nsession__id: b\r\n\r\n");
	assert_int_equal(parsed("others", slice_of(text)).result, HTTP_READY);
}

static void check_unknown(const char *name)
{
	char text[128];
	struct outcome o;

	snprintf(text, sizeof text, GET "%s: ?\r\n\r\n", name);
	o = feed(slice_of(text), strlen(text), 1, &limits);
	if (o.result != HTTP_READY)
		fail_msg("%s is %s", name, o.refusal.why);
	for (size_t f = HTTP_HOST + 1; f < HTTP_FIELDS; f++)
		check_slice(name, "a field", o.request.field[f], NULL);
}

/* A name that differs in one byte, or is longer or shorter by one, is another name. */
static void test_near_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		size_t len = strlen(fields[i].name);
		char name[64];

		for (size_t at = 0; at < len; at++) {
			snprintf(name, sizeof name, "%s", fields[i].name);
			name[at] = '~';
			check_unknown(name);
			name[at] = fields[i].name[at] == '-' ? '.' : '_';
			check_unknown(name);
		}
		snprintf(name, sizeof name, "%sx", fields[i].name);
		check_unknown(name);
		name[len - 1] = '\0';
		check_unknown(name);
		snprintf(name, sizeof name, "x%s", fields[i].name);
		check_unknown(name);
	}
}

static bool is_token(int c)
{
	return c > 0 && c < 0x80 && (strchr("!#$%&'*+-.^_`|~", c) != NULL ||
	                             (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	                             (c >= 'a' && c <= 'z'));
}

/* Every byte at every place of a known name, behind which the input ends soon or goes on: it is
 * that name where the byte is its letter, small or capital, refused where it stands for a hyphen
 * or no name has it, else another name. */
static void check_byte_of_name(size_t i, size_t at, int c, const char *behind)
{
	char text[256], *name = text + sizeof GET - 1;
	int want = tolower(fields[i].name[at]);
	bool same = tolower(c) == want, refused = (c == '_' && want == '-') || !is_token(c);
	struct slice in = { text, (size_t)snprintf(text, sizeof text, GET "%s:%s\r\n%s",
	                                           fields[i].name, fields[i].first, behind) };
	struct outcome o;

	name[at] = (char)c;
	o = feed(in, in.len, 1, &limits);
	if ((o.result == HTTP_REFUSED) != refused)
		fail_msg("%s: byte %d at %zu is %s", fields[i].name, c, at,
		         refused ? "taken" : "refused");
	if (!refused && slice_given(o.request.field[i]) != same)
		fail_msg("%s: byte %d at %zu", fields[i].name, c, at);
}

static void test_bytes_of_names(void **state)
{
	(void)state;
	for (size_t i = HTTP_HOST + 1; i < COUNT_OF(fields); i++)
		for (size_t at = 0; fields[i].name[at] != '\0'; at++)
			for (int c = 0; c < 256; c++) {
				if (c == ':')   /* a shorter name */
					continue;
				check_byte_of_name(i, at, c, "\r\n");
				check_byte_of_name(i, at, c, "another: field, not: this\r\n\r\n");
			}
}

static bool is_host(int c)
{
	return c > 0 && c < 0x80 && (strchr("-._~!$&'()*+,;=", c) != NULL ||
	                             (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	                             (c >= 'a' && c <= 'z'));
}

/* Puts every byte at the `%` of `frame`, and compares with what may stand there. */
static void check_bytes(const char *name, const char *frame, const char *also,
                        bool (*allowed)(int c))
{
	char text[256];
	size_t at = strcspn(frame, "%");

	for (int c = 0; c < 256; c++) {
		bool want = allowed(c) || (c != 0 && strchr(also, c) != NULL);
		struct slice in = { text, strlen(frame) };
		struct outcome o;

		memcpy(text, frame, in.len);
		text[at] = (char)c;
		o = feed(in, in.len, 1, &limits);
		if ((o.result == HTTP_READY) != want)
			fail_msg("%s: byte %d is %s", name, c, want ? "refused" : "taken");
	}
}

static bool is_target(int c)
{
	return c > ' ' && c < 0x7f && c != '#';
}

static bool is_value(int c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static void test_bytes(void **state)
{
	(void)state;
	check_bytes("method", "G%T / HTTP/1.1\r\nHost: a\r\n\r\n", "", is_token);
	check_bytes("target", "GET /% HTTP/1.1\r\nHost: a\r\n\r\n", "", is_target);
	check_bytes("target, first of eight",
	            "GET /1234567%9012345 HTTP/1.1\r\nHost: a\r\n\r\n", "", is_target);
	check_bytes("target, last of eight",
	            "GET /123456%89012345 HTTP/1.1\r\nHost: a\r\n\r\n", "", is_target);
	check_bytes("H15 name", GET "a%b: c\r\n\r\n", ":", is_token);
	check_bytes("H14 value", GET "a: %\r\n\r\n", "", is_value);
	check_bytes("H14 value, first of eight", GET "a:%23456789\r\n\r\n", "", is_value);
	check_bytes("H14 value, last of eight", GET "a:1234567%9012\r\n\r\n", "", is_value);
	check_bytes("H14 value, behind UTF-8", GET "a:\xff%3456789\r\n\r\n", "", is_value);
	check_bytes("H16 host", "GET / HTTP/1.1\r\nHost: a%1\r\n\r\n", ":", is_host);
}

/* Hosts of letters, digits, hyphens and dots are judged eight bytes at a step where no port is
 * behind them: with one, byte by byte, the verdict is the same. */
static void test_hosts_alike(void **state)
{
	static const char often[] = "abcXYZ019-..", seldom[] = "/;@[`{_%~*\x80 \n";
	uint32_t seed = 1;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 300000; i++) {
		char text[40];
		size_t len = 1 + (size_t)i % 30;
		struct slice host = { text, len };

		for (size_t at = 0; at < len; at++) {
			seed = seed * 1664525 + 1013904223;
			text[at] = often[(seed >> 24) % (sizeof often - 1)];
			if ((seed >> 16) % 64 == 0)
				text[at] = seldom[(seed >> 24) % (sizeof seldom - 1)];
		}
		memcpy(text + len, ":80", 3);
		if (http_is_authority(guarded(host)) !=
		    http_is_authority((struct slice){ text, len + 3 }))
			fail_msg("`%.*s`", (int)len, text);
	}
}

static char long_text[INPUT_MAX];

/* The text with its `%` made `len` bytes of `fill`. */
static struct slice lengthened(const char *frame, char fill, size_t len)
{
	struct buf all = BUF(long_text);
	struct slice rest = slice_of(frame);

	buf_put(&all, slice_cut(&rest, '%'));
	for (size_t i = 0; i < len; i++)
		buf_char(&all, fill);
	buf_put(&all, rest);
	assert_false(all.full);
	return buf_slice(&all);
}

static void test_limits(void **state)
{
	static const struct http_limits small = {
		.max_head = 100, .max_target = 20, .max_headers = 3, .max_body = 10
	};
	static const char target[] = "GET /% HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char value[] = GET "x: %\r\n\r\n";
	const size_t value_max = 100 - (sizeof value - 2);
	struct slice in;

	(void)state;
	in = lengthened(target, 'a', 19);
	assert_int_equal(parsed_under("H20 target", in, &small).result, HTTP_READY);
	check_refused_under("H20 target", lengthened("GET /%", 'a', 20), 414, &small);
	check_refused_under("H20 target, bad at once", lengthened("GET /%\x01", 'a', 20 - 1), 400,
	                    &small);
	in = lengthened("% / HTTP/1.1\r\nHost: a\r\n\r\n", 'A', HTTP_METHOD_MAX);
	assert_int_equal(parsed_under("H21 method", in, &small).result, HTTP_READY);
	check_refused_under("H21 method", lengthened("%", 'A', HTTP_METHOD_MAX + 1), 501, &small);

	in = lengthened(value, 'a', value_max);
	assert_int_equal(in.len, 100);
	assert_int_equal(parsed_under("H20 head", in, &small).result, HTTP_READY);
	in = lengthened(value, 'a', value_max + 1);
	check_refused_under("H20 head, at its last byte", in, 431, &small);
	check_refused_under("H20 head, in a value", lengthened(GET "x: %", 'a', 73), 431, &small);
	check_refused_under("H20 head, in a name", lengthened(GET "%", 'a', 76), 431, &small);
	in = lengthened("\r\n" GET "x: %\r\n\r\n", 'a', value_max - 1);
	check_refused_under("H20 the empty line counts", in, 431, &small);

	in = SLICE(GET "b: 1\r\nc: 2\r\n\r\n");
	assert_int_equal(parsed_under("H20 fields", in, &small).result, HTTP_READY);
	check_refused_under("H20 fields", SLICE(GET "b: 1\r\nc: 2\r\nd"), 431, &small);
	in = SLICE(POST "Content-Length: 10\r\n\r\n");
	assert_int_equal(parsed_under("H26 body", in, &small).result, HTTP_READY);
	check_refused_under("H26 body", SLICE(POST "Content-Length: 11\r\n\r\n"), 413, &small);
}

/* A real limit, dripped byte by byte: judged from the start of its line, never further. */
static void test_largest_head(void **state)
{
	struct slice in = lengthened(GET "x: %\r\n\r\n", 'a', 8192 - sizeof(GET "x: \r\n\r\n") + 1);
	struct outcome o;

	(void)state;
	assert_int_equal(in.len, 8192);
	o = feed(in, 0, 1, &limits);
	assert_int_equal(o.result, HTTP_READY);
	assert_int_equal(o.request.head_len, 8192);
	in = lengthened(GET "x: %\r\n\r\n", 'a', 8192 - sizeof(GET "x: \r\n\r\n") + 2);
	o = feed(in, 0, 1, &limits);
	assert_int_equal(o.result, HTTP_REFUSED);
	assert_int_equal(o.refusal.status, 431);
}

/* What follows the head is the body's or the next request's. */
static void test_pipelined(void **state)
{
	static const char both[] = GET "\r\n" "\r\n" "HEAD /b HTTP/1.1\r\nHost: c\r\n\r\n";
	struct slice in = guarded(SLICE(both));
	struct http_refusal refusal;
	struct http_request r;

	(void)state;
	http_request_init(&r);
	assert_int_equal(http_parse(&r, in, &limits, &refusal), HTTP_READY);
	assert_int_equal(r.head_len, sizeof(GET "\r\n") - 1);
	in = slice_skip(in, r.head_len);
	http_request_init(&r);
	assert_int_equal(http_parse(&r, in, &limits, &refusal), HTTP_READY);
	assert_int_equal(r.method, HTTP_HEAD);
	assert_int_equal(r.head_len, in.len);
}

struct body {
	enum http_result result;
	struct http_refusal refusal;
	char bytes[256];
	struct buf data;
	size_t taken;                   /* bytes of the input */
};

/* Feeds each piece from memory of its own: a chunked body need not stay where it was. */
static void feed_chunked(struct body *b, struct slice in, size_t first, size_t step,
                         const struct http_limits *under, size_t cap)
{
	struct http_chunked c = { 0 };

	*b = (struct body){ .result = HTTP_MORE };
	b->data = (struct buf){ b->bytes, 0, cap, false };
	for (size_t from = 0, to = first; from < in.len; from = to, to += step) {
		struct slice piece;

		if (to > in.len)
			to = in.len;
		piece = guarded((struct slice){ in.ptr + from, to - from });
		b->result = http_chunked_feed(&c, &piece, &b->data, under, &b->refusal);
		b->taken = to - piece.len;
		if (b->result != HTTP_MORE)
			return;
		assert_int_equal(piece.len, 0);
	}
}

static void check_same_body(const char *name, size_t cut, const struct body *a,
                            const struct body *b)
{
	if (a->result != b->result || a->taken != b->taken ||
	    a->refusal.status != b->refusal.status || a->refusal.why != b->refusal.why ||
	    !slice_eq(buf_slice(&a->data), (struct slice){ b->bytes, b->data.len }))
		fail_msg("%s, cut at %zu: result %d after %zu", name, cut, b->result, b->taken);
}

static void decoded_under(struct body *whole, const char *name, struct slice in,
                          const struct http_limits *under, size_t cap)
{
	struct body split;

	feed_chunked(whole, in, in.len, 1, under, cap);
	feed_chunked(&split, in, 1, 1, under, cap);
	check_same_body(name, 0, whole, &split);
	for (size_t cut = 1; cut < in.len; cut++) {
		feed_chunked(&split, in, cut, in.len, under, cap);
		check_same_body(name, cut, whole, &split);
	}
}

static void test_chunked(void **state)
{
	static const struct {
		const char *name, *in, *data, *behind;
	} cases[] = {
		{ "nothing", "0\r\n\r\n", "", "" },
		{ "one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", "" },
		{ "two chunks", "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", "hello world", "" },
		{ "hexadecimal", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
		  "01234567890123456789a", "" },
		{ "H22 sixteen digits", "0000000000000005\r\nhello\r\n0000\r\n\r\n", "hello", "" },
		{ "data like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", "" },
		{ "the next request", "1\r\na\r\n0\r\n\r\nGET /", "a", "GET /" },
		{ "H24 extension", "5;a\r\nhello\r\n0;b\r\n\r\n", "hello", "" },
		{ "H24 value", "5;a=b\r\nhello\r\n0;c=0\r\n\r\n", "hello", "" },
		{ "H24 several", "5;a=b;c;0=d\r\nhello\r\n0\r\n\r\n", "hello", "" },
		{ "H24 quoted", "5;a=\"b;=:\\\"\\\\ \t\xff/\"\r\nhello\r\n0\r\n\r\n", "hello", "" },
		{ "H24 empty quoted", "5;a=\"\";b=\"\"\r\nhello\r\n0\r\n\r\n", "hello", "" },
		/* Blanks of the grammar, which a recipient has to take (RFC 9112, 7.1.1). */
		{ "H24 blanks",
		  "5 ;\ta \t= b\t; c=\"d\" ;e ;f\r\nhello\r\n0 ; g\r\n\r\n", "hello", "" },
		{ "H25 trailers",
		  "1\r\na\r\n0\r\nVary: *\r\nSession-Id: SID:AUTH:a:b\r\nContent-Length: 9\r\n"
		  "Host: [\r\ntransfer_encoding:\r\n!: \" \\ ; = \xff\t\r\n\r\n", "a", "" },
	};
	struct body whole;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice in = slice_of(cases[i].in);

		decoded_under(&whole, cases[i].name, in, &limits, sizeof whole.bytes);
		if (whole.result != HTTP_READY)
			fail_msg("%s: result %d", cases[i].name, whole.result);
		check_slice(cases[i].name, "data", buf_slice(&whole.data), cases[i].data);
		check_slice(cases[i].name, "behind", slice_skip(in, whole.taken), cases[i].behind);
	}
}

/* As check_refused(): the last byte decides, and is not taken. */
static void check_chunked_refused(const char *name, struct slice in, enum http_status status,
                                  const struct http_limits *under, size_t cap)
{
	struct body whole;

	decoded_under(&whole, name, in, under, cap);
	if (whole.result != HTTP_REFUSED)
		fail_msg("%s: result %d", name, whole.result);
	if (whole.refusal.status != status)
		fail_msg("%s: %d %s", name, whole.refusal.status, whole.refusal.why);
	if (whole.taken != in.len - 1)
		fail_msg("%s: refused after %zu of %zu bytes", name, whole.taken, in.len);
}

static void test_refused_chunked(void **state)
{
	static const struct refused cases[] = {
		{ "H22 no size",            TEXT("\r"),                        400 },
		{ "H22 LF alone",           TEXT("\n"),                        400 },
		{ "H22 hexadecimal prefix", TEXT("0x"),                        400 },
		{ "H22 plus",               TEXT("+"),                         400 },
		{ "H22 minus",              TEXT("-"),                         400 },
		{ "H22 space in front",     TEXT(" "),                         400 },
		{ "H22 underscore",         TEXT("1_"),                        400 },
		{ "H22 no digit",           TEXT("g"),                         400 },
		{ "H22 extension alone",    TEXT(";"),                         400 },
		{ "H22 17 digits",          TEXT("00000000000000001"),         400 },
		{ "H22 17 digits, large",   TEXT("fffffffffffffffff"),         400 },
		{ "H22 2^64 - 1",           TEXT("ffffffffffffffff\r"),        413 },
		{ "H22 2^64 - 1, second",   TEXT("1\r\na\r\nffffffffffffffff\r"), 413 },
		{ "H22 2^64 - 1, ext",      TEXT("ffffffffffffffff;"),         413 },
		{ "space behind the size",  TEXT("5 \r"),                      400 },
		{ "space inside the size",  TEXT("5 5"),                       400 },
		{ "H23 LF behind the size", TEXT("5\n"),                       400 },
		{ "H23 CR behind the size", TEXT("5\rh"),                      400 },
		{ "H23 two CR",             TEXT("5\r\r"),                     400 },
		{ "H23 data too long",      TEXT("5\r\nhellow"),               400 },
		{ "H23 LF behind data",     TEXT("5\r\nhello\n"),              400 },
		{ "H23 CR behind data",     TEXT("5\r\nhello\r0"),             400 },
		{ "H23 no last chunk",      TEXT("3\r\nfoo\r\n\r"),            400 },
		{ "H23 LF in an extension", TEXT("5;a\n"),                     400 },
		{ "H23 LF in a value",      TEXT("5;a=b\n"),                   400 },
		{ "H23 LF in a string",     TEXT("5;a=\"\n"),                  400 },
		{ "H23 LF behind a string", TEXT("5;a=\"\"\n"),                400 },
		{ "H23 LF behind a blank",  TEXT("5 ;a \n"),                   400 },
		{ "H24 no name",            TEXT("5;\r"),                      400 },
		{ "H24 no second name",     TEXT("5;a;;"),                     400 },
		{ "H24 value of no name",   TEXT("5;="),                       400 },
		{ "H24 no value",           TEXT("5;a=\r"),                    400 },
		{ "H24 no value, next",     TEXT("5;a=;"),                     400 },
		{ "H24 two values",         TEXT("5;a=b="),                    400 },
		{ "H24 two words",          TEXT("5;a b"),                     400 },
		{ "H24 blank at the end",   TEXT("5;a \r"),                    400 },
		{ "H24 blank behind value", TEXT("5;a=b \r"),                  400 },
		{ "H24 open string",        TEXT("5;a=\"b\r"),                 400 },
		{ "H24 open escape",        TEXT("5;a=\"\\\r"),                400 },
		{ "H24 NUL in a string",    TEXT("5;a=\"\0"),                  400 },
		{ "H24 behind a string",    TEXT("5;a=\"b\"c"),                400 },
		{ "H24 string as a name",   TEXT("5;\""),                      400 },
		{ "H24 UTF-8 in a name",    TEXT("5;\xc3"),                    400 },
		{ "H25 LF ends the body",   TEXT("0\r\n\n"),                   400 },
		{ "H25 CR ends the body",   TEXT("0\r\n\rG"),                  400 },
		{ "H25 trailer, no name",   TEXT("0\r\n:"),                    400 },
		{ "H25 trailer, space",     TEXT("0\r\nX "),                   400 },
		{ "H25 trailer, no colon",  TEXT("0\r\nX\r"),                  400 },
		{ "H25 trailer, LF",        TEXT("0\r\nX: y\n"),               400 },
		{ "H25 trailer, CR",        TEXT("0\r\nX: y\rz"),              400 },
		{ "H25 trailer, NUL",       TEXT("0\r\nX: \0"),                400 },
		{ "H25 trailer, fold",      TEXT("0\r\nX: y\r\n "),            400 },
		{ "H25 a chunk again",      TEXT("0\r\n5\r"),                  400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_chunked_refused(cases[i].name, cases[i].in, cases[i].status, &limits, 256);
}

static void test_chunked_limits(void **state)
{
	static const struct http_limits small = {
		.max_head = 30, .max_target = 20, .max_headers = 3, .max_body = 10
	};
	const struct slice ten = SLICE("4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n");
	struct slice in;
	struct body whole;

	(void)state;
	decoded_under(&whole, "H26 max_body", ten, &small, 256);
	assert_int_equal(whole.result, HTTP_READY);
	decoded_under(&whole, "H26 cap", ten, &limits, 10);
	assert_int_equal(whole.result, HTTP_READY);
	check_chunked_refused("H26 max_body", SLICE("b\r"), 413, &small, 256);
	check_chunked_refused("H26 cap", SLICE("b\r"), 413, &limits, 10);
	check_chunked_refused("H26 sum", SLICE("4\r\n0123\r\n7\r"), 413, &small, 256);
	check_chunked_refused("H26 sum, cap", SLICE("4\r\n0123\r\n7;"), 413, &limits, 10);
	in = SLICE("a\r\n0123456789\r\n1\r");
	check_chunked_refused("H26 nothing more", in, 413, &small, 256);

	/* The `;` counts, and all chunks together. */
	decoded_under(&whole, "H24 extensions", lengthened("0;%\r\n\r\n", 'a', 1023), &limits, 256);
	assert_int_equal(whole.result, HTTP_READY);
	check_chunked_refused("H24 extensions", lengthened("0;%", 'a', 1024), 413, &limits, 256);
	check_chunked_refused("H24 blanks count", lengthened("0%", ' ', 1025), 413, &limits, 256);
	check_chunked_refused("H24 quoted", lengthened("0;a=\"%", 'a', 1021), 413, &limits, 256);
	in = lengthened("0;a=\"%\"", 'a', 1020);
	check_chunked_refused("H24 closing quote", in, 413, &limits, 256);
	in = lengthened("1;b\r\na\r\n0;%", 'a', 1022);
	check_chunked_refused("H24 of two chunks", in, 413, &limits, 256);

	/* All lines behind the last chunk, with the empty one. */
	decoded_under(&whole, "H25 bytes", lengthened("0\r\nx: %\r\n\r\n", 'a', 23), &small, 256);
	assert_int_equal(whole.result, HTTP_READY);
	in = lengthened("0\r\nx: %\r\n\r\n", 'a', 24);
	check_chunked_refused("H25 bytes", in, 431, &small, 256);
	check_chunked_refused("H25 in a name", lengthened("0\r\n%", 'a', 31), 431, &small, 256);
	decoded_under(&whole, "H25 fields", SLICE("0\r\na:\r\nb:\r\nc:\r\n\r\n"), &small, 256);
	assert_int_equal(whole.result, HTTP_READY);
	check_chunked_refused("H25 fields", SLICE("0\r\na:\r\nb:\r\nc:\r\nd"), 431, &small, 256);
}

static void test_path_decode(void **state)
{
	static const struct {
		const char *name, *in, *out;    /* out: NULL where it is refused */
	} cases[] = {
		{ "root", "/", "/" },
		{ "plain", "/api/login/", "/api/login/" },
		{ "no slash at the end", "/resolve", "/resolve" },
		{ "escapes", "/%61pi/l%6Fgin%2f", NULL },
		{ "letters", "/%61pi/l%6Fg%6f", "/api/logo" },
		{ "once", "/a%2541", "/a%41" },
		{ "plus is no space", "/a+b%20c", "/a+b c" },
		{ "UTF-8", "/%C3%bc", "/\xc3\xbc" },
		{ "CR and LF are bytes", "/%0d%0a", "/\r\n" },
		{ "three dots", "/...", "/..." },
		{ "dots within", "/a..b/.c", "/a..b/.c" },
		{ "H36 empty", "", NULL },
		{ "H36 no slash", "a", NULL },
		{ "H36 asterisk", "*", NULL },
		{ "H36 two slashes", "//", NULL },
		{ "H36 two slashes in front", "//a", NULL },
		{ "H36 two slashes inside", "/a//b", NULL },
		{ "H36 two slashes at the end", "/a//", NULL },
		{ "H36 encoded slash", "/a%2Fb", NULL },
		{ "H36 encoded NUL", "/a%00", NULL },
		{ "H36 dot", "/.", NULL },
		{ "H36 dot inside", "/a/./b", NULL },
		{ "H36 encoded dot", "/%2e", NULL },
		{ "H36 two dots", "/..", NULL },
		{ "H36 two dots inside", "/a/../b", NULL },
		{ "H36 encoded dots", "/%2E%2e/a", NULL },
		{ "H36 one dot encoded", "/.%2e", NULL },
		{ "H36 no digits", "/a%", NULL },
		{ "H36 one digit", "/a%4", NULL },
		{ "H36 bad digits", "/a%4g", NULL },
		{ "H36 bad digit first", "/a%g4/", NULL },
		{ "H36 digits behind a slash", "/a%4/1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char room[64];
		struct buf out = BUF(room);
		bool sound = http_path_decode(guarded(slice_of(cases[i].in)), &out);

		if (sound != (cases[i].out != NULL))
			fail_msg("%s", cases[i].name);
		if (sound)
			check_slice(cases[i].name, "path", buf_slice(&out), cases[i].out);
	}
	for (size_t cap = 0; cap < 10; cap++) {
		char room[16];
		struct buf out = { room, 0, cap, false };

		assert_int_equal(http_path_decode(SLICE("/a%41/bcd/e"), &out), cap >= 9);
	}
}

static void test_form(void **state)
{
	static const char text[] = "a=b&&c&d=&=e&f=g=h&%41+=%2b+%zz%4&";
	static const char *const pairs[][2] = {
		{ "a", "b" }, { "c", NULL }, { "d", "" }, { "", "e" }, { "f", "g=h" },
		{ "%41+", "%2b+%zz%4" },
	};
	struct slice rest = guarded(SLICE(text)), name, value;
	char room[32];
	struct buf out = BUF(room);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		assert_true(http_form_next(&rest, &name, &value));
		check_slice("form", "name", name, pairs[i][0]);
		check_slice("form", "value", value, pairs[i][1]);
	}
	http_form_decode(name, &out);
	check_slice("form", "decoded name", buf_slice(&out), "A ");
	out.len = 0;
	http_form_decode(value, &out);
	check_slice("form", "decoded value", buf_slice(&out), "+ %zz%4");
	assert_false(http_form_next(&rest, &name, &value));
	rest = (struct slice){ 0 };
	assert_false(http_form_next(&rest, &name, &value));
	rest = SLICE("&&");
	assert_false(http_form_next(&rest, &name, &value));

	out.len = 0;
	http_form_decode(SLICE("%00%f0"), &out);
	assert_true(slice_eq(buf_slice(&out), SLICE("\0\xf0")));
	out = (struct buf){ room, 0, 2, false };
	http_form_decode(SLICE("a%41b"), &out);
	assert_true(out.full);
}

/* Cookie lines, and what is found of `sid` in them (requirements K05 to K07). */
static void test_cookies(void **state)
{
	static const struct {
		const char *lines;
		uint32_t found;
		const char *value;
	} cases[] = {
		{ "", 0, NULL },
		{ "Cookie: sid=a\r\n", 1, "a" },
		{ "cookie: sid=a\r\n", 1, "a" },
		{ "Cookie: x=1; sid=a; y=2\r\n", 1, "a" },
		{ "Cookie: x=1;sid=a;y=2\r\n", 1, "a" },
		{ "Cookie: x=1 ;\t sid \t=\t a \t; y=2\r\n", 1, "a" },
		{ "Cookie: sid=a;\r\n", 1, "a" },
		{ "Cookie: ;;; sid=a\r\n", 1, "a" },
		{ "Cookie: sid=a=b==\r\n", 1, "a=b==" },
		{ "Cookie: sid=\"a\"\r\n", 1, "\"a\"" },
		{ "Cookie: sid=a b,c\r\n", 1, "a b,c" },
		{ "Cookie: sid=\xc3\xa4\r\n", 1, "\xc3\xa4" },
		{ "Cookie: sid=%61\r\n", 1, "%61" },
		{ "Cookie: sid=\r\n", 1, "" },
		{ "Cookie: x=1\r\nCookie: sid=a\r\n", 1, "a" },
		{ "Cookie:\r\nCookie: sid=a\r\n", 1, "a" },
		{ "Cookie: sid=a; sid=b\r\n", 2, "a" },
		{ "Cookie: sid=a; sid=a; sid=a\r\n", 3, "a" },
		{ "Cookie: sid=a\r\nCookie: sid=b\r\n", 2, "a" },
		{ "Cookie: sid=; sid=b\r\n", 2, "" },
		{ "Cookie: SID=a\r\n", 0, NULL },
		{ "Cookie: Sid=a; siD=b\r\n", 0, NULL },
		{ "Cookie: sid\r\n", 0, NULL },
		{ "Cookie: sid; x=1\r\n", 0, NULL },
		{ "Cookie: =sid=a\r\n", 0, NULL },
		{ "Cookie: =a\r\n", 0, NULL },
		{ "Cookie: \"sid\"=a\r\n", 0, NULL },
		{ "Cookie: xsid=a; sidx=b; si=c; s id=d\r\n", 0, NULL },
		{ "Cookie: x=sid=a\r\n", 0, NULL },
		{ "Cookie: x=\"; sid=a\"\r\n", 1, "a\"" },
		{ "Cookie: x=1, sid=a\r\n", 0, NULL },
		{ "X-Cookie: sid=a\r\n", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice value = { 0 };
		struct outcome o;
		char text[512];

		snprintf(text, sizeof text, GET "%s\r\n", cases[i].lines);
		o = parsed(cases[i].lines, slice_of(text));
		assert_int_equal(o.result, HTTP_READY);
		if (http_cookie_find(&o.request, SLICE("sid"), &value) != cases[i].found)
			fail_msg("found in %s", cases[i].lines);
		check_slice(cases[i].lines, "value", value, cases[i].value);
	}
}

/* Fifty pairs of one request are looked at; with more, none counts: a second cookie of the
 * name might hide behind them (requirement K06). */
static void test_cookie_limits(void **state)
{
	static char text[2048];
	size_t len;

	(void)state;
	for (int others = 0; others < 60; others++) {
		struct slice value;
		struct outcome o;

		for (int first = 0; first < 2; first++) {
			len = (size_t)snprintf(text, sizeof text, GET "Cookie: %s",
			                       first ? "sid=a" : "x=1");
			for (int i = 1; i < others; i++)
				len += (size_t)snprintf(text + len, sizeof text - len, "; x=%d", i);
			snprintf(text + len, sizeof text - len, "%s\r\n\r\n",
			         first ? "; x" : "; sid=a");
			o = parsed("many", slice_of(text));
			assert_int_equal(http_cookie_find(&o.request, SLICE("sid"), &value),
			                 (others > 1 ? others : 1) < 50 ? 1 : 0);
		}
	}
	len = (size_t)snprintf(text, sizeof text, GET);
	for (int lines = 1; lines <= HTTP_COOKIE_LINES_MAX + 1; lines++) {
		len += (size_t)snprintf(text + len, sizeof text - len, "Cookie: x=%d\r\n", lines);
		snprintf(text + len, sizeof text - len, "\r\n");
		if (lines <= HTTP_COOKIE_LINES_MAX)
			assert_int_equal(parsed("lines", slice_of(text)).request.cookie_lines,
			                 lines);
	}
	text[len] = '\0';
	check_refused("Cookie lines", slice_of(text), 431);
}

/* All lines are kept, in their order; one more than there may be is refused. */
static void test_forwarded_lines(void **state)
{
	char text[1024], value[8];
	size_t len = (size_t)snprintf(text, sizeof text, GET);
	struct outcome o;

	(void)state;
	for (uint32_t lines = 1; lines <= HTTP_FORWARDED_LINES_MAX; lines++) {
		snprintf(value, sizeof value, "::%u", lines);
		len += (size_t)snprintf(text + len, sizeof text - len, "x-forwarded-for: %s\r\n",
		                        value);
		snprintf(text + len, sizeof text - len, "\r\n");
		o = parsed(value, slice_of(text));
		assert_int_equal(o.request.forwarded_lines, lines);
		check_slice(value, "first", o.request.forwarded[0], "::1");
		check_slice(value, "last", o.request.forwarded[lines - 1], value);
	}
	snprintf(text + len, sizeof text - len, "X-Forwarded-For: ::\r\n");
	check_refused("one more", slice_of(text), 431);
}

static void test_target_split(void **state)
{
	static const struct {
		const char *in, *scheme, *authority, *uri;      /* uri NULL: none */
	} cases[] = {
		{ "/",                 NULL,    NULL,     "/" },
		{ "//a/../b?c=/&d",    NULL,    NULL,     "//a/../b?c=/&d" },
		{ "http://a/",         "http",  "a",      "/" },
		{ "HTTPS://a.b:1/c?d", "HTTPS", "a.b:1",  "/c?d" },
		{ "http://[::1]/",     "http",  "[::1]",  "/" },
		{ "",                  NULL,    NULL,     NULL },
		{ "*",                 NULL,    NULL,     NULL },
		{ "a",                 NULL,    NULL,     NULL },
		{ "?a",                NULL,    NULL,     NULL },
		{ "a:80",              NULL,    NULL,     NULL },
		{ "http:/a/",          NULL,    NULL,     NULL },
		{ "http:///a",         NULL,    NULL,     NULL },
		{ "http://a",          NULL,    NULL,     NULL },
		{ "http://a?b",        NULL,    NULL,     NULL },
		{ "http://a b/",       NULL,    NULL,     NULL },
		{ "http://u@a/",       NULL,    NULL,     NULL },
		{ "ws://a/",           NULL,    NULL,     NULL },
		{ "/a b",              NULL,    NULL,     NULL },
		{ "/a\tb",             NULL,    NULL,     NULL },
		{ "/a#b",              NULL,    NULL,     NULL },
		{ "/\x80",             NULL,    NULL,     NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct http_target t;
		bool split = http_target_split(slice_of(cases[i].in), &t);

		if (split != (cases[i].uri != NULL))
			fail_msg("%s", cases[i].in);
		if (!split)
			continue;
		check_slice(cases[i].in, "scheme", t.scheme, cases[i].scheme);
		check_slice(cases[i].in, "authority", t.authority, cases[i].authority);
		check_slice(cases[i].in, "uri", t.uri, cases[i].uri);
	}
	assert_false(http_target_split((struct slice){ 0 }, &(struct http_target){ 0 }));
	assert_true(http_is_token(SLICE("M-SEARCH")));
	assert_false(http_is_token(SLICE("")) || http_is_token(SLICE("a b")) ||
	             http_is_token(SLICE("a:")));
	assert_true(http_is_authority(SLICE("a.test:80")));
	assert_false(http_is_authority(SLICE("")) || http_is_authority(SLICE("a, b")) ||
	             http_is_authority(SLICE("a..b")));
}

static void test_host_name(void **state)
{
	static const char *const cases[][2] = {
		{ "a", "a" }, { "a:80", "a" }, { "a:", "a" }, { "", "" }, { ":80", "" },
		{ "[::1]", "[::1]" }, { "[::1]:80", "[::1]" }, { "[::1", "[::1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_slice(cases[i][0], "name", http_host_name(guarded(slice_of(cases[i][0]))),
		            cases[i][1]);
}

static void test_reason(void **state)
{
	(void)state;
	assert_string_equal(http_reason(HTTP_OK), "OK");
	assert_string_equal(http_reason(HTTP_FIELDS_TOO_LARGE), "Request Header Fields Too Large");
	assert_string_equal(http_reason(HTTP_INSUFFICIENT_STORAGE), "Insufficient Storage");
	assert_string_equal(http_reason((enum http_status)0), "Unknown");
	assert_string_equal(http_reason((enum http_status)299), "Unknown");
	assert_string_equal(http_reason((enum http_status)508), "Unknown");
	assert_string_equal(http_reason((enum http_status)-1), "Unknown");
}

static void check_date(uint64_t now_s, const char *want)
{
	char date[HTTP_DATE_LEN];

	http_date(date, now_s);
	check_slice("date", want, (struct slice){ date, sizeof date }, want);
}

/* Against the C library's calendar; the first two from RFC 9110, section 5.6.7, and time(). */
static void test_date(void **state)
{
	char text[64];

	(void)state;
	check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
	check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
	for (uint64_t day = 0; day < 200 * 366; day++) {
		time_t now = (time_t)(day * 86400 + day % 86400);
		struct tm tm;

		assert_non_null(gmtime_r(&now, &tm));
		assert_true(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
		check_date((uint64_t)now, text);
	}
}

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void test_response(void **state)
{
	static const struct {
		const char *name;
		enum http_status status;
		bool close, head_only, keep_alive, http10;
		const char *out;
	} cases[] = {
		{ "200", HTTP_OK, false, false, true, false,
		  "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nA: b\r\nContent-Length: 4\r\n\r\nbody" },
		{ "404, closes", HTTP_NOT_FOUND, true, false, true, false,
		  "HTTP/1.1 404 Not Found\r\nDate: " DATE "\r\nA: b\r\nContent-Length: 4\r\n"
		  "Connection: close\r\n\r\nbody" },
		{ "closed by the client", HTTP_OK, false, false, false, true,
		  "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nA: b\r\nContent-Length: 4\r\n"
		  "Connection: close\r\n\r\nbody" },
		{ "1.0 kept", HTTP_OK, false, false, true, true,
		  "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nA: b\r\nContent-Length: 4\r\n"
		  "Connection: keep-alive\r\n\r\nbody" },
		{ "H30 HEAD", HTTP_OK, false, true, true, false,
		  "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nA: b\r\nContent-Length: 4\r\n\r\n" },
		{ "H30 100", HTTP_CONTINUE, false, false, true, false,
		  "HTTP/1.1 100 Continue\r\nDate: " DATE "\r\nA: b\r\n\r\n" },
		{ "H30 204", HTTP_NO_CONTENT, false, false, true, false,
		  "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\nA: b\r\n\r\n" },
		{ "H30 204 to HEAD, closes", HTTP_NO_CONTENT, true, true, true, false,
		  "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\nA: b\r\n"
		  "Connection: close\r\n\r\n" },
		{ "H30 304", HTTP_NOT_MODIFIED, false, false, true, false,
		  "HTTP/1.1 304 Not Modified\r\nDate: " DATE "\r\nA: b\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char fields_room[16], body_room[16], room[256], whole_room[256];
		size_t len = strlen(cases[i].out);
		struct http_response r = { .fields = BUF(fields_room), .body = BUF(body_room) };
		struct http_framing framing = { cases[i].head_only, cases[i].keep_alive,
		                                cases[i].http10, DATE, 0 };
		struct buf out = { room, 3, len + 3, false }, whole = BUF(whole_room);
		struct slice rest = { 0 };

		memcpy(room, "...", 3);
		http_response_reset(&r);
		r.status = cases[i].status;
		r.close = cases[i].close;
		http_field_put(&r, "A", SLICE("b"));
		buf_lit(&r.body, "body");
		assert_true(http_response_write(&out, &r, &framing));
		check_slice(cases[i].name, "out", slice_skip(buf_slice(&out), 3), cases[i].out);

		for (size_t cap = 3; cap < len + 3; cap++) {
			out = (struct buf){ room, 3, cap, false };
			assert_false(http_response_write(&out, &r, &framing));
			assert_int_equal(out.len, 3);
			assert_false(out.full);
		}
		for (size_t cap = 3; cap <= len + 3; cap++) {
			out = (struct buf){ room, 3, cap, false };
			if (http_response_write_head(&out, &r, &framing, &rest)) {
				buf_put(&whole, buf_slice(&out));
				buf_put(&whole, rest);
				break;
			}
			assert_int_equal(out.len, 3);
			assert_false(out.full);
		}
		check_slice(cases[i].name, "head, then body", slice_skip(buf_slice(&whole), 3),
		            cases[i].out);
	}
}

/* RFC 6797, section 6.1; also where the answer itself was too long. */
static void test_response_hsts(void **state)
{
	static const struct http_framing framing = { .keep_alive = true, .date = DATE,
		                                     .hsts_s = UINT32_MAX };
	char fields_room[16], body_room[16], room[512];
	struct http_response r = { .fields = BUF(fields_room), .body = BUF(body_room) };
	struct buf out = BUF(room);

	(void)state;
	http_response_reset(&r);
	r.status = HTTP_NO_CONTENT;
	assert_true(http_response_write(&out, &r, &framing));
	check_slice("hsts", "out", buf_slice(&out),
	            "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\n"
	            "Strict-Transport-Security: max-age=4294967295\r\n\r\n");
	out.len = 0;
	r.body.full = true;
	assert_true(http_response_write(&out, &r, &framing));
	assert_true(out.len < HTTP_FRAME_MAX + 160);
	assert_non_null(memmem(room, out.len, "Strict-Transport-Security: ", 27));
}

static void test_response_broken(void **state)
{
	static const char bare[] =
		"HTTP/1.1 500 Internal Server Error\r\nDate: " DATE "\r\n"
		"Content-Type: application/problem+json\r\nContent-Length: 103\r\n"
		"Connection: close\r\n\r\n"
		"{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500,"
		"\"detail\":\"The answer was too long.\"}";
	static const struct http_framing framing = { .keep_alive = true, .date = DATE };
	char fields_room[16], body_room[4], room[512];
	struct http_response r = { .fields = BUF(fields_room), .body = BUF(body_room) };
	struct buf out = BUF(room);

	(void)state;
	for (int c = 0; c < 256; c++) {
		char value[] = { 'b', (char)c, 'd' };

		http_response_reset(&r);
		r.status = HTTP_OK;
		http_field_put(&r, "A", (struct slice){ value, sizeof value });
		if (http_response_full(&r) == is_value(c))
			fail_msg("H34 byte %d is %s", c, is_value(c) ? "refused" : "written");
	}
	assert_false(http_response_full(&r));
	http_field_put(&r, "B", SLICE("x\r\nSet-Cookie: y"));
	http_field_put(&r, "C", SLICE("z"));
	assert_true(http_response_full(&r));
	assert_true(http_response_write(&out, &r, &framing));
	check_slice("H34 line break", "out", buf_slice(&out), bare);

	out.len = 0;
	http_response_reset(&r);
	r.status = HTTP_NO_CONTENT;
	http_field_lit(&r, "A-long-name: 0123456789");
	assert_true(http_response_write(&out, &r, &framing));
	check_slice("long fields", "out", buf_slice(&out), bare);

	out.len = 0;
	http_response_reset(&r);
	r.status = HTTP_OK;
	buf_lit(&r.body, "body");
	assert_false(http_response_full(&r));
	buf_lit(&r.body, "!");
	assert_true(http_response_write(&out, &r, &framing));
	check_slice("long body", "out", buf_slice(&out), bare);

	http_response_reset(&r);
	assert_int_equal(r.status, HTTP_INTERNAL_ERROR);
	http_field_put(&r, "A", (struct slice){ 0 });
	check_slice("empty value", "fields", buf_slice(&r.fields), "A: \r\n");
	assert_false(http_response_full(&r));
}

static void test_path_match(void **state)
{
	static const struct {
		const char *pattern, *path, *first, *second;    /* first NULL: no match */
	} cases[] = {
		{ "/a/",        "/a/",          "",     "" },
		{ "/a/*/",      "/a/b/",        "b",    "" },
		{ "/a/*/b/*/",  "/a/1/b/22/",   "1",    "22" },
		{ "/a/*",       "/a/b",         "b",    "" },
		{ "*",          "x",            "x",    "" },
		{ "/a/*/",      "/a/*/",        "*",    "" },
		{ "/a/*/",      "/a/ /",        " ",    "" },
		{ "/a/",        "/a",           NULL,   NULL },
		{ "/a",         "/a/",          NULL,   NULL },
		{ "/a/",        "/A/",          NULL,   NULL },
		{ "/a/",        "a/",           NULL,   NULL },
		{ "/a/",        "",             NULL,   NULL },
		{ "/a/*/",      "/a//",         NULL,   NULL },
		{ "/a/*/",      "/a/",          NULL,   NULL },
		{ "/a/*/",      "/a/b",         NULL,   NULL },
		{ "/a/*/",      "/a/b/c/",      NULL,   NULL },
		{ "/a/*/",      "/a/b//",       NULL,   NULL },
		{ "/a/*/b/",    "/a/1/c/",      NULL,   NULL },
		{ "/a/x*/",     "/a/xy/",       NULL,   NULL },
		{ "/a/*/b/*/",  "/a/1/b/",      NULL,   NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct slice args[2] = { SLICE(""), SLICE("") };
		bool match = http_path_match(slice_of(cases[i].path), cases[i].pattern, args);

		if (match != (cases[i].first != NULL))
			fail_msg("%s of %s", cases[i].path, cases[i].pattern);
		if (match && !(slice_eq(args[0], slice_of(cases[i].first)) &&
		               slice_eq(args[1], slice_of(cases[i].second))))
			fail_msg("%s of %s: segments", cases[i].path, cases[i].pattern);
	}
}

static void test_accepts(void **state)
{
	static const struct {
		const char *accept;
		bool json;
	} cases[] = {
		{ "", true }, { " \t", true }, { "*/*", true }, { "application/*", true },
		{ "application/json", true }, { "APPLICATION/Json", true },
		{ "application/json; indent=4", true }, { "text/plain, application/json", true },
		{ "text/html,application/xhtml+xml,*/*;q=0.8", true },
		{ "application/json;q=0.001", true }, { "application/json ; Q = 1", true },
		{ "application/json;q=1;q=0", true }, { "*/*;q=0, application/json", true },
		{ "application/*;q=0, application/json;q=0.1, */*;q=0", true },
		{ "application/json;q=", true }, { ",,application/json", true },
		{ "application/json;profile=q", true },
		{ "text/plain", false }, { "text/*", false }, { "application/xml", false },
		{ "application", false }, { "application/", false }, { "/json", false },
		{ "/*", false }, { "*", false }, { "*/json", false },
		{ "application/jsonx", false },
		{ "application/json+ld", false }, { "application/ *", false }, { ",", false },
		{ ";q=1", false }, { "xapplication/json", false }, { "applicatio/*", false },
		{ "application/json;q=0", false }, { "application/json;q=0.000", false },
		{ "application/json; q=0", false }, { "application/json;v=1;Q=0.0", false },
		{ "*/*;q=0", false }, { "*/*, application/json;q=0", false },
		{ "application/json;q=0, */*", false }, { "application/*;q=0, */*", false },
		{ "*/*, application/*;q=0", false }, { "text/html, application/json;q=0", false },
	};

	(void)state;
	assert_true(http_accepts((struct slice){ 0 }, "application/json"));
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (http_accepts(slice_of(cases[i].accept), "application/json") != cases[i].json)
			fail_msg("Accept: %s", cases[i].accept);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_line),
		cmocka_unit_test(test_version_and_connection),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_refused_request_line),
		cmocka_unit_test(test_refused_field_line),
		cmocka_unit_test(test_refused_framing),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_underscore),
		cmocka_unit_test(test_near_names),
		cmocka_unit_test(test_bytes_of_names),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hosts_alike),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_largest_head),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_refused_chunked),
		cmocka_unit_test(test_chunked_limits),
		cmocka_unit_test(test_path_decode),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_cookie_limits),
		cmocka_unit_test(test_forwarded_lines),
		cmocka_unit_test(test_target_split),
		cmocka_unit_test(test_host_name),
		cmocka_unit_test(test_path_match),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_response_hsts),
		cmocka_unit_test(test_response_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
