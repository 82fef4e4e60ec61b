"""Status of the perceive process, written to the outbox for the uplink process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent import __version__
from agent.base.clock import ClockReading
from agent.base.errors import StoreError
from agent.base.repeats import Seldom
from agent.base.report import Birth, EventCode, PerceiveCage, Vitals
from agent.host.health import REPORT_INTERVAL
from agent.privacy.policy.rules import Policy
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

_RECENT = 900.0
"""Seconds for which what was said before a restart may still hold."""
_CLOCK_STEP = 60
"""Change of the UTC offset, seconds, that counts as a step of the wall clock."""


@dataclass(slots=True)
class PerceiveReport:
    """Counters of a run."""

    frames: int = 0
    dropped: int = 0
    """Frames delivered by the source but not analysed."""
    summaries: int = 0
    lost: int = 0
    """Summaries dropped because the disk was full for too long."""
    reopened: int = 0
    """Number of times the camera was reopened."""
    unseen: int = 0
    """Frames discarded while paused or in quiet hours."""


class StatusReporter:
    """Writes events, vitals and birth certificates. A failure to write is logged, never raised."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Callable[[], ClockReading],
        report: PerceiveReport,
        sandbox: PerceiveCage,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._report = report
        self._sandbox = sandbox
        self._vitals_at = 0.0
        self._frames_then = 0
        self._running: tuple[Policy, str, int] | None = None
        self._utc_offset: float | None = None
        self._lost: dict[str, Seldom] = {}
        self._fault = Seldom()

    def record_event(self, code: EventCode) -> None:
        lost = self._lost.setdefault(code, Seldom())
        try:
            self._outbox.events.record(code)
            lost.over()
        except StoreError as error:
            if lost():
                log.error("The event %s is lost: %s", code, error)

    def take_over(self) -> str | None:
        """What the process before this one said last of its perception, where that is not long ago.
        It is removed: what is said from now on is this process's own."""
        try:
            found = self._outbox.latest.get(Vitals)
            self._outbox.latest.remove(Vitals)
        except StoreError as error:
            log.error("%s", error)
            return None
        return found[0].perception if found is not None and found[1] <= _RECENT else None

    def leave(self) -> None:
        """Say that nothing is looked at any more, unless the next process has to know of a heat."""
        try:
            found = self._outbox.latest.get(Vitals)
            if found is not None and found[0].perception != "hot":
                self._outbox.latest.remove(Vitals)
        except StoreError as error:
            log.error("%s", error)

    def publish_vitals(
        self,
        perception: Literal["running", "paused", "quiet", "stalled", "hot"],
        at_once: bool = False,
    ) -> None:
        """At most once per `REPORT_INTERVAL` unless `at_once`; also checks the wall clock. Where
        nothing is perceived the frame rate is 0 at once, not the average of the last minute."""
        now = time.monotonic()
        past = now - self._vitals_at
        if past < REPORT_INTERVAL and not at_once:
            return
        frames = self._report.frames
        measured = perception == "running" and self._vitals_at > 0.0
        fps = (frames - self._frames_then) / past if measured else 0.0
        self._vitals_at, self._frames_then = now, frames
        self._put(Vitals(perception=perception, fps=min(240, 5 * round(fps / 5))))
        self._check_clock()

    def publish_birth(self, policy: Policy, model: str, settings: int) -> None:
        """`model`: hash of the models; `settings`: version of the remote settings."""
        self._running = policy, model, settings
        self._put_birth()

    def _put_birth(self) -> None:
        if self._running is None:
            return
        policy, model, settings = self._running
        reading = self._clock()
        self._utc_offset = reading.utc_offset
        self._put(
            Birth(
                boot=self._outbox.boot,
                software=__version__,
                model=model,
                policy=policy.name,
                policy_hash=policy.hash,
                epoch=None if reading.utc_offset is None else 10 * round(reading.utc_offset / 10),
                clock=reading.trust,
                settings=settings,
                k=policy.k,
                window=policy.window,  # type: ignore[arg-type]
                cage=self._sandbox,
            )
        )

    def _check_clock(self) -> None:
        """Write a birth certificate with a new epoch once the clock is trusted or has stepped."""
        before, now = self._utc_offset, self._clock().utc_offset
        if now is None or (before is not None and abs(now - before) < _CLOCK_STEP):
            return
        if before is not None:
            self.record_event("clock_stepped")
        self._put_birth()

    def _put(self, message: Birth | Vitals) -> None:
        try:
            self._outbox.latest.put(message)
            self._fault.over()
        except StoreError as error:
            if self._fault():
                log.error("%s", error)
