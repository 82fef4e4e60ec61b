"""The processes around a camera: none is left over, none is waited for, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.base.config import SourceConfig
from agent.perceive.capture import spawn
from agent.perceive.capture.live import CameraError, LiveCamera
from agent.perceive.capture.spawn import CameraProcess, StuckError

ROOT = Path(__file__).resolve().parents[3]


def config(folder: Path) -> SourceConfig:
    return SourceConfig(kind="v4l2", target=str(folder / "no-such-camera"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def process(tmp_path: Path) -> Iterator[CameraProcess]:
    found = CameraProcess(config(tmp_path))
    yield found
    found.close()


@pytest.mark.slow
def test_an_absent_camera_says_so_itself_again_and_again(
    tmp_path: Path, process: CameraProcess
) -> None:
    camera = LiveCamera(config(tmp_path), process)
    before = len(os.listdir("/proc/self/fd"))
    spawner = process._child.pid
    for _ in range(5):
        camera.start()
        with pytest.raises(CameraError, match="no-such-camera") as caught:
            next(camera)
        assert caught.value.kind == "gone"
        camera.end()
        assert children(spawner) == []
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(os.listdir(f"/proc/{spawner}/fd")) < 20
    camera.close()
    assert not alive(spawner)


@pytest.mark.slow
def test_a_spawner_that_was_killed_is_a_reason_to_end(
    tmp_path: Path, process: CameraProcess
) -> None:
    camera = LiveCamera(config(tmp_path), process)
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    with pytest.raises(StuckError, match="has ended"):
        camera.start()


def test_a_reader_that_cannot_be_ended_is_named(
    tmp_path: Path, process: CameraProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is that hangs in the kernel: the spawner, stopped, ends nobody."""
    monkeypatch.setattr(spawn, "ENDS_WITHIN", 0.1)
    os.kill(process._child.pid, signal.SIGSTOP)
    try:
        process.start()
        with pytest.raises(StuckError, match=r"hangs in the camera's driver\. Restart"):
            process.kill()
    finally:
        os.kill(process._child.pid, signal.SIGCONT)


@pytest.mark.slow
def test_nobody_outlives_the_one_that_perceives(tmp_path: Path) -> None:
    script = (
        f"import sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from agent.base.config import SourceConfig\n"
        "from agent.perceive.capture.spawn import CameraProcess\n"
        "process = CameraProcess(SourceConfig(kind='v4l2'))\n"
        "process.start()\nprint(process._child.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        spawner = int(parent.stdout.readline())
    assert alive(spawner)
    parent.kill()
    parent.wait()
    assert eventually(lambda: not alive(spawner))


def test_the_environment_of_the_service_manager_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "FLEETING_HEARTBEAT"):
        monkeypatch.setenv(name, "/nonexistent")
    process = CameraProcess(config(tmp_path))
    try:
        environment = Path(f"/proc/{process._child.pid}/environ").read_bytes().split(b"\0")
        names = {each.partition(b"=")[0] for each in environment}
        assert not names & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"FLEETING_HEARTBEAT"}
        assert b"OPENBLAS_NUM_THREADS=1" in environment, "a process with threads must not fork"
    finally:
        process.close()
