"""Unix datagram sockets that other programs of this machine send to, and that nobody is answered
on.

Bound before the process enters its sandbox, which refuses to connect them and to send to an
address. An error when sending says that nobody listens; some ten datagrams wait while no frame
comes, and then sending waits too. Descriptors that are passed along are never received."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from agent.base.errors import ConfigError

MAX_DATAGRAMS = 64
"""Read per poll."""


def socket_path(configured: Path | None, name: str) -> Path | None:
    """As configured, else `name` in $RUNTIME_DIRECTORY (systemd), else None."""
    if configured is not None:
        return configured
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) / name if folder else None


class LocalSocket:
    """Receives datagrams at `path`; `setting` names it in errors. Raises `ConfigError` where it
    cannot be bound.

    The socket's file stays when the process ends, since the sandbox lets nothing be removed there:
    `remove` is for whoever started it.
    """

    def __init__(self, path: Path, setting: str) -> None:
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
                f"{setting} {path} cannot be made: {error.strerror or error}. "
                "Its folder must exist and be writable for this user."
            ) from None
        self._socket.setblocking(False)

    def receive(self, buffer: bytearray) -> int | None:
        """Bytes of the next datagram, which `buffer` holds up to its own length: a datagram that
        fills it may have been longer. None where none waits. Never blocks."""
        try:
            return self._socket.recv_into(buffer)
        except OSError:
            return None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def remove(path: Path) -> None:
    """Remove the socket of a process that has ended, nothing but a socket. Never raises."""
    with contextlib.suppress(OSError):
        _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
