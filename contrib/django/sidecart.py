"""sidecart.py -- who is calling, for a Django site behind a proxy that asks sidecart.

Copy this file into the site and name it in the settings, in the place of Django's own
AuthenticationMiddleware:

    MIDDLEWARE = [..., "mysite.sidecart.SidecartMiddleware", ...]

Every request then has a `caller`, and as its `user` the Django user whose username is the
customer's login, made at the first request and without a password; for everybody else
AnonymousUser. login_required, permissions and `user` in templates work as ever.

The site must be reached through the proxy alone (see sidecart's deploy/): to a site that
strangers can reach, each is whoever he says. A request without the identity is refused.
"""

from __future__ import annotations

import dataclasses
from urllib.parse import unquote

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.utils.functional import SimpleLazyObject


def read(request, name):
    """The value of an identity field: None for the sentinel `-`, which stands for nothing."""
    value = request.headers.get(name)
    if not value:
        raise PermissionDenied(f"{name} is missing: the request did not pass the proxy.")
    return None if value == "-" else unquote(value)


def number(text):
    return None if text is None else int(text)


@dataclasses.dataclass(frozen=True)
class Caller:
    """The answer of /resolve. What is not known is None."""

    kind: str                       # none, guest or customer
    session_key: str | None         # of guests and customers
    customer_id: int | None         # of customers
    login: str | None               # of customers
    basket_id: int | None
    client: str | None              # name of the API key
    scopes: frozenset[str]          # of the API key
    via: str                        # header, cookie, token or none

    @classmethod
    def of(cls, request):
        return cls(
            kind=read(request, "X-Session-Kind"),
            session_key=read(request, "X-Session-Key"),
            customer_id=number(read(request, "X-Customer-Id")),
            login=read(request, "X-Customer-Login"),
            basket_id=number(read(request, "X-Basket-Id")),
            client=read(request, "X-Client-Name"),
            scopes=frozenset((read(request, "X-Client-Scopes") or "").split(",")) - {""},
            via=read(request, "X-Auth-Via"))


def user_of(caller):
    """The customer's Django user. An account of the staff is nobody's: whoever may choose a
    login in the shop would choose the administrator's."""
    if caller.kind != "customer":
        return AnonymousUser()
    model = get_user_model()
    user, _ = model.objects.get_or_create(
        **{model.USERNAME_FIELD: caller.login}, defaults={"password": make_password(None)})
    if not user.is_active or user.is_staff or user.is_superuser:
        return AnonymousUser()
    return user


class SidecartMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.caller = Caller.of(request)
        request.user = SimpleLazyObject(lambda: user_of(request.caller))
        return self.get_response(request)
