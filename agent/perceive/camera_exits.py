"""How often this process ended because of its camera, and the request for a reboot.

Some cameras come back only when the machine starts anew. Where the site allows it
(`source.reboot`), the fifth end within an hour leaves a request, and root's helper decides
(`agent.host.reboot`): this process, its folder and its counting are not trusted with that.

Both files lie in the state folder that systemd names; without it there is nobody to ask. Times are
CLOCK_BOOTTIME of one boot, so that a clock that is set changes nothing.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from agent.base.errors import reason
from agent.base.files import read_regular_file, write_atomically
from agent.host.heartbeat import boottime
from agent.host.reboot import REQUEST, boot_id, request

log = logging.getLogger(__name__)

STATE = "STATE_DIRECTORY"
"""Environment variable: the folder (systemd.exec(5))."""
EXITS = "camera-exits"
ENDS, WITHIN = 5, 3600.0
"""So many ends in so many seconds ask for a reboot."""
_MAX_BYTES = 1_000
_TIME = re.compile(r"[0-9]{1,10}\.[0-9]{1,3}")


def state_folder() -> Path | None:
    """None where this process is not run by systemd."""
    named = os.environ.get(STATE, "")
    return Path(named) if named.startswith("/") and ":" not in named else None


class CameraExits:
    """Remembers when this process ended because of its camera."""

    def __init__(self, folder: Path | None, *, allowed: bool) -> None:
        """`allowed`: `source.reboot`."""
        self._folder, self._allowed = folder, allowed

    def add(self) -> bool:
        """This process ends because of its camera. Returns whether a reboot was asked for; never
        raises."""
        if not self._allowed:
            return False
        if self._folder is None:
            log.warning(
                "source.reboot is set, but this process is not run by systemd: the machine is not "
                "restarted for its camera."
            )
            return False
        try:
            return self._count(self._folder)
        except OSError as error:
            log.warning("Ends because of the camera are not counted: %s.", reason(error))
            return False

    def _count(self, folder: Path) -> bool:
        """Raises `OSError`."""
        boot, now = boot_id(), boottime()
        times = [*(each for each in self._read(boot) if 0.0 <= now - each <= WITHIN), now]
        asks = len(times) >= ENDS
        kept = [] if asks else times
        text = "".join(f"{each:.3f}\n" for each in kept)
        write_atomically(folder / EXITS, f"{boot}\n{text}".encode(), 0o600)
        if asks:
            log.warning(
                "The camera ended this process %d times within an hour: a restart of the machine "
                "is asked for.",
                len(times),
            )
            write_atomically(folder / REQUEST, request(boot), 0o600)
        return asks

    def _read(self, boot: str) -> list[float]:
        """Times of this boot; none where the file is missing or damaged."""
        assert self._folder is not None
        try:
            data = read_regular_file(self._folder / EXITS, _MAX_BYTES)
            first, *lines = data.decode("ascii").splitlines()
        except (OSError, UnicodeDecodeError, ValueError):
            return []
        if first != boot or len(data) > _MAX_BYTES:
            return []
        return [float(each) for each in lines if _TIME.fullmatch(each)]
