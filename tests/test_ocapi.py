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
