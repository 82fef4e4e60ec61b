"""One update, step by step, from a job to its end. Each step is written down before it is begun,
and may be begun again: whoever is killed at any instant goes on where it was.

What fails before the switch changes nothing. What fails after it is taken back: the link first,
then both services are restarted and waited for, and only then the job ends as FAILED.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent.base.clock import WallClock
from agent.base.files import read_regular_file, write_atomically
from agent.base.report.job import Job, JobExecution, JobKind, JobReason
from agent.update.errors import UpdateError, disk_error
from agent.update.exchange import Exchange
from agent.update.repository import Target
from agent.update.slots import Slots
from agent.update.soak import Stopped, Timing, Wait, expectations, look, wait_until_well
from agent.update.state import STEPS, SWITCHED, Before, Phase, Record, Release, Update, load, save

log = logging.getLogger(__name__)

RESTART = "restart"
"""In `update.folder`: written to have both services restarted, which the updater may not do."""
_DOWNLOADS = "download"
_MAX_BOOTS = 3
"""Starts of the machine after which a slot that has not proved itself is taken back."""
_CANCEL_INTERVAL = 0.5


class Source(Protocol):
    """An update repository (`agent.update.repository.Repository`)."""

    def find(self, kind: JobKind, version: str) -> Target: ...

    def download(
        self, target: Target, into: Path, progress: Callable[[int, int], None] = ...
    ) -> Path: ...

    def raise_floor(self, kind: JobKind, version: str) -> None: ...


class _CanceledError(Exception):
    """The fleet took the job back, or asks for another one."""


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
        self._source = source
        self._self_test = self_test
        self._heartbeat = heartbeat
        self._timing = timing
        self._wait = wait
        self._enabled = enabled
        self._record = self._recover()
        self._steps: dict[Phase, Callable[[Update], Update | None]] = {
            "downloading": self._download,
            "downloaded": self._unpack,
            "unpacked": self._test,
            "verified": self._verified,
            "updating": self._switch,
            "updated": self._updated,
            "soaking": self._soak,
            "confirming": self._confirm,
            "rolling_back": self._roll_back,
        }

    @property
    def folder(self) -> Path:
        return self._slots.folder

    @property
    def record(self) -> Record:
        return self._record

    def run(self, media: Callable[[], Job | None] = lambda: None) -> None:
        """Finish what was begun, then what the fleet asks for, then what `media`, called for it,
        names, until nothing is left. Raises `UpdateError` where not even the record can be kept,
        and `Stopped`."""
        self._say_installed()
        while True:
            update = self._record.update or self._next(media)
            if update is None:
                return
            self._carry_out(update)

    def _recover(self) -> Record:
        """What is on the disk. A record that cannot be used is given up, and with it a slot that
        has not proved itself."""
        self._slots.tidy()
        record = load(self.folder)
        if record is None:
            log.error("The updater's record is damaged: what is not confirmed is taken back.")
            record = Record()
        if record.update is None and self._slots.current != self._slots.confirmed:
            self._slots.switch(self._slots.confirmed)
            self._ask_for_restart()
        return record

    def _next(self, media: Callable[[], Job | None]) -> Update | None:
        """The next job to begin; answers those that ended before. Raises `UpdateError`."""
        wanted, from_media = self._exchange.job(), False
        if wanted is not None and (ending := self._record.ending(wanted.job)) is not None:
            self._tell(ending)
            wanted = None
        if wanted is None:
            wanted, from_media = media(), True
            if wanted is not None and self._record.ending(wanted.job) is not None:
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
            self._end(update, "REJECTED", refused, None)
            return self._next(media)
        app, models = self._slots.versions(self._slots.current)
        if wanted.version == (app if wanted.kind == "app" else models):
            log.info("It is in force already.")
            self._end(update, "SUCCEEDED", None, None)
            return self._next(media)
        self._save(update)
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
                update = self._count_boots(update)
                going = self._steps[update.phase](update)
                if going is not None:
                    going = self._save(going)
            except _CanceledError:
                self._discard(update)
                self._end(update, "CANCELED", "canceled")
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
                return self._save(back)
            except UpdateError:
                # Whatever the disk does: what was in force before is in force again.
                self._slots.switch(update.before.slot)
                raise
        self._discard(update)
        self._end(update, "REJECTED" if error.rejected else "FAILED", error.reason)
        return None

    # The steps, each of which may be begun again.

    def _download(self, update: Update) -> Update:
        """Find the release in the repository, and fetch it."""
        self._stop_where_canceled(update)
        source = self._source(update.media)
        target = source.find(update.job.kind, update.job.version)
        release = Release(
            path=target.path, floor=target.floor, base=target.base,
            length=target.length, sha256=target.sha256,
        )  # fmt: skip
        self._stop_where_canceled(update)
        due = 0.0

        def progress(_done: int, _all: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + _CANCEL_INTERVAL
                self._stop_where_canceled(update)
                if self._wait(0.0):
                    raise Stopped

        source.download(target, self.folder / _DOWNLOADS, progress)
        return _at(update, "downloaded", release=release)

    def _unpack(self, update: Update) -> Update:
        """Make a slot of it."""
        self._stop_where_canceled(update)
        release, job = update.release, update.job
        assert release is not None
        archive = self.folder / _DOWNLOADS / f"{job.kind}-{job.version}.tar.gz"
        if not _is(archive, release):
            return _at(update, "downloading", release=None)
        slot = self._slots.spare()
        tree = self._slots.fill(slot, archive, job.kind, job.version, release.base)
        return _at(update, "unpacked", slot=slot, tree=tree)

    def _test(self, update: Update) -> Update:
        """Have the slot test itself: its models, its sandbox."""
        self._stop_where_canceled(update)
        if not self._is_whole(update):
            return _at(update, "downloaded", slot=None, tree=None)
        assert update.slot is not None
        self._self_test(self._slots.root(update.slot), self._slots.root(self._slots.current))
        return _at(update, "verified")

    def _verified(self, update: Update) -> Update:
        """The last moment to take it back. Note what is in force, and how its sandboxes are."""
        if not self._is_whole(update):
            return _at(update, "downloaded", slot=None, tree=None)
        app, models = self._slots.versions(self._slots.current)
        beats = look(self._heartbeat)
        openings = {
            name: None if beat is None or beat.openings is None else tuple(sorted(beat.openings))
            for name, beat in beats.items()
        }
        uplink = beats["uplink"]
        before = Before(
            slot=self._slots.current, app=app, models=models, perceive=openings["perceive"],
            uplink=openings["uplink"], connected=uplink is not None and uplink.connected is True,
        )  # fmt: skip
        self._stop_where_canceled(update)
        return _at(update, "updating", before=before, boot=_boot(), boots=0)

    def _switch(self, update: Update) -> Update:
        """Switch, restart both services, wait until both are well."""
        assert update.slot is not None
        if not self._is_whole(update):
            raise UpdateError("disk", "The slot is no longer what it was. Look after the disk.")
        self._slots.switch(update.slot)
        self._ask_for_restart()
        self._watch(update, 0.0)
        self._discard_download()
        return _at(update, "updated")

    def _updated(self, update: Update) -> Update:
        return _at(update, "soaking")

    def _soak(self, update: Update) -> Update:
        """Both have to stay well."""
        self._watch(update, self._timing.soak)
        return _at(update, "confirming")

    def _watch(self, update: Update, seconds: float) -> None:
        """Raises `UpdateError` with what is wrong with the new version."""
        assert update.slot is not None
        assert update.before is not None
        if self._slots.current != update.slot:
            raise UpdateError("internal", "Another slot is in force than the one that is watched.")
        app, _ = self._slots.versions(update.slot)
        found = wait_until_well(
            self._heartbeat,
            expectations(update.slot, self._slots.link, app, update.before, limited=True),
            seconds,
            self._timing,
            self._wait,
            ask_again=lambda: self._ask_for_restart(again=True),
            connected=update.before.connected and seconds > 0,
        )
        if found is not None:
            raise UpdateError(found, f"The new version is not well ({found}): it is taken back.")

    def _confirm(self, update: Update) -> None:
        """It has proved itself. From here on nothing below its floor is accepted."""
        assert update.slot is not None
        assert update.release is not None
        self._slots.confirm(update.slot)
        self._source(update.media).raise_floor(update.job.kind, update.release.floor)
        log.info("%s %s is confirmed.", update.job.kind, update.job.version)
        self._end(update, "SUCCEEDED", None)

    def _roll_back(self, update: Update) -> None:
        """Back to what was in force before, and wait until it is well."""
        assert update.before is not None
        self._slots.switch(update.before.slot)
        self._ask_for_restart()
        self._say_installed()
        still = wait_until_well(
            self._heartbeat,
            expectations(
                update.before.slot, self._slots.link, update.before.app, None, limited=False
            ),
            0.0,
            self._timing,
            self._wait,
            ask_again=lambda: self._ask_for_restart(again=True),
            within=self._timing.recover,
        )
        if still is not None:
            log.error("What was in force before is not well either (%s).", still)
        self._discard(update)
        self._end(update, "FAILED", update.reason or "internal")

    # What the steps share.

    def _is_whole(self, update: Update) -> bool:
        return (
            update.slot is not None
            and update.tree is not None
            and self._slots.whole(update.slot, update.tree)
        )

    def _count_boots(self, update: Update) -> Update:
        """The update with this start of the machine counted. Raises `UpdateError` where there were
        too many since the switch."""
        if update.phase not in ("updating", "updated", "soaking") or update.boot == _boot():
            return update
        again = self._save(update.model_copy(update={"boot": _boot(), "boots": update.boots + 1}))
        if again.boots >= _MAX_BOOTS:
            raise UpdateError("crashed", "The machine restarted too often under the new version.")
        return again

    def _stop_where_canceled(self, update: Update) -> None:
        """Raises `_CanceledError`."""
        if update.media:
            return
        wanted = self._exchange.job()
        if wanted is None or wanted.job != update.job.job:
            raise _CanceledError

    def _ask_for_restart(self, *, again: bool = False) -> None:
        """Have both services restarted; once for each switch, unless `again`."""
        path = self.folder / RESTART
        text = f"{self._slots.current} {self._slots.link}\n".encode()
        with contextlib.suppress(OSError):
            if not again and read_regular_file(path, 200) == text:
                return
        try:
            write_atomically(path, text)
        except OSError as error:
            raise disk_error(error, str(path)) from None

    def _discard(self, update: Update) -> None:
        """What a job leaves that came to nothing. Never raises."""
        if update.slot is not None:
            self._slots.discard(update.slot)
        self._discard_download()

    def _discard_download(self) -> None:
        shutil.rmtree(self.folder / _DOWNLOADS, ignore_errors=True)

    def _end(self, update: Update, status: Any, reason: JobReason | None, step: Any = ...) -> None:
        """Raises `UpdateError`."""
        app, models = self._slots.versions(self._slots.current)
        execution = JobExecution(
            job=update.job.job,
            status=status,
            step=STEPS[update.phase] if step is ... else step,
            reason=reason,
            number=min(update.number + 1, 255),
            app=app,
            models=models,
        )
        self._record = self._record.end(execution)
        self._discard_download()
        self._write()
        # Before the end is told: whoever hears of it may look at once.
        self._say_installed()
        if not update.media:
            self._tell(execution)
        log.info("Job %s: %s%s.", update.job.job, status, f" ({reason})" if reason else "")

    def _save(self, update: Update) -> Update:
        """Write down what is begun, then tell; the update, with the number of that report. Raises
        `UpdateError`."""
        before = self._record.update
        new = before is None or STEPS[before.phase] != STEPS[update.phase]
        if new and before is not None:
            update = update.model_copy(update={"number": min(update.number + 1, 255)})
        self._record = self._record.model_copy(update={"update": update})
        self._write()
        if not update.media:
            app, models = self._slots.versions(self._slots.current)
            self._tell(
                JobExecution(
                    job=update.job.job,
                    status="IN_PROGRESS",
                    step=STEPS[update.phase],
                    reason=update.reason,
                    number=update.number,
                    app=app,
                    models=models,
                )
            )
        return update

    def _write(self) -> None:
        try:
            save(self.folder, self._record)
        except OSError as error:
            raise disk_error(error, str(self.folder / "state.json")) from None

    def _tell(self, execution: JobExecution) -> None:
        """What the fleet is told is said again by the next step; it holds nothing up."""
        try:
            self._exchange.tell(execution)
        except OSError as error:
            log.warning("%s", disk_error(error, str(self._exchange.folder)))

    def _say_installed(self) -> None:
        try:
            self._exchange.installed(*self._slots.versions(self._slots.current))
        except OSError as error:
            log.warning("%s", disk_error(error, str(self._exchange.folder)))


def _at(update: Update, phase: Phase, **changes: Any) -> Update:
    """The update with its next step."""
    return Update.model_validate({**dict(update), "phase": phase, **changes})


def _is(archive: Path, release: Release) -> bool:
    """Whether what was downloaded, perhaps before a power cut, still is what was signed."""
    try:
        with open(os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == release.sha256
    except OSError:
        return False


def _boot() -> str:
    """Of the machine (random(4))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
