"""How verbs answer: a table for a person, JSON for a program."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.common.tables import PlainTable


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=None, separators=(",", ":"), default=str))


def console() -> Console:
    """Of standard output; wide where nobody looks at it."""
    return Console(soft_wrap=False, width=None if sys.stdout.isatty() else 140, highlight=False)


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table; the columns in `right` hold numbers."""
    made = PlainTable(
        title=title, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def ago(at: int | None, now: float | None = None) -> str:
    """Unix seconds as `3 min ago`."""
    if at is None:
        return "never"
    seconds = max(0, int((time.time() if now is None else now) - at))
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def many(devices: int) -> str:
    """`1 device`, `2 devices`."""
    return f"{devices} device{'s' * (devices != 1)}"


def shown(value: object) -> str:
    """A cell."""
    return "-" if value is None or value == "" else str(value)
