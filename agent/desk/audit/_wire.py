"""Strict validation of uplink's MQTT traffic: packets, topics, properties, payloads."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import ValidationError

from agent.base.report import to_json
from agent.base.schemas.capacity import capacity
from agent.base.schemas.registry import MESSAGES, load, urn
from agent.desk.audit._artifacts import Artifact, Detector, Finding
from agent.desk.loopback import packets
from agent.desk.loopback.packets import MalformedError, Reader

STATES = (b"online", b"offline")
_SCHEMAS = {name.rpartition("-")[0]: name for name in MESSAGES}
"""Latest schema by kind of message."""
_CONTENT_TYPE, _EXPIRY, _USER = 0x03, 0x02, 0x26
_PROPERTIES = {
    "CONNECT": {0x11: 4, 0x17: 1, 0x21: 2, 0x27: 4},
    "the will": {},
    "PUBLISH": {_EXPIRY: 4, _CONTENT_TYPE: 0, _USER: 0},
}
"""Allowed properties (MQTT 5.0, 2.2.2): identifier -> length of an integer, 0 for strings."""


@functools.cache
def _validators() -> dict[str, Draft202012Validator]:
    """By kind of message. Raises `OpenSchemaError` for a schema without bounds."""
    found = {}
    for kind, name in _SCHEMAS.items():
        schema = load(name)
        capacity(schema)
        found[kind] = Draft202012Validator(schema)
    return found


def problem(kind: str, body: bytes) -> str | None:
    """Why `body` is no valid message of this kind, else None.

    Checks the schema, the model's further constraints, such as the order of flags, and the
    canonical form: the model must serialise to the same bytes.
    """
    try:
        error = best_match(_validators()[kind].iter_errors(json.loads(body)))
        if error is not None:
            what = error.message  # begins with the value, of any length
            what = what if len(what) <= 200 else f"{what[:100]} … {what[-80:]}"
            return f"{error.json_path}: {what}"
        same = to_json(MESSAGES[_SCHEMAS[kind]].model_validate_json(body)) == body
    except RecursionError:
        return "it is nested too deeply"
    except ValidationError as wrong:
        return str(wrong.errors()[0]["msg"])
    except ValueError as wrong:
        return f"it is no JSON: {wrong}"
    return None if same else "it is not written in the one form that messages have"


@dataclass(slots=True)
class WireCheck:
    """Validates the packets of recorded connections."""

    device: str
    findings: list[Finding] = field(default_factory=list)
    packets: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    """Published messages by kind."""
    payloads: list[bytes] = field(default_factory=list)
    """Payloads of valid messages."""
    digests: set[str] = field(default_factory=set)
    """SHA-256 of every payload, valid or not."""
    _artifact: Artifact = field(init=False)
    _at: int = 0
    """Offset of the current packet in the artifact."""
    _version: int = 5
    _packet_id: int = 0
    """Last packet id of this connection."""
    _expiries: dict[str, set[bytes]] = field(default_factory=dict)
    """Message expiry intervals by kind; one is allowed per kind."""

    def check(self, artifact: Artifact) -> None:
        """Validate the traffic of one connection."""
        self._artifact, self._version, self._packet_id = artifact, 5, 0
        for self._at, _, first, body in _split(artifact.data):
            self.packets += 1
            try:
                if first == 0x10:
                    self._connect(body)
                elif first >> 4 == 3:
                    self._publish(first, body)
                elif first in (0x82, 0xA2):
                    self._subscribe(first, body)
                elif not _is_minimal(first, body):
                    self._add(f"a packet of type {first >> 4} with {len(body)} bytes")
            except MalformedError as error:
                self._add(f"a packet that is no MQTT: {error}")
        self._at = whole_packets(artifact.data)
        if self._at < len(artifact.data):
            self._add(f"{len(artifact.data) - self._at} bytes that are no MQTT packet")

    def _add(self, what: str, detector: Detector = "wire") -> None:
        artifact = self._artifact
        self.findings.append(Finding(detector, artifact.name, self._at, what, artifact.planted))

    def _connect(self, body: bytes) -> None:
        connect = packets.parse_connect(body)
        self._version = connect.version
        if self._at:
            self._add("a second CONNECT")
        if connect.client_id != self.device:
            self._add(f"the client id is {connect.client_id!r}, not {self.device!r}")
        reader = Reader(body)
        reader.take(7)
        flags = reader.byte()
        reader.int16()
        self._properties(reader.properties(connect.version), "CONNECT")
        reader.text()
        will = connect.will
        if will is not None:
            self._properties(reader.properties(connect.version), "the will")
            reader.text(), reader.binary()
            topic = f"fleeting/1/d/{self.device}/state"
            if will.topic != topic or will.payload not in STATES:
                self._add(f"the will is {will.payload[:40]!r} on {will.topic[:80]!r}")
        if flags & 0xC0:
            self._add("user name or password, though none is configured")
        if reader.left:
            self._add(f"{reader.left} bytes at the end of CONNECT")

    def _publish(self, first: int, body: bytes) -> None:
        message, number = packets.parse_publish(first, body, self._version)
        self.digests.add(hashlib.sha256(message.payload).hexdigest())
        self._check_packet_id(number)
        kind = self._kind(message.topic)
        if kind is None:
            self._add(f"the topic {message.topic[:120]!r} does not belong")
            wrong: str | None = "no schema is known for it"
        elif kind == "state":
            wrong = None if message.payload in STATES else "it is neither online nor offline"
        else:
            wrong = problem(kind, message.payload)
        self.messages[kind or "unknown"] = self.messages.get(kind or "unknown", 0) + 1
        if wrong is None:
            self.payloads.append(message.payload)
        else:
            size = len(message.payload)
            self._add(f"a {kind or 'strange'} message of {size} bytes: {wrong}", "schema")
        self._properties(message.properties, "PUBLISH", kind)

    def _check_packet_id(self, number: int) -> None:
        """Packet ids must be consecutive, as paho assigns them, also to messages of QoS 0 (here
        0): others could carry data."""
        self._packet_id = self._packet_id % 65_535 + 1
        if number not in (0, self._packet_id):
            self._add(f"packet id {number} where {self._packet_id} follows")
            self._packet_id = number

    def _kind(self, topic: str) -> str | None:
        """Kind of message of a topic; None for an unknown topic."""
        kind = topic.removeprefix(f"fleeting/1/d/{self.device}/")
        if kind == topic:
            return None
        kind = {"shadow/reported": "reported"}.get(kind, kind)
        kind = re.sub(r"^res/[a-z]{1,16}\Z", "response", kind)
        return kind if kind == "state" or kind in _SCHEMAS else None

    def _properties(self, block: bytes, packet: str, kind: str | None = None) -> None:
        reader = Reader(block)
        while reader.byte() >= 0x80:  # skip the length
            pass
        pairs = 0
        while reader.left:
            code = reader.byte()
            size = _PROPERTIES[packet].get(code)
            if size is None:
                rest = reader.take(reader.left)
                self._add(f"property 0x{code:02x} in {packet}: {rest[:60]!r}")
                continue
            value = reader.take(size) if size else reader.binary()
            if code == _USER:
                pair = value, reader.binary()
                pairs += 1
                if kind not in _SCHEMAS or pair != (b"schema", urn(_SCHEMAS[kind]).encode()):
                    self._add(f"user property {pair[0][:40]!r} = {pair[1][:60]!r}")
            elif code == _CONTENT_TYPE and value != b"application/json":
                self._add(f"content type {value[:60]!r}")
            elif code == _EXPIRY:
                seen = self._expiries.setdefault(kind or packet, set())
                seen.add(value)
                if len(seen) > 1:
                    self._add("the message expiry is not always the same")
        if pairs > 1:
            self._add(f"more than one user property in {packet}")

    def _subscribe(self, first: int, body: bytes) -> None:
        number, filters = packets.parse_filters(body, self._version, options=first == 0x82)
        self._check_packet_id(number)
        allowed = [f"fleeting/1/d/{self.device}/{each}" for each in ("shadow/desired", "cmd/+")]
        for text, _ in filters:
            if text not in allowed:
                self._add(f"it asks for the topic {text[:120]!r}")


def _is_minimal(first: int, body: bytes) -> bool:
    """Whether it is PUBACK, PINGREQ or DISCONNECT with at most a reason code."""
    longest = {0x40: 4, 0xC0: 0, 0xE0: 2}.get(first, -1)
    least = 2 if first == 0x40 else 0
    return least <= len(body) <= longest and body[least + 1 :] in (b"", b"\0")


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
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
    return max((end for _, end, _, _ in _split(data)), default=0)
