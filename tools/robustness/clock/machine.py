"""A machine whose clocks are made up; Python's `time` shows them as long as it is entered."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from agent.base import clock as wall_clock


class Machine:
    """True time, which only this test knows, and what the machine takes for it.

    Within `entered` the agent's code sees `system` as time.time(), and `uptime` as the monotonic
    clock and CLOCK_BOOTTIME.
    """

    def __init__(self, folder: Path, true: float) -> None:
        """`folder`: stands for /sys/class/rtc/rtc0; `true`: UTC seconds."""
        self.true = true
        self.starts = 0
        self.synchronised = False
        """Whether NTP keeps the clock now."""
        self._folder = folder
        folder.mkdir(parents=True)
        self._offset = 0.0
        """The system clock's error, seconds."""
        self._rtc: float | None = None
        """The real-time clock's error; None: there is none."""
        self._started = true
        self.start(0.0, None)

    @property
    def system(self) -> float:
        return self.true + self._offset

    @property
    def uptime(self) -> float:
        return 20.0 + self.true - self._started

    @property
    def name(self) -> str:
        """Of this start."""
        return f"{self.starts:08x}"

    def pass_time(self, seconds: float) -> None:
        self.true += seconds
        if self.synchronised:
            self._offset = 0.0
        if self._rtc is not None:
            if self.synchronised:
                self._rtc = 0.0  # the kernel writes it every 11 minutes
            (self._folder / "since_epoch").write_text(f"{int(self.true + self._rtc)}\n")

    def start(self, offset: float, rtc: float | None) -> None:
        """Start anew, without NTP yet. `offset`: error of the system clock; `rtc`: of the real-time
        clock, which a start with one takes over where `offset` is the same."""
        self.starts += 1
        self.synchronised = False
        self._offset, self._rtc, self._started = offset, rtc, self.true
        (self._folder / "hctosys").write_text("0\n" if rtc is None else "1\n")
        self.pass_time(0.0)

    def set_by_hand(self, seconds: float) -> None:
        """Step the system clock; NTP gives up, as systemd-timesyncd does when it is stopped."""
        self.synchronised = False
        self._offset += seconds

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with ExitStack() as stack:
            replaced: dict[str, Callable[..., object]] = {
                "time.time": lambda: self.system,
                "time.monotonic": lambda: self.uptime,
                "time.clock_gettime": lambda _: self.uptime,
                "agent.base.clock._synchronised": lambda: self.synchronised,
                "agent.base.device_time.machine_start": lambda: self.name,
                "agent.wall.outbox._age.machine_start": lambda: self.name,
                "agent.uplink.receipt.book.machine_start": lambda: self.name,
            }
            for what, instead in replaced.items():
                stack.enter_context(patch(what, instead))
            stack.enter_context(patch.object(wall_clock, "_RTC", self._folder))
            zone = os.environ.get("TZ")
            try:
                yield
            finally:
                move_to(zone)


def move_to(zone: str | None) -> None:
    """Change the time zone, as of a travelling machine."""
    os.environ.pop("TZ", None)
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()
