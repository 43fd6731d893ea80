"""/admin/ on ops_listen: for another host what the commands do here, and what the log says of it.

What each request is answered with, tests/test_admin.c and tests/test_openapi.py have; here it is
what changes for shoppers and commands, and that nobody waits for it (D09, D10).
"""

import json
import re

import pytest

import conftest
from conftest import SANITIZED, Wire, request_bytes

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
LINES = {"Content-Type": "application/x-ndjson"}
OPEN = {"login_throttle": "off", "login_throttle_address": "off"}


class Admin:
    """Requests of an operator to a running server."""

    def __init__(self, store, **settings):
        self.store = store
        self.key = {"X-Api-Key": store.key("boss", "admin")}
        self.shop = {"X-Api-Key": store.key("shop", "trusted")}
        self.server = store.serve(**OPEN, **settings)

    def ask(self, method, target, body=None, status=200, headers=()):
        r = self.server.request(method, target, {**self.key, **dict(headers)}, body,
                                port=self.server.ops_port)
        assert r.status == status, (method, target, r)
        return r.json if r.body else None

    def login(self, name, login, password=None):
        return self.server.login(ANON + name, login, password, self.shop).status

    def alive(self, name):
        return self.server.resolve({**self.shop, "Session-Id": AUTH + name}).status == 204

    def pages(self, target, what, limit=7):
        """A list, page by page."""
        found, after = [], ""
        while after is not None:
            page = self.ask("GET", f"{target}{'&' if '?' in target else '?'}limit={limit}{after}")
            found += page[what]
            after = page["next"] and f"&after={page['next']}"
        return found


@pytest.fixture
def admin(store):
    return Admin(store)


def test_lists_are_those_of_the_commands(admin):
    """Record for record what `list --json` prints, whatever the length of a page."""
    for i in range(20):
        admin.ask("POST", "/admin/customers", {"login": f"c{i}", "no_password": True}, 201)
        admin.ask("POST", "/admin/keys", {"name": f"k{i}", "sources": ["10.0.0.0/8"]}, 201)
    admin.ask("POST", "/admin/products", "".join(json.dumps(
        {"id": str(i), "name": f"{i}", "price": "1.5", "currency": "EUR", "stock": i,
         "options": ["a", "b"]}) + "\n" for i in range(20)).encode(), headers=LINES)
    admin.store.customer("ada")
    for i in range(20):
        assert admin.login(f"s{i}", "ada") == 200
    for what, command in (("customers", "customer"), ("keys", "key"), ("products", "product"),
                          ("sessions", "session")):
        listed = admin.store.records(command, "list")
        for record in listed:
            record.pop("age", None)
        mine = admin.pages(f"/admin/{what}", what)
        for record in mine:
            record.pop("age", None)
        assert len(mine) >= 20 and mine == listed
    ada = admin.ask("GET", "/admin/customers?login=ada")["customers"][0]["id"]
    mine = admin.pages(f"/admin/sessions?customer={ada}", "sessions")
    assert [s["session_key"] for s in mine] == [
        s["session_key"] for s in admin.store.records("session", "list", "--customer", "ada")]


def test_customer(admin):
    """Added with a password and with Django's hash of one, shut out and let in, another password,
    deleted: his sessions end with it, at once."""
    ada = admin.ask("POST", "/admin/customers", {"login": "ada", "password": "swordfish"}, 201)
    assert admin.login("a", "ada", "swordfish") == 200 and admin.alive("a")
    assert admin.ask("GET", f"/admin/sessions?customer={ada['id']}")["sessions"][0]["login"] == "ada"
    r = admin.ask("PUT", f"/admin/customers/{ada['id']}/password", {"password": "s3cret word"})
    assert r["sessions_ended"] == 1 and not admin.alive("a")
    assert admin.login("a", "ada", "swordfish") == 401
    assert admin.login("a", "ada", "s3cret word") == 200
    path = f"/admin/customers/{ada['id']}"
    assert admin.ask("PATCH", path, {"state": "disabled"})["sessions_ended"] == 1
    assert not admin.alive("a") and admin.login("a", "ada", "s3cret word") == 401
    admin.ask("PATCH", path, {"state": "enabled"})
    assert admin.login("a", "ada", "s3cret word") == 200
    assert admin.ask("DELETE", path) == {"deleted": True, "sessions_ended": 1}
    assert not admin.alive("a")
    admin.ask("GET", path, status=404)
    # Django: make_password("lätmein", "salt", "pbkdf2_sha256"), of 1000 iterations.
    given = "pbkdf2_sha256$1000$salt$" + conftest.base64.b64encode(conftest.hashlib.pbkdf2_hmac(
        "sha256", "lätmein".encode(), b"salt", 1000)).decode()
    admin.ask("POST", "/admin/customers", {"login": "eve", "hash": given}, 201)
    assert admin.login("e", "eve", "lätmein") == 200
    assert admin.login("e2", "eve", "letmein") == 401
    admin.store.run("check")


def test_many_sessions(store):
    """More than one request ends: the customer is out meanwhile, and the answer says to go on."""
    admin = Admin(store, max_sessions_per_customer=0, durability="unsafe-nosync")
    sso = {"X-Api-Key": store.key("sso", "trusted,login")}
    ada = store.customer("ada")
    count = 1100 if not SANITIZED else 1001
    with admin.server.wire() as wire:
        for i in range(count):
            wire.send(request_bytes("POST", "/session/login", {**sso, "Session-Id": f"{ANON}m{i}"},
                                    {"login": "ada"}))
            assert wire.response().status == 200
    first = admin.ask("DELETE", f"/admin/customers/{ada}", status=202)
    assert first == {"deleted": False, "sessions_ended": 1000}
    assert admin.ask("GET", f"/admin/customers/{ada}")["state"] == "disabled"
    assert admin.login("new", "ada") == 401
    second = admin.ask("DELETE", f"/admin/customers/{ada}")
    assert second == {"deleted": True, "sessions_ended": count - 1000}
    store.run("check")


def test_all_sessions(admin):
    admin.store.customer("ada")
    for i in range(5):
        admin.login(f"s{i}", "ada")
    first = admin.ask("DELETE", "/admin/sessions?all=1")
    assert first["sessions_ended"] == 5 and first["sessions_left"] is False
    assert not any(admin.alive(f"s{i}") for i in range(5))
    assert admin.store.records("session", "list") == []


def test_key(admin):
    """A key counts from the answer on, and no longer from the answer on."""
    made = admin.ask("POST", "/admin/keys", {"name": "web", "scopes": ["trusted"]}, 201)
    headers = {"X-Api-Key": made["key"], "Session-Id": ANON + "x"}
    assert admin.server.resolve(headers).get("X-Client-Name") == "web"
    assert "key" not in admin.ask("GET", "/admin/keys/web")
    for change, status in (({"state": "disabled"}, 403), ({"state": "active"}, 204),
                           ({"state": "revoked"}, 403)):
        admin.ask("PATCH", "/admin/keys/web", change)
        assert admin.server.resolve(headers).status == status
    admin.ask("PATCH", "/admin/keys/web", {"state": "active"}, 409)


def test_never_without_the_scope(admin):
    """From loopback too; a shopper's listener has none of it, whatever the key."""
    for headers in ({}, admin.shop, {"X-Api-Key": "bad"}, {"Authorization": "Bearer x"}):
        for method in ("GET", "DELETE"):
            r = admin.server.request(method, "/admin/keys/boss", headers, port=admin.server.ops_port)
            assert r.status in (401, 403), r
    assert admin.server.request("DELETE", "/admin/keys/boss", admin.key).status == 404
    assert admin.ask("GET", "/admin/keys/boss")["state"] == "active"


def test_no_body_is_read_without_the_scope(admin):
    """The head alone is judged: who may not, does not get to send a body."""
    with Wire(admin.server.ops_port) as wire:
        wire.send("POST /admin/products HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
                  "Content-Type: application/x-ndjson\r\nExpect: 100-continue\r\n\r\n")
        assert wire.response(interim=True).status == 403


def test_import(admin):
    """All of a request's lines, or none; 1000 of them at most, 1 MiB at most."""
    def lines(count, **more):
        return "".join(json.dumps({"id": f"p{n}", "name": "x" * 250, "price": "1", "currency": "EUR",
                                   **more}) + "\n" for n in range(count)).encode()
    assert admin.ask("POST", "/admin/products", lines(1000), headers=LINES) == {
        "added": 1000, "changed": 0, "unchanged": 0}
    assert admin.ask("POST", "/admin/products", lines(1000), headers=LINES)["unchanged"] == 1000
    r = admin.ask("POST", "/admin/products", lines(1001, stock=1), 400, LINES)
    assert "line 1001" in r["detail"]
    r = admin.ask("POST", "/admin/products", lines(10, stock=1) + b"{}\n", 400, LINES)
    assert r["detail"] == "line 11: id: missing"
    admin.ask("POST", "/admin/products", b"\n" * 1048577, 413, LINES)
    assert admin.ask("GET", "/admin/products/p5")["stock"] is None
    assert len(admin.pages("/admin/products", "products")) == 1000


def test_a_list_is_one_answer(admin):
    """The longest page is below 1 MiB, and goes on where it ends."""
    for part in range(3):
        admin.ask("POST", "/admin/products", "".join(json.dumps(
            {"id": f"{part}-{n}", "name": '"' * 254, "price": "1", "currency": "EUR",
             "options": ['"' * 254] * 4}) + "\n" for n in range(300)).encode(), headers=LINES)
    page = admin.ask("GET", "/admin/products?limit=1000")
    assert 0 < len(page["products"]) < 900
    assert len({p["id"] for p in admin.pages("/admin/products", "products", 1000)}) == 900


def test_audit(admin):
    """D09, S11: each change is one line with the key's name, what was done, and to what; none of
    them has a secret, a login, or a session in full; what was refused is not there."""
    value = admin.ask("POST", "/admin/keys", {"name": "web"}, 201)["key"]
    ada = admin.ask("POST", "/admin/customers", {"login": "ada-login", "password": "swordfish"}, 201)
    admin.ask("POST", "/admin/customers", {"login": "ada-login", "no_password": True}, 409)
    admin.login("s", "ada-login", "swordfish")
    session = admin.ask("GET", "/admin/sessions")["sessions"][0]["session_key"]
    admin.ask("DELETE", f"/admin/sessions/{session}", status=204)
    admin.ask("DELETE", f"/admin/sessions/{session}", status=404)
    path = f"/admin/customers/{ada['id']}"
    admin.ask("PUT", path + "/password", {"password": "hammerhead"})
    admin.ask("PATCH", path, {"state": "disabled"})
    admin.ask("PATCH", path, {"state": "enabled"})
    admin.ask("DELETE", path)
    admin.ask("DELETE", "/admin/sessions?all=1")
    admin.ask("POST", "/admin/products", b'{"id":"tee","name":"T","price":"1","currency":"EUR"}',
              headers=LINES)
    admin.ask("DELETE", "/admin/products/tee", status=204)
    for change in ("disabled", "active", "revoked"):
        admin.ask("PATCH", "/admin/keys/web", {"state": change})
    log = admin.server.log()
    said = re.findall(r'level=info process=writer event=(\w+) key="boss" (.*)', log)
    assert said == [
        ("key_added", "name=web"), ("customer_added", f"customer={ada['id']}"),
        ("session_revoked", f"session={session[:8]}"),
        ("customer_password", f"customer={ada['id']} sessions_ended=0"),
        ("customer_disabled", f"customer={ada['id']} sessions_ended=0"),
        ("customer_enabled", f"customer={ada['id']} sessions_ended=0"),
        ("customer_deleted", f"customer={ada['id']} sessions_ended=0"),
        ("sessions_revoked", "of=all sessions_ended=0"),
        ("products_imported", "added=1 changed=0 unchanged=0"), ("product_deleted", "product=tee"),
        ("key_disabled", "name=web"), ("key_enabled", "name=web"), ("key_revoked", "name=web")]
    for secret in (value, admin.key["X-Api-Key"], "swordfish", "hammerhead", "ada-login", session):
        assert secret not in log, secret


@pytest.mark.skipif(SANITIZED, reason="filling a store takes minutes there")
def test_shut_out_of_a_full_store(store):
    """Where nothing grows any more, a customer can be shut out, and a key be stopped."""
    admin = Admin(store, map_size="32M", durability="unsafe-nosync", allow="full")
    ada = store.customer("ada")
    assert admin.login("a", "ada") == 200
    key = {"X-Api-Key": store.key("data")}
    with admin.server.wire() as wire:
        status = 200
        for i in range(100000):
            wire.send(request_bytes("PATCH", "/session/data", {**key, "Session-Id": f"{ANON}{i}"},
                                    {"a": "x" * 4000}))
            status = wire.response().status
            if status != 200:
                break
    assert status == 507
    assert admin.ask("PATCH", f"/admin/customers/{ada}", {"state": "disabled"})["sessions_ended"] == 1
    assert not admin.alive("a")
    assert admin.ask("DELETE", "/admin/keys/data")["state"] == "revoked"
