"""API keys: forms, scopes, expiry, revocation, sources, rates (A01 to A06, L09)."""

import hashlib
import re
import stat

import pytest

from conftest import basic, request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
PATHS = ["/api/login/", "/api/nosuch/", "/session", "/resolve?require=any"]
FORMS = [("Authorization", "{}"), ("Authorization", "ApiKey {}"), ("Authorization", "apikey {}"),
         ("X-Api-Key", "{}")]


def refused(r):
    return r.status == 403 and r.json["detail"] and r.get("Session-Id") is None


@pytest.mark.parametrize("name,form", FORMS, ids=[f"{n}: {f}" for n, f in FORMS])
def test_three_forms(store, name, form):
    """A06: each form opens a gateway, and nothing near it does."""
    key = store.key("web", "shop")
    server = store.serve(gateway="on")

    def ask(text):
        return server.get("/session", {name: form.format(text)})
    assert ask(key).json["client_name"] == "web"
    for wrong in (key[:-1], key + "x", key.swapcase(), key[1:], key + " x", "x", "Token " + key,
                  "*", "%", "sck_", key + "\xe9"):
        assert refused(ask(wrong)), wrong
    assert ask(key + "  ").status == 200, "blanks around a value are no part of it"
    assert refused(ask("")), "an empty key is none"


@pytest.mark.parametrize("path", PATHS)
def test_gateway(store, path):
    """A06: with the gateway on every request of the surfaces needs a key; 403 with a detail."""
    key = store.key("web", "shop")
    server = store.serve(gateway="on", sid_trust="any")
    for method in ("GET", "POST", "DELETE", "OPTIONS", "PUT"):
        assert refused(server.request(method, path)), method
        assert refused(server.request(method, path, {"Authorization": "wrong"})), method
        assert refused(server.request(method, path, {"Session-Id": ANON + "a"})), method
        assert refused(server.request(method, path, {"Session-Id": AUTH + "ghost"})), method
        assert server.request(method, path, {"X-Api-Key": key}).status != 403, method
    r = server.get(path, {"X-Api-Key": key, "Session-Id": AUTH + "ghost"})
    assert r.status == 401, "the gateway comes first, then the session"


def test_gateway_off(store):
    """Without the gateway no key is needed, but a bad one is still refused."""
    server = store.serve()
    for path in PATHS:
        assert server.get(path).status != 403
        assert refused(server.get(path, {"X-Api-Key": "wrong"}))
        assert refused(server.get(path, {"Authorization": "wrong"}))


def test_health_needs_no_key(store):
    """Health is for monitors."""
    server = store.serve(gateway="on")
    for path in ("/healthz", "/readyz"):
        for port in (server.port, server.ops_port):
            assert server.get(path, port=port).status == 200
            assert server.get(path, {"Authorization": "wrong"}, port=port).status == 200


def test_basic_and_bearer_are_never_keys(store):
    """A06: not even where a key has just that text."""
    value = basic("bob", "bob")
    store.run("key", "add", "odd", "--value", value)
    store.run("key", "add", "odder", "--value", "Bearer abc")
    store.run("key", "add", "bare", "--value", "abc")
    server = store.serve(gateway="on")
    for text in (value, value.replace("Basic", "BASIC"), "Basic abc", "Basic"):
        assert refused(server.get("/session", {"Authorization": text})), text
    for text in ("Bearer abc", "bearer abc", "Bearer"):     # a token would name its client
        assert server.get("/session", {"Authorization": text}).status == 401, text
    open_ = store.serve()
    assert open_.get("/session", {"Authorization": value}).json["session_kind"] == "none"
    r = open_.get("/session", {"Authorization": "Bearer abc"})
    assert r.status == 401 and 'error="invalid_token"' in r.get("WWW-Authenticate")


def test_keys_given_as_they_are(store):
    """A01: a key imported from oscarapi is taken verbatim, a scheme word and all."""
    store.run("key", "add", "one", "--value", "testapikey")
    store.run("key", "add", "two", "--value", "Token abc")
    server = store.serve(gateway="on")

    def name(text):
        r = server.get("/session", {"Authorization": text})
        return r.json["client_name"] if r.status == 200 else None
    assert name("testapikey") == "one"
    assert name("Token abc") == "two"
    assert [name(t) for t in ("Token testapikey", "TESTAPIKEY", "abc", "token abc")] == [None] * 4


def test_generated_keys(store):
    """A01, A05: prefix, 160 bits, checksum; shown once; only the digest is stored, and the
    digest opens nothing."""
    keys = [store.key(f"k{i}", "shop") for i in range(20)]
    assert len(set(keys)) == 20
    for key in keys:
        assert re.fullmatch(r"sck_[A-Za-z0-9_-]{33}", key), key
    server = store.serve(gateway="on")
    digest = hashlib.sha256(keys[0].encode())
    for stored in (digest.hexdigest(), digest.hexdigest().upper(), digest.digest().decode("latin-1")
                   .replace("\r", "").replace("\n", "").replace("\0", "")):
        r = server.get("/session", {"X-Api-Key": stored})
        assert r.status in (400, 403), stored
    # What was refused as a key is no secret, nor what is left of it without blanks at its ends.
    store.used.secrets = {s for s in store.used.secrets if s not in digest.digest()}
    assert server.get("/session", {"X-Api-Key": keys[0]}).status == 200
    server.stop()
    listed = store.run("key", "list") + store.run("key", "list", "--json")
    data = b"".join(p.read_bytes() for p in store.path.iterdir() if p.is_file())
    for key in keys:
        assert key not in listed and key not in server.log()
        assert key.encode() not in data
    assert digest.digest() in data


def test_store_files_are_private(store):
    """A05: what the first start makes is readable by its owner alone."""
    (store.path / "sid.secret").unlink()
    store.serve().stop()
    for path in [store.path, *store.path.iterdir()]:
        assert path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) == 0, path
    names = {p.name for p in store.path.iterdir()}
    assert {"sid.secret", "seal.key", "data.mdb"} <= names


@pytest.mark.parametrize("name", ["sid.secret", "seal.key"])
def test_readable_secrets_are_refused(store, name):
    """A05: a secret that group or others may read stops the start, in one line that says so."""
    store.key("web")
    (store.path / name).chmod(0o640)
    store.run("serve", "--listen=127.0.0.1:0", "--ops-listen=", code=100)
    assert name in store.errors and len(store.errors.splitlines()) == 1, store.errors


def test_expiry(store, clock):
    """A03: an expired key is refused, to the second."""
    server = store.serve(gateway="on")
    key = store.key("brief", "shop", "--expires", "1h")
    for by_s in (0, 3599):
        clock.later(by_s)
        assert server.get("/session", {"X-Api-Key": key}).status == 200
    clock.later(1)
    assert refused(server.get("/session", {"X-Api-Key": key}))


def test_ends_at_the_next_request(store):
    """A03: disabled, enabled, revoked: each holds from the next request on a kept connection."""
    key = store.key("web", "shop")
    server = store.serve(gateway="on")
    with server.wire() as wire:
        def status():
            wire.send(request_bytes("GET", "/session", {"X-Api-Key": key}))
            return wire.response().status
        for command, expected in ((None, 200), ("disable", 403), ("enable", 200), ("revoke", 403)):
            if command:
                store.run("key", command, "web")
            assert status() == expected, command
        store.run("key", "enable", "web", code=1)
        assert status() == 403, "revoked is for ever"


def test_rotation(store):
    """A04: two keys are good side by side; a revoked name may be used again."""
    old = store.key("web-1", "shop")
    server = store.serve(gateway="on")
    new = store.key("web-2", "shop")
    for key in (old, new):
        assert server.get("/session", {"X-Api-Key": key}).status == 200
    store.run("key", "revoke", "web-1")
    assert refused(server.get("/session", {"X-Api-Key": old}))
    again = store.key("web-1", "shop")
    assert server.get("/session", {"X-Api-Key": again}).json["client_name"] == "web-1"
    assert refused(server.get("/session", {"X-Api-Key": old}))


def test_names_and_values_are_unique(store):
    """A name or value that is taken is refused, with words."""
    store.run("key", "add", "web", "--value", "abc")
    store.run("key", "add", "web", code=1)
    store.run("key", "add", "other", "--value", "abc", code=1)
    store.run("key", "add", "other", "--scope", "shop,wizard", code=100)
    assert "wizard" in store.errors


def test_sources(store):
    """A03: a key is good from its networks alone; the address is the client's."""
    key = store.key("office", "shop", "--source", "192.0.2.0/24", "--source", "2001:db8::/32")
    server = store.serve(gateway="on")

    def status(address):
        return server.get("/session", {"X-Api-Key": key, **(
            {"X-Forwarded-For": address} if address else {})}).status
    assert status("192.0.2.77") == 200
    assert status("2001:db8::1") == 200
    assert status("192.0.3.1") == 403
    assert status("2001:db9::1") == 403
    assert status(None) == 403
    untrusting = store.serve(gateway="on", trusted_proxies="198.51.100.1")
    assert untrusting.get("/session", {"X-Api-Key": key, "X-Forwarded-For": "192.0.2.77"}
                          ).status == 403


def test_scopes(store):
    """A03: /resolve?scope=S is 403 without it; scopes deny by default."""
    keys = {scope: store.key(scope.replace(",", "-"), scope)
            for scope in ("shop", "trusted", "login", "shop,trusted,login")}
    server = store.serve()
    for scopes, key in keys.items():
        for scope in ("shop", "trusted", "login"):
            r = server.get(f"/resolve?require=any&scope={scope}", {"X-Api-Key": key})
            assert r.status == (204 if scope in scopes.split(",") else 403), (scopes, scope)
            assert r.status == 204 or r.get("X-Resolve-Error")
        r = server.resolve({"X-Api-Key": key})
        assert set(r.get("X-Client-Scopes").split(",")) == set(scopes.split(","))
    assert server.get("/resolve?require=any&scope=shop").status == 403, "no key has no scope"
    for scope in ("wizard", "", "shop%2Ctrusted"):
        r = server.get(f"/resolve?require=any&scope={scope}", {"X-Api-Key": keys["shop"]})
        assert r.status == 403, scope


def test_scope_defaults_to_shop(store):
    """interface.md: `shop` is the default scope."""
    key = store.run("key", "add", "plain").strip()
    r = store.serve().resolve({"X-Api-Key": key})
    assert r.get("X-Client-Scopes") == "shop"


def test_two_keys_that_disagree(store):
    """Two forms may say the same; two different keys are no silent pick."""
    one, two = store.key("one", "shop"), store.key("two", "shop")
    server = store.serve()
    r = server.get("/session", {"Authorization": one, "X-Api-Key": one})
    assert r.json["client_name"] == "one"
    r = server.get("/session", {"Authorization": one, "X-Api-Key": two})
    assert r.status == 400


def test_last_use_is_kept(store):
    """A03: when a key was last seen, roughly, and without a write per request."""
    key = store.key("web", "shop")
    assert store.records("key", "list")[0]["used"] is None
    server = store.serve()
    for _ in range(50):
        server.get("/session", {"X-Api-Key": key})
    wait_until(lambda: store.records("key", "list")[0]["used"], "the key's last use")
    before = store.records("stat")[0]["last_snapshot"]
    for _ in range(50):
        server.get("/session", {"X-Api-Key": key})
    after = store.records("stat")[0]["last_snapshot"]
    assert after - before <= 1, "the clock's own commit"


# --- Rates. ---------------------------------------------------------------------------------------

def test_rate_limit_per_key(store, clock):
    """L09: 429 with Retry-After for that key alone, and again after the window."""
    one, two = store.key("one", "shop"), store.key("two", "shop")
    server = store.serve(rate_limit_key="5/60s")

    def ask(key, path="/session"):
        return server.get(path, {"X-Api-Key": key})
    assert [ask(one).status for _ in range(5)] == [200] * 5
    r = ask(one)
    assert r.status == 429 and r.get("Retry-After") == "60"
    assert ask(one, "/api/login/").status == 429
    assert ask(two).status == 200
    assert server.get("/session").status == 200
    clock.later(59)
    assert ask(one).get("Retry-After") == "1"
    clock.later(1)
    assert ask(one).status == 200


def test_rate_limit_on_resolve(store, clock):
    """F02: /resolve knows four statuses: over the limit it is overload_status."""
    key = store.key("one", "shop")
    server = store.serve(rate_limit_key="2/60s", overload_status="502")
    answers = [server.resolve({"X-Api-Key": key}) for _ in range(4)]
    assert [r.status for r in answers] == [204, 204, 502, 502]


def test_rate_limit_per_address(store, clock):
    """L09: per client address, IPv6 by its /64, X-Forwarded-For of a trusted peer alone."""
    server = store.serve(rate_limit_address="3/60s")

    def ask(address, running=server):
        return running.get("/session", {"X-Forwarded-For": address}).status
    assert [ask("192.0.2.1") for _ in range(5)] == [200] * 3 + [429] * 2
    assert ask("192.0.2.2") == 200
    assert [ask(f"2001:db8::{i + 1}") for i in range(4)] == [200] * 3 + [429]
    assert ask("2001:db8:0:1::1") == 200
    assert server.get("/healthz").status == 200
    # What is answered whoever asks counts for who asks, not for whom was asked for before.
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    strict = store.serve(rate_limit_address="3/60s", cors_origins="https://shop.example")
    for method, path, fields in (("OPTIONS", "/session", preflight),
                                 ("GET", "/dw/shop/v99_1/baskets", {})):
        one, other = (f"192.0.2.{n}{len(fields)}" for n in (3, 4))
        assert ask(one, strict) == 200
        for _ in range(5):
            strict.request(method, path, fields | {"X-Forwarded-For": other})
        assert [ask(a, strict) for a in (one, other)] == [200, 429]
    untrusting = store.serve(rate_limit_address="3/60s", trusted_proxies="198.51.100.1")
    assert [ask(f"192.0.2.{i}", untrusting) for i in range(4)] == [200] * 3 + [429]


def test_quota_of_records(store):
    """S17: per key, and per address without one, a limit on requests is one on records."""
    one, two = store.key("one", "shop"), store.key("two", "shop")
    server = store.serve(rate_limit_key="5/1h", rate_limit_address="8/1h")

    def keep(headers):
        return [server.request("PATCH", "/session/data", headers, {"a": "b" * 3000}).status
                for _ in range(10)]
    for key, address in ((one, "192.0.2.1"), (two, "192.0.2.2")):
        headers = {"X-Api-Key": key, "X-Forwarded-For": address}
        assert keep(headers) == [200] * 5 + [429] * 5
    assert keep({"X-Forwarded-For": "192.0.2.3"}) == [200] * 8 + [429] * 2
    counts, = store.records("check")
    assert (counts["sessions"], counts["session_data"]) == (18, 18)


def test_key_flood_of_addresses(store):
    """L07: ten thousand addresses fill no memory and lock nobody out."""
    server = store.serve(rate_limit_address="3/60s")
    with server.wire() as wire:
        for first in range(0, 10000, 500):
            wire.send(b"".join(request_bytes("GET", "/session", {
                "X-Forwarded-For": f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"})
                for i in range(first, first + 500)))
            assert {wire.response().status for _ in range(500)} == {200}
