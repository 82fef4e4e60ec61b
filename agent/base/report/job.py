"""Jobs of a fleet: which update a device is to install, and what became of it. Closed.

States and steps are those of AWS IoT Jobs ("Job execution status", AWS IoT Core Developer Guide):
a fleet that knows them finds the same words here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.base.report.base import ClosedModel, Hash16, Software, Utc

JobKind = Literal["app", "models"]
"""What is replaced: the package with its models, or the models alone."""
JobState = Literal[
    "QUEUED",
    "IN_PROGRESS",
    "SUCCEEDED",
    "FAILED",
    "TIMED_OUT",
    "REJECTED",
    "REMOVED",
    "CANCELED",
]
"""As a fleet stores it. A device itself never says TIMED_OUT or REMOVED."""
TERMINAL = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "REMOVED", "CANCELED"})
JobStep = Literal[
    "DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED", "SOAKING", "ROLLED_BACK"
]
JobReason = Literal[
    "off",
    "malformed",
    "busy",
    "expired",
    "clock",
    "base",
    "floor",
    "unlisted",
    "untrusted",
    "too_large",
    "kind",
    "no_host",
    "download",
    "disk_full",
    "disk",
    "unpack",
    "model_self_test",
    "sandbox_self_test",
    "no_start",
    "crashed",
    "stalled",
    "unhealthy",
    "canceled",
    "internal",
]
"""Rejected: updates are switched off here; the job is none; another one is going on; its time is
over; no trusted clock, or one that went back; made for other libraries; below the floor; not in the
repository; metadata or target fail their check; longer than said or allowed; target is of another
kind. Failed: update host out of reach; broke off; no space; the disk failed; archive is not as it
must be; a model fails its golden vectors; the sandbox does not hold; a process did not start,
crashed, made no progress, is not well. Canceled: the fleet took the job back in time."""


JOB, PROGRESS, INSTALLED = "job.json", "progress.json", "installed.json"
"""Files in `update.exchange` that hold a `Job`, a `JobExecution` and an `Installed`: the first is
the uplink's, the others are the updater's."""


class Job(ClosedModel):
    """What `job/next` holds, retained; the fleet writes it. An empty message takes it back.

    The target's path in the repository is `{kind}/{kind}-{version}.tar.gz`.
    """

    v: Literal[1] = 1
    job: Hash16
    """Chosen at random by the fleet; also the last level of the topic that answers."""
    kind: JobKind
    version: Software
    expires: Utc | None = None
    """After which it must not be begun; null: never."""

    @property
    def target(self) -> str:
        return f"{self.kind}/{self.kind}-{self.version}.tar.gz"


class Installed(ClosedModel):
    """The versions in force, as the updater's `installed.json` says them."""

    app: Software
    models: Software


class JobExecution(ClosedModel):
    """How far a job is, on `job/{job}`. Said again on each connection until another job comes."""

    v: Literal[1] = 1
    job: Hash16
    status: Literal["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"]
    step: JobStep | None
    """Null before the first; after the end, the last one reached, or ROLLED_BACK."""
    reason: JobReason | None
    number: Annotated[int, Field(ge=0, le=255)]
    """Of this job's reports, counting from 0: a lower one that comes later is old."""
    app: Software
    """The package in force."""
    models: Software
    """The models in force."""
