"""A wire tap between uplink and broker: passes every byte on, and keeps it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from agent.base.errors import PublishError
from agent.desk.audit.evidence import Item

MOST = 64_000_000
"""Bytes that are kept of one direction of a connection; an honest one has some thousands."""


class Tap:
    """Listens on 127.0.0.1 between `start` and `stop`; every connection goes on to the broker."""

    def __init__(self, broker: int) -> None:
        """`broker`: its port on this machine."""
        self._broker = broker
        self._sent: list[bytearray] = []
        self._answered: list[bytearray] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopping = False
        try:
            self._listener = socket.create_server(("127.0.0.1", 0))
        except OSError as error:
            raise PublishError(
                f"The audit cannot listen on 127.0.0.1: {error.strerror}. "
                "Check that programs may open ports there."
            ) from None
        self.port = int(self._listener.getsockname()[1])

    def items(self) -> list[Item]:
        """What crossed, one item per connection and direction."""
        found = []
        for number, (sent, answered) in enumerate(zip(self._sent, self._answered, strict=True), 1):
            found.append(Item(f"uplink to broker, connection {number}", "wire", bytes(sent)))
            found.append(Item(f"broker to uplink, connection {number}", "reply", bytes(answered)))
        return found

    @property
    def full(self) -> bool:
        """More crossed than is kept."""
        return any(len(each) >= MOST for each in (*self._sent, *self._answered))

    def __enter__(self) -> Tap:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5.0)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker), 5.0)
                broker.settimeout(None)
            except OSError:
                client.close()
                continue
            self._open += [client, broker]
            sent, answered = bytearray(), bytearray()
            self._sent.append(sent)
            self._answered.append(answered)
            self._run(_pass_on, client, broker, sent)
            self._run(_pass_on, broker, client, answered)


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Until either side ends; what arrives is kept before it is passed on."""
    with contextlib.suppress(OSError):
        while part := source.recv(65_536):
            kept += part[: MOST - len(kept)]
            target.sendall(part)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
