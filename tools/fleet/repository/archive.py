"""A release's archive: what of a clone goes into it, always byte for byte the same for the same
content (names in order, no times, no owners), and what it says of itself.

After reproducible-builds.org, "Archive metadata". zlib's version may still differ from one machine
to another; the content never does.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.base.files import write_atomically
from agent.base.report.job import JobKind
from agent.update.errors import UpdateError
from agent.update.repository import MAX_TARGET
from agent.update.unpack import unpack
from tools.common.errors import ToolError

VERSION = re.compile(r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}")
REQUIREMENTS = "requirements.txt"
_TOPS: dict[JobKind, tuple[str, ...]] = {
    "app": ("agent", "models", REQUIREMENTS),
    "models": ("models",),
}
_VERSION_FILE = "models/VERSION"
_LEVEL = 9
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """An archive that a device would unpack."""

    path: Path
    base: str
    """SHA-256, hexadecimal, of the requirements.txt that it needs."""


def check_version(version: str) -> str:
    """`version` where it is x.y.z. Raises `ToolError`."""
    if not VERSION.fullmatch(version):
        raise ToolError(f"{version!r} is no version: it has the form x.y.z, numbers up to 9999.")
    return version


def build(
    kind: JobKind,
    version: str,
    source: Path,
    into: Path,
    *,
    requirements: Path | None = None,
    changed: bool = False,
    progress: Progress = lambda done, note: None,
) -> Built:
    """An archive in the folder `into`, checked as a device checks it.

    `source`: a clone, of which only what Git tracks is taken; another folder; or an archive.
    `requirements`: the file whose libraries it needs; null: that in `source`. `changed`: take a
    clone with changes that are not committed. `progress`: bytes done, and a note. Raises
    `ToolError`, and `OSError` where `into` cannot be written.
    """
    check_version(version)
    target = into / f"{kind}-{version}.tar.gz"
    into.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        files = _collect(kind, version, source, changed)
        write_atomically(target, lambda file: _pack(files, file, progress))
        beside = source / REQUIREMENTS
    elif source.is_file():
        with open(source, "rb") as given:
            write_atomically(target, lambda file: shutil.copyfileobj(given, file))
        beside = None
    else:
        raise ToolError(f"{source} is neither a folder nor an archive. Name the clone.")
    try:
        inside = _check(kind, version, target)
        return Built(target, _base(inside, requirements or beside))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def size_of(kind: JobKind, version: str, source: Path, *, changed: bool = False) -> int | None:
    """Bytes that `build` will pack; None for an archive. Raises `ToolError`."""
    if not source.is_dir():
        return None
    return sum(len(each) for _, each in _collect(kind, version, source, changed))


Files = list[tuple[str, bytes]]


def _collect(kind: JobKind, version: str, source: Path, changed: bool) -> Files:
    names = sorted(_tracked(kind, source, changed) if (source / ".git").exists() else
                   _found(kind, source))  # fmt: skip
    files: Files = []
    for name in names:
        path = source / name
        if path.is_symlink() or not path.is_file():
            raise ToolError(f"{path} is not an ordinary file. A release holds no links.")
        files.append((name, path.read_bytes()))
    if not files:
        raise ToolError(f"{source} holds no {' and no '.join(_TOPS[kind])}. Name the clone.")
    if kind == "models":
        files = [*_without_version(files, version), (_VERSION_FILE, f"{version}\n".encode())]
    return sorted(files)


def _without_version(files: Files, version: str) -> Iterator[tuple[str, bytes]]:
    for name, data in files:
        if name != _VERSION_FILE:
            yield name, data
        elif data.decode(errors="replace").strip() != version:
            raise ToolError(
                f"{name} says {data[:20].decode(errors='replace').strip()!r}, not {version}. "
                "Correct it, or give that version."
            )


def _tracked(kind: JobKind, source: Path, changed: bool) -> list[str]:
    tops = _TOPS[kind]
    if not changed and _git(source, "status", "--porcelain", "--", *tops):
        raise ToolError(
            f"{source} has changes that are not committed, so nobody could make this release "
            "again. Commit them, or give --changed."
        )
    return [name for name in _git(source, "ls-files", "-z", "--", *tops).split("\0") if name]


def _git(source: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ToolError(f"git cannot be run: {error.strerror}. Install it.") from None
    if done.returncode:
        raise ToolError(f"git cannot read {source}: {done.stderr.strip().splitlines()[-1:]}.")
    return done.stdout


def _found(kind: JobKind, source: Path) -> Iterator[str]:
    for top in _TOPS[kind]:
        if (source / top).is_file():
            yield top
        for folder, folders, names in os.walk(source / top):
            folders[:] = [each for each in folders if _belongs(each)]
            for name in names:
                if _belongs(name):
                    yield Path(folder, name).relative_to(source).as_posix()


def _belongs(name: str) -> bool:
    return not (name.startswith(".") or name == "__pycache__" or name.endswith((".pyc", ".pyo")))


def _pack(files: Files, file: IO[bytes], progress: Progress) -> None:
    done = 0
    with (
        gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
            done += len(data)
            progress(done, name)


@dataclass(frozen=True, slots=True)
class _Inside:
    requirements: bytes | None


def _check(kind: JobKind, version: str, archive: Path) -> _Inside:
    """As the device does it. Raises `ToolError`."""
    size = archive.stat().st_size
    if size > MAX_TARGET:
        raise ToolError(f"The archive has {size} bytes; devices accept at most {MAX_TARGET}.")
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        try:
            unpack(archive, tree, kind)
        except UpdateError as error:
            raise ToolError(f"No device would install it. {error}") from None
        if kind == "models":
            says = (tree / _VERSION_FILE).read_text(encoding="utf-8", errors="replace").strip()
            where = _VERSION_FILE
        else:
            says, where = _package_version(tree / "agent" / "__init__.py"), "agent/__init__.py"
        if says != version:
            raise ToolError(
                f"{where} says version {says!r}, and {version} was given. Make them the same."
            )
        inside = tree / REQUIREMENTS
        return _Inside(inside.read_bytes() if inside.is_file() else None)


def _package_version(path: Path) -> str:
    """What `__version__` is set to; the file is not run."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and any(
                isinstance(each, ast.Name) and each.id == "__version__" for each in node.targets
            )
        ):
            return str(node.value.value)
    return ""


def _base(inside: _Inside, beside: Path | None) -> str:
    """Of the requirements in the archive, else of those beside it. Raises `ToolError`."""
    data = inside.requirements
    if data is None:
        if beside is None:
            raise ToolError(
                "An archive of models says nothing of the libraries it needs. Give --requirements "
                "FILE, that of the package it is for."
            )
        try:
            data = beside.read_bytes()
        except OSError as error:
            raise ToolError(
                f"{beside} cannot be read: {error.strerror}. Give --requirements FILE."
            ) from None
    return hashlib.sha256(data).hexdigest()
