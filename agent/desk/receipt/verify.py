"""`fleeting receipt verify`: verify receipts, and received summaries against them, offline."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from agent.base.report import Meta, Receipt, Summary, summary_form
from agent.desk.receipt._chain import Entry, check, entries
from agent.desk.receipt._compare import Comparison, receive
from agent.desk.receipt._coverage import (
    Coverage,
    Days,
    cover,
    document,
    missing_until,
    name,
    parse_until,
    sentence,
)
from agent.desk.receipt._json_lines import Problems, read
from agent.desk.receipt._live import compare, key_of

_RECEIPT_BYTES = 2_048
_SUMMARY_BYTES = 8_192
_META_BYTES = 4096
_MAX_RECEIPTS = 100_000
_MAX_SUMMARIES = 2_000_000


@dataclass(slots=True)
class _Result:
    """All that was found."""

    entries: list[Entry]
    coverage: Coverage
    until: tuple[Days, ...] | None = None
    """Days missing up to the one asked for; None: none was."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def breaks(self) -> int:
        return sum(bool(entry.breaks) for entry in self.entries)

    @property
    def verdict(self) -> Literal["valid", "incomplete", "invalid"]:
        if self.problems or any(entry.problems for entry in self.entries):
            return "invalid"
        return "incomplete" if self.breaks else "valid"


def verify(
    files: Sequence[Path],
    *,
    key: str | None,
    summaries: Sequence[Path],
    as_json: bool,
    until: str | None = None,
    meta: Sequence[Path] = (),
) -> int:
    """Print a verdict per receipt; return 0 if all are valid, 1 if not, 2 if they are, but their
    chain has a break.

    Parameters
    ----------
    files
        Receipts, one per line, in any order, with duplicates.
    key
        64 hex digits, from `meta`; None: only checks that all receipts have the same key.
    summaries
        All summaries received from the device, one per line; empty: not checked.
    as_json
        Print one JSON document in place of the table.
    until
        Day (2026-11-28: to its end) or instant (2026-11-28T12:00), UTC, that the chain must reach.
    meta
        Captured `meta` messages of the device, one per line; empty: not checked.
    """
    problems = Problems()
    if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        problems.listed.append("The key must be 64 hex digits, as in `meta`.")
        key = ""  # matches no receipt
    captured = list(read(meta, Meta, _META_BYTES, _MAX_RECEIPTS, problems))
    if meta and not captured:
        problems.listed.append("No meta message was found.")
    given = key is not None
    key = key.lower() if key is not None else key_of(captured)
    found = entries(read(files, Receipt, _RECEIPT_BYTES, _MAX_RECEIPTS, problems))
    check(found, key)
    if not found:
        problems.listed.append("No receipt was found.")
    trusted = [entry for entry in found if entry.trusted]
    result = _Result(found, cover(trusted))
    if key is None and found:
        result.notes.append(
            f"All was verified under key {found[0].statement.key}; compare it with the device's "
            "`meta`."
        )
    elif not given and key is not None:
        result.notes.append(f"All was verified under key {key}, which the given meta names.")
    result.problems += problems.all()
    if until is not None:
        _check_until(result, until)
    live = compare(captured, key, trusted)
    result.problems += live.problems
    result.notes += live.notes
    if summaries:
        _check_summaries(result, summaries, trusted)
    _add_limits(result, bool(meta), until is not None)
    if as_json:
        print(json.dumps(_document(result), indent=2))
    else:
        _print_table(result)
    return {"valid": 0, "invalid": 1, "incomplete": 2}[result.verdict]


def _check_until(result: _Result, until: str) -> None:
    try:
        instant = parse_until(until)
    except (ValueError, OverflowError):
        result.problems.append("The date must be a day such as 2026-11-28.")
        return
    result.until = missing_until(result.coverage, instant)
    if result.until:
        days = ", ".join(map(name, result.until))
        result.problems.append(
            f"The chain does not reach {until if until.isprintable() else 'that day'}: it ends at "
            f"{_time(result.coverage.end)} UTC. Missing days: {days}. A day's receipt is signed "
            "after midnight UTC, when it has ended."
        )


def _check_summaries(result: _Result, summaries: Sequence[Path], trusted: list[Entry]) -> None:
    unreadable = Problems()
    received = receive(
        read(summaries, Summary, _SUMMARY_BYTES, _MAX_SUMMARIES, unreadable, summary_form)
    )
    comparison = Comparison(received)
    comparison(trusted)
    if received.repeated:
        result.notes.append(f"{received.repeated} summaries came more than once, byte for byte.")
    result.problems += unreadable.all() + comparison.problems
    result.notes += comparison.notes


def _add_limits(result: _Result, with_meta: bool, with_until: bool) -> None:
    """Say what this call could not show."""
    if not result.entries:
        return
    if not with_meta:
        result.notes.append(
            "One chain was checked by itself. A copy of the device signs its own with the same "
            "key; --meta FILE shows which one the device goes on with."
        )
    if not with_until:
        result.notes.append(
            "Receipts deleted at the end leave no gap; --until DAY demands that the chain reaches "
            "a day."
        )


def _document(result: _Result) -> dict[str, object]:
    return {
        "valid": result.verdict == "valid",
        "verdict": result.verdict,
        "coverage": document(result.coverage, result.until),
        "receipts": [
            {
                "where": entry.where,
                "valid": not entry.problems,
                "problems": entry.problems,
                "breaks": entry.breaks,
                "notes": entry.notes,
                "sha256": entry.hash,
                "statement": entry.statement.model_dump(),
            }
            for entry in result.entries
        ],
        "problems": result.problems,
        "notes": result.notes,
    }


def _print_table(result: _Result) -> None:
    found = result.entries
    if found:
        print(
            "number  until (UTC)       summaries  withheld  messages      bytes  epsilon  verdict"
        )
    for entry in found:
        statement = entry.statement
        verdict = "INVALID" if entry.problems else "BREAK" if entry.breaks else "valid"
        print(
            f"{statement.number:6d}  {_time(statement.end):16s}  {statement.summaries:9d}"
            f"  {statement.windows_withheld:8d}  {statement.messages:8d}  {statement.bytes:9d}"
            f"  {statement.epsilon_milli / 1000:7.2f}  {verdict}"
        )
        for problem in entry.problems + entry.breaks:
            print(f"        {entry.where}: {problem}.")
        for note in entry.notes:
            print(f"        note: {note}.")
    if found:
        print(sentence(result.coverage))
    for problem in result.problems:
        print(problem)
    for note in result.notes:
        print(f"Note: {note}")
    invalid = sum(bool(entry.problems) for entry in found)
    verdict = {
        "valid": "All valid.",
        "incomplete": f"All signatures valid, but NOT COMPLETE: breaks in the chain, "
        f"{result.breaks}.",
        "invalid": "NOT VALID.",
    }[result.verdict]
    print(f"{len(found)} receipts, {invalid} invalid. {verdict}")
    sys.stdout.flush()


def _time(utc: int | None) -> str:
    return "unknown" if utc is None else datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M")
