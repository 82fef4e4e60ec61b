"""Artifacts, the bytes that an audit searches, and findings, what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent.base.errors import AgentError

Kind = Literal["wire", "reply", "log", "database", "journal", "index", "kernel", "other"]
"""`wire`: uplink to broker; `reply`: broker to uplink; `index`: SQLite's -shm file."""
Detector = Literal[
    "magic", "pixels", "picture", "numbers", "entropy", "schema", "wire", "residue", "file", "call",
    "delivery",
]  # fmt: skip


class AuditError(AgentError):
    """The audit could not be carried out, which is not a pass."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that one of the processes sent or wrote."""

    name: str
    """Where they were, for people."""
    kind: Kind
    data: bytes
    planted: bool = False
    """True for a positive control: a copy into which the audit put a picture."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be there."""

    detector: Detector
    where: str
    """Name of the artifact, file or process."""
    offset: int | None
    """Byte in the artifact; None where there is no such place."""
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
    """What could not be watched here, and why."""
    watched: Mapping[str, str] = field(default_factory=dict)
    """How each thing was watched, for the report."""
