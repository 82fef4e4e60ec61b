"""Differencing attacks by an attacker who knows all visits but one."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig, StoreConfig
from agent.base.report import Summary, to_json
from agent.base.settings_file import parse
from agent.base.types import Visit
from agent.base.vocabulary import AnyCell
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.releaser import Releaser
from agent.privacy.window import SENSITIVITY, ExactCounts, Window
from agent.wall.outbox import Outbox
from tests.privacy.people import MODEL, Person, frames
from tests.privacy.worlds import admit, loss, run

HOURS = 10


def shop(epsilon: float = 1.0, **privacy: object) -> AgentConfig:
    """A shop in the EU with the profile's defaults: windows of 900 s, k = 10."""
    settings = {"policy": "retail-eu", "notice_shown": True, "epsilon": epsilon, **privacy}
    return parse({"privacy": settings}, "test")


def visit(rng: random.Random, last: float) -> Visit:
    """A random visit."""
    stay, estimates = rng.expovariate(1 / 20) + 0.5, rng.randrange(1, 40)
    expression = np.zeros(8, np.float32)
    expression[rng.choice((0, 0, 0, 1, 2, 4))] = estimates
    return Visit(
        0, last - stay, last, 0,
        attention=stay * rng.random(), expression=expression, estimates=estimates,
        valence=estimates * rng.uniform(-1, 1), arousal=estimates * rng.uniform(-1, 1),
        micro=set(rng.sample(("positive", "negative"), rng.randrange(3))),
        analysable=stay, size=80.0,
    )  # fmt: skip


def worst(last: float) -> Visit:
    """A visit at every contribution bound."""
    shown = np.zeros(8, np.float32)
    shown[5] = 9.0
    return Visit(
        0, last - 300, last, 0,
        attention=300.0, expression=shown, estimates=9, valence=-9.0, arousal=9.0,
        micro={"positive", "negative", "surprise"}, analysable=300.0, size=80.0,
    )  # fmt: skip


def day(rng: random.Random) -> list[Visit]:
    """One arrival a minute, none around noon: windows that are withheld and merged."""
    times = np.cumsum([rng.expovariate(1 / 60) for _ in range(HOURS * 60)])
    return [
        visit(rng, float(time))
        for time in times
        if time < HOURS * 3600 - 10 and not 4 * 3600 < time < 6 * 3600
    ]


def test_over_a_whole_day_no_visit_costs_more_than_epsilon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The analytic bound: the log of the worst likelihood ratio of all summaries with and without a
    visit is the sum of differences over scales. No visit takes part twice."""
    settings = shop()
    policy = resolve(settings)
    rng = random.Random(12)
    visits = day(rng)
    end = HOURS * 3600
    for target in [*rng.sample(visits, 6), worst(700.0), worst(5 * 3600.0), worst(end - 45.0)]:
        others = [each for each in visits if each is not target]
        whole = run(monkeypatch, admit([*others, target], end, 30.0), settings)
        less = run(monkeypatch, admit(others, end, 30.0), settings)
        assert whole.published == less.published
        assert any(summary.window.merged for summary in whole.summaries)
        spent = loss(policy, whole.draws, less.draws)
        assert 0 < spent <= Fraction(policy.epsilon_milli, 1000)
        moved = [cell for (cell, a), (_, b) in zip(whole.draws, less.draws, strict=True) if a != b]
        assert len(moved) == len(set(moved))


def test_the_bound_is_not_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit at every contribution bound spends all but the share of those who pass by, and one
    that would else have passed by spends the whole epsilon."""
    settings = shop()
    for others in (0, 40):  # alone, and among many
        worlds = [
            run(monkeypatch, admit([worst(15.0)] * n, 20, 0.04), settings, least=100).draws
            for n in (others, others + 1)
        ]
        policy = resolve(settings)
        assert loss(policy, *worlds) == 1 - policy.epsilon("passing")
        passer = replace(worst(15.0), passing=True)
        instead = [
            run(monkeypatch, admit([worst(15.0)] * others + [one], 20, 0.04), settings, least=100)
            for one in (worst(15.0), passer)
        ]
        assert loss(policy, *(each.draws for each in instead)) == 1


def log_ratio(value: int, mine: int, other: int, scale: float) -> float:
    """log P(value | mine) - log P(value | other) under discrete Laplace noise."""
    return (abs(value - other) - abs(value - mine)) / scale


def flat(summary: Summary, cell: AnyCell) -> list[int]:
    value = getattr(summary, cell)
    if cell in ("visits", "passing"):
        return [value]
    if cell in ("valence", "arousal"):
        return [value.sum]
    return list(value.model_dump().values())


def guess(summary: Summary, policy: Policy, without: ExactCounts, target: ExactCounts) -> float:
    """The attacker's log-likelihood ratio that the target was there."""
    if summary.visits is None:
        return -1.0  # withheld: fewer visits are a little more likely
    evidence = 0.0
    for cell in policy.cells:
        if cell == "micro" or getattr(summary, cell) is None:
            continue
        scale = float(SENSITIVITY[cell] / policy.epsilon(cell))
        for value, a, b in zip(
            flat(summary, cell), target.cells[cell], without.cells[cell], strict=True
        ):
            evidence += log_ratio(value, a, b, scale)
    return evidence


def advantage(noise_of: AgentConfig, rounds: int, seed: int) -> float:
    """True positive rate minus false positive rate of the attack."""
    policy = resolve(noise_of)
    rng = random.Random(seed)
    draw = partial(discrete_laplace, rng=rng)
    context = ReleaseContext("00000000", 0, MODEL, FILE_CLOCK, micro_enabled=False)
    others = [visit(rng, 10.0 + n) for n in range(25)]
    counts = (ExactCounts(), ExactCounts())
    for there, world in enumerate(counts):
        for each in [*others, *([worst(500.0)] if there else [])]:
            world.add(each, 40.0, bounded=True)
    published = [[0, 0], [0, 0]]
    for number in range(rounds):
        there = number % 2
        window = Window(0, 900, {0: counts[there]}, frames=900, last=899.0, seconds=900)
        pending = PendingRelease()
        pending.add_window(window, 0, policy, draw)
        summary = release(pending, window, 0, policy, context, draw)
        published[there][guess(summary, policy, *counts) > 0] += 1
    return published[1][1] / sum(published[1]) - published[0][1] / sum(published[0])


def test_the_best_attack_stays_below_what_epsilon_allows() -> None:
    """Of all tests between two worlds that are epsilon apart none gains more than this (Kairouz,
    Oh & Viswanath 2015, theorem 2.1 with delta 0)."""
    rounds = 1600
    bound = (exp(1) - 1) / (exp(1) + 1)
    chance = 1 / sqrt(rounds)  # standard deviation of the difference, at most
    gained = advantage(shop(1.0), rounds, seed=5)
    assert 4 * chance < gained < bound - 2 * chance


def test_the_attack_works_where_noise_is_too_small() -> None:
    """The test above would detect noise of a tenth of its scale."""
    research = parse(
        {
            "device": {"place": "laboratory", "region": "other"},
            "privacy": {
                "policy": "research-consented",
                "consent": True,
                "epsilon": 4.0,
                "microphone": False,
                "words": False,
            },
        },
        "test",
    )
    assert advantage(research, 800, seed=6) > (exp(1) - 1) / (exp(1) + 1)


def test_averaging_what_is_sent_again_gains_nothing(tmp_path: Path) -> None:
    """A summary is noised once: after a crash the same bytes are sent, and another noising of the
    same window is not taken."""
    stored = StoreConfig(outbox=tmp_path / "outbox.db")

    def noising(seed: int, boot: str) -> Summary:
        settings = shop()
        releaser = Releaser(
            settings, resolve(settings), model=MODEL, boot=boot, rng=random.Random(seed)
        )
        people = [Person(n, n + 1.0, n + 9.0) for n in range(30)]
        for each in frames(people, 50, 2):
            releaser.observe(each)
        return releaser.finish()[0].summary

    one, other = noising(1, "0a1b2c3d"), noising(2, "0a1b2c3d")
    assert to_json(one) != to_json(other)
    with Outbox(stored) as outbox:
        outbox.add(one)
        before = [row.body for row in outbox.peek(10)]
    sent: set[bytes] = set()
    for _ in range(5):  # a start after a crash
        with Outbox(stored) as outbox:
            outbox.add(other)
            sent.update(row.body for row in outbox.peek(10))
            hashes = [line[3] for line in outbox.ledger.entries()]
    assert sent == set(before) == {to_json(one)}
    assert hashes == [hashlib.sha256(to_json(one)).hexdigest()]
