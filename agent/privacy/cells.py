"""A cell's noised numbers as its report type, quantized: post-processing, which costs no budget."""

from __future__ import annotations

from agent.base.report import (
    COUNT,
    SECONDS,
    SUM,
    TENTHS,
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
    quantize,
)
from agent.base.types import TONES, UNSURE
from agent.base.vocabulary import AnyCell
from agent.privacy.window import POLARITIES

_SUMS: tuple[AnyCell, ...] = ("valence", "arousal", "voice_valence", "voice_arousal")
_COUNTS: dict[AnyCell, type[ClosedModel]] = {
    "expression": ExpressionCounts,
    "attention": AttentionCounts,
    "dwell": DwellCounts,
    "tone": VisitTones,
    "speech": SpeechCounts,
    "words": SentimentCounts,
    "fused": SentimentCounts,
    "channels": ChannelCounts,
    "room_tone": ToneCounts,
    "room_words": SentimentCounts,
}
_NAMES: dict[AnyCell, tuple[str, ...]] = {
    "tone": (*TONES, UNSURE),
    "room_tone": (*TONES, UNSURE),
}
"""Fields in the order of the numbers, where that is not the declared one."""


def report_cell(cell: AnyCell, numbers: list[int], rate: float | None) -> ClosedModel:
    """`numbers`: noised, in the order of `ExactCounts`. `rate`: of the spotter's false alarms per
    analysable face-minute, None where unknown; for `micro`."""
    if cell in _SUMS:
        return ClippedSum(sum=quantize(SUM, numbers[0]))
    counts = [quantize(COUNT, number) for number in numbers]
    if cell == "micro":
        seconds = quantize(SECONDS, numbers[-1])
        return MicroCounts(
            **dict(zip(POLARITIES, counts, strict=False)),
            analysable_visits=counts[len(POLARITIES)],
            analysable_seconds=seconds,
            expected_false_alarms_tenths=_expected_false_alarms(seconds, rate),
        )
    shape = _COUNTS[cell]
    names = _NAMES.get(cell, tuple(shape.model_fields))
    return shape(**dict(zip(names, counts, strict=True)))


def _expected_false_alarms(seconds: int, rate: float | None) -> int | None:
    """Tenths, for noised seconds."""
    return None if rate is None else quantize(TENTHS, round(10 * rate * seconds / 60))
