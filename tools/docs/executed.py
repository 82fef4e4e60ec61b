"""Commands on a page that are run, and what they are said to print.

    ```sh run
    .venv/bin/fleeting --version
    ```

    ```text result
    fleeting 0.…
    ```

The blocks of a page run one after the other in one folder that looks like the clone, so that what
they write stays there. Each line of a result must be among the lines that were printed, in that
order; `…` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import ROOT

_BLOCK = re.compile(
    r"^```sh run\n(?P<code>.*?)^```$(?:\s*^```text result\n(?P<result>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_HIDDEN = {".git", ".venv", "runs"}


@dataclass(frozen=True, slots=True)
class Block:
    """Commands, and lines that they print."""

    code: str
    result: tuple[str, ...]


def blocks(text: str) -> list[Block]:
    """Those of a page that are to be run."""
    return [
        Block(match["code"], tuple((match["result"] or "").splitlines()))
        for match in _BLOCK.finditer(text)
    ]


def like_the_clone(folder: Path) -> None:
    """Make `folder` hold what the clone holds, by links, with this environment as `.venv`."""
    for path in ROOT.iterdir():
        if path.name not in _HIDDEN:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)


def run(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks in `folder`; yields each with what it printed.

    Raises `ToolError` where a command fails or does not print what the page says.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FLEETING_")}
    # lines in the order in which a terminal shows them
    clean |= {"COLUMNS": "100", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    for block in blocks(page.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["sh", "-eu", "-c", block.code],
            cwd=folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolError(
                f"{page.name}: exit code {done.returncode} of\n{block.code}{done.stdout}"
            )
        missing = unmet(block.result, done.stdout)
        if missing is not None:
            raise ToolError(
                f"{page.name}: {missing!r} is not printed by\n{block.code}{done.stdout}"
            )
        yield block, done.stdout


def unmet(result: tuple[str, ...], printed: str) -> str | None:
    """The first line of a result that was not printed after those before it; None: all were."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in filter(None, (" ".join(line.split()) for line in result)):
        pattern = re.compile(".*".join(map(re.escape, wanted.split("…"))))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None
