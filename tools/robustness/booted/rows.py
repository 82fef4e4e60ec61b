"""One line of the trial's table, and what several trials wait for.

Recovered means: the service is ready again as another process, or the same one goes on, and a
summary that was not there before arrives at the broker.
"""

from __future__ import annotations

from dataclasses import dataclass

SUMMARY = 300.0
"""Seconds until a summary that is due has arrived: a window, its delay, a connection made anew. As
those below it is long, for a machine that has other things to do: what is measured is printed."""
READY = 600.0
"""Seconds until a service that starts again is ready."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried."""

    what: str
    seconds: float | None
    """Until it was recovered from; None where it never was, or there is nothing to wait for."""
    seen: str
    passed: bool
