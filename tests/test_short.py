"""A short run through all of it: what must work on any processor.

EMULATED names the processor where it is not this one's (make cross).
"""

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


