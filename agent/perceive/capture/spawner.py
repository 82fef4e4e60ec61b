"""`python -m agent.perceive.capture.spawner LINK FRAMES BELL PARENT`: see `spawn`.

It enters its sandbox, imports the camera's library and then forks, for each start, a process that
opens the camera. Its pages are shared with that process. It has one thread, never opens a device,
never waits for its child, and ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from agent.host.sandbox import kernel
from agent.host.sandbox.camera import restrict_spawner
from agent.host.settle import settle
from agent.perceive.capture.spawn import MAX_REQUEST

if TYPE_CHECKING:
    from agent.base.config import SourceConfig

_POLL = 0.2
"""Seconds between looks at a child that the kernel gives no descriptor of (before Linux 5.3)."""
_FAREWELL = 2.0
"""Seconds in which a killed child is waited for at the end."""


def main(arguments: list[str]) -> int:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(arguments[0]))
    frames, bell, parent = (int(each) for each in arguments[1:4])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the process that started it
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 0
    logging.disable()  # what has to be said is said by the process that perceives
    received = link.recv(MAX_REQUEST)
    if not received:
        return 0
    config, reads_all = _settings(received)
    restrict_spawner(local_clients=config.kind == "gstreamer", reads_all=reads_all)
    from agent.perceive.capture.child import import_libraries, run

    import_libraries(config.kind)
    settle()  # frozen, so that collecting in a child copies no pages
    with contextlib.suppress(OSError):
        link.send(b"R")
        _Spawner(link, lambda: run(config, frames, bell, reads_all)).serve()
    return 0


def _settings(received: bytes) -> tuple[SourceConfig, bool]:
    """The section, and whether all may be read, as `CameraProcess` sends them; pydantic would take
    as much memory as the rest."""
    fields = json.loads(received)
    fields["device"] = None if fields["device"] is None else Path(fields["device"])
    reads_all = bool(fields.pop("reads_all"))
    return cast("SourceConfig", SimpleNamespace(**fields)), reads_all


class _Spawner:
    """At most one child."""

    def __init__(self, link: socket.socket, work: object) -> None:
        self._link, self._work = link, work
        self._child: int | None = None
        self._handle: int | None = None
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)

    def serve(self) -> None:
        """Until the other end of the link is closed. Raises `OSError` where it is gone."""
        try:
            while True:
                polled = self._child is not None and self._handle is None
                ready = [each for each, _ in self._poll.poll(_POLL * 1000 if polled else None)]
                self._reap()
                if self._link.fileno() not in ready:
                    continue
                request = self._link.recv(16)
                if not request:
                    return
                if request == b"S":
                    self._start()
                elif request == b"K":
                    self._kill()
        finally:
            self._kill()
            deadline = time.monotonic() + _FAREWELL
            while self._child is not None and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    self._reap()
                time.sleep(0.02)

    def _start(self) -> None:
        if self._child is not None:
            return
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError:
            self._link.send(b"N")
            return
        if child == 0:
            code = 1
            try:
                self._link.close()
                kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() == parent:
                    code = self._work()  # type: ignore[operator]
            finally:
                os._exit(code)
        self._child = child
        with contextlib.suppress(OSError, AttributeError):
            self._handle = os.pidfd_open(child)
            self._poll.register(self._handle, select.POLLIN)

    def _kill(self) -> None:
        if self._child is not None:  # not reaped yet, so the number is still its own
            with contextlib.suppress(OSError):
                os.kill(self._child, signal.SIGKILL)

    def _reap(self) -> None:
        if self._child is None:
            return
        ended, status = os.waitpid(self._child, os.WNOHANG)
        if not ended:
            return
        self._child = None
        if self._handle is not None:
            self._poll.unregister(self._handle)
            os.close(self._handle)
            self._handle = None
        self._link.send(b"X" + (status & 0xFFFF).to_bytes(2, "little"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
