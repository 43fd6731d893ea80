"""deploy/: the backend sees sidecart's identity or nothing, whatever a client sends (F09).

nginx, Caddy and HAProxy run here with the files that are shipped. Traefik and Envoy are neither in
Debian nor in npm: their files are judged word by word, and Envoy's Lua runs alone.
"""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from conftest import ROOT, Store, wait_until
from proxy import IDENTITY, NOBODY, Shop, caddy, field, haproxy, identity, nginx, program, stand_in

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
KINDS = [nginx, caddy, haproxy]
FILES = ["nginx.conf", "Caddyfile", "haproxy-sidecart.lua", "traefik.yml", "envoy.yaml"]

# What the client gets where sidecart says neither 204, 401 nor 403; nginx has one word for all.
UNREADABLE = {nginx: 500, caddy: 400, haproxy: 400}
OVERLOADED = {nginx: 500, caddy: 503, haproxy: 503}
SILENT = {nginx: 500, caddy: 504, haproxy: 504}
STOPPED = {nginx: 500, caddy: 502, haproxy: 503}

# Every sign but letters, digits and `-` that a field's name can hold (RFC 9110, section 5.6.2).
SIGNS = "!#$%&'*+.^_`|~"
SPELLINGS = [str, str.lower, str.upper, str.swapcase,
             *(lambda name, sign=sign: name.replace("-", sign) for sign in SIGNS),
             lambda name: name.upper().replace("-", "_"), lambda name: name.replace("-", "_", 1),
             lambda name: "_".join(name.rsplit("-", 1))]

of_each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def shop(request, tmp_path_factory):
    """One for all tests of a proxy: each uses a Session-Id of its own."""
    folder = tmp_path_factory.mktemp("shop")
    store = Store(folder / "store")
    made = Shop(request.param, store, folder / "proxy")
    made.kind = request.param
    yield made
    made.close()
    store.close()


def log_in(shop, name, login="ada"):
    """Through the proxy; gives the fields of a customer's request."""
    response, seen = shop.ask("/api/login/", {**shop.key, "Session-Id": ANON + name}, "POST",
                              {"username": login, "password": login})
    assert (response.status, seen) == (200, []), "sidecart's own, not the backend's"
    assert response.get("Session-Id") == AUTH + name
    return {**shop.key, "Session-Id": AUTH + name}


def test_nobody(shop):
    """Without key and session a request passes as nobody's: no key is put in by the proxy."""
    response, seen = shop.ask("/page?a=b&require=customer")
    assert response.status == 200 and response.body == b"shop"
    assert identity(seen) == NOBODY
    assert seen[0][:2] == ("GET", "/page?a=b&require=customer")


def test_guest(shop):
    guest = {**shop.key, "Session-Id": ANON + "guest"}
    expected = dict(shop.sidecart.resolve(guest).fields)
    assert expected["X-Session-Kind"] == "guest" and expected["X-Client-Name"] == "app"
    response, seen = shop.ask("/", guest)
    assert response.status == 200
    assert identity(seen) == {n: expected[n] for n in [*IDENTITY, "Session-Id"]}


@pytest.mark.parametrize("login", ["ada", "J\xfcrgen {env.PATH} %41 ${PATH}", "\\1%[src]$host"])
def test_customer(shop, login):
    """The values of every field arrive as sidecart wrote them; a logout holds at once."""
    if login != "ada":
        shop.store.run("customer", "add", login, "--password-stdin", "--password-iterations=1000",
                       stdin=login + "\n")
    name = f"customer{len(login)}"
    customer = log_in(shop, name, login)
    expected = dict(shop.sidecart.resolve(customer).fields)
    assert expected["X-Session-Kind"] == "customer" and expected["X-Customer-Id"].isdigit()
    for path in ("/", "/account/orders"):
        response, seen = shop.ask(path, customer)
        assert response.status == 200
        assert identity(seen) == {n: expected[n] for n in [*IDENTITY, "Session-Id"]}
    assert shop.ask("/api/login/", customer, "DELETE")[0].status == 200
    for path in ("/", "/account/orders"):
        shop.refused(401, path, customer)


def test_refusals_reach_the_client_alone(shop):
    """401 and 403 pass to the client with their reason; the backend never hears of the request."""
    for path, headers, status, error in (
            ("/account/", {}, 401, "session_required"),
            ("/account/", {**shop.key, "Session-Id": ANON + "n"}, 401, "customer_required"),
            ("/", {**shop.key, "Session-Id": AUTH + "dead"}, 401, "session_dead"),
            ("/", {**shop.key, "Session-Id": "garbage"}, 401, "sid_malformed"),
            ("/", {"Authorization": "Bearer abc"}, 401, "token_dead"),
            ("/", {"X-Api-Key": "wrong"}, 403, "key_bad"),
            ("/", {"Authorization": "wrong"}, 403, "key_bad"),
            ("/", {"Session-Id": ANON + "n"}, 403, "sid_untrusted"),
            ("/", {"Session-Id": AUTH + "n"}, 403, "sid_untrusted"),
            ("/", {**shop.key, "Session-Id": "SID:ANON:example.com:n"}, 403, "sid_realm")):
        for method, body in (("GET", None), ("POST", b"a=b")):
            response = shop.refused(status, path, headers, method, body)
            assert response.get("X-Resolve-Error") == error
            assert (response.get("WWW-Authenticate") is None) == (status == 403)


def test_customers_alone(shop):
    """No way of writing the path leads a guest to /account/."""
    guest = {**shop.key, "Session-Id": ANON + "n"}
    for path in ("/account/", "/account/orders?a=/x", "/account/?require=any", "/%61ccount/",
                 "//account/", "/./account/", "/x/../account/", "/%2e/account/", "/account/%zz",
                 "/x/%2e%2e/account/", "/account//", "/account/x/../orders",
                 "http://127.0.0.1/account/"):
        for headers in ({}, guest):
            response, seen = shop.ask(path, headers)
            assert response.status in (400, 401) and seen == [], (path, response)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_forged_identity(shop, times):
    """The identity fields of the client, in every spelling and more than once."""
    guest = {**shop.key, "Session-Id": ANON + "n"}
    expected = dict(shop.sidecart.resolve(guest).fields)
    for spell in SPELLINGS:
        forged = [(spell(name), "admin") for name in IDENTITY] * times
        response, seen = shop.ask("/", forged)
        assert response.status == 200 and identity(seen) == NOBODY, forged[0]
        assert "admin" not in str(seen), forged[0]
        response, seen = shop.ask("/", [*guest.items(), *forged])
        assert response.status == 200 and "admin" not in str(seen), forged[0]
        assert identity(seen) == {n: expected[n] for n in [*IDENTITY, "Session-Id"]}
        shop.refused(401, "/account/", forged)


def test_forged_session_id(shop):
    """In another spelling it is dropped; twice it is nobody's to choose."""
    for spell in SPELLINGS[4:]:
        response, seen = shop.ask("/", {spell("Session-Id"): AUTH + "n"})
        assert response.status == 200 and identity(seen) == NOBODY, spell("Session-Id")
    twice = [("Session-Id", ANON + "n")] * 2
    shop.refused(UNREADABLE[shop.kind], "/", [*shop.key.items(), *twice])
    shop.refused(UNREADABLE[shop.kind], "/", [*shop.key.items(), *shop.key.items()])


@pytest.mark.parametrize("options", [
    ", ".join(IDENTITY), "close, " + ", ".join(IDENTITY), "keep-alive, session-id, x-api-key"])
def test_dropped_by_connection(shop, options):
    """Connection names fields that end at the next hop (RFC 9110, section 7.6.1): not ours."""
    guest = {**shop.key, "Session-Id": ANON + "n"}
    expected = dict(shop.sidecart.resolve(guest).fields)
    response, seen = shop.ask("/", {**guest, "X-Customer-Id": "7", "Connection": options})
    assert response.status == 200
    assert identity(seen) == {n: expected[n] for n in [*IDENTITY, "Session-Id"]}
    assert field(seen, "Connection") in (None, "close", "keep-alive")


def test_forged_forwarding(shop):
    """The client's own account of whence and whither it came counts for nothing."""
    sid = {**shop.key, "Session-Id": "SID:ANON:shop.example:n"}
    shop.refused(403, "/", {**sid, "X-Forwarded-Host": "shop.example"})
    office = {"X-Api-Key": shop.store.key("office", "shop", "--source", "192.0.2.0/24")}
    for value in ("192.0.2.1", "192.0.2.1, 127.0.0.1", "127.0.0.1, 192.0.2.1"):
        shop.refused(403, "/", {**office, "X-Forwarded-For": value})
    shop.refused(403, "/", [*office.items(), ("X-Forwarded-For", "127.0.0.1"),
                            ("X-Forwarded-For", "192.0.2.1")])
    _, seen = shop.ask("/", {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https",
                             "X-Forwarded-Host": "evil.example"})
    assert field(seen, "X-Forwarded-For") == "127.0.0.1"
    assert field(seen, "X-Forwarded-Proto") == "http"
    assert field(seen, "X-Forwarded-Host") == "127.0.0.1"


def test_host_is_passed_on(shop):
    """The realm is compared with the host that the client asked for."""
    sid = {**shop.key, "Session-Id": "SID:ANON:shop.example:n"}
    response, seen = shop.ask("/", sid, host="shop.example")
    assert response.status == 200 and identity(seen)["Session-Id"] == sid["Session-Id"]
    assert field(seen, "Host") == field(seen, "X-Forwarded-Host") == "shop.example"


def test_no_host(shop):
    """HTTP/1.0 asks without one: refused as a bad request, or served as one, and no failure."""
    for path, status in (("/", 200), ("/account/", 401), ("/api/login/", 405)):
        for line in (path, "http://shop.example" + path):
            response, seen = shop.raw(f"GET {line} HTTP/1.0\r\n\r\n".encode())
            assert response.status == (400 if shop.kind is nginx else status)
            assert len(seen) == (response.status == 200)
    response, seen = shop.raw(b"GET / HTTP/1.0\r\nHost: shop.example\r\n\r\n")
    assert response.status == 200 and identity(seen) == NOBODY


def test_bodies_go_to_the_shop(shop):
    """The question has no body, the request keeps its own."""
    for body in (b"", b"a=b", b"x" * 300000):
        response, seen = shop.ask("/form", {"Content-Type": "text/plain"}, "POST", body)
        assert response.status == 200 and (seen[0][0], seen[0][3]) == ("POST", body)
    response, seen = shop.raw(
        b"POST /form HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\na=b\r\n0\r\n\r\n")
    assert response.status == 200 and seen[0][3] == b"a=b"


def test_the_question_is_internal(shop):
    """No path of the client's is the question itself: all others are the backend's."""
    for path in ("/sidecart/any", "/sidecart/customer", "/sidecart/", "/resolve?require=any"):
        response, seen = shop.ask(path)
        assert not response.all("X-Session-Kind")
        if shop.kind is nginx and path.startswith("/sidecart/"):
            assert (response.status, seen) == (404, [])
        else:
            assert response.status == 200 and identity(seen) == NOBODY


LIES = dict.fromkeys(
    ["X-Original-URI", "X-Original-URL", "X-Forwarded-Method", "X-Forwarded-Uri",
     "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Real-IP", "Forwarded"], "evil")
PROOFS = {"Authorization": "a", "X-Api-Key": "b", "Session-Id": "c", "Cookie": "d=e"}


def assert_told(seen, **told):
    """The proxy's own account of the request is what sidecart, or the backend, is told."""
    told = {"Host": "shop.example", "X-Forwarded-Host": "shop.example",
            "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", **told}
    assert {name: field(seen, name) for name in told} == told


@of_each
@pytest.mark.parametrize("path,require", [("/form?a=b", "any"), ("/account/?a=b", "customer")])
def test_the_question(tmp_path, kind, path, require):
    """The client's proofs and the proxy's account of the request, nothing more: no key."""
    with stand_in(kind, tmp_path / "proxy", 204, NOBODY.items()) as (proxy, sidecart, _):
        response = proxy.ask(path, LIES, "POST", b"evil", host="shop.example")
        assert response.status == 200
        (_, asked, fields, body), = sidecart.seen
        assert asked == "/resolve?require=" + require and body == b""
        assert "evil" not in str(fields)
        assert_told(sidecart.seen, **{"X-Forwarded-Method": "POST", "X-Forwarded-Uri": path},
                    **dict.fromkeys(PROOFS))
        del sidecart.seen[:]
        proxy.ask(path, PROOFS, host="shop.example")
        assert_told(sidecart.seen, **PROOFS)


@of_each
def test_the_login(tmp_path, kind):
    """It is asked nothing about, and is told whence it comes as all else is."""
    with stand_in(kind, tmp_path / "proxy", 204, []) as (proxy, sidecart, backend):
        response = proxy.ask("/api/login/", LIES, "DELETE", b"", host="shop.example")
        assert response.status == 204 and backend.seen == []
        assert [seen[:2] for seen in sidecart.seen] == [("DELETE", "/api/login/")]
        assert_told(sidecart.seen)


@of_each
def test_the_session_id_is_the_answers(tmp_path, kind):
    """Where the answer has none, none of the client's is left."""
    answer = list(NOBODY.items())
    with stand_in(kind, tmp_path / "proxy", 204, answer) as (proxy, _, backend):
        assert proxy.ask("/", PROOFS).status == 200
        assert identity(backend.seen) == NOBODY
        del backend.seen[:]
        answer.append(("Session-Id", "SID:ANON:127.0.0.1:ours"))
        assert proxy.ask("/", PROOFS).status == 200
        assert identity(backend.seen) == dict(answer)


@of_each
@pytest.mark.parametrize("status", [200, 201, 301, 404, 500])
def test_another_answers(tmp_path, kind, status):
    """Whatever answers where sidecart should be: no identity is taken from the client."""
    stranger = stand_in(kind, tmp_path / "proxy", status, [("Location", "/")])
    with stranger as (proxy, _, backend):
        response = proxy.ask("/", [(name, "admin") for name in IDENTITY])
        assert "admin" not in str(backend.seen)
        assert status < 300 or (response.status >= 300 and backend.seen == [])


@of_each
def test_overload(tmp_path, store, kind):
    """overload_status is not an admission."""
    made = Shop(kind, store, tmp_path / "proxy", rate_limit_address="1/1m")
    with contextlib.closing(made) as shop:
        assert shop.ask("/")[0].status == 200
        response = shop.refused(OVERLOADED[kind], "/", {"X-Session-Kind": "customer"})
        assert kind is nginx or 0 < int(response.get("Retry-After")) <= 60
        shop.refused(OVERLOADED[kind], "/account/", shop.key, "POST", b"a=b")


@contextlib.contextmanager
def frozen(server):
    """Its ports take connections, and nobody ever answers."""
    processes = [server.pid, *server.children()]
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


@of_each
def test_fail_closed(tmp_path, store, kind):
    """With sidecart silent or stopped nothing passes, and it all comes back with it."""
    with contextlib.closing(Shop(kind, store, tmp_path / "proxy")) as shop:
        guest = {**shop.key, "Session-Id": ANON + "n"}
        assert shop.ask("/", guest)[0].status == 200
        with frozen(shop.sidecart):
            shop.refused(SILENT[kind], "/", guest)
            shop.refused(SILENT[kind], "/", {"X-Session-Kind": "customer"}, "POST", b"a=b")
        wait_until(lambda: shop.ask("/", guest)[0].status == 200, "service again")
        shop.sidecart.stop()
        for path in ("/", "/account/"):
            shop.refused(STOPPED[kind], path, guest)
            shop.refused(STOPPED[kind], path, {"X-Session-Kind": "customer"}, "POST", b"a=b")


def haproxy_with_broken_lua(folder, *rest):
    command = haproxy(folder, *rest)
    lua = folder / "haproxy-sidecart.lua"
    text = lua.read_text()
    assert text.count("core.httpclient()") == 1
    lua.write_text(text.replace("core.httpclient()", "core.no_such_thing()"))
    return command


def test_haproxy_without_its_lua(tmp_path):
    """HAProxy goes on where Lua fails: the configuration itself keeps such a request back."""
    broken = stand_in(haproxy_with_broken_lua, tmp_path / "proxy", 204, NOBODY.items())
    with broken as (proxy, _, backend):
        for path in ("/", "/account/"):
            assert proxy.ask(path, {"X-Session-Kind": "customer"}).status == 503
        assert backend.seen == []


@pytest.mark.parametrize("name", FILES)
def test_every_identity_field_is_listed(name):
    """Comments aside; and nothing of the file's own making."""
    text = re.sub(r"(?m)^\s*(#|--|//).*", "", (ROOT / "deploy" / name).read_text()).lower()
    words = set(re.findall(r"[\w-]+", text))
    known = {name.lower() for name in [*IDENTITY, "Session-Id"]}
    assert known <= words
    assert {w for w in words if re.match(r"x-(session|customer|basket|client)-", w)} <= known


def test_all_fields_are_known(store):
    """The list that these tests go by is what /resolve answers with."""
    answered = [name for name, _ in store.serve().resolve().fields]
    assert [name for name in answered if name.startswith("X-")] == IDENTITY


def yaml_of(name):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "deploy" / name).read_text())


def shape(value):
    """The names of a document's members, as they are nested; lists as what their members are alike."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        members = [shape(member) for member in value]
        return members[:1] if all(m == members[0] for m in members) else members
    return type(value)


def test_traefik():
    """Not run: nothing stands in the file but what its documentation knows, and each of it is what
    keeps it closed. Each router but the login's asks first, and nothing is trusted that the client
    forwards. What authResponseHeaders names goes from the client's request, answered or not."""
    config = yaml_of("traefik.yml")
    ask = {"forwardAuth": {"address": str, "trustForwardHeader": bool, "maxResponseBodySize": int,
                           "authRequestHeaders": [str], "authResponseHeaders": [str]}}
    to = {"loadBalancer": {"servers": [{"url": str}]}}
    router = {"entryPoints": [str], "rule": str, "service": str}
    asking = {**router, "middlewares": [str]}
    assert shape(config) == {
        "entryPoints": {"web": {"address": str, "http": {"aliasHeadersStrategy": str}}},
        "providers": {"file": {"filename": str}},
        "http": {"routers": {"shop": asking, "account": asking, "login": router},
                 "middlewares": {"ask-any": ask, "ask-customer": ask},
                 "services": {"shop": to, "sidecart": to}}}
    assert config["entryPoints"]["web"]["http"]["aliasHeadersStrategy"] == "delete"
    routers, middlewares = config["http"]["routers"], config["http"]["middlewares"]
    assert {name: (router["rule"], router.get("middlewares"), router["service"])
            for name, router in routers.items()} == {
        "shop": ("PathPrefix(`/`)", ["ask-any"], "shop"),
        "account": ("PathPrefix(`/account/`)", ["ask-customer"], "shop"),
        "login": ("Path(`/api/login/`)", None, "sidecart")}
    sidecart, = config["http"]["services"]["sidecart"]["loadBalancer"]["servers"]
    for name, require in (("ask-any", "any"), ("ask-customer", "customer")):
        ask = middlewares[name]["forwardAuth"]
        assert ask["address"] == sidecart["url"] + "/resolve?require=" + require
        assert ask["trustForwardHeader"] is False and ask["maxResponseBodySize"] > 0
        assert ask["authResponseHeaders"] == [*IDENTITY, "Session-Id"]
        assert ask["authRequestHeaders"] == ["Authorization", "X-Api-Key", "Session-Id", "Cookie"]


EXTENSIONS = "type.googleapis.com/envoy.extensions.filters."
EXACT = {"patterns": [{"exact": str}]}
ADDRESS = {"socket_address": {"address": str, "port_value": int}}


def manager(config, *filters):
    """The connection manager of a listener, whose filters must be these, and their settings."""
    assert shape(config["address"]) == ADDRESS and set(config) == {
        "name", "address", "filter_chains"}
    (chain,), = (c.values() for c in config["filter_chains"])
    inner, = chain
    made = inner["typed_config"]
    assert inner["name"] == "envoy.filters.network.http_connection_manager"
    assert made.pop("@type") == EXTENSIONS + \
        "network.http_connection_manager.v3.HttpConnectionManager"
    found = []
    for f in made.pop("http_filters"):
        kind, settings = f["name"].rsplit(".", 1)[1], f["typed_config"]
        assert f["name"] == "envoy.filters.http." + kind and set(f) == {"name", "typed_config"}
        message = {"ext_authz": "ExtAuthz"}.get(kind, kind.title().replace("_", ""))
        assert settings.pop("@type") == f"{EXTENSIONS}http.{kind}.v3.{message}"
        found.append((kind, settings))
    assert [kind for kind, _ in found] == list(filters) and found[-1] == ("router", {})
    host, = made["route_config"]["virtual_hosts"]
    assert host["domains"] == ["*"]
    return made, host, dict(found)


def test_envoy():
    """Not run: nothing stands in the file but what the API of Envoy knows (the v3 messages), and
    each of it is what keeps it closed. The client's identity goes first; ext_authz stands before
    the router, is off for the login alone, and fails closed."""
    config = yaml_of("envoy.yaml")
    shoppers, ask = config["static_resources"]["listeners"]
    assert list(config) == ["static_resources"]
    assert set(config["static_resources"]) == {"listeners", "clusters"}
    made, host, filters = manager(shoppers, "header_mutation", "ext_authz", "router")
    assert {name: made[name] for name in made if name not in ("stat_prefix", "route_config")} == {
        "use_remote_address": True, "xff_num_trusted_hops": 0, "normalize_path": True,
        "merge_slashes": True, "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"}}

    (matched, *removed), = (m["request_mutations"] for m in filters["header_mutation"].values())
    assert list(filters["header_mutation"]) == ["mutations"]
    assert removed == [{"remove": name.lower()} for name in IDENTITY]
    assert shape(matched) == {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": str}}}}
    dropped = matched["remove_on_match"]["key_matcher"]["safe_regex"]["regex"]
    for spell in SPELLINGS[4:]:
        for name in [*IDENTITY, "Session-Id", "X-Api-Key"]:
            assert re.fullmatch(dropped, spell(name).lower()), spell(name)
    for kept in ("session-id", "x-api-key", ":path", ":authority", "a", "cookie"):
        assert not re.fullmatch(dropped, kept)

    authz = filters["ext_authz"]
    assert shape(authz) == {
        "failure_mode_allow": bool, "status_on_error": {"code": str}, "allowed_headers": EXACT,
        "http_service": {"server_uri": {"uri": str, "cluster": str, "timeout": str},
                         "authorization_response": {"allowed_upstream_headers": EXACT}}}
    assert authz["failure_mode_allow"] is False
    assert authz["status_on_error"] == {"code": "ServiceUnavailable"}
    uri = authz["http_service"]["server_uri"]
    assert (uri["cluster"], uri["timeout"]) == ("ask", "2s")
    answer = authz["http_service"]["authorization_response"]["allowed_upstream_headers"]
    assert [p["exact"] for p in answer["patterns"]] == [
        name.lower() for name in [*IDENTITY, "Session-Id"]]
    assert [p["exact"] for p in authz["allowed_headers"]["patterns"]] == [
        "x-api-key", "session-id", "cookie", "x-forwarded-for", "x-forwarded-proto"]

    login, rest = host["routes"]
    assert host["request_headers_to_remove"] == ["forwarded", "x-forwarded-host"]
    assert login == {"match": {"path": "/api/login/"}, "route": {"cluster": "sidecart"},
                     "typed_per_filter_config": {"envoy.filters.http.ext_authz": {
                         "@type": EXTENSIONS + "http.ext_authz.v3.ExtAuthzPerRoute",
                         "disabled": True}}}
    assert rest == {"match": {"prefix": "/"}, "route": {"cluster": "shop"}}

    made, host, filters = manager(ask, "lua", "router")
    assert set(made) == {"stat_prefix", "route_config"}
    assert shape(filters["lua"]) == {"default_source_code": {"inline_string": str}}
    assert host["routes"] == [
        {"match": {"prefix": "/"}, "route": {"cluster": "sidecart", "timeout": "2s"}}]
    assert set(host) == {"name", "domains", "routes"}
    ports = {}
    for cluster in config["static_resources"]["clusters"]:
        assert cluster["connect_timeout"] == "1s"
        assert set(cluster) == {"name", "connect_timeout", "load_assignment"}
        (endpoint,), = (e["lb_endpoints"] for e in cluster["load_assignment"]["endpoints"])
        assert shape(endpoint) == {"endpoint": {"address": ADDRESS}}
        ports[cluster["name"]] = endpoint["endpoint"]["address"]
    assert set(ports) == {"shop", "sidecart", "ask"} and ports["ask"] == ask["address"]
    assert ports["ask"]["socket_address"]["address"] == "127.0.0.1"


# What the Lua of envoy.yaml is handed, by its documentation: a handle with the fields of a message.
HANDLE = """
local function message(fields)
  local headers = {
    get = function(_, name) return fields[name] end,
    replace = function(_, name, value) fields[name] = value end,
    add = function(_, name, value) assert(not fields[name]); fields[name] = value end,
  }
  return {headers = function() return headers end}
end
local function run(on, fields, expected)
  on(message(fields))
  for name, value in pairs(fields) do assert(expected[name] == value, name .. "=" .. value) end
  for name in pairs(expected) do assert(fields[name], name) end
end
"""
QUESTIONS = [("/", "any"), ("/account", "any"), ("/x/account/", "any"), ("/?/account/", "any"),
             ("/account/", "customer"), ("/account/x?require=any", "customer")]
ANSWERS = [({":status": "204", "session-id": "s"}, {":status": "200", "session-id": "s"}),
           ({":status": "204"}, {":status": "200", "x-envoy-auth-headers-to-remove": "session-id"}),
           *(({":status": had}, {":status": then}) for had, then in (
               ("200", "503"), ("201", "201"), ("301", "301"), ("401", "401"), ("403", "403"),
               ("400", "400"), ("503", "503")))]


def lua_table(fields):
    return "{" + ", ".join(f"[{name!r}] = {value!r}" for name, value in fields.items()) + "}"


def test_envoys_lua(tmp_path):
    """It runs in HAProxy's Lua: where which answer is an admission, and who is required where."""
    ask = yaml_of("envoy.yaml")["static_resources"]["listeners"][1]
    _, _, filters = manager(ask, "lua", "router")
    cases = [(f'envoy_on_request, {lua_table({":path": path, ":method": "PUT"})}', {
        ":path": "/resolve?require=" + require, ":method": "PUT",
        "x-forwarded-method": "PUT", "x-forwarded-uri": path}) for path, require in QUESTIONS]
    cases += [(f"envoy_on_response, {lua_table(had)}", then) for had, then in ANSWERS]
    run = "\n".join(f"run({call}, {lua_table(then)})" for call, then in cases)
    source = filters["lua"]["default_source_code"]["inline_string"]
    (tmp_path / "test.cfg").write_text(f"global\n\tlua-load {tmp_path}/test.lua\n")
    for planted, passes in (("", True), ('run(envoy_on_response, {[":status"]="204"}, {})', False)):
        (tmp_path / "test.lua").write_text(f"{source}\n{HANDLE}\n{run}\n{planted}\nerror('all ran')")
        done = subprocess.run([program("haproxy"), "-c", "-f", tmp_path / "test.cfg"],
                              capture_output=True, text=True, check=False)
        assert ("all ran" in done.stderr) == passes, done.stderr
