"""Commands and settings: what they print, what they refuse, what they leave behind."""

import base64
import ctypes
import ctypes.util
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

from conftest import BIN, ROOT, SANITIZED, WAIT_S, request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
# Of the password `ada`; PBKDF2 of Python's hashlib.
HASH = "pbkdf2_sha256$1000$salt$" + base64.b64encode(
    hashlib.pbkdf2_hmac("sha256", b"ada", b"salt", 1000)).decode()
MANUAL = ROOT / "docs" / "sidecart.1"
CONFIGURATION = ROOT / "deploy" / "sidecart.conf"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("SIDECART_")}


def call(*arguments, stdin="", **environment):
    """Runs the binary without a store of its own."""
    return subprocess.run([BIN, *map(str, arguments)], env={**CLEAN, **environment}, input=stdin,
                          capture_output=True, text=True, timeout=WAIT_S, check=False)


def commands():
    listed = re.findall(r"^  (\S+(?: \S+)?)  +\S", call("--help").stdout, re.M)
    assert len(listed) > 15
    return listed


def settings():
    return re.findall(r"^  ([a-z_]+) = ", call("serve", "--help").stdout, re.M)


def log_in(server, key, login, names):
    """Sessions of a customer, made without a password, in order."""
    with server.wire() as wire:
        for name in names:
            wire.send(request_bytes("POST", "/session/login",
                                    {"X-Api-Key": key, "Session-Id": ANON + name},
                                    {"login": login}))
            assert wire.response().status == 200


@pytest.fixture
def sessions(store):
    """A server with two sessions of ada's and one of bob's; the keys by name."""
    for login in ("ada", "bob"):
        store.customer(login)
    key = store.key("sso", "trusted,login")
    server = store.serve()
    log_in(server, key, "ada", ["a1", "a2"])
    log_in(server, key, "bob", ["b1"])
    server.headers = {"X-Api-Key": key}
    server.keys = {name: store.records("sid", AUTH + name)[0]["session_key"]
                   for name in ("a1", "a2", "b1")}
    return server


def alive(server, name):
    return server.resolve({**server.headers, "Session-Id": AUTH + name}).status == 204


# --- Calling. -------------------------------------------------------------------------------------

def test_every_command_explains_itself():
    for command in commands():
        done = call(*command.split(), "--help")
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.startswith(f"usage: sidecart {command}")
        example = done.stdout.split("example:\n")[1].splitlines()[0]
        assert f"sidecart {command}" in example
    nouns = call("key", "--help").stdout
    assert "key add" in nouns and "customer add" not in nouns


@pytest.mark.parametrize("arguments,words", [
    ([], "usage: sidecart COMMAND"),
    (["key"], "usage: sidecart key COMMAND"),
    (["dance"], "dance: no such command"),
    (["key", "dance"], "usage: sidecart key COMMAND"),
    (["keys", "add"], "keys: no such command"),
    (["key", "add"], "a word is missing"),
    (["key", "add", "one", "two"], "two: one word too many"),
    (["key", "add", "", "--value", "x"], "name"),
    (["key", "add", "a b"], "name"),
    (["key", "add", "-"], "name"),
    (["key", "add", "n" * 65], "name"),
    (["key", "add", "a", "--scope", ""], "--scope"),
    (["key", "add", "a", "--scope", "shop,"], "--scope"),
    (["key", "add", "a", "--scope", "shop,wizard"],
     '"wizard" is none of shop, trusted, login, resolve, admin'),
    (["key", "add", "a", "--expires", "0s"], "--expires"),
    (["key", "add", "a", "--expires", "90"], "--expires"),
    (["key", "add", "a", "--source", "10.0.0.0/33"], "--source"),
    (["key", "add", "a", "--source", "10.0.0.1,"], "--source"),
    (["key", "add", "a", *["--source=::1"] * 9], "--source"),
    (["key", "add", "a", "--source=" + ",".join(["::1"] * 9)], "--source"),
    (["key", "add", "a", "--owner", "x" * 255], "--owner"),
    (["key", "add", "a", "--owner", "two\nlines"], "--owner"),
    (["key", "add", "a", "--value", "x", "--value-stdin"], "--value"),
    (["key", "add", "a", "--value", "x", "--value", "y"], "--value: given twice"),
    (["key", "add", "a", "--email", "x"], "takes no --email"),
    (["key", "add", "a", "--origin", "shop.example"], '"shop.example" is no origin'),
    (["key", "add", "a", "--origin", "https://shop.example/"], "--origin"),
    (["key", "add", "a", *["--origin=http://a.test"] * 9], "--origin: 8 at most"),
    (["key", "add", "a", "--origin=" + ",".join([f"https://{'a' * 60}.test"] * 16)], "1024 bytes"),
    (["key", "list", "--origin", "https://shop.example"], "takes no --origin"),
    (["key", "list", "--json=yes"], "--json takes no value"),
    (["key", "list", "--scope"], "a value is missing"),
    (["key", "list", "-j"], "options begin with --"),
    (["customer", "add", "a"], "--password-stdin"),
    (["customer", "add", "a", "--no-password", "--password-stdin"], "--password-stdin"),
    (["customer", "set-password", "a"], "--password-stdin"),
    (["customer", "set-password", "a", "--no-password"], "takes no --no-password"),
    (["session", "show", "0" * 39], "40 hexadecimal digits"),
    (["session", "show", "g" * 40], "40 hexadecimal digits"),
    (["session", "revoke"], "one of KEY"),
    (["session", "revoke", "0" * 40, "--all"], "one of KEY"),
    (["session", "revoke", "--all", "--customer", "ada"], "one of KEY"),
    (["stat", "--watch", "x"], "x"),
    (["token", "list"], "usage: sidecart token COMMAND"),
    (["product", "show"], "a word is missing"),
    (["a", "b", "c", "d", "e"], "too many words"),
    (["serve", "--sesion_ttl=1d"], '"sesion_ttl" is no setting; did you mean session_ttl?'),
    (["serve", "--session-ttl=2x"],
     'session_ttl: "2x" is no duration (1s to 3650d, such as 14d)'),
    (["serve", "--session-max=1d"], "session_ttl"),
    (["serve", "--tls-certificate=x"], "tls-certificate"),
    (["serve", "--config", "nowhere.conf"], "nowhere.conf"),
    (["serve", "--data"], "a value is missing"),
])
def test_called_wrongly(tmp_path, arguments, words):
    """100, words on standard error alone, and nothing is made."""
    done = call(*arguments, SIDECART_DATA=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (100, ""), done
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1 or "usage: " in done.stderr
    assert not (tmp_path / "none").exists()


def test_version():
    done = call("--version")
    assert done.returncode == 0 and done.stderr == ""
    for part in ((ROOT / "VERSION").read_text().strip(), "commit ", "BearSSL", "LMDB 0.9",
                 "Jansson 2", "zlib 1", "glibc 2", "features: "):
        assert part in done.stdout, done.stdout


def test_standard_output_that_fails(store):
    store.key("web")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([BIN, "key", "list", f"--data={store.path}"], env=CLEAN, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 111 and "standard output" in done.stderr


@pytest.mark.parametrize("arguments", [
    ["key", "list"], ["key", "revoke", "a"], ["customer", "list"], ["customer", "show", "a"],
    ["customer", "disable", "a"], ["session", "list"], ["session", "revoke", "--all"], ["check"],
    ["stat"], ["customer", "set-password", "a", "--password-stdin"]])
def test_no_store_there(tmp_path, arguments):
    """One line that names the place, and nothing is made."""
    done = call(*arguments, f"--data={tmp_path}/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"sidecart: {tmp_path}/none: no store here; "
                           "use --data DIR or SIDECART_DATA\n")
    assert not (tmp_path / "none").exists()


# --- Settings. ------------------------------------------------------------------------------------

def test_sources_of_settings(store, tmp_path):
    """File, environment, flags: the later wins."""
    path = tmp_path / "sidecart.conf"
    path.write_text("password_iterations = 1000\n# remark\ndata = /nonexistent\n")

    def iterations(*flags, **environment):
        done = call("stat", "--json", f"--config={path}", *flags, **environment)
        assert done.returncode == 0, done
        return json.loads(done.stdout)["password_iterations"]
    assert iterations("--data", store_of(store)) == 1000
    environment = {"SIDECART_DATA": str(store.path), "SIDECART_PASSWORD_ITERATIONS": "2000"}
    assert iterations(**environment) == 2000
    assert iterations("--password-iterations", "3000", **environment) == 3000
    assert iterations("--password-iterations=3000", "--password_iterations=4000",
                      **environment) == 4000


def store_of(store):
    store.key("web")
    return store.path


def test_errors_of_files_and_environment(tmp_path):
    path = tmp_path / "sidecart.conf"
    path.write_text("# one\nworkers = 2\nsession_ttl = 2x\n")
    done = call("serve", "--config", path)
    assert done.returncode == 100
    assert done.stderr == (f'sidecart: {path}:3: session_ttl: "2x" is no duration '
                           "(1s to 3650d, such as 14d)\n")
    done = call("key", "list", SIDECART_SESION_TTL="1d")
    assert done.returncode == 100
    assert done.stderr == ('sidecart: environment: "SIDECART_SESION_TTL" is no setting; '
                           "did you mean session_ttl?\n")


def test_manual_lists_the_settings():
    """In the same order, with the same defaults."""
    text = MANUAL.read_text()
    help_ = call("serve", "--help").stdout
    assert re.findall(r"^\.It Va (\S+) No =(?: (.*))?$", text, re.M) == re.findall(
        r"^  ([a-z_]+) = (.*)$", help_, re.M)
    assert len(settings()) > 30


def test_manual_lists_the_commands():
    listed = re.findall(r"^\.It Cm ([a-z-]+(?: [a-z-]+)?)(?= |$)", MANUAL.read_text(), re.M)
    assert listed == commands()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_manual_is_sound():
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MANUAL], check=False,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_example_configuration(store, tmp_path):
    """As it is, and with every line that is commented out taken in."""
    store.customer("ada")
    text = CONFIGURATION.read_text()
    named = re.findall(r"^#?([a-z_]+) = ", text, re.M)
    assert sorted(named) == sorted(settings())
    store.run("customer", "list", f"--config={CONFIGURATION}")
    every = tmp_path / "every.conf"
    every.write_text(re.sub(r"^#([a-z_]+ = )", r"\1", text, flags=re.M))
    store.run("customer", "list", f"--config={every}")
    every.write_text(text + "surprise = 1\n")
    store.run("customer", "list", f"--config={every}", code=100)


# --- API keys. ------------------------------------------------------------------------------------

def test_key_add_and_list(store):
    text = store.run("key", "add", "web", "--scope", "shop,trusted", "--expires", "90d",
                     "--owner", "Ünï Ltd", "--source", "10.0.0.0/8",
                     "--source", "2001:db8::/32,192.0.2.1")
    assert re.fullmatch(r"sck_[A-Za-z0-9_-]{33}\n", text)
    added, = store.records("key", "add", "old", "--value", "a key of old times")
    assert added["key"] == "a key of old times" and added["scopes"] == ["shop"]
    old, web = store.records("key", "list")
    assert "key" not in old
    assert (old["name"], old["expires"], old["owner"], old["sources"]) == ("old", None, "", [])
    assert web["scopes"] == ["shop", "trusted"] and web["state"] == "active"
    assert web["sources"] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
    assert web["owner"] == "Ünï Ltd" and web["used"] is None
    table = store.run("key", "list").splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "old", "web"]
    assert len({line.index(word) for line, word in zip(table, ("STATE", "active", "active"))}) == 1
    assert text.strip() not in "".join(table)


def test_key_from_standard_input(store):
    assert store.run("key", "add", "web", "--value-stdin", stdin="x" * 30 + "\nmore\n") == (
        "x" * 30 + "\n")
    assert "guessed" not in store.errors
    store.run("key", "add", "short", "--value-stdin", stdin="short")
    assert "guessed" in store.errors
    for bad in ("", "\n", " x\n", "x\ty\n", "é\n", "x" * 513):
        assert store.run("key", "add", "bad", "--value-stdin", stdin=bad, code=1) == ""
    assert [r["name"] for r in store.records("key", "list")] == ["short", "web"]


def test_key_names(store):
    """One live key a name; the name of a revoked one is free."""
    store.run("key", "add", "web")
    store.run("key", "add", "web", code=1)
    store.run("key", "revoke", "web")
    store.run("key", "revoke", "web")
    store.run("key", "enable", "web", code=1)
    assert "final" in store.errors
    store.run("key", "disable", "web", code=1)
    store.run("key", "add", "web", "--scope", "login")
    store.run("key", "disable", "web")
    assert [(r["state"], r["scopes"]) for r in store.records("key", "list")] == [
        ("disabled", ["login"]), ("revoked", ["shop"])]
    store.run("key", "enable", "web")
    store.run("key", "disable", "nobody", code=1)
    store.run("check")


def test_key_expires(store, clock):
    store.run("key", "add", "web", "--expires", "1h")
    for by_s, state in ((0, "active"), (3599, "active"), (1, "expired")):
        clock.later(by_s)
        assert store.records("key", "list")[0]["state"] == state


# --- Customers. -----------------------------------------------------------------------------------

def test_customer_add_and_show(store):
    assert store.run("customer", "add", "ada", "--no-password", "--email", "ada@shop.example",
                     "--first-name", "Ada", "--last-name", 'Löv "L" elace') == "1\n"
    made, = store.records("customer", "add", "bob", "--hash", HASH)
    assert (made["id"], made["password"]) == (2, True)
    ada, bob = store.records("customer", "list")
    assert (ada["id"], ada["login"], ada["last_name"]) == (1, "ada", 'Löv "L" elace')
    assert (ada["password"], bob["password"]) == (False, True)
    assert abs(time.time() - time.mktime(time.strptime(ada["joined"], "%Y-%m-%dT%H:%M:%SZ"))
               + time.timezone) < 60
    assert store.records("customer", "show", "ada") == [ada]
    assert 'Löv "L" elace' in store.run("customer", "show", "ada")
    for command in ("show", "export", "disable", "enable", "delete"):
        assert store.run("customer", command, "nobody", code=1) == ""


def add_bare(store, login, *options):
    """Adds a customer whose login may look like an option."""
    return call("customer", "add", "--no-password", f"--data={store.path}", *options, "--", login)


@pytest.mark.parametrize("login", ["-", "", "x" * 151, "a\nb", "a\x7f"])
def test_customer_logins_refused(store, login):
    done = add_bare(store, login)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and "login" in done.stderr
    assert store.run("customer", "list") == ""


def test_customer_logins_taken(store):
    assert add_bare(store, "ada").stdout == "1\n"
    assert add_bare(store, "ada").returncode == 1
    assert add_bare(store, "--help").stdout == "2\n"
    assert add_bare(store, "x" * 150).stdout == "3\n"
    assert add_bare(store, "eve", "--email", "x" * 255).returncode == 1
    assert add_bare(store, "eve", "--first-name", "E\tve").returncode == 1


@pytest.mark.parametrize("stdin", ["", "\n", "\nsecret\n", "x" * 4097])
def test_passwords_refused(store, stdin):
    store.run("customer", "add", "ada", "--password-stdin", stdin=stdin, code=1)
    store.run("customer", "list", code=1)


def test_identifiers_are_never_given_twice(store):
    store.run("customer", "add", "ada", "--no-password")
    store.run("customer", "delete", "ada")
    assert store.run("customer", "add", "ada", "--no-password") == "2\n"


def test_customer_export(sessions, store):
    exported, = store.records("customer", "export", "ada")
    shown, = store.records("customer", "show", "ada")
    assert {name: exported[name] for name in shown} == shown
    assert {s["session_key"] for s in exported["sessions"]} == {sessions.keys["a1"],
                                                                sessions.keys["a2"]}
    assert all(s["via"] == "header" for s in exported["sessions"])
    assert "pbkdf2" not in json.dumps(exported)


# --- Sessions. ------------------------------------------------------------------------------------

def test_session_list_and_show(sessions, store):
    listed = store.records("session", "list")
    assert {s["session_key"] for s in listed} == set(sessions.keys.values())
    of_ada = store.records("session", "list", "--customer", "ada")
    assert {s["session_key"] for s in of_ada} == {sessions.keys["a1"], sessions.keys["a2"]}
    shown, = store.records("session", "show", sessions.keys["b1"])
    of_bob = next(s for s in listed if s["login"] == "bob")
    assert 0 <= of_bob.pop("age") <= shown.pop("age")  # it grows while the commands run
    assert shown == of_bob
    assert shown["customer_id"] == 2 and shown["via"] == "header"
    assert shown["created"] <= shown["used"] < shown["expires"]
    assert store.run("session", "show", sessions.keys["b1"].upper()).count("\n") == 8
    store.run("session", "show", "0" * 40, code=1)
    store.run("session", "list", "--customer", "nobody", code=1)


def test_session_revoke(sessions, store):
    store.run("session", "revoke", sessions.keys["a1"])
    assert [alive(sessions, name) for name in ("a1", "a2", "b1")] == [False, True, True]
    store.run("session", "revoke", sessions.keys["a1"], code=1)
    store.run("session", "revoke", "--customer", "ada")
    assert [alive(sessions, name) for name in ("a2", "b1")] == [False, True]
    store.run("session", "revoke", "--all")
    assert not alive(sessions, "b1")
    assert store.records("session", "list") == []
    assert store.run("session", "list") == ""
    store.run("check")


@pytest.mark.parametrize("end", [["session", "revoke", "--all"], ["customer", "disable", "ada"]])
def test_thousands_of_sessions(store, end):
    """More than one transaction takes; the server answers in between, and all are gone."""
    store.customer("ada")
    key = store.key("sso", "trusted,login")
    server = store.serve(max_sessions_per_customer=0)
    log_in(server, key, "ada", [f"n{i}" for i in range(2100)])
    listed = store.run("session", "list").splitlines()
    assert len(listed) == 2101
    assert len({len(line) for line in listed[1:]}) == 1
    store.run(*end)
    assert "2100" in store.errors
    assert store.records("session", "list") == []
    counts, = store.records("check")
    assert (counts["sessions"], counts["session_owners"], counts["expiries"]) == (0, 0, 0)


# --- Session-Id. ----------------------------------------------------------------------------------

# Session keys as oscarapi makes them: utils/session.py of django-oscar-api with the SECRET_KEY
# `test-secret`.
KEYS = [
    ("strict", "SID:ANON:example.com:987171879", "5dc5e07dac8cae53e30f38337005eb85ec08270f"),
    ("strict", "SID:AUTH:example.com:987171879", "cc88ae893faf07b2a4932cc8478c0115c722088f"),
    ("strict", "SID:AUTH:EXAMPLE.com:987171879", "cc88ae893faf07b2a4932cc8478c0115c722088f"),
    ("oscarapi", "SID:ANON:example.com:98717-16EF:100", "908e99b2b2668ed274f4880306b8f1bcadc769ac"),
    ("oscarapi", "SID:ANON:www.example.com:82d7ac3f-135c-4b12-a296-ff3c4701307d",
     "07fca5b9f0c523fbdbf11c35a947619de0bb2ee7"),
]


@pytest.mark.parametrize("grammar,header,key", KEYS)
def test_sid(store, grammar, header, key):
    taken, = store.records("sid", header, f"--sid-grammar={grammar}")
    assert taken["session_key"] == key
    assert taken["type"] == header.split(":")[1]
    assert key in store.run("sid", header, f"--sid-grammar={grammar}")
    if grammar == "strict":
        again, = store.records("sid", taken["session_id"])
        assert again == taken


def test_sid_parts(store):
    taken, = store.records("sid", "SID:ANON:shop.example:98717-16EF:100")
    assert (taken["identifier"], taken["thread"], taken["count"]) == ("98717", "16EF", "100")


@pytest.mark.parametrize("header", ["", "SID", "SID:ANON:", "sid:ANON:a:b", "SID:ANY:a:b",
                                    "SID:ANON:a b:c", "SID:ANON:a:", "SID:ANON:a:b c",
                                    "SID:ANON:a:" + "b" * 5000])
def test_sid_malformed(store, header):
    assert store.run("sid", header, code=1) == ""
    assert len(store.errors.splitlines()) == 1


# --- The store. -----------------------------------------------------------------------------------

def test_check_and_stat(sessions, store):
    counts, = store.records("check")
    assert counts["problems"] == 0
    assert (counts["customers"], counts["logins"]) == (2, 2)
    assert (counts["sessions"], counts["session_owners"], counts["expiries"]) == (3, 3, 3)
    assert (counts["keys"], counts["key_names"]) == (1, 1)
    figures, = store.records("stat", "--password-iterations=1000")
    assert {name: figures[name] for name in ("customers", "sessions", "keys")} == {
        "customers": 2, "sessions": 3, "keys": 1}
    assert figures["entries"] == sum(counts.values())
    assert figures["data"] == str(store.path)
    assert 0 < figures["free_bytes"] < figures["used_bytes"] < figures["map_bytes"]
    assert 0 < figures["tree_bytes"] < figures["used_bytes"] - figures["free_bytes"]
    assert figures["password_checks_per_second"] > 10
    assert "password_checks_per_second:" in store.run("stat", "--password-iterations=1000")
    store.run("check", "--upgrade")
    assert "nothing to upgrade" in store.errors


def test_commands_adopt_the_map_size(store):
    """Whoever made the store said how far it may grow; a command without that setting keeps it."""
    store.run("key", "add", "web", "--map-size=64M")
    store.run("key", "add", "app")
    figures, = store.records("stat", "--password-iterations=1000")
    assert figures["map_bytes"] == 64 << 20


# Bytes of a record in the data file, what they become, and what check says then. LMDB keeps no
# checksums, and no change moves a record to another place in the order.
DAMAGE = {
    "login": (rb"Lada", b"Ladb", {"leads to another login's customer",
                                  "its login does not lead to it"}),
    "e-mail address": (rb"Eada@example", b"Eadb@example", {
        "leads to another address's customer", "its e-mail address does not lead to it"}),
    "key name": (rb"Nsso", b"Nssp", {"leads to an API key of another name",
                                     "its name does not lead to it"}),
    "session version": (rb"S\x01\x01(?=....\0\0\0\0\x01\0)", b"S\x09\x01",
                        {"cannot be decoded", "lists a session that is not there"}),
    "session's login": (rb"\x03\0ada(?=....\0\0\0\0....\0\0\0\0)", b"\x03\0adb",
                        {"its login is not its customer's"}),
    "session's basket": (rb"(?<=\x01\0\0\0\0\0\0\0)\0{8}(?=\x03\0ada)", b"\x09\0\0\0\0\0\0\0",
                         {"its basket is not its customer's"}),
    "customer's flags": (rb"(?<=\x06\0)\0{4}(?=\x03\0ada)", b"\x01\0\0\0",
                         {"its customer is disabled: disable him again"}),
    "customer version": (rb"C\x01\x01\0\0\0\0\0\0\0", b"C\x09\x01\0\0\0\0\0\0\0",
                         {"cannot be decoded", "leads to a customer that is not there",
                          "its customer is not there"}),
    "kind": (rb"X(?=\0\0\0\0....S)", b"Y", {
        "a kind of record that this version does not know",
        "the list of what expires lacks it"}),
    "owner": (rb"O\0{7}\x02(?=\0\0\0\0)", b"O\0\0\0\0\0\0\0\x03", {
        "lists a session of another customer or time",
        "its owner's list of sessions lacks it"}),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_check_finds_damage(sessions, store, what):
    pattern, replacement, problems = DAMAGE[what]
    sessions.stop()
    data = store.path / "data.mdb"
    damaged, changes = re.subn(pattern, lambda _: replacement, data.read_bytes(), flags=re.S)
    assert changes > 0
    data.write_bytes(damaged)
    done = call("check", "--json", f"--data={store.path}")
    *found, counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert {f["problem"] for f in found} == problems
    assert counts["problems"] == len(found)
    assert all(bytes.fromhex(f["record"]) in damaged for f in found)
    assert call("check", f"--data={store.path}").returncode == 1


def test_check_knows_the_seal(store):
    """A password that was sealed under another key opens for nobody."""
    store.customer("ada")
    (store.path / "seal.key").write_text("0" * 64)
    store.run("check", code=1)
    (store.path / "seal.key").unlink()
    store.run("check", code=1)
    assert "seal.key" in store.errors


@pytest.mark.skipif(SANITIZED or not shutil.which("strace"), reason="strace interrupts it")
def test_check_that_is_interrupted(store, tmp_path):
    """It waits on for the process that reads the store."""
    store.key("app")
    done = subprocess.run(
        ["strace", "-qq", "-o", tmp_path / "trace", "-e", "inject=wait4:error=EINTR:when=1",
         BIN, "check", f"--data={store.path}"], env=store.environment, capture_output=True, check=False)
    assert "EINTR" in (tmp_path / "trace").read_text()
    assert done.returncode == 0 and done.stderr == b"", done


def test_check_of_a_file_cut_short(store):
    store.customer("ada")
    data = store.path / "data.mdb"
    data.write_bytes(data.read_bytes()[:8192])
    store.run("check", code=111)
    assert len(store.errors.splitlines()) == 1


# --- Files and locks. -----------------------------------------------------------------------------

def modes(path):
    return {stat.S_IMODE(p.stat().st_mode) for p in path.iterdir()}


def test_what_the_first_command_makes(tmp_path):
    data = tmp_path / "new"
    assert call("key", "add", "web", f"--data={data}").returncode == 0
    assert {p.name for p in data.iterdir()} == {"data.mdb", "lock.mdb", "seal.key", "sid.secret",
                                                "use"}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700 and modes(data) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_root_leaves_files_with_the_owner():
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        assert call("key", "add", "web", f"--data={folder}").returncode == 0
        for path in pathlib.Path(folder).iterdir():
            assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534), path


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
def test_no_access(store):
    store.key("web")
    done = subprocess.run([BIN, "key", "list", f"--data={store.path}"], env=CLEAN, check=False,
                          preexec_fn=lambda: os.setuid(65534), capture_output=True, text=True)
    assert done.returncode == 111 and "owner" in done.stderr


def test_use_is_held(store):
    """Commands share the store with a server; who restores it keeps all of them out."""
    store.customer("ada")
    with open(store.path / "use", "r+b") as use:
        server = store.serve()
        with pytest.raises(BlockingIOError):
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        store.run("customer", "list")
        server.stop()
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for command in (["customer", "list"], ["key", "add", "web"],
                        ["serve", "--listen=127.0.0.1:0", "--ops-listen="]):
            store.run(*command, code=111)
            assert "restored" in store.errors


def test_commands_beside_each_other(store):
    """Every writer gets its turn, and none loses what another wrote."""
    started = [subprocess.Popen([BIN, "customer", "add", f"c{i}", "--no-password",
                                 f"--data={store.path}"], env=CLEAN, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True) for i in range(12)]
    given = sorted(int(p.communicate(timeout=WAIT_S)[0]) for p in started)
    assert given == list(range(1, 13))
    assert len(store.records("customer", "list")) == 12
    store.run("check")


class Holder:
    """Holds the store's write lock, as a server's writer does while it commits."""

    def __init__(self, path):
        self.lmdb = ctypes.CDLL("liblmdb.so.0")
        self.env, self.txn = ctypes.c_void_p(), ctypes.c_void_p()
        self.did(self.lmdb.mdb_env_create(ctypes.byref(self.env)))
        self.did(self.lmdb.mdb_env_open(self.env, str(path).encode(), 0, 0o600))

    @staticmethod
    def did(code):
        assert code == 0, code

    def begin(self):
        self.did(self.lmdb.mdb_txn_begin(self.env, None, 0, ctypes.byref(self.txn)))

    def end(self):
        self.lmdb.mdb_txn_abort(self.txn)


def process_state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def blocks(pid, number):
    mask = re.search(r"SigBlk:\s*(\S+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.skipif(not ctypes.util.find_library("lmdb"), reason="liblmdb.so is not installed")
def test_signals_wait_for_the_lock(store):
    """Ctrl-Z while a command has the lock, or waits for it, stops it only when the lock is free:
    else it would stop the server's writer too."""
    store.customer("ada")
    holder = Holder(store.path)
    holder.begin()
    with subprocess.Popen([BIN, "customer", "disable", "ada", f"--data={store.path}"], env=CLEAN,
                          preexec_fn=lambda: os.setpgid(0, 0), stderr=subprocess.PIPE) as command:
        wait_until(lambda: blocks(command.pid, signal.SIGTSTP), "the command waits for the lock")
        assert blocks(command.pid, signal.SIGINT)
        command.send_signal(signal.SIGTSTP)
        time.sleep(0.1)
        assert process_state(command.pid) == "S"
        holder.end()
        wait_until(lambda: process_state(command.pid) == "T", "the command stops")
        holder.begin()
        holder.end()
        command.send_signal(signal.SIGCONT)
        assert command.wait(WAIT_S) == 0
    assert store.records("customer", "show", "ada")[0]["state"] == "disabled"


@pytest.mark.skipif(not ctypes.util.find_library("lmdb"), reason="liblmdb.so is not installed")
@pytest.mark.parametrize("end", [["disable"], ["delete"], ["set-password", "--hash", HASH]])
def test_killed_half_way(store, end):
    """A command that is killed between two transactions may be run again, and then all is done."""
    store.customer("ada")
    server = store.serve(max_sessions_per_customer=0)
    log_in(server, store.key("sso", "trusted,login"), "ada", [f"n{i}" for i in range(3100)])
    server.stop()
    holder = Holder(store.path)
    holder.begin()
    with subprocess.Popen([BIN, "customer", end[0], "ada", *end[1:], f"--data={store.path}"],
                          env=CLEAN, stderr=subprocess.PIPE) as command:
        wait_until(lambda: blocks(command.pid, signal.SIGTSTP), "the command waits for the lock")
        left = 3100
        while left == 3100:
            holder.end()
            time.sleep(0.002)
            holder.begin()      # between two of its transactions
            left = len(store.records("session", "list"))
        command.kill()
        command.wait()
        holder.end()
    assert left in (100, 1100, 2100)
    assert store.records("customer", "show", "ada")[0]["state"] == (
        "enabled" if end[0] == "set-password" else "disabled")
    if end[0] != "set-password":
        store.run("check", code=1)
        store.run("customer", *end, "ada")
    else:
        store.run("customer", "set-password", "ada", *end[1:])
    assert f"sessions ended: {left}" in store.errors
    assert store.records("session", "list") == []
    assert len(store.records("customer", "list")) == (end[0] != "delete")
    store.run("check")


def test_a_closed_pipe_ends_a_list(store):
    store.key("web")
    with subprocess.Popen([BIN, "key", "list", f"--data={store.path}"], env=CLEAN,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          restore_signals=True) as listing:
        listing.stdout.close()
        assert listing.wait(WAIT_S) in (0, -signal.SIGPIPE)
        assert listing.stderr.read() == b""
