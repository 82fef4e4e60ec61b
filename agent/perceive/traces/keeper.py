"""The traces' folder: what is deleted when, and how much there may be.

A session is deleted after `research.days`: by days of the calendar where the clock is trusted, and
in any case by the time elapsed on this device (`agent.base.device_time`), whichever is sooner. What
was withdrawn while this process could not see it is deleted too. Looked at at the start and every
hour; the reading is stored, so that a restart does not begin anew. The record counts in whole days,
rounded down, so that it says no time of day either: a session may go up to a day early.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.base.clock import ClockReading
from agent.base.device_time import DeviceTime, Instant
from agent.base.errors import StoreError, reason
from agent.base.files import read_regular_file, remove_leftovers, write_atomically
from agent.perceive.traces.session import mark_of, parts_of, read_withdrawn

log = logging.getLogger(__name__)

KEPT = "kept.json"
DAY = 86_400
_INTERVAL = 3600.0
"""Seconds elapsed between two looks."""
_MAX_BYTES = 10_000_000


class Keeper:
    """One for the folder's only writer of traces."""

    def __init__(
        self,
        folder: Path,
        days: int,
        clock: Callable[[], ClockReading],
        time_: Callable[[Instant | None], DeviceTime] = DeviceTime,
    ) -> None:
        """`clock`: who knows the day; `time_`: makes the clock that counts."""
        self._folder, self._days, self._clock = folder, days, clock
        self._path = folder / KEPT
        remove_leftovers(self._path)
        stored, self._since = self._read()
        self._time = time_(stored)
        self._due = 0.0
        self.sweep()

    def day(self) -> int | None:
        """Days since 1970, UTC; None where nobody vouches for the clock."""
        utc = self._clock().utc(time.monotonic())
        return None if utc is None else int(utc // DAY)

    def poll(self) -> None:
        """Sweep where it is due."""
        if self._time() >= self._due:
            self.sweep()

    def sweep(self) -> None:
        """Delete what is over; logs what cannot be done, and never raises."""
        now, today = self._time(), self.day()
        self._due = now + _INTERVAL
        withdrawn = self._withdrawn()
        try:
            found = parts_of(self._folder)
            for name in found:
                # Of a session that the record does not know, or before its day was: from now on.
                whole = int(now) // DAY * DAY
                since = self._since.setdefault(name, {"elapsed": whole, "day": today})
                if since["day"] is None:
                    since["day"] = today
            gone = [n for n in found if mark_of(n) in withdrawn or self._is_over(n, now, today)]
            gone = [name for name in gone if _deleted(found[name])]
            if gone:
                log.info("%d traced sessions were deleted.", len(gone))
            kept = found.keys() - set(gone)
            self._since = {name: each for name, each in self._since.items() if name in kept}
            self._write()
        except OSError as error:
            log.error("Traces cannot be looked through: %s.", reason(error))

    def _withdrawn(self) -> frozenset[str]:
        """Where the list cannot be read, what is over goes all the same."""
        try:
            return read_withdrawn(self._folder)
        except StoreError as error:
            log.error("%s", error)
            return frozenset()

    def size(self) -> int:
        """Bytes of all traces. Raises `OSError`."""
        return sum(path.stat().st_size for each in parts_of(self._folder).values() for path in each)

    def _is_over(self, name: str, now: float, today: int | None) -> bool:
        since = self._since[name]
        if now - since["elapsed"] >= self._days * DAY:
            return True
        return today is not None and since["day"] is not None and (
            today - since["day"] >= self._days
        )  # fmt: skip

    def _read(self) -> tuple[Instant | None, dict[str, dict[str, Any]]]:
        """The last reading, and since when each session is here."""
        try:
            said = json.loads(read_regular_file(self._path, _MAX_BYTES))
            sessions = {
                str(name): {
                    "elapsed": int(each["elapsed"]),
                    "day": None if each["day"] is None else int(each["day"]),
                }
                for name, each in said["sessions"].items()
            }
            return Instant(**said["clock"]), sessions
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            log.error("The record of when traces were written is damaged: counted from now on.")
        return None, {}

    def _write(self) -> None:
        record = {"clock": asdict(self._time.instant()), "sessions": self._since}
        write_atomically(self._path, json.dumps(record).encode(), 0o600)


def _deleted(parts: list[Path]) -> bool:
    """Whether all are gone: one that cannot be deleted holds up no other session's."""
    try:
        for path in parts:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.error("A traced session cannot be deleted: %s.", reason(error))
        return False
    return True
