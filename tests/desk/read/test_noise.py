"""The noise that is told of a number is the noise that it was given."""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
from fractions import Fraction
from typing import Any

import pytest

from agent.base.report import to_json
from agent.base.settings_file import parse
from agent.desk.read.noise import Told, deviation, scales
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.window import SENSITIVITY
from tests.tools.fleet.filled import busy

POLICIES: dict[str, dict[str, Any]] = {
    "retail-eu": {"notice_shown": True},
    "classroom": {"notice_shown": True},
    "research-consented": {"consent": True, "microphone": False, "words": False},
    "medical-safety": {"consent": True, "epsilon": 0.5},
    "demo": {"microphone": False, "words": False},
}
PLACES = {"classroom": "education", "research-consented": "laboratory", "medical-safety": "clinic"}


def policy(name: str, **more: Any) -> Policy:
    device = {"place": PLACES.get(name, "retail"), "region": "eu"}
    privacy = {"policy": name, **POLICIES[name], **more}
    broker = {"host": "127.0.0.1"}
    return resolve(parse({"device": device, "privacy": privacy, "mqtt": broker}, "test"))


def told(rules: Policy, listened: float = 900.0) -> Told:
    """Of the summary of a busy window."""
    return Told.of(json.loads(to_json(busy(rules, listened=listened))))


@pytest.mark.parametrize(
    ("name", "microphone", "words"),
    [
        case
        for case in itertools.product(POLICIES, (False, True), (False, True))
        if case[0] != "classroom" or not any(case[1:])
    ],
)
def test_a_cell_has_the_scale_of_the_policy(name: str, microphone: bool, words: bool) -> None:
    channels = {"microphone": microphone, "words": words}
    named = [each for each, on in channels.items() if on]
    rules = policy(name, **channels, **({"notice_names": named} if name == "retail-eu" else {}))
    found = scales(told(rules))
    assert set(found) == set(rules.cells)
    for cell, scale in found.items():
        exact = float(SENSITIVITY[cell] / rules.epsilon(cell)) if rules.noised else 0.0
        assert scale == pytest.approx(exact), cell


def test_where_it_cannot_be_known_it_is_never_too_small() -> None:
    rules = policy("medical-safety", microphone=True)
    silent = told(rules, listened=0.0)
    assert silent.voice == "no_microphone"
    found = scales(silent)
    assert len(found) == 10
    for cell, scale in found.items():
        assert scale >= float(SENSITIVITY[cell] / rules.epsilon(cell)) - 1e-9


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.5, 250.0])
def test_the_deviation_is_that_of_the_mechanism(scale: float) -> None:
    rng = random.Random(7)
    drawn = [discrete_laplace(Fraction(scale).limit_denominator(100), rng) for _ in range(40_000)]
    assert statistics.pstdev(drawn) == pytest.approx(deviation(scale), rel=0.04)
    assert deviation(scale, 9) == pytest.approx(3 * deviation(scale))
    assert deviation(250.0) == pytest.approx(250 * math.sqrt(2), rel=1e-3)
    assert deviation(0) == 0
