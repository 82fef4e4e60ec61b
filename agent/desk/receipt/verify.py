"""`fleeting receipt verify`: verify receipts, and received summaries against them, offline."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.base.report import Meta, Receipt, Summary, summary_form
from agent.desk.receipt._coverage import sentence
from agent.desk.receipt._json_lines import Problems, read
from agent.desk.receipt.examine import EXIT_CODES, Examined, document, examine, minutes

_RECEIPT_BYTES = 2_048
_SUMMARY_BYTES = 8_192
_META_BYTES = 4096
_MAX_RECEIPTS = 100_000
_MAX_SUMMARIES = 2_000_000


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
    unreadable = Problems()
    result = examine(
        read(files, Receipt, _RECEIPT_BYTES, _MAX_RECEIPTS, problems),
        key=key,
        summaries=read(summaries, Summary, _SUMMARY_BYTES, _MAX_SUMMARIES, unreadable, summary_form)
        if summaries
        else None,
        metas=captured,
        until=until,
    )
    result.problems[:0] = problems.all() + unreadable.all()
    if as_json:
        print(json.dumps(document(result), indent=2))
    else:
        _print_table(result)
    return EXIT_CODES[result.verdict]


def _print_table(result: Examined) -> None:
    found = result.entries
    if found:
        print(
            "number  until (UTC)       summaries  withheld  messages      bytes  epsilon  verdict"
        )
    for entry in found:
        statement = entry.statement
        verdict = "INVALID" if entry.problems else "BREAK" if entry.breaks else "valid"
        print(
            f"{statement.number:6d}  {minutes(statement.end):16s}  {statement.summaries:9d}"
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
