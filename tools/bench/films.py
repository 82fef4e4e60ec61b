"""Memory of `fleeting report` over the length of a film: part of `python -m tools.bench memory`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent.base.assets import CLIP
from agent.base.config import parse
from agent.host.supervise import child_environment
from tools.common.errors import ToolError
from tools.common.processes import own_memory
from tools.common.tables import columns, text

MOST = 1.05
"""Own memory at the end over that after a minute: visits and events add some hundred bytes each."""
_PROGRAM = [sys.executable, "-P", "-m", "tools.bench.films"]


def measured(minutes: float, film: Path = CLIP) -> dict[str, Any]:
    """Own memory of a process that looks at `film`, played again and again, after each minute of it
    up to `minutes`, and at the end once the page is made. Raises `ToolError`."""
    command = [*_PROGRAM, str(minutes), str(film)]
    done = subprocess.run(command, capture_output=True, env=child_environment(), check=False)
    if done.returncode:
        raise ToolError(f"The film could not be looked at: {done.stderr.decode()[-300:]}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    *course, page = rows
    growth = course[-1]["own_mb"] / course[0]["own_mb"]
    return {
        "minutes": minutes, "rows": course, "page_mb": page["own_mb"], "visits": page["visits"],
        "growth": round(growth, 4), "passed": growth <= MOST,
    }  # fmt: skip


def films_text(report: dict[str, Any]) -> str:
    """A row for each of some minutes."""
    verdict = "kept" if report["passed"] else "EXCEEDED"
    title = (
        f"fleeting report: {report['growth']:.3f} times the first minute's at the end, {verdict}"
    )
    table = columns("minute of the film", "own memory, MB", title=title)
    rows = report["rows"]
    for row in (rows[0], *rows[4 :: max(1, len(rows) // 8)], rows[-1]):
        table.add_row(str(row["minute"]), f"{row['own_mb']:.1f}")
    table.add_row(f"page, {report['visits']} visits", f"{report['page_mb']:.1f}")
    return text(table)


def _look(minutes: float, film: Path) -> None:
    """What the process measures of itself."""
    import agent.kernels.compiler  # noqa: F401  # isort: skip
    from agent.desk.films.analyse import analyse
    from agent.desk.films.chapters import About, document
    from agent.desk.films.findings import find
    from agent.desk.films.html import as_html

    rate = 30.0
    due = 1

    def progress(done: int, of: int | None) -> None:
        nonlocal due
        if done >= due * 60 * rate:
            own = own_memory(os.getpid()) * 1024 / 1e6
            print(json.dumps({"minute": due, "own_mb": round(own, 2)}), flush=True)
            due += 1

    config = parse({"privacy": {"policy": "demo"}}, "the demo profile")
    found = find(analyse(film, config, progress, loops=60 * minutes + 0.5), config)
    as_html(document(found, About(film.name, 0, "")))
    own = own_memory(os.getpid()) * 1024 / 1e6
    print(json.dumps({"own_mb": round(own, 2), "visits": len(found.visits)}), flush=True)


if __name__ == "__main__":
    _look(float(sys.argv[1]), Path(sys.argv[2]))
