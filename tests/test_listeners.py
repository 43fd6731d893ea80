"""Unix sockets, the PROXY protocol and whose word counts on addresses (F06, F07, F08, F10).

Which address a request counts for is seen by a key that is good from one network alone.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile

import pytest

from conftest import WAIT_S, Wire, request_bytes, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, PROXY, OTHER = "203.0.113.7", "198.51.100.1", "192.0.2.9"


def v1(source, family="TCP4", destination="192.0.2.1"):
    return f"PROXY {family} {source} {destination} 56324 443\r\n".encode()


def v2(source=None, tlvs=b"", command=1):
    """source: an IP address, None for UNSPEC, or a path for a client on a Unix socket."""
    if source is None:
        family, ends = 0, b""
    elif source.startswith("/"):
        family, ends = 0x31, source.encode().ljust(108, b"\0") + b"/run/s".ljust(108, b"\0")
    elif ":" in source:
        family, ends = 0x21, socket.inet_pton(socket.AF_INET6, source) * 2 + b"\x12\x34\0\x50"
    else:
        family, ends = 0x11, socket.inet_pton(socket.AF_INET, source) * 2 + b"\x12\x34\0\x50"
    return SIGNATURE + struct.pack(">BBH", 0x20 | command, family, len(ends + tlvs)) + ends + tlvs


@pytest.fixture(name="socket_path")
def fixture_socket_path():
    """In a folder with a short name: a socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="sidecart") as folder:
        yield pathlib.Path(folder) / "front.sock"


@pytest.fixture(name="keys")
def fixture_keys(store):
    """A key for each address that it is good from, and from no other."""
    return {source: store.key(f"k{i}", "shop", "--source", source) for i, source in enumerate(
        (CLIENT, PROXY, OTHER, "127.0.0.1", "2001:db8::7", "::"))}


def address_of(keys, wire, headers=()):
    """The one address that the requests of this connection count for."""
    seen = []
    for source, key in keys.items():
        wire.send(request_bytes("GET", "/session", [("X-Api-Key", key), *headers]))
        response = wire.response()
        assert response.status in (200, 403), response
        if response.status == 200:
            seen.append(source)
    address, = seen
    return address


def forwarded(*addresses):
    return [("X-Forwarded-For", ", ".join(addresses))]


def ends_without_answer(wire):
    try:
        return wire.rest() == b""
    except ConnectionError:
        return wire.buffer == b""


def closes_without_answer(port, data):
    with Wire(port) as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(data)
        return ends_without_answer(wire)


# --- Unix sockets. --------------------------------------------------------------------------------

def test_unix_socket(store, socket_path):
    """F10: answered as on a port; owner and group may connect; gone after a clean stop."""
    server = store.serve(listen=f"unix:{socket_path},127.0.0.1:0", ops_listen="")
    assert f"listening address=unix:{socket_path}\n" in server.log()
    assert stat.S_IMODE(os.stat(socket_path).st_mode) == 0o660
    assert stat.S_ISSOCK(os.stat(socket_path).st_mode)
    with Wire(socket_path) as wire:
        for _ in range(3):
            assert wire.send(request_bytes("GET", "/healthz")).response().status == 200
        wire.finish()
        assert wire.ended()
    with Wire(socket_path) as wire:
        wire.send_bytewise(request_bytes("GET", "/healthz") * 3)
        assert [wire.response().status for _ in range(3)] == [200] * 3
    assert server.get("/healthz", port=server.all_ports[1]).status == 200
    server.stop()
    assert not socket_path.exists()


def test_unix_socket_of_ops(store, socket_path):
    """ops_listen takes a path too; nothing but health is there."""
    server = store.serve(listen="127.0.0.1:0", ops_listen=f"unix:{socket_path}")
    assert f"listening address=unix:{socket_path} surface=ops\n" in server.log()
    assert server.get("/healthz", port=socket_path).status == 200
    assert server.get("/session", port=socket_path).status == 404


def test_many_over_a_unix_socket(store, socket_path):
    """Long answers, long bodies and requests in a row come through whole."""
    server = store.serve(listen=f"unix:{socket_path}", ops_listen="", max_pipeline=3)
    with Wire(socket_path) as wire:
        wire.send(request_bytes("GET", "/session") * 500)
        assert all(wire.response().status == 200 for _ in range(500))
        wire.send(request_bytes("POST", "/api/login/", body=b"x" * 60000,
                                headers={"Content-Type": "application/json"}))
        assert wire.response().status == 400
    assert server.get("/healthz", port=socket_path).status == 200


def test_stale_socket_file(store, socket_path):
    """What a killed server left behind is replaced; a server that listens keeps its socket."""
    first = store.serve(listen=f"unix:{socket_path}", ops_listen="")
    store.run("serve", f"--listen=unix:{socket_path}", "--ops-listen=", code=111)
    assert f"\nsidecart: listen: unix:{socket_path}: Address already in use" in store.errors
    assert first.get("/healthz", port=socket_path).status == 200
    children = first.children()
    first.kill()
    wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in children),
               "the children ended")
    assert socket_path.exists()
    second = store.serve(listen=f"unix:{socket_path}", ops_listen="")
    assert second.get("/healthz", port=socket_path).status == 200


def test_file_that_is_no_socket(store, socket_path):
    """Is never removed."""
    socket_path.write_text("precious")
    store.run("serve", f"--listen=unix:{socket_path}", "--ops-listen=", code=111)
    assert f"unix:{socket_path}" in store.errors
    assert socket_path.read_text() == "precious"


def test_failed_start_leaves_no_socket(store, socket_path):
    """One listener that cannot be had: the socket of the other is not left behind."""
    store.run("serve", f"--listen=unix:{socket_path},unix:{socket_path.parent}/none/x.sock",
              "--ops-listen=", code=111)
    assert "/none/x.sock: No such file" in store.errors
    assert not socket_path.exists()


def test_restart_while_draining(store, socket_path):
    """A server that ends does not take its successor's socket away."""
    first = store.serve(listen=f"unix:{socket_path}", ops_listen="")
    with Wire(socket_path) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\n")  # which holds up the end
        assert first.get("/healthz", port=socket_path).status == 200
        first.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not socket_path.exists(), "the socket is gone")
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(socket_path))
        wire.send(b"Host: a\r\n\r\n")
        assert wire.response().status == 200
    first.stop()
    assert socket_path.exists()
    successor.close()


def test_peer_credentials(store, socket_path):
    """F10: uid and pid of the peer are in the debug log."""
    server = store.serve(listen=f"unix:{socket_path}", ops_listen="", log_level="debug")
    assert server.get("/healthz", port=socket_path).status == 200
    assert re.search(rf"level=debug process=front event=accepted address=unix:{socket_path} "
                     rf"uid={os.getuid()} gid={os.getgid()} pid={os.getpid()}\n", server.log())


@pytest.mark.parametrize("trusted,address", [("unix", CLIENT), ("127.0.0.0/8,::1", "::")])
def test_forwarded_over_a_unix_socket(store, keys, socket_path, trusted, address):
    """Peers there have no address; the word `unix` says whether they are believed."""
    server = store.serve(listen=f"unix:{socket_path}", ops_listen="", trusted_proxies=trusted)
    with Wire(socket_path) as wire:
        assert address_of(keys, wire) == "::"
        assert address_of(keys, wire, forwarded(CLIENT)) == address
    assert ("event=forwarded_ignored setting=trusted_proxies peer=::" in server.log()) == (
        address == "::")


def test_unix_peers_share_their_limits(store, socket_path):
    server = store.serve(listen=f"unix:{socket_path}", ops_listen="", rate_limit_address="2/60s")
    statuses = [server.get("/session", port=socket_path).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert server.get("/session", forwarded(CLIENT), port=socket_path).status == 200


# --- The PROXY protocol. --------------------------------------------------------------------------

@pytest.fixture(name="server")
def fixture_server(store, clock):
    """The first port wants a PROXY header, the second does not."""
    return store.serve(listen="proxy:127.0.0.1:0,127.0.0.1:0", ops_listen="", header_timeout="30s")


def look(server):
    """Has the front look at the clock."""
    assert server.get("/healthz", port=server.all_ports[1]).status == 200


HEADERS = [
    (v1(CLIENT), CLIENT),
    (v1("2001:db8::7", "TCP6", "::1"), "2001:db8::7"),
    (v1("::ffff:203.0.113.7", "TCP6", "::1"), CLIENT),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (v2(CLIENT), CLIENT),
    (v2("2001:db8::7"), "2001:db8::7"),
    (v2("/run/shop.sock"), "::"),
    (v2(CLIENT, tlvs=b"\x04\x07\xd0" + bytes(2000)), CLIENT),
    (v2(CLIENT, command=0), "127.0.0.1"),
    (v2(), "127.0.0.1"),
]


@pytest.mark.parametrize("header,address", HEADERS)
def test_proxy_header(keys, server, header, address):
    """F08: its address is the peer's for all requests; whole, byte by byte, with a request."""
    assert re.search(r"listening address=127.0.0.1:\d+ proxy=on\n", server.log())
    with Wire(server.port) as wire:
        assert address_of(keys, wire.send(header)) == address
    with Wire(server.port) as wire:
        assert address_of(keys, wire.send_bytewise(header)) == address
    with Wire(server.port) as wire:
        wire.send(header + request_bytes("GET", "/healthz") + request_bytes("GET", "/healthz"))
        assert [wire.response().status for _ in range(2)] == [200, 200]
        assert address_of(keys, wire) == address


def test_proxy_header_bounds_a_turn(store, keys):
    """With one step a turn nothing is lost either."""
    server = store.serve(listen="proxy:127.0.0.1:0", ops_listen="", max_pipeline=1)
    with Wire(server.port) as wire:
        wire.send(v1(CLIENT) + request_bytes("GET", "/healthz") * 3)
        assert [wire.response().status for _ in range(3)] == [200] * 3
        assert address_of(keys, wire) == CLIENT


def test_login_throttle_takes_the_address(store):
    """Failed logins count for the address in the header, in the writer too."""
    store.customer("ada")
    server = store.serve(listen="proxy:127.0.0.1:0", ops_listen="", sid_trust="any",
                         login_throttle="2/60s", login_throttle_address="off")

    def status(source, password):
        with Wire(server.port) as wire:
            wire.send(v1(source) + request_bytes(
                "POST", "/api/login/", {"Session-Id": "SID:ANON:127.0.0.1:a"},
                {"username": "ada", "password": password}))
            return wire.response().status
    assert [status(CLIENT, "bad") for _ in range(3)] == [401, 401, 429]
    assert status(OTHER, "ada") == 200


@pytest.mark.parametrize("data", [
    request_bytes("GET", "/healthz"), b"G", b"\r\n", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY\r\n", b"PROXY TCP4 1.2.3.4\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    b"PROXY UNKNOWN" + b" " * 200, SIGNATURE + b"\x31\x11\0\x0c", SIGNATURE + b"\x21\x51\0\x0c",
    SIGNATURE + b"\x21\x11\0\x04abcd", SIGNATURE + b"\x21\x11\xff\xff", b"\x16\x03\x01\x02\0"])
def test_no_proxy_header(server, data):
    """F08: closed without an answer, and before any timeout: no time passes."""
    assert closes_without_answer(server.port, data + request_bytes("GET", "/healthz"))
    assert data == b"\r\n" or closes_without_answer(server.port, data)    # that may be a signature
    assert "event=proxy_refused setting=listen peer=127.0.0.1" in server.log()
    assert server.get("/healthz", port=server.all_ports[1]).status == 200


@pytest.mark.parametrize("data", [b"", b"P", v1(CLIENT)[:-1], v2(CLIENT)[:-1], SIGNATURE])
def test_proxy_header_in_time(server, clock, data):
    """Half a header is waited for up to header_timeout, and then nothing is said."""
    with Wire(server.port) as wire:
        wire.send(data)
        for by_s in (0, 29):
            clock.later(by_s)
            look(server)
            assert wire.waits()
        clock.later(1)
        assert ends_without_answer(wire)
    with Wire(server.port) as wire:
        wire.send(data).finish()
        with contextlib.suppress(ConnectionError):
            assert wire.rest() == b""


def test_slow_proxy_header(server, clock):
    """Bytes that trickle in win no time."""
    with Wire(server.port) as wire:
        for byte in v1(CLIENT)[:30]:
            wire.send(bytes([byte]))
            look(server)
            assert wire.waits()
            clock.later(1)
        assert ends_without_answer(wire)


@pytest.mark.parametrize("header", [v1(CLIENT), b"PROXY UNKNOWN\r\n", v2(CLIENT), v2()])
def test_proxy_header_where_none_is_wanted(server, header):
    """F08: on an ordinary listener a broken request: 400, and the end."""
    for cut in (False, True):
        with Wire(server.all_ports[1]) as wire:
            (wire.send_bytewise if cut else wire.send)(header)
            response = wire.response()
            assert (response.status, response.get("Connection")) == (400, "close")
            assert wire.ended()


def test_second_proxy_header(server):
    """One header a connection: the next one is a broken request."""
    with Wire(server.port) as wire:
        wire.send(v1(CLIENT) + v1(OTHER))
        assert wire.response().status == 400


def test_proxy_over_a_unix_socket(store, keys, socket_path):
    server = store.serve(listen=f"proxy:unix:{socket_path}", ops_listen="")
    assert f"listening address=unix:{socket_path} proxy=on\n" in server.log()
    with Wire(socket_path) as wire:
        assert address_of(keys, wire.send(v2(CLIENT))) == CLIENT
    with Wire(socket_path) as wire:
        assert address_of(keys, wire.send(v2())) == "::"
    assert closes_without_answer(socket_path, request_bytes("GET", "/healthz"))


def test_stop_with_half_a_header(store, clock):
    """Waits for no more than its deadline, and for no less."""
    server = store.serve(listen="proxy:127.0.0.1:0,127.0.0.1:0", ops_listen="", header_timeout="9s")
    with Wire(server.port) as wire:
        wire.send(b"PROXY")
        look(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "event=stopping" in server.log(), "the end begins")
        clock.later(8)
        assert wire.waits()
        clock.later(1)
        assert wire.ended()
    assert server.process.wait(WAIT_S) == 0


HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
HAPROXY_CONFIG = """
defaults
	mode tcp
	timeout connect 5s
	timeout client 20s
	timeout server 20s
listen shop
	bind unix@{folder}/shop.sock accept-proxy
	server sidecart {server} {option}
"""


def listens(path):
    """A socket's file is there a moment before somebody listens."""
    with contextlib.suppress(OSError), Wire(path):
        return True
    return False


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2",
                                    "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
@pytest.mark.parametrize("kind", ["port", "path"])
def test_header_of_haproxy(store, keys, socket_path, option, kind):
    """Debian's HAProxy tells the addresses that it was told itself."""
    server = store.serve(listen="proxy:127.0.0.1:0" if kind == "port" else
                         f"proxy:unix:{socket_path}", ops_listen="")
    place = f"127.0.0.1:{server.port}" if kind == "port" else f"unix@{socket_path}"
    folder = socket_path.parent
    (folder / "haproxy.cfg").write_text(HAPROXY_CONFIG.format(
        folder=folder, server=place, option=option))
    with subprocess.Popen([HAPROXY, "-db", "-q", "-f", folder / "haproxy.cfg"],
                          stdin=subprocess.DEVNULL) as haproxy:
        try:
            wait_until(lambda: listens(folder / "shop.sock"), "haproxy listens")
            for header, address in HEADERS[:2]:
                with Wire(folder / "shop.sock") as wire:
                    assert address_of(keys, wire.send(header)) == address
        finally:
            haproxy.kill()


# --- Whose word counts. ---------------------------------------------------------------------------

@pytest.mark.parametrize("peer,hops,address", [
    (CLIENT, [OTHER], CLIENT),                      # no proxy: ignored
    (PROXY, [CLIENT], CLIENT),
    (PROXY, [OTHER, CLIENT], CLIENT),               # the left one is the client's own word
    (PROXY, [CLIENT, PROXY], CLIENT),               # past what is trusted
    (PROXY, [OTHER, CLIENT, PROXY, "127.0.0.1"], CLIENT),
    (PROXY, [PROXY], PROXY),
    (PROXY, [CLIENT, "unknown"], PROXY),            # garbage: the peer
    (PROXY, ["unknown", PROXY], PROXY),
    (PROXY, [""], PROXY),
    (PROXY, ["unknown", CLIENT], CLIENT),           # it was not reached
])
def test_forwarded_for(store, keys, peer, hops, address):
    """F07: walked from the right past trusted hops; the peer is the PROXY header's."""
    server = store.serve(listen="proxy:127.0.0.1:0", ops_listen="",
                         trusted_proxies=f"{PROXY},127.0.0.0/8")
    with Wire(server.port) as wire:
        assert address_of(keys, wire.send(v1(peer)), forwarded(*hops)) == address
    assert ("event=forwarded_ignored" in server.log()) == (peer == CLIENT)


@pytest.mark.parametrize("field", [
    "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "X-Forwarded-Method",
    "X-Forwarded-Uri"])
def test_ignored_fields_are_logged(store, field):
    """F06: once a minute, with the name of the setting; never what was believed."""
    server = store.serve(listen="proxy:127.0.0.1:0", ops_listen="", trusted_proxies=PROXY)
    with Wire(server.port) as wire:
        wire.send(v1(PROXY) + request_bytes("GET", "/healthz", {field: "a"}))
        wire.response()
    with Wire(server.port) as wire:
        wire.send(v1(CLIENT) + request_bytes("GET", "/healthz"))
        wire.response()
        assert "forwarded_ignored" not in server.log()
        for _ in range(20):
            wire.send(request_bytes("GET", "/healthz", {field: "a"}))
            wire.response()
    lines = [line for line in server.log().splitlines() if "forwarded_ignored" in line]
    assert len(lines) == 1
    assert lines[0].endswith(
        f"level=info process=front event=forwarded_ignored setting=trusted_proxies peer={CLIENT}")
