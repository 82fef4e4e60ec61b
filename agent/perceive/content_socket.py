"""Unix datagram socket to which a kiosk sends the slot of the content on show: 0 to 255 and a
newline.

    printf '17\\n' | socat - UNIX-SENDTO:/run/fleeting-perceive/content.sock

One way only: it is bound before the process enters its sandbox, which refuses to connect it and to
send to an address, so that nothing can be answered. An error when sending says that nobody
listens; some ten datagrams wait while no frame comes, and then sending waits too. Descriptors that
are passed along are never received. A slot that is one more than the policy's number a day is
refused, which an event says; then the slot before counts on. Polled between frames.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from agent.base.errors import ConfigError

SLOTS = 256
_MAX_DATAGRAM = 256
"""Bytes; what is longer says nothing."""
_MAX_DATAGRAMS = 64
"""Read per poll."""


def socket_path(configured: Path | None) -> Path | None:
    """As configured, else in $RUNTIME_DIRECTORY (systemd), else None."""
    if configured is not None:
        return configured
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) / "content.sock" if folder else None


class ContentSocket:
    """Receives at `path`. Raises `ConfigError` where it cannot be bound.

    The socket's file stays when the process ends, since the sandbox lets nothing be removed there:
    `remove` is for whoever started it.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            _remove(path)
            before = os.umask(0o117)  # the owner and its group may send
            try:
                self._socket.bind(str(path))
            finally:
                os.umask(before)
        except OSError as error:
            self._socket.close()
            raise ConfigError(
                f"content.socket {path} cannot be made: {error.strerror or error}. "
                "Its folder must exist and be writable for this user."
            ) from None
        self._socket.setblocking(False)

    def poll(self, permits: Callable[[int], bool] = lambda slot: True) -> int | None:
        """The last valid slot received since the last call, or None. `permits`: whether it may be
        shown today. Never blocks."""
        newest = None
        for _ in range(_MAX_DATAGRAMS):
            try:
                given = self._socket.recv(_MAX_DATAGRAM + 1)
            except OSError:
                break
            if len(given) <= _MAX_DATAGRAM:
                slots = [slot for line in given.split(b"\n") if (slot := _slot(line)) is not None]
                newest = slots[-1] if slots else newest
        return newest if newest is not None and permits(newest) else None

    def close(self) -> None:
        self._socket.close()


def _slot(line: bytes) -> int | None:
    text = line.strip()
    if not text.isdigit() or len(text) > 3:
        return None
    slot = int(text)
    return slot if slot < SLOTS else None


def remove(path: Path) -> None:
    """Remove the socket of a process that has ended, nothing but a socket. Never raises."""
    with contextlib.suppress(OSError):
        _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
