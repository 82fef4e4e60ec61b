"""The folder between the uplink and the updater: which job is asked for, and how far it is.

The uplink writes `job.json`, the updater `progress.json` and `installed.json`. The updater reads
from the network: its files are a stranger's, read with a bound and only in the one form that they
have.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TypeVar

from agent import __version__
from agent.base.errors import StoreError, reason
from agent.base.files import read_regular_file, sync_folder, write_atomically
from agent.base.report import ClosedModel, Installed, Job, JobExecution, from_json, to_json
from agent.base.report.job import INSTALLED, JOB, PROGRESS

log = logging.getLogger(__name__)

_MAX_BYTES = 1024
"""Of one of these files; the longest has 167."""

_Mark = tuple[int, int, int] | None
"""Inode, size and time of a file's last change; None: there is none."""
_Form = TypeVar("_Form", bound=ClosedModel)


class Exchange:
    """One device's exchange folder; nothing but `keep` raises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: tuple[bytes | None, _Mark] | None = None
        """What `job.json` was left as; None: not known yet."""
        self._read: _Mark = None
        self._progress: JobExecution | None = None

    def prepare(self) -> None:
        """Make the folder where that is possible, and remove what a kill left half-written."""
        try:
            self._folder.mkdir(mode=0o770, parents=True, exist_ok=True)
            for each in self._folder.glob(f".{JOB}.*.tmp"):
                with contextlib.suppress(OSError):
                    each.unlink()
        except OSError as error:
            log.warning(
                "%s cannot be used: %s. Updates wait until it is a folder that this user and the "
                "updater may write.",
                self._folder, reason(error),
            )  # fmt: skip

    def keep(self, job: Job | None) -> None:
        """Let `job.json` hold this job and nothing else; None: let there be no such file. Writes
        only what differs. Raises `StoreError`; the call may be repeated."""
        path, wanted = self._folder / JOB, None if job is None else to_json(job)
        if self._kept == (wanted, _mark(path)):
            return
        try:
            if wanted is not None:
                if self._content(JOB) != wanted:
                    write_atomically(path, wanted)
            elif os.path.lexists(path):
                path.unlink()
                sync_folder(self._folder)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be changed: {reason(error)}. The updater does not learn of a job "
                "before; let this user write there, and free disk space."
            ) from None
        self._kept = wanted, _mark(path)

    def progress(self) -> JobExecution | None:
        """What the updater says; None: nothing, or nothing that it should."""
        mark = _mark(self._folder / PROGRESS)
        if mark != self._read:
            self._read = mark
            self._progress = self._form(PROGRESS, JobExecution)
            if mark is not None and self._progress is None:
                log.warning("%s is not what an updater writes: ignored.", self._folder / PROGRESS)
        return self._progress

    def installed(self) -> Installed:
        """The versions in force; those of this package where the updater says none."""
        found = self._form(INSTALLED, Installed)
        return found or Installed(app=__version__, models=__version__)

    def _form(self, name: str, form: type[_Form]) -> _Form | None:
        data = self._content(name)
        return None if data is None else from_json(form, data)

    def _content(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none that may be read, or it is too long."""
        try:
            data = read_regular_file(self._folder / name, _MAX_BYTES)
        except OSError:
            return None
        return data if len(data) <= _MAX_BYTES else None


def _mark(path: Path) -> _Mark:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
