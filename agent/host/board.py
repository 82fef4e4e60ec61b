"""The board's temperature and power, from files of the kernel: Raspberry Pi, Jetson, and others.

- Thermal zones (docs.kernel.org/driver-api/thermal/sysfs-api.html): millidegrees Celsius. Of those
  whose type is one of the chip's the hottest counts. Some boards have zones that are switched off
  (they refuse to be read, or say -256 C), that say the same for ever (a Jetson's PMIC: 100 C), or
  that are no chip of ours (a network card).
- hwmon `rpi_volt` (drivers/hwmon/raspberrypi-hwmon.c): under-voltage within the last two seconds.
- `get_throttled` of the Raspberry Pi's firmware: hex, bits 0-3 about now, 16-19 since boot
  (raspberrypi.com/documentation/computers/os.html#get_throttled).
- hwmon `soctherm_oc` of a Jetson: events since boot; oc1 is under-voltage, the others too much
  current (docs.nvidia.com/jetson, "Platform Power and Performance").
- hwmon `ina3221` of a Jetson: alarms of the current that the supply gives.

What is missing, damaged or out of all bounds counts as not there. A driver may also hang, so
whoever must not wait asks a `Watch`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.base.files import read_regular_file

ROOT = Path("/")
_MAX_BYTES = 64
"""Of a file: a number, or a name."""
_MOST = 64
"""Zones, monitors and files of one kind that are looked at."""
_LOWEST, _HIGHEST = -40.0, 125.0
"""Degrees Celsius; what lies beyond is no temperature of a chip that runs."""
_CHIP = re.compile(r"^(cpu|gpu|soc|tj|cv|ao|mcpu|bcpu|gcpu|dla|pll|x86_pkg)", re.IGNORECASE)
"""Types of zones that are the chip's own."""
_NO_CHIP = re.compile(
    r"pmic|iwlwifi|batt|charger|fan|int340|wifi|nvme|tboard|tdiode", re.IGNORECASE
)
"""Types of zones that say nothing of the chip, or always the same."""
_CHIP_MONITORS = ("cpu_thermal", "soc_thermal", "coretemp", "k10temp", "zenpower")
"""hwmon names, for machines that have no thermal zone."""
_FIRMWARE = ("soc/soc:firmware", "soc:firmware", "*/*:firmware", "*:firmware")
"""Patterns below /sys/devices/platform: Pi 4 and older, other kernels, Pi 5."""
_UNDERVOLT, _SLOWED = 0x1, 0xE
"""Bits of `get_throttled`: voltage too low; frequency capped, throttled, soft limit reached."""
_SINCE_BOOT = 16
"""By how much the same bits about the time since boot are shifted."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the board says of itself; None: it does not say."""

    temperature: float | None = None
    """Degrees Celsius, of the hottest part of the chip."""
    zone: str = ""
    """What that part is called."""
    undervolt: bool | None = None
    """Whether the supply's voltage is too low now."""
    throttled: bool | None = None
    """Whether the board holds its own clock back now, for heat or for its supply."""
    undervolt_before: bool = False
    """Whether the voltage was too low at any time since boot, as far as that is known."""
    throttled_before: bool = False
    """The same of the clock."""


class Board:
    """Reads the files when called. Never raises; may wait for a driver."""

    def __init__(self, root: Path = ROOT) -> None:
        """`root`: of the file system; others than `/` are for tests."""
        self._sys = root / "sys"
        platform = self._sys / "devices/platform"
        self._firmware = [each for pattern in _FIRMWARE for each in _named(platform, pattern)]
        """Folders of the Raspberry Pi's firmware, the usual one first."""
        self._undervolt_before = self._throttled_before = False
        self._counts: dict[str, int] = {}
        """Events so far, by file."""

    def read(self) -> Reading:
        """What the files say now."""
        temperature, zone = self._temperature()
        undervolt, throttled = self._power()
        self._undervolt_before |= undervolt is True
        self._throttled_before |= throttled is True
        return Reading(
            temperature, zone, undervolt, throttled, self._undervolt_before, self._throttled_before
        )

    def files(self) -> list[Path]:
        """Files and folders that `read` reads, for a sandbox: links are followed."""
        found = [self._sys / "class/thermal", self._sys / "class/hwmon", *self._firmware]
        found += [zone.resolve() for zone in _named(self._sys / "class/thermal", "thermal_zone*")]
        found += [folder.resolve() for folder, _ in self._monitors()]
        return found

    def _temperature(self) -> tuple[float | None, str]:
        zones = []
        for folder in _named(self._sys / "class/thermal", "thermal_zone*"):
            zones.append((_text(folder / "type") or "", _degrees(folder / "temp")))
        known = [(degrees, kind) for kind, degrees in zones if degrees is not None]
        found = [each for each in known if _CHIP.match(each[1])]
        found = found or [each for each in known if not _NO_CHIP.search(each[1])]
        for folder, name in self._monitors() if not found else ():
            if name in _CHIP_MONITORS:
                degrees = [_degrees(path) for path in _named(folder, "temp*_input")]
                found += [(each, name) for each in degrees if each is not None]
        if not found:
            return None, ""
        hottest = max(found)
        return hottest[0], hottest[1] if hottest[1].isprintable() else ""

    def _power(self) -> tuple[bool | None, bool | None]:
        """Whether the voltage is too low, and whether the clock is held back, now."""
        undervolt: list[bool] = []
        throttled: list[bool] = []
        for folder, name in self._monitors():
            if name == "rpi_volt":
                undervolt += _alarms(folder, "in0_lcrit_alarm")
            elif name == "ina3221":
                throttled += _alarms(folder, "curr*_crit_alarm")
            elif name == "soctherm_oc":
                for path in _named(folder, "oc*_event_cnt"):
                    low = path.name.startswith("oc1_")
                    (undervolt if low else throttled).extend(self._rising(path, low))
        for folder in self._firmware:
            bits = _number(folder / "get_throttled", 16)
            if bits is not None and bits >= 0:
                undervolt.append(bool(bits & _UNDERVOLT))
                throttled.append(bool(bits & _SLOWED))
                self._undervolt_before |= bool(bits >> _SINCE_BOOT & _UNDERVOLT)
                self._throttled_before |= bool(bits >> _SINCE_BOOT & _SLOWED)
                break
        return any(undervolt) if undervolt else None, any(throttled) if throttled else None

    def _rising(self, path: Path, low: bool) -> list[bool]:
        """Whether a counter has grown since it was last read; nothing where it cannot be read."""
        count = _number(path)
        if count is None or count < 0:
            return []
        before = self._counts.get(path.name, count)
        self._counts[path.name] = count
        self._undervolt_before |= low and count > 0
        self._throttled_before |= not low and count > 0
        return [count > before]

    def _monitors(self) -> Iterator[tuple[Path, str]]:
        """Folders of hwmon that this module knows, and their names."""
        known = ("rpi_volt", "ina3221", "soctherm_oc", *_CHIP_MONITORS)
        for folder in _named(self._sys / "class/hwmon", "hwmon*"):
            name = _text(folder / "name")
            if name in known:
                yield folder, name


class Latest(NamedTuple):
    """The newest reading, and when it was finished."""

    number: int
    """Of readings so far; 0: there is none yet."""
    at: float
    """Monotonic seconds; of 0: when the watch began."""
    reading: Reading


class Watch:
    """Reads a board in a thread of its own: a driver that hangs holds nobody else up.

    The thread starts with the first question, for a process enters its sandbox without threads.
    """

    def __init__(self, board: Board | None = None, interval: float = 5.0) -> None:
        """`interval`: seconds between two readings."""
        self._board, self._interval = board or Board(), interval
        self._changed = threading.Condition()
        self._latest = Latest(0, time.monotonic(), Reading())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self, wait: float = 0.0) -> Latest:
        """The newest reading; `wait`: seconds to wait for the first one."""
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="board", daemon=True)
            self._thread.start()
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._latest.number > 0, wait)
            return self._latest

    def close(self) -> None:
        """End the thread; one that hangs in a driver is abandoned."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(0.5)

    def _run(self) -> None:
        while not self._stop.is_set():
            reading = self._board.read()
            with self._changed:
                self._latest = Latest(self._latest.number + 1, time.monotonic(), reading)
                self._changed.notify_all()
            self._stop.wait(self._interval)


def _named(folder: Path, pattern: str) -> list[Path]:
    """At most `_MOST` entries of a folder, in order."""
    try:
        return sorted(folder.glob(pattern))[:_MOST]
    except OSError:
        return []


def _text(path: Path) -> str | None:
    """A short line; None where there is none."""
    try:
        data = read_regular_file(path, _MAX_BYTES)
        return data.decode("ascii").strip() if len(data) <= _MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path, base: int = 10) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def _degrees(path: Path) -> float | None:
    """A temperature within bounds."""
    found = _number(path)
    degrees = None if found is None else found / 1000
    return degrees if degrees is not None and _LOWEST <= degrees <= _HIGHEST else None


def _alarms(folder: Path, pattern: str) -> list[bool]:
    found = [_number(path) for path in _named(folder, pattern)]
    return [bool(each) for each in found if each is not None]
