"""Backup, restore, and the check of a backup: what comes back, and what a restore ends."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from conftest import BIN, SANITIZED, SECRET, Store, WAIT_S, request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"


def keep(wire, key, name, value):
    """Keeps a number with an anonymous session; the status of the answer."""
    wire.send(request_bytes("PATCH", "/session/data",
                            {"X-Api-Key": key, "Session-Id": ANON + name,
                             "Content-Type": "application/merge-patch+json"},
                            json.dumps({"n": value}).encode()))
    return wire.response().status


class Load:
    """Clients that write one number after the other, each to a session of its own, and a ledger:
    when each write was sent, and when it was acknowledged."""

    def __init__(self, server, key, clients):
        self.ledger = {f"client{i}": [] for i in range(clients)}
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(server, key, name))
                        for name in self.ledger]
        for thread in self.threads:
            thread.start()

    def write(self, server, key, name):
        with server.wire() as wire:
            for n in itertools.count(1):
                sent = time.monotonic()
                assert keep(wire, key, name, n) == 200
                self.ledger[name].append((n, sent, time.monotonic()))
                if self.over.is_set():
                    return

    def written(self):
        return sum(len(writes) for writes in self.ledger.values())

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def kept(server, key, name):
    r = server.get("/session/data", {"X-Api-Key": key, "Session-Id": ANON + name})
    return r.json.get("n", 0) if r.status == 200 else 0


def test_d06_backup_under_load(store, tmp_path):
    """What is restored is the state after some commit: of two writes of which the second was sent
    when the first was acknowledged, never the second alone."""
    key = store.key("app")
    server = store.serve()
    load = Load(server, key, clients=6)
    wait_until(lambda: load.written() > 200, "some writes")
    backups = []
    for i in range(3):
        began = time.monotonic()
        store.run("backup", tmp_path / f"b{i}")
        backups.append((tmp_path / f"b{i}", began, time.monotonic()))
        before = load.written()
        wait_until(lambda: load.written() > before + 50, "more writes")
    load.stop()
    server.stop()
    for path, began, ended in backups:
        store.run("check", path)
        fresh = Store(path.parent / f"{path.name}.d", secret=None)
        fresh.run("restore", path)
        fresh.run("check")
        server = fresh.serve()
        found = {name: kept(server, key, name) for name in load.ledger}
        server.stop()
        # All that was acknowledged before, nothing that was sent after.
        latest_sent = 0.0
        for name, writes in load.ledger.items():
            assert found[name] >= max([n for n, _, acked in writes if acked <= began], default=0)
            assert found[name] <= max(n for n, sent, _ in writes if sent <= ended)
            latest_sent = max([latest_sent] + [sent for n, sent, _ in writes if n <= found[name]])
        # A prefix: whatever was acknowledged before the last of its writes was sent is there.
        for name, writes in load.ledger.items():
            assert found[name] >= max([n for n, _, acked in writes if acked < latest_sent],
                                      default=0), (name, found)


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def stopped(parent):
    """The process among the descendants of `parent` that stays stopped."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(parent) not in ancestors(entry):
                continue
            for _ in range(10):
                if state_of(entry.name) not in "tT":
                    break
                time.sleep(0.01)
            else:
                return int(entry.name)
    return None


def ancestors(entry):
    pid, found = entry.name, []
    while pid not in ("0", "1"):
        pid = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        found.append(pid)
    return found


@pytest.mark.skipif(SANITIZED or not shutil.which("strace"), reason="strace stops it")
def test_a_backup_holds_up_nobody(store, tmp_path):
    """While one stands still, with its snapshot in hand, writes are answered; none is in it."""
    key, path = store.key("app"), tmp_path / "b"
    server = store.serve()
    with server.wire() as wire:
        assert keep(wire, key, "a", 1) == 200
        process = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", "-e", "inject=write:signal=STOP:when=1",
             BIN, "backup", path, f"--data={store.path}"],
            env=store.environment, stderr=subprocess.DEVNULL)
        pid = wait_until(lambda: stopped(process.pid), "a backup that stands still")
        for i in range(2, 20):
            assert keep(wire, key, "a", i) == 200
        assert (tmp_path / "b.part").exists() and not path.exists()
        os.kill(pid, signal.SIGCONT)
    # A second stop may come with the line that it says.
    wait_until(lambda: process.poll() is not None or
               (stopped(process.pid) and os.kill(stopped(process.pid), signal.SIGCONT)), "its end")
    server.stop()
    assert path.exists()
    store.run("restore", path)
    assert kept(store.serve(), key, "a") == 1


@pytest.mark.skipif(SANITIZED or not shutil.which("strace"), reason="strace follows it")
def test_a_backup_goes_to_disk_by_pieces(store, tmp_path):
    """L08: with all of it left to the end's fsync(2), commits of the server waited behind that."""
    store.run("product", "import", "-", stdin="".join(
        json.dumps({"id": str(i), "name": "x" * 250, "price": "1", "currency": "EUR"}) + "\n"
        for i in range(20000)))
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-y", "-o", trace, "-e", "trace=write,pwrite64,sync_file_range",
                    BIN, "backup", tmp_path / "b", f"--data={store.path}"],
                   env=store.environment, stderr=subprocess.DEVNULL, check=True)
    waits, most, pieces = 0, 0, 0
    for call, length in re.findall(r"\b(\w+)\(\d+<[^>]*/b\.part>.* = (\d+)$", trace.read_text(), re.M):
        waits = 0 if call == "sync_file_range" else waits + int(length)
        pieces += call == "sync_file_range"
        most = max(most, waits)
    assert pieces >= 3 and most <= 2 * 1024 * 1024 + 4096, (pieces, most)


@pytest.mark.skipif(SANITIZED or not shutil.which("strace"), reason="strace fails the call")
def test_a_backup_that_a_disk_refuses(store, tmp_path):
    """Who waits for the disk is told of its failure, and the fsync(2) behind it is not told again."""
    store.run("key", "add", "web")
    wanted = tmp_path / "b"
    for call in ("sync_file_range", "fsync"):
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                               "-e", f"inject={call}:error=EIO", BIN, "backup", wanted,
                               f"--data={store.path}"],
                              env=store.environment, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode != 0 and "Input/output error" in done.stderr, call
        assert not wanted.exists() and not wanted.with_name("b.part").exists(), call


@pytest.fixture
def shop(store):
    """A store with a customer, two keys and one that is revoked, and a key of tokens."""
    store.customer("ada")
    store.keys = {name: store.key(name, "trusted,login") for name in ("app", "old", "gone")}
    store.run("key", "revoke", "gone")
    store.run("key", "disable", "old")
    store.run("token", "rotate", "--alg", "ES256")
    return store


def test_what_is_in_it(shop, tmp_path):
    path = tmp_path / "backup"
    assert shop.run("backup", path) == ""
    assert "secret" in shop.errors and "0600" in shop.errors
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET in path.read_bytes()
    for key in shop.keys.values():
        assert key.encode() not in path.read_bytes()
    # Beside what is there already, and in the place of another backup, but of nothing else.
    shop.run("backup", path)
    other = tmp_path / "other"
    other.write_text("a letter\n")
    shop.run("backup", other, code=111)
    assert other.read_text() == "a letter\n" and "not replaced" in shop.errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "other", "store"]
    shop.run("backup", code=100)
    shop.run("check", path, "--upgrade", code=100)


def logged_in(server, key):
    r = server.request("POST", "/session/login", {"X-Api-Key": key, "Session-Id": ANON + "v"},
                       {"login": "ada"})
    assert r.status == 200
    cookie = server.request("POST", "/session/login", {"X-Api-Key": key}, {"login": "ada"})
    return cookie.cookies["sidecart_session"][0]


def lives(server, key, cookie):
    by_header = server.resolve({"X-Api-Key": key, "Session-Id": AUTH + "v"}).status
    by_cookie = server.resolve({"Cookie": f"sidecart_session={cookie}"}, "customer").status
    assert by_header == by_cookie
    return by_header == 204


@pytest.mark.parametrize("options", [[], ["--keep-sessions"]])
def test_restore(shop, tmp_path, options):
    """Into the same place: what came since is gone, and customers are logged out or not."""
    key, path = shop.keys["app"], tmp_path / "backup"
    server = shop.serve()
    cookie = logged_in(server, key)
    with server.wire() as wire:
        assert keep(wire, key, "guest", 7) == 200
    assert lives(server, key, cookie)
    shop.run("backup", path)
    shop.run("restore", path, *options, code=1)
    assert "stop it first" in shop.errors
    shop.customer("bob")
    shop.run("customer", "set-password", "ada", "--password-stdin", stdin="new\n")
    assert not lives(server, key, cookie)
    shop.run("key", "revoke", "app")
    server.stop()

    rows = [json.loads(line) for line in shop.run("restore", path, "--json", *options).splitlines()]
    assert [(r["kind"], r["name"]) for r in rows if r["kind"] == "API key"] == [("API key", "app")]
    assert len([r for r in rows if r["kind"] == "token key"]) == 1
    assert shop.run("check") and not (shop.path / "restore.new").exists()
    assert not (shop.path / "restoring").exists()
    assert [c["login"] for c in shop.records("customer", "list")] == ["ada"]
    server = shop.serve()
    assert lives(server, key, cookie) == bool(options)
    assert kept(server, key, "guest") == 7
    assert server.login(ANON + "w", "ada", "ada", {"X-Api-Key": key}).status == 200
    # Numbers that were given since are not given again.
    assert shop.customer("eve") > 1000


@pytest.mark.parametrize("before", (0, 1))
def test_a_cookie_of_another_restore(shop, tmp_path, before):
    """A basket cookie that was given out after one restore opens nobody's basket after the next one
    of the same backup, be there a basket in it or none."""
    path = tmp_path / "backup"

    def visit(cookie=""):
        server = shop.serve()
        r = server.get("/api/basket/", {"Cookie": cookie} if cookie else {})
        other = server.get("/api/basket/")
        server.stop()
        return r, other.json["id"]
    for _ in range(before):
        visit()
    shop.run("backup", path)
    shop.run("restore", path)
    first, _ = visit()
    assert first.json["id"] > 1000000
    shop.run("restore", path)
    _, other = visit()
    again, _ = visit(first.get("Set-Cookie").partition(";")[0])
    assert first.json["id"] != other and again.json["id"] not in (first.json["id"], other)


def test_an_etag_of_before(shop, tmp_path):
    """A basket that was restored comes to the version that it had before, with something else in it:
    an ETag of before does not name it."""
    path = tmp_path / "backup"
    product = {"id": "1", "name": "Mug", "currency": "EUR", "price": "10.00"}
    shop.run("product", "import", "-", stdin=json.dumps(product))

    def add(quantity, **more):
        server = shop.serve()
        r = server.request("POST", "/api/basket/add-product/",
                           {"X-Api-Key": shop.keys["app"], "Session-Id": ANON + "g", **more},
                           {"url": "/api/products/1/", "quantity": quantity})
        server.stop()
        return r
    assert add(1).status == 200
    shop.run("backup", path)
    tags = []
    for quantity in (2, 3, 4):
        tags.append(add(quantity).get("ETag"))
        shop.run("restore", path)
    assert len(set(tags)) == 3
    assert add(5).status == 200
    assert [add(1, **{"If-Match": tag}).status for tag in tags] == [412] * 3


def test_restore_to_another_machine(shop, tmp_path):
    """The secrets come along: sessions keep their keys, passwords their seals."""
    path = tmp_path / "backup"
    shop.run("backup", path)
    other = Store(tmp_path / "other", secret=b"another secret altogether")
    other.run("restore", path)
    assert "sid.secret is that of the backup" in other.errors
    assert (other.path / "sid.secret").read_bytes() == SECRET
    other.run("check")
    assert {p.name for p in other.path.iterdir()} == {"data.mdb", "lock.mdb", "seal.key",
                                                      "sid.secret", "use"}
    assert {stat.S_IMODE(p.stat().st_mode) for p in other.path.iterdir()} == {0o600}
    server = other.serve()
    assert server.login(ANON + "a", "ada", "ada", {"X-Api-Key": shop.keys["app"]}).status == 200
    other.close()
    # A directory that is not there is made, as at the first start.
    new = tmp_path / "new" / "data"
    new.parent.mkdir()
    done = subprocess.run([BIN, "restore", path, f"--data={new}"], env=shop.environment,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and stat.S_IMODE(new.stat().st_mode) == 0o700


def test_what_is_refused_changes_nothing(shop, tmp_path):
    path = tmp_path / "backup"
    shop.run("backup", path)
    shop.customer("bob")
    before = {p.name: p.read_bytes() for p in shop.path.iterdir() if p.name != "lock.mdb"}
    whole = path.read_bytes()
    for bad, words in ((whole[:-1], "length"), (whole[:50], "no backup"), (b"", "no backup"),
                       (whole[:-1] + b"?", "checksum"), (b"?" + whole[1:], "no backup"),
                       (whole[:8] + b"\2" + whole[9:], "newer version")):
        path.write_bytes(bad)
        for command in (["restore", path], ["check", path]):
            shop.run(*command, code=1)
            assert words in shop.errors
    path.write_bytes(whole)
    # No room: the old store stays, and nothing is left of the new one.
    shop.run("restore", path, "--map-size=1M", code=100)
    shop.run("restore", tmp_path / "nowhere", code=1)
    assert {p.name: p.read_bytes() for p in shop.path.iterdir()
            if p.name != "lock.mdb"} == before
    assert len(shop.records("customer", "list")) == 2


def test_an_interrupted_restore(shop, tmp_path):
    """Killed before it moves anything: the store is as it was. While it moves: nobody gets at the
    store until it was restored again."""
    path = tmp_path / "backup"
    shop.run("backup", path)
    shop.customer("bob")
    leftover = shop.path / "restore.new"
    leftover.mkdir()
    (leftover / "data.mdb").write_bytes(b"half")
    assert len(shop.records("customer", "list")) == 2
    (shop.path / "restoring").touch()
    for command in (["customer", "list"], ["backup", tmp_path / "b"], ["key", "add", "x"],
                    ["serve", "--listen=127.0.0.1:0", "--ops-listen="]):
        shop.run(*command, code=111)
        assert "run it again" in shop.errors
    shop.run("restore", path)
    assert len(shop.records("customer", "list")) == 1
    assert not leftover.exists() and not (shop.path / "restoring").exists()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("strace"),
                    reason="strace decides when it is killed")
@pytest.mark.parametrize("call", ["rename", "fsync", "unlink", "fdatasync"])
def test_killed_at_every_step(shop, tmp_path, call):
    """At each call of a kind: afterwards there is the old store, the new one, or a refusal that
    the next restore ends."""
    path = tmp_path / "backup"
    shop.run("backup", path)
    shop.customer("bob")
    for when in range(1, 12):
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={when}",
             BIN, "restore", path, f"--data={shop.path}"], env=shop.environment,
            capture_output=True, timeout=WAIT_S * 3, check=False)
        refused = (shop.path / "restoring").exists()
        shop.run("check", code=111 if refused else 0)
        if not refused:
            assert len(shop.records("customer", "list")) in (1, 2)
        if done.returncode == 0:
            break
    assert done.returncode == 0 and when > 1
    shop.run("check")
    assert [c["login"] for c in shop.records("customer", "list")] == ["ada"]


def test_a_backup_of_what_is_damaged(shop, tmp_path):
    """A file that is cut ends the backup, not with half a one."""
    with open(shop.path / "data.mdb", "r+b") as data:
        data.truncate(8192)
    shop.run("backup", tmp_path / "b", code=111)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]
