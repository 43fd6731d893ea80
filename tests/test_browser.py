"""A page in a real Chromium: what it may do with its cookies, and what pages elsewhere may not.

Chromium is driven through chromedriver with plain WebDriver calls (W3C WebDriver). The shop
is http://localhost:PORT: a page, and sidecart behind it under /api/ and /session. `near` is
another origin of the same site, http://localhost:PORT2, so the shop's cookies go with its
requests; `far` is that server as http://127.0.0.1:PORT2, another site.
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

import pytest

from conftest import WAIT_S, signed_basket, wait_until

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
BROWSER_S = 120  # how long the browser may take over anything
DAY_S = 86400
SESSION, CSRF = "sidecart_session", "sidecart_csrf"
BASKET = "oscar_open_basket"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--no-proxy-server", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]
ADA, NOBODY = ("customer", "ada", "cookie"), ("none", None, "none")  # as Shop.who() has it
BAD_ORIGIN = (403, "Origin checking failed")
REFUSED = (None, "TypeError")  # the browser kept the answer, if there was one, from the page

pytestmark = pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER),
                                reason="chromium and chromium-driver are not installed")

PAGE = """<!doctype html>
<title>page</title>
<script>
async function ask(method, url, body, withToken) {
	const token = document.cookie.match(/sidecart_csrf=([^;]*)/);
	const options = { method, credentials: "include", headers: {} };
	if (body)
		options.body = JSON.stringify(body);
	if (body && withToken !== null)
		options.headers["Content-Type"] = "application/json";
	if (withToken && token)
		options.headers["X-CSRFToken"] = token[1];
	try {
		const answer = await fetch(url, options);
		return [answer.status, await answer.text()];
	} catch (error) {
		return [null, error.name];
	}
}
function submit(action, fields) {
	const form = document.createElement("form");
	Object.assign(form, { action, method: "POST" });
	for (const [name, value] of Object.entries(fields))
		form.append(Object.assign(document.createElement("input"), { name, value }));
	document.documentElement.append(form);
	form.submit();
}
</script>
"""


class Site:
    """A server of PAGE; with a backend, the same-origin proxy of sidecart's paths too."""

    def __init__(self):
        self.backend, self.seen = None, []  # [(method, path, Sec-Fetch-Site, status, answer)]
        self.website = lambda path, cookies: None  # pages of a shop of its own: (text, cookie)
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def page(self):
                return 200, [("Content-Type", "text/html")], PAGE.encode()

            def proxied(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = {name: value for name, value in self.headers.items()
                          if name.lower() != "connection"}
                fields |= {"X-Forwarded-For": self.client_address[0],
                           "X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http"}
                link = http.client.HTTPConnection("127.0.0.1", site.backend.port, timeout=WAIT_S)
                with contextlib.closing(link):
                    link.request(self.command, self.path, body or None, fields)
                    answer = link.getresponse()
                    text = answer.read()
                site.seen.append((self.command, self.path, self.headers["Sec-Fetch-Site"],
                                  answer.status, text.decode()))
                return answer.status, answer.getheaders(), text

            def answer(self):
                ours = site.backend and self.path.startswith(("/api/", "/session"))
                cookies = dict(c.split("=", 1) for c in
                               (self.headers["Cookie"] or "").split("; ") if c)
                shown = None if ours else site.website(self.path, cookies)
                status, fields, body = self.proxied() if ours else self.page()
                if shown:
                    body, cookie = shown[0].encode(), shown[1]
                    fields = [("Set-Cookie", cookie)] if cookie else []
                self.send_response_only(status)
                for name, value in fields:
                    if name.lower() not in ("connection", "content-length"):
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_GET = do_POST = do_PATCH = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_):
                pass
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://localhost:{self.port}"
        self.far_url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Browser:
    """Chromium with a new profile, on one tab."""

    def __init__(self, folder, flags=()):
        log = folder / "chromedriver.log"
        with open(log, "wb") as out:
            self.driver = subprocess.Popen([CHROMEDRIVER, "--port=0"], stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=out,
                                           env={**os.environ, "HOME": str(folder)})
        self.session = ""
        try:
            self.port = int(wait_until(
                lambda: re.search(r"started successfully on port (\d+)", log.read_text()),
                "chromedriver listens", BROWSER_S)[1])
            options = {"binary": CHROMIUM, "args": [
                *FLAGS, *flags, f"--user-data-dir={folder}/profile"]}
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options,
                "timeouts": {"script": BROWSER_S * 1000, "pageLoad": BROWSER_S * 1000}}}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BROWSER_S)
        with contextlib.closing(link):
            link.request(method, path, None if body is None else json.dumps(body),
                         {"Content-Type": "application/json"})
            answer = link.getresponse()
            value = json.loads(answer.read())["value"]
        assert answer.status == 200, (method, path, value)
        return value

    def open(self, url):
        self.call("POST", f"{self.session}/url", {"url": url})

    def url(self):
        return self.call("GET", f"{self.session}/url")

    def run(self, script, *arguments):
        """What the script returns; a promise is waited for."""
        return self.call("POST", f"{self.session}/execute/sync",
                         {"script": script, "args": arguments})

    def ask(self, method, url, body=None, token=False):
        """The page's fetch(): status and text, or None and the error's name. token=None: as a
        text/plain, which needs no preflight."""
        return tuple(self.run("return ask(...arguments)", method, url, body, token))

    def cookies(self):
        """Those of the page that is open, HttpOnly ones too, by name."""
        return {c["name"]: c for c in self.call("GET", f"{self.session}/cookie")}

    def forget(self):
        """Deletes the cookies of the page that is open."""
        self.call("DELETE", f"{self.session}/cookie")

    def close(self):
        """Ends Chromium, then chromedriver."""
        try:
            if self.session:
                self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(BROWSER_S)


class Shop:
    """The shop's site with sidecart behind it, the other site, and who looks at them."""

    def __init__(self, store, browser):
        for login in ("ada", "bob"):
            store.customer(login)
        self.store, self.browser = store, browser
        self.site, self.other = Site(), Site()
        self.url, self.near, self.far = self.site.url, self.other.url, self.other.far_url

    def start(self, **settings):
        """The browser opens the shop's page, as if for the first time."""
        self.site.backend = self.store.serve(**settings)
        self.browser.open(self.url)
        self.browser.forget()

    def log_in(self):
        assert self.browser.ask("POST", f"{self.url}/api/login/",
                                {"username": "ada", "password": "ada"})[0] == 200

    def log_out(self, token=True):
        return self.browser.ask("DELETE", f"{self.url}/api/login/", token=token)

    def send_form(self, **fields):
        """A form of the open page is sent to the login; its answer is then what is open."""
        target = f"{self.url}/api/login/"
        self.browser.run("submit(...arguments)", target, fields)
        wait_until(lambda: self.browser.url() == target, "the form's answer", BROWSER_S)

    def who(self):
        """Kind, login and proof, as the open page is told."""
        status, text = self.browser.ask("GET", f"{self.url}/session")
        told = json.loads(text)
        assert status == 200
        return told["session_kind"], told["customer_login"], told["auth_via"]

    def data(self, method="GET", body=None, token=False):
        return self.browser.ask(method, f"{self.url}/session/data", body, token)

    def came(self, method):
        """Status and answer of the only request of that method since the last question."""
        found = [s[3:] for s in wait_until(lambda: [s for s in self.site.seen if s[0] == method],
                                           f"a {method}", BROWSER_S)]
        self.site.seen.clear()
        assert len(found) == 1, found
        return found[0]

    def close(self):
        self.browser.open("about:blank")
        self.site.close()
        self.other.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture
def shop(store, browser):
    made = Shop(store, browser)
    yield made
    made.close()


def says(answer, expected):
    """A refusal: its status, and a part of its text."""
    return answer[0] == expected[0] and expected[1] in answer[1]


def test_login_and_logout(shop, browser):
    """A page's whole visit: guest, login, CSRF proof, logout; the old cookies are then dead."""
    shop.start()
    assert shop.who() == NOBODY and browser.cookies() == {}
    assert shop.data("PATCH", {"note": "kept"}) == (200, '{"note":"kept"}')
    guest = browser.cookies()
    assert list(guest) == [SESSION] and shop.who() == ("guest", None, "cookie")

    shop.log_in()
    cookies = browser.cookies()
    assert set(cookies) == {SESSION, CSRF}
    assert cookies[SESSION]["value"] != guest[SESSION]["value"], "a login has a new id (S05)"
    for name, http_only, days in ((SESSION, True, 90), (CSRF, False, 364)):
        cookie = cookies[name]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"], cookie["path"],
                cookie["domain"]) == (http_only, "Lax", False, "/", "localhost"), cookie
        assert abs(cookie["expiry"] - time.time() - days * DAY_S) < DAY_S, cookie
    assert browser.run("return document.cookie") == f"{CSRF}={cookies[CSRF]['value']}"

    assert shop.who() == ADA
    assert shop.data() == (200, '{"note":"kept"}')
    assert says(shop.data("PATCH", {"a": 1}), (403, "csrf_token"))
    assert shop.data("PATCH", {"a": 1}, token=True) == (200, '{"note":"kept","a":1}')
    assert says(shop.log_out(token=False), (403, "CSRF token missing"))

    sidecart = shop.site.backend
    replayed = {"Cookie": "; ".join(f"{name}={c['value']}" for name, c in cookies.items()),
                "X-CSRFToken": cookies[CSRF]["value"]}
    assert sidecart.get("/session", replayed).json["customer_login"] == "ada"
    assert shop.log_out() == (200, '""')
    assert SESSION not in browser.cookies()
    assert shop.who() == NOBODY
    assert sidecart.get("/session", replayed).json["session_kind"] == "none"
    assert sidecart.get("/session/data", replayed).body == b"{}"
    assert sidecart.resolve(replayed, require="session").status == 401


def test_foreign_pages_read_and_change_nothing(shop, browser):
    """Only other ports of their hosts are listed: they read no answer, their preflights fail,
    and what they send without one is 403."""
    listed = "http://localhost,http://127.0.0.1"
    shop.start(cors_origins=listed, csrf_origins=listed)
    shop.log_in()
    for page, site, carried in ((shop.near, "same-site", ADA), (shop.far, "cross-site", NOBODY)):
        browser.open(page)
        shop.site.seen.clear()
        assert browser.ask("GET", f"{shop.url}/session") == REFUSED
        assert shop.site.seen[0][2] == site
        told = json.loads(shop.came("GET")[1])
        assert (told["session_kind"], told["customer_login"], told["auth_via"]) == carried

        for method, path in (("PATCH", "/session/data"), ("DELETE", "/session")):
            assert browser.ask(method, shop.url + path, {"a": 1}, True) == REFUSED
            assert [s[0] for s in shop.site.seen] == ["OPTIONS"]
            shop.site.seen.clear()
        assert browser.ask("POST", f"{shop.url}/api/login/", {"username": "bob"}, None) == REFUSED
        assert says(shop.came("POST"), BAD_ORIGIN)

        browser.open(shop.url)
        assert shop.who() == ADA and shop.data() == (200, "{}")


def test_foreign_forms(shop, browser):
    """A form that another page sends logs nobody out, and nobody else in (login CSRF)."""
    shop.start()
    shop.log_in()
    cookies = browser.cookies()
    for page in (shop.near, shop.far, "data:text/html," + urllib.parse.quote(PAGE)):
        browser.open(page)
        shop.site.seen.clear()
        shop.send_form(_method="DELETE", username="bob", password="bob")
        assert says(shop.came("POST"), BAD_ORIGIN), page
        browser.open(shop.url)
        assert shop.who() == ADA and browser.cookies() == cookies, page
    shop.log_out()
    shop.send_form(username="bob", password="bob")
    browser.open(shop.url)
    assert shop.who()[1] == "bob", "the shop's own form logs in"


def test_lax(shop, browser):
    """Who follows a link from another site arrives logged in."""
    shop.start()
    shop.log_in()
    browser.open(shop.far)
    shop.site.seen.clear()
    browser.run("location.href = arguments[0]", f"{shop.url}/session")
    assert json.loads(shop.came("GET")[1])["customer_login"] == "ada"


def test_listed_origins(shop, browser):
    """cors_origins lets a page read, csrf_origins lets it change; the token is asked for all
    the same, and another site's page has no cookie to send."""
    shop.start(cors_origins=f"{shop.near},{shop.far}", csrf_origins=shop.near)
    shop.log_in()
    browser.open(shop.far)
    assert shop.who() == NOBODY
    assert says(shop.data("PATCH", {"a": 1}), (403, "csrf_origin"))

    browser.open(shop.near)
    assert shop.who() == ADA
    assert says(shop.data("PATCH", {"a": 1}), (403, "csrf_token"))
    assert shop.data("PATCH", {"a": 1}, token=True) == (200, '{"a":1}')
    assert shop.data() == (200, '{"a":1}')
    assert shop.log_out() == (200, '""')
    assert shop.who() == NOBODY and SESSION not in browser.cookies()


def test_readable_is_not_changeable(shop, browser):
    """An origin in cors_origins alone reads the refusal of its own request."""
    shop.start(cors_origins=shop.near)
    shop.log_in()
    browser.open(shop.near)
    assert shop.who() == ADA
    assert says(shop.data("PATCH", {"a": 1}, token=True), (403, "csrf_origin"))
    assert says(shop.log_out(), BAD_ORIGIN)
    assert shop.who() == ADA and shop.data() == (200, "{}")


class Website:
    """A web shop beside the API: it knows a visitor's basket by the cookie that Django signs, and
    changes it as any trusted program may. What its page /shop/basket shows is the total."""

    def __init__(self, sidecart, key):
        self.sidecart, self.key = sidecart, {"X-Api-Key": key}

    def basket_of(self, cookies):
        """The id that the cookie names, if its signature is ours and the basket still open."""
        value = cookies.get(BASKET, "").strip('"')
        number = value.split(":")[0]
        if not number or value != signed_basket(number):
            return None
        r = self.sidecart.get(f"/api/baskets/{number}/", self.key)
        return number if r.status == 200 and r.json["status"] == "Open" else None

    def __call__(self, path, cookies):
        number, cookie = self.basket_of(cookies), None
        if path == "/shop/add":
            if number is None:
                number = self.sidecart.get("/api/basket/", self.key).json["id"]
                cookie = f"{BASKET}={signed_basket(number)}; Path=/; Max-Age=604800; HttpOnly"
            line = {"basket": f"/api/baskets/{number}/", "product": "/api/products/1/",
                    "stockrecord": "/api/products/1/stockrecords/1/"}
            r = self.sidecart.request("POST", f"/api/baskets/{number}/lines/", self.key, line)
            assert r.status == 201, r
        elif path != "/shop/basket":
            return None
        total = (self.sidecart.get(f"/api/baskets/{number}/", self.key).json["total_incl_tax"]
                 if number else "nothing")
        return total, cookie


@pytest.fixture
def website(store, shop):
    """The shop's page with a web shop below /shop/; `look` is what the page reads there."""
    store.run("product", "import", "-",
              stdin="id,name,price,currency\n1,Shirt,10.00,EUR\n2,Mug,2.50,EUR\n")
    key = store.key("website")
    shop.start()
    shop.site.website = Website(shop.site.backend, key)
    return lambda path: shop.browser.ask("GET", shop.url + path)


def api_basket(shop, method="GET", path="basket/", body=None, token=False):
    status, text = shop.browser.ask(method, f"{shop.url}/api/{path}", body, token)
    assert status == 200, text
    return json.loads(text)


def test_basket_of_the_website(shop, browser, website):
    """A visitor adds on the website's side, sees it over the API, logs in, has it merged, logs
    out, and does not see it."""
    assert website("/shop/basket") == (200, "nothing") and browser.cookies() == {}
    assert website("/shop/add") == (200, "10.00") and website("/shop/add") == (200, "20.00")
    cookie = browser.cookies()[BASKET]["value"]

    seen = api_basket(shop)
    assert (seen["total_incl_tax"], seen["owner"]) == ("20.00", None)
    assert set(browser.cookies()) == {BASKET} and browser.cookies()[BASKET]["httpOnly"]
    added = api_basket(shop, "POST", "basket/add-product/",
                       {"url": "/api/products/2/", "quantity": 2})
    assert (added["id"], added["total_incl_tax"]) == (seen["id"], "25.00")
    assert website("/shop/basket") == (200, "25.00"), "it is one basket from both sides"

    shop.log_in()
    assert set(browser.cookies()) == {SESSION, CSRF}, "the basket's cookie is gone"
    mine = api_basket(shop)
    assert mine["id"] != seen["id"] and mine["owner"].endswith("/api/users/1/")
    assert mine["total_incl_tax"] == "25.00"
    assert website("/shop/basket") == (200, "nothing")

    assert shop.log_out() == (200, '""')
    after = api_basket(shop)
    assert after["id"] not in (seen["id"], mine["id"]) and after["total_incl_tax"] == "0.00"
    sidecart = shop.site.backend
    for number in (seen["id"], mine["id"]):
        assert browser.ask("GET", f"{shop.url}/api/baskets/{number}/")[0] in (403, 404)
        r = sidecart.get(f"/api/baskets/{number}/", {"Cookie": f"{BASKET}={cookie}"})
        assert r.status in (403, 404), "nor does the old cookie lead there"


def test_basket_of_the_api(shop, browser, website):
    """The other way round: what is added over the API stands on the website, whose cookie is
    the API's; a forged one leads nowhere and is replaced."""
    added = api_basket(shop, "POST", "basket/add-product/",
                       {"url": "/api/products/1/", "quantity": 3})
    cookie = browser.cookies()[BASKET]
    assert cookie["value"] == signed_basket(added["id"])
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert website("/shop/basket") == (200, "30.00")
    assert website("/shop/add") == (200, "40.00")
    assert api_basket(shop)["total_incl_tax"] == "40.00"

    browser.call("POST", f"{browser.session}/cookie", {"cookie": {
        "name": BASKET, "value": cookie["value"].replace(":", ":x"), "path": "/"}})
    assert website("/shop/basket") == (200, "nothing")
    other = api_basket(shop)
    assert other["id"] != added["id"] and other["total_incl_tax"] == "0.00"
    assert browser.cookies()[BASKET]["value"] == signed_basket(other["id"])
