"""TLS: listeners written https: (K01, K02, L01, L03, A05, S11), with the clients of others.

Certificates are made by openssl here. `Tls` is a connection over Python's ssl, which is OpenSSL;
`Blocks` one whose records the test hands to the socket itself, so that it can cut or break them.
"""

import base64
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

import test_browser
from conftest import BIN, SANITIZED, WAIT_S, Wire, request_bytes, wait_until
from test_service import Sockets, reload, tcp

ANON = "SID:ANON:localhost:"
HEALTH = request_bytes("GET", "/healthz", host="localhost")
CLOSING = request_bytes("GET", "/healthz", {"Connection": "close"}, host="localhost")
CHACHA, GCM = "CHACHA20-POLY1305", "AES128-GCM-SHA256"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")


def openssl(*arguments, stdin=b"", check=True):
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=False,
                          capture_output=True, timeout=WAIT_S * 6)
    assert not check or done.returncode == 0, done
    return (done.stdout + done.stderr).decode(errors="replace")


class Pair:
    """A certificate for localhost and its key, in files."""

    def __init__(self, folder, name, kind="ec", days=30):
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        new = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
               "p384": ("ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"),
               "rsa": ("rsa:2048",), "rsa1024": ("rsa:1024",), "rsa3072": ("rsa:3072",)}[kind]
        openssl("req", "-x509", "-newkey", *new, "-nodes", "-days", days,
                "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.key.chmod(0o600)

    @property
    def settings(self):
        return {"tls_cert": self.cert, "tls_key": self.key}

    @property
    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.cert.read_text())


@pytest.fixture(scope="module", name="pairs")
def fixture_pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    return {kind: Pair(folder, kind, kind) for kind in ("ec", "rsa", "p384", "rsa1024", "rsa3072")}


def serve(store, pair, **settings):
    """HTTPS and, on the second listener, plain HTTP."""
    settings.setdefault("listen", "https:127.0.0.1:0,127.0.0.1:0")
    settings.setdefault("allow", "")
    settings["allow"] = "|".join(filter(None, (settings["allow"], "event=handshake_failed")))
    return store.serve(**{**pair.settings, **settings})


def context_for(pair, suite=None, alpn=None):
    context = ssl.create_default_context(cafile=str(pair.cert))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if suite:
        context.set_ciphers(suite)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Tls(Wire):
    """A Wire over TLS. An end without close_notify raises."""

    def __init__(self, port, context, session=None, **options):
        super().__init__(port, **options)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost",
                                          session=session, suppress_ragged_eofs=False)


class Blocks:
    """A client whose bytes go through the test's hands."""

    def __init__(self, port, context):
        self.wire = Wire(port)
        self.come, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.come, self.out, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()

    def run(self, step, send=None):
        """Calls `step` until it needs no more bytes; `send` hands on what it wrote."""
        send = send or self.wire.send
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                result = None
            if data := self.out.read():
                send(data)
            if result is not None:
                return result
            if not (data := self.wire.socket.recv(65536)):
                self.come.write_eof()
            self.come.write(data)

    def handshake(self, send=None):
        self.run(lambda: self.tls.do_handshake() or True, send)
        return self

    def record(self, data):
        """The ciphertext of these bytes."""
        self.tls.write(data)
        return self.out.read()

    def read(self):
        return self.run(lambda: self.tls.read(65536))


def dropped(wire):
    """True where the connection ends with no more than an alert."""
    try:
        data = wire.rest()
    except ConnectionError:
        return True
    return data == b"" or data[0] == 21


def look(server):
    """Has the front look at the clock, over the listener for plain HTTP."""
    assert server.get("/healthz", port=server.all_ports[1]).status == 200


def is_reset(wire):
    """Seen without reading anything."""
    poll = select.poll()
    poll.register(wire.socket, 0)
    return bool(poll.poll(0))


def answers(server, pair, **options):
    with Tls(server.port, context_for(pair), **options) as wire:
        return wire.send(HEALTH).response().status == 200


# --- Clients. -------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_python(store, pairs, kind):
    """Keys of both kinds; what is agreed on; the same answers as without TLS."""
    server = serve(store, pairs[kind])
    signed = {"ec": "ECDSA", "rsa": "RSA"}[kind]
    for suite in (CHACHA, GCM):
        with Tls(server.port, context_for(pairs[kind], f"ECDHE-{signed}-{suite}")) as wire:
            assert wire.socket.version() == "TLSv1.2"
            assert wire.socket.cipher()[0] == f"ECDHE-{signed}-{suite}"
            over_tls = wire.send(HEALTH).response()
    with Wire(server.all_ports[1]) as wire:
        plain = wire.send(HEALTH).response()
    assert (over_tls.status, over_tls.body) == (plain.status, plain.body) == (200, b"ok\n")
    assert [n for n, _ in over_tls.fields] == [n for n, _ in plain.fields]
    with Tls(server.port, context_for(pairs[kind])) as wire:
        assert wire.socket.cipher()[0].endswith(CHACHA), "the quicker one comes first"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_curl(store, pairs, kind):
    """One connection for all: reads, a write, and a long body that waits for 100."""
    key = store.key("k")
    server = serve(store, pairs[kind], max_body="1M")
    url = f"https://localhost:{server.port}"
    big = pathlib.Path(store.path.parent / "big")
    big.write_bytes(b'{"username":"' + b"a" * 1000000 + b'","password":"p"}')
    common = ["-H", f"X-Api-Key: {key}", "-H", f"Session-Id: {ANON}c", "-o", "/dev/null",
              "-w", "%{http_code} %{http_version} %{num_connects}\n"]
    done = subprocess.run(
        ["curl", "-sS", "--cacert", pairs[kind].cert, *common, f"{url}/resolve?require=any",
         "--next", "-sS", "--cacert", pairs[kind].cert, *common, f"{url}/api/basket/",
         "--next", "-sS", "--cacert", pairs[kind].cert, *common, "-H",
         "Content-Type: application/json", "-H", "Expect: 100-continue", "--data-binary",
         f"@{big}", f"{url}/api/login/"],
        capture_output=True, text=True, timeout=WAIT_S * 3, check=True)
    assert done.stdout.split("\n")[:3] == ["204 1.1 1", "200 1.1 0", "401 1.1 0"], done


def s_client(server, *options):
    return openssl("s_client", "-connect", f"127.0.0.1:{server.port}", *options, check=False)


def test_openssl(store, pairs):
    """What is spoken, what is refused, and with which alert."""
    server = serve(store, pairs["ec"])
    for options, expected in {
            ("-tls1_2",): "Cipher is ECDHE-ECDSA-" + CHACHA,
            ("-tls1_2", "-cipher", f"ECDHE-ECDSA-{GCM}"): f"Cipher is ECDHE-ECDSA-{GCM}",
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"):
                "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384",
            ("-tls1_2", "-groups", "X25519"): "Server Temp Key: X25519",
            ("-tls1_2", "-groups", "P-384:P-256"): "Server Temp Key: ECDH, prime256v1",
            (): "New, TLSv1.2",
            ("-servername", "elsewhere.example"): "New, TLSv1.2",
            ("-maxfraglen", "512"): "New, TLSv1.2",
            ("-alpn", "h2,http/1.1"): "ALPN protocol: http/1.1",
            ("-alpn", "h2"): "SSL alert number 120",
            ("-tls1_3",): "SSL alert number 40",
            ("-tls1_2", "-groups", "P-384"): "SSL alert number 40",
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"): "SSL alert number 40",
            ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"): "SSL alert number 40",
    }.items():
        assert expected in s_client(server, *options), options
    assert "Secure Renegotiation IS supported" in s_client(server, "-tls1_2")
    assert "Compression: NONE" in s_client(server, "-tls1_2")


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_old_versions(store, pairs, version):
    """A ClientHello of an older version: the alert protocol_version, and no more."""
    server = serve(store, pairs["ec"])
    hello = struct.pack(">H", version) + bytes(32) + b"\0" + b"\0\x02\xc0\x09" + b"\x01\0"
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    with Wire(server.port) as wire:
        wire.send(b"\x16\x03\x01" + struct.pack(">H", len(message)) + message)
        alert = wire.rest()
    assert (alert[0], alert[5:]) == (21, b"\x02\x46")


def test_alpn(store, pairs):
    server = serve(store, pairs["ec"])
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"),
                            (None, None)):
        with Tls(server.port, context_for(pairs["ec"], alpn=offered)) as wire:
            assert wire.socket.selected_alpn_protocol() == chosen
            assert wire.send(HEALTH).response().status == 200
    for offered in (["h2"], ["http/1.0", "h2"], ["http/1.1x"]):
        with pytest.raises(ssl.SSLError, match="no application protocol"):
            Tls(server.port, context_for(pairs["ec"], alpn=offered))


def test_sessions_are_resumed(store, pairs, tmp_path):
    """By their id; another's id, or one that nobody has, costs a whole handshake; a reload ends
    them all."""
    server = serve(store, pairs["ec"])
    context = context_for(pairs["ec"])
    with Tls(server.port, context) as wire:
        assert not wire.socket.session_reused
        assert wire.send(HEALTH).response().status == 200
        session = wire.socket.session
    for _ in range(3):
        with Tls(server.port, context, session=session) as wire:
            assert wire.socket.session_reused
            assert wire.send(HEALTH * 3).response().status == 200
    assert s_client(server, "-tls1_2", "-reconnect").count("Reused, TLSv1.2") == 5
    kept = tmp_path / "session"
    s_client(server, "-tls1_2", "-sess_out", kept)
    assert "Reused, TLSv1.2" in s_client(server, "-tls1_2", "-sess_in", kept)
    assert "New, TLSv1.2" in s_client(server, "-tls1_2", "-sess_in", kept, "-cipher",
                                      f"ECDHE-ECDSA-{GCM}"), "under another suite"

    with Tls(server.port, context) as wire:     # those since may have taken the place of the first
        assert wire.send(HEALTH).response().status == 200
        session = wire.socket.session

    def reused():
        with Tls(server.port, context, session=session) as wire:
            assert wire.send(HEALTH).response().status == 200
            return wire.socket.session_reused
    assert reused()
    reload(server)
    wait_until(lambda: not reused(), "the front has heard of it")


def test_session_id_with_a_secret_of_another(store, pairs, tmp_path):
    """Who names another's session id, but does not know its secret, is not let in."""
    server = serve(store, pairs["ec"])
    context = context_for(pairs["ec"])
    with Tls(server.port, context) as other:
        assert other.send(HEALTH).response().status == 200
        its_id = other.socket.session.id
    path = tmp_path / "session"
    s_client(server, "-tls1_2", "-sess_out", path)
    # A session as OpenSSL keeps it, in DER: the id, 32 bytes, stands before the secret, 48.
    label = "SSL SESSION PARAMETERS"
    der = ssl.PEM_cert_to_DER_cert(path.read_text().replace(label, "CERTIFICATE"))
    own_id = re.search(rb"\x04\x20(.{32})\x04\x30", der, re.S)[1]

    def ask_with(session):
        text = base64.encodebytes(session).decode()
        path.write_text(f"-----BEGIN {label}-----\n{text}-----END {label}-----\n")
        return openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-ign_eof",
                       "-sess_in", path, stdin=CLOSING, check=False)
    assert "HTTP/1.1 200" in (said := ask_with(der)) and "Reused, TLSv1.2" in said
    assert "HTTP/1.1" not in ask_with(der.replace(own_id, its_id))
    assert answers(server, pairs["ec"])


# --- HTTP over it. --------------------------------------------------------------------------------

def test_pipelining_and_pieces(store, pairs):
    """H28, H33: the same answers however requests lie in records, and records in segments."""
    server = serve(store, pairs["ec"], max_pipeline=3)
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        wire.send(HEALTH * 500)
        assert all(wire.response().status == 200 for _ in range(500))
        for _ in range(30):     # records come while those before them are worked on
            wire.send_bytewise(HEALTH * 2)
            assert [wire.response().status for _ in range(2)] == [200] * 2
    with Blocks(server.port, context_for(pairs["ec"])).handshake() as blocks:
        records = blocks.record(HEALTH) + blocks.record(HEALTH[:20]) + blocks.record(HEALTH[20:])
        blocks.wire.send_bytewise(records)
        text = b""
        while text.count(b"HTTP/1.1 200") < 2:
            text += blocks.read()


def test_long_bodies_both_ways(store, pairs):
    """1 MiB in, and as much out as one answer has, through records and the writer."""
    book = "".join(f'{{"id":"{i}","name":"{"n" * 200}","price":"1.00","currency":"EUR"}}\n'
                   for i in range(1, 1001))
    store.run("product", "import", "-", stdin=book)
    server = serve(store, pairs["ec"], max_body="1M")
    with Wire(server.all_ports[1]) as plain:
        expected = plain.send(request_bytes("GET", "/api/products/", host="localhost")).response()
    assert len(expected.body) > 200000
    body = b'{"username":"' + b"a" * 1048000 + b'","password":"p"}'
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        for _ in range(3):
            wire.send(request_bytes("GET", "/api/products/", host="localhost"))
            got = wire.response()
            assert got.status == 200
            assert got.body == expected.body.replace(b"http://", b"https://")
            wire.send(request_bytes("POST", "/api/login/", {"Content-Type": "application/json"},
                                    body, host="localhost"))
            assert wire.response().status in (401, 403)


@pytest.mark.parametrize("behind", [1, 40])
def test_slow_reader(store, pairs, clock, behind):
    """L02: an answer that the socket does not take waits, whole and in order; who reads nothing
    for write_timeout is reset, and holds up nobody."""
    store.run("product", "import", "-", stdin="".join(
        f'{{"id":"{i}","name":"{"n" * 200}","price":"1.00","currency":"EUR"}}\n'
        for i in range(1, 1001)))
    server = serve(store, pairs["ec"], write_timeout="30s")
    ask = request_bytes("GET", "/api/products/", host="localhost")
    with Tls(server.port, context_for(pairs["ec"]), receive_bytes=4096) as wire:
        first = wire.send(ask).response().body
        wire.send(ask * behind)
        assert answers(server, pairs["ec"])
        clock.later(29)
        assert answers(server, pairs["ec"]) and not is_reset(wire)
        if behind > 1:
            clock.later(1)
            wait_until(lambda: is_reset(wire), "a reset")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                wire.rest()
            return
        assert wire.response().body == first
    assert answers(server, pairs["ec"])


def test_identity(store, pairs):
    """Over TLS the scheme is https: URLs, the origin of a page, Secure; a trusted proxy's word
    counts for more. The session's realm is the host's name as ever."""
    server = serve(store, pairs["ec"], sid_trust="any")
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        def ask(method, target, headers=(), body=None):
            return wire.send(request_bytes(method, target, headers, body,
                                           host="localhost")).response()
        r = ask("GET", "/api/basket/", {"Session-Id": ANON + "i"})
        assert r.status == 200 and r.json["lines"].startswith("https://localhost/"), r
        r = ask("GET", "/api/", {"X-Forwarded-Proto": "http"})
        assert all(url.startswith("http://localhost/") for url in r.json.values() if url), r
        for origin, status in (("https://localhost", 401), ("http://localhost", 403)):
            r = ask("POST", "/api/login/", {"Origin": origin}, {"username": "a", "password": "b"})
            assert r.status == status, r
    with Wire(server.all_ports[1]) as wire:
        wire.send(request_bytes("GET", "/api/", host="localhost"))
        assert all(u.startswith("http://localhost/") for u in wire.response().json.values() if u)


COOKIES = {
    "all https": ({}, "__Host-sidecart", True),
    "a plain one": ({"listen": "https:127.0.0.1:0,127.0.0.1:0"}, "sidecart_session", True),
    "plain ops": ({"ops_listen": "127.0.0.1:0"}, "__Host-sidecart", True),
    "domain": ({"cookie_domain": "localhost"}, "sidecart_session", True),
    "insecure": ({"cookie_secure": "off"}, "sidecart_session", False),
    "named": ({"cookie_name": "sid"}, "sid", True),
    "named as the default": ({"cookie_name": "sidecart_session"}, "sidecart_session", True),
    "None": ({"cookie_samesite": "None"}, "__Host-sidecart", True),
}


@pytest.mark.parametrize("settings,name,secure", COOKIES.values(), ids=COOKIES)
def test_cookies(store, pairs, settings, name, secure):
    """K01: __Host-sidecart where every listener is HTTPS and nothing else is set."""
    store.customer("ada")
    server = serve(store, pairs["ec"], **{"listen": "https:127.0.0.1:0", **settings})
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        wire.send(request_bytes("POST", "/api/login/", body={"username": "ada", "password": "ada"},
                                host="localhost"))
        r = wire.response()
        assert (r.status, name in r.cookies) == (200, True), r
        value, attributes = r.cookies[name]
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
        assert ("Secure" in attributes) == secure and "HttpOnly" in attributes
        assert "Path=/" in attributes
        assert any(a.startswith("Domain") for a in attributes) == ("cookie_domain" in settings)
        wire.send(request_bytes("GET", "/session", {"Cookie": f"{name}={value}"},
                                host="localhost"))
        assert wire.response().json["customer_login"] == "ada"


def test_cookie_name_follows_a_reload(store, pairs, tmp_path):
    """Listeners stay as they are until a restart, and so does what follows from them."""
    path = tmp_path / "sidecart.conf"
    path.write_text("")
    server = serve(store, pairs["ec"], config=str(path), listen="https:127.0.0.1:0")
    path.write_text("idle_timeout = 50s\n")
    reload(server)
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        wire.send(request_bytes("GET", "/session", {"Cookie": "__Host-sidecart=a;"
                                                    "__Host-sidecart=b"}, host="localhost"))
        assert wire.response().status == 200
    wait_until(lambda: "event=cookie_doubled" in server.log(), "the name is the same")


def test_hsts(store, pairs):
    """On every answer over TLS, the writer's and refusals too, and on none without."""
    store.customer("ada")
    server = serve(store, pairs["ec"], hsts="365d", sid_trust="any")
    login = request_bytes("POST", "/api/login/", {"Session-Id": ANON + "h"},
                          {"username": "ada", "password": "ada"}, host="localhost")
    requests = [HEALTH, login, request_bytes("GET", "/nowhere", host="localhost"),
                b"GET / HTTP/9.9\r\n\r\n"]
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        for request in requests:
            assert wire.send(request).response().get("Strict-Transport-Security") == \
                "max-age=31536000"
    with Wire(server.all_ports[1]) as wire:
        for request in requests:
            assert wire.send(request).response().get("Strict-Transport-Security") is None
    server.stop()
    server = serve(store, pairs["ec"])
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        assert wire.send(HEALTH).response().get("Strict-Transport-Security") is None


# --- The end of a connection. ---------------------------------------------------------------------

def test_close_notify(store, pairs, clock):
    """After the last answer, at the end of an idle time, and of the server."""
    server = serve(store, pairs["ec"], idle_timeout="30s")
    context = context_for(pairs["ec"])
    with Tls(server.port, context) as wire:
        assert wire.send(CLOSING).response().status == 200
        assert wire.ended()
    with Tls(server.port, context) as wire:
        assert wire.send(HEALTH).response().status == 200
        clock.later(29)
        look(server)
        assert wire.waits()
        clock.later(1)
        assert wire.ended(), "idle"
    with Tls(server.port, context) as wire:
        assert wire.send(HEALTH).response().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert wire.ended(), "draining"


def test_peer_that_shuts_down(store, pairs):
    """An answer still goes to who has sent FIN; one who has sent close_notify hears the same."""
    server = serve(store, pairs["ec"])
    with Blocks(server.port, context_for(pairs["ec"])).handshake() as blocks:
        blocks.wire.send(blocks.record(HEALTH)).finish()
        assert blocks.read().startswith(b"HTTP/1.1 200")
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        assert wire.send(HEALTH).response().status == 200
        wire.socket.unwrap().close()
    with Blocks(server.port, context_for(pairs["ec"])).handshake() as blocks:
        blocks.wire.send(blocks.record(HEALTH[:-2])).finish()   # a request that is cut off
        assert dropped(blocks.wire)


def test_renegotiation(store, pairs):
    """A peer that asks for it is told no, and the connection goes on or ends: no handshake."""
    server = serve(store, pairs["ec"])
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b"R\n")
        process.stdin.flush()
    out = process.communicate(timeout=WAIT_S)[0].decode(errors="replace")
    assert "RENEGOTIATING" in out and "no renegotiation" in out, out
    assert answers(server, pairs["ec"])


# --- Handshakes that go wrong. --------------------------------------------------------------------

def test_bytewise_handshake(store, pairs):
    server = serve(store, pairs["ec"])
    with Blocks(server.port, context_for(pairs["ec"])) as blocks:
        blocks.handshake(blocks.wire.send_bytewise)
        blocks.wire.send_bytewise(blocks.record(HEALTH))
        assert blocks.read().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [0, 1, 5, 60, "all"])
def test_slow_handshake(store, pairs, clock, sent):
    """L01: it has header_timeout from the begin of the connection to its last byte, however
    it is cut; a byte now and then does not extend it, and others are served meanwhile."""
    server = serve(store, pairs["ec"], header_timeout="30s")
    with Blocks(server.port, context_for(pairs["ec"])) as blocks:
        with contextlib.suppress(ssl.SSLWantReadError):
            blocks.tls.do_handshake()
        hello, wire = blocks.out.read(), blocks.wire
        at = len(hello) if sent == "all" else sent
        wire.send(hello[:at])
        begun_s = clock.now_s
        assert answers(server, pairs["ec"])
        if sent == "all":
            assert wire.more() and wire.buffer[0] == 22
            wire.buffer = b""
        for _ in range(30):
            clock.later(1)
            if 0 < at < len(hello) - 1:     # to its last byte but one
                wire.send(hello[at:at + 1])
                at += 1
            look(server)
            if not wire.waits():
                break
        assert clock.now_s - begun_s == 30 and wire.rest() == b""


def test_half_a_record(store, pairs, clock):
    """L01: a record that does not become whole is a head that does not: 408."""
    server = serve(store, pairs["ec"], header_timeout="30s")
    with Blocks(server.port, context_for(pairs["ec"])).handshake() as blocks:
        blocks.wire.send(blocks.record(HEALTH)[:-1])
        for by_s in (0, 29):
            clock.later(by_s)
            look(server)
            assert blocks.wire.waits()
        clock.later(1)
        assert blocks.read().startswith(b"HTTP/1.1 408")


GARBAGE = {
    "HTTP": HEALTH, "PROXY": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "zeros": bytes(300),
    "SSL 2": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0"),
    "random": random.Random(1).randbytes(20000), "empty records": b"\x16\x03\x01\0\0" * 4000,
    "long record": b"\x16\x03\x01\x40\x01" + bytes(100), "alert": b"\x15\x03\x01\0\x02\x02\x00",
    "data first": b"\x17\x03\x03\0\x10" + bytes(16), "other major": b"\x16\x02\0\0\x05" + bytes(9),
    "a message of 16 MiB": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03" + bytes(16378),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage(store, pairs, clock, data):
    """What is no handshake ends the connection, without HTTP, and nothing else."""
    server = serve(store, pairs["ec"], header_timeout="30s")
    front = server.child("front")
    with Wire(server.port) as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(data)
        clock.until(lambda: not wire.waits(), "the end, or the time of a handshake is over")
        assert dropped(wire)
    assert answers(server, pairs["ec"]) and server.child("front") == front


def test_truncated_handshakes(store, pairs):
    """Cut off after each byte of the ClientHello, and within what follows, by FIN and reset."""
    server = serve(store, pairs["ec"])
    front = server.child("front")
    with Blocks(server.port, context_for(pairs["ec"])) as blocks:
        sent = []
        blocks.handshake(lambda data: sent.append(data) or blocks.wire.send(data))
    hello = sent[0]
    for cut in [*range(0, len(hello), 7), len(hello)]:
        with Wire(server.port) as wire:
            wire.send(hello[:cut])
            if cut % 2:
                wire.reset_on_close()
            else:
                wire.finish()
                wire.rest()
    for cut in range(0, len(sent[1]), 9):
        with Wire(server.port) as wire:
            wire.send(hello)
            assert wire.more()
            wire.send(sent[1][:cut]).finish()
            wire.rest()
    assert answers(server, pairs["ec"]) and server.child("front") == front


def test_changed_bytes(store, pairs, clock):
    """A bit of any record changed, in the handshake or after it: no data passes."""
    server = serve(store, pairs["ec"], header_timeout="5m")
    front, draw = server.child("front"), random.Random(2)

    def spoil(data):
        at = draw.randrange(5, len(data))
        return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1:]
    for _ in range(20):
        with Blocks(server.port, context_for(pairs["ec"])).handshake() as blocks:
            with contextlib.suppress(ConnectionError):
                blocks.wire.send(spoil(blocks.record(HEALTH)))
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in blocks.wire.rest()
    for which in range(2):
        for _ in range(20):
            with Blocks(server.port, context_for(pairs["ec"])) as blocks:
                seen = []

                def send(data):
                    seen.append(data)
                    blocks.wire.send(spoil(data) if len(seen) == which + 1 else data)
                    if len(seen) > which:   # the server may wait for more
                        clock.until(lambda: not blocks.wire.waits(), "an answer, or the end")
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    blocks.handshake(send)
    assert answers(server, pairs["ec"]) and server.child("front") == front


def test_many_at_once(store, pairs):
    """Handshakes wait for each other, a step a turn, and all come through."""
    server = serve(store, pairs["ec"])
    done = []

    def many():
        for _ in range(5):
            done.append(answers(server, pairs["ec"]))
    threads = [threading.Thread(target=many) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert done == [True] * 60


def test_full_of_handshakes(store, pairs, clock):
    """L03: connections in a handshake count; who is idle gives way, and nobody for ever."""
    server = serve(store, pairs["ec"], max_connections=8, header_timeout="30s")
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(8):
            blocks = stack.enter_context(Blocks(server.port, context_for(pairs["ec"])))
            with contextlib.suppress(ssl.SSLWantReadError):
                blocks.tls.do_handshake()
            assert blocks.wire.send(blocks.out.read()).more()
        for _ in range(4):
            stack.enter_context(Wire(server.port))
        newcomer = pool.submit(answers, server, pairs["ec"])
        clock.later(29)
        with pytest.raises(concurrent.futures.TimeoutError):
            newcomer.result(0.3)
        clock.later(1)
        assert newcomer.result()


# --- Certificate and key. -------------------------------------------------------------------------

def test_reload(store, pairs, tmp_path):
    """A new certificate, of another kind of key, for who comes; who is there stays."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(pair):
        for source, target in ((pair.cert, cert), (pair.key, key)):
            shutil.copy(source, target)
    install(pairs["ec"])
    server = serve(store, pairs["ec"], tls_cert=cert, tls_key=key, workers=2,
                   allow="reload_refused|ended")
    with Tls(server.port, context_for(pairs["ec"])) as old:
        assert old.send(HEALTH).response().status == 200
        install(pairs["rsa"])
        reload(server)
        assert old.send(HEALTH).response().status == 200
        for _ in range(8):
            with Tls(server.port, context_for(pairs["rsa"])) as wire:
                assert wire.socket.getpeercert(True) == pairs["rsa"].der
                assert wire.send(HEALTH).response().status == 200
        shutil.copy(pairs["ec"].key, key)       # of another certificate
        reload(server, lines=2)
        assert f"tls_key: {key}: not the key of the first certificate" in server.log()
        assert answers(server, pairs["rsa"])
        key.unlink()
        reload(server, lines=3)
        assert answers(server, pairs["rsa"])
        assert old.send(HEALTH).response().status == 200
    for front in server.child("front"):         # those that come later have the new one, too
        os.kill(front, signal.SIGKILL)
    wait_until(lambda: len(server.child("front")) == 2, "new fronts")
    assert answers(server, pairs["rsa"])


def test_upgrade(store, pairs):
    """The next generation takes the sockets, and reads the certificate itself."""
    server = serve(store, pairs["ec"], allow="upgrade")
    with Tls(server.port, context_for(pairs["ec"])) as wire:
        assert wire.send(HEALTH).response().status == 200
        server.upgrade()
        assert wire.send(HEALTH).response().get("Connection") == "close"
        assert wire.ended()
    assert answers(server, pairs["ec"])


def test_socket_from_systemd(store, pairs):
    """FileDescriptorName=https."""
    given, ops = tcp(), tcp()
    server = serve(store, pairs["ec"], listen="127.0.0.1:0",
                   **Sockets(given, ops, names="https:ops-https").options)
    server.port = given.getsockname()[1]
    assert answers(server, pairs["ec"])
    server.port = ops.getsockname()[1]
    assert answers(server, pairs["ec"])


def test_chain(store, pairs, tmp_path):
    """All certificates of the file go to the peer, which finds its way to a root it knows."""
    root, leaf = pairs["rsa"], tmp_path / "leaf"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", leaf.with_suffix(".key"), "-out", leaf.with_suffix(".csr"), "-subj", "/CN=l")
    extension = tmp_path / "ext"
    extension.write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", leaf.with_suffix(".csr"), "-CA", root.cert, "-CAkey", root.key,
            "-CAcreateserial", "-extfile", extension, "-out", leaf.with_suffix(".pem"), "-days", 9)
    leaf.with_suffix(".key").chmod(0o600)
    chain = tmp_path / "chain.pem"
    chain.write_text("a comment\n" + leaf.with_suffix(".pem").read_text() + root.cert.read_text())
    server = serve(store, root, tls_cert=chain, tls_key=leaf.with_suffix(".key"))
    assert answers(server, root)
    assert s_client(server, "-tls1_2", "-showcerts").count("BEGIN CERTIFICATE") == 2


def pem(text):
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def bad_files(pairs, folder):
    """Settings, and the words that the one line on standard error has."""
    def file(name, text, mode=0o600):
        path = folder / name
        path.write_text(text)
        path.chmod(mode)
        return path
    ec, rsa = pairs["ec"], pairs["rsa"]
    key_text, cert_text = ec.key.read_text(), ec.cert.read_text()
    encrypted = folder / "encrypted"
    openssl("pkcs8", "-topk8", "-in", ec.key, "-out", encrypted, "-passout", "pass:x")
    encrypted.chmod(0o600)
    old = folder / "old"
    openssl("ec", "-in", ec.key, "-out", old, "-aes128", "-passout", "pass:x")
    old.chmod(0o600)
    return [
        ({"tls_key": ""}, "tls_cert, tls_key: a listener with https: needs both"),
        ({"tls_cert": ""}, "tls_cert, tls_key: a listener with https: needs both"),
        ({"tls_cert": folder / "none"}, f"tls_cert: {folder}/none: No such file"),
        ({"tls_key": folder / "none"}, f"tls_key: {folder}/none: cannot be opened"),
        ({"tls_key": file("open", key_text, 0o640)}, f"tls_key: {folder}/open: mode 0640 lets"),
        ({"tls_key": file("empty", "")}, f"tls_key: {folder}/empty: empty"),
        ({"tls_key": ec.cert}, "mode 0644"),
        ({"tls_key": file("cert", cert_text)}, f"tls_key: {folder}/cert: no key in it"),
        ({"tls_cert": ec.key}, f"tls_cert: {ec.key}: no certificate in it"),
        ({"tls_key": file("cut", key_text[:100])}, f"tls_key: {folder}/cut: no sound PEM"),
        ({"tls_cert": file("half", cert_text[:300])}, f"tls_cert: {folder}/half: no sound PEM"),
        ({"tls_cert": file("odd", cert_text.replace("M", "?"))}, "no sound PEM"),
        ({"tls_cert": file("text", "no PEM")}, f"tls_cert: {folder}/text: no certificate in it"),
        ({"tls_cert": file("der", pem(base64.b64encode(b"0\x82\x01\x01abc").decode()))},
         f"tls_cert: {folder}/der: its first certificate is none"),
        ({"tls_cert": file("cutder", pem(base64.encodebytes(ec.der[:-5]).decode().strip()))},
         f"tls_cert: {folder}/cutder: its first certificate is none"),
        ({"tls_cert": file("many", cert_text * 9)}, f"tls_cert: {folder}/many: more than 8"),
        ({"tls_key": encrypted}, f"tls_key: {folder}/encrypted: encrypted: write it without"),
        ({"tls_key": old}, f"tls_key: {folder}/old: no sound PEM"),
        ({"tls_key": rsa.key}, f"tls_key: {rsa.key}: not the key of the first certificate"),
        ({"tls_cert": rsa.cert}, f"tls_key: {ec.key}: not the key of the first certificate"),
        ({"tls_key": file("other", openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                                           "ec_paramgen_curve:P-256"))},
         f"tls_key: {folder}/other: not the key of the first certificate"),
        ({"tls_cert": rsa.cert, "tls_key": file("rsa2", openssl("genrsa", 2048))},
         f"tls_key: {folder}/rsa2: not the key of the first certificate"),
        (pairs["p384"].settings, "tls_cert: .*: its key is of another curve than P-256"),
        ({"tls_key": pairs["p384"].key}, "tls_key: .*: neither a key of P-256 nor one of RSA"),
        (pairs["rsa1024"].settings, "tls_key: .*: neither a key of P-256 nor one of RSA"),
        ({"tls_key": file("ed", openssl("genpkey", "-algorithm", "ED25519"))},
         "tls_key: .*: neither a key of P-256 nor one of RSA"),
        ({"hsts": "1"}, "hsts: \"1\" is none of off, DURATION"),
        ({"hsts": "1500ms"}, "hsts: \"1500ms\" is none of off, DURATION"),
        ({"listen": "https:unix:/tmp/x"}, "listen: \"https:unix:/tmp/x\" is no"),
        ({"listen": "proxy:https:127.0.0.1:0"}, "listen: \"proxy:https:127.0.0.1:0\" is no"),
        ({"listen": "https:proxy:127.0.0.1:0"}, "listen: \"https:proxy:127.0.0.1:0\" is no"),
        ({"cookie_name": "__Host-a", "listen": "https:127.0.0.1:0,127.0.0.1:0"}, "__Host-a: "),
        ({"cookie_name": "__Host-a", "cookie_domain": "a.test"}, "__Host-a: "),
        ({"cookie_name": "__Host-a", "cookie_secure": "off"}, "__Host-a: "),
    ]


def test_bad_files(store, pairs, tmp_path):
    """A05, K02: no start, exit status 100, one line that names setting and file."""
    for settings, expected in bad_files(pairs, tmp_path):
        settings = {"listen": "https:127.0.0.1:0", "ops_listen": "", "log_level": "error",
                    **pairs["ec"].settings, **settings}
        store.run("serve", *(f"--{name}={value}" for name, value in settings.items()), code=100)
        assert re.search(expected, store.errors), (settings, expected, store.errors)
        assert len(store.errors.splitlines()) == 1, store.errors


@pytest.mark.parametrize("form", ["traditional", "pkcs8", "with parameters"])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_forms_of_keys(store, pairs, tmp_path, kind, form):
    path = tmp_path / "key"
    if form == "pkcs8":
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", pairs[kind].key, "-out", path)
    else:
        openssl(kind, "-in", pairs[kind].key, "-out", path,
                *(["-traditional"] if kind == "rsa" else []))
    if form == "with parameters" and kind == "ec":
        path.write_text(openssl("ecparam", "-name", "prime256v1") + path.read_text())
    path.chmod(0o600)
    server = serve(store, pairs[kind], tls_key=path)
    assert answers(server, pairs[kind])


def test_what_is_warned_of(store, pairs, tmp_path):
    """A certificate that is over, and an RSA key whose signatures take long."""
    openssl("req", "-new", "-key", pairs["ec"].key, "-subj", "/CN=over", "-out", tmp_path / "csr")
    openssl("x509", "-req", "-in", tmp_path / "csr", "-signkey", pairs["ec"].key, "-days", -1,
            "-out", tmp_path / "over")
    server = serve(store, pairs["ec"], tls_cert=tmp_path / "over", allow="certificate_not_valid")
    assert "level=warn process=supervisor event=certificate_not_valid setting=tls_cert" \
        in server.log()
    server = serve(store, pairs["rsa3072"], allow="setting=tls_key")
    assert "event=unwise_setting setting=tls_key" in server.log()
    assert answers(server, pairs["rsa3072"])
    assert re.search(r"event=certificate setting=tls_cert key=RSA until=\d{4}-\d\d-\d\dT[\d:]+Z",
                     server.log())


# --- Memory, and what nobody else may know. -------------------------------------------------------

def anonymous_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\d+)", text, re.M)[1])


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")
def test_memory_of_idle_connections(store, pairs):
    """L05: an idle connection gives back its records' buffers."""
    count = 200
    server = serve(store, pairs["ec"])
    front, = server.child("front")
    context = context_for(pairs["ec"])
    assert answers(server, pairs["ec"])
    before = anonymous_kib(front)
    wires = [Tls(server.port, context) for _ in range(count)]
    for wire in wires:
        assert wire.send(HEALTH).response().status == 200
    wait_until(lambda: (anonymous_kib(front) - before) / count < 12, "12 KiB each at most")
    for wire in wires:
        assert wire.send(HEALTH).response().status == 200, "it goes on"
        wire.socket.close()


def test_key_is_in_fronts_alone(store, pairs):
    """Neither the writer nor a hasher has it, and no log tells it."""
    server = serve(store, pairs["ec"])
    assert answers(server, pairs["ec"])
    secret = openssl("ec", "-in", pairs["ec"].key, "-noout", "-text")
    digits = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]+)+)", secret)[1]
    number = bytes.fromhex(re.sub(r"[:\s]", "", digits))[-32:]

    def has(pid):
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
                open(f"/proc/{pid}/mem", "rb") as memory:
            for line in maps:
                start, end = (int(x, 16) for x in line.split()[0].split("-"))
                if "rw" not in line.split()[1]:
                    continue
                for at in range(start, end, 1 << 20):
                    memory.seek(at)
                    with contextlib.suppress(OSError):      # neighbours share 32 bytes
                        if number in memory.read(min((1 << 20) + 32, end - at)):
                            return True
        return False
    if os.geteuid() != 0 or SANITIZED:
        pytest.skip("needs to read other processes' memory")
    assert has(*server.child("front")), "the test finds it where it is"
    assert not has(*server.child("writer"))


# --- A browser. -----------------------------------------------------------------------------------

@pytest.mark.skipif(not (test_browser.CHROMIUM and test_browser.CHROMEDRIVER),
                    reason="chromium and chromium-driver are not installed")
def test_chromium(store, pairs, tmp_path):
    """K01: a page of https://localhost logs in; its cookie is __Host-sidecart, Secure, and no
    script sees it; the page before that has none."""
    store.customer("ada")
    server = serve(store, pairs["ec"], listen="https:127.0.0.1:0", hsts="1d")
    public = subprocess.run(
        ["openssl", "x509", "-in", pairs["ec"].cert, "-pubkey", "-noout"], check=True,
        capture_output=True, text=True).stdout
    key = base64.b64encode(hashlib.sha256(ssl.PEM_cert_to_DER_cert(
        public.replace("PUBLIC KEY", "CERTIFICATE"))).digest()).decode()
    url = f"https://localhost:{server.port}"
    browser = test_browser.Browser(tmp_path, [f"--ignore-certificate-errors-spki-list={key}"])
    script = """const [method, path, body, fields] = arguments;
        return fetch(path, {method, body: body && JSON.stringify(body), headers: fields})
            .then(async r => [r.status, await r.text()]);"""
    try:
        browser.open(f"{url}/healthz")

        def ask(method, path, body=None, **fields):
            if body:
                fields["Content-Type"] = "application/json"
            return browser.run(script, method, path, body, fields)
        assert '"session_kind":"none"' in ask("GET", "/session")[1]
        assert ask("POST", "/api/login/", {"username": "ada", "password": "ada"})[0] == 200
        cookie = browser.cookies()["__Host-sidecart"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, "/")
        assert "__Host-sidecart" not in browser.run("return document.cookie")
        status, text = ask("GET", "/session")
        assert status == 200 and '"customer_login":"ada"' in text
        token = browser.cookies()["sidecart_csrf"]["value"]
        assert ask("DELETE", "/session", **{"X-CSRFToken": token})[0] in (200, 204)
        assert "__Host-sidecart" not in browser.cookies()
    finally:
        browser.close()
