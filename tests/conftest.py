"""Fixtures of the end-to-end tests: a store of its own, commands on it, servers, raw sockets.

Every server is stopped with SIGTERM and must then have exited with 0 and written nothing but
log lines of level info to standard error (a test names the others that it expects).
SIDECART_BIN names the binary, build/sidecart where it is not set. Beside it stands the same with
another clock (tests/hurried.c): what happens at a time is tested with that, since a machine may take
any time. A limit in real time that no test is to reach is ten seconds or more.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import math
import mmap
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

from used import Used

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = (ROOT / os.environ.get("SIDECART_BIN", "build/sidecart")).resolve()
HURRIED = BIN.parent / "hurried"
SECRET = b"test-secret"
WAIT_S = 20  # how long anything that must come may take; no test asserts speed

# What every server here may warn of: cheap hashes, an open door, a short secret, root.
USUAL_WARNINGS = r"event=(unwise_setting|short_sid_secret|serving_as_root)"


def holds(pattern):
    return BIN.exists() and re.search(pattern, BIN.read_bytes(), re.MULTILINE) is not None


VALGRIND = holds(rb"^exec valgrind ")   # make valgrind: many times slower
SANITIZED = VALGRIND or holds(rb"__asan_init")
# A processor that is not this one's: the emulator knows no seccomp.
EMULATED = os.environ.get("EMULATED", "")


def pytest_configure(config):
    """Takes both out of the environment, where one would be a setting that is not known; not where
    other processes run the tests, which are yet to be told."""
    given = getattr(config, "workerinput", {}).get("binary", str(BIN))
    if given != str(BIN):
        pytest.exit(f"this process would test {BIN}, not {given}", 4)
    if config.getoption("numprocesses", None):
        config.option.maxworkerrestart = "0"        # one that ends so is not to be followed
    else:
        os.environ.pop("SIDECART_BIN", None)
        os.environ.pop("EMULATED", None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Each process that pytest-xdist starts is told what is tested, and judges whether it knows."""
    node.workerinput["binary"] = str(BIN)


def corpora(*parts):
    """A path of the outside test data; the test is skipped where CORPORA names none."""
    if not os.environ.get("CORPORA"):
        pytest.skip("CORPORA names no folder of outside data")
    return pathlib.Path(os.environ["CORPORA"]).resolve().joinpath(*parts)


def wait_until(true, what, timeout_s=WAIT_S):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = true()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {timeout_s} s for: {what}")


class Response:
    """One response as it came: status, fields in order, body."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = (lines[0] + " ").split(" ", 2)
        self.status = int(status)
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = body
        self.cookies = {}  # name: (value, attributes as they came)
        for line in self.all("Set-Cookie"):
            pair, *attributes = line.split("; ")
            name, value = pair.split("=", 1)
            assert name not in self.cookies, "K04"
            self.cookies[name] = value, attributes

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:300]!r}>"


class Closed(Exception):
    """The server ended the connection where a response was due."""


USED = {}       # by the port of a running server: the secrets that its store's tests used


class Wire:
    """A raw connection to a port, or to the path of a Unix socket: bytes out, responses in."""

    def __init__(self, port, timeout_s=WAIT_S, receive_bytes=None):
        self.used, self.sent = USED.get(port, Used()), set()
        path = None if isinstance(port, int) else str(port)
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path or ("127.0.0.1", port))
        if not path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode("latin-1")
        self.sent |= self.used.see(data)
        self.socket.sendall(data)
        return self

    def send_bytewise(self, data):
        """Every byte a segment of its own; a server that closes early ends the sending."""
        with contextlib.suppress(ConnectionError):
            for i in range(len(data)):
                self.socket.sendall(data[i:i + 1])
        return self

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def response(self, head_only=False, interim=False):
        """Reads exactly one response; interim (1xx) ones are skipped unless asked for."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise Closed(self.buffer)
        head, rest = self.buffer.split(b"\r\n\r\n", 1)
        r = Response(head, b"")
        self.buffer = rest
        if 100 <= r.status < 200:
            assert not r.all("Content-Length") and not r.all("Transfer-Encoding"), "H30"
            return r if interim else self.response(head_only)
        if r.status in (204, 304):
            assert not r.all("Content-Length") and not r.all("Transfer-Encoding"), "H30"
            return r
        if head_only:
            return r
        size = int(r.get("Content-Length"))
        while len(self.buffer) < size:
            if not self.more():
                raise Closed(self.buffer)
        r.body, self.buffer = self.buffer[:size], self.buffer[size:]
        self.used.see(head + b"\r\n\r\n" + r.body)
        assert r.status < 400 or not [s for s in self.sent if s in r.body], f"S11: {r}"
        return r

    def waits(self):
        """True where nothing has come that was not read, and no end."""
        return self.buffer == b"" and select.select([self.socket], (), (), 0)[0] == []

    def ended(self):
        """True where nothing but an orderly end (FIN) follows; a reset raises."""
        return self.buffer == b"" and not self.more()

    def rest(self):
        """All that still comes, up to FIN."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def reset_on_close(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def request_bytes(method, target, headers=(), body=None, host="127.0.0.1"):
    """One request. `headers` is a dict, or a list of pairs where a name comes twice."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), *pairs(headers)]
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in pairs(headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")


def pairs(headers):
    return list(headers.items()) if isinstance(headers, dict) else list(headers)


def basic(login, password):
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


def running(pid):
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


def naps(pid):
    """How often a process has waited for something; None where there is none."""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        if not re.search(r"^State:\s+[ZX]", status, re.MULTILINE):
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1])
    return None


def signed_basket(number):
    """The value of the basket cookie: Django's Signer() under the shop's SECRET_KEY."""
    key = hashlib.sha256(b"django.core.signing.Signer" + b"signer" + SECRET).digest()
    digest = hmac.new(key, str(number).encode(), hashlib.sha256).digest()
    return f"{number}:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Server:
    """A running `sidecart serve`."""

    def __init__(self, store, allow="", prepare=None, through=(), pass_fds=(), binary=None,
                 **settings):
        settings = {
            "listen": "127.0.0.1:0", "ops_listen": "127.0.0.1:0",
            "password_iterations": 1000, "map_size": "64M",
            **({"seccomp": "off"} if SANITIZED or EMULATED else {}), **settings,
        }
        self.store = store
        self.allow = re.compile("|".join(filter(None, (USUAL_WARNINGS, allow))))
        self.log_path = store.path.parent / f"stderr.{time.monotonic_ns()}"
        listeners = sum(len(settings[s].split(",")) if settings[s] else 0
                        for s in ("listen", "ops_listen"))
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*through, binary or store.binary, "serve", f"--data={store.path}",
                 *(f"--{name}={value}" for name, value in settings.items())],
                env=store.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=prepare, pass_fds=pass_fds)
        self.pid = self.process.pid
        try:
            self.port, self.ops_port = self.ports(listeners)
        except BaseException:
            self.kill()     # nobody else knows of it
            raise

    def ports(self, count):
        def found():
            assert self.process.poll() is None, self.log()
            ports = re.findall(r"listening address=(?:unix:\S+|\S*:(\d+)\b)", self.log())
            return ports if len(ports) >= count else None
        self.all_ports = [int(p or 0) for p in wait_until(found, "the server listens")]
        USED.update(dict.fromkeys(self.all_ports, self.store.used))
        return self.all_ports[0], self.all_ports[-1]

    def log(self):
        return self.log_path.read_text(errors="replace")

    def children(self):
        """Pids of the processes that the supervisor started, by what each calls itself."""
        found = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == self.pid and fields[0] != "Z":
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
        return found

    def child(self, kind):
        """Pids of the children of one kind: front, writer or hasher."""
        return [pid for pid, name in self.children().items() if kind in name]

    def turn(self, but=()):
        """All of its processes but some have looked at the clock."""
        before = {pid: naps(pid) for pid in {self.pid, *self.children()} - set(but)}

        def turned():
            now = {pid: naps(pid) for pid in before}
            return all(now[pid] is None or n is None or now[pid] > n + 1
                       for pid, n in before.items())
        wait_until(turned, "a turn of each")

    def wire(self, **options):
        return Wire(self.port, **options)

    def request(self, method, target, headers=(), body=None, port=None, host="127.0.0.1"):
        """One request on a connection of its own."""
        with Wire(port or self.port) as wire:
            wire.send(request_bytes(method, target, headers, body, host))
            r = wire.response(head_only=method == "HEAD")
        if any(name.lower() == "session-id" for name, _ in pairs(headers)):
            assert not r.cookies, f"S04: {r}"
        return r

    def get(self, target, headers=(), **options):
        return self.request("GET", target, headers, **options)

    def resolve(self, headers=(), require="any", **options):
        return self.get(f"/resolve?require={require}", headers, **options)

    def login(self, sid, login, password=None, headers=()):
        return self.request("POST", "/api/login/", {"Session-Id": sid, **dict(headers)},
                            {"username": login, "password": password or login})

    def upgrade(self):
        """SIGUSR2: from here on this is the next generation; the one before has ended."""
        before = self.pid
        os.kill(before, signal.SIGUSR2)

        def taken():
            pids = re.findall(r"event=handed_on pid=(\d+)", self.log())
            return pids and int(pids[-1])
        self.pid = wait_until(lambda: taken() not in (None, before) and taken(), "an upgrade")

    def stop(self):
        if self.pid != self.process.pid and running(self.pid):
            os.kill(self.pid, signal.SIGTERM)
            wait_until(lambda: not running(self.pid), "the last generation ends")
        elif self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not stop the server:\n{self.log()}") from None
        self.check_log()
        assert code == 0, f"exit code {code}:\n{self.log()}"

    def check_log(self):
        bad = [line for line in self.log().splitlines()
               if not re.match(r"time=\S+ level=(info|debug) ", line) and not self.allow.search(line)]
        assert not bad, "\n".join(bad)

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT_S)


class Clock:
    """What all processes of a store take for the time: it stands until a test moves it on."""

    def __init__(self, path):
        path.write_bytes(bytes(8))
        with open(path, "r+b") as file:
            self.us = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        self.us[0] = math.ceil(time.time()) * 10**6

    @property
    def now_s(self):
        return self.us[0] // 10**6

    def later(self, by_s):
        self.us[0] += round(by_s * 10**6)

    def until(self, true, what):
        """A second passes, and one more, until it is true; gives how many did. Those who have to
        look at the clock may come to it late: it is never less than they waited, and may be more."""
        begun = self.us[0]

        def looked():
            value = true()
            if not value:
                self.later(1)
            return value
        wait_until(looked, what)
        return (self.us[0] - begun) // 10**6


class Store:
    """A data directory, the commands on it and the servers over it."""

    def __init__(self, folder, secret=SECRET):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "data"
        self.path.mkdir(mode=0o700)
        self.servers, self.binary = [], BIN
        self.used = Used()
        self.environment = dict(os.environ)
        if secret is not None:
            secret_path = self.path / "sid.secret"
            secret_path.write_bytes(secret)
            secret_path.chmod(0o600)

    def run(self, *arguments, stdin="", code=0):
        """Runs a command; gives its standard output."""
        done = subprocess.run(
            [self.binary, *map(str, arguments), f"--data={self.path}"], env=self.environment,
            input=stdin, capture_output=True, text=True, timeout=WAIT_S * 3, check=False)
        assert done.returncode == code, (arguments, done)
        self.errors = done.stderr
        return done.stdout

    def records(self, *arguments):
        """What a command prints with --json, one object a line."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def key(self, name, scope="trusted", *options):
        key = self.run("key", "add", name, "--scope", scope, *options).strip()
        if scope != "shop":     # the id of an OCAPI client, which every page tells
            self.used.secrets.add(key.encode())
        return key

    def customer(self, login, password=None, *options):
        return int(self.run("customer", "add", login, "--email", f"{login}@example.com",
                            "--password-stdin", "--password-iterations=1000", *options,
                            stdin=(password or login) + "\n"))

    def stop_clock(self, faults=""):
        """From here on no time passes for its commands and servers but what the test lets pass;
        `faults`: see tests/hurried.c."""
        if not HURRIED.exists():
            pytest.skip(f"{HURRIED} was not built")
        path = self.path.parent / "clock"
        self.binary = HURRIED
        self.environment |= {"HURRIED_CLOCK": str(path), "HURRIED_FAULTS": faults}
        return Clock(path)

    def serve(self, **settings):
        server = Server(self, **settings)
        self.servers.append(server)
        return server

    def close(self):
        failure = None
        for server in self.servers:
            try:
                if server.process.poll() is None or running(server.pid):
                    server.stop()
            except AssertionError as error:
                failure = failure or error
        self.servers.clear()
        if failure:
            raise failure
        self.used.judge(self.files())

    def files(self):
        """What may show no secret: the logs and all of the store but its own two secrets."""
        return [p for p in [*self.path.parent.glob("stderr.*"), *self.path.iterdir()]
                if p.is_file() and p.name not in ("sid.secret", "seal.key")]


@pytest.fixture
def store(tmp_path):
    """An empty store for one test, its servers stopped and judged at the end."""
    made = Store(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def clock(store):
    """The store's clock, which stands until the test moves it on."""
    return store.stop_clock()


@pytest.fixture(scope="module")
def module_store(tmp_path_factory):
    """The same for all tests of a module."""
    made = Store(tmp_path_factory.mktemp("module") / "store")
    yield made
    made.close()
