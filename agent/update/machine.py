"""One update, step by step, from a job to its end. Each step is written down before it is begun,
and may be begun again: whoever is killed at any instant goes on where it was.

What fails before the switch changes nothing. What fails after it is taken back: the link first,
then both services are restarted and waited for, and only then the job ends as FAILED.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agent.base.clock import WallClock
from agent.base.report.job import Job, JobReason
from agent.update.bookkeeper import Bookkeeper
from agent.update.errors import UpdateError
from agent.update.exchange import Exchange
from agent.update.slots import Slots
from agent.update.soak import Timing, Wait
from agent.update.state import SWITCHED, Record, Update
from agent.update.steps import CanceledError, Source, Steps

log = logging.getLogger(__name__)


class Machine:
    """Carries out the jobs of one device."""

    def __init__(
        self,
        slots: Slots,
        exchange: Exchange,
        *,
        source: Callable[[bool], Source],
        self_test: Callable[[Path, Path], None],
        heartbeat: Path,
        timing: Timing,
        wait: Wait,
        enabled: bool = True,
    ) -> None:
        """`source`: opens the repository, on the stick or not. `self_test`: raises `UpdateError`
        where a release (first) does not pass, by what is in force (second). `heartbeat`: where the
        services leave their sign of life. `enabled`: whether jobs of the fleet are carried out."""
        self._slots = slots
        self._exchange = exchange
        self._enabled = enabled
        slots.tidy()
        self._books = Bookkeeper(slots, exchange)
        self._steps = Steps(
            slots,
            exchange,
            self._books,
            source=source,
            self_test=self_test,
            heartbeat=heartbeat,
            timing=timing,
            wait=wait,
        )
        self._recover()

    @property
    def record(self) -> Record:
        return self._books.record

    def run(self, media: Callable[[], Job | None] = lambda: None) -> None:
        """Finish what was begun, then what the fleet asks for, then what `media`, called for it,
        names, until nothing is left. Raises `UpdateError` where not even the record can be kept,
        and `Stopped`."""
        self._books.say_installed()
        while True:
            update = self.record.update or self._next(media)
            if update is None:
                return
            self._carry_out(update)

    def _recover(self) -> None:
        """Without a record of an update, a slot that has not proved itself is given up."""
        if self.record.update is None and self._slots.current != self._slots.confirmed:
            self._slots.switch(self._slots.confirmed)
            self._books.ask_for_restart()

    def _next(self, media: Callable[[], Job | None]) -> Update | None:
        """The next job to begin; answers those that ended before. Raises `UpdateError`."""
        wanted, from_media = self._exchange.job(), False
        if wanted is not None and (ending := self.record.ending(wanted.job)) is not None:
            self._books.tell(ending)
            wanted = None
        if wanted is None:
            wanted, from_media = media(), True
            if wanted is not None and self.record.ending(wanted.job) is not None:
                wanted = None
        if wanted is None:
            return None
        log.info("Job %s: %s %s.", wanted.job, wanted.kind, wanted.version)
        update = Update(
            job=wanted, media=from_media, phase="downloading", number=0, reason=None, release=None,
            slot=None, tree=None, before=None, boot="", boots=0,
        )  # fmt: skip
        refused = self._refusal(update)
        if refused is not None:
            self._books.end(update, "REJECTED", refused, None)
            return self._next(media)
        app, models = self._slots.versions(self._slots.current)
        if wanted.version == (app if wanted.kind == "app" else models):
            log.info("It is in force already.")
            self._books.end(update, "SUCCEEDED", None, None)
            return self._next(media)
        self._books.save(update)
        return update

    def _refusal(self, update: Update) -> JobReason | None:
        if not (self._enabled or update.media):
            return "off"
        expires, now = update.job.expires, WallClock().utc()
        return "expired" if expires is not None and now is not None and now > expires else None

    def _carry_out(self, update: Update) -> None:
        """All steps to the end. Raises `UpdateError`, `Stopped`."""
        going: Update | None = update
        while going is not None:
            update = going
            try:
                update = self._steps.count_boots(update)
                going = self._steps.take(update)
                if going is not None:
                    going = self._books.save(going)
            except CanceledError:
                self._steps.discard(update)
                self._books.end(update, "CANCELED", "canceled")
                return
            except UpdateError as error:
                going = self._failed(update, error)

    def _failed(self, update: Update, error: UpdateError) -> Update | None:
        """How it goes on after a failure. Raises `UpdateError` where it cannot."""
        log.error("%s", error)
        if update.phase in ("confirming", "rolling_back"):
            raise error  # done again by the next start
        if update.phase in SWITCHED:
            assert update.before is not None
            back = update.model_copy(update={"phase": "rolling_back", "reason": error.reason})
            try:
                return self._books.save(back)
            except UpdateError:
                # Whatever the disk does: what was in force before is in force again.
                self._slots.switch(update.before.slot)
                raise
        self._steps.discard(update)
        self._books.end(update, "REJECTED" if error.rejected else "FAILED", error.reason)
        return None
