"""The audit's positive controls are such that they can be found, whatever the video shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from agent.base.config import StoreConfig
from agent.desk.audit._artifacts import Artifact, Evidence
from agent.desk.audit._controls import positive_controls
from agent.desk.audit._detect import detect
from agent.desk.audit._packets import HonestUplink
from agent.desk.audit._reference import Reference
from agent.desk.demo import configuration
from agent.wall.outbox import Outbox
from tests.desk.audit.clip import frames, write

Pictures = list[npt.NDArray[np.uint8]]
UPLINK = HonestUplink(configuration(Path("video"), Path("outbox.db"), 1883, "audit"), 5)


def cartoon() -> Pictures:
    found = []
    for shift in range(30):
        picture = np.full((120, 160), 230, np.uint8)
        cv2.circle(picture, (40 + shift, 60), 25, 255, -1)
        cv2.circle(picture, (40 + shift, 60), 25, 0, 2)
        cv2.rectangle(picture, (0, 90), (160, 120), 90, -1)
        found.append(picture)
    return found


def text() -> Pictures:
    picture = np.full((120, 160), 255, np.uint8)
    for line in range(5):
        cv2.putText(picture, f"line {line} of it", (4, 20 + 22 * line), 0, 0.5, 0, 1)
    return [picture] * 5


def large() -> Pictures:
    return [cv2.resize(each, (512, 512), interpolation=cv2.INTER_CUBIC) for each in frames(6)]


def noise() -> Pictures:
    return list(np.random.default_rng(1).integers(0, 256, (8, 120, 160), np.uint8))


VIDEOS: dict[str, Callable[[], Pictures]] = {
    "clouds": lambda: frames(10),
    "dark": lambda: [each // 14 for each in frames(10)],
    "dark at first": lambda: [*[np.zeros((120, 160), np.uint8)] * 40, *frames(10)],
    "cartoon": cartoon,
    "text": text,
    "large": large,
    "noise": noise,
    "still": lambda: frames(1) * 8,
    "low contrast": lambda: [120 + each // 10 for each in frames(10)],
}


def outbox(folder: Path) -> Path:
    path = folder / "outbox.db"
    with Outbox(StoreConfig(outbox=path)):
        pass
    return path


def evidence(path: Path) -> Evidence:
    artifacts = [
        Artifact("wire", "wire", b"".join([UPLINK.connect(), *UPLINK.opening()])),
        Artifact("words", "log", b"perceive: hello\n"),
        Artifact("outbox.db", "database", path.read_bytes()),
    ]
    return Evidence(artifacts, "audit", 0, 0, frozenset())


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDEOS)
def test_all_controls_are_found_on_any_video(name: str, tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / "video.mkv", VIDEOS[name]()))
    path = outbox(tmp_path)
    detected = detect(evidence(path), path, reference, lambda _: None)
    assert detected.missed == []
    assert detected.unseen == []
    assert detected.controls == 4
    assert [each for each in detected.findings if each.detector != "wire"] == []


@pytest.mark.parametrize("level", [0, 128])
def test_a_flat_video_proves_nothing_and_the_cause_is_said(level: int, tmp_path: Path) -> None:
    flat = [np.full((120, 160), level, np.uint8)] * 5
    reference = Reference(write(tmp_path / "flat.mkv", flat))
    path = outbox(tmp_path)
    detected = detect(evidence(path), path, reference, lambda _: None)
    assert detected.missed == []
    assert "too little texture" in detected.unseen[0]


def test_a_control_that_no_detector_finds_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controls can fail: without decodings nothing is found in the log."""
    reference = Reference(write(tmp_path / "video.mkv", frames(5)))
    path = outbox(tmp_path)
    monkeypatch.setattr("agent.desk.audit._detect.decodings", lambda data: iter(()))
    detected = detect(evidence(path), path, reference, lambda _: None)
    assert any("pixels in a log" in each for each in detected.missed)


def test_controls_are_marked_as_planted(tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / "video.mkv", frames(5)))
    controls, unseen = positive_controls(reference, evidence(outbox(tmp_path)))
    assert unseen == []
    assert all(each.artifact.planted for each in controls)
    assert reference.required is not None
    kinds = [dataclasses.asdict(each.artifact)["kind"] for each in controls]
    assert kinds == ["wire", "log", "database", "other"]
