"""Every page and every answer: what it carries, and what hostile values do to it."""

from __future__ import annotations

import itertools
import json
import re
from urllib.parse import quote

import pytest

from agent.desk.read.contents import Content
from tests.tools.fleet.console.conftest import Console, csrf, send
from tests.tools.fleet.filled import NOW, add_device, insert
from tools.fleet.console import acts, guard
from tools.fleet.console.accounts import Account
from tools.fleet.console.api import OPERATIONS, ROOT
from tools.fleet.console.app import PAGES
from tools.fleet.content import catalogue

pytestmark = pytest.mark.slow

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' OR '1'='1",
    "'; DROP TABLE devices; --",
    "%' OR 1=1 --",
    "../../../../etc/passwd",
    "..%2f..%2f",
    "\x00",
    "a\r\nSet-Cookie: x=y",
    "{{ 7 * 7 }}",
    "é☃𝕏",
    "9" * 400,
    "-1",
    "NaN",
)
NAMES = ("text", "group", "tag", "app", "state", "sort", "down", "page", "size", "device", "kind",
         "severity", "version", "past", "rate", "first", "second", "from", "to", "since", "until",
         "figure", "slot", "next")  # fmt: skip
HOOK = "0a1b2c3d"
GETS = [path for method, path, _ in PAGES if method == "GET"]
GETS += [f"{ROOT}{each.path}" for each in OPERATIONS if each.method == "GET"]
GETS += [f"{ROOT}/openapi.json", "/static/console.css", "/static/none", "/nowhere", f"{ROOT}/no"]


def filled(path: str, device: str = "box-1", rollout: str = "r0", webhook: str = HOOK) -> str:
    path = path.replace("{device}", device).replace("{rollout}", rollout)
    return path.replace("{webhook}", webhook)


@pytest.mark.parametrize("role", ["operator", None])
def test_every_answer_carries_the_policy(console: Console, role: str | None) -> None:
    browser = console.browser(role)  # type: ignore[arg-type]
    for path in GETS:
        answer = browser.get(filled(path))
        said = answer.headers["content-security-policy"]
        assert said == guard.POLICY, path
        assert "unsafe" not in said
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == ("no-cache" if "/static/" in path else "no-store")
        if role is None and not path.startswith(("/login", "/static/")):
            assert answer.status == (401 if path.startswith("/api/") else 303), path
        else:
            assert answer.status in (200, 303, 400, 404, 422), (path, answer.text[-300:])
    for status in (421, 405):
        method, host = ("GET", "evil") if status == 421 else ("PUT", "localhost")
        answer = browser.send(method, "/devices", b"", {"host": host})
        assert answer.status == status
        assert answer.headers["content-security-policy"] == guard.POLICY


def test_pages_have_nothing_from_elsewhere_and_nothing_inline(console: Console) -> None:
    browser = console.browser("operator")
    for path in GETS:
        answer = browser.get(filled(path))
        if "html" not in answer.headers.get("content-type", ""):
            continue
        assert not re.search(r"https?://|\son\w+=|style=|<style|javascript:", answer.text), path
        assert all(" src=" in each for each in re.findall(r"<script[^>]*>", answer.text)), path
        if "<nav" in answer.text:
            for form in re.findall(r'<form method="post".*?</form>', answer.text, re.DOTALL):
                assert 'name="csrf"' in form, path


def test_pages_work_where_there_is_nothing(empty: Console) -> None:
    browser = empty.browser("operator")
    for path in GETS:
        answer = browser.get(filled(path))
        absent = "{" in path or path.endswith(("/none", "/nowhere", "/no"))
        expected = {404} if absent else {200, 303, 400, 422}
        assert answer.status in expected, (path, answer.text[-300:])


def test_hostile_parameters(console: Console) -> None:
    browser = console.browser("operator")
    before = console.store.tuples("SELECT COUNT(*) FROM devices")
    whole = {path: browser.get(path).text.count("<tr>") for path in ("/devices",)}
    for path, evil in itertools.product(GETS, EVIL):
        if "/static" in path or path.endswith("/openapi.json"):
            continue
        query = "&".join(f"{name}={quote(evil, safe='')}" for name in NAMES)
        answer = browser.get(f"{filled(path)}?{query}")
        assert answer.status < 500, (path, evil, answer.text[-300:])
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert not any("x=y" in each for each in answer.cookies)
        assert "7 * 7" in evil or "49" not in evil
        assert "root:" not in answer.text
    for name, evil in itertools.product(("text", "group", "tag", "app"), EVIL[2:5]):
        answer = browser.get(f"/devices?{name}={quote(evil)}")
        assert answer.text.count("<tr>") < whole["/devices"], (name, evil)
        assert "No device matches" in answer.text
    assert console.store.tuples("SELECT COUNT(*) FROM devices") == before


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_paths(console: Console, evil: str) -> None:
    browser = console.browser("operator")
    for path in GETS:
        if "{" in path:
            answer = browser.get(filled(path, evil, evil, evil).split("?")[0])
            assert answer.status in (303, 400, 404, 405), (path, evil)
    for path in (f"/static/{evil}", f"/static/vendor/{evil}", f"/static/../app.py/{evil}"):
        answer = browser.get(path.split("?")[0])
        assert answer.status in (303, 404), path


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_forms(console: Console, evil: str) -> None:
    browser = console.browser("operator")
    fields = dict.fromkeys(
        ("path", "value", "device", "group", "kind", "version", "waves", "select", "tag",
         "succeeded", "abort", "text", "name", "password", "next", "length", "url", "severity",
         "kind-hot"), evil
    )  # fmt: skip
    for page, path in (("/settings", "/settings"), ("/rollouts", "/rollouts"),
                       ("/receipts", "/receipts"), ("/receipts", "/alerts/1"),
                       ("/receipts", f"/alerts/{evil}"), ("/receipts", "/rollouts/r0/pause"),
                       ("/receipts", f"/rollouts/r0/{evil}"), ("/receipts", "/alerts/1/silence"),
                       ("/receipts", f"/alerts/{evil}/silence"), ("/webhooks", "/webhooks"),
                       ("/webhooks", f"/webhooks/{evil}/test"),
                       ("/webhooks", f"/webhooks/{HOOK}/{evil}")):  # fmt: skip
        answer = send(browser, page, path.split("?")[0], **fields)
        assert answer.status < 500, (path, answer.text[-300:])
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
    assert not console.store.execute("SELECT * FROM wished")
    assert not console.store.execute("SELECT * FROM group_desired")
    assert len(console.store.execute("SELECT * FROM rollouts")) == 3
    assert not console.store.execute("SELECT * FROM webhooks")


def test_values_that_a_device_or_a_stranger_wrote_are_shown_as_text(console: Console) -> None:
    """The database is read as hostile, whoever filled it."""
    store, evil = console.store, EVIL[0] * 30
    add_device(store, "evil", app=evil, models=evil, policy=evil, grp=evil[:60], boot=evil,
               openings=f'["{EVIL[0]}", 3]', meta=evil, reported=evil)  # fmt: skip
    insert(store, "tags", device="evil", tag=EVIL[0])
    insert(store, "health", device="evil", received=NOW, boot=evil, perception=evil, fps=1,
           power=evil, memory=1, disk=evil, waiting=1, trimmed=1, clock=evil)  # fmt: skip
    insert(store, "events", device="evil", boot="b", seq=1, code=evil, count=1, at=NOW,
           offset_s=1, received=NOW, sha256="")  # fmt: skip
    insert(store, "jobs", job="j", device="evil", rollout=EVIL[0], kind=evil, version=evil,
           status=evil, step=evil, reason=evil, created_at=NOW)  # fmt: skip
    insert(store, "counts", device="evil", name=evil, total=1, last_at=NOW)
    insert(store, "rollouts", rollout="x1", kind=evil, version=evil, status="RUNNING", waves="[]",
           wave=0, gates="{}", abort_rules="[]", selection=evil, created_at=NOW + 5)  # fmt: skip
    acts.note(store, Account(EVIL[0], "operator"), evil, evil, NOW)
    insert(store, "alerts", device="evil", kind="offline", severity="warning", severity_rank=1,
           since=NOW, last=NOW, raised_at=NOW, detail=json.dumps({"state": evil}))  # fmt: skip
    browser = console.browser("operator")
    for path in ("/devices", "/devices/evil", "/log", "/rollouts", "/rollouts/x1", "/settings",
                 "/alerts", "/receipts?device=evil", "/settings?device=evil"):  # fmt: skip
        answer = browser.get(path)
        assert answer.status == 200, (path, answer.text[-300:])
        assert "<script>alert" not in answer.text, path
        longest = max(len(each) for each in re.findall(r">([^<>]*)<", answer.text))
        assert longest < 3000, path
    assert "&lt;script&gt;" in browser.get("/devices/evil").text


def test_the_page_of_a_device(console: Console) -> None:
    text = console.browser("viewer").get("/devices/box-1").text
    for word in ("online", "shops", "retail-eu", "running", "cage_open", "IN_PROGRESS", "missing",
                 "second copies", "band holds the truth with 95 %"):  # fmt: skip
        assert word in text, word
    assert "Change its settings" not in text
    text = console.browser("operator").get("/devices/box-2").text
    assert "open: inet" in text
    assert "undervolt" in text
    assert "Change its settings" in text


def test_what_a_user_does_is_written_down(console: Console) -> None:
    browser = console.browser("operator")
    answer = send(browser, "/settings", "/settings", path="privacy.k", value="9", group="shops")
    assert answer.status == 303
    text = browser.get("/log").text
    assert "the-operator" in text
    assert "privacy.k = 9 for group shops" in text
    assert csrf(browser.get("/log"))


def test_slots_are_offered_by_what_they_hold(console: Console) -> None:
    catalogue.replace(console.store, [Content(5, 0, 2**40, "<b>Coffee</b>", None)])
    shown = console.browser("viewer").get("/compare").text
    assert '<option value="5">&lt;b&gt;Coffee&lt;/b&gt;</option>' in shown
