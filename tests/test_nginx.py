"""deploy/nginx.conf with a real nginx: the backend sees sidecart's identity or nothing (F09)."""

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from conftest import ROOT, WAIT_S, Wire, request_bytes, wait_until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
OURS = ["x-session-kind", "x-session-key", "x-customer-id", "x-customer-login", "x-basket-id",
        "x-client-name", "x-client-scopes", "x-auth-via"]

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

WRAPPER = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	include {folder}/deploy.conf;
}}
"""


class Backend:
    """A shop that notes every request that reaches it."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.path, self.headers.items(), body))
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"shop")
            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Shop:
    """sidecart, nginx with the shipped configuration, and a backend."""

    def __init__(self, store, folder, **settings):
        store.customer("ada")
        self.key = {"X-Api-Key": store.key("app", "trusted")}
        self.sidecart = store.serve(**settings)
        self.backend = Backend()
        self.port = free_port()
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        for shipped, here in (("listen 80;", f"listen 127.0.0.1:{self.port};"),
                              ("127.0.0.1:8080", f"127.0.0.1:{self.sidecart.port}"),
                              ("127.0.0.1:8000", f"127.0.0.1:{self.backend.port}")):
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        (folder / "deploy.conf").write_text(text)
        (folder / "nginx.conf").write_text(WRAPPER.format(
            folder=folder, user="user root;" if os.getuid() == 0 else ""))
        self.nginx = subprocess.Popen(
            [NGINX, "-p", str(folder), "-e", str(folder / "error.log"),
             "-c", str(folder / "nginx.conf")], stdin=subprocess.DEVNULL)

        def listens():
            assert self.nginx.poll() is None, (folder / "error.log").read_text()
            with contextlib.suppress(OSError):
                return Wire(self.port)
        wait_until(listens, "nginx listens").socket.close()

    def raw(self, data):
        """One exchange; the statuses and headers of nginx's answer, and what the shop saw."""
        del self.backend.seen[:]
        with Wire(self.port) as wire:
            wire.send(data)
            head, _, body = b"", b"", b""
            while b"\r\n\r\n" not in wire.buffer and wire.more():
                pass
            head, _, body = wire.buffer.partition(b"\r\n\r\n")
        self.body = body
        self.head = head.decode("latin-1")
        return int(self.head.split()[1]), list(self.backend.seen)

    def ask(self, path="/", headers=(), method="GET", body=None):
        return self.raw(request_bytes(method, path, headers, body))

    def field(self, name):
        found = [line.split(": ", 1)[1] for line in self.head.split("\r\n")[1:]
                 if line.lower().startswith(name.lower() + ":")]
        return found[0] if found else None

    def close(self):
        self.nginx.terminate()
        self.nginx.wait(WAIT_S)
        self.backend.http.shutdown()
        self.backend.http.server_close()


@pytest.fixture
def shop(store, tmp_path):
    made = Shop(store, tmp_path)
    yield made
    made.close()


def identity(seen):
    """The identity fields that the one request at the shop carried, however they were spelt."""
    (_, _, fields, _), = seen
    found = {}
    for name, value in fields:
        plain = name.lower().replace("_", "-").replace(".", "-")
        if plain in OURS or plain == "session-id":
            assert plain not in found, f"{name} came twice"
            found[plain] = value
    return found


NOBODY = dict.fromkeys(OURS, "-") | {"x-session-kind": "none", "x-auth-via": "none"}


def test_who_it_is(shop):
    """Nobody, a guest, a customer; a logout holds for the next request."""
    status, seen = shop.ask("/page?a=b")
    assert status == 200 and identity(seen) == NOBODY
    assert seen[0][1] == "/page?a=b" and shop.body == b"shop"

    status, seen = shop.ask("/", {**shop.key, "Session-Id": ANON + "n"})
    guest = identity(seen)
    assert (guest["x-session-kind"], guest["session-id"]) == ("guest", ANON + "n")

    status, _ = shop.ask("/api/login/", {**shop.key, "Session-Id": ANON + "n"}, "POST",
                         {"username": "ada", "password": "ada"})
    assert status == 200 and shop.field("Session-Id") == AUTH + "n"

    auth = {**shop.key, "Session-Id": AUTH + "n"}
    for path in ("/", "/account/orders"):
        status, seen = shop.ask(path, auth)
        found = identity(seen)
        assert (found["x-session-kind"], found["x-customer-login"]) == ("customer", "ada")
        assert found["x-client-scopes"] == "trusted"
    assert shop.ask("/api/login/", auth, "DELETE")[0] == 200
    for path in ("/", "/account/orders"):
        assert shop.ask(path, auth) == (401, [])


def test_refusals_reach_the_client_alone(shop):
    """401 and 403 pass to the client, and the backend never hears of the request."""
    for path, headers, expected in (
            ("/account/", {}, 401),
            ("/account/", {**shop.key, "Session-Id": ANON + "n"}, 401),
            ("/", {**shop.key, "Session-Id": AUTH + "dead"}, 401),
            ("/", {**shop.key, "Session-Id": "garbage"}, 401),
            ("/", {"Authorization": "Bearer abc"}, 401),
            ("/", {"X-Api-Key": "wrong"}, 403),
            ("/", {"Session-Id": ANON + "n"}, 403),
            ("/", {**shop.key, "Session-Id": "SID:ANON:example.com:n"}, 403),
            ("/", [*shop.key.items(), *shop.key.items()], 500)):
        assert shop.ask(path, headers) == (expected, []), (path, headers)


SPELLINGS = [str, str.lower, str.upper, lambda n: n.replace("-", "_"),
             lambda n: n.replace("-", "."), lambda n: n.upper().replace("-", "_"),
             lambda n: n.replace("-", "_", 1)]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_forged_identity(shop, spell, times):
    """F09: the identity fields of the client in every spelling, and more than once."""
    names = ["X-Session-Kind", "X-Session-Key", "X-Customer-Id", "X-Customer-Login",
             "X-Basket-Id", "X-Client-Name", "X-Client-Scopes", "X-Auth-Via"]
    forged = [(spell(name), "admin") for name in names] * times
    status, seen = shop.ask("/", forged)
    assert status == 200 and identity(seen) == NOBODY
    assert "admin" not in str(seen)
    status, seen = shop.ask("/", [*shop.key.items(), ("Session-Id", ANON + "n"), *forged])
    assert status == 200 and identity(seen)["x-session-kind"] == "guest"
    assert "admin" not in str(seen)
    assert shop.ask("/account/", forged) == (401, [])


def test_forged_session_id(shop):
    """A Session-Id without a trusted key is nobody's; in another spelling it is dropped."""
    assert shop.ask("/", {"Session-Id": AUTH + "n"}) == (403, [])
    for name in ("Session_Id", "Session.Id", "SESSION_ID"):
        status, seen = shop.ask("/", {name: AUTH + "n"})
        assert status == 200 and identity(seen) == NOBODY
    status, seen = shop.ask("/", [*shop.key.items(), ("Session-Id", ANON + "n"),
                                  ("Session-Id", ANON + "n")])
    assert (status, seen) == (500, [])


def test_forged_forwarding(shop, store):
    """The client's own X-Forwarded-* fields count for nothing."""
    sid = {**shop.key, "Session-Id": "SID:ANON:shop.example:n"}
    assert shop.ask("/", {**sid, "X-Forwarded-Host": "shop.example"}) == (403, [])
    office = {"X-Api-Key": store.key("office", "shop", "--source", "192.0.2.0/24")}
    assert shop.ask("/", {**office, "X-Forwarded-For": "192.0.2.1"}) == (403, [])
    status, seen = shop.ask("/", {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"})
    fields = {name.lower(): value for name, value in seen[0][2]}
    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"]) == ("127.0.0.1", "http")


def test_host_is_passed_on(shop):
    """The realm is compared with the host that the client asked for."""
    status, seen = shop.raw(request_bytes(
        "GET", "/", {**shop.key, "Session-Id": "SID:ANON:shop.example:n"}, host="shop.example"))
    assert status == 200 and identity(seen)["session-id"] == "SID:ANON:shop.example:n"
    assert dict((n.lower(), v) for n, v in seen[0][2])["host"] == "shop.example"


def test_bodies_go_to_the_shop(shop):
    """The question has no body, the request keeps its own."""
    for body in (b"", b"a=b", b"x" * 300000):
        status, seen = shop.ask("/form", {"Content-Type": "text/plain"}, "POST", body)
        assert status == 200 and (seen[0][0], seen[0][3]) == ("POST", body)
    chunked = (b"POST /form HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\na=b\r\n0\r\n\r\n")
    status, seen = shop.raw(chunked)
    assert status == 200 and seen[0][3] == b"a=b"


def test_the_question_is_internal(shop):
    """Nobody asks it from outside."""
    for path in ("/sidecart/any", "/sidecart/customer", "/sidecart/"):
        assert shop.ask(path) == (404, [])


def test_fail_closed(shop):
    """F09: with sidecart frozen or stopped nothing passes, and it all comes back with it."""
    auth = {**shop.key, "Session-Id": ANON + "n"}
    assert shop.ask("/", auth)[0] == 200
    processes = [shop.sidecart.pid, *shop.sidecart.children()]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        status, seen = shop.ask("/", auth)
        assert status >= 500 and seen == []
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: shop.ask("/", auth)[0] == 200, "service again")
    shop.sidecart.stop()
    for path in ("/", "/account/"):
        status, seen = shop.ask(path, auth)
        assert status >= 500 and seen == []
    assert shop.ask("/", {"X-Session-Kind": "customer"})[0] >= 500
