"""The two-worlds benchmark: its simulation is the agent's, and its attacks are worth the name."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from math import exp, sqrt

import numpy as np
import pytest

from agent.base.vocabulary import PolicyName
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import PROFILES
from agent.privacy.publishing import ALPHA
from tests.privacy.test_noise import fit
from tools.bench import __main__ as bench
from tools.bench.worlds import day, empty
from tools.bench.worlds.attack import auc, bound, features, likelihood, linear
from tools.bench.worlds.day import Days, check, laplace, publish
from tools.bench.worlds.measure import configuration
from tools.bench.worlds.visitors import background, kinds, layout, stranger
from tools.common.errors import ToolError

NOISED = [name for name, profile in PROFILES.items() if profile.max_epsilon is not None]


@pytest.mark.parametrize("scale", [Fraction(5, 2), Fraction(5), Fraction(1000)], ids=str)
def test_the_fast_noise_and_the_agents_follow_one_distribution(scale: Fraction) -> None:
    rng = random.Random(3)
    fast = laplace(np.random.default_rng(3), np.array([float(scale)]), 20_000).ravel()
    assert fit(fast.tolist(), scale) > 1e-3
    assert fit([discrete_laplace(scale, rng) for _ in range(20_000)], scale) > 1e-3


@pytest.mark.parametrize("name", NOISED)
@pytest.mark.slow
def test_the_simulation_publishes_what_the_releaser_publishes(name: PolicyName) -> None:
    config, policy = configuration(name)
    shape = layout(policy)
    rng = np.random.default_rng(2)
    rates = rng.choice([0.0, 2.0, 12.0, 60.0, 500.0], 48)
    counts = background(rng, rates, kinds(random.Random(2), shape), 8)
    noise = laplace(rng, shape.scales, 8, 48)
    check(config, policy, shape, counts, noise)
    days = publish(counts, noise, policy, shape)
    assert 0 < days.published.sum() < days.published.size
    assert (days.windows > 1).any()
    if "micro" in shape.places:
        assert 0 < days.micro.sum() < days.published.sum()


@pytest.mark.parametrize("flaw", ["threshold", "noise", "step"])
def test_a_simulation_of_another_agent_is_noticed(
    flaw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, policy = configuration("retail-eu")
    shape = layout(policy)
    rng = np.random.default_rng(4)
    counts = background(rng, np.full(24, 20.0), kinds(random.Random(4), shape), 3)
    noise = laplace(rng, shape.scales, 3, 24)
    limits, steps = day.thresholds(policy, 24), day._steps("count").copy()
    if flaw == "threshold":
        monkeypatch.setattr(day, "thresholds", lambda *_: limits + 4)
    elif flaw == "noise":
        shape.scales[3] *= 2
    else:
        monkeypatch.setattr(day, "_steps", lambda _: np.where(steps > 20, steps + 1, steps))
    with pytest.raises(ToolError):
        check(config, policy, shape, counts, noise)


def test_the_background_is_as_many_visits_as_it_says() -> None:
    _, policy = configuration("retail-eu")
    shape = layout(policy)
    among = kinds(random.Random(1), shape)
    assert set(among[:, 0]) == {1}
    rates = np.array([0.0, 3.0, 30.0])
    counts = background(np.random.default_rng(1), rates, among, 3000)
    assert np.allclose(counts[:, :, 0].mean(0), rates, rtol=0.05)
    for cell in ("expression", "attention", "dwell"):
        assert np.array_equal(counts[:, :, shape.places[cell]].sum(2), counts[:, :, 0])


def test_the_person_spends_all_but_the_share_of_who_passes_by() -> None:
    _, policy = configuration("retail-eu")
    shape = layout(policy)
    spent = float((np.abs(stranger(shape)) / shape.scales).sum())
    left = float(policy.epsilon("passing"))
    assert spent == pytest.approx(policy.epsilon_milli / 1000 - left)
    assert len({tuple(each) for each in kinds(random.Random(1), shape)}) > 50


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 6, 80).astype(float), rng.integers(1, 8, 70).astype(float)
    pairs = [(b > a) + (b == a) / 2 for a in one for b in other]
    found = auc(one, other)
    assert found.value == pytest.approx(sum(pairs) / len(pairs))
    assert found.low < found.value < found.high


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Normal scores one apart have an area of .7602."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        found = auc(rng.normal(0, 1, 120), rng.normal(1, 1, 120))
        covered += found.low <= 0.7602 <= found.high
    assert 0.91 < covered / 400 < 0.985


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_randomised_response_reaches_the_bound_and_noise_stays_below(epsilon: float) -> None:
    lie = 1 / (1 + exp(epsilon))
    response = (1 - lie) ** 2 + lie * (1 - lie)  # truth against lie, and half of the ties
    assert bound(epsilon) == pytest.approx(response)
    rng = np.random.default_rng(8)
    noise = laplace(rng, np.array([1 / epsilon]), 200_000)[:, 0]
    found = auc(noise[::2].astype(float), (noise[1::2] + 1).astype(float))
    assert found.low < bound(epsilon)
    assert found.value > 0.5 + (bound(epsilon) - 0.5) / 2


def few_days(less: float, seed: int) -> tuple[Days, ...]:
    """Days of one window, without and with a person, with `less` times less noise."""
    _, policy = configuration("retail-eu")
    shape = layout(policy)
    rng = np.random.default_rng(seed)
    counts = background(rng, np.array([100.0]), kinds(random.Random(seed), shape), 800)
    noise = laplace(rng, shape.scales / less, 2, 800, 1)
    worlds = (counts, counts + stranger(shape))
    return tuple(publish(w, n, policy, shape) for w, n in zip(worlds, noise, strict=True))


def test_the_attacks_find_a_person_where_noise_is_missing_and_not_where_it_is() -> None:
    _, policy = configuration("retail-eu")
    shape = layout(policy)
    presence = np.ones(1, np.int32)
    bare, full = (
        auc(*linear(*(features(days, shape, presence) for days in few_days(less, 6))))
        for less in (1000.0, 1.0)
    )
    assert bare.value > 0.95
    assert full.low < bound(1.0)


def test_the_likelihood_ratio_is_that_of_the_noise() -> None:
    """Against the sum over all numbers, worked out by hand for one window."""
    _, policy = configuration("classroom")
    shape = layout(policy)
    others = np.zeros((1, 1, shape.size), np.int32)
    target = np.zeros(shape.size, np.int32)
    target[0] = target[2] = 1
    values = np.zeros((1, 1, shape.size), np.int32)
    values[0, 0, 0], values[0, 0, 2] = 9, -3
    days = Days(np.ones((1, 1), bool), np.ones((1, 1), np.int32), values, np.zeros((1, 1), bool))
    score = likelihood(days, shape, others, target, np.ones(1, np.int32))
    assert score[0] == pytest.approx(1 / shape.scales[0] - 1 / shape.scales[2], abs=1e-6)


@pytest.mark.slow
def test_the_command_prints_each_pair_beside_what_epsilon_allows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["worlds", "--days", "150", "--visits", "40", "--stay", "2", "--rate", "20", "--json"]
    assert bench.main([*asked, "--person", "worst"]) == 0
    out = capsys.readouterr().out
    report = json.loads(out.splitlines()[-1])
    assert [row["visits"] for row in report["rows"]] == [1, 1, 2, 40]
    for row in report["rows"]:
        assert row["bound"] == pytest.approx(1 / (1 + exp(-row["visits"])), abs=1e-4)
        assert row["likelihood"]["low"] <= row["bound"]
    assert report["rows"][3]["likelihood"]["low"] > 0.9, "one who comes forty times is found"
    assert "0 or 40 visits of one person" in out


@pytest.mark.parametrize("asked", [["--policy", "demo"], ["--days", "5"], ["--rate", "-1"]])
def test_what_cannot_be_measured_is_refused(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["worlds", *asked]) != 0
    assert "worlds" not in capsys.readouterr().out


@pytest.mark.slow
def test_empty_days_are_counted_for_every_profile() -> None:
    report = empty.measure(days=200, seed=3)
    assert [row["policy"] for row in report["profiles"]] == NOISED
    chance = 4 * sqrt(float(ALPHA) / 200)
    for row in report["profiles"]:
        assert max(row["published"].values()) <= float(ALPHA) + chance, row["policy"]
    rules = {row["rule"]: row for row in report["rules"]}
    assert rules["2 deviations at each look"]["empty"] > 3 * ALPHA
    for rate in ("3", "10", "30"):
        assert rules["this rule"]["windows"][rate] >= 1
    assert "killed hourly" in empty.empty_text(report)
