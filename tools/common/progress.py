"""Progress on stderr: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from agent.desk.trace.output import progress_bar

T = TypeVar("T")
Tell = Callable[[float, str], None]
"""How much is done, of the bar's total, and a note about it."""
SAY_EVERY = 30.0
"""Seconds from line to line where there is no terminal."""


@contextmanager
def bar(title: str, total: float | None) -> Iterator[Tell]:
    """A bar of `total` (None: unknown) that is moved by calling what is yielded."""
    of = "?" if total is None else f"{total:g}"
    said = time.monotonic()
    with progress_bar() as progress:
        task = progress.add_task(title, total=total)
        if progress.disable:
            print(f"{title}: {of}", file=sys.stderr)

        def tell(done: float, note: str) -> None:
            nonlocal said
            line = f"{title}: {done:g} of {of} {note}".rstrip()
            progress.update(task, completed=done, description=line)
            if progress.disable and time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                print(line, file=sys.stderr, flush=True)

        yield tell


def along(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar; `total` for those that do not know their number."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(title, total) as tell:
        for done, item in enumerate(items, 1):
            yield item
            tell(done, "")
