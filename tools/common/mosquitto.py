"""A Mosquitto on a free loopback port that can be stopped, started and killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from agent.host.sandbox import kernel
from tools.common.errors import ToolError

_START = 60.0
"""Seconds that a broker has to listen."""
_END = 30.0
"""Seconds that a process has to end when asked."""
_PR_SET_PDEATHSIG = 1
_PORTS = iter(random.Random().sample(range(10_240, 32_768), 32_768 - 10_240))


def installed() -> str | None:
    """Path of the program, if it is installed; Debian's is not on every user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def program() -> str:
    """Path of the program. Raises `ToolError`."""
    found = installed()
    if found is None:
        raise ToolError("Mosquitto is not installed. Install it: apt install mosquitto.")
    return found


class Mosquitto:
    """One broker; its port, configuration and log stay the same over restarts."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true") -> None:
        """`settings`: further lines of mosquitto.conf(5)."""
        self.port = free_port()
        self._log = folder / f"mosquitto-{self.port}.log"
        self._config = self._log.with_suffix(".conf")
        # Started by root it would change its user and could not use this folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        text = f"{user}listener {self.port} 127.0.0.1\n{settings}\n"
        self._config.write_text(text)
        lines = [line.split() for line in text.splitlines()]
        self._ports = [
            int(words[1]) for words in lines if words[:1] == ["listener"] and "127.0.0.1" in words
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens on all its ports of 127.0.0.1. Raises `ToolError`."""
        command = [program(), "-c", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + _START
        while not all(map(listens, self._ports)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
                raise ToolError(
                    f"Mosquitto does not start: {' | '.join(words[-2:]) or 'no reason given'}. "
                    f"Try it: {' '.join(command)}"
                )
            time.sleep(0.02)

    def stop(self, kill: bool = False) -> None:
        """SIGTERM: it writes its sessions to disk, if `settings` keep them, and ends; or kill -9.
        Raises `ToolError` when it ends with an error."""
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
            process.wait()
        elif (code := terminate(process)) != 0:
            raise ToolError(f"Mosquitto ended with code {code} when asked to stop. Try again.")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on. Each one once in a process, and none of
    those that the system gives to clients (ip(7)): before what is to listen on it has started, a
    connection of somebody else's could take it."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ToolError("No TCP port of 127.0.0.1 is left. End what listens on them.")


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def terminate(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM; the exit code. Killed when it takes too long."""
    process.terminate()
    try:
        return process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def die_with_parent() -> None:
    """In a child, before its program starts: be killed when the parent ends (prctl(2))."""
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
