/* test_address.c -- addresses and networks; the text forms of RFC 4291 and RFC 5952. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "address.h"
#include "guard.h"

static struct address parsed(const char *text)
{
	struct address a;

	if (!address_parse(guarded(slice_of(text)), &a))
		fail_msg("%s is refused", text);
	return a;
}

static void test_parse_and_write(void **state)
{
	static const struct {
		const char *in, *out;
		bool ipv4;
	} cases[] = {
		{ "127.0.0.1",                               "127.0.0.1",            true  },
		{ "255.255.255.255",                         "255.255.255.255",      true  },
		{ "0.0.0.0",                                 "0.0.0.0",              true  },
		{ "::ffff:192.0.2.1",                        "192.0.2.1",            true  },
		{ "::FFFF:C000:0201",                        "192.0.2.1",            true  },
		{ "::",                                      "::",                   false },
		{ "[::1]",                                   "::1",                  false },
		{ "2001:DB8::1",                             "2001:db8::1",          false },
		/* RFC 5952, sections 4.1 to 4.3. */
		{ "2001:0db8::0001",                         "2001:db8::1",          false },
		{ "2001:db8:0:0:0:0:2:1",                    "2001:db8::2:1",        false },
		{ "2001:db8:0:1:1:1:1:1",                    "2001:db8:0:1:1:1:1:1", false },
		{ "2001:0:0:1:0:0:0:1",                      "2001:0:0:1::1",        false },
		{ "2001:db8:0:0:1:0:0:1",                    "2001:db8::1:0:0:1",    false },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char room[ADDRESS_TEXT_MAX];
		struct buf out = BUF(room);
		struct address a = parsed(cases[i].in);

		address_write(&out, &a);
		if (!slice_eq(buf_slice(&out), slice_of(cases[i].out)))
			fail_msg("%s: %.*s", cases[i].in, (int)out.len, out.ptr);
		if (address_is_ipv4(&a) != cases[i].ipv4)
			fail_msg("%s: family", cases[i].in);
	}
}

static void test_loopback(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = {
		{ "127.0.0.1", true }, { "127.255.255.255", true }, { "::1", true },
		{ "::ffff:127.0.0.1", true }, { "126.255.255.255", false }, { "128.0.0.1", false },
		{ "0.0.0.0", false }, { "::", false }, { "::2", false }, { "1::1", false },
		{ "::127.0.0.1", false }, { "::ffff:10.0.0.127", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a = parsed(cases[i].text);

		if (address_is_loopback(&a) != cases[i].loopback)
			fail_msg("%s", cases[i].text);
	}
}

static void test_parse_invalid(void **state)
{
	static const struct {
		const char *name;
		struct slice in;
	} cases[] = {
		{ "absent",              { NULL, 0 }               },
		{ "empty",               { "", 0 }                 },
		{ "a name",              { "localhost", 9 }        },
		{ "three parts",         { "127.0.1", 7 }          },
		{ "five parts",          { "127.0.0.0.1", 11 }     },
		{ "a number",            { "2130706433", 10 }      },
		{ "part over 255",       { "127.0.0.256", 11 }     },
		{ "octal",               { "127.0.0.01", 10 }      },
		{ "hexadecimal",         { "0x7f.0.0.1", 10 }      },
		{ "empty part",          { "127..0.1", 8 }         },
		{ "blank in front",      { " 127.0.0.1", 10 }      },
		{ "blank behind",        { "127.0.0.1 ", 10 }      },
		{ "NUL behind",          { "127.0.0.1\0", 10 }     },
		{ "NUL and text",        { "127.0.0.1\0x", 11 }    },
		{ "IPv4 in brackets",    { "[127.0.0.1]", 11 }     },
		{ "with a port",         { "127.0.0.1:80", 12 }    },
		{ "with a prefix",       { "10.0.0.0/8", 10 }      },
		{ "empty brackets",      { "[]", 2 }               },
		{ "one bracket",         { "[", 1 }                },
		{ "no closing bracket",  { "[::1", 4 }             },
		{ "no opening bracket",  { "::1]", 4 }             },
		{ "double brackets",     { "[[::1]]", 7 }          },
		{ "seven groups",        { "1:2:3:4:5:6:7", 13 }   },
		{ "nine groups",         { "1:2:3:4:5:6:7:8:9", 17 } },
		{ "two gaps",            { "1::2::3", 7 }          },
		{ "three colons",        { ":::", 3 }              },
		{ "one colon",           { ":", 1 }                },
		{ "five digits",         { "::00001", 7 }          },
		{ "not hexadecimal",     { "::g", 3 }              },
		{ "zone",                { "fe80::1%eth0", 12 }    },
		{ "zone in brackets",    { "[fe80::1%25eth0]", 16 } },
		{ "too long",
		  { "00000:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 46 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a;

		if (address_parse(guarded(cases[i].in), &a))
			fail_msg("%s", cases[i].name);
	}
}

static void test_port(void **state)
{
	static const struct {
		const char *in, *address;       /* address NULL: refused */
		uint16_t port;
	} cases[] = {
		{ "192.0.2.1:8080",     "192.0.2.1",   8080  },
		{ "127.0.0.1:0",        "127.0.0.1",   0     },
		{ "[2001:db8::1]:65535", "2001:db8::1", 65535 },
		{ "[::ffff:192.0.2.1]:80", "192.0.2.1", 80   },
		{ "",                   NULL,          0     },
		{ ":",                  NULL,          0     },
		{ ":80",                NULL,          0     },
		{ "80",                 NULL,          0     },
		{ "192.0.2.1",          NULL,          0     },
		{ "192.0.2.1:",         NULL,          0     },
		{ "192.0.2.1:65536",    NULL,          0     },
		{ "192.0.2.1:-1",       NULL,          0     },
		{ "192.0.2.1: 80",      NULL,          0     },
		{ "192.0.2.1:http",     NULL,          0     },
		{ "192.0.2.1:80:80",    NULL,          0     },
		{ "localhost:80",       NULL,          0     },
		{ "*:80",               NULL,          0     },
		{ "[::1]",              NULL,          0     },
		{ "[::1]80",            NULL,          0     },
		{ "[::1]:",             NULL,          0     },
		{ "[::1:80",            NULL,          0     },
		{ "::1:80",             NULL,          0     },
		{ "2001:db8::1:80",     NULL,          0     },
		{ "[192.0.2.1]:80",     NULL,          0     },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a, expected;
		uint16_t port = 0;
		bool valid = address_parse_port(guarded(slice_of(cases[i].in)), &a, &port);

		if (valid != (cases[i].address != NULL) || port != cases[i].port)
			fail_msg("%s", cases[i].in);
		if (!valid)
			continue;
		expected = parsed(cases[i].address);
		assert_memory_equal(&a, &expected, sizeof a);
	}
}

static void test_write_full(void **state)
{
	char room[8];
	struct buf out = BUF(room);
	struct address a = parsed("127.0.0.1");

	(void)state;
	address_write(&out, &a);
	assert_true(out.full);
	assert_int_equal(out.len, 0);
}

static void test_sockaddr(void **state)
{
	static const char *const cases[] = { "127.0.0.1", "::1", "2001:db8::1", "::" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a = parsed(cases[i]), back;
		struct sockaddr_storage storage;
		uint16_t port;
		socklen_t len = address_to_sockaddr(&a, 8080, &storage);

		assert_int_equal(storage.ss_family, address_is_ipv4(&a) ? AF_INET : AF_INET6);
		assert_int_equal(len, address_is_ipv4(&a) ? sizeof(struct sockaddr_in)
		                                          : sizeof(struct sockaddr_in6));
		address_from_sockaddr(&storage, &back, &port);
		assert_memory_equal(&a, &back, sizeof a);
		assert_int_equal(port, 8080);
	}
}

static void test_sockaddr_bytes(void **state)
{
	struct sockaddr_storage storage = { .ss_family = AF_UNIX };
	struct sockaddr_in four;
	struct address a = parsed("192.0.2.1"), any = parsed("::");
	uint16_t port = 1;

	(void)state;
	address_from_sockaddr(&storage, &a, &port);
	assert_memory_equal(&a, &any, sizeof a);
	assert_int_equal(port, 0);

	a = parsed("192.0.2.1");
	address_to_sockaddr(&a, 80, &storage);
	memcpy(&four, &storage, sizeof four);
	assert_int_equal(four.sin_addr.s_addr, htonl(0xc0000201));
	assert_int_equal(four.sin_port, htons(80));
}

static void test_network(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} cases[] = {
		{ "10.0.0.0/8",      "10.0.0.0",         true  },
		{ "10.0.0.0/8",      "10.255.255.255",   true  },
		{ "10.0.0.0/8",      "::ffff:10.1.2.3",  true  },
		{ "10.0.0.0/8",      "11.0.0.0",         false },
		{ "10.0.0.0/8",      "9.255.255.255",    false },
		{ "10.0.0.0/8",      "0a00::",           false },
		{ "10.9.9.9/8",      "10.1.2.3",         true  },
		{ "192.0.2.128/25",  "192.0.2.128",      true  },
		{ "192.0.2.128/25",  "192.0.2.127",      false },
		{ "192.0.2.1",       "192.0.2.1",        true  },
		{ "192.0.2.1",       "192.0.2.0",        false },
		{ "192.0.2.1/32",    "192.0.2.1",        true  },
		{ "0.0.0.0/0",       "203.0.113.9",      true  },
		{ "0.0.0.0/0",       "2001:db8::1",      false },
		{ "::/0",            "2001:db8::1",      true  },
		{ "::/0",            "203.0.113.9",      true  },
		{ "2001:db8::/32",   "2001:db8:ffff::1", true  },
		{ "2001:db8::/32",   "2001:db9::1",      false },
		{ "2001:db8::/33",   "2001:db8:8000::",  false },
		{ "2001:db8::/33",   "2001:db8:7fff::",  true  },
		{ "[2001:db8::]/32", "2001:db8::1",      true  },
		{ "::1",             "::1",              true  },
		{ "::1",             "::",               false },
		{ "127.0.0.0/8",     "::1",              false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a = parsed(cases[i].address);
		struct network n;

		if (!network_parse(guarded(slice_of(cases[i].network)), &n))
			fail_msg("%s is refused", cases[i].network);
		if (network_has(&n, &a) != cases[i].inside)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

static void test_network_invalid(void **state)
{
	static const char *const cases[] = {
		"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8",
		"10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/0x8", "10.0.0.0/255.0.0.0", "10.0.0/8",
		"10/8", "::/129", "::/", "::g/8", "localhost/8", "unix", "10.0.0.0:80", "*",
		"::ffff:10.0.0.0/129",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct network n;

		if (network_parse(guarded(slice_of(cases[i])), &n))
			fail_msg("%s", cases[i]);
	}
}

static void test_line(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "192.0.2.1",                           "192.0.2.1"           },
		{ "2001:db8:1:2:3:4:5:6",                "2001:db8:1:2::"      },
		{ "2001:db8:1:2:ffff:ffff:ffff:ffff",    "2001:db8:1:2::"      },
		{ "::1",                                 "::"                  },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct address a = parsed(cases[i].in), expected = parsed(cases[i].out);
		struct address line = address_line(&a);

		if (memcmp(&line, &expected, sizeof line) != 0)
			fail_msg("%s", cases[i].in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_write),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_parse_invalid),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_write_full),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_sockaddr_bytes),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_network_invalid),
		cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
