from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import fusion
from agent.base.types import UNSURE
from agent.fusion import Channel, fuse

PRIOR = np.array([0.3, 0.5, 0.2], np.float32)


def distributions() -> st.SearchStrategy[np.ndarray]:
    parts = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3)
    return parts.map(lambda p: np.array(p, np.float32) / np.float32(sum(p)))


@given(distributions(), st.floats(0.05, 5.0))
def test_one_channel_is_passed_on(said: np.ndarray, weight: float) -> None:
    found = fuse({"tone": Channel(said, weight)}, PRIOR)
    assert found is not None
    np.testing.assert_allclose(found.probabilities, said, atol=1e-5)


@given(distributions(), distributions(), st.floats(0.05, 2.0))
def test_a_missing_channel_changes_nothing(a: np.ndarray, b: np.ndarray, weight: float) -> None:
    alone = fuse({"face": Channel(a, weight)}, PRIOR)
    beside = fuse({"face": Channel(a, weight), "tone": Channel(b, 0.0)}, PRIOR)
    assert alone is not None
    assert beside is not None
    np.testing.assert_array_equal(alone.probabilities, beside.probabilities)
    assert beside.channels == ("face",)


@given(distributions(), distributions(), st.integers(0, 2), st.floats(1.0, 20.0))
def test_more_for_a_class_in_one_channel_is_never_less_in_all(
    a: np.ndarray, b: np.ndarray, k: int, odds: float
) -> None:
    raised = b.copy()
    raised[k] *= odds
    raised /= raised.sum()
    before = fuse({"face": Channel(a, 1.0), "tone": Channel(b, 0.7)}, PRIOR)
    after = fuse({"face": Channel(a, 1.0), "tone": Channel(raised, 0.7)}, PRIOR)
    assert before is not None
    assert after is not None
    assert after.probabilities[k] >= before.probabilities[k] - 1e-6


@given(distributions(), distributions(), distributions())
def test_order_does_not_matter(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    parts = {"face": Channel(a, 1.0), "tone": Channel(b, 0.5), "words": Channel(c, 0.8)}
    one, other = fuse(parts, PRIOR), fuse(dict(reversed(parts.items())), PRIOR)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_agreement_is_surer_than_either_beyond_the_prior() -> None:
    said = np.array([0.1, 0.3, 0.6], np.float32)
    both = fuse({"face": Channel(said, 1.0), "tone": Channel(said, 1.0)}, PRIOR)
    assert both is not None
    assert both.label == "positive"
    assert both.probabilities[2] > 0.6


def test_contradiction_is_unsure() -> None:
    good, ill = np.array([0.05, 0.1, 0.85], np.float32), np.array([0.9, 0.05, 0.05], np.float32)
    found = fuse({"face": Channel(good, 1.0), "words": Channel(ill, 1.0)}, PRIOR)
    assert found is not None
    assert found.label == UNSURE


def test_a_faint_channel_cannot_contradict() -> None:
    good, ill = np.array([0.05, 0.1, 0.85], np.float32), np.array([0.9, 0.05, 0.05], np.float32)
    found = fuse({"face": Channel(good, 1.0), "words": Channel(ill, 0.1)}, PRIOR)
    assert found is not None
    assert found.label == "positive"


def test_no_channel_is_no_reading() -> None:
    assert fuse({}, PRIOR) is None
    assert fuse({"tone": Channel(PRIOR, 0.0)}, PRIOR) is None


@pytest.mark.parametrize("table", [fusion.EXPRESSION_TO_POLARITY, fusion.TONE_TO_POLARITY])
def test_polarity_keeps_the_whole(table: np.ndarray) -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(len(table)), 5).astype(np.float32)
    for row in rows:
        assert fusion.polarity(row, table).sum() == pytest.approx(1.0, abs=1e-5)
