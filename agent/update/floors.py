"""What this device never falls below again: versions of each kind, of signed metadata, and time.

Kept twice, each copy replaced atomically and flushed to the disk: a power cut, or a bad block in
one of them, leaves the other. They are what keeps a device from being taken back where the cached
metadata is lost or damaged.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import agent
from agent.base.errors import reason
from agent.base.files import read_regular_file, write_atomically
from agent.base.report.base import Hash64, Software
from agent.base.report.job import JobKind
from agent.update.errors import UpdateError, disk_error

_NAMES = ("floors.json", "floors-copy.json")
_MAX_BYTES = 65_536


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Seen(_Closed):
    """Versions of the metadata that was trusted last, under one root file and one set of keys."""

    bootstrap: Hash64
    """Of the root file that all trust begins with: another one, which only this machine's
    administrator can install, begins anew."""
    root: int = Field(ge=1)
    keys: Hash64
    """Of the keys for timestamp and snapshot. Once the root replaces them, their versions count
    from anew, so that a fleet recovers from a thief who signed absurdly high ones (TUF
    specification, 5.3.11)."""
    timestamp: int = Field(ge=1)
    snapshot: int = Field(ge=1)
    targets: dict[str, int] = Field(max_length=64)
    """By file name, as the snapshot lists them."""


class _State(_Closed):
    number: int = Field(0, ge=0)
    """Of changes; the copy with the higher one is the newer."""
    time: int = Field(0, ge=0)
    """UTC seconds of the last good refresh."""
    app: Software | None = None
    models: Software | None = None
    seen: Seen | None = None


class Floors:
    """The floors in a folder. Raises `UpdateError`, also where both copies are damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = self._load()

    @property
    def time(self) -> int:
        """UTC seconds before which no clock is believed."""
        return self._state.time

    @property
    def seen(self) -> Seen | None:
        return self._state.seen

    def version(self, kind: JobKind) -> str:
        """The lowest that may be installed; where none was ever confirmed, what runs here."""
        kept: str | None = getattr(self._state, kind)
        return kept or agent.__version__

    def raise_version(self, kind: JobKind, version: str) -> None:
        """Never lowers."""
        kept: str | None = getattr(self._state, kind)
        if kept is None or order(version) > order(kept):
            self._save({kind: version})

    def refreshed(self, time: int, seen: Seen) -> None:
        """A refresh was good, at `time`."""
        for leftover in self._folder.glob(".floors*.tmp"):
            leftover.unlink(missing_ok=True)  # of a power cut in the middle of writing
        if time > self._state.time or seen != self._state.seen:
            self._save({"time": max(time, self._state.time), "seen": seen})

    def _load(self) -> _State:
        found: list[_State] = []
        damaged = []
        for name in _NAMES:
            path = self._folder / name
            try:
                found.append(_State.model_validate_json(read_regular_file(path, _MAX_BYTES)))
            except FileNotFoundError:
                continue
            except (OSError, ValidationError) as error:
                damaged.append(f"{path} ({reason(error)})")
        if damaged and not found:
            raise UpdateError(
                "disk",
                f"The floors of this device cannot be read: {', '.join(damaged)}. Check the disk; "
                "then see which versions run, and remove these files to begin anew.",
            )
        return max(found, key=lambda each: each.number, default=_State())

    def _save(self, changes: dict[str, object]) -> None:
        state = self._state.model_copy(update={"number": self._state.number + 1, **changes})
        data = state.model_dump_json().encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in _NAMES:
                write_atomically(self._folder / name, data, 0o600)
        except OSError as error:
            raise disk_error(error, str(self._folder)) from None
        self._state = state


def order(version: str) -> tuple[int, ...]:
    """`x.y.z` as numbers, to be compared."""
    return tuple(map(int, version.split(".")))
