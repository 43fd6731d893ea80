"""The outside collection of HTTP/1 requests, $CORPORA/http1, through a real nginx.

nginx runs with deploy/nginx.conf; behind it sidecart stands as itself and as the shop. Right behind
each row the same client sends one request more, which carries a Session-Id of its own. However
nginx reads the row,
 (1) sidecart answers exactly the requests that nginx handed on;
 (2) the client gets one answer to each request that nginx read, and to its own one at the end the
     answer that is meant for it, or none where the row swallowed it or ended the connection;
 (3) bytes behind a body are nobody's request, but for the rows that are listed with a reason.
"""

import base64
import collections
import contextlib
import json
import re
import socketserver
import threading

import pytest

from conftest import ROOT, WAIT_S, Wire, corpora, wait_until
from proxy import Proxy, nginx

ROWS = 585
REACHED = 200   # rows that must come to sidecart, or nothing was tried
MARK = "SID:ANON:127.0.0.1:row"
# How a row gets to sidecart: what stands in place of its own target, and a setting of nginx. To
# the shop nginx speaks HTTP/1.0; to /api/login/ it keeps connections, so that the bytes of a row
# and the request behind it go to sidecart on the same one.
WAYS = {
    "shop": (None, ""),
    "kept": (rb"/api/login/", ""),
    "unbuffered": (rb"/api/login/", "proxy_request_buffering off;"),
}


def rows(target):
    for line in corpora("http1", "cases.jsonl").open():
        row = json.loads(line)
        row["raw"] = base64.b64decode(row["b64"])
        if target is not None:
            row["raw"] = re.sub(rb"\A([A-Z]+ +)/[^ \r\n]*", rb"\1" + target, row["raw"])
        yield row


def listed(kind):
    """Ids of tests/http1_nginx.txt: `KIND<TAB>ID<TAB>REASON`."""
    lines = (ROOT / "tests" / "http1_nginx.txt").read_text().splitlines()
    table = [line.split("\t") for line in lines if line and not line.startswith("#")]
    assert all(len(row) == 3 and row[2].strip() for row in table)
    return {row[1] for row in table if row[0] == kind}


def logging_nginx(extra):
    """As shipped, but that every request, and every question about one, is logged."""
    def kind(folder, *addresses):
        command = nginx(folder, *addresses)
        main = folder / "main.conf"
        main.write_text(main.read_text().replace("access_log off;", f"""
            log_format counted '$bytes_sent "$upstream_status" $uri';
            access_log {folder}/access counted;
            log_subrequest on;
            client_header_timeout 500ms;
            client_body_timeout 500ms;
            keepalive_timeout 500ms;
            lingering_timeout 500ms;
            {extra}"""))
        return command
    return kind


class Log:
    """What nginx says of the requests that it read."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        return self.path.read_text(errors="replace").splitlines() if self.path.exists() else []

    def handed_on(self):
        return sum(len(re.findall(r"\d+", line.split('"')[1])) for line in self.lines())

    def answered(self):
        return sum(not line.startswith("0 ") for line in self.lines())


def scraped(server):
    """How many requests sidecart has answered, beside those for this number."""
    text = server.get("/metrics", port=server.ops_port).body.decode()
    return sum(int(count) for route, count in re.findall(
        r'sidecart_requests_total\{route="([^"]*)",.*\} (\d+)', text) if route != "/metrics")


def responses(data, head_only):
    """Status and Session-Id of each response in `data`; what HTTP/0.9 gets is a body alone."""
    found = []
    if data and not data.startswith(b"HTTP/"):
        return [(200, None)]
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end and re.match(rb"HTTP/1\.[01] \d{3} ", head), (found, head)
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        sid = re.search(rb"(?i)\nsession-id: *(\S+)", head)
        data = data[int(length[1]) if length and (found or not head_only) else 0:]
        found.append((int(head.split()[1]), sid and sid[1].decode()))
    return found


def exchange(port, raw, marked):
    """The responses to a row and to the request behind it, up to the connection's end."""
    with Wire(port) as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(raw + marked)
            while wire.more():
                pass
        return responses(wire.buffer, raw.startswith(b"HEAD "))


def judge(row, got, mark):
    """What the client sees, (2) and (3); True where the request behind the row was answered."""
    others = [status for status, sid in got if sid != mark]
    assert [sid for _, sid in got if sid] in ([], [mark]), "(2)"
    assert all(sid is None for _, sid in got[:-1]), "(2)"
    assert len(others) <= 1 or row["expect"] == "accept" or row["id"] in listed("more"), "(3)"
    return len(others) < len(got)


def send_all(target, port, key, counted, log, patience_s=WAIT_S):
    """Every row by its turn; how many rows of each kind there were, and which were refused."""
    kinds, refused = collections.Counter(), set()
    before, seen = counted(), 0
    for number, row in enumerate(rows(target)):
        mark, handed_on = f"{MARK}{number}", log.handed_on()
        marked = (f"GET /api/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {key}\r\n"
                  f"Session-Id: {mark}\r\nConnection: close\r\n\r\n").encode()
        got = exchange(port, row["raw"], marked)
        seen += len(got)
        try:
            answered = judge(row, got, mark)
            wait_until(lambda: log.answered() == seen, f"(2): {seen} answers", patience_s)
            wait_until(lambda: counted() - before == log.handed_on(), "(1)", patience_s)
        except AssertionError as error:
            raise AssertionError(f"{row['id']}, {row['note']}: {got}: {error}") from error
        reached = log.handed_on() - handed_on > answered
        kinds[row["expect"], "handed on" if reached else "refused"] += 1
        if row["expect"] == "accept" and got[0][0] in (400, 500):
            refused.add(row["id"])
    return kinds, refused


@pytest.mark.parametrize("way", WAYS)
def test_http1_cases(store, tmp_path, way):
    """H01 to H29 behind a proxy: every row is refused, or read by both as the same requests."""
    target, extra = WAYS[way]
    key, server = store.key("app"), store.serve()
    proxy = Proxy(logging_nginx(extra), tmp_path / "proxy", server.port, server.port)
    with contextlib.closing(proxy):
        kinds, refused = send_all(target, proxy.port, key, lambda: scraped(server),
                                  Log(tmp_path / "proxy" / "access"))
    print(f"\nhttp1/cases.jsonl behind nginx, {way}:")
    for (expected, kind), count in sorted(kinds.items()):
        print(f"  {expected:<11}{kind:<10}{count:4d}")
    assert sum(kinds.values()) == ROWS
    assert sum(count for (_, kind), count in kinds.items() if kind == "handed on") > REACHED
    assert refused <= listed("refused")
    assert target is not None or refused == listed("refused")


class Careless(socketserver.ThreadingTCPServer):
    """Does not know that requests have bodies: what stands there is the next request to it."""
    daemon_threads, count = True, 0

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self):
            with contextlib.suppress(ConnectionError):
                for line in self.rfile:
                    if line == b"\r\n":
                        self.server.count += 1
                        self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()


def test_it_finds(tmp_path):
    """The first row with a body shows a server that reads another number of requests."""
    target, extra = WAYS["kept"]
    with Careless() as careless:
        port = careless.server_address[1]
        proxy = Proxy(logging_nginx(extra), tmp_path / "proxy", port, port)
        with contextlib.closing(proxy), pytest.raises(AssertionError, match=r"\([12]\)"):
            send_all(target, proxy.port, "k", lambda: careless.count,
                     Log(tmp_path / "proxy" / "access"), patience_s=2)
        careless.shutdown()
