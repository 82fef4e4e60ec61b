"""The update repository as this device sees it: finds a release, and downloads it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, get_args

from tuf.api.exceptions import DownloadHTTPError, LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

import agent
from agent.base.clock import WallClock
from agent.base.config import UpdateConfig
from agent.base.files import read_regular_file, sync_folder
from agent.base.report.job import JobKind
from agent.update.errors import UpdateError, disk_error
from agent.update.fetchers import Fetcher, FolderFetcher, WebFetcher
from agent.update.floors import Floors, order
from agent.update.trust import Trust

MAX_TARGET = 64 * 2**20
"""Bytes of an archive. Package and models have some ten; whoever holds a signing key could else
fill the disk."""
_SPARE = 16 * 2**20
"""Bytes that stay free beside a download."""
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_BASE = re.compile(r"[0-9a-f]{64}")
_REQUIREMENTS_BYTES = 4 * 2**20


class Clock(Protocol):
    """As `WallClock`."""

    def utc(self) -> float | None:
        """UTC seconds; None while the clock is not trusted."""


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
    """A TUF repository, over the network or on a stick. One process at a time: the caller locks."""

    def __init__(
        self,
        config: UpdateConfig,
        state_folder: Path,
        media: Path | None = None,
        clock: Clock | None = None,
        *,
        base: str | None = None,
        patience: float = 120.0,
    ) -> None:
        """`state_folder`: where trusted metadata and floors are kept. `media`: folder of a stick
        with a repository, in place of `config.url`. `base`: SHA-256, hexadecimal, of the
        requirements.txt whose libraries are installed; null: that beside the running package.
        `patience`: seconds to wait for a trusted clock. Raises `UpdateError`."""
        if media is None and not config.url:
            raise UpdateError(
                "off", "No update repository is set. Set update.url, or name a stick's folder."
            )
        self._url, self._media = config.url, media
        self._floors = Floors(state_folder)
        self._trust = Trust(config.root, state_folder / "metadata", self._floors)
        self._clock = clock or WallClock()
        self._base = base
        self._patience = patience

    def find(self, kind: JobKind, version: str) -> Target:
        """The release of that kind and version, from metadata fetched anew. Raises
        `UpdateError`."""
        if kind not in get_args(JobKind) or not _VERSION.fullmatch(version):
            raise UpdateError("malformed", "A release has a kind, app or models, and x.y.z.")
        path = f"{kind}/{kind}-{version}.tar.gz"
        found = self._trust.find(path, self._fetcher, self._now())
        if found is None:
            raise UpdateError(
                "unlisted",
                f"The update repository lists no {path}. Add it: fleeting-fleet repo add.",
            )
        target = _checked(found, kind, version)
        self._refuse(target)
        return target

    def download(
        self, target: Target, into: Path, progress: Callable[[int, int], None] = lambda *_: None
    ) -> Path:
        """The verified archive in the folder `into`; one that is there already is not fetched
        again. `progress` is told bytes done and in all. Raises `UpdateError`, leaving nothing."""
        path = into / f"{target.kind}-{target.version}.tar.gz"
        part = into / f".{path.name}.part"
        try:
            into.mkdir(parents=True, exist_ok=True)
            if _is(target, path):
                progress(target.length, target.length)
                return path
            # What a kill has left; it counts as free space.
            part.unlink(missing_ok=True)
            if shutil.disk_usage(into).free < target.length + _SPARE:
                raise UpdateError(
                    "disk_full", f"{into} has no space for {target.length} bytes. Free some."
                )
            self._fetch(target, part, progress)
            os.replace(part, path)
            sync_folder(into)
        except OSError as error:
            raise disk_error(error, str(into)) from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return path

    def floor(self, kind: JobKind) -> str:
        """The lowest version that may be installed."""
        return self._floors.version(kind)

    def raise_floor(self, kind: JobKind, version: str) -> None:
        """From now on nothing below `version` is accepted; never lowers. Call it with a target's
        `floor` once the target is confirmed. Raises `UpdateError`."""
        self._floors.raise_version(kind, version)

    @cached_property
    def _fetcher(self) -> Fetcher:
        """Not before it is needed: a floor is raised long after the stick has been pulled."""
        return WebFetcher(self._url) if self._media is None else FolderFetcher(self._media)

    def _now(self) -> int:
        """UTC seconds, once the clock is trusted and not behind the last good refresh. Metadata
        expires by it, and a clock that was set back would make old metadata good again. Only a
        refresh whose metadata had not expired moves the floor, so a clock that was far ahead for
        a while does not lock the device out."""
        until = time.monotonic() + self._patience
        while True:
            now = self._clock.utc()
            if now is not None and now >= self._floors.time:
                return int(now)
            if time.monotonic() >= until:
                break
            time.sleep(min(1.0, self._patience / 10))
        why = (
            "it is not synchronised"
            if now is None
            else "it is behind the time of the last good look at the update repository"
        )
        raise UpdateError(
            "clock", f"The clock cannot be trusted: {why}. See that NTP works, then try again."
        )

    def _refuse(self, target: Target) -> None:
        floor = self._floors.version(target.kind)
        if order(target.version) < order(floor):
            raise UpdateError(
                "floor",
                f"{target.kind} {target.version} is below this device's floor {floor}: it does "
                "not go back there. Release that version's content under a higher number.",
            )
        base = self._base or installed_base()
        if target.base != base:
            raise UpdateError(
                "base",
                f"{target.kind} {target.version} needs the libraries of requirements "
                f"{target.base[:8]}, and here those of {base[:8]} are installed. Update the "
                "base installation first.",
            )
        if target.length > MAX_TARGET:
            raise UpdateError(
                "too_large",
                f"{target.path} has {target.length} bytes; at most {MAX_TARGET} are accepted.",
            )

    def _fetch(self, target: Target, part: Path, progress: Callable[[int, int], None]) -> None:
        """Write and verify `part`. Raises `UpdateError`, `OSError`."""
        folder, _, name = target.path.rpartition("/")
        url = f"{self._fetcher.base}targets/{folder}/{target.sha256}.{name}"
        number = os.open(
            part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with open(number, "w+b") as file:
            try:
                self._fetcher.save(url, target.length, file, progress)
                file.seek(0)
                _signed(target).verify_length_and_hashes(file)
            except DownloadHTTPError:
                raise UpdateError(
                    "download", f"The update repository lists {target.path} but has no such file."
                ) from None
            except LengthOrHashMismatchError:
                raise UpdateError(
                    "untrusted",
                    f"{target.path} is not the file that was signed. Nothing was changed. See who "
                    "may write the repository, then publish it anew.",
                ) from None
            file.flush()
            os.fsync(file.fileno())


def installed_base() -> str:
    """SHA-256 of the requirements.txt beside the running package. Raises `UpdateError`."""
    path = Path(agent.__file__).parents[1] / "requirements.txt"
    try:
        return hashlib.sha256(read_regular_file(path, _REQUIREMENTS_BYTES)).hexdigest()
    except OSError:
        raise UpdateError(
            "base",
            f"{path} is not there, so it is not known which libraries are installed. Updates need "
            "an installation from the clone.",
        ) from None


def _checked(found: TargetFile, kind: JobKind, version: str) -> Target:
    """A signed listing as a `Target`. Raises `UpdateError`."""
    custom: Any = found.custom
    wrong = f"The update repository's listing of {found.path} "
    if not isinstance(custom, dict) or set(custom) != {"kind", "version", "floor", "base"}:
        raise UpdateError(
            "untrusted", f"{wrong}is not one of ours. Add it with fleeting-fleet repo add."
        )
    if custom["kind"] != kind:
        raise UpdateError("kind", f"{wrong}says that it is of another kind.")
    floor, base, sha256 = custom["floor"], custom["base"], found.hashes.get("sha256")
    if not (
        custom["version"] == version
        and isinstance(floor, str)
        and _VERSION.fullmatch(floor)
        and order(floor) <= order(version)
        and isinstance(base, str)
        and _BASE.fullmatch(base)
        and isinstance(sha256, str)
        and _BASE.fullmatch(sha256)
    ):
        raise UpdateError("untrusted", f"{wrong}contradicts itself. Add it anew.")
    return Target(found.path, kind, version, floor, base, found.length, sha256)


def _signed(target: Target) -> TargetFile:
    return TargetFile(target.length, {"sha256": target.sha256}, target.path)


def _is(target: Target, path: Path) -> bool:
    """Whether a file is the target. Raises `OSError`."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            _signed(target).verify_length_and_hashes(file)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True
