"""`python -m tools.robustness crash`: its arguments and its report as text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tools.common.command import positive
from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "crash",
        parents=[shared],
        help="kill -9 at random instants, or at every write: nothing released is lost",
        description="Kills both processes of the agent at random instants while summaries flow to "
        "a real Mosquitto that is itself stopped and started. Exit code 1 when anything was lost, "
        "changed or inconsistent; the evidence is then kept.",
    )
    parser.add_argument("--cycles", type=positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--seed", type=int, help="of the random instants; default: drawn")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence here")
    parser.add_argument(
        "--every-write",
        action="store_true",
        help="instead: kill a writer at its first, second, third ... system call that changes or "
        "locks a file (needs strace)",
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.crash import every_write
    from tools.robustness.crash import run as crash

    if args.every_write:
        with bar("kills at a system call", None) as tell:
            report = every_write.run(tell)
        return report, writes_text(report)
    with bar("kills", args.cycles) as tell:
        report, kept = crash.run(crash.Options(args.cycles, args.seed, args.keep), tell)
    if kept is not None:
        print(f"crash: the evidence is in {kept}", file=sys.stderr)
    return report, crash_text(report)


def crash_text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    kills, starts = report["kills"], report["starts"]
    first = report["first_summary"]
    return line(report["machine"]) + (
        f"{report['cycles']} kill -9 in {report['seconds'] / 60:.1f} minutes, "
        f"seed {report['seed']}: {kills['perceive']} of perceive, {kills['uplink']} of uplink, "
        f"{kills['both']} of both at once; {report['aimed']} while the journal grew\n"
        f"{report['broker_stops']} stops of the broker; "
        f"{starts['perceive']} starts of perceive, {report['boots']} of which released something; "
        f"{starts['uplink']} of uplink; from a start to a summary "
        f"{first['perceive']:.1f} s and {first['uplink']:.1f} s\n"
        f"summaries: {report['released']} released, {report['arrived']} arrived, "
        f"{report['duplicates']} arrived again, {report['lost']} lost, "
        f"{report['differing']} with other bytes\n"
        f"invariants examined {report['looks'] + 1} times\n{_verdict(report)}"
    )


def writes_text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    calls = ", ".join(f"{count} {name}" for name, count in sorted(report["calls"].items()))
    return line(report["machine"]) + (
        f"{report['kills']} kill -9 in {report['seconds']:.0f} s, one at every system call of "
        f"{report['script']}: {calls}\n{_verdict(report)}"
    )


def _verdict(report: dict[str, Any]) -> str:
    found = report["violations"]
    lines = "".join(f"  {each}\n" for each in found[:20])
    if len(found) > 20:
        lines += f"  and {len(found) - 20} more\n"
    return "passed\n" if report["passed"] else f"FAILED\n{lines}"
