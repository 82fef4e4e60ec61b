"""Messages from files of JSON lines that anybody may have written: bounded, errors with file and
line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.base.report.base import Message, from_json

MOST_BYTES = 2_000_000_000
"""Of one file."""
_MOST_PROBLEMS = 20
"""Told per file; the others are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message and where it stood."""

    where: str
    body: bytes


@dataclass(slots=True)
class Problems:
    """What is wrong with files, the first of each told and the others counted."""

    told: list[str] = field(default_factory=list)
    _count: dict[str, int] = field(default_factory=dict)

    def add(self, path: Path, what: str) -> None:
        name = shown(path)
        self._count[name] = self._count.get(name, 0) + 1
        if self._count[name] <= _MOST_PROBLEMS:
            self.told.append(f"{name}{what}")

    def all(self) -> list[str]:
        more = [
            f"{name}: {count - _MOST_PROBLEMS} more lines like these."
            for name, count in self._count.items()
            if count > _MOST_PROBLEMS
        ]
        return self.told + more


def shown(path: Path) -> str:
    """A file's name, without what could upset a terminal."""
    name = str(path)
    return name if name.isprintable() else ascii(name)


def read(
    paths: Sequence[Path], kind: type[Message], longest: int, most: int, problems: Problems
) -> Iterator[tuple[Line, Message]]:
    """The messages of one kind in files of JSON lines; a topic before a message is passed over.

    Only bytes that the device itself could have written pass: the schema's one byte form.
    `longest`: bytes of a line. `most`: messages in all; what comes after is left out and named.
    """
    taken = 0
    for path in paths:
        for number, content in _lines(path, longest, problems):
            if content is None:
                problems.add(path, f":{number}: longer than any {kind.__name__.lower()}.")
                continue
            if not content.startswith(b"{") and b" {" in content:
                content = content[content.index(b" {") + 1 :]  # as `mosquitto_sub -v` prints
            if taken == most:
                problems.add(path, f":{number}: more than {most} messages; the rest is left out.")
                return
            message = from_json(kind, content)
            if message is None:
                problems.add(path, f":{number}: no {kind.__name__.lower()}, or not byte for byte.")
                continue
            taken += 1
            yield Line(f"{shown(path)}:{number}", content), message


def _lines(path: Path, longest: int, problems: Problems) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines that are not empty; None for one that is too long."""
    try:
        with path.open("rb") as file:
            number = size = 0
            while content := file.readline(longest + 2):
                number += 1
                size += len(content)
                whole = content.strip(b"\r\n")
                if len(whole) > longest:
                    while content and not content.endswith(b"\n") and size <= MOST_BYTES:
                        content = file.readline(1_000_000)
                        size += len(content)
                    yield number, None
                elif whole:
                    yield number, whole
                if size > MOST_BYTES:
                    problems.add(path, f" is larger than {MOST_BYTES} bytes; the rest is left out.")
                    return
    except OSError as error:
        problems.add(path, f" cannot be read: {error.strerror}.")
