"""A long run: hours and days of a shop in minutes, and what it takes levels off.

The test moves the clock on (tests/hurried.c). In each step so many visitors come, always the same
mix, and most of them just go; all that they leave behind has to expire and be swept, keys are
rotated, commands run beside. However slow the machine, so much time has as many visitors. Once the
longest life is over, the store, the memory and the descriptors of each process are to stay where
they are: see Curve. Then the test is tried: with a sweep that does nothing, a forgotten close(2)
and memory that grows it has to fail.

SEED draws other visitors. Where TORTURE_S is set there are six hours in steps of eight seconds, after
the seven that the longest life takes, and more of them with the seeds that follow until that time is over; else five days in steps of a
quarter of an hour, which are over in half a minute.
"""

import contextlib
import dataclasses
import itertools
import os
import random
import signal
import statistics
import time
from urllib.parse import urlencode

import lmdb
import pytest

import conftest
from conftest import basic, naps, request_bytes, wait_until
from test_http import private_bytes
from test_metrics import scrape
from test_process import state

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
SHOP = "/s/RefArch/dw/shop/v20_9"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
MINUTE, HOUR, DAY = 60, 3600, 86400

VISITORS = 8                    # who come in one step
MEMBERS = 20                    # customers, who come again
SAMPLES = 48                    # of one run
LEVEL = 0.03                    # how much a level may rise, and how steep its line may be
# A command that reads the whole store holds pages of it back, and then they are free ones of it.
SLACK = {"memory": 256 << 10, "store": 512 << 10, "pages": 24, "records": 50, "descriptors": 0}

pytestmark = pytest.mark.skipif(conftest.SANITIZED, reason="a sanitizer has memory of its own")


@dataclasses.dataclass
class Form:
    """How long a run is, and how long things live in it: the longest for less than `settled_s`."""
    run_s: int
    step_s: int
    settled_s: int
    session_s: int
    replays: bool               # with Idempotency-Keys, whose answers are kept for a day

    def settings(self):
        session, half = f"{self.session_s}s", f"{self.session_s // 2}s"
        return {"session_ttl": session, "session_max": f"{3 * self.session_s}s", "anon_ttl": session,
                "basket_ttl": f"{2 * self.session_s}s", "empty_basket_ttl": half, "token_ttl": half,
                "jwks_max_age": f"{self.session_s // 4}s", "idle_timeout": "4s",
                "enforce_https": "off", "durability": "unsafe-nosync", "password_iterations": 1000,
                "login_throttle": "5/15m", "login_throttle_address": "100/15m"}


DAYS = Form(5 * DAY, 15 * MINUTE, 2 * DAY, 3 * HOUR, True)
HOURS = Form(13 * HOUR, 8, 7 * HOUR, 10 * MINUTE, False)        # OCAPI's sessions live for six
FAULTY = Form(2 * HOUR, 30, 40 * MINUTE, 10 * MINUTE, False)


# --- Visitors: each yields a request and the status it is answered with, and is sent the answer. --

def guest(shop, name, chance):
    """Looks around with a Session-Id; some fill a basket and keep something, and go."""
    me = {**shop.app, "Session-Id": ANON + name}
    r = yield 200, request_bytes("GET", "/api/basket/", me)
    yield 204, request_bytes("GET", "/resolve?require=any", me)
    if chance.randrange(3) == 0:
        return
    line = {"url": f"/api/products/{chance.randrange(5)}/", "quantity": chance.randint(1, 3)}
    if shop.form.replays:
        me["Idempotency-Key"] = f"once-{name}-{r.json['id']}"
    yield 200, (raw := request_bytes("POST", "/api/basket/add-product/", me, line))
    if shop.form.replays:
        yield 200, raw
    keeps = {"seen": ["x" * chance.choice((10, 100, 3000))]}
    yield 200, request_bytes("PATCH", "/session/data", me, keeps)


def member(shop, name, chance):
    """Fills a basket as a guest and takes it along at the login; half of them log out."""
    login = f"member{chance.randrange(MEMBERS)}"
    guest_of, me = ({**shop.app, "Session-Id": kind + name} for kind in (ANON, AUTH))
    line = {"url": f"/api/products/{chance.randrange(5)}/", "quantity": 1}
    yield 200, request_bytes("POST", "/api/basket/add-product/", guest_of, line)
    yield 200, request_bytes("POST", "/api/login/", guest_of,
                             {"username": login, "password": login})
    yield 200, request_bytes("POST", "/api/basket/add-product/", me, line)
    yield 204, request_bytes("GET", "/resolve?token=1&audience=" + login, me)
    r = yield 200, request_bytes("GET", "/api/basket/", me)
    if chance.randrange(4) == 0:            # a checkout, which does not come to its end
        for status in ("Frozen", "Saved"):
            yield 200, request_bytes("PATCH", f"/api/baskets/{r.json['id']}/", me,
                                     {"status": status})
    if chance.randrange(2):
        yield 204, request_bytes("DELETE", "/session", me)


def browser(shop, name, chance):
    """The same with cookies."""
    r = yield 200, request_bytes("PATCH", "/session/data", (), {"name": name})
    jar = {n: v for n, (v, _) in r.cookies.items()}

    def me():
        return {"Cookie": "; ".join(f"{n}={v}" for n, v in jar.items()),
                "X-CSRFToken": jar.get("sidecart_csrf", "-")}
    line = {"url": f"/api/products/{chance.randrange(5)}/", "quantity": 2}
    r = yield 200, request_bytes("POST", "/api/basket/add-product/", me(), line)
    jar |= {n: v for n, (v, _) in r.cookies.items()}
    if chance.randrange(2):
        return
    login = f"member{chance.randrange(MEMBERS)}"
    r = yield 200, request_bytes("POST", "/api/login/", me(), {"username": login, "password": login})
    jar |= {n: v for n, (v, _) in r.cookies.items()}
    yield 204, request_bytes("GET", "/resolve", me())
    if chance.randrange(2):
        yield 204, request_bytes("DELETE", "/session", me())


def shopper(shop, _, chance):
    """A guest of OCAPI: a token, a basket, a session for it; every other basket is deleted."""
    me = dict(shop.web)
    kind = {"type": "guest"}
    if chance.randrange(2):
        login = f"member{chance.randrange(MEMBERS)}"
        kind, me["Authorization"] = {"type": "credentials"}, basic(login, login)
    r = yield 200, request_bytes("POST", SHOP + "/customers/auth", me, kind)
    me["Authorization"] = r.get("Authorization")
    yield 204, request_bytes("POST", SHOP + "/sessions", me)
    if chance.randrange(4) == 0:
        token = urlencode({"token": me["Authorization"].split()[1]}).encode()
        yield 200, request_bytes("POST", "/token/revoke", shop.service, token)
        return
    if kind["type"] == "credentials":       # whose basket may be open
        return
    r = yield 200, request_bytes("POST", SHOP + "/baskets", me)
    path = f"{SHOP}/baskets/{r.json['basket_id']}"
    yield 200, request_bytes("POST", path + "/items", me, [{"product_id": "1", "quantity": 1}])
    if chance.randrange(2):
        yield 204, request_bytes("DELETE", path, me)


def service(shop, name, chance):
    """A backend changes a session for a token, and asks about it."""
    me, login = {**shop.app, "Session-Id": ANON + name}, f"member{chance.randrange(MEMBERS)}"
    yield 200, request_bytes("POST", "/session/login", me, {"login": login})
    form = {"grant_type": GRANT, "subject_token": AUTH + name, "audience": f"orders{name[-1]}",
            "subject_token_type": "urn:x-sidecart:session-id"}

    def post(what, **fields):
        return request_bytes("POST", "/token/" + what, shop.service, urlencode(fields).encode())
    r = yield 200, post("exchange", **form)
    r = yield 200, post("introspect", token=r.json["access_token"])
    assert r.json["active"]


def intruder(shop, name, chance):
    """Guesses passwords and ids from many addresses, and sends what is too long or broken."""
    me = {"X-Forwarded-For": f"192.0.{chance.randrange(256)}.{chance.randrange(256)}"}
    guess = {"username": f"{name}{chance.random()}", "password": "guess"}
    yield 401, request_bytes("POST", "/api/login/", {**me, **shop.app, "Session-Id": ANON + name},
                             guess)
    for _ in range(3):
        cookie = {"Cookie": f"sidecart_session={chance.getrandbits(250):043x}"[:60]}
        yield 401, request_bytes("GET", "/resolve", {**me, **cookie})
    yield 413, request_bytes("POST", "/api/login/", me, b"x" * chance.choice((70000, 200000)))


def returning(shop, _, chance):
    """Comes again: to a session that lives, which is renewed, or to one that has expired."""
    sid, since_s = shop.regulars[chance.randrange(len(shop.regulars))]
    me = {**shop.app, "Session-Id": AUTH + sid}
    dead = shop.ahead_s - since_s > 3 * shop.form.session_s + MINUTE
    r = yield (401 if dead else {204, 401}), request_bytes("GET", "/resolve", me)
    shop.seen[r.status] = shop.seen.get(r.status, 0) + 1
    if r.status == 401:
        shop.regulars.remove((sid, since_s))
        shop.regulars.append((f"regular{shop.ahead_s}", shop.ahead_s))
        me["Session-Id"] = ANON + shop.regulars[-1][0]
        yield 200, request_bytes("POST", "/session/login", me, {"login": "member0"})


VISITS = (guest, guest, member, member, browser, shopper, service, intruder)


# --- The run. -------------------------------------------------------------------------------------

def sleeps(pid):
    """True where a front waits for ever: what waits for a time is woken earlier than this."""
    before = naps(pid)
    time.sleep(0.06)
    return naps(pid) == before and state(pid) == "S"


class Shop:
    """A hurried server, and all who come."""

    def __init__(self, store, form, seed, faults=""):
        self.store, self.form, self.chance = store, form, random.Random(seed)
        self.seen, self.wires = {}, []
        self.clock = store.stop_clock(faults)
        self.begun_s = self.clock.now_s
        self.app = {"X-Api-Key": store.key("app", "trusted,login")}
        self.web = {"x-dw-client-id": store.key("web", "shop")}
        self.service = {"X-Api-Key": store.key("service", "resolve,trusted"),
                        "Content-Type": "application/x-www-form-urlencoded"}
        self.prices(0)
        for i in range(MEMBERS):
            store.customer(f"member{i}")
        self.server = store.serve(**form.settings(), hashers=2)
        self.regulars = [(f"nobody{i}", -form.run_s) for i in range(5)]
        self.processes = {"supervisor": self.server.pid}

    def prices(self, change):
        self.store.run("product", "import", "-", stdin="".join(
            f'{{"id":"{i}","name":"Mug {i}","price":"{10 + change}.00","currency":"EUR"}}\n'
            for i in range(5)))

    @property
    def ahead_s(self):
        return self.clock.now_s - self.begun_s

    def commands(self, step):
        """What an operator does beside the server, now and then."""
        if step % 40 == 0:
            self.store.run("token", "rotate", "--alg", self.chance.choice(("HS256", "ES256")),
                           f"--jwks-max-age={self.form.session_s // 4}s")
        if step % 60 == 20:
            for what in ("disable", "enable"):      # a revoked one is kept, to be refused for ever
                self.store.run("key", what, "web")
            self.store.customer("visitor")
            self.store.run("customer", "delete", "visitor")
            self.prices(step % 7)
        if step % 180 == 100:
            self.store.run("backup", self.store.path.parent / f"backup{step}")
            os.unlink(self.store.path.parent / f"backup{step}")
            os.kill(self.server.pid, signal.SIGHUP)

    def visit(self, step):
        """Each visitor's next request at once, until all are gone. Who goes leaves his connection
        open: idle_timeout ends it."""
        kinds = [*VISITS[:VISITORS - 1], returning if step % 2 else VISITS[-1]]
        there = [(kind(self, f"{kind.__name__}{step}x{i}", self.chance), self.server.wire(), None)
                 for i, kind in enumerate(kinds)]
        for wire in self.wires:
            wire.socket.close()
        self.wires = [wire for _, wire, _ in there]
        while there:
            asked = []
            for visitor, wire, answer in there:
                with contextlib.suppress(StopIteration):
                    expected, raw = visitor.send(answer)
                    asked.append((visitor, wire.send(raw), expected, raw))
            there = []
            for visitor, wire, expected, raw in asked:
                r = wire.response()
                assert r.status in (expected if isinstance(expected, set) else {expected}), (
                    raw[:400], r)
                there.append((visitor, wire, r))

    def rest(self):
        """Nobody is there, and all have looked at the clock since: buffers were given back."""
        wait_until(lambda: scrape(self.server)[1]["sidecart_connections"] <= 1, "all are gone")
        self.clock.later(2)
        writer = self.processes["writer"]
        before = naps(writer)
        wait_until(lambda: naps(writer) > before + 1, "a turn of the writer")

        def nothing_to_do():        # but to sweep once more, where it did before the last was gone
            self.clock.later(1)
            return sleeps(self.processes["front"])
        wait_until(nothing_to_do, "the front has nothing to do")

    def sample(self):
        """What the store and each process take now, when nobody is there."""
        self.processes |= {name.removeprefix("sidecart:"): pid
                           for pid, name in self.server.children().items()}
        told = scrape(self.server)[1]
        self.rest()
        with lmdb.open(str(self.store.path), readonly=True, lock=False) as environment:
            tree = environment.stat()
        row = {"pages": sum(tree[kind + "_pages"] for kind in ("branch", "leaf", "overflow")),
               "store": told["sidecart_store_used_bytes"],
               "records": told["sidecart_store_entries"]}
        for name, pid in self.processes.items():
            row["memory of " + name] = private_bytes(pid)
            row["descriptors of " + name] = len(os.listdir(f"/proc/{pid}/fd"))
        return row

    def run(self):
        """The curve of each figure from `settled_s` on."""
        steps = self.form.run_s // self.form.step_s
        first, curves = self.form.settled_s // self.form.step_s, {}
        for step in range(steps):
            self.commands(step)
            self.visit(step)
            self.clock.later(self.form.step_s)
            if step >= first and (step - first) % max(1, (steps - first) // SAMPLES) == 0:
                for name, value in self.sample().items():
                    curves.setdefault(name, []).append(value)
        return [Curve(name, values) for name, values in curves.items()]


@dataclasses.dataclass
class Curve:
    """One figure over the time. It has levelled off where its second half reaches no higher than
    the first by LEVEL of that and what SLACK says, and where the line through all of it rises by
    no more from its begin to its end."""
    name: str
    values: list

    def allowed(self):
        return LEVEL * max(self.values) * (SLACK[self.kind] > 0) + SLACK[self.kind]

    @property
    def kind(self):
        return self.name.split()[0]

    @property
    def higher(self):
        half = len(self.values) // 2
        return max(self.values[half:]) - max(self.values[:half])

    @property
    def rise(self):
        times = range(len(self.values))
        return statistics.linear_regression(times, self.values).slope * len(self.values)

    def level(self):
        return max(self.higher, self.rise) <= self.allowed()

    def __str__(self):
        return (f"{self.name}: {min(self.values):.0f} to {max(self.values):.0f}, second half "
                f"{self.higher:+.0f}, line {self.rise:+.0f}, allowed +{self.allowed():.0f}")


# --- The judge is tried first. --------------------------------------------------------------------

@pytest.mark.parametrize("name, values, level", [
    ("records", [1000] * 96, True),
    ("records", [1000 + i % 7 for i in range(96)], True),
    ("records", [1000 - i for i in range(96)], True),
    ("records", [1000 + 2 * i for i in range(96)], False),
    ("records", [1000] * 90 + [1200] * 6, False),
    ("memory of front", [500 << 10] * 96, True),
    ("memory of front", [(500 + 5 * i) << 10 for i in range(96)], False),
    ("descriptors of writer", [9] * 96, True),
    ("descriptors of writer", [9] * 95 + [10], False)])
def test_judge(name, values, level):
    assert Curve(name, values).level() == level


def test_levels_off(store):
    """Nothing that visitors leave behind stays, and no process takes more and more."""
    seed, time_s = int(os.environ.get("SEED", 1)), float(os.environ.get("TORTURE_S", 0))
    end = time.monotonic() + time_s
    for seed in itertools.count(seed):
        folder = store.path.parent / f"run{seed}"
        shop = Shop(conftest.Store(folder), HOURS if time_s else DAYS, seed)
        curves = shop.run()
        for curve in curves:
            print(f"long: seed {seed}: {curve}")
        print(f"long: seed {seed}: {shop.form}, returning visitors {shop.seen}")
        counts, = shop.store.records("check")
        shop.store.close()
        assert not [str(curve) for curve in curves if not curve.level()]
        assert counts["problems"] == 0 and counts["token_keys"] < 16
        # All kinds were there, and both ends of a session were met.
        empty = {"sessions", "session_data", "baskets", "token_keys", "kept_answers"} - (
            set() if shop.form.replays else {"kept_answers"})
        assert all(counts[name] for name in empty) and set(shop.seen) == {204, 401}
        if time.monotonic() >= end:
            break


def test_planted_faults(store):
    """The test of the test: each fault is found where it is."""
    shop = Shop(store, FAULTY, 1, "sweep,descriptors,memory")
    growing = {curve.name for curve in shop.run() if not curve.level()}
    assert {"store", "pages", "records"} <= growing, growing
    assert {"memory of " + name for name in ("front", "writer")} <= growing, growing
    assert {"descriptors of front"} <= growing, growing
