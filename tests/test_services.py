"""Token services and tokens for backends, over a running server: J08, J13, J16, J17, F05."""

import base64
import hashlib
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from conftest import request_bytes, wait_until

SID, LIVE = "SID:ANON:127.0.0.1:one", "SID:AUTH:127.0.0.1:one"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ASKED_FOR = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Method": "POST",
             "X-Forwarded-Uri": "/orders/7?page=2"}


@pytest.fixture
def shop(store):
    """A server with ada logged in by Session-Id, keys for an app and for a backend."""
    class Shop:
        app = {"X-Api-Key": store.key("app")}
        service = {"X-Api-Key": store.key("service", "resolve"),
                   "Content-Type": "application/x-www-form-urlencoded"}
    store.customer("ada")
    Shop.server = store.serve(workers=2, sid_realms="127.0.0.1")
    assert Shop.server.login(SID, "ada", headers=Shop.app).status == 200
    Shop.live = {**Shop.app, "Session-Id": LIVE}
    return Shop


def post(shop, name, headers=None, **form):
    return shop.server.request("POST", f"/token/{name}", headers or shop.service,
                               urlencode(form).encode())


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def resolve_token(shop, query="", headers=ASKED_FOR):
    r = shop.server.get(f"/resolve?token=1{query}", {**shop.live, **headers})
    assert r.status == 204, r
    scheme, token = r.get("Authorization").split(" ")
    assert scheme == "Bearer"
    return token


def test_resolve_gives_a_token(shop, store):
    """F05: for this host, method and path, at most a minute, to be verified by others (J13)."""
    token = resolve_token(shop)
    said = claims(token)
    assert said["aud"] == "shop.example" and said["htm"] == "POST"
    digest = hashlib.sha256(b"/orders/7").digest()
    assert said["path_sha256"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert 30 <= said["exp"] - said["iat"] <= 60
    assert (said["kind"], said["login"], said["client_id"]) == ("customer", "ada", "app")
    r = shop.server.resolve(shop.live)
    assert (said["sid"], said["sub"]) == (r.get("X-Session-Key"), r.get("X-Customer-Id"))
    assert "at+jwt" in store.run("token", "verify", stdin=token + "\n")
    jwks = shop.server.get("/.well-known/jwks.json").json["keys"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": "ES256", "kid": jwks[0]["kid"], "typ": "at+jwt"}
    assert claims(resolve_token(shop, "&audience=orders"))["aud"] == "orders"


def test_a_token_is_kept(clock, shop, store):
    """The same request gets the same for half a minute, from the front alone: no hasher is asked,
    and no writer. Another path gets another token, and so does another half of a minute."""
    clock.later(-clock.now_s % 30)
    server = store.serve(sid_realms="127.0.0.1", workers=1)
    headers = {**shop.live, **ASKED_FOR}
    with server.wire() as wire:
        def ask():
            wire.send(request_bytes("GET", "/resolve?token=1", headers))
            return wire.response()
        first = ask()
        writer, = server.child("writer")
        os.kill(writer, signal.SIGSTOP)
        try:
            for by_s in (0, 14, 15):
                clock.later(by_s)
                r = ask()
                assert (r.status, r.get("Authorization")) == (204, first.get("Authorization"))
        finally:
            os.kill(writer, signal.SIGCONT)
        clock.later(1)
        later = ask()
        headers["X-Forwarded-Uri"] = "/x"
        assert len({r.get("Authorization") for r in (first, later, ask())}) == 3


def test_many_ask_at_once(shop):
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda n: resolve_token(shop, f"&audience={n % 7}"), range(64)))
    assert {claims(token)["aud"] for token in tokens} == set("0123456")


def test_exchange_and_introspection(shop):
    """What a session is exchanged for is active as long as the session is (J16)."""
    assert post(shop, "introspect", token="x").body == b'{"active":false}'
    trusted = {**shop.service, **shop.app}
    form = {"grant_type": GRANT, "subject_token": LIVE, "audience": "orders",
            "subject_token_type": "urn:x-sidecart:session-id"}
    assert post(shop, "exchange", trusted, **form).status == 403    # no scope resolve
    assert post(shop, "exchange", **form).json["error"] == "invalid_request"    # not trusted
    cookie = shop.server.request("POST", "/api/login/", {}, {"username": "ada", "password": "ada"})
    form |= {"subject_token": cookie.cookies["sidecart_session"][0],
             "subject_token_type": "urn:x-sidecart:cookie"}
    r = post(shop, "exchange", **form)
    assert r.status == 200 and r.get("Cache-Control") == "no-store", r
    token = r.json["access_token"]
    for _ in range(3):
        r = post(shop, "introspect", token=token)
        assert (r.json["active"], r.json["username"], r.json["aud"]) == (True, "ada", "orders")
    for scheme in ("Bearer", "bearer"):     # for its backend alone (J08, J17)
        r = shop.server.get("/session", {"Authorization": f"{scheme} {token}"})
        assert r.status == 401 and r.get("WWW-Authenticate") == 'Bearer error="invalid_token"'
    assert shop.server.request("DELETE", "/session?all=1", shop.live).status == 204
    assert post(shop, "introspect", token=token).body == b'{"active":false}'
    assert post(shop, "exchange", **form).json["error"] == "invalid_request"


def test_bad_tokens_are_all_alike(shop):
    """Unsigned, of other keys, of other types: one answer (J01, J02, J04)."""
    good = resolve_token(shop)
    header, payload, signature = good.split(".")

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    tokens = ["x", "a.b.c", f"{header}.{payload}.", f"{header}.{payload}.{signature[::-1]}",
              f"{part({'alg': 'none'})}.{payload}.",
              f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{payload}.{signature}",
              f"{part({'alg': 'ES256', 'kid': kid, 'typ': 'JWT'})}.{payload}.{signature}",
              f"{part({'alg': 'ES256', 'kid': 'other', 'typ': 'at+jwt'})}.{payload}.{signature}"]
    answers = set()
    for token in tokens:
        assert post(shop, "introspect", token=token).body == b'{"active":false}', token
        assert post(shop, "revoke", token=token).status == 200 or "at+jwt" in str(
            base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        r = shop.server.get("/resolve", {"Authorization": f"Bearer {token}"})
        answers.add((r.status, r.body, r.get("WWW-Authenticate"), r.get("X-Resolve-Error")))
    assert len(answers) == 1 and answers.pop()[2:] == ('Bearer error="invalid_token"', "token_dead")


def test_rotation_beside_resolve(shop, store):
    """A new key signs once others have seen it; tokens of the old one stay good (J14)."""
    first = resolve_token(shop)
    store.run("token", "rotate", "--alg", "ES256", "--jwks-max-age=1s")
    for token in (first, resolve_token(shop, "&audience=other")):
        assert post(shop, "introspect", token=token).json["active"]
    kid = json.loads(base64.urlsafe_b64decode(first.split(".")[0] + "=="))["kid"]
    store.run("token", "revoke", kid)
    assert post(shop, "introspect", token=first).body == b'{"active":false}'


def sign_in_and_call(shop, number, stopped):
    """What one client does, a last time after the last rotation; the kids of its tokens."""
    seen, last = set(), False
    while not last:
        last = stopped.is_set()
        sid = f"SID:ANON:127.0.0.1:r{number}-{len(seen)}"
        assert shop.server.login(sid, "ada", headers=shop.app).status == 200
        live = {**shop.app, "Session-Id": sid.replace("ANON", "AUTH")}
        r = shop.server.get("/resolve?token=1", {**live, **ASKED_FOR, "X-Forwarded-Uri": f"/{number}"})
        assert r.status == 204, r
        token = r.get("Authorization").split(" ")[1]
        kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
        jwks = shop.server.get("/.well-known/jwks.json").json["keys"]
        assert kid in {key["kid"] for key in jwks}
        answer = post(shop, "introspect", token=token)
        assert answer.status == 200 and answer.json["active"], answer
        assert shop.server.request("DELETE", "/session", live).status == 204
        assert post(shop, "introspect", token=token).body == b'{"active":false}'
        seen.add(kid)
    return seen


def test_rotation_under_load(shop, store):
    """Three rotations while clients sign in, call and sign out: nothing fails (J14)."""
    def signs(kid):
        return any(k["kid"] == kid and k["state"] == "signs" for k in store.records("token", "keys"))
    stopped = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(sign_in_and_call, shop, n, stopped) for n in range(4)]
        try:
            for _ in range(3):
                made, = store.records("token", "rotate", "--alg", "ES256", "--jwks-max-age=1s")
                wait_until(lambda kid=made["kid"]: signs(kid), "the new key signs")
        finally:
            stopped.set()
        assert all(made["kid"] in client.result() for client in clients)
