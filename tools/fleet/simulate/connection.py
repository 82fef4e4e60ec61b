"""A simulated device's MQTT connection, kept as the agent's uplink keeps it: so many messages are
sent without an acknowledgement, and what of the outbox has none waits again once it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from agent.uplink.audience import RETRY, Audience
from tools.fleet.simulate import packets
from tools.fleet.simulate.faults import Afflictions
from tools.fleet.simulate.packets import MalformedError
from tools.fleet.simulate.truth import Key, Truth

IN_FLIGHT = 20
"""Messages without an acknowledgement at most, as the agent."""
KEEPALIVE = 60
ACK_TIMEOUT = 20.0
"""Seconds, as the agent's: then the connection is given up."""
LOOK = 10.0
"""Seconds between looks at what is overdue."""
_BACKOFF = (0.5, 60.0)
"""Seconds before the first attempt after a lost connection, and before the last."""
Waiting = tuple[Key, bytes]


class Network(Protocol):
    """What connections of one process share."""

    loop: asyncio.AbstractEventLoop
    truth: Truth
    credentials: tuple[str, str] | None
    connect_properties: bytes

    def now(self) -> float: ...
    def count(self, what: str) -> None: ...
    def properties(self, kind: str, correlation: bytes | None = None) -> bytes: ...
    def connect(self, connection: Connection) -> None: ...
    def failed(self, error: OSError) -> None: ...
    def refused(self, code: int) -> None: ...
    def disconnected(self, code: int) -> None: ...


class Connection(asyncio.Protocol, ABC):
    """A device's outbox, the protocol of its connection of the moment, and its timers.

    A base class and no part of the device: one object less for each of ten thousand.
    """

    __slots__ = ("_afflictions", "_audience", "_base", "_buffer", "_chance", "_connected_at",
                 "_doubles", "_failures", "_flying", "_most", "_packet_id", "_ready", "_send_at",
                 "_stopped", "_timers", "_transport", "_unacked", "_waiting", "_world", "id",
                 "turn")  # fmt: skip

    def __init__(
        self, world: Network, number: int, name: str, afflictions: Afflictions,
        chance: random.Random,
    ) -> None:  # fmt: skip
        """`number`: of the device; `name`: the MQTT id."""
        self.id = name
        self.turn = number
        """Which of several brokers is tried: another one after each failure."""
        self._world = world
        self._afflictions = afflictions
        self._chance = chance
        self._base = f"fleeting/1/d/{name}/"
        self._waiting: deque[Waiting] = deque()
        self._flying: dict[int, tuple[Waiting, float]] = {}
        """Of the outbox, by packet id."""
        self._unacked: dict[int, float] = {}
        """Other messages."""
        self._doubles: deque[Waiting] = deque()
        """Acknowledged ones that are sent again."""
        self._audience = Audience()
        self._send_at = 0.0
        """Before which nothing of the outbox is sent, as the agent waits for readers."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """By what they do: each is there once."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ready = self._stopped = False
        self._most, self._packet_id, self._failures = IN_FLIGHT, 0, 0
        self._connected_at = 0.0

    @property
    def pending(self) -> int:
        """Messages that wait for their acknowledgement."""
        return len(self._waiting) + len(self._flying) + len(self._doubles)

    @property
    def connected(self) -> bool:
        return self._ready

    @abstractmethod
    def _greet(self) -> None:
        """Say and ask for what every connection begins with."""

    @abstractmethod
    def _obey(self, topic: str, body: bytes, retained: bool, correlation: bytes | None) -> None:
        """A message came."""

    def close(self) -> None:
        """Say that it goes, and go."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._stopped = True
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._ready:
                self._send("state", b"offline", retain=True)
                transport.write(packets.BYE)
            self._ready = False
            transport.close()

    def _connect(self) -> None:
        if self._transport is None and (not self._stopped or self.pending):
            self._world.connect(self)

    def refused(self, error: OSError) -> None:
        """No connection came about."""
        self._world.failed(error)
        self._back_off()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer.clear()
        self._transport.write(packets.connect(
            self.id, KEEPALIVE, (f"{self._base}state", b"offline"), self._world.connect_properties,
            self._world.credentials,
        ))  # fmt: skip
        self._connected_at = self._world.now()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._ready:
            self._world.count("lost")
        self._ready = False
        self._waiting.extendleft(waiting for waiting, _ in reversed(self._flying.values()))
        self._flying.clear()
        self._unacked.clear()
        self._back_off()

    def _back_off(self) -> None:
        least, most = _BACKOFF
        delay = min(most, least * 2 ** min(self._failures, 16)) * self._chance.uniform(0.5, 1.0)
        self._failures += 1
        self.turn += 1
        self._later("connect", delay, self._connect)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            for first, body in packets.split(self._buffer):
                self._receive(first, body)
        except (MalformedError, struct.error):
            self._world.count("malformed")
            self._abort()

    def _receive(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == packets.PUBACK:
            self._acknowledged(*packets.parse_puback(body))
        elif kind == packets.PUBLISH:
            topic, packet_id, correlation, payload = packets.parse_publish(first, body)
            if packet_id:
                self._write(packets.puback(packet_id))
            self._obey(topic, payload, bool(first & 1), correlation)
        elif kind == packets.CONNACK:
            code, most = packets.parse_connack(body)
            if code >= packets.FAILED:
                self._world.refused(code)
                self._abort()
            else:
                self._most = min(IN_FLIGHT, most)
                self._accepted()
        elif kind == packets.SUBACK:
            if any(code >= packets.FAILED for code in packets.parse_suback(body)):
                self._world.count("subscriptions refused")
        elif kind == packets.DISCONNECT:
            self._world.disconnected(body[0] if body else 0)
            self._abort()

    def _accepted(self) -> None:
        """The broker let it in."""
        self._ready, self._failures = True, 0
        self._packet_id = 0
        self._world.count("connections")
        self._greet()
        if every := self._afflictions.flaps_every:
            self._later_by_chance("flap", every, self._flap)
        self._pump()

    def _acknowledged(self, packet_id: int, code: int) -> None:
        flown = self._flying.pop(packet_id, None)
        if code >= packets.FAILED:
            self._world.count("publishes refused")
            self._world.refused(code)
        if flown is None:
            self._unacked.pop(packet_id, None)
        elif code < packets.FAILED:
            (key, body), _ = flown
            if not self._audience.is_delivered(key.kind, code, self._world.now()):
                self._world.count("kept, since nobody was subscribed")
                self._waiting.appendleft((key, body))
                self._send_at = self._world.now() + RETRY
                self._later("audience", RETRY, self._pump)
                return
            self._world.truth.acked(key, time.time())
            self._world.count("acknowledged")
            if code == packets.NOBODY:
                self._world.count("acknowledged with nobody subscribed")
            if self._chance.random() < self._afflictions.duplicates:
                self._doubles.append((key, body))
        self._pump()

    def _pump(self) -> None:
        """Send what the window of unacknowledged messages has room for."""
        while self._ready and len(self._flying) + len(self._unacked) < self._most:
            if self._world.now() < self._send_at:
                return
            if self._doubles:
                item, again = self._doubles.popleft(), True
            elif self._waiting:
                item, again = self._waiting.popleft(), False
            else:
                return
            key, body = item
            packet_id = self._next_id()
            if again:
                self._world.count("sent again")
                self._unacked[packet_id] = self._world.now()
            else:
                self._flying[packet_id] = item, self._world.now()
            self._write(packets.publish(packets.text(self._base + key.kind), body,
                                        self._world.properties(key.kind), packet_id))  # fmt: skip

    def _send(
        self, kind: str, body: bytes, *, qos: int = 1, retain: bool = False,
        correlation: bytes | None = None,
    ) -> None:  # fmt: skip
        packet_id = self._next_id() if qos else 0
        if packet_id:
            self._unacked[packet_id] = self._world.now()
        self._write(packets.publish(packets.text(self._base + kind), body,
                                    self._world.properties(_kind(kind), correlation),
                                    packet_id, retain=retain))  # fmt: skip

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            self._transport.write(packet)

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 65_535 + 1
            if self._packet_id not in self._flying and self._packet_id not in self._unacked:
                return self._packet_id

    def _look(self) -> None:
        """Keep the connection alive, or give it up."""
        self._later("look", LOOK, self._look)
        now = self._world.now()
        if self._transport is None:
            return
        oldest = min((*(at for _, at in self._flying.values()), *self._unacked.values()),
                     default=now)  # fmt: skip
        if now - oldest > ACK_TIMEOUT or (
            not self._ready and now - self._connected_at > ACK_TIMEOUT
        ):
            self._world.count("timed out")
            self._abort()
        elif self._ready:
            self._write(packets.PINGREQ)

    def _flap(self) -> None:
        """The network goes: no DISCONNECT, the broker says the will."""
        if self._ready and not self._stopped:
            self._world.count("flaps")
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Call it then, in place of what was to be called under this name."""

        def run() -> None:
            self._timers.pop(name, None)
            with contextlib.suppress(ConnectionError):
                call()

        if earlier := self._timers.get(name):
            earlier.cancel()
        self._timers[name] = self._world.loop.call_later(seconds, run)

    def _later_by_chance(
        self, name: str, mean: float, call: Callable[[], None], after: float = 0.0
    ) -> None:
        """At a random time, `mean` seconds from then on average."""
        self._later(name, after + self._chance.expovariate(1 / mean), call)


def _kind(topic: str) -> str:
    """Of `MESSAGE_KINDS`, for the end of a topic."""
    return topic if topic == "shadow/reported" else topic.split("/")[0]
