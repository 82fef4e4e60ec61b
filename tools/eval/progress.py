"""Progress bars on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")
_CONSOLE = Console(stderr=True)


def along(items: Sequence[T], title: str) -> Iterable[T]:
    """The items, with a bar; where nobody watches a terminal, one line instead."""
    if not _CONSOLE.is_terminal:
        _CONSOLE.print(f"{title}: {len(items)}")
        return items
    return track(items, title, console=_CONSOLE, transient=True)
