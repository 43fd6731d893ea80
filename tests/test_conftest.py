"""tests/conftest.py: what is tested is what was given, whoever runs the tests."""

import os
import subprocess
import sys

import pytest

import conftest
from conftest import ROOT, running, wait_until

FORGETS = """
import os

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        os.environ.pop("SIDECART_BIN")
"""


def test_processes_test_what_was_given(tmp_path):
    """One that pytest-xdist starts and that would test another binary ends at once, and the run
    with it."""
    pytest.importorskip("xdist")
    (tmp_path / "forgets.py").write_text(FORGETS)
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")}
    environment |= {"SIDECART_BIN": "/bin/true", "PYTHONPATH": str(tmp_path)}
    for options, ends in (([], False), (["-p", "forgets"], True)):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n1", "-knone", *options, "tests/test_conftest.py"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ("would test " in done.stdout + done.stderr) == ends, done
        assert ("node down" in done.stdout) == ends and done.returncode == 5, done


def test_a_server_that_never_listens_is_ended(store, monkeypatch):
    """Whoever waits for it in vain leaves no process behind."""
    pid = store.path.parent / "pid"
    server = store.path.parent / "server"
    server.write_text(f"#!/bin/sh\necho $$ >{pid}\nexec sleep 1000\n")
    server.chmod(0o700)
    monkeypatch.setattr(conftest, "wait_until", lambda true, what: (
        wait_until(pid.exists, "it runs"), wait_until(true, what, 1)))
    with pytest.raises(AssertionError, match="the server listens"):
        store.serve(binary=server)
    assert not running(int(pid.read_text()))
