"""Other people's networks: sampling, decoding and clear words where one cannot run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.types import Float
from agent.vision.faces.align import MEAN_SHAPE, apply, five_points
from tools.common.errors import ToolError
from tools.eval import cache
from tools.eval.peers import detectors, landmarkers, runtime
from tools.eval.peers.detectors import blazeface, blend, retinaface, yunet
from tools.eval.peers.runtime import Network, corner_aligned
from tools.train.landmarks.teachers import WFLW_68

Given = list[Float]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Float]], Given]:
    """Every file opened is a network that gives these outputs; returns the inputs it was given."""

    def install(outputs: list[Float]) -> Given:
        given: Given = []

        def run(tensor: Float) -> list[Float]:
            given.append(tensor)
            return outputs

        for module in (detectors, landmarkers):
            monkeypatch.setattr(module, "open_network", lambda path: Network((1,), run))
        return given

    return install


def test_corner_alignment_has_no_half_pixel() -> None:
    """Pixel i of the tensor reads the ramp at i * side / size, counted from the square's corner."""
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (120, 1))
    sampled, matrix = corner_aligned(ramp, np.array([60.0, 60.0]), 60.0, 0.0, 20)
    np.testing.assert_array_equal(sampled[10], 2 * (30 + 3 * np.arange(20)))
    np.testing.assert_allclose(matrix, [[3, 0, 30], [0, 3, 30]], atol=1e-5)
    usual = cv2.resize(ramp[30:90, 30:90], (20, 20), interpolation=cv2.INTER_LINEAR)
    assert (usual[10].astype(int) - sampled[10]).mean() == pytest.approx(2, abs=0.1)  # 1 px off


def test_turned_squares_keep_their_middle() -> None:
    picture = np.zeros((100, 100), np.uint8)
    cv2.circle(picture, (40, 60), 4, 255, -1)
    for angle in (0.0, 0.7, -2.0):
        sampled, matrix = corner_aligned(picture, np.array([40.0, 60.0]), 30.0, angle, 30)
        assert sampled[15, 15] == 255
        np.testing.assert_allclose(apply(matrix, np.array([[15, 15]], np.float32)), [[40, 60]])
    _, matrix = corner_aligned(picture, np.array([40.0, 60.0]), 30.0, np.pi / 2, 30)
    right = apply(matrix, np.array([[16, 15]], np.float32))[0]
    np.testing.assert_allclose(right, [40, 61], atol=1e-4)  # clockwise: right becomes down


def test_outside_is_black_or_repeated() -> None:
    white = np.full((20, 20), 200, np.uint8)
    outside = (white, np.array([0.0, 10.0]), 20.0, 0.0, 10)
    assert corner_aligned(*outside)[0][5, 0] == 0
    assert corner_aligned(*outside, cv2.BORDER_REPLICATE)[0][5, 0] == 200


def test_weighted_suppression() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.9, 0.6, 0.3], np.float32)
    merged, kept = blend(boxes, scores, 0.3, 0.5)
    assert kept.tolist() == pytest.approx([0.9, 0.3])
    np.testing.assert_allclose(merged[0], [0.8, 0, 10.8, 10], atol=1e-5)  # (2 x 0.6) / 1.5
    np.testing.assert_allclose(merged[1], boxes[2])
    alone, _ = blend(boxes, scores, 0.3, 0.7)  # the second is below the usual threshold
    np.testing.assert_allclose(alone[0], boxes[0])
    assert blend(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.3, 0.5)[0].shape == (0, 4)


def test_yunet_decoding(network: Callable[[list[Float]], Given]) -> None:
    """One cell of stride 16, in a 640x480 picture that is halved."""
    counts = [1600, 400, 100]
    cls, obj = ([np.zeros((1, n, 1), np.float32) for n in counts] for _ in range(2))
    box = [np.zeros((1, n, 4), np.float32) for n in counts]
    kps = [np.zeros((1, n, 10), np.float32) for n in counts]
    cell = 3 * 20 + 5  # row 3, column 5
    cls[1][0, cell], obj[1][0, cell] = 0.9, 0.4
    box[1][0, cell] = 0.5, 0.25, np.log(2), np.log(3)
    given = network([*cls, *obj, *box, *kps])
    found = yunet(Path("yunet_n_320_320.onnx"))(np.full((480, 640), 77, np.uint8))
    assert found.scores.tolist() == pytest.approx([0.6])
    middle, size = np.array([5.5, 3.25]) * 16, np.array([32, 48])
    wanted = np.concatenate([middle - size / 2, middle + size / 2]) * 2
    np.testing.assert_allclose(found.boxes[0], wanted, rtol=1e-5)
    assert given[0].shape == (1, 3, 320, 320)
    assert given[0][0, :, 100, 100].tolist() == [77.0] * 3  # 0 to 255
    assert not given[0][0, :, 250:].any()


def test_retinaface_decoding(network: Callable[[list[Float]], Given]) -> None:
    """The second prior of the cell at row 2, column 4 of stride 8: 32 px at (36, 20)."""
    offsets, classes = np.zeros((1, 16800, 4), np.float32), np.zeros((1, 16800, 2), np.float32)
    prior = (2 * 80 + 4) * 2 + 1
    classes[0, prior, 1] = 0.8
    offsets[0, prior] = 1.0, 0.0, 5 * np.log(2), 0.0
    given = network([offsets, classes, np.zeros((1, 16800, 10), np.float32)])
    found = retinaface(Path("x.onnx"))(np.full((240, 320), 120, np.uint8))
    np.testing.assert_allclose(found.boxes[0] * 2, [39.2 - 32, 4, 39.2 + 32, 36], rtol=1e-4)
    assert found.scores.tolist() == pytest.approx([0.8])
    assert given[0][0, :, 10, 10].tolist() == [16.0, 3.0, -3.0]


def test_blazeface_decoding(network: Callable[[list[Float]], Given]) -> None:
    """An anchor of the 16x16 grid; the 320x160 picture lies in the middle of a square."""
    code, logit = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -50, np.float32)
    anchor = (8 * 16 + 4) * 2  # row 8, column 4: centre (36, 68) of 128
    code[0, anchor, :4] = 2, -4, 16, 24
    logit[0, anchor] = 2.0
    given = network([code, logit])
    find = blazeface(Path("face_detection_short_range.tflite"))
    found = find(np.full((160, 320), 255, np.uint8))
    # 2.5 picture pixels per input pixel; the square begins 80 px above the picture
    centre = np.array([38 * 2.5, 64 * 2.5 - 80])
    half = np.array([20, 30])
    wanted = np.concatenate([centre - half, centre + half])
    np.testing.assert_allclose(found.boxes[0], wanted, atol=1e-3)
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert given[0][0, 64, 64].tolist() == [1.0] * 3
    assert given[0][0, 5, 64].tolist() == [-1.0] * 3


FACE: Float = (MEAN_SHAPE * 80 + 200).astype(np.float32)


def test_the_mesh_gets_a_level_square(network: Callable[[list[Float]], Given]) -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    turned = apply(np.array([[c, -s, 60], [s, c, -40]], np.float32), FACE)
    answer = np.zeros((1, 1, 1, 1434), np.float32)
    answer[0, 0, 0, :2] = 128, 128
    given = network([answer])
    picture = np.zeros((480, 480), np.uint8)
    left, right = turned[36:42].mean(0), turned[42:48].mean(0)
    for eye in (left, right):
        cv2.circle(picture, (round(float(eye[0])), round(float(eye[1]))), 8, 255, -1)
    own = landmarkers.mesh(Path("x.tflite"))(picture, five_points(turned))
    rows = [np.argwhere(side > 0.5)[:, 0].mean() for side in np.split(given[0][0, :, :, 0], 2, 1)]
    assert rows[0] == pytest.approx(rows[1], abs=1.5)
    middle = (turned.min(0) + turned.max(0)) / 2
    np.testing.assert_allclose(own[0], middle, atol=12)
    points = landmarkers.mesh_points(own)
    assert np.isnan(points[:17]).all()
    assert np.isfinite(points[17:]).all()


def test_the_ghost_gets_the_faces_box(network: Callable[[list[Float]], Given]) -> None:
    answer = np.tile(np.array([0.5, 1.0], np.float32), 98)[None]
    given = network([answer])
    own = landmarkers.ghost(Path("x.onnx"))(np.full((480, 480), 255, np.uint8), five_points(FACE))
    low, high = FACE.min(0), FACE.max(0)
    top = low[1] - 0.28 * (high[1] - low[1])  # up to the forehead's middle
    side = float(high[1] - top)
    np.testing.assert_allclose(own[0], [(low[0] + high[0]) / 2, high[1]], atol=1.0)
    assert given[0].shape == (1, 3, 112, 112)
    assert given[0].max() == 1.0
    assert side == pytest.approx(float(own[0, 1] - top), abs=1.0)
    assert landmarkers.ghost_points(own).shape == (68, 2)


def test_point_tables() -> None:
    assert len(set(landmarkers.MESH_INNER.tolist())) == 51
    assert landmarkers.MESH_INNER.max() < 468
    assert len(set(WFLW_68.tolist())) == 68


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="--peer-networks"):
        runtime.open_network(tmp_path / "yunet_n_320_320.onnx")


def test_a_missing_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "yunet_n_320_320.onnx"
    path.touch()
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="pip install onnxruntime"):
        runtime.open_network(path)
    with pytest.raises(ToolError, match="pip install ai-edge-litert"):
        runtime.open_network(path.rename(tmp_path / "mesh.tflite"))


def test_answers_are_kept_until_something_changes(tmp_path: Path) -> None:
    network, pictures = tmp_path / "x.onnx", [np.zeros((2, 3), np.uint8)]
    network.write_bytes(b"first")
    calls = []

    def make() -> cache.Arrays:
        calls.append(1)
        return {"scores": np.array([0.5], np.float32)}

    def ask(given: list[np.ndarray]) -> float:
        key = cache.key_of(network, (runtime,), given)
        return float(cache.remember("YuNet-n 320", key, make, tmp_path)["scores"][0])

    assert ask(pictures) == ask(pictures) == 0.5
    assert len(calls) == 1
    ask([np.zeros((3, 2), np.uint8)])
    assert len(calls) == 2
    network.write_bytes(b"second")
    ask(pictures)
    assert len(calls) == 3
    assert not list(tmp_path.glob("*.tmp"))
