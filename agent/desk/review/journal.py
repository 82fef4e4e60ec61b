"""Who opened or exported what, and when: one line each, chained by hashes.

`log.jsonl` of the study's folder. A line holds the SHA-256 of the line before, so that none can be
changed, left out or put in between without all later ones being written anew. What is cut off at
the end shows only to who has noted the last hash (`fleeting review log` prints it). Sessions are
named by the hash that is kept of a withdrawn one, so that the log says nothing more of it.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent.base.names import one_line
from agent.desk.review.errors import ReviewError
from agent.perceive.traces.session import mark_of

NAME = "log.jsonl"
What = Literal["opened", "exported", "imported", "withdrew"]
_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of the whole log."""

    lines: int
    head: str
    """Hash of the last line."""
    problem: str
    """Empty: the chain holds."""


def append(
    folder: Path, what: What, sessions: Iterable[str], *, form: str = "", rater: str = ""
) -> None:
    """Add a line; it is on the disk on return. Raises `ReviewError`: what is not logged is not
    opened."""
    path = folder / NAME
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o600), "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            whole = file.read()
            if whole and not whole.endswith(b"\n"):  # a power cut: nothing was opened then
                os.ftruncate(file.fileno(), whole.rfind(b"\n") + 1)
                whole = whole[: whole.rfind(b"\n") + 1]
            found = _check(whole)
            if found.problem:
                raise ReviewError(
                    f"{one_line(path)}: {found.problem}. Nothing is opened while the log is "
                    "damaged: keep it, and move it away to begin a new one."
                )
            record = {
                "number": found.lines + 1,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "who": _who(),
                "rater": rater,
                "what": what,
                "form": form,
                "sessions": sorted(mark_of(each)[:16] for each in sessions),
                "previous": found.head,
            }
            file.write(_line(record))
            os.fsync(file.fileno())
    except OSError as error:
        raise ReviewError(
            f"{one_line(path)} cannot be written: {error.strerror}. What is not logged is not "
            "opened."
        ) from None


def verify(folder: Path) -> Verdict:
    """Raises `ReviewError` where it cannot be read."""
    try:
        return _check((folder / NAME).read_bytes())
    except FileNotFoundError:
        return Verdict(0, _FIRST, "")
    except OSError as error:
        raise ReviewError(f"{one_line(folder / NAME)} cannot be read: {error.strerror}.") from None


def lines(folder: Path) -> Iterator[str]:
    """For people: a line each, as far as the chain holds. Raises `ReviewError`."""
    count = verify(folder).lines
    whole = (folder / NAME).read_bytes().splitlines() if count else []
    for line in whole[:count]:
        said = json.loads(line)
        rater = f" for {said['rater']}" if said["rater"] else ""
        form = f" as {said['form']}" if said["form"] else ""
        named = ", ".join(said["sessions"]) or "no session"
        yield one_line(f"{said['time']}  {said['who']}{rater} {said['what']} {named}{form}")


def _check(data: bytes) -> Verdict:
    head, count = _FIRST, 0
    for line in data.splitlines(keepends=True):
        try:
            record = json.loads(line)
            fits = record["previous"] == head and record["number"] == count + 1
            same = _line(record) == line
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = same = False
        if not (fits and same):
            return Verdict(count, head, f"line {count + 1} is not the one that was written there")
        head, count = hashlib.sha256(line).hexdigest(), count + 1
    return Verdict(count, head, "")


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return str(os.getuid())
