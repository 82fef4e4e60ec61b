"""The update repository as this device sees it: finds a target, and downloads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.base.clock import WallClock
from agent.base.config import UpdateConfig
from agent.base.report.job import JobKind


@dataclass(frozen=True, slots=True)
class Target:
    """A release as the repository's signed metadata lists it, checked."""

    path: str
    """In the repository: `{kind}/{kind}-{version}.tar.gz`."""
    kind: JobKind
    version: str
    floor: str
    """Lowest version that this device may go back to once this release is confirmed."""
    base: str
    """SHA-256, hexadecimal, of the requirements.txt whose libraries it needs."""
    length: int
    """Bytes."""
    sha256: str
    """Hexadecimal."""


class Repository:
    """A TUF repository, over the network or on a stick."""

    def __init__(
        self,
        config: UpdateConfig,
        state_folder: Path,
        media: Path | None = None,
        clock: WallClock | None = None,
        *,
        base: str | None = None,
        patience: float = 120.0,
    ) -> None:
        """`state_folder`: where trusted metadata and floors are kept. `media`: folder of a stick
        with a repository, in place of `config.url`. `base`: SHA-256, hexadecimal, of the
        requirements.txt whose libraries are installed; null: that beside the running package.
        `patience`: seconds to wait for a trusted clock. Raises `UpdateError`."""
        raise NotImplementedError

    def find(self, kind: JobKind, version: str) -> Target:
        """The release of that kind and version, from metadata fetched anew. Raises
        `UpdateError`."""
        raise NotImplementedError

    def download(
        self, target: Target, into: Path, progress: Callable[[int, int], None] = lambda *_: None
    ) -> Path:
        """The verified archive in the folder `into`; one that is there already is not fetched
        again. `progress` is told bytes done and in all. Raises `UpdateError`, leaving nothing."""
        raise NotImplementedError

    def raise_floor(self, kind: JobKind, version: str) -> None:
        """From now on nothing below `version` is accepted; never lowers. Call it with a target's
        `floor` once the target is confirmed. Raises `UpdateError`."""
        raise NotImplementedError
