"""Properties over any sequence of clocks, restarts and rows: a bound on whoever floods, and none on
an honest device."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.base.quotas import DAY
from agent.base.report import Summary
from tests.fakes import untrusted_clock  # noqa: F401
from tests.uplink.warden.conftest import UTC, Guard, row, shop, summary

LENGTH = 900
FEWER = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folders() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        yield (Path(folder) / str(number) for number in itertools.count())


ATTACK = st.lists(
    st.one_of(
        st.tuples(st.just("flood"), st.integers(1, 8)),
        st.tuples(st.just("boots"), st.integers(1, 4)),
        st.tuples(st.just("pass"), st.integers(1, DAY)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("kill unsaved"), st.integers(1, 5)),
        st.tuples(st.just("reboot"), st.just(0)),
        st.tuples(st.just("clock"), st.integers(0, 1)),
    ),
    max_size=40,
)


@pytest.mark.slow
@FEWER
@given(ATTACK)
def test_no_24_hours_have_more_than_the_day(folders: Any, steps: list[tuple[str, int]]) -> None:
    """Whatever is written, killed, rebooted, and whatever the wall clock says."""
    guard = Guard(shop(next(folders)), {"summary": 6, "runs": 4, "slots": 2})
    sent: list[tuple[float, Summary]] = []
    numbers = itertools.count(1)

    def more(boot: str) -> Summary:
        number = next(numbers)
        start = UTC + LENGTH * number if number % 3 == 0 else None
        return summary(number, slot=number % 5, boot=boot, start=start)

    boot = "00000000"
    for what, amount in steps:
        if what == "pass":
            # In pieces: the uplink runs and looks.
            for _ in range(4):
                guard.true += amount / 4
                guard.offer()
        elif what in ("flood", "boots"):
            for _ in range(amount):
                boot = f"{next(numbers):08x}" if what == "boots" else boot
                message = more(boot)
                if guard.offer(message) == ["admitted"]:
                    sent.append((guard.true, message))
        elif what == "kill":
            guard.restart()
        elif what == "kill unsaved":
            for _ in range(amount):
                guard.warden.judge(row(more(boot)))
            guard.restart()
        elif what == "reboot":
            guard.reboot()
        else:
            guard.synchronised = bool(amount)
    for now, _ in sent:
        day = [message for at, message in sent if now - DAY < at <= now]
        assert len(day) <= 6
        assert len({each.slot for each in day}) <= 2
        assert len({each.boot for each in day}) <= 5, "four runs begin, one goes on"


@pytest.mark.slow
@FEWER
@given(st.lists(st.tuples(st.integers(0, 5 * DAY), st.booleans()), min_size=1, max_size=12))
def test_each_day_away_brings_one_days_worth(
    folders: Any, absences: list[tuple[int, bool]]
) -> None:
    guard = Guard(shop(next(folders)), {"summary": 6, "runs": 99}, synchronised=True)
    guard.offer()
    number = sent = 0
    for seconds, reboots in absences:
        guard.true += seconds
        if reboots:
            guard.reboot()
        else:
            guard.restart()
        for _ in range(50):
            number += 1
            sent += guard.offer(summary(number)) == ["admitted"]
        assert sent <= 6 * (guard.true // DAY + 1)


@dataclass
class Honest:
    """A perceive process and its outbox; the machine's monotonic and wall clock."""

    guard: Guard
    slots: int
    boots: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    seq: int = 0
    error: float = 0.0
    """Of the wall clock, seconds."""
    trusted: bool = False
    waiting: list[Summary] = field(default_factory=list)
    away: bool = False
    """The uplink."""
    verdicts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def monotonic(self) -> float:
        return self.guard.true - self.guard.started

    def restart(self) -> None:
        self.boot = f"{next(self.boots):08x}"

    def window(self, number: int) -> None:
        """Release one window in all slots."""
        for slot in range(self.slots):
            self.seq += 1
            offset = UTC + self.guard.started + self.error
            start = 10 * round((number * LENGTH + offset) / 10) if self.trusted else None
            self.waiting.append(
                summary(
                    number,
                    seq=self.seq,
                    slot=slot,
                    boot=self.boot,
                    start=start,
                    config=self.guard.config,
                )
            )
        self.look()

    def look(self) -> None:
        if not self.away:
            self.verdicts += self.guard.offer(*self.waiting)
            self.waiting.clear()

    def windows(self, count: int) -> None:
        for _ in range(count):
            number = int(self.monotonic // LENGTH)
            self.guard.true = self.guard.started + (number + 1) * LENGTH + 2.5
            self.window(number)

    def end(self) -> None:
        """A part of a window, as when the process is stopped."""
        self.guard.true += 100
        self.window(int(self.monotonic // LENGTH))


DAYS = st.lists(
    st.one_of(
        st.tuples(st.just("windows"), st.integers(1, 30)),
        st.tuples(st.just("windows"), st.integers(1, 30)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("reboot"), st.integers(0, 2 * DAY)),
        st.tuples(st.just("kill uplink"), st.just(0)),
        st.tuples(st.just("uplink away"), st.just(0)),
        st.tuples(st.just("uplink back"), st.just(0)),
        st.tuples(st.just("trusted"), st.integers(0, 1)),
        st.tuples(st.just("step"), st.integers(-40_000, 40_000)),
    ),
    max_size=24,
)


@pytest.mark.slow
@FEWER
@given(st.integers(1, 3), DAYS)
def test_an_honest_device_is_never_refused(
    folders: Any, slots: int, days: list[tuple[str, int]]
) -> None:
    """Restarts, reboots, clock steps, days without an uplink: every window is admitted."""
    guard = Guard(shop(next(folders), slots=slots), synchronised=True)
    guard.offer()
    honest = Honest(guard, slots)
    for what, amount in days:
        if what == "windows":
            honest.windows(amount)
        elif what == "restart":
            honest.end()
            honest.restart()
        elif what == "crash":
            honest.restart()
        elif what == "reboot":
            guard.reboot(off=float(amount))
            honest.restart()
        elif what == "kill uplink":
            guard.restart()
        elif what in ("uplink away", "uplink back"):
            honest.away = what == "uplink away"
            if not honest.away:
                guard.restart()
                honest.look()
        elif what == "trusted":
            honest.trusted = bool(amount)
        else:
            honest.error += amount
            honest.error = max(-80_000.0, min(80_000.0, honest.error))
    honest.away = False
    guard.restart()
    honest.look()
    assert set(honest.verdicts) <= {"admitted"}
