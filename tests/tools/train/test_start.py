"""Weights of the shipped files, back in the networks that they came from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is not installed")
pytest.importorskip("ai_edge_litert", reason="training is not installed")

from agent.base.types import Grey  # noqa: E402
from tools.common.files import MODELS, ROOT  # noqa: E402
from tools.train import start  # noqa: E402
from tools.train.clean import expression as clean_expression  # noqa: E402
from tools.train.detector.net import DetectorNet  # noqa: E402
from tools.train.expression import data as expression_data  # noqa: E402
from tools.train.expression import growth  # noqa: E402
from tools.train.expression import loop as expression_loop  # noqa: E402
from tools.train.expression.net import ExpressionNet  # noqa: E402
from tools.train.landmarks import loop as landmarks_loop  # noqa: E402
from tools.train.landmarks import net as landmarks_net  # noqa: E402
from tools.train.landmarks.net import LandmarkNet  # noqa: E402

CLIP = ROOT / "agent" / "base" / "assets" / "clip.mp4"
NETWORKS = {
    "detector": (DetectorNet, (256, 320)),
    "landmarks": (LandmarkNet, (112, 112)),
    "expression": (ExpressionNet, (48, 48)),
}


def _pictures(size: tuple[int, int], count: int) -> list[Grey]:
    """Pieces of the demo's clip, some with faces: ranges of int8 files fit to photographs only."""
    clip, rng = cv2.VideoCapture(str(CLIP)), np.random.default_rng(3)
    made: list[Grey] = []
    while len(made) < count:
        for _ in range(9):
            clip.grab()
        frame = cv2.cvtColor(clip.retrieve()[1], cv2.COLOR_BGR2GRAY)
        side = int(rng.uniform(0.4, 1.0) * frame.shape[0])
        y, x = (int(rng.integers(0, length - side + 1)) for length in frame.shape)
        piece = cv2.resize(frame[y : y + side, x : x + side], size[::-1])
        made.append(np.asarray(piece, np.uint8))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_network_answers_as_its_file_does(name: str) -> None:
    kind, size = NETWORKS[name]
    torch.manual_seed(0)
    net, pictures = kind(), _pictures(size, 48)
    file = (MODELS / name / "model.tflite").read_bytes()
    before = start.compare(net.train(), file, pictures)
    after = start.load(net, file, pictures)
    assert min(after) > start.LEAST_SNR_DB > 2 > max(before)
    assert net.training
    assert after == start.compare(net, file, pictures)
    # training takes the statistics of the batch: the function must not depend on which is used
    batch = torch.from_numpy(np.stack(pictures)).float()[:, None] / 255
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        trained = net(batch)[0]
        net.eval()
        for norm in norms:
            norm.momentum = 0.0
        tested = net(batch)[0]
    assert float((trained - tested).abs().max()) < 0.05 * float(tested.std())


def test_a_file_of_another_network_is_refused() -> None:
    file = (MODELS / "expression" / "model.tflite").read_bytes()
    net = LandmarkNet()
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match="layers"):
        start.load(net, file, _pictures((112, 112), 2))
    assert all(torch.equal(kept[name], value) for name, value in net.state_dict().items())


def test_checkpoints_begin_a_training_too(tmp_path: Path) -> None:
    net, path = ExpressionNet(), tmp_path / "checkpoint.pt"
    other = {name: torch.ones_like(value) for name, value in net.state_dict().items()}
    torch.save({"average": other}, path)
    start.begin(net, path, [])
    assert all(bool((value == 1).all()) for value in net.state_dict().values())
    with pytest.raises(SystemExit, match="train first"):
        start.begin(net, tmp_path / "none.pt", [])


def test_checkpoints_with_a_linear_presence_answer_as_before() -> None:
    torch.manual_seed(1)
    net = LandmarkNet().eval()
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("presence.")}
    linear = torch.nn.Linear(32 * 49, 1)
    state |= {f"presence.{key}": value.detach() for key, value in linear.state_dict().items()}
    net.load_state_dict(state)
    features = torch.rand(5, 32, 7, 7)
    with torch.no_grad():
        wanted = linear(features.permute(0, 2, 3, 1).flatten(1))
        assert torch.allclose(net.heads(features)[1], wanted, atol=1e-5)
    net.load_state_dict(net.state_dict())


def test_landmarks_begin_as_a_file_with_a_linear_presence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    old = landmarks_net.former().eval()

    def begin(net: LandmarkNet, path: Path, pictures: start.Pictures) -> None:
        if {k: v.shape for k, v in net.state_dict().items()} != {
            k: v.shape for k, v in old.state_dict().items()
        }:
            raise ValueError
        for mine, its in zip(net.parameters(), old.parameters(), strict=True):
            mine.data.copy_(its)

    monkeypatch.setattr(landmarks_loop, "begin", begin)
    net = LandmarkNet().eval()
    landmarks_loop.start_from(net, Path("model.tflite"), [])
    picture = torch.rand(3, 1, 112, 112)
    with torch.no_grad():
        for wanted, found in zip(old(picture), net(picture), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_the_clean_expression_training_begins_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faces = expression_data.Faces(
        np.zeros((3, 72, 72), np.uint8), np.zeros((3, 8), np.float32), np.zeros(3, np.float32),
        np.zeros((3, 12), np.float32), np.ones(3, np.float32),
    )  # fmt: skip
    begun: list[object] = []
    monkeypatch.setattr(clean_expression, "material", lambda: SimpleNamespace(parts=[(faces, 3)]))
    monkeypatch.setattr(clean_expression, "answered", lambda parts: parts)
    monkeypatch.setattr(expression_data, "ferplus", lambda usage: (faces, np.zeros((3, 10))))
    monkeypatch.setattr(expression_loop, "run_folder", lambda run: tmp_path)
    monkeypatch.setattr(growth, "from_file", lambda net, some, path: begun.append(some.shape))
    monkeypatch.setattr(expression_loop, "train", lambda *args: begun.append(args[6]))
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.touch()
    expression_loop._clean(1.0, None, restart=False)
    assert checkpoint.exists()
    expression_loop._clean(1.0, Path("other.pt"), restart=True)
    assert not checkpoint.exists()
    expression_loop._clean(1.0, Path("model.tflite"), restart=False)
    assert begun == [None, Path("other.pt"), (3, 48, 48), None]
