"""Which faults simulated devices have: `flapping=0.1,duplicates=0.02,late=0.01:7,clock=0.02`."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields
from typing import Literal

from tools.common.errors import ToolError

ClockFault = Literal["none", "ahead", "behind"]
_MOST_DAYS = 28
_WORDS = {
    "flapping": "SHARE[:SECONDS] of devices that lose their connection every so many seconds",
    "duplicates": "SHARE of summaries sent again after their acknowledgement",
    "late": "SHARE[:DAYS] of devices that kept so many days of summaries and send them at once",
    "clock": "SHARE of devices with no clock, or one that is days ahead or behind",
    "restarts": "SHARE[:SECONDS] of devices whose agent starts again every so many seconds",
}


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares, 0 to 1."""

    flapping: float = 0.0
    duplicates: float = 0.0
    late: float = 0.0
    clock: float = 0.0
    restarts: float = 0.0
    flapping_every: float = 45.0
    """Seconds, the mean of an exponential distribution."""
    late_every: float = 7.0
    """Days."""
    restarts_every: float = 120.0
    """Seconds, likewise."""


@dataclass(slots=True)
class Afflictions:
    """The faults of one device."""

    flaps_every: float | None
    restarts_every: float | None
    late_days: float | None
    clock: ClockFault | None
    duplicates: float


def help_text() -> str:
    """For the command line."""
    return "; ".join(f"{name}={words}" for name, words in _WORDS.items())


def parse(given: str) -> Faults:
    """Raises `ToolError` naming the part that is none."""
    found: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in given.split(","))):
        name, _, value = part.partition("=")
        share, _, every = value.partition(":")
        if name not in _WORDS or name in found:
            raise ToolError(
                f"--fault {part!r}: each of {', '.join(_WORDS)} can be given once, as NAME=SHARE."
            )
        found[name] = _number(part, share, 1.0)
        if every:
            if f"{name}_every" not in {each.name for each in fields(Faults)}:
                raise ToolError(f"--fault {part!r}: {name} takes a share and nothing more.")
            most = _MOST_DAYS if name == "late" else 86_400.0
            found[f"{name}_every"] = _number(part, every, most)
    return Faults(**found)


def afflict(faults: Faults, chance: random.Random) -> Afflictions:
    """Draw one device's faults."""
    clock: ClockFault | None = None
    if chance.random() < faults.clock:
        clock = chance.choice(("none", "ahead", "behind"))
    return Afflictions(
        flaps_every=faults.flapping_every if chance.random() < faults.flapping else None,
        restarts_every=faults.restarts_every if chance.random() < faults.restarts else None,
        late_days=faults.late_every if chance.random() < faults.late else None,
        clock=clock,
        duplicates=faults.duplicates,
    )


def _number(part: str, value: str, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most or (most != 1.0 and number <= 0):
        raise ToolError(f"--fault {part!r}: {value!r} is no number of 0 to {most:g}.")
    return number
