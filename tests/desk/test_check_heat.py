"""What `fleeting check` says of heat and power."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agent.base.config import HeatConfig
from agent.desk import check_heat
from agent.desk.check_heat import heat
from agent.host.board import Board, Reading
from tests import boards
from tests.boards import PI_4, make

VOLT = "class/hwmon/hwmon1/in0_lcrit_alarm"
BITS = "devices/platform/soc/soc:firmware/get_throttled"


def test_a_cool_board(tmp_path: Path) -> None:
    assert heat(HeatConfig(), Board(make(tmp_path, PI_4))) == (
        True,
        "48 degrees C (cpu-thermal); voltage good since boot; not throttled since boot; "
        "all is done",
        "",
    )


@pytest.mark.parametrize(
    ("degrees", "fit", "says", "advises"),
    [
        (69.0, True, "all is done", ""),
        (72.0, True, "all is done", "fan"),
        (76.0, True, "step 1 of 3: 20 frames/s", "fan"),
        (81.0, True, "step 2 of 3: 10 frames/s", "fan"),
        (86.0, False, "step 3 of 3: nothing", "fan"),
    ],
)
def test_a_warm_board(tmp_path: Path, degrees: float, fit: bool, says: str, advises: str) -> None:
    make(tmp_path, PI_4)
    boards.heat(tmp_path, degrees)
    ok, detail, advice = heat(HeatConfig(), Board(tmp_path))
    assert ok is fit
    assert f"{degrees:.0f} degrees C" in detail
    assert says in detail
    assert advises in advice
    assert bool(advice) is bool(advises)


def test_a_weak_supply(tmp_path: Path) -> None:
    make(tmp_path, PI_4)
    boards.put(tmp_path, VOLT, "1")
    ok, detail, advice = heat(HeatConfig(), Board(tmp_path))
    assert not ok
    assert "voltage too low now" in detail
    assert "5.1 V" in advice
    boards.put(tmp_path, VOLT, "0")
    boards.put(tmp_path, BITS, "50000")
    ok, detail, advice = heat(HeatConfig(), Board(tmp_path))
    assert ok
    assert "voltage too low at some time since boot; throttled at some time since boot" in detail
    assert "5.1 V" in advice
    boards.put(tmp_path, BITS, "80008")
    ok, detail, advice = heat(HeatConfig(), Board(tmp_path))
    assert "voltage good since boot; throttled now" in detail
    assert "fan" in advice


def test_without_the_ladder_no_step_is_taken(tmp_path: Path) -> None:
    boards.heat(make(tmp_path, PI_4), 95.0)
    ok, detail, advice = heat(HeatConfig(ladder=False), Board(tmp_path))
    assert ok
    assert "no step is taken (heat.ladder)" in detail
    assert "fan" in advice


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert heat(HeatConfig(), Board(tmp_path)) == (
        True,
        "no temperature can be read here; nobody measures the supply's voltage here",
        "",
    )


def test_a_driver_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(check_heat, "_WAIT", 0.01)
    monkeypatch.setattr(Board, "read", lambda board: hangs.wait() and Reading())
    ok, detail, advice = heat(HeatConfig())
    hangs.set()
    assert not ok
    assert "do not answer" in detail
    assert "dmesg" in advice
