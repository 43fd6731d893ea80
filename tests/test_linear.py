"""Linearizability: what clients who act at the same time are answered could have been answered to
one after the other, each request at some moment between its sending and its answer (S08, D01).

Clients log one customer in under several Session-Ids, log out, revoke all, ask who they are, and
add to his basket and read it, through two fronts. Others come with his password and for tokens,
and revoke those, while an operator changes the password, shuts him out, lets him in and deletes
him. In some rounds the writer is killed, and what was in flight then was done or not. The checker
is Wing and Gong's search, with the memory of Lowe: it knows the history and a model of a page, and
nothing of the server. It is shown first that it rejects histories with a planted fault of each
kind, and the server's own when a client of the test lies.

SEED draws other rounds. TORTURE_S, in seconds, is the long form; without it there are ROUNDS.
"""

import concurrent.futures
import contextlib
import dataclasses
import math
import os
import random
import signal
import threading
import time

import pytest

from conftest import Closed, Wire, basic, request_bytes, wait_until

ROUNDS = 60
CLIENTS, CALLS, SESSIONS = 5, 10, 2
AUTH, ANON = "SID:AUTH:127.0.0.1:", "SID:ANON:127.0.0.1:"
DEATHS = r"event=(ended|front_dropped)"
SIGN_IN = "/s/RefArch/dw/shop/v20_9/customers/auth"
REFUSED = "refused"  # no such session or customer, another password, shut out
FIRST = (frozenset(), 0, "word", "open")  # sessions that live, pieces, password, the account


@dataclasses.dataclass
class Call:
    """One request: `answered` is infinite where its outcome is unknown."""
    what: str
    session: object  # a Session-Id's number, or a token
    sent: float
    answered: float = math.inf
    result: object = None
    pieces: int = 0
    word: str = ""


def operate(state, call):
    """What an operator does: each time it ends all sessions, but when he lets one in."""
    live, pieces, word, account = state
    if account == "gone":
        return state, REFUSED
    if call.what == "enable":
        return (live, pieces, word, "open"), None
    if call.what == "password":
        return (frozenset(), pieces, call.word, account), None
    return (frozenset(), pieces, word, "gone" if call.what == "delete" else "shut"), None


def model(state, call):
    """The state behind a call, and what it is answered."""
    live, pieces, word, account = state
    if call.what in ("password", "disable", "enable", "delete"):
        return operate(state, call)
    if call.what in ("login", "enter", "token"):
        if account != "open" or call.what != "login" and call.word != word:
            return state, REFUSED
        return (live | {call.session}, *state[1:]), None
    if call.what in ("logout", "drop"):
        # Who has no session logs out of nothing, and is answered that he is out.
        return (live - {call.session}, *state[1:]), None
    if call.session not in live:
        return state, REFUSED
    if call.what == "revoke":
        return (frozenset(), *state[1:]), None
    if call.what == "add":
        return (live, pieces + call.pieces, word, account), pieces + call.pieces
    return state, pieces if call.what == "basket" else None  # or "who"


def linearizable(history, state=FIRST):
    """True where an order of the calls explains all answers."""
    calls = sorted(history, key=lambda call: call.sent)
    done_all = sum(1 << i for i, call in enumerate(calls) if call.answered < math.inf)
    seen, waiting = set(), [(0, state)]
    while waiting:
        done, state = waiting.pop()
        if done & done_all == done_all:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        # The next one was sent before any that is left was answered.
        left = [i for i in range(len(calls)) if not done >> i & 1]
        first = min(calls[i].answered for i in left)
        for i in left:
            if calls[i].sent > first:
                break
            after, result = model(state, calls[i])
            if calls[i].answered == math.inf or result == calls[i].result:
                waiting.append((done | 1 << i, after))
    return False


# --- The checker is tried first. ------------------------------------------------------------------

def history(*calls):
    return [Call(*call) for call in calls]


LOGIN = ("login", 0, 0, 1, None, 0)
TOKEN = ("token", "t", 0, 1, None, 0, "word")


def after(what, at, result=None, word=""):
    """An operator's call."""
    return what, None, at, at + 1, result, 0, word


def enter(at, word, result=None):
    return "enter", 1, at, at + 1, result, 0, word


@pytest.mark.parametrize("calls", [
    [],
    [LOGIN, ("who", 0, 2, 3, None, 0)],
    [("who", 0, 0, 1, REFUSED, 0), ("login", 0, 0.5, 2, None, 0)],
    # At the same time: either order.
    [LOGIN, ("logout", 0, 2, 5, None, 0), ("who", 0, 3, 4, None, 0)],
    [LOGIN, ("logout", 0, 2, 5, None, 0), ("who", 0, 3, 4, REFUSED, 0)],
    [LOGIN, ("add", 0, 2, 5, 3, 1), ("add", 0, 2, 5, 2, 2)],
    # An unknown outcome: done late, done at once, or never.
    [LOGIN, ("logout", 0, 2, math.inf, None, 0), ("who", 0, 3, 4, None, 0),
     ("who", 0, 5, 6, REFUSED, 0)],
    [LOGIN, ("logout", 0, 2, math.inf, None, 0), ("who", 0, 5, 6, None, 0)],
    [LOGIN, ("add", 0, 2, math.inf, None, 7), ("basket", 0, 3, 4, 0, 0),
     ("basket", 0, 5, 6, 7, 0)],
    [LOGIN, after("password", 2, word="new"), ("who", 0, 4, 5, REFUSED, 0),
     enter(6, "word", REFUSED), enter(8, "new"), ("who", 1, 10, 11, None, 0)],
    [("password", None, 0, 9, None, 0, "new"), enter(1, "word"), enter(3, "new"),
     enter(5, "word", REFUSED)],
    [TOKEN, ("who", "t", 2, 3, None, 0), ("drop", "t", 4, 5, None, 0),
     ("who", "t", 6, 7, REFUSED, 0), ("drop", "t", 8, 9, None, 0)],
    [TOKEN, ("drop", "t", 2, 5, None, 0), ("who", "t", 3, 4, None, 0)],
    [TOKEN, after("disable", 2), ("who", "t", 4, 5, REFUSED, 0), enter(6, "word", REFUSED),
     after("enable", 8), ("who", "t", 10, 11, REFUSED, 0), enter(12, "word")],
    [LOGIN, after("delete", 2), ("who", 0, 4, 5, REFUSED, 0), enter(6, "word", REFUSED),
     after("enable", 8, REFUSED), after("delete", 10, REFUSED)]])
def test_checker_accepts(calls):
    assert linearizable(history(*calls))


@pytest.mark.parametrize("calls", [
    [("who", 0, 0, 1, None, 0)],
    [LOGIN, ("who", 0, 2, 3, REFUSED, 0)],
    [LOGIN, ("who", 1, 2, 3, None, 0)],
    # S08: who was logged out, or revoked by another session, and still is somebody.
    [LOGIN, ("logout", 0, 2, 3, None, 0), ("who", 0, 4, 5, None, 0)],
    [LOGIN, ("login", 1, 2, 3, None, 0), ("revoke", 1, 4, 5, None, 0),
     ("who", 0, 6, 7, None, 0)],
    # Seen to be over by one, and then again alive to another.
    [LOGIN, ("logout", 0, 2, 9, None, 0), ("who", 0, 3, 4, REFUSED, 0),
     ("who", 0, 5, 6, None, 0)],
    # Two that were added to the same basket, and one of them is lost.
    [LOGIN, ("add", 0, 2, 5, 1, 1), ("add", 0, 2, 5, 1, 1)],
    [LOGIN, ("add", 0, 2, 3, 1, 1), ("add", 0, 4, 5, 2, 1), ("basket", 0, 6, 7, 1, 0)],
    # Done twice.
    [LOGIN, ("add", 0, 2, 3, 1, 1), ("basket", 0, 4, 5, 2, 0)],
    # An unknown outcome that shows, and then does not.
    [LOGIN, ("add", 0, 2, math.inf, None, 7), ("basket", 0, 3, 4, 7, 0),
     ("basket", 0, 5, 6, 0, 0)],
    [LOGIN, ("add", 0, 5, math.inf, None, 7), ("basket", 0, 2, 3, 7, 0)],
    # Another password: the one before still lets in, or the new one does not, or a session that
    # began with the one before lives on.
    [after("password", 0, word="new"), enter(2, "word")],
    [after("password", 0, word="new"), enter(2, "new", REFUSED)],
    [LOGIN, after("password", 2, word="new"), ("who", 0, 4, 5, None, 0)],
    [("password", None, 0, 9, None, 0, "new"), enter(1, "new"), enter(3, "word")],
    # Shut out or deleted, and let in; let in, and refused; a session or token that outlives it.
    [after("disable", 0), enter(2, "word")],
    [after("disable", 0), ("login", 0, 2, 3, None, 0)],
    [after("disable", 0), after("enable", 2), enter(4, "word", REFUSED)],
    [LOGIN, after("disable", 2), ("who", 0, 4, 5, None, 0)],
    [TOKEN, after("disable", 2), ("who", "t", 4, 5, None, 0)],
    [TOKEN, after("disable", 2), after("enable", 4), ("who", "t", 6, 7, None, 0)],
    [after("delete", 0), enter(2, "word")],
    [after("delete", 0), after("enable", 2)],
    [LOGIN, after("delete", 2), ("who", 0, 4, 5, None, 0)],
    # A token that was revoked, or that others' logout has not ended and is refused.
    [TOKEN, ("drop", "t", 2, 3, None, 0), ("who", "t", 4, 5, None, 0)],
    [TOKEN, ("drop", "t", 2, 9, None, 0), ("who", "t", 3, 4, REFUSED, 0),
     ("who", "t", 5, 6, None, 0)],
    [TOKEN, ("logout", 0, 2, 3, None, 0), ("who", "t", 4, 5, REFUSED, 0)],
    [TOKEN, ("login", 0, 2, 3, None, 0), ("revoke", 0, 4, 5, None, 0),
     ("who", "t", 6, 7, None, 0)]])
def test_checker_rejects(calls):
    assert not linearizable(history(*calls))


# --- The server's histories. ----------------------------------------------------------------------

BASKETS = ("login", "login", "logout", "revoke", "who", "who", "who", "add", "add", "basket")
ACCOUNTS = ("login", "login", *("enter", "token") * 3, *("who",) * 8, "drop", "logout", "revoke",
            "password", "disable", *("enable",) * 4)


@dataclasses.dataclass
class Shop:
    """What the clients of one history share."""
    server: object
    proof: dict
    login: str
    number: int
    mix: tuple
    memory: object = None
    tokens: dict = dataclasses.field(default_factory=dict)  # the last ones: name, text


class Client:
    """Acts for a while, each call behind the other, and notes what it was answered."""

    def __init__(self, shop, number, seed):
        self.shop, self.number, self.random, self.calls = shop, number, random.Random(seed), []
        self.wires = {}

    def draw(self, last):
        """The next call. One client deletes in the end, if at all."""
        what, token = self.random.choice(self.shop.mix), None
        if last and self.number == 0 and "password" in self.shop.mix:
            what = "delete"
        call = Call(what, self.random.randrange(SESSIONS), 0, pieces=self.random.randint(1, 3),
                    word=self.random.choice(("word", "word", "other")))
        if what == "token":
            call.session = f"t{self.number}.{len(self.calls)}"
        elif what in ("who", "drop") and self.shop.tokens and (
                what == "drop" or self.random.randrange(2)):
            call.session, token = self.random.choice(list(self.shop.tokens.items()))
        elif what == "drop":
            call.what = "who"
        return call, token

    def raw(self, call, token):
        proof, path = self.shop.proof, f"/admin/customers/{self.shop.number}"
        headers = {"X-Api-Key": proof["app"],
                   "Session-Id": f"{AUTH}{self.shop.login}s{call.session}"}
        anonymous = {**headers, "Session-Id": f"{ANON}{self.shop.login}s{call.session}"}
        operator = {"X-Api-Key": proof["boss"]}
        if call.what == "who" and token:
            headers = {"Authorization": token}
        return request_bytes(*{
            "login": ("POST", "/session/login", anonymous, {"login": self.shop.login}),
            "enter": ("POST", "/api/login/", anonymous, {"username": self.shop.login,
                                                         "password": call.word}),
            "token": ("POST", SIGN_IN, {"x-dw-client-id": proof["web"], "Authorization":
                                        basic(self.shop.login, call.word)},
                      {"type": "credentials"}),
            "drop": ("POST", "/token/revoke",
                     {"X-Api-Key": proof["service"],
                      "Content-Type": "application/x-www-form-urlencoded"},
                     b"token=" + (token or "").partition(" ")[2].encode()),
            "add": ("POST", "/api/basket/add-product/", headers,
                    {"url": "/api/products/1/", "quantity": call.pieces}),
            "logout": ("DELETE", "/api/login/", headers),
            "revoke": ("DELETE", "/session?all=1", headers),
            "who": ("GET", "/resolve", headers),
            "basket": ("GET", "/api/basket/", headers),
            "password": ("PUT", path + "/password", operator, {"password": call.word}),
            "disable": ("PATCH", path, operator, {"state": "disabled"}),
            "enable": ("PATCH", path, operator, {"state": "enabled"}),
            "delete": ("DELETE", path, operator)}[call.what])

    def result(self, call, r):
        if r.status in (401, 403, 404) and call.what not in ("logout", "drop"):
            return REFUSED
        assert r.status in (200, 204, 401), (call, r)
        if call.what == "token":
            self.shop.tokens[call.session] = r.get("Authorization")
        if call.what in ("add", "basket"):  # ten a piece
            return int(float(r.json["total_excl_tax"]) / 10)
        return None

    def ask(self, call, raw):
        """The answer, on the connection that is there; None where the outcome is unknown."""
        server = self.shop.server
        port = (server.ops_port if call.what in ("password", "disable", "enable", "delete")
                else server.port)
        call.sent = time.monotonic()
        try:
            if port not in self.wires:
                self.wires[port] = Wire(port)
            r = self.wires[port].send(raw).response()
        except (Closed, OSError):
            return None
        if r.status == 503:
            return None
        call.answered = time.monotonic()
        if r.get("Connection") == "close":  # a refusal in front of a body
            self.wires.pop(port).socket.close()
        return r

    def make(self, call, token=None):
        """False where the outcome is unknown."""
        memory = self.shop.memory
        self.calls.append(call)
        r = self.ask(call, self.raw(call, token))
        if r is None:
            return False
        call.result = self.result(call, r)
        if memory is not None and call.what in ("who", "basket", "enter"):
            call.result = memory.setdefault((call.what, call.session, call.word if call.what ==
                                             "enter" else ""), call.result)
        return True

    def leave(self):
        for wire in self.wires.values():
            wire.socket.close()

    def act(self, start):
        start.wait()
        for i in range(CALLS):
            if not self.make(*self.draw(i == CALLS - 1)):
                break
        self.leave()

    def each_session(self, *kinds):
        """Before all others, and behind them: each session begins, and what has become of it."""
        for session in range(SESSIONS):
            for what in kinds:
                if not self.make(Call(what, session, 0)):
                    return


def serve(store):
    proof = {name: store.key(name, scope) for name, scope in (
        ("app", "trusted,login"), ("web", "shop"), ("service", "resolve"), ("boss", "admin"))}
    store.run("product", "import", "-",
              stdin='{"id":"1","name":"Mug","price":"10.00","currency":"EUR"}\n')
    return store.serve(workers=2, allow=DEATHS, max_sessions_per_customer=0, login_throttle="off",
                       login_throttle_address="off", enforce_https="off"), proof


def writes_again(server, proof):
    """Through whichever front it comes."""
    headers = {"X-Api-Key": proof["app"], "Session-Id": ANON + "nobody"}
    return all(server.request("DELETE", "/session", headers).status != 503 for _ in range(8))


def take_history(store, server, proof, login, seed, mix, kill=None, memory=None):
    shop = Shop(server, proof, login, store.customer(login, "word"), mix, memory)
    clients = [Client(shop, i, seed * 100 + i) for i in range(CLIENTS)]
    watcher = Client(shop, CLIENTS, seed)
    watcher.each_session("login", "who")
    start = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        acting = [pool.submit(client.act, start) for client in clients]
        start.set()
        if kill is not None:
            time.sleep(kill)
            for pid in server.child("writer"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for one in acting:
            one.result()
    watcher.each_session("who")
    watcher.leave()
    return [call for client in (watcher, *clients) for call in client.calls]


def test_histories(store):
    """S08: every history of the server is linearizable, the writer killed or not."""
    seed, time_s = int(os.environ.get("SEED", 1)), float(os.environ.get("TORTURE_S", 0))
    server, proof = serve(store)
    chance, rounds, calls, unknown, kinds = random.Random(seed), 0, 0, 0, {}
    end = time.monotonic() + time_s
    while rounds < ROUNDS or time.monotonic() < end:
        rounds += 1
        kill = chance.uniform(0, 0.05) if rounds % 4 == 0 else None
        taken = take_history(store, server, proof, f"c{rounds}", seed * 10000 + rounds,
                             ACCOUNTS if rounds % 2 else BASKETS, kill)
        assert linearizable(taken), (seed, rounds, sorted(taken, key=lambda call: call.sent))
        calls += len(taken)
        unknown += sum(call.answered == math.inf for call in taken)
        for call in taken:
            kind = call.what, "refused" if call.result == REFUSED else "done"
            kinds[kind] = kinds.get(kind, 0) + (call.answered < math.inf)
        if kill is not None:
            wait_until(lambda: writes_again(server, proof), "both fronts have a writer again")
    print(f"linear: seed {seed}: {rounds} histories of {calls} calls, {unknown} of them without "
          f"an answer, all linearizable: {kinds}")
    assert calls > rounds * CLIENTS * CALLS / 2
    assert set(BASKETS + ACCOUNTS) | {"delete"} == {what for what, how in kinds if how == "done"}
    assert {"login", "enter", "token", "who"} <= {what for what, how in kinds if how == "refused"}


@pytest.mark.parametrize("mix", [BASKETS, ACCOUNTS], ids=["baskets", "accounts"])
def test_lies_are_seen(store, mix):
    """The test of the test: where clients remember the first answer to a question, as a cache
    does that nobody empties, no order explains it in most histories."""
    server, proof = serve(store)
    seen = sum(not linearizable(take_history(store, server, proof, f"c{i}", i, mix, memory={}))
               for i in range(12))
    assert seen >= 6, seen
