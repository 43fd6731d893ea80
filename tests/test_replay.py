"""Replays recorded exchanges with a real oscarapi against the real binary (tests/replay).

Each case says what the original answered and, where ours differs on purpose, what and why.
SPEC names the folder of the recording itself (oscarapi-exchanges.txt): where it is there, the
cases must agree with it, and none of its exchanges may be missing.
"""

import os
import pathlib
import re
import shlex

import pytest

from conftest import ROOT, Store, basic, request_bytes

CASES = ROOT / "tests" / "replay" / "oscarapi.txt"
HOST = "127.0.0.1:8091"
NOT_COMPARED = ("<html>", "<basket>", "<problem>")


class Answer:
    """Status, media type, the fields that matter, body."""

    def __init__(self, line):
        status, self.media = line.split()
        self.status = int(status)
        self.fields, self.body = {}, ""

    def take(self, line):
        if re.match(r"[A-Z][A-Za-z-]*: ", line):
            name, value = line.split(": ", 1)
            self.fields[name] = value
        else:
            self.body = line

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return str(vars(self))


class Case:
    """One exchange: the request, the original's answer, and ours."""

    def __init__(self, line):
        self.number, self.method, self.path = line.split()
        self.headers, self.body = [], None
        self.theirs = self.ours = None
        self.reason = None

    def take(self, line):
        if line.startswith("! "):
            self.reason = line[2:]
        elif line.startswith("= "):
            self.ours = Answer(line[2:])
            self.theirs = self.theirs or self.ours
        elif self.ours:
            self.ours.take(line.strip())
        elif re.match(r"  [A-Z][A-Za-z-]*: ", line):
            name, value = line.strip().split(": ", 1)
            self.headers.append((name, value.replace("<SP>", " ")))
        else:
            self.body = line.strip()


def read_cases():
    """The three lists of cases, and the numbers that are left out."""
    lists, left_out = [[]], []
    for line in CASES.read_text().splitlines():
        if line.startswith("- "):
            left_out += line[2:].split()
        elif line in ("cookies", "gateway"):
            lists.append([])
        elif re.match(r"\d{3} ", line):
            lists[-1].append(Case(line))
        elif line and not line.startswith("#"):
            lists[-1][-1].take(line)
    return lists, left_out


(SESSIONS, COOKIES, GATEWAY), LEFT_OUT = read_cases()


def fill_in(text, jar):
    """Puts our cookies where the cases name them; one that we never set is sent all the same."""
    return re.sub(r"<(?:id|token)\d>", lambda m: jar.get(m[0], "x" * 43), text)


def compare_cookies(case, r, jar):
    """Names and values; a value that the case names is kept for the requests to come."""
    wanted = dict(c.split("=") for c in case.ours.fields.get("Set-Cookie", "").split(", ") if c)
    assert sorted(r.cookies) == sorted(wanted), (case.number, r)
    for name, value in wanted.items():
        ours, attributes = r.cookies[name]
        assert (ours == "") == (value == "") == ("Max-Age=0" in attributes), (case.number, r)
        assert jar.setdefault(value, ours) == ours, (case.number, r)


def compare(case, r, jar):
    ours = case.ours
    compare_cookies(case, r, jar)
    assert r.status == ours.status, (case.number, r)
    assert (r.get("Content-Type") or "").split(";")[0] == ours.media, (case.number, r)
    for name in ("Session-Id", "Allow"):
        assert r.get(name) == ours.fields.get(name), (case.number, r)
    if ours.body not in NOT_COMPARED:
        body = re.sub(r'("date_joined":)"[^"]*"', r'\1"<time>"', r.body.decode())
        assert body == ours.body, case.number
    if r.get("Session-Id"):
        assert "Session-Id" in r.get("Vary").split(", "), (case.number, "fault 3")


def replay(server, cases):
    jar = {}
    for case in cases:
        headers = [(name, fill_in(value, jar)) for name, value in case.headers]
        if case.body is not None:
            headers.append(("Content-Type", "application/json"))
        with server.wire() as wire:
            wire.send(request_bytes(case.method, case.path, headers,
                                    case.body.encode() if case.body else None, HOST))
            compare(case, wire.response(), jar)


@pytest.fixture
def shop(tmp_path):
    made = Store(tmp_path / "store")
    for login in ("nobody", "somebody", "bob", "alice", "admin"):
        made.run("customer", "add", login, "--email", f"{login}@nobody.niks", "--password-stdin",
                 "--password-iterations=1000", stdin=login + "\n")
    yield made
    made.close()


def test_header_sessions(shop):
    """001 to 132: logins, logouts, takeovers, every form of the header."""
    server = shop.serve(sid_grammar="oscarapi", sid_trust="any", expose_user_details="on")
    replay(server, SESSIONS)


def test_cookie_sessions(shop):
    """133 to 149: cookies alone and beside a header, CSRF."""
    server = shop.serve(sid_grammar="oscarapi", sid_trust="any", expose_user_details="on",
                        cookie_name="sessionid", csrf_cookie_name="csrftoken")
    replay(server, COOKIES)


def test_gateway(shop):
    """182 to 196: the API key comes before the session."""
    shop.run("key", "add", "one", "--value", "testapikey")
    shop.run("key", "add", "two", "--value", "Token abc")
    server = shop.serve(sid_grammar="oscarapi", sid_trust="any", expose_user_details="on",
                        gateway="on")
    replay(server, GATEWAY)


def test_differences_have_reasons():
    """A difference names a fault of oscarapi.md section 9, or the text that demands it."""
    for case in SESSIONS + COOKIES + GATEWAY:
        assert (case.reason is not None) == (case.ours is not case.theirs), case.number
        assert not case.reason or re.search(
            r"fault \d|DESIGN section \d|interface\.md|oscarapi\.md section \d", case.reason)
        assert case.ours != case.theirs or case.reason is None, case.number


def name_cookies(text, names):
    """Random values of the recording by the names that the cases have for them."""
    def name(m):
        if re.fullmatch("[0-9a-f]{40}", m[2]):
            return m[1] + "<key>"
        kind = "id" if m[1] == "sessionid=" else "token"
        count = sum(known.startswith(f"<{kind}") for known in names.values())
        return m[1] + names.setdefault(m[2], f"<{kind}{count + 1}>")
    return re.sub(r"(sessionid=|csrftoken=|X-CSRFToken: )(\w{32,64})\b", name, text)


def set_cookies(head):
    """Names and values of a recorded head."""
    found = re.findall(r"^Set-Cookie: (\w+)=([^;]*)", head, re.M)
    return ", ".join(sorted(f"{name}={value.strip(chr(34))}" for name, value in found))


def recorded(text, names):
    """One exchange of the recording in the form of a case."""
    if "133" <= text[4:7] <= "149":
        text = name_cookies(text, names)
    number, command, status, head, body = re.match(
        r"=== (\d+)\. .*\n\$ (curl .*)\nHTTP/1.1 (\d+).*\n((?:.+\n)*)\n?((?s:.*?))"
        r"(?=\n--- sql|\Z)", text).groups()
    words = iter(shlex.split(command)[2:])
    case = Case(f"{number} GET /")
    for word in words:
        if word == "-b" and "133" <= number <= "149":
            case.headers.append(("Cookie", next(words)))
        elif word in ("-o", "-D", "-b", "-c"):
            next(words)
        elif word == "-X":
            case.method = next(words)
        elif word == "-u":
            case.headers.append(("Authorization", basic(*next(words).split(":"))))
        elif word == "-H":
            case.headers.append(tuple(next(words).split(": ", 1)))
        elif word == "-d":
            case.body, case.method = next(words), "POST"
        else:
            case.path = re.sub(r"http://[^/]*", "", word)
    if case.body is not None:
        case.headers.remove(("Content-Type", "application/json"))
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    theirs = Answer(f"{status} {fields['Content-Type'].split(';')[0]}")
    theirs.fields = {name: fields[name] for name in ("Allow", "Session-Id") if name in fields}
    if "133" <= number <= "149" and set_cookies(head):
        theirs.fields["Set-Cookie"] = set_cookies(head)
    theirs.body = re.sub(r'("date_joined":)"[^"]*"', r'\1"<time>"', body.strip("\n"))
    if theirs.media == "text/html":
        theirs.body = "<html>"
    elif theirs.body.startswith('{"id":'):
        theirs.body = "<basket>"
    case.theirs = theirs
    return case


def test_cases_are_the_recording():
    """The cases are what the recording says, and all of its exchanges are accounted for."""
    if not os.environ.get("SPEC"):
        pytest.skip("SPEC names no folder of the recording")
    text = pathlib.Path(os.environ["SPEC"], "oscarapi-exchanges.txt").read_text()
    exchanges = {e[4:7]: e for e in re.split(r"\n(?==== \d{3})", text)[1:]}
    wanted = [n for n in exchanges
              if "001" <= n <= "149" or "182" <= n <= "196"]
    cases = {case.number: case for case in SESSIONS + COOKIES + GATEWAY}
    assert sorted([*cases, *LEFT_OUT]) == wanted
    names = {}
    for number, case in cases.items():
        original = recorded(exchanges[number], names)
        for part in ("method", "path", "headers", "body", "theirs"):
            assert getattr(case, part) == getattr(original, part), (number, part)
