"""HTTP/1.1 on the wire: framing, order, limits, timeouts (requirements H01 to H36, L01 to L06)."""

import base64
import concurrent.futures
import contextlib
import json
import re
import resource
import subprocess
import sys
import threading
import time

import pytest

from conftest import (ROOT, SANITIZED, WAIT_S, Closed, Wire, corpora, request_bytes, wait_until)

SID = "SID:ANON:127.0.0.1:wire"
GET = "GET /session HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = "POST /api/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
TE = POST + "Transfer-Encoding: chunked\r\n\r\n"
NEXT = GET + "\r\n"
BAD = {400}


@pytest.fixture(scope="module")
def server(module_store):
    module_store.customer("ada")
    return module_store.serve(sid_trust="any", login_throttle="off",
                              login_throttle_address="off")


def logged_in(server, identifier):
    assert server.login(f"SID:ANON:127.0.0.1:{identifier}", "ada").status == 200
    return {"Session-Id": f"SID:AUTH:127.0.0.1:{identifier}"}


# Every line: what it is, the bytes, the statuses that refuse it. A refusal is one response,
# `Connection: close`, FIN; what follows is never parsed.
REFUSED = [
    ("H01 both lengths", POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     BAD),
    ("H01 both, other order",
     POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD),
    ("H02 chunked in 1.0", TE.replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n", BAD),
    ("H03 chunked not last", POST + "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD | {501}),
    ("H03 identity", POST + "Transfer-Encoding: identity\r\n\r\n", BAD | {501}),
    ("H04 unknown coding", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n", {501}),
    ("H04 chunked twice", POST + "Transfer-Encoding: chunked, chunked\r\n\r\n", BAD),
    ("H04 two fields",
     POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", BAD),
    ("H05 xchunked", POST + "Transfer-Encoding: xchunked\r\n\r\n", BAD | {501}),
    ("H05 parameter", POST + "Transfer-Encoding: chunked;q=1\r\n\r\n", BAD | {501}),
    ("H05 VT", POST + "Transfer-Encoding: \x0bchunked\r\n\r\n", BAD | {501}),
    ("H05 FF", POST + "Transfer-Encoding: chunked\x0c\r\n\r\n", BAD | {501}),
    ("H05 NUL", POST + "Transfer-Encoding: chunked\x00\r\n\r\n", BAD | {501}),
    ("H05 0x85", POST + "Transfer-Encoding: \x85chunked\r\n\r\n", BAD | {501}),
    ("H05 0xA0", POST + "Transfer-Encoding: chunked\xa0\r\n\r\n", BAD | {501}),
    ("H06 plus", POST + "Content-Length: +1\r\n\r\nx", BAD),
    ("H06 minus", POST + "Content-Length: -1\r\n\r\nx", BAD),
    ("H06 blank inside", POST + "Content-Length: 1 1\r\n\r\nx", BAD),
    ("H06 hex", POST + "Content-Length: 0x1\r\n\r\nx", BAD),
    ("H06 underscore", POST + "Content-Length: 1_0\r\n\r\nx", BAD),
    ("H06 empty", POST + "Content-Length:\r\n\r\nx", BAD),
    ("H06 list", POST + "Content-Length: 1,2\r\n\r\nx", BAD),
    ("H06 over 2^63-1", POST + "Content-Length: 9223372036854775808\r\n\r\nx", BAD),
    ("H06 over 2^64", POST + "Content-Length: 18446744073709551617\r\n\r\nx", BAD),
    ("H07 equal lengths", POST + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", BAD),
    ("H07 equal list", POST + "Content-Length: 1, 1\r\n\r\nx", BAD),
    ("H08 other lengths", POST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", BAD),
    ("H09 blank before colon", GET + "X-A : b\r\n\r\n", BAD),
    ("H09 tab before colon", GET + "X-A\t: b\r\n\r\n", BAD),
    ("H10 folded line", GET + "X-A: b\r\n c\r\n\r\n", BAD),
    ("H10 folded by tab", GET + "X-A: b\r\n\tc\r\n\r\n", BAD),
    ("H11 blank before first field", "GET / HTTP/1.1\r\n Host: 127.0.0.1\r\n\r\n", BAD),
    ("H12 CR in a value", GET + "X-A: b\rc\r\n\r\n", BAD),
    ("H12 CR in the request line", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H12 CR CR LF", GET + "X-A: b\r\r\n\r\n", BAD),
    ("H13 bare LF ends a field", GET + "X-A: b\n\r\n", BAD),
    ("H13 bare LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", BAD),
    ("H13 bare LF ends the head", GET + "\n", BAD),
    ("H14 NUL in a value", GET + "X-A: b\x00c\r\n\r\n", BAD),
    ("H14 DEL in a value", GET + "X-A: b\x7fc\r\n\r\n", BAD),
    ("H14 ESC in a value", GET + "X-A: b\x1bc\r\n\r\n", BAD),
    ("H15 bracket in a name", GET + "X[A: b\r\n\r\n", BAD),
    ("H15 brace in a name", GET + "X{A: b\r\n\r\n", BAD),
    ("H15 slash in a name", GET + "X/A: b\r\n\r\n", BAD),
    ("H15 byte over 0x80 in a name", GET + "X\x80A: b\r\n\r\n", BAD),
    ("H15 empty name", GET + ": b\r\n\r\n", BAD),
    ("H15 no colon", GET + "X-A\r\n\r\n", BAD),
    ("H16 no Host", "GET / HTTP/1.1\r\n\r\n", BAD),
    ("H16 two Hosts", GET + "Host: 127.0.0.1\r\n\r\n", BAD),
    ("H16 Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD),
    ("H16 Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD),
    ("H16 Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD),
    ("H16 Host with a bad port", "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n", BAD),
    ("H18 two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H18 two blanks behind", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H18 tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H18 trailing blank", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BAD),
    ("H18 leading blank", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H18 no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H18 HTTP/0.9", "GET /\r\n\r\n", BAD | {505}),
    ("H18 blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    ("H19 HTTP/1.32", "GET / HTTP/1.32\r\nHost: a\r\n\r\n", BAD | {505}),
    ("H19 lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", BAD | {505}),
    ("H19 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", BAD | {505}),
    ("H19 HTTP/1.2 with no Host", "GET / HTTP/1.2\r\n\r\n", BAD | {505}),
    ("H20 target", f"GET /{'a' * 2100} HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
    ("H20 target before head", f"GET /{'a' * 20000} HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
    ("H20 head", GET + f"X-A: {'a' * 9000}\r\n\r\n", {431}),
    ("H20 fields", GET + "X-A: b\r\n" * 70 + "\r\n", {431}),
    ("H21 long method", f"{'A' * 40} / HTTP/1.1\r\nHost: a\r\n\r\n", {501}),
    ("H22 hex prefix", TE + "0x1\r\na\r\n0\r\n\r\n", BAD),
    ("H22 plus", TE + "+1\r\na\r\n0\r\n\r\n", BAD),
    ("H22 minus", TE + "-1\r\na\r\n0\r\n\r\n", BAD),
    ("H22 blank", TE + " 1\r\na\r\n0\r\n\r\n", BAD),
    ("H22 underscore", TE + "1_0\r\na\r\n0\r\n\r\n", BAD),
    ("H22 seventeen digits", TE + "00000000000000001\r\na\r\n0\r\n\r\n", BAD | {413}),
    ("H22 overflow", TE + "fffffffffffffffff\r\na\r\n0\r\n\r\n", BAD | {413}),
    ("H23 data without CRLF", TE + "1\r\nab\r\n0\r\n\r\n", BAD),
    ("H23 LF after data", TE + "1\r\na\n0\r\n\r\n", BAD),
    ("H23 LF after the size", TE + "1\na\r\n0\r\n\r\n", BAD),
    ("H23 LF in the trailer", TE + "0\r\nX-A: b\n\r\n", BAD),
    ("H24 extensions over 1 KiB", TE + f"1;x={'a' * 1100}\r\na\r\n0\r\n\r\n", BAD | {413}),
    ("H24 many small extensions", TE + "1;x=aaaaaaaaaaaaaaaaaaa\r\na\r\n" * 70 + "0\r\n\r\n",
     BAD | {413}),
    ("H25 folded trailer", TE + "0\r\nX-A: b\r\n c\r\n\r\n", BAD),
    ("H25 bad trailer name", TE + "0\r\nX A: b\r\n\r\n", BAD),
    ("H25 huge trailer", TE + "0\r\n" + f"X-A: {'b' * 900}\r\n" * 12 + "\r\n", {400, 413, 431}),
    ("H26 declared body over the limit", POST + "Content-Length: 70000\r\n\r\n", {413}),
    ("H26 chunk over the limit", TE + "11171\r\n", {413}),
    ("H29 two empty lines", "\r\n\r\n" + NEXT, BAD),
    ("H29 junk", "junk\r\n" + NEXT, BAD),
    ("H31 other expectation", POST + "Content-Length: 2\r\nExpect: a-miracle\r\n\r\n{}", {417}),
    ("H32 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", {400, 405, 501}),
    ("H32 TRACE", "TRACE /session HTTP/1.1\r\nHost: a\r\n\r\n", {405, 501}),
]


@pytest.mark.parametrize("raw,statuses", [row[1:] for row in REFUSED],
                         ids=[row[0] for row in REFUSED])
def test_refused(server, raw, statuses):
    """One 4xx or 5xx, Connection: close, FIN, and the request behind it is never answered."""
    with server.wire() as wire:
        wire.send(raw + NEXT)
        r = wire.response()
        assert r.status in statuses, r
        assert r.get("Connection") == "close", r
        assert wire.ended()


@pytest.mark.parametrize("raw,statuses", [row[1:] for row in REFUSED],
                         ids=[row[0] for row in REFUSED])
def test_refused_byte_by_byte(server, raw, statuses):
    """H33: the same answer for a byte at a time."""
    with server.wire() as whole, server.wire() as split:
        first = whole.send(raw + NEXT).response()
        second = split.send_bytewise((raw + NEXT).encode("latin-1")).response()
        assert (first.status, first.body) == (second.status, second.body)
        assert split.ended()


def test_refusal_lingers(store, clock):
    """9112 section 9.6: what is still on its way gets no reset that eats the answer."""
    with store.serve().wire() as wire:
        wire.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
        wire.response()
        for _ in range(20):
            wire.send("x" * 1000)
            time.sleep(0.005)
        assert wire.ended()


def test_lingering_is_bounded(server):
    """A peer that never closes after a refusal is let go within a second or so."""
    with server.wire() as wire:
        wire.send("BROKEN\r\n\r\n").response()
        assert wire.ended()

        def gone():
            try:
                wire.send("x")
            except ConnectionError:
                return True
            return False
        wait_until(gone, "the server drops the connection", 10)


ACCEPTED = [
    ("H17 absolute-form", "GET http://127.0.0.1/session HTTP/1.1\r\nHost: other\r\n\r\n", 200),
    ("H29 one empty line", "\r\n" + NEXT, 200),
    ("H14 tab in a value", GET + "X-A: b\tc\r\n\r\n", 200),
    ("obs-text in a value", GET + "X-A: b\xe9c\r\n\r\n", 200),
    ("no blank after the colon", GET + "X-A:b\r\n\r\n", 200),
    ("empty value", GET + "X-A:\r\n\r\n", 200),
    ("H35 names in any case", "GET /session HTTP/1.1\r\nhOsT: 127.0.0.1\r\n\r\n", 200),
    ("HTTP/1.0 without Host", "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
    ("H22 sixteen digits", TE + "0000000000000002\r\n{}\r\n0\r\n\r\n", 401),
    ("chunked", TE + "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 401),
    ("chunked, upper case", TE.replace("chunked", "Chunked") + "2\r\n{}\r\n0\r\n\r\n", 401),
    ("H24 extension", TE + "2;a=b;c=\"d\"\r\n{}\r\n0\r\n\r\n", 401),
    ("H25 trailer", TE + "2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n", 401),
    ("empty chunked body", TE + "0\r\n\r\n", 401),
    ("leading zeros of a length", POST + "Content-Length: 002\r\n\r\n{}", 401),
]


@pytest.mark.parametrize("raw,status", [row[1:] for row in ACCEPTED],
                         ids=[row[0] for row in ACCEPTED])
def test_accepted(server, raw, status):
    """The connection goes on: the request behind it is answered, whole and byte by byte."""
    for sending in ("send", "send_bytewise"):
        with server.wire() as wire:
            getattr(wire, sending)((raw + NEXT).encode("latin-1"))
            assert wire.response().status == status
            assert wire.response().json["session_kind"] == "none"


def test_cut_at_every_offset(server):
    """H33: a pipeline of a read, a chunked write and a read, cut in two at every offset."""
    auth = logged_in(server, "cut")
    raw = (request_bytes("GET", "/session", auth) +
           (TE + "2\r\n{}\r\n0\r\n\r\n").encode() + request_bytes("GET", "/session", auth))
    for cut in range(1, len(raw)):
        with server.wire() as wire:
            wire.send(raw[:cut])
            time.sleep(0.0005)
            wire.send(raw[cut:])
            assert [wire.response().status for _ in range(3)] == [200, 401, 200], cut


def test_trailers_have_no_effect(server):
    """H25: a trailer is no header."""
    body = json.dumps({"username": "ada", "password": "ada"})
    raw = (TE + f"{len(body):x}\r\n{body}\r\n0\r\n"
           f"Session-Id: {SID}\r\nAuthorization: nokey\r\nX-Api-Key: nokey\r\nCookie: a=b\r\n"
           "Content-Length: 5\r\nHost: other\r\nTransfer-Encoding: gzip\r\n\r\n")
    with server.wire() as wire:
        wire.send(raw + NEXT)
        r = wire.response()
        assert r.get("Session-Id") is None and r.status != 403, r
        assert wire.response().status == 200


def test_absolute_form_sets_the_realm(server):
    """H17: the authority of the target replaces Host, also where a realm is compared."""
    def ask(target, host):
        with server.wire() as wire:
            wire.send(request_bytes("GET", target, {"Session-Id": "SID:ANON:shop.example:a"},
                                    host=host))
            return wire.response().status
    assert ask("http://shop.example:8080/session", "127.0.0.1") == 200
    assert ask("http://127.0.0.1/session", "shop.example") == 403
    assert ask("/session", "shop.example") == 200


def test_pipelining_in_order(server):
    """H28: reads and writes in one segment, answered in order, each seeing what came before."""
    anon = {"Session-Id": "SID:ANON:127.0.0.1:pipe"}
    auth = {"Session-Id": "SID:AUTH:127.0.0.1:pipe"}
    with server.wire() as wire:
        wire.send(
            request_bytes("GET", "/session", anon) +
            request_bytes("POST", "/api/login/", anon, {"username": "ada", "password": "ada"}) +
            request_bytes("GET", "/session", auth) +
            request_bytes("POST", "/api/login/", anon, {"username": "ada", "password": "bad"}) +
            request_bytes("GET", "/session", auth) +
            request_bytes("DELETE", "/api/login/", auth) +
            request_bytes("GET", "/session", auth) +
            request_bytes("GET", "/healthz"))
        got = [wire.response() for _ in range(8)]
    assert [r.status for r in got] == [200, 200, 200, 401, 200, 200, 401, 200]
    assert got[0].json["session_kind"] == "guest"
    assert got[2].json["customer_login"] == "ada"
    assert got[7].body.strip() == b"ok"


def test_deep_pipeline(server):
    """H28: more requests at once than max_pipeline (32), none skipped, none doubled."""
    with server.wire() as wire:
        count = 500
        sender = threading.Thread(target=wire.send, args=(b"".join(
            request_bytes("GET", "/session", {"Session-Id": f"SID:ANON:127.0.0.1:n{i}"})
            for i in range(count)),))
        sender.start()
        echoes = [wire.response().get("Session-Id") for _ in range(count)]
        sender.join()
    assert echoes == [f"SID:ANON:127.0.0.1:n{i}" for i in range(count)]


def test_pipeline_ends_at_close(server):
    """Connection: close: the response says so, FIN, and nothing behind it is answered."""
    with server.wire() as wire:
        wire.send(GET + "Connection: close\r\n\r\n" + NEXT)
        assert wire.response().get("Connection") == "close"
        assert wire.ended()


def test_http10(server):
    """HTTP/1.0 closes by default and says where it does not."""
    with server.wire() as wire:
        wire.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert wire.response().status == 200
        assert wire.ended()
    with server.wire() as wire:
        for _ in range(2):
            wire.send("GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert wire.response().get("Connection").lower() == "keep-alive"


def test_head(server):
    """H30: HEAD answers GET's fields without a body octet."""
    with server.wire() as wire:
        wire.send(request_bytes("GET", "/session") + request_bytes("HEAD", "/session") +
                  request_bytes("HEAD", "/nosuch") + request_bytes("GET", "/session"))
        get, head = wire.response(), wire.response(head_only=True)
        missing, again = wire.response(head_only=True), wire.response()
    assert head.status == 200 and missing.status == 404
    assert head.get("Content-Length") == str(len(get.body))
    assert again.body == get.body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_content_has_no_length(server, method):
    """H30: a 204 carries neither Content-Length nor Transfer-Encoding nor body."""
    with server.wire() as wire:
        wire.send(request_bytes(method, "/resolve?require=any") + NEXT.encode())
        assert wire.response().status == 204
        assert wire.response().status == 200


ALLOWED = [
    ("/api/login/", "PUT", {"GET", "POST", "DELETE", "HEAD", "OPTIONS"}),
    ("/session", "POST", {"GET", "HEAD", "OPTIONS"}),
    ("/session/login", "GET", {"POST", "OPTIONS"}),
    ("/healthz", "POST", {"GET", "HEAD", "OPTIONS"}),
    ("/readyz", "DELETE", {"GET", "HEAD", "OPTIONS"}),
]


@pytest.mark.parametrize("path,method,allow", ALLOWED, ids=[row[0] for row in ALLOWED])
def test_method_not_allowed(server, path, method, allow):
    """H21: 405 with Allow; OPTIONS lists the same."""
    r = server.request(method, path)
    assert r.status == 405, r
    assert set(r.get("Allow").split(", ")) >= allow
    assert method not in r.get("Allow").split(", ")
    options = server.request("OPTIONS", path)
    assert options.status in (200, 204), options
    assert options.get("Allow") == r.get("Allow")


def test_unknown_method(server):
    """H21: a token that is no known method is 405 or 501, and never runs a handler."""
    assert server.request("BREW", "/session").status in (405, 501)
    assert server.request("get", "/session").status in (405, 501)


def test_options_of_the_server(server):
    """`OPTIONS *` is answered, `GET *` is not."""
    assert server.request("OPTIONS", "*").status in (200, 204)
    assert server.request("GET", "*").status in (400, 404)


def test_upgrade_refused(server):
    """H32: no upgrade ever happens, and the connection is closed."""
    with server.wire() as wire:
        wire.send(GET + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + NEXT)
        r = wire.response()
        assert r.status in (400, 405, 501) and r.get("Connection") == "close", r
        assert wire.ended()


def test_expect_continue(server):
    """H31: 100 only where the body is wanted."""
    body = b'{"username":"ada","password":"bad"}'
    head = (POST + f"Session-Id: {SID}\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    with server.wire() as wire:
        wire.send(head)
        assert wire.response(interim=True).status == 100
        wire.send(body)
        assert wire.response().status == 401
    with server.wire() as wire:  # the body came along: no need to say 100
        wire.send(head.encode() + body)
        assert wire.response().status == 401
    with server.wire() as wire:
        wire.send(head.replace(SID, SID + "*"))
        r = wire.response(interim=True)
        assert r.status == 400, "a refused identity wants no body"
    with server.wire() as wire:
        wire.send(head.replace("POST /api/login/", "GET /resolve?require=any"))
        assert wire.response(interim=True).status == 204


def test_early_answer_with_unread_body(server):
    """H27: the body of a request that was refused by its head is drained, or the end comes."""
    bad = {"Session-Id": "SID:AUTH:127.0.0.1:nobody", "Content-Type": "application/json"}
    with server.wire() as wire:
        wire.send(request_bytes("POST", "/api/login/", bad, b"GET /healthz HTTP/1.1\r\n\r\n"))
        wire.send(NEXT)
        assert wire.response().status == 401
        try:
            assert wire.response().json["session_kind"] == "none"
        except Closed as closed:
            assert closed.args[0] == b""


PATHS = [
    "/session%2flogin", "/session%2Flogin", "/session%00", "/session/%2e%2e/session",
    "/session/../session", "/./session", "//session", "/session//login", "/%zzsession",
    "/session%", "/api/../session", "/api/login/..;/x", "/%73ession/%2e",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_reach_no_other_route(server, path):
    """H36: encoded slash, NUL, dots, empty segments are 400 or 404."""
    for method in ("GET", "POST"):
        assert server.request(method, path).status in (400, 404)


def test_path_is_decoded_once(server):
    """H36: each segment is percent-decoded once."""
    assert server.get("/%73ession").status == 200
    assert server.get("/%2573ession").status == 404


@pytest.mark.parametrize("name,value", [
    ("Session-Id", SID), ("Authorization", "nokey"), ("X-Api-Key", "nokey")])
def test_duplicate_proof_fields(server, name, value):
    """H35: a second proof of identity is 400, equal or not, in any spelling of the name."""
    for second in (name, name.upper(), name.lower()):
        for path in ("/session", "/resolve", "/api/login/"):
            r = server.get(path, [(name, value), ("X-A", "b"), (second, value)])
            assert r.status == 400, (path, r)


@pytest.mark.parametrize("name", ["Session_Id", "X_Api_Key", "X_Forwarded_For"])
def test_underscore_is_no_dash(server, name):
    """F06: a name spelt with `_`, which some proxies map to `-`, is never taken for the field."""
    value = {"Session_Id": SID, "X_Api_Key": "nokey", "X_Forwarded_For": "192.0.2.1"}[name]
    r = server.get("/session", {name: value})
    assert r.status == 400 or r.json["session_kind"] == "none"
    assert r.get("Session-Id") is None


def test_nothing_is_injected(server, module_store):
    """H34: no CR, LF or NUL of the input in an answer, raw or encoded."""
    attacks = ["SID:ANON:127.0.0.1:a%0d%0aX-Injected: 1", "SID:ANON:a%0d%0ab:c",
               "SID:ANON:\xe9\xff\"\\:c", "SID:ANON:127.0.0.1:\xe9\xff"]
    other = module_store.serve(sid_trust="any", sid_grammar="oscarapi")
    for running in (server, other):
        for attack in attacks:
            for path in ("/session", "/api/login/", "/resolve?require=any", "/nosuch"):
                with running.wire() as wire:
                    wire.send(request_bytes("GET", path, {"Session-Id": attack}))
                    r = wire.response()
                assert r.get("X-Injected") is None
                assert r.get("Session-Id") in (None, attack)
                for name, value in r.fields:
                    assert not re.search(r"[\r\n\0]", name + value)
                if r.body:
                    r.json  # always valid JSON
        r = running.get("/resolve?require=%0d%0aX-Injected:%201")
        assert r.get("X-Injected") is None


def test_limits_are_settings(store):
    """H20, H26: each limit moves with its setting."""
    server = store.serve(max_target=256, max_head="1K", max_headers=8, max_body="1K")
    assert server.get("/session?" + "a" * 247).status == 200
    assert server.get("/session?" + "a" * 248).status == 414
    assert server.get("/session", {"X-A": "b" * 900}).status == 200
    assert server.get("/session", {"X-A": "b" * 1000}).status == 431
    assert server.get("/session", [("X-A", "b")] * 7).status == 200
    assert server.get("/session", [("X-A", "b")] * 8).status == 431
    for size, status in ((1024, 400), (1025, 413)):
        r = server.request("POST", "/api/login/", {"Content-Type": "application/json"},
                           b"{" + b" " * (size - 1))
        assert r.status == status, size
    with server.wire() as wire:
        wire.send(TE + "400\r\n" + "x" * 1024 + "\r\n1\r\nx\r\n0\r\n\r\n")
        assert wire.response().status == 413
        assert wire.ended()


def test_long_bodies(store):
    """H26: max_body goes up to 1M; what is longer than a packet of the link reaches the writer."""
    store.customer("ada")
    server = store.serve(max_body="1M", workers=2)
    login = b'{"username": "ada", "password": "wrong"'
    for size, status in ((65536, 401), (65537, 401), (1048576, 401), (1048577, 413)):
        body = login + b" " * (size - len(login) - 1) + b"}"
        for headers in ({}, {"Transfer-Encoding": "chunked"}):
            sent = body
            if headers:
                sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in
                                (body[at:at + 50000] for at in range(0, size, 50000)))
                sent += b"0\r\n\r\n"
            with server.wire() as wire:
                wire.send(request_bytes("POST", "/api/login/",
                                        {"Content-Type": "application/json", **headers,
                                         **({} if headers else {"Content-Length": str(size)})}))
                with contextlib.suppress(ConnectionError):      # it is refused before its end
                    wire.send(sent)
                assert wire.response().status == status, (size, headers)


# --- Time: the test's. Whoever asks for /healthz sees the front look at the clock first. ---------

def test_header_timeout(store, clock):
    """L01: 408 and close, absolute from the first byte: a dripping client gains nothing."""
    server = store.serve(header_timeout="30s", idle_timeout="10m")
    with server.wire() as still, server.wire() as dripping:
        still.send(GET)
        dripping.send(GET + "X-A: ")
        for _ in range(30):
            assert server.get("/healthz").status == 200
            assert still.waits() and dripping.send("b").waits()
            clock.later(1)
        for wire in (still, dripping):
            r = wire.response()
            assert r.status == 408 and r.get("Connection") == "close"
            assert wire.ended()


def test_header_timeout_spares_the_idle(store, clock):
    """L01, L03: without a first byte it is the idle timeout that counts."""
    server = store.serve(header_timeout="10s", idle_timeout="10m")
    with server.wire() as wire:
        wire.send(NEXT).response()
        clock.later(599)
        assert server.get("/healthz").status == 200
        assert wire.send(NEXT).response().status == 200


def test_body_timeout(store, clock):
    """L02: a body that does not come is 408 and close, declared or chunked."""
    server = store.serve(body_timeout="30s")
    with server.wire() as declared, server.wire() as chunked:
        declared.send(POST + "Content-Length: 10\r\n\r\n{")
        chunked.send(TE + "5\r\n{")
        for by_s in (0, 29):
            clock.later(by_s)
            assert server.get("/healthz").status == 200
            assert declared.waits() and chunked.waits()
        clock.later(1)
        for wire in (declared, chunked):
            r = wire.response()
            assert r.status == 408 and r.get("Connection") == "close"
            assert wire.ended()


def test_idle_timeout(store, clock):
    """L03: an idle connection is closed without a word, before and after a request."""
    server = store.serve(idle_timeout="30s")
    with server.wire() as fresh, server.wire() as used:
        used.send(NEXT).response()
        clock.later(29)
        assert server.get("/healthz").status == 200
        assert fresh.waits() and used.waits()
        clock.later(1)
        assert fresh.ended()
        assert used.ended()


def test_slow_reader_is_reset(store):
    """L02: a client that does not read its responses is reset after write_timeout."""
    server = store.serve(write_timeout="500ms", header_timeout="60s")
    with server.wire(receive_bytes=4096) as wire:
        burst = NEXT.encode() * 1000
        wire.socket.settimeout(0.3)
        sent = 0
        with pytest.raises((TimeoutError, ConnectionError)):
            while sent < 10_000:
                wire.send(burst)
                sent += 1

        def reset():
            try:
                wire.socket.send(b"x")
            except TimeoutError:
                return False
            except ConnectionError:
                return True
            return False
        wait_until(reset, "a reset")
    assert server.get("/healthz").status == 200


def test_half_close(server):
    """A client that ends its sending still gets its answers; half a request gets no handler."""
    with server.wire() as wire:
        wire.send(NEXT * 3).finish()
        assert [wire.response().status for _ in range(3)] == [200, 200, 200]
        assert wire.ended()
    with server.wire() as wire:
        wire.send(GET).finish()
        assert re.match(rb"(HTTP/1.1 40[08] |$)", wire.rest())
    with server.wire() as wire:
        wire.send(POST + "Content-Length: 10\r\n\r\n{").finish()
        assert re.match(rb"(HTTP/1.1 40[08] |$)", wire.rest())
    with server.wire() as wire:  # a write in flight while the client's side is closed
        wire.send(request_bytes("POST", "/api/login/", {"Session-Id": SID},
                                {"username": "ada", "password": "bad"})).finish()
        assert wire.response().status == 401


def test_client_resets_with_an_answer_due(server):
    """A client that is gone before its answer does no harm."""
    for _ in range(50):
        with server.wire() as wire:
            wire.reset_on_close()
            wire.send(request_bytes("POST", "/api/login/", {"Session-Id": SID},
                                    {"username": "ada", "password": "bad"}))
    assert server.get("/healthz").status == 200


# --- Many connections. ------------------------------------------------------------------------

def test_connection_cap_closes_the_oldest_idle(store, clock):
    """L03: at max_connections the connection that idled longest gives way."""
    server = store.serve(max_connections=8)
    wires = [server.wire() for _ in range(8)]
    for wire in wires:
        wire.send(NEXT).response()
        clock.later(0.2)
    with server.wire() as ninth:
        assert ninth.send(NEXT).response().status == 200
        assert wires[0].ended()
        for wire in wires[1:]:
            assert wire.send(NEXT).response().status == 200
    for wire in wires:
        wire.socket.close()


def test_connection_cap_without_idle_ones_pauses(store):
    """L03: none idle: accepting waits, and goes on when a connection ends."""
    server = store.serve(max_connections=4, header_timeout="60s")
    busy = [server.wire().send(GET) for _ in range(4)]
    time.sleep(0.2)
    with server.wire() as waiting:
        waiting.send(NEXT)
        waiting.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.response()
        waiting.socket.settimeout(WAIT_S)
        busy[0].send("\r\n").response()
        busy[0].socket.close()
        assert waiting.response().status == 200
    for wire in busy[1:]:
        assert wire.send("\r\n").response().status == 200
        wire.socket.close()


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_out_of_descriptors(store):
    """L04: EMFILE neither spins nor kills; it is over when descriptors are free again."""
    server = store.serve(allow="accept")
    front, = server.child("front")
    resource.prlimit(front, resource.RLIMIT_NOFILE, (40, 40))
    wires = [server.wire().send(NEXT) for _ in range(100)]
    time.sleep(0.5)
    before = cpu_ticks(front)
    time.sleep(1)
    assert cpu_ticks(front) - before < 50, "the loop spins"
    for wire in wires:
        wire.socket.close()
    assert server.get("/healthz").status == 200
    assert server.child("front") == [front]


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} descriptors")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def private_bytes(pid):
    """What a process holds for itself alone. Left out is the shadow that a sanitizer keeps of all
    addresses, of which the kernel may bring sixteen pages along for one, and pages of the store,
    which are the system's cache even where one process alone has looked at them."""
    total_kb = size_kb = 0
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            if re.match(r"[0-9a-f]+-", line):
                cache = line.endswith("/data.mdb\n")
            elif line.startswith("Size:"):
                size_kb = int(line.split()[1])
            elif (line.startswith("Private_") and not cache and
                  not (SANITIZED and size_kb >= 1 << 18)):
                total_kb += int(line.split()[1])
    return total_kb * 1024


def test_idle_connections_are_cheap(store):
    """L05: 10,000 idle connections hold no buffer, also after all had one; nobody waits for them."""
    count = 10000
    raise_descriptor_limit(count + 200)
    server = store.serve(max_connections=count + 100, header_timeout="5m")
    front = server.child("front")[0]
    server.get("/healthz")
    before = private_bytes(front)
    wires = [server.wire() for _ in range(count)]
    for wire in wires:
        assert wire.send(NEXT).response().status == 200
    each = (private_bytes(front) - before) / count
    assert each < 256, f"{each:.0f} bytes for an idle connection"
    for wire in wires:
        wire.send(NEXT[:10])
    assert server.get("/healthz").status == 200
    for wire in wires:
        assert wire.send(NEXT[10:]).response().status == 200
    wait_until(lambda: private_bytes(front) - before < 256 * count, "memory given back")
    for wire in wires:
        wire.socket.close()


def test_what_is_remembered_is_bounded(store):
    """L05: what a front remembers of Session-Ids."""
    server = store.serve(sid_trust="any")
    front = server.child("front")[0]
    server.get("/healthz")
    before = private_bytes(front)
    with server.wire() as wire:
        for i in range(0, 4000, 50):
            wire.send(b"".join(request_bytes("GET", "/resolve?require=any",
                                             {"Session-Id": f"SID:ANON:127.0.0.1:n{i + n}"})
                               for n in range(50)))
            assert [wire.response().status for _ in range(50)] == [204] * 50
        assert 384 << 10 < private_bytes(front) - before < 1 << 20


# --- Outside data. ----------------------------------------------------------------------------

def refused_cases():
    """Cases that are refused on purpose: `id<TAB>reason`."""
    lines = (ROOT / "tests" / "http1_refused.txt").read_text().splitlines()
    rows = [line.split("\t", 1) for line in lines if line and not line.startswith("#")]
    assert all(len(row) == 2 and row[1].strip() for row in rows)
    return dict(rows)


def test_http1_cases(server):
    """All cases of the collection as expected, but those that are listed with a reason."""
    driver = corpora("http1", "drive_http1.py")
    done = subprocess.run([sys.executable, driver, "127.0.0.1", str(server.port)],
                          capture_output=True, text=True, check=True, timeout=300)
    differ = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("DIFF")}
    assert differ == set(refused_cases()), done.stdout


def statuses(data):
    """The statuses of all responses in `data`, interim ones left out."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        if status >= 200:
            found.append(status)
            data = data[int(length[1]) if length else 0:]
    return found


def all_statuses(port, raw, bytewise):
    with Wire(port, timeout_s=0.4) as wire:
        try:
            wire.send_bytewise(raw) if bytewise else wire.send(raw)
            return statuses(wire.rest())
        except (TimeoutError, ConnectionError):
            return statuses(wire.buffer)


def test_http1_cases_byte_by_byte(server):
    """H33: every case of the collection, a byte at a time, has the answers that it has whole."""
    cases = [json.loads(line) for line in corpora("http1", "cases.jsonl").open()]

    def differs(case):
        raw = base64.b64decode(case["b64"])
        whole = all_statuses(server.port, raw, False)
        split = all_statuses(server.port, raw, True)
        return None if whole == split else (case["id"], whole, split)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert not list(filter(None, pool.map(differs, cases)))


def test_json_bodies(server):
    """L06: what is no JSON is 400, what is JSON is read, nothing does harm."""
    for path in sorted(corpora("json", "test_parsing").iterdir()):
        body = path.read_bytes()
        if not 0 < len(body) <= 60000:
            continue  # no body at all is an empty form; a long one is 413
        r = server.request("POST", "/api/login/", {"Content-Type": "application/json"}, body)
        refused_on_purpose = path.name.startswith(("y_object_duplicated_key",
                                                   "y_object_escaped_null_in_key"))
        if path.name.startswith("n_") or refused_on_purpose:
            assert r.status == 400, path.name
        elif path.name.startswith("y_"):
            assert r.status == 401, (path.name, r)
        else:
            assert r.status in (400, 401), (path.name, r)


JSON_REFUSED = [
    ("depth 33", b'{"a":' + b"[" * 32 + b"]" * 32 + b"}"),
    ("30,001 values", b"[" + b"1," * 30000 + b"1]"),
    ("duplicate keys", b'{"username":"ada","username":"eve","password":"ada"}'),
    ("invalid UTF-8", b'{"username":"\xff","password":"ada"}'),
    ("lone surrogate", b'{"username":"\\ud800","password":"ada"}'),
    ("NUL", b'{"username":"a\x00","password":"ada"}'),
    ("trailing text", b'{"username":"ada","password":"ada"} x'),
    ("two documents", b'{}{}'),
]


@pytest.mark.parametrize("body", [row[1] for row in JSON_REFUSED],
                         ids=[row[0] for row in JSON_REFUSED])
def test_json_limits(server, body):
    """L06: depth, number of values, duplicate keys and bad text are refused with 400."""
    r = server.request("POST", "/api/login/", {"Content-Type": "application/json"}, body)
    assert r.status == 400 and r.json["detail"].startswith("JSON parse error - "), r
