"""Face, voice and words of one person, every few seconds."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Fused, Perceived
from agent.perceive.together import EVERY, Together
from tests.privacy.people import answer, face
from tests.privacy.voices import tone, words


def watch(
    together: Together, shown: dict[int, str], start: float = 0.0, seconds: float = EVERY + 0.1
) -> list[Fused]:
    """Faces with their expressions, read ten times a second."""
    found = []
    for index in range(round(seconds * 10)):
        time = start + index / 10
        faces = tuple(face(track, expression=answer(label)) for track, label in shown.items())
        together.see(Perceived(time, faces))
        found += together.due(time)
    return found


@pytest.mark.parametrize(
    ("label", "said"),
    [("happiness", "positive"), ("anger", "negative"), ("neutral", "neutral")],
)
def test_a_face_alone_says_what_it_shows(label: str, said: str) -> None:
    (found,) = watch(Together(), {4: label})
    assert (found.label, found.track_id, found.channels) == (said, 4, frozenset({"face"}))
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_each_face_is_read_for_itself_every_three_seconds() -> None:
    found = watch(Together(), {1: "happiness", 2: "anger"}, seconds=3 * EVERY + 0.5)
    assert [(each.track_id, each.label) for each in found] == [
        (1, "positive"), (2, "negative")
    ] * 3  # fmt: skip


def test_voice_and_words_join_the_face_that_they_belong_to() -> None:
    together = Together()
    watch(together, {1: "neutral", 2: "neutral"}, seconds=1.0)
    together.hear(tone(0.9, "happy", 1))
    together.read(words(0.9, "positive", 1))
    found = watch(together, {1: "neutral", 2: "neutral"}, start=1.0, seconds=2.5)
    one, two = sorted(found, key=lambda each: each.track_id)
    assert one.channels == {"face", "voice", "words"}
    assert two.channels == {"face"}
    assert one.probabilities[2] > two.probabilities[2]


def test_what_is_nobodys_or_unsure_says_nothing_of_a_face() -> None:
    together = Together()
    together.hear(tone(0.5, "angry"))
    together.hear(tone(0.5, "unsure", 1))
    together.read(words(0.5, "negative"))
    together.read(words(0.5, "unsure", 1))
    (found,) = watch(together, {1: "happiness"})
    assert found.channels == {"face"}


def test_a_smile_with_hard_words_is_unsure() -> None:
    together = Together()
    watch(together, {1: "happiness"}, seconds=1.0)
    together.read(words(0.9, "negative", 1))
    (found,) = watch(together, {1: "happiness"}, start=1.0, seconds=2.5)
    assert found.label == "unsure"


def test_who_leaves_is_read_once_and_forgotten() -> None:
    together = Together()
    watch(together, {1: "anger"}, seconds=1.0)
    found = watch(together, {}, start=1.0, seconds=10.0)
    assert [each.track_id for each in found] == [1]
    assert together.finish() == []


def test_a_face_has_its_full_weight_however_seldom_it_is_read() -> None:
    def read(every: int) -> Fused:
        together = Together()
        for index in range(35):
            shown = answer("anger") if index % every == 0 else None
            seen = face(1, expression=shown or answer("anger"), is_new=shown is not None)
            together.see(Perceived(index / 10, (seen,)))
            if index == 10:
                together.hear(tone(1.0, "happy", 1))
            if found := together.due(index / 10):
                return found[0]
        raise AssertionError("no reading")

    np.testing.assert_allclose(read(4).probabilities, read(1).probabilities, atol=1e-5)


def test_what_nobody_can_read_makes_no_reading() -> None:
    together = Together()
    together.see(Perceived(0.0, (face(1),)))
    assert together.finish() == []
