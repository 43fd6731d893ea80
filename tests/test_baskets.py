"""Baskets on a running server: what shows only with several processes, or between requests."""

import concurrent.futures
import functools
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import pytest

import dump
from conftest import BIN, ROOT, SANITIZED, Store, request_bytes
from test_process import held

ADD = "/api/basket/add-product/"
TRUST = {"sid_trust": "any"}


def book(*products):
    return "".join(json.dumps({"name": p["id"], "currency": "EUR", "price": "1.00", **p}) + "\n"
                   for p in products)


def anon(name):
    return {"Session-Id": f"SID:ANON:127.0.0.1:{name}"}


def auth(name):
    return {"Session-Id": f"SID:AUTH:127.0.0.1:{name}"}


def add(server, headers, product, quantity):
    return server.request("POST", ADD, headers,
                          {"url": f"/api/products/{product}/", "quantity": quantity})


def at_once(calls, threads=16):
    """Runs them side by side; their answers in order."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return [f.result() for f in [pool.submit(call) for call in calls]]


def version(r):
    return int(re.fullmatch(r'"b\d+\.(\d+)\.\d+"', r.get("ETag"))[1])


# --- One after another. ---------------------------------------------------------------------------

def test_largest_basket(store):
    """500 lines with their options: listed whole, by front and writer, and merged in one login."""
    store.customer("ada")
    store.run("product", "import", "-", stdin=book(*({"id": str(i)} for i in range(1, 501))))
    server = store.serve(**TRUST)
    with server.wire() as wire:
        for i in range(1, 501):
            wire.send(request_bytes("POST", ADD, anon("big"), {
                "url": f"/api/products/{i}/", "quantity": 2,
                "options": [{"option": "/api/options/1/", "value": "x" * 100}]}))
            r = wire.response()
            assert r.status == 200, r
        assert r.json["total_incl_tax"] == "1000.00"
        reason = add(server, anon("big"), "1", 1).json["reason"]
        assert reason.startswith("A basket holds at most 500 lines, ")
        for method in ("GET", "HEAD"):
            wire.send(request_bytes(method, "/api/baskets/1/lines/", anon("big")))
            r = wire.response(head_only=method == "HEAD")
            assert r.status == 200
            length = int(r.get("Content-Length"))
            assert length > 300000 and (method == "HEAD" or len(r.json) == 500)
    assert server.login("SID:ANON:127.0.0.1:big", "ada").status == 200
    r = server.get("/api/basket/", auth("big"))
    assert (r.json["total_incl_tax"], r.json["id"]) == ("1000.00", 2)
    lines = server.get("/api/baskets/2/lines/", auth("big")).json
    assert [line["url"].split("/")[-2] for line in lines] == [str(i) for i in range(1, 501)]


# Of the lines of two largest baskets, by their number: product and options. What is 1,000 is a limit
# of the record's (record.h).
LONG = "x" * 90
MERGES = {
    "equal lines": (range(1000), lambda i: (i, [LONG]), lambda i: (999 - i, [LONG])),
    "other lines": (range(500), lambda i: (i, [LONG]), lambda i: (i + 500, [LONG])),
    "no room": (range(1000), lambda i: (i, [LONG]), lambda i: (i + 1000, [LONG])),
    "one product": (range(1000), lambda i: (0, [f"{LONG}{i}"]), lambda i: (0, [f"{LONG}{999 - i}"])),
    "many options": (range(10), lambda i: (0, [*(f"{LONG}{n}" for n in range(99)), f"{i}"]),
                     lambda i: (0, [f"{9 - i}", *(f"{LONG}{n}" for n in range(98, -1, -1))])),
}


def import_largest(store, path, guests=1):
    """A customer and guests for each of MERGES, all with a basket."""
    made = [dump.product_class(1, True), dump.option(1, "colour")]
    made += [dump.product(i + 1) for i in range(2000)]
    made += [dump.stock(i + 1, i + 1, num_in_stock=1000000) for i in range(2000)]
    carts, sessions = [], []
    for n, (numbers, into, moved) in enumerate(MERGES.values(), 1):
        made.append(dump.user(n, f"user{n}"))
        for guest in range(guests + 1):
            pk = 1000 * n + guest
            carts.append(dump.basket(pk, None if guest else n))
            if guest:
                sessions.append(dump.guest(f"SID:ANON:127.0.0.1:big{n}.{guest}", pk))
            for i in numbers:
                line = 1000000 * n + (guests + 1) * i + guest   # one basket's between the others'
                product, values = (moved if guest else into)(i)
                carts.append(dump.line(line, pk, product + 1))
                carts += [dump.attribute(1000 * line + j, line, 1, v) for j, v in enumerate(values)]
    path.write_text(json.dumps(made + carts + sessions))
    store.run("import", "oscar", path, "--strict")
    return {"sid_trust": "any", "max_lines": 1000, "max_quantity": 1000000, "map_size": "256M"}


def log_in_largest(n, guest=1):
    return request_bytes("POST", "/api/login/", anon(f"big{n}.{guest}"),
                         {"username": f"user{n}", "password": "secret"})


def assert_merged(server):
    for n, (numbers, *sides) in enumerate(MERGES.values(), 1):
        merged = server.get("/api/basket/", auth(f"big{n}.1")).json
        lines = server.get(f"/api/baskets/{merged['id']}/lines/", auth(f"big{n}.1")).json
        kinds = {repr((product, sorted(values)))
                 for side in sides for product, values in map(side, numbers)}
        assert len(lines) == min(len(kinds), 1000), n
        assert sum(line["quantity"] for line in lines) == (1000 if n == 3 else 2 * len(numbers))


def test_a_merge_delays_nobody(store, tmp_path):
    """L08: the merge is the writer's work. While that stands still with five of the largest, all
    that reads is answered; and it goes on being answered until the last of them is done."""
    server = store.serve(**import_largest(store, tmp_path / "dump"))
    writer, = server.child("writer")
    wires = [server.wire() for _ in MERGES]
    with held(writer):
        for n, wire in enumerate(wires, 1):
            wire.send(log_in_largest(n)).socket.setblocking(False)
        for i in range(100):
            assert server.resolve(anon(f"other{i}")).status == 204
            for wire in wires:
                with pytest.raises(BlockingIOError):
                    wire.more()
    for wire in wires:
        wire.socket.settimeout(60)
        assert server.resolve(anon("other")).status == 204
        with wire:
            assert wire.response().status == 200
    assert_merged(server)


@pytest.mark.skipif(SANITIZED or not shutil.which("valgrind"), reason="callgrind counts")
def test_a_merge_is_short(store, tmp_path):
    """L08: the instructions that the writer needs for it, but for the commit: at three a nanosecond
    less than 5 ms. With each line compared with all others they were up to 124 million, and up to 13
    with each put into its place by itself."""
    counted = tmp_path / "counted"
    counted.mkdir()
    server = store.serve(
        through=["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={counted}/%p",
                 "--collect-atstart=no", "--toggle-collect=call_log_in",
                 "--dump-after=call_log_in"], seccomp="off", write_timeout="1m",
        **import_largest(store, tmp_path / "dump"))
    with server.wire(timeout_s=120) as wire:
        for n in range(1, len(MERGES) + 1):
            assert wire.send(log_in_largest(n)).response().status == 200
    assert_merged(server)
    server.stop()
    counts = [int(re.search(r"(?m)^(?:totals|summary): (\d+)", path.read_text())[1])
              for path in counted.iterdir()]
    merges = [count for count in counts if count > 0]
    print(merges)
    assert len(merges) == len(MERGES) and min(merges) > 1e6 and max(merges) < 10e6


def longest(server, over):
    """Of a read and of a write, each sent when the one before was answered, the longest time that
    one took until `over`, in ms."""
    most = [0, 0]
    with server.wire() as wire:
        for i in itertools.count():
            if i > 40 and over():
                return most
            kind = i % 2
            wire.send(request_bytes("POST", ADD, anon("buyer"), {
                "url": f"/api/products/{i % 50 + 1}/", "quantity": 1}) if kind else
                request_bytes("GET", "/resolve?require=any", anon("reader")))
            since = time.monotonic()
            assert wire.response().status in (200, 204)
            most[kind] = max(most[kind], 1000 * (time.monotonic() - since))


def beside(server, work):
    """The same while another thread works, for as long as that takes."""
    failed = []

    def run():
        try:
            work()
        except BaseException as e:
            failed.append(e)
    thread = threading.Thread(target=run)
    thread.start()
    most = longest(server, lambda: not thread.is_alive())
    thread.join()
    assert not failed, failed
    return most


@pytest.fixture(params=["memory", "disk"])
def store_in(request, store):
    """A store on the disk of the tests, or on a file system without one."""
    if request.param == "disk":
        yield "disk", store
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made = Store(pathlib.Path(folder) / "store")
        yield "memory", made
        made.close()


@pytest.mark.skipif("TORTURE_S" not in os.environ, reason="a clock judges: make torture")
def test_slow_work_delays_nobody(store_in, tmp_path):
    """L08: how much longer the longest read and the longest write take beside password checks, the
    making of keys, a backup, and merges of the largest baskets: medians of nine. In memory a commit
    waits for no disk, and all is compared with what they take alone. On a disk a write may wait for
    another's commit before its own, whoever the other is: there all is compared with what they take
    beside another client's adds, which are not slow. The first merge of a writer's life is told, too:
    its stack and its heap are pages that are touched for the first time."""
    where, store = store_in
    rounds = range(1, 10)
    settings = import_largest(store, tmp_path / "dump", len(rounds))
    store.customer("slow", "p", "--password-iterations=600000")
    server = store.serve(**settings, password_iterations=600000)

    def merge(n, guest):
        with server.wire() as wire:
            assert wire.send(log_in_largest(n, guest)).response().status == 200

    def adds(_):
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert add(server, anon("other"), "1", 1).status == 200
    usual = {"nothing": lambda _: time.sleep(0.3), "adds": adds}
    slow = {
        "password checks": lambda r: [server.login(f"SID:ANON:127.0.0.1:p{r}.{i}", "slow", "p")
                                      for i in range(3)],
        "keys": lambda _: store.run("token", "rotate", "--alg", "ES256"),
        "backup": lambda r: store.run("backup", store.path.parent / f"backup{r}"),
        **{f"merge, {name}": functools.partial(merge, n) for n, name in enumerate(MERGES, 1)},
    }
    took = {name: [beside(server, functools.partial(work, r)) for r in rounds]
            for name, work in {**usual, **slow}.items()}
    medians = {name: [statistics.median(kind) for kind in zip(*both)]
               for name, both in took.items()}
    least = medians["nothing" if where == "memory" else "adds"]
    for name, both in medians.items():
        print(f"delay: {where}, beside {name}: read {both[0]:.1f} ms, write {both[1]:.1f} ms")
    first = took[f"merge, {next(iter(MERGES))}"][0]
    print(f"delay: {where}, beside the first merge: read {first[0]:.1f} ms, write {first[1]:.1f} ms")
    for name in slow:
        assert all(ms - ms_least < 5 for ms, ms_least in zip(medians[name], least)), (name, medians)


def test_kept_over_a_restart(store):
    store.run("product", "import", "-", stdin=book({"id": "1"}))
    server = store.serve(**TRUST)
    first = add(server, anon("a"), "1", 3)
    server.stop()
    again = store.serve(**TRUST).get("/api/basket/", anon("a"))
    assert (again.body.replace(str(store.servers[-1].port).encode(), b"PORT")
            == first.body.replace(str(server.port).encode(), b"PORT"))


def test_prices_follow_the_book(store):
    """An import shows in the next answer, and in every ETag."""
    store.run("product", "import", "-", stdin=book({"id": "1"}))
    server = store.serve(**TRUST)
    first = add(server, anon("a"), "1", 3)
    store.run("product", "import", "-", stdin=book({"id": "1", "price": "2.50", "stock": 2}))
    r = server.get("/api/basket/", anon("a"))
    assert r.json["total_incl_tax"] == "7.50" and r.get("ETag") != first.get("ETag")
    r = server.request("PATCH", "/api/baskets/1/", {**anon("a"), "If-Match": first.get("ETag")},
                       {"status": "Saved"})
    assert r.status == 412
    assert add(server, anon("a"), "1", 1).json["reason"] == "a maximum of 2 can be bought"


def test_long_price_book(store):
    """The list goes on at its Link."""
    ids = [str(i) for i in range(1, 2501)] + ["a-b", "z"]
    store.run("product", "import", "-", stdin=book(*({"id": i} for i in ids)))
    server = store.serve()
    found, path, pages = [], "/api/products/", 0
    while path:
        r = server.get(path)
        found += [str(p["id"]) for p in r.json]
        link = r.get("Link")
        path = re.fullmatch(r'<(/\S+)>; rel="next"', link)[1] if link else None
        pages += 1
    assert found == ids and pages == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="the example runs curl")
def test_checkout_example(store):
    """docs/checkout.md as it stands: each shell block, then all that its output has."""
    text = (ROOT / "docs/checkout.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```\n(?:```\n(.*?)```)?", text, re.S)
    assert len(blocks) == 5
    store.run("product", "import", "-",
              stdin=book({"id": "1", "price": "10.00", "tax_rate": "0.21"}))
    server = store.serve(**TRUST)
    number = add(server, anon("shopper"), "1", 2).json["id"]
    command, _ = blocks.pop(0)
    key = store.run(*command.split()[1:]).strip()
    assert command.split()[0] == f"build/{BIN.name}"
    for commands, shown in blocks:
        done = subprocess.run(
            ["sh", "-eu", "-c", commands], check=True, capture_output=True, text=True,
            env={**store.environment, "SHOP": f"http://127.0.0.1:{server.port}", "KEY": key,
                 "BASKET": str(number)})
        for line in shown.splitlines():
            assert line in done.stdout, (commands, line, done.stdout)
        if '"Frozen"' in commands:
            assert server.get(f"/api/baskets/{number}/", anon("shopper")).status == 404
    assert server.get(f"/api/baskets/{number}/", anon("shopper")).status == 404


# --- Side by side. --------------------------------------------------------------------------------

def test_first_requests_at_once(store):
    """Fault 4: one basket and no 500, however many come first."""
    server = store.serve(**TRUST, workers=2)
    for i in range(5):
        answers = at_once([functools.partial(server.get, "/api/basket/", anon(f"new{i}"))] * 32)
        assert {r.status for r in answers} == {200}
        assert len({r.json["id"] for r in answers}) == 1


def test_one_key_at_once(store):
    """An Idempotency-Key that comes many times at once: one add, one answer."""
    store.run("product", "import", "-", stdin=book({"id": "1"}))
    server = store.serve(**TRUST, workers=2)
    body = {"url": "/api/products/1/", "quantity": 1}
    answers = at_once([functools.partial(
        server.request, "POST", ADD, {**anon("a"), "Idempotency-Key": "k"}, body)] * 32)
    assert {r.status for r in answers} == {200} and len({r.body for r in answers}) == 1
    assert sum(r.get("Idempotent-Replayed") is None for r in answers) == 1
    assert server.get("/api/basket/", anon("a")).json["total_incl_tax"] == "1.00"


class Race:
    """Adds and logins of many clients on the baskets of two customers, all at once.

    A client either adds to its customer's basket, or fills a guest's and logs in, twice at the
    same moment: the second login finds nothing to merge. What each was answered is noted.
    """

    def __init__(self, store, seed, stock=None):
        self.random = random.Random(seed)
        self.stock = stock
        for owner in ("ada", "bob"):
            store.customer(owner)
        store.run("product", "import", "-", stdin=book({"id": "1", "stock": stock or ""}))
        self.server = store.serve(**TRUST, workers=2, hashers=2, login_throttle="off",
                                  max_sessions_per_customer=0)
        for owner in ("ada", "bob"):
            assert self.server.login(f"SID:ANON:127.0.0.1:{owner}", owner).status == 200
            assert self.server.get("/api/basket/", auth(owner)).status == 200
        self.adds = {"ada": [], "bob": []}      # (quantity, answer)
        self.logins = {"ada": [], "bob": []}    # (quantity, the two answers)

    def add(self, owner, quantity):
        self.adds[owner].append((quantity, add(self.server, auth(owner), "1", quantity)))

    def log_in(self, owner, quantity, name):
        guest = add(self.server, anon(name), "1", quantity)
        assert guest.status == 200, guest
        answers = at_once([functools.partial(
            self.server.login, f"SID:ANON:127.0.0.1:{name}", owner)] * 2, threads=2)
        assert [r.status for r in answers] == [200, 200]
        self.logins[owner].append((quantity, answers))
        assert self.server.get(f"/api/baskets/{guest.json['id']}/", anon(name)).status == 404

    def run(self, count):
        calls = []
        for i in range(count):
            owner, quantity = self.random.choice(("ada", "bob")), self.random.randint(1, 5)
            calls.append(functools.partial(self.add, owner, quantity) if self.random.random() < .6
                         else functools.partial(self.log_in, owner, quantity, f"client{i}"))
        at_once(calls)

    def quantity(self, owner):
        """What the customer has in the end."""
        number = self.server.get("/api/basket/", auth(owner)).json["id"]
        lines = self.server.get(f"/api/baskets/{number}/lines/", auth(owner)).json
        assert len(lines) == 1, "equal lines add up to one"
        return lines[0]["quantity"]


def total(r):
    return int(r.json["total_incl_tax"].removesuffix(".00"))


def explain(points, merges):
    """Whether the merges, a list of quantities, can stand between the points (version, quantity
    before, quantity after) of a basket, one a version, so that all quantities come out."""
    @functools.lru_cache(None)
    def fits(at, left):
        if at + 1 == len(points):
            return not left
        here, there = points[at], points[at + 1]
        return any(fits(at + 1, rest) for rest in choices(
            left, there[0] - here[0] - 1, there[1] - here[2]))

    @functools.lru_cache(None)
    def choices(left, count, amount):
        """What is left of the merges after `count` of them that make `amount` together."""
        if count <= 0 or amount <= 0:
            return frozenset([left]) if count == amount == 0 else frozenset()
        found = set()
        for i, quantity in enumerate(left):
            if i == 0 or left[i - 1] != quantity:
                found |= {tuple(sorted(rest)) for rest in choices(
                    left[:i] + left[i + 1:], count - 1, amount - quantity)}
        return frozenset(found)

    return fits(0, tuple(sorted(merges)))


@pytest.mark.parametrize("seed", [1, 2])
def test_race(store, seed):
    """Some serial order of all of them gives each answer and the end: versions say in which
    order the adds came, and the logins stand between them."""
    race = Race(store, seed)
    race.run(200)
    for owner in ("ada", "bob"):
        adds = sorted((version(r), total(r), q) for q, r in race.adds[owner])
        assert len({v for v, _, _ in adds}) == len(adds), "one change a version"
        end = race.quantity(owner)
        last = version(race.server.get("/api/basket/", auth(owner)))
        points = [(0, 0, 0), *((v, t - q, t) for v, t, q in adds), (last + 1, end, end)]
        merges = [q for q, _ in race.logins[owner]]
        assert end == sum(q for _, _, q in adds) + sum(merges)
        assert last == len(adds) + len(merges)
        assert explain(tuple(points), merges), (owner, points, merges)


def test_model_refuses():
    """The check can fail: a merge lost, doubled, or in the wrong place."""
    points = ((0, 0, 0), (2, 3, 5), (4, 9, 10), (5, 10, 10))
    assert explain(points, [3, 4])
    for merges in ([3], [4], [3, 4, 4], [4, 4], [1, 2, 4], []):
        assert not explain(points, merges), merges
    assert not explain(((0, 0, 0), (2, 4, 5), (4, 9, 10), (5, 10, 10)), [3, 5])


def test_race_for_the_last(store):
    """Of a product that runs out no more is held than there is, and what was refused is told."""
    stock = 60
    race = Race(store, 3, stock)
    race.run(200)
    for owner in ("ada", "bob"):
        end, held = race.quantity(owner), 0
        for quantity, r in race.adds[owner]:
            assert r.status in (200, 406), r
            held += quantity if r.status == 200 else 0
            assert r.status == 200 or (quantity + end > stock and
                                       r.json == {"reason": f"a maximum of {stock} can be bought"})
        for quantity, answers in race.logins[owner]:
            told = [t for t in (r.get("X-Basket-Merge") for r in answers) if t]
            assert len(told) <= 1
            if told:
                asked, kept = map(int, re.fullmatch(r"1=(\d+)/(\d+)", told[0]).groups())
                assert kept == stock < asked <= kept + quantity
                held += kept - (asked - quantity)
            else:
                held += quantity
        assert end == held == stock
