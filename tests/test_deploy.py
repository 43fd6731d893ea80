"""What deploy/ ships for systemd: its filter of system calls lets the server do all that it does."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import ROOT, SANITIZED, wait_until

UNIT = ROOT / "deploy" / "sidecart.service"


def setting(name):
    """Values of a directive of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


def members(name):
    """System calls of one of systemd's sets, without those that this system does not know."""
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name],
                          capture_output=True, text=True, check=True)
    names = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set().union(*(members(n) for n in names if n and not n.startswith("#")))


def allowed():
    """As systemd.exec(5) reads the unit: the first line is a list of what is allowed."""
    calls = set()
    for line in setting("SystemCallFilter"):
        listed = set().union(*(members(name) for name in line.lstrip("~").split()))
        calls = calls - listed if line.startswith("~") else calls | listed
    return calls


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.skipif(SANITIZED, reason="the sanitizers make calls of their own")
def test_filter_of_system_calls(store, tmp_path):
    """A start, a login, a reload, an upgrade and a stop: no call that the unit forbids."""
    store.customer("ada")
    trace = tmp_path / "trace"
    config = tmp_path / "sidecart.conf"
    config.write_text("sid_trust = any\nlog_level = debug\n")
    server = store.serve(through=["strace", "-f", "-qq", "-o", str(trace)], config=str(config),
                         listen=f"127.0.0.1:0,unix:{tmp_path}/front.sock")
    assert server.login("SID:ANON:127.0.0.1:a", "ada").status == 200
    pid = int(trace.read_text().split(maxsplit=1)[0])
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in server.log(), "a reload")
    server.pid = pid
    server.upgrade()
    assert server.resolve().status == 204
    server.stop()
    made = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace.read_text(), re.M))
    assert {"execve", "epoll_wait", "fdatasync", "memfd_create", "accept4"} <= made
    assert made - allowed() == set()
