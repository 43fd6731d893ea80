"""contrib/django: a Django site takes the identity from the proxy, and from nobody else."""

import sys
import threading
import warnings
import wsgiref.simple_server

import pytest

from conftest import ROOT, Wire, request_bytes
from proxy import IDENTITY, NOBODY, Proxy, caddy, haproxy, nginx

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Django's own, of Python's modules
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.contrib.auth.decorators import login_required
    from django.http import JsonResponse
    from django.urls import path

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"
CUSTOMER = NOBODY | {
    "X-Session-Kind": "customer", "X-Session-Key": "ab" * 20, "X-Customer-Id": "7",
    "X-Customer-Login": "ada", "X-Client-Name": "app", "X-Client-Scopes": "shop,trusted",
    "X-Auth-Via": "header"}


def whoami(request):
    caller = request.caller
    return JsonResponse({
        "kind": caller.kind, "id": caller.customer_id, "login": caller.login,
        "key": caller.session_key, "basket": caller.basket_id, "client": caller.client,
        "scopes": sorted(caller.scopes), "via": caller.via, "user": request.user.get_username()})


urlpatterns = [path("", whoami), path("orders", login_required(whoami))]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as a WSGI application."""
    sys.path.insert(0, str(ROOT / "contrib" / "django"))
    settings.configure(
        SECRET_KEY="test", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], LOGIN_URL="/login",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "sidecart.SidecartMiddleware"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3",
                               "NAME": tmp_path_factory.mktemp("site") / "users"}})
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    call_command("migrate", verbosity=0)
    yield get_wsgi_application()
    sys.path.remove(str(ROOT / "contrib" / "django"))


@pytest.fixture
def users(site):
    """The table of users, empty."""
    from django.contrib.auth import get_user_model
    get_user_model().objects.all().delete()
    return get_user_model().objects


@pytest.fixture
def get(users):
    """Django's own client, asking with these fields."""
    from django.test import Client

    def ask(fields, target="/"):
        return Client().get(target, **{
            "HTTP_" + name.upper().replace("-", "_"): value for name, value in fields.items()})
    return ask


def test_customer(get, users):
    for _ in range(2):
        assert get(CUSTOMER).json() == {
            "kind": "customer", "id": 7, "login": "ada", "key": "ab" * 20, "basket": None,
            "client": "app", "scopes": ["shop", "trusted"], "via": "header", "user": "ada"}
    assert get(CUSTOMER, "/orders").status_code == 200
    user, = users.all()
    assert user.username == "ada" and not user.has_usable_password()


def test_the_sentinel_is_nobody(get, users):
    """`-` is no login, no number and no scope; no user comes of it."""
    guest = NOBODY | {"X-Session-Kind": "guest", "X-Session-Key": "ab" * 20}
    for fields, kind, key in ((NOBODY, "none", None), (guest, "guest", "ab" * 20)):
        assert get(fields).json() == {
            "kind": kind, "id": None, "login": None, "key": key, "basket": None,
            "client": None, "scopes": [], "via": "none", "user": ""}
        response = get(fields, "/orders")
        assert response.status_code == 302 and response["Location"].startswith("/login")
    assert users.count() == 0


@pytest.mark.parametrize("sent,login", [
    ("J%C3%BCrgen", "J\xfcrgen"), ("a%20b", "a b"), ("100%25", "100%"), ("%2D", "-"), ("--", "--")])
def test_logins_are_decoded(get, sent, login):
    found = get(CUSTOMER | {"X-Customer-Login": sent}).json()
    assert found["login"] == found["user"] == login


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize("value", [None, ""])
def test_incomplete_identity(get, users, name, value):
    """A request that did not pass the proxy is refused before any view."""
    fields = {n: v for n, v in CUSTOMER.items() if n != name}
    if value is not None:
        fields[name] = value
    assert get(fields).status_code == 403
    assert users.count() == 0


@pytest.mark.parametrize("trait", ["is_staff", "is_superuser"])
def test_no_customer_is_staff(get, users, trait):
    users.create(username="ada", **{trait: True})
    assert get(CUSTOMER).json()["user"] == ""
    assert get(CUSTOMER, "/orders").status_code == 302


def test_disabled_user(get, users):
    users.create(username="ada", is_active=False)
    assert get(CUSTOMER).json()["user"] == ""


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.parametrize("kind", [nginx, caddy, haproxy], ids=lambda kind: kind.__name__)
def test_behind_a_proxy(site, users, store, tmp_path, kind):
    """wsgiref reads X_Customer_Id as X-Customer-Id: the proxy lets neither through."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, site, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    proxy = Proxy(kind, tmp_path / "proxy", store.serve().port, server.server_port)
    try:
        check_folding(server.server_port)
        check_site(store, proxy)
        assert [user.username for user in users.all()] == ["ada"]
    finally:
        proxy.close()
        server.shutdown()
        server.server_close()


def check_folding(port):
    """Around the proxy the other spelling is taken for ours: without it the rest says little."""
    forged = {name.replace("-", "_"): value for name, value in CUSTOMER.items()}
    with Wire(port) as wire:
        assert wire.send(request_bytes("GET", "/", forged)).response().json["user"] == "ada"


def check_site(store, proxy):
    ada = store.customer("ada")
    trusted = {"X-Api-Key": store.key("app", "trusted")}
    guest = {**trusted, "Session-Id": ANON + "n"}
    customer = {**trusted, "Session-Id": AUTH + "n"}
    assert proxy.ask("/").json["kind"] == "none"
    assert proxy.ask("/", guest).json["kind"] == "guest"
    assert proxy.ask("/orders", guest).status == 302
    for forged in ({name: value for name, value in CUSTOMER.items()},
                   {name.replace("-", "_"): value for name, value in CUSTOMER.items()},
                   {name.replace("-", "_", 1): value for name, value in CUSTOMER.items()}):
        assert proxy.ask("/", forged).json["user"] == ""
        assert proxy.ask("/", {**guest, **forged}).json["kind"] == "guest"
        assert proxy.ask("/orders", forged).status == 302
    assert proxy.ask("/api/login/", guest, "POST",
                     {"username": "ada", "password": "ada"}).status == 200
    found = proxy.ask("/orders", customer).json
    assert (found["id"], found["user"], found["scopes"]) == (ada, "ada", ["trusted"])
    assert proxy.ask("/api/login/", customer, "DELETE").status == 200
    assert proxy.ask("/orders", customer).status == 401
