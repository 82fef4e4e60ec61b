"""Many devices with one beginning have one cause, and are told once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tools.fleet.alerts.finding import Finding
from tools.fleet.alerts.kinds import HOUR, JOINT_LEAST, JOINT_SHARE

SPAN = HOUR
"""Seconds in which one cause begins to show everywhere: windows and health messages are rare."""
_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Joint:
    """What one alert of the fleet stands for."""

    finding: Finding | None
    """None: too few are left."""
    first: int
    last: int
    """It covers what began from then to then, Unix seconds."""

    def covers(self, since: int) -> bool:
        return self.first <= since <= self.last


def look(sinces: Mapping[str, int], fleet: int, going_on: str | None) -> Joint | None:
    """One cause, if there is one.

    Parameters
    ----------
    sinces
        When each device's condition began, Unix seconds.
    fleet
        Number of devices.
    going_on
        Detail of the fleet's alert that has not ended, as the database has it.
    """
    least = max(JOINT_LEAST, JOINT_SHARE * fleet)
    if going_on is not None:
        known = json.loads(going_on)
        first, last = int(known["first"]), int(known["last"])
        covered = [device for device, since in sinces.items() if first <= since <= last]
        if len(covered) < least / 2:
            return Joint(None, first, last)
        return Joint(_finding(covered, fleet, first, last), first, last)
    if len(sinces) < least:
        return None
    times = sorted(sinces.values())
    best = begin = 0
    most = 0
    for end, time in enumerate(times):
        while time - times[begin] > SPAN:
            begin += 1
        if end - begin + 1 > most:
            most, best = end - begin + 1, times[begin]
    if most < least:
        return None
    covered = [device for device, since in sinces.items() if best <= since <= best + SPAN]
    return Joint(_finding(covered, fleet, best, best + SPAN), best, best + SPAN)


def _finding(covered: list[str], fleet: int, first: int, last: int) -> Finding:
    detail = {
        "devices": len(covered), "of": fleet, "first": first, "last": last,
        "some": sorted(covered)[:_EXAMPLES],
    }  # fmt: skip
    return Finding(detail, since=first)
