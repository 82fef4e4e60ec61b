"""What one rater said of one session: lines that are only ever added; the last of an item holds.

`answers/SESSION/RATER.jsonl`, a file for each, so that raters do not meet and a session that is
withdrawn takes its answers along. An item is a movement of the program's, or one of the rater's own
(`1.2.own-3`), which they take back by `disagree`.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from agent.base.names import one_line
from agent.desk.coding.event import Event, Verdict, units
from agent.desk.review.errors import ReviewError

FOLDER = "answers"
MOST_COMMENT = 500
"""Characters."""
_RATER = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ITEM = re.compile(r"(\d{1,9}\.\d{1,9})\.(?:\d{1,9}|own-\d{1,9})")
_MOST_UNITS = 12
_MOST_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One. Raises `ValueError` for what cannot be one."""

    item: str
    verdict: Verdict
    onset: float
    """Seconds of the session: as the rater sees it."""
    offset: float
    units: str = ""
    """FACS code with intensities, such as `1C+2B`; empty: none was named."""
    comment: str = ""
    blind: bool = False
    """Whether the program's score was hidden until then."""
    program: tuple[float, float] | None = None
    """Onset and offset by the program; None for the rater's own."""

    def __post_init__(self) -> None:
        if _ITEM.fullmatch(self.item) is None:
            raise ValueError("it names no item")
        if self.verdict not in get_args(Verdict):
            raise ValueError("its verdict is none")
        if len(units(self.units)) > _MOST_UNITS:
            raise ValueError(f"it names more than {_MOST_UNITS} units")
        if len(self.comment) > MOST_COMMENT:
            raise ValueError(f"its comment has more than {MOST_COMMENT} characters")
        if self.own is not (self.program is None):
            raise ValueError("only the program's movements have its times")
        self.event("x")

    @property
    def face(self) -> str:
        """Such as `1.2`."""
        return self.item.rpartition(".")[0]

    @property
    def own(self) -> bool:
        return ".own-" in self.item

    def event(self, rater: str) -> Event:
        """As a coded event. Raises `ValueError`."""
        return Event(
            self.onset, self.offset, None, "micro", None, units(self.units), None, rater,
            self.verdict, self.comment,
        )  # fmt: skip


def check_rater(name: str) -> str:
    """Raises `ReviewError`."""
    if _RATER.fullmatch(name) is None:
        raise ReviewError(
            f"{one_line(name)!r} names no rater: small letters, digits, - and _, at most 32."
        )
    return name


class AnswerFile:
    """One rater's answers to one session."""

    def __init__(self, folder: Path, session: str, rater: str) -> None:
        """`folder`: the study's."""
        self._path = folder / FOLDER / session / f"{check_rater(rater)}.jsonl"

    def read(self) -> dict[str, Answer]:
        """The answers that hold, by item. Raises `ReviewError`."""
        try:
            if self._path.stat().st_size > _MOST_BYTES:
                raise ReviewError(f"{one_line(self._path)} is too long.")
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ReviewError(f"{one_line(self._path)} cannot be read: {error.strerror}.") from None
        found: dict[str, Answer] = {}
        lines = data.split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                answer = of_record(json.loads(line))
            except (ValueError, KeyError, TypeError, RecursionError):
                if number == len(lines):
                    continue  # cut off by a power cut: it was not confirmed either
                raise ReviewError(
                    f"{one_line(self._path)}, line {number} is no answer. Restore the file."
                ) from None
            found[answer.item] = answer
        return found

    def add(self, answer: Answer) -> None:
        """It is on the disk on return. Raises `ReviewError`."""
        line = json.dumps(asdict(answer), separators=(",", ":")).encode() + b"\n"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self._path, flags, 0o600), "r+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                    whole = self._path.read_bytes()
                    os.ftruncate(file.fileno(), whole.rfind(b"\n") + 1)
                file.write(line)
                os.fsync(file.fileno())
        except OSError as error:
            raise ReviewError(
                f"The answer cannot be written to {one_line(self._path)}: {error.strerror}."
            ) from None


def of_record(said: Mapping[str, Any]) -> Answer:
    """Raises `ValueError`, `KeyError`, `TypeError`."""
    program = said["program"]
    return Answer(
        _text(said["item"]), _text(said["verdict"]),  # type: ignore[arg-type]
        _number(said["onset"]), _number(said["offset"]), _text(said["units"]),
        _text(said["comment"]), said["blind"] is True,
        None if program is None else (_number(program[0]), _number(program[1])),
    )  # fmt: skip


def raters_of(folder: Path) -> dict[str, list[str]]:
    """Raters by session, in order of their names. Raises `OSError`."""
    root = folder / FOLDER
    if not root.is_dir():
        return {}
    return {
        each.name: sorted(path.stem for path in each.glob("*.jsonl") if _RATER.fullmatch(path.stem))
        for each in sorted(root.iterdir())
        if each.is_dir()
    }


def forget(folder: Path, session: str) -> int:
    """Delete what was said of a session; returns how many raters' files. Raises `OSError`."""
    place = folder / FOLDER / session
    if not place.is_dir():
        return 0
    found = len(list(place.iterdir()))
    shutil.rmtree(place)
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a time is no number")
    try:
        number = float(value)
    except OverflowError:  # JSON's integers have no end
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a time is no number")
    return number
