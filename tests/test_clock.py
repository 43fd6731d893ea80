"""The time that sessions are judged by never goes back (requirement S07)."""

import math
import re
import struct
import time

import lmdb

from conftest import wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
NOW = b"Mnow_s"
BEHIND = "event=clock_step by_s=-"


def kept(store, by_s=0):
    """The time that the store holds, set on by so many seconds."""
    with lmdb.open(str(store.path), map_size=64 << 20) as environment, \
            environment.begin(write=by_s != 0) as transaction:
        now_s, = struct.unpack("<Q", transaction.get(NOW))
        if by_s:
            transaction.put(NOW, struct.pack("<Q", now_s + by_s))
    return now_s + by_s


def steps(server):
    return re.findall(r"level=(\w+) process=writer event=clock_step by_s=(-?\d+)", server.log())


def test_a_clock_set_back_revives_nothing(store):
    """What expired while the clock was ahead stays so behind a restart: sessions, keys."""
    key = {"X-Api-Key": store.key("app", "trusted")}
    soon = {"X-Api-Key": store.key("soon", "trusted", "--expires=30m")}
    store.customer("ada")
    wall = time.time() - time.monotonic()
    server = store.serve(session_ttl="10m")
    assert server.login(ANON + "old", "ada", headers=key).status == 200
    assert server.resolve({**soon, "Session-Id": AUTH + "old"}, "customer").status == 204
    before = int(time.time())
    server.stop()
    assert steps(server) == [] and kept(store) >= before, "a clean end keeps the time"
    assert len(store.records("session", "list")) == 1
    ahead = store.records("stat")[0]["clock_ahead_s"]
    set_back = wall - (time.time() - time.monotonic())      # by whoever sets the machine's clock
    assert ahead == 0 or ahead <= math.ceil(set_back)

    kept(store, 3700)
    assert store.records("session", "list") == []
    server = store.serve(session_ttl="10m", allow=BEHIND)
    assert server.resolve({**key, "Session-Id": AUTH + "old"}).status == 401
    assert server.resolve(soon).status == 403
    (level, by_s), = wait_until(lambda: steps(server), "the log tells")
    assert level == "warn" and -3700 <= int(by_s) < -3600
    assert server.login(ANON + "new", "ada", headers=key).status == 200
    assert server.resolve({**key, "Session-Id": AUTH + "new"}, "customer").status == 204
    assert store.records("session", "list")[0]["login"] == "ada"
    assert 3000 < store.records("stat")[0]["clock_ahead_s"] <= 3700
    server.stop()
    assert store.records("check")[0]["problems"] == 0

    store.run("session", "revoke", "--all")
    assert "set back by 3" in store.errors
    assert store.records("stat")[0]["clock_ahead_s"] == 0
    server = store.serve(session_ttl="10m")
    for name in ("old", "new"):
        assert server.resolve({**key, "Session-Id": AUTH + name}).status == 401
    assert server.login(ANON + "next", "ada", headers=key).status == 200
    assert steps(server) == []


def test_while_no_server_ran(store):
    """Time goes on without it; the log says by how much, and what expired has expired."""
    key = {"X-Api-Key": store.key("app", "trusted")}
    store.customer("ada")
    server = store.serve(session_ttl="10m")
    assert server.login(ANON + "a", "ada", headers=key).status == 200
    server.stop()
    kept(store, -7201)
    server = store.serve(session_ttl="10m")
    (level, by_s), = wait_until(lambda: steps(server), "the log tells")
    assert level == "info" and 7200 <= int(by_s) <= 7260
    assert server.resolve({**key, "Session-Id": AUTH + "a"}, "customer").status == 204


def test_an_idle_server_commits_seldom(store):
    """The time has a commit of its own once a minute, not once a second."""
    server = store.serve()
    server.get("/readyz")
    first = store.records("stat")[0]["last_snapshot"]  # takes more than a second itself
    store.records("stat")
    assert store.records("stat")[0]["last_snapshot"] - first <= 1
