"""Quiet hours: local times of day in which nothing is looked at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from agent.base.clock import ClockReading

State = Literal["quiet", "open"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to look now, and why."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the local day, from `start` up to, not including, `end`; over midnight where
    `end` comes first, the whole day where they are equal."""

    start: int
    end: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Span:
        """`HH:MM-HH:MM`, as `config.Hours` admits."""
        start, end = text.split("-")
        return cls(_minutes(start), _minutes(end), text)

    def holds(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


class QuietHours:
    """Decides by what a clock on the wall of the place would show.

    When clocks go back, a span within the repeated hour is quiet twice; when they go forward, a
    span within the missing hour does not occur. Where there are spans and nobody vouches for the
    clock it is quiet: rather nothing is seen than something at the wrong time.

    Only for live sources: what a file shows has no time of day.

    Parameters
    ----------
    spans
        As `Policy.quiet_hours`.
    zone
        Of the place; None: the one this machine is set to.
    """

    def __init__(self, spans: Sequence[str], zone: tzinfo | None = None) -> None:
        self._spans = tuple(Span.parse(text) for text in spans)
        self._zone = zone

    def judge(self, utc: float | None) -> Verdict:
        """At this moment, UTC seconds; None where nobody vouches for the clock."""
        if not self._spans:
            return Verdict("open", "there are no quiet hours")
        if utc is None:
            return Verdict(
                "quiet",
                "there are quiet hours, and nobody vouches for the clock: is NTP reachable?",
            )
        local = datetime.fromtimestamp(utc, self._zone)
        minute = 60 * local.hour + local.minute
        for span in self._spans:
            if span.holds(minute):
                return Verdict("quiet", f"quiet hours {span.text}, local time")
        return Verdict("open", "outside the quiet hours")

    def now(self, reading: ClockReading, monotonic: float | None = None) -> State:
        """As `judge`, at the instant `monotonic` (seconds; None: this one) of a clock reading."""
        return self.judge(utc_of(reading, monotonic)).state


def utc_of(reading: ClockReading, monotonic: float | None = None) -> float | None:
    """UTC seconds of an instant on the monotonic clock, None without trust."""
    if reading.ahead is None:
        return None
    return (time.monotonic() if monotonic is None else monotonic) + reading.ahead
