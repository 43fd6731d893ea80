"""`make install`, `make uninstall`, and the Debian package in a system of its own (debootstrap)."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import ROOT, SANITIZED, WAIT_S, Wire, request_bytes

BASE = ROOT / "build" / "debian-root"  # kept between runs: it takes a minute
INSTALLED = {
    "bin/sidecart", "lib/systemd/system/sidecart.service", "lib/systemd/system/sidecart.socket",
    "lib/sysusers.d/sidecart.conf", "lib/tmpfiles.d/sidecart.conf", "share/man/man1/sidecart.1",
    "share/doc/sidecart/sidecart.conf", "share/doc/sidecart/copyright",
}

pytestmark = pytest.mark.skipif(SANITIZED, reason="what is installed is the release build")


def make(*arguments):
    done = subprocess.run(["make", "-s", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={k: v for k, v in os.environ.items()
                                            if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")})
    assert done.returncode == 0, done
    return done.stdout


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


@pytest.mark.parametrize("prefix", ["/usr/local", "/usr"])
def test_install_and_uninstall(tmp_path, prefix):
    """All of it, where it was asked for, and no trace of it afterwards; what others put there
    stays."""
    where = tmp_path / prefix.lstrip("/")
    (where / "bin").mkdir(parents=True)
    (where / "bin" / "other").write_text("")
    make("install", f"DESTDIR={tmp_path}", f"PREFIX={prefix}")
    assert files(where) == INSTALLED | {"bin/other"}
    assert os.access(where / "bin" / "sidecart", os.X_OK)
    done = subprocess.run([where / "bin" / "sidecart", "--version"], capture_output=True,
                          text=True, check=True)
    assert (ROOT / "VERSION").read_text().strip() in done.stdout
    unit = (where / "lib/systemd/system/sidecart.service").read_text()
    assert f"ExecStart={prefix}/bin/sidecart serve\n" in unit
    modes = {oct((where / name).stat().st_mode & 0o777) for name in INSTALLED - {"bin/sidecart"}}
    assert modes == {"0o644"}
    make("uninstall", f"DESTDIR={tmp_path}", f"PREFIX={prefix}")
    assert files(where) == {"bin/other"}


# SPDX 2.3, sections 6 and 7: what a document and a package must have.
DOCUMENT = {"spdxVersion": r"SPDX-2\.3", "dataLicense": r"CC0-1\.0", "name": r"sidecart-.+",
            "SPDXID": r"SPDXRef-DOCUMENT", "documentNamespace": r"urn:uuid:[0-9a-f-]{36}"}
PACKAGE = {"SPDXID": r"SPDXRef-[A-Za-z0-9.-]+", "name": r".+", "versionInfo": r"\d.*",
           "supplier": r"Organization: .+", "downloadLocation": r"NOASSERTION",
           "licenseConcluded": r"[A-Za-z0-9. -]+", "licenseDeclared": r"[A-Za-z0-9. -]+",
           "copyrightText": r".+"}


def test_bill_of_materials():
    """`make sbom` lists each archive that the linker took something from, once, with all that
    SPDX asks for, and `sidecart --version` names the same versions."""
    bill = json.loads((ROOT / make("sbom").split()[-1]).read_text())
    for name, pattern in DOCUMENT.items():
        assert re.fullmatch(pattern, bill[name]), name
    created = bill["creationInfo"]["created"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert any(c.startswith("Tool: ") for c in bill["creationInfo"]["creators"])
    packages = {p["name"]: p for p in bill["packages"]}
    assert len(packages) == len(bill["packages"]) == len({p["SPDXID"] for p in bill["packages"]})
    for p in packages.values():
        for name, pattern in PACKAGE.items():
            assert re.fullmatch(pattern, p[name]), (p, name)
        assert p["filesAnalyzed"] is False
        assert re.fullmatch(r"[0-9a-f]{64}", p["checksums"][0]["checksumValue"])
    own = packages.pop("sidecart")
    stripped = (ROOT / "build" / "sbom" / "sidecart").read_bytes()
    assert own["checksums"][0]["checksumValue"] == hashlib.sha256(stripped).hexdigest()
    related = {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"])
               for r in bill["relationships"]}
    assert related == {("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-sidecart")} | {
        ("SPDXRef-sidecart", "STATIC_LINK", p["SPDXID"]) for p in packages.values()}
    archives = set(re.findall(r"(?m)^\S*/(lib\w+\.a)\(\S+\)$",
                              (ROOT / "build" / "sbom" / "map").read_text()))
    assert {"libbearssl.a", "liblmdb.a", "libjansson.a", "libz.a", "libc.a"} <= archives
    listed = " ".join(p["sourceInfo"] for p in packages.values())
    assert all(f"/{name}" in listed for name in archives), archives
    said = subprocess.run([ROOT / "build" / "sidecart", "--version"], capture_output=True,
                          text=True, check=True).stdout
    for p in packages.values():
        url = p["externalRefs"][0]["referenceLocator"]
        assert url.startswith(f"pkg:deb/debian/{p['name']}@")
        upstream = re.fullmatch(r"(?:\d+:)?([\d.]+?)(?:[.+]dfsg.*)?-[^-]+", p["versionInfo"])[1]
        assert re.search(rf"[ ]{re.escape(upstream)}\b", said), (upstream, said)


def test_example_configuration_is_good(tmp_path):
    """The file that is shipped is taken as it is, and so is each line of it that is commented
    out, alone."""
    config = tmp_path / "sidecart.conf"
    text = (ROOT / "deploy" / "sidecart.conf").read_text()
    commented = re.findall(r"^#(\w+ = .*)$", text, re.M)
    assert len(commented) > 10
    for more in ["", *commented]:
        config.write_text(f"{text}\n{more}\n")
        done = subprocess.run([ROOT / "build" / "sidecart", "stat", f"--config={config}",
                               f"--data={tmp_path}"], capture_output=True, text=True, check=False)
        assert "no store here" in done.stderr, (more, done)


@pytest.fixture(scope="module")
def base():
    """A minimal Debian system; made once."""
    if os.geteuid() != 0:
        pytest.skip("only root can debootstrap")
    if not shutil.which("debootstrap"):
        pytest.skip("debootstrap is not installed")
    if not (BASE / "done").exists():
        shutil.rmtree(BASE, ignore_errors=True)
        mirrors = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE)",
             "Created-By: Packages"], capture_output=True, text=True, check=True).stdout.split("\n")
        if not mirrors[0]:
            pytest.skip("apt knows no mirror")
        mirror, suite = mirrors[0].split()
        made = subprocess.run(["debootstrap", "--variant=minbase", suite, str(BASE), mirror],
                              capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"debootstrap: {made.stdout.splitlines()[-1:]}")
        (BASE / "done").write_text("")
    return BASE


@pytest.fixture
def debian(base, tmp_path):
    """A copy of the system; commands in it."""
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
    yield root
    for _ in range(50):
        with contextlib.suppress(OSError):
            shutil.rmtree(root)
            break


def inside(root, *command, code=0):
    done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                               "DEBIAN_FRONTEND": "noninteractive"})
    assert done.returncode == code, done
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def package():
    return ROOT / make("deb").split()[-1]


def serve(root):
    """Starts the installed server; gives its process and port."""
    process = subprocess.Popen(
        [shutil.which("chroot"), root, "/usr/bin/sidecart", "serve", "--listen=127.0.0.1:0", "--ops_listen=",
         "--map_size=64M"], stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin"})
    for line in process.stderr:
        found = re.search(r"event=listening address=127.0.0.1:(\d+)", line)
        if found:
            return process, int(found[1])
    raise AssertionError(f"it does not listen: {process.wait()}")


def test_package_installs_starts_and_goes(debian, package):
    """It installs, starts from its own settings as its own account, and leaves nothing but what
    only the operator can throw away."""
    before = files(debian)
    shutil.copy(package, debian / "sidecart.deb")
    inside(debian, "dpkg", "-i", "/sidecart.deb")
    assert inside(debian, "dpkg", "--verify", "sidecart") == ""
    account = inside(debian, "getent", "passwd", "sidecart")
    uid = int(account.split(":")[2])
    assert account.strip().endswith("/usr/sbin/nologin") and 0 < uid < 1000
    store = debian / "var/lib/sidecart"
    assert (store.stat().st_uid, store.stat().st_mode & 0o777) == (uid, 0o700)
    enabled = debian / "etc/systemd/system/multi-user.target.wants/sidecart.service"
    assert os.path.islink(enabled)
    process, port = serve(debian)
    try:
        with Wire(port) as wire:
            assert wire.send(request_bytes("GET", "/readyz")).response().status == 200
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        process.stderr.close()
    (debian / "etc/sidecart.conf").write_text("idle_timeout = 1m\n")
    inside(debian, "dpkg", "-i", "--force-confold", "/sidecart.deb")  # again: an upgrade
    assert (debian / "etc/sidecart.conf").read_text() == "idle_timeout = 1m\n"
    inside(debian, "dpkg", "-r", "sidecart")
    assert (debian / "etc/sidecart.conf").exists() and (store / "data.mdb").exists()
    assert not (debian / "usr/bin/sidecart").exists()
    said = inside(debian, "dpkg", "-P", "sidecart")
    assert "the store stays in /var/lib/sidecart" in said
    left = files(debian) - before - {"sidecart.deb"}
    left = {f for f in left if not re.match(r"var/(lib/dpkg|cache|log)/|etc/.*-$|etc/\.pwd", f)}
    assert all(f.startswith("var/lib/sidecart/") for f in left), left


def test_package_leaves_no_empty_store(debian, package):
    shutil.copy(package, debian / "sidecart.deb")
    inside(debian, "dpkg", "-i", "/sidecart.deb")
    assert inside(debian, "dpkg", "-P", "sidecart").count("the store stays") == 0
    assert not (debian / "var/lib/sidecart").exists()
    assert not (debian / "etc/sidecart.conf").exists()
