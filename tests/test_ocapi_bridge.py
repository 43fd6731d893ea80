"""Tokens and sessions of /dw/: who gets one, what it opens, and the bridge under attack."""

import base64
import hashlib
import json
import re
import time

import pytest

from conftest import basic, wait_until
from test_ocapi_baskets import SHOP, Shopper

SUFFIX = hashlib.md5(b"Sites-RefArch-Site").hexdigest()
DWSID, SECURE, ANONYMOUS = "dwsid", "dwsecuretoken_" + SUFFIX, "dwanonymous_" + SUFFIX
HTTPS = {"X_Forwarded_Proto": "https"}


@pytest.fixture(scope="module")
def shop(module_store):
    class Shop:
        store = module_store
        client = module_store.key("app", "shop")
        sso = module_store.key("sso", "login")
        trusted = module_store.key("middleware", "shop,trusted")
        ada = module_store.customer("ada", None, "--first-name", "Ada", "--last-name", "Lovelace")
    Shop.server = module_store.serve(enforce_https="off", register="on", login_throttle="off")
    Shop.enforced = module_store.serve(enforce_https="on")
    return Shop


def guest_of(shop, server=None):
    shopper = Shopper(server or shop.server, shop.client)
    shopper.customer_id = shopper.auth("guest").json["customer_id"]
    return shopper


def session_of(shopper, **headers):
    return {name: value for name, (value, _) in
            shopper.ask("POST", "/sessions", status=204, **headers).cookies.items()}


def cookie(jar, *names):
    return "; ".join(f"{name}={jar[name]}" for name in names or jar)


def refused(shopper, **headers):
    fault = shopper.ask("POST", "/customers/auth", {"type": "session"}, 401, **headers).json["fault"]
    assert fault == {"arguments": {"credentialType": "session"},
                     "type": "AuthenticationFailedException",
                     "message": "Customer authentication based on session failed."}


# --- Tokens. --------------------------------------------------------------------------------------

def test_guest(shop):
    """Document and token as the original's, to the byte where it fixes bytes."""
    guest = Shopper(shop.server, shop.client)
    r = guest.auth("guest")
    assert len(r.body) == 124 and r.body == (
        '{"_v":"20.9","_type":"customer","auth_type":"guest","customer_id":"%s",'
        '"preferred_locale":"default"}' % r.json["customer_id"]).encode()
    assert r.get("Content-Type") == "application/json;charset=UTF-8" and not r.cookies
    payload = guest.token
    assert list(payload)[:5] == ["_v", "exp", "iat", "iss", "sub"]
    assert payload["exp"] - payload["iat"] == 1800 and payload["iss"] == shop.client
    assert json.loads(payload["sub"]) == {"_v": "1", "customer_info": {
        "customer_id": r.json["customer_id"], "guest": True}}
    other = guest_of(shop)
    assert other.customer_id != r.json["customer_id"]


def test_credentials(shop):
    member = Shopper(shop.server, shop.client)
    r = member.auth("credentials", Authorization=basic("ada", "ada"))
    document = r.json
    assert list(document) == ["_v", "_type", "auth_type", "creation_date", "customer_id",
                              "customer_no", "email", "enabled", "first_name", "last_name", "login",
                              "preferred_locale"]
    assert document["auth_type"] == "registered" and document["customer_no"] == str(shop.ada)
    assert json.loads(member.token["sub"])["customer_info"] == {
        "customer_id": document["customer_id"], "guest": False}
    assert member.ask("GET", "/customers/" + document["customer_id"]).json == document
    again = Shopper(shop.server, shop.client)
    assert again.auth("credentials", Authorization=basic("ada", "ada")).json == document
    assert again.headers["Authorization"] != member.headers["Authorization"]


@pytest.mark.parametrize("authorization", [
    basic("ada", "wrong"), basic("nobody", "ada"), basic("ada", ""), "Basic YWRh", "Basic ====",
    "Basic " + base64.b64encode(b"ada:" + b"x" * 600).decode()])
def test_bad_credentials(shop, authorization):
    """One answer for all of them."""
    fault = Shopper(shop.server, shop.client).fault(
        "POST", "/customers/auth", "AuthenticationFailed", {"type": "credentials"}, 401,
        Authorization=authorization)
    assert fault["arguments"] == {"credentialType": "credentials"}


def test_auth_faults(shop):
    s = Shopper(shop.server, shop.client)
    auth = "POST", "/customers/auth"
    s.fault(*auth, "AuthorizationHeaderMissing", {"type": "credentials"})
    s.fault(*auth, "AuthorizationHeaderMissing", {"type": "refresh"}, 401)
    s.fault(*auth, "InvalidAuthorizationHeader", {"type": "refresh"}, 401,
            Authorization=basic("ada", "ada"))
    assert s.fault(*auth, "EnumConstraintViolation", {"type": "magic"})["arguments"] == {
        "document": "auth_request", "enumValue": "magic"}
    s.fault(*auth, "PropertyConstraintViolation", {})
    s.fault(*auth, "PropertyConstraintViolation", {"type": None})
    s.fault(*auth, "TypeDecoding", {"type": 1})
    s.fault(*auth, "NullConstraintViolation")
    assert s.fault(*auth, "UnknownProperty", {"type": "guest", "login": "x"})["arguments"] == {
        "property": "login", "document": "auth_request"}
    s.headers = {}
    s.fault(*auth, "MissingClientId", {"type": "guest"})
    s.headers = {"x-dw-client-id": shop.sso}
    s.fault(*auth, "UnknownClientId", {"type": "guest"}, 401)
    s.headers = {}
    s.ask("POST", "/customers/auth?client_id=" + shop.client, {"type": "guest"})


def test_refresh(shop):
    guest = guest_of(shop)
    first = guest.headers["Authorization"]
    assert guest.auth("refresh").json["customer_id"] == guest.customer_id
    assert guest.headers["Authorization"] != first
    guest.ask("GET", "/customers/" + guest.customer_id)
    guest.ask("GET", "/customers/" + guest.customer_id, Authorization=first)


def test_throttle(shop, module_store):
    """A login that failed too often waits, with the right password too."""
    server = module_store.serve(enforce_https="off", login_throttle="2/15m")
    member = Shopper(server, shop.client)
    for _ in range(2):
        member.fault("POST", "/customers/auth", "AuthenticationFailed", {"type": "credentials"}, 401,
                     Authorization=basic("ada", "x"))
    r = member.ask("POST", "/customers/auth", {"type": "credentials"}, 429,
                   Authorization=basic("ada", "ada"))
    assert int(r.get("Retry-After")) > 0


def test_trusted_system(shop):
    system = Shopper(shop.server, shop.client)
    path = "/customers/auth/trustedsystem"
    body = {"login": "ada", "client_id": shop.client}
    r = system.ask("POST", path, body, X_Api_Key=shop.sso)
    assert r.json["login"] == "ada" and r.get("Authorization").startswith("Bearer ")
    system = Shopper(shop.server, shop.client)
    system.fault("POST", path, "ClientAccessForbidden", body, 403)
    system.fault("POST", path, "ClientAccessForbidden", body, 403, X_Api_Key=shop.trusted)
    system.fault("POST", path, "AuthenticationFailed", {**body, "login": "nobody"}, 401,
                 X_Api_Key=shop.sso)
    system.fault("POST", path, "InvalidClientId", {**body, "client_id": "x"}, X_Api_Key=shop.sso)
    system.fault("POST", path, "PropertyConstraintViolation", {"login": "ada"}, X_Api_Key=shop.sso)


def test_register(shop, module_store):
    guest = guest_of(shop)
    good = {"customer": {"login": "new", "email": "new@example.com", "last_name": "New"},
            "password": "V3rYS3cr3t!"}
    for member, kind in (("login", "MissingLogin"), ("email", "MissingEmail"),
                         ("last_name", "MissingLastName")):
        customer = {k: v for k, v in good["customer"].items() if k != member}
        guest.fault("POST", "/customers", kind, {**good, "customer": customer})
    guest.fault("POST", "/customers", "MissingPassword", {"customer": good["customer"]})
    guest.fault("POST", "/customers", "InvalidPassword", {**good, "password": "123"})
    guest.fault("POST", "/customers", "InvalidEmail",
                {**good, "customer": {**good["customer"], "email": "new"}})
    guest.fault("POST", "/customers", "InvalidLogin",
                {**good, "customer": {**good["customer"], "login": "-"}})
    guest.fault("POST", "/customers", "LoginAlreadyInUse",
                {**good, "customer": {**good["customer"], "login": "ada"}})
    guest.fault("POST", "/customers", "PropertyConstraintViolation", {"password": "V3rYS3cr3t!"})
    made = guest.ask("POST", "/customers", good).json
    assert made["login"] == "new" and made["auth_type"] == "registered"
    assert f"customer={made['customer_no']}" in shop.server.log().split("event=customer_added")[-1]
    member = Shopper(shop.server, shop.client)
    r = member.auth("credentials", Authorization=basic("new", "V3rYS3cr3t!"))
    assert r.json["customer_id"] == made["customer_id"]
    member.fault("POST", "/customers", "CustomerAlreadyRegistered", good)
    member.fault("GET", "/customers/" + guest.customer_id, "InvalidCustomer")
    closed = Shopper(shop.enforced, shop.client)
    closed.auth("guest")
    closed.fault("POST", "/customers", "ClientAccessForbidden", good, 403)


# --- Sessions. ------------------------------------------------------------------------------------

def test_cookies(shop):
    """As a real instance sets them, HTTPS not enforced (ocapi.md, 2.1)."""
    guest = guest_of(shop)
    r = guest.ask("POST", "/sessions", status=204)
    assert list(r.cookies) == [SECURE, DWSID, ANONYMOUS]
    assert r.get("Cache-Control") == "max-age=0,no-cache,no-store,must-revalidate"
    value, attributes = r.cookies[DWSID]
    assert len(value) == 88 and value.endswith("==") and attributes == ["Path=/", "HttpOnly"]
    value, attributes = r.cookies[SECURE]
    assert len(value) == 36 and value.endswith("==") and attributes == [
        "Version=1", 'Comment="Demandware Secure Token for site Sites-RefArch-Site"', "Path=/",
        "Secure", "HttpOnly"]
    value, attributes = r.cookies[ANONYMOUS]
    expires = time.strftime("%a, %d-%b-%Y", time.gmtime(time.time() + 15552000))
    assert value == guest.customer_id and attributes[3].startswith(f"Expires={expires} ")
    assert attributes[:3] + attributes[4:] == [
        "Version=1", 'Comment="Demandware anonymous cookie for site Sites-RefArch-Site"',
        "Max-Age=15552000", "Path=/"]
    assert guest.ask("POST", "/sessions", status=204).cookies[DWSID][0] != r.cookies[DWSID][0]
    member = Shopper(shop.server, shop.client)
    member.auth("credentials", Authorization=basic("ada", "ada"))
    assert set(session_of(member)) == {SECURE, DWSID}


def test_enforced(shop):
    """Over HTTPS alone, with a Secure cookie in the place of a second one."""
    guest = guest_of(shop, shop.enforced)
    guest.fault("POST", "/sessions", "SecureCommunicationRequired", status=403)
    r = guest.ask("POST", "/sessions", status=204, **HTTPS)
    assert list(r.cookies) == [DWSID, ANONYMOUS]
    assert r.cookies[DWSID][1] == ["Path=/", "HttpOnly", "Secure", "SameSite=None"]
    assert r.cookies[ANONYMOUS][1][-3:] == ["Path=/", "Secure", "SameSite=None"]
    jar = {DWSID: r.cookies[DWSID][0]}
    again = Shopper(shop.enforced, shop.client)
    again.fault("POST", "/customers/auth", "SecureCommunicationRequired", {"type": "session"}, 403,
                Cookie=cookie(jar))
    answer = again.auth("session", Cookie=cookie(jar), **HTTPS)
    assert answer.json["customer_id"] == guest.customer_id
    gone = guest.ask("POST", "/sessions", status=204, Cookie=SECURE + "=old", **HTTPS)
    assert gone.cookies[SECURE] == ('""', [
        "Max-Age=0", "Expires=Thu, 01-Jan-1970 00:00:10 GMT", "Path=/", "Secure", "HttpOnly"])


def test_session_for_token(shop):
    """Each call another token, all good side by side; the sample's Basic plays no part (J15)."""
    guest = guest_of(shop)
    jar = session_of(guest)
    tokens = set()
    for headers in ({}, {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}):
        again = Shopper(shop.server, shop.client)
        again.auth("session", Cookie=cookie(jar, DWSID, SECURE), **headers)
        again.ask("GET", "/customers/" + guest.customer_id)
        tokens.add(again.headers["Authorization"])
    assert len(tokens | {guest.headers["Authorization"]}) == 3


def test_secure_token_seen(shop, module_store):
    """By a setting, the second factor has to have come before, over HTTPS."""
    server = module_store.serve(enforce_https="off", secure_token_seen="on")
    jar = session_of(guest_of(shop, server))
    again = Shopper(server, shop.client)
    refused(again, Cookie=cookie(jar))
    server.get("/session", {"Cookie": cookie(jar, DWSID), "X-Forwarded-Proto": "https"})
    server.get("/session", {"Cookie": cookie(jar)})
    refused(again, Cookie=cookie(jar))
    server.get("/session", {"Cookie": cookie(jar), "X-Forwarded-Proto": "https"})

    def taken():
        return server.request("POST", SHOP + "/customers/auth", {
            **again.headers, "Cookie": cookie(jar)}, {"type": "session"}).status == 200
    wait_until(taken, "the use is noted")


# --- The bridge under attack. ---------------------------------------------------------------------

def test_stolen_dwsid(shop):
    """Read off plain HTTP, where the secure token never goes."""
    jar, other = session_of(guest_of(shop)), session_of(guest_of(shop))
    thief = Shopper(shop.server, shop.client)
    refused(thief, Cookie=cookie(jar, DWSID))
    refused(thief, Cookie=f"{DWSID}={jar[DWSID]}; {SECURE}={other[SECURE]}")
    refused(thief, Cookie=f"{DWSID}={jar[DWSID]}; {SECURE}=")
    refused(thief, Cookie=f"{DWSID}={jar[DWSID]}; dwsecuretoken_{'0' * 32}={jar[SECURE]}")
    refused(thief, Cookie=cookie(jar, SECURE))
    refused(thief)
    thief.fault("GET", "/baskets/" + "0" * 26, "AuthorizationHeaderMissing", status=401,
                Cookie=cookie(jar))
    thief.fault("POST", "/sessions", "AuthorizationHeaderMissing", status=401, Cookie=cookie(jar))


def test_forged_dwsid(shop):
    """Nothing that was not given out (S03)."""
    thief = Shopper(shop.server, shop.client)
    for value in ("A" * 86 + "==", "x", "", "'"):
        refused(thief, Cookie=f"{DWSID}={value}; {SECURE}={'A' * 34}==")


def test_replayed_token(shop):
    """After a logout, a refresh of it, and its customer's everything."""
    guest = guest_of(shop)
    old = guest.headers["Authorization"]
    guest.ask("DELETE", "/customers/auth", status=204)
    for method, path, body in (("GET", "/customers/" + guest.customer_id, None),
                               ("POST", "/sessions", None),
                               ("POST", "/customers/auth", {"type": "refresh"}),
                               ("DELETE", "/customers/auth", None)):
        fault = guest.fault(method, path, "InvalidAccessToken", body, 401)
        assert fault["arguments"] == {"accessToken": old.split()[1][:8] + "..."}


@pytest.mark.parametrize("how", ["set-password", "disable"])
def test_dead_at_once(shop, how):
    """A new password and a disabled customer end tokens and sessions with the next request (S09)."""
    login = "dead-" + how
    shop.store.customer(login)
    member = Shopper(shop.server, shop.client)
    customer = member.auth("credentials", Authorization=basic(login, login)).json["customer_id"]
    jar = session_of(member)
    options = ["--password-stdin", "--password-iterations=1000"] if how == "set-password" else []
    shop.store.run("customer", how, login, *options, stdin="another\n")
    member.fault("GET", "/customers/" + customer, "InvalidAccessToken", status=401)
    refused(Shopper(shop.server, shop.client), Cookie=cookie(jar))
    member.headers.pop("Authorization")
    member.fault("POST", "/customers/auth", "AuthenticationFailed", {"type": "credentials"}, 401,
                 Authorization=basic(login, login))


def test_token_of_another_site(shop, module_store):
    """Made for one site and one client (J15)."""
    guest = guest_of(shop)
    other = module_store.serve(site="Elsewhere", enforce_https="off")
    path = "/s/Elsewhere/dw/shop/v20_9/customers/" + guest.customer_id
    r = other.get(path, {"Authorization": guest.headers["Authorization"]})
    assert r.status == 401 and r.json["fault"]["type"] == "InvalidAccessTokenException", r


def test_token_of_a_revoked_client(shop):
    client = shop.store.key("gone", "shop")
    guest = Shopper(shop.server, client)
    path = "/customers/" + guest.auth("guest").json["customer_id"]
    guest.ask("GET", path)
    shop.store.run("key", "revoke", "gone")
    r = guest.ask("GET", path, status=401)
    assert r.json["fault"]["type"] in ("InvalidAccessTokenException", "UnknownClientIdException"), r


def test_altered_token(shop):
    guest = guest_of(shop)
    head, payload, signature = guest.headers["Authorization"].split()[1].split(".")
    claims = guest.token
    claims["exp"] += 1
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    for token in (f"{head}.{forged}.{signature}", f"{head}.{payload}.", f"{head}.{payload}"):
        guest.fault("GET", "/customers/" + guest.customer_id, "InvalidAccessToken", status=401,
                    Authorization="Bearer " + token)


def test_cookie_of_another_surface(shop):
    """A website's session is no dwsid, and a dwsid no website's session under its name."""
    r = shop.server.request("POST", "/api/login/", {}, {"username": "ada", "password": "ada"})
    session = r.cookies["sidecart_session"][0]
    thief = Shopper(shop.server, shop.client)
    refused(thief, Cookie=f"{DWSID}={session}; {SECURE}={'A' * 34}==")
    refused(thief, Cookie=f"sidecart_session={session}")
    jar = session_of(guest_of(shop))
    r = shop.server.get("/session", {"Cookie": f"sidecart_session={jar[DWSID]}"})
    assert r.json["session_kind"] == "none", r


def test_nothing_in_the_log(shop):
    """No token, no dwsid, no secure token (S11); but who ended a session (D09)."""
    guest = guest_of(shop)
    jar = session_of(guest)
    guest.ask("DELETE", "/customers/auth", status=204)
    log = shop.server.log()
    assert re.search(r"event=logout .*session=[0-9a-f]{8} via=token", log)
    parts = guest.headers["Authorization"].split(".")[1:]
    for secret in (*parts, jar[DWSID], jar[SECURE], guest.customer_id):
        assert secret[:16] not in log
