"""Calibration, votes and monotony on answers made up for the purpose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float, Grey
from agent.vision.faces.align import MEAN_SHAPE
from tools.common.bootstrap import Resampler, spearman
from tools.eval.expression import balance, metrics, training_card
from tools.eval.expression.evaluate import against_votes, crossfit, monotony
from tools.eval.expression.groups import by_group
from tools.eval.expression.metrics import calibration_error
from tools.eval.rendered import Sweeps


def test_calibration_error_by_hand() -> None:
    """Four answers at 0.95 of which three are right, one at 0.5 that is right."""
    sure = np.array([0.95] * 4 + [0.5], np.float32)
    right = np.array([1, 1, 1, 0, 1], bool)
    found = calibration_error(Resampler(range(5)), sure, right)
    assert found.value == pytest.approx((4 * 0.2 + 1 * 0.5) / 5, abs=1e-6)


def test_the_other_half_chooses_the_temperature() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 8, 600)
    logits = rng.normal(0, 1, (600, 8)).astype(np.float32)
    logits[np.arange(600), truth] += 2.0
    overdone = crossfit(logits * 5, truth)
    np.testing.assert_allclose(overdone, crossfit(logits * 2.5, truth), atol=0.02)
    assert overdone.sum(1) == pytest.approx(1.0, abs=1e-5)


def test_votes() -> None:
    votes = np.zeros((6, 10), np.uint8)
    votes[:3, 0], votes[3:, 1] = 9, 4
    votes[3:, 3] = 3
    logits = np.zeros((6, 8), np.float32)
    logits[[0, 1, 3, 4, 5], [0, 0, 1, 1, 3]] = 5.0
    logits[2, 1] = 0.1  # wrong and unsure
    report = against_votes(logits, votes, 1.0, 0.5)
    assert report["top1"]["value"] == pytest.approx(4 / 6, abs=1e-4)
    assert report["clear_top1"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["clear_top1"]["n"] == 3
    assert report["macro_recall"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["unsure"]["value"] == pytest.approx(1 / 6, abs=1e-4)
    assert report["kept_top1"]["value"] == pytest.approx(0.8)
    assert report["per_class"]["contempt"]["recall"]["value"] is None
    table = np.array(report["confusion"])
    assert (table.sum(), table[0, 1], table[1, 3]) == (6, 1, 1)
    assert sum(row["n"] for row in report["reliability"]) == 6


def _people(count: int = 4) -> Any:
    return SimpleNamespace(
        person=np.arange(count),
        source=["utkface"] * 3 + ["ytf"] * (count - 3),
        age=np.array([5, 25, 29, *[-1] * (count - 3)]),
        gender=np.array([0, 1, 1, *[-1] * (count - 3)]),
        race=np.array([2, 2, 4, *[-1] * (count - 3)]),
    )


def test_groups() -> None:
    probabilities = np.full((4, 8), 0.02, np.float32)
    probabilities[np.arange(4), [0, 1, 4, 7]] = 0.86
    sure = np.zeros((4, 7), np.float32)
    sure[np.arange(4), [0, 1, 0, 0]] = [0.9, 0.85, 0.95, 1.0]
    report = by_group(probabilities, _people(), 0.9, sure)
    assert report["age"]["3-12"]["faces"] == 1
    assert report["age"]["20-29"]["faces"] == report["gender"]["female"]["faces"] == 2
    assert report["race"]["Asian"]["named"]["neutral"]["value"] == 0.5
    women, men = report["gender"]["female"], report["gender"]["male"]
    assert women["errors"]["value"] == 0.5
    assert women["more_errors"]["value"] == 0.5
    assert men["more_errors"]["value"] == -0.5
    assert women["neutral_called_negative"]["value"] == 1.0
    assert women["neutral_called_negative"]["n"] == 1
    assert men["neutral_called_negative"]["value"] == 0.0
    assert women["unsure"]["value"] == 1.0
    assert report["age"]["60+"] == {**report["age"]["60+"], "faces": 0}


def test_errors_count_only_where_the_reference_is_sure() -> None:
    probabilities = np.eye(8, dtype=np.float32)[[0, 1, 2, 3]]
    sure = np.full((4, 8), 0.1, np.float32)
    sure[:, 7] = [0.3, 0.3, 0.3, 0.3]
    sure[0] = np.eye(8)[0]
    report = by_group(probabilities, _people(), 0.5, sure)
    assert report["gender"]["male"]["errors"]["value"] == 0.0
    assert report["gender"]["female"]["errors"]["value"] is None
    assert report["gender"]["female"]["reference_named"]["contempt"]["value"] == 1.0


def test_rank_correlation() -> None:
    up = np.array([0.0, 0.2, 0.4, 0.6], np.float32)
    assert spearman(up, np.exp(up)) == pytest.approx(1.0)
    assert spearman(up, -up) == pytest.approx(-1.0)
    assert spearman(up, np.ones(4, np.float32)) == 0.0
    assert spearman(up, np.array([0, 0, 1, 1])) == pytest.approx(2 / np.sqrt(5))


def test_monotony_sees_which_output_grows() -> None:
    """A network that reads brightness as AU12, and as a falling AU26."""
    unit, person, step = (each.ravel() for each in np.mgrid[: len(ACTION_UNITS), :3, :5])
    pictures = [np.full((64, 64), 40 + 40 * k, np.uint8) for k in step]
    points = np.tile((MEAN_SHAPE * 24 + 30).astype(np.float32), (len(pictures), 1, 1))
    sweeps = Sweeps(pictures, points, unit, (step / 4).astype(np.float32), person)

    def infer(crop: Grey) -> dict[str, Float]:
        units = np.full(12, 0.5, np.float32)
        level = float(crop[24, 24]) / 255
        units[ACTION_UNITS.index("AU12")] = level
        units[ACTION_UNITS.index("AU26")] = 1 - level
        return {"logits": np.zeros(8, np.float32), "action_units": units}

    flat = [0.0] * len(EXPRESSIONS)
    settings: dict[str, Any] = {"crop_iod": 26.0, "crop_centre_y": 0.21, "temperature": 1.0}
    settings |= {"unsure_below": 0.5, "valence": flat, "arousal": flat}
    report = monotony(infer, sweeps, settings)
    ranks = [report[unit]["spearman"]["value"] for unit in ("AU12", "AU26", "AU01")]
    assert ranks == [1.0, -1.0, 0.0]
    assert report["AU12"]["rise"]["value"] == pytest.approx(160 / 255, abs=0.01)
    assert report["AU12"]["others_rise"]["value"] == pytest.approx(-160 / 255 / 11, abs=0.01)
    assert report["AU12"]["rise"]["n"] == 3


@pytest.mark.slow
def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (4000, 8)).astype(np.float32)
    odds = metrics.softmax(honest)
    truth = (odds.cumsum(1) < rng.random((4000, 1))).sum(1).clip(0, 7)
    loud = honest * 2.0
    assert metrics.fit_temperature(loud, truth) == pytest.approx(2.0, rel=0.08)
    before = metrics.expected_calibration_error(metrics.softmax(loud), truth)
    after = metrics.expected_calibration_error(odds, truth)
    assert before > 0.1 > 0.03 > after


def test_threshold_is_the_lowest_that_reaches_the_target() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1.0, 20_000).astype(np.float32)
    right = rng.random(20_000) < sure
    probabilities = np.stack([sure, *[(1 - sure) / 7] * 7], 1)
    truth = np.where(right, 0, 1)
    threshold = metrics.choose_threshold(probabilities, truth)
    # accuracy above a threshold t is (t + 1) / 2, so 90 % is reached at 0.8
    assert threshold == pytest.approx(0.8, abs=0.015)
    share = metrics.kept(probabilities, truth, threshold)
    assert share["kept_accuracy"] >= 0.9
    assert share["kept"] == pytest.approx(0.2 / 0.7, abs=0.03)


def test_clear_majorities_and_recall_are_counted_apart() -> None:
    votes = np.zeros((4, 10), np.uint8)
    votes[[0, 1, 2, 3], [0, 0, 1, 4]] = [9, 5, 8, 6]
    logits = np.eye(8, dtype=np.float32)[[0, 1, 1, 5]]
    found = metrics.accuracy(logits, votes)
    assert found["top1"] == 0.5
    assert (found["clear_pictures"], found["clear_top1"]) == (3, 0.6667)
    assert found["per_class"]["neutral"] == {"pictures": 2, "recall": 0.5, "precision": 1.0}
    assert found["per_class"]["anger"] == {"pictures": 1, "recall": 0.0, "precision": None}
    assert found["per_class"]["fear"]["recall"] is None


def _skewed(count: int = 6000) -> tuple[Float, NDArray[np.int64], Float]:
    """Honest logits of classes of which three are rare and hard to see, and their shares."""
    shares = np.array([0.4, 0.25, 0.1, 0.1, 0.1, 0.02, 0.02, 0.01], np.float32)
    rng = np.random.default_rng(8)
    truth = rng.choice(8, count, p=shares / shares.sum())
    logits = rng.normal(0, 1, (count, 8)).astype(np.float32) + np.log(shares)
    logits[np.arange(count), truth] += 2.5
    return logits, truth, shares


def test_rare_classes_alone_are_adjusted_up_to_the_rarest_common_one() -> None:
    shares = _skewed()[2]
    assert not balance.adjustment(shares, 0.0).any()
    full = balance.adjustment(shares, 1.0)
    assert not full[:5].any()
    assert full[5:] == pytest.approx(np.log([5, 5, 10]), abs=1e-5)
    assert balance.adjustment(np.full(8, 1 / 8, np.float32), 1.0) == pytest.approx(0, abs=1e-6)


def test_balance_rises_at_a_price_that_is_kept() -> None:
    logits, truth, shares = _skewed()
    curve = balance.trade_off(logits, truth, shares)
    balanced = [point["balanced"] for point in curve]
    assert balanced[10] > balanced[0] + 0.03
    best = max(point["top1"] for point in curve)
    for price in (0.0, 0.002, 0.02):
        strength = balance.choose(curve, price)
        point = next(p for p in curve if p["strength"] == strength)
        assert point["top1"] >= best - price
        assert point["balanced"] >= balanced[0]
        said = (logits + balance.adjustment(shares, strength)).argmax(1)
        assert point["balanced"] == pytest.approx(balance.mean_recall(said, truth), abs=1e-4)
    assert balance.choose(curve, 1.0) > balance.choose(curve, 0.0)


def test_the_card_shows_what_balance_costs_and_which_point_is_shipped() -> None:
    logits, truth, shares = _skewed(800)
    votes = np.zeros((800, 10), np.uint8)
    votes[np.arange(800), truth] = 9
    curve = balance.trade_off(logits, truth, shares)
    units = metrics.units_against_teacher(
        np.eye(12, dtype=np.float32), np.eye(12, dtype=np.float32)
    )
    figures: dict[str, Any] = {
        "int8": metrics.accuracy(logits, votes),
        "float": 0.5,
        "int8_agrees_with_float": 1.0,
        "balance": {"strength": 0.55, "curve": curve},
        "network": {"parameters": 412_345, "channels": (16, 32), "blocks": (1, 1, 1)},
        "file": {
            "bytes": 1, "million_macs": 1.0, "delegated": 1.0,
            "one_thread": {"min_ms": 0.1, "median_ms": 0.1},
        },
        "calibration": {
            "temperature": 1.0, "ece_before": 0.1, "ece_crossfit": 0.1, "fitted_on": "x",
            "unsure_below": 0.5, "kept": 1.0, "kept_accuracy": 1.0,
        },
        "lfw_human_labels": {"top1": 0.5, "pictures": 2},
        "training": {"steps": 1, "passes": 1.0},
        "action_units_ferplus": units,
        "action_units_photographs": units,
    }  # fmt: skip
    text = training_card.table(figures)
    shipped = [row for row in text.splitlines() if "(shipped)" in row]
    point = next(p for p in curve if p["strength"] == 0.55)
    assert len(shipped) == 1
    assert f"{point['balanced']:.1%}" in shipped[0]
    assert sum(row.startswith("| 0.") or row.startswith("| 1.") for row in text.splitlines()) == 12
    assert "412,345 parameters" in text
    assert f"{figures['int8']['balanced']:.1%}" in text
    figures["balance"] = {"strength": 0.0, "curve": []}
    assert "(shipped)" not in training_card.table(figures)
