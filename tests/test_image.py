"""`make image`: an archive that Debian's tools for containers take, whose one binary runs in a root
that holds nothing else, and is the same however often it is made.

EMULATED names the processor where it is not this one's (make cross).
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

import conftest
from conftest import ROOT, SANITIZED, WAIT_S, Wire, request_bytes
from test_package import make

ACCOUNT = 65532
PROCESSORS = {"": None, "aarch64-linux-gnu": ("arm64", None),
              "arm-linux-gnueabihf": ("arm", "v7")}

pytestmark = pytest.mark.skipif(SANITIZED, reason="what is shipped is the release build")


@pytest.fixture(scope="module")
def image():
    return ROOT / make("image", f"CROSS={conftest.EMULATED}").split()[-1]


def tool(*command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def config(image):
    """What the image says of itself, as skopeo reads it; and all of it, Docker's parts too."""
    read = json.loads(tool("skopeo", "inspect", "--config", f"oci-archive:{image}"))
    with tarfile.open(image) as archive:
        def blob(digest):
            data = archive.extractfile("blobs/sha256/" + digest.split(":")[1]).read()
            assert hashlib.sha256(data).hexdigest() == digest.split(":")[1]
            return data
        index = json.load(archive.extractfile("index.json"))
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        whole = json.loads(blob(manifest["config"]["digest"]))
    assert {**whole["config"], **read["config"]} == whole["config"]
    return whole


def test_what_it_says(config):
    """The account is no root, the store is a volume, and Docker asks `sidecart ping`."""
    processor = PROCESSORS[conftest.EMULATED]
    if processor:
        assert (config["architecture"], config.get("variant")) == processor
    assert config["os"] == "linux"
    c = config["config"]
    assert c["User"] == f"{ACCOUNT}:{ACCOUNT}" and c["StopSignal"] == "SIGTERM"
    assert list(c["Volumes"]) == ["/var/lib/sidecart"] and list(c["ExposedPorts"]) == ["8080/tcp"]
    assert c["Healthcheck"]["Test"] == ["CMD", "/usr/bin/sidecart", "ping"]
    labels = c["Labels"]
    assert labels["org.opencontainers.image.version"] == (ROOT / "VERSION").read_text().strip()
    assert labels["org.opencontainers.image.licenses"] == "MIT"


def test_reproducible(image, monkeypatch):
    """The same commit gives the same bytes, whatever the account's umask."""
    first = image.read_bytes()
    image.unlink()
    mask = os.umask(0o077)
    try:
        make("image", f"CROSS={conftest.EMULATED}")
    finally:
        os.umask(mask)
    assert image.read_bytes() == first


@pytest.fixture
def root(image, tmp_path):
    """The image unpacked by umoci, and emptied of what that keeps."""
    if os.geteuid() != 0:
        pytest.skip("only root can unpack owners and chroot")
    tool("umoci", "--version")
    tool("skopeo", "copy", "-q", f"oci-archive:{image}", f"oci:{tmp_path}/layout:one")
    tool("umoci", "unpack", "--image", f"{tmp_path}/layout:one", f"{tmp_path}/bundle")
    return tmp_path / "bundle" / "rootfs"


def test_what_is_in_it(root):
    """One program, the licence, one account, and the place of the store, which is that account's."""
    files = {str(p.relative_to(root)): p.stat() for p in root.rglob("*")}
    assert {name for name in files if not (root / name).is_dir()} == {
        "usr/bin/sidecart", "usr/share/doc/sidecart/copyright", "etc/passwd", "etc/group"}
    owners = {name: stat.st_uid for name, stat in files.items() if stat.st_uid != 0}
    assert owners == {"var/lib/sidecart": ACCOUNT}
    modes = {name: stat.st_mode & 0o7777 for name, stat in files.items()}
    assert modes.pop("var/lib/sidecart") == 0o700 and modes["usr/bin/sidecart"] == 0o755
    assert set(modes.values()) == {0o755, 0o644}


def test_runs(root, config):
    """As its account, from its own settings, in a root that has no library, no /proc, no /dev: the
    server answers, its health check is true while it runs, a command beside it works, and the
    store is left in the volume."""
    c = config["config"]
    emulator, inside = (), c["Entrypoint"]
    if conftest.EMULATED:
        emulator = conftest.BIN.read_text().split()[2],
        shutil.copy(shutil.which(emulator[0]), root / "emulator")
        inside = ["/emulator", *inside]
    environment = dict(word.split("=", 1) for word in c["Env"])
    assert environment["SIDECART_LISTEN"] == "0.0.0.0:8080"
    environment["SIDECART_LISTEN"] = "127.0.0.1:0"  # other tests may have the port
    environment["SIDECART_OPS_LISTEN"] = ""
    environment["SIDECART_MAP_SIZE"] = "64M"
    chroot = [shutil.which("chroot"), f"--userspec={c['User']}", root, *inside]

    def run(*arguments, code=0):
        done = subprocess.run([*chroot, *arguments], env=environment, capture_output=True, text=True,
                              timeout=WAIT_S, check=False)
        assert done.returncode == code, done
        return done.stdout
    extra = ["--seccomp=off"] if conftest.EMULATED else []
    server = subprocess.Popen([*chroot, *c["Cmd"], *extra], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for line in server.stderr:
            found = re.search(r"event=listening address=127.0.0.1:(\d+)", line)
            if found:
                break
        port = int(found[1])
        with Wire(port) as wire:
            assert wire.send(request_bytes("GET", "/readyz")).response().status == 200
        check = c["Healthcheck"]["Test"]
        assert check[:2] == ["CMD", c["Entrypoint"][0]]
        assert run(*check[2:], f"http://127.0.0.1:{port}") == "ok\n"
        key = run("key", "add", "shop").strip()
        with Wire(port) as wire:
            answer = wire.send(request_bytes("GET", "/resolve?require=any",
                                             {"X-Api-Key": key})).response()
        assert answer.get("X-Client-Name") == "shop"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT_S) == 0
        server.stderr.close()
    run(*check[2:], f"http://127.0.0.1:{port}", code=1)
    assert (root / "var/lib/sidecart/data.mdb").stat().st_uid == ACCOUNT
