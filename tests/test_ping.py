"""`sidecart ping`: what a health check hears, of servers that answer and of others."""

import os
import socket
import subprocess
import threading

import pytest

from conftest import BIN, WAIT_S

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("SIDECART_")}


def ping(*arguments):
    return subprocess.run([BIN, "ping", *map(str, arguments)], env=CLEAN, capture_output=True,
                          text=True, timeout=WAIT_S, check=False)


def test_a_server_that_answers(store, tmp_path):
    server = store.serve(listen=f"127.0.0.1:0,unix:{tmp_path}/plain,proxy:unix:{tmp_path}/proxy")
    for url in (f"http://127.0.0.1:{server.port}", f"127.0.0.1:{server.port}",
                f"http://localhost:{server.port}/healthz", f"unix:{tmp_path}/plain"):
        done = ping(url)
        assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", ""), url
    assert ping(f"http://127.0.0.1:{server.ops_port}/readyz").returncode == 0
    # By the settings: the first place of `listen`, whatever comes before it.
    for listen in (f"127.0.0.1:{server.port}", f"0.0.0.0:{server.port}", f"unix:{tmp_path}/plain",
                   f"proxy:unix:{tmp_path}/proxy"):
        assert ping("--ops-listen=127.0.0.1:1", f"--listen={listen}").returncode == 0, listen
    done = ping(f"http://127.0.0.1:{server.port}/nowhere")
    assert done.returncode == 1 and "/nowhere: 404" in done.stderr and done.stdout == ""
    server.stop()
    done = ping(f"127.0.0.1:{server.port}")
    assert done.returncode == 1 and "Connection refused" in done.stderr


@pytest.mark.parametrize("answer,words", [
    (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 6\r\n\r\nreason", "503: reason"),
    (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "no HTTP"),
    (b"", "no HTTP"),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 10000, "too long"),
    (None, "timed out"),
])
def test_others(answer, words):
    """None: a server that takes the connection and says nothing."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection, _ = listener.accept()
            with connection:
                if answer is None:
                    over.wait(WAIT_S)
                    return
                connection.recv(4096)
                connection.sendall(answer)
        thread = threading.Thread(target=serve)
        thread.start()
        done = ping(f"127.0.0.1:{listener.getsockname()[1]}")
        over.set()
        thread.join()
    assert done.returncode == 1 and done.stdout == "" and words in done.stderr


@pytest.mark.parametrize("arguments,words", [
    (["--listen=127.0.0.1:0"], "the kernel picked"),
    (["https://127.0.0.1:8080"], "TLS"),
    (["shop.example:80"], "numeric"),
    (["a", "b"], "one word too many"),
])
def test_called_wrongly(arguments, words):
    done = ping(*arguments)
    assert done.returncode == 100 and words in done.stderr
