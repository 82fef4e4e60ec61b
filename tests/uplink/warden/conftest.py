"""A warden whose clocks a test winds, and rows for it."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.device_time import DeviceTime
from agent.base.report import Event, Summary, TimedWindow, UntimedWindow, to_json
from agent.base.settings_file import parse
from agent.privacy.policy.rules import resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Row

BOOT = "0a1b2c3d"
UTC = 1_800_000_000
"""True time 0."""
IDS = itertools.count(1)
KEY = Ed25519PrivateKey.generate()


def shop(folder: Path, microphone: bool = False, **content: Any) -> AgentConfig:
    """The defaults."""
    store = {"outbox": str(folder / "box" / "outbox.db")}
    privacy = {"microphone": True} if microphone else {}
    return parse({"store": store, "content": content, "privacy": privacy}, "test")


def summary(
    number: int,
    *,
    seq: int | None = None,
    slot: int = 0,
    boot: str = BOOT,
    start: int | None = None,
    config: AgentConfig | None = None,
    **changes: Any,
) -> Summary:
    """Window `number` of a boot, withheld. `start`: UTC seconds; None: by its offset."""
    made = _template(config or AgentConfig())
    length = made.window.length
    placed = (
        UntimedWindow(offset=number * length, length=length)
        if start is None
        else TimedWindow(start=start, length=length, clock="ntp")
    )
    given = {
        "window": placed, "boot": boot, "slot": slot, "seq": number if seq is None else seq,
    }  # fmt: skip
    return made.model_copy(update=given | changes)


@functools.cache
def _template(config: AgentConfig) -> Summary:
    policy = resolve(config, live=False)
    window = Window(0, policy.window, {0: ExactCounts()}, frames=9, last=9.0, seconds=9)
    pending = PendingRelease()
    pending.add_window(window, 0, policy, lambda scale: 0)
    context = ReleaseContext(BOOT, 0, "0123456789abcdef", FILE_CLOCK, micro_enabled=True)
    return release(pending, window, 0, policy, context, lambda scale: 0)


def row(message: Summary | Event | bytes, kind: str = "summary") -> Row:
    """With an id that no other has."""
    return Row(next(IDS), kind, message if isinstance(message, bytes) else to_json(message))


@dataclass
class Guard:
    """One device over time; `restart` is a kill -9 of the uplink."""

    config: AgentConfig
    quotas: dict[str, int] = field(default_factory=dict)
    """In place of the real ones."""
    true: float = 0.0
    started: float = 0.0
    """True time of the machine's start."""
    starts: int = 0
    synchronised: bool = False
    error: float = 0.0
    """Of the wall clock."""
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.warden = Warden(
            self.config,
            KEY.public_key().public_bytes_raw().hex(),
            lambda code: self.counted.update([code]),
            time=partial(
                DeviceTime,
                machine=f"start-{self.starts}",
                boottime=lambda: self.true - self.started,
                utc=self.utc,
            ),
            utc=self.utc,
        )
        if self.quotas:
            self.warden.quotas = replace(self.warden.quotas, **self.quotas)

    def reboot(self, off: float = 0.0) -> None:
        self.true += off
        self.started, self.starts = self.true, self.starts + 1
        self.restart()

    def utc(self) -> float | None:
        return UTC + self.true + self.error if self.synchronised else None

    def offer(self, *messages: Summary | Row) -> list[str]:
        """Verdicts, after which the state is stored and the outbox empty."""
        rows = [each if isinstance(each, Row) else row(each) for each in messages]
        found = [self.warden.judge(each) for each in rows]
        self.warden.save()
        self.warden.caught_up()
        return list(found)


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(shop(tmp_path))
