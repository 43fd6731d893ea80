"""Replays recorded exchanges with a real oscarapi against the real binary (tests/replay).

Each case says what the original answered and, where ours differs on purpose, why and with what.
SPEC names the folder of the recording itself (oscarapi-exchanges.txt): where it is there, the
cases must be the recording, and none of its exchanges may be missing.

Rules that hold for all of them, so that no case says them:
offers    Another system works out offers: what the original shows without them, ours shows.
cookies   A request with a valid Session-Id gets no cookie (fault 3).
times     Any time stands for another; microseconds stay microseconds.
ids       Of baskets, lines and attributes the first that is seen in the place of another is the
          same from then on, in paths and basket cookies too: the original makes rows where ours
          makes none (fault 10), and some of its exchanges are not in the recording.
"""

import json
import os
import pathlib
import re
import shlex

import pytest

from conftest import ROOT, Store, basic, request_bytes, signed_basket

CASES = ROOT / "tests" / "replay" / "oscarapi.txt"
NOT_COMPARED = ("<html>", "<problem>", "<not recorded>")

# The fixtures of the recording. Only what has a stock record is for sale.
PRODUCTS = "".join(json.dumps(p) + "\n" for p in (
    {"id": "1", "name": "Oscar T-shirt", "price": "10.00", "currency": "EUR", "stock": 20},
    {"id": "2", "name": "Oscar T-shirt child", "price": "10.00", "currency": "EUR", "stock": 20},
    {"id": "3", "name": "lots of attributes", "price": "", "currency": ""},
    {"id": "4", "name": "Entity product", "price": "", "currency": ""},
    {"id": "5", "name": "Oscar T-shirt", "price": "", "currency": ""}))
CUSTOMERS = ("admin", "nobody", "somebody", "bench", "alice", "bob")  # 1 to 6
SETTINGS = {"sid_grammar": "oscarapi", "sid_trust": "any", "expose_user_details": "on",
            "cookie_name": "sessionid", "csrf_cookie_name": "csrftoken", "register": "on",
            "login_throttle": "off"}


class Answer:
    """Status, media type, the fields that matter, body."""

    def __init__(self, line):
        status, self.media = (line + " ").split(" ", 1)
        self.status, self.media = int(status), self.media.strip()
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

    def speaks_by_header(self):
        """A Session-Id that the original takes for one."""
        sid = dict(self.headers).get("Session-Id", "")
        return re.match(r"SID:(ANON|AUTH):.*?:.", sid) is not None


def read_cases():
    """The cases of the three servers, in order."""
    lists = []
    for line in CASES.read_text().splitlines():
        if line.startswith("server "):
            lists.append([])
        elif re.match(r"\d{3} ", line):
            lists[-1].append(Case(line))
        elif line and not line.startswith("#"):
            lists[-1][-1].take(line)
    return lists


SESSIONS, COOKIES, GATEWAY = read_cases()


# --- The rules. -----------------------------------------------------------------------------------

def without_offers(value):
    """The answer where no offer is worked out."""
    if isinstance(value, list):
        return [without_offers(v) for v in value]
    if not isinstance(value, dict):
        return value
    value = dict(value)
    for name in list(value):
        if name + "_excl_discounts" in value:
            value[name] = value[name + "_excl_discounts"]
    if "offer_discounts" in value:
        value["offer_discounts"] = []
    return value


def by_rules(case):
    """The original's answer as ours is to be."""
    theirs = case.theirs
    if case.reason:
        return case.ours
    ours = Answer(f"{theirs.status} {theirs.media}")
    ours.fields, ours.body = dict(theirs.fields), theirs.body
    if case.speaks_by_header():
        ours.fields.pop("Set-Cookie", None)
    if "offer_discounts" in ours.body or "excl_discounts" in ours.body:
        ours.body = json.dumps(without_offers(json.loads(ours.body)), separators=(",", ":"))
    return ours


TIME = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"')


def forget_times(body):
    return TIME.sub('"<time>"', body)


class Names:
    """Ids and random values: what those of the recording are called here."""

    IDS = re.compile(r"(baskets/|lines/|lineattributes/|(?<=[\[,{])\"id\":(?=\d+,\"owner\"))(\d+)")
    KINDS = {"baskets/": "basket", '"id":': "basket", "lines/": "line",
             "lineattributes/": "attribute"}

    def __init__(self):
        self.ours, self.theirs, self.jar = {}, {}, {}

    def learn(self, recorded, answered):
        """Pairs the ids of two bodies, and finds that they pair."""
        pairs = self.IDS.findall(recorded), self.IDS.findall(answered)
        assert [p[0] for p in pairs[0]] == [p[0] for p in pairs[1]], (recorded, answered)
        for (mark, theirs), (_, ours) in zip(*pairs):
            self.pair(self.KINDS[mark], theirs, ours)

    def pair(self, kind, theirs, ours):
        assert self.ours.setdefault((kind, theirs), ours) == ours, (kind, theirs, ours)
        assert self.theirs.setdefault((kind, ours), theirs) == theirs, (kind, theirs, ours)

    def translate(self, text):
        """A text of the recording with our ids; one that is not known stays."""
        return self.IDS.sub(lambda m: m[1] + self.ours.get((self.KINDS[m[1]], m[2]), m[2]), text)

    def fill_in(self, text):
        """Puts our cookies where a request names them; one that we never set is sent all the
        same."""
        text = re.sub(r"<(?:id|token)\d+>", lambda m: self.jar.get(m[0], "x" * 43), text)
        return re.sub(r"<basket-(\d+)>", lambda m: signed_basket(
            self.ours.get(("basket", m[1]), m[1])), text)


def compare_cookies(case, wanted, r, names):
    """Names and values; a value that the case names is kept for the requests to come."""
    wanted = dict(c.split("=", 1) for c in wanted.split(", ") if c)
    assert sorted(r.cookies) == sorted(wanted), (case.number, r)
    for name, value in wanted.items():
        ours, attributes = r.cookies[name]
        assert (ours == "") == (value == "") == ("Max-Age=0" in attributes), (case.number, r)
        if (number := re.fullmatch(r"<basket-(\d+)>", value)) is not None:
            names.pair("basket", number[1], ours.split(":")[0])
            assert ours == names.fill_in(value), (case.number, r)
        else:
            assert names.jar.setdefault(value, ours) == ours, (case.number, r)


def compare(case, r, names):
    wanted = by_rules(case)
    assert r.status == wanted.status, (case.number, r)
    assert (r.get("Content-Type") or "").split(";")[0] == wanted.media, (case.number, r)
    for name in ("Session-Id", "Allow", "Location"):
        assert r.get(name) == wanted.fields.get(name), (case.number, r)
    compare_cookies(case, wanted.fields.get("Set-Cookie", ""), r, names)
    if wanted.body not in NOT_COMPARED:
        theirs, ours = forget_times(wanted.body), forget_times(r.body.decode())
        names.learn(theirs, ours)
        assert ours == names.translate(theirs), case.number
    if r.get("Session-Id"):
        assert "Session-Id" in r.get("Vary").split(", "), (case.number, "fault 3")


def replay(server, cases, port):
    names = Names()
    for case in cases:
        headers = [(name, names.fill_in(value)) for name, value in case.headers]
        body = names.translate(case.body).encode() if case.body else None
        if body and body.startswith(b"{"):
            headers.append(("Content-Type", "application/json"))
        with server.wire() as wire:
            wire.send(request_bytes(case.method, names.translate(case.path), headers, body,
                                    f"127.0.0.1:{port}"))
            compare(case, wire.response(head_only=case.method == "HEAD"), names)


# --- The servers of the recording. ----------------------------------------------------------------

@pytest.fixture
def shop(tmp_path):
    made = Store(tmp_path / "store")
    for i, login in enumerate(CUSTOMERS):
        number = made.run("customer", "add", login, "--email", f"{login}@nobody.niks",
                          "--password-stdin", "--password-iterations=1000", stdin=login + "\n")
        assert int(number) == i + 1
    made.run("product", "import", "-", stdin=PRODUCTS)
    yield made
    made.close()


def test_sessions(shop):
    """001 to 149: sessions by header and by cookie, baskets kept in them alone."""
    replay(shop.serve(**SETTINGS, basket_cookie="off"), SESSIONS, 8091)


def test_basket_cookie(shop):
    """167 to 180: beside a web shop, with the basket cookie."""
    replay(shop.serve(**SETTINGS, basket_cookie="on"), COOKIES, 8092)


def test_gateway(shop):
    """182 to 196: the API key comes before the session."""
    shop.run("key", "add", "one", "--value", "testapikey")
    shop.run("key", "add", "two", "--value", "Token abc")
    replay(shop.serve(**SETTINGS, gateway="on"), GATEWAY, 8093)


# --- The cases. -----------------------------------------------------------------------------------

def test_differences_have_reasons():
    """A difference names a fault of oscarapi.md section 9, or the text that demands it."""
    for case in SESSIONS + COOKIES + GATEWAY:
        assert (case.reason is not None) == (case.ours is not case.theirs), case.number
        assert not case.reason or re.search(
            r"fault \d|DESIGN section \d|interface\.md|oscarapi\.md section \d|docs/oscarapi\.md",
            case.reason)
        if case.reason:
            listed, case.reason = case.reason, None
            assert by_rules(case) != case.ours, (case.number, "is no difference")
            case.reason = listed


def name_cookies(text, names):
    """Random values of the recording by the names that the cases have for them."""
    def name(m):
        if re.fullmatch("[0-9a-f]{40}", m[2]):
            return m[1] + "<key>"
        kind = "id" if m[1] == "sessionid=" else "token"
        count = sum(known.startswith(f"<{kind}") for known in names.values())
        return m[1] + names.setdefault(m[2], f"<{kind}{count + 1}>")
    text = re.sub(r"(sessionid=|csrftoken=|X-CSRFToken: )(\w{32,64})\b", name, text)
    return re.sub(r"(oscar_open_basket=)(\d+):[\w-]{43}", r"\1<basket-\2>", text)


def set_cookies(head):
    """Names and values of a recorded head."""
    found = re.findall(r"^Set-Cookie: (\w+)=([^;]*)", head, re.M)
    return ", ".join(sorted(f"{name}={value.strip(chr(34))}" for name, value in found))


def recorded_request(number, command):
    """What curl sent."""
    case = Case(f"{number} GET /")
    words = iter(shlex.split(command)[2:])
    for word in words:
        if word == "-b":
            case.headers.append(("Cookie", next(words)))
        elif word in ("-o", "-D", "-c"):
            next(words)
        elif word == "-X":
            case.method = next(words)
        elif word == "-u":
            case.headers.append(("Authorization", basic(*next(words).split(":"))))
        elif word == "-H":
            case.headers.append(tuple(next(words).split(": ", 1)))
        elif word == "-d":
            case.body = "&".join(filter(None, (case.body, next(words))))
            case.method = "POST" if case.method == "GET" else case.method
        else:
            case.path = re.sub(r"http://[^/]*", "", word)
    json_type = ("Content-Type", "application/json")
    if json_type in case.headers:
        case.headers.remove(json_type)
    elif case.body is not None:
        case.headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    return case


def recorded(text, names):
    """One exchange of the recording in the form of a case, and its port."""
    number, command, status, head, body = re.match(
        r"=== (\d+)\. .*\n\$ (curl .*)\nHTTP/1.1 (\d+).*\n((?:.+\n)*)\n?((?s:.*?))"
        r"(?=\n--- sql|\Z)", name_cookies(text, names)).groups()
    case = recorded_request(number, command)
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    theirs = Answer(f"{status} {fields.get('Content-Type', '').split(';')[0]}")
    theirs.fields = {name: fields[name] for name in ("Allow", "Session-Id", "Location")
                     if name in fields}
    if set_cookies(head):
        theirs.fields["Set-Cookie"] = set_cookies(head)
    theirs.body = forget_times("" if case.method == "HEAD" else body.strip("\n"))
    if "-o /dev/null" in command:
        theirs.body = "<not recorded>"
    elif theirs.media == "text/html" and theirs.body:
        theirs.body = "<html>"
    case.theirs = theirs
    return case, re.search(r":(809\d)/", command)[1]


def recording():
    """All exchanges of the recording by port, in order."""
    text = pathlib.Path(os.environ["SPEC"], "oscarapi-exchanges.txt").read_text()
    ports, names = {}, {}
    for exchange in re.split(r"\n(?==== \d{3})", text)[1:]:
        case, port = recorded(exchange, names)
        ports.setdefault(port, []).append(case)
    return [ports[port] for port in sorted(ports)]


def test_cases_are_the_recording():
    """The cases are what the recording says, and all of its exchanges are there."""
    if not os.environ.get("SPEC"):
        pytest.skip("SPEC names no folder of the recording")
    for cases, originals in zip((SESSIONS, COOKIES, GATEWAY), recording(), strict=True):
        assert [c.number for c in cases] == [o.number for o in originals]
        for case, original in zip(cases, originals):
            for part in ("method", "path", "headers", "body", "theirs"):
                assert getattr(case, part) == getattr(original, part), (case.number, part)
