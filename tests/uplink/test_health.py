"""Health is quantized coarsely, so that it does not reveal presence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.base.report import Vitals, from_json, to_json
from agent.uplink.health import (
    ABSENT_AFTER,
    HealthReporter,
    disk,
    power,
    temperature,
    waiting,
)
from agent.wall.outbox import Outbox
from tests.summaries import birth, summary
from tests.uplink.conftest import agent_config


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ({}, None),
        ({"thermal_zone0": "41300\n"}, 40),
        ({"thermal_zone0": "45100\n", "thermal_zone1": "71200"}, 70),
        ({"thermal_zone0": "-3000"}, 0),
        ({"thermal_zone0": "999000"}, 120),
        ({"thermal_zone0": "-90000"}, -40),
        ({"thermal_zone0": "hot"}, None),
        ({"thermal_zone0": "hot", "thermal_zone1": "20000"}, 20),
    ],
)
def test_temperature_in_tens(tmp_path: Path, zones: dict[str, str], expected: int | None) -> None:
    for name, text in zones.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "temp").write_text(text)
    assert temperature(tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\n", "good"),
        ("0x0", "good"),
        ("50005", "undervolt"),
        ("0x10000", "undervolt"),
        ("80008", "throttled"),
        ("e0000", "throttled"),
        ("", "unknown"),
        ("yes", "unknown"),
    ],
)
def test_power_by_the_firmwares_bits(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "get_throttled").write_text(text)
    assert power(tmp_path / "get_throttled") == expected
    assert power(tmp_path / "nowhere") == "unknown"


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


def test_perceive_is_absent_before_its_first_and_after_its_last_vitals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        found: Any = outbox.latest.get(Vitals)
        monkeypatch.setattr(
            outbox.latest, "get",
            lambda kind: (found[0], ABSENT_AFTER + 1) if kind is Vitals else (birth(), 9),
        )  # fmt: skip
        assert (health().perception, health().boot) == ("absent", None)


def test_vitals_that_are_not_valid_count_as_none(tmp_path: Path) -> None:
    with Outbox(agent_config(tmp_path, 1).store) as outbox:
        with outbox._database.transaction("test") as database:
            database.execute(
                "INSERT INTO latest VALUES ('Vitals', ?, 1e9)",
                (b'{"perception":"a face","fps":3}',),
            )
        assert HealthReporter(outbox, tmp_path)().perception == "absent"
