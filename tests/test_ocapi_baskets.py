"""Baskets over /dw/, by the token that /dw/ itself gave; the same basket over all three surfaces."""

import base64
import hashlib
import json
import re

import pytest

import swagger
from conftest import basic

SHOP = "/s/RefArch/dw/shop/v20_9"
PRODUCTS = "".join(json.dumps(p) + "\n" for p in (
    {"id": "701642811398M", "name": "Long Sleeve Crew Neck", "price": "14.99", "currency": "EUR",
     "tax_rate": "0.05", "stock": 20},
    {"id": "mug", "name": "Mug", "price": "3.3333", "currency": "EUR", "options": "color,size"}))


class Shopper:
    """A client of the Shop API: sends its client id, and the token that it was given last."""

    def __init__(self, server, client, site=SHOP):
        self.server, self.site = server, site
        self.headers = {"x-dw-client-id": client}

    def ask(self, method, path, body=None, status=200, **headers):
        headers = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        r = self.server.request(method, self.site + path, headers, body)
        assert r.status == status, r
        assert r.get("x-dw-version-status") == "current"
        token = r.get("Authorization")
        if token:
            self.headers["Authorization"] = token
        return r

    def auth(self, kind, **headers):
        return self.ask("POST", "/customers/auth", {"type": kind}, **headers)

    def fault(self, method, path, kind, body=None, status=400, **headers):
        fault = self.ask(method, path, body, status, **headers).json["fault"]
        assert fault["type"] == kind + "Exception", fault
        return fault

    @property
    def token(self):
        payload = self.headers["Authorization"].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.fixture(scope="module")
def shop(module_store):
    class Shop:
        store = module_store
        client = module_store.key("app", "shop")
        key = module_store.key("middleware", "shop,trusted")
        ada = module_store.customer("ada")
    module_store.run("product", "import", "-", stdin=PRODUCTS)
    Shop.server = module_store.serve(enforce_https="off", register="on")
    return Shop


@pytest.fixture
def guest(shop):
    shopper = Shopper(shop.server, shop.client)
    shopper.customer_id = shopper.auth("guest").json["customer_id"]
    return shopper


def item(product, quantity, **more):
    return {"product_id": product, "quantity": quantity, **more}


def test_walk(guest):
    """A basket's life, every document judged by the published definition."""
    definitions = swagger.load()

    def ask(method, template, body=None, **parts):
        path = template.format(**parts)
        r = guest.ask(method, path, body, 204 if method == "DELETE" and "items" not in path else 200)
        return definitions.judge_answer(method, template, r)
    basket, items = "/baskets/{basket_id}", "/baskets/{basket_id}/items"
    made = ask("POST", "/baskets")
    here = {"basket_id": made["basket_id"]}
    assert re.fullmatch("[0-9]{26}", here["basket_id"]) and "product_items" not in made
    assert made["customer_info"] == {"_type": "customer_info", "customer_id": guest.customer_id,
                                     "email": ""}
    with_item = ask("POST", items, [item("701642811398M", 2.0)], **here)
    line, = with_item["product_items"]
    assert (line["base_price"], line["price"], line["tax"], line["quantity"]) == (14.99, 29.98, 1.5, 2)
    assert (with_item["product_total"], with_item["order_total"]) == (29.98, 31.48)
    assert with_item["_resource_state"] != made["_resource_state"]
    option = {"option_id": "size", "option_value_id": "L"}
    two = ask("POST", items, item("mug", 1, option_items=[option]), **here)
    mug = two["product_items"][1]
    assert mug["option_items"][0]["option_value_id"] == "L"
    one = "/baskets/{basket_id}/items/{item_id}"
    changed = ask("PATCH", one, {"quantity": 3}, item_id=mug["item_id"], **here)
    assert changed["product_items"][1]["price"] == 10.0
    assert len(ask("DELETE", one, item_id=mug["item_id"], **here)["product_items"]) == 1
    named = ask("PUT", "/baskets/{basket_id}/customer", {"email": "g@example.com"}, **here)
    assert named["customer_info"]["email"] == "g@example.com"
    assert ask("PATCH", basket, {"currency": "EUR"}, **here)["currency"] == "EUR"
    listed = ask("GET", "/customers/{customer_id}/baskets", customer_id=guest.customer_id)
    assert listed["total"] == 1 and listed["baskets"][0]["basket_id"] == here["basket_id"]
    assert ask("GET", basket, **here)["product_items"][0]["item_id"] == line["item_id"]
    assert ask("DELETE", basket, **here) is None
    guest.fault("GET", basket.format(**here), "BasketNotFound", status=404)


def test_exact_bytes(guest):
    """Amounts as decimals, none of them through floating point."""
    basket = guest.ask("POST", "/baskets", {"product_items": [item("mug", 3)]})
    for text in ('"base_price":3.3333,', '"price":10.0,', '"tax_rate":0.0}', '"quantity":3,'):
        assert text.encode() in basket.body, (text, basket.body)


def test_quota(guest):
    """pwa-kit reads the basket out of the fault."""
    basket = guest.ask("POST", "/baskets").json["basket_id"]
    fault = guest.fault("POST", "/baskets", "CustomerBasketsQuotaExceeded")
    assert fault["arguments"] == {"basketIds": basket} and f"({basket})" in fault["message"]
    guest.ask("GET", "/baskets/" + fault["arguments"]["basketIds"])


def test_former_document(shop, guest):
    """The documented way to take a guest's basket along: nothing merges by itself (ocapi.md, 4)."""
    guest.ask("POST", "/baskets", {"product_items": [item("701642811398M", 2)]})
    kept = guest.ask("GET", guest.ask("GET", f"/customers/{guest.customer_id}/baskets").json[
        "baskets"][0]["notes"]["link"].split("v20_9")[1].removesuffix("/notes"))
    number = shop.store.customer("former")
    member = Shopper(shop.server, shop.client)
    member.headers["Authorization"] = guest.headers["Authorization"]
    customer = member.auth("credentials", Authorization=basic("former", "former")).json
    assert customer["customer_no"] == str(number)
    member.fault("GET", "/baskets/" + kept.json["basket_id"], "InvalidCustomer")
    taken = member.ask("POST", "/baskets", kept.body, Content_Type="application/json").json
    assert taken["basket_id"] != kept.json["basket_id"]
    assert [p["quantity"] for p in taken["product_items"]] == [2]
    assert taken["customer_info"]["email"] == "former@example.com"
    guest.ask("GET", "/baskets/" + kept.json["basket_id"])


def test_reference(shop, guest):
    """A copy of a guest's basket, for who knows his id too; what is personal stays behind."""
    option = {"option_id": "size", "option_value_id": "L"}
    basket = guest.ask("POST", "/baskets", {
        "product_items": [item("701642811398M", 2), item("mug", 1, option_items=[option])],
        "customer_info": {"email": "g@example.com"}}).json["basket_id"]
    named = {"basket_id": basket, "customer_id": guest.customer_id}
    guest.fault("POST", "/baskets/reference", "CustomerBasketsQuotaExceeded", named)
    other = Shopper(shop.server, shop.client)
    other_id = other.auth("guest").json["customer_id"]
    for wrong in ({"customer_id": other_id}, {"customer_id": "x"}, {"basket_id": "0" * 26},
                  {"basket_id": str(int(basket))}):
        other.fault("POST", "/baskets/reference", "BasketNotFound", {**named, **wrong}, 404)
    other.fault("POST", "/baskets/reference", "PropertyConstraintViolation", {"basket_id": basket})
    other.fault("POST", "/baskets/reference", "UnknownProperty", {**named, "x": 1})
    other.fault("POST", "/baskets/reference", "NullConstraintViolation")
    copy = other.ask("POST", "/baskets/reference", named).json
    assert copy["basket_id"] != basket and copy["customer_info"]["email"] == ""
    assert [(p["product_id"], p["quantity"]) for p in copy["product_items"]] == [
        ("701642811398M", 2), ("mug", 1)]
    assert copy["product_items"][1]["option_items"][0]["option_value_id"] == "L"
    there = guest.ask("GET", "/baskets/" + basket).json["product_items"]
    assert {p["item_id"] for p in there}.isdisjoint(p["item_id"] for p in copy["product_items"])


def test_many_items(shop, guest):
    """500 lines fit a basket, an answer, and a body of 1 MiB (max_lines); one more does not."""
    book = "".join(json.dumps({"id": f"many{i}", "name": "x" * 60, "price": "1.00",
                               "currency": "EUR"}) + "\n" for i in range(501))
    shop.store.run("product", "import", "-", stdin=book)
    whole = guest.ask("POST", "/baskets", {"product_items": [item(f"many{i}", 1)
                                                            for i in range(500)]})
    assert whole.json["order_total"] == 500.0 and len(whole.body) > 65536
    guest.fault("POST", f"/baskets/{whole.json['basket_id']}/items", "QuotaExceeded",
                [item("many500", 1)])
    other = Shopper(shop.server, shop.client)
    other.auth("guest")
    again = other.ask("POST", "/baskets", whole.body, Content_Type="application/json").json
    assert len(again["product_items"]) == 500
    long = b'{"product_items":[],"notes":"' + b"x" * (1 << 20) + b'"}'
    r = shop.server.request("POST", SHOP + "/baskets", {
        **other.headers, "Content-Type": "application/json"}, long)
    assert r.status == 413 and r.json["fault"]["type"] == "RequestEntityTooLargeException", r


def test_what_left_the_price_book(shop, guest):
    """No price, and so no totals: absent rather than wrong, and a flash says so."""
    definitions = swagger.load()
    shop.store.run("product", "import", "-", stdin=json.dumps(
        {"id": "brief", "name": "Brief", "price": "5.00", "currency": "EUR"}) + "\n")
    basket = guest.ask("POST", "/baskets", {"product_items": [item("brief", 1), item("mug", 1)]})
    assert basket.json["order_total"] == 8.33
    shop.store.run("product", "delete", "brief")
    there = guest.ask("GET", "/baskets/" + basket.json["basket_id"])
    definitions.judge_answer("GET", "/baskets/{basket_id}", there)
    gone, mug = there.json["product_items"]
    assert "price" not in gone and gone["product_name"] == "brief" and mug["price"] == 3.33
    assert not {"order_total", "product_total", "tax_total"} & set(there.json)
    assert "shipment_total" not in there.json["shipments"][0]
    assert there.json["_flash"][-1]["type"] == "OrderTotalNotSet"
    assert there.json["_resource_state"] != basket.json["_resource_state"]
    left = guest.ask("DELETE", f"/baskets/{basket.json['basket_id']}/items/{gone['item_id']}").json
    assert left["order_total"] == 3.33


def test_discount(shop, module_store):
    """What a trusted key took off on /api/ (price_source=client) is an adjustment here."""
    server = module_store.serve(enforce_https="off", price_source="client")
    store_key = {"X-Api-Key": shop.key, "Session-Id": "SID:ANON:127.0.0.1:discount"}
    module_store.customer("saver")
    assert server.login(store_key["Session-Id"], "saver", headers={"X-Api-Key": shop.key}).status == 200
    store_key["Session-Id"] = "SID:AUTH:127.0.0.1:discount"
    r = server.request("POST", "/api/basket/add-product/", store_key, {
        "url": "/api/products/701642811398M/", "quantity": 2, "price": "10.00", "currency": "EUR",
        "discount": "5.00", "name": "On sale"})
    assert r.status == 200, r
    saver = Shopper(server, shop.client)
    who = saver.auth("credentials", Authorization=basic("saver", "saver")).json["customer_id"]
    basket, = saver.ask("GET", f"/customers/{who}/baskets").json["baskets"]
    line, = basket["product_items"]
    assert (line["base_price"], line["price"], line["product_name"]) == (10.0, 20.0, "On sale")
    assert line["price_after_item_discount"] == line["tax_basis"] == 15.0
    assert (line["tax"], line["adjusted_tax"]) == (1.0, 0.75)
    assert (basket["merchandize_total_tax"], basket["adjusted_merchandize_total_tax"]) == (1.0, 0.75)
    assert (basket["product_total"], basket["order_total"]) == (15.0, 15.75)


def cookies_of(r):
    return "; ".join(f"{name}={value}" for name, (value, _) in r.cookies.items())


def test_one_basket_three_surfaces(shop):
    """A customer's basket over the app's /api/, OCAPI and the website's dwsid: one record."""
    app = {"X-Api-Key": shop.key, "Session-Id": "SID:ANON:127.0.0.1:phone"}
    r = shop.server.login(app["Session-Id"], "ada", headers={"X-Api-Key": shop.key})
    assert r.status == 200
    app["Session-Id"] = "SID:AUTH:127.0.0.1:phone"
    added = shop.server.request("POST", "/api/basket/add-product/", app,
                                {"url": "/api/products/701642811398M/", "quantity": 2})
    number = added.json["id"]

    ocapi = Shopper(shop.server, shop.client)
    customer = ocapi.auth("credentials", Authorization=basic("ada", "ada")).json
    listed = ocapi.ask("GET", f"/customers/{customer['customer_id']}/baskets").json
    basket, = listed["baskets"]
    assert int(basket["basket_id"]) == number
    assert f"{basket['order_total']:.2f}" == added.json["total_incl_tax"]
    ocapi.ask("POST", f"/baskets/{basket['basket_id']}/items", [item("mug", 1)])

    bridged = ocapi.ask("POST", "/sessions", status=204)
    website = {"Cookie": cookies_of(bridged)}
    site = shop.server.get("/api/basket/", website)
    assert site.json["id"] == number, site
    lines = shop.server.get(f"/api/baskets/{number}/lines/", website).json
    assert [line["quantity"] for line in lines] == [2, 1]
    r = shop.server.get("/session", website).json
    assert (r["customer_login"], r["auth_via"]) == ("ada", "cookie") and r["basket_id"] == str(number)

    again = Shopper(shop.server, shop.client)
    again.auth("session", Cookie=website["Cookie"])
    seen = again.ask("GET", "/baskets/" + basket["basket_id"]).json
    assert [line["quantity"] for line in seen["product_items"]] == [2, 1]
    assert [int(line["item_id"]) for line in seen["product_items"]] == [
        int(line["url"].split("/")[-2]) for line in lines]
    again.ask("DELETE", "/baskets/" + basket["basket_id"], status=204)
    assert shop.server.get("/api/baskets/", app).json == []


def test_guest_over_the_bridge(shop, guest):
    """He stays the guest that he was, and so does his basket."""
    basket = guest.ask("POST", "/baskets", {"product_items": [item("mug", 1)]}).json["basket_id"]
    bridged = guest.ask("POST", "/sessions", status=204)
    suffix = hashlib.md5(b"Sites-RefArch-Site").hexdigest()
    assert set(bridged.cookies) == {"dwsid", "dwsecuretoken_" + suffix, "dwanonymous_" + suffix}
    assert bridged.cookies["dwanonymous_" + suffix][0] == guest.customer_id
    assert shop.server.get("/api/basket/", {"Cookie": cookies_of(bridged)}).json["id"] == int(basket)
    again = Shopper(shop.server, shop.client)
    answer = again.auth("session", Cookie=cookies_of(bridged))
    assert answer.json["customer_id"] == guest.customer_id and len(answer.body) == 124
    assert again.headers["Authorization"] != guest.headers["Authorization"]
    again.ask("GET", "/baskets/" + basket)
    guest.ask("DELETE", "/customers/auth", status=204)
    guest.fault("GET", "/baskets/" + basket, "InvalidAccessToken", status=401)
    again.ask("GET", "/baskets/" + basket)
