"""Heads that are tilted or upside down, too little light or too much, odd sizes of frames."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.base.types import Face, Frame, Grey, Perceived
from agent.desk.inspect import Inspector
from agent.vision.exposure import FilmLevels, exposure
from agent.vision.faces.readable import MOST_ROLL, is_readable
from agent.vision.pipeline import Pipeline
from tools.bench.visits.pictures import clip


@cache
def portrait() -> Grey:
    """A face of the bundled clip, 480 x 640."""
    return clip()[75]


@cache
def inspector() -> Inspector:
    return Inspector(AgentConfig())


def turned(degrees: float) -> Grey:
    """The same counter-clockwise, about the face, which stays in the picture."""
    matrix = cv2.getRotationMatrix2D((205, 230), degrees, 1.0)
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(portrait(), matrix, (640, 480), borderMode=border), np.uint8)


def film(picture: Grey, seconds: float, fps: float = 10.0) -> list[Perceived]:
    pipeline = Pipeline(AgentConfig())
    return [pipeline(Frame(n / fps, picture)) for n in range(round(seconds * fps))]


def last_faces(seen: list[Perceived]) -> tuple[Face, ...]:
    return seen[-1].faces


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [-60, 45, 60])
def test_a_tilted_head_is_found_and_read_in_a_still(degrees: float) -> None:
    (face,) = inspector().picture(turned(degrees))
    assert face["pose"]["roll"] == pytest.approx(-degrees, abs=8)
    (upright,) = inspector().picture(portrait())
    assert max(face["expression"], key=face["expression"].get) == max(
        upright["expression"], key=upright["expression"].get
    )
    assert face["unsure"] == upright["unsure"]


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [90, 135, 180, 225, 270])
def test_a_face_on_its_side_or_upside_down_is_not_read_in_a_still(degrees: float) -> None:
    assert all(face["unsure"] for face in inspector().picture(turned(degrees)))


@pytest.mark.slow
@pytest.mark.parametrize(("degrees", "found"), [(60, True), (-60, True), (180, None), (90, None)])
def test_likewise_in_a_film(degrees: float, found: bool | None) -> None:
    seen = film(turned(degrees), 3.5)
    if found:
        (face,) = last_faces(seen)
        assert face.pose.roll == pytest.approx(-degrees, abs=8)
        assert face.expression is not None
    else:
        assert all(face.expression is None for each in seen for face in each.faces)
        assert not any(face.micro.analysed for each in seen for face in each.faces)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1 / 8, 1 / 16, 1 / 64])
def test_a_face_in_the_dark_is_found_and_the_dark_is_said(share: float) -> None:
    dark = (portrait() * share).astype(np.uint8)
    assert len(inspector().picture(dark)) == 1
    seen = film(dark, 1.0)
    assert len(last_faces(seen)) == 1
    assert all(each.dark for each in seen)
    assert not any(each.dark for each in film(portrait(), 0.3))


@pytest.mark.slow
def test_in_an_overexposed_picture_a_face_is_found_and_not_read() -> None:
    over = np.clip(portrait() * 2.2, 0, 255).astype(np.uint8)
    assert exposure(over).state == "over"
    (face,) = inspector().picture(over)
    assert face["unsure"]
    assert len(last_faces(film(over, 2.0))) == 1


def test_an_overexposed_film_is_looked_at_as_it_is_and_equalised_in_turn() -> None:
    levels = FilmLevels()
    over = np.clip(portrait() * 2.2, 0, 255).astype(np.uint8)

    def guessed(time: float, in_view: bool) -> bool:
        levels(Frame(time, over), Frame(time, over), in_view)
        return levels.guessed

    assert [guessed(t, False) for t in (0.0, 0.6, 1.2, 1.8)] == [False, True, False, True]
    assert [guessed(t, True) for t in (2.4, 3.0)] == [True, True], "as somebody was found"
    assert not guessed(3.6, False)


def test_levels_of_a_film_are_held_while_its_light_wavers() -> None:
    levels = FilmLevels()
    dark = (portrait() // 12).astype(np.uint8)

    def shown(time: float, luma: Grey) -> Grey:
        return levels(Frame(time, luma), Frame(time, luma), in_view=True).luma

    first = shown(0.0, dark)
    assert exposure(first).state == "good"
    assert levels.dark
    brighter = dark + np.uint8(1)
    assert int(shown(1.0, brighter).max()) - int(first.max()) < 20, "the same table"
    assert shown(2.0, portrait()) is portrait()
    assert not levels.dark


def test_readable_is_what_is_sure_and_not_on_its_side() -> None:
    assert is_readable(True, MOST_ROLL)
    assert is_readable(True, -60.0)
    assert not is_readable(True, 90.0)
    assert not is_readable(True, -180.0)
    assert not is_readable(False, 0.0)


def odd_sizes() -> Iterator[Grey]:
    for height, width in (
        (2, 2), (1, 1), (1, 8000), (8000, 1), (16, 8000), (480, 640), (0, 0), (0, 640), (481, 639),
        (2160, 2), (240, 320),
    ):  # fmt: skip
        yield np.asarray(
            cv2.resize(portrait(), (max(width, 1), max(height, 1)))[:height, :width], np.uint8
        )


@pytest.mark.slow
def test_no_size_of_frame_and_no_change_of_it_ends_the_pipeline() -> None:
    pipeline = Pipeline(AgentConfig())
    for number, picture in enumerate(odd_sizes()):
        for repeat in range(11):
            seen = pipeline(Frame(1.2 * number + repeat / 10, np.ascontiguousarray(picture)))
        assert len(seen.faces) == (min(picture.shape) >= 240 and max(picture.shape) < 700)
        assert len(inspector().picture(picture)) == len(seen.faces)


def numbers(times: list[float]) -> list[int]:
    """The track's number in each frame of a film of one face."""
    pipeline = Pipeline(AgentConfig(), expressions=False)
    return [pipeline(Frame(time, portrait())).faces[0].track_id for time in times]


@pytest.mark.slow
def test_a_track_does_not_outlast_a_gap_and_time_lapse_is_none() -> None:
    for step in (1.0, 3.0, 10.0):
        assert set(numbers([step * n for n in range(5)])) == {1}
    assert numbers([120.0 * n for n in range(4)]) == [1, 2, 3, 4]
    triggered = numbers([n / 30 for n in range(9)] + [600 + n / 30 for n in range(9)])
    assert triggered == [1] * 9 + [2] * 9
    away = numbers([n / 30 for n in range(9)] + [5 + n / 30 for n in range(9)])
    assert away == [1] * 9 + [2] * 9, "5 s are a gap at 30 frames per second"
