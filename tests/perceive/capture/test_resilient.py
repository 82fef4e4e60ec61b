"""A camera that comes back as another file, which the sandbox keeps out of reach."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame
from agent.host.sandbox import landlock
from agent.perceive.capture import resilient
from agent.perceive.capture.resilient import out_of_reach, resilient_frames
from agent.perceive.capture.source import BaseSource, StuckError

ROOT = Path(__file__).resolve().parents[3]


def has_landlock() -> bool:
    try:
        return landlock.version() > 0
    except OSError:
        return False


class Unplugged(BaseSource):
    """A live source that has stopped."""

    live = True

    def __init__(self) -> None:
        super().__init__("test camera", 30.0)

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        raise CaptureError("The camera stopped.")

    def close(self) -> None:
        pass


class Listener:
    """Counts, and ends after three."""

    def __init__(self, stop: threading.Event) -> None:
        self.stalls = 0
        self._stop = stop

    def stalled(self) -> None:
        self.stalls += 1
        if self.stalls == 3:
            self._stop.set()

    def reopened(self) -> None:
        raise AssertionError


def frames(monkeypatch: pytest.MonkeyPatch, reach: list[set[Path]]) -> Listener:
    """Run until the end; `reach`: the cameras out of reach at start, then after each failure."""
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda timeout: stop.is_set())
    sources = [Unplugged()]

    def open_source(config: SourceConfig) -> Unplugged:
        if not sources:
            raise CaptureError("It is not there.")
        return sources.pop()

    monkeypatch.setattr(resilient, "open_source", open_source)
    monkeypatch.setattr(resilient, "out_of_reach", lambda: reach.pop(0))
    listener = Listener(stop)
    assert list(resilient_frames(SourceConfig(kind="v4l2"), stop, listener)) == []
    return listener


def test_a_camera_that_was_plugged_in_again_needs_a_new_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other, ours = Path("/dev/video9"), Path("/dev/video0")
    with pytest.raises(StuckError, match="/dev/video0 was plugged in after"):
        frames(monkeypatch, [{other}, {other}, {other, ours}])


def test_a_camera_that_stays_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/video9")  # of another group since ever
    assert frames(monkeypatch, [{other}] * 4).stalls == 3


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
def test_out_of_reach_is_what_the_sandbox_refuses(tmp_path: Path) -> None:
    script = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from agent.host.sandbox.enter import restrict_perceive\n"
        "from agent.perceive.capture.resilient import out_of_reach\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "for name in ('video0', 'video1', 'other'):\n    (folder / name).touch()\n"
        "restrict_perceive([], readable=[folder / 'video0'])\n"
        "names = ('video0', 'video1', 'other')\n"
        "Path.glob = lambda self, pattern: (self / each for each in names[:2])\n"
        "print(*(path.name for path in out_of_reach(folder)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.split() == ["video1"], done.stderr


def test_everything_is_in_reach_here(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert out_of_reach(tmp_path) == set()
    assert out_of_reach(tmp_path / "absent") == set()
