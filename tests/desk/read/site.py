"""A site whose truth is known: windows through the device's own release, as messages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from agent.base.clock import ClockReading
from agent.base.report import Summary, to_json
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window

START = 1_790_035_200
"""Midnight, UTC."""
DAY = 86_400


@dataclass
class Truth:
    """What happened in one window and slot, and what was said of it."""

    visits: int
    looked: int
    happy: int
    valence: int
    summary: Summary


def counts(rng: random.Random, visits: int, look: float, happy: float = 0.3) -> ExactCounts:
    """Of so many visitors; each looks with the probability `look`, and independently of that is
    mostly happy with `happy`."""
    made = ExactCounts()
    cells = made.cells
    cells["visits"] = [visits]
    for _ in range(visits):
        cells["attention"][rng.choice((1, 2, 3)) if rng.random() < look else 0] += 1
        glad = rng.random() < happy
        cells["expression"][1 if glad else rng.choice((0, 0, 2, 8))] += 1
        cells["dwell"][rng.randrange(5)] += 1
        cells["valence"][0] += rng.randint(20, 60) if glad else rng.randint(-30, 20)
    return made


def poisson(rng: random.Random, mean: float) -> int:
    """By the gaps of a Poisson process; fast enough for small means."""
    total, count = rng.expovariate(1.0), 0
    while total < mean:
        total += rng.expovariate(1.0)
        count += 1
    return count


class Device:
    """Noises and publishes windows as the agent does."""

    def __init__(self, policy: Policy, rng: random.Random, boot: str = "0a1b2c3d") -> None:
        self.policy, self.boot = policy, boot
        self._rng = rng
        self._draw = partial(discrete_laplace, rng=rng)
        self._rule = PublishingRule(policy)
        self._pending: dict[int, PendingRelease] = {}
        self._seq = 0

    def say(self, exact: ExactCounts, slot: int, start: int) -> Truth:
        """One window of a slot. `start`: UTC seconds."""
        length = self.policy.window
        index = start // length
        window = Window(
            index, length, {slot: exact}, frames=10 * length, last=float(length),
            seconds=length, capable_seconds=length,
        )  # fmt: skip
        pending = self._pending.setdefault(slot, PendingRelease())
        pending.add_window(window, slot, self.policy, self._draw)
        pending.threshold = self._rule.threshold(slot, pending.windows, pending.first)
        context = ReleaseContext(self.boot, self._seq, "0" * 16, ClockReading("ntp", 0.0), True)
        summary = release(pending, window, slot, self.policy, context, self._draw)
        self._seq += 1
        held = pending.counts.cells
        truth = Truth(
            held["visits"][0], sum(held["attention"][1:]), held["expression"][1],
            held["valence"][0], summary,
        )  # fmt: skip
        if summary.visits is not None:
            del self._pending[slot]
            self._rule.published(slot)
        return truth


def days(
    device: Device,
    rng: random.Random,
    number: int,
    slots: Sequence[int],
    visits: Callable[[int, int], float],
    look: Callable[[int, int], float],
    hours: tuple[int, int] = (9, 19),
) -> Iterator[Truth]:
    """Windows of so many days in which the slots take turns, window by window, another one first
    each day. `visits`, `look`: means of a slot at an hour."""
    length = device.policy.window
    for day in range(number):
        starts = range(
            START + day * DAY + hours[0] * 3600, START + day * DAY + hours[1] * 3600, length
        )
        for turn, start in enumerate(starts):
            slot = slots[(turn + day) % len(slots)]
            hour = start % DAY // 3600
            exact = counts(rng, poisson(rng, visits(slot, hour)), look(slot, hour))
            yield device.say(exact, slot, start)


def lines(truths: Sequence[Truth], device: str = "box-1") -> bytes:
    """As `mosquitto_sub -v` prints them."""
    topic = f"fleeting/1/d/{device}/summary ".encode()
    return b"".join(topic + to_json(each.summary) + b"\n" for each in truths)
