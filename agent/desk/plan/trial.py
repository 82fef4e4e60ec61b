"""Made-up visitors through the device's own noise and release: what a plan is tried on."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from agent.base.clock import ClockReading
from agent.base.report import Summary, to_json
from agent.desk.plan.power import Question
from agent.desk.read.compare import between, paired
from agent.desk.read.errors import NothingToAddError
from agent.desk.read.figures import CELL_FIGURES, PARTITIONS
from agent.desk.read.frame import Collector
from agent.desk.read.messages import Said, Tally
from agent.desk.read.rates import Rate
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window

MIDNIGHT = 1_790_035_200
"""UTC seconds: the first day's beginning."""
DAY = 86_400
OPENING = 9 * 3600
"""Seconds after midnight."""


@dataclass(frozen=True, slots=True)
class Told:
    """One window's summary, and the exact counts that are in it if it is published."""

    summary: Summary
    exact: ExactCounts


class Device:
    """Noises and publishes windows as the agent does, from exact counts."""

    def __init__(self, policy: Policy, rng: random.Random, boot: str = "0a1b2c3d") -> None:
        """`rng`: of the noise; not for a real device."""
        self.policy, self._boot = policy, boot
        self._draw = partial(discrete_laplace, rng=rng)
        self._rule = PublishingRule(policy)
        self._pending: dict[int, PendingRelease] = {}
        self._seq = 0

    def say(self, exact: ExactCounts, slot: int, start: int) -> Told:
        """End a window of a slot. `start`: UTC seconds, a multiple of the window's length."""
        length = self.policy.window
        window = Window(
            start // length, length, {slot: exact}, frames=10 * length, last=float(length),
            seconds=length, capable_seconds=length, listened=float(length),
        )  # fmt: skip
        pending = self._pending.setdefault(slot, PendingRelease())
        pending.add_window(window, slot, self.policy, self._draw)
        pending.threshold = self._rule.threshold(slot, pending.windows, pending.first)
        context = ReleaseContext(self._boot, self._seq, "0" * 16, ClockReading("ntp", 0.0), True)
        summary = release(pending, window, slot, self.policy, context, self._draw)
        self._seq += 1
        if summary.visits is not None:
            del self._pending[slot]
            self._rule.published(slot)
        return Told(summary, pending.counts)


def counted(rng: random.Random, mean: float, rate: Rate, share: float) -> ExactCounts:
    """One window's exact counts, of a Poisson number of visitors with this mean; each counts for
    `rate`, a share, with the probability `share`, and is anything with equal chances else."""
    made = ExactCounts()
    cells = made.cells
    for _ in range(poisson(rng, mean)):
        cells["visits"][0] += 1
        cells["valence"][0] += rng.randint(-40, 60)
        for cell in PARTITIONS:
            names = CELL_FIGURES[cell]
            if rate.top[0] in names:
                hit = rng.random() < share
                names = tuple(name for name in names if (name in rate.top) == hit)
            cells[cell][CELL_FIGURES[cell].index(rng.choice(names))] += 1
    return made


def poisson(rng: random.Random, mean: float) -> int:
    """Arrivals before time `mean`, one in a unit of time on average."""
    at, count = rng.expovariate(1.0), 0
    while at < mean:
        at += rng.expovariate(1.0)
        count += 1
    return count


def days(
    device: Device,
    rng: random.Random,
    number: int,
    windows: int,
    mean: float,
    rate: Rate,
    shares: Sequence[float],
    spread: float = 0.0,
) -> Iterator[Told]:
    """So many days of so many windows, all slots together; slots 0, 1 … take turns window by
    window, and each day another one begins.

    Parameters
    ----------
    mean
        Visits of a window.
    shares
        Of each slot's visits.
    spread
        Standard deviation of the shares between days.
    """
    length = device.policy.window
    for day in range(number):
        opening = MIDNIGHT + day * DAY + OPENING // length * length
        today = [min(max(share + rng.gauss(0, spread), 0.0), 1.0) for share in shares]
        for turn in range(windows):
            slot = (turn + day) % len(shares)
            exact = counted(rng, mean, rate, today[slot])
            yield device.say(exact, slot, opening + turn * length)


def power(asked: Question, policy: Policy, number: int, times: int, rng: random.Random) -> float:
    """How often the difference is told after so many days: `compare`'s interval of what is to be
    expected does not hold 0, at the level of one pair. Two contents are tried; `spread` becomes a
    variation between days."""
    windows = max(2, round(2 * asked.hours * 3600 / policy.window))
    mean = 2 * asked.visits / windows
    excess = (asked.spread - 1) * asked.share * (1 - asked.share) / asked.visits
    spread = math.sqrt(max(0.0, excess))
    shares = (asked.share, asked.other)
    told = 0
    for _ in range(times):
        collector = Collector(Tally())
        for at in range(asked.devices):
            device = Device(policy, rng)
            for each in days(device, rng, number, windows, mean, asked.rate, shares, spread):
                collector.add(Said(f"box-{at}", "summary", to_json(each.summary)), "")
        try:
            pair = paired(collector.frame(asked.level, bounds=False), asked.rate, 1, 0)
        except NothingToAddError:
            continue
        found = between(pair.sides, asked.rate, asked.corrected)
        told += found.low > 0 if asked.other > asked.share else found.high < 0
    return told / times
