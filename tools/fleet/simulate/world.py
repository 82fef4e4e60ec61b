"""What the simulated devices of one process share: the loop, how to connect, what they count."""

from __future__ import annotations

import asyncio
import errno
import random
import ssl
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agent.base.vocabulary import WindowLength
from agent.uplink.client import connect_properties, publish_properties
from agent.uplink.topics import MESSAGE_KINDS
from tools.common.errors import ToolError
from tools.fleet.simulate import packets
from tools.fleet.simulate.bodies import Software, SummaryTemplates, window_length
from tools.fleet.simulate.certificates import Wallet
from tools.fleet.simulate.connection import Connection
from tools.fleet.simulate.device import Device
from tools.fleet.simulate.faults import Faults, afflict
from tools.fleet.simulate.jobs import Outcomes
from tools.fleet.simulate.truth import Truth

_OPENING = 200
"""Connections that are being opened at once."""
_OPEN_TIMEOUT = 20.0
"""Seconds for TCP and TLS."""
_REASONS = {
    0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error",
    0x84: "unsupported protocol version", 0x85: "client identifier not valid",
    0x86: "bad user name or password", 0x87: "not authorized", 0x88: "server unavailable",
    0x89: "server busy", 0x8B: "server shutting down", 0x8D: "keep alive timeout",
    0x8E: "session taken over", 0x93: "receive maximum exceeded", 0x95: "packet too large",
    0x97: "quota exceeded", 0x9F: "connection rate exceeded",
}  # fmt: skip
"""Reason codes (MQTT 5.0, section 2.4)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated, by all processes together; can be pickled."""

    brokers: tuple[tuple[str, int], ...]
    devices: int
    interval: float
    """Seconds between summaries of a device."""
    seconds: float
    """How long windows are made, from the first device's connection on."""
    ramp: float
    """Seconds in which the devices connect."""
    drain: float
    """Seconds that what still waits then has to be acknowledged."""
    seed: int
    faults: Faults
    outcomes: Outcomes
    software: Software
    truth: Path
    prefix: str = "sim"
    group: str = ""
    events: float = 0.01
    """Events for each summary."""
    health: float = 900.0
    """Seconds between health messages; 0: none."""
    tls: Path | None = None
    """A fleet's folder, whose authority makes the certificates."""
    credentials: tuple[str, str] | None = None

    @property
    def window(self) -> WindowLength:
        return window_length(self.interval)

    def name(self, number: int) -> str:
        """A device's MQTT id."""
        return f"{self.prefix}-{number:05d}"


class World:
    """The devices `start`, `start + step`, … of a plan."""

    def __init__(
        self, plan: Plan, start: int, step: int, loop: asyncio.AbstractEventLoop, truth: Truth
    ) -> None:
        """Raises `ToolError`."""
        self.loop = loop
        self.truth = truth
        self.plan = plan
        self.interval, self.window, self.health = plan.interval, plan.window, plan.health
        self.events, self.group, self.outcomes = plan.events, plan.group, plan.outcomes
        self.software, self.credentials = plan.software, plan.credentials
        self.connect_properties = packets.pack(connect_properties())
        self.counts: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        """What went wrong, in words, how often."""
        self._templates: dict[WindowLength, SummaryTemplates] = {}
        self.templates(self.window)
        self._properties: dict[str, bytes] = {}
        """Packed, by kind of message."""
        self._wallet = Wallet(plan.tls) if plan.tls else None
        self._opening = asyncio.Semaphore(_OPENING)
        self._tasks: set[asyncio.Task[None]] = set()
        self.devices = [self._make(number) for number in range(start, plan.devices, step)]

    def _make(self, number: int) -> Device:
        chance = random.Random(f"{self.plan.seed}/{number}")
        name = self.plan.name(number)
        return Device(self, number, name, afflict(self.plan.faults, chance), chance)

    def begin(self, start: int, step: int) -> None:
        """Let every device connect when it is its turn."""
        plan = self.plan
        for place, device in enumerate(self.devices):
            device.begin(plan.ramp * (start + place * step) / max(plan.devices, 1))

    def now(self) -> float:
        """Monotonic seconds."""
        return self.loop.time()

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def templates(self, window: WindowLength) -> SummaryTemplates:
        """Raises `ToolError`."""
        if window not in self._templates:
            self._templates[window] = SummaryTemplates(window, self.plan.seed)
        return self._templates[window]

    def failed(self, error: OSError) -> None:
        """A connection did not come about."""
        self.count("not reached")
        if isinstance(error, ssl.SSLError):
            what = f"TLS: {error.reason or 'the connection was cut'}"
        elif isinstance(error, TimeoutError):
            what = f"no connection within {_OPEN_TIMEOUT:.0f} s"
        else:
            what = errno.errorcode.get(error.errno or 0, type(error).__name__)
        self.troubles[what] += 1

    def refused(self, code: int) -> None:
        """The broker said no."""
        self.count("refused")
        self.troubles[f"refused: {_REASONS.get(code, f'reason 0x{code:02x}')}"] += 1

    def disconnected(self, code: int) -> None:
        """The broker ended a connection."""
        self.count("ended by the broker")
        self.troubles[f"ended: {_REASONS.get(code, f'reason 0x{code:02x}')}"] += 1

    def properties(self, kind: str, correlation: bytes | None = None) -> bytes:
        """Of a PUBLISH of this kind, as the agent sets them."""
        if correlation is None and kind in self._properties:
            return self._properties[kind]
        found = MESSAGE_KINDS[kind]
        packed = packets.pack(publish_properties(found.urn, found.expiry, correlation))
        if correlation is None:
            self._properties[kind] = packed
        return packed

    def connect(self, connection: Connection) -> None:
        """Open a device's connection, which hears of it."""
        task = self.loop.create_task(self._open(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: Connection) -> None:
        host, port = self.plan.brokers[connection.turn % len(self.plan.brokers)]
        try:
            async with self._opening:
                context = self._wallet.context(connection.id) if self._wallet else None
                async with asyncio.timeout(_OPEN_TIMEOUT):
                    await self.loop.create_connection(
                        lambda: connection, host, port, ssl=context,
                        server_hostname=host if context else None,
                    )  # fmt: skip
        except OSError as error:
            connection.refused(error)


def resolve(broker: str) -> tuple[str, int]:
    """`HOST:PORT`. Raises `ToolError`."""
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ToolError(f"--broker {broker!r} is not HOST:PORT.")
    return host.strip("[]"), int(port)
