"""The service: readiness, watchdog, sockets from outside, reload, upgrade (D07, D08).

No systemd runs here: a Python socket stands in for NOTIFY_SOCKET, and preexec_fn for what starts
the process with open sockets.
"""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import lmdb
import pytest

import conftest
from conftest import BIN, ROOT, WAIT_S, Closed, Wire, naps, request_bytes, wait_until
from test_command import Holder
from test_process import alive, held

ANON = "SID:ANON:127.0.0.1:"
OPEN = {"sid_trust": "any", "login_throttle": "off", "login_throttle_address": "off"}
CHANGED = r"event=(setting_waits|reload_refused)"


class Manager:
    """Hears what a service says, as a service manager does."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address = address
        self.heard = []  # (time, lines)

    def environment(self, store, watchdog_s=None):
        store.environment["NOTIFY_SOCKET"] = self.address.replace("\0", "@")
        if watchdog_s:
            store.environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))

    def listen(self, timeout_s):
        self.socket.settimeout(max(timeout_s, 0.001))
        with contextlib.suppress(TimeoutError, BlockingIOError):
            self.heard.append((time.monotonic(), self.socket.recv(4096).decode().split("\n")))
            return self.heard[-1][1]
        return None

    def expect(self, line, timeout_s=WAIT_S):
        """Waits for a message that has `line`; gives the message."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            lines = self.listen(deadline - time.monotonic())
            if lines and line in lines:
                return lines
        raise AssertionError(f"never heard {line}: {self.heard}")

    def drain(self):
        """All that has come so far, as one list of lines."""
        while self.listen(0):
            pass
        return [line for _, lines in self.heard for line in lines]


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"\0sidecart-{tmp_path}"
    made = Manager(name)
    yield made
    made.socket.close()


@pytest.fixture
def one_manager(tmp_path):
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


# --- Readiness (D08). -----------------------------------------------------------------------------

def test_ready_means_ready(store, manager):
    """READY=1 comes when the sockets listen and the store is open, STOPPING=1 at SIGTERM."""
    manager.environment(store)
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    started = subprocess.Popen([BIN, "serve", f"--data={store.path}", f"--listen=127.0.0.1:{port}",
                                "--ops_listen=", "--map_size=64M", "--log_level=error",
                                *(["--seccomp=off"] if conftest.SANITIZED else [])],
                               env=store.environment)
    try:
        manager.expect("READY=1")
        with Wire(port) as wire:
            assert wire.send(request_bytes("GET", "/readyz")).response().status == 200
        assert (store.path / "data.mdb").exists()
    finally:
        started.terminate()
        assert started.wait(WAIT_S) == 0
    assert manager.drain() == ["READY=1", "STOPPING=1"]


def test_not_ready_before_the_store_opened(store, one_manager):
    """A store that cannot be opened is never READY, and the exit status says so."""
    one_manager.environment(store)
    (store.path / "data.mdb").write_bytes(b"no store" * 4096)
    done = subprocess.run([BIN, "serve", f"--data={store.path}", "--listen=127.0.0.1:0",
                           "--ops_listen=", "--map_size=64M"], env=store.environment,
                          capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 111, done
    assert one_manager.drain() == []


@pytest.mark.parametrize("address", ["", "/", "@", "relative/path", "/nowhere/at/all", "vsock:2:1",
                                     "/" + "x" * 200, "@" + "x" * 200])
def test_unreachable_manager_is_no_fault(store, address):
    store.environment["NOTIFY_SOCKET"] = address
    assert store.serve().get("/healthz").status == 200


# --- The watchdog (D08). --------------------------------------------------------------------------

WATCHDOG_S = 2


def watchdogs(manager, server, clock, seconds, but=()):
    """How often WATCHDOG=1 is said in this time, which passes as quickly as all turn, but some."""
    manager.drain()
    manager.heard.clear()
    for _ in range(round(seconds * 4)):
        clock.later(0.25)
        server.turn(but)
    return manager.drain().count("WATCHDOG=1")


def test_idle_server_feeds_the_watchdog(store, one_manager, clock):
    """Loops that have nothing to do show life all the same; two fronts, one writer."""
    one_manager.environment(store, WATCHDOG_S)
    server = store.serve(workers=2)
    pids = server.child("front") + server.child("writer")
    assert watchdogs(one_manager, server, clock, 2 * WATCHDOG_S) >= 4
    assert server.child("front") + server.child("writer") == pids


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1e6", "99999999999999999999999"])
def test_no_watchdog(store, one_manager, value):
    one_manager.environment(store)
    store.environment["WATCHDOG_USEC"] = value
    store.serve()
    time.sleep(0.5)
    assert "WATCHDOG=1" not in one_manager.drain()


def test_watchdog_of_another_process(store, one_manager):
    one_manager.environment(store, 0.2)
    store.environment["WATCHDOG_PID"] = "1"
    store.serve()
    time.sleep(0.5)
    assert "WATCHDOG=1" not in one_manager.drain()


@pytest.mark.parametrize("kind", ["front", "writer"])
def test_stuck_loop_is_noticed(store, one_manager, clock, kind):
    """A loop that stands still is named, killed and replaced; the others never notice."""
    one_manager.environment(store, WATCHDOG_S)
    server = store.serve(workers=2, allow=r"event=(hung|ended|front_dropped)")
    victim = server.child(kind)[0]
    others = set(server.children()) - {victim}
    os.kill(victim, signal.SIGSTOP)

    def ended():
        watchdogs(one_manager, server, clock, 0.25, [victim])
        return not alive(victim)
    wait_until(ended, "the end of the stuck process")
    wait_until(lambda: len(server.child(kind)) == (2 if kind == "front" else 1), "another comes")
    assert f"event=hung kind={kind} pid={victim}" in server.log()
    assert others <= set(server.children())
    assert watchdogs(one_manager, server, clock, WATCHDOG_S) >= 2


def test_watchdog_stops_where_the_supervisor_does(store, one_manager, clock):
    one_manager.environment(store, WATCHDOG_S)
    server = store.serve()
    with held(server.pid):
        assert watchdogs(one_manager, server, clock, WATCHDOG_S, [server.pid]) == 0


def test_a_machine_that_stood_still(store, one_manager, clock):
    """A supervisor that comes late to its look does not take the loops for stuck that had no more
    time to turn than itself."""
    one_manager.environment(store, WATCHDOG_S)
    server = store.serve()
    pids = set(server.children())
    with contextlib.ExitStack() as stack:
        for pid in pids:
            stack.enter_context(held(pid))
        assert watchdogs(one_manager, server, clock, 0.5, pids) == 1
        clock.later(10 * WATCHDOG_S)
        one_manager.expect("WATCHDOG=1")
    assert watchdogs(one_manager, server, clock, WATCHDOG_S) >= 2
    assert set(server.children()) == pids and "event=hung" not in server.log()


def test_waiting_for_the_lock_is_no_hang(store, one_manager, clock):
    """A command that stands still while it writes holds the writer up: nobody is killed for it."""
    one_manager.environment(store, WATCHDOG_S)
    server = store.serve()
    writer, = server.child("writer")
    holder = Holder(store.path)
    holder.begin()
    try:
        with server.wire() as wire:
            wire.send(request_bytes("DELETE", "/api/login/"))

            def sleeps():
                before = naps(writer)
                time.sleep(0.2)
                return naps(writer) == before
            wait_until(sleeps, "the writer waits for the lock")
            assert watchdogs(one_manager, server, clock, 2 * WATCHDOG_S, [writer]) >= 4
            assert server.child("writer") == [writer] and "event=hung" not in server.log()
    finally:
        holder.end()


@pytest.mark.skipif(conftest.SANITIZED or not shutil.which("strace"), reason="strace takes memory away")
def test_watchdog_without_memory(store, one_manager, clock, tmp_path):
    """Where there is none to count the loops' turns in, none is taken for stuck: the watchdog is
    fed all the same, where the service manager killed a server that served."""
    def serve(*how):
        one_manager.environment(store, WATCHDOG_S)
        return store.serve(through=["strace", "-D", "-qq", "-o", tmp_path / "trace", *how])
    serve("-e", "trace=mmap").stop()
    calls = [line for line in (tmp_path / "trace").read_text().splitlines() if "mmap(" in line]
    place, = [i for i, line in enumerate(calls, 1) if "MAP_SHARED|MAP_ANONYMOUS" in line and
              "(NULL, 6144," in line]
    server = serve("-e", f"inject=mmap:error=ENOMEM:when={place}")
    assert "ENOMEM" in (tmp_path / "trace").read_text()
    children = set(server.children())
    front = server.child("front")       # which may sleep for ever, then
    assert watchdogs(one_manager, server, clock, 2 * WATCHDOG_S, front) >= 4
    assert children == set(server.children()) and "event=hung" not in server.log()


# --- Sockets from outside. ------------------------------------------------------------------------

class Sockets:
    """Starts a server with open sockets, as systemd does for a .socket unit."""

    def __init__(self, *sockets, names=None, pid="$$"):
        self.high = [fcntl.fcntl(s.fileno() if hasattr(s, "fileno") else s, fcntl.F_DUPFD, 50 + i)
                     for i, s in enumerate(sockets)]
        moves = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(self.high))
        names = f"LISTEN_FDNAMES={names}" if names is not None else ""
        self.options = {
            "pass_fds": self.high,
            "through": ["bash", "-c", f'exec {moves}; export LISTEN_PID={pid} '
                        f'LISTEN_FDS={len(self.high)} {names}; exec "$@"', "bash"]}

    def close(self):
        for fd in self.high:
            os.close(fd)


def tcp(listen=True):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    if listen:
        s.listen(64)
    return s


def test_given_socket_is_listened_on(store):
    """It stands in place of `listen`; connections made before the start are answered."""
    given = tcp()
    early = Wire(given.getsockname()[1]).send(request_bytes("GET", "/healthz"))
    sockets = Sockets(given)
    server = store.serve(**sockets.options)
    server.port = given.getsockname()[1]
    assert early.response().status == 200
    assert sorted(re.findall(r"event=listening address=\S+:(\d+) (.*)", server.log())) == sorted([
        (str(server.port), "from=systemd"), (str(server.all_ports[0]), "surface=ops")])
    server.stop()
    given.settimeout(WAIT_S)  # it stays open, and its queue with it
    with Wire(server.port):
        given.accept()[0].close()


def test_given_sockets_by_name(store, tmp_path):
    """ops, proxy, anything else; a Unix socket's file stays where its owner put it."""
    shop, ops, proxied = tcp(), tcp(), tcp()
    path = tmp_path / "shop.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen(8)
    sockets = Sockets(shop, ops, proxied, unix, names="sidecart.socket:ops:proxy:other")
    server = store.serve(**sockets.options, listen="127.0.0.1:1,127.0.0.1:2,127.0.0.1:3")
    for port in (shop.getsockname()[1], ops.getsockname()[1], str(path)):
        assert server.get("/healthz", port=port).status == 200, port
    assert server.get("/resolve", port=ops.getsockname()[1]).status == 404
    with Wire(proxied.getsockname()[1]) as wire:
        wire.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        assert wire.send(request_bytes("GET", "/healthz")).response().status == 200
    server.stop()
    assert path.exists()


def test_sockets_for_another_process(store):
    server = store.serve(**Sockets(tcp(), pid=1).options)
    assert "from=systemd" not in server.log()


@pytest.mark.parametrize("bad", [
    lambda: tcp(listen=False), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    lambda: os.open("/dev/null", os.O_RDONLY), lambda: socket.socketpair()[0]])
def test_given_what_is_no_listener(store, bad):
    sockets = Sockets(tcp(), bad())
    done = subprocess.run([*sockets.options["through"], BIN, "serve", f"--data={store.path}"],
                          pass_fds=sockets.high, env=store.environment, capture_output=True,
                          text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 111
    assert "LISTEN_FDS: listen: not a listening stream socket" in done.stderr


# --- SIGHUP. --------------------------------------------------------------------------------------

def reload(server, lines=1):
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(re.findall(r"event=reload(?:ed|_refused)", server.log())) >= lines,
               "a reload")


def configured(store, tmp_path, text="", **options):
    """A server whose settings stand in a file, all of them but those of every test."""
    path = tmp_path / "sidecart.conf"
    path.write_text(text)
    return path, store.serve(config=str(path), allow=CHANGED, **options)


def test_reload_changes_what_it_can(store, tmp_path, one_manager):
    """Without a restart: the same processes, the same connection, new settings for both sides."""
    one_manager.environment(store)
    path, server = configured(store, tmp_path, "sid_trust = key\n", login_throttle="off",
                              login_throttle_address="off")
    key = {"X-Api-Key": store.key("shop", "shop")}
    pids = server.children()
    with server.wire() as wire:
        ask = request_bytes("GET", "/resolve?require=any", {**key, "Session-Id": ANON + "a"})
        assert wire.send(ask).response().status == 403
        path.write_text("sid_trust = any\nlog_level = debug\n")
        one_manager.drain()
        reload(server)
        wait_until(lambda: wire.send(ask).response().status == 204, "the front's new settings")
        assert server.login(ANON + "b", "nobody", headers=key).status == 401  # the writer's, too
        path.write_text("sid_trust = key\n")
        reload(server, 2)
        wait_until(lambda: wire.send(ask).response().status == 403, "the old settings")
    assert server.children() == pids or set(pids) <= set(server.children())
    lines = one_manager.drain()
    assert lines.count("RELOADING=1") == 2 and lines[-1] == "READY=1"
    stamps = [int(line.split("=")[1]) for line in lines if line.startswith("MONOTONIC_USEC=")]
    assert len(stamps) == 2 and stamps == sorted(stamps)
    assert 0 <= time.monotonic() - stamps[-1] / 1e6 < 60


def test_reload_says_what_waits(store, tmp_path):
    path, server = configured(store, tmp_path, "max_body = 8K\n")
    path.write_text("max_body = 16K\nuser = shop\nidle_timeout = 7s\n")
    reload(server)
    waits = re.findall(r"event=setting_waits setting=(\S+) why=", server.log())
    assert sorted(waits) == ["max_body", "user"]
    reload(server, 2)
    assert server.log().count("event=setting_waits") == 4  # it still waits
    assert server.request("POST", "/api/login/", body={"x": "y" * 10000}).status == 413


@pytest.mark.parametrize("text, word", [
    ("sid_trust = everybody\n", "is none of"), ("nonsense\n", "is no line of the form"),
    ("no_such = 1\n", "is no setting"), ("session_ttl = 80d\nsession_max = 1d\n", "longer"),
    (None, "cannot read")])
def test_refused_reload_changes_nothing(store, tmp_path, text, word):
    """The whole of it is refused, with the line that a start would end with."""
    path, server = configured(store, tmp_path, "sid_trust = any\n")
    path.unlink() if text is None else path.write_text("overload_status = 500\n" + text)
    reload(server)
    assert re.search(f"event=reload_refused why=.*{word}", server.log())
    assert server.resolve({"Session-Id": ANON + "a"}).status == 204


def test_front_after_a_reload(store, tmp_path):
    """A front that is started later begins with the new settings."""
    path, server = configured(store, tmp_path, "sid_trust = key\n")
    server.allow = re.compile(server.allow.pattern + "|event=ended")
    path.write_text("sid_trust = any\n")
    reload(server)
    for kind in ("front", "writer"):
        victim = server.child(kind)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: server.child(kind) not in ([], [victim]), "another comes")
    wait_until(lambda: answer(server, ANON + "a") == 204, "the new front")


def answer(server, sid):
    with contextlib.suppress(Closed, OSError):
        return server.resolve({"Session-Id": sid}).status
    return None


# --- Upgrade (D07). -------------------------------------------------------------------------------

def installed(tmp_path, number=0, binary=BIN):
    """A copy of the binary where an operator would replace it: by rename, at once."""
    path = tmp_path / "bin" / "sidecart"
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    shutil.copy(binary, fresh)
    with open(fresh, "ab") as file:
        file.write(b"\0" * number)
    fresh.rename(path)
    return path


class Load:
    """Threads that ask and write until told to stop; nothing may be refused, fail or be lost."""

    def __init__(self, server):
        self.server, self.failures, self.written, self.asked = server, [], {}, 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(job, n))
                        for n, job in enumerate((self.connect, self.keep_alive, self.write,
                                                 self.write))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(WAIT_S)

    def run(self, job, number):
        try:
            job(number)
        except Exception as error:  # whatever it is, it is the test's finding
            self.failures.append((job.__name__, repr(error)))

    def ask(self, wire, request, status):
        r = wire.send(request).response()
        self.asked += 1
        assert r.status == status, r
        return r

    def connect(self, _):
        while not self.over.is_set():
            with self.server.wire() as wire:
                self.ask(wire, request_bytes("GET", "/resolve?require=any"), 204)

    def keep_alive(self, _):
        """Goes on until the server says that it will close, as HTTP/1.1 has it."""
        while not self.over.is_set():
            with self.server.wire() as wire:
                while not self.over.is_set():
                    r = self.ask(wire, request_bytes("GET", "/resolve?require=any"), 204)
                    if r.get("Connection") == "close":
                        break

    def write(self, number):
        """Logs customers in; what was answered with 200 is in the ledger."""
        for i in itertools.count():
            if self.over.is_set():
                return
            sid = f"w{number}x{i}"
            with self.server.wire() as wire:
                self.ask(wire, request_bytes(
                    "POST", "/api/login/", {"Session-Id": ANON + sid},
                    {"username": "ada", "password": "ada"}), 200)
            self.written[sid] = True


def test_ten_upgrades_under_load(store, tmp_path):
    """D07: the binary is replaced ten times: no refused connection, no failed request, no lost
    write; each generation is the file of its time, and the one before ends."""
    store.customer("ada")
    binary = installed(tmp_path)
    server = store.serve(binary=binary, workers=2, max_sessions_per_customer=0, **OPEN)
    pids = [server.pid]
    with Load(server) as load:
        for number in range(1, 11):
            installed(tmp_path, number)
            server.upgrade()
            pids.append(server.pid)
            assert os.stat(f"/proc/{server.pid}/exe").st_size == binary.stat().st_size
            asked, written = load.asked + 20, len(load.written) + 2
            wait_until(lambda: load.asked > asked and len(load.written) > written or load.failures,
                       "the load goes on")
    assert load.failures == []
    assert len(load.written) > 20
    for sid in load.written:
        assert server.resolve({"Session-Id": sid_of(sid)}, require="customer").status == 204, sid
    wait_until(lambda: not any(alive(pid) for pid in pids[:-1]), "earlier generations end")
    assert server.log().count("event=stopped status=0") == 10
    store.run("check")


def sid_of(identifier):
    return f"SID:AUTH:127.0.0.1:{identifier}"


def test_upgrade_leaves_idle_connections_time(store, tmp_path, clock):
    """Who sends on an idle connection while the old generation drains is answered, once."""
    server = store.serve(binary=installed(tmp_path, 0, store.binary), **OPEN)
    idle, fresh = server.wire(), server.wire()
    assert idle.send(request_bytes("GET", "/healthz")).response().status == 200
    server.upgrade()
    for wire in (idle, fresh):
        r = wire.send(request_bytes("GET", "/healthz")).response()
        assert r.status == 200 and r.get("Connection") == "close"
        assert wire.ended()


def test_upgrade_takes_new_settings(store, tmp_path):
    """What waited for a restart is there after an upgrade; sockets that the settings no longer
    name are closed, new ones opened."""
    path = tmp_path / "sidecart.conf"
    unix = tmp_path / "shop.sock"
    path.write_text("workers = 1\nmax_body = 8K\n")
    server = store.serve(binary=installed(tmp_path), config=str(path),
                         listen=f"127.0.0.1:0,unix:{unix}")
    path.write_text("workers = 2\nmax_body = 16K\n")
    server.upgrade()
    assert len(server.child("front")) == 2
    assert server.request("POST", "/api/login/", body={"x": "y" * 10000}).status != 413
    assert server.get("/healthz", port=str(unix)).status == 200
    assert server.get("/healthz", port=server.ops_port).status == 200
    server.stop()
    assert not unix.exists()


def test_upgrade_keeps_given_sockets(store, tmp_path, one_manager, clock):
    """Under a service manager it hears MAINPID, and the watchdog is fed by the next one."""
    one_manager.environment(store, WATCHDOG_S)
    given = tcp()
    sockets = Sockets(given, names="web")
    server = store.serve(binary=installed(tmp_path, 0, store.binary), **sockets.options)
    server.upgrade()
    assert f"MAINPID={server.pid}" in one_manager.expect(f"MAINPID={server.pid}")
    wait_until(lambda: server.process.poll() is not None, "the first generation ends")
    assert watchdogs(one_manager, server, clock, WATCHDOG_S) >= 2
    assert server.get("/healthz", port=given.getsockname()[1]).status == 200
    assert server.log().count("from=systemd") == 2
    assert one_manager.drain().count("READY=1") == 0
    server.stop()
    assert "STOPPING=1" in one_manager.drain()


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 3\n", "no program", None])
def test_failed_upgrade_changes_nothing(store, tmp_path, program):
    """The next generation does not come up: this one goes on, and can be told again."""
    binary = installed(tmp_path)
    server = store.serve(binary=binary, allow="event=(upgrade|exec)_failed")
    binary.unlink()
    if program is not None:
        binary.write_text(program)
        binary.chmod(0o755)
    os.kill(server.pid, signal.SIGUSR2)
    wait_until(lambda: "event=upgrade_failed" in server.log(), "the failure is told")
    assert server.get("/healthz").status == 200
    installed(tmp_path)
    server.upgrade()
    assert server.get("/healthz").status == 200


def test_upgrade_to_bad_settings(store, tmp_path):
    path = tmp_path / "sidecart.conf"
    unix = tmp_path / "shop.sock"
    path.write_text("workers = 1\n")
    server = store.serve(binary=installed(tmp_path), config=str(path), listen=f"unix:{unix}",
                         allow="event=upgrade_failed|^sidecart: ")
    path.write_text("workers = none\n")
    os.kill(server.pid, signal.SIGUSR2)
    wait_until(lambda: "event=upgrade_failed" in server.log(), "the failure is told")
    assert server.get("/healthz", port=str(unix)).status == 200
    assert "is no number" in server.log()


def test_stop_during_an_upgrade(store, tmp_path):
    """SIGTERM to the generation that still serves ends both."""
    binary = installed(tmp_path)
    server = store.serve(binary=binary)
    binary.unlink()
    binary.write_text("#!/bin/sh\nexec sleep 1000\n")
    binary.chmod(0o755)
    os.kill(server.pid, signal.SIGUSR2)
    sleeper = int(wait_until(lambda: re.findall(r"event=upgrading pid=(\d+)", server.log()),
                             "the upgrade begins")[0])
    os.kill(server.pid, signal.SIGUSR2)
    server.allow = re.compile(server.allow.pattern + "|event=upgrade_refused")
    wait_until(lambda: "event=upgrade_refused" in server.log(), "one at a time")
    server.stop()
    wait_until(lambda: not alive(sleeper), "the one that never served ends")


# --- Back and forth between versions. -------------------------------------------------------------

NEXT = ROOT / "build" / "next"


@pytest.mark.skipif(not NEXT.exists() or conftest.SANITIZED, reason="make build/next was not run")
def test_rollback(store, tmp_path):
    """Version N, N+1, N on one store, without a stop: N+1 writes a field more into each record,
    N reads past it, and what each has written the other serves."""
    store.customer("ada")
    store.customer("bob")
    key = store.key("shop", "trusted,login")
    binary = installed(tmp_path)

    def place(version):
        fresh = binary.with_suffix(".new")
        shutil.copy(version, fresh)
        fresh.rename(binary)

    def records():
        """How many records carry the next version's field."""
        with lmdb.open(str(store.path), readonly=True, lock=False) as env, env.begin() as txn:
            return sum(value.endswith(b"next") for _, value in txn.cursor())

    def lives(*sids):
        headers = {"X-Api-Key": key}
        return [server.resolve({**headers, "Session-Id": sid_of(sid)}, require="customer").status
                for sid in sids]

    server = store.serve(binary=binary, login_throttle="off", login_throttle_address="off")
    assert server.login(ANON + "n", "ada", headers={"X-Api-Key": key}).status == 200
    assert records() == 0
    place(NEXT)
    server.upgrade()
    assert lives("n") == [204]
    assert server.login(ANON + "next", "ada", headers={"X-Api-Key": key}).status == 200
    assert server.login(ANON + "other", "bob", headers={"X-Api-Key": key}).status == 200
    written = records()
    assert written >= 2
    place(BIN)
    server.upgrade()
    assert lives("n", "next", "other") == [204, 204, 204]
    assert server.request("DELETE", "/api/login/", {
        "X-Api-Key": key, "Session-Id": sid_of("next")}).status in (200, 204)
    assert server.login(ANON + "back", "bob", headers={"X-Api-Key": key}).status == 200
    assert lives("n", "next", "other", "back") == [204, 401, 204, 204]
    store.run("check")  # by the older version: a field more is no fault
    assert records() == written - 1
    place(NEXT)
    server.upgrade()
    assert lives("n", "other", "back") == [204, 204, 204]
