"""`sidecart stat --watch`: lines for people and for programs, with a server and without."""

import json
import os
import pty
import signal
import subprocess
import threading

from conftest import BIN, WAIT_S, request_bytes

ANON = "SID:ANON:127.0.0.1:"
NAMES = ["requests", "refused", "failed", "front_us", "writer_us", "connections", "waiting",
         "parked", "commit_us", "sessions", "commits", "entries", "used_mib", "behind"]


def watch(store, *options, stdout=subprocess.PIPE):
    return subprocess.Popen([BIN, "stat", "--watch", f"--data={store.path}", *options],
                            env=store.environment, stdout=stdout, stderr=subprocess.PIPE)


def end(process):
    """By SIGTERM: a shell's background jobs have SIGINT ignored."""
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(WAIT_S) == -signal.SIGTERM


def test_beside_a_server(store):
    key = store.key("app")
    server = store.serve()
    process = watch(store, "--json", f"--ops-listen=127.0.0.1:{server.ops_port}")
    over = threading.Event()

    def load():
        with server.wire() as wire:
            for i in range(10 ** 6):
                wire.send(request_bytes("PATCH", "/session/data",
                                        {"X-Api-Key": key, "Session-Id": ANON + "a"}, {"a": i}))
                assert wire.response().status == 200
                wire.send(request_bytes("GET", "/nowhere"))
                assert wire.response().status == 404
                if over.wait(0.01):
                    return
    thread = threading.Thread(target=load)
    thread.start()
    lines = []
    while len(lines) < 4 or len(lines) < WAIT_S and min(
            sum(line[name] for line in lines) for name in ("commits", "refused")) < 5:
        lines.append(json.loads(process.stdout.readline()))
    over.set()
    thread.join()
    end(process)
    assert all(list(line) == NAMES for line in lines)
    total = {name: sum(line[name] for line in lines) for name in NAMES}
    assert total["requests"] >= 2 * total["refused"] - 4 > 4 and total["failed"] == 0
    assert total["commits"] > 4 and total["commit_us"] > 0 and total["writer_us"] > 0
    assert total["front_us"] > 0
    last = lines[-1]
    assert last["connections"] >= 1 and last["sessions"] == 1
    assert last["entries"] >= 5 and last["used_mib"] < 64


def test_without_a_server(store):
    store.key("app")
    process = watch(store, "--json", "--ops-listen=")
    line = json.loads(process.stdout.readline())
    end(process)
    assert line["requests"] is None and line["sessions"] is None
    assert line["entries"] >= 2 and line["commits"] == 0 and line["behind"] == 0


def test_for_people(store):
    """Down a pipe there is one header; a reader that goes away ends it."""
    store.key("app")
    process = watch(store, "--ops-listen=")
    lines = [process.stdout.readline().decode() for _ in range(3)]
    assert lines[0].split() == NAMES
    assert lines[1].split()[:3] == ["-", "-", "-"] and len(lines[2].split()) == len(NAMES)
    assert len({len(line) for line in lines}) == 1
    process.stdout.close()
    assert process.wait(WAIT_S) in (0, -signal.SIGPIPE)
    process.stderr.close()


def test_in_a_terminal(store):
    store.key("app")
    reader, writer = pty.openpty()
    with watch(store, "--ops-listen=", stdout=writer) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as lines:
            assert lines.readline().split()[0] == b"requests"
            assert lines.readline().split()[0] == b"-"
            process.terminate()
            process.wait(WAIT_S)


def test_no_store(store):
    (store.path / "sid.secret").unlink()
    store.run("stat", "--watch", code=1)
