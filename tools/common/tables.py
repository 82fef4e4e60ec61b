"""Tables: plain text for a terminal, Markdown for a model card."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.base.names import one_line


class PlainTable(Table):
    """A table whose cells are text as it is: no brackets are taken for rich's, no character turns a
    terminal."""

    def add_row(self, *cells: Any, **style: Any) -> None:
        """Cells that are no text, such as another table, stay what they are."""
        shown = [Text(one_line(each)) if isinstance(each, str) else each for each in cells]
        super().add_row(*shown, **style)


def columns(first: str, *others: str, title: str | None = None, words: Sequence[str] = ()) -> Table:
    """An empty ASCII table; the first column and those in `words` are aligned to the left."""
    table = PlainTable(box=box.ASCII2, title=title, title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="left" if name in words else "right")
    return table


def text(*tables: Table) -> str:
    """The tables one below the other, at most 110 characters wide."""
    out = io.StringIO()
    console = Console(file=out, width=110)
    for table in tables:
        console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
