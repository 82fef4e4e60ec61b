"""Runtime controls of the perceive process: remote settings and commands, content slot, quiet
hours."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from agent.base.clock import ClockReading
from agent.base.config import AgentConfig
from agent.base.errors import StoreError
from agent.perceive.content_socket import ContentSocket
from agent.privacy.policy.quiet_hours import QuietHours
from agent.wall.remote_settings import Settings, read

log = logging.getLogger(__name__)

Mode = Literal["running", "paused", "quiet", "hot"]

_ZONE = Path("/etc/localtime")
_ZONE_INTERVAL = 60.0
"""Seconds between looks whether the machine's time zone was changed."""
_POLL_INTERVAL = 0.2
"""Seconds between checks of the settings file and the clock."""


class RuntimeControls:
    """Polled between frames; never blocks. `live`: False for a file, which has no quiet hours.
    `content`: closed by `close`."""

    def __init__(
        self,
        config: AgentConfig,
        clock: Callable[[], ClockReading],
        live: bool,
        content: ContentSocket | None = None,
        permits: Callable[[int], bool] = lambda slot: True,
    ) -> None:
        """`permits`: whether a slot may be on show today (`SlotQuota.take`)."""
        self._permits = permits
        self._path = config.store.settings
        self._clock = clock
        self._live = live
        self._quiet = QuietHours(())
        self._socket = content
        self._next = self._next_zone = 0.0
        self._file_version: tuple[int, int, int] | None = None
        self._content_count = 0
        self.slot = 0
        """Content on show, 0-255."""
        self.mode: Literal["running", "paused", "quiet"] = "running"
        self.settings = Settings()
        """The newest valid settings; initially the defaults."""
        self.refused = 0
        """Number of invalid settings files."""
        self.poll()

    def set_quiet_hours(self, hours: tuple[str, ...]) -> None:
        """Set the spans of the policy in force."""
        self._quiet = QuietHours(hours if self._live else ())
        self._next = 0.0
        self.poll()

    def poll(self) -> None:
        """Update `slot`, `mode` and `settings`."""
        if self._socket is not None:
            named = self._socket.poll(self._permits)
            self.slot = self.slot if named is None else named
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _POLL_INTERVAL
        self._read_settings()
        self._follow_zone(now)
        if self.settings.paused:
            self.mode = "paused"
        else:
            self.mode = "quiet" if self._quiet.contains(self._clock().utc(now)) else "running"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _follow_zone(self, now: float) -> None:
        """Quiet hours are local: the C library reads the time zone once, unless it is told to look
        again. Not where the file cannot be read here: it would then take it for UTC."""
        if now < self._next_zone:
            return
        self._next_zone = now + _ZONE_INTERVAL
        with contextlib.suppress(OSError), _ZONE.open("rb"):
            time.tzset()

    def _read_settings(self) -> None:
        try:
            found = self._path.stat()
            version = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            return  # missing: the last settings stay in force
        if version == self._file_version:
            return
        self._file_version = version
        try:
            self.settings = read(self._path)
        except StoreError as error:
            self.refused += 1
            log.error("%s What was in force stays.", error)
            return
        if self.settings.content_count != self._content_count:
            self._content_count = self.settings.content_count
            named = self.settings.content
            self.slot = named if named is not None and self._permits(named) else self.slot
