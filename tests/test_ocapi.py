"""The /dw/ surface on the running binary: conventions and faults (tests/test_ocapi.c has more)."""

import re

DW = "/dw/shop/v20_9"
COMMON = {
    "Content-Type": "application/json;charset=UTF-8",
    "Cache-Control": "max-age=0,no-cache,no-store,must-revalidate",
    "X-Content-Type-Options": "nosniff",
    "x-dw-version-status": "current",
}


def fault(r, status, kind, version="20.9"):
    """The one fault that an answer is; its arguments."""
    assert r.status == status, r
    for name, value in COMMON.items():
        assert r.get(name) == value
    assert re.fullmatch("[A-Za-z0-9_-]{16}", r.get("x-dw-request-base-id"))
    document = r.json
    assert list(document) == ["_v", "fault"] and document["_v"] == version
    assert list(document["fault"]) == ["arguments", "type", "message"]
    assert document["fault"]["type"] == kind + "Exception", r
    assert ("WWW-Authenticate" in dict(r.fields)) == (status == 401)
    return document["fault"]["arguments"]


def test_faults(store):
    server = store.serve()
    r = server.request("GET", f"{DW}/nosuch")
    assert fault(r, 404, "ResourcePathNotFound") == {"path": f"{DW}/nosuch"}
    again = server.request("GET", f"{DW}/nosuch")
    assert r.get("x-dw-request-base-id") != again.get("x-dw-request-base-id")
    fault(server.request("GET", "/dw/shop/v20_10/nosuch"), 404, "ResourcePathNotFound", "20.10")
    fault(server.request("GET", "/dw/shop/v99_1/nosuch"), 404, "VersionNotFound")
    fault(server.request("GET", f"/s/other{DW}/nosuch"), 404, "UnknownSite")
    fault(server.request("GET", f"/s/-{DW}/nosuch"), 403, "OrganizationAccessForbidden")
    fault(server.request("POST", f"{DW}/nosuch", {"Content-Type": "text/xml"}, b"<a/>"), 415,
          "UnsupportedContentType")
    assert fault(server.request("GET", f"{DW}/{'x' * 1000}"), 404, "ResourcePathNotFound")[
        "path"] == f"{DW}/{'x' * 1000}"[:200]


def test_broken_http_is_a_fault(store):
    """What ends the connection has this surface's form too, once the path is known."""
    server = store.serve(max_body="1K")
    json = {"Content-Type": "application/json"}
    fault(server.request("POST", f"{DW}/nosuch", json, b"x" * 1025), 413, "RequestEntityTooLarge")
    fault(server.request("GET", f"{DW}/nosuch", {"Expect": "x"}), 417, "ExpectationFailed")
    fault(server.request("TRACE", f"{DW}/nosuch"), 405, "MethodNotAllowed")
    fault(server.request("GET", f"{DW}/nosuch", {"X-Long": "x" * 9000}), 431,
          "RequestHeaderFieldsTooLarge")
    two = {"x-dw-http-method-override": "PUT", "X-Dw-Http-Method-Override": "PUT"}
    fault(server.request("POST", f"{DW}/nosuch", two), 400, "BadRequest")
    assert server.request("GET", f"/{'x' * 3000}").get("Content-Type") == "application/problem+json"


def test_surfaces(store):
    server = store.serve(surfaces="session")
    assert server.request("GET", "/session").status == 200
    for path in ("/resolve", "/api/basket/", f"{DW}/nosuch"):
        r = server.request("GET", path)
        assert (r.status, r.get("Content-Type")) == (404, "application/problem+json"), path
    assert server.request("GET", "/healthz").status == 200


ORIGIN = "https://app.example"
CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
        "Access-Control-Expose-Headers")


def test_cors(store):
    """A page of the client's origins may use the client id and read the answers, no other may."""
    app = store.key("app", "shop", "--origin", f"{ORIGIN},http://localhost:3000")
    bare = store.key("bare", "shop")
    server = store.serve()
    target = f"{DW}/baskets/{'0' * 26}"

    def ask(client, origin):
        return server.request("GET", target, {"x-dw-client-id": client, "Origin": origin})

    for origin in (ORIGIN, "HTTPS://APP.example", "http://localhost:3000"):
        r = ask(app, origin)
        fault(r, 401, "AuthorizationHeaderMissing")
        assert [r.get(name) for name in CORS[:2]] == [origin, "true"]
        assert "Authorization" in r.get(CORS[2]).split(", ")
    for client, origin in ((app, "https://evil.example"), (app, "http://app.example"),
                           (app, "https://app.example.evil.example"), (app, "null"),
                           (app, "https://app.example:444"), (bare, ORIGIN)):
        r = ask(client, origin)
        assert fault(r, 401, "UnauthorizedOrigin") == {"origin": origin}
        assert not any(r.get(name) for name in CORS), origin
    r = ask(bare, f"http://127.0.0.1:{server.port}")
    fault(r, 401, "UnauthorizedOrigin")  # another port than that of Host
    r = ask(bare, "http://127.0.0.1")
    fault(r, 401, "AuthorizationHeaderMissing")
    assert not any(r.get(name) for name in CORS)  # its own host's: nothing is shared
    r = server.request("GET", target, {"Origin": ORIGIN, "Authorization": "Bearer x",
                                       "x-dw-client-id": app})
    fault(r, 401, "InvalidAccessToken")
    assert r.get(CORS[0]) == ORIGIN  # a page can tell that it has to get another


def test_preflight(store):
    """It names no client: its request is judged, not it."""
    server = store.serve()
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH",
             "Access-Control-Request-Headers": "authorization,x-dw-client-id"}
    r = server.request("OPTIONS", f"/s/RefArch{DW}/baskets/{'0' * 26}?client_id=x", asked)
    assert (r.status, r.body, r.get(CORS[0]), r.get(CORS[1])) == (204, b"", ORIGIN, "true")
    assert "PATCH" in r.get("Access-Control-Allow-Methods").split(", ")
    allowed = r.get("Access-Control-Allow-Headers").lower().split(", ")
    assert {"authorization", "content-type", "x-dw-client-id"} <= set(allowed)
    assert r.get("Allow") == "GET, HEAD, PATCH, DELETE, OPTIONS"
    r = server.request("OPTIONS", f"{DW}/baskets", {})
    assert r.status == 204 and not r.get(CORS[0])
