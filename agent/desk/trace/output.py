"""Output of the commands: a progress bar, and files that appear whole or not at all."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agent.base.errors import StoreError
from agent.base.files import write_atomically


def progress_bar() -> Progress:
    """For stderr; silent where that is no terminal, and gone when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def check_target(path: Path) -> None:
    """Refuse, before the work begins, an output that cannot be put in place. Raises `StoreError`.

    Outputs are written beside their place and moved there whole, which would replace a device.
    """
    if not path.parent.is_dir():
        raise StoreError(f"{path.parent} is no folder: create it, or name another for {path}.")
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no ordinary file. Name a file for the output.")


def write_whole(
    path: Path, data: bytes | Callable[[IO[bytes]], object], what: str, mode: int = 0o600
) -> None:
    """As `write_atomically`. Raises `StoreError`, which calls the file `what`."""
    try:
        write_atomically(path, data, mode)
    except OSError as error:
        raise StoreError(
            f"The {what} {path} cannot be written: {error.strerror}. "
            "Choose a folder that exists and has room."
        ) from None


def write_figure(figure: Any, out: Path) -> None:
    """A figure as PNG, whole or not at all. Raises `StoreError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_whole(out, buffer.getvalue(), "picture", mode=0o644)
