"""A service's sign of life, in a file that the updater reads and `fleeting check` shows.

Where `$FLEETING_HEARTBEAT` names a folder, the file is opened before the process enters its sandbox
and written through that descriptor ever after, on the calls that feed the watchdog
(`agent.host.sd_notify`): progress is said by what made it, never by a clock. One record of fixed
size with a checksum, so that a reader never takes half of one for a whole. No writer raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from agent import __version__
from agent.base.errors import reason
from agent.base.files import read_regular_file

log = logging.getLogger(__name__)

FOLDER = "FLEETING_HEARTBEAT"
"""Environment variable: the folder."""
_UNITS = Path("/run/fleeting")
SIZE = 512
"""Bytes of a record."""
_INTERVAL = 1.0
"""Seconds from one record of progress to the next."""
_NAME = r"[a-z][a-z0-9_]{0,31}"
_SECONDS = r"(?:0|[1-9][0-9]{0,9})\.[0-9]{3}"
_RECORD = re.compile(
    r"fleeting-heartbeat 1\n"
    r"pid ([1-9][0-9]{0,9})\n"
    r"version ([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})\n"
    r"state (starting|ready|stopping)\n"
    rf"open (-|\?|{_NAME}(?:,{_NAME}){{0,11}})\n"
    r"connected ([01-])\n"
    rf"started ({_SECONDS})\n"
    rf"ready (-|{_SECONDS})\n"
    rf"progress (-|{_SECONDS})\n"
)

State = Literal["starting", "ready", "stopping"]


@dataclass(frozen=True, slots=True)
class Beat:
    """What a service last said. Times are seconds of CLOCK_BOOTTIME."""

    pid: int
    version: str
    """Of the package that runs."""
    state: State = "starting"
    openings: frozenset[str] | None = None
    """What its sandbox should refuse and did not; None: it has entered none."""
    connected: bool | None = None
    """Whether there is a connection to the broker; None where a service has none."""
    started: float = 0.0
    ready: float | None = None
    progress: float | None = None

    def encode(self) -> bytes:
        """The record, `SIZE` bytes."""
        openings = "?" if self.openings is None else ",".join(sorted(self.openings)[:12]) or "-"
        connected = "-" if self.connected is None else str(int(self.connected))
        text = (
            f"fleeting-heartbeat 1\npid {self.pid}\nversion {self.version}\nstate {self.state}\n"
            f"open {openings}\nconnected {connected}\nstarted {self.started:.3f}\n"
            f"ready {_seconds(self.ready)}\nprogress {_seconds(self.progress)}\n"
        )
        body = f"{text}sha256 {_checksum(text)}\n".encode()
        return body[: SIZE - 1].ljust(SIZE - 1) + b"\n"


def decode(data: bytes) -> Beat | None:
    """The beat whose record is exactly `data`; None for anything else."""
    if len(data) != SIZE:
        return None
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    match = _RECORD.match(text)
    if match is None:
        return None
    pid, version, state, openings, connected, started, ready, progress = match.groups()
    found = Beat(
        pid=int(pid),
        version=version,
        state=state,  # type: ignore[arg-type]
        openings=None if openings == "?" else frozenset(openings.split(",")) - {"-"},
        connected=None if connected == "-" else connected == "1",
        started=float(started),
        ready=None if ready == "-" else float(ready),
        progress=None if progress == "-" else float(progress),
    )
    return found if found.encode() == data else None


def read(path: Path) -> Beat | None:
    """A service's last record; None where there is none that is whole. The file is its writer's to
    abuse: a link, a pipe, or too much is none either."""
    for _ in range(3):  # while it is being written
        try:
            found = decode(read_regular_file(path, SIZE))
        except OSError:
            return None
        if found is not None:
            return found
        time.sleep(0.01)
    return None


def place(update_folder: Path) -> Path:
    """The folder that services write to: as the environment says, else the units', else that of
    `fleeting run`. `update_folder`: `update.folder`."""
    named = os.environ.get(FOLDER, "")
    if named.startswith("/"):
        return Path(named)
    return _UNITS if _UNITS.is_dir() else update_folder / "alive"


def boottime() -> float:
    """Seconds since the machine started, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_file: int | None = None
_beat: Beat | None = None
"""Of this process; kept without a folder, too, for what it says of itself."""
_next = 0.0
"""Seconds of CLOCK_BOOTTIME before which no progress is written."""


def open_file(name: str) -> None:
    """Begin to write the record of the service `name`, where a folder is named. Call it before the
    process enters its sandbox."""
    global _file, _beat, _next
    before, _file, _next = _file, None, 0.0
    _beat = Beat(os.getpid(), __version__, started=boottime())
    if before is not None:
        os.close(before)
    folder = os.environ.get(FOLDER, "")
    if not folder.startswith("/"):
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(f"{folder}/{name}", flags, 0o640)
        try:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise FileExistsError(17, "it is no ordinary file")
            os.ftruncate(number, SIZE)
        except OSError:
            os.close(number)
            raise
    except OSError as error:
        log.warning("No sign of life can be left in %s: %s.", folder, reason(error))
        return
    _file = number
    _write(_beat)


def own() -> Beat:
    """What this process would say of itself."""
    global _beat
    if _beat is None:
        _beat = Beat(os.getpid(), __version__, started=boottime())
    return _beat


def sandboxed(found_open: Iterable[str]) -> None:
    """The sandbox has been entered; what it should refuse and does not."""
    _write(replace(own(), openings=frozenset(found_open)))


def connected(is_connected: bool) -> None:
    """Whether there is a connection to the broker now."""
    if own().connected is not is_connected:
        _write(replace(own(), connected=is_connected))


def ready() -> None:
    """Start-up is complete, which is progress too."""
    now = boottime()
    _write(replace(own(), state="ready", ready=now, progress=now))


def progress() -> None:
    """Something was done; written once a second at most."""
    global _next
    now = boottime()
    if now >= _next:
        _next = now + _INTERVAL
        _write(replace(own(), progress=now))


def stopping() -> None:
    """Shutdown has begun."""
    _write(replace(own(), state="stopping"))


def _write(beat: Beat) -> None:
    global _beat
    _beat = beat
    if _file is not None:
        with contextlib.suppress(OSError):
            os.pwrite(_file, beat.encode(), 0)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
