"""The clip's maker: what it says it moves is what moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.assets import CLIP_SCRIPT
from agent.base.types import Float
from tools.demo import portrait, script
from tools.demo.__main__ import main
from tools.demo.portrait import Portrait, PortraitError
from tools.demo.render import LandmarkEstimate, Visitor, _look_up
from tools.demo.rig import Movement, Rig
from tools.demo.textures import Look

PLACE = LandmarkEstimate(320, 210, 2.0)


@pytest.fixture(scope="module")
def person() -> Portrait:
    """The marks over a stand-in for the photograph: a smooth texture of its size."""
    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    grey = 128 + 50 * np.sin(x / 5) + 50 * np.cos(y / 6)
    return portrait.marked(np.repeat(grey[..., None], 3, 2).astype(np.uint8))


def shift(person: Portrait, movement: Movement) -> Float:
    """Displacement of the 68 landmarks from rest, IOD, in the face's own axes."""
    rig = Rig(person)
    moved, rest = rig.landmarks(movement), rig.landmarks(Movement())
    return np.asarray((moved - rest) @ person.axes.T / person.iod, np.float32)


def test_amplitudes_are_in_outer_eye_distances(person: Portrait) -> None:
    brows = shift(person, Movement(brow_raise=0.045))
    assert np.allclose(brows[19:25, 1], -0.045, atol=1e-4)
    assert np.abs(brows[27:68]).max() < 1e-4
    corners = shift(person, Movement(corners=0.04))
    assert np.allclose(np.hypot(*corners[[48, 54]].T), 0.04, rtol=0.15)
    assert (corners[[48, 54], 1] < 0).all()
    assert np.abs(corners[:48]).max() < 1e-4
    frown = shift(person, Movement(brow_lower=0.05))
    assert np.allclose(frown[21:23, 1], 0.05, atol=1e-4)
    assert frown[21, 0] > 0 > frown[22, 0]


def test_the_full_smile_is_the_photographs(person: Portrait) -> None:
    rig = Rig(person)
    rest = [*range(17, 31), *range(32, 35), *range(36, 68)]
    assert np.abs(rig.landmarks(Movement(smile=1.0)) - person.landmarks)[rest].max() < 1.0
    lips = rig.landmarks(Movement())[60:68]
    assert np.abs(lips[[1, 2, 3]] - lips[[7, 6, 5]]).max() < 0.15 * person.iod
    gap = rig.landmarks(Movement(jaw=1.0))[66, 1] - rig.landmarks(Movement(jaw=1.0))[62, 1]
    assert gap > 0.15 * person.iod > abs(lips[6, 1] - lips[2, 1])


def test_the_map_carries_the_skin_with_its_landmarks(person: Portrait) -> None:
    """Where a landmark is shown, the map must point at where the photograph has it."""
    movement = Movement(brow_raise=0.1, smile=0.4, yaw=12)
    rig = Rig(person)
    maps = rig.maps(movement)
    shown = rig.landmarks(movement)
    points = [*range(0, 36), 48, 50, 51, 52, 54]
    x, y = _look_up(maps.upper, shown[points, :1].copy(), shown[points, 1:].copy())
    error = np.hypot(x[:, 0] - person.landmarks[points, 0], y[:, 0] - person.landmarks[points, 1])
    assert np.median(error) < 0.25
    assert error.max() < 1.0


def test_a_turned_head_moves_its_nose_the_way_it_turns(person: Portrait) -> None:
    right = shift(person, Movement(yaw=25))
    assert right[30, 0] > 0.2
    assert right[30, 0] > right[[36, 45], 0].mean()
    left = shift(person, Movement(yaw=-25))
    assert left[30, 0] < -0.2


@pytest.mark.slow
def test_a_blink_changes_the_eyes_and_nothing_else(person: Portrait) -> None:
    visitor = Visitor(person, Look())
    pictures = []
    for lids in (0.0, 1.0):
        frame = np.full((480, 640, 3), 90, np.float32)
        visitor.draw(frame, Movement(lids=lids), PLACE)
        pictures.append(frame)
    changed = np.abs(pictures[1] - pictures[0]).max(-1) > 2
    eyes = visitor.landmarks(Movement(), PLACE)[36:48]
    low, high = eyes.min(0) - 14, eyes.max(0) + 6
    rows, columns = np.nonzero(changed)
    assert len(rows) > 200
    assert low[0] <= columns.min() <= columns.max() <= high[0]
    assert low[1] <= rows.min() <= rows.max() <= high[1]


def test_an_open_mouth_is_dark_inside(person: Portrait) -> None:
    visitor = Visitor(person, Look())
    frame = np.full((480, 640, 3), 200, np.float32)
    movement = Movement(jaw=1.0)
    visitor.draw(frame, movement, PLACE)
    lips = visitor.landmarks(movement, PLACE)[[62, 66]]
    x, y = (0.25 * lips[0] + 0.75 * lips[1]).round().astype(int)
    assert frame[y - 1 : y + 2, x - 2 : x + 3].mean() < 60


def test_a_visitor_outside_the_frame_leaves_it_alone(person: Portrait) -> None:
    frame = np.full((480, 640, 3), 90, np.float32)
    Visitor(person, Look()).draw(frame, Movement(), LandmarkEstimate(-900, 210, 1.5))
    assert (frame == 90).all()


def test_events_rise_hold_and_fall() -> None:
    event = script.smile(1.0, 3.0)
    assert event.level(1.0) == event.level(3.0) == 0.0
    assert event.level(1.25) == pytest.approx(0.5)
    assert event.level(event.apex) == event.level(2.0) == 1.0
    small = script.micro(5.0, 0.4, "brows up", 0.04)
    assert [small.apex, small.offset] == pytest.approx([5.2, 5.4])
    assert max(small.level(t) for t in np.arange(5, 5.4, 1 / 30)) > 0.95


def test_mirrored_visitors_turn_the_way_the_script_says(person: Portrait) -> None:
    mirrored = [cast for cast in script.CAST if cast.place.mirror]
    cast, turn = next((c, e) for c in mirrored for e in c.events if e.kind == "turn")
    visitor = Visitor(person, cast.look, cast.identity)
    place = replace(cast.place, tilt=0.0)
    rest = visitor.landmarks(Movement(), place)
    moved = visitor.landmarks(cast.movement((turn.hold + turn.release) / 2), place)
    assert np.sign(moved[30, 0] - rest[30, 0]) == np.sign(turn.movement.yaw)


def test_the_committed_truth_is_what_the_script_says() -> None:
    committed = json.loads(CLIP_SCRIPT.read_text())
    made = script.truth({v["visitor"]: v["iod"] for v in committed["visitors"]})
    assert committed == made
    assert all(v["iod"] > 70 for v in committed["visitors"])


def test_another_photograph_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "astronaut.png"
    cv2.imwrite(str(other), np.zeros((512, 512, 3), np.uint8))
    with pytest.raises(PortraitError, match="not the photograph"):
        portrait.load(other)
    out = tmp_path / "clip.mp4"
    assert main(["--portrait", str(other), "--out", str(out)]) == 1
    assert "not the photograph" in capsys.readouterr().err
    assert main(["--portrait", str(tmp_path / "absent.png"), "--out", str(out)]) == 1
    assert not out.exists()
