"""The files that arguments name: themselves, and all in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.base.errors import CaptureError
from agent.base.names import one_line


class Candidate(NamedTuple):
    """One file to look at."""

    path: Path
    named: bool
    """Named itself, not found in a folder."""
    problem: CaptureError | None = None
    """Why nothing can be found there."""


def candidates(paths: Iterable[Path]) -> Iterator[Candidate]:
    """Each named file, and for each folder the files in it and below by name, of any kind.

    Hidden ones (`.DS_Store`, `._IMG.jpg`) are left out, links to folders not followed.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield Candidate(path, named=True)
            continue
        problems: list[Candidate] = []
        found = sorted(_below(path, problems))
        yield from (Candidate(each, named=False) for each in found)
        yield from problems
        if not found and not problems:
            yield Candidate(path, True, CaptureError(f"{one_line(path)} holds no file."))


def _below(folder: Path, problems: list[Candidate]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        where = Path(error.filename or folder)
        text = f"{one_line(where)} cannot be read: {error.strerror}. Check its permissions."
        problems.append(Candidate(where, True, CaptureError(text)))

    for place, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))
