"""What uplink may say to a broker, byte for byte: MQTT packets, topics, properties, payloads."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from agent.desk.audit.evidence import Finding, Item
from agent.desk.audit.schema import Schema, problem
from agent.desk.loopback import packets
from agent.desk.loopback.packets import MalformedError, Message, Reader

STATES = (b"online", b"offline")
_KINDS = {"shadow/reported": "reported"}
"""Topics whose schema has another name than their last level."""
_PROPERTIES = {0x01: 1, 0x02: 4, 0x03: 0, 0x08: 0, 0x09: 0, 0x11: 4, 0x21: 2, 0x22: 2, 0x23: 2,
               0x27: 4, 0x17: 1, 0x19: 1, 0x18: 4, 0x1F: 0, 0x26: -1}  # fmt: skip
"""Property identifier -> bytes of its number; 0: a text with its length, -1: two (MQTT 5.0, 2.2.2).
"""
_ALLOWED = {
    "CONNECT": {0x11, 0x21, 0x22, 0x27, 0x17, 0x19},
    "PUBLISH": {0x01, 0x02, 0x03, 0x26},
    "will": {0x01, 0x02, 0x03, 0x18, 0x26},
}
_FILTERS = re.compile(
    r"fleeting/1/(d/{id}/(shadow/desired|cmd/(\+|#|[a-z]{1,16})|job/(\+|#|next))"
    r"|g/[A-Za-z0-9_-]{1,64}/desired)|homeassistant/status"
)
"""What uplink may ask for."""


def schemas() -> dict[str, Schema]:
    """Every schema that came with the package, by the message's name: the newest version."""
    found: dict[str, tuple[int, Schema]] = {}
    for each in files("agent.base.schemas").iterdir():
        named = re.fullmatch(r"([a-z_]+)-(\d+)\.json", each.name)
        if named and int(named[2]) > found.get(named[1], (0, {}))[0]:
            found[named[1]] = int(named[2]), json.loads(each.read_text(encoding="utf-8"))
    return {name: schema for name, (_, schema) in found.items()}


@dataclass(slots=True)
class Wire:
    """Reads the recorded connections and judges each packet."""

    device: str
    schemas: Mapping[str, Schema]
    findings: list[Finding] = field(default_factory=list)
    packets: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    """Published messages by kind."""
    payloads: list[bytes] = field(default_factory=list)
    """Of the messages that are as they must be."""
    digests: set[str] = field(default_factory=set)
    """SHA-256 of every payload, good or bad."""
    _number: int = 0
    _expiries: dict[str, set[bytes]] = field(default_factory=dict)

    def judge(self, item: Item) -> None:
        """Judge all that uplink sent over one connection."""
        version = 5
        self._number = 0
        at = 0
        for at, first, body in _split(item.data):
            self.packets += 1
            try:
                if first == 0x10:
                    version = self._connect(item, at, body)
                elif first >> 4 == 3:
                    self._publish(item, at, first, body, version)
                elif first in (0x82, 0xA2):
                    self._subscribe(item, at, first, body, version)
                elif not self._small(first, body):
                    self._add(item, at, f"a packet of type {first >> 4} with {len(body)} bytes")
            except (MalformedError, UnicodeDecodeError) as error:
                self._add(item, at, f"a packet that is no MQTT: {error}")
        end = whole_packets(item.data)
        if end < len(item.data):
            self._add(item, end, f"{len(item.data) - end} bytes that are no MQTT packet")

    def _add(self, item: Item, at: int, what: str, schema: bool = False) -> None:
        self.findings.append(
            Finding("schema" if schema else "wire", item.name, at, what, item.planted)
        )

    def _connect(self, item: Item, at: int, body: bytes) -> int:
        connect = packets.parse_connect(body)
        if at:
            self._add(item, at, "a second CONNECT")
        if connect.client_id != self.device:
            self._add(item, at, f"the client id is {connect.client_id!r}, not {self.device!r}")
        reader = Reader(body)
        reader.take(6)
        version, flags = reader.byte(), reader.byte()
        reader.int16()
        self._properties(item, at, reader.properties(version), "CONNECT")
        reader.text()
        if connect.will is not None:
            will = reader.properties(version)
            self._properties(item, at, will, "will")
            reader.text(), reader.binary()
            if connect.will.topic != f"fleeting/1/d/{self.device}/state" or (
                connect.will.payload not in STATES
            ):
                self._add(item, at, f"the will is {connect.will.payload[:40]!r} on "
                          f"{connect.will.topic[:80]!r}")  # fmt: skip
        if flags & 0xC0:
            self._add(item, at, "user name or password, though none is configured")
        if reader.left:
            self._add(item, at, f"{reader.left} bytes at the end of CONNECT")
        return version

    def _publish(self, item: Item, at: int, first: int, body: bytes, version: int) -> None:
        message, number = packets.parse_publish(first, body, version)
        self.digests.add(hashlib.sha256(message.payload).hexdigest())
        self._packet_id(item, at, number)
        kind = self._kind(message)
        if kind is None:
            self._add(item, at, f"the topic {message.topic[:120]!r} does not belong")
        self.messages[kind or "unknown"] = self.messages.get(kind or "unknown", 0) + 1
        self._payload(item, at, kind, message)
        expected = f"urn:fleeting:{kind}:" if kind and kind != "state" else None
        self._properties(item, at, message.properties, "PUBLISH", expected)

    def _packet_id(self, item: Item, at: int, number: int) -> None:
        """paho counts messages and subscriptions up from 1; any other number could say something.
        0: a message of QoS 0, which is counted as well."""
        self._number = self._number % 65_535 + 1
        if number not in (0, self._number):
            self._add(item, at, f"packet id {number} where {self._number} follows")
            self._number = number

    def _kind(self, message: Message) -> str | None:
        """The message's name by its topic; None where the topic does not belong."""
        prefix = f"fleeting/1/d/{self.device}/"
        if not message.topic.startswith(prefix):
            return None
        tail = message.topic.removeprefix(prefix)
        if re.fullmatch(r"res/[a-z]{1,16}", tail):
            return "response"
        kind = _KINDS.get(tail, tail)
        return kind if kind == "state" or (kind in self.schemas and "/" not in kind) else None

    def _payload(self, item: Item, at: int, kind: str | None, message: Message) -> None:
        if kind == "state":
            wrong = None if message.payload in STATES else "it is neither online nor offline"
        elif kind is None:
            wrong = "no schema is known for it"
        else:
            wrong = problem(self.schemas[kind], message.payload) or _model_problem(kind, message)
        if wrong:
            size = len(message.payload)
            self._add(item, at, f"a {kind or 'strange'} message of {size} bytes: {wrong}", True)
        else:
            self.payloads.append(message.payload)

    def _properties(
        self, item: Item, at: int, block: bytes, packet: str, urn: str | None = None
    ) -> None:
        for code, value in _take_apart(block):
            if code not in _ALLOWED[packet]:
                self._add(item, at, f"property 0x{code:02x} in {packet}: {value[:60]!r}")
            elif code == 0x26:
                key, text = value.split(b"\0", 1)
                good = urn and re.fullmatch(re.escape(urn) + r"[1-9]\d?", text.decode())
                if key != b"schema" or not good:
                    self._add(item, at, f"user property {key[:40]!r} = {text[:60]!r}")
            elif code == 0x03 and value != b"application/json":
                self._add(item, at, f"content type {value[:60]!r}")
            elif code == 0x02:
                seen = self._expiries.setdefault(urn or packet, set())
                seen.add(value)
                if len(seen) > 1:
                    self._add(item, at, "the message expiry is not always the same")
        if sum(code == 0x26 for code, _ in _take_apart(block)) > 1:
            self._add(item, at, f"more than one user property in {packet}")

    def _subscribe(self, item: Item, at: int, first: int, body: bytes, version: int) -> None:
        number, filters = packets.parse_filters(body, version, options=first == 0x82)
        self._packet_id(item, at, number)
        allowed = re.compile(_FILTERS.pattern.replace("{id}", re.escape(self.device)))
        for text, _ in filters:
            if not allowed.fullmatch(text):
                self._add(item, at, f"it asks for the topic {text[:120]!r}")

    @staticmethod
    def _small(first: int, body: bytes) -> bool:
        """PUBACK with at most a reason, PINGREQ, DISCONNECT with at most a reason."""
        if first == 0x40:
            return len(body) == 2 or (len(body) in (3, 4) and body[3:] in (b"", b"\0"))
        return (first == 0xC0 and not body) or (
            first == 0xE0 and len(body) <= 2 and body[1:] in (b"", b"\0")
        )


def _model_problem(kind: str, message: Message) -> str | None:
    """What the schema cannot say: order of flags, what must be null together."""
    from pydantic import ValidationError

    from agent.base.report import to_json
    from agent.base.schemas.registry import MESSAGES

    model = next((m for name, m in MESSAGES.items() if name.rpartition("-")[0] == kind), None)
    if model is None:
        return "no model is known for it"
    try:
        same = to_json(model.model_validate_json(message.payload)) == message.payload
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return None if same else "it is not written in the one form that messages have"


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(offset, first byte, body) of every whole packet."""
    at = 0
    while True:
        found = _header(data, at)
        if found is None or found[1] > len(data):
            return
        start, end = found
        yield at, data[at], data[start:end]
        at = end


def whole_packets(data: bytes) -> int:
    """Where the last whole packet ends."""
    at = 0
    while (found := _header(data, at)) is not None and found[1] <= len(data):
        at = found[1]
    return at


def _header(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None without a whole header."""
    length = 0
    for place in range(4):
        if at + 1 + place >= len(data):
            return None
        digit = data[at + 1 + place]
        length |= (digit & 0x7F) << 7 * place
        if digit < 0x80:
            return at + 2 + place, at + 2 + place + length
    return None


def _take_apart(block: bytes) -> list[tuple[int, bytes]]:
    """(identifier, value) of each property; a pair's two texts are joined by a zero byte."""
    reader = Reader(block)
    while reader.byte() >= 0x80:
        pass
    found = []
    while reader.left:
        code = reader.byte()
        size = _PROPERTIES.get(code)
        if size is None:
            raise MalformedError(f"property 0x{code:02x}")
        if size > 0:
            value = reader.take(size)
        else:
            value = reader.binary() if size == 0 else reader.binary() + b"\0" + reader.binary()
        found.append((code, value))
    return found
