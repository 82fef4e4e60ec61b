"""Starts a service from the slot in force: `launch.py [--confirmed] FOLDER VERB ARGUMENT...`.

The units run this file of the base installation, by its path and with `python -I -S`: it must work
whatever is in the slots, so it imports the standard library alone and nothing of ours. FOLDER is
`update.folder`. The links in it are `current` (what to run) and `confirmed` (what has proved
itself); where they differ, the slot in `current` is pending. A slot is not used where its link
leads anywhere but to `a` or `b` beside it, where it is no whole package, or where it was made for
other libraries than those of the base installation.

Each start is counted in `$FLEETING_HEARTBEAT/VERB.starts`, which stays locked as long as the
process lives: who can lock it knows that the process has ended. A pending slot is started
`MAX_STARTS` times; then, even where nobody rolls it back, what is confirmed is started instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SLOTS = ("a", "b")
BASE = "base"
"""In place of a slot's name: the base installation."""
CURRENT, CONFIRMED = "current", "confirmed"
MAX_STARTS = 3
"""Of a pending slot."""
_SIZE = 128
"""Bytes of a record of starts."""
_RECORD = re.compile(
    r"fleeting-starts 1 (a|b|base) ([0-9a-f]{1,16}\.[0-9a-f]{1,16}|-) ([1-9][0-9]{0,8}) "
    r"([1-9][0-9]{0,9}) ((?:0|[1-9][0-9]{0,9})\.[0-9]{3}) *\n"
)


@dataclass(frozen=True, slots=True)
class Starts:
    """How often a service was started since `current` was last changed."""

    slot: str
    """That `current` names; `base` where it names none."""
    link: str
    """Identifies the link itself, which each switch makes anew; `-` for none."""
    count: int
    pid: int
    """Of the last one."""
    at: float
    """When; seconds of CLOCK_BOOTTIME."""

    def encode(self) -> bytes:
        text = f"fleeting-starts 1 {self.slot} {self.link} {self.count} {self.pid} {self.at:.3f}"
        return text.encode().ljust(_SIZE - 1) + b"\n"


def decode(data: bytes) -> Starts | None:
    """The record that is exactly `data`; None for anything else."""
    match = _RECORD.fullmatch(data.decode("ascii", errors="replace"))
    if match is None or len(data) != _SIZE:
        return None
    slot, link, count, pid, at = match.groups()
    found = Starts(slot, link, int(count), int(pid), float(at))
    return found if found.encode() == data else None


def read_starts(path: Path) -> tuple[Starts | None, bool]:
    """The record, None where there is none; and whether the process started last is alive. The file
    is its writer's to abuse."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None, False
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None, False
        found = decode(os.pread(number, _SIZE + 1, 0))
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return found, True
        return found, False
    except OSError:
        return None, False
    finally:
        os.close(number)


def slot_of(folder: Path, link: str) -> str:
    """`a` or `b` where a link leads there, else `base`."""
    try:
        found = os.readlink(folder / link)
    except OSError:
        return BASE
    return found if found in SLOTS else BASE


def link_of(folder: Path, link: str = CURRENT) -> str:
    """Identifies the link as it is now."""
    try:
        found = os.lstat(folder / link)
    except OSError:
        return "-"
    return f"{found.st_ino:x}.{found.st_ctime_ns:x}"


def pending(folder: Path) -> bool:
    """Whether the slot in `current` has not proved itself yet."""
    return slot_of(folder, CURRENT) != slot_of(folder, CONFIRMED)


def place_of(folder: Path, slot: str, base: Path) -> Path | None:
    """The folder with a slot's package, None for the base installation, also where the slot must
    not be used."""
    if slot not in SLOTS:
        return None
    place = Path(os.path.realpath(folder)) / slot
    try:
        whole = stat.S_ISDIR(os.lstat(place).st_mode) and all(
            stat.S_ISREG(os.lstat(place / name).st_mode)
            for name in ("agent/__init__.py", "agent/cli.py", "models/manifest.toml")
        )
    except OSError:
        whole = False
    if not whole:
        _say(f"slot {slot} is not whole; the base installation is started")
        return None
    if not _same(place / "requirements.txt", base / "requirements.txt"):
        _say(f"slot {slot} was made for other libraries; the base installation is started")
        return None
    return place


def choose(folder: Path, name: str, base: Path, alive: int | None) -> Path | None:
    """What to start the service `name` from, after this start was counted: a slot's folder, None
    for the base installation. `alive`: descriptor of the record of starts, if there is one."""
    slot, link = slot_of(folder, CURRENT), link_of(folder)
    count = 1
    if alive is not None:
        with contextlib.suppress(OSError):
            before = decode(os.pread(alive, _SIZE + 1, 0))
            if before is not None and (before.slot, before.link) == (slot, link):
                count = min(before.count + 1, 10**8)
            at = time.clock_gettime(time.CLOCK_BOOTTIME)
            os.ftruncate(alive, _SIZE)
            os.pwrite(alive, Starts(slot, link, count, os.getpid(), at).encode(), 0)
    if pending(folder) and count > MAX_STARTS:
        _say(f"{name}: slot {slot} was started {MAX_STARTS} times; what was before is started")
        slot = slot_of(folder, CONFIRMED)
    return place_of(folder, slot, base)


def main(arguments: list[str]) -> int:
    """Becomes the service; returns only where that cannot be."""
    confirmed = arguments[:1] == ["--confirmed"]
    folder, verb, *rest = arguments[confirmed:]
    base = Path(__file__).resolve().parents[2]
    if confirmed:
        place = place_of(Path(folder), slot_of(Path(folder), CONFIRMED), base)
    else:
        place = choose(Path(folder), verb, base, _own(verb))
    environment = dict(os.environ)
    paths = [str(place or base), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["FLEETING_BASE"] = str(base)
    command = [sys.executable, "-P", "-m", "agent.cli", verb, *rest]
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)


def _own(name: str) -> int | None:
    """Descriptor of this service's record of starts, locked, and left open for the program that
    this process becomes; None where there is no folder for it."""
    folder = os.environ.get("FLEETING_HEARTBEAT", "")
    if not folder.startswith("/"):
        return None
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        number = os.open(f"{folder}/{name}.starts", flags, 0o640)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            return None
        for _ in range(20):  # a reader looks for an instant
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.05)
        os.set_inheritable(number, True)
    except OSError as error:
        _say(f"{name}: starts cannot be counted in {folder}: {error.strerror}")
        return None
    return number


def _same(one: Path, other: Path) -> bool:
    """Whether two small files hold the same; true where the second, the base's, does not exist."""
    try:
        wanted = other.read_bytes()
    except OSError:
        return True
    try:
        return one.read_bytes() == wanted
    except OSError:
        return False


def _say(text: str) -> None:
    print(f"launch: {text}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("usage: launch.py [--confirmed] FOLDER VERB ARGUMENT...", file=sys.stderr)
        sys.exit(78)
    sys.exit(main(sys.argv[1:]))
