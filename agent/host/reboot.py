"""Restarts the machine for its camera, where the site allows it.

`reboot.py REQUEST STATE SETTINGS`: a file, a folder of root's, the site's configuration.

The perceive process has no privileges. It leaves a request, and fleeting-reboot.path has root run
this file of the base installation, by its path and with `python -I -S`: it imports the standard
library alone and nothing of ours. Whoever may write the request's folder may write anything there:
the request says nothing but the boot that it belongs to.

There is at most one restart in six hours and three in a day, whatever is asked. That is counted in
a file of root's by the time that the machine ran (CLOCK_BOOTTIME), never by the wall clock: between
a restart and the present the machine ran at most as long as passed, so that sums of uptimes can
only make it wait longer. A clock that is set, back or forward, changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

REQUEST = "reboot"
"""Name of the request in the perceive process's state folder."""
APART, DAY, A_DAY = 6 * 3600.0, 24 * 3600.0, 3
"""Seconds between two restarts; so many in the seconds of a day."""
_STATE = "restarts"
_HEAD = "fleeting-restarts 1\n"
_LINE = re.compile(r"([0-9]{1,10})\n?")
_BOOT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_REQUEST, _MAX_STATE, _MAX_SETTINGS = 128, 512, 262_144
_COMMAND = ("/usr/bin/systemctl", "reboot")


def boot_id(file: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Of the present boot. Raises `OSError`."""
    found = file.read_text(encoding="ascii", errors="replace").strip()
    if not _BOOT.fullmatch(found):
        raise OSError("the kernel names no boot")
    return found


def request(boot: str) -> bytes:
    """What a request says."""
    return f"fleeting-reboot 1 {boot}\n".encode()


def uptime() -> float:
    """Seconds since the machine started, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def allowed(settings: bytes) -> bool:
    """Whether the site's configuration says so."""
    try:
        found = tomllib.loads(settings.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    source = found.get("source")
    return isinstance(source, dict) and source.get("reboot") is True


def due(ran: Sequence[float] | None, now: float) -> bool:
    """Whether the machine may be restarted.

    Parameters
    ----------
    ran
        For each restart of before, oldest first, the seconds that the machine had run by then;
        None where the record is damaged.
    now
        Seconds that it has run now.
    """
    if ran is None:
        return now >= DAY
    if not ran:
        return True
    if now < APART:
        return False
    if len(ran) < A_DAY:
        return True
    # since the third last restart it ran as long as before the two later ones, and now
    return sum(ran[len(ran) - A_DAY + 1 :]) + now >= DAY


def main(
    arguments: Sequence[str],
    restart: Callable[[], object] = lambda: subprocess.run(_COMMAND, check=True, timeout=60),
) -> int:
    """Returns 0 where the request was granted, or there was none; 1 where it was refused or came to
    nothing, with the reason on stderr. Granted, systemd may end this process before it returns."""
    asked, folder, settings = (Path(each) for each in arguments)
    try:
        given = _take(asked)
    except FileNotFoundError:
        return 0
    except OSError as error:
        return _refuse(f"the request cannot be read ({error.strerror})")
    try:
        if given != request(boot_id()):
            return _refuse("it is none, or of another boot")
        if not allowed(_read(settings, _MAX_SETTINGS)):
            return _refuse(f"source.reboot is not true in {settings}")
        state, now = folder / _STATE, uptime()
        ran = load(state)
        if not due(ran, now):
            return _refuse("the machine was restarted for its camera less than six hours ago, or "
                           "three times within a day")  # fmt: skip
        store(state, [*(ran or []), now][-A_DAY:])
    except OSError as error:
        return _refuse(f"it could not be looked into ({error.strerror or error})")
    print("The machine restarts: its camera did not come back otherwise.", file=sys.stderr)
    try:
        restart()
    except (OSError, subprocess.SubprocessError) as error:
        return _refuse(f"systemd was asked in vain ({type(error).__name__})")
    return 0


def load(file: Path) -> list[float] | None:
    """The record of restarts; empty where there is none, None where it is damaged. Raises
    `OSError`."""
    try:
        data = _read(file, _MAX_STATE)
    except FileNotFoundError:
        return []
    text = data.decode("ascii", errors="replace")
    lines = text.removeprefix(_HEAD).splitlines()
    whole = text.startswith(_HEAD) and text.endswith("\n") and len(lines) <= A_DAY
    if not whole or not all(_LINE.fullmatch(each) for each in lines):
        return None
    return [float(each) for each in lines]


def store(file: Path, ran: Sequence[float]) -> None:
    """Replace the record, and wait until it is on the disk. Raises `OSError`."""
    new = file.with_name(f"{file.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(new, flags, 0o600)
    try:
        os.write(number, (_HEAD + "".join(f"{int(each)}\n" for each in ran)).encode())
        os.fsync(number)
    finally:
        os.close(number)
    os.replace(new, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _take(file: Path) -> bytes:
    """Read and remove what lies there, whatever it is. Raises `OSError`."""
    try:
        return _read(file, _MAX_REQUEST)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(file)


def _read(file: Path, most: int) -> bytes:
    """Raises `OSError`, also for a link, a pipe or too much."""
    number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            raise OSError(22, "it is no ordinary file, or too long")
        return os.read(number, most + 1)
    finally:
        os.close(number)


def _refuse(why: str) -> int:
    print(f"The machine is not restarted for its camera: {why}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
