"""The process that looks at one film: reads it, writes its folder, reaches nothing else.

    echo JOB | python -P -m agent.desk.films.worker

A job is one line of JSON; so is each answer: how far it is, at last what was found, or an error.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from agent.base.config import AgentConfig
from agent.base.errors import AgentError
from agent.base.names import one_line
from agent.desk.films.subtitles import beside
from agent.perceive.start import enter_report

_EVERY = 0.3
"""Seconds between two answers on how far it is."""


class Job(NamedTuple):
    """What a worker is given."""

    film: str
    label: str
    page: str
    folder: str
    """Made already, empty."""
    config: str
    """JSON of the configuration."""
    frames: bool
    """Whether the page is to hold pictures."""
    pdf: bool


def main() -> int:
    """Do the job on stdin; the exit code is 0 where the folder is complete."""
    job = Job(**json.loads(sys.stdin.readline()))
    config = AgentConfig.model_validate_json(job.config)
    film, folder = Path(job.film), Path(job.folder)
    try:
        subtitles = beside(film)
        enter_report([film, *([subtitles] if subtitles else [])], folder, config)
        entry = work(job, config)
    except AgentError as error:
        _say({"error": one_line(error)})
        return 1
    except MemoryError:
        _say({"error": f"{job.label} takes more memory than there is."})
        return 1
    _say({"entry": entry})
    return 0


def work(job: Job, config: AgentConfig) -> dict[str, Any]:
    """Look at the film and write the folder; returns the index's entry. Raises `AgentError`."""
    from agent.base.errors import StoreError

    # imported in the sandbox: they start threads; the compiler first, see there
    import agent.kernels.compiler  # noqa: F401  # isort: skip
    from agent.desk.films.analyse import analyse
    from agent.desk.films.findings import entry, find
    from agent.desk.films.write import write

    last = 0.0

    def progress(done: int, of: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            _say({"done": done, "of": of})

    film, size = Path(job.film), 0
    with contextlib.suppress(OSError):  # `analyse` says what is wrong
        size = film.stat().st_size  # it may grow, or go, meanwhile
    found = find(analyse(film, config, progress, Path(job.folder)), config)
    pictures = []
    if job.frames:
        from agent.desk.films.stills import stills

        pictures = stills(film, config, found.highlights)
    _say({"writing": True})
    try:
        write(found, job.label, job.page, size, Path(job.folder), pictures, pdf=job.pdf)
    except OSError as error:
        raise StoreError(f"{job.folder} cannot be written: {error.strerror}.") from None
    return entry(found)


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
