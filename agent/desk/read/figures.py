"""The numbers of a summary: names, units, ranges of rounding, and how much of a cell's noise each
has.

A figure is called CELL_NUMBER, as in the collector's table `slots`; `visits` and `passing` are
their cells' own.
"""

from __future__ import annotations

from typing import Literal

from agent.base.report import (
    COUNT,
    SECONDS,
    SUM,
    AttentionCounts,
    ChannelCounts,
    ClippedSum,
    ClosedModel,
    DwellCounts,
    ExpressionCounts,
    MicroCounts,
    SentimentCounts,
    SpeechCounts,
    ToneCounts,
    VisitTones,
)
from agent.base.report.base import Ranges
from agent.base.vocabulary import AnyCell
from agent.desk.read.noise import CELLS
from agent.desk.read.noise import SECONDS as SECONDS_FACTOR

Unit = Literal["visits", "passers-by", "stays", "stretches of speech", "s", "hundredths"]

_SHAPES: dict[AnyCell, type[ClosedModel]] = {
    "expression": ExpressionCounts,
    "valence": ClippedSum,
    "arousal": ClippedSum,
    "attention": AttentionCounts,
    "dwell": DwellCounts,
    "micro": MicroCounts,
    "tone": VisitTones,
    "speech": SpeechCounts,
    "voice_valence": ClippedSum,
    "voice_arousal": ClippedSum,
    "words": SentimentCounts,
    "fused": SentimentCounts,
    "channels": ChannelCounts,
    "room_tone": ToneCounts,
    "room_words": SentimentCounts,
}
CELL_FIGURES: dict[AnyCell, tuple[str, ...]] = {
    cell: tuple(f"{cell}_{name}" for name in _SHAPES[cell].model_fields if name != "clip")
    if cell in _SHAPES
    else (cell,)
    for cell in CELLS
}
"""The numbers of each cell."""
OPPORTUNITIES: frozenset[str] = frozenset(("visits", "passing"))
"""Figures that may be added: a stay is one or the other, both are all who could have looked."""
CHANCE = "micro_expected_false_alarms_tenths"
"""Computed on the device from the noised `micro_analysable_seconds`: has their noise and no other,
and so no interval of its own."""
FIGURES: dict[str, AnyCell] = {
    name: cell for cell, names in CELL_FIGURES.items() for name in names if name != CHANCE
}
"""The cell of every figure that has noise of its own."""
PARTITIONS: tuple[AnyCell, ...] = ("expression", "attention", "dwell")
"""Cells in which each visit counts once, so that their numbers add up to the visits. They do not
where a place's visits were capped (`agent.privacy.window`): a poster, a face that flickers."""


def unit(figure: str) -> Unit:
    """What a figure counts; figures of different units are not added."""
    if figure == "micro_analysable_seconds":
        return "s"
    if figure == "passing":
        return "passers-by"
    if figure.endswith("_sum"):
        return "hundredths"
    return "stretches of speech" if figure.startswith("room_") else "visits"


def ranges(figure: str) -> Ranges:
    """The integers that a figure is rounded to."""
    kind = unit(figure)
    return SECONDS if kind == "s" else SUM if kind == "hundredths" else COUNT


def factor(figure: str) -> float:
    """Its noise has so many times the b of its cell."""
    return SECONDS_FACTOR if unit(figure) == "s" else 1.0


def at_least_zero(figure: str) -> bool:
    """Whether the truth cannot be negative."""
    return unit(figure) != "hundredths"
