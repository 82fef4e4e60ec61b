"""`python -m tools.robustness booted`: its arguments and its report as text."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    from tools.robustness.booted.trials import TRIALS

    parser = verbs.add_parser(
        "booted",
        parents=[shared],
        help="the units under a systemd that was booted: each fault is recovered from, the journal "
        "is clean",
        description="Boots a Debian container with systemd as its first process, installs this "
        "clone in it as tools/install.sh does, and hurts it: processes killed and stopped, a "
        "camera that hangs, a full and a damaged disk, restarts that are asked for, reboots. Root; "
        "needs systemd-nspawn, debootstrap and a C compiler. Exit code 1 where something did not "
        "recover or the journal has what no fault explains.",
    )
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER",
        help="where the Debian root is kept, 1.5 GB (default: the user's cache)",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", default=[], choices=tuple(TRIALS), metavar="TRIAL",
        help=f"of {', '.join(TRIALS)}",
    )  # fmt: skip


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.booted import root
    from tools.robustness.booted import run as booted
    from tools.robustness.booted.trials import TRIALS

    # asked to end it still ends what it started, and unmounts
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = (args.root or root.default_folder()).resolve()
    with bar("trials", len(TRIALS)) as tell:
        report = booted.run(folder, tell, tuple(args.only))
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report as a table."""
    passed = sum(1 for row in report["rows"] if row["passed"])
    lines = [
        f"{passed} of {len(report['rows'])} passed in {report['seconds'] / 60:.0f} minutes; Debian "
        f"{report['suite']} booted in systemd-nspawn, installed by tools/install.sh; outbox on an "
        "ext4 file system of its own; WatchdogSec=20 in place of 90 and 120 where it starves, all "
        "else as installed",
        f"{'what':<50}{'back, s':>8}  how seen",
    ]
    for row in report["rows"]:
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:.1f}"
        mark = "" if row["passed"] else "FAILED: "
        lines.append(f"{row['what']:<50}{seconds:>8}  {mark}{row['seen']}")
    if report["security"]:
        figures = ", ".join(f"{unit} {each:g}" for unit, each in report["security"].items())
        lines.append(f"systemd-analyze security, running manager (0 best, 10 worst): {figures}")
    if report["allowed"]:
        lines.append("warnings in the journal, each because of a fault above:")
        lines += [f"{times:>6} x {why}" for why, times in report["allowed"].items()]
    lines.append("passed" if report["passed"] else "FAILED")
    return line(report["machine"]) + "\n".join(lines) + "\n"
