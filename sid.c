/* sid.c -- see sid.h. */
#include <assert.h>
#include <bearssl.h>

#include "address.h"
#include "sha.h"
#include "sid.h"

#define UUID_LEN 36

#define TYPE_LEN  9             /* of "SID:", the type, and ":" */
#define WHOLE_MAX 512           /* bytes of a Session-Id and the secret */

static const char *const type_text[] = {
	[SID_ANON] = "SID:ANON:",
	[SID_AUTH] = "SID:AUTH:",
};

static const char *const error_text[] = {
	[SID_OK]             = "The Session-Id is well-formed.",
	[SID_NO_PREFIX]      = "A Session-Id starts with \"SID:\", as in "
	                       "SID:ANON:shop.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d.",
	[SID_BAD_TYPE]       = "The type of a Session-Id is ANON or AUTH, in capitals, "
	                       "and ends with \":\".",
	[SID_BAD_REALM]      = "The realm of a Session-Id is a host name of letters, digits, "
	                       "\".\", \"_\" and \"-\", or an IPv6 address in brackets.",
	[SID_BAD_IDENTIFIER] = "The identifier of a Session-Id is a UUID, or one or more of "
	                       "letters, digits and \"+/=._~\".",
	[SID_BAD_TAIL]       = "After the identifier of a Session-Id come at most one \"-\" and "
	                       "one \":\", in this order, each with hexadecimal digits.",
};
static_assert(COUNT_OF(error_text) == SID_ERRORS, "a new sid_error needs its sentence");

/* What a byte may stand in, as bits. */
enum { IN_HEX = 1, IN_HOST = 2, IN_IDENTIFIER = 4 };

static const uint8_t byte_bits[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 2, 6, 4,
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 4, 0, 0,
	0, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 6,
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 0, 0, 0, 0, 6,
	0, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 6,
	6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 0, 0, 0, 4, 0,
};

static inline bool is(char c, unsigned bits)
{
	return byte_bits[(unsigned char)c] & bits;
}

/* How many bytes at the front of `s` belong. */
static inline size_t span(struct slice s, unsigned bits)
{
	size_t n = 0;

	while (n < s.len && is(s.ptr[n], bits))
		n++;
	return n;
}

/* The realm in front of `s`: a host name, or an IPv6 address in brackets; else empty. */
static struct slice leading_realm(struct slice s)
{
	struct address address;
	const char *end;

	if (s.len == 0 || s.ptr[0] != '[') {
		s.len = span(s, IN_HOST);
		return s;
	}
	end = memchr(s.ptr, ']', s.len);
	s.len = end != NULL ? (size_t)(end - s.ptr) + 1 : 0;
	return address_parse(s, &address) ? s : (struct slice){ 0 };
}

/* True where none of eight bytes is anything but a hexadecimal digit. Sums of what is below
 * 0x80 stay inside their bytes. */
static inline bool word_is_hex(uint64_t w)
{
	uint64_t lower = w | WORD_ONES * 0x20;
	uint64_t digit = (w + WORD_ONES * (0x80 - '0')) & ~(w + WORD_ONES * (0x7f - '9'));
	uint64_t letter = (lower + WORD_ONES * (0x80 - 'a')) & ~(lower + WORD_ONES * (0x7f - 'f'));

	return ((digit | letter) & ~w & WORD_HIGHS) == WORD_HIGHS;
}

/* A UUID in front of `s`, alone or with a thread or count behind it. */
static bool starts_with_uuid(struct slice s)
{
	char hex[UUID_LEN - 4];

	if (s.len < UUID_LEN || (s.len > UUID_LEN && !slice_has(SLICE("-:"), s.ptr[UUID_LEN])) ||
	    s.ptr[8] != '-' || s.ptr[13] != '-' || s.ptr[18] != '-' || s.ptr[23] != '-')
		return false;
	memcpy(hex, s.ptr, 8);
	memcpy(hex + 8, s.ptr + 9, 4);
	memcpy(hex + 12, s.ptr + 14, 4);
	memcpy(hex + 16, s.ptr + 19, 4);
	memcpy(hex + 20, s.ptr + 24, 12);
	return word_is_hex(word_at(hex)) && word_is_hex(word_at(hex + 8)) &&
	       word_is_hex(word_at(hex + 16)) && word_is_hex(word_at(hex + 24));
}

/* Takes `mark` and the digits behind it off the front of `*rest`; absent where there are none. */
static struct slice cut_tail(struct slice *rest, char mark)
{
	struct slice tail;

	if (rest->len == 0 || rest->ptr[0] != mark)
		return (struct slice){ 0 };
	tail = slice_skip(*rest, 1);
	tail.len = span(tail, IN_HEX);
	if (tail.len == 0)
		return (struct slice){ 0 };
	*rest = slice_skip(*rest, tail.len + 1);
	return tail;
}

static enum sid_error parse_strict(struct slice rest, struct sid *s)
{
	struct slice realm = leading_realm(rest);

	if (realm.len == 0 || realm.len > SID_REALM_MAX)
		return SID_BAD_REALM;
	rest = slice_skip(rest, realm.len);
	if (rest.len == 0)
		return SID_BAD_IDENTIFIER;
	if (rest.ptr[0] != ':')
		return SID_BAD_REALM;
	rest = slice_skip(rest, 1);
	s->realm = slice_lower(realm, s->realm_lower);
	s->exact = slice_eq(s->realm, realm);
	s->identifier = rest;
	s->identifier.len = starts_with_uuid(rest) ? UUID_LEN : span(rest, IN_IDENTIFIER);
	if (s->identifier.len == 0)
		return SID_BAD_IDENTIFIER;
	rest = slice_skip(rest, s->identifier.len);
	s->thread = cut_tail(&rest, '-');
	s->count = cut_tail(&rest, ':');
	return rest.len == 0 ? SID_OK : SID_BAD_TAIL;
}

/* Without one `[-:][0-9A-Fa-f]+` at its end, where a byte is left in front of it. */
static struct slice drop_group(struct slice s)
{
	size_t digits = s.len;

	while (digits > 0 && is(s.ptr[digits - 1], IN_HEX))
		digits--;
	if (digits == s.len || digits < 2 || !slice_has(SLICE("-:"), s.ptr[digits - 1]))
		return s;
	return (struct slice){ s.ptr, digits - 1 };
}

/* The original's regular expression: the realm is the shortest run up to a ":", and of the
 * rest up to two groups of digits are dropped (oscarapi/middleware.py, parse_session_id). */
static enum sid_error parse_oscarapi(struct slice rest, struct sid *s)
{
	s->realm = slice_cut(&rest, ':');
	s->exact = true;
	if (rest.len == 0)
		return SID_BAD_IDENTIFIER;
	s->identifier = drop_group(drop_group(rest));
	return SID_OK;
}

enum sid_error sid_parse(struct slice header, enum sid_grammar grammar, struct sid *s)
{
	enum sid_error error;
	struct slice rest;

	s->thread = s->count = (struct slice){ 0 };
	if (slice_starts(header, SLICE("SID:AUTH:")))
		s->type = SID_AUTH;
	else if (slice_starts(header, SLICE("SID:ANON:")))
		s->type = SID_ANON;
	else
		return slice_starts(header, SLICE("SID:")) ? SID_BAD_TYPE : SID_NO_PREFIX;
	rest = slice_skip(header, TYPE_LEN);
	error = grammar == SID_OSCARAPI ? parse_oscarapi(rest, s) : parse_strict(rest, s);
	if (error == SID_OK)
		s->whole = (struct slice){ header.ptr, (size_t)(s->identifier.ptr - header.ptr) +
			                               s->identifier.len };
	return error;
}

const char *sid_error_text(enum sid_error e)
{
	return (unsigned)e < SID_ERRORS ? error_text[e] : "unknown";
}

void sid_write(struct buf *out, const struct sid *s, enum sid_type type)
{
	if (s->exact && type == s->type) {
		buf_put(out, s->whole);
		return;
	}
	buf_put(out, (struct slice){ type_text[type], TYPE_LEN });
	buf_put(out, s->realm);
	buf_char(out, ':');
	buf_put(out, s->identifier);
}

/* Hashes the UTF-8 form of Latin-1 text. */
static void hash_latin1(const br_hash_class **sha, struct slice s)
{
	size_t start = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		uint8_t two[2] = { (uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f)) };

		if (c < 0x80)
			continue;
		(*sha)->update(sha, s.ptr + start, i - start);
		(*sha)->update(sha, two, sizeof two);
		start = i + 1;
	}
	(*sha)->update(sha, s.ptr + start, s.len - start);
}

/* A text that is short and the same in UTF-8 is hashed at once with the secret: each piece for
 * itself costs as much as copying them all. */
static bool hash_whole(const br_hash_class **sha, const struct sid *s, enum sid_type type,
                       struct slice secret)
{
	char text[WHOLE_MAX];
	struct buf whole = BUF(text);

	sid_write(&whole, s, type);
	if (whole.full || !slice_is_ascii(buf_slice(&whole)))
		return false;
	buf_put(&whole, secret);
	if (!whole.full)
		(*sha)->update(sha, text, whole.len);
	return !whole.full;
}

void sid_key(const struct sid *s, enum sid_type type, struct slice secret,
             uint8_t key[SID_KEY_LEN])
{
	const br_hash_class *class = sha1_class(), **sha;
	br_hash_compat_context context;

	sha = &context.vtable;
	class->init(sha);
	if (!hash_whole(sha, s, type, secret)) {
		class->update(sha, type_text[type], TYPE_LEN);
		hash_latin1(sha, s->realm);
		class->update(sha, ":", 1);
		hash_latin1(sha, s->identifier);
		class->update(sha, secret.ptr, secret.len);
	}
	class->out(sha, key);
}

bool sid_original_key(struct slice header, const struct sid *s, enum sid_type type,
                      struct slice secret, uint8_t key[SID_KEY_LEN])
{
	struct sid original;

	if (sid_parse(header, SID_OSCARAPI, &original) != SID_OK ||
	    (slice_eq(original.realm, s->realm) && slice_eq(original.identifier, s->identifier)))
		return false;
	sid_key(&original, type, secret, key);
	return true;
}
