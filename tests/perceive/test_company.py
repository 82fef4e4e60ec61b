"""Whose speech it is."""

from __future__ import annotations

import pytest

from agent.base.types import Perceived
from agent.perceive.company import Company
from tests.privacy.people import face


def seen(spans: dict[int, tuple[float, float]], until: float = 5.0, fps: float = 20.0) -> Company:
    company = Company()
    for index in range(round(until * fps)):
        time = index / fps
        there = [track for track, (a, b) in spans.items() if a <= time < b]
        company.add(Perceived(time, tuple(face(track) for track in there)))
    return company


@pytest.mark.parametrize(
    ("spans", "whose"),
    [
        ({7: (0, 5)}, 7),
        ({7: (0, 5), 8: (2.0, 2.1)}, None),
        ({7: (0, 5), 8: (4.0, 5.0)}, 7),
        ({}, None),
        ({7: (2.9, 5)}, None),
        ({7: (0, 2), 8: (2, 5)}, None),
    ],
    ids=["alone", "another for a moment", "another afterwards", "nobody", "came at the end",
         "one after the other"],
)  # fmt: skip
def test_speech_from_one_to_three(spans: dict[int, tuple[float, float]], whose: int | None) -> None:
    assert seen(spans).alone(1.0, 3.0) == whose


def test_faces_that_were_skipped_are_company() -> None:
    company = Company()
    for index in range(40):
        company.add(Perceived(index / 20, (face(1),), skipped=int(index == 20)))
    assert company.alone(0.2, 0.8) == 1
    assert company.alone(0.5, 1.5) is None


def test_between_two_frames_the_nearest_counts_and_none_that_is_far() -> None:
    company = seen({3: (0, 5)}, until=2.0, fps=2.0)
    assert company.alone(0.6, 0.9) == 3
    assert company.alone(9.0, 9.2) is None


def test_it_forgets() -> None:
    company = seen({3: (0, 60)}, until=60.0, fps=5.0)
    assert len(company._seen) < 40
    company.forget()
    assert company.alone(59.0, 60.0) is None
