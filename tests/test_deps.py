"""deps.sh: says what it installs and why, and touches nothing where all is there."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

# What it may use besides what the shell has itself.
TOOLS = ["awk", "cat", "dirname", "env", "id", "sed", "sh", "sort"]


@pytest.fixture
def deps(tmp_path):
    """Runs deps.sh where no program is but TOOLS and stand-ins: their scripts by name. In its tree
    the OCAPI client is there."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    tree = tmp_path / "tree"
    (tree / "tests/ocapi/node_modules").mkdir(parents=True)
    shutil.copy(ROOT / "deps.sh", tree)
    lock = tree / "tests/ocapi/package-lock.json"
    stamp = tree / "tests/ocapi/node_modules/.package-lock.json"
    for path, time in ((lock, 1), (stamp, 2)):
        path.write_text("{}")
        os.utime(path, (time, time))

    def run(*groups, code=0, **programs):
        calls = tmp_path / "calls"
        calls.write_text("")
        for name, script in {"dpkg_query": "echo installed", "apt_get": ":", **programs}.items():
            program = tmp_path / name.replace("_", "-")
            program.unlink(missing_ok=True)
            if script is not None:
                program.write_text(f'#!{tmp_path}/sh\necho "{program.name} $*" >>{calls}\n{script}\n')
                program.chmod(0o755)
        done = subprocess.run(["/bin/sh", tree / "deps.sh", *groups], capture_output=True,
                              text=True, env={"PATH": str(tmp_path)}, check=False)
        assert done.returncode == code, done
        run.calls = calls.read_text()
        return done.stdout
    run.stamp = stamp
    return run


def test_all_there(deps):
    """Nothing is said, nothing is fetched: no network is needed."""
    for group in ("build", "run", "test", "check", "fuzz", "torture", "bench"):
        assert deps("build", group) == ""
        assert "apt-get" not in deps.calls and "dpkg-query" in deps.calls


def test_missing(deps):
    """Each is named with its reason, before it is installed; the others are not touched."""
    state = 'case $4 in curl|libcmocka-dev) exit 1 ;; valgrind) echo config-files ;; ' \
            '*) echo installed ;; esac'
    assert deps("build", dpkg_query=state) == ""
    said = deps("build", "run", "test", "check", dpkg_query=state, sudo='exec "$@"')
    assert re.search(r"(?m)^  curl : \S", said) and re.search(r"(?m)^  libcmocka-dev : \S", said)
    apt = [call for call in deps.calls.splitlines() if call.startswith("apt-get")]
    assert [call.split()[1] for call in apt] == ["update", "install"]
    assert set(apt[1].split()[2:]) >= {"curl", "libcmocka-dev", "valgrind"}
    assert "gcc" not in apt[1].split()


def test_client(deps):
    """Fetched once, in the versions that are pinned; none of its scripts is run."""
    assert deps("test", npm="exit 1") == ""
    deps.stamp.unlink()
    assert "npm" in deps("build", "test", npm=":")
    calls = [call for call in deps.calls.splitlines() if call.startswith("npm")]
    assert len(calls) == 1 and "npm ci --ignore-scripts" in calls[0] and "tests/ocapi" in calls[0]
    deps("test", npm="exit 7", code=7)
    assert deps("build", "check", npm="exit 1") == ""


def test_npm_from_elsewhere(deps):
    """Where it is no package, but there."""
    state = "case $4 in npm) exit 1 ;; *) echo installed ;; esac"
    assert deps("test", dpkg_query=state, npm=":") == ""
    assert "npm" in deps("test", dpkg_query=state, npm=None)
    assert "apt-get install" in deps.calls


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no sudo")
def test_without_sudo(deps):
    assert "as root" in deps("run", code=1, dpkg_query="exit 1")
    assert "apt-get" not in deps.calls


@pytest.mark.parametrize("gone", [["dpkg_query"], ["apt_get"], ["dpkg_query", "apt_get"]])
def test_another_system(deps, gone):
    """The list is printed, and that is all."""
    said = deps("build", "run", code=1, **dict.fromkeys(gone))
    assert re.search(r"(?m)^  liblmdb-dev : \S", said) and "DEPS=off" in said
    assert "cmocka" not in said and "apt-get" not in deps.calls


def test_failed_installation(deps):
    """make must not go on as if it were there."""
    deps("run", code=100, dpkg_query="exit 1", apt_get="exit 100", sudo='exec "$@"')


def test_unknown_group(deps):
    deps("nothing", code=100)


def test_every_group_is_asked_for(deps):
    """What the Makefile asks for is there."""
    asked = re.findall(r"(?m)^[a-z-]+: deps-(\S+)", (ROOT / "Makefile").read_text())
    assert asked
    for each in asked:
        deps(*each.split("+"))
