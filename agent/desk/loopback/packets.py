"""Encoding and parsing of the MQTT 3.1.1 and 5.0 packets that the demo's broker needs."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

MAX_PACKET = 65_536
"""Bytes; a longer packet ends the connection."""


class MalformedError(Exception):
    """A packet violates the standard."""


@dataclass(frozen=True, slots=True)
class Message:
    """An application message."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: bytes = b"\x00"
    """The raw MQTT 5 property block with its length."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT packet."""

    version: int
    """4 is MQTT 3.1.1, 5 is 5.0."""
    client_id: str
    clean: bool
    keepalive: int
    will: Message | None


class Reader:
    """Bounds-checked parser of a packet body."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise MalformedError("the packet ends too early")
        self._at += size
        return self._body[self._at - size : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def int16(self) -> int:
        return int(struct.unpack("!H", self.take(2))[0])

    def binary(self) -> bytes:
        return self.take(self.int16())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise MalformedError("a text is not UTF-8") from error
        if "\0" in text:
            raise MalformedError("a text holds U+0000")
        return text

    def properties(self, version: int) -> bytes:
        """The raw property block with its length; empty before MQTT 5."""
        if version < 5:
            return b"\x00"
        digits = bytearray()
        while (length := decoded_length(digits)) is None:
            digits.append(self.byte())
        return _encoded_length(length) + self.take(length)


def decoded_length(digits: bytes | bytearray) -> int | None:
    """A variable byte integer (MQTT 5.0, 1.5.5); None while incomplete. Raises `MalformedError`."""
    if not digits or digits[-1] >= 0x80:
        if len(digits) == 4:
            raise MalformedError("a length of more than four bytes")
        return None
    return sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))


async def read_packet(stream: asyncio.StreamReader) -> tuple[int, bytes]:
    """First byte and body of the next packet. Raises `MalformedError`, `IncompleteReadError`."""
    first = (await stream.readexactly(1))[0]
    digits = bytearray()
    while (length := decoded_length(digits)) is None:
        digits += await stream.readexactly(1)
    if length > MAX_PACKET:
        raise MalformedError(f"a packet of {length} bytes")
    return first, await stream.readexactly(length)


def packet(first: int, *parts: bytes) -> bytes:
    """A packet of its fixed-header byte and the parts of its body."""
    body = b"".join(parts)
    return bytes([first]) + _encoded_length(len(body)) + body


def parse_connect(body: bytes) -> Connect:
    """Parse CONNECT; of an unknown version only the version. Raises `MalformedError`."""
    reader = Reader(body)
    if reader.text() != "MQTT":
        raise MalformedError("not MQTT")
    version = reader.byte()
    if version not in (4, 5):
        return Connect(version, "", True, 0, None)
    flags, keepalive = reader.byte(), reader.int16()
    reader.properties(version)
    client_id = reader.text()
    will = None
    if flags & 0x04:
        reader.properties(version)  # ignored: the demo needs no will properties
        topic, payload = reader.text(), reader.binary()
        qos = flags >> 3 & 3
        if qos > 2:
            raise MalformedError("will QoS 3")
        will = Message(topic, payload, min(qos, 1), bool(flags & 0x20))
    return Connect(version, client_id, bool(flags & 0x02), keepalive, will)


def connack(version: int, code: int, client_id: str | None = None) -> bytes:
    """Encode CONNACK; `client_id` where the broker assigned it (MQTT 5)."""
    if version < 5:
        return packet(0x20, bytes([0, code]))
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    properties.MaximumQoS = 1
    properties.MaximumPacketSize = MAX_PACKET
    properties.SharedSubscriptionAvailable = 0
    properties.SubscriptionIdentifierAvailable = 0
    if client_id is not None:
        properties.AssignedClientIdentifier = client_id
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return packet(0x20, bytes([0, code]), packed)


def parse_publish(first: int, body: bytes, version: int) -> tuple[Message, int]:
    """Parse PUBLISH: message and packet id (0 for QoS 0)."""
    reader = Reader(body)
    qos = first >> 1 & 3
    if qos > 1:
        raise MalformedError("QoS 2 is not served")
    topic = reader.text()
    if not topic or "+" in topic or "#" in topic:
        raise MalformedError(f"topic {topic!r}")
    number = reader.int16() if qos else 0
    properties = reader.properties(version)
    return Message(topic, reader.take(reader.left), qos, bool(first & 1), properties), number


def publish(message: Message, version: int, qos: int, number: int, retain: bool) -> bytes:
    """Encode PUBLISH."""
    topic = message.topic.encode()
    return packet(
        0x30 | qos << 1 | retain,
        struct.pack("!H", len(topic)) + topic,
        struct.pack("!H", number) if qos else b"",
        message.properties if version == 5 else b"",
        message.payload,
    )


def parse_filters(body: bytes, version: int, options: bool) -> tuple[int, list[tuple[str, int]]]:
    """Packet id and (filter, option byte) of SUBSCRIBE, or of UNSUBSCRIBE without `options`."""
    reader = Reader(body)
    number = reader.int16()
    reader.properties(version)
    filters = []
    while reader.left:
        text = reader.text()
        filters.append((text, reader.byte() if options else 0))
    if not filters or not number:
        raise MalformedError("no filter or no packet id")
    return number, filters


def valid_filter(text: str) -> bool:
    """Whether the wildcards of a topic filter are valid (MQTT 5.0, 4.7.1)."""
    levels = text.split("/")
    return bool(text) and all(
        ("#" not in level or (level == "#" and place == len(levels) - 1))
        and ("+" not in level or level == "+")
        for place, level in enumerate(levels)
    )


def _encoded_length(value: int) -> bytes:
    digits = bytearray()
    while True:
        value, digit = divmod(value, 128)
        digits.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(digits)
