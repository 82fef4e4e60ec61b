"""A device that only stands for one: its two services do nothing but start from the slot in force,
leave their sign of life, and start again when the updater asks. The updater is the real one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from pathlib import Path

from agent.host import launch
from agent.host.health import SERVICES
from agent.host.heartbeat import Beat, boottime
from agent.host.launch import Starts

_VERSION = re.compile(r'__version__ = "([^"]+)"')
_TICK = 0.004


class Services:
    """Both services, in a thread; a context manager. Where a version is `bad`, its perceive ends at
    once, each time."""

    def __init__(self, folder: Path, base: Path, alive: Path) -> None:
        self.bad: set[str] = set()
        self.starts = 0
        self._folder, self._base, self._alive = folder, base, alive
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._locks: dict[str, int] = {}
        self._runs: dict[str, tuple[str, int]] = {}
        """Version and process id, as it were."""
        self._pid = 1_000_000
        self._asked: tuple[int, int] | None = None

    def __enter__(self) -> Services:
        self._asked = self._signature()
        for name in SERVICES:
            self._start(name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for name in list(self._locks):
            self._end(name)

    @property
    def locks(self) -> tuple[int, ...]:
        """Descriptors that are held as long as the services live."""
        return tuple(self._locks.values())

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self._runs.values()}

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            asked = self._signature()
            if asked != self._asked:
                self._asked = asked
                for name in SERVICES:
                    self._end(name)
                    self._start(name)
            for name in SERVICES:
                if name not in self._locks:  # as whoever restarts a service that ended
                    self._start(name)
                elif name == "perceive" and self._runs[name][0] in self.bad:
                    self._end(name)
                else:
                    self._beat(name)

    def _signature(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self._folder / "restart")
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _start(self, name: str) -> None:
        """As `agent.host.launch` does."""
        self.starts += 1
        self._pid += 1
        path = self._alive / f"{name}.starts"
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with contextlib.suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        place = launch.choose(self._folder, name, self._base, number) or self._base
        found = launch.decode(os.pread(number, 129, 0))
        assert found is not None
        os.pwrite(
            number, Starts(found.slot, found.link, found.count, self._pid, found.at).encode(), 0
        )
        text = (place / "agent" / "__init__.py").read_text()
        match = _VERSION.search(text)
        assert match is not None
        self._locks[name] = number
        self._runs[name] = match[1], self._pid
        self._beat(name)

    def _end(self, name: str) -> None:
        number = self._locks.pop(name, None)  # it may have ended by itself
        if number is not None:
            os.close(number)

    def _beat(self, name: str) -> None:
        version, pid = self._runs[name]
        now = boottime()
        beat = Beat(pid, version, "ready", frozenset(), None, now, now, now)
        with open(self._alive / name, "r+b" if (self._alive / name).exists() else "wb") as file:
            file.write(beat.encode())
