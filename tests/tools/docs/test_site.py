"""The built site: every link leads somewhere, nothing is loaded from elsewhere, and every key,
option, event, refusal, flag, field and message has an anchor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from agent.base.report import device, job
from agent.base.schemas import registry
from agent.base.vocabulary import Cell, Flag, HeardCell, Reason, SoundFlag
from agent.privacy.policy.rules import PROFILES
from agent.uplink.enrol import messages as enrol
from tools.common.files import ROOT
from tools.docs import check
from tools.docs.messages import catalogue
from tools.docs.pages import pages
from tools.docs.reference import commands, configuration, messages_of
from tools.fleet.alerts import BY_NAME
from tools.fleet.collector import intake
from tools.fleet.console import listing
from tools.fleet.controller import answers as job_answers
from tools.fleet.controller import decide, plan

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.slow

WORDS: dict[str, tuple[Any, ...]] = {
    "event": (device.EventCode,),
    "refusal": (device.Refusal,),
    "answer": (device.Answer,),
    "reason": (Reason,),
    "cell": (Cell, HeardCell),
    "flag": (Flag, SoundFlag),
    "job": (job.JobReason,),
    "open": (device.PerceiveOpening, device.UplinkOpening),
    "outbox": (device.OutboxState,),
    "perception": (device.Perception,),
}
"""Anchors of docs/vocabulary.md by their beginning."""

FLEET_WORDS: dict[str, tuple[Any, ...]] = {
    "quarantine": (intake.Reason, job_answers.Refusal),
    "enrol": (enrol.Refusal,),
    "rollout": (decide.RolloutStatus,),
    "failure": (plan.FailureType,),
    "device": (listing.State,),
}
"""Those of docs/fleet-words.md."""


@pytest.fixture(scope="module")
def anchors(site: Path) -> dict[str, set[str]]:
    return check.anchors(site)


def test_no_link_is_broken_and_nothing_comes_from_elsewhere(site: Path) -> None:
    assert not check.problems(site)


def test_every_page_is_there(site: Path) -> None:
    for page in pages().values():
        assert (site / page.built).is_file(), page


def test_every_key_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    keys = configuration.keys()
    assert {"privacy.k", "models", "mqtt.tls"} <= set(keys)
    assert {f"key-{key}" for key in keys} <= anchors["configuration.html"]


def test_every_command_and_option_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    known = anchors["commands.html"]
    found = commands.commands()
    assert len(found) > 100
    for each in found:
        assert each.anchor in known, each.name
        for option in each.options():
            assert each.option_anchor(option) in known, f"{each.name} {option.option_strings}"
    assert "cli-fleeting-replay--json" in known
    assert "cli-python-m-tools-bench-models" in known


@pytest.mark.parametrize(
    ("page", "kinds"),
    [("vocabulary", WORDS), ("fleet-words", FLEET_WORDS)],
    ids=("device", "fleet"),
)
def test_every_word_has_an_anchor_and_no_other_has(
    page: str, kinds: dict[str, tuple[Any, ...]], anchors: dict[str, set[str]]
) -> None:
    known = anchors[f"{page}.html"]
    for kind, types in kinds.items():
        words = {f"{kind}-{word}" for each in types for word in get_args_of(each)}
        there = {name for name in known if re.fullmatch(rf"{kind}-[A-Za-z_0-9]+", name)}
        assert there == words, kind


def test_every_refused_request_and_every_alert_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    folder = ROOT / "tools/fleet"
    said = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in ("enrolment/request.py", "controller/desk.py")
    )
    words = set(re.findall(r'(?:RefusedError\(|refused=)"([a-z_]+)"', said))
    known = anchors["fleet-words.html"]
    assert {name for name in known if name.startswith("request-")} == {
        f"request-{w}" for w in words
    }
    assert {f"alert-{name}" for name in BY_NAME} <= anchors["alerts.html"]


def get_args_of(kind: Any) -> list[str]:
    return [word for each in get_args(kind) for word in (get_args(each) or (each,))]


def test_every_policy_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    assert {f"policy-{name}" for name in PROFILES} <= anchors["privacy-officer.html"]


def test_every_message_and_field_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    known = anchors["schemas.html"]
    for name in registry.MESSAGES | registry.HEARING | registry.INBOUND:
        assert f"schema-{name}" in known
        for field in registry.load(name)["properties"]:
            assert f"field-{name}-{field}" in known, f"{name}: {field}"
    assert messages_of.names()


def test_every_sentence_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    found = catalogue.messages()
    assert len(found) > 1000
    missing = [each.what for each in found if each.anchor not in anchors["messages.html"]]
    assert not missing
    assert len({each.anchor for each in found}) == len(found)


def test_every_code_of_exit_has_an_anchor(anchors: dict[str, set[str]]) -> None:
    assert {f"exit-{code}" for code in (0, 1, 2, 78, 130)} <= anchors["verbs.html"]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="apt install chromium")
def test_pages_are_searched_as_files_and_fit_a_telephone(site: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
        page = context.new_page()
        page.set_default_timeout(120_000)
        for name in ("index", "console", "messages", "configuration"):
            page.goto((site / f"{name}.html").as_uri())
            root = "document.documentElement"
            assert not page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"), name
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto((site / "index.html").as_uri())
        page.keyboard.press("Control+k")
        page.get_by_label("Search", exact=True).and_(page.locator("input[type=text]")).fill("noise")
        page.get_by_text("How noised").first.wait_for()
        browser.close()


def test_what_is_wrong_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="x">a</h1><a href="b.html">b</a><a href="a.html#y">y</a><a href="a.html#x">x</a>'
        '<script src="https://cdn.example/x.js"></script><script>fetch("https://a.example/")</script>'
        '<a href="https://spec.example/">a link may lead anywhere</a>',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text("@import 'https://fonts.example/a.css';", encoding="utf-8")
    (tmp_path / "a.js").write_text('load("//cdn.example/b.js")', encoding="utf-8")
    said = [each for each in check.problems(tmp_path) if each.startswith("a.")]
    assert sorted(said) == [
        "a.css: loads https://fonts.example/a.css",
        "a.html: a.html#y names no anchor of that page",
        "a.html: b.html leads nowhere",
        "a.html: loads https://a.example/",
        "a.html: loads https://cdn.example/x.js",
        "a.js: loads //cdn.example/b.js",
    ]
