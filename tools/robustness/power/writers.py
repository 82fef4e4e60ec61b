"""The two processes as far as they write: the agent's own classes, without camera and broker.

Each says on a pipe what it holds for done, after the call that does it has returned. Between them
the outbox is filled by `SummaryStore` and emptied by `OutboxSender`, whose connection here is one
that has every message acknowledged at once.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.device_time import DeviceTime
from agent.base.report import PerceiveCage, Receipt, Summary, from_json
from agent.base.settings_file import parse
from agent.perceive.status import PerceiveReport, StatusReporter
from agent.perceive.summary_store import SummaryStore
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.releaser import Released
from agent.privacy.window import ExactCounts, Window
from agent.uplink.inbound import EventCounter
from agent.uplink.receipt.book import ReceiptBook
from agent.uplink.sender import OutboxSender
from agent.uplink.settings import DesiredState, RemoteControl
from agent.uplink.topics import Topics
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import Patch, nested
from tools.robustness.crash.check import digest, key_of

RATE = 10_800.0
"""Seconds on the device's clocks for each one here: quotas of a day and daily receipts come round
many times in a test."""
_FIRST = 1_800_000_000
"""UTC seconds at the machine's start, on those clocks."""
_MODEL = "0123456789abcdef"
_CAGE = PerceiveCage(network="open", writes="open", found_open=(), layers=())
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", __name__])


def configuration(folder: Path) -> AgentConfig:
    """Everything that is written lies in `folder`; windows of ten seconds."""
    return parse(
        {
            "device": {"id": "power"},
            "privacy": {"policy": "demo", "window": 10, "microphone": False, "words": False},
            "store": {
                "outbox": str(folder / "outbox" / "outbox.db"),
                "receipt_key": str(folder / "uplink" / "receipt.key"),
                "warden": str(folder / "uplink" / "warden.json"),
            },
        },
        "the power test",
    )


def boottime() -> float:
    """Seconds since the machine's start, fast."""
    return RATE * time.clock_gettime(time.CLOCK_BOOTTIME)


def utc() -> float:
    return _FIRST + boottime()


def fast(stored: Any) -> DeviceTime:
    """The device's elapsed time on these clocks."""
    return DeviceTime(stored, boottime=boottime, utc=utc)


def summary(boot: str, seq: int, number: int, policy: Policy) -> Summary:
    """Of a window without visitors, the `number`-th of its process."""
    window = Window(number, policy.window, {0: ExactCounts()}, frames=300, last=9.9, seconds=10)
    pending = PendingRelease()
    pending.add_window(window, 0, policy, discrete_laplace)
    context = ReleaseContext(boot, seq, _MODEL, FILE_CLOCK, micro_enabled=True)
    return release(pending, window, 0, policy, context, discrete_laplace)


class Perceive:
    """Releases a summary with each step; what the perceive process writes."""

    def __init__(self, config: AgentConfig, tell: Callable[[str], None], chance: random.Random):
        self._outbox = Outbox(config.store, utc=utc)
        self._policy = resolve(config)
        self._tell, self._chance = tell, chance
        report = PerceiveReport()
        self._status = StatusReporter(self._outbox, lambda: FILE_CLOCK, report, _CAGE)
        self._store = SummaryStore(self._outbox, self._status, report)
        self._number = 0
        self._seq = self._outbox.next_seq
        self._status.publish_birth(self._policy, _MODEL, 0)

    def step(self) -> None:
        made = summary(self._outbox.boot, self._seq, self._number, self._policy)
        self._number += 1
        self._seq += 1
        self._store.add([Released(made, 0)])
        if self._outbox.next_seq == self._seq:  # else it waits in memory
            self._tell(f"added {made.boot} {made.seq}")
        if self._chance.random() < 0.1:
            self._status.publish_vitals("running", at_once=True)
            self._status.record_event("paused")

    def flush(self) -> None:
        """Store what waits in memory. Raises `StoreError`."""
        self._store.flush()

    def close(self) -> None:
        self._outbox.close()


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the uplink's parts take their time from."""

    monotonic: Callable[[], float]
    utc: Callable[[], float | None]
    elapsed: Callable[..., DeviceTime]


class Wire:
    """In place of a connection: whatever is published has arrived, and is acknowledged. While it is
    `away` nothing can be published."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.away = False
        self.bodies: deque[bytes] = deque(maxlen=100)
        """The last summaries."""
        self._acknowledged: list[tuple[int, int]] = []

    @property
    def send_quota(self) -> int:
        return 0 if self.away else 20

    def publish(self, kind: Any, topic: str, body: bytes, *, tag: int) -> bool:
        if topic.endswith("/summary"):
            boot, seq = key_of(body)
            self.bodies.append(body)
            self._tell(f"sent {boot} {seq} {digest(body)}")
        elif topic.endswith("/receipt") and (receipt := from_json(Receipt, body)) is not None:
            self._tell(f"signed {receipt.statement.number} {digest(body)}")
        self._acknowledged.append((tag, 0))
        return True

    def drain_acknowledged(self) -> list[tuple[int, int]]:
        found, self._acknowledged = self._acknowledged, []
        return found


class Uplink:
    """What the uplink process writes: admissions, deliveries, receipts, settings."""

    def __init__(
        self,
        config: AgentConfig,
        tell: Callable[[str], None],
        chance: random.Random,
        clocks: Clocks | None = None,
    ):
        """`clocks`: the fast ones by default."""
        self._clocks = clocks = clocks or Clocks(boottime, utc, fast)
        self._outbox = Outbox(config.store, utc=clocks.utc)
        self._tell, self._chance = tell, chance
        self.events = EventCounter()
        self.receipts = ReceiptBook(config, self._outbox)
        self.control = RemoteControl(config, self.events)
        self.warden = Warden(config, self.receipts.public_key, self.events, time=clocks.elapsed,
                             utc=clocks.utc)  # fmt: skip
        self.wire = Wire(tell)
        self._sender = OutboxSender(Topics(config), self._outbox, self.warden, self.events, 1e-3)
        self._sender.connected()

    def step(self) -> None:
        wire: Any = self.wire
        self._sender.check_file()
        self._sender.judge()
        self._sender.send_pending(wire)
        self._sender.collect(wire)
        self._sender.remove()
        self.receipts.tick(self._clocks.utc(), self._clocks.monotonic())
        if self._chance.random() < 0.3:
            self._desire()
        if self._chance.random() < 0.1:
            self.control.set_paused(not self.control.settings.paused)
        self.events.flush(self._outbox, time.monotonic())
        for code, times in self.events.total.items():
            if code in ("row_refused", "quota_exceeded", "settings_refused"):
                self._tell(f"event {code} {times}")

    def close(self) -> None:
        self._outbox.close()

    def _desire(self) -> None:
        version = self.control.settings.version + 1
        patch = Patch.model_validate(nested({"tracking.max_faces": 5 + version % 20}))
        self._tell(f"desired {version}")
        self.control.set_desired(DesiredState(version, patch, {}), "own")
        self._tell(f"set {self.control.settings.version}")


_ROLES: dict[str, Callable[..., Perceive | Uplink]] = {"perceive": Perceive, "uplink": Uplink}


def main(role: str, folder: Path, pipe: Pipe, log: Path, seed: int) -> None:
    """Write until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    logging.basicConfig(level=logging.INFO, format=f"{role}: %(message)s", force=True)
    chance = random.Random(seed)
    writer = _ROLES[role](
        configuration(folder), lambda said: pipe.send_bytes(said.encode()), chance
    )
    pipe.send_bytes(b"ready")
    while True:
        writer.step()
        time.sleep(chance.uniform(0.0, 0.02))


class Writer:
    """One such process, as the test sees it."""

    def __init__(self, role: str, folder: Path, log: Path, seed: int) -> None:
        self.role = role
        self._pipe, other = _CONTEXT.Pipe(duplex=False)
        self._process: ForkServerProcess = _CONTEXT.Process(
            target=main, args=(role, folder, other, log, seed), daemon=True
        )
        self._process.start()
        other.close()

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def said(self) -> list[str]:
        """What it has reported since the last call."""
        found: list[str] = []
        try:
            while self._pipe.poll():
                found.append(self._pipe.recv_bytes().decode())
        except (EOFError, OSError):  # it was killed, perhaps within a message
            pass
        return found

    def hold(self) -> None:
        """Stop it where it is, and wait until it has."""
        pid = self._process.pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        while (
            not self.ended
            and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZ"
        ):
            time.sleep(0.0005)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.join()
        self._pipe.close()
