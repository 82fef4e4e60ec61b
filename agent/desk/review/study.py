"""A study's folder: sealed sessions and tables to look at, what was said of them, the log.

`*.trace` as they came from the devices, `*.csv` of OpenFace or py-feat; `answers/`, `log.jsonl` and
`withdrawn` are made here. Sessions are decrypted into memory and written nowhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.base.files import read_regular_file, sync_folder, write_atomically
from agent.base.names import one_line
from agent.desk.review import answers, journal, tables
from agent.desk.review.errors import ReviewError
from agent.desk.review.material import Session, of_parts
from agent.desk.review.unseal import MOST_BYTES, unseal
from agent.perceive.traces.session import mark_of, name_of, parts_of, read_withdrawn, withdraw

_MIDNIGHT = 86_400


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of copying."""

    copied: int
    """Files."""
    known: int
    refused: int
    """Of sessions that were withdrawn."""


class Study:
    """What is in the folder. Raises `ReviewError`."""

    def __init__(
        self, folder: Path, key: X25519PrivateKey | None = None, fps: float | None = None
    ) -> None:
        """`key`: for traces; `fps`: for tables that count in frames."""
        self.folder = folder
        self._key, self._fps = key, fps
        try:
            withdrawn = read_withdrawn(folder)
            self._sealed = {
                name: parts
                for name, parts in parts_of(folder).items()
                if mark_of(name) not in withdrawn
            }
            self._tables = sorted(folder.glob("*.csv"))
        except OSError as error:
            raise ReviewError(f"{one_line(folder)} cannot be read: {error.strerror}.") from None

    @property
    def needs_key(self) -> bool:
        """Whether there are traces."""
        return bool(self._sealed)

    def open(
        self, what: journal.What = "opened", *, form: str = "", rater: str = ""
    ) -> list[Session]:
        """All sessions, logged before the first is decrypted. Raises `ReviewError`."""
        if self._sealed and self._key is None:
            raise ReviewError("There are traces here: name the private key with --key.")
        journal.append(self.folder, what, self._sealed, form=form, rater=rater)
        found = [self._decrypted(name, parts) for name, parts in self._sealed.items()]
        found += [tables.read(path, self._fps) for path in self._tables]
        if not found:
            raise ReviewError(
                f"{one_line(self.folder)} holds nothing to review: no .trace of a device, no .csv "
                "of OpenFace or py-feat. `fleeting review import FOLDER` copies traces."
            )
        return found

    def _decrypted(self, name: str, paths: list[Path]) -> Session:
        assert self._key is not None
        parts = []
        for path in paths:
            part = unseal(path, self._key)
            if part.session != name or path.name != f"{name}-{part.number}.trace":
                raise ReviewError(
                    f"{one_line(path)} holds part {part.number} of session {part.session[:8]}: it "
                    "was renamed. Fetch the file again."
                )
            parts.append(part)
        return of_parts(parts)


def fetch(source: Path, folder: Path) -> Imported:
    """Copy traces from a device's folder, or a stick; those of withdrawn sessions are refused, and
    the list of these is added to. Copies bear no time of day. Raises `ReviewError`."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _add_withdrawn(source, folder)
        withdrawn = read_withdrawn(folder)
        copied = known = refused = 0
        names = []
        for name, paths in parts_of(source).items():
            if mark_of(name) in withdrawn:
                refused += len(paths)
                continue
            for path in paths:
                target = folder / path.name
                if target.exists() and target.stat().st_size >= path.stat().st_size:
                    known += 1  # the device only ever adds
                    continue
                write_atomically(target, read_regular_file(path, MOST_BYTES), 0o600)
                day = int(path.stat().st_mtime) // _MIDNIGHT * _MIDNIGHT
                os.utime(target, (day, day))
                copied += 1
                names.append(name)
        sync_folder(folder)
    except OSError as error:
        what = one_line(error.filename or source)
        raise ReviewError(f"{what} cannot be copied: {error.strerror}.") from None
    journal.append(folder, "imported", set(names))
    return Imported(copied, known, refused)


def _add_withdrawn(source: Path, folder: Path) -> None:
    """What the device knows to be withdrawn is deleted here too."""
    marks = read_withdrawn(source)
    here = {*parts_of(folder), *answers.raters_of(folder)}
    for name in here:
        if mark_of(name) in marks:
            delete(folder, name)


def delete(folder: Path, name: str) -> int:
    """Withdraw a session here: its files, what was said of it, and the open session. Returns the
    number of files. Raises `OSError`."""
    return len(withdraw(folder, name)) + answers.forget(folder, name)


def withdraw_code(code: str, folders: list[Path]) -> dict[Path, int]:
    """Delete the code's session in each folder; files deleted, by folder. Raises `ReviewError`."""
    name = name_of(code)
    if name is None:
        raise ReviewError(
            "That is no withdrawal code: four groups of five letters and digits, as they were "
            "printed when the session began."
        )
    found = {}
    for folder in folders:
        if not folder.is_dir():
            raise ReviewError(f"There is no folder {one_line(folder)}.")
        try:
            found[folder] = delete(folder, name)
        except OSError as error:
            raise ReviewError(
                f"{one_line(folder)}: {error.strerror}. Not all was deleted; do it again with the "
                "right to write there."
            ) from None
        if (folder / journal.NAME).exists() or (
            found[folder] and (folder / answers.FOLDER).exists()
        ):
            journal.append(folder, "withdrew", [name])
    return found
