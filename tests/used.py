"""The secrets that a test used, taken from what went over the wire, and the search for them.

No log line, no file of the store and no body of an error may show one (requirements S02, S11).
A text shorter than SHORTEST proves nothing, since it would be found by chance, nor does a password
that is the login too.
"""

import base64
import binascii
import contextlib
import json
import re
from urllib.parse import parse_qsl

SHORTEST = 10
MOST = 2000             # of one store; a flood of identifiers adds no more
LONGEST = 1 << 16       # bytes of a message that is looked into
SEARCHED = 2 << 30      # bytes of a file, times the secrets looked for in it

FIELD = re.compile(rb"(?im)^(Authorization|Proxy-Authorization|X-Api-Key|Session-Id|Cookie|Set-Cookie|"
                   rb"Idempotency-Key|X-CSRF-?Token): *([^\r\n]+)\r$")
NAMES = re.compile(r"password|secret|token$|^csrf|^session_id$|^key$")


def secrets_in(data):
    """Secrets of requests or responses, as they were sent."""
    found = set()
    for name, value in FIELD.findall(data):
        name, value = name.lower(), value.strip()
        if name == b"cookie":
            found.update(pair.partition(b"=")[2] for pair in value.split(b"; ")
                         if not pair.startswith(b"dwanonymous_"))
        elif name == b"set-cookie":
            if not value.startswith(b"dwanonymous_"):       # a guest's customer_id
                found.add(value.partition(b";")[0].partition(b"=")[2])
        elif name.endswith(b"authorization"):
            found.update(of_authorization(value))
        else:
            found.add(value)
    found.update(of_body(data.rpartition(b"\r\n\r\n")[2]))
    return {secret for secret in found if len(secret) >= SHORTEST}


def of_authorization(value):
    scheme, _, proof = value.rpartition(b" ")
    yield proof
    if scheme.lower() == b"basic":
        with contextlib.suppress(binascii.Error):
            login, _, password = base64.b64decode(proof, validate=True).partition(b":")
            if password != login:
                yield password


def of_body(body):
    try:
        members = json.loads(body)
        members = list(members.items()) if isinstance(members, dict) else []
    except (ValueError, RecursionError):
        members = parse_qsl(body.decode("latin-1")) if b"=" in body else []
    for name, value in members:
        if isinstance(value, str) and NAMES.search(name) and [v for _, v in members].count(value) == 1:
            yield value.encode("utf-8", "replace")


class Used:
    """What the tests of a store used so far."""

    def __init__(self):
        self.secrets = set()

    def see(self, data):
        """Takes the secrets out of `data`, and returns them."""
        if len(self.secrets) >= MOST or len(data) > LONGEST:
            return set()
        found = secrets_in(data)
        self.secrets |= found
        return found

    def found_in(self, data):
        secrets = sorted(self.secrets)
        return [s for s in secrets[::1 + len(data) * len(secrets) // SEARCHED] if s in data]

    def judge(self, files):
        """None of `files` shows one."""
        for path in files:
            found = self.found_in(path.read_bytes())
            assert not found, f"{path.name} shows {found[:3]}"
