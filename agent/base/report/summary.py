"""Summaries: what windows of visits say. Closed, bounded, noised where the policy asks for it.

Numbers of visits are exact while they are small and coarser where the noise is coarser anyway.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from agent.base.report.base import Boot, ClosedModel, Hash8, Offset, Quantized, Ranges, Seq, Utc
from agent.base.vocabulary import Cell, Flag, PolicyName, Reason, WindowLength

COUNT: Ranges = (
    (-256, -80, 16),
    (-64, 64, 1),
    (68, 128, 4),
    (136, 256, 8),
    (272, 1008, 16),
)
SECONDS: Ranges = (
    (-122_400, -24_600, 600),
    (-24_000, -1_080, 120),
    (-1_000, 1_000, 1),
    (1_080, 24_000, 120),
    (24_600, 122_400, 600),
)
TENTHS: Ranges = (
    (-10_200, -2_100, 100),
    (-2_000, -120, 20),
    (-100, 100, 1),
    (120, 2_000, 20),
    (2_100, 10_200, 100),
)
SUM: Ranges = (
    (-102_000, -20_500, 500),
    (-20_000, -1_100, 100),
    (-1_000, 1_000, 1),
    (1_100, 20_000, 100),
    (20_500, 102_000, 500),
)
FPS: Ranges = ((0, 10, 1), (15, 60, 5), (70, 240, 10))

Count = Annotated[int, Quantized(COUNT)]
"""A noised count, exact to 64, then in fours, eights and sixteens; noise can make it negative."""
Seconds = Annotated[int, Quantized(SECONDS)]
Tenths = Annotated[int, Quantized(TENTHS)]
Sum = Annotated[int, Quantized(SUM)]


Merged = Annotated[int, Field(ge=0, le=255)]
"""Earlier windows of this slot, withheld then, whose visits are counted here; 255: or more."""


class TimedWindow(ClosedModel):
    """A tumbling window whose wall time somebody vouches for."""

    start: Utc
    offset: None = None
    length: WindowLength
    """Seconds."""
    clock: Literal["ntp", "rtc", "holdover"]
    merged: Merged = 0


class UntimedWindow(ClosedModel):
    """A tumbling window while the clock is not trusted: placed by `Meta.epoch` once it is."""

    start: None = None
    offset: Offset
    """To the window's start, on the clock of this boot (or of the file)."""
    length: WindowLength
    clock: Literal["none"] = "none"
    merged: Merged = 0


class ExpressionCounts(ClosedModel):
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


class ClippedSum(ClosedModel):
    """Sum over visits of a mean in [-100, 100], an integer per visit."""

    sum: Sum
    clip: Literal[100] = 100


class AttentionCounts(ClosedModel):
    """Visits by seconds spent facing the camera."""

    under_1: Count
    from_1_to_5: Count
    from_5_to_15: Count
    over_15: Count


class DwellCounts(ClosedModel):
    """Visits by seconds in view."""

    under_5: Count
    from_5_to_15: Count
    from_15_to_30: Count
    from_30_to_60: Count
    over_60: Count


class MicroCounts(ClosedModel):
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
    analysable_seconds: Seconds
    """Seconds in which one could be seen, summed over visits: frame rate high, face large
    and landmarks quiet enough."""
    expected_false_alarms_tenths: Tenths | None
    """Tenths of movements that the spotter reports by chance in that time; null where its
    threshold is not the one that its false-alarm rate was measured at."""


class ToneCounts(ClosedModel):
    """Stretches of speech by tone; null until a microphone takes part."""

    angry: Count
    happy: Count
    sad: Count
    neutral: Count
    unsure: Count


REASONS: dict[Cell, tuple[Reason, ...]] = {
    "visits": ("below_k",),
    "passing": ("below_k", "policy"),
    "expression": ("below_k", "policy"),
    "valence": ("below_k", "policy"),
    "arousal": ("below_k", "policy"),
    "attention": ("below_k", "policy"),
    "dwell": ("below_k", "policy"),
    "micro": ("below_k", "policy", "fps_too_low", "face_too_small", "too_noisy", "no_evidence"),
    "tone": ("below_k", "policy", "no_microphone"),
}
"""Why a cell can be missing."""


class Withheld(ClosedModel):
    """A cell that was left out, and why."""

    cell: Cell
    reason: Reason

    @model_validator(mode="after")
    def _reason_fits(self) -> Withheld:
        if self.reason not in REASONS[self.cell]:
            raise ValueError(f"{self.cell} is never withheld for {self.reason}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """One form per cell, with that cell's reasons."""
        schema = handler.resolve_ref_schema(handler(core))
        forms = [
            {
                "additionalProperties": False,
                "properties": {"cell": {"const": cell}, "reason": {"enum": list(reasons)}},
                "required": ["cell", "reason"],
                "type": "object",
            }
            for cell, reasons in REASONS.items()
        ]
        return {"anyOf": forms, "description": schema["description"], "title": "Withheld"}


class Privacy(ClosedModel):
    """How the counts were protected."""

    unit: Literal["visit"] = "visit"
    mechanism: Literal["discrete_laplace", "none"]
    epsilon_milli: Annotated[int, Field(ge=0, le=4_000, multiple_of=10)]
    """Thousandths of epsilon, per visit; 0 when no noise is added."""
    k: Annotated[int, Field(ge=1, le=100)]


def _flags_once(flags: tuple[Flag, ...]) -> tuple[Flag, ...]:
    if list(flags) != [flag for flag in get_args(Flag) if flag in flags]:
        raise ValueError("flags stand once each, in declared order")
    return flags


class Quality(ClosedModel):
    """How far the window can be trusted. Rounded where noise is added: load betrays presence."""

    fps: Annotated[int, Quantized(FPS)]
    """Analysed frames per second, exact to 10, then in fives and tens; in fives where noise is
    added."""
    usable: Annotated[int, Field(ge=0, le=100, multiple_of=5)]
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


class Summary(ClosedModel):
    """One tumbling window of one content slot. Only `privacy.release` builds it."""

    v: Literal[1] = 1
    boot: Boot
    seq: Seq
    window: TimedWindow | UntimedWindow
    slot: Annotated[int, Field(ge=0, le=255)]
    shown: Annotated[int, Field(ge=0, le=100, multiple_of=5)]
    """Percent of this window's length for which the slot was on show while somebody could have been
    seen. From the kiosk's word, not from faces: no noise."""
    visits: Count | None
    passing: Count | None
    """Stays that were too short for a visit: people who passed by. With the visits, all who could
    have looked."""
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
    model: Hash8
    """The first half of `Meta.model`."""
    policy: PolicyName
    policy_hash: Hash8
    """The first half of `Meta.policy_hash`."""

    @model_validator(mode="after")
    def _null_cells_say_why(self) -> Summary:
        null = {cell for cell in get_args(Cell) if getattr(self, cell) is None}
        if null != {item.cell for item in self.withheld}:
            raise ValueError("a cell is null exactly where `withheld` gives its reason")
        return self
