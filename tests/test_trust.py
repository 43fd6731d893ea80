"""Tokens of other issuers (setting token_trust), exchanged for ours: RFC 8693, J01 to J11."""

import base64
import json
import re
import shutil
import subprocess
import time
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")

IDP, OTHER = "https://idp.example/?tenant=7", "https://other.example/"
JWT = "urn:ietf:params:oauth:token-type:jwt"


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """A key of RSA or P-256 in files, and tokens that it signs."""

    def __init__(self, directory, name, alg, issuer):
        self.alg, self.issuer = alg, issuer
        self.private, self.public = directory / f"{name}.key", directory / f"{name}.pem"
        kind = (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else
                ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("genpkey", *kind, "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, data):
        der = openssl("dgst", "-sha256", "-sign", self.private, stdin=data)
        if self.alg == "RS256":
            return der
        numbers, at = [], 2         # SEQUENCE of two INTEGERs, all of them short
        for _ in range(2):
            length = der[at + 1]
            numbers.append(int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(32, "big"))
            at += 2 + length
        return b"".join(numbers)

    def token(self, header=(), **claims):
        now = int(time.time())
        head = {"alg": self.alg, "typ": "JWT", **dict(header)}
        body = {"iss": self.issuer, "aud": "RefArch", "sub": "ada", "iat": now, "exp": now + 300,
                **claims}
        body = {name: value for name, value in body.items() if value is not None}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
        return text + "." + base64url(self.sign(text.encode()))


@pytest.fixture(scope="module")
def issuers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("issuers")
    return [Issuer(directory, "rsa", "RS256", IDP), Issuer(directory, "ec", "ES256", OTHER),
            Issuer(directory, "stranger", "RS256", "https://stranger.example/")]


@pytest.fixture
def shop(store, issuers):
    class Shop:
        service = {"X-Api-Key": store.key("service", "resolve"),
                   "Content-Type": "application/x-www-form-urlencoded"}

        @staticmethod
        def exchange(token, kind=JWT):
            return Shop.server.request("POST", "/token/exchange", Shop.service, urlencode({
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": token, "subject_token_type": kind, "audience": "orders",
            }).encode())

        @staticmethod
        def refused(token):
            r = Shop.exchange(token)
            assert (r.status, r.json["error"]) == (400, "invalid_request"), r
            assert r.json["error_description"] == "The subject_token shows no live session."

        @staticmethod
        def active(token):
            return Shop.server.request("POST", "/token/introspect", Shop.service,
                                       urlencode({"token": token}).encode()).json

    store.customer("ada")
    Shop.store = store
    Shop.server = store.serve(token_trust=f"{IDP}={issuers[0].public}, "
                                          f"{OTHER}={issuers[1].public}")
    return Shop


def test_exchanged(shop, issuers):
    """By RS256 and by ES256; the same token begins one session, and that is a login (D09)."""
    for logins, issuer in enumerate(issuers[:2], 1):
        token = issuer.token()
        first, again = shop.exchange(token), shop.exchange(token)
        assert first.status == again.status == 200, first
        said = [shop.active(r.json["access_token"]) for r in (first, again)]
        assert said[0]["active"] and said[0]["username"] == "ada" and said[0]["aud"] == "orders"
        assert said[0]["sid"] == said[1]["sid"]
        told = re.findall(r'event=login key="service" customer=(\d+) session=(\w+) via=token '
                          r"address=127\.0\.0\.1\n", shop.server.log())
        assert len(told) == logins and told[-1][0] == "1"
        assert said[0]["sid"].startswith(told[-1][1])
    kind = "urn:ietf:params:oauth:token-type:id_token"
    assert shop.exchange(issuers[0].token(), kind).status == 200
    assert shop.exchange(issuers[0].token(aud=["x", "RefArch"])).status == 200


def test_refused(shop, issuers):
    """J01, J03, J07, J11, and whoever is nobody here: one and the same answer."""
    rsa, ec, stranger = issuers
    now = int(time.time())
    for token in (
            stranger.token(), stranger.token(iss=IDP), ec.token(iss=IDP), rsa.token(iss=OTHER),
            rsa.token(aud="another"), rsa.token(aud=None), rsa.token(sub="nobody"),
            rsa.token(sub=None), rsa.token(exp=now - 100, iat=now - 200), rsa.token(exp=None),
            rsa.token(iat=now + 600, exp=now + 900), rsa.token(nbf=now + 600),
            rsa.token(exp=now + 8 * 86400), rsa.token({"alg": "none"}), rsa.token({"alg": "HS256"}),
            rsa.token({"alg": "ES256"}), rsa.token({"crit": ["b64"]}), rsa.token({"typ": "x"}),
            rsa.token()[:-4] + "AAAA", rsa.token({"kid": "unknown"})):
        shop.refused(token)


def test_disabled_and_revoked(shop, issuers):
    """The session of a foreign token ends as any other."""
    token = issuers[0].token()
    made = shop.exchange(token).json["access_token"]
    assert shop.active(made)["active"]
    shop.store.run("customer", "disable", "ada")
    assert shop.active(made) == {"active": False}
    shop.refused(token)


def test_not_an_identity(shop, issuers):
    """Such a token is exchanged, and opens nothing by itself."""
    r = shop.server.get("/resolve", {"Authorization": "Bearer " + issuers[0].token()})
    assert r.status == 401


@pytest.mark.parametrize("setting, why", [
    ("https://idp.example/", "not ISSUER=FILE"),
    ("=x", "not ISSUER=FILE"),
    ("https://idp.example/=/nonexistent", "the file cannot be read"),
    ("https://idp.example/=/dev/null", ""),
    ("a={pem},a={pem}", "the issuer is named twice"),
    (",".join(f"i{n}={{pem}}" for n in range(9)), "one issuer too many"),
])
def test_bad_setting(store, issuers, setting, why):
    """Stops the start with a line that names the setting."""
    setting = setting.format(pem=issuers[0].public)
    store.run("serve", f"--token_trust={setting}", "--listen=127.0.0.1:0", "--ops_listen=", code=100)
    assert "token_trust: " in store.errors and why in store.errors
