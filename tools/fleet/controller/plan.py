"""What a roll-out is to do: waves, gates between them, rules that abort it; as it is stored.

Terms after AWS IoT Jobs ("Job rollout, scheduling, abort, timeout, and retry configurations", AWS
IoT Core Developer Guide): an abort rule is a failure type, a percentage and a minimum of executed
jobs.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.base.report.job import JobKind
from tools.common.errors import ToolError

FailureType = Literal["FAILED", "REJECTED", "TIMED_OUT", "ROLLED_BACK", "ALL"]
"""FAILED includes ROLLED_BACK, which is a job that failed after the new version had started."""
Percent = Annotated[float, Field(ge=0, le=100)]
_RULE = re.compile(r"(?P<failure>[A-Za-z_]+):(?P<percent>[0-9.]{1,6})(:(?P<least>[0-9]{1,6}))?")
_WAVE = re.compile(r"([0-9]{1,7})|([0-9]{1,3}(?:\.[0-9]{1,3})?)%")


class Closed(BaseModel):
    """Frozen; unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Wave(Closed):
    """How far a roll-out goes before it waits: so many devices, or so many percent of them."""

    count: Annotated[int, Field(ge=1, le=9_999_999)] | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Wave:
        if (self.count is None) == (self.percent is None):
            raise ValueError("a wave is a count or a percentage")
        return self

    def limit(self, pool: int) -> int:
        """Most devices of `pool` that may have a job by the end of this wave; 1 or more."""
        if self.count is not None:
            return min(self.count, pool)
        assert self.percent is not None
        return min(pool, max(1, math.ceil(round(pool * self.percent / 100, 6))))

    def __str__(self) -> str:
        return f"{self.count}" if self.count is not None else f"{self.percent:g}%"


class AbortRule(Closed):
    """Halts a roll-out when so many percent of its executed jobs ended that way."""

    failure: FailureType
    percent: Annotated[float, Field(gt=0, le=100)]
    least: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Executed jobs before the rule is looked at."""

    def __str__(self) -> str:
        return f"{self.failure} {self.percent:g}% of {self.least} or more"


class Gates(Closed):
    """What must hold of a wave before the next one opens."""

    succeeded: Percent = 95.0
    """At least so many percent of the wave's jobs SUCCEEDED."""
    failed: dict[FailureType, Percent] = {}
    """At most so many percent of the wave's jobs ended that way."""
    healthy: Percent = 90.0
    """At least so many percent of the wave's updated devices are online and perceive no worse than
    before their update."""
    within: Annotated[int, Field(ge=0, le=7 * 86_400)] = 600
    """Seconds after the wave's last job ended within which that health must be reached."""
    soak: Annotated[int, Field(ge=0, le=7 * 86_400)] = 600
    """Seconds after the wave's last job ended before the next wave may open."""


class Plan(Closed):
    """All that a roll-out was told when it was started."""

    kind: JobKind
    version: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$")]
    selection: Annotated[str, Field(max_length=10_000)] = "all"
    """A query (`tools.fleet.controller.query`), evaluated anew each time: devices that match later
    join."""
    waves: Annotated[tuple[Wave, ...], Field(min_length=1, max_length=20)]
    gates: Gates = Gates()
    abort: Annotated[tuple[AbortRule, ...], Field(max_length=20)] = (
        AbortRule(failure="ALL", percent=20, least=5),
    )
    timeout: Annotated[int, Field(ge=10, le=30 * 86_400)] = 7200
    """Seconds from a job's beginning after which it counts as TIMED_OUT."""
    away: Annotated[int, Field(ge=1, le=30 * 86_400)] = 600
    """Seconds offline after which a device that has not begun gives its place to another one. It
    gets its job when it is back."""
    continuous: bool = False
    """Never ends by itself: devices that appear later are always updated."""

    @model_validator(mode="after")
    def _waves_rise(self) -> Plan:
        for one, other in zip(self.waves, self.waves[1:], strict=False):
            if one.count and other.count and other.count <= one.count:
                raise ValueError("waves must rise")
            if one.percent and other.percent and other.percent <= one.percent:
                raise ValueError("waves must rise")
        return self


def parse_waves(text: str) -> tuple[Wave, ...]:
    """`1%,10%,50%,100%` or counts: `5,50,100%`. Raises `ToolError`."""
    waves = []
    for part in text.replace(" ", "").split(","):
        match = _WAVE.fullmatch(part)
        try:
            if match is None:
                raise ValueError
            waves.append(
                Wave(count=int(part)) if match[1] else Wave(percent=float(part.rstrip("%")))
            )
        except ValueError:
            raise ToolError(
                f"{part!r} is no wave. Give counts or percentages that rise: 1,10%,50%,100%."
            ) from None
    return tuple(waves)


def parse_rule(text: str) -> AbortRule:
    """`FAILED:5` or `ALL:10:20`: failure type, percent, minimum executed. Raises `ToolError`."""
    match = _RULE.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        return AbortRule.model_validate(
            {
                "failure": match["failure"].upper(),
                "percent": float(match["percent"]),
                "least": int(match["least"] or 1),
            }
        )
    except ValueError:
        raise ToolError(
            f"{text!r} is no abort rule. Give TYPE:PERCENT:LEAST, such as ALL:10:20; TYPE is "
            "FAILED, REJECTED, TIMED_OUT, ROLLED_BACK or ALL."
        ) from None


def read_plan(**fields: object) -> Plan:
    """A plan of what was typed. Raises `ToolError` that names each wrong field."""
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        what = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'plan'}: "
            f"{each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise ToolError(f"This cannot be rolled out: {what}. Correct it.") from None
