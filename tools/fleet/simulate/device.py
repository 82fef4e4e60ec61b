"""One simulated device: a connection as the agent's uplink keeps one, and the agent behind it.

Time comes from the event loop. Nothing is remembered but what waits for its acknowledgement.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from agent.base.report import SEQ_LIMIT, Response, to_json
from agent.base.vocabulary import Trust, WindowLength
from agent.uplink.audience import RETRY, Audience
from tools.fleet.simulate import bodies, packets
from tools.fleet.simulate.faults import Afflictions
from tools.fleet.simulate.jobs import JobRunner, Outcomes
from tools.fleet.simulate.packets import MalformedError
from tools.fleet.simulate.shadow import Shadow
from tools.fleet.simulate.truth import Key, Truth

IN_FLIGHT = 20
"""Messages without an acknowledgement at most, as the agent."""
KEEPALIVE = 60
ACK_TIMEOUT = 20.0
"""Seconds, as the agent's: then the connection is given up."""
_LOOK = 10.0
"""Seconds between looks at what is overdue."""
_BACKOFF = (0.5, 60.0)
"""Seconds before the first attempt after a lost connection, and before the last."""
_STEP = 86_400.0
Waiting = tuple[Key, bytes]


class World(Protocol):
    """What devices of one process share (`world.World`)."""

    loop: asyncio.AbstractEventLoop
    truth: Truth
    window: WindowLength
    interval: float
    health: float
    events: float
    group: str
    software: bodies.Software
    outcomes: Outcomes
    credentials: tuple[str, str] | None
    connect_properties: bytes

    def now(self) -> float: ...
    def count(self, what: str) -> None: ...
    def templates(self, window: WindowLength) -> bodies.SummaryTemplates: ...
    def properties(self, kind: str, correlation: bytes | None = None) -> bytes: ...
    def connect(self, device: Device) -> None: ...
    def failed(self, error: OSError) -> None: ...
    def refused(self, code: int) -> None: ...
    def disconnected(self, code: int) -> None: ...


class Device(asyncio.Protocol):
    """A device, and the protocol of its connection of the moment."""

    __slots__ = ("_afflictions", "_audience", "_base", "_birth", "_boot", "_buffer", "_chance",
                 "_connected_at", "_doubles", "_event_seq", "_failures", "_flying", "_jobs",
                 "_most", "_offset", "_packet_id", "_ready", "_said", "_send_at", "_seq",
                 "_shadow", "_stopped", "_timers", "_transport", "_unacked", "_waiting",
                 "_world", "id", "turn")  # fmt: skip

    def __init__(
        self, world: World, number: int, name: str, afflictions: Afflictions, chance: random.Random
    ) -> None:
        """`number`: spreads the windows' ends; `name`: the MQTT id."""
        self.id = name
        self.turn = number
        """Which of several brokers is tried: another one after each failure."""
        self._world = world
        self._afflictions = afflictions
        self._chance = chance
        self._base = f"fleeting/1/d/{name}/"
        self._boot, self._birth = "", 0.0
        self._seq = self._event_seq = 0
        self._shadow = Shadow(world.window)
        self._jobs = JobRunner(world.software, world.outcomes, chance)
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
        self._said = b""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """By what they do: each is there once."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ready = self._stopped = False
        self._most, self._packet_id, self._failures = IN_FLIGHT, 0, 0
        self._connected_at = 0.0
        self._offset = (number * 0.6180339887498949) % 1.0  # as even as it gets for any number
        self._start_agent()

    @property
    def pending(self) -> int:
        """Messages that wait for their acknowledgement."""
        return len(self._waiting) + len(self._flying) + len(self._doubles)

    @property
    def connected(self) -> bool:
        return self._ready

    # ---------------------------------------------------------------- the agent

    def begin(self, after: float) -> None:
        """Connect after so many seconds, and from then on live."""
        world, faults = self._world, self._afflictions
        if faults.late_days is not None:
            self._fill_outbox(faults.late_days)
        self._later("connect", after, self._connect)
        self._later("window", after + self._offset * world.interval, self._end_window)
        self._later("look", after + _LOOK * (0.5 + self._offset), self._look)
        if world.health:
            self._later("health", after + self._offset * world.health, self._say_health)
        if faults.restarts_every:
            self._later_by_chance("restart", faults.restarts_every, self._restart, after)

    def stop_windows(self) -> None:
        """End the simulation: what waits is still sent, nothing is added."""
        self._stopped = True

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

    def _start_agent(self) -> None:
        """A new process: another boot; the numbers of summaries and events go on."""
        self._boot = f"{self._chance.getrandbits(32):08x}"
        self._birth = time.time()

    def _restart(self) -> None:
        if self._stopped:
            return
        self._start_agent()
        self._world.count("restarts")
        if self._transport is not None:
            self._transport.abort()
        if every := self._afflictions.restarts_every:
            self._later_by_chance("restart", every, self._restart)

    def _clock(self, utc: float) -> tuple[Trust, float | None]:
        """What this device thinks of the time; None: it knows none."""
        fault = self._afflictions.clock
        if fault == "none":
            return "none", None
        if fault is None:
            return "ntp", utc
        return "rtc", utc + (40 if fault == "ahead" else -40) * _STEP * (0.5 + self._offset)

    def _end_window(self) -> None:
        if self._stopped:
            return
        now = time.time()
        window = self._shadow.settings.privacy.window
        period = max(self._world.interval, float(window if window != self._world.window else 0))
        self._later("window", period, self._end_window)
        self._add_summary(now - window)
        if self._chance.random() < self._world.events:
            self._say_event(self._chance.choice(bodies.CODES))
        self._pump()

    def _add_summary(self, start: float) -> None:
        trust, utc = self._clock(start)
        at = max(start - self._birth, 0.0) if utc is None else utc
        model = self._jobs.software.model_hash[:8]
        window = self._shadow.settings.privacy.window
        body = self._world.templates(window).make(
            self._chance.getrandbits(16), self._boot, self._seq, trust, int(at), 0, model
        )
        self._keep("summary", self._seq, body)
        self._seq = (self._seq + 1) % SEQ_LIMIT

    def _say_event(self, code: str) -> None:
        _, utc = self._clock(time.time())
        offset = max(0, int(time.time() - self._birth))
        made = None if utc is None else int(utc)
        self._keep("event", self._event_seq,
                   bodies.event(self._boot, self._event_seq, code, made, offset))  # fmt: skip
        self._event_seq = (self._event_seq + 1) % SEQ_LIMIT

    def _keep(self, kind: str, seq: int, body: bytes) -> None:
        key = Key(self.id, kind, self._boot, seq)
        self._waiting.append((key, body))
        self._world.truth.made(key, hashlib.sha256(body).digest())
        self._world.count("made")

    def _fill_outbox(self, days: float) -> None:
        """Weeks without a network: windows of a quarter of an hour that were kept."""
        windows = int(days * _STEP / 900)
        begin = time.time() - windows * 900
        self._birth = begin
        for each in range(windows):
            self._add_summary(begin + 900 * each)

    # ---------------------------------------------------------------- the connection

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
                self._greet()
        elif kind == packets.SUBACK:
            if any(code >= packets.FAILED for code in packets.parse_suback(body)):
                self._world.count("subscriptions refused")
        elif kind == packets.DISCONNECT:
            self._world.disconnected(body[0] if body else 0)
            self._abort()

    def _greet(self) -> None:
        """What the uplink says and asks for on every connection."""
        self._ready, self._failures = True, 0
        self._packet_id = 0
        self._world.count("connections")
        self._send("state", b"online", retain=True)
        wanted = [(f"{self._base}shadow/desired", True), (f"{self._base}cmd/+", False),
                  (f"{self._base}job/next", True)]  # fmt: skip
        if self._world.group:
            wanted.append((f"fleeting/1/g/{self._world.group}/desired", True))
        self._write(packets.subscribe(self._next_id(), wanted))
        self._say_meta()
        self._send("shadow/reported", self._shadow.reported, retain=True)
        if execution := self._jobs.execution:
            self._say_job(*execution)
        if every := self._afflictions.flaps_every:
            self._later_by_chance("flap", every, self._flap)
        self._pump()

    def _say_meta(self) -> None:
        trust, utc = self._clock(self._birth)
        settings = self._shadow.settings
        self._send("meta", bodies.meta(
            self._boot, self._jobs.software, settings.privacy.window, clock=trust,
            epoch=None if utc is None else int(utc), settings=self._shadow.version,
            k=settings.privacy.k, key=None,
        ), retain=True)  # fmt: skip

    def _say_health(self) -> None:
        if self._stopped:
            return
        self._later("health", self._world.health * self._chance.uniform(1.0, 1.1), self._say_health)
        if self._ready:
            trust, _ = self._clock(time.time())
            self._send(
                "health", bodies.health(self._boot, self.pending, trust, self._chance), qos=0
            )

    def _say_job(self, job: str, body: bytes) -> None:
        self._world.truth.job(self.id, job, body.decode())
        if self._ready:
            self._send(f"job/{job}", body)

    def _obey(self, topic: str, body: bytes, retained: bool, correlation: bytes | None) -> None:
        name = topic.removeprefix(self._base)
        self._world.count("received")
        if name == "job/next":
            for job, said in self._jobs.receive(body, time.time()):
                self._say_job(job, said)
            if self._jobs.wait is not None and "job" not in self._timers:
                self._later("job", self._jobs.wait, self._advance_job)
        elif name == "shadow/desired" or topic.startswith("fleeting/1/g/"):
            if self._shadow.receive(body, "own" if name != topic else "defaults"):
                self._send("shadow/reported", self._shadow.reported, retain=True)
                self._say_meta()
        elif name.startswith("cmd/") and not retained:
            command = name.removeprefix("cmd/")
            known = command in ("ping", "content", "pause", "resume", "report")
            answer = Response(
                command=command if known else "other",  # type: ignore[arg-type]
                answer="done" if known else "unknown_command", boot=self._boot,
            )  # fmt: skip
            self._send(f"res/{answer.command}", to_json(answer), correlation=correlation)

    def _advance_job(self) -> None:
        for job, said in self._jobs.advance(time.time()):
            self._say_job(job, said)
        if self._jobs.changed:  # both processes start again with what is new
            self._jobs.noticed()
            self._start_agent()
            if self._ready:
                self._say_meta()
        if self._jobs.wait is not None:
            self._later("job", self._jobs.wait, self._advance_job)

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
        self._later("look", _LOOK, self._look)
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
