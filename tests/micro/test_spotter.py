from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.config import MicroConfig
from agent.faces.align import MEAN_SHAPE
from agent.micro.spotter import MicroSpotter
from agent.types import Float, MicroExpression

IOD = 100.0
Film = tuple[NDArray[np.float64], Float]
RAISED_BROWS = ([17, 18, 19, 20, 21, 22, 23, 24, 25, 26], (0.0, -1.0))
LIDS_DOWN = ([37, 38, 43, 44], (0.0, 1.0))
CORNERS_UP = ([48, 60, 54, 64], (0.0, -1.0))


def _bump(times: NDArray[np.float64], apex: float, length: float) -> NDArray[np.float64]:
    phase = np.clip((times - apex) / length + 0.5, 0, 1)
    return np.sin(np.pi * phase) ** 2


def _film(seconds: float = 10.0, fps: float = 30.0, noise: float = 0.001, iod: float = IOD) -> Film:
    """Times and landmarks of a still face with sensor noise (in IOD)."""
    rng = np.random.default_rng(0)
    times = np.arange(int(seconds * fps)) / fps
    faces = np.tile(MEAN_SHAPE, (len(times), 1, 1)) + rng.normal(
        scale=noise, size=(len(times), 68, 2)
    )
    return times, (faces * iod + [320, 240]).astype(np.float32)


def _move(
    film: Film,
    what: tuple[list[int], tuple[float, float]],
    apex: float,
    length: float,
    height: float,
    iod: float = IOD,
) -> None:
    times, faces = film
    shift = _bump(times, apex, length)[:, None] * np.array(what[1]) * height * iod
    faces[:, what[0]] += shift[:, None, :].astype(np.float32)


def _spot(
    film: Film, params: MicroConfig | None = None
) -> tuple[list[MicroExpression], MicroSpotter]:
    spotter = MicroSpotter(params or MicroConfig())
    found: list[MicroExpression] = []
    for time, points in zip(*film, strict=True):
        found += spotter.update(float(time), [(7, points)])
    return found, spotter


def test_a_flash_of_raised_brows_is_found_where_it_is() -> None:
    film = _film()
    _move(film, RAISED_BROWS, 5.0, 0.35, 0.03)
    found, spotter = _spot(film)
    assert len(found) == 1
    event = found[0]
    assert event.track_id == 7
    assert event.apex == pytest.approx(5.0, abs=0.07)
    assert event.onset < event.apex < event.offset
    assert 0.1 < event.offset - event.onset < 0.5
    assert event.intensity == pytest.approx(0.03, rel=0.3)
    assert event.polarity == "surprise"
    assert spotter.refused is None


def test_lip_corners_up_are_positive() -> None:
    film = _film()
    _move(film, CORNERS_UP, 5.0, 0.3, 0.03)
    assert [event.polarity for event in _spot(film)[0]] == ["positive"]


def test_a_still_face_shows_nothing() -> None:
    assert _spot(_film(30.0))[0] == []


def test_a_smile_of_two_seconds_is_no_micro_expression() -> None:
    film = _film()
    _move(film, CORNERS_UP, 5.0, 2.0, 0.08)
    assert _spot(film)[0] == []


def test_a_blink_is_rejected_and_counted() -> None:
    film = _film()
    _move(film, LIDS_DOWN, 5.0, 0.25, 0.07)
    found, spotter = _spot(film)
    assert found == []
    assert spotter.rejected["blink"] > 0


def test_moving_the_head_is_no_expression() -> None:
    times, faces = _film()
    faces[:, :, 0] += (30 * np.sin(times * 4))[:, None]
    faces[:, :, 1] += (20 * _bump(times, 5.0, 0.3))[:, None]
    assert _spot((times, faces))[0] == []


@pytest.mark.parametrize(
    ("fps", "iod", "reason"), [(15, IOD, "fps_too_low"), (30, 25.0, "face_too_small")]
)
def test_what_cannot_be_seen_is_refused_with_the_reason(
    fps: float, iod: float, reason: str
) -> None:
    film = _film(fps=fps, iod=iod)
    _move(film, RAISED_BROWS, 5.0, 0.35, 0.05, iod)
    found, spotter = _spot(film)
    assert found == []
    assert spotter.refused == reason


def test_nobody_in_view_is_no_evidence() -> None:
    spotter = MicroSpotter(MicroConfig())
    assert spotter.update(1.0, []) == []
    assert spotter.refused == "no_evidence"


def test_memory_does_not_grow_with_time_or_with_visitors() -> None:
    spotter = MicroSpotter(MicroConfig())
    points = MEAN_SHAPE * IOD
    for i in range(3000):
        spotter.update(i / 30, [(i // 100, points)])
    assert len(spotter._faces) <= 1
    assert all(len(face.times) <= 1000 for face in spotter._faces.values())
