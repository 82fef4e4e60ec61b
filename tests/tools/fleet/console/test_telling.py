"""Silences and webhooks: what operators do with them, and what viewers do not see."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.tools.fleet.alerts.receiver import Receiver, receiver
from tests.tools.fleet.console.conftest import Console, send
from tests.tools.fleet.console.test_api import Client
from tests.tools.fleet.filled import insert
from tools.fleet import alerts
from tools.fleet.alerts.webhooks import manage, outbox
from tools.fleet.alerts.webhooks.vault import Vault
from tools.fleet.console.inside import Browser

pytestmark = pytest.mark.slow
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def browser(console: Console) -> Browser:
    return console.browser("operator")


def add(browser: Browser, url: str, **fields: str) -> str:
    """A new one's id."""
    answer = send(browser, "/webhooks", "/webhooks", url=url,
                  **{"severity": "warning", **fields})  # fmt: skip
    assert answer.status == 200, answer.text[-400:]
    (webhook,) = re.findall(r"<h1>Webhook ([0-9a-f]{8})</h1>", answer.text)
    return str(webhook)


def secrets(text: str) -> list[str]:
    return re.findall(r"fws_[A-Za-z0-9_-]{43}", text)


def raise_one(console: Console) -> int:
    now = int(time.time())
    insert(console.store, "alerts", device="box-1", kind="offline", severity="warning",
           severity_rank=1, since=now, last=now, raised_at=now, detail="{}")  # fmt: skip
    return int(console.store.tuples("SELECT MAX(id) FROM alerts")[0][0])


def test_an_alert_is_silenced_and_heard_of_again(console: Console, browser: Browser) -> None:
    number = raise_one(console)
    before = int(time.time())
    answer = send(browser, "/alerts", f"/alerts/{number}/silence", length="28800")
    assert (answer.status, answer.headers["location"]) == (303, "/alerts")
    until = alerts.one(console.store, number).silenced_until
    assert until is not None
    assert before + 28_800 <= until <= time.time() + 28_800
    for page in ("/alerts", "/alerts?past=1"):
        text = console.browser("viewer").get(page).text
        assert "silenced until" in text
        assert "End the silence" not in text
        assert '<form method="post" action="/alerts/' not in text
    assert send(browser, "/alerts", f"/alerts/{number}/silence", length="0").status == 303
    assert alerts.one(console.store, number).silenced_until is None
    assert "silenced until" not in browser.get("/alerts").text
    said = [row["act"] for row in console.store.execute("SELECT act FROM console_acts ORDER BY id")]
    assert said == ["silenced", "ended the silence of"]


@pytest.mark.parametrize("length", ["", "x", "-1", "7776001", "9" * 9, "9" * 400, "1e3", "８"])
def test_no_silence_of_such_a_length(console: Console, browser: Browser, length: str) -> None:
    number = raise_one(console)
    answer = send(browser, "/alerts", f"/alerts/{number}/silence", length=length)
    assert answer.status == 400
    assert alerts.one(console.store, number).silenced_until is None


def test_a_silence_is_asked_for_by_an_operator_with_a_token(console: Console) -> None:
    number = raise_one(console)
    path = f"/alerts/{number}/silence"
    assert send(console.browser("viewer"), "/alerts", path, length="3600").status == 403
    operator = console.browser("operator")
    assert operator.post(path, {"length": "3600", "csrf": "0" * 64}).status == 403
    assert operator.post(path, {"length": "3600"}).status == 403
    assert alerts.one(console.store, number).silenced_until is None
    console.store.execute("UPDATE alerts SET ended = 5 WHERE id = ?", (number,))
    assert send(operator, "/alerts", path, length="3600").status == 400, "it has ended"
    assert send(operator, "/alerts", "/alerts/999/silence", length="3600").status == 400


def test_a_secret_is_shown_once_and_signs(
    console: Console, browser: Browser, there: Receiver
) -> None:
    answer = send(browser, "/webhooks", "/webhooks", url=there.url, severity="info",
                  **{"kind-offline": "1", "kind-hot": "1", "kind-none": "1"})  # fmt: skip
    (first,) = secrets(answer.text)
    assert answer.headers["cache-control"] == "no-store"
    (found,) = manage.listed(console.store)
    webhook = found["webhook"]
    assert (found["kinds"], found["severity"]) == (["hot", "offline"], "info")
    assert Vault(console.folder).read(webhook).secrets == (first,)
    answer = send(browser, "/webhooks", f"/webhooks/{webhook}/test")
    assert "taken: 200" in answer.text
    assert there.heard[-1].said["event"] == "test"
    answer = send(browser, "/webhooks", f"/webhooks/{webhook}/rotate")
    (second,) = secrets(answer.text)
    assert Vault(console.folder).read(webhook).secrets == (second, first)
    again = send(browser, "/webhooks", f"/webhooks/{webhook}/rotate")
    assert (again.status, secrets(again.text)) == (400, [])
    assert "Two secrets sign already" in again.text
    assert send(browser, "/webhooks", f"/webhooks/{webhook}/finish").status == 200
    assert Vault(console.folder).read(webhook).secrets == (second,)
    for page in ("/webhooks", f"/webhooks/{webhook}", f"/webhooks/{webhook}?dead=1", "/log",
                 "/api/v1/webhooks", f"/api/v1/webhooks/{webhook}/deliveries"):  # fmt: skip
        text = browser.get(page).text
        assert webhook in text or "deliveries" in text
        assert not secrets(text), page
        assert "key=1" not in text, "the rest of a URL is a secret, too"
    assert send(browser, "/webhooks", f"/webhooks/{webhook}/remove").status == 303
    assert manage.listed(console.store) == []
    assert not list((console.folder / "webhooks").iterdir())
    said = [row["act"] for row in console.store.execute("SELECT act FROM console_acts ORDER BY id")]
    assert said == ["added", "tested", "gave a new secret to", "ended the old secret of", "removed"]


def test_a_viewer_sees_nothing_of_webhooks(
    console: Console, browser: Browser, there: Receiver
) -> None:
    webhook = add(browser, there.url)
    viewer, token = console.browser("viewer"), Client(console, "viewer")
    for path in ("/webhooks", f"/webhooks/{webhook}", "/webhooks/none", "/webhooks/"):
        answer = viewer.get(path)
        assert (answer.status, there.url[:20] in answer.text) == (403, False), path
        assert viewer.get(f"/api/v1{path}").status == 403
        assert token.get(path).status == 403
    assert "Webhooks" not in viewer.get("/alerts").text
    assert "Webhooks" in browser.get("/alerts").text
    log = viewer.get("/log").text
    assert "127.0.0.1:" not in log
    assert "key=" not in log
    for act in ("test", "rotate", "finish", "remove"):
        assert send(viewer, "/alerts", f"/webhooks/{webhook}/{act}").status == 403
        assert token.post(f"/webhooks/{webhook}/{act}", None).status == 403
        assert browser.post(f"/webhooks/{webhook}/{act}", {}).status == 403, "without its token"
    assert send(viewer, "/alerts", "/webhooks", url=there.url).status == 403
    assert len(manage.listed(console.store)) == 1
    assert not there.heard


@pytest.mark.parametrize("url", [
    "http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "http://[fe80::1]/",
    "https://[::ffff:169.254.169.254]/", "http://0.0.0.0/", "http://8.8.8.8/", "ftp://127.0.0.1/",
    "file:///etc/passwd", "https://user:word@127.0.0.1/", "https://127.0.0.1/#x", "//127.0.0.1",
    "https://100.100.100.200/", "http://2852039166/", "javascript:alert(1)", EVIL, "", "a" * 3000,
])  # fmt: skip
def test_where_no_webhook_may_go(console: Console, browser: Browser, url: str) -> None:
    answer = send(browser, "/webhooks", "/webhooks", url=url, severity="warning")
    assert answer.status == 400, url
    assert "<script>alert" not in answer.text
    client = Client(console)
    given = {"url": url, "allow": ["169.254.0.0/16"]}
    assert client.post("/webhooks", given).status == 422, "only the command line lifts a bar"
    assert client.post("/webhooks", {"url": url}).status in (400, 422)
    assert manage.listed(console.store) == []
    assert not list(console.folder.glob("webhooks/*.json"))


def test_what_names_nothing(console: Console, browser: Browser, there: Receiver) -> None:
    webhook = add(browser, there.url)
    for path in ("/webhooks/00000000", "/webhooks/..%2f..%2fetc"):
        assert browser.get(path).status == 404
    for path in ("/webhooks/00000000/test", "/webhooks/00000000/remove", "/webhooks/../x/rotate",
                 f"/webhooks/{webhook}/explode"):  # fmt: skip
        assert send(browser, "/webhooks", path).status == 404, path
    answer = send(browser, "/webhooks", "/webhooks", url=there.url, severity=EVIL)
    assert (answer.status, "<script>alert" in answer.text) == (400, False)
    (console.folder / "webhooks" / f"{webhook}.json").unlink()
    for act in ("test", "rotate", "finish"):
        answer = send(browser, "/webhooks", f"/webhooks/{webhook}/{act}")
        assert (answer.status, "is gone" in answer.text) == (400, True), act


def test_what_a_receiver_or_a_row_says_is_shown_as_text(
    console: Console, browser: Browser, there: Receiver
) -> None:
    webhook, now = add(browser, there.url), int(time.time())
    for state in ("delivered_at", "dead_at", "attempts"):
        delivery = outbox.put(console.store, webhook, EVIL, None, now)
        console.store.execute(
            f"UPDATE deliveries SET {state} = 7, said = ? WHERE delivery = ?", (EVIL, delivery)
        )
    console.store.execute("UPDATE webhooks SET host = ?", (EVIL * 20,))
    for page in ("/webhooks", f"/webhooks/{webhook}"):
        text = browser.get(page).text
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text
    text = browser.get(f"/webhooks/{webhook}").text
    assert [word in text for word in ("taken", "given up", "waits, next")] == [True] * 3
    text = browser.get(f"/webhooks/{webhook}?dead=1").text
    assert text.count("<tr>") == 2, "its head and the one that was given up"


def test_one_test_at_a_time_and_none_that_lasts(
    console: Console, browser: Browser, there: Receiver
) -> None:
    webhook = add(browser, there.url)
    with console.place.testing:
        assert send(browser, "/webhooks", f"/webhooks/{webhook}/test").status == 429
    there.does = 500
    answer = send(browser, "/webhooks", f"/webhooks/{webhook}/test")
    assert (answer.status, "away: 500" in answer.text) == (200, True)
    assert not console.place.testing.locked()
    assert manage.deliveries(console.store) == [], "a test is not kept"


def test_the_same_by_the_api(console: Console, there: Receiver) -> None:
    client, number = Client(console), raise_one(console)
    said = json.loads(client.post(f"/alerts/{number}/silence", {"seconds": 3600}).body)
    assert said["silenced_until"] > time.time() + 3000
    assert json.loads(client.post(f"/alerts/{number}/silence", {"seconds": 0}).body)[
        "silenced_until"] is None  # fmt: skip
    assert client.post(f"/alerts/{number}/silence", {"seconds": -1}).status == 422
    said = json.loads(client.post(f"/alerts/{number}/acknowledge", None).body)
    assert said["acknowledged_by"] == "token t-operator"
    made = json.loads(client.post("/webhooks", {"url": there.url, "kinds": ["hot"]}).body)
    webhook = made["webhook"]
    assert secrets(made["secret"]) == [made["secret"]]
    assert client.post("/webhooks", {"url": there.url, "kinds": ["no"]}).status == 400
    assert json.loads(client.post(f"/webhooks/{webhook}/test", None).body)["state"] == "taken"
    outbox.put(console.store, webhook, "raised", None, int(time.time()))
    rows = json.loads(client.get(f"/webhooks/{webhook}/deliveries").body)["deliveries"]
    assert [row["state"] for row in rows] == ["waits"]
    assert json.loads(client.get(f"/webhooks/{webhook}/deliveries?dead=true").body) == {
        "deliveries": []}  # fmt: skip
    assert secrets(client.post(f"/webhooks/{webhook}/rotate", None).text)
    for act in ("finish", "remove"):
        assert json.loads(client.post(f"/webhooks/{webhook}/{act}", None).body) == {
            "webhook": webhook}  # fmt: skip
    assert client.get(f"/webhooks/{webhook}/deliveries").status == 404
    assert json.loads(client.get("/webhooks").body) == {"webhooks": []}
