"""The protocol counts what its words say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tools.micro.score import match, overlaps, pooled, recall_by, score


@dataclass(frozen=True)
class Span:
    onset: float
    offset: float

    @property
    def apex(self) -> float:
        return (self.onset + self.offset) / 2


def test_half_an_overlap_is_a_hit_and_less_is_not() -> None:
    for span, hit in ((1.0, 1.2), 1), ((1.0, 1.199), 0), ((0.9, 1.7), 1), ((0.9, 1.71), 0):
        assert len(score([Span(1.0, 1.4)], [Span(*span)], 1.0).pairs) == hit


def test_one_prediction_over_two_truths_counts_once() -> None:
    # Each truth is half of the prediction: the published scorers would count two hits.
    found = score([Span(0.0, 0.5), Span(0.5, 1.0)], [Span(0.0, 1.0)], 1.0)
    assert (len(found.pairs), found.false) == (1, ())
    figures = pooled([found])
    assert figures["f1"]["value"] == pytest.approx(2 / 3, abs=1e-4)


def test_two_predictions_over_one_truth_are_a_hit_and_a_false_alarm() -> None:
    found = score([Span(0.0, 0.5)], [Span(0.0, 0.4), Span(0.01, 0.5)], 1.0)
    assert found.pairs == ((0, 1),)
    assert found.false == (0,)


def test_matching_agrees_with_trying_everything() -> None:
    rng = np.random.default_rng(0)

    def most(allowed: np.ndarray) -> int:
        if not len(allowed):
            return 0
        rest = most(allowed[1:])
        for column in np.flatnonzero(allowed[0]):
            left = allowed[1:].copy()
            left[:, column] = False
            rest = max(rest, 1 + most(left))
        return rest

    for _ in range(60):
        overlap = rng.uniform(size=(rng.integers(1, 6), rng.integers(1, 6))) ** 1.5
        pairs = match(overlap)
        assert len(pairs) == most(overlap >= 0.5)
        assert all(overlap[pair] >= 0.5 for pair in pairs)
        assert len({t for t, _ in pairs}) == len({p for _, p in pairs}) == len(pairs)


def test_counts_are_summed_before_f1_is_taken() -> None:
    good = score([Span(0, 0.4)], [Span(0, 0.4)], 1.0)
    bad = score([Span(0, 0.4)], [Span(k, k + 0.4) for k in range(5, 12)], 2.0)
    figures = pooled([good, bad])
    assert figures["f1"]["value"] == pytest.approx(2 * 1 / (8 + 2))
    assert [figures[k]["value"] for k in ("precision", "recall")] == pytest.approx([1 / 8, 0.5])
    assert figures["false_per_minute"]["value"] == pytest.approx(7 / 3, abs=1e-4)
    assert figures["f1"]["low"] <= figures["f1"]["value"] <= figures["f1"]["high"]


def test_errors_are_of_hits_and_signed() -> None:
    figures = pooled([score([Span(1.0, 1.4)], [Span(1.05, 1.41), Span(3.0, 3.2)], 1.0)])
    assert figures["onset"] == {"mae": 0.05, "bias": 0.05}
    assert figures["offset"] == {"mae": 0.01, "bias": 0.01}
    assert figures["iou"] == pytest.approx(0.35 / 0.41, abs=1e-4)


def test_nothing_to_find_and_nothing_found() -> None:
    assert overlaps([], []).shape == (0, 0)
    empty = pooled([score([], [], 1.0)])
    figures = [empty[name]["value"] for name in ("f1", "recall", "false_per_minute")]
    assert figures == [None, None, 0.0]
    silent = pooled([score([Span(0, 1)], [], 1.0)])
    assert (silent["f1"]["value"], silent["hits"], silent["truths"]) == (0.0, 0, 1)


def test_recall_in_classes_puts_limits_above() -> None:
    rows = recall_by([1.0, 2.0, 2.5, 7.0], [False, True, False, True], [0.0, 2.0, 3.0, np.inf])
    assert [(row["recall"], row["n"]) for row in rows] == [(0.0, 1), (0.5, 2), (1.0, 1)]
    assert rows[-1]["to"] is None
