"""Strict validation of uplink's MQTT traffic: every byte is compared with what an honest uplink
could send, and every byte that comes back with what the audit's broker answers."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.desk.audit._artifacts import Artifact, Detector, Finding
from agent.desk.audit._packets import (
    DISCONNECT,
    PINGREQ,
    HonestUplink,
    answers,
    split,
    whole_packets,
)
from agent.desk.audit._payloads import STATES, PayloadCheck
from agent.desk.audit._truth import Truth
from agent.desk.loopback import packets
from agent.desk.loopback.packets import MalformedError
from agent.uplink.state import META_INTERVAL, announcement
from agent.uplink.topics import MESSAGE_KINDS, message_kind

_MIN_CONNECTIONS = 3
"""Connections that a run may have, however short it is."""
_CONNECTION_SECONDS = 60.0
"""Seconds of a run per further connection: a slow machine loses one now and then."""


class WireCheck:
    """Validates the packets of the recorded connections of one run."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.findings: list[Finding] = []
        self.packets = 0
        self.size = 0
        """Bytes of all payloads."""
        self.messages: Counter[str] = Counter()
        """Published messages by kind."""
        self.payloads: list[bytes] = []
        """Payloads of valid messages."""
        self.digests: set[str] = set()
        """SHA-256 of every payload, valid or not."""
        self._payload = PayloadCheck(truth)
        self._connections = 0

    def check(self, artifact: Artifact) -> bool:
        """Validate the traffic of one connection; whether nothing was found."""
        before = len(self.findings)
        self._connections += 1
        most = _MIN_CONNECTIONS + self._truth.seconds / _CONNECTION_SECONDS
        if self._connections > most:
            self._add(artifact, 0, f"connection {self._connections} within {most:.0f} minutes")
        connection = _Connection(self, artifact)
        for at, end, first, body in split(artifact.data):
            self.packets += 1
            try:
                connection.packet(at, first, body, artifact.data[at:end])
            except MalformedError as error:
                self._add(artifact, at, f"a packet that is no MQTT: {error}")
        end = whole_packets(artifact.data)
        if end < len(artifact.data):
            what = f"{len(artifact.data) - end} bytes that are no MQTT packet"
            self._add(artifact, end, what)
        return len(self.findings) == before

    def check_answers(self, sent: Artifact, received: Artifact) -> bool:
        """Whether a connection's answers are those of the broker; else a finding is added."""
        expected = answers(sent.data)
        given = received.data
        if expected.startswith(given):
            return True
        at = _first_difference(given, expected)
        what = f"{len(given) - at} bytes that the broker did not send: {_hex(given[at:])}"
        self._add(received, at, what)
        return False

    def unpaired(self, received: Sequence[Artifact]) -> None:
        """Answers that belong to no connection that was recorded."""
        for each in received:
            self._add(each, 0, "it belongs to no recorded connection")

    def _add(self, artifact: Artifact, at: int, what: str, detector: Detector = "wire") -> None:
        self.findings.append(Finding(detector, artifact.name, at, what, artifact.planted))


@dataclass(slots=True)
class _Connection:
    """One connection's state while its packets are compared in order."""

    run: WireCheck
    artifact: Artifact
    number: int = 0
    """Packets so far."""
    honest: HonestUplink | None = None
    opening: list[bytes] = field(default_factory=list)
    """Fixed packets that follow next."""
    packet_id: int = 0
    """Last one, as paho counts: every message and subscription has one, also of QoS 0."""
    seen: Counter[str] = field(default_factory=Counter)
    last: dict[str, bytes] = field(default_factory=dict)
    """Last payload by kind."""
    position: int | None = None
    """Of the last summary in the ledger."""
    pings: int = 0
    closing: bool = False
    ended: bool = False
    at: int = 0

    def packet(self, at: int, first: int, body: bytes, whole: bytes) -> None:
        """Compare the next packet. Raises `MalformedError`."""
        self.at = at
        self.number += 1
        if self.ended:
            self._add("a packet after DISCONNECT")
        if self.number == 1:
            self._connect(first, body, whole)
        elif self.honest is None:
            self._add(f"a packet of type {first >> 4} without a CONNECT")
        elif first >> 4 == 3:
            self._publish(first, body, whole)
        elif self.opening and first == 0x82:
            self._subscribe(body, whole)
        elif whole == PINGREQ:
            self._ping()
        elif whole == DISCONNECT:
            self.ended = True
            if not self.closing:
                self._add("DISCONNECT before the state is offline")
        else:
            self._add(_strange(first, body, self.honest.version))

    def _add(self, what: str, detector: Detector = "wire") -> None:
        self.run._add(self.artifact, self.at, what, detector)

    def _connect(self, first: int, body: bytes, whole: bytes) -> None:
        if first != 0x10:
            self._add(f"the first packet is of type {first >> 4}, not CONNECT")
            return
        version = packets.parse_connect(body).version
        if version not in (4, 5):
            self._add(f"CONNECT of protocol version {version}")
            return
        self.honest = HonestUplink(self.run._truth.config, version)
        self.opening = self.honest.opening()
        expected = self.honest.connect()
        if whole != expected:
            self._add(f"CONNECT is not as configured: {_difference(whole, expected)}")

    def _subscribe(self, body: bytes, whole: bytes) -> None:
        self._next_id()
        if whole != self.opening[0]:
            self._add(f"a subscription that is not its own: {_difference(whole, self.opening[0])}")
        del self.opening[0]

    def _ping(self) -> None:
        self.pings += 1
        most = 1 + self.run._truth.seconds / self.run._truth.config.mqtt.keepalive
        if self.pings > most:
            self._add(f"PINGREQ number {self.pings}, more often than every keep-alive interval")

    def _next_id(self) -> int:
        self.packet_id = self.packet_id % 65_535 + 1
        return self.packet_id

    def _publish(self, first: int, body: bytes, whole: bytes) -> None:
        run, honest = self.run, self.honest
        assert honest is not None
        expected_id = self._next_id()
        message, number = packets.parse_publish(first, body, honest.version)
        if number not in (0, expected_id):
            self._add(f"packet id {number} where {expected_id} follows")
            self.packet_id = number
        run.size += len(message.payload)
        run.digests.add(hashlib.sha256(message.payload).hexdigest())
        topic_kind = self._kind(message.topic)
        kind = {"shadow/reported": "reported"}.get(topic_kind or "", topic_kind)
        run.messages[kind or "unknown"] += 1
        if self.opening and whole == self.opening[0]:
            del self.opening[0]
            run.payloads.append(message.payload)
            return
        if self.opening:
            self._add("a message before the state and the subscriptions")
        if topic_kind is None or kind is None:
            self._add(f"the topic {message.topic[:120]!r} does not belong")
            wrong: str | None = "no schema is known for it"
        else:
            wrong = self._wrong(kind, message.payload)
            expected = honest.publish(
                message_kind(topic_kind, message.payload), message.topic, message.payload, number
            )
            if whole != expected:
                self._add(f"not the packet of a {kind} message: {_difference(whole, expected)}")
        if wrong is None:
            run.payloads.append(message.payload)
        else:
            size = len(message.payload)
            self._add(f"a {kind or 'strange'} message of {size} bytes: {wrong}", "schema")

    def _kind(self, topic: str) -> str | None:
        """Key of `MESSAGE_KINDS` of a topic; None for an unknown topic."""
        topics = self.honest.topics if self.honest else None
        if topics is None:
            return None
        if re.fullmatch(re.escape(topics.of("res")) + "/[a-z]{1,16}", topic):
            return "res"
        same = [each for each in MESSAGE_KINDS if each != "res" and topics.of(each) == topic]
        if same == ["discovery"] and not self.run._truth.config.mqtt.discovery:
            return None
        return same[0] if same else None

    def _wrong(self, kind: str, payload: bytes) -> str | None:
        """Why a payload is not what may be published now."""
        truth = self.run._truth
        if kind == "state":
            if payload not in STATES:
                return "it is neither online nor offline"
            self.closing = True
            return None if payload == b"offline" else "it is online for the second time"
        if kind == "discovery":
            policy = truth.policy
            honest = b""
            if self.honest:
                honest = announcement(
                    self.honest.topics, hears=policy.hears, reads=policy.reads,
                    updates=truth.config.update.on,
                )  # fmt: skip
            return None if payload == honest else "it is not the announcement of this device"
        if kind == "res":
            return "nothing was asked that this could answer"
        wrong = self.run._payload(kind, payload)
        if wrong is not None:
            return wrong
        self.seen[kind] += 1
        repeated = self.last.get(kind) == payload
        self.last[kind] = payload
        if kind == "summary":
            return self._order(hashlib.sha256(payload).hexdigest())
        if repeated and kind != "health":
            return "it was published on this connection before"
        interval = {"meta": META_INTERVAL, "health": truth.config.mqtt.health_interval}.get(kind)
        if interval and self.seen[kind] > 1 + truth.seconds / interval:
            return f"number {self.seen[kind]}, more often than every {interval:.0f} s"
        return None

    def _order(self, sha256: str) -> str | None:
        """Summaries are sent in the order of the ledger, each once per connection."""
        position, before = self.run._truth.ledger[sha256], self.position
        self.position = position
        if before is not None and position != before + 1:
            return f"it is number {position} of the ledger, after number {before}"
        return None


def _strange(first: int, body: bytes, version: int) -> str:
    """Names a packet that no honest uplink sends at this place."""
    what = f"a packet of type {first >> 4} with {len(body)} bytes"
    if first in (0x82, 0xA2):
        _, filters = packets.parse_filters(body, version, options=first == 0x82)
        return f"it asks for the topic {filters[0][0][:120]!r}"
    if first == 0x10:
        return "a second CONNECT"
    return what


def _difference(given: bytes, expected: bytes) -> str:
    """Where two packets differ first."""
    at = _first_difference(given, expected)
    return (
        f"from byte {at} on {_hex(given[at:])} where {_hex(expected[at:])} belongs, "
        f"{len(given)} bytes in place of {len(expected)}"
    )


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _hex(data: bytes) -> str:
    return data[:16].hex(" ") + ("…" if len(data) > 16 else "") if data else "nothing"


def pair(artifacts: Sequence[Artifact]) -> list[tuple[Artifact, Artifact]]:
    """Each connection's two directions."""
    sent = [each for each in artifacts if each.kind == "wire"]
    received = [each for each in artifacts if each.kind == "reply"]
    return list(zip(sent, received, strict=False)) if len(sent) == len(received) else []
