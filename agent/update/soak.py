"""Watching both services after a switch until they have been well long enough, or one is not.

Whether a service is well is `agent.host.health`'s to say, as everywhere. Here it is said when one
that is not well yet still may become so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, get_args

from agent.base.report.device import PerceiveOpening, UplinkOpening
from agent.base.report.job import JobReason
from agent.host.health import SERVICES, Condition, Expected, Limits, examine
from agent.host.heartbeat import Beat, boottime
from agent.host.launch import MAX_STARTS
from agent.update.state import Before

log = logging.getLogger(__name__)

KNOWN = {"perceive": get_args(PerceiveOpening), "uplink": get_args(UplinkOpening)}
"""What this version's sandboxes are tried for."""
_FAULTS: dict[Condition, JobReason] = {
    "crashed": "crashed",
    "no_start": "no_start",
    "stalled": "stalled",
    "open": "sandbox_self_test",
    "other": "unhealthy",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Only tests use others."""

    soak: float = 600.0
    poll: float = 0.5
    limits: Limits = field(default_factory=Limits)
    absent: float = 60.0
    """After which services that were not restarted are asked for once more; three times this after
    the switch, they count as not started."""
    ended: float = 45.0
    """That a service may be gone between two starts: longer than any service manager waits."""
    recover: float = 150.0
    """To wait for what was in force to be well again."""


class Wait(Protocol):
    """Sleeps for at most these seconds; true when the updater is to stop."""

    def __call__(self, seconds: float, /) -> bool: ...


class Stopped(Exception):  # noqa: N818 - no error
    """The updater was told to stop; it goes on from here when it is started again."""


def expectations(
    slot: str, link: str, version: str, before: Before | None, *, limited: bool
) -> dict[str, Expected]:
    """What both services have to be, started from `slot`. `limited`: whether starts are counted."""
    allowed = {name: getattr(before, name) if before is not None else None for name in SERVICES}
    return {
        name: Expected(
            version=version,
            slot=slot,
            link=link,
            known=KNOWN[name],
            allowed=allowed[name],
            max_starts=MAX_STARTS if limited else None,
        )
        for name in SERVICES
    }


def wait_until_well(
    folder: Path,
    expected: dict[str, Expected],
    seconds: float,
    timing: Timing,
    wait: Wait,
    *,
    ask_again: Callable[[], None],
    connected: bool = False,
    within: float | None = None,
) -> JobReason | None:
    """Wait until both services have been well for `seconds` without a break, and moved on in the
    second half of it; why they will not be, where that is so.

    `connected`: the uplink must have its broker, at least at the end. `within`: seconds after which
    to give up in any case. Raises `Stopped`.
    """
    begun = boottime()
    longest = timing.limits.ready + 3 * seconds + timing.absent if within is None else within
    well_since: float | None = None
    gone: dict[str, float] = {}
    asked = False
    while True:
        now = boottime()
        found = {name: examine(folder, name, expected[name], timing.limits) for name in SERVICES}
        for name, (condition, _) in found.items():
            if condition in _FAULTS:
                log.warning("%s is not well after the update: %s.", name, condition)
                return _FAULTS[condition]
            if condition in ("ended", "absent"):
                gone.setdefault(name, now)
            else:
                gone.pop(name, None)
            if condition == "ended" and now - gone[name] > timing.ended:
                log.warning("%s ended and was not started again.", name)
                return "crashed"
            if condition == "absent" and now - gone[name] > timing.absent:
                if now - gone[name] > 3 * timing.absent:
                    log.warning("%s was not started again.", name)
                    return "no_start"
                if not asked:
                    asked = True
                    ask_again()
        if all(condition == "well" for condition, _ in found.values()):
            well_since = now if well_since is None else well_since
            beats = [beat for _, beat in found.values()]
            if (
                now - well_since >= seconds
                and (not seconds or _advanced(beats, well_since + seconds / 2))
                and (not connected or _online(found["uplink"][1]))
            ):
                return None
        else:
            well_since = None
        if now - begun > longest:
            log.warning("The services are not well for long enough, or without their broker.")
            return "unhealthy"
        if wait(timing.poll):
            raise Stopped


def _advanced(beats: Iterable[Beat | None], since: float) -> bool:
    """Whether each made progress after `since`. A soak may be shorter than the time that a service
    has for it, and none counts that a standstill outlasts."""
    return all(
        beat is not None and beat.progress is not None and beat.progress >= since for beat in beats
    )


def _online(beat: Beat | None) -> bool:
    return beat is not None and beat.connected is True


def look(folder: Path) -> dict[str, Beat | None]:
    """What both services, as they run now, last said; None for one that is not well."""
    found = {name: examine(folder, name) for name in SERVICES}
    return {
        name: beat if condition == "well" else None for name, (condition, beat) in found.items()
    }
