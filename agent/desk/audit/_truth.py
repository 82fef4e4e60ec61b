"""What an honest run can have said: from its configuration, its ledger, the models and its key.

Everything that follows from these is computed, so that a message's constants cannot carry data.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.errors import AgentError
from agent.base.report import Birth, from_json
from agent.inference.manifest import load_manifest, models_folder
from agent.privacy.policy.rules import Policy, resolve
from agent.uplink.receipt.key import open_key, public_hex
from agent.wall.outbox import Budget, harden

_STARTED = time.monotonic()
"""Before any run of this process."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The known facts of one run. A fact that is None is not compared."""

    config: AgentConfig
    policy: Policy
    model: str | None = None
    """16 hex digits over the models."""
    ledger: Mapping[str, int] = field(default_factory=dict)
    """Position of each released summary, by the SHA-256 of its bytes."""
    boot: str | None = None
    """Of the perceive process."""
    birth: Birth | None = None
    """The newest birth certificate."""
    key: str | None = None
    """Public key of the receipts, 64 hex digits."""
    receipt: str | None = None
    """SHA-256 of the last receipt, hex."""
    trimmed: int = 0
    """Messages that the outbox dropped."""
    span: tuple[float, float] | None = None
    """Begin and end of the run on the monotonic clock, seconds."""

    @property
    def seconds(self) -> float:
        """Length of the run; infinite where unknown."""
        return self.span[1] - self.span[0] if self.span else float("inf")

    def is_monotonic(self, value: float, slack: float = 20.0) -> bool:
        """Whether a monotonic time lies within the run."""
        return self.span is None or self.span[0] - slack <= value <= self.span[1] + slack

    def is_utc(self, value: float, slack: float = 20.0) -> bool:
        """Whether a wall time lies within the run; the clock may have stepped by `slack`."""
        return self.is_monotonic(value - utc_offset(), slack)


def utc_offset() -> float:
    """UTC minus the monotonic clock, seconds."""
    return time.time() - time.monotonic()


def read(config: AgentConfig, outbox: Path) -> Truth:
    """The facts of the run that left `outbox`, which began in this process and has just ended."""
    ledger: dict[str, int] = {}
    birth, boot, receipt, trimmed = None, None, None, 0
    with (
        contextlib.suppress(sqlite3.Error),  # named by the search of the database
        contextlib.closing(sqlite3.connect(outbox)) as database,
    ):
        harden(database, Budget())
        rows = database.execute("SELECT boot, sha256 FROM ledger ORDER BY rowid").fetchall()
        ledger = {str(sha256): number for number, (_, sha256) in enumerate(rows)}
        row = database.execute("SELECT body FROM latest WHERE kind = 'Birth'").fetchone()
        birth = from_json(Birth, bytes(row[0])) if row else None
        boot = birth.boot if birth else (str(rows[0][0]) if rows else None)
        row = database.execute("SELECT body FROM latest WHERE kind = 'Receipt'").fetchone()
        receipt = hashlib.sha256(bytes(row[0])).hexdigest() if row else None
        row = database.execute("SELECT value FROM counter WHERE name = 'trimmed'").fetchone()
        trimmed = int(row[0]) if row else 0
    key = model = None
    with contextlib.suppress(AgentError, OSError):
        path = outbox.with_name("receipt.key")
        key = public_hex(open_key(path)) if path.is_file() else None
    with contextlib.suppress(AgentError):
        model = load_manifest(models_folder(config.models), config.model_set).hash16
    policy = resolve(config, live=False)
    return Truth(
        config, policy, model, ledger, boot, birth, key, receipt, trimmed,
        (_STARTED, time.monotonic()),
    )  # fmt: skip
