"""Two slots, each a whole package with its models, and the links that say which one is in force.

`a/` and `b/` lie in `update.folder`; `current` names the slot to run and `confirmed` the one that
has proved itself (`agent.host.launch` reads both). A slot is made beside its place and renamed to
it when all of it is on the disk; a link is renamed over the one before. So, whenever the power
fails, each link leads to a whole slot or does not exist, which stands for the base installation.
"""

from __future__ import annotations

import compileall
import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from agent.base.files import sync_folder
from agent.base.report.job import JobKind
from agent.host.launch import CONFIRMED, CURRENT, SLOTS, link_of, slot_of
from agent.update.errors import UpdateError, disk_error
from agent.update.unpack import unpack

Slot = Literal["a", "b", "base"]
_VERSION = re.compile(r'^__version__ = "([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})"$', re.MULTILINE)
_PLAIN_VERSION = re.compile(r"([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})\n?")
_MAX_TEXT = 65_536
_COPIED = 256 * 1024


class Slots:
    """The slots in one folder."""

    def __init__(self, folder: Path, base: Path) -> None:
        """`base`: root of the base installation, with `agent/` and `requirements.txt`."""
        self.folder = folder
        self.base = base

    @property
    def current(self) -> Slot:
        return slot_of(self.folder, CURRENT)  # type: ignore[return-value]

    @property
    def confirmed(self) -> Slot:
        return slot_of(self.folder, CONFIRMED)  # type: ignore[return-value]

    @property
    def link(self) -> str:
        """Identifies `current` as it is now."""
        return link_of(self.folder)

    def spare(self) -> Literal["a", "b"]:
        """The slot that neither link names."""
        return "a" if "a" not in (self.current, self.confirmed) else "b"

    def root(self, slot: str) -> Path:
        """Where the package of a slot, or of the base installation, lies."""
        return self.folder / slot if slot in SLOTS else self.base

    def versions(self, slot: str) -> tuple[str, str]:
        """Of the package and of the models, without running anything; models without a file
        VERSION are the package's. Raises `UpdateError` where there is none."""
        return versions_of(self.root(slot))

    def fill(self, slot: str, archive: Path, kind: JobKind, version: str, base: str) -> str:
        """Make `slot` of an archive, for `models` with the package in force; return its tree's
        hash. `base`: SHA-256 of the requirements.txt that the release needs.

        Raises `UpdateError`; then there is no such slot, and the one in force is as it was.
        """
        beside = self.folder / f"{slot}.new"
        try:
            _remove(self.folder / slot)
            _remove(beside)
            unpack(archive, beside, kind)
            if kind == "models":
                self._copy_package(beside)
            self._check(beside, kind, version, base)
            found = tree(beside)
            _compile(beside, self.folder / slot)
            sync_tree(beside)
            os.rename(beside, self.folder / slot)
            sync_folder(self.folder)
        except UpdateError:
            _discard(beside)
            raise
        except OSError as error:
            _discard(beside)
            raise disk_error(error, str(beside)) from None
        return found

    def _copy_package(self, beside: Path) -> None:
        root = self.root(self.current)
        for relative, path in _files(root / "agent"):
            if relative.parts[0] != "models":  # where a wheel has them
                _copy(path, beside / "agent" / relative)
        _copy(root / "requirements.txt", beside / "requirements.txt")

    def _check(self, beside: Path, kind: JobKind, version: str, base: str) -> None:
        """That it is what the job and the signed metadata say."""
        app, models = versions_of(beside)
        found = app if kind == "app" else models
        if found != version:
            raise UpdateError("unpack", f"The archive of {kind} {version} holds {found}.")
        needs = hashlib.sha256((beside / "requirements.txt").read_bytes()).hexdigest()
        if needs != base:
            raise UpdateError("unpack", "The archive's requirements.txt is not the one it names.")

    def whole(self, slot: str, sha256: str) -> bool:
        """Whether every file of a slot is as it was when it was made."""
        try:
            return tree(self.folder / slot) == sha256
        except OSError:
            return False

    def switch(self, slot: str) -> None:
        """Let `current` name `slot`, or nothing for the base installation. Does nothing where it
        does so already. Raises `UpdateError`."""
        self._point(CURRENT, slot)

    def confirm(self, slot: str) -> None:
        """Let `confirmed` name `slot`. Raises `UpdateError`."""
        self._point(CONFIRMED, slot)

    def _point(self, link: str, slot: str) -> None:
        if slot_of(self.folder, link) == slot and (
            slot in SLOTS or link_of(self.folder, link) == "-"
        ):
            return
        path, beside = self.folder / link, self.folder / f".{link}.new"
        try:
            if slot in SLOTS:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(beside)
                os.symlink(slot, beside)
                os.rename(beside, path)
            else:
                os.unlink(path)
            sync_folder(self.folder)
        except OSError as error:
            raise disk_error(error, f"The link {path}") from None

    @property
    def downloads(self) -> Path:
        """Where a release is kept until a slot is made of it."""
        return self.folder / "download"

    def discard_download(self) -> None:
        """Never raises."""
        shutil.rmtree(self.downloads, ignore_errors=True)

    def discard(self, slot: str) -> None:
        """Remove a slot that no link names. Never raises."""
        if slot in SLOTS and slot not in (self.current, self.confirmed):
            _discard(self.folder / slot)

    def tidy(self) -> None:
        """Remove what an interruption left. Never raises."""
        for name in (*(f"{each}.new" for each in SLOTS), f".{CURRENT}.new", f".{CONFIRMED}.new"):
            _discard(self.folder / name)


def versions_of(root: Path) -> tuple[str, str]:
    """Of the package and of the models below `root`. Raises `UpdateError`."""
    found = _VERSION.search(_text(root / "agent" / "__init__.py") or "")
    if found is None:
        raise UpdateError("unpack", f"{root} holds no package with a version.")
    models = _PLAIN_VERSION.fullmatch(_text(root / "models" / "VERSION") or "")
    return found[1], models[1] if models else found[1]


def tree(root: Path) -> str:
    """SHA-256, hexadecimal, over the names and contents of all files below `root`, compiled ones
    left out. Raises `OSError`, also where there is anything but files and folders."""
    whole = hashlib.sha256()
    for relative, path in sorted(_files(root)):
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{found} {relative.as_posix()}\n".encode())
    return whole.hexdigest()


def _compile(beside: Path, place: Path) -> None:
    """Keep the package's byte code in it: the services may not write there. What cannot be compiled
    is left to the self-test."""
    with contextlib.suppress(ValueError, RecursionError):
        compileall.compile_dir(
            beside / "agent", quiet=2, stripdir=str(beside), prependdir=str(place)
        )


def sync_tree(root: Path) -> None:
    """fsync every file and folder below `root`, and `root`. Raises `OSError`."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            number = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(number)
            finally:
                os.close(number)
        sync_folder(Path(folder))


def _files(root: Path) -> Iterator[tuple[Path, Path]]:
    """Path inside `root`, and path, of each file."""
    if not stat.S_ISDIR(os.lstat(root).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(root))

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [each for each in folders if each != "__pycache__"]
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                yield path.relative_to(root), path
            elif not stat.S_ISDIR(mode):
                raise OSError(errno.EINVAL, "it is neither a file nor a folder", str(path))


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(path, "rb") as source, open(to, "xb") as target:
        shutil.copyfileobj(source, target, _COPIED)
    # Machine code that was kept belongs to a file of this name and time.
    found = os.stat(path)
    os.utime(to, ns=(found.st_mtime_ns, found.st_mtime_ns))


def _remove(path: Path) -> None:
    """A file, link or folder, if it is there. Raises `OSError`."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _discard(path: Path) -> None:
    """As `_remove`, where the disk lets it: what stays is removed before the next attempt."""
    with contextlib.suppress(OSError):
        _remove(path)


def _text(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_TEXT).decode("utf-8", errors="replace")
    except OSError:
        return None
