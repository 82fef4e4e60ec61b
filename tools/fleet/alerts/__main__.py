"""`python -m tools.fleet.alerts`: how a look at a large fleet does, how often it is wrong, and the
table of kinds."""

from __future__ import annotations

import argparse
import signal
from typing import Any

from tools.common import command
from tools.common.files import ROOT
from tools.fleet.alerts import bench, false_alarms
from tools.fleet.alerts.kinds import KINDS

REFERENCE = ROOT / "tools" / "fleet" / "reference"


class _Kinds:
    """The table of docs/alerts.md."""

    def add(self, verbs: Any, shared: argparse.ArgumentParser) -> None:
        verbs.add_parser("kinds", parents=[shared], help="the table of docs/alerts.md")

    def run(self, args: argparse.Namespace) -> int:
        print(table())
        return 0


SUBCOMMANDS: dict[str, command.Subcommand] = {
    "bench": bench,
    "false-alarms": false_alarms,
    "kinds": _Kinds(),
}


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return command.main("tools.fleet.alerts", __doc__, SUBCOMMANDS, argv, REFERENCE)


def table() -> str:
    """Markdown: every kind, what raises and ends it, what to do."""
    lines = ["| kind | severity | raised when | ended when | what to do |", "|---|---|---|---|---|"]
    for kind in KINDS:
        raised = f"{kind.when}{_for(kind.raise_after)}"
        ended = f"{kind.until}{_for(kind.end_after)}"
        joint = " Many at once: one alert." if kind.joint else ""
        name = f'<a id="alert-{kind.name}"></a>`{kind.name}`'
        lines.append(f"| {name} | {kind.severity} | {raised} | {ended} | {kind.todo}{joint} |")
    return "\n".join(lines)


def _for(seconds: int) -> str:
    if not seconds:
        return ""
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % length == 0:
            return f"; for {seconds // length} {unit}"
    return f"; for {seconds} s"


if __name__ == "__main__":
    raise SystemExit(main())
