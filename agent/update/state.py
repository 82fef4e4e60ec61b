"""What the updater remembers: how far an update is, and how those before it ended.

One file, replaced before each step, so that whoever finds it after a kill or a power cut knows
which step was begun. The fleet is told a coarser word (`JobExecution`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agent.base.files import read_regular_file, write_atomically
from agent.base.report import from_json, to_json
from agent.base.report.base import ClosedModel, Hash64, Software
from agent.base.report.job import Job, JobExecution, JobReason, JobStep

FILE = "state.json"
REMEMBERED = 32
"""Ended jobs, which are not begun again."""
_MAX_BYTES = 65_536

Phase = Literal[
    "downloading",
    "downloaded",
    "unpacked",
    "verified",
    "updating",
    "updated",
    "soaking",
    "confirming",
    "rolling_back",
]
"""The step that was begun: `downloaded`: the archive is unpacked into a slot; `unpacked`: the slot
tests itself; `verified`: all is ready, and may still be taken back; `updating`: the link is
switched and the services are restarted; `updated`, `soaking`: both run, and are watched;
`confirming`: they did well; `rolling_back`: they did not, or never came."""
STEPS: dict[Phase, JobStep] = {
    "downloading": "DOWNLOADING",
    "downloaded": "DOWNLOADED",
    "unpacked": "DOWNLOADED",
    "verified": "VERIFIED",
    "updating": "UPDATING",
    "updated": "UPDATED",
    "soaking": "SOAKING",
    "confirming": "SOAKING",
    "rolling_back": "ROLLED_BACK",
}
SWITCHED: frozenset[Phase] = frozenset(
    {"updating", "updated", "soaking", "confirming", "rolling_back"}
)
"""From here on an update is finished, one way or the other."""
Openings = tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], ...]
SlotName = Literal["a", "b", "base"]


class Before(ClosedModel):
    """What was in force when the services were about to be switched."""

    slot: SlotName
    app: Software
    models: Software
    perceive: Openings | None
    """What its sandbox did not refuse; null: not known."""
    uplink: Openings | None
    connected: bool
    """Whether the uplink was connected to its broker."""


class Release(ClosedModel):
    """The update's target, as signed metadata had it."""

    path: Annotated[str, Field(max_length=200)]
    floor: Software
    base: Hash64
    length: Annotated[int, Field(ge=0)]
    sha256: Hash64


class Update(ClosedModel):
    """An update that is going on."""

    job: Job
    media: bool
    """From a stick, not asked for by the fleet."""
    phase: Phase
    number: Annotated[int, Field(ge=0, le=255)]
    """Of the last report."""
    reason: JobReason | None
    release: Release | None
    slot: Literal["a", "b"] | None
    """Where it is."""
    tree: Hash64 | None
    """Over the slot's files."""
    before: Before | None
    boot: Annotated[str, Field(pattern=r"^[0-9a-f-]{0,36}$")]
    """Of the machine, when it was last looked at after the switch."""
    boots: Annotated[int, Field(ge=0, le=100)]
    """Starts of the machine since the switch."""


class Record(ClosedModel):
    """The whole file."""

    v: Literal[1] = 1
    update: Update | None = None
    ended: tuple[JobExecution, ...] = ()
    """Oldest first."""

    def ending(self, job: str) -> JobExecution | None:
        """How the job of this id ended; None where it did not, or too long ago."""
        return next((each for each in self.ended if each.job == job), None)

    def end(self, execution: JobExecution) -> Record:
        """With this update ended."""
        others = [each for each in self.ended if each.job != execution.job]
        return Record(ended=(*others, execution)[-REMEMBERED:])


def load(folder: Path) -> Record | None:
    """The record; an empty one where there is none yet; None where it cannot be used."""
    try:
        data = read_regular_file(folder / FILE, _MAX_BYTES)
    except FileNotFoundError:
        return Record()
    except OSError:
        return None
    return from_json(Record, data)


def save(folder: Path, record: Record) -> None:
    """Replace the record, on the disk when this returns. Raises `OSError`."""
    write_atomically(folder / FILE, to_json(record), 0o600)
