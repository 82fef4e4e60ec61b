"""Progress on stderr: a bar for whoever watches a terminal, a line now and then for a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
Tell = Callable[[float, str], None]
"""How much is done, of the bar's total, and a note about it."""
SAY_EVERY = 30.0
"""Seconds from line to line where nobody watches a bar."""


@contextmanager
def bar(title: str, total: float | None) -> Iterator[Tell]:
    """A bar of `total` (None: unknown) that is moved by calling what is yielded."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title, total)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:g} of {task.fields[of]} {task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(title, total=total, note="", of=_words(total))
        yield lambda done, note: progress.update(task, completed=done, note=note)


def along(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar; `total` for those that do not know their number."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(title, total) as tell:
        for done, item in enumerate(items, 1):
            yield item
            tell(done, "")


def _lines(title: str, total: float | None) -> Tell:
    said = time.monotonic()
    console = Console(stderr=True)
    console.print(f"{title}: {_words(total)}")

    def tell(done: float, note: str) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_EVERY:
            said = time.monotonic()
            console.print(f"{title}: {done:g} of {_words(total)} {note}".rstrip())

    return tell


def _words(total: float | None) -> str:
    return "?" if total is None else f"{total:g}"
