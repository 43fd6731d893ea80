"""Shoppers' tokens over a running server, whatever signs them: J09, J10, J14, J15, J17."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import basic, request_bytes, wait_until

AUTH = "/s/RefArch/dw/shop/v20_9/customers/auth"


class Shop:
    """A server whose shoppers' tokens are signed with one algorithm."""

    def __init__(self, store, alg, **settings):
        self.store, self.alg = store, alg
        self.client = {"x-dw-client-id": store.key("web", "shop")}
        store.customer("ada")
        self.server = store.serve(token_alg=alg, enforce_https="off", **settings)

    def sign_in(self, **headers):
        kind = "credentials" if "Authorization" in headers else "guest"
        r = self.server.request("POST", AUTH, {**self.client, **headers}, {"type": kind})
        assert r.status == 200, r
        return {"Authorization": r.get("Authorization")}

    def ada(self):
        return self.sign_in(Authorization=basic("ada", "ada"))


@pytest.fixture(params=["HS256", "ES256"])
def shop(request, store):
    """However often she signs in within a second: none of her sessions gives way to another."""
    return Shop(store, request.param, max_sessions_per_customer=0)


def refused(r):
    return r.status == 401 and r.get("WWW-Authenticate") == 'Bearer error="invalid_token"'


def test_one_session_on_every_surface(shop):
    """The same token is known to /resolve, /session, /api/ and /dw/ (J10: by any front)."""
    for headers, kind in ((shop.sign_in(), "guest"), (shop.ada(), "customer")):
        for _ in range(3):
            r = shop.server.resolve(headers)
            assert (r.status, r.get("X-Session-Kind"), r.get("X-Auth-Via")) == (204, kind, "token")
            assert r.get("X-Client-Name") == "web" and not r.cookies
        r = shop.server.get("/session", headers)
        assert (r.json["session_kind"], r.json["auth_via"]) == (kind, "token")
        assert r.json["session_key"] == shop.server.resolve(headers).get("X-Session-Key")
        assert shop.server.get("/api/basket/", headers).status == 200
        basket = shop.server.resolve(headers).get("X-Basket-Id")
        assert basket != "-" and shop.server.get(f"/api/baskets/{basket}/", headers).status == 200
        assert shop.server.get("/api/baskets/999/", headers).status == 404
    assert refused(shop.server.get("/resolve", shop.sign_in()))     # customer is required
    assert shop.server.request("PUT", "/session", shop.sign_in()).status == 405
    counts, = shop.store.records("check")
    assert counts["problems"] == 0
    vias = [r["via"] for r in shop.store.records("session", "list")]
    assert (vias.count("token"), vias.count("guest")) == (4, 3)


def test_a_guest_keeps_his_basket(shop):
    """A refreshed token is the same guest's; another guest sees nothing of it."""
    first = shop.sign_in()
    shop.server.get("/api/basket/", first)
    basket = shop.server.resolve(first).get("X-Basket-Id")
    r = shop.server.request("POST", AUTH, {**shop.client, **first}, {"type": "refresh"})
    second = {"Authorization": r.get("Authorization")}
    assert first != second
    for headers in (first, second):
        assert shop.server.resolve(headers).get("X-Basket-Id") == basket
    assert shop.server.get(f"/api/baskets/{basket}/", shop.sign_in()).status == 403
    shop.server.request("DELETE", "/session", first)
    assert refused(shop.server.get("/session", first))
    assert shop.server.get("/session", second).status == 200


@pytest.mark.parametrize("end", ["logout", "everywhere", "password", "disable", "command", "key",
                                 "client"])
def test_ends(shop, end):
    """What ends a token ends it for the very next request (J09, J15)."""
    headers, other = shop.ada(), shop.ada()
    for _ in range(3):
        assert shop.server.resolve(headers, "customer").status == 204
        assert shop.server.resolve(other, "customer").status == 204
    run = shop.store.run
    if end == "logout":
        assert shop.server.request("DELETE", "/session", headers).status == 204
    elif end == "everywhere":
        assert shop.server.request("DELETE", "/session?all=1", other).status == 204
    elif end == "password":
        run("customer", "set-password", "ada", "--password-stdin", stdin="new\n")
    elif end == "disable":
        run("customer", "disable", "ada")
    elif end == "command":
        run("session", "revoke", shop.server.resolve(headers).get("X-Session-Key"))
    elif end == "key":
        for key in shop.store.records("token", "keys"):
            run("token", "revoke", key["kid"])
    else:
        run("key", "disable", "web")
    alone = end in ("logout", "command")
    assert refused(shop.server.resolve(headers))
    assert refused(shop.server.resolve(other)) != alone


def test_what_is_altered_is_refused(shop):
    """Each part of the token counts, and it is a token nowhere but behind Bearer (J17)."""
    token = shop.ada()["Authorization"].split(" ")[1]
    header, payload, signature = token.split(".")
    for bad in (f"{header}.{payload}", f"{header}.{payload}.", f"{payload}.{header}.{signature}",
                f"{header}.{payload}.{signature[:-4]}AAAA", f"{header}.{payload[:-4]}AAAA.{signature}",
                token + "A", f"{token} {token}", ""):
        for _ in range(2):
            assert refused(shop.server.resolve({"Authorization": f"Bearer {bad}"})), bad
    for headers in ({"X-Api-Key": token}, {"Authorization": token}):
        assert shop.server.resolve(headers).status == 403
    for query in ("access_token", "token", "Authorization"):
        r = shop.server.get(f"/session?{query}={token}")
        assert r.json["session_kind"] == "none"
    assert shop.server.resolve({"Cookie": f"dwsid={token}"}).get("X-Session-Kind") == "none"
    r = shop.server.request("POST", "/session", {}, f"access_token={token}".encode())
    assert r.status in (403, 405)


def test_first_sight_of_many(shop):
    """Tokens that nobody has seen yet, all at once, from eight connections."""
    tokens = [shop.sign_in() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            answers = list(pool.map(shop.server.resolve, tokens))
            assert {(r.status, r.get("X-Session-Kind")) for r in answers} == {(204, "guest")}
    assert len({r.get("X-Session-Key") for r in answers}) == len(tokens)


def test_a_known_token_needs_no_writer(shop):
    """A front that has seen a token knows it, whatever signed it (J10)."""
    known = shop.ada()
    with shop.server.wire() as wire:
        def ask():
            wire.send(request_bytes("GET", "/resolve", known))
            return wire.response()
        assert ask().status == 204
        writer, = shop.server.child("writer")
        os.kill(writer, signal.SIGSTOP)
        try:
            assert [ask().status for _ in range(3)] == [204] * 3
        finally:
            os.kill(writer, signal.SIGCONT)


def test_rotation_under_load(shop):
    """Three rotations while shoppers sign in and call: nothing fails (J14)."""
    stopped = threading.Event()

    def call(number):
        last, rounds = False, 0     # a last round after the last rotation
        while not last:
            last = stopped.is_set()
            headers = shop.ada() if number % 2 else shop.sign_in()
            for _ in range(3):
                r = shop.server.resolve(headers, "session")
                assert r.status == 204, r
                r = shop.server.get("/session", headers)
                assert r.status == 200, r
            rounds += 1
        return rounds
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(call, n) for n in range(4)]
        try:
            for _ in range(3):
                made, = shop.store.records("token", "rotate", "--alg", shop.alg,
                                            "--jwks-max-age=1s")
                wait_until(lambda kid=made["kid"]: any(
                    k["kid"] == kid and k["state"] == "signs"
                    for k in shop.store.records("token", "keys")), "the new key signs")
        finally:
            stopped.set()
        assert all(client.result() > 0 for client in clients)
