"""Data types of an audit: artifacts (recorded bytes) and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.base.errors import AgentError
from agent.desk.audit._canary import Canary

Kind = Literal["wire", "reply", "log", "database", "journal", "index", "kernel", "other"]
"""`wire`: uplink to broker; `reply`: broker to uplink; `index`: SQLite's -shm file."""
Detector = Literal[
    "magic", "pixels", "picture", "numbers", "entropy", "schema", "wire", "residue", "file", "call",
    "delivery", "words", "sound", "spectrum", "phrase",
]  # fmt: skip


class AuditError(AgentError):
    """The audit could not begin; not a pass."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that a process sent or wrote."""

    name: str
    """Their origin, for the report."""
    kind: Kind
    data: bytes
    planted: bool = False
    """Whether it is a positive control: a copy with something of the video inserted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A suspected leak."""

    detector: Detector
    where: str
    """Name of the artifact, file or process."""
    offset: int | None
    """In the artifact, bytes; None where not applicable."""
    what: str
    planted: bool = False


@dataclass(slots=True)
class Evidence:
    """Everything recorded in one run."""

    artifacts: list[Artifact]
    device: str
    """Device id, as configured."""
    released: int
    """Summaries in the ledger."""
    arrived: int
    """Summaries that a subscriber received."""
    hashes: frozenset[str]
    """SHA-256 of every released body, from the ledger."""
    findings: list[Finding] = field(default_factory=list)
    """Found while recording: unexpected files and system calls."""
    notes: list[str] = field(default_factory=list)
    """For the reader of the report."""
    unseen: list[str] = field(default_factory=list)
    """What could not be looked at, why, and what to do: without findings, the verdict is then
    incomplete."""
    canary: Canary | None = None
    """What was said; None: nothing was, and no sound is searched for."""
    lines: int = 0
    """How often its line was sent."""
    played: Path = Path()
    """The video as the processes saw it."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """What was recorded, by kind, for the report."""
