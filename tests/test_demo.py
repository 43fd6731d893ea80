"""`make run`: the demo's lines work as pasted, Ctrl-C is quiet, a second start keeps the data."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from conftest import BIN, ROOT, SANITIZED, WAIT_S, wait_until
from proxy import free_port

pytestmark = pytest.mark.skipif(
    SANITIZED or shutil.which("curl") is None, reason="the demo serves build/sidecart, with curl")


class Demo:
    """demo.sh on a terminal of its own."""

    def __init__(self, data):
        self.address = f"127.0.0.1:{free_port()}"
        environment = {**os.environ, "SIDECART_DATA": str(data), "SIDECART_OPS_LISTEN": "",
                       "SIDECART_LISTEN": self.address}
        self.output = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve("./demo.sh", ["./demo.sh"], environment)
        wait_until(lambda: f"listening address={self.address}" in self.read(), "the demo serves")

    def read(self):
        with contextlib.suppress(OSError):
            while select.select([self.terminal], [], [], 0.05)[0]:
                self.output += os.read(self.terminal, 4096).decode().replace("\r\n", "\n")
        return self.output

    def interrupt(self):
        """Presses Ctrl-C; gives the exit code."""
        os.write(self.terminal, b"\x03")

        def ended():
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return pid and (os.waitstatus_to_exitcode(status),)
        code, = wait_until(ended, "Ctrl-C ends the demo")
        os.close(self.terminal)
        return code

    def pasted(self):
        """Runs the indented lines in one shell; gives the statuses that curl showed."""
        lines = re.findall(r"^  (\S.*)$", self.output, re.M)
        done = subprocess.run(["bash", "-e", "-c", "\n".join(lines)], cwd=ROOT, check=True,
                              capture_output=True, text=True, timeout=WAIT_S)
        return lines, done.stdout


def test_demo(tmp_path):
    """A guest, a login, the customer, a revocation that shows at once; then all of it again."""
    assert BIN == ROOT / "build" / "sidecart"
    ids = []
    for _ in range(2):
        demo = Demo(tmp_path / "var")
        try:
            lines, shown = demo.pasted()
        finally:
            code = demo.interrupt()
        assert f"export SIDECART_DATA={tmp_path}/var" in lines
        assert re.findall(r"HTTP/1.1 (\d+)", shown) == [
            "204", "200", "200", "204", "200", "204", "401", "401"]
        assert "X-Session-Kind: guest" in shown and "X-Customer-Login: ada" in shown
        assert re.findall(r'"total_incl_tax":"([0-9.]+)"', shown) == ["24.20", "48.40" if ids else "24.20"]
        assert re.search(r"^Set-Cookie: dwsid=\S{86}==; Path=/; HttpOnly\r?$", shown, re.M)
        ids += re.findall(r"X-Customer-Id: (\d+)", shown)
        assert code == 0
        assert "rror" not in demo.output, demo.output
    assert ids == ["1", "1"]
    assert "Made" not in demo.output, "a second start makes nothing anew"
    assert (tmp_path / "var" / "demo.client").stat().st_mode & 0o77 == 0
    assert (tmp_path / "var" / "demo.key").stat().st_mode & 0o77 == 0
