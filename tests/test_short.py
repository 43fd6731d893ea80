"""A short run through all of it: what must work on any processor.

EMULATED names the processor where it is not this one's (make cross).
"""

import re

import pytest

import conftest

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"


def short_run(store, who="ada", **options):
    """Commands, sessions by header and by cookie, their data, revocation, a restart, a check; the
    servers are started with `options`."""
    key = {"X-Api-Key": store.key(f"shop-{who}", "trusted,login")}
    ada = store.customer(who)
    options = {"login_throttle": "off", "login_throttle_address": "off", **options}
    server = store.serve(**options)
    assert server.get("/readyz").status == 200
    assert server.resolve(key).get("X-Session-Kind") == "none"
    guest = server.resolve({**key, "Session-Id": ANON + "a"})
    assert (guest.status, guest.get("X-Session-Kind")) == (204, "guest")
    assert server.login(ANON + "a", who, "wrong", key).status == 401
    assert server.login(ANON + "a", who, headers=key).get("Session-Id") == AUTH + "a"
    assert server.resolve({**key, "Session-Id": AUTH + "a"}).get("X-Customer-Id") == str(ada)
    put = server.request("PATCH", "/session/data", {**key, "Session-Id": AUTH + "a",
                         "Content-Type": "application/merge-patch+json"}, b'{"size": "L"}')
    assert put.status == 200, put
    cookie = server.request("POST", "/api/login/", key, {"username": who, "password": who})
    assert cookie.cookies["sidecart_session"], cookie
    server.stop()
    server = store.serve(**options)
    kept = server.get("/session/data", {**key, "Session-Id": AUTH + "a"})
    assert kept.json == {"size": "L"}
    assert store.run("session", "revoke", "--customer", who) is not None
    assert server.resolve({**key, "Session-Id": AUTH + "a"}).status == 401
    assert server.get("/nowhere").status == 404
    server.stop()
    store.run("check")


def test_short_run(store):
    short_run(store)


def test_short_map_sizes(store):
    """A map as large as the processor's addresses allow is taken; one larger is refused, and the
    line says what would be right."""
    store.run("key", "add", "k", "--map-size=1G")
    store.run("key", "add", "l", "--map-size=17000G", code=100)
    assert "is no size" in store.errors
    if conftest.EMULATED.startswith("arm-"):
        store.run("key", "add", "l", "--map-size=4G", code=100)
        assert "32M to 2G" in store.errors


@pytest.mark.skipif(not conftest.EMULATED, reason="here the filter itself is at work")
def test_short_system_calls(store):
    """The emulator has no seccomp: what each process calls once it is ready is looked up in its
    list."""
    emulator, binary = conftest.BIN.read_text().split()[2:4]
    trace = store.path.parent / "calls"
    store.customer("ada")
    server = store.serve(through=(emulator, "-strace", "-D", trace), binary=binary, sid_trust="any",
                         map_size="32M")
    assert server.login(ANON + "a", "ada").status == 200
    kinds = {pid: name.split(":")[1] for pid, name in server.children().items()}
    assert set(kinds.values()) == {"front", "writer", "hasher"}
    for i in range(50):
        assert server.request("PATCH", "/session/data", {
            "Session-Id": f"{ANON}b{i}", "Content-Type": "application/merge-patch+json"},
            b'{"size": "%s"}' % (b"L" * 3000)).status == 200
    assert server.get("/api/products/").status == 200
    server.stop()
    source = (conftest.ROOT / "seccomp.c").read_text()
    listed = {name: set(roles.lower().split("|")) for name, roles in
              re.findall(r"\{ __NR_(\w+),\s+([A-Z|]+),", source)}
    ready, called = set(), 0
    for pid, name in re.findall(r"\b(\d+) ([a-z_]\w+)\(", trace.read_text(errors="replace")):
        kind = kinds.get(int(pid))
        if kind and pid in ready:
            assert {kind, "all"} & listed.get(name, set()), (kind, name)
            called += 1
        if name == "sendmsg":  # the first is the word that it is ready, behind the filter
            ready.add(pid)
    assert called > 500 and {int(pid) for pid in ready} >= set(kinds)
