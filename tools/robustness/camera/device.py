"""One perceive process with a camera that fails on request."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.host import heartbeat
from agent.host.supervise import child_environment
from tools.common.errors import ToolError
from tools.common.processes import below, descriptors, own_memory, state

_FAULT, _OPENS, _PID, _LASTING = 0, 4, 12, 16
"""Offsets in the control page."""
_POLL = 0.05
STARTS_WITHIN = 120.0
"""Seconds until the first frame is perceived: kernels may have to be compiled."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The processes of a device after a recovery."""

    descriptors: int
    """Of perceive and the spawner."""
    memory: int
    """KiB of all three: anonymous and shared memory, each page counted once."""
    zombies: int
    processes: int


class Device:
    """Starts perceive, and starts it again where it ended."""

    def __init__(self, folder: Path, library: Path, stall: float) -> None:
        folder.mkdir()
        self._folder, self._library = folder, library
        self._alive = folder / "alive"
        self._alive.mkdir()
        control = folder / "control"
        control.write_bytes(bytes(mmap.PAGESIZE))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        (folder / "fleeting.toml").write_text(
            '[source]\nkind = "v4l2"\ntarget = "/dev/video0"\nwidth = 320\nheight = 240\n'
            f'fps = 15\nstall = {stall}\n[privacy]\npolicy = "demo"\nmicrophone = false\n'
            f'[store]\noutbox = "{folder}/outbox/outbox.db"\n'
        )
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until the first frame was perceived. Raises `ToolError`."""
        environment = child_environment() | {
            "LD_PRELOAD": str(self._library),
            "FAULTY_CONTROL": str(self._folder / "control"),
            "FLEETING_HEARTBEAT": str(self._alive),
        }
        began = heartbeat.boottime()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.cli", "perceive",
                 "--config", str(self._folder / "fleeting.toml")],
                env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        if not self._wait(lambda: self._progress() > began, STARTS_WITHIN):
            raise ToolError(f"perceive does not start: {self.log.read_text()[-400:]}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def break_camera(self, fault: int, *, lasting: bool = False) -> None:
        struct.pack_into("=I", self._control, _LASTING, int(lasting))
        struct.pack_into("=I", self._control, _FAULT, fault)

    def kill(self, which: str) -> None:
        """`reader`, `spawner` or `perceive`."""
        tree = self.tree()
        target = {"perceive": self.process.pid, "spawner": tree[1] if tree[1:] else None,
                  "reader": self._word(_PID)}[which]  # fmt: skip
        if target:
            os.kill(target, signal.SIGKILL)

    def recovered(self, opens: int, seconds: float) -> bool:
        """Wait for a frame that was perceived after the camera was opened again."""
        deadline = time.monotonic() + seconds
        if not self._wait(lambda: self._word(_OPENS) > opens, seconds):
            return False
        opened = heartbeat.boottime()
        left = deadline - time.monotonic()
        return self._wait(lambda: self._progress() > opened, left)

    def ended(self, seconds: float) -> bool:
        """Wait for the end of perceive."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def opens(self) -> int:
        """How often the camera was opened."""
        return self._word(_OPENS)

    def tree(self) -> list[int]:
        """Perceive and all below it, that first."""
        return [self.process.pid, *below(self.process.pid)]

    def sample(self) -> Sample:
        tree = self.tree()
        return Sample(
            descriptors=sum(descriptors(each) for each in tree[:2]),
            memory=sum(own_memory(each) for each in tree),
            zombies=sum(state(each) == "Z" for each in tree),
            processes=len(tree),
        )

    def stop(self) -> list[int]:
        """End perceive; returns the processes that are left over."""
        tree = self.tree()
        if self.process.poll() is None:
            self.process.terminate()
            if not self.ended(20.0):
                self.process.kill()
                self.process.wait()
        return left_over(tree)

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline or self.process.poll() is not None:
                return False
            time.sleep(_POLL)
        return True

    def _progress(self) -> float:
        beat = heartbeat.read(self._alive / "perceive")
        return (beat.progress or 0.0) if beat is not None else 0.0

    def _word(self, at: int) -> int:
        return int(struct.unpack_from("=I", self._control, at)[0])


def left_over(tree: list[int], seconds: float = 5.0) -> list[int]:
    """Those of these processes, but for the first, that are still there after some seconds."""
    deadline = time.monotonic() + seconds
    while found := [each for each in tree[1:] if state(each) not in ("", "Z")]:
        if time.monotonic() > deadline:
            return found
        time.sleep(_POLL)
    return []
