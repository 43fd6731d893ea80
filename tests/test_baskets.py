"""Baskets on a running server: what shows only with several processes, or between requests."""

import concurrent.futures
import functools
import json
import random
import re
import shutil
import subprocess

import pytest

from conftest import BIN, ROOT, request_bytes

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
