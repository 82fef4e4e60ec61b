"""The process that reads the camera, as the one that perceives sees it: asked for, and ended.

In its sandbox the perceive process can neither start a process nor signal one. A spawner, started
before, does both (`agent.perceive.capture.spawner`). What passes between the three is bounded:

    to the spawner:   the section [source] once, then S (start) and K (kill)
    from the spawner: R (its libraries are there), N (the start failed), X and a status (ended)
    from the camera's process: pictures and one message, in shared memory (`ring`), and a bell

Nothing here waits for a process: a child that hangs in its driver is killed, never asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Literal

from agent.base.errors import CaptureError, reason
from agent.host.supervise import child_environment
from agent.perceive.capture import ring

if TYPE_CHECKING:
    from agent.base.config import SourceConfig

MAX_REQUEST = 65_536
"""Bytes."""
ENDS_WITHIN = 5.0
"""Seconds from SIGKILL to the end of a process that is not stuck in the kernel."""
_NEAR = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread each: a process with threads must not fork."""
_KEPT_OUT = ("FLEETING_HEARTBEAT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
State = Literal["idle", "running", "killed", "lost"]


class StuckError(CaptureError):
    """Only a new process, or a reboot, can open the camera again."""


class CameraProcess:
    """Starts the spawner. Make it before the sandbox is entered, and before libraries that start
    threads are imported."""

    def __init__(self, config: SourceConfig) -> None:
        """Raises `CaptureError` where no process can be started."""
        self.state: State = "idle"
        """`lost`: the spawner is gone, and only a new perceive process helps."""
        self.status: int | None = None
        """How the last one ended, as wait(2) says it; None while it runs, or where it was not
        started."""
        try:
            self._start(config)
        except OSError as error:
            raise CaptureError(
                f"The process that reads the camera cannot be started: {reason(error)}. Allow "
                "more processes and open files."
            ) from None

    def _start(self, config: SourceConfig) -> None:
        frames, bell = ring.create(), os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = child_environment() | dict.fromkeys(_NEAR, "1")
        for name in _KEPT_OUT:
            environment.pop(name, None)
        numbers = [str(each) for each in (theirs.fileno(), frames, bell, os.getpid())]
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.perceive.capture.spawner", *numbers],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno(), frames, bell],
            )
        self._link, self._bell = link, bell
        self.ring = ring.Reader(frames)
        os.close(frames)
        device = None if config.device is None else str(config.device)
        link.send(json.dumps({**config.model_dump(mode="json"), "device": device}).encode())
        link.setblocking(False)
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._poll.register(bell, select.POLLIN)

    def limit(self, fps: float | None) -> None:
        """Have at most this many frames a second copied at all; None: all. Holds for processes
        that are started later, too."""
        self.ring.limit(fps)

    def start(self) -> None:
        """Have a process open the camera. Only while none runs. Raises `StuckError`."""
        self.ring.clear()
        self.status = None
        self._ask(b"S")
        self.state = "running"

    def wait(self, seconds: float) -> None:
        """Until there is a picture, or something has ended, or the time is over. Raises
        `StuckError` where the spawner is gone."""
        for number, _ in self._poll.poll(max(0.0, seconds) * 1000):
            if number == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
            else:
                self._listen()

    def kill(self) -> None:
        """End the process at once, and wait until it has ended. Raises `StuckError` where it does
        not: it is stuck in the kernel."""
        if self.state == "running":
            self._ask(b"K")
            self.state = "killed"
        deadline = time.monotonic() + ENDS_WITHIN
        while self.state == "killed":
            left = deadline - time.monotonic()
            if left <= 0:
                raise StuckError(
                    "The process that reads the camera cannot be ended: it hangs in the camera's "
                    "driver. Restart the agent, which the service does by itself; if that does "
                    "not help, restart the machine."
                )
            self.wait(left)

    def close(self) -> None:
        """End both processes, which also end by themselves once this one has."""
        self._link.close()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._child.wait(ENDS_WITHIN)  # the sandbox may not let us; then it is init's
        with contextlib.suppress(OSError):
            os.close(self._bell)
        self.state = "lost"

    @property
    def how_it_ended(self) -> str:
        """In words."""
        if self.status is None:
            return "it was not started: too little memory, or too many processes"
        code = os.waitstatus_to_exitcode(self.status)
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    def _listen(self) -> None:
        while self.state != "lost":
            try:
                message = self._link.recv(16)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._lose()
            elif message[:1] in (b"X", b"N"):
                status = int.from_bytes(message[1:3], "little")
                self.status = status if message[:1] == b"X" else None
                self.state = "idle"

    def _ask(self, request: bytes) -> None:
        try:
            self._link.send(request)
        except OSError:
            self._lose()

    def _lose(self) -> None:
        self.state = "lost"
        raise StuckError(
            "The process that starts the one that reads the camera has ended. Restart the agent; "
            "the service does so by itself."
        )
