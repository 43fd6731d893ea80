"""Keys of tokens: the ring over time, the JWK set, `sidecart token`; J01 to J14."""

import base64
import calendar
import hashlib
import hmac
import json
import time

import lmdb
import pytest

from conftest import SECRET, wait_until

JWKS = "/.well-known/jwks.json"
LEEWAY_S = 5
MINUTE_S = 60


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def states(store):
    return {key["kid"]: key["state"] for key in store.records("token", "keys")}


def rotate(store, *options):
    return store.run("token", "rotate", *options).strip()


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


@pytest.fixture
def ring(store):
    """A store without keys of tokens."""
    store.key("app")
    return store


# --- Commands. ------------------------------------------------------------------------------------

def test_rotate(ring, clock):
    """HS256 signs at once; a second ES256 key waits until others have seen it (J14)."""
    assert ring.run("token", "keys") == ""
    first = rotate(ring)
    assert states(ring) == {first: "signs"}
    second = rotate(ring, "--alg", "HS256")
    assert ring.errors == "the key signs from now on\n"
    assert states(ring) == {first: "verifies", second: "signs"}
    third = rotate(ring, "--token-alg=ES256")
    assert ring.errors == "the key signs from now on\n"
    fourth, = ring.records("token", "rotate", "--alg", "ES256", "--jwks-max-age=2m")
    assert ring.errors == "the key signs in 120 s, when others have seen it (jwks_max_age)\n"
    assert set(fourth) == {"kid", "alg", "created", "signs"}
    assert seconds(fourth["signs"]) - seconds(fourth["created"]) == 120
    assert states(ring) == {first: "verifies", second: "signs", third: "signs",
                            fourth["kid"]: "waits"}
    ends = {key["kid"]: key["until"] for key in ring.records("token", "keys")}
    assert ends[second] is None and ends[fourth["kid"]] is None
    assert seconds(ends[third]) == seconds(fourth["signs"]) + LEEWAY_S
    algs = {key["kid"]: key["alg"] for key in ring.records("token", "keys")}
    assert [algs[kid] for kid in (first, second, third, fourth["kid"])] == [
        "HS256", "HS256", "ES256", "ES256"]
    counts, = ring.records("check")
    assert counts["token_keys"] == 4 and counts["problems"] == 0


@pytest.mark.parametrize("alg", ["RS256", "none", "hs256", "", "ES384"])
def test_rotate_wrongly(ring, alg):
    ring.run("token", "rotate", "--alg", alg, code=100)
    assert "neither HS256 nor ES256" in ring.errors
    assert states(ring) == {}


def test_no_store(store):
    for command in (["keys"], ["rotate"], ["verify"], ["revoke", "x"]):
        store.run("token", *command, code=1)
        assert "no store here" in store.errors


def test_a_full_ring(ring):
    """Sixteen keys that tokens may still rest on; one that is gone makes room."""
    kids = [rotate(ring, "--alg", "ES256") for _ in range(16)]
    ring.run("token", "rotate", code=1)
    assert "16 keys are there already" in ring.errors
    ring.run("token", "revoke", kids[0])
    rotate(ring)
    assert len(states(ring)) == 16


def test_revoke(ring):
    kid = rotate(ring)
    ring.run("token", "revoke", kid)
    assert states(ring) == {}
    ring.run("token", "revoke", kid, code=1)
    assert "no key of this kid" in ring.errors
    ring.run("token", "revoke", "", code=1)
    ring.run("token", "revoke", "k" * 600, code=1)


def test_check_knows_the_seal(ring):
    """A private key that was sealed under another seal.key signs nothing any more."""
    rotate(ring, "--alg", "ES256")
    (ring.path / "seal.key").write_text("0" * 64)
    found = ring.run("check", "--json", code=1).splitlines()
    assert json.loads(found[0])["among"] == "token_keys"
    assert "another seal.key" in json.loads(found[0])["problem"]


# --- The JWK set. ---------------------------------------------------------------------------------

def test_jwks(ring):
    """Public members and not one more, by their thumbprints, to anybody (J13)."""
    server = ring.serve()
    r = server.get(JWKS)
    assert (r.status, r.json) == (200, {"keys": []})
    assert r.get("Cache-Control") == "no-store"         # so that the first key can sign at once
    rotate(ring)                                        # HS256: nobody's business
    assert server.get(JWKS).json == {"keys": []}
    kids = [rotate(ring, "--alg", "ES256"), rotate(ring, "--alg", "ES256")]
    for headers in ({}, {"X-Api-Key": "bad"}, {"Session-Id": "x"}, {"Cookie": "a=b"}):
        r = server.get(JWKS, headers)
        assert r.status == 200 and r.get("Content-Type") == "application/jwk-set+json"
        assert r.get("Cache-Control") == "public, max-age=300"
        assert sorted(key["kid"] for key in r.json["keys"]) == sorted(kids)
    for key in r.json["keys"]:
        assert set(key) == {"kty", "use", "alg", "kid", "crv", "x", "y"}
        assert (key["kty"], key["use"], key["alg"], key["crv"]) == ("EC", "sig", "ES256", "P-256")
        text = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")},
                          separators=(",", ":"))
        assert key["kid"] == encode(hashlib.sha256(text.encode()).digest())
        assert len(base64.urlsafe_b64decode(key["x"] + "=")) == 32
    assert server.request("HEAD", JWKS).get("Content-Length") == str(len(r.body))
    assert server.request("POST", JWKS).get("Allow") == "GET, HEAD, OPTIONS"
    assert server.get(JWKS, port=server.ops_port).status == 404


def test_a_key_goes(ring, clock):
    """J14 beside a running server: published at once, signs after jwks_max_age, then its
    predecessor is gone as soon as no token can rest on it. All to the second."""
    server = ring.serve(jwks_max_age="10m")

    def published():
        return {key["kid"] for key in server.get(JWKS).json["keys"]}
    first = rotate(ring, "--alg", "ES256")
    assert server.get(JWKS).get("Cache-Control") == "public, max-age=600"
    second = rotate(ring, "--alg", "ES256", "--jwks-max-age=10m")
    steps = [(0, {first: "signs", second: "waits"}, {first, second}),
             (599, {first: "signs", second: "waits"}, {first, second}),
             (1, {first: "verifies", second: "signs"}, {first, second}),
             (LEEWAY_S - 1, {first: "verifies", second: "signs"}, {first, second}),
             (1, {second: "signs"}, {second})]
    for by_s, expected, keys in steps:
        clock.later(by_s)
        assert (published(), states(ring)) == (keys, expected)
    wait_until(lambda: ring.records("check")[0]["token_keys"] == 1, "the sweep deletes it")


# --- Tokens. --------------------------------------------------------------------------------------

def seed(store, kid):
    """What the store holds of an HS256 key."""
    with lmdb.open(str(store.path), readonly=True, lock=False) as environment, \
            environment.begin() as transaction:
        return transaction.get(b"T" + kid.encode())[-32:]


def secret(store, kid):
    return hmac.digest(SECRET, b"sidecart token key" + seed(store, kid), "sha256")


def token(key, header, claims):
    text = ".".join(encode(part if isinstance(part, bytes) else json.dumps(part).encode())
                    for part in (header, claims))
    return f"{text}.{encode(hmac.digest(key, text.encode(), 'sha256'))}"


@pytest.fixture(scope="module")
def made(module_store):
    """A store with an HS256 key: the store, the key's kid and secret."""
    module_store.key("app")
    kid = rotate(module_store)
    return module_store, kid, secret(module_store, kid)


def good_claims():
    now_s = int(time.time())
    return {"iss": "app", "sub": "{}", "iat": now_s, "exp": now_s + 30 * MINUTE_S}


def test_verify(made):
    store, kid, key = made
    claims = good_claims()
    for typ in ("JWT", "at+jwt"):
        text = token(key, {"_v": "1", "alg": "HS256", "kid": kid, "typ": typ}, claims)
        shown = json.loads(store.run("token", "verify", "--json", stdin=text + "\n"))
        assert (shown["kid"], shown["alg"], shown["typ"]) == (kid, "HS256", typ)
        assert (shown["iss"], shown["sub"]) == ("app", "{}")
        assert seconds(shown["expires"]) - seconds(shown["issued"]) == 30 * MINUTE_S
    assert "kid:" in store.run("token", "verify", stdin=text)
    without = token(key, {"alg": "HS256", "typ": "JWT"}, claims)
    assert store.run("token", "verify", stdin=without)  # J04: it is the only key of HS256


REFUSED = {
    "expired": ({}, {"iat": -4000, "exp": -2200}, "expired"),
    "just expired": ({}, {"iat": -100, "exp": -LEEWAY_S - 1}, "expired"),
    "to come": ({}, {"iat": 100}, "not valid yet"),
    "not before": ({}, {"nbf": 100}, "not valid yet"),
    "lives too long": ({}, {"exp": 86401}, "lives too long"),
    "no exp": ({}, {"exp": None}, "bad claims"),
    "no iat": ({}, {"iat": None}, "bad claims"),
    "no iss": ({}, {"iss": None}, "bad claims"),
    "typ": ({"typ": "JWS"}, {}, "of another type"),
    "no typ": ({"typ": None}, {}, "of another type"),
    "none": ({"alg": "none"}, {}, "algorithm not accepted"),
    "another alg": ({"alg": "ES256"}, {}, "algorithm not accepted"),
    "unknown kid": ({"kid": "nosuch"}, {}, "no such key"),
    "kid of a path": ({"kid": "../../etc/passwd"}, {}, "no such key"),
    "kid too long": ({"kid": "k" * 65}, {}, "bad header"),
    "crit": ({"crit": ["exp"]}, {}, "extension"),
    "b64": ({"b64": False}, {}, "extension"),
    "zip": ({"zip": "DEF"}, {}, "extension"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_verify_refuses(made, what):
    store, kid, key = made
    header, claims, why = REFUSED[what]
    now_s = int(time.time())
    header = {"alg": "HS256", "kid": kid, "typ": "JWT", **header}
    claims = {**good_claims(), **{name: value + now_s if isinstance(value, int) else value
                                  for name, value in claims.items()}}
    text = token(key, *({n: v for n, v in part.items() if v is not None}
                        for part in (header, claims)))
    assert store.run("token", "verify", stdin=text, code=1) == ""
    assert why in store.errors and len(store.errors.splitlines()) == 1


def test_verify_refuses_malformed(made):
    store, kid, key = made
    text = token(key, {"alg": "HS256", "kid": kid, "typ": "JWT"}, good_claims())
    head, claims, signature = text.split(".")
    twice = json.dumps(good_claims())[:-1] + ',"sub":"x"}'
    for bad in (text + "=", text + ".", text[:-1], f"{head}.{claims}", f"{head}.{claims}.",
                f" {text}", f"{head}=.{claims}.{signature}", f"{claims}.{head}.{signature}",
                f"{head}.{head}.{signature}", f"Bearer {text}", "x" * 8192,
                token(b"\0" * 32, {"alg": "HS256", "kid": kid, "typ": "JWT"}, good_claims()),
                token(key, {"alg": "HS256", "kid": kid, "typ": "JWT"}, twice.encode())):
        store.run("token", "verify", stdin=bad, code=1)
        assert "the token is not good: " in store.errors, bad
    for bad in ("", "\n", "x" * 8193):
        store.run("token", "verify", stdin=bad, code=1)


def test_the_store_alone_makes_no_token(made):
    """What stands in it is no secret: that one needs sid.secret, too."""
    store, kid, _ = made
    text = token(seed(store, kid), {"alg": "HS256", "kid": kid, "typ": "JWT"}, good_claims())
    store.run("token", "verify", stdin=text, code=1)
    assert "bad signature" in store.errors


def test_verify_over_a_rotation(ring):
    """A token outlives its key's time to sign, not the key's end (J14)."""
    kid = rotate(ring)
    text = token(secret(ring, kid), {"alg": "HS256", "kid": kid, "typ": "JWT"}, good_claims())
    rotate(ring)
    ring.run("token", "verify", stdin=text)
    ring.run("token", "revoke", kid)
    ring.run("token", "verify", stdin=text, code=1)
    assert "no such key" in ring.errors
