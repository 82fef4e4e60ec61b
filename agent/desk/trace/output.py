"""Progress bar, and atomically written output files."""

from __future__ import annotations

import io
import os
import stat
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agent.base.errors import StoreError
from agent.base.files import write_atomically


def progress_bar(*, always: bool = False) -> Progress:
    """Progress bar on stderr: gone when it is done, and silent without a terminal, unless
    `always`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not (always or sys.stderr.isatty()),
        transient=not always,
    )


def check_target(path: Path) -> None:
    """Refuse an output path that cannot be written, before the work begins. Raises `StoreError`.

    Only regular files: an atomic replacement would destroy a device node.
    """
    if not os.path.isdir(path.parent):
        raise StoreError(f"{path.parent} is no folder: create it, or name another for {path}.")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have this name"
        raise StoreError(f"{path} cannot be written: {why}. Name another file.") from None
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path} is no ordinary file. Name a file for the output.")


def write_whole(
    path: Path, data: bytes | Callable[[IO[bytes]], object], what: str, mode: int = 0o600
) -> None:
    """As `write_atomically`, but in place where no file may be made beside it, as in the sandbox of
    a replay. `what` names the file in the `StoreError`."""
    try:
        try:
            write_atomically(path, data, mode)
        except PermissionError:
            _write_in_place(path, data)
    except OSError as error:
        raise StoreError(
            f"The {what} {path} cannot be written: {error.strerror}. "
            "Choose a folder that exists and has room."
        ) from None


def _write_in_place(path: Path, data: bytes | Callable[[IO[bytes]], object]) -> None:
    with path.open("wb") as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            data(file)


def write_figure(figure: Any, out: Path) -> None:
    """Write a Matplotlib figure as PNG, atomically. Raises `StoreError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # a file's name in a script that the font lacks: boxes are drawn
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        FigureCanvasAgg(figure).print_png(buffer)
    write_whole(out, buffer.getvalue(), "picture", mode=0o644)
