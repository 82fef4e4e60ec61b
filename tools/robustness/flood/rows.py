"""Rows that a taken-over perceive process would write: each is valid by itself."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.report import Birth, EventCode, PerceiveCage, Vitals, to_json
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window

Row = tuple[str, bytes]
"""Kind and body."""
MODEL = "0123456789abcdef"
_CODES: tuple[EventCode, ...] = ("paused", "resumed", "cage_open", "quota_exceeded")


def insert(database: sqlite3.Connection, number: int, row: Row) -> None:
    """Put a row into the outbox's tables, with a ledger line that vouches for its bytes. `number`:
    another one for each row."""
    kind, body = row
    key = f"{number:08x}", number % 2**24
    database.execute(
        "INSERT INTO outbox (kind, boot, seq, created, body) VALUES (?, ?, ?, NULL, ?)",
        (kind, *key, body),
    )
    if kind == "summary":
        sha256 = hashlib.sha256(body).hexdigest()
        database.execute(
            "INSERT OR REPLACE INTO ledger VALUES (?, ?, 0, 1000, '00000000', 1, 0, ?)",
            (*key, sha256),
        )


class Attacker:
    """Makes rows; each wave is a generator of as many as are asked for."""

    def __init__(self, config: AgentConfig, seed: int) -> None:
        self._draw = random.Random(seed)
        self._policy: Policy = resolve(config, live=False)
        self._seq = 0
        self._window = 0

    @property
    def waves(self) -> dict[str, Any]:
        """The generators by name."""
        return {
            "all that is permitted": self.permitted,
            "many windows and slots": self.windows,
            "many boots": self.boots,
            "past and future": self.times,
            "other constants": self.constants,
            "the same again": self.same,
            "events and receipts": self.others,
        }

    def permitted(self, number: int) -> Iterator[Row]:
        """One boot, ever later windows, no more slots than the policy's."""
        boot = self._boot()
        for count in range(number):
            yield self._summary(boot, slot=count % self._policy.slots)

    def windows(self, number: int) -> Iterator[Row]:
        """One boot, ever later windows, all slots in turn."""
        boot = self._boot()
        for count in range(number):
            yield self._summary(boot, slot=count % 256)
        for _ in range(number):
            yield self._summary(boot, slot=self._draw.randrange(256))

    def boots(self, number: int) -> Iterator[Row]:
        """A new boot for every summary; then two that take turns."""
        for _ in range(number):
            yield self._summary(self._boot())
        pair = self._boot(), self._boot()
        for count in range(number // 4):
            yield self._summary(pair[count % 2])

    def times(self, number: int) -> Iterator[Row]:
        """Wall times out of order, far away and off the grid."""
        boot, now = self._boot(), int(time.time()) // 10 * 10
        for _ in range(number):
            start = now + self._draw.choice([-1, 1]) * 10 * self._draw.randrange(4_000_000)
            yield self._summary(boot, start=start)
        for count in range(number // 4):
            yield self._summary(boot, offset=10 * count)

    def constants(self, number: int) -> Iterator[Row]:
        """Other policies, models, k and epsilon than the device's."""
        boot = self._boot()
        for _ in range(number):
            change = self._draw.choice(["policy", "policy_hash", "model", "k", "epsilon_milli"])
            free: Any = f"{self._draw.getrandbits(32):08x}"
            if change == "policy":
                free = "classroom"
            elif change in ("k", "epsilon_milli"):
                free = 10 * self._draw.randrange(1, 10)
            yield self._summary(boot, **{change: free})

    def same(self, number: int) -> Iterator[Row]:
        """One body under many ids, and one number with many bodies."""
        boot = self._boot()
        yield (row := self._summary(boot))
        seq = self._seq
        for _ in range(number):
            yield row
        for count in range(number // 4):
            yield self._summary(boot, seq=seq, slot=count % 4)

    def others(self, number: int) -> Iterator[Row]:
        """Events with free numbers; receipts that nobody signed."""
        for count in range(number // 4):
            boot = self._boot()
            event = {
                "v": 1, "boot": boot, "seq": self._draw.randrange(2**24),
                "code": self._draw.choice(_CODES), "count": self._draw.randrange(1, 1024),
                "at": None, "offset": 10 * self._draw.randrange(99_999_999),
            }  # fmt: skip
            yield "event", _json(event)
            yield "receipt", self._receipt(count + 1)

    def birth(self) -> bytes:
        """A birth certificate with a free boot id."""
        policy = self._policy
        return to_json(
            Birth(
                boot=self._boot(),
                software=f"{self._draw.randrange(9999)}.0.0",
                model=MODEL,
                policy=policy.name,
                policy_hash=policy.hash,
                epoch=None,
                clock="none",
                settings=self._draw.randrange(2**31),
                k=policy.k,
                window=policy.window,  # type: ignore[arg-type]
                cage=PerceiveCage(network="closed", writes="confined", found_open=(), layers=()),
            )
        )

    def vitals(self) -> bytes:
        """Any frame rate."""
        return to_json(Vitals(perception="running", fps=5 * self._draw.randrange(49)))

    def _boot(self) -> str:
        return f"{self._draw.getrandbits(32):08x}"

    def _summary(
        self,
        boot: str,
        *,
        slot: int | None = None,
        seq: int | None = None,
        start: int | None = None,
        offset: int | None = None,
        **changes: Any,
    ) -> Row:
        """A withheld window, later than the last one unless a time is given."""
        self._seq += 1
        self._window += 1
        length = self._policy.window
        window = Window(self._window, length, {0: ExactCounts()}, frames=9, last=9.0, seconds=9)
        pending = PendingRelease()
        pending.add_window(window, 0, self._policy, discrete_laplace)
        context = ReleaseContext(boot, self._seq % 2**24, MODEL, FILE_CLOCK, micro_enabled=True)
        policy = self._policy
        released = release(pending, window, 0, policy, context, discrete_laplace)
        made = json.loads(to_json(released))
        made["slot"] = self._draw.randrange(4) if slot is None else slot
        made["seq"] = made["seq"] if seq is None else seq
        if start is not None:
            made["window"] |= {"start": start, "offset": None, "clock": "ntp"}
        elif offset is not None:
            made["window"]["offset"] = offset
        for name, value in changes.items():
            (made["privacy"] if name in made["privacy"] else made)[name] = value
        return "summary", _json(made)

    def _receipt(self, number: int) -> bytes:
        free = self._draw.getrandbits
        statement = {
            "v": 1, "number": number, "previous": f"{free(256):064x}", "start": None, "end": None,
            "summaries": free(16), "digest": f"{free(256):064x}", "messages": 0, "bytes": 0,
            "epsilon_milli": 0, "windows_withheld": 0, "visits_withheld": 0, "model": None,
            "policy": None, "units": None, "schemas": f"{free(64):016x}",
            "key": f"{free(256):064x}",
        }  # fmt: skip
        return _json({"statement": statement, "signature": f"{free(512):0128x}"})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
