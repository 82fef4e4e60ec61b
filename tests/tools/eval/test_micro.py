"""The spotter on generators it was trained on and on those it was not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agent.base.config import AgentConfig
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from tools.common.errors import ToolError
from tools.eval.micro import across, evaluate, tables
from tools.eval.ours import Ours
from tools.train.micro.generators import GENERATORS

ONE = {"muscles": GENERATORS["muscles"]}


@pytest.fixture
def ours() -> Ours:
    return Ours("default", AgentConfig(), load_manifest(models_folder(None)))


@pytest.fixture
def one_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (across, evaluate):
        monkeypatch.setattr(module, "GENERATORS", ONE)
    monkeypatch.setattr(across, "CELLS", ((30.0, 0.001),))


@pytest.mark.usefixtures("one_generator")
def test_tracks_are_the_same_each_time_and_differ_from_one_another() -> None:
    first, second = across.tracks("muscles", 30.0, 0.001, 2)
    again = next(iter(across.tracks("muscles", 30.0, 0.001, 1)))
    np.testing.assert_array_equal(first.landmarks, again.landmarks)
    assert len(first.micro) == len(second.micro) == 6
    assert first.micro != second.micro
    quiet = next(iter(across.tracks("muscles", 30.0, 0.001, 1, events=0)))
    assert quiet.micro == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_generator")
def test_a_network_left_without_a_generator_is_measured_on_it(
    ours: Ours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluate.evaluate(ours, 2, tmp_path)
    assert report["left_out"] == []
    assert "without muscles" in report["missing"]
    assert "not measured" in tables.section(report)
    (shipped,) = report["shipped"]
    assert shipped["generator"] == "muscles"
    assert shipped["truths"] == 12
    assert shipped["f1"]["value"] > 0.3

    shipped_network = SpotterNetwork.load(ours.manifest.network("micro").read())
    monkeypatch.setattr(evaluate, "left_out_network", lambda *_: (shipped_network, 7))
    report = evaluate.evaluate(ours, 2, tmp_path)
    (left_out,) = report["left_out"]
    assert report["missing"] == {}
    assert left_out["f1"] == shipped["f1"]
    text = tables.section(report)
    assert "Left out" in text
    assert "for 7 steps" in " ".join(text.split())
    assert text.count("| mean |") == 2


def test_a_checkpoint_of_another_network_is_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from tools.eval.micro import publish
    from tools.train.micro.net import MicroNet

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(ToolError, match="there is no"):
        publish.network_of(path)
    torch.save({"average": MicroNet().state_dict(), "step": 7, "spent": 1.0}, path)
    network, steps = publish.network_of(path)
    assert isinstance(network, SpotterNetwork)
    assert steps == 7
    torch.save({"average": MicroNet(16).state_dict(), "step": 1, "spent": 1.0}, path)
    with pytest.raises(ToolError, match="another network"):
        publish.network_of(path)


@pytest.mark.usefixtures("one_generator")
def test_false_alarms_are_those_of_the_network_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from tools.eval.micro import publish

    shipped, other = SimpleNamespace(rate=3), SimpleNamespace(rate=1)
    monkeypatch.setattr(publish, "GENERATORS", ONE)
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    monkeypatch.setattr(publish, "TRACKS", 2)
    monkeypatch.setattr(across, "spot", lambda network, _: [None] * network.rate)
    monkeypatch.setattr(publish, "network_of", lambda _: (other, 5))
    assert publish.false_alarms(shipped) == ({"muscles": 3.0}, [])  # type: ignore[arg-type]
    (tmp_path / "micro-without-muscles").mkdir()
    (tmp_path / "micro-without-muscles" / "checkpoint.pt").touch()
    assert publish.false_alarms(shipped) == ({"muscles": 1.0}, ["muscles"])  # type: ignore[arg-type]
