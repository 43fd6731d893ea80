"""The smallest machine (docs/operations.md): 64 MiB of memory in all, one core, a store that is
larger than both (L07).

A memory cgroup holds every process of the server and what it reads of the store to that; where
none can be made -- it takes root, and a group that may have children -- those tests are skipped.
RLIMIT_DATA holds each process to that by itself, everywhere.
"""

import contextlib
import json
import os
import pathlib
import re
import resource

import pytest

import conftest
from conftest import ROOT, Wire, request_bytes, wait_until
from test_short import short_run

LIMIT = 64 << 20
GROUPS = pathlib.Path("/sys/fs/cgroup")
PRODUCTS = 70_000

pytestmark = pytest.mark.skipif(conftest.SANITIZED, reason="a sanitizer needs terabytes of addresses")


def small_settings():
    """The lines that docs/operations.md gives for it."""
    text = (ROOT / "docs" / "operations.md").read_text()
    block = re.search(r"## The smallest machine.*?```\n(.*?)```", text, re.S)[1]
    return dict(line.split(" = ") for line in block.splitlines())


class Group:
    """A memory cgroup of its own, of version 1 or 2."""

    def __init__(self, limit):
        root = GROUPS / "memory" if (GROUPS / "memory" / "cgroup.procs").exists() else GROUPS
        self.old = root != GROUPS
        self.path = root / f"sidecart-test-{os.getpid()}"
        try:
            self.path.mkdir()
            self.write("memory.limit_in_bytes" if self.old else "memory.max", limit)
        except OSError as error:
            with contextlib.suppress(OSError):
                self.path.rmdir()
            pytest.skip(f"no memory cgroup can be made here: {error}")
        if not self.old:  # what is limited is memory, not memory and swap
            with contextlib.suppress(OSError):
                self.write("memory.swap.max", 0)

    def write(self, name, value):
        (self.path / name).write_text(str(value))

    def enter(self):
        """In the child: this group, and one core of those that there are."""
        self.write("cgroup.procs", os.getpid())
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def killed(self):
        """Processes that died for want of memory."""
        name = "memory.oom_control" if self.old else "memory.events"
        return int(re.search(r"^oom_kill (\d+)$", (self.path / name).read_text(), re.M)[1])

    def most(self):
        """Bytes that were had at most."""
        name = "memory.max_usage_in_bytes" if self.old else "memory.peak"
        return int((self.path / name).read_text())

    def held_back(self):
        """How often the limit was met, and pages of the store had to go for others."""
        if self.old:
            return int((self.path / "memory.failcnt").read_text())
        return int(re.search(r"^max (\d+)$", (self.path / "memory.events").read_text(), re.M)[1])


@pytest.fixture(scope="module")
def large_store(module_store):
    """A price book of more than LIMIT, none of it in the page cache."""
    book = "".join(json.dumps({"id": str(n), "name": f"{n} " + "x" * 240, "price": "1.00",
                               "currency": "EUR", "options": ["y" * 250] * 4}) + "\n"
                   for n in range(PRODUCTS))
    module_store.run("product", "import", "-", "--map-size=256M", stdin=book)
    assert (module_store.path / "data.mdb").stat().st_size > LIMIT
    return module_store


@pytest.fixture
def group(large_store):
    made = Group(LIMIT)
    yield made
    large_store.close()
    wait_until(lambda: not (made.path / "cgroup.procs").read_text(), "the group is empty")
    made.path.rmdir()


def forget(store):
    """Nothing of the store is in memory: who reads it is charged for it."""
    with open(store.path / "data.mdb", "rb") as data:
        os.fsync(data.fileno())
        os.posix_fadvise(data.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def walk(server):
    """Reads the whole price book; how many products it has."""
    count, target = 0, "/api/products/"
    while target:
        page = server.get(target)
        count += len(page.json)
        target = (page.get("Link") or "<").split(">")[0][1:]
    return count


def test_small_machine(large_store, group):
    """The short run, in the group and on one core; then the whole of a store that is larger."""
    forget(large_store)
    short_run(large_store, prepare=group.enter, **small_settings(), map_size="256M")
    server = large_store.serve(prepare=group.enter, **small_settings(), map_size="256M")
    before = server.children()
    forget(large_store)
    assert walk(server) == PRODUCTS
    assert server.children() == before
    server.stop()
    assert group.held_back() > 0 and group.most() <= LIMIT
    assert group.killed() == 0


def test_small_machine_when_all_is_taken(large_store, group):
    """Every connection holds a head or a body in part, answers wait for their readers, passwords
    for the hasher, and the store is read meanwhile: that fits too."""
    settings = small_settings()
    server = large_store.serve(prepare=group.enter, **settings, map_size="256M",
                               header_timeout="1m", body_timeout="1m", password_iterations=600000)
    before = server.children()
    forget(large_store)
    count = int(settings["max_connections"]) - 8
    with contextlib.ExitStack() as held:
        wires = [held.enter_context(Wire(server.port, receive_bytes=4096)) for _ in range(count)]
        for i, wire in enumerate(wires):
            if i % 4 == 0:      # a head that never ends
                wire.send("GET /api/ HTTP/1.1\r\nHost: a\r\nX-Filler: " + "x" * 8000)
            elif i % 4 == 1:    # a body that never ends
                wire.send(f"POST /api/login/ HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"
                          + "x" * 65000)
            elif i % 4 == 2:    # long answers that nobody reads
                wire.send(request_bytes("GET", "/api/products/") * 16)
            else:               # a login
                wire.send(request_bytes("POST", "/api/login/", (),
                                        {"username": f"n{i}", "password": "p" * 100}))
        # Who asks one thing is answered before those who sent many have had all of theirs.
        refused = wait_until(lambda: (r := server.get("/api/products/")).status != 200 and r,
                             "long answers take up their memory")
        assert refused.status == 503 and int(refused.get("Retry-After")) > 0
        with server.wire() as wire:
            for n in range(0, PRODUCTS, 50):
                one = wire.send(request_bytes("GET", f"/api/products/{n}/")).response()
                assert one.json["title"].startswith(f"{n} x")
        assert server.get("/readyz").status == 200
        assert before.items() <= server.children().items()
    assert group.most() <= LIMIT
    assert group.killed() == 0


def test_small_machine_by_process(large_store):
    """No process of it could have more than the limit, whatever it is asked (L07)."""
    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    short_run(large_store, "bob", prepare=limit, **small_settings(), map_size="256M")
    server = large_store.serve(prepare=limit, **small_settings(), map_size="256M")
    assert walk(server) == PRODUCTS
    for pid in (server.pid, *server.children()):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert int(re.search(r"^VmData:\s+(\d+) kB$", status, re.M)[1]) << 10 <= LIMIT
