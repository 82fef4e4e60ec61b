"""One simulated device: what the agent says and does on its connection.

Time comes from the event loop. Nothing is remembered but what waits for its acknowledgement.
"""

from __future__ import annotations

import hashlib
import random
import time
from typing import Protocol

from agent.base.report import SEQ_LIMIT, Response, to_json
from agent.base.vocabulary import Trust, WindowLength
from tools.fleet.simulate import bodies, packets
from tools.fleet.simulate.connection import LOOK, Connection, Network
from tools.fleet.simulate.faults import Afflictions
from tools.fleet.simulate.jobs import JobRunner, Outcomes
from tools.fleet.simulate.shadow import Shadow
from tools.fleet.simulate.truth import Key

_STEP = 86_400.0


class World(Network, Protocol):
    """What devices of one process share (`world.World`)."""

    window: WindowLength
    interval: float
    health: float
    events: float
    group: str
    software: bodies.Software
    outcomes: Outcomes

    def templates(self, window: WindowLength) -> bodies.SummaryTemplates: ...


class Device(Connection):
    """A device, which is its connection too."""

    __slots__ = ("_birth", "_boot", "_event_seq", "_jobs", "_offset", "_seq", "_shadow")
    _world: World

    def __init__(
        self, world: World, number: int, name: str, afflictions: Afflictions, chance: random.Random
    ) -> None:
        """`number`: spreads the windows' ends; `name`: the MQTT id."""
        super().__init__(world, number, name, afflictions, chance)
        self._boot, self._birth = "", 0.0
        self._seq = self._event_seq = 0
        self._shadow = Shadow(world.window)
        self._jobs = JobRunner(world.software, world.outcomes, chance)
        self._offset = (number * 0.6180339887498949) % 1.0  # as even as it gets for any number
        self._start_agent()

    def begin(self, after: float) -> None:
        """Connect after so many seconds, and from then on live."""
        world, faults = self._world, self._afflictions
        if faults.late_days is not None:
            self._fill_outbox(faults.late_days)
        self._later("connect", after, self._connect)
        self._later("window", after + self._offset * world.interval, self._end_window)
        self._later("look", after + LOOK * (0.5 + self._offset), self._look)
        if world.health:
            self._later("health", after + self._offset * world.health, self._say_health)
        if faults.restarts_every:
            self._later_by_chance("restart", faults.restarts_every, self._restart, after)

    def stop_windows(self) -> None:
        """End the simulation: what waits is still sent, nothing is added."""
        self._stopped = True

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

    def _greet(self) -> None:
        """What the uplink says and asks for on every connection."""
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
