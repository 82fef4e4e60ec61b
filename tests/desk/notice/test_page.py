"""The page covers every message and field, and reflects the policy."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.base.config import AgentConfig
from agent.base.errors import AgentError
from agent.base.schemas import registry as schemas
from agent.base.schemas.capacity import capacity
from agent.base.settings_file import parse
from agent.desk.notice._document import Document
from agent.desk.notice._fields import MEANINGS, fields, meaning
from agent.desk.notice._page import document, example, published
from agent.privacy.policy.rules import PROFILES, resolve
from agent.uplink.topics import MESSAGE_KINDS

PLACES = {name: PROFILES[name].places[0] for name in PROFILES}


def config(policy: str = "retail-eu", **more: Any) -> AgentConfig:
    device = {"id": "kiosk-7", "region": "other", "place": PLACES[policy]}  # type: ignore[index]
    return parse({"device": device, "privacy": {"policy": policy}} | more, "x")


def page(asked: AgentConfig) -> str:
    return document(asked, resolve(asked, live=False)).as_markdown()


def leaves(schema: dict[str, Any], name: str) -> set[str]:
    """Every property name of a schema, wherever it stands."""
    found: set[str] = set()
    for part in (schema, *schema.get("$defs", {}).values()):
        found |= set(part.get("properties", {}))
    assert found, name
    return found


@pytest.mark.parametrize("name", schemas.in_use(True))
def test_every_field_has_a_meaning_a_range_and_a_measure(name: str) -> None:
    schema = schemas.build(name)
    rows = fields(schema)
    assert {row.path.split(".")[-1].removesuffix("[]") for row in rows} >= leaves(schema, name)
    for row in rows:
        assert row.meaning.endswith(".")
        assert "{" not in row.meaning
        assert row.values
        assert "text like" not in row.values, "no pattern is shown to a reader"
    top = sum(row.bits for row in rows if "." not in row.path)
    assert top == pytest.approx(capacity(schema).bits)


def test_every_meaning_is_used() -> None:
    used = {
        meaning(_title(part, schema), key)
        for schema in map(schemas.build, schemas.in_use(True))
        for part in (schema, *schema.get("$defs", {}).values())
        for key in part.get("properties", {})
    }
    for name, text in MEANINGS.items():
        assert "{field}" in text or text in used, f"{name} means nothing any more"
    with pytest.raises(AgentError, match=r"no entry for Summary\.unheard_of"):
        meaning("Summary", "unheard_of")


def _title(part: dict[str, Any], schema: dict[str, Any]) -> str:
    remote = part["title"] == "Privacy" and schema["title"] in ("Reported", "HeardReported")
    return "RemotePrivacy" if remote else str(part["title"])


@pytest.mark.parametrize("policy", PROFILES)
@pytest.mark.parametrize("name", schemas.in_use(True))
def test_examples_are_valid_messages(name: str, policy: str) -> None:
    rules = resolve(config(policy), live=False)
    message = example(name, schemas.build(name), rules)
    Draft202012Validator(schemas.build(name)).validate(message)
    schemas.in_use(True)[name].model_validate_json(json.dumps(message))


def test_every_channel_and_its_topic_stand_on_the_page() -> None:
    text = page(config(mqtt={"discovery": True}))
    for kind, channel in MESSAGE_KINDS.items():
        assert f"| {kind} |" in text
        if channel.schema:
            assert f"## Message: {kind}" in text
            assert f"{capacity(schemas.load(channel.schema)).bits / 8:.1f}" in text
    assert "`fleeting/1/d/kiosk-7/summary`" in text
    assert "homeassistant" not in page(config())


def test_the_page_lists_published_and_withheld_cells() -> None:
    text = page(config("classroom"))
    assert "| Published per window | visits, passing, attention, dwell |" in text
    assert "not read, not computed" in text
    assert "| `expression` | Never here: always nothing." in text
    assert "`expression.happiness`" not in text
    assert "`dwell.over_60`" in text.replace("\\_", "_")
    assert "`expression.happiness`" in page(config())


def test_the_page_says_what_is_heard() -> None:
    quiet = page(config())
    assert "| Microphone | off |" in quiet
    assert "heard." not in quiet
    loud = config(
        "research-consented",
        privacy={"policy": "research-consented", "microphone": False, "words": True},
    )
    text = page(loud).replace("\\_", "_")
    assert "| Microphone | off |" in text
    assert "| Words | sentiment is read, words are not kept |" in text
    assert "`urn:fleeting:summary:2`" in text
    assert "`heard.words.positive`" in text
    assert "| `heard.speech` | Never here: always nothing." in text
    assert "`heard.speech.none`" not in text
    assert "who talks on for longer among others is hidden less" in text
    both = config("demo", privacy={"policy": "demo", "microphone": True, "words": True})
    assert "Never here" not in page(both)


def test_the_page_says_what_is_kept() -> None:
    research = {"traces": "/var/lib/fleeting-traces", "key": "/etc/fleeting/r.pub", "days": 14}
    said = page(config("research-consented", research=research))
    assert "keeps traces of the study's sessions" in said
    assert "after 14 days" in said
    assert "keeps traces" not in page(config("research-consented"))


def test_micro_expressions_switched_off_are_never_published() -> None:
    asked = config(micro={"enabled": False})
    cells, never = published(asked, resolve(asked, live=False))
    assert "micro" in never
    assert "micro" not in cells


def test_the_numbers_are_those_in_force() -> None:
    asked = parse(
        {"privacy": {"k": 33, "epsilon": 0.4, "window": 3600}, "mqtt": {"health_interval": 1800}},
        "x",
    )
    text = page(asked)
    assert "| Least number of visits (k) | 33, judged on the noised number |" in text
    assert "| Noise (epsilon per visit) | 0.4 |" in text
    assert "once per window of 3600 s" in text
    assert "every 1800 s" in text
    assert "e^0.4" in text


def test_a_policy_without_noise_is_stated_everywhere() -> None:
    text = page(config("demo"))
    assert "with noise" not in text
    assert "nothing may leave this machine" in text
    assert "with a broker on this same machine" in text


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [key for key, _ in attrs if key in ("src", "href", "srcset", "action")]
        assert not [key for key, _ in attrs if key.startswith("on")]


def test_the_html_is_one_file_without_script_or_link() -> None:
    asked = config()
    text = document(asked, resolve(asked, live=False)).as_html()
    reader = _Reader()
    reader.feed(text)
    assert not {"script", "link", "img", "iframe", "object", "base"}.intersection(reader.tags)
    assert reader.links == []
    assert "url(" not in text
    assert "@import" not in text
    assert reader.tags.count("table") == len([c for c in MESSAGE_KINDS.values() if c.schema]) + 2


def test_markup_in_a_text_stays_text() -> None:
    made = Document("<b>&")
    made.paragraph("a <script>alert(1)</script> `x<y|z` *b* [c](d)")
    made.table(("a", "b"), [("x|y", "`p|q`")])
    made.code("<i> `x`")
    web, plain = made.as_html(), made.as_markdown()
    assert "<script>" not in web
    assert "<h1>&lt;b&gt;&amp;</h1>" in web
    assert "<code>x&lt;y|z</code>" in web
    assert "&lt;i&gt; `x`" in web
    assert r"\*b\* \[c\](d)" in plain
    assert r"| x\|y | `p\|q` |" in plain
