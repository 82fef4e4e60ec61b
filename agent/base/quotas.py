"""How many messages of each kind may leave a device in a day.

The uplink's warden enforces these numbers, and `python -m tools.capacity` computes the day from
them.
A day is any span of `DAY` of the device's own elapsed time, whatever its clock says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

DAY = 86_400
"""Seconds."""
BUCKET = 300
"""Seconds to which admissions are dated."""
SPAN = DAY // BUCKET + 1
"""Buckets that a day can touch."""
RESTARTS = 24
"""Windows a day and slot that begin or end before their time: restarts of the perceive process,
changed settings, steps of the wall clock."""
EVENTS_STORED = 24
"""Events a day that an honest device stores, by its own monotonic day."""
EVENTS_RESERVED = 4
"""Kept for `quota_exceeded`: a flood of others must not hide itself."""
_EVENTS = 2 * EVENTS_STORED + EVENTS_RESERVED
"""The end of one such day and the beginning of the next lie within 24 hours."""
_RECEIPTS = 4
"""One a day; more where the clock steps over midnight."""
_META = 12
"""Births: restarts, settings in force, a new epoch; and the latest receipt's hash, once a day."""
_REPORTS = 24
"""Health messages that a fleet asks for beside the regular ones."""
_REPORTED = 24
"""Changes of the settings reported."""
_DISCOVERY = 12
"""Announcements to Home Assistant and their removal."""
_RESPONSES = 1440
"""Answers to commands, one a minute."""
_JOBS = 48
"""Steps of updates: an update has eight or nine."""
JOBS_RESERVED = 16
"""Of those, kept for how jobs ended: what came before must not hide that."""
_CONNECTIONS = 1440
"""A network that fails every minute."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Messages a day by kind, as published (`uplink.topics.MESSAGE_KINDS`)."""

    slots: int
    """Distinct content slots."""
    runs: int
    """Starts of the perceive process that may release something, and steps of its wall clock."""
    summary: int
    event: int
    receipt: int
    meta: int
    """Changes; what is in force may be repeated, which says nothing new. So `reported`,
    `discovery`, `job`."""
    health: int
    reported: int
    discovery: int
    response: int
    job: int
    connections: int
    """Each says `online` and `offline` on `state`."""


def windows(length: int) -> int:
    """Windows of `length` seconds that can end within a day, with one of tolerance for delays."""
    return ceil((DAY + BUCKET) / length) + 1


def quotas(window: int, slots: int, health_interval: int) -> Quotas:
    """The quotas of a device. `window`: seconds; `slots`: distinct ones a day; `health_interval`:
    seconds."""
    runs = windows(window) + RESTARTS
    return Quotas(
        slots=slots,
        runs=runs,
        summary=runs * slots,
        event=_EVENTS,
        receipt=_RECEIPTS,
        meta=_META,
        health=windows(health_interval) + _REPORTS,
        reported=_REPORTED,
        discovery=_DISCOVERY,
        response=_RESPONSES,
        job=_JOBS,
        connections=_CONNECTIONS,
    )
