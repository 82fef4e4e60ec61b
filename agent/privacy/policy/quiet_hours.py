"""Quiet hours: local times of day in which no frame is analysed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo


class QuietHours:
    """Spans of local time, daylight saving time included.

    When clocks go back, a span within the repeated hour is quiet twice; when they go forward, a
    span within the skipped hour does not occur. While the clock is not trusted it counts as quiet.
    For live sources only: recorded video has no time of day.

    Parameters
    ----------
    spans
        `HH:MM-HH:MM`, the end excluded; over midnight where the end comes first, the whole day
        where both are equal.
    zone
        Time zone of the place; None: the system's.
    """

    def __init__(self, spans: Sequence[str], zone: tzinfo | None = None) -> None:
        self._spans = [tuple(map(_minutes, text.split("-"))) for text in spans]
        self._zone = zone

    def contains(self, utc: float | None) -> bool:
        """Whether the instant is within a span. `utc`: seconds; None while the clock is not
        trusted."""
        if utc is None:
            return bool(self._spans)
        local = datetime.fromtimestamp(utc, self._zone)
        minute = 60 * local.hour + local.minute
        return any(
            start <= minute < end if start < end else minute >= start or minute < end
            for start, end in self._spans
        )


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)
