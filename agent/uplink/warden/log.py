"""Sliding-window counters on the device's elapsed time: at most so many in any day.

Admissions are dated to buckets of `BUCKET` seconds, and a day is the `SPAN` buckets that it can
touch. What waited while nobody watched (`since` to `now`) is dated to the earliest time at which
the quota has room, so that an absence of three days admits three days' worth, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.base.quotas import BUCKET, SPAN


def bucket(elapsed: float) -> int:
    return int(elapsed // BUCKET)


@dataclass(slots=True)
class SlidingCount:
    """Admissions by bucket."""

    counts: dict[int, int] = field(default_factory=dict)
    last: int = 0
    """The newest bucket with an admission: dates never go back."""

    def place(self, quota: int, since: float, now: float) -> int | None:
        """The bucket that one more may be dated to; None where there is no room until `now`."""
        at = max(self.last, bucket(since))
        while True:
            live = [each for each in self.counts if each > at - SPAN]
            if sum(self.counts[each] for each in live) < quota:
                return at if at <= max(bucket(now), self.last) else None
            if not live:
                return None
            at = min(live) + SPAN

    def add(self, at: int) -> None:
        """Count one at a bucket from `place`."""
        self.counts = {each: n for each, n in self.counts.items() if each > at - SPAN}
        self.counts[at] = self.counts.get(at, 0) + 1
        self.last = at

    def take(self, quota: int, since: float, now: float) -> bool:
        """Count one if there is room."""
        at = self.place(quota, since, now)
        if at is not None:
            self.add(at)
        return at is not None


@dataclass(slots=True)
class SlidingSet:
    """Distinct values, each with the newest bucket in which it was used."""

    used: dict[int, int] = field(default_factory=dict)
    last: int = 0

    def place(self, value: int, quota: int, since: float, now: float) -> int | None:
        """As `SlidingCount.place`, for a use of `value`."""
        at = max(self.last, bucket(since))
        while True:
            live = {each for each, when in self.used.items() if when > at - SPAN}
            if value in live or len(live) < quota:
                return at if at <= max(bucket(now), self.last) else None
            if not live:
                return None
            at = min(self.used[each] for each in live) + SPAN

    def add(self, value: int, at: int) -> None:
        """Note a use at a bucket from `place`."""
        self.used = {each: when for each, when in self.used.items() if when > at - SPAN}
        self.used[value] = at
        self.last = at

    def take(self, value: int, quota: int, since: float, now: float) -> bool:
        """Note a use if there is room."""
        at = self.place(value, quota, since, now)
        if at is not None:
            self.add(value, at)
        return at is not None
