"""The API: its description is true, tokens open it, and it does what operators' verbs do."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import jsonschema
import pytest
from starlette.routing import Route

from tests.summaries import POLICY
from tests.tools.fleet.console.conftest import Console
from tests.tools.fleet.filled import NOW, add_device, add_webhook, busy, say
from tools.fleet.console import accounts, stream
from tools.fleet.console.api import OPERATIONS, ROOT
from tools.fleet.console.inside import Answer, Browser
from tools.fleet.console.openapi import STREAMS, document
from tools.fleet.controller import rollouts, wishes

pytestmark = pytest.mark.slow


class Client:
    """A program with a token."""

    def __init__(self, console: Console, role: accounts.Role = "operator") -> None:
        self.browser = Browser(console.app)
        token = accounts.add_token(console.store, f"t-{role}", role, int(time.time()), None)
        self.headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str) -> Answer:
        return self.browser.get(f"{ROOT}{path}", self.headers)

    def post(self, path: str, body: Any) -> Answer:
        headers = self.headers | {"content-type": "application/json"}
        return self.browser.send("POST", f"{ROOT}{path}", json.dumps(body).encode(), headers)


@pytest.fixture
def client(console: Console) -> Client:
    return Client(console)


def test_the_description_has_every_route_and_no_other(console: Console) -> None:
    inner = console.app._app  # type: ignore[attr-defined]
    real = {
        (method.lower(), route.path)
        for route in inner.routes
        if isinstance(route, Route) and route.path.startswith(ROOT)
        for method in (route.methods or set()) - {"HEAD"}
    }
    said = {(method, path) for path, each in document()["paths"].items() for method in each}
    assert real == said
    assert len(said) == len(OPERATIONS) + len(STREAMS) + 1


def test_the_description_holds_together() -> None:
    whole = document()
    refs = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(whole)))
    assert refs <= whole["components"]["schemas"].keys()
    for schema in whole["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path, methods in whole["paths"].items():
        for each in methods.values():
            named = {one["name"] for one in each.get("parameters", ()) if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize("path", [
    "/devices?sort=heard_at&down=true&size=2", "/devices/box-1", "/devices/box-1/windows",
    "/devices/box-1/windows?figure=attention_over_15&slot=3", "/alerts", "/alerts?past=true",
    "/compare?rate=attention&first=0&second=5", "/settings", "/settings?group=shops", "/rollouts",
    "/receipts/box-2", "/webhooks", "/webhooks/0a1b2c3d/deliveries",
])  # fmt: skip
def test_answers_are_as_described(client: Client, console: Console, path: str) -> None:
    add_webhook(console.store)
    answer = client.get(path)
    assert answer.status == 200, answer.text
    where = path.partition("?")[0].replace("box-1", "{device}").replace("box-2", "{device}")
    where = where.replace("0a1b2c3d", "{webhook}")
    said = document()["paths"][f"{ROOT}{where}"]["get"]["responses"]["200"]["content"]
    schema = said["application/json"]["schema"] | {"components": document()["components"]}
    jsonschema.validate(json.loads(answer.body), schema)


@pytest.mark.parametrize(("path", "status"), [
    ("/devices/none", 404), ("/devices?size=0", 422), ("/devices?no=1", 422),
    ("/devices?state=gone", 422), ("/devices/box-1/windows?figure=no", 400),
    ("/alerts?kind=no", 400), ("/compare?rate=attention&first=0&second=0", 400),
    ("/compare?rate=attention&first=0&second=9", 400), ("/compare?rate=attention", 422),
    ("/rollouts/none", 404), ("/rollouts/none/events", 404), ("/receipts/none", 404),
])  # fmt: skip
def test_what_cannot_be_answered_says_why(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status == status, answer.text
    assert len(json.loads(answer.body)["error"]) > 10


def test_tokens(console: Console) -> None:
    now = int(time.time())
    browser = Browser(console.app)
    for given in ("Bearer x", "Bearer ", "Basic YTpi", "bearer", "x"):
        answer = browser.get(f"{ROOT}/devices", {"authorization": given})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    token = accounts.add_token(console.store, "short", "viewer", now - 2 * 86_400, 1)
    assert accounts.of_token(console.store, token, now) is None
    viewer = Client(console, "viewer")
    assert viewer.get("/devices").status == 200
    assert viewer.post("/settings", {"path": "privacy.k", "value": 9}).status == 403
    assert browser.get("/devices", viewer.headers).status == 303, "no pages for tokens"
    accounts.remove_token(console.store, "t-viewer")
    assert viewer.get("/devices").status == 401


def test_a_session_reads_the_api_and_changes_nothing_there(console: Console) -> None:
    browser = console.browser("operator")
    assert browser.get(f"{ROOT}/devices").status == 200
    headers = {"origin": browser.origin, "sec-fetch-site": "same-origin",
               "content-type": "application/json"}  # fmt: skip
    body = b'{"path": "privacy.k", "value": 9, "device": "box-1"}'
    answer = browser.send("POST", f"{ROOT}/settings", body, headers)
    assert (answer.status, "token" in answer.text) == (403, True)


def test_a_setting_is_wished_answered_and_taken_back(client: Client, console: Console) -> None:
    answer = client.post("/settings", {"path": "privacy.k", "value": 9, "group": "shops"})
    assert answer.status == 200, answer.text
    (row,) = console.store.execute("SELECT * FROM group_desired")
    assert wishes.from_text(row["config"]) == {"privacy.k": 9}
    assert client.post("/settings", {"path": "privacy.k", "value": None, "group": "shops"}
                       ).status == 200  # fmt: skip
    (row,) = console.store.execute("SELECT * FROM group_desired")
    assert wishes.from_text(row["config"]) == {}
    for wrong in ({"path": "privacy.k", "value": 9}, {"path": "privacy.k", "value": 999,
                  "device": "box-1"}, {"path": "privacy.epsilon", "value": 9, "device": "box-1"},
                  {"path": "privacy.k", "value": 9, "device": "none"}):  # fmt: skip
        assert client.post("/settings", wrong).status == 400
    assert client.post("/settings", {"value": 9}).status == 422
    assert client.post("/settings", "x").status == 422


def test_a_rollout(client: Client, console: Console) -> None:
    for device in ("new-1", "new-2"):
        add_device(console.store, device, app="0.1.0")
    wrong = client.post("/rollouts", {"kind": "app", "version": "x"})
    assert (wrong.status, "version" in wrong.text) == (400, True)
    plan = {"kind": "app", "version": "0.3.0", "device": "new-1 new-2", "waves": "1,2"}
    answer = client.post("/rollouts", plan)
    assert answer.status == 200, answer.text
    begun = json.loads(answer.body)
    assert (begun["devices"], begun["already"]) == (2, 0)
    name = begun["rollout"]
    with console.store.transaction():
        rollouts.advance(console.store, name, NOW)
    state = json.loads(client.get(f"/rollouts/{name}").body)
    assert [each["queued"] for each in state["by_wave"]] == [1, 0]
    for act, status in (("pause", "PAUSED"), ("resume", "RUNNING"), ("abort", "CANCELED")):
        assert json.loads(client.post(f"/rollouts/{name}/{act}", None).body)["status"] == status
    assert client.post(f"/rollouts/{name}/resume", None).status == 400
    assert client.post(f"/rollouts/{name}/explode", None).status == 404
    said = [row["act"] for row in console.store.execute("SELECT act FROM console_acts ORDER BY id")]
    assert said == ["started", "pause", "resume", "abort"]


def test_the_stream_of_a_rollout_ends_with_it(client: Client, console: Console) -> None:
    answer = client.get("/rollouts/r1/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events(answer.body) == [
        {"rollout": "r1", "status": "HALTED", "wave": 0, "jobs": {}, "ended": True}
    ]
    assert console.place.streams == 0


def events(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line[:6] == "data: "]


def test_the_feed_gives_what_was_released(client: Client, console: Console) -> None:
    path = f"{ROOT}/feed?since={NOW - 3700}&group=shops"
    answer = client.browser.send(
        "GET", path, b"", client.headers, lambda body: body.count(b"event: summary") >= 3
    )
    found = events(answer.body)
    assert len(found) >= 3
    assert {each["device"] for each in found} == {"box-1"}
    (body,) = console.store.tuples(
        "SELECT body FROM summaries WHERE device = 'box-1' AND boot = ? AND seq = ?",
        (found[0]["summary"]["boot"], found[0]["summary"]["seq"]),
    )[0]
    assert json.loads(body) == found[0]["summary"]
    assert answer.headers["content-security-policy"]


def test_the_feed_repeats_nothing_and_misses_nothing(console: Console) -> None:
    feed = stream.Feed(NOW + 1000)
    assert not feed.look(console.store)
    add_device(console.store, "late")
    say(console.store, "box-1", busy(POLICY, 5000), NOW + 1001)
    assert len(feed.look(console.store)) == 1
    say(console.store, "late", busy(POLICY, 1), NOW + 990)
    assert len(feed.look(console.store)) == 1, "committed after one that came later"
    assert not feed.look(console.store)
    say(console.store, "late", busy(POLICY, 2), NOW + 2000)
    assert len(feed.look(console.store)) == 1
    assert not feed.look(console.store)
    assert len(feed._sent) < 3


def test_a_stream_ends_when_its_reader_may_no_longer(
    client: Client, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_CHECK", 0.0)
    accounts.remove_token(console.store, "t-operator")
    visit = client.get("/rollouts/r0/events")
    assert visit.status == 401
    second = Client(console, "viewer")

    def gone(body: bytes) -> bool:
        if b"event: state" in body and console.store.execute("SELECT 1 FROM console_tokens"):
            accounts.remove_token(console.store, "t-viewer")
        return False

    answer = second.browser.send("GET", f"{ROOT}/rollouts/r0/events", b"", second.headers, gone)
    assert answer.status == 200, "it came to an end by itself"


def test_too_many_streams(client: Client, console: Console) -> None:
    console.place.streams = stream.MOST
    assert client.get("/rollouts/r0/events").status == 503
