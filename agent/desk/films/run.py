"""`fleeting report`: films to pages, tables and an index."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import Progress, TaskID

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.files import write_atomically
from agent.base.names import one_line
from agent.base.settings_file import parse
from agent.desk.films import index, tables
from agent.desk.films.crew import Crew, Outcome
from agent.desk.films.find import Film, Found, find
from agent.desk.films.keep import Keeper, settings_hash
from agent.desk.films.worker import Job
from agent.desk.films.write import HTML
from agent.desk.trace.output import progress_bar
from agent.inference.manifest import load_manifest, models_folder
from agent.privacy.policy.rules import resolve


def report(args: argparse.Namespace, config: AgentConfig | None) -> int:
    """Look at the films and write the folder; 0 where all of them could be looked at, else 1.

    `config`: None is the demo profile (no noise), since nothing is published. Raises `ConfigError`,
    `CaptureError` for a camera, `ModelError`, `StoreError`.
    """
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError("--jobs takes a number of 1 and more.")
    config = config or parse({"privacy": {"policy": "demo"}}, "the demo profile")
    resolve(config, live=False)
    models = load_manifest(models_folder(config.models), config.model_set).hash16
    found = find(args.paths, args.out)
    pdf = not args.no_pdf
    settings = settings_hash(config, models, frames=args.with_frames, pdf=pdf)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # workers end too
    try:
        with Keeper(args.out, settings) as keeper:
            run = _Run(keeper, config, found, args)
            run.all()
            return run.conclude()
    finally:
        signal.signal(signal.SIGTERM, before)


class _Run:
    def __init__(
        self, keeper: Keeper, config: AgentConfig, found: Found, args: argparse.Namespace
    ) -> None:
        self._keeper, self._found = keeper, found
        self._config = config.model_dump_json()
        self._frames, self._pdf, self._as_json = args.with_frames, not args.no_pdf, args.json
        self._jobs = args.jobs or len(os.sched_getaffinity(0))
        self._rows: dict[str, index.Entry] = {}
        """By page."""
        self._films = {film.page: film for film in found.films}
        self._work: dict[str, tuple[Path, str]] = {}

    def all(self) -> None:
        """Look at every film that is not done."""
        for label, error in self._found.problems:
            self._rows[f"problem {len(self._rows)}"] = index.Entry(label, "", None, error)
            self._tell(label, "failed", error=error)
        due: list[Film] = []
        for film in self._found.films:
            entry = self._keeper.done(film)
            if entry is None:
                due.append(film)
            else:
                self._rows[film.page] = index.Entry(film.label, film.page, entry, unchanged=True)
                self._tell(film.label, "unchanged", film.page, entry)
        with progress_bar() as progress:
            total = progress.add_task("films", total=len(self._found.films))
            progress.advance(total, len(self._found.films) - len(due))
            tasks: dict[str, TaskID] = {}

            def note(job: Job, done: int, of: int | None) -> None:
                if job.page not in tasks:
                    tasks[job.page] = progress.add_task(f"  {escape(job.label[-40:])}", total=of)
                progress.update(tasks[job.page], completed=done)

            def ended(outcome: Outcome) -> None:
                if task := tasks.pop(outcome.job.page, None):
                    progress.remove_task(task)
                progress.advance(total)
                self._take(outcome, progress)

            crew = Crew(min(self._jobs, max(len(due), 1)), note)
            crew.run(map(self._job, due), ended)

    def _job(self, film: Film) -> Job:
        place, seal = self._keeper.begin(film)
        self._work[film.page] = place, seal
        return Job(
            str(film.path.absolute()), film.label, film.page, str(place.absolute()), self._config,
            self._frames, self._pdf,
        )  # fmt: skip

    def _take(self, outcome: Outcome, progress: Progress) -> None:
        film = self._films[outcome.job.page]
        place, seal = self._work.pop(film.page)
        entry, error = outcome.entry, outcome.error
        if entry is not None:
            try:
                self._keeper.put(film, place, seal, entry)
            except StoreError as failure:
                entry, error = None, one_line(failure)
        if entry is None:
            self._keeper.drop(film, place)
            self._keeper.drop(film)
            if not self._as_json:
                progress.console.print(f"{escape(film.label)}: {escape(error)}", soft_wrap=True)
        self._rows[film.page] = index.Entry(film.label, film.page, entry, error)
        state = "failed" if entry is None else "done"
        self._tell(film.label, state, film.page, entry, error, outcome.seconds)

    def conclude(self) -> int:
        """Write index and tables; the exit code."""
        ordered = [self._rows[film.page] for film in self._found.films]
        ordered += [row for key, row in self._rows.items() if key not in self._films]
        good = [film for film in self._found.films if self._rows[film.page].entry is not None]
        out = self._keeper.out
        try:
            files = tables.merge(out, [self._keeper.folder(film) for film in good])
            page = index.as_html(ordered, files, self._found.others, pdf=self._pdf)
            write_atomically(out / "index.html", page.encode())
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {error.strerror}.") from None
        failed = len(ordered) - len(good)
        if not self._as_json:
            print(f"{len(good)} films, {failed} failed: {one_line(out / 'index.html')}")
            if not tables.has_parquet():
                print(f"No Parquet: {tables.EXTRA}", file=sys.stderr)
        return 1 if failed else 0

    def _tell(
        self, label: str, state: str, page: str = "", entry: dict[str, Any] | None = None,
        error: str = "", seconds: float | None = None,
    ) -> None:  # fmt: skip
        if not self._as_json:
            return
        place = self._keeper.out / "films" / page / HTML
        line: dict[str, Any] = {"film": label, "state": state}
        if error:
            line["error"] = error
        if entry is not None:
            line |= {"page": one_line(place), **entry}
            line = {k: v for k, v in line.items() if not k.endswith("_course")}
        if seconds is not None:
            line["took"] = round(seconds, 1)
        print(json.dumps(line), flush=True)
