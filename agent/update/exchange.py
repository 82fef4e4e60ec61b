"""The folder that the uplink and the updater share: `job.json` is the uplink's, `progress.json` and
`installed.json` are the updater's. Each takes the other's file for hostile."""

from __future__ import annotations

import contextlib
from pathlib import Path

from agent.base.files import read_regular_file, remove_leftovers, write_atomically
from agent.base.report import Installed, Job, JobExecution, from_json, to_json
from agent.base.report.job import INSTALLED, JOB, PROGRESS

_MAX_BYTES = 4_096


class Exchange:
    """One such folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def job(self) -> Job | None:
        """What the fleet asks for now; None for nothing, and for what is no job."""
        try:
            return from_json(Job, read_regular_file(self.folder / JOB, _MAX_BYTES))
        except OSError:
            return None

    def tell(self, execution: JobExecution) -> None:
        """How far the job is. Raises `OSError`."""
        self._put(PROGRESS, to_json(execution))

    def installed(self, app: str, models: str) -> None:
        """What is in force. Raises `OSError`."""
        self._put(INSTALLED, to_json(Installed(app=app, models=models)))

    def remove_leftovers(self) -> None:
        """What a power cut in the middle of writing has left."""
        for name in (PROGRESS, INSTALLED):
            remove_leftovers(self.folder / name)

    def _put(self, name: str, data: bytes) -> None:
        path = self.folder / name
        with contextlib.suppress(OSError):
            if read_regular_file(path, _MAX_BYTES) == data:
                return
        write_atomically(path, data)
