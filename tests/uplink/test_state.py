"""The Home Assistant discovery message depends on the device id only."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jinja2
import pytest

from agent.base.report import ExpressionCounts, Job, VisitTones, to_json
from agent.base.settings_file import parse
from agent.uplink.state import announcement
from agent.uplink.topics import Topics
from tests.summaries import LISTENING, meta, summary

_KEYS = {
    "sensor": {"p", "name", "unique_id", "state_topic", "val_tpl", "ent_cat",
               "state_class", "device_class", "unit_of_meas"},
    "button": {"p", "name", "unique_id", "command_topic", "payload_press", "ent_cat"},
    "update": {"p", "name", "unique_id", "state_topic", "val_tpl", "l_ver_t", "l_ver_tpl",
               "ent_cat"},
}  # fmt: skip
"""Of Home Assistant's MQTT sensor, button and update."""


LOUD = {"hears": True, "reads": True}
FULL = LOUD | {"updates": True}


def described(device: str, listens: dict[str, bool] | None = None, **mqtt: Any) -> bytes:
    config = parse({"device": {"id": device, "group": "shop"}, "mqtt": mqtt}, "test")
    return announcement(Topics(config), **(listens or {}))


def test_it_is_pinned() -> None:
    """Every change of the message must be deliberate."""
    assert hashlib.sha256(described("box-7")).hexdigest()[:16] == "eebdd2d4a06d4159"


def test_it_depends_on_the_device_id_only() -> None:
    first = described("box-7", host="broker.example", username="me", port=8883)
    assert first == described("box-7")
    assert described("a-box").replace(b"a-box", b"box-7") == first


@pytest.mark.parametrize("listens", [{}, LOUD, FULL])
def test_its_shape_is_the_one_that_home_assistant_reads(listens: dict[str, bool]) -> None:
    whole = json.loads(described("box-7", listens))
    assert set(whole) == {"dev", "o", "cmps", "availability_topic", "state_topic"}
    assert whole["availability_topic"] == "fleeting/1/d/box-7/state"
    names = [part["unique_id"] for part in whole["cmps"].values()]
    assert len(set(names)) == len(names)
    for part in whole["cmps"].values():
        assert set(part) <= _KEYS[part["p"]]
        # Options that a part leaves out are those of the whole.
        topic = part.get("command_topic") or part.get("state_topic") or whole["state_topic"]
        assert topic.startswith("fleeting/1/d/box-7/")
    press = whole["cmps"]["pause"]
    assert (press["command_topic"], press["payload_press"]) == (
        "fleeting/1/d/box-7/cmd/pause",
        "{}",
    )


@pytest.mark.parametrize("device", ["b", "x" * 64])
def test_it_passes_a_broker_that_refuses_large_packets(device: str) -> None:
    assert len(described(device)) + len(f"homeassistant/device/{device}/config") <= 3500
    assert len(described(device, LOUD)) + len(f"homeassistant/device/{device}/config") <= 4000
    assert len(described(device, FULL)) + len(f"homeassistant/device/{device}/config") <= 4000


def test_voices_and_words_have_sensors_where_they_are_on_only() -> None:
    def keys(**listens: bool) -> list[str]:
        return list(json.loads(described("box-7", listens))["cmps"])

    assert keys(hears=False, reads=False) == keys()
    assert set(keys(hears=True)) - set(keys()) == {"voice"}
    assert set(keys(reads=True)) - set(keys()) == {"words"}


def test_an_update_is_shown_where_updates_are_on_only() -> None:
    """Home Assistant keeps the latest version that it knows where the template says nothing."""
    parts = json.loads(described("box-7", {"updates": True}))["cmps"]
    assert set(parts) - set(json.loads(described("box-7"))["cmps"]) == {"update"}
    update = parts["update"]
    assert (update["state_topic"], update["l_ver_t"]) == (
        "fleeting/1/d/box-7/meta",
        "fleeting/1/d/box-7/job/next",
    )
    assert not [key for key in update if "cmd" in key or "command" in key], "nothing to press"

    def rendered(key: str, **value: Any) -> str:
        return jinja2.Environment().from_string(update[key]).render(**value).strip()

    assert rendered("val_tpl", value_json=json.loads(to_json(meta()))) == meta().birth.software
    for kind, said in (("app", "2.10.3"), ("models", "")):
        job = Job(job="0123456789abcdef", kind=kind, version="2.10.3")  # type: ignore[arg-type]
        assert rendered("l_ver_tpl", value_json=json.loads(to_json(job))) == said
    assert rendered("l_ver_tpl", value="") == "", "taken back"


def test_their_templates_match_the_second_form() -> None:
    value = json.loads(summary(0, policy=LISTENING).model_dump_json())
    parts = json.loads(described("box-7", LOUD))["cmps"]

    def rendered(key: str) -> str:
        template = jinja2.Environment().from_string(parts[key]["val_tpl"])
        return str(template.render(value_json=value)).strip()

    assert (rendered("voice"), rendered("words")) == ("None", "None"), "a window that is withheld"
    value["tone"] = dict.fromkeys(VisitTones.model_fields, 2) | {"happy": 12, "unsure": -1}
    value["heard"]["words"] = {"negative": 1, "neutral": 2, "positive": 1, "unsure": 0}
    assert (rendered("voice"), rendered("words")) == (f"{round(100 * 12 / 17)}", "25")
    del value["heard"]
    assert rendered("words") == "None", "a summary of the first form"


def test_the_templates_match_the_summary_schema() -> None:
    value = json.loads(summary(0).model_dump_json())
    nobody = dict.fromkeys(ExpressionCounts.model_fields, 0)
    value["expression"] = nobody | {"happiness": 30, "neutral": 90}
    value["visits"], value["passing"] = 0, 5
    value["attention"] = {"under_1": 1, "from_1_to_5": 2, "from_5_to_15": 3, "over_15": 4}
    parts = json.loads(described("box-7"))["cmps"]

    def rendered(key: str) -> str:
        template = jinja2.Environment().from_string(parts[key]["val_tpl"])
        return str(template.render(value_json=value)).strip()

    assert (rendered("visits"), rendered("happy"), rendered("rate")) == ("0", "25", "0")
    value |= {"visits": None, "expression": None, "attention": None}
    assert {rendered(key) for key in ("visits", "happy", "rate")} == {"None"}


@pytest.mark.parametrize(
    ("visits", "passing", "under_1", "shown"),
    [(40, 60, 10, "30"), (40, 0, 10, "75"), (12, -30, 14, "0"), (3, None, 1, "None")],
)
def test_the_attention_rate_is_of_all_who_came_into_view(
    visits: int, passing: int | None, under_1: int, shown: str
) -> None:
    template = json.loads(described("box-7"))["cmps"]["rate"]["val_tpl"]
    attention = {"under_1": under_1, "from_1_to_5": 9, "from_5_to_15": 2, "over_15": 1}
    value = {"visits": visits, "passing": passing, "attention": attention}
    assert jinja2.Template(template).render(value_json=value) == shown
    withheld = {"visits": None, "passing": None, "attention": None}
    assert jinja2.Template(template).render(value_json=withheld) == "None"
