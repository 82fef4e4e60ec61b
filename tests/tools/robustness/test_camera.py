"""A camera that fails on request: read as the agent does, and the tool itself in miniature."""

from __future__ import annotations

import itertools
import mmap
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.config import SourceConfig
from agent.perceive.capture.live import CameraError, LiveCamera
from agent.perceive.capture.spawn import CameraProcess
from tools.common.faulty_camera import NAMES, build
from tools.robustness.camera import cli, run

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc")), reason="there is no C compiler"
)
CONFIG = SourceConfig(kind="v4l2", target="/dev/video0", width=320, height=240, fps=30, stall=0.5)


class Faulty:
    """A camera, and the control page of what it does wrong."""

    def __init__(self, folder: Path) -> None:
        (folder / "control").write_bytes(bytes(mmap.PAGESIZE))
        with (folder / "control").open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.camera = LiveCamera(CONFIG, CameraProcess(CONFIG))
        self.camera.start()

    def fails(self, fault: str) -> str:
        """The kind of the failure that follows a fault."""
        next(self.camera)
        struct.pack_into("=I", self._control, 0, NAMES.index(fault))
        with pytest.raises(CameraError) as caught:
            for _ in self.camera:
                pass
        self.camera.end()
        self.camera.start()
        return caught.value.kind


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def faulty(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAULTY_CONTROL", str(tmp_path / "control"))
    monkeypatch.setenv("FAULTY_FPS", "30")
    found = Faulty(tmp_path)
    monkeypatch.delenv("LD_PRELOAD")
    yield found
    found.camera.close()


@pytest.mark.slow
def test_each_fault_has_its_name_and_the_next_process_gives_frames(faulty: Faulty) -> None:
    first = next(faulty.camera)
    assert first.luma.shape == (240, 320)
    before = len(os.listdir("/proc/self/fd"))
    for fault, kind in {
        "hangs in read": "hung", "hangs in close": "gone", "one frame for ever": "frozen",
        "half a frame": "hung", "wrong size": "hung", "crashes": "crashed",
        "fills its descriptors": "hung", "green": "green", "exits": "crashed",
    }.items():  # fmt: skip
        assert faulty.fails(fault) == kind, fault
    assert next(faulty.camera).time > first.time
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.slow
def test_a_limit_holds_at_once_and_is_no_loss(faulty: Faulty) -> None:
    next(faulty.camera)
    faulty.camera.limit(5.0)
    next(faulty.camera)
    next(faulty.camera)
    lost = faulty.camera.counters.dropped
    times = [frame.time for frame in itertools.islice(faulty.camera, 6)]
    steps = [later - one for one, later in itertools.pairwise(times)]
    assert min(steps) > 0.1
    assert faulty.camera.counters.dropped == lost
    faulty.camera.limit(None)
    next(faulty.camera)


@pytest.mark.slow
def test_the_tool_in_miniature() -> None:
    done: list[float] = []
    options = run.Options(times=1, at_once=1, stall=1.0, seed=3)
    report = run.run(options, lambda count, note: done.append(count))
    assert (report["errors"], report["left"], report["zombies"]) == ([], [], 0)
    assert report["kinds"]["hangs in read"]["longest"] is not None
    assert report["gives_up"]["passed"], report
    assert done == [1]
    assert "of 1 faults" in cli.text(report)


def test_growth_is_seen_and_noise_is_not() -> None:
    grows = [[100.0 + 30 * n for n in range(20)], [500.0 + 30 * n for n in range(20)]]
    slope, error = run._slope(grows)
    assert slope == pytest.approx(30)
    assert error < 1
    flat = [[100.0 + (n * 7 % 5) for n in range(40)]]
    slope, error = run._slope(flat)
    assert abs(slope) <= error + 0.1
