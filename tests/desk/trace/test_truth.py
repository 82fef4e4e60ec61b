"""Ground truth and scoring."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import CaptureError
from agent.base.types import SENTIMENTS, TONES, UNSURE
from agent.desk.trace import truth as script
from agent.desk.trace.truth import Comparison, Line, Planted, Score, Speech, Spotted, Truth
from tests.privacy.voices import tone, words

TRUTH = Truth(
    duration=20.0,
    frames=600,
    visitors=(("first", 0.0, 12.0), ("second", 9.0, 20.0)),
    events=(
        Planted("first", "micro", 3.0, 3.2, 3.4, "surprise"),
        Planted("first", "smile", 5.0, 5.5, 8.0, ""),
        Planted("second", "micro", 12.0, 12.2, 12.4, "negative"),
    ),
    speech=(Speech(2.0, 6.0, "happy", "visit"), Speech(9.5, 11.5, "sad", "room")),
    words=(Line(7.0, "Good.", "positive"), Line(10.0, "Bad.", "negative")),
)


def spot(track: int, onset: float, offset: float, polarity: str) -> Spotted:
    return Spotted(track, onset, (onset + offset) / 2, offset, polarity)


def test_tracks_are_matched_to_the_visitor_they_share_most_time_with() -> None:
    names = script.match_visitors(TRUTH, {7: (9.6, 19.4), 3: (0.6, 11.4), 9: (5.0, 5.4)})
    assert names == {3: "first", 7: "second"}


def test_a_track_outside_every_visit_is_nobody() -> None:
    assert script.match_visitors(TRUTH, {1: (30.0, 31.0)}) == {}


def test_each_planted_movement_is_found_once_by_half_of_the_union() -> None:
    spotted = [
        spot(3, 3.05, 3.45, "surprise"),
        spot(3, 3.0, 3.3, "surprise"),  # the same one again
        spot(7, 12.0, 12.35, "positive"),  # found, misnamed
        spot(7, 15.0, 15.3, "negative"),  # nothing planted there
    ]
    score = script.score(TRUTH, spotted, {3: "first", 7: "second"})
    assert score == Score(planted=2, found=2, named=1, other=2)


def test_too_little_overlap_or_another_visitor_does_not_count() -> None:
    late = [spot(3, 3.25, 3.65, "surprise")]
    assert script.score(TRUTH, late, {3: "first"}).found == 0
    swapped = [spot(7, 3.0, 3.4, "surprise")]
    assert script.score(TRUTH, swapped, {3: "first", 7: "second"}).found == 0


def test_a_macro_expression_is_no_micro_expression() -> None:
    assert script.score(TRUTH, [spot(3, 5.0, 8.0, "positive")], {3: "first"}).other == 1


@pytest.mark.parametrize("text", ["", "{}", '{"duration": "x", "fps": 30}', "[1]"])
def test_a_damaged_script_is_a_named_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clip.json"
    path.write_text(text)
    with pytest.raises(CaptureError, match=r"clip\.json"):
        script.load(path)
    with pytest.raises(CaptureError, match="cannot be read"):
        script.load(tmp_path / "absent.json")


def test_the_bundled_truth_has_speech_of_visits_and_of_the_room_and_lines() -> None:
    truth = script.load()
    assert {each.tone for each in truth.speech} == set(TONES)
    assert {each.belongs for each in truth.speech} == {"visit", "room"}
    assert {each.sentiment for each in truth.words} == {"positive", "negative"} < set(SENTIMENTS)
    assert all(each.start < each.end <= truth.duration for each in truth.speech)


def test_a_stretch_is_read_by_the_readings_that_share_most_with_it() -> None:
    readings = [
        tone(3.5, "happy", 3), tone(5.0, UNSURE, 3), tone(6.5, "happy", 3),
        tone(11.0, "angry", 7), tone(12.5, UNSURE), tone(14.0, "sad"),
    ]  # fmt: skip
    happy, sad = script.compare_tones(TRUTH, readings)
    assert happy == Comparison(2.0, 6.0, "happy", "happy", 3, "visit", "visit")
    assert happy.right
    assert (sad.read, sad.readings, sad.owner, sad.right) == ("angry", 3, "both", False)


def test_a_dominant_tone_needs_half_of_its_readings() -> None:
    readings = [tone(3, "happy", 3), tone(4, UNSURE, 3), tone(5, UNSURE, 3)]
    assert script.compare_tones(TRUTH, readings)[0].read == UNSURE


def test_a_stretch_without_a_reading_and_a_reading_without_a_stretch() -> None:
    happy, sad, stray = script.compare_tones(TRUTH, [tone(19.0, "neutral", 7, seconds=2.5)])
    assert (happy.read, happy.owner, happy.readings) == ("", "", 0)
    assert not happy.right
    assert not sad.right
    assert stray == Comparison(16.5, 19.0, "", "neutral", 1, "", "visit")
    assert not stray.right
    assert script.compare_tones(Truth(1.0, 30, (), ()), []) == []


def test_a_line_takes_the_first_reading_after_it() -> None:
    readings = [words(10.2, "neutral"), words(7.0, "positive", 3), words(15.0, "positive")]
    good, bad, stray = script.compare_words(TRUTH, readings)
    assert good == Comparison(7.0, 7.0, "positive", "positive", 1, "visit", "visit")
    assert good.right
    assert (bad.planted, bad.read, bad.belongs, bad.owner) == (
        "negative",
        "neutral",
        "room",
        "room",
    )
    assert (stray.planted, stray.read) == ("", "positive")
    nothing = script.compare_words(TRUTH, [])
    assert [each.read for each in nothing] == ["", ""]


def test_two_readings_of_one_moment_go_to_two_lines() -> None:
    truth = Truth(9.0, 270, (), (), words=(Line(5.0, "a", "positive"), Line(5.0, "b", "negative")))
    rows = script.compare_words(truth, [words(5.1, "positive"), words(5.1, "negative")])
    assert [(each.planted, each.readings) for each in rows] == [("positive", 1), ("negative", 1)]
