"""Lets every call fail in turn, in every way, for each scene."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any

from tools.common.errors import ToolError
from tools.common.files import ROOT, in_memory
from tools.common.machine import machine
from tools.common.mosquitto import die_with_parent
from tools.robustness.disk import torn
from tools.robustness.disk.control import (
    CREATE,
    FOREVER,
    OPEN,
    READ,
    REMOVE,
    RENAME,
    SYNC,
    WRITE,
    Control,
    Fault,
    build,
)

SCENES = ("perceive", "uplink", "updater")
_MOST = 2000
"""Calls after which something is wrong with the test itself."""
_LINES = 12
"""Log lines and errors of one scene, at most: a journal is not flooded."""
Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A way in which a disk fails."""

    name: str
    error: int
    kinds: int
    lasting: bool
    """Until it is well again; else one call fails."""
    torn: bool = False

    def at(self, number: int) -> Fault:
        span = FOREVER if self.lasting else 1
        return Fault(self.kinds, number, span, self.error, self.torn)


_CHANGES = CREATE | WRITE | RENAME | REMOVE
TROUBLES = (
    Trouble("disk full, once", errno.ENOSPC, CREATE | WRITE | RENAME, lasting=False),
    Trouble("disk full from here on", errno.ENOSPC, CREATE | WRITE | RENAME, lasting=True),
    Trouble("disk full within a write", errno.ENOSPC, WRITE, lasting=True, torn=True),
    Trouble("read-only from here on", errno.EROFS, _CHANGES | SYNC, lasting=True),
    Trouble("I/O error of a write", errno.EIO, _CHANGES, lasting=False),
    Trouble("I/O error of fsync", errno.EIO, SYNC, lasting=False),
    Trouble("I/O error of a read", errno.EIO, READ | OPEN, lasting=False),
    Trouble("card gone from here on", errno.EIO, _CHANGES | SYNC | READ | OPEN, lasting=True),
)


def run(
    progress: Progress = lambda done, word: None,
    scenes: tuple[str, ...] = SCENES,
    troubles: tuple[Trouble, ...] = TROUBLES,
    step: int = 1,
) -> dict[str, Any]:
    """The report, in which `passed` is the verdict. `step`: every how many-th call fails. Raises
    `ToolError`."""
    begun, place = time.monotonic(), machine()
    rows: list[dict[str, Any]] = []
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fleeting-disk-", dir=in_memory()) as name:
        folder = Path(name)
        with _worker(folder) as ask:
            done = 0
            for scene in scenes:
                for trouble in troubles:
                    counts = dict.fromkeys(("cases", "named", "wrong"), 0)
                    row: dict[str, Any] = {"process": scene, "trouble": trouble.name, **counts}
                    for number in range(1, _MOST, step):
                        answer = ask(scene, trouble.at(number))
                        if not answer["failed"]:
                            break
                        done += 1
                        progress(done, f"{scene}, {trouble.name}")
                        wrong = _wrong(answer)
                        row["cases"] += 1
                        row["named"] += bool(answer["said"])
                        row["wrong"] += bool(wrong)
                        found += [f"{scene}, {trouble.name}, call {number}: {e}" for e in wrong]
                    else:
                        raise ToolError(f"{scene} calls without end. Look at it with strace.")
                    rows.append(row)
        torn_row, torn_found = torn.run(folder)
        rows.append(torn_row)
        found += torn_found
    return {
        "what": "disk",
        "machine": place,
        "rows": rows,
        "cases": sum(row["cases"] for row in rows),
        "seconds": round(time.monotonic() - begun, 1),
        "violations": found,
        "passed": not found and all(row["cases"] for row in rows),
    }


def _wrong(answer: dict[str, Any]) -> list[str]:
    found: list[str] = answer["found"]
    if len(answer["said"]) > _LINES:
        found = [*found, f"{len(answer['said'])} lines were said"]
    return found


@contextmanager
def _worker(folder: Path) -> Iterator[Callable[[str, Fault], dict[str, Any]]]:
    library, shared = build(folder), folder / "control"
    Control(shared)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tools.robustness.disk.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library), "FAULTS": str(shared),
             "PYTHONPATH": str(ROOT)},
        preexec_fn=die_with_parent,
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    try:
        yield lambda scene, fault: _ask(stdin, stdout, folder / "disk", scene, fault)
    finally:
        stdin.close()
        process.wait()


def _ask(stdin: IO[str], stdout: IO[str], folder: Path, scene: str, fault: Fault) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    order = {"scene": scene, "folder": str(folder), "fault": astuple(fault)}
    print(json.dumps(order), file=stdin, flush=True)
    line = stdout.readline()
    if not line:
        raise ToolError("The process that plays the scenes has ended. Run it with --scenes one.")
    answer: dict[str, Any] = json.loads(line)
    return answer
