"""S02, S11: a run over every surface, and then the search for each secret that it used.

The same search judges the log, the files and the error bodies of every other end-to-end test
(used.py, conftest.py); here the metrics, `ps`, core dumps and what commands print are searched
as well.
"""

import base64
import contextlib
import json
import os
import pathlib
import secrets
from urllib.parse import quote, urlencode

import lmdb
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from conftest import SANITIZED, Store, basic, request_bytes
from test_ocapi_baskets import PRODUCTS, Shopper, item
from test_process import writable_memory
from used import Used

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
SEALED_SCALAR = 12 + 32 + 16
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
BASKET = "/api/basket/"


def word():
    return "w0rd" + secrets.token_hex(12)


class Run:
    """One server with everything switched on, and what each surface does there, once."""

    def __init__(self, store):
        self.store = store
        self.passwords = {name: self.word() for name in ("ada", "eve", "new")}
        self.keys = {scope: store.key(scope.split(",")[0] + "-app", scope)
                     for scope in ("trusted,login", "resolve", "admin", "shop,trusted")}
        self.client = store.key("page", "shop")
        store.run("product", "import", "-", stdin=PRODUCTS)
        self.ada = store.customer("ada", self.passwords["ada"])
        self.server = store.serve(workers=2, log_level="debug", log_requests="all",
                                  register="on", enforce_https="off",
                                  expose_user_details="on", login_throttle="off", sid_realms="127.0.0.1")
        self.app = {"X-Api-Key": self.keys["trusted,login"]}
        self.errors = []

    def word(self):
        made = word()
        self.store.used.secrets.add(made.encode())
        return made

    def ask(self, method, target, headers=(), body=None, status=None, **options):
        r = self.server.request(method, target, headers, body, **options)
        assert status is None or r.status == status, (method, target, r)
        if r.status >= 400:
            self.errors.append(r)
        return r

    def sessions_by_header(self):
        sid = {**self.app, "Session-Id": ANON + self.word()}
        self.ask("POST", BASKET + "add-product/", sid, {"url": "/api/products/1/", "quantity": 1})
        self.ask("POST", "/api/login/", sid, {"username": "ada", "password": "wrong-" + self.word()}, 401)
        self.ask("POST", "/api/login/", {**sid, "Idempotency-Key": self.word()},
                 {"username": "ada", "password": self.passwords["ada"]}, 200)
        self.header = {**self.app, "Session-Id": sid["Session-Id"].replace("ANON", "AUTH")}
        self.ask("GET", BASKET, self.header, status=200)
        self.ask("PATCH", "/session/data", self.header, {"colour": "red"}, 200)

    def cookies(self):
        r = self.ask("POST", "/api/register/", (), {
            "email": "eve@shop.example", "password1": self.passwords["eve"],
            "password2": self.passwords["eve"]}, 201)
        r = self.ask("POST", "/api/login/", (), {"username": "eve@shop.example",
                                                "password": self.passwords["eve"]}, 200)
        jar = {name: value for name, (value, _) in r.cookies.items()}
        self.browser = {"Cookie": "; ".join(f"{n}={v}" for n, v in jar.items()),
                        "X-CSRFToken": jar["sidecart_csrf"], "Idempotency-Key": self.word()}
        self.ask("POST", BASKET + "add-product/", self.browser,
                 {"url": "/api/products/1/", "quantity": 1})
        self.ask("PATCH", "/session/data", {**self.browser, "X-CSRFToken": self.word()}, {"a": 1}, 403)

    def bridge(self):
        guest = Shopper(self.server, self.client)
        guest.auth("guest")
        basket = guest.ask("POST", "/baskets", Idempotency_Key=self.word()).json["basket_id"]
        guest.ask("POST", f"/baskets/{basket}/items", [item("mug", 1)])
        member = Shopper(self.server, self.client)
        member.ask("POST", "/customers/auth", {"type": "credentials"}, 401,
                   Authorization=basic("ada", "wrong-" + self.word()))
        member.auth("credentials", Authorization=basic("ada", self.passwords["ada"]))
        cookies = member.ask("POST", "/sessions", status=204).cookies
        jar = "; ".join(f"{name}={value}" for name, (value, _) in cookies.items())
        other = Shopper(self.server, self.client)
        other.auth("session", Cookie=jar)
        other.auth("refresh")
        self.bearer = {"Authorization": other.headers["Authorization"]}
        self.ask("GET", "/session", self.bearer, status=200)
        self.ask("GET", "/session", {"Authorization": self.bearer["Authorization"][:-8] + "AAAAAAAA"},
                 status=401)

    def services(self):
        service = {"X-Api-Key": self.keys["resolve"],
                   "Content-Type": "application/x-www-form-urlencoded"}

        def post(name, **form):
            return self.ask("POST", f"/token/{name}", service, urlencode(form).encode())
        cookie = self.browser["Cookie"].split("sidecart_session=")[1].split(";")[0]
        token = post("exchange", grant_type=GRANT, subject_token=cookie, audience="orders",
                     subject_token_type="urn:x-sidecart:cookie").json["access_token"]
        assert post("introspect", token=token).json["active"]
        assert post("introspect", token=self.bearer["Authorization"].split()[1]).status == 200
        for name in ("exchange", "introspect", "revoke"):
            post(name, token=token[:-4] + "AAAA", subject_token=self.word())
        assert self.ask("GET", "/resolve?token=1", {**self.header, "X-Forwarded-Host": "a",
                                                    "X-Forwarded-Uri": "/?key=" + self.app["X-Api-Key"]}
                        ).get("Authorization")
        post("revoke", token=token)     # of a minute; it ends by itself

    def operator(self):
        admin = {"X-Api-Key": self.keys["admin"]}

        def ask(method, target, body=None, status=200):
            return self.ask(method, "/admin/" + target, admin, body, status, port=self.server.ops_port)
        ask("POST", "keys", {"name": "more", "scopes": ["trusted"]}, 201)
        ask("POST", "customers", {"login": "new", "password": self.passwords["new"]}, 201)
        ask("POST", "customers", {"login": "new", "password": self.word()}, 409)
        for what in ("keys", "customers", "sessions"):
            ask("GET", what)
        self.ask("GET", "/admin/keys", {"X-Api-Key": self.word()}, port=self.server.ops_port)

    def mistakes(self):
        """Secrets where they do not belong, and requests that are refused half-way."""
        own = {**self.header, **{k: v for k, v in self.browser.items() if k == "Cookie"}}
        for target in (f"/{self.word()}", f"/resolve?require={quote(self.app['X-Api-Key'])}",
                       f"/api/basket/?token={self.bearer['Authorization'].split()[1]}"):
            self.ask("GET", target, own)
        for path in ("/api/login/", "/session/login", "/api/register/", "/session/data"):
            for body in (b'{"username": "ada", "password": "%s"' % self.word().encode(),
                         b'{"password": "%s", "password": 1}' % self.word().encode(),
                         b'{"password": ["%s"]}' % self.word().encode(), self.word().encode()):
                self.ask("POST", path, {**own, "Content-Type": "application/json"}, body)
        for name, value in (("Session-Id", "SID:" + self.word()), ("Session-Id", ANON + self.word() + ":\x7f"),
                            ("Authorization", "Bearer " + self.word()), ("Authorization", self.word()),
                            ("Authorization", "Basic " + self.word()), ("X-Api-Key", self.word()),
                            ("Cookie", "sidecart_session=" + self.word()),
                            ("Session-Id", "SID:AUTH:elsewhere:" + self.word())):
            for path in ("/session", BASKET, "/resolve", "/s/RefArch/dw/shop/v20_9/sessions"):
                self.ask("GET", path, {**self.app, name: value})
        for tail in (f"X-Api-Key : {self.word()}\r\n\r\n", f"Session-Id: {self.word()}\x01\r\n\r\n",
                     f"Cookie: {self.word()}\r\n X: {self.word()}\r\n\r\n",
                     f"Content-Length: {self.word()}\r\n\r\n"):
            with self.server.wire() as wire:
                wire.send(f"GET /session HTTP/1.1\r\nHost: a\r\n{tail}")
                self.errors.append(wire.response())

    def ends(self):
        self.ask("DELETE", "/api/login/", self.header)
        self.ask("DELETE", "/session", self.browser)
        self.ask("GET", "/session", self.browser)
        self.ask("GET", BASKET, self.bearer)

    def all(self):
        for surface in (self.sessions_by_header, self.cookies, self.bridge, self.services,
                        self.operator, self.mistakes):
            surface()
        return self


def processes(server):
    """What `ps` shows of each: its command line and its environment's settings."""
    for pid in (server.pid, *server.children()):
        for name in ("cmdline", "comm", "status", "stat"):
            yield pathlib.Path(f"/proc/{pid}/{name}").read_bytes()


def test_a_whole_run(store):
    run = Run(store).all()
    server, used = run.server, store.used
    assert len(used.secrets) > 60 and len({r.status for r in run.errors}) >= 5
    shown = [server.get("/metrics", port=server.ops_port).body, *processes(server)]
    for command in (["session", "list"], ["customer", "list"], ["key", "list"], ["token", "keys"],
                    ["check"], ["stat"]):
        shown.append(store.run(*command, "--json").encode() + store.errors.encode())
    shown += [r.body for r in run.errors]
    for text in shown:
        assert text and not used.found_in(text), (used.found_in(text), text)
    run.ends()
    lines = server.log()
    assert lines.count("event=request ") > 60 and "event=login " in lines
    server.stop()
    assert used.found_in(lines.encode()) == []
    used.judge(store.files())


@pytest.mark.skipif(os.geteuid() != 0 or SANITIZED, reason="reads the memory of processes")
def test_a_core_dump_of_a_whole_run(store):
    """Of each process, what a core dump would hold; the rest holds some, so the search works."""
    run = Run(store).all()
    hidden = set()
    for pid, kind in run.server.children().items():
        for shown, memory in writable_memory(pid):
            found = store.used.found_in(memory)
            assert not (shown and found), (kind, found)
            hidden.update(found)
    assert len(hidden) > 3


@pytest.mark.skipif(os.geteuid() != 0 or SANITIZED, reason="reads the memory of processes")
def test_what_hashers_alone_know(store):
    """A front's and the writer's memory hold neither a password's hash nor an ES256 private key,
    nor the key that opens both; the store's file holds them sealed alone."""
    run = Run(store)
    run.sessions_by_header()
    run.cookies()
    run.bridge()
    for _ in range(3):      # each has signed and been asked
        run.ask("GET", "/resolve?token=1", {**run.header, "X-Forwarded-Host": word()}, status=204)
    seal_key = bytes.fromhex((store.path / "seal.key").read_text().strip())
    private, = (scalar for row in rows(store) for scalar in open_scalars(seal_key, *row))
    store.run("export", "oscar", store.path.parent / "back.json")
    exported = json.loads((store.path.parent / "back.json").read_text())
    password, = (row["fields"]["password"] for row in exported if row["model"] == "auth.user" and
                 row["fields"]["username"] == "ada")
    digest = password.rsplit("$", 1)[1]
    wanted = {"seal key": seal_key, "private key": private, "hash": digest.encode(),
              "its bytes": base64.b64decode(digest)}
    for pid, kind in run.server.children().items():
        found = {name for _, memory in writable_memory(pid)
                 for name, secret in wanted.items() if secret in memory}
        if "hasher" in kind:
            assert "seal key" in found, "the test looks at the right places"
        else:
            assert found == set(), (kind, found)
    for name, secret in wanted.items():
        assert secret not in (store.path / "data.mdb").read_bytes(), name


def rows(store):
    with lmdb.open(str(store.path), map_size=64 << 20, readonly=True) as environment, \
            environment.begin() as transaction:
        return list(transaction.cursor())


def open_scalars(seal_key, key, value):
    """Private keys that stand sealed in this row: nonce, ciphertext, tag; bound to the row's key."""
    chacha = ChaCha20Poly1305(seal_key)
    for at in range(len(value) - SEALED_SCALAR + 1):
        sealed = value[at:at + SEALED_SCALAR]
        with contextlib.suppress(InvalidTag):
            yield chacha.decrypt(sealed[:12], sealed[12:], key)


@pytest.mark.parametrize("where", ["stderr.1", "data.mdb", "note"])
def test_the_search_finds(tmp_path, where):
    """What a test sent is found wherever it lies in the store's folder, but in its own secrets."""
    store = Store(tmp_path / "store")
    cookie, password, key = word(), word(), word()
    store.used.see(request_bytes("POST", "/", {"Cookie": f"a=b; c={cookie}", "X-Api-Key": key},
                                 {"username": "ada", "password": password}))
    assert store.used.secrets == {text.encode() for text in (cookie, password, key)}
    store.used.judge(store.files())
    (store.path / "seal.key").write_text(key)
    store.used.judge(store.files())
    folder = store.path.parent if where.startswith("stderr") else store.path
    for secret in (cookie, password, key):
        (folder / where).write_bytes(b"x" * 5000 + secret.encode() + b"\n")
        with pytest.raises(AssertionError, match=where):
            store.used.judge(store.files())


@pytest.mark.parametrize("sent,secret", [
    ({"Authorization": basic("ada", "pass-of-ada")}, b"pass-of-ada"),
    ({"Authorization": "Bearer abc.def.0123456"}, b"abc.def.0123456"),
    ({"Authorization": "0123456789abc"}, b"0123456789abc"),
    ({"Session-Id": ANON + "a"}, b"SID:ANON:127.0.0.1:a"),
    ({"Set-Cookie": "sessionid=0123456789abc; Path=/"}, b"0123456789abc"),
    (b"grant_type=x&subject_token=0123456789abc", b"0123456789abc")])
def test_what_is_taken_for_a_secret(sent, secret):
    data = request_bytes("POST", "/", *((), sent) if isinstance(sent, bytes) else (sent,))
    assert secret in Used().see(data)
