"""Months on machines whose clocks do everything that is known of them; the agent's own classes."""

from __future__ import annotations

import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.clock import WallClock
from agent.base.config import AgentConfig
from agent.base.device_time import DeviceTime
from agent.base.errors import AgentError
from agent.base.settings_file import parse
from agent.base.types import Perceived
from agent.perceive.slots import SlotQuota
from agent.privacy.policy.quiet_hours import QuietHours
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from agent.wall.outbox import Outbox
from tools.common.files import in_memory
from tools.common.machine import machine
from tools.robustness.clock.machine import Machine, move_to
from tools.robustness.crash.check import Key, aside, read
from tools.robustness.power.writers import Clocks, Uplink

_DAY = 86_400.0
_FRAME = 900.0
"""Seconds from one look to the next."""
_YEAR = 365 * _DAY
_FIRST = 1_700_000_000
"""UTC seconds before which no summary may be dated."""
_BEGINS = (1_790_000_000.0, 2_147_400_000.0, 3_900_000_000.0)
"""UTC seconds: 2026; an hour before 2^31 s have passed, in 2038; 2093."""
_ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Australia/Lord_Howe")
Progress = Callable[[int, str], None]


@dataclass
class Tally:
    """What was tried, and what came of it."""

    steps: Counter[str] = field(default_factory=Counter)
    released: int = 0
    timed: Counter[str] = field(default_factory=Counter)
    receipts: int = 0
    days: float = 0.0
    found: list[str] = field(default_factory=list)


def run(
    times: int,
    seed: int | None = None,
    days: float = 20.0,
    progress: Progress = lambda done, word: None,
) -> dict[str, Any]:
    """The report, in which `passed` is the verdict. `times`: machines; `days`: of each."""
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    begun, place, tally = time.monotonic(), machine(), Tally()
    logging.disable(logging.CRITICAL)
    try:
        for number in range(times):
            with tempfile.TemporaryDirectory(prefix="fleeting-clock-", dir=in_memory()) as name:
                Life(Path(name), random.Random(f"{seed} {number}"), tally).live(days)
            progress(number + 1, f"{tally.released} summaries")
            if tally.found:
                tally.found = [f"machine {number}: {each}" for each in tally.found]
                break
    finally:
        logging.disable(logging.NOTSET)
    return {
        "what": "clock",
        "machine": place,
        "seed": seed,
        "machines": number + 1,
        "days": round(tally.days),
        "steps": dict(sorted(tally.steps.items())),
        "released": tally.released,
        "timed": dict(sorted(tally.timed.items())),
        "receipts": tally.receipts,
        "seconds": round(time.monotonic() - begun, 1),
        "violations": tally.found,
        "passed": not tally.found,
    }


def configuration(folder: Path) -> AgentConfig:
    """Windows of an hour, as a site may choose them."""
    (folder / "outbox").mkdir()
    return parse(
        {
            "privacy": {"notice_shown": True, "window": 3600, "microphone": False, "words": False},
            "store": {
                "outbox": str(folder / "outbox" / "outbox.db"),
                "receipt_key": str(folder / "uplink" / "receipt.key"),
                "warden": str(folder / "uplink" / "warden.json"),
            },
        },
        "the clock test",
    )


class Life:
    """One machine with both processes."""

    def __init__(self, folder: Path, chance: random.Random, tally: Tally) -> None:
        self._config = configuration(folder)
        self._policy = resolve(self._config)
        self._chance, self._tally = chance, tally
        self._machine = Machine(folder / "rtc0", chance.choice(_BEGINS))
        self._sent: dict[Key, list[str]] = {}
        self._signed: dict[int, str] = {}
        self._began = self._machine.true
        self._slot = 0
        self._latest = 0.0
        """UTC seconds: the most that the system clock has shown."""
        self._ended = 0
        self._refused: Counter[str] = Counter()

    def live(self, days: float) -> None:
        """So many days of true time."""
        with self._machine.entered():
            self._start_perceive()
            self._start_uplink()
            self._machine.synchronised = self._chance.random() < 0.5
            until, next_step = self._began + days * _DAY, self._began
            away_until = 0.0
            while self._machine.true < until and not self._tally.found:
                self._machine.pass_time(_FRAME)
                if self._machine.true >= next_step:
                    self._step()
                    next_step = self._machine.true + self._chance.uniform(0.1, 3.0) * _DAY
                    if self._chance.random() < 0.1:
                        away_until = self._machine.true + self._chance.uniform(0.1, 7.0) * _DAY
                        self._tally.steps["no broker, up to a week"] += 1
                self._look()
                self._uplink.wire.away = self._machine.true < away_until
                self._work()
            self._machine.set_by_hand(0.0)
            self._uplink.wire.away = False
            self._finish()
        self._tally.days += (self._machine.true - self._began) / _DAY

    # The two processes

    def _start_perceive(self) -> None:
        self._perceive = Outbox(self._config.store)
        self._clock = WallClock()
        self._slots = SlotQuota(self._perceive, self._policy.slots)
        self._quiet = QuietHours(("22:00-06:00",))
        self._releaser = Releaser(
            self._config, self._policy, model="0123456789abcdef", boot=self._perceive.boot,
            seq=self._perceive.next_seq, clock=self._clock,
        )  # fmt: skip

    def _start_uplink(self) -> None:
        clock = WallClock()
        clocks = Clocks(time.monotonic, clock.utc, DeviceTime)
        chance = random.Random(self._chance.getrandbits(32))
        self._uplink = Uplink(self._config, self._hear, chance, clocks)

    def _restart(self) -> None:
        self._perceive.close()
        self._uplink.close()
        self._ended += 1
        self._start_perceive()
        self._start_uplink()

    def _look(self) -> None:
        """A frame without a face; windows that ended are stored."""
        now = time.monotonic()
        self._latest = max(self._latest, time.time())
        self._quiet.contains(self._clock().utc(now))
        if self._chance.random() < 0.02:
            wished = self._chance.randrange(12)  # more than a day may show
            self._slot = wished if self._slots.take(wished) else self._slot
        self._slots.take(self._slot)
        for released in self._releaser.observe(Perceived(now, ()), slot=self._slot):
            summary, reading = released.summary, self._clock()
            self._perceive.add(summary, released.withheld_visits)
            self._tally.released += 1
            start = getattr(summary.window, "start", None)
            self._tally.timed[reading.trust if start is not None else "none"] += 1
            true = self._machine.true - _FRAME - summary.window.length
            known = reading.trust in ("ntp", "holdover")
            if start is not None and known and abs(start - true) > 2 * _FRAME:
                self._tally.found.append(f"{reading.trust}: {start} at {true}")

    def _work(self) -> None:
        try:
            self._uplink.step()
        except AgentError as error:
            self._tally.found.append(str(error))
        for code in ("row_refused", "quota_exceeded", "settings_refused"):
            times = self._uplink.events.total[code]
            if times:
                self._tally.found.append(f"the uplink counted {code} {times} times")
        elapsed = self._uplink.warden.elapsed
        if elapsed > self._machine.true - self._began + 60 * (1 + self._ended):
            self._tally.found.append(f"{elapsed:.0f} s elapsed")

    def _hear(self, line: str) -> None:
        what, *rest = line.split()
        if what == "sent":
            self._sent.setdefault((rest[0], int(rest[1])), []).append(rest[2])
            start = json.loads(self._uplink.wire.bodies[-1])["window"]["start"]
            if start is not None and not _FIRST <= start <= self._latest:
                self._tally.found.append(f"dated {start}")
        elif what == "signed":
            number = int(rest[0])
            if number != len(self._signed) + 1 and number not in self._signed:
                self._tally.found.append(f"receipt {number} after {len(self._signed)}")
            self._signed[number] = rest[1]

    def _finish(self) -> None:
        """Everything that was released is out, in its order, once."""
        for _ in range(400):
            self._machine.pass_time(1.0)
            self._work()
            if not self._perceive.depth() or self._tally.found:
                break
        found, path = self._tally.found, self._config.store.outbox
        self._perceive.close()
        self._uplink.close()
        stored = read(path)
        ledger = dict(stored.ledger)
        if [key for key, _ in stored.ledger] != list(self._sent):
            missing = len(ledger.keys() - self._sent.keys())
            found.append(f"{missing} summaries were not sent, or others came, or in another order")
        for key, copies in self._sent.items():
            if len(copies) > 1 + self._ended or {*copies} != {ledger.get(key)}:
                found.append(f"summary {key} was sent as {copies}")
        if stored.trimmed:
            found.append(f"{stored.trimmed} were dropped over age")
        found += [f"{each} was moved aside" for each in aside(path)]
        days = (self._machine.true - self._began) / _DAY
        if not 0.2 * days - 2 <= len(self._signed) <= 2 * days + 4:
            found.append(f"{len(self._signed)} receipts in {days:.0f} days")
        self._tally.receipts += len(self._signed)

    # What clocks do

    def _step(self) -> None:
        name = self._chance.choice(list(_STEPS))
        self._tally.steps[name] += 1
        _STEPS[name](self._machine, self._chance)
        if name.startswith("start") or name == "processes start again":
            self._restart()


def _off(machine: Machine, chance: random.Random) -> None:
    machine.true += chance.uniform(10.0, 2 * _DAY)


def _start_fake(machine: Machine, chance: random.Random) -> None:
    """fake-hwclock: the time of the last shutdown, at the latest."""
    _off(machine, chance)
    machine.start(-chance.uniform(_DAY / 24, 14 * _DAY), None)


def _start_1970(machine: Machine, chance: random.Random) -> None:
    _off(machine, chance)
    machine.start(-machine.true + 10.0, -machine.true + 10.0)


def _start_lying(machine: Machine, chance: random.Random) -> None:
    _off(machine, chance)
    error = chance.choice((-1, 1)) * chance.uniform(60.0, 3 * _YEAR)
    machine.start(error, error)


def _start_without_battery(machine: Machine, chance: random.Random) -> None:
    """The real-time clock begins in 1970; the system's time comes from a file."""
    _off(machine, chance)
    machine.start(-chance.uniform(0.0, 14 * _DAY), -machine.true + 5.0)


def _start_right(machine: Machine, chance: random.Random) -> None:
    _off(machine, chance)
    machine.start(0.0, 0.0)


def _synchronise(machine: Machine, chance: random.Random) -> None:
    machine.synchronised = True
    machine.pass_time(0.0)


def _lose(machine: Machine, chance: random.Random) -> None:
    machine.synchronised = False


_STEPS: dict[str, Callable[[Machine, random.Random], None]] = {
    "NTP comes": _synchronise,
    "NTP comes, the clock was right": _synchronise,
    "NTP goes, for days": _lose,
    "set two weeks back": lambda m, c: m.set_by_hand(-14 * _DAY),
    "set forward, up to years": lambda m, c: m.set_by_hand(c.uniform(1.0, 3 * _YEAR)),
    "set back, up to years": lambda m, c: m.set_by_hand(-c.uniform(1.0, 3 * _YEAR)),
    "leap second": lambda m, c: m.set_by_hand(c.choice((-1.0, 1.0))),
    "time zone, summer time": lambda m, c: move_to(c.choice(_ZONES)),
    "start, fake-hwclock": _start_fake,
    "start in 1970": _start_1970,
    "start, real-time clock lies": _start_lying,
    "start, no battery": _start_without_battery,
    "start, clock right": _start_right,
    "processes start again": lambda m, c: None,
}
