"""/metrics: what is counted over all processes, and that nobody is named in it."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import SECRET, Wire, request_bytes, wait_until

ANON, AUTH = "SID:ANON:127.0.0.1:", "SID:AUTH:127.0.0.1:"


def scrape(server):
    r = server.get("/metrics", port=server.ops_port)
    assert r.status == 200 and r.get("Content-Type").startswith("text/plain; version=0.0.4")
    assert r.get("Cache-Control") == "no-store"
    text = r.body.decode()
    values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in values, name
            values[name] = float(value)
    return text, values


@pytest.fixture
def busy(store):
    """A server of two fronts that has had all kinds of requests."""
    store.customer("ada", "pass-word")
    key = store.key("application", "trusted,login")
    server = store.serve(workers=2, hashers=2, gateway="on", login_throttle="2/1h")
    headers = {"X-Api-Key": key}
    for i in range(20):
        assert server.resolve({**headers, "Session-Id": f"{ANON}guest{i}"}).status == 204
    assert server.resolve().status == 403
    assert server.get("/session/secret-path").status == 404
    assert server.login(ANON + "v", "ada", "pass-word", headers).status == 200
    for status in (401, 401, 429):
        assert server.login(ANON + "w", "ada", "wrong", headers).status == status
    assert server.request("PATCH", "/session/data", {**headers, "Session-Id": ANON + "keeps"},
                          {"a": 1}).status == 200
    server.key = key
    return server


def test_counts(busy):
    _, values = scrape(busy)
    requests = {re.search(r'route="([^"]*)",class="(\dxx)"', name).groups(): value
                for name, value in values.items() if name.startswith("sidecart_requests_total")}
    assert requests[("/resolve", "2xx")] == 20 and requests[("/resolve", "4xx")] == 1
    assert requests[("-", "4xx")] == 1
    assert requests[("/api/login/", "2xx")] == 1 and requests[("/api/login/", "4xx")] == 3
    assert requests[("/session/data", "2xx")] == 1
    by_front = values['sidecart_request_duration_seconds_count{by="front"}']
    by_writer = values['sidecart_request_duration_seconds_count{by="writer"}']
    assert by_writer == 5 and by_front == sum(requests.values()) - by_writer
    assert values['sidecart_request_duration_seconds_sum{by="writer"}'] > 0
    assert values["sidecart_logins_throttled_total"] == 1
    assert values['sidecart_hasher_questions_total{kind="password"}'] == 3
    assert values["sidecart_hasher_busy_seconds_total"] > 0
    assert values["sidecart_commit_duration_seconds_count"] >= 2
    assert values["sidecart_batch_requests_sum"] >= values["sidecart_batch_requests_count"] >= 2
    assert values["sidecart_connections_accepted_total"] >= 27
    assert values["sidecart_connections"] >= 1 and values["sidecart_parked_requests"] == 0
    assert 0 < values["sidecart_store_used_bytes"] < values["sidecart_store_map_bytes"]
    assert values["sidecart_store_entries"] > 5 and values["sidecart_store_readers"] >= 2
    # This scrape is counted in the next one; the count of sessions comes once a second.
    assert ('sidecart_requests_total{route="/metrics",class="2xx"}' in scrape(busy)[1])
    wait_until(lambda: scrape(busy)[1]['sidecart_sessions{kind="customer"}'] == 1 and
               scrape(busy)[1]['sidecart_sessions{kind="guest"}'] == 1, "sessions are counted")


def test_buckets_grow(busy):
    _, values = scrape(busy)
    for histogram in ('request_duration_seconds_bucket{by="front",', "batch_requests_bucket{",
                      "commit_duration_seconds_bucket{"):
        counts = [v for name, v in values.items() if name.startswith("sidecart_" + histogram)]
        assert len(counts) == 22 and counts == sorted(counts) and counts[-1] > 0


def test_d10_nobody_is_named(busy):
    """Labels are routes, classes and kinds: no path, login, key or session of anybody's."""
    text, values = scrape(busy)
    for secret in ("ada", "guest", "secret-path", "application", busy.key, SECRET.decode(),
                   "127.0.0.1"):
        assert secret not in text.replace('kind="guest"', "")
    labels = set(re.findall(r"(\w+)=\"", text))
    assert labels == {"route", "class", "kind", "by", "le"}
    assert len(values) < 400


def test_d10_where_it_is(store, tmp_path):
    server = store.serve(ops_listen=f"127.0.0.1:0,unix:{tmp_path}/ops")
    assert server.get("/metrics").status == 404
    with Wire(f"{tmp_path}/ops") as wire:
        wire.send(request_bytes("GET", "/metrics"))
        assert wire.response().status == 200
        wire.send(request_bytes("HEAD", "/metrics"))
        assert wire.response(head_only=True).status == 200
        wire.send(request_bytes("POST", "/metrics"))
        assert wire.response().status == 405
    store.close()
    server = store.serve(ops_listen="")
    assert server.get("/metrics").status == 404


def test_counts_stay_over_deaths(busy):
    before = scrape(busy)[1]
    for kind in ("front", "writer"):
        for pid in busy.child(kind):
            busy.allow = re.compile(busy.allow.pattern + "|event=ended")
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in busy.children(), "a death")
    wait_until(lambda: busy.get("/readyz").status == 200, "the next ones")
    after = scrape(busy)[1]
    assert after['sidecart_deaths_total{kind="front"}'] == 2
    assert after['sidecart_deaths_total{kind="writer"}'] == 1
    for name, value in before.items():
        if re.match(r"sidecart_(requests_total|batch|commit|request_duration)", name):
            assert after[name] >= value, name
    assert after["sidecart_connections"] <= 3


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool(busy):
    text, _ = scrape(busy)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done


def test_d04_an_old_reader_shows(store):
    """Somebody who holds a snapshot while commits go on."""
    lmdb = pytest.importorskip("lmdb")
    key = store.key("app")
    server = store.serve()
    with lmdb.open(str(store.path), readonly=True, create=False) as env, env.begin():
        def age():
            server.request("PATCH", "/session/data", {"X-Api-Key": key, "Session-Id": ANON + "a"},
                           {"a": 1})
            values = scrape(server)[1]
            return values["sidecart_store_oldest_reader_age_seconds"] >= 2 and \
                values["sidecart_store_oldest_reader_commits"] > 2
        wait_until(age, "the reader's age")
    wait_until(lambda: scrape(server)[1]["sidecart_store_oldest_reader_age_seconds"] == 0, "none")
