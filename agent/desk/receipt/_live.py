"""Comparison of a chain with what the device itself says in `meta`: which receipt it signed last.

A chain alone cannot show that its end is missing, nor that it is the chain of a copy of the device,
which signs with the same key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.base.report import Meta
from agent.desk.receipt._chain import Entry
from agent.desk.receipt._json_lines import Line


@dataclass(slots=True)
class Live:
    """Findings about the captured messages."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def key_of(metas: Iterable[tuple[Line, Meta]]) -> str | None:
    """The key named by the first message that names one."""
    return next((meta.key for _, meta in metas if meta.key), None)


def compare(metas: list[tuple[Line, Meta]], key: str | None, receipts: list[Entry]) -> Live:
    """Hold every message against the trusted receipts, by number, of `key`."""
    found = Live()
    by_number = {entry.statement.number: entry for entry in receipts}
    last = max(by_number, default=0)
    newest = 0
    for line, meta in metas:
        if meta.key != key:
            named = f"{meta.key[:8]}…" if meta.key else "none"
            found.problems.append(f"{line.where}: the device names another key, {named}.")
            continue
        if meta.receipt is None:
            found.notes.append(f"{line.where} was sent before any receipt was signed.")
            continue
        number = meta.receipt.number
        newest = max(newest, number)
        if number > last:
            which = f"number {number}" if number == last + 1 else f"numbers {last + 1} to {number}"
            found.problems.append(
                f"{line.where}: the device has signed receipts up to number {number}; of these "
                f"{which} not given: deleted, or not yet delivered."
            )
        elif number not in by_number:
            found.notes.append(f"{line.where}: receipt {number} was not given.")
        elif by_number[number].hash != meta.receipt.sha256:
            found.problems.append(
                f"{line.where}: the device has signed another receipt number {number} than the one "
                f"at {by_number[number].where}: the chain forks, one of the two is a copy's."
            )
    if metas and not found.problems and newest < last:
        found.notes.append(
            f"meta vouches for receipts up to number {newest}; the later ones are not confirmed."
        )
    return found
