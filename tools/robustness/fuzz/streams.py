"""A malicious broker: accepts a client, then sends malformed MQTT."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator

_CONNACK = {5: b"\x20\x03\x00\x00\x00", 4: b"\x20\x02\x00\x00"}
_PATIENCE = 2.0
"""Seconds that a client has for its next packet."""
_BIG = 10_000_000


def streams(seed: int, drawn: int) -> Iterator[tuple[bytes, bytes]]:
    """(sent before, sent after a valid welcome) for each connection; `drawn`: how many random."""
    for early in (b"\x00", b"\xff" * 64, b"\x20\x00", b"\x20\x02\x00\x7f", b"\x20\x7f\x00\x00\x05",
                  b"\x20\x06\x00\x00\x03\x21\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n",
                  b"\x30\x05\x00\x01a\x00x", _header(0x20, _BIG) + bytes(1000)):  # fmt: skip
        yield early, b""
    desired = b"fleeting/1/d/box-7/shadow/desired"
    topic = struct.pack("!H", len(desired)) + desired
    for late in (
        b"", b"\xff" * 16, b"\x30\xff\xff\xff\xff\xff", b"\x30\x00", b"\x30\x02\xff\xff",
        b"\xd0\x00",
        b"\x32" + bytes([len(topic)]) + topic, b"\x36\x05\x00\x01a\x00\x01",
        b"\x40\x02\x00\x09" * 50,
        b"\x40\x02\x00\x01" * 3, b"\x90\x04\x00\x01\x00\xff", b"\x90\x02\x77\x77", b"\xe0\x00",
        b"\xe0\x03\x82\x7f\x00", b"\xf0\x00", b"\x10\x00", b"\x50\x02\x00\x05", b"\x62\x02\x00\x05",
        _publish(b"\xff\xfe", b"x"), _publish(b"a\x00b", b"x"), _publish(desired, b"[" * 5000),
        _publish(desired, b"\x26\x00\x04name", raw=True), _publish(desired, b"\x7f\x01", raw=True),
        b"".join(_publish(desired, b"{}") for _ in range(5000)),
        b"".join(b"\x34" + _publish(desired, b"x", number=n + 1)[1:] for n in range(300)),
        _header(0x30, _BIG) + b"A" * _BIG, _header(0x30, 268_435_455) + bytes(100_000),
    ):  # fmt: skip
        yield b"", late
    draw = random.Random(seed)
    for _ in range(drawn):
        body = draw.randbytes(draw.randint(1, 200))
        yield (
            b"",
            draw.choice(
                (body, _header(draw.choice((0x30, 0x32, 0x40, 0x90, 0xE0)), len(body)) + body)
            ),
        )


class Rogue:
    """Listens on a port and serves each stream to one connection."""

    def __init__(self, port: int, given: list[tuple[bytes, bytes]], linger: float = 0.3) -> None:
        """`linger`: seconds from the last byte of either side to the end of a connection."""
        self._given = given
        self._linger = linger
        self.served = 0
        self.done = threading.Event()
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.settimeout(30.0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.close()
        self._thread.join(10.0)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            for early, late in self._given:
                client, _ = self._server.accept()
                with client, contextlib.suppress(OSError):
                    self._one(client, early, late)
                self.served += 1
        self.done.set()

    def _one(self, client: socket.socket, early: bytes, late: bytes) -> None:
        client.settimeout(_PATIENCE)
        hello = client.recv(4096)
        version = hello[hello.find(b"MQTT") + 4] if b"MQTT" in hello else 4
        client.sendall(early or _CONNACK.get(version, _CONNACK[4]))
        if not early:
            client.recv(4096)  # its first words, so that it is where a connected client is
            client.sendall(late)
        client.settimeout(self._linger)
        while client.recv(65_536):
            pass


def _header(first: int, length: int) -> bytes:
    digits = bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([first]) + bytes(digits)


def _publish(topic: bytes, payload: bytes, *, raw: bool = False, number: int = 0) -> bytes:
    """Of MQTT 5.0; `raw`: the payload begins with the properties; `number`: the packet id."""
    head = struct.pack("!H", len(topic)) + topic + (struct.pack("!H", number) if number else b"")
    body = head + (b"" if raw else b"\x00") + payload
    return _header(0x30, len(body)) + body
