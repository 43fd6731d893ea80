"""The real OCAPI client, npm's commercecloud-ocapi-client 0.2.0, against the running server: what it
sends, what it makes of the answers, and every document judged by the published definition.

deps.sh installs it; without it, or without SPEC, the tests are skipped.
"""

import json
import shutil
import subprocess

import pytest

import swagger
from conftest import ROOT, basic
from test_ocapi_baskets import PRODUCTS, item

HERE = ROOT / "tests/ocapi"
TEMPLATES = {  # the client's methods, and their paths in the definition
    "postCustomersAuth": ("post", "/customers/auth"), "postCustomers": ("post", "/customers"),
    "deleteCustomersAuth": ("delete", "/customers/auth"),
    "getCustomersByID": ("get", "/customers/{customer_id}"),
    "getCustomersByIDBaskets": ("get", "/customers/{customer_id}/baskets"),
    "postSessions": ("post", "/sessions"), "postBaskets": ("post", "/baskets"),
    "getBasketsByID": ("get", "/baskets/{basket_id}"),
    "patchBasketsByID": ("patch", "/baskets/{basket_id}"),
    "deleteBasketsByID": ("delete", "/baskets/{basket_id}"),
    "putBasketsByIDCustomer": ("put", "/baskets/{basket_id}/customer"),
    "postBasketsByIDItems": ("post", "/baskets/{basket_id}/items"),
    "patchBasketsByIDItemsByID": ("patch", "/baskets/{basket_id}/items/{item_id}"),
    "deleteBasketsByIDItemsByID": ("delete", "/baskets/{basket_id}/items/{item_id}"),
}


class Answer:
    """One answer as tests/swagger.py takes it."""

    def __init__(self, done):
        self.status, self.body = done["status"], done["text"].encode()
        self.headers, self.data = done["headers"], done.get("data")

    def get(self, name):
        return self.headers.get(name.lower())


class Client:
    def __init__(self, server, definitions, client_id, **options):
        self.definitions = definitions
        self.process = subprocess.Popen(["node", HERE / "client.js"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, cwd=HERE)
        headers = {"x-dw-client-id": client_id, **options.pop("headers", {})}
        self.order(new={"basePath": f"http://127.0.0.1:{server.port}/s/RefArch/dw/shop/v20_9",
                        "defaultHeaders": headers, "timeout": 20000, **options})

    def order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def set(self, **headers):
        self.order(set=headers)

    def call(self, api, method, *arguments):
        """The answer to a call that is to succeed; its document is judged."""
        done = self.order(api=api + "Api", call=method, **{"with": arguments})
        assert "fault" not in done, done
        answer = Answer(done)
        self.definitions.judge_answer(*TEMPLATES[method], answer)
        return answer

    def fault(self, api, method, *arguments):
        return self.order(api=api + "Api", call=method, **{"with": arguments})["fault"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


@pytest.fixture(scope="module")
def definitions():
    if not shutil.which("node") or not (HERE / "node_modules/commercecloud-ocapi-client").is_dir():
        pytest.skip("no OCAPI client: ./deps.sh test")
    return swagger.load()


@pytest.fixture(scope="module")
def shop(module_store):
    class Shop:
        client = module_store.key("app", "shop")
    module_store.customer("ada")
    module_store.run("product", "import", "-", stdin=PRODUCTS)
    Shop.servers = {mode: module_store.serve(enforce_https=mode, register="on")
                    for mode in ("off", "on")}
    return Shop


@pytest.fixture(params=["off", "on"])
def client(request, shop, definitions):
    """With HTTPS enforced the requests come as a proxy would pass them on."""
    headers = {"X-Forwarded-Proto": "https"} if request.param == "on" else {}
    made = Client(shop.servers[request.param], definitions, shop.client, headers=headers)
    made.mode = request.param
    yield made
    made.close()


def cookies(answer):
    pairs = [line.split(";")[0] for line in answer.headers["set-cookie"]]
    assert len({pair.split("=")[0] for pair in pairs}) == len(pairs)        # K04
    return {pair.split("=", 1)[0]: pair.split("=", 1)[1] for pair in pairs}


def test_shopping(client):
    """A guest's basket from the first item to the last."""
    guest = client.call("Customers", "postCustomersAuth", {"type": "guest"}).data
    assert guest["auth_type"] == "guest" and len(guest["customer_id"]) == 26
    basket = client.call("Baskets", "postBaskets").data
    assert basket["customer_info"]["customer_id"] == guest["customer_id"]
    here = basket["basket_id"]
    added = client.call("Baskets", "postBasketsByIDItems", here, [
        item("701642811398M", 2), item("mug", 1, option_items=[
            {"option_id": "color", "option_value_id": "blue"}])]).data
    shirt, mug = added["product_items"]
    assert (shirt["price"], shirt["tax"]) == (29.98, 1.5) and added["order_total"] == 34.81
    assert mug["option_items"][0]["option_value_id"] == "blue"
    changed = client.call("Baskets", "patchBasketsByIDItemsByID", here, shirt["item_id"],
                          {"quantity": 1}).data
    assert changed["product_items"][0]["quantity"] == 1
    named = client.call("Baskets", "putBasketsByIDCustomer", here, {"email": "g@example.com"}).data
    assert named["customer_info"]["email"] == "g@example.com"
    client.call("Baskets", "patchBasketsByID", here, {"currency": "EUR"})
    client.call("Baskets", "deleteBasketsByIDItemsByID", here, mug["item_id"])
    listed = client.call("Customers", "getCustomersByIDBaskets", guest["customer_id"]).data
    assert listed["total"] == 1 and listed["baskets"][0]["basket_id"] == here
    client.call("Customers", "postCustomersAuth", {"type": "refresh"})
    assert len(client.call("Baskets", "getBasketsByID", here).data["product_items"]) == 1
    client.call("Baskets", "deleteBasketsByID", here)
    client.call("Customers", "deleteCustomersAuth")


def test_put_for_real(shop, definitions):
    """The client says PUT by a POST; told to, it sends one."""
    client = Client(shop.servers["off"], definitions, shop.client, overrideHttpPut=False)
    client.call("Customers", "postCustomersAuth", {"type": "guest"})
    basket = client.call("Baskets", "postBaskets").data
    named = client.call("Baskets", "putBasketsByIDCustomer", basket["basket_id"], {"email": "a@b"})
    assert named.data["customer_info"]["email"] == "a@b"
    client.close()


def test_register_and_log_in(client):
    login = "new-" + client.mode
    client.call("Customers", "postCustomersAuth", {"type": "guest"})
    made = client.call("Customers", "postCustomers", {
        "customer": {"login": login, "email": login + "@example.com", "last_name": "New"},
        "password": "V3rYS3cr3t!"}).data
    client.set(authorization=None)
    member = client.call("Customers", "postCustomersAuth", {"type": "credentials"},
                         {"authorization": basic(login, "V3rYS3cr3t!")}).data
    assert member["customer_id"] == made["customer_id"] and member["auth_type"] == "registered"
    document = client.call("Customers", "getCustomersByID", member["customer_id"]).data
    assert document["email"] == login + "@example.com"
    basket = client.call("Baskets", "postBaskets", {"body": {"product_items": [item("mug", 1)]}})
    assert basket.data["customer_info"]["customer_no"] == made["customer_no"]


def test_bridge(client):
    """A token for a session for a token: the same guest, the same basket."""
    guest = client.call("Customers", "postCustomersAuth", {"type": "guest"}).data["customer_id"]
    basket = client.call("Baskets", "postBaskets").data["basket_id"]
    jar = cookies(client.call("Sessions", "postSessions"))
    assert ("dwsecuretoken" in " ".join(jar)) == (client.mode == "off")
    client.set(authorization=None, cookie="; ".join(f"{k}={v}" for k, v in jar.items()))
    again = client.call("Customers", "postCustomersAuth", {"type": "session"}).data
    assert again["customer_id"] == guest
    client.set(cookie=None)
    assert client.call("Baskets", "getBasketsByID", basket).data["basket_id"] == basket
    client.call("Baskets", "postBasketsByIDItems", basket, [item("mug", 2)])


def test_faults(client):
    """As the client hands them on: type, message, arguments."""
    assert client.fault("Baskets", "postBaskets")["type"] == "AuthorizationHeaderMissingException"
    client.call("Customers", "postCustomersAuth", {"type": "guest"})
    here = client.call("Baskets", "postBaskets").data["basket_id"]
    fault = client.fault("Baskets", "postBaskets")
    assert fault["type"] == "CustomerBasketsQuotaExceededException"
    assert fault["arguments"] == {"basketIds": here} and here in fault["message"]
    for call, kind in (
            (("getBasketsByID", "0" * 26), "BasketNotFound"),
            (("postBasketsByIDItems", here, [item("nowhere", 1)]), "InvalidProductItem"),
            (("postBasketsByIDItems", here, [item("701642811398M", 21)]), "ProductItemNotAvailable"),
            (("patchBasketsByIDItemsByID", here, "x", {"quantity": 1}), "InvalidProductItemId"),
            (("putBasketsByIDCustomer", here, {"email": "x"}), "InvalidEmail"),
            (("postBasketsByIDCoupons", here, {"code": "x"}), "ResourcePathNotFound"),
            (("postBasketsReference", {"basket_id": here, "customer_id": "x"}), "BasketNotFound")):
        assert client.fault("Baskets", *call)["type"] == kind + "Exception", call
    assert client.fault("Customers", "postCustomersAuth", {"type": "credentials"}, {
        "authorization": basic("ada", "wrong")})["type"] == "AuthenticationFailedException"
    client.set(authorization="Bearer x.y.z")
    assert client.fault("Baskets", "postBaskets")["type"] == "InvalidAccessTokenException"
