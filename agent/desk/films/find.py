"""The films that arguments name: themselves, and those in folders and below."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.base.names import one_line
from agent.desk.film import refuse_camera

ENDINGS = frozenset(
    {
        ".264", ".265", ".3gp", ".apng", ".asf", ".avi", ".avif", ".cine", ".divx", ".dv", ".f4v",
        ".flv", ".gif", ".gxf", ".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v",
        ".m4v", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts",
        ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm",
        ".wmv", ".wtv", ".y4m",
    }
)  # fmt: skip
"""What a film in a folder is called; a file that is named itself may be called anything."""
_SLUG = 40


class Film(NamedTuple):
    """One film to be looked at."""

    path: Path
    label: str
    """For people: below the folder that was named; every name can be shown."""
    page: str
    """Its folder's name in the output: part of its name and a hash of where it lies, so that films
    of one name do not collide."""


class Found(NamedTuple):
    """What the arguments name."""

    films: list[Film]
    problems: list[tuple[str, str]]
    """Label and message of what cannot be looked at."""
    others: int
    """Files in folders that are no film by their ending."""


def find(paths: Iterable[Path], out: Path) -> Found:
    """Films in order: arguments as given, folders by name. A film that is there twice, as by a
    link, is taken once; hidden files and the folder `out` are left out, links to folders are not
    followed. Raises `CaptureError` for a camera."""
    films: dict[tuple[int, int], Film] = {}
    problems: list[tuple[str, str]] = []
    others = 0
    for argument in paths:
        if not os.path.isdir(argument):
            refuse_camera(argument, "report")
            _add(argument, one_line(argument.name), films, problems)
            continue
        count = 0
        for path in _below(argument, out, problems):
            if path.suffix.lower() not in ENDINGS:
                others += 1
                continue
            count += 1
            _add(path, one_line(path.relative_to(argument)), films, problems)
        if not count:
            text = "holds no film by its ending; name a file itself to have it looked at"
            problems.append((one_line(argument), f"{one_line(argument)} {text}."))
    return Found(list(films.values()), problems, others)


def _add(
    path: Path,
    label: str,
    films: dict[tuple[int, int], Film],
    problems: list[tuple[str, str]],
) -> None:
    label = f"./{label}" if label[:1] in "=+-@" else label  # no formula in a spreadsheet
    try:
        found = os.stat(path)
        real = os.path.realpath(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have this name"
        problems.append((label, f"{one_line(path)} cannot be read: {why}."))
        return
    if not stat.S_ISREG(found.st_mode):
        problems.append((label, f"{one_line(path)} is no ordinary file."))
        return
    films.setdefault((found.st_dev, found.st_ino), Film(path, label, page_of(real)))


def page_of(real: str) -> str:
    """`interview-3-1f2e3d4c`: ASCII, whatever the file is called."""
    stem = unicodedata.normalize("NFKD", Path(real).stem)
    plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()[:_SLUG].strip("-")
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:10]
    return f"{plain or 'film'}-{digest}"


def _below(folder: Path, out: Path, problems: list[tuple[str, str]]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        where = one_line(error.filename or folder)
        problems.append((where, f"{where} cannot be read: {error.strerror}."))

    avoid = os.path.realpath(out)
    for place, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != avoid
        )
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))
