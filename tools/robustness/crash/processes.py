"""The processes of the crash test: both halves of the agent, and a Mosquitto that is restarted."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from agent.host.supervise import child_environment
from tools.common.errors import ToolError

_START = 20.0
"""Seconds that a broker has to listen."""
_END = 30.0
"""Seconds that a process has to end when asked."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Half:
    """`fleeting perceive` or `fleeting uplink`, killed and started again."""

    def __init__(self, name: str, config: Path, folder: Path) -> None:
        self.name = name
        self.starts = 0
        self.log = folder / f"{name}.log"
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its words are added to its log."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.cli", self.name, "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(),
                preexec_fn=_die_with_parent,
            )

    def ended(self) -> int | None:
        """Its exit code once it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM, as systemd does; returns the exit code. Killed when it takes too long."""
        process, self._process = self._process, None
        if process is None:
            return 0
        return _terminate(process)


class Broker:
    """A Mosquitto on a free loopback port, which keeps sessions and queues on disk."""

    def __init__(self, folder: Path) -> None:
        self._program = mosquitto() or "mosquitto"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        store = folder / "mosquitto"
        store.mkdir()
        # Started by root it would change its user and could not write to this folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config.write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {store}/\nmax_queued_messages 0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it listens. Raises `ToolError`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + _START
        while not self._listens():
            if not self.running or time.monotonic() > deadline:
                words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
                raise ToolError(
                    f"Mosquitto does not start: {' | '.join(words[-2:]) or 'no reason given'}. "
                    f"Try it: {self._program} -c {self._config}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM: it writes its sessions to disk and ends. Raises `ToolError` when it fails."""
        process, self._process = self._process, None
        if process is None:
            return
        code = _terminate(process)
        if code != 0:
            raise ToolError(f"Mosquitto ended with code {code} when asked to stop. Try again.")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def mosquitto() -> str | None:
    """Where Mosquitto is, if anywhere."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _terminate(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _die_with_parent() -> None:
    """In the child: end when the test is killed (prctl(2))."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
