"""Sessions from what was sealed; what a stranger sealed is checked."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest

from agent.desk.review.errors import ReviewError
from agent.desk.review.material import of_parts
from agent.desk.review.study import Study
from agent.desk.review.unseal import Part
from agent.vision.micro.channels import CHANNEL_NAMES
from tests.desk.review.made import Made

FORM = {"form": 1, "day": None, "version": "1", "units": ["AU01", "AU12"], "channels": ["chin"],
        "step": 0.033, "angle": 5}  # fmt: skip
FACE = {"face": 1, "t": 1.0, "units": [50, None], "valence": 10, "arousal": -10, "pose": [5, 0, 0]}
MOVE = {"movement": 1, "times": [1.0, 1.1, 1.2], "score": 80, "intensity": 200, "units": ["AU12"],
        "polarity": "positive", "strip": [0.8, [[1], [2]]]}  # fmt: skip


def part(*lines: Any, number: int = 1, whole: bool = True) -> Part:
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    return Part("ab" * 16, number, (zlib.compress(text.encode()),), whole)


def test_what_the_recorder_wrote_is_read(made: Made) -> None:
    sessions = Study(made.folder, made.key).open()
    assert {each.name for each in sessions} == set(made.names)
    for session in sessions:
        (face,) = session.faces.values()
        assert session.notes == []
        assert session.day == "2026-09-21"
        assert face.unit_array().shape == (36, 12)
        assert face.pose[0] == (10.0, -5.0, 0.0)
        assert list(session.movements()) == ["1.1.1", "1.1.2", "1.1.3"]
        assert session.channels == CHANNEL_NAMES
        move = session.movements()["1.1.2"]
        assert move.strip is not None
        assert move.strip.values.shape[1] == len(CHANNEL_NAMES)
        event = move.event("x")
        assert (event.code, event.score, event.polarity) == ("1", 0.8, "surprise")


def test_parts_go_on_and_what_is_missing_is_said() -> None:
    session = of_parts([part(FORM, FACE, MOVE), part(FORM, FACE, number=3, whole=False)])
    assert list(session.faces) == ["1.1", "3.1"]
    assert session.notes == ["part 2 is missing", "part 3 was cut off"]
    assert session.seconds == 1.2
    first = session.faces["1.1"]
    assert first.units[0][0] == 0.5
    assert np.isnan(first.units[0][1])
    assert (first.valence, first.arousal) == ([0.1], [-0.1])


@pytest.mark.parametrize(
    "lines",
    [
        (FACE,), ({**FORM, "form": 2},), ({**FORM, "units": ["<b>"]},), ({**FORM, "step": 0},),
        ({**FORM, "day": "<script>"},), (FORM, {**FACE, "t": -1}), (FORM, {**FACE, "t": "1"}),
        (FORM, {**FACE, "units": [1]}), (FORM, {**FACE, "units": [1, 101]}),
        (FORM, {**FACE, "pose": [0, 0]}), (FORM, {**FACE, "face": 0}),
        (FORM, {**FACE, "valence": True}), (FORM, {**FACE, "valence": None}),
        (FORM, {**MOVE, "times": [2, 1, 3]}), (FORM, {**MOVE, "polarity": "x"}),
        (FORM, {**MOVE, "strip": [0, [[1, 2]]]}), (FORM, {**MOVE, "score": 1000}),
        (FORM, 5), ([],), (FORM, {"face": 1}),
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(lines: tuple[Any, ...]) -> None:
    with pytest.raises(ReviewError, match="not of the form"):
        of_parts([part(*lines)])


def test_a_chunk_that_unpacks_without_end_is_refused() -> None:
    bomb = Part("ab" * 16, 1, (zlib.compress(bytes(200_000_000), 9),), True)
    with pytest.raises(ReviewError, match="not of the form"):
        of_parts([bomb])
    with pytest.raises(ReviewError, match="not of the form"):
        of_parts([Part("ab" * 16, 1, (b"no zlib",), True)])
    with pytest.raises(ReviewError, match="no parts"):
        of_parts([])
