"""Which session is open, and how its participant can have it deleted.

A session is one participant's; a study lead opens it (`fleeting review session`) and hands out the
code that is printed then and stored nowhere: 100 random bits. A session's name is a hash of its
code, so that whoever has the code can find the session, and nobody the code. A hash of the name is
kept when a session is withdrawn, by which copies are known again.

The open session is a small file in the traces' folder: what may write there may open one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.base.device_time import machine_start
from agent.base.errors import StoreError
from agent.base.files import read_regular_file, sync_folder, write_atomically

OPEN = "session.json"
WITHDRAWN = "withdrawn"
SUFFIX = ".trace"
LONGEST = 8 * 3600
"""Seconds that a session lasts at most."""
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U."""
_LOOKALIKES = str.maketrans("ILO", "110")
_SIGNS, _GROUP = 20, 5
_NAME = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(rf"([0-9a-f]{{32}})-([1-9][0-9]{{0,8}})\{SUFFIX}")
_MAX_BYTES = 1_000
_MOST_WITHDRAWN = 100_000


@dataclass(frozen=True, slots=True)
class OpenSession:
    """What the file says."""

    name: str
    """32 hex digits."""
    seconds: int
    """That it lasts."""
    began: float
    """CLOCK_BOOTTIME of `machine`."""
    machine: str
    """Hash of the machine's start: after another one the session is over."""

    def at(self, boottime: float) -> float | None:
        """Seconds since it began; None where it is over."""
        passed = boottime - self.began
        same = self.machine == this_machine()
        return passed if same and 0 <= passed < self.seconds else None


def new_code() -> str:
    """A withdrawal code, such as `7QK3M-…`."""
    signs = "".join(secrets.choice(_LETTERS) for _ in range(_SIGNS))
    return "-".join(signs[n : n + _GROUP] for n in range(0, _SIGNS, _GROUP))


def name_of(code: str) -> str | None:
    """The session's name, 32 hex digits; None where that is no code. Case, spaces, dashes and
    letters that look alike do not matter."""
    signs = re.sub(r"[\s-]", "", code.upper()).translate(_LOOKALIKES)
    if len(signs) != _SIGNS or set(signs) - set(_LETTERS):
        return None
    return hashlib.sha256(b"fleeting session " + signs.encode()).hexdigest()[:32]


def mark_of(name: str) -> str:
    """What is kept of a session that was withdrawn: 64 hex digits."""
    return hashlib.sha256(b"fleeting withdrawn " + name.encode()).hexdigest()


def file_name(name: str, part: int) -> str:
    """Of a session's part, from 1."""
    return f"{name}-{part}{SUFFIX}"


def parts_of(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder by session, each in order. Raises `OSError`."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for entry in os.listdir(folder):
        match = _FILE.fullmatch(entry)
        if match is not None:
            found.setdefault(match[1], []).append((int(match[2]), folder / entry))
    return {name: [path for _, path in sorted(parts)] for name, parts in sorted(found.items())}


def this_machine() -> str:
    """Hash of this start of the machine."""
    return hashlib.sha256(machine_start().encode()).hexdigest()[:16]


def open_session(folder: Path, session: OpenSession) -> None:
    """Raises `OSError`."""
    write_atomically(folder / OPEN, json.dumps(asdict(session)).encode(), 0o600)


def read_open(folder: Path) -> OpenSession | None:
    """The open session; None where there is none, or the file says none. Never raises."""
    try:
        data = read_regular_file(folder / OPEN, _MAX_BYTES)
        said = json.loads(data)
        name, seconds, began, machine = (
            said[key] for key in ("name", "seconds", "began", "machine")
        )
        if not (_NAME.fullmatch(name) and 0 < seconds <= LONGEST and began >= 0):
            return None
        return OpenSession(name, int(seconds), float(began), str(machine))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def end_session(folder: Path, name: str | None = None) -> bool:
    """Whether one was open; `name`: only this one. Raises `OSError`."""
    found = read_open(folder)
    if name is not None and (found is None or found.name != name):
        return False
    with contextlib.suppress(FileNotFoundError):
        (folder / OPEN).unlink()
        sync_folder(folder)
    return found is not None


def read_withdrawn(folder: Path) -> frozenset[str]:
    """The marks of sessions that were withdrawn. Raises `StoreError`: without the list nothing can
    be taken for wanted."""
    path = folder / WITHDRAWN
    try:
        data = read_regular_file(path, 65 * _MOST_WITHDRAWN)
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Restore it.") from None
    return frozenset(data.decode("ascii", "replace").split())


def withdraw(folder: Path, name: str) -> list[Path]:
    """End, remember and delete a session; returns what was deleted. Raises `OSError`."""
    end_session(folder, name)
    mark = mark_of(name)
    if mark not in read_withdrawn(folder):
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(folder / WITHDRAWN, flags, 0o600), "ab") as file:
            file.write(f"\n{mark}\n".encode())  # the line before may have been cut off
            file.flush()
            os.fsync(file.fileno())
    gone = parts_of(folder).get(name, [])
    for path in gone:
        path.unlink(missing_ok=True)
    sync_folder(folder)
    return gone
