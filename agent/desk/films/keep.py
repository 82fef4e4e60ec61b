"""The folder of a report: what is done stays, what was interrupted leaves nothing half written."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import agent
from agent.base.config import AgentConfig
from agent.base.errors import StoreError
from agent.base.files import sync_folder, write_atomically
from agent.base.settings_file import as_toml
from agent.desk.films.find import Film
from agent.desk.films.subtitles import beside

FORMAT = 2
"""Of a film's folder; another number and all is done again."""
FILMS = "films"
_SEAL = "done.json"
_WORK, _OLD = ".work-", ".old-"


def settings_hash(config: AgentConfig, models: str, *, frames: bool, pdf: bool) -> str:
    """16 hex digits over all that a film's page depends on, beside the film. `models`: their
    joint hash."""
    parts = (str(FORMAT), agent.__version__, as_toml(config), models, str(frames), str(pdf))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Keeper:
    """The output folder, held by one process at a time. Raises `StoreError`."""

    def __init__(self, out: Path, settings: str) -> None:
        """`settings`: of `settings_hash`."""
        self.out, self._settings = out, settings
        self._lock = -1

    def __enter__(self) -> Keeper:
        try:
            (self.out / FILMS).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(
                self.out / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise StoreError(
                f"The folder {self.out} cannot be written: {error.strerror}. "
                "Name another for --out."
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StoreError(
                f"Another report is being written to {self.out}. Wait for it, or name another "
                "folder for --out."
            ) from None
        for place in (self.out / FILMS).iterdir():  # of a run that was killed
            if place.name.startswith((_WORK, _OLD)):
                shutil.rmtree(place, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:  # fmt: skip
        os.close(self._lock)

    def folder(self, film: Film) -> Path:
        return self.out / FILMS / film.page

    def done(self, film: Film) -> dict[str, Any] | None:
        """What the index says of a film that has its page, and has not changed since, nor have the
        settings; None where it is to be looked at."""
        try:
            found: Any = json.loads((self.folder(film) / _SEAL).read_text("utf-8"))
            if found["seal"] == self._seal(film):
                entry: dict[str, Any] = found["entry"]
                return entry
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def begin(self, film: Film) -> tuple[Path, str]:
        """An empty folder to work in, and the film's state before it is looked at; empty where it
        is gone. Raises `StoreError`."""
        place = self.out / FILMS / f"{_WORK}{film.page}"
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(mode=0o700)
        except OSError as error:
            raise StoreError(f"{place} cannot be made: {error.strerror}.") from None
        try:
            return place, self._seal(film)
        except OSError:
            return place, ""

    def put(self, film: Film, place: Path, seal: str, entry: dict[str, Any]) -> None:
        """Put a finished folder in place of the old one, all at once."""
        final, old = self.folder(film), self.out / FILMS / f"{_OLD}{film.page}"
        text = json.dumps({"seal": seal, "entry": entry})
        try:
            write_atomically(place / _SEAL, text.encode())
            if final.exists():
                os.replace(final, old)
            os.replace(place, final)
            sync_folder(final.parent)
        except OSError as error:
            raise StoreError(f"{final} cannot be written: {error.strerror}.") from None
        shutil.rmtree(old, ignore_errors=True)

    def drop(self, film: Film, place: Path | None = None) -> None:
        """Forget an unfinished folder; without one, an old page of a film that now fails."""
        with contextlib.suppress(OSError):
            shutil.rmtree(place if place is not None else self.folder(film))

    def _seal(self, film: Film) -> str:
        """Raises `OSError` where the film is gone."""
        found = os.stat(film.path)
        parts: tuple[object, ...] = (self._settings, film.label, found.st_size, found.st_mtime_ns)
        if (subtitles := beside(film.path)) is not None:
            said = os.stat(subtitles)
            parts += (subtitles.suffix, said.st_size, said.st_mtime_ns)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
