"""Cookie sessions, CSRF, session data and CORS, end to end (S01 to S05, S08, S10, K01 to K10)."""

import concurrent.futures
import re
import threading
import time

import pytest

from conftest import WAIT_S, Wire, request_bytes, wait_until

COOKIE, CSRF = "sidecart_session", "sidecart_csrf"
ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
OPEN = {"login_throttle": "off", "login_throttle_address": "off"}
PROXY = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")]
GRACE_S = 10            # of a guest's id, once it was logged in with
CSRF_FAILED = '{"detail":"CSRF Failed: %s"}'


class Browser:
    """Keeps the cookies that a server sets, and sends them back with the CSRF token."""

    def __init__(self, server, names=(COOKIE, CSRF)):
        self.server, self.names, self.jar = server, names, {}

    @property
    def id(self):
        return self.jar.get(self.names[0])

    def headers(self, proof=True):
        headers = []
        if self.jar:
            headers.append(("Cookie", "; ".join(f"{n}={v}" for n, v in self.jar.items())))
        if proof and self.names[1] in self.jar:
            headers.append(("X-CSRFToken", self.jar[self.names[1]]))
        return headers

    def take(self, r):
        for name, (value, attributes) in r.cookies.items():
            if "Max-Age=0" in attributes:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return r

    def request(self, method, target, headers=(), body=None, proof=True, **options):
        return self.take(self.server.request(
            method, target, [*self.headers(proof), *headers], body, **options))

    def login(self, login, password=None, headers=(), **options):
        return self.request("POST", "/api/login/", headers,
                            {"username": login, "password": password or login}, **options)

    def logout(self, **options):
        return self.request("DELETE", "/api/login/", **options)

    def data(self):
        return self.request("GET", "/session/data")

    def patch(self, patch, headers=(), **options):
        return self.request("PATCH", "/session/data", headers, patch, **options)

    def copy(self, server=None):
        other = Browser(server or self.server, self.names)
        other.jar = dict(self.jar)
        return other


def who(server, cookie_id, name=COOKIE):
    """Kind and login of whoever has this cookie."""
    r = server.resolve([("Cookie", f"{name}={cookie_id}")])
    assert r.status == 204, r
    return r.get("X-Session-Kind"), r.get("X-Customer-Login")


@pytest.fixture(scope="module")
def server(module_store):
    for login in ("ada", "bob"):
        module_store.customer(login)
    return module_store.serve(**OPEN)


@pytest.fixture
def browser(server):
    return Browser(server)


# --- Names and attributes. ------------------------------------------------------------------------

LOCAL = ["Path=/", "Max-Age=7776000", "HttpOnly", "SameSite=Lax"]


def secured(attributes):
    return [*attributes[:2], *(a for a in attributes[2:] if a.startswith("Domain=")), "Secure",
            *(a for a in attributes[2:] if not a.startswith("Domain="))]


SETTINGS = {
    "default": ({}, LOCAL),
    "Strict": ({"cookie_samesite": "Strict"}, [*LOCAL[:3], "SameSite=Strict"]),
    "None": ({"cookie_samesite": "None", "cookie_secure": "on"},
             secured([*LOCAL[:3], "SameSite=None"])),
    "secure": ({"cookie_secure": "on"}, secured(LOCAL)),
    "insecure": ({"cookie_secure": "off"}, LOCAL),
    "domain": ({"cookie_domain": "shop.example"},
               [*LOCAL[:2], "Domain=shop.example", *LOCAL[2:]]),
    "__Host-": ({"cookie_name": "__Host-sidecart", "cookie_secure": "on"}, secured(LOCAL)),
    "life": ({"session_max": "20d"}, [LOCAL[0], "Max-Age=1728000", *LOCAL[2:]]),
    "400 days at most": ({"session_max": "500d"}, [LOCAL[0], "Max-Age=34560000", *LOCAL[2:]]),
    "Django's names": ({"cookie_name": "sessionid", "csrf_cookie_name": "csrftoken"}, LOCAL),
}


@pytest.mark.parametrize("settings,attributes", SETTINGS.values(), ids=SETTINGS)
def test_attributes(store, settings, attributes):
    """K01, K04, K08: as set; a deletion repeats them with Max-Age=0."""
    store.customer("ada")
    server = store.serve(**settings)
    names = settings.get("cookie_name", COOKIE), settings.get("csrf_cookie_name", CSRF)
    browser = Browser(server, names)
    r = browser.login("ada")
    assert (r.status, r.body, list(r.cookies)) == (200, b'""', list(names)), r
    value, found = r.cookies[names[0]]
    assert found == attributes
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
    token, found = r.cookies[names[1]]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert found == [a if not a.startswith("Max-Age") else "Max-Age=31449600"
                     for a in attributes if a != "HttpOnly"]
    assert who(server, value, names[0]) == ("customer", "ada")
    r = browser.logout()
    assert r.status == 200 and list(r.cookies) == [names[0]]
    assert r.cookies[names[0]] == (
        "", [a if not a.startswith("Max-Age") else "Max-Age=0" for a in attributes])


REFUSED = {
    "K02 domain": {"cookie_name": "__Host-a", "cookie_secure": "on",
                   "cookie_domain": "shop.example"},
    "K02 auto": {"cookie_name": "__Host-a"},
    "K02 off": {"csrf_cookie_name": "__Host-a", "cookie_secure": "off"},
    "__Secure-": {"cookie_name": "__Secure-a", "cookie_secure": "off"},
    "K05": {"cookie_name": "__HoSt-a", "cookie_secure": "on"},
    "K03": {"cookie_samesite": "None"},
    "one name": {"cookie_name": "a", "csrf_cookie_name": "a"},
    "blank": {"cookie_name": "a b"},
    "equals": {"cookie_name": "a=b"},
    "empty": {"cookie_name": ""},
    "origin with a path": {"csrf_origins": "https://a.test/"},
    "origin without scheme": {"cors_origins": "a.test"},
    "any origin": {"cors_origins": "*"},
}


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_refused_settings(store, settings):
    store.run("serve", *(f"--{n}={v}" for n, v in settings.items()), code=100)
    assert store.errors.count("\n") == 1


@pytest.mark.parametrize("peers,headers,host,secure", [
    ("127.0.0.0/8", [], "127.0.0.1", False),
    ("127.0.0.0/8", [], "127.0.0.1:8080", False),
    ("127.0.0.0/8", [], "localhost", False),
    ("127.0.0.0/8", [], "LOCALHOST:3000", False),
    ("127.0.0.0/8", [], "shop.localhost", False),
    ("127.0.0.0/8", [], "[::1]:8080", False),
    ("127.0.0.0/8", [], "notlocalhost", True),
    ("127.0.0.0/8", [], "localhost.example", True),
    ("127.0.0.0/8", [], "shop.example", True),
    ("127.0.0.0/8", [], "192.168.1.2", True),
    ("127.0.0.0/8", [("X-Forwarded-Proto", "https")], "localhost", True),
    ("127.0.0.0/8", [("X-Forwarded-Proto", "http")], "localhost", False),
    ("127.0.0.0/8", [("X-Forwarded-Host", "shop.example")], "localhost", True),
    ("192.0.2.0/24", [("X-Forwarded-Proto", "https")], "localhost", False),
    ("192.0.2.0/24", [("X-Forwarded-Host", "localhost")], "shop.example", True),
], ids=str)
def test_secure_auto(module_store, server, peers, headers, host, secure):
    """Secure unless it came over plain HTTP to a loopback name, as far as is known."""
    one = server if peers == "127.0.0.0/8" else serve_once(module_store, trusted_proxies=peers)
    r = Browser(one).login("ada", headers=headers, host=host)
    assert r.status == 200
    assert {("Secure" in attributes) for _, attributes in r.cookies.values()} == {secure}


def serve_once(store, **settings):
    """A second server over the store, one for each set of settings."""
    key = str(sorted(settings.items()))
    if key not in SERVED:
        SERVED[key] = store.serve(**OPEN, **settings)
    return SERVED[key]


SERVED = {}


# --- Ids. -----------------------------------------------------------------------------------------

def test_ids_are_random_and_stored_nowhere(store):
    """S01, S02: no two alike; neither id nor token stands in the store or the log."""
    store.customer("ada")
    server = store.serve(**OPEN, log_requests="all", log_level="debug")
    browsers = [Browser(server) for _ in range(40)]
    for browser in browsers:
        assert browser.login("ada").status == 200
        assert browser.patch({"seen": 1}).status == 200
    ids = [b.id for b in browsers]
    assert len(set(ids)) == len({i[:8] for i in ids}) == 40
    shown = store.run("session", "list") + store.run("session", "list", "--json")
    assert shown.count("cookie") >= 40
    server.stop()
    stored = (store.path / "data.mdb").read_bytes() + server.log().encode() + shown.encode()
    for value in ids + [b.jar[CSRF] for b in browsers]:
        assert value.encode() not in stored
        assert value[:22].encode() not in stored


def test_new_id_at_login(store, clock):
    """S05: a guest's id never becomes the customer's; it is a guest's for the grace alone."""
    store.customer("ada")
    server = store.serve(**OPEN)
    browser = Browser(server)
    r = browser.patch({"cart": 1})
    guest = browser.id
    assert r.status == 200 and CSRF not in r.cookies
    assert who(server, guest) == ("guest", "-")
    assert browser.login("ada").status == 200
    assert browser.id != guest and who(server, browser.id) == ("customer", "ada")
    for by_s, owner in ((0, "guest"), (GRACE_S - 1, "guest"), (1, "none"), (600, "none")):
        clock.later(by_s)
        assert who(server, guest) == (owner, "-"), "a guest's, then nobody's, never ada's"
    assert who(server, browser.id) == ("customer", "ada")


def test_logout_in_the_grace(server, browser):
    """The old guest's id is no way back into the session that was logged out."""
    browser.patch({"cart": 1})
    guest = browser.copy()
    browser.login("ada")
    dead = browser.id
    assert browser.logout().status == 200
    assert who(server, guest.id) == ("guest", "-")
    assert who(server, dead) == ("none", "-")
    assert guest.login("bob").status == 200
    assert who(server, guest.id) == ("customer", "bob")
    assert who(server, dead) == ("none", "-")


@pytest.mark.parametrize("made_up", ["a" * 43, "x", "", "a" * 500, '"' + "a" * 41 + '"'])
def test_unknown_ids_are_never_adopted(server, made_up):
    """S03: whatever is done with it, it stays nobody's and another id is made."""
    browser = Browser(server)
    browser.jar[COOKIE] = made_up
    assert who(server, made_up) == ("none", "-")
    r = browser.patch({"a": 1})
    assert r.status == 200 and browser.id != made_up
    browser.jar[COOKIE] = made_up
    assert browser.login("ada").status == 200 and browser.id != made_up
    assert who(server, made_up) == ("none", "-")


def test_revoked_ids_are_never_adopted(module_store, server, browser):
    browser.login("ada")
    dead = browser.copy()
    browser.logout()
    dead.jar.pop(CSRF)
    old = dead.id
    assert dead.login("ada").status == 200 and dead.id != old
    assert who(server, old) == ("none", "-")
    module_store.run("check")


def test_one_answer_for_all_dead_ids(module_store, server, browser):
    """S12: unknown, logged out and revoked ids are answered alike."""
    other = browser.copy()
    browser.login("ada")
    other.login("ada")
    out, revoked = browser.id, other.id
    key, = [s["session_key"] for s in module_store.records("session", "list")
            if s["session_key"] == server.resolve(
                [("Cookie", f"{COOKIE}={revoked}")]).get("X-Session-Key")]
    browser.logout()
    module_store.run("session", "revoke", key)
    for path in ("/session", "/session/data", "/api/login/", "/resolve?require=any", "/resolve"):
        answers = set()
        for cookie_id in ("n" * 43, out, revoked):
            r = server.get(path, [("Cookie", f"{COOKIE}={cookie_id}")])
            answers.add((r.status, r.body, tuple(f for f in r.fields if f[0] != "Date")))
        assert len(answers) == 1, answers


def test_header_keys_are_no_cookies(module_store):
    """A session of a Session-Id cannot be had by cookie, nor the reverse."""
    server = serve_once(module_store, sid_trust="any")
    r = server.login(ANON + "x", "ada")
    key = server.resolve({"Session-Id": AUTH + "x"}).get("X-Session-Key")
    assert r.status == 200 and len(key) == 40
    for value in (key, key + "aaa", AUTH + "x", "x"):
        assert who(server, value) == ("none", "-")
    browser = Browser(server)
    browser.login("ada")
    cookie_key = server.resolve(browser.headers()).get("X-Session-Key")
    for identifier in (browser.id, cookie_key):
        r = server.resolve({"Session-Id": AUTH + identifier}, require="session")
        assert r.status == 401, r
    for value in (cookie_key, cookie_key + "aaa"):
        assert who(server, value) == ("none", "-")


@pytest.mark.parametrize("cookies", [
    ["{n}={i}; {n}={i}"], ["{n}={i}", "{n}={i}"], ["{n}=x; {n}={i}"], ["{n}={i}; {n}=x"],
    ["{n}=; {n}={i}"], ["{N}={i}"], ["{n}x={i}"], ['{n}="{i}"'], ["{n} ={i}x"],
    ["; ".join(f"a{k}=b" for k in range(50)) + "; {n}={i}"],
    ["{n}={i}; " + "; ".join(f"a{k}=b" for k in range(50))],
], ids=str)
def test_doubtful_cookies_are_none(server, cookies):
    """K05 to K07, and H35 for cookies in several lines."""
    browser = Browser(server)
    browser.login("ada")
    lines = [("Cookie", c.format(n=COOKIE, N=COOKIE.upper(), i=browser.id)) for c in cookies]
    assert server.resolve(lines).get("X-Session-Kind") == "none"
    assert server.resolve([("Cookie", "a=b"), ("Cookie", f"c=d;{COOKIE}={browser.id};")]
                          ).get("X-Session-Kind") == "customer"


def test_doubled_cookie_is_logged(store):
    """K06: once a minute, with whence it came and the setting, and nothing of the cookies."""
    server = store.serve()
    with server.wire() as wire:
        for cookies, logged in (("{n}=first", False), ("{n}x=first; {n}=x", False),
                                ("{n}=value1; {n}=value2", True),
                                ("{n}=value1; a=b; {n}=value1", True), ("{n}=; {n}=", True)):
            wire.send(request_bytes("GET", "/resolve?require=any",
                                    {"Cookie": cookies.format(n=COOKIE)}))
            assert wire.response().get("X-Session-Kind") == "none"
            assert ("cookie_doubled" in server.log()) == logged
    line, = [line for line in server.log().splitlines() if "cookie_doubled" in line]
    assert line.endswith("level=info process=front event=cookie_doubled setting=cookie_name "
                         "peer=127.0.0.1")
    assert "value" not in server.log()


def test_sessions_in_the_log(store):
    """S11: of a session the first 8 hex digits of its keyed hash, and no more of it."""
    key = {"X-Api-Key": store.key("app", "trusted")}
    store.customer("ada")
    server = store.serve(log_requests="all", log_level="debug")
    browser = Browser(server)
    browser.login("ada")
    keys = [server.resolve(headers).get("X-Session-Key") for headers in (
        browser.headers(), {**key, "Session-Id": ANON + "someshopper"})]
    assert server.get("/resolve?require=any", {"X-Forwarded-Uri": "/cart/?token=hidden"})
    server.get("/healthz")
    lines = [line for line in server.log().splitlines() if "event=request" in line]
    found = [re.search(r" status=(\d+) us=\d+ bytes=\d+ session=(\S+)( uri=\S+)?$", line).groups()
             for line in lines]
    assert found == [("200", "-", None), ("204", keys[0][:8], None), ("204", keys[1][:8], None),
                     ("204", "-", ' uri="/cart/"'), ("200", "-", None)]
    server.stop()
    for secret in [*(k[:10] for k in keys), browser.id[:8], browser.jar[CSRF][:8],
                   "someshopper", key["X-Api-Key"][:10], "hidden"]:
        assert secret not in server.log(), secret


def test_explicit_proof_wins(server, browser):
    """S04: beside a Session-Id or a Bearer the cookie is not looked at."""
    browser.login("ada")
    r = server.resolve([*browser.headers(), ("Authorization", "Bearer x.y.z")])
    assert (r.status, r.get("X-Resolve-Error")) == (401, "token_dead")
    r = server.resolve([*browser.headers(), ("Session-Id", ANON + "a")])
    assert (r.status, r.get("X-Resolve-Error")) == (403, "sid_untrusted")


# --- CSRF. ----------------------------------------------------------------------------------------

UNSAFE = [("POST", "/api/login/", {"username": "ada", "password": "ada"}),
          ("DELETE", "/api/login/", None), ("DELETE", "/session", None),
          ("PATCH", "/session/data", {"a": 1})]


@pytest.mark.parametrize("method,path,body", UNSAFE, ids=lambda v: str(v)[:20])
def test_csrf(server, method, path, body):
    """K09: token and origin, each with its answer; nothing has changed after a refusal."""
    oscar = path.startswith("/api/")
    browser, other = Browser(server), Browser(server)
    browser.login("ada")
    other.login("ada")
    session, token, foreign = browser.id, browser.jar[CSRF], other.jar[CSRF]
    cases = [
        (None, None, [], "CSRF cookie not set.", "csrf_cookie"),
        (None, token, [], "CSRF cookie not set.", "csrf_cookie"),
        (token, None, [], "CSRF token missing or incorrect.", "csrf_token"),
        (token, "", [], "CSRF token missing or incorrect.", "csrf_token"),
        ("", "", [], "CSRF token missing or incorrect.", "csrf_token"),
        ("x", "x", [], "CSRF token missing or incorrect.", "csrf_token"),
        (foreign, foreign, [], "CSRF token missing or incorrect.", "csrf_token"),
        (token, token, [("Origin", "https://evil.test")], None, "csrf_origin"),
        (token, token, [("Origin", "null")], None, "csrf_origin"),
        (token, token, [("Sec-Fetch-Site", "cross-site")], None, "csrf_origin"),
        (token, token, [("Sec-Fetch-Site", "same-site")], None, "csrf_origin"),
    ]
    for cookie, field, headers, detail, code in cases:
        sent = [("Cookie", f"{COOKIE}={session}" + (
            f"; {CSRF}={cookie}" if cookie is not None else "")), *headers]
        if field is not None:
            sent.append(("X-CSRFToken", field))
        r = server.request(method, path, sent, body)
        assert r.status == 403 and not r.cookies and r.get("Cache-Control") == "no-store", r
        if not oscar:
            assert r.json["code"] == code, r
        elif detail:
            assert r.body.decode() == CSRF_FAILED % detail
            assert r.get("Allow") == "GET, POST, DELETE, HEAD, OPTIONS"
        else:
            assert r.json["detail"].startswith("CSRF Failed: Origin checking failed")
        assert who(server, session) == ("customer", "ada")
        assert browser.data().json == {}
    r = browser.request(method, path, [("Origin", "http://127.0.0.1"),
                                       ("Sec-Fetch-Site", "same-origin")], body)
    assert r.status == (405 if method == "POST" else 204 if path == "/session" else 200), r


@pytest.mark.parametrize("method,path,body", UNSAFE, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("guest", [False, True])
def test_csrf_of_nobody_and_guests(server, method, path, body, guest):
    """Without a customer the origin alone is judged: a login from elsewhere is refused."""
    for headers, refused in (
            ([], False), ([("Origin", "http://127.0.0.1")], False),
            ([("Sec-Fetch-Site", "none")], False), ([("Origin", "https://evil.test")], True),
            ([("Sec-Fetch-Site", "cross-site")], True), ([("Origin", "null")], True)):
        browser = Browser(server)
        if guest:
            browser.patch({"g": 1})
        r = browser.request(method, path, headers, body)
        assert (r.status == 403) == refused, r
        assert not refused or not r.cookies


@pytest.mark.parametrize("lost", [None, "x", "", "{other}"])
def test_lost_csrf_cookie(server, lost):
    """Whose CSRF cookie is lost gets it again from GET /session, and can log out."""
    browser, other = Browser(server), Browser(server)
    set_at_login = browser.login("ada").cookies[CSRF]
    other.login("ada")
    token = browser.jar.pop(CSRF)
    if lost is not None:
        browser.jar[CSRF] = lost.format(other=other.jar[CSRF])
    assert browser.logout().status == browser.login("ada").status == 403
    r = browser.request("GET", "/session")
    assert r.json["csrf_token"] == token and list(r.cookies) == [CSRF]
    assert r.cookies[CSRF] == set_at_login and browser.jar[CSRF] == token
    r = browser.request("GET", "/session")
    assert r.json["csrf_token"] == token and not r.cookies, "where it came, it is not set again"
    assert browser.logout().status == 200
    r = browser.request("GET", "/session")
    assert r.json["csrf_token"] is None and not r.cookies


@pytest.mark.parametrize("headers", [
    [("Origin", "https://evil.test")], [("Origin", "null")], [("Origin", "")],
    [("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://127.0.0.1")],
], ids=str)
def test_csrf_token_is_the_pages_own(server, headers):
    """Another site's page is told no token, whatever it can read."""
    browser = Browser(server)
    browser.login("ada")
    token = browser.jar.pop(CSRF)
    r = browser.request("GET", "/session", headers)
    assert r.json["customer_login"] == "ada" and r.json["csrf_token"] is None and not r.cookies
    assert token not in str(r)


def test_csrf_token_is_of_customers_cookies(module_store, server):
    """Guests and header sessions need none and are told none."""
    guest = Browser(server)
    assert guest.patch({"a": 1}).status == 200
    r = guest.request("GET", "/session")
    assert (r.json["session_kind"], r.json["csrf_token"]) == ("guest", None) and not r.cookies
    key = {"X-Api-Key": module_store.key("csrf-header", "trusted")}
    assert server.login(ANON + "csrf", "ada", headers=key).status == 200
    r = server.get("/session", {**key, "Session-Id": AUTH + "csrf"})
    assert (r.json["customer_login"], r.json["csrf_token"]) == ("ada", None)


def test_csrf_token_across_origins(module_store, server):
    """A page of cors_origins, which cannot read our cookies, is told the token."""
    other = serve_once(module_store, cors_origins=APP, csrf_origins=APP)
    page = [("Origin", APP), ("Sec-Fetch-Site", "cross-site")]
    browser = Browser(other)
    assert browser.login("ada", headers=page).status == 200
    token = browser.request("GET", "/session", page).json["csrf_token"]
    assert token == browser.jar[CSRF]
    r = browser.patch({"a": 1}, [*page, ("X-CSRFToken", token)], proof=False)
    assert r.status == 200 and r.get("Access-Control-Allow-Origin") == APP


def test_csrf_spares_headers_and_resolve(module_store):
    """Header sessions are exempt, and /resolve changes nothing."""
    server = serve_once(module_store, sid_trust="any")
    foreign = [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")]
    browser = Browser(server)
    browser.login("ada")
    assert server.login(ANON + "csrf", "ada", headers=foreign).status == 200
    assert server.request("DELETE", "/api/login/", [("Session-Id", AUTH + "csrf"), *foreign]
                          ).status == 200
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        r = server.request(method, "/resolve?require=customer",
                           [*browser.headers(proof=False), *foreign])
        assert r.status == 204, r


def test_csrf_origins(module_store):
    server = serve_once(module_store, csrf_origins="https://www.shop.example")
    for origin, status in (("https://www.shop.example", 200), ("https://WWW.shop.example", 200),
                           ("http://www.shop.example", 403), ("https://shop.example", 403)):
        r = Browser(server).login("ada", headers=[("Origin", origin),
                                                  ("Sec-Fetch-Site", "same-site")])
        assert r.status == status, (origin, r)


# --- Logout, limits, linearizability. -------------------------------------------------------------

def test_delete_session(server):
    """Here, and everywhere: cookies and headers of one customer, nobody else's."""
    one, two, three, bob = [Browser(server) for _ in range(4)]
    for browser in (one, two, three):
        browser.login("ada")
    bob.login("bob")
    ids = [b.id for b in (one, two, three, bob)]
    r = one.request("DELETE", "/session")
    assert (r.status, r.cookies[COOKIE][0], one.id) == (204, "", None)
    assert [who(server, i)[0] for i in ids] == ["none", "customer", "customer", "customer"]
    r = two.request("DELETE", "/session?all=1")
    assert (r.status, two.id) == (204, None)
    assert [who(server, i)[0] for i in ids] == ["none", "none", "none", "customer"]
    assert three.request("DELETE", "/session", proof=False).status == 204, "nobody's by now"
    assert two.login("ada").status == 200 and who(server, two.id) == ("customer", "ada")


def test_max_sessions(store, clock):
    """S10: one more ends the oldest, by cookie and by header alike; guests do not count."""
    store.customer("ada")
    key = {"X-Api-Key": store.key("app")}
    server = store.serve(**OPEN, max_sessions_per_customer=3)
    ids = []
    for _ in range(5):
        guest, browser = Browser(server), Browser(server)
        guest.patch({"a": 1})
        browser.login("ada")
        ids.append(browser.id)
        clock.later(1)      # the age of a session is counted in seconds
    assert [who(server, i)[0] for i in ids] == ["none"] * 2 + ["customer"] * 3
    assert server.login(ANON + "a", "ada", headers=key).status == 200
    assert [who(server, i)[0] for i in ids] == ["none"] * 3 + ["customer"] * 2
    assert len(store.records("session", "list", "--customer", "ada")) == 3
    assert len(store.records("session", "list", "--customer", "-")) == 5
    store.run("check")


def test_commands_see_cookie_sessions(store):
    """List, show, revoke, export: guests too, and what is kept with a session."""
    store.customer("ada")
    server = store.serve(**OPEN)
    guest, browser = Browser(server), Browser(server)
    guest.patch({"cart": [1]})
    browser.login("ada")
    browser.patch({"lang": "fi"})
    listed = {s["login"]: s for s in store.records("session", "list")}
    assert set(listed) == {"", "ada"}
    assert {s["via"] for s in listed.values()} == {"cookie"}
    assert listed[""]["customer_id"] is None and listed["ada"]["customer_id"] == 1
    assert all(0 <= s["age"] < 60 and s["used"] for s in listed.values())
    of_guests, = store.records("session", "list", "--customer", "-")
    assert of_guests.pop("age") >= listed[""].pop("age")  # it grows while the commands run
    assert of_guests == listed[""]
    shown = store.run("session", "show", listed[""]["session_key"])
    assert re.search(r"^customer_id: +-$", shown, re.M) and re.search(r"^age: +\d+s$", shown, re.M)
    exported, = store.records("customer", "export", "ada")
    assert [s["data"] for s in exported["sessions"]] == [{"lang": "fi"}]
    counts, = store.records("check")
    assert (counts["sessions"], counts["session_data"], counts["problems"]) == (2, 2, 0)
    store.run("session", "revoke", listed[""]["session_key"])
    assert who(server, guest.id) == ("none", "-") and guest.data().json == {}
    store.run("customer", "delete", "ada")
    assert who(server, browser.id) == ("none", "-")
    counts, = store.records("check")
    assert {counts[n] for n in ("sessions", "session_data", "session_owners", "expiries")} == {0}


def test_for_ever_has_no_expiry(store):
    """A guest's header session with anon_ttl=0: shown without an end, sound for check."""
    key = {"X-Api-Key": store.key("app")}
    server = store.serve()
    r = server.request("PATCH", "/session/data", {**key, "Session-Id": ANON + "a"}, {"a": 1})
    assert r.status == 200, r
    session, = store.records("session", "list")
    assert (session["expires"], session["via"], session["login"]) == (None, "header", "")
    counts, = store.records("check")
    assert (counts["sessions"], counts["expiries"]) == (1, 0)


@pytest.mark.parametrize("how", ["logout", "everywhere", "revoke"])
def test_nothing_succeeds_after_a_logout(store, how):
    """S08: what is sent after the answer to a logout or revocation is refused, by both fronts,
    while all of them are asked without a pause."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2)
    stop, failures, asked = threading.Event(), [], [0]
    state = {"browser": None, "dead": {}}

    def ask():
        with Wire(server.port) as wire:
            while not stop.is_set():
                browser = state["browser"]
                if browser is None:
                    continue
                sent = time.monotonic()
                wire.send(request_bytes("GET", "/resolve", browser.headers()))
                r = wire.response()
                asked[0] += 1
                ended = state["dead"].get(browser.id_kept)
                if ended and sent > ended and r.status != 401:
                    failures.append((browser.id_kept, r))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            browser = Browser(server)
            assert browser.login("ada").status == 200
            browser.id_kept = browser.id
            state["browser"] = shared = browser.copy()
            shared.id_kept = browser.id
            before = asked[0]
            wait_until(lambda: asked[0] > before + 12, "the session is in use")
            if how == "revoke":
                key = server.resolve(browser.headers()).get("X-Session-Key")
                store.run("session", "revoke", key)
            else:
                path = "/session?all=1" if how == "everywhere" else "/session"
                assert browser.request("DELETE", path).status == 204
            state["dead"][shared.id_kept] = time.monotonic()
            before = asked[0]
            wait_until(lambda: asked[0] > before + 12, "the dead session is asked for")
    finally:
        stop.set()
        for thread in threads:
            thread.join(WAIT_S)
    assert not failures, failures[:3]
    store.run("check")


def test_parallel_logins_and_logouts(store):
    """Logins with one guest's cookie at once: each has a session of its own, none is lost."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2, hashers=2, max_sessions_per_customer=0)
    guest = Browser(server)
    guest.patch({"cart": 7})
    browsers = [guest.copy() for _ in range(24)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {r.status for r in pool.map(lambda b: b.login("ada"), browsers)} == {200}
        assert len({b.id for b in browsers}) == 24
        assert all(r.json == {"cart": 7} for r in pool.map(Browser.data, browsers))
        out, stay = browsers[::2], browsers[1::2]
        dead = [b.id for b in out]
        assert {r.status for r in pool.map(Browser.logout, out)} == {200}
        assert {who(server, i)[0] for i in dead} == {"none"}
        assert {who(server, b.id) for b in stay} == {("customer", "ada")}
    store.run("check")


# --- Session data. --------------------------------------------------------------------------------

def test_parallel_writers_lose_nothing(store):
    """Each adds one with If-Match, and tries again where another came first."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2)
    browser = Browser(server)
    browser.login("ada")
    conflicts = []

    def count(own):
        one = browser.copy()
        for _ in range(15):
            while True:
                r = one.data()
                total = r.json.get("total", 0)
                done = one.patch({"total": total + 1, own: r.json.get(own, 0) + 1},
                                 [("If-Match", r.get("ETag"))])
                if done.status == 200:
                    break
                assert done.status == 412, done
                conflicts.append(own)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(count, "abcd"))
    assert browser.data().json == {"total": 60, **{own: 15 for own in "abcd"}}
    assert conflicts


def test_writers_of_different_members(store):
    """Without If-Match a patch touches what it names alone: here too nothing is lost."""
    server = store.serve(workers=2)
    guest = Browser(server)
    guest.patch({})

    def write(member):
        one = guest.copy()
        for n in range(10):
            assert one.patch({member: n}).status == 200

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcdefgh"))
    assert guest.data().json == {member: 9 for member in "abcdefgh"}


def test_data(server, browser):
    """ETag, merge patch, limits; reading makes no session."""
    r = browser.data()
    assert (r.status, r.json, browser.id) == (200, {}, None)
    empty = r.get("ETag")
    assert r.get("Cache-Control") == "no-store" and re.fullmatch('"[0-9a-f]{16}"', empty)
    r = browser.patch({"a": {"b": 1, "c": [None]}, "d": "ä"}, [("If-Match", empty)])
    assert r.status == 200 and r.get("ETag") != empty and browser.id
    assert browser.data().get("ETag") == r.get("ETag")
    r = browser.patch({"a": {"b": None}, "e": None})
    assert r.json == {"a": {"c": [None]}, "d": "ä"} == browser.data().json
    for headers, status in (([("If-Match", empty)], 412), ([("If-Match", "*")], 200),
                            ([("If-Match", f'W/{r.get("ETag")}')], 412),
                            ([("If-Match", f'{empty}, {r.get("ETag")}')], 200),
                            ([("If-Match", "")], 412)):
        assert browser.patch({}, headers).status == status, headers
    assert browser.patch(b"{}").status == 415
    for body in (b"", b"{", b"[]", b"null", b'{"a":1,"a":2}', b'{"a":\xff}'):
        r = browser.patch(body, [("Content-Type", "application/merge-patch+json")])
        assert r.status == 400 and r.json["code"] == "json_bad", (body, r)
    assert browser.data().json == {"a": {"c": [None]}, "d": "ä"}


def test_data_limit(server, browser):
    """4 KiB, and not a byte more; what was there stays."""
    assert browser.patch({"a": "x" * (4096 - 8)}).status == 200
    etag = browser.data().get("ETag")
    for patch in ({"b": 1}, {"a": "x" * (4096 - 7)}, {"a": "ä" * 2048}):
        r = browser.patch(patch)
        assert (r.status, r.json["code"]) == (413, "data_full"), r
    assert browser.data().get("ETag") == etag
    assert browser.patch({"a": None, "b": 1}).json == {"b": 1}


def test_data_follows_the_login_and_dies_with_the_session(server, browser):
    browser.patch({"cart": 1, "lang": "fi"})
    assert browser.login("ada").status == 200
    assert browser.data().json == {"cart": 1, "lang": "fi"}
    kept = browser.copy()
    browser.logout()
    assert kept.data().json == {}
    assert browser.login("ada").status == 200
    assert browser.data().json == {}, "it was the session's, not the customer's"


def test_a_flood_of_guests_drains(store, clock):
    """S17: thousands who kept something and went leave the store, while others are served."""
    store.customer("ada")
    server = store.serve(session_ttl="10m", session_max="10m")

    def guests(_):
        with server.wire() as wire:
            for i in range(100):
                wire.send(request_bytes("PATCH", "/session/data", (), {"i": i}))
                assert wire.response().status == 200
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        list(pool.map(guests, range(30)))
        flooded, = store.records("check")
        assert flooded["session_data"] == 3000
        clock.later(600)

        def drained():
            assert Browser(server).login("ada").status == 200
            return store.records("check")[0]["session_data"] == 0
        wait_until(drained, "the sweep")
    assert flooded["problems"] == store.records("check")[0]["problems"] == 0


def test_nothing_is_kept_for_readers(store):
    """S13, S17: no record without something to keep."""
    server = store.serve()
    browser = Browser(server)
    for path in ("/session", "/session/data", "/api/login/", "/resolve?require=any"):
        assert not browser.request("GET", path).cookies
    assert not browser.logout().cookies and not browser.request("DELETE", "/session").cookies
    assert store.records("session", "list") == []


# --- CORS. ----------------------------------------------------------------------------------------

APP = "https://app.example"
PREFLIGHT = [("Access-Control-Request-Method", "PATCH"),
             ("Access-Control-Request-Headers", "content-type,x-csrftoken")]


@pytest.fixture
def cors(module_store, server):
    return serve_once(module_store, cors_origins=f"{APP},http://localhost:3000", gateway="on")


def test_cors(cors):
    """Pages of a listed origin may read, with credentials; others see no such field."""
    for path in ("/session", "/session/data", "/api/login/", "/api/nosuch/"):
        for origin, may in ((APP, True), ("http://localhost:3000", True),
                            ("http://localhost:3001", False), ("http://app.example", False),
                            ("https://app.example.evil.test", False), ("null", False)):
            r = cors.get(path, [("Origin", origin)])
            assert "Origin" in ", ".join(r.all("Vary")).split(", "), r
            assert r.get("Access-Control-Allow-Origin") == (origin if may else None), r
            assert r.get("Access-Control-Allow-Credentials") == ("true" if may else None)
        assert cors.get(path).get("Access-Control-Allow-Origin") is None
    r = cors.resolve([("Origin", APP)])
    assert r.get("Access-Control-Allow-Origin") is None


def test_preflight(cors):
    """It carries no credentials and asks for none, though gateway=on asks all others."""
    for path, methods in (("/session/data", "PATCH"), ("/session", "DELETE"),
                          ("/api/login/", "POST")):
        r = cors.request("OPTIONS", path, [("Origin", APP), *PREFLIGHT])
        assert r.status == 204 and not r.cookies, r
        assert r.get("Access-Control-Allow-Origin") == APP
        assert r.get("Access-Control-Allow-Credentials") == "true"
        assert methods in r.get("Access-Control-Allow-Methods").split(", ")
        assert {"Content-Type", "If-Match", "X-CSRFToken"} <= set(
            r.get("Access-Control-Allow-Headers").split(", "))
        r = cors.request("OPTIONS", path, [("Origin", "https://evil.test"), *PREFLIGHT])
        assert r.status == 403 and r.get("Access-Control-Allow-Origin") is None


def test_reading_is_not_writing(cors):
    """cors_origins lets pages read; what changes something needs csrf_origins too."""
    key = cors.store.key("cors", "shop")
    headers = [("Origin", APP), ("X-Api-Key", key)]
    r = Browser(cors).login("ada", headers=headers)
    assert r.status == 403 and r.get("Access-Control-Allow-Origin") == APP
    assert r.json["detail"].startswith("CSRF Failed: Origin")


def test_no_store(server, browser):
    """K10: whatever sets or depends on a session is no cache's."""
    browser.login("ada")
    for path in ("/session", "/session/data", "/api/login/", "/resolve", "/api/nosuch/"):
        for headers in (browser.headers(), []):
            r = server.get(path, headers)
            assert r.get("Cache-Control") == "no-store", r
            vary = ", ".join(r.all("Vary")).split(", ")
            assert path == "/resolve" or {"Cookie", "Session-Id"} <= set(vary), r
