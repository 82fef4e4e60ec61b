"""Rows of a trial, and the file that they are stored in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tools.common.files import save_atomically
from tools.common.machine import Machine, line

REFERENCE = Path(__file__).parent / "reference"
"""Committed, one file for each suite."""
Result = Literal["passed", "failed", "not shown"]
"""`not shown`: emulation, or this machine, cannot tell; the note says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was tried, and what came of it."""

    what: str
    result: Result
    seconds: float
    note: str = ""


def markdown(title: str, rows: Sequence[Row]) -> str:
    """A table with a head."""
    lines = [f"## {title}", "", "| what | result | seconds | note |", "|---|---|---|---|"]
    lines += [
        f"| {_cell(each.what)} | {each.result} | {each.seconds:.0f} | {_cell(each.note)} |"
        for each in rows
    ]
    return "\n".join(lines) + "\n"


def report(
    suite: str,
    commit: str,
    machine: Machine,
    facts: Mapping[str, str],
    parts: Mapping[str, Sequence[Row]],
    steps: Iterable[str] = (),
) -> str:
    """The whole page: what ran where, for which `commit` all of it holds, a table for each step,
    which of `steps` have no result, and all of it as one line of JSON."""
    every = [row for rows in parts.values() for row in rows]
    counts = ", ".join(
        f"{sum(row.result == kind for row in every)} {kind}"
        for kind in ("passed", "failed", "not shown")
    )
    head = [f"# {suite}: aarch64 under emulation", "", f"    python -m tools.arm64 try {suite}", ""]
    head += [f"Commit {commit}. Host: {line(machine).strip()}. {counts}.", ""]
    head += [f"- {name}: {value}" for name, value in facts.items()]
    missing = [name for name in steps if name not in parts]
    if missing:
        head += ["", f"**Not run here:** {', '.join(missing)}."]
    tables = [markdown(name, rows) for name, rows in parts.items()]
    data: dict[str, Any] = {
        "suite": suite,
        "commit": commit,
        "machine": machine,
        "facts": dict(facts),
        "parts": {name: [asdict(row) for row in rows] for name, rows in parts.items()},
    }
    return "\n".join([*head, "", *tables, "```json", json.dumps(data), "```", ""])


def save(suite: str, text: str, folder: Path = REFERENCE) -> Path:
    """Store a report; returns where."""
    path = folder / f"{suite}.md"
    save_atomically(path, text.encode())
    return path


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
