"""Temperature and power of boards, as their files tell; damaged and hostile files."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.host.board import Board, Reading, Watch
from tests.boards import NANO, ORIN, PI_4, PI_5, heat, make, put

COOL = Reading(48.312, "cpu-thermal", False, False)
ZONE = "class/thermal/thermal_zone0"
VOLT = "class/hwmon/hwmon1/in0_lcrit_alarm"
BITS = "devices/platform/soc/soc:firmware/get_throttled"


def test_a_raspberry_pi_4(tmp_path: Path) -> None:
    board = Board(make(tmp_path, PI_4))
    assert board.read() == COOL
    put(tmp_path, VOLT, "1")
    assert board.read() == replace(COOL, undervolt=True, undervolt_before=True)
    put(tmp_path, VOLT, "0")
    assert board.read() == replace(COOL, undervolt_before=True), "until the next boot"


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("50005", Reading(None, "", True, True, True, True)),
        ("0x50000", Reading(None, "", False, False, True, True)),
        ("10000", Reading(None, "", False, False, True, False)),
        ("80008", Reading(None, "", False, True, False, True)),
        ("e0000", Reading(None, "", False, False, False, True)),
        ("0", Reading(None, "", False, False)),
        ("", Reading()),
        ("yes", Reading()),
        ("-1", Reading()),
    ],
)
def test_the_firmwares_bits(tmp_path: Path, bits: str, expected: Reading) -> None:
    put(tmp_path, BITS, bits)
    assert Board(tmp_path).read() == expected


def test_a_raspberry_pi_5_has_its_firmware_elsewhere(tmp_path: Path) -> None:
    board = Board(make(tmp_path, PI_5))
    assert board.read() == Reading(52.7, "cpu-thermal", False, False)
    put(tmp_path, "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "1")
    assert board.read().undervolt


def test_of_a_jetsons_zones_the_hottest_that_is_on_counts(tmp_path: Path) -> None:
    board = Board(make(tmp_path, ORIN))
    assert board.read() == Reading(51.75, "tj-thermal", False, False)
    put(tmp_path, "class/thermal/thermal_zone1/temp", "81000")
    assert (board.read().temperature, board.read().zone) == (81.0, "gpu-thermal")


def test_a_jetsons_counters_say_since_boot_and_their_growth_says_now(tmp_path: Path) -> None:
    board = Board(make(tmp_path, ORIN))
    board.read()
    put(tmp_path, "class/hwmon/hwmon2/oc3_event_cnt", "7")
    found = board.read()
    assert (found.undervolt, found.throttled, found.throttled_before) == (False, True, True)
    put(tmp_path, "class/hwmon/hwmon2/oc1_event_cnt", "1")
    found = board.read()
    assert (found.undervolt, found.throttled, found.undervolt_before) == (True, False, True)
    found = board.read()
    assert (found.undervolt, found.undervolt_before, found.throttled_before) == (False, True, True)
    fresh = Board(tmp_path).read()
    assert (fresh.undervolt, fresh.undervolt_before) == (False, True), "what a restart finds"
    put(tmp_path, "class/hwmon/hwmon1/curr2_crit_alarm", "1")
    assert board.read().throttled


def test_a_zone_that_always_says_100_is_no_heat(tmp_path: Path) -> None:
    assert Board(make(tmp_path, NANO)).read().temperature == 38.5


def test_other_machines(tmp_path: Path) -> None:
    put(tmp_path, "class/thermal/thermal_zone0/temp", "41000")
    assert Board(tmp_path).read().temperature == 41.0, "a zone without a type"
    put(tmp_path, "class/thermal/thermal_zone0/type", "iwlwifi_1")
    assert Board(tmp_path).read().temperature is None
    put(tmp_path, "class/hwmon/hwmon2/name", "k10temp")
    put(tmp_path, "class/hwmon/hwmon2/temp1_input", "64250")
    assert Board(tmp_path).read() == Reading(64.25, "k10temp")
    assert Board(tmp_path / "nowhere").read() == Reading()


@pytest.mark.parametrize(
    "text",
    ["", "hot", "-256000", "999000", "nan", "4" * 80, "48312 48312", "\0", "4\n5", "0x10", "½"],
)
def test_what_is_no_temperature_is_unknown(tmp_path: Path, text: str) -> None:
    make(tmp_path, PI_4)
    put(tmp_path, "class/hwmon/hwmon0/name", "other")
    put(tmp_path, f"{ZONE}/temp", text)
    assert Board(tmp_path).read() == Reading(None, "", False, False)


def test_files_that_are_none(tmp_path: Path) -> None:
    """A link, a pipe and a folder in place of a file: nothing is followed, nothing waits."""
    make(tmp_path, PI_4)
    (tmp_path / "sys" / ZONE / "temp").unlink()
    (tmp_path / "sys" / VOLT).unlink()
    (tmp_path / "sys" / BITS).unlink()
    (tmp_path / "secret").write_text("85000")
    (tmp_path / "sys" / ZONE / "temp").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "sys" / VOLT)
    (tmp_path / "sys" / BITS).mkdir()
    put(tmp_path, "class/hwmon/hwmon0/name", "other")
    assert Board(tmp_path).read() == Reading()


def test_the_files_of_a_sandbox_are_those_behind_the_links(tmp_path: Path) -> None:
    real = "devices/platform/soc/soc:firmware/raspberrypi-hwmon/hwmon/hwmon1"
    make(tmp_path, {real: {"name": "rpi_volt", "in0_lcrit_alarm": "0"}})
    (tmp_path / "sys/class/hwmon").mkdir(parents=True)
    (tmp_path / "sys/class/hwmon/hwmon1").symlink_to(tmp_path / "sys" / real)
    board = Board(tmp_path)
    assert board.read().undervolt is False
    assert tmp_path / "sys" / real in board.files()


class Stuck(Board):
    """A driver that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def read(self) -> Reading:
        self.free.wait()
        return COOL


def test_a_driver_that_hangs_holds_nobody_up() -> None:
    board = Stuck()
    watch = Watch(board, 0.01)
    before = time.monotonic()
    number, at, reading = watch.latest(0.05)
    assert (number, reading) == (0, Reading())
    assert at <= before
    board.free.set()
    assert watch.latest(30).reading == COOL
    watch.close()


def test_a_watch_follows_the_board_until_it_is_closed(tmp_path: Path) -> None:
    watch = Watch(Board(make(tmp_path, PI_4)), 0.005)
    assert watch.latest(30).reading.temperature == 48.312
    heat(tmp_path, 71.5)
    end = time.monotonic() + 30
    while watch.latest().reading.temperature != 71.5 and time.monotonic() < end:
        time.sleep(0.005)
    assert watch.latest().reading.temperature == 71.5
    watch.close()
    watch.close()
    number = watch.latest().number
    time.sleep(0.03)
    assert watch.latest().number == number
