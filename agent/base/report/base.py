"""Common to all messages: closed models, bounded integers, identifiers, canonical JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import core_schema

Ranges = tuple[tuple[int, int, int], ...]
"""Permitted integers: (minimum, maximum, step) of each range, ascending."""

SEQ_LIMIT = 2**24
"""Sequence numbers wrap to 0 here."""

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


class ClosedModel(BaseModel):
    """Frozen; unknown keys refused; no coercion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_serialization_defaults_required=True,
    )


Message = TypeVar("Message", bound=ClosedModel)


@dataclass(frozen=True, slots=True)
class Quantized:
    """Annotates an integer quantized more coarsely away from zero: the noise exceeds the lost
    precision, and fewer permitted values limit a covert channel."""

    ranges: Ranges

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "integer", "minimum": low, "maximum": high, "multipleOf": step}
                for low, high, step in self.ranges
            ]
        }

    def _check(self, value: int) -> int:
        for low, high, step in self.ranges:
            if low <= value <= high and value % step == 0:
                return value
        raise ValueError(f"is not one of {self.ranges} (least, most, step)")


def quantize(ranges: Ranges, value: int) -> int:
    """The permitted integer closest to `value`; post-processing, so it costs no privacy budget."""
    near = (min(max(step * round(value / step), low), high) for low, high, step in ranges)
    return min(near, key=lambda each: (abs(each - value), abs(each)))


def to_json(message: ClosedModel) -> bytes:
    """The canonical JSON of a message: compact, keys in declared order."""
    return message.model_dump_json().encode()


def from_json(kind: type[Message], data: bytes) -> Message | None:
    """The message whose canonical JSON is `data`; None for anything else."""
    try:
        message = kind.model_validate_json(data)
    except ValueError:
        return None
    return message if to_json(message) == data else None
