"""Which content slots were on show within the last day: never more than the policy's.

Slot 0, on show until another is named, always counts as one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.base.device_time import DeviceTime, Instant
from agent.base.errors import StoreError
from agent.base.quotas import DAY
from agent.base.report import SlotsInUse, SlotUse
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

_KEPT = DAY + 7200
"""Seconds elapsed for which a slot counts after it was last on show: longer than the warden does,
who sees it when its window has ended."""
_SAVE_INTERVAL = 60
"""Seconds elapsed between writes while no slot is new."""


class SlotQuota:
    """Takes a slot if it is one of at most `most` in a day; remembers them over restarts."""

    def __init__(
        self,
        outbox: Outbox,
        most: int,
        refused: Callable[[], object] = lambda: None,
        time: Callable[[Instant | None], DeviceTime] = DeviceTime,
    ) -> None:
        """`refused`: is told of every refusal; `time`: makes the clock. Raises `StoreError`."""
        self._outbox, self._most, self._refused = outbox, most, refused
        found = outbox.latest.get(SlotsInUse)
        stored = found[0] if found else None
        self._time = time(
            None
            if stored is None
            else Instant(
                stored.elapsed, stored.machine, stored.boottime, stored.utc, open=stored.open
            )
        )
        self._used = {each.slot: each.at for each in stored.used} if stored else {}
        self._saved_at = -_SAVE_INTERVAL

    def take(self, slot: int) -> bool:
        """Whether the slot may be on show now; call it while it is."""
        now = int(self._time())
        if self._used.get(slot) == now:
            return True
        self._used = {each: at for each, at in self._used.items() if now - at < _KEPT}
        new = slot not in self._used
        if new and slot != 0 and len(self._used.keys() | {0}) >= self._most:
            log.warning("Slot %d is one more than %d a day: refused.", slot, self._most)
            self._refused()
            return False
        self._used[slot] = now
        if new or now - self._saved_at >= _SAVE_INTERVAL:
            self._save()
            self._saved_at = now
        return True

    def _save(self) -> None:
        at = self._time.instant()
        message = SlotsInUse(
            elapsed=at.elapsed,
            machine=at.machine,
            boottime=at.boottime,
            utc=at.utc,
            open=at.open,
            used=tuple(SlotUse(slot=slot, at=when) for slot, when in sorted(self._used.items())),
        )
        try:
            self._outbox.latest.put(message)
        except StoreError as error:
            log.error("%s", error)
