"""Is a service well? One answer, `judge`, for whoever asks: the watchdog (`own`), the updater's
soak and `fleeting check` (`examine`), and the uplink's health message (`of_report`).

Well is: started, ready within its time, its sandbox as closed as it was before, and progress made
lately. Progress is said by what made it (`agent.host.heartbeat`), never by a clock. A perceive that
is paused, too hot or in quiet hours still takes frames, and is well; an uplink whose broker is away
knows that, and is well.

The uplink may not read perceive's sign of life: the wall between the two carries reports only. It
judges by the age of the last one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent import __version__
from agent.host import heartbeat
from agent.host.heartbeat import Beat
from agent.host.launch import BASE, MAX_STARTS, Starts, read_starts

SERVICES = ("perceive", "uplink")
READY_WITHIN = 900.0
"""Seconds; as TimeoutStartSec= of the unit: kernels are compiled at the first start."""
PROGRESS_WITHIN = 60.0
"""Seconds; below WatchdogSec= of the units."""
REPORT_INTERVAL = 60.0
"""Seconds between two reports of a perceive that makes progress, at most."""

Condition = Literal[
    "well", "absent", "starting", "ended", "crashed", "no_start", "stalled", "open", "other"
]
"""`absent`: never started, or not since the slot was switched; `starting`: not ready yet, still in
time; `ended`: the last process is gone and no other was started; `crashed`: started too often;
`no_start`: not ready in time; `stalled`: no progress; `open`: the sandbox refuses less than before;
`other`: another version than expected runs."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a service has to be; None: not looked at."""

    version: str | None = None
    slot: str | None = None
    """That it has to be started from."""
    link: str | None = None
    """The link it has to be started by (`agent.host.launch.link_of`)."""
    known: Collection[str] = ()
    """Openings that the version before looked for."""
    allowed: Collection[str] | None = None
    """Those of them that were open."""
    max_starts: int | None = None
    """As often as it may be started."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    ready: float = READY_WITHIN
    progress: float = PROGRESS_WITHIN


def examine(
    folder: Path,
    name: str,
    expected: Expected = Expected(),
    limits: Limits = Limits(),
) -> tuple[Condition, Beat | None]:
    """The condition of the service `name` by what it left in `folder`, and its last record."""
    starts, alive = read_starts(folder / f"{name}.starts")
    beat = heartbeat.read(folder / name)
    return judge(beat, starts, alive, heartbeat.boottime(), expected, limits), beat


def own() -> Condition:
    """The condition of this process, by what it would say of itself."""
    beat = heartbeat.own()
    starts = Starts(BASE, "-", 1, beat.pid, beat.started)
    return judge(beat, starts, True, heartbeat.boottime(), Expected(), Limits())


def is_fit(condition: Condition, *, waits: bool = False) -> bool:
    """Whether the service manager is to leave a service alone: it is well, or it `waits` for what
    no restart would bring, such as a camera that was unplugged, and says so."""
    return condition == "well" or (waits and condition == "stalled")


def of_report(age: float | None, *, moves: bool) -> Condition:
    """The condition of perceive by its last report. `age`: seconds since it came, None where there
    is none; `moves`: whether frames came then.

    A process that is looked after does not stay silent for longer than it may take to start: it was
    started again, or is gone.
    """
    if age is None:
        return "absent"
    now = heartbeat.boottime()
    at = now - min(age, now)
    starts = Starts(BASE, "-", 1, 1, at)
    beat = Beat(1, __version__, "ready", None, None, at, at, at if moves else None)
    limits = Limits(progress=REPORT_INTERVAL + PROGRESS_WITHIN)
    return judge(beat, starts, age <= READY_WITHIN, now, Expected(), limits)


def judge(
    beat: Beat | None,
    starts: Starts | None,
    alive: bool,
    now: float,
    expected: Expected,
    limits: Limits,
) -> Condition:
    """The condition at `now`, seconds of CLOCK_BOOTTIME."""
    if starts is None or starts.at > now + 0.001:  # of a boot before; records are rounded
        return "absent"
    if expected.slot is not None and starts.slot != expected.slot:
        return "absent"
    if expected.link is not None and starts.link != expected.link:
        return "absent"
    most = expected.max_starts
    if most is not None and starts.count >= most and (starts.count > most or not alive):
        return "crashed"
    if not alive:
        return "ended"
    if beat is None or beat.pid != starts.pid or beat.ready is None or beat.state == "starting":
        return "starting" if now - starts.at <= limits.ready else "no_start"
    if beat.state == "stopping":
        return "ended"
    if expected.version is not None and beat.version != expected.version:
        return "other"
    if expected.allowed is not None:
        now_open = set(expected.known) if beat.openings is None else beat.openings
        if (now_open & set(expected.known)) - set(expected.allowed):
            return "open"
    if beat.progress is None or not -1.0 <= now - beat.progress <= limits.progress:
        return "stalled"
    return "well"


__all__ = [
    "MAX_STARTS", "SERVICES", "Condition", "Expected", "Limits", "examine", "is_fit", "judge",
    "of_report", "own",
]  # fmt: skip
