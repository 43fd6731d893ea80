"""D09, S11: what the log tells of logins, logouts and changes, and what it never does."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess

import pytest

from conftest import BIN, SECRET, request_bytes

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
SYSLOG = pathlib.Path("/dev/log")


def said(server):
    return re.findall(r"process=writer event=(log\w+|customer_added) key=(\S+) (.*)", server.log())


def test_a_full_walk(store):
    """Each login, logout and registration is one line; none has a password, an API key, a session,
    a cookie, a token or a login in full; and so with a line for every request."""
    key = store.key("app", "trusted,login")
    ada = store.customer("ada-the-login", "swordfish-1")
    server = store.serve(log_requests="all", log_level="debug", register="on",
                         sid_trust="any", expose_user_details="on")
    headers = {"X-Api-Key": key}
    visitor = "visitors.identifier"
    assert server.login(ANON + visitor, "ada-the-login", "swordfish-1", headers).status == 200
    assert server.login(ANON + visitor, "ada-the-login", "wrong-pass-2", headers).status == 401
    by_header = {**headers, "Session-Id": AUTH + visitor}
    assert server.get("/api/basket/", by_header).status == 200
    assert server.get(f"/nowhere/{visitor}?key={key}", by_header).status == 404
    assert server.resolve({**by_header, "X-Forwarded-Uri": f"/a?token={visitor}"}).status == 204
    assert server.request("PATCH", "/session/data", by_header, {"a": "kept-secret-3"}).status == 200
    session_key = server.get("/session", by_header).json["session_key"]
    assert server.request("DELETE", "/api/login/", by_header).status in (200, 204)

    r = server.request("POST", "/session/login", headers, {"login": "ada-the-login"})
    assert r.status == 200
    cookie, csrf = r.cookies["sidecart_session"][0], r.cookies["sidecart_csrf"][0]
    by_cookie = {"Cookie": f"sidecart_session={cookie}; sidecart_csrf={csrf}",
                 "X-CSRFToken": csrf}
    assert server.request("DELETE", "/session?all=1", by_cookie).status == 204
    r = server.request("POST", "/api/register/", {}, {
        "email": "eve@shop.example", "password1": "hammerhead-4", "password2": "hammerhead-4"})
    assert r.status == 201
    store.run("session", "revoke", "--all")

    shown = session_key[:8]
    lines = said(server)
    assert lines[0] == ("login", '"app"', f"customer={ada} session={shown} via=header "
                                          "address=127.0.0.1")
    assert lines[1] == ("logout", '"app"', f"customer={ada} session={shown} via=header "
                                           "address=127.0.0.1")
    assert lines[2][:2] == ("login", '"app"') and "via=cookie" in lines[2][2]
    assert lines[3][0] == "logout" and "of=all" in lines[3][2]
    assert lines[4] == ("customer_added", '"-"', f"customer={ada + 1}")
    assert len(lines) == 5
    requests = re.findall(r"event=request method=\"(\S+)\" route=(\S+) status=(\d+) us=\d+ "
                          r"bytes=(\d+)", server.log())
    assert ("POST", "/api/login/", "200") in [r[:3] for r in requests]
    assert ("GET", "-", "404") in [r[:3] for r in requests]
    assert all(int(r[3]) > 50 for r in requests)
    server.stop()
    for secret in (key, "swordfish-1", "wrong-pass-2", "hammerhead-4", "kept-secret-3", visitor,
                   session_key, cookie, csrf, SECRET.decode(), "ada-the-login", "eve@shop",
                   (store.path / "seal.key").read_text().strip()):
        assert secret not in server.log(), secret


def test_sampled(store):
    server = store.serve(log_requests="1/10")
    with server.wire() as wire:
        for _ in range(100):
            wire.send(request_bytes("GET", "/healthz"))
            assert wire.response().status == 200
    server.stop()
    assert server.log().count("event=request") == 10


def test_bytes_are_what_was_sent(store):
    server = store.serve(log_requests="all")
    with server.wire() as wire:
        wire.send(request_bytes("GET", "/openapi.json", {"Connection": "close"}))
        sent = len(wire.rest())
    server.stop()
    assert "route=/openapi.json status=200" in server.log()
    assert f" bytes={sent} " in server.log()


@pytest.fixture
def syslog():
    """Who keeps the system's log, for commands; None where somebody does already."""
    if os.geteuid() != 0 or SYSLOG.exists() or SYSLOG.is_symlink():
        pytest.skip("there is a /dev/log, or it cannot be made")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(SYSLOG))
        yield listener
        SYSLOG.unlink()


CHANGES = [
    (["key", "add", "web", "--value", "key-value-1"], "", 'event=key_add on="web"'),
    (["key", "disable", "web"], "", 'event=key_disable on="web"'),
    (["key", "revoke", "web"], "", 'event=key_revoke on="web"'),
    (["customer", "add", "ada-login", "--password-stdin", "--password-iterations=1000"],
     "swordfish\n", "event=customer_add customer=1"),
    (["customer", "set-password", "ada-login", "--password-stdin", "--password-iterations=1000"],
     "hammerhead\n", "event=customer_set-password customer=1"),
    (["customer", "disable", "ada-login"], "", "event=customer_disable customer=1"),
    (["customer", "enable", "ada-login"], "", "event=customer_enable customer=1"),
    (["session", "revoke", "--customer", "ada-login"], "", "event=session_revoke customer=1"),
    (["session", "revoke", "--all"], "", "event=session_revoke of=all sessions_ended=0"),
    (["token", "rotate"], "", "event=token_rotate kid="),
    (["customer", "delete", "ada-login"], "", "event=customer_delete customer=1"),
]


def test_commands_in_the_systems_log(store, syslog):
    """Each change is one line there; what changes nothing is none."""
    for arguments, stdin, words in [*CHANGES, (["key", "list"], "", None),
                                    (["customer", "list"], "", None), (["check"], "", None),
                                    (["key", "disable", "nobody"], "", None)]:
        process = subprocess.Popen([BIN, *arguments, f"--data={store.path}"], text=True,
                                   env=store.environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, errors = process.communicate(stdin)
        assert "event=" not in errors
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:     # other commands of this machine may be heard, too
                lines.append(syslog.recv(4096, socket.MSG_DONTWAIT).decode())
        lines = [line for line in lines if line.startswith(f"<86>sidecart[{process.pid}]: event=")]
        if words is None:
            assert not lines
            continue
        assert len(lines) == 1 and words in lines[0]
        assert lines[0].endswith(f" uid={os.getuid()} exit=0")
        for secret in ("key-value-1", "swordfish", "hammerhead", "ada-login"):
            assert secret not in lines[0]


def test_without_a_systems_log(store):
    if not SYSLOG.exists():
        store.run("key", "add", "web")
        assert "event=" not in store.errors
