"""Which release on a stick is newer than what is in force. Names only; whether it may be installed
is the repository's to say, as over the network."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from pathlib import Path

from agent.base.report.job import Job, JobKind

_ARCHIVE = re.compile(
    r"(?:[0-9a-f]{64}\.)?(app|models)-((?:0|[1-9][0-9]{0,3})(?:\.(?:0|[1-9][0-9]{0,3})){2})\.tar\.gz"
)
"""With TUF's consistent snapshots a target's name begins with its hash."""
_MAX_FILES = 1_000


def newest(media: Path, app: str, models: str, ended: frozenset[str]) -> Job | None:
    """The newest release on the stick, of the package if there is a newer one, else of the models.
    `ended`: jobs that are not to be tried again. Never raises."""
    found: dict[JobKind, list[tuple[int, ...]]] = {"app": [], "models": []}
    for kind, versions in found.items():
        try:
            with os.scandir(media / "targets" / kind) as entries:
                for entry in itertools.islice(entries, _MAX_FILES):
                    match = _ARCHIVE.fullmatch(entry.name)
                    if match is not None and match[1] == kind:
                        versions.append(_numbers(match[2]))
        except OSError:
            continue
    for kind, installed in (("app", app), ("models", models)):
        for numbers in sorted(found[kind], reverse=True):
            if numbers <= _numbers(installed):
                break
            version = ".".join(map(str, numbers))
            job = hashlib.sha256(f"media {kind} {version}".encode()).hexdigest()[:16]
            if job not in ended:
                return Job(job=job, kind=kind, version=version)
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))
