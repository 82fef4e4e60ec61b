"""The updater in a process of its own, begun from one that has its libraries loaded: a run is then
made of the update, not of Python's start."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from agent.base.clock import ClockReading, WallClock
from agent.base.settings_file import load
from agent.host.health import Limits
from agent.host.heartbeat import FOLDER
from agent.update import process, repository  # noqa: F401 - loaded once, for all
from agent.update.soak import Timing

TIMING = Timing(soak=0.15, poll=0.01, limits=Limits(20.0, 5.0), absent=2.0, ended=1.0, recover=20.0)
"""A soak of a day would be killed no more often at its edges."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", __name__])


def main(settings: Path, base: Path, alive: Path, log: Path) -> None:
    """As `fleeting update run`, in a group of its own."""
    os.setsid()
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(number, 2)
    os.environ["FLEETING_BASE"] = str(base)
    os.environ[FOLDER] = str(alive)
    logging.basicConfig(level=logging.INFO, format="update: %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    code = process.run_updater(load(settings), stop, timing=TIMING, clock=_Trusted())
    raise SystemExit(code)


class _Trusted(WallClock):
    """This machine's clock, whether or not anybody keeps it."""

    def __call__(self) -> ClockReading:
        return ClockReading("rtc", time.time() - time.monotonic())


class RunningUpdater:
    """One such process."""

    def __init__(self, settings: Path, base: Path, alive: Path, log: Path) -> None:
        self._process: ForkServerProcess = _CONTEXT.Process(
            target=main, args=(settings, base, alive, log)
        )
        self._process.start()

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None where it still runs."""
        self._process.join(seconds)
        return self._process.exitcode

    def stop(self) -> None:
        """Hold it and what it started, as a power cut would."""
        pid = self._process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGSTOP)
            else:
                os.kill(pid, signal.SIGSTOP)

    def kill(self, whole_group: bool) -> None:
        """kill -9, of it alone or with the helper that it started."""
        pid = self._process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if whole_group and os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        self._process.join()
