"""A shop's dumpdata, made by hand: records of Django Oscar's models, and Django's signatures."""

import base64
import hashlib
import hmac
import json
import string
import zlib

from conftest import SECRET

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
DAY = "2026-01-%02dT08:00:00.000Z"
FAR = "2100-01-01T00:00:00Z"
# Of the password `secret`, with 1000 rounds.
PASSWORD = "pbkdf2_sha256$1000$saltsaltsalt$" + base64.b64encode(
    hashlib.pbkdf2_hmac("sha256", b"secret", b"saltsaltsalt", 1000)).decode()


def salted(salt, value, secret):
    return hmac.new(hashlib.sha256(salt + secret).digest(), value, hashlib.sha256)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def auth_hash(password, secret=SECRET):
    salt = b"django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    return salted(salt, password.encode(), secret).hexdigest()


def sign(data, written=1767168000, secret=SECRET, packed=False):
    """The column session_data."""
    text = json.dumps(data, separators=(",", ":")).encode()
    value = "." + base64url(zlib.compress(text)) if packed else base64url(text)
    time = ""
    while written:
        written, digit = divmod(written, 62)
        time = DIGITS[digit] + time
    value = f"{value}:{time}"
    salt = b"django.contrib.sessions.SessionStore" + b"signer"
    return f"{value}:{base64url(salted(salt, value.encode(), secret).digest())}"


def session_key(session_id, secret=SECRET):
    return hashlib.sha1(session_id.encode() + secret).hexdigest()


def record(model, pk, **fields):
    return {"model": model, "pk": pk, "fields": fields}


def user(pk, username, password=PASSWORD, **more):
    return record("auth.user", pk, **{
        "username": username, "password": password, "email": f"{username}@shop.example",
        "first_name": "", "last_name": "", "is_active": True, "is_staff": False,
        "last_login": None, "date_joined": DAY % 1, "groups": [], "user_permissions": [], **more})


def api_key(pk, key):
    return record("oscarapi.apikey", pk, key=key)


def session(key, data, expires=FAR, **how):
    """`key`: a Session-Id as the original cuts it, or any other key."""
    pk = session_key(key) if key.startswith("SID:") else key
    return record("sessions.session", pk, session_data=sign(data, **how), expire_date=expires)


def guest(session_id, basket, **how):
    return session(session_id, {"oscar_open_basket": basket}, **how)


def logged_in(session_id, pk, password=PASSWORD, **how):
    return session(session_id, {
        "_auth_user_id": str(pk), "_auth_user_hash": auth_hash(password),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend"}, **how)


def basket(pk, owner=None, status="Open", created=DAY % 2, **more):
    return record("basket.basket", pk, **{
        "owner": owner, "status": status, "date_created": created, "date_merged": None,
        "date_submitted": None, "vouchers": [], **more})


def line(pk, basket_pk, product=1, quantity=1, updated=DAY % 3, **more):
    return record("basket.line", pk, **{
        "basket": basket_pk, "line_reference": f"{product}_{product}", "product": product,
        "stockrecord": product, "quantity": quantity, "price_currency": "EUR",
        "price_excl_tax": "10.00", "price_incl_tax": "10.00", "date_created": DAY % 3,
        "date_updated": updated, **more})


def attribute(pk, line_pk, option=1, value="blue"):
    return record("basket.lineattribute", pk, line=line_pk, option=option, value=value)


def product(pk, title="Shirt", **more):
    return record("catalogue.product", pk, **{
        "structure": "standalone", "title": title, "parent": None, "product_class": 1,
        "product_options": [], "date_updated": DAY % 1, **more})


def stock(pk, product_pk, price="10.00", **more):
    return record("partner.stockrecord", pk, **{
        "product": product_pk, "partner": 1, "price_currency": "EUR", "price": price,
        "num_in_stock": 20, "num_allocated": None, "date_updated": DAY % 1, **more})


def product_class(pk, track_stock=True, options=()):
    return record("catalogue.productclass", pk, name="class", track_stock=track_stock,
                  options=list(options))


def option(pk, code):
    return record("catalogue.option", pk, name=code, code=code)


def catalogue():
    """Five products: with stock, without counting, a child, one without a price, an old one."""
    return [
        product_class(1, True, [1]), product_class(2, False), option(1, "colour"),
        option(2, "size"),
        product(1), stock(1, 1),
        product(2, "Download", product_class=2), stock(2, 2, "0.99", num_in_stock=None),
        product(3, "Mug"), product(4, "", parent=3, product_class=None, product_options=[2]),
        stock(7, 4, "5.00", num_in_stock=9, num_allocated=2),
        stock(8, 4, "4.00"),
        product(5, "Old"),
        record("partner.stockrecord", 5, product=5, price_currency="EUR", price_excl_tax="7.50",
               num_in_stock=3),
    ]
