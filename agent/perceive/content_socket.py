"""Unix socket on which a kiosk sends the slot of the content on show: 0 to 255 and a newline.

    printf '17\\n' | socat - UNIX-CONNECT:/run/fleeting-perceive/content.sock

Each line is answered with `ok`, with `refused`, or with `too many slots` where it is one more than
the policy's number a day; then the slot before counts on. The socket is non-blocking and polled
between frames.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from agent.base.errors import ConfigError

log = logging.getLogger(__name__)

SLOTS = 256
_MAX_LINE = 16
"""Bytes; a client that sends more is disconnected."""
_MAX_CLIENTS = 8
"""A further client replaces the oldest."""
_MAX_LINES = 32
"""Read from one client per poll."""


def socket_path(configured: Path | None) -> Path | None:
    """As configured, else in $RUNTIME_DIRECTORY (systemd), else None."""
    if configured is not None:
        return configured
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(folder) / "content.sock" if folder else None


class ContentSocket:
    """Listens at `path`. Raises `ConfigError` where it cannot be bound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clients: dict[socket.socket, bytes] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            _remove_stale(path)
            before = os.umask(0o117)  # the owner and its group may connect
            try:
                self._listener.bind(str(path))
            finally:
                os.umask(before)
            self._listener.listen(_MAX_CLIENTS)
        except OSError as error:
            self._listener.close()
            raise ConfigError(
                f"content.socket {path} cannot be made: {error.strerror or error}. "
                "Its folder must exist and be writable for this user."
            ) from None
        self._listener.setblocking(False)

    def poll(self, permits: Callable[[int], bool] = lambda slot: True) -> int | None:
        """The last valid slot received since the last call, or None. `permits`: whether one more
        slot may be shown today. Never blocks."""
        self._accept()
        newest = None
        for client in list(self._clients):
            slot = self._read(client, permits)
            newest = slot if slot is not None else newest
        return newest

    def close(self) -> None:
        for each in (*self._clients, self._listener):
            each.close()
        self._clients.clear()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _accept(self) -> None:
        for _ in range(_MAX_CLIENTS):
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setblocking(False)
            if len(self._clients) >= _MAX_CLIENTS:
                self._drop(next(iter(self._clients)))
            self._clients[client] = b""

    def _read(self, client: socket.socket, permits: Callable[[int], bool]) -> int | None:
        newest = None
        for _ in range(_MAX_LINES):
            try:
                given = client.recv(_MAX_LINE)
            except BlockingIOError:
                break
            except OSError:
                given = b""
            if not given:
                self._drop(client)
                break
            *lines, rest = (self._clients[client] + given).split(b"\n")
            for line in lines:
                slot = _slot(line)
                if slot is None:
                    answer = b"refused\n"
                elif permits(slot):
                    answer, newest = b"ok\n", slot
                else:
                    answer = b"too many slots\n"
                with contextlib.suppress(OSError):
                    client.send(answer)
            if len(rest) > _MAX_LINE:
                self._drop(client)
                break
            self._clients[client] = rest
        return newest

    def _drop(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        client.close()


def _slot(line: bytes) -> int | None:
    text = line.strip()
    if not text.isdigit() or len(text) > 3:
        return None
    slot = int(text)
    return slot if slot < SLOTS else None


def _remove_stale(path: Path) -> None:
    """Remove the socket of a killed process, nothing but a socket."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
