"""Messages from untrusted files of JSON lines, with bounds; errors name file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.base.names import one_line
from agent.base.report.base import Message, from_json

_MAX_FILE_BYTES = 2_000_000_000
_MAX_PROBLEMS = 20
"""Problems listed per file; the others are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message and its place, `file:line`."""

    where: str
    body: bytes


@dataclass(slots=True)
class Problems:
    """Problems with files: the first of each file, and the number of others."""

    listed: list[str] = field(default_factory=list)
    _count: dict[str, int] = field(default_factory=dict)

    def add(self, path: Path, what: str) -> None:
        name = one_line(path)
        self._count[name] = self._count.get(name, 0) + 1
        if self._count[name] <= _MAX_PROBLEMS:
            self.listed.append(f"{name}{what}")

    def all(self) -> list[str]:
        more = [
            f"{name}: {count - _MAX_PROBLEMS} more lines like these."
            for name, count in self._count.items()
            if count > _MAX_PROBLEMS
        ]
        return self.listed + more


def read(
    paths: Sequence[Path],
    kind: type[Message],
    max_line: int,
    max_count: int,
    problems: Problems,
    form: Callable[[bytes], type[Message]] | None = None,
) -> Iterator[tuple[Line, Message]]:
    """Messages of one kind in canonical form; a topic before a message is skipped.

    `form`: the form of the kind that a line claims to have, where there are several. `max_line`:
    bytes. `max_count`: messages in total; the rest is reported as a problem.
    """
    count = 0
    for path in paths:
        for number, content in _lines(path, max_line, problems):
            if content is None:
                problems.add(path, f":{number}: longer than any {kind.__name__.lower()}.")
                continue
            if not content.startswith(b"{") and b" {" in content:
                content = content[content.index(b" {") + 1 :]  # as `mosquitto_sub -v` prints
            if count == max_count:
                problems.add(
                    path, f":{number}: more than {max_count} messages; the rest is left out."
                )
                return
            message = from_json(form(content) if form else kind, content)
            if message is None:
                problems.add(path, f":{number}: no {kind.__name__.lower()}, or not byte for byte.")
                continue
            count += 1
            yield Line(f"{one_line(path)}:{number}", content), message


def _lines(path: Path, max_line: int, problems: Problems) -> Iterator[tuple[int, bytes | None]]:
    """Numbered non-empty lines; None for one that is too long."""
    try:
        with path.open("rb") as file:
            number = size = 0
            while content := file.readline(max_line + 2):
                number += 1
                size += len(content)
                whole = content.strip(b"\r\n")
                if len(whole) > max_line:
                    while content and not content.endswith(b"\n") and size <= _MAX_FILE_BYTES:
                        content = file.readline(1_000_000)
                        size += len(content)
                    yield number, None
                elif whole:
                    yield number, whole
                if size > _MAX_FILE_BYTES:
                    problems.add(
                        path, f" is larger than {_MAX_FILE_BYTES} bytes; the rest is left out."
                    )
                    return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have this name"
        problems.add(path, f" cannot be read: {why}.")
