"""The whole trial: a container is installed, booted, hurt in turn, and looked at in the end."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.faulty_camera import build
from tools.common.machine import machine
from tools.common.progress import Tell
from tools.robustness.booted import root, trials
from tools.robustness.booted.box import Box, Disk
from tools.robustness.booted.container import Container
from tools.robustness.booted.rows import Row

JOURNAL = "journal.log"
"""In the root's folder: all that the container's journal said in the last run."""


def run(folder: Path, tell: Tell, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """The report; `passed` in it is the verdict. `folder`: where the root is kept. `only`: of
    `trials.TRIALS`, all where empty. Raises `ToolError`."""
    root.check_machine()
    root.apart()
    started = time.monotonic()
    base = root.make(folder)
    here = machine()
    rows: list[Row] = []
    with _installed(base, folder) as (box, disk):
        rows.append(trials.first(box))
        for number, (name, trial) in enumerate(trials.TRIALS.items(), 1):
            if only and name not in only:
                continue
            tell(number, name)
            try:
                rows += trial(box, disk)
            except ToolError as error:
                rows.append(Row(name, None, str(error), False))
        tell(len(trials.TRIALS), "the journal")
        figures, counts = dict[str, float](), dict[str, int]()
        try:
            figures = trials.security(box)
            rows += trials.clean(box, started)
            counts = trials.allowed_counts(box)
            said = box.container.sure("journalctl", "--no-pager", "--output=short-precise")
            (folder / JOURNAL).write_text(said)
        except ToolError as error:
            rows.append(Row("what is left at the end", None, str(error), False))
    return {
        "machine": here, "seconds": round(time.monotonic() - started), "suite": root.SUITE,
        "rows": [asdict(row) for row in rows], "security": figures, "allowed": counts,
        "passed": all(row.passed for row in rows),
    }  # fmt: skip


@contextlib.contextmanager
def _installed(base: Path, folder: Path) -> Iterator[tuple[Box, Disk]]:
    """The product in a container that was booted, on a layer that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as name:
        place = Path(name)
        library = build(place)
        with root.layer(base, place) as merged:
            (merged / "var/log/journal").mkdir(exist_ok=True)  # kept over reboots
            disk = Disk(place, merged, root.run)
            try:
                with Container(merged, place / "console") as container:
                    box = Box(container, library)
                    try:
                        container.boot()
                        yield box, disk
                    finally:
                        container.stop()
            finally:
                disk.close()
