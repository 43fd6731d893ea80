"""Real proxies with the configurations of deploy/, in front of a backend that notes all it sees."""

import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import ROOT, WAIT_S, Wire, request_bytes, wait_until

IDENTITY = ["X-Session-Kind", "X-Session-Key", "X-Customer-Id", "X-Customer-Login", "X-Basket-Id",
            "X-Client-Name", "X-Client-Scopes", "X-Auth-Via"]
NOBODY = dict.fromkeys(IDENTITY, "-") | {"X-Session-Kind": "none", "X-Auth-Via": "none"}


class Backend:
    """Notes every request that reaches it, and answers each alike."""

    def __init__(self, status=200, fields=()):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                whole = b""
                while size := int(self.rfile.readline(), 16):
                    whole += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return whole

            def answer(self):
                seen.append((self.command, self.path, self.headers.items(), self.body()))
                self.send_response(status)
                for name, value in fields:
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "4")
                self.end_headers()
                if status != 204:
                    self.wfile.write(b"shop")
            do_GET = do_POST = do_PUT = do_DELETE = answer

            def handle(self):
                # A proxy may end a kept connection as it likes.
                with contextlib.suppress(ConnectionError):
                    super().handle()

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=[0.05], daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    """The path of a proxy; the test is skipped where it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def install(name, folder, *changes):
    """A file of deploy/ in `folder`: as shipped, but for addresses, ports and paths."""
    text = (ROOT / "deploy" / name).read_text()
    for shipped, here in changes:
        assert shipped in text, (name, shipped)
        text = text.replace(shipped, here)
    (folder / name).write_text(text)
    return folder / name


def nginx(folder, port, sidecart, shop):
    install("nginx.conf", folder, ("listen 80;", f"listen 127.0.0.1:{port};"),
            ("127.0.0.1:8080", sidecart), ("127.0.0.1:8000", shop))
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "main.conf").write_text(f"""
        daemon off;
        pid {folder}/nginx.pid;
        {"user root;" if os.getuid() == 0 else ""}
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            {temporary}
            include {folder}/nginx.conf;
        }}""")
    return [program("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "main.conf"]


def caddy(folder, port, sidecart, shop):
    shipped = install("Caddyfile", folder, (":80 {", f":{port} {{"),
                      ("127.0.0.1:8080", sidecart), ("127.0.0.1:8000", shop))
    (folder / "main.caddy").write_text(
        f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\nimport {shipped}\n")
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "main.caddy"]


def haproxy(folder, port, sidecart, shop):
    where = ("abns@sidecart-ask", f"abns@sidecart-ask-{port}")
    install("haproxy-sidecart.lua", folder, where)
    shipped = install("haproxy.cfg", folder, ("bind :80", f"bind 127.0.0.1:{port}"), where,
                      ("/etc/haproxy", str(folder)),
                      ("127.0.0.1:8080", sidecart), ("127.0.0.1:8000", shop))
    return [program("haproxy"), "-db", "-f", shipped]


class Proxy:
    """A proxy between clients, a sidecart and a backend; `kind` is one of the three above."""

    def __init__(self, kind, folder, sidecart_port, backend_port):
        folder.mkdir()
        self.port = free_port()
        self.log_path = folder / "stderr"
        command = kind(folder, self.port, f"127.0.0.1:{sidecart_port}",
                       f"127.0.0.1:{backend_port}")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder)))

        def listens():
            assert self.process.poll() is None, self.log_path.read_text()
            with contextlib.suppress(OSError):
                return Wire(self.port)
        wait_until(listens, f"{kind.__name__} listens").socket.close()

    def raw(self, data):
        """One exchange, byte for byte. A body without a length ends with the connection."""
        with Wire(self.port) as wire:
            response = wire.send(data).response(head_only=True)
            size = response.get("Content-Length")
            while response.status != 204 and (size is None or len(wire.buffer) < int(size)):
                if not wire.more():
                    break
            response.body = wire.buffer
            return response

    def ask(self, path="/", headers=(), method="GET", body=None, host="127.0.0.1"):
        return self.raw(request_bytes(method, path, headers, body, host))

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT_S)


@contextlib.contextmanager
def stand_in(kind, folder, status, fields):
    """A proxy whose sidecart is one that answers everything alike: proxy, stand-in, backend."""
    sidecart, backend = Backend(status, fields), Backend()
    proxy = Proxy(kind, folder, sidecart.port, backend.port)
    try:
        yield proxy, sidecart, backend
    finally:
        proxy.close()
        sidecart.close()
        backend.close()


class Shop:
    """sidecart, a proxy and a backend; knows the customer ada and one trusted key."""

    def __init__(self, kind, store, folder, **settings):
        self.store = store
        self.key = {"X-Api-Key": store.key("app", "trusted")}
        store.customer("ada")
        self.sidecart = store.serve(**settings)
        self.backend = Backend()
        self.proxy = Proxy(kind, folder, self.sidecart.port, self.backend.port)

    def ask(self, *question, **more):
        """The response, and what the backend saw of the request."""
        del self.backend.seen[:]
        return self.proxy.ask(*question, **more), list(self.backend.seen)

    def raw(self, data):
        del self.backend.seen[:]
        return self.proxy.raw(data), list(self.backend.seen)

    def refused(self, expected, *question, **more):
        """Asserts that the client has this status, and the backend heard nothing."""
        response, seen = self.ask(*question, **more)
        assert (response.status, seen) == (expected, []), (question, more)
        return response

    def close(self):
        self.proxy.close()
        self.backend.close()


def plain(name):
    """A field's name as a WSGI, CGI or PHP backend might read it."""
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def identity(seen):
    """The identity that the one request at the backend carried, however it was spelt."""
    (_, _, fields, _), = seen
    found = {}
    for wanted in [*IDENTITY, "Session-Id"]:
        values = [value for name, value in fields if plain(name) == plain(wanted)]
        assert len(values) <= 1, (wanted, values)
        if values:
            found[wanted] = values[0]
    return found


def field(seen, name):
    """The one value of a field of the one request at the backend; None where it is not there."""
    (_, _, fields, _), = seen
    values = [value for sent, value in fields if sent.lower() == name.lower()]
    assert len(values) <= 1, (name, values)
    return values[0] if values else None
