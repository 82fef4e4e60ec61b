"""kill -9 of the updater at random instants, until each update has ended one way or the other.

The updater is the real one, in its sandbox, with a signed repository on a local web server; the two
services only stand for themselves. After every kill, and at each end, what lies on the disk is
examined: each link leads to a whole slot, file by file, or does not exist.

With `power`, the updater's folders lie on an ext4 image, which is copied at the instant, as it is,
and used instead from then on: what no fsync had put there is gone.
"""

from __future__ import annotations

import functools
import http.server
import json
import random
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.files import write_atomically
from agent.base.report import Job, JobExecution, from_json, to_json
from agent.base.report.job import JobKind
from agent.base.settings_file import as_toml, parse
from agent.host.launch import CONFIRMED, CURRENT, SLOTS
from agent.update import state
from agent.update.slots import tree
from tools.common.errors import ToolError
from tools.common.files import save_json
from tools.common.machine import machine
from tools.robustness.power.image import Image
from tools.robustness.update import releases
from tools.robustness.update.device import Services
from tools.robustness.update.repository import SignedRepository
from tools.robustness.update.updater import RunningUpdater

_BASE = "0.1.0"
_KILLS = 4
"""Of one update, at most."""
_AIMED = 0.5
"""Share of kills that wait for a step drawn at random, instead of a time."""
_BAD = 0.3
"""Share of releases that do not start and have to be taken back."""
_MODELS = 0.25
_PATIENCE = 60.0
"""Seconds that an update may take to its end once it is left alone."""

Progress = Callable[[int, str], None]


@dataclass(slots=True)
class _Tally:
    updates: int = 0
    kills: int = 0
    groups: int = 0
    """Kills of the whole process group."""
    steps: Counter[str] = field(default_factory=Counter)
    """Kills by the step that was going on."""
    ends: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds from a job to its end, kills and all."""
    violations: list[str] = field(default_factory=list)


def run(
    times: int,
    seed: int | None = None,
    keep: Path | None = None,
    progress: Progress = lambda done, word: None,
    *,
    power: bool = False,
) -> tuple[dict[str, Any], Path | None]:
    """Kill `times` updates, or cut their power; the report, in which `passed` is the verdict, and
    where the evidence is, if it was kept. Raises `ToolError`."""
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    folder = keep or Path(tempfile.mkdtemp(prefix="fleeting-update-"))
    folder.mkdir(parents=True, exist_ok=True)
    place = machine()
    begun = time.monotonic()
    with _Campaign(folder, random.Random(seed), power) as campaign:
        while campaign.tally.updates < times and not campaign.tally.violations:
            campaign.update()
            progress(campaign.tally.updates, f"{campaign.tally.kills} kills")
    tally = campaign.tally
    report = {
        "what": "update",
        "power": power,
        "machine": place,
        "seed": seed,
        "updates": tally.updates,
        "kills": tally.kills,
        "group_kills": tally.groups,
        "steps": dict(sorted(tally.steps.items())),
        "ends": dict(sorted(tally.ends.items())),
        "neither": len(tally.violations),
        "longest": round(tally.longest, 1),
        "service_starts": campaign.starts,
        "seconds": round(time.monotonic() - begun, 1),
        "violations": tally.violations,
        "passed": not tally.violations,
    }
    if keep is None and report["passed"]:
        shutil.rmtree(folder)
        return report, None
    save_json(folder / "report.json", report)
    return report, folder


class _Campaign:
    """A device, its repository, and the updates so far; a context manager."""

    def __init__(self, folder: Path, chance: random.Random, power: bool) -> None:
        self.tally = _Tally()
        self._chance = chance
        self._stack = ExitStack()
        self._image = Image(folder) if power else None
        disk = self._image.place if self._image is not None else folder
        self._place, self._exchange = disk / "device", disk / "exchange"
        self._base, self._alive = folder / "base", folder / "alive"
        for each in (self._place, self._base, self._alive, self._exchange):
            each.mkdir(mode=0o755)
        first = releases.small(_BASE, 0)
        releases.write(first, self._base)
        self._needs = releases.base_of(first)
        self._repository = SignedRepository(folder / "repository")
        self._archive = folder / "release.tar.gz"
        self._settings, self._log = folder / "fleeting.toml", folder / "updater.log"
        self._services = Services(self._place, self._base, self._alive)
        self._before = 0
        """Starts of services before the last power cut."""
        self._files: releases.Files = first
        """Of what is in force."""
        self._number = 0
        self._span = 1.0
        """Seconds that an update takes that nobody kills."""

    @property
    def starts(self) -> int:
        return self._before + self._services.starts

    def __enter__(self) -> _Campaign:
        handler = functools.partial(_Quiet, directory=str(self._repository.folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        settings = {
            "update": {
                "url": f"http://127.0.0.1:{server.server_address[1]}",
                "root": str(self._repository.root),
                "folder": str(self._place),
                "exchange": str(self._exchange),
            }
        }
        self._settings.write_text(as_toml(parse(settings, "the update test")), encoding="utf-8")
        self._services.__enter__()
        for _ in range(2):  # the first one loads libraries
            begun = time.monotonic()
            _, files, job = self._release(bad=False, kind="app")
            self._finish(job)
            self._span = time.monotonic() - begun
            self._files = files
            self._judge(job, files, "new")
        if self.tally.violations:
            raise ToolError(f"The updater does not work here: {self.tally.violations[0]}.")
        return self

    def __exit__(self, *_: object) -> None:
        self._services.__exit__()
        if self._image is not None:
            self._image.close()
        self._stack.close()

    def update(self) -> None:
        """One update, killed at least once."""
        bad = self._chance.random() < _BAD
        kind: JobKind = "models" if self._chance.random() < _MODELS else "app"
        before = self._files
        begun = time.monotonic()
        _, after, job = self._release(bad=bad and kind == "app", kind=kind)
        kills = 0
        for _ in range(self._chance.randint(1, _KILLS)):
            kills += self._kill(before, after)
            if self._ended(job):
                break
        self._finish(job)
        self.tally.longest = max(self.tally.longest, time.monotonic() - begun)
        if kills:
            self.tally.updates += 1
        wanted = "old" if bad and kind == "app" else "new"
        self._files = before if wanted == "old" else after
        self._judge(job, self._files, wanted)

    def _release(self, *, bad: bool, kind: JobKind) -> tuple[str, releases.Files, Job]:
        """Sign a release and ask for it; what a slot holds once it is installed."""
        self._number += 1
        version = f"0.{1 + self._number // 1000}.{1 + self._number % 1000}"
        made = releases.small(version, self._number, kind)
        releases.pack(made, self._archive)
        self._repository.add(kind, version, self._archive, _BASE, self._needs)
        if bad:
            self._services.bad.add(version)
        whole = made if kind == "app" else {
            **{name: data for name, data in self._files.items() if not name.startswith("models/")},
            **made,
        }  # fmt: skip
        job = Job(job=secrets.token_hex(8), kind=kind, version=version)
        write_atomically(self._exchange / "job.json", to_json(job))
        return version, whole, job

    def _kill(self, before: releases.Files, after: releases.Files) -> int:
        """Start the updater and kill it at a random instant; 0 where it ended before."""
        updater = RunningUpdater(self._settings, self._base, self._alive, self._log)
        if self._chance.random() < _AIMED:
            step = self._chance.choice(list(state.STEPS))
            until = time.monotonic() + self._span
            while not updater.ended and time.monotonic() < until and self._phase() != step:
                time.sleep(0.002)
            time.sleep(self._chance.uniform(0.0, 0.05))
        else:
            updater.wait(self._chance.uniform(0.0, self._span))
        if updater.ended:
            return 0
        phase = self._phase() or "before"
        whole_group = self._image is not None or self._chance.random() < 0.5
        if self._image is not None:
            updater.stop()
            self._image.copy()
        updater.kill(whole_group)
        if self._image is not None:
            self._start_again(self._image)
        self.tally.kills += 1
        self.tally.groups += whole_group
        self.tally.steps[phase] += 1
        self._examine((before, after), f"after a kill during {phase}")
        return 1

    def _start_again(self, image: Image) -> None:
        """The machine starts from the copied image; what was in memory is gone."""
        self._services.__exit__()
        image.use_copy()
        for each in self._alive.iterdir():
            each.unlink()
        services = Services(self._place, self._base, self._alive)
        services.bad = self._services.bad
        self._before += self._services.starts
        self._services = services.__enter__()

    def _finish(self, job: Job) -> None:
        """Start the updater again until the job has ended."""
        until = time.monotonic() + _PATIENCE
        while not self._ended(job):
            left = until - time.monotonic()
            if left <= 0:
                self.tally.violations.append(f"job {job.job} did not end ({self._phase()})")
                return
            updater = RunningUpdater(self._settings, self._base, self._alive, self._log)
            if updater.wait(left) is None:
                updater.kill(whole_group=True)

    def _ended(self, job: Job) -> bool:
        found = self._progress()
        return (
            found is not None
            and found.job == job.job
            and found.status not in ("QUEUED", "IN_PROGRESS")
            and self._phase() is None
        )

    def _progress(self) -> JobExecution | None:
        try:
            return from_json(JobExecution, (self._exchange / "progress.json").read_bytes())
        except OSError:
            return None

    def _phase(self) -> str | None:
        record = state.load(self._place)
        return record.update.phase if record is not None and record.update is not None else None

    def _examine(self, allowed: tuple[releases.Files, ...], when: str) -> None:
        """Each link leads to a whole slot, of a version that it may be, or does not exist; and the
        record can be read."""
        found = self.tally.violations
        trees = {releases.tree_of(each) for each in allowed}
        for link in (CURRENT, CONFIRMED):
            path = self._place / link
            if not path.is_symlink():
                continue
            target = str(path.readlink())
            if target not in SLOTS:
                found.append(f"{link} leads to {target!r} {when}")
                continue
            try:
                if tree(self._place / target) not in trees:
                    found.append(f"{link} leads to a slot of neither version {when}")
            except OSError as error:
                found.append(f"{link} leads nowhere {when}: {error}")
        if state.load(self._place) is None:
            found.append(f"the record cannot be read {when}")

    def _judge(self, job: Job, files: releases.Files, wanted: str) -> None:
        """The job has ended; what is in force is whole, what was said of it is so, and the services
        run it."""
        found, progress = self.tally.violations, self._progress()
        when = f"at the end of job {job.job}"
        self._examine((files,), when)
        status = {"new": "SUCCEEDED", "old": "FAILED"}[wanted]
        if progress is None or (progress.job, progress.status) != (job.job, status):
            found.append(f"{when} the fleet is told {progress}")
            return
        if wanted == "old" and (progress.step, progress.reason) != ("ROLLED_BACK", "crashed"):
            found.append(f"{when} the fleet is told {progress}")
        links = [
            str(path.readlink()) if (path := self._place / link).is_symlink() else ""
            for link in (CURRENT, CONFIRMED)
        ]
        if links[0] != links[1]:
            found.append(f"{when} the links are {links}")
        version = releases.version_of(files)
        if self._services.versions != {version}:
            found.append(f"{when} {self._services.versions} run instead of {version}")
        installed = json.loads((self._exchange / "installed.json").read_bytes())
        if installed["app"] != version:
            found.append(f"{when} {installed} is told, and {version} runs")
        self.tally.ends["rolled back" if wanted == "old" else "updated"] += 1


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
