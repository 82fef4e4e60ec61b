"""The MQTT 5.0 packets of a device (OASIS standard): few, small, and cheap to make.

paho holds a thread or a loop, queues and properties for each client; ten thousand of them in one
process need packets made by hand.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from paho.mqtt.properties import Properties

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
"""Packet types that a broker sends to a device (section 2.1.2)."""
FAILED = 0x80
"""Reason codes from here on are failures (section 2.4)."""
NOBODY = 0x10
"""Reason of a PUBACK: the broker took the message and has nobody to give it to."""
PINGREQ = b"\xc0\x00"
BYE = b"\xe0\x00"
"""DISCONNECT, reason 0: the broker publishes no will."""
_MOST = 65_536
"""Bytes; a longer packet is none that a fleet sends."""
_CORRELATION = 0x09
_RECEIVE_MAXIMUM = 0x21
_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2,
          0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}  # fmt: skip
"""Bytes of each property of fixed length (section 2.2.2.2)."""
_TEXTS = {0x03: 1, 0x08: 1, 0x09: 1, 0x12: 1, 0x15: 1, 0x16: 1, 0x1A: 1, 0x1C: 1, 0x1F: 1, 0x26: 2}
"""How many strings or binaries each other property holds."""


class MalformedError(Exception):
    """The broker sent what is not MQTT 5.0."""


def number(value: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    digits = bytearray()
    while True:
        value, digit = divmod(value, 128)
        digits.append(digit | 0x80 if value else digit)
        if not value:
            return bytes(digits)


def text(value: str | bytes) -> bytes:
    """A string or binary with its length (sections 1.5.4, 1.5.6)."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def packet(first: int, body: bytes) -> bytes:
    """A packet of its first byte and its body."""
    return bytes((first,)) + number(len(body)) + body


def pack(properties: Properties) -> bytes:
    """paho's properties as bytes, with their length."""
    raw: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return raw


def connect(
    client: str,
    keepalive: int,
    will: tuple[str, bytes],
    properties: bytes,
    credentials: tuple[str, str] | None = None,
) -> bytes:
    """CONNECT: clean start; the will is QoS 1 and retained. `credentials`: user name, password."""
    flags = 0x02 | 0x04 | 0x08 | 0x20 | (0xC0 if credentials else 0)
    parts = [text("MQTT"), bytes((5, flags)), struct.pack("!H", keepalive), properties,
             text(client), b"\x00", text(will[0]), text(will[1])]  # fmt: skip
    return packet(0x10, b"".join([*parts, *map(text, credentials or ())]))


def subscribe(packet_id: int, filters: list[tuple[str, bool]]) -> bytes:
    """SUBSCRIBE with QoS 1, retain as published; each filter with whether retained messages are
    wanted."""
    named = b"".join(
        text(name) + bytes((0x01 | 0x08 | (0x00 if retained else 0x20),))
        for name, retained in filters
    )
    return packet(0x82, struct.pack("!H", packet_id) + b"\x00" + named)


def publish(
    topic: bytes, body: bytes, properties: bytes, packet_id: int, *, retain: bool = False
) -> bytes:
    """PUBLISH; `topic` and `properties` with their lengths; `packet_id`: 0 for QoS 0."""
    head = topic + (struct.pack("!H", packet_id) if packet_id else b"") + properties
    first = 0x30 | (0x02 if packet_id else 0) | retain
    return bytes((first,)) + number(len(head) + len(body)) + head + body


def puback(packet_id: int) -> bytes:
    """PUBACK, reason 0."""
    return struct.pack("!BBH", 0x40, 2, packet_id)


def split(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole packets out of what has arrived: first byte and body. Raises
    `MalformedError`."""
    at = 0
    try:
        while True:
            size, shift, here = 0, 0, at + 1
            while True:
                if here >= len(buffer):
                    return
                digit = buffer[here]
                size |= (digit & 0x7F) << shift
                shift, here = shift + 7, here + 1
                if digit < 0x80:
                    break
                if shift > 21:
                    raise MalformedError("a length of more than four bytes")
            if size > _MOST:
                raise MalformedError(f"a packet of {size} bytes")
            if here + size > len(buffer):
                return
            first, at = buffer[at], here + size
            yield first, bytes(buffer[here:at])
    finally:
        del buffer[:at]


def parse_publish(first: int, body: bytes) -> tuple[str, int, bytes | None, bytes]:
    """Topic, packet id (0: QoS 0), correlation data, payload. Raises `MalformedError`."""
    try:
        (length,) = struct.unpack_from("!H", body)
        topic, at, packet_id = body[2 : 2 + length].decode(), 2 + length, 0
        if first & 0x06:
            (packet_id,) = struct.unpack_from("!H", body, at)
            at += 2
        found, at = _properties(body, at)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise MalformedError("a PUBLISH that ends too early") from None
    return topic, packet_id, found.get(_CORRELATION), body[at:]


def parse_connack(body: bytes) -> tuple[int, int]:
    """Reason code and the broker's receive maximum. Raises `MalformedError`."""
    try:
        found, _ = _properties(body, 2)
        maximum = found.get(_RECEIVE_MAXIMUM)
        return body[1], int.from_bytes(maximum, "big") if maximum else 65_535
    except IndexError:
        raise MalformedError("a CONNACK that ends too early") from None


def parse_puback(body: bytes) -> tuple[int, int]:
    """Packet id and reason code, of PUBACK. Raises `MalformedError`."""
    if len(body) < 2:
        raise MalformedError("a PUBACK without its number")
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0


def parse_suback(body: bytes) -> bytes:
    """The reason codes. Raises `MalformedError`."""
    try:
        _, at = _properties(body, 2)
    except IndexError:
        raise MalformedError("a SUBACK that ends too early") from None
    return body[at:]


def _properties(body: bytes, at: int) -> tuple[dict[int, bytes], int]:
    """The properties that begin at `at`, the last of each kind, and where they end. Raises
    `IndexError` where they do not."""
    size = shift = 0
    while True:
        digit = body[at]
        size |= (digit & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if digit < 0x80:
            break
        if shift > 21:
            raise MalformedError("a length of more than four bytes")
    end = at + size
    if end > len(body):
        raise IndexError
    found: dict[int, bytes] = {}
    while at < end:
        kind, at = body[at], at + 1
        if kind in _SIZES:
            found[kind], at = body[at : at + _SIZES[kind]], at + _SIZES[kind]
        elif kind in _TEXTS:
            for _ in range(_TEXTS[kind]):
                length = int.from_bytes(body[at : at + 2], "big")
                found[kind], at = body[at + 2 : at + 2 + length], at + 2 + length
        elif kind == 0x0B:  # subscription identifier, a variable byte integer
            while body[at] >= 0x80:
                at += 1
            at += 1
        else:
            raise MalformedError(f"property 0x{kind:02x}")
    return found, end
