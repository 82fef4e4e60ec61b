"""What every message has in common: closed models, bounded numbers, identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

Ranges = tuple[tuple[int, int, int], ...]
"""Integers that may be said: (least, most, step) of each stretch, ascending."""

SEQ_LIMIT = 2**24
"""Sequence numbers are below this and then begin again at 0, under another boot id."""

Boot = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", max_length=8)]
"""8 hex digits of a process start."""
Seq = Annotated[int, Field(ge=0, le=SEQ_LIMIT - 1)]
Hash8 = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", max_length=8)]
Hash16 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", max_length=16)]
Hash64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Utc = Annotated[int, Field(ge=1_700_000_000, le=4_102_444_800, multiple_of=10)]
"""UTC seconds, in tens."""
Offset = Annotated[int, Field(ge=0, le=999_999_990, multiple_of=10)]
"""Seconds on the machine's monotonic clock (or from the start of a file), in tens."""
Software = Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$", max_length=14)]
Trust = Literal["ntp", "rtc", "holdover", "none"]
PolicyName = Literal[
    "retail-eu", "retail-us-notice", "research-consented", "classroom", "medical-safety", "demo"
]


class Closed(BaseModel):
    """Frozen; unknown keys refused; no coercion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_serialization_defaults_required=True,
    )


def stepped(ranges: Ranges) -> Any:
    """The type of an integer that grows coarser away from zero: noise drowns the rest anyway, and
    what cannot be said cannot carry anything out."""
    stretches = [
        {"type": "integer", "minimum": low, "maximum": high, "multipleOf": step}
        for low, high, step in ranges
    ]
    return Annotated[int, AfterValidator(_within(ranges)), WithJsonSchema({"anyOf": stretches})]


def _within(ranges: Ranges) -> Callable[[int], int]:
    def check(value: int) -> int:
        for low, high, step in ranges:
            if low <= value <= high and value % step == 0:
                return value
        raise ValueError(f"is not one of {ranges} (least, most, step)")

    return check


def nearest(ranges: Ranges, value: int) -> int:
    """The sayable integer closest to `value`; post-processing, so it costs no privacy."""
    near = (min(max(step * round(value / step), low), high) for low, high, step in ranges)
    return min(near, key=lambda each: (abs(each - value), abs(each)))


def to_json(message: Closed) -> bytes:
    """The one byte form of a message: compact, keys in declared order."""
    return message.model_dump_json().encode()
