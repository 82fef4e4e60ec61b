"""Invariants after a crash: the outbox file against what arrived.

The only module of the crash test that knows the tables of `agent.wall.outbox`. It reads in one
transaction and read-only, so that it sees one moment and repairs nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError

Key = tuple[str, int]
"""(boot, seq) of a summary."""
_WAIT = 30.0
"""Seconds to wait for a writer's lock."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The outbox at one moment."""

    ledger: tuple[tuple[Key, str], ...]
    """(boot, seq) and SHA-256 of every release, in the order of release."""
    waiting: tuple[tuple[Key, str], ...]
    """The same of every summary that is still to be sent; the digest is of its body."""
    trimmed: int
    """Messages that were dropped over size or age."""
    verdict: str
    """Of SQLite's integrity check: `ok`."""


def digest(body: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(body).hexdigest()


def key_of(body: bytes) -> Key:
    """(boot, seq) of a summary's bytes. Raises `ValueError` when it has none."""
    try:
        fields = json.loads(body)
        return str(fields["boot"]), int(fields["seq"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no summary: {error}") from None


def read(outbox: Path) -> Stored:
    """One moment of the file, as committed. Raises `ToolError` when it cannot be read."""
    try:
        database = sqlite3.connect(
            f"{outbox.resolve().as_uri()}?mode=ro", uri=True, timeout=_WAIT, isolation_level=None
        )
        try:
            database.execute("BEGIN")
            ledger = database.execute("SELECT boot, seq, sha256 FROM ledger ORDER BY rowid")
            listed = tuple(((boot, seq), sha256) for boot, seq, sha256 in ledger)
            rows = database.execute("SELECT body FROM outbox WHERE kind = 'summary' ORDER BY id")
            waiting = tuple((key_of(bytes(body)), digest(bytes(body))) for (body,) in rows)
            count = database.execute("SELECT value FROM counter WHERE name = 'trimmed'").fetchone()
            verdict = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
        finally:
            database.close()
    except (sqlite3.Error, ValueError) as error:
        raise ToolError(
            f"The outbox {outbox} cannot be read: {error}. Look at the file: a crash may have "
            "damaged it."
        ) from None
    return Stored(listed, waiting, int(count[0]) if count else 0, verdict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of one check."""

    violations: tuple[str, ...]
    missing: frozenset[Key]
    """Released, gone from the outbox and not yet seen by the reader: on its way, or lost."""
    differing: int
    """Copies of a summary that are not the bytes that the ledger vouches for."""


def judge(
    stored: Stored, arrived: Mapping[Key, Sequence[str]], before: Stored | None = None
) -> Verdict:
    """Hold one moment against what had arrived before it, and against an earlier moment.

    `arrived`: the SHA-256 of every copy that came. Take it before `stored` is read: the ledger only
    grows, so whatever arrived must be in it.
    """
    ledger = dict(stored.ledger)
    found: list[str] = []
    differing = 0
    if stored.verdict != "ok":
        found.append(f"integrity check: {stored.verdict}")
    if stored.trimmed:
        found.append(f"{stored.trimmed} messages were dropped over size or age")
    for key, sha256 in stored.waiting:
        if key not in ledger:
            found.append(f"{_name(key)} is in the outbox but not in the ledger")
        elif ledger[key] != sha256:
            differing += 1
            found.append(f"{_name(key)} waits in the outbox with other bytes than were released")
    for key, copies in arrived.items():
        if key not in ledger:
            found.append(f"{_name(key)} arrived but is not in the ledger")
            continue
        others = sum(sha256 != ledger[key] for sha256 in copies)
        if others:
            differing += others
            found.append(f"{_name(key)} arrived {others} times with other bytes than were released")
    # A number is given once, and a gap would tell the reader of a loss.
    for place, (key, _) in enumerate(stored.ledger):
        if key[1] != place:
            found.append(f"{_name(key)} stands where number {place} should: a gap in the ledger")
            break
    if before is not None and stored.ledger[: len(before.ledger)] != before.ledger:
        found.append("the ledger lost or changed lines that it had at the last look")
    waiting = {key for key, _ in stored.waiting}
    missing = frozenset(key for key in ledger if key not in waiting and key not in arrived)
    return Verdict(tuple(found), missing, differing)


def aside(outbox: Path) -> list[str]:
    """Files that the agent moved aside because it found them damaged."""
    return sorted(each.name for each in outbox.parent.glob(f"{outbox.name}.damaged-*"))


def _name(key: Key) -> str:
    return f"summary {key[0]}/{key[1]}"
