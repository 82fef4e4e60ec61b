"""What may leave the device, and nothing else. Not personal. Every field is closed and bounded.

The JSON Schemas in `agent/schemas/` are made from these models by `python -m agent.schemas`.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=-64, le=1023)]
"""A noised count; noise can make it negative."""
Hash16 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", max_length=16)]
PolicyName = Literal[
    "retail-eu", "retail-us-notice", "research-consented", "classroom", "medical-safety", "demo"
]
WindowLength = Literal[10, 60, 300, 900, 3600]
Cell = Literal["visits", "expression", "valence", "arousal", "attention", "dwell", "micro", "tone"]
Reason = Literal[
    "below_k",
    "fps_too_low",
    "face_too_small",
    "too_noisy",
    "no_evidence",
    "no_microphone",
    "policy",
]
Flag = Literal[
    "low_light",
    "throttled",
    "undervolt",
    "camera_restart",
    "fps_too_low_for_micro",
    "faces_skipped",
    "frames_dropped",
    "bad_timestamps",
    "frame_size_changed",
    "source_truncated",
    "window_merged",
    "saturated",
]


class Closed(BaseModel):
    """Frozen; unknown keys refused; no coercion."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_serialization_defaults_required=True,
    )


class Window(Closed):
    """The tumbling window a summary covers."""

    start: Annotated[int, Field(ge=1_700_000_000, le=4_102_444_800)] | None
    """UTC seconds; null while the clock is not trusted."""
    offset: Annotated[int, Field(ge=0, le=4_294_967_295)]
    """Seconds from the start of this boot (or of the file) to the window's start."""
    length: WindowLength
    """Seconds."""
    clock: Literal["ntp", "rtc", "holdover", "none"]
    merged: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Earlier windows of this slot, withheld then, whose visits are counted here."""


class ExpressionCounts(Closed):
    """Visits by dominant expression."""

    neutral: Count
    happiness: Count
    surprise: Count
    sadness: Count
    anger: Count
    disgust: Count
    fear: Count
    contempt: Count
    unsure: Count


class ClippedSum(Closed):
    """Sum over visits of a mean in [-100, 100], an integer per visit."""

    sum: Annotated[int, Field(ge=-102_400, le=102_400)]
    clip: Literal[100] = 100


class AttentionCounts(Closed):
    """Visits by seconds spent facing the camera."""

    under_1: Count
    from_1_to_5: Count
    from_5_to_15: Count
    over_15: Count


class DwellCounts(Closed):
    """Visits by seconds in view."""

    under_5: Count
    from_5_to_15: Count
    from_15_to_30: Count
    from_30_to_60: Count
    over_60: Count


class MicroCounts(Closed):
    """Visits that showed at least one micro-expression of a polarity.

    Some of them are false alarms: all four counts together are to be compared with
    `expected_false_alarms_tenths`. Where noise is added a visit counts under two polarities and for
    120 analysable seconds at most, which bounds its influence; add windows up before comparing.
    """

    positive: Count
    negative: Count
    surprise: Count
    unspecified: Count
    analysable_visits: Count
    """Visits in which one could be seen for a second or more: what the four counts are out of."""
    analysable_seconds: Annotated[int, Field(ge=-122_880, le=122_880)]
    """Seconds in which one could be seen, summed over visits: frame rate high, face large
    and landmarks quiet enough."""
    expected_false_alarms_tenths: Annotated[int, Field(ge=-102_400, le=102_400)] | None
    """Tenths of movements that the spotter reports by chance in that time; null where its
    threshold is not the one that its false-alarm rate was measured at."""


class ToneCounts(Closed):
    """Stretches of speech by tone; null until a microphone takes part."""

    angry: Count
    happy: Count
    sad: Count
    neutral: Count
    unsure: Count


class Withheld(Closed):
    """A cell that was left out, and why."""

    cell: Cell
    reason: Reason


class Privacy(Closed):
    """How the counts were protected."""

    unit: Literal["visit"] = "visit"
    mechanism: Literal["discrete_laplace", "none"]
    epsilon_milli: Annotated[int, Field(ge=0, le=10_000)]
    """Thousandths of epsilon, per visit; 0 when no noise is added."""
    k: Annotated[int, Field(ge=1, le=100)]


def _flags_once(flags: tuple[Flag, ...]) -> tuple[Flag, ...]:
    if list(flags) != [flag for flag in get_args(Flag) if flag in flags]:
        raise ValueError("flags stand once each, in declared order")
    return flags


class Quality(Closed):
    """How far the window can be trusted. Rounded where noise is added: load betrays presence."""

    fps: Annotated[int, Field(ge=0, le=240)]
    """Analysed frames per second."""
    usable: Annotated[int, Field(ge=0, le=100)]
    """Percent of the window's frames that were analysed."""
    flags: Annotated[
        tuple[Flag, ...],
        Field(max_length=len(get_args(Flag)), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_flags_once),
    ]


def _cells_once(withheld: tuple[Withheld, ...]) -> tuple[Withheld, ...]:
    cells = [item.cell for item in withheld]
    if cells != [cell for cell in get_args(Cell) if cell in cells]:
        raise ValueError("withheld cells stand once each, in declared order")
    return withheld


class Summary(Closed):
    """One tumbling window of one content slot. Only `privacy.release` builds it."""

    v: Literal[1] = 1
    boot: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", max_length=8)]
    seq: Annotated[int, Field(ge=0, le=4_294_967_295)]
    window: Window
    slot: Annotated[int, Field(ge=0, le=255)]
    visits: Count | None
    expression: ExpressionCounts | None
    valence: ClippedSum | None
    arousal: ClippedSum | None
    attention: AttentionCounts | None
    dwell: DwellCounts | None
    micro: MicroCounts | None
    tone: ToneCounts | None
    withheld: Annotated[
        tuple[Withheld, ...],
        Field(max_length=len(get_args(Cell)), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_cells_once),
    ]
    """One entry for every cell that is null."""
    privacy: Privacy
    quality: Quality
    model: Hash16
    policy: PolicyName
    policy_hash: Hash16

    @model_validator(mode="after")
    def _null_cells_say_why(self) -> Summary:
        null = {cell for cell in get_args(Cell) if getattr(self, cell) is None}
        if null != {item.cell for item in self.withheld}:
            raise ValueError("a cell is null exactly where `withheld` gives its reason")
        return self


class Meta(Closed):
    """Birth certificate, retained: what this device runs."""

    v: Literal[1] = 1
    boot: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", max_length=8)]
    software: Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$", max_length=14)]
    model: Hash16
    policy: PolicyName
    policy_hash: Hash16
    schemas: tuple[Literal["urn:fleeting:summary:1"], Literal["urn:fleeting:meta:1"]] = (
        "urn:fleeting:summary:1",
        "urn:fleeting:meta:1",
    )


def to_json(message: Closed) -> bytes:
    """The one byte form of a message: compact, keys in declared order."""
    return message.model_dump_json().encode()
