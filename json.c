/* json.c -- see json.h. */
#include <assert.h>
#include <stdalign.h>
#include <stdio.h>

#include "json.h"

/* The most that Jansson 2.14 takes from an arena that gets nothing back. For a value: an
 * empty object (208 bytes), its place as a member (72), its part of a hash table that was
 * doubled up to it (64), and rounding up. For a byte of text: a member's name twice, and
 * four times the longest token, which is read into a buffer that doubles. */
#define VALUE_BYTES  384
#define TEXT_COPIES  6
#define ARENA_BYTES  ((size_t)JSON_VALUES_MAX * VALUE_BYTES + (size_t)JSON_TEXT_MAX * TEXT_COPIES)

#define TEXT_OF(number)  #number
#define DIGITS_OF(macro) TEXT_OF(macro)

#define END (-1)        /* the byte behind the last one */

/* A walk over the text, which stops at the first thing that is wrong. */
struct scan {
	struct slice text;
	size_t at;              /* the next byte */
	size_t token;           /* where the latest string or number began */
	size_t values, values_max;
	unsigned depth;         /* containers open */
	uint32_t objects;       /* which of them are objects, the innermost in the lowest bit */
	const char *fault;
	size_t fault_at;
};
static_assert(JSON_DEPTH_MAX <= 32, "scan.objects has a bit for each level");

static const struct {
	const char *text;
	bool number;    /* which Python's json reads, and JSON does not have */
} literals[] = {
	{ "null",      false },
	{ "true",      false },
	{ "false",     false },
	{ "NaN",       true  },
	{ "Infinity",  true  },
	{ "-Infinity", true  },
};

static alignas(max_align_t) char arena[ARENA_BYTES];
static size_t arena_used;

static void *arena_get(size_t size)
{
	size_t units = (size + alignof(max_align_t) - 1) / alignof(max_align_t);
	void *block = arena + arena_used;

	if (units > (sizeof arena - arena_used) / alignof(max_align_t))
		return NULL;
	arena_used += units * alignof(max_align_t);
	return block;
}

static void arena_keep(void *block)
{
	(void)block;
}

static bool fail(struct scan *s, const char *fault, size_t at)
{
	s->fault = fault;
	s->fault_at = at;
	return false;
}

static int byte_at(const struct scan *s, size_t at)
{
	return at < s->text.len ? (unsigned char)s->text.ptr[at] : END;
}

static int peek(const struct scan *s)
{
	return byte_at(s, s->at);
}

static void skip_blanks(struct scan *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
		s->at++;
}

static bool scan_utf8(struct scan *s)
{
	size_t len;

	for (size_t at = 0; at < s->text.len; at += len) {
		len = slice_utf8_len(slice_skip(s->text, at));
		if (len == 0)
			return fail(s, "Invalid UTF-8", at);
	}
	if (slice_starts(s->text, SLICE("\xef\xbb\xbf")))
		return fail(s, "Unexpected UTF-8 BOM (decode using utf-8-sig)", 0);
	return true;
}

/* Reads `uXXXX`, at its "u". */
static bool scan_code_unit(struct scan *s, unsigned *unit)
{
	size_t at = s->at;

	*unit = 0;
	if (s->text.len - at <= 5)
		return fail(s, "Invalid \\uXXXX escape", at);
	for (s->at++; s->at < at + 5; s->at++) {
		int digit = byte_hex((char)peek(s));

		if (digit < 0)
			return fail(s, "Invalid \\uXXXX escape", at);
		*unit = *unit << 4 | (unsigned)digit;
	}
	return true;
}

/* A character outside the first 65,536 takes two escapes (RFC 8259, section 7). */
static bool scan_character(struct scan *s)
{
	size_t start = s->at - 1;
	unsigned high, low = 0;

	if (!scan_code_unit(s, &high))
		return false;
	if (high < 0xd800 || high > 0xdfff)
		return true;
	if (high < 0xdc00 && peek(s) == '\\' && byte_at(s, s->at + 1) == 'u') {
		s->at++;
		if (!scan_code_unit(s, &low))
			return false;
	}
	if (low < 0xdc00 || low > 0xdfff)
		return fail(s, "Unpaired surrogate escape at", start);
	return true;
}

static bool scan_escape(struct scan *s)
{
	size_t start = s->at++;

	switch (peek(s)) {
	case END:
		return fail(s, "Unterminated string starting at", s->token);
	case 'u':
		return scan_character(s);
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		s->at++;
		return true;
	}
	return fail(s, "Invalid \\escape", start);
}

static bool scan_string(struct scan *s)
{
	int c;

	s->token = s->at++;
	while ((c = peek(s)) != '"') {
		if (c == END)
			return fail(s, "Unterminated string starting at", s->token);
		if (c < ' ')
			return fail(s, "Invalid control character at", s->at);
		if (c != '\\')
			s->at++;
		else if (!scan_escape(s))
			return false;
	}
	s->at++;
	return true;
}

static size_t count_digits(const struct scan *s, size_t at)
{
	size_t n = 0;

	while (byte_at(s, at + n) >= '0' && byte_at(s, at + n) <= '9')
		n++;
	return n;
}

/* The longest number from here, as Python takes it: of `01` it is the `0`, and the `1` is
 * then what is wrong (RFC 8259, section 6). */
static bool scan_number(struct scan *s)
{
	size_t at = s->at, digits;

	at += byte_at(s, at) == '-';
	digits = byte_at(s, at) == '0' ? 1 : count_digits(s, at);
	if (digits == 0)
		return fail(s, "Expecting value", s->at);
	at += digits;
	if (byte_at(s, at) == '.' && (digits = count_digits(s, at + 1)) > 0)
		at += 1 + digits;
	if (byte_at(s, at) == 'e' || byte_at(s, at) == 'E') {
		size_t sign = byte_at(s, at + 1) == '+' || byte_at(s, at + 1) == '-';

		if ((digits = count_digits(s, at + 1 + sign)) > 0)
			at += 1 + sign + digits;
	}
	s->token = s->at;
	s->at = at;
	return true;
}

static bool scan_scalar(struct scan *s)
{
	if (peek(s) == END)
		return fail(s, "Expecting value", s->at);
	if (peek(s) == '"')
		return scan_string(s);
	for (size_t i = 0; i < COUNT_OF(literals); i++) {
		struct slice text = slice_of(literals[i].text);

		if (!slice_starts(slice_skip(s->text, s->at), text))
			continue;
		if (literals[i].number)
			return fail(s, "Out of range float values are not JSON compliant", s->at);
		s->at += text.len;
		return true;
	}
	return scan_number(s);
}

/* A member's name and its colon. */
static bool scan_name(struct scan *s)
{
	if (peek(s) != '"')
		return fail(s, "Expecting property name enclosed in double quotes", s->at);
	if (!scan_string(s))
		return false;
	skip_blanks(s);
	if (peek(s) != ':')
		return fail(s, "Expecting ':' delimiter", s->at);
	s->at++;
	skip_blanks(s);
	return true;
}

static int closing(const struct scan *s)
{
	return s->objects & 1 ? '}' : ']';
}

/* Opens containers down to the first scalar, or to one that is empty. */
static bool scan_down(struct scan *s)
{
	for (;;) {
		int c = peek(s);

		if (++s->values > s->values_max)
			return fail(s, "Too many values", s->at);
		if (c != '{' && c != '[')
			return scan_scalar(s);
		if (++s->depth > JSON_DEPTH_MAX)
			return fail(s, "More than " DIGITS_OF(JSON_DEPTH_MAX) " levels", s->at);
		s->objects = s->objects << 1 | (c == '{');
		s->at++;
		skip_blanks(s);
		if (peek(s) == closing(s))
			return true;
		if (c == '{' && !scan_name(s))
			return false;
	}
}

/* Closes the containers that end behind a value, up to a comma and what goes with it. */
static bool scan_up(struct scan *s)
{
	for (; s->depth > 0; s->depth--, s->objects >>= 1) {
		skip_blanks(s);
		if (peek(s) == ',') {
			s->at++;
			skip_blanks(s);
			return closing(s) == ']' || scan_name(s);
		}
		if (peek(s) != closing(s))
			return fail(s, "Expecting ',' delimiter", s->at);
		s->at++;
	}
	return true;
}

static bool scan_document(struct scan *s)
{
	skip_blanks(s);
	do {
		if (!scan_down(s) || !scan_up(s))
			return false;
	} while (s->depth > 0);
	skip_blanks(s);
	return s->at == s->text.len || fail(s, "Extra data", s->at);
}

/* What Jansson refuses in a text that the scan let pass. The scan of the part that it has
 * read ends with the token that it did not take. */
static void name_refusal(struct scan *s, const json_error_t *refusal)
{
	struct scan part = { .text = { s->text.ptr, (size_t)refusal->position },
	                     .values_max = s->values_max };
	enum json_error_code code = json_error_code(refusal);

	scan_document(&part);
	if (code == json_error_duplicate_key)
		fail(s, "Duplicate property name", part.token);
	else if (code == json_error_null_byte_in_key)
		fail(s, "Null character in property name", part.token);
	else if (code == json_error_numeric_overflow)
		fail(s, "Number out of range", part.token);
	else
		fail(s, "Out of memory", part.token);
}

/* Positions are counted in characters, as Python counts them. */
static void explain(const struct scan *s, char error[JSON_ERROR_MAX])
{
	size_t line = 1, column = 1, character = 0;

	for (size_t i = 0; i < s->fault_at; i++) {
		if (((unsigned char)s->text.ptr[i] & 0xc0) == 0x80)
			continue;
		character++;
		column++;
		if (s->text.ptr[i] == '\n') {
			line++;
			column = 1;
		}
	}
	(void)snprintf(error, JSON_ERROR_MAX, "%s: line %zu column %zu (char %zu)", s->fault,
	               line, column, character);
}

void json_seed(uint32_t random)
{
	json_object_seed(random);
}

/* How many values there is room for, beside the text and what is in the arena already. */
static size_t values_room(struct slice text)
{
	size_t room = sizeof arena - arena_used, taken = text.len * TEXT_COPIES;

	return room > taken ? (room - taken) / VALUE_BYTES : 0;
}

/* As json_parse(), beside what is in the arena already. */
static json_t *load(struct slice text, char error[JSON_ERROR_MAX])
{
	struct scan s = { .text = text, .values_max = values_room(text) };
	json_error_t refusal;
	json_t *root = NULL;

	if (text.len > JSON_TEXT_MAX)
		fail(&s, "More than " DIGITS_OF(JSON_TEXT_MAX) " bytes", JSON_TEXT_MAX);
	else if (scan_utf8(&s) && scan_document(&s)) {
		json_set_alloc_funcs(arena_get, arena_keep);
		root = json_loadb(text.ptr, text.len,
		                  JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
		                  &refusal);
		if (root == NULL)
			name_refusal(&s, &refusal);
	}
	if (root == NULL)
		explain(&s, error);
	return root;
}

json_t *json_parse(struct slice text, char error[JSON_ERROR_MAX])
{
	arena_used = 0;
	return load(text, error);
}

/* RFC 7396, section 2; as deep as the patch, which the scan has limited. */
static bool merge(json_t *target, json_t *patch)        /* NOLINT(misc-no-recursion) */
{
	const char *name;
	json_t *value;

	json_object_foreach(patch, name, value) {
		json_t *old = json_object_get(target, name);

		if (json_is_null(value)) {
			json_object_del(target, name);
		} else if (json_is_object(value)) {
			if (!json_is_object(old)) {
				old = json_object();
				if (json_object_set(target, name, old) != 0)
					return false;
			}
			if (!merge(old, value))
				return false;
		} else if (json_object_set(target, name, value) != 0) {
			return false;
		}
	}
	return true;
}

static int put_text(const char *text, size_t len, void *out)
{
	buf_put(out, (struct slice){ text, len });
	return 0;
}

bool json_merge_patch(struct buf *out, struct slice target, struct slice patch,
                      char error[JSON_ERROR_MAX])
{
	json_t *into = json_parse(target, error);
	json_t *from = into != NULL ? load(patch, error) : NULL;

	if (from == NULL)
		return false;
	if (!json_is_object(into) || !json_is_object(from)) {
		(void)snprintf(error, JSON_ERROR_MAX, "Expecting an object");
		return false;
	}
	if (merge(into, from) && json_dump_callback(into, put_text, out, JSON_COMPACT) == 0)
		return true;
	(void)snprintf(error, JSON_ERROR_MAX, "Out of memory");
	return false;
}

static void put_escape(struct buf *out, char c)
{
	static const char byte[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *hit = memchr(byte, c, sizeof byte - 1);

	buf_char(out, '\\');
	if (hit != NULL) {
		buf_char(out, letter[hit - byte]);
	} else {
		buf_lit(out, "u00");
		buf_hex(out, (struct slice){ &c, 1 });
	}
}

/* How many bytes at the front stand for themselves: visible ASCII and blanks, but quotes and
 * backslashes. */
static size_t plain_len(struct slice s)
{
	size_t i = 0;

	for (; s.len - i >= 8; i += 8) {
		uint64_t w = word_at(s.ptr + i);
		uint64_t plain = word_within(w, ' ', '~') & ~word_within(w, '"', '"') &
		                 ~word_within(w, '\\', '\\');

		if (plain != WORD_HIGHS)
			return i + word_first(plain ^ WORD_HIGHS);
	}
	while (i < s.len && s.ptr[i] >= ' ' && s.ptr[i] <= '~' && s.ptr[i] != '"' &&
	       s.ptr[i] != '\\')
		i++;
	return i;
}

/* Goes over `c` and blanks around it, of which there are mostly none. */
static bool take_mark(struct slice *rest, char c)
{
	struct scan s = { .text = *rest };

	if (rest->len > 1 && rest->ptr[0] == c && rest->ptr[1] > ' ') {
		*rest = slice_skip(*rest, 1);
		return true;
	}
	skip_blanks(&s);
	if (peek(&s) != c)
		return false;
	s.at++;
	skip_blanks(&s);
	*rest = slice_skip(*rest, s.at);
	return true;
}

static bool take_plain_string(struct slice *rest, struct slice *text, bool *escapes)
{
	struct slice from = *rest;
	size_t len;

	if (!slice_starts(from, SLICE("\"")))
		return false;
	from = slice_skip(from, 1);
	len = plain_len(from);
	for (*escapes = false; len + 1 < from.len && from.ptr[len] == '\\'; *escapes = true) {
		if (!slice_has(SLICE("\"\\"), from.ptr[len + 1]))
			return false;
		len += 2;
		len += plain_len(slice_skip(from, len));
	}
	if (len >= from.len || from.ptr[len] != '"')
		return false;
	*text = (struct slice){ from.ptr, len };
	*rest = slice_skip(from, len + 1);
	return true;
}

/* An object is taken up to its first closing bracket: within another, or in a string, that leaves
 * text which nobody takes. */
static bool take_plain(struct slice *rest, struct json_member *m)
{
	const char *end;
	bool escapes;
	size_t len;

	if (rest->len == 0)
		return false;
	m->first = rest->ptr[0];
	if (m->first == '"') {
		if (!take_plain_string(rest, &m->text, &escapes))
			return false;
		m->first = escapes ? '\\' : '"';
		return true;
	}
	if (m->first == '{') {
		end = memchr(rest->ptr, '}', rest->len);
		len = end != NULL ? (size_t)(end - rest->ptr) + 1 : 0;
	} else {
		len = count_digits(&(struct scan){ .text = *rest }, 0);
		if (m->first == '0' && len > 1)
			return false;
	}
	m->text = (struct slice){ rest->ptr, len };
	*rest = slice_skip(*rest, len);
	return len > 0;
}

bool json_plain(struct slice text, struct json_member *members, size_t count)
{
	struct slice name;
	size_t i = 0;
	char mark = '{';
	bool escapes;

	if (text.len > JSON_TEXT_MAX)
		return false;
	while (take_mark(&text, mark)) {
		size_t tried = 0;

		if (!take_plain_string(&text, &name, &escapes) || escapes || !take_mark(&text, ':'))
			return false;
		for (; tried < count && !slice_eq(name, slice_of(members[i].name)); tried++)
			i = i + 1 < count ? i + 1 : 0;
		if (tried == count || members[i].first != '\0' || !take_plain(&text, &members[i]))
			return false;
		i = i + 1 < count ? i + 1 : 0;
		mark = ',';
	}
	return mark == ',' && take_mark(&text, '}') && text.len == 0;
}

/* What stands in front of `s`, and does not stand for itself in ASCII; its length. */
static size_t put_character(struct buf *out, struct slice s)
{
	size_t len = slice_utf8_len(s);

	if (len == 0)
		buf_lit(out, "\xef\xbf\xbd");
	else if (len == 1)
		put_escape(out, s.ptr[0]);
	else
		buf_put(out, (struct slice){ s.ptr, len });
	return len > 0 ? len : 1;
}

void json_put_string(struct buf *out, struct slice s)
{
	buf_char(out, '"');
	while (s.len > 0) {
		size_t plain = plain_len(s);

		buf_put(out, (struct slice){ s.ptr, plain });
		s = slice_skip(s, plain);
		if (s.len > 0)
			s = slice_skip(s, put_character(out, s));
	}
	buf_char(out, '"');
}
