"""What an update leaves for others to read: the record, for the next start; how far it is and what
is in force, for the fleet; and the request to restart both services."""

from __future__ import annotations

import contextlib
import logging
from typing import Literal

from agent.base.files import read_regular_file, remove_leftovers, write_atomically
from agent.base.report.job import JobExecution, JobReason, JobStep
from agent.update.errors import disk_error
from agent.update.exchange import Exchange
from agent.update.slots import Slots
from agent.update.state import FILE, STEPS, Record, Update, load, save

log = logging.getLogger(__name__)

RESTART = "restart"
"""In `update.folder`: written to have both services restarted, which the updater may not do."""
Status = Literal["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"]
_MAX_NUMBER = 255


class Bookkeeper:
    """Keeps the record of one device, and tells its fleet. What is written down comes first: the
    record is on the disk before anybody hears of it."""

    def __init__(self, slots: Slots, exchange: Exchange) -> None:
        """A record that cannot be used is given up."""
        self._slots = slots
        self._exchange = exchange
        for name in (FILE, RESTART):
            remove_leftovers(slots.folder / name)
        exchange.remove_leftovers()
        record = load(slots.folder)
        if record is None:
            log.error("The updater's record is damaged: what is not confirmed is taken back.")
            record = Record()
        self._record = record

    @property
    def record(self) -> Record:
        return self._record

    def save(self, update: Update) -> Update:
        """Write down what is begun, then tell; the update, with the number of that report. Raises
        `UpdateError`."""
        before = self._record.update
        new = before is None or STEPS[before.phase] != STEPS[update.phase]
        if new and before is not None:
            update = update.model_copy(update={"number": min(update.number + 1, _MAX_NUMBER)})
        self._record = self._record.model_copy(update={"update": update})
        self._write()
        if not update.media:
            self.tell(
                self._execution(
                    update, "IN_PROGRESS", STEPS[update.phase], update.reason, update.number
                )
            )
        return update

    def end(
        self,
        update: Update,
        status: Status,
        reason: JobReason | None,
        step: JobStep | Literal["last"] | None = "last",
    ) -> None:
        """Write down how it ended, then tell. `step`: the one that is told; the last by default.
        Raises `UpdateError`."""
        told = STEPS[update.phase] if step == "last" else step
        number = min(update.number + 1, _MAX_NUMBER)
        execution = self._execution(update, status, told, reason, number)
        self._record = self._record.end(execution)
        self._slots.discard_download()
        self._write()
        # Before the end is told: whoever hears of it may look at once.
        self.say_installed()
        if not update.media:
            self.tell(execution)
        log.info("Job %s: %s%s.", update.job.job, status, f" ({reason})" if reason else "")

    def tell(self, execution: JobExecution) -> None:
        """What the fleet is told is said again by the next step; it holds nothing up."""
        try:
            self._exchange.tell(execution)
        except OSError as error:
            log.warning("%s", disk_error(error, str(self._exchange.folder)))

    def say_installed(self) -> None:
        """What is in force. Where it cannot be said, that holds nothing up either."""
        try:
            self._exchange.installed(*self._slots.versions(self._slots.current))
        except OSError as error:
            log.warning("%s", disk_error(error, str(self._exchange.folder)))

    def ask_for_restart(self, *, again: bool = False) -> None:
        """Have both services restarted; once for each switch, unless `again`. Raises
        `UpdateError`."""
        path = self._slots.folder / RESTART
        text = f"{self._slots.current} {self._slots.link}\n".encode()
        with contextlib.suppress(OSError):
            if not again and read_regular_file(path, 200) == text:
                return
        try:
            write_atomically(path, text)
        except OSError as error:
            raise disk_error(error, str(path)) from None

    def _execution(
        self,
        update: Update,
        status: Status,
        step: JobStep | None,
        reason: JobReason | None,
        number: int,
    ) -> JobExecution:
        app, models = self._slots.versions(self._slots.current)
        return JobExecution(
            job=update.job.job,
            status=status,
            step=step,
            reason=reason,
            number=number,
            app=app,
            models=models,
        )

    def _write(self) -> None:
        try:
            save(self._slots.folder, self._record)
        except OSError as error:
            raise disk_error(error, str(self._slots.folder / "state.json")) from None
