"""The /api/ surface of a running server: what only shows with several processes at work."""

import concurrent.futures

REGISTRATION = "/api/register/"


def form(email, password="V3rYS3cr3t!"):
    return {"email": email, "password1": password, "password2": password}


def test_registrations_at_once(store):
    """Every one is a customer of his own; his password opens his account and no other."""
    store.customer("ada")
    server = store.serve(register="on", hashers=2, password_iterations=20000)
    logins = [f"c{i}@example.com" for i in range(10)]
    secrets = {login: f"V3rY-S3cr3t-{i}!" for i, login in enumerate(logins)}
    with concurrent.futures.ThreadPoolExecutor(len(logins)) as pool:
        answers = list(pool.map(lambda login: server.request(
            "POST", REGISTRATION, {}, form(login, secrets[login])), logins))
    assert [r.status for r in answers] == [201] * len(logins)
    ids = {record["id"]: record["login"] for record in store.records("customer", "list")}
    assert sorted(ids.values()) == sorted(["ada", *logins])
    for i, login in enumerate(logins):
        for other, status in ((login, 200), (logins[i - 1], 401)):
            r = server.request("POST", "/api/login/", {},
                               {"username": login, "password": secrets[other]})
            assert r.status == status, (login, other, r)


def test_same_address_at_once(store):
    """One of them gets it; the others are told so."""
    server = store.serve(register="on", hashers=2, password_iterations=20000)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda i: server.request(
            "POST", REGISTRATION, {}, form("a@example.com", f"{i}!Secret%{i}")), range(6)))
    assert sorted(r.status for r in answers) == [201] + [400] * 5
    assert {r.body for r in answers if r.status == 400} == {
        b'{"non_field_errors":["A user with this email already exists"]}'}
    won = [r.status for r in answers].index(201)
    for i in range(6):
        r = server.request("POST", "/api/login/", {},
                           {"username": "a@example.com", "password": f"{i}!Secret%{i}"})
        assert r.status == (200 if i == won else 401)
