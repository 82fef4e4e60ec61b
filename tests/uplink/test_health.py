"""Health is quantized coarsely, so that it does not reveal presence."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from agent.base.report import Vitals, from_json, to_json
from agent.host.board import Board, Reading
from agent.uplink.health import (
    HealthReporter,
    disk,
    is_present,
    power,
    temperature,
    waiting,
)
from agent.wall.outbox import Outbox
from tests import boards
from tests.summaries import birth, summary
from tests.uplink.conftest import agent_config


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(None, None), (41.3, 40), (71.2, 70), (-3.0, 0), (124.0, 120), (-39.0, -40)],
)
def test_temperature_in_tens(degrees: float | None, expected: int | None) -> None:
    assert temperature(Reading(degrees)) == expected


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (Reading(), "unknown"),
        (Reading(50.0, "cpu-thermal"), "unknown"),
        (Reading(None, "", False, False), "good"),
        (Reading(None, "", False, None), "good"),
        (Reading(None, "", True, True, True, True), "undervolt"),
        (Reading(None, "", False, False, True, True), "undervolt"),
        (Reading(None, "", False, False, False, True), "throttled"),
    ],
)
def test_power_says_the_worst_since_boot(reading: Reading, expected: str) -> None:
    assert power(reading) == expected


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0, 0), (1, 1), (9, 1), (10, 10), (999, 100), (1000, 1000), (10_000, 10_000), (10**6, 10_000)],
)
def test_waiting_in_powers_of_ten(depth: int, expected: int) -> None:
    assert waiting(depth) == expected


@pytest.mark.parametrize(
    ("free", "expected"), [(50, "ample"), (10, "ample"), (9, "low"), (1, "full")]
)
def test_disk_space_levels(monkeypatch: pytest.MonkeyPatch, free: int, expected: str) -> None:
    class Usage:
        total, used = 100, 0

    Usage.free = free  # type: ignore[attr-defined]
    monkeypatch.setattr("agent.uplink.health.shutil.disk_usage", lambda _: Usage)
    assert disk(Path("/")) == expected


def test_disk_that_cannot_be_asked(tmp_path: Path) -> None:
    assert disk(tmp_path / "nowhere") == "unknown"


def test_the_board_is_read_for_each_message(tmp_path: Path) -> None:
    board = Board(boards.make(tmp_path / "root", boards.PI_4))
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        found = HealthReporter(outbox, tmp_path, board)()
    assert (found.temperature, found.power) == (50, "good")


def test_a_board_that_hangs_holds_no_message_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.health._WAIT", 0.01)
    hangs = threading.Event()
    monkeypatch.setattr(Board, "read", lambda board: hangs.wait() and Reading(50.0))
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        found = HealthReporter(outbox, tmp_path)()
    hangs.set()
    assert (found.temperature, found.power) == (None, "unknown")


def test_perceive_is_absent_before_its_first_vitals_and_named_as_they_say(tmp_path: Path) -> None:
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        health = HealthReporter(outbox, tmp_path)
        assert (health().perception, health().boot, health().fps) == ("absent", None, 0)
        outbox.latest.put(birth())
        outbox.latest.put(Vitals(perception="paused", fps=25))
        outbox.add(summary(0))
        expected = health()
        assert (expected.perception, expected.boot, expected.fps) == ("paused", birth().boot, 25)
        assert expected.waiting == 1
        assert expected.memory % 64 == 0
        assert from_json(type(expected), to_json(expected)) == expected


@pytest.mark.parametrize(
    ("said", "age", "expected", "present"),
    [
        ("running", 0, "running", True),
        ("hot", 60, "hot", True),
        ("quiet", 119, "quiet", True),
        ("running", 121, "stalled", True),
        ("hot", 121, "stalled", True),
        ("stalled", 0, "stalled", True),
        ("stalled", 300, "stalled", True),
        ("running", 901, "absent", False),
        ("stalled", 901, "absent", False),
        ("running", float("inf"), "absent", False),  # before the last boot
    ],
)
def test_silence_is_a_standstill_and_then_an_absence(
    said: Any,
    age: float,
    expected: str,
    present: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        monkeypatch.setattr(
            outbox.latest, "get",
            lambda kind: (Vitals(perception=said, fps=30), age) if kind is Vitals else (birth(), 9),
        )  # fmt: skip
        found = HealthReporter(outbox, tmp_path)()
        assert is_present(outbox) is present
    assert (found.perception, found.boot is not None) == (expected, present)
    assert found.fps == (30 if expected == said and said != "stalled" else 0)


def test_vitals_that_are_not_valid_count_as_none(tmp_path: Path) -> None:
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        with outbox._database.transaction("test") as database:
            database.execute(
                "INSERT INTO latest VALUES ('Vitals', ?, 1e9)",
                (b'{"perception":"a face","fps":3}',),
            )
        assert HealthReporter(outbox, tmp_path)().perception == "absent"
