"""What an audit looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent.base.errors import AgentError

Kind = Literal["wire", "reply", "message", "log", "database", "journal", "index", "kernel", "other"]
"""`wire`: what uplink sent; `reply`: what the broker answered; `index`: SQLite's -shm file."""
Detector = Literal[
    "magic", "pixels", "picture", "numbers", "entropy", "schema", "wire", "residue", "file", "call",
    "delivery",
]  # fmt: skip


class AuditError(AgentError):
    """The audit could not be carried out: that is no pass."""


@dataclass(frozen=True, slots=True)
class Item:
    """Bytes that one of the processes sent or wrote."""

    name: str
    """Where they were, for people."""
    kind: Kind
    data: bytes
    planted: bool = False
    """True for a copy into which the audit itself put a picture, to see whether it can see."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be there."""

    detector: Detector
    where: str
    offset: int | None
    """Byte in the item; None where it has no place of its own."""
    what: str
    planted: bool = False


@dataclass(slots=True)
class Evidence:
    """Everything that a run left behind."""

    items: list[Item]
    device: str
    """The id that uplink was told to use."""
    released: int
    """Summaries in the ledger."""
    arrived: int
    """Summaries that a subscriber received."""
    hashes: frozenset[str]
    """SHA-256 of every released body, from the ledger."""
    findings: list[Finding] = field(default_factory=list)
    """What showed while it was recorded: files nobody expects, calls nobody may make."""
    notes: list[str] = field(default_factory=list)
    """What could not be watched here, and why."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """How each thing was watched."""
