"""What becomes of a job on a simulated device: the steps of an update, some of which go wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.base.report.base import from_json, to_json
from agent.base.report.job import TERMINAL, Job, JobExecution, JobReason, JobStep
from tools.common.errors import ToolError
from tools.fleet.simulate.bodies import Software

Status = Literal["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"]
_STEPS: tuple[JobStep, ...] = (
    "DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED", "SOAKING",
)  # fmt: skip
_REJECTED: tuple[JobReason, ...] = (
    "off", "clock", "base", "floor", "unlisted", "untrusted", "too_large", "kind",
)  # fmt: skip
_DOWNLOAD: tuple[JobReason, ...] = ("no_host", "download", "disk_full", "disk", "unpack")
_SELF_TEST: tuple[JobReason, ...] = ("model_self_test", "sandbox_self_test")
_ROLLED_BACK: tuple[JobReason, ...] = ("no_start", "crashed", "stalled", "unhealthy")
REASONS = (*_REJECTED, *_DOWNLOAD, *_SELF_TEST, *_ROLLED_BACK)
"""Reasons that a release can be given on the command line."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What share of jobs ends how."""

    rejected: float = 0.0
    failed: float = 0.0
    rolled_back: float = 0.0
    releases: tuple[tuple[str, JobReason, float], ...] = ()
    """Of releases that are bad: `app-1.2.3`, the reason, the share of devices."""
    step: float = 1.0
    """Seconds that a step takes on average."""
    soak: float = 5.0
    """Seconds of soak."""

    def draw(self, job: Job, chance: random.Random) -> JobReason | None:
        """Why this job will not succeed; None: it will."""
        for name, reason, share in self.releases:
            if name == f"{job.kind}-{job.version}" and chance.random() < share:
                return reason
        drawn = chance.random()
        for share, reasons in (
            (self.rejected, _REJECTED),
            (self.failed, (*_DOWNLOAD, *_SELF_TEST)),
            (self.rolled_back, _ROLLED_BACK),
        ):
            if drawn < share:
                return chance.choice(reasons)
            drawn -= share
        return None


def parse_outcomes(rates: str, releases: Sequence[str], step: float, soak: float) -> Outcomes:
    """`rejected=0.01,failed=0.02,rolled_back=0.01` and `app-1.2.3=crashed:0.5`. Raises
    `ToolError`."""
    shares: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in rates.split(","))):
        name, _, value = part.partition("=")
        if name not in ("rejected", "failed", "rolled_back"):
            raise ToolError(f"--jobs {part!r}: one of rejected, failed, rolled_back =SHARE.")
        shares[name] = _share(f"--jobs {part!r}", value)
    if sum(shares.values()) > 1:
        raise ToolError(f"--jobs {rates!r}: the shares come to more than 1.")
    bad: list[tuple[str, JobReason, float]] = []
    for each in releases:
        name, _, rest = each.partition("=")
        reason, _, value = rest.partition(":")
        if reason not in REASONS:
            raise ToolError(f"--release {each!r}: KIND-VERSION=REASON[:SHARE], a reason being one "
                            f"of {', '.join(REASONS)}.")  # fmt: skip
        bad.append((name, reason, _share(f"--release {each!r}", value or "1")))
    return Outcomes(**shares, releases=tuple(bad), step=step, soak=soak)


class JobRunner:
    """The job of one device. `advance` is called when `wait` seconds have passed."""

    __slots__ = ("_before", "_chance", "_fails", "_job", "_next", "_noticed", "_number",
                 "_outcomes", "_reason", "_status", "_step", "software", "wait")  # fmt: skip

    def __init__(self, software: Software, outcomes: Outcomes, chance: random.Random) -> None:
        self.software = self._before = self._noticed = software
        self.wait: float | None = None
        """Seconds to the next step; None: nothing goes on."""
        self._outcomes, self._chance = outcomes, chance
        self._job: Job | None = None
        self._next: Job | None = None
        """What came after it was too late to give up the one that goes on."""
        self._status: Status = "QUEUED"
        self._step: JobStep | None = None
        self._reason: JobReason | None = None
        self._fails: JobReason | None = None
        self._number = 0

    @property
    def execution(self) -> tuple[str, bytes] | None:
        """Job and canonical bytes, as it stands; None: no job ever came."""
        if self._job is None:
            return None
        return self._job.job, to_json(JobExecution(
            job=self._job.job, status=self._status, step=self._step, reason=self._reason,
            number=self._number, app=self.software.app, models=self.software.models,
        ))  # fmt: skip

    @property
    def changed(self) -> bool:
        """Whether other software is in force than `noticed` was told of."""
        return self.software != self._noticed

    def noticed(self) -> None:
        """What is in force was taken note of."""
        self._noticed = self.software

    def receive(self, body: bytes, utc: float) -> list[tuple[str, bytes]]:
        """What `job/next` holds now; returns what is to be said of it."""
        job = from_json(Job, body) if body else None
        if body and job is None:
            return []
        if job is not None and self._job is not None and job.job == self._job.job:
            self._next = None
            return self._said()
        going = self._job is not None and self._status not in TERMINAL
        said: list[tuple[str, bytes]] = []
        if going and self._step in ("UPDATING", "UPDATED", "SOAKING"):
            self._next = job
            return []
        if going:
            said += self._say("CANCELED", self._step, "canceled")
        return said + (self._begin(job, utc) if job is not None else [])

    def advance(self, utc: float) -> list[tuple[str, bytes]]:
        """Take the next step; returns what is to be said."""
        if self._job is None or self._status in TERMINAL:
            self.wait = None
            return []
        said = self._take_step(self._job)
        if self._status in TERMINAL and self._next is not None:
            job, self._next = self._next, None
            said += self._begin(job, utc)
        return said

    def _begin(self, job: Job, utc: float) -> list[tuple[str, bytes]]:
        self._job, self._number, self._step, self._reason = job, 0, None, None
        self._fails = self._outcomes.draw(job, self._chance)
        if job.expires is not None and job.expires < utc:
            self._fails = "expired"
        self.wait = self._delay()
        self._status = "QUEUED"
        return self._said()

    def _take_step(self, job: Job) -> list[tuple[str, bytes]]:
        fails, step = self._fails, self._step
        if step is None:
            if fails in ("expired", *_REJECTED):
                return self._say("REJECTED", None, fails)
            return self._say("IN_PROGRESS", _STEPS[0])
        if fails in _DOWNLOAD or (fails in _SELF_TEST and step == "VERIFIED"):
            return self._say("FAILED", step, fails)
        if step == "SOAKING":
            if fails is None:
                return self._say("SUCCEEDED", step)
            self.software = self._before
            return self._say("FAILED", "ROLLED_BACK", fails)
        following = _STEPS[_STEPS.index(step) + 1]
        if following == "UPDATED":
            app = job.version if job.kind == "app" else self.software.app
            self._before, self.software = self.software, Software(app, job.version)
        said = self._say("IN_PROGRESS", following)
        if following == "SOAKING":
            self.wait = self._outcomes.soak
        return said

    def _say(
        self, status: Status, step: JobStep | None, reason: JobReason | None = None
    ) -> list[tuple[str, bytes]]:
        self._status, self._step, self._reason = status, step, reason
        self._number = min(self._number + 1, 255)
        self.wait = None if status in TERMINAL else self._delay()
        return self._said()

    def _said(self) -> list[tuple[str, bytes]]:
        found = self.execution
        return [found] if found else []

    def _delay(self) -> float:
        return self._chance.uniform(0.5, 1.5) * self._outcomes.step


def _share(where: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ToolError(f"{where}: {value!r} is no share of 0 to 1.")
    return share
