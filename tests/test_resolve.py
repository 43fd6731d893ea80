"""/resolve, GET /session, /healthz, /readyz (interface.md; F01 to F04, F06, F07, S12, S16)."""

import os
import re
import signal

import pytest

from conftest import request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
FIELDS = ["X-Session-Kind", "X-Session-Key", "X-Customer-Id", "X-Customer-Login", "X-Basket-Id",
          "X-Client-Name", "X-Client-Scopes", "X-Auth-Via"]
NOBODY = dict.fromkeys(FIELDS, "-") | {"X-Session-Kind": "none", "X-Auth-Via": "none"}


@pytest.fixture(scope="module")
def keys(module_store):
    return {scope: module_store.key(scope, scope) for scope in ("shop", "trusted")}


@pytest.fixture(scope="module")
def server(module_store, keys):
    module_store.ada = module_store.customer("ada")
    running = module_store.serve()
    for login in ("live", "dead"):
        r = running.login(ANON + login, "ada", headers={"X-Api-Key": keys["trusted"]})
        assert r.status == 200
    running.request("DELETE", "/api/login/", {"Session-Id": AUTH + "dead",
                                              "X-Api-Key": keys["trusted"]})
    return running


def identity(r):
    """The identity headers of a 204: each there once, none empty (F03)."""
    found = {name: r.get(name) for name in FIELDS}
    for name, value in found.items():
        assert value and re.fullmatch(r"[!-~]+", value), (name, value)
    return found


# What the request carries; status for require=any, session, customer. `K`: the trusted key.
VERDICTS = [
    ("nothing", {}, (204, 401, 401)),
    ("a shop key alone", {"X-Api-Key": "shop"}, (204, 401, 401)),
    ("ANON", {"X-Api-Key": "trusted", "Session-Id": ANON + "new"}, (204, 204, 401)),
    ("a live AUTH", {"X-Api-Key": "trusted", "Session-Id": AUTH + "live"}, (204, 204, 204)),
    ("a dead AUTH", {"X-Api-Key": "trusted", "Session-Id": AUTH + "dead"}, (401, 401, 401)),
    ("an unknown AUTH", {"X-Api-Key": "trusted", "Session-Id": AUTH + "nobody"},
     (401, 401, 401)),
    ("malformed", {"X-Api-Key": "trusted", "Session-Id": "SID:ANON:127.0.0.1:a*b"},
     (401, 401, 401)),
    ("an empty Session-Id", {"X-Api-Key": "trusted", "Session-Id": ""}, (401, 401, 401)),
    ("a dead Bearer", {"Authorization": "Bearer abc"}, (401, 401, 401)),
    ("Bearer and ANON", {"Authorization": "Bearer abc", "X-Api-Key": "trusted",
                         "Session-Id": ANON + "new"}, (401, 401, 401)),
    ("Bearer and live AUTH", {"Authorization": "Bearer abc", "X-Api-Key": "trusted",
                              "Session-Id": AUTH + "live"}, (401, 401, 401)),
    ("Basic", {"Authorization": "Basic YTpi"}, (204, 401, 401)),
    ("an unknown cookie", {"Cookie": "sidecart_session=abc"}, (204, 401, 401)),
    ("Django's cookie", {"Cookie": "sessionid=abc; csrftoken=x"}, (204, 401, 401)),
    ("OCAPI's cookie", {"Cookie": "dwsid=abc"}, (204, 401, 401)),
    ("a cookie beside AUTH", {"X-Api-Key": "trusted", "Session-Id": AUTH + "live",
                              "Cookie": "sidecart_session=abc"}, (204, 204, 204)),
    ("a bad key", {"X-Api-Key": "bad"}, (403, 403, 403)),
    ("a bad key beside AUTH", {"X-Api-Key": "bad", "Session-Id": AUTH + "live"},
     (403, 403, 403)),
    ("ANON without a key", {"Session-Id": ANON + "new"}, (403, 403, 403)),
    ("AUTH without a key", {"Session-Id": AUTH + "live"}, (403, 403, 403)),
    ("AUTH with a shop key", {"X-Api-Key": "shop", "Session-Id": AUTH + "live"},
     (403, 403, 403)),
    ("a foreign realm", {"X-Api-Key": "trusted", "Session-Id": "SID:ANON:example.com:a"},
     (403, 403, 403)),
    ("two Session-Ids", [("X-Api-Key", "trusted"), ("Session-Id", AUTH + "live"),
                         ("Session-Id", AUTH + "live")], (400, 400, 400)),
    ("two keys", [("X-Api-Key", "trusted"), ("X-Api-Key", "trusted")], (400, 400, 400)),
]
REQUIRES = ("any", "session", "customer")


def with_keys(headers, keys):
    rows = headers.items() if isinstance(headers, dict) else headers
    return [(n, keys.get(v, v) if n == "X-Api-Key" else v) for n, v in rows]


@pytest.mark.parametrize("headers,statuses", [row[1:] for row in VERDICTS],
                         ids=[row[0] for row in VERDICTS])
def test_verdicts(server, keys, headers, statuses):
    """The table of interface.md row by row, F02, F03."""
    headers = with_keys(headers, keys)
    for require, status in zip(REQUIRES, statuses):
        r = server.resolve(headers, require)
        assert r.status == status, (require, r)
        if status == 204:
            identity(r)
            assert r.get("X-Resolve-Error") is None
        elif status != 400:
            assert re.fullmatch(r"[a-z_]+", r.get("X-Resolve-Error")), r
            assert r.get("Content-Type") == "application/problem+json"
            assert r.json["status"] == status and r.json["title"] and r.json["detail"]
            assert r.json["type"]
            assert not any(r.get(name) for name in FIELDS), "a refusal names nobody"
    assert server.get("/resolve", headers).status == statuses[2], "customer is the default"


def test_headers_of_nobody(server):
    """F03: `-` where there is nothing."""
    assert identity(server.resolve()) == NOBODY


def test_headers_of_a_client(server, keys):
    """A key without a session."""
    r = server.resolve({"X-Api-Key": keys["shop"]})
    assert identity(r) == NOBODY | {"X-Client-Name": "shop", "X-Client-Scopes": "shop"}


def test_headers_of_a_guest(server, keys):
    """ANON: a session key and nobody behind it; the Session-Id comes back."""
    r = server.resolve({"X-Api-Key": keys["trusted"], "Session-Id": ANON + "koe-1f:2a"})
    assert identity(r) == NOBODY | {
        "X-Session-Kind": "guest", "X-Auth-Via": "header", "X-Client-Name": "trusted",
        "X-Client-Scopes": "trusted",
        "X-Session-Key": "b4119583ae5f5d99e996d1979f0f202d96cdecd3"}
    assert r.get("Session-Id") == ANON + "koe"
    assert "Session-Id" in r.get("Vary")


def test_headers_of_a_customer(server, keys, module_store):
    """AUTH: who it is."""
    r = server.resolve({"X-Api-Key": keys["trusted"], "Session-Id": AUTH + "live"}, "customer")
    found = identity(r)
    assert re.fullmatch(r"[0-9a-f]{40}", found.pop("X-Session-Key"))
    assert found == {
        "X-Session-Kind": "customer", "X-Customer-Id": str(module_store.ada),
        "X-Customer-Login": "ada", "X-Basket-Id": "-", "X-Client-Name": "trusted",
        "X-Client-Scopes": "trusted", "X-Auth-Via": "header"}
    assert r.get("Session-Id") == AUTH + "live"


@pytest.mark.parametrize("login,word", [
    ("jürgen", "j%C3%BCrgen"), ("a b", "a%20b"), ("100%", "100%25"), ("a|b,c", "a|b,c"),
    ("mail+x@example.com", "mail+x@example.com"), ("日本", "%E6%97%A5%E6%9C%AC"),
    ("seven b c% eight.characters", "seven%20b%20c%25%20eight.characters"),
    ("1234567é", "1234567%C3%A9"), ("12345678é", "12345678%C3%A9"),
    ("!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")])
def test_values_are_ascii(store, login, word):
    """F04: other bytes percent-encoded, no login can be `-`."""
    store.customer(login, "secret")
    server = store.serve(sid_trust="any")
    assert server.login(ANON + "x", login, "secret").status == 200
    assert identity(server.resolve({"Session-Id": AUTH + "x"}))["X-Customer-Login"] == word
    assert server.get("/session", {"Session-Id": AUTH + "x"}).json["customer_login"] == login


def test_sentinel_is_no_login(store):
    """F03: the login `-` is refused."""
    store.run("customer", "add", "-", "--no-password", code=1)


@pytest.mark.parametrize("query", ["require=everybody", "require=", "require=any&require=any"])
def test_bad_requirements(server, query):
    """A requirement that nobody knows lets nobody pass."""
    assert server.get(f"/resolve?{query}").status in (400, 401, 403)


@pytest.mark.parametrize("path", ["/", "/account/", "/account/?require=any", "//", "/%2e%2e/"])
def test_the_path_is_the_proxys(server, path):
    """F06, F09: what a proxy appends of the client's own admits nobody."""
    assert server.get("/resolve" + path).status == 404


def test_foreign_parameters_are_not_ours(server):
    """A proxy may pass on the client's own query."""
    assert server.get("/resolve?require=any&utm_source=x&a&=&b=%zz").status == 204


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                                    "PROPFIND"])
def test_every_method(server, keys, method):
    """Whatever a proxy may pass on is judged alike."""
    headers = {"X-Api-Key": keys["trusted"], "Session-Id": AUTH + "live"}
    r = server.request(method, "/resolve", headers)
    assert r.status == 204 and identity(r)["X-Customer-Login"] == "ada"
    r = server.request(method, "/resolve", {"X-Api-Key": keys["trusted"]})
    assert r.status == 401


def test_head_alone_is_judged(server):
    """F01: no body is waited for; where one was declared and did not come, the end comes."""
    for fields in ("Content-Length: 1000", "Transfer-Encoding: chunked",
                   "Content-Length: 1000\r\nExpect: 100-continue",
                   "Content-Length: 999999999999"):
        with server.wire() as wire:
            wire.send(f"POST /resolve?require=any HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n\r\n")
            r = wire.response(interim=True)
            assert r.status == 204, (fields, r)
            assert r.get("Connection") == "close" and wire.ended()


def test_body_that_came_is_no_request(server):
    """F01: bytes of a body never become the next request."""
    smuggled = request_bytes("GET", "/healthz")
    with server.wire() as wire:
        wire.send(request_bytes("POST", "/resolve?require=any", (), smuggled) +
                  request_bytes("GET", "/session"))
        assert wire.response().status == 204
        wire.finish()
        assert b"\r\n\r\nok" not in wire.rest()


def test_refusals_look_alike(server, keys):
    """S12: unknown, logged-out and expired ids get the same status, fields and body."""
    answers = []
    for identifier in ("dead", "nobody", "other"):
        r = server.resolve({"X-Api-Key": keys["trusted"], "Session-Id": AUTH + identifier})
        answers.append((r.status, r.body, [f for f in r.fields if f[0] != "Date"]))
    assert answers == [answers[0]] * 3


def test_session_json(server, keys, module_store):
    """GET /session: the same identity as JSON, members named as the headers."""
    r = server.get("/session", {"X-Api-Key": keys["trusted"], "Session-Id": AUTH + "live"})
    assert r.status == 200 and r.get("Content-Type") == "application/json"
    assert r.get("Cache-Control") == "no-store"
    assert list(r.json) == [*(name[2:].lower().replace("-", "_") for name in FIELDS), "csrf_token"]
    headers = identity(server.resolve({"X-Api-Key": keys["trusted"],
                                       "Session-Id": AUTH + "live"}))
    for name, value in headers.items():
        got = r.json[name[2:].lower().replace("-", "_")]
        assert (("-" if got is None else str(got)) == value), name
    nobody = server.get("/session").json
    assert nobody["session_kind"] == "none" and nobody["customer_login"] is None
    assert server.get("/session", {"Session-Id": AUTH + "live"}).status == 403
    assert server.get("/session", {"X-Api-Key": keys["trusted"],
                                   "Session-Id": AUTH + "dead"}).status == 401


def test_answers_are_not_stored(server, keys):
    """K10: what depends on a session carries Cache-Control: no-store."""
    headers = {"X-Api-Key": keys["trusted"], "Session-Id": AUTH + "live"}
    for path in ("/resolve", "/session", "/api/login/"):
        assert server.get(path, headers).get("Cache-Control") == "no-store", path


# --- Health. --------------------------------------------------------------------------------------

def test_health(server):
    """On every listener, no key."""
    for path in ("/healthz", "/readyz"):
        for port in (server.port, server.ops_port):
            r = server.get(path, port=port)
            assert (r.status, r.body.strip()) == (200, b"ok"), r
            assert server.request("HEAD", path, port=port).status == 200


def test_ops_listener_serves_health_alone(server):
    """ops_listen is no second door."""
    for path in ("/resolve?require=any", "/session", "/api/login/", "/session/login",
                 "/openapi.json"):
        for method in ("GET", "POST"):
            assert server.request(method, path, port=server.ops_port).status == 404, path


def test_stopped_writer(store, clock):
    """S16: a writer that does not answer is 503 with Retry-After for what it should write, no
    401; reads go on."""
    store.customer("ada")
    server = store.serve(sid_trust="any", write_timeout="30s")
    assert server.login(ANON + "w", "ada").status == 200
    auth = {"Session-Id": AUTH + "w"}
    writer, = server.child("writer")
    with server.wire() as wire:
        wire.send(request_bytes("GET", "/session", auth)).response()
        os.kill(writer, signal.SIGSTOP)
        try:
            with server.wire() as waiting:
                waiting.send(request_bytes("DELETE", "/api/login/", auth))
                for by_s in (0, 29):
                    clock.later(by_s)
                    assert server.get("/healthz").status == 200 and waiting.waits()
                clock.later(1)
                r = waiting.response()
            assert r.status == 503 and int(r.get("Retry-After")) > 0 and r.json["detail"]
            assert server.resolve(auth).status == 204
            assert wire.send(request_bytes("GET", "/session", auth)).response().status == 200
        finally:
            os.kill(writer, signal.SIGCONT)
    wait_until(lambda: server.get("/readyz").status == 200, "ready again")
    assert server.request("DELETE", "/api/login/", {"Session-Id": ANON + "w"}).status == 200


# --- Proxies. -------------------------------------------------------------------------------------

def limited(server, forwarded):
    """True where the address of `forwarded` has used up its one request."""
    headers = [("X-Forwarded-For", text) for text in forwarded]
    return server.get("/session", headers).status == 429


def test_forwarded_for_is_the_rightmost(store):
    """F07: the rightmost address, of a trusted peer; garbage leaves the peer's own."""
    server = store.serve(rate_limit_address="1/60s")
    assert not limited(server, ["192.0.2.1"])
    assert limited(server, ["192.0.2.1"])
    assert limited(server, ["198.51.100.9, 192.0.2.1"]), "the left ones are the client's words"
    assert limited(server, ["198.51.100.9", "192.0.2.1"]), "of several lines the last"
    assert limited(server, ["198.51.100.9,192.0.2.1 "])
    assert not limited(server, ["192.0.2.1, 192.0.2.2"])
    assert not limited(server, ["garbage"])
    assert limited(server, []), "garbage counted for the peer"
    assert limited(server, ["192.0.2.300"])
    assert not limited(server, ["2001:db8::7"])


def test_forwarded_for_of_an_untrusted_peer(store):
    """F07: ignored; the peer's address counts."""
    server = store.serve(rate_limit_address="1/60s", trusted_proxies="198.51.100.1",
                         allow="trusted_proxies")
    assert not limited(server, ["192.0.2.1"])
    assert limited(server, ["192.0.2.2"])


def test_forwarded_host(store):
    """F06: the host that a realm is compared with comes from a trusted proxy."""
    sid = {"Session-Id": "SID:ANON:shop.example:a", "X-Forwarded-Host": "shop.example"}
    assert store.serve(sid_trust="any").resolve(sid).status == 204
    untrusting = store.serve(sid_trust="any", trusted_proxies="198.51.100.1",
                             allow="trusted_proxies")
    assert untrusting.resolve(sid).status == 403
