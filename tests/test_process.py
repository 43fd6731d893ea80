"""Processes: deaths, drains, restarts, memory (DESIGN sections 2 to 4; L07, L08, S16, D01, D02)."""

import concurrent.futures
import contextlib
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import (BIN, ROOT, SANITIZED, WAIT_S, Closed, Store, Wire, request_bytes,
                      wait_until)

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
OPEN = {"sid_trust": "any", "login_throttle": "off", "login_throttle_address": "off"}
BACK_S = 5  # a child that died is back within a second; the tests wait a little longer
DEATHS = r"event=(ended|front_dropped)"


def state(pid):
    """The kernel's letter for what a process does; X where there is none."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    return "X"


def alive(pid):
    return state(pid) not in "ZX"


@contextlib.contextmanager
def held(pid):
    """The process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state(pid) == "T", "the process stops")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def slow_login(server, identifier, headers=()):
    """Sends a login whose check takes long; the wire, its answer not yet read."""
    return server.wire().send(request_bytes(
        "POST", "/api/login/", {"Session-Id": ANON + identifier, **dict(headers)},
        {"username": "ada", "password": "ada"}))


def answers(server, target="/healthz"):
    """True where the server answers; no answer at all is no error here."""
    with contextlib.suppress(Closed, OSError):
        return server.get(target).status == 200
    return False


@pytest.fixture
def slow_store(store):
    """Its customer's password takes a while to check, as in production."""
    store.run("customer", "add", "ada", "--password-stdin", "--password-iterations=600000",
              stdin="ada\n")
    return store


# --- The processes and their deaths. --------------------------------------------------------------

def test_process_table(store):
    """DESIGN section 2: fronts, one writer, and a hasher from its first need on."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2, hashers=2)
    assert (len(server.child("front")), len(server.child("writer"))) == (2, 1)
    assert server.child("hasher") == []
    assert server.login(ANON + "a", "ada").status == 200
    assert 1 <= len(server.child("hasher")) <= 2


def test_least_power(store):
    """DESIGN section 2, A07: a front maps the store read-only; every child is single-threaded,
    in seccomp and without new privileges."""
    store.customer("ada")
    server = store.serve(**OPEN)
    server.login(ANON + "a", "ada")
    front, = server.child("front")
    with open(f"/proc/{front}/maps", encoding="utf-8") as maps:
        mode = {line.split()[1] for line in maps if line.rstrip().endswith("/data.mdb")}
    assert mode and all("w" not in m for m in mode)
    for pid in server.children():
        status = open(f"/proc/{pid}/status", encoding="ascii").read()
        assert "Threads:\t1\n" in status
        if not SANITIZED:
            assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status


@pytest.mark.skipif(os.getuid() != 0, reason="only root has privileges to drop")
def test_drops_privileges():
    """Started as root it serves as `user`, or as the owner of `data`; what a command of root's
    writes stays the owner's."""
    nobody = pwd.getpwnam("nobody")
    for settings in ({"user": "nobody"}, {}):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o711)
            store = Store(pathlib.Path(folder) / "store")
            for path in (store.path, store.path / "sid.secret"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            try:
                server = store.serve(**OPEN, **settings)
                store.customer("ada")
                assert server.login(ANON + "a", "ada").status == 200
                for pid in (server.pid, *server.children()):
                    status = open(f"/proc/{pid}/status", encoding="ascii").read()
                    assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t" in status, status
                for path in store.path.iterdir():
                    assert path.stat().st_uid == nobody.pw_uid, path
            finally:
                store.close()


def test_killed_front(store):
    """kill -9 of a front: the other's connections live on, and it is back."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2, allow=DEATHS)
    assert server.login(ANON + "a", "ada").status == 200
    first, second = server.child("front")

    def answered():
        """A connection that got an answer: so it is not one of the front that stands still,
        which may have taken it all the same."""
        while True:
            wire = server.wire(timeout_s=2).send(request_bytes("GET", "/healthz"))
            try:
                wire.response()
            except TimeoutError:
                wire.socket.close()
                continue
            wire.socket.settimeout(WAIT_S)
            return wire
    wires = []
    for other in (first, second):  # each gets twenty while the other is held
        with held(other):
            wires += [answered() for _ in range(20)]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), "the front ends")

    def lives(wire):
        try:
            wire.send(request_bytes("GET", "/session", {"Session-Id": AUTH + "a"}))
            return wire.response().json["customer_login"] == "ada"
        except (Closed, ConnectionError):
            return False
    living = [lives(wire) for wire in wires]
    for wire in wires:
        wire.socket.close()
    assert living == [True] * 20 + [False] * 20
    wait_until(lambda: len(server.child("front")) == 2, "the front is back", BACK_S)
    assert second in server.child("front")
    for _ in range(20):
        assert server.get("/session", {"Session-Id": AUTH + "a"}).status == 200


def test_killed_writer(store):
    """kill -9 of the writer, idle: reads go on meanwhile, writes again soon."""
    store.customer("ada")
    server = store.serve(**OPEN, allow=DEATHS)
    assert server.login(ANON + "a", "ada").status == 200
    writer, = server.child("writer")
    with server.wire() as wire:
        os.kill(writer, signal.SIGKILL)
        wire.send(request_bytes("GET", "/session", {"Session-Id": AUTH + "a"}))
        assert wire.response().status == 200
    wait_until(lambda: server.child("writer") not in ([], [writer]), "a writer again", BACK_S)
    wait_until(lambda: server.login(ANON + "b", "ada").status == 200, "logins again", BACK_S)
    assert server.get("/session", {"Session-Id": AUTH + "a"}).status == 200
    wait_until(lambda: server.get("/readyz").status == 200, "ready again", BACK_S)


def test_writer_killed_with_requests_in_flight(slow_store):
    """Requests in flight get 503 with Retry-After, pipelined ones behind them go on."""
    server = slow_store.serve(**OPEN, allow=DEATHS)
    writer, = server.child("writer")
    wires = [slow_login(server, f"f{i}") for i in range(4)]
    for wire in wires:
        wire.send(request_bytes("GET", "/healthz"))
    wait_until(lambda: server.child("hasher"), "the hasher is at work")
    os.kill(writer, signal.SIGKILL)
    for wire in wires:
        r = wire.response()
        assert r.status == 503 and int(r.get("Retry-After")) > 0 and r.json["detail"], r
        assert wire.response().status == 200
        wire.socket.close()
    wait_until(lambda: server.login(ANON + "f", "ada").status == 200, "logins again", BACK_S * 2)


def test_nothing_acknowledged_is_lost(store):
    """D01: the writer is killed again and again under load; every 200 holds."""
    key = store.key("sso", "trusted,login")
    store.customer("ada")
    server = store.serve(workers=2, max_sessions_per_customer=0, allow=DEATHS)
    proof = {"X-Api-Key": key}
    stop, acknowledged, odd = threading.Event(), [], []

    def log_in_and_out(worker):
        for i in range(100000):
            if stop.is_set():
                return
            name = f"w{worker}n{i}"
            try:
                r = server.request("POST", "/session/login",
                                   {**proof, "Session-Id": ANON + name}, {"login": "ada"})
                if r.status == 200:
                    acknowledged.append(name)
                elif r.status != 503:
                    odd.append(r)
            except (Closed, OSError) as error:
                odd.append(error)

    def logins_go_on():
        before = len(acknowledged)
        wait_until(lambda: len(acknowledged) > before + 5 or odd, "logins are answered")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for worker in range(4):
            pool.submit(log_in_and_out, worker)
        try:
            for _ in range(4):
                logins_go_on()
                os.kill(server.child("writer")[0], signal.SIGKILL)
            logins_go_on()
        finally:
            stop.set()
    assert not odd, odd[:3]
    assert len(acknowledged) > 20
    for name in acknowledged:
        assert server.resolve({**proof, "Session-Id": AUTH + name}).status == 204, name
    store.run("check")


def test_killed_hasher(slow_store):
    """kill -9 of the hasher: the question is asked again of another, or answered 503."""
    server = slow_store.serve(**OPEN, allow=DEATHS)
    with slow_login(server, "h") as wire:
        hasher, = wait_until(lambda: server.child("hasher"), "the hasher is at work")
        os.kill(hasher, signal.SIGKILL)
        assert wire.response().status in (200, 503)
    wait_until(lambda: server.login(ANON + "h", "ada").status == 200, "logins again", BACK_S * 2)


def test_killed_supervisor(store):
    """kill -9 of the supervisor ends all; the next start finds the store sound."""
    store.customer("ada")
    server = store.serve(**OPEN, workers=2)
    assert server.login(ANON + "a", "ada").status == 200
    children = list(server.children())
    assert len(children) == 4
    server.kill()
    wait_until(lambda: not any(map(alive, children)), "every child ends", BACK_S)
    store.run("check")
    again = store.serve(**OPEN)
    assert again.resolve({"Session-Id": AUTH + "a"}).status == 204


def test_killed_writer_at_start(store):
    """A writer that dies at once, again and again, is no busy loop."""
    server = store.serve(**OPEN, allow=DEATHS)
    for _ in range(5):
        writer = wait_until(lambda: server.child("writer"), "a writer", BACK_S * 2)[0]
        os.kill(writer, signal.SIGKILL)
        wait_until(lambda w=writer: w not in server.child("writer"), "its end")
    wait_until(lambda: server.get("/readyz").status == 200, "ready again", BACK_S * 4)


# --- Waiting. -------------------------------------------------------------------------------------

def test_password_checks_delay_nobody(slow_store):
    """L08: 200 requests that came after a login are all answered before it, other writes too."""
    slow_store.customer("bob")
    for workers in (1, 2):
        server = slow_store.serve(**OPEN, workers=workers)
        assert server.login(f"{ANON}q{workers}", "bob").status == 200
        hasher, = server.child("hasher")
        with held(hasher):      # so that a check takes as long as the test does
            slow = [slow_login(server, f"s{workers}{i}") for i in range(3)]
            for i in range(200):
                assert server.resolve({"Session-Id": f"{ANON}r{i}"}).status == 204
            assert server.request("DELETE", "/api/login/").status == 200
            assert all(wire.waits() for wire in slow)
        for wire in slow:
            assert wire.response().status == 200
            wire.socket.close()
        server.stop()


def test_stopped_hasher_delays_logins_alone(store):
    """L08: whatever becomes of a password check, all else goes on."""
    store.customer("ada")
    server = store.serve(**OPEN)
    assert server.login(ANON + "a", "ada").status == 200
    hasher, = server.child("hasher")
    with held(hasher):
        wire = slow_login(server, "b")
        assert server.resolve({"Session-Id": AUTH + "a"}).status == 204
        assert server.request("DELETE", "/api/login/", {"Session-Id": AUTH + "a"}).status == 200
        wire.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.response()
    wire.socket.settimeout(WAIT_S)
    assert wire.response().status == 200
    wire.socket.close()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's own pages")
def test_a_login_touches_its_place_alone(store):
    """L08: places for logins that wait are memory that comes when it is touched, and goes again:
    with each of 512 looked at, the writer took 512 pages for a login, some 3 ms on a virtual
    machine, in which it did nothing else; with room for questions wiped that was never written, 13.
    """
    store.customer("ada")
    server = store.serve(**OPEN, max_waiting_passwords=512)
    writer, = server.child("writer")

    def faults():
        return int(pathlib.Path(f"/proc/{writer}/stat").read_text().rpartition(")")[2].split()[7])
    for i in range(30):
        if i == 10:
            before = faults()
        assert server.login(f"{ANON}{i}", "ada").status == 200
    assert (faults() - before) / 20 < 6


def test_waiting_writes_are_bounded(store):
    """Over max_waiting_writes: 503 with Retry-After at once, the rest is answered later."""
    server = store.serve(**OPEN, max_waiting_writes=4)
    writer, = server.child("writer")
    with held(writer):
        wires = [server.wire().send(request_bytes("DELETE", "/api/login/",
                                                  {"Session-Id": f"{ANON}w{i}"}))
                 for i in range(12)]
        wait_until(lambda: not all(wire.waits() for wire in wires), "the first 503")
    got = [wire.response() for wire in wires]
    for wire in wires:
        wire.socket.close()
    assert {r.status for r in got} == {200, 503}
    assert sum(r.status == 200 for r in got) >= 4
    assert all(int(r.get("Retry-After")) > 0 for r in got if r.status == 503)


def test_answers_follow_the_commit(store):
    """D01: what was answered is what a command beside the server sees at once."""
    store.customer("ada")
    server = store.serve(**OPEN)
    for i in range(10):
        assert server.login(f"{ANON}c{i}", "ada").status == 200
        assert len(store.records("session", "list")) == i + 1


def test_two_fronts_see_each_write(store):
    """DESIGN section 4: no request is judged on a snapshot older than its last byte."""
    key = {"X-Api-Key": store.key("sso", "trusted,login")}
    store.customer("ada")
    server = store.serve(workers=2)
    wires = [server.wire() for _ in range(16)]
    auth = {**key, "Session-Id": AUTH + "v"}
    for _ in range(15):
        for expected, ask in (
                (204, request_bytes("POST", "/session/login", {**key, "Session-Id": ANON + "v"},
                                    {"login": "ada"})),
                (401, request_bytes("DELETE", "/api/login/", auth))):
            assert wires[0].send(ask).response().status == 200
            for wire in wires:
                wire.send(request_bytes("GET", "/resolve", auth))
            assert [wire.response().status for wire in wires] == [expected] * 16
    for wire in wires:
        wire.socket.close()


# --- Stop and start. ------------------------------------------------------------------------------

def test_sigterm_drains(slow_store):
    """A login in flight is answered and holds; idle connections end; exit code 0."""
    server = slow_store.serve(**OPEN)
    idle = server.wire()
    idle.send(request_bytes("GET", "/healthz")).response()
    with slow_login(server, "d") as wire:
        wait_until(lambda: server.child("hasher"), "the hasher is at work")
        server.process.send_signal(signal.SIGTERM)
        assert idle.ended()
        r = wire.response()
        assert r.status == 200 and r.get("Connection") == "close" and wire.ended()
    server.stop()
    again = slow_store.serve(**OPEN)
    assert again.resolve({"Session-Id": AUTH + "d"}).status == 204


def test_sigint_stops_cleanly(store):
    """Ctrl-C reaches the whole group; the exit code is 0 all the same."""
    server = store.serve(prepare=os.setsid)
    children = list(server.children())
    os.killpg(server.pid, signal.SIGINT)
    assert server.process.wait(WAIT_S) == 0
    server.check_log()
    assert not any(map(alive, children))


def test_drain_refuses_nobody_twice(store):
    """While it drains no new connection is answered by half; afterwards the port is free."""
    server = store.serve()
    port = server.port
    server.stop()
    with pytest.raises(ConnectionError):
        Wire(port)
    again = store.serve(listen=f"127.0.0.1:{port}")
    assert again.get("/healthz").status == 200


def test_data_is_kept(store):
    """A second start keeps customers, keys, sessions and the secret."""
    ada, key = store.customer("ada"), store.key("app", "trusted")
    server = store.serve()
    assert server.login(ANON + "k", "ada", headers={"X-Api-Key": key}).status == 200
    auth = {"Session-Id": AUTH + "k", "X-Api-Key": key}
    first = server.resolve(auth)
    server.stop()
    again = store.serve().resolve(auth)
    assert again.get("X-Customer-Id") == first.get("X-Customer-Id") == str(ada)
    assert again.get("X-Session-Key") == first.get("X-Session-Key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the account")
@pytest.mark.parametrize("command", [["serve"], ["key", "add", "a"]])
def test_unknown_account(store, command):
    """A `user` that nobody is: a wrong setting, exit code 100, one line that names it."""
    store.run(*command, "--user=no_such_account", code=100)
    assert "no_such_account" in store.errors and store.errors.count("\n") == 1, store.errors
    assert not (store.path / "data.mdb").exists()


def test_port_in_use(store):
    """A listener that cannot be bound: one line that names it, exit code 111."""
    server = store.serve()
    store.run("serve", f"--listen=127.0.0.1:{server.port}", "--ops-listen=", code=111)
    lines = store.errors.splitlines()
    assert any(f"127.0.0.1:{server.port}" in line for line in lines) and len(lines) <= 2, lines


@pytest.mark.parametrize("flag,word", [
    ("--listen=nowhere", "listen"), ("--no_such_setting=1", "no_such_setting"),
    ("--session_ttl=soon", "session_ttl"), ("--register=maybe", "register"),
    ("--max_body=1T", "max_body")])
def test_bad_settings(store, flag, word):
    """One line that names the setting and what would be right, exit code 100."""
    store.run("serve", flag, code=100)
    assert word in store.errors and len(store.errors.splitlines()) == 1, store.errors


def test_settings_by_file_environment_and_flag(store):
    """interface.md: the later wins."""
    config = store.path.parent / "sidecart.conf"
    config.write_text("# limits\nmax_target = 300\noverload_status = 500\n")
    store.environment["SIDECART_MAX_TARGET"] = "400"
    server = store.serve(config=config)
    assert server.get("/session?" + "a" * 380).status == 200
    assert server.get("/session?" + "a" * 400).status == 414
    server.stop()
    server = store.serve(config=config, max_target=500)
    assert server.get("/session?" + "a" * 480).status == 200


# --- The binary, memory, disk. --------------------------------------------------------------------

@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs shared libraries")
def test_binary_is_static():
    """ldd refuses it; it is below 1.5 MB without its symbols."""
    done = subprocess.run(["ldd", BIN], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "not a dynamic executable" in done.stderr + done.stdout
    sections = subprocess.run(["size", BIN], capture_output=True, text=True, check=True).stdout
    text, data = map(int, sections.splitlines()[1].split()[:2])
    assert text + data < 1_500_000


@pytest.mark.skipif(SANITIZED, reason="a sanitizer reserves memory of its own")
def test_memory_is_bounded(store):
    """L07: under RLIMIT_DATA, with more long bodies at once than there is room for, some are
    read, the others get 503 with Retry-After, and it goes on."""
    store.customer("ada")
    limit = 128 << 20
    server = store.serve(
        **OPEN, max_connections=300,
        prepare=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    body = b'{"username":"' + b"a" * 60000 + b'","password":"ada"}'
    raw = request_bytes("POST", "/api/login/", {"Session-Id": ANON + "m", "Content-Type":
                                                "application/json"}, body)
    wires = [server.wire().send(raw[:-10]) for _ in range(250)]
    got = []
    for wire in wires:
        with contextlib.suppress(ConnectionError):
            wire.send(raw[-10:])
        got.append(wire.response())
        wire.socket.close()
    assert {r.status for r in got} == {401, 503}
    assert all(int(r.get("Retry-After")) > 0 for r in got if r.status == 503)
    assert server.login(ANON + "m", "ada").status == 200


@pytest.mark.skipif(SANITIZED, reason="filling a store takes minutes there")
@pytest.mark.skipif(SANITIZED, reason="filling it takes minutes")
def test_full_store(store):
    """D02, S16: a full map is 507 for what grows, never 401; reads, logouts and the sweep go
    on, and what they free is used again."""
    key = {"X-Api-Key": store.key("sso", "trusted,login")}
    store.customer("ada")
    server = store.serve(map_size="32M", max_sessions_per_customer=0, session_ttl="1d",
                         durability="unsafe-nosync", workers=2,
                         allow="full")
    full = threading.Event()

    def fill(worker):
        with server.wire() as wire:
            for i in range(200000):
                if full.is_set():
                    return
                wire.send(request_bytes(
                    "POST", "/session/login",
                    {**key, "Session-Id": f"{ANON}full{worker}x{i}"}, {"login": "ada"}))
                status = wire.response().status
                if status == 507:
                    full.set()
                else:
                    assert status == 200, status
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(fill, worker) for worker in range(8)]:
            done.result()
    assert full.is_set()
    auth = {**key, "Session-Id": AUTH + "full0x1"}
    assert server.resolve(auth).status == 204
    assert server.request("DELETE", "/api/login/", auth).status == 200
    assert server.resolve(auth).status == 401
    store.run("session", "revoke", "--customer", "ada")
    wait_until(lambda: server.request(
        "POST", "/session/login", {**key, "Session-Id": ANON + "after"},
        {"login": "ada"}).status == 200, "room again", 60)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of which little is left; skipped where nothing may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", place], check=False,
            stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("mounting a small file system is not permitted here: no real disk is filled")
    made = Store(place / "store")
    yield made
    try:
        made.close()
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_full_disk(small_disk):
    """D02, S16: a disk that others fill is 507 for what grows; reads and logouts go on, and once
    there is room, also after not a byte was left, writes are taken again without a restart."""
    key = {"X-Api-Key": small_disk.key("sso", "trusted,login")}
    small_disk.customer("ada")
    server = small_disk.serve(allow="full|errno=28")
    others = small_disk.path.parent / "others"

    def login(name):
        return server.request("POST", "/session/login",
                              {**key, "Session-Id": ANON + name}, {"login": "ada"}).status
    assert login("before") == login("leaves") == 200
    auth = {name: {**key, "Session-Id": AUTH + name} for name in ("before", "leaves")}
    for left in (1 << 20, 0):       # less than the reserve; nothing at all
        with open(others, "wb") as file, contextlib.suppress(OSError):
            free = os.statvfs(others.parent)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - left)
        statuses = {login(f"more{left}x{i}") for i in range(20)}
        assert 507 in statuses and statuses <= {200, 507}, statuses
        assert server.resolve(auth["before"]).status == 204
        if left:
            assert server.request("DELETE", "/session", auth["leaves"]).status == 204
        assert server.resolve(auth["leaves"]).status == 401
        others.unlink()
        wait_until(lambda: login("after") == 200, "room again")
        assert server.resolve(auth["before"]).status == 204
    assert small_disk.records("check")[0]["problems"] == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes the signal for its own")
def test_damage_while_serving(store):
    """D05: a data file that is cut while it is served ends a front with a log line, and those who
    come after it say what is wrong; nobody is answered from what is not there. With the whole file
    in its place again all is served as before."""
    key = {"X-Api-Key": store.key("sso", "trusted,login")}
    store.customer("ada")
    server = store.serve(allow=r"event=(ended|front_dropped)|restore a backup")
    for i in range(50):
        assert server.login(f"{ANON}s{i}", "ada", headers=key).status == 200
    data = store.path / "data.mdb"
    whole = data.read_bytes()
    os.truncate(data, 4096 * 2)     # its two meta pages stay
    for i in range(3):
        with contextlib.suppress(Closed, OSError), server.wire(timeout_s=1) as wire:
            wire.send(request_bytes("GET", "/resolve", {**key, "Session-Id": f"{AUTH}s{i}"}))
            assert wire.response().status == 503
    for line in (f"event=ended kind=front pid=\\d+ signal={int(signal.SIGBUS)}",
                 f"{data}: shorter than its own record of its size: restore a backup"):
        wait_until(lambda line=line: re.search(line, server.log()), line)
    data.write_bytes(whole)
    wait_until(lambda: answers(server, "/readyz"), "serves again")
    for i in range(50):
        assert server.resolve({**key, "Session-Id": f"{AUTH}s{i}"}).status == 204
    server.stop()
    assert store.records("check")[0]["problems"] == 0


def test_damaged_store(store):
    """D05: a truncated data file is refused at the start, in words, and not made anew."""
    store.customer("ada")
    data = store.path / "data.mdb"
    whole = data.read_bytes()
    cut = whole[:store.records("stat")[0]["used_bytes"] - 4096]
    for damaged in (cut, b"", b"x" * len(cut)):
        data.write_bytes(damaged)
        store.run("serve", "--listen=127.0.0.1:0", "--ops-listen=", code=111)
        assert str(store.path) in store.errors, store.errors
        assert data.read_bytes() == damaged
    data.write_bytes(whole)
    store.run("check")


# --- Commands beside the server. ------------------------------------------------------------------

def test_commands_need_a_store(tmp_path):
    """interface.md: no store at the place: one line that names it and says what to do."""
    done = subprocess.run([BIN, "customer", "list", f"--data={tmp_path}/none"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert f"{tmp_path}/none" in done.stderr and "use --data DIR or SIDECART_DATA" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_sid_command(store):
    """Prints what a header means under the set grammar."""
    store.customer("ada")
    header = "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d-1f:2a"
    for grammar, key in (("strict", "5c9e68dea22e3550457fb70d827331fb9dbabfa7"),
                         ("oscarapi", None)):
        out = store.run("sid", header, f"--sid-grammar={grammar}")
        assert "www.example.com" in out and (key is None or key in out)
    store.run("sid", "garbage", code=1)


def test_version_and_help(store):
    """--version names version, commit and libraries; --help explains each command."""
    version = (ROOT / "VERSION").read_text().strip()
    done = subprocess.run([BIN, "--version"], capture_output=True, text=True, check=True)
    for part in (version, "LMDB", "BearSSL", "ansson"):
        assert part in done.stdout, done.stdout
    done = subprocess.run([BIN, "--help"], capture_output=True, text=True, check=True)
    for command in ("serve", "key", "customer", "session", "sid", "check", "stat"):
        assert command in done.stdout
        shown = subprocess.run([BIN, command, "--help"], capture_output=True, text=True,
                               check=True)
        assert "sidecart" in shown.stdout
    done = subprocess.run([BIN, "serve", "--help"], capture_output=True, text=True, check=True)
    for setting in ("sid_trust", "session_ttl", "trusted_proxies", "max_waiting_passwords"):
        assert setting in done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["dance"], ["key"], ["key", "add"], ["customer", "add", "ada"], ["session", "revoke"],
    ["key", "add", "a", "b"], ["customer", "show"], ["serve", "now"], ["stat", "--wrong"]])
def test_called_wrongly(arguments):
    """Exit code 100 and words on standard error alone."""
    done = subprocess.run([BIN, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 100 and done.stdout == "" and done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or SANITIZED, reason="reads the memory of processes")
def test_what_a_core_dump_would_hold(tmp_path):
    """S11: neither secret, password, key nor cookie, of any process."""
    secret, password = "a-secret-of-this-very-test-0123456789", "a-password-of-this-very-test"
    store = Store(tmp_path / "store", secret.encode())
    key = store.key("app", "trusted")
    store.customer("ada", password)
    server = store.serve(workers=2)
    with contextlib.closing(store), server.wire() as wire:
        r = server.login(ANON + "a", "ada", password, {"X-Api-Key": key})
        assert r.status == 200
        browser = server.request("POST", "/api/login/", (), {"username": "ada",
                                                             "password": password})
        cookie = browser.cookies["sidecart_session"][0]
        seal_key = (store.path / "seal.key").read_text()[:32]
        # One whose request is still there when the processes are looked at.
        wire.send(f"POST /api/login/ HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n"
                  f"Cookie: sidecart_session={cookie}\r\n")
        server.resolve({"X-Api-Key": key, "Session-Id": AUTH + "a"})
        secrets = {"secret": secret, "password": password, "API key": key, "cookie": cookie}
        secrets = {name: text.encode() for name, text in secrets.items()}
        secrets["seal key"] = bytes.fromhex(seal_key)
        dumped, hidden = set(), set()
        for pid, kind in server.children().items():
            for shown, memory in writable_memory(pid):
                found = {(name, kind) for name, text in secrets.items() if text in memory}
                (dumped if shown else hidden).update(found)
        assert dumped == set()
        assert {name for name, _ in hidden} == set(secrets), "the test looks at the right places"


def writable_memory(pid):
    """Of each private writable mapping: would a core dump show it, and its bytes."""
    mappings = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )",
                        pathlib.Path(f"/proc/{pid}/smaps").read_text())
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for mapping in mappings[1:]:
            first, last, mode = re.match(r"(\w+)-(\w+) (\S+)", mapping).groups()
            if mode[1] != "w" or mode[3] != "p" or "Rss:                   0 kB" in mapping:
                continue
            memory.seek(int(first, 16))
            flags = re.search(r"VmFlags: (.*)", mapping).group(1).split()
            yield "dd" not in flags, memory.read(int(last, 16) - int(first, 16))


@pytest.mark.skipif(os.geteuid() != 0 or SANITIZED or not shutil.which("strace"),
                    reason="looks at the calls of a process")
def test_a_read_makes_three_calls(store, tmp_path):
    """The wait, the read, the write: no more than a server that does nothing else. Besides, there
    is a sweep four times a second, which gives memory back at the end of a turn."""
    key = {"X-Api-Key": store.key("app", "trusted")}
    store.customer("ada")
    server = store.serve()
    assert server.login(ANON + "a", "ada", headers=key).status == 200
    front, = server.child("front")
    trace, asked = tmp_path / "trace", 200
    trace.touch()
    with server.wire() as wire:
        def ask(path="/resolve"):
            wire.send(request_bytes("GET", path, {**key, "Session-Id": AUTH + "a"}))
            assert wire.response().get("X-Customer-Login") == "ada"
        for _ in range(20):
            ask()
        start = time.monotonic()
        strace = subprocess.Popen(["strace", "-qq", "-o", trace, "-p", str(front)])
        wait_until(lambda: ask("/resolve?look") or "?look" in trace.read_text(), "strace looks on")
        for number in range(asked):
            ask()
            if number == asked // 2:
                time.sleep(0.3)     # for a sweep
        strace.terminate()
        strace.wait(WAIT_S)
        sweeps_max = (time.monotonic() - start) / 0.25 + 2
    turns = [" ".join(re.findall(r"(?m)^(\w+)\(", turn))
             for turn in re.split(r"(?m)^epoll_wait\(", trace.read_text())]
    assert {turn for turn in turns if not re.fullmatch("(read write)?( ?madvise)*", turn)} == set()
    assert trace.read_text().count('"GET /resolve HTTP') == asked
    assert len(turns) - 1 <= 2 * sum("read" in turn for turn in turns)
    assert 1 <= sum("madvise" in turn for turn in turns) <= sweeps_max
