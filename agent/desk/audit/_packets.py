"""The MQTT packets of an honest uplink and of the broker's answers, byte for byte.

MQTT 5.0 and 3.1.1 (OASIS standards), as the uplink's client encodes them. What is recorded is
compared with these bytes, so that no field, flag, property or length can carry data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.base.config import AgentConfig
from agent.desk.loopback import packets
from agent.desk.loopback.packets import MalformedError, Message, packet
from agent.uplink.client import connect_properties, publish_properties
from agent.uplink.topics import MESSAGE_KINDS, MessageKind, Topics

PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
_NO_PROPERTIES = b"\x00"
_WITH_OPTIONS = 0x28
"""Subscription options (MQTT 5.0, 3.8.3.1): retain as published, no retained messages."""
_RETAIN_AS_PUBLISHED = 0x08


class HonestUplink:
    """Encodes the packets of one configuration in one MQTT version (4: 3.1.1, 5: 5.0)."""

    def __init__(self, config: AgentConfig, version: int) -> None:
        self.version = version
        self.topics = Topics(config)
        self._config = config

    def connect(self, password: str | None = None) -> bytes:
        """CONNECT: clean start, the will, and the user name where one is configured."""
        mqtt, five = self._config.mqtt, self.version == 5
        credentials = [mqtt.username, password] if mqtt.username else []
        given = [each for each in credentials if each is not None]
        flags = 0x2E | (0x80, 0xC0)[len(given) - 1] if given else 0x2E
        properties = bytes(connect_properties().pack()) if five else b""  # type: ignore[no-untyped-call]
        return packet(
            0x10, _text("MQTT"), bytes([self.version, flags]), struct.pack("!H", mqtt.keepalive),
            properties, _text(self._config.device.id), _NO_PROPERTIES if five else b"",
            _text(self.topics.of("state")), _text("offline"), *map(_text, given),
        )  # fmt: skip

    def publish(self, kind: MessageKind, topic: str, payload: bytes, number: int) -> bytes:
        """PUBLISH; `number`: packet id, not encoded for QoS 0."""
        properties = publish_properties(kind.urn, kind.expiry, None)
        message = Message(
            topic, payload, kind.qos, kind.retain,
            bytes(properties.pack()),  # type: ignore[no-untyped-call]
        )  # fmt: skip
        return packets.publish(message, self.version, kind.qos, number, kind.retain)

    def opening(self) -> list[bytes]:
        """The first packets of a connection after CONNECT: `online`, and the subscriptions."""
        state = MESSAGE_KINDS["state"]
        filters = [
            (self.topics.desired, True),
            (f"{self.topics.commands}+", False),
            (self.topics.job_next, True),
        ]
        if self.topics.defaults:
            filters.append((self.topics.defaults, True))
        return [
            self.publish(state, self.topics.of("state"), b"online", 1),
            *(self._subscribe(*each, number) for number, each in enumerate(filters, 2)),
        ]

    def _subscribe(self, topic: str, retained: bool, number: int) -> bytes:
        options = 1
        if self.version == 5:
            options |= _RETAIN_AS_PUBLISHED if retained else _WITH_OPTIONS
        none = _NO_PROPERTIES if self.version == 5 else b""
        return packet(0x82, struct.pack("!H", number), none, _text(topic), bytes([options]))


def _text(content: str) -> bytes:
    data = content.encode()
    return struct.pack("!H", len(data)) + data


def answers(sent: bytes) -> bytes:
    """What the broker of the audit answers to these packets, if nobody sends a message to the
    device: CONNACK, SUBACK, UNSUBACK, PUBACK, PINGRESP."""
    found, version = bytearray(), 5
    for _, _, first, body in split(sent):
        try:
            if first == 0x10:
                version = packets.parse_connect(body).version
                found += packets.connack(version, 0)
            elif first >> 4 == 3:
                _, number = packets.parse_publish(first, body, version)
                found += packet(0x40, struct.pack("!H", number)) if number else b""
            elif first in (0x82, 0xA2):
                number, filters = packets.parse_filters(body, version, options=first == 0x82)
                codes = bytes(first == 0x82 for _ in filters)
                none = _NO_PROPERTIES if version == 5 else b""
                codes = codes if first == 0x82 or version == 5 else b""
                kind = 0x90 if first == 0x82 else 0xB0
                found += packet(kind, struct.pack("!H", number), none, codes)
            elif first == 0xC0:
                found += packet(0xD0)
        except MalformedError:
            break  # the broker ends the connection
    return bytes(found)


def split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(offset, end, first byte, body) of every complete packet."""
    at = 0
    while True:
        start, length = at + 1, 0
        while True:
            if start >= min(len(data), at + 5):
                return
            digit = data[start]
            length |= (digit & 0x7F) << 7 * (start - at - 1)
            start += 1
            if digit < 0x80:
                break
        end = start + length
        if end > len(data):
            return
        yield at, end, data[at], data[start:end]
        at = end


def whole_packets(data: bytes) -> int:
    """End of the last complete packet, bytes."""
    return max((end for _, end, _, _ in split(data)), default=0)
