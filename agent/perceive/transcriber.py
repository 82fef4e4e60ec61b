"""Speech to text by a server of this machine that speaks the Wyoming protocol.

The server is a stranger's program. A process of its own, started before the sandbox is entered,
talks to it and reads its answers (`agent.perceive.transcription`); it may connect to local
sockets and nothing else. What passes between the two is bounded by the kernel: messages of a
letter and a body.

    to it:   S  a stretch of speech begins     A  int16 samples, 16 kHz     E  it has ended
    from it: T  the text of a stretch          F  why a stretch has no text
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.errors import ConfigError
from agent.host.supervise import child_environment
from agent.perceive.transcription.messages import CHUNK, MAX_TEXT, REASONS

if TYPE_CHECKING:
    from agent.base.types import Float

MAX_FAILURES = 3
"""Stretches in a row without a text, after which the server counts as gone until a restart."""
_BUFFER = 262_144
"""Bytes that wait for the other process: some seconds of speech."""
_MAX_MESSAGES = 32
"""Read per poll."""


class Transcriber:
    """Sends speech to the server at `path` and receives texts; never blocks.

    Make it before the sandbox is entered. Raises `ConfigError` where `path` is no Unix socket or
    the package `wyoming` is missing."""

    def __init__(self, path: Path) -> None:
        _check(path)
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for each in (self._link, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            command = [sys.executable, "-P", "-m", "agent.perceive.transcription"]
            try:
                self._child = subprocess.Popen(
                    [*command, str(theirs.fileno()), str(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=child_environment(),
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                self._link.close()
                raise ConfigError(
                    f"words.wyoming: its process cannot be started ({error.strerror})."
                ) from None
        self._link.setblocking(False)
        self._open = False
        self._in_a_row = 0
        self.failed: str | None = None
        """Why no text will come any more, one of `REASONS`; None while some may."""
        self.failures: Counter[str] = Counter()
        """Stretches without a text, by reason."""
        self.lost_samples = 0
        """Not sent, because the server was too slow."""

    def start(self) -> None:
        """A stretch of speech begins."""
        self._open = self._send(b"S")

    def send(self, samples: Float) -> None:
        """float32[S], 16 kHz, full scale 1: more of the stretch."""
        if not self._open:
            self.lost_samples += len(samples)
            return
        import numpy as np  # not before the sandbox is entered: see `start`

        sound = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
        whole = np.round(np.clip(sound, -1.0, 1.0) * 32767.0).astype("<i2")
        for begin in range(0, len(whole), CHUNK):
            part = whole[begin : begin + CHUNK]
            if not self._send(b"A" + part.tobytes()):
                self.lost_samples += len(part)

    def stop(self) -> None:
        """The stretch has ended; its text comes with a later `poll`."""
        if self._open:
            self._send(b"E")
        self._open = False

    def poll(self) -> list[str]:
        """Texts that have come since, each at most `MAX_TEXT` bytes. Never blocks."""
        found: list[str] = []
        for _ in range(_MAX_MESSAGES):
            if self.failed:
                break
            try:
                message = self._link.recv(MAX_TEXT + 2)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if not message:
                self._fail("ended")
                self.failed = "ended"
            elif message[:1] == b"T":
                self._in_a_row = 0
                text = message[1:].decode("utf-8", "replace").strip()
                if text:
                    found.append(text)
            else:
                name = message[1:].decode("ascii", "replace")
                self._fail(name if name in REASONS else "malformed")
        return found

    def close(self) -> None:
        """End the other process, which also ends by itself once the link is gone: in its sandbox
        this one may neither kill nor wait."""
        self._link.close()
        with contextlib.suppress(OSError):
            self._child.kill()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._child.wait(5.0)

    def _fail(self, name: str) -> None:
        self.failures[name] += 1
        self._in_a_row += 1
        if self._in_a_row >= MAX_FAILURES:
            self.failed = name

    def _send(self, message: bytes) -> bool:
        if self.failed:
            return False
        try:
            self._link.send(message)
        except OSError:
            return False
        return True


def _check(path: Path) -> None:
    """Raises `ConfigError`."""
    if not path.is_absolute():
        raise ConfigError(
            f"words.wyoming {path} is no path of a Unix socket. Only a server of this machine is "
            "spoken to: give the socket's whole path, such as /run/whisper/wyoming.sock."
        )
    try:
        kind = os.stat(path).st_mode
    except OSError as error:
        raise ConfigError(
            f"words.wyoming {path} cannot be used: {error.strerror}. "
            "Start the server before the agent."
        ) from None
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"words.wyoming {path} is no Unix socket. Name the server's own.")
    if importlib.util.find_spec("wyoming") is None:
        raise ConfigError("words.wyoming needs the package wyoming: pip install '.[speech]'.")
