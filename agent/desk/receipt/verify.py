"""`fleeting receipt verify`: verify receipts, and received summaries against them, offline."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.base.report import Receipt, Summary
from agent.desk.receipt._chain import Entry, check, entries
from agent.desk.receipt._compare import Comparison, receive
from agent.desk.receipt._json_lines import Problems, read

_RECEIPT_BYTES = 2_048
_SUMMARY_BYTES = 8_192
_MAX_RECEIPTS = 100_000
_MAX_SUMMARIES = 2_000_000


def verify(
    files: Sequence[Path], *, key: str | None, summaries: Sequence[Path], as_json: bool
) -> int:
    """Print a verdict per receipt; return 0 if all are valid, else 1.

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
    """
    problems = Problems()
    if key is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        problems.listed.append("The key must be 64 hex digits, as in `meta`.")
        key = ""  # matches no receipt
    found = entries(read(files, Receipt, _RECEIPT_BYTES, _MAX_RECEIPTS, problems))
    check(found, key if key is None else key.lower())
    if not found:
        problems.listed.append("No receipt was found.")
    notes: list[str] = []
    if key is None and found:
        notes.append(
            f"All was verified under key {found[0].statement.key}; compare it with the device's "
            "`meta`."
        )
    listed = problems.all()
    if summaries:
        unreadable = Problems()
        received = receive(read(summaries, Summary, _SUMMARY_BYTES, _MAX_SUMMARIES, unreadable))
        comparison = Comparison(received)
        comparison([entry for entry in found if entry.trusted])
        if received.repeated:
            notes.append(f"{received.repeated} summaries came more than once, byte for byte.")
        listed += unreadable.all() + comparison.problems
        notes += comparison.notes
    valid = not listed and not any(entry.problems for entry in found)
    if as_json:
        print(json.dumps(_document(valid, found, listed, notes), indent=2))
    else:
        _print_table(valid, found, listed, notes)
    return 0 if valid else 1


def _document(
    valid: bool, found: list[Entry], problems: list[str], notes: list[str]
) -> dict[str, object]:
    return {
        "valid": valid,
        "receipts": [
            {
                "where": entry.where,
                "valid": not entry.problems,
                "problems": entry.problems,
                "notes": entry.notes,
                "statement": entry.statement.model_dump(),
            }
            for entry in found
        ],
        "problems": problems,
        "notes": notes,
    }


def _print_table(valid: bool, found: list[Entry], problems: list[str], notes: list[str]) -> None:
    if found:
        print(
            "number  until (UTC)       summaries  withheld  messages      bytes  epsilon  verdict"
        )
    for entry in found:
        statement = entry.statement
        print(
            f"{statement.number:6d}  {_time(statement.end):16s}  {statement.summaries:9d}"
            f"  {statement.windows_withheld:8d}  {statement.messages:8d}  {statement.bytes:9d}"
            f"  {statement.epsilon_milli / 1000:7.2f}  {'INVALID' if entry.problems else 'valid'}"
        )
        for problem in entry.problems:
            print(f"        {entry.where}: {problem}.")
        for note in entry.notes:
            print(f"        note: {note}.")
    for problem in problems:
        print(problem)
    for note in notes:
        print(f"Note: {note}")
    invalid = sum(bool(entry.problems) for entry in found)
    verdict = "All valid." if valid else "NOT VALID."
    print(f"{len(found)} receipts, {invalid} invalid. {verdict}")
    sys.stdout.flush()


def _time(utc: int | None) -> str:
    return "unknown" if utc is None else datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M")
