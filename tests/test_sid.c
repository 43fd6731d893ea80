/* test_sid.c -- the Session-Id header under both grammars, and the session key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <bearssl.h>
#include <cmocka.h>

#include "corpora.h"
#include "guard.h"
#include "sid.h"

static const struct slice secret = { "test-secret", 11 };

static bool is_key(const struct sid *s, enum sid_type type, struct slice hex)
{
	uint8_t key[SID_KEY_LEN], expected[SID_KEY_LEN];

	if (!hex_decode(hex, expected, sizeof expected))
		fail_msg("no key: %.*s", (int)hex.len, hex.ptr);
	sid_key(s, type, guarded(secret), key);
	return memcmp(key, expected, sizeof key) == 0;
}

static enum sid_type type_named(struct slice name)
{
	return slice_eq(name, SLICE("AUTH")) ? SID_AUTH : SID_ANON;
}

/* Reads `header` where an over-read crashes, and again in place: the slices must last. */
static enum sid_error parse(struct slice header, enum sid_grammar grammar, struct sid *s)
{
	enum sid_error error = sid_parse(guarded(header), grammar, s);

	assert_int_equal(sid_parse(header, grammar, s), error);
	return error;
}

static const struct {
	const char *header, *type, *realm, *identifier, *thread, *count, *key;
} strict[] = {
	{ "SID:ANON:example.com:987171879", "ANON", "example.com", "987171879", NULL, NULL,
	  "5dc5e07dac8cae53e30f38337005eb85ec08270f" },
	{ "SID:AUTH:example.com:987171879", "AUTH", "example.com", "987171879", NULL, NULL,
	  "cc88ae893faf07b2a4932cc8478c0115c722088f" },
	{ "SID:ANON:example.com:987171879-16EF", "ANON", "example.com", "987171879", "16EF", NULL,
	  "5dc5e07dac8cae53e30f38337005eb85ec08270f" },
	{ "SID:ANON:example.com:98717-16EF:100", "ANON", "example.com", "98717", "16EF", "100",
	  "908e99b2b2668ed274f4880306b8f1bcadc769ac" },
	{ "SID:ANON:example.com:98717:100", "ANON", "example.com", "98717", NULL, "100",
	  "908e99b2b2668ed274f4880306b8f1bcadc769ac" },
	{ "SID:ANON:EXAMPLE.Com:987171879", "ANON", "example.com", "987171879", NULL, NULL,
	  "5dc5e07dac8cae53e30f38337005eb85ec08270f" },
	{ "SID:ANON:127.0.0.1:koe", "ANON", "127.0.0.1", "koe", NULL, NULL,
	  "b4119583ae5f5d99e996d1979f0f202d96cdecd3" },
	{ "SID:ANON:127.0.0.1:Koe", "ANON", "127.0.0.1", "Koe", NULL, NULL,
	  "40dc4d50c8eaa2beff6541b552651218fef8a7ab" },
	{ "SID:ANON:127.0.0.1:YWJjZGVm+/==", "ANON", "127.0.0.1", "YWJjZGVm+/==", NULL, NULL,
	  "814ee1e66e104f5a9b2fce839cb8e8d5d23ff9bc" },
	/* sha1sum of the text and test-secret. */
	{ "SID:ANON:[::1]:koe", "ANON", "[::1]", "koe", NULL, NULL,
	  "df399391fa9eb4f071a296650dd0b0f8044baf46" },
	{ "SID:AUTH:[2001:DB8::1]:a-1:2", "AUTH", "[2001:db8::1]", "a", "1", "2",
	  "65e57ae69b9c9201ef1e871066d51c61e8adce1a" },
	{ "SID:ANON:a_b-c.:~._", "ANON", "a_b-c.", "~._", NULL, NULL,
	  "946c8adcaf2e0ea48e4dcfe9296f020952b24274" },
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d", "ANON",
	  "www.example.com", "82d7ac3f-135c-4b12-a296-ff3c4701307d", NULL, NULL,
	  "5c9e68dea22e3550457fb70d827331fb9dbabfa7" },
	{ "SID:ANON:www.example.com:82D7AC3F-135C-4B12-A296-FF3C4701307D-1f:2a", "ANON",
	  "www.example.com", "82D7AC3F-135C-4B12-A296-FF3C4701307D", "1f", "2a",
	  "455b6da371cda281a31ea9b8d182a0aded168034" },
	/* No UUIDs, if nearly: a group of theirs is a thread. */
	{ "SID:ANON:a:82d7ac3f-135c", "ANON", "a", "82d7ac3f", "135c", NULL,
	  "2f5954e2487a2e7762cd6435902fddfc1ba85d25" },
	{ "SID:ANON:a:82d7ac3f0135c04b120a2960ff3c4701307d", "ANON", "a",
	  "82d7ac3f0135c04b120a2960ff3c4701307d", NULL, NULL,
	  "bc85a33d519167ef53edd986390807a8f4457e7c" },
};

static const struct {
	const char *name, *header;
	enum sid_error error;
} strict_refused[] = {
	{ "empty",                "",                                  SID_NO_PREFIX      },
	{ "prefix cut",           "SID",                               SID_NO_PREFIX      },
	{ "prefix in lower case", "sid:ANON:127.0.0.1:koe",            SID_NO_PREFIX      },
	{ "a blank in front",     " SID:ANON:127.0.0.1:koe",           SID_NO_PREFIX      },
	{ "garbage",              "ENTIREGABRBAGE",                    SID_NO_PREFIX      },
	{ "no type",              "SID:",                              SID_BAD_TYPE       },
	{ "empty type",           "SID::127.0.0.1:koe",                SID_BAD_TYPE       },
	{ "type in lower case",   "SID:anon:127.0.0.1:koe",            SID_BAD_TYPE       },
	{ "another type",         "SID:BULLSHIT:example.com:1",        SID_BAD_TYPE       },
	{ "type cut",             "SID:ANO:example.com:1",             SID_BAD_TYPE       },
	{ "type too long",        "SID:ANONE:example.com:1",           SID_BAD_TYPE       },
	{ "type alone",           "SID:ANON",                          SID_BAD_TYPE       },
	{ "no realm",             "SID:ANON:",                         SID_BAD_REALM      },
	{ "empty realm",          "SID:ANON::987171879",               SID_BAD_REALM      },
	{ "blank in the realm",   "SID:ANON:a b:abc",                  SID_BAD_REALM      },
	{ "quote in the realm",   "SID:ANON:ex\"ample:abc",            SID_BAD_REALM      },
	{ "slash in the realm",   "SID:ANON:a/b:abc",                  SID_BAD_REALM      },
	{ "Latin-1 in the realm", "SID:ANON:\xe9:abc",                 SID_BAD_REALM      },
	{ "bracket left open",    "SID:ANON:[::1:abc",                 SID_BAD_REALM      },
	{ "bracket never opened", "SID:ANON:a]:abc",                   SID_BAD_REALM      },
	{ "empty brackets",       "SID:ANON:[]:abc",                   SID_BAD_REALM      },
	{ "name in brackets",     "SID:ANON:[example.com]:abc",        SID_BAD_REALM      },
	{ "IPv4 in brackets",     "SID:ANON:[127.0.0.1]:abc",          SID_BAD_REALM      },
	{ "text behind bracket",  "SID:ANON:[::1]x:abc",               SID_BAD_REALM      },
	{ "text before bracket",  "SID:ANON:x[::1]:abc",               SID_BAD_REALM      },
	{ "bare IPv6",            "SID:ANON:::1:abc",                  SID_BAD_REALM      },
	{ "zone",                 "SID:ANON:[fe80::1%1]:abc",          SID_BAD_REALM      },
	{ "realm alone",          "SID:ANON:example.com",              SID_BAD_IDENTIFIER },
	{ "IPv6 realm alone",     "SID:ANON:[::1]",                    SID_BAD_IDENTIFIER },
	{ "empty identifier",     "SID:ANON:127.0.0.1:",               SID_BAD_IDENTIFIER },
	{ "thread alone",         "SID:ANON:127.0.0.1:-1",             SID_BAD_IDENTIFIER },
	{ "count alone",          "SID:ANON:127.0.0.1::1",             SID_BAD_IDENTIFIER },
	{ "blank in front of it", "SID:ANON:127.0.0.1: a",             SID_BAD_IDENTIFIER },
	{ "a port",               "SID:ANON:localhost:8091:koe",       SID_BAD_TAIL       },
	{ "blank in identifier",  "SID:ANON:127.0.0.1:a b c",          SID_BAD_TAIL       },
	{ "blank behind",         "SID:ANON:127.0.0.1:a ",             SID_BAD_TAIL       },
	{ "star",                 "SID:ANON:example.com:a*b",          SID_BAD_TAIL       },
	{ "Latin-1",              "SID:ANON:127.0.0.1:k\xe9",          SID_BAD_TAIL       },
	{ "control byte",         "SID:ANON:127.0.0.1:k\x01",          SID_BAD_TAIL       },
	{ "line end",             "SID:ANON:127.0.0.1:k\n",            SID_BAD_TAIL       },
	{ "empty thread",         "SID:ANON:127.0.0.1:a-",             SID_BAD_TAIL       },
	{ "empty count",          "SID:ANON:127.0.0.1:a:",             SID_BAD_TAIL       },
	{ "empty thread, count",  "SID:ANON:127.0.0.1:a-:1",           SID_BAD_TAIL       },
	{ "two threads",          "SID:ANON:127.0.0.1:a--1",           SID_BAD_TAIL       },
	{ "three threads",        "SID:ANON:example.com:98717-1-2-3",  SID_BAD_TAIL       },
	{ "two counts",           "SID:ANON:127.0.0.1:a:b:c",          SID_BAD_TAIL       },
	{ "count, then thread",   "SID:ANON:example.com:98717:1-16EF", SID_BAD_TAIL       },
	{ "thread not hex",       "SID:ANON:example.com:923-thread1",  SID_BAD_TAIL       },
	{ "thread half hex",      "SID:ANON:example.com:YWJj-ZG:1f",   SID_BAD_TAIL       },
	{ "count not hex",        "SID:ANON:127.0.0.1:x:y",            SID_BAD_TAIL       },
	{ "UUID cut",             "SID:ANON:a:82d7ac3f-135c-4b12",     SID_BAD_TAIL       },
	{ "UUID without a digit",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c4701307",            SID_BAD_TAIL       },
	{ "UUID and a digit",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c4701307d0",          SID_BAD_TAIL       },
	{ "UUID and a letter",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c4701307dz",          SID_BAD_TAIL       },
	{ "UUID with a letter",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c470130zd",           SID_BAD_TAIL       },
	{ "UUID with moved dashes",
	  "SID:ANON:a:82d7ac3-f135c-4b12-a296-ff3c4701307d",           SID_BAD_TAIL       },
	{ "UUID and empty thread",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c4701307d-",          SID_BAD_TAIL       },
	{ "UUID and two threads",
	  "SID:ANON:a:82d7ac3f-135c-4b12-a296-ff3c4701307d-1-2",       SID_BAD_TAIL       },
};

/* The vectors of django-oscar-api 3.2.7 with SECRET_KEY `test-secret`, made by its functions
 * parse_session_id() and session_id_from_parsed_session_uri(). */
static const struct {
	const char *header, *type, *realm, *identifier, *key;
} oscarapi[] = {
	{ "SID:ANON:example.com:987171879", "ANON", "example.com", "987171879",
	  "5dc5e07dac8cae53e30f38337005eb85ec08270f" },
	{ "SID:AUTH:example.com:987171879", "AUTH", "example.com", "987171879",
	  "cc88ae893faf07b2a4932cc8478c0115c722088f" },
	{ "SID:ANON:example.com:98717-16EF:100", "ANON", "example.com", "98717",
	  "908e99b2b2668ed274f4880306b8f1bcadc769ac" },
	{ "SID:ANON:example.com:923-thread1", "ANON", "example.com", "923-thread1",
	  "f7404849da298fc0717247ab6092d1ab96a8b13d" },
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d", "ANON",
	  "www.example.com", "82d7ac3f-135c-4b12", "07fca5b9f0c523fbdbf11c35a947619de0bb2ee7" },
	{ "SID:AUTH:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d", "AUTH",
	  "www.example.com", "82d7ac3f-135c-4b12", "6fef9bc50e32e4f4b7992d4bb58f2fde00e19428" },
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12", "ANON", "www.example.com", "82d7ac3f",
	  "cc02d35ca55e5fced54c07c7b3573fba2acbb971" },
	{ "SID:ANON:127.0.0.1:koe", "ANON", "127.0.0.1", "koe",
	  "b4119583ae5f5d99e996d1979f0f202d96cdecd3" },
	{ "SID:AUTH:127.0.0.1:koe", "AUTH", "127.0.0.1", "koe",
	  "fb00f1642d2bfe650781e6a54328afaf05d4cd89" },
	{ "SID:ANON:127.0.0.1:x:y:z", "ANON", "127.0.0.1", "x:y:z",
	  "a55c408c08a0cd5beade56a5670d9c9025a8d8ec" },
	{ "SID:ANON:127.0.0.1:a b c", "ANON", "127.0.0.1", "a b c",
	  "4079b7d1b1e4a76be113d154b0bf91e4bb37223e" },
	{ "SID:ANON:127.0.0.1:k\xe9", "ANON", "127.0.0.1", "k\xe9",
	  "2e0739d04210bd5ee4c8a0eab7f1cd1449ce19dd" },
	{ "SID:ANON:127.0.0.1:k\xc3\xa9", "ANON", "127.0.0.1", "k\xc3\xa9",
	  "1df3749c96bc1b622a70c0d22e43793e0d110719" },
};

/* What the regular expression of oscarapi/middleware.py makes of odd headers:
 * ^SID:(ANON|AUTH):(.*?):(.+?)(?:[-:][0-9a-fA-F]+){0,2}$ */
static const struct {
	const char *header, *realm, *identifier;        /* NULL: no match */
} oscarapi_rule[] = {
	{ "SID:ANON::987171879",          "",          "987171879" },
	{ "SID:ANON:localhost:8091:koe",  "localhost", "8091:koe"  },
	{ "SID:ANON:[::1]:koe",           "[",         ":1]:koe"   },
	{ "SID:ANON:[::1]:8091:koe",      "[",         ":1]:8091:koe" },
	{ "SID:ANON:a\"b c:koe",          "a\"b c",    "koe"       },
	{ "SID:ANON:LOCALHOST:koe",       "LOCALHOST", "koe"       },
	{ "SID:ANON:h:98717:100-16EF",    "h",         "98717"     },
	{ "SID:ANON:h:98717-1-2-3",       "h",         "98717-1"   },
	{ "SID:ANON:h:923-thread1:ff",    "h",         "923-thread1" },
	{ "SID:ANON:h:a:b:c",             "h",         "a"         },
	{ "SID:ANON:h:user-beef",         "h",         "user"      },
	{ "SID:ANON:h:-a",                "h",         "-a"        },
	{ "SID:ANON:h:-a-b",              "h",         "-a"        },
	{ "SID:ANON:h:--a",               "h",         "-"         },
	{ "SID:ANON:h::",                 "h",         ":"         },
	{ "SID:ANON:h:::",                "h",         "::"        },
	{ "SID:ANON:h:a-",                "h",         "a-"        },
	{ "SID:ANON:h:a--1",              "h",         "a-"        },
	{ "SID:ANON:h:a-1-",              "h",         "a-1-"      },
	{ "SID:ANON:h:koe-1g",            "h",         "koe-1g"    },
	{ "SID:ANON:h:deadbeef",          "h",         "deadbeef"  },
	{ "SID:ANON:h:a,SID:ANON:h:b",    "h",         "a,SID:ANON:h" },
	{ "SID:ANON:h:",                  NULL,        NULL        },
	{ "SID:ANON:h",                   NULL,        NULL        },
	{ "SID:ANON::",                   NULL,        NULL        },
	{ "SID:ANON:",                    NULL,        NULL        },
	{ "SID:ANON",                     NULL,        NULL        },
	{ "SID:anon:h:koe",               NULL,        NULL        },
	{ "sid:ANON:h:koe",               NULL,        NULL        },
	{ "SID:BULLSHIT:h:koe",           NULL,        NULL        },
	{ "SID:987171879",                NULL,        NULL        },
	{ "ENTIREGABRBAGE",               NULL,        NULL        },
	{ "",                             NULL,        NULL        },
};

/* Absent where `text` is NULL. */
static bool is(struct slice s, const char *text)
{
	return text == NULL ? !slice_given(s) : slice_given(s) && slice_eq(s, slice_of(text));
}

/* What is written parses to itself under the strict grammar, with the same key. */
static bool is_fixed_point(const struct sid *s, enum sid_type type)
{
	char room[1024], again[1024];
	struct buf out = BUF(room), out_again = BUF(again);
	uint8_t key[SID_KEY_LEN], key_again[SID_KEY_LEN];
	struct sid back;

	sid_write(&out, s, type);
	assert_false(out.full);
	if (parse(buf_slice(&out), SID_STRICT, &back) != SID_OK)
		return false;
	sid_write(&out_again, &back, back.type);
	sid_key(s, type, secret, key);
	sid_key(&back, back.type, secret, key_again);
	return back.type == type && slice_eq(back.realm, s->realm) &&
	       slice_eq(back.identifier, s->identifier) && !slice_given(back.thread) &&
	       !slice_given(back.count) && memcmp(key, key_again, sizeof key) == 0 &&
	       slice_eq(buf_slice(&out), buf_slice(&out_again));
}

static void test_strict(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(strict); i++) {
		enum sid_type type = type_named(slice_of(strict[i].type));
		struct sid s;

		if (parse(slice_of(strict[i].header), SID_STRICT, &s) != SID_OK || s.type != type)
			fail_msg("%s: not parsed", strict[i].header);
		if (!is(s.realm, strict[i].realm) || !is(s.identifier, strict[i].identifier))
			fail_msg("%s: realm or identifier", strict[i].header);
		if (!is(s.thread, strict[i].thread) || !is(s.count, strict[i].count))
			fail_msg("%s: thread or count", strict[i].header);
		if (!is_key(&s, type, slice_of(strict[i].key)))
			fail_msg("%s: key", strict[i].header);
		if (!is_fixed_point(&s, SID_ANON) || !is_fixed_point(&s, SID_AUTH))
			fail_msg("%s: no fixed point", strict[i].header);
	}
}

static void test_strict_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(strict_refused); i++) {
		struct sid s;
		enum sid_error error = parse(slice_of(strict_refused[i].header), SID_STRICT, &s);

		if (error != strict_refused[i].error)
			fail_msg("%s: %s", strict_refused[i].name, sid_error_text(error));
	}
}

/* However much of a header there is, it is refused or it is a fixed point. */
static void test_strict_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(strict); i++) {
		struct slice header = slice_of(strict[i].header);
		struct sid s;

		for (; header.len > 0; header.len--)
			if (parse(header, SID_STRICT, &s) == SID_OK && !is_fixed_point(&s, s.type))
				fail_msg("%.*s", (int)header.len, header.ptr);
	}
}

/* Only hexadecimal digits and the four dashes make a UUID, which is taken whole. */
static void test_every_byte_of_a_uuid(void **state)
{
	static const char uuid[] = "82d7AC3F-135c-4B12-a296-ff3c4701307D";
	const size_t len = sizeof uuid - 1, front = sizeof "SID:ANON:a:" - 1;
	char text[64];

	(void)state;
	for (size_t at = 0; at < len; at++)
		for (int byte = 0; byte < 256; byte++) {
			bool dash = at == 8 || at == 13 || at == 18 || at == 23;
			bool fits = dash ? byte == '-' : byte_hex((char)byte) >= 0;
			struct sid s;
			enum sid_error error;

			snprintf(text, sizeof text, "SID:ANON:a:%s", uuid);
			text[front + at] = (char)byte;
			error = parse((struct slice){ text, front + len }, SID_STRICT, &s);
			if ((error == SID_OK && s.identifier.len == len) != fits)
				fail_msg("byte %02x at %zu", (unsigned)byte, at);
		}
}

static void test_realm_length(void **state)
{
	char header[600] = "SID:ANON:";
	struct sid s;

	(void)state;
	memset(header + 9, 'R', SID_REALM_MAX);
	memcpy(header + 9 + SID_REALM_MAX, ":a", 3);
	assert_int_equal(parse(slice_of(header), SID_STRICT, &s), SID_OK);
	assert_int_equal(s.realm.len, SID_REALM_MAX);
	assert_int_equal(s.realm.ptr[SID_REALM_MAX - 1], 'r');
	assert_true(is_fixed_point(&s, s.type));
	memcpy(header + 9 + SID_REALM_MAX, "R:a", 4);
	assert_int_equal(parse(slice_of(header), SID_STRICT, &s), SID_BAD_REALM);
	assert_int_equal(parse(slice_of(header), SID_OSCARAPI, &s), SID_OK);
	assert_int_equal(s.realm.len, SID_REALM_MAX + 1);
}

static void test_oscarapi(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(oscarapi); i++) {
		enum sid_type type = type_named(slice_of(oscarapi[i].type));
		struct sid s;

		if (parse(slice_of(oscarapi[i].header), SID_OSCARAPI, &s) != SID_OK ||
		    s.type != type)
			fail_msg("%s: not parsed", oscarapi[i].header);
		if (!is(s.realm, oscarapi[i].realm) || !is(s.identifier, oscarapi[i].identifier))
			fail_msg("%s: realm or identifier", oscarapi[i].header);
		if (!is_key(&s, type, slice_of(oscarapi[i].key)))
			fail_msg("%s: key", oscarapi[i].header);
	}
}

static void test_oscarapi_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(oscarapi_rule); i++) {
		struct sid s;
		bool match = parse(slice_of(oscarapi_rule[i].header), SID_OSCARAPI, &s) == SID_OK;

		if (match != (oscarapi_rule[i].realm != NULL))
			fail_msg("%s", oscarapi_rule[i].header);
		if (match && (!is(s.realm, oscarapi_rule[i].realm) ||
		              !is(s.identifier, oscarapi_rule[i].identifier)))
			fail_msg("%s: %.*s", oscarapi_rule[i].header, (int)s.identifier.len,
			         s.identifier.ptr);
	}
}

/* The original hashed identifiers of thousands of bytes; so do we, whatever their bytes. */
static void test_long_identifier(void **state)
{
	static char header[7014] = "SID:ANON:h:";
	struct slice text = { header, 11 + 7000 };
	struct sid s;

	(void)state;
	memset(header + 11, 'x', 7000);
	assert_int_equal(parse(text, SID_OSCARAPI, &s), SID_OK);
	assert_true(is_key(&s, SID_ANON, SLICE("c3af604b3d2877b4bdc6bf344c6d96bb2cbab21b")));
	memset(header + 11, 0xff, 7000);
	assert_int_equal(parse(text, SID_OSCARAPI, &s), SID_OK);
	assert_true(is_key(&s, SID_ANON, SLICE("5e1161f12d00802d844af57d58e34b5d5f3ffb49")));
}

static void test_write(void **state)
{
	char room[64];
	struct buf out = BUF(room), small = { room, 0, 10, false };
	struct sid s;

	(void)state;
	assert_int_equal(parse(SLICE("SID:ANON:Example.com:abc-1:2"), SID_STRICT, &s), SID_OK);
	sid_write(&out, &s, SID_AUTH);
	assert_true(slice_eq(buf_slice(&out), SLICE("SID:AUTH:example.com:abc")));
	sid_write(&small, &s, SID_AUTH);
	assert_true(small.full);
	out.len = 0;
	assert_int_equal(parse(SLICE("SID:ANON:Example.com:\xe9-1"), SID_OSCARAPI, &s), SID_OK);
	sid_write(&out, &s, SID_ANON);
	assert_true(slice_eq(buf_slice(&out), SLICE("SID:ANON:Example.com:\xe9")));
}

/* Texts of every length, ASCII or not, have the key that their UTF-8 form and the secret give. */
static void test_key_of_every_length(void **state)
{
	static char identifier[700], whole[2 * sizeof identifier + 64];
	uint8_t key[SID_KEY_LEN], expected[SID_KEY_LEN];
	br_sha1_context sha;

	(void)state;
	memset(identifier, 'k', sizeof identifier);
	for (size_t len = 1; len <= sizeof identifier; len++) {
		for (size_t at = 0; at <= len; at += 1 + at) {
			const struct sid s = { .realm = SLICE("shop"),
				               .identifier = { identifier, len } };
			struct buf out = BUF(whole);

			identifier[at < len ? at : 0] = at < len ? '\xe9' : 'k';
			buf_lit(&out, "SID:AUTH:shop:");
			for (size_t i = 0; i < len; i++)
				buf_str(&out, identifier[i] == 'k' ? "k" : "\xc3\xa9");
			buf_put(&out, secret);
			assert_false(out.full);
			br_sha1_init(&sha);
			br_sha1_update(&sha, whole, out.len);
			br_sha1_out(&sha, expected);
			sid_key(&s, SID_AUTH, guarded(secret), key);
			assert_memory_equal(key, expected, sizeof key);
			identifier[at < len ? at : 0] = 'k';
		}
	}
}

static void test_error_text(void **state)
{
	(void)state;
	for (int e = 0; e < SID_ERRORS; e++)
		assert_true(strlen(sid_error_text((enum sid_error)e)) > 20);
	assert_string_equal(sid_error_text(SID_ERRORS), "unknown");
}

/* `-` in a column: absent, or in the second one: refused. */
static bool is_field(struct slice s, struct slice field)
{
	if (slice_eq(field, SLICE("-")))
		return !slice_given(s);
	return slice_given(s) && slice_eq(s, field);
}

static void test_corpus_strict(void **state)
{
	enum { HEADER, TYPE, REALM, IDENTIFIER, THREAD, COUNT, KEY, ECHO, COLUMNS };
	FILE *file = corpus_open("sid/strict.tsv");
	struct slice f[COLUMNS];
	size_t rows = 0;

	(void)state;
	for (; corpus_row(file, f, COLUMNS); rows++) {
		bool valid = !slice_eq(f[TYPE], SLICE("-"));
		char room[1024];
		struct buf out = BUF(room);
		struct sid s;

		if ((parse(f[HEADER], SID_STRICT, &s) == SID_OK) != valid)
			fail_msg("%.*s: validity", (int)f[HEADER].len, f[HEADER].ptr);
		if (!valid)
			continue;
		sid_write(&out, &s, s.type);
		if (s.type != type_named(f[TYPE]) || !is_field(s.realm, f[REALM]) ||
		    !is_field(s.identifier, f[IDENTIFIER]) || !is_field(s.thread, f[THREAD]) ||
		    !is_field(s.count, f[COUNT]) || !is_key(&s, s.type, f[KEY]) ||
		    !slice_eq(buf_slice(&out), f[ECHO]) || !is_fixed_point(&s, s.type))
			fail_msg("%.*s: columns", (int)f[HEADER].len, f[HEADER].ptr);
	}
	corpus_close(file, "sid/strict.tsv", rows, 46);
}

static void test_corpus_oscarapi(void **state)
{
	enum { HEADER, TYPE, REALM, IDENTIFIER, KEY, COLUMNS };
	FILE *file = corpus_open("sid/oscarapi.tsv");
	struct slice f[COLUMNS];
	size_t rows = 0;

	(void)state;
	for (; corpus_row(file, f, COLUMNS); rows++) {
		bool valid = !slice_eq(f[TYPE], SLICE("-"));
		struct sid s;

		if ((parse(f[HEADER], SID_OSCARAPI, &s) == SID_OK) != valid)
			fail_msg("%.*s: validity", (int)f[HEADER].len, f[HEADER].ptr);
		if (valid && (s.type != type_named(f[TYPE]) || !slice_eq(s.realm, f[REALM]) ||
		              !slice_eq(s.identifier, f[IDENTIFIER]) ||
		              !is_key(&s, s.type, f[KEY])))
			fail_msg("%.*s: columns", (int)f[HEADER].len, f[HEADER].ptr);
	}
	corpus_close(file, "sid/oscarapi.tsv", rows, 30);
}

/* Under which key oscarapi kept what a strict header names; NULL: the same one. Keys are of its
 * own functions, or sha1sum's. */
static const struct {
	const char *header, *anon, *auth;
} originals[] = {
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d",
	  "07fca5b9f0c523fbdbf11c35a947619de0bb2ee7", "6fef9bc50e32e4f4b7992d4bb58f2fde00e19428" },
	/* A count is cut off first, and one group less. */
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d:1",
	  "a51481ca2835bdae7aecdf4aec689313ae80450a", "12a6ade1926aa70dae07e055cafe5f6ba6e0519d" },
	{ "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d-a:1", NULL, NULL },
	{ "SID:ANON:WWW.example.com:koe",
	  "dcd231802468701d4e657bda256b7cf49e40bd5e",
	  "5b580f0d4e2ec592e38eab39e1c61c3fb39fa52d" },
	{ "SID:ANON:www.example.com:koe", NULL, NULL },
	{ "SID:AUTH:www.example.com:98717-16EF:100", NULL, NULL },
};

static void test_original_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(originals); i++) {
		struct slice header = guarded(slice_of(originals[i].header));
		const char *hex[] = { originals[i].anon, originals[i].auth };
		uint8_t key[SID_KEY_LEN], expected[SID_KEY_LEN];
		struct sid s;

		assert_int_equal(sid_parse(header, SID_MIGRATE, &s), SID_OK);
		for (int type = SID_ANON; type <= SID_AUTH; type++) {
			bool other = sid_original_key(header, &s, (enum sid_type)type, secret, key);

			assert_int_equal(other, hex[type] != NULL);
			if (!other)
				continue;
			assert_true(hex_decode(slice_of(hex[type]), expected, sizeof expected));
			if (memcmp(key, expected, sizeof key) != 0)
				fail_msg("%s: another key", originals[i].header);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_strict_refused),
		cmocka_unit_test(test_strict_cut_anywhere),
		cmocka_unit_test(test_every_byte_of_a_uuid),
		cmocka_unit_test(test_realm_length),
		cmocka_unit_test(test_oscarapi),
		cmocka_unit_test(test_oscarapi_rule),
		cmocka_unit_test(test_long_identifier),
		cmocka_unit_test(test_original_key),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_key_of_every_length),
		cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_corpus_strict),
		cmocka_unit_test(test_corpus_oscarapi),
	};

	return cmocka_run_group_tests_name("sid", tests, NULL, NULL);
}
