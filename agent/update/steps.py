"""The steps of an update: what is done in each, and which one comes next.

Each may be begun again: whoever was killed in it finds what it left, and does it once more.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from agent.base.report.job import JobKind
from agent.update.bookkeeper import Bookkeeper
from agent.update.errors import UpdateError
from agent.update.exchange import Exchange
from agent.update.repository import Target
from agent.update.slots import Slots
from agent.update.soak import Stopped, Timing, Wait, expectations, look, wait_until_well
from agent.update.state import Before, Phase, Release, Update

log = logging.getLogger(__name__)

_MAX_BOOTS = 3
"""Starts of the machine after which a slot that has not proved itself is taken back."""
_CANCEL_INTERVAL = 0.5
_STOP_WITHIN = 1.0
"""Seconds from the end of the self-test's processes to the updater's own signal."""


class Source(Protocol):
    """An update repository (`agent.update.repository.Repository`)."""

    def find(self, kind: JobKind, version: str) -> Target: ...

    def download(
        self, target: Target, into: Path, progress: Callable[[int, int], None] = ...
    ) -> Path: ...

    def raise_floor(self, kind: JobKind, version: str) -> None: ...


class CanceledError(Exception):
    """The fleet took the job back, or asks for another one."""


class Steps:
    """The steps of one device."""

    def __init__(
        self,
        slots: Slots,
        exchange: Exchange,
        books: Bookkeeper,
        *,
        source: Callable[[bool], Source],
        self_test: Callable[[Path, Path], None],
        heartbeat: Path,
        timing: Timing,
        wait: Wait,
    ) -> None:
        """`source`, `self_test` and `heartbeat`: as of `Machine`."""
        self._slots = slots
        self._exchange = exchange
        self._books = books
        self._source = source
        self._self_test = self_test
        self._heartbeat = heartbeat
        self._timing = timing
        self._wait = wait
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

    def take(self, update: Update) -> Update | None:
        """Do what its phase says; the update with its next one, or None where it has ended. Raises
        `UpdateError`, `CanceledError`, and `Stopped`."""
        return self._steps[update.phase](update)

    def count_boots(self, update: Update) -> Update:
        """The update with this start of the machine counted. Raises `UpdateError` where there were
        too many since the switch."""
        if update.phase not in ("updating", "updated", "soaking") or update.boot == _boot():
            return update
        counted = update.model_copy(update={"boot": _boot(), "boots": update.boots + 1})
        again = self._books.save(counted)
        if again.boots >= _MAX_BOOTS:
            raise UpdateError("crashed", "The machine restarted too often under the new version.")
        return again

    def discard(self, update: Update) -> None:
        """What a job leaves that came to nothing. Never raises."""
        if update.slot is not None:
            self._slots.discard(update.slot)
        self._slots.discard_download()

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

        source.download(target, self._slots.downloads, progress)
        return _at(update, "downloaded", release=release)

    def _unpack(self, update: Update) -> Update:
        """Make a slot of it."""
        self._stop_where_canceled(update)
        release, job = update.release, update.job
        assert release is not None
        archive = self._slots.downloads / f"{job.kind}-{job.version}.tar.gz"
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
        try:
            self._self_test(self._slots.root(update.slot), self._slots.root(self._slots.current))
        except UpdateError:
            # A service manager ends the test's processes in the same instant as the updater: that
            # says nothing about the release.
            if self._wait(_STOP_WITHIN):
                raise Stopped from None
            raise
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
        self._books.ask_for_restart()
        self._watch(update, 0.0)
        self._slots.discard_download()
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
            ask_again=lambda: self._books.ask_for_restart(again=True),
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
        self._books.end(update, "SUCCEEDED", None)

    def _roll_back(self, update: Update) -> None:
        """Back to what was in force before, and wait until it is well."""
        assert update.before is not None
        self._slots.switch(update.before.slot)
        self._books.ask_for_restart()
        self._books.say_installed()
        still = wait_until_well(
            self._heartbeat,
            expectations(
                update.before.slot, self._slots.link, update.before.app, None, limited=False
            ),
            0.0,
            self._timing,
            self._wait,
            ask_again=lambda: self._books.ask_for_restart(again=True),
            within=self._timing.recover,
        )
        if still is not None:
            log.error("What was in force before is not well either (%s).", still)
        self.discard(update)
        self._books.end(update, "FAILED", update.reason or "internal")

    def _is_whole(self, update: Update) -> bool:
        return (
            update.slot is not None
            and update.tree is not None
            and self._slots.whole(update.slot, update.tree)
        )

    def _stop_where_canceled(self, update: Update) -> None:
        """Raises `CanceledError`."""
        if update.media:
            return
        wanted = self._exchange.job()
        if wanted is None or wanted.job != update.job.job:
            raise CanceledError


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
