"""Ground truth and scoring."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import CaptureError
from agent.desk.trace import truth as script
from agent.desk.trace.truth import Planted, Score, Spotted, Truth

TRUTH = Truth(
    duration=20.0,
    frames=600,
    visitors=(("first", 0.0, 12.0), ("second", 9.0, 20.0)),
    events=(
        Planted("first", "micro", 3.0, 3.2, 3.4, "surprise"),
        Planted("first", "smile", 5.0, 5.5, 8.0, ""),
        Planted("second", "micro", 12.0, 12.2, 12.4, "negative"),
    ),
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
