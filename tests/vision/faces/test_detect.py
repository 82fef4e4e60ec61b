"""Decoding, letterboxing and tiling of the face detector, from maps with known faces in them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.types import Float, Frame, Grey
from agent.inference.manifest import load_manifest, models_folder
from agent.inference.tflite import open_model
from agent.vision.faces.detect import STRIDES, FaceDetector, decode, letterbox

Maps = dict[str, Float]


def blank(logit: float = -9.0) -> Maps:
    """Maps in which no cell passes."""
    maps: Maps = {}
    for s in STRIDES:
        rows, columns = 256 // s, 320 // s
        maps[f"score_{s}"] = np.full((1, rows, columns, 1), logit, np.float32)
        maps[f"box_{s}"] = np.zeros((1, rows, columns, 4), np.float32)
        maps[f"keypoints_{s}"] = np.zeros((1, rows, columns, 10), np.float32)
    return maps


def put(maps: Maps, stride: int, box: Float, five: Float, logit: float, shift: int = 0) -> None:
    """Write a face (input pixels) into the cell under its centre, or `shift` cells to the right."""
    middle = (box[:2] + box[2:]) / 2
    column, row = np.floor((middle + 0.5) / stride).astype(int)
    column += shift
    centre = (np.array([column, row]) + 0.5) * stride - 0.5
    maps[f"score_{stride}"][0, row, column, 0] = logit
    side = np.log((box[2:] - box[:2]) / (3.0 * stride))
    maps[f"box_{stride}"][0, row, column] = [*((middle - centre) / stride), *side]
    maps[f"keypoints_{stride}"][0, row, column] = ((five - centre) / stride).ravel()


def face(x: float, y: float, size: float) -> tuple[Float, Float]:
    box = np.array([x, y, x + size, y + 1.3 * size], np.float32)
    places = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.65], [0.35, 0.8], [0.65, 0.8]], np.float32)
    return box, (box[:2] + places * (box[2:] - box[:2])).astype(np.float32)


@pytest.mark.parametrize("stride", STRIDES)
@settings(max_examples=40, deadline=None)
@given(x=st.floats(0, 200), y=st.floats(0, 130), size=st.floats(10, 95))
def test_decode_gives_back_what_was_written(stride: int, x: float, y: float, size: float) -> None:
    maps = blank()
    box, five = face(x, y, size)
    put(maps, stride, box, five, 2.0)
    boxes, scores, keypoints = decode(maps, 0.5)
    np.testing.assert_allclose(boxes, box[None], atol=2e-3)
    np.testing.assert_allclose(keypoints, five[None], atol=2e-3)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2.0))], atol=1e-6)


def test_only_cells_above_the_threshold_count() -> None:
    maps = blank()
    for x, logit in ((20.0, 0.39), (120.0, 0.42), (220.0, 3.0)):  # sigmoid(0.405) = 0.6
        put(maps, 16, *face(x, 60.0, 50.0), logit)
    _, scores, _ = decode(maps, 0.6)
    np.testing.assert_allclose(np.sort(scores), 1 / (1 + np.exp([-0.42, -3.0])), atol=1e-6)


def test_a_wild_size_overflows_nothing() -> None:
    maps = blank()
    maps["score_32"][0, 3, 3, 0] = 5.0
    maps["box_32"][0, 3, 3] = [0, 0, 1e4, -1e4]
    with np.errstate(over="raise"):
        boxes, _, _ = decode(maps, 0.5)
    assert np.isfinite(boxes).all()


def test_nothing_found_has_the_right_shapes() -> None:
    found = FaceDetector(lambda _: blank())(Frame(0.0, np.zeros((48, 64), np.uint8)))
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == (0,)
    assert found.keypoints.shape == (0, 5, 2)
    assert {found.boxes.dtype, found.scores.dtype, found.keypoints.dtype} == {np.dtype(np.float32)}


def test_neighbouring_cells_merge_and_the_strongest_comes_first() -> None:
    maps = blank()
    put(maps, 8, *face(40, 40, 24), 1.0)
    put(maps, 8, *face(41, 40, 24), 2.5, shift=1)
    put(maps, 32, *face(150, 60, 120), 3.5)
    found = FaceDetector(lambda _: maps)(Frame(0.0, np.zeros((256, 320), np.uint8)))
    assert len(found.scores) == 2
    assert found.scores[0] > found.scores[1]
    np.testing.assert_allclose(found.boxes[1], face(41, 40, 24)[0], atol=1e-2)


class FindsWhite:
    """A stand-in network that reports the bounding box of what is brighter than 128."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, picture: Grey) -> Mapping[str, Float]:
        self.calls += 1
        assert picture.shape == (256, 320)
        assert picture.dtype == np.uint8
        maps = blank()
        rows, columns = np.nonzero(picture > 128)
        if len(rows):
            # pixel edges, so that the inverse of the letterbox is exact for a filled rectangle
            box = np.array(
                [columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5],
                np.float32,
            )
            corners = box[[0, 1, 2, 1, 0, 3, 2, 3, 0, 1]].reshape(5, 2)
            put(maps, 16, box, corners, 4.0)
        return maps


@pytest.mark.parametrize(
    ("width", "height"),
    [(320, 256), (640, 480), (1280, 720), (480, 640), (200, 90), (333, 777), (1919, 1081)],
)
def test_boxes_come_back_in_frame_pixels(width: int, height: int) -> None:
    """Within a pixel of the network's picture, for every shape and scale."""
    luma = np.zeros((height, width), np.uint8)
    x0, x1, y0, y1 = int(width * 0.4), int(width * 0.7), int(height * 0.25), int(height * 0.8)
    luma[y0:y1, x0:x1] = 255
    found = FaceDetector(FindsWhite())(Frame(0.0, luma))
    step = max(width / 320, height / 256)
    wanted = np.array([x0, y0, x1, y1], np.float32) - 0.5
    np.testing.assert_allclose(found.boxes[0], wanted, atol=0.75 * step + 0.02)
    np.testing.assert_allclose(found.keypoints[0, 0], wanted[:2], atol=0.75 * step + 0.02)
    np.testing.assert_allclose(found.keypoints[0, 3], wanted[2:], atol=0.75 * step + 0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 8000), (8000, 1), (4320, 7680), (2, 3)])
def test_any_picture_size_is_taken(shape: tuple[int, int]) -> None:
    found = FaceDetector(FindsWhite())(Frame(0.0, np.full(shape, 255, np.uint8)))
    height, width = shape
    assert len(found.boxes) == 1
    limit = np.array([width, height, width, height]) - 1
    assert (found.boxes >= 0).all()
    assert (found.boxes <= limit).all()
    # a white picture fills the frame; half a pixel outside each edge is cut off
    np.testing.assert_allclose(
        found.boxes[0], [0, 0, width - 1, height - 1], atol=1e-2 * max(shape)
    )


def test_an_empty_picture_shows_nothing() -> None:
    network = FindsWhite()
    assert len(FaceDetector(network)(Frame(0.0, np.zeros((0, 40), np.uint8))).boxes) == 0
    assert network.calls == 0


def test_the_letterbox_leaves_no_trace_of_the_last_picture() -> None:
    out = np.full((256, 320), 200, np.uint8)
    letterbox(np.full((100, 400), 255, np.uint8), out)
    assert (out[:80] == 255).all()
    assert (out[80:] == 0).all()
    letterbox(np.full((400, 100), 90, np.uint8), out)
    assert (out[:, :64] == 90).all()
    assert (out[:, 64:] == 0).all()


def test_strong_shrinking_averages() -> None:
    """A one-pixel chequer board becomes grey, not black or white."""
    board = (np.indices((1024, 1280)).sum(0) % 2 * 255).astype(np.uint8)
    out = np.zeros((256, 320), np.uint8)
    letterbox(board, out)
    assert abs(float(out.mean()) - 127.5) < 1.0
    assert out.std() < 1.0


def test_tiles_find_what_the_whole_picture_is_too_coarse_for() -> None:
    luma = np.zeros((1536, 1920), np.uint8)
    luma[40:100, 50:98] = 255
    white = FindsWhite()

    def sees_only_large(picture: Grey) -> Mapping[str, Float]:
        maps = white(picture)
        return maps if (picture > 128).sum() > 200 else blank()

    assert len(FaceDetector(sees_only_large)(Frame(0.0, luma)).boxes) == 0
    white.calls = 0
    found = FaceDetector(sees_only_large, tiles=3)(Frame(0.0, luma))
    assert white.calls == 10
    np.testing.assert_allclose(found.boxes, [[49.5, 39.5, 97.5, 99.5]], atol=2.0)


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [(9, 9, 0), (640, 480, 0), (1280, 720, 2), (1920, 1080, 3), (7680, 4320, 4)],
)
def test_tiles_follow_the_size_of_the_picture_where_none_are_configured(
    width: int, height: int, tiles: int
) -> None:
    white = FindsWhite()
    FaceDetector(white, tiles=None)(Frame(0.0, np.zeros((height, width), np.uint8)))
    assert white.calls == 1 + tiles**2


def test_a_face_cut_by_a_tile_is_left_to_the_tile_that_shows_it_whole() -> None:
    """The face reaches from one tile past its inner edge; the overlap holds it whole."""
    luma = np.zeros((512, 640), np.uint8)
    luma[100:180, 290:370] = 255  # with 2x2 tiles of 366 px the left one cuts it, the right one not
    found = FaceDetector(FindsWhite(), tiles=2, nms_above=0.95)(Frame(0.0, luma))
    assert len(found.boxes) >= 1
    for box in found.boxes:
        np.testing.assert_allclose(box, [289.5, 99.5, 369.5, 179.5], atol=2.0)


@pytest.mark.parametrize("options", [{"score_above": 0.0}, {"score_above": 1.0}, {"tiles": -1}])
def test_senseless_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        FaceDetector(lambda _: blank(), **options)  # type: ignore[arg-type]


def test_the_shipped_network_finds_no_face_in_noise_and_flat_grey() -> None:
    manifest = load_manifest(models_folder(None))
    score_above = float(manifest.parameters("detector")["score_above"])
    detector = FaceDetector(open_model(manifest, "detector"), score_above)
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (480, 640)).astype(np.uint8), (0, 0), 2.0)
    for luma in (noise, np.full((480, 640), 127, np.uint8), np.zeros((480, 640), np.uint8)):
        assert len(detector(Frame(0.0, np.asarray(luma, np.uint8))).boxes) == 0
