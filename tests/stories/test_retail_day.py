"""The summaries of a shop, from frames to a subscriber."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import jsonschema

from agent.base.config import AgentConfig
from agent.base.report import Summary, to_json
from agent.base.schemas import registry as schemas
from agent.base.settings_file import parse
from agent.base.types import Perceived
from agent.desk.loopback.broker import Broker
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from agent.uplink.process import Uplink
from agent.wall.outbox import Outbox
from tests.privacy.people import MODEL, Person, frames
from tests.uplink.conftest import DEVICE, Listener, eventually

QUARTER = 900.0


def shop(folder: Path, port: int = 1883) -> AgentConfig:
    """A kiosk in the EU with the profile's defaults: k = 10, epsilon = 1, quarter hours."""
    return parse(
        {
            "device": {"id": DEVICE},
            "privacy": {"policy": "retail-eu", "notice_shown": True},
            "store": {"outbox": str(folder / "outbox.db")},
            "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 0.2},
        },
        "test",
    )


def released(config: AgentConfig, seen: list[Perceived], outbox: Outbox) -> list[Summary]:
    """The day's summaries, stored in the outbox."""
    releaser = Releaser(
        config,
        resolve(config),
        model=MODEL,
        boot=outbox.boot,
        seq=outbox.next_seq,
        rng=random.Random(5),
    )
    done = [each for frame in seen for each in releaser.observe(frame)] + releaser.finish()
    for each in done:
        outbox.add(each.summary, each.withheld_visits)
    return [each.summary for each in done]


def visitors(number: int, first: int, start: float) -> list[Person]:
    gap = (QUARTER - 60) / max(1, number)
    return [
        Person(first + n, start + n * gap, start + n * gap + 12, "happiness") for n in range(number)
    ]


def test_second_visitor_leaves_and_the_window_is_withheld(tmp_path: Path) -> None:
    config = shop(tmp_path)
    with Outbox(config.store) as outbox:
        (summary,) = released(config, list(frames(visitors(2, 1, 0), QUARTER - 2, 2)), outbox)
    assert summary.visits is None
    assert summary.expression is None
    assert {item.cell: item.reason for item in summary.withheld}["visits"] == "below_k"
    assert b"happiness" not in to_json(summary)


def test_a_thin_morning_is_published_with_the_noon_rush(tmp_path: Path) -> None:
    config = shop(tmp_path)
    there = visitors(2, 1, 0) + visitors(120, 10, QUARTER)
    with Outbox(config.store) as outbox:
        morning, noon = released(config, list(frames(there, 2 * QUARTER - 2, 1)), outbox)
    assert morning.visits is None
    assert noon.visits is not None
    assert abs(noon.visits - 122) < 60
    assert noon.window.merged == 1
    assert "window_merged" in noon.quality.flags


def test_broker_is_away_all_night_and_no_window_is_lost(tmp_path: Path) -> None:
    """36 windows without a broker; both processes restart meanwhile."""
    with Broker() as broker:
        port = broker.port
    config = shop(tmp_path, port)
    expected: list[bytes] = []
    night = [Perceived(QUARTER * n + second, ()) for n in range(12) for second in (1.0, 600.0)]
    for _ in range(3):
        with Outbox(config.store) as outbox:
            expected += [to_json(summary) for summary in released(config, night, outbox)]
        with Outbox(config.store) as outbox:
            uplink = Uplink(config, outbox, lambda _: None)
            for _ in range(5):
                uplink.step(0.01)
            assert not uplink.connected
            uplink.stop()
    assert len(set(expected)) == 36
    with Broker(port=port) as broker, Outbox(config.store) as outbox:
        listener = Listener(port)
        uplink = Uplink(config, outbox, lambda _: None)
        for _ in range(400):
            uplink.step(0.02)
            if outbox.depth() == 0:
                break
        uplink.stop()
        eventually(lambda: len(listener.summaries()) >= 36, "the night arrives")
        listener.close()
    assert listener.summaries() == expected
    numbers = [json.loads(body)["seq"] for body in expected]
    assert numbers == list(range(36))  # no gap: a reader can tell that nothing is missing
    assert len({json.loads(body)["boot"] for body in expected}) == 3


def test_what_a_reader_gets_satisfies_the_published_schema(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load("summary-1"))
    with Broker() as broker:
        config = shop(tmp_path, broker.port)
        listener = Listener(broker.port)
        with Outbox(config.store) as outbox:
            released(config, list(frames(visitors(80, 1, 0), 2 * QUARTER, 2)), outbox)
            uplink = Uplink(config, outbox, threading.Event().wait)
            uplink.step(0.1)
            uplink.stop()
            assert outbox.depth() == 0
        eventually(lambda: len(listener.summaries()) == 2, "both arrive")
        listener.close()
    for body in listener.summaries():
        validator.validate(json.loads(body))
