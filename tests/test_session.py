"""Session-Id and /api/login/ through HTTP (oscarapi.md sections 1 to 4; S04 to S15, H34, A08)."""

import base64
import calendar
import concurrent.futures
import hashlib
import threading
import time

import pytest

from conftest import corpora, request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
NOT_PROVIDED = b'{"reason": "Authentication credentials were not provided."}'
ALLOW = "GET, POST, DELETE, HEAD, OPTIONS"
UUID = "82d7ac3f-135c-4b12-a296-ff3c4701307d"

OPEN = {"sid_trust": "any", "login_throttle": "off", "login_throttle_address": "off"}


@pytest.fixture(scope="module")
def server(module_store):
    for login in ("ada", "bob"):
        module_store.customer(login)
    return module_store.serve(**OPEN)


@pytest.fixture(scope="module")
def oscarapi(module_store, server):
    return module_store.serve(**OPEN, sid_grammar="oscarapi", expose_user_details="on")


def realm_of(header):
    """The host under which the header's realm is at home."""
    return header.split(":")[2] or "example.com" if header.count(":") > 2 else "example.com"


# Header, session key under the secret `test-secret`, what comes back; None: malformed. The keys
# are those that oscarapi's own functions gave.
STRICT = [
    ("SID:ANON:example.com:987171879", "5dc5e07dac8cae53e30f38337005eb85ec08270f",
     "SID:ANON:example.com:987171879"),
    ("SID:ANON:example.com:98717-16EF:100", "908e99b2b2668ed274f4880306b8f1bcadc769ac",
     "SID:ANON:example.com:98717"),
    ("SID:ANON:127.0.0.1:koe", "b4119583ae5f5d99e996d1979f0f202d96cdecd3",
     "SID:ANON:127.0.0.1:koe"),
    (f"SID:ANON:www.example.com:{UUID}", "5c9e68dea22e3550457fb70d827331fb9dbabfa7",
     f"SID:ANON:www.example.com:{UUID}"),
    (f"SID:ANON:www.example.com:{UUID}-1f:2a", "5c9e68dea22e3550457fb70d827331fb9dbabfa7",
     f"SID:ANON:www.example.com:{UUID}"),
    ("SID:ANON:Example.COM:abc", "83ba0f04d6fc6669dad50cb1480795ddb3ff22b7",
     "SID:ANON:example.com:abc"),
    ("SID:ANON:example.com:923-thread1", None, None),
    ("SID:ANON:example.com:98717-1-2-3", None, None),
    ("SID:ANON:example.com:98717:100-16EF", None, None),
    ("SID:ANON:www.example.com:82d7ac3f-135c-4b12", None, None),
    ("SID:ANON:127.0.0.1:a b c", None, None),
    ("SID:ANON::koe", None, None),
    ("SID:ANON:127.0.0.1:", None, None),
    ("SID:ANON:127.0.0.1", None, None),
    ("SID:anon:127.0.0.1:koe", None, None),
    ("sid:ANON:127.0.0.1:koe", None, None),
    ("SID:GUEST:127.0.0.1:koe", None, None),
    ("garbage", None, None),
    (":", None, None),
]
OSCARAPI = [
    ("SID:ANON:example.com:98717-16EF:100", "908e99b2b2668ed274f4880306b8f1bcadc769ac",
     "SID:ANON:example.com:98717"),
    ("SID:ANON:example.com:923-thread1", "f7404849da298fc0717247ab6092d1ab96a8b13d",
     "SID:ANON:example.com:923-thread1"),
    (f"SID:ANON:www.example.com:{UUID}", "07fca5b9f0c523fbdbf11c35a947619de0bb2ee7",
     "SID:ANON:www.example.com:82d7ac3f-135c-4b12"),
    ("SID:ANON:www.example.com:82d7ac3f-135c-4b12", "cc02d35ca55e5fced54c07c7b3573fba2acbb971",
     "SID:ANON:www.example.com:82d7ac3f"),
    ("SID:ANON:127.0.0.1:x:y:z", "a55c408c08a0cd5beade56a5670d9c9025a8d8ec",
     "SID:ANON:127.0.0.1:x:y:z"),
    ("SID:ANON:127.0.0.1:a b c", "4079b7d1b1e4a76be113d154b0bf91e4bb37223e",
     "SID:ANON:127.0.0.1:a b c"),
    ("SID:ANON:127.0.0.1:k\xe9", "2e0739d04210bd5ee4c8a0eab7f1cd1449ce19dd",
     "SID:ANON:127.0.0.1:k\xe9"),
    ("SID:ANON:127.0.0.1:k\xc3\xa9", "1df3749c96bc1b622a70c0d22e43793e0d110719",
     "SID:ANON:127.0.0.1:k\xc3\xa9"),
    ("SID:ANON:127.0.0.1:", None, None),
    ("SID:anon:127.0.0.1:koe", None, None),
    ("garbage", None, None),
]


def check_valid(server, header, key, echo):
    host = realm_of(header)
    for path in ("/resolve?require=any", "/session", "/api/login/", "/api/nosuch/"):
        for method in ("GET", "HEAD", "OPTIONS", "PUT"):
            r = server.request(method, path, {"Session-Id": header}, host=host)
            assert r.get("Session-Id") == echo, (method, path, r)
            assert "Session-Id" in r.get("Vary").split(", "), (method, path, r)
    r = server.resolve({"Session-Id": header}, host=host)
    assert (r.status, r.get("X-Session-Key"), r.get("X-Session-Kind")) == (204, key, "guest")


def check_malformed(server, header):
    host = realm_of(header)
    r = server.resolve({"Session-Id": header}, host=host)
    assert r.status == 401 and r.get("X-Resolve-Error") and r.get("Session-Id") is None, r
    r = server.get("/session", {"Session-Id": header}, host=host)
    assert r.status == 400 and r.json["detail"], r
    for method in ("GET", "POST", "DELETE"):
        r = server.request(method, "/api/login/", {"Session-Id": header}, host=host)
        assert r.status == 400 and r.json["reason"], r
        assert r.get("Session-Id") is None


def check_ignored(server, header):
    host = realm_of(header)
    r = server.resolve({"Session-Id": header}, host=host)
    assert (r.status, r.get("X-Session-Kind")) == (204, "none"), r
    assert r.get("Session-Id") is None
    assert server.get("/api/login/", {"Session-Id": header}, host=host).status == 405


@pytest.mark.parametrize("header,key,echo", STRICT, ids=[row[0] for row in STRICT])
def test_strict_grammar(server, header, key, echo):
    """Malformed is 400 with a reason (401 on /resolve); the echo is a fixed point."""
    if key is None:
        check_malformed(server, header)
    else:
        check_valid(server, header, key, echo)
        check_valid(server, echo, key, echo)


@pytest.mark.parametrize("header,key,echo", OSCARAPI, ids=[row[0] for row in OSCARAPI])
def test_oscarapi_grammar(oscarapi, header, key, echo):
    """The original's rule, truncations included; malformed is ignored."""
    if key is None:
        check_ignored(oscarapi, header)
    else:
        check_valid(oscarapi, header, key, echo)


def rows(name):
    lines = corpora("sid", name).read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def check_row(server, header, realm, key, echo):
    """One line of the outside table; AUTH rows are logged in first."""
    kind, rest = header.split(":", 2)[1:]
    anon = {"Session-Id": "SID:ANON:" + rest}
    if kind == "AUTH":
        r = server.resolve({"Session-Id": header}, host=realm)
        assert r.status == 401 and r.get("Session-Id") is None, header
        r = server.request("POST", "/api/login/", anon, {"username": "ada", "password": "ada"},
                           host=realm)
        assert (r.status, r.get("Session-Id")) == (200, echo), header
    r = server.resolve({"Session-Id": header}, host=realm)
    assert (r.status, r.get("X-Session-Key"), r.get("Session-Id")) == (204, key, echo), header
    if kind == "AUTH":
        r = server.request("DELETE", "/api/login/", {"Session-Id": header}, host=realm)
        assert r.status == 200


def test_strict_grammar_outside_data(store):
    """Every line of strict.tsv, with a trusted key."""
    store.customer("ada")
    trusted = {"X-Api-Key": store.key("app", "trusted")}
    server = store.serve()

    class WithKey:
        """The server, asked with the key on every request."""
        @staticmethod
        def request(method, target, headers, *args, **options):
            return server.request(method, target, {**headers, **trusted}, *args, **options)

        @staticmethod
        def resolve(headers, **options):
            return server.resolve({**headers, **trusted}, **options)

    table = rows("strict.tsv")
    assert len(table) > 40
    for header, _, realm, _, _, _, key, echo in table:
        if key != "-":
            check_row(WithKey, header, realm, key, echo)
            check_row(WithKey, echo, realm, key, echo)
            continue
        r = WithKey.resolve({"Session-Id": header}, host=realm_of(header)
                            if realm_of(header).isalnum() else "example.com")
        assert r.status == 401 and r.get("X-Resolve-Error"), header


def test_oscarapi_grammar_outside_data(oscarapi):
    """Every line of oscarapi.tsv; an empty realm is never a host's."""
    table = rows("oscarapi.tsv")
    assert len(table) > 25
    for header, kind, realm, identifier, key in table:
        if key == "-":
            check_ignored(oscarapi, header)
        elif realm == "":
            assert oscarapi.resolve({"Session-Id": header}).status == 403
        else:
            check_row(oscarapi, header, realm, key, f"SID:{kind}:{realm}:{identifier}")


def test_trailing_blanks_are_no_part(server):
    """RFC 9110 section 5.5: blanks around a value are stripped, at both ends."""
    keys = {server.resolve([("Session-Id", text)]).get("X-Session-Key")
            for text in (ANON + "koe", "  " + ANON + "koe", ANON + "koe \t ")}
    assert keys == {"b4119583ae5f5d99e996d1979f0f202d96cdecd3"}


def test_long_identifiers(store):
    """Identifiers up to the size of the head are taken whole."""
    server = store.serve(**OPEN)
    long = ANON + "a" * 7000
    r = server.resolve({"Session-Id": long})
    assert r.status == 204 and r.get("Session-Id") == long
    assert r.get("X-Session-Key") != server.resolve({"Session-Id": long[:-1]}).get("X-Session-Key")


# --- Realm and trust. ---------------------------------------------------------------------------

@pytest.mark.parametrize("realm", ["example.com", "localhost", "127.0.0.2", "[::1]"])
def test_foreign_realm(server, realm):
    """S15: 403 with valid JSON that names the realm, the host and the setting."""
    sid = {"Session-Id": f"SID:ANON:{realm}:koe"}
    for path, member in (("/api/login/", "reason"), ("/api/nosuch/", "reason"),
                         ("/session", "detail"), ("/resolve?require=any", "detail")):
        r = server.get(path, sid)
        assert r.status == 403 and r.get("Session-Id") is None, (path, r)
        for part in (realm, "127.0.0.1", "sid_realms"):
            assert part in r.json[member], (path, r)


@pytest.mark.parametrize("realm", ['a"b\\c', "<b>x</b>", "\xe9", "a\tb", "", "LOCALHOST"])
def test_foreign_realm_of_any_bytes(oscarapi, realm):
    """S15: under oscarapi's grammar a realm is any text, and the JSON is valid all the same."""
    r = oscarapi.get("/api/login/", {"Session-Id": f"SID:ANON:{realm}:koe"}, host="localhost")
    assert r.status == 403 and r.get("Session-Id") is None, r
    assert r.json["reason"].startswith("Can not accept cookie with realm ")


def test_realm_case(server, oscarapi):
    """S15: strict compares in lower case, oscarapi exactly."""
    sid = {"Session-Id": "SID:ANON:Shop.Example:koe"}
    r = server.resolve(sid, host="SHOP.example:8080")
    assert r.status == 204 and r.get("Session-Id") == "SID:ANON:shop.example:koe"
    assert oscarapi.resolve(sid, host="shop.example").status == 403
    assert oscarapi.resolve(sid, host="Shop.Example").status == 204


def test_ipv6_realm(server):
    """S15: an IPv6 address in brackets is a realm, with and without a port."""
    sid = {"Session-Id": "SID:ANON:[::1]:koe"}
    for host in ("[::1]", "[::1]:8080"):
        assert server.resolve(sid, host=host).get("Session-Id") == "SID:ANON:[::1]:koe"


def test_sid_realms(store):
    """sid_realms: those realms whatever the host, and no other."""
    server = store.serve(**OPEN, sid_realms="shop.example,www.shop.example")
    for realm, status in (("shop.example", 204), ("WWW.shop.example", 204),
                          ("127.0.0.1", 403), ("example", 403)):
        assert server.resolve({"Session-Id": f"SID:ANON:{realm}:koe"}).status == status, realm


def test_sid_trust(store):
    """S04: with sid_trust=key a Session-Id needs a key of scope trusted, on every surface."""
    trusted, shop = store.key("app", "trusted"), store.key("web", "shop")
    store.customer("ada")
    server = store.serve()
    sid = {"Session-Id": ANON + "koe"}
    for path in ("/resolve?require=any", "/session", "/api/login/", "/api/nosuch/"):
        for proof in ({}, {"X-Api-Key": shop}):
            r = server.get(path, {**sid, **proof})
            assert r.status == 403 and r.get("Session-Id") is None, (path, r)
            assert r.json
        assert server.get(path, {**sid, "X-Api-Key": trusted}).status != 403, path
    assert server.login(ANON + "koe", "ada").status == 403
    r = server.login(ANON + "koe", "ada", headers={"X-Api-Key": trusted})
    assert r.status == 200
    auth = {"Session-Id": AUTH + "koe"}
    assert server.get("/api/login/", auth).status == 403, "a live session opens nothing by itself"


def test_cookies_are_not_looked_at(server):
    """S04: with a Session-Id no cookie counts, and none is ever set (checked on every answer)."""
    for cookie in ("sessionid=abc", "sidecart_session=abc", "csrftoken=x; sessionid=" + "0" * 40):
        r = server.resolve({"Session-Id": ANON + "koe", "Cookie": cookie})
        assert (r.status, r.get("X-Session-Kind")) == (204, "guest")


# --- oscarapi.md section 3: what comes back in Session-Id. ----------------------------------------

def test_echo_table(store):
    """The table of section 3, line by line, but its last two: those are 401 and absent."""
    for login in ("ada", "eve", "dot"):
        store.customer(login)
    server = store.serve(**OPEN, expose_user_details="on")

    def ask(method, header, body=None):
        r = server.request(method, "/api/login/", {"Session-Id": header} if header else {}, body)
        return r.status, r.get("Session-Id")

    good = {"username": "ada", "password": "ada"}
    bad = {"username": "ada", "password": "bad"}
    assert ask("GET", None) == (405, None)
    assert ask("GET", ANON + "x") == (405, ANON + "x")
    assert ask("POST", ANON + "x", bad) == (401, ANON + "x")
    assert ask("POST", ANON + "x", {}) == (401, ANON + "x")
    assert ask("POST", ANON + "x", b"{") [1] == ANON + "x"
    assert ask("POST", ANON + "x", good) == (200, AUTH + "x")
    assert ask("GET", AUTH + "x") == (200, AUTH + "x")
    assert ask("PUT", AUTH + "x") == (405, AUTH + "x")
    assert ask("POST", AUTH + "x", good) == (405, AUTH + "x")
    assert ask("POST", AUTH + "x", bad) == (401, AUTH + "x")
    assert ask("GET", ANON + "x") == (405, ANON + "x")
    assert ask("DELETE", AUTH + "x") == (200, None)
    assert ask("GET", AUTH + "x") == (401, None)
    assert ask("POST", AUTH + "x", good) == (401, None)
    assert ask("DELETE", AUTH + "x") == (401, None)
    assert ask("DELETE", ANON + "x") == (200, None)
    assert ask("DELETE", ANON + "never") == (200, None)
    assert ask("DELETE", None) == (200, None)
    assert ask("GET", "SID:ANON:example.com:x") == (403, None)
    for login, end in (("eve", ("disable",)), ("dot", ("delete",))):
        assert server.login(ANON + login, login).status == 200
        store.run("customer", *end, login)
        assert ask("GET", AUTH + login) == (401, None)
    assert server.login(ANON + "x", "ada").status == 200
    store.run("customer", "set-password", "ada", "--password-stdin",
              "--password-iterations=1000", stdin="new\n")
    assert ask("GET", AUTH + "x") == (401, None)
    assert server.login(ANON + "x", "ada").status == 401
    assert server.login(ANON + "x", "ada", "new").status == 200


# --- oscarapi.md section 4: /api/login/. ----------------------------------------------------------

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REQUIRED = b'{"username":["This field is required."],"password":["This field is required."]}'
INVALID = b'{"non_field_errors":["invalid login"]}'

LOGIN_ANSWERS = [
    ("no body", {}, None, 401, REQUIRED),
    ("empty object", JSON, b"{}", 401, REQUIRED),
    ("one field", JSON, b'{"username":"ada"}', 401,
     b'{"password":["This field is required."]}'),
    ("blank", JSON, b'{"username":"","password":""}', 401,
     b'{"username":["This field may not be blank."],"password":["This field may not be blank."]}'),
    ("blanks only", JSON, b'{"username":"  ","password":"ada"}', 401,
     b'{"username":["This field may not be blank."]}'),
    ("null", JSON, b'{"username":"ada","password":null}', 401,
     b'{"password":["This field may not be null."]}'),
    ("malformed", JSON, b'{"username"', 400,
     b'{"detail":"JSON parse error - Expecting \':\' delimiter: line 1 column 12 (char 11)"}'),
    ("no JSON", JSON, b"username", 400,
     b'{"detail":"JSON parse error - Expecting value: line 1 column 1 (char 0)"}'),
    ("a list", JSON, b"[]", 401,
     b'{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}'),
    ("other media type", {"Content-Type": "text/plain"}, b"{}", 415,
     b'{"detail":"Unsupported media type \\"text/plain\\" in request."}'),
    ("wrong password", JSON, b'{"username":"ada","password":"bad"}', 401, INVALID),
    ("unknown login", JSON, b'{"username":"nobody","password":"bad"}', 401, INVALID),
    ("login in other case", JSON, b'{"username":"ADA","password":"ada"}', 401, INVALID),
    ("form, empty", FORM, b"", 401, REQUIRED),
    ("form, wrong", FORM, b"username=ada&password=bad", 401, INVALID),
    ("form, good", FORM, b"username=ada&password=ada", 200, b'""'),
    ("form, encoded", FORM, b"username=%61da&password=a%64a", 200, b'""'),
    ("JSON, good", JSON, b'{"username":"ada","password":"ada"}', 200, b'""'),
    ("JSON, charset", {"Content-Type": "application/json; charset=utf-8"},
     b'{"username":"ada","password":"ada"}', 200, b'""'),
    ("JSON, more members", JSON, b'{"username":"ada","password":"ada","next":"/x"}', 200, b'""'),
]


@pytest.mark.parametrize("headers,body,status,answer", [row[1:] for row in LOGIN_ANSWERS],
                         ids=[row[0] for row in LOGIN_ANSWERS])
def test_login_answers(server, headers, body, status, answer):
    """Statuses and bodies of section 4, byte for byte."""
    r = server.request("POST", "/api/login/", {"Session-Id": ANON + "answers", **headers}, body)
    assert (r.status, r.body) == (status, answer)
    assert r.get("Content-Type") == "application/json"
    assert r.get("Allow") == ALLOW
    assert r.get("WWW-Authenticate") is None


def test_order_of_checks(server):
    """Parse, fields, password, already logged in."""
    server.login(ANON + "order", "ada")
    auth = {"Session-Id": AUTH + "order", **JSON}

    def ask(body):
        r = server.request("POST", "/api/login/", auth, body)
        return r.status, r.body
    assert ask(b"{")[0] == 400
    assert ask(b"{}") == (401, REQUIRED)
    assert ask(b'{"username":"bob","password":"bad"}') == (401, INVALID)
    for login in (b"bob", b"ada"):
        assert ask(b'{"username":"%s","password":"%s"}' % (login, login)) == (
            405, b'{"detail":"Session is in use, log out first"}')
    assert server.resolve({"Session-Id": AUTH + "order"}).get("X-Customer-Login") == "ada"


def test_get_login(server, oscarapi):
    """405 for the anonymous; 204, or the user's details where expose_user_details is on."""
    assert server.login(ANON + "details", "ada").status == 200
    r = server.get("/api/login/", {"Session-Id": ANON + "details"})
    assert (r.status, r.body) == (405, b'{"detail":"Method \\"GET\\" not allowed."}')
    assert r.get("Allow") == ALLOW
    r = server.get("/api/login/", {"Session-Id": AUTH + "details"})
    assert (r.status, r.body, r.get("Session-Id")) == (204, b"", AUTH + "details")
    r = oscarapi.get("/api/login/", {"Session-Id": AUTH + "details"})
    assert r.status == 200 and list(r.json) == ["username", "email", "date_joined"]
    assert (r.json["username"], r.json["email"]) == ("ada", "ada@example.com")
    time.strptime(r.json["date_joined"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert b" " not in r.body


def test_logout(server):
    """DELETE is 200 with or without a session; S08: nothing succeeds after its answer."""
    for sid in (None, ANON + "out", ANON + "never"):
        r = server.request("DELETE", "/api/login/", {"Session-Id": sid} if sid else {})
        assert (r.status, r.body) == (200, b'""') and r.get("Session-Id") is None
    assert server.login(ANON + "out", "ada").status == 200
    with server.wire() as wire:  # a connection that was there before
        wire.send(request_bytes("GET", "/session", {"Session-Id": AUTH + "out"})).response()
        r = server.request("DELETE", "/api/login/", {"Session-Id": AUTH + "out"})
        assert (r.status, r.body) == (200, b'""')
        wire.send(request_bytes("GET", "/api/login/", {"Session-Id": AUTH + "out"}))
        r = wire.response()
    assert (r.status, r.body) == (401, NOT_PROVIDED)


def test_auth_comes_from_anon_alone(server):
    """AUTH without a live record is 401 on any path, logins and unknown paths included."""
    sid = {"Session-Id": AUTH + "ghost"}
    for method, path in (("GET", "/api/login/"), ("POST", "/api/login/"),
                         ("DELETE", "/api/login/"), ("GET", "/api/nosuch/")):
        r = server.request(method, path, sid)
        assert (r.status, r.body) == (401, NOT_PROVIDED), (method, path)
        assert r.get("WWW-Authenticate") is None and r.get("Session-Id") is None
    assert server.get("/session", sid).status == 401
    assert server.resolve(sid).status == 401


def test_takeover(server):
    """Fault 11, the documented part: an ANON login moves the AUTH session to its new owner."""
    assert server.login(ANON + "moved", "ada").status == 200
    assert server.login(ANON + "moved", "bob").status == 200
    assert server.resolve({"Session-Id": AUTH + "moved"}).get("X-Customer-Login") == "bob"


def test_anon_is_free_again_after_login(server):
    """S14: ANON and AUTH of one identifier are unrelated keys."""
    assert server.login(ANON + "both", "ada").status == 200
    anon = server.resolve({"Session-Id": ANON + "both"})
    auth = server.resolve({"Session-Id": AUTH + "both"})
    assert anon.get("X-Session-Kind") == "guest" and auth.get("X-Session-Kind") == "customer"
    assert anon.get("X-Customer-Id") == "-"
    assert anon.get("X-Session-Key") != auth.get("X-Session-Key")


def test_no_basic(server):
    """HTTP Basic logs nobody in."""
    value = "Basic " + base64.b64encode(b"ada:ada").decode()
    r = server.get("/api/login/", {"Session-Id": ANON + "b", "Authorization": value})
    assert r.status == 405


# --- Passwords. -----------------------------------------------------------------------------------

def django_hash(password, iterations=1000, salt="seasalt"):
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations)
    return f"pbkdf2_sha256${iterations}${salt}${base64.b64encode(digest).decode()}"


def test_django_hash(store):
    """A08: a hash as Django makes it checks out, and is made anew where its count is lower."""
    store.run("customer", "add", "ada", "--hash", django_hash("pässword"))
    server = store.serve(**{**OPEN, "password_iterations": 3000})
    assert server.login(ANON + "a", "ada", "password").status == 401
    assert server.login(ANON + "a", "ada", "pässword").status == 200
    assert server.login(ANON + "a", "ada", "pässword").status == 200
    assert server.resolve({"Session-Id": AUTH + "a"}).status == 204


@pytest.mark.parametrize("hashed", [
    "", "md5$a$b", "pbkdf2_sha1$1$a$b", "pbkdf2_sha256$0$a$b", "pbkdf2_sha256$x$a$b",
    django_hash("a").replace("$1000$", "$2000001$"), django_hash("a") + "$more",
    "pbkdf2_sha256$1000$$AAAA", "argon2$argon2id$v=19$m=1"])
def test_hashes_refused(store, hashed):
    """A08: other algorithms, a count over 2,000,000 and broken text are refused."""
    assert store.run("customer", "add", "ada", "--hash", hashed, code=1) == ""
    assert "pbkdf2_sha256" in store.errors


def test_customer_without_password(store):
    """No password: no login, and no hint of it."""
    store.run("customer", "add", "ada", "--no-password")
    server = store.serve(**OPEN)
    for password in ("ada", "!", "-", "None"):
        r = server.login(ANON + "a", "ada", password)
        assert (r.status, r.body) == (401, INVALID)


def test_unknown_login_looks_like_a_wrong_password(store):
    """A08, S12: same status, fields and body."""
    store.customer("ada")
    store.customer("off")
    store.run("customer", "disable", "off")
    store.run("customer", "add", "none", "--no-password")
    server = store.serve(**OPEN)
    answers = []
    for login in ("ada", "nobody", "off", "none"):
        r = server.login(ANON + "same", login, "wrong")
        answers.append((r.status, r.body, [f for f in r.fields if f[0] != "Date"]))
    assert answers == [answers[0]] * 4


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[11])


def test_unknown_login_costs_a_check(store):
    """A08: unknown, disabled and password-less logins cost the hasher as much as a wrong one."""
    hard = "--password-iterations=400000"
    store.run("customer", "add", "ada", "--password-stdin", hard, stdin="ada\n")
    store.run("customer", "add", "off", "--password-stdin", hard, stdin="off\n")
    store.run("customer", "disable", "off")
    store.run("customer", "add", "none", "--no-password")
    store.run("customer", "add", "weak", "--hash", django_hash("weak"))
    server = store.serve(**{**OPEN, "password_iterations": 400000})
    assert server.login(ANON + "a", "ada", "wrong").status == 401  # starts the hasher
    hasher, = server.child("hasher")
    cost = {}
    # The least of some rounds: what else the machine does makes a check dearer, never cheaper.
    for login in ("ada", "nobody", "off", "none", "weak") * 4:
        before = cpu_ticks(hasher)
        for _ in range(3):
            assert server.login(ANON + "a", login, "wrong").status == 401
        ticks = cpu_ticks(hasher) - before
        cost[login] = min(ticks, cost.get(login, ticks))
    assert min(cost.values()) > 10, cost
    assert max(cost.values()) < 1.5 * min(cost.values()), cost


def test_login_throttle(store):
    """Failed logins per (login, address): 429 with Retry-After; a good one clears the count."""
    store.customer("ada")
    store.customer("bob")
    server = store.serve(sid_trust="any", login_throttle="3/10m")
    for _ in range(2):
        assert server.login(ANON + "t", "ada", "bad").status == 401
    assert server.login(ANON + "t", "ada").status == 200
    for _ in range(3):
        assert server.login(ANON + "t", "ada", "bad").status == 401
    for password in ("bad", "ada"):
        r = server.login(ANON + "t", "ada", password)
        assert r.status == 429 and 0 < int(r.get("Retry-After")) <= 600
        assert r.json["detail"] and r.get("Session-Id") == ANON + "t"
    assert server.login(ANON + "t", "bob").status == 200, "another login goes on"
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}
    assert server.login(ANON + "t", "ada", headers=elsewhere).status == 200


def test_login_throttle_window(store, clock):
    """The window ends by itself, when Retry-After said."""
    store.customer("ada")
    server = store.serve(sid_trust="any", login_throttle="1/10m")
    assert server.login(ANON + "t", "ada", "bad").status == 401
    for by_s, left_s in ((0, "600"), (599, "1")):
        clock.later(by_s)
        r = server.login(ANON + "t", "ada")
        assert (r.status, r.get("Retry-After")) == (429, left_s)
    clock.later(1)
    assert server.login(ANON + "t", "ada").status == 200


def test_login_throttle_address(store):
    """Failed logins per address, whatever the login; unknown ones count; IPv6 by its /64."""
    store.customer("ada")
    server = store.serve(sid_trust="any", login_throttle="off", login_throttle_address="4/10m")

    def ask(address, i, login="nobody"):
        return server.login(ANON + "t", f"{login}{i}", "ada",
                            {"X-Forwarded-For": address}).status
    assert [ask("192.0.2.1", i) for i in range(5)] == [401] * 4 + [429]
    assert ask("192.0.2.2", 0) == 401
    assert [ask(f"2001:db8::{i + 1}", i) for i in range(5)] == [401] * 4 + [429]
    assert ask("2001:db8:0:1::1", 0) == 401
    assert ask("192.0.2.1", "", "ada") == 429


def test_login_throttle_under_a_trusted_key(store):
    """Under a trusted key without a forwarded address only the login counts."""
    store.customer("ada")
    key = {"X-Api-Key": store.key("app", "trusted")}
    server = store.serve(login_throttle="2/10m", login_throttle_address="3/10m")
    for i in range(6):
        assert server.login(ANON + "t", f"nobody{i}", "bad", key).status == 401
    assert server.login(ANON + "t", "ada", headers=key).status == 200
    assert [server.login(ANON + "t", "eve", "bad", key).status for _ in range(3)] == [401, 401, 429]


def test_waiting_passwords_are_bounded(store):
    """Over max_waiting_passwords: 429 with Retry-After, and nothing piles up."""
    store.run("customer", "add", "ada", "--password-stdin", "--password-iterations=300000",
              stdin="ada\n")
    server = store.serve(**{**OPEN, "password_iterations": 300000, "max_waiting_passwords": 2})
    wires = [server.wire().send(request_bytes(
        "POST", "/api/login/", {"Session-Id": f"{ANON}q{i}"},
        {"username": "ada", "password": "ada"})) for i in range(12)]
    answers = [wire.response() for wire in wires]
    for wire in wires:
        wire.socket.close()
    assert {r.status for r in answers} == {200, 429}
    for r in answers:
        assert r.status == 200 or int(r.get("Retry-After")) > 0
    assert server.login(ANON + "q", "ada").status == 200


# --- Ends of sessions. ----------------------------------------------------------------------------

def ended(server, identifier):
    r = server.get("/api/login/", {"Session-Id": AUTH + identifier})
    return (r.status, r.body) == (401, NOT_PROVIDED)


def test_commands_end_sessions_at_once(store):
    """S09: what a command beside the server changes holds from the next request on."""
    for login in ("ada", "bob"):
        store.customer(login)
    server = store.serve(**OPEN)
    with server.wire() as wire:
        def alive():
            wire.send(request_bytes("GET", "/session", {"Session-Id": AUTH + "e"}))
            return wire.response().status == 200
        for end in (["customer", "disable", "ada"],
                    ["customer", "delete", "ada"],
                    ["session", "revoke", "--customer", "ada"],
                    ["session", "revoke", "--all"],
                    ["customer", "set-password", "ada", "--hash", django_hash("ada")]):
            if not store.records("customer", "list") or "ada" not in str(
                    store.records("customer", "list")):
                store.customer("ada")
            store.run("customer", "enable", "ada")
            assert server.login(ANON + "e", "ada").status == 200
            assert alive()
            store.run(*end)
            assert not alive(), end
        assert server.login(ANON + "e", "ada").status == 200
        key = server.resolve({"Session-Id": AUTH + "e"}).get("X-Session-Key")
        assert server.login(ANON + "f", "ada").status == 200
        store.run("session", "revoke", key)
        assert not alive()
        assert not ended(server, "f")


@pytest.mark.parametrize("end", [["disable", "ada"], ["delete", "ada"],
                                 ["set-password", "ada", "--hash", django_hash("new")]])
def test_no_login_survives_beside(store, end):
    """S09: whatever logins run beside: after the command's end none of their sessions lives."""
    store.customer("ada")
    sso = {"X-Api-Key": store.key("sso", "trusted,login")}
    server = store.serve(**OPEN, password_iterations=1000, max_sessions_per_customer=0)
    over, by_password = threading.Event(), end[0] == "set-password"

    def keep_logging_in(worker):
        made = []
        while not over.is_set():
            name = f"w{worker}n{len(made)}"
            if by_password or worker % 2:
                server.login(ANON + name, "ada")
            else:
                server.request("POST", "/session/login", {**sso, "Session-Id": ANON + name},
                               {"login": "ada"})
            made.append(name)
        return made

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(keep_logging_in, i) for i in range(4)]
        try:
            wait_until(lambda: len(store.records("session", "list")) > 100, "logins")
            store.run("customer", *end)
            time.sleep(0.2)
        finally:
            over.set()
        names = [name for w in workers for name in w.result()]
    assert store.records("session", "list") == []
    assert all(ended(server, name) for name in names[-50:])
    store.run("check")


def test_disabled_customer_stays_out(store):
    """S09: enabling again revives no session."""
    store.customer("ada")
    server = store.serve(**OPEN)
    server.login(ANON + "d", "ada")
    store.run("customer", "disable", "ada")
    assert server.login(ANON + "d", "ada").body == INVALID
    store.run("customer", "enable", "ada")
    assert ended(server, "d")
    assert server.login(ANON + "d", "ada").status == 200


def test_deleted_customer_leaves_nothing(store):
    """A customer made anew under the same login is another one."""
    first = store.customer("ada")
    server = store.serve(**OPEN)
    server.login(ANON + "d", "ada")
    store.run("customer", "delete", "ada")
    assert store.records("session", "list") == []
    second = store.customer("ada")
    assert second != first
    assert ended(server, "d")


def test_idle_expiry(store, clock):
    """S06: enforced at read, to the second; a look in the last one renews."""
    store.customer("ada")
    server = store.serve(**OPEN, session_ttl="10m")
    for name in ("i", "j", "k"):
        server.login(ANON + name, "ada")
    clock.later(599)
    assert not ended(server, "k")
    clock.later(1)
    assert ended(server, "i")
    assert server.resolve({"Session-Id": AUTH + "j"}).status == 401


def expires_s(store):
    """When the one session of a store does."""
    session, = store.records("session", "list")
    return calendar.timegm(time.strptime(session["expires"], "%Y-%m-%dT%H:%M:%SZ"))


def test_use_renews_and_the_maximum_ends(store, clock):
    """S06: a session in use outlives session_ttl, also where only /resolve sees it, and ends at
    session_max all the same, to the second."""
    store.customer("ada")
    server = store.serve(**OPEN, session_ttl="10m", session_max="28m")
    server.login(ANON + "u", "ada")
    most_s = clock.now_s + 1680
    for by_s in (0, 599, 599):
        clock.later(by_s)
        assert server.resolve({"Session-Id": AUTH + "u"}).status == 204
        wait_until(lambda: expires_s(store) == min(clock.now_s + 600, most_s), "its renewal")
    for by_s, status in ((most_s - clock.now_s - 1, 204), (1, 401)):
        clock.later(by_s)
        assert server.resolve({"Session-Id": AUTH + "u"}).status == status


def test_renewals_are_few(store, clock):
    """At most ten writes in a lifetime, however often a session is used."""
    store.customer("ada")
    server = store.serve(**OPEN, session_ttl="100s")
    server.login(ANON + "r", "ada")

    def commits():
        return store.records("stat")[0]["last_snapshot"]
    before, begun_s = commits(), clock.now_s
    writer, = server.child("writer")
    use = request_bytes("GET", "/resolve", {"Session-Id": AUTH + "r"})
    wrong = request_bytes("POST", "/api/login/", {"Session-Id": ANON + "w"},
                          {"username": "ada", "password": "wrong"})
    with server.wire() as wire:
        for second in range(1, 41):
            clock.later(1)
            if second % 10 == 0:
                server.turn({server.pid, *server.children()} - {writer})    # it keeps its time, too
            for _ in range(3):
                wire.send(use)
                assert wire.response().status == 204
            if second % 10 == 0:    # no time passes before the writer, which takes it last, is done
                wire.send(wrong)
                assert wire.response().status == 401
    wait_until(lambda: expires_s(store) - begun_s - 100 in range(31, 41), "the last renewal on disk")
    assert commits() - before == 4, "one write in ten seconds of a life of a hundred"


def test_expired_sessions_are_swept(store, clock):
    """What expired leaves the store by itself."""
    store.customer("ada")
    server = store.serve(**OPEN, session_ttl="10m")
    for i in range(5):
        server.login(f"{ANON}s{i}", "ada")
    assert len(store.records("session", "list")) == 5
    clock.later(600)
    assert store.records("session", "list") == []

    def swept():  # five sessions are fifteen entries
        return store.records("stat")[0]["entries"] < 12
    wait_until(swept, "the sweep")


def test_max_sessions_per_customer(store, clock):
    """S10: over the maximum the oldest goes, and only of that customer."""
    for login in ("ada", "bob"):
        store.customer(login)
    server = store.serve(**OPEN, max_sessions_per_customer=3)
    server.login(ANON + "bobs", "bob")
    for i in range(5):
        assert server.login(f"{ANON}m{i}", "ada").status == 200
        clock.later(1)      # the age counts in seconds
    assert [ended(server, f"m{i}") for i in range(5)] == [True, True, False, False, False]
    assert not ended(server, "bobs")


def test_anonymous_traffic_stores_nothing(store):
    """S13, S17: no record without something to keep; resolving costs no write."""
    server = store.serve(**OPEN)
    before = store.records("stat")[0]
    for i in range(200):
        for path in ("/resolve?require=any", "/api/login/", "/api/nosuch/", "/session"):
            server.get(path, {"Session-Id": f"{ANON}n{i}"})
    after = store.records("stat")[0]
    # The clock is kept now and then: a record of its own, and a commit.
    assert after["entries"] - before["entries"] <= 1
    assert after["last_snapshot"] - before["last_snapshot"] <= 2


# --- Races. ---------------------------------------------------------------------------------------

def together(jobs):
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [f.result() for f in [pool.submit(job) for job in jobs]]


def test_parallel_logins_of_one_identifier(store):
    """Fault 4: 60 logins at once, one outcome: no 500, one session."""
    for login in ("ada", "bob"):
        store.customer(login)
    server = store.serve(**OPEN, workers=2)
    for round_ in range(3):
        sid = f"{ANON}race{round_}"
        answers = together([lambda i=i: server.login(sid, ("ada", "bob")[i % 2])
                            for i in range(60)])
        assert [r.status for r in answers] == [200] * 60
        assert len(store.records("session", "list")) == round_ + 1
        owner = server.resolve({"Session-Id": sid.replace("ANON", "AUTH")}).get("X-Customer-Login")
        assert owner in ("ada", "bob")


def test_parallel_first_requests(store):
    """Fault 4: 60 first requests of one identifier."""
    server = store.serve(**OPEN, workers=2)
    answers = together([lambda: server.get("/api/login/", {"Session-Id": ANON + "first"})
                        for _ in range(60)])
    assert [r.status for r in answers] == [405] * 60
    assert store.records("session", "list") == []


def test_parallel_login_and_logout(store):
    """Every answer is one of a serial order; in the end the store is what the last one says."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2)

    def login():
        return server.login(ANON + "ll", "ada").status

    def logout():
        return server.request("DELETE", "/api/login/", {"Session-Id": AUTH + "ll"}).status
    for _ in range(5):
        assert set(together([login, logout] * 15)) <= {200, 401}
        live = server.resolve({"Session-Id": AUTH + "ll"}).status == 204
        assert len(store.records("session", "list")) == int(live)
    assert login() == 200 and logout() == 200
    assert store.records("session", "list") == []


# --- POST /session/login. -------------------------------------------------------------------------

def test_session_login(store):
    """A key of scope `login` signs a customer in without a password."""
    store.customer("ada")
    store.run("customer", "add", "none", "--no-password")
    key = {"X-Api-Key": store.key("sso", "trusted,login")}
    server = store.serve()

    def ask(sid, body, headers=key):
        return server.request("POST", "/session/login", {**headers, **(
            {"Session-Id": sid} if sid else {})}, body)
    r = ask(ANON + "sso", {"login": "ada"})
    assert r.status == 200 and r.get("Session-Id") == AUTH + "sso", r
    assert (r.json["session_kind"], r.json["customer_login"]) == ("customer", "ada")
    r = server.resolve({"Session-Id": AUTH + "sso", **key})
    assert (r.status, r.get("X-Customer-Login")) == (204, "ada")
    assert ask(ANON + "sso", {"login": "none"}).status == 200
    assert ask(None, {"login": "ada"}).cookies, "without a Session-Id, a cookie session"
    assert ask(AUTH + "sso", {"login": "ada"}).status == 400, "AUTH is none"
    assert ask(AUTH + "dead", {"login": "ada"}).status == 401
    assert 400 <= ask(ANON + "x", {"login": "nobody"}).status < 500
    for body in ({}, {"login": None}, {"login": 1}, [], b"{"):
        assert ask(ANON + "x", body).status in (400, 415), body
    store.run("customer", "disable", "ada")
    assert 400 <= ask(ANON + "x", {"login": "ada"}).status < 500
    assert server.resolve({"Session-Id": AUTH + "x", **key}).status == 401


def test_session_login_needs_the_scope(store):
    """Scopes deny by default."""
    store.customer("ada")
    server = store.serve(sid_trust="any")
    for headers in ({}, {"X-Api-Key": store.key("app", "trusted")},
                    {"X-Api-Key": store.key("web", "shop")}):
        r = server.request("POST", "/session/login", {"Session-Id": ANON + "x", **headers},
                           {"login": "ada"})
        assert r.status == 403, r
    assert server.resolve({"Session-Id": AUTH + "x"}).status == 401
