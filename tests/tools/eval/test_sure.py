"""The limit of sure landmarks: chosen on one half, judged on the other."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.faces.landmarks import UNSURE_ERROR
from tools.common.errors import ToolError
from tools.eval import data
from tools.eval.landmarks.sure import (
    ON_HEAD,
    UPRIGHT,
    Doubts,
    choose,
    first_half,
    mistakes_apart,
    section,
    sure_figures,
    turned,
)


def doubts(*said: float) -> Doubts:
    return Doubts(np.array(said), np.arange(len(said)))


def test_between_two_that_are_apart_the_middle_is_chosen() -> None:
    assert choose(np.array([0.0, 1.0]), np.array([3.0, 4.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("far", [5.0, 50.0])
def test_one_odd_face_does_not_move_the_limit(far: float) -> None:
    upright = np.array([*np.linspace(0, 1, 99), far])
    assert choose(upright, np.linspace(3, 4, 20)) == pytest.approx(2.0)


def test_both_mistakes_count_by_their_share() -> None:
    # a tenth of the upright faces for a half of the wrong ones
    upright, wrong = np.array([*[0.0] * 9, 2.0]), np.array([1.0, 3.0])
    assert choose(upright, wrong) == pytest.approx(0.5)


def test_nobody_is_in_both_halves_and_they_are_about_equal() -> None:
    people = np.arange(1000) // 2
    first = first_half(people)
    assert (first[::2] == first[1::2]).all()
    assert 0.4 < first.mean() < 0.6
    assert (first == first_half(people)).all()


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_picture_is_begun_upright_in_its_place(turns: int) -> None:
    points = (MEAN_SHAPE * np.float32(40) + [70, 60]).astype(np.float32)
    picture = np.zeros((160, 120), np.uint8)
    picture[60, 70] = 255  # between the eyes
    shown, start = turned(picture, points, turns)
    assert shown.shape == ((120, 160) if turns == 1 else (160, 120))
    assert start[8, 1] > start[27, 1], "the chin is below"
    y, x = (int(v[0]) for v in np.nonzero(shown))
    low, high = start.min(0) - 12, start.max(0) + 12
    assert low[0] < x < high[0]
    assert low[1] < y < high[1]
    if turns == 2:
        assert y > start[:, 1].mean(), "its own eyes are down there"


def test_an_upright_picture_stays_as_it_is() -> None:
    picture, points = np.zeros((20, 20), np.uint8), np.zeros((68, 2), np.float32)
    shown, start = turned(picture, points, 0)
    assert (shown == picture).all()
    assert start is points


def test_mistakes_of_ours_less_those_of_the_chosen() -> None:
    chosen = UNSURE_ERROR + 0.2
    upright = doubts(*[UNSURE_ERROR - 1] * 3, UNSURE_ERROR + 0.1)
    wrong = doubts(UNSURE_ERROR + 0.1, UNSURE_ERROR + 1)
    assert mistakes_apart(upright, wrong, chosen).value == pytest.approx(0.25 - 0.5)
    assert mistakes_apart(upright, wrong, UNSURE_ERROR).value == 0.0


class Placer:
    """Expects an error of 2 % where the eyes of the picture are up, of 10 % where they are not;
    sees no face in pictures on their side."""

    def __init__(self, spread: bool = True) -> None:
        self._spread = spread

    def refine(self, luma: Grey, guess: Float) -> Any:
        on_side = luma.shape[0] < luma.shape[1]
        said = math.log(0.02 if luma[0, 0] else 0.10)
        return SimpleNamespace(
            presence=0.1 if on_side else 0.9,
            log_spread=np.full((1, 68), said, np.float32) if self._spread else None,
        )


def figures(monkeypatch: pytest.MonkeyPatch, placer: Placer) -> dict[str, Any]:
    count = 40
    picture = np.zeros((160, 120), np.uint8)
    picture[0] = 255
    points = (MEAN_SHAPE * np.float32(40) + [60, 60]).astype(np.float32)
    faces = SimpleNamespace(
        pictures=[picture] * count, first=np.stack([points] * count), person=np.arange(count)
    )
    monkeypatch.setattr(data, "faces", lambda limit: faces)
    ours: Any = SimpleNamespace(
        which="research", placer=lambda: placer, parameters=lambda name: {"presence_above": 0.4}
    )
    return sure_figures(ours, None)


def test_what_is_chosen_on_one_half_is_told_of_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    report = figures(monkeypatch, Placer())
    assert report["chosen"] == pytest.approx(math.sqrt(0.02 * 0.10), abs=1e-3)
    upright, wrong = report["kinds"][UPRIGHT], report["kinds"][ON_HEAD]
    assert upright["asked"] == 40 - report["chosen_on"][UPRIGHT]
    assert upright["sure_shipped"]["value"] == upright["sure_chosen"]["value"] == 1.0
    assert wrong["sure_shipped"]["value"] == 0.0
    side = report["kinds"]["on its side"]
    assert (side["taken_for_faces"], side["quantiles"]) == (0, [])
    text = section(report)
    assert "| on its side |" in text
    assert "100.0 %" in text


def test_a_network_that_says_nothing_of_its_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match="without an expected error"):
        figures(monkeypatch, Placer(spread=False))
